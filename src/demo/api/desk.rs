//! The control endpoint: what can be asked and told over HTTP, on the same address, below a path that the platform has not.
//!
//! Floor: demo. Whoever reaches the address may use it; that is why a sandbox listens on this machine only, unless told.
//! No fault strikes here, but for the ones that close or mute connections before any path is known.

use super::control::{Answer, Control, Seen};
use super::decide::Reply;
use super::fault::{Armed, Fault};
use super::people::Standing;
use super::step::{Order, Step};
use super::webhook::Post;
use super::{json, lock, query};
use http::request::Parts;
use serde_json::{Map, Value, json};
use std::sync::atomic::Ordering;
use std::time::Instant;

const PATH: &str = "/sandbox";
/// Requests that one answer lists unless it is asked otherwise.
const PAGE: usize = 100;

/// Whether a request is for us, not for the platform.
pub(super) fn is_for(path: &str) -> bool {
    path.strip_prefix(PATH).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The answer.
pub(super) fn answer(control: &Control, parts: &Parts, body: Option<&[u8]>) -> Reply {
    let path = parts.uri.path().strip_prefix(PATH).unwrap_or_default().trim_end_matches('/');
    let query = parts.uri.query().unwrap_or_default();
    let (status, body) = match (parts.method.as_str(), path) {
        ("GET", "") => (200, help()),
        ("GET", "/state") => (200, state(control)),
        ("GET", "/messages") => match messages(control, query) {
            Ok(found) => (200, found),
            Err(why) => (400, json!({ "error": why })),
        },
        ("POST", "/step") => step(control, body),
        _ => (404, json!({ "error": format!("no {} {PATH}{path} here", parts.method), "known": help()["known"] })),
    };
    Reply { status, body: format!("{body:#}\n").into(), location: None }
}

fn help() -> Value {
    json!({
        "what": "the control endpoint of branchline sandbox: a simulated WhatsApp Cloud API",
        "known": {
            "GET /sandbox/state": "counters, faults in wait, limits, account, people that stand apart, what became of reports",
            "GET /sandbox/messages?after=N&limit=N&to=NUMBER&accepted=true": "what was received, oldest first, as the person would read it",
            "POST /sandbox/step": "one step of a scenario, as JSON, done at once or at its time from now",
        },
        "steps": [
            { "fault": "hang", "count": 5 },
            { "fault": "code", "code": 131026, "only": { "to": "+5511987654321" } },
            { "fault": "status", "status": 503, "for": "30s", "share": 0.2 },
            { "fault": "refuse-connections", "for": "10s" },
            { "clear": "all" },
            { "cut": true },
            { "settings": { "sender_per_second": 20, "token": "another" } },
            { "template": { "name": "order_ready", "language": "pt_BR", "status": "PAUSED" } },
            { "window": { "number": "+5511987654321", "open": true } },
            { "inbound": { "from": "+5511987654321", "text": "STOP" } },
            { "inbound": { "from": "+5511987654321", "button": "Confirmar", "payload": "ack" }, "at": "10s" },
            { "preference": { "number": "+5511987654321", "value": "stop" } },
            { "person": { "number": "+5511987654321", "undeliverable": 131026 } },
            { "settings": { "account": { "messaging_limit": "TIER_2K", "quality_rating": "RED", "can_send_message": "LIMITED" } } },
            { "skip": "25h" },
            { "account": { "event": "ACCOUNT_RESTRICTION", "restrictions": ["RESTRICTED_BIZ_INITIATED_MESSAGING"], "for": "1h" } },
            { "settings": { "reports": { "sent": "0ms..700ms", "delivered": "1s", "disorder": 0.2, "repeats": 0.5 } } },
            { "reset": true },
        ],
        "faults": Fault::names().collect::<Vec<_>>(),
    })
}

fn state(control: &Control) -> Value {
    let closed = control.0.gate.is_closed();
    let inner = control.0.lock();
    let counters = inner.counters;
    json!({
           "uptime_ms": control.0.now().as_millis() as u64,
           "port": if closed { "closed" } else { "open" },
           "counters": {
               "connections": counters.connections,
               "failed_handshakes": counters.failed_handshakes,
               "heads": counters.heads,
               "whole": counters.whole,
               "accepted": counters.accepted,
               "repeats": counters.repeats,
               "refused": counters.refused,
           },
           "faults": inner.faults.iter().map(fault).collect::<Vec<_>>(),
           "limits": {
               "sender_per_second": inner.limits.sender_per_second,
               "pair_burst": inner.limits.pair_burst,
               "messaging_limit_counted": inner.people.counted(control.0.now()),
               "pair_slack_ms": inner.limits.pair_slack.as_millis() as u64,
           },
    "account": inner.account.shown(control.0.now()),
           "people": inner.people.special().into_iter().map(person).collect::<Map<_, _>>(),
           "skipped_ms": control.0.skipped.load(Ordering::SeqCst),
           "record_complete": !inner.unrecorded,
           "callback": control.0.post.as_ref().map(callback),
       })
}

fn person((wa_id, standing): (&str, &Standing)) -> (String, Value) {
    let shown = json!({
        "undeliverable": standing.undeliverable,
        "no_marketing": standing.no_marketing,
        "identity_key_hash": standing.identity,
    });
    (wa_id.to_owned(), shown)
}

fn callback(post: &Post) -> Value {
    let tally = lock(&post.tally);
    json!({
        "verified": tally.verified,
        "pending": tally.pending,
        "delivered": tally.delivered,
        "posts": tally.posts,
        "refused": tally.refused,
        "given_up": tally.given_up,
        "dropped": tally.dropped,
        "trouble": tally.trouble,
    })
}

fn fault(armed: &Armed) -> Value {
    json!({
        "id": armed.id,
        "fault": armed.fault.to_string(),
        "aim": armed.aim.to_string(),
        "left": armed.left,
        "struck": armed.struck,
    })
}

fn messages(control: &Control, query: &str) -> Result<Value, String> {
    let (mut after, mut limit, mut to, mut accepted) = (0, PAGE, None, None);
    for (name, value, _) in query::pairs(query) {
        let wrong = || format!("{name}={value}: not what {name} takes");
        match name.as_str() {
            "after" => after = value.parse().map_err(|_| wrong())?,
            "limit" => limit = value.parse().map_err(|_| wrong())?,
            "accepted" => accepted = Some(value.parse::<bool>().map_err(|_| wrong())?),
            "to" => to = Some(control.0.person(&value)),
            _ => return Err(format!("{name}: unknown; known are after, limit, to and accepted")),
        }
    }
    let inner = control.0.lock();
    let fits = |seen: &Seen| {
        accepted.is_none_or(|accepted| seen.accepted() == accepted)
            && to.as_ref().is_none_or(|to| control.0.person(&seen.to) == *to)
    };
    let found = inner.seen.after(after).filter(|(_, seen)| fits(seen)).take(limit);
    let messages: Vec<Value> = found.map(|(number, seen)| message(number, seen)).collect();
    Ok(json!({ "messages": messages }))
}

fn message(number: u64, seen: &Seen) -> Value {
    let mut shown = json!({
        "number": number,
        "at_ms": seen.at.as_millis() as u64,
        "path": seen.path,
        "to": seen.to,
        "type": seen.kind,
        "text": seen.text,
        "parameters": seen.parameters,
        "http": if seen.http2 { 2 } else { 1 },
    });
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            shown[name] = value;
        }
    };
    put("template", seen.template.clone().map(Value::from));
    put("language", seen.language.clone().map(Value::from));
    put("data", seen.data.clone().map(Value::from));
    put("repeat", seen.repeat.map(|repeat| format!("{repeat:?}").to_lowercase().into()));
    put("details", Some(seen.details.clone()).filter(|details| !details.is_empty()).map(Value::from));
    let (name, value): (&str, Value) = match &seen.answer {
        Answer::Accepted(wamid) => ("accepted", wamid.clone().into()),
        Answer::Refused(code) => ("refused", (*code).into()),
        Answer::Status(status) => ("status", (*status).into()),
        Answer::Nothing => ("nothing", true.into()),
    };
    put("answer", Some(json!({ name: value })));
    shown
}

