//! What a rule says: a template's parameters or a text, rendered for one person and cleaned as the API demands.
//!
//! Floor: rooms. The platform's JSON is not made here.

use super::catalog::{ButtonKind, Form, HeaderForm, shorten};
use super::texts::{Failure, Text, Texts};
use crate::limits;
use crate::message::{Body, Button, Content, Header, Reason, Template};
use minijinja::value::Value;
use std::collections::BTreeMap;

/// Characters of a copy code (facts 1.4).
const COPY_CODE: usize = 20;
/// Characters of a button's filled-in URL, and of a media URL (facts 1.4).
const URL: usize = 2000;
/// Bytes of a quick reply's payload: a reply id's bound (facts 1.3).
const REPLY: usize = 256;
/// Characters of a document's file name, and of a location's name and address: what a phone shows of them.
const CAPTION: usize = 240;

/// A rule's message, compiled.
#[derive(Debug)]
pub(super) enum Say {
    /// Free text.
    Text(Text),
    /// A template.
    Template(Box<TemplateSay>),
}

/// A template with the texts of its parameters.
#[derive(Debug)]
pub(super) struct TemplateSay {
    pub(super) name: String,
    /// Approved, by language; never empty.
    pub(super) forms: BTreeMap<String, Form>,
    pub(super) header: Option<HeaderSay>,
    pub(super) body: BodySay,
    /// With the button's place.
    pub(super) buttons: Vec<(u8, ButtonKind, Text)>,
}

#[derive(Debug)]
pub(super) enum HeaderSay {
    Text(Text),
    Image(Text),
    Video(Text),
    Document(Text, Option<Text>),
    /// Latitude, longitude, name, address.
    Location([Text; 4]),
}

#[derive(Debug)]
pub(super) enum BodySay {
    Positional(Vec<Text>),
    Named(BTreeMap<String, Text>),
}

impl Say {
    /// Whether it can be said in `language`.
    pub(super) fn speaks(&self, language: &str) -> bool {
        match self {
            Say::Text(_) => language_code(language),
            Say::Template(template) => template.forms.contains_key(language),
        }
    }

    /// The parts of a message as a person reads them, top to bottom.
    pub(super) fn parts(&self, content: &Content) -> Vec<(&'static str, String)> {
        match (self, content) {
            (Say::Template(template), Content::Template(filled)) => template
                .forms
                .get(&filled.language)
                .map(|form| form.parts(filled.header.as_ref(), &filled.body, &filled.buttons))
                .unwrap_or_default(),
            _ => vec![("text", content.preview().to_owned())],
        }
    }

    /// Of each part that has a bound: its name, its characters, the bound.
    pub(super) fn lengths(&self, content: &Content) -> Vec<(String, usize, usize)> {
        let form = match (self, content) {
            (Say::Template(template), Content::Template(filled)) => template.forms.get(&filled.language),
            _ => None,
        };
        let text_header = form.is_some_and(|form| matches!(form.header, HeaderForm::Text(_)));
        let bound = |what: &str| match what {
            "header" if text_header => Some(limits::TEMPLATE_HEADER),
            "body" => Some(limits::TEMPLATE_BODY),
            "text" => Some(limits::TEXT),
            _ => None,
        };
        let parts = self.parts(content).into_iter();
        let mut lengths: Vec<_> = parts
            .filter_map(|(what, text)| bound(what).map(|most| (what.to_owned(), text.chars().count(), most)))
            .collect();
        if let Content::Template(filled) = content {
            for (place, button) in &filled.buttons {
                let form = form.and_then(|form| form.buttons.get(usize::from(*place)));
                let url = form.map_or(0, |form| form.url.chars().count());
                let (characters, most) = match button {
                    Button::Url(suffix) => (url + suffix.chars().count(), URL),
                    Button::CopyCode(code) => (code.chars().count(), COPY_CODE),
                    Button::Reply(payload) => (payload.len(), REPLY),
                };
                lengths.push((format!("button {}", place + 1), characters, most));
            }
        }
        lengths
    }

    /// The content for one person, and whether something was cut.
    pub(super) fn render(&self, texts: &Texts, scope: &Value, language: &str) -> Result<(Content, bool), Failure> {
        match self {
            Say::Text(source) => {
                let mut text = tidy_text(&texts.render(source, scope)?);
                if text.is_empty() {
                    return Err(failed("the text is empty").of(source));
                }
                let cut = shorten(&mut text, limits::TEXT);
                Ok((Content::Text(text), cut))
            }
            Say::Template(template) => template.render(texts, scope, language),
        }
    }
}

