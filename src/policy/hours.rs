//! Quiet hours: when nobody wants to be written to, by what the clock on the wall shows.
//!
//! Floor: rooms. Never reads a clock, and never decides by one that is not trusted: who asks has a trusted instant.
//!
//! What the clock shows decides, also on the days when it changes: a night that ends at 02:30 ends at 03:00 where 02:00
//! to 03:00 does not exist, and where 02:00 to 03:00 comes twice it is quiet until 02:30 each time.

use crate::message::{Category, Priority};
use crate::time::{BoxTime, Moment, Wall};
use jiff::civil::{DateTime, Time, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan};
use std::collections::BTreeMap;
use std::time::Duration;

/// `policy.quiet_hours`, and the `hours` of rules.
#[derive(Clone, Debug)]
pub struct Hours {
    /// `branch.timezone`
    pub zone: TimeZone,
    /// Of marketing.
    pub marketing: Vec<Quiet>,
    /// Of utility messages.
    pub utility: Vec<Quiet>,
    /// What `hours` of a rule leave out, by its name.
    pub rules: BTreeMap<String, Quiet>,
}

impl Default for Hours {
    /// Never quiet.
    fn default() -> Hours {
        Hours { zone: TimeZone::UTC, marketing: Vec::new(), utility: Vec::new(), rules: BTreeMap::new() }
    }
}

impl Hours {
    /// When such a message must not go out, of whichever rule: what the `hours` of rules leave out comes on top.
    pub fn of_category(&self, category: Category) -> &[Quiet] {
        match category {
            Category::Marketing => &self.marketing,
            Category::Utility => &self.utility,
            // Whoever asked for a password, or wrote a moment ago, is awake.
            Category::Authentication | Category::Service => &[],
        }
    }

    /// When such a message must not go out. Critical messages go at any time.
    fn of(&self, category: Category, priority: Priority, rule: &str) -> impl Iterator<Item = &Quiet> + Clone {
        let asked = priority != Priority::Critical;
        let (shared, own) = if asked { (self.of_category(category), self.rules.get(rule)) } else { (&[][..], None) };
        shared.iter().chain(own)
    }

    /// Whether there are hours in which such a message must not go out.
    pub fn bind(&self, category: Category, priority: Priority, rule: &str) -> bool {
        self.of(category, priority, rule).next().is_some()
    }

    /// If such a message must not go out now: until when. Never without a trusted clock, which [`bind`](Self::bind) asks for.
    pub fn until(&self, category: Category, priority: Priority, rule: &str, now: Moment) -> Option<BoxTime> {
        let wall = now.wall.trusted()?;
        let end = quiet_until(self.of(category, priority, rule), &self.zone, wall)?;
        Some(now.boxed + Duration::from_millis(end.0.abs_diff(wall.0)))
    }
}

/// One stretch of quiet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quiet {
    /// From one time of day to another, on the next day where the second is the smaller. They differ.
    Daily {
        /// The first quiet minute.
        from: Time,
        /// The first minute after it.
        to: Time,
    },
    /// The whole of one day of the week.
    Day(Weekday),
}

impl Quiet {
    /// If it is quiet at `at`: when that ends, as the clock on the wall shows it.
    fn end(self, at: DateTime) -> Option<DateTime> {
        let (time, date) = (at.time(), at.date());
        let next = |date: jiff::civil::Date| date.checked_add(1.day()).ok();
        match self {
            Quiet::Daily { from, to } if from < to => (from <= time && time < to).then(|| date.to_datetime(to)),
            Quiet::Daily { from, to } if time >= from => next(date).map(|date| date.to_datetime(to)),
            Quiet::Daily { to, .. } => (time < to).then(|| date.to_datetime(to)),
            Quiet::Day(day) if date.weekday() == day => next(date).map(|date| date.to_datetime(Time::midnight())),
            Quiet::Day(_) => None,
        }
    }
}

/// If `now` lies in one of the stretches: the first instant that lies in none.
///
/// `None`: it is not quiet. Stretches may overlap and follow each other; a set without any gap is refused by `config`,
/// and here ends after [`MOST`] of them.
fn quiet_until<'q>(stretches: impl Iterator<Item = &'q Quiet> + Clone, zone: &TimeZone, now: Wall) -> Option<Wall> {
    let start = Timestamp::from_millisecond(now.0).ok()?;
    let mut at = start;
    for _ in 0..MOST {
        let local = zone.to_datetime(at);
        let Some(end) = stretches.clone().filter_map(|quiet| quiet.end(local)).max() else { break };
        at = instant_of(zone, end, at);
    }
    (at > start).then(|| Wall(at.as_millisecond()))
}

/// More stretches in a row than a fortnight with a night and a day of rest each day can have.
const MOST: usize = 32;

