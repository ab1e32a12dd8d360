//! The uplink against a real server over real sockets, one fault after another: what leaves, how often, and what it is taken for.
#![cfg(feature = "demo")] // certificates and the server's side are made of the demo's parts
#![expect(clippy::unwrap_used, reason = "the server's side of a test: a panic is a failed test")]

use branchline::door::clock::SystemClock;
use branchline::door::secret::Secret;
use branchline::door::uplink::{Answers, Problem, Settings, Uplink};
use branchline::engine::{Link, Post};
use branchline::limits;
use branchline::message::{Answer, AttemptId, Lost, NotSent};
use bytes::Bytes;
use hyper::body::{Body as _, Incoming};
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_rustls::TlsAcceptor;

const TOKEN: &str = "EAAGsecret0token";
const TEXT: &str = "Oi Ana +5511987654321";
const PATH: &str = "/v25.0/106540352242922/messages";
/// Longer than anything here takes; a test that needs it has failed.
const DEADLINE: Duration = Duration::from_secs(30);

// --- certificates

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Issuer {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Certificate and key in PEM.
fn leaf(issuer: &Issuer, names: &[&str], years: (i32, i32)) -> (String, String) {
    let mut params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
    params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
    params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, issuer).unwrap().pem(), key.serialize_pem())
}

struct Tls {
    names: &'static [&'static str],
    years: (i32, i32),
    client_certificate: bool,
    alpn: &'static [&'static [u8]],
}

const TLS: Tls = Tls {
    names: &["127.0.0.1", "api.test"],
    years: (2020, 2090),
    client_certificate: false,
    alpn: &[b"h2", b"http/1.1"],
};

impl Tls {
    fn acceptor(&self, issuer: &Issuer) -> TlsAcceptor {
        let (certificate, key) = leaf(issuer, self.names, self.years);
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider.clone());
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = if self.client_certificate {
            let mut roots = RootCertStore::empty();
            roots.add(issuer.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let mut config = builder.with_single_cert(chain, key).unwrap();
        config.alpn_protocols = self.alpn.iter().map(|name| name.to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

// --- the server

/// What the server does with a connection and each request on it.
#[derive(Clone, Debug)]
enum Act {
    /// Accepts TCP and says nothing.
    Mute,
    /// Resets the connection as soon as TLS stands.
    ResetBefore,
    /// Resets it after the whole request was read.
    ResetAfter,
    /// Reads the request and never answers.
    Hang,
    /// Answers with status, one more header and a body.
    Reply(u16, Option<(&'static str, String)>, Bytes),
    /// HTTP/2 by hand: reads one whole request, then sends these frames and closes if told so.
    Frames(Vec<u8>, bool),
}

fn reply(status: u16, body: &str) -> Act {
    Act::Reply(status, None, Bytes::copy_from_slice(body.as_bytes()))
}

const TAKEN: &str = r#"{"messages":[{"id":"wamid.x"}]}"#;

/// A whole request as the server read it.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    method: String,
    target: String,
    token: Option<String>,
    version: Version,
    body: Bytes,
}

#[derive(Default)]
struct Log {
    connections: usize,
    seen: Vec<Seen>,
}

struct Server {
    address: SocketAddr,
    log: Arc<Mutex<Log>>,
}

impl Server {
    async fn start(acceptor: Option<TlsAcceptor>, act: Act) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, log) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Log::default())));
        let shared = log.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                shared.lock().unwrap().connections += 1;
                tokio::spawn(connection(stream, acceptor.clone(), act.clone(), shared.clone()));
            }
        });
        Server { address, log }
    }

    fn posts(&self) -> Vec<Seen> {
        self.log.lock().unwrap().seen.iter().filter(|seen| seen.method == "POST").cloned().collect()
    }
}

