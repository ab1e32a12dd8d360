//! What can be looked up: the number, the account, its templates, one template (facts 1.4, 2, 5).
//!
//! Floor: demo. Answers hold the fields that were asked for, and the id.

use super::access::{self, Wanted};
use super::account::{Account, Health};
use super::decide::Request;
use super::json::Checked;
use super::refusal::Refusal;
use super::state::State;
use super::{lock, people, query};
use reqwest::Url;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Entries of a page where no `limit` is asked for, and at most: a page may hold fewer than were asked for.
const PAGE: usize = 25;
const LONGEST_PAGE: usize = 100;

/// `GET /{version}/{id}[/message_templates]?fields=…`
pub(super) fn look_up(state: &State, request: &Request) -> Checked<Value> {
    let wanted = access::admit(state, request, None)?;
    let (account, now) = (state.lock().account.clone(), state.now());
    if !state.lock().lookups.spend_within(now, account.lookups_per_hour, people::DAY / 24) {
        return Err(Refusal::new(80007, "too many calls to this WhatsApp business account within an hour"));
    }
    let fields = query::value(&request.query, "fields");
    let fields = fields.as_deref().map(|fields| fields.split(',').map(str::trim).collect::<Vec<_>>());
    match wanted {
        Wanted::Number => number(state, &account, fields.as_deref().unwrap_or(NUMBER)),
        Wanted::Account => waba(&account, now, fields.as_deref().unwrap_or(&["id", "name", "currency", "timezone_id"])),
        Wanted::Templates => templates(state, request, fields.as_deref()),
        Wanted::Other(id) => template(state, &account, &id, fields.as_deref()),
        // Messages are sent, and cannot be read.
        Wanted::Send(_) => Err(Refusal::no_such_object()),
    }
}

/// What the platform tells of a number when no field is asked for.
const NUMBER: &[&str] = &["id", "display_phone_number", "verified_name", "quality_rating"];

fn number(state: &State, account: &Account, fields: &[&str]) -> Checked<Value> {
    let (settings, now) = (&state.settings, state.now());
    let rate = state.lock().limits.sender_per_second;
    pick(&settings.phone_number_id, fields, "WhatsAppBusinessPhoneNumber", |field| {
        Some(match field {
            "display_phone_number" => format!("+{}", settings.own_number).into(),
            "verified_name" => account.verified_name.clone().into(),
            "quality_rating" => account.quality_rating.clone().into(),
            "throughput" => json!({ "level": if rate > 80 { "HIGH" } else { "STANDARD" } }),
            "whatsapp_business_manager_messaging_limit" => account.tier().into(),
            "health_status" => {
                let number = entity("PHONE_NUMBER", &settings.phone_number_id, account.health);
                health(account, now, vec![number])
            }
            "status" => "CONNECTED".into(),
            "name_status" => "APPROVED".into(),
            "code_verification_status" => "VERIFIED".into(),
            "platform_type" => "CLOUD_API".into(),
            "account_mode" => "LIVE".into(),
            "is_official_business_account" => false.into(),
            "is_pin_enabled" => true.into(),
            _ => return None,
        })
    })
}

fn waba(account: &Account, now: Duration, fields: &[&str]) -> Checked<Value> {
    pick(&account.waba_id, fields, "WhatsAppBusinessAccount", |field| {
        Some(match field {
            "name" => account.verified_name.clone().into(),
            "currency" => "BRL".into(),
            // America/Sao_Paulo by the platform's own numbers.
            "timezone_id" => "25".into(),
            "account_review_status" => "APPROVED".into(),
            "health_status" => health(account, now, Vec::new()),
            _ => return None,
        })
    })
}

fn template(state: &State, account: &Account, id: &str, fields: Option<&[&str]>) -> Checked<Value> {
    let templates = lock(&state.templates);
    let entry = templates.entries().find(|entry| entry["id"] == id).ok_or_else(Refusal::no_such_object)?;
    let approved = if entry["status"] == "APPROVED" { Health::Available } else { Health::Blocked };
    match fields {
        None => Ok(entry.clone()),
        Some(fields) => pick(id, fields, "WhatsAppMessageTemplate", |field| match field {
            "health_status" => Some(health(account, state.now(), vec![entity("MESSAGE_TEMPLATE", id, approved)])),
            field => of_template(entry, field),
        }),
    }
}

/// What a template may be asked for. One that the list leaves out has none: null would be a value.
fn of_template(entry: &Value, field: &str) -> Option<Value> {
    const OPTIONAL: &[&str] = &[
        "quality_score",
        "rejected_reason",
        "previous_category",
        "correct_category",
        "sub_category",
        "parameter_format",
        "message_send_ttl_seconds",
        "cta_url_link_tracking_opted_out",
        "library_template_name",
        "last_updated_time",
        "id",
    ];
    let value = entry.get(field).cloned();
    value.or_else(|| OPTIONAL.contains(&field).then_some(Value::Null))
}

/// The asked fields that the object has, and its id.
fn pick(id: &str, fields: &[&str], node: &str, value: impl Fn(&str) -> Option<Value>) -> Checked<Value> {
    let mut found = Map::new();
    for field in fields.iter().filter(|field| !["", "id"].contains(*field)) {
        let details = || format!("Tried accessing nonexisting field ({field}) on node type ({node})");
        match value(field).ok_or_else(|| Refusal::new(100, details()))? {
            Value::Null => {}
            value => drop(found.insert((*field).to_owned(), value)),
        }
    }
    if !id.is_empty() {
        found.insert("id".to_owned(), id.into());
    }
    Ok(found.into())
}

