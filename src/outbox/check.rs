//! The whole check, in slices: every row of every table is read, and compared with its index and with what it belongs to.
//!
//! Floor: rooms. At the start only header, log and schema are looked at; this follows while the daemon works, a few rows at a
//! time, and begins anew every day. What it finds is an error like any other damage.

use super::{Outbox, StoreError};
use crate::time::{BoxTime, Moment};
use rusqlite::types::Value;
use rusqlite::{Connection, params};
use std::time::Duration;

/// Rows of one slice: some 10 µs each, so well below a commit.
const SLICE: i64 = 32;
/// Between two slices of a round: 100,000 messages are through in a few minutes, and the engine is hardly busier for it.
const PAUSE: Duration = Duration::from_millis(20);
/// Between two rounds.
const ROUND: Duration = Duration::from_secs(24 * 60 * 60);
/// SQLite's own check reads the whole store at once: only where that takes some milliseconds.
const SMALL: i64 = 1024;

/// Where the check stands.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    step: usize,
    after: Value,
    due: BoxTime,
}

impl Default for Progress {
    fn default() -> Progress {
        Progress { step: 0, after: Value::Null, due: BoxTime(i64::MIN) }
    }
}

/// One table: what it is, where a cursor begins, and a query of cursor, limit and box time that says of each row whether it is as
/// it should be.
struct Step {
    name: &'static str,
    text: bool,
    sql: &'static str,
}

