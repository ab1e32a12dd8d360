//! What is forgotten, and when: contents, settled messages, receipts of forgotten messages. In slices, so that no step takes long.
//!
//! Floor: rooms.

use super::{Outbox, StoreError, schema::state};
use crate::message::MessageId;
use crate::time::{BoxTime, millis};
use rusqlite::params;

/// Rows that one slice may delete: about 100 KiB of write-ahead log.
const SLICE: i64 = 256;

impl Outbox {
    /// Deletes one slice of what is past its time; whether there may be more.
    ///
    /// Ids grow with arrival, so the oldest are at the front; what still waits there is passed over (it expires within hours).
    pub fn forget(&mut self, now: BoxTime) -> Result<bool, StoreError> {
        let contents = now.0 - millis(self.settings.keep_content);
        let settled = now.0 - millis(self.settings.keep_settled);
        let more = self.forget_contents(contents, SLICE)? == SLICE;
        Ok(self.forget_messages(settled, SLICE)? == SLICE || more)
    }

    /// Makes room by forgetting the contents of settled messages before their time, oldest first; how many.
    pub fn forget_early(&mut self) -> Result<i64, StoreError> {
        self.forget_contents(i64::MAX, SLICE)
    }

    /// Forgets the content of one settled message.
    pub fn forget_content(&mut self, id: MessageId) -> Result<(), StoreError> {
        self.write()?.prepare_cached("DELETE FROM content WHERE message = ?1")?.execute([id.0])?;
        Ok(())
    }

    fn forget_contents(&mut self, before: i64, limit: i64) -> Result<i64, StoreError> {
        let ids = self.ids(
            "SELECT content.message FROM content JOIN message ON message.id = content.message
             WHERE message.state = ?1 AND message.changed < ?2 AND message.arrived < ?2 ORDER BY content.message LIMIT ?3",
            before,
            limit,
        )?;
        self.delete(&ids, &["DELETE FROM content WHERE message = ?1"])
    }

    fn forget_messages(&mut self, before: i64, limit: i64) -> Result<i64, StoreError> {
        let ids = self.ids(
            "SELECT id FROM message WHERE state = ?1 AND changed < ?2 AND arrived < ?2 ORDER BY id LIMIT ?3",
            before,
            limit,
        )?;
        self.delete(
            &ids,
            &[
                "DELETE FROM receipt WHERE message = ?1",
                "DELETE FROM attempt WHERE message = ?1",
                "DELETE FROM content WHERE message = ?1",
                "DELETE FROM message WHERE id = ?1",
            ],
        )
    }

    fn ids(&self, query: &str, before: i64, limit: i64) -> Result<Vec<i64>, StoreError> {
        let mut query = self.db.prepare_cached(query)?;
        let rows = query.query_map(params![state::SETTLED, before, limit], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn delete(&mut self, ids: &[i64], statements: &[&str]) -> Result<i64, StoreError> {
        if ids.is_empty() {
            return Ok(0);
        }
        let db = self.write()?;
        for statement in statements {
            let mut delete = db.prepare_cached(statement)?;
            for id in ids {
                delete.execute([id])?;
            }
        }
        Ok(ids.len() as i64)
    }
}
