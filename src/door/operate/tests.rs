use super::*;
use crate::limits;
use crate::message::{Outcome, Reason};
use crate::operate::{Gauges, Hold, LastLine, StatusReport, Target};
use crate::status::{Status, THE_NUMBER};
use crate::time::Wall;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

/// Answers like the engine would, and remembers what it was asked.
#[derive(Clone, Default)]
struct Fake {
    asked: Arc<Mutex<Vec<&'static str>>>,
    busy: Option<Busy>,
}

impl Ask for Fake {
    async fn ask(&self, request: Request) -> Result<Reply, Busy> {
        self.asked.lock().unwrap().push(request.name());
        match (self.busy, request) {
            (Some(busy), _) => Err(busy),
            (None, Request::Status) => Ok(Reply::data(&report())),
            (None, Request::Metrics) => Ok(Reply::Text("branchline_build_info 1\n".into())),
            (None, _) => Ok(Reply::Refused("no such message".into())),
        }
    }
}

fn report() -> StatusReport {
    let hold = Hold {
        what: THE_NUMBER.into(),
        reason: Reason::TokenInvalid,
        since: Some(Wall(1_000)),
        until: None,
        note: "190: <script>".into(),
        loud: true,
    };
    let mut status = Status::default();
    status.last(LastLine {
        at: Wall(0),
        rule: Some("order-ready".into()),
        event: None,
        message: Some("k3f9-7".into()),
        to: Some("+55…21".into()),
        outcome: Some(Outcome::Withheld),
        reason: Reason::NoConsent,
        detail: String::new(),
    });
    let gauges =
        Gauges { branch: "sp-042".into(), running: true, clock_trusted: true, holds: vec![hold], ..Gauges::default() };
    status.report(gauges)
}

