//! From a request to its end: path, token, shape, template, recipient, people, pace; then what the faults make of it.
//!
//! Floor: demo. Synchronous; what is read from and written to the network is in `serve`.

use super::access::{self, Wanted};
use super::account::Told;
use super::control::{Answer, Repeat, Seen};
use super::fault::{Fault, Stage};
use super::json::{self, Checked};
use super::lock;
use super::lookup::look_up;
use super::message::{self, Edge, Passed, Recipient};
use super::pace::Pair;
use super::people::Ask;
use super::refusal::Refusal;
use super::state::State;
use bytes::Bytes;
use serde_json::{Value, json};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// A request that was read whole.
pub(super) struct Request {
    /// GET; everything else but POST is refused.
    pub(super) get: bool,
    pub(super) post: bool,
    /// The host that the client asked.
    pub(super) host: Option<String>,
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

/// Bytes of a request body that are read. The largest that the facts allow, 257 whole contacts, is below.
pub(super) const BODY: usize = 512 * 1024;

pub(super) fn decide(state: &State, request: &Request) -> Ending {
    let body: Option<Value> = request.body.as_ref().and_then(|body| json::read(body).ok());
    if !request.post || marks(body.as_ref()) {
        state.change(|inner| inner.counters.whole += 1);
        let answer = if request.get {
            look_up(state, request)
        } else if request.post {
            mark(state, request, body.as_ref())
        } else {
            access::admit(state, request, None).and_then(|_| Err(Refusal::no_such_object()))
        };
        return Ending::Answer(match answer {
            Ok(found) => reply(200, &found),
            Err(refusal) => refused(state, &refusal),
        });
    }
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
            refusal.details().clone_into(&mut seen.details);
            refused(state, &refusal)
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
        to: text(&body["to"]).or_else(|| text(&body["recipient"])).unwrap_or_default(),
        kind: text(&body["type"]).unwrap_or_default(),
        template: text(&body["template"]["name"]),
        language: text(&body["template"]["language"]["code"]),
        text: String::new(),
        parameters: Vec::new(),
        data: text(&body["biz_opaque_callback_data"]),
        answer: Answer::Nothing,
        details: String::new(),
        fails: None,
        category: None,
        person: String::new(),
        repeat: None,
        http2: request.http2,
    }
}

/// Keeps and counts a message in one change: who waits for the count finds the message.
fn record(state: &State, seen: Seen) {
    state.report_message(&seen);
    let keep = state.settings.keep;
    state.change(|inner| {
        inner.counters.accepted += u64::from(seen.accepted());
        inner.counters.repeats += u64::from(seen.repeat.is_some());
        inner.seen.push(seen, keep);
    });
}

/// All rules, in the platform's order; a message that passes is accepted.
fn judge(state: &State, request: &Request, body: Option<&Value>, seen: &mut Seen) -> Checked<Value> {
    let edge = sends(state, request, body)?;
    let body = access::json(request, body)?;
    let passed = message::check(body, edge, &lock(&state.templates))?;
    seen.text.clone_from(&passed.text);
    seen.parameters.clone_from(&passed.parameters);
    seen.category.clone_from(&passed.category);
    let (person, contact) = match &passed.recipient {
        Recipient::Number(digits) => {
            let wa_id = state.person(digits);
            let contact = json!({ "input": passed.input, "wa_id": wa_id });
            (wa_id, contact)
        }
        Recipient::User(id) => (id.clone(), json!({ "input": passed.input, "user_id": id })),
    };
    if person == state.person(&state.settings.own_number) {
        return Err(Refusal::new(131021, "the recipient is the sender's own number"));
    }
    seen.person.clone_from(&person);
    let fails = spend(state, edge, &passed, &person)?;
    if let Some(refusal) = fails {
        seen.fails = Some(refusal.code);
        refusal.details().clone_into(&mut seen.details);
    }
    let wamid = format!("wamid.SIM{:020}", serial(state));
    seen.repeat = accept(state, body, &passed, &person);
    seen.answer = Answer::Accepted(wamid.clone());
    let mut message = json!({ "id": wamid });
    if passed.kind == "template" {
        message["message_status"] = "accepted".into();
    }
    Ok(json!({ "messaging_product": "whatsapp", "contacts": [contact], "messages": [message] }))
}

/// The endpoint of a send. Only those take a POST.
fn sends(state: &State, request: &Request, body: Option<&Value>) -> Checked<Edge> {
    match access::admit(state, request, body)? {
        Wanted::Send(edge) => Ok(edge),
        _ => Err(Refusal::no_such_object()),
    }
}

/// Whether a body marks an inbound message as read instead of sending one.
fn marks(body: Option<&Value>) -> bool {
    body.is_some_and(|body| body.get("status").is_some() && body.get("type").is_none())
}

/// Marks an inbound message as read (facts 1.6). It is no message: no fault strikes, no limit counts.
fn mark(state: &State, request: &Request, body: Option<&Value>) -> Checked<Value> {
    if sends(state, request, body)? != Edge::Messages {
        return Err(Refusal::new(134100, "only marketing templates are sent by this endpoint"));
    }
    let wamid = message::read(access::json(request, body)?)?;
    if !state.lock().people.received(state.now(), None, &wamid) {
        return Err(Refusal::new(131009, "request.message_id is no message that came within 30 days"));
    }
    Ok(json!({ "success": true }))
}

/// People, window and pace. What the limits let through counts for them. Gives back why an accepted message will fail.
fn spend(state: &State, edge: Edge, passed: &Passed, person: &str) -> Checked<Option<Refusal>> {
    let now = state.now();
    let mut inner = state.lock();
    let inner = &mut *inner;
    let (account, limits) = (&inner.account, inner.limits);
    account.takes(edge, passed.category.as_deref())?;
    if let (Some(allowed), Recipient::Number(_)) = (&account.test_recipients, &passed.recipient)
        && !allowed.iter().any(|number| state.person(number) == person)
    {
        return Err(Refusal::new(131030, "a test number reaches only the numbers on its list"));
    }
    let ask = Ask {
        person,
        template: passed.kind == "template",
        category: passed.category.as_deref(),
        identity: passed.identity.as_deref(),
        reacts_to: passed.target.as_deref().filter(|_| passed.kind == "reaction"),
    };
    let fails = match inner.people.judge(now, &ask, account)? {
        Some(refusal) if account.told == Told::AtOnce => return Err(refusal),
        fails => fails,
    };
    // Pair first, on a copy: what one limit refuses must not count for the other.
    let mut pair = inner.pairs.get(person).copied();
    if !Pair::spend(&mut pair, now, limits.pair_burst, limits.pair_slack) {
        return Err(Refusal::new(131056, "too many messages from this number to the same person in a short time"));
    }
    if !inner.sender.spend(now, limits.sender_per_second) {
        return Err(Refusal::new(130429, "the number's messages per second are exceeded"));
    }
    if let Some(pair) = pair {
        inner.pairs.insert(person.to_owned(), pair);
    }
    if fails.is_none() {
        inner.people.count(now, &ask, account);
    }
    Ok(fails)
}

/// Whether an accepted message repeats another; remembers it.
fn accept(state: &State, body: &Value, passed: &Passed, person: &str) -> Option<Repeat> {
    let content = hash(&(person, passed.kind.as_str(), body[passed.kind.as_str()].to_string()));
    let data = passed.data.as_ref().map(hash);
    let mut inner = state.lock();
    let known_content = !inner.contents.insert(content);
    if data.is_some_and(|data| !inner.data.insert(data)) {
        return Some(Repeat::Data);
    }
    known_content.then_some(Repeat::Content)
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
