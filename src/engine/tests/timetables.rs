//! What happens when: "at 0 s this, at 9 s nothing, at 10 s that".

use super::kit::*;
use crate::engine::{Action, BrokerLink, Input, Link};
use crate::message::{Delivery, Epoch, NotSent, Outcome, Reason};
use crate::operate::{Grant, LedgerLine, Reply, Request, Target};
use std::time::Duration;

#[test]
fn an_event_is_acknowledged_and_posted_in_one_batch() {
    let mut kit = Kit::new();
    let commits = kit.engine().outbox.row().commits;
    let arrival = kit.arrival("pos/1/ready", r#"{"to": "+5521987650001", "opt_in": true, "id": "e1", "n": "A-1"}"#);
    let actions = kit.try_give(&[Input::Arrived(arrival)]).unwrap();
    let acks = actions.iter().filter(|action| matches!(action, Action::Ack(_))).count();
    let posts = actions.iter().filter(|action| matches!(action, Action::Post(_))).count();
    assert_eq!((acks, posts), (1, 1));
    assert_eq!(kit.engine().outbox.row().commits, commits + 1, "one sync for both");
    let _ = kit.take(actions);
    assert_eq!((kit.sent[0].to.as_str(), kit.sent[0].text.as_str()), (BIA, "A-1"));
    kit.answer_last(taken());
    assert_eq!(kit.outcomes(), [(Outcome::Stored, Reason::Due), (Outcome::Accepted, Reason::Taken)]);
    kit.answer_last(taken());
    assert_eq!(kit.outcomes().len(), 2, "an answer counts once");
}

/// Accepts whatever leaves until nothing more leaves at this instant.
fn accept_all(kit: &mut Kit, from: &mut usize) {
    while *from < kit.sent.len() {
        let attempt = kit.sent[*from].attempt;
        *from += 1;
        kit.answer(attempt, taken());
    }
}

fn accepting_until(kit: &mut Kit, from: &mut usize, seconds: f64) {
    let end = (seconds * 1000.0) as u64;
    while kit.now < end {
        accept_all(kit, from);
        let step = (end - kit.now).min(100);
        kit.run(step);
    }
    accept_all(kit, from);
}

#[test]
fn one_person_gets_three_at_once_and_then_none_until_all_is_repaid() {
    let mut kit = Kit::new();
    let mut from = 0;
    for n in ["1", "2", "3", "4", "5"] {
        kit.order("pos/1/ready", BIA, n);
    }
    assert_eq!(kit.texts(), ["1"], "one in flight per person");
    accept_all(&mut kit, &mut from);
    assert_eq!(kit.texts(), ["1", "2", "3"]);
    accepting_until(&mut kit, &mut from, 17.9);
    assert_eq!(kit.texts(), ["1", "2", "3"]);
    accepting_until(&mut kit, &mut from, 18.1);
    assert_eq!(kit.texts(), ["1", "2", "3", "4", "5"]);
}

#[test]
fn no_second_has_more_than_the_sender_may_send() {
    let mut kit = Kit::new();
    let mut from = 0;
    for person in 0..60 {
        kit.order("pos/1/ready", &format!("+55219876511{person:02}"), &person.to_string());
        accept_all(&mut kit, &mut from);
    }
    assert_eq!(kit.sent.len(), 20);
    accepting_until(&mut kit, &mut from, 0.9);
    assert_eq!(kit.sent.len(), 20);
    accepting_until(&mut kit, &mut from, 1.1);
    assert_eq!(kit.sent.len(), 40);
    let order: Vec<String> = (0..40).map(|n| n.to_string()).collect();
    assert_eq!(kit.texts(), order, "in the order of arrival");
}

#[test]
fn what_is_urgent_overtakes_and_equals_keep_their_order() {
    let mut kit = Kit::new();
    kit.order("pos/1/ready", BIA, "first");
    for (topic, n) in
        [("low", "low"), ("ready", "normal-1"), ("high", "high"), ("ready", "normal-2"), ("urgent", "now")]
    {
        kit.order(&format!("pos/1/{topic}"), BIA, n);
    }
    let mut from = 0;
    accepting_until(&mut kit, &mut from, 60.0);
    assert_eq!(kit.texts(), ["first", "now", "high", "normal-1", "normal-2", "low"]);
}

#[test]
fn an_unknown_waits_holds_its_equals_and_is_repeated_as_policy_says() {
    // (topic, how often it is sent, the outcome that ends it)
    for (topic, times) in [("urgent", 4), ("high", 2), ("ready", 2), ("low", 1)] {
        let mut kit = Kit::new();
        kit.order(&format!("pos/1/{topic}"), BIA, "x");
        for time in 1..=times {
            assert_eq!(kit.sent.len(), time, "{topic}");
            kit.answer_last(lost());
            let before = kit.now;
            kit.run(29_900);
            assert_eq!(kit.sent.len(), time, "{topic}: at 29.9 s nothing");
            kit.now = before + 29_900;
            kit.run(60_100);
        }
        assert_eq!(kit.sent.len(), times, "{topic}");
        assert_eq!(kit.told_times(Outcome::Unknown, Reason::NotRepeated), 1, "{topic}");
        kit.run(3_600_000);
        assert_eq!(kit.sent.len(), times, "{topic}");
    }
}

#[test]
fn marketing_is_never_repeated() {
    let mut kit = Kit::new();
    kit.order("pos/1/offer", BIA, "20%");
    kit.answer_last(lost());
    kit.run(3_600_000);
    assert_eq!(kit.sent.len(), 1);
    assert_eq!(kit.told_times(Outcome::Unknown, Reason::NotRepeated), 1);
}

#[test]
fn repeats_count_every_unknown_whatever_its_reason() {
    // 429 without the API's code: unknown by its status, told as number-limit.
    let mut kit = Kit::new();
    kit.order("pos/1/ready", BIA, "x");
    for _ in 0..6 {
        if kit.told_times(Outcome::Unknown, Reason::NotRepeated) == 0 && !kit.engine().soft.in_flight.is_empty() {
            kit.answer_last(http(429, ""));
        }
        kit.run(600_000);
    }
    assert_eq!(kit.sent.len(), 2, "normal repeats once");
}

#[test]
fn an_unknown_holds_its_equals_and_lets_the_more_urgent_pass() {
    let mut kit = Kit::new();
    kit.order("pos/1/ready", BIA, "lost");
    kit.order("pos/1/ready", BIA, "follower");
    kit.answer_last(lost());
    kit.order("pos/1/ready", CAIO, "somebody else");
    kit.run(20_000);
    assert_eq!(kit.texts(), ["lost", "somebody else"]);
    kit.answer_last(taken());
    kit.order("pos/1/urgent", BIA, "urgent");
    assert_eq!(kit.texts(), ["lost", "somebody else", "urgent"]);
    kit.answer_last(taken());
    kit.run(11_000);
    assert_eq!(kit.texts(), ["lost", "somebody else", "urgent", "lost"]);
    kit.answer_last(taken());
    kit.run(30_000);
    assert_eq!(kit.texts(), ["lost", "somebody else", "urgent", "lost", "follower"]);
}

#[test]
fn surely_not_sent_costs_nothing_and_goes_out_again_when_the_line_is_back() {
    let mut kit = Kit::new();
    kit.order("pos/1/ready", BIA, "1");
    kit.line = false;
    kit.answer_last(unsent());
    kit.order("pos/1/ready", BIA, "2");
    kit.order("pos/1/ready", CAIO, "3");
    kit.run(30_000);
    assert_eq!(kit.texts(), ["1"], "the circuit is open");
    assert!(kit.probes > 2, "probed with back-off");
    kit.line = true;
    kit.run(60_000);
    assert_eq!(kit.texts(), ["1", "1"], "one trial first");
    let mut from = 1;
    accept_all(&mut kit, &mut from);
    assert_eq!(kit.texts(), ["1", "1", "3", "2"], "the pair was refunded; who has waited longest goes first");
}

#[test]
fn a_trial_that_fails_opens_the_circuit_again() {
    let mut kit = Kit::new();
    kit.line = false;
    kit.order("pos/1/ready", BIA, "1");
    kit.answer_last(unsent());
    kit.line = true;
    kit.run(2_000);
    assert_eq!(kit.sent.len(), 2);
    kit.answer_last(unsent());
    assert_eq!(kit.sent.len(), 2, "not in the same instant");
    kit.run(4_000);
    assert_eq!(kit.sent.len(), 3);
}

#[test]
fn a_refusal_ends_a_message_and_a_person_who_is_not_on_whatsapp_is_left_alone() {
    let mut kit = Kit::new();
    kit.order("pos/1/ready", BIA, "1");
    kit.answer_last(code(131026));
    assert_eq!(kit.told_times(Outcome::Refused, Reason::Undeliverable), 1);
    kit.run(60_000);
    kit.order("pos/1/ready", BIA, "2");
    assert_eq!(kit.told_times(Outcome::Withheld, Reason::Undeliverable), 1);
    assert_eq!(kit.sent.len(), 1);
}

#[test]
fn a_pair_refusal_waits_one_then_four_seconds() {
    let mut kit = Kit::new();
    kit.order("pos/1/ready", BIA, "1");
    kit.run(1_000);
    kit.answer_last(code(131056));
    for n in [1, 2, 3] {
        let strikes = kit.sent.len();
        assert_eq!(strikes, n);
        let long = 4u64.pow(n as u32 - 1) * 1000;
        kit.run(long - 100);
        assert_eq!(kit.sent.len(), n, "not before {long} ms");
        kit.run(20_000);
        assert_eq!(kit.sent.len(), n + 1);
        kit.answer_last(code(131056));
    }
    assert_eq!(kit.told_times(Outcome::Refused, Reason::PlatformPairLimit), 0, "kept");
}

#[test]
fn a_refused_token_stops_all_until_another_comes() {
    let mut kit = Kit::new();
    kit.give(vec![Input::Link(Link::Token(Some([1; 8])))]);
    kit.order("pos/1/ready", BIA, "1");
    kit.order("pos/1/ready", CAIO, "2");
    let (first, second) = (kit.sent[0].attempt, kit.sent.last().unwrap().attempt);
    kit.answer(first, code(190));
    kit.order("pos/1/urgent", ANA, "3");
    kit.run(600_000);
    assert_eq!(kit.engine().may_post(), Err((Reason::TokenInvalid, None)));
    let sent = kit.sent.len();
    kit.restart();
    kit.give(vec![Input::Link(Link::Token(Some([1; 8])))]);
    kit.run(60_000);
    assert_eq!(kit.sent.len(), sent, "the same token after a restart is still the refused one");
    kit.give(vec![Input::Link(Link::Token(Some([2; 8])))]);
    assert!(kit.sent.len() > sent, "goes on by itself");
    let _ = second;
}

#[test]
fn an_answer_to_the_old_token_does_not_stop_the_new_one() {
    let mut kit = Kit::new();
    kit.give(vec![Input::Link(Link::Token(Some([1; 8])))]);
    kit.order("pos/1/ready", BIA, "1");
    kit.give(vec![Input::Link(Link::Token(Some([2; 8])))]);
    kit.answer_last(code(190));
    kit.run(10_000);
    assert_eq!(kit.texts(), ["1", "1"]);
}

#[test]
fn a_locked_account_waits_for_an_operator() {
    let mut kit = Kit::new();
    kit.order("pos/1/ready", BIA, "1");
    kit.answer_last(code(131031));
    kit.give(vec![Input::Link(Link::Token(Some([2; 8])))]);
    kit.run(3_600_000);
    assert_eq!(kit.sent.len(), 1);
    kit.ask(Request::Resume { target: Target::All, reason: "unlocked".into() });
    assert_eq!(kit.sent.len(), 2);
}

/// Found with the real binary: eight refusals of one outage were eight strikes, and the number rested for minutes.
#[test]
fn what_was_in_flight_when_the_platform_failed_is_one_strike() {
    for (answer, until) in [(http(503, ""), 2), (http(307, ""), 2), (code(131016), 2), (code(130429), 2), (code(4), 60)]
    {
        let mut kit = Kit::new();
        let mut from = 0;
        kit.order("pos/1/ready", ANA, "0");
        accept_all(&mut kit, &mut from);
        for person in 0..8 {
            kit.order("pos/1/ready", &format!("+55219876511{person:02}"), &person.to_string());
        }
        assert_eq!(kit.sent.len(), 9);
        let flights: Vec<_> = kit.sent[1..].iter().map(|sent| sent.attempt).collect();
        for attempt in flights {
            kit.answer(attempt, answer.clone());
        }
        kit.order("pos/1/ready", CAIO, "9");
        assert_eq!(kit.sent.len(), 9);
        kit.run(until * 1_000);
        assert_eq!(
            kit.sent.len(),
            10,
            "one is tried after the first step of the back-off, at most {until} s: {answer:?}"
        );
    }
}

/// Several requests under way may learn the same: it is told once.
#[test]
fn a_stop_is_told_once() {
    let mut kit = Kit::new();
    let mut from = 0;
    kit.order("pos/1/ready", ANA, "0");
    accept_all(&mut kit, &mut from);
    kit.order("pos/1/ready", BIA, "1");
    kit.order("pos/1/ready", CAIO, "2");
    for flight in [1, 2] {
        let attempt = kit.sent[flight].attempt;
        kit.answer(attempt, code(131031));
    }
    let loud = kit.told.iter().filter(|told| told.loud && told.outcome.is_none()).count();
    assert_eq!(loud, 1);
}

#[test]
fn a_rest_for_spam_is_not_lifted_by_what_left_before_it() {
    let mut kit = Kit::new();
    kit.order("pos/1/ready", ANA, "0");
    kit.answer_last(taken());
    for (person, n) in [(BIA, "1"), (CAIO, "2")] {
        kit.order("pos/1/ready", person, n);
    }
    assert_eq!(kit.texts(), ["0", "1", "2"]);
    let (one, two) = (kit.sent[1].attempt, kit.sent[2].attempt);
    kit.answer(one, code(131048));
    kit.answer(two, taken());
    for person in 0..5 {
        kit.order("pos/1/urgent", &format!("+55219876511{person:02}"), &person.to_string());
    }
    assert_eq!(kit.sent.len(), 3);
    kit.run(6 * 3_600_000 - 1_000);
    assert_eq!(kit.sent.len(), 3);
    kit.run(2_000);
    assert_eq!(kit.sent.len(), 4, "then one is tried");
    kit.answer_last(taken());
    assert!(kit.sent.len() > 5, "and all the others follow");
}

#[test]
fn a_held_template_holds_only_itself() {
    let mut kit = Kit::new();
    kit.order("pos/1/ready", BIA, "1");
    kit.answer_last(code(132015));
    kit.order("pos/1/ready", BIA, "2");
    kit.order("pos/1/high", BIA, "other template");
    kit.run(60_000);
    assert_eq!(kit.texts(), ["1", "other template"]);
    kit.answer_last(taken());
    kit.at(3.0 * 3600.0 - 1.0);
    assert_eq!(kit.sent.len(), 2);
    kit.at(3.0 * 3600.0 + 1.0);
    assert_eq!(kit.texts(), ["1", "other template", "1"]);
}

#[test]
fn operators_pause_and_resume_rules_categories_and_everything() {
    for target in [
        Target::Rule("ready".into()),
        Target::Category("utility".into()),
        Target::Template("order_ready".into()),
        Target::All,
    ] {
        let mut kit = Kit::new();
        kit.ask(Request::Pause { target: target.clone(), reason: "audit".into() });
        kit.order("pos/1/ready", BIA, "1");
        kit.run(60_000);
        assert_eq!(kit.sent.len(), 0, "{target:?}");
        kit.restart();
        kit.run(60_000);
        assert_eq!(kit.sent.len(), 0, "{target:?} survives a restart");
        let reply = kit.ask(Request::Resume { target: target.clone(), reason: "done".into() });
        assert!(matches!(reply, Reply::Data(_)), "{reply:?}");
        assert_eq!(kit.sent.len(), 1, "{target:?}");
    }
}

#[test]
fn a_revocation_is_never_lifted_by_opt_in() {
    let mut kit = Kit::new();
    kit.arrive("pos/1/stop", &format!(r#"{{"to": "{BIA}"}}"#));
    for n in ["1", "2", "3"] {
        kit.order("pos/1/ready", BIA, n);
        kit.arrive("pos/1/agree", &format!(r#"{{"to": "{BIA}"}}"#));
    }
    assert_eq!(kit.told_times(Outcome::Withheld, Reason::ConsentRevoked), 3);
    let grant = |after_revocation| {
        Request::ConsentGrant(Grant {
            number: BIA.into(),
            purpose: "orders".into(),
            source: "form 7".into(),
            wording: None,
            expires: None,
            after_revocation,
        })
    };
    assert!(matches!(kit.ask(grant(false)), Reply::Refused(_)));
    assert!(matches!(kit.ask(grant(true)), Reply::Data(_)));
    kit.order("pos/1/ready", BIA, "4");
    assert_eq!(kit.texts(), ["4"]);
}

#[test]
fn consent_is_asked_again_at_the_instant_of_sending() {
    let mut kit = Kit::new();
    kit.order("pos/1/ready", BIA, "1");
    kit.order("pos/1/ready", BIA, "2");
    kit.ask(Request::ConsentRevoke { number: BIA.into(), purpose: None });
    kit.answer_last(taken());
    assert_eq!(kit.texts(), ["1"]);
    assert_eq!(kit.told_times(Outcome::Withheld, Reason::ConsentRevoked), 1);
}

#[test]
fn without_consent_nothing_is_sent_and_a_grant_by_event_counts() {
    let mut kit = Kit::new();
    let order = |n: &str| format!(r#"{{"to": "{BIA}", "id": "{n}", "n": "{n}"}}"#);
    kit.arrive("pos/1/ready", &order("1"));
    assert_eq!(kit.told_times(Outcome::Withheld, Reason::NoConsent), 1);
    kit.arrive("pos/1/agree", &format!(r#"{{"to": "{BIA}"}}"#));
    kit.arrive("pos/1/ready", &order("2"));
    assert_eq!(kit.texts(), ["2"]);
}

#[test]
fn contacts_are_told_and_their_consent_is_recorded_once() {
    let mut kit = Kit::new();
    kit.arrive("node/7/state", r#"{"n": 47}"#);
    assert_eq!(kit.sent[0].to, ANA);
    kit.answer_last(taken());
    assert_eq!(kit.sent.len(), 2, "both members");
    kit.arrive("node/7/state", r#"{"n": 48}"#);
    let Reply::Data(shown) = kit.ask(Request::ConsentShow { number: ANA.into() }) else { panic!() };
    assert_eq!(shown["entries"].as_array().unwrap().len(), 1);
}

#[test]
fn the_same_event_is_one_message_within_its_window_across_restarts() {
    let mut kit = Kit::new();
    kit.order("pos/1/ready", BIA, "1");
    kit.answer_last(taken());
    kit.restart();
    kit.order("pos/1/ready", BIA, "1");
    kit.at(23.9 * 3600.0);
    kit.order("pos/1/ready", BIA, "1");
    assert_eq!(kit.sent.len(), 1);
    kit.at(24.1 * 3600.0);
    kit.order("pos/1/ready", BIA, "1");
    assert_eq!(kit.sent.len(), 2, "after the window it is another event");
    assert_eq!(kit.acked.len(), 4, "each was acknowledged");
}

#[test]
fn without_an_id_only_what_the_broker_marks_in_a_resumed_session_is_a_repeat() {
    let mut kit = Kit::new();
    let mut arrival = kit.arrival("pos/1/ready", r#"{"to": "+5521987650001", "opt_in": true, "n": "1"}"#);
    kit.give(vec![Input::Arrived(arrival.clone())]);
    kit.answer_last(taken());
    kit.give(vec![Input::Arrived(arrival.clone())]);
    assert_eq!(kit.sent.len(), 2, "unmarked: another event");
    kit.answer_last(taken());
    let Delivery::AtLeastOnce { packet, .. } = arrival.delivery else { panic!() };
    arrival.delivery = Delivery::AtLeastOnce { epoch: Epoch(1), packet, dup: true };
    kit.give(vec![Input::Arrived(arrival.clone())]);
    assert_eq!(kit.sent.len(), 3, "marked, but in a new session");
    kit.answer_last(taken());
    kit.restart();
    kit.run(60_000);
    kit.give(vec![Input::Arrived(arrival.clone())]);
    assert_eq!(kit.sent.len(), 3, "marked in a resumed session: the same");
    assert_eq!(kit.acked.len(), 4);
}

#[test]
fn a_retained_message_is_a_state_unless_it_is_asked_for() {
    let mut kit = Kit::new();
    let mut arrival = kit.arrival("pos/1/ready", r#"{"to": "+5521987650001", "opt_in": true, "n": "1"}"#);
    arrival.retained = true;
    kit.give(vec![Input::Arrived(arrival)]);
    assert_eq!(kit.sent.len(), 0);
    let mut arrival = kit.arrival("node/7/state", r#"{"n": 47}"#);
    arrival.retained = true;
    kit.give(vec![Input::Arrived(arrival)]);
    assert_eq!(kit.sent.len(), 1);
    assert_eq!(kit.acked.len(), 2);
}

#[test]
fn what_nobody_can_read_is_recorded_and_acknowledged() {
    let mut kit = Kit::new();
    kit.arrive("pos/1/ready", "{");
    kit.arrive("elsewhere", "{");
    assert_eq!(kit.outcomes(), [(Outcome::Unreadable, Reason::PayloadUnreadable)]);
    assert_eq!(kit.acked.len(), 2);
    assert!(kit.published.iter().any(|publish| publish.topic == "branchline/sp-042/receipt/ready"));
}

#[test]
fn messages_expire_from_the_events_time_and_the_publishers_expiry() {
    let mut kit = Kit::new();
    kit.ask(Request::Pause { target: Target::Rule("order".into()), reason: "test".into() });
    let order = |n: &str, at: &str| {
        format!(r#"{{"to": "{BIA}", "opt_in": true, "id": "{n}", "n": "{n}", "order": "{n}", "at": "{at}"}}"#)
    };
    kit.arrive("pos/1/order", &order("too old", "2026-03-02T07:59:00Z"));
    assert_eq!(kit.told_times(Outcome::Expired, Reason::TooOld), 1, "four hours are over at arrival");
    kit.arrive("pos/1/order", &order("an hour left", "2026-03-02T09:00:00Z"));
    let mut brief = kit.arrival("pos/1/order", &order("brief", ""));
    brief.expiry = Some(Duration::from_secs(600));
    kit.give(vec![Input::Arrived(brief)]);
    kit.at(599.0);
    assert_eq!(kit.told_times(Outcome::Expired, Reason::TooOld), 1);
    kit.at(601.0);
    assert_eq!(kit.told_times(Outcome::Expired, Reason::TooOld), 2);
    kit.at(3599.0);
    assert_eq!(kit.told_times(Outcome::Expired, Reason::TooOld), 2);
    kit.at(3601.0);
    assert_eq!(kit.told_times(Outcome::Expired, Reason::TooOld), 3);
}

#[test]
fn time_spent_off_counts_for_expiry() {
    for trusted_in_between in [true, false] {
        let mut kit = Kit::new();
        kit.ask(Request::Pause { target: Target::All, reason: "test".into() });
        kit.order("pos/1/ready", BIA, "1");
        if !trusted_in_between {
            // A short life in between that never knew the time, and wrote something.
            kit.trusted = false;
            kit.reboot(Duration::from_secs(60));
            kit.order("pos/1/ready", CAIO, "2");
            kit.trusted = true;
        }
        kit.reboot(Duration::from_secs(5 * 3600));
        kit.run(0);
        assert!(kit.told_times(Outcome::Expired, Reason::TooOld) >= 1, "{trusted_in_between}");
    }
}

#[test]
fn without_a_trusted_clock_critical_goes_and_the_rest_waits_for_it() {
    let mut kit = Kit::cold("64 MiB", "hold");
    kit.trusted = false;
    kit.start();
    let order = |n: &str| {
        format!(
            r#"{{"to": "{BIA}", "opt_in": true, "id": "{n}", "n": "{n}", "order": "{n}", "at": "2026-03-02T11:59:00Z"}}"#
        )
    };
    kit.arrive("pos/1/order", &order("1"));
    kit.order("pos/1/urgent", CAIO, "2");
    kit.run(10_000);
    assert_eq!(kit.texts(), ["2"]);
    kit.restart();
    kit.run(10_000);
    assert_eq!(kit.texts(), ["2"], "a restart does not go round in circles");
    kit.trusted = true;
    kit.give(vec![Input::Woke]);
    assert_eq!(kit.texts(), ["2", "1"]);
}

#[test]
fn a_newer_message_about_the_subject_withdraws_what_has_not_left() {
    let mut kit = Kit::new();
    let order = |n: &str, at: &str| {
        format!(r#"{{"to": "{BIA}", "opt_in": true, "id": "{n}", "n": "{n}", "order": "17", "at": "{at}"}}"#)
    };
    kit.order("pos/1/ready", BIA, "0");
    kit.arrive("pos/1/order", &order("1", ""));
    kit.arrive("pos/1/order", &order("2", ""));
    assert_eq!(kit.told_times(Outcome::Withdrawn, Reason::Superseded), 1);
    kit.answer_last(taken());
    assert_eq!(kit.texts(), ["0", "2"]);
    kit.arrive("pos/1/order", &order("3", ""));
    kit.answer_last(lost());
    assert_eq!(kit.told_times(Outcome::Withdrawn, Reason::Superseded), 1, "unknown, not withdrawn yet");
    kit.run(31_000);
    assert_eq!(
        kit.told_times(Outcome::Unknown, Reason::Superseded),
        1,
        "perhaps 2 arrived; 3 is newer, so it is not repeated"
    );
    assert_eq!(kit.texts(), ["0", "2", "3"]);
}

#[test]
fn a_late_event_is_withdrawn_by_what_is_newer_by_its_own_time() {
    let order = |n: &str, at: &str| {
        format!(r#"{{"to": "{BIA}", "opt_in": true, "id": "{n}", "n": "{n}", "order": "17", "at": "{at}"}}"#)
    };
    for answered in [true, false] {
        let mut kit = Kit::new();
        kit.arrive("pos/1/order", &order("new", "2026-03-02T11:58:00Z"));
        if answered {
            kit.answer_last(taken());
        }
        kit.arrive("pos/1/order", &order("old", "2026-03-02T11:57:00Z"));
        if !answered {
            kit.answer_last(taken());
        }
        kit.run(60_000);
        assert_eq!(kit.texts(), ["new"], "answered {answered}");
        assert_eq!(kit.told_times(Outcome::Withdrawn, Reason::Superseded), 1);
    }
}

#[test]
fn an_older_one_that_comes_back_after_a_newer_one_was_taken_is_withdrawn() {
    let mut kit = Kit::new();
    let order = |n: &str| format!(r#"{{"to": "{BIA}", "opt_in": true, "id": "{n}", "n": "{n}", "order": "17"}}"#);
    kit.arrive("pos/1/order", &order("old"));
    kit.answer_last(lost());
    kit.arrive("pos/1/high", &order("new"));
    kit.run(6_000);
    assert_eq!(kit.texts(), ["old", "new"], "more urgent: it passes");
    kit.answer_last(taken());
    kit.run(60_000);
    assert_eq!(kit.texts(), ["old", "new"]);
    assert_eq!(kit.told_times(Outcome::Unknown, Reason::Superseded), 1, "nobody may be told that it never left");
    assert_eq!(kit.told_times(Outcome::Withdrawn, Reason::Superseded), 0);
}

/// Found in review: one event of a till whose clock is years ahead silenced everything after it about the same order.
#[test]
fn an_event_from_the_future_does_not_silence_its_subject() {
    let order = |n: &str, at: &str| {
        format!(r#"{{"to": "{BIA}", "opt_in": true, "id": "{n}", "n": "{n}", "order": "17", "at": "{at}"}}"#)
    };
    let mut kit = Kit::new();
    kit.arrive("pos/1/order", &order("ahead", "2031-01-01T00:00:00Z"));
    kit.answer_last(taken());
    kit.run(20_000);
    kit.arrive("pos/1/order", &order("after", "2026-03-02T12:00:15Z"));
    kit.run(20_000);
    assert_eq!(kit.texts(), ["ahead", "after"]);
}

/// Found in review: the old number's lane was picked for ever, and its revocations were forgotten.
#[test]
fn another_number_of_the_business_keeps_people_ledger_and_backlog() {
    let mut kit = Kit::new();
    kit.line = false;
    kit.ask(Request::ConsentRevoke { number: CAIO.into(), purpose: None });
    kit.ask(Request::Pause { target: Target::All, reason: "test".into() });
    kit.order("pos/1/ready", BIA, "1");
    kit.crash();
    kit.number = "555";
    kit.open();
    kit.broker_up();
    kit.line = true;
    kit.ask(Request::Resume { target: Target::All, reason: "test".into() });
    kit.run(20_000);
    assert_eq!(kit.texts(), ["1"]);
    kit.order("pos/1/ready", CAIO, "2");
    assert_eq!(kit.told_times(Outcome::Withheld, Reason::ConsentRevoked), 1);
}

/// Found in review: what a repeat is recognised by was forgotten before the rule's window was over.
#[test]
fn a_repeat_is_recognised_though_little_is_kept() {
    let mut kit = Kit::cold("64 MiB", "hold");
    kit.keep_settled = Some(Duration::from_secs(3600));
    kit.start();
    kit.order("pos/1/ready", BIA, "1");
    kit.answer_last(taken());
    kit.at(5.0 * 3600.0);
    kit.order("pos/1/ready", BIA, "1");
    kit.run(60_000);
    assert_eq!(kit.texts(), ["1"]);
}

/// Found in review: 131048 stopped the number for hours and the status said nothing.
#[test]
fn a_rest_for_spam_is_shown_as_a_problem() {
    let mut kit = Kit::new();
    kit.order("pos/1/ready", ANA, "0");
    kit.answer_last(code(131048));
    let Reply::Data(status) = kit.ask(Request::Status) else { panic!("no data") };
    assert!(status["problems"][0]["what"].as_str().unwrap().contains("NUMBER STOPPED"), "{status:#}");
    assert!(kit.published.iter().any(|publish| publish.retain && publish.payload.contains("spam-restricted")));
}

/// A back-off of another flight took the rest's place: six hours of silence were shown as a number that sent too fast.
#[test]
fn a_back_off_does_not_hide_a_longer_rest_for_spam() {
    for later in [code(130429), code(131016), http(503, "")] {
        for before in [false, true] {
            let mut kit = Kit::new();
            kit.order("pos/1/ready", ANA, "0");
            kit.answer_last(taken());
            for (person, n) in [(BIA, "1"), (CAIO, "2")] {
                kit.order("pos/1/ready", person, n);
            }
            let (one, two) = (kit.sent[1].attempt, kit.sent[2].attempt);
            let answers = [(one, code(131048)), (two, later.clone())];
            let turns = if before { [1, 0] } else { [0, 1] };
            for turn in turns {
                let (attempt, answer) = answers[turn].clone();
                kit.answer(attempt, answer);
            }
            let now = kit.engine().moment.boxed;
            let hold = kit.engine().soft.hold("number", now).unwrap().clone();
            assert_eq!((hold.reason, hold.loud), (Reason::SpamRestricted, true), "{later:?}, {before}");
            let until = hold.until.unwrap();
            assert!(until.since(now) >= std::time::Duration::from_secs(6 * 3600 - 1));
            let state = kit.published.iter().rev().find(|publish| publish.retain).unwrap();
            assert!(state.payload.contains("spam-restricted"), "{}", state.payload);
        }
    }
}

/// Found in review: a hold on a rule that was renamed could not be lifted.
#[test]
fn a_hold_on_what_is_gone_can_be_lifted() {
    let mut kit = Kit::new();
    let target = Target::Rule("gone".into());
    assert!(matches!(kit.ask(Request::Resume { target: target.clone(), reason: "test".into() }), Reply::Refused(_)));
    let hold = crate::outbox::Hold {
        key: "rule:gone".into(),
        reason: Reason::RulePaused,
        since: crate::time::Wall(0),
        until: None,
        strikes: 0,
        lift: "operator".into(),
        note: String::new(),
        loud: true,
    };
    kit.engine().put_hold(hold).unwrap();
    assert!(matches!(kit.ask(Request::Resume { target, reason: "test".into() }), Reply::Data(_)));
}

/// Found in review: a file without dates lifted what people had written.
#[test]
fn an_import_lifts_a_revocation_only_by_a_later_date() {
    let mut kit = Kit::new();
    kit.ask(Request::ConsentRevoke { number: BIA.into(), purpose: None });
    let mut import = |at: &str| {
        let line = LedgerLine {
            line: 2,
            number: BIA.into(),
            purpose: "orders".into(),
            action: "grant".into(),
            at: at.into(),
            source: "old list".into(),
            wording: String::new(),
            expires: String::new(),
        };
        match kit.ask(Request::ConsentImport { rows: vec![line], more: false, releases: false }) {
            Reply::Data(report) => (report["recorded"].as_u64().unwrap(), report["problems"].as_array().unwrap().len()),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(import(""), (0, 1), "no date");
    assert_eq!(import("2031-01-01T00:00:00Z"), (0, 1), "the future");
    assert_eq!(import("2025-01-01T00:00:00Z"), (0, 0), "before the revocation: history, nothing changes");
}

/// Found by hand: a box whose clock was not confirmed yet hands its ledger over without times, and each import added it again.
#[test]
fn a_file_without_times_adds_nothing_when_it_comes_again() {
    let mut kit = Kit::new();
    let mut import = |action: &str, source: &str| {
        let line = LedgerLine {
            line: 2,
            number: BIA.into(),
            purpose: if action == "grant" { "staff" } else { "all" }.into(),
            action: action.into(),
            at: String::new(),
            source: source.into(),
            wording: String::new(),
            expires: String::new(),
        };
        match kit.ask(Request::ConsentImport { rows: vec![line], more: false, releases: false }) {
            Reply::Data(report) => (report["recorded"].as_u64().unwrap(), report["unchanged"].as_u64().unwrap()),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(import("grant", "paper form"), (1, 0));
    assert_eq!(import("grant", "paper form"), (0, 1));
    assert_eq!(import("grant", "another form"), (1, 0), "another proof");
    assert_eq!(import("revoke", "letter"), (1, 0));
    assert_eq!(import("revoke", "letter"), (0, 1));
}

#[test]
fn receipts_come_again_until_they_are_taken() {
    let mut kit = Kit::new();
    let ids =
        |kit: &Kit| -> Vec<i64> { kit.published.iter().filter_map(|publish| publish.receipt.map(|id| id.0)).collect() };
    for n in 0..40 {
        kit.arrive("pos/1/ready", &format!("{{ {n}"));
    }
    assert_eq!(ids(&kit), (1..=16).collect::<Vec<_>>(), "a small window");
    kit.published.clear();
    kit.give(vec![Input::ReceiptTaken(crate::message::ReceiptId(10))]);
    assert_eq!(ids(&kit), (17..=26).collect::<Vec<_>>());
    kit.published.clear();
    kit.broker_up();
    assert_eq!(ids(&kit), (11..=26).collect::<Vec<_>>(), "a new connection: what was not taken");
    kit.run(2_000);
    kit.published.clear();
    kit.restart();
    assert_eq!(ids(&kit), (11..=26).collect::<Vec<_>>(), "the cursor was kept");
    kit.give(vec![Input::ReceiptTaken(crate::message::ReceiptId(26))]);
    assert_eq!(ids(&kit), (11..=40).collect::<Vec<_>>());
}

#[test]
fn filters_that_are_gone_are_unsubscribed() {
    let mut kit = Kit::new();
    assert!(kit.subscribed[0].0.contains(&"pos/+/ready".to_owned()));
    assert_eq!(kit.subscribed[0].1, [""; 0]);
    kit.extra = "[rules.extra]\ntopic = \"extra/{x}\"\nto = \"people:ana\"\nrevokes = [\"orders\"]\n".into();
    let (rooms, rules) = kit.config();
    let now = kit.now();
    kit.engine().reload(now, rooms, rules);
    kit.give(vec![Input::Woke]);
    assert!(kit.subscribed[1].0.contains(&"extra/+".to_owned()));
    kit.crash();
    kit.extra.clear();
    kit.start();
    assert_eq!(kit.subscribed[2].1, ["extra/+"]);
    kit.broker_up();
    assert_eq!(kit.subscribed[3].1, [""; 0]);
}

#[test]
fn two_rows_that_turn_out_to_be_one_person_are_united() {
    let mut kit = Kit::new();
    kit.order("pos/1/ready", BIA, "1");
    kit.order("pos/1/ready", CAIO, "2");
    // The platform knows the number of the one as the other's.
    kit.answer_last(ok("5521987650002"));
    kit.answer_last(taken());
    kit.ask(Request::ConsentRevoke { number: CAIO.into(), purpose: None });
    kit.run(60_000);
    kit.order("pos/1/ready", BIA, "3");
    assert_eq!(kit.told_times(Outcome::Withheld, Reason::ConsentRevoked), 1, "one ledger");
    kit.order("pos/1/ready", CAIO, "2");
    kit.order("pos/1/ready", BIA, "1");
    assert_eq!(kit.told_times(Outcome::Withheld, Reason::ConsentRevoked), 1, "repeats are recognised as before");
}

#[test]
fn contents_and_settled_messages_are_forgotten_in_time() {
    let mut kit = Kit::new();
    kit.order("pos/1/ready", BIA, "1");
    kit.answer_last(taken());
    let list = |kit: &mut Kit| -> serde_json::Value {
        match kit.ask(Request::OutboxList { outcome: None, before: None, limit: 10 }) {
            Reply::Data(data) => data["rows"].clone(),
            other => panic!("{other:?}"),
        }
    };
    kit.at(47.0 * 3600.0);
    assert_ne!(list(&mut kit)[0]["to"], "");
    kit.at(49.0 * 3600.0);
    assert_eq!(list(&mut kit)[0]["to"], "");
    kit.order("pos/1/ready", CAIO, "2");
    kit.answer_last(taken());
    kit.at(31.0 * 86_400.0);
    assert_eq!(list(&mut kit).as_array().unwrap().len(), 1);
}

#[test]
fn people_of_whom_nothing_is_left_are_forgotten_and_the_ledger_stays() {
    let mut kit = Kit::new();
    kit.order("pos/1/ready", BIA, "1");
    kit.answer_last(taken());
    kit.arrive("pos/1/ready", &format!(r#"{{"to": "{CAIO}", "opt_in": false, "id": "2", "n": "2"}}"#));
    let country = crate::message::Country::of_code("BR").unwrap();
    let known = |kit: &mut Kit, number: &str| {
        let number = crate::message::Number::read(number, country).unwrap();
        kit.engine().outbox.find_person(&number).unwrap().is_some()
    };
    assert!(known(&mut kit, BIA) && known(&mut kit, CAIO));
    kit.at(29.0 * 86_400.0);
    assert!(known(&mut kit, CAIO), "their withheld message is still kept");
    kit.at(32.0 * 86_400.0);
    assert!(!known(&mut kit, CAIO));
    assert!(known(&mut kit, BIA), "she stands in the ledger");
}

#[test]
fn consent_without_a_clock_gets_its_date_when_there_is_one() {
    let mut kit = Kit::cold("64 MiB", "hold");
    kit.trusted = false;
    kit.start();
    kit.ask(Request::ConsentRevoke { number: BIA.into(), purpose: None });
    let at = |kit: &mut Kit| match kit.ask(Request::ConsentShow { number: BIA.into() }) {
        Reply::Data(data) => data["entries"][0]["at"].clone(),
        other => panic!("{other:?}"),
    };
    assert!(at(&mut kit).is_null());
    let given = kit.now().wall.reading();
    kit.run(3_600_000);
    kit.trusted = true;
    kit.give(vec![Input::Woke]);
    assert_eq!(at(&mut kit), given.0);
}

#[test]
fn uplink_down_is_told_once() {
    let mut kit = Kit::new();
    kit.line = false;
    for _ in 0..3 {
        kit.give(vec![Input::Link(Link::UplinkDown(NotSent::Tls("expired".into())))]);
    }
    assert_eq!(kit.told.iter().filter(|told| told.reason == Reason::UplinkDown).count(), 1);
    kit.give(vec![Input::Link(Link::Broker(BrokerLink::Lost { why: "reset".into() }))]);
    assert!(kit.published.iter().any(|publish| publish.retain));
}
