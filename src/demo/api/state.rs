//! What the simulator remembers, and the port that can be closed and opened again.
//!
//! Floor: demo.

use super::account::Account;
use super::chores::Chores;
use super::control::{Counters, Recent};
use super::fault::{BadCertificate, Faults};
use super::pace::{Pair, Sender};
use super::people::People;
use super::record::{Head, Record, Told};
use super::template::Templates;
use super::webhook::{Manner, Post};
use super::{Settings, lock};
use std::collections::{HashMap, HashSet};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

pub(super) struct State {
    pub(super) settings: Settings,
    /// The account's templates; their status may change.
    pub(super) templates: Mutex<Templates>,
    pub(super) gate: Gate,
    /// What happens later.
    pub(super) chores: Chores,
    /// The certificates that no client may take, as far as we have them.
    pub(super) bad_certificates: Vec<BadCertificate>,
    pub(super) record: Option<Record>,
    /// The way to the callback, if there is one.
    pub(super) post: Option<Post>,
    started: Instant,
    /// Milliseconds by which the simulator's own time was moved ahead.
    pub(super) skipped: AtomicU64,
    inner: Mutex<Inner>,
    /// Changes whenever something was seen or counted.
    pub(super) news: watch::Sender<u64>,
    /// Changes when all connections are to be reset.
    pub(super) cut: watch::Sender<u64>,
    /// Counts resets.
    pub(super) trial: watch::Sender<u64>,
    /// Changes when mute connections are to be let go.
    pub(super) mute: watch::Sender<u64>,
}

/// What changes with each request.
#[derive(Default)]
pub(super) struct Inner {
    pub(super) token: String,
    /// Tokens that were taken once.
    pub(super) former_tokens: Vec<String>,
    pub(super) account: Account,
    pub(super) limits: Limits,
    pub(super) faults: Faults,
    pub(super) seen: Recent,
    pub(super) counters: Counters,
    pub(super) people: People,
    pub(super) sender: Sender,
    /// What was looked up lately.
    pub(super) lookups: Sender,
    /// By wa_id: two spellings of one number are one person.
    pub(super) pairs: HashMap<String, Pair>,
    /// Hashes of what was accepted: callback data, number and content.
    pub(super) data: HashSet<u64>,
    pub(super) contents: HashSet<u64>,
    /// How reports are made.
    pub(super) manner: Manner,
    /// The `Date` header's error in seconds.
    pub(super) skew: i64,
    /// No `Date` header at all.
    pub(super) dateless: bool,
    /// Requests are missing in the record.
    pub(super) unrecorded: bool,
    /// Counts wamids and traces.
    pub(super) serial: u64,
}

/// The limits in force; they begin as the settings say.
#[derive(Clone, Copy, Default)]
pub(super) struct Limits {
    pub(super) sender_per_second: usize,
    pub(super) pair_burst: u32,
    pub(super) pair_slack: Duration,
}

impl Inner {
    /// As at the start.
    fn new(settings: &Settings) -> Inner {
        let limits = Limits {
            sender_per_second: settings.sender_per_second,
            pair_burst: settings.pair_burst,
            pair_slack: settings.pair_slack,
        };
        let (token, account) = (settings.token.clone(), settings.account.clone());
        let (faults, manner) = (Faults::seeded(settings.seed), settings.manner.clone());
        Inner { token, account, limits, faults, manner, ..Inner::default() }
    }
}

impl State {
    pub(super) fn new(mut settings: Settings, gate: Gate, chores: Chores, post: Option<Post>) -> Result<State, String> {
        settings.account.check()?;
        let templates = Mutex::new(Templates::read(settings.templates.as_ref())?);
        let inner = Inner::new(&settings);
        let bad_certificates = settings.bad_certificates.iter().map(|(bad, _)| *bad).collect();
        let record = settings.record.take().map(Record::new);
        Ok(State {
            templates,
            gate,
            chores,
            bad_certificates,
            record,
            post,
            started: Instant::now(),
            skipped: AtomicU64::new(0),
            inner: Mutex::new(inner),
            news: watch::Sender::new(0),
            cut: watch::Sender::new(0),
            trial: watch::Sender::new(0),
            mute: watch::Sender::new(0),
            settings,
        })
    }

