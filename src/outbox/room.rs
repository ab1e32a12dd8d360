//! Room: what the file may still take in, for whom it is kept, and who gives way.
//!
//! Floor: rooms. It counts; whether something waits or gives way is asked by the engine, and it never reads a clock.

use super::message::STANDING;
use super::{Outbox, StoreError, WhenFull};
use crate::limits;
use crate::message::{Draft, MessageId, Priority};
use rusqlite::OptionalExtension;

/// Bytes of the file that one row with texts of so many bytes surely does not exceed. Its indexes, its person and their consent, and a
/// page for each text that does not fill it, come on top: 4 KiB.
pub fn row_bytes(texts: usize) -> u64 {
    8 * super::PAGE + texts as u64
}

/// The same for one message.
pub fn draft_bytes(draft: &Draft) -> u64 {
    // A body that cannot be written as JSON is refused when it is stored. The subject stands in its index besides.
    let body = serde_json::to_string(draft.content()).map_or(0, |body| body.len());
    row_bytes(body + draft.source().topic.len() + 2 * draft.terms().subject.as_deref().map_or(0, str::len))
}

impl Outbox {
    /// Whether there is room for so many rows of an event, which take at most `bytes`. A tenth of `outbox.max_bytes` is kept for critical messages, notices and
    /// outcomes; of it the last fifth for outcomes alone, which no event may reach into, however much it asks for.
    ///
    /// Within one transaction the pages are counted again, and `bytes` asked, only after as many messages as surely fit.
    pub fn has_room(&mut self, priority: Priority, rows: u64, bytes: impl Fn() -> u64) -> Result<bool, StoreError> {
        if self.writing && self.surely_fit >= rows.max(1) {
            return Ok(true);
        }
        let (used, hundredth) = (self.used_bytes()?, self.settings.max_bytes / 100);
        if self.writing {
            self.surely_fit = (hundredth * 90).saturating_sub(used) / limits::MESSAGE_ROWS;
        }
        let most = hundredth * if priority == Priority::Critical { 98 } else { 90 };
        Ok(used < most && used + bytes() <= hundredth * 98)
    }

    /// How many outcomes surely fit into what is left of the file's bound. Where `least` do not, contents of settled messages go
    /// before their time, and then what the audit record has beyond an eighth of the store.
    pub fn room_for_outcomes(&mut self, least: usize) -> Result<usize, StoreError> {
        loop {
            let pages: i64 = self.db.prepare_cached("PRAGMA max_page_count")?.query_row([], |row| row.get(0))?;
            let left = (pages as u64 * super::PAGE).saturating_sub(self.used_bytes()?);
            let fit = usize::try_from(left / limits::OUTCOME).unwrap_or(usize::MAX);
            if fit >= least || (self.forget_early()? == 0 && !self.forget_audit_early()?) {
                return Ok(fit);
            }
        }
    }

    /// Whether only the reserve is left: what a message's row grows by when it is parked would be taken from it.
    pub fn is_tight(&self) -> Result<bool, StoreError> {
        Ok(self.used_bytes()? >= self.settings.max_bytes / 100 * 90)
    }

    /// What gives way to a message of this priority when there is no room: the oldest of the lowest priority.
    ///
    /// Under `hold` only critical messages displace, and never each other.
    pub fn displaceable(&mut self, newcomer: Priority) -> Result<Option<MessageId>, StoreError> {
        let lowest = match self.settings.when_full {
            WhenFull::Hold if newcomer != Priority::Critical => return Ok(None),
            _ if newcomer == Priority::Critical => Priority::High.rank(),
            _ => newcomer.rank(),
        };
        while let Some(id) = self.displaceable.pop() {
            let found: Option<i64> = self
                .db
                .prepare_cached("SELECT rank FROM message WHERE id = ?1 AND state IN (0, 3)")?
                .query_row([id.0], |row| row.get(0))
                .optional()?;
            if found.is_some_and(|rank| rank >= lowest) {
                return Ok(Some(id));
            }
        }
        (self.displaceable_rank, self.displaceable) = self.least_important(lowest)?;
        Ok(self.displaceable.pop())
    }

    /// One scan finds as many as a burst will need, the one to go first last.
    fn least_important(&self, lowest: i64) -> Result<(i64, Vec<MessageId>), StoreError> {
        let rank: Option<i64> =
            self.db.query_row(&format!("SELECT max(rank) {STANDING} AND state <> 1"), [], |row| row.get(0))?;
        let Some(rank) = rank.filter(|rank| *rank >= lowest) else { return Ok((lowest, Vec::new())) };
        let mut query = self
            .db
            .prepare_cached(&format!("SELECT id {STANDING} AND state <> 1 AND rank = ?1 ORDER BY id LIMIT 256"))?;
        let mut ids: Vec<_> = query.query_map([rank], |row| row.get(0).map(MessageId))?.collect::<Result<_, _>>()?;
        ids.reverse();
        Ok((rank, ids))
    }
}
