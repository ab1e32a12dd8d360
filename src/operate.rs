//! What an operator may ask and what is answered: one set of words for the command line, the socket and the engine.
//!
//! Floor: words. The command line sends a `Request` as JSON over the socket, or steps it on the store when no daemon runs.

mod flattened;
mod limit;
mod number;
mod replies;
mod rights;
mod wear;

pub use limit::LimitRow;
pub use number::{NumberTold, Reports};
pub use replies::*;
pub use rights::*;
pub use wear::{OnBoard, Written};

use crate::message::Priority;
use crate::time::Wall;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// What waits for one commit waits so long: twice what an SD card was seen to stall is 10 s.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// The longest [`Request::patience`].
pub const PATIENCE_MAX: Duration = Duration::from_secs(15 * 60);

/// One question or order. `Debug` shows only which: it may hold numbers and payloads.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
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
        /// More of the same file follow.
        #[serde(default)]
        more: bool,
        /// It is the whole ledger: what is held since the store was damaged goes on with the last row.
        #[serde(default)]
        releases: bool,
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
    /// Accept what was lost with a damaged store, and what is held for it goes on; or else what the notices may have missed.
    AcceptLoss {
        /// Why: told, and kept in the log.
        reason: String,
    },
    /// Rows of a table of the store as JSON.
    OutboxExport {
        /// Which: see `operate::EXPORTED`.
        table: String,
        /// Continue after this row.
        after: i64,
    },
    /// What the limits of people hold on another box, which this one replaces: at most 500 at a time, all or nothing.
    LimitsImport {
        /// As that box exported them.
        rows: Vec<LimitRow>,
    },
    /// Pieces of the audit record.
    AuditPage {
        /// Continue behind this row.
        after: u64,
    },
    /// A part of what is held on a person.
    ContactExport {
        /// The number as typed.
        number: String,
        /// Which: see `operate::CONTACT_PARTS`.
        part: String,
        /// Continue after this.
        after: i64,
    },
    /// Remove people: answered when they are gone from the disk.
    ContactErase {
        /// Their numbers as typed.
        numbers: Vec<String>,
    },
    /// Say something to one person, through the same policy and limits as a rule's messages.
    Send(SendOrder),
}

/// A message as an operator asks for it.
#[derive(Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SendOrder {
    /// A number as typed, or `people:NAME`.
    pub to: String,
    /// A template of the platform's list.
    pub template: String,
    /// Its language.
    pub language: String,
    /// The purpose whose consent it needs.
    pub purpose: String,
    /// The body's parameters: by place, or `NAME=VALUE` where the template names them.
    #[serde(default)]
    pub params: Vec<String>,
    /// The header's parameter: a text, the address of a file, or `LATITUDE,LONGITUDE,NAME,ADDRESS`.
    #[serde(default)]
    pub header: Option<String>,
    /// The name of a header's document.
    #[serde(default)]
    pub filename: Option<String>,
    /// One for each button that takes something, in the template's order.
    #[serde(default)]
    pub buttons: Vec<String>,
    /// What it may overtake.
    #[serde(default)]
    pub priority: Priority,
    /// Only say what would become of it.
    #[serde(default)]
    pub dry_run: bool,
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
#[derive(Clone, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, PartialEq, Serialize, Deserialize)]
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

/// What is answered. `Debug` shows the data of no reply: an export holds numbers.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// Data as JSON; the command line renders it for people.
    Data(serde_json::Value),
    /// Plain text (metrics).
    Text(String),
    /// No, and why: for a person.
    Refused(String),
}

impl Request {
    /// The command as it is written in JSON and logs: `consent-grant`.
    pub fn name(&self) -> &'static str {
        match self {
            Request::Status => "status",
            Request::Metrics => "metrics",
            Request::OutboxList { .. } => "outbox-list",
            Request::OutboxShow { .. } => "outbox-show",
            Request::Pause { .. } => "pause",
            Request::Resume { .. } => "resume",
            Request::ConsentGrant(_) => "consent-grant",
            Request::ConsentRevoke { .. } => "consent-revoke",
            Request::ConsentShow { .. } => "consent-show",
            Request::ConsentImport { .. } => "consent-import",
            Request::LimitsImport { .. } => "limits-import",
            Request::ConsentExport { .. } => "consent-export",
            Request::Explain { .. } => "explain",
            Request::Send(_) => "send",
            Request::AcceptLoss { .. } => "accept-loss",
            Request::OutboxExport { .. } => "outbox-export",
            Request::AuditPage { .. } => "audit-page",
            Request::ContactExport { .. } => "contact-export",
            Request::ContactErase { .. } => "contact-erase",
        }
    }

    /// Whether it changes nothing: such a question can be answered when the store takes no writing.
    pub fn only_looks(&self) -> bool {
        match self {
            Request::Status
            | Request::Metrics
            | Request::OutboxList { .. }
            | Request::OutboxShow { .. }
            | Request::ConsentShow { .. }
            | Request::ConsentExport { .. }
            | Request::OutboxExport { .. }
            | Request::AuditPage { .. }
            | Request::Explain { .. } => true,
            Request::Send(order) => order.dry_run,
            // That somebody asked for a person's data is a row of the audit record: once, with the first part.
            Request::ContactExport { part, .. } => part != CONTACT_PARTS[0],
            Request::Pause { .. }
            | Request::Resume { .. }
            | Request::ConsentGrant(_)
            | Request::ConsentRevoke { .. }
            | Request::AcceptLoss { .. }
            | Request::ContactErase { .. }
            | Request::LimitsImport { .. }
            | Request::ConsentImport { .. } => false,
        }
    }

    /// How long an answer may take. Most wait for one commit; an erasure writes the whole store anew: 15 minutes are 256 MiB, twice,
    /// at 600 KiB a second.
    pub fn patience(&self) -> Duration {
        match self {
            Request::ContactErase { .. } => PATIENCE_MAX,
            _ => PATIENCE,
        }
    }
}