/// `pt` or `pt_BR`.
fn language_code(text: &str) -> bool {
    let (language, region) = text.split_once('_').unwrap_or((text, "XX"));
    (2..=3).contains(&language.len())
        && language.bytes().all(|byte| byte.is_ascii_lowercase())
        && (2..=4).contains(&region.len())
        && region.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn failed(why: impl Into<String>) -> Failure {
    Failure::new(Reason::TemplateFailed, why)
}

impl TemplateSay {
    fn render(&self, texts: &Texts, scope: &Value, language: &str) -> Result<(Content, bool), Failure> {
        let form = self.forms.get(language).ok_or_else(|| {
            Failure::new(Reason::TemplateMismatch, format!("template {} has no approved {language}", self.name))
        })?;
        let (header, header_cut) = self.header(texts, scope, form)?;
        let (body, body_cut) = self.body(texts, scope, form)?;
        let mut buttons = Vec::with_capacity(self.buttons.len());
        for (place, kind, text) in &self.buttons {
            let value = texts.render(text, scope).map_err(|failure| within(failure, "buttons"))?;
            let url = form.buttons.get(usize::from(*place)).map_or("", |button| button.url.as_str());
            buttons.push((*place, button(*kind, &value, url).map_err(|failure| failure.of(text))?));
        }
        let preview = form.preview(header.as_ref(), &body, &buttons);
        let template = Template {
            name: self.name.clone(),
            language: language.to_owned(),
            category: form.category,
            header,
            body,
            buttons,
            preview,
        };
        Ok((Content::Template(template), header_cut || body_cut))
    }

    fn header(&self, texts: &Texts, scope: &Value, form: &Form) -> Result<(Option<Header>, bool), Failure> {
        let Some(header) = &self.header else { return Ok((None, false)) };
        let render = |text: &Text| texts.render(text, scope).map_err(|failure| within(failure, "header"));
        let clean = |text: &Text, place: &str| parameter(&render(text)?, place).map_err(|failure| failure.of(text));
        let link = |text: &Text| address(&render(text)?).map_err(|failure| failure.of(text));
        let angle = |text: &Text, most: f64| degrees(&render(text)?, most).map_err(|failure| failure.of(text));
        let mut cut = false;
        let header = match header {
            HeaderSay::Text(text) => {
                let mut value = clean(text, "the header")?;
                let HeaderForm::Text(wording) = &form.header else { return Err(failed("the header takes no text")) };
                let name = wording.variables().first().map(|name| (*name).to_owned()).unwrap_or_default();
                cut = wording
                    .fit(&mut [(&name, &mut value)], limits::TEMPLATE_HEADER)
                    .ok_or_else(|| failed("the header leaves no room for its parameter"))?;
                Header::Text(wording.named().then_some(name), value)
            }
            HeaderSay::Image(url) => Header::Image(link(url)?),
            HeaderSay::Video(url) => Header::Video(link(url)?),
            HeaderSay::Document(url, name) => {
                let name = match name {
                    Some(name) => {
                        let mut name = clean(name, "the file name")?;
                        cut = shorten(&mut name, CAPTION);
                        Some(name)
                    }
                    None => None,
                };
                Header::Document(link(url)?, name)
            }
            HeaderSay::Location([latitude, longitude, name, place]) => {
                let (mut name, mut place) = (clean(name, "the name")?, clean(place, "the address")?);
                cut = shorten(&mut name, CAPTION) | shorten(&mut place, CAPTION);
                let (latitude, longitude) = (angle(latitude, 90.0)?, angle(longitude, 180.0)?);
                Header::Location { latitude, longitude, name, address: place }
            }
        };
        Ok((Some(header), cut))
    }

    fn body(&self, texts: &Texts, scope: &Value, form: &Form) -> Result<(Body, bool), Failure> {
        let one = |name: &str, text: &Text| -> Result<String, Failure> {
            let value = texts.render(text, scope).map_err(|failure| within(failure, &format!("body {name}")))?;
            parameter(&value, &format!("body {name}")).map_err(|failure| failure.of(text))
        };
        let mut values: Vec<(String, String)> = match &self.body {
            BodySay::Positional(all) => {
                let named = all.iter().enumerate().map(|(index, text)| ((index + 1).to_string(), text));
                named.map(|(name, text)| one(&name, text).map(|value| (name, value))).collect::<Result<_, _>>()?
            }
            BodySay::Named(all) => {
                let ordered = form.body.variables().into_iter().filter_map(|name| all.get_key_value(name));
                ordered
                    .map(|(name, text)| one(name, text).map(|value| (name.clone(), value)))
                    .collect::<Result<_, _>>()?
            }
        };
        let mut fields: Vec<(&str, &mut String)> =
            values.iter_mut().map(|(name, value)| (name.as_str(), value)).collect();
        let cut = form.body.fit(&mut fields, limits::TEMPLATE_BODY);
        let cut = cut.ok_or_else(|| failed("the body leaves no room for its parameters"))?;
        let body = match &self.body {
            BodySay::Positional(_) => Body::Positional(values.into_iter().map(|(_, value)| value).collect()),
            BodySay::Named(_) => Body::Named(values),
        };
        Ok((body, cut))
    }
}

fn within(failure: Failure, place: &str) -> Failure {
    Failure { detail: format!("{place}: {}", failure.detail), ..failure }
}

/// Characters that no person means: controls, and the marks that turn or hide text.
fn unwanted(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{200b}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// As the API demands of a parameter: one line, single spaces (facts 1.4); empty is refused there, so here too.
fn parameter(text: &str, place: &str) -> Result<String, Failure> {
    let spaced: String =
        text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| !unwanted(*c)).collect();
    let clean = spaced.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    if clean.is_empty() {
        Err(failed(format!("{place} is empty (if it may be, write | default('…', true))")))
    } else {
        Ok(clean)
    }
}

/// A text message keeps its lines.
fn tidy_text(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let clean: String = text.chars().filter(|c| *c == '\n' || *c == '\t' || !unwanted(*c)).collect();
    clean.trim().to_owned()
}

/// A public URL that the platform can fetch.
fn address(text: &str) -> Result<String, Failure> {
    let text = text.trim();
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match rest {
        Some(rest)
            if !rest.is_empty() && text.len() <= URL && !text.chars().any(|c| c.is_whitespace() || unwanted(c)) =>
        {
            Ok(text.to_owned())
        }
        _ => Err(failed("the header's address is no http(s) URL of at most 2000 characters")),
    }
}

fn degrees(text: &str, most: f64) -> Result<f64, Failure> {
    let read = text.trim().parse::<f64>().ok().filter(|degrees| degrees.abs() <= most);
    read.ok_or_else(|| failed(format!("the header's place has no degrees between -{most} and {most}")))
}

fn button(kind: ButtonKind, text: &str, url: &str) -> Result<Button, Failure> {
    let text = parameter(text, "a button")?;
    match kind {
        ButtonKind::Url => {
            let suffix = percent(&text);
            let long = url.len() + suffix.len() > URL;
            if long { Err(failed("a button's URL is longer than 2000 characters")) } else { Ok(Button::Url(suffix)) }
        }
        ButtonKind::CopyCode if text.len() <= COPY_CODE && text.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            Ok(Button::CopyCode(text))
        }
        ButtonKind::CopyCode => {
            Err(failed("a copy code has more than 20 characters or others than letters and digits"))
        }
        ButtonKind::Reply | ButtonKind::Fixed if text.len() <= REPLY => Ok(Button::Reply(text)),
        ButtonKind::Reply | ButtonKind::Fixed => Err(failed("a reply's payload is longer than 256 bytes")),
    }
}

