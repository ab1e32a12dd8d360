//! Templates as the platform checks them when one is sent (facts 1.4, 3.3), and as the person then reads them.
//!
//! Floor: demo. Shares nothing with the daemon's encoder, on purpose.

use super::json::{Checked, Object};
use super::media;
use super::refusal::Refusal;
use serde_json::Value;
use std::collections::HashMap;

/// The account's templates, by name and language. Without a list any template passes, its parameters checked for form only.
#[derive(Default)]
pub(super) struct Templates(Option<HashMap<(String, String), Template>>);

/// What a template needs, from the platform's own list.
#[derive(Default)]
struct Template {
    status: String,
    named: bool,
    /// `TEXT`, `IMAGE`, …; empty without a header.
    header: String,
    header_text: String,
    body: String,
    footer: String,
    buttons: Vec<Button>,
}

struct Button {
    kind: String,
    label: String,
    url: String,
}

/// A template that passed.
pub(super) struct Filled {
    /// As a person reads it.
    pub(super) text: String,
    /// All parameters in their order: header, body, buttons.
    pub(super) parameters: Vec<String>,
}

impl Templates {
    /// Reads the platform's list: `{"data": [...]}`, or the array alone.
    pub(super) fn read(list: Option<&Value>) -> Result<Templates, String> {
        let Some(list) = list else { return Ok(Templates(None)) };
        let list = list.get("data").unwrap_or(list).as_array().ok_or("the template list is neither data nor array")?;
        let mut templates = HashMap::new();
        for (place, entry) in list.iter().enumerate() {
            let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let key = (text("name"), text("language"));
            if key.0.is_empty() || key.1.is_empty() {
                return Err(format!("template {place} of the list lacks name or language"));
            }
            templates.insert(key, Template::read(entry));
        }
        Ok(Templates(Some(templates)))
    }

    /// From now on the template stands so, in this language or in all; in how many.
    pub(super) fn set_status(&mut self, name: &str, language: Option<&str>, status: &str) -> usize {
        let known = self.0.iter_mut().flatten();
        let meant = known.filter(|(key, _)| key.0 == name && language.is_none_or(|language| key.1 == language));
        meant.map(|(_, template)| status.clone_into(&mut template.status)).count()
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
        let components = Components::read(&sent)?;
        let Some(list) = &self.0 else { return Ok(components.unlisted(name)) };
        let template = list
            .get(&(name.to_owned(), code.to_owned()))
            .ok_or_else(|| Refusal::new(132001, format!("template name ({name}) does not exist in {code}")))?;
        match template.status.as_str() {
            "APPROVED" => template.fill(&components),
            "PAUSED" => Err(Refusal::new(132015, format!("template {name} is paused"))),
            "DISABLED" => Err(Refusal::new(132016, format!("template {name} is disabled"))),
            other => Err(Refusal::new(132001, format!("template {name} in {code} is {other}, not approved"))),
        }
    }
}

/// One parameter, its form checked.
struct Parameter<'a> {
    kind: &'a str,
    name: Option<&'a str>,
    text: String,
}

/// The components of a request, their form checked.
#[derive(Default)]
struct Components<'a> {
    header: Vec<Parameter<'a>>,
    body: Vec<Parameter<'a>>,
    buttons: Vec<(usize, &'a str, Parameter<'a>)>,
}

