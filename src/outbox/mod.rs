//! The store: the only queue of the house, on disk. Messages, people, the consent ledger, holds, attempts and receipts.
//!
//! Floor: rooms. It keeps and finds; it decides nothing about people (`policy`) or limits (`pace`), never reads a clock and
//! never commits by itself: the engine's loop commits once for a whole batch.
//!
//! ```text
//!              ┌──────────── parked (a hold that is not the person's) ◄─┐
//!              ▼                                                        │
//!   store ─► waiting ─► posted ─► settled                               │
//!              ▲  │        └────► unknown ─► waiting | settled          │
//!              │  └─────────────────────────────────────────────────────┘
//!              └── refused for now, surely not sent, repeated
//! ```
//!
//! Every person with something to send has one row in `lane` whose `due` says when its next message may go. So the next
//! sendable message is one index seek away however many others are held.

mod hold;
mod lane;
mod ledger;
mod look;
mod message;
mod person;
mod receipt;
mod retain;
mod schema;
mod settings;

pub use hold::Hold;
pub use lane::Lane;
pub use ledger::LedgerRow;
pub use look::Looked;
pub use message::{Attempt, Found, Recorded, Settling, Spent};
pub use receipt::Receipt;
pub use settings::*;

use crate::message::SenderId;
use crate::time::{BoxTime, Clock, Moment, Mono, Wall};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// SQLite's page: 1 KiB writes a third of the device bytes that 4 KiB writes (facts: 19–21 against 56–60 KiB a message).
const PAGE: u64 = 1024;

/// Why the store could not do something.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No space: on the disk, or within `outbox.max_bytes`.
    #[error("the store has no space left: {}", told(.0))]
    Full(rusqlite::Error),
    /// Writing or syncing failed; what is on the disk is uncertain.
    #[error("the disk failed while writing the store: {}", told(.0))]
    Disk(rusqlite::Error),
    /// The file is not what it was.
    #[error("the store is damaged: {}", told(.0))]
    Damaged(rusqlite::Error),
    /// Anything else: our bug.
    #[error("the store refused a statement: {}", told(.0))]
    Statement(rusqlite::Error),
}

/// With SQLite's extended code: "disk I/O error" alone hides whether it was a write, a sync or a missing file.
fn told(error: &rusqlite::Error) -> String {
    match error.sqlite_error() {
        Some(code) => format!("{error} (SQLite {})", code.extended_code),
        None => error.to_string(),
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> StoreError {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => StoreError::Full(error),
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::ReadOnly) => StoreError::Disk(error),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Damaged(error),
            _ => StoreError::Statement(error),
        }
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> StoreError {
        StoreError::Damaged(rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
    }
}

/// Why the store could not be opened: for a person.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another daemon has it.
    #[error("{0} is in use by another branchline: stop that one first (only one daemon may work on a store)")]
    InUse(PathBuf),
    /// A newer version wrote it.
    #[error(
        "{path} was written by a newer branchline (schema {found}, this one knows {known}): install that version again, \
         or set outbox.path to a new file"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// Some other program's database.
    #[error("{0} is a database of another program: set outbox.path to a file of its own")]
    Foreign(PathBuf),
    /// The folder or file cannot be used.
    #[error("{path} cannot be opened: {why}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// The store itself failed.
    #[error("{path}: {error}")]
    Store {
        /// The file.
        path: PathBuf,
        /// Why.
        error: StoreError,
    },
}

/// What the box knows about itself, as of the last commit.
#[derive(Clone, PartialEq, Debug)]
pub struct BoxRow {
    /// Random letters of this store.
    pub store: String,
    /// Commits so far.
    pub commits: i64,
    /// Box time of the last commit.
    pub boxed: BoxTime,
    /// Monotonic clock of the last commit, meaningful within `boot`.
    pub mono: Mono,
    /// The boot it was made in.
    pub boot: String,
    /// Wall clock of the last commit and whether it was trusted.
    pub wall: Clock,
    /// Receipts up to here were acknowledged.
    pub receipts_taken: i64,
    /// Filters that the broker's session may hold.
    pub filters: Vec<String>,
}

