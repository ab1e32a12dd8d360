//! The platform's webhooks: who sent a body, and what its updates say.
//!
//! Floor: rooms. [`signed`] comes first and looks at raw bytes only; [`notices`] reads what it let through. Neither fails a
//! body for one update that it does not understand: unknown kinds are counted and skipped (facts 4.1: one unknown id must
//! not fail the whole batch), and a body that is refused comes again for seven days.

use super::envelope::{Change, Entry, Unreadable, entries};
use crate::limits;
use crate::message::{Inbound, Notice, Notices, Progress, Status, Who, unhex};
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
/// of 3 MB costs little more memory than itself.
pub fn notices(body: &[u8], phone_number_id: &str) -> Result<Notices, Unreadable> {
    let mut read = Read(Notices::default());
    for entry in entries(body)? {
        let Some(entry) = read.part::<Entry<'_>>(entry) else { continue };
        for change in entry.changes {
            let Some(change) = read.part::<Change<'_>>(change) else { continue };
            read.change(&change, phone_number_id);
        }
    }
    Ok(read.0)
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
    #[serde(borrow)]
    user_preferences: Option<&'a RawValue>,
}

/// What was read so far.
struct Read(Notices);

impl Read {
    /// One part of the body; counted where it is not what it should be.
    fn part<'a, T: Deserialize<'a>>(&mut self, part: &'a RawValue) -> Option<T> {
        let part = serde_json::from_str(part.get()).ok();
        self.0.skipped += u64::from(part.is_none());
        part
    }

    fn change(&mut self, change: &Change<'_>, phone_number_id: &str) {
        match &*change.field {
            "messages" => {
                let Some(value) = self.part::<Messages<'_>>(change.value) else { return };
                if text(&value.metadata, "phone_number_id").is_some_and(|number| number != phone_number_id) {
                    self.0.skipped += 1;
                    return;
                }
                self.each(value.statuses, status);
                self.each(value.messages, |message| inbound(message, change.answers.as_deref()));
            }
            "user_preferences" => match self.part::<Preferences<'_>>(change.value) {
                // The reference shows a list; the facts (4.5) have the members alone.
                Some(Preferences { user_preferences: None }) => self.one(change.value, preference),
                Some(value) => self.each(value.user_preferences, preference),
                None => {}
            },
            field => {
                let Some(value) = self.part::<Value>(change.value) else { return };
                let news = super::news::news(field, &value);
                self.0.skipped += u64::from(news.is_empty());
                self.0.notices.extend(news.into_iter().map(Notice::News));
            }
        }
    }

    fn each(&mut self, list: Option<&RawValue>, read: impl Fn(&Value) -> Option<Notice>) {
        let Some(list) = list.and_then(|list| self.part::<Vec<&RawValue>>(list)) else { return };
        list.into_iter().for_each(|item| self.one(item, &read));
    }

    fn one(&mut self, item: &RawValue, read: impl Fn(&Value) -> Option<Notice>) {
        let Some(value) = self.part::<Value>(item) else { return };
        match read(&value) {
            Some(notice) => self.0.notices.push(notice),
            None => self.0.skipped += 1,
        }
    }
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
mod tests {
    use super::*;
    use crate::message::News;
    use serde_json::json;

    const NUMBER: &str = "106540352242922";

    fn body(field: &str, value: Value) -> Vec<u8> {
        let mut value = value;
        if field == "messages" {
            value["messaging_product"] = json!("whatsapp");
            value["metadata"] = json!({"display_phone_number": "551155550000", "phone_number_id": NUMBER});
        }
        json!({"object": "whatsapp_business_account", "entry": [{"id": "102", "changes": [{"field": field, "value": value}]}]})
            .to_string()
            .into_bytes()
    }

    fn one(field: &str, value: Value) -> Option<Notice> {
        let read = notices(&body(field, value.clone()), NUMBER).unwrap();
        assert_eq!(read.notices.len() + read.skipped as usize, 1, "{value}");
        read.notices.into_iter().next()
    }

    fn bia() -> Who {
        Who { digits: Some("5511987650001".into()), user: None }
    }

