//! One template as the platform's list describes it, and as it reads when it is filled in (facts 1.4).
//!
//! Floor: demo. Whether the platform would have approved it is not asked: what is in its list was approved.

use super::json::Checked;
use super::parameter::{Components, Parameter};
use super::refusal::Refusal;
use super::template::Filled;
use serde_json::{Value, json};
use std::collections::HashMap;

/// A template, and what a send of it needs.
#[derive(Default)]
pub(super) struct Template {
    /// As the list has it.
    pub(super) entry: Value,
    pub(super) name: String,
    pub(super) language: String,
    pub(super) status: String,
    category: String,
    named: bool,
    /// `TEXT`, `IMAGE`, …; empty without a header.
    header: String,
    header_text: String,
    body: String,
    footer: String,
    buttons: Vec<Button>,
    /// What it has that this simulator does not know (a carousel, say): it is listed, and never sent.
    strange: Option<String>,
}

struct Button {
    kind: String,
    label: String,
    url: String,
}

const CATEGORIES: &[&str] = &["UTILITY", "MARKETING", "AUTHENTICATION"];
const FORMATS: &[&str] = &["TEXT", "IMAGE", "VIDEO", "DOCUMENT", "LOCATION"];
const BUTTONS: &[&str] = &["QUICK_REPLY", "URL", "PHONE_NUMBER", "VOICE_CALL", "COPY_CODE", "FLOW", "CATALOG", "OTP"];

impl Template {
    /// An entry of the list.
    ///
    /// # Errors
    /// What no list of the platform lacks, or variables that are not those of its `parameter_format`.
    pub(super) fn read(entry: &Value) -> Result<Template, String> {
        let mut template = Template {
            name: need(entry, "name")?,
            language: need(entry, "language")?,
            status: need(entry, "status")?,
            category: need(entry, "category")?.to_uppercase(),
            named: text(entry, "parameter_format").eq_ignore_ascii_case("named"),
            entry: entry.clone(),
            ..Template::default()
        };
        if !CATEGORIES.contains(&template.category.as_str()) {
            return Err(format!("its category is {}, none of {}", template.category, CATEGORIES.join(", ")));
        }
        let components = entry.get("components").and_then(Value::as_array).ok_or("it has no array \"components\"")?;
        components.iter().try_for_each(|component| template.add(component))?;
        if template.body.is_empty() && template.strange.is_none() {
            return Err("it has no BODY".to_owned());
        }
        template.check_variables()?;
        Ok(template)
    }

    fn add(&mut self, component: &Value) -> Result<(), String> {
        match need(component, "type")?.to_uppercase().as_str() {
            "HEADER" => {
                self.header = need(component, "format")?.to_uppercase();
                self.header_text = text(component, "text");
                if !FORMATS.contains(&self.header.as_str()) {
                    self.strange = Some(format!("a header of the format {}", self.header));
                }
            }
            "BODY" => self.body = need(component, "text")?,
            "FOOTER" => self.footer = need(component, "text")?,
            "BUTTONS" => {
                let buttons = component.get("buttons").and_then(Value::as_array).ok_or("BUTTONS without buttons")?;
                for button in buttons {
                    let kind = need(button, "type")?.to_uppercase();
                    if !BUTTONS.contains(&kind.as_str()) {
                        self.strange = Some(format!("a button of the type {kind}"));
                    }
                    self.buttons.push(Button { kind, label: text(button, "text"), url: text(button, "url") });
                }
            }
            other => self.strange = Some(format!("a component of the type {other}")),
        }
        Ok(())
    }

