//! The day itself: events go out one after the other, each waited for by a condition, everything told as it happens.
//!
//! Floor: beside the roof.

use super::say::{Look, Say};
use super::scenario::{COUNTED, CUT, DIEGO, EVENING, EXPECTED, Event, MORNING, Row, rows_of};
use super::stage::Stage;
use super::sum;
use super::watch::{Message, News, Receipt, Record, Watch, masked};
use super::words::{in_words, who};
use crate::demo::api::Fault;
use crate::message::{Outcome, Reason};
use crate::operate::{ImportReport, LedgerLine, Request, StatusReport};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Between two looks at what is new.
const LOOK: Duration = Duration::from_millis(20);
/// So that a person can read along.
const BEAT: Duration = Duration::from_millis(450);
/// Shorter where the daemon's pauses grow meanwhile.
const SHORT_BEAT: Duration = Duration::from_millis(250);
/// After this time without an end it is told what a message waits for.
const WONDER: Duration = Duration::from_millis(250);
/// For what needs no waiting, on a machine that is busy with something else.
const SOON: Duration = Duration::from_secs(20);
/// For a backlog: the daemon's longest pause between two tries of the uplink here (16 s after five failures) and two turns of
/// the pair limit (18 s), doubled.
const BACKLOG: Duration = Duration::from_secs(70);

/// A day under way.
pub(super) struct Day<'a> {
    stage: &'a Stage,
    say: &'a mut Say,
    watch: Watch,
    /// When each event was published.
    published: HashMap<&'static str, Instant>,
    events: usize,
}

