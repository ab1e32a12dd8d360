//! The health of the number: what the platform is asked about it, and what its answers say.
//!
//! Floor: rooms. Makes no request and holds nothing: what an answer says is [`News`], as if the platform had reported it.

use super::{Settings, row};
use crate::message::{Answer, CanSend, Category, Lost, News, NotSent, Quality, Reason, TemplateName, UNLIMITED};
use serde_json::Value;

/// What is asked of the number (facts 2.1, 2.3, 2.5, 5).
pub const NUMBER_FIELDS: &str =
    "quality_rating,throughput,whatsapp_business_manager_messaging_limit,status,health_status,display_phone_number";
const TEMPLATE_FIELDS: &str = "name,language,status,category,quality_score";
/// Templates of a page: the most that the platform gives.
const PAGE: usize = 100;
/// Messages a second at the level STANDARD, and at HIGH (facts 2.1).
const STANDARD: u32 = 80;
pub(super) const HIGH: u32 = 1000;

/// A question as a GET: path and query below `uplink.base_url`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Look {
    /// `/v25.0/106540352242922`
    pub path: String,
    /// `fields=…`
    pub query: String,
}

/// The question about the number itself.
pub fn about_number(settings: &Settings) -> Look {
    let path = format!("/{}/{}", settings.api_version, settings.phone_number_id);
    Look { path, query: format!("fields={NUMBER_FIELDS}") }
}

/// The question about the templates of an account; `after` is the page before's cursor.
pub fn about_templates(settings: &Settings, account: &str, after: Option<&str>) -> Look {
    let mut query = format!("fields={TEMPLATE_FIELDS}&limit={PAGE}");
    if let Some(after) = after {
        query.push_str("&after=");
        query.extend(after.bytes().map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        }));
    }
    Look { path: format!("/{}/{account}/message_templates", settings.api_version), query }
}

/// What was answered about the number.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NumberRead {
    /// What it says.
    pub news: Vec<News>,
    /// `CONNECTED`, `FLAGGED` …; empty where it was not told.
    pub status: String,
    /// The account whose templates are asked for next.
    pub account: Option<String>,
    /// The number as people see it: digits.
    pub number: Option<String>,
}

/// Reads the answer about the number. What it does not hold (a gateway may answer less) is no news.
///
/// # Errors
/// Why nothing is known, for a person.
pub fn number(answer: &Answer) -> Result<NumberRead, String> {
    let body = body(answer)?;
    let text = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default();
    let mut read = NumberRead { status: text("status").to_owned(), ..NumberRead::default() };
    read.news.extend(Quality::of_code(text("quality_rating")).map(News::Quality));
    read.news.extend(match body.pointer("/throughput/level").and_then(Value::as_str) {
        Some("STANDARD") => Some(News::Speed(STANDARD)),
        Some("HIGH") => Some(News::Speed(HIGH)),
        _ => None,
    });
    let limit = body.get("whatsapp_business_manager_messaging_limit");
    read.news.extend(limit.and_then(people).map(News::People));
    read.news.extend(can_send(&body, text("status")));
    read.account = account(&body["health_status"]);
    read.number = super::notice::digits(text("display_phone_number"));
    Ok(read)
}

/// The account (WABA) that the number belongs to: the answer on its health names it beside the number, the business and the app.
pub fn account(health: &Value) -> Option<String> {
    let entities = health["entities"].as_array()?;
    let found = entities.iter().find(|entity| entity["entity_type"] == "WABA")?["id"].as_str()?;
    found.bytes().all(|byte| byte.is_ascii_digit()).then(|| found.to_owned())
}

/// What the platform says about why, and what to do: of each object behind the number.
pub fn advice(health: &Value) -> Vec<&str> {
    let entities = || health["entities"].as_array().into_iter().flatten();
    let errors = entities().flat_map(|entity| entity["errors"].as_array().into_iter().flatten());
    let limits = entities().flat_map(|entity| entity["additional_info"].as_array().into_iter().flatten());
    errors.map(|error| &error["possible_solution"]).chain(limits).filter_map(Value::as_str).collect()
}

/// The number's own state says more than its health where it cannot come back by itself.
fn can_send(body: &Value, status: &str) -> Option<News> {
    if matches!(status, "BANNED" | "DELETED" | "DISCONNECTED" | "MIGRATED") {
        let said = format!("the platform lists the number as {}", status.to_ascii_lowercase());
        return Some(News::CanSend { can: CanSend::Blocked, said });
    }
    let can = match body.pointer("/health_status/can_send_message").and_then(Value::as_str)? {
        "AVAILABLE" => CanSend::Available,
        "LIMITED" => CanSend::Limited,
        "BLOCKED" => CanSend::Blocked,
        _ => return None,
    };
    let said = super::notice::cut(&advice(&body["health_status"]).join(" "), 256);
    Some(News::CanSend { can, said })
}

