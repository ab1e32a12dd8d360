//! Who answers a command: the daemon over its socket, or the store when no daemon runs.
//!
//! Floor: roof.

use super::failure::{Exit, Failure};
use crate::door::operate::{BODY, PATH};
use crate::operate::{Reply, Request};
use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// One question, one answer.
pub trait Backend {
    /// Asks. A refusal is a `Reply`; a `Failure` means that nobody answered.
    fn ask(&mut self, request: Request) -> Result<Reply, Failure>;
}

/// Beyond the daemon's own patience, so that its words arrive.
const LONGER: Duration = Duration::from_secs(5);

/// The daemon behind `socket`, or what `offline` opens if nobody listens there.
pub fn backend(
    socket: &Path,
    offline: impl FnOnce() -> Result<Box<dyn Backend>, Failure>,
) -> Result<Box<dyn Backend>, Failure> {
    match UnixStream::connect(socket) {
        Ok(_) => Ok(Box::new(Daemon::new(socket)?)),
        Err(error) if is_nobody(&error) => offline(),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(Failure::new(
            Exit::Unavailable,
            format!(
                "you may not use the daemon's socket {}: ask to be put into its group, or use sudo",
                socket.display()
            ),
        )),
        Err(error) => Err(unreachable(socket, &error)),
    }
}

/// Whether nobody listens there.
pub fn is_unattended(socket: &Path) -> bool {
    UnixStream::connect(socket).is_err_and(|error| is_nobody(&error))
}

fn is_nobody(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused)
}

/// The daemon, over its socket.
pub struct Daemon {
    socket: PathBuf,
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
}

impl Daemon {
    /// Opens nothing yet: each question has a connection of its own.
    pub fn new(socket: &Path) -> Result<Daemon, Failure> {
        let bug = |error: &dyn std::fmt::Display| Failure::new(Exit::Bug, format!("cannot set up a client: {error}"));
        // The client wants to know how it would speak TLS; over the socket it never does.
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| bug(&error))?
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .unix_socket(socket)
            .tls_backend_preconfigured(tls)
            .retry(reqwest::retry::never())
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| bug(&error))?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| bug(&error))?;
        Ok(Daemon { socket: socket.to_owned(), runtime, client })
    }
}

impl Backend for Daemon {
    fn ask(&mut self, request: Request) -> Result<Reply, Failure> {
        let body = serde_json::to_vec(&request)
            .map_err(|error| Failure::new(Exit::Bug, format!("cannot write the request: {error}")))?;
        if body.len() > BODY {
            return Err(Failure::new(Exit::Usage, "this is more than the daemon takes at once (1 MiB)"));
        }
        let asked = self
            .client
            .post(format!("http://localhost{PATH}"))
            .timeout(request.patience() + LONGER)
            .header("content-type", "application/json")
            .body(body);
        let (status, answer) = self
            .runtime
            .block_on(async {
                let response = asked.send().await?;
                Ok((response.status(), response.bytes().await?))
            })
            .map_err(|error: reqwest::Error| unreachable(&self.socket, &error))?;
        if !status.is_success() {
            let text = String::from_utf8_lossy(&answer);
            return Err(Failure::new(Exit::Unavailable, format!("the daemon says: {}", text.trim())));
        }
        serde_json::from_slice(&answer)
            .map_err(|error| Failure::new(Exit::Bug, format!("the daemon's answer cannot be read: {error}")))
    }
}

fn unreachable(socket: &Path, error: &dyn std::error::Error) -> Failure {
    let mut text = format!("the daemon does not answer on {}: {error}", socket.display());
    let mut cause = error.source();
    while let Some(deeper) = cause {
        text.push_str(&format!(": {deeper}"));
        cause = deeper.source();
    }
    text.push_str("; see its log, and systemctl status branchline");
    Failure::new(Exit::Unavailable, text)
}
