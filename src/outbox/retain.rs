//! What is forgotten, and when: contents, settled messages with their receipts, people of whom nothing is left. In slices, so that no step takes long.
//!
//! Floor: rooms.

use super::{Outbox, StoreError, schema::state};
use crate::limits;
use crate::message::MessageId;
use crate::time::{BoxTime, millis};
use rusqlite::params;
use std::time::Duration;

/// Rows that one slice may delete: about 100 KiB of write-ahead log.
const SLICE: i64 = 256;
/// The platform sends what it got no 200 for again for 7 days (facts 4.1); a day more for its clocks.
const HEARD: Duration = Duration::from_secs(8 * 24 * 60 * 60);
/// What was sent to somebody who was erased is counted as long as the day's people are: 24 hours and the minute that `pace` adds.
pub(super) const SPENT: Duration = Duration::from_secs(24 * 60 * 60 + 60);
const OLD_CONTENTS: &str = "SELECT content.message, state, changed, arrived FROM content
     CROSS JOIN message ON message.id = content.message ORDER BY content.message";
/// The platform's id holds the digits of the number (facts 1.5): it goes with the content.
const FORGET_CONTENT: [&str; 2] =
    ["DELETE FROM content WHERE message = ?1", "UPDATE message SET wamid = NULL WHERE id = ?1 AND wamid IS NOT NULL"];
const PERSON: [&str; 3] =
    ["DELETE FROM alias WHERE person = ?1", "DELETE FROM lane WHERE person = ?1", "DELETE FROM person WHERE id = ?1"];
/// The newest stays, so that no id is given twice.
const OLD_MESSAGES: &str =
    "SELECT id, state, changed, arrived FROM message WHERE id < (SELECT max(id) FROM message) ORDER BY id";

impl Outbox {
    /// Deletes one slice of what is past its time; whether there may be more.
    ///
    /// Ids grow with arrival, so the oldest are at the front; what still waits there is passed over (it expires within hours).
    pub fn forget(&mut self, now: BoxTime) -> Result<bool, StoreError> {
        let contents = now.0 - millis(self.settings.keep_content);
        let settled = now.0 - millis(self.settings.keep_settled);
        let more = self.forget_contents(contents, SLICE)? == SLICE;
        let more = self.forget_messages(settled, SLICE)? == SLICE || more;
        self.forget_heard(now, settled)?;
        self.forget_people(settled, now)?;
        self.forget_spent(now)?;
        self.forget_aside(now)?;
        let more = self.forget_audit(now)? || more;
        if !more {
            // Whatever it missed: read anew once in a while.
            self.turns.forget();
        }
        Ok(more)
    }

