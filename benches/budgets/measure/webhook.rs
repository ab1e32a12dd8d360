//! The platform's door: how soon a report is answered, beside events and in a flood of what nobody signed; and how many reports
//! `branchline forward` hands on.

use super::Size;
use crate::mosquitto::{Mosquitto, PATIENCE, Port};
use crate::report::{Report, Verdict, percentile, sorted};
use crate::world::{Bench, Ended, hear, orders, publish_at, runtime};
use serde_json::{Value, json};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SECRET: &str = "bench-app-secret";
/// Reports a second beside 50 events: what the platform sends at 20 messages a second, three reports and an answer for each.
const REPORTS: u32 = 80;
/// Connections of the platform.
const CLIENTS: u32 = 8;
/// The largest body that the platform sends.
const LARGE: usize = 3 << 20;

const WEBHOOK: &str = "app_secret_file = \"app-secret\"\nverify_token_file = \"verify-token\"\n";

pub fn webhook(size: Size, report: &mut Report) {
    let (mut bench, port) = (Bench::new(), Port::reserve());
    bench.house.write("app-secret", SECRET);
    bench.house.write("verify-token", "ours");
    let listens = format!("[webhook]\nlisten = \"127.0.0.1:{}\"\n{WEBHOOK}", port.number());
    bench.house.write("conf.d/webhook.toml", &listens);
    bench.house.start();

    let seconds = size.of(20, 1);
    let broker = bench.house.broker.port();
    let load = std::thread::spawn(move || publish_at(broker, orders(0..50 * seconds), Duration::from_millis(20)));
    let every = Duration::from_secs(1) * CLIENTS / REPORTS;
    let took = runtime().block_on(ask(port.number(), 0..REPORTS * seconds, every));
    load.join().unwrap();
    let figure = format!("median {:.1} ms, p99 {:.1} ms", percentile(&took, 50.0), percentile(&took, 99.0));
    let what = format!("a report's answer, {REPORTS}/s beside 50 events/s");
    report.add(what, "median ≤ 50 ms", figure, Verdict::of(percentile(&took, 50.0) <= 50.0));

    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let number = port.number();
    let flood = std::thread::spawn(move || {
        runtime().block_on(async {
            tokio::select! { _ = stopped => (), () = pour(number) => () }
        });
    });
    let first = REPORTS * seconds;
    let took = runtime().block_on(ask(number, first..first + size.of(400, 16), every));
    stop.send(()).unwrap();
    flood.join().unwrap();
    let slowest = percentile(&took, 100.0);
    let figure = format!("at most {slowest:.0} ms, median {:.1} ms", percentile(&took, 50.0));
    report.add("a report's answer in a flood of unsigned ones", "≤ 250 ms", figure, Verdict::of(slowest <= 250.0));
}

