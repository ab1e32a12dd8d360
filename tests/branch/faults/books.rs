//! The books: what the store says happened to each event, held against what the API saw.

use crate::house::House;
use branchline::demo::api::Seen;
use std::collections::{BTreeMap, HashMap};

/// One message of the store.
#[derive(Clone, Debug)]
pub struct Entry {
    pub outcome: String,
    pub reason: String,
    settled: bool,
    /// In order.
    pub attempts: Vec<Attempt>,
}

/// One try.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// How it ended; none: it is open.
    pub reason: Option<String>,
    /// Nobody knows whether it arrived.
    pub unknown: bool,
}

impl Entry {
    fn count(&self, of: impl Fn(&Attempt) -> bool) -> usize {
        self.attempts.iter().filter(|attempt| of(attempt)).count()
    }
}

/// What a test reports and bounds.
#[derive(Clone, Copy, Default, Debug)]
pub struct Sum {
    /// Attempts of which nobody knows whether they arrived.
    pub unknown: usize,
    /// Messages that ended so.
    pub not_repeated: usize,
    /// Messages that the API accepted more than once, counted each time after the first.
    pub repeats: usize,
    /// Messages that the API accepted.
    pub accepted: usize,
}

/// Messages and their attempts by event id. The daemon must have ended: it has the store for itself.
pub fn read(house: &House) -> HashMap<String, Entry> {
    let db = rusqlite::Connection::open(house.path().join("outbox.db")).unwrap();
    let sound: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok", "the store is sound");
    let mut attempts: HashMap<i64, Vec<Attempt>> = HashMap::new();
    let mut query = db.prepare("SELECT message, reason, spent = 2 FROM attempt ORDER BY id").unwrap();
    let mut rows = query.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let attempt = Attempt { reason: row.get(1).unwrap(), unknown: row.get(2).unwrap() };
        attempts.entry(row.get(0).unwrap()).or_default().push(attempt);
    }
    let mut entries = HashMap::new();
    let mut query = db.prepare("SELECT id, event, outcome, reason, state FROM message").unwrap();
    let mut rows = query.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let event: String = row.get::<_, Option<String>>(1).unwrap().expect("every event of these tests has an id");
        let entry = Entry {
            outcome: row.get(2).unwrap(),
            reason: row.get(3).unwrap(),
            settled: row.get::<_, i64>(4).unwrap() == 4,
            attempts: attempts.remove(&row.get(0).unwrap()).unwrap_or_default(),
        };
        assert!(entries.insert(event.clone(), entry).is_none(), "{event} became two messages");
    }
    assert!(attempts.is_empty(), "attempts without a message: {attempts:?}");
    entries
}

/// Every one of `events` has one message, which ended; what the API accepted is what the attempts say, and a repeat came only after
/// an attempt of which nobody knew. Each event is for one person.
pub fn audit(house: &House, events: &[String]) -> Sum {
    let entries = read(house);
    let by_event = by_event(&house.control().accepted());
    let mut sum = Sum::default();
    for event in events {
        let entry = entries.get(event).unwrap_or_else(|| panic!("{event} was acknowledged and is not in the store"));
        let accepted = by_event.get(event).copied().unwrap_or_default();
        let taken = entry.count(|attempt| attempt.reason.as_deref() == Some("taken"));
        let unknown = entry.count(|attempt| attempt.unknown);
        let told = format!("{event}: {entry:?}, accepted {accepted} times");
        assert!(entry.settled && entry.count(|attempt| attempt.reason.is_none()) == 0, "open: {told}");
        assert!((taken..=taken + unknown).contains(&accepted), "the books do not tally: {told}");
        match (entry.outcome.as_str(), entry.reason.as_str()) {
            ("accepted", "taken") => assert_eq!(taken, 1, "{told}"),
            // `on_unknown` of these rules is "repeat": once.
            ("unknown", "not-repeated") => assert_eq!((taken, unknown), (0, 2), "{told}"),
            _ => panic!("an outcome that nobody ordered: {told}"),
        }
        sum.unknown += unknown;
        sum.not_repeated += usize::from(entry.outcome == "unknown");
        sum.repeats += accepted.saturating_sub(1);
        sum.accepted += usize::from(accepted > 0);
    }
    for event in by_event.keys() {
        assert!(entries.contains_key(event), "the API accepted {event}, which the store does not know");
    }
    assert!(sum.repeats <= sum.unknown, "{sum:?}");
    sum
}

/// How often each event's message was accepted.
fn by_event(accepted: &[Seen]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for seen in accepted {
        let data = seen.data.as_deref().expect("every message carries its id");
        let event = data.rsplit('/').next().unwrap_or_default();
        *counts.entry(event.to_owned()).or_default() += 1;
    }
    counts
}
