//! One row per code with what must follow, written from the facts (3.2, 3.3) and not from the table in `codes`.

use super::*;
use crate::limits;
use crate::message::{
    Answer, AttemptId, Body, Button, Category, Cleared, Confirmed, Content, Header, Lost, MessageId, NotSent, Number,
    PersonId, Priority, Reason, Stored, Template, Token,
};
use crate::time::BoxTime;
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::Duration;

fn http(status: u16, body: impl Into<Bytes>) -> Verdict {
    read(&Answer::Http { status, body: body.into(), date: None })
}

fn coded(status: u16, code: i64) -> Verdict {
    http(status, json!({ "error": { "message": "(#0) title", "type": "OAuthException", "code": code } }).to_string())
}

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

const GONE: Fate = Fate::Refused;
const KEPT: Fate = Fate::Again;
const MAYBE: Fate = Fate::Unknown { repeats: None };
const MAYBE_ONCE: Fate = Fate::Unknown { repeats: Some(1) };
const NUMBER_WAITS: [Option<OnNumber>; 3] = [
    Some(OnNumber::BackOff(BackOffClass::Number)),
    Some(OnNumber::BackOff(BackOffClass::Maintenance)),
    Some(OnNumber::BackOff(BackOffClass::Service)),
];
const NUMBER_STOPS: Option<OnNumber> = Some(OnNumber::Stop { lifted_by: Lift::Operator });
const TOKEN: Option<OnAccount> = Some(OnAccount::Stop { lifted_by: Lift::Token });
const OPERATOR: Option<OnAccount> = Some(OnAccount::Stop { lifted_by: Lift::Operator });
const SLOWER: Option<OnAccount> = Some(OnAccount::BackOff);
const HELD: Option<OnTemplate> = Some(OnTemplate::Hold { for_: None });

const fn held(count: u64) -> Option<OnTemplate> {
    Some(OnTemplate::Hold { for_: Some(seconds(count)) })
}

type Expected = (i64, Fate, Option<OnPerson>, Option<OnNumber>, Option<OnTemplate>, Option<OnAccount>, Reason);

