//! What a test, the demo or a person tells the simulated API, and what it tells them.
//!
//! Floor: demo. Never prints a phone number or a token, `Debug` included.

use super::state::{Inner, State};
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What goes wrong, on request.
///
/// The first five strike before a request is read, in the order of arrival, so [`Control::fault_if`] never matches them.
/// Where a fault says "h2", a connection with HTTP/1.1 is reset instead.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The port is closed and all connections are reset, until the fault is cleared (its count is not used).
    RefuseConnections,
    /// A new connection is accepted, and nothing is ever said on it: no TLS handshake, no answer. Held until cleared.
    MuteTls,
    /// The connection is reset when the head of a request has come.
    ResetBeforeRead,
    /// h2: the stream is reset with REFUSED_STREAM before it is read.
    RefusedStream,
    /// h2: GOAWAY whose last stream is the one before this (0 for the first): neither this nor any later request on the
    /// connection is read; earlier ones are still answered.
    GoAway,
    /// The request is read and not taken, and the connection is reset.
    ResetAfterRead,
    /// The request is read and not taken, and never answered.
    Hang,
    /// The message is accepted, then its stream (h2: INTERNAL_ERROR) or connection dies without an answer.
    AcceptWithoutAnswer,
    /// The message is accepted, and never answered.
    AcceptThenHang,
    /// Not taken: this HTTP status, with this body or none.
    Status(u16, Option<String>),
    /// Not taken: the API's error body for this code, with its documented HTTP status.
    Code(i64),
    /// Handled as ever, answered after this time.
    SlowAnswer(Duration),
    /// The message is accepted, the answer is 200 with a body that is not JSON.
    GarbageBody,
    /// Not taken: a redirect to the same address.
    Redirect307,
}

/// Where a fault strikes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Listener,
    Connection,
    Head,
    Whole,
}

impl Fault {
    pub(super) fn stage(&self) -> Stage {
        match self {
            Fault::RefuseConnections => Stage::Listener,
            Fault::MuteTls => Stage::Connection,
            Fault::ResetBeforeRead | Fault::RefusedStream | Fault::GoAway => Stage::Head,
            _ => Stage::Whole,
        }
    }
}

/// How a request ended on this side.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Taken, with this wamid. Whether the sender heard of it is another matter.
    Accepted(String),
    /// Refused with the API's code.
    Refused(i64),
    /// Not taken: another HTTP status.
    Status(u16),
    /// Not taken and not answered.
    Nothing,
}

/// How an accepted message repeats an earlier one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Repeat {
    /// Its `biz_opaque_callback_data` was accepted before: surely the same message.
    Data,
    /// The same content was accepted for the same number before, with other callback data or none.
    Content,
}

/// One request that was read whole.
#[derive(Clone)]
pub struct Seen {
    /// Since the start of the simulator.
    pub at: Duration,
    /// `/v25.0/1065.../messages`
    pub path: String,
    /// `to` as it was written; empty if it was none.
    pub to: String,
    /// `template`, `text`, …
    pub kind: String,
    /// The template's name.
    pub template: Option<String>,
    /// The template's language.
    pub language: Option<String>,
    /// The message as a person reads it. Empty where the request was refused before that was known.
    pub text: String,
    /// The template's parameters: header, body, buttons.
    pub parameters: Vec<String>,
    /// `biz_opaque_callback_data`
    pub data: Option<String>,
    /// How it ended.
    pub answer: Answer,
    /// Why it was refused, in words.
    pub details: String,
    /// An accepted message that was accepted before.
    pub repeat: Option<Repeat>,
    /// It came over HTTP/2.
    pub http2: bool,
}

impl Seen {
    /// Whether the message was taken.
    pub fn accepted(&self) -> bool {
        matches!(self.answer, Answer::Accepted(_))
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tail: String = self.to.chars().skip(self.to.chars().count().saturating_sub(2)).collect();
        let answer = match &self.answer {
            Answer::Accepted(_) => "accepted".to_owned(),
            other => format!("{other:?}"),
        };
        let what = self.template.as_deref().unwrap_or(&self.kind);
        write!(f, "Seen({:?} {what} to …{tail}: {answer} {})", self.at, self.details)
    }
}

/// What has happened so far, in numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// TCP connections taken.
    pub connections: u64,
    /// TLS handshakes that failed.
    pub failed_handshakes: u64,
    /// Heads of requests that came.
    pub heads: u64,
    /// Requests that were read whole (messages and look-ups).
    pub whole: u64,
    /// Messages accepted.
    pub accepted: u64,
    /// Of these, the ones that repeat another by callback data or content.
    pub repeats: u64,
    /// Messages refused by the API's own rules (not by a fault).
    pub refused: u64,
}

type Matches = Arc<dyn Fn(&Seen) -> bool + Send + Sync>;

pub(super) struct Armed {
    fault: Fault,
    left: Option<u32>,
    when: Option<Matches>,
}

/// The faults in wait, first come first served.
#[derive(Default)]
pub(super) struct Faults(Vec<Armed>);

