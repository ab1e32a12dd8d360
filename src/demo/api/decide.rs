//! From a request to its end: path, token, shape, recipient, template, window, pace; then what the faults make of it.
//!
//! Floor: demo. Synchronous; what is read from and written to the network is in `serve`.

use super::control::{Answer, Repeat, Seen};
use super::fault::{Fault, Stage};
use super::json::Checked;
use super::lock;
use super::message::{self, Passed};
use super::pace::Pair;
use super::refusal::Refusal;
use super::state::State;
use bytes::Bytes;
use ring::hmac;
use serde_json::{Value, json};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// A request that was read whole.
pub(super) struct Request {
    pub(super) get: bool,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) authorization: Option<String>,
    pub(super) json: bool,
    /// `None`: larger than is read.
    pub(super) body: Option<Bytes>,
    pub(super) http2: bool,
}

/// An answer on the wire.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Bytes,
    pub(super) location: Option<String>,
}

/// What happens on the wire.
pub(super) enum Ending {
    Answer(Reply),
    Later(Duration, Reply),
    Never,
    /// The connection is reset.
    Cut,
    /// The stream is reset (HTTP/1.1: the connection).
    Drop,
}

/// Bytes of a request body that are read; the largest that the facts allow is far below.
pub(super) const BODY: usize = 64 * 1024;

pub(super) fn decide(state: &State, request: &Request) -> Ending {
    if request.get {
        state.change(|inner| inner.counters.whole += 1);
        return Ending::Answer(match look_up(state, request) {
            Ok(found) => reply(200, &found),
            Err(refusal) => refused(state, &refusal),
        });
    }
    let body: Option<Value> = request.body.as_ref().and_then(|body| serde_json::from_slice(body).ok());
    let mut seen = claim(state, request, body.as_ref().unwrap_or(&Value::Null));
    let fault = state.change(|inner| {
        inner.counters.whole += 1;
        inner.faults.strike(Stage::Whole, Some(&seen))
    });
    if let Some(ending) = fault.as_ref().and_then(|fault| untaken(state, request, &mut seen, fault)) {
        record(state, seen);
        return ending;
    }
    let reply = match judge(state, request, body.as_ref(), &mut seen) {
        Ok(taken) => reply(200, &taken),
        Err(refusal) => {
            seen.answer = Answer::Refused(refusal.code);
            let body = refusal.body(serial(state));
            seen.details = body["error"]["error_data"]["details"].as_str().unwrap_or_default().to_owned();
            self::reply(refusal.status(), &body)
        }
    };
    let accepted = seen.accepted();
    if !accepted {
        state.lock().counters.refused += 1;
    }
    record(state, seen);
    match fault {
        Some(Fault::SlowAnswer(time)) => Ending::Later(time, reply),
        Some(Fault::AcceptWithoutAnswer) if accepted => Ending::Drop,
        Some(Fault::AcceptThenHang) if accepted => Ending::Never,
        Some(Fault::GarbageBody) if accepted => {
            Ending::Answer(Reply { status: 200, body: Bytes::from_static(b"<html>\xff{"), location: None })
        }
        _ => Ending::Answer(reply),
    }
}

/// A fault that strikes before the message is looked at.
fn untaken(state: &State, request: &Request, seen: &mut Seen, fault: &Fault) -> Option<Ending> {
    let answer = |seen: &mut Seen, status: u16, body: Bytes, location| {
        seen.answer = Answer::Status(status);
        Ending::Answer(Reply { status, body, location })
    };
    Some(match fault {
        Fault::Hang => Ending::Never,
        Fault::ResetAfterRead => Ending::Cut,
        Fault::Status(status, body) => answer(seen, *status, body.clone().unwrap_or_default().into(), None),
        Fault::Redirect307 => answer(seen, 307, Bytes::new(), Some(format!("{}?{}", request.path, request.query))),
        Fault::Code(code) => {
            seen.answer = Answer::Refused(*code);
            Ending::Answer(refused(state, &Refusal::new(*code, "as the simulator was told")))
        }
        _ => return None,
    })
}

/// What a request says of itself, right or wrong.
fn claim(state: &State, request: &Request, body: &Value) -> Seen {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Seen {
        at: state.now(),
        path: request.path.clone(),
        to: text(&body["to"]).unwrap_or_default(),
        kind: text(&body["type"]).unwrap_or_default(),
        template: text(&body["template"]["name"]),
        language: text(&body["template"]["language"]["code"]),
        text: String::new(),
        parameters: Vec::new(),
        data: text(&body["biz_opaque_callback_data"]),
        answer: Answer::Nothing,
        details: String::new(),
        repeat: None,
        http2: request.http2,
    }
}

/// Keeps and counts a message in one change: who waits for the count finds the message.
fn record(state: &State, seen: Seen) {
    let keep = state.settings.keep;
    state.change(|inner| {
        inner.counters.accepted += u64::from(seen.accepted());
        inner.counters.repeats += u64::from(seen.repeat.is_some());
        inner.seen.push(seen, keep);
    });
}

/// All rules, in the platform's order; a message that passes is accepted.
fn judge(state: &State, request: &Request, body: Option<&Value>, seen: &mut Seen) -> Checked<Value> {
    let body = admit(state, request, "messages", body)?;
    let passed = message::check(body, &lock(&state.templates))?;
    seen.text.clone_from(&passed.text);
    seen.parameters.clone_from(&passed.parameters);
    let wa_id = state.person(&passed.digits);
    if wa_id == state.person(&state.settings.own_number) {
        return Err(Refusal::new(131021, "the recipient is the sender's own number"));
    }
    spend(state, &passed, &wa_id)?;
    let wamid = format!("wamid.SIM{:020}", serial(state));
    seen.repeat = accept(state, body, &passed, &wa_id);
    seen.answer = Answer::Accepted(wamid.clone());
    let mut message = json!({ "id": wamid });
    if passed.kind == "template" {
        message["message_status"] = "accepted".into();
    }
    Ok(json!({
        "messaging_product": "whatsapp",
        "contacts": [{ "input": passed.input, "wa_id": wa_id }],
        "messages": [message],
    }))
}

