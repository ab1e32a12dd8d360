//! A listener that shakes hands: TLS before a connection counts as one, many at a time, none for long.
//!
//! Floor: doors.

use axum::serve::Listener;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Handshakes at a time: each costs some 20 KiB and one signature.
const HANDSHAKES: usize = 32;
/// How long a handshake may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// TCP, or TLS over it.
pub struct Guarded {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    shaking: JoinSet<Option<(TlsStream<TcpStream>, SocketAddr)>>,
}

impl Guarded {
    pub fn new(listener: TcpListener, tls: Option<Arc<rustls::ServerConfig>>) -> Guarded {
        Guarded { listener, tls: tls.map(TlsAcceptor::from), shaking: JoinSet::new() }
    }
}

impl Listener for Guarded {
    type Io = Stream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Stream, SocketAddr) {
        loop {
            tokio::select! {
                Some(shaken) = self.shaking.join_next() => {
                    if let Ok(Some((stream, from))) = shaken {
                        return (Stream::Tls(Box::new(stream)), from);
                    }
                }
                // The listener's own way past errors of single connections.
                (stream, from) = Listener::accept(&mut self.listener), if self.shaking.len() < HANDSHAKES => {
                    match &self.tls {
                        None => return (Stream::Plain(stream), from),
                        Some(tls) => {
                            let shake = tls.accept(stream);
                            self.shaking.spawn(async move {
                                let stream = tokio::time::timeout(PATIENCE, shake).await.ok()?.ok()?;
                                Some((stream, from))
                            });
                        }
                    }
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Either kind of connection.
pub enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

macro_rules! either {
    ($self:expr, $call:ident ( $($argument:expr),* )) => {
        match $self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).$call($($argument),*),
            Stream::Tls(stream) => Pin::new(stream).$call($($argument),*),
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        either!(self, poll_read(cx, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, poll_write(cx, bytes))
    }
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, poll_flush(cx))
    }
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, poll_shutdown(cx))
    }
}
