//! `branchline send`: an operator's message, made with the checks and by the code that make a rule's.
//!
//! Floor: rooms. What the operator typed is text, never a template: `{{ … }}` in it stays as it is.

use super::OPT_OUT;
use super::Rules;
use super::catalog::{ButtonKind, Catalog, Form, HeaderForm};
use super::compile::{APART, Compiler, Kinds, Problem};
use super::explain::{Preview, preview};
use super::settings::{BodyTexts, ButtonText, HeaderText, Message, Settings};
use crate::message::{Category, Content, Draft, FAREWELL, Number, Priority, Source, Terms};
use crate::operate::SendOrder;
use minijinja::value::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What an order is checked against: the settings without the rules, and every template of the list.
#[derive(Debug)]
pub(super) struct Office {
    settings: Settings,
    catalog: Option<Arc<Catalog>>,
    kinds: Kinds,
}

impl Office {
    pub(super) fn new(settings: &Settings, catalog: Option<Arc<Catalog>>, kinds: Kinds) -> Office {
        let settings = Settings {
            branch: settings.branch.clone(),
            country: settings.country,
            timezone: settings.timezone.clone(),
            languages: settings.languages.clone(),
            purposes: settings.purposes.clone(),
            people: settings.people.clone(),
            contacts: settings.contacts.clone(),
            rules: Vec::new(),
            templates: settings.templates.as_ref().map(|_| String::new()),
            expires: settings.expires,
            origins: BTreeMap::new(),
        };
        Office { settings, catalog, kinds }
    }
}

/// How long the confirmation of a stop is of use.
const FAREWELL_LASTS: Duration = Duration::from_secs(60 * 60);

impl Rules {
    /// Whether there is a list of templates.
    pub fn has_templates(&self) -> bool {
        self.office.catalog.is_some()
    }

    /// The languages of a template of the list, each with its category; none where the list has no such template.
    pub fn template_forms(&self, name: &str) -> Vec<(String, Category)> {
        let forms = self.office.catalog.as_ref().and_then(|catalog| catalog.forms(name));
        forms.into_iter().flatten().map(|(language, form)| (language.clone(), form.category)).collect()
    }

    /// The draft of the message that confirms a stop: free text, in the window that the person just opened.
    pub fn farewell(&self, to: Number, text: &str) -> Draft {
        let source = Source { rule: OPT_OUT.into(), event: None, topic: "".into(), print: None };
        let terms = Terms {
            purpose: FAREWELL.into(),
            stated: false,
            opt_in: false,
            // No own cap, no cost brake and nothing else of the person's keeps it; the platform's limits do.
            priority: Priority::Critical,
            subject: None,
            at: None,
            // Later it would read as if nobody had listened.
            expires: FAREWELL_LASTS,
            message_expiry: None,
            dedupe_window: Duration::ZERO,
            cut: false,
        };
        Draft::by_rules(source, to, Content::Text(text.to_owned()), terms)
    }

    /// The languages of a number where nothing else tells, the likeliest first: the person's, the country's, the default.
    pub fn languages_of(&self, number: &Number) -> Vec<String> {
        let settings = &self.office.settings;
        let person = settings.people.values().find(|person| person.number == *number);
        let country = number.country().and_then(|country| settings.languages.by_country.get(country.code()));
        let own = person.and_then(|person| person.language.as_ref());
        own.into_iter().chain(country).chain([&settings.languages.default]).cloned().collect()
    }

    /// The draft of an operator's message, and how it reads.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the words of `check`, by the option that it was typed with.
    pub fn send(&self, order: &SendOrder) -> Result<(Draft, Preview), Vec<Problem>> {
        let settings = &self.office.settings;
        let mut compiler = Compiler::with(settings, self.office.catalog.clone());
        let to = recipient(&mut compiler, &order.to);
        let stated = stated(settings, &order.purpose, to.as_ref());
        if !stated {
            compiler.purpose("--purpose", &order.purpose);
        }
        let language = settings.languages.aliases.get(&order.language).cloned();
        let language = language.unwrap_or_else(|| order.language.replace('-', "_"));
        let form = compiler.form("--template", &order.template, &language, order.priority);
        if let Some(message) = form.as_ref().and_then(|form| asked_for_else(&self.office.kinds, order, form.category)) {
            compiler.problem("--purpose", message, APART);
        }
        let message = form.as_ref().and_then(|form| message(&mut compiler, order, form));
        let say = match (form, &message) {
            (Some(form), Some(Message::Template { name, header, body, buttons })) => {
                let forms = BTreeMap::from([(language.clone(), form)]);
                compiler.template("order", name, forms, header.as_ref(), body, buttons, &[])
            }
            _ => None,
        };
        let (Some(to), Some(say), true) = (to, say, compiler.problems.is_empty()) else {
            return Err(compiler.problems.into_iter().map(as_typed).collect());
        };
        let scope = Value::from_pairs([("LANGUAGE", Value::from(language.as_str()))]);
        let (content, cut) = say.render(&compiler.texts, &scope, &language).map_err(|failure| {
            // The hint is for those who write templates.
            let what = failure.detail.split(" (if it may be").next().unwrap_or_default();
            let written = failure.place.and_then(|(index, _)| compiler.texts.written_at(index));
            let (option, _) = option(written.map_or("", |written| &written.key));
            vec![Problem::new(option, what, "write something that the platform takes")]
        })?;
        let source = Source { rule: self.operator.clone(), event: None, topic: "".into(), print: None };
        let terms = Terms {
            purpose: order.purpose.as_str().into(),
            stated,
            opt_in: false,
            priority: order.priority,
            subject: None,
            at: None,
            expires: settings.expires[order.priority as usize],
            message_expiry: None,
            dedupe_window: Duration::ZERO,
            cut,
        };
        let draft = Draft::by_rules(source, to, content, terms);
        let shown = preview(&draft, Some(&say));
        Ok((draft, shown))
    }
}

