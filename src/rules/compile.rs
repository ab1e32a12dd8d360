//! From settings to rules: every text compiled, every name looked up, all problems found at once.
//!
//! Floor: rooms. Never sees an event.

use super::catalog::Catalog;
use super::excerpt;
use super::pattern::Pattern;
use super::say::Say;
use super::settings::{Format, Rule, Settings, To};
use super::strict::Mode;
use super::texts::{Text, Texts, Written};
use crate::limits;
use crate::message::{Category, Number, Priority};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub(super) const APART: &str = "name a purpose of its own: who agreed to news of an order has not agreed to offers";

/// One thing that is wrong with the settings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// Where: a dotted path of the configuration, list entries counted from 0 (`rules.order-ready.message.body.0`).
    pub key: String,
    /// What is wrong, and what was found.
    pub message: String,
    /// What to do.
    pub fix: String,
    /// The text with a caret under the place that it is about; empty where it is about no place in a text.
    pub excerpt: String,
    /// The line of code that tells it.
    #[cfg(test)]
    pub(crate) told_at: &'static std::panic::Location<'static>,
}

impl Problem {
    /// About no place in a text.
    #[track_caller]
    pub(super) fn new(key: impl Into<String>, message: impl Into<String>, fix: impl Into<String>) -> Problem {
        Problem {
            key: key.into(),
            message: message.into(),
            fix: fix.into(),
            excerpt: String::new(),
            #[cfg(test)]
            told_at: std::panic::Location::caller(),
        }
    }

    /// On one line: what and where, and what to do as a sentence.
    pub fn line(&self) -> String {
        let stop = if self.message.ends_with(['.', '?', '!']) { "" } else { "." };
        format!("{}: {}{stop} {}", self.key, self.message, self.remedy())
    }

    /// What to do, with a capital and a full stop.
    pub fn remedy(&self) -> String {
        let mut letters = self.fix.chars();
        match letters.next() {
            Some(first) => {
                let stop = if self.fix.ends_with(['.', '?', '!']) { "" } else { "." };
                format!("{}{}{stop}", first.to_uppercase(), letters.as_str())
            }
            None => String::new(),
        }
    }
}

/// A rule, ready to be applied.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) name: Arc<str>,
    pub(super) pattern: Pattern,
    /// The subscription identifier of its filter.
    pub(super) identifier: u32,
    pub(super) when: Option<Text>,
    pub(super) to: Vec<Target>,
    pub(super) country: Option<Text>,
    pub(super) language: Option<Text>,
    pub(super) consent: Arc<str>,
    pub(super) opt_in: Option<Text>,
    pub(super) id: Option<Text>,
    pub(super) at: Option<Text>,
    pub(super) subject: Option<Text>,
    pub(super) priority: Priority,
    pub(super) expires: Duration,
    pub(super) dedupe_window: Duration,
    pub(super) accept_retained: bool,
    pub(super) format: Format,
    pub(super) grants: Vec<Arc<str>>,
    /// Empty: everything.
    pub(super) revokes: Option<Vec<Arc<str>>>,
    pub(super) say: Option<Say>,
}

/// One entry of `to`.
#[derive(Debug)]
pub(super) enum Target {
    /// A template that yields a number.
    Number(Text),
    /// `people:NAME`
    Person(Known),
    /// `contacts:NAME` with the purpose whose consent the configuration states.
    Contacts(Vec<Known>, Arc<str>),
}

/// Somebody the configuration knows.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) number: Number,
    pub(super) name: Option<Arc<str>>,
    pub(super) language: Option<String>,
}

/// Names in scope before it is known who is told.
const EVENT_NAMES: [&str; 4] = ["payload", "topic", "event", "branch"];

pub(super) struct Compiler<'s> {
    pub(super) settings: &'s Settings,
    pub(super) catalog: Option<Arc<Catalog>>,
    pub(super) texts: Texts,
    pub(super) problems: Vec<Problem>,
    pub(super) kinds: Kinds,
}

/// What each purpose is asked for.
pub(super) type Kinds = BTreeMap<String, Asked>;

