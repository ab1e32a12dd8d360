//! What a test, the demo or a person tells the simulated API, and what it tells them.
//!
//! Floor: demo. Never prints a phone number or a token, `Debug` included.

use super::fault::{Aim, Armed, Fault, Matches, Stage};
use super::state::{Inner, State};
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

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
    /// The code of the `failed` status that follows an accepted message, where the account is [`super::Told::Later`].
    pub fails: Option<i64>,
    /// `UTILITY`, …: the category of a listed template.
    pub category: Option<String>,
    /// The recipient's wa_id or user id; empty where the request was refused before that was known.
    pub person: String,
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
        let answer = match &self.answer {
            Answer::Accepted(_) => "accepted".to_owned(),
            other => format!("{other:?}"),
        };
        let what = self.template.as_deref().unwrap_or(&self.kind);
        write!(f, "Seen({:?} {what} to {}: {answer} {})", self.at, masked(&self.to), self.details)
    }
}

/// The digits of a number, however it is written.
pub(super) fn digits(number: &str) -> String {
    number.chars().filter(char::is_ascii_digit).collect()
}

/// A number as it may be shown: its last two digits.
pub(super) fn masked(number: &str) -> String {
    let tail = number.chars().count().saturating_sub(2);
    format!("…{}", number.chars().skip(tail).collect::<String>())
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

/// A handle to a running simulator: any number of them, from any thread.
#[derive(Clone)]
pub struct Control(pub(super) Arc<State>);

impl Control {
    /// From now on this goes wrong: the next `count` times, or until [`Control::clear_faults`].
    pub fn fault(&self, fault: Fault, count: Option<u32>) {
        self.arm(fault, Aim { count, ..Aim::default() }, None);
    }

    /// The same for requests that match, before their answer is known (`answer` is [`Answer::Nothing`] then, `text` is empty).
    pub fn fault_if(&self, fault: Fault, count: Option<u32>, matches: impl Fn(&Seen) -> bool + Send + Sync + 'static) {
        self.arm(fault, Aim { count, ..Aim::default() }, Some(Arc::new(matches)));
    }

    /// The same with all that can be said of whom it strikes, and for how long. Its id, for [`Control::disarm`].
    ///
    /// # Errors
    /// What cannot strike: a number or template for a fault that comes before they are read, or a certificate that there
    /// is not. For a person.
    pub fn fault_at(&self, fault: Fault, aim: Aim) -> Result<u64, String> {
        let name = fault.name();
        if let Fault::Certificate(bad) = &fault
            && !self.0.bad_certificates.contains(bad)
        {
            return Err(format!("{name} needs TLS with certificates of our own making (--tls DIR)"));
        }
        if fault.stage() == Stage::Report && self.0.post.is_none() {
            return Err(format!("{name} is about reports, and there is no callback to report to (--callback URL)"));
        }
        if !matches!(fault.stage(), Stage::Whole | Stage::Report) && (aim.to.is_some() || aim.template.is_some()) {
            return Err(format!("{name} strikes before a request is read: it cannot be aimed at a number or template"));
        }
        let matches: Option<Matches> = (aim.to.is_some() || aim.template.is_some()).then(|| {
            let (person, template) = (aim.to.as_ref().map(|to| self.0.person(to)), aim.template.clone());
            let wa_id = self.0.settings.wa_id;
            let matches = move |seen: &Seen| {
                person.as_ref().is_none_or(|person| wa_id(&digits(&seen.to)) == *person)
                    && template.as_ref().is_none_or(|template| seen.template.as_ref() == Some(template))
            };
            Arc::new(matches) as Matches
        });
        Ok(self.arm(fault, aim, matches))
    }

    fn arm(&self, fault: Fault, aim: Aim, matches: Option<Matches>) -> u64 {
        if aim.count == Some(0) {
            return 0;
        }
        let (close, mute, lasts) = (fault == Fault::RefuseConnections, fault == Fault::MuteTls, aim.lasts);
        let id = self.0.lock().faults.arm(fault, aim, matches);
        if close {
            self.0.gate.close();
            self.cut();
        }
        if let Some(lasts) = lasts {
            let control = self.clone();
            self.0.chores.later(lasts, move || {
                // What it has made mute is let go even if its count was used up before.
                if let Err(error) = control.disarm_if(|armed| armed.id == id, mute) {
                    (control.0.settings.tell)(&format!("the port cannot be opened again: {error}"));
                }
            });
        }
        id
    }

    /// This one is over; `false` if it was over already.
    ///
    /// # Errors
    /// The port could not be opened again.
    pub fn disarm(&self, id: u64) -> std::io::Result<bool> {
        self.disarm_if(|armed| armed.id == id, false).map(|gone| gone > 0)
    }

    /// Everything works again. What hangs stays hung; what was mute is reset.
    ///
    /// # Errors
    /// The port could not be opened again.
    pub fn clear_faults(&self) -> std::io::Result<()> {
        self.disarm_if(|_| true, true).map(drop)
    }

    /// Ends some faults; how many. With one of them, or if `release`, what is mute is let go; with the last that closed the
    /// port, the port opens.
    pub(super) fn disarm_if(&self, gone: impl Fn(&Armed) -> bool, release: bool) -> std::io::Result<usize> {
        let (gone, closed, release) = {
            let mut inner = self.0.lock();
            let release = release || inner.faults.iter().any(|armed| armed.fault == Fault::MuteTls && gone(armed));
            let gone = inner.faults.disarm(gone);
            (gone, inner.faults.iter().any(|armed| armed.fault == Fault::RefuseConnections), release)
        };
        if release {
            self.0.mute.send_modify(|epoch| *epoch += 1);
        }
        if closed { Ok(gone) } else { self.0.gate.open().map(|()| gone) }
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

    /// From now on this is the only token; the one before has expired.
    pub fn set_token(&self, token: &str) {
        self.0.lock().replace_token(token);
    }

    /// The service window for free text to this number (with or without plus) is open for 24 hours, as if the person wrote.
    pub fn open_window(&self, number: &str) {
        self.wrote(number);
    }

    /// The service window of this number has ended.
    pub fn close_window(&self, number: &str) {
        let person = self.0.person(number);
        self.0.lock().people.close_window(&person);
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
    /// Requests that were forgotten: the number of the first that is kept.
    forgotten: u64,
}

impl Recent {
    pub(super) fn push(&mut self, seen: Seen, keep: usize) {
        if self.seen.len() >= keep {
            self.seen.pop_front();
            self.forgotten += 1;
        }
        self.seen.push_back(seen);
    }

    fn iter(&self) -> impl Iterator<Item = &Seen> {
        self.seen.iter()
    }

    /// Those after number `after`, each with its number, which is counted from 1 since the start.
    pub(super) fn after(&self, after: u64) -> impl Iterator<Item = (u64, &Seen)> {
        let skip = usize::try_from(after.saturating_sub(self.forgotten)).unwrap_or(usize::MAX);
        (self.forgotten + 1..).zip(&self.seen).skip(skip)
    }

    /// The id of the last message that was accepted for a person that `is_it`.
    pub(super) fn last_wamid(&self, is_it: impl Fn(&str) -> bool) -> Option<String> {
        self.seen.iter().rev().filter(|seen| is_it(&seen.person)).find_map(|seen| match &seen.answer {
            Answer::Accepted(wamid) => Some(wamid.clone()),
            _ => None,
        })
    }

    fn make_contiguous(&mut self) -> &[Seen] {
        self.seen.make_contiguous()
    }
}