/// Window and pace. What the limits let through counts for them.
fn spend(state: &State, passed: &Passed, wa_id: &str) -> Checked<()> {
    let now = state.now();
    let mut inner = state.lock();
    let limits = inner.limits;
    if passed.kind != "template" && !inner.windows.contains(wa_id) {
        return Err(Refusal::new(131047, "more than 24 hours have passed since the customer last wrote"));
    }
    // Pair first, on a copy: what one limit refuses must not count for the other.
    let mut pair = inner.pairs.get(wa_id).copied().flatten();
    if !Pair::spend(&mut pair, now, limits.pair_burst, limits.pair_slack) {
        return Err(Refusal::new(131056, "too many messages from this number to the same person in a short time"));
    }
    if !inner.sender.spend(now, limits.sender_per_second) {
        return Err(Refusal::new(130429, "the number's messages per second are exceeded"));
    }
    inner.pairs.insert(wa_id.to_owned(), pair);
    Ok(())
}

/// Whether an accepted message repeats another; remembers it.
fn accept(state: &State, body: &Value, passed: &Passed, wa_id: &str) -> Option<Repeat> {
    let content = hash(&(wa_id, passed.kind.as_str(), body[passed.kind.as_str()].to_string()));
    let data = passed.data.as_ref().map(hash);
    let mut inner = state.lock();
    let known_content = !inner.contents.insert(content);
    if data.is_some_and(|data| !inner.data.insert(data)) {
        return Some(Repeat::Data);
    }
    known_content.then_some(Repeat::Content)
}

/// `GET /{version}/{phone_number_id}?fields=…`
fn look_up(state: &State, request: &Request) -> Checked<Value> {
    admit(state, request, "", Some(&Value::Null))?;
    let settings = &state.settings;
    let mut found = json!({ "id": settings.phone_number_id });
    let fields = query(&request.query, "fields").unwrap_or_else(|| "display_phone_number,quality_rating".into());
    for field in fields.split(',').filter(|field| !field.is_empty()) {
        found[field] = match field {
            "id" => settings.phone_number_id.clone().into(),
            "display_phone_number" => format!("+{}", settings.own_number).into(),
            "quality_rating" => "GREEN".into(),
            "throughput" => json!({ "level": "STANDARD" }),
            "whatsapp_business_manager_messaging_limit" => "TIER_250".into(),
            "health_status" => json!({ "can_send_message": "AVAILABLE", "entities": [
                { "entity_type": "PHONE_NUMBER", "id": settings.phone_number_id, "can_send_message": "AVAILABLE" },
            ]}),
            unknown => return Err(Refusal::new(100, format!("tried accessing nonexisting field ({unknown})"))),
        };
    }
    Ok(found)
}

/// Path, token and proof, size and JSON. Returns the body.
fn admit<'b>(state: &State, request: &Request, edge: &str, body: Option<&'b Value>) -> Checked<&'b Value> {
    let settings = &state.settings;
    let parts: Vec<&str> = request.path.trim_start_matches('/').split('/').collect();
    let (version, number, last) = match parts.as_slice() {
        [version, number] => (*version, *number, ""),
        [version, number, last] => (*version, *number, *last),
        _ => return Err(Refusal::new(100, "the path must be /{version}/{phone number id}/messages")),
    };
    if !settings.versions.iter().any(|known| known == version) {
        return Err(Refusal::new(100, "unknown or missing API version in the path"));
    }
    if number != settings.phone_number_id || last != edge {
        return Err(Refusal::no_such_object());
    }
    let sent = request.authorization.as_deref().and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    if sent.is_empty() || sent != state.lock().token {
        return Err(Refusal::new(190, "the access token is missing, invalid or expired"));
    }
    if let Some(secret) = &settings.app_secret {
        let proof = query(&request.query, "appsecret_proof")
            .or_else(|| body.and_then(|body| body["appsecret_proof"].as_str()).map(str::to_owned));
        if proof != Some(self::proof(secret, sent)) {
            return Err(Refusal::new(100, "calls from the server require a valid appsecret_proof"));
        }
    }
    if request.body.is_none() {
        return Err(Refusal::new(100, "the request body is too large"));
    }
    if !request.get && !request.json {
        return Err(Refusal::new(100, "the content type must be application/json"));
    }
    body.ok_or_else(|| Refusal::new(100, "the request body is not JSON"))
}

/// Facts 5: hex HMAC-SHA256 of the token, keyed by the app secret.
fn proof(secret: &str, token: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hmac::sign(&key, token.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One value of a query. What we look for (hex, field names) needs no decoding but of the comma.
fn query(query: &str, name: &str) -> Option<String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value.replace("%2C", ",").replace("%2c", ","))
}

fn reply(status: u16, body: &Value) -> Reply {
    Reply { status, body: body.to_string().into(), location: None }
}

fn refused(state: &State, refusal: &Refusal) -> Reply {
    reply(refusal.status(), &refusal.body(serial(state)))
}

fn serial(state: &State) -> u64 {
    let mut inner = state.lock();
    inner.serial += 1;
    inner.serial
}

fn hash(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}
