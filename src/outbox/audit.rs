//! The audit record as it is kept: pieces of rows, the newest of them beside what the box knows about itself.
//!
//! Floor: rooms. What a row is, and whether a record is whole, is `audit`'s to say: here rows are bytes. Each function that writes
//! a decision notes it ([`Outbox::acted`]) in the same transaction, and the engine hands the rows that it makes of that back.
//!
//! Why the newest rows lie in `box`: that row is written with every commit, so that they cost no page of their own. When they fill
//! its page they become a piece of the table, once in about five messages (device bytes are a budget of the design).

use super::beside::{Bytes, KEY, key_of, make_key, read};
use super::open::beside;
use super::{OpenError, Outbox, StoreError};
use crate::message::{Act, Acted, Anchor, hex};
use crate::time::{BoxTime, millis};
use rusqlite::{OptionalExtension, params};
use std::path::Path;
use std::time::Duration;

/// Bytes that tail and filters may have together, so that the row of `box` stays on one page: SQLite keeps 477 bytes of a row
/// on one of 512, of which the other columns take at most 174.
const TAIL: usize = 300;
/// Bytes of a row with its share of a page, at the most: for how many a store has room.
const ROW: u64 = 80;
/// Pieces that one look forgets.
const SLICE: i64 = 256;
/// Between two looks for rows that are past their time, at the most: each that finds some leaves a row itself.
const LOOK: Duration = Duration::from_secs(24 * 60 * 60);

/// By what a person, or else a message's, is known first: somebody without a number by the platform's id.
const NAME: &str = "SELECT coalesce(nullif(opened('person', id, number), ''),
         (SELECT min(named_by('alias', value, rest)) FROM alias WHERE alias.person = person.id AND kind = 1))
     FROM person WHERE id = coalesce(?1, (SELECT person FROM message WHERE id = ?2))";

/// Some rows of the record, one behind the other.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Piece {
    /// The number of the first; rows count from 1.
    pub first: u64,
    /// How many.
    pub count: u64,
    /// The head before the first.
    pub before: [u8; 32],
    /// They themselves.
    pub rows: Vec<u8>,
}

impl Piece {
    /// As `box.tail` holds it.
    pub(super) fn tail(end: &Anchor, count: u64, bytes: &[u8]) -> Piece {
        let (before, rows) = bytes.split_first_chunk::<32>().map_or((end.head, &[][..]), |(head, rows)| (*head, rows));
        Piece { first: (end.rows + 1).saturating_sub(count), count, before, rows: rows.to_vec() }
    }

    pub(super) fn with_head(&self) -> Vec<u8> {
        [&self.before[..], &self.rows].concat()
    }
}

/// The key of the record's hashes, in a file of its own beside the store.
pub(super) struct KeyFile {
    key: [u8; KEY],
    /// No row says yet that there is this one.
    is_new: bool,
    told: bool,
}

impl KeyFile {
    /// As it lies beside `store`; made where there is none that can be read.
    pub fn load(store: &Path) -> Result<KeyFile, OpenError> {
        if let Some(known) = KeyFile::find(store)? {
            return Ok(known);
        }
        let path = beside(store, "audit.key");
        let key = make_key(&path).map_err(|why| OpenError::File { path, why: why.to_string() })?;
        Ok(KeyFile { key, is_new: true, told: false })
    }

    /// As it lies there, if it can be read.
    pub fn find(store: &Path) -> Result<Option<KeyFile>, OpenError> {
        let path = beside(store, "audit.key");
        let known = match read(&path, "without it nobody can tell whom the audit record is about")? {
            Bytes::Some(text) => key_of(&text),
            Bytes::None | Bytes::Lost => None,
        };
        Ok(known.map(|key| KeyFile { key, is_new: false, told: false }))
    }
}

impl Outbox {
    /// The key of the record's hashes.
    pub fn audit_key(&self) -> &[u8; KEY] {
        &self.audit_key.key
    }

    /// Where the record stands, what this transaction added included.
    pub fn anchor(&self) -> Anchor {
        self.row.audit
    }

    /// Notes a decision: it becomes a row of this transaction.
    pub fn acted(&mut self, acted: Acted) {
        self.acted.push(acted);
    }

    /// What was decided since the last call, in order.
    pub fn take_acted(&mut self) -> Vec<Acted> {
        if self.acted.is_empty() {
            return Vec::new();
        }
        let mut acted = std::mem::take(&mut self.acted);
        if self.audit_key.is_new && !std::mem::replace(&mut self.audit_key.told, true) {
            acted.insert(0, Acted::new(Act::Keyed, ""));
        }
        acted
    }

    /// The transaction happened, or not.
    pub(super) fn audited(&mut self, happened: bool) {
        self.acted.clear();
        let told = std::mem::take(&mut self.audit_key.told);
        self.audit_key.is_new &= !(happened && told);
    }

    /// Whom a decision is about: the digits that the person was first known by, or the user id.
    pub fn digits_of(&self, acted: &Acted) -> Result<Option<String>, StoreError> {
        if acted.digits.is_some() {
            return Ok(acted.digits.clone());
        }
        let (person, message) = (acted.person.map(|id| id.0), acted.message.map(|id| id.0));
        if person.is_none() && message.is_none() {
            return Ok(None);
        }
        Ok(self.db.prepare_cached(NAME)?.query_row(params![person, message], |row| row.get(0)).optional()?)
    }