    /// Deletes people to whom nothing happened since `before`: their messages are forgotten by then. Whom a cap may still count
    /// stays longer; who stands in the ledger stays, and so does whom the platform told us to leave alone. Looks at one slice of
    /// people a call, and at the next at the next.
    fn forget_people(&mut self, before: i64, now: BoxTime) -> Result<(), StoreError> {
        let mut query = self.db.prepare_cached(
            "SELECT lane.person, lane.seen < iif(recent = x'', ?3, min(?3, ?6)) AND due IS NULL AND NOT marketing_stopped
                 AND coalesce(undeliverable, 0) <= ?4 AND coalesce(not_before, 0) <= ?4
                 AND NOT EXISTS (SELECT 1 FROM ledger WHERE ledger.sender = lane.sender AND ledger.person = lane.person)
             FROM lane WHERE sender = ?1 AND lane.person > ?2 ORDER BY lane.person LIMIT ?5",
        )?;
        let looked: Vec<(i64, bool)> = query
            .query_map(
                params![self.sender.0, self.people_looked_at, before, now.0, SLICE, now.0 - millis(limits::CAP_WINDOW)],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?
            .collect::<Result<_, _>>()?;
        drop(query);
        self.people_looked_at = if looked.len() as i64 == SLICE { looked.last().map_or(0, |last| last.0) } else { 0 };
        let gone: Vec<i64> = looked.into_iter().filter(|(_, gone)| *gone).map(|(person, _)| person).collect();
        self.delete(&gone, &PERSON).map(drop)
    }

    /// Of who was erased the last trace goes when nothing of the last 24 hours counts any more.
    fn forget_spent(&mut self, now: BoxTime) -> Result<(), StoreError> {
        let mut query = self.db.prepare_cached(
            "SELECT DISTINCT alias.person FROM alias INDEXED BY alias_spent
                 LEFT JOIN lane ON lane.sender = ?1 AND lane.person = alias.person
             WHERE kind = 2 AND max(coalesce(reached, 0), coalesce(pair_last, 0)) <= ?2 LIMIT ?3",
        )?;
        let gone: Vec<i64> = query
            .query_map(params![self.sender.0, now.0 - millis(SPENT), SLICE], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        drop(query);
        self.delete(&gone, &PERSON).map(drop)
    }

    /// What people wrote: known for as long as the platform may send it again; kept for the broker as long as receipts are.
    fn forget_heard(&mut self, now: BoxTime, settled: i64) -> Result<(), StoreError> {
        let heard = now.0 - millis(HEARD);
        self.write_if(
            "SELECT EXISTS (SELECT 1 FROM heard WHERE boxed < ?1)",
            &format!("DELETE FROM heard WHERE print IN (SELECT print FROM heard WHERE boxed < ?1 ORDER BY boxed LIMIT {SLICE})"),
            heard,
        )?;
        self.write_if(
            "SELECT EXISTS (SELECT 1 FROM receipt WHERE message IS NULL AND boxed < ?1)",
            &format!("DELETE FROM receipt WHERE id IN (SELECT id FROM receipt WHERE message IS NULL AND boxed < ?1 LIMIT {SLICE})"),
            settled,
        )
    }

    /// Makes room by forgetting the contents of settled messages before their time, oldest first; how many.
    pub fn forget_early(&mut self) -> Result<i64, StoreError> {
        let mut ids = std::mem::take(&mut self.forgettable);
        if ids.is_empty() && self.more_forgettable {
            ids = self.ids(OLD_CONTENTS, i64::MAX, SLICE)?;
            self.more_forgettable = ids.len() as i64 == SLICE;
        }
        self.delete(&ids, &FORGET_CONTENT)
    }

    /// Remembers that the content of a message that just ended may go early.
    pub(super) fn forgettable(&mut self, id: i64) {
        if self.forgettable.len() < SLICE as usize {
            self.forgettable.push(id);
        } else {
            self.more_forgettable = true;
        }
    }

    /// Forgets the content of one settled message.
    pub fn forget_content(&mut self, id: MessageId) -> Result<(), StoreError> {
        self.write()?.prepare_cached("DELETE FROM content WHERE message = ?1")?.execute([id.0])?;
        Ok(())
    }

    fn forget_contents(&mut self, before: i64, limit: i64) -> Result<i64, StoreError> {
        let ids = self.ids(OLD_CONTENTS, before, limit)?;
        self.delete(&ids, &FORGET_CONTENT)
    }

    fn forget_messages(&mut self, before: i64, limit: i64) -> Result<i64, StoreError> {
        let ids = self.ids(OLD_MESSAGES, before, limit)?;
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

    /// From the oldest up to the first that is too young: no slice looks at more than it deletes, and what still waits there.
    fn ids(&self, query: &str, before: i64, limit: i64) -> Result<Vec<i64>, StoreError> {
        let mut query = self.db.prepare_cached(query)?;
        let (mut rows, mut ids) = (query.query([])?, Vec::new());
        while let Some(row) = rows.next()? {
            let (id, state, changed, arrived): (i64, i64, i64, i64) =
                (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            if arrived >= before || ids.len() as i64 == limit {
                break;
            }
            if state == state::SETTLED && changed < before {
                ids.push(id);
            }
        }
        Ok(ids)
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