impl Faults {
    /// The fault that strikes here and now, counted down.
    pub(super) fn strike(&mut self, stage: Stage, seen: Option<&Seen>) -> Option<Fault> {
        let fits = |armed: &Armed| {
            armed.fault.stage() == stage
                && armed.when.as_ref().is_none_or(|matches| seen.is_some_and(|seen| matches(seen)))
        };
        let place = self.0.iter().position(fits)?;
        let fault = self.0[place].fault.clone();
        if let Some(left) = &mut self.0[place].left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.0.remove(place);
            }
        }
        Some(fault)
    }
}

/// A handle to a running simulator: any number of them, from any thread.
#[derive(Clone)]
pub struct Control(pub(super) Arc<State>);

impl Control {
    /// From now on this goes wrong: the next `count` times, or until [`Control::clear_faults`].
    pub fn fault(&self, fault: Fault, count: Option<u32>) {
        self.arm(fault, count, None);
    }

    /// The same for requests that match, before their answer is known (`answer` is [`Answer::Nothing`] then, `text` is empty).
    pub fn fault_if(&self, fault: Fault, count: Option<u32>, matches: impl Fn(&Seen) -> bool + Send + Sync + 'static) {
        self.arm(fault, count, Some(Arc::new(matches)));
    }

    fn arm(&self, fault: Fault, left: Option<u32>, when: Option<Matches>) {
        if left == Some(0) {
            return;
        }
        let close = fault == Fault::RefuseConnections;
        self.0.lock().faults.0.push(Armed { fault, left, when });
        if close {
            self.0.gate.close();
            self.cut();
        }
    }

    /// Everything works again. What hangs stays hung; what was mute is reset.
    ///
    /// # Errors
    /// The port could not be opened again.
    pub fn clear_faults(&self) -> std::io::Result<()> {
        self.0.lock().faults.0.clear();
        self.0.mute.send_modify(|epoch| *epoch += 1);
        self.0.gate.open()
    }

    /// Resets every open connection, as a router does that restarts.
    pub fn cut(&self) {
        self.0.cut.send_modify(|epoch| *epoch += 1);
    }

    /// Every request for a message that was read whole, oldest first (the last `Settings::keep`).
    pub fn seen(&self) -> Vec<Seen> {
        self.0.lock().seen.iter().cloned().collect()
    }

    /// The accepted ones of [`Control::seen`].
    pub fn accepted(&self) -> Vec<Seen> {
        self.0.lock().seen.iter().filter(|seen| seen.accepted()).cloned().collect()
    }

    /// The accepted ones that were accepted before, each with how.
    pub fn repeats(&self) -> Vec<Seen> {
        self.0.lock().seen.iter().filter(|seen| seen.repeat.is_some()).cloned().collect()
    }

    /// The numbers so far.
    pub fn counters(&self) -> Counters {
        self.0.lock().counters
    }

    /// From now on this is the only token.
    pub fn set_token(&self, token: &str) {
        token.clone_into(&mut self.0.lock().token);
    }

    /// The service window for free text to this number (with or without plus) is open, until [`Control::close_window`].
    pub fn open_window(&self, number: &str) {
        let person = self.0.person(number);
        self.0.lock().windows.insert(person);
    }

    /// The service window of this number has ended.
    pub fn close_window(&self, number: &str) {
        let person = self.0.person(number);
        self.0.lock().windows.remove(&person);
    }

    /// The `Date` header is wrong by this many seconds.
    pub fn skew_date(&self, seconds: i64) {
        self.0.lock().skew = seconds;
    }

    /// Answers have no `Date` header, or have one again.
    pub fn hide_date(&self, hidden: bool) {
        self.0.lock().dateless = hidden;
    }

    /// Waits until `done` says so of the requests seen; `false` if `within` passes first.
    pub async fn wait_for(&self, within: Duration, mut done: impl FnMut(&[Seen]) -> bool) -> bool {
        self.wait(within, |inner| done(inner.seen.make_contiguous())).await
    }

    /// Waits until at least this many messages were accepted; `false` if `within` passes first.
    pub async fn wait_for_accepted(&self, count: u64, within: Duration) -> bool {
        self.wait(within, |inner| inner.counters.accepted >= count).await
    }

    /// Waits until `done` says so of the counters; `false` if `within` passes first.
    pub async fn wait_for_counters(&self, within: Duration, mut done: impl FnMut(&Counters) -> bool) -> bool {
        self.wait(within, |inner| done(&inner.counters)).await
    }

    async fn wait(&self, within: Duration, mut done: impl FnMut(&mut Inner) -> bool) -> bool {
        let mut news = self.0.news.subscribe();
        let wait = async {
            loop {
                news.borrow_and_update();
                if done(&mut self.0.lock()) {
                    return;
                }
                if news.changed().await.is_err() {
                    // The sender lives in the state that we hold: this cannot be, and waiting on would be for ever.
                    return;
                }
            }
        };
        tokio::time::timeout(within, wait).await.is_ok()
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Control({:?})", self.counters())
    }
}

/// The last requests, so many and no more.
#[derive(Default)]
pub(super) struct Recent {
    seen: VecDeque<Seen>,
}

impl Recent {
    pub(super) fn push(&mut self, seen: Seen, keep: usize) {
        if self.seen.len() >= keep {
            self.seen.pop_front();
        }
        self.seen.push_back(seen);
    }

    fn iter(&self) -> impl Iterator<Item = &Seen> {
        self.seen.iter()
    }

    fn make_contiguous(&mut self) -> &[Seen] {
        self.seen.make_contiguous()
    }
}
