//! The damaged store, opened for reading: as much of its schema as is left, and the rest as this version knows it.
//!
//! Floor: rooms. The file is never changed: what is put right is put right in a transaction that never commits.

use super::super::open::{ROW, leave_as_it_is, suffixed};
use super::super::rows::{Is, Table};
use super::super::{Seal, StoreError, schema};
use rusqlite::limits::Limit;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, params};
use std::path::Path;

/// What a damaged file is.
pub(in crate::outbox) enum Old {
    /// A store, and in words what is wrong with the entries of its tables and indexes.
    Store { db: Connection, broken: Vec<String> },
    /// Another program's database.
    Foreign,
    /// Nothing that SQLite reads.
    Unreadable,
}

/// Opens it, if SQLite does.
///
/// One flipped bit in the text of one table is enough for SQLite to refuse all of them, unless the schema counts as writable: then
/// it takes what it understands. What it does not is told it again, with the place that the entry names.
pub(in crate::outbox) fn damaged(path: &Path, seal: &Seal) -> Old {
    let open = || -> Result<(Connection, Vec<Entry>, bool), StoreError> {
        let db = connection(path)?;
        leave_as_it_is(&db);
        // Nothing spills into the file before a commit, and there is none.
        db.execute_batch(
            "PRAGMA writable_schema = ON; PRAGMA locking_mode = EXCLUSIVE; PRAGMA query_only = ON; PRAGMA cell_size_check = ON;
             PRAGMA temp_store = MEMORY;",
        )?;
        db.set_limit(Limit::SQLITE_LIMIT_LENGTH, ROW)?;
        load(&db)?;
        seal.teach(&db)?;
        db.execute_batch("PRAGMA cache_size = -512; PRAGMA cache_spill = OFF;")?;
        let (entries, whole) = Entry::all(&db);
        Ok((db, entries, whole))
    };
    let Ok((db, entries, whole)) = open() else { return Old::Unreadable };
    let Ok(known) = Entry::known(&db) else { return Old::Unreadable };
    if !entries.iter().any(|entry| known.iter().any(|known| known.is_meant_by(entry))) {
        return if entries.is_empty() || !whole { Old::Unreadable } else { Old::Foreign };
    }
    let (mut broken, mut again) = (Vec::new(), Vec::new());
    for known in known {
        let found = entries.iter().find(|entry| known.is_meant_by(entry) && entry.root > 0);
        match found {
            Some(found) if known.is_as(found) => {}
            Some(_) => broken.push(format!("the entry of {} is damaged", known.shown())),
            None => broken.push(format!("the entry of {} is lost, and with it where that begins", known.shown())),
        }
        // Behind a page of entries that cannot be read SQLite looks for none. An index is of no use to who reads every row.
        if let Some(found) = found
            && known.kind == b"table"
            && !(whole && known.is_as(found))
        {
            again.push(Entry { root: found.root, ..known });
        }
    }
    if !again.is_empty() && tell_again(&db, &again).is_err() {
        // Then it is as it was, and what SQLite understands is read.
        let _ = db.execute_batch("ROLLBACK");
        let _ = reload(&db);
    }
    Old::Store { db, broken }
}

/// Not read-only to SQLite where that can be helped: a log is only read by who may lock it. Whoever may not write to the file, or
/// finds a journal beside it that would be played back, sees what was checkpointed.
fn connection(path: &Path) -> rusqlite::Result<Connection> {
    if !suffixed(path, "-journal").exists() && std::fs::File::options().write(true).open(path).is_ok() {
        return Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE);
    }
    let name = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(format!("file:{name}?immutable=1"), flags)
}

/// The schema is read. The first statement fails where a part of it cannot be; from then on what was understood is there.
fn load(db: &Connection) -> rusqlite::Result<()> {
    let look = || db.prepare("SELECT 1 FROM sqlite_schema").map(drop);
    let _ = look();
    look()
}

fn reload(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch("PRAGMA writable_schema = RESET; PRAGMA writable_schema = ON; PRAGMA query_only = ON;")?;
    load(db)
}

/// Entries that come before all others, so that SQLite takes them and refuses what it finds of that name later. Only where a write
/// stays in memory until a commit: with a log.
fn tell_again(db: &Connection, entries: &[Entry]) -> rusqlite::Result<()> {
    let mode: String = db.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
    if mode != "wal" {
        return Ok(());
    }
    db.execute_batch("PRAGMA query_only = OFF; BEGIN IMMEDIATE")?;
    let mut insert = db.prepare(
        "INSERT INTO sqlite_schema (rowid, type, name, tbl_name, rootpage, sql)
         VALUES (?1, CAST(?2 AS TEXT), CAST(?3 AS TEXT), CAST(?4 AS TEXT), ?5, CAST(?6 AS TEXT))",
    )?;
    for (place, entry) in (-(entries.len() as i64)..).zip(entries) {
        insert.execute(params![place, entry.kind, entry.name, entry.table, entry.root, entry.text])?;
    }
    drop(insert);
    reload(db)
}

/// A line of SQLite's own list of tables and indexes, as bytes: damaged text is none.
struct Entry {
    kind: Vec<u8>,
    name: Vec<u8>,
    table: Vec<u8>,
    /// The page where it begins.
    root: i64,
    /// None for the index of a `UNIQUE`.
    text: Option<Vec<u8>>,
}

const ENTRIES: Table = Table {
    name: "sqlite_schema",
    key: "place",
    from:
        "(SELECT rowid AS place, CAST(type AS BLOB) AS kind, CAST(name AS BLOB) AS name, CAST(tbl_name AS BLOB) AS of,
                rootpage AS root, CAST(sql AS BLOB) AS text FROM sqlite_schema) WHERE",
    columns: &[
        ("kind", Is::Blob),
        ("name", Is::Blob),
        ("of", Is::Blob),
        ("root", Is::Number),
        ("text", Is::BlobOrNull),
    ],
};

impl Entry {
    /// Those that can be read, and whether these are all.
    fn all(db: &Connection) -> (Vec<Entry>, bool) {
        let mut all = Vec::new();
        let Ok(read) = ENTRIES.read(db, &mut |values| -> Result<bool, std::convert::Infallible> {
            if let [Value::Blob(kind), Value::Blob(name), Value::Blob(table), Value::Integer(root), text] = values {
                let text = if let Value::Blob(text) = text { Some(text.clone()) } else { None };
                all.push(Entry { kind: kind.clone(), name: name.clone(), table: table.clone(), root: *root, text });
            }
            Ok(true)
        });
        (all, read.is_whole())
    }

    /// As they are in a sound store of the version that the header names.
    fn known(db: &Connection) -> Result<Vec<Entry>, StoreError> {
        let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        let version = usize::try_from(version).unwrap_or(usize::MAX).clamp(1, schema::STEPS.len());
        let fresh = Connection::open_in_memory()?;
        schema::STEPS[..version].iter().try_for_each(|step| fresh.execute_batch(step))?;
        Ok(Entry::all(&fresh).0)
    }

    /// Whether `found` is what is left of this: damage seldom hits both name and text.
    fn is_meant_by(&self, found: &Entry) -> bool {
        self.name == found.name || self.text.is_some() && self.text == found.text
    }

    fn is_as(&self, found: &Entry) -> bool {
        (&self.kind, &self.name, &self.table, &self.text) == (&found.kind, &found.name, &found.table, &found.text)
    }

    fn shown(&self) -> String {
        format!("{} {}", String::from_utf8_lossy(&self.kind), String::from_utf8_lossy(&self.name))
    }
}
