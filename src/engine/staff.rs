//! Contacts: the consent that the configuration states stands in the ledger for as long as it is stated, and whoever of them takes it
//! back is honoured and shouted; so is whom the platform does not find on WhatsApp.
//!
//! Floor: engine. What may be recorded says `policy`: the configuration never lifts a revocation. Somebody who is no member any
//! more gets no revocation, which would be the person's own word and hold against a later membership, but an end of the grant.

use super::Engine;
use crate::message::{Acted, Number, Reason};
use crate::operate::Hold;
use crate::outbox::StoreError;
use crate::policy;
use crate::time::BoxTime;
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

/// A member whom no alarm reaches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Unreached {
    contact: String,
    /// Masked.
    number: String,
    /// Since the consent was taken back, or since the platform does not find the number, and then it ends.
    until: Option<BoxTime>,
}

impl Unreached {
    fn reason(&self) -> Reason {
        if self.until.is_some() { Reason::Undeliverable } else { Reason::ConsentRevoked }
    }

    fn note(&self) -> String {
        let why = if self.until.is_some() { NOT_FOUND } else { REFUSES };
        format!("{} {why}", self.number)
    }

    fn is_like(&self, other: &Unreached) -> bool {
        (&self.contact, &self.number, self.reason()) == (&other.contact, &other.number, other.reason())
    }
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
        let now = self.moment.boxed;
        let over = self.soft.unreached.iter().any(|member| member.until.is_some_and(|until| until <= now));
        if !std::mem::take(&mut self.soft.staff_due) && !over {
            return Ok(());
        }
        let mut unreached = Vec::new();
        for member in &self.members {
            let standing = self.standing_of(&member.number, &member.purpose)?;
            let until = standing.undeliverable_until.filter(|until| *until > now && !standing.is_revoked());
            if until.is_some() || standing.is_revoked() {
                let (contact, number) = (member.contact.clone(), member.number.to_string());
                unreached.push(Unreached { contact, number, until });
            }
        }
        for member in &unreached {
            if !self.soft.unreached.iter().any(|known| known.is_like(member)) {
                self.tell_box(member.reason(), format!("contact {}: {}", member.contact, member.note()), true);
            }
        }
        self.soft.unreached = unreached;
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
    pub(super) fn unreached_holds(&self) -> impl Iterator<Item = Hold> {
        self.soft.unreached.iter().map(|member| Hold {
            what: format!("contact {}", member.contact),
            reason: member.reason(),
            since: None,
            until: member.until.map(|until| self.minute(until)),
            note: member.note(),
            loud: true,
        })
    }

    /// The same for the retained state.
    pub(super) fn unreached_state(&self) -> impl Iterator<Item = Value> {
        self.unreached_holds().map(|hold| {
            let until = hold.until.map(|until| until.rfc3339());
            json!({"what": hold.what.replacen(' ', ":", 1), "reason": hold.reason, "note": hold.note, "since": null, "until": until})
        })
    }
}

const REFUSES: &str = "took the consent back: no message of this group reaches them";
const NOT_FOUND: &str =
    "is not on WhatsApp, as the platform says: no message of this group reaches them until they write to it";
