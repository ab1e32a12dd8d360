//! Opening the file: its lock, its settings, its schema, and the names of what lies beside it.
//!
//! Floor: rooms. Changes nothing in a file that is not a store of ours, or is of a newer version.

use super::damage::{self, Damage};
use super::mark::Mark;
use super::salvage::Old;
use super::{BoxRow, OpenError, Outbox, PAGE, Piece, Seal, Settings, StoreError, aside, check, pages, schema};
use crate::limits;
use crate::message::{Anchor, SenderId, hex};
use crate::time::{BoxTime, Clock, Mono, Wall};
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OptionalExtension, params};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// Bytes of the longest row that is read: far above the largest message (some texts of `limits::RENDERED`), and far below what
/// a damaged length would ask the memory for.
pub(super) const ROW: i32 = 4 * 1024 * 1024;

/// No version is so many steps ahead of this one.
const NEWER: i64 = 1000;

/// Why there is no open store yet.
pub(super) enum Trouble {
    /// It is damaged, as these words say.
    Damage(Damage),
    /// Something that salvage does not mend.
    Open(OpenError),
}

impl From<OpenError> for Trouble {
    fn from(error: OpenError) -> Trouble {
        match error {
            OpenError::Store { error, .. } if error.is_damage() => Trouble::Damage(Damage::Content(error.to_string())),
            error => Trouble::Open(error),
        }
    }
}

/// What a store that passed the first look is opened as.
pub(super) struct Opened {
    pub db: Connection,
    pub row: BoxRow,
    pub sender: SenderId,
}

/// What tells that a store of ours was here, and what it was.
#[derive(Clone, Debug, Default)]
pub(super) struct Evidence {
    pub mark: Option<Mark>,
    /// The list of stops is here, written for this commit.
    pub list: Option<i64>,
}

impl Evidence {
    fn any(&self) -> bool {
        self.mark.is_some() || self.list.is_some()
    }
}

/// Opens the store, makes it where none was, and brings an older schema forward. Looks at header, log and schema, and whether it
/// is the store that was written last; the rest is looked at by and by.
pub(super) fn open(settings: &Settings, letters: u64, evidence: &Evidence) -> Result<Opened, Trouble> {
    let path = &settings.path;
    let io = |why: std::io::Error| OpenError::File { path: path.clone(), why: why.to_string() };
    let bytes = match std::fs::metadata(path) {
        Ok(found) => found.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
        Err(error) => return Err(Trouble::Open(io(error))),
    };
    let log = std::fs::metadata(suffixed(path, "-wal")).map_or(0, |found| found.len());
    if bytes == 0 && (evidence.any() || log > 0) {
        return Err(Trouble::Damage(Damage::Content("the file is gone or empty".to_owned())));
    }
    if bytes == 0 && settings.only_looks {
        return Err(Trouble::Open(OpenError::Absent(path.clone())));
    }
    if bytes > 0 {
        look(path, evidence, settings.only_looks)?;
    }
    let db = connect(path, settings.max_bytes, &settings.seal).map_err(|error| not_ours(error, path, evidence))?;
    let failed = |error: StoreError| OpenError::Store { path: path.clone(), error: check::judge(&db, error) };
    let read = || -> Result<(BoxRow, SenderId), Trouble> {
        let known = schema_is_ours(&db).map_err(failed)?;
        if settings.only_looks && known < schema::STEPS.len() {
            let why = "it is of an older version; the daemon brings it forward when it starts".to_owned();
            return Err(Trouble::Open(OpenError::File { path: path.clone(), why }));
        }
        migrate(&db, settings, letters, known)?;
        let row = read_box(&db).map_err(failed)?;
        match contradiction(&row, evidence) {
            Some(what) => Err(Trouble::Damage(what)),
            // Another number is taken note of by who may write.
            None if settings.only_looks => Ok((row, SenderId(1))),
            None => Ok((row, sender(&db, &settings.sender).map_err(failed)?)),
        }
    };
    let (row, sender) = read()?;
    if !settings.only_looks {
        believe(&db);
        reserve_log(path);
    }
    Ok(Opened { db, row, sender })
}

