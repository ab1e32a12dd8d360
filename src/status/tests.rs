use super::*;
use crate::operate::{Backlog, Hold, LimitUse, LinkState, Written};
use jiff::tz::TimeZone;

/// 2026-11-22T17:02:05Z
const NOW: Wall = Wall(1_795_366_925_000);

fn well() -> Gauges {
    let up = |link: &str| LinkState { link: link.into(), up: true, since: Some(NOW), why: String::new() };
    Gauges {
        version: "0.1.0".into(),
        running: true,
        clock_trusted: true,
        at: NOW,
        links: vec![up("broker"), up("uplink")],
        backlog: vec![Backlog { state: Outcome::Accepted, messages: 7 }],
        oldest_seconds: Some(3),
        bytes: 4096,
        max_bytes: 1 << 20,
        limits: vec![LimitUse { limit: "sender".into(), used: 0.25, taken: 5, free: 15, note: "a second".into() }],
        ..Gauges::default()
    }
}

fn hold(what: &str, reason: Reason, loud: bool) -> Hold {
    Hold { what: what.into(), reason, since: Some(NOW), until: None, note: "190: expired".into(), loud }
}

fn line(number: i64) -> LastLine {
    LastLine {
        at: Wall(number),
        rule: None,
        event: None,
        message: None,
        to: None,
        outcome: None,
        reason: Reason::NoRule,
        detail: String::new(),
    }
}

#[test]
fn metrics_have_the_promised_names_and_shape() {
    let mut status = Status::default();
    status.event("order-ready", Outcome::Stored.code());
    status.event("order-ready", Outcome::Stored.code());
    status.event("", Reason::NoRule.code());
    status.overrun(5);
    status.message(Category::Utility, Outcome::Accepted, Reason::Taken);
    status.notices("status", 3);
    status.committed(Duration::from_micros(800), 2);
    status.answered(Duration::from_millis(40));
    status.answered(Duration::from_secs(60));
    let text = status.metrics(&well());
    let golden = include_str!("tests/metrics.txt");
    assert_eq!(text, golden, "\n{text}");
}

