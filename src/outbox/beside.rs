//! Small files beside the store: keys and lists, read whole and replaced whole.
//!
//! Floor: rooms. Only their owner may read them (0600); what is in them is others' to say.

use super::OpenError;
use super::open::{beside, is_lost, remove, sync_folder};
use crate::message::{hex, unhex};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Bytes of a key.
pub(super) const KEY: usize = 32;

/// What a file holds.
pub(super) enum Bytes {
    Some(Vec<u8>),
    None,
    /// On a broken part of the disk.
    Lost,
}

/// A file that must not be made anew only because this user may not read it. `what` it is for stands in the error.
pub(super) fn read(path: &Path, what: &str) -> Result<Bytes, OpenError> {
    let mut bytes = Vec::new();
    match std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)) {
        Ok(_) => Ok(Bytes::Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Bytes::None),
        Err(error) if is_lost(&error) => Ok(Bytes::Lost),
        Err(error) => {
            let why = format!(
                "{error}: {what}; give it back to the user that runs branchline (as root: chown --reference={} {})",
                path.with_file_name("").display(),
                path.display()
            );
            Err(OpenError::File { path: path.to_owned(), why })
        }
    }
}

/// A new key, in its file.
pub(super) fn make_key(path: &Path) -> std::io::Result<[u8; KEY]> {
    let mut bytes = [0; KEY];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes)
        .map_err(|_| std::io::Error::other("the system gives no random numbers"))?;
    replace(path, format!("{}\n", hex(&bytes)).as_bytes())?;
    Ok(bytes)
}

/// The key in what was read.
pub(super) fn key_of(text: &[u8]) -> Option<[u8; KEY]> {
    unhex(std::str::from_utf8(text).ok()?.trim())?.try_into().ok()
}

/// A new file takes the place of the old one: after a crash there is the one or the other, whole.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let new = beside(path, "new");
    remove(&new)?;
    let mut file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(&new)?;
    // Whoever runs a command while the daemon is stopped, root perhaps: the file stays the daemon's.
    if let Some(owner) = owner(path) {
        // Only root may give a file away; for all others it is theirs already, or was not readable.
        let _ = std::os::unix::fs::fchown(&file, Some(owner.uid()), Some(owner.gid()));
    }
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    sync_folder(path)
}

/// Whose a file is, or where there is none yet, whose it belongs to: the list's for `outbox.db.stops.key`, the store's for that.
fn owner(path: &Path) -> Option<std::fs::Metadata> {
    let mut path = path.to_owned();
    loop {
        match std::fs::metadata(&path) {
            Ok(found) => return Some(found),
            Err(_) if path.extension().is_some() => path.set_extension(""),
            Err(_) => return None,
        };
    }
}