async fn connection(stream: TcpStream, acceptor: Option<TlsAcceptor>, act: Act, log: Arc<Mutex<Log>>) {
    if let Act::Mute = act {
        let mut stream = stream;
        return drain(&mut stream).await;
    }
    if let Act::ResetBefore | Act::ResetAfter = act {
        // Closing the socket then sends RST instead of FIN.
        stream.set_zero_linger().unwrap();
    }
    let Some(acceptor) = acceptor else { return serve(stream, false, act, log).await };
    match acceptor.accept(stream).into_fallible().await {
        // The alert has been written; a reset by unread data would destroy it on its way.
        Err((_, mut stream)) => drain(&mut stream).await,
        Ok(tls) => match (tls.get_ref().1.alpn_protocol() == Some(b"h2"), act) {
            (_, Act::ResetBefore) => {}
            (true, Act::Frames(frames, close)) => by_hand(tls, &frames, close, &log).await,
            (http2, act) => serve(tls, http2, act, log).await,
        },
    }
}

async fn drain(stream: &mut (impl AsyncRead + Unpin)) {
    let mut buffer = [0; 1024];
    while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + 'static, http2: bool, act: Act, log: Arc<Mutex<Log>>) {
    let cut = Arc::new(Notify::new());
    let service = hyper::service::service_fn(|request| answer(request, act.clone(), log.clone(), cut.clone()));
    let io = TokioIo::new(stream);
    let serving = async {
        if http2 {
            let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await;
        } else {
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
        }
    };
    tokio::select! {
        () = serving => {}
        () = cut.notified() => {}
    }
}

async fn answer(
    request: Request<Incoming>,
    act: Act,
    log: Arc<Mutex<Log>>,
    cut: Arc<Notify>,
) -> Result<Response<reqwest::Body>, Infallible> {
    let (head, mut body) = request.into_parts();
    let mut whole = Vec::new();
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let Ok(frame) = frame else { return Ok(Response::default()) }; // broken off: no whole request
        whole.extend_from_slice(&frame.into_data().unwrap_or_default());
    }
    let token = head.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    let target = head.uri.path_and_query().unwrap().to_string();
    let seen = Seen { method: head.method.to_string(), target, token, version: head.version, body: whole.into() };
    log.lock().unwrap().seen.push(seen);
    match act {
        Act::Reply(status, header, body) => {
            let mut response = Response::builder().status(status);
            if let Some((name, value)) = header {
                response = response.header(name, value);
            }
            Ok(response.body(reqwest::Body::from(body)).unwrap())
        }
        Act::ResetAfter => {
            cut.notify_one();
            std::future::pending().await
        }
        _ => std::future::pending().await,
    }
}

/// An HTTP/2 frame of at most 255 bytes: length, kind, flags, stream, payload.
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    [&[0, 0, length, kind, flags, 0, 0, 0, stream][..], payload].concat()
}

const DATA: u8 = 0;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
/// END_STREAM of DATA, ACK of SETTINGS.
const LAST: u8 = 1;

/// HTTP/2 as no library lets one write it. The client's first stream is 1.
async fn by_hand(mut stream: impl AsyncRead + AsyncWrite + Unpin, frames: &[u8], close: bool, log: &Mutex<Log>) {
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await.unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    let mut head = [0; 9];
    while stream.read_exact(&mut head).await.is_ok() {
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        stream.read_exact(&mut payload).await.unwrap();
        match (head[3], head[4] & LAST) {
            (SETTINGS, 0) => stream.write_all(&frame(SETTINGS, LAST, 0, &[])).await.unwrap(),
            (DATA, LAST) => {
                let (method, target) = ("POST".to_owned(), String::new());
                let seen = Seen { method, target, token: None, version: Version::HTTP_2, body: payload.into() };
                log.lock().unwrap().seen.push(seen);
                stream.write_all(frames).await.unwrap();
                if close {
                    return stream.shutdown().await.unwrap();
                }
            }
            _ => {}
        }
    }
}

/// A proxy that takes CONNECT for any name and leads to `server`; or refuses.
async fn proxy(server: SocketAddr, refuse: bool) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, asked) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
    let shared = asked.clone();
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let shared = shared.clone();
            tokio::spawn(async move {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(client.read_u8().await.unwrap());
                }
                let request = String::from_utf8(request).unwrap();
                shared.lock().unwrap().push(request.lines().next().unwrap().to_owned());
                if refuse {
                    return client.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await.unwrap();
                }
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                let mut server = TcpStream::connect(server).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (address, asked)
}