/// What shall go wrong in a test.
#[cfg(test)]
#[derive(Default)]
pub(crate) struct Fault {
    /// The next commit is reported as failed with this code of SQLite; whether it happens all the same.
    pub commit: Option<(bool, i32)>,
    /// So many times the file cannot be opened again.
    pub opens: u32,
    /// Copies made by `rebuild`.
    pub rebuilt: u32,
}

/// The open store.
pub struct Outbox {
    db: Connection,
    settings: Settings,
    sender: SenderId,
    row: BoxRow,
    writing: bool,
    /// What gives way next when the store is full (last first), and its rank: only a cache of one scan.
    displaceable: Vec<crate::message::MessageId>,
    displaceable_rank: i64,
    next_receipt: i64,
    /// The next serial of `repeat`.
    next_repeat: i64,
    /// Messages that this transaction may store before room is looked at again.
    surely_fit: u64,
    /// Settled messages whose content could be forgotten early, and whether a scan would find more of them.
    forgettable: Vec<i64>,
    more_forgettable: bool,
    /// Where the next look for people to forget begins.
    people_looked_at: i64,
    /// Whether `db` is the file; otherwise it is a placeholder until `reopen` succeeds.
    attached: bool,
    /// What shall go wrong.
    #[cfg(test)]
    pub(crate) fault: Fault,
    _lock: File,
}

impl Outbox {
    /// Opens the store, makes it where there is none, and brings an older schema forward.
    ///
    /// `boot` names this boot of the box; `letters` seeds the name of a new store.
    pub fn open(settings: Settings, letters: u64) -> Result<Outbox, OpenError> {
        let path = settings.path.clone();
        let lock = lock(&path)?;
        finish_swap(&path)?;
        let db = connect(&path, settings.max_bytes)?;
        let failed = |error: StoreError| OpenError::Store { path: path.clone(), error };
        migrate(&db, &path, letters)?;
        let (sender, row) = (sender(&db, &settings.sender).map_err(failed)?, read_box(&db).map_err(failed)?);
        let mut outbox = Outbox {
            db,
            settings,
            sender,
            row,
            writing: false,
            displaceable: Vec::new(),
            displaceable_rank: 0,
            next_receipt: 0,
            next_repeat: 0,
            surely_fit: 0,
            forgettable: Vec::new(),
            more_forgettable: true,
            people_looked_at: 0,
            attached: true,
            #[cfg(test)]
            fault: Fault::default(),
            _lock: lock,
        };
        outbox.forget_caches().map_err(failed)?;
        Ok(outbox)
    }

    /// Opens the file again after a failed commit and believes what it finds. Returns whether that commit happened.
    pub fn reopen(&mut self) -> Result<bool, OpenError> {
        let path = self.settings.path.clone();
        let failed = |error: StoreError| OpenError::Store { path: path.clone(), error };
        let expected = self.row.commits + 1;
        self.detach()?;
        finish_swap(&path)?;
        #[cfg(test)]
        if self.fault.opens > 0 {
            self.fault.opens -= 1;
            return Err(OpenError::File { path, why: "as the test asked".to_owned() });
        }
        self.db = connect(&path, self.settings.max_bytes)?;
        let known = std::mem::replace(&mut self.row, read_box(&self.db).map_err(failed)?);
        if let Err(error) = self.forget_caches() {
            self.row = known;
            return Err(failed(error));
        }
        self.attached = true;
        Ok(self.row.commits == expected)
    }

    /// Lets go of the file. The old connection goes first: closing any descriptor of the file drops the process's locks on it
    /// (facts).
    fn detach(&mut self) -> Result<(), OpenError> {
        self.attached = false;
        self.writing = false;
        self.db = Connection::open_in_memory()
            .map_err(|error| OpenError::Store { path: self.settings.path.clone(), error: error.into() })?;
        Ok(())
    }

    /// What was remembered of the store's content is read again.
    fn forget_caches(&mut self) -> Result<(), StoreError> {
        self.displaceable.clear();
        self.forgettable.clear();
        self.more_forgettable = true;
        self.next_receipt = self.last_receipt()? + 1;
        self.next_repeat = self.last_repeat()? + 1;
        Ok(())
    }