/// What may stand in a URL's path and query stays; everything else becomes `%XX`. An escape that is there already stays.
fn percent(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut clean = String::with_capacity(text.len());
    for (at, &byte) in bytes.iter().enumerate() {
        let escape = byte == b'%' && bytes.get(at + 1..at + 3).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
        if escape || byte.is_ascii_alphanumeric() || b"-._~/?#[]@!$&'()*+,;=:".contains(&byte) {
            clean.push(char::from(byte));
        } else {
            clean.push_str(&format!("%{byte:02X}"));
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_cleaned() {
        for (text, clean) in [
            (" a\tb\r\nc    d ", "a b c d"),
            ("a\u{0}b\u{202e}c\u{200b}", "abc"),
            ("\u{a0}é\u{2028}x", "é x"),
            ("👩‍👧 ok", "👩‍👧 ok"),
        ] {
            assert_eq!(parameter(text, "x").unwrap(), clean);
        }
        assert!(parameter(" \n\t ", "body 1").unwrap_err().detail.contains("body 1 is empty"));
        assert_eq!(tidy_text("\n a\r\nb\n\n  c\u{7}\n"), "a\nb\n\n  c");
    }

    #[test]
    fn buttons_are_cleaned_or_refused() {
        for (kind, text, expected) in [
            (ButtonKind::Url, "pedido 7/é?x=1%20%", Some(Button::Url("pedido%207/%C3%A9?x=1%20%25".into()))),
            (ButtonKind::CopyCode, "ABC123", Some(Button::CopyCode("ABC123".into()))),
            (ButtonKind::CopyCode, "ABC-123", None),
            (ButtonKind::CopyCode, "A23456789012345678901", None),
            (ButtonKind::Reply, "stop orders", Some(Button::Reply("stop orders".into()))),
            (ButtonKind::Url, "", None),
        ] {
            assert_eq!(button(kind, text, "https://x/").ok(), expected, "{text}");
        }
        assert!(button(ButtonKind::Url, &"é".repeat(400), "https://x/").is_err());
    }

    #[test]
    fn addresses_and_degrees() {
        assert!(address(" https://a/b.pdf ").is_ok() && address("http://a").is_ok());
        for bad in ["", "ftp://a", "https://", "https://a b", "javascript:x"] {
            assert!(address(bad).is_err(), "{bad}");
        }
        assert_eq!(degrees(" -23.5 ", 90.0), Ok(-23.5));
        for bad in ["91", "NaN", "inf", "x", ""] {
            assert!(degrees(bad, 90.0).is_err(), "{bad}");
        }
    }
}
