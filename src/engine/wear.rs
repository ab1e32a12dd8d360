//! What the daemon has written to the box's storage today, against what the board can bear.
//!
//! Floor: engine. Counts what the world tells it; never reads it, and never holds anything back because of it.

use crate::operate::Written;
use crate::time::Wall;
use jiff::tz::TimeZone;

/// Counts from the start, and anew at each midnight of the branch.
#[derive(Debug)]
pub(super) struct Wear {
    /// `[board.storage] wear_per_day`
    pub budget: Option<u64>,
    /// The day, in the branch's zone, by the clock of the time: `None` before the first count.
    today: Option<(jiff::civil::Date, Wall)>,
    /// What was written before it began.
    before: u64,
    /// What was written since the process began.
    total: u64,
}

impl Wear {
    pub fn new(budget: Option<u64>) -> Wear {
        Wear { budget, today: None, before: 0, total: 0 }
    }

    /// `total` bytes since the process began, at `now`.
    pub fn count(&mut self, total: u64, now: Wall, zone: &TimeZone) {
        let Ok(instant) = jiff::Timestamp::from_millisecond(now.0) else { return };
        let date = instant.to_zoned(zone.clone()).date();
        match self.today {
            Some((day, _)) if day == date => {}
            // What was written before the first count belongs to the day of the start.
            None => self.today = Some((date, now)),
            Some(_) => (self.today, self.before) = (Some((date, now)), self.total),
        }
        self.total = total;
    }

    pub fn written(&self) -> Option<Written> {
        let (_, since) = self.today?;
        Some(Written { bytes: self.total.saturating_sub(self.before), since, budget: self.budget })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_day_of_the_branch_is_counted_for_itself() {
        let zone = TimeZone::get("America/Sao_Paulo").unwrap();
        let at = |text: &str| Wall(text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
        let mut wear = Wear::new(Some(500));
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
            wear.count(total, at(now), &zone);
            assert_eq!(wear.written(), Some(Written { bytes, since: at(since), budget: Some(500) }), "{now}");
        }
    }
}
