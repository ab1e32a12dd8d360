//! Expressions and templates, compiled once: strict, bounded in steps and in bytes.
//!
//! Floor: rooms. Loads nothing, includes nothing, escapes nothing.

use super::guard;
use super::strict::{self, Finding, Mode};
use crate::limits;
use crate::message::Reason;
use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior};
use std::error::Error as _;
use std::io;

/// One compiled text, by its name in the environment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Text(String);

/// Why a text could not be rendered, fit to be shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Failure {
    pub(super) reason: Reason,
    pub(super) detail: String,
}

impl Failure {
    pub(super) fn new(reason: Reason, detail: impl Into<String>) -> Failure {
        Failure { reason, detail: detail.into() }
    }
}

/// Every text of a configuration.
#[derive(Debug)]
pub(super) struct Texts {
    environment: Environment<'static>,
    count: usize,
}

impl Texts {
    pub(super) fn new(zone: jiff::tz::TimeZone) -> Texts {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Chainable);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_fuel(Some(limits::FUEL));
        guard::install(&mut environment, zone);
        Texts { environment, count: 0 }
    }

    /// Compiles one; `names` are in scope.
    pub(super) fn add(&mut self, source: &str, mode: Mode, names: &[&str]) -> Result<Text, Vec<Finding>> {
        let written = strict::rewrite(source, mode, names)?;
        let name = self.count.to_string();
        self.environment.add_template_owned(name.clone(), written).map_err(|_| {
            vec![Finding { message: "it is too intricate".into(), fix: "split the rule in two".into(), at: None }]
        })?;
        self.count += 1;
        Ok(Text(name))
    }

    /// The text, or why there is none.
    pub(super) fn render(&self, text: &Text, scope: &Value) -> Result<String, Failure> {
        self.run(text, scope, Reason::TemplateFailed)
    }

    /// Whether an expression holds.
    pub(super) fn holds(&self, text: &Text, scope: &Value) -> Result<bool, Failure> {
        Ok(self.run(text, scope, Reason::ExpressionFailed)? == "true")
    }

    fn run(&self, text: &Text, scope: &Value, reason: Reason) -> Result<String, Failure> {
        let template = self.environment.get_template(&text.0);
        let template = template.map_err(|_| Failure::new(reason, "the text was not compiled"))?;
        let mut out = Bounded(Vec::new());
        match template.render_captured_to(scope.clone(), &mut out) {
            Ok(_) => String::from_utf8(out.0).map_err(|_| Failure::new(reason, "the text is not UTF-8")),
            Err(error) => Err(Failure::new(reason, explain(&error))),
        }
    }
}

/// What went wrong, never with what the payload holds: only our own errors speak for themselves.
fn explain(error: &minijinja::Error) -> String {
    if let Some(ours) = error.source().and_then(|source| source.downcast_ref::<guard::Ours>()) {
        return ours.to_string();
    }
    match error.kind() {
        ErrorKind::OutOfFuel => format!("more than {} steps", limits::FUEL),
        ErrorKind::WriteFailure => format!("longer than {} bytes", limits::RENDERED),
        kind => format!("{kind}"),
    }
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
