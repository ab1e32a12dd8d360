//! A whole request body, checked member by member (facts 1.1 to 1.3, 1.6, 1.7).
//!
//! Floor: demo. Shares nothing with the daemon's encoder, on purpose: a mistake in either shows here.

use super::contacts;
use super::interactive;
use super::json::{Checked, Object};
use super::media::{self, Place};
use super::refusal::Refusal;
use super::template::{Filled, Templates};
use serde_json::Value;

/// Where a message is posted to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Edge {
    /// `/messages`
    Messages,
    /// `/marketing_messages`
    Marketing,
}

/// A body that passed.
pub(super) struct Passed {
    /// `to` or `recipient` as it was written.
    pub(super) input: String,
    pub(super) recipient: Recipient,
    /// The message type.
    pub(super) kind: String,
    /// As a person reads it.
    pub(super) text: String,
    /// The parameters of a template.
    pub(super) parameters: Vec<String>,
    /// The category of a listed template, in capitals.
    pub(super) category: Option<String>,
    /// `biz_opaque_callback_data`
    pub(super) data: Option<String>,
    /// `recipient_identity_key_hash`
    pub(super) identity: Option<String>,
    /// The message that a reaction or a quotation points at.
    pub(super) target: Option<String>,
}

/// Whom it is for.
pub(super) enum Recipient {
    /// The digits of a number.
    Number(String),
    /// A business-scoped user id.
    User(String),
}

/// Members that every message may have. `category` and `ttl_seconds` belong to Direct Send, which is for selected accounts
/// (facts 0): not for this one.
const ENVELOPE: &[&str] = &[
    "messaging_product",
    "recipient_type",
    "to",
    "recipient",
    "type",
    "context",
    "biz_opaque_callback_data",
    "messaging_account_id",
    "recipient_identity_key_hash",
    "appsecret_proof",
];

const KINDS: &[&str] = &[
    "text",
    "template",
    "image",
    "video",
    "audio",
    "document",
    "sticker",
    "location",
    "contacts",
    "reaction",
    "interactive",
];

/// Checks a message. What this simulator does not know (groups, products, calls) is refused, never taken unseen.
pub(super) fn check(body: &Value, edge: Edge, templates: &Templates) -> Checked<Passed> {
    if body.is_object() && body.get("type").is_none() {
        return Err(Refusal::new(131008, "request.type is required"));
    }
    let kind = body.get("type").and_then(Value::as_str).unwrap_or_default();
    if body["type"].is_string() && !kind.is_empty() && !KINDS.contains(&kind) {
        return Err(Refusal::new(131051, "request.type is not supported"));
    }
    let mut known = ENVELOPE.to_vec();
    if edge == Edge::Marketing {
        known.extend(["product_policy", "message_activity_sharing"]);
    }
    known.push(kind);
    let request = Object::of(body, "request", &known)?;
    product(&request)?;
    if request.get("recipient_type").is_some() {
        // Groups exist (facts 1.1); this account has none.
        request.word("recipient_type", &["individual"])?;
    }
    let (input, recipient) = recipient(&request)?;
    request.text("type", 64)?;
    let context = request.maybe_object("context", &["message_id"])?;
    let mut target = context.map(|context| context.wamid("message_id")).transpose()?.map(str::to_owned);
    let data = request.maybe_text("biz_opaque_callback_data", 512)?.map(str::to_owned);
    let identity = request.maybe_text("recipient_identity_key_hash", 512)?.map(str::to_owned);
    if request.get("messaging_account_id").is_some() {
        request.id("messaging_account_id")?;
    }
    if edge == Edge::Marketing {
        if kind != "template" {
            return Err(Refusal::new(134100, "only marketing templates are sent by this endpoint"));
        }
        if request.get("product_policy").is_some() {
            request.word("product_policy", &["CLOUD_API_FALLBACK", "STRICT"])?;
        }
        request.maybe_flag("message_activity_sharing")?;
    }
    let mut filled = Filled::default();
    let text = match kind {
        "text" => {
            let text = request.object("text", &["body", "preview_url"])?;
            text.maybe_flag("preview_url")?;
            text.text("body", 4096)?.to_owned()
        }
        "template" => {
            filled = templates.check(&request)?;
            filled.text
        }
        "image" | "video" | "audio" | "document" | "sticker" => media::media(&request, kind, Place::Message)?,
        "location" => media::location(&request, Place::Message)?,
        "contacts" => contacts::contacts(&request)?,
        "interactive" => interactive::interactive(&request)?,
        "reaction" => {
            if target.is_some() {
                return Err(Refusal::new(100, "request.context does not go with a reaction"));
            }
            let (message, emoji) = reaction(&request)?;
            target = Some(message);
            emoji
        }
        _ => return Err(Refusal::new(131051, "request.type is not supported")),
    };
    if edge == Edge::Marketing && filled.category.as_deref().is_some_and(|category| category != "MARKETING") {
        return Err(Refusal::new(134100, "the template's category is not MARKETING"));
    }
    if matches!(recipient, Recipient::User(_)) && filled.category.as_deref() == Some("AUTHENTICATION") {
        let details = "You can only send authentication messages to recipients' phone numbers, not their \
                       business-scoped user IDs.";
        return Err(Refusal::new(131062, details));
    }
    let (parameters, category) = (filled.parameters, filled.category);
    Ok(Passed { input, recipient, kind: kind.to_owned(), text, parameters, category, data, identity, target })
}

