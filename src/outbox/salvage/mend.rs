//! Mending: what the copied rows say about each other is made true again.
//!
//! Floor: rooms. On the strict side: what may have left is unknown, what may have ended has ended.

use super::super::StoreError;
use super::YEAR;
use super::copy::Work;
use crate::message::{Number, Outcome, Priority, Reason};
use rusqlite::{Connection, OptionalExtension, params};

impl Work<'_> {
    /// What the rows say about each other is made true again.
    pub fn mend(&mut self, boxed: i64, sure: bool) -> Result<(), StoreError> {
        let db = self.new;
        // A person whose own row is lost is known by an alias, or by a message.
        db.execute_batch(
            "INSERT OR IGNORE INTO person (id, number) SELECT person, sealed('person', person, min(named_by('alias', value, rest)))
                 FROM alias WHERE kind = 0 GROUP BY person;
             INSERT OR IGNORE INTO person (id, number)
                 SELECT person, sealed('person', person, min(opened('number', message.id, number))) FROM message
                 JOIN content ON content.message = message.id WHERE person > 0 GROUP BY person;
             INSERT OR IGNORE INTO alias (value, kind, person, rest) SELECT found_by('alias', digits), 0, id, rest('alias', digits)
                 FROM (SELECT id, opened('person', id, number) AS digits FROM person) WHERE digits <> '';
             DELETE FROM alias WHERE person NOT IN (SELECT id FROM person);
             DELETE FROM person WHERE id NOT IN (SELECT person FROM alias);
             DELETE FROM lane WHERE person NOT IN (SELECT id FROM person);
             DELETE FROM ledger WHERE person NOT IN (SELECT id FROM person);
             UPDATE message SET person = NULL, dedupe = NULL, print = NULL, subject = NULL WHERE person NOT IN (SELECT id FROM person);
             DELETE FROM content WHERE message NOT IN (SELECT id FROM message);
             DELETE FROM attempt WHERE message NOT IN (SELECT id FROM message);
             DELETE FROM receipt WHERE message NOT IN (SELECT id FROM message);
             DELETE FROM hold WHERE key = 'loss' OR key = 'limits';
             UPDATE ledger SET action = 'revoke' WHERE action NOT IN ('grant', 'revoke');",
        )?;
        self.numbers_belong()?;
        within(db, boxed)?;
        self.unsure(boxed, sure)?;
        // Whose turn it is, worked out again.
        db.execute_batch(
            "UPDATE lane SET due = NULL, rank = 0, rule = '';
             INSERT INTO lane (sender, person, rank, due)
                 SELECT 1, person, min(rank), min(due) FROM message WHERE state = 0 GROUP BY person
                 ON CONFLICT DO UPDATE SET rank = excluded.rank,
                     due = max(excluded.due, CASE WHEN excluded.rank >= held_rank THEN held_until ELSE 0 END);",
        )?;
        Ok(())
    }

    /// A message to a number that is not its person's would go past what that person said: its content is given up.
    fn numbers_belong(&self) -> Result<(), StoreError> {
        let db = self.new;
        let mut find = db.prepare("SELECT person FROM alias WHERE value = found_by('alias', ?1) AND kind = 0")?;
        let mut query = db.prepare(
            "SELECT message, opened('number', message, content.number), person FROM content
             JOIN message ON message.id = message WHERE person IS NOT NULL",
        )?;
        let mut rows = query.query([])?;
        let mut strangers = Vec::new();
        while let Some(row) = rows.next()? {
            let (message, digits, person): (i64, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let mut own = false;
            for form in Number::of_digits(&digits).map(|number| number.forms()).unwrap_or_default() {
                let found: Option<i64> = find.query_row([form.digits()], |row| row.get(0)).optional()?;
                own |= found == Some(person);
            }
            if !own {
                strangers.push(message);
            }
        }
        drop(rows);
        for message in strangers {
            db.execute("DELETE FROM content WHERE message = ?1", [message])?;
        }
        Ok(())
    }

    /// What had not ended. Unless everything about it could be read, nobody knows whether it was sent.
    fn unsure(&mut self, boxed: i64, sure: bool) -> Result<(), StoreError> {
        let db = self.new;
        let code = Reason::StoreDamaged.code();
        // What ended has ended, whatever its state says: it had an outcome, an id of the platform, or an attempt that was taken.
        db.execute_batch(
            "UPDATE message SET state = 4, hold = NULL, outcome = iif(outcome IN ('stored', 'unknown'), 'accepted', outcome)
                 WHERE state <> 4 AND (outcome NOT IN ('stored', 'unknown') OR wamid IS NOT NULL OR wamid_hash IS NOT NULL
                     OR id IN (SELECT message FROM attempt WHERE reason = 'taken'));
             UPDATE message SET outcome = 'unknown' WHERE state IN (2, 4) AND outcome = 'stored';",
        )?;
        // Without content nothing can be sent, and without a person nobody can be asked.
        let gone = "state <> 4 AND (person IS NULL OR id NOT IN (SELECT message FROM content))";
        let receipt = format!(
            "INSERT INTO receipt (message, outcome, reason, wall) SELECT id, 'unknown', '{code}', changed_wall FROM message WHERE {gone}"
        );
        db.execute(&receipt, [])?;
        let ended = format!(
            "UPDATE message SET state = 4, hold = NULL, outcome = 'unknown', reason = '{code}', changed = ?1,
                 detail = named('detail', 'its content was lost with a damaged store') WHERE {gone}"
        );
        self.done.lost = db.execute(&ended, [boxed])? as u64;
        // What waits by its state alone: its outcome or an attempt without an answer say that it may have been sent.
        let doubtful = format!(
            "UPDATE message SET state = 2, hold = NULL, due = ?1, outcome = 'unknown', reason = '{code}', changed = ?1,
                 detail = named('detail', 'the store was damaged: nobody knows whether it was sent')
             WHERE state IN (0, 3)
                     AND (outcome = 'unknown' OR id IN (SELECT message FROM attempt WHERE answered IS NULL))
                 OR state = 1 AND id NOT IN (SELECT message FROM attempt WHERE answered IS NULL)"
        );
        self.done.unsure = db.execute(&doubtful, [boxed])? as u64;
        let close = format!(
            "UPDATE attempt SET answered = ?1, spent = 2, reason = '{code}'
             WHERE answered IS NULL AND message NOT IN (SELECT id FROM message WHERE state = 1)"
        );
        db.execute(&close, [boxed])?;
        if sure {
            return Ok(());
        }
        // As a request whose answer was lost: `policy.on_unknown` says what happens next.
        let tried = format!(
            "INSERT INTO attempt (message, try, boxed, wall, boot, spent, answered, reason)
             SELECT id, tries + 1, ?1, changed_wall, '', 2, ?1, '{code}' FROM message WHERE state <> 4 AND state <> 1"
        );
        db.execute(&tried, [boxed])?;
        let close = format!(
            "UPDATE attempt SET answered = ?1, spent = 2, reason = '{code}' WHERE message IN (SELECT id FROM message WHERE state = 1)
                 AND answered IS NULL"
        );
        db.execute(&close, [boxed])?;
        let unknown = format!(
            "UPDATE message SET state = 2, hold = NULL, due = ?1, tries = tries + (state <> 1), outcome = 'unknown', reason = '{code}',
                 changed = ?1, detail = named('detail', 'the store was damaged: nobody knows whether it was sent') WHERE state <> 4"
        );
        self.done.unsure = db.execute(&unknown, [boxed])? as u64;
        Ok(())
    }

    /// A line of the outbox that says what happened; no id before it is given again.
    pub fn landmark(&self, [message, attempt]: [i64; 2], receipt: i64, boxed: i64) -> Result<(), StoreError> {
        let code = Reason::StoreDamaged.code();
        let (message, attempt) = (message + 1, attempt + 1);
        let wall: i64 = self.new.query_row("SELECT wall FROM box", [], |row| row.get(0))?;
        self.new.execute(
            "INSERT OR REPLACE INTO message (id, state, sender, rank, due, tries, expires, rule, topic, purpose, category, template,
                 arrived, arrived_wall, outcome, reason, detail, changed, changed_wall)
             VALUES (?1, 4, 1, ?2, 0, 0, 0, '', '', '', '', '', ?3, ?4, ?5, ?6, named('detail', ?7), ?3, ?4)",
            params![
                message,
                Priority::Normal.rank(),
                boxed,
                wall,
                Outcome::Unreadable.code(),
                code,
                "the store was damaged: what stood on the damaged pages cannot be read"
            ],
        )?;
        self.new.execute(
            "INSERT OR REPLACE INTO attempt (id, message, try, boxed, wall, boot, spent, answered, reason)
             VALUES (?1, ?2, 0, ?3, ?4, '', 0, ?3, ?5)",
            params![attempt, message, boxed, wall, code],
        )?;
        let taken: i64 = self.new.query_row(
            "SELECT max(receipts_taken, coalesce((SELECT max(id) FROM receipt), 0)) FROM box",
            [],
            |row| row.get(0),
        )?;
        self.new.execute(
            "INSERT INTO receipt (id, message, outcome, reason, wall) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![(taken + 1).max(receipt), message, Outcome::Unreadable.code(), code, wall],
        )?;
        Ok(())
    }
}

