//! Copying: every row of the old store that can be read and means something, into the new one.
//!
//! Floor: rooms. Judges each row by itself; what rows say about each other is mended afterwards.

use super::super::open::{Evidence, store_name};
use super::super::rows::{Read, Table};
use super::super::{Settings, StoreError, tables};
use super::report::Salvage;
use super::{Extent, Known, LIFT_ALL, LOSS, YEAR};
use crate::message::{Anchor, Category, Content, Number, Outcome, Priority, Reason};
use rusqlite::types::Value;
use rusqlite::{Connection, params};

/// Box times beyond this are nobody's: 30 years.
const FOREVER: i64 = 30 * 365 * 86_400_000;

pub(super) struct Work<'a> {
    pub old: Option<&'a Connection>,
    pub new: &'a Connection,
    pub extent: Extent,
    pub done: Salvage,
    /// The old store already held everything, for nobody knew who said no.
    pub held_all: bool,
    /// Whether nothing is missing that says who was reached when.
    pub reached_known: bool,
    pub hides_commits: bool,
}

impl Work<'_> {
    pub fn copy(
        &mut self,
        settings: &Settings,
        letters: u64,
        evidence: &Evidence,
        known: Known,
    ) -> Result<bool, StoreError> {
        let (mut highest, mut latest) = ([0i64; 2], 0i64);
        let mark = evidence.mark.as_ref();
        let sane = |at: i64| (0..FOREVER).contains(&at);
        // What the box knew about itself.
        let mut found: Option<Vec<Value>> = None;
        let read = self.read(&tables::BOX, &mut |values| {
            let good = (1..=3).all(|place| !matches!(values[place], Value::Null)) && sane(int(&values[3]));
            if good && found.is_none() {
                found = Some(values.to_vec());
            }
            Ok(good)
        })?;
        self.note("box", &read);
        self.table(&tables::SENDER, |values| int(&values[0]) == 1)?;
        self.new.execute("INSERT OR IGNORE INTO sender (id, phone_number_id) VALUES (1, ?1)", [&settings.sender])?;
        self.table(&tables::PERSON, |values| {
            int(&values[0]) > 0 && (text(&values[1]).is_empty() || is_number(&values[1]))
        })?;
        self.aliases()?;
        self.table(&tables::LEDGER, |values| {
            latest = latest.max(Some(int(&values[9])).filter(|at| sane(*at)).unwrap_or(0));
            int(&values[0]) > 0 && int(&values[1]) == 1
        })?;
        let lanes_whole = self.table(&tables::LANE, |_| true)?;
        let mut left = 0;
        let messages_whole = self.table(&tables::MESSAGE, |values| {
            highest[0] = highest[0].max(int(&values[0]));
            for at in [18, 24] {
                latest = latest.max(Some(int(&values[at])).filter(|at| sane(*at)).unwrap_or(0));
            }
            left += u64::from((0..4).contains(&int(&values[1])));
            is_message(values)
        })?;
        self.done.left = (self.extent != Extent::Everything).then_some(left);
        let contents_whole = self.table(&tables::CONTENT, |values| {
            is_number(&values[1]) && serde_json::from_str::<Content>(text(&values[2])).is_ok()
        })?;
        let attempts_whole = self.table(&tables::ATTEMPT, |values| {
            highest[1] = highest[1].max(int(&values[0]));
            latest = latest.max(Some(int(&values[3])).filter(|at| sane(*at)).unwrap_or(0));
            sane(int(&values[3])) && (0..=3).contains(&int(&values[6]))
        })?;
        self.table(&tables::RECEIPT, |values| match values[1] {
            Value::Null => {
                serde_json::from_str::<serde::de::IgnoredAny>(text(&values[7])).is_ok() && sane(int(&values[8]))
            }
            _ => Outcome::of_code(text(&values[2])).is_some(),
        })?;
        let mut held_all = false;
        self.table(&tables::HOLD, |values| {
            held_all |= text(&values[0]) == LOSS && text(&values[6]) == LIFT_ALL;
            Reason::of_code(text(&values[1])).is_some()
        })?;
        self.held_all = held_all;
        self.table(&tables::HEALTH, |values| int(&values[0]) == 1)?;
        self.table(&tables::HEARD, |values| sane(int(&values[1])))?;
        self.table(&tables::REPEAT, |_| true)?;
        self.table(&tables::AUDIT, |values| {
            int(&values[0]) > 0 && (1..1 << 32).contains(&int(&values[1])) && blob(&values[3]).len() == 32
        })?;

        let seen = found.as_ref().map(|values| (text(&values[1]).to_owned(), int(&values[2]), int(&values[3])));
        // Box time never goes back, and a damaged value does not make it jump.
        let floor = known.boxed.max(mark.map_or(0, |mark| mark.boxed));
        let ceiling = if floor > 0 { floor + YEAR } else { i64::MAX };
        let boxed = seen.as_ref().map(|seen| seen.2).filter(|at| *at <= ceiling).unwrap_or(0).max(floor);
        let boxed = if boxed == 0 { latest } else { boxed };
        let commits = known
            .commits
            .max(mark.map_or(0, |mark| mark.commits))
            .max(evidence.list.unwrap_or(0))
            .max(seen.as_ref().map(|seen| seen.1).filter(|n| *n < 1 << 40).unwrap_or(0))
            + 1;
        let happened = seen.as_ref().is_some_and(|seen| seen.1 == known.commits + 1);
        let sure_of_ids = mark.is_some() || known.commits > 0 || (messages_whole && read.is_whole());
        let name = mark
            .map(|mark| mark.store.clone())
            .or(seen.map(|seen| seen.0).filter(|name| is_name(name)))
            .filter(|_| sure_of_ids)
            .unwrap_or_else(|| store_name(letters));
        self.box_row(settings, &found, &name, (commits, boxed))?;
        self.audit(&found, [mark.map_or(Anchor::default(), |mark| mark.audit), known.audit], boxed)?;
        let ids = [
            highest[0].min(1 << 48).max(mark.map_or(0, |mark| mark.message)).max(known.message),
            highest[1].min(1 << 48).max(mark.map_or(0, |mark| mark.attempt)).max(known.attempt),
        ];
        self.reached_known = lanes_whole && !self.commits_gone(evidence, &known);
        self.mend(boxed, messages_whole && attempts_whole && contents_whole && !self.commits_gone(evidence, &known))?;
        self.landmark(ids, known.receipt, boxed)?;
        Ok(happened)
    }

    /// Whether commits may be missing, and with them attempts that left.
    fn commits_gone(&self, evidence: &Evidence, known: &Known) -> bool {
        let Some(old) = self.old else { return true };
        let commits: rusqlite::Result<i64> = old.query_row("SELECT commits FROM box", [], |row| row.get(0));
        let Ok(commits) = commits else { return true };
        // Without a mark, a log that lost its end looks like one that never had it.
        let Some(mark) = evidence.mark.as_ref().map(|mark| mark.commits.max(known.commits)) else { return true };
        commits < mark || self.hides_commits
    }

    fn read(
        &self,
        table: &Table,
        each: &mut impl FnMut(&[Value]) -> Result<bool, StoreError>,
    ) -> Result<Read, StoreError> {
        match self.old {
            Some(old) => table.read(old, each),
            None => Ok(Read { gaps: 1, ..Read::default() }),
        }
    }

    fn note(&mut self, name: &'static str, read: &Read) {
        if self.old.is_none() {
            return;
        }
        self.done.tables.push((name, read.rows, read.unreadable, read.gaps));
    }

    /// Copies the good rows; whether all could be read.
    fn table(&mut self, table: &Table, mut good: impl FnMut(&[Value]) -> bool) -> Result<bool, StoreError> {
        let values = table.written(|column| format!(":{column}"));
        let sql = format!("INSERT OR IGNORE INTO {} ({}) VALUES ({values})", table.name, table.names());
        let mut insert = self.new.prepare(&sql)?;
        if !self.extent.takes(table) {
            // Read all the same: which ids were given, and how late it was.
            drop(insert);
            return Ok(self.read(table, &mut |values| Ok(good(values)))?.is_whole());
        }
        let read = self
            .read(table, &mut |values| Ok(good(values) && insert.execute(rusqlite::params_from_iter(values))? == 1))?;
        drop(insert);
        self.note(table.name, &read);
        Ok(read.is_whole())
    }

    /// Without a key its index holds every alias once more: what either of them tells.
    fn aliases(&mut self) -> Result<(), StoreError> {
        if !self.extent.takes(&tables::ALIAS[0]) {
            return Ok(());
        }
        let mut insert = self
            .new
            .prepare("INSERT OR IGNORE INTO alias (value, kind, person, rest) VALUES (found_by('alias', ?1), ?2, ?3, rest('alias', ?1))")?;
        let mut reads = Vec::new();
        for table in &tables::ALIAS {
            reads.push(self.read(table, &mut |values| {
                let (kind, person) = (int(&values[1]), int(&values[2]));
                let good = person > 0 && (kind == 1 || kind == 2 || kind == 0 && is_number(&values[0]));
                if good {
                    insert.execute(rusqlite::params_from_iter(&values[..3]))?;
                }
                Ok(good)
            })?);
        }
        drop(insert);
        let rows: i64 = self.new.query_row("SELECT count(*) FROM alias", [], |row| row.get(0))?;
        let best = reads.iter().min_by_key(|read| (read.gaps, read.unreadable)).cloned().unwrap_or_default();
        self.note("alias", &Read { rows: rows as u64, ..best });
        Ok(())
    }

    /// Whether nothing is missing from which a stop could be known.
    pub fn knows_all_stops(&self) -> bool {
        let needed = ["person", "alias", "ledger", "lane", "hold"];
        let whole = |name: &str| {
            self.done.tables.iter().any(|(table, _, unreadable, gaps)| *table == name && *unreadable == 0 && *gaps == 0)
        };
        needed.iter().all(|name| whole(name))
    }

    fn box_row(
        &self,
        settings: &Settings,
        found: &Option<Vec<Value>>,
        name: &str,
        (commits, boxed): (i64, i64),
    ) -> Result<(), StoreError> {
        let row = found.clone().unwrap_or_else(|| vec![Value::Null; tables::BOX.columns.len()]);
        let wall = Some(int(&row[6])).filter(|wall| (0..1 << 43).contains(wall)).unwrap_or(0);
        let filters = Some(text(&row[9])).filter(|text| serde_json::from_str::<Vec<String>>(text).is_ok());
        let taken: i64 = self.new.query_row("SELECT coalesce(min(id) - 1, 0) FROM receipt", [], |row| row.get(0))?;
        let taken = Some(int(&row[8])).filter(|id| (0..1 << 48).contains(id)).unwrap_or(0).max(taken.max(0));
        let [worn_since, worn] =
            [14, 15].map(|place| Some(int(&row[place])).filter(|value| (0..1 << 43).contains(value)).unwrap_or(0));
        // Not the boot: the time since the last commit is counted by the wall clock, if that was trusted.
        self.new.execute(
            "INSERT INTO box VALUES (1, ?1, ?2, ?3, 0, '', ?4, ?5, ?6, ?7, 0, zeroblob(32), 0, zeroblob(32), ?9, ?10, ?8)",
            params![
                name,
                commits,
                boxed,
                wall,
                int(&row[7]) == 1 && wall > 0,
                taken,
                filters.unwrap_or("[]"),
                settings.seal.print(),
                worn_since,
                worn
            ],
        )?;
        Ok(())
    }
}

