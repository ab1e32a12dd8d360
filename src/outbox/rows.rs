//! Reading a table that may be damaged: every row that can be read, past those that cannot.
//!
//! Floor: rooms. A damaged page fails every row on it; the rows behind it are found by seeking past the gap.

use rusqlite::types::Value;
use rusqlite::{Connection, Row, Statement};

/// Gaps in one table after which reading gives up: so many damaged pages are no table any more.
const GAPS: u32 = 4096;

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Is {
    Number,
    NumberOrNull,
    Text,
    TextOrNull,
    Blob,
    BlobOrNull,
}

/// A table of the store, as it is read when nothing about it is certain.
pub(super) struct Table {
    pub name: &'static str,
    /// The column that it is sought by: an ascending number, the first of an index or of the table itself.
    pub key: &'static str,
    /// What it is read from, the table or an index that holds all of it, up to where the key is compared.
    pub from: &'static str,
    pub columns: &'static [(&'static str, Is)],
}

/// How reading a table went.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct Read {
    /// Rows that are what they should be.
    pub rows: u64,
    /// Rows that were found and hold what no such row can hold.
    pub unreadable: u64,
    /// Stretches of unknown length that could not be read.
    pub gaps: u32,
}

impl Read {
    pub fn is_whole(&self) -> bool {
        self.unreadable == 0 && self.gaps == 0
    }
}

impl Table {
    /// Hands every readable row to `each`, in the order of the key. `each` says whether the row is good; its errors are its own.
    pub fn read<E>(&self, db: &Connection, each: &mut impl FnMut(&[Value]) -> Result<bool, E>) -> Result<Read, E> {
        self.read_from(db, i64::MIN, each)
    }

    /// As [`read`](Self::read), from a key on.
    pub fn read_from<E>(
        &self,
        db: &Connection,
        from: i64,
        each: &mut impl FnMut(&[Value]) -> Result<bool, E>,
    ) -> Result<Read, E> {
        let mut next = from;
        let mut read = Read::default();
        let columns: Vec<&str> = self.columns.iter().map(|(name, _)| *name).collect();
        let (key, place) = (self.key, self.from);
        let sql = format!("SELECT {key}, {} FROM {place} {key} >= ?1 ORDER BY {key}", columns.join(", "));
        let Ok(mut query) = db.prepare(&sql) else {
            return Ok(Read { gaps: 1, ..read });
        };
        while let Some(after) = self.stretch(&mut query, next, &mut read, each)? {
            read.gaps += 1;
            match (read.gaps < GAPS).then(|| past_gap(&mut query, after)).flatten() {
                Some(found) => next = found,
                None => break,
            }
        }
        Ok(read)
    }

    /// Reads on from `next` until the end (`None`), or until it fails: then from where to seek.
    fn stretch<E>(
        &self,
        query: &mut Statement<'_>,
        next: i64,
        read: &mut Read,
        each: &mut impl FnMut(&[Value]) -> Result<bool, E>,
    ) -> Result<Option<i64>, E> {
        let mut last = next;
        let Ok(mut rows) = query.query([next]) else { return Ok(Some(last)) };
        loop {
            match rows.next() {
                Ok(None) => return Ok(None),
                Err(_) => return Ok(Some(last)),
                Ok(Some(row)) => {
                    let Ok(key) = row.get::<_, i64>(0) else {
                        read.unreadable += 1;
                        continue;
                    };
                    if key < last {
                        // Out of order: a page that belongs elsewhere, and perhaps a circle.
                        return Ok(Some(last));
                    }
                    last = key;
                    match self.values(row) {
                        Some(values) if each(&values)? => read.rows += 1,
                        _ => read.unreadable += 1,
                    }
                }
            }
        }
    }

    fn values(&self, row: &Row<'_>) -> Option<Vec<Value>> {
        let value = |(place, (_, is)): (usize, &(&str, Is))| {
            let value: Value = row.get(place + 1).ok()?;
            let fits = matches!(
                (is, &value),
                (Is::Number | Is::NumberOrNull, Value::Integer(_))
                    | (Is::Text | Is::TextOrNull, Value::Text(_))
                    | (Is::Blob | Is::BlobOrNull, Value::Blob(_))
                    | (Is::NumberOrNull | Is::TextOrNull | Is::BlobOrNull, Value::Null)
            );
            fits.then_some(value)
        };
        self.columns.iter().enumerate().map(value).collect()
    }
}

/// The first key behind `after` from which reading goes on; `None` if nothing is there, or nothing can be read.
fn past_gap(query: &mut Statement<'_>, after: i64) -> Option<i64> {
    // None: unreadable. Some(None): nothing from there on.
    let mut probe = |key: i64| -> Option<Option<i64>> {
        let mut rows = query.query([key]).ok()?;
        match rows.next() {
            Ok(Some(row)) => row.get(0).ok().map(Some),
            Ok(None) => Some(None),
            Err(_) => None,
        }
    };
    let after = after.max(-1);
    let (mut low, mut step) = (after, 1i64);
    let mut high = loop {
        let key = after.checked_add(step)?;
        match probe(key) {
            Some(None) => return None,
            Some(Some(_)) => break key,
            None => {
                low = key;
                step = step.checked_mul(2)?;
            }
        }
    };
    // The nearest from which it can be read: `low` cannot, `high` can.
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        match probe(middle) {
            Some(_) => high = middle,
            None => low = middle,
        }
    }
    probe(high).flatten()
}
