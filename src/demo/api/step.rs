//! One step of a trial: what is to happen, and when. The words of the scenario file and of the control endpoint alike.
//!
//! Floor: demo. Reads and checks; `obey` does it. Everything that is wrong is told at once, each with its place.

use super::fault::{Aim, Fault};
use super::message;
use serde_json::{Map, Value};
use std::time::Duration;

/// What is to happen, and when.
#[derive(Clone, PartialEq, Debug)]
pub struct Step {
    /// From the start of the scenario, or from when the control endpoint heard it.
    pub at: Duration,
    /// Again after each such time.
    pub every: Option<Duration>,
    /// So many times in all; without, for ever where there is an `every`, else once.
    pub times: Option<u32>,
    /// Not after this time, counted like `at`.
    pub until: Option<Duration>,
    /// What.
    pub order: Order,
}

/// What can be asked of the simulator.
#[derive(Clone, PartialEq, Debug)]
pub enum Order {
    /// Something goes wrong.
    Fault(Fault, Aim),
    /// It goes wrong no longer.
    Clear(Clear),
    /// Every connection is reset, as by a router that restarts; but for those to the control endpoint.
    Cut,
    /// Other settings.
    Settings(Change),
    /// A template stands otherwise.
    Template {
        /// Its name.
        name: String,
        /// In this language; in all without.
        language: Option<String>,
        /// `APPROVED`, `PAUSED`, `DISABLED`, …
        status: String,
    },
    /// The service window of a number is open, or is not.
    Window {
        /// Whose.
        number: String,
        /// Open from now on.
        open: bool,
    },
    /// Everything as at the start.
    Reset,
}

/// Which faults are over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Clear {
    /// All.
    All,
    /// Those of this name.
    Name(&'static str),
    /// The one with this id.
    Id(u64),
}

/// Settings that may change while it runs. What is none stays.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Change {
    /// The only token that is taken.
    pub token: Option<String>,
    /// Messages a second.
    pub sender_per_second: Option<usize>,
    /// The largest burst to one person.
    pub pair_burst: Option<u32>,
    /// How much too early a message to one person may come.
    pub pair_slack: Option<Duration>,
    /// The `Date` header's error in seconds.
    pub date_skew: Option<i64>,
    /// Whether answers have a `Date` header.
    pub date: Option<bool>,
}

/// Something that is wrong with a step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wrong {
    /// A JSON pointer: `/step/3/fault`
    pub at: String,
    /// For a person.
    pub text: String,
}

/// What a step may ask for; exactly one of them.
const KINDS: &[&str] = &["fault", "clear", "cut", "settings", "template", "window", "reset"];

impl Step {
    /// Reads a step; `at` is its place.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(value: &Value, at: &str) -> Result<Step, Vec<Wrong>> {
        let mut wrong = Vec::new();
        let step = Table::of(value, at, &mut wrong).and_then(|mut table| {
            let step = read(&mut table);
            table.end();
            step
        });
        match step {
            Some(step) if wrong.is_empty() => Ok(step),
            // What made it none was told.
            _ => Err(wrong),
        }
    }

    /// When it happens: `at`, and again as often as it says.
    pub fn times(&self) -> impl Iterator<Item = Duration> + Send + use<> {
        let Step { at, every, times, until, .. } = *self;
        let most = times.unwrap_or(if every.is_some() { u32::MAX } else { 1 });
        let time = move |n: u32| at.saturating_add(every.unwrap_or_default().saturating_mul(n));
        (0..most).map(time).take_while(move |time| until.is_none_or(|until| *time <= until))
    }
}

fn read(step: &mut Table) -> Option<Step> {
    let at = step.duration("at").unwrap_or_default();
    let (every, times, until) = (step.duration("every"), step.whole("times", 1..=1_000_000), step.duration("until"));
    if every == Some(Duration::ZERO) {
        step.wrong("every", "must be longer than nothing");
    }
    if every.is_none() && (times.is_some() || until.is_some()) {
        step.wrong("", "times and until go with every");
    }
    let kinds: Vec<&str> = KINDS.iter().copied().filter(|kind| step.members.contains_key(*kind)).collect();
    let [kind] = kinds[..] else {
        let meant = step.members.keys().find_map(|key| super::scenario::nearest(key, KINDS));
        let said = match (kinds.is_empty(), meant) {
            (false, _) => format!("says more than one thing to do: {}. Write a step for each", kinds.join(", ")),
            (true, Some(meant)) => format!("says nothing to do. Did you mean {meant}?"),
            (true, None) => format!("says nothing to do; one of {}", KINDS.join(", ")),
        };
        step.known.extend(KINDS);
        step.wrong("", said);
        return None;
    };
    let order = order(step, kind)?;
    let times = times.and_then(|times| u32::try_from(times).ok());
    Some(Step { at, every, times, until, order })
}

