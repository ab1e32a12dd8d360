//! Reading a table that may be damaged: every row that can be read, past those that cannot.
//!
//! Floor: rooms. A damaged page fails every row on it; the rows behind it are found by seeking past the gap.

use rusqlite::types::Value;
use rusqlite::{Connection, Row, Statement};

/// Gaps in one table after which reading gives up: so many damaged pages are no table any more.
const GAPS: u32 = 4096;

/// Steps backwards in one stretch that are gone along with: each damaged key and each page in a wrong place makes one or two, and
/// a circle of pages one a round.
const DISORDER: u32 = 64;

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Is {
    Number,
    NumberOrNull,
    /// Box time of what happened: now at the latest.
    Since,
    SinceOrNull,
    /// Box time until which something waits or holds.
    Until,
    UntilOrNull,
    Text,
    TextOrNull,
    Blob,
    BlobOrNull,
}

/// How a column is sealed where the store has a key, and under which name (`seal`).
enum Sealed {
    Value(&'static str),
    Name(&'static str),
    /// A name in two columns: what it is found by, and its rest.
    FoundBy(&'static str),
    Rest(&'static str),
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
    /// Stretches of unknown length that could not be read, and places where the order of the keys is broken.
    pub gaps: u32,
}

impl Read {
    pub fn is_whole(&self) -> bool {
        self.unreadable == 0 && self.gaps == 0
    }
}

impl Table {
    /// Its columns of box time, and whether each is of something that ends.
    pub fn times(&self) -> impl Iterator<Item = (&'static str, bool)> {
        self.columns.iter().filter_map(|(column, is)| match is {
            Is::Since | Is::SinceOrNull => Some((*column, false)),
            Is::Until | Is::UntilOrNull => Some((*column, true)),
            _ => None,
        })
    }

    /// Its columns as SQL takes them, for a list: `key` is a word of its own there.
    pub fn names(&self) -> String {
        self.listed(|column, _| format!("\"{column}\""))
    }

    /// Its columns as they are read, opened where they are sealed. `salvaged`: of a store of which nothing is certain.
    pub fn opened(&self, salvaged: bool) -> String {
        let (value, name, by) =
            if salvaged { ("salvaged", "salvaged_name", "salvaged_by") } else { ("opened", "named_as", "named_by") };
        self.listed(|column, is| match self.sealed(column) {
            // A word that does not open any more is no reason to lose the row that it stands in.
            Some(Sealed::Name(place)) if salvaged && is == Is::Text => {
                format!("coalesce({name}('{place}', {column}), '')")
            }
            Some(Sealed::Value(place)) => format!("{value}('{place}', {}, {column})", self.columns[0].0),
            Some(Sealed::Name(place)) => format!("{name}('{place}', {column})"),
            Some(Sealed::FoundBy(place)) => format!("{by}('{place}', {column}, rest)"),
            Some(Sealed::Rest(_)) => "NULL".to_owned(),
            None => format!("\"{column}\""),
        })
    }

    /// `values` as they are written, sealed where they must be: one for each column, the first of them the id of the row.
    pub fn written(&self, value: impl Fn(&str) -> String) -> String {
        let row = value(self.columns[0].0);
        self.listed(|column, _| match self.sealed(column) {
            Some(Sealed::Value(place)) => format!("sealed('{place}', {row}, {})", value(column)),
            Some(Sealed::Name(place)) => format!("named('{place}', {})", value(column)),
            Some(Sealed::FoundBy(place)) => format!("found_by('{place}', {})", value(column)),
            Some(Sealed::Rest(place)) => format!("rest('{place}', {})", value("value")),
            None => value(column),
        })
    }

    fn listed(&self, each: impl Fn(&str, Is) -> String) -> String {
        self.columns.iter().map(|(name, is)| each(name, *is)).collect::<Vec<_>>().join(", ")
    }

    fn sealed(&self, column: &str) -> Option<Sealed> {
        match (self.name, column) {
            ("person", "number") => Some(Sealed::Value("person")),
            ("content", "number") => Some(Sealed::Value("number")),
            ("content", "body") => Some(Sealed::Value("body")),
            ("receipt", "payload") => Some(Sealed::Value("payload")),
            ("message", "wamid") => Some(Sealed::Value("wamid")),
            ("message", "subject") => Some(Sealed::Name("subject")),
            ("message", "topic") => Some(Sealed::Name("topic")),
            ("message", "detail") => Some(Sealed::Name("detail")),
            ("message" | "ledger", "event") => Some(Sealed::Name("event")),
            ("alias", "value") => Some(Sealed::FoundBy("alias")),
            ("alias", "rest") => Some(Sealed::Rest("alias")),
            _ => None,
        }
    }

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
        let (key, place, columns) = (self.key, self.from, self.opened(true));
        let sql = format!("SELECT {key}, {columns} FROM {place} {key} >= ?1 ORDER BY {key}");
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
        let (mut order, mut back) = (Order { before: next, highest: next }, 0);
        // A row is believed when the next one is known: a key that damage made too large is larger than all that follow.
        let mut pending: Option<(i64, Option<Vec<Value>>)> = None;
        let Ok(mut rows) = query.query([next]) else { return Ok(Some(next)) };
        loop {
            let row = rows.next();
            let found = match &row {
                Ok(Some(row)) => match row.get::<_, i64>(0) {
                    Ok(key) => Some((key, self.values(row))),
                    Err(_) => {
                        read.unreadable += 1;
                        continue;
                    }
                },
                Ok(None) | Err(_) => None,
            };
            let following = found.as_ref().map(|(key, _)| *key);
            if let Some((key, values)) = pending.take() {
                if following.is_some_and(|following| following < key) {
                    (back, read.gaps) = (back + 1, read.gaps + 1);
                }
                match values.filter(|_| order.fits(key, following)) {
                    Some(values) if each(&values)? => read.rows += 1,
                    _ => read.unreadable += 1,
                }
            }
            match row {
                Ok(None) => return Ok(None),
                Err(_) => return Ok(Some(order.before)),
                // Pages that belong elsewhere, and perhaps in a circle: from here on only what is behind all of it.
                Ok(Some(_)) if back > DISORDER && following.is_some_and(|key| key < order.highest) => {
                    return Ok(Some(order.highest));
                }
                Ok(Some(_)) => pending = found,
            }
        }
    }

    fn values(&self, row: &Row<'_>) -> Option<Vec<Value>> {
        let value = |(place, (_, is)): (usize, &(&str, Is))| {
            let value: Value = row.get(place + 1).ok()?;
            let fits = matches!(
                (is, &value),
                (
                    Is::Number | Is::NumberOrNull | Is::Since | Is::SinceOrNull | Is::Until | Is::UntilOrNull,
                    Value::Integer(_)
                ) | (Is::Text | Is::TextOrNull, Value::Text(_))
                    | (Is::Blob | Is::BlobOrNull, Value::Blob(_))
                    | (
                        Is::NumberOrNull | Is::SinceOrNull | Is::UntilOrNull | Is::TextOrNull | Is::BlobOrNull,
                        Value::Null
                    )
            );
            fits.then_some(value)
        };
        self.columns.iter().enumerate().map(value).collect()
    }
}

/// The keys that were read, as far as they say of the next one whether it is damaged.
struct Order {
    /// Of the row before, unless its key was damaged.
    before: i64,
    highest: i64,
}

impl Order {
    /// Whether a key may stand between the row before and the one that follows, if one does. Not a single one that is too large or
    /// too small where those around it are in order; a page of them that lies in a wrong place is read as it is.
    fn fits(&mut self, key: i64, following: Option<i64>) -> bool {
        let alone =
            following.is_some_and(|following| self.before <= following && !(self.before..=following).contains(&key));
        if !alone {
            self.before = key;
            self.highest = self.highest.max(key);
        }
        !alone
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

#[cfg(test)]
mod tests {
    use super::super::{schema, tables};
    use super::*;

    const PAGE: usize = 512;
    const ROWS: u64 = 100;

    /// The ids of a table of a hundred rows that can be read after something was done to its file, and how reading went.
    fn read_after(damage: impl Fn(&mut Vec<u8>)) -> (Vec<i64>, Read) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox.db");
        let db = Connection::open(&path).unwrap();
        db.execute_batch(&format!("PRAGMA page_size = {PAGE}")).unwrap();
        db.execute_batch(&schema::STEPS.concat()).unwrap();
        for row in 1..=ROWS {
            let note = format!("<{row}>{}", "x".repeat(20));
            db.execute(
                "INSERT INTO ledger VALUES (?1, 1, 1, 'orders', 'grant', ?2, '', NULL, NULL, 0, NULL)",
                (row as i64, note),
            )
            .unwrap();
        }
        drop(db);
        let mut bytes = std::fs::read(&path).unwrap();
        damage(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
        let db = Connection::open(&path).unwrap();
        super::super::Seal::default().teach(&db).unwrap();
        let mut ids = Vec::new();
        let read = tables::LEDGER.read(&db, &mut |values| -> Result<bool, ()> {
            let Value::Integer(id) = values[0] else { panic!("{values:?}") };
            let text = format!("{values:?}");
            assert!(text.contains(&format!("<{id}>")), "{id} has the content of another: {text}");
            ids.push(id);
            Ok(true)
        });
        (ids, read.unwrap())
    }

    /// Where the text of a row stands: the last, for the root keeps a copy of what once stood in it.
    fn place(bytes: &[u8], row: u64) -> usize {
        let text = format!("<{row}>");
        bytes.windows(text.len()).rposition(|window| window == text.as_bytes()).unwrap()
    }

    /// The key of a row, one byte before the twelve of its header and the columns `1, 1, 'orders', 'grant'` before the text.
    fn key(bytes: &mut [u8], row: u64) -> &mut u8 {
        let at = place(bytes, row) - "ordersgrant".len() - 12 - 1;
        assert_eq!(u64::from(bytes[at]), row);
        &mut bytes[at]
    }

    fn all_but(missing: &[i64]) -> Vec<i64> {
        (1..=ROWS as i64).filter(|id| !missing.contains(id)).collect()
    }

    #[test]
    fn a_key_that_damage_made_larger_hides_none_of_the_rows_behind_it() {
        assert_eq!(read_after(|_| {}), (all_but(&[]), Read { rows: ROWS, ..Read::default() }));
        for row in [1, 2, 45, 46, 60] {
            let (ids, read) = read_after(|bytes| *key(bytes, row) |= 0x40);
            assert_eq!(ids, all_but(&[row as i64]), "{row} is now {}", row | 0x40);
            assert_eq!((read.rows, read.unreadable, read.gaps), (ROWS - 1, 1, 1), "{row}");
        }
    }

    #[test]
    fn a_key_that_damage_made_smaller_is_not_taken_for_another_row() {
        for row in [70, 90, 99] {
            let (ids, read) = read_after(|bytes| *key(bytes, row) &= 0x0f);
            assert_eq!(ids, all_but(&[row as i64]), "{row}");
            assert_eq!((read.rows, read.unreadable, read.gaps), (ROWS - 1, 1, 1), "{row}");
        }
    }

    #[test]
    fn a_page_in_the_place_of_another_hides_only_what_stood_there() {
        for (from, to) in [(20, 80), (80, 20), (20, 40), (95, 5)] {
            let (ids, read) = read_after(|bytes| {
                let (from, to) = (place(bytes, from) / PAGE * PAGE, place(bytes, to) / PAGE * PAGE);
                bytes.copy_within(from..from + PAGE, to);
            });
            let found = |row: u64| ids.contains(&(row as i64));
            assert!(!found(to) && !read.is_whole(), "{from} lies also at {to}: {ids:?}");
            let missing = (1..=ROWS).filter(|row| !found(*row)).count();
            assert!(missing < PAGE / 40, "{from} lies also at {to}: {ids:?}");
        }
    }

    #[test]
    fn pages_in_a_circle_are_read_to_an_end() {
        let (ids, read) = read_after(|bytes| {
            // Every child of the root, and its last, is the root itself.
            let root = (0..bytes.len() / PAGE).map(|page| page * PAGE).filter(|at| bytes[*at] == 5);
            for at in root.collect::<Vec<_>>() {
                let cells = usize::from(bytes[at + 4]);
                let number = (at / PAGE + 1) as u32;
                bytes[at + 8..at + 12].copy_from_slice(&number.to_be_bytes());
                for cell in 1..cells {
                    let cell =
                        at + usize::from(bytes[at + 12 + 2 * cell]) * 256 + usize::from(bytes[at + 13 + 2 * cell]);
                    bytes[cell..cell + 4].copy_from_slice(&number.to_be_bytes());
                }
            }
        });
        assert!(!ids.is_empty() && ids.len() < 100_000 && !read.is_whole(), "{} rows, {read:?}", ids.len());
    }
}
