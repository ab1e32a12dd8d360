//! A rule's message against the platform's template list: name, languages, approval, category, number and kind of parameters.
//!
//! Floor: rooms. Part of `compile`; never sees an event.

use super::catalog::{ButtonForm, ButtonKind, Form, HeaderForm};
use super::compile::{Compiler, suggest};
use super::say::{BodySay, HeaderSay, Say, TemplateSay};
use super::settings::{BodyTexts, ButtonText, HeaderText, Message, Rule, To};
use super::strict::Mode;
use super::texts::Text;
use crate::message::{Category, Number, Priority};
use std::collections::{BTreeMap, BTreeSet};

impl Compiler<'_> {
    pub(super) fn say(&mut self, key: &str, rule: &Rule, message: &Message, names: &[&str]) -> Option<Say> {
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
                // Without a form nothing can be said, and its texts are looked at all the same.
                let forms = self.forms(&key, rule, name).unwrap_or_default();
                for form in forms.values() {
                    self.category(&key, rule, name, form);
                }
                self.template(&key, name, forms, header.as_ref(), body, buttons, names)
            }
        }
    }

    /// A template with the texts of its parameters, checked against each of its forms.
    #[expect(clippy::too_many_arguments, reason = "each is a part of what a rule or an operator writes")]
    pub(super) fn template(
        &mut self,
        key: &str,
        name: &str,
        forms: BTreeMap<String, Form>,
        header: Option<&HeaderText>,
        body: &BodyTexts,
        buttons: &[ButtonText],
        names: &[&str],
    ) -> Option<Say> {
        for (language, form) in &forms {
            if let Some(strange) = &form.strange {
                let message = format!("{name} ({language}) has a {strange}, which rules cannot fill in");
                self.problem(format!("{key}.template"), message, "use another template");
            }
        }
        let header = self.header(key, header, &forms, names);
        let body = self.body(key, body, &forms, names);
        let buttons = self.buttons(key, buttons, &forms, names);
        let template = TemplateSay { name: name.to_owned(), forms, header: header?, body: body?, buttons: buttons? };
        (!template.forms.is_empty()).then(|| Say::Template(Box::new(template)))
    }

    /// The form of a template in one language, for an operator who names it.
    pub(super) fn form(&mut self, key: &str, name: &str, language: &str, priority: Priority) -> Option<Form> {
        let (found, all) = {
            let all = self.listed(key, name)?;
            let status = all.get(language).map(|form| (form.approved(), form.status.to_ascii_lowercase()));
            let have = all.keys().cloned().collect::<Vec<_>>().join(", ");
            match status {
                Some((true, _)) => (Ok(all.get(language).cloned()?), have),
                Some((false, status)) => (Err(status), have),
                None => (Err("not there".to_owned()), have),
            }
        };
        match found {
            Ok(form) => {
                self.never_critical("--priority", name, form.category, priority);
                Some(form)
            }
            Err(status) => {
                let fix =
                    format!("choose another language (there are: {all}), or have it approved and save the list again");
                self.problem(key, format!("{name} in {language} is {status}"), fix);
                None
            }
        }
    }

    /// All forms of a template of the list.
    fn listed(&mut self, key: &str, name: &str) -> Option<BTreeMap<String, Form>> {
        let Some(catalog) = self.catalog.clone() else {
            if self.settings.templates.is_none() {
                self.problem(
                    key,
                    "there is no template list to check it against",
                    "save the platform's list (GET /<account id>/message_templates) and name it in [templates] file = \"templates.json\"",
                );
            }
            return None;
        };
        let all = catalog.forms(name);
        if all.is_none() {
            self.problem(key, format!("the template list has no {name}"), suggest(name, catalog.names()));
        }
        all.cloned()
    }

    /// The approved forms of a template; problems for every language that this rule can choose and that has none.
    fn forms(&mut self, key: &str, rule: &Rule, name: &str) -> Option<BTreeMap<String, Form>> {
        let key = format!("{key}.template");
        let all = self.listed(&key, name)?;
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
        self.never_critical(&format!("{rule_key}.priority"), name, form.category, rule.priority);
        self.asked(rule, form.category);
    }

    fn never_critical(&mut self, key: &str, name: &str, category: Category, priority: Priority) {
        if category == Category::Marketing && priority == Priority::Critical {
            let message = format!("{name} is marketing, and marketing is never critical");
            self.problem(key, message, "lower the priority, or use a utility template");
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
        let before = self.problems.len();
        for (language, form) in forms {
            let wanted = match &form.header {
                HeaderForm::Text(wording) if wording.variables().is_empty() => None,
                HeaderForm::None => None,
                HeaderForm::Text(_) => Some("text"),
                HeaderForm::Image => Some("image"),
                HeaderForm::Video => Some("video"),
                HeaderForm::Document => Some("document"),
                HeaderForm::Location => Some("location"),
            };
            if kind != wanted {
                let (found, wanted) = (kind.unwrap_or("none"), wanted.unwrap_or("none"));
                let message = format!("the template's header ({language}) takes {wanted}, found {found}");
                let fix = match wanted {
                    "none" => "take header out".to_owned(),
                    "text" => "write header = \"…\"".to_owned(),
                    _ => format!("write header = {{ {wanted} = … }}"),
                };
                self.problem(key.clone(), message, fix);
                break;
            }
        }
        let mut text = |field: &str, source: &str| self.text(&format!("{key}.{field}"), source, Mode::Text, names);
        let compiled = match header {
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
        };
        (self.problems.len() == before).then_some(compiled)
    }

    fn body(&mut self, key: &str, body: &BodyTexts, forms: &BTreeMap<String, Form>, names: &[&str]) -> Option<BodySay> {
        let key = format!("{key}.body");
        let before = self.problems.len();
        for (language, form) in forms {
            if let Some((what, fix)) = mismatch(body, form) {
                self.problem(key.clone(), format!("the template ({language}) {what}"), fix);
            }
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
        let mut compiled = Vec::with_capacity(entries.len());
        for (index, (entry, kind)) in entries.iter().zip(&kinds).enumerate() {
            let (ButtonText::Url(source) | ButtonText::Reply(source) | ButtonText::CopyCode(source)) = entry;
            let field = button_name(*kind);
            compiled.push(self.text(&format!("{key}.{index}.{field}"), source, Mode::Text, names));
        }
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
        let found = compiled.into_iter().zip(kinds).zip(places.unwrap_or_default());
        found.map(|((text, kind), place)| Some((place, kind, text?))).collect()
    }
}

/// How the rule's parameters differ from the template's, and what to write.
fn mismatch(body: &BodyTexts, form: &Form) -> Option<(String, String)> {
    let variables = form.body.variables();
    match body {
        BodyTexts::Positional(all) if !form.body.named() => {
            let highest = variables.iter().filter_map(|name| name.parse::<usize>().ok()).max().unwrap_or(0);
            let what =
                || (format!("takes {highest} parameters, found {}", all.len()), format!("write {highest} of them"));
            (all.len() != highest).then(what)
        }
        BodyTexts::Positional(_) => {
            let what = format!("has named parameters: {}", variables.join(", "));
            Some((what, "write a table: body = { name = … }".into()))
        }
        BodyTexts::Named(all) if form.body.named() || (all.is_empty() && variables.is_empty()) => {
            let wanted: BTreeSet<&str> = variables.into_iter().collect();
            let found: BTreeSet<&str> = all.keys().map(String::as_str).collect();
            let list = |names: &BTreeSet<&str>| names.iter().copied().collect::<Vec<_>>().join(", ");
            let what = format!("takes {}, found {}", list(&wanted), list(&found));
            (wanted != found).then(|| (what, "use the template's names".into()))
        }
        BodyTexts::Named(_) => {
            Some((format!("has {} parameters by place", variables.len()), "write a list: body = [ … ]".into()))
        }
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
