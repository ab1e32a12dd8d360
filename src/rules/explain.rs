//! `branchline explain`, the part of the rules: each value on the way and what people would read.
//!
//! Floor: rooms. Runs the same code as a real event does; whatever looks like a phone number is masked.

use super::apply::{self, Shared};
use super::compile::Compiled;
use super::excerpt;
use super::say::Say;
use super::settings::Format;
use super::texts::{Failure, Text, Texts};
use super::{Applied, Effect};
use crate::message::{Arrival, Body, Button, Content, Delivery, Draft, Header, Number, Payload, Reason, masked};
use crate::operate::Trouble;
use crate::time::Wall;
use bytes::Bytes;
use minijinja::value::Value;
use serde::Serialize;
use std::collections::BTreeMap;

/// One rule and one event.
#[derive(Debug, Serialize)]
pub struct Explained {
    /// The rule.
    pub rule: String,
    /// Its topic.
    pub topic: String,
    /// Whether the topic matches.
    pub matches: bool,
    /// How many levels of the topic fit: the more, the nearer a miss.
    pub fits: usize,
    /// `made`, `passed`, `unreadable` or `no-match`.
    pub verdict: &'static str,
    /// Why, where it is not `made`.
    pub reason: Option<Reason>,
    /// What exactly.
    pub detail: Option<String>,
    /// What the topic's names stand for.
    pub captures: BTreeMap<String, String>,
    /// Each value on the way, in the order it was found.
    pub values: Vec<Step>,
    /// Consents that change.
    pub effects: Vec<String>,
    /// What people would read.
    pub messages: Vec<Preview>,
    /// Recipients that could not be told.
    pub failed: Vec<Step>,
    /// Where in the configuration, or in the payload, something went wrong.
    pub troubles: Vec<Trouble>,
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
    /// The country of the number, two letters.
    pub country: Option<String>,
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
    /// Each parameter: `body 1`, `header`, `button 2`.
    pub parameters: Vec<Step>,
    /// Header, body, footer, buttons; or the text. As the person reads it, but masked.
    pub parts: Vec<(&'static str, String)>,
    /// What has a bound: its name, its characters as the person gets them, the bound.
    pub lengths: Vec<(String, usize, usize)>,
}

/// Takes down values, if anybody wants to know.
pub(super) struct Trace(Option<Taken>);

#[derive(Default)]
struct Taken {
    captures: BTreeMap<String, String>,
    steps: Vec<Step>,
    troubles: Vec<Trouble>,
}

impl Trace {
    /// For real events: costs nothing.
    pub(super) fn off() -> Trace {
        Trace(None)
    }

    pub(super) fn note(&mut self, name: &str, value: &str) {
        if let Some(taken) = &mut self.0 {
            taken.steps.push(step(name, value));
        }
    }

    pub(super) fn capture(&mut self, name: &str, value: &str) {
        if let Some(taken) = &mut self.0 {
            taken.captures.insert(name.to_owned(), masked(value));
        }
    }

    /// A number as it was read, and what it was read from: a name, or how the event wrote it.
    pub(super) fn person(&mut self, number: &Number, from: &str) {
        if self.0.is_some() {
            let country = number.country().map_or(String::new(), |country| format!(" ({})", country.code()));
            let from = if from.is_empty() { String::new() } else { format!(" from {from:?}") };
            self.note("to", &format!("{number}{country}{from}"));
        }
    }

    /// What an expression looks at.
    pub(super) fn operands(&mut self, texts: &Texts, text: &Text, scope: &Value) {
        if let Some(taken) = &mut self.0 {
            for (name, value) in texts.operands(text, scope) {
                let step = step(&name, &value);
                if !taken.steps.contains(&step) {
                    taken.steps.push(step);
                }
            }
        }
    }