/// The first instant after `after` at which the clock on the wall shows `local`, or, where it skips it, more.
fn instant_of(zone: &TimeZone, local: DateTime, after: Timestamp) -> Timestamp {
    let ambiguous = zone.to_ambiguous_timestamp(local);
    let skipped = matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. });
    if skipped && let Some(change) = zone.following(after).next() {
        return change.timestamp();
    }
    match (ambiguous.earlier(), ambiguous.later()) {
        (Ok(earlier), _) if earlier > after => earlier,
        (_, Ok(later)) if later > after => later,
        // The end of time.
        _ => after,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Clock;
    use jiff::civil::time;

    fn daily(from: i8, to: (i8, i8)) -> Quiet {
        Quiet::Daily { from: time(from, 0, 0, 0), to: time(to.0, to.1, 0, 0) }
    }

    /// RFC 9557 in, RFC 9557 out: the offset shows which of two equal times it is.
    fn until(stretches: &[Quiet], zone: &str, now: &str) -> Option<String> {
        let zone = TimeZone::get(zone).unwrap();
        let now: Timestamp = now.parse().unwrap();
        let end = quiet_until(stretches.iter(), &zone, Wall(now.as_millisecond()))?;
        let shown = Timestamp::from_millisecond(end.0).unwrap().to_zoned(zone);
        Some(shown.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string())
    }

    #[test]
    fn nights_days_of_rest_and_the_days_when_clocks_change() {
        let night = [daily(20, (9, 0)), Quiet::Day(Weekday::Sunday)];
        let noon = [daily(12, (14, 0))];
        let short = [daily(22, (2, 30))];
        let table: [(&[Quiet], &str, &str, Option<&str>); 18] = [
            (&night, "America/Sao_Paulo", "2026-11-23T12:00:00-03:00", None), // Monday noon
            (&night, "America/Sao_Paulo", "2026-11-23T19:59:59-03:00", None),
            (&night, "America/Sao_Paulo", "2026-11-23T20:00:00-03:00", Some("2026-11-24T09:00:00-03:00")),
            (&night, "America/Sao_Paulo", "2026-11-24T08:59:59-03:00", Some("2026-11-24T09:00:00-03:00")),
            (&night, "America/Sao_Paulo", "2026-11-24T09:00:00-03:00", None),
            // Saturday night, Sunday, Sunday night: one stretch of 37 hours.
            (&night, "America/Sao_Paulo", "2026-11-21T20:00:00-03:00", Some("2026-11-23T09:00:00-03:00")),
            (&night, "America/Sao_Paulo", "2026-11-22T15:00:00-03:00", Some("2026-11-23T09:00:00-03:00")),
            (&noon, "UTC", "2026-11-23T11:59:59Z", None),
            (&noon, "UTC", "2026-11-23T13:00:00Z", Some("2026-11-23T14:00:00+00:00")),
            (&noon, "UTC", "2026-11-23T14:00:00Z", None),
            (&[], "UTC", "2026-11-23T14:00:00Z", None),
            // Spring: 02:00 to 03:00 does not exist.
            (&short, "Europe/Berlin", "2026-03-28T23:00:00+01:00", Some("2026-03-29T03:00:00+02:00")),
            (&short, "Europe/Lisbon", "2026-03-29T00:30:00+00:00", Some("2026-03-29T02:30:00+01:00")),
            (&night, "Europe/Berlin", "2026-03-28T21:00:00+01:00", Some("2026-03-30T09:00:00+02:00")),
            // Autumn: 02:00 to 03:00 comes twice.
            (&short, "Europe/Berlin", "2026-10-24T23:00:00+02:00", Some("2026-10-25T02:30:00+02:00")),
            (&short, "Europe/Berlin", "2026-10-25T02:40:00+02:00", None),
            (&short, "Europe/Berlin", "2026-10-25T02:10:00+01:00", Some("2026-10-25T02:30:00+01:00")),
            // Midnight that does not exist: the clock goes from 24:00 to 01:00.
            (
                &[Quiet::Day(Weekday::Saturday)],
                "America/Asuncion",
                "2023-09-30T12:00:00-04:00",
                Some("2023-10-01T01:00:00-03:00"),
            ),
        ];
        for (row, (stretches, zone, now, end)) in table.into_iter().enumerate() {
            assert_eq!(until(stretches, zone, now).as_deref(), end, "row {row}");
        }
    }

    #[test]
    fn the_end_is_after_now_and_not_quiet_itself() {
        let night = [daily(20, (9, 0)), Quiet::Day(Weekday::Sunday), daily(23, (2, 30))];
        for zone in ["America/Sao_Paulo", "Europe/Berlin", "America/Asuncion", "Australia/Lord_Howe", "UTC"] {
            let zone = TimeZone::get(zone).unwrap();
            let start = "2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap().as_millisecond();
            for quarter in 0..4 * 24 * 366 {
                let now = Wall(start + quarter * 15 * 60_000);
                if let Some(end) = quiet_until(night.iter(), &zone, now) {
                    assert!(end > now && quiet_until(night.iter(), &zone, end).is_none(), "{now:?} {end:?}");
                }
            }
        }
    }

    #[test]
    fn whom_quiet_hours_bind() {
        let noon = |name: &str| (name.to_owned(), daily(13, (12, 0)));
        let hours = Hours {
            marketing: vec![daily(20, (9, 0))],
            rules: [noon("lunch"), noon("offer")].into_iter().collect(),
            ..Hours::default()
        };
        // 10:30 UTC on a Monday, at box time 5.
        let wall = Wall("2026-11-23T10:30:00Z".parse::<Timestamp>().unwrap().as_millisecond());
        let now = Moment { boxed: BoxTime(5), wall: Clock::Trusted(wall) };
        let half_past_twelve = Some(BoxTime(5 + 90 * 60_000));
        use {Category::*, Priority::*};
        let table = [
            (Marketing, Normal, "other", true, None),
            (Marketing, Normal, "offer", true, half_past_twelve),
            (Utility, High, "lunch", true, half_past_twelve),
            (Utility, High, "other", false, None),
            (Utility, Critical, "lunch", false, None),
            (Service, Normal, "other", false, None),
            (Authentication, Low, "lunch", true, half_past_twelve),
        ];
        for (category, priority, rule, bound, until) in table {
            assert_eq!(hours.bind(category, priority, rule), bound, "{category:?} {priority:?} {rule}");
            assert_eq!(hours.until(category, priority, rule, now), until, "{category:?} {priority:?} {rule}");
            let unsynced = Moment { wall: Clock::Unsynced(wall), ..now };
            assert_eq!(hours.until(category, priority, rule, unsynced), None);
        }
    }
}
