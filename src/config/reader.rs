//! Takes values out of the tree by key and kind, and keeps account: every problem, every key that was asked for.
//!
//! Floor: config. Knows no key by name. What is written and never asked for is an unknown key.

use super::problem::{Origin, Problem, Source, nearest};
use super::tree::{Node, Table, Value};
use super::units;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What all readers of one configuration write into.
#[derive(Default)]
pub(super) struct Account {
    pub problems: Vec<Problem>,
    pub warnings: Vec<Problem>,
    /// Every key that has a value, with the value as it may be shown.
    pub values: BTreeMap<String, (String, Origin)>,
    /// Every key that was asked for, with the default that the code has for it.
    #[cfg(test)]
    pub asked: BTreeMap<String, Option<String>>,
    /// The configuration file, for what is missing altogether.
    pub file: PathBuf,
    /// The folder of the configuration file: relative paths count from here.
    pub folder: PathBuf,
    /// `$CREDENTIALS_DIRECTORY`: bare file names are looked for here first.
    pub credentials: Option<PathBuf>,
}

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

/// One table being read.
pub(super) struct Reader<'t, 'a> {
    path: String,
    origin: Origin,
    table: Option<&'t Table>,
    seen: Vec<String>,
    later: Vec<&'static str>,
    pub account: &'a mut Account,
}

impl<'t, 'a> Reader<'t, 'a> {
    /// Reads the whole configuration: `read` takes what it knows, and what is left over is a problem.
    pub fn root<T>(root: &'t Table, account: &'a mut Account, read: impl FnOnce(&mut Reader<'t, '_>) -> T) -> T {
        let origin = Origin::built_in();
        let mut reader =
            Reader { path: String::new(), origin, table: Some(root), seen: Vec::new(), later: Vec::new(), account };
        let value = read(&mut reader);
        reader.finish();
        value
    }

    /// Reads the table `key`, or an empty one where there is none.
    pub fn within<T>(&mut self, key: &str, read: impl FnOnce(&mut Reader<'t, '_>) -> T) -> T {
        let node = self.take(key);
        let table = node.and_then(Node::as_table);
        if let Some(node) = node.filter(|_| table.is_none()) {
            self.wrong(key, node, "a table");
        }
        self.inside(key, table, node.map(|node| node.origin.clone()), read)
    }

    /// Reads `table` as if it stood at `key`.
    pub fn inside<T>(
        &mut self,
        key: &str,
        table: Option<&'t Table>,
        origin: Option<Origin>,
        read: impl FnOnce(&mut Reader<'t, '_>) -> T,
    ) -> T {
        let origin = origin.unwrap_or_else(|| self.origin.clone());
        let path = self.key(key);
        let mut inner =
            Reader { path, origin, table, seen: Vec::new(), later: Vec::new(), account: &mut *self.account };
        let value = read(&mut inner);
        inner.finish();
        value
    }

    /// Reads every table below the table `key`: `[people.ana]`, `[people.luis]`.
    pub fn each<T>(&mut self, key: &str, mut read: impl FnMut(&str, &mut Reader<'t, '_>) -> T) -> BTreeMap<String, T> {
        self.within(key, |tables| {
            tables
                .names()
                .into_iter()
                .map(|name| {
                    tables.check_name(&name);
                    let value = tables.within(&name, |table| read(&name, table));
                    (name, value)
                })
                .collect()
        })
    }

    /// The names that are written in this table.
    pub fn names(&self) -> Vec<String> {
        self.table.into_iter().flat_map(Table::keys).cloned().collect()
    }