#[rustfmt::skip]
const STEPS: &[Step] = &[
    Step { name: "person", text: false, sql:
        "SELECT id, (opened('person', id, number) = '' OR length(opened('person', id, number)) BETWEEN 5 AND 20)
             AND EXISTS (SELECT 1 FROM alias NOT INDEXED WHERE person = p.id)
             AND (SELECT count(*) = total(action IN ('grant', 'revoke')) FROM ledger INDEXED BY ledger_person
                  WHERE sender = 1 AND person = p.id)
             AND (SELECT count(*) = total(length(named_as('topic', topic)) >= 0) FROM message INDEXED BY message_waiting
                  WHERE state = 0 AND sender = 1 AND person = p.id)
         FROM person AS p WHERE id > ?1 AND ?3 >= 0 ORDER BY id LIMIT ?2" },
    Step { name: "alias", text: false, sql:
        "SELECT person, count(*) = total(length(named_by('alias', value, rest)) > 0
             AND EXISTS (SELECT 1 FROM person WHERE id = a.person)
             AND EXISTS (SELECT 1 FROM alias AS i INDEXED BY alias_value
                         WHERE i.person = a.person AND i.value = a.value AND i.kind = a.kind)
             AND (kind <> 2 OR EXISTS (SELECT 1 FROM alias AS i INDEXED BY alias_spent
                         WHERE i.kind = 2 AND i.person = a.person AND i.value = a.value)))
         FROM alias AS a NOT INDEXED WHERE person > ?1 AND ?3 >= 0 GROUP BY person ORDER BY person LIMIT ?2" },
    Step { name: "ledger", text: false, sql:
        "SELECT id, sender = 1 AND action IN ('grant', 'revoke') AND boxed BETWEEN 0 AND ?3
             AND length(purpose) + length(source) + length(wording) + length(coalesce(named_as('event', event), '')) >= 0
             AND EXISTS (SELECT 1 FROM person WHERE id = l.person)
             AND EXISTS (SELECT 1 FROM ledger AS i INDEXED BY ledger_person
                         WHERE i.sender = l.sender AND i.person = l.person AND i.id = l.id)
             AND (source <> 'configuration' OR EXISTS (SELECT 1 FROM ledger AS i INDEXED BY ledger_stated
                         WHERE i.source = 'configuration' AND i.person = l.person AND i.purpose = l.purpose AND i.id = l.id))
             AND (at_wall IS NOT NULL OR EXISTS (SELECT 1 FROM ledger AS i INDEXED BY ledger_undated
                         WHERE i.at_wall IS NULL AND i.id = l.id))
         FROM ledger AS l WHERE id > ?1 ORDER BY id LIMIT ?2" },
    Step { name: "lane", text: false, sql:
        "SELECT person, pair_started BETWEEN 0 AND ?3 AND pair_last BETWEEN 0 AND ?3 AND pair_count >= 0 AND strikes >= 0
             AND EXISTS (SELECT 1 FROM person WHERE id = l.person)
             AND (due IS NULL OR EXISTS (SELECT 1 FROM lane AS i INDEXED BY lane_due
                  WHERE i.sender = 1 AND i.rank = l.rank AND i.rule = l.rule AND i.due = l.due AND i.person = l.person))
             AND (reached IS NULL OR reached <= ?3 AND EXISTS (SELECT 1 FROM lane AS i INDEXED BY lane_reached
                  WHERE i.sender = 1 AND i.reached = l.reached AND i.person = l.person))
         FROM lane AS l WHERE sender = 1 AND person > ?1 ORDER BY person LIMIT ?2" },
    Step { name: "message", text: false, sql:
        "SELECT id, state BETWEEN 0 AND 4 AND rank BETWEEN 0 AND 3 AND arrived BETWEEN 0 AND ?3 AND changed BETWEEN 0 AND ?3
             AND length(rule) + length(coalesce(named_as('event', event), '')) + length(named_as('topic', topic))
                 + length(named_as('detail', detail))
                 + length(coalesce(named_as('subject', subject), '')) + length(coalesce(opened('wamid', id, wamid), '')) >= 0
             AND (person IS NULL OR EXISTS (SELECT 1 FROM person WHERE id = m.person))
             AND (dedupe IS NULL OR EXISTS (SELECT 1 FROM message AS i INDEXED BY message_dedupe
                 WHERE i.person = m.person AND i.dedupe = m.dedupe AND i.id = m.id))
             AND (subject IS NULL OR EXISTS (SELECT 1 FROM message AS i INDEXED BY message_subject
                 WHERE i.person IS m.person AND i.subject = m.subject AND i.id = m.id))
             AND (wamid_hash IS NULL OR EXISTS (SELECT 1 FROM message AS i INDEXED BY message_wamid
                 WHERE i.person IS m.person AND i.wamid_hash = m.wamid_hash AND i.id = m.id))
             AND (state NOT IN (0, 1, 3) OR EXISTS (SELECT 1 FROM message AS i INDEXED BY message_expiry
                 WHERE i.state IN (0, 1, 3) AND i.state = m.state AND i.expires = m.expires AND i.id = m.id))
             AND CASE state
                 WHEN 0 THEN outcome = 'stored' AND wamid IS NULL
                     AND NOT EXISTS (SELECT 1 FROM attempt WHERE message = m.id AND (answered IS NULL OR reason = 'taken'))
                     AND EXISTS (SELECT 1 FROM message AS i INDEXED BY message_waiting
                     WHERE i.state = 0 AND i.sender = m.sender AND i.person = m.person AND i.rank = m.rank AND i.id = m.id)
                 WHEN 1 THEN EXISTS (SELECT 1 FROM attempt WHERE message = m.id AND answered IS NULL)
                 WHEN 2 THEN EXISTS (SELECT 1 FROM message AS i INDEXED BY message_unknown
                     WHERE i.state = 2 AND i.due = m.due AND i.id = m.id)
                 WHEN 3 THEN outcome = 'stored' AND wamid IS NULL AND EXISTS (SELECT 1 FROM message AS i INDEXED BY message_parked
                     WHERE i.state = 3 AND i.hold = m.hold AND i.due = m.due AND i.id = m.id)
                     AND EXISTS (SELECT 1 FROM message AS i INDEXED BY message_aside
                     WHERE i.state = 3 AND i.person = m.person AND i.id = m.id)
                     AND (hold NOT IN ('people', 'people:urgent') OR EXISTS (SELECT 1 FROM message AS i INDEXED BY message_gate
                     WHERE i.state = 3 AND i.hold IN ('people', 'people:urgent') AND i.hold = m.hold AND i.due = m.due
                         AND i.rule = m.rule AND i.id = m.id))
                 ELSE outcome <> 'stored' END
         FROM message AS m WHERE id > ?1 ORDER BY id LIMIT ?2" },
    Step { name: "content", text: false, sql:
        "SELECT message, json_valid(opened('body', message, body)) AND length(opened('number', message, number)) BETWEEN 5 AND 20
             AND EXISTS (SELECT 1 FROM message WHERE id = c.message)
         FROM content AS c WHERE message > ?1 AND ?3 >= 0 ORDER BY message LIMIT ?2" },
    Step { name: "attempt", text: false, sql:
        "SELECT id, boxed BETWEEN 0 AND ?3 AND spent BETWEEN 0 AND 3 AND length(boot) + length(coalesce(reason, '')) >= 0
             AND EXISTS (SELECT 1 FROM message WHERE id = a.message)
             AND EXISTS (SELECT 1 FROM attempt AS i INDEXED BY attempt_message WHERE i.message = a.message AND i.id = a.id)
         FROM attempt AS a WHERE id > ?1 ORDER BY id LIMIT ?2" },
    Step { name: "receipt", text: false, sql:
        "SELECT id, CASE WHEN message IS NULL THEN length(kind) > 0 AND json_valid(opened('payload', id, payload)) AND boxed BETWEEN 0 AND ?3
                 AND EXISTS (SELECT 1 FROM receipt AS i INDEXED BY receipt_inbound
                     WHERE i.message IS NULL AND i.boxed = r.boxed AND i.id = r.id)
             ELSE length(outcome) > 0 AND length(reason) > 0 END FROM receipt AS r WHERE id > ?1 ORDER BY id LIMIT ?2" },
    Step { name: "heard", text: false, sql:
        "SELECT print, boxed BETWEEN 0 AND ?3 AND EXISTS (SELECT 1 FROM heard AS i INDEXED BY heard_boxed
             WHERE i.boxed = h.boxed AND i.print = h.print)
         FROM heard AS h NOT INDEXED WHERE print > ?1 ORDER BY print LIMIT ?2" },
    Step { name: "hold", text: true, sql:
        "SELECT key, length(reason) > 0 AND length(note) >= 0 FROM hold WHERE key > ?1 AND ?3 >= 0 ORDER BY key LIMIT ?2" },
    Step { name: "health", text: false, sql:
        "SELECT sender, length(status) + length(trouble) + coalesce(due, 0) >= 0 FROM health
         WHERE sender > ?1 AND ?3 >= 0 ORDER BY sender LIMIT ?2" },
    Step { name: "repeat", text: false, sql:
        "SELECT slot, typeof(serial) = 'integer' AND length(print) > 0 AND typeof(oldest + newest) = 'integer' FROM repeat
         WHERE slot > ?1 AND ?3 >= 0 ORDER BY slot LIMIT ?2" },
    Step { name: "audit", text: false, sql:
        "SELECT first, count > 0 AND boxed BETWEEN 0 AND ?3 AND length(before) = 32 AND length(rows) > 0
             AND typeof(before) = 'blob' AND typeof(rows) = 'blob' FROM audit
         WHERE first > ?1 ORDER BY first LIMIT ?2" },
    Step { name: "box", text: false, sql:
        "SELECT one, length(store) > 0 AND commits >= 0 AND boxed BETWEEN 0 AND ?3 AND json_valid(filters)
             AND audit_rows >= tail_rows AND tail_rows >= 0 AND length(audit_head) = 32 AND length(tail) >= 32 FROM box
         WHERE one > ?1 ORDER BY one LIMIT ?2" },
    Step { name: "sender", text: false, sql:
        "SELECT id, length(phone_number_id) >= 0 FROM sender WHERE id > ?1 AND ?3 >= 0 ORDER BY id LIMIT ?2" },
];

impl Outbox {
    /// Looks at the next few rows, if it is time for that. An error is what it found.
    pub fn check_slice(&mut self, now: Moment) -> Result<(), StoreError> {
        if now.boxed < self.checked.due {
            return Ok(());
        }
        let Progress { step, after, .. } = std::mem::take(&mut self.checked);
        let Some(at) = STEPS.get(step) else {
            let pages: i64 = self.db.prepare_cached("PRAGMA page_count")?.query_row([], |row| row.get(0))?;
            if pages <= SMALL
                && let Some(wrong) = integrity(&self.db, 1)?.pop()
            {
                return Err(StoreError::contradiction(&wrong));
            }
            self.checked = Progress { due: now.boxed + ROUND, ..Progress::default() };
            return Ok(());
        };
        let (step, after) = match at.slice(&self.db, after, now.boxed)? {
            Some(last) => (step, last),
            None => (step + 1, Value::Null),
        };
        self.checked = Progress { step, after, due: now.boxed + PAUSE };
        Ok(())
    }

    /// Begins a round now, unless one is under way: something is suspicious.
    pub fn check_anew(&mut self) {
        if self.checked.step == 0 {
            self.checked = Progress::default();
        }
    }

    /// What a refused statement is: as [`judge`] says, which reads the whole store, and therefore once for each commit.
    pub fn judged(&mut self, error: StoreError) -> StoreError {
        if !error.is_bug() || !self.attached || self.found_sound == Some(self.row.commits) {
            return error;
        }
        let judged = judge(&self.db, error);
        if judged.is_bug() {
            self.found_sound = Some(self.row.commits);
        }
        judged
    }

    /// When the next slice is due.
    pub fn check_due(&self) -> BoxTime {
        self.checked.due
    }
}

impl Step {
    /// Up to `SLICE` rows behind `after`: where they end, or `None` after the last of the table.
    fn slice(&self, db: &Connection, after: Value, now: BoxTime) -> Result<Option<Value>, StoreError> {
        let begin = if self.text { Value::Text(String::new()) } else { Value::Integer(i64::MIN) };
        let after = if after == Value::Null { begin } else { after };
        let mut query = db.prepare_cached(self.sql)?;
        let mut rows = query.query(params![after, SLICE, now.0])?;
        let (mut seen, mut last) = (0, None);
        while let Some(row) = rows.next()? {
            last = Some(row.get::<_, Value>(0)?);
            if row.get::<_, Option<i64>>(1)? != Some(1) {
                return Err(StoreError::contradiction(&format!("a row of {} is not what it should be", self.name)));
            }
            seen += 1;
        }
        Ok(last.filter(|_| seen == SLICE))
    }
}

/// The same over all rows at once, for a store that nobody works with: every table in which something is wrong, in words.
pub(super) fn whole(db: &Connection, now: BoxTime) -> Vec<String> {
    let table = |step: &Step| {
        let mut after = Value::Null;
        loop {
            match step.slice(db, after, now) {
                Ok(Some(last)) => after = last,
                Ok(None) => return None,
                Err(error) => return Some(format!("table {}: {error}", step.name)),
            }
        }
    };
    STEPS.iter().filter_map(table).collect()
}

/// A statement was refused that the store should have taken: by our mistake, or because what it goes by is damaged. The whole check
/// says which.
pub(super) fn judge(db: &Connection, error: StoreError) -> StoreError {
    if !error.is_bug() {
        return error;
    }
    let wrong = whole(db, BoxTime(i64::MAX)).into_iter().next();
    let wrong = wrong.map_or_else(|| integrity(db, 1).map(|mut lines| lines.pop()), |line| Ok(Some(line)));
    match wrong {
        Ok(None) => error,
        Ok(Some(wrong)) => StoreError::contradiction(&wrong),
        Err(damage) if damage.is_damage() => damage,
        Err(_) => error,
    }
}

/// SQLite's own check of all pages: what it says, its trees named; at most `most` lines.
pub(super) fn integrity(db: &Connection, most: u32) -> Result<Vec<String>, StoreError> {
    let mut names = db.prepare("SELECT rootpage, name FROM sqlite_schema WHERE rootpage > 0")?;
    let names: Vec<(i64, String)> =
        names.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    let mut query = db.prepare(&format!("PRAGMA integrity_check({most})"))?;
    let said: Vec<String> = query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let named = |line: &str| {
        let rest = line.strip_prefix("Tree ").or_else(|| line.strip_prefix("On tree "))?;
        let (root, rest) = rest.split_once(' ')?;
        let root: i64 = root.parse().ok()?;
        let name = names.iter().find(|(number, _)| *number == root).map(|(_, name)| name.as_str())?;
        Some(format!("{name}, {rest}"))
    };
    let lines = said.iter().flat_map(|said| said.lines()).filter(|line| *line != "ok" && !line.starts_with("***"));
    Ok(lines.map(|line| named(line).unwrap_or_else(|| line.to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::schema;

    const ROWS: &str = "
        INSERT INTO box VALUES (1, 'k3f9', 0, 0, 0, '', 0, 0, 0, '[]', 0, zeroblob(32), 0, zeroblob(32), 0, 0, NULL);
        INSERT INTO audit VALUES (1, 1, 0, zeroblob(32), x'01');
        INSERT INTO sender (id, phone_number_id) VALUES (1, '106540352242922');
        INSERT INTO person VALUES (1, '5521987650001');
        INSERT INTO alias VALUES ('5521987650001', 0, 1, NULL), ('00ff', 2, 1, NULL);
        INSERT INTO lane (sender, person, rank, due, reached) VALUES (1, 1, 2, 0, 0);
        INSERT INTO ledger VALUES (1, 1, 1, 'orders', 'grant', 'configuration', '', NULL, NULL, 0, NULL);
        INSERT INTO repeat VALUES (1, 1, x'01', 1, 1);
        INSERT INTO heard VALUES (-5, 0, 1);
        INSERT INTO receipt (id, outcome, reason, wall, person, kind, payload, boxed) VALUES (1, '', '', 0, 1, 'text', '{}', 0);
        INSERT INTO message (id, state, sender, person, rank, due, tries, expires, hold, rule, topic, dedupe, subject, wamid_hash, purpose,
                category, template, arrived, arrived_wall, outcome, reason, detail, changed, changed_wall)
            SELECT column1, column2, 1, 1, 2, 0, 0, 9, column3, 'r', 't', 5, 's', 7, 'orders', '', '', 0, 0, column4, '', '', 0, 0
            FROM (VALUES (1, 0, NULL, 'stored'), (2, 1, NULL, 'stored'), (3, 2, NULL, 'unknown'), (4, 3, 'pause', 'stored'),
                         (5, 4, NULL, 'accepted'), (6, 3, 'people', 'stored'));
        INSERT INTO attempt (id, message, try, boxed, wall, boot, spent) VALUES (1, 2, 1, 0, 0, '', 1);";

    fn wrong(index: &str, change: &str) -> Vec<String> {
        let db = Connection::open_in_memory().unwrap();
        super::super::Seal::default().teach(&db).unwrap();
        db.execute_batch(&schema::STEPS.concat()).unwrap();
        db.execute_batch(&format!(
            "CREATE TEMP TABLE kept AS SELECT * FROM main.sqlite_schema WHERE name = '{index}';
             PRAGMA writable_schema = ON;
             DELETE FROM main.sqlite_schema WHERE name = '{index}';
             PRAGMA writable_schema = RESET;
             {ROWS} {change};
             PRAGMA writable_schema = ON;
             INSERT INTO main.sqlite_schema SELECT * FROM kept;
             PRAGMA writable_schema = RESET;"
        ))
        .unwrap();
        whole(&db, BoxTime(1_000))
    }

    #[test]
    fn rows_that_an_index_does_not_know_are_found_row_by_row() {
        assert_eq!(wrong("", ""), [""; 0], "nothing is wrong with these");
        for (index, table) in [
            ("alias_value", "alias"),
            ("alias_spent", "alias"),
            ("lane_due", "lane"),
            ("lane_reached", "lane"),
            ("ledger_person", "ledger"),
            ("ledger_stated", "ledger"),
            ("ledger_undated", "ledger"),
            ("message_waiting", "message"),
            ("message_expiry", "message"),
            ("message_unknown", "message"),
            ("message_parked", "message"),
            ("message_aside", "message"),
            ("message_gate", "message"),
            ("message_dedupe", "message"),
            ("message_subject", "message"),
            ("message_wamid", "message"),
            ("attempt_message", "attempt"),
            ("heard_boxed", "heard"),
            ("receipt_inbound", "receipt"),
        ] {
            let wrong = wrong(index, "");
            assert!(wrong.iter().any(|line| line.starts_with(&format!("table {table}:"))), "{index}: {wrong:?}");
        }
    }

    #[test]
    fn every_table_is_read() {
        for (change, table) in [
            ("UPDATE repeat SET print = 'x', serial = 'y'", "repeat"),
            ("UPDATE box SET filters = 'x'", "box"),
            ("UPDATE audit SET before = x'00'", "audit"),
            ("UPDATE message SET state = 1 WHERE id = 1", "message"),
            ("UPDATE attempt SET answered = 5", "message"),
        ] {
            let wrong = wrong("", change);
            assert_eq!(wrong.len(), 1, "{change}: {wrong:?}");
            assert!(wrong[0].starts_with(&format!("table {table}:")), "{change}: {wrong:?}");
        }
        let db = Connection::open_in_memory().unwrap();
        super::super::Seal::default().teach(&db).unwrap();
        db.execute_batch(&schema::STEPS.concat()).unwrap();
        let mut query = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1").unwrap();
        let tables: Vec<String> = query.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
        let mut read: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
        read.sort_unstable();
        assert_eq!(read, tables);
    }
}
