//! Holds: what stops messages that are not the fault of their person. Kept until they end by time, token or operator.
//!
//! Floor: rooms. Which key stops which message is the engine's to ask; a held message is parked, so that it stands in nobody's way.

use super::{Outbox, StoreError, schema::state};
use crate::limits;
use crate::message::{MessageId, PersonId, Reason};
use crate::time::{BoxTime, Moment, Wall};
use rusqlite::params;

/// One hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hold {
    /// `number`, `all`, `rule:NAME`, `category:NAME`, `template:NAME`, `template:NAME/LANGUAGE`, `templates`,
    /// `country:CODE`, `person:ROW`.
    pub key: String,
    /// Why.
    pub reason: Reason,
    /// Since when.
    pub since: Wall,
    /// Until when; `None` until somebody or something lifts it.
    pub until: Option<BoxTime>,
    /// How often in a row: for the back-off.
    pub strikes: u32,
    /// What lifts it: `time`, `operator`, or `token:` and the fingerprint of the token that was refused.
    pub lift: String,
    /// For people: what the platform said, or why the operator paused.
    pub note: String,
    /// Somebody should look at it.
    pub loud: bool,
}

impl Outbox {
    /// All holds, by key.
    pub fn holds(&self) -> Result<Vec<Hold>, StoreError> {
        let mut query =
            self.db.prepare_cached("SELECT key, reason, since_wall, until, strikes, lift, note, loud FROM hold")?;
        let rows = query.query_map([], |row| {
            Ok(Hold {
                key: row.get(0)?,
                reason: Reason::of_code(row.get_ref(1)?.as_str().unwrap_or_default()).unwrap_or(Reason::Paused),
                since: Wall(row.get(2)?),
                until: row.get::<_, Option<i64>>(3)?.map(BoxTime),
                strikes: row.get(4)?,
                lift: row.get(5)?,
                note: row.get(6)?,
                loud: row.get(7)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Sets or replaces a hold.
    pub fn set_hold(&mut self, hold: &Hold, now: Moment) -> Result<(), StoreError> {
        self.write()?
            .prepare_cached(
                "INSERT OR REPLACE INTO hold (key, reason, since, since_wall, until, strikes, lift, note, loud)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                hold.key,
                hold.reason.code(),
                now.boxed.0,
                hold.since.0,
                hold.until.map(|at| at.0),
                hold.strikes,
                hold.lift,
                hold.note,
                hold.loud
            ])?;
        Ok(())
    }

    /// Lifts a hold. Its messages come back by [`release_parked`](Self::release_parked).
    pub fn lift_hold(&mut self, key: &str) -> Result<(), StoreError> {
        self.write()?.prepare_cached("DELETE FROM hold WHERE key = ?1")?.execute([key])?;
        Ok(())
    }

    /// Sets a message aside for `hold`; `until` for messages with a time of their own. The others come back most urgent first.
    pub fn park(
        &mut self,
        id: MessageId,
        hold: &str,
        reason: Reason,
        until: Option<BoxTime>,
    ) -> Result<(), StoreError> {
        self.write()?
            .prepare_cached(
                "UPDATE message SET state = ?1, hold = ?2, reason = ?3, due = coalesce(?4, rank) WHERE id = ?5",
            )?
            .execute(params![state::PARKED, hold, reason.code(), until.map(|at| at.0), id.0])?;
        Ok(())
    }

    /// Takes back at most [`limits::BATCH`] messages that are parked for `hold` and due by `until`, and names their people.
    pub fn release_parked(&mut self, hold: &str, until: BoxTime) -> Result<Vec<PersonId>, StoreError> {
        let found: Vec<(MessageId, PersonId)> = self
            .db
            .prepare_cached(
                "SELECT id, person FROM message INDEXED BY message_parked WHERE state = 3 AND hold = ?1 AND due <= ?2
                 ORDER BY due, id LIMIT ?3",
            )?
            .query_map(params![hold, until.0, limits::BATCH as i64], |row| {
                Ok((MessageId(row.get(0)?), PersonId(row.get(1)?)))
            })?
            .collect::<Result<_, _>>()?;
        self.unpark(found.iter().map(|(id, _)| *id))?;
        let mut people: Vec<_> = found.into_iter().map(|(_, person)| person).collect();
        people.sort_unstable();
        people.dedup();
        Ok(people)
    }

    /// The holds that messages are parked for.
    pub fn parked_holds(&self) -> Result<Vec<String>, StoreError> {
        let mut query =
            self.db.prepare_cached("SELECT DISTINCT hold FROM message WHERE state = 3 AND hold IS NOT NULL")?;
        Ok(query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
    }

    /// When the next message that is parked for `hold` comes back; of one that waits without a time, its rank.
    pub fn next_parked(&self, hold: &str) -> Result<Option<BoxTime>, StoreError> {
        let due: Option<i64> = self
            .db
            .prepare_cached("SELECT min(due) FROM message WHERE state = 3 AND hold = ?1")?
            .query_row([hold], |row| row.get(0))?;
        Ok(due.map(BoxTime))
    }
}