// --- the client's side

#[derive(Clone)]
struct Told(UnboundedSender<News>);

#[derive(Debug)]
enum News {
    Answered(AttemptId, Answer),
    Looked(Answer),
    Link(Link),
}

impl Answers for Told {
    fn answered(&self, attempt: AttemptId, answer: Answer) {
        let _ = self.0.send(News::Answered(attempt, answer));
    }
    fn looked(&self, answer: Answer) {
        let _ = self.0.send(News::Looked(answer));
    }
    fn link(&self, link: Link) {
        let _ = self.0.send(News::Link(link));
    }
}

/// A folder with the files that a box has, and the settings that name them.
struct Rig {
    folder: tempfile::TempDir,
    issuer: Issuer,
    settings: Settings,
}

impl Rig {
    fn new() -> Rig {
        let folder = tempfile::tempdir().unwrap();
        let issuer = authority("ours");
        let file = |name: &str, text: &str| -> PathBuf {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let settings = Settings {
            base_url: String::new(),
            probe_path: "/v25.0/106540352242922".into(),
            token_file: Some(file("token", &format!("{TOKEN}\n"))),
            app_secret: None,
            identity: None,
            ca_file: Some(file("ca.pem", &issuer.pem())),
            proxy: None,
            timeout: Duration::from_secs(20),
            connect_timeout: Duration::from_secs(10),
            max_in_flight: 32,
        };
        Rig { folder, issuer, settings }
    }

    async fn server(&mut self, tls: &Tls, act: Act) -> Server {
        let server = Server::start(Some(tls.acceptor(&self.issuer)), act).await;
        self.settings.base_url = format!("https://{}", server.address);
        server
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn open(&self) -> Client {
        let (sender, news) = unbounded_channel();
        let clock = SystemClock::start_with(None, Path::new("/nonexistent/synchronized"));
        let runtime = tokio::runtime::Handle::current();
        let uplink = Uplink::open(&self.settings, &clock, &runtime, Told(sender)).unwrap();
        Client { uplink, news, posted: 0 }
    }
}

struct Client {
    uplink: Uplink<Told>,
    news: UnboundedReceiver<News>,
    posted: i64,
}

impl Client {
    fn start(&mut self) {
        self.posted += 1;
        self.uplink.post(Post { attempt: AttemptId(self.posted), path: PATH.into(), body: Bytes::from(TEXT) });
    }

    async fn news(&mut self) -> News {
        tokio::time::timeout(DEADLINE, self.news.recv()).await.expect("news before the deadline").unwrap()
    }

    /// The next answer. Nothing secret may be in it.
    async fn answer(&mut self) -> (AttemptId, Answer) {
        loop {
            if let News::Answered(attempt, answer) = self.news().await {
                let printed = format!("{answer:?}");
                assert!(
                    !printed.contains(TOKEN) && !printed.contains("98765") && !printed.contains("proof"),
                    "{printed}"
                );
                return (attempt, answer);
            }
        }
    }

    async fn post(&mut self) -> Answer {
        self.start();
        self.answer().await.1
    }

    async fn link(&mut self) -> Link {
        loop {
            if let News::Link(link) = self.news().await {
                return link;
            }
        }
    }
}

fn status_of(answer: &Answer) -> u16 {
    match answer {
        Answer::Http { status, .. } => *status,
        other => panic!("no answer by HTTP: {other:?}"),
    }
}

fn is_tls(answer: &Answer, part: &str) -> bool {
    matches!(answer, Answer::NotSent(NotSent::Tls(why)) if why.contains(part))
}

fn is_no_connection(answer: &Answer, part: &str) -> bool {
    matches!(answer, Answer::NotSent(NotSent::NoConnection(why)) if why.contains(part))
}

fn is_broken(answer: &Answer) -> bool {
    matches!(answer, Answer::Lost(Lost::Broken(_)))
}

// --- tests

type Wanted<'a, T> = &'a dyn Fn(&T) -> bool;

#[tokio::test]
async fn one_post_arrives_whole_by_http_2_with_its_token() {
    let mut rig = Rig::new();
    let server = rig.server(&TLS, reply(200, TAKEN)).await;
    rig.settings.base_url += "/meta";
    let mut client = rig.open();
    let Answer::Http { status: 200, body, date: Some(date) } = client.post().await else {
        panic!("taken, with a date")
    };
    assert_eq!(body, TAKEN);
    let now = SystemClock::start(None).now().wall.reading();
    assert!(now.0.abs_diff(date.0) < 60_000, "{date:?}");
    let wanted = Seen {
        method: "POST".into(),
        target: format!("/meta{PATH}"),
        token: Some(format!("Bearer {TOKEN}")),
        version: Version::HTTP_2,
        body: Bytes::from(TEXT),
    };
    assert_eq!(server.posts(), [wanted]);
}

/// Per row: what the server does, how many whole posts it may read, what that is taken for.
#[tokio::test]
async fn every_fault_sends_at_most_once_and_is_told_for_what_it_is() {
    let reset = |reason: u8| Act::Frames(frame(RST_STREAM, 0, 1, &[0, 0, 0, reason]), false);
    let goaway = |last: u8| Act::Frames(frame(GOAWAY, 0, 0, &[0, 0, 0, last, 0, 0, 0, 0]), true);
    let elsewhere = |at: &str| Act::Reply(307, Some(("location", at.to_owned())), Bytes::new());
    let huge = Bytes::from(vec![b'x'; 3 * limits::ANSWER + 7]);
    let cut =
        |answer: &Answer| matches!(answer, Answer::Http { status: 200, body, .. } if body.len() == limits::ANSWER);
    let refused = |answer: &Answer| *answer == Answer::NotSent(NotSent::StreamRefused);
    let table: &[(&str, Act, usize, Wanted<Answer>)] = &[
        ("reset before reading", Act::ResetBefore, 0, &is_broken),
        ("reset after reading", Act::ResetAfter, 1, &is_broken),
        ("REFUSED_STREAM", reset(7), 1, &refused),
        ("another reset: INTERNAL_ERROR", reset(2), 1, &is_broken),
        ("GOAWAY below our stream", goaway(0), 1, &refused),
        ("GOAWAY that counts our stream in, then the end", goaway(1), 1, &is_broken),
        ("a redirect to itself", elsewhere(PATH), 1, &|answer| status_of(answer) == 307),
        ("503", reply(503, ""), 1, &|answer| status_of(answer) == 503),
        ("garbage", reply(200, "\u{0}<html>"), 1, &|answer| status_of(answer) == 200),
        ("a huge body", Act::Reply(200, None, huge), 1, &cut),
    ];
    for alpn in [TLS.alpn, &[b"http/1.1"]] {
        for (what, act, whole, wanted) in table {
            if alpn != TLS.alpn && matches!(act, Act::Frames(..)) {
                continue;
            }
            let mut rig = Rig::new();
            let server = rig.server(&Tls { alpn, ..TLS }, act.clone()).await;
            let answer = rig.open().post().await;
            assert!(wanted(&answer), "{what}, {} protocols: {answer:?}", alpn.len());
            assert_eq!(server.posts().len(), *whole, "{what}");
        }
    }
}

#[tokio::test]
async fn no_server_is_surely_not_sent() {
    let mut rig = Rig::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    rig.settings.base_url = format!("https://{}", listener.local_addr().unwrap());
    drop(listener);
    let answer = rig.open().post().await;
    assert!(is_no_connection(&answer, "refused"), "{answer:?}");
}

#[tokio::test]
async fn a_peer_that_is_mute_in_the_handshake_is_surely_not_sent() {
    let mut rig = Rig::new();
    rig.settings.connect_timeout = Duration::from_millis(200);
    let server = rig.server(&TLS, Act::Mute).await;
    let answer = rig.open().post().await;
    assert!(is_no_connection(&answer, "connect_timeout"), "{answer:?}");
    assert_eq!(server.posts(), []);
}

#[tokio::test]
async fn no_answer_in_time_is_perhaps_sent() {
    let mut rig = Rig::new();
    rig.settings.timeout = Duration::from_secs(2);
    let server = rig.server(&TLS, Act::Hang).await;
    assert_eq!(rig.open().post().await, Answer::Lost(Lost::Timeout));
    assert_eq!(server.posts().len(), 1);
}

#[tokio::test]
async fn certificates_that_do_not_hold() {
    let table: &[(&str, Tls, bool, &str)] = &[
        ("expired", Tls { years: (2019, 2020), ..TLS }, true, "expired on 2020-01-01T00:00:00.000Z"),
        ("not yet valid", Tls { years: (2089, 2090), ..TLS }, true, "not valid before 2089-01-01T00:00:00.000Z"),
        ("wrong name", Tls { names: &["other.test"], ..TLS }, true, "is not for 127.0.0.1"),
        ("unknown CA", TLS, false, "issuer that is not trusted"),
        ("wants a client certificate", Tls { client_certificate: true, ..TLS }, true, "uplink.cert_file"),
        (
            "wants one, by HTTP/1.1",
            Tls { client_certificate: true, alpn: &[b"http/1.1"], ..TLS },
            true,
            "uplink.cert_file",
        ),
    ];
    for (what, tls, known, part) in table {
        let mut rig = Rig::new();
        if !known {
            rig.settings.ca_file = Some(rig.write("ca.pem", &authority("theirs").pem()));
        }
        let server = rig.server(tls, reply(200, TAKEN)).await;
        let answer = rig.open().post().await;
        assert!(is_tls(&answer, part), "{what}: {answer:?}");
        assert_eq!(server.posts(), [], "{what}");
    }
}

#[tokio::test]
async fn a_client_certificate_stands_for_the_token() {
    let mut rig = Rig::new();
    let (certificate, key) = leaf(&rig.issuer, &["box"], TLS.years);
    rig.settings.identity = Some((rig.write("box.pem", &certificate), rig.write("box.key", &key)));
    rig.settings.token_file = None;
    let server = rig.server(&Tls { client_certificate: true, ..TLS }, reply(200, TAKEN)).await;
    let mut client = rig.open();
    assert_eq!(client.link().await, Link::Token(None));
    assert_eq!(status_of(&client.post().await), 200);
    assert_eq!(server.posts()[0].token, None);
}

#[tokio::test]
async fn a_replaced_token_file_is_used_and_told() {
    let mut rig = Rig::new();
    let server = rig.server(&TLS, reply(200, TAKEN)).await;
    let mut client = rig.open();
    let Link::Token(Some(first)) = client.link().await else { panic!("the token at the start") };
    client.post().await;
    rig.write("token", "EAAGother");
    // The reading is good for a second: until then the old one may still be used.
    let until = std::time::Instant::now() + DEADLINE;
    while server.posts().last().unwrap().token.as_deref() != Some("Bearer EAAGother") {
        assert!(std::time::Instant::now() < until, "the new token is never used");
        client.start();
        let told = loop {
            match client.news().await {
                News::Link(link) => assert!(matches!(link, Link::Token(Some(other)) if other != first), "{link:?}"),
                News::Answered(_, answer) | News::Looked(answer) => break answer,
            }
        };
        assert_eq!(status_of(&told), 200);
    }
}

#[tokio::test]
async fn a_replaced_token_file_is_told_though_nothing_is_sent() {
    let mut rig = Rig::new();
    rig.settings.base_url = "https://x.test".into();
    let mut client = rig.open();
    let Link::Token(Some(first)) = client.link().await else { panic!("the token at the start") };
    std::fs::remove_file(rig.settings.token_file.as_ref().unwrap()).unwrap();
    assert_eq!(client.link().await, Link::Token(None));
    rig.write("token", "EAAGother");
    let Link::Token(Some(other)) = client.link().await else { panic!("the new token") };
    assert_ne!(first, other);
}

#[tokio::test]
async fn without_a_readable_token_nothing_is_sent() {
    for text in ["", "two words"] {
        let mut rig = Rig::new();
        let server = rig.server(&TLS, reply(200, TAKEN)).await;
        let file = rig.write("token", text);
        let mut client = rig.open();
        assert_eq!(client.link().await, Link::Token(None));
        let answer = client.post().await;
        assert!(is_no_connection(&answer, &file.display().to_string()), "{answer:?}");
        client.uplink.probe();
        assert!(matches!(client.link().await, Link::UplinkDown(NotSent::NoConnection(_))));
        assert_eq!(server.log.lock().unwrap().connections, 0);
    }
}

#[tokio::test]
async fn the_proof_of_the_app_secret_goes_with_post_and_probe() {
    let mut rig = Rig::new();
    let server = rig.server(&TLS, reply(200, TAKEN)).await;
    rig.settings.app_secret = Some(Secret::new("Jefe"));
    rig.write("token", "what-do-ya-want-for-nothing?");
    let mut client = rig.open();
    client.post().await;
    client.uplink.probe();
    assert!(matches!(client.link().await, Link::UplinkUp(Some(_))));
    // printf %s 'what-do-ya-want-for-nothing?' | openssl dgst -sha256 -hmac Jefe
    let proof = "appsecret_proof=5a009baf454799a316a08e0261c4c31a58f951f1436904b5a7a883706501d927";
    let targets: Vec<String> = server.log.lock().unwrap().seen.iter().map(|seen| seen.target.clone()).collect();
    assert_eq!(targets, [format!("{PATH}?{proof}"), format!("/v25.0/106540352242922?fields=id&{proof}")]);
}

#[tokio::test]
async fn a_probe_tells_whether_the_way_is_open() {
    let down = |link: &Link| matches!(link, Link::UplinkDown(NotSent::NoConnection(why)) if why.contains("503"));
    let table: &[(Act, Wanted<Link>)] = &[
        (reply(200, r#"{"id":"1"}"#), &|link| matches!(link, Link::UplinkUp(Some(_)))),
        (reply(401, ""), &|link| matches!(link, Link::UplinkUp(Some(_)))),
        (reply(503, ""), &down),
        (Act::ResetAfter, &|link| matches!(link, Link::UplinkDown(_))),
    ];
    for (act, wanted) in table {
        let mut rig = Rig::new();
        let server = rig.server(&TLS, act.clone()).await;
        let mut client = rig.open();
        client.link().await; // the token at the start
        client.uplink.probe();
        let link = client.link().await;
        assert!(wanted(&link), "{act:?}: {link:?}");
        let seen = server.log.lock().unwrap().seen.clone();
        assert_eq!((seen.len(), seen[0].method.as_str()), (1, "GET"), "{act:?}");
        assert_eq!(seen[0].token, Some(format!("Bearer {TOKEN}")));
    }
}

#[tokio::test]
async fn a_date_without_tls_is_not_believed() {
    let mut rig = Rig::new();
    let server = Server::start(None, reply(200, TAKEN)).await;
    rig.settings.base_url = format!("http://{}", server.address);
    let answer = rig.open().post().await;
    assert!(matches!(answer, Answer::Http { status: 200, date: None, .. }), "{answer:?}");
}

#[tokio::test]
async fn through_a_proxy_that_resolves_the_name() {
    let mut rig = Rig::new();
    let server = rig.server(&TLS, reply(200, TAKEN)).await;
    let (address, asked) = proxy(server.address, false).await;
    rig.settings.base_url = format!("https://api.test:{}", server.address.port());
    rig.settings.proxy = Some(format!("http://{address}"));
    assert_eq!(status_of(&rig.open().post().await), 200);
    assert_eq!(server.posts()[0].version, Version::HTTP_2);
    assert_eq!(asked.lock().unwrap()[..], [format!("CONNECT api.test:{} HTTP/1.1", server.address.port())]);

    let (address, _) = proxy(server.address, true).await;
    rig.settings.proxy = Some(format!("http://{address}"));
    let answer = rig.open().post().await;
    assert!(is_no_connection(&answer, ""), "{answer:?}");
    assert_eq!(server.posts().len(), 1, "the refused one went nowhere");
}

#[tokio::test]
async fn a_connection_that_the_server_closed_is_replaced() {
    let mut rig = Rig::new();
    let close = Act::Reply(200, Some(("connection", "close".to_owned())), Bytes::from(TAKEN));
    let server = rig.server(&Tls { alpn: &[b"http/1.1"], ..TLS }, close).await;
    let mut client = rig.open();
    for _ in 0..3 {
        assert_eq!(status_of(&client.post().await), 200);
    }
    assert_eq!((server.posts().len(), server.log.lock().unwrap().connections), (3, 3));
}

#[tokio::test]
async fn cold_parallel_posts_share_one_connection() {
    let mut rig = Rig::new();
    let server = rig.server(&TLS, reply(200, TAKEN)).await;
    let mut client = rig.open();
    (0..16).for_each(|_| client.start());
    for _ in 0..16 {
        assert_eq!(status_of(&client.answer().await.1), 200);
    }
    assert_eq!((server.posts().len(), server.log.lock().unwrap().connections), (16, 1));
}

#[tokio::test]
async fn a_mute_server_costs_one_unknown_however_many_wait() {
    let mut rig = Rig::new();
    rig.settings.timeout = Duration::from_secs(2);
    let server = rig.server(&TLS, Act::Hang).await;
    let mut client = rig.open();
    (0..8).for_each(|_| client.start());
    let mut unknown = 0;
    for _ in 0..8 {
        match client.answer().await.1 {
            Answer::Lost(Lost::Timeout) => unknown += 1,
            answer => assert!(is_no_connection(&answer, "had no answer"), "{answer:?}"),
        }
    }
    assert_eq!((unknown, server.posts().len()), (1, 1));
}

#[tokio::test]
async fn more_than_max_in_flight_is_not_sent() {
    let mut rig = Rig::new();
    rig.settings.max_in_flight = 2;
    let server = rig.server(&TLS, Act::ResetAfter).await;
    let mut client = rig.open();
    (0..3).for_each(|_| client.start());
    let (attempt, answer) = client.answer().await;
    assert_eq!(attempt, AttemptId(3));
    assert!(is_no_connection(&answer, "max_in_flight"), "{answer:?}");
    client.answer().await;
    client.answer().await;
    assert_eq!(server.posts().len(), 1, "the second shared the failure of the first");
    client.start();
    assert!(is_broken(&client.answer().await.1), "there is room again");
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_at_the_start() {
    let rig = Rig::new();
    let clock = SystemClock::start(None);
    let open = |change: &dyn Fn(&mut Settings)| {
        let mut settings = Settings { base_url: "https://x.test".into(), ..rig.settings.clone() };
        change(&mut settings);
        let (sender, _news) = unbounded_channel();
        Uplink::open(&settings, &clock, &tokio::runtime::Handle::current(), Told(sender)).err()
    };
    assert!(open(&|_| ()).is_none());
    let password = "http://user:hunter2@";
    let printed = format!("{:?}", Settings { proxy: Some(password.into()), ..rig.settings.clone() });
    assert!(!printed.contains("hunter2"), "{printed}");
    let problem = open(&|settings| settings.proxy = Some(password.into())).unwrap();
    assert!(matches!(problem, Problem::Proxy) && !problem.to_string().contains("hunter2"), "{problem}");
    for url in ["ftp://x.test", "x.test", "https://x.test?q", ""] {
        let problem = open(&|settings| settings.base_url = url.into()).unwrap();
        assert!(matches!(problem, Problem::BaseUrl(_)), "{url}: {problem}");
    }
    let missing = open(&|settings| settings.ca_file = Some("/nonexistent/ca.pem".into())).unwrap();
    assert!(matches!(missing, Problem::Tls(_)) && missing.to_string().contains("/nonexistent/ca.pem"), "{missing}");
}
