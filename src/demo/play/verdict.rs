//! Expected against seen: a line for each row of the scenario and for each promise about the day as a whole.
//!
//! Floor: beside the roof. A function of two values; what was seen and not expected is a line of its own that is not right.

use super::scenario::{COUNTED, Event, Row};
use super::watch::{Message, Receipt, Record, masked, person};
use std::collections::{BTreeMap, BTreeSet};

/// One comparison.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Line {
    pub(super) event: String,
    pub(super) what: String,
    pub(super) who: String,
    pub(super) expected: String,
    pub(super) seen: String,
}

impl Line {
    pub(super) fn ok(&self) -> bool {
        self.expected == self.seen
    }
}

const TEXT: &str = "text as expected";

/// What must come of one event for one person, or of the whole event.
pub(super) fn rows(expected: &[Row], record: &Record) -> Vec<Line> {
    let mut lines: Vec<Line> = expected.iter().map(|row| line(row, record)).collect();
    lines.extend(unexpected(expected, record));
    lines
}

fn line(row: &Row, record: &Record) -> Line {
    let to = row.to.map(|person| masked(person.number));
    let ends = |outcome: &str, reason: &str| format!("{outcome} {reason}");
    let (outcome, reason) = row.ends;
    let seen = if outcome == COUNTED {
        match record.counters.iter().filter(|((_, result), _)| result == reason).map(|(_, count)| count).sum::<u64>() {
            0 => "nothing".to_owned(),
            1 => ends(outcome, reason),
            more => format!("{} {more} times", ends(outcome, reason)),
        }
    } else {
        record.stands(row.event, to.as_deref()).map_or_else(
            || "nothing".to_owned(),
            |receipt: &Receipt| ends(receipt.outcome.code(), receipt.reason.code()),
        )
    };
    let texts: Vec<&Message> =
        record.messages.iter().filter(|of| of.event == row.event && Some(&of.to) == to.as_ref()).collect();
    let (wanted, read) = match (row.text, texts.as_slice()) {
        ("", []) => (String::new(), String::new()),
        ("", _) => (String::new(), format!(", and {} message(s)", texts.len())),
        (_, []) => (format!(", {TEXT}"), ", no message".to_owned()),
        (text, [one]) if one.text == text => (format!(", {TEXT}"), format!(", {TEXT}")),
        (text, [one]) => (format!(", “{text}”"), format!(", “{}”", one.text)),
        (_, more) => (format!(", {TEXT}"), format!(", {} messages", more.len())),
    };
    Line {
        event: row.event.to_owned(),
        what: row.what.to_owned(),
        who: row.to.map(|person| format!("{} {}", person.name, masked(person.number))).unwrap_or_default(),
        expected: ends(outcome, reason) + &wanted,
        seen: seen + &read,
    }
}

/// What no row speaks of.
fn unexpected(expected: &[Row], record: &Record) -> Vec<Line> {
    let known: BTreeSet<(&str, Option<String>)> =
        expected.iter().map(|row| (row.event, row.to.map(|person| masked(person.number)))).collect();
    let told = record.receipts.iter().map(|receipt| (receipt.event.clone().unwrap_or_default(), receipt.to.clone()));
    let sent = record.messages.iter().map(|message| (message.event.clone(), Some(message.to.clone())));
    let odd: BTreeSet<(String, Option<String>)> =
        told.chain(sent).filter(|(event, to)| !known.contains(&(event.as_str(), to.clone()))).collect();
    let line = |(event, to): (String, Option<String>)| {
        let who = to.as_deref().unwrap_or_default();
        let seen = record.stands(&event, to.as_deref());
        Line {
            what: "not in the scenario".to_owned(),
            who: person(who).map_or(String::new(), |person| format!("{} ", person.name)) + who,
            expected: "nothing".to_owned(),
            seen: seen.map_or("a message".to_owned(), |of| format!("{} {}", of.outcome, of.reason)),
            event,
        }
    };
    odd.into_iter().map(line).collect()
}

/// What must hold of the day as a whole.
pub(super) fn promises(expected: &[Row], counters: &[(&str, &str, u64)], cut: &[Event], record: &Record) -> Vec<Line> {
    let line = |what: &str, expected: String, seen: String| Line {
        event: String::new(),
        what: what.to_owned(),
        who: String::new(),
        expected,
        seen,
    };
    let wanted = order(expected.iter().filter(|row| !row.text.is_empty()).filter_map(|row| {
        let to = row.to?;
        Some((masked(to.number), row.event.to_owned()))
    }));
    let came = order(record.messages.iter().map(|message| (message.to.clone(), message.event.clone())));
    let counted = |list: Vec<(String, String, u64)>| {
        let parts: Vec<_> = list.iter().map(|(rule, result, count)| format!("{rule} {result} {count}")).collect();
        parts.join(", ")
    };
    let hand = counters.iter().map(|(rule, result, count)| ((*rule).to_owned(), (*result).to_owned(), *count));
    let metrics = record.counters.iter().map(|((rule, result), count)| (rule.clone(), result.clone(), *count));
    let during_cut = |message: &&Message| cut.iter().any(|event| event.id == message.event);
    let first = record.messages.iter().find(during_cut).map_or("nothing", |message| what(expected, &message.event));
    let repeats = record.messages.iter().filter(|message| message.repeat.is_some()).count();
    vec![
        line("each person's messages in the order of the events", wanted, came),
        line("the first message after the cut is about", "alarm".to_owned(), first.to_owned()),
        line("messages that anybody got twice", "0".to_owned(), repeats.to_string()),
        line(
            "messages that the API refused (limits, form, token)",
            "0".to_owned(),
            match record.refused.as_slice() {
                [] => "0".to_owned(),
                codes => format!("{}, with {codes:?}", codes.len()),
            },
        ),
        line(
            "events by rule and result, as the daemon counts them",
            counted(hand.collect()),
            counted(metrics.collect()),
        ),
    ]
}