impl Work<'_> {
    /// The audit record goes on where it had come to, as far as anything tells; rows that are missing before that are its gap. What
    /// of the rows is whole is for `audit` to say, and what is not is recorded by the engine.
    fn audit(&self, found: &Option<Vec<Value>>, told: [Anchor; 2], boxed: i64) -> Result<(), StoreError> {
        let mut end = told.into_iter().max_by_key(|anchor| anchor.rows).unwrap_or_default();
        if let Some(row) = found
            && let (rows, Ok(head)) = (int(&row[10]), blob(&row[11]).try_into())
            && (0..1 << 48).contains(&rows)
        {
            if rows as u64 > end.rows {
                end = Anchor { rows: rows as u64, head };
            }
            let (count, tail) = (int(&row[12]), blob(&row[13]));
            if let Some((before, bytes)) = tail.split_at_checked(32)
                && (1..=rows).contains(&count)
            {
                self.new.execute(
                    "INSERT OR IGNORE INTO audit (first, count, boxed, before, rows) VALUES (?1, ?2, ?3, ?4, ?5)",
                    params![rows - count + 1, count, boxed, before, bytes],
                )?;
            }
        }
        self.new.execute(
            "UPDATE box SET audit_rows = ?1, audit_head = ?2, tail_rows = 0, tail = ?2",
            params![end.rows as i64, end.head],
        )?;
        Ok(())
    }
}

fn int(value: &Value) -> i64 {
    if let Value::Integer(number) = value { *number } else { 0 }
}

fn blob(value: &Value) -> &[u8] {
    if let Value::Blob(bytes) = value { bytes } else { &[] }
}

fn text(value: &Value) -> &str {
    if let Value::Text(text) = value { text } else { "" }
}

fn is_number(value: &Value) -> bool {
    Number::of_digits(text(value)).is_ok()
}

fn is_name(name: &str) -> bool {
    name.len() == 4 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

fn is_message(values: &[Value]) -> bool {
    let ended = text(&values[21]);
    let (state, category) = (int(&values[1]), text(&values[16]));
    int(&values[0]) > 0
        && (0..=4).contains(&state)
        && Priority::of_rank(int(&values[4])).is_some()
        && (0..=1000).contains(&int(&values[6]))
        && (category.is_empty() || Category::of_code(category).is_some())
        && Outcome::of_code(ended).is_some()
        && Reason::of_code(text(&values[22])).is_some()
}
