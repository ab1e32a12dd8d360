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
            "UPDATE message SET arrived = arrived + ?1, expires = expires + ?1, due = iif(due >= ?3, due + ?1, due),
                 changed = changed + ?1
             WHERE id > ?2",
            params![off, known.0.0, since.0],
        )?;
        // Of older messages: waits that began since, and ends. What is parked without a time has its rank there.
        for (index, states) in [
            ("message_expiry", "state IN (0, 1, 3) AND state <> 3"),
            ("message_unknown", "state = 2"),
            ("message_parked", "state = 3"),
        ] {
            db.execute(
                &format!(
                    "UPDATE message INDEXED BY {index} SET due = due + ?1 WHERE {states} AND id <= ?2 AND due >= ?3"
                ),
                params![off, known.0.0, since.0],
            )?;
        }
        db.execute(
            "UPDATE message SET changed = changed + ?1 WHERE id <= ?2 AND changed >= ?3",
            params![off, known.0.0, since.0],
        )?;
        db.execute(
            "UPDATE attempt SET boxed = boxed + ?1, answered = answered + ?1 WHERE id > ?2",
            params![off, known.1.0],
        )?;
        // What nobody could date yet is dated by box time.
        db.execute(
            "UPDATE ledger SET boxed = boxed + ?1 WHERE at_wall IS NULL AND boxed >= ?2",
            params![off, since.0],
        )?;
        db.execute("UPDATE heard SET boxed = boxed + ?1 WHERE boxed >= ?2", params![off, since.0])?;
        db.execute(
            "UPDATE receipt SET boxed = boxed + ?1 WHERE message IS NULL AND boxed >= ?2",
            params![off, since.0],
        )?;
        db.execute("UPDATE hold SET since = since + ?1, until = until + ?1 WHERE since >= ?2", params![off, since.0])?;
        db.execute(
            "UPDATE sender SET rate_since = rate_since + ?1 WHERE id = ?2 AND rate_since >= ?3",
            params![off, sender, since.0],
        )?;
        db.execute("UPDATE health SET due = due + ?1 WHERE due >= ?2", params![off, since.0])?;
        // Of a window the strict side is that it was opened before.
        for (mark, after) in [("undeliverable", ">="), ("not_before", ">="), ("window_since", ">")] {
            db.execute(
                &format!("UPDATE lane SET {mark} = {mark} + ?1 WHERE seen >= ?2 AND {mark} {after} ?2"),
                params![off, since.0],
            )?;
        }
        let mut query = db.prepare("SELECT person FROM lane WHERE sender = ?1 AND seen >= ?2")?;
        let people = query.query_map(params![sender, since.0], |row| row.get(0).map(PersonId))?;
        Ok(people.collect::<Result<_, _>>()?)
    }

    /// Of whom [`redate`](Self::redate) named, and whose lanes are written anew since: nobody is forgotten for time that was not.
    pub fn seen_later(&mut self, since: BoxTime, off: i64) -> Result<(), StoreError> {
        let sender = self.sender.0;
        self.write()?.execute(
            "UPDATE lane SET seen = seen + ?1 WHERE sender = ?2 AND seen >= ?3",
            params![off, sender, since.0],
        )?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Seal, Settings, WhenFull, salvage, tables};
    use super::*;
    use std::time::Duration;

    /// What is left to others: the engine redates what it writes back with a lane, and the audit record stays as it was told.
    const ELSEWHERE: &[(&str, &[&str])] =
        &[("lane", &["due", "pair_started", "pair_last", "held_until", "reached"]), ("audit", &["boxed"])];

    /// A column of box time that nobody redates looks as old as the box was off.
    #[test]
    fn every_column_of_box_time_is_redated() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            path: folder.path().join("outbox.db"),
            seal: Seal::default(),
            max_bytes: 1 << 20,
            when_full: WhenFull::Hold,
            keep_content: Duration::ZERO,
            keep_settled: Duration::ZERO,
            keep_audit: Duration::ZERO,
            sender: "1".to_owned(),
            only_looks: false,
        };
        let mut outbox = Outbox::open(settings, 7).unwrap();
        outbox.write().unwrap().execute_batch(&tables::rows_at(5_000)).unwrap();
        let people = outbox.redate(BoxTime(1_000), 70, (MessageId(0), AttemptId(0))).unwrap();
        assert_eq!(people, [PersonId(1)]);
        outbox.seen_later(BoxTime(1_000), 70).unwrap();
        for table in salvage::tables() {
            let elsewhere =
                ELSEWHERE.iter().find(|(name, _)| *name == table.name).map_or(&[][..], |(_, columns)| columns);
            for (column, _) in table.times().filter(|(column, _)| !elsewhere.contains(column)) {
                let query = format!("SELECT {column} FROM {} ORDER BY 1 DESC LIMIT 1", table.name);
                let found: i64 = outbox.raw().query_row(&query, [], |row| row.get(0)).unwrap();
                assert_eq!(found, 5_070, "{}.{column} is redated by nobody", table.name);
            }
        }
    }
}
