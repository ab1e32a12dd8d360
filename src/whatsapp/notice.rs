//! The platform's webhooks: who sent a body, and what its updates say.
//!
//! Floor: rooms. [`signed`] comes first and looks at raw bytes only; [`notices`] reads what it let through. Neither fails a
//! body for one update that it does not understand: unknown kinds are counted and skipped (facts 4.1: one unknown id must
//! not fail the whole batch), and a body that is refused comes again for seven days.

use super::envelope::{Change, Entry, Unreadable, entries};
use crate::limits;
use crate::message::{By, Inbound, Notice, Notices, Origin, Progress, Status, Update, Who, unhex};
use crate::time::Wall;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// Whether `header`, the value of `X-Hub-Signature-256`, has the shape of a signature: known before a body is read.
pub fn is_signature(header: &str) -> bool {
    tag(header).is_some()
}

/// Whether `header` is the platform's signature of these very bytes. In constant time.
pub fn signed(app_secret: &[u8], header: &str, body: &[u8]) -> bool {
    let Some(tag) = tag(header) else { return false };
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, app_secret);
    ring::hmac::verify(&key, body, &tag).is_ok()
}

fn tag(header: &str) -> Option<[u8; 32]> {
    unhex(header.trim().strip_prefix("sha256=")?)?.try_into().ok()
}

/// Reads a body whose signature holds, for the sender number `phone_number_id`. One update is taken apart at a time: a body
/// of 3 MB costs little more memory than itself. What names another number by its id is skipped; of whom the rest says that it is
/// (an app may serve several accounts and numbers) goes with it, for whoever knows more about ours.
pub fn notices(body: &[u8], phone_number_id: &str) -> Result<Notices, Unreadable> {
    let mut read = Read { notices: Notices::default(), ours: phone_number_id, account: None };
    for entry in entries(body)? {
        let Some(entry) = read.part::<Entry<'_>>(entry) else { continue };
        read.account = entry.id.and_then(|id| serde_json::from_str(id.get()).ok()).and_then(|id: Value| named(&id));
        for change in entry.changes {
            let Some(change) = read.part::<Change<'_>>(change) else { continue };
            read.change(&change);
        }
    }
    Ok(read.notices)
}

#[derive(Deserialize)]
struct Messages<'a> {
    #[serde(default)]
    metadata: Value,
    #[serde(borrow)]
    statuses: Option<&'a RawValue>,
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Preferences<'a> {
    #[serde(default)]
    metadata: Value,
    #[serde(borrow)]
    user_preferences: Option<&'a RawValue>,
}

/// What was read so far.
struct Read<'o> {
    notices: Notices,
    /// Our number's id.
    ours: &'o str,
    /// The account whose part of the body this is.
    account: Option<String>,
}

impl Read<'_> {
    /// One part of the body; counted where it is not what it should be.
    fn part<'a, T: Deserialize<'a>>(&mut self, part: &'a RawValue) -> Option<T> {
        let part = serde_json::from_str(part.get()).ok();
        self.notices.skipped += u64::from(part.is_none());
        part
    }

    fn change(&mut self, change: &Change<'_>) {
        match &*change.field {
            "messages" => {
                let Some(value) = self.part::<Messages<'_>>(change.value) else { return };
                let Some(of) = self.origin(&value.metadata) else { return };
                self.each(&of, value.statuses, status);
                self.each(&of, value.messages, |message| inbound(message, change.answers.as_deref()));
            }
            "user_preferences" => {
                let Some(value) = self.part::<Preferences<'_>>(change.value) else { return };
                let Some(of) = self.origin(&value.metadata) else { return };
                match value.user_preferences {
                    // The reference shows a list; the facts (4.5) have the members alone.
                    None => self.one(&of, change.value, preference),
                    list => self.each(&of, list, preference),
                }
            }
            field => {
                let Some(value) = self.part::<Value>(change.value) else { return };
                let Some(of) = self.origin(&value) else { return };
                let news = super::news::news(field, &value);
                self.notices.skipped += u64::from(news.is_empty());
                let update = |news| Update { of: of.clone(), notice: Notice::News(news) };
                self.notices.notices.extend(news.into_iter().map(update));
            }
        }
    }

    /// Whose an update is that says this about it; `None` is another number's, which is counted.
    fn origin(&mut self, about: &Value) -> Option<Origin> {
        // An alert names what it is about (facts 4.5), and what befalls an account may be told to its partner (`waba_info`).
        let alerts = |kind| about.get("entity_id").filter(|_| text(about, "entity_type") == Some(kind)).and_then(named);
        let number = about.get("phone_number_id").and_then(named).or_else(|| alerts("PHONE_NUMBER"));
        match number {
            Some(number) if number == self.ours => Some(Origin::default()),
            Some(_) => {
                self.notices.skipped += 1;
                None
            }
            None => {
                let account = about.pointer("/waba_info/waba_id").and_then(named).or_else(|| alerts("WABA"));
                let number = text(about, "display_phone_number").and_then(digits);
                Some(Origin { account: account.or_else(|| self.account.clone()), number })
            }
        }
    }

    fn each(&mut self, of: &Origin, list: Option<&RawValue>, read: impl Fn(&Value) -> Option<Notice>) {
        let Some(list) = list.and_then(|list| self.part::<Vec<&RawValue>>(list)) else { return };
        list.into_iter().for_each(|item| self.one(of, item, &read));
    }

    fn one(&mut self, of: &Origin, item: &RawValue, read: impl Fn(&Value) -> Option<Notice>) {
        let Some(value) = self.part::<Value>(item) else { return };
        match read(&value) {
            Some(notice) => self.notices.notices.push(Update { of: of.clone(), notice }),
            None => self.notices.skipped += 1,
        }
    }
}

