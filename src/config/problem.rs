//! What is wrong with a configuration, and where: told so that a technician on site can put it right.
//!
//! Floor: config. Never holds a secret or an unmasked phone number.

use std::fmt::{self, Write};
use std::path::Path;
use std::sync::Arc;

/// Which layer a value comes from.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Source {
    /// A file, by the path under which it was read.
    File(Arc<Path>),
    /// An environment variable, by its name.
    Environment(Arc<str>),
    /// A board that is built in, by its name.
    Board(Arc<str>),
    /// `config/default.toml`, or a default of the code.
    BuiltIn,
}

/// Where a value was written.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Origin {
    /// The layer.
    pub source: Source,
    /// Counted from 1; 0 where there is no line (a whole file, an environment variable, a default of the code).
    pub line: u32,
    /// Characters, counted from 1; 0 where there is no line.
    pub column: u32,
}

impl Origin {
    /// A default of the code.
    pub(super) fn built_in() -> Origin {
        Origin { source: Source::BuiltIn, line: 0, column: 0 }
    }

    /// A whole file.
    pub(super) fn file(path: &Path) -> Origin {
        Origin { source: Source::File(path.into()), line: 0, column: 0 }
    }

    /// Written by a person of this branch, not shipped.
    pub(super) fn is_own(&self) -> bool {
        !matches!(self.source, Source::BuiltIn | Source::Board(_))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::File(path) if self.line > 0 => write!(f, "{}:{}", path.display(), self.line),
            Source::File(path) => write!(f, "{}", path.display()),
            Source::Environment(name) => write!(f, "environment {name}"),
            Source::Board(name) => write!(f, "board {name}:{}", self.line),
            Source::BuiltIn => f.write_str("built-in"),
        }
    }
}

/// One thing that is wrong, or (as a warning) that may not be what was meant.
///
/// `Display`: `order.toml:14: rules.order-ready.dedupe_windw: no such key. Did you mean dedupe_window?`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// The dotted key; empty where a whole file cannot be read.
    pub key: String,
    /// Where.
    pub origin: Origin,
    /// What is there.
    pub found: String,
    /// What would be right; empty where `found` says it.
    pub wanted: String,
    /// What to do; whole sentences, or empty.
    pub fix: String,
    /// A name that was probably meant.
    pub suggestion: Option<String>,
    /// The lines with a caret under the place, where it is about a place in an expression or a template; else empty.
    pub excerpt: String,
    /// The line of code that tells it, which stands for the kind of mistake: each has a stored text (`tests`).
    #[cfg(test)]
    pub(super) told_at: &'static std::panic::Location<'static>,
}

impl Problem {
    /// With only what is always needed.
    #[track_caller]
    pub(super) fn new(key: impl Into<String>, origin: Origin, found: impl Into<String>) -> Problem {
        let (key, found) = (key.into(), found.into());
        Problem {
            key,
            origin,
            found,
            wanted: String::new(),
            fix: String::new(),
            suggestion: None,
            excerpt: String::new(),
            #[cfg(test)]
            told_at: std::panic::Location::caller(),
        }
    }

    pub(super) fn wanted(mut self, wanted: impl Into<String>) -> Problem {
        self.wanted = wanted.into();
        self
    }

    pub(super) fn fix(mut self, fix: impl Into<String>) -> Problem {
        self.fix = fix.into();
        self
    }

    pub(super) fn suggest(mut self, suggestion: Option<String>) -> Problem {
        self.suggestion = suggestion;
        self
    }
}

/// Names are as people wrote them, and may hold line ends or a terminal's commands: those are shown, not obeyed.
struct OneLine<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|sign| match sign.is_control() {
            true => write!(self.0, "{}", sign.escape_default()),
            false => self.0.write_char(sign),
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let f = &mut OneLine(f);
        write!(f, "{}", self.origin)?;
        if self.key.is_empty() && self.origin.column > 0 {
            write!(f, ":{}", self.origin.column)?; // not TOML: the column is all there is to go by
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.found)?;
        if !self.wanted.is_empty() {
            write!(f, "; wanted: {}", self.wanted)?;
        }
        if !self.fix.is_empty() || self.suggestion.is_some() {
            f.write_str(".")?;
        }
        if !self.fix.is_empty() {
            write!(f, " {}", self.fix)?;
        }
        if let Some(name) = &self.suggestion {
            write!(f, " Did you mean {name}?")?;
        }
        // The one thing that has lines of its own.
        for line in self.excerpt.lines() {
            f.0.write_char('\n')?;
            f.write_str(line)?;
        }
        Ok(())
    }
}

/// The name among `known` that is near enough to be what was meant.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let allowed = (name.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Found by the fuzzer: names of keys and variables reached the terminal as they were.
    #[test]
    fn a_problem_is_one_line_whatever_stands_in_a_name() {
        let origin = Origin { source: Source::Environment("BRANCHLINE__A\r".into()), line: 0, column: 0 };
        let problem = Problem::new("uplink.\u{1b}[2Jé\nb", origin, "no such key");
        assert_eq!(problem.to_string(), "environment BRANCHLINE__A\\r: uplink.\\u{1b}[2Jé\\nb: no such key");
    }
}