    /// Forgets everything since the start: steps that wait, skipped time, faults, requests, numbers, limits and whom they counted, windows, the standing of
    /// templates, token, and what was not reported yet. Ids and wamids go on, so that none comes twice.
    pub(super) fn reset(&self) -> Result<(), String> {
        *lock(&self.templates) = Templates::read(self.settings.templates.as_ref())?;
        if let Some(post) = &self.post {
            post.restart(self.settings.seed);
        }
        // Steps that wait find another trial, and end.
        self.trial.send_modify(|trial| *trial += 1);
        self.skipped.store(0, Ordering::SeqCst);
        self.change(|inner| {
            let mut faults = std::mem::take(&mut inner.faults);
            faults.disarm(|_| true);
            faults.reseed(self.settings.seed);
            *inner = Inner { serial: inner.serial, faults, ..Inner::new(&self.settings) };
        });
        Ok(())
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }

    /// Since the start, and what was skipped.
    pub(super) fn now(&self) -> Duration {
        self.started.elapsed() + Duration::from_millis(self.skipped.load(Ordering::SeqCst))
    }

    /// Changes the state and tells those who wait.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let result = change(&mut self.lock());
        self.news.send_modify(|epoch| *epoch += 1);
        result
    }

    /// Writes a request to the record, if there is one. That it cannot be written is told once.
    pub(super) fn record(&self, head: &Head, body: Option<&[u8]>, told: Told) {
        let Some(record) = &self.record else { return };
        let token = self.lock().token.clone();
        if let Err(error) = record.write(self.now(), &token, head, body, told)
            && !std::mem::replace(&mut self.lock().unrecorded, true)
        {
            (self.settings.tell)(&format!("the record is incomplete from here on: {error}"));
        }
    }

    /// The wa_id of a number, however it is written.
    pub(super) fn person(&self, number: &str) -> String {
        let digits: String = number.chars().filter(char::is_ascii_digit).collect();
        (self.settings.wa_id)(&digits)
    }

    /// The `Date` header, unless it is hidden: the platform's clock, not the box's, so it may be read here.
    pub(super) fn date(&self) -> Option<String> {
        let (skew, hidden) = {
            let inner = self.lock();
            (jiff::SignedDuration::from_secs(inner.skew), inner.dateless)
        };
        let at = jiff::Timestamp::now().saturating_add(skew).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        if hidden { None } else { jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).ok() }
    }
}

/// A port that can be closed, so that connections are refused, and opened again.
pub(super) struct Gate {
    addr: SocketAddr,
    tls: bool,
    /// Bound and never listening: nobody else can take the port while it is closed, and the kernel refuses connections.
    _reserved: TcpSocket,
    listener: Mutex<Option<TcpListener>>,
    changed: watch::Sender<u64>,
    runtime: tokio::runtime::Handle,
}

impl Gate {
    /// Binds the port and opens it.
    pub(super) fn new(wanted: SocketAddr, tls: bool) -> io::Result<Gate> {
        let reserved = socket(wanted)?;
        let addr = reserved.local_addr()?;
        let gate = Gate {
            addr,
            tls,
            _reserved: reserved,
            listener: Mutex::new(None),
            changed: watch::Sender::new(0),
            runtime: tokio::runtime::Handle::current(),
        };
        gate.open()?;
        Ok(gate)
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `https://127.0.0.1:4711`, or the same with the host that the client asked.
    pub(super) fn origin(&self, host: Option<&str>) -> String {
        let host = host.map_or_else(|| self.addr.to_string(), str::to_owned);
        format!("{}://{host}", if self.tls { "https" } else { "http" })
    }

    pub(super) fn is_closed(&self) -> bool {
        lock(&self.listener).is_none()
    }

    /// Closes the port at once; connections in its queue are reset.
    pub(super) fn close(&self) {
        lock(&self.listener).take();
        self.changed.send_modify(|epoch| *epoch += 1);
    }

    /// Opens the port, if it is closed.
    pub(super) fn open(&self) -> io::Result<()> {
        let mut listener = lock(&self.listener);
        if listener.is_none() {
            let _runtime = self.runtime.enter();
            *listener = Some(socket(self.addr)?.listen(1024)?);
            self.changed.send_modify(|epoch| *epoch += 1);
        }
        Ok(())
    }

    /// The next connection.
    pub(super) async fn accept(&self) -> io::Result<TcpStream> {
        let mut changed = self.changed.subscribe();
        loop {
            let next = poll_fn(|cx| match &*lock(&self.listener) {
                Some(listener) => listener.poll_accept(cx),
                None => Poll::Pending,
            });
            tokio::select! {
                accepted = next => return accepted.map(|(stream, _)| stream),
                // The sender lives in `self`: an error cannot be, and would mean the same.
                _ = changed.changed() => {}
            }
        }
    }
}

fn socket(addr: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    Ok(socket)
}
