//! Takes values out of the tree by key, and keeps account: every problem, every key that was asked for.
//!
//! Floor: config. Knows no key by name. What is written and never asked for is an unknown key.

use super::problem::{Origin, Problem, Source, nearest};
use super::show::{describe, is_secret_word, mask};
use super::tree::{Node, Table};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

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
    /// See `Config::contents`.
    pub contents: BTreeMap<String, u64>,
    /// `$CREDENTIALS_DIRECTORY`: bare file names are looked for here first.
    pub credentials: Option<PathBuf>,
}

impl Account {
    /// Of the configuration in `file`, read in this environment.
    pub fn of(file: &Path, env: &[(String, String)]) -> Account {
        Account {
            file: file.to_owned(),
            folder: file.parent().unwrap_or(Path::new("")).to_owned(),
            credentials: env.iter().find(|(name, _)| name == "CREDENTIALS_DIRECTORY").map(|(_, path)| path.into()),
            ..Account::default()
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

    pub fn leaf_or(&mut self, key: &str, default: Option<&str>) -> Option<&'t Node> {
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
    #[track_caller]
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
    #[track_caller]
    pub fn wrong(&mut self, key: &str, node: &Node, wanted: impl Into<String>) {
        let found = describe(key, node);
        let problem = Problem::new(self.key(key), node.origin.clone(), found).wanted(wanted);
        self.tell(problem);
    }

    /// A key that must be there.
    #[track_caller]
    pub fn missing(&mut self, key: &str, fix: &str) {
        let mut problem = self.problem(key, "is missing").fix(fix);
        if problem.origin.source == Source::BuiltIn {
            problem.origin = Origin::file(&self.account.file);
        }
        self.tell(problem);
    }

    /// Says that a key must be there, and what to do where it is not.
    #[track_caller]
    pub fn require(&mut self, key: &str, fix: &str) {
        if !self.has(key) {
            self.missing(key, fix);
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
                match nearest(name, known()) {
                    Some(near) => problem.suggest(Some(near)),
                    None => problem.fix(there_are(known())),
                }
            });
        }
    }
}

/// What may be written instead of a name that is unlike all of them.
pub(super) fn there_are<'a>(known: impl IntoIterator<Item = &'a str>) -> String {
    /// More are no help on one line.
    const SHOWN: usize = 16;
    let mut names: Vec<&str> = known.into_iter().collect();
    names.sort_unstable();
    names.dedup();
    let more = if names.len() > SHOWN { ", and others" } else { "" };
    names.truncate(SHOWN);
    if names.is_empty() { "There are none yet.".to_owned() } else { format!("There are: {}{more}.", names.join(", ")) }
}

/// `[a-z0-9-]`, not empty.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}
