//! What an answer asks of the house: the message, the person, the number, the template and the account, each as data.
//!
//! Floor: rooms. The engine applies it; nothing here knows how. Nothing that is printed holds a number or the platform's id.

use crate::message::Reason;
use std::fmt;
use std::time::Duration;

/// What follows from an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// What happens with the message.
    pub message: Fate,
    /// What happens with others to the same person.
    pub person: Option<OnPerson>,
    /// What happens with everything of this sender number.
    pub number: Option<OnNumber>,
    /// What happens with others by the same template.
    pub template: Option<OnTemplate>,
    /// What happens with everything on the account.
    pub account: Option<OnAccount>,
    /// Why.
    pub reason: Reason,
    /// The platform's code, where it gave one.
    pub code: Option<i64>,
    /// For a person: what it means, and what the platform said about it; numbers masked.
    pub detail: String,
    /// What the answer tells about the way to the API.
    pub circuit: Circuit,
    /// Other names of the person, learned from the answer.
    pub known_as: KnownAs,
    /// Somebody should look at it.
    pub loud: bool,
}

impl Verdict {
    /// Nothing but the message is touched.
    pub(super) fn of(message: Fate, reason: Reason, detail: String, circuit: Circuit) -> Verdict {
        Verdict {
            message,
            person: None,
            number: None,
            template: None,
            account: None,
            reason,
            code: None,
            detail,
            circuit,
            known_as: KnownAs::default(),
            loud: false,
        }
    }
}

/// What happens with the message.
#[derive(Clone, PartialEq, Eq)]
pub enum Fate {
    /// The platform took it.
    Accepted {
        /// The platform's id of it, opaque, at most 512 characters. Holds the recipient's digits: personal data.
        wamid: String,
    },
    /// Refused for good.
    Refused,
    /// Refused and surely not sent, but not for good: kept, and tried again when what holds it is over. Pair and sender stay spent.
    Again,
    /// Surely not sent: kept, and all limits are refunded.
    Unsent,
    /// Perhaps sent: `on_unknown` decides.
    Unknown {
        /// The most repeats that make sense, where the code says so: after as many it is refused.
        repeats: Option<u32>,
    },
}

impl fmt::Debug for Fate {
    /// Without the platform's id: it holds the number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fate::Accepted { .. } => f.write_str("Accepted"),
            Fate::Refused => f.write_str("Refused"),
            Fate::Again => f.write_str("Again"),
            Fate::Unsent => f.write_str("Unsent"),
            Fate::Unknown { repeats } => f.debug_struct("Unknown").field("repeats", repeats).finish(),
        }
    }
}

/// What happens with others to the same person.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnPerson {
    /// They wait 4^X seconds, X the times in a row (facts 2.2).
    PairLimit,
    /// Not on WhatsApp: none for `policy.undeliverable`.
    Undeliverable,
    /// No marketing until the person says otherwise.
    MarketingStopped,
    /// None of the same category for so long.
    NotBefore(Duration),
    /// None until somebody confirmed who the person is.
    IdentityHold,
    /// The service window is closed, whatever the box thought: no free text until the person writes.
    WindowClosed,
}

/// What happens with everything of this sender number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnNumber {
    /// Nothing leaves until it is lifted; everything is kept.
    Stop {
        /// By what.
        lifted_by: Lift,
    },
    /// Everything waits, longer each time in a row.
    BackOff(BackOffClass),
    /// Everything waits so long, then one is tried.
    HoldFor(Duration),
}

/// What happens with others by the same template.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnTemplate {
    /// They wait.
    Hold {
        /// So long; `None`: until an operator lifts it.
        for_: Option<Duration>,
    },
}

/// What happens with everything on the account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnAccount {
    /// Nothing leaves until it is lifted; everything is kept.
    Stop {
        /// By what.
        lifted_by: Lift,
    },
    /// Everything waits, longer each time in a row: the limit counts calls per hour.
    BackOff,
    /// All templates wait so long; free text goes.
    HoldTemplates(Duration),
    /// Nothing goes to the recipient's country until an operator lifts it.
    HoldCountry,
}

/// What lifts a stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lift {
    /// A token of another fingerprint; an operator too.
    Token,
    /// An operator, after putting it right with the platform.
    Operator,
}

/// How long a number backs off: the steps are the limiter's own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BackOffClass {
    /// Messages per second: seconds.
    Number,
    /// Maintenance, for instance a rise of the throughput: about a minute (facts 2.1).
    Maintenance,
    /// The platform, or something before it, is overloaded or out of order.
    Service,
}

/// What the answer tells about the way to the API.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Circuit {
    /// The API itself answered.
    Works,
    /// It did not.
    InDoubt,
}

/// Other names of the person, as the platform gave them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct KnownAs {
    /// `wa_id`: digits, at most 15; may differ from the number that was sent to.
    pub wa_id: Option<String>,
    /// The business-scoped user id, at most 128 characters.
    pub user_id: Option<String>,
}

impl fmt::Debug for KnownAs {
    /// Only whether there is one: each is personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |name: &Option<String>| name.as_ref().map(|_| "(masked)");
        f.debug_struct("KnownAs").field("wa_id", &shown(&self.wa_id)).field("user_id", &shown(&self.user_id)).finish()
    }
}
