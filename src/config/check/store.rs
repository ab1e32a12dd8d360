//! `[limits]` and `[outbox]`.
//!
//! Floor: config.

use super::super::kinds::Limit;
use super::super::reader::Reader;
use super::super::tree::{Node, Value};
use super::super::units;
use super::links::Uplink;
use crate::limits::SENDER_PER_SECOND_MAX;
use crate::outbox::{self, SHORTEST, Seal, WhenFull};
use crate::pace;

/// Messages to one person that may go before the interval counts: the platform's own burst (facts 2.2: 45 within 6 s).
const PAIR_BURST_MAX: u64 = 45;
/// Messages that a cap per rule may allow.
const RULE_CAP_MAX: u64 = 1_000_000;

/// What `[limits]` gives to the pace room, and to what is warned of.
pub(super) struct Limits {
    pub pace: pace::Settings,
    /// `None` where it is off.
    pub daily: Option<Daily>,
}

/// Different people in 24 hours (facts 2.3): `limits.daily_recipients`, `daily_reserve` and this box's share of both.
#[derive(Clone, Copy)]
pub(super) struct Daily {
    pub recipients: u64,
    pub reserve: u64,
    pub share: (u64, u64),
}

impl Daily {
    /// This box's part, rounded down so that all boxes together stay within the whole.
    pub fn pace(self) -> pace::Daily {
        let part = |people: u64| people * self.share.0 / self.share.1;
        pace::Daily { all: part(self.recipients), free: part(self.recipients.saturating_sub(self.reserve)) }
    }
}

/// What becomes possible when a limit is off, and what to do about it.
#[rustfmt::skip] // one limit, one line: a table
const OFF: [(&str, &str, &str); 9] = [
    // Facts 2.1.
    ("sender_per_second", "until the platform tells how many messages a second it takes, nothing keeps this box below that (80 for most numbers, all boxes together); it refuses what is over them", "Set it to 20, or to what the number may do."),
    // Facts 2.2.
    ("pair_interval", "nothing keeps this box to one message in 6 seconds to the same person, which is what the platform takes; it refuses what is over that", "Set it to \"6s\"."),
    // Facts 2.3.
    ("daily_recipients", "until the platform tells how many people the number may reach in 24 hours, nothing keeps this box below that (250 for a new one, all boxes together)", "Set it to the limit that the platform shows for the number."),
    ("daily_reserve", "nothing of the day is kept for staff and critical messages: ordinary ones can use it up before an alarm comes", "Set it to the people that alarms must still reach."),
    ("daily_messages", "nothing brakes the cost when events come without end", "Set it to what a busy day needs, twice."),
    ("marketing", "nothing keeps one person from getting offer after offer; people who block the number lower its quality", "Set it to [\"1 per 2d\", \"4 per 30d\"]."),
    ("utility", "nothing keeps one person from being flooded; people who block the number lower its quality", "Set it to [\"8 per 1d\", \"25 per 7d\"]."),
    ("staff", "nothing keeps a flapping alarm from filling a technician's phone", "Set it to [\"30 per 1h\"]."),
    ("rule", "nothing stops a rule that fires without end", "Set it to [\"300 per 1h\"]."),
];

/// A limit that somebody of this branch switched off.
fn switched_off(r: &mut Reader<'_, '_>, key: &str, off: bool) {
    if let Some((_, why, fix)) = OFF.iter().find(|(limit, ..)| off && *limit == key && r.origin(key).is_own()) {
        let problem = r.problem(key, format!("is off: {why}"));
        r.warn(problem.fix(*fix));
    }
}