/// From here on the log goes into the file when it is closed.
pub(super) fn believe(db: &Connection) {
    // If not, it is read at the next start.
    let _ = db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false);
}

/// Gives the log its blocks at once, where there is room for them by far. A commit that makes the file longer writes what the file
/// system notes of it as well: 24 KiB on ext4 with blocks of 4 KiB; in blocks that are there already half of that.
fn reserve_log(path: &Path) {
    if !free_space(folder(path)).is_ok_and(|free| free >= 16 * limits::JOURNAL) {
        return;
    }
    // A file system that cannot do it gives them one by one.
    if let Ok(log) = File::options().write(true).open(suffixed(path, "-wal")) {
        let _ = rustix::fs::fallocate(log, rustix::fs::FallocateFlags::KEEP_SIZE, 0, limits::JOURNAL);
    }
}

/// What shows before SQLite opens the file.
fn look(path: &Path, evidence: &Evidence, only: bool) -> Result<(), Trouble> {
    let io = |why: std::io::Error| OpenError::File { path: path.to_owned(), why: why.to_string() };
    // Without a trace of a store of ours it may be anybody's file: SQLite's own look decides, and refuses it.
    let ours = evidence.any() || pages::is_blank(path) || is_marked_ours(path);
    if !ours {
        return Ok(());
    }
    // The store has no rollback journal but while it is made: one that lies here would be played back into it.
    if !only {
        remove(&suffixed(path, "-journal")).map_err(io)?;
    } else if suffixed(path, "-journal").exists() {
        return Err(Trouble::Damage(Damage::Content("a rollback journal lies beside it".to_owned())));
    }
    match pages::examine(path) {
        Ok(Some(what)) => Err(Trouble::Damage(what)),
        Ok(None) => Ok(()),
        Err(error) if is_lost(&error) => Err(Trouble::Damage(Damage::Content(format!("it cannot be read: {error}")))),
        Err(error) => Err(Trouble::Open(io(error))),
    }
}

/// The header says that it is ours, whatever else is wrong.
fn is_marked_ours(path: &Path) -> bool {
    use std::os::unix::fs::FileExt;
    let mut id = [0; 4];
    let read = File::open(path).and_then(|file| file.read_exact_at(&mut id, 68));
    read.is_ok() && id == schema::APPLICATION.to_be_bytes()
}

/// Another program's file, or a newer version's, where a store of this version was a moment ago: that is no reason to stop.
fn not_ours(error: OpenError, path: &Path, evidence: &Evidence) -> Trouble {
    let known = schema::STEPS.len() as i64;
    match error {
        OpenError::Foreign(_) if evidence.any() => {
            Trouble::Damage(Damage::OtherStore("another program's database lies in its place".to_owned()))
        }
        OpenError::Newer { found, .. }
            if evidence.mark.as_ref().map_or_else(
                || found > known + NEWER && has_our_tables(path) == Some(true),
                // A newer version may have died after it brought the store forward, before it wrote its mark.
                |mark| mark.schema <= known && has_our_tables(path) != Some(false),
            ) =>
        {
            Trouble::Damage(Damage::Content(format!("the header names a version that never wrote it ({found})")))
        }
        error => error.into(),
    }
}

/// Whether the tables are this version's, whatever the header says: a newer one has other tables. `None`: nobody can tell.
fn has_our_tables(path: &Path) -> Option<bool> {
    let Old::Store { db, broken } = super::salvage::damaged(path, &Seal::default()) else { return None };
    if !broken.is_empty() {
        return None;
    }
    let compare = || -> Result<bool, StoreError> {
        let fresh = Connection::open_in_memory()?;
        schema::STEPS.iter().try_for_each(|step| fresh.execute_batch(step))?;
        Ok(objects(&fresh)?.0 == objects(&db)?.0)
    };
    compare().ok()
}

