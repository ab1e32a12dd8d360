//! Any text as a condition or as what is said, any JSON to evaluate it with: refused with a place, or bounded in time and size.

use branchline::limits;
use branchline::message::{Arrival, Delivery, Payload, Reason};
use branchline::rules::{Applied, Format, Message, Problem, Rules, To};
use bytes::Bytes;

/// The first byte says which (even: a condition), then the text, a form feed, the payload.
pub fn run(data: &[u8]) {
    let Some((which, rest)) = data.split_first() else { return };
    let mut parts = rest.splitn(2, |byte| *byte == b'\x0c');
    let Ok(text) = std::str::from_utf8(parts.next().unwrap_or_default()) else { return };
    let payload = parts.next().unwrap_or_default();

    let mut settings = super::topic::one_rule("a/{x}");
    let rule = &mut settings.rules[0];
    rule.format = Format::Json;
    let field = match which % 4 {
        0 | 2 => {
            rule.when = Some(text.to_owned());
            "when"
        }
        1 => {
            rule.message = Some(Message::Text(text.to_owned()));
            "message"
        }
        _ => {
            rule.to = vec![To::Number(text.to_owned())];
            "to"
        }
    };
    let rules = match Rules::compile(&settings) {
        Err(problems) => return problems.iter().for_each(|problem| told(problem, field, text)),
        Ok(rules) => rules,
    };
    let rule = rules.matching("a/b", &[]).next().unwrap();
    let arrival = Arrival {
        topic: "a/b".to_owned(),
        payload: Payload::Whole(Bytes::copy_from_slice(payload)),
        retained: false,
        delivery: Delivery::AtMostOnce,
        subscriptions: Vec::new(),
        event_id: None,
        expiry: None,
    };
    let applied = rules.apply(rule, &arrival, None);
    assert_eq!(format!("{applied:?}"), format!("{:?}", rules.apply(rule, &arrival, None)), "twice alike");
    match &applied {
        Applied::Passed(reason) => assert_eq!((*reason, field), (Reason::WhenFalse, "when")),
        Applied::Unreadable { reason, detail, .. } => {
            // Places are told in the words of the text, values never.
            assert!(!detail.contains(super::PRIVATE) || text.contains(super::PRIVATE), "{detail}");
            let place = matches!(reason, Reason::ExpressionFailed | Reason::TemplateFailed);
            assert!(!place || detail.contains(&format!("{field}: ")), "{reason}: {detail}");
        }
        Applied::Made { drafts, .. } => {
            assert_eq!(drafts.len(), 1);
            let said = drafts[0].content().preview();
            assert!((1..=limits::TEXT).contains(&said.chars().count()));
            super::event::draft(&drafts[0]);
        }
    }
    rules.explain("a/b", payload, None).iter().for_each(|all| super::no_number_in(&serde_json::to_value(all).unwrap()));
}

fn told(problem: &Problem, field: &str, text: &str) {
    assert!(problem.key.starts_with(&format!("rules.r.{field}")), "{problem:?}");
    assert!(!problem.message.is_empty() && !problem.fix.is_empty(), "{problem:?}");
    // Texts of more than one line have their numbers before them: `  2 | `.
    let marked =
        problem.excerpt.lines().any(|line| line.contains('^') && line.trim_matches([' ', '^', '|']).is_empty());
    assert!(problem.excerpt.is_empty() || marked, "no place is marked in {text:?}: {problem:?}");
}
