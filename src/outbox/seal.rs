//! The store's key: numbers and texts of people are sealed with it, value by value, and are nothing without it.
//!
//! Floor: rooms. Reads no file (`config` does), keeps no key in the store, and never takes a value that somebody without the key
//! wrote, or moved from another row, for one of ours; only a whole store in plain text is taken for one from before there was a key.
//!
//! SQL does it, by functions that every connection to a store has; without a key they hand their value on as it is:
//!
//! - `sealed(place, row, value)`: ChaCha20-Poly1305 with a random nonce, bound to the place (table and column) and the row's id.
//! - `opened(place, row, value)`: the inverse. What does not open is damage, as a broken page is.
//! - `named(place, value)`, `named_as(place, value)`: for what is looked up, and what is written before its row has an id. The nonce
//!   is an HMAC of the value, so that equal ones are equal; it tells that two values are the same, or empty, and nothing else.
//! - `found_by(place, value)`, `rest(place, value)`, `named_by(place, found_by, rest)`: a name in two columns, its nonce and what is
//!   sealed. What is looked up lies in no order under a key: an index over the nonces alone has a third of the pages, each of which
//!   is written for a few bytes of every message. Without a key the first is the value, and the rest null.
//! - `salvaged…`: as the inverses, for a store of which nothing is certain: null instead of an error, and plain values as they are.
//!
//! What is sealed (`rows` says it column by column, for reading and writing whole tables):
//!
//! | column | how | because it holds |
//! |---|---|---|
//! | `person.number`, `content.number` | value | digits |
//! | `alias.value`, `.rest` | name, in two | digits, the platform's id of a user |
//! | `content.body` | value | what the person reads: names, amounts |
//! | `receipt.payload` | value | what the person wrote |
//! | `message.wamid` | value | the digits, in base64 |
//! | `message.topic`, `.event`, `.subject`, `ledger.event` | name | what a till puts in them: order numbers, often more |
//! | `message.detail` | name | what the platform said, which may quote the number |
//!
//! What is not: ids, times, states and limits (of nobody who could be named without the above); names of rules, templates, purposes
//! and holds (the configuration's); `ledger.source` and `.wording`, which the consent record is searched by, and in which nobody
//! is to be named; `receipt.masked` and notes of holds (numbers masked to two digits); `dedupe`, `wamid_hash`, `heard`, `repeat`
//! and the audit record (hashes).

use super::open::{beside, leave_as_it_is, remove, suffixed, sync_folder};
use super::{OpenError, StoreError, salvage, scrub};
use ring::rand::{SecureRandom, SystemRandom};
use ring::{aead, hkdf, hmac};
use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// Characters of the shortest key: 32 hexadecimal digits are 128 bits.
pub const SHORTEST: usize = 32;
const NONCE: usize = 12;
/// People and texts that are looked at to tell whether a key fits: one of them may be damaged, hardly all.
const SAMPLE: usize = 20;

/// `outbox.key_file`, or none. Clones share it; no log shows it.
#[derive(Clone, Default)]
pub struct Seal(Option<Arc<Keys>>);

struct Keys {
    values: aead::LessSafeKey,
    names: hmac::Key,
    /// Tells two keys apart, in memory and in the store, and is of no other use.
    print: [u8; 32],
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Seal(key)" } else { "Seal(none)" })
    }
}

impl PartialEq for Seal {
    /// Whether both are the same key.
    fn eq(&self, other: &Seal) -> bool {
        self.print() == other.print()
    }
}

/// HKDF needs to be told how long its output is.
struct Bytes;

impl hkdf::KeyType for Bytes {
    fn len(&self) -> usize {
        32
    }
}

