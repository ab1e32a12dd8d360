//! Receipts: one row per change of a message's state, read from a persisted cursor that advances when the broker acknowledges.
//!
//! Floor: rooms. At least once: after a crash those since the last committed cursor are published again.

use super::{Outbox, StoreError};
use crate::message::{MessageId, Number, Outcome, PersonId, ReceiptId};
use crate::time::{Moment, Wall};
use rusqlite::{OptionalExtension, params};

/// What is told to the broker, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Report {
    /// A change of a message.
    Receipt(Receipt),
    /// What a person wrote or pressed.
    Inbound {
        /// Its place.
        id: ReceiptId,
        /// The last level of the topic.
        kind: String,
        /// JSON, as it is published.
        payload: String,
    },
}

impl Report {
    /// Its place.
    pub fn id(&self) -> ReceiptId {
        match self {
            Report::Receipt(receipt) => receipt.id,
            Report::Inbound { id, .. } => *id,
        }
    }
}

/// One receipt as it is published.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Receipt {
    /// Its place.
    pub id: ReceiptId,
    /// The rule, for the topic; empty for events that no single rule owns.
    pub rule: String,
    /// The event's id.
    pub event: Option<String>,
    /// Our id.
    pub message: MessageId,
    /// The number, masked.
    pub to: Option<String>,
    /// Where the message stands.
    pub outcome: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub at: Wall,
}

impl Outbox {
    /// Adds a receipt for what just happened to a message.
    pub(super) fn add_receipt(
        &mut self,
        message: i64,
        outcome: Outcome,
        reason: &str,
        at: Wall,
    ) -> Result<(), StoreError> {
        let id = self.next_receipt;
        let digits: Option<String> = self
            .db
            .prepare_cached("SELECT opened('number', message, number) FROM content WHERE message = ?1")?
            .query_row([message], |row| row.get(0))
            .optional()?;
        let masked = digits.and_then(|digits| Number::of_digits(&digits).ok()).map(|number| number.to_string());
        self.write()?
            .prepare_cached(
                "INSERT INTO receipt (id, message, masked, outcome, reason, wall) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![id, message, masked, outcome.code(), reason, at.0])?;
        self.next_receipt += 1;
        self.adds_receipts = true;
        Ok(())
    }

    /// Adds what a person wrote, to be published in its turn.
    pub fn add_inbound(&mut self, person: PersonId, kind: &str, payload: &str, now: Moment) -> Result<(), StoreError> {
        let id = self.next_receipt;
        self.write()?
            .prepare_cached(
                "INSERT INTO receipt (id, outcome, reason, wall, person, kind, payload, boxed)
                 VALUES (?1, '', '', ?2, ?3, ?4, sealed('payload', ?1, ?5), ?6)",
            )?
            .execute(params![id, now.wall.reading().0, person.0, kind, payload, now.boxed.0])?;
        self.next_receipt += 1;
        self.adds_receipts = true;
        Ok(())
    }

    /// Whether the next commit holds a receipt that no commit held before.
    pub fn adds_receipts(&self) -> bool {
        self.writing && self.adds_receipts
    }

    /// What is to be told after `after`, at most `limit`.
    pub fn reports(&self, after: ReceiptId, limit: usize) -> Result<Vec<Report>, StoreError> {
        let mut query = self.db.prepare_cached(
            "SELECT receipt.id, rule, named_as('event', event), message.id, masked, receipt.outcome, receipt.reason, receipt.wall, kind,
                 opened('payload', receipt.id, payload)
             FROM receipt LEFT JOIN message ON message.id = receipt.message
             WHERE receipt.id > ?1 AND (message.id IS NOT NULL OR payload IS NOT NULL) ORDER BY receipt.id LIMIT ?2",
        )?;
        let rows = query.query_map(params![after.0, limit as i64], |row| {
            if let Some(payload) = row.get(9)? {
                return Ok(Report::Inbound { id: ReceiptId(row.get(0)?), kind: row.get(8)?, payload });
            }
            Ok(Report::Receipt(Receipt {
                id: ReceiptId(row.get(0)?),
                rule: row.get(1)?,
                event: row.get(2)?,
                message: MessageId(row.get(3)?),
                to: row.get(4)?,
                outcome: row.get(5)?,
                reason: row.get(6)?,
                at: Wall(row.get(7)?),
            }))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The broker has all receipts up to `id`.
    pub fn receipts_taken(&mut self, id: ReceiptId) -> Result<(), StoreError> {
        if id.0 <= self.row.receipts_taken {
            return Ok(());
        }
        let db = self.write()?;
        db.prepare_cached("UPDATE box SET receipts_taken = ?1")?.execute([id.0])?;
        db.prepare_cached("DELETE FROM receipt WHERE id <= ?1")?.execute([id.0])?;
        self.row.receipts_taken = id.0;
        Ok(())
    }

    /// The last receipt that was written, taken ones included.
    pub(super) fn last_receipt(&self) -> Result<i64, StoreError> {
        let last: Option<i64> = self.db.query_row("SELECT max(id) FROM receipt", [], |row| row.get(0))?;
        Ok(last.unwrap_or(0).max(self.row.receipts_taken))
    }
}
