//! Contacts: the configuration's word in the ledger, its end, and who takes it back.

use super::kit::*;
use crate::engine::Input;
use crate::message::{Act, Outcome, Reason};
use crate::operate::{Grant, Reply, Request};
use crate::rules::Rules;
use serde_json::Value;

const LUIS: &str = "+5511987654322";

fn ledger(kit: &mut Kit, number: &str) -> Vec<(String, String, bool)> {
    let Reply::Data(shown) = kit.ask(Request::ConsentShow { number: number.into() }) else { panic!() };
    let line = |row: &Value| {
        let text = |key: &str| row[key].as_str().unwrap().to_owned();
        (text("action"), text("source"), !row["expires"].is_null())
    };
    shown["entries"].as_array().unwrap().iter().map(line).collect()
}

/// The configuration with these members of the group on call.
fn on_call(kit: &mut Kit, members: &[&str]) {
    let (mut rooms, _) = kit.config();
    let group = rooms.rules.contacts.get_mut("oncall").unwrap();
    group.members = members.iter().map(|name| (*name).to_owned()).collect();
    let rules = Rules::compile(&rooms.rules).unwrap();
    let now = kit.now();
    kit.engine().reload(now, rooms, rules);
    kit.give(vec![Input::Woke]);
}

fn alarm(kit: &mut Kit, n: u32) -> Vec<String> {
    let before = kit.sent.len();
    kit.arrive("node/1/state", &format!(r#"{{"n": {n}, "id": "{n}"}}"#));
    while let Some(flight) = kit.engine().soft.in_flight.first().copied() {
        kit.answer(flight.attempt, taken());
    }
    kit.run(60_000);
    kit.sent[before..].iter().map(|sent| sent.to.clone()).collect()
}

fn state(kit: &Kit) -> String {
    kit.published.iter().rfind(|publish| publish.retain).unwrap().payload.clone()
}

#[test]
fn what_the_configuration_states_stands_in_the_ledger_while_it_is_stated() {
    let mut kit = Kit::new();
    let stated = ("grant".to_owned(), "configuration".to_owned(), false);
    for member in [ANA, LUIS] {
        assert_eq!(ledger(&mut kit, member), std::slice::from_ref(&stated), "before any alarm");
    }
    assert_eq!(alarm(&mut kit, 50), [ANA, LUIS]);
    on_call(&mut kit, &["ana"]);
    let ended = ("grant".to_owned(), "configuration: no longer a member".to_owned(), true);
    assert_eq!(ledger(&mut kit, LUIS), [stated.clone(), ended.clone()]);
    assert_eq!(alarm(&mut kit, 51), [ANA]);
    // Nobody took anything back: a member again has the consent again, recorded anew.
    kit.restart();
    on_call(&mut kit, &["ana", "luis"]);
    assert_eq!(ledger(&mut kit, LUIS), [stated.clone(), ended, stated.clone()]);
    let (mut ends, mut grants) = (0, 0);
    kit.engine().judge_record(None, &mut |_, row| {
        ends += u32::from(row.act == Act::Ended);
        grants += u32::from(row.act == Act::Granted);
    });
    assert_eq!((ends, grants), (1, 3), "the record tells an end from a consent");
    assert_eq!(alarm(&mut kit, 52), [ANA, LUIS]);
    assert_eq!(ledger(&mut kit, ANA), [stated], "once");
}

#[test]
fn what_waits_for_a_former_member_does_not_leave() {
    let mut kit = Kit::new();
    kit.ask(Request::Pause { target: crate::operate::Target::All, reason: "test".into() });
    kit.arrive("node/1/state", r#"{"n": 60, "id": "60"}"#);
    on_call(&mut kit, &["luis"]);
    kit.ask(Request::Resume { target: crate::operate::Target::All, reason: "test".into() });
    kit.run(60_000);
    let to: Vec<&str> = kit.sent.iter().map(|sent| sent.to.as_str()).collect();
    assert_eq!(to, [LUIS]);
    assert_eq!(kit.told_times(Outcome::Withheld, Reason::ConsentExpired), 1);
}

#[test]
fn without_a_trusted_clock_consent_comes_with_the_alarm() {
    let mut kit = Kit::cold("64 MiB", "hold");
    kit.trusted = false;
    kit.start();
    assert_eq!(ledger(&mut kit, ANA).len(), 0);
    assert_eq!(alarm(&mut kit, 50), [ANA, LUIS]);
    kit.trusted = true;
    kit.run(1_000);
    kit.give(vec![Input::Woke]);
    assert_eq!(ledger(&mut kit, ANA).len(), 1);
}

#[test]
fn a_member_who_says_no_is_honoured_and_shouted() {
    let mut kit = Kit::new();
    assert!(!state(&kit).contains("consent-revoked"));
    kit.ask(Request::ConsentRevoke { number: LUIS.into(), purpose: None });
    assert!(state(&kit).contains("contact:oncall") && state(&kit).contains("+55…22"), "{}", state(&kit));
    assert!(kit.told.iter().any(|told| told.loud && told.reason == Reason::ConsentRevoked && told.outcome.is_none()));
    let Reply::Data(status) = kit.ask(Request::Status) else { panic!() };
    let problem = status["problems"][0]["what"].as_str().unwrap();
    assert!(problem.contains("NOT REACHED: contact oncall"), "{problem}");
    assert_eq!(alarm(&mut kit, 50), [ANA]);
    // Neither a restart nor another configuration lifts it, and it goes on being told.
    kit.restart();
    on_call(&mut kit, &["ana"]);
    assert!(!state(&kit).contains("contact:oncall"), "no member, nothing to shout");
    on_call(&mut kit, &["ana", "luis"]);
    assert!(state(&kit).contains("contact:oncall"), "{}", state(&kit));
    assert_eq!(alarm(&mut kit, 51), [ANA]);
    let grant = Grant {
        number: LUIS.into(),
        purpose: "staff".into(),
        source: "asked".into(),
        wording: None,
        expires: None,
        after_revocation: true,
    };
    assert!(matches!(kit.ask(Request::ConsentGrant(grant)), Reply::Data(_)));
    assert!(!state(&kit).contains("contact:oncall"), "{}", state(&kit));
    assert_eq!(alarm(&mut kit, 52), [ANA, LUIS]);
    // What somebody else recorded last is not the configuration's to end.
    on_call(&mut kit, &["ana"]);
    assert_eq!(ledger(&mut kit, LUIS).last().unwrap().1, "asked");
}

#[test]
fn an_erased_member_who_had_said_no_stays_suppressed() {
    let mut kit = Kit::new();
    kit.ask(Request::ConsentRevoke { number: LUIS.into(), purpose: None });
    kit.ask(Request::ContactErase { numbers: vec![LUIS.into()] });
    kit.restart();
    assert_eq!(alarm(&mut kit, 50), [ANA]);
    assert!(state(&kit).contains("contact:oncall"));
}
