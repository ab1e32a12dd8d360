//! What the audit record is made of: a decision that touches a person, and where the record stands.
//!
//! Floor: words. The store says what it wrote in [`Acted`], in the transaction that writes it; `audit` makes a row of it; nothing
//! here is a name, a text, an id or a number once it is a row.

use super::{MessageId, Outcome, PersonId, hex, unhex};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

macro_rules! acts {
    ($($(#[$doc:meta])* $variant:ident = $number:literal $code:literal,)+) => {
        /// What was decided. The numbers are those of the rows: one that was used is never given to another.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub enum Act { $($(#[$doc])* $variant = $number,)+ }
        impl Act {
            /// All of them.
            pub const ALL: &'static [Act] = &[$(Act::$variant,)+];
            /// As `audit export` writes it.
            pub fn code(self) -> &'static str {
                match self { $(Act::$variant => $code,)+ }
            }
            /// The inverse of its number in a row.
            pub fn of_number(number: u8) -> Option<Act> {
                match number { $($number => Some(Act::$variant),)+ _ => None }
            }
        }
    };
}

acts! {
    /// A message was stored, and waits for its turn.
    Stored = 1 "stored",
    /// Nobody knows whether it arrived.
    Unknown = 2 "unknown",
    /// The platform took it.
    Accepted = 3 "accepted",
    /// It reached the person's phone.
    Delivered = 4 "delivered",
    /// The person opened it.
    Read = 5 "read",
    /// The platform failed to deliver it.
    Failed = 6 "failed",
    /// The platform refused it.
    Refused = 7 "refused",
    /// Policy forbids it.
    Withheld = 8 "withheld",
    /// Too old.
    Expired = 9 "expired",
    /// Something took its place.
    Withdrawn = 10 "withdrawn",
    /// Told together with others.
    Merged = 11 "merged",
    /// Gave way in a full store.
    Displaced = 12 "displaced",
    /// The event could not be understood.
    Unreadable = 13 "unreadable",
    /// A request leaves.
    Sent = 20 "sent",
    /// A request leaves again, though an earlier one may have arrived.
    Repeated = 21 "repeated",
    /// It was not sent, or refused for now: it waits for its turn again.
    Again = 22 "again",
    /// Consent was given.
    Granted = 30 "granted",
    /// Consent was taken back.
    Revoked = 31 "revoked",
    /// Consent ended without anybody taking it back: the configuration states it no more.
    Ended = 34 "ended",
    /// The person told the platform to stop marketing.
    MarketingStopped = 32 "marketing-stopped",
    /// The person told the platform to resume it.
    MarketingResumed = 33 "marketing-resumed",
    /// An operator's order was carried out.
    Ordered = 40 "ordered",
    /// A person was erased.
    Erased = 41 "erased",
    /// The record got a key for its hashes.
    Keyed = 50 "keyed",
    /// Older rows were forgotten, as `outbox.keep_audit` says.
    Forgotten = 51 "forgotten",
    /// Rows were lost with a damaged store.
    Lost = 52 "lost",
}

impl Act {
    /// What a change of a message's state is.
    pub fn of(outcome: Outcome) -> Act {
        match outcome {
            Outcome::Stored => Act::Stored,
            Outcome::Unknown => Act::Unknown,
            Outcome::Accepted => Act::Accepted,
            Outcome::Delivered => Act::Delivered,
            Outcome::Read => Act::Read,
            Outcome::Failed => Act::Failed,
            Outcome::Refused => Act::Refused,
            Outcome::Withheld => Act::Withheld,
            Outcome::Expired => Act::Expired,
            Outcome::Withdrawn => Act::Withdrawn,
            Outcome::Merged => Act::Merged,
            Outcome::Displaced => Act::Displaced,
            Outcome::Unreadable => Act::Unreadable,
        }
    }

    /// Whether somebody's consent is not what it was.
    pub fn changes_consent(self) -> bool {
        matches!(self, Act::Granted | Act::Revoked | Act::Ended | Act::Erased)
    }
}

/// One decision as the store knows it, before it is a row: this holds ids, the row does not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Acted {
    /// What.
    pub act: Act,
    /// A reason's code; the purpose where consent changed; the order of an operator.
    pub about: String,
    /// The message.
    pub message: Option<MessageId>,
    /// The person; that of the message without.
    pub person: Option<PersonId>,
    /// The digits of a person who is not in the store (any more).
    pub digits: Option<String>,
    /// The event's id.
    pub event: Option<Arc<str>>,
    /// The stretch of rows that `Forgotten` and `Lost` are about: the first and the last.
    pub rows: Option<(u64, u64)>,
}

impl Acted {
    /// Something about nobody.
    pub fn new(act: Act, about: &str) -> Acted {
        Acted { act, about: about.to_owned(), message: None, person: None, digits: None, event: None, rows: None }
    }
}

/// Where the record stands: how many rows it has had, and the hash over all of them. Whoever keeps it can tell later whether one
/// of those rows was changed. Written `1042:3f…` (64 hexadecimal digits).
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Anchor {
    /// Rows so far, forgotten ones included.
    pub rows: u64,
    /// The hash after the last of them; zeros where there is none.
    pub head: [u8; 32],
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.rows, hex(&self.head))
    }
}

impl fmt::Debug for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.rows, hex(&self.head[..4]))
    }
}

impl FromStr for Anchor {
    type Err = String;

    fn from_str(text: &str) -> Result<Anchor, String> {
        let wrong = || {
            "an anchor is ROWS:HEAD as a receipt or the state shows it: a whole number, a colon, 64 hexadecimal digits"
                .to_owned()
        };
        let (rows, head) = text.trim().split_once(':').ok_or_else(wrong)?;
        let head = unhex(head).and_then(|bytes| bytes.try_into().ok()).ok_or_else(wrong)?;
        Ok(Anchor { rows: rows.parse().map_err(|_| wrong())?, head })
    }
}

#[derive(Serialize, Deserialize)]
struct Written {
    rows: u64,
    head: String,
}

impl Serialize for Anchor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Written { rows: self.rows, head: hex(&self.head) }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Anchor {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Anchor, D::Error> {
        let Written { rows, head } = Written::deserialize(deserializer)?;
        format!("{rows}:{head}").parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_act_has_a_number_and_a_code_of_its_own() {
        let codes: BTreeSet<&str> = Act::ALL.iter().map(|act| act.code()).collect();
        assert_eq!(codes.len(), Act::ALL.len());
        for act in Act::ALL {
            assert_eq!(Act::of_number(*act as u8), Some(*act));
        }
        for outcome in Outcome::ALL {
            assert_eq!(Act::of(*outcome).code(), outcome.code());
        }
    }

    #[test]
    fn an_anchor_is_read_as_it_is_written() {
        let anchor = Anchor { rows: 1042, head: [0xa7; 32] };
        assert_eq!(anchor.to_string().parse(), Ok(anchor));
        let json = serde_json::to_value(anchor).unwrap();
        assert_eq!(json["rows"], 1042);
        assert_eq!(serde_json::from_value::<Anchor>(json).unwrap(), anchor);
        for wrong in
            ["", "12", "12:", "x:00", "12:zz", &format!("1:{}", "é".repeat(32)), &format!("-1:{}", "0".repeat(64))]
        {
            assert!(wrong.parse::<Anchor>().is_err(), "{wrong}");
        }
    }
}
