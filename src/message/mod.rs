//! The words of the house: an event's and a message's life as types, people's numbers, ids, outcomes and reasons.
//!
//! Floor: words. Knows no room, no network, no store and no clock.
//!
//! ```text
//! Arrival ─parse─► Event ─rules─► Draft ─policy─► Permitted ─store─► Stored ─clear─► Cleared ─post─► Posted ─► Settled
//! ```
//!
//! When something becomes certain, the type changes. Each type has private fields and is made in one room only: the
//! constructor's name says which, and `tests/tidy.rs` checks that nobody else calls it.

mod act;
mod arrival;
mod content;
mod draft;
mod masked;
mod name;
mod news;
mod notice;
mod number;
mod outcome;
mod standing;
mod wire;

pub use act::{Act, Acted, Anchor};
pub use arrival::{Arrival, Delivery, Epoch, Payload};
pub use content::{Body, Button, Content, Header, Template};
pub use draft::{Cleared, Confirmed, Draft, Permitted, Source, Stored, Terms, Token};
pub use masked::{dotted, masked, masked_from};
pub use name::{Name, is_user_id};
pub use news::{CanSend, Closed, News, Quality, TemplateName, UNLIMITED};
pub use notice::{By, Inbound, Notice, Notices, Origin, Progress, Status, Update, Way, Who};
pub use number::{Country, Number, NumberProblem};
pub use outcome::{Outcome, Reason};
pub use standing::{
    ALL, FAREWELL, GrantFact, LedgerAction, LedgerEntry, Pair, STAFF, START_WORD, STOP_WORD, Standing, Window,
};
pub use wire::{Answer, Filter, Lost, NotSent};

use serde::{Deserialize, Serialize};
use std::fmt;

/// Bytes as small hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes of hexadecimal digits; `None` if they are none.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let whole = digits.len().is_multiple_of(2) && digits.iter().all(u8::is_ascii_hexdigit);
    let byte = |place: usize| u8::from_str_radix(text.get(place..place + 2)?, 16).ok();
    whole.then(|| (0..text.len()).step_by(2).map(byte).collect()).flatten()
}

macro_rules! row_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        pub struct $name(pub i64);
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

row_id!(
    /// A message on this box, in the order of arrival. What people see is `<store>-<number>`, so that a new store repeats no id.
    MessageId
);
row_id!(
    /// One try at sending one message.
    AttemptId
);
row_id!(
    /// A person: one row, with number, `wa_id` and user id as aliases.
    PersonId
);
row_id!(
    /// One sender number of the business.
    SenderId
);
row_id!(
    /// One change of a message's state, told over MQTT.
    ReceiptId
);

/// What may overtake what. Critical overtakes everything but limits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Alarms: pass quiet hours and own caps, use the reserve of the store.
    Critical,
    /// Before the ordinary.
    High,
    /// What a rule has unless it says otherwise.
    #[default]
    Normal,
    /// After everything else.
    Low,
}

impl Priority {
    /// All, most urgent first.
    pub const ALL: [Priority; 4] = [Priority::Critical, Priority::High, Priority::Normal, Priority::Low];

    /// As stored and sorted: 0 is the most urgent.
    pub fn rank(self) -> i64 {
        self as i64
    }

    /// The inverse of [`rank`](Self::rank).
    pub fn of_rank(rank: i64) -> Option<Priority> {
        Self::ALL.get(usize::try_from(rank).ok()?).copied()
    }

    /// As written in the configuration.
    pub fn code(self) -> &'static str {
        match self {
            Priority::Critical => "critical",
            Priority::High => "high",
            Priority::Normal => "normal",
            Priority::Low => "low",
        }
    }
}

/// What kind of message the platform takes it for; templates carry it, free text is `Service`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// Offers. Never critical, never repeated.
    Marketing,
    /// What a customer asked for: orders, deliveries, alarms.
    Utility,
    /// One-time passwords.
    Authentication,
    /// Free text inside the service window.
    Service,
}

impl Category {
    /// All of them.
    pub const ALL: [Category; 4] =
        [Category::Marketing, Category::Utility, Category::Authentication, Category::Service];

    /// As stored, logged and written in the configuration.
    pub fn code(self) -> &'static str {
        match self {
            Category::Marketing => "marketing",
            Category::Utility => "utility",
            Category::Authentication => "authentication",
            Category::Service => "service",
        }
    }

    /// The inverse of [`code`](Self::code); the platform's own lists write it in capitals.
    pub fn of_code(code: &str) -> Option<Category> {
        Self::ALL.into_iter().find(|category| category.code().eq_ignore_ascii_case(code))
    }
}
