//! The notice topic: what `branchline forward` heard at head office comes by the broker, for boxes that nothing can reach.
//!
//! Floor: doors. A session of its own (`<client_id>-notice`), so that a flood of events does not hold up notices, nor the other way
//! round. Acknowledges what is stored, in the order in which it came, and what can never be: a wrong signature does not become
//! right. Nothing is read before its signature is verified; nothing about a person is logged.

use super::clock::SystemClock;
use super::ear::Ear;
use super::mqtt::{self, Arrivals, Mqtt};
use super::secret::Secret;
use super::tls::TlsProblem;
use crate::engine::{BrokerLink, Link};
use crate::limits;
use crate::message::{Arrival, Delivery, Filter, Payload, ReceiptId, Way};
use crate::whatsapp;
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::{AbortHandle, JoinHandle};

/// Between two tries to have a notice stored.
const AGAIN: Duration = Duration::from_secs(1);
/// Arrivals, QoS 0 ones, and news of connections that may wait for the task: a connection has three news, and takes a second.
const EVENTS: usize = 2 * limits::NOTICE_WINDOW + 64;

/// `[notice]`, and how the broker is reached.
#[derive(Clone, Debug)]
pub struct Settings {
    /// As `[mqtt]`, with a session of its own and without the box's state.
    pub mqtt: mqtt::Settings,
    /// `branch.id`
    pub branch: String,
    /// The content of `notice.key_file`.
    pub key: Secret,
}

/// What is told beside the notices themselves.
pub trait Tell: Send + Sync + 'static {
    /// News of the session's connection.
    fn link(&self, link: BrokerLink);
    /// A notice was not signed by head office.
    fn unsigned(&self);
}

/// The open session.
pub struct Session {
    mqtt: Mqtt,
    task: AbortHandle,
}

impl Session {
    /// Reads certificates and keys; what it returns opens the session, inside a tokio runtime: notices go to `ear` from then on.
    ///
    /// # Errors
    /// A certificate or key that cannot be used.
    pub fn prepare<T: Tell>(
        settings: &Settings,
        clock: &SystemClock,
        ear: Ear,
        tell: T,
    ) -> Result<impl FnOnce() -> Session + use<T>, TlsProblem> {
        let (events, queue) = channel(EVENTS);
        let door = mqtt::prepare(&settings.mqtt, clock, Sink(events), mqtt::Timing::default())?;
        let (filters, key) = (filters(settings), settings.key.clone());
        Ok(move || {
            let mqtt = door.open();
            let hearing = Hearing { mqtt: mqtt.clone(), filters, key, ear, tell };
            let task = tokio::spawn(hearing.attend(queue)).abort_handle();
            Session { mqtt, task }
        })
    }

    /// The orderly end: what is not stored stays with the broker.
    pub async fn stop(&self) {
        self.task.abort();
        self.mqtt.stop().await;
    }
}

/// What the session hears.
pub fn filters(settings: &Settings) -> Vec<Filter> {
    let filter = |(filter, identifier)| Filter { filter, identifier, retained: false };
    [(topic(Some(&settings.branch)), 1), (topic(None), 2)].into_iter().map(filter).collect()
}

/// The topic of notices for every branch.
pub const ALL: &str = "branchline/all/notice";

/// The topic of notices for one branch, or for every one.
pub fn topic(branch: Option<&str>) -> String {
    branch.map_or_else(|| ALL.to_owned(), |branch| format!("branchline/{branch}/notice"))
}

enum Event {
    Came(Arrival),
    Link(BrokerLink),
}

/// From the session's own task to ours.
struct Sink(Sender<Event>);

impl Sink {
    fn put(&self, event: Event) {
        if self.0.try_send(event).is_err() {
            // Not acknowledged: the broker sends a notice again with the next connection.
            tracing::warn!("notices wait for the engine for long; one is left to the broker");
        }
    }
}

impl Arrivals for Sink {
    fn arrived(&self, arrival: Arrival) {
        self.put(Event::Came(arrival));
    }
    fn link(&self, link: Link) {
        if let Link::Broker(link) = link {
            self.put(Event::Link(link));
        }
    }
    fn receipt_taken(&self, _: ReceiptId) {}
}

struct Hearing<T> {
    mqtt: Mqtt,
    filters: Vec<Filter>,
    key: Secret,
    ear: Ear,
    tell: T,
}

impl<T: Tell> Hearing<T> {
    /// At most a window of notices is with the engine at once; they are acknowledged in the order in which they came.
    async fn attend(self, mut queue: Receiver<Event>) {
        let mut waiting: VecDeque<(Delivery, JoinHandle<()>)> = VecDeque::new();
        loop {
            let first = async {
                match waiting.front_mut() {
                    // A panic ends the process; nothing else ends it early.
                    Some((_, stored)) => drop(stored.await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = first => {
                    if let Some((delivery, _)) = waiting.pop_front() {
                        self.mqtt.ack(delivery);
                    }
                }
                event = queue.recv() => match event {
                    Some(Event::Came(arrival)) => waiting.push_back((arrival.delivery, self.take(arrival))),
                    Some(Event::Link(link)) => {
                        if let BrokerLink::Connected { epoch, .. } = &link {
                            self.mqtt.subscribe(*epoch, self.filters.clone(), Vec::new());
                        }
                        self.tell.link(link);
                    }
                    None => return,
                }
            }
        }
    }

    /// Ends when the notice is stored, or can never be.
    fn take(&self, arrival: Arrival) -> JoinHandle<()> {
        let to_all = arrival.topic == ALL;
        let body = match &arrival.payload {
            Payload::Whole(payload) => whatsapp::unseal(self.key.reveal().as_bytes(), payload).map(Bytes::from),
            Payload::TooLarge { .. } => None,
        };
        let Some(body) = body else {
            self.tell.unsigned();
            return tokio::spawn(async {});
        };
        let ear = self.ear.clone();
        tokio::spawn(async move {
            while ear.take(&body, Way::Topic, to_all).await.is_err() {
                tokio::time::sleep(AGAIN).await;
            }
        })
    }
}
