//! `[rules.NAME.message]`: what a rule says.
//!
//! Floor: config. Texts stay texts here: `rules` compiles them.

use super::super::problem::Problem;
use super::super::reader::Reader;
use super::super::tree::{Node, Value};
use crate::rules::{BodyTexts, ButtonText, HeaderText, Message};
use std::collections::BTreeMap;

/// Buttons of a template at the most (facts 1.4).
const BUTTONS: usize = 10;

/// `[rules.NAME.message]`: `None` where something is wrong with it.
pub(super) fn message(r: &mut Reader<'_, '_>, base: bool) -> Option<Message> {
    r.within("message", |r| {
        let template = r.text("template");
        let text = r.text("text");
        let header = header(r);
        let body = body(r);
        let buttons = buttons(r);
        if base {
            return None;
        }
        match (r.has("template"), r.has("text")) {
            (true, true) => {
                let problem = r.problem("text", "stands beside template").fix("A message is one or the other.");
                r.tell(problem);
                None
            }
            (false, false) => {
                r.missing("template", "A message needs a template, or a text for inside the 24-hour service window.");
                None
            }
            (true, false) => {
                Some(Message::Template { name: template?, header: header?, body: body?, buttons: buttons? })
            }
            (false, true) => {
                for key in ["header", "body", "buttons"].into_iter().filter(|key| r.has(key)).collect::<Vec<_>>() {
                    let problem = r.problem(key, "belongs to a template; a text has none");
                    r.tell(problem.fix("Remove it, or write template = \"…\" instead of text."));
                }
                Some(Message::Text(text?))
            }
        }
    })
}

/// `header`: outer `None` where it is wrong, inner where there is none.
fn header(r: &mut Reader<'_, '_>) -> Option<Option<HeaderText>> {
    let Some(node) = r.take("header") else { return Some(None) };
    if node.as_table().is_none() {
        return r.text("header").map(|text| Some(HeaderText::Text(text)));
    }
    r.within("header", |r| {
        let (image, video, document) = (r.text("image"), r.text("video"), r.text("document"));
        let filename = r.text("filename");
        let place = r.has("location").then(|| location(r));
        let kinds = ["image", "video", "document", "location"].into_iter().filter(|kind| r.has(kind)).count();
        if kinds != 1 {
            let problem = r.problem("", format!("has {kinds} of image, video, document and location"));
            r.tell(problem.wanted("one of them, or a text instead of the table"));
            return None;
        }
        if r.has("filename") && !r.has("document") {
            let problem = r.problem("filename", "only a document has a file name");
            r.tell(problem.fix("Remove it."));
        }
        let document = document.map(|url| HeaderText::Document(url, filename));
        let header = image.map(HeaderText::Image).or(video.map(HeaderText::Video)).or(document).or(place.flatten());
        header.map(Some)
    })
}

/// `{ latitude, longitude, name, address }`
fn location(r: &mut Reader<'_, '_>) -> Option<HeaderText> {
    r.within("location", |r| {
        let mut part = |key: &str| {
            r.require(key, "A place has latitude, longitude, name and address.");
            r.parsed(key, "a text or a number", |node| match &node.value {
                Value::Real(number) => Some(number.clone()),
                Value::Whole(number) => Some(number.to_string()),
                _ => node.as_text().map(str::to_owned),
            })
        };
        let (latitude, longitude, name, address) = (part("latitude"), part("longitude"), part("name"), part("address"));
        Some(HeaderText::Location { latitude: latitude?, longitude: longitude?, name: name?, address: address? })
    })
}

/// `body`: a list for numbered parameters, a table for named ones, nothing for none.
fn body(r: &mut Reader<'_, '_>) -> Option<BodyTexts> {
    let Some(node) = r.leaf("body") else { return Some(BodyTexts::Positional(Vec::new())) };
    match &node.value {
        Value::List(list) => list
            .iter()
            .enumerate()
            .map(|(index, node)| entry(r, "body", &index.to_string(), node))
            .collect::<Vec<_>>()
            .into_iter()
            .collect::<Option<_>>()
            .map(BodyTexts::Positional),
        Value::Table(table) => table
            .iter()
            .map(|(name, node)| Some((name.clone(), entry(r, "body", name, node)?)))
            .collect::<Vec<_>>()
            .into_iter()
            .collect::<Option<BTreeMap<_, _>>>()
            .map(BodyTexts::Named),
        _ => {
            r.wrong("body", node, "a list of texts, or a table of named ones");
            None
        }
    }
}

fn entry(r: &mut Reader<'_, '_>, key: &str, part: &str, node: &Node) -> Option<String> {
    let text = node.as_text().map(str::to_owned);
    if text.is_none() {
        r.wrong(&format!("{key}.{part}"), node, "a text in quotes");
    }
    text
}

/// `buttons = [{ url = "…" }]`
fn buttons(r: &mut Reader<'_, '_>) -> Option<Vec<ButtonText>> {
    const WANTED: &str = "{ url = \"…\" }, { reply = \"…\" } or { copy_code = \"…\" }";
    let Some(node) = r.leaf("buttons") else { return Some(Vec::new()) };
    let Value::List(list) = &node.value else {
        r.wrong("buttons", node, format!("a list of {WANTED}"));
        return None;
    };
    if list.len() > BUTTONS {
        let problem = r.problem("buttons", format!("has {} entries", list.len())).wanted(format!("at most {BUTTONS}"));
        r.tell(problem);
    }
    let read: Vec<_> = list
        .iter()
        .enumerate()
        .map(|(index, node)| {
            let button = button(node);
            if button.is_none() {
                let key = r.key(&format!("buttons.{index}"));
                r.tell(Problem::new(key, node.origin.clone(), "is no button").wanted(WANTED));
            }
            button
        })
        .collect();
    read.into_iter().collect()
}

fn button(node: &Node) -> Option<ButtonText> {
    let table = node.as_table().filter(|table| table.len() == 1)?;
    let (kind, text) = table.iter().next()?;
    let text = text.as_text()?.to_owned();
    match kind.as_str() {
        "url" => Some(ButtonText::Url(text)),
        "reply" => Some(ButtonText::Reply(text)),
        "copy_code" => Some(ButtonText::CopyCode(text)),
        _ => None,
    }
}
