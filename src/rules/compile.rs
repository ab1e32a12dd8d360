//! From settings to rules: every text compiled, every name looked up, all problems found at once.
//!
//! Floor: rooms. Never sees an event.

use super::catalog::{ButtonForm, ButtonKind, Catalog, Form, HeaderForm};
use super::pattern::Pattern;
use super::say::{BodySay, HeaderSay, Say, TemplateSay};
use super::settings::{BodyTexts, ButtonText, Format, HeaderText, Message, Rule, Settings, To};
use super::strict::Mode;
use super::texts::{Text, Texts};
use crate::limits;
use crate::message::{Category, Number, Priority};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// One thing that is wrong with the settings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// Where: a dotted path of the configuration, list entries counted from 0 (`rules.order-ready.message.body.0`).
    pub key: String,
    /// What is wrong, and what was found.
    pub message: String,
    /// What to do.
    pub fix: String,
    /// The bytes of that text (start, end) that it is about.
    pub at: Option<(usize, usize)>,
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
    settings: &'s Settings,
    catalog: Option<Catalog>,
    pub(super) texts: Texts,
    pub(super) problems: Vec<Problem>,
}

impl<'s> Compiler<'s> {
    pub(super) fn new(settings: &'s Settings) -> Compiler<'s> {
        let texts = Texts::new(settings.timezone.clone());
        let mut compiler = Compiler { settings, catalog: None, texts, problems: Vec::new() };
        match settings.templates.as_deref().map(Catalog::read) {
            Some(Ok(catalog)) => compiler.catalog = Some(catalog),
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

    fn problem(&mut self, key: impl Into<String>, message: impl Into<String>, fix: impl Into<String>) {
        self.problems.push(Problem { key: key.into(), message: message.into(), fix: fix.into(), at: None });
    }

    /// One rule; `None` where problems were found that leave nothing to go on with.
    pub(super) fn rule(&mut self, rule: &Rule) -> Option<Compiled> {
        let key = format!("rules.{}", rule.name);
        let pattern = match Pattern::read(&rule.topic) {
            Ok(pattern) => pattern,
            Err((message, fix)) => {
                self.problem(format!("{key}.topic"), message, fix);
                return None;
            }
        };
        let mut event: Vec<&str> = EVENT_NAMES.to_vec();
        event.extend(pattern.names());
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
            pattern,
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

    fn text(&mut self, key: &str, source: &str, mode: Mode, names: &[&str]) -> Option<Text> {
        match self.texts.add(source, mode, names) {
            Ok(text) => Some(text),
            Err(findings) => {
                self.problems.extend(findings.into_iter().map(|finding| Problem {
                    key: key.to_owned(),
                    message: finding.message,
                    fix: finding.fix,
                    at: finding.at,
                }));
                None
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

    fn person(&mut self, key: &str, name: &str) -> Option<Known> {
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
    fn known(&self, number: &Number) -> Known {
        let person = self.settings.people.iter().find(|(_, person)| person.number == *number);
        Known {
            number: number.clone(),
            name: person.map(|(name, _)| name.as_str().into()),
            language: person.and_then(|(_, person)| person.language.clone()),
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
            if !self.settings.purposes.contains(purpose) {
                let fix = suggest(purpose, self.settings.purposes.iter().map(String::as_str));
                self.problem(
                    format!("{key}.{field}"),
                    format!("there is no purpose {purpose}"),
                    format!("{fix}; or add [purposes.{purpose}]"),
                );
            }
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

    fn say(&mut self, key: &str, rule: &Rule, message: &Message, names: &[&str]) -> Option<Say> {
        let key = format!("{key}.message");
        match message {
            Message::Text(source) => {
                if rule.category.is_some_and(|category| category != Category::Service) {
                    self.problem(
                        format!("{key}.text"),
                        "free text is a service message",
                        "take out category, or use a template",
                    );
                }
                self.text(&format!("{key}.text"), source, Mode::Text, names).map(Say::Text)
            }
            Message::Template { name, header, body, buttons } => {
                let forms = self.forms(&key, rule, name)?;
                for form in forms.values() {
                    self.category(&key, rule, name, form);
                }
                let header = self.header(&key, header.as_ref(), &forms, names);
                let body = self.body(&key, body, &forms, names);
                let buttons = self.buttons(&key, buttons, &forms, names);
                let template =
                    TemplateSay { name: name.clone(), forms, header: header?, body: body?, buttons: buttons? };
                Some(Say::Template(Box::new(template)))
            }
        }
    }

    /// The approved forms of a template; problems for every language that this rule can choose and that has none.
    fn forms(&mut self, key: &str, rule: &Rule, name: &str) -> Option<BTreeMap<String, Form>> {
        let key = format!("{key}.template");
        let Some(catalog) = &self.catalog else {
            if self.settings.templates.is_none() {
                self.problem(
                    key,
                    "there is no template list to check it against",
                    "save the platform's list (GET /<account id>/message_templates) and name it in [templates] file = \"templates.json\"",
                );
            }
            return None;
        };
        let Some(all) = catalog.forms(name) else {
            let fix = suggest(name, catalog.names());
            self.problem(key, format!("the template list has no {name}"), fix);
            return None;
        };
        let approved: BTreeMap<String, Form> = all
            .iter()
            .filter(|(_, form)| form.approved())
            .map(|(language, form)| (language.clone(), form.clone()))
            .collect();
        let missing: Vec<(String, String)> = (self.languages(rule).into_iter())
            .filter(|language| !language.is_empty() && !approved.contains_key(language))
            .map(|language| {
                let status = all.get(&language).map_or("not there".to_owned(), |form| form.status.to_ascii_lowercase());
                (language, status)
            })
            .collect();
        let have = all.keys().cloned().collect::<Vec<_>>().join(", ");
        for (language, status) in missing {
            let message = format!("{name} in {language}, which this rule can choose, is {status}");
            let fix =
                format!("have it approved and save the list again, or choose another language (there are: {have})");
            self.problem(key.clone(), message, fix);
        }
        (!approved.is_empty()).then_some(approved)
    }

    /// The languages that follow from the configuration alone; what an event asks for falls back to one of them.
    fn languages(&self, rule: &Rule) -> BTreeSet<String> {
        let languages = &self.settings.languages;
        let mut chosen = BTreeSet::new();
        for to in &rule.to {
            match to {
                To::Number(_) => {
                    chosen.insert(languages.default.clone());
                    chosen.extend(languages.by_country.values().cloned());
                }
                To::Person(name) => {
                    chosen.extend(
                        self.settings.people.get(name).map(|p| self.language_of(&p.number, p.language.as_deref())),
                    );
                }
                To::Contacts(name) => {
                    let Some(contact) = self.settings.contacts.get(name) else { continue };
                    let people = contact.members.iter().filter_map(|member| self.settings.people.get(member));
                    chosen.extend(people.map(|p| self.language_of(&p.number, p.language.as_deref())));
                    let numbers = contact.numbers.iter().map(|number| self.known(number));
                    chosen.extend(numbers.map(|known| self.language_of(&known.number, known.language.as_deref())));
                }
            }
        }
        chosen
    }

    fn language_of(&self, number: &Number, own: Option<&str>) -> String {
        let languages = &self.settings.languages;
        let by_country = || number.country().and_then(|country| languages.by_country.get(country.code()));
        own.map(|own| languages.aliases.get(own).map_or(own, String::as_str).to_owned())
            .or_else(|| by_country().cloned())
            .unwrap_or_else(|| languages.default.clone())
    }

    fn category(&mut self, key: &str, rule: &Rule, name: &str, form: &Form) {
        let rule_key = key.trim_end_matches(".message");
        if let Some(asserted) = rule.category
            && asserted != form.category
        {
            let message = format!("{name} is {} on the platform, not {}", form.category.code(), asserted.code());
            self.problem(format!("{rule_key}.category"), message, "use another template, or assert what it is");
        }
        if form.category == Category::Marketing && rule.priority == Priority::Critical {
            let message = format!("{name} is marketing, and marketing is never critical");
            self.problem(format!("{rule_key}.priority"), message, "lower the priority, or use a utility template");
        }
    }

    fn header(
        &mut self,
        key: &str,
        header: Option<&HeaderText>,
        forms: &BTreeMap<String, Form>,
        names: &[&str],
    ) -> Option<Option<HeaderSay>> {
        let key = format!("{key}.header");
        let kind = header.map(header_kind);
        for (language, form) in forms {
            let wanted = match &form.header {
                HeaderForm::Text(wording) if wording.variables().is_empty() => None,
                HeaderForm::None => None,
                HeaderForm::Text(_) => Some("text"),
                HeaderForm::Image => Some("image"),
                HeaderForm::Video => Some("video"),
                HeaderForm::Document => Some("document"),
                HeaderForm::Location => Some("location"),
                HeaderForm::Other(other) => {
                    self.problem(
                        key.clone(),
                        format!("headers of the kind {other} cannot be filled in"),
                        "use another template",
                    );
                    return None;
                }
            };
            if kind != wanted {
                let (found, wanted) = (kind.unwrap_or("none"), wanted.unwrap_or("none"));
                let message = format!("the template's header ({language}) takes {wanted}, found {found}");
                let fix = if wanted == "none" {
                    "take header out".into()
                } else {
                    format!("write header = {{ {wanted} = … }}")
                };
                self.problem(key, message, fix);
                return None;
            }
        }
        let mut text = |field: &str, source: &str| self.text(&format!("{key}.{field}"), source, Mode::Text, names);
        Some(match header {
            None => None,
            Some(HeaderText::Text(source)) => Some(HeaderSay::Text(text("text", source)?)),
            Some(HeaderText::Image(url)) => Some(HeaderSay::Image(text("image", url)?)),
            Some(HeaderText::Video(url)) => Some(HeaderSay::Video(text("video", url)?)),
            Some(HeaderText::Document(url, name)) => {
                let file = match name {
                    Some(name) => Some(text("filename", name)?),
                    None => None,
                };
                Some(HeaderSay::Document(text("document", url)?, file))
            }
            Some(HeaderText::Location { latitude, longitude, name, address }) => Some(HeaderSay::Location([
                text("location.latitude", latitude)?,
                text("location.longitude", longitude)?,
                text("location.name", name)?,
                text("location.address", address)?,
            ])),
        })
    }

    fn body(&mut self, key: &str, body: &BodyTexts, forms: &BTreeMap<String, Form>, names: &[&str]) -> Option<BodySay> {
        let key = format!("{key}.body");
        let before = self.problems.len();
        for (language, form) in forms {
            let variables = form.body.variables();
            let (message, fix) = match body {
                BodyTexts::Positional(all) if !form.body.named() => {
                    let highest = variables.iter().filter_map(|name| name.parse::<usize>().ok()).max().unwrap_or(0);
                    if all.len() == highest {
                        continue;
                    }
                    (
                        format!("the template ({language}) takes {highest} parameters, found {}", all.len()),
                        format!("write {highest} of them"),
                    )
                }
                BodyTexts::Named(all) if form.body.named() || (all.is_empty() && variables.is_empty()) => {
                    let wanted: BTreeSet<&str> = variables.into_iter().collect();
                    let found: BTreeSet<&str> = all.keys().map(String::as_str).collect();
                    if wanted == found {
                        continue;
                    }
                    let list = |names: BTreeSet<&str>| names.into_iter().collect::<Vec<_>>().join(", ");
                    (
                        format!("the template ({language}) takes {}, found {}", list(wanted), list(found)),
                        "use the template's names".into(),
                    )
                }
                BodyTexts::Positional(all) if all.is_empty() && variables.is_empty() => continue,
                BodyTexts::Positional(_) => (
                    format!("the template ({language}) has named parameters: {}", variables.join(", ")),
                    "write a table: body = { name = … }".into(),
                ),
                BodyTexts::Named(_) => (
                    format!("the template ({language}) has {} parameters by place", variables.len()),
                    "write a list: body = [ … ]".into(),
                ),
            };
            self.problem(key.clone(), message, fix);
        }
        let compiled = match body {
            BodyTexts::Positional(all) => {
                let texts: Vec<_> = all
                    .iter()
                    .enumerate()
                    .map(|(index, source)| self.text(&format!("{key}.{index}"), source, Mode::Text, names))
                    .collect();
                BodySay::Positional(texts.into_iter().collect::<Option<_>>()?)
            }
            BodyTexts::Named(all) => {
                let texts: Vec<_> = all
                    .iter()
                    .map(|(name, source)| {
                        Some((name.clone(), self.text(&format!("{key}.{name}"), source, Mode::Text, names)?))
                    })
                    .collect();
                BodySay::Named(texts.into_iter().collect::<Option<_>>()?)
            }
        };
        (self.problems.len() == before).then_some(compiled)
    }

    /// Entries go, in order, to the next button of their kind; a button that needs one and gets none is a problem.
    fn buttons(
        &mut self,
        key: &str,
        entries: &[ButtonText],
        forms: &BTreeMap<String, Form>,
        names: &[&str],
    ) -> Option<Vec<(u8, ButtonKind, Text)>> {
        let key = format!("{key}.buttons");
        let kinds: Vec<ButtonKind> = entries.iter().map(button_kind).collect();
        let mut places: Option<Vec<u8>> = None;
        for (language, form) in forms {
            match place(&kinds, &form.buttons) {
                Ok(found) if places.as_ref().is_none_or(|places| *places == found) => places = Some(found),
                Ok(_) => {
                    self.problem(
                        key.clone(),
                        format!("the template's buttons ({language}) are in another order"),
                        "use two rules",
                    );
                    return None;
                }
                Err(why) => {
                    self.problem(
                        key.clone(),
                        format!("the template ({language}) {why}"),
                        "write one entry for each button that takes something, in the template's order",
                    );
                    return None;
                }
            }
        }
        let mut compiled = Vec::with_capacity(entries.len());
        for (index, (entry, place)) in entries.iter().zip(places?).enumerate() {
            let (ButtonText::Url(source) | ButtonText::Reply(source) | ButtonText::CopyCode(source)) = entry;
            let field = button_name(kinds[index]);
            compiled.push(
                self.text(&format!("{key}.{index}.{field}"), source, Mode::Text, names)
                    .map(|text| (place, kinds[index], text)),
            );
        }
        compiled.into_iter().collect()
    }
}

fn header_kind(header: &HeaderText) -> &'static str {
    match header {
        HeaderText::Text(_) => "text",
        HeaderText::Image(_) => "image",
        HeaderText::Video(_) => "video",
        HeaderText::Document(..) => "document",
        HeaderText::Location { .. } => "location",
    }
}

fn button_kind(entry: &ButtonText) -> ButtonKind {
    match entry {
        ButtonText::Url(_) => ButtonKind::Url,
        ButtonText::Reply(_) => ButtonKind::Reply,
        ButtonText::CopyCode(_) => ButtonKind::CopyCode,
    }
}

fn button_name(kind: ButtonKind) -> &'static str {
    match kind {
        ButtonKind::Url => "url",
        ButtonKind::Reply => "reply",
        ButtonKind::CopyCode => "copy_code",
        ButtonKind::Fixed => "nothing",
    }
}

/// The template's button for each entry.
fn place(kinds: &[ButtonKind], buttons: &[ButtonForm]) -> Result<Vec<u8>, String> {
    let mut places = Vec::with_capacity(kinds.len());
    let mut wanted = kinds.iter().peekable();
    for (index, button) in buttons.iter().enumerate() {
        if wanted.peek() == Some(&&button.kind) {
            wanted.next();
            places.push(u8::try_from(index).map_err(|_| "has too many buttons".to_owned())?);
        } else if matches!(button.kind, ButtonKind::Url | ButtonKind::CopyCode) {
            return Err(format!("needs {} for button {}", button_name(button.kind), index + 1));
        }
    }
    match wanted.next() {
        Some(extra) => Err(format!("has no further button that takes {}", button_name(*extra))),
        None => Ok(places),
    }
}

/// "did you mean …?" or what there is.
fn suggest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> String {
    let known: Vec<&str> = known.collect();
    let near = known.iter().max_by(|a, b| strsim::jaro(name, a).total_cmp(&strsim::jaro(name, b)));
    match near.filter(|near| strsim::jaro(name, near) > 0.75) {
        Some(near) => format!("did you mean {near}?"),
        None if known.is_empty() => "there are none yet".into(),
        None => format!("there are: {}", known[..known.len().min(12)].join(", ")),
    }
}
