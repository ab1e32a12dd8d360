//! `[policy]` and `[purposes.NAME]`.
//!
//! Floor: config.

use super::super::reader::Reader;
use super::super::tree::{Node, Value};
use super::super::units;
use crate::message::Priority;
use crate::policy::{self, OnUnknown, Purpose};
use std::time::Duration;

/// What quiet hours look like.
const QUIET: &str = "a list like [\"20:00-09:00\", \"sun\"], or \"off\"";
const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// What `[policy]` gives to the policy room and to rules.
pub(super) struct Policy {
    pub settings: policy::Settings,
    pub expires: [Duration; 4],
}

/// `[policy]` and `[purposes]`
pub(super) fn policy(r: &mut Reader<'_, '_>) -> Option<Policy> {
    let purposes = r.each("purposes", |_, r| Purpose {
        wording: r.text("wording").unwrap_or_default(),
        expires: r.duration("expires"),
    });
    r.within("policy", |r| {
        let expires = r.within("expires", |r| by_priority(r, |r, key| r.duration(key)));
        let on_unknown = r.within("on_unknown", |r| {
            by_priority(r, |r, key| {
                r.parsed(key, "\"stop\", \"repeat\" or \"repeat 3\" (1 to 9)", |node| on_unknown(node.as_text()?))
            })
        });
        let wait = r.duration_or_zero("unknown_wait");
        if r.origin("unknown_wait").is_own() && wait.is_some_and(|wait| !wait.is_zero()) {
            let problem = r.problem("unknown_wait", "has no effect");
            r.warn(
                problem.fix(
                    "Without [webhook] and [notice], which this version does not have, nothing can be waited for.",
                ),
            );
        }
        let undeliverable = r.duration("undeliverable");
        quiet_hours(r);
        opt_out(r);
        let settings = policy::Settings {
            purposes,
            on_unknown: on_unknown?,
            unknown_wait: Duration::ZERO,
            undeliverable: undeliverable?,
        };
        Some(Policy { settings, expires: expires? })
    })
}

/// One value for each priority, by rank.
fn by_priority<'t, T>(
    r: &mut Reader<'t, '_>,
    mut read: impl FnMut(&mut Reader<'t, '_>, &str) -> Option<T>,
) -> Option<[T; 4]> {
    let [a, b, c, d] = Priority::ALL.map(|priority| read(r, priority.code()));
    Some([a?, b?, c?, d?])
}

fn on_unknown(text: &str) -> Option<OnUnknown> {
    match text.split_once(' ') {
        None if text == "stop" => Some(OnUnknown::Stop),
        None if text == "repeat" => Some(OnUnknown::Repeat(1)),
        Some(("repeat", times)) => {
            units::digits(times).filter(|times| (1..=9).contains(times)).map(|times| OnUnknown::Repeat(times as u32))
        }
        _ => None,
    }
}

/// Read for its form; holding messages back by the hour comes with a later version.
fn quiet_hours(r: &mut Reader<'_, '_>) {
    r.within("quiet_hours", |r| {
        for key in ["marketing", "utility"] {
            r.parsed(key, QUIET, |node| match &node.value {
                Value::List(list) => list.iter().map(quiet).collect(),
                _ => (node.as_text()? == "off").then_some(()),
            });
            r.idle(key);
        }
    });
}

fn quiet(node: &Node) -> Option<()> {
    let text = node.as_text()?;
    if WEEKDAYS.contains(&text) {
        return Some(());
    }
    let (from, to) = text.split_once('-')?;
    (clock(from)? != clock(to)?).then_some(())
}

/// Minutes of `20:00`.
fn clock(text: &str) -> Option<u64> {
    let (hours, minutes) = text.split_once(':').filter(|(hours, minutes)| hours.len() == 2 && minutes.len() == 2)?;
    let (hours, minutes) = (units::digits(hours)?, units::digits(minutes)?);
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

/// Read for its form; hearing what people write comes with a later version.
fn opt_out(r: &mut Reader<'_, '_>) {
    r.within("opt_out", |r| {
        r.texts("words");
        r.idle("words");
        r.within("confirm", |r| {
            for language in r.names() {
                super::people::language_name(r, &language);
                r.text(&language);
            }
        });
        r.idle("confirm");
    });
}
