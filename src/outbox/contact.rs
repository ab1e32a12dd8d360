//! A person's rights: everything that is held on somebody, and its removal.
//!
//! Floor: rooms. Reads and removes by the tables' own columns (`tables`), so that a table that gets a `person` is covered when it
//! is added. Never touches the list of stops or the audit record: what stays of a person is hashes by keys that lie elsewhere.

use super::rows::Table;
use super::schema::state;
use super::stops::Kind;
use super::{Outbox, StoreError, salvage};
use crate::message::{Content, MessageId, Number, PersonId, hex};
use crate::time::{BoxTime, Wall};
use rusqlite::types::ValueRef;
use rusqlite::{Row, ToSql, params};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Messages of one page.
const PAGE: i64 = 100;

impl Outbox {
    /// Everybody who is known by any form of a number: more than one only where a name was learned late.
    pub fn people_of(&self, number: &Number) -> Result<Vec<PersonId>, StoreError> {
        Ok(self.known_by_number(number)?.into_iter().collect())
    }

    /// Every number and user id under which these people may be known.
    pub fn names_of(&self, people: &[PersonId]) -> Result<BTreeSet<String>, StoreError> {
        let mut all = BTreeSet::new();
        for person in people {
            all.extend(super::stopped::names_of(&self.db, person.0)?);
        }
        Ok(all)
    }

    /// Whether the list of stops has any of these names.
    pub fn is_listed(&self, names: &BTreeSet<String>, purposes: &BTreeSet<String>) -> bool {
        names.iter().any(|name| !self.listed(name, purposes).is_empty())
    }

    fn listed(&self, name: &str, purposes: &BTreeSet<String>) -> Vec<String> {
        let mut listed = Vec::new();
        for (kind, what) in [(Kind::All, "all"), (Kind::Marketing, "marketing (told to the platform)")] {
            if self.stops.has(kind, name, "") {
                listed.push(what.to_owned());
            }
        }
        for purpose in purposes {
            if self.stops.has(Kind::Purpose, name, purpose) {
                listed.push(purpose.clone());
            }
            if self.stops.has(Kind::Lifted, name, purpose) {
                listed.push(format!("given again since: {purpose}"));
            }
        }
        listed
    }

    /// All rows about a person but messages, table by table; and what the list of stops says of the names. `purposes` are those
    /// of the configuration.
    pub fn held_on(
        &self,
        names: &BTreeSet<String>,
        people: &[PersonId],
        purposes: &BTreeSet<String>,
    ) -> Result<Value, StoreError> {
        let mut held = Map::new();
        let mut purposes = purposes.clone();
        for person in people {
            purposes.extend(super::stopped::purposes_of(&self.db, person.0)?);
        }
        held.insert("known".to_owned(), json!(!people.is_empty()));
        for table in salvage::tables() {
            let key = if table.name == "person" { "id" } else { "person" };
            if table.name == "message" || !has(table, key) {
                continue;
            }
            let mut rows = Vec::new();
            for person in people {
                rows.extend(self.rows_of(table, key, person.0)?);
            }
            held.insert(table.name.to_owned(), json!(rows));
        }
        let holds: Vec<Value> = people
            .iter()
            .map(|person| self.rows_of(table("hold"), "key", format!("person:{person}")))
            .collect::<Result<Vec<_>, _>>()?
            .concat();
        held.insert("hold".to_owned(), json!(holds));
        let mut listed = Map::new();
        for name in names {
            let entries = self.listed(name, &purposes);
            if !entries.is_empty() {
                let sign = if name.bytes().all(|byte| byte.is_ascii_digit()) { "+" } else { "" };
                listed.insert(format!("{sign}{name}"), json!(entries));
            }
        }
        held.insert("suppressed".to_owned(), Value::Object(listed));
        Ok(Value::Object(held))
    }

    /// A page of a person's messages behind `after`, each with its content, attempts and receipts; and where the next begins.
    pub fn messages_of(&self, people: &[PersonId], after: i64) -> Result<(Vec<Value>, Option<i64>), StoreError> {
        let mut ids = BTreeSet::new();
        for person in people {
            let mut query =
                self.db.prepare_cached("SELECT id FROM message WHERE person = ?1 AND id > ?2 ORDER BY id LIMIT ?3")?;
            for id in query.query_map(params![person.0, after, PAGE], |row| row.get::<_, i64>(0))? {
                ids.insert(id?);
            }
        }
        let ids: Vec<i64> = ids.into_iter().take(PAGE as usize).collect();
        let mut messages = Vec::new();
        for id in &ids {
            let mut message = self.rows_of(table("message"), "id", *id)?.pop().unwrap_or_default();
            message["shown"] = json!(self.shown(MessageId(*id)));
            for name in ["content", "attempt", "receipt"] {
                let mut rows = self.rows_of(table(name), "message", *id)?;
                for row in &mut rows {
                    let body = row["body"].as_str().and_then(|body| serde_json::from_str::<Content>(body).ok());
                    if let Some(content) = body {
                        row["text"] = json!(content.preview());
                    }
                }
                message[name] = json!(rows);
            }
            messages.push(message);
        }
        let next = if ids.len() as i64 == PAGE { ids.last().copied() } else { None };
        Ok((messages, next))
    }

