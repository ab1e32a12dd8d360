//! A whole request body, checked member by member (facts 1.1 to 1.3).
//!
//! Floor: demo. Shares nothing with the daemon's encoder, on purpose: a mistake in either shows here.

use super::json::{Checked, Object};
use super::media;
use super::refusal::Refusal;
use super::template::Templates;
use serde_json::Value;

/// A body that passed.
pub(super) struct Passed {
    /// `to` as it was written.
    pub(super) input: String,
    /// Its digits.
    pub(super) digits: String,
    /// The message type.
    pub(super) kind: String,
    /// As a person reads it.
    pub(super) text: String,
    /// The parameters of a template.
    pub(super) parameters: Vec<String>,
    /// `biz_opaque_callback_data`
    pub(super) data: Option<String>,
}

const KINDS: &[&str] = &[
    "text",
    "template",
    "image",
    "video",
    "audio",
    "document",
    "sticker",
    "location",
    "reaction",
    "interactive",
    "contacts",
];

/// Checks a body. What this simulator does not know (contacts, groups, user ids) is refused, never taken unseen.
pub(super) fn check(body: &Value, templates: &Templates) -> Checked<Passed> {
    if body.is_object() && body.get("type").is_none() {
        return Err(Refusal::new(131008, "request.type is required"));
    }
    let kind = body.get("type").and_then(Value::as_str).unwrap_or_default();
    let mut known = vec!["messaging_product", "recipient_type", "to", "type", "context", "biz_opaque_callback_data"];
    known.push("appsecret_proof");
    if KINDS.contains(&kind) {
        known.push(kind);
    }
    let request = Object::of(body, "request", &known)?;
    request.word("messaging_product", &["whatsapp"])?;
    if request.get("recipient_type").is_some() {
        request.word("recipient_type", &["individual"])?;
    }
    let input = request.text("to", 64)?;
    let digits = digits(input).map_err(|why| request.invalid("to", why))?;
    request.text("type", 64)?;
    if request.get("context").is_some() {
        request.object("context", &["message_id"])?.text("message_id", 512)?;
    }
    let data = request.maybe_text("biz_opaque_callback_data", 512)?.map(str::to_owned);
    let (text, parameters) = match kind {
        "text" => {
            let text = request.object("text", &["body", "preview_url"])?;
            text.maybe_flag("preview_url")?;
            (text.text("body", 4096)?.to_owned(), Vec::new())
        }
        "template" => {
            let filled = templates.check(&request)?;
            (filled.text, filled.parameters)
        }
        "image" | "video" | "audio" | "document" | "sticker" => (media::media(&request, kind, true)?, Vec::new()),
        "location" => (media::location(&request, false)?, Vec::new()),
        "interactive" => (media::interactive(&request)?, Vec::new()),
        "reaction" => {
            let reaction = request.object("reaction", &["message_id", "emoji"])?;
            reaction.text("message_id", 512)?;
            (reaction.need("emoji")?.as_str().unwrap_or_default().to_owned(), Vec::new())
        }
        _ => return Err(Refusal::new(131051, "request.type is not supported")),
    };
    Ok(Passed { input: input.to_owned(), digits, kind: kind.to_owned(), text, parameters, data })
}

/// The digits of a number. The plus must be there: without it the platform puts the *business* number's country code in
/// front, and a stranger may get the message (facts 1.1). Brackets, hyphens and spaces are allowed after it.
pub(super) fn digits(to: &str) -> Result<String, &'static str> {
    let Some(rest) = to.strip_prefix('+') else {
        return Err("must begin with + and the country code");
    };
    if !rest.chars().all(|c| c.is_ascii_digit() || matches!(c, '-' | '(' | ')' | ' ')) {
        return Err("is not a phone number");
    }
    let digits: String = rest.chars().filter(char::is_ascii_digit).collect();
    // E.164: at most 15 digits, no country code begins with 0. Seven: the shortest mobile numbers with a country code.
    if !(7..=15).contains(&digits.len()) || digits.starts_with('0') {
        return Err("is not a number of 7 to 15 digits with a country code");
    }
    Ok(digits)
}