/// What the traces beside the store say against it.
pub(super) fn contradiction(row: &BoxRow, evidence: &Evidence) -> Option<Damage> {
    let mark = evidence.mark.as_ref().and_then(|mark| mark.contradicts(row));
    // The list is written just before its commit: one commit ahead is a power cut, more is not.
    let list = evidence.list.filter(|commits| *commits > row.commits + 1);
    mark.or(list.map(|commits| {
        Damage::CommitsGone(format!("at least the last {} commits are gone", commits - 1 - row.commits))
    }))
}

/// Keeps SQLite from writing the log into the file when it is closed: what is damaged stays as it is.
pub(super) fn leave_as_it_is(db: &Connection) {
    // A connection that refuses this writes a log that it believes in: nothing worse.
    let _ = db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
}

/// Whether the tables are exactly those that we made, as of the version that the header names; which it returns.
pub(super) fn schema_is_ours(db: &Connection) -> Result<usize, StoreError> {
    let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let version = usize::try_from(version).unwrap_or(usize::MAX).min(schema::STEPS.len());
    let fresh = Connection::open_in_memory()?;
    schema::STEPS[..version].iter().try_for_each(|step| fresh.execute_batch(step))?;
    let (expected, roots) = objects(&fresh)?;
    let (found, mut here) = objects(db)?;
    here.sort_unstable();
    here.dedup();
    let pages: i64 = db.query_row("PRAGMA page_count", [], |row| row.get(0))?;
    let sound = here.len() == roots.len() && here.iter().all(|root| (2..=pages).contains(root));
    if found != expected || !sound {
        return Err(StoreError::contradiction("its tables are not those of a store"));
    }
    Ok(version)
}

/// Names and texts of all tables and indexes, and where they begin.
fn objects(db: &Connection) -> Result<(Vec<String>, Vec<i64>), StoreError> {
    // What SQLite adds by itself has no text.
    let mut query = db.prepare("SELECT type || ' ' || name || ' ' || tbl_name || ' ' || coalesce(sql, ''), rootpage FROM sqlite_schema ORDER BY 1")?;
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<Vec<(String, i64)>, _>>()?.into_iter().unzip())
}

/// A file beside the store: `outbox.db.copy`.
pub(super) fn beside(path: &Path, what: &str) -> PathBuf {
    suffixed(path, &format!(".{what}"))
}

pub(super) fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Whether there is a store, or anything is left of one.
pub fn is_there(path: &Path) -> bool {
    ["", "-wal", ".stops", ".whole"].iter().any(|part| suffixed(path, part).exists())
}

pub(super) fn page_count(max_bytes: u64) -> u64 {
    (max_bytes / PAGE).max(64)
}

