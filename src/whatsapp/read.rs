//! An answer becomes a verdict: what happens with the message, the person, the number, the template and the account.
//!
//! Floor: rooms. Decides from the answer alone: it knows neither the tries so far nor the rule's `on_unknown`; the engine
//! applies what it says. The code goes before the HTTP status, as the platform asks (facts 3.1).
//!
//! ```text
//! messages[0].id    → accepted
//! error.code known  → its row in `codes`, whatever the status says
//! 401               → with the API's JSON: the token, by a code that is new; stop, keep, show
//! 408               → unknown
//! 429, 5xx          → unknown, and back off
//! other 4xx         → with the API's JSON: refused, unknown code
//! 4xx without it    → not the API: kept (see below)
//! 3xx               → never followed, so nobody took the message: kept
//! anything else     → unknown
//! ```
//!
//! A redirect, or a 4xx without the API's JSON, comes from something between (portal, proxy, gateway). It took nothing, and
//! refusing for good would drain the queue into a hotel's login page: the message is kept, everything waits a while, and the
//! link is in doubt. A 200 that nobody can read may hide a message that was taken: that is unknown.

use super::codes::{Class, Row, row};
use super::verdict::{BackOffClass, Circuit, Fate, KnownAs, Lift, OnAccount, OnNumber, OnPerson, OnTemplate, Verdict};
use crate::limits;
use crate::message::{Answer, Lost, NotSent, Reason, masked_from};
use serde_json::{Value, json};

/// What follows from `answer`. Any bytes and any status give a verdict.
pub fn read(answer: &Answer) -> Verdict {
    match answer {
        Answer::Http { status, body, .. } => read_http(*status, body),
        Answer::NotSent(why) => {
            let (reason, detail) = match why {
                NotSent::NoConnection(why) => (Reason::NoConnection, cut(why)),
                NotSent::Tls(why) => (Reason::TlsFailed, cut(why)),
                NotSent::StreamRefused => {
                    (Reason::NoConnection, "the server closed the connection before it read the request".to_owned())
                }
            };
            Verdict::of(Fate::Unsent, reason, detail, Circuit::InDoubt)
        }
        Answer::Lost(Lost::Timeout) => unknown(Reason::NoAnswer, "no answer in time".to_owned(), Circuit::InDoubt),
        Answer::Lost(Lost::Broken(why)) => unknown(Reason::ConnectionLost, cut(why), Circuit::InDoubt),
    }
}

fn read_http(status: u16, body: &[u8]) -> Verdict {
    // The bound is the door's; it is kept here too, so that the parse stays small whoever calls.
    let json =
        if body.len() <= limits::ANSWER { serde_json::from_slice(body).unwrap_or(Value::Null) } else { Value::Null };
    // Taken is taken, whatever else the answer holds: to send it again would be the worse mistake.
    if let Some(id) = json.pointer("/messages/0/id").and_then(Value::as_str)
        && (200..300).contains(&status)
        && !id.is_empty()
    {
        return accepted(&json, id);
    }
    let Some(error) = json.get("error").filter(|error| error.is_object()) else { return by_status(status, None) };
    let code = error.get("code").and_then(whole_number);
    match code.and_then(row) {
        Some(row) => by_code(&row, code, error),
        None => Verdict { code, ..by_status(status, Some(error)) },
    }
}

/// What follows from the report that a message which was taken failed after all (facts 3.1: the same failure comes as an
/// answer, later, or both): by the same table. That it did not arrive is certain, so it may be sent again whatever the code.
pub fn failed(code: Option<i64>, said: &str) -> Verdict {
    let error = json!({ "message": said });
    match code.and_then(row) {
        Some(row) => by_code(&row, code, &error),
        None => {
            let hint = if code.is_some() { "a code that this version does not know" } else { "no code was given" };
            let verdict = Verdict::of(Fate::Refused, Reason::UnknownCode, self::said(hint, &error), Circuit::Works);
            Verdict { code, loud: true, ..verdict }
        }
    }
}