impl Seal {
    /// From what the key file holds. `None`: too short to be a key, see [`SHORTEST`].
    pub fn of(secret: &str) -> Option<Seal> {
        if secret.chars().count() < SHORTEST {
            return None;
        }
        let derive = |what: &str| -> Option<[u8; 32]> {
            let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, b"branchline store").extract(secret.as_bytes());
            let mut key = [0; 32];
            secret.expand(&[what.as_bytes()], Bytes).ok()?.fill(&mut key).ok()?;
            Some(key)
        };
        let values = aead::UnboundKey::new(&aead::CHACHA20_POLY1305, &derive("values")?).ok()?;
        let names = hmac::Key::new(hmac::HMAC_SHA256, &derive("names")?);
        Some(Seal(Some(Arc::new(Keys { values: aead::LessSafeKey::new(values), names, print: derive("print")? }))))
    }

    /// Whether there is a key.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// What the store remembers its key by.
    pub(super) fn print(&self) -> Option<&[u8; 32]> {
        self.0.as_deref().map(|keys| &keys.print)
    }

    /// Gives a connection the functions.
    pub(crate) fn teach(&self, db: &Connection) -> rusqlite::Result<()> {
        let fixed = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_DIRECTONLY;
        let random = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DIRECTONLY;
        let seal = self.clone();
        db.create_scalar_function("sealed", 3, random, move |c| {
            seal.put(c, 2, |keys, text| Some(Value::Blob(keys.seal(place(c)?, row(c)?, text)?)))
        })?;
        let seal = self.clone();
        db.create_scalar_function("named", 2, fixed, move |c| seal.put(c, 1, |keys, text| keys.name(place(c)?, text)))?;
        let seal = self.clone();
        db.create_scalar_function("opened", 3, fixed, move |c| {
            seal.get(c, 2, |keys, value| keys.open(place(c)?, row(c)?, value.as_blob().ok()?))
        })?;
        let seal = self.clone();
        db.create_scalar_function("named_as", 2, fixed, move |c| {
            seal.get(c, 1, |keys, value| keys.name_of(place(c)?, value))
        })?;
        let seal = self.clone();
        db.create_scalar_function("salvaged", 3, fixed, move |c| {
            seal.find(c, 2, |keys, value| keys.open(place(c)?, row(c)?, value.as_blob().ok()?))
        })?;
        let seal = self.clone();
        db.create_scalar_function("salvaged_name", 2, fixed, move |c| {
            seal.find(c, 1, |keys, value| keys.name_of(place(c)?, value))
        })?;
        let seal = self.clone();
        db.create_scalar_function("found_by", 2, fixed, move |c| {
            seal.put(c, 1, |keys, text| Some(Value::Blob(keys.nonce(place(c)?, text)?.to_vec())))
        })?;
        let seal = self.clone();
        db.create_scalar_function("rest", 2, fixed, move |c| match seal.is_on() {
            true => seal.put(c, 1, |keys, text| match keys.name(place(c)?, text)? {
                Value::Blob(name) => Some(Value::Blob(name.get(NONCE..)?.to_vec())),
                empty => Some(empty),
            }),
            false => Ok(ToSqlOutput::Owned(Value::Null)),
        })?;
        let whole = |c: &Context<'_>, keys: &Keys, found_by: ValueRef<'_>| {
            let name = [found_by.as_blob().ok()?, c.get_raw(2).as_blob().ok()?].concat();
            keys.name_of(place(c)?, ValueRef::Blob(&name))
        };
        let seal = self.clone();
        db.create_scalar_function("named_by", 3, fixed, move |c| seal.get(c, 1, |keys, value| whole(c, keys, value)))?;
        let seal = self.clone();
        db.create_scalar_function("salvaged_by", 3, fixed, move |c| {
            seal.find(c, 1, |keys, value| whole(c, keys, value))
        })
    }

    /// A text on its way into the store.
    fn put(
        &self,
        c: &Context<'_>,
        value: usize,
        seal: impl Fn(&Keys, &str) -> Option<Value>,
    ) -> rusqlite::Result<ToSqlOutput<'static>> {
        let (keys, raw) = (self.0.as_deref(), c.get_raw(value));
        let (Some(keys), ValueRef::Text(_)) = (keys, raw) else { return Ok(ToSqlOutput::Owned(owned(raw)?)) };
        seal(keys, raw.as_str().map_err(|_| broken())?).map(ToSqlOutput::Owned).ok_or_else(broken)
    }

    /// A text on its way out.
    fn get(
        &self,
        c: &Context<'_>,
        value: usize,
        open: impl Fn(&Keys, ValueRef<'_>) -> Option<String>,
    ) -> rusqlite::Result<ToSqlOutput<'static>> {
        let raw = c.get_raw(value);
        let text = match (self.0.as_deref(), raw) {
            (_, ValueRef::Null) => Value::Null,
            (Some(keys), raw) => Value::Text(open(keys, raw).ok_or_else(broken)?),
            (None, ValueRef::Text(_)) => owned(raw)?,
            (None, _) => return Err(broken()),
        };
        Ok(ToSqlOutput::Owned(text))
    }

    /// A text of a damaged store: nothing where it does not open, as it is where it never was sealed.
    fn find(
        &self,
        c: &Context<'_>,
        value: usize,
        open: impl Fn(&Keys, ValueRef<'_>) -> Option<String>,
    ) -> rusqlite::Result<ToSqlOutput<'static>> {
        let raw = c.get_raw(value);
        let opened = self.0.as_deref().and_then(|keys| open(keys, raw)).map(Value::Text);
        let found = match (opened, raw) {
            (Some(opened), _) => opened,
            // Also what is no text any more: whoever reads it sees that it is not what it should be.
            (None, ValueRef::Blob(_)) => Value::Null,
            (None, raw) => owned(raw)?,
        };
        Ok(ToSqlOutput::Owned(found))
    }
}

