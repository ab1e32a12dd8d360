//! The platform's limits as the facts state them (2.1, 2.2), in the strict reading.
//!
//! Floor: demo. Knows no clock: time is an argument (since the start of the simulator).

use std::collections::VecDeque;
use std::time::Duration;

/// One message per this time to one person, in the long run (facts 2.2), and the time in which a burst may be spent.
pub const PAIR_INTERVAL: Duration = Duration::from_secs(6);
/// The largest burst to one person within [`PAIR_INTERVAL`] (facts 2.2).
pub const PAIR_BURST: u32 = 45;
/// Messages a second of one sender number (facts 2.1).
pub const SENDER_PER_SECOND: usize = 80;

/// What one person was sent lately.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    first: Duration,
    last: Duration,
    sent: u32,
}

impl Pair {
    /// Whether one more may go to the person now; counts it if so.
    ///
    /// The strict reading: a burst begins with the first message after a silence, lasts [`PAIR_INTERVAL`] and has at most
    /// `burst` messages. Then nothing until burst size × interval have passed since its last message. With one message a
    /// burst this is one message in six seconds. `slack` forgives the network's jitter.
    pub(super) fn spend(pair: &mut Option<Pair>, now: Duration, burst: u32, slack: Duration) -> bool {
        if let Some(known) = pair {
            let repaid = known.last + PAIR_INTERVAL * known.sent;
            if now + slack < repaid {
                if now >= known.first + PAIR_INTERVAL || known.sent >= burst {
                    return false;
                }
                known.sent += 1;
                known.last = now;
                return true;
            }
        }
        *pair = Some(Pair { first: now, last: now, sent: 1 });
        true
    }
}

/// What was sent, or asked for, lately.
#[derive(Default, Debug)]
pub(super) struct Sender {
    recent: VecDeque<Duration>,
}

impl Sender {
    /// Whether one more may go now: never more than `per_second` in any second. Counts it if so.
    pub(super) fn spend(&mut self, now: Duration, per_second: usize) -> bool {
        self.spend_within(now, per_second, Duration::from_secs(1))
    }

    /// The same with any span of time instead of a second.
    pub(super) fn spend_within(&mut self, now: Duration, most: usize, within: Duration) -> bool {
        while self.recent.front().is_some_and(|at| *at + within <= now) {
            self.recent.pop_front();
        }
        let room = self.recent.len() < most;
        if room {
            self.recent.push_back(now);
        }
        room
    }

    /// What comes in counts too (facts 2.1), and is never refused.
    pub(super) fn heard(&mut self, now: Duration) {
        self.recent.push_back(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(burst: u32, slack: u64, timetable: &[(u64, bool)]) {
        let mut pair = None;
        for (at, wanted) in timetable {
            let got = Pair::spend(&mut pair, Duration::from_millis(*at), burst, Duration::from_millis(slack));
            assert_eq!(got, *wanted, "at {at} ms of {timetable:?}");
        }
    }

    #[test]
    fn one_in_six_seconds_is_always_fine() {
        pair(45, 0, &[(0, true), (6_000, true), (12_000, true), (18_000, true), (24_001, true)]);
        pair(1, 0, &[(0, true), (5_999, false), (6_000, true), (6_001, false), (11_999, false), (12_000, true)]);
    }

    #[test]
    fn a_burst_is_repaid_before_the_next() {
        // Three in a burst: 18 s of silence, counted from the last.
        pair(3, 0, &[(0, true), (10, true), (20, true), (30, false), (6_020, false), (18_019, false), (18_020, true)]);
        // Two in a burst of at most three: the third may still come within the six seconds, not after them.
        pair(3, 0, &[(0, true), (5_000, true), (6_000, false), (16_999, false), (17_000, true)]);
    }

    #[test]
    fn twenty_at_once_mean_two_minutes_of_silence() {
        let mut rows = vec![(0, true); 20];
        rows.extend([(6_000, false), (119_999, false), (120_000, true)]);
        pair(45, 0, &rows);
    }

    #[test]
    fn no_burst_has_more_than_its_size() {
        let mut rows = vec![(0, true); 45];
        rows.extend([(0, false), (269_999, false), (270_000, true)]);
        pair(45, 0, &rows);
    }

    #[test]
    fn slack_forgives_jitter_only() {
        pair(1, 100, &[(0, true), (5_899, false), (5_900, true), (11_799, false), (11_800, true)]);
    }

    #[test]
    fn sender_has_a_sliding_second() {
        let mut sender = Sender::default();
        let rows = [(0, true), (400, true), (800, true), (999, false), (1_000, true), (1_399, false), (1_400, true)];
        for (at, wanted) in rows {
            assert_eq!(sender.spend(Duration::from_millis(at), 3), wanted, "at {at} ms");
        }
    }

    #[test]
    fn what_comes_in_counts_too() {
        let mut sender = Sender::default();
        for _ in 0..3 {
            sender.heard(Duration::ZERO);
        }
        for (at, wanted) in [(0, false), (999, false), (1_000, true)] {
            assert_eq!(sender.spend(Duration::from_millis(at), 3), wanted, "at {at} ms");
        }
    }
}