/// `TIER_2K`, `TIER_UNLIMITED`, `2000`, `"2000"` or `-1`: all are seen (facts 2.3).
pub fn people(limit: &Value) -> Option<u64> {
    match (limit.as_str(), limit.as_i64()) {
        (Some("TIER_UNLIMITED"), _) | (_, Some(-1)) => Some(UNLIMITED),
        (Some(tier), _) => {
            let tier = tier.strip_prefix("TIER_").unwrap_or(tier);
            match tier.strip_suffix('K') {
                Some(thousands) => thousands.parse::<u64>().ok()?.checked_mul(1_000),
                None => tier.parse().ok(),
            }
        }
        (None, limit) => u64::try_from(limit?).ok(),
    }
}

/// Reads a page of templates: what it says, and the cursor of the next page.
///
/// # Errors
/// Why nothing is known, for a person.
pub fn templates(answer: &Answer) -> Result<(Vec<News>, Option<String>), String> {
    let body = body(answer)?;
    let Some(list) = body["data"].as_array() else { return Err("the answer is no list of templates".to_owned()) };
    let mut news = Vec::new();
    for entry in list {
        let text = |key: &str| entry.get(key).and_then(Value::as_str);
        let (Some(name), Some(status)) = (text("name"), text("status")) else { continue };
        let template = TemplateName { name: name.to_owned(), language: text("language").map(str::to_owned) };
        if let Some(held) = template_state(status) {
            news.push(News::Template { template: template.clone(), held, said: status.to_owned() });
        }
        let quality = entry.pointer("/quality_score/score").and_then(Value::as_str).and_then(Quality::of_code);
        news.extend(quality.map(|quality| News::TemplateQuality { template: template.clone(), quality }));
        let category = text("category").and_then(Category::of_code);
        news.extend(category.map(|category| News::TemplateCategory { template, category }));
    }
    // The link itself would hold the token.
    let more = !body["paging"]["next"].is_null();
    Ok((news, body["paging"]["cursors"]["after"].as_str().filter(|_| more).map(str::to_owned)))
}

/// What a template's state means: why it may not be used, the inner `None` where it may. `None` for states that change nothing.
pub(super) fn template_state(state: &str) -> Option<Option<Reason>> {
    match state {
        "APPROVED" | "REINSTATED" => Some(None),
        "PAUSED" => Some(Some(Reason::TemplatePausedByPlatform)),
        "DISABLED" | "LOCKED" => Some(Some(Reason::TemplateDisabled)),
        "REJECTED" | "IN_APPEAL" => Some(Some(Reason::TemplatePolicy)),
        "PENDING" | "ARCHIVED" | "DELETED" => Some(Some(Reason::TemplateMissing)),
        _ => None,
    }
}

