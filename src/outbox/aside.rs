//! Damaged stores that were set aside: their names, how long they stay, and where a person's data may still lie.
//!
//! Floor: rooms. A file that is set aside is never opened for writing. `outbox.db.damaged-7300000` was set aside at box time
//! 7,300,000; `replaced-` in place of `damaged-` is a file of another program that lay where the store should be: it is nobody's
//! to delete. `older-` is the store as it was before a newer program brought it forward: it is kept and forgotten as a damaged one is.

use super::open::{folder, remove, suffixed, sync_folder};
use crate::time::BoxTime;
use std::path::{Path, PathBuf};

/// Finished, and about to take the store's place: `salvaged-<kind>-<box time>`.
const SALVAGED: &str = ".salvaged-";
const DAMAGED: &str = "damaged";
const REPLACED: &str = "replaced";
/// A store as it was before a newer program brought it forward.
const OLDER: &str = "older";

/// The name of what is salvaged from a store, which says how the old one is to be named.
pub(super) fn salvaged(path: &Path, since: BoxTime, foreign: bool) -> PathBuf {
    let taken = |at: i64| [DAMAGED, REPLACED].iter().any(|kind| named(path, kind, at).exists());
    let at = (since.0..).find(|at| !taken(*at)).unwrap_or(since.0);
    suffixed(path, &format!("{SALVAGED}{}-{at}", if foreign { REPLACED } else { DAMAGED }))
}

/// Sets the store aside and puts what was salvaged into its place; at any point it can be stopped and begun again.
pub(super) fn swap(path: &Path) -> std::io::Result<()> {
    for (new, kind, at) in siblings(path, SALVAGED)? {
        let old = named(path, &kind, at);
        #[cfg(test)]
        super::power::step()?;
        for part in ["", "-wal"] {
            let from = suffixed(path, part);
            if from.exists() && !(part.is_empty() && old.exists()) {
                std::fs::rename(from, suffixed(&old, part))?;
                #[cfg(test)]
                super::power::step()?;
            }
        }
        for leftover in ["-shm", "-journal"] {
            remove(&suffixed(path, leftover))?;
        }
        sync_folder(path)?;
        #[cfg(test)]
        super::power::step()?;
        std::fs::rename(new, path)?;
        #[cfg(test)]
        super::power::step()?;
        sync_folder(path)?;
    }
    Ok(())
}

/// The name of what is kept of a store that is brought forward at `at`.
pub(super) fn older(path: &Path, at: BoxTime) -> PathBuf {
    named(path, OLDER, at.0)
}

/// Whether something that was salvaged waits to take the store's place.
pub(super) fn is_swapping(path: &Path) -> std::io::Result<bool> {
    Ok(!siblings(path, SALVAGED)?.is_empty())
}

/// Every store that was set aside beside `path`, oldest first, with the box time of that.
pub fn set_aside(path: &Path) -> std::io::Result<Vec<(PathBuf, BoxTime)>> {
    let mut found = Vec::new();
    for kind in [DAMAGED, OLDER] {
        found.extend(siblings(path, &format!(".{kind}-"))?.into_iter().map(|(file, _, at)| (file, BoxTime(at))));
    }
    found.sort_by_key(|(_, at)| *at);
    Ok(found)
}

/// Deletes what was set aside before `before`, and of the rest all but the oldest, which holds the rows that the later ones lack,
/// and the newest; how many. More would fill the disk if the disk itself is what fails: each is as large as the store.
pub(super) fn forget(path: &Path, before: BoxTime) -> std::io::Result<usize> {
    let found = set_aside(path)?;
    let late = found.partition_point(|(_, at)| *at < before);
    let newest = found.len().saturating_sub(1);
    let kept = |place: usize| place >= late && (place == late || place == newest);
    let gone: Vec<_> = found.into_iter().enumerate().filter(|(place, _)| !kept(*place)).collect();
    for (_, (file, _)) in &gone {
        remove(&suffixed(file, "-wal"))?;
        remove(file)?;
    }
    Ok(gone.len())
}

fn named(path: &Path, kind: &str, at: i64) -> PathBuf {
    suffixed(path, &format!(".{kind}-{at}"))
}

/// Files beside the store whose names go on with `prefix`: with the kind and the number that follow.
fn siblings(path: &Path, prefix: &str) -> std::io::Result<Vec<(PathBuf, String, i64)>> {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for file in std::fs::read_dir(folder(path))? {
        let file = file?.file_name();
        let Some(rest) = file.to_str().and_then(|file| file.strip_prefix(name)?.strip_prefix(prefix)) else { continue };
        let (kind, at) = rest.rsplit_once('-').unwrap_or((DAMAGED, rest));
        if let Ok(at) = at.parse() {
            let place = path.with_file_name(&file);
            found.push((place, kind.to_owned(), at));
        }
    }
    Ok(found)
}