    fn rows_of(&self, table: &Table, key: &str, value: impl ToSql) -> Result<Vec<Value>, StoreError> {
        let columns: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
        let sql = format!("SELECT {} FROM {} WHERE \"{key}\" = ?1", table.opened(false), table.name);
        let mut query = self.db.prepare_cached(&sql)?;
        let rows = query.query_map([value], |row| object(&columns, row))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// A person's messages that have not ended, with whether each is on its way.
    pub fn open_messages_of(&self, person: PersonId) -> Result<Vec<(MessageId, bool)>, StoreError> {
        let mut query = self.db.prepare_cached("SELECT id, state FROM message WHERE person = ?1 AND state <> ?2")?;
        let rows = query.query_map(params![person.0, state::SETTLED], |row| {
            Ok((MessageId(row.get(0)?), row.get::<_, i64>(1)? == state::POSTED))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The ids that people saw of a person's messages.
    pub fn shown_of(&self, person: PersonId) -> Result<BTreeSet<String>, StoreError> {
        let mut query = self.db.prepare_cached("SELECT id FROM message WHERE person = ?1")?;
        let rows = query.query_map([person.0], |row| Ok(self.shown(MessageId(row.get(0)?))))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Removes a person, all of whose messages have ended: how many messages and lines of the ledger there were.
    ///
    /// What was sent in the last 24 hours stays counted (`keep_spent`).
    /// Of a message stays that there was one: rule, times, outcome, reason, attempts, and its receipt until the broker has it.
    /// Nothing of that says whose it was. Rows are not deleted, so that no id is given twice; they go when their time has come.
    /// `alone`: until when nothing may follow a request that is on its way, if there is one.
    pub fn erase(&mut self, person: PersonId, alone: Option<BoxTime>, now: BoxTime) -> Result<(u64, u64), StoreError> {
        self.keep_spent(person, alone, now)?;
        let db = self.write()?;
        let id = person.0;
        let ledger: i64 = db.query_row("SELECT count(*) FROM ledger WHERE person = ?1", [id], |row| row.get(0))?;
        // The arrivals that told of the person, or of whom nobody can tell any more: their prints hash what was said.
        db.execute(
            "DELETE FROM repeat WHERE newest < oldest OR newest - oldest >= (SELECT count(*) FROM message
                 WHERE message.id BETWEEN oldest AND newest AND person IS NOT NULL AND person <> ?1)",
            [id],
        )?;
        let theirs = "message IN (SELECT id FROM message WHERE person = ?1)";
        db.execute(&format!("DELETE FROM content WHERE {theirs}"), [id])?;
        db.execute(&format!("UPDATE receipt SET masked = NULL WHERE {theirs}"), [id])?;
        db.execute(&format!("UPDATE attempt SET wamid_hash = NULL WHERE {theirs}"), [id])?;
        let messages = db.execute(
            "UPDATE message SET person = NULL, event = NULL, topic = '', dedupe = NULL, print = NULL, subject = NULL, detail = '', wamid = NULL,
                 wamid_hash = NULL
             WHERE person = ?1",
            [id],
        )?;
        for table in salvage::tables() {
            if table.name != "message" && has(table, "person") {
                db.execute(&format!("DELETE FROM {} WHERE person = ?1", table.name), [id])?;
            }
        }
        db.execute("DELETE FROM hold WHERE \"key\" = ?1", [format!("person:{id}")])?;
        db.execute("DELETE FROM person WHERE id = ?1", [id])?;
        self.forget_found();
        Ok((messages as u64, ledger as u64))
    }
}

fn table(name: &str) -> &'static Table {
    salvage::tables().into_iter().find(|table| table.name == name).expect("a table of the schema")
}

fn has(table: &Table, column: &str) -> bool {
    table.columns.iter().any(|(name, _)| *name == column)
}

/// A row as JSON; instants of the wall clock as people write them, all other times as they are kept (box time, milliseconds).
fn object(columns: &[&str], row: &Row<'_>) -> rusqlite::Result<Value> {
    let mut object = Map::new();
    for (place, column) in columns.iter().enumerate() {
        let wall = *column == "wall" || column.ends_with("_wall");
        let value = match row.get_ref(place)? {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(at) if wall => json!(Wall(at).rfc3339()),
            ValueRef::Integer(number) => json!(number),
            ValueRef::Real(number) => json!(number),
            ValueRef::Text(text) => json!(String::from_utf8_lossy(text)),
            ValueRef::Blob(bytes) => json!(hex(bytes)),
        };
        object.insert((*column).to_owned(), value);
    }
    Ok(Value::Object(object))
}
