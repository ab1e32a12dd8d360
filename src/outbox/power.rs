//! Where a test takes the power away, between two steps of a salvage or of the work after an erasure; or the room on the disk.
//! And what files a cut finds.
//!
//! Floor: rooms, in tests alone.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;

/// The files of a folder, by name.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// As they are at this instant.
pub(crate) fn files(folder: &Path) -> Files {
    let files = std::fs::read_dir(folder).unwrap().map(Result::unwrap).filter(|file| file.path().is_file());
    files.map(|file| (file.file_name().into_string().unwrap(), std::fs::read(file.path()).unwrap())).collect()
}

/// Makes it so that the folder holds these files and no others.
pub(crate) fn put_back(folder: &Path, files: &Files) {
    for name in self::files(folder).into_keys().filter(|name| !files.contains_key(name)) {
        std::fs::remove_file(folder.join(name)).unwrap();
    }
    files.iter().for_each(|(name, bytes)| std::fs::write(folder.join(name), bytes).unwrap());
}

thread_local! {
    static LEFT: Cell<Option<u32>> = const { Cell::new(None) };
    static PAGES: Cell<u32> = const { Cell::new(u32::MAX / 4) };
    static FREE: Cell<Option<u64>> = const { Cell::new(None) };
}

/// From now on the power goes after so many steps of a salvage of this thread, once; or never.
pub(crate) fn goes_after(steps: Option<u32>) {
    LEFT.set(steps);
}

/// A step was done.
pub(super) fn step() -> std::io::Result<()> {
    match LEFT.take() {
        Some(0) => Err(std::io::Error::other("the power went")),
        left => {
            LEFT.set(left.map(|left| left - 1));
            Ok(())
        }
    }
}

/// From now on a salvage of this thread has room for so many pages; or for all.
pub(crate) fn has_room_for(pages: Option<u32>) {
    PAGES.set(pages.unwrap_or(u32::MAX / 4));
}

pub(super) fn pages() -> u32 {
    PAGES.get()
}

/// From now on so many bytes seem to be free, to an erasure of this thread.
pub(crate) fn has_free(bytes: Option<u64>) {
    FREE.set(bytes);
}

pub(super) fn free() -> Option<u64> {
    FREE.get()
}
