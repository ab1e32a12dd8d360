//! What the platform reports by itself: signed webhooks to a callback address (facts 4).
//!
//! Floor: demo. Shares nothing with whoever reads them, on purpose.
//!
//! ```text
//! accepted message ─► plan (what becomes of it, when) ─┐
//! inbound, preferences, account, templates (steps) ────┴─► queue ─► deliver: gathers, signs, posts, tries again
//! ```

mod deliver;
mod inbound;
mod plan;
mod shape;

pub use inbound::{Inbound, Said};
pub use plan::{Between, Manner};

pub(super) use deliver::deliver;
pub(super) use shape::{account, capability, number, template};

use super::State;
use super::control::{Answer, Seen};
use super::fault::{Fault, Stage};
use rustls_pki_types::CertificateDer;
use serde_json::Value;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

/// Updates that wait for the callback at most; further ones are counted as dropped. Some 100 MiB.
const PENDING: u64 = 100_000;

/// Whom the platform reports to.
#[derive(Clone)]
pub struct Callback {
    /// The address: `https://…`, or `http://…` for a trial.
    pub url: String,
    /// The key of the signature.
    pub app_secret: String,
    /// What the address is asked for before the first report.
    pub verify_token: String,
    /// Authorities that are trusted beside the public ones.
    pub authorities: Vec<CertificateDer<'static>>,
    /// The WhatsApp Business Account that reports.
    pub account: String,
}

/// One thing to report.
#[derive(Clone, Debug)]
pub(super) enum Report {
    /// The standing of a message, and whom it went to unless it failed.
    Status { status: Value, contact: Option<Value> },
    /// What a person wrote or pressed.
    Message { message: Value, contact: Option<Value> },
    /// Anything else: the field and its value.
    Field(String, Value),
}

/// A report and when it leaves.
pub(super) struct Due {
    /// Which trial it belongs to; a reset begins another.
    pub(super) trial: u64,
    pub(super) at: Instant,
    pub(super) report: Report,
}

/// The way to the callback.
pub(super) struct Post {
    queue: UnboundedSender<Due>,
    dice: Mutex<fastrand::Rng>,
    pub(super) trial: AtomicU64,
    pub(super) tally: Mutex<Tally>,
}

/// What has become of reports so far.
#[derive(Clone, Default, Debug)]
pub(super) struct Tally {
    pub(super) verified: bool,
    pub(super) pending: u64,
    pub(super) delivered: u64,
    pub(super) posts: u64,
    pub(super) refused: u64,
    pub(super) given_up: u64,
    pub(super) dropped: u64,
    pub(super) trouble: String,
}

impl Post {
    pub(super) fn new(seed: u64) -> (Post, UnboundedReceiver<Due>) {
        let (queue, receiver) = unbounded_channel();
        let dice = Mutex::new(fastrand::Rng::with_seed(seed));
        (Post { queue, dice, trial: AtomicU64::new(0), tally: Mutex::default() }, receiver)
    }

    /// Another trial: what was not reported yet never is, and the dice fall as at the start.
    pub(super) fn restart(&self, seed: u64) {
        self.trial.fetch_add(1, Ordering::SeqCst);
        super::lock(&self.dice).seed(seed);
    }

    fn put(&self, after: Duration, report: Report) {
        let mut tally = super::lock(&self.tally);
        if tally.pending >= PENDING {
            tally.dropped += 1;
            return;
        }
        tally.pending += 1;
        // Nobody takes it only where the simulator has ended.
        let _ = self.queue.send(Due { trial: self.trial.load(Ordering::SeqCst), at: Instant::now() + after, report });
    }
}

/// What the platform charges a message as.
fn category(seen: &Seen) -> String {
    match (&seen.template, &seen.category) {
        (None, _) => "service".to_owned(),
        (_, Some(category)) => category.to_lowercase(),
        // No list tells.
        (_, None) => "utility".to_owned(),
    }
}

impl State {
    /// Reports now, and perhaps again a little later (facts 4.1: repeats are normal).
    pub(super) fn report(&self, report: Report) -> bool {
        let Some(post) = &self.post else { return false };
        let manner = self.lock().manner.clone();
        let again = {
            let mut dice = super::lock(&post.dice);
            (dice.f64() < manner.repeats).then(|| plan::REPEAT.pick(&mut dice))
        };
        if let Some(after) = again {
            post.put(after, report.clone());
        }
        post.put(Duration::ZERO, report);
        true
    }

    /// Plans what will be reported of a message that was accepted just now.
    pub(super) fn report_message(&self, seen: &Seen) {
        let (Some(post), Answer::Accepted(wamid)) = (&self.post, &seen.answer) else { return };
        let (manner, fault) = {
            let mut inner = self.lock();
            (inner.manner.clone(), inner.faults.strike(Stage::Report, Some(seen)))
        };
        // A failure that was asked for is not that of a rule.
        let details = if fault.is_some() { "" } else { seen.details.as_str() };
        let fault = fault.or(seen.fails.map(Fault::FailLater));
        let plan = match fault {
            Some(Fault::NoReport) => return,
            fault => plan::plan(&mut super::lock(&post.dice), &manner, fault.as_ref()),
        };
        let of = shape::Message {
            wamid,
            recipient: &seen.person,
            details,
            data: seen.data.as_deref(),
            category: &category(seen),
        };
        let now = jiff::Timestamp::now();
        for planned in plan {
            let at = now + planned.happens;
            post.put(planned.leaves, of.status(&planned.what, planned.charged, at));
        }
    }
}
