use super::*;
use crate::message::{Notice, Notices, Progress};
use std::sync::Mutex;
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

const SECRET: &str = "test_app_secret";
const NUMBER: &str = "106540352242922";

/// Keeps what it hears; or does not.
#[derive(Clone, Default)]
struct Ear {
    heard: Arc<Mutex<(Vec<Notice>, u64)>>,
    full: bool,
    /// Keeps nothing before this lets it.
    gate: Option<Arc<Semaphore>>,
}

impl Hear for Ear {
    async fn hear(&self, body: Bytes) -> Result<(), NotKept> {
        let body = whatsapp::notices(&body, NUMBER).unwrap_or(Notices { skipped: 1, ..Notices::default() });
        {
            let mut heard = self.heard.lock().unwrap();
            heard.0.extend(body.notices.into_iter().map(|update| update.notice));
            heard.1 += body.skipped;
        }
        if let Some(gate) = &self.gate {
            gate.acquire().await.unwrap().forget();
        }
        if self.full { Err(NotKept) } else { Ok(()) }
    }
}

async fn open(ear: Ear) -> SocketAddr {
    open_counted(ear).await.0
}

/// And what counts wrong signatures.
async fn open_counted(ear: Ear) -> (SocketAddr, Arc<AtomicU64>) {
    open_with(ear, None).await
}

async fn open_with(ear: Ear, identity: Option<(PathBuf, PathBuf)>) -> (SocketAddr, Arc<AtomicU64>) {
    let settings = Settings {
        listen: "127.0.0.1:0".parse().unwrap(),
        identity,
        app_secret: Secret::new(SECRET),
        verify_token: Secret::new("ours"),
    };
    let door = Webhook::open(settings).await.unwrap();
    let address = door.address().unwrap();
    let unsigned = door.unsigned();
    tokio::spawn(door.serve(ear));
    (address, unsigned)
}

fn sign(body: &[u8]) -> String {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
    let hex: String = ring::hmac::sign(&key, body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("X-Hub-Signature-256: sha256={hex}\r\n")
}

fn status(count: usize) -> Vec<u8> {
    let one = |n| serde_json::json!({"id": format!("wamid.{n}"), "status": "sent", "timestamp": "1763800000", "recipient_id": "5511987650001"});
    let statuses: Vec<_> = (0..count).map(one).collect();
    let value = serde_json::json!({"metadata": {"phone_number_id": NUMBER}, "statuses": statuses});
    serde_json::json!({"object": "whatsapp_business_account", "entry": [{"changes": [{"field": "messages", "value": value}]}]})
        .to_string()
        .into_bytes()
}

/// The status of the answer to one request on a connection of its own, and its body.
async fn ask(address: SocketAddr, head: &str, body: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("{head}Host: box\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    // Who refuses early closes early.
    let _ = stream.write_all(body).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

async fn post(address: SocketAddr, signature: &str, body: &[u8]) -> u16 {
    ask(address, &format!("POST /hook HTTP/1.1\r\nContent-Length: {}\r\n{signature}", body.len()), body).await.0
}

#[tokio::test]
async fn the_platform_is_told_the_challenge_and_nobody_else() {
    let address = open(Ear::default()).await;
    let get = async |query: &str| ask(address, &format!("GET /any/path?{query} HTTP/1.1\r\n"), b"").await;
    let (status, body) = get("hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=ours").await;
    assert_eq!((status, body.as_str()), (200, "1158201444"));
    for query in [
        "hub.mode=subscribe&hub.challenge=1&hub.verify_token=other",
        "hub.mode=subscribe&hub.challenge=1&hub.verify_token=",
        "hub.mode=subscribe&hub.challenge=1",
        "hub.mode=unsubscribe&hub.challenge=1&hub.verify_token=ours",
        "hub.mode=subscribe&hub.verify_token=ours",
        "",
    ] {
        let (status, body) = get(query).await;
        assert_eq!((status, body.as_str()), (403, ""), "{query}");
    }
}

#[tokio::test]
async fn what_is_signed_is_stored_before_it_is_answered() {
    let ear = Ear::default();
    let address = open(ear.clone()).await;
    for count in [1, 3] {
        let body = status(count);
        assert_eq!(post(address, &sign(&body), &body).await, 200);
        let heard = std::mem::take(&mut ear.heard.lock().unwrap().0);
        assert!(
            heard.len() == count
                && heard
                    .iter()
                    .all(|notice| matches!(notice, Notice::Status(status) if status.progress == Progress::Sent))
        );
    }
    let other = br#"{"object":"page","entry":[]}"#;
    assert_eq!(post(address, &sign(other), other).await, 200, "signed: it would come back for a week");
    assert_eq!(ear.heard.lock().unwrap().1, 1);
    // A thousand updates, near the bound, and without a length.
    let large = status(1_000);
    assert_eq!(post(address, &sign(&large), &large).await, 200);
    let chunked = [format!("{:x}\r\n", large.len()).as_bytes(), &large, b"\r\n0\r\n\r\n"].concat();
    let head = format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n{}", sign(&large));
    assert_eq!(ask(address, &head, &chunked).await.0, 200);
    assert_eq!(ear.heard.lock().unwrap().0.len(), 2_000);
}

#[tokio::test]
async fn what_nobody_signed_is_not_read() {
    let ear = Ear::default();
    let (address, unsigned) = open_counted(ear.clone()).await;
    let body = status(1);
    let good = sign(&body);
    assert_eq!(post(address, "", &body).await, 401);
    assert_eq!(post(address, "X-Hub-Signature-256: sha256=abc\r\n", &body).await, 401);
    assert_eq!(post(address, &sign(b"other"), &body).await, 401);
    let mut changed = body.clone();
    changed[20] ^= 1;
    assert_eq!(post(address, &good, &changed).await, 401);
    let huge = format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n{good}", limits::NOTICE + 1);
    assert_eq!(ask(address, &huge, b"").await.0, 413);
    assert_eq!(ask(address, &format!("PUT / HTTP/1.1\r\nContent-Length: 0\r\n{good}"), b"").await.0, 405);
    assert!(ear.heard.lock().unwrap().0.is_empty());
    assert_eq!(unsigned.load(Ordering::Relaxed), 2, "of requests without a signature nobody knows what they are");
}

#[tokio::test]
async fn what_is_not_stored_is_asked_for_again() {
    let address = open(Ear { full: true, ..Ear::default() }).await;
    let body = status(1);
    assert_eq!(post(address, &sign(&body), &body).await, 503);
}

/// The bound of the issue is 250 ms, which the bench measures; here five seconds are left to a busy machine, while the flood goes on
/// for longer.
#[tokio::test]
async fn a_flood_of_unsigned_ones_keeps_no_valid_one_waiting() {
    let address = open(Ear::default()).await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let flood = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            tokio::select! { _ = stopped => (), () = pour(address) => () }
        });
    });
    let body = status(1);
    for _ in 0..20 {
        let asked = Instant::now();
        assert_eq!(post(address, &sign(&body), &body).await, 200);
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    }
    assert!(!flood.is_finished(), "the flood went on all the time");
    stop.send(()).unwrap();
    flood.join().unwrap();
}

