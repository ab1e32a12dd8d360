//! How people read times, ages and sizes: one way for the command line and the status page.
//!
//! Floor: rooms. Reads no clock: "now" is an argument.

use crate::operate::{LimitUse, StatusReport};
use crate::time::Wall;
use jiff::tz::TimeZone;

/// `2026-11-22 14:02:05` in the zone; the bare number should the instant be outside the calendar. Zero is what a damaged store says
/// of a time that it lost.
pub fn local(at: Wall, zone: &TimeZone) -> String {
    if at == Wall(0) {
        return "time not known".to_owned();
    }
    match jiff::Timestamp::from_millisecond(at.0) {
        Ok(instant) => instant.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => at.rfc3339(),
    }
}

/// `40 s`, `3 min`, `5 h`, `2 d`: the largest unit that is at least two, rounded down.
pub fn age(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// `2026-11-22 14:02:05 (3 h ago)`; without the age when `at` lies after `now`, as after a jump of the clock.
pub fn since(at: Wall, now: Wall, zone: &TimeZone) -> String {
    if at == Wall(0) {
        return local(at, zone);
    }
    match u64::try_from(now.0.saturating_sub(at.0)) {
        Ok(passed) => format!("{} ({} ago)", local(at, zone), age(passed / 1_000)),
        Err(_) => local(at, zone),
    }
}

/// `512 B`, `1.5 KiB`, `256 MiB`.
pub fn bytes(size: u64) -> String {
    let (unit, name) = match size {
        0..1_024 => return format!("{size} B"),
        1_024..1_048_576 => (1_024, "KiB"),
        1_048_576..1_073_741_824 => (1_048_576, "MiB"),
        _ => (1_073_741_824, "GiB"),
    };
    let tenths = size.saturating_mul(10) / unit;
    match tenths % 10 {
        0 => format!("{} {name}", tenths / 10),
        tenth => format!("{}.{tenth} {name}", tenths / 10),
    }
}

/// The zone of an IANA name, UTC when there is none such.
pub fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap_or(TimeZone::UTC)
}

/// `5 used` and `15 free`; of the store in bytes.
pub fn used(limit: &LimitUse) -> (String, String) {
    let amount = |count: u64| if limit.limit == "store" { bytes(count) } else { count.to_string() };
    (format!("{} used", amount(limit.taken)), format!("{} free", amount(limit.free)))
}

/// Limits as people look at them: rules that used nothing of the same cap are counted and not named.
pub fn limits(limits: &[LimitUse]) -> Vec<LimitUse> {
    let idle = |limit: &LimitUse| limit.limit.starts_with("rule:") && limit.taken == 0;
    let mut shown: Vec<(LimitUse, usize)> = Vec::new();
    for limit in limits {
        match shown.iter_mut().find(|(known, _)| idle(limit) && idle(known) && known.note == limit.note) {
            Some((_, rules)) => *rules += 1,
            None => shown.push((limit.clone(), 1)),
        }
    }
    let named = |(limit, rules): (LimitUse, usize)| match rules {
        1 => limit,
        _ => LimitUse { limit: format!("{rules} idle rules"), note: format!("{} each", limit.note), ..limit },
    };
    shown.into_iter().map(named).collect()
}

/// How the box does, on one line: what is worst, or that all is well, and how many messages wait.
pub fn line(report: &StatusReport) -> String {
    let waiting: u64 = report.gauges.backlog.iter().map(|backlog| backlog.messages).sum();
    let well = match report.problems.as_slice() {
        [] => "all is well".to_owned(),
        [one] => one.what.clone(),
        [worst, others @ ..] => format!("{}, and {} more", worst.what, others.len()),
    };
    format!("{well}; {waiting} messages wait")
}