fn what(expected: &[Row], event: &str) -> &'static str {
    expected.iter().find(|row| row.event == event).map_or("", |row| row.what)
}

/// `+55…42: e02 e10 e16; …`
fn order(messages: impl Iterator<Item = (String, String)>) -> String {
    let mut people: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (to, event) in messages {
        people.entry(to).or_default().push(event);
    }
    let parts: Vec<_> = people.iter().map(|(to, events)| format!("{to}: {}", events.join(" "))).collect();
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::super::scenario::{COUNTERS, CUT, EXPECTED};
    use super::*;
    use crate::demo::api::Repeat;
    use crate::message::{Outcome, Reason};
    use std::time::Instant;

    /// A day on which everything went as the scenario says.
    fn perfect() -> Record {
        let mut record = Record::default();
        for row in EXPECTED {
            let to = row.to.map(|person| masked(person.number));
            if let Some(outcome) = Outcome::of_code(row.ends.0) {
                record.receipts.push(Receipt {
                    event: Some(row.event.to_owned()),
                    message: "k3f9-1".to_owned(),
                    to: to.clone(),
                    outcome,
                    reason: Reason::of_code(row.ends.1).unwrap(),
                });
            }
            if !row.text.is_empty() {
                record.messages.push(Message {
                    event: row.event.to_owned(),
                    to: to.unwrap(),
                    text: row.text.to_owned(),
                    at: Instant::now(),
                    repeat: None,
                });
            }
        }
        // The alarm overtook: to others only.
        record.messages.sort_by_key(|message| (message.event.as_str() > "e10", message.event != "e15"));
        let counters = COUNTERS.iter().map(|(rule, result, count)| (((*rule).into(), (*result).into()), *count));
        record.counters = counters.collect();
        record
    }

    fn wrong(record: &Record) -> Vec<String> {
        let lines = rows(EXPECTED, record).into_iter().chain(promises(EXPECTED, COUNTERS, CUT, record));
        lines.filter(|line| !line.ok()).map(|line| format!("{} {} {}", line.event, line.what, line.seen)).collect()
    }

    #[test]
    fn a_perfect_day_has_nothing_wrong() {
        assert_eq!(wrong(&perfect()), Vec::<String>::new());
    }

    /// Does something to a perfect day.
    type Spoil = fn(&mut Record);

    #[test]
    fn whatever_differs_is_told() {
        #[rustfmt::skip]
        let table: &[(Spoil, &str)] = &[
            (|day| day.receipts[2].reason = Reason::Due, "e02 A-1042 placed accepted due"),
            (|day| day.receipts[4].outcome = Outcome::Accepted, "e04 A-1044 placed accepted no-consent"),
            (|day| { day.receipts.remove(6); }, "e06 no JSON nothing"),
            (|day| { day.messages.pop(); }, "e18 A-1047 delivered accepted taken, no message"),
            (|day| day.messages[2].text.push('!'), "e02 A-1042 placed accepted taken, “Oi, Beatriz!"),
            (|day| day.messages.swap(2, 5), "each person's messages in the order"),
            (|day| { let alarm = day.messages.iter().position(|of| of.event == "e15").unwrap(); day.messages.remove(alarm);
                     day.messages.remove(alarm); },
             "the first message after the cut is about A-1043 ready"),
            (|day| day.messages[3].repeat = Some(Repeat::Content), "messages that anybody got twice 1"),
            (|day| day.refused.push(131056), "1, with [131056]"),
            (|day| day.counters.clear(), "e08 e03 once more nothing"),
            (|day| { day.counters.insert((String::new(), "no-rule".into()), 1); }, "no-rule 1"),
            (|day| { let extra = Message { to: "+52…58".into(), ..day.messages[3].clone() }; day.messages.push(extra); },
             "e03 not in the scenario a message"),
            (|day| { let extra = Receipt { event: Some("x".into()), ..day.receipts[3].clone() }; day.receipts.push(extra); },
             "x not in the scenario accepted taken"),
            (|day| { let extra = Message { event: "e04".into(), to: "+55…63".into(), ..day.messages[3].clone() };
                     day.messages.push(extra); },
             "e04 A-1044 placed withheld no-consent, and 1 message(s)"),
            (|day| { let again = day.messages[4].clone(); day.messages.push(again); }, "taken, 2 messages"),
        ];
        for (number, (spoil, told)) in table.iter().enumerate() {
            let mut day = perfect();
            spoil(&mut day);
            let wrong = wrong(&day);
            assert!(wrong.iter().any(|line| line.contains(told)), "row {number}: {wrong:?}");
        }
    }
}
