//! The daemon as a value: opens the doors and the store, runs the engine on a thread of its own, and ends in order.
//!
//! Floor: roof. Wiring only, it never decides: what happens is decided by the engine, done by the doors.

mod guard;
mod sink;

use crate::config::{self, Config, Loaded, Problem};
use crate::door::clock::SystemClock;
use crate::door::desk::{Busy, Desk};
use crate::door::ear::Ear;
use crate::door::mqtt::{self, Mqtt};
use crate::door::notice::Session;
use crate::door::operate;
use crate::door::tls::TlsProblem;
use crate::door::uplink::{self, Uplink};
use crate::door::watchdog::{self, Pulse};
use crate::door::webhook::{self, Webhook};
use crate::door::written::Written;
use crate::engine::{self, Action, Engine, Failure, Inbox, Input, Rooms, Told, World};
use crate::limits;
use crate::message::{Notices, Way};
use crate::operate::{Reply, Request};
use crate::outbox::{self, Claim, OpenError, Outbox};
use crate::rules::Rules;
use crate::time::Now;
use guard::Guard;
use sink::Sink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tracing::{error, info, warn};

/// How long posts on their way may take to end after a stop was asked for; what is not answered by then is `unknown` at the
/// next start. Longer than an ordinary answer takes, shorter than service managers wait before they kill (10 s and more).
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks at the arrivals that were dropped.
const LOOK: Duration = Duration::from_secs(5);

/// How long a start waits for the store: a command that found no daemon (`branchline status`) has it for a moment.
const STORE_PATIENCE: Duration = Duration::from_secs(3);
/// Between two tries at it.
const STORE_RETRY: Duration = Duration::from_millis(25);

