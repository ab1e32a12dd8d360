//! The MQTT door: the broker's publishes become arrivals, the engine's wishes become packets.
//!
//! Floor: doors. Acknowledges nothing by itself, repeats nothing by itself and keeps nothing across connections: what the
//! broker has not got acknowledged it sends again, what it has not acknowledged the engine publishes again.
//!
//! ```text
//!            ┌────────────── back-off, room ◄──────────────┐
//!            ▼                                             │
//!         dialling ──CONNACK──► connected ──SUBACKs──► subscribed
//!            │                     └──────────┬────────────┘
//!            └──► Link Lost ◄─────────────────┘
//! ```
//!
//! **Epochs.** Each connection has a client of its own inside (`dial::Plan::client`) and a number. What a dead one left unread
//! is handed on all the same, and the broker repeats it. An acknowledgement of another epoch than the current one only gives
//! back its room.
//!
//! **The bound.** At most `receive_maximum` QoS 1 arrivals are with the engine at once, and a quarter as many of QoS 0. Without
//! room the door stops reading; after half a keep-alive it drops the connection and waits for room before it dials again.
//!
//! **Receipts.** The window in flight is empty after each `Link::Broker(Lost)`: the engine publishes again from its cursor, after
//! it has answered `Connected` with `Action::Subscribe`. Anything that it published before that answer is ignored.

mod arrive;
mod dial;
mod filters;
mod publisher;
mod room;
mod session;
mod settings;
mod visit;
mod why;
mod window;

pub use publisher::{NotTaken, Publisher, Taken};
pub use settings::*;
pub use visit::{Shut, ShutKind, Visit, Who, visit};
pub use why::tls_words;

use super::backoff::Backoff;
use super::clock::SystemClock;
use super::tls::TlsProblem;
use crate::engine::{BrokerLink, Link, Publish};
use crate::message::{Arrival, Delivery, Epoch, Filter, ReceiptId};
use dial::{OFFLINE, Plan};
use room::Room;
use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    ConnAck, Packet, PubAck, PubAckReason, Publish as Came, SubAck, SubscribeReasonCode, UnsubAck, UnsubAckReason,
};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, StateError};
use session::Session;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use why::Kicks;

/// The door's times. The defaults are right for every box; tests take shorter ones.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Between two signs of life that we send, 5 s at least (the library insists); the broker gives us up after one and a half of it (MQTT 5, 3.1.2.10).
    pub keep_alive: Duration,
    /// The longest wait after the first failure; it doubles from there.
    pub base: Duration,
    /// The longest wait of all.
    pub cap: Duration,
    /// How long a connection must last for the waits to start small again.
    pub stable: Duration,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            keep_alive: Duration::from_secs(30),
            base: Duration::from_millis(500),
            cap: Duration::from_secs(60),
            stable: Duration::from_secs(60),
        }
    }
}

/// How long the orderly end may take.
const FAREWELL: Duration = Duration::from_secs(1);
const FULL: &str = "no room for arrivals for half a keep-alive; the outbox is full or the disk is slow";

/// Where the door hands over. Nothing here may block: the door's own bounds see to it that there is room (`receive_maximum`
/// arrivals of QoS 1, a quarter of QoS 0, `limits::RECEIPTS_IN_FLIGHT` receipts, a few news a connection).
pub trait Arrivals: Send + Sync + 'static {
    /// A publish. Its room comes back by [`Mqtt::ack`], once for each.
    fn arrived(&self, arrival: Arrival);
    /// News about the broker. `Lost` comes after every failed attempt too, with its reason.
    fn link(&self, link: Link);
    /// The broker has this receipt and all that were published before it.
    fn receipt_taken(&self, receipt: ReceiptId);
}

/// A handle on the door; clones are the same door. Its methods never block and may be called on any thread.
#[derive(Clone)]
pub struct Mqtt(Arc<Shared>);

