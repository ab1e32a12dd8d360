//! Own caps: how many messages of one kind a person receives within a window, however well the platform's limits are kept.
//!
//! Floor: rooms. Never stores anything itself: `outbox` keeps [`Recent`] with the person's lane, in the transaction of the
//! attempt that spends it.
//!
//! A person who is written to every day blocks the number, long before the platform's limits are reached. So each kind has
//! several windows, and the strictest decides. Critical messages are counted and never stopped by a cap.

use crate::message::{Category, STAFF};
use crate::time::BoxTime;
use std::time::Duration;

/// `"4 per 30d"`: so many, within so long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cap {
    /// Messages: 1 to [`COUNT_MAX`].
    pub count: u32,
    /// Within so long: up to [`WINDOW_MAX`].
    pub window: Duration,
}

/// The most that one cap per person may allow: as many instants are kept of each kind. A person who may get more within one
/// window needs no cap.
pub const COUNT_MAX: u32 = 64;
/// The longest window of a cap: older instants are forgotten.
pub const WINDOW_MAX: Duration = crate::limits::CAP_WINDOW;

/// What a cap per person counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Marketing templates.
    Marketing = 0,
    /// Everything else to customers.
    Utility = 1,
    /// Whatever goes to staff.
    Staff = 2,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 3] = [Kind::Marketing, Kind::Utility, Kind::Staff];

    /// As it is written in the configuration.
    pub fn name(self) -> &'static str {
        ["marketing", "utility", "staff"][self as usize]
    }

    /// What a message of this category and purpose is counted as.
    pub fn of(category: Category, purpose: &str) -> Kind {
        match category {
            _ if purpose == STAFF => Kind::Staff,
            Category::Marketing => Kind::Marketing,
            Category::Utility | Category::Authentication | Category::Service => Kind::Utility,
        }
    }
}

/// `[limits.caps]`; empty is "off".
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Caps {
    /// Per person, by [`Kind`].
    pub person: [Vec<Cap>; 3],
    /// Per rule, whoever the recipients are.
    pub rule: Vec<Cap>,
}

/// As it is written in the configuration.
impl std::fmt::Display for Cap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.window.as_secs();
        let units = [("d", 86_400), ("h", 3_600), ("m", 60)];
        let (unit, scale) = units.into_iter().find(|(_, scale)| seconds.is_multiple_of(*scale)).unwrap_or(("s", 1));
        write!(f, "{} per {}{unit}", self.count, seconds / scale)
    }
}

/// What left for one person lately: at most [`COUNT_MAX`] instants of each kind, ascending, in whole seconds, rounded up so
/// that rounding never lets a message go early. At most 960 bytes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recent(Vec<(Kind, i64)>);

impl Recent {
    /// The earliest box time, `now` or later, at which one more of the kind is within all its caps.
    pub fn ready(&self, caps: &Caps, kind: Kind, now: BoxTime) -> BoxTime {
        let ready = |cap: &Cap| {
            // Free once the count-th from the end has left the window.
            let at = self.0.iter().rev().filter(|(of, _)| *of == kind).nth(cap.count.max(1) as usize - 1)?;
            // One from the future is a damaged row's: it holds no longer than one from now.
            Some(BoxTime(at.1.min(seconds(now)).saturating_mul(1_000)) + cap.window)
        };
        caps.person[kind as usize].iter().filter_map(ready).max().map_or(now, |ready| ready.max(now))
    }

    /// How many of the kind left within the cap's window.
    pub fn used(&self, cap: &Cap, kind: Kind, now: BoxTime) -> u32 {
        let within = |at: i64| BoxTime(at.saturating_mul(1_000)) + cap.window > now;
        self.0.iter().filter(|(of, at)| *of == kind && within(*at)).count() as u32
    }

    /// One message leaves.
    pub fn spend(&mut self, kind: Kind, now: BoxTime) {
        self.0.retain(|(_, at)| BoxTime(at.saturating_mul(1_000)) + WINDOW_MAX > now);
        if self.0.iter().filter(|(of, _)| *of == kind).count() >= COUNT_MAX as usize
            && let Some(oldest) = self.0.iter().position(|(of, _)| *of == kind)
        {
            self.0.remove(oldest);
        }
        self.0.push((kind, seconds(now)));
    }

    /// What was spent at `at` surely did not leave. An instant that is forgotten already changes nothing. One that was redated may
    /// have been rounded up twice.
    pub fn refund(&mut self, kind: Kind, at: BoxTime) {
        let at = seconds(at);
        if let Some(place) = self.0.iter().rposition(|(of, spent)| *of == kind && (at..=at + 1).contains(spent)) {
            self.0.remove(place);
        }
    }

    /// As of another box's time: what was at `from` there is `to` here. What would lie before this box's beginning counts as of
    /// then: late, never early.
    pub fn moved(&self, from: BoxTime, to: BoxTime) -> Recent {
        let by = seconds(to) - from.0 / 1_000;
        let moved = |(kind, at): &(Kind, i64)| (*kind, at.saturating_add(by).clamp(0, seconds(to)));
        Recent(self.0.iter().map(moved).collect())
    }

    /// What left since `since` left by so many milliseconds `later` than was believed: rounded up.
    pub fn redated(mut self, since: BoxTime, later: i64) -> Recent {
        let from = since.0.max(0) / 1_000;
        let later = later.max(0).saturating_add(999) / 1_000;
        self.0.iter_mut().filter(|(_, at)| *at >= from).for_each(|(_, at)| *at = at.saturating_add(later));
        self
    }

