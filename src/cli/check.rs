//! `branchline check`: every problem of the configuration at once, or every value in force with where it comes from.
//!
//! Floor: roof.

use crate::config::{Effective, Loaded, Origin, Problem, Source};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;

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