/// The folder that a store lies in.
pub fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Bytes that a user without privileges may still write in `folder`.
///
/// # Errors
/// The folder is not there.
pub fn free_space(folder: &Path) -> std::io::Result<u64> {
    let stat = rustix::fs::statvfs(folder)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

pub(super) fn sync_folder(path: &Path) -> std::io::Result<()> {
    File::open(folder(path))?.sync_all()
}

/// Puts a finished copy (see `rebuild`) into the place of the store, or what was salvaged (see `salvage`). Whatever stopped it
/// before goes on here.
pub(super) fn finish_swap(path: &Path) -> Result<(), OpenError> {
    let io = |why: std::io::Error| OpenError::File { path: path.to_owned(), why: why.to_string() };
    let whole = beside(path, "whole");
    if whole.try_exists().map_err(io)? {
        // The old write-ahead log goes first: it would be replayed into the copy, which holds all of it already.
        for leftover in ["-wal", "-shm"] {
            remove(&suffixed(path, leftover)).map_err(io)?;
        }
        std::fs::rename(&whole, path).and_then(|()| sync_folder(path)).map_err(io)?;
    }
    aside::swap(path).map_err(io)
}

/// Whether [`finish_swap`] has something to do.
pub(super) fn is_swapping(path: &Path) -> std::io::Result<bool> {
    Ok(beside(path, "whole").try_exists()? || aside::is_swapping(path)?)
}

/// Whether reading failed because of what it was read from: a broken sector, or a file system that contradicts itself.
pub(super) fn is_lost(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    let lost = [Errno::IO, Errno::NXIO, Errno::RANGE, Errno::BADMSG, Errno::UCLEAN];
    error.raw_os_error().is_some_and(|code| lost.iter().any(|lost| lost.raw_os_error() == code))
}

/// Gone, whether or not it was there.
pub(super) fn remove(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The right to a store, ours as long as this lives: nobody else opens it. Nothing was opened or changed yet, so whatever else a
/// start needs can be had first: a store that was brought forward is closed to the older program.
pub struct Claim(File);

impl Claim {
    /// That to the store at this path, whether or not there is one.
    ///
    /// # Errors
    /// Another process has it; or there is no such folder, or it is not ours to write.
    pub fn to(path: &Path) -> Result<Claim, OpenError> {
        lock(path).map(Claim)
    }

    /// As [`Outbox::open`], with the settings of that path.
    ///
    /// # Errors
    /// As there.
    pub fn open(self, settings: Settings, letters: u64) -> Result<Outbox, OpenError> {
        let Claim(lock) = self;
        if settings.only_looks { damage::look(settings, letters, lock) } else { damage::open(settings, letters, lock) }
    }
}

pub(super) fn lock(path: &Path) -> Result<File, OpenError> {
    let name = beside(path, "lock");
    let io = |why: std::io::Error| OpenError::File {
        path: path.to_owned(),
        why: format!("{why}: check that the folder exists and belongs to the user that runs branchline"),
    };
    let file = File::options().create(true).truncate(false).read(true).write(true).open(name).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_owned())),
        Err(TryLockError::Error(why)) => Err(io(why)),
    }
}

pub(super) fn connect(path: &Path, max_bytes: u64, seal: &Seal) -> Result<Connection, OpenError> {
    let failed = |error: rusqlite::Error| OpenError::Store { path: path.to_owned(), error: error.into() };
    let db = Connection::open(path).map_err(failed)?;
    // Until the file is believed: see `open`.
    leave_as_it_is(&db);
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
         PRAGMA wal_autocheckpoint = {};
         PRAGMA max_page_count = {};",
        limits::JOURNAL,
        limits::CHECKPOINT / (PAGE + pages::FRAME_HEADER as u64),
        page_count(max_bytes)
    ))
    .map_err(failed)?;
    // Without it SQLite plans a statement anew whenever a parameter is bound that the planner has looked at, and half of the
    // engine's time goes into parsing (measured: five statements a message). The plans here depend on no value.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(failed)?;
    db.set_limit(Limit::SQLITE_LIMIT_LENGTH, ROW).map_err(failed)?;
    db.set_prepared_statement_cache_capacity(128);
    seal.teach(&db).map_err(failed)?;
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

/// Forward only, and the store as it was is kept beside it (`aside`): an older program can be given that one back.
fn migrate(db: &Connection, settings: &Settings, letters: u64, found: usize) -> Result<(), OpenError> {
    take_steps(db, settings, letters, found, schema::STEPS)
}

fn take_steps(
    db: &Connection,
    settings: &Settings,
    letters: u64,
    found: usize,
    steps: &[&str],
) -> Result<(), OpenError> {
    let path = &settings.path;
    let failed = |error: rusqlite::Error| OpenError::Store { path: path.clone(), error: error.into() };
    if found > 0 && found < steps.len() {
        let io = |why: std::io::Error| OpenError::File { path: path.clone(), why: why.to_string() };
        let at: i64 = db.query_row("SELECT boxed FROM box", [], |row| row.get(0)).map_err(failed)?;
        let kept = aside::older(path, BoxTime(at));
        remove(&kept).map_err(io)?;
        let name = kept.to_str().ok_or_else(|| io(std::io::Error::other("the path is not UTF-8")))?;
        db.execute("VACUUM INTO ?1", [name]).map_err(failed)?;
        File::open(&kept).and_then(|file| file.sync_all()).and_then(|()| sync_folder(path)).map_err(io)?;
    }
    for (version, step) in steps.iter().enumerate().skip(found) {
        db.execute_batch(&format!(
            "BEGIN IMMEDIATE; PRAGMA application_id = {}; {step}; PRAGMA user_version = {}; {}; COMMIT;",
            schema::APPLICATION,
            version + 1,
            if version == 0 { first_row(letters, &settings.seal) } else { String::new() },
        ))
        .map_err(failed)?;
    }
    Ok(())
}