/// Nothing happened later than now, and nothing waits for longer than anything may.
fn within(db: &Connection, boxed: i64) -> Result<(), StoreError> {
    let times = super::tables().into_iter().flat_map(|table| {
        table.times().map(|(column, ends)| (table.name, column, if ends { boxed + YEAR } else { boxed }))
    });
    for (table, column, most) in times.chain([("lane", "pair_count", 1000), ("lane", "strikes", 100)]) {
        db.execute(
            &format!("UPDATE {table} SET {column} = min(max({column}, 0), ?1) WHERE {column} NOT BETWEEN 0 AND ?1"),
            [most],
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::{schema, tables};

    /// Found by reading: times of what people wrote, of receipts and of holds stayed in the future for ever, and the whole check found
    /// damage again.
    #[test]
    fn whatever_time_a_damaged_row_says_nothing_happened_later_than_now() {
        let boxed = 90_000_000;
        for (said, since, until) in [(i64::MAX, boxed, boxed + YEAR), (-7, 0, 0), (boxed, boxed, boxed)] {
            let db = Connection::open_in_memory().unwrap();
            db.execute_batch(&schema::STEPS.concat()).unwrap();
            db.execute_batch(&tables::rows_at(said)).unwrap();
            within(&db, boxed).unwrap();
            let mut columns = 0;
            for table in super::super::tables() {
                for (column, ends) in table.times() {
                    let query = format!("SELECT {column} FROM {}", table.name);
                    let found: i64 = db.query_row(&query, [], |row| row.get(0)).unwrap();
                    assert_eq!(found, if ends { until } else { since }, "{}.{column}", table.name);
                    columns += 1;
                }
            }
            assert!(columns >= 20, "{columns}");
        }
    }
}
