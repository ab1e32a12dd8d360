//! What fits together by itself and not with each other: rules with quiet hours, groups with the day's limit: warnings. And rules
//! with the store.
//!
//! Floor: config.

use super::super::problem::{Origin, Problem};
use super::super::reader::Account;
use super::super::tree::{self, Table};
use super::super::units;
use super::policy::{Policy, Week};
use super::store::Daily;
use crate::limits;
use crate::message::{Number, Priority, STAFF};
use crate::rules::{Contact, Rule, Rules, Settings, To};
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
        let all = known(settings, rule);
        let staff = rule.to.iter().all(|to| match to {
            To::Contacts(name) => settings.contacts.get(name).is_none_or(|contact| contact.consent == STAFF),
            To::Person(_) => rule.consent.as_deref() == Some(STAFF),
            To::Number(_) => true,
        });
        let of_a_group = rule.to.iter().any(|to| matches!(to, To::Contacts(name) if told.contains(name)));
        let urgent = staff || rule.priority == Priority::Critical;
        if let Some((found, fix)) = many(all.len(), urgent).filter(|_| !of_a_group) {
            warn(account, root, format!("rules.{}.to", rule.name), found, fix);
        }
    }
}

/// A store that cannot take one event of a rule in whole would hold it, and all that come after it, for ever.
///
/// The bound is that of [`Outbox::has_room`](crate::outbox::Outbox::has_room): nothing but outcomes goes beyond 98 % of the store, and a
/// message to each recipient takes at most `limits::MESSAGE_ROWS`.
pub(super) fn store(settings: &Settings, max_bytes: u64, root: &Table, account: &mut Account) {
    let recipients = |rule: &Rule| {
        let told_by_event = rule.to.iter().filter(|to| matches!(to, To::Number(_))).count();
        known(settings, rule).len() + told_by_event
    };
    let Some(rule) = settings.rules.iter().max_by_key(|rule| recipients(rule)) else { return };
    let most = recipients(rule);
    let event = most as u64 * limits::MESSAGE_ROWS;
    let least = (limits::EMPTY_STORE + event).div_ceil(98) * 100;
    if max_bytes >= least {
        return;
    }
    let key = "outbox.max_bytes".to_owned();
    let found = format!(
        "{} has no room for one event of rules.{}: {most} messages of up to {} each",
        units::show_size(max_bytes),
        rule.name,
        units::show_size(limits::MESSAGE_ROWS)
    );
    let wanted = format!("{} or more", units::show_size(least.next_multiple_of(1 << 20)));
    let problem = problem(account, root, key, found, "Or name fewer people in the rule.".to_owned());
    account.problems.push(problem.wanted(wanted));
}

/// The people whom a rule names by name or group, once.
fn known<'s>(settings: &'s Settings, rule: &Rule) -> BTreeSet<&'s Number> {
    let mut all = BTreeSet::new();
    for to in &rule.to {
        match to {
            To::Contacts(name) => {
                all.extend(settings.contacts.get(name).into_iter().flat_map(|contact| people(settings, contact)));
            }
            To::Person(name) => all.extend(settings.people.get(name).map(|person| &person.number)),
            To::Number(_) => {}
        }
    }
    all
}

/// Everybody in a group, once.
fn people<'s>(settings: &'s Settings, contact: &'s Contact) -> BTreeSet<&'s Number> {
    let members = contact.members.iter().filter_map(|name| settings.people.get(name));
    members.map(|person| &person.number).chain(&contact.numbers).collect()
}