/// Why the daemon does not start, or does not stay: for a person.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The store again, while it was read.
    #[error(transparent)]
    Engine(#[from] Failure),
    /// A certificate or key of the broker connection.
    #[error("mqtt: {0}")]
    Mqtt(#[from] TlsProblem),
    /// The uplink's settings.
    #[error(transparent)]
    Uplink(#[from] uplink::Problem),
    /// The operators' socket.
    #[error(transparent)]
    Socket(#[from] operate::SocketProblem),
    /// `operate.listen`
    #[error("{0}")]
    Listen(String),
    /// `[webhook]`
    #[error(transparent)]
    Webhook(#[from] webhook::Problem),
    /// The system gave no thread.
    #[error("the system gave no thread: {0}")]
    Thread(std::io::Error),
    /// The engine ended while nobody asked for it.
    #[error("the engine ended by itself: this is a bug of Branchline; please report it. The next start recovers")]
    Ended,
}

/// A running daemon.
pub struct Daemon {
    inbox: Inbox,
    mqtt: Mqtt,
    notice: Option<Session>,
    desk: Desk<Request, Reply>,
    clock: SystemClock,
    page: Option<std::net::SocketAddr>,
    engine: JoinHandle<()>,
    ended: oneshot::Receiver<()>,
    reloads: crossbeam_channel::Sender<Reload>,
    /// What the doors were opened with: what differs from it needs a restart, however often it was read since.
    started: Config,
    tasks: Vec<AbortHandle>,
    guard: Option<Guard>,
}

/// A new configuration on its way to the engine.
struct Reload {
    rooms: Rooms,
    rules: Rules,
}

impl Daemon {
    /// Opens everything and starts. To be called inside a tokio runtime.
    ///
    /// # Errors
    /// What keeps it from starting. An absent broker or uplink does not.
    pub async fn start(loaded: Loaded) -> Result<Daemon, StartError> {
        Daemon::start_with(loaded, mqtt::Timing::default()).await
    }

    /// As [`start`](Self::start), with other times of the broker's door.
    ///
    /// # Errors
    /// As there.
    pub async fn start_with(loaded: Loaded, timing: mqtt::Timing) -> Result<Daemon, StartError> {
        let Loaded { config, rules, .. } = loaded;
        let claim = claim_store(&config).await?;
        let clock = SystemClock::start(None);
        let (inbox, queue) = engine::channel(config.mqtt.receive_maximum.into(), config.uplink.max_in_flight);
        let sink = Sink { inbox: inbox.clone(), clock: clock.clone() };

        let (desk, heard) = (desk(&inbox), heard(&inbox));
        let ear = Ear::new(heard.clone(), &config.rooms.whatsapp.phone_number_id);
        let socket = operate::bind(&config.operate.socket)?;
        let page = match config.operate.listen {
            Some(on) => Some(operate::listen(on).await.map_err(StartError::Listen)?),
            None => None,
        };
        let webhook = match config.webhook.clone() {
            Some(settings) => Some(Webhook::open(settings).await?),
            None => None,
        };
        let page_address = page.as_ref().and_then(|listener| listener.local_addr().ok());
        let uplink = Uplink::open(&config.uplink, &clock, &Handle::current(), sink.clone())?;
        let notice = match &config.notice {
            Some(settings) => Some(Session::prepare(settings, &clock, ear.clone(), sink.clone())?),
            None => None,
        };
        let mqtt = mqtt::prepare(&config.mqtt, &clock, sink, timing)?;

        // Only now, when no door can refuse any more: once the store is brought forward there is no way back to the program before.
        let outbox = claim.open(config.rooms.outbox.clone(), seed())?;
        clock.stored(outbox.row().wall.reading());
        let store = outbox.row().store.clone();
        let engine = Engine::new(config.rooms.clone(), rules, outbox, clock.now(), clock.boot_id(), seed())?;
        let socket = socket.listen()?;
        let (mqtt, notice) = (mqtt.open(), notice.map(|open| open()));

        let mut tasks = vec![tokio::spawn(operate::serve_socket(socket, desk.clone())).abort_handle()];
        if let Some(listener) = page {
            tasks.push(tokio::spawn(operate::serve_page(listener, desk.clone())).abort_handle());
        }
        let unsigned = webhook.as_ref().map(Webhook::unsigned).unwrap_or_default();
        if let Some(door) = webhook {
            tasks.push(tokio::spawn(door.serve(ear)).abort_handle());
        }
        tasks.push(tokio::spawn(look(inbox.clone(), mqtt.clone(), unsigned)).abort_handle());

        let pulse = Pulse::default();
        let guard = Guard::start(config.board.as_ref(), pulse.clone(), inbox.clone());
        tasks.extend(guard::panel(config.board.as_ref(), desk.clone()));

        let (reloads, incoming) = crossbeam_channel::bounded(1);
        let (alive, ended) = oneshot::channel::<()>();
        let mut world = Outside {
            mqtt: mqtt.clone(),
            uplink,
            desk: desk.clone(),
            heard,
            clock: clock.clone(),
            stopwatch: Instant::now(),
            reloads: incoming,
            trouble: String::new(),
            store,
            folder: outbox::folder(&config.rooms.outbox.path).to_owned(),
            pulse,
            written: Written::default(),
        };
        let mut engine = engine;
        let engine = std::thread::Builder::new()
            .name("engine".to_owned())
            .spawn(move || {
                engine::run(&mut engine, &queue, &mut world, PATIENCE);
                drop(alive);
            })
            .map_err(StartError::Thread)?;
        info!(version = env!("CARGO_PKG_VERSION"), branch = config.rooms.branch, "started");
        let page = page_address;
        Ok(Daemon { inbox, mqtt, notice, desk, clock, page, engine, ended, reloads, started: config, tasks, guard })
    }

    /// Where requests of operators go, for whoever lives in the same process.
    pub fn desk(&self) -> Desk<Request, Reply> {
        self.desk.clone()
    }

    /// Where the status page listens.
    pub fn page(&self) -> Option<std::net::SocketAddr> {
        self.page
    }

    /// The clock that everything runs on.
    pub fn clock(&self) -> &SystemClock {
        &self.clock
    }

    /// Reads the configuration again: all of it is taken, or nothing. Stored messages keep the text they were rendered with.
    /// Returns the keys that differ from what the daemon was started with and that only a restart changes.
    pub async fn reload(&mut self, file: &Path, board: Option<&str>) -> Vec<&'static str> {
        let (file, board) = (file.to_owned(), board.map(str::to_owned));
        // Not on the thread that carries the doors: files may be slow, and compiling takes its time.
        let read = tokio::task::spawn_blocking(move || reread(&file, board.as_deref())).await;
        let Loaded { config, rules, warnings, .. } = match read.unwrap_or_else(|ended| Err(vec![ended.to_string()])) {
            Ok(loaded) => loaded,
            Err(problems) => {
                for problem in problems {
                    error!("{problem}");
                }
                error!("the configuration has problems: the one before stays in force");
                return Vec::new();
            }
        };
        let reload = Reload { rooms: config.rooms.clone(), rules };
        if self.reloads.try_send(reload).is_err() {
            warn!("the last reload is not done yet: try again");
            return Vec::new();
        }
        // Wakes the engine, which looks for reloads with each batch.
        self.inbox.tell(Input::Woke);
        warn_all(&warnings);
        info!("the configuration was read again and is in force");
        config::restart_needed(&self.started, &config)
    }

    /// Until the engine ends by itself, which it does not unless it fails.
    pub async fn failed(&mut self) {
        // The sender is dropped when the thread ends, however it ends.
        let _ = (&mut self.ended).await;
    }

    /// Ends in order: no further posts, those on their way may end, then the broker is told.
    pub async fn stop(self) {
        self.inbox.stop();
        if !self.ended.is_terminated() {
            let _ = self.ended.await;
        }
        if let Some(notice) = &self.notice {
            notice.stop().await;
        }
        self.mqtt.stop().await;
        self.tasks.iter().for_each(AbortHandle::abort);
        if self.engine.join().is_err() {
            error!("the engine ended by a bug; the next start recovers");
        }
        if let Some(guard) = self.guard {
            guard.stop().await;
        }
    }
}

/// The daemon in the foreground, until SIGTERM or SIGINT; SIGHUP reads the configuration again.
///
/// # Errors
/// What keeps it from starting.
pub async fn run(file: &Path, board: Option<&str>, loaded: Loaded) -> Result<(), StartError> {
    // First: a signal during the start waits for its end and does not kill.
    let mut signals = Signals::new().map_err(StartError::Thread)?;
    warn_all(&loaded.warnings);
    let mut daemon = Daemon::start(loaded).await?;
    watchdog::ready();
    let told = stay(&mut daemon, &mut signals, file, board).await;
    watchdog::stopping();
    info!("stopping: posts on their way may end, at most {} s", PATIENCE.as_secs());
    daemon.stop().await;
    info!("stopped");
    told
}

/// Until a signal says stop.
async fn stay(daemon: &mut Daemon, signals: &mut Signals, file: &Path, board: Option<&str>) -> Result<(), StartError> {
    loop {
        tokio::select! {
            _ = signals.term.recv() => return Ok(()),
            _ = signals.int.recv() => return Ok(()),
            _ = signals.hup.recv() => {
                for key in daemon.reload(file, board).await {
                    warn!("{key} is not what the daemon was started with: that needs a restart");
                }
            }
            () = daemon.failed() => return Err(StartError::Ended),
        }
    }
}

/// What the system tells the daemon.
struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
}

impl Signals {
    /// From here on they are heard, and none ends the process by itself.
    fn new() -> std::io::Result<Signals> {
        Ok(Signals {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hup: signal(SignalKind::hangup())?,
        })
    }
}

/// The configuration as it is now; or lines for a person.
fn reread(file: &Path, board: Option<&str>) -> Result<Loaded, Vec<String>> {
    let told = |problems: Vec<Problem>| problems.iter().map(Problem::to_string).collect();
    config::load(file, board, &environment()).map_err(told)
}

/// The environment as the configuration reads it.
pub fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// An engine on the store alone, for commands while no daemon runs.
///
/// # Errors
/// What keeps the store from being opened; above all a daemon that has it.
pub fn offline(loaded: Loaded) -> Result<(Engine, SystemClock), StartError> {
    let Loaded { config, rules, .. } = loaded;
    let outbox = Outbox::open(config.rooms.outbox.clone(), seed())?;
    let clock = SystemClock::start(Some(outbox.row().wall.reading()));
    let engine = Engine::new(config.rooms, rules, outbox, clock.now(), clock.boot_id(), seed())?;
    Ok((engine, clock))
}

async fn claim_store(config: &Config) -> Result<Claim, OpenError> {
    let until = Instant::now() + STORE_PATIENCE;
    loop {
        match Claim::to(&config.rooms.outbox.path) {
            Err(OpenError::InUse(_)) if Instant::now() < until => tokio::time::sleep(STORE_RETRY).await,
            claimed => return claimed,
        }
    }
}

fn warn_all(warnings: &[Problem]) {
    for warning in warnings {
        warn!("{warning}");
    }
}

fn desk(inbox: &Inbox) -> Desk<Request, Reply> {
    let inbox = inbox.clone();
    Desk::new(limits::OPERATORS, move |ticket, request| given(inbox.tell(Input::Operator(ticket, request))))
}

fn heard(inbox: &Inbox) -> Desk<Notices, bool> {
    let inbox = inbox.clone();
    // Each way has a bound of its own below this: neither takes the other's places.
    Desk::new(limits::NOTICES + limits::NOTICE_WINDOW, move |ticket, notices| {
        given(inbox.tell(Input::Notice(ticket, notices)))
    })
}

fn given(took: bool) -> Result<(), Busy> {
    if took { Ok(()) } else { Err(Busy::Ending) }
}

fn seed() -> u64 {
    fastrand::u64(..)
}

/// Tells of arrivals that the door had to drop, and of reports that nobody vouched for: of a flood of them at times only.
async fn look(inbox: Inbox, mqtt: Mqtt, unsigned: Arc<AtomicU64>) {
    let mut dropped = 0;
    let mut tick = tokio::time::interval(LOOK);
    loop {
        tick.tick().await;
        let now = mqtt.dropped();
        if now > dropped && inbox.tell(Input::Overrun(now - dropped)) {
            dropped = now;
        }
        let bodies = unsigned.swap(0, Ordering::Relaxed);
        if bodies > 0 && !inbox.tell(Input::Unsigned(Way::Webhook, bodies)) {
            unsigned.fetch_add(bodies, Ordering::Relaxed);
        }
    }
}

/// The engine's way to the world.
struct Outside {
    mqtt: Mqtt,
    uplink: Uplink<Sink>,
    desk: Desk<Request, Reply>,
    heard: Desk<Notices, bool>,
    clock: SystemClock,
    stopwatch: Instant,
    reloads: crossbeam_channel::Receiver<Reload>,
    trouble: String,
    /// The first half of every message id.
    store: String,
    /// Where the store is.
    folder: PathBuf,
    pulse: Pulse,
    written: Written,
}

impl World for Outside {
    fn now(&mut self) -> Now {
        self.clock.now()
    }

    fn free_space(&mut self) -> Option<u64> {
        outbox::free_space(&self.folder).ok()
    }

    fn written(&mut self) -> Option<u64> {
        self.written.look()
    }

    fn stopwatch(&mut self) -> Duration {
        self.stopwatch.elapsed()
    }

    fn release(&mut self, action: Action) {
        match action {
            Action::Ack(delivery) => self.mqtt.ack(delivery),
            Action::Post(post) => self.uplink.post(post),
            Action::Probe => self.uplink.probe(),
            Action::Look(look) => self.uplink.look(look),
            Action::Subscribe { epoch, want, gone } => self.mqtt.subscribe(epoch, want, gone),
            Action::Publish(publish) => self.mqtt.publish(publish),
            Action::Show(told) => log(&told, &self.store),
            Action::Done(ticket, reply) => self.desk.done(ticket, reply),
            Action::Heard(ticket, kept) => self.heard.done(ticket, kept),
        }
    }

    fn trouble(&mut self, failure: Option<&Failure>) {
        let text = failure.map(ToString::to_string).unwrap_or_default();
        if text == self.trouble {
            return;
        }
        match failure {
            Some(failure) => error!("{failure}: nothing is acknowledged or sent until the store takes it"),
            None => info!("the store takes everything again"),
        }
        self.trouble = text;
    }

    fn reload(&mut self, engine: &mut Engine) {
        if let Ok(Reload { rooms, rules }) = self.reloads.try_recv() {
            engine.reload(self.clock.now(), rooms, rules);
        }
    }

    fn stepped(&mut self) {
        self.pulse.beat();
    }

    fn copies(&mut self) {
        self.pulse.copies();
    }
}

/// One decision as a line of log. Numbers are masked in it already.
fn log(told: &Told, store: &str) {
    let Told { rule, event, message, to, priority: _, outcome, reason, detail, loud } = told;
    let (rule, event) = (rule.as_deref(), event.as_deref());
    let (id, to) = (message.map(|id| format!("{store}-{id}")), to.as_deref());
    let (outcome, reason) = (outcome.map(|outcome| outcome.code()), reason.code());
    let said = if detail.is_empty() { outcome.unwrap_or(reason) } else { detail };
    if *loud {
        warn!(rule, event, id, to, outcome, reason, "{said}");
    } else {
        info!(rule, event, id, to, outcome, reason, "{said}");
    }
}

#[cfg(test)]
mod tests;