/// The rules that ask for a purpose: for marketing, and for anything else.
#[derive(Clone, Default, Debug)]
pub(super) struct Asked {
    pub(super) marketing: Vec<String>,
    pub(super) other: Vec<String>,
}

impl<'s> Compiler<'s> {
    pub(super) fn new(settings: &'s Settings) -> Compiler<'s> {
        let mut compiler = Compiler::with(settings, None);
        match settings.templates.as_deref().map(Catalog::read) {
            Some(Ok(catalog)) => compiler.catalog = Some(Arc::new(catalog)),
            Some(Err(why)) => compiler.problem(
                "templates.file",
                format!("the template list {why}"),
                "save the platform's answer to GET /<account id>/message_templates as it is",
            ),
            None => {}
        }
        if settings.languages.default.is_empty() && settings.rules.iter().any(|rule| rule.message.is_some()) {
            compiler.problem(
                "languages.default",
                "there is no language to fall back on",
                "write one like default = \"pt_BR\"",
            );
        }
        compiler
    }

    /// With a list that was read before.
    pub(super) fn with(settings: &'s Settings, catalog: Option<Arc<Catalog>>) -> Compiler<'s> {
        let texts = Texts::new(settings.timezone.clone());
        Compiler { settings, catalog, texts, problems: Vec::new(), kinds: Kinds::new() }
    }

    #[track_caller]
    pub(super) fn problem(&mut self, key: impl Into<String>, message: impl Into<String>, fix: impl Into<String>) {
        self.problems.push(Problem::new(key, message, fix));
    }

    /// One rule; `None` where its topic cannot be read. Its other keys are looked at all the same.
    pub(super) fn rule(&mut self, rule: &Rule) -> Option<Compiled> {
        let key = format!("rules.{}", rule.name);
        let mut event: Vec<&str> = EVENT_NAMES.to_vec();
        let pattern = match Pattern::read(&rule.topic) {
            Ok(pattern) => Some(pattern),
            Err((message, fix)) => {
                self.problem(format!("{key}.topic"), message, fix);
                event.extend(Pattern::meant(&rule.topic));
                None
            }
        };
        event.extend(pattern.iter().flat_map(Pattern::names));
        let mut person = event.clone();
        person.push("person");
        let mut text = |field: &str, source: &Option<String>, mode, names: &[&str]| {
            source.as_ref().and_then(|source| self.text(&format!("{key}.{field}"), source, mode, names))
        };
        let when = text("when", &rule.when, Mode::Expression, &event);
        let opt_in = text("opt_in", &rule.opt_in, Mode::Expression, &event);
        let country = text("country", &rule.country, Mode::Text, &event);
        let id = text("id", &rule.id, Mode::Text, &event);
        let at = text("at", &rule.at, Mode::Text, &event);
        let language = text("language", &rule.language, Mode::Text, &person);
        let subject = text("subject", &rule.subject, Mode::Text, &person);
        let to = self.to(&key, rule, &event);
        let revokes = self.purposes(&key, rule);
        let say = rule.message.as_ref().and_then(|message| self.say(&key, rule, message, &person));
        let expires = rule.expires.unwrap_or(self.settings.expires[rule.priority as usize]);
        Some(Compiled {
            name: rule.name.as_str().into(),
            pattern: pattern?,
            identifier: 0,
            when,
            to,
            country,
            language,
            consent: rule.consent.as_deref().unwrap_or_default().into(),
            opt_in,
            id,
            at,
            subject,
            priority: rule.priority,
            expires,
            dedupe_window: rule.dedupe_window,
            accept_retained: rule.accept_retained,
            format: rule.format,
            grants: rule.grants.iter().map(|purpose| purpose.as_str().into()).collect(),
            revokes,
            say,
        })
    }

    pub(super) fn text(&mut self, key: &str, source: &str, mode: Mode, names: &[&str]) -> Option<Text> {
        let written = Written { key: key.to_owned(), origin: self.origin(key), source: source.to_owned() };
        match self.texts.add(written, mode, names) {
            Ok(text) => Some(text),
            Err(findings) => {
                self.problems.extend(findings.into_iter().map(|finding| Problem {
                    key: key.to_owned(),
                    message: finding.message,
                    fix: finding.fix,
                    excerpt: finding.at.map(|at| excerpt::under(source, Some(at))).unwrap_or_default(),
                    #[cfg(test)]
                    told_at: std::panic::Location::caller(),
                }));
                None
            }
        }
    }

    /// Where a key was written; a part that has no line of its own (a header's text) where the whole was.
    fn origin(&self, key: &str) -> String {
        let mut key = key;
        loop {
            match (self.settings.origins.get(key), key.rsplit_once('.')) {
                (Some(origin), _) => return origin.clone(),
                (None, Some((whole, _))) => key = whole,
                (None, None) => return String::new(),
            }
        }
    }

    fn to(&mut self, key: &str, rule: &Rule, names: &[&str]) -> Vec<Target> {
        let acts = rule.message.is_some() || !rule.grants.is_empty() || !rule.revokes.is_empty();
        if !acts {
            self.problem(key, "the rule says nothing and changes no consent", "give it a message, grants or revokes");
        } else if rule.to.is_empty() {
            self.problem(
                format!("{key}.to"),
                "nobody is named",
                "write to = \"contacts:NAME\" or a template that yields a number",
            );
        }
        let mut targets = Vec::with_capacity(rule.to.len());
        for (index, to) in rule.to.iter().enumerate() {
            let key = if rule.to.len() == 1 { format!("{key}.to") } else { format!("{key}.to.{index}") };
            let target = match to {
                To::Number(source) => self.text(&key, source, Mode::Text, names).map(Target::Number),
                To::Person(name) => self.person(&key, name).map(Target::Person),
                To::Contacts(name) => self.contacts(&key, name),
            };
            targets.extend(target);
        }
        let known: usize =
            targets.iter().map(|target| if let Target::Contacts(all, _) = target { all.len() } else { 1 }).sum();
        if known > limits::RECIPIENTS {
            let most = limits::RECIPIENTS;
            self.problem(
                format!("{key}.to"),
                format!("names {known} people, more than {most}"),
                "name fewer in one rule",
            );
        }
        targets
    }

    pub(super) fn person(&mut self, key: &str, name: &str) -> Option<Known> {
        match self.settings.people.get(name) {
            Some(person) => Some(Known {
                number: person.number.clone(),
                name: Some(name.into()),
                language: person.language.clone(),
            }),
            None => {
                let fix = suggest(name, self.settings.people.keys().map(String::as_str));
                self.problem(key, format!("people has no {name}"), fix);
                None
            }
        }
    }

    fn contacts(&mut self, key: &str, name: &str) -> Option<Target> {
        let Some(contact) = self.settings.contacts.get(name) else {
            let fix = suggest(name, self.settings.contacts.keys().map(String::as_str));
            self.problem(key, format!("contacts has no {name}"), fix);
            return None;
        };
        let members: Vec<Known> = contact
            .members
            .iter()
            .filter_map(|member| self.person(&format!("contacts.{name}.members"), member))
            .collect();
        let by_number = contact.numbers.iter().map(|number| self.known(number));
        let all: Vec<Known> = members.into_iter().chain(by_number.collect::<Vec<_>>()).collect();
        if all.is_empty() {
            self.problem(format!("contacts.{name}"), "has neither members nor numbers", "name at least one");
        }
        if contact.consent.is_empty() {
            self.problem(format!("contacts.{name}.consent"), "is empty", "name the purpose, such as \"staff\"");
        }
        Some(Target::Contacts(all, contact.consent.as_str().into()))
    }

    /// A bare number, with what `people` says of it.
    pub(super) fn known(&self, number: &Number) -> Known {
        let person = self.settings.people.iter().find(|(_, person)| person.number == *number);
        Known {
            number: number.clone(),
            name: person.map(|(name, _)| name.as_str().into()),
            language: person.and_then(|(_, person)| person.language.clone()),
        }
    }

    /// A purpose must be one of `[purposes]`.
    pub(super) fn purpose(&mut self, key: &str, purpose: &str) {
        if !self.settings.purposes.iter().any(|known| known == purpose) {
            let fix = suggest(purpose, self.settings.purposes.iter().map(String::as_str));
            let or = if fix.ends_with('?') { " Or" } else { "; or" };
            self.problem(key, format!("there is no purpose {purpose}"), format!("{fix}{or} add [purposes.{purpose}]"));
        }
    }

    /// Notes what the purposes of a rule are asked for.
    pub(super) fn asked(&mut self, rule: &Rule, category: Category) {
        let stated = rule.to.iter().filter_map(|to| match to {
            To::Contacts(name) => self.settings.contacts.get(name).map(|contact| &contact.consent),
            _ => None,
        });
        for purpose in rule.consent.iter().chain(stated) {
            let asked = self.kinds.entry(purpose.clone()).or_default();
            let rules = if category == Category::Marketing { &mut asked.marketing } else { &mut asked.other };
            if !rules.contains(&rule.name) {
                rules.push(rule.name.clone());
            }
        }
    }

    /// Marketing and everything else are agreed to apart: no purpose is asked for both.
    pub(super) fn apart(&mut self) {
        for (purpose, asked) in self.kinds.clone() {
            let Some(other) = asked.other.first() else { continue };
            for rule in &asked.marketing {
                let message = format!("{purpose} is asked for marketing here and for other messages in rules.{other}");
                self.problem(format!("rules.{rule}.consent"), message, APART);
            }
        }
    }

    /// Checks `consent`, `grants` and `revokes`; returns what is revoked.
    fn purposes(&mut self, key: &str, rule: &Rule) -> Option<Vec<Arc<str>>> {
        let all = rule.revokes.iter().any(|purpose| purpose == "all");
        let named = rule.consent.iter().map(|purpose| ("consent", purpose));
        let named = named.chain(rule.grants.iter().map(|purpose| ("grants", purpose)));
        let named =
            named.chain(rule.revokes.iter().filter(|purpose| *purpose != "all").map(|purpose| ("revokes", purpose)));
        for (field, purpose) in named {
            self.purpose(&format!("{key}.{field}"), purpose);
        }
        if let Some(both) = rule.grants.iter().find(|purpose| all || rule.revokes.contains(purpose)) {
            self.problem(
                format!("{key}.grants"),
                format!("{both} is granted and revoked by the same event"),
                "make two rules",
            );
        }
        let open = rule.to.iter().any(|to| !matches!(to, To::Contacts(_)));
        if rule.message.is_some() && open && rule.consent.as_ref().is_none_or(String::is_empty) {
            self.problem(
                format!("{key}.consent"),
                "a message needs a purpose that people agreed to",
                "write consent = \"orders\" and [purposes.orders]",
            );
        }
        if rule.revokes.is_empty() {
            return None;
        }
        Some(if all { Vec::new() } else { rule.revokes.iter().map(|purpose| purpose.as_str().into()).collect() })
    }
}

/// "did you mean …?" or what there is.
pub(super) fn suggest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> String {
    let known: Vec<&str> = known.collect();
    let near = known.iter().max_by(|a, b| strsim::jaro(name, a).total_cmp(&strsim::jaro(name, b)));
    match near.filter(|near| strsim::jaro(name, near) > 0.75) {
        Some(near) => format!("did you mean {near}?"),
        None if known.is_empty() => "there are none yet".into(),
        None => format!("there are: {}", known[..known.len().min(12)].join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::Problem;

    #[test]
    fn fixes_are_sentences() {
        for (text, shown) in [("", ""), ("name one", "Name one."), ("was it {{ b }}?", "Was it {{ b }}?")] {
            assert_eq!(Problem::new("a", "b", text).remedy(), shown);
        }
        assert_eq!(Problem::new("--to", "who?", "name one").line(), "--to: who? Name one.");
    }
}