fn order(step: &mut Table, kind: &'static str) -> Option<Order> {
    Some(match kind {
        "fault" => return fault(step),
        "clear" => {
            let value = step.get("clear")?;
            let name = value.as_str().unwrap_or_default();
            let known = Fault::PLAIN.iter().map(Fault::name).chain(NEED_VALUE.iter().copied());
            match (value.as_u64(), known.clone().find(|known| *known == name)) {
                (Some(id), _) => Order::Clear(Clear::Id(id)),
                (None, Some(name)) => Order::Clear(Clear::Name(name)),
                (None, None) if name == "all" => Order::Clear(Clear::All),
                _ => {
                    step.no_such("clear", "\"all\", the name of a fault, or its id", known);
                    return None;
                }
            }
        }
        "settings" => Order::Settings(step.table("settings", settings)??),
        "template" => step.table("template", |table| {
            let (name, language) = (table.need("name"), table.text("language"));
            let status = table.one_of("status", STANDINGS);
            Some(Order::Template { name: name?, language, status: status?.to_owned() })
        })??,
        "window" => step.table("window", |table| {
            let (number, open) = (table.number("number"), table.yes("open"));
            Some(Order::Window { number: number?, open: open.unwrap_or(true) })
        })??,
        kind => {
            if step.yes(kind) != Some(true) {
                step.wrong(kind, "can only be true");
            }
            if kind == "cut" { Order::Cut } else { Order::Reset }
        }
    })
}

/// How a template may stand (facts 4.5, without those that are only steps on the way).
const STANDINGS: &[&str] = &["APPROVED", "PAUSED", "DISABLED", "PENDING", "REJECTED"];
/// Faults that a name alone does not say.
const NEED_VALUE: &[&str] = &["status", "code", "slow-answer"];

fn fault(step: &mut Table) -> Option<Order> {
    let name = step.text("fault")?;
    let fault = match name.as_str() {
        "status" => {
            let (status, body) = (step.whole("status", 200..=599), step.text("body"));
            step.demand("status", status).and_then(|status| Some(Fault::Status(u16::try_from(status).ok()?, body)))
        }
        "code" => {
            let code = step.whole("code", 0..=9_999_999);
            step.demand("code", code).and_then(|code| Some(Fault::Code(i64::try_from(code).ok()?)))
        }
        "slow-answer" => {
            let delay = step.duration("delay");
            step.demand("delay", delay).map(Fault::SlowAnswer)
        }
        name => match Fault::PLAIN.iter().find(|fault| fault.name() == name) {
            Some(fault) => Some(fault.clone()),
            None => {
                let known = Fault::PLAIN.iter().map(Fault::name).chain(NEED_VALUE.iter().copied());
                step.no_such("fault", "a fault", known);
                None
            }
        },
    };
    let count = step.whole("count", 1..=u64::from(u32::MAX)).and_then(|count| u32::try_from(count).ok());
    let (lasts, share) = (step.duration("for"), step.share("share"));
    let only = step.table("only", |only| (only.number("to"), only.text("template")));
    let (to, template) = only.unwrap_or_default();
    let aim = Aim { count, lasts, share, to, template };
    let fault = fault?;
    if fault == Fault::RefuseConnections && (aim.count.is_some() || aim.share.is_some()) {
        step.wrong("fault", "refuse-connections closes the port: it has no count and no share, only for");
    }
    Some(Order::Fault(fault, aim))
}

fn settings(table: &mut Table) -> Option<Change> {
    let small = |whole: Option<u64>| whole.and_then(|whole| u32::try_from(whole).ok());
    let change = Change {
        token: table.text("token"),
        sender_per_second: small(table.whole("sender_per_second", 1..=1_000_000)).map(|rate| rate as usize),
        pair_burst: small(table.whole("pair_burst", 1..=1_000_000)),
        pair_slack: table.duration("pair_slack"),
        date_skew: table.signed("date_skew"),
        date: table.yes("date"),
    };
    if change == Change::default() && table.members.is_empty() {
        table.wrong("", "changes nothing");
    }
    Some(change)
}

/// A table that is being read: which names were asked for, and what is wrong.
pub(super) struct Table<'a, 'w> {
    members: &'a Map<String, Value>,
    at: String,
    known: Vec<&'static str>,
    wrong: &'w mut Vec<Wrong>,
}

impl<'a, 'w> Table<'a, 'w> {
    pub(super) fn of(value: &'a Value, at: &str, wrong: &'w mut Vec<Wrong>) -> Option<Table<'a, 'w>> {
        match value {
            Value::Object(members) => Some(Table { members, at: at.to_owned(), known: Vec::new(), wrong }),
            _ => {
                wrong.push(Wrong { at: at.to_owned(), text: "must be a table".into() });
                None
            }
        }
    }