/// The body that marks an inbound message as read, perhaps with a typing indicator (facts 1.6): the message's id.
pub(super) fn read(body: &Value) -> Checked<String> {
    let known = ["messaging_product", "status", "message_id", "typing_indicator", "appsecret_proof"];
    let request = Object::of(body, "request", &known)?;
    product(&request)?;
    request.word("status", &["read"])?;
    if let Some(typing) = request.maybe_object("typing_indicator", &["type"])? {
        typing.word("type", &["text"])?;
    }
    Ok(request.wamid("message_id")?.to_owned())
}

fn product(request: &Object) -> Checked<()> {
    request.word("messaging_product", &["whatsapp"]).map(drop)
}

/// `to` wins where both are there (facts 1.1).
fn recipient(request: &Object) -> Checked<(String, Recipient)> {
    if request.get("to").is_none() && request.get("recipient").is_some() {
        let id = request.text("recipient", 131)?;
        return match user_id(id) {
            true => Ok((id.to_owned(), Recipient::User(id.to_owned()))),
            false => {
                Err(request.invalid("recipient", "must be a business-scoped user id, like BR.13491208655302741918"))
            }
        };
    }
    let input = request.text("to", 64)?;
    let digits = digits(input).map_err(|why| request.invalid("to", why))?;
    Ok((input.to_owned(), Recipient::Number(digits)))
}

/// Country code, dot, and at most 128 letters and digits (Meta's page on business-scoped user ids).
pub(super) fn user_id(id: &str) -> bool {
    id.split_once('.').is_some_and(|(country, rest)| {
        country.len() == 2
            && country.bytes().all(|byte| byte.is_ascii_uppercase())
            && (1..=128).contains(&rest.len())
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// The message and the emoji; an empty one takes the reaction back.
fn reaction(request: &Object) -> Checked<(String, String)> {
    let reaction = request.object("reaction", &["message_id", "emoji"])?;
    let message = reaction.wamid("message_id")?;
    let Some(emoji) = reaction.need("emoji")?.as_str() else {
        return Err(reaction.invalid("emoji", "must be a string"));
    };
    // [?] What counts as one emoji is not documented. The longest ones are families and flags, of some ten characters.
    let right = emoji.chars().count() <= 16 && (emoji.is_empty() || emoji.chars().any(interactive::pictured));
    if right && !emoji.contains(|sign: char| sign.is_alphabetic() || sign.is_whitespace()) {
        return Ok((message.to_owned(), emoji.to_owned()));
    }
    Err(reaction.invalid("emoji", "must be an emoji, or empty"))
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