fn step(control: &Control, body: Option<&[u8]>) -> (u16, Value) {
    let value = match json::read(body.unwrap_or_default()) {
        Ok(value) => value,
        Err(why) => return (400, json!({ "problems": [format!("the body is not JSON: {why}")] })),
    };
    let step = match Step::read(&value, "") {
        Ok(step) => step,
        Err(wrong) => {
            let told = |wrong: &super::table::Wrong| json!({ "at": wrong.at, "problem": wrong.text });
            return (400, json!({ "problems": wrong.iter().map(told).collect::<Vec<_>>() }));
        }
    };
    if let Order::Fault(fault @ (Fault::RefuseConnections | Fault::MuteTls), aim) = &step.order
        && aim.lasts.is_none()
    {
        let why = format!("{} needs \"for\": nobody could reach this address to clear it", fault.name());
        return (400, json!({ "problems": [{ "at": "/for", "problem": why }] }));
    }
    if !step.at.is_zero() || step.every.is_some() {
        control.follow(&step, Instant::now());
        return (202, json!({ "done": "it waits for its time" }));
    }
    match control.obey(&step.order) {
        Ok(done) => (200, json!({ "done": done })),
        Err(why) => (409, json!({ "problems": [{ "at": "", "problem": why }] })),
    }
}
