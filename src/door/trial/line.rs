//! From a name to a verified connection, step by step: what a client library does in one go and tells with one error.
//!
//! Floor: doors.

use crate::door::tls::{self, ServerAsked};
use crate::time::Wall;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// For one address of several: one that swallows packets must not use up the time of the others.
const ADDRESS: Duration = Duration::from_secs(3);
/// Addresses of one name that are tried.
const ADDRESSES: usize = 4;
/// Bytes of a proxy's answer to CONNECT, at most.
const HEAD: usize = 8 * 1024;

/// Something that bytes go over: TCP, a tunnel, TLS inside of it.
pub trait Line: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Line for T {}

/// The addresses of a host.
///
/// # Errors
/// The name is not known, or nobody could be asked.
pub async fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let mut found: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
    found.dedup();
    if found.is_empty() { Err(io::Error::other("the name has no address")) } else { Ok(found) }
}

/// Connects to the first address that answers: the connection, its address, and those before it that did not answer, with why.
///
/// # Errors
/// None answers: all of them, with why.
pub async fn connect(
    addresses: &[SocketAddr],
) -> Result<(TcpStream, SocketAddr, Vec<(SocketAddr, io::Error)>), Vec<(SocketAddr, io::Error)>> {
    let mut silent = Vec::new();
    for address in addresses.iter().take(ADDRESSES) {
        match tokio::time::timeout(ADDRESS, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok((stream, *address, silent)),
            Ok(Err(why)) => silent.push((*address, why)),
            Err(_) => silent.push((*address, io::ErrorKind::TimedOut.into())),
        }
    }
    Err(silent)
}

/// Asks a proxy for a way to `host` (HTTP CONNECT, RFC 9110, 9.3.6), as the HTTP client does.
///
/// # Errors
/// The proxy's first line where it says no; or why it could not be asked.
pub async fn tunnel(line: &mut dyn Line, host: &str, port: u16) -> io::Result<()> {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let ask = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n");
    line.write_all(ask.as_bytes()).await?;
    line.flush().await?;
    let mut head = Vec::new();
    // Byte by byte: what comes after the head belongs to TLS.
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == HEAD {
            return Err(io::Error::other("its answer has no end"));
        }
        head.push(line.read_u8().await?);
    }
    let text = String::from_utf8_lossy(&head);
    let first = text.lines().next().unwrap_or_default();
    match first.split(' ').nth(1) {
        Some("200") if first.starts_with("HTTP/1.") => Ok(()),
        Some(status) if first.starts_with("HTTP/1.") => Err(io::Error::other(format!("it answers {status}"))),
        _ => Err(io::Error::other("what answers there is no HTTP proxy")),
    }
}

/// A TLS handshake that succeeded: everything about the certificate was right.
pub struct Handshake {
    /// The connection.
    pub line: Box<dyn Line>,
    /// `TLS 1.3`
    pub version: &'static str,
    /// When the first certificate of the chain expires; `None` where that cannot be said.
    pub valid_until: Option<Wall>,
}

/// Shakes hands with `server.host` over a line that was opened before.
///
/// # Errors
/// As the library says it: a `rustls::Error` inside where TLS is to blame.
pub async fn handshake(line: Box<dyn Line>, config: ClientConfig, server: &ServerAsked<'_>) -> io::Result<Handshake> {
    let name = ServerName::try_from(server.host.to_owned()).map_err(io::Error::other)?;
    let tls = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, line).await?;
    let session = tls.get_ref().1;
    let version = match session.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2",
        _ => "TLS 1.3",
    };
    let valid_until = tls::valid_until(server, session.peer_certificates().unwrap_or_default());
    Ok(Handshake { line: Box::new(tls), version, valid_until })
}
