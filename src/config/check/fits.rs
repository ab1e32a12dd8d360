//! What fits together by itself and not with each other: rules with quiet hours, groups with the day's limit. Warnings only.
//!
//! Floor: config.

use super::super::problem::{Origin, Problem};
use super::super::reader::Account;
use super::super::tree::{self, Table};
use super::super::units;
use super::policy::Policy;
use super::store::Daily;
use crate::message::{Category, Number, Priority, STAFF};
use crate::rules::{Contact, Rules, Settings, To};
use std::collections::BTreeSet;

fn warn(account: &mut Account, root: &Table, key: String, found: String, fix: String) {
    let origin = tree::origin_of(root, &key).unwrap_or_else(|| Origin::file(&account.file));
    account.warnings.push(Problem::new(key, origin, found).fix(fix));
}

/// Rules whose messages expire before the longest quiet hours of their category end. Critical ones pass quiet hours.
pub(super) fn quiet_hours(settings: &Settings, rules: &Rules, policy: &Policy, root: &Table, account: &mut Account) {
    for rule in settings.rules.iter().filter(|rule| rule.priority != Priority::Critical) {
        let categories = rules.categories(&rule.name);
        let (category, stretch) = match (policy.quiet.marketing, policy.quiet.utility) {
            (Some(stretch), _) if categories.contains(&Category::Marketing) => (Category::Marketing, stretch),
            (_, Some(stretch)) if categories.contains(&Category::Utility) => (Category::Utility, stretch),
            _ => continue,
        };
        let expires = rule.expires.unwrap_or(policy.expires[rule.priority as usize]);
        if expires >= stretch.length() {
            continue;
        }
        let from = match rule.expires {
            Some(_) => String::new(),
            None => format!(" (policy.expires.{})", rule.priority.code()),
        };
        let (category, length) = (category.code(), units::show_duration(stretch.length()));
        let found = format!(
            "is {}{from}, and quiet hours hold {category} for up to {length} ({stretch}): what comes early in them expires \
             before they end",
            units::show_duration(expires)
        );
        let fix = format!(
            "Write expires = \"{length}\" or longer, or shorten policy.quiet_hours.{category}. (This version does not enforce \
             quiet hours yet.)"
        );
        warn(account, root, format!("rules.{}.expires", rule.name), found, fix);
    }
}

/// Groups, and rules that name several, with more people than the day has room for.
pub(super) fn daily_recipients(settings: &Settings, daily: Daily, root: &Table, account: &mut Account) {
    let many = |people: usize, urgent: bool| {
        let room = if urgent { daily.pace().all } else { daily.pace().free };
        (people as u64 > room).then(|| {
            let less = if urgent { String::new() } else { format!(" less daily_reserve {}", daily.reserve) };
            let found = format!(
                "names {people} people, and this box may write to {room} in 24 hours (limits.daily_recipients {}{less}, \
                 share {}/{})",
                daily.recipients, daily.share.0, daily.share.1
            );
            let fix = "One event would use up the day and not reach everybody: name fewer people, or raise \
                       limits.daily_recipients or limits.share to what the number may do.";
            (found, fix.to_owned())
        })
    };
    let mut told = BTreeSet::new();
    for (name, contact) in &settings.contacts {
        if let Some((found, fix)) = many(people(settings, contact).len(), contact.consent == STAFF) {
            told.insert(name);
            warn(account, root, format!("contacts.{name}"), found, fix);
        }
    }
    for rule in &settings.rules {
        let mut all = BTreeSet::new();
        let mut staff = true;
        for to in &rule.to {
            match to {
                To::Contacts(name) => {
                    let Some(contact) = settings.contacts.get(name) else { continue };
                    staff &= contact.consent == STAFF;
                    all.extend(people(settings, contact));
                }
                To::Person(name) => {
                    staff &= rule.consent.as_deref() == Some(STAFF);
                    all.extend(settings.people.get(name).map(|person| &person.number));
                }
                To::Number(_) => {}
            }
        }
        let of_a_group = rule.to.iter().any(|to| matches!(to, To::Contacts(name) if told.contains(name)));
        let urgent = staff || rule.priority == Priority::Critical;
        if let Some((found, fix)) = many(all.len(), urgent).filter(|_| !of_a_group) {
            warn(account, root, format!("rules.{}.to", rule.name), found, fix);
        }
    }
}

/// Everybody in a group, once.
fn people<'s>(settings: &'s Settings, contact: &'s Contact) -> BTreeSet<&'s Number> {
    let members = contact.members.iter().filter_map(|name| settings.people.get(name));
    members.map(|person| &person.number).chain(&contact.numbers).collect()
}