/// Random letters.
pub(super) fn store_name(letters: u64) -> String {
    // Without vowels and look-alikes, so that an id can be read out over the telephone and spells nothing.
    const ALPHABET: &[u8; 24] = b"bcdfghjkmnpqrstvwxz34679";
    (0..4).map(|place| char::from(ALPHABET[(letters >> (place * 8)) as usize % ALPHABET.len()])).collect()
}

fn first_row(letters: u64, seal: &Seal) -> String {
    let name = store_name(letters);
    let print = seal.print().map_or_else(|| "NULL".to_owned(), |print| format!("x'{}'", hex(print)));
    format!(
        "INSERT INTO box VALUES (1, '{name}', 0, 0, 0, '', 0, 0, 0, '[]', 0, zeroblob(32), 0, zeroblob(32), 0, 0, {print})"
    )
}

/// The one sender of this box. Another `uplink.phone_number_id` means that the business changed its number: people, ledger, limits
/// and what waits stay; the service windows were the old number's, and so was whatever stopped it.
pub(super) fn sender(db: &Connection, phone_number_id: &str) -> Result<SenderId, StoreError> {
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
                tx.execute("UPDATE lane SET window_wall = NULL, window_since = NULL", [])?;
                tx.execute("DELETE FROM hold WHERE key = 'number' OR key LIKE 'quality:%'", [])?;
                tx.execute("DELETE FROM health", [])?;
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

pub(super) fn read_box(db: &Connection) -> Result<BoxRow, StoreError> {
    let (row, filters) = db.query_row(
        "SELECT store, commits, boxed, mono, boot, wall, trusted, receipts_taken, filters, audit_rows, audit_head, tail_rows, tail,
             worn_since, worn FROM box",
        [],
        |row| {
            let wall = Wall(row.get(5)?);
            let row_filters: String = row.get(8)?;
            let audit = Anchor { rows: row.get::<_, i64>(9)?.max(0) as u64, head: row.get(10)? };
            let found = BoxRow {
                store: row.get(0)?,
                commits: row.get(1)?,
                boxed: BoxTime(row.get(2)?),
                mono: Mono(row.get::<_, i64>(3)?.max(0) as u64),
                boot: row.get(4)?,
                wall: if row.get(6)? { Clock::Trusted(wall) } else { Clock::Unsynced(wall) },
                receipts_taken: row.get(7)?,
                filters: Vec::new(),
                tail: Piece::tail(&audit, row.get::<_, i64>(11)?.max(0) as u64, &row.get::<_, Vec<u8>>(12)?),
                audit,
                worn: (Wall(row.get(13)?), row.get::<_, i64>(14)?.max(0) as u64),
            };
            Ok((found, row_filters))
        },
    )?;
    Ok(BoxRow { filters: serde_json::from_str(&filters)?, ..row })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            path: PathBuf::new(),
            seal: Seal::default(),
            max_bytes: 1 << 20,
            when_full: super::super::WhenFull::Hold,
            keep_content: std::time::Duration::ZERO,
            keep_settled: std::time::Duration::ZERO,
            keep_audit: std::time::Duration::ZERO,
            sender: "1".to_owned(),
            only_looks: false,
        }
    }

    #[test]
    fn a_store_is_brought_forward_and_kept_as_it_was() {
        let here = tempfile::tempdir().unwrap();
        let path = here.path().join("outbox.db");
        let settings = Settings { path: path.clone(), ..settings() };
        let db = connect(&path, 1 << 20, &settings.seal).map_err(|_| "no store").unwrap();
        migrate(&db, &settings, 1, 0).unwrap();
        db.execute("UPDATE box SET boxed = 7", []).unwrap();
        assert_eq!(aside::set_aside(&path).unwrap(), [], "of a new one nothing is kept");
        let next = [schema::STEPS, &["CREATE TABLE next (one INTEGER)"]].concat();
        take_steps(&db, &settings, 1, schema::STEPS.len(), &next).unwrap();
        let version =
            |db: &Connection| db.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0)).unwrap() as usize;
        assert_eq!(version(&db), next.len());
        let [(kept, BoxTime(7))] = &aside::set_aside(&path).unwrap()[..] else { panic!("not kept") };
        assert_eq!(kept, &here.path().join("outbox.db.older-7"));
        let kept = Connection::open(kept).unwrap();
        assert_eq!(schema_is_ours(&kept).unwrap(), schema::STEPS.len(), "the store of the older version, whole");
        take_steps(&db, &settings, 1, next.len(), &next).unwrap();
        assert_eq!(aside::set_aside(&path).unwrap().len(), 1, "what is of this version is not copied");
    }

    /// The program that brought it forward died before it wrote its mark: the one before took the store for damaged.
    #[test]
    fn a_store_that_was_brought_forward_without_a_mark_is_refused_and_not_salvaged() {
        let here = tempfile::tempdir().unwrap();
        let path = here.path().join("outbox.db");
        let settings = Settings { path: path.clone(), ..settings() };
        let Opened { db, row, .. } = open(&settings, 1, &Evidence::default()).map_err(|_| "no store").unwrap();
        drop(db);
        let evidence = || Evidence { mark: Some(Mark::of(&row, 1, 0, 0)), ..Evidence::default() };
        let version = |version: u32| {
            Connection::open(&path).unwrap().pragma_update(None, "user_version", version).unwrap();
        };
        version(2);
        assert!(matches!(open(&settings, 1, &evidence()), Err(Trouble::Damage(_))), "its header alone says so");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE newer (one)").unwrap();
        assert!(matches!(open(&settings, 1, &evidence()), Err(Trouble::Open(OpenError::Newer { .. }))));
        version(1);
    }

    /// Its length went up and down with every checkpoint, and each commit that changed it cost 24 KiB of device more.
    #[test]
    fn the_log_keeps_its_length_and_its_blocks() {
        use std::os::unix::fs::MetadataExt;
        let here = tempfile::tempdir().unwrap();
        let path = here.path().join("outbox.db");
        let settings = Settings { path: path.clone(), max_bytes: 64 << 20, ..settings() };
        let Opened { db, .. } = open(&settings, 1, &Evidence::default()).map_err(|_| "no store").unwrap();
        let log = suffixed(&path, "-wal");
        let probe = File::create(here.path().join("probe")).unwrap();
        if rustix::fs::fallocate(probe, rustix::fs::FallocateFlags::KEEP_SIZE, 0, 4096).is_ok() {
            assert!(std::fs::metadata(&log).unwrap().blocks() * 512 >= limits::JOURNAL);
        }
        db.execute_batch("PRAGMA synchronous = OFF; CREATE TABLE some (one INTEGER PRIMARY KEY, bytes BLOB)").unwrap();
        let commit = |_| {
            // As an event and its attempt: some 13 KiB of log.
            db.execute("INSERT OR REPLACE INTO some VALUES (1, zeroblob(12000))", []).unwrap();
            std::fs::metadata(&log).unwrap().len()
        };
        let lengths: Vec<u64> = (0..600).map(commit).collect();
        assert!(lengths.iter().all(|length| *length <= limits::JOURNAL), "never longer than it is kept");
        assert!(lengths[0] < lengths[100] && lengths.is_sorted(), "never cut");
        assert_eq!(lengths[200], lengths[599], "and it grows once");
    }

    #[test]
    fn a_folder_has_free_space_if_it_is_there() {
        let here = tempfile::tempdir().unwrap();
        assert!(free_space(folder(&here.path().join("outbox.db"))).unwrap() > 0);
        assert!(free_space(folder(Path::new("outbox.db"))).unwrap() > 0);
        assert!(free_space(&here.path().join("absent")).is_err());
    }
}
