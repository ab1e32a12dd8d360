//! What the platform's reports are about: which message, where it stands, and which reports came before.
//!
//! Floor: rooms. Finds and keeps; what a report does to a message is decided by the engine.

use super::{Outbox, StoreError, schema::state};
use crate::message::{AttemptId, MessageId, Outcome, Reason};
use rusqlite::{OptionalExtension, params};

/// How far a message came on this box.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// In the queue of its person, or set aside for a hold.
    Waiting,
    /// Its request is on its way.
    Posted,
    /// Nobody knows whether it arrived; it waits for a word.
    Unknown,
    /// Ended, for all that this box does.
    Settled,
}

/// Where a message stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Known {
    /// On this box.
    pub state: State,
    /// As told.
    pub outcome: Outcome,
    /// Tries so far.
    pub tries: u32,
    /// Of the platform's id of the latest attempt that it took.
    pub wamid: Option<i64>,
    /// Until when it waits for a word, where it does.
    pub due: crate::time::BoxTime,
}

impl Outbox {
    /// Whether a report about `wamid` may be about the attempt that the platform took: it is, or none is known.
    pub fn may_be(&self, known: &Known, wamid: &str) -> bool {
        known.wamid.is_none_or(|known| known == self.stops.wamid(wamid))
    }

    /// Where a message stands; `None` once it is forgotten.
    pub fn known(&self, id: MessageId) -> Result<Option<Known>, StoreError> {
        Ok(self
            .db
            .prepare_cached("SELECT state, outcome, tries, wamid_hash, due FROM message WHERE id = ?1")?
            .query_row([id.0], |row| {
                Ok(Known {
                    state: match row.get(0)? {
                        state::WAITING | state::PARKED => State::Waiting,
                        state::UNKNOWN => State::Unknown,
                        state::SETTLED => State::Settled,
                        _ => State::Posted,
                    },
                    outcome: Outcome::of_code(row.get_ref(1)?.as_str().unwrap_or_default())
                        .unwrap_or(Outcome::Unreadable),
                    tries: row.get(2)?,
                    wamid: row.get(3)?,
                    due: crate::time::BoxTime(row.get(4)?),
                })
            })
            .optional()?)
    }

    /// The message that the platform knows by this id.
    pub fn of_wamid(&self, wamid: &str) -> Result<Option<MessageId>, StoreError> {
        Ok(self
            .db
            .prepare_cached(
                "SELECT id FROM message INDEXED BY message_wamid WHERE wamid_hash = ?1 ORDER BY id DESC LIMIT 1",
            )?
            .query_row([self.stops.wamid(wamid)], |row| row.get(0).map(MessageId))
            .optional()?)
    }

    /// The message's attempts that may have arrived, or did: all but those that were surely not sent or refused.
    pub fn attempts_in_doubt(&self, id: MessageId) -> Result<Vec<AttemptId>, StoreError> {
        let mut query = self.db.prepare_cached(
            "SELECT id FROM attempt WHERE message = ?1 AND (spent = 2 OR answered IS NULL OR reason = ?2) ORDER BY id",
        )?;
        let rows = query.query_map(params![id.0, Reason::Taken.code()], |row| row.get(0).map(AttemptId))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The message's last try.
    pub fn latest_attempt(&self, id: MessageId) -> Result<Option<AttemptId>, StoreError> {
        let mut query = self.db.prepare_cached("SELECT max(id) FROM attempt WHERE message = ?1")?;
        Ok(query.query_row([id.0], |row| row.get::<_, Option<i64>>(0))?.map(AttemptId))
    }

    /// The message's attempts of which a report alone says that they arrived.
    pub fn attempts_reported(&self, id: MessageId) -> Result<Vec<AttemptId>, StoreError> {
        let mut query =
            self.db.prepare_cached("SELECT id FROM attempt WHERE message = ?1 AND reason = ?2 ORDER BY id")?;
        let rows = query.query_map(params![id.0, Reason::Reported.code()], |row| row.get(0).map(AttemptId))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The platform reported that an attempt failed before it answered it: kept with it, until the answer comes.
    pub fn failed_early(&mut self, attempt: AttemptId, code: i64) -> Result<(), StoreError> {
        self.write()?
            .prepare_cached("UPDATE attempt SET code = ?1 WHERE id = ?2 AND answered IS NULL")?
            .execute(params![code, attempt.0])?;
        Ok(())
    }

    /// The code of such a report, while the attempt has no answer.
    pub fn early_failure(&self, attempt: AttemptId) -> Result<Option<i64>, StoreError> {
        Ok(self
            .db
            .prepare_cached("SELECT code FROM attempt WHERE id = ?1 AND answered IS NULL")?
            .query_row([attempt.0], |row| row.get(0))
            .optional()?
            .flatten())
    }
}
