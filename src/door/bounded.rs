//! A listener that holds at most so many connections, none for long: the others wait in the kernel, not in our memory.
//!
//! Floor: doors.

use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
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

/// Answers what comes through `listener`, until the future is dropped. By HTTP/1 only: `axum::serve` also takes a connection that begins
/// as HTTP/2, on which one place would carry 200 exchanges at a time.
pub async fn serve<L: Listener>(listener: Bounded<L>, router: Router) -> ! {
    serve_each(listener, |_| router.clone()).await
}

/// The same, through a listener that bounds itself, each connection by the routes that it gets.
pub async fn serve_each<L: Listener>(mut listener: L, routes: impl Fn(&L::Io) -> Router) -> ! {
    loop {
        let (io, _) = listener.accept().await;
        let service = TowerToHyperService::new(routes(&io));
        // Why a connection ended early is the other side's matter.
        tokio::spawn(async move { drop(http1::Builder::new().serve_connection(TokioIo::new(io), service).await) });
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

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

    /// One connection comes, and no other.
    struct One(Option<DuplexStream>);

    impl Listener for One {
        type Io = DuplexStream;
        type Addr = ();
        async fn accept(&mut self) -> (DuplexStream, ()) {
            match self.0.take() {
                Some(stream) => (stream, ()),
                None => std::future::pending().await,
            }
        }
        fn local_addr(&self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What the first bytes of the answer to `request` are.
    async fn answer(request: &[u8]) -> String {
        let (ours, mut theirs) = tokio::io::duplex(4096);
        let router = Router::new().route("/", axum::routing::get(|| async { "here" }));
        let serving = tokio::spawn(serve(Bounded::new(One(Some(ours)), 1), router));
        theirs.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        theirs.read_to_end(&mut answer).await.unwrap();
        serving.abort();
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[tokio::test]
    async fn http_1_is_answered() {
        let answer = answer(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nhere"), "{answer}");
    }

    #[tokio::test]
    async fn a_connection_that_begins_as_http_2_is_not_spoken_to_in_it() {
        let answer = answer(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer:?}");
    }

    #[tokio::test]
    async fn a_silent_connection_ends() {
        let mut listener = Bounded { lifetime: Duration::ZERO, ..Bounded::new(Silent::default(), 1) };
        let (mut connection, ()) = listener.accept().await;
        let ended = connection.read_u8().await.unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::TimedOut);
    }
}
