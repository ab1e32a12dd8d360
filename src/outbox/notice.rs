//! What the platform's reports are about: which message, where it stands, and which reports came before.
//!
//! Floor: rooms. Finds and keeps; what a report does to a message is decided by the engine.

use super::{Outbox, Spent, StoreError, schema::state};
use crate::message::{AttemptId, MessageId, Outcome, PersonId, Reason};
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

/// What an answer finds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asked {
    /// Its message ended already: by a report.
    pub settled: bool,
    /// It is the message's first try.
    pub first: bool,
    /// The platform's id of the try where a report on it came before, and the code where that was one of failure.
    pub reported: Option<(i64, Option<i64>)>,
}

/// What is known of one try.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tried {
    /// On its way.
    Open,
    /// The platform took it, as its answer or a report says. Whether it arrived is not said by that.
    Taken,
    /// It ended without an answer.
    Unknown,
    /// It surely did not arrive.
    Failed,
}

/// One attempt of a message that left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Try {
    /// Its row.
    pub id: AttemptId,
    /// Of the platform's id, as far as an answer or a report told it.
    pub wamid: Option<i64>,
    /// What is known of it.
    pub tried: Tried,
}

impl Try {
    /// The one that a report is about: whose id it names; else one whose id nobody knows yet, that which is on its way before the
    /// oldest that was not answered. Tries of one message are told apart by nothing else, and alike for whoever receives them.
    pub fn named(tries: &[Try], wamid: i64) -> Option<Try> {
        let nameless = |tried| tries.iter().find(move |one| one.wamid.is_none() && one.tried == tried);
        let known = tries.iter().find(|one| one.wamid == Some(wamid));
        known.or_else(|| [Tried::Open, Tried::Taken, Tried::Unknown].into_iter().find_map(nameless)).copied()
    }
}

impl Outbox {
    /// What the platform's id is found by.
    pub fn wamid_hash(&self, wamid: &str) -> i64 {
        self.stops.wamid(wamid)
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

    /// The message that the platform knows by this id, of whomever: among the last ones only, for no index begins with the id. Beside
    /// the person it lies in a block that the message's attempt writes anyhow.
    pub fn of_wamid_lately(&self, wamid: &str) -> Result<Option<MessageId>, StoreError> {
        Ok(self
            .db
            .prepare_cached(
                "SELECT id FROM message WHERE id > (SELECT max(id) FROM message) - 1000 AND wamid_hash = ?1 ORDER BY id DESC LIMIT 1",
            )?
            .query_row([self.stops.wamid(wamid)], |row| row.get(0).map(MessageId))
            .optional()?)
    }

    /// How many attempts of a message this code refused, in an answer or a report.
    pub fn refused_by(&self, id: MessageId, code: i64) -> Result<u32, StoreError> {
        Ok(self
            .db
            .prepare_cached("SELECT count(*) FROM attempt INDEXED BY attempt_message WHERE message = ?1 AND code = ?2")?
            .query_row([id.0, code], |row| row.get(0))?)
    }

    /// The person's message that the platform knows by this id.
    pub fn of_wamid(&self, person: PersonId, wamid: &str) -> Result<Option<MessageId>, StoreError> {
        Ok(self
            .db
            .prepare_cached(
                "SELECT id FROM message INDEXED BY message_wamid WHERE person = ?1 AND wamid_hash = ?2 ORDER BY id DESC LIMIT 1",
            )?
            .query_row([person.0, self.stops.wamid(wamid)], |row| row.get(0).map(MessageId))
            .optional()?)
    }

    /// The message's tries that left, and may have arrived or failed only later; oldest first.
    pub fn tries(&self, id: MessageId) -> Result<Vec<Try>, StoreError> {
        let mut query = self.db.prepare_cached(
            "SELECT a.id, coalesce(a.wamid_hash, iif(a.reason = ?2, m.wamid_hash, NULL)), answered IS NULL, spent, a.reason
             FROM attempt AS a JOIN message AS m ON m.id = a.message WHERE a.message = ?1 AND spent IN (1, 2) ORDER BY a.id",
        )?;
        let rows = query.query_map(params![id.0, Reason::Taken.code()], |row| {
            let (open, unknown): (bool, bool) = (row.get(2)?, row.get::<_, i64>(3)? == Spent::Unknown as i64);
            let reason: Option<String> = row.get(4)?;
            let taken = [Reason::Taken, Reason::Reported].iter().any(|taken| reason.as_deref() == Some(taken.code()));
            let wamid: Option<i64> = row.get(1)?;
            let tried = match (open, taken, unknown) {
                (true, ..) => Tried::Open,
                (_, true, _) => Tried::Taken,
                // No answer came, but a report did.
                (.., true) if wamid.is_some() => Tried::Taken,
                (.., true) => Tried::Unknown,
                _ => Tried::Failed,
            };
            Ok(Try { id: AttemptId(row.get(0)?), wamid, tried })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The platform knows an attempt by this id. Of the only one, taken as the platform answered, the message knows it.
    pub fn name_attempt(&mut self, attempt: AttemptId, wamid: i64) -> Result<(), StoreError> {
        self.write()?
            .prepare_cached("UPDATE attempt SET wamid_hash = ?1 WHERE id = ?2")?
            .execute(params![wamid, attempt.0])?;
        Ok(())
    }

    /// The platform reported that an attempt failed before it answered it: kept with it, until the answer comes.
    pub fn failed_early(&mut self, attempt: AttemptId, code: i64) -> Result<(), StoreError> {
        self.write()?
            .prepare_cached("UPDATE attempt SET code = ?1 WHERE id = ?2 AND answered IS NULL")?
            .execute(params![code, attempt.0])?;
        Ok(())
    }

    /// What an answer is to: where its message stands, and what was reported of the try before.
    pub fn asked(&self, attempt: AttemptId) -> Result<Asked, StoreError> {
        let found = self
            .db
            .prepare_cached(
                "SELECT m.state, a.try, a.wamid_hash, a.code FROM attempt AS a JOIN message AS m ON m.id = a.message
                 WHERE a.id = ?1",
            )?
            .query_row([attempt.0], |row| {
                let wamid: Option<i64> = row.get(2)?;
                let code = row.get(3)?;
                Ok(Asked {
                    settled: row.get::<_, i64>(0)? == state::SETTLED,
                    first: row.get::<_, i64>(1)? <= 1,
                    reported: wamid.map(|wamid| (wamid, code)),
                })
            })
            .optional()?;
        Ok(found.unwrap_or(Asked { settled: false, first: true, reported: None }))
    }
}