fn accepted(json: &Value, id: &str) -> Verdict {
    let detail = match json.pointer("/messages/0/message_status").and_then(Value::as_str) {
        Some("held_for_quality_assessment") => "accepted; the platform holds it to assess the template's quality",
        Some("paused") => "accepted; the platform paused the template and may drop it",
        _ => "accepted",
    };
    let name = |pointer: &str| json.pointer(pointer).and_then(Value::as_str).filter(|name| !name.is_empty());
    let wa_id = name("/contacts/0/wa_id").filter(|id| id.len() <= 15 && id.bytes().all(|byte| byte.is_ascii_digit()));
    let user_id = name("/contacts/0/user_id").filter(|id| id.len() <= 128);
    Verdict {
        known_as: KnownAs { wa_id: wa_id.map(str::to_owned), user_id: user_id.map(str::to_owned) },
        ..Verdict::of(
            Fate::Accepted { wamid: id.chars().take(512).collect() },
            Reason::Taken,
            detail.to_owned(),
            Circuit::Works,
        )
    }
}

/// What a known code asks for, whatever the status.
fn by_code(row: &Row, code: Option<i64>, error: &Value) -> Verdict {
    let base = |message| Verdict { code, ..Verdict::of(message, row.reason, said(row.hint, error), Circuit::Works) };
    let unknown = |repeats| base(Fate::Unknown { repeats });
    match row.class {
        Class::Number(class) => Verdict { number: Some(OnNumber::BackOff(class)), ..base(Fate::Again) },
        Class::App => Verdict { account: Some(OnAccount::BackOff), ..base(Fate::Again) },
        Class::Pair => Verdict { person: Some(OnPerson::PairLimit), ..base(Fate::Again) },
        Class::Unsure => unknown(None),
        Class::UnsureOnce => unknown(Some(1)),
        Class::UnsureAndWait(class) => Verdict { number: Some(OnNumber::BackOff(class)), ..unknown(None) },
        Class::StopNumber(lifted_by) => {
            Verdict { number: Some(OnNumber::Stop { lifted_by }), loud: true, ..base(Fate::Again) }
        }
        Class::StopAccount(lifted_by) => {
            Verdict { account: Some(OnAccount::Stop { lifted_by }), loud: true, ..base(Fate::Again) }
        }
        Class::Rest(long) => Verdict { number: Some(OnNumber::HoldFor(long)), loud: true, ..base(Fate::Again) },
        Class::Template(for_) => Verdict { template: Some(OnTemplate::Hold { for_ }), loud: true, ..base(Fate::Again) },
        Class::DeadTemplate => {
            Verdict { template: Some(OnTemplate::Hold { for_: None }), loud: true, ..base(Fate::Refused) }
        }
        Class::AllTemplates(long) => {
            Verdict { account: Some(OnAccount::HoldTemplates(long)), loud: true, ..base(Fate::Again) }
        }
        Class::Country => Verdict { account: Some(OnAccount::HoldCountry), loud: true, ..base(Fate::Refused) },
        Class::Dead => base(Fate::Refused),
        Class::DeadLoud | Class::Admin => Verdict { loud: true, ..base(Fate::Refused) },
        Class::Unreachable => Verdict { person: Some(OnPerson::Undeliverable), ..base(Fate::Refused) },
        Class::NotBefore(long) => Verdict { person: Some(OnPerson::NotBefore(long)), ..base(Fate::Refused) },
        Class::NoMarketing => Verdict { person: Some(OnPerson::MarketingStopped), ..base(Fate::Refused) },
        Class::Window => Verdict { person: Some(OnPerson::WindowClosed), ..base(Fate::Refused) },
        Class::Identity => Verdict { person: Some(OnPerson::IdentityHold), loud: true, ..base(Fate::Again) },
    }
}

