//! `[limits]` and `[outbox]`.
//!
//! Floor: config.

use super::super::kinds::Limit;
use super::super::reader::Reader;
use super::super::tree::{Node, Value};
use super::super::units;
use super::links::Uplink;
use crate::limits::SENDER_PER_SECOND_MAX;
use crate::outbox::{self, WhenFull};
use crate::pace;

/// Messages to one person that may go before the interval counts: the platform's own burst (facts 2.2: 45 within 6 s).
const PAIR_BURST_MAX: u64 = 45;
/// What a cap looks like.
const CAPS: &str = "a list like [\"4 per 30d\"], or \"off\"";

/// `[limits]`
pub(super) fn limits(r: &mut Reader<'_, '_>, uplink: Option<&Uplink>) -> Option<pace::Settings> {
    r.within("limits", |r| {
        let share = r.parsed("share", "a part of one, like \"1/4\"", |node| share(node.as_text()?));
        let sender = r.whole_or_off("sender_per_second", 1..=SENDER_PER_SECOND_MAX as u64);
        let pair_interval = r.duration_or_off("pair_interval");
        let pair_burst = r.whole("pair_burst", 1..=PAIR_BURST_MAX);
        without_effect(r, "share", "sender_per_second", sender == Some(Limit::Off) && share != Some((1, 1)));
        without_effect(r, "pair_burst", "pair_interval", pair_interval == Some(Limit::Off));
        for key in ["daily_recipients", "daily_reserve", "daily_messages"] {
            r.whole_or_off(key, 1..=1_000_000);
            r.idle(key);
        }
        r.within("caps", |r| {
            for key in ["marketing", "utility", "staff", "rule"] {
                r.parsed(key, CAPS, caps);
                r.idle(key);
            }
        });
        let sender_per_second = match (sender?, share?) {
            (Limit::Off, _) => None,
            (Limit::At(all), part) => Some(apply(r, all, part)),
        };
        let uplink = uplink?;
        Some(pace::Settings {
            sender_per_second,
            pair_interval: pair_interval?.value(),
            pair_burst: u32::try_from(pair_burst?).ok()?,
            max_in_flight: uplink.max_in_flight,
            pause: uplink.pause,
        })
    })
}

/// A key that only refines a limit, written where that limit is `off`.
fn without_effect(r: &mut Reader<'_, '_>, key: &str, limit: &str, off: bool) {
    if off && r.origin(key).is_own() {
        let problem = r.problem(key, format!("has no effect: limits.{limit} is \"off\""));
        r.warn(problem.fix(format!("Set limits.{limit} or remove this key.")));
    }
}

/// `m/n` with 1 ≤ m ≤ n.
fn share(text: &str) -> Option<(u64, u64)> {
    let (part, whole) = text.split_once('/')?;
    let (part, whole) = (units::digits(part.trim())?, units::digits(whole.trim())?);
    (1 <= part && part <= whole && whole <= 100_000).then_some((part, whole))
}

/// This box's part, rounded down so that all boxes together stay within the whole; one where that leaves nothing.
fn apply(r: &mut Reader<'_, '_>, all: u64, (part, whole): (u64, u64)) -> u32 {
    let mine = all * part / whole;
    if mine == 0 {
        let found = format!("{part}/{whole} of {all} a second is less than one");
        let problem = r.problem("share", found);
        r.warn(
            problem.fix("This box takes 1 a second; boxes with such shares can together exceed the number's limit."),
        );
    }
    u32::try_from(mine.max(1)).unwrap_or(u32::MAX)
}

/// `["1 per 2d", "4 per 30d"]` or "off".
fn caps(node: &Node) -> Option<()> {
    let one = |node: &Node| {
        let (count, time) = node.as_text()?.split_once(" per ")?;
        (units::digits(count)? > 0 && !units::duration(time)?.is_zero()).then_some(())
    };
    match &node.value {
        Value::List(list) => list.iter().map(one).collect(),
        _ => (node.as_text()? == "off").then_some(()),
    }
}

/// `[outbox]`
pub(super) fn outbox(r: &mut Reader<'_, '_>, uplink: Option<&Uplink>) -> Option<outbox::Settings> {
    r.within("outbox", |r| {
        r.later(&["key_file"]);
        let path = r.path("path");
        let max_bytes = r.size("max_bytes", 1 << 20..=1 << 40);
        let when_full = r.choice("when_full", &[("hold", WhenFull::Hold), ("displace", WhenFull::Displace)]);
        let keep_content = r.duration("keep_content");
        let keep_settled = r.duration("keep_settled");
        if let (Some(content), Some(settled)) = (keep_content, keep_settled)
            && content > settled
        {
            let key = r.own_of("keep_content", "keep_settled");
            let problem = r.problem(key, "outbox.keep_content is longer than outbox.keep_settled");
            r.tell(problem.fix("Texts cannot outlive the message that they belong to."));
        }
        Some(outbox::Settings {
            path: path?,
            max_bytes: max_bytes?,
            when_full: when_full?,
            keep_content: keep_content?,
            keep_settled: keep_settled?,
            sender: uplink?.phone_number_id.clone(),
        })
    })
}