#[rustfmt::skip] // one code, one line: a table
fn expected() -> Vec<Expected> {
    use OnPerson::*;
    use Reason as R;
    let [seconds_class, maintenance, service] = NUMBER_WAITS;
    vec![
        // code    message     person  number         template account  reason
        (0,        KEPT,       None,   None,          None,    TOKEN,   R::TokenInvalid),
        (1,        MAYBE_ONCE, None,   None,          None,    None,    R::PlatformFault),
        (2,        MAYBE,      None,   service,       None,    None,    R::PlatformFault),
        (3,        KEPT,       None,   None,          None,    TOKEN,   R::PermissionMissing),
        (4,        KEPT,       None,   None,          None,    SLOWER,  R::AppLimit),
        (10,       KEPT,       None,   None,          None,    TOKEN,   R::PermissionMissing),
        (33,       KEPT,       None,   NUMBER_STOPS,  None,    None,    R::NumberUnusable),
        (100,      GONE,       None,   None,          None,    None,    R::RequestInvalid),
        (104,      KEPT,       None,   None,          None,    TOKEN,   R::TokenInvalid),
        (190,      KEPT,       None,   None,          None,    TOKEN,   R::TokenInvalid),
        (200,      KEPT,       None,   None,          None,    TOKEN,   R::PermissionMissing),
        (201,      KEPT,       None,   None,          None,    TOKEN,   R::PermissionMissing),
        (250,      KEPT,       None,   None,          None,    TOKEN,   R::PermissionMissing),
        (299,      KEPT,       None,   None,          None,    TOKEN,   R::PermissionMissing),
        (368,      KEPT,       None,   None,          None,    OPERATOR, R::PolicyRestricted),
        (613,      KEPT,       None,   None,          None,    SLOWER,  R::AppLimit),
        (80007,    KEPT,       None,   None,          None,    SLOWER,  R::AppLimit),
        (130403,   GONE,       None,   None,          None,    None,    R::UserBlocked),
        (130429,   KEPT,       None,   seconds_class, None,    None,    R::NumberLimit),
        (130472,   GONE,       None,   None,          None,    None,    R::Experiment),
        (130497,   GONE,       None,   None,          None,    Some(OnAccount::HoldCountry), R::CountryRestricted),
        (131000,   MAYBE,      None,   None,          None,    None,    R::PlatformFault),
        (131005,   KEPT,       None,   None,          None,    TOKEN,   R::PermissionMissing),
        (131008,   GONE,       None,   None,          None,    None,    R::RequestInvalid),
        (131009,   GONE,       None,   None,          None,    None,    R::ParameterInvalid),
        (131016,   MAYBE,      None,   service,       None,    None,    R::PlatformFault),
        (131021,   GONE,       None,   None,          None,    None,    R::RecipientIsSender),
        (131026,   GONE,       Some(Undeliverable), None, None, None,   R::Undeliverable),
        (131030,   GONE,       None,   None,          None,    None,    R::RecipientNotAllowed),
        (131031,   KEPT,       None,   None,          None,    OPERATOR, R::AccountLocked),
        (131037,   KEPT,       None,   NUMBER_STOPS,  None,    None,    R::NumberUnusable),
        (131042,   KEPT,       None,   None,          None,    OPERATOR, R::PaymentMissing),
        (131044,   KEPT,       None,   None,          None,    OPERATOR, R::PaymentMissing),
        (131045,   KEPT,       None,   NUMBER_STOPS,  None,    None,    R::NumberUnusable),
        (131047,   GONE,       Some(WindowClosed), None, None, None,    R::WindowClosed),
        (131048,   KEPT,       None,   Some(OnNumber::HoldFor(seconds(21_600))), None, None, R::SpamRestricted),
        (131049,   GONE,       Some(NotBefore(seconds(86_400))), None, None, None, R::PlatformCap),
        (131050,   GONE,       Some(MarketingStopped), None, None, None, R::MarketingStopped),
        (131051,   GONE,       None,   None,          None,    None,    R::TypeUnsupported),
        (131053,   GONE,       None,   None,          None,    None,    R::MediaUnusable),
        (131055,   GONE,       None,   None,          None,    None,    R::MarketingEndpoint),
        (131056,   KEPT,       Some(PairLimit), None, None,    None,    R::PlatformPairLimit),
        (131057,   MAYBE,      None,   maintenance,   None,    None,    R::NumberMaintenance),
        (131062,   GONE,       None,   None,          None,    None,    R::TypeUnsupported),
        (131063,   GONE,       None,   None,          None,    None,    R::MarketingEndpoint),
        (131064,   KEPT,       None,   None,          None,    Some(OnAccount::HoldTemplates(seconds(3600))), R::Misclassified),
        (132000,   GONE,       None,   None,          HELD,    None,    R::TemplateParameters),
        (132001,   KEPT,       None,   None,          HELD,    None,    R::TemplateMissing),
        (132005,   GONE,       None,   None,          None,    None,    R::TextTooLong),
        (132007,   KEPT,       None,   None,          HELD,    None,    R::TemplatePolicy),
        (132008,   GONE,       None,   None,          None,    None,    R::TemplateParameters),
        (132012,   GONE,       None,   None,          None,    None,    R::TemplateParameters),
        (132018,   GONE,       None,   None,          None,    None,    R::TemplateParameters),
        (132015,   KEPT,       None,   None,          held(10_800), None, R::TemplatePausedByPlatform),
        (132016,   KEPT,       None,   None,          HELD,    None,    R::TemplateDisabled),
        (132068,   KEPT,       None,   None,          HELD,    None,    R::FlowHeld),
        (132069,   KEPT,       None,   None,          held(3600), None, R::FlowHeld),
        (133004,   MAYBE,      None,   service,       None,    None,    R::PlatformFault),
        (133006,   KEPT,       None,   NUMBER_STOPS,  None,    None,    R::NumberUnusable),
        (133010,   KEPT,       None,   NUMBER_STOPS,  None,    None,    R::NumberUnusable),
        (134011,   GONE,       None,   None,          None,    None,    R::PaymentMissing),
        (134100,   GONE,       None,   None,          None,    None,    R::MarketingEndpoint),
        (134101,   KEPT,       None,   None,          held(600), None,  R::MarketingEndpoint),
        (134102,   KEPT,       None,   None,          HELD,    None,    R::MarketingEndpoint),
        (135000,   GONE,       None,   None,          None,    None,    R::ParameterInvalid),
        (137000,   KEPT,       Some(IdentityHold), None, None, None,    R::IdentityChanged),
        (139200,   GONE,       None,   None,          None,    None,    R::TypeUnsupported),
        (2494100,  MAYBE,      None,   maintenance,   None,    None,    R::NumberMaintenance),
    ]
}

