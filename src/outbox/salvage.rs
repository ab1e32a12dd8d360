//! Salvage: a new store from what can be read of a damaged one, row by row; the old one is set aside.
//!
//! Floor: rooms. Decides on the strict side: whatever cannot be proved unsent may have been sent, whoever may have said no has
//! said no, and all of it is held (`LOSS`) until an operator accepts what is lost.
//!
//! ```text
//!   damaged store, read only ─► outbox.db.salvaging ─► synced, salvaged-damaged-N ─► the store aside, this in its place
//! ```
//!
//! Until the last arrow the damaged store lies where it was: a crash begins again. From there on `finish_swap` ends it.

use super::open::{Evidence, beside, leave_as_it_is, remove, store_name, suffixed, sync_folder};
use super::rows::{Read, Table};
use super::stops::{Found, Stops};
use super::{OpenError, PAGE, Settings, StoreError, aside, schema, stopped, tables};
use crate::message::{Category, Content, Number, Outcome, Priority, Reason};
use crate::time::BoxTime;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params};
use std::fmt;
use std::path::Path;

/// The key of the hold that a loss leaves behind.
pub const LOSS: &str = "loss";
/// `lift` of that hold where it stops everything, alarms to the own contacts included: it is not known who said no.
pub const LIFT_ALL: &str = "operator:all";
/// `lift` of that hold where critical messages to configured contacts pass.
pub const LIFT: &str = "operator";

/// Box times beyond this are nobody's: 30 years.
const FOREVER: i64 = 30 * 365 * 86_400_000;
/// No wait that this version sets on a person is longer (`policy.undeliverable` and the platform's own): a year.
const YEAR: i64 = 365 * 86_400_000;

/// What was found and what became of it.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
struct Salvage {
    /// What was wrong.
    what: String,
    /// Where the damaged store lies now.
    aside: String,
    /// Table, rows that were kept, rows that could not be read, stretches of unknown length that could not be read.
    tables: Vec<(&'static str, u64, u64, u32)>,
    /// Messages that had not ended and of which nobody knows any more whether they were sent.
    unsure: u64,
    /// Messages that had not ended and whose content is lost.
    lost: u64,
    /// Whether it is known who took consent back.
    stops_known: bool,
    /// How many stops the list holds.
    stops: usize,
}

impl fmt::Display for Salvage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; salvaged:", self.what)?;
        let kept = self.tables.iter().filter(|(_, kept, unreadable, gaps)| kept + unreadable + u64::from(*gaps) > 0);
        let mut none = true;
        for (name, kept, unreadable, gaps) in kept {
            write!(f, "{} {name} {kept}", if none { "" } else { "," })?;
            none = false;
            match (unreadable, gaps) {
                (0, 0) => {}
                (0, gaps) => write!(f, " (not all: {gaps} damaged stretches)")?,
                (rows, 0) => write!(f, " ({rows} unreadable)")?,
                (rows, gaps) => write!(f, " ({rows} unreadable, {gaps} damaged stretches)")?,
            }
        }
        if none {
            write!(f, " nothing")?;
        }
        if self.unsure > 0 {
            write!(f, "; of {} messages nobody knows whether they were sent", self.unsure)?;
        }
        if self.lost > 0 {
            write!(f, "; the content of {} that waited is lost", self.lost)?;
        }
        write!(f, "; {} stops on the list", self.stops)?;
        if !self.stops_known {
            write!(f, ", WHICH MAY LACK SOME: import the ledger before anything is released")?;
        }
        write!(f, "; the old file is {}", self.aside)
    }
}

/// What this process knows beyond the files.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Known {
    pub commits: i64,
    pub boxed: i64,
    pub message: i64,
    pub attempt: i64,
    pub receipt: i64,
}