/// That the rules ask for the purpose for the other kind of messages: marketing is agreed to apart.
fn asked_for_else(kinds: &Kinds, order: &SendOrder, category: Category) -> Option<String> {
    let asked = kinds.get(&order.purpose)?;
    let (here, there, rules) = match category {
        Category::Marketing => ("marketing", "other messages", &asked.other),
        _ => ("not marketing", "marketing", &asked.marketing),
    };
    let rule = rules.first()?;
    Some(format!("the template is {here}, and {} is asked for {there} (rules.{rule})", order.purpose))
}

/// A number, or somebody of `[people]`.
fn recipient(compiler: &mut Compiler<'_>, to: &str) -> Option<Number> {
    if let Some(name) = to.strip_prefix("people:") {
        return compiler.person("--to", name).map(|known| known.number);
    }
    if to.starts_with("contacts:") {
        compiler.problem("--to", "a message goes to one person", "name one: people:NAME, or a number");
        return None;
    }
    let country = compiler.settings.country;
    match Number::read(to, country) {
        Ok(number) => Some(number),
        Err(why) => {
            let fix = format!("write it with + and the country code, or as it is dialled in {}", country.code());
            compiler.problem("--to", format!("the number {why}"), fix);
            None
        }
    }
}

/// Whether the configuration states this person's consent, as for a rule's `contacts:NAME`.
fn stated(settings: &Settings, purpose: &str, to: Option<&Number>) -> bool {
    settings.contacts.values().filter(|contact| contact.consent == purpose).any(|contact| {
        let members = contact.members.iter().filter_map(|name| settings.people.get(name)).map(|person| &person.number);
        members.chain(&contact.numbers).any(|number| Some(number) == to)
    })
}

/// The order as a rule's message: what was typed, put where the template takes it.
fn message(compiler: &mut Compiler<'_>, order: &SendOrder, form: &Form) -> Option<Message> {
    let body = if form.body.named() {
        let mut named = BTreeMap::new();
        for param in &order.params {
            let Some((name, value)) = param.split_once('=') else {
                let names = form.body.variables().join(", ");
                compiler.problem(
                    "--param",
                    format!("the template has named parameters: {names}"),
                    "write --param NAME=VALUE for each",
                );
                return None;
            };
            if named.insert(name.to_owned(), literal(value)).is_some() {
                compiler.problem("--param", format!("{name} is given twice"), "give each once");
            }
        }
        BodyTexts::Named(named)
    } else {
        BodyTexts::Positional(order.params.iter().map(|param| literal(param)).collect())
    };
    if order.filename.is_some() && !matches!(form.header, HeaderForm::Document) {
        compiler.problem("--filename", "only a document has a file name", "take --filename out");
    }
    let header = match (&form.header, order.header.as_deref()) {
        (_, None) => None,
        (HeaderForm::Image, Some(url)) => Some(HeaderText::Image(literal(url))),
        (HeaderForm::Video, Some(url)) => Some(HeaderText::Video(literal(url))),
        (HeaderForm::Document, Some(url)) => {
            Some(HeaderText::Document(literal(url), order.filename.as_deref().map(literal)))
        }
        (HeaderForm::Location, Some(place)) => Some(location(compiler, place)?),
        (HeaderForm::None | HeaderForm::Text(_), Some(text)) => Some(HeaderText::Text(literal(text))),
    };
    // What was typed goes to the buttons that need something, in their order; what is left over is told by the check.
    let kinds = form.buttons.iter().map(|button| button.kind);
    let mut needing = kinds.filter(|kind| matches!(kind, ButtonKind::Url | ButtonKind::CopyCode));
    let buttons = order.buttons.iter().map(|typed| match needing.next() {
        Some(ButtonKind::CopyCode) => ButtonText::CopyCode(literal(typed)),
        _ => ButtonText::Url(literal(typed)),
    });
    let buttons = buttons.collect();
    Some(Message::Template { name: order.template.clone(), header, body, buttons })
}

/// `LATITUDE,LONGITUDE,NAME,ADDRESS`; an address may have commas.
fn location(compiler: &mut Compiler<'_>, place: &str) -> Option<HeaderText> {
    let mut parts = place.splitn(4, ',').map(|part| literal(part.trim()));
    let whole = (|| {
        let (latitude, longitude) = (parts.next()?, parts.next()?);
        Some(HeaderText::Location { latitude, longitude, name: parts.next()?, address: parts.next()? })
    })();
    if whole.is_none() {
        let example = "write --header \"-23.55,-46.63,Loja Centro,Rua Um 1\"";
        compiler.problem("--header", "the template's header takes location", example);
    }
    whole
}

/// A text that renders as itself, whatever it holds.
fn literal(text: &str) -> String {
    format!("{{{{ {} }}}}", serde_json::Value::from(text))
}

/// The option that a part of an order was typed with, and what to type where the check speaks of a file.
fn option(key: &str) -> (&'static str, &'static str) {
    match key.split('.').nth(1) {
        Some("body") => ("--param", "give --param once for each in their order, or NAME=VALUE where they are named"),
        Some("header") => ("--header", "give what the template's header takes, or leave --header out"),
        Some("buttons") => ("--button", "give --button once for each button that takes something, in their order"),
        _ => ("--template", "use another template"),
    }
}

fn as_typed(problem: Problem) -> Problem {
    if !problem.key.starts_with("order") {
        return problem;
    }
    let (key, fix) = option(&problem.key);
    Problem { key: key.to_owned(), fix: fix.to_owned(), ..problem }
}

#[cfg(test)]
#[path = "send_tests.rs"]
mod tests;
