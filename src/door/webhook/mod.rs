//! The platform's door: its webhooks come in, are verified over their raw bytes, and are answered when they are stored.
//!
//! Floor: doors. Knows no rules: it hands bodies to whoever keeps them ([`Hear`]). Nothing without a good signature is
//! handed on, and nothing about it is told to whoever sent it.
//!
//! A flood of bodies that nobody signed costs little: without the shape of a signature a request is answered before its
//! body is read, bodies are read in two lanes (small ones, and one large one at a time), and connections are bounded. Nor does a
//! slow one keep others out: whoever has had a place longest, and brought nothing for it, gives way to who comes.

mod guarded;

use super::bounded;
use super::places::{Holder, Places};
use super::secret::Secret;
use super::tls::{self, TlsProblem};
use crate::limits;
use crate::whatsapp;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::get;
use axum::{Extension, Router};
use guarded::Guarded;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;

/// Connections at a time. The platform asks for room for 3 × the outgoing plus 1 × the incoming rate (facts 4.1): at 20
/// messages a second about 80 bodies a second, each of which is answered within a commit.
const CONNECTIONS: usize = 128;
/// Bytes up to which a body is small: a status has about 700, so one with fifty still is.
const SMALL: usize = 64 * 1024;
/// Small bodies that are read at a time: with [`SMALL`], 2 MiB.
const SMALL_LANES: usize = limits::NOTICES - 1;
/// How long a body may take to come: a small one does over 60 kbit/s. Who waits for a place has it sooner.
const READING: Duration = Duration::from_secs(10);

/// `[webhook]`
#[derive(Clone, Debug)]
pub struct Settings {
    /// `webhook.listen`
    pub listen: SocketAddr,
    /// `webhook.cert_file` and `webhook.key_file`; plain HTTP without.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The content of `webhook.app_secret_file`.
    pub app_secret: Secret,
    /// The content of `webhook.verify_token_file`.
    pub verify_token: Secret,
}

/// Whoever keeps what the platform reports: the engine; a fake in tests; at head office the broker.
pub trait Hear: Clone + Send + Sync + 'static {
    /// Resolves when the body, which the platform signed, is kept; `Err` if it is not, and the platform shall send it again.
    fn hear(&self, body: Bytes) -> impl Future<Output = Result<(), NotKept>> + Send;
}

/// The notices are not stored: the platform sends them again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotKept;

/// Why the door does not open.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The address.
    #[error("cannot listen on {on} (webhook.listen): {why}; choose another port, or see who has it")]
    Listen {
        /// As configured.
        on: SocketAddr,
        /// What the system said.
        why: io::Error,
    },
    /// Certificate or key.
    #[error("webhook: {0}")]
    Tls(#[from] TlsProblem),
}

/// An open door: it listens, and takes nobody yet.
pub struct Webhook {
    listener: TcpListener,
    settings: Settings,
    tls: Option<Arc<rustls::ServerConfig>>,
    unsigned: Arc<AtomicU64>,
}

