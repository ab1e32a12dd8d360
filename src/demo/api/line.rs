//! One connection as bytes, with the two things that no HTTP library does for us: to break off with a TCP reset, and to
//! send a GOAWAY whose last stream is the one we choose.
//!
//! Floor: demo.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// What the one who serves a connection may do to its bytes.
#[derive(Default)]
pub(super) struct Switch {
    cut: AtomicBool,
    spared: AtomicBool,
    /// Bytes that go out at the next boundary between two frames.
    frame: Mutex<Vec<u8>>,
}

impl Switch {
    /// When the connection is dropped, it ends with a reset instead of a farewell.
    pub(super) fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
    }

    /// From now on the connection outlives a cut of all.
    pub(super) fn spare(&self) {
        self.spared.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_spared(&self) -> bool {
        self.spared.load(Ordering::SeqCst)
    }

    /// Sends GOAWAY (RFC 9113, 6.8) saying that nothing after stream `last` was or will be processed.
    ///
    /// The h2 crate always names the last stream that it has *received*, which is the one that we want to deny.
    pub(super) fn go_away(&self, last: u32) {
        let mut frame = vec![0, 0, 8, 7, 0, 0, 0, 0, 0];
        frame.extend(last.to_be_bytes());
        frame.extend([0; 4]); // NO_ERROR
        super::lock(&self.frame).extend(frame);
    }
}

pub(super) enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

trait Both: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Both for T {}

/// A connection that obeys a [`Switch`].
pub(super) struct Line {
    socket: Socket,
    switch: Arc<Switch>,
}

impl Line {
    pub(super) fn new(socket: Socket) -> (Line, Arc<Switch>) {
        let switch = Arc::<Switch>::default();
        (Line { socket, switch: switch.clone() }, switch)
    }

    fn both(&mut self) -> Pin<&mut dyn Both> {
        match &mut self.socket {
            Socket::Plain(tcp) => Pin::new(tcp),
            Socket::Tls(tls) => Pin::new(tls),
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.switch.cut.load(Ordering::SeqCst) {
            let tcp = match &self.socket {
                Socket::Plain(tcp) => tcp,
                Socket::Tls(tls) => tls.get_ref().0,
            };
            // Fails only where the connection is gone already, which is what we want.
            let _ = tcp.set_zero_linger();
        }
    }
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.both().poll_read(cx, into)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.both().poll_write(cx, bytes)
    }

    /// h2 flushes when it has written whole frames, so this is a boundary between two of them.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let frame = std::mem::take(&mut *super::lock(&self.switch.frame));
            if frame.is_empty() {
                return self.both().poll_flush(cx);
            }
            let written = self.both().poll_write(cx, &frame);
            let gone = match &written {
                Poll::Ready(Ok(gone)) => *gone,
                _ => 0,
            };
            super::lock(&self.switch.frame).splice(0..0, frame[gone..].iter().copied());
            ready!(written)?;
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.both().poll_shutdown(cx)
    }
}
