//! Values by kind: texts, numbers, words, durations, sizes, limits, files.
//!
//! Floor: config. What is not of its kind or outside its range is a problem with what would be right.

use super::layers::read_up_to;
use super::problem::{Problem, nearest};
use super::reader::Reader;
use super::show::{describe, looks_secret};
use super::tree::{Node, Value};
use super::units;
use crate::limits;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A value or "off".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Limit<T> {
    Off,
    At(T),
}

impl<T> Limit<T> {
    pub fn value(self) -> Option<T> {
        match self {
            Limit::Off => None,
            Limit::At(value) => Some(value),
        }
    }
}

impl Reader<'_, '_> {
    /// What `parse` makes of the value; a problem where it makes nothing of it.
    pub fn parsed<T>(&mut self, key: &str, wanted: impl Display, parse: impl FnOnce(&Node) -> Option<T>) -> Option<T> {
        let node = self.leaf(key)?;
        let value = parse(node);
        if value.is_none() {
            self.wrong(key, node, wanted.to_string());
        }
        value
    }

    /// What is known by a name; otherwise all names that there are, of which the nearest is suggested.
    pub fn named<T>(
        &mut self,
        key: &str,
        wanted: &str,
        find: impl FnOnce(&str) -> Result<T, Vec<String>>,
    ) -> Option<T> {
        let node = self.leaf(key)?;
        let names = match node.as_text().map(find) {
            Some(Ok(found)) => return Some(found),
            Some(Err(names)) => names,
            None => Vec::new(),
        };
        let near = node.as_text().and_then(|text| nearest(text, names.iter().map(String::as_str)));
        let problem = Problem::new(self.key(key), node.origin.clone(), describe(key, node));
        self.tell(problem.wanted(wanted).suggest(near));
        None
    }

    /// A text that is not empty.
    pub fn text(&mut self, key: &str) -> Option<String> {
        self.text_of(key, "a text", |_| true)
    }

    /// A text that `right` agrees to.
    pub fn text_of(&mut self, key: &str, wanted: &str, right: impl FnOnce(&str) -> bool) -> Option<String> {
        self.parsed(key, wanted, |node| {
            node.as_text().filter(|text| !text.trim().is_empty() && right(text)).map(str::to_owned)
        })
    }

    /// Texts; one alone may stand without brackets.
    pub fn texts(&mut self, key: &str) -> Vec<String> {
        let list = self.parsed(key, "a list of texts", |node| match &node.value {
            Value::List(list) => list.iter().map(|node| node.as_text().map(str::to_owned)).collect(),
            _ => node.as_text().map(|text| vec![text.to_owned()]),
        });
        list.unwrap_or_default()
    }

    pub fn yes(&mut self, key: &str) -> Option<bool> {
        self.parsed(key, "true or false", |node| match node.value {
            Value::Yes(yes) => Some(yes),
            _ => None,
        })
    }

    pub fn whole(&mut self, key: &str, range: RangeInclusive<u64>) -> Option<u64> {
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        self.parsed(key, wanted, |node| whole(node).filter(|number| range.contains(number)))
    }

    /// A whole number, or "off". A bare 0 is refused: it could mean none and it could mean without limit.
    pub fn whole_or_off(&mut self, key: &str, range: RangeInclusive<u64>) -> Option<Limit<u64>> {
        let wanted = format!("a whole number from {} to {}, or \"off\"", range.start(), range.end());
        self.limit(key, wanted, |node| whole(node).filter(|number| range.contains(number)))
    }

    /// A duration above zero, or "off".
    pub fn duration_or_off(&mut self, key: &str) -> Option<Limit<Duration>> {
        self.limit(key, format!("{}, or \"off\"", units::DURATION), |node| {
            node.as_text().and_then(units::duration).filter(|time| !time.is_zero())
        })
    }

    fn limit<T>(&mut self, key: &str, wanted: String, parse: impl FnOnce(&Node) -> Option<T>) -> Option<Limit<T>> {
        let node = self.leaf(key)?;
        if node.as_text() == Some("off") {
            return Some(Limit::Off);
        }
        let value = parse(node);
        if value.is_none() {
            let zero =
                whole(node) == Some(0) || node.as_text().and_then(units::duration).is_some_and(|time| time.is_zero());
            let fix =
                if zero { "0 could mean none or without limit: write \"off\" to switch the limit off." } else { "" };
            let problem = Problem::new(self.key(key), node.origin.clone(), describe(key, node)).wanted(wanted).fix(fix);
            self.tell(problem);
        }
        value.map(Limit::At)
    }