/// Makes a new store of what can be read and puts it into the old one's place. Returns whether the store that was read had seen
/// the commit `known.commits + 1`.
pub(super) fn salvage(
    settings: &Settings,
    letters: u64,
    what: &str,
    evidence: &Evidence,
    (stops, list): (&mut Stops, Found),
    known: Known,
) -> Result<bool, OpenError> {
    let path = &settings.path;
    let failed = |error: StoreError| OpenError::Store { path: path.clone(), error };
    let io = |why: std::io::Error| OpenError::File { path: path.clone(), why: why.to_string() };
    let (old, foreign) = damaged(path);
    let new = beside(path, "salvaging");
    for part in ["", "-wal", "-journal"] {
        remove(&suffixed(&new, part)).map_err(io)?;
    }
    // Room for it: whatever was set aside before is of less use now.
    if let (Ok(stat), Ok(free)) = (std::fs::metadata(path), free_space(path))
        && free < stat.len() + 1024 * PAGE
    {
        aside::forget(path, BoxTime(i64::MAX)).map_err(io)?;
    }
    let db = fresh(&new).map_err(failed)?;
    #[cfg(test)]
    super::power::step().map_err(io)?;
    let mut work = Work {
        old: old.as_ref(),
        new: &db,
        done: Salvage { what: what.to_owned(), ..Salvage::default() },
        held_all: false,
    };
    let happened = work.copy(settings, letters, evidence, known).map_err(failed)?;
    #[cfg(test)]
    super::power::step().map_err(io)?;
    let complete = work.knows_all_stops() && old.is_some();
    let commits: i64 = db.query_row("SELECT commits FROM box", [], |row| row.get(0)).map_err(|e| failed(e.into()))?;
    // Commits that are gone may have held a revocation, which is on the list; without the list nobody knows.
    let commits_lost = what.contains("commits") || what.contains("log") || evidence.mark.is_none();
    // Nor does a later salvage know what an earlier one did not, before somebody has accepted that.
    let whole = if list == Found::Intact { !stops.incomplete } else { complete && !commits_lost };
    work.done.stops_known = whole && !work.held_all;
    stops.incomplete = !work.done.stops_known;
    if list == Found::Intact {
        stops.taken_back();
        stops.keep_lifted(&stopped::lifted(&db).map_err(failed)?);
    } else {
        stops.renew().map_err(io)?;
    }
    #[cfg(test)]
    super::power::step().map_err(io)?;
    stopped::list_all(&db, stops, list != Found::Intact).map_err(failed)?;
    stops.absorb();
    // A list that is made anew from what is left would be believed by a salvage that begins again: it follows the swap, and with
    // it the hold that says that nobody knows.
    if list == Found::Intact {
        stops.write(commits).map_err(io)?;
    }
    #[cfg(test)]
    super::power::step().map_err(io)?;
    work.done.stops = stops.len();
    let boxed: i64 = db.query_row("SELECT boxed FROM box", [], |row| row.get(0)).map_err(|e| failed(e.into()))?;
    let finished = aside::salvaged(path, BoxTime(boxed), foreign);
    let aside = finished.to_string_lossy().replacen(".salvaged-", ".", 1);
    work.done.aside = Path::new(&aside).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    work.hold().map_err(failed)?;
    #[cfg(test)]
    super::power::step().map_err(io)?;
    // As every store: the head says that there is a log.
    db.execute_batch("COMMIT; PRAGMA journal_mode = WAL;").map_err(|e| failed(e.into()))?;
    #[cfg(test)]
    super::power::step().map_err(io)?;
    drop(old);
    db.close().map_err(|(_, error)| failed(error.into()))?;
    std::fs::File::open(&new).and_then(|file| file.sync_all()).map_err(io)?;
    #[cfg(test)]
    super::power::step().map_err(io)?;
    std::fs::rename(&new, &finished).and_then(|()| sync_folder(path)).map_err(io)?;
    super::open::finish_swap(path)?;
    if list != Found::Intact {
        stops.write(commits).map_err(io)?;
    }
    Ok(happened)
}

/// Whether a store holds everything because nobody knows who said no.
pub(super) fn holds_all(db: &Connection) -> Result<bool, StoreError> {
    let question = "SELECT EXISTS (SELECT 1 FROM hold WHERE key = ?1 AND lift = ?2)";
    Ok(db.query_row(question, [LOSS, LIFT_ALL], |row| row.get(0))?)
}

/// Every table.
pub(super) fn tables() -> [&'static Table; 12] {
    use tables::*;
    [&BOX, &SENDER, &PERSON, &ALIAS[0], &LANE, &LEDGER, &MESSAGE, &CONTENT, &ATTEMPT, &RECEIPT, &HOLD, &REPEAT]
}