impl Webhook {
    /// Opens `webhook.listen`.
    ///
    /// # Errors
    /// [`Problem`], with what to do.
    pub async fn open(settings: Settings) -> Result<Webhook, Problem> {
        let tls = settings.identity.as_ref().map(tls::server_config).transpose()?.map(Arc::new);
        let on = settings.listen;
        let listener = TcpListener::bind(on).await.map_err(|why| Problem::Listen { on, why })?;
        Ok(Webhook { listener, settings, tls, unsigned: Arc::default() })
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Counts bodies whose signature is not of them. Requests without the shape of one are anybody's, and not counted.
    pub fn unsigned(&self) -> Arc<AtomicU64> {
        self.unsigned.clone()
    }

    /// Takes notices until the future is dropped.
    pub async fn serve<H: Hear>(self, hear: H) -> io::Result<()> {
        let door = Arc::new(Door {
            hear,
            settings: self.settings,
            unsigned: self.unsigned,
            small: Places::new(SMALL_LANES),
            large: Places::new(1),
        });
        // Whatever path the callback address has: a tunnel or proxy in front may keep or drop it.
        let router = Router::new()
            .route("/", get(handshake::<H>).post(notice::<H>))
            .route("/{*path}", get(handshake::<H>).post(notice::<H>))
            .with_state(door);
        let listener = Guarded::new(self.listener, self.tls, CONNECTIONS);
        bounded::serve_each(listener, |stream| router.clone().layer(Extension(stream.holder()))).await
    }
}

struct Door<H> {
    hear: H,
    settings: Settings,
    unsigned: Arc<AtomicU64>,
    small: Places,
    large: Places,
}

/// The platform asks once whether the address is ours: by the token that both were given.
#[derive(serde::Deserialize)]
struct Handshake {
    #[serde(rename = "hub.mode")]
    mode: Option<String>,
    #[serde(rename = "hub.challenge")]
    challenge: Option<String>,
    #[serde(rename = "hub.verify_token")]
    token: Option<String>,
}

async fn handshake<H: Hear>(
    State(door): State<Arc<Door<H>>>,
    Query(asked): Query<Handshake>,
) -> Result<String, StatusCode> {
    let token = asked.token.unwrap_or_default();
    let same = same(token.as_bytes(), door.settings.verify_token.reveal().as_bytes());
    match (asked.mode.as_deref(), asked.challenge) {
        (Some("subscribe"), Some(challenge)) if same => Ok(challenge),
        _ => Err(StatusCode::FORBIDDEN),
    }
}

/// In constant time: a key that nobody knows makes equal tags of equal texts only.
fn same(one: &[u8], other: &[u8]) -> bool {
    let mut random = [0; 32];
    random.iter_mut().for_each(|byte| *byte = fastrand::u8(..));
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &random);
    !other.is_empty() && ring::hmac::verify(&key, one, ring::hmac::sign(&key, other).as_ref()).is_ok()
}

async fn notice<H: Hear>(
    State(door): State<Arc<Door<H>>>,
    Extension(connection): Extension<Holder>,
    headers: HeaderMap,
    body: Body,
) -> StatusCode {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(signature) = text("x-hub-signature-256").filter(|value| whatsapp::is_signature(value)) else {
        return StatusCode::UNAUTHORIZED;
    };
    // Without a length a body may be anything: it takes the lane of the large ones.
    let length = text(header::CONTENT_LENGTH.as_str()).and_then(|length| length.parse().ok());
    let (lane, most) = match length {
        Some(length) if length > limits::NOTICE => return StatusCode::PAYLOAD_TOO_LARGE,
        Some(length) if length <= SMALL => (&door.small, length),
        _ => (&door.large, limits::NOTICE),
    };
    let mut place = lane.take().await;
    let holder = place.holder();
    let read = tokio::select! {
        read = tokio::time::timeout(READING, read(body, most, &holder)) => read.unwrap_or(Err(StatusCode::REQUEST_TIMEOUT)),
        () = place.gone() => Err(StatusCode::SERVICE_UNAVAILABLE),
    };
    let body = match read {
        Ok(body) => body,
        Err(status) => return status,
    };
    if !whatsapp::signed(door.settings.app_secret.reveal().as_bytes(), signature, &body) {
        door.unsigned.fetch_add(1, Ordering::Relaxed);
        return StatusCode::UNAUTHORIZED;
    }
    // The places are kept until it is heard: so what waits for the engine is bounded too.
    let _kept = (holder.keep(), connection.keep());
    match door.hear.hear(body).await {
        Ok(()) => StatusCode::OK,
        Err(NotKept) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// A body. Who brought the first part of a large one gives way to nobody any more.
async fn read(mut body: Body, most: usize, holder: &Holder) -> Result<Bytes, StatusCode> {
    let (mut read, mut kept) = (Vec::new(), None);
    while !part(&mut body, &mut read, most).await? {
        kept = kept.or_else(|| Some(holder.keep()));
    }
    Ok(read.into())
}

/// About [`SMALL`] bytes more; whether that was the end.
async fn part(body: &mut Body, read: &mut Vec<u8>, most: usize) -> Result<bool, StatusCode> {
    let enough = read.len() + SMALL;
    while read.len() < enough {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await;
        let Some(frame) = frame else { return Ok(true) };
        // Behind the data there may be trailers, which nobody reads.
        let Ok(data) = frame.map_err(|_| StatusCode::BAD_REQUEST)?.into_data() else { continue };
        if read.len() + data.len() > most {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        read.extend_from_slice(&data);
    }
    Ok(false)
}

#[cfg(test)]
mod tests;
