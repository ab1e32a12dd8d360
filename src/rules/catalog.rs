//! The platform's own template list (`templates.file`): which templates exist, in which languages, and what they take.
//!
//! Floor: rooms. Read once per configuration; only the forms that rules use are kept.

use crate::limits;
use crate::message::{Body, Button, Category, Header};
use serde::Deserialize;
use std::collections::BTreeMap;

/// All templates of the list, by name and language.
#[derive(Debug, Default)]
pub(super) struct Catalog(BTreeMap<String, BTreeMap<String, Form>>);

/// One template in one language.
#[derive(Clone, Debug)]
pub(super) struct Form {
    /// `APPROVED`, or why not.
    pub(super) status: String,
    /// As the platform charges and limits it.
    pub(super) category: Category,
    pub(super) header: HeaderForm,
    pub(super) body: Wording,
    footer: String,
    pub(super) buttons: Vec<ButtonForm>,
    /// A part that needs parameters which no rule can give (a carousel, a flow).
    pub(super) strange: Option<String>,
}

/// A header, by what it takes.
#[derive(Clone, Debug)]
pub(super) enum HeaderForm {
    None,
    Text(Wording),
    Image,
    Video,
    Document,
    Location,
}

/// A button, by what it takes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct ButtonForm {
    pub(super) kind: ButtonKind,
    label: String,
    /// The URL before its variable.
    pub(super) url: String,
}

/// What a button takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ButtonKind {
    /// A URL with a variable at its end: needs a suffix.
    Url,
    /// Needs a code.
    CopyCode,
    /// May take a payload.
    Reply,
    /// Takes nothing.
    Fixed,
}

/// A text with variables.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Wording(Vec<Piece>);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    Literal(String),
    Variable(String),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawList {
    Page { data: Vec<RawTemplate> },
    Bare(Vec<RawTemplate>),
}

#[derive(Deserialize)]
struct RawTemplate {
    name: String,
    language: String,
    status: String,
    category: String,
    #[serde(default)]
    components: Vec<RawComponent>,
}

#[derive(Deserialize)]
struct RawComponent {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    format: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    buttons: Vec<RawButton>,
}

#[derive(Deserialize)]
struct RawButton {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    url: String,
}

impl Catalog {
    /// Reads the list; the error says what is wrong with it.
    pub(super) fn read(text: &str) -> Result<Catalog, String> {
        let raw: RawList =
            serde_json::from_str(text).map_err(|error| match serde_json::from_str::<serde_json::Value>(text) {
                Ok(_) => "is not a template list".to_owned(),
                Err(_) => format!("is not JSON: {error}"),
            })?;
        let (RawList::Page { data } | RawList::Bare(data)) = raw;
        let mut catalog = Catalog::default();
        for template in data {
            let category = Category::of_code(&template.category)
                .ok_or_else(|| format!("template {} has the unknown category {}", template.name, template.category))?;
            let form = form(&template, category);
            let languages = catalog.0.entry(template.name).or_default();
            // A deleted or rejected form may stand beside its successor.
            if languages.get(&template.language).is_none_or(|other| !other.approved()) {
                languages.insert(template.language, form);
            }
        }
        Ok(catalog)
    }

    /// The forms of one template, by language.
    pub(super) fn forms(&self, name: &str) -> Option<&BTreeMap<String, Form>> {
        self.0.get(name)
    }

    /// The names, for suggestions.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

fn form(template: &RawTemplate, category: Category) -> Form {
    let mut form = Form {
        status: template.status.clone(),
        category,
        header: HeaderForm::None,
        body: Wording::default(),
        footer: String::new(),
        buttons: Vec::new(),
        strange: None,
    };
    for component in &template.components {
        match component.kind.to_ascii_uppercase().as_str() {
            "HEADER" => {
                form.header = match component.format.to_ascii_uppercase().as_str() {
                    "TEXT" => HeaderForm::Text(Wording::read(&component.text)),
                    "IMAGE" => HeaderForm::Image,
                    "VIDEO" => HeaderForm::Video,
                    "DOCUMENT" => HeaderForm::Document,
                    "LOCATION" => HeaderForm::Location,
                    other => {
                        form.strange = Some(format!("{other} header"));
                        HeaderForm::None
                    }
                };
            }
            "BODY" => form.body = Wording::read(&component.text),
            "FOOTER" => form.footer.clone_from(&component.text),
            "BUTTONS" => {
                form.buttons = component.buttons.iter().map(button).collect();
                let known = ["URL", "OTP", "COPY_CODE", "QUICK_REPLY", "PHONE_NUMBER", "VOICE_CALL"];
                let odd =
                    component.buttons.iter().find(|button| !known.iter().any(|k| button.kind.eq_ignore_ascii_case(k)));
                form.strange = odd.map(|button| format!("{} button", button.kind)).or(form.strange);
            }
            other => form.strange = Some(other.to_owned()),
        }
    }
    form
}

fn button(raw: &RawButton) -> ButtonForm {
    let (url, variable) = match raw.url.split_once("{{") {
        Some((before, _)) => (before, true),
        None => (raw.url.as_str(), false),
    };
    let kind = match raw.kind.to_ascii_uppercase().as_str() {
        "URL" if variable => ButtonKind::Url,
        "OTP" => ButtonKind::Url,
        "COPY_CODE" => ButtonKind::CopyCode,
        "QUICK_REPLY" => ButtonKind::Reply,
        _ => ButtonKind::Fixed,
    };
    ButtonForm { kind, label: raw.text.clone(), url: url.to_owned() }
}

impl Form {
    /// Whether the platform lets it be sent.
    pub(super) fn approved(&self) -> bool {
        self.status.eq_ignore_ascii_case("APPROVED")
    }

