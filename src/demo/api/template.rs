//! The account's templates: the platform's own list, which of them may be sent, and the list as it is asked for.
//!
//! Floor: demo. Shares nothing with the daemon's encoder, on purpose.

use super::definition::Template;
use super::json::{Checked, Object};
use super::parameter::Components;
use super::refusal::Refusal;
use serde_json::Value;

/// The account's templates, in the order of the list. Without a list any template passes, its parameters checked for form
/// only.
#[derive(Default)]
pub(super) struct Templates(Option<Vec<Template>>);

/// A template that passed.
#[derive(Default)]
pub(super) struct Filled {
    /// As a person reads it.
    pub(super) text: String,
    /// All parameters in their order: header, body, buttons.
    pub(super) parameters: Vec<String>,
    /// `UTILITY`, `MARKETING` or `AUTHENTICATION`; unknown without a list.
    pub(super) category: Option<String>,
}

impl Templates {
    /// Reads the platform's list: `{"data": [...]}`, its paging left aside, or the array alone.
    ///
    /// # Errors
    /// What is not such a list, for a person.
    pub(super) fn read(list: Option<&Value>) -> Result<Templates, String> {
        let Some(list) = list else { return Ok(Templates(None)) };
        let list = list.get("data").unwrap_or(list).as_array().ok_or("the template list is neither data nor array")?;
        let entry = |(place, entry): (usize, &Value)| {
            let name = entry.get("name").and_then(Value::as_str).unwrap_or("without a name");
            Template::read(entry).map_err(|why| format!("the template list: number {} ({name}): {why}", place + 1))
        };
        list.iter().enumerate().map(entry).collect::<Result<_, _>>().map(|list| Templates(Some(list)))
    }

    /// Checks the `template` object of a request.
    pub(super) fn check(&self, request: &Object) -> Checked<Filled> {
        let sent = request.object("template", &["name", "language", "components"])?;
        let name = sent.text("name", 512)?;
        if !name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_')) {
            return Err(sent.invalid("name", "may have a-z, 0-9 and _ only"));
        }
        let language = sent.object("language", &["code", "policy"])?;
        if language.get("policy").is_some() {
            language.word("policy", &["deterministic"])?;
        }
        let code = language.text("code", 16)?;
        let (first, country) = code.split_once('_').map_or((code, None), |(first, country)| (first, Some(country)));
        let small = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase());
        let big = |text: &str| text.bytes().all(|byte| byte.is_ascii_uppercase());
        let known = (2..=3).contains(&first.len()) && small(first);
        if !known || !country.is_none_or(|country| (2..=3).contains(&country.len()) && big(country)) {
            return Err(language.invalid("code", "must be a language like pt or pt_BR"));
        }
        let components = Components::read(&sent)?;
        let Some(list) = &self.0 else { return Ok(components.unlisted(name)) };
        // A deleted or rejected one may stand beside its successor.
        let mut forms = list.iter().filter(|template| template.is(name, code));
        let template = forms
            .clone()
            .find(|template| template.status == "APPROVED")
            .or_else(|| forms.next())
            .ok_or_else(|| Refusal::new(132001, format!("template name ({name}) does not exist in {code}")))?;
        match template.status.as_str() {
            "APPROVED" => template.fill(&components),
            "PAUSED" => Err(Refusal::new(132015, format!("template {name} is paused"))),
            "DISABLED" => Err(Refusal::new(132016, format!("template {name} is disabled"))),
            other => Err(Refusal::new(132001, format!("template {name} in {code} is {other}, not approved"))),
        }
    }

    /// A template in one language, or in all that it has.
    pub(super) fn meant(&mut self, name: &str, language: Option<&str>) -> impl Iterator<Item = &mut Template> {
        let known = self.0.iter_mut().flatten();
        known.filter(move |one| one.name == name && language.is_none_or(|language| one.language == language))
    }

    /// The list, as `GET /{waba}/message_templates` has it.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Value> {
        self.0.iter().flatten().map(|template| &template.entry)
    }
}
