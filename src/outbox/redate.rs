//! Time off that was learned late: a box without a clock starts, and only later somebody tells how long it was off. Box time goes
//! forward then, and what happened since the start must not grow older by it.
//!
//! Floor: rooms. Redates rows; who is redated beyond that (pair limit, caps) is told to the engine.

use super::{Outbox, StoreError};
use crate::message::{AttemptId, MessageId, PersonId};
use crate::time::BoxTime;
use rusqlite::params;

impl Outbox {
    /// The newest message and the newest attempt.
    pub fn highest(&self) -> (MessageId, AttemptId) {
        (MessageId(self.last_message), AttemptId(self.last_attempt))
    }

    /// Adds `off` milliseconds to all that happened since the start at `since`, when `known` were the newest. To whom something
    /// happened since.
    ///
    /// What has the very instant of the start may be of before: it is redated too, which is the strict side.
    pub fn redate(
        &mut self,
        since: BoxTime,
        off: i64,
        known: (MessageId, AttemptId),
    ) -> Result<Vec<PersonId>, StoreError> {
        let (sender, db) = (self.sender.0, self.write()?);
        db.execute(
            "UPDATE message SET arrived = arrived + ?1, expires = expires + ?1, due = iif(due > 0, due + ?1, 0), changed = changed + ?1
             WHERE id > ?2",
            params![off, known.0.0],
        )?;
        // Waits that began since: of older messages.
        for which in ["INDEXED BY message_open WHERE state IN (1, 2)", "INDEXED BY message_parked WHERE state = 3"] {
            db.execute(
                &format!("UPDATE message {which} AND id <= ?2 AND changed >= ?3 AND due >= ?3").replacen(
                    "WHERE",
                    "SET due = due + ?1, changed = changed + ?1 WHERE",
                    1,
                ),
                params![off, known.0.0, since.0],
            )?;
        }
        db.execute(
            "UPDATE attempt SET boxed = boxed + ?1, answered = answered + ?1 WHERE id > ?2",
            params![off, known.1.0],
        )?;
        db.execute("UPDATE hold SET since = since + ?1, until = until + ?1 WHERE since >= ?2", params![off, since.0])?;
        db.execute(
            "UPDATE sender SET rate_since = rate_since + ?1 WHERE id = ?2 AND rate_since >= ?3",
            params![off, sender, since.0],
        )?;
        db.execute(
            "UPDATE lane SET undeliverable = undeliverable + ?1 WHERE seen >= ?2 AND undeliverable >= ?2",
            params![off, since.0],
        )?;
        db.execute(
            "UPDATE lane SET not_before = not_before + ?1 WHERE seen >= ?2 AND not_before >= ?2",
            params![off, since.0],
        )?;
        let mut query = db.prepare("SELECT person FROM lane WHERE sender = ?1 AND seen >= ?2")?;
        let people = query.query_map(params![sender, since.0], |row| row.get(0).map(PersonId))?;
        Ok(people.collect::<Result<_, _>>()?)
    }
}