/// The health of an object and of all that is behind it; the worst of them counts.
fn health(account: &Account, now: Duration, mut entities: Vec<Value>) -> Value {
    entities.extend([
        entity("WABA", &account.waba_id, account.waba_health(now)),
        entity("BUSINESS", &account.business_id, Health::Available),
        entity("APP", &account.app_id, Health::Available),
    ]);
    let says = |health: &Health| entities.iter().any(|entity| entity["can_send_message"] == health.word());
    let worst = [Health::Blocked, Health::Limited].into_iter().find(says);
    json!({ "can_send_message": worst.unwrap_or(Health::Available).word(), "entities": entities })
}

fn entity(kind: &str, id: &str, health: Health) -> Value {
    let mut entity = json!({ "entity_type": kind, "id": id, "can_send_message": health.word() });
    match (health, kind) {
        (Health::Available, _) => {}
        (Health::Limited, _) => entity["additional_info"] = json!(["as the simulator was told"]),
        (Health::Blocked, "MESSAGE_TEMPLATE") => {
            entity["errors"] = json!([{
                "error_code": 141002,
                "error_description": "Message templates can only be sent out if they are approved.",
                "possible_solution": "Edit or appeal the message template review decision.",
            }]);
        }
        (Health::Blocked, _) => {
            entity["errors"] = json!([{
                "error_code": 131031,
                "error_description": "Account has been locked",
                "possible_solution": "Tell the simulator that the number may send again.",
            }]);
        }
    }
    entity
}

/// `GET /{version}/{waba_id}/message_templates`: filtered, in pages.
fn templates(state: &State, request: &Request, fields: Option<&[&str]>) -> Checked<Value> {
    let asked = |name| query::value(&request.query, name);
    let templates = lock(&state.templates);
    // [?] How a name is compared is not documented: whole. States and categories are written in either case.
    let filters = ["name", "language", "status", "category"].map(|name| (name, asked(name)));
    let all: Vec<&Value> = templates
        .entries()
        .filter(|entry| {
            let fits = |(name, wanted): &(&str, Option<String>)| {
                let has = entry[*name].as_str().unwrap_or_default();
                wanted.as_ref().is_none_or(|wanted| has.eq_ignore_ascii_case(wanted))
            };
            filters.iter().all(fits)
        })
        .collect();
    let limit = match asked("limit").map(|limit| limit.parse::<usize>()) {
        None => PAGE,
        Some(Ok(limit)) if limit > 0 => limit.min(LONGEST_PAGE),
        Some(_) => return Err(Refusal::new(100, "limit must be a whole number of at least 1")),
    };
    let (from, to) = match (asked("after"), asked("before")) {
        (None, None) => (0, limit),
        (Some(after), None) => (place(&after)? + 1, place(&after)? + 1 + limit),
        (None, Some(before)) => (place(&before)?.saturating_sub(limit), place(&before)?),
        (Some(_), Some(_)) => return Err(Refusal::new(100, "either after or before")),
    };
    let (from, to) = (from.min(all.len()), to.min(all.len()));
    let page = all[from..to].iter().map(|entry| match fields {
        None => Ok((*entry).clone()),
        Some(fields) => {
            let id = entry["id"].as_str().unwrap_or_default();
            pick(id, fields, "WhatsAppMessageTemplate", |field| of_template(entry, field))
        }
    });
    let mut answer = json!({ "data": page.collect::<Checked<Vec<Value>>>()? });
    if from < to {
        answer["paging"] = json!({ "cursors": { "before": cursor(from), "after": cursor(to - 1) } });
        if to < all.len() {
            answer["paging"]["next"] = address(state, request, "after", &cursor(to - 1)).into();
        }
        if from > 0 {
            answer["paging"]["previous"] = address(state, request, "before", &cursor(from)).into();
        }
    }
    Ok(answer)
}

/// The same request at another cursor. The platform puts the token into it; here it stays in the header.
fn address(state: &State, request: &Request, name: &str, cursor: &str) -> String {
    let base = format!("{}{}?{}", state.gate.origin(request.host.as_deref()), request.path, request.query);
    let Ok(mut url) = Url::parse(&base) else { return base };
    let kept = |key: &str| !["after", "before", "access_token", "appsecret_proof"].contains(&key);
    let pairs = query::pairs(&request.query).filter(|(key, ..)| kept(key)).map(|(key, value, _)| (key, value));
    url.query_pairs_mut().clear().extend_pairs(pairs).append_pair(name, cursor);
    url.into()
}

/// Opaque, and no plain offset that somebody could write by hand.
fn cursor(place: usize) -> String {
    format!("QVFIU{:06x}ZD", place ^ CURSOR)
}

fn place(cursor: &str) -> Checked<usize> {
    let place = cursor.strip_prefix("QVFIU").and_then(|rest| rest.strip_suffix("ZD"));
    let place = place.and_then(|place| usize::from_str_radix(place, 16).ok());
    place.map(|place| place ^ CURSOR).ok_or_else(|| Refusal::new(131059, "the paging cursor is invalid"))
}

const CURSOR: usize = 0x5a_c3_9e;
