//! A storm of reconnections: the line between daemon and broker is cut hundreds or thousands of times, in the middle of whatever is
//! on it, while events flow. None is lost, none becomes two messages, whether it carries an id or not.
//!
//! The daemon runs as a value in this process, with short waits between connections: with its own it would take hours over as many.

use crate::faults::{FAST, fast_house, publish_beside, wait_until_drained, wait_until_heard};
use crate::house::{House, customer, order};
use branchline::app::Daemon;
use branchline::config;
use branchline::door::mqtt::Timing;
use serde_json::json;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// Reconnections among the usual tests.
const SHORT: u32 = 150;
/// Events in one round; rounds follow each other while the storm lasts.
const ROUND: u32 = 20;

/// Orders of which nobody says which event they are: only what the broker marks as a repeat is known to be one.
const NAMELESS: &str = r#"
[rules.nameless]
topic = "nameless/{order}"
to = "{{ payload.customer.phone }}"
consent = "orders"
opt_in = "payload.customer.whatsapp_opt_in"
[rules.nameless.message]
template = "order_ready"
body = ["{{ payload.customer.name | first_name }}", "{{ order }}"]
"#;

fn nameless(number: u32) -> (String, String) {
    let payload = json!({"customer": {"name": "Eva", "phone": customer(number), "whatsapp_opt_in": true}});
    (format!("nameless/{number}"), payload.to_string())
}

/// The line between daemon and broker. While it is bad, each connection ends after some bytes or milliseconds, whichever comes
/// first, in either direction.
struct Line {
    port: u16,
    bad: Arc<AtomicBool>,
    connections: Arc<AtomicU32>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Line {
    fn to(broker: u16) -> Line {
        let (bad, connections) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU32::new(0)));
        let (stop, mut stopped) = oneshot::channel();
        let (bound, port) = std::sync::mpsc::channel();
        let (is_bad, count) = (bad.clone(), connections.clone());
        let thread = std::thread::spawn(move || {
            crate::house::runtime().block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                bound.send(listener.local_addr().unwrap().port()).unwrap();
                loop {
                    let client = tokio::select! {
                        client = listener.accept() => client.unwrap().0,
                        _ = &mut stopped => return,
                    };
                    count.fetch_add(1, Ordering::Relaxed);
                    tokio::spawn(carry(client, SocketAddr::from(([127, 0, 0, 1], broker)), is_bad.clone()));
                }
            });
        });
        Line { port: port.recv().unwrap(), bad, connections, stop: Some(stop), thread: Some(thread) }
    }

    fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        self.thread.take().into_iter().for_each(|thread| drop(thread.join()));
    }
}

async fn carry(client: TcpStream, broker: SocketAddr, bad: Arc<AtomicBool>) {
    let Ok(server) = TcpStream::connect(broker).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let bytes = || if bad.load(Ordering::Relaxed) { fastrand::usize(150..12_000) } else { usize::MAX };
    let (down, up) = (bytes(), bytes());
    let life = async {
        tokio::time::sleep(Duration::from_millis(fastrand::u64(2..150))).await;
        while !bad.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        () = pass(&mut from_server, &mut to_client, down) => {}
        () = pass(&mut from_client, &mut to_server, up) => {}
        () = life => {}
    }
}

/// Carries at most so many bytes: what is beyond them never arrives.
async fn pass(from: &mut (impl AsyncReadExt + Unpin), to: &mut (impl AsyncWriteExt + Unpin), bytes: usize) {
    let (mut left, mut buffer) = (bytes, [0; 4096]);
    while left > 0 {
        let Ok(read @ 1..) = from.read(&mut buffer).await else { return };
        let some = read.min(left);
        if to.write_all(&buffer[..some]).await.is_err() {
            return;
        }
        left -= some;
    }
}

/// The daemon in this process, on a thread of its own.
struct Inside {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Inside {
    fn start(house: &House) -> Inside {
        let loaded = config::load(&house.configure(), None, &[]).unwrap();
        let (stop, stopped) = oneshot::channel();
        let (started, ready) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            crate::house::runtime().block_on(async {
                let quick = Duration::from_millis(2);
                let timing = Timing { base: quick, cap: quick * 5, ..Timing::default() };
                let daemon = Daemon::start_with(loaded, timing).await.unwrap();
                started.send(()).unwrap();
                stopped.await.ok();
                daemon.stop().await;
            });
        });
        ready.recv().unwrap();
        Inside { stop, thread }
    }

    fn end(self) {
        self.stop.send(()).unwrap();
        self.thread.join().unwrap();
    }
}

fn wait_until_linked(house: &mut House) {
    house.wait("the daemon has both links", |house| {
        house.status().is_some_and(|status| status["links"].as_array().unwrap().iter().all(|link| link["up"] == true))
    });
}

/// So many reconnections while events flow; how many events there were.
fn storm(reconnections: u32) -> u32 {
    let mut house = fast_house(&format!("{NAMELESS}{FAST}"));
    let line = Line::to(house.broker.port());
    house.layer("line", &format!("[mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\n", line.port));
    line.bad.store(false, Ordering::Relaxed);
    let daemon = Inside::start(&house);
    // What is published before the first subscription is nobody's.
    wait_until_linked(&mut house);
    line.bad.store(true, Ordering::Relaxed);
    let mut events = 0;
    while line.connections() <= reconnections {
        // Half of them with an id; the daemon has to hear before the broker may forget.
        let round =
            (events..events + ROUND).map(|number| if number % 2 == 0 { order(number) } else { nameless(number) });
        events += ROUND;
        let publishes = publish_beside(house.broker.port(), round.collect());
        let (control, least) = (house.control(), u64::from(events.saturating_sub(4 * ROUND)));
        house.wait_for("events come through the storm", Duration::from_secs(60), |_| {
            control.counters().accepted >= least
        });
        publishes.join().unwrap();
    }
    line.bad.store(false, Ordering::Relaxed);
    let within = Duration::from_secs(120);
    wait_until_linked(&mut house);
    house.wait_for_accepted(u64::from(events), within);
    wait_until_heard(&mut house, 1, within);
    wait_until_drained(&mut house, within);
    daemon.end();

    let mut texts: BTreeMap<String, u32> = BTreeMap::new();
    for seen in house.control().accepted() {
        *texts.entry(seen.text).or_default() += 1;
    }
    let twice: Vec<_> = texts.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "after {} connections: {twice:?}", line.connections());
    assert_eq!(texts.len() as u32, events + 1, "every order once, and the alarm");
    let db = rusqlite::Connection::open(house.path().join("outbox.db")).unwrap();
    let count = |query: &str| db.query_row(query, [], |row| row.get::<_, u32>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM message"), events + 1, "no event became two messages");
    assert_eq!(count("SELECT count(*) FROM message WHERE outcome = 'accepted' AND tries = 1"), events + 1);
    println!("{} connections, {events} events: none lost, none twice", line.connections());
    events
}

#[test]
fn a_storm_in_short() {
    assert!(storm(SHORT) > 0);
}

#[test]
#[ignore = "tests/storm runs it, for as many reconnections as asked for"]
fn a_storm() {
    let reconnections = std::env::var("BRANCHLINE_STORM").map_or(2_000, |text| text.parse().unwrap());
    storm(reconnections);
}