fn owned(raw: ValueRef<'_>) -> rusqlite::Result<Value> {
    Value::try_from(raw).map_err(|_| broken())
}

fn place<'a>(c: &'a Context<'_>) -> Option<&'a str> {
    c.get_raw(0).as_str().ok()
}

fn row(c: &Context<'_>) -> Option<i64> {
    c.get_raw(1).as_i64().ok()
}

/// As SQLite tells a broken page. Without words: what is in the row must not get into a log.
fn broken() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT), None)
}

impl Keys {
    fn seal(&self, place: &str, row: i64, text: &str) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE];
        SystemRandom::new().fill(&mut nonce).ok()?;
        self.seal_with(nonce, &bound(place, row), text)
    }

    fn seal_with(&self, nonce: [u8; NONCE], bound: &[u8], text: &str) -> Option<Vec<u8>> {
        let mut bytes = text.as_bytes().to_vec();
        let unique = aead::Nonce::assume_unique_for_key(nonce);
        self.values.seal_in_place_append_tag(unique, aead::Aad::from(bound), &mut bytes).ok()?;
        bytes.splice(0..0, nonce);
        Some(bytes)
    }

    fn open(&self, place: &str, row: i64, bytes: &[u8]) -> Option<String> {
        self.open_with(&bound(place, row), bytes)
    }

    fn open_with(&self, bound: &[u8], bytes: &[u8]) -> Option<String> {
        let (nonce, bytes) = bytes.split_first_chunk::<NONCE>()?;
        let mut bytes = bytes.to_vec();
        let unique = aead::Nonce::assume_unique_for_key(*nonce);
        let text = self.values.open_in_place(unique, aead::Aad::from(bound), &mut bytes).ok()?;
        String::from_utf8(text.to_vec()).ok()
    }

    /// Nothing stays nothing.
    fn name(&self, place: &str, text: &str) -> Option<Value> {
        if text.is_empty() {
            return Some(Value::Text(String::new()));
        }
        self.seal_with(self.nonce(place, text)?, place.as_bytes(), text).map(Value::Blob)
    }

    /// The nonce of a name: whoever has the key, and nobody else, can tell it from the name.
    fn nonce(&self, place: &str, text: &str) -> Option<[u8; NONCE]> {
        let mut context = hmac::Context::with_key(&self.names);
        for part in [place.as_bytes(), b"\0", text.as_bytes()] {
            context.update(part);
        }
        context.sign().as_ref().first_chunk().copied()
    }

    fn name_of(&self, place: &str, name: ValueRef<'_>) -> Option<String> {
        match name {
            ValueRef::Text(b"") => Some(String::new()),
            name => self.open_with(place.as_bytes(), name.as_blob().ok()?),
        }
    }
}

fn bound(place: &str, row: i64) -> Vec<u8> {
    [place.as_bytes(), b"\0", &row.to_le_bytes()].concat()
}

/// What a key is to a store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fits {
    /// It opens what is sealed; or there is neither a key nor anything sealed; or nothing at all yet.
    Yes,
    /// There is a key, and the store was made without one.
    Unsealed,
}