/// For ever, 24 at a time: no signature; a wrong one over a small body; a wrong one over a large body.
async fn pour(address: SocketAddr) {
    let large: Arc<[u8]> = vec![b'x'; limits::NOTICE].into();
    let mut all = tokio::task::JoinSet::new();
    for n in 0..24 {
        let large = large.clone();
        all.spawn(async move {
            let (signature, body) =
                [(String::new(), &large[..100]), (sign(b"x"), &large[..100]), (sign(b"x"), &large[..])][n % 3].clone();
            loop {
                assert_ne!(post(address, &signature, body).await, 200);
            }
        });
    }
    if let Some(Err(wrong)) = all.join_next().await {
        panic!("{wrong}");
    }
}

/// More of them than there are connections, lanes and handshakes, each slow in its own way, and back soon after it is closed.
async fn trickle(address: SocketAddr) {
    let mut all = tokio::task::JoinSet::new();
    for n in 0..260 {
        all.spawn(async move {
            let head = |length: usize| {
                format!("POST / HTTP/1.1\r\nHost: box\r\nContent-Length: {length}\r\n{}\r\n", sign(b"x"))
            };
            let (first, then): (String, &[u8]) = match n % 5 {
                0 => (String::new(), b""),
                1 => (String::new(), b"P"),
                2 => ("POST / HTTP/1.1\r\nHost: box\r\nX-Padding: ".to_owned(), b"x"),
                3 => (head(SMALL), b"x"),
                _ => (head(limits::NOTICE), b"x"),
            };
            // One after the other.
            let begins = tokio::time::Instant::now() + Duration::from_millis(4 * n);
            let mut rests = tokio::time::interval_at(begins, Duration::from_millis(500));
            rests.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                rests.tick().await;
                let Ok(mut stream) = TcpStream::connect(address).await else { continue };
                let mut open = stream.write_all(first.as_bytes()).await.is_ok();
                while open {
                    // Until it is answered or closed, a byte a second.
                    let closed = tokio::time::timeout(Duration::from_secs(1), stream.read_u8()).await.is_ok();
                    open = !closed && stream.write_all(then).await.is_ok();
                }
            }
        });
    }
    if let Some(Err(wrong)) = all.join_next().await {
        panic!("{wrong}");
    }
}

