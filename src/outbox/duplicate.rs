//! A copy of a store that a daemon may be working on, for trying a new program on it.
//!
//! Floor: rooms. Only reads what it copies, and takes no lock of it: the daemon that works on it notices nothing.
//!
//! ```text
//! mark, lists, keys ─► the file ─► its log ─► the file again: is it still the same?
//! ```
//!
//! What changes the file is a checkpoint of the log; while there is none, file and log together are one state, and a half-written
//! end of the log is cut off by its checksums, as after a power cut. Mark and list are read first: older than the store they
//! contradict nothing.
//!
//! The copy holds whatever the store holds on people. So it is overwritten before it is deleted, a start of the daemon destroys
//! what a power cut left of one, and an erasure is not done while there is one: both hold the lock of the store's folder while
//! they work, which falls with its holder, and whoever finds it taken does not begin.

use super::open::{folder, leave_as_it_is, suffixed, sync_folder};
use super::scrub::destroy;
use rusqlite::Connection;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Its folder.
const FOLDER: &str = ".branchline-self-test";
/// What lies beside a store and belongs to it.
const BESIDE: [&str; 4] = [".lock", ".stops", ".stops.key", ".audit.key"];
/// Tries at a moment without a checkpoint: a busy box has one for each two MiB of log.
const TRIES: usize = 20;
/// Bytes that are compared at a time.
const PIECE: usize = 64 * 1024;

/// A copy in a folder of its own beside the store, which is gone when this is dropped.
#[derive(Debug)]
pub struct Duplicate {
    folder: PathBuf,
    /// The copied store.
    pub path: PathBuf,
    /// Bytes that were copied.
    pub bytes: u64,
    /// The version of its schema, as its header names it; `None` where there was no store.
    pub version: Option<i64>,
    /// Given back last.
    _alone: File,
}

impl Duplicate {
    /// Copies the store at `path`. One that is not there is copied as nothing.
    ///
    /// # Errors
    /// Something cannot be read or written, or there is no space; a daemon that writes without end; another self-test, or an
    /// erasure that writes the store anew in this moment.
    pub fn of(path: &Path) -> io::Result<Duplicate> {
        let alone = none_left(path)?;
        let folder = folder(path).join(FOLDER);
        fs::DirBuilder::new().mode(0o700).create(&folder)?;
        let name = path.file_name().ok_or_else(|| io::Error::other("the store has no name"))?;
        let mut copy = Duplicate { path: folder.join(name), folder, bytes: 0, version: None, _alone: alone };
        if !path.exists() {
            return Ok(copy);
        }
        for _ in 0..TRIES {
            for part in BESIDE {
                copy.part(path, part)?;
            }
            copy.bytes = copy.part(path, "")? + copy.part(path, "-wal")?;
            if same(path, &copy.path)? {
                copy.version = Some(version(&copy.path));
                return Ok(copy);
            }
        }
        Err(io::Error::other("the daemon writes so much that no copy is of one moment: try again when less happens"))
    }

    fn part(&self, path: &Path, part: &str) -> io::Result<u64> {
        let to = suffixed(&self.path, part);
        // Of the try before.
        destroy(&to)?;
        match fs::copy(suffixed(path, part), &to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            copied => copied,
        }
    }
}

impl Drop for Duplicate {
    fn drop(&mut self) {
        // What stays is destroyed by the next one, by an erasure and at the daemon's start.
        let _ = destroy_all(&self.folder);
    }
}

/// Destroys what a self-test left of its copy, and keeps others from beginning until what this returns is dropped.
///
/// # Errors
/// A self-test is at work, or something of the copy cannot be removed.
pub(super) fn none_left(path: &Path) -> io::Result<File> {
    let folder = folder(path);
    let alone = File::open(folder)?;
    alone.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => io::Error::other(
            "a self-test is at work on a copy of the store, or an erasure writes the store anew: wait until it is over and try again",
        ),
        TryLockError::Error(why) => why,
    })?;
    let left = folder.join(FOLDER);
    destroy_all(&left).map_err(|why| {
        io::Error::other(format!(
            "{why}: {} is a copy of the store that a self-test left: remove it by hand",
            left.display()
        ))
    })?;
    Ok(alone)
}

/// Every file of a copy is overwritten and deleted, and the folder with them; nothing where there is none.
fn destroy_all(copy: &Path) -> io::Result<()> {
    let files = match fs::read_dir(copy) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        files => files?,
    };
    for file in files {
        destroy(&file?.path())?;
    }
    fs::remove_dir(copy)?;
    sync_folder(copy)
}

/// The version that the copy's header names, its log read with it; 0 where it cannot be read, which opening it tells better.
fn version(path: &Path) -> i64 {
    let read = || -> rusqlite::Result<i64> {
        let db = Connection::open(path)?;
        leave_as_it_is(&db);
        db.execute_batch("PRAGMA locking_mode = EXCLUSIVE")?;
        db.query_row("PRAGMA user_version", [], |row| row.get(0))
    };
    read().unwrap_or_default()
}

fn same(one: &Path, other: &Path) -> io::Result<bool> {
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    let (mut here, mut there) = (vec![0; PIECE], vec![0; PIECE]);
    loop {
        let (read, also) = (fill(&mut one, &mut here)?, fill(&mut other, &mut there)?);
        if here[..read] != there[..also] {
            return Ok(false);
        }
        if read < PIECE {
            return Ok(true);
        }
    }
}

fn fill(file: &mut File, into: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < into.len() {
        match file.read(&mut into[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_of_one_moment_has_all_that_belongs_to_it_and_is_gone_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox.db");
        for (part, text) in
            [("", "file"), ("-wal", "log"), (".lock", "mark"), (".stops", "list"), (".damaged-7", "old")]
        {
            fs::write(suffixed(&path, part), text).unwrap();
        }
        fs::create_dir(folder.path().join(".branchline-self-test")).unwrap();
        fs::write(folder.path().join(".branchline-self-test/left"), "by one that was cut short").unwrap();
        let copy = Duplicate::of(&path).unwrap();
        assert_eq!((copy.bytes, copy.version), (7, Some(0)));
        let read = |part: &str| fs::read_to_string(suffixed(&copy.path, part)).ok();
        assert_eq!(
            [read(""), read("-wal"), read(".lock"), read(".stops")],
            ["file", "log", "mark", "list"].map(|text| Some(text.to_owned()))
        );
        assert_eq!([read(".damaged-7"), read(".stops.key")], [None, None]);
        assert!(!copy.path.with_file_name("left").exists());
        assert!(same(&path, &copy.path).unwrap());
        fs::write(&path, "filf").unwrap();
        assert!(!same(&path, &copy.path).unwrap(), "a checkpoint came between");
        let why = Duplicate::of(&path).unwrap_err().to_string();
        assert!(why.contains("a self-test is at work"), "{why}");
        assert!(copy.path.exists(), "one at a time");
        let (before, inside) = (copy.path.clone(), File::open(&copy.path).unwrap());
        drop(copy);
        assert!(!before.exists());
        let mut left = Vec::new();
        (&inside).read_to_end(&mut left).unwrap();
        assert_eq!(left, [0; 4], "what was in it is overwritten");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 5);
        let none = Duplicate::of(&folder.path().join("absent.db")).unwrap();
        assert_eq!((none.bytes, none.version), (0, None));
    }
}
