//! Any HTTP answer: a verdict that never takes for "surely not sent" what may have been taken.

use branchline::door::uplink::date;
use branchline::limits;
use branchline::message::Answer;
use branchline::whatsapp::{Class, Fate, Verdict, read, row};
use bytes::Bytes;
use serde_json::Value;

/// Two bytes of a status, the `Date` header up to a line feed, the body.
pub fn run(data: &[u8]) {
    let Some((status, rest)) = data.split_at_checked(2) else { return };
    let status = u16::from_be_bytes([status[0], status[1]]);
    let (header, body) = super::split(rest);
    let date = std::str::from_utf8(header).ok().and_then(date);
    if let Some(at) = date {
        assert_eq!(at.0 % 1000, 0, "a date of whole seconds");
    }
    let verdict = read(&Answer::Http { status, body: Bytes::copy_from_slice(body), date });
    assert_eq!(
        verdict,
        read(&Answer::Http { status, body: Bytes::copy_from_slice(body), date: None }),
        "the date decides nothing"
    );
    judge(status, body, &verdict);
}

fn judge(status: u16, body: &[u8], verdict: &Verdict) {
    let json = serde_json::from_slice::<Value>(body).ok().filter(|_| body.len() <= limits::ANSWER).unwrap_or_default();
    let taken = (200..300).contains(&status) && json["messages"][0]["id"].as_str().is_some_and(|id| !id.is_empty());
    let error = json["error"].is_object();
    let code = match &json["error"]["code"] {
        Value::String(text) => text.trim().parse().ok(),
        number => number.as_i64(),
    };

    assert_eq!(matches!(verdict.message, Fate::Accepted { .. }), taken, "taken is what has an id, and nothing else");
    assert_ne!(verdict.message, Fate::Unsent, "an answer came, so something was sent");
    // Without a code that says otherwise, only a refusal by the status itself proves that nobody took it.
    let kept_or_refused = matches!(verdict.message, Fate::Again | Fate::Refused);
    let known = code.filter(|_| error && !taken).and_then(row);
    match known.map(|row| row.class) {
        Some(Class::Unsure | Class::UnsureOnce | Class::UnsureAndWait(_)) => {
            assert!(matches!(verdict.message, Fate::Unknown { .. }), "{verdict:?}");
        }
        Some(_) => assert!(kept_or_refused, "{verdict:?}"),
        None if taken => {}
        None => {
            let refusing = matches!(status, 300..=499) && !matches!(status, 408 | 429);
            assert_eq!(kept_or_refused, refusing, "{status}: {verdict:?}");
            // For good only by the API's own words.
            assert!(verdict.message != Fate::Refused || error, "{status}: {verdict:?}");
        }
    }

    // What people are shown: short, on one line, without numbers; the platform's id of a message holds one.
    let told = &verdict.detail;
    assert!(!told.is_empty() && told.chars().count() <= 512, "{told}");
    assert!(!told.chars().any(char::is_control), "{told:?}");
    assert!(super::digits_together(told) < 8, "{told}");
    if let Fate::Accepted { wamid } = &verdict.message {
        assert!((1..=512).contains(&wamid.chars().count()));
        assert!(wamid.len() < 8 || !format!("{verdict:?}").contains(wamid.as_str()));
    }
    let wa_id = verdict.known_as.wa_id.as_deref().unwrap_or("0");
    assert!((1..=15).contains(&wa_id.len()) && wa_id.bytes().all(|byte| byte.is_ascii_digit()), "{wa_id}");
    assert!(verdict.known_as.user_id.as_ref().is_none_or(|id| id.len() <= 128));
    assert!(taken || verdict.known_as.wa_id.is_none() && verdict.known_as.user_id.is_none());
}
