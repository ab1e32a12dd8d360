//! One event and one rule: payload, id, time, condition, recipients, and what each of them is told.
//!
//! Floor: rooms. Keeps nothing between events; everything that it makes is bounded by `limits`.

use super::compile::{Compiled, Known, Target};
use super::explain::Trace;
use super::filters;
use super::settings::{Format, Languages};
use super::texts::{Failure, Texts};
use super::{Applied, Effect};
use crate::limits;
use crate::message::{Arrival, Country, Draft, Number, Payload, Reason, Source, Terms, hex, masked};
use crate::time::Wall;
use minijinja::value::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

/// What every rule shares.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) branch: Arc<str>,
    pub(super) country: Country,
    pub(super) zone: jiff::tz::TimeZone,
    pub(super) languages: Languages,
    pub(super) people: BTreeMap<Number, Known>,
    pub(super) texts: Texts,
}

/// Somebody to tell.
struct Recipient {
    known: Known,
    /// The purpose whose consent the configuration states.
    stated: Option<Arc<str>>,
}

/// An event as one rule sees it.
struct Event<'a> {
    shared: &'a Shared,
    rule: &'a Compiled,
    arrival: &'a Arrival,
    scope: Vec<(Arc<str>, Value)>,
    /// The scope as MiniJinja takes it, made once.
    whole: Value,
    id: Option<Arc<str>>,
    at: Option<Wall>,
}

pub(super) fn apply(
    shared: &Shared,
    rule: &Compiled,
    arrival: &Arrival,
    now: Option<Wall>,
    trace: &mut Trace,
) -> Applied {
    if arrival.retained && !rule.accept_retained {
        return Applied::Passed(Reason::RetainedIgnored);
    }
    let carried = arrival.event_id.as_deref().filter(|id| !id.is_empty()).map(short_id);
    let payload = match read(rule.format, &arrival.payload) {
        Ok(payload) => payload,
        Err(failure) => return unreadable(shared, carried, failure, trace),
    };
    let mut event = Event { shared, rule, arrival, scope: Vec::new(), whole: Value::UNDEFINED, id: carried, at: None };
    event.look_around(payload, trace);
    let identified = event.identify(now, trace);
    match event.judge(identified, trace) {
        Ok(Some(opt_in)) => event.make(opt_in, trace),
        Ok(None) => Applied::Passed(Reason::WhenFalse),
        Err(failure) => unreadable(shared, event.id, failure, trace),
    }
}

fn unreadable(shared: &Shared, event: Option<Arc<str>>, failure: Failure, trace: &mut Trace) -> Applied {
    trace.failed(&failure, &shared.texts);
    Applied::Unreadable { event, reason: failure.reason, detail: failure.detail }
}

/// The payload by the rule's `format`; errors say where, never what it holds.
fn read(format: Format, payload: &Payload) -> Result<Value, Failure> {
    let bytes = match payload {
        Payload::Whole(bytes) => bytes,
        Payload::TooLarge { size, sha256 } => {
            let detail = format!("{size} bytes, sha256 {}…", hex(&sha256[..8]));
            return Err(Failure::new(Reason::PayloadTooLarge, detail));
        }
    };
    let unreadable = |detail: String| Failure::new(Reason::PayloadUnreadable, detail);
    if let Format::Json = format {
        // serde_json stops at 128 levels, so that no payload overruns the stack.
        return serde_json::from_slice(bytes).map_err(|error| {
            let what = match error.classify() {
                serde_json::error::Category::Eof if bytes.is_empty() => "empty".to_owned(),
                serde_json::error::Category::Eof => "JSON that ends too early".to_owned(),
                _ => format!("no JSON at line {} column {}", error.line(), error.column()),
            };
            unreadable(what)
        });
    }
    let text =
        std::str::from_utf8(bytes).map_err(|error| unreadable(format!("no UTF-8 at byte {}", error.valid_up_to())))?;
    if let Format::Text = format {
        return Ok(Value::from(text));
    }
    let text = text.trim();
    match (text.parse::<i64>(), text.parse::<f64>()) {
        (Ok(whole), _) => Ok(Value::from(whole)),
        (_, Ok(number)) if number.is_finite() => Ok(Value::from(number)),
        _ => Err(unreadable(format!("no number but {} bytes of something else", bytes.len()))),
    }
}

