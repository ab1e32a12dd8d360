//! Contacts: the consent that the configuration states stands in the ledger for as long as it is stated, and whoever of them takes it
//! back is honoured and shouted.
//!
//! Floor: engine. What may be recorded says `policy`: the configuration never lifts a revocation. Somebody who is no member any
//! more gets no revocation, which would be the person's own word and hold against a later membership, but an end of the grant.

use super::Engine;
use crate::message::{Acted, Number, Reason};
use crate::operate::Hold;
use crate::outbox::StoreError;
use crate::policy;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// One member of `[contacts.NAME]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Member {
    pub contact: String,
    /// The purpose that it states.
    pub purpose: String,
    pub number: Number,
}

/// Everybody of whom the configuration states consent.
pub(super) fn members(rules: &crate::rules::Settings) -> Vec<Member> {
    let named = |name: &String| rules.people.get(name).map(|person| person.number.clone());
    let of = |(contact, group): (&String, &crate::rules::Contact)| {
        let numbers = group.members.iter().filter_map(named).chain(group.numbers.iter().cloned());
        let member = |number| Member { contact: contact.clone(), purpose: group.consent.clone(), number };
        numbers.map(member).collect::<Vec<_>>()
    };
    rules.contacts.iter().flat_map(of).collect()
}

impl Engine {
    /// Whether a change of consent is one of a member: then it is looked at again who can be reached.
    pub(super) fn concerns_staff(&self, acted: &Acted, digits: Option<&str>) -> bool {
        let about = |member: &Member| {
            digits.is_some_and(|digits| member.number.forms().iter().any(|form| form.digits() == digits))
        };
        acted.act.changes_consent() && self.members.iter().any(about)
    }

    /// At the start, after a reload and when one of them said something. Without a trusted clock nothing is recorded: a grant needs
    /// its time; alarms go all the same, and bring it with them.
    pub(super) fn staff(&mut self) -> Result<(), StoreError> {
        if self.soft.stated_due && self.moment.wall.trusted().is_some() {
            self.soft.stated_due = false;
            self.state_consent()?;
        }
        if !std::mem::take(&mut self.soft.staff_due) {
            return Ok(());
        }
        let mut refusing = Vec::new();
        for member in &self.members {
            if self.standing_of(&member.number, &member.purpose)?.is_revoked() {
                refusing.push((member.contact.clone(), member.number.to_string()));
            }
        }
        for (contact, number) in &refusing {
            if !self.soft.refusing.contains(&(contact.clone(), number.clone())) {
                self.tell_box(Reason::ConsentRevoked, format!("contact {contact}: {number} {REFUSES}"), true);
            }
        }
        self.soft.refusing = refusing;
        Ok(())
    }

    fn state_consent(&mut self) -> Result<(), StoreError> {
        let mut stated = BTreeSet::new();
        for member in self.members.clone() {
            let standing = self.standing_of(&member.number, &member.purpose)?;
            let person = match policy::stated(&self.policy, &standing, &member.purpose, self.moment) {
                Some(entry) => {
                    let person = self.outbox.person(&member.number)?;
                    self.outbox.record_consent(person, &entry, None, None, self.moment)?;
                    Some(person)
                }
                None => self.outbox.find_person(&member.number)?,
            };
            stated.extend(person.map(|person| (person, member.purpose)));
        }
        for (person, purpose) in self.outbox.stated()? {
            if stated.contains(&(person, purpose.clone())) {
                continue;
            }
            let last = self.outbox.consent_of(person)?.into_iter().rfind(|row| row.entry.purpose == purpose);
            let Some(last) = last else { continue };
            let standing = self.outbox.standing(person, &purpose)?;
            if let Some(entry) = policy::no_longer_stated(&standing, &last.entry, self.moment) {
                self.outbox.record_consent(person, &entry, None, None, self.moment)?;
            }
        }
        Ok(())
    }

    /// Members whom no alarm reaches, for the status.
    pub(super) fn refusing_holds(&self) -> impl Iterator<Item = Hold> {
        self.soft.refusing.iter().map(|(contact, number)| Hold {
            what: format!("contact {contact}"),
            reason: Reason::ConsentRevoked,
            since: None,
            until: None,
            note: format!("{number} {REFUSES}"),
            loud: true,
        })
    }

    /// The same for the retained state.
    pub(super) fn refusing_state(&self) -> impl Iterator<Item = Value> {
        self.refusing_holds().map(|hold| {
            json!({"what": hold.what.replacen(' ', ":", 1), "reason": hold.reason, "note": hold.note, "since": null, "until": null})
        })
    }
}

const REFUSES: &str = "took the consent back: no message of this group reaches them";
