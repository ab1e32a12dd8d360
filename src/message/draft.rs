//! A message on its way: what is certain at each point is a type of its own.
//!
//! Floor: words. Only the room in a constructor's name may call it (`tests/tidy.rs`).

use super::{AttemptId, Category, Content, MessageId, Number, PersonId, Priority};
use crate::time::{BoxTime, Wall};
use std::sync::Arc;
use std::time::Duration;

/// Where a draft comes from: told in receipts, kept in the store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    /// The rule that made it.
    pub rule: Arc<str>,
    /// The event's id, at most `limits::EVENT_ID` bytes (longer ones hashed); `None` where the event has none.
    pub event: Option<Arc<str>>,
    /// The topic the event came on.
    pub topic: Arc<str>,
    /// The beginning of [`Arrival::print`](super::Arrival::print), kept with an event's id: how a delivery is known that comes again
    /// after `dedupe_window`. 32 bits are enough beside the key, and say nothing of the payload to who guesses.
    pub print: Option<u32>,
}

/// What a rule wants said to one recipient. Made by `rules`.
#[derive(Clone, PartialEq, Debug)]
pub struct Draft {
    source: Source,
    to: Number,
    content: Content,
    terms: Terms,
}

/// What a draft asks of policy and outbox.
#[derive(Clone, PartialEq, Debug)]
pub struct Terms {
    /// The purpose that consent is needed for; `staff` for contacts whose consent the configuration states.
    pub purpose: Arc<str>,
    /// The configuration states this recipient's consent (contacts): recorded in the ledger before policy is asked.
    pub stated: bool,
    /// The event itself says that the person agreed: recorded where the ledger holds nothing or an expired grant.
    pub opt_in: bool,
    /// What it may overtake.
    pub priority: Priority,
    /// A newer message to the same person about the same subject withdraws what has not left.
    pub subject: Option<Arc<str>>,
    /// When it happened, if the event says so.
    pub at: Option<Wall>,
    /// From `at` (or arrival) until it is of no use.
    pub expires: Duration,
    /// What was left of the MQTT 5 message expiry at arrival.
    pub message_expiry: Option<Duration>,
    /// How long the same event is recognised.
    pub dedupe_window: Duration,
    /// A parameter or text was cut to the API's length.
    pub cut: bool,
}

impl Draft {
    /// Only `rules` drafts.
    pub fn by_rules(source: Source, to: Number, content: Content, terms: Terms) -> Draft {
        Draft { source, to, content, terms }
    }
    /// Where it comes from.
    pub fn source(&self) -> &Source {
        &self.source
    }
    /// Whom it is for.
    pub fn to(&self) -> &Number {
        &self.to
    }
    /// What it says.
    pub fn content(&self) -> &Content {
        &self.content
    }
    /// What it asks of policy and outbox.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }
}

/// A draft that policy permits to be stored. Made by `policy`.
#[derive(Clone, PartialEq, Debug)]
pub struct Permitted(Draft);

impl Permitted {
    /// Only `policy` permits.
    pub fn by_policy(draft: Draft) -> Permitted {
        Permitted(draft)
    }
    /// What was permitted.
    pub fn draft(&self) -> &Draft {
        &self.0
    }
}

/// A message as the store holds it. Made by `outbox`.
#[derive(Clone, PartialEq, Debug)]
pub struct Stored {
    /// Its row.
    pub(crate) id: MessageId,
    /// Whom it is for.
    pub(crate) person: PersonId,
    /// The number to send it to.
    pub(crate) to: Number,
    /// What it says.
    pub(crate) content: Content,
    /// The rule that made it.
    pub(crate) rule: Arc<str>,
    /// The event's id.
    pub(crate) event: Option<Arc<str>>,
    /// The purpose of the consent it needs.
    pub(crate) purpose: Arc<str>,
    /// What it may overtake.
    pub(crate) priority: Priority,
    /// When it came, on box time.
    pub(crate) arrived: BoxTime,
    /// When it ends, on box time.
    pub(crate) expires_boxed: BoxTime,
    /// When it ends, on the wall clock, where the event's time is known.
    pub(crate) expires_wall: Option<Wall>,
    /// Tries so far.
    pub(crate) tries: u32,
}

impl Stored {
    /// Its row.
    pub fn id(&self) -> MessageId {
        self.id
    }
    /// Whom it is for.
    pub fn person(&self) -> PersonId {
        self.person
    }
    /// The number to send it to.
    pub fn to(&self) -> &Number {
        &self.to
    }
    /// What it says.
    pub fn content(&self) -> &Content {
        &self.content
    }
    /// The rule that made it.
    pub fn rule(&self) -> &Arc<str> {
        &self.rule
    }
    /// The event's id.
    pub fn event(&self) -> Option<&Arc<str>> {
        self.event.as_ref()
    }
    /// The purpose of the consent it needs.
    pub fn purpose(&self) -> &Arc<str> {
        &self.purpose
    }
    /// What it may overtake.
    pub fn priority(&self) -> Priority {
        self.priority
    }
    /// What limits and policy go by.
    pub fn category(&self) -> Category {
        self.content.category()
    }
    /// When it came, on box time.
    pub fn arrived(&self) -> BoxTime {
        self.arrived
    }
    /// When it ends, on box time.
    pub fn expires_boxed(&self) -> BoxTime {
        self.expires_boxed
    }
    /// When it ends, on the wall clock, where the event's time is known.
    pub fn expires_wall(&self) -> Option<Wall> {
        self.expires_wall
    }
    /// Tries so far.
    pub fn tries(&self) -> u32 {
        self.tries
    }
}

/// Proof that policy was asked in the instant of sending. Made by `policy`.
#[derive(PartialEq, Eq, Debug)]
pub struct Confirmed(());

impl Confirmed {
    /// Only `policy` confirms.
    pub fn by_policy() -> Confirmed {
        Confirmed(())
    }
}

/// Proof that the limits allowed one send now and that it was spent. Made by `pace`.
#[derive(PartialEq, Eq, Debug)]
pub struct Token(());

impl Token {
    /// Only `pace` spends.
    pub fn by_pace() -> Token {
        Token(())
    }
}

/// A message that may leave in this instant, with its recorded attempt. Made by `outbox`, which needs both proofs.
#[derive(PartialEq, Debug)]
pub struct Cleared {
    message: Stored,
    attempt: AttemptId,
}

impl Cleared {
    /// Only `outbox` clears, in the transaction that records the attempt.
    pub fn by_outbox(message: Stored, attempt: AttemptId, _: Confirmed, _: Token) -> Cleared {
        Cleared { message, attempt }
    }
    /// What leaves.
    pub fn message(&self) -> &Stored {
        &self.message
    }
    /// The attempt that was recorded for it.
    pub fn attempt(&self) -> AttemptId {
        self.attempt
    }
}