#[test]
fn labels_are_escaped() {
    let mut status = Status::default();
    status.event("a\"b\\c\nd", "stored");
    let text = status.metrics(&well());
    assert!(text.contains(r#"{rule="a\"b\\c\nd",result="stored"} 1"#), "{text}");
}

#[test]
fn the_last_events_are_a_ring_newest_first() {
    let mut status = Status::default();
    let last = i64::try_from(limits::LAST_EVENTS).unwrap() + 3;
    for number in 0..last {
        status.last(line(number));
    }
    let shown: Vec<i64> = status.report(well()).last.iter().map(|line| line.at.0).collect();
    let expected: Vec<i64> = (3..last).rev().collect();
    assert_eq!(shown, expected);
}

#[test]
fn problems_are_told_in_words_worst_first() {
    let base = well;
    let down = LinkState { link: "uplink".into(), up: false, since: Some(NOW), why: "connection refused".into() };
    let refused = LinkState { link: "broker".into(), up: true, since: None, why: "refused pos/#".into() };
    #[rustfmt::skip]
    let table: &[(Gauges, &[&str])] = &[
        (base(), &[]),
        (Gauges { running: false, clock_trusted: false, links: vec![], ..base() }, &["NO DAEMON RUNS: this is read from the store"]),
        (Gauges { holds: vec![hold("rule a", Reason::RulePaused, false)], ..base() }, &[]),
        (Gauges { holds: vec![hold(THE_NUMBER, Reason::TokenInvalid, true)], links: vec![down, refused], clock_trusted: false, ..base() }, &[
            "NUMBER STOPPED: token invalid (190: expired)",
            "UPLINK DOWN: connection refused",
            "BROKER: refused pos/#",
            "CLOCK NOT CONFIRMED: what depends on the time of day waits, critical messages go",
        ]),
        (Gauges { holds: vec![hold("template x", Reason::TemplateDisabled, true)], ..base() }, &["HELD: template x: template disabled (190: expired)"]),
        (Gauges { free_bytes: Some(100_000), ..base() }, &["DISK NEARLY FULL: 97.6 KiB free, and the store may grow by 1020 KiB"]),
        (Gauges { free_bytes: Some(105_000), written: Some(Written { bytes: 5, since: NOW, budget: Some(5) }), ..base() }, &[]),
        (Gauges { written: Some(Written { bytes: 6 << 20, since: NOW, budget: Some(5 << 20) }), ..base() }, &[
            "STORAGE WORN: 6 MiB written today, of 5 MiB that it can bear a day",
        ]),
        (Gauges { bytes: 95, max_bytes: 100, ..base() }, &["STORE 95 % FULL: soon only critical messages are taken"]),
    ];
    for (gauges, expected) in table {
        let problems = Status::default().report(gauges.clone()).problems;
        let told: Vec<&str> = problems.iter().map(|problem| problem.what.as_str()).collect();
        assert_eq!(&told, expected);
        assert!(problems.iter().all(|problem| !problem.remedy.is_empty()));
    }
}

/// Anybody may knock at a webhook: what is wrong is that nobody's signature is good.
#[test]
fn wrong_signatures_are_a_problem_where_they_tell_something() {
    let problems = |told: &[(Way, bool, u64)]| {
        let mut status = Status::default();
        for &(way, good, wrong) in told {
            status.unsigned(way, wrong);
            if good {
                status.heard(way, NOW);
            }
        }
        let problems = status.report(well()).problems;
        problems.into_iter().map(|problem| problem.what).collect::<Vec<_>>()
    };
    assert_eq!(problems(&[]), [""; 0]);
    assert_eq!(problems(&[(Way::Topic, true, 0), (Way::Webhook, false, 0)]), [""; 0]);
    assert_eq!(
        problems(&[(Way::Topic, true, 2)]),
        ["2 NOTICES WITH A WRONG SIGNATURE since the start, of which nothing was read"]
    );
    assert_eq!(
        problems(&[(Way::Webhook, false, 3)]),
        ["3 REPORTS WITH A WRONG SIGNATURE at the webhook since the start, and none with a good one"]
    );
    assert_eq!(problems(&[(Way::Webhook, true, 3)]), [""; 0]);
}

#[test]
fn the_token_problem_says_what_resumes_it() {
    let gauges = Gauges { holds: vec![hold(THE_NUMBER, Reason::TokenInvalid, true)], ..well() };
    let problem = Status::default().report(gauges).problems.remove(0);
    assert_eq!(problem.since, Some(NOW));
    assert!(problem.remedy.contains("token_file"), "{}", problem.remedy);
}

#[test]
fn a_report_survives_json() {
    let mut status = Status::default();
    status.message(Category::Utility, Outcome::Withheld, Reason::NoConsent);
    status.last(line(1));
    let report = status.report(Gauges { holds: vec![hold("everything", Reason::Paused, true)], ..well() });
    let json = serde_json::to_string(&report).unwrap();
    assert!(json.contains(r#""reason":"no-consent""#) && json.contains(r#""clock_trusted":true"#), "{json}");
    assert_eq!(serde_json::from_str::<StatusReport>(&json).unwrap(), report);
}

#[test]
fn times_ages_and_sizes_read_well() {
    let zone = TimeZone::get("America/Sao_Paulo").unwrap();
    assert_eq!(show::local(NOW, &zone), "2026-11-22 14:02:05");
    assert_eq!(show::since(Wall(NOW.0 - 10_800_000), NOW, &zone), "2026-11-22 11:02:05 (3 h ago)");
    assert_eq!(show::since(Wall(NOW.0 + 1), NOW, &zone), "2026-11-22 14:02:05");
    for (seconds, text) in
        [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7_199, "119 min"), (7_200, "2 h"), (172_800, "2 d")]
    {
        assert_eq!(show::age(seconds), text);
    }
    for (size, text) in [(0, "0 B"), (1_023, "1023 B"), (1_536, "1.5 KiB"), (256 << 20, "256 MiB"), (3 << 30, "3 GiB")]
    {
        assert_eq!(show::bytes(size), text);
    }
}

#[test]
fn rules_that_used_nothing_of_a_cap_are_counted_and_not_named() {
    let rule = |name: &str, taken, cap: u64| LimitUse {
        limit: format!("rule:{name}"),
        used: taken as f64 / cap as f64,
        taken,
        free: cap - taken,
        note: format!("messages, {cap} per 1h"),
    };
    let limits = [rule("a", 0, 300), rule("b", 3, 300), rule("c", 0, 300), rule("d", 0, 40), rule("e", 0, 300)];
    let shown = show::limits(&limits);
    let names: Vec<&str> = shown.iter().map(|limit| limit.limit.as_str()).collect();
    assert_eq!(names, ["3 idle rules", "rule:b", "rule:d"]);
    assert_eq!((shown[0].free, shown[0].note.as_str()), (300, "messages, 300 per 1h each"));
}