impl<'a> Components<'a> {
    fn read(template: &Object<'a>) -> Checked<Components<'a>> {
        let mut all = Components::default();
        if template.get("components").is_none() {
            return Ok(all);
        }
        let (mut header, mut body) = (false, false);
        for (place, value) in template.array("components")?.iter().enumerate() {
            let at = format!("template.components[{place}]");
            let component = Object::of(value, &*at, &["type", "sub_type", "index", "parameters"])?;
            let kind = component.word("type", &["header", "body", "button"])?;
            let parameters = component.array("parameters")?;
            if kind == "button" {
                all.button(&component, parameters)?;
                continue;
            }
            if component.get("sub_type").is_some() || component.get("index").is_some() {
                return Err(Refusal::new(100, format!("{at}: sub_type and index belong to buttons")));
            }
            let (into, twice) =
                if kind == "header" { (&mut all.header, &mut header) } else { (&mut all.body, &mut body) };
            if std::mem::replace(twice, true) {
                return Err(Refusal::new(100, format!("{at}: a second {kind}")));
            }
            for (place, value) in parameters.iter().enumerate() {
                into.push(Parameter::read(value, format!("{at}.parameters[{place}]"))?);
            }
        }
        Ok(all)
    }

    fn button(&mut self, component: &Object<'a>, parameters: &'a [Value]) -> Checked<()> {
        let sub_type = component.word("sub_type", &["quick_reply", "url", "copy_code"])?;
        // Facts 1.4: the index is a string, "0" to "9".
        let index = component.word("index", &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"])?;
        let index = usize::from(index.as_bytes()[0] - b'0');
        if self.buttons.iter().any(|button| button.0 == index) {
            return Err(Refusal::new(100, format!("{}: a second button {index}", component.at)));
        }
        let [value] = parameters else {
            return Err(Refusal::new(132000, format!("{}: a button takes one parameter", component.at)));
        };
        let parameter = Parameter::read(value, format!("{}.parameters[0]", component.at))?;
        let wanted = match sub_type {
            "quick_reply" => "payload",
            "url" => "text",
            _ => "coupon_code",
        };
        if parameter.kind != wanted || parameter.name.is_some() {
            return Err(Refusal::new(132012, format!("{}: {sub_type} takes one {wanted}", component.at)));
        }
        self.buttons.push((index, sub_type, parameter));
        Ok(())
    }

    /// What can be said of it without a list.
    fn unlisted(self, name: &str) -> Filled {
        let parameters = self.parameters();
        Filled { text: format!("[{name}] {}", parameters.join(" | ")), parameters }
    }

    fn parameters(&self) -> Vec<String> {
        let buttons = self.buttons.iter().map(|button| &button.2);
        self.header.iter().chain(&self.body).chain(buttons).map(|parameter| parameter.text.clone()).collect()
    }
}

impl<'a> Parameter<'a> {
    fn read(value: &'a Value, at: String) -> Checked<Parameter<'a>> {
        let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
        let known: &[&str] = match kind {
            "text" => &["type", "text", "parameter_name"],
            "currency" | "date_time" | "image" | "video" | "document" | "location" => &["type", kind, "parameter_name"],
            "payload" | "coupon_code" => &["type", kind],
            _ => return Err(Refusal::new(132012, format!("{at}.type is unknown or missing"))),
        };
        let parameter = Object::of(value, at, known)?;
        let text = match kind {
            // Facts 1.4: one text parameter has at most 32,768 characters; the filled text is shorter still.
            "text" => clean(parameter.text("text", 32_768)?, &parameter.at)?.to_owned(),
            "currency" => {
                let money = parameter.object("currency", &["fallback_value", "code", "amount_1000"])?;
                money.text("code", 3)?;
                money.need("amount_1000")?;
                clean(money.text("fallback_value", 32_768)?, &money.at)?.to_owned()
            }
            "date_time" => {
                let time = parameter.object("date_time", &["fallback_value"])?;
                clean(time.text("fallback_value", 32_768)?, &time.at)?.to_owned()
            }
            "payload" => parameter.text("payload", 256)?.to_owned(),
            "coupon_code" => {
                let code = parameter.text("coupon_code", 20)?;
                if !code.bytes().all(|b| b.is_ascii_alphanumeric()) {
                    return Err(parameter.invalid("coupon_code", "may have letters and digits only"));
                }
                code.to_owned()
            }
            "location" => media::location(&parameter, true)?,
            _ => media::media(&parameter, kind, false)?,
        };
        Ok(Parameter { kind, name: parameter.maybe_text("parameter_name", 512)?, text })
    }
}

/// Facts 1.4: newline, tab or more than four consecutive spaces are refused.
fn clean<'t>(text: &'t str, at: &str) -> Checked<&'t str> {
    if text.contains(['\n', '\r', '\t']) || text.contains("     ") {
        let details = format!("{at}: no new-line/tab characters or more than 4 consecutive spaces");
        return Err(Refusal::new(132018, details));
    }
    Ok(text)
}

impl Template {
    fn read(entry: &Value) -> Template {
        let text = |of: &Value, name: &str| of.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut template = Template {
            status: text(entry, "status").to_uppercase(),
            named: text(entry, "parameter_format").eq_ignore_ascii_case("named"),
            ..Template::default()
        };
        for component in entry.get("components").and_then(Value::as_array).into_iter().flatten() {
            match text(component, "type").to_uppercase().as_str() {
                "HEADER" => {
                    template.header = text(component, "format").to_uppercase();
                    template.header_text = text(component, "text");
                }
                "BODY" => template.body = text(component, "text"),
                "FOOTER" => template.footer = text(component, "text"),
                "BUTTONS" => {
                    for button in component.get("buttons").and_then(Value::as_array).into_iter().flatten() {
                        let kind = text(button, "type").to_uppercase();
                        template.buttons.push(Button { kind, label: text(button, "text"), url: text(button, "url") });
                    }
                }
                _ => {}
            }
        }
        template
    }

    fn fill(&self, sent: &Components) -> Checked<Filled> {
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
        Ok(Filled { text: lines.join("\n"), parameters: sent.parameters() })
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
        for (index, sub_type, _) in &sent.buttons {
            let fits = match self.buttons.get(*index).map(|button| button.kind.as_str()) {
                Some("URL") => *sub_type == "url",
                Some("QUICK_REPLY") => *sub_type == "quick_reply",
                Some("COPY_CODE") => *sub_type == "copy_code",
                _ => false,
            };
            if !fits {
                return Err(Refusal::new(132012, format!("button {index}: the template has no {sub_type} there")));
            }
        }
        let mut lines = Vec::new();
        for (index, button) in self.buttons.iter().enumerate() {
            let given = sent.buttons.iter().find(|sent| sent.0 == index).map(|sent| &sent.2.text);
            let variable = button.kind == "COPY_CODE" || !variables(&button.url).is_empty();
            lines.push(match (button.kind.as_str(), given) {
                ("URL" | "COPY_CODE", None) if variable => {
                    return Err(Refusal::new(131008, format!("button at index {index} requires a parameter")));
                }
                ("URL", Some(_)) if !variable => {
                    return Err(Refusal::new(132000, format!("button at index {index} takes no parameter")));
                }
                ("URL", given) => {
                    let url = replace(&button.url, |_| given.map_or("", String::as_str));
                    limit("url", &url, 2000)?;
                    format!("[{}: {url}]", button.label)
                }
                ("COPY_CODE", Some(code)) => format!("[{}: {code}]", button.label),
                _ => format!("[{}]", button.label),
            });
        }
        Ok(lines)
    }
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