    /// Whether people read the same, parameters aside.
    pub(super) fn reads_like(&self, other: &Form) -> bool {
        let header = |form: &Form| match &form.header {
            HeaderForm::Text(wording) => wording.clone(),
            _ => Wording::default(),
        };
        (header(self), &self.body, &self.footer, &self.buttons)
            == (header(other), &other.body, &other.footer, &other.buttons)
    }

    /// The message as a person reads it.
    pub(super) fn preview(&self, header: Option<&Header>, body: &Body, buttons: &[(u8, Button)]) -> String {
        let parts: Vec<String> = self.parts(header, body, buttons).into_iter().map(|(_, text)| text).collect();
        parts.join("\n")
    }

    /// Header, body, footer and buttons, as a person reads them.
    pub(super) fn parts(
        &self,
        header: Option<&Header>,
        body: &Body,
        buttons: &[(u8, Button)],
    ) -> Vec<(&'static str, String)> {
        let header = match (&self.header, header) {
            (HeaderForm::Text(wording), Some(Header::Text(_, value))) => Some(wording.fill(|_| Some(value))),
            (HeaderForm::Text(wording), _) => Some(wording.fill(|_| None)),
            (_, Some(Header::Image(url))) => Some(format!("[image: {url}]")),
            (_, Some(Header::Video(url))) => Some(format!("[video: {url}]")),
            (_, Some(Header::Document(url, name))) => Some(format!("[document: {}]", name.as_deref().unwrap_or(url))),
            (_, Some(Header::Location { name, address, .. })) => Some(format!("[location: {name}, {address}]")),
            _ => None,
        };
        let mut parts: Vec<(&'static str, String)> = header.map(|text| ("header", text)).into_iter().collect();
        parts.push(("body", self.body.fill(|name| value_of(body, name))));
        if !self.footer.is_empty() {
            parts.push(("footer", self.footer.clone()));
        }
        for (place, form) in self.buttons.iter().enumerate() {
            let filled = buttons.iter().find(|(index, _)| usize::from(*index) == place).map(|(_, button)| button);
            let text = match (form.kind, filled) {
                (ButtonKind::Url, Some(Button::Url(suffix))) => format!("[{} → {}{suffix}]", form.label, form.url),
                (ButtonKind::CopyCode, Some(Button::CopyCode(code))) => format!("[{}: {code}]", form.label),
                _ => format!("[{}]", form.label),
            };
            parts.push(("button", text));
        }
        parts
    }
}

/// What a variable stands for in the body's parameters.
fn value_of<'b>(body: &'b Body, name: &str) -> Option<&'b String> {
    match body {
        Body::Positional(values) => values.get(name.parse::<usize>().ok()?.checked_sub(1)?),
        Body::Named(values) => values.iter().find(|(known, _)| known == name).map(|(_, value)| value),
    }
}

impl Wording {
    fn read(text: &str) -> Wording {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((name, after)) = after.split_once("}}") else { break };
            pieces.push(Piece::Literal(before.to_owned()));
            pieces.push(Piece::Variable(name.trim().to_owned()));
            rest = after;
        }
        pieces.push(Piece::Literal(rest.to_owned()));
        Wording(pieces)
    }

    /// The variables' names in the order of their first appearance.
    pub(super) fn variables(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for piece in &self.0 {
            if let Piece::Variable(name) = piece
                && !names.contains(&name.as_str())
            {
                names.push(name);
            }
        }
        names
    }

    /// Whether its variables have names instead of places.
    pub(super) fn named(&self) -> bool {
        self.variables().iter().any(|name| name.parse::<usize>().is_err())
    }

    fn fill<'v>(&self, value: impl Fn(&str) -> Option<&'v String>) -> String {
        let pieces = self.0.iter().map(|piece| match piece {
            Piece::Literal(text) => text.clone(),
            Piece::Variable(name) => value(name).cloned().unwrap_or_else(|| format!("{{{{{name}}}}}")),
        });
        pieces.collect()
    }

    /// Cuts `values` (by variable) so that the filled text has at most `most` characters; true if one was cut.
    /// The longest give way first. `None` where the fixed text leaves no room at all.
    pub(super) fn fit(&self, values: &mut [(&str, &mut String)], most: usize) -> Option<bool> {
        let mut fixed = 0;
        let mut uses = vec![0usize; values.len()];
        for piece in &self.0 {
            match piece {
                Piece::Literal(text) => fixed += text.chars().count(),
                Piece::Variable(name) => {
                    if let Some(place) = values.iter().position(|(known, _)| known == name) {
                        uses[place] += 1;
                    }
                }
            }
        }
        let room = most.checked_sub(fixed)?;
        let lengths: Vec<usize> = values.iter().map(|(_, value)| value.chars().count()).collect();
        let filled =
            |cap: usize| lengths.iter().zip(&uses).map(|(length, uses)| (*length).min(cap) * uses).sum::<usize>();
        let cap = (1..=limits::RENDERED).rev().find(|cap| filled(*cap) <= room)?;
        let mut cut = false;
        for (_, value) in values.iter_mut() {
            cut |= shorten(value, cap);
        }
        Some(cut)
    }
}

