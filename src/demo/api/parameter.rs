//! The components of a template send (facts 1.4): their form, before it is known which template they are for.
//!
//! Floor: demo.

use super::json::{Checked, Object};
use super::media::{self, Place};
use super::refusal::Refusal;
use super::template::Filled;
use serde_json::Value;

/// One parameter, its form checked.
pub(super) struct Parameter<'a> {
    pub(super) kind: &'a str,
    pub(super) name: Option<&'a str>,
    pub(super) text: String,
}

/// A button's parameter.
pub(super) struct Pressed<'a> {
    /// Its place among the template's buttons.
    pub(super) index: usize,
    pub(super) sub_type: &'a str,
    pub(super) parameter: Parameter<'a>,
}

/// The components of a request.
#[derive(Default)]
pub(super) struct Components<'a> {
    pub(super) header: Vec<Parameter<'a>>,
    pub(super) body: Vec<Parameter<'a>>,
    pub(super) buttons: Vec<Pressed<'a>>,
}

impl<'a> Components<'a> {
    pub(super) fn read(template: &Object<'a>) -> Checked<Components<'a>> {
        let mut all = Components::default();
        if template.get("components").is_none() {
            return Ok(all);
        }
        let (mut header, mut body) = (false, false);
        for (place, value) in template.array("components")?.iter().enumerate() {
            let at = format!("template.components[{place}]");
            let component = Object::of(value, &*at, &["type", "sub_type", "index", "parameters"])?;
            // Carousels and limited offers have components of their own, which the facts do not describe.
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
            if into.iter().any(|one| one.name.is_some()) && into.iter().any(|one| one.name.is_none()) {
                return Err(Refusal::new(132012, format!("{at}: named and positional parameters are mixed")));
            }
        }
        Ok(all)
    }

    fn button(&mut self, component: &Object<'a>, parameters: &'a [Value]) -> Checked<()> {
        // In small letters, as most examples have it.
        let sub_type = component.word("sub_type", &["quick_reply", "url", "copy_code", "flow", "catalog"])?;
        // Facts 1.4: the index is a string, "0" to "9".
        let index = component.word("index", &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"])?;
        let index = usize::from(index.as_bytes()[0] - b'0');
        if self.buttons.iter().any(|button| button.index == index) {
            return Err(Refusal::new(100, format!("{}: a second button {index}", component.at)));
        }
        let [value] = parameters else {
            return Err(Refusal::new(132000, format!("{}: a button takes one parameter", component.at)));
        };
        let at = format!("{}.parameters[0]", component.at);
        let wanted = match sub_type {
            "quick_reply" => "payload",
            "url" => "text",
            "copy_code" => "coupon_code",
            _ => "action",
        };
        let parameter = match wanted {
            "action" => action(value, at, sub_type)?,
            _ => Parameter::read(value, at)?,
        };
        if parameter.kind != wanted || parameter.name.is_some() {
            return Err(Refusal::new(132012, format!("{}: {sub_type} takes one {wanted}", component.at)));
        }
        self.buttons.push(Pressed { index, sub_type, parameter });
        Ok(())
    }

    /// What can be said of it without a list.
    pub(super) fn unlisted(self, name: &str) -> Filled {
        let parameters = self.parameters();
        Filled { text: format!("[{name}] {}", parameters.join(" | ")), parameters, category: None }
    }

    pub(super) fn parameters(&self) -> Vec<String> {
        let buttons = self.buttons.iter().map(|button| &button.parameter);
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
                let code = money.text("code", 3)?;
                if !(code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase())) {
                    return Err(money.invalid("code", "must be three capitals of ISO 4217"));
                }
                if !money.need("amount_1000")?.is_i64() {
                    return Err(money.invalid("amount_1000", "must be a whole number"));
                }
                clean(money.text("fallback_value", 32_768)?, &money.at)?.to_owned()
            }
            "date_time" => {
                let time = parameter.object("date_time", &["fallback_value"])?;
                clean(time.text("fallback_value", 32_768)?, &time.at)?.to_owned()
            }
            // [?] As long as the id of a reply button.
            "payload" => parameter.text("payload", 256)?.to_owned(),
            "coupon_code" => {
                let code = parameter.text("coupon_code", 20)?;
                if !code.bytes().all(|b| b.is_ascii_alphanumeric()) {
                    return Err(parameter.invalid("coupon_code", "may have letters and digits only"));
                }
                code.to_owned()
            }
            "location" => media::location(&parameter, Place::Header)?,
            _ => media::media(&parameter, kind, Place::Header)?,
        };
        let name = parameter.maybe_text("parameter_name", 512)?;
        if name.is_some_and(|name| !name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))) {
            return Err(parameter.invalid("parameter_name", "may have a-z, 0-9 and _ only"));
        }
        Ok(Parameter { kind, name, text })
    }
}

/// The parameter of a `flow` or `catalog` button.
fn action<'a>(value: &'a Value, at: String, sub_type: &str) -> Checked<Parameter<'a>> {
    let parameter = Object::of(value, at, &["type", "action"])?;
    let kind = parameter.word("type", &["action"])?;
    let text = match sub_type {
        "flow" => {
            let action = parameter.object("action", &["flow_token", "flow_action_data"])?;
            if action.get("flow_action_data").is_some_and(|data| data.as_object().is_none_or(serde_json::Map::is_empty))
            {
                return Err(action.invalid("flow_action_data", "must be an object with something in it"));
            }
            action.maybe_text("flow_token", 1000)?
        }
        _ => Some(parameter.object("action", &["thumbnail_product_retailer_id"])?)
            .map(|action| action.text("thumbnail_product_retailer_id", 1000))
            .transpose()?,
    };
    Ok(Parameter { kind, name: None, text: text.unwrap_or("unused").to_owned() })
}

/// Facts 1.4: newline, tab or more than four consecutive spaces are refused.
///
/// [?] The code is 132018, 132012 or 100, by whom one asks. What counts as a newline is not said: here all that Unicode
/// calls one, and any white space counts as a space.
fn clean<'t>(text: &'t str, at: &str) -> Checked<&'t str> {
    let (mut run, mut longest) = (0, 0);
    for sign in text.chars() {
        run = if sign.is_whitespace() { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let breaks = ['\n', '\r', '\t', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}'];
    if text.contains(breaks) || longest > 4 {
        let details = format!("{at}: no new-line/tab characters or more than 4 consecutive spaces");
        return Err(Refusal::new(132018, details));
    }
    Ok(text)
}
