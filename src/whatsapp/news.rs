//! News of account, number and templates, as the platform reports them by itself: the fields of the facts (4.5) that an unattended
//! sender must watch.
//!
//! Floor: rooms. Reads one update at a time, and fails none: what it does not understand is no news.

use super::health::{people, template_state};
use super::notice::{cut, each, instant, text};
use crate::message::{Category, Closed, News, Quality, TemplateName};
use serde_json::Value;

/// The fields that say something about account, number or templates. All others are nobody's here, and may tell of people.
pub(super) const WATCHED: [&str; 10] = [
    "message_template_status_update",
    "message_template_quality_update",
    "template_category_update",
    "account_update",
    "business_capability_update",
    "phone_number_quality_update",
    "account_alerts",
    "account_review_update",
    "phone_number_name_update",
    "security",
];

/// What the update of a field says; nothing where it is not watched.
pub(super) fn news(field: &str, value: &Value) -> Vec<News> {
    if !WATCHED.contains(&field) {
        return Vec::new();
    }
    let event = text(value, "event").unwrap_or_default();
    let limit = || value.get("max_daily_conversations_per_business");
    match field {
        "message_template_status_update" => template(event, value).into_iter().collect(),
        "message_template_quality_update" => quality(value).into_iter().collect(),
        "template_category_update" => category(value),
        "account_update" => account(event, value),
        "business_capability_update" => {
            let limit = limit().or_else(|| value.get("max_daily_conversation_per_phone"));
            limit.and_then(people).map(News::People).into_iter().collect()
        }
        "phone_number_quality_update" => number(event, limit().or_else(|| value.get("current_limit"))),
        "account_alerts" => {
            let info = value.get("alert_info").unwrap_or(value);
            let part = |key| text(info, key).or_else(|| text(value, key)).unwrap_or_default();
            alert(format!("{}: {}", part("alert_type"), part("alert_description")))
        }
        "account_review_update" | "phone_number_name_update" => {
            let what = if field == "account_review_update" { "review of the account" } else { "the number's name" };
            text(value, "decision").map_or_else(Vec::new, |decision| alert(format!("{what}: {decision}")))
        }
        "security" => alert(format!("security of the number: {event}")),
        _ => Vec::new(),
    }
}

fn named(value: &Value) -> Option<TemplateName> {
    let name = text(value, "message_template_name")?.to_owned();
    Some(TemplateName { name, language: text(value, "message_template_language").map(str::to_owned) })
}

fn template(event: &str, value: &Value) -> Option<News> {
    let title = value.pointer("/other_info/title").and_then(Value::as_str).unwrap_or_default();
    let template = named(value)?;
    let reason = text(value, "reason").filter(|reason| *reason != "NONE").unwrap_or_default();
    let said: Vec<&str> = [event, title, reason].into_iter().filter(|part| !part.is_empty()).collect();
    let said = said.join(" ");
    match template_state(event) {
        Some(held) => Some(News::Template { template, held: held.filter(|_| title != "UNPAUSE"), said }),
        // Only a warning: it may still be used.
        None if matches!(event, "FLAGGED" | "PENDING_DELETION" | "LIMIT_EXCEEDED") => {
            Some(News::Alert { said: cut(&format!("template {}: {said}", template.name), 256) })
        }
        None => None,
    }
}

fn quality(value: &Value) -> Option<News> {
    let quality = Quality::of_code(text(value, "new_quality_score")?)?;
    Some(News::TemplateQuality { template: named(value)?, quality })
}

/// `correct_category` announces what `new_category` brings a day later.
fn category(value: &Value) -> Vec<News> {
    let Some(template) = named(value) else { return Vec::new() };
    if let Some(category) = text(value, "new_category").and_then(Category::of_code) {
        return vec![News::TemplateCategory { template, category }];
    }
    let to = text(value, "correct_category").unwrap_or("another category");
    alert(format!(
        "template {} will become {to}: look at consent and cost, and fetch templates.json again then",
        template.name
    ))
}

