//! What is answered about the audit record and about a person's rights.
//!
//! Floor: words. An export of a person holds whole numbers and texts: it is theirs. Everything else here is hashes and counts.

use crate::message::Anchor;
use serde::{Deserialize, Serialize};

/// Answers `AuditPage`: the next pieces of the record, for whoever verifies it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AuditPage {
    /// In order.
    pub pieces: Vec<AuditPiece>,
    /// Where the record ends now.
    pub end: Anchor,
    /// Whether there are more.
    pub more: bool,
}

/// Some rows, as the store keeps them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AuditPiece {
    /// The number of the first.
    pub first: u64,
    /// How many.
    pub count: u64,
    /// The head before them, in hexadecimal digits.
    pub before: String,
    /// They themselves, likewise.
    pub rows: String,
}

/// What `audit verify` found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AuditReport {
    /// Nothing speaks against the record.
    pub good: bool,
    /// Where it ends.
    pub audit: Anchor,
    /// Rows up to here were forgotten, as it says.
    pub forgotten: u64,
    /// Rows that were lost with a damaged store, as it says: the first and the last of each stretch.
    pub lost: Vec<(u64, u64)>,
    /// What is wrong.
    pub faults: Vec<AuditFault>,
    /// Why the anchor could not be compared.
    pub unanchored: Option<String>,
}

/// Rows that are not what was written.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AuditFault {
    /// The first.
    pub from: u64,
    /// The last.
    pub to: u64,
    /// In words.
    pub what: String,
}

/// Answers `ContactExport`: a part of what is held on a person.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct ContactPage {
    /// One object for `person`, one each for messages and rows.
    pub rows: Vec<serde_json::Value>,
    /// `after` of the next page of this part; none at the end.
    pub next: Option<i64>,
}

/// The parts of `contact export`, in its order.
pub const CONTACT_PARTS: [&str; 3] = ["person", "messages", "audit"];

/// Answers `contact erase`, when it is done on the disk.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ErasureReport {
    /// One for each number.
    pub people: Vec<Erased>,
    /// Files beside the store that held old rows and are gone.
    pub removed: Vec<String>,
    /// Files beside the store that are not ours, and may hold the same.
    pub foreign: Vec<String>,
}

/// One number that was erased.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Erased {
    /// Masked.
    pub number: String,
    /// Whether anything was held.
    pub known: bool,
    /// Messages that no longer say whose they were.
    pub messages: u64,
    /// Of them, those that waited and are withdrawn.
    pub withdrawn: u64,
    /// Of them, those on their way, of which nobody will know whether they arrived.
    pub in_flight: u64,
    /// Lines of the ledger.
    pub ledger: u64,
    /// Stays on the list of those who took consent back, as a keyed hash.
    pub suppressed: bool,
}