    /// A duration above zero.
    pub fn duration(&mut self, key: &str) -> Option<Duration> {
        self.parsed(key, units::DURATION, |node| {
            node.as_text().and_then(units::duration).filter(|time| !time.is_zero())
        })
    }

    /// A duration that may be zero.
    pub fn duration_or_zero(&mut self, key: &str) -> Option<Duration> {
        self.parsed(key, units::DURATION, |node| node.as_text().and_then(units::duration))
    }

    /// Bytes.
    pub fn size(&mut self, key: &str, range: RangeInclusive<u64>) -> Option<u64> {
        let bounds = (units::show_size(*range.start()), units::show_size(*range.end()));
        let wanted = format!("{}, from {} to {}", units::SIZE, bounds.0, bounds.1);
        self.parsed(key, wanted, |node| node.as_text().and_then(units::size).filter(|bytes| range.contains(bytes)))
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&mut self, key: &str, words: &[(&str, T)]) -> Option<T> {
        self.choice_or(key, None, words)
    }

    /// One of a few words, with a default that the code has.
    pub fn choice_or<T: Copy>(&mut self, key: &str, default: Option<&str>, words: &[(&str, T)]) -> Option<T> {
        let quoted = default.map(|word| format!("{word:?}"));
        let node = self.leaf_or(key, quoted.as_deref());
        let text = match node {
            Some(node) => node.as_text(),
            None => default,
        };
        let value = words.iter().find(|(word, _)| Some(*word) == text).map(|(_, value)| *value);
        if let Some(node) = node.filter(|_| value.is_none()) {
            let list: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            let near = node.as_text().and_then(|text| nearest(text, words.iter().map(|(word, _)| *word)));
            let problem = Problem::new(self.key(key), node.origin.clone(), describe(key, node));
            self.tell(problem.wanted(list.join(" or ")).suggest(near));
        }
        value
    }

    /// A duration above zero, with a default that the code has.
    pub fn duration_or(&mut self, key: &str, default: &str) -> Duration {
        let fallback = units::duration(default).unwrap_or_default();
        let quoted = format!("{default:?}");
        match self.leaf_or(key, Some(&quoted)) {
            Some(_) => self.duration(key).unwrap_or(fallback),
            None => fallback,
        }
    }

    /// A path, relative to the configuration file's folder.
    pub fn path(&mut self, key: &str) -> Option<PathBuf> {
        let text = self.text(key)?;
        Some(self.account.folder.join(text))
    }

    /// A file that must be there and readable, and no larger than a certificate or secret is: its path, and its content. A bare
    /// name is looked for among the credentials first.
    pub fn file(&mut self, key: &str) -> Option<(PathBuf, Vec<u8>)> {
        self.file_up_to(key, limits::NAMED_FILE)
    }

    /// As [`file`](Self::file), of at most so many bytes.
    pub fn file_up_to(&mut self, key: &str, most: usize) -> Option<(PathBuf, Vec<u8>)> {
        let text = self.text(key)?;
        if looks_secret(&text) {
            let found = "looks like the secret itself; it is not shown here";
            let problem = self.problem(key, found).wanted("the name of a file");
            self.tell(
                problem.fix("Put the secret into a file that only branchline may read, and name that file here."),
            );
            return None;
        }
        let path = self.locate(&text);
        let (found, fix) = match read_up_to(&path, most) {
            Ok(content) if !content.is_empty() => return Some((path, content)),
            Ok(_) => (format!("the file {} is empty", path.display()), "Fill it, or remove this key."),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => (
                format!("there is no file {}", path.display()),
                "A bare name is looked for in $CREDENTIALS_DIRECTORY, then in the folder of the configuration file. \
                 Secrets in /etc/credstore are for the service, and for commands run so: \
                 sudo /usr/lib/branchline/trial as branchline check",
            ),
            Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => (
                format!("the file {} is not read: {error}", path.display()),
                "No file of this kind is: another one was meant.",
            ),
            Err(error) => (
                format!("the file {} cannot be read: {error}", path.display()),
                "The user who runs branchline must be able to read it, and nobody else needs to.",
            ),
        };
        let problem = self.problem(key, found).fix(fix);
        self.tell(problem);
        None
    }

    fn locate(&self, text: &str) -> PathBuf {
        let bare = Path::new(text).components().count() == 1 && !text.contains('/');
        let credential = self.account.credentials.as_ref().filter(|_| bare).map(|folder| folder.join(text));
        credential.filter(|path| path.exists()).unwrap_or_else(|| self.account.folder.join(text))
    }
}

fn whole(node: &Node) -> Option<u64> {
    match node.value {
        Value::Whole(number) => u64::try_from(number).ok(),
        _ => None,
    }
}
