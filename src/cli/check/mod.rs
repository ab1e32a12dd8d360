//! `branchline check`: every problem of the configuration at once, or every value in force with where it comes from; and what
//! comes of trying them.
//!
//! Floor: roof. Never shows a secret, never opens the store.

mod broker;
mod machine;
mod online;
mod platform;

use super::failure::{Exit, Failure};
use super::unwritten;
use crate::config::{Effective, Loaded, Origin, Problem, Source};
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
        let text = if json { format!("{:#}\n", self::json(checked)) } else { String::new() };
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
        let mut all = self::json(checked);
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

/// For a person.
pub(super) fn text(file: &Path, checked: &Result<Loaded, Vec<Problem>>) -> String {
    let mut out = String::new();
    match checked {
        Err(problems) => {
            lines(&mut out, problems);
            let _ = write!(out, "\n{} to put right; nothing was started.\n", count(problems.len(), "problem"));
        }
        Ok(loaded) => {
            let widest = loaded.effective.iter().map(|value| value.key.len()).max().unwrap_or(0).min(44);
            for Effective { key, value, origin } in &loaded.effective {
                // Writing to a string cannot fail.
                let _ = writeln!(out, "{key:widest$} = {value}   # {origin}");
            }
            out.push('\n');
            for warning in &loaded.warnings {
                let _ = writeln!(out, "warning: {warning}");
            }
            let _ = writeln!(out, "{}: no problems, {}.", file.display(), count(loaded.warnings.len(), "warning"));
        }
    }
    out
}

/// For a script: `{"ok","problems","warnings","effective"}`.
pub(super) fn json(checked: &Result<Loaded, Vec<Problem>>) -> Value {
    let (problems, loaded) = match checked {
        Ok(loaded) => (&[][..], Some(loaded)),
        Err(problems) => (problems.as_slice(), None),
    };
    let warnings = loaded.map_or(&[][..], |loaded| loaded.warnings.as_slice());
    let effective = loaded.map_or(&[][..], |loaded| loaded.effective.as_slice());
    json!({
        "ok": loaded.is_some(),
        "problems": problems.iter().map(problem).collect::<Vec<_>>(),
        "warnings": warnings.iter().map(problem).collect::<Vec<_>>(),
        "effective": effective.iter().map(|Effective { key, value, origin }| {
            json!({"key": key, "value": value, "origin": place(origin)})
        }).collect::<Vec<_>>(),
    })
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
        Source::BuiltIn => "built-in".to_owned(),
    };
    json!({"source": source, "line": origin.line, "column": origin.column})
}
