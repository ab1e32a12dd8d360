//! Connections and streams: reads whole requests, asks `decide`, and does to the wire what was decided.
//!
//! Floor: demo. Knows no rule of the platform.

use super::Tls;
use super::control::Control;
use super::decide::{BODY, Ending, Reply, Request, decide};
use super::desk;
use super::fault::{BadCertificate, Fault, Stage};
use super::line::{Line, Socket, Switch};
use super::record::{Head, Told};
use super::state::State;
use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use h2::server::SendResponse;
use http::request::Parts;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper_util::rt::TokioIo;
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::CertificateDer;
use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use std::{io, mem};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// Streams at a time on one connection.
const STREAMS: u32 = 256;

/// The TLS side, if there is to be one: the right certificate, and wrong ones on request.
pub(super) struct Doorman {
    right: Option<TlsAcceptor>,
    wrong: Vec<(BadCertificate, TlsAcceptor)>,
}

impl Doorman {
    /// Takes the wrong certificates' keys, and leaves their kinds where there is TLS.
    pub(super) fn new(
        tls: Option<Tls>,
        ca: Option<CertificateDer<'static>>,
        wrong: &mut Vec<(BadCertificate, Tls)>,
    ) -> Result<Doorman, String> {
        let Some(tls) = tls else {
            wrong.clear();
            let none = Doorman { right: None, wrong: Vec::new() };
            return if ca.is_none() { Ok(none) } else { Err("a client authority needs TLS".into()) };
        };
        let mut others = Vec::new();
        for (bad, tls) in wrong.iter() {
            others.push((*bad, acceptor(tls, ca.clone())?));
        }
        Ok(Doorman { right: Some(acceptor(&tls, ca)?), wrong: others })
    }

    /// Who answers a connection, given the fault that strikes it.
    fn of(&self, fault: Option<&Fault>) -> Option<TlsAcceptor> {
        let wrong = self.wrong.iter().find(|(bad, _)| fault == Some(&Fault::Certificate(*bad)));
        wrong.map(|(_, acceptor)| acceptor).or(self.right.as_ref()).cloned()
    }
}

fn acceptor(tls: &Tls, ca: Option<CertificateDer<'static>>) -> Result<TlsAcceptor, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            roots.add(ca).map_err(|error| error.to_string())?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| error.to_string())?)
        }
    };
    let chain = builder.with_single_cert(tls.chain.clone(), tls.key.clone_key());
    let mut config = chain.map_err(|error| error.to_string())?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Takes connections until it is aborted; they end with it.
pub(super) async fn run(state: Arc<State>, doorman: Doorman) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        // Fails for one connection only (reset while it waited), or for want of file descriptors, which ends at leisure.
        let Ok(tcp) = state.gate.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        // Small answers must not wait for acknowledgements; fails only on a dead connection.
        let _ = tcp.set_nodelay(true);
        let fault = state.change(|inner| {
            inner.counters.connections += 1;
            inner.faults.strike(Stage::Connection, None)
        });
        let (cut, released) = (state.cut.subscribe(), state.mute.subscribe());
        // Closed: it was taken just before, and would miss the cut that went with it.
        if state.gate.is_closed() || fault == Some(Fault::ResetTls) {
            let _ = tcp.set_zero_linger();
        } else if fault == Some(Fault::MuteTls) {
            connections.spawn(hold(tcp, cut, released));
        } else {
            connections.spawn(connection(state.clone(), doorman.of(fault.as_ref()), tcp, cut));
        }
    }
}

/// Says nothing on a connection until it is let go, with a reset.
async fn hold(tcp: TcpStream, mut cut: watch::Receiver<u64>, mut released: watch::Receiver<u64>) {
    tokio::select! { _ = released.changed() => {}, _ = cut.changed() => {} }
    // Fails only where the client is gone already.
    let _ = tcp.set_zero_linger();
}