/// Codes of administration (facts 3.3, class ADMIN, "inbound only"): never seen on a send; if so, refused and told.
const ADMIN: &[i64] = &[
    131052, 131059, 131060, 133000, 133005, 133008, 133009, 133015, 133016, 136024, 138000, 138006, 138999, 139000,
    139001, 139002, 139003, 139004, 139100, 139101, 139102, 139103, 200005, 200006, 200007, 2388001, 2388012, 2388019,
    2388039, 2388040, 2388047, 2388072, 2388073, 2388091, 2388093, 2388103, 2388293, 2388299, 2388318, 2388330,
    2593079, 2593085, 2593107, 2593108, 1752041,
];

#[test]
fn every_code() {
    for (code, message, person, number, template, account, reason) in expected() {
        // The code decides, whatever status comes with it (facts 3.1).
        for status in [200, 400, 401, 403, 404, 429, 500, 503] {
            let verdict = coded(status, code);
            let seen = (verdict.message, verdict.person, verdict.number, verdict.template, verdict.account);
            assert_eq!(seen, (message.clone(), person, number, template, account), "code {code}, status {status}");
            assert_eq!((verdict.reason, verdict.code), (reason, Some(code)), "code {code}");
            assert_eq!(verdict.circuit, Circuit::Works, "the API answered: code {code}");
            assert!(!verdict.detail.is_empty(), "code {code}");
        }
    }
    for &code in ADMIN {
        let verdict = coded(400, code);
        assert_eq!((verdict.message, verdict.reason, verdict.loud), (GONE, Reason::UnknownCode, true), "code {code}");
        assert!(row(code).is_some(), "code {code} is in the table");
    }
}

#[test]
fn the_table_holds_no_code_without_a_test_row() {
    let mut known: HashSet<i64> = expected().into_iter().map(|row| row.0).chain(ADMIN.iter().copied()).collect();
    known.extend(200..=299);
    known.extend(138_000..=138_999);
    for code in (-10..300_000).chain(1_700_000..1_800_000).chain(2_300_000..2_600_000) {
        assert_eq!(row(code).is_some(), known.contains(&code), "code {code}");
    }
}

#[test]
fn what_stops_holds_or_restricts_is_told_loudly() {
    for (code, .., number, template, account, _) in expected() {
        let stops = matches!(number, Some(OnNumber::Stop { .. } | OnNumber::HoldFor(_)))
            || template.is_some()
            || account.is_some_and(|account| account != OnAccount::BackOff);
        assert!(!stops || coded(400, code).loud, "code {code}");
    }
}