pub fn forward(size: Size, report: &mut Report) {
    let broker = Mosquitto::start_with(
        "allow_anonymous true\nlog_type none\nlog_type information\nset_tcp_nodelay true\n",
        |_| {},
    );
    let (folder, port) = (tempfile::tempdir().unwrap(), Port::reserve());
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("app-secret", SECRET);
    write("verify-token", "ours");
    write("notice-key", "5f4dcc3b5aa765d61d8327deb882cf99");
    write(
        "forward.toml",
        &format!(
            "[mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\n[webhook]\nlisten = \"127.0.0.1:{}\"\n{WEBHOOK}[notice]\nkey_file = \"notice-key\"\n",
            broker.port(),
            port.number()
        ),
    );
    let child = Command::new(env!("CARGO_BIN_EXE_branchline"))
        .args(["forward", "--config"])
        .arg(folder.path().join("forward.toml"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let ended = Ended::new(child);
    let heard = hear(broker.port(), "branchline/#");
    let number = port.number();
    // Until it has a broker it asks the platform to come again.
    runtime().block_on(async {
        let until = Instant::now() + PATIENCE;
        while !connects(number).await || post(&mut connect(number).await, &status(0, 1)).await != 200 {
            assert!(Instant::now() < until, "forward does not come up");
        }
    });
    for (updates, count) in [(1, size.of(20_000, 100)), (50, size.of(2_000, 20))] {
        let begun = Instant::now();
        runtime().block_on(async {
            let mut clients = tokio::task::JoinSet::new();
            for client in 0..16 {
                clients.spawn(async move {
                    let mut line = connect(number).await;
                    for n in (client..count).step_by(16) {
                        assert_eq!(post(&mut line, &status(n, updates)).await, 200);
                    }
                });
            }
            clients.join_all().await;
        });
        let rate = f64::from(count * updates) / begun.elapsed().as_secs_f64();
        report.show(format!("forward to its broker, {updates} to a body"), format!("{rate:.0} reports/s"));
    }
    drop((ended, heard));
}

/// Milliseconds that each answer took, ascending: messages from people of their own, at a pace, over connections that stay.
async fn ask(port: u16, numbers: std::ops::Range<u32>, every: Duration) -> Vec<f64> {
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..CLIENTS {
        let mut own = numbers.clone().skip(client as usize).step_by(CLIENTS as usize);
        clients.spawn(async move {
            let (mut line, mut tick, mut took) = (connect(port).await, tokio::time::interval(every), Vec::new());
            for n in own.by_ref() {
                tick.tick().await;
                let body = inbound(n);
                let asked = Instant::now();
                assert_eq!(post(&mut line, &body).await, 200);
                took.push(asked.elapsed().as_secs_f64() * 1e3);
            }
            took
        });
    }
    sorted(clients.join_all().await.concat())
}

/// For ever, 24 at a time: without a signature; a wrong one over a small body; a wrong one over a large one.
async fn pour(port: u16) {
    let large: Arc<[u8]> = vec![b'x'; LARGE].into();
    let mut all = tokio::task::JoinSet::new();
    for n in 0..24 {
        let large = large.clone();
        all.spawn(async move {
            let wrong = format!("X-Hub-Signature-256: {}\r\n", sign(b"x"));
            let (signature, body) = [("", &large[..100]), (&*wrong, &large[..100]), (&*wrong, &large[..])][n % 3];
            loop {
                let mut line = connect(port).await;
                let head = format!(
                    "POST / HTTP/1.1\r\nHost: box\r\nConnection: close\r\nContent-Length: {}\r\n{signature}\r\n",
                    body.len()
                );
                line.write_all(head.as_bytes()).await.unwrap();
                // Who refuses early closes early.
                line.write_all(body).await.ok();
                line.read_to_end(&mut Vec::new()).await.ok();
            }
        });
    }
    all.join_all().await;
}

async fn connects(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).await.is_ok()
}

async fn connect(port: u16) -> TcpStream {
    let line = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    line.set_nodelay(true).unwrap();
    line
}

/// One signed body; the status of its answer, which has no body.
async fn post(line: &mut TcpStream, body: &Value) -> u16 {
    let body = body.to_string();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: box\r\nContent-Length: {}\r\nX-Hub-Signature-256: {}\r\n\r\n",
        body.len(),
        sign(body.as_bytes())
    );
    line.write_all((head + &body).as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        assert_ne!(line.read_buf(&mut answer).await.unwrap(), 0, "the connection ended");
    }
    String::from_utf8_lossy(&answer).split(' ').nth(1).unwrap().parse().unwrap()
}

fn sign(body: &[u8]) -> String {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
    let hex: String = ring::hmac::sign(&key, body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={hex}")
}

fn inbound(n: u32) -> Value {
    let from = format!("5511{:09}", 970_000_000 + n);
    whole(json!({ "messages": [{ "from": from, "id": format!("in-{n}"), "timestamp": "1763800000", "type": "text",
        "text": { "body": "Oi, tudo bem?" } }] }))
}

fn status(n: u32, updates: u32) -> Value {
    let one = |update| {
        json!({ "id": format!("wamid.{n}-{update}"), "status": "delivered", "timestamp": "1763800000",
        "recipient_id": format!("5511{:09}", 970_000_000 + n), "biz_opaque_callback_data": format!("sp-042/k3f9-{n}/e-{update}") })
    };
    whole(json!({ "statuses": (0..updates).map(one).collect::<Vec<_>>() }))
}

fn whole(mut value: Value) -> Value {
    value["messaging_product"] = json!("whatsapp");
    value["metadata"] = json!({ "phone_number_id": "106540352242922" });
    json!({ "object": "whatsapp_business_account", "entry": [{ "id": "102", "changes": [{ "field": "messages", "value": value }] }] })
}