/// The JSON of a good answer.
fn body(answer: &Answer) -> Result<Value, String> {
    match answer {
        Answer::Http { status, body, .. } => {
            let body: Value = serde_json::from_slice(body).unwrap_or_default();
            match body["error"]["code"].as_i64() {
                Some(code) => {
                    let hint = row(code).map_or("see the platform's list of error codes", |row| row.hint);
                    Err(format!("refused with code {code}: {hint}"))
                }
                None if *status == 200 && body.is_object() => Ok(body),
                None => Err(format!("HTTP {status}, and not in the API's form")),
            }
        }
        Answer::NotSent(NotSent::NoConnection(why) | NotSent::Tls(why)) | Answer::Lost(Lost::Broken(why)) => {
            Err(why.clone())
        }
        Answer::NotSent(NotSent::StreamRefused) => Err("the server takes no request now".to_owned()),
        Answer::Lost(Lost::Timeout) => Err("no answer in time".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(status: u16, body: &Value) -> Answer {
        Answer::Http { status, body: body.to_string().into(), date: None }
    }

    #[test]
    fn a_number_is_read_as_far_as_it_is_told() {
        let health = |can: &str| {
            json!({ "can_send_message": can, "entities": [
                { "entity_type": "PHONE_NUMBER", "id": "1", "can_send_message": "AVAILABLE" },
                { "entity_type": "WABA", "id": "42", "can_send_message": can,
                  "errors": [{ "error_code": 141006, "possible_solution": "Add a payment method." }] }]})
        };
        let said = "Add a payment method.".to_owned();
        let can = |can| News::CanSend { can, said: said.clone() };
        let whole = json!({ "quality_rating": "YELLOW", "throughput": { "level": "STANDARD" }, "status": "FLAGGED",
            "whatsapp_business_manager_messaging_limit": "TIER_2K", "health_status": health("LIMITED"), "id": "1",
            "display_phone_number": "+55 11 5555-0000" });
        let read = number(&answer(200, &whole)).unwrap();
        let wanted = [News::Quality(Quality::Yellow), News::Speed(80), News::People(2_000), can(CanSend::Limited)];
        assert_eq!((read.news.as_slice(), read.account.as_deref()), (&wanted[..], Some("42")));
        assert_eq!(read.number.as_deref(), Some("551155550000"));
        assert_eq!(read.status, "FLAGGED");

        for (body, wanted) in [
            (json!({ "id": "1" }), vec![]),
            (json!({ "quality_rating": "BLUE", "throughput": { "level": "NOT_APPLICABLE" } }), vec![]),
            (json!({ "throughput": { "level": "HIGH" } }), vec![News::Speed(1000)]),
            (json!({ "health_status": health("AVAILABLE") }), vec![can(CanSend::Available)]),
            (json!({ "health_status": health("BLOCKED"), "status": "CONNECTED" }), vec![can(CanSend::Blocked)]),
            (
                json!({ "health_status": { "can_send_message": "AVAILABLE" }, "status": "BANNED" }),
                vec![News::CanSend {
                    can: CanSend::Blocked,
                    said: "the platform lists the number as banned".to_owned(),
                }],
            ),
        ] {
            assert_eq!(number(&answer(200, &body)).unwrap().news, wanted, "{body}");
        }
        assert_eq!(account(&json!({ "entities": [{ "entity_type": "WABA", "id": "../x" }] })), None);
    }

    #[test]
    fn limits_are_read_in_every_form_that_is_seen() {
        for (limit, wanted) in [
            (json!("TIER_2K"), Some(2_000)),
            (json!(2000), Some(2_000)),
            (json!("250"), Some(250)),
            (json!("TIER_250"), Some(250)),
            (json!("TIER_UNLIMITED"), Some(UNLIMITED)),
            (json!(-1), Some(UNLIMITED)),
            (json!(-2), None),
            (json!("many"), None),
            (json!(null), None),
        ] {
            assert_eq!(people(&limit), wanted, "{limit}");
        }
    }

    #[test]
    fn pages_of_templates_are_read_to_the_end() {
        let entry = |status: &str| json!({ "name": "a", "language": "pt_BR", "status": status });
        let page = json!({ "data": [entry("PAUSED"), entry("APPROVED"), entry("FLAGGED"), { "name": 1 },
            { "name": "b", "language": "es", "status": "REJECTED", "category": "MARKETING", "quality_score": { "score": "RED" } }],
            "paging": { "cursors": { "after": "Q/=" }, "next": "https://x" } });
        let (news, after) = templates(&answer(200, &page)).unwrap();
        let of = |name: &str, language: &str| TemplateName { name: name.into(), language: Some(language.into()) };
        let state = |template, held, said: &str| News::Template { template, held, said: said.into() };
        assert_eq!(
            news,
            [
                state(of("a", "pt_BR"), Some(Reason::TemplatePausedByPlatform), "PAUSED"),
                state(of("a", "pt_BR"), None, "APPROVED"),
                state(of("b", "es"), Some(Reason::TemplatePolicy), "REJECTED"),
                News::TemplateQuality { template: of("b", "es"), quality: Quality::Red },
                News::TemplateCategory { template: of("b", "es"), category: Category::Marketing },
            ]
        );
        let settings = Settings { api_version: "v25.0".into(), phone_number_id: "1".into(), ..Settings::default() };
        let next = about_templates(&settings, "42", after.as_deref());
        assert_eq!(next.path, "/v25.0/42/message_templates");
        assert!(next.query.ends_with("&limit=100&after=Q%2F%3D"), "{}", next.query);
        let last = json!({ "data": [], "paging": { "cursors": { "after": "x" } } });
        assert_eq!(templates(&answer(200, &last)).unwrap(), (vec![], None));
        assert!(templates(&answer(200, &json!({}))).is_err());
    }

    #[test]
    fn no_answer_is_told_without_a_secret() {
        let error = json!({ "error": { "code": 190, "message": "Malformed access token EAAGsecret" } });
        for (answer, words) in [
            (answer(401, &error), "replace the token file"),
            (answer(503, &Value::Null), "HTTP 503"),
            (answer(200, &Value::Null), "not in the API's form"),
            (Answer::Lost(Lost::Timeout), "no answer in time"),
            (Answer::NotSent(NotSent::NoConnection("refused".into())), "refused"),
        ] {
            let why = number(&answer).unwrap_err();
            assert!(why.contains(words) && !why.contains("EAAG"), "{why}");
        }
    }
}
