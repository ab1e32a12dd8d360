//! `branchline explain`, the part of the rules: each value on the way and what people would read.
//!
//! Floor: rooms. Runs the same code as a real event does; whatever looks like a phone number is masked.

use super::apply::{self, Shared};
use super::compile::Compiled;
use super::{Applied, Effect};
use crate::message::{Arrival, Content, Delivery, Draft, Payload, Reason};
use crate::time::Wall;
use bytes::Bytes;
use serde::Serialize;

/// Digits in a row (spaces, dashes, dots and brackets between them) that are taken for a phone number.
const NUMBER: usize = 8;

/// One rule and one event.
#[derive(Debug, Serialize)]
pub struct Explained {
    /// The rule.
    pub rule: String,
    /// Its topic.
    pub topic: String,
    /// Whether the topic matches.
    pub matches: bool,
    /// `made`, `passed`, `unreadable` or `no-match`.
    pub verdict: &'static str,
    /// Why, where it is not `made`.
    pub reason: Option<Reason>,
    /// What exactly.
    pub detail: Option<String>,
    /// Each value on the way, in the order it was found.
    pub values: Vec<Step>,
    /// Consents that change.
    pub effects: Vec<String>,
    /// What people would read.
    pub messages: Vec<Preview>,
    /// Recipients that could not be told.
    pub failed: Vec<Step>,
    /// The drafts themselves, for policy and limits; not printed.
    #[serde(skip)]
    pub drafts: Vec<Draft>,
}

/// A name and a value, masked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Step {
    /// What.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// One message as a person would read it.
#[derive(Debug, Serialize)]
pub struct Preview {
    /// The number, masked.
    pub to: String,
    /// The template; none for free text.
    pub template: Option<String>,
    /// The language of the template.
    pub language: Option<String>,
    /// What limits and policy go by.
    pub category: &'static str,
    /// The consent it needs.
    pub purpose: String,
    /// What it may overtake.
    pub priority: &'static str,
    /// From the event's time until it is of no use.
    pub expires_seconds: u64,
    /// Whether something was cut to the API's length.
    pub cut: bool,
    /// Characters of the text.
    pub characters: usize,
    /// The text, numbers masked.
    pub text: String,
}

/// Takes down values, if anybody wants to know.
pub(super) struct Trace(Option<Vec<Step>>);

impl Trace {
    /// For real events: costs nothing.
    pub(super) fn off() -> Trace {
        Trace(None)
    }

    pub(super) fn note(&mut self, name: &str, value: &str) {
        if let Some(steps) = &mut self.0 {
            steps.push(Step { name: name.to_owned(), value: mask(value) });
        }
    }
}

/// Hides what looks like a phone number, all but two digits at each end.
pub(super) fn mask(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut run = String::new();
    for letter in text.chars() {
        let within = letter.is_ascii_digit() || (!run.is_empty() && matches!(letter, ' ' | '-' | '.' | '(' | ')'));
        if within {
            run.push(letter);
        } else {
            hide(&mut run, &mut out);
            out.push(letter);
        }
    }
    hide(&mut run, &mut out);
    out
}

fn hide(run: &mut String, out: &mut String) {
    let digits = run.bytes().filter(u8::is_ascii_digit).count();
    let date =
        run.as_bytes().get(4) == Some(&b'-') && run.as_bytes().get(7) == Some(&b'-') && digits == 8 && run.len() == 10;
    if digits < NUMBER || date {
        out.push_str(run);
    } else {
        let tail = run.trim_end_matches(|letter: char| !letter.is_ascii_digit());
        out.push_str(&run[..2]);
        out.push('…');
        out.push_str(&tail[tail.len() - 2..]);
        out.push_str(&run[tail.len()..]);
    }
    run.clear();
}

/// What `rule` does with an event on `topic`.
pub(super) fn explain(shared: &Shared, rule: &Compiled, topic: &str, payload: &[u8], now: Option<Wall>) -> Explained {
    let mut explained = Explained {
        rule: rule.name.to_string(),
        topic: rule.pattern.text().to_owned(),
        matches: rule.pattern.matches(topic),
        verdict: "no-match",
        reason: None,
        detail: None,
        values: Vec::new(),
        effects: Vec::new(),
        messages: Vec::new(),
        failed: Vec::new(),
        drafts: Vec::new(),
    };
    if !explained.matches {
        explained.detail = Some(format!("the topic does not match {}", rule.pattern.text()));
        return explained;
    }
    let arrival = Arrival {
        topic: topic.to_owned(),
        payload: Payload::Whole(Bytes::copy_from_slice(payload)),
        retained: false,
        delivery: Delivery::AtMostOnce,
        subscriptions: Vec::new(),
        event_id: None,
        expiry: None,
    };
    let mut trace = Trace(Some(Vec::new()));
    match apply::apply(shared, rule, &arrival, now, &mut trace) {
        Applied::Passed(reason) => {
            explained.verdict = "passed";
            explained.reason = Some(reason);
        }
        Applied::Unreadable { reason, detail, .. } => {
            explained.verdict = "unreadable";
            explained.reason = Some(reason);
            explained.detail = Some(mask(&detail));
        }
        Applied::Made { effects, drafts, failed, .. } => {
            explained.verdict = "made";
            explained.effects = effects.iter().map(effect).collect();
            explained.messages = drafts.iter().map(preview).collect();
            let failed =
                failed.into_iter().map(|(reason, detail)| Step { name: reason.code().into(), value: mask(&detail) });
            explained.failed = failed.collect();
            explained.drafts = drafts;
        }
    }
    explained.values = trace.0.unwrap_or_default();
    explained
}

fn effect(effect: &Effect) -> String {
    let (verb, to, purposes) = match effect {
        Effect::Grant { to, purposes } => ("grants", to, purposes),
        Effect::Revoke { to, purposes } => ("revokes", to, purposes),
    };
    let purposes = if purposes.is_empty() { "all".to_owned() } else { purposes.join(", ") };
    format!("{to} {verb} {purposes}")
}

fn preview(draft: &Draft) -> Preview {
    let (template, language) = match draft.content() {
        Content::Template(template) => (Some(template.name.clone()), Some(template.language.clone())),
        Content::Text(_) => (None, None),
    };
    let text = draft.content().preview();
    Preview {
        to: draft.to().to_string(),
        template,
        language,
        category: draft.content().category().code(),
        purpose: draft.terms().purpose.to_string(),
        priority: draft.terms().priority.code(),
        expires_seconds: draft.terms().expires.as_secs(),
        cut: draft.terms().cut,
        characters: text.chars().count(),
        text: mask(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phone_numbers_are_masked_in_any_text() {
        for (text, masked) in [
            ("+5511987654321", "+55…21"),
            ("call (11) 98765-4321, now", "call (11…21, now"),
            ("order 1234567", "order 1234567"),
            ("order 12345678", "order 12…78"),
            ("5.50 of 12 on 22/11", "5.50 of 12 on 22/11"),
            ("é 98765 4321 é", "é 98…21 é"),
            ("2026-11-22T03:00:00.000Z", "2026-11-22T03:00:00.000Z"),
            ("", ""),
        ] {
            assert_eq!(mask(text), masked);
        }
    }
}
