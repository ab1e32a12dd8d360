//! The two HTTP servers: orders on the Unix socket, reading on TCP.
//!
//! Floor: doors. Every answer closes its connection, so that an idle browser holds no place.

use super::{Ask, BODY, Busy, PATH, guard, page};
use crate::door::bounded::{self, Bounded};
use crate::operate::{PATIENCE_MAX, Reply, Request, StatusReport};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use serde::Serialize;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};

/// Connections at a time, per listener: a few people with a browser and a collector of metrics.
const CONNECTIONS: usize = 32;

/// Opens `operate.listen`.
///
/// # Errors
/// In words, with what to do.
pub async fn listen(on: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(on).await.map_err(|error| {
        format!("cannot listen on {on} (operate.listen): {error}; choose another port, or \"off\" for no status page")
    })
}

/// Takes orders until the future is dropped.
pub async fn serve_socket<A: Ask>(listener: UnixListener, ask: A) -> io::Result<()> {
    let router = Router::new()
        .route(PATH, post(order::<A>))
        .layer(DefaultBodyLimit::max(BODY))
        .layer(middleware::map_response(sealed))
        .with_state(ask);
    // Only its owner and group reach the socket; half a minute beyond the longest order.
    let listener = Bounded::lasting(listener, CONNECTIONS, PATIENCE_MAX + Duration::from_secs(30));
    bounded::serve(listener, router).await
}

/// Shows the status until the future is dropped.
pub async fn serve_page<A: Ask>(listener: TcpListener, ask: A) -> io::Result<()> {
    let listening = listener.local_addr()?;
    let guard =
        middleware::from_fn(move |headers: HeaderMap, request: axum::extract::Request, next: Next| async move {
            let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
            match host {
                Some(host) if guard::is_ours(host, listening) => next.run(request).await,
                _ => (StatusCode::MISDIRECTED_REQUEST, "ask by the address that operate.listen names, not by a name\n")
                    .into_response(),
            }
        });
    let router = Router::new()
        .route("/", get(status_page::<A>))
        .route("/metrics", get(metrics::<A>))
        .route("/status.json", get(status_json::<A>))
        .route("/healthz", get(healthz::<A>))
        .layer(guard)
        .layer(middleware::map_response(sealed))
        .with_state(ask);
    bounded::serve(Bounded::new(listener, CONNECTIONS), router).await
}

async fn order<A: Ask>(State(ask): State<A>, body: Bytes) -> Result<Response, Unanswered> {
    let request = serde_json::from_slice(&body).map_err(|error| Unanswered::Unreadable(error.to_string()))?;
    json(&ask.ask(request).await?)
}

fn json(value: &impl Serialize) -> Result<Response, Unanswered> {
    let text = serde_json::to_vec(value).map_err(|error| Unanswered::Fault(error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
}

async fn status_page<A: Ask>(State(ask): State<A>) -> Result<Html<String>, Unanswered> {
    Ok(Html(page::render(&report(ask).await?)?))
}

async fn status_json<A: Ask>(State(ask): State<A>) -> Result<Response, Unanswered> {
    json(&report(ask).await?)
}

async fn metrics<A: Ask>(State(ask): State<A>) -> Result<Response, Unanswered> {
    match ask.ask(Request::Metrics).await? {
        Reply::Text(text) => {
            Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
        }
        Reply::Refused(why) => Err(Unanswered::Refused(why)),
        Reply::Data(_) => Err(Unanswered::Fault("metrics are text".into())),
    }
}

/// Well means: the engine answers. What is wrong outside of it is in the status.
async fn healthz<A: Ask>(State(ask): State<A>) -> Result<&'static str, Unanswered> {
    report(ask).await.map(|_| "ok\n")
}

async fn report(ask: impl Ask) -> Result<StatusReport, Unanswered> {
    match ask.ask(Request::Status).await? {
        Reply::Data(data) => serde_json::from_value(data).map_err(|error| Unanswered::Fault(error.to_string())),
        Reply::Refused(why) => Err(Unanswered::Refused(why)),
        Reply::Text(_) => Err(Unanswered::Fault("the status is data".into())),
    }
}

/// No script, no frame, no cache, no guessing of types; and the connection ends.
async fn sealed(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONNECTION, "close"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Why there is no page.
enum Unanswered {
    Busy(Busy),
    Refused(String),
    /// What was asked is no order.
    Unreadable(String),
    /// Ours.
    Fault(String),
}

impl From<Busy> for Unanswered {
    fn from(busy: Busy) -> Unanswered {
        Unanswered::Busy(busy)
    }
}

impl From<minijinja::Error> for Unanswered {
    fn from(error: minijinja::Error) -> Unanswered {
        Unanswered::Fault(error.to_string())
    }
}

impl IntoResponse for Unanswered {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Unanswered::Busy(busy) => (StatusCode::SERVICE_UNAVAILABLE, busy.to_string()),
            Unanswered::Refused(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
            Unanswered::Unreadable(what) => {
                (StatusCode::UNPROCESSABLE_ENTITY, format!("no order of branchline: {what}"))
            }
            Unanswered::Fault(what) => (StatusCode::INTERNAL_SERVER_ERROR, what),
        };
        (status, text + "\n").into_response()
    }
}
