//! The sender limit: how many messages one number sends within any second.
//!
//! Floor: rooms.
//!
//! An exact count of our own sends: in no window of one second do more than `sender_per_second` leave. The platform
//! counts at its reception, and inbound messages as well (facts 2.1), so nobody can be exact at the platform's own 80/s:
//! delays on the way can press the sends of two of our windows into one of its. The default of 20/s leaves room for that
//! four times over; who configures the platform's own figure will now and then be answered 130429, which is surely not
//! sent and backs off. Waiting for each answer instead would cost 1 − 1/(1 s + round trip) of the rate and still not be
//! exact.

use super::{Learned, Settings};
use crate::limits::SENDER_PER_SECOND_MAX;
use crate::time::BoxTime;
use heapless::Deque;
use std::time::Duration;

const WINDOW: Duration = Duration::from_secs(1);

/// The sends of the last second. Bounded: 8 KB.
#[derive(Clone, Debug)]
pub struct SenderWindow {
    since: BoxTime,
    /// What the platform's last refusal left of the rate.
    learned: Option<Learned>,
    /// Ascending.
    sent: Deque<BoxTime, SENDER_PER_SECOND_MAX>,
}

impl Default for SenderWindow {
    /// Of a new store: nothing was before.
    fn default() -> SenderWindow {
        SenderWindow { since: BoxTime(i64::MIN), learned: None, sent: Deque::new() }
    }
}

impl SenderWindow {
    /// After a restart at box time `since`: with the box times of the attempts of the last second that were not
    /// refunded, ascending.
    pub fn rebuilt(since: BoxTime, learned: Option<Learned>, spent: impl IntoIterator<Item = BoxTime>) -> SenderWindow {
        let mut window = SenderWindow { since, learned, ..SenderWindow::default() };
        spent.into_iter().for_each(|at| window.spend(at));
        window
    }

    /// The box time of the last restart.
    pub fn since(&self) -> BoxTime {
        self.since
    }

    /// The earliest box time, `now` or later, at which the next message may be spent.
    pub fn ready(&self, settings: &Settings, now: BoxTime) -> BoxTime {
        let Some(limit) = self.limit(settings, now) else { return now };
        let limit = (limit as usize).min(SENDER_PER_SECOND_MAX);
        // Free once the limit-th send from the end has left the window: then fewer than `limit` remain in it.
        match self.sent.iter().rev().nth(limit - 1) {
            Some(&at) => (at + WINDOW).max(now),
            None => now,
        }
    }

    /// Messages a second that may leave now: as configured, or less after a refusal.
    pub fn limit(&self, settings: &Settings, now: BoxTime) -> Option<u32> {
        let most = settings.sender_per_second;
        let learned = self.learned.and_then(|learned| learned.rate(most, now));
        learned.or(most).map(|limit| limit.max(1))
    }

    /// Whether the platform's last refusal came after what left at `at`: a refusal of that as well says nothing new.
    pub fn knew_better(&self, at: BoxTime) -> bool {
        self.learned.is_some_and(|learned| at <= learned.since)
    }

    /// The platform refused what left as too fast: slower from now on. What must be kept is returned.
    pub fn refused(&mut self, settings: &Settings, now: BoxTime) -> Learned {
        let in_force = self.limit(settings, now).unwrap_or(self.used(now));
        *self.learned.insert(Learned::refused(in_force, now))
    }

    /// What the last second took.
    pub fn used(&self, now: BoxTime) -> u32 {
        self.sent.iter().rev().take_while(|&&at| at + WINDOW > now).count() as u32
    }

    /// One message.
    pub(super) fn spend(&mut self, now: BoxTime) {
        while self.sent.front().is_some_and(|&at| at + WINDOW <= now) || self.sent.is_full() {
            self.sent.pop_front();
        }
        // There is room: a full ring gave up its oldest just now.
        let _ = self.sent.push_back(now);
    }

    /// One message that was spent earlier left only now, or a little before: the platform counts it when it comes.
    pub fn left_late(&mut self, now: BoxTime) {
        self.spend(now);
    }

    /// The message that was spent at `at` surely did not leave. Unknown times (left the window long ago) change nothing.
    pub fn refund(&mut self, at: BoxTime) {
        let mut found = false;
        for _ in 0..self.sent.len() {
            let Some(sent) = self.sent.pop_front() else { break };
            if sent == at && !found {
                found = true;
            } else {
                // Back to where it came from: as many are pushed as were popped.
                let _ = self.sent.push_back(sent);
            }
        }
    }
}