/// `[limits]`
pub(super) fn limits(r: &mut Reader<'_, '_>, uplink: Option<&Uplink>) -> Option<Limits> {
    r.within("limits", |r| {
        let share = r.parsed("share", "a part of one, like \"1/4\"", |node| share(node.as_text()?));
        let sender = r.whole_or_off("sender_per_second", 1..=SENDER_PER_SECOND_MAX as u64);
        let pair_interval = r.duration_or_off("pair_interval");
        let pair_burst = r.whole("pair_burst", 1..=PAIR_BURST_MAX);
        without_effect(r, "pair_burst", "pair_interval", pair_interval == Some(Limit::Off));
        switched_off(r, "sender_per_second", sender == Some(Limit::Off));
        switched_off(r, "pair_interval", pair_interval == Some(Limit::Off));
        let mut daily = |key: &str| {
            let limit = r.whole_or_off(key, 1..=1_000_000);
            switched_off(r, key, limit == Some(Limit::Off));
            if let (Some(Limit::At(all)), Some((part, whole))) = (limit, share)
                && all * part / whole == 0
            {
                let problem = r.problem("share", format!("{part}/{whole} of limits.{key} ({all}) is less than one"));
                r.warn(problem.fix(format!("Nothing of it is left for this box: give it a larger share, or raise limits.{key} if the number may do more.")));
            }
            limit
        };
        let (recipients, reserve) = (daily("daily_recipients"), daily("daily_reserve"));
        let messages = daily("daily_messages");
        let reserved = matches!(reserve, Some(Limit::At(_)));
        without_effect(r, "daily_reserve", "daily_recipients", reserved && recipients == Some(Limit::Off));
        let daily = match (recipients, reserve, share) {
            (Some(Limit::At(recipients)), Some(reserve), Some(share)) => {
                Some(Daily { recipients, reserve: reserve.value().unwrap_or(0), share })
            }
            _ => None,
        };
        if daily.is_some_and(|daily| daily.reserve >= daily.recipients) {
            let key = r.own_of("daily_reserve", "daily_recipients");
            let problem = r.problem(key, "limits.daily_reserve is not smaller than limits.daily_recipients");
            r.warn(problem.fix("The whole day is kept for staff and critical messages: lower the reserve."));
        }
        let caps = r.within("caps", |r| {
            let mut read = |key: &str, most: u64| {
                let days = pace::WINDOW_MAX.as_secs() / 86_400;
                let wanted =
                    format!("a list like [\"4 per 30d\"], each of 1 to {most} within up to {days}d, or \"off\"");
                let caps = r.parsed(key, wanted, |node| caps(node, most));
                switched_off(r, key, caps.as_ref().is_some_and(Vec::is_empty));
                caps
            };
            let person = ["marketing", "utility", "staff"].map(|key| read(key, u64::from(pace::COUNT_MAX)));
            let rule = read("rule", RULE_CAP_MAX);
            let [marketing, utility, staff] = person;
            Some(pace::Caps { person: [marketing?, utility?, staff?], rule: rule? })
        });
        let sender_per_second = match (sender?, share?) {
            (Limit::Off, _) => None,
            (Limit::At(all), part) => Some(apply(r, all, part)),
        };
        let uplink = uplink?;
        let pace = pace::Settings {
            share: share?,
            sender_per_second,
            pair_interval: pair_interval?.value(),
            pair_burst: u32::try_from(pair_burst?).ok()?,
            daily: daily.map(Daily::pace),
            daily_messages: match (messages?, share?) {
                (Limit::Off, _) => None,
                (Limit::At(all), (part, whole)) => Some(all * part / whole),
            },
            caps: caps?,
            max_in_flight: uplink.max_in_flight,
            timeout: uplink.door.timeout,
            pause: uplink.pause,
        };
        Some(Limits { pace, daily })
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

/// `["1 per 2d", "4 per 30d"]`, or "off", which is none.
fn caps(node: &Node, most: u64) -> Option<Vec<pace::Cap>> {
    let one = |node: &Node| {
        let (count, time) = node.as_text()?.split_once(" per ")?;
        let (count, window) = (units::digits(count)?, units::duration(time)?);
        let fits = (1..=most).contains(&count) && !window.is_zero() && window <= pace::WINDOW_MAX;
        fits.then_some(pace::Cap { count: count as u32, window })
    };
    match &node.value {
        Value::List(list) if !list.is_empty() => list.iter().map(one).collect(),
        _ => (node.as_text()? == "off").then(Vec::new),
    }
}

/// `[outbox]`
fn seal(r: &mut Reader<'_, '_>) -> Option<Seal> {
    if !r.has("key_file") {
        return Some(Seal::default());
    }
    let secret = super::links::secret_file(r, "key_file")?;
    let seal = Seal::of(secret.reveal());
    if seal.is_none() {
        let found = format!("the file holds fewer than {SHORTEST} characters");
        let problem = r.problem("key_file", found);
        r.tell(problem.fix("Make one that nobody can guess: openssl rand -hex 32 > store-key"));
    }
    seal
}

/// `[outbox]`
pub(super) fn outbox(r: &mut Reader<'_, '_>, uplink: Option<&Uplink>) -> Option<outbox::Settings> {
    r.within("outbox", |r| {
        let seal = seal(r);
        let path = r.path("path");
        let max_bytes = r.size("max_bytes", 1 << 20..=1 << 40);
        let when_full = r.choice("when_full", &[("hold", WhenFull::Hold), ("displace", WhenFull::Displace)]);
        let keep_content = r.duration("keep_content");
        let keep_settled = r.duration("keep_settled");
        let keep_audit = r.duration("keep_audit");
        if let (Some(content), Some(settled)) = (keep_content, keep_settled)
            && content > settled
        {
            let key = r.own_of("keep_content", "keep_settled");
            let problem = r.problem(key, "outbox.keep_content is longer than outbox.keep_settled");
            r.tell(problem.fix("Texts cannot outlive the message that they belong to."));
        }
        Some(outbox::Settings {
            path: path?,
            seal: seal?,
            max_bytes: max_bytes?,
            when_full: when_full?,
            keep_content: keep_content?,
            keep_settled: keep_settled?,
            keep_audit: keep_audit?,
            sender: uplink?.phone_number_id.clone(),
            only_looks: false,
        })
    })
}
