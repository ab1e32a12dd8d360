//! A branch to measure: the house of the tests with the limits off, and what is needed to watch it from outside.

use crate::floor::Acks;
use crate::house::{self, House, TOKEN};
use crate::mosquitto::{Mosquitto, Port};
use crate::report::sorted;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Longer than anything here takes on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// The page is on.
const BENCH: &str = concat!(include_str!("../unlimited.toml"), "[operate]\n");

/// A house and where its page listens.
pub struct Bench {
    pub house: House,
    page: u16,
    _reserved: Port,
}

impl Bench {
    /// Broker and API; the daemon is not started yet.
    pub fn new() -> Bench {
        let mut house = House::with_api("", |settings| branchline::demo::api::Settings {
            sender_per_second: usize::MAX,
            pair_burst: u32::MAX,
            account: branchline::demo::api::Account::unlimited(),
            ..settings
        });
        // Its log of every packet would be measured too; that it runs it still says.
        house.broker = Mosquitto::start_with(
            "allow_anonymous true\nlog_type none\nlog_type information\nset_tcp_nodelay true\n",
            |_| {},
        );
        let reserved = Port::reserve();
        let page = reserved.number();
        std::fs::create_dir(house.path().join("conf.d")).unwrap();
        house.write("conf.d/bench.toml", &format!("{BENCH}listen = \"127.0.0.1:{page}\"\n"));
        Bench { house, page, _reserved: reserved }
    }

    /// With a daemon that has subscribed and reached the API.
    pub fn started() -> Bench {
        let mut bench = Bench::new();
        bench.house.start();
        bench
    }

    /// `/metrics` by sample name with labels.
    pub fn metrics(&self) -> HashMap<String, f64> {
        let mut page = TcpStream::connect(("127.0.0.1", self.page)).unwrap();
        write!(page, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        page.read_to_string(&mut text).unwrap();
        let samples = text.lines().filter(|line| line.starts_with("branchline_"));
        samples
            .filter_map(|line| line.rsplit_once(' '))
            .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
            .collect()
    }

    /// KiB of `/proc/<pid>/status`.
    pub fn memory(&self, field: &str) -> u64 {
        proc_field(&format!("/proc/{}/status", self.house.pid()), field)
    }

    /// Waits until the API has accepted so many in all.
    pub fn accepted(&mut self, count: u64) {
        self.house.wait_for_accepted(count, PATIENCE);
    }

    /// When each request for a message was read whole, by event id. Only from now on.
    pub fn requests(&self) -> Requests {
        let requests = Requests::default();
        let seen = requests.clone();
        let watch = branchline::demo::api::Fault::Status(500, None);
        // A fault that never strikes is asked about each request as soon as it is read.
        self.house.control().fault_if(watch, None, move |request| {
            let event = request.data.as_deref().and_then(|data| data.rsplit('/').next()).unwrap_or_default();
            seen.0.lock().unwrap().entry(event.to_owned()).or_insert_with(Instant::now);
            false
        });
        requests
    }

    /// The states that the daemon publishes, each with the instant in which it came.
    pub fn states(&self) -> Receiver<(Instant, String)> {
        hear(self.house.broker.port(), "branchline/t-1/state")
    }

    /// The bridge that keeps nothing, subscribed.
    pub fn floor(&self, acks: Acks) -> Ended {
        let config = std::fs::read_to_string(self.house.configure()).unwrap();
        let base = config.lines().find_map(|line| line.strip_prefix("base_url = ")).unwrap().trim_matches('"');
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg("--floor")
            .arg(self.house.broker.port().to_string())
            .arg(format!("{base}/v25.0/106540352242922/messages"))
            .arg(TOKEN)
            .arg(format!("{acks:?}"))
            .arg(self.house.path().join("api-ca.pem"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "ready");
        Ended(child)
    }
}

/// What is published there, each with the instant in which it came.
pub fn hear(port: u16, filter: &'static str) -> Receiver<(Instant, String)> {
    let (client, mut events) = client(port);
    let (told, heard) = channel();
    std::thread::spawn(move || {
        runtime().block_on(async {
            client.subscribe(filter, QoS::AtLeastOnce).await.unwrap();
            // Until the broker ends with its house.
            while let Ok(event) = events.poll().await {
                if let Event::Incoming(Packet::Publish(publish)) = event {
                    let text = String::from_utf8_lossy(&publish.payload).into_owned();
                    if told.send((Instant::now(), text)).is_err() {
                        return;
                    }
                }
            }
        });
    });
    heard
}

/// A child process that ends with this value.
pub struct Ended(Child);

impl Ended {
    pub fn new(child: Child) -> Ended {
        Ended(child)
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// When each request came.
#[derive(Clone, Default)]
pub struct Requests(Arc<Mutex<HashMap<String, Instant>>>);

impl Requests {
    pub fn of(&self, event: &str) -> Option<Instant> {
        self.0.lock().unwrap().get(event).copied()
    }

    pub fn first(&self) -> Option<Instant> {
        self.0.lock().unwrap().values().min().copied()
    }
}

/// Orders of customers of their own.
pub fn orders(numbers: std::ops::Range<u32>) -> Vec<(String, String)> {
    numbers.map(house::order).collect()
}

/// Publishes `events` one by one at this pace; when each was handed to the client.
pub fn publish_at(port: u16, events: Vec<(String, String)>, every: Duration) -> Vec<Instant> {
    let (client, mut events_of) = client(port);
    runtime().block_on(async move {
        let poll = tokio::spawn(async move { while events_of.poll().await.is_ok() {} });
        let mut tick = tokio::time::interval(every);
        let mut sent = Vec::with_capacity(events.len());
        for (topic, payload) in events {
            tick.tick().await;
            sent.push(Instant::now());
            client.publish(topic, QoS::AtLeastOnce, false, payload).await.unwrap();
        }
        // The last one leaves before the runtime ends.
        tick.tick().await;
        client.disconnect().await.unwrap();
        poll.await.unwrap();
        sent
    })
}

fn client(port: u16) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new(format!("bench-{:x}", fastrand::u64(..)), "127.0.0.1", port);
    options.set_outgoing_inflight_upper_limit(64);
    let mut network = rumqttc::NetworkOptions::new();
    network.set_tcp_nodelay(true);
    options.set_network_options(network);
    AsyncClient::new(options, 64)
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Milliseconds that one write of a page with its sync takes on the disk of `folder`, ascending.
pub fn syncs(folder: &Path, count: u64) -> Vec<f64> {
    let file = std::fs::File::create(folder.join("sync")).unwrap();
    let times = (0..count).map(|page| {
        file.write_all_at(&[1; 4096], page * 4096).unwrap();
        let started = Instant::now();
        file.sync_data().unwrap();
        started.elapsed().as_secs_f64() * 1e3
    });
    sorted(times.collect())
}

/// A number of a file of `/proc`.
pub fn proc_field(file: &str, field: &str) -> u64 {
    let text = std::fs::read_to_string(file).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim_start_matches(':').split_whitespace().next().unwrap().parse().unwrap()
}
