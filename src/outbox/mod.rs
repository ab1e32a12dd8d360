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
//! Every person with something to send has one row in `lane` whose `due` says when its next message may go, of which rank and
//! rule. So the next sendable message is one index seek away however many others are held, and rules take turns.

mod aside;
mod audit;
mod beside;
mod check;
mod contact;
mod damage;
mod day;
mod duplicate;
mod error;
mod export;
mod health;
mod hold;
mod inbound;
mod lane;
mod ledger;
mod look;
mod mark;
mod message;
mod notice;
pub mod offline;
mod open;
mod pages;
mod person;
#[cfg(test)]
pub(crate) mod power;
mod prints;
mod receipt;
mod redate;
mod retain;
mod room;
mod rows;
mod salvage;
mod schema;
mod scrub;
mod seal;
mod settings;
mod stopped;
mod stops;
mod tables;
mod turns;

pub use aside::set_aside;
pub use audit::Piece;
pub use duplicate::Duplicate;
pub use error::{OpenError, StoreError};
pub use health::Health;
pub use hold::Hold;
pub use lane::Lane;
pub use ledger::LedgerRow;
pub use look::Looked;
pub use message::{Attempt, Found, Recorded, Settling, Spent};
pub use notice::{Asked, Known, State, Tried, Try};
pub use open::{Claim, folder, free_space, is_there};
pub use receipt::{Receipt, Report};
pub use room::{draft_bytes, row_bytes};
pub use salvage::{LIFT_ALL, LOSS, REACHED_UNKNOWN};
pub use seal::{SHORTEST, Seal};
pub use settings::*;

use crate::message::{Acted, Anchor, SenderId};
use crate::time::{BoxTime, Clock, Moment, Mono, Wall};
use open::{beside, connect, finish_swap, page_count, read_box, sync_folder};
use rusqlite::{Connection, params};
use std::fs::File;
use stops::Stops;

/// SQLite's page, in bytes. A commit writes each page that it touches, and an event with its attempt touches some twenty, each by a few
/// bytes: so the smallest that SQLite has. Measured (`cargo bench --bench budgets -- device`): on blocks of 4 KiB 37 KiB of
/// device a message where pages of 1 KiB took 49, and of 4 KiB 130; on blocks of 1 KiB 24, 36, and 56 to 60; for 3 to 5 % more instructions
/// an event than pages of 1 KiB.
const PAGE: u64 = 512;

/// The version of the schema that this program writes.
pub const SCHEMA: i64 = schema::STEPS.len() as i64;

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
    /// Where the audit record stands.
    pub audit: Anchor,
    /// Its last rows, which fit beside all this on one page: how many, the head before them, and they themselves.
    pub tail: Piece,
    /// Bytes that were written to the storage since then, within its day.
    pub worn: (Wall, u64),
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
    /// The next commit is looked at from outside, and reported as failed.
    pub watched: bool,
    /// The files before and after it.
    pub seen: Option<[power::Files; 2]>,
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
    /// This transaction, or the one before it, added some.
    adds_receipts: bool,
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
    /// Who said no, whatever the store says.
    stops: Stops,
    /// The highest ids that were given away.
    last_message: i64,
    last_attempt: i64,
    /// No receipt gets a number below: what is on its way to the broker keeps its own.
    receipt_floor: i64,
    /// How the list was found; intact as soon as the store is open.
    listed: stops::Found,
    /// Whose turn is next: only a cache.
    turns: turns::Turns,
    /// Where the whole check stands.
    checked: check::Progress,
    /// What the next commit says of the storage's wear.
    worn: (Wall, u64),
    /// Rows that were deleted for an erasure are still to be removed from the files.
    scrub_due: bool,
    /// What was decided in this transaction and is no row of the audit record yet.
    acted: Vec<Acted>,
    audit_key: audit::KeyFile,
    /// The audit record is looked at for what is past its time after that.
    audit_looked: BoxTime,
    /// The commit after which the whole check found nothing, because a statement had been refused.
    found_sound: Option<i64>,
    /// Entries of a list of stops that had to be made again, until that is told.
    listed_again: Option<usize>,
    /// The store was encrypted at this start, until that is told.
    newly_sealed: bool,
    /// It was damaged and is salvaged, and that is not told yet.
    salvaged: bool,
    /// What shall go wrong.
    #[cfg(test)]
    pub(crate) fault: Fault,
    /// Locked, and the place of the mark.
    lock: File,
}