/// What the status alone tells. `error` is the API's own JSON, with a code that nobody knows or none.
fn by_status(status: u16, error: Option<&Value>) -> Verdict {
    let circuit = if error.is_some() { Circuit::Works } else { Circuit::InDoubt };
    let detail = |hint: &str| match error {
        Some(error) => said(&format!("HTTP {status}: {hint}"), error),
        None => format!("HTTP {status}: {hint}"),
    };
    let wait = Some(OnNumber::BackOff(BackOffClass::Service));
    match status {
        401 if error.is_some() => Verdict {
            account: Some(OnAccount::Stop { lifted_by: Lift::Token }),
            loud: true,
            ..Verdict::of(Fate::Again, Reason::TokenInvalid, detail("the token was not accepted"), circuit)
        },
        408 => unknown(Reason::NoAnswer, detail("something between gave up waiting"), circuit),
        429 => Verdict {
            number: Some(OnNumber::BackOff(BackOffClass::Number)),
            ..unknown(Reason::NumberLimit, detail("too many requests"), circuit)
        },
        300..=399 => Verdict {
            number: wait,
            loud: true,
            ..Verdict::of(
                Fate::Again,
                Reason::AnswerUnreadable,
                detail("a redirect, as no API sends it"),
                Circuit::InDoubt,
            )
        },
        400..=499 if error.is_some() => Verdict {
            loud: true,
            ..Verdict::of(Fate::Refused, Reason::UnknownCode, detail("a code that this version does not know"), circuit)
        },
        400..=499 => Verdict {
            number: wait,
            loud: true,
            ..Verdict::of(
                Fate::Again,
                Reason::AnswerUnreadable,
                detail("refused by something that is not the API"),
                circuit,
            )
        },
        500..=599 => Verdict {
            number: wait,
            ..unknown(Reason::PlatformFault, detail("a fault of the platform or of something before it"), circuit)
        },
        _ => Verdict {
            loud: true,
            ..unknown(Reason::AnswerUnreadable, detail("an answer that is not the API's"), Circuit::InDoubt)
        },
    }
}

fn unknown(reason: Reason, detail: String, circuit: Circuit) -> Verdict {
    Verdict::of(Fate::Unknown { repeats: None }, reason, detail, circuit)
}

/// A whole number, as a number or as text: gateways rewrite JSON.
fn whole_number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// The hint, and what the platform said: `details` where there are any, else `message`; at most 200 characters of it, masked.
fn said(hint: &str, error: &Value) -> String {
    let details = error.pointer("/error_data/details").or_else(|| error.get("message")).and_then(Value::as_str);
    match details.map(mask) {
        Some(details) if !details.is_empty() => format!("{hint} (the platform: {details})"),
        _ => hint.to_owned(),
    }
}

/// The door's own words, cut. They hold addresses, files and dates, and neither numbers nor secrets: nothing to mask.
fn cut(text: &str) -> String {
    text.chars().take(TOLD).collect()
}

/// Characters of the platform's own words, or of the door's, that a verdict tells.
const TOLD: usize = 200;

/// The platform's own words in one line, cut, without what may be a phone number (7 digits or more), an id or a secret: the
/// platform repeats numbers, and a malformed token, in its messages.
fn mask(text: &str) -> String {
    let words = masked_from(&without_secrets(text), 7);
    let line = words.chars().map(|sign| if sign.is_control() { ' ' } else { sign });
    line.take(TOLD).collect::<String>().trim().to_owned()
}

/// The text, with `…` for each token, platform's id or hash. Template names are long as well, but lower case.
fn without_secrets(text: &str) -> String {
    let of_a_word = |sign: char| sign.is_ascii_alphanumeric() || "_-=|.+/".contains(sign);
    let mut out = String::with_capacity(text.len());
    for piece in text.split_inclusive(|sign| !of_a_word(sign)) {
        let word = piece.trim_end_matches(|sign| !of_a_word(sign));
        let mixed = word.len() >= 24 && word.bytes().any(|byte| byte.is_ascii_uppercase());
        let hash = word.len() >= 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        out.push_str(if mixed || hash { "…" } else { word });
        out.push_str(&piece[word.len()..]);
    }
    out
}
