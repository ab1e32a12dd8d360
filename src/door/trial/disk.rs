//! How long the store's disk takes to make a write safe.
//!
//! Floor: doors. Never touches the store: what is written is a file of its own beside it, which has no name any more before its
//! first byte, so that nothing is left behind whatever happens.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// One page of the store (`PRAGMA page_size`) and its frame's head: what the smallest commit writes.
const WRITE: [u8; 1024 + 24] = [0x5A; 1024 + 24];

/// The times of `count` writes with their sync, in `folder`, shortest first. Blocks as long as the disk does.
///
/// # Errors
/// The folder is not there, not writable, or full.
pub fn syncs(folder: &Path, count: usize) -> io::Result<Vec<Duration>> {
    let path = folder.join(format!(".branchline-check-{:016x}", fastrand::u64(..)));
    let mut file = File::options().create_new(true).write(true).open(&path)?;
    std::fs::remove_file(&path)?;
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let begun = Instant::now();
        file.rewind()?;
        file.write_all(&WRITE)?;
        file.sync_data()?;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let times = syncs(folder.path(), 3).unwrap();
        assert!(times.len() == 3 && times.is_sorted());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(syncs(&folder.path().join("absent"), 1).is_err());
    }
}