async fn connection(state: Arc<State>, acceptor: Option<TlsAcceptor>, tcp: TcpStream, mut cut: watch::Receiver<u64>) {
    let (socket, http2) = match acceptor {
        None => (Socket::Plain(tcp), false),
        Some(acceptor) => {
            let shaken = tokio::select! { shaken = acceptor.accept(tcp) => shaken, _ = cut.changed() => return };
            let Ok(tls) = shaken else {
                state.change(|inner| inner.counters.failed_handshakes += 1);
                return;
            };
            let http2 = tls.get_ref().1.alpn_protocol() == Some(b"h2".as_slice());
            (Socket::Tls(Box::new(tls)), http2)
        }
    };
    let (line, switch) = Line::new(socket);
    let serve = async {
        if http2 { serve_http2(&state, line, &switch).await } else { serve_http1(&state, line, &switch).await }
    };
    tokio::pin!(serve);
    loop {
        tokio::select! {
            biased;
            // Whoever tells us to cut wants to hear that it was done.
            changed = cut.changed() => if changed.is_err() || !switch.is_spared() {
                switch.cut();
                return;
            },
            () = &mut serve => return,
        }
    }
}

/// The fault that strikes when the head of a request has come; none at the desk, which must answer.
fn head<B>(state: &State, request: &http::Request<B>, switch: &Switch, http2: bool) -> Option<Fault> {
    if desk::is_for(request.uri().path()) {
        switch.spare();
        return None;
    }
    let fault = state.change(|inner| {
        inner.counters.heads += 1;
        inner.faults.strike(Stage::Head, None)
    })?;
    if state.record.is_some() {
        let head = Head::of(request.method(), request.uri(), request.headers(), http2);
        state.record(&head, None, Told::Fault(fault.name()));
    }
    Some(fault)
}

/// A whole request, to its end.
fn handle(state: &Arc<State>, parts: Parts, body: Option<Bytes>, http2: bool) -> Ending {
    if desk::is_for(parts.uri.path()) {
        return Ending::Answer(desk::answer(&Control(state.clone()), &parts, body.as_deref()));
    }
    let head = state.record.is_some();
    let head = head.then(|| (Head::of(&parts.method, &parts.uri, &parts.headers, http2), body.clone()));
    let ending = decide(state, &request(parts, body, http2));
    if let Some((head, body)) = head {
        state.record(&head, body.as_deref(), Told::Ending(&ending));
    }
    ending
}

fn request(parts: Parts, body: Option<Bytes>, http2: bool) -> Request {
    let header = |name| parts.headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
    Request {
        get: parts.method == http::Method::GET,
        post: parts.method == http::Method::POST,
        host: parts.uri.authority().map(ToString::to_string).or_else(|| header(http::header::HOST).map(str::to_owned)),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        authorization: header(http::header::AUTHORIZATION).map(str::to_owned),
        json: header(http::header::CONTENT_TYPE).is_some_and(|kind| {
            kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
        }),
        body,
        http2,
    }
}

fn response<B>(state: &State, reply: &Reply, body: B) -> http::Response<B> {
    let mut response = http::Response::new(body);
    *response.status_mut() = http::StatusCode::from_u16(reply.status).unwrap_or(http::StatusCode::IM_A_TEAPOT);
    let headers = response.headers_mut();
    let mut set = |name, value: &str| {
        if let Ok(value) = value.parse() {
            headers.insert(name, value);
        }
    };
    if let Some(date) = state.date() {
        set(http::header::DATE, &date);
    }
    set(http::header::CONTENT_TYPE, "application/json; charset=UTF-8");
    if let Some(location) = &reply.location {
        set(http::header::LOCATION, location);
    }
    response
}

// ---- HTTP/2 ----

