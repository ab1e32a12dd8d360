//! A connection that only publishes, at QoS 1, and says what became of each publish: for `branchline forward`.
//!
//! Floor: doors. Keeps nothing across connections and repeats nothing: what the broker did not acknowledge on the connection
//! it was given to is not taken, and whoever asked asks again.

use super::Timing;
use super::dial::Plan;
use super::settings::Settings;
use super::why;
use crate::door::backoff::Backoff;
use crate::door::clock::SystemClock;
use crate::door::tls::TlsProblem;
use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PubAckReason};
use rumqttc::v5::{AsyncClient, Event};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Publishes that may wait for a place in the library's window; more are not taken.
const WAITING: usize = 4096;
/// How long the orderly end may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// The broker has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// And somebody hears it, now or when their session comes back.
    Heard,
    /// And nobody has a session that wants it.
    ByNobody,
}

/// The broker does not have it, or nobody knows.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotTaken {
    /// There is no connection.
    #[error("no connection to the broker")]
    NoConnection,
    /// More publishes wait than there is room for.
    #[error("the broker is too slow: {WAITING} publishes wait for it already")]
    Full,
    /// The connection ended before the acknowledgement.
    #[error("the connection to the broker ended before it acknowledged")]
    Lost,
    /// The broker refuses the topic.
    #[error("the broker refuses it: {0}")]
    Refused(String),
}

/// A handle on the connection; clones are the same one.
#[derive(Clone)]
pub struct Publisher(Arc<Mutex<Option<Line>>>);

/// One connection.
struct Line {
    client: AsyncClient,
    /// In the order in which they were asked for; the packet is known once the library has written it.
    waiting: VecDeque<(Option<u16>, oneshot::Sender<PubAckReason>)>,
}

impl Publisher {
    /// Keeps a connection from now on, on a task of its own. To be called inside a tokio runtime.
    ///
    /// # Errors
    /// A certificate or key that cannot be used. An absent broker is no error: nothing is taken until it is there.
    pub fn open(settings: &Settings, clock: &SystemClock) -> Result<Publisher, TlsProblem> {
        let timing = Timing::default();
        let plan = Plan::new(settings, clock, timing.keep_alive)?;
        let publisher = Publisher(Arc::default());
        tokio::spawn(publisher.clone().run(plan, timing));
        Ok(publisher)
    }

    /// Publishes now, in the order of the calls; what it returns resolves with the broker's word.
    ///
    /// # Errors
    /// It is not taken. After [`NotTaken::Lost`] the broker may have it all the same.
    pub fn publish(
        &self,
        topic: &str,
        payload: String,
    ) -> Result<impl Future<Output = Result<Taken, NotTaken>> + Send + use<>, NotTaken> {
        let (told, said) = oneshot::channel();
        let mut line = self.line();
        let line = line.as_mut().ok_or(NotTaken::NoConnection)?;
        line.client.try_publish(topic, QoS::AtLeastOnce, false, payload).map_err(|_| NotTaken::Full)?;
        line.waiting.push_back((None, told));
        Ok(async move {
            match said.await {
                Ok(PubAckReason::Success) => Ok(Taken::Heard),
                Ok(PubAckReason::NoMatchingSubscribers) => Ok(Taken::ByNobody),
                Ok(reason) => Err(NotTaken::Refused(format!("{reason:?}"))),
                Err(_) => Err(NotTaken::Lost),
            }
        })
    }

    /// DISCONNECT, behind what was asked for so far.
    pub async fn stop(&self) {
        let ended = self.line().as_ref().map(|line| line.client.try_disconnect().is_ok());
        let until = Instant::now() + FAREWELL;
        while ended == Some(true) && self.line().is_some() && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn run(self, plan: Plan, timing: Timing) {
        let mut backoff = Backoff::new(timing.base, timing.cap, timing.stable);
        let (host, port) = (plan.settings().host.clone(), plan.settings().port);
        for failures in 0.. {
            let (client, mut events) = plan.publisher(plan.target(failures).await, WAITING);
            let mut client = Some(client);
            let mut up = None;
            let why = loop {
                match events.poll().await {
                    Ok(Event::Incoming(Packet::ConnAck(_))) => {
                        tracing::info!(broker = host, port, "connected");
                        up = Some(Instant::now());
                        *self.line() = client.take().map(|client| Line { client, waiting: VecDeque::new() });
                    }
                    Ok(Event::Outgoing(Outgoing::Publish(packet))) => self.written(packet),
                    Ok(Event::Incoming(Packet::PubAck(answer))) => self.answered(answer.pkid, answer.reason),
                    Ok(Event::Outgoing(Outgoing::Disconnect)) => {
                        self.line().take();
                        return;
                    }
                    Ok(_) => {}
                    Err(error) => break why::why(&error, &plan.settings().client_id),
                }
            };
            // Whoever waits hears that nobody knows.
            self.line().take();
            let wait = backoff.after(up.map_or(Duration::ZERO, |up| up.elapsed()));
            tracing::warn!(broker = host, port, ?wait, "no broker: {why}");
            tokio::time::sleep(wait).await;
        }
    }

    fn written(&self, packet: u16) {
        let mut line = self.line();
        let waiting = line.iter_mut().flat_map(|line| &mut line.waiting);
        if let Some((unknown, _)) = waiting.into_iter().find(|(known, _)| known.is_none()) {
            *unknown = Some(packet);
        }
    }

    fn answered(&self, packet: u16, reason: PubAckReason) {
        let mut line = self.line();
        let Some(line) = line.as_mut() else { return };
        if let Some(place) = line.waiting.iter().position(|(known, _)| *known == Some(packet))
            && let Some((_, told)) = line.waiting.remove(place)
        {
            // Whoever asked may have hung up.
            let _ = told.send(reason);
        }
    }

    /// Held for a few instructions, never across an await.
    fn line(&self) -> MutexGuard<'_, Option<Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
