//! When the next message may go: pair, sender and daily limits, own caps, the circuit of the uplink, and back-off.
//!
//! Floor: rooms. Everything runs on box time, so no jump of the wall clock changes a limit. Never stores anything itself
//! (`outbox` persists [`Pair`], [`Recent`], who was reached and [`Learned`], and rebuilds [`SenderWindow`] from its attempts), reads no clock, draws no random numbers.
//!
//! [`spend`] is the only place where a [`Token`] is made: whoever holds one has paid all limits.

mod backoff;
mod caps;
mod circuit;
mod day;
mod pair;
mod sender;
mod settings;
#[cfg(test)]
mod tests;

pub use backoff::{Class, backoff};
pub use caps::{COUNT_MAX, Cap, Caps, Kind, Recent, WINDOW_MAX};
pub use circuit::Circuit;
pub use day::{AtMost, DAY, Day, Learned, count_again, is_reached};
pub use pair::{pair_answered, pair_ready, pair_refund, pair_strike, pair_succeeded, pair_used};
pub use sender::SenderWindow;
pub use settings::*;

use crate::message::{Category, Pair, Priority, Reason, Token};
use crate::time::BoxTime;

/// Not now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wait {
    /// The earliest box time at which asking again makes sense.
    pub until: BoxTime,
    /// The limit.
    pub reason: Reason,
}

/// What a message is to the limits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Load {
    /// What the caps per person count it as.
    pub kind: Kind,
    /// No own cap stops it, nor the cost brake.
    pub critical: bool,
    /// A template outside the service window: the platform counts whom it reaches.
    pub reaches: bool,
}

impl Load {
    /// Of a message of this category, purpose and priority; `reaches` unless the person's service window is open.
    pub fn of(category: Category, purpose: &str, priority: Priority, reaches: bool) -> Load {
        let reaches = reaches && category != Category::Service;
        let critical = priority == Priority::Critical;
        Load { kind: Kind::of(category, purpose), critical, reaches }
    }

    /// It may use what is kept of the day's people.
    pub fn is_urgent(&self) -> bool {
        self.critical || self.kind == Kind::Staff
    }

    /// Whether it needs a place among the day's people, for one who was last reached then.
    pub fn is_new(&self, reached: Option<BoxTime>, now: BoxTime) -> bool {
        self.reaches && !is_reached(reached, now)
    }
}

/// What the limits hold of one person.
#[derive(Debug)]
pub struct Account<'a> {
    /// For the pair limit.
    pub pair: &'a mut Pair,
    /// For the caps per person.
    pub recent: &'a mut Recent,
    /// For the day's people.
    pub reached: &'a mut Option<BoxTime>,
}

/// The earliest box time, `now` or later, at which the caps per person let the message go.
pub fn cap_ready(settings: &Settings, recent: &Recent, load: Load, now: BoxTime) -> BoxTime {
    if load.critical { now } else { recent.ready(&settings.caps, load.kind, now) }
}

/// Takes one message out of all limits, or out of none.
///
/// What holds one person is asked first, whereas the sender limit holds everybody: the caller may go on with the next person. The
/// day's bounds must have been put right before, by an exact count where they say no ([`AtMost::fits`]).
pub fn spend(
    settings: &Settings,
    load: Load,
    account: Account<'_>,
    sender: &mut SenderWindow,
    day: &mut Day,
    now: BoxTime,
) -> Result<Token, Wait> {
    let new = load.is_new(*account.reached, now);
    if new && settings.daily.is_some_and(|daily| !day.people.has_room(daily.of(load))) {
        return Err(Wait { until: now, reason: Reason::DailyLimit });
    }
    if !load.critical && settings.daily_messages.is_some_and(|limit| !day.messages.has_room(limit)) {
        return Err(Wait { until: now, reason: Reason::DailyMessages });
    }
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
    if load.reaches {
        *account.reached = Some(now);
    }
    if new {
        day.people.spend();
    }
    day.messages.spend();
    sender.spend(now);
    Ok(Token::by_pace())
}