async fn serve_http2(state: &Arc<State>, line: Line, switch: &Arc<Switch>) {
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(STREAMS).initial_window_size(1 << 20).initial_connection_window_size(1 << 24);
    let Ok(mut connection) = builder.handshake::<_, Bytes>(line).await else { return };
    let mut streams = JoinSet::new();
    // The last stream that is served, once GOAWAY was said; what comes after it is kept open and never looked at.
    let mut last = 0;
    let mut denied: Option<Vec<SendResponse<Bytes>>> = None;
    loop {
        tokio::select! {
            // A stream that ends with `true` takes the connection with it.
            Some(Ok(true)) = streams.join_next(), if !streams.is_empty() => {
                switch.cut();
                return;
            }
            next = connection.accept() => {
                let Some(Ok((request, mut respond))) = next else { return };
                if let Some(denied) = &mut denied {
                    denied.push(respond);
                    continue;
                }
                match head(state, &request, switch, true) {
                    Some(Fault::ResetBeforeRead) => {
                        switch.cut();
                        return;
                    }
                    Some(Fault::RefusedStream) => respond.send_reset(h2::Reason::REFUSED_STREAM),
                    Some(Fault::GoAway) => {
                        switch.go_away(last);
                        denied = Some(vec![respond]);
                    }
                    _ => {
                        last = respond.stream_id().as_u32();
                        streams.spawn(stream(state.clone(), request, respond));
                    }
                }
            }
        }
    }
}

/// Serves one stream; `true`: reset the connection.
async fn stream(state: Arc<State>, request: http::Request<RecvStream>, mut respond: SendResponse<Bytes>) -> bool {
    let (parts, body) = request.into_parts();
    let Ok(body) = read_http2(body).await else { return false };
    let reply = match handle(&state, parts, body, true) {
        Ending::Answer(reply) => reply,
        Ending::Later(time, reply) => {
            tokio::time::sleep(time).await;
            reply
        }
        Ending::Never => {
            // Until the client gives the stream up, or for ever.
            let _ = poll_fn(|cx| respond.poll_reset(cx)).await;
            return false;
        }
        Ending::Cut => return true,
        Ending::Drop => {
            respond.send_reset(h2::Reason::INTERNAL_ERROR);
            return false;
        }
    };
    // Both fail only if the client is gone.
    if let Ok(mut send) = respond.send_response(response(&state, &reply, ()), reply.body.is_empty())
        && !reply.body.is_empty()
    {
        let _ = send.send_data(reply.body, true);
    }
    false
}

/// The whole body, `None` if it is too large; an error if it did not come whole.
async fn read_http2(mut body: RecvStream) -> Result<Option<Bytes>, h2::Error> {
    let mut whole = Whole::default();
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        whole.add(&chunk);
    }
    Ok(whole.end())
}

// ---- HTTP/1.1 ----

async fn serve_http1(state: &Arc<State>, line: Line, switch: &Arc<Switch>) {
    let service = hyper::service::service_fn(|request| exchange(state, switch, request));
    // However it ends, the client sees it; there is nobody else to tell.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(line), service).await;
}

async fn exchange(
    state: &Arc<State>,
    switch: &Arc<Switch>,
    request: http::Request<Incoming>,
) -> io::Result<http::Response<Full>> {
    let cut = || {
        switch.cut();
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    };
    if head(state, &request, switch, false).is_some() {
        return cut();
    }
    let (parts, body) = request.into_parts();
    let body = read_http1(body).await.map_err(io::Error::other)?;
    let mut reply = match handle(state, parts, body, false) {
        Ending::Answer(reply) => reply,
        Ending::Later(time, reply) => {
            tokio::time::sleep(time).await;
            reply
        }
        Ending::Never => pending().await,
        Ending::Cut | Ending::Drop => return cut(),
    };
    let body = Full(mem::take(&mut reply.body));
    Ok(response(state, &reply, body))
}

async fn read_http1(mut body: Incoming) -> Result<Option<Bytes>, hyper::Error> {
    let mut whole = Whole::default();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if let Ok(chunk) = frame?.into_data() {
            whole.add(&chunk);
        }
    }
    Ok(whole.end())
}

/// Collects a body up to its bound; reads the rest and forgets it.
#[derive(Default)]
struct Whole {
    bytes: BytesMut,
    over: bool,
}

impl Whole {
    fn add(&mut self, chunk: &[u8]) {
        self.over |= self.bytes.len() + chunk.len() > BODY;
        if !self.over {
            self.bytes.extend_from_slice(chunk);
        }
    }

    fn end(self) -> Option<Bytes> {
        (!self.over).then(|| self.bytes.freeze())
    }
}

/// A body of one piece.
struct Full(Bytes);

impl Body for Full {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = mem::take(&mut self.0);
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}
