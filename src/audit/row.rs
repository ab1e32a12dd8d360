//! One row: its bytes, its hashes, and how `audit export` writes it.
//!
//! Floor: rooms.
//!
//! ```text
//!   act 1 │ flags 1 │ wall clock, ms 6 │ length 1 │ about │ person 16? │ message 16? │ event 16? │ first 8, last 8?
//! ```

use crate::message::{Act, Anchor, MessageId, hex};
use crate::time::Wall;
use ring::hmac;
use serde_json::{Value, json};

const TRUSTED: u8 = 1;
const PERSON: u8 = 2;
const MESSAGE: u8 = 4;
const EVENT: u8 = 8;
const ROWS: u8 = 16;
const HEAD: usize = 9;

/// Sixteen bytes that stand for somebody or something.
pub type Stamp = [u8; 16];

/// Makes stamps: HMAC-SHA256, cut to 16 bytes. Without the key nobody can tell whose they are; whoever holds it can ask about a
/// number that they know.
pub struct Key(hmac::Key);

impl Key {
    /// Of the key's bytes.
    pub fn new(bytes: &[u8; 32]) -> Key {
        Key(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// Of a person: the digits that the person was first known by.
    pub fn person(&self, digits: &str) -> Stamp {
        self.stamp("person", digits)
    }

    /// Of a message of the store that is called so.
    pub fn message(&self, store: &str, id: MessageId) -> Stamp {
        self.stamp("message", &format!("{store}-{id}"))
    }

    /// Of an event's id.
    pub fn event(&self, id: &str) -> Stamp {
        self.stamp("event", id)
    }

    fn stamp(&self, kind: &str, text: &str) -> Stamp {
        let sum = hmac::sign(&self.0, format!("{kind} {text}").as_bytes());
        let mut stamp = [0; 16];
        stamp.copy_from_slice(&sum.as_ref()[..16]);
        stamp
    }
}

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// What was decided.
    pub act: Act,
    /// When, by the box's clock.
    pub at: Wall,
    /// Whether that clock was to be believed.
    pub trusted: bool,
    /// A reason's code, a purpose, an order: names of the program and of the configuration alone. At most 255 bytes.
    pub about: String,
    /// About whom.
    pub person: Option<Stamp>,
    /// About which message.
    pub message: Option<Stamp>,
    /// About which event.
    pub event: Option<Stamp>,
    /// The first and the last row that this one is about.
    pub rows: Option<(u64, u64)>,
}

impl Row {
    pub(super) fn written(&self) -> Vec<u8> {
        let stamps = [(PERSON, &self.person), (MESSAGE, &self.message), (EVENT, &self.event)];
        let mut flags = u8::from(self.trusted) | if self.rows.is_some() { ROWS } else { 0 };
        flags |= stamps.iter().filter(|(_, stamp)| stamp.is_some()).fold(0, |flags, (flag, _)| flags | flag);
        let mut cut = self.about.len().min(usize::from(u8::MAX));
        while !self.about.is_char_boundary(cut) {
            cut -= 1;
        }
        let mut bytes = vec![self.act as u8, flags];
        bytes.extend(&self.at.0.to_le_bytes()[..6]);
        bytes.push(cut as u8);
        bytes.extend(&self.about.as_bytes()[..cut]);
        for stamp in stamps.iter().filter_map(|(_, stamp)| stamp.as_ref()) {
            bytes.extend(stamp);
        }
        if let Some((first, last)) = self.rows {
            bytes.extend(first.to_le_bytes());
            bytes.extend(last.to_le_bytes());
        }
        bytes
    }

    /// One line of `audit export`.
    pub fn json(&self, at: &Anchor) -> Value {
        let mut line = json!({
            "row": at.rows,
            "at": self.at.rfc3339(),
            "act": self.act.code(),
            "about": self.about,
            "head": hex(&at.head),
        });
        if !self.trusted {
            line["clock"] = json!("unsynced");
        }
        for (name, stamp) in [("person", &self.person), ("message", &self.message), ("event", &self.event)] {
            if let Some(stamp) = stamp {
                line[name] = json!(hex(stamp));
            }
        }
        if let Some((first, last)) = self.rows {
            line["rows"] = json!([first, last]);
        }
        line
    }
}

/// The row at the beginning of `bytes`, and its length. `None`: no row begins so.
pub fn read(bytes: &[u8]) -> Option<(Row, usize)> {
    let (head, rest) = bytes.split_at_checked(HEAD)?;
    let (act, flags) = (Act::of_number(head[0])?, head[1]);
    let mut at = [0; 8];
    at[..6].copy_from_slice(&head[2..8]);
    // Before 1970 the upper bytes are ones.
    let sign = if at[5] & 0x80 == 0 { 0 } else { 0xff };
    at[6..].fill(sign);
    let (about, mut rest) = rest.split_at_checked(usize::from(head[8]))?;
    let mut stamp = |flag: u8| -> Option<Option<Stamp>> {
        if flags & flag == 0 {
            return Some(None);
        }
        let (stamp, behind) = rest.split_first_chunk::<16>()?;
        rest = behind;
        Some(Some(*stamp))
    };
    let (person, message, event, rows) = (stamp(PERSON)?, stamp(MESSAGE)?, stamp(EVENT)?, stamp(ROWS)?);
    let half = |stamp: &Stamp, from: usize| {
        let mut number = [0; 8];
        number.copy_from_slice(&stamp[from..from + 8]);
        u64::from_le_bytes(number)
    };
    let row = Row {
        act,
        at: Wall(i64::from_le_bytes(at)),
        trusted: flags & TRUSTED != 0,
        about: std::str::from_utf8(about).ok()?.to_owned(),
        person,
        message,
        event,
        rows: rows.map(|rows| (half(&rows, 0), half(&rows, 8))),
    };
    let known = flags & !(TRUSTED | PERSON | MESSAGE | EVENT | ROWS) == 0;
    known.then_some((row, bytes.len() - rest.len()))
}