/// An id of the platform's, which some of its bodies write as a number.
fn named(id: &Value) -> Option<String> {
    let id = id.as_str().map(str::to_owned).or_else(|| id.as_u64().map(|id| id.to_string()))?;
    ((1..=32).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit())).then_some(id)
}

/// A number as people see it, without what is around its digits.
pub(super) fn digits(shown: &str) -> Option<String> {
    let digits: String = shown.chars().filter(char::is_ascii_digit).take(16).collect();
    (1..=15).contains(&digits.len()).then_some(digits)
}

fn status(value: &Value) -> Option<Notice> {
    let progress = match text(value, "status")? {
        "sent" => Progress::Sent,
        "delivered" => Progress::Delivered,
        "read" | "played" => Progress::Read,
        "failed" => {
            let error = value.pointer("/errors/0").unwrap_or(&Value::Null);
            let said = error.pointer("/error_data/details").and_then(Value::as_str);
            let said = said.or_else(|| text(error, "message")).or_else(|| text(error, "title")).unwrap_or_default();
            Progress::Failed { code: error.get("code").and_then(whole), said: cut(said, 256) }
        }
        _ => return None,
    };
    Some(Notice::Status(Status {
        wamid: wamid(value)?,
        progress,
        at: at(value),
        who: who(value, "recipient_id", "recipient_user_id"),
        data: text(value, "biz_opaque_callback_data").map(str::to_owned),
    }))
}

fn inbound(value: &Value, answers: Option<&str>) -> Option<Notice> {
    let kind = text(value, "type")?;
    let from = who(value, "from", "from_user_id");
    if kind == "system" {
        let system = value.get("system")?;
        return match text(system, "type")? {
            "user_changed_number" | "user_changed_user_id" | "customer_changed_number" => {
                let was = who(system, "previous_wa_id", "previous_user_id");
                let from = if was == Who::default() { from } else { was };
                Some(Notice::Moved { from, to: who(system, "wa_id", "user_id") })
            }
            _ => None,
        };
    }
    let of = value.get(kind).unwrap_or(&Value::Null);
    let reply =
        ["button_reply", "list_reply", "nfm_reply", "call_permission_reply"].iter().find_map(|key| of.get(*key));
    let by = match kind {
        "text" => By::Person,
        "button" => By::Button,
        _ if of.get("button_reply").is_some() || of.get("list_reply").is_some() => By::Button,
        _ if of.get("caption").is_some() => By::Person,
        _ => By::Title,
    };
    let (said, payload) = match (kind, reply) {
        ("text", _) => (text(of, "body"), None),
        ("button", _) => (text(of, "text"), text(of, "payload")),
        ("interactive", Some(reply)) => (
            text(reply, "title").or_else(|| text(reply, "body")),
            text(reply, "id").or_else(|| text(reply, "response_json")),
        ),
        ("reaction", _) => (text(of, "emoji"), None),
        _ => (text(of, "caption").or_else(|| text(of, "name")), None),
    };
    let known =
        !kind.is_empty() && kind.len() <= 32 && kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    Some(Notice::Inbound(Inbound {
        wamid: wamid(value)?,
        who: from,
        at: at(value),
        kind: if known { kind.to_owned() } else { "unknown".to_owned() },
        text: said.map(|said| cut(said, limits::TEXT)),
        by,
        // Four bytes a character at the most.
        payload: payload.map(|payload| cut(payload, limits::RENDERED / 4)),
        context: value.pointer("/context/id").and_then(Value::as_str).map(|id| cut(id, 512)),
        answers: answers.map(str::to_owned),
    }))
}

fn preference(value: &Value) -> Option<Notice> {
    if text(value, "category")? != "marketing_messages" {
        return None;
    }
    let stop = match text(value, "value")? {
        "stop" => true,
        "resume" => false,
        _ => return None,
    };
    Some(Notice::Marketing { who: who(value, "wa_id", "user_id"), stop, at: at(value) })
}

fn who(value: &Value, digits: &str, user: &str) -> Who {
    let digits = text(value, digits).map(|digits| digits.trim_start_matches('+'));
    let is_number =
        |digits: &&str| (1..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_name = |user: &&str| (1..=128).contains(&user.len());
    Who {
        digits: digits.filter(is_number).map(str::to_owned),
        user: text(value, user).filter(is_name).map(str::to_owned),
    }
}

fn wamid(value: &Value) -> Option<String> {
    text(value, "id").filter(|id| !id.is_empty()).map(|id| cut(id, 512))
}

fn at(value: &Value) -> Option<Wall> {
    instant(value.get("timestamp")?)
}

/// Seconds since 1970, as a string or a whole number.
pub(super) fn instant(value: &Value) -> Option<Wall> {
    let seconds = match value.as_str() {
        Some(text) => text.parse().ok()?,
        None => value.as_i64()?,
    };
    // Year 1970 to 9999; what is larger would be milliseconds, which nobody documents.
    (0..253_402_300_800).contains(&seconds).then(|| Wall(seconds * 1_000))
}

fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

pub(super) fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key)?.as_str()
}

pub(super) fn each<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

pub(super) fn cut(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}

#[cfg(test)]
mod tests;
