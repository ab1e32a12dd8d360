//! The simulated WhatsApp Cloud API: strict where the facts allow a choice, over real sockets, with faults on request.
//!
//! Floor: demo. Speaks HTTP/2 and HTTP/1.1 over TLS (by ALPN) or HTTP/1.1 in plain; one rule book for all (`decide`). What
//! the platform tells by itself is in `webhook`. It shares no code with the daemon, on purpose.
//!
//! ```text
//! Gate (port) ─► Line (bytes) ─► serve (h2 | http/1.1) ─► decide ─► access ─┬► message, template ─► people ─► pace ─► Seen
//!                                 │  ▲ faults before reading  │    ▲ after   └► lookup
//!                                 │                           └─► record (every request, as a line of JSON)
//!                                 └─► desk (/sandbox) ─┐
//!                            scenario (a file's steps) ─┴─► step ─► obey ─► Control ◄─ tests, the demo
//! ```

mod access;
mod account;
mod chores;
mod contacts;
mod control;
mod decide;
mod definition;
mod desk;
mod fault;
mod interactive;
mod json;
mod line;
mod lookup;
mod media;
mod message;
mod obey;
mod pace;
mod parameter;
mod people;
mod query;
mod record;
mod refusal;
mod scenario;
mod serve;
mod state;
mod step;
mod table;
mod template;
mod webhook;

pub use account::{Account, AccountChange, Health, MarketingBy, Told};
pub use control::{Answer, Control, Counters, Repeat, Seen};
pub use fault::{Aim, BadCertificate, Fault};
pub use pace::{PAIR_BURST, PAIR_INTERVAL, SENDER_PER_SECOND};
pub use people::Standing;
pub use scenario::Scenario;
pub use step::{Change, Clear, Order, Reports, Step, TemplateChange};
pub use table::Wrong;
pub use webhook::{Between, Callback, Inbound, Manner, Said};

use super::certs::{Authority, Identity, Validity};
use crate::time::Wall;
use chores::Chores;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serve::Doorman;
use state::{Gate, State};
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;
use webhook::Post;

/// Certificate and key of the server, in DER.
pub struct Tls {
    /// The chain, the server's own first.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its private key.
    pub key: PrivateKeyDer<'static>,
}

impl Tls {
    /// From PEM: the chain with the server's own certificate first, and its key.
    ///
    /// # Errors
    /// What is not PEM, or holds no certificate or no key.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> io::Result<Tls> {
        let wrong = |what: &str, error: pem::Error| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("the {what} is not PEM: {error}"))
        };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
        let chain = chain.map_err(|error| wrong("certificate", error))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| wrong("private key", error))?;
        if chain.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the certificate file holds no certificate"));
        }
        Ok(Tls { chain, key })
    }
}

impl From<&Identity> for Tls {
    fn from(identity: &Identity) -> Tls {
        Tls { chain: vec![identity.certificate_der()], key: identity.key_der() }
    }
}

impl Clone for Tls {
    fn clone(&self) -> Tls {
        Tls { chain: self.chain.clone(), key: self.key.clone_key() }
    }
}

/// How the simulator is set up. `Settings::default()` is a plain server on a free loopback port with the platform's limits.
pub struct Settings {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// TLS; plain HTTP without.
    pub tls: Option<Tls>,
    /// Clients must show a certificate by this authority (mTLS).
    pub client_ca: Option<CertificateDer<'static>>,
    /// The only token that is taken.
    pub token: String,
    /// An `appsecret_proof` that comes must be the one that this secret gives.
    pub app_secret: Option<String>,
    /// Requests must carry one. Without a secret it means nothing.
    pub require_proof: bool,
    /// The number id in the path.
    pub phone_number_id: String,
    /// The sender's own number, digits.
    pub own_number: String,
    /// What is behind the number: business account, portfolio, limits of people and marketing.
    pub account: Account,
    /// API versions that the path may name.
    pub versions: Vec<String>,
    /// The account's templates in the platform's own list shape. Without: any template, its parameters checked for form.
    pub templates: Option<serde_json::Value>,
    /// Messages a second; more are refused with 130429.
    pub sender_per_second: usize,
    /// The largest burst to one person; see [`PAIR_BURST`]. 1 is the strictest: one message in six seconds.
    pub pair_burst: u32,
    /// Forgives that the network delays one request more than the next. None by default.
    pub pair_slack: Duration,
    /// The `wa_id` of a number's digits.
    pub wa_id: fn(&str) -> String,
    /// Certificates for [`Fault::Certificate`]. Without TLS they are not used.
    pub bad_certificates: Vec<(BadCertificate, Tls)>,
    /// Where every request goes as a line of JSON; the token never gets into it.
    pub record: Option<File>,
    /// Whom it reports to: statuses of messages, what people write, news of the account.
    pub callback: Option<Callback>,
    /// How it reports.
    pub manner: Manner,
    /// What the dice of [`Aim::share`] begin with: the same seed, the same trial.
    pub seed: u64,
    /// Told what happens by itself: a step of a scenario, a record that cannot be written.
    pub tell: fn(&str),
    /// How many requests [`Control::seen`] keeps; older ones are forgotten. Kept for ever: what repeats are told by (16 bytes
    /// a message) and the pace of each person.
    pub keep: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            tls: None,
            client_ca: None,
            token: "sandbox-token".into(),
            app_secret: None,
            require_proof: true,
            phone_number_id: "106540352242922".into(),
            own_number: "5511900000000".into(),
            account: Account::default(),
            // The ones alive in November 2026 (facts 0).
            versions: ["v21.0", "v22.0", "v23.0", "v24.0", "v25.0", "v26.0"].map(String::from).into(),
            templates: None,
            sender_per_second: SENDER_PER_SECOND,
            pair_burst: PAIR_BURST,
            pair_slack: Duration::ZERO,
            wa_id: without_ninth_digit,
            bad_certificates: Vec::new(),
            record: None,
            callback: None,
            manner: Manner::default(),
            seed: 0,
            tell: |_| {},
            keep: 200_000,
        }
    }
}

