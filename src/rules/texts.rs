//! Expressions and templates, compiled once: strict, bounded in steps and in bytes.
//!
//! Floor: rooms. Loads nothing, includes nothing, escapes nothing.

use super::catalog::shorten;
use super::guard;
use super::paths;
use super::strict::{self, Finding, Mode};
use crate::limits;
use crate::message::Reason;
use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior};
use std::error::Error as _;
use std::io;

/// Characters of a value that are shown to people.
const SHOWN: usize = 60;

/// One compiled text: its place in `Texts`, and its name in the environment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Text(usize, String);

/// A text as a person wrote it: kept, so that `explain` can point into it.
#[derive(Clone, Debug, Default)]
pub(super) struct Written {
    /// `rules.order-ready.when`
    pub(super) key: String,
    /// File and line; empty where they are not known.
    pub(super) origin: String,
    pub(super) source: String,
}

/// Why a text could not be rendered, fit to be shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Failure {
    pub(super) reason: Reason,
    pub(super) detail: String,
    /// The text that it is about, and the bytes of it where one place is to blame.
    pub(super) place: Option<(usize, Option<(usize, usize)>)>,
}

impl Failure {
    pub(super) fn new(reason: Reason, detail: impl Into<String>) -> Failure {
        Failure { reason, detail: detail.into(), place: None }
    }

    /// What came of `text` is to blame, unless the place is known more closely.
    pub(super) fn of(self, text: &Text) -> Failure {
        Failure { place: self.place.or(Some((text.0, None))), ..self }
    }
}

/// Every text of a configuration.
#[derive(Debug)]
pub(super) struct Texts {
    environment: Environment<'static>,
    written: Vec<Written>,
}

impl Texts {
    pub(super) fn new(zone: jiff::tz::TimeZone) -> Texts {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Chainable);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_fuel(Some(limits::FUEL));
        environment.set_debug(false);
        guard::install(&mut environment, zone);
        Texts { environment, written: Vec::new() }
    }

    /// Compiles one; `names` are in scope.
    pub(super) fn add(&mut self, written: Written, mode: Mode, names: &[&str]) -> Result<Text, Vec<Finding>> {
        let strict = strict::rewrite(&written.source, mode, names)?;
        let index = self.written.len();
        let name = index.to_string();
        self.environment.add_template_owned(name.clone(), strict).map_err(|_| {
            vec![Finding { message: "it is too intricate".into(), fix: "split the rule in two".into(), at: None }]
        })?;
        self.written.push(written);
        Ok(Text(index, name))
    }

    /// The text as it was written.
    pub(super) fn written(&self, text: &Text) -> Option<&Written> {
        self.written_at(text.0)
    }

    /// The text that a `Failure` is about.
    pub(super) fn written_at(&self, index: usize) -> Option<&Written> {
        self.written.get(index)
    }

    /// The text, or why there is none.
    pub(super) fn render(&self, text: &Text, scope: &Value) -> Result<String, Failure> {
        self.run(text, scope, Reason::TemplateFailed)
    }

    /// Whether an expression holds.
    pub(super) fn holds(&self, text: &Text, scope: &Value) -> Result<bool, Failure> {
        Ok(self.run(text, scope, Reason::ExpressionFailed)? == "true")
    }

    /// Each field that an expression looks at, with its value as JSON: for people who ask why it holds or not.
    pub(super) fn operands(&self, text: &Text, scope: &Value) -> Vec<(String, String)> {
        let source = self.written(text).map_or("", |written| &written.source);
        paths::paths(source)
            .into_iter()
            .map(|path| {
                let value = self.environment.compile_expression(path).and_then(|path| path.eval(scope.clone()));
                let shown = match value {
                    Ok(value) if value.is_undefined() => "(missing)".to_owned(),
                    Ok(value) => serde_json::to_string(&value).unwrap_or_default(),
                    Err(_) => "(cannot be read)".to_owned(),
                };
                let mut shown = shown;
                shorten(&mut shown, SHOWN);
                (path.to_owned(), shown)
            })
            .collect()
    }

    fn run(&self, text: &Text, scope: &Value, reason: Reason) -> Result<String, Failure> {
        let template = self.environment.get_template(&text.1);
        let template = template.map_err(|_| Failure::new(reason, "the text was not compiled"))?;
        let mut out = Bounded(Vec::new());
        match template.render_captured_to(scope.clone(), &mut out) {
            Ok(_) => String::from_utf8(out.0).map_err(|_| Failure::new(reason, "the text is not UTF-8")),
            Err(error) => {
                let (detail, at) = explain(&error, self.written(text).map_or("", |written| &written.source));
                Err(Failure { reason, detail, place: Some((text.0, at)) })
            }
        }
    }
}

/// What went wrong, never with what the payload holds: only our own errors speak for themselves. And where.
fn explain(error: &minijinja::Error, source: &str) -> (String, Option<(usize, usize)>) {
    if let Some(ours) = error.source().and_then(|source| source.downcast_ref::<guard::Ours>()) {
        return (ours.to_string(), ours.at);
    }
    match error.kind() {
        ErrorKind::OutOfFuel => (format!("more than {} steps", limits::FUEL), first_loop(source)),
        ErrorKind::WriteFailure => (format!("longer than {} bytes", limits::RENDERED), first_loop(source)),
        kind => (format!("{kind}"), None),
    }
}

/// What takes so many steps, or writes so much, is a loop: the outermost one that is written first.
fn first_loop(source: &str) -> Option<(usize, usize)> {
    let start = source
        .match_indices("{%")
        .find(|(at, _)| source[at + 2..].trim_start_matches('-').trim_start().starts_with("for"))?
        .0;
    Some((start, source[start..].find("%}").map_or(source.len(), |end| start + end + 2)))
}

/// Refuses more than `limits::RENDERED` bytes.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > limits::RENDERED {
            return Err(io::Error::other("too long"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[path = "texts_tests.rs"]
mod tests;
