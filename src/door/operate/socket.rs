//! Opening the Unix socket: takes over what a dead daemon left, never what a living one answers on.
//!
//! Floor: doors.

use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tokio::net::UnixListener;

/// Owner and group may speak to the daemon: whoever may order is put into its group.
const MODE: u32 = 0o660;

/// Why the socket cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum SocketProblem {
    /// Somebody answers there.
    #[error("another daemon answers on {0} (operate.socket): stop it, or give this one a socket of its own")]
    Answered(PathBuf),
    /// There is something else.
    #[error("{0} (operate.socket) exists and is not a socket: it is left alone; remove it or choose another path")]
    NotASocket(PathBuf),
    /// The system refused.
    #[error("cannot open the socket {path} (operate.socket): {source}; its directory must exist and be writable")]
    System {
        /// Where.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// Binds it with mode 0660. Call it inside a runtime.
pub fn bind(path: &Path) -> Result<UnixListener, SocketProblem> {
    let system = |source| SocketProblem::System { path: path.to_owned(), source };
    clear_stale(path)?;
    let listener = UnixListener::bind(path).map_err(system)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(MODE)).map_err(system)?;
    Ok(listener)
}

fn clear_stale(path: &Path) -> Result<(), SocketProblem> {
    let system = |source| SocketProblem::System { path: path.to_owned(), source };
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(system(error)),
    };
    if !found.file_type().is_socket() {
        return Err(SocketProblem::NotASocket(path.to_owned()));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        // Only a refused connection proves that nobody listens; a full backlog (`WouldBlock`) proves the contrary.
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => std::fs::remove_file(path).map_err(system),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(system(error)),
        _ => Err(SocketProblem::Answered(path.to_owned())),
    }
}