struct Shared {
    plan: Plan,
    timing: Timing,
    arrivals: Box<dyn Arrivals>,
    room: Room,
    session: Mutex<Option<Session>>,
    stopping: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// How a connection, or an attempt at one, ended.
enum End {
    Failed(Box<ConnectionError>),
    Full,
    Stopped,
}

/// The door, ready to be opened: nothing of its settings can refuse any more.
pub struct Prepared(Arc<Shared>);

/// Reads certificates and keys. Opens no connection.
///
/// # Errors
/// [`TlsProblem`] when a certificate or key cannot be used. An absent broker is no error: it is told by [`Arrivals::link`].
pub fn prepare(
    settings: &Settings,
    clock: &SystemClock,
    arrivals: impl Arrivals,
    timing: Timing,
) -> Result<Prepared, TlsProblem> {
    Ok(Prepared(Arc::new(Shared {
        plan: Plan::new(settings, clock, timing.keep_alive)?,
        timing,
        arrivals: Box::new(arrivals),
        room: Room::new(settings.receive_maximum),
        session: Mutex::new(None),
        stopping: watch::Sender::new(false),
        task: Mutex::new(None),
    })))
}

impl Prepared {
    /// From now on the door keeps a connection to the broker on a task of its own. To be called inside a tokio runtime.
    pub fn open(self) -> Mqtt {
        let task = tokio::spawn(Arc::clone(&self.0).run());
        *lock(&self.0.task) = Some(task);
        Mqtt(self.0)
    }
}

impl Mqtt {
    /// `Action::Ack`: the arrival with this delivery is done with.
    pub fn ack(&self, delivery: Delivery) {
        let Delivery::AtLeastOnce { epoch, packet, .. } = delivery else {
            self.0.room.release_qos0();
            return;
        };
        if let Some(session) = lock(&self.0.session).as_mut()
            && epoch == session.epoch
        {
            session.ack(packet);
        }
        self.0.room.release();
    }

    /// `Action::Subscribe`: SUBSCRIBE to `want`, UNSUBSCRIBE from `gone`. When all is answered, `Link::Broker(Subscribed)` follows.
    /// Void for another epoch than the current one.
    pub fn subscribe(&self, epoch: Epoch, want: Vec<Filter>, gone: Vec<String>) {
        self.0.with(epoch, |session| session.subscribe(want, gone));
        self.0.tell_subscribed(epoch);
    }

    /// `Action::Publish`: QoS 1. Dropped while there is no connection that the engine has answered by `subscribe`.
    pub fn publish(&self, publish: Publish) {
        let taken = lock(&self.0.session).as_mut().and_then(|session| session.publish(publish));
        if let Some(receipt) = taken {
            self.0.arrivals.receipt_taken(receipt);
        }
    }

    /// QoS 0 arrivals that found no room since the start.
    pub fn dropped(&self) -> u64 {
        self.0.room.dropped()
    }

    /// The orderly end: what was asked for so far, the retained state "offline", DISCONNECT; at most one second.
    pub async fn stop(&self) {
        self.0.stopping.send_replace(true);
        if let Some(session) = lock(&self.0.session).as_ref() {
            session.finish(self.0.plan.state_topic(), OFFLINE);
        }
        let Some(mut task) = lock(&self.0.task).take() else { return };
        if tokio::time::timeout(FAREWELL, &mut task).await.is_err() {
            task.abort();
        }
    }
}

impl Shared {
    async fn run(self: Arc<Self>) {
        let mut backoff = Backoff::new(self.timing.base, self.timing.cap, self.timing.stable);
        let mut kicks = Kicks::default();
        let mut failures = 0;
        for epoch in (1..).map(Epoch) {
            let (client, mut events) = self.plan.client(self.plan.target(failures).await);
            let mut up = None;
            let end = self.attend(&mut events, client, epoch, &mut up).await;
            lock(&self.session).take();
            failures = if up.is_some() { 0 } else { failures + 1 };
            let lasted = up.map_or(Duration::ZERO, |up: Instant| up.elapsed());
            let wait = backoff.after(lasted);
            let brief = up.is_some() && lasted < self.timing.stable;
            let (lost, loud) = match end {
                End::Stopped => return,
                End::Full => (FULL.to_owned(), false),
                End::Failed(error) => {
                    let listens = brief && why::closed(&error) && self.plan.listens().await;
                    self.explain(&error, kicks.ended(&error, brief, listens))
                }
            };
            self.leftovers(&mut events, epoch);
            drop(events);
            self.tell_lost(lost, loud, wait);
            let mut stopping = self.stopping.subscribe();
            tokio::select! {
                () = async { tokio::join!(tokio::time::sleep(wait), self.room.free()); } => {}
                _ = stopping.wait_for(|stopping| *stopping) => return,
            }
        }
    }

