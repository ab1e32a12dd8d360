//! When the next message may go: pair and sender limits, own caps, the circuit of the uplink, and back-off.
//!
//! Floor: rooms. Everything runs on box time, so no jump of the wall clock changes a limit. Never stores anything itself
//! (`outbox` persists [`Pair`] and [`Recent`], and rebuilds [`SenderWindow`] from its attempts), reads no clock, draws no random numbers.
//!
//! [`spend`] is the only place where a [`Token`] is made: whoever holds one has paid all limits.

mod backoff;
mod caps;
mod circuit;
mod pair;
mod sender;
mod settings;
#[cfg(test)]
mod tests;

pub use backoff::{Class, backoff};
pub use caps::{COUNT_MAX, Cap, Caps, Kind, Recent, WINDOW_MAX};
pub use circuit::Circuit;
pub use pair::{pair_answered, pair_ready, pair_refund, pair_strike, pair_succeeded};
pub use sender::SenderWindow;
pub use settings::*;

use crate::message::{Category, Pair, Priority, Reason, Token};
use crate::time::BoxTime;

/// Not now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wait {
    /// The earliest box time at which asking again makes sense.
    pub until: BoxTime,
    /// [`Reason::OwnCap`], [`Reason::PairLimit`] or [`Reason::SenderLimit`].
    pub reason: Reason,
}

/// What a message is to the limits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Load {
    /// What the caps per person count it as.
    pub kind: Kind,
    /// No own cap stops it.
    pub critical: bool,
}

impl Load {
    /// Of a message of this category, purpose and priority.
    pub fn of(category: Category, purpose: &str, priority: Priority) -> Load {
        Load { kind: Kind::of(category, purpose), critical: priority == Priority::Critical }
    }
}

/// What the limits hold of one person.
#[derive(Debug)]
pub struct Account<'a> {
    /// For the pair limit.
    pub pair: &'a mut Pair,
    /// For the caps per person.
    pub recent: &'a mut Recent,
}

/// The earliest box time, `now` or later, at which the caps per person let the message go.
pub fn cap_ready(settings: &Settings, recent: &Recent, load: Load, now: BoxTime) -> BoxTime {
    if load.critical { now } else { recent.ready(&settings.caps, load.kind, now) }
}

/// Takes one message out of all limits, or out of none.
///
/// What holds one person is asked first, whereas the sender limit holds everybody: the caller may go on with the next person.
pub fn spend(
    settings: &Settings,
    load: Load,
    account: Account<'_>,
    sender: &mut SenderWindow,
    now: BoxTime,
) -> Result<Token, Wait> {
    let until = cap_ready(settings, account.recent, load, now);
    if until > now {
        return Err(Wait { until, reason: Reason::OwnCap });
    }
    let until = pair_ready(settings, account.pair, sender.since(), now);
    if until > now {
        return Err(Wait { until, reason: Reason::PairLimit });
    }
    let until = sender.ready(settings, now);
    if until > now {
        return Err(Wait { until, reason: Reason::SenderLimit });
    }
    pair::pair_spend(settings, account.pair, now);
    account.recent.spend(load.kind, now);
    sender.spend(now);
    Ok(Token::by_pace())
}