    /// Tells the names that nobody asked for.
    pub(super) fn end(self) {
        for key in self.members.keys().filter(|key| !self.known.contains(&key.as_str())) {
            let text = match super::scenario::nearest(key, &self.known) {
                Some(meant) => format!("{key}: no such key here. Did you mean {meant}?"),
                None => format!("{key}: no such key here; known are {}", self.known.join(", ")),
            };
            self.wrong.push(Wrong { at: format!("{}/{key}", self.at), text });
        }
    }

    /// Something is wrong with a member, or with the table where `key` is empty.
    pub(super) fn wrong(&mut self, key: &str, text: impl Into<String>) {
        let (at, text) = match key {
            "" => (self.at.clone(), text.into()),
            key => (format!("{}/{key}", self.at), format!("{key}: {}", text.into())),
        };
        self.wrong.push(Wrong { at, text });
    }

    /// What a part of it found.
    pub(super) fn tell(&mut self, wrong: Wrong) {
        self.wrong.push(wrong);
    }

    fn no_such(&mut self, key: &'static str, wanted: &str, known: impl Iterator<Item = &'static str>) {
        let known: Vec<&str> = known.collect();
        let found = self.members.get(key).map(Value::to_string).unwrap_or_default();
        let text = match super::scenario::nearest(found.trim_matches('"'), &known) {
            Some(meant) => format!("{found} is not {wanted}. Did you mean {meant}?"),
            None => format!("{found} is not {wanted}; known are {}", known.join(", ")),
        };
        self.wrong(key, text);
    }

    pub(super) fn get(&mut self, key: &'static str) -> Option<&'a Value> {
        self.known.push(key);
        self.members.get(key)
    }

    fn read<T>(&mut self, key: &'static str, wanted: &str, read: impl FnOnce(&'a Value) -> Option<T>) -> Option<T> {
        let value = self.get(key)?;
        let read = read(value);
        if read.is_none() {
            self.wrong(key, format!("{value} is not {wanted}"));
        }
        read
    }

    /// Says that a member is missing.
    fn demand<T>(&mut self, key: &'static str, value: Option<T>) -> Option<T> {
        if value.is_none() && !self.members.contains_key(key) {
            self.wrong("", format!("{key} is missing"));
        }
        value
    }

    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        self.read(key, "a text", |value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned))
    }

    /// A text that must be there.
    pub(super) fn need(&mut self, key: &'static str) -> Option<String> {
        let text = self.text(key);
        self.demand(key, text)
    }

    fn one_of(&mut self, key: &'static str, words: &'static [&'static str]) -> Option<&'static str> {
        let word = self.need(key)?;
        let known = words.iter().copied().find(|known| *known == word);
        if known.is_none() {
            self.no_such(key, "known", words.iter().copied());
        }
        known
    }

    /// A phone number, which must be there.
    pub(super) fn number(&mut self, key: &'static str) -> Option<String> {
        let number = self.need(key)?;
        match message::digits(&number) {
            Ok(_) => Some(number),
            Err(why) => {
                self.wrong(key, why);
                None
            }
        }
    }

    fn whole(&mut self, key: &'static str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        self.read(key, &wanted, |value| value.as_u64().filter(|whole| range.contains(whole)))
    }

    fn signed(&mut self, key: &'static str) -> Option<i64> {
        // Ten years of seconds: enough for any clock.
        self.read(key, "a number of seconds", |value| value.as_i64().filter(|s| s.unsigned_abs() < 400_000_000))
    }

    fn share(&mut self, key: &'static str) -> Option<f64> {
        self.read(key, "a part like 0.05, over 0 and at most 1", |value| {
            value.as_f64().filter(|share| *share > 0.0 && *share <= 1.0)
        })
    }

    fn yes(&mut self, key: &'static str) -> Option<bool> {
        self.read(key, "true or false", Value::as_bool)
    }

    pub(super) fn duration(&mut self, key: &'static str) -> Option<Duration> {
        self.read(key, "a time like \"500ms\", \"30s\", \"5m\", \"2h\" or \"1d\"", |value| duration(value.as_str()?))
    }

    /// A table of its own, read to its end.
    pub(super) fn table<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Table) -> T) -> Option<T> {
        let value = self.get(key)?;
        let mut table = Table::of(value, &format!("{}/{key}", self.at), self.wrong)?;
        let read = read(&mut table);
        table.end();
        Some(read)
    }
}

/// `500ms`, `30s`, `5m`, `2h`, `1d`: at most a year.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|sign: char| !sign.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let scale = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let ms = number.parse::<u64>().ok()?.checked_mul(scale)?;
    (ms <= 366 * 86_400_000).then(|| Duration::from_millis(ms))
}