/// The platform's habit with Brazilian mobiles outside the area codes 11 to 28: the wa_id lacks the ninth digit. One of the
/// "prefixes that may be rewritten" (facts 1.1).
pub fn without_ninth_digit(digits: &str) -> String {
    match digits.strip_prefix("55").and_then(|rest| rest.split_at_checked(2)) {
        Some((area, number)) if area >= "30" && number.len() == 9 && number.starts_with('9') => {
            format!("55{area}{}", &number[1..])
        }
        _ => digits.to_owned(),
    }
}

/// The names of this machine to itself.
const LOOPBACK: &[&str] = &["localhost", "127.0.0.1", "::1"];

/// Certificates that no client may take, for [`Settings::bad_certificates`].
///
/// # Errors
/// The system gave no randomness.
pub fn bad_certificates(authority: &Authority, now: Wall) -> Result<Vec<(BadCertificate, Tls)>, rcgen::Error> {
    const DAY: i64 = 24 * 60 * 60 * 1000;
    let right = Validity::around(now);
    let past = Validity { from: Wall(now.0 - 2 * DAY), until: Wall(now.0 - DAY) };
    let future = Validity { from: Wall(now.0 + DAY), until: Wall(now.0 + 2 * DAY) };
    let made = BadCertificate::ALL.map(|bad| {
        let identity = match bad {
            BadCertificate::Expired => authority.server(LOOPBACK, past),
            BadCertificate::NotYetValid => authority.server(LOOPBACK, future),
            BadCertificate::WrongName => authority.server(&["somewhere-else.invalid"], right),
            BadCertificate::UnknownAuthority => Authority::new(right)?.server(LOOPBACK, right),
        };
        identity.map(|identity| (bad, Tls::from(&identity)))
    });
    made.into_iter().collect()
}

/// A running simulator. Ends when it is dropped.
pub struct Api {
    control: Control,
    task: JoinHandle<()>,
    chores: JoinHandle<()>,
}

impl Api {
    /// Starts it on the runtime of the caller.
    ///
    /// # Errors
    /// The port is taken, the certificate does not fit its key, or the template list is not one.
    pub async fn start(mut settings: Settings) -> io::Result<Api> {
        let wrong = |why: String| io::Error::new(io::ErrorKind::InvalidInput, why);
        let (tls, ca) = (settings.tls.take(), settings.client_ca.take());
        let with_tls = tls.is_some();
        let doorman = Doorman::new(tls, ca, &mut settings.bad_certificates).map_err(wrong)?;
        let gate = Gate::new(settings.listen, with_tls)?;
        let (chores, worker) = Chores::new();
        let callback = settings.callback.take();
        let (post, queue) = match &callback {
            Some(_) => Some(Post::new(settings.seed)).unzip(),
            None => (None, None),
        };
        let state = Arc::new(State::new(settings, gate, chores, post).map_err(wrong)?);
        if let (Some(callback), Some(queue)) = (callback, queue) {
            state.chores.start(webhook::deliver(state.clone(), callback, queue));
        }
        let task = tokio::spawn(serve::run(state.clone(), doorman));
        let chores = tokio::spawn(worker.run());
        Ok(Api { control: Control(state), task, chores })
    }

    /// A simulator over TLS with a certificate by `authority` for `localhost` and 127.0.0.1, valid around `now`.
    ///
    /// # Errors
    /// As [`Api::start`]; also when the system gives no randomness.
    pub async fn start_tls(authority: &Authority, now: Wall, settings: Settings) -> io::Result<Api> {
        let made = |made: Result<Identity, _>| made.map_err(io::Error::other);
        let identity = made(authority.server(LOOPBACK, Validity::around(now)))?;
        let bad_certificates = bad_certificates(authority, now).map_err(io::Error::other)?;
        Api::start(Settings { tls: Some(Tls::from(&identity)), bad_certificates, ..settings }).await
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.control.0.gate.addr()
    }

    /// What `uplink.base_url` is set to: by address, so that the certificate must name it.
    pub fn url(&self) -> String {
        self.control.0.gate.origin(None)
    }

    /// The handle for faults and reports.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Ends it: the port is closed and all connections are reset or dropped.
    pub async fn stop(mut self) {
        self.end();
        // An abort is the only end of the task, so the result says nothing.
        let _ = (&mut self.task).await;
        let _ = (&mut self.chores).await;
    }

    fn end(&self) {
        self.control.0.gate.close();
        self.task.abort();
        self.chores.abort();
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.end();
    }
}

/// No holder of our locks can leave its value half-changed, so a panic elsewhere is no reason to stop.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