    /// The vector of the facts (4.1), and each way of being wrong.
    #[test]
    fn a_signature_is_of_these_very_bytes() {
        let (secret, body) = (b"test_app_secret", br#"{"object":"whatsapp_business_account","entry":[]}"#);
        let good = "sha256=dec6a680679a968e7e0319355b23599cbfc54502c0784668e9618baa0c633756";
        assert!(signed(secret, good, body));
        assert!(signed(secret, &good.replace("dec6", "DEC6"), body));
        let wrong = [
            (&secret[..], "sha256=dec6a680679a968e7e0319355b23599cbfc54502c0784668e9618baa0c633757", &body[..]),
            (b"other", good, body),
            (secret, good, br#"{"object":"whatsapp_business_account","entry":[] }"#),
            (secret, good, b""),
            (secret, &good[7..], body),
            (secret, &good[..70], body),
            (secret, "sha1=dec6a680679a968e7e0319355b23599cbfc54502", body),
            (secret, "sha256=+ec6a680679a968e7e0319355b23599cbfc54502c0784668e9618baa0c63375 ", body),
            (secret, "", body),
            (
                secret,
                "sha256=\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}",
                body,
            ),
        ];
        for (row, (secret, header, body)) in wrong.into_iter().enumerate() {
            assert!(!signed(secret, header, body), "row {row}");
        }
    }

    #[test]
    fn statuses_of_every_kind() {
        let status = |status: &str, more: Value| {
            let mut value = json!({"id": "wamid.A", "status": status, "timestamp": "1763800000", "recipient_id": "5511987650001",
                "biz_opaque_callback_data": "sp-042/k3-7/e-1", "pricing": {"pricing_model": "PMP"}, "new": {"member": 1}});
            more.as_object().unwrap().iter().for_each(|(key, more)| value[key] = more.clone());
            one("messages", json!({"contacts": [{"wa_id": "5511987650001"}], "statuses": [value]}))
        };
        let read = |progress| {
            Some(Notice::Status(Status {
                wamid: "wamid.A".into(),
                progress,
                at: Some(Wall(1_763_800_000_000)),
                who: bia(),
                data: Some("sp-042/k3-7/e-1".into()),
            }))
        };
        assert_eq!(status("sent", json!({})), read(Progress::Sent));
        assert_eq!(status("delivered", json!({"timestamp": 1_763_800_000})), read(Progress::Delivered));
        assert_eq!(status("read", json!({"recipient_id": "+5511987650001"})), read(Progress::Read));
        assert_eq!(status("played", json!({})), read(Progress::Read));
        let failed = |code, said: &str| read(Progress::Failed { code, said: said.into() });
        let error = json!({"code": 131026, "title": "Message undeliverable", "error_data": {"details": "not on WhatsApp"}, "href": "x"});
        assert_eq!(status("failed", json!({"errors": [error]})), failed(Some(131026), "not on WhatsApp"));
        assert_eq!(
            status("failed", json!({"errors": [{"code": "131049", "title": "withheld"}]})),
            failed(Some(131049), "withheld")
        );
        assert_eq!(status("failed", json!({})), failed(None, ""));
        assert_eq!(status("deleted", json!({})), None, "unknown statuses are skipped");
        assert_eq!(status("sent", json!({"id": ""})), None);
        let Some(Notice::Status(nobody)) =
            status("sent", json!({"recipient_id": null, "recipient_user_id": "BR.1a", "timestamp": "soon"}))
        else {
            panic!()
        };
        assert_eq!((nobody.who, nobody.at), (Who { digits: None, user: Some("BR.1a".into()) }, None));
    }

    #[test]
    fn what_people_write_and_press() {
        let table = [
            (json!({"type": "text", "text": {"body": "Parar"}}), "text", Some("Parar"), None),
            (
                json!({"type": "button", "button": {"payload": "ack-7", "text": "OK"}}),
                "button",
                Some("OK"),
                Some("ack-7"),
            ),
            (
                json!({"type": "interactive", "interactive": {"type": "button_reply", "button_reply": {"id": "b1", "title": "Sim"}}}),
                "interactive",
                Some("Sim"),
                Some("b1"),
            ),
            (
                json!({"type": "interactive", "interactive": {"list_reply": {"id": "l1", "title": "9:00", "description": "d"}}}),
                "interactive",
                Some("9:00"),
                Some("l1"),
            ),
            (
                json!({"type": "interactive", "interactive": {"nfm_reply": {"name": "flow", "body": "Sent", "response_json": "{\"a\":1}"}}}),
                "interactive",
                Some("Sent"),
                Some("{\"a\":1}"),
            ),
            (
                json!({"type": "image", "image": {"id": "9", "mime_type": "image/jpeg", "caption": "aqui"}}),
                "image",
                Some("aqui"),
                None,
            ),
            (json!({"type": "audio", "audio": {"id": "9", "voice": true}}), "audio", None, None),
            (
                json!({"type": "location", "location": {"latitude": 1.5, "longitude": 2, "name": "Loja"}}),
                "location",
                Some("Loja"),
                None,
            ),
            (
                json!({"type": "reaction", "reaction": {"message_id": "wamid.A", "emoji": "👍"}}),
                "reaction",
                Some("👍"),
                None,
            ),
            (json!({"type": "reaction", "reaction": {"message_id": "wamid.A"}}), "reaction", None, None),
            (json!({"type": "contacts", "contacts": [{"name": {"formatted_name": "x"}}]}), "contacts", None, None),
            (json!({"type": "order", "order": {"catalog_id": "1", "product_items": []}}), "order", None, None),
            (json!({"type": "unsupported", "errors": [{"code": 131051}]}), "unsupported", None, None),
            (json!({"type": "Whatever/+#", "x": 1}), "unknown", None, None),
        ];
        for (message, kind, text, payload) in table {
            let mut message = message;
            let more = json!({"from": "5511987650001", "id": "wamid.B", "timestamp": "1763800000", "context": {"id": "wamid.A", "from": "x"}});
            more.as_object().unwrap().iter().for_each(|(key, more)| message[key] = more.clone());
            let expected = Inbound {
                wamid: "wamid.B".into(),
                who: bia(),
                at: Some(Wall(1_763_800_000_000)),
                kind: kind.into(),
                text: text.map(str::to_owned),
                payload: payload.map(str::to_owned),
                context: Some("wamid.A".into()),
                answers: None,
            };
            assert_eq!(
                one("messages", json!({"messages": [message.clone()]})),
                Some(Notice::Inbound(expected)),
                "{message}"
            );
        }
        let moved = json!({"type": "system", "from": "5511987650001", "id": "w", "system": {"type": "user_changed_number", "wa_id": "5511987650009", "body": "x"}});
        let to = Who { digits: Some("5511987650009".into()), user: None };
        assert_eq!(one("messages", json!({"messages": [moved]})), Some(Notice::Moved { from: bia(), to }));
        let long = json!({"type": "text", "from": "5511987650001", "id": "w", "text": {"body": "é".repeat(5_000)}});
        let Some(Notice::Inbound(long)) = one("messages", json!({"messages": [long]})) else { panic!() };
        assert_eq!(long.text.unwrap().chars().count(), limits::TEXT);
    }

    #[test]
    fn wishes_and_news() {
        let stop = json!({"wa_id": "5511987650001", "category": "marketing_messages", "value": "stop", "timestamp": 1_763_800_000});
        let marketing = |stop, at: Option<i64>| Some(Notice::Marketing { who: bia(), stop, at: at.map(Wall) });
        let at = Some(1_763_800_000_000);
        assert_eq!(one("user_preferences", stop.clone()), marketing(true, at));
        assert_eq!(one("user_preferences", json!({"user_preferences": [stop]})), marketing(true, at));
        let resume = json!({"wa_id": "5511987650001", "category": "marketing_messages", "value": "resume"});
        assert_eq!(one("user_preferences", json!({"user_preferences": [resume]})), marketing(false, None));
        assert_eq!(one("user_preferences", json!({"wa_id": "1", "category": "other", "value": "stop"})), None);

        let news = json!({"event": "PAUSED", "message_template_name": "a"});
        assert!(matches!(one("message_template_status_update", news), Some(Notice::News(News::Template { .. }))));
        assert_eq!(one("flows", json!({"event": "x"})), None, "fields that nobody watches are counted");
    }

    #[test]
    fn one_bad_update_fails_no_batch_and_other_numbers_are_not_ours() {
        let good = |id: &str| json!({"id": id, "status": "sent", "timestamp": "1"});
        let ours = json!({"metadata": {"phone_number_id": NUMBER}, "statuses": [good("a"), 7, {"status": []}, good("b")], "messages": "?"});
        let theirs = json!({"metadata": {"phone_number_id": "999"}, "statuses": [good("c")]});
        let body = json!({"object": "whatsapp_business_account", "entry": [
            {"changes": [{"field": "messages", "value": ours}, {"field": "messages", "value": theirs}, {}, 4]}, {}, null]});
        let read = notices(body.to_string().as_bytes(), NUMBER).unwrap();
        assert_eq!((read.notices.len(), read.skipped), (2, 8));
        for wrong in ["", "{}", "[]", "null", r#"{"object":"page","entry":[]}"#, "\u{0}"] {
            assert_eq!(notices(wrong.as_bytes(), NUMBER), Err(Unreadable), "{wrong:?}");
        }
    }

    /// Whatever is cut off or changed, nothing panics, and nothing is read from what is not whole.
    #[test]
    fn mutated_bodies_are_read_or_refused() {
        let status = json!({"id": "wamid.A", "status": "failed", "timestamp": "1", "errors": [{"code": 131026}]});
        let whole = body(
            "messages",
            json!({"statuses": [status], "messages": [{"from": "1", "id": "w", "type": "text", "text": {"body": "é"}}]}),
        );
        for end in 0..whole.len() {
            assert_eq!(notices(&whole[..end], NUMBER), Err(Unreadable), "{end}");
        }
        let mut random = fastrand::Rng::with_seed(4);
        for _ in 0..5_000 {
            let mut changed = whole.clone();
            for _ in 0..random.usize(1..4) {
                let place = random.usize(..changed.len());
                changed[place] = random.u8(..);
            }
            let _ = notices(&changed, NUMBER);
        }
    }
}