impl Outbox {
    /// Opens the store, makes it where there is none, and brings an older schema forward. A damaged one is set aside, and what
    /// can be read of it makes a new one, with a hold ([`LOSS`]) that says so.
    ///
    /// `boot` names this boot of the box; `letters` seeds the name of a new store.
    pub fn open(settings: Settings, letters: u64) -> Result<Outbox, OpenError> {
        if settings.only_looks && !is_there(&settings.path) {
            return Err(OpenError::Absent(settings.path));
        }
        Claim::to(&settings.path)?.open(settings, letters)
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
        // SQLite would make a new one.
        if std::fs::metadata(&path).map_or(0, |found| found.len()) == 0 {
            return Err(failed(StoreError::contradiction("the file is gone or empty")));
        }
        self.db = connect(&path, self.settings.max_bytes, &self.settings.seal)?;
        open::schema_is_ours(&self.db).map_err(failed)?;
        let known = std::mem::replace(&mut self.row, read_box(&self.db).map_err(failed)?);
        if let Err(error) = self.forget_caches() {
            self.row = known;
            return Err(failed(error));
        }
        open::believe(&self.db);
        self.attached = true;
        let happened = self.row.commits == expected;
        if happened {
            self.stops.committed(expected)
        } else {
            self.stops.taken_back()
        }
        self.audited(happened);
        Ok(happened)
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
        self.forget_found();
        self.next_receipt = (self.last_receipt()? + 1).max(self.receipt_floor);
        self.next_repeat = self.last_repeat()? + 1;
        Ok(())
    }

    /// Messages that were found for later are looked for again.
    fn forget_found(&mut self) {
        self.displaceable.clear();
        self.turns.forget();
        self.forgettable.clear();
        self.more_forgettable = true;
    }

    /// After a failed sync the pages of the file cannot be trusted to be on the disk, whatever a later sync says: the store is
    /// copied to a new, synced file, which takes the place of the old one.
    pub fn rebuild(&mut self) -> Result<(), OpenError> {
        self.rewrite(false)
    }

    /// The same; the old file and its log are overwritten if they shall be.
    fn rewrite(&mut self, overwritten: bool) -> Result<(), OpenError> {
        if !self.attached {
            self.reopen()?;
        }
        let path = self.settings.path.clone();
        let (copy, whole) = (beside(&path, "copy"), beside(&path, "whole"));
        let io = |why: std::io::Error| OpenError::File { path: path.clone(), why: why.to_string() };
        open::remove(&copy).and_then(|()| open::remove(&open::suffixed(&copy, "-wal"))).map_err(io)?;
        let target = copy
            .to_str()
            .ok_or_else(|| OpenError::File { path: copy.clone(), why: "the path is not UTF-8".to_owned() })?;
        if let Err(error) = self.db.execute("VACUUM INTO ?1", [target]) {
            return Err(OpenError::Store { path, error: self.judged(error.into()) });
        }
        // Its head says that there is no log, as in no store of ours: should the power go before it is opened as one, it would be
        // taken for damaged.
        let log = |db: &Connection| db.execute_batch("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL");
        if let Err(error) = Connection::open(&copy).and_then(|db| log(&db)) {
            return Err(OpenError::Store { path, error: error.into() });
        }
        File::open(&copy).and_then(|file| file.sync_all()).map_err(io)?;
        // From here on the copy is the store: whatever stops us, `finish_swap` puts it into its place before anything else.
        std::fs::rename(&copy, &whole).and_then(|()| sync_folder(&path)).map_err(io)?;
        if overwritten {
            // Closing it must not move the log into the file.
            open::leave_as_it_is(&self.db);
            self.detach()?;
            #[cfg(test)]
            power::step().map_err(io)?;
            scrub::overwrite(&path).and_then(|()| scrub::overwrite(&open::suffixed(&path, "-wal"))).map_err(io)?;
        }
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

    /// Takes new settings at a reload; path and key stay.
    pub fn reconfigure(&mut self, settings: Settings) {
        self.settings = Settings {
            path: self.settings.path.clone(),
            sender: self.settings.sender.clone(),
            seal: self.settings.seal.clone(),
            ..settings
        };
        // Below what is in use SQLite keeps the old bound, and above it there is nothing that could fail.
        let _ = self.db.execute_batch(&format!("PRAGMA max_page_count = {}", page_count(self.settings.max_bytes)));
    }

    /// The id that people see: `k3f9-1042`.
    pub fn shown(&self, id: crate::message::MessageId) -> String {
        format!("{}-{id}", self.row.store)
    }

    /// The inverse of [`shown`](Self::shown): `None` for what is no id of this store.
    pub fn read_shown(&self, shown: &str) -> Option<crate::message::MessageId> {
        let (store, id) = shown.rsplit_once('-')?;
        (store == self.row.store).then_some(())?;
        id.bytes().all(|byte| byte.is_ascii_digit()).then_some(())?;
        id.parse().ok().map(crate::message::MessageId)
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
            self.adds_receipts = false;
        }
        Ok(&self.db)
    }

