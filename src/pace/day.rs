//! Counts over a moving day, and over the hour of a rule: an upper bound in memory, the truth in the store.
//!
//! Floor: rooms. Never counts by itself: who asks hands over the store's own count, and only when the bound says no.
//!
//! What leaves a window makes a count smaller, so a bound that only grows errs to the strict side, and one exact count
//! puts it right. No table of people is kept in memory: a hundred thousand people over a day cost disk.

use crate::limits::SENDER_PER_SECOND_MAX;
use crate::time::BoxTime;
use std::time::Duration;

/// The window of the platform's limit of unique people (facts 2.3) and of the cost brake: 24 hours, and a minute more, since the
/// platform counts when *it* receives a message. Two of ours that are 24 hours apart may come to it a little closer. The minute is
/// four times the default of `uplink.timeout`, and costs 0.07 % of the limit.
pub const DAY: Duration = Duration::from_secs(24 * 60 * 60 + 60);

/// Whether who was reached at this time is one of the day's people still, so that one more message takes no further place.
pub fn is_reached(reached: Option<BoxTime>, now: BoxTime) -> bool {
    reached.is_some_and(|at| now < at + DAY)
}

/// What the last 24 hours took of the number, at most.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Day {
    /// Different people who were sent a template outside the service window.
    pub people: AtMost,
    /// Messages.
    pub messages: AtMost,
}

/// The least time between two exact counts. One count reads a row for each person of the day; what leaves the window in
/// between waits so long, which costs at most 60 s of 24 h, 0.07 % of the limit.
pub const RECOUNT: Duration = Duration::from_secs(60);

/// At most so many; nothing is known before the first exact count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AtMost(Option<u64>);

impl AtMost {
    /// Whether one more is surely within `limit`.
    pub fn has_room(&self, limit: u64) -> bool {
        self.0.is_some_and(|bound| bound < limit)
    }

    /// Whether one more is within `limit`. `exact` is asked only when the bound cannot say so.
    pub fn fits<E>(&mut self, limit: u64, exact: impl FnOnce() -> Result<u64, E>) -> Result<bool, E> {
        if !self.has_room(limit) {
            self.0 = Some(exact()?);
        }
        Ok(self.has_room(limit))
    }

    /// What an exact count found.
    pub fn counted(&mut self, count: u64) {
        self.0 = Some(count);
    }

    /// Whether it is worth an exact count to say how much is used: half of `limit` may be.
    pub fn is_worth_counting(&self, limit: u64) -> bool {
        !self.has_room(limit / 2)
    }

    /// One more. What is refunded later needs no word: the bound stays one.
    pub fn spend(&mut self) {
        self.0 = self.0.map(|bound| bound.saturating_add(1));
    }
}

/// After an exact count that left no room: when to count again. `oldest` is the one whose leaving makes room.
pub fn count_again(oldest: Option<BoxTime>, window: Duration, now: BoxTime) -> BoxTime {
    oldest.map_or(now, |at| at + window).max(now + RECOUNT)
}

/// What the platform's refusal by 130429 taught: the rate that is kept instead of the configured one, and since when.
///
/// Halved at each refusal, and raised by a tenth each [`STEP`] until it is what is configured: each halving takes some eight minutes
/// to come back. Persisted with the sender: a restart forgives nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Learned {
    /// Messages a second right after the refusal: 1 and more.
    pub rate: u32,
    /// When it was refused.
    pub since: BoxTime,
}

/// How long the learned rate takes to grow by a tenth.
pub const STEP: Duration = Duration::from_secs(60);

impl Learned {
    /// After a refusal: half of what was in force.
    pub fn refused(in_force: u32, now: BoxTime) -> Learned {
        Learned { rate: (in_force / 2).max(1), since: now }
    }

    /// The rate that it allows now; `None` once it is `most`, or where that is no limit, what any number has at most.
    pub fn rate(&self, most: Option<u32>, now: BoxTime) -> Option<u32> {
        let most = most.unwrap_or(SENDER_PER_SECOND_MAX as u32);
        let steps = now.since(self.since).as_millis() / STEP.as_millis();
        let mut rate = self.rate.max(1);
        // It grows at each step, so there are at most `most` of them.
        for _ in 0..steps {
            if rate >= most {
                break;
            }
            rate += (rate / 10).max(1);
        }
        (rate < most).then_some(rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_corrected_only_when_it_says_no() {
        let mut bound = AtMost::default();
        let mut asked = 0;
        let mut ask = |bound: &mut AtMost, limit, truth: u64| {
            bound
                .fits(limit, || {
                    asked += 1;
                    Ok::<_, ()>(truth)
                })
                .map(|fits| (fits, asked))
        };
        assert_eq!(ask(&mut bound, 3, 1), Ok((true, 1)), "nothing is known at first");
        bound.spend();
        assert_eq!(ask(&mut bound, 3, 9), Ok((true, 1)), "two of three: nobody is asked");
        bound.spend();
        assert_eq!(ask(&mut bound, 3, 3), Ok((false, 2)));
        assert_eq!(ask(&mut bound, 3, 2), Ok((true, 3)), "one left the window");
        assert_eq!(bound.fits(3, || Err(())), Ok(true));
        bound.spend();
        assert_eq!(bound.fits(3, || Err(())), Err(()), "a store that cannot count lets nothing go");
    }

    #[test]
    fn a_refused_rate_halves_and_comes_back_slowly() {
        let learned = Learned::refused(20, BoxTime(1_000));
        let after = |seconds: i64| learned.rate(Some(20), BoxTime(1_000 + seconds * 1_000));
        assert_eq!([0, 59, 60, 539, 540].map(after), [Some(10), Some(10), Some(11), Some(18), Some(19)]);
        assert_eq!(after(600), None);
        assert_eq!(Learned::refused(11, BoxTime(0)).rate, 5);
        assert_eq!(Learned::refused(1, BoxTime(0)).rate, 1);
        assert_eq!(Learned::refused(1000, BoxTime(0)).rate(None, BoxTime(300_000)), Some(804));
        assert_eq!(learned.rate(Some(20), BoxTime(0)), Some(10), "a time before it gives nothing");
        assert_eq!(learned.rate(Some(8), BoxTime(1_000)), None, "less is configured");
    }

    /// Full speed came back when the rate was twice what the last refusal left: from one a second after a minute.
    #[test]
    fn who_was_refused_often_comes_back_no_sooner() {
        let deep = Learned { rate: 1, since: BoxTime(0) };
        let after = |minutes: i64| deep.rate(Some(80), BoxTime(minutes * 60_000));
        assert_eq!([1, 2, 9, 19].map(after), [Some(2), Some(3), Some(10), Some(20)]);
        assert!((1..40).all(|minute| after(minute).unwrap_or(80) <= after(minute - 1).unwrap_or(80) * 2));
        assert!(after(30).is_some() && after(60).is_none());
    }

    #[test]
    fn counts_are_not_repeated_for_each_of_thousands() {
        let now = BoxTime(90_000_000);
        assert_eq!(count_again(Some(BoxTime(80_000_000)), DAY, now), BoxTime(166_460_000));
        assert_eq!(count_again(Some(BoxTime(3_540_001)), DAY, now), BoxTime(90_060_000));
        assert_eq!(count_again(None, DAY, now), BoxTime(90_060_000));
    }
}