impl Reply {
    /// `Data` of one of the types in this module (or `Refused`, should it not be JSON: an infinite number in a float).
    pub fn data(of: &impl Serialize) -> Reply {
        match serde_json::to_value(of) {
            Ok(value) => Reply::Data(value),
            Err(error) => Reply::Refused(format!("the answer cannot be written as JSON: {error}")),
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({})", self.name())
    }
}

impl fmt::Debug for SendOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SendOrder({})", self.template)
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Grant({})", self.purpose)
    }
}

impl fmt::Debug for LedgerLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LedgerLine({} {} {})", self.line, self.action, self.purpose)
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reply::Data(_) => f.write_str("Data(..)"),
            Reply::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Reply::Refused(why) => write!(f, "Refused({why})"),
        }
    }
}

/// Reads a moment as people write it: RFC 3339; without an offset, or only a date (its first moment), as of `zone`.
///
/// # Errors
/// In words, to follow what was written.
pub fn moment(text: &str, zone: &TimeZone) -> Result<Wall, String> {
    let text = text.trim();
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Ok(Wall(instant.as_millisecond()));
    }
    let civil: jiff::civil::DateTime =
        text.parse().map_err(|_| "is no time: write 2026-11-22, 2026-11-22T21:30 or 2026-11-22T21:30:00-03:00")?;
    let zoned = civil.to_zoned(zone.clone()).map_err(|error| format!("is no time there: {error}"))?;
    Ok(Wall(zoned.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_people_write_them() {
        let zone = TimeZone::get("America/Sao_Paulo").unwrap();
        #[rustfmt::skip]
        let table = [
            ("2026-11-22T21:30:00-03:00", Some("2026-11-23T00:30:00.000Z")),
            ("2026-11-22T21:30:00Z", Some("2026-11-22T21:30:00.000Z")),
            ("2026-11-22T21:30", Some("2026-11-23T00:30:00.000Z")),
            (" 2026-11-22 21:30:15 ", Some("2026-11-23T00:30:15.000Z")),
            ("2026-11-22", Some("2026-11-22T03:00:00.000Z")),
            ("22/11/2026", None),
            ("2026-13-01", None),
            ("tomorrow", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(moment(text, &zone).ok().map(Wall::rfc3339).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn debug_shows_no_number_and_no_payload() {
        let requests = [
            Request::ConsentShow { number: "+5511987654321".into() },
            Request::ConsentRevoke { number: "+5511987654321".into(), purpose: None },
            Request::Explain { topic: "pos/1".into(), payload: r#"{"phone":"+5511987654321"}"#.into(), at: None },
            Request::ConsentImport { rows: vec![line()], more: false, releases: false },
            Request::Send(order()),
            Request::ConsentImport { rows: vec![line()], more: false, releases: false },
        ];
        let row = LedgerRow {
            row: 1,
            number: "+5511987654321".into(),
            purpose: "orders".into(),
            action: "grant".into(),
            at: None,
            source: "till".into(),
            wording: String::new(),
            expires: None,
        };
        let reply = Reply::data(&LedgerPage { rows: vec![row.clone()], next: None });
        let shown = format!("{requests:?} {reply:?} {row:?} {:?} {:?}", line(), order());
        assert!(!shown.contains("987654321"), "{shown}");
        assert!(shown.contains("consent-import"));
    }

    #[test]
    fn the_name_is_the_one_in_json() {
        let requests = [
            Request::Status,
            Request::ConsentExport { after: 3 },
            Request::ConsentImport { rows: vec![line()], more: false, releases: false },
            Request::Send(order()),
            Request::ConsentImport { rows: vec![line()], more: false, releases: false },
        ];
        for request in requests {
            let json = serde_json::to_value(&request).unwrap();
            assert_eq!(json["command"], request.name());
            assert_eq!(serde_json::from_value::<Request>(json).unwrap(), request);
        }
    }

    fn order() -> SendOrder {
        SendOrder {
            to: "+5511987654321".into(),
            template: "order_ready".into(),
            language: "pt_BR".into(),
            purpose: "orders".into(),
            params: vec!["11987654321".into()],
            header: None,
            filename: None,
            buttons: vec![],
            priority: Priority::Normal,
            dry_run: false,
        }
    }

    fn line() -> LedgerLine {
        LedgerLine {
            line: 2,
            number: "+5511987654321".into(),
            purpose: "orders".into(),
            action: "grant".into(),
            at: String::new(),
            source: "till".into(),
            wording: String::new(),
            expires: String::new(),
        }
    }
}
