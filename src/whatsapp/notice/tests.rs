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
    read.notices.into_iter().next().map(|update| update.notice)
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
    let group = json!({"recipient_type": "group", "recipient_participant_id": "5511987650002", "recipient_parent_user_id": "BR.P",
        "conversation": {"id": "c", "expiration_timestamp": "1763900000", "origin": {"type": "utility"}}});
    assert_eq!(status("sent", group), read(Progress::Sent), "more about whom changes nothing");
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
        (json!({"type": "button", "button": {"payload": "ack-7", "text": "OK"}}), "button", Some("OK"), Some("ack-7")),
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
        (
            json!({"type": "video", "video": {"id": "9", "mime_type": "video/mp4", "sha256": "x", "url": "https://x", "caption": "assim"}}),
            "video",
            Some("assim"),
            None,
        ),
        (
            json!({"type": "document", "document": {"id": "9", "filename": "parar.pdf", "mime_type": "application/pdf"}}),
            "document",
            None,
            None,
        ),
        (json!({"type": "sticker", "sticker": {"id": "9", "animated": true}}), "sticker", None, None),
        (
            json!({"type": "interactive", "interactive": {"type": "call_permission_reply",
                "call_permission_reply": {"response": "accept", "expiration_timestamp": "1763900000"}}}),
            "interactive",
            None,
            None,
        ),
        (
            json!({"type": "text", "text": {"body": "Oi"}, "from_parent_user_id": "BR.P", "group_id": "g",
                "referral": {"source_url": "https://x", "source_type": "ad", "headline": "Parar", "body": "stop"}}),
            "text",
            Some("Oi"),
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
        let of = |name: &str| message[kind].get(name).is_some();
        let by = match kind {
            "text" => By::Person,
            "button" => By::Button,
            _ if of("button_reply") || of("list_reply") => By::Button,
            _ if of("caption") => By::Person,
            _ => By::Title,
        };
        let mut message = message;
        let more = json!({"from": "5511987650001", "id": "wamid.B", "timestamp": "1763800000", "context": {"id": "wamid.A", "from": "x"}});
        more.as_object().unwrap().iter().for_each(|(key, more)| message[key] = more.clone());
        let expected = Inbound {
            wamid: "wamid.B".into(),
            who: bia(),
            at: Some(Wall(1_763_800_000_000)),
            kind: kind.into(),
            text: text.map(str::to_owned),
            by,
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
    // Another user id, with the one before it; the number is not told.
    let moved = json!({"type": "system", "from_user_id": "BR.2", "id": "w", "system": {"type": "user_changed_user_id",
        "previous_user_id": "BR.1", "user_id": "BR.2", "body": "x"}});
    let user = |id: &str| Who { digits: None, user: Some(id.into()) };
    let expected = Notice::Moved { from: user("BR.1"), to: user("BR.2") };
    assert_eq!(one("messages", json!({"messages": [moved]})), Some(expected));
    let odd =
        json!({"type": "system", "from": "5511987650001", "id": "w", "system": {"type": "customer_identity_changed"}});
    assert_eq!(one("messages", json!({"messages": [odd]})), None, "what nobody knows moves nobody");
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

/// One app may serve several accounts and numbers: each box is told about all of them.
#[test]
fn whose_an_update_is() {
    let other = json!({"metadata": {"phone_number_id": "999", "display_phone_number": "+55 11 4000-0000"}});
    let shown = json!({"metadata": {"display_phone_number": "+55 11 4000-0000"}});
    let ours = json!({"metadata": {"phone_number_id": NUMBER, "display_phone_number": "551155550000"}});
    let number = json!({"display_phone_number": "551140000000"});
    let account = |account: &str, number: Option<&str>| {
        Some(Origin { account: Some(account.into()), number: number.map(str::to_owned) })
    };
    let stop = json!({"wa_id": "5511987650001", "category": "marketing_messages", "value": "stop"});
    let wrote = json!({"messages": [{"from": "1", "id": "w", "type": "text", "text": {"body": "Parar"}}]});
    let gone = json!({"event": "ACCOUNT_DELETED"});
    let limit = json!({"event": "FLAGGED"});
    let alert =
        |kind: &str, id: Value| json!({"entity_type": kind, "entity_id": id, "alert_info": {"alert_type": "x"}});
    let table = [
        ("user_preferences", stop.clone(), other.clone(), None),
        ("user_preferences", json!({"user_preferences": [stop.clone()]}), other.clone(), None),
        ("user_preferences", json!({"user_preferences": [stop.clone()]}), ours.clone(), Some(Origin::default())),
        ("user_preferences", stop.clone(), shown.clone(), account("102", Some("551140000000"))),
        ("user_preferences", stop, json!({}), account("102", None)),
        ("messages", wrote.clone(), other.clone(), None),
        ("messages", wrote.clone(), ours, Some(Origin::default())),
        ("messages", wrote.clone(), shown, account("102", Some("551140000000"))),
        ("messages", wrote, json!({"metadata": 7}), account("102", None)),
        ("account_update", gone.clone(), json!({}), account("102", None)),
        ("account_update", gone, json!({"waba_info": {"waba_id": "103"}}), account("103", None)),
        ("phone_number_quality_update", limit, number, account("102", Some("551140000000"))),
        ("account_alerts", alert("PHONE_NUMBER", json!("999")), json!({}), None),
        ("account_alerts", alert("PHONE_NUMBER", json!(106_540_352_242_922_u64)), json!({}), Some(Origin::default())),
        ("account_alerts", alert("WABA", json!(104)), json!({}), account("104", None)),
        ("account_alerts", alert("BUSINESS", json!(105)), json!({}), account("102", None)),
    ];
    for (field, mut value, about, expected) in table {
        about.as_object().unwrap().iter().for_each(|(key, about)| value[key] = about.clone());
        let change = json!({"field": field, "value": value});
        let body = json!({"object": "whatsapp_business_account", "entry": [{"id": "102", "changes": [change]}]});
        let read = notices(body.to_string().as_bytes(), NUMBER).unwrap();
        let found: Vec<_> = read.notices.into_iter().map(|update| update.of).collect();
        assert_eq!((found.first().cloned(), read.skipped), (expected.clone(), u64::from(expected.is_none())), "{body}");
    }
    let body = |id: Value| {
        json!({"object": "whatsapp_business_account", "entry": [{"id": id, "changes": [
        {"field": "account_update", "value": {"event": "ACCOUNT_DELETED"}}]}]})
    };
    for (id, account) in [(json!(102), Some("102")), (json!("x"), None), (json!({}), None), (Value::Null, None)] {
        let read = notices(body(id).to_string().as_bytes(), NUMBER).unwrap();
        assert_eq!(read.notices[0].of.account.as_deref(), account, "without a name it counts");
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
