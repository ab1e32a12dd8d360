//! What an operator may ask and what is answered: one set of words for the command line, the socket and the engine.
//!
//! Floor: words. The command line sends a `Request` as JSON over the socket, or steps it on the store when no daemon runs.

use crate::time::Wall;
use serde::{Deserialize, Serialize};

/// One question or order.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Request {
    /// Links, backlog, limits, holds, last outcomes, clock.
    Status,
    /// The text of `/metrics`.
    Metrics,
    /// A page of messages, newest first.
    OutboxList {
        /// Only this state or outcome, by its code.
        outcome: Option<String>,
        /// Continue below this row.
        before: Option<i64>,
        /// At most this many rows (1 to 200).
        limit: u32,
    },
    /// One message with its attempts, by the id that people see (`k3f9-1042`) or its number.
    OutboxShow {
        /// The id.
        id: String,
    },
    /// Hold what has not left: everything, or what the target names.
    Pause {
        /// What.
        target: Target,
        /// Why: shown in the status, kept in the store.
        reason: String,
    },
    /// Lift a hold.
    Resume {
        /// What.
        target: Target,
        /// Why.
        reason: String,
    },
    /// Record that a person agreed.
    ConsentGrant(Grant),
    /// Record that a person took it back.
    ConsentRevoke {
        /// The number as typed.
        number: String,
        /// Only this purpose; everything without.
        purpose: Option<String>,
    },
    /// What the ledger holds on a person.
    ConsentShow {
        /// The number as typed.
        number: String,
    },
    /// Rows of a CSV file, at most 500 at a time, all or nothing.
    ConsentImport {
        /// The rows with their line numbers.
        rows: Vec<LedgerLine>,
    },
    /// A page of the ledger.
    ConsentExport {
        /// Continue after this row.
        after: i64,
    },
    /// What would happen to an event; stores and sends nothing.
    Explain {
        /// The topic.
        topic: String,
        /// The payload.
        payload: String,
        /// As if it were this time; now without.
        at: Option<Wall>,
    },
}

/// What a pause or a resume is about.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// Everything, and whatever stopped the number.
    All,
    /// One rule.
    Rule(String),
    /// One category.
    Category(String),
    /// One template, all languages.
    Template(String),
}

/// A grant as typed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Grant {
    /// The number as typed.
    pub number: String,
    /// A purpose of the configuration.
    pub purpose: String,
    /// Where the consent was given.
    pub source: String,
    /// The wording that the person saw; the purpose's own without.
    pub wording: Option<String>,
    /// When it ends.
    pub expires: Option<Wall>,
    /// Lift an earlier revocation: only when the person asked for it again.
    pub after_revocation: bool,
}

/// One line of the consent CSV: `number,purpose,action,at,source,wording,expires`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LedgerLine {
    /// Its line in the file, for errors.
    pub line: u64,
    /// The number as written.
    pub number: String,
    /// A purpose, or `all` with `revoke`.
    pub purpose: String,
    /// `grant` or `revoke`.
    pub action: String,
    /// RFC 3339; empty for now.
    pub at: String,
    /// Where it was given.
    pub source: String,
    /// The wording that the person saw.
    pub wording: String,
    /// RFC 3339 or a date; empty for never.
    pub expires: String,
}

/// What is answered.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// Data as JSON; the command line renders it for people.
    Data(serde_json::Value),
    /// Plain text (metrics).
    Text(String),
    /// No, and why: for a person.
    Refused(String),
}
