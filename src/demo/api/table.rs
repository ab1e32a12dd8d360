//! Reading a table as strictly as can be: every name is known, every value of its kind; all that is wrong is told at once.
//!
//! Floor: demo. Knows no step.

use super::webhook::Between;
use super::{account, message};
use serde_json::{Map, Value};
use std::time::Duration;

/// Something that is wrong with a step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wrong {
    /// A JSON pointer: `/step/3/fault`
    pub at: String,
    /// For a person.
    pub text: String,
}

/// A table that is being read: which names were asked for, and what is wrong.
pub(super) struct Table<'a, 'w> {
    pub(super) members: &'a Map<String, Value>,
    at: String,
    pub(super) known: Vec<&'static str>,
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
            let text = match nearest(key, &self.known) {
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

    pub(super) fn no_such(&mut self, key: &'static str, wanted: &str, known: impl Iterator<Item = &'static str>) {
        let known: Vec<&str> = known.collect();
        let found = self.members.get(key).map(Value::to_string).unwrap_or_default();
        let text = match nearest(found.trim_matches('"'), &known) {
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
    pub(super) fn demand<T>(&mut self, key: &'static str, value: Option<T>) -> Option<T> {
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

    pub(super) fn one_of(&mut self, key: &'static str, words: &'static [&'static str]) -> Option<&'static str> {
        let word = self.text(key)?;
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

    pub(super) fn whole(&mut self, key: &'static str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        self.read(key, &wanted, |value| value.as_u64().filter(|whole| range.contains(whole)))
    }

    pub(super) fn signed(&mut self, key: &'static str) -> Option<i64> {
        // Ten years of seconds: enough for any clock.
        self.read(key, "a number of seconds", |value| value.as_i64().filter(|s| s.unsigned_abs() < 400_000_000))
    }

    pub(super) fn share(&mut self, key: &'static str) -> Option<f64> {
        self.read(key, "a part like 0.05, over 0 and at most 1", |value| {
            value.as_f64().filter(|share| *share > 0.0 && *share <= 1.0)
        })
    }

    /// Like a share, but none is a part too.
    pub(super) fn part(&mut self, key: &'static str) -> Option<f64> {
        self.read(key, "a part from 0 to 1", |value| value.as_f64().filter(|part| (0.0..=1.0).contains(part)))
    }

    pub(super) fn between(&mut self, key: &'static str) -> Option<Between> {
        self.read(key, "a time like \"2s\", or \"200ms..4s\"", |value| {
            let text = value.as_str()?;
            let (low, high) = text.split_once("..").unwrap_or((text, text));
            let (low, high) = (duration(low)?, duration(high)?);
            (low <= high).then_some(Between(low, high))
        })
    }

    pub(super) fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        self.read(key, "a list of texts", |value| {
            value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
        })
    }

    /// One of these words, as what it stands for.
    pub(super) fn word<T: Copy>(&mut self, key: &'static str, words: &[(&'static str, T)]) -> Option<T> {
        let word = self.text(key)?;
        let found = words.iter().find(|(known, _)| *known == word).map(|(_, meant)| *meant);
        if found.is_none() {
            self.no_such(key, "known", words.iter().map(|(known, _)| *known));
        }
        found
    }

    /// A number, a tier, or `"unlimited"`, which is the inner none.
    #[allow(clippy::option_option)] // not said, unlimited, or so many
    pub(super) fn limit(&mut self, key: &'static str) -> Option<Option<usize>> {
        self.read(key, "a whole number, a tier like \"TIER_2K\", or \"unlimited\"", |value| {
            if value == "unlimited" { Some(None) } else { account::tier(value) }
        })
    }

    /// Phone numbers, so many at most.
    pub(super) fn numbers(&mut self, key: &'static str, most: usize) -> Option<Vec<String>> {
        let numbers = self.texts(key)?;
        if numbers.len() > most {
            self.wrong(key, format!("holds {} numbers, at most {most} are possible", numbers.len()));
        }
        for number in &numbers {
            if let Err(why) = message::digits(number) {
                self.wrong(key, format!("{number} {why}"));
            }
        }
        Some(numbers)
    }

    pub(super) fn yes(&mut self, key: &'static str) -> Option<bool> {
        self.read(key, "true or false", Value::as_bool)
    }

    pub(super) fn duration(&mut self, key: &'static str) -> Option<Duration> {
        self.read(key, "a time like \"500ms\", \"30s\", \"5m\", \"2h\" or \"1d\"", |value| duration(value.as_str()?))
    }

    /// A table of its own, read to its end.
    pub(super) fn table<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Table) -> T) -> Option<T> {
        let value = self.get(key)?;
        if !value.is_object() {
            self.wrong(key, "must be a table");
            return None;
        }
        let mut table = Table::of(value, &format!("{}/{key}", self.at), self.wrong)?;
        let read = read(&mut table);
        table.end();
        Some(read)
    }
}

/// `500ms`, `30s`, `5m`, `2h`, `1d`: at most a year.
fn duration(text: &str) -> Option<Duration> {
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

/// The name among `known` that is near enough to be what was meant.
pub(super) fn nearest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    let allowed = (name.chars().count() / 3).clamp(1, 3);
    let distance = |known: &&'static str| (strsim::damerau_levenshtein(name, known), *known);
    known.iter().map(distance).filter(|(distance, _)| *distance <= allowed).min().map(|(_, known)| known)
}
