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
        "SELECT id, length(number) BETWEEN 5 AND 20
             AND EXISTS (SELECT 1 FROM alias INDEXED BY alias_person WHERE person = p.id)
             AND (SELECT count(*) = total(action IN ('grant', 'revoke')) FROM ledger INDEXED BY ledger_person
                  WHERE sender = 1 AND person = p.id)
             AND (SELECT count(*) = total(length(topic) >= 0) FROM message INDEXED BY message_waiting
                  WHERE state = 0 AND sender = 1 AND person = p.id)
         FROM person AS p WHERE id > ?1 AND ?3 >= 0 ORDER BY id LIMIT ?2" },
    Step { name: "alias", text: true, sql:
        "SELECT value, EXISTS (SELECT 1 FROM person WHERE id = a.person)
             AND EXISTS (SELECT 1 FROM alias AS i INDEXED BY alias_person
                         WHERE i.person = a.person AND i.value = a.value AND i.kind = a.kind)
         FROM alias AS a NOT INDEXED WHERE value > ?1 AND ?3 >= 0 ORDER BY value LIMIT ?2" },
    Step { name: "ledger", text: false, sql:
        "SELECT id, sender = 1 AND action IN ('grant', 'revoke') AND boxed BETWEEN 0 AND ?3
             AND length(purpose) + length(source) + length(wording) + length(coalesce(event, '')) >= 0
             AND EXISTS (SELECT 1 FROM person WHERE id = l.person)
             AND EXISTS (SELECT 1 FROM ledger AS i INDEXED BY ledger_person
                         WHERE i.sender = l.sender AND i.person = l.person AND i.id = l.id)
         FROM ledger AS l WHERE id > ?1 ORDER BY id LIMIT ?2" },
    Step { name: "lane", text: false, sql:
        "SELECT person, pair_started BETWEEN 0 AND ?3 AND pair_last BETWEEN 0 AND ?3 AND pair_count >= 0 AND strikes >= 0
             AND EXISTS (SELECT 1 FROM person WHERE id = l.person)
             AND (due IS NULL OR EXISTS (SELECT 1 FROM lane AS i INDEXED BY lane_due
                  WHERE i.sender = 1 AND i.rank = l.rank AND i.due = l.due AND i.person = l.person))
         FROM lane AS l WHERE sender = 1 AND person > ?1 ORDER BY person LIMIT ?2" },
    Step { name: "message", text: false, sql:
        "SELECT id, state BETWEEN 0 AND 4 AND rank BETWEEN 0 AND 3 AND arrived BETWEEN 0 AND ?3 AND changed BETWEEN 0 AND ?3
             AND length(rule) + length(coalesce(event, '')) + length(topic) + length(detail) + length(coalesce(subject, '')) >= 0
             AND (person IS NULL OR EXISTS (SELECT 1 FROM person WHERE id = m.person))
             AND CASE state
                 WHEN 0 THEN outcome = 'stored' AND wamid IS NULL
                     AND NOT EXISTS (SELECT 1 FROM attempt WHERE message = m.id AND (answered IS NULL OR reason = 'taken'))
                     AND EXISTS (SELECT 1 FROM message AS i INDEXED BY message_waiting
                     WHERE i.state = 0 AND i.sender = m.sender AND i.person = m.person AND i.rank = m.rank AND i.id = m.id)
                 WHEN 1 THEN EXISTS (SELECT 1 FROM message AS i INDEXED BY message_open
                     WHERE i.state IN (1, 2) AND i.state = 1 AND i.due = m.due AND i.id = m.id)
                 WHEN 2 THEN EXISTS (SELECT 1 FROM message AS i INDEXED BY message_open
                     WHERE i.state IN (1, 2) AND i.state = 2 AND i.due = m.due AND i.id = m.id)
                 WHEN 3 THEN outcome = 'stored' AND wamid IS NULL AND EXISTS (SELECT 1 FROM message AS i INDEXED BY message_parked
                     WHERE i.state = 3 AND i.hold = m.hold AND i.due = m.due AND i.id = m.id)
                 ELSE outcome <> 'stored' END
         FROM message AS m WHERE id > ?1 ORDER BY id LIMIT ?2" },
    Step { name: "content", text: false, sql:
        "SELECT message, json_valid(body) AND length(number) BETWEEN 5 AND 20
             AND EXISTS (SELECT 1 FROM message WHERE id = c.message)
         FROM content AS c WHERE message > ?1 AND ?3 >= 0 ORDER BY message LIMIT ?2" },
    Step { name: "attempt", text: false, sql:
        "SELECT id, boxed BETWEEN 0 AND ?3 AND spent BETWEEN 0 AND 2 AND length(boot) + length(coalesce(reason, '')) >= 0
             AND EXISTS (SELECT 1 FROM message WHERE id = a.message)
             AND EXISTS (SELECT 1 FROM attempt AS i INDEXED BY attempt_message WHERE i.message = a.message AND i.id = a.id)
         FROM attempt AS a WHERE id > ?1 ORDER BY id LIMIT ?2" },
    Step { name: "receipt", text: false, sql:
        "SELECT id, length(outcome) > 0 AND length(reason) > 0 FROM receipt WHERE id > ?1 AND ?3 >= 0 ORDER BY id LIMIT ?2" },
    Step { name: "hold", text: true, sql:
        "SELECT key, length(reason) > 0 AND length(note) >= 0 FROM hold WHERE key > ?1 AND ?3 >= 0 ORDER BY key LIMIT ?2" },
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
