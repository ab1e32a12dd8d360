//! After an erasure: nothing of what was deleted stays in the store's files.
//!
//! Floor: rooms. Deleted rows stay readable in free pages, in the write-ahead log, in stores that were set aside and in the copy
//! that a self-test makes. So the store is copied without its free pages (VACUUM, beside the store and not in memory or a folder
//! for temporary files), the copy takes its place, and the old file and its log are overwritten and deleted, which a truncating
//! checkpoint would leave to chance. A small file says that this is still to be done: whatever stops it, the next start ends it.
//!
//! It never reaches what flash memory keeps of overwritten pages, nor copies elsewhere.

use super::beside::replace;
use super::open::{beside, folder, free_space, remove, suffixed, sync_folder};
use super::{OpenError, Outbox, StoreError, aside, duplicate};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Beyond the pages in use: the copy's own log and headers.
const MARGIN: u64 = 1 << 20;
/// What else lies beside the store and is ours: none of it holds a name, a number or an id.
const OURS: &[&str] = &[
    "-wal",
    "-shm",
    ".lock",
    ".stops",
    ".stops.key",
    ".stops.new",
    ".stops.key.new",
    ".audit.key",
    ".audit.key.new",
    ".erasing",
];

/// The file that says so.
pub(super) fn marker(path: &Path) -> PathBuf {
    beside(path, "erasing")
}

impl Outbox {
    /// Whether the disk has room for the copy; otherwise how many bytes it needs, and how many are free.
    pub fn room_to_scrub(&self) -> Result<Result<(), (u64, u64)>, StoreError> {
        let needs = self.used_bytes()? + MARGIN;
        let free = free_space(folder(&self.settings.path)).map_err(|error| StoreError::of_file(&error))?;
        #[cfg(test)]
        let free = super::power::free().unwrap_or(free);
        Ok(if free < needs { Err((needs, free)) } else { Ok(()) })
    }

    /// From the commit that follows on old rows must go: said on the disk before it.
    pub fn must_scrub(&mut self) -> Result<(), StoreError> {
        replace(&marker(&self.settings.path), b"").map_err(|error| StoreError::of_file(&error))?;
        self.scrub_due = true;
        Ok(())
    }

    /// Whether old rows are still to be removed.
    pub fn scrub_due(&self) -> bool {
        self.scrub_due
    }

    /// Removes them, outside of a transaction: the files beside the store that are gone now, by their names.
    pub fn scrub(&mut self) -> Result<Vec<String>, OpenError> {
        let path = self.settings.path.clone();
        let io = |why: std::io::Error| OpenError::File { path: path.clone(), why: why.to_string() };
        let mut removed = Vec::new();
        #[cfg(test)]
        super::power::step().map_err(io)?;
        // Held to the end: a copy that is begun meanwhile would be of the old file.
        let _alone = duplicate::none_left(&path).map_err(io)?;
        for (file, _) in aside::set_aside(&path).map_err(io)? {
            destroy(&suffixed(&file, "-wal")).and_then(|()| destroy(&file)).map_err(io)?;
            removed.push(name(&file));
        }
        for half_made in ["copy", "salvaging"] {
            let file = beside(&path, half_made);
            destroy(&file).and_then(|()| destroy(&suffixed(&file, "-wal"))).map_err(io)?;
        }
        destroy(&suffixed(&path, "-journal")).map_err(io)?;
        #[cfg(test)]
        super::power::step().map_err(io)?;
        self.rewrite(true)?;
        #[cfg(test)]
        super::power::step().map_err(io)?;
        remove(&marker(&path)).and_then(|()| sync_folder(&path)).map_err(io)?;
        self.scrub_due = false;
        Ok(removed)
    }

    /// Files that begin with the store's name and are not ours: a copy that somebody made, or what another program left there.
    pub fn foreign_files(&self) -> Vec<String> {
        let path = &self.settings.path;
        let (Some(own), Ok(files)) =
            (path.file_name().map(|own| own.to_string_lossy().into_owned()), std::fs::read_dir(folder(path)))
        else {
            return Vec::new();
        };
        let names = files.filter_map(|file| Some(file.ok()?.file_name().to_string_lossy().into_owned()));
        let mut foreign: Vec<String> = names
            .filter(|name| name.strip_prefix(&own).is_some_and(|rest| !rest.is_empty() && !OURS.contains(&rest)))
            .collect();
        foreign.sort();
        foreign
    }
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Overwritten, synced and deleted; nothing where there is nothing.
pub(super) fn destroy(path: &Path) -> std::io::Result<()> {
    overwrite(path)?;
    remove(path)
}

/// Zeros instead of all that a file holds, in its own blocks, synced.
pub(super) fn overwrite(path: &Path) -> std::io::Result<()> {
    let mut file = match std::fs::File::options().write(true).open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    let zeros = [0; 64 * 1024];
    let mut left = file.metadata()?.len();
    while left > 0 {
        let some = left.min(zeros.len() as u64);
        file.write_all(&zeros[..some as usize])?;
        left -= some;
    }
    file.sync_all()
}
