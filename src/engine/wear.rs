//! What the daemon has written to the box's storage today, against what the board can bear.
//!
//! Floor: engine. Counts what the world tells it; never reads it, and never holds anything back because of it.

use super::Engine;
use crate::operate::Written;
use crate::time::{Clock, Wall};
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// Counts on where the store's last commit left it, and anew at each midnight of the branch.
#[derive(Debug)]
pub(super) struct Wear {
    /// `[board.storage] wear_per_day`
    pub budget: Option<u64>,
    /// Since when it counts: within this day of the branch's zone. `None` in a store that nobody counted for.
    since: Option<Wall>,
    /// What was written since then.
    bytes: u64,
    /// What was written since the process began; `None` before the first count.
    total: Option<u64>,
}

impl Wear {
    /// `kept` is what the store says: since when, and how many bytes.
    pub fn new(budget: Option<u64>, (since, bytes): (Wall, u64)) -> Wear {
        Wear { budget, since: Some(since).filter(|since| *since != Wall(0)), bytes, total: None }
    }

    /// `total` bytes since the process began, at `now`. A clock that nobody confirmed and that is behind, as of a box that wakes in 1970,
    /// says nothing of the day: that goes on.
    pub fn count(&mut self, total: u64, now: Clock, zone: &TimeZone) {
        let more = total.saturating_sub(self.total.replace(total).unwrap_or(0));
        let behind = |since| now.trusted().is_none() && now.reading() < since;
        let goes_on = |since| behind(since) || date(since, zone) == date(now.reading(), zone);
        if self.since.is_some_and(goes_on) {
            self.bytes += more;
        } else {
            (self.since, self.bytes) = (Some(now.reading()), more);
        }
    }

    /// As the store keeps it.
    pub fn kept(&self) -> (Wall, u64) {
        (self.since.unwrap_or(Wall(0)), self.bytes)
    }

    pub fn written(&self) -> Option<Written> {
        self.total?;
        Some(Written { bytes: self.bytes, since: self.since?, budget: self.budget })
    }
}

impl Engine {
    /// What the process has written to the storage since it began: told before each batch.
    pub fn written(&mut self, total: u64) {
        self.wear.count(total, self.moment.wall, &self.timezone);
        self.outbox.wear(self.wear.kept());
    }
}

fn date(at: Wall, zone: &TimeZone) -> Option<Date> {
    jiff::Timestamp::from_millisecond(at.0).ok().map(|instant| instant.to_zoned(zone.clone()).date())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_day_of_the_branch_is_counted_for_itself() {
        let zone = TimeZone::get("America/Sao_Paulo").unwrap();
        let at = |text: &str| Wall(text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
        let mut wear = Wear::new(Some(500), (Wall(0), 0));
        assert_eq!(wear.written(), None, "where the kernel does not tell, nothing is said");
        #[rustfmt::skip]
        let timetable = [
            // at, written since the start of the process, of which today, since
            ("2026-11-22T14:00:00-03:00", 100, 100, "2026-11-22T14:00:00-03:00"),
            ("2026-11-22T23:59:59-03:00", 700, 700, "2026-11-22T14:00:00-03:00"),
            ("2026-11-23T00:00:01-03:00", 720, 20,  "2026-11-23T00:00:01-03:00"),
            ("2026-11-23T12:00:00-03:00", 900, 200, "2026-11-23T00:00:01-03:00"),
            ("2026-11-25T12:00:00-03:00", 950, 50,  "2026-11-25T12:00:00-03:00"),
            // A clock that is put back begins a day of its own: nothing is counted twice.
            ("2026-11-24T12:00:00-03:00", 960, 10,  "2026-11-24T12:00:00-03:00"),
        ];
        for (now, total, bytes, since) in timetable {
            wear.count(total, Clock::Trusted(at(now)), &zone);
            assert_eq!(wear.written(), Some(Written { bytes, since: at(since), budget: Some(500) }), "{now}");
        }
    }
    /// Found by reading: each start began a day of its own, so that a box that loses power daily stayed within its budget.
    #[test]
    fn a_start_goes_on_with_the_day_that_the_store_knows() {
        let zone = TimeZone::get("America/Sao_Paulo").unwrap();
        let at = |text: &str| Wall(text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
        let morning = at("2026-11-22T08:00:00-03:00");
        let mut wear = Wear::new(None, (morning, 400));
        assert_eq!(wear.written(), None, "where the kernel does not tell, nothing is said");
        wear.count(50, Clock::Unsynced(Wall(5_000)), &zone);
        assert_eq!(wear.kept(), (morning, 450), "in 1970 nobody knows the day");
        wear.count(60, Clock::Trusted(at("2026-11-22T20:00:00-03:00")), &zone);
        assert_eq!(wear.kept(), (morning, 460));
        let next = at("2026-11-23T07:00:00-03:00");
        wear.count(75, Clock::Trusted(next), &zone);
        assert_eq!(wear.kept(), (next, 15));
        // No time sync, and a clock chip: midnight is midnight.
        let third = at("2026-11-24T07:00:00-03:00");
        wear.count(85, Clock::Unsynced(third), &zone);
        assert_eq!(wear.kept(), (third, 10));
        // A new box without a clock: its first day begins when it learns which one it is.
        let mut wear = Wear::new(None, (Wall(0), 0));
        wear.count(30, Clock::Unsynced(Wall(5_000)), &zone);
        wear.count(40, Clock::Unsynced(Wall(9_000)), &zone);
        assert_eq!(wear.kept(), (Wall(5_000), 40));
        wear.count(45, Clock::Trusted(next), &zone);
        assert_eq!(wear.kept(), (next, 5));
    }
}