    /// In words, and whether only a person can help.
    fn explain(&self, error: &ConnectionError, contested: bool) -> (String, bool) {
        let client_id = &self.plan.settings().client_id;
        let closed = !matches!(error, ConnectionError::MqttState(StateError::ServerDisconnect { .. }));
        let why = if contested && closed { why::contested(client_id) } else { why::why(error, client_id) };
        (why, contested || matches!(error, ConnectionError::ConnectionRefused(_)))
    }

    fn tell_lost(&self, why: String, loud: bool, wait: Duration) {
        let broker = format!("{}:{}", self.plan.settings().host, self.plan.settings().port);
        if loud {
            tracing::error!(broker, ?wait, "no broker: {why}");
        } else {
            tracing::warn!(broker, ?wait, "no broker: {why}");
        }
        self.arrivals.link(Link::Broker(BrokerLink::Lost { why }));
    }

    /// One connection from dialling to its end. `poll` is never cancelled: a half-made connection or an acknowledgement that it has
    /// already taken would be lost with it.
    async fn attend(&self, events: &mut EventLoop, client: AsyncClient, epoch: Epoch, up: &mut Option<Instant>) -> End {
        let mut client = Some(client);
        let mut network = Instant::now();
        loop {
            // While the library has events left it does not touch the network, and pings nobody.
            let touched = events.state.events.is_empty();
            let event = match events.poll().await {
                Ok(event) => event,
                Err(_) if *self.stopping.borrow() => return End::Stopped,
                Err(error) => return End::Failed(Box::new(error)),
            };
            if touched {
                network = Instant::now();
            }
            match event {
                Event::Incoming(Packet::ConnAck(connack)) => {
                    if let Some(client) = client.take() {
                        *up = Some(Instant::now());
                        self.connected(epoch, client, &connack);
                    }
                }
                Event::Incoming(Packet::Publish(publish)) => {
                    if let Err(end) = self.hand_over(publish, epoch, network + self.timing.keep_alive / 2).await {
                        return end;
                    }
                }
                Event::Outgoing(Outgoing::Disconnect) => return End::Stopped,
                other => self.answered(other, epoch),
            }
        }
    }

    fn connected(&self, epoch: Epoch, client: AsyncClient, connack: &ConnAck) {
        let settings = self.plan.settings();
        let session = Session::new(epoch, client, connack, settings.receive_maximum);
        let mut place = lock(&self.session);
        // A stop that came while dialling had nobody to say goodbye with.
        if *self.stopping.borrow() {
            session.finish(self.plan.state_topic(), OFFLINE);
        }
        *place = Some(session);
        drop(place);
        tracing::info!(broker = settings.host, port = settings.port, session = connack.session_present, "connected");
        self.arrivals.link(Link::Broker(BrokerLink::Connected { epoch, session_present: connack.session_present }));
    }

    /// Hands one publish to the engine, waiting for room until `deadline`. Meanwhile nothing is read.
    async fn hand_over(&self, publish: Came, epoch: Epoch, deadline: Instant) -> Result<(), End> {
        match publish.qos {
            QoS::AtLeastOnce if !self.room.try_take() => {
                let mut stopping = self.stopping.subscribe();
                tokio::select! {
                    () = self.room.take() => {}
                    () = tokio::time::sleep_until(deadline) => return Err(End::Full),
                    // Not acknowledged: the broker keeps it. Polling goes on for the farewell.
                    _ = stopping.wait_for(|stopping| *stopping) => return Ok(()),
                }
            }
            QoS::AtLeastOnce => {}
            QoS::AtMostOnce if !self.room.take_qos0() => return Ok(()),
            QoS::AtMostOnce => {}
            QoS::ExactlyOnce => {
                self.with(epoch, |session| session.received(&publish));
                if !self.room.take_qos0() {
                    return Ok(());
                }
            }
        }
        self.arrivals.arrived(arrive::arrival(publish, epoch, self.plan.settings().max_payload));
        Ok(())
    }

