//! An MQTT 5 broker inside the process (rumqttd 0.20), for the demo on a machine without one.
//!
//! Floor: demo. Good enough to show the daemon at work, no measure of it: tests of faults use mosquitto. It has no TLS and
//! no passwords here, and logs under the target `rumqttd` (a lost connection is an error there): filter it.
//!
//! What rumqttd makes of MQTT 5 (probed with rumqttc's v5 client on 2026-11-22, the last two rows read in its source;
//! `tests/simulator/broker.rs` keeps the probes that need no waiting):
//!
//! | feature | |
//! |---|---|
//! | session resumed, QoS 1 kept while away | yes |
//! | session expiry | **no**: a session is kept for ever (interval 1 s, resumed after 2.5 s) |
//! | DUP on redelivery | **no**: what was not acknowledged comes again with dup = false and a packet id from 1 |
//! | subscription identifiers | yes, but a **resumed session delivers without** any until the next SUBSCRIBE |
//! | message expiry | yes: what expired while the client was away is not delivered |
//! | retained, last will | yes |
//! | retain handling, No Local | **not obeyed** (what is retained is marked so) |
//! | overlapping filters | delivered once per filter, each with its identifier |
//! | receive maximum, maximum packet size | **not obeyed**: 100 in flight, packets up to 1 MiB, always |
//! | keep-alive 0 | refused |

use rumqttd::{Config, ConnectionSettings, RouterConfig, ServerSettings};
use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// How long the broker may take to listen. It takes milliseconds; this is for a machine under load.
const START: Duration = Duration::from_secs(10);
/// Ports to try: another process may take a free one before the broker does.
const TRIES: usize = 8;

/// A running broker. rumqttd has no way to stop: its threads end with the process.
#[derive(Debug)]
pub struct Broker {
    addr: SocketAddr,
}

impl Broker {
    /// Starts a broker on a free loopback port, on threads of its own.
    ///
    /// # Errors
    /// No port could be had, or the broker did not listen in time.
    pub fn start() -> io::Result<Broker> {
        for _ in 0..TRIES {
            // rumqttd binds the port itself and tells nobody, so a free one is found first and asked for.
            let addr = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
            if listen(addr)? {
                return Ok(Broker { addr });
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, "no free port for the broker, try again"))
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What `mqtt.url` is set to.
    pub fn url(&self) -> String {
        format!("mqtt://{}", self.addr)
    }
}

/// Starts a broker there and waits until it listens; `false` if the port was taken.
fn listen(addr: SocketAddr) -> io::Result<bool> {
    let mut broker = rumqttd::Broker::new(config(addr));
    // `start` returns only when its listener has failed, and says Ok even then (the reason is in rumqttd's own log).
    let running = thread::Builder::new().name("demo-broker".into()).spawn(move || drop(broker.start()))?;
    let until = Instant::now() + START;
    while !running.is_finished() {
        if TcpStream::connect(addr).is_ok() {
            // Somebody listens. If it is not us, our thread is ending right now.
            thread::sleep(Duration::from_millis(5));
            return Ok(!running.is_finished());
        }
        if Instant::now() > until {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the embedded broker does not listen"));
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(false)
}

fn config(listen: SocketAddr) -> Config {
    let server = ServerSettings {
        name: "demo".into(),
        listen,
        tls: None,
        next_connection_delay_ms: 0,
        connections: ConnectionSettings {
            connection_timeout_ms: 5_000,
            max_payload_size: 1024 * 1024,
            max_inflight_count: 100,
            auth: None,
            external_auth: None,
            dynamic_filters: true,
        },
    };
    Config {
        router: RouterConfig {
            max_connections: 64,
            max_outgoing_packet_count: 200,
            max_segment_size: 1024 * 1024,
            max_segment_count: 10,
            ..RouterConfig::default()
        },
        v5: Some(HashMap::from([("demo".into(), server)])),
        ..Config::default()
    }
}