/// In a thread of its own, until what this returns is sent or dropped.
fn flood(address: SocketAddr) -> (tokio::sync::oneshot::Sender<()>, std::thread::JoinHandle<()>) {
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            tokio::select! { _ = stopped => (), () = trickle(address) => () }
        });
    });
    (stop, thread)
}

/// The bound of the issue is 250 ms, which the bench measures; a slow flood that had its way held the door for ten seconds.
/// One may be sent away, as the oldest of too many on a machine that stood still, and is taken when it comes again.
fn judge(mut took: Vec<Duration>, again: usize) {
    took.sort();
    assert!(again * 10 <= took.len(), "{again} of {} were sent away", took.len());
    let (most, worst) = (took[took.len() * 9 / 10], took[took.len() - 1]);
    assert!(most <= Duration::from_secs(1), "nine of ten of {} within {most:?}, all within {worst:?}", took.len());
    assert!(worst <= Duration::from_secs(8), "{worst:?}");
}

/// Found by reading: 32 slow bodies held all lanes, and 128 silent connections the door, for ten seconds and more.
#[tokio::test]
async fn a_slow_flood_keeps_no_valid_one_waiting() {
    let ear = Ear::default();
    let address = open(ear.clone()).await;
    let (stop, thread) = flood(address);
    // The platform's connection of before is closed when others need it, and made anew.
    tokio::time::timeout(Duration::from_secs(5), async {
        while ear.heard.lock().unwrap().0.is_empty() {
            post(address, &sign(&status(1)), &status(1)).await;
        }
    })
    .await
    .unwrap();
    let (mut took, mut again) = (Vec::new(), 0);
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(4) {
        for count in [1, 50] {
            let (body, asked) = (status(count), Instant::now());
            while post(address, &sign(&body), &body).await != 200 {
                assert!(asked.elapsed() < Duration::from_secs(8));
                again += 1;
            }
            took.push(asked.elapsed());
        }
    }
    // A large one, too, finds its lane, at the latest when it comes again.
    let (large, asked) = (status(1_000), Instant::now());
    while post(address, &sign(&large), &large).await != 200 {
        assert!(asked.elapsed() < Duration::from_secs(5));
    }
    assert!(!thread.is_finished(), "the flood went on all the time");
    stop.send(()).unwrap();
    thread.join().unwrap();
    judge(took, again);
}

/// A box whose engine takes its time: who is waiting for it brought something, and is not closed for who brings nothing.
#[tokio::test]
async fn who_waits_for_the_engine_gives_way_to_no_flood() {
    let gate = Arc::new(Semaphore::new(0));
    let ear = Ear { gate: Some(gate.clone()), ..Ear::default() };
    let address = open(ear.clone()).await;
    let body = status(1);
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (signature, body) = (sign(&body), body.clone());
        all.spawn(async move { post(address, &signature, &body).await });
    }
    let heard = async {
        while ear.heard.lock().unwrap().0.len() < 8 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), heard).await.unwrap();
    let (stop, thread) = flood(address);
    // Those who came later and brought nothing were closed: all connections were given away once.
    for _ in 0..3 {
        let mut silent = TcpStream::connect(address).await.unwrap();
        let closed = tokio::time::timeout(Duration::from_secs(30), silent.read_u8()).await;
        assert!(closed.unwrap().is_err());
    }
    gate.add_permits(8);
    while let Some(answered) = all.join_next().await {
        assert_eq!(answered.unwrap(), 200);
    }
    stop.send(()).unwrap();
    thread.join().unwrap();
}

/// The same before anything can be read: connections that never shake hands.
#[tokio::test]
async fn who_never_shakes_hands_keeps_nobody_waiting() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let (address, _) = open_with(Ear::default(), Some((cert, key))).await;
    let (stop, thread) = flood(address);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let connector =
        tokio_rustls::TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth()));
    let body = status(1);
    let head = format!("POST / HTTP/1.1\r\nHost: box\r\nContent-Length: {}\r\n{}\r\n", body.len(), sign(&body));
    let request = [head.as_bytes(), &body].concat();
    let answer = async || {
        let stream = TcpStream::connect(address).await?;
        let mut stream = connector.connect("localhost".try_into().unwrap(), stream).await?;
        stream.write_all(&request).await?;
        stream.flush().await?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    let (mut took, mut again) = (Vec::new(), 0);
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(2) {
        let asked = Instant::now();
        while answer().await.ok().as_ref() != Some(b"HTTP/1.1 200") {
            assert!(asked.elapsed() < Duration::from_secs(8));
            again += 1;
        }
        took.push(asked.elapsed());
    }
    stop.send(()).unwrap();
    thread.join().unwrap();
    judge(took, again);
}
