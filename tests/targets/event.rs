//! Any topic and payload, with what MQTT tells beside them: what the rules make of it can be stored, sent and shown.

use branchline::limits;
use branchline::message::{Arrival, Body, Button, Content, Delivery, Draft, Header, Number, Payload, Reason, Template};
use branchline::rules::{Applied, Effect, Rules};
use branchline::time::Wall;
use bytes::Bytes;
use std::sync::OnceLock;

/// A byte of flags (1 retained, 2 the clock is not trusted, 4 the topic is also the event's id, 8 over the bound), the topic, a
/// line feed, the payload.
pub fn run(data: &[u8]) {
    let Some((flags, rest)) = data.split_first() else { return };
    let (topic, payload) = super::split(rest);
    let Ok(topic) = std::str::from_utf8(topic) else { return };
    let whole = Payload::Whole(Bytes::copy_from_slice(payload));
    let too_large = Payload::TooLarge { size: payload.len() as u64, sha256: [7; 32] };
    let arrival = Arrival {
        topic: topic.to_owned(),
        payload: if flags & 8 == 0 { whole } else { too_large },
        retained: flags & 1 != 0,
        delivery: Delivery::AtMostOnce,
        subscriptions: Vec::new(),
        event_id: (flags & 4 != 0).then(|| topic.to_owned()),
        expiry: None,
    };
    let now = (flags & 2 == 0).then_some(Wall(1_772_452_800_000));
    // What a person may read of it holds nothing of the payload: only where the topic does not bring the word itself.
    let private = |text: &str| assert!(!text.contains(super::PRIVATE) || topic.contains(super::PRIVATE), "{text}");

    let rules = rules();
    for rule in rules.matching(topic, &[]) {
        let applied = rules.apply(rule, &arrival, now);
        assert_eq!(format!("{applied:?}"), format!("{:?}", rules.apply(rule, &arrival, now)), "twice alike");
        match &applied {
            Applied::Passed(reason) => {
                assert!(matches!(reason, Reason::WhenFalse | Reason::RetainedIgnored), "{reason}");
            }
            Applied::Unreadable { event, reason, detail } => {
                event.as_deref().into_iter().for_each(id);
                unreadable(*reason);
                private(detail);
            }
            Applied::Made { event, effects, drafts, failed } => {
                event.as_deref().into_iter().for_each(id);
                assert!(!effects.is_empty() || !drafts.is_empty(), "nothing was made");
                assert!(drafts.len() <= limits::RECIPIENTS);
                for (reason, detail) in failed {
                    unreadable(*reason);
                    private(detail);
                }
                for effect in effects {
                    let (Effect::Grant { to, .. } | Effect::Revoke { to, .. }) = effect;
                    person(to);
                }
                for (at, one) in drafts.iter().enumerate() {
                    assert!(!drafts[..at].iter().any(|other| other.to() == one.to()), "two messages to one person");
                    assert_eq!(one.source().event, *event);
                    assert_eq!(&*one.source().topic, topic);
                    draft(one);
                }
            }
        }
    }

    for explained in rules.explain(topic, payload, now) {
        assert_eq!(explained.matches, rules.matching(topic, &[]).any(|rule| **rule.name() == explained.rule));
        explained.detail.iter().for_each(|detail| private(detail));
        super::no_number_in(&serde_json::to_value(&explained).unwrap());
    }
}

fn rules() -> &'static Rules {
    static RULES: OnceLock<Rules> = OnceLock::new();
    RULES.get_or_init(|| Rules::compile(&super::branch().rooms.rules).unwrap())
}

fn unreadable(reason: Reason) {
    use Reason::*;
    assert!(
        matches!(
            reason,
            PayloadUnreadable
                | PayloadTooLarge
                | ExpressionFailed
                | TemplateFailed
                | NobodyToTell
                | TooManyRecipients
                | NumberUnreadable
                | TemplateMismatch
        ),
        "{reason}"
    );
}

fn id(id: &str) {
    assert!((1..=limits::EVENT_ID).contains(&id.len()) && !id.chars().any(char::is_control), "{id:?}");
}

fn person(to: &Number) {
    assert_eq!(Number::of_digits(to.digits()).as_ref(), Ok(to));
}

/// What the store keeps, and the API's own bounds (facts 1.2, 1.4).
pub fn draft(draft: &Draft) {
    person(draft.to());
    draft.terms().subject.as_deref().into_iter().for_each(id);
    assert!(!draft.terms().purpose.is_empty() && !draft.terms().expires.is_zero());
    let content = draft.content();
    let stored = serde_json::to_string(content).unwrap();
    assert_eq!(serde_json::from_str::<Content>(&stored).unwrap(), *content, "{stored}");
    match content {
        Content::Text(text) => {
            assert!((1..=limits::TEXT).contains(&text.chars().count()) && text.trim() == text, "{text:?}");
            assert!(!text.chars().any(|sign| sign.is_control() && !matches!(sign, '\n' | '\t')), "{text:?}");
        }
        Content::Template(template) => filled(template),
    }
}

fn filled(template: &Template) {
    let values: Vec<&str> = match &template.body {
        Body::Positional(values) => values.iter().map(String::as_str).collect(),
        Body::Named(values) => values.iter().map(|(_, value)| value.as_str()).collect(),
    };
    values.iter().copied().for_each(parameter);
    let fixed = match (template.name.as_str(), template.language.as_str()) {
        ("order_ready", "pt_BR") => "Olá , seu pedido  está pronto: .",
        ("order_ready", _) => "Hola , tu pedido  está listo: .",
        ("receipt", _) => "Total  de ",
        ("where", _) => "Estamos aqui",
        ("titled", _) => "Pronto",
        _ => "Alarme ",
    };
    let body: usize = fixed.chars().count() + values.iter().map(|value| value.chars().count()).sum::<usize>();
    assert!(body <= limits::TEMPLATE_BODY, "a body of {body} characters");
    match &template.header {
        None => {}
        Some(Header::Text(_, text)) => {
            parameter(text);
            assert!("Pedido ".len() + text.chars().count() <= limits::TEMPLATE_HEADER, "{text}");
        }
        Some(Header::Image(url) | Header::Video(url)) => address(url),
        Some(Header::Document(url, name)) => {
            address(url);
            name.iter().for_each(|name| parameter(name));
        }
        Some(Header::Location { latitude, longitude, name, address }) => {
            assert!((-90.0..=90.0).contains(latitude) && (-180.0..=180.0).contains(longitude));
            parameter(name);
            parameter(address);
        }
    }
    for (place, button) in &template.buttons {
        assert!(*place < 10);
        match button {
            Button::Url(rest) => assert!(rest.is_ascii() && rest.len() <= 2000 && !rest.contains(' '), "{rest}"),
            Button::Reply(text) => assert!((1..=256).contains(&text.len()), "{text}"),
            Button::CopyCode(code) => {
                assert!(
                    (1..=20).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric()),
                    "{code}"
                );
            }
        }
    }
}

/// No line ends, no tabs, no more than four spaces together, not empty (facts 1.4).
fn parameter(value: &str) {
    assert!(!value.trim().is_empty() && !value.contains("     "), "{value:?}");
    assert!(!value.chars().any(char::is_control), "{value:?}");
}

fn address(url: &str) {
    assert!(url.starts_with("http://") || url.starts_with("https://"), "{url}");
    assert!(url.len() <= 2000 && !url.contains(char::is_whitespace), "{url}");
}