type ByStatus = (u16, &'static str, Fate, Option<OnNumber>, Option<OnAccount>, Reason, Circuit);

#[test]
fn without_a_known_code_the_status_decides() {
    let page = "<html>Welcome to the hotel</html>";
    let unknown_code = r#"{"error":{"message":"new","code":987654}}"#;
    let [_, _, service] = NUMBER_WAITS;
    let [throttled, ..] = NUMBER_WAITS;
    let rows: &[ByStatus] = &[
        (200, page, MAYBE, None, None, Reason::AnswerUnreadable, Circuit::InDoubt),
        (200, "", MAYBE, None, None, Reason::AnswerUnreadable, Circuit::InDoubt),
        (200, "{}", MAYBE, None, None, Reason::AnswerUnreadable, Circuit::InDoubt),
        (200, r#"{"messages":[]}"#, MAYBE, None, None, Reason::AnswerUnreadable, Circuit::InDoubt),
        (200, r#"{"messages":[{"id":7}]}"#, MAYBE, None, None, Reason::AnswerUnreadable, Circuit::InDoubt),
        (200, r#"{"messages":[{"id":""}]}"#, MAYBE, None, None, Reason::AnswerUnreadable, Circuit::InDoubt),
        (200, unknown_code, MAYBE, None, None, Reason::AnswerUnreadable, Circuit::InDoubt),
        (204, "", MAYBE, None, None, Reason::AnswerUnreadable, Circuit::InDoubt),
        (307, "", KEPT, service, None, Reason::AnswerUnreadable, Circuit::InDoubt),
        (302, page, KEPT, service, None, Reason::AnswerUnreadable, Circuit::InDoubt),
        (400, unknown_code, GONE, None, None, Reason::UnknownCode, Circuit::Works),
        (403, unknown_code, GONE, None, None, Reason::UnknownCode, Circuit::Works),
        (404, r#"{"error":{"message":"no code"}}"#, GONE, None, None, Reason::UnknownCode, Circuit::Works),
        (403, page, KEPT, service, None, Reason::AnswerUnreadable, Circuit::InDoubt),
        (401, page, KEPT, service, None, Reason::AnswerUnreadable, Circuit::InDoubt),
        (401, unknown_code, KEPT, None, TOKEN, Reason::TokenInvalid, Circuit::Works),
        (408, "", MAYBE, None, None, Reason::NoAnswer, Circuit::InDoubt),
        (429, "", MAYBE, throttled, None, Reason::NumberLimit, Circuit::InDoubt),
        (429, unknown_code, MAYBE, throttled, None, Reason::NumberLimit, Circuit::Works),
        (500, unknown_code, MAYBE, service, None, Reason::PlatformFault, Circuit::Works),
        (502, page, MAYBE, service, None, Reason::PlatformFault, Circuit::InDoubt),
        (503, "", MAYBE, service, None, Reason::PlatformFault, Circuit::InDoubt),
        (0, "", MAYBE, None, None, Reason::AnswerUnreadable, Circuit::InDoubt),
        (101, "", MAYBE, None, None, Reason::AnswerUnreadable, Circuit::InDoubt),
        (999, "", MAYBE, None, None, Reason::AnswerUnreadable, Circuit::InDoubt),
    ];
    for (status, body, message, number, account, reason, circuit) in rows {
        let verdict = http(*status, *body);
        assert_eq!(
            (&verdict.message, &verdict.number, &verdict.account, &verdict.reason, &verdict.circuit),
            (message, number, account, reason, circuit),
            "{status} {body}"
        );
    }
}

#[test]
fn taken_is_taken_even_beside_an_error() {
    let verdict = http(200, r#"{"messages":[{"id":"wamid.x"}],"error":{"code":131056}}"#);
    assert_eq!(verdict.message, Fate::Accepted { wamid: "wamid.x".into() });
}

#[test]
fn what_never_arrived_as_an_answer() {
    let rows = [
        (Answer::NotSent(NotSent::NoConnection("refused".into())), Fate::Unsent, Reason::NoConnection, "refused"),
        (
            Answer::NotSent(NotSent::Tls("certificate expired on 2026-11-22".into())),
            Fate::Unsent,
            Reason::TlsFailed,
            "certificate expired on 2026-11-22",
        ),
        (
            Answer::NotSent(NotSent::StreamRefused),
            Fate::Unsent,
            Reason::NoConnection,
            "the server closed the connection before it read the request",
        ),
        (Answer::Lost(Lost::Timeout), MAYBE, Reason::NoAnswer, "no answer in time"),
        (Answer::Lost(Lost::Broken("reset".into())), MAYBE, Reason::ConnectionLost, "reset"),
    ];
    for (answer, message, reason, detail) in rows {
        let verdict = read(&answer);
        assert_eq!((verdict.message, verdict.reason, verdict.detail.as_str()), (message, reason, detail));
        assert_eq!(verdict.circuit, Circuit::InDoubt);
    }
}

#[test]
fn a_taken_message_teaches_the_persons_other_names() {
    let answer = |contact: Value, status: &str| {
        let message = json!({ "id": "wamid.HBgNNTUxMTk4NzY1NDMyMRUC", "message_status": status });
        http(200, json!({ "messaging_product": "whatsapp", "contacts": [contact], "messages": [message] }).to_string())
    };
    let plain = answer(json!({ "input": "+5511987654321", "wa_id": "551187654321" }), "accepted");
    assert_eq!(plain.message, Fate::Accepted { wamid: "wamid.HBgNNTUxMTk4NzY1NDMyMRUC".into() });
    assert_eq!(plain.known_as, KnownAs { wa_id: Some("551187654321".into()), user_id: None });
    assert_eq!((plain.reason, plain.circuit, plain.detail.as_str()), (Reason::Taken, Circuit::Works, "accepted"));

    let scoped = answer(json!({ "input": "x", "user_id": "BR.1234" }), "held_for_quality_assessment");
    assert_eq!(scoped.known_as, KnownAs { wa_id: None, user_id: Some("BR.1234".into()) });
    assert!(scoped.detail.contains("holds it"), "{}", scoped.detail);
    assert!(answer(json!({}), "paused").detail.contains("paused"));

    // What is no name is not learned.
    for contact in
        [json!({ "wa_id": 5511 }), json!({ "wa_id": "not digits" }), json!({ "wa_id": "1".repeat(16) }), json!(3)]
    {
        assert_eq!(answer(contact, "accepted").known_as, KnownAs::default());
    }
}

#[test]
fn nothing_that_is_printed_holds_a_number_a_token_or_the_platforms_id() {
    let error = |details: &str| {
        let body = json!({ "error": { "code": 131026, "message": "(#131026)", "error_data": { "details": details } } });
        format!("{:?}", http(400, body.to_string()))
    };
    for (details, hidden) in [
        ("to 5511987654321 failed", "98765"),
        ("to +55 (11) 98765-4321 failed", "98765"),
        ("to +55 (11) 98765-4321 failed", "4321"),
        ("wa5511987654321", "98765"),
        ("Malformed access token EAAGm0PX4ZCpsBAKlongsecretstuff", "longsecret"),
        ("wamid.HBgNNTUxMTk4NzY1NDMyMRUCABEYEjQ", "HBgN"),
        (&format!("{}5511987654321", "x".repeat(195)), "5511"),
    ] {
        let printed = error(details);
        assert!(!printed.contains(hidden), "{printed}");
    }
    assert!(
        error("template name (order_ready_for_pickup_today_v2) in pt_BR").contains("order_ready_for_pickup_today_v2")
    );
    assert!(error("line\nbreak").contains("line break"));
    assert!(error(&"é".repeat(5000)).chars().count() < 800);

    let body = json!({ "contacts": [{ "wa_id": "5511987654321" }], "messages": [{ "id": "wamid.SECRET" }] });
    let printed = format!("{:?}", http(200, body.to_string()));
    assert!(!printed.contains("5511987654321") && !printed.contains("SECRET"), "{printed}");
}

proptest! {
    #[test]
    fn any_bytes_and_any_status_give_a_verdict(status in any::<u16>(), body in proptest::collection::vec(any::<u8>(), 0..2048)) {
        let verdict = http(status, body);
        // Noise is no JSON, so nothing is taken for accepted and no code is made up.
        let taken = matches!(verdict.message, Fate::Accepted { .. });
        prop_assert!(verdict.code.is_none() && !taken);
    }

    #[test]
    fn wrong_types_never_panic(
        status in prop_oneof![Just(200u16), Just(400), Just(500), any::<u16>()],
        code in leaf(), details in leaf(), message in leaf(), id in leaf(), contact in leaf(),
    ) {
        let error = json!({ "code": code, "message": message, "error_data": { "details": details } });
        let verdict = http(status, json!({ "error": error, "messages": [{ "id": id }], "contacts": [contact] }).to_string());
        prop_assert!(verdict.detail.chars().count() < 500);
        prop_assert!(!verdict.detail.contains("5511987654321"));
        let verdict = http(status, json!({ "messages": [{ "id": id }], "contacts": [contact] }).to_string());
        let taken = id.as_str().is_some_and(|id| !id.is_empty()) && (200..300).contains(&status);
        prop_assert_eq!(matches!(verdict.message, Fate::Accepted { .. }), taken);
    }
}

/// A JSON value of any kind.
fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0i64..140_000).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
        ".*".prop_map(|text| Value::from(format!("{text} +5511987654321 {text}"))),
        ".*".prop_map(|text| json!([text, { "a": [] }])),
        ".*".prop_map(|text| json!({ text: 1 })),
    ]
}

#[test]
fn a_body_over_the_bound_or_nested_without_end_is_unreadable() {
    let padded = format!(r#"{{"messages":[{{"id":"wamid.x"}}],"pad":"{}"}}"#, "x".repeat(limits::ANSWER));
    assert_eq!(http(200, padded).reason, Reason::AnswerUnreadable);
    assert_eq!(http(200, "[".repeat(limits::ANSWER)).reason, Reason::AnswerUnreadable);
}

fn cleared(content: Content, event: Option<&str>) -> Cleared {
    let stored = Stored {
        id: MessageId(1042),
        person: PersonId(7),
        to: Number::of_digits("5511987654321").unwrap(),
        content,
        rule: "order-ready".into(),
        event: event.map(Into::into),
        purpose: "orders".into(),
        priority: Priority::Normal,
        arrived: BoxTime(0),
        expires_boxed: BoxTime(1),
        expires_wall: None,
        tries: 0,
    };
    Cleared::by_outbox(stored, AttemptId(1), Confirmed::by_policy(), Token::by_pace())
}

fn settings() -> Settings {
    let (api_version, phone_number_id) = ("v25.0".into(), "106540352242922".into());
    Settings { api_version, phone_number_id, branch: "sp-042".into(), ..Settings::default() }
}

fn body_of(content: Content) -> Value {
    let request = request(&settings(), &cleared(content, Some("E-77")), "k3f9-1042");
    serde_json::from_slice(&request.body).unwrap()
}

fn template(header: Option<Header>, body: Body, buttons: Vec<(u8, Button)>) -> Content {
    Content::Template(Template {
        name: "order_ready".into(),
        language: "pt_BR".into(),
        category: Category::Utility,
        header,
        body,
        buttons,
        preview: "Oi Ana".into(),
    })
}

#[test]
fn a_template_request_as_the_api_wants_it() {
    let header = Header::Document("https://x.test/1.pdf".into(), Some("1.pdf".into()));
    let buttons =
        vec![(0, Button::Url("77".into())), (1, Button::Reply("yes".into())), (9, Button::CopyCode("SAVE10".into()))];
    let body = Body::Positional(vec!["Ana".into(), "77".into()]);
    let wanted = json!({
        "messaging_product": "whatsapp", "recipient_type": "individual", "to": "+5511987654321", "type": "template",
        "biz_opaque_callback_data": "sp-042/k3f9-1042/E-77",
        "template": {
            "name": "order_ready", "language": { "code": "pt_BR" },
            "components": [
                { "type": "header", "parameters": [
                    { "type": "document", "document": { "link": "https://x.test/1.pdf", "filename": "1.pdf" } },
                ] },
                { "type": "body", "parameters": [{ "type": "text", "text": "Ana" }, { "type": "text", "text": "77" }] },
                { "type": "button", "sub_type": "url", "index": "0", "parameters": [{ "type": "text", "text": "77" }] },
                { "type": "button", "sub_type": "quick_reply", "index": "1",
                  "parameters": [{ "type": "payload", "payload": "yes" }] },
                { "type": "button", "sub_type": "copy_code", "index": "9",
                  "parameters": [{ "type": "coupon_code", "coupon_code": "SAVE10" }] },
            ],
        },
    });
    assert_eq!(body_of(template(Some(header), body, buttons)), wanted);
}

#[test]
fn every_header_and_the_named_body() {
    let rows = [
        (Header::Text(None, "77".into()), json!({ "type": "text", "text": "77" })),
        (
            Header::Text(Some("order".into()), "77".into()),
            json!({ "type": "text", "parameter_name": "order", "text": "77" }),
        ),
        (Header::Image("https://x/i".into()), json!({ "type": "image", "image": { "link": "https://x/i" } })),
        (Header::Video("https://x/v".into()), json!({ "type": "video", "video": { "link": "https://x/v" } })),
        (
            Header::Document("https://x/d".into(), None),
            json!({ "type": "document", "document": { "link": "https://x/d" } }),
        ),
        (
            Header::Location { latitude: -23.5, longitude: 46.25, name: "Loja".into(), address: "Rua A".into() },
            json!({ "type": "location",
                    "location": { "latitude": "-23.5", "longitude": "46.25", "name": "Loja", "address": "Rua A" } }),
        ),
    ];
    for (header, wanted) in rows {
        let sent = body_of(template(Some(header), Body::Positional(vec![]), vec![]));
        assert_eq!(sent["template"]["components"], json!([{ "type": "header", "parameters": [wanted] }]));
    }
    let named = body_of(template(None, Body::Named(vec![("total".into(), "R$ 9".into())]), vec![]));
    let parameter = json!({ "type": "text", "parameter_name": "total", "text": "R$ 9" });
    assert_eq!(named["template"]["components"], json!([{ "type": "body", "parameters": [parameter] }]));
    let bare = body_of(template(None, Body::Positional(vec![]), vec![]));
    assert_eq!(bare["template"].get("components"), None, "nothing to fill in");
}

#[test]
fn a_text_request_and_its_path() {
    let sent = request(&settings(), &cleared(Content::Text("Oi\n\"Ana\"".into()), None), "k3f9-1042");
    assert_eq!(sent.path, "/v25.0/106540352242922/messages");
    let body: Value = serde_json::from_slice(&sent.body).unwrap();
    assert_eq!(body["type"], "text");
    assert_eq!(body["text"], json!({ "body": "Oi\n\"Ana\"", "preview_url": false }));
    assert_eq!(body["biz_opaque_callback_data"], "sp-042/k3f9-1042/", "an event without an id leaves its place empty");
    assert!(!format!("{sent:?}").contains("5511987654321"));
}

#[test]
fn the_callback_data_fits_at_the_bounds_of_its_parts() {
    let event = "é".repeat(limits::EVENT_ID / 2);
    let settings = Settings { branch: "b".repeat(32), ..settings() };
    let request = request(&settings, &cleared(Content::Text("x".into()), Some(&event)), &"m".repeat(32));
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let data = body["biz_opaque_callback_data"].as_str().unwrap();
    assert!(data.ends_with(&event) && data.chars().count() <= 512, "{data}");
}