async fn exchange(mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn posted(body: &str) -> String {
    format!(
        "POST {PATH} HTTP/1.1\r\nHost: branchline\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The page on a free port, asked once.
async fn page(fake: Fake, request_line: &str, host: &str) -> String {
    let listener = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = serve_page(listener, fake);
    let asked = async {
        let stream = TcpStream::connect(address).await.unwrap();
        exchange(stream, &format!("{request_line} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n")).await
    };
    tokio::select! { answer = asked => answer, _ = served => panic!("the server ended") }
}

#[tokio::test]
async fn an_order_goes_over_the_socket_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("branchline.sock");
    let listener = bind(&path).unwrap().listen().unwrap();
    let fake = Fake::default();
    let served = serve_socket(listener, fake.clone());
    let too_long = posted(&format!("\"{}\"", "x".repeat(BODY)));
    let asked = async {
        let order = serde_json::to_string(&Request::Pause { target: Target::All, reason: "audit".into() }).unwrap();
        let answer = exchange(UnixStream::connect(&path).await.unwrap(), &posted(&order)).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.ends_with(r#"{"refused":"no such message"}"#), "{answer}");
        let answer = exchange(UnixStream::connect(&path).await.unwrap(), &posted(r#"{"command":"reboot"}"#)).await;
        assert!(answer.starts_with("HTTP/1.1 422"), "{answer}");
        // The server may answer and close before it has read the whole body.
        let mut stream = UnixStream::connect(&path).await.unwrap();
        let _ = stream.write_all(too_long.as_bytes()).await;
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 413");
    };
    tokio::select! { () = asked => (), _ = served => panic!("the server ended") }
    assert_eq!(*fake.asked.lock().unwrap(), ["pause"]);
}

#[tokio::test]
async fn a_busy_engine_is_told() {
    let answer = page(Fake { busy: Some(Busy::Full), ..Fake::default() }, "GET /healthz", "localhost").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("too many requests"), "{answer}");
}

#[tokio::test]
async fn what_the_page_shows() {
    #[rustfmt::skip]
    let table: &[(&str, &str, &[&str])] = &[
        ("GET /", "200", &["NUMBER STOPPED: token invalid (190: &lt;script&gt;)", "replace the file of uplink.token_file", "+55…21", "sp-042", "http-equiv=\"refresh\""]),
        ("GET /metrics", "200", &["text/plain; version=0.0.4", "branchline_build_info 1\n"]),
        ("GET /status.json", "200", &["application/json", "\"reason\":\"token-invalid\""]),
        ("GET /healthz", "200", &["ok\n"]),
        ("GET /nothing", "404", &[]),
        ("POST /", "405", &[]),
        ("POST /v1/operate", "404", &[]),
        ("GET /v1/operate", "404", &[]),
    ];
    for (request, status, parts) in table {
        let answer = page(Fake::default(), request, "127.0.0.1:8088").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {answer}");
        for part in *parts {
            assert!(answer.contains(part), "{request} lacks {part}: {answer}");
        }
        assert!(answer.contains("content-security-policy: default-src 'none'") && answer.contains("connection: close"));
    }
}

#[tokio::test]
async fn another_host_name_reads_nothing() {
    for path in ["/", "/metrics", "/status.json", "/healthz"] {
        let fake = Fake::default();
        let answer = page(fake.clone(), &format!("GET {path}"), "rebound.example:8088").await;
        assert!(answer.starts_with("HTTP/1.1 421"), "{path}: {answer}");
        assert!(fake.asked.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_stale_socket_is_taken_over_and_a_living_one_is_not() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("branchline.sock");
    let bound = bind(&path).unwrap();
    // The store is being opened: an order that waited here would be carried out after its sender gave up.
    let refused = std::os::unix::net::UnixStream::connect(&path).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    let living = bound.listen().unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    assert!(matches!(bind(&path), Err(SocketProblem::Answered(_))));
    drop(living);
    assert!(path.exists(), "what a dead daemon leaves");
    bind(&path).unwrap();

    let file = folder.path().join("notes.txt");
    std::fs::write(&file, "keep").unwrap();
    assert!(matches!(bind(&file), Err(SocketProblem::NotASocket(_))));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "keep");
    let nowhere = bind(&folder.path().join("missing/branchline.sock")).unwrap_err().to_string();
    assert!(nowhere.contains("its directory must exist"), "{nowhere}");
}

#[tokio::test]
async fn the_desk_gives_each_operator_the_own_answer() {
    let (sent, engine) = crossbeam_channel::unbounded();
    let desk =
        Desk::new(limits::OPERATORS, move |ticket, request| sent.send((ticket, request)).map_err(|_| Busy::Ending));
    let answering = desk.clone();
    let (first, second, ()) = tokio::join!(desk.ask(Request::Status), desk.ask(Request::Metrics), async {
        let (one, two) = (engine.recv().unwrap(), engine.recv().unwrap());
        for (ticket, request) in [two, one] {
            answering.done(ticket, Reply::Text(request.name().into()));
        }
        answering.done(99, Reply::Text("nobody asked".into()));
    });
    assert_eq!(first, Ok(Reply::Text("status".into())));
    assert_eq!(second, Ok(Reply::Text("metrics".into())));
    drop(engine);
    assert_eq!(desk.ask(Request::Status).await, Err(Busy::Ending));
}

#[tokio::test]
async fn the_desk_never_queues_more_than_its_places_even_when_operators_hang_up() {
    let (sent, engine) = crossbeam_channel::unbounded();
    let desk =
        Desk::new(limits::OPERATORS, move |ticket, request| sent.send((ticket, request)).map_err(|_| Busy::Ending));
    for _ in 0..limits::OPERATORS {
        // Polled once and dropped: the operator hangs up.
        tokio::select! { biased; _ = desk.ask(Request::Status) => panic!("nobody answers"), () = async {} => () }
    }
    assert_eq!(desk.ask(Request::Status).await, Err(Busy::Full));
    assert_eq!(engine.len(), limits::OPERATORS);
    let (ticket, _) = engine.recv().unwrap();
    desk.done(ticket, Reply::Text(String::new()));
    let (again, ()) = tokio::join!(desk.ask(Request::Metrics), async {
        let (ticket, _) = engine.try_iter().last().unwrap();
        desk.done(ticket, Reply::Text("free again".into()));
    });
    assert_eq!(again, Ok(Reply::Text("free again".into())));
}
