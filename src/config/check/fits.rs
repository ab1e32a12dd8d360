//! What fits together by itself and not with each other: rules with quiet hours, groups with the day's limit.
//!
//! Floor: config.

use super::super::problem::{Origin, Problem};
use super::super::reader::Account;
use super::super::tree::{self, Table};
use super::super::units;
use super::policy::{Policy, Week};
use super::store::Daily;
use crate::message::{Number, Priority, STAFF};
use crate::rules::{Contact, Rules, Settings, To};
use std::collections::BTreeSet;

fn warn(account: &mut Account, root: &Table, key: String, found: String, fix: String) {
    let problem = problem(account, root, key, found, fix);
    account.warnings.push(problem);
}

fn problem(account: &Account, root: &Table, key: String, found: String, fix: String) -> Problem {
    let origin = tree::origin_of(root, &key).unwrap_or_else(|| Origin::file(&account.file));
    Problem::new(key, origin, found).fix(fix)
}

/// Rules whose messages expire before the longest time in which nothing of theirs goes out ends (warned of), and rules for
/// which that never ends (a problem). Critical ones pass quiet hours.
pub(super) fn quiet_hours(settings: &Settings, rules: &Rules, policy: &Policy, root: &Table, account: &mut Account) {
    let hours = &policy.settings.hours;
    for rule in settings.rules.iter().filter(|rule| rule.priority != Priority::Critical) {
        let own = hours.rules.get(&rule.name);
        let categories: BTreeSet<_> = rules.categories(&rule.name).into_iter().collect();
        let weeks: Vec<_> = categories
            .into_iter()
            .map(|category| (category, Week::of(hours.of_category(category).iter().chain(own))))
            .collect();
        if let Some((category, _)) = weeks.iter().find(|(_, week)| own.is_some() && week.is_full()) {
            let found = format!("lie within the quiet hours of {}: nothing would ever go out", category.code());
            let fix = "Leave a time in which both let it go.".to_owned();
            let problem = problem(account, root, format!("rules.{}.hours", rule.name), found, fix);
            account.problems.push(problem);
        }
        let stretches = weeks.iter().filter_map(|(category, week)| Some((*category, week.longest()?)));
        let Some((category, stretch)) = stretches.max_by_key(|(_, stretch)| stretch.length()) else { continue };
        let expires = rule.expires.unwrap_or(policy.expires[rule.priority as usize]);
        if expires >= stretch.length() {
            continue;
        }
        let from = match rule.expires {
            Some(_) => String::new(),
            None => format!(" (policy.expires.{})", rule.priority.code()),
        };
        let length = units::show_duration(stretch.length());
        let (who, where_) = match own {
            None => ("quiet hours hold".to_owned(), format!("policy.quiet_hours.{}", category.code())),
            Some(_) => ("its hours, with quiet hours, hold".to_owned(), "what the rule's hours leave out".to_owned()),
        };
        let found = format!(
            "is {}{from}, and {who} {} for up to {length} ({stretch}): what comes early in them expires before they end",
            units::show_duration(expires),
            category.code(),
        );
        let fix = format!("Write expires = \"{length}\" or longer, or shorten {where_}.");
        warn(account, root, format!("rules.{}.expires", rule.name), found, fix);
    }
}

/// Groups, and rules that name several, with more people than the day has room for.
pub(super) fn daily_recipients(settings: &Settings, daily: Daily, root: &Table, account: &mut Account) {
    let many = |people: usize, urgent: bool| {
        let room = if urgent { daily.all() } else { daily.free() };
        (people as u64 > room).then(|| {
            let less = if urgent { String::new() } else { format!(" less daily_reserve {}", daily.reserve) };
            let found = format!(
                "names {people} people, and this box may write to {room} in 24 hours (limits.daily_recipients {}{less}, \
                 share {}/{})",
                daily.recipients, daily.share.0, daily.share.1
            );
            let fix = "One event would use up the day and not reach everybody: name fewer people, or raise \
                       limits.daily_recipients or limits.share to what the number may do. (This version does not enforce it yet.)";
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