/// What it stands at now is only known of some events; whatever it is, the platform can be asked.
fn number(event: &str, limit: Option<&Value>) -> Vec<News> {
    let said = format!("the number's quality, limit or speed changed: {event}");
    let stands = match event {
        "FLAGGED" => News::Quality(Quality::Red),
        "THROUGHPUT_UPGRADE" => News::Speed(super::health::HIGH),
        _ => News::Ask { said },
    };
    limit.and_then(people).map(News::People).into_iter().chain([stands]).collect()
}

fn account(event: &str, value: &Value) -> Vec<News> {
    let close = |closed, until, said: String| vec![News::Account { closed, until, said }];
    match event {
        "ACCOUNT_RESTRICTION" => each(value, "restriction_info").flat_map(restriction).collect(),
        "DISABLED_UPDATE" => match value.pointer("/ban_info/waba_ban_state").and_then(Value::as_str) {
            Some("REINSTATE") => close(None, None, "the platform reinstated the account".to_owned()),
            Some("SCHEDULE_FOR_DISABLE") => {
                alert("the platform will disable the account: see Business Manager".to_owned())
            }
            _ => close(Some(Closed::All), None, "the platform disabled the account: see Business Manager".to_owned()),
        },
        "ACCOUNT_DELETED" | "ACCOUNT_OFFBOARDED" => {
            close(Some(Closed::All), None, format!("the account is gone: {event}"))
        }
        "ACCOUNT_RECONNECTED" => close(None, None, "the account is connected again".to_owned()),
        "ACCOUNT_VIOLATION" => alert(format!(
            "the account violated a policy: {}",
            value.pointer("/violation_info/violation_type").and_then(Value::as_str).unwrap_or("see Business Manager"),
        )),
        _ => Vec::new(),
    }
}

/// Each closes what it names, until its own end.
fn restriction(restriction: &Value) -> Vec<News> {
    let kind = text(restriction, "restriction_type").unwrap_or_default();
    let said = format!("the platform restricts the account: {kind}");
    let closed = match kind {
        "RESTRICTED_BIZ_INITIATED_MESSAGING" => Closed::Templates,
        "RESTRICTED_CUSTOMER_INITIATED_MESSAGING" => Closed::All,
        "RESTRICTED_UTILITY_TEMPLATES" => Closed::Utility,
        _ => return alert(said),
    };
    let until = restriction.get("expiration").and_then(instant);
    vec![News::Account { closed: Some(closed), until, said }]
}

