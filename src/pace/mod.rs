//! When the next message may go: pair and sender limits, the circuit of the uplink, and back-off.
//!
//! Floor: rooms. Everything runs on box time, so no jump of the wall clock changes a limit. Never stores anything itself
//! (`outbox` persists [`Pair`] and rebuilds [`SenderWindow`] from its attempts), reads no clock, draws no random numbers.
//!
//! [`spend`] is the only place where a [`Token`] is made: whoever holds one has paid both limits.

mod backoff;
mod circuit;
mod pair;
mod sender;
mod settings;
#[cfg(test)]
mod tests;

pub use backoff::{Class, backoff};
pub use circuit::Circuit;
pub use pair::{pair_answered, pair_ready, pair_refund, pair_strike, pair_succeeded};
pub use sender::SenderWindow;
pub use settings::*;

use crate::message::{Pair, Reason, Token};
use crate::time::BoxTime;

/// Not now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wait {
    /// The earliest box time at which asking again makes sense.
    pub until: BoxTime,
    /// [`Reason::PairLimit`] or [`Reason::SenderLimit`].
    pub reason: Reason,
}

/// Takes one message out of both limits, or out of neither.
///
/// The pair limit is asked first: it holds one person, whereas the sender limit holds everybody, and the caller may go on
/// with the next person.
pub fn spend(settings: &Settings, pair: &mut Pair, sender: &mut SenderWindow, now: BoxTime) -> Result<Token, Wait> {
    let until = pair_ready(settings, pair, sender.since(), now);
    if until > now {
        return Err(Wait { until, reason: Reason::PairLimit });
    }
    let until = sender.ready(settings, now);
    if until > now {
        return Err(Wait { until, reason: Reason::SenderLimit });
    }
    pair::pair_spend(settings, pair, now);
    sender.spend(now);
    Ok(Token::by_pace())
}
