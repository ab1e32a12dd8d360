//! Receipts: one row per change of a message's state, read from a persisted cursor that advances when the broker acknowledges.
//!
//! Floor: rooms. At least once: after a crash those since the last committed cursor are published again.

use super::{Outbox, StoreError};
use crate::message::{MessageId, Number, Outcome, ReceiptId};
use crate::time::Wall;
use rusqlite::{OptionalExtension, params};

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
            .prepare_cached("SELECT number FROM content WHERE message = ?1")?
            .query_row([message], |row| row.get(0))
            .optional()?;
        let masked = digits.and_then(|digits| Number::of_digits(&digits).ok()).map(|number| number.to_string());
        self.write()?
            .prepare_cached(
                "INSERT INTO receipt (id, message, masked, outcome, reason, wall) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![id, message, masked, outcome.code(), reason, at.0])?;
        self.next_receipt += 1;
        Ok(())
    }

    /// The next receipts after `after`, at most `limit`.
    pub fn receipts(&self, after: ReceiptId, limit: usize) -> Result<Vec<Receipt>, StoreError> {
        let mut query = self.db.prepare_cached(
            "SELECT receipt.id, rule, event, message.id, masked, receipt.outcome, receipt.reason, receipt.wall
             FROM receipt JOIN message ON message.id = receipt.message WHERE receipt.id > ?1 ORDER BY receipt.id LIMIT ?2",
        )?;
        let rows = query.query_map(params![after.0, limit as i64], |row| {
            Ok(Receipt {
                id: ReceiptId(row.get(0)?),
                rule: row.get(1)?,
                event: row.get(2)?,
                message: MessageId(row.get(3)?),
                to: row.get(4)?,
                outcome: row.get(5)?,
                reason: row.get(6)?,
                at: Wall(row.get(7)?),
            })
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