    pub(super) fn failed(&mut self, failure: &Failure, texts: &Texts) {
        let Some(taken) = &mut self.0 else { return };
        let Some((index, at)) = failure.place else { return };
        let Some(written) = texts.written_at(index) else { return };
        taken.troubles.push(Trouble {
            key: written.key.clone(),
            origin: written.origin.clone(),
            detail: masked(without_field(&failure.detail)),
            excerpt: excerpt::under(&written.source, at),
        });
    }
}

/// The key tells already which field it is.
fn without_field(detail: &str) -> &str {
    const FIELDS: [&str; 8] = ["when", "opt_in", "id", "at", "to", "country", "subject", "message"];
    match detail.split_once(": ") {
        Some((field, rest)) if FIELDS.contains(&field) => rest,
        _ => detail,
    }
}

fn step(name: &str, value: &str) -> Step {
    Step { name: name.to_owned(), value: masked(value) }
}

/// What `rule` does with an event on `topic`.
pub(super) fn explain(shared: &Shared, rule: &Compiled, topic: &str, payload: &[u8], now: Option<Wall>) -> Explained {
    let mut explained = Explained {
        rule: rule.name.to_string(),
        topic: rule.pattern.text().to_owned(),
        matches: true,
        fits: topic.split('/').count(),
        verdict: "no-match",
        reason: None,
        detail: None,
        captures: BTreeMap::new(),
        values: Vec::new(),
        effects: Vec::new(),
        messages: Vec::new(),
        failed: Vec::new(),
        troubles: Vec::new(),
        drafts: Vec::new(),
    };
    if let Some((fits, why)) = rule.pattern.miss(topic) {
        return Explained { matches: false, fits, detail: Some(masked(&why)), ..explained };
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
    let mut trace = Trace(Some(Taken::default()));
    match apply::apply(shared, rule, &arrival, now, &mut trace) {
        Applied::Passed(reason) => {
            explained.verdict = "passed";
            explained.reason = Some(reason);
            let when = rule.when.as_ref().filter(|_| reason == Reason::WhenFalse);
            explained.detail = when.and_then(|when| shared.texts.written(when)).map(|when| masked(&when.source));
        }
        Applied::Unreadable { reason, detail, .. } => {
            explained.verdict = "unreadable";
            explained.reason = Some(reason);
            explained.detail = Some(masked(&detail));
            explained.troubles.extend(in_payload(reason, rule, payload, &detail));
        }
        Applied::Made { effects, drafts, failed, .. } => {
            explained.verdict = "made";
            explained.effects = effects.iter().map(effect).collect();
            explained.messages = drafts.iter().map(|draft| preview(draft, rule.say.as_ref())).collect();
            explained.failed = failed.into_iter().map(|(reason, detail)| step(reason.code(), &detail)).collect();
            explained.drafts = drafts;
        }
    }
    let taken = trace.0.unwrap_or_default();
    explained.captures = taken.captures;
    explained.values = taken.steps;
    explained.troubles.extend(taken.troubles);
    explained
}

/// Where a payload stops being JSON.
fn in_payload(reason: Reason, rule: &Compiled, payload: &[u8], detail: &str) -> Option<Trouble> {
    if payload.is_empty() || reason != Reason::PayloadUnreadable || rule.format != Format::Json {
        return None;
    }
    let text = std::str::from_utf8(payload).ok()?;
    let error = serde_json::from_str::<serde::de::IgnoredAny>(text).err()?;
    let line = text.split_inclusive('\n').take(error.line().checked_sub(1)?).map(str::len).sum::<usize>();
    // The column counts bytes, from 1; at the end of the text there is nothing under it.
    let at = line + error.column().saturating_sub(1);
    let excerpt = excerpt::under(text, Some((at, at + 1)));
    Some(Trouble { key: "payload".to_owned(), origin: String::new(), detail: masked(detail), excerpt })
}

fn effect(effect: &Effect) -> String {
    let (verb, to, purposes) = match effect {
        Effect::Grant { to, purposes } => ("grants", to, purposes),
        Effect::Revoke { to, purposes } => ("revokes", to, purposes),
    };
    let purposes = if purposes.is_empty() { "all".to_owned() } else { purposes.join(", ") };
    format!("{to} {verb} {purposes}")
}

/// A draft as the person would read it.
pub(super) fn preview(draft: &Draft, say: Option<&Say>) -> Preview {
    let (template, language) = match draft.content() {
        Content::Template(template) => (Some(template.name.clone()), Some(template.language.clone())),
        Content::Text(_) => (None, None),
    };
    let parts = say.map(|say| say.parts(draft.content())).unwrap_or_default();
    let parts = parts.into_iter().map(|(what, text)| (what, masked(&text))).collect();
    let lengths = say.map(|say| say.lengths(draft.content())).unwrap_or_default();
    Preview {
        to: draft.to().to_string(),
        country: draft.to().country().map(|country| country.code().to_owned()),
        template,
        language,
        category: draft.content().category().code(),
        purpose: draft.terms().purpose.to_string(),
        priority: draft.terms().priority.code(),
        expires_seconds: draft.terms().expires.as_secs(),
        cut: draft.terms().cut,
        parameters: parameters(draft.content()),
        parts,
        lengths,
    }
}

fn parameters(content: &Content) -> Vec<Step> {
    let Content::Template(template) = content else { return Vec::new() };
    let header = template.header.as_ref().map(|header| match header {
        Header::Text(_, value) | Header::Image(value) | Header::Video(value) => step("header", value),
        Header::Document(url, name) => step("header", &[url.as_str(), name.as_deref().unwrap_or_default()].join(" ")),
        Header::Location { latitude, longitude, name, address } => {
            step("header", &format!("{latitude}, {longitude}, {name}, {address}"))
        }
    });
    let body: Vec<Step> = match &template.body {
        Body::Positional(all) => {
            all.iter().enumerate().map(|(index, value)| step(&format!("body {}", index + 1), value)).collect()
        }
        Body::Named(all) => all.iter().map(|(name, value)| step(&format!("body {name}"), value)).collect(),
    };
    let buttons = template.buttons.iter().map(|(place, button)| {
        let (Button::Url(value) | Button::Reply(value) | Button::CopyCode(value)) = button;
        step(&format!("button {}", place + 1), value)
    });
    header.into_iter().chain(body).chain(buttons).collect()
}