/// An id as it is; over `limits::EVENT_ID` bytes, or with control characters in it, its SHA-256 in hexadecimal.
fn short_id(id: &str) -> Arc<str> {
    if id.len() <= limits::EVENT_ID && !id.chars().any(char::is_control) {
        return id.into();
    }
    hex(ring::digest::digest(&ring::digest::SHA256, id.as_bytes()).as_ref()).into()
}

impl Event<'_> {
    /// Puts `event` into the scope, in place of an earlier one.
    fn see(&mut self, facts: &[(&str, Value)]) {
        self.scope.retain(|(name, _)| &**name != "event");
        self.scope.push(("event".into(), Value::from_pairs(facts.iter().cloned())));
        self.whole = Value::from_pairs(self.scope.iter().cloned());
    }

    fn look_around(&mut self, payload: Value, trace: &mut Trace) {
        self.scope.push(("payload".into(), payload));
        self.scope.push(("topic".into(), Value::from(self.arrival.topic.as_str())));
        self.scope.push(("branch".into(), Value::from(&*self.shared.branch)));
        self.scope.push(("LANGUAGE".into(), Value::from(self.shared.languages.default.as_str())));
        for (name, text) in self.rule.pattern.captures(&self.arrival.topic) {
            trace.capture(name, text);
            self.scope.push((name.into(), Value::from(text)));
        }
    }

    /// Finds `event.id` and `event.at`. Failures count only if the rule then holds.
    fn identify(&mut self, now: Option<Wall>, trace: &mut Trace) -> Result<(), Failure> {
        let mut facts = vec![("retained", Value::from(self.arrival.retained))];
        facts.extend(now.map(|now| ("at", Value::from(now.rfc3339()))));
        self.see(&facts);
        let at = self.at();
        let id = self.id();
        if let Ok(Some(at)) = &at {
            facts.retain(|(name, _)| *name != "at");
            facts.push(("at", Value::from(at.rfc3339())));
            trace.note("at", &at.rfc3339());
        }
        match &id {
            Ok(Some(id)) => {
                facts.push(("id", Value::from(&**id)));
                trace.note("id", id);
            }
            Ok(None) => trace.note("id", "(none: a repeat of this event is not recognised)"),
            Err(_) => {}
        }
        self.see(&facts);
        self.id = id?;
        self.at = at?;
        Ok(())
    }

    fn id(&self) -> Result<Option<Arc<str>>, Failure> {
        let text = match &self.rule.id {
            Some(id) => self.shared.texts.render(id, &self.whole).map_err(|failure| named("id", failure))?,
            None if self.id.is_some() => return Ok(self.id.clone()),
            None => match self.scope[0].1.get_attr("event_id") {
                Ok(id) if id.as_str().is_some() || id.is_integer() => id.to_string(),
                _ => return Ok(None),
            },
        };
        Ok((!text.is_empty()).then(|| short_id(&text)))
    }

    fn at(&self) -> Result<Option<Wall>, Failure> {
        let Some(at) = &self.rule.at else { return Ok(None) };
        let text = self.shared.texts.render(at, &self.whole).map_err(|failure| named("at", failure))?;
        if text.trim().is_empty() {
            return Ok(None);
        }
        let read = filters::instant(&text, &self.shared.zone);
        read.map(Some).ok_or_else(|| Failure::new(Reason::TemplateFailed, "at: neither RFC 3339 nor unix time").of(at))
    }

    /// Whether the rule holds and, if so, whether the event says that the person agreed.
    fn judge(&self, identified: Result<(), Failure>, trace: &mut Trace) -> Result<Option<bool>, Failure> {
        if let Some(when) = &self.rule.when {
            trace.operands(&self.shared.texts, when, &self.whole);
            let holds = self.shared.texts.holds(when, &self.whole).map_err(|failure| named("when", failure))?;
            trace.note("when", if holds { "true" } else { "false" });
            if !holds {
                return Ok(None);
            }
        }
        // Whoever takes consent back is heard, however the rest of the event reads.
        let revokes = self.rule.revokes.is_some();
        identified.or_else(|failure| if revokes { Ok(()) } else { Err(failure) })?;
        let Some(opt_in) = &self.rule.opt_in else { return Ok(Some(false)) };
        trace.operands(&self.shared.texts, opt_in, &self.whole);
        let agreed = match self.shared.texts.holds(opt_in, &self.whole) {
            Ok(agreed) => agreed,
            Err(_) if revokes => false,
            Err(failure) => return Err(named("opt_in", failure)),
        };
        trace.note("opt_in", if agreed { "true" } else { "false" });
        Ok(Some(agreed))
    }

    fn make(self, opt_in: bool, trace: &mut Trace) -> Applied {
        let mut failed = Vec::new();
        let recipients = self.recipients(&mut failed, trace);
        if recipients.len() > limits::RECIPIENTS {
            let detail = format!("{} people, more than {}", recipients.len(), limits::RECIPIENTS);
            return Applied::Unreadable { event: self.id, reason: Reason::TooManyRecipients, detail };
        }
        let mut effects = Vec::new();
        let mut drafts = Vec::new();
        for recipient in &recipients {
            let to = &recipient.known.number;
            if !self.rule.grants.is_empty() {
                effects.push(Effect::Grant { to: to.clone(), purposes: self.rule.grants.clone() });
            }
            if let Some(purposes) = &self.rule.revokes {
                effects.push(Effect::Revoke { to: to.clone(), purposes: purposes.clone() });
            }
            match self.draft(recipient, opt_in, trace) {
                Ok(draft) => drafts.extend(draft),
                Err(failure) => {
                    trace.failed(&failure, &self.shared.texts);
                    failed.push((failure.reason, format!("{to}: {}", failure.detail)));
                }
            }
        }
        if !drafts.is_empty() || !effects.is_empty() {
            return Applied::Made { event: self.id, effects, drafts, failed };
        }
        // Nobody was told anything: the event as a whole could not be handled, and says why once.
        let nobody = || (Reason::NobodyToTell, "to is empty".to_owned());
        let (reason, detail) = failed.into_iter().next().unwrap_or_else(nobody);
        Applied::Unreadable { event: self.id, reason, detail }
    }

    fn recipients(&self, failed: &mut Vec<(Reason, String)>, trace: &mut Trace) -> Vec<Recipient> {
        let mut all: Vec<Recipient> = Vec::new();
        let (mut unreached, mut unread) = (Vec::new(), Vec::new());
        let mut add = |known: Known, stated: Option<Arc<str>>, from: &str| {
            if !all.iter().any(|other| other.known.number == known.number) {
                trace.person(&known.number, from);
                all.push(Recipient { known, stated });
            }
        };
        for target in &self.rule.to {
            match target {
                Target::Person(known) => add(known.clone(), None, known.name.as_deref().unwrap_or_default()),
                Target::Contacts(members, purpose) => members.iter().for_each(|known| {
                    add(known.clone(), Some(purpose.clone()), known.name.as_deref().unwrap_or_default());
                }),
                Target::Number(text) => match self.number(text, &mut unread) {
                    Ok(Some((number, written))) => {
                        let known = self.shared.people.get(&number).cloned();
                        add(known.unwrap_or(Known { number, name: None, language: None }), None, &written);
                    }
                    Ok(None) => {}
                    Err(failure) => unreached.push(failure),
                },
            }
        }
        unread.iter().for_each(|written| trace.note("to", written));
        for failure in unreached {
            trace.failed(&failure, &self.shared.texts);
            failed.push((failure.reason, failure.detail));
        }
        all
    }

    /// The number that a template yields, and how it was written; none if it yields nothing.
    fn number(
        &self,
        source: &super::texts::Text,
        unread: &mut Vec<String>,
    ) -> Result<Option<(Number, String)>, Failure> {
        let text = self.shared.texts.render(source, &self.whole).map_err(|failure| named("to", failure))?;
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let unreadable = |why: String| Failure::new(Reason::NumberUnreadable, why);
        let country = match &self.rule.country {
            // A number in international form does not care.
            Some(country) if !text.starts_with('+') => {
                let code =
                    self.shared.texts.render(country, &self.whole).map_err(|failure| named("country", failure))?;
                match code.trim().to_ascii_uppercase() {
                    code if code.is_empty() => self.shared.country,
                    code => {
                        let unknown = || unreadable("country is no two-letter code".into()).of(country);
                        Country::of_code(&code).ok_or_else(unknown)?
                    }
                }
            }
            _ => self.shared.country,
        };
        Number::read(text, country)
            .inspect_err(|_| unread.push(format!("{text:?} as of {}", country.code())))
            .map(|number| Some((number, text.to_owned())))
            .map_err(|problem| unreadable(format!("the number {problem}")).of(source))
    }

    fn draft(&self, to: &Recipient, opt_in: bool, trace: &mut Trace) -> Result<Option<Draft>, Failure> {
        let Some(say) = &self.rule.say else { return Ok(None) };
        let texts = &self.shared.texts;
        let before = self.personal(&to.known, None);
        let language = self.language(&to.known, &before, say, trace)?;
        let scope = self.personal(&to.known, Some(&language));
        let subject = match &self.rule.subject {
            Some(subject) => texts.render(subject, &scope).map_err(|failure| named("subject", failure))?,
            None => String::new(),
        };
        let subject = (!subject.is_empty()).then(|| short_id(&subject));
        if let Some(subject) = &subject {
            trace.note("subject", subject);
        }
        let (content, cut) = say.render(texts, &scope, &language).map_err(|failure| named("message", failure))?;
        let delivery = self.id.as_ref().and_then(|_| self.arrival.print());
        let source = Source {
            rule: self.rule.name.clone(),
            event: self.id.clone(),
            topic: self.arrival.topic.as_str().into(),
            print: delivery.map(|print| u32::from_le_bytes([print[0], print[1], print[2], print[3]])),
        };
        let terms = Terms {
            purpose: to.stated.as_ref().unwrap_or(&self.rule.consent).clone(),
            stated: to.stated.is_some(),
            opt_in: opt_in && to.stated.is_none(),
            priority: self.rule.priority,
            subject,
            at: self.at,
            expires: self.rule.expires,
            message_expiry: self.arrival.expiry,
            dedupe_window: self.rule.dedupe_window,
            cut,
        };
        Ok(Some(Draft::by_rules(source, to.known.number.clone(), content, terms)))
    }

    /// The scope with `person` in it and, once it is chosen, the language.
    fn personal(&self, known: &Known, language: Option<&str>) -> Value {
        let mut person: Vec<(&str, Value)> = Vec::with_capacity(3);
        person.extend(known.name.as_ref().map(|name| ("name", Value::from(&**name))));
        person.extend(language.or(known.language.as_deref()).map(|language| ("language", Value::from(language))));
        let country = known.number.country().unwrap_or(self.shared.country);
        person.push(("country", Value::from(country.code())));
        let mut all: Vec<(Value, Value)> = Vec::with_capacity(self.scope.len() + 2);
        for (name, value) in &self.scope {
            if &**name != "LANGUAGE" {
                all.push((Value::from(&**name), value.clone()));
            }
        }
        all.push((Value::from("person"), Value::from_pairs(person)));
        all.push((Value::from("LANGUAGE"), Value::from(language.unwrap_or(&self.shared.languages.default))));
        Value::from_pairs(all)
    }

    /// The rule's, the person's, the country's, the default: the first that the message exists in.
    fn language(
        &self,
        known: &Known,
        scope: &Value,
        say: &super::say::Say,
        trace: &mut Trace,
    ) -> Result<String, Failure> {
        let languages = &self.shared.languages;
        // A till that says nothing, or null, does not know the language: that is no reason to stay silent.
        let asked = self.rule.language.as_ref().map(|text| self.shared.texts.render(text, scope).unwrap_or_default());
        let country = known.number.country().and_then(|country| languages.by_country.get(country.code()));
        let chain = [
            ("the event's", asked.as_deref().map(str::trim)),
            ("the person's", known.language.as_deref()),
            ("the country's", country.map(String::as_str)),
            ("the default", Some(languages.default.as_str())),
        ];
        let mut passed = String::new();
        for (whose, language) in chain {
            let Some(language) = language.filter(|language| !language.is_empty()) else { continue };
            let language = languages.aliases.get(language).map_or_else(|| language.replace('-', "_"), String::clone);
            if say.speaks(&language) {
                trace.note("language", &format!("{language} ({whose}{passed})"));
                return Ok(language);
            }
            let shown: String = language.chars().take(16).collect();
            let _ = write!(passed, "; {whose} is {shown}, in which there is no message");
        }
        let detail = format!("no language left{}", masked(&passed));
        Err(Failure::new(Reason::TemplateMismatch, detail))
    }
}

fn named(field: &str, failure: Failure) -> Failure {
    Failure { detail: format!("{field}: {}", failure.detail), ..failure }
}
