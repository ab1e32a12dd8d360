//! A listener that shakes hands: TLS before a connection counts as one, many at a time, none for long; and at most so many
//! connections, of which the one that has brought nothing for longest is closed for a new one.
//!
//! Floor: doors.

use crate::door::places::{Holder, Place, Places};
use axum::serve::Listener;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Handshakes at a time: each costs some 20 KiB and one signature.
const HANDSHAKES: usize = 64;
/// How long a handshake may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection lasts: an exchange takes the engine's patience (30 s), and as much again on a slow line.
const LIFETIME: Duration = Duration::from_secs(60);

/// TCP, or TLS over it.
pub struct Guarded {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    shaking: JoinSet<Option<(TlsStream<TcpStream>, SocketAddr)>>,
    handshakes: Places,
    connections: Places,
}

impl Guarded {
    pub fn new(listener: TcpListener, tls: Option<Arc<rustls::ServerConfig>>, connections: usize) -> Guarded {
        Guarded {
            listener,
            tls: tls.map(TlsAcceptor::from),
            shaking: JoinSet::new(),
            handshakes: Places::new(HANDSHAKES),
            connections: Places::new(connections),
        }
    }

    async fn placed(&self, stream: Kind) -> Stream {
        let place = self.connections.take().await;
        Stream { stream, place, ends: Box::pin(tokio::time::sleep(LIFETIME)) }
    }

    async fn shake(&mut self, tls: TlsAcceptor, stream: TcpStream, from: SocketAddr) {
        let mut place = self.handshakes.take().await;
        self.shaking.spawn(async move {
            tokio::select! {
                shaken = tokio::time::timeout(PATIENCE, tls.accept(stream)) => Some((shaken.ok()?.ok()?, from)),
                () = place.gone() => None,
            }
        });
    }
}

impl Listener for Guarded {
    type Io = Stream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Stream, SocketAddr) {
        loop {
            // Who came just before is looked at first: a crowd that waits in the kernel must not push out who was not even read.
            tokio::task::yield_now().await;
            tokio::select! {
                Some(shaken) = self.shaking.join_next() => {
                    if let Ok(Some((stream, from))) = shaken {
                        return (self.placed(Kind::Tls(Box::new(stream))).await, from);
                    }
                }
                // The listener's own way past errors of single connections.
                (stream, from) = Listener::accept(&mut self.listener) => match self.tls.clone() {
                    None => return (self.placed(Kind::Plain(stream)).await, from),
                    Some(tls) => self.shake(tls, stream, from).await,
                },
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection with its place, which is free again when it ends.
pub struct Stream {
    stream: Kind,
    place: Place,
    ends: Pin<Box<Sleep>>,
}

enum Kind {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// For whoever learns what is brought.
    pub fn holder(&self) -> Holder {
        self.place.holder()
    }

    /// An error when its time is over, or its place is another's.
    fn may_go_on(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.place.poll_gone(cx).is_ready() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        match self.ends.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

macro_rules! either {
    ($self:expr, $call:ident ( $($argument:expr),* )) => {
        match &mut $self.get_mut().stream {
            Kind::Plain(stream) => Pin::new(stream).$call($($argument),*),
            Kind::Tls(stream) => Pin::new(stream).$call($($argument),*),
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.may_go_on(cx)?;
        either!(self, poll_read(cx, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.may_go_on(cx)?;
        either!(self, poll_write(cx, bytes))
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.may_go_on(cx)?;
        either!(self, poll_flush(cx))
    }
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, poll_shutdown(cx))
    }
}
