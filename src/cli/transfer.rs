//! `branchline outbox import`: ledger, suppression and limits of the box that this one replaces.
//!
//! Floor: roof. Reads what `outbox export --all` wrote; messages are not taken over, and nothing is sent.

use super::args::Output;
use super::failure::{Exit, Failure};
use super::ledger;
use super::{Session, print, print_json};
use crate::operate::{ImportReport, LedgerLine, LimitRow, Request};
use crate::time::Wall;
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::Write;

/// What the configuration states it states here too.
const STATED: &str = "configuration";

/// A row of `ledger`.
#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    number: String,
    #[serde(default)]
    user_ids: Vec<String>,
    purpose: String,
    action: String,
    source: String,
    #[serde(default)]
    wording: String,
    at_wall: Option<i64>,
    expires_wall: Option<i64>,
}

impl Entry {
    fn line(self, line: u64) -> LedgerLine {
        let instant = |at: Option<i64>| at.map_or(String::new(), |at| Wall(at).rfc3339());
        LedgerLine {
            line,
            number: if self.number.is_empty() {
                self.user_ids.into_iter().next().unwrap_or_default()
            } else {
                self.number
            },
            purpose: self.purpose,
            action: self.action,
            at: instant(self.at_wall),
            source: self.source,
            wording: self.wording,
            expires: instant(self.expires_wall),
        }
    }
}

/// What is taken over, each row with its line.
#[derive(Default)]
struct Rows {
    ledger: Vec<LedgerLine>,
    limits: Vec<LimitRow>,
    messages: u64,
    /// Rows of people of whom no name is known: nothing can be taken over for them.
    nameless: u64,
}

impl<W: Write> Session<'_, W> {
    pub(super) fn take_over(&mut self, text: &str, output: Output) -> Result<(), Failure> {
        let rows = rows(text)?;
        let (mut limits, mut entries) = (ImportReport::default(), ImportReport::default());
        // First: into a store that has sent they are refused, and then nothing is done.
        for batch in rows.limits.chunks(ledger::BATCH) {
            let (_, report) = self.data::<ImportReport>(Request::LimitsImport { rows: batch.to_vec() })?;
            if let Some(problem) = report.problems.first() {
                return Err(Failure::new(Exit::No, format!("a row of limits: {}", problem.problem)));
            }
            ledger::add(&mut limits, &report);
        }
        for batch in rows.ledger.chunks(ledger::BATCH) {
            let request = Request::ConsentImport { rows: batch.to_vec(), more: true, releases: false };
            let (_, report) = self.data::<ImportReport>(request)?;
            if !report.problems.is_empty() {
                return Err(ledger::refused(&report.problems));
            }
            ledger::add(&mut entries, &report);
        }
        if output.json {
            return print_json(
                self.out,
                &json!({"ledger": entries, "limits": limits, "messages_left_out": rows.messages, "nameless_left_out": rows.nameless}),
            );
        }
        let mut told = format!(
            "ledger: {} recorded, {} known already\nlimits and suppression, by person: {} taken over, {} known already\n",
            entries.recorded, entries.unchanged, limits.recorded, limits.unchanged
        );
        if rows.messages > 0 {
            told.push_str(&format!("left out, for they stay with the other box: messages, {}\n", rows.messages));
        }
        if rows.nameless > 0 {
            told.push_str(&format!("left out, for nobody knows whose they are: rows, {}\n", rows.nameless));
        }
        print(self.out, &told)
    }
}

/// Every line is read before the first goes out.
fn rows(text: &str) -> Result<Rows, Failure> {
    let mut rows = Rows::default();
    for (place, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let number = place as u64 + 1;
        // Without what stands there: it may be a person's.
        let wrong = || {
            let text = format!("line {number} is none of branchline outbox export --all: nothing was taken over");
            Failure::new(Exit::No, text)
        };
        let value: Value = serde_json::from_str(line).map_err(|_| wrong())?;
        let nameless = value["number"].as_str().is_none_or(str::is_empty)
            && value["user_ids"].as_array().is_none_or(Vec::is_empty);
        match value["table"].as_str() {
            Some("ledger" | "limits") if nameless => rows.nameless += 1,
            Some("ledger") => {
                let entry = Entry::deserialize(&value).map_err(|_| wrong())?;
                if entry.source != STATED {
                    rows.ledger.push(entry.line(number));
                }
            }
            Some("limits") => rows.limits.push(LimitRow::deserialize(&value).map_err(|_| wrong())?),
            Some("message") => rows.messages += 1,
            Some(_) => {}
            None => return Err(wrong()),
        }
    }
    if rows.ledger.is_empty() && rows.limits.is_empty() {
        let text = "there is nothing of people in it: it was written without --all, or the box knew nobody";
        return Err(Failure::new(Exit::No, text));
    }
    Ok(rows)
}