    /// As the store keeps it: five bytes each, seconds × 4 + kind, least byte first.
    pub fn to_bytes(&self) -> Vec<u8> {
        let one = |(kind, at): &(Kind, i64)| ((*at as u64) << 2 | *kind as u64).to_le_bytes();
        self.0.iter().flat_map(|spent| one(spent).into_iter().take(5)).collect()
    }

    /// The inverse of [`to_bytes`](Self::to_bytes). What cannot be read is left out. Two rows that turned out to be one person
    /// are read from the bytes of both: what left for either left for both.
    pub fn of_bytes(bytes: &[u8]) -> Recent {
        let one = |five: &[u8]| {
            let mut eight = [0; 8];
            eight[..5].copy_from_slice(five);
            let value = u64::from_le_bytes(eight);
            let kind = Kind::ALL.get((value & 3) as usize)?;
            Some((*kind, (value >> 2) as i64))
        };
        let mut recent: Vec<(Kind, i64)> = bytes.chunks_exact(5).filter_map(one).collect();
        recent.sort_by_key(|(_, at)| *at);
        for kind in Kind::ALL {
            let mut over = recent.iter().filter(|(of, _)| *of == kind).count().saturating_sub(COUNT_MAX as usize);
            recent.retain(|(of, _)| {
                let goes = *of == kind && over > 0;
                over -= usize::from(goes);
                !goes
            });
        }
        Recent(recent)
    }
}

fn seconds(at: BoxTime) -> i64 {
    at.0.max(0).saturating_add(999) / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: i64 = 3_600_000;

    fn caps(marketing: &[(u32, i64)]) -> Caps {
        let cap = |&(count, millis): &(u32, i64)| Cap { count, window: Duration::from_millis(millis as u64) };
        Caps { person: [marketing.iter().map(cap).collect(), Vec::new(), Vec::new()], rule: Vec::new() }
    }

    #[test]
    fn the_strictest_window_decides_and_kinds_are_apart() {
        let caps = caps(&[(1, 48 * HOUR), (4, 720 * HOUR)]);
        let mut recent = Recent::default();
        let mut now = BoxTime(5_000);
        for round in 0..4 {
            assert_eq!(recent.ready(&caps, Kind::Marketing, now), now, "round {round}");
            recent.spend(Kind::Marketing, now);
            recent.spend(Kind::Utility, now);
            let next = recent.ready(&caps, Kind::Marketing, now);
            let expected = if round < 3 { now.0 + 48 * HOUR } else { 5_000 + 720 * HOUR };
            assert_eq!(next.0, expected, "round {round}");
            assert_eq!(recent.ready(&caps, Kind::Utility, now), now, "no cap, no wait");
            now = next;
        }
        recent.refund(Kind::Marketing, BoxTime(5_000 + 144 * HOUR));
        assert_eq!(recent.used(&caps.person[0][1], Kind::Marketing, BoxTime(5_000 + 145 * HOUR)), 3);
        assert_eq!(Recent::of_bytes(&recent.to_bytes()), recent);
        assert_eq!(recent.to_bytes().len() % 5, 0);
    }

    #[test]
    fn two_rows_that_are_one_person_count_together() {
        let caps = caps(&[(3, HOUR)]);
        let (mut one, mut other) = (Recent::default(), Recent::default());
        (0..40).for_each(|n| one.spend(Kind::Marketing, BoxTime(n * 1_000)));
        (0..40).for_each(|n| other.spend(Kind::Marketing, BoxTime(n * 1_000 + 500)));
        other.spend(Kind::Staff, BoxTime(0));
        let one = Recent::of_bytes(&[one.to_bytes(), other.to_bytes()].concat());
        assert_eq!(one.0.len(), COUNT_MAX as usize + 1);
        assert_eq!(one.ready(&caps, Kind::Marketing, BoxTime(40_000)), BoxTime(39_000 + HOUR));
    }

    proptest! {
        /// Random traffic against a plain count over every instant: in no window more than the cap, and when a cap is what stops
        /// a message, it stops it to the second.
        #[test]
        fn in_no_window_more_than_the_cap(
            one in (1..5u32, 1..40i64), two in (1..9u32, 1..200i64),
            gaps in prop::collection::vec((0..20_000i64, prop::bool::weighted(0.1), any::<bool>()), 300),
        ) {
            let limits = [(one.0, one.1 * 1_000), (two.0, two.1 * 1_000)];
            let caps = caps(&limits);
            let (mut recent, mut kept) = (Recent::default(), Vec::<i64>::new());
            let mut now = 0;
            for (gap, refunded, stored) in gaps {
                now += gap;
                let ready = recent.ready(&caps, Kind::Marketing, BoxTime(now)).0;
                let plain = |&(count, window): &(u32, i64)| {
                    kept.len().checked_sub(count as usize).map(|place| kept[place] + window)
                };
                let exact = limits.iter().filter_map(plain).max().unwrap_or(now).max(now);
                prop_assert!(exact <= ready && ready <= exact + 1_000, "{exact} {ready}");
                if ready > now {
                    continue;
                }
                recent.spend(Kind::Marketing, BoxTime(now));
                if refunded {
                    recent.refund(Kind::Marketing, BoxTime(now));
                } else {
                    kept.push(now);
                }
                if stored {
                    recent = Recent::of_bytes(&recent.to_bytes());
                }
            }
            for (count, window) in limits {
                for sent in kept.windows(count as usize + 1) {
                    prop_assert!(sent[count as usize] - sent[0] >= window);
                }
            }
        }
    }
}