    /// This batch is committed for the sake of the clocks' readings alone.
    pub fn keep_clock(&mut self) -> Result<(), StoreError> {
        self.write().map(drop)
    }

    /// Since when how many bytes were written to the storage: goes with the next commit, and makes none.
    pub fn wear(&mut self, worn: (Wall, u64)) {
        self.worn = worn;
    }

    /// Makes the batch true. Nothing happens if nothing was written.
    ///
    /// An error leaves it open whether the commit happened: call [`reopen`](Self::reopen).
    pub fn commit(&mut self, now: Moment, mono: Mono, boot: &str) -> Result<(), StoreError> {
        if !self.writing {
            return Ok(());
        }
        self.db
            .prepare_cached(
                "UPDATE box SET commits = ?1, boxed = ?2, mono = ?3, boot = ?4, wall = ?5, trusted = ?6, audit_rows = ?7,
                     audit_head = ?8, tail_rows = ?9, tail = ?10, worn_since = ?11, worn = ?12",
            )?
            .execute(params![
                self.row.commits + 1,
                now.boxed.0,
                mono.0 as i64,
                boot,
                now.wall.reading().0,
                now.wall.trusted().is_some(),
                self.row.audit.rows as i64,
                self.row.audit.head,
                self.row.tail.count as i64,
                self.row.tail.with_head(),
                self.worn.0.0,
                self.worn.1 as i64,
            ])?;
        let failed = |error: std::io::Error| StoreError::of_file(&error);
        self.stops.before_commit(self.row.commits + 1).map_err(failed)?;
        #[cfg(test)]
        self.faulty()?;
        self.db.execute_batch("COMMIT")?;
        self.writing = false;
        self.row.commits += 1;
        self.row.boxed = now.boxed;
        self.row.mono = mono;
        boot.clone_into(&mut self.row.boot);
        self.row.wall = now.wall;
        self.row.worn = self.worn;
        self.stops.committed(self.row.commits);
        self.audited(true);
        self.mark();
        Ok(())
    }

    #[cfg(test)]
    fn faulty(&mut self) -> Result<(), StoreError> {
        if std::mem::take(&mut self.fault.watched) {
            let folder = open::folder(&self.settings.path).to_owned();
            let seen = || power::files(&folder).map_err(|error| StoreError::of_file(&error));
            let before = seen()?;
            self.db.execute_batch("COMMIT")?;
            self.fault.seen = Some([before, seen()?]);
            self.fault.commit = Some((false, rusqlite::ffi::SQLITE_IOERR_FSYNC));
        }
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
        self.stops.taken_back();
        self.audited(false);
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
