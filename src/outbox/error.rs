//! Why the store could not do something, or could not be opened: for a person.
//!
//! Floor: rooms.

use rusqlite::ErrorCode;
use std::path::PathBuf;

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
    /// Anything else, and above all what breaks a rule of the schema: our bug.
    #[error("the store refused a statement: {}; this is a bug of Branchline, please report it", told(.0))]
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
            // What was read, not what was to be written: trying again does not bring it back.
            Some(ErrorCode::SystemIoFailure) if is_lost(&error) => StoreError::Damaged(error),
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::ReadOnly) => StoreError::Disk(error),
            // Too big is a row that is read and longer than any that is written (`open::ROW`): its length is not what it was.
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::TooBig) => {
                StoreError::Damaged(error)
            }
            Some(_) => StoreError::Statement(error),
            None if is_unreadable(&error) => StoreError::Damaged(error),
            None => StoreError::Statement(error),
        }
    }
}

/// A part of the file that the disk does not give any more.
fn is_lost(error: &rusqlite::Error) -> bool {
    use rusqlite::ffi;
    let lost = [ffi::SQLITE_IOERR_READ, ffi::SQLITE_IOERR_SHORT_READ, ffi::SQLITE_IOERR_CORRUPTFS];
    error.sqlite_error().is_some_and(|code| lost.contains(&code.extended_code))
}

/// A value of another type than the column's, or a row that is always there and is not.
fn is_unreadable(error: &rusqlite::Error) -> bool {
    use rusqlite::Error;
    matches!(
        error,
        Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::InvalidColumnType(..)
            | Error::Utf8Error(..)
            | Error::QueryReturnedNoRows
    )
}

impl StoreError {
    /// The content contradicts itself: what SQLite cannot see.
    pub(super) fn contradiction(what: &str) -> StoreError {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
        StoreError::Damaged(rusqlite::Error::SqliteFailure(code, Some(what.to_owned())))
    }

    /// A file beside the store could not be written.
    pub(super) fn of_file(error: &std::io::Error) -> StoreError {
        let full = matches!(
            error.kind(),
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded | std::io::ErrorKind::FileTooLarge
        );
        let code = if full { rusqlite::ffi::SQLITE_FULL } else { rusqlite::ffi::SQLITE_IOERR_WRITE };
        let said = format!("the list of stops cannot be written: {error}");
        rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), Some(said)).into()
    }

    /// A statement that the store should have taken: our bug, unless the whole check finds damage behind it (`check::judge`).
    pub fn is_bug(&self) -> bool {
        matches!(self, StoreError::Statement(_))
    }

    /// The file is not what it was: it can be set aside and read row by row, and nothing else helps.
    pub fn is_damage(&self) -> bool {
        matches!(self, StoreError::Damaged(_))
    }
}

impl OpenError {
    /// As [`StoreError::is_damage`].
    pub fn is_damage(&self) -> bool {
        matches!(self, OpenError::Store { error, .. } if error.is_damage())
    }

    /// As [`StoreError::is_bug`].
    pub fn is_bug(&self) -> bool {
        matches!(self, OpenError::Store { error, .. } if error.is_bug())
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
    /// It is encrypted, and there is no key, or another one. Nothing in it was changed.
    #[error("{path}: {why}")]
    Key {
        /// The file.
        path: PathBuf,
        /// What to do.
        why: String,
    },
    /// The folder or file cannot be used.
    #[error("{path} cannot be opened: {why}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// There is none, and who only looks makes none.
    #[error("there is no store yet at {0}: the daemon makes it when it starts first")]
    Absent(PathBuf),
    /// It is damaged, and who only looks leaves it so.
    #[error(
        "the store {path} is damaged, and left as it is: {what}. branchline outbox check says more, branchline outbox export gives \
         what can be read; the daemon keeps that when it starts, and sets the file aside"
    )]
    Left {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
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

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    #[test]
    fn what_breaks_a_rule_of_the_schema_is_our_bug_and_no_damage() {
        for code in [
            ffi::SQLITE_CONSTRAINT_PRIMARYKEY,
            ffi::SQLITE_CONSTRAINT_UNIQUE,
            ffi::SQLITE_CONSTRAINT_NOTNULL,
            ffi::SQLITE_CONSTRAINT_ROWID,
            ffi::SQLITE_MISMATCH,
            ffi::SQLITE_ERROR,
            ffi::SQLITE_MISUSE,
        ] {
            let error: StoreError = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None).into();
            assert!(error.is_bug() && !error.is_damage(), "{code}");
            assert!(error.to_string().contains("bug of Branchline"), "{error}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_damage_and_what_cannot_be_written_is_the_disk() {
        for (code, damage) in [
            (ffi::SQLITE_IOERR_READ, true),
            (ffi::SQLITE_IOERR_SHORT_READ, true),
            (ffi::SQLITE_IOERR_CORRUPTFS, true),
            (ffi::SQLITE_CORRUPT, true),
            (ffi::SQLITE_NOTADB, true),
            (ffi::SQLITE_IOERR_WRITE, false),
            (ffi::SQLITE_IOERR_FSYNC, false),
            (ffi::SQLITE_IOERR, false),
            (ffi::SQLITE_CANTOPEN, false),
        ] {
            let error: StoreError = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None).into();
            assert_eq!((error.is_damage(), matches!(error, StoreError::Disk(_))), (damage, !damage), "{code}");
        }
    }
}
