//! Rows of the store as JSON, for `outbox export`: the same from the open store and from a file that is damaged.
//!
//! Floor: rooms. Numbers are masked and no text or id of the platform leaves, but in `ledger` and `limits`, which are about
//! people: there numbers are whole.

use super::person::USER;
use super::rows::{Read, Table};
use super::tables;
use crate::message::{Number, hex};
use rusqlite::Connection;
use rusqlite::types::Value as Cell;
use serde_json::{Map, Value, json};

/// Rows of one page.
const PAGE: usize = 500;
/// What is left out: what the person read and who that is, what only the store needs.
const PRIVATE: &[&str] = &["body", "wamid", "dedupe", "print"];

/// A page of a table, with where the next one begins.
pub(super) fn page(db: &Connection, name: &str, after: i64) -> Option<(Vec<Value>, Option<i64>)> {
    let table = table(name)?;
    let (mut rows, mut last) = (Vec::new(), after);
    // Keys grow; `Stop` only ends the reading early.
    struct Stop;
    let read = table.read_from(db, after.saturating_add(1), &mut |cells| {
        if rows.len() == PAGE {
            return Err(Stop);
        }
        last = key(table, cells).unwrap_or(last);
        rows.push(object(db, name, table, cells).0);
        Ok(true)
    });
    let next = read.is_err().then_some(last);
    Some((rows, next))
}

/// Everything that can be read of a table: each row to `each`. Returns how reading went, and of how many rows the person's number
/// is lost.
pub(super) fn all<E>(
    db: &Connection,
    name: &str,
    each: &mut impl FnMut(Value) -> Result<(), E>,
) -> Result<(Read, u64), E> {
    let Some(table) = table(name) else { return Ok((Read::default(), 0)) };
    let mut nameless = 0;
    let read = table.read(db, &mut |cells| {
        let (row, is_known) = object(db, name, table, cells);
        nameless += u64::from(!is_known);
        each(row).map(|()| true)
    })?;
    Ok((read, nameless))
}

fn table(name: &str) -> Option<&'static Table> {
    match name {
        "message" => Some(&tables::MESSAGE),
        "attempt" => Some(&tables::ATTEMPT),
        "ledger" => Some(&tables::LEDGER),
        "limits" => Some(&tables::LANE),
        "hold" => Some(&tables::HOLD),
        _ => None,
    }
}

fn key(table: &Table, cells: &[Cell]) -> Option<i64> {
    let place = table.columns.iter().position(|(name, _)| *name == table.key)?;
    if let Cell::Integer(key) = cells[place] { Some(key) } else { None }
}

/// A row, and whether it is known whose it is.
fn object(db: &Connection, name: &str, table: &Table, cells: &[Cell]) -> (Value, bool) {
    let mut row = Map::new();
    row.insert("table".to_owned(), json!(name));
    let mut person = None;
    for ((column, _), cell) in table.columns.iter().zip(cells) {
        let value = match cell {
            Cell::Null => Value::Null,
            Cell::Integer(number) => json!(number),
            Cell::Real(number) => json!(number),
            Cell::Text(text) => json!(text),
            Cell::Blob(bytes) if *column == "recent" => json!(hex(bytes)),
            Cell::Blob(_) => continue,
        };
        if *column == "person" {
            person = value.as_i64();
        }
        if !PRIVATE.contains(column) {
            row.insert((*column).to_owned(), value);
        }
    }
    let whole = matches!(name, "ledger" | "limits");
    let (number, is_known) = match name {
        // What was said is forgotten in time, and with it to whom.
        "message" => {
            let id = row.get("id").and_then(Value::as_i64);
            let sql = "SELECT opened('number', message, number) FROM content WHERE message = ?1";
            (id.and_then(|id| text(db, sql, id)), true)
        }
        _ => match person {
            Some(person) => number_of(db, person),
            None => (None, true),
        },
    };
    // Other boxes have a box time of their own.
    if name == "limits" {
        let boxed = db.query_row("SELECT boxed FROM box", [], |row| row.get::<_, i64>(0));
        row.extend(boxed.ok().map(|boxed| ("exported".to_owned(), json!(boxed))));
    }
    if let Some(number) = number.and_then(|digits| Number::of_digits(&digits).ok()) {
        row.insert("number".to_owned(), json!(if whole { number.e164() } else { number.to_string() }));
    }
    // The platform's ids: news may name a person by them alone, and of some nothing else is known.
    let users = person.filter(|_| whole).map(|person| users_of(db, person)).unwrap_or_default();
    if !users.is_empty() {
        row.insert("user_ids".to_owned(), json!(users));
    }
    (Value::Object(row), is_known)
}

/// A name as the table tells it; and, should that be unreadable, its index, which holds the whole of it where there is no key.
const NAMED: &str = "named_by('alias', value, rest) FROM alias NOT INDEXED";
const INDEXED: &str = "named_by('alias', value, NULL) FROM alias INDEXED BY alias_value";

fn users_of(db: &Connection, person: i64) -> Vec<String> {
    let read = |from: &str| -> rusqlite::Result<Vec<String>> {
        let sql = format!("SELECT {from} WHERE person = ?1 AND kind = {USER}");
        db.prepare_cached(&sql)?.query_map([person], |row| row.get(0))?.collect()
    };
    read(NAMED).or_else(|_| read(INDEXED)).unwrap_or_default()
}

/// A person's number, from wherever it can be read; and whether that there is none is true, as of who is known by the platform's
/// user id alone.
fn number_of(db: &Connection, person: i64) -> (Option<String>, bool) {
    let own = text(db, "SELECT opened('person', id, number) FROM person WHERE id = ?1", person);
    let has_none = own.as_deref() == Some("");
    let number = own.filter(|digits| Number::of_digits(digits).is_ok());
    let alias = |from: &str| text(db, &format!("SELECT {from} WHERE person = ?1 AND kind = 0"), person);
    let number = number.or_else(|| alias(NAMED)).or_else(|| alias(INDEXED));
    let is_known = number.is_some() || has_none;
    (number, is_known)
}

/// A text, if it can be read.
fn text(db: &Connection, sql: &str, id: i64) -> Option<String> {
    db.prepare_cached(sql).ok()?.query_row([id], |row| row.get(0)).ok()
}