    /// Adds `count` rows behind the last one; the record ends at `end` then.
    pub fn record(&mut self, end: Anchor, count: u64, rows: &[u8]) -> Result<(), StoreError> {
        let filters: usize = self.row.filters.iter().map(|filter| filter.len() + 3).sum();
        self.write()?;
        let tail = &mut self.row.tail;
        tail.count += count;
        tail.rows.extend(rows);
        self.row.audit = end;
        if self.row.tail.rows.len() + 32 + filters > TAIL {
            let empty = Piece { first: end.rows + 1, count: 0, before: end.head, rows: Vec::new() };
            let piece = std::mem::replace(&mut self.row.tail, empty);
            self.keep_piece(&piece)?;
        }
        Ok(())
    }

    fn keep_piece(&mut self, piece: &Piece) -> Result<(), StoreError> {
        let boxed = self.row.boxed.0;
        self.write()?
            .prepare_cached(
                "INSERT OR REPLACE INTO audit (first, count, boxed, before, rows) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![piece.first as i64, piece.count as i64, boxed, piece.before, piece.rows])?;
        Ok(())
    }

    /// The next pieces that hold rows behind `after`, about `bytes` of them and at least one; the second part of the result says
    /// whether that is all.
    pub fn pieces(&self, after: u64, bytes: usize) -> Result<(Vec<Piece>, bool), StoreError> {
        let mut query =
            self.db.prepare_cached("SELECT first, count, before, rows FROM audit WHERE first > ?1 ORDER BY first")?;
        let mut rows = query.query([after as i64])?;
        let (mut pieces, mut size) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            if size > bytes {
                return Ok((pieces, false));
            }
            let (first, count): (i64, i64) = (row.get(0)?, row.get(1)?);
            let piece = Piece { first: first as u64, count: count as u64, before: row.get(2)?, rows: row.get(3)? };
            size += piece.rows.len();
            pieces.push(piece);
        }
        if self.row.tail.count > 0 && self.row.tail.first > after {
            pieces.push(self.row.tail.clone());
        }
        Ok((pieces, true))
    }

    /// Of a piece only `count` rows are whole, the first `length` bytes of it: the rest is given up.
    pub fn cut_piece(&mut self, piece: &Piece, count: u64, length: usize) -> Result<(), StoreError> {
        if piece.first == self.row.tail.first && piece.count == self.row.tail.count {
            self.row.tail = Piece { first: self.row.audit.rows + 1, before: self.row.audit.head, ..Piece::default() };
        }
        self.write()?.execute("DELETE FROM audit WHERE first = ?1", [piece.first as i64])?;
        if count > 0 {
            self.keep_piece(&Piece { count, rows: piece.rows[..length].to_vec(), ..piece.clone() })?;
        }
        Ok(())
    }

    /// Forgets rows that are past their time, or for which the store has no room; whether there may be more. The record says of
    /// itself up to where it was forgotten, and which head it had there.
    pub(super) fn forget_audit(&mut self, now: BoxTime) -> Result<bool, StoreError> {
        Ok(self.forget_pieces(now, self.settings.max_bytes / 4, now >= self.audit_looked)? == SLICE)
    }

    /// Where nothing else makes room for the outcomes of what leaves, the record has less of it; whether that made some.
    pub(super) fn forget_audit_early(&mut self) -> Result<bool, StoreError> {
        Ok(self.forget_pieces(BoxTime(self.row.boxed.0), self.settings.max_bytes / 8, false)? > 0)
    }

    /// Forgets the oldest rows beyond so many `bytes`, and those past their time; how many pieces.
    fn forget_pieces(&mut self, now: BoxTime, bytes: u64, is_day: bool) -> Result<i64, StoreError> {
        let first: Option<i64> =
            self.db.prepare_cached("SELECT min(first) FROM audit")?.query_row([], |row| row.get(0))?;
        let Some(first) = first else { return Ok(0) };
        let (kept, room) = (self.row.audit.rows as i64 - first + 1, (bytes / ROW) as i64);
        if kept <= room && !is_day {
            return Ok(0);
        }
        // Not again with the next row.
        let surplus = if kept > room { first + kept - room + room / 8 } else { 0 };
        let before = now.0 - millis(self.settings.keep_audit);
        let mut query = self.db.prepare_cached("SELECT first, count, boxed FROM audit ORDER BY first LIMIT ?1")?;
        let mut rows = query.query([SLICE])?;
        let (mut last, mut seen) = (None, 0);
        while let Some(row) = rows.next()? {
            let (first, count, boxed): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            if boxed >= before && first >= surplus {
                break;
            }
            (last, seen) = (Some((first, first + count - 1)), seen + 1);
        }
        drop(rows);
        drop(query);
        if seen < SLICE {
            self.audit_looked = now + LOOK.min(self.settings.keep_audit);
        }
        let Some((piece, last)) = last else { return Ok(0) };
        self.write()?.prepare_cached("DELETE FROM audit WHERE first <= ?1")?.execute([piece])?;
        let head: Option<[u8; 32]> = self
            .db
            .prepare_cached("SELECT before FROM audit ORDER BY first LIMIT 1")?
            .query_row([], |row| row.get(0))
            .optional()?;
        let head = head.unwrap_or(self.row.tail.before);
        self.acted(Acted { rows: Some((1, last as u64)), ..Acted::new(Act::Forgotten, &hex(&head)) });
        Ok(seen)
    }
}