    /// After a failed sync the pages of the file cannot be trusted to be on the disk, whatever a later sync says: the store is
    /// copied to a new, synced file, which takes the place of the old one.
    pub fn rebuild(&mut self) -> Result<(), OpenError> {
        if !self.attached {
            self.reopen()?;
        }
        let path = self.settings.path.clone();
        let (copy, whole) = (beside(&path, "copy"), beside(&path, "whole"));
        let failed = |error: rusqlite::Error| OpenError::Store { path: path.clone(), error: error.into() };
        let io = |why: std::io::Error| OpenError::File { path: path.clone(), why: why.to_string() };
        match std::fs::remove_file(&copy) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io(error)),
            _ => {}
        }
        let target = copy
            .to_str()
            .ok_or_else(|| OpenError::File { path: copy.clone(), why: "the path is not UTF-8".to_owned() })?;
        self.db.execute("VACUUM INTO ?1", [target]).map_err(failed)?;
        File::open(&copy).and_then(|file| file.sync_all()).map_err(io)?;
        // From here on the copy is the store: whatever stops us, `finish_swap` puts it into its place before anything else.
        std::fs::rename(&copy, &whole).and_then(|()| sync_folder(&path)).map_err(io)?;
        #[cfg(test)]
        {
            self.fault.rebuilt += 1;
        }
        self.reopen().map(|_| ())
    }

    /// Whether the file is open; otherwise [`reopen`](Self::reopen) comes before everything else.
    pub fn is_attached(&self) -> bool {
        self.attached
    }

    /// What the box knows about itself.
    pub fn row(&self) -> &BoxRow {
        &self.row
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Takes new settings at a reload; the path stays.
    pub fn reconfigure(&mut self, settings: Settings) {
        self.settings = Settings { path: self.settings.path.clone(), sender: self.settings.sender.clone(), ..settings };
        // Below what is in use SQLite keeps the old bound, and above it there is nothing that could fail.
        let _ = self.db.execute_batch(&format!("PRAGMA max_page_count = {}", pages(self.settings.max_bytes)));
    }

    /// The id that people see: `k3f9-1042`.
    pub fn shown(&self, id: crate::message::MessageId) -> String {
        format!("{}-{id}", self.row.store)
    }

    /// Whether something was written since the last commit.
    pub fn is_writing(&self) -> bool {
        self.writing
    }

    /// Begins the transaction of this batch at its first write; reads need none.
    fn write(&mut self) -> Result<&Connection, StoreError> {
        if !self.writing {
            self.db.execute_batch("BEGIN IMMEDIATE")?;
            self.writing = true;
            self.surely_fit = 0;
        }
        Ok(&self.db)
    }

    /// Makes the batch true. Nothing happens if nothing was written.
    ///
    /// An error leaves it open whether the commit happened: call [`reopen`](Self::reopen).
    pub fn commit(&mut self, now: Moment, mono: Mono, boot: &str) -> Result<(), StoreError> {
        if !self.writing {
            return Ok(());
        }
        self.db
            .prepare_cached("UPDATE box SET commits = ?1, boxed = ?2, mono = ?3, boot = ?4, wall = ?5, trusted = ?6")?
            .execute(params![
                self.row.commits + 1,
                now.boxed.0,
                mono.0 as i64,
                boot,
                now.wall.reading().0,
                now.wall.trusted().is_some()
            ])?;
        #[cfg(test)]
        self.faulty()?;
        self.db.execute_batch("COMMIT")?;
        self.writing = false;
        self.row.commits += 1;
        self.row.boxed = now.boxed;
        self.row.mono = mono;
        boot.clone_into(&mut self.row.boot);
        self.row.wall = now.wall;
        Ok(())
    }

    #[cfg(test)]
    fn faulty(&mut self) -> Result<(), StoreError> {
        let Some((happens, code)) = self.fault.commit.take() else { return Ok(()) };
        if happens {
            self.db.execute_batch("COMMIT")?;
        }
        Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None).into())
    }

    /// Takes everything back that was written since the last commit.
    pub fn rollback(&mut self) -> Result<(), StoreError> {
        // SQLite may have rolled back by itself (full disk); then there is nothing to take back.
        if self.writing && !self.db.is_autocommit() {
            self.db.execute_batch("ROLLBACK")?;
        }
        self.writing = false;
        self.row = read_box(&self.db)?;
        self.forget_caches()
    }

    /// The open file, for tests that read it in their own words.
    #[cfg(test)]
    pub(crate) fn raw(&self) -> &Connection {
        &self.db
    }

    /// Remembers the filters that the broker's session may hold.
    pub fn set_filters(&mut self, filters: Vec<String>) -> Result<(), StoreError> {
        if self.row.filters != filters {
            let text = serde_json::to_string(&filters)?;
            self.write()?.execute("UPDATE box SET filters = ?1", [text])?;
            self.row.filters = filters;
        }
        Ok(())
    }

    /// Bytes that hold something: the pages in use. The file may be larger; freed pages are used again.
    pub fn used_bytes(&self) -> Result<u64, StoreError> {
        let pages: i64 = self.db.prepare_cached("PRAGMA page_count")?.query_row([], |row| row.get(0))?;
        let free: i64 = self.db.prepare_cached("PRAGMA freelist_count")?.query_row([], |row| row.get(0))?;
        Ok((pages - free).max(0) as u64 * PAGE)
    }
}