    /// What a dead connection had read and not handed over. The broker repeats it if it still knows the session; if it has lost
    /// that, this is the only copy. What finds no room is left to the broker.
    fn leftovers(&self, events: &mut EventLoop, epoch: Epoch) {
        for event in events.state.events.drain(..) {
            let Event::Incoming(Packet::Publish(publish)) = event else { continue };
            if publish.qos == QoS::AtLeastOnce && self.room.try_take() {
                self.arrivals.arrived(arrive::arrival(publish, epoch, self.plan.settings().max_payload));
            }
        }
    }

    /// Everything that concerns what we sent.
    fn answered(&self, event: Event, epoch: Epoch) {
        match event {
            Event::Outgoing(Outgoing::PubAck(_)) => {
                self.with(epoch, Session::ack_written);
            }
            Event::Outgoing(Outgoing::Publish(packet)) => {
                self.with(epoch, |session| session.publish_written(packet));
            }
            Event::Outgoing(Outgoing::Subscribe(packet) | Outgoing::Unsubscribe(packet)) => {
                self.with(epoch, |session| session.ask_written(packet));
            }
            Event::Incoming(Packet::PubAck(answer)) => self.published(&answer, epoch),
            Event::Incoming(Packet::SubAck(SubAck { pkid, return_codes, .. })) => {
                let refused = return_codes.first().and_then(|code| match code {
                    SubscribeReasonCode::Success(_) => None,
                    SubscribeReasonCode::NotAuthorized => Some("not authorised by the broker's access list".to_owned()),
                    other => Some(format!("{other:?}")),
                });
                self.asked(pkid, refused, epoch);
            }
            Event::Incoming(Packet::UnsubAck(UnsubAck { pkid, reasons, .. })) => {
                let refused = reasons.first().and_then(|reason| match reason {
                    UnsubAckReason::Success | UnsubAckReason::NoSubscriptionExisted => None,
                    other => Some(format!("still subscribed: {other:?}")),
                });
                self.asked(pkid, refused, epoch);
            }
            _ => {}
        }
    }

    /// A refusal counts as taken: the broker has answered and would answer the same again, and nothing behind it may wait for that.
    fn published(&self, answer: &PubAck, epoch: Epoch) {
        if !matches!(answer.reason, PubAckReason::Success | PubAckReason::NoMatchingSubscribers) {
            tracing::error!(
                reason = ?answer.reason,
                "the broker refuses what we publish; allow this client to publish under branchline/{}/",
                self.plan.settings().branch.as_deref().unwrap_or("+")
            );
        }
        if let Some(receipt) = self.with(epoch, |session| session.published(answer.pkid)).flatten() {
            self.arrivals.receipt_taken(receipt);
        }
    }

    fn asked(&self, packet: u16, refused: Option<String>, epoch: Epoch) {
        self.with(epoch, |session| session.asked(packet, refused));
        self.tell_subscribed(epoch);
    }

    fn tell_subscribed(&self, epoch: Epoch) {
        let Some(refused) = self.with(epoch, Session::round_done).flatten() else { return };
        for (filter, reason) in &refused {
            tracing::error!(filter, reason, "the broker refuses a subscription; its events will not come");
        }
        self.arrivals.link(Link::Broker(BrokerLink::Subscribed { epoch, refused }));
    }

    fn with<T>(&self, epoch: Epoch, what: impl FnOnce(&mut Session) -> T) -> Option<T> {
        lock(&self.session).as_mut().filter(|session| session.epoch == epoch).map(what)
    }
}

/// Held for a few instructions, never across an await; a panic ends the process, so nobody sees it poisoned.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
