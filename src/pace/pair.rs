//! The pair limit: how fast one person may be messaged by one sender.
//!
//! Floor: rooms.
//!
//! The platform's rule (facts 2.2): one message per 6 s; a burst is an advance on future quota, and after a burst of n
//! comes n × 6 s of silence. How credit returns in between is documented nowhere, so this is the strict reading: no
//! credit returns before a burst is repaid in full.
//!
//! The platform counts when *it* receives a message: some instant between our spending and the end of the attempt. So
//! that no delay of the network breaks the limit, each end is read the expensive way:
//!
//! - a burst takes further messages only in the first half of `pair_interval` after its first was *spent* (the earliest
//!   instant at which the platform can have begun to count); the other half is for the way there;
//! - silence is counted from the *last* end of an attempt (the latest instant of reception), for all of the burst.
//!
//! A single message therefore costs `pair_interval` after its answer, a burst of n costs n × `pair_interval` after the
//! answer of its last.

use super::Settings;
use crate::time::BoxTime;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Strikes after which waiting grows no further: 4^5 s is 17 minutes, well below the shortest default `expires` (4 h).
const STRIKES_MAX: u32 = 5;

/// What one person has used of the limit of one sender; persisted in the person's row.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Pair {
    /// When the first message of the burst was spent.
    pub started: BoxTime,
    /// The latest instant at which the platform may have received a message of the burst.
    pub last: BoxTime,
    /// Messages of the burst; 0: nothing is owed.
    pub count: u32,
    /// Answers 131056 without a success since.
    pub strikes: u32,
}

impl Pair {
    /// The earliest box time, `now` or later, at which the next message may be spent.
    pub fn ready(&self, settings: &Settings, now: BoxTime) -> BoxTime {
        let Some(interval) = settings.pair_interval else { return now };
        if self.count == 0 {
            return now;
        }
        let open = self.count < settings.pair_burst && now < self.started + interval / 2;
        if open { now } else { self.repaid(interval).max(now) }
    }

    /// When nothing is owed any more.
    fn repaid(&self, interval: Duration) -> BoxTime {
        self.last + interval.saturating_mul(self.count)
    }

    /// One message, to a person who is [`ready`](Self::ready).
    pub(super) fn spend(&mut self, settings: &Settings, now: BoxTime) {
        let repaid = settings.pair_interval.is_none_or(|interval| self.repaid(interval) <= now);
        if self.count == 0 || repaid {
            *self = Pair { started: now, last: now, count: 1, strikes: self.strikes };
        } else {
            self.last = self.last.max(now);
            self.count = self.count.saturating_add(1);
        }
    }

    /// An attempt ended at `at` and was, or may have been, received: any answer, a timeout, a broken connection, and for
    /// attempts without an answer at start, the start.
    pub fn answered(&mut self, at: BoxTime) {
        self.last = self.last.max(at);
    }

    /// The latest message surely did not leave.
    ///
    /// The times stay as they are: for what else is in the burst they are late enough.
    pub fn refund(&mut self) {
        self.count = self.count.saturating_sub(1);
    }

    /// The platform answered 131056. Returns how long this person is left alone: 4^X s with X = 0, 1, 2, … (facts 2.2),
    /// at most 4^5 s.
    pub fn strike(&mut self) -> Duration {
        let wait = Duration::from_secs(4u64.pow(self.strikes.min(STRIKES_MAX)));
        self.strikes = self.strikes.saturating_add(1);
        wait
    }

    /// The platform took a message: the strikes are over.
    pub fn succeeded(&mut self) {
        self.strikes = 0;
    }
}