    /// Whether the key is written.
    pub fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// The value at `key`, which counts as known from now on.
    pub fn take(&mut self, key: &str) -> Option<&'t Node> {
        self.seen.push(key.to_owned());
        self.table?.get(key)
    }

    /// The value at `key`, kept for the list of effective values.
    pub fn leaf(&mut self, key: &str) -> Option<&'t Node> {
        self.leaf_or(key, None)
    }

    fn leaf_or(&mut self, key: &str, default: Option<&str>) -> Option<&'t Node> {
        let node = self.take(key);
        let path = self.key(key);
        #[cfg(test)]
        self.account.asked.entry(path.clone()).or_insert(default.map(str::to_owned));
        let shown = match (node, default) {
            (Some(node), _) => Some((mask(key, &node.render()), node.origin.clone())),
            (None, Some(default)) => Some((default.to_owned(), Origin::built_in())),
            (None, None) => None,
        };
        if let Some(shown) = shown {
            self.account.values.insert(path, shown);
        }
        node
    }

    /// Keeps a value that was worked out from others.
    pub fn worked_out(&mut self, key: &str, shown: &str) {
        let path = self.key(key);
        self.account.values.insert(path, (shown.to_owned(), Origin::built_in()));
    }

    /// The dotted key.
    pub fn key(&self, key: &str) -> String {
        match (self.path.as_str(), key) {
            ("", _) => key.to_owned(),
            (path, "") => path.to_owned(),
            (path, key) => format!("{path}.{key}"),
        }
    }

    /// Where `key` is written; this table's own place where it is not.
    pub fn origin(&self, key: &str) -> Origin {
        self.table.and_then(|table| table.get(key)).map_or_else(|| self.origin.clone(), |node| node.origin.clone())
    }

    /// Of two keys that do not fit each other the one that a person of this branch wrote; `first` where both are.
    pub fn own_of<'k>(&self, first: &'k str, second: &'k str) -> &'k str {
        if self.origin(first).is_own() { first } else { second }
    }

    /// A problem with what is written at `key`, to be filled in and handed to [`tell`](Self::tell).
    pub fn problem(&self, key: &str, found: impl Into<String>) -> Problem {
        Problem::new(self.key(key), self.origin(key), found)
    }

    pub fn tell(&mut self, problem: Problem) {
        self.account.problems.push(problem);
    }

    pub fn warn(&mut self, problem: Problem) {
        self.account.warnings.push(problem);
    }

    /// A value of the wrong kind or outside its range.
    pub fn wrong(&mut self, key: &str, node: &Node, wanted: impl Into<String>) {
        let found = describe(key, node);
        let problem = Problem::new(self.key(key), node.origin.clone(), found).wanted(wanted);
        self.tell(problem);
    }

    /// A key that must be there.
    pub fn missing(&mut self, key: &str, fix: &str) {
        let mut problem = self.problem(key, "is missing").fix(fix);
        if problem.origin.source == Source::BuiltIn {
            problem.origin = Origin::file(&self.account.file);
        }
        self.tell(problem);
    }

    /// Says that a key must be there, and what to do where it is not.
    pub fn require(&mut self, key: &str, fix: &str) {
        if !self.has(key) {
            self.missing(key, fix);
        }
    }

    /// A key that is read and checked, and that this version does nothing with: nobody shall rely on it unknowingly.
    pub fn idle(&mut self, key: &str) {
        if self.has(key) && self.origin(key).is_own() {
            let problem = self.problem(key, "read, not enforced in this version");
            self.warn(problem);
        }
    }

    /// Keys that a later version brings.
    pub fn later(&mut self, keys: &[&'static str]) {
        for key in keys {
            if let Some(node) = self.table.and_then(|table| table.get(*key)) {
                let problem = Problem::new(self.key(key), node.origin.clone(), "not in this version");
                self.tell(problem.fix("Remove it; a later version brings it."));
            }
        }
        self.later.extend(keys);
    }

    /// What `parse` makes of the value; a problem where it makes nothing of it.
    pub fn parsed<T>(&mut self, key: &str, wanted: impl Display, parse: impl FnOnce(&Node) -> Option<T>) -> Option<T> {
        let node = self.leaf(key)?;
        let value = parse(node);
        if value.is_none() {
            self.wrong(key, node, wanted.to_string());
        }
        value
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

    /// A file that must be there and readable: its path, and its content. A bare name is looked for among the
    /// credentials first.
    pub fn file(&mut self, key: &str) -> Option<(PathBuf, Vec<u8>)> {
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
        let (found, fix) = match std::fs::read(&path) {
            Ok(content) if !content.is_empty() => return Some((path, content)),
            Ok(_) => (format!("the file {} is empty", path.display()), ""),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => (
                format!("there is no file {}", path.display()),
                "A bare name is looked for in $CREDENTIALS_DIRECTORY, then in the folder of the configuration file.",
            ),
            Err(error) => (format!("the file {} cannot be read: {error}", path.display()), ""),
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

    /// Names that people choose end up in topics, logs and metrics.
    fn check_name(&mut self, name: &str) {
        if !is_name(name) {
            let problem = self.problem(name, "is no name that can be used").wanted("small letters, digits and dashes");
            self.tell(problem);
        }
    }

    /// What is written and was never asked for.
    fn finish(self) {
        for (name, node) in self.table.into_iter().flatten() {
            if self.seen.iter().any(|seen| seen == name) || self.later.contains(&name.as_str()) {
                continue;
            }
            let file_key = format!("{name}_file");
            let known = || self.seen.iter().map(String::as_str);
            let problem = Problem::new(self.key(name), node.origin.clone(), "no such key");
            self.account.problems.push(if known().any(|seen| seen == file_key) || is_secret_word(name) {
                let to = if known().any(|seen| seen == file_key) {
                    format!(" in {}", self.key(&file_key))
                } else {
                    String::new()
                };
                Problem { found: "secrets do not stand in the configuration".to_owned(), ..problem }
                    .fix(format!("Put it into a file that only branchline may read, and name that file{to}."))
            } else {
                problem.suggest(nearest(name, known()))
            });
        }
    }
}

/// `[a-z0-9-]`, not empty.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

fn is_secret_word(name: &str) -> bool {
    let plain = name.to_lowercase();
    ["token", "password", "passwd", "passphrase", "secret", "api_key", "apikey", "private_key"]
        .iter()
        .any(|word| plain.contains(word))
        && !plain.ends_with("_file")
}

/// A token or a key where the name of a file was expected; shown nowhere.
fn looks_secret(text: &str) -> bool {
    let long_word = text.len() >= 40 && !text.contains(['/', '.']);
    long_word || text.starts_with("EAA") || text.contains("-----BEGIN") || text.contains('\n')
}

fn whole(node: &Node) -> Option<u64> {
    match node.value {
        Value::Whole(number) => u64::try_from(number).ok(),
        _ => None,
    }
}

/// What is there, for an error: the value where it is short and nobody's number, else its kind.
fn describe(key: &str, node: &Node) -> String {
    let text = match &node.value {
        Value::Text(text) if text.trim().is_empty() => return "is empty".to_owned(),
        Value::Table(_) => return format!("is {}", node.kind()),
        _ => mask(key, &node.render()),
    };
    if text.chars().count() > 60 || looks_secret(text.trim_matches('"')) {
        return format!("is {} that does not fit here", node.kind());
    }
    format!("is {text}")
}

/// Phone numbers (under the keys that hold them) without their middle, passwords in addresses not at all.
pub(super) fn mask(key: &str, shown: &str) -> String {
    match key {
        "number" | "numbers" | "to" => mask_digits(shown),
        _ if shown.contains("://") => mask_userinfo(shown),
        _ if shown.split('+').skip(1).any(|tail| tail.starts_with(|c: char| c.is_ascii_digit())) => mask_digits(shown),
        _ => shown.to_owned(),
    }
}

fn mask_digits(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut run = String::new();
    for letter in text.chars().chain(['\0']) {
        let inside =
            letter.is_ascii_digit() || (!run.is_empty() && matches!(letter, ' ' | '-' | '(' | ')' | '.' | '/'));
        if inside {
            run.push(letter);
            continue;
        }
        let tail_at = run.trim_end_matches(|c: char| !c.is_ascii_digit()).len();
        let tail = run.split_off(tail_at);
        if run.bytes().filter(u8::is_ascii_digit).count() >= 6 {
            masked.push_str(&run[..2]);
            masked.push('…');
            masked.push_str(&run[run.len() - 2..]);
        } else {
            masked.push_str(&run);
        }
        masked.push_str(&tail);
        run.clear();
        if letter != '\0' {
            masked.push(letter);
        }
    }
    masked
}

fn mask_userinfo(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let authority = rest.find(['/', '"']).unwrap_or(rest.len());
    match rest[..authority].rfind('@') {
        Some(at) => format!("{scheme}://…{}", &rest[at..]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_passwords_are_never_shown() {
        for (key, text, shown) in [
            ("number", "\"+5511987654321\"", "\"+55…21\""),
            ("number", "\"(011) 98765-4321\"", "\"(01…21\""),
            ("numbers", "[\"+5511987654321\", \"+525512345678\"]", "[\"+55…21\", \"+52…78\"]"),
            ("to", "\"{{ payload.customer.phone }}\"", "\"{{ payload.customer.phone }}\""),
            ("url", "\"mqtt://relay:s3cret@broker\"", "\"mqtt://…@broker\""),
            ("url", "\"mqtts://broker.branch:8883\"", "\"mqtts://broker.branch:8883\""),
            ("phone_number_id", "\"106540352242922\"", "\"106540352242922\""),
        ] {
            assert_eq!(mask(key, text), shown, "{key} {text}");
        }
    }
}