/// Whether the key is the store's.
///
/// # Errors
/// It is sealed, and there is no key or another one.
pub(super) fn judge(db: &Connection, seal: &Seal, path: &Path) -> Result<Fits, OpenError> {
    // Of a damaged store perhaps not even this can be read.
    let print = db.query_row("SELECT key_print FROM box", [], |row| row.get::<_, Option<Vec<u8>>>(0)).ok();
    if print.as_ref().is_some_and(|print| print.as_deref() == seal.print().map(|print| &print[..])) {
        return Ok(Fits::Yes);
    }
    let found = sample(db);
    let sealed = found.sealed || matches!(print, Some(Some(_))) && !found.plain;
    let refuse = |why: &str| Err(OpenError::Key { path: path.to_owned(), why: why.to_owned() });
    match (seal.is_on(), sealed) {
        (true, true) if found.opens => Ok(Fits::Yes),
        (true, false) if print.is_some() => Ok(Fits::Unsealed),
        (_, false) => Ok(Fits::Yes),
        (true, true) => refuse(
            "its numbers and texts are encrypted with another key than the one in outbox.key_file: put the right file in its place",
        ),
        (false, true) => refuse(
            "its numbers and texts are encrypted, and outbox.key_file is not set: name the key file that it was made with. To go on \
             without encryption: with the key, branchline consent export; then move the store and what lies beside it away, start \
             without key_file, and branchline consent import",
        ),
    }
}

/// What some people and texts look like; the rest is damage, and told as such.
#[derive(Default)]
struct Sample {
    sealed: bool,
    plain: bool,
    opens: bool,
}

fn sample(db: &Connection) -> Sample {
    let mut found = Sample::default();
    for sample in [
        "SELECT id, number, salvaged('person', id, number) FROM person ORDER BY id",
        "SELECT message, number, salvaged('number', message, number) FROM content ORDER BY message DESC",
    ] {
        let Ok(mut query) = db.prepare(sample) else { continue };
        let Ok(mut rows) = query.query([]) else { continue };
        for _ in 0..SAMPLE {
            let Ok(Some(row)) = rows.next() else { break };
            let sealed = row.get_ref(1).is_ok_and(|value| matches!(value, ValueRef::Blob(_)));
            let opens = row.get_ref(2).is_ok_and(|value| matches!(value, ValueRef::Text(_)));
            found.sealed |= sealed;
            found.plain |= !sealed;
            found.opens |= sealed && opens;
        }
    }
    found
}

/// Where the sealed copy is made.
fn copy_of(path: &Path) -> std::path::PathBuf {
    beside(path, "sealing")
}

/// What a crash left of [`seal`].
pub(super) fn forget_unfinished(path: &Path) -> std::io::Result<()> {
    remove(&copy_of(path))
}

/// Makes a sealed copy of a store that has none, ready to take its place (`finish_swap`): after a crash there is the one or the
/// other, whole. What the copy replaces is overwritten.
pub(super) fn seal(db: Connection, seal: &Seal, path: &Path) -> Result<(), OpenError> {
    let copy = copy_of(path);
    let io = |why: std::io::Error| OpenError::File { path: path.to_owned(), why: why.to_string() };
    remove(&copy).map_err(io)?;
    let target = copy.to_str().ok_or_else(|| io(std::io::Error::other("the path is not UTF-8")))?;
    let made = || -> Result<(), StoreError> {
        salvage::fresh(&copy)?.execute_batch("COMMIT")?;
        db.execute("ATTACH ?1 AS sealing", [target])?;
        // Nobody reads it before it is whole and synced.
        db.execute_batch("PRAGMA sealing.journal_mode = OFF; PRAGMA sealing.synchronous = OFF; BEGIN")?;
        for table in salvage::tables() {
            let (name, columns, values) = (table.name, table.names(), table.written(|column| format!("\"{column}\"")));
            db.execute_batch(&format!("INSERT INTO sealing.{name} ({columns}) SELECT {values} FROM main.{name}"))?;
        }
        db.execute("UPDATE sealing.box SET key_print = ?1", [seal.print()])?;
        db.execute_batch("COMMIT; DETACH sealing")?;
        // As every store: the head says that there is a log.
        let new = Connection::open(&copy)?;
        new.execute_batch("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL")?;
        new.close().map_err(|(_, error)| error.into())
    };
    let failed = |error: StoreError| OpenError::Store { path: path.to_owned(), error };
    let done = made().map_err(failed).and_then(|()| File::open(&copy).and_then(|file| file.sync_all()).map_err(io));
    // Closing it must not move its log into it.
    leave_as_it_is(&db);
    drop(db);
    if let Err(error) = done {
        let _ = remove(&copy);
        return Err(error);
    }
    std::fs::rename(&copy, beside(path, "whole")).and_then(|()| sync_folder(path)).map_err(io)?;
    scrub::overwrite(path).and_then(|()| scrub::overwrite(&suffixed(path, "-wal"))).map_err(io)
}