/// A file beside the store: `outbox.db.copy`.
fn beside(path: &Path, what: &str) -> PathBuf {
    suffixed(path, &format!(".{what}"))
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn pages(max_bytes: u64) -> u64 {
    (max_bytes / PAGE).max(64)
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

/// Puts a finished copy (see `rebuild`) into the place of the store. The old write-ahead log goes first: it would be
/// replayed into the copy, which holds all of it already.
fn finish_swap(path: &Path) -> Result<(), OpenError> {
    let io = |why: std::io::Error| OpenError::File { path: path.to_owned(), why: why.to_string() };
    let whole = beside(path, "whole");
    if !whole.try_exists().map_err(io)? {
        return Ok(());
    }
    for leftover in ["-wal", "-shm"] {
        match std::fs::remove_file(suffixed(path, leftover)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io(error)),
            _ => {}
        }
    }
    std::fs::rename(&whole, path).and_then(|()| sync_folder(path)).map_err(io)
}

fn lock(path: &Path) -> Result<File, OpenError> {
    let name = beside(path, "lock");
    let io = |why: std::io::Error| OpenError::File {
        path: path.to_owned(),
        why: format!("{why}: check that the folder exists and belongs to the user that runs branchline"),
    };
    let file = File::options().create(true).truncate(false).write(true).open(name).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_owned())),
        Err(TryLockError::Error(why)) => Err(io(why)),
    }
}

fn connect(path: &Path, max_bytes: u64) -> Result<Connection, OpenError> {
    let failed = |error: rusqlite::Error| OpenError::Store { path: path.to_owned(), error: error.into() };
    let db = Connection::open(path).map_err(failed)?;
    // Before the first look: a store that is read without it gets a shared index file of 32 KiB beside it, for which a full disk
    // has no room, and could not be opened again before somebody made some.
    db.execute_batch("PRAGMA locking_mode = EXCLUSIVE").map_err(failed)?;
    ours(&db, path)?;
    // 512 KiB of cache: with 50,000 stored messages the interior pages of all indexes fit; the budget is 12 MiB in all.
    db.execute_batch(&format!(
        "PRAGMA page_size = {PAGE};
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA cache_size = -512;
         PRAGMA temp_store = MEMORY;
         PRAGMA journal_size_limit = {};
         PRAGMA max_page_count = {};",
        crate::limits::JOURNAL,
        pages(max_bytes)
    ))
    .map_err(failed)?;
    // Without it SQLite plans a statement anew whenever a parameter is bound that the planner has looked at, and half of the
    // engine's time goes into parsing (measured: five statements a message). The plans here depend on no value.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(failed)?;
    db.set_prepared_statement_cache_capacity(128);
    Ok(db)
}