/// The damaged store for reading, if SQLite opens it at all; and whether it is another program's.
pub(super) fn damaged(path: &Path) -> (Option<Connection>, bool) {
    let open = || -> Result<Connection, StoreError> {
        let db = connection(path)?;
        leave_as_it_is(&db);
        db.execute_batch(
            "PRAGMA locking_mode = EXCLUSIVE; PRAGMA query_only = ON; PRAGMA cell_size_check = ON;
             PRAGMA cache_size = -512; PRAGMA temp_store = MEMORY;",
        )?;
        let (length, limit) = (super::open::ROW, rusqlite::limits::Limit::SQLITE_LIMIT_LENGTH);
        db.set_limit(limit, length)?;
        db.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        Ok(db)
    };
    let Ok(db) = open() else { return (None, false) };
    let tables = db.query_row(
        "SELECT count(*), total(name IN ('ledger', 'lane', 'alias', 'box', 'attempt')) FROM sqlite_schema",
        [],
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, f64>(1)?)),
    );
    match tables {
        Ok((0, _)) => (None, false),
        Ok((_, ours)) if ours < 1.0 => (None, true),
        _ => (Some(db), false),
    }
}

/// Not read-only to SQLite where that can be helped: a log is only read by who may lock it. Whoever may not write to the file, or
/// finds a journal beside it that would be played back, sees what was checkpointed.
fn connection(path: &Path) -> rusqlite::Result<Connection> {
    use rusqlite::OpenFlags;
    if !suffixed(path, "-journal").exists() && std::fs::File::options().write(true).open(path).is_ok() {
        return Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE);
    }
    let name = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(format!("file:{name}?immutable=1"), flags)
}

fn free_space(path: &Path) -> std::io::Result<u64> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let stat = rustix::fs::statvfs(folder)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

fn fresh(path: &Path) -> Result<Connection, StoreError> {
    let db = Connection::open(path)?;
    // Nobody reads it before it is whole and synced.
    db.execute_batch(&format!(
        "PRAGMA locking_mode = EXCLUSIVE; PRAGMA page_size = {PAGE}; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
         PRAGMA cache_size = -512; PRAGMA temp_store = MEMORY; PRAGMA application_id = {};",
        schema::APPLICATION
    ))?;
    for step in schema::STEPS {
        db.execute_batch(step)?;
    }
    db.execute_batch(&format!("PRAGMA user_version = {}; BEGIN;", schema::STEPS.len()))?;
    Ok(db)
}

struct Work<'a> {
    old: Option<&'a Connection>,
    new: &'a Connection,
    done: Salvage,
    /// The old store already held everything, for nobody knew who said no.
    held_all: bool,
}

