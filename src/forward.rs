//! Head office's part, for boxes that nothing can reach: the platform's webhooks come in here, and go as signed notices to the
//! branches' brokers.
//!
//! Floor: roof. Wiring only. It keeps nothing but a hint, in memory, of who wrote to whom last: the platform is answered after head office's broker has acknowledged, and repeats
//! what was not answered for seven days, so any number of it may run side by side and any of them may end at any time. It decides
//! nothing about people, and logs no number, name or text.

use crate::config::forward::Forward;
use crate::door::clock::SystemClock;
use crate::door::mqtt::{NotTaken, Publisher, Taken};
use crate::door::notice;
use crate::door::secret::Secret;
use crate::door::tls::TlsProblem;
use crate::door::webhook::{self, Hear, NotKept, Webhook};
use crate::limits;
use crate::whatsapp::{self, Reached};
use bytes::Bytes;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

/// How long the broker has for all notices of one body: the platform gives an answer some 20 s (facts 4.1).
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two lines of log about what was forwarded.
const SUM: Duration = Duration::from_secs(60);
/// Bytes of a PUBLISH beside its payload: topics are short.
const HEADER: usize = 128;

/// Why it does not start, or does not stay: for a person.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// A certificate or key of the broker connection.
    #[error("mqtt: {0}")]
    Mqtt(#[from] TlsProblem),
    /// The platform's door.
    #[error(transparent)]
    Webhook(#[from] webhook::Problem),
    /// The system.
    #[error("the system gave no signals or connections: {0}")]
    System(#[from] std::io::Error),
}

/// Until SIGTERM or SIGINT.
///
/// # Errors
/// [`Trouble`]. An absent broker is none: the platform is asked to come again until it is there.
pub async fn run(settings: Forward) -> Result<(), Trouble> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    // What it was started with stays: a restart loses nothing.
    let mut hup: Signal = signal(SignalKind::hangup())?;
    let clock = SystemClock::start(None);
    let webhook = Webhook::open(settings.webhook).await?;
    let address = webhook.address()?;
    let unsigned = webhook.unsigned();
    let publisher = Publisher::open(&settings.mqtt, &clock)?;
    let hub = Hub { publisher: publisher.clone(), key: settings.key, reached: Arc::default(), sums: Arc::default() };
    let sums = hub.sums.clone();
    let serving = webhook.serve(hub);
    tokio::pin!(serving);
    info!(version = env!("CARGO_PKG_VERSION"), %address, "forwarding");
    let mut every = tokio::time::interval(SUM);
    loop {
        tokio::select! {
            ended = &mut serving => return Ok(ended?),
            _ = term.recv() => break,
            _ = int.recv() => break,
            _ = hup.recv() => warn!("the configuration is read at the start only: restart, nothing is lost by it"),
            _ = every.tick() => sums.tell(&unsigned),
        }
    }
    publisher.stop().await;
    sums.tell(&unsigned);
    info!("stopped");
    Ok(())
}

/// What was done since the last line of log.
#[derive(Default)]
struct Sums {
    updates: AtomicU64,
    notices: AtomicU64,
    refused: AtomicU64,
    foreign: AtomicU64,
    unread: AtomicU64,
}

impl Sums {
    fn tell(&self, unsigned: &AtomicU64) {
        let take = |sum: &AtomicU64| sum.swap(0, Ordering::Relaxed);
        let (updates, notices, refused, foreign) =
            (take(&self.updates), take(&self.notices), take(&self.refused), take(&self.foreign));
        let unsigned = take(unsigned);
        if updates + refused + foreign + unsigned > 0 {
            info!(updates, notices, refused, foreign, unsigned, "forwarded in the last minute");
        }
        let unread = take(&self.unread);
        if unread > 0 {
            warn!(
                unread,
                "parts of bodies had a shape or a field that this version does not know: no box would read them, and they went nowhere; \
                 let the app subscribe to the fields of the README only"
            );
        }
    }
}

/// Whoever takes the platform's bodies: the way to the boxes.
#[derive(Clone)]
struct Hub {
    publisher: Publisher,
    key: Secret,
    /// Of this process alone: another one beside it knows what it heard itself.
    reached: Arc<Mutex<Reached>>,
    sums: Arc<Sums>,
}

impl Hear for Hub {
    async fn hear(&self, body: Bytes) -> Result<(), NotKept> {
        let routed = {
            let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
            whatsapp::route(&body, limits::FORWARDED, &mut reached)
        };
        let Ok(parted) = routed else {
            // Signed, and about something else: to refuse it would bring it back for seven days (facts 4.1).
            self.sums.foreign.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        };
        drop(body);
        self.sums.unread.fetch_add(parted.unread as u64, Ordering::Relaxed);
        match tokio::time::timeout(PATIENCE, self.forward(parted.bodies)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => Err(self.refuse(&why)),
            Err(_) => Err(self.refuse("the broker did not acknowledge in time")),
        }
    }
}

impl Hub {
    /// All at once, in order; done when the broker has all of them.
    async fn forward(&self, routed: Vec<whatsapp::Routed>) -> Result<(), String> {
        let (mut under_way, mut updates, mut too_large) = (Vec::new(), 0, None);
        for part in routed {
            let topic = notice::topic(part.branch.as_deref());
            let payload = whatsapp::seal(self.key.reveal().as_bytes(), &part.body);
            if payload.len() + HEADER > limits::NOTICE_PACKET {
                // Whatever it says, nobody may believe that it was heard: the others leave, and the body comes again.
                too_large =
                    Some(format!("one update for {topic} has {} bytes: more than the boxes take", payload.len()));
                continue;
            }
            updates += part.updates as u64;
            let taken = self.publisher.publish(&topic, payload).map_err(|why| why.to_string())?;
            under_way.push((topic, taken));
        }
        let notices = under_way.len() as u64;
        for (topic, taken) in under_way {
            match taken.await {
                Ok(Taken::Heard) => {}
                Ok(Taken::ByNobody) if topic == notice::ALL => {
                    return Err(format!("nobody hears {topic} yet: connect a box, or its broker's bridge, once"));
                }
                Ok(Taken::ByNobody) => {
                    warn!(topic, "the broker has it, and nobody has a session there: is the branch gone?")
                }
                Err(why @ NotTaken::Refused(_)) => {
                    return Err(format!("{why}; allow this user to publish to {topic}"));
                }
                Err(why) => return Err(why.to_string()),
            }
        }
        self.sums.updates.fetch_add(updates, Ordering::Relaxed);
        self.sums.notices.fetch_add(notices, Ordering::Relaxed);
        too_large.map_or(Ok(()), Err)
    }

    /// Told once a minute at most: the platform comes again and again.
    fn refuse(&self, why: &str) -> NotKept {
        if self.sums.refused.fetch_add(1, Ordering::Relaxed) == 0 {
            warn!("the platform is asked to come again: {why}");
        }
        NotKept
    }
}