impl<'a> Day<'a> {
    /// Everything is set up and connected.
    pub(super) async fn dawn(stage: &'a Stage, say: &'a mut Say) -> Result<Day<'a>, String> {
        let watch = Watch::open(stage).await?;
        let mut day = Day { stage, say, watch, published: HashMap::new(), events: 0 };
        day.say.chapter("The shop opens");
        day.until_connected().await?;
        // What the daemon says of its uplink is news from here on.
        day.watch.until_up(SOON).await?;
        day.say.happens("", "The daemon has subscribed at the broker and has reached the API (HTTP/2 over TLS).");
        Ok(day)
    }

    /// Plays it; whether everything was as expected.
    pub(super) async fn play(&mut self) -> Result<bool, String> {
        self.record_stop().await?;
        self.events(MORNING, BEAT).await?;
        self.settled(MORNING.iter(), SOON).await?;

        self.say.chapter("The uplink is cut");
        self.say.happens("", "The line fails: from now on the API cannot be reached. Tills, node and broker go on.");
        self.stage.control().fault(Fault::RefuseConnections, None);
        // The connection that is open was reset; whoever posts before hearing of it could not know whether that arrived.
        self.pause(SHORT_BEAT).await?;
        self.events(CUT, SHORT_BEAT).await?;
        let kept = CUT.iter().flat_map(|event| rows_of(event.number)).filter(|row| !row.text.is_empty()).count();

        self.say.chapter("The uplink is back");
        let text = format!(
            "The line works again; {kept} messages wait on the box. The daemon finds out by itself: it tries after \
             pauses drawn at random, of at most 1 s, 2 s, 4 s and so on."
        );
        self.say.happens("", &text);
        self.stage.control().clear_faults().map_err(|error| format!("the simulated API's port: {error}"))?;
        self.settled(CUT.iter(), BACKLOG).await?;
        self.say.happens("", "The backlog has left.");
        self.events(EVENING, BEAT).await?;
        self.settled(EVENING.iter(), SOON).await?;
        // What should not come would come now.
        self.pause(BEAT).await?;
        self.watch.count().await?;
        Ok(self.sum_up())
    }

    /// Stays up and tells what comes of events that others publish.
    pub(super) async fn serve(&mut self) -> Result<(), String> {
        sum::addresses(self.say, self.stage);
        loop {
            self.pause(WONDER).await?;
            let before = self.watch.record.counters.clone();
            self.watch.count().await?;
            for ((rule, result), count) in &self.watch.record.counters {
                let silent = matches!(result.as_str(), "duplicate" | "when-false" | "no-rule" | "retained-ignored");
                if silent && before.get(&(rule.clone(), result.clone())) != Some(count) {
                    self.say.follows(Look::Plain, &format!("rule {rule}: {}", in_words(result)));
                }
            }
        }
    }

    /// Diego wrote STOP some day: in the ledger before he orders again.
    async fn record_stop(&mut self) -> Result<(), String> {
        let line = LedgerLine {
            line: 1,
            number: DIEGO.number.to_owned(),
            purpose: "all".to_owned(),
            action: "revoke".to_owned(),
            at: String::new(),
            source: "wrote STOP".to_owned(),
            wording: String::new(),
            expires: String::new(),
        };
        let report: ImportReport =
            self.watch.data(Request::ConsentImport { rows: vec![line], more: false, releases: false }).await?;
        if report.recorded != 1 {
            return Err(format!("the ledger took nothing: {:?}", report.problems));
        }
        let who = format!("{} {}", DIEGO.name, masked(DIEGO.number));
        self.say.happens("", &format!("An operator records in the ledger of consents that {who} wrote STOP."));
        Ok(())
    }

    async fn until_connected(&mut self) -> Result<(), String> {
        let until = Instant::now() + SOON;
        loop {
            let status: StatusReport = self.watch.data(Request::Status).await?;
            let links = &status.gauges.links;
            if !links.is_empty() && links.iter().all(|link| link.up) {
                return Ok(());
            }
            if Instant::now() > until {
                let why: Vec<_> = links.iter().map(|link| format!("{}: {}", link.link, link.why)).collect();
                return Err(format!("the daemon does not connect within {} s: {}", SOON.as_secs(), why.join("; ")));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn events(&mut self, events: &'static [Event], beat: Duration) -> Result<(), String> {
        for event in events {
            self.event(event).await?;
            self.pause(beat).await?;
        }
        Ok(())
    }

    /// One event: published, and what comes of it at once.
    async fn event(&mut self, event: &'static Event) -> Result<(), String> {
        self.say.happens(&format!("{} {}", event.number, event.topic), event.meaning);
        self.events += 1;
        self.published.entry(event.id).or_insert_with(Instant::now);
        self.watch.publish(event.topic, event.id, event.payload(self.stage.now())).await?;
        if let Some(row) = rows_of(event.number).find(|row| row.ends.0 == COUNTED) {
            return self.counted(row).await;
        }
        if !self.until(WONDER, |record| rows_of(event.number).all(|row| over(row, record))).await? {
            for (to, reason) in self.watch.waiting(event.id).await? {
                self.tell_wait(&to, reason);
            }
        }
        Ok(())
    }

    /// An event that makes no message: the daemon's counters say what came of it.
    async fn counted(&mut self, row: &Row) -> Result<(), String> {
        let until = Instant::now() + SOON;
        let told = |record: &Record| record.counters.keys().any(|(_, result)| result == row.ends.1);
        while !told(&self.watch.record) && Instant::now() < until {
            self.pause(LOOK).await?;
            self.watch.count().await?;
        }
        if told(&self.watch.record) {
            self.say.follows(Look::Plain, &in_words(row.ends.1));
        }
        Ok(())
    }

    /// Why what is stored has not left.
    fn tell_wait(&mut self, to: &str, reason: Reason) {
        let why = match reason {
            Reason::UplinkDown | Reason::InFlightLimit => "stored, as the uplink is down",
            Reason::PairLimit => "waits, as one person gets at most one message in 6 s",
            _ => "stored",
        };
        self.say.follows(Look::Faint, &format!("{}: {why} ({reason})", who(Some(to))));
    }

    /// Waits until nothing more can come of these events.
    async fn settled(
        &mut self,
        events: impl Iterator<Item = &'static Event> + Clone,
        within: Duration,
    ) -> Result<(), String> {
        self.until(within, |record| events.clone().all(|event| rows_of(event.number).all(|row| over(row, record))))
            .await?;
        // If it did not come in time, the comparison says so.
        Ok(())
    }

    /// Looks until the condition holds; `false` if `within` passes first.
    async fn until(&mut self, within: Duration, holds: impl Fn(&Record) -> bool) -> Result<bool, String> {
        let until = Instant::now() + within;
        loop {
            self.look().await?;
            if holds(&self.watch.record) {
                return Ok(true);
            }
            if Instant::now() > until {
                return Ok(false);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn pause(&mut self, time: Duration) -> Result<(), String> {
        self.until(time, |_| false).await.map(drop)
    }

    /// Tells what is new.
    async fn look(&mut self) -> Result<(), String> {
        for news in self.watch.look().await? {
            match news {
                News::Message(message) => self.tell_message(&message),
                News::Receipt(receipt) => self.tell_receipt(&receipt),
                News::Uplink(false) => self.say.follows(Look::Bad, "the daemon says: the uplink is down"),
                News::Uplink(true) => self.say.follows(Look::Good, "the daemon says: the uplink is up"),
            }
        }
        Ok(())
    }

    fn tell_message(&mut self, message: &Message) {
        let waited = self.waited(message).filter(|waited| *waited >= Duration::from_secs(1));
        let waited = waited.map_or(String::new(), |waited| format!(" (after {:.1} s)", waited.as_secs_f64()));
        let text = message.text.replace('\n', " / ");
        self.say.follows(Look::Good, &format!("{} reads{waited}: “{text}”", who(Some(&message.to))));
        if message.repeat.is_some() {
            self.say.follows(Look::Bad, "… and had read it before: that must not be");
        }
    }

    fn tell_receipt(&mut self, receipt: &Receipt) {
        let Receipt { event, to, outcome, reason, .. } = receipt;
        if matches!(outcome, Outcome::Stored | Outcome::Accepted) {
            // What waits is told when it has waited; what is accepted was just read.
            return;
        }
        let what = EXPECTED
            .iter()
            .find(|row| event.as_deref() == Some(row.event) && row.to.map(|to| masked(to.number)) == *to)
            .map_or(String::new(), |row| format!(" “{}”", row.what));
        let text = match (to.as_deref(), outcome) {
            (None, _) => format!("nobody is messaged: {}", in_words(reason.code())),
            (to, Outcome::Withheld) => format!("{} gets nothing: {}", who(to), in_words(reason.code())),
            (to, Outcome::Withdrawn) => format!("{}:{what} is withdrawn: {}", who(to), in_words(reason.code())),
            (to, _) => format!("{}:{what} {outcome}: {}", who(to), in_words(reason.code())),
        };
        self.say.follows(Look::Plain, &text);
    }

    fn sum_up(&mut self) -> bool {
        let record = &self.watch.record;
        let longest = record.messages.iter().filter_map(|message| Some((self.waited(message)?, message)));
        let longest = longest.max_by_key(|(waited, _)| *waited);
        sum::up(self.say, record, self.events, self.stage.started.elapsed(), longest)
    }

    fn waited(&self, message: &Message) -> Option<Duration> {
        self.published.get(message.event.as_str()).map(|at| message.at.saturating_duration_since(*at))
    }
}

/// Whether nothing more can come of this row, right or wrong.
fn over(row: &Row, record: &Record) -> bool {
    if row.ends.0 == COUNTED {
        return true;
    }
    let to = row.to.map(|person| masked(person.number));
    record
        .stands(row.event, to.as_deref())
        .is_some_and(|receipt| !matches!(receipt.outcome, Outcome::Stored | Outcome::Unknown))
}