impl Work<'_> {
    fn copy(
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
        self.new.execute("INSERT OR IGNORE INTO sender VALUES (1, ?1)", [&settings.sender])?;
        self.table(&tables::PERSON, |values| int(&values[0]) > 0 && is_number(&values[1]))?;
        self.aliases()?;
        self.table(&tables::LEDGER, |values| {
            latest = latest.max(Some(int(&values[9])).filter(|at| sane(*at)).unwrap_or(0));
            int(&values[0]) > 0 && int(&values[1]) == 1
        })?;
        self.table(&tables::LANE, |_| true)?;
        let messages_whole = self.table(&tables::MESSAGE, |values| {
            highest[0] = highest[0].max(int(&values[0]));
            for at in [18, 24] {
                latest = latest.max(Some(int(&values[at])).filter(|at| sane(*at)).unwrap_or(0));
            }
            is_message(values)
        })?;
        let contents_whole = self.table(&tables::CONTENT, |values| {
            is_number(&values[1]) && serde_json::from_str::<Content>(text(&values[2])).is_ok()
        })?;
        let attempts_whole = self.table(&tables::ATTEMPT, |values| {
            highest[1] = highest[1].max(int(&values[0]));
            latest = latest.max(Some(int(&values[3])).filter(|at| sane(*at)).unwrap_or(0));
            sane(int(&values[3])) && (0..=2).contains(&int(&values[6]))
        })?;
        self.table(&tables::RECEIPT, |values| Outcome::of_code(text(&values[2])).is_some())?;
        let mut held_all = false;
        self.table(&tables::HOLD, |values| {
            held_all |= text(&values[0]) == LOSS && text(&values[6]) == LIFT_ALL;
            Reason::of_code(text(&values[1])).is_some()
        })?;
        self.held_all = held_all;
        self.table(&tables::REPEAT, |_| true)?;

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
        self.box_row(found, &name, commits, boxed)?;
        let ids = [
            highest[0].min(1 << 48).max(mark.map_or(0, |mark| mark.message)).max(known.message),
            highest[1].min(1 << 48).max(mark.map_or(0, |mark| mark.attempt)).max(known.attempt),
        ];
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
        commits < mark || self.done.what.contains("log")
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
        let names: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
        let marks = vec!["?"; names.len()].join(", ");
        let sql = format!("INSERT OR IGNORE INTO {} ({}) VALUES ({marks})", table.name, quoted(&names));
        let mut insert = self.new.prepare(&sql)?;
        let read = self
            .read(table, &mut |values| Ok(good(values) && insert.execute(rusqlite::params_from_iter(values))? == 1))?;
        drop(insert);
        self.note(table.name, &read);
        Ok(read.is_whole())
    }

    /// Its index holds every alias once more: what either of them tells.
    fn aliases(&mut self) -> Result<(), StoreError> {
        let mut insert = self.new.prepare("INSERT OR IGNORE INTO alias (value, kind, person) VALUES (?, ?, ?)")?;
        let mut reads = Vec::new();
        for table in &tables::ALIAS {
            reads.push(self.read(table, &mut |values| {
                let (kind, person) = (int(&values[1]), int(&values[2]));
                let good = person > 0 && (kind == 1 || kind == 0 && is_number(&values[0]));
                if good {
                    insert.execute(rusqlite::params_from_iter(values))?;
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
    fn knows_all_stops(&self) -> bool {
        let needed = ["person", "alias", "ledger", "lane", "hold"];
        let whole = |name: &str| {
            self.done.tables.iter().any(|(table, _, unreadable, gaps)| *table == name && *unreadable == 0 && *gaps == 0)
        };
        needed.iter().all(|name| whole(name))
    }

    fn box_row(&self, found: Option<Vec<Value>>, name: &str, commits: i64, boxed: i64) -> Result<(), StoreError> {
        let row = found.unwrap_or_else(|| vec![Value::Null; 10]);
        let wall = Some(int(&row[6])).filter(|wall| (0..1 << 43).contains(wall)).unwrap_or(0);
        let filters = Some(text(&row[9])).filter(|text| serde_json::from_str::<Vec<String>>(text).is_ok());
        let taken: i64 = self.new.query_row("SELECT coalesce(min(id) - 1, 0) FROM receipt", [], |row| row.get(0))?;
        let taken = Some(int(&row[8])).filter(|id| (0..1 << 48).contains(id)).unwrap_or(0).max(taken.max(0));
        // Not the boot: the time since the last commit is counted by the wall clock, if that was trusted.
        self.new.execute(
            "INSERT INTO box VALUES (1, ?1, ?2, ?3, 0, '', ?4, ?5, ?6, ?7)",
            params![name, commits, boxed, wall, int(&row[7]) == 1 && wall > 0, taken, filters.unwrap_or("[]")],
        )?;
        Ok(())
    }

    /// What the rows say about each other is made true again.
    fn mend(&mut self, boxed: i64, sure: bool) -> Result<(), StoreError> {
        let db = self.new;
        // A person whose own row is lost is known by an alias, or by a message.
        db.execute_batch(
            "INSERT OR IGNORE INTO person (id, number) SELECT person, min(value) FROM alias WHERE kind = 0 GROUP BY person;
             INSERT OR IGNORE INTO person (id, number) SELECT person, min(number) FROM message
                 JOIN content ON content.message = message.id WHERE person > 0 GROUP BY person;
             INSERT OR IGNORE INTO alias (value, kind, person) SELECT number, 0, id FROM person;
             DELETE FROM alias WHERE person NOT IN (SELECT id FROM person);
             DELETE FROM person WHERE id NOT IN (SELECT person FROM alias);
             DELETE FROM lane WHERE person NOT IN (SELECT id FROM person);
             DELETE FROM ledger WHERE person NOT IN (SELECT id FROM person);
             UPDATE message SET person = NULL, dedupe = NULL, subject = NULL WHERE person NOT IN (SELECT id FROM person);
             DELETE FROM content WHERE message NOT IN (SELECT id FROM message);
             DELETE FROM attempt WHERE message NOT IN (SELECT id FROM message);
             DELETE FROM receipt WHERE message NOT IN (SELECT id FROM message);
             DELETE FROM hold WHERE key = 'loss' OR key = 'limits';
             UPDATE ledger SET action = 'revoke' WHERE action NOT IN ('grant', 'revoke');",
        )?;
        self.numbers_belong()?;
        for (table, column, most) in [
            ("ledger", "boxed", boxed),
            ("message", "arrived", boxed),
            ("message", "changed", boxed),
            ("message", "expires", boxed + YEAR),
            ("message", "due", boxed + YEAR),
            ("attempt", "boxed", boxed),
            ("lane", "pair_started", boxed),
            ("lane", "pair_last", boxed),
            ("lane", "held_until", boxed + YEAR),
            ("lane", "undeliverable", boxed + YEAR),
            ("lane", "not_before", boxed + YEAR),
            ("lane", "seen", boxed),
            ("lane", "pair_count", 1000),
            ("lane", "strikes", 100),
            ("hold", "until", boxed + YEAR),
        ] {
            db.execute(
                &format!("UPDATE {table} SET {column} = min(max({column}, 0), ?1) WHERE {column} NOT BETWEEN 0 AND ?1"),
                [most],
            )?;
        }
        self.unsure(boxed, sure)?;
        // Whose turn it is, worked out again.
        db.execute_batch(
            "UPDATE lane SET due = NULL, rank = 0;
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
        let mut find = db.prepare("SELECT person FROM alias WHERE value = ?1 AND kind = 0")?;
        let mut query = db.prepare(
            "SELECT message, content.number, person FROM content JOIN message ON message.id = message
             WHERE person IS NOT NULL",
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
                 WHERE state <> 4 AND (outcome NOT IN ('stored', 'unknown') OR wamid IS NOT NULL
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
                 detail = 'its content was lost with a damaged store' WHERE {gone}"
        );
        self.done.lost = db.execute(&ended, [boxed])? as u64;
        // What waits by its state alone: its outcome or an attempt without an answer say that it may have been sent.
        let doubtful = format!(
            "UPDATE message SET state = 2, hold = NULL, due = ?1, outcome = 'unknown', reason = '{code}', changed = ?1,
                 detail = 'the store was damaged: nobody knows whether it was sent'
             WHERE state IN (0, 3)
                 AND (outcome = 'unknown' OR id IN (SELECT message FROM attempt WHERE answered IS NULL))"
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
                 changed = ?1, detail = 'the store was damaged: nobody knows whether it was sent' WHERE state <> 4"
        );
        self.done.unsure = db.execute(&unknown, [boxed])? as u64;
        Ok(())
    }

    /// A line of the outbox that says what happened; no id before it is given again.
    fn landmark(&self, [message, attempt]: [i64; 2], receipt: i64, boxed: i64) -> Result<(), StoreError> {
        let code = Reason::StoreDamaged.code();
        let (message, attempt) = (message + 1, attempt + 1);
        let wall: i64 = self.new.query_row("SELECT wall FROM box", [], |row| row.get(0))?;
        self.new.execute(
            "INSERT OR REPLACE INTO message (id, state, sender, rank, due, tries, expires, rule, topic, purpose, category, template,
                 arrived, arrived_wall, outcome, reason, detail, changed, changed_wall)
             VALUES (?1, 4, 1, ?2, 0, 0, 0, '', '', '', '', '', ?3, ?4, ?5, ?6, ?7, ?3, ?4)",
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

    /// Everything is held from the first moment on. The strike says that the limits are still to be counted as spent.
    fn hold(&self) -> Result<(), StoreError> {
        let lift = if self.done.stops_known { LIFT } else { LIFT_ALL };
        self.new.execute(
            "INSERT OR REPLACE INTO hold (key, reason, since, since_wall, until, strikes, lift, note, loud)
             SELECT ?1, ?2, boxed, wall, NULL, 1, ?3, ?4, 1 FROM box",
            params![LOSS, Reason::StoreDamaged.code(), lift, self.done.to_string()],
        )?;
        Ok(())
    }
}

/// Names as SQL takes them: `key` is a word of its own there.
fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

fn int(value: &Value) -> i64 {
    if let Value::Integer(number) = value { *number } else { 0 }
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
