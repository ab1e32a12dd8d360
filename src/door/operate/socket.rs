//! Opening the Unix socket: takes over what a dead daemon left, never what a living one answers on.
//!
//! Floor: doors.

use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tokio::net::{UnixListener, UnixSocket};

/// Owner and group may speak to the daemon: whoever may order is put into its group.
const MODE: u32 = 0o660;

/// Commands that may come at once before one is taken: as the standard library has it.
const BACKLOG: u32 = 128;

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

/// The socket in its place, at which nobody listens yet: who comes is refused, as where no daemon runs. An order that waited there
/// would be carried out long after somebody had given up on it.
#[derive(Debug)]
pub struct Bound {
    path: PathBuf,
    socket: UnixSocket,
}

/// Binds it with mode 0660. Call it inside a runtime.
pub fn bind(path: &Path) -> Result<Bound, SocketProblem> {
    let system = |source| SocketProblem::System { path: path.to_owned(), source };
    clear_stale(path)?;
    let socket = UnixSocket::new_stream().map_err(system)?;
    socket.bind(path).map_err(system)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(MODE)).map_err(system)?;
    Ok(Bound { path: path.to_owned(), socket })
}

impl Bound {
    /// From here on commands come. Call it inside a runtime.
    ///
    /// # Errors
    /// The system refuses it.
    pub fn listen(self) -> Result<UnixListener, SocketProblem> {
        let Bound { path, socket } = self;
        socket.listen(BACKLOG).map_err(|source| SocketProblem::System { path, source })
    }
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
