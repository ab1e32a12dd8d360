//! What the box tells about itself: counters per reason, the last events, what is wrong, and how people read it.
//!
//! Floor: rooms. Pure: no clock, no log, no store. The engine counts here and fills `Gauges`; the doors and the command
//! line show what comes out. Labels are codes of the program and names of rules, never topics or numbers.

mod histogram;
mod metrics;
mod problems;
pub mod show;

pub use problems::{ALL_BUT_ALARMS, THE_NUMBER};

use crate::limits;
use crate::message::{Category, Outcome, Reason, Way};
use crate::operate::{Count, Gauges, LastLine, Reports, StatusReport};
use crate::time::Wall;
use heapless::HistoryBuf;
use histogram::Histogram;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Counters since the start, and the ring of last events.
#[derive(Debug)]
pub struct Status {
    /// rule → result → how many.
    events: BTreeMap<String, BTreeMap<&'static str, u64>>,
    messages: BTreeMap<(&'static str, Outcome, Reason), u64>,
    notices: BTreeMap<&'static str, u64>,
    reports: BTreeMap<Way, Reports>,
    last: HistoryBuf<LastLine, { limits::LAST_EVENTS }>,
    commit_seconds: Histogram,
    send_seconds: Histogram,
    batch_size: Histogram,
}

impl Default for Status {
    fn default() -> Status {
        Status {
            events: BTreeMap::new(),
            messages: BTreeMap::new(),
            notices: BTreeMap::new(),
            reports: BTreeMap::new(),
            last: HistoryBuf::new(),
            commit_seconds: Histogram::new(histogram::COMMIT_SECONDS),
            send_seconds: Histogram::new(histogram::SEND_SECONDS),
            batch_size: Histogram::new(histogram::BATCH_SIZE),
        }
    }
}

impl Status {
    /// One event was handled: by this rule (empty for none), with this result, a code of `Outcome` or `Reason`.
    pub fn event(&mut self, rule: &str, result: &'static str) {
        self.events_more(rule, result, 1);
    }

    /// So many QoS 0 events came faster than they could be read, before any rule saw them.
    pub fn overrun(&mut self, events: u64) {
        self.events_more("", Reason::Overrun.code(), events);
    }

    /// A message came to stand at this outcome.
    pub fn message(&mut self, category: Category, outcome: Outcome, reason: Reason) {
        *self.messages.entry((category.code(), outcome, reason)).or_default() += 1;
    }

    /// So many updates of the platform were heard: of this kind, or of none that is known here.
    pub fn notices(&mut self, kind: &'static str, updates: u64) {
        *self.notices.entry(kind).or_default() += updates;
    }

    /// A body of reports that came this way was stored.
    pub fn heard(&mut self, way: Way, at: Wall) {
        let reports = self.reports.entry(way).or_default();
        (reports.last, reports.bodies) = (Some(at), reports.bodies + 1);
    }

    /// So many bodies that came this way had a wrong signature.
    pub fn unsigned(&mut self, way: Way, bodies: u64) {
        self.notices("unsigned", bodies);
        self.reports.entry(way).or_default().unsigned += bodies;
    }

    /// What came this way.
    pub fn reports(&self, way: Way) -> Reports {
        Reports { way: way.name().to_owned(), ..self.reports.get(&way).cloned().unwrap_or_default() }
    }

    /// Remembers a line; the oldest of `limits::LAST_EVENTS` makes room.
    pub fn last(&mut self, line: LastLine) {
        self.last.write(line);
    }

    /// Forgets the lines about these messages, by the ids that people saw.
    pub fn forget(&mut self, messages: &BTreeSet<String>) {
        let about = |line: &LastLine| line.message.as_ref().is_some_and(|id| messages.contains(id));
        let kept: Vec<LastLine> = self.last.oldest_ordered().filter(|line| !about(line)).cloned().collect();
        self.last = HistoryBuf::new();
        kept.into_iter().for_each(|line| self.last.write(line));
    }

    /// A batch of so many inputs was committed, the sync included.
    pub fn committed(&mut self, took: Duration, batch: usize) {
        self.commit_seconds.observe(took.as_secs_f64());
        self.batch_size.observe(batch as f64);
    }

    /// A post ended after so long, with an answer or without.
    pub fn answered(&mut self, took: Duration) {
        self.send_seconds.observe(took.as_secs_f64());
    }

    /// The whole answer to `status`.
    pub fn report(&self, gauges: Gauges) -> StatusReport {
        let counts = self.messages.iter().map(|(&(category, outcome, reason), &messages)| Count {
            category: category.to_owned(),
            outcome,
            reason,
            messages,
        });
        let mut last: Vec<LastLine> = self.last.oldest_ordered().cloned().collect();
        last.reverse();
        let mut problems = problems::of(&gauges);
        problems.extend(self.reports.iter().filter_map(|(way, reports)| problems::unsigned(*way, reports)));
        StatusReport { problems, counts: counts.collect(), last, gauges }
    }

    /// Prometheus text exposition (version 0.0.4), as `/metrics` gives it.
    pub fn metrics(&self, gauges: &Gauges) -> String {
        metrics::text(self, gauges)
    }

    fn events_more(&mut self, rule: &str, result: &'static str, events: u64) {
        if !self.events.contains_key(rule) {
            self.events.insert(rule.to_owned(), BTreeMap::new());
        }
        if let Some(results) = self.events.get_mut(rule) {
            *results.entry(result).or_default() += events;
        }
    }
}

#[cfg(test)]
mod tests;
