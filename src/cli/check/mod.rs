//! `branchline check`: every problem of the configuration at once, or every value in force with where it comes from; and what
//! comes of trying them.
//!
//! Floor: roof. Never shows a secret, never opens the store.

mod broker;
mod machine;
mod online;
mod platform;
mod webhook;

use super::failure::{Exit, Failure};
use super::unwritten;
use crate::config::{Board, Effective, Loaded, Origin, Problem, Source};
use serde_json::{Value, json};
use std::fmt::Write;
use std::io;
use std::path::Path;

/// Tries what the configuration names, and tells each step as it ends: as lines, or at the end with the rest as JSON.
///
/// # Errors
/// `Exit::No` where somebody said no or the configuration has problems, `Exit::Unavailable` where nobody answered; `Exit::Storage` where nothing can be written.
pub(super) async fn online(
    checked: &Result<Loaded, Vec<Problem>>,
    json: bool,
    out: &mut dyn io::Write,
) -> Result<(), Failure> {
    let Ok(loaded) = checked else {
        let text = if json { format!("{:#}\n", Checked::of(checked).json()) } else { String::new() };
        out.write_all(text.as_bytes()).map_err(|error| unwritten(&error))?;
        return Err(Failure::new(
            Exit::No,
            if json { "" } else { "online: not tried, the configuration has problems" },
        ));
    };
    let mut written = Ok(());
    let mut tell = |line: &online::Line| {
        if !json && written.is_ok() {
            written = writeln!(out, "{line}").and_then(|()| out.flush());
        }
    };
    let lines = online::run(loaded, &mut tell).await;
    written.map_err(|error| unwritten(&error))?;
    let (sum, ended) = online::sum(&lines);
    let text = if json {
        let mut all = Checked::of(checked).json();
        all["online"] = lines.iter().map(online::Line::json).collect();
        all["ok"] = (ended == online::Outcome::Fine).into();
        format!("{all:#}\n")
    } else {
        format!("{sum}\n")
    };
    out.write_all(text.as_bytes()).map_err(|error| unwritten(&error))?;
    match ended {
        online::Outcome::No => Err(Failure::new(Exit::No, "")),
        online::Outcome::Unreachable => Err(Failure::new(Exit::Unavailable, "")),
        _ => Ok(()),
    }
}

/// What a check of a configuration found.
pub(super) struct Checked<'a> {
    problems: &'a [Problem],
    /// Values and warnings, where there is no problem.
    sound: Option<(&'a [Effective], &'a [Problem])>,
    board: Option<&'a Board>,
}

impl<'a> Checked<'a> {
    /// Of the daemon's.
    pub fn of(loaded: &'a Result<Loaded, Vec<Problem>>) -> Checked<'a> {
        match loaded {
            Ok(loaded) => Checked {
                problems: &[],
                sound: Some((&loaded.effective, &loaded.warnings)),
                board: loaded.config.board.as_ref(),
            },
            Err(problems) => Checked { problems, sound: None, board: None },
        }
    }

    /// Of `branchline forward`'s.
    pub fn of_forward(loaded: &'a crate::config::forward::LoadedForward) -> Checked<'a> {
        match loaded {
            Ok((_, effective, warnings)) => Checked { problems: &[], sound: Some((effective, warnings)), board: None },
            Err(problems) => Checked { problems, sound: None, board: None },
        }
    }

    /// For a person.
    pub fn text(&self, file: &Path) -> String {
        let mut out = String::new();
        let Some((effective, warnings)) = self.sound else {
            lines(&mut out, self.problems);
            // Writing to a string cannot fail.
            let _ = write!(out, "\n{} to put right; nothing was started.\n", count(self.problems.len(), "problem"));
            return out;
        };
        let widest = effective.iter().map(|value| value.key.len()).max().unwrap_or(0).min(44);
        for Effective { key, value, origin } in effective {
            let _ = writeln!(out, "{key:widest$} = {value}   # {origin}");
        }
        out.push('\n');
        if let Some(board) = self.board {
            let _ = writeln!(out, "{}\n", board.explain().join("\n"));
        }
        for warning in warnings {
            let _ = writeln!(out, "warning: {warning}");
        }
        let _ = writeln!(out, "{}: no problems, {}.", file.display(), count(warnings.len(), "warning"));
        out
    }

    /// For a script: `{"ok","problems","warnings","effective","board"}`.
    pub fn json(&self) -> Value {
        let (effective, warnings) = self.sound.unwrap_or_default();
        json!({
            "ok": self.sound.is_some(),
            "problems": self.problems.iter().map(problem).collect::<Vec<_>>(),
            "warnings": warnings.iter().map(problem).collect::<Vec<_>>(),
            "effective": effective.iter().map(|Effective { key, value, origin }| {
                json!({"key": key, "value": value, "origin": place(origin)})
            }).collect::<Vec<_>>(),
            "board": self.board.map(|board| json!({
                "name": board.name,
                "description": board.description,
                "sets": board.sets,
                "facts": board.facts.iter().map(|Effective { key, value, origin }| {
                    json!({"key": key, "value": value, "origin": place(origin)})
                }).collect::<Vec<_>>(),
            })),
        })
    }
}

fn lines(out: &mut String, problems: &[Problem]) {
    for problem in problems {
        let _ = writeln!(out, "{problem}");
    }
}

fn count(number: usize, what: &str) -> String {
    match number {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

fn problem(problem: &Problem) -> Value {
    json!({
        "key": problem.key,
        "origin": place(&problem.origin),
        "found": problem.found,
        "wanted": problem.wanted,
        "fix": problem.fix,
        "text": problem.to_string(),
    })
}

fn place(origin: &Origin) -> Value {
    let source = match &origin.source {
        Source::File(path) => path.display().to_string(),
        Source::Environment(name) => format!("environment {name}"),
        Source::Board(name) => format!("board {name}"),
        Source::BuiltIn => "built-in".to_owned(),
    };
    json!({"source": source, "line": origin.line, "column": origin.column})
}