    /// Positional variables are `{{1}}`, `{{2}}` … without a gap, named ones are words.
    fn check_variables(&self) -> Result<(), String> {
        for text in [&self.header_text, &self.body] {
            let variables = variables(text);
            let right = if self.named {
                variables.iter().all(|name| name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_')))
                    && !variables.iter().any(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
            } else {
                (1..=variables.len()).all(|number| variables.contains(&number.to_string().as_str()))
            };
            if !right {
                let format = if self.named { "NAMED" } else { "POSITIONAL" };
                return Err(format!("the variables of {text:?} do not go with parameter_format {format}"));
            }
        }
        Ok(())
    }

    pub(super) fn is(&self, name: &str, language: &str) -> bool {
        self.name == name && self.language == language
    }

    pub(super) fn set_status(&mut self, status: &str) {
        status.clone_into(&mut self.status);
        self.entry["status"] = status.into();
    }

    pub(super) fn set_quality(&mut self, score: &str) {
        self.entry["quality_score"] = json!({ "score": score, "date": jiff::Timestamp::now().as_second() });
    }

    /// The category that it had.
    pub(super) fn set_category(&mut self, category: &str) -> String {
        self.entry["previous_category"] = self.category.as_str().into();
        self.entry["category"] = category.into();
        std::mem::replace(&mut self.category, category.to_owned())
    }

    /// The template with these parameters in it.
    pub(super) fn fill(&self, sent: &Components) -> Checked<Filled> {
        if let Some(what) = &self.strange {
            return Err(Refusal::new(132012, format!("this simulator cannot fill in {what}")));
        }
        let mut lines = Vec::new();
        match self.header.as_str() {
            "" | "TEXT" => {
                let header = self.fill_text("header", &self.header_text, &sent.header, &["text"])?;
                limit("header", &header, 60)?;
                lines.push(header);
            }
            format => {
                let [parameter] = sent.header.as_slice() else {
                    return Err(Refusal::new(132012, format!("header: expected one {format}")));
                };
                if !parameter.kind.eq_ignore_ascii_case(format) || parameter.name.is_some() {
                    return Err(Refusal::new(132012, format!("header: expected {format}, got {}", parameter.kind)));
                }
                lines.push(format!("[{}: {}]", parameter.kind, parameter.text));
            }
        }
        let body = self.fill_text("body", &self.body, &sent.body, &["text", "currency", "date_time"])?;
        limit("body", &body, 1024)?;
        lines.extend([body, self.footer.clone()]);
        lines.extend(self.fill_buttons(sent)?);
        lines.retain(|line| !line.is_empty());
        Ok(Filled { text: lines.join("\n"), parameters: sent.parameters(), category: Some(self.category.clone()) })
    }

    /// Puts the parameters into `text`, their number, names and kinds checked.
    fn fill_text(&self, part: &str, text: &str, sent: &[Parameter], kinds: &[&str]) -> Checked<String> {
        let wanted = variables(text);
        if wanted.len() != sent.len() {
            let details = format!(
                "{part}: number of localizable_params ({}) does not match the expected number of params ({})",
                sent.len(),
                wanted.len()
            );
            return Err(Refusal::new(132000, details));
        }
        let mut filled = HashMap::new();
        for (place, parameter) in sent.iter().enumerate() {
            if !kinds.contains(&parameter.kind) {
                return Err(Refusal::new(132012, format!("{part}: {} is not allowed here", parameter.kind)));
            }
            // Facts 1.4: a one-time password has at most 15 characters.
            if self.category == "AUTHENTICATION" {
                limit(part, &parameter.text, 15)?;
            }
            let name = match (self.named, parameter.name) {
                (true, Some(name)) if wanted.contains(&name) => name.to_owned(),
                (false, None) => (place + 1).to_string(),
                (true, _) => return Err(Refusal::new(132012, format!("{part}: parameter_name is missing or unknown"))),
                (false, Some(_)) => {
                    return Err(Refusal::new(132012, format!("{part}: this template has no named parameters")));
                }
            };
            if filled.insert(name, parameter.text.as_str()).is_some() {
                return Err(Refusal::new(132012, format!("{part}: one parameter twice")));
            }
        }
        Ok(replace(text, |name| filled.get(name).copied().unwrap_or_default()))
    }

    fn fill_buttons(&self, sent: &Components) -> Checked<Vec<String>> {
        for pressed in &sent.buttons {
            let fits = match self.buttons.get(pressed.index).map(|button| button.kind.as_str()) {
                Some("URL" | "OTP") => pressed.sub_type == "url",
                Some(kind) => kind.eq_ignore_ascii_case(pressed.sub_type),
                None => false,
            };
            if !fits {
                let (index, sub_type) = (pressed.index, pressed.sub_type);
                return Err(Refusal::new(132012, format!("button {index}: the template has no {sub_type} there")));
            }
        }
        let given =
            |index| sent.buttons.iter().find(|pressed| pressed.index == index).map(|found| &*found.parameter.text);
        let buttons = self.buttons.iter().enumerate();
        buttons.map(|(index, button)| button.fill(index, given(index), &sent.body)).collect()
    }
}

impl Button {
    fn fill(&self, index: usize, given: Option<&str>, body: &[Parameter]) -> Checked<String> {
        let missing = || Refusal::new(131008, format!("button at index {index} requires a parameter"));
        let label = &self.label;
        match self.kind.as_str() {
            "URL" => {
                let variable = !variables(&self.url).is_empty();
                match given {
                    None if variable => return Err(missing()),
                    Some(_) if !variable => {
                        let details = format!("button at index {index} takes no parameter");
                        return Err(Refusal::new(132000, details));
                    }
                    // [?] A space makes no URL.
                    Some(suffix) if suffix.contains(char::is_whitespace) => {
                        return Err(Refusal::new(132012, format!("button at index {index}: white space in a URL")));
                    }
                    _ => {}
                }
                let url = replace(&self.url, |_| given.unwrap_or_default());
                limit("url", &url, 2000)?;
                Ok(format!("[{label}: {url}]"))
            }
            "COPY_CODE" => given.map(|code| format!("[{label}: {code}]")).ok_or_else(missing),
            // Facts 1.4: the code twice, in body and button.
            "OTP" => match (given.ok_or_else(missing)?, body) {
                (code, [parameter]) if parameter.text == code => Ok(format!("[{label}: {code}]")),
                _ => Err(Refusal::new(132012, format!("button at index {index}: not the code that the body has"))),
            },
            // [?] Whether a Flow without its component is taken is not said; the examples all have one.
            "FLOW" => given.map(|_| format!("[{label}]")).ok_or_else(missing),
            _ => Ok(format!("[{label}]")),
        }
    }
}

fn text(of: &Value, name: &str) -> String {
    of.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn need(of: &Value, name: &str) -> Result<String, String> {
    let text = text(of, name);
    if text.is_empty() { Err(format!("it lacks {name:?}")) } else { Ok(text) }
}

fn limit(part: &str, text: &str, most: usize) -> Checked<()> {
    let length = text.chars().count();
    if length > most {
        return Err(Refusal::new(132005, format!("{part}: {length} characters when filled in, at most {most}")));
    }
    Ok(())
}

/// The names between double braces, each once, in order.
fn variables(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for part in text.split("{{").skip(1) {
        if let Some((name, _)) = part.split_once("}}")
            && !names.contains(&name.trim())
        {
            names.push(name.trim());
        }
    }
    names
}

fn replace<'v>(text: &str, value: impl Fn(&str) -> &'v str) -> String {
    let mut parts = text.split("{{");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once("}}") {
            Some((name, rest)) => out.extend([value(name.trim()), rest]),
            None => out.extend(["{{", part]),
        }
    }
    out
}