fn alert(said: String) -> Vec<News> {
    vec![News::Alert { said: cut(&said, 256) }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Reason;
    use crate::time::Wall;
    use serde_json::json;

    #[test]
    fn states_of_templates() {
        let update = |event: &str, title: &str| {
            let value = json!({ "event": event, "message_template_name": "a", "message_template_language": "pt_BR",
                "reason": "NONE", "other_info": { "title": title } });
            news("message_template_status_update", &value)
        };
        for (event, title, held) in [
            ("APPROVED", "", None),
            ("REINSTATED", "", None),
            ("PAUSED", "FIRST_PAUSE", Some(Reason::TemplatePausedByPlatform)),
            ("PAUSED", "UNPAUSE", None),
            ("DISABLED", "DISABLED", Some(Reason::TemplateDisabled)),
            ("LOCKED", "", Some(Reason::TemplateDisabled)),
            ("REJECTED", "", Some(Reason::TemplatePolicy)),
            ("PENDING", "", Some(Reason::TemplateMissing)),
            ("DELETED", "", Some(Reason::TemplateMissing)),
        ] {
            let found = update(event, title);
            assert!(matches!(&found[..], [News::Template { held: found, .. }] if *found == held), "{event}: {found:?}");
        }
        assert!(matches!(&update("FLAGGED", "")[..], [News::Alert { said }] if said == "template a: FLAGGED"));
        assert_eq!(update("SOMETHING", ""), []);
        let template = TemplateName { name: "a".into(), language: None };
        let of = |field: &str, mut value: Value| {
            value["message_template_name"] = "a".into();
            news(field, &value)
        };
        assert_eq!(
            of("message_template_quality_update", json!({ "new_quality_score": "RED" })),
            [News::TemplateQuality { template: template.clone(), quality: Quality::Red }]
        );
        assert_eq!(
            of("template_category_update", json!({ "new_category": "MARKETING" })),
            [News::TemplateCategory { template, category: Category::Marketing }]
        );
        let ahead = of("template_category_update", json!({ "correct_category": "MARKETING" }));
        assert!(matches!(&ahead[..], [News::Alert { said }] if said.contains("will become MARKETING")), "{ahead:?}");
    }

    #[test]
    fn what_a_restriction_closes_and_until_when() {
        let account = |value: Value| {
            let closed = |news: News| match news {
                News::Account { closed, until, .. } => Some((closed, until)),
                _ => None,
            };
            news("account_update", &value).into_iter().filter_map(closed).collect::<Vec<_>>()
        };
        let one = |kind: &str, end: Value| json!({ "restriction_type": kind, "expiration": end });
        let restricted = |info: &[Value]| account(json!({ "event": "ACCOUNT_RESTRICTION", "restriction_info": info }));
        let end = Some(Wall(1_763_900_000_000));
        assert_eq!(
            restricted(&[
                one("RESTRICTED_BIZ_INITIATED_MESSAGING", json!(1_763_900_000)),
                one("RESTRICTED_CUSTOMER_INITIATED_MESSAGING", Value::Null),
                one("RESTRICTED_UTILITY_TEMPLATES", json!("1763900000")),
                one("RESTRICTED_ADD_PHONE_NUMBER_ACTION", json!(1)),
            ]),
            [(Some(Closed::Templates), end), (Some(Closed::All), None), (Some(Closed::Utility), end)]
        );
        let ban = |state: &str| account(json!({ "event": "DISABLED_UPDATE", "ban_info": { "waba_ban_state": state } }));
        assert_eq!(ban("DISABLE"), [(Some(Closed::All), None)]);
        assert_eq!(ban("REINSTATE"), [(None, None)]);
        assert_eq!(ban("SCHEDULE_FOR_DISABLE"), []);
        assert_eq!(account(json!({ "event": "ACCOUNT_DELETED" })), [(Some(Closed::All), None)]);
        assert_eq!(account(json!({ "event": "ACCOUNT_RECONNECTED" })), [(None, None)]);
    }

    #[test]
    fn limits_quality_and_what_somebody_should_look_at() {
        let limit = |limit: Value| json!({ "max_daily_conversations_per_business": limit });
        assert_eq!(news("business_capability_update", &limit(json!("TIER_2K"))), [News::People(2_000)]);
        assert_eq!(news("business_capability_update", &limit(json!("many"))), []);
        let changed = |event: &str, limit: Value| {
            news("phone_number_quality_update", &json!({ "event": event, "current_limit": limit }))
        };
        assert_eq!(changed("FLAGGED", json!("TIER_250")), [News::People(250), News::Quality(Quality::Red)]);
        assert_eq!(changed("THROUGHPUT_UPGRADE", Value::Null), [News::Speed(1000)]);
        assert!(matches!(&changed("UNFLAGGED", Value::Null)[..], [News::Ask { .. }]));
        for field in ["account_alerts", "security"] {
            assert!(matches!(&news(field, &json!({}))[..], [News::Alert { .. }]), "{field}");
        }
        assert!(matches!(&news("account_review_update", &json!({ "decision": "APPROVED" }))[..], [News::Alert { .. }]));
        assert_eq!(news("flows", &json!({ "event": "x" })), [], "fields that nobody watches");
    }
}
