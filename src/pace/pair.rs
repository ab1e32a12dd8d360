//! The pair limit: how fast one person may be messaged by one sender.
//!
//! Floor: rooms.
//!
//! The platform's rule (facts 2.2): one message per 6 s; a burst is an advance on future quota, and after a burst of n
//! comes n × 6 s of silence. How credit returns in between is documented nowhere, so this is the strict reading: no
//! credit returns before a burst is repaid in full by silence after its last message, `last` + `count` × `pair_interval`.
//!
//! The platform counts when *it* receives a message: some instant between our spending and the end of the attempt.
//! So each end is read the expensive way:
//!
//! - an answer moves `last` to its own time: silence is never counted from before a reception;
//! - the first answer of a burst moves `started` too;
//! - a burst takes further messages only in the first half of `pair_interval`; the other half is for the network. The
//!   burst is a burst to the platform as well while the first exchange and the one in question take no longer than
//!   that half together (3 s). Beyond it a third message may be answered 131056: surely not sent, one strike;
//! - a restart ends the burst: box time may have stood still while the platform's interval went by. Silence only grows
//!   by that.

use super::Settings;
use crate::message::Pair;
use crate::time::BoxTime;
use std::time::Duration;

/// Strikes after which waiting grows no further: 4^5 s is 17 minutes, well below the shortest default `expires` (4 h).
const STRIKES_MAX: u32 = 5;

/// The earliest box time, `now` or later, at which the next message to this person may be spent. `since` is
/// [`SenderWindow::since`](super::SenderWindow::since): a burst from before a restart takes no more messages.
pub fn pair_ready(settings: &Settings, pair: &Pair, since: BoxTime, now: BoxTime) -> BoxTime {
    let Some(interval) = settings.pair_interval else { return now };
    let open = pair.started > since && now < pair.started + interval / 2;
    if pair.count == 0 || (open && pair.count < settings.pair_burst) { now } else { repaid(pair, interval).max(now) }
}

/// How much of `pair_burst` is used: all of it as long as the person must wait.
pub fn pair_used(settings: &Settings, pair: &Pair, since: BoxTime, now: BoxTime) -> u32 {
    let Some(interval) = settings.pair_interval else { return 0 };
    if pair.count == 0 || repaid(pair, interval) <= now {
        0
    } else if pair_ready(settings, pair, since, now) > now {
        settings.pair_burst
    } else {
        pair.count.min(settings.pair_burst)
    }
}

/// When nothing is owed any more.
fn repaid(pair: &Pair, interval: Duration) -> BoxTime {
    pair.last + interval.saturating_mul(pair.count)
}

/// One message, to a person who is ready.
pub(super) fn pair_spend(settings: &Settings, pair: &mut Pair, now: BoxTime) {
    let owes = settings.pair_interval.is_some_and(|interval| pair.count > 0 && now < repaid(pair, interval));
    if owes {
        pair.count = pair.count.saturating_add(1);
        pair.last = pair.last.max(now);
    } else {
        *pair = Pair { started: now, last: now, count: 1, strikes: pair.strikes };
    }
}

/// An attempt ended at `at` and was, or may have been, received: any answer, a timeout, a broken connection, and for
/// attempts without an answer at start, the start.
pub fn pair_answered(pair: &mut Pair, at: BoxTime) {
    pair.last = pair.last.max(at);
    if pair.count <= 1 {
        pair.started = pair.started.max(at);
    }
}

/// The latest message surely did not leave.
pub fn pair_refund(pair: &mut Pair) {
    pair.count = pair.count.saturating_sub(1);
}

/// The platform answered 131056. Returns how long this person is left alone: 4^X s with X = 0, 1, 2, … (facts 2.2), at
/// most 4^5 s.
pub fn pair_strike(pair: &mut Pair) -> Duration {
    let wait = Duration::from_secs(4u64.pow(pair.strikes.min(STRIKES_MAX)));
    pair.strikes = pair.strikes.saturating_add(1);
    wait
}

/// The platform took a message: the strikes are over.
pub fn pair_succeeded(pair: &mut Pair) {
    pair.strikes = 0;
}