/// Whether the file is a store that we know, or none yet: asked before anything is changed in it.
fn ours(db: &Connection, path: &Path) -> Result<(), OpenError> {
    let read = |what: &str| -> Result<i64, OpenError> {
        db.query_row(what, [], |row| row.get(0))
            .map_err(|error| OpenError::Store { path: path.to_owned(), error: error.into() })
    };
    let tables = read("SELECT count(*) FROM sqlite_schema")?;
    if tables > 0 && read("PRAGMA application_id")? != i64::from(schema::APPLICATION) {
        return Err(OpenError::Foreign(path.to_owned()));
    }
    let (found, known) = (read("PRAGMA user_version")?, schema::STEPS.len() as i64);
    if found > known { Err(OpenError::Newer { path: path.to_owned(), found, known }) } else { Ok(()) }
}

fn migrate(db: &Connection, path: &Path, letters: u64) -> Result<(), OpenError> {
    let failed = |error: rusqlite::Error| OpenError::Store { path: path.to_owned(), error: error.into() };
    let pragma = |name: &str| db.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0)).map_err(failed);
    let found = pragma("user_version")?;
    for (version, step) in schema::STEPS.iter().enumerate().skip(found as usize) {
        db.execute_batch(&format!(
            "BEGIN IMMEDIATE; PRAGMA application_id = {}; {step}; PRAGMA user_version = {}; {}; COMMIT;",
            schema::APPLICATION,
            version + 1,
            if version == 0 { first_row(letters) } else { String::new() },
        ))
        .map_err(failed)?;
    }
    Ok(())
}

fn first_row(letters: u64) -> String {
    // Without vowels and look-alikes, so that an id can be read out over the telephone and spells nothing.
    const ALPHABET: &[u8; 24] = b"bcdfghjkmnpqrstvwxz34679";
    let store: String =
        (0..4).map(|place| char::from(ALPHABET[(letters >> (place * 8)) as usize % ALPHABET.len()])).collect();
    format!("INSERT INTO box VALUES (1, '{store}', 0, 0, 0, '', 0, 0, 0, '[]')")
}

/// The one sender of this box. Another `uplink.phone_number_id` means that the business changed its number: people, ledger, limits
/// and what waits stay; the service windows were the old number's, and so was whatever stopped it.
fn sender(db: &Connection, phone_number_id: &str) -> Result<SenderId, StoreError> {
    let known: Option<(i64, String)> = db
        .query_row("SELECT id, phone_number_id FROM sender ORDER BY id LIMIT 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    match known {
        Some((id, known)) => {
            if known != phone_number_id {
                let tx = db.unchecked_transaction()?;
                tx.execute("UPDATE sender SET phone_number_id = ?1 WHERE id = ?2", params![phone_number_id, id])?;
                tx.execute("UPDATE lane SET window_wall = NULL", [])?;
                tx.execute("DELETE FROM hold WHERE key = 'number'", [])?;
                tx.commit()?;
            }
            Ok(SenderId(id))
        }
        None => {
            db.execute("INSERT INTO sender (phone_number_id) VALUES (?1)", [phone_number_id])?;
            Ok(SenderId(db.last_insert_rowid()))
        }
    }
}

fn read_box(db: &Connection) -> Result<BoxRow, StoreError> {
    let (row, filters) = db.query_row(
        "SELECT store, commits, boxed, mono, boot, wall, trusted, receipts_taken, filters FROM box",
        [],
        |row| {
            let wall = Wall(row.get(5)?);
            let row_filters: String = row.get(8)?;
            let found = BoxRow {
                store: row.get(0)?,
                commits: row.get(1)?,
                boxed: BoxTime(row.get(2)?),
                mono: Mono(row.get::<_, i64>(3)?.max(0) as u64),
                boot: row.get(4)?,
                wall: if row.get(6)? { Clock::Trusted(wall) } else { Clock::Unsynced(wall) },
                receipts_taken: row.get(7)?,
                filters: Vec::new(),
            };
            Ok((found, row_filters))
        },
    )?;
    Ok(BoxRow { filters: serde_json::from_str(&filters)?, ..row })
}