/// Cuts at a character boundary to `most` characters, the last one an ellipsis; true if it did.
pub(super) fn shorten(text: &mut String, most: usize) -> bool {
    if text.chars().count() <= most {
        return false;
    }
    let end = text.char_indices().nth(most.saturating_sub(1)).map_or(text.len(), |(at, _)| at);
    text.truncate(end);
    text.truncate(text.trim_end().len());
    text.push('…');
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"{"data": [
        {"name": "a", "language": "pt_BR", "status": "REJECTED", "category": "UTILITY", "components": []},
        {"name": "a", "language": "pt_BR", "status": "APPROVED", "category": "UTILITY", "parameter_format": "POSITIONAL",
         "components": [
            {"type": "HEADER", "format": "TEXT", "text": "Pedido {{1}}"},
            {"type": "BODY", "text": "Olá {{1}}, seu pedido {{2}} custa {{3}}. Até já, {{1}}!"},
            {"type": "FOOTER", "text": "Loja 42"},
            {"type": "BUTTONS", "buttons": [
                {"type": "QUICK_REPLY", "text": "Parar"},
                {"type": "URL", "text": "Ver", "url": "https://loja.example/{{1}}"},
                {"type": "PHONE_NUMBER", "text": "Ligar"}]}]},
        {"name": "b", "language": "es_MX", "status": "PAUSED", "category": "marketing",
         "components": [{"type": "BODY", "text": "{{ total }} y {{name}}"}]}]}"#;

    #[test]
    fn the_list_is_read_and_fills_in() {
        let catalog = Catalog::read(LIST).unwrap();
        let form = &catalog.forms("a").unwrap()["pt_BR"];
        assert!(form.approved());
        assert_eq!(form.body.variables(), ["1", "2", "3"]);
        let kinds: Vec<ButtonKind> = form.buttons.iter().map(|button| button.kind).collect();
        assert_eq!(kinds, [ButtonKind::Reply, ButtonKind::Url, ButtonKind::Fixed]);
        let body = Body::Positional(vec!["Ana".into(), "A-1".into(), "R$ 5,00".into()]);
        let header = Header::Text(None, "A-1".into());
        assert_eq!(
            form.preview(Some(&header), &body, &[(1, Button::Url("A-1".into()))]),
            "Pedido A-1\nOlá Ana, seu pedido A-1 custa R$ 5,00. Até já, Ana!\nLoja 42\n[Parar]\n[Ver → https://loja.example/A-1]\n[Ligar]"
        );
        let named = &catalog.forms("b").unwrap()["es_MX"];
        assert!(named.body.named() && !named.approved() && named.category == Category::Marketing);
        assert_eq!(named.body.variables(), ["total", "name"]);
    }

    #[test]
    fn a_bare_list_and_bad_lists() {
        assert!(Catalog::read("[]").is_ok());
        for (text, says) in
            [("{", "not JSON"), ("{}", "not a template list"), (r#"[{"name":1}]"#, "not a template list")]
        {
            assert!(Catalog::read(text).unwrap_err().contains(says));
        }
    }

    #[test]
    fn the_longest_parameter_gives_way_first() {
        let wording = Wording::read("{{1}}-{{2}}-{{1}}");
        for (one, two, most, expected) in [
            ("abc", "defgh", 13, Some(("abc", "defgh", false))),
            ("abc", "defgh", 12, Some(("abc", "def…", true))),
            ("ééééé", "x", 9, Some(("éé…", "x", true))),
            ("abcdef", "abcdef", 5, Some(("…", "…", true))),
            ("abc", "def", 2, None),
        ] {
            let (mut a, mut b) = (one.to_owned(), two.to_owned());
            let cut = wording.fit(&mut [("1", &mut a), ("2", &mut b)], most);
            assert_eq!(cut.map(|cut| (a.as_str(), b.as_str(), cut)), expected, "{one} {two} {most}");
        }
    }
}
