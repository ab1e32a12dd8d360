//! What is known of a person, found by reading: one test for each bug, named for it.

use super::kit::*;
use crate::message::{Notice, Outcome, Progress, Reason, Who};
use crate::operate::{Grant, Request};
use crate::time::Wall;

const DAY: u64 = 86_400_000;

/// An operator's word for somebody.
fn grant(kit: &mut Kit, number: &str, expires: Option<i64>) {
    let (purpose, source) = ("orders".into(), "form".into());
    let expires = expires.map(Wall);
    kit.ask(Request::ConsentGrant(Grant {
        number: number.into(),
        purpose,
        source,
        wording: None,
        expires,
        after_revocation: false,
    }));
}

/// A later event for somebody, which brings no consent of its own: what became of it.
fn later(kit: &mut Kit, number: &str, n: &str) -> (Outcome, Reason) {
    kit.arrive("pos/1/ready", &format!(r#"{{"to": "{number}", "opt_in": false, "id": "{n}", "n": "{n}"}}"#));
    let last = kit.count("SELECT max(id) FROM message");
    kit.stands(last)
}

/// A grant without a date got one when the clock came, and not the end that its purpose has.
#[test]
fn consent_given_while_the_clock_is_not_trusted_ends_as_its_purpose_does() {
    const OTHER: &str = "+5521987650003";
    let mut kit = Kit::cold("64 MiB", "hold");
    (kit.trusted, kit.wall_shift) = (false, -MONDAY);
    kit.start();
    kit.order("pos/1/ready", BIA, "an event");
    grant(&mut kit, CAIO, None);
    grant(&mut kit, OTHER, Some(MONDAY + 1_000 * DAY as i64));
    kit.run(DAY);
    (kit.trusted, kit.wall_shift) = (true, 0);
    kit.restart();
    let ends = "SELECT count(*) FROM ledger WHERE expires_wall = at_wall + 730 * 86400000";
    assert_eq!(kit.count(ends), 2, "from the day on which it was given");
    kit.wall_shift = 729 * DAY as i64 - 60_000;
    kit.give(vec![crate::engine::Input::Woke]);
    for number in [BIA, CAIO, OTHER] {
        assert_ne!(later(&mut kit, number, "in time").0, Outcome::Withheld, "{number}");
    }
    kit.wall_shift = 730 * DAY as i64;
    kit.give(vec![crate::engine::Input::Woke]);
    for number in [BIA, CAIO] {
        assert_eq!(later(&mut kit, number, "too late"), (Outcome::Withheld, Reason::ConsentExpired), "{number}");
    }
    assert_ne!(later(&mut kit, OTHER, "still").0, Outcome::Withheld, "its own end stands");
}

fn state(kit: &Kit) -> serde_json::Value {
    serde_json::from_str(&kit.published.iter().rfind(|publish| publish.retain).unwrap().payload).unwrap()
}

/// One 131026 withheld everything for thirty days, alarms too, though the person wrote or another message arrived.
#[test]
fn who_writes_or_is_reached_is_undeliverable_no_more() {
    let withheld = (Outcome::Withheld, Reason::Undeliverable);
    let mut kit = Kit::new();
    kit.order("pos/1/urgent", BIA, "refused");
    kit.answer_last(code(131026));
    kit.run(60_000);
    assert_eq!(later(&mut kit, BIA, "while nobody knows better"), withheld);
    let at = MONDAY + kit.now as i64;
    kit.hear(vec![wrote(&BIA[1..], at, "oi")]);
    kit.restart();
    assert_ne!(later(&mut kit, BIA, "who wrote").0, Outcome::Withheld);

    for (progress, lifts) in [(Progress::Sent, false), (Progress::Delivered, true), (Progress::Read, true)] {
        let mut kit = Kit::new();
        kit.order("pos/1/ready", BIA, "taken");
        kit.answer_last(ok_as("wamid.A"));
        kit.run(60_000);
        kit.order("pos/1/ready", BIA, "refused");
        kit.answer_last(code(131026));
        kit.run(60_000);
        kit.report(1, "wamid.A", progress.clone());
        assert_eq!(later(&mut kit, BIA, "next") != withheld, lifts, "{progress:?}");
    }
}

/// Nobody was told that the alarms reach a member of the staff no more.
#[test]
fn staff_who_are_undeliverable_are_told_until_they_write() {
    let mut kit = Kit::new();
    kit.arrive("node/1/state", r#"{"n": 50, "id": "1"}"#);
    let flight = kit.engine().soft.in_flight[0].attempt;
    kit.answer(flight, code(131026));
    kit.run(60_000);
    let shown = state(&kit)["holds"].clone();
    assert_eq!(shown.as_array().unwrap().len(), 1, "{shown}");
    assert_eq!(
        (shown[0]["what"].as_str(), shown[0]["reason"].as_str()),
        (Some("contact:oncall"), Some("undeliverable"))
    );
    assert!(shown[0]["until"].is_string(), "{shown}");
    kit.restart();
    assert_eq!(state(&kit)["holds"], shown, "kept");
    let at = MONDAY + kit.now as i64;
    kit.hear(vec![wrote(&ANA[1..], at, "oi")]);
    kit.run(60_000);
    assert_eq!(state(&kit)["holds"], serde_json::json!([]));
}

/// An offer to somebody who agreed: whether it was withheld.
fn offer(kit: &mut Kit, n: &str) -> (Outcome, Reason) {
    kit.arrive("pos/1/offer", &format!(r#"{{"to": "{BIA}", "opt_in": true, "id": "{n}", "n": "{n}"}}"#));
    let last = kit.count("SELECT max(id) FROM message");
    kit.stands(last)
}

fn resume(at: i64) -> Notice {
    Notice::Marketing { who: Who { digits: Some(BIA[1..].into()), user: None }, stop: false, at: Some(Wall(at)) }
}

/// A refusal as 131050 had no time: a wish to resume that was told before it, and came late, lifted it.
#[test]
fn an_older_wish_to_resume_lifts_no_131050() {
    const STOPPED: (Outcome, Reason) = (Outcome::Withheld, Reason::MarketingStopped);
    for trusted in [true, false] {
        let mut kit = Kit::new();
        offer(&mut kit, "refused");
        kit.run(1_000);
        // Offers wait while no clock is trusted; the answer to one may come then.
        kit.trusted = trusted;
        kit.answer_last(code(131050));
        kit.run(60_000);
        let older = kit.now as i64 - 70_000;
        kit.hear(vec![resume(MONDAY + older)]);
        assert_eq!(offer(&mut kit, "after"), STOPPED, "trusted: {trusted}");
        kit.trusted = true;
        kit.run(60_000);
        if !trusted {
            // What was told before the clock came back may be older or newer.
            kit.hear(vec![resume(MONDAY + kit.now as i64 - 61_000)]);
            assert_eq!(offer(&mut kit, "nobody knows"), STOPPED);
        }
        kit.restart();
        kit.run(60_000);
        kit.hear(vec![resume(MONDAY + kit.now as i64 - 1_000)]);
        assert_ne!(offer(&mut kit, "since then").0, Outcome::Withheld, "trusted: {trusted}");
    }
}

/// Whoever was erased while a request was on its way was nobody any more, and the next event sent a second one beside it.
#[test]
fn nothing_leaves_beside_what_is_on_its_way_to_somebody_erased() {
    for limits in ["", "\n[limits]\npair_interval = \"off\"\n"] {
        let mut kit = Kit::cold("64 MiB", "hold");
        kit.extra = limits.into();
        kit.start();
        kit.order("pos/1/ready", BIA, "on its way");
        kit.ask(Request::ContactErase { numbers: vec![BIA.into()] });
        kit.order("pos/1/ready", BIA, "a second");
        kit.order("pos/1/urgent", BIA, "an alarm");
        kit.run(14_000);
        assert_eq!(kit.texts(), ["on its way"], "{limits}");
        kit.answer_last(taken());
        kit.run(10_000);
        assert!(kit.texts().len() > 1, "{limits}: and it ends");
    }
}

/// Heard late and together: the report of a 131050, and that the person resumed after it.
#[test]
fn a_resume_after_a_131050_that_is_reported_late_stands() {
    for resume_first in [false, true] {
        let mut kit = Kit::new();
        offer(&mut kit, "refused");
        kit.answer_last(ok_as("wamid.A"));
        kit.run(8 * 86_400_000);
        let shown = format!("sp-042/{}/e", kit.engine().outbox.shown(crate::message::MessageId(1)));
        let failed = crate::message::Status {
            wamid: "wamid.A".into(),
            progress: Progress::Failed { code: Some(131050), said: String::new() },
            at: Some(Wall(MONDAY + 60_000)),
            who: Who::default(),
            data: Some(shown),
        };
        let mut notices = vec![Notice::Status(failed), resume(MONDAY + 7_200_000)];
        if resume_first {
            notices.reverse();
        }
        kit.hear(notices);
        assert_eq!(kit.stands(1), (Outcome::Failed, Reason::MarketingStopped));
        assert_eq!(offer(&mut kit, "since then"), (Outcome::Stored, Reason::Due), "resume first: {resume_first}");
    }
}

/// Of two rows for one person the one that waited lost its turn, where the other had nothing to wait for.
#[test]
fn what_waits_for_somebody_is_not_lost_when_two_rows_become_one() {
    for by_report in [true, false] {
        let mut kit = Kit::new();
        let user = Who { digits: None, user: Some("BR.1".into()) };
        kit.hear(vec![Notice::Marketing { who: user.clone(), stop: true, at: Some(Wall(MONDAY)) }]);
        kit.order("pos/1/ready", BIA, "first");
        let shown = format!("sp-042/{}/e", kit.engine().outbox.shown(crate::message::MessageId(1)));
        kit.answer_last(taken());
        for n in 2..9 {
            let sent = kit.sent.len();
            kit.order("pos/1/ready", BIA, &n.to_string());
            if kit.sent.len() > sent {
                kit.answer_last(taken());
            }
        }
        assert!(kit.sent.len() < 8, "the last wait for the pair limit");
        let both = Who { digits: Some(BIA[1..].into()), user: Some("BR.1".into()) };
        kit.hear(vec![if by_report {
            let status = crate::message::Status {
                wamid: "wamid.A".into(),
                progress: Progress::Delivered,
                at: None,
                who: both,
                data: Some(shown),
            };
            Notice::Status(status)
        } else {
            Notice::Marketing { who: both, stop: true, at: Some(Wall(MONDAY + 1)) }
        }]);
        for _ in 0..8 {
            kit.run(60_000);
            kit.answer_last(taken());
        }
        assert_eq!(kit.sent.len(), 8, "by a report: {by_report}");
    }
}
