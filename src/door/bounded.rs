//! A listener that holds at most so many connections, none for long: the others wait in the kernel, not in our memory.
//!
//! Floor: doors.

use axum::serve::Listener;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

/// Each connection carries one exchange: the engine's patience (30 s), and as much again for a slow line.
const LIFETIME: Duration = Duration::from_secs(60);

/// Any listener, bounded.
pub struct Bounded<L> {
    inner: L,
    places: Arc<Semaphore>,
    lifetime: Duration,
}

impl<L> Bounded<L> {
    /// With so many places, for a minute each.
    pub fn new(inner: L, places: usize) -> Bounded<L> {
        Bounded { inner, places: Arc::new(Semaphore::new(places)), lifetime: LIFETIME }
    }

    /// The same, for exchanges that may take longer.
    pub fn lasting(inner: L, places: usize, lifetime: Duration) -> Bounded<L> {
        Bounded { lifetime, ..Bounded::new(inner, places) }
    }
}

impl<L: Listener> Listener for Bounded<L> {
    type Io = Placed<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let place = self.places.clone().acquire_owned().await.expect("the semaphore is never closed");
        let (io, address) = self.inner.accept().await;
        (Placed { io, ends: Box::pin(tokio::time::sleep(self.lifetime)), _place: place }, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.inner.local_addr()
    }
}

/// A connection with its place, which is free again when the connection ends.
pub struct Placed<T> {
    io: T,
    ends: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl<T> Placed<T> {
    fn in_time(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.ends.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Placed<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.in_time(cx)?;
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Placed<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.in_time(cx)?;
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.in_time(cx)?;
        Pin::new(&mut self.io).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, DuplexStream};

    /// Somebody connects whenever there is room, and says nothing.
    #[derive(Default)]
    struct Silent(Vec<DuplexStream>);

    impl Listener for Silent {
        type Io = DuplexStream;
        type Addr = ();
        async fn accept(&mut self) -> (DuplexStream, ()) {
            let (ours, theirs) = tokio::io::duplex(16);
            self.0.push(theirs);
            (ours, ())
        }
        fn local_addr(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn one_connection_more_waits_until_a_place_is_free() {
        let mut listener = Bounded::new(Silent::default(), 3);
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(listener.accept().await);
        }
        tokio::select! { biased; _ = listener.accept() => panic!("one too many"), () = async {} => () }
        held.pop();
        tokio::select! { biased; _ = listener.accept() => (), () = async {} => panic!("a place is free") }
    }

    #[tokio::test]
    async fn a_silent_connection_ends() {
        let mut listener = Bounded { lifetime: Duration::ZERO, ..Bounded::new(Silent::default(), 1) };
        let (mut connection, ()) = listener.accept().await;
        let ended = connection.read_u8().await.unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::TimedOut);
    }
}
