//! What the limits beyond pair and sender let go, and when: own caps, the day's people and messages, a rule's surge, a rate that a
//! refusal taught, and turns of the rules.

use super::kit::*;
use crate::engine::Input;
use crate::message::{Outcome, Reason};
use crate::operate::{Reply, Request, Target};
use std::time::Duration;

const HOUR: u64 = 3_600_000;

fn kit(limits: &str) -> Kit {
    let mut kit = Kit::cold("64 MiB", "hold");
    kit.extra = format!("\n[limits]\npair_interval = \"off\"\n{limits}");
    kit.start();
    kit
}

/// An order that the platform takes at once, if it leaves.
fn order(kit: &mut Kit, topic: &str, to: &str, n: &str) {
    let sent = kit.sent.len();
    kit.order(&format!("pos/1/{topic}"), to, n);
    take_from(kit, sent);
}

fn take_from(kit: &mut Kit, mut from: usize) {
    while from < kit.sent.len() {
        let attempt = kit.sent[from].attempt;
        kit.answer(attempt, taken());
        from += 1;
    }
}

/// Lets time go by in steps; what leaves is taken.
fn pass(kit: &mut Kit, millis: u64) {
    let end = kit.now + millis;
    while kit.now < end {
        let sent = kit.sent.len();
        kit.run((end - kit.now).min(60_000));
        take_from(kit, sent);
    }
}

/// Three seconds of a flood that was let go: what leaves is taken a tenth of a second later, from the first on.
fn pass_busily(kit: &mut Kit) {
    let mut from = 0;
    for _ in 0..30 {
        take_from(kit, from);
        from = kit.sent.len();
        kit.run(100);
    }
}

#[test]
fn a_cap_holds_one_kind_of_one_person_until_it_frees_across_restarts() {
    let mut kit = kit("[limits.caps]\nutility = [\"2 per 1h\", \"3 per 1d\"]\nmarketing = [\"1 per 2d\"]\n");
    for n in ["1", "2", "3", "4"] {
        order(&mut kit, "ready", BIA, n);
    }
    assert_eq!(kit.texts(), ["1", "2"]);
    order(&mut kit, "offer", BIA, "offer");
    order(&mut kit, "ready", CAIO, "other");
    order(&mut kit, "urgent", BIA, "now");
    assert_eq!(kit.texts(), ["1", "2", "offer", "other", "now"], "other kinds, other people, and what is critical");
    kit.restart();
    // The critical one counts, as the third of the day: 3 comes back in an hour of it and finds the day full.
    pass(&mut kit, HOUR - 2_000);
    assert_eq!(kit.sent.len(), 5);
    pass(&mut kit, 3 * HOUR);
    assert_eq!(kit.sent.len(), 5);
    assert_eq!(kit.told_times(Outcome::Withheld, Reason::OwnCap), 2, "both would be too old tomorrow");
}

#[test]
fn what_a_cap_holds_leaves_in_order_as_soon_as_it_may() {
    let mut kit = kit("[limits.caps]\nutility = [\"2 per 1h\"]\n");
    for n in ["1", "2", "3", "4", "5"] {
        order(&mut kit, "ready", BIA, n);
    }
    pass(&mut kit, HOUR - 5_000);
    assert_eq!(kit.texts(), ["1", "2"]);
    order(&mut kit, "ready", BIA, "6");
    pass(&mut kit, 10_000);
    assert_eq!(kit.texts(), ["1", "2", "3", "4"], "in an hour, to the second");
    pass(&mut kit, HOUR + 60_000);
    assert_eq!(kit.texts(), ["1", "2", "3", "4", "5", "6"]);
}

#[test]
fn what_surely_did_not_arrive_is_no_message_of_a_cap() {
    let mut kit = kit("[limits.caps]\nutility = [\"1 per 1d\"]\n");
    kit.order("pos/1/ready", BIA, "1");
    kit.answer_last(unsent());
    kit.run(5_000);
    assert_eq!(kit.texts(), ["1", "1"], "the same again");
    kit.answer_last(code(131009));
    order(&mut kit, "ready", BIA, "2");
    assert_eq!(kit.texts(), ["1", "1", "2"], "a refused one reached nobody");
    kit.order("pos/1/ready", CAIO, "3");
    kit.answer_last(lost());
    order(&mut kit, "ready", CAIO, "4");
    kit.run(120_000);
    let ends = [Outcome::Withheld, Outcome::Unknown].map(|outcome| kit.told_times(outcome, Reason::OwnCap));
    assert_eq!(ends, [1, 1], "one of which nobody knows counts, for its repeat too");
}

#[test]
fn explain_foretells_a_cap() {
    let mut kit = kit("[limits.caps]\nutility = [\"1 per 1h\"]\n");
    order(&mut kit, "ready", BIA, "1");
    let payload = format!(r#"{{"to": "{BIA}", "opt_in": true, "id": "2", "n": "2"}}"#);
    let explain = Request::Explain { topic: "pos/1/ready".into(), payload, at: None };
    let Reply::Data(told) = kit.ask(explain) else { panic!("no data") };
    let draft = &told["rules"][0]["drafts"][0];
    assert_eq!((draft["outcome"].as_str(), draft["reason"].as_str()), (Some("stored"), Some("own-cap")), "{told}");
    assert!(draft["until"].is_number(), "{told}");
    kit.reboot(Duration::from_secs(3_601));
    order(&mut kit, "ready", BIA, "2");
    assert_eq!(kit.texts(), ["1", "2"], "time spent off counts where the clock is trusted");
}

/// Found while caps were built: a flood to one person in a full store, parked or withheld message by message, needed more space
/// than the reserve has, and no batch could be committed any more.
#[test]
fn a_flood_that_a_cap_stops_needs_no_space_that_a_full_store_has_not() {
    for (cap, sent) in [("1 per 2h", vec!["first", "0"]), ("1 per 1d", vec!["first"])] {
        let mut kit = Kit::cold("1 MiB", "hold");
        kit.extra = format!("\n[limits]\npair_interval = \"off\"\n[limits.caps]\nutility = [\"{cap}\"]\n");
        kit.start();
        order(&mut kit, "ready", BIA, "first");
        kit.ask(Request::Pause { target: Target::All, reason: "test".into() });
        for n in 0.. {
            assert!(n < 5_000, "it is never full");
            order(&mut kit, "ready", BIA, &n.to_string());
            if !kit.engine().soft.held.is_empty() {
                break;
            }
        }
        kit.ask(Request::Resume { target: Target::All, reason: "test".into() });
        pass(&mut kit, 2 * HOUR + 60_000);
        assert_eq!(kit.texts(), sent, "{cap}");
    }
}

const LONG: &str = "[policy.expires]\ncritical = \"9d\"\nhigh = \"9d\"\nnormal = \"9d\"\nlow = \"9d\"\n";
/// 24 hours and the minute in which the platform may receive.
const DAY: u64 = 24 * HOUR + 60_000;

/// Somebody of the many.
fn who(n: usize) -> String {
    format!("+55219876{n:05}")
}

fn holds(kit: &mut Kit) -> Vec<(String, String, bool)> {
    let Reply::Data(status) = kit.ask(Request::Status) else { panic!("no data") };
    let hold = |hold: &serde_json::Value| {
        (
            hold["what"].as_str().unwrap().to_owned(),
            hold["reason"].as_str().unwrap().to_owned(),
            !hold["until"].is_null(),
        )
    };
    status["holds"].as_array().unwrap().iter().map(hold).collect()
}

fn limit(kit: &mut Kit, name: &str) -> (u64, u64) {
    let Reply::Data(status) = kit.ask(Request::Status) else { panic!("no data") };
    let limits = status["limits"].as_array().unwrap().clone();
    let found = limits.iter().find(|limit| limit["limit"] == name).unwrap_or_else(|| panic!("{limits:?}"));
    (found["taken"].as_u64().unwrap(), found["free"].as_u64().unwrap())
}

fn daily(people: u64, reserve: u64) -> Kit {
    kit(&format!("daily_recipients = {people}\ndaily_reserve = {reserve}\n{LONG}"))
}

#[test]
fn a_day_has_so_many_people_and_the_reserve_is_for_staff_and_alarms() {
    let mut kit = daily(5, 2);
    for n in 0..5 {
        order(&mut kit, "ready", &who(n), &n.to_string());
    }
    assert_eq!(kit.texts(), ["0", "1", "2"], "two places are kept");
    assert_eq!((limit(&mut kit, "daily-recipients"), limit(&mut kit, "daily-reserve")), ((3, 0), (0, 2)));
    let shut = ("people not written to in 24 hours".to_owned(), "daily-limit".to_owned(), true);
    assert_eq!(holds(&mut kit), std::slice::from_ref(&shut));
    order(&mut kit, "ready", &who(1), "again");
    order(&mut kit, "urgent", &who(4), "alarm");
    assert_eq!(
        kit.texts()[3..],
        ["again", "alarm", "4"],
        "who was reached needs no place, and takes along what waited for one"
    );
    kit.arrive("node/7/state", r#"{"n": 99}"#);
    take_from(&mut kit, 6);
    assert_eq!(kit.sent.len(), 7, "one place was left for two of the staff");
    assert_eq!(holds(&mut kit).len(), 2);
    kit.restart();
    order(&mut kit, "low", &who(6), "low");
    order(&mut kit, "high", &who(7), "high");
    pass(&mut kit, DAY - 3_000);
    assert_eq!(kit.sent.len(), 7);
    pass(&mut kit, 180_000);
    assert_eq!(
        kit.texts()[7..],
        ["99", "high", "3"],
        "the most urgent first, then the oldest; one place went to the staff"
    );
    assert_eq!(holds(&mut kit), [shut]);
    pass(&mut kit, DAY);
    assert_eq!(kit.texts()[10..], ["low"]);
    assert_eq!(holds(&mut kit), []);
}

/// `outbox show` of what a limit of the day holds: until when, as the hold itself says.
#[test]
fn a_message_that_a_limit_of_the_day_holds_is_shown_with_its_end() {
    for (limits, reason) in
        [("daily_recipients = 1\ndaily_reserve = \"off\"\n", "daily-limit"), ("daily_messages = 1\n", "daily-messages")]
    {
        let mut kit = kit(limits);
        order(&mut kit, "ready", BIA, "1");
        let left = kit.now;
        order(&mut kit, "ready", CAIO, "2");
        for _ in 0..2 {
            let Reply::Data(shown) = kit.ask(Request::OutboxShow { id: "2".into() }) else { panic!() };
            let until = (MONDAY as u64 + left + DAY) as i64;
            assert_eq!(shown["waits"], serde_json::json!({ "reason": reason, "until": until }));
            kit.restart();
            kit.give(vec![Input::Woke]);
        }
    }
}

#[test]
fn an_alarm_that_the_platforms_limit_holds_says_so_in_state_at_once() {
    let mut kit = daily(1, 1);
    order(&mut kit, "urgent", BIA, "1");
    order(&mut kit, "urgent", CAIO, "2");
    assert_eq!(kit.texts(), ["1"]);
    let state = &kit.published.iter().rfind(|publish| publish.retain).unwrap().payload;
    assert!(state.contains(r#""reason":"daily-limit""#) && state.contains("critical messages wait"), "{state}");
    kit.restart();
    let state = &kit.published.iter().rfind(|publish| publish.retain).unwrap().payload;
    assert!(state.contains("critical messages wait"), "{state}");
    pass(&mut kit, DAY + 60_000);
    assert_eq!(kit.texts(), ["1", "2"]);
    let state = &kit.published.iter().rfind(|publish| publish.retain).unwrap().payload;
    assert!(!state.contains("daily-limit"), "{state}");
}

/// "`branchline status` shows each limit with used and free": of rules it showed those that were half used and had fired since the
/// start, and of people nothing.
#[test]
fn the_status_shows_each_limit_with_used_and_free_and_names_nobody() {
    let mut kit = Kit::cold("64 MiB", "hold");
    kit.extra = "\n[limits.caps]\nutility = [\"3 per 1h\", \"9 per 1d\"]\nmarketing = \"off\"\nrule = [\"2 per 1h\", \"70 per 2d\"]\n".into();
    kit.start();
    order(&mut kit, "ready", BIA, "1");
    order(&mut kit, "order", BIA, "2");
    assert_eq!(limit(&mut kit, "pair"), (2, 1));
    order(&mut kit, "ready", CAIO, "3");
    order(&mut kit, "order", BIA, "4");
    let shown = |kit: &mut Kit, used: [u64; 7]| {
        let of = [3, 3, 9, 2, 2, 2, 70];
        let names = [
            "pair",
            "person:utility 3 per 1h",
            "person:utility 9 per 1d",
            "rule:ready 2 per 1h",
            "rule:order 2 per 1h",
            "rule:urgent 2 per 1h",
            "rule:order 70 per 2d",
        ];
        for ((name, used), of) in names.into_iter().zip(used).zip(of) {
            assert_eq!(limit(kit, name), (used, of - used), "{name}");
        }
        let Reply::Data(status) = kit.ask(Request::Status) else { panic!("no data") };
        let limits = status["limits"].to_string();
        assert!(!limits.contains("876500"), "{limits}");
        limits
    };
    let limits = shown(&mut kit, [3, 3, 3, 2, 2, 0, 2]);
    assert!(
        limits.contains("of the person who had most; at the limit, of the people of the last 1,000 messages: 1"),
        "{limits}"
    );
    assert!(!limits.contains("marketing"), "what is off is no limit: {limits}");
    // Looking at a thousand people's rows is for who asks, and not for each scrape.
    let Reply::Text(metrics) = kit.ask(Request::Metrics) else { panic!("no text") };
    assert!(
        metrics.contains("{limit=\"rule:ready 2 per 1h\"} 1") && !metrics.contains("{limit=\"pair\"}"),
        "{metrics}"
    );
    kit.restart();
    pass(&mut kit, 20_000);
    shown(&mut kit, [0, 3, 3, 2, 2, 0, 2]);
    order(&mut kit, "ready", CAIO, "5");
    assert_eq!(kit.texts().len(), 4, "the rule surged");
    kit.ask(Request::Resume { target: Target::Rule("ready".into()), reason: "seen".into() });
    take_from(&mut kit, 4);
    shown(&mut kit, [1, 3, 3, 1, 2, 0, 2]);
    pass(&mut kit, HOUR + 2_000);
    shown(&mut kit, [0, 0, 3, 0, 0, 0, 2]);
}

/// "A hold names its reason and its end": the state told reasons alone. And a clock that trembles is no reason to tell it again.
#[test]
fn the_state_tells_the_end_of_each_hold_and_tells_it_once() {
    let mut kit = daily(1, 1);
    order(&mut kit, "urgent", BIA, "1");
    kit.run(20_000);
    order(&mut kit, "urgent", CAIO, "2");
    kit.ask(Request::Pause { target: Target::Rule("ready".into()), reason: "price".into() });
    pass(&mut kit, 120_000);
    let states = |kit: &Kit| kit.published.iter().filter(|publish| publish.retain).count();
    let (told, now) = (states(&kit), kit.now);
    for trembles in [7, -6, 400, -400, 0, 999].repeat(50) {
        kit.wall_shift = trembles;
        kit.run(1_000);
        kit.give(vec![Input::Woke]);
    }
    assert_eq!((states(&kit), kit.now), (told, now + 300_000));
    let state: serde_json::Value =
        serde_json::from_str(&kit.published.iter().rfind(|publish| publish.retain).unwrap().payload).unwrap();
    let told = |what: &str| {
        let holds = state["holds"].as_array().unwrap();
        let hold = holds.iter().find(|hold| hold["what"] == what).unwrap_or_else(|| panic!("{state}"));
        (hold["reason"].clone(), hold["until"].clone())
    };
    assert_eq!(told("rule:ready"), ("rule-paused".into(), serde_json::Value::Null), "somebody has to resume it");
    // A day and a minute after the first left, by the minute.
    assert_eq!(told("people:urgent"), ("daily-limit".into(), "2026-03-03T12:02:00.000Z".into()));
}

#[test]
fn a_place_that_was_surely_not_used_is_free_again_and_a_doubtful_one_is_not() {
    let mut kit = daily(2, 1);
    kit.order("pos/1/ready", BIA, "1");
    kit.answer_last(code(131026));
    order(&mut kit, "ready", CAIO, "2");
    assert_eq!(kit.texts(), ["1", "2"], "nobody was reached by the first");
    let mut kit = daily(2, 1);
    kit.order("pos/1/ready", BIA, "1");
    kit.answer_last(lost());
    order(&mut kit, "ready", CAIO, "2");
    assert_eq!(kit.texts(), ["1"]);
    kit.crash();
    kit.wall_shift = 100 * HOUR as i64;
    kit.start();
    kit.wall_shift = -100 * HOUR as i64;
    pass(&mut kit, 60_000);
    assert_eq!(
        kit.texts(),
        ["1", "1"],
        "no jump of the clock within one boot frees anything; the same person again needs nothing"
    );
}

#[test]
fn who_wrote_to_us_needs_no_place() {
    let mut kit = daily(2, 1);
    order(&mut kit, "ready", BIA, "1");
    order(&mut kit, "ready", CAIO, "2");
    assert_eq!(kit.texts(), ["1"]);
    let at = MONDAY + kit.now as i64;
    kit.hear(vec![wrote(CAIO.trim_start_matches('+'), at, "hi")]);
    assert_eq!(kit.texts(), ["1", "2"]);
    take_from(&mut kit, 1);
    assert_eq!(limit(&mut kit, "daily-recipients"), (1, 0), "inside the window nobody is counted");
}

#[test]
fn the_brake_on_cost_lets_only_alarms_pass() {
    let mut kit = kit(&format!("daily_messages = 3\n{LONG}"));
    for n in ["1", "2", "3", "4"] {
        order(&mut kit, "ready", BIA, n);
    }
    order(&mut kit, "urgent", BIA, "alarm");
    assert_eq!(kit.texts(), ["1", "2", "3", "alarm"]);
    assert_eq!(holds(&mut kit), [("everything but critical messages".to_owned(), "daily-messages".to_owned(), true)]);
    assert_eq!(limit(&mut kit, "daily-messages"), (4, 0));
    kit.restart();
    pass(&mut kit, DAY - 3_000);
    assert_eq!(kit.sent.len(), 4);
    pass(&mut kit, 120_000);
    assert_eq!(kit.texts()[4..], ["4"]);
}

#[test]
fn a_rule_that_surges_is_held_until_somebody_looked_and_alarms_pass() {
    let mut kit = kit(&format!("[limits.caps]\nutility = \"off\"\nrule = [\"3 per 1h\"]\n{LONG}"));
    for n in 0..5 {
        order(&mut kit, "ready", &who(n), &n.to_string());
        order(&mut kit, "urgent", &who(n), &format!("alarm {n}"));
    }
    order(&mut kit, "high", BIA, "other");
    let passed = ["0", "alarm 0", "1", "alarm 1", "2", "alarm 2", "alarm 3", "alarm 4", "other"];
    assert_eq!(kit.texts(), passed);
    kit.restart();
    pass(&mut kit, 5 * HOUR);
    assert_eq!(kit.texts(), passed, "time alone frees nothing");
    let surge = ("rule ready".to_owned(), "rule-surge".to_owned(), false);
    assert!(holds(&mut kit).contains(&surge), "{:?}", holds(&mut kit));
    let resume =
        |kit: &mut Kit| kit.ask(Request::Resume { target: Target::Rule("ready".into()), reason: "seen".into() });
    resume(&mut kit);
    take_from(&mut kit, passed.len());
    assert_eq!(kit.texts()[passed.len()..], ["3", "4"]);
    order(&mut kit, "ready", &who(5), "5");
    order(&mut kit, "ready", &who(6), "6");
    assert_eq!(kit.sent.len(), passed.len() + 3, "held again");
    kit.run(1_000);
    resume(&mut kit);
    take_from(&mut kit, passed.len() + 3);
    order(&mut kit, "ready", &who(7), "7");
    assert_eq!(
        kit.texts()[passed.len() + 3..],
        ["6", "7"],
        "counted from the operator's word on, not from the hour before it"
    );
}

#[test]
fn the_platforms_word_slows_the_number_for_minutes_across_restarts() {
    let mut kit = kit("daily_recipients = \"off\"\n");
    kit.order("pos/1/ready", BIA, "1");
    kit.answer_last(code(130429));
    assert_eq!(limit(&mut kit, "sender"), (1, 9), "half of 20");
    pass(&mut kit, 61_000);
    kit.restart();
    assert_eq!(kit.sent.len(), 2);
    let burst = |kit: &mut Kit| {
        kit.run(2_000);
        let sent = kit.sent.len();
        for n in 0..25 {
            order(kit, "ready", &who(n), &format!("{} {n}", kit.now));
        }
        kit.sent.len() - sent
    };
    assert_eq!(burst(&mut kit), 11);
    pass(&mut kit, 540_000);
    assert_eq!(burst(&mut kit), 20);
}

/// 10,000 people wait for one rule. Another rule's message, another person's, and the more urgent do not wait for them.
#[test]
fn a_flood_of_one_rule_delays_no_other() {
    let mut kit = kit(
        "daily_recipients = \"off\"\ndaily_reserve = \"off\"\ndaily_messages = \"off\"\n[limits.caps]\nutility = \"off\"\nrule = \"off\"\n",
    );
    kit.ask(Request::Pause { target: Target::All, reason: "test".into() });
    for n in 0..10_000 {
        let payload = format!(r#"{{"to": "{}", "opt_in": true, "id": "f{n}", "n": "flood"}}"#, who(n));
        let arrival = kit.arrival("pos/1/ready", &payload);
        kit.give(vec![Input::Arrived(arrival)]);
    }
    // A chatty person of that rule, too, and one who is told by two.
    for n in 0..20 {
        kit.order("pos/1/ready", BIA, &format!("chatty {n}"));
    }
    for (topic, n) in [("order", "other rule 1"), ("order", "other rule 2"), ("urgent", "alarm"), ("offer", "offer")] {
        let payload = format!(r#"{{"to": "{CAIO}", "opt_in": true, "id": "{n}", "n": "{n}", "order": "{n}"}}"#);
        kit.arrive(&format!("pos/1/{topic}"), &payload);
    }
    let payload = format!(r#"{{"to": "{}", "opt_in": true, "id": "o3", "n": "other person", "order": "o3"}}"#, who(3));
    kit.arrive("pos/1/order", &payload);
    kit.ask(Request::Resume { target: Target::All, reason: "test".into() });
    pass_busily(&mut kit);
    let place = |text: &str| kit.texts().iter().position(|sent| *sent == text);
    assert_eq!(place("alarm"), Some(0));
    assert!(place("other rule 1").unwrap() <= 2, "{:?}", place("other rule 1"));
    assert!(place("other rule 2").unwrap() <= 45, "one person's are one after the other: {:?}", place("other rule 2"));
    assert!(place("other rule 1") < place("other rule 2"), "in the order of events");
    assert_eq!(place("offer"), None, "what is low waits for what is normal");
    let chatty = kit.texts().iter().filter(|text| text.starts_with("chatty")).count();
    assert!(chatty <= 1, "{chatty}");
    assert!(kit.sent.len() >= 50, "{}", kit.sent.len());
}

/// 10,000 people wait for one offer, and the category's other rule is as busy. What is of another category and no less urgent goes
/// among the first, whoever it is for; and neither of the two waits for the other.
#[test]
fn a_flood_of_one_category_delays_no_other() {
    let sale = "[rules.sale]\ninherit = \"customer\"\nconsent = \"offers\"\ntopic = \"pos/{till}/sale\"\n\
                message = { template = \"offer\", body = [\"{{ payload.n }}\"] }\n";
    let mut kit = kit(&format!(
        "daily_recipients = \"off\"\ndaily_reserve = \"off\"\ndaily_messages = \"off\"\n[limits.caps]\nutility = \"off\"\nrule = \"off\"\n\
         [policy.quiet_hours]\nmarketing = \"off\"\n{sale}{}",
        sale.replace("sale", "deal"),
    ));
    kit.ask(Request::Pause { target: Target::All, reason: "test".into() });
    for n in 0..10_000 {
        let rule = if n % 2 == 0 { "sale" } else { "deal" };
        kit.order(&format!("pos/1/{rule}"), &who(n), &format!("{rule} {n}"));
    }
    for (to, n) in [(BIA, "stranger"), (&*who(3), "of the flood")] {
        kit.order("pos/1/ready", to, n);
    }
    kit.order("pos/1/order", CAIO, "another rule");
    kit.ask(Request::Resume { target: Target::All, reason: "test".into() });
    pass_busily(&mut kit);
    let place = |text: &str| kit.texts().iter().position(|sent| *sent == text).unwrap_or(usize::MAX);
    assert!(place("stranger") < 4 && place("another rule") < 4, "{:?}", &kit.texts()[..8]);
    assert!(kit.sent.len() >= 50, "{}", kit.sent.len());
    let deals = kit.texts().iter().filter(|text| text.starts_with("deal")).count();
    let sales = kit.texts().iter().filter(|text| text.starts_with("sale")).count();
    assert!(deals.abs_diff(sales) <= 1, "{deals} {sales}");
}

/// Found by thinking: places among the day's people went to whoever waited longest, so that one rule's flood kept them all from
/// everybody else for days.
#[test]
fn a_flood_of_one_rule_takes_no_more_than_its_turn_of_the_days_places() {
    let mut kit = kit(&format!("daily_recipients = 6\ndaily_reserve = \"off\"\n{LONG}"));
    for n in 0..40 {
        order(&mut kit, "ready", &who(n), &format!("flood {n}"));
    }
    assert_eq!(kit.sent.len(), 6);
    pass(&mut kit, HOUR);
    for n in 0..3 {
        order(&mut kit, "order", &who(100 + n), &format!("order {n}"));
        order(&mut kit, "high", &who(200 + n), &format!("high {n}"));
    }
    kit.restart();
    pass(&mut kit, DAY - 30 * 60_000);
    let next = |kit: &Kit, from: usize| {
        let mut texts: Vec<String> = kit.texts()[from..].iter().map(|text| (*text).to_owned()).collect();
        texts.sort();
        texts
    };
    assert_eq!(next(&kit, 6), ["flood 6", "high 0", "high 1", "high 2", "order 0", "order 1"]);
    pass(&mut kit, DAY);
    assert_eq!(next(&kit, 12), ["flood 10", "flood 11", "flood 7", "flood 8", "flood 9", "order 2"]);
}

/// A day that is full, and no other limit.
fn full_day(places: usize) -> Kit {
    let mut kit = kit(&format!(
        "daily_recipients = {places}\ndaily_reserve = \"off\"\n[limits.caps]\nutility = \"off\"\nrule = \"off\"\n{LONG}"
    ));
    for n in 0..places {
        order(&mut kit, "ready", &who(900 + n), "full");
    }
    kit
}

/// Places went to messages by turns of their rules: "order ready", the first of its rule, left before the same person's "order
/// accepted", the last of 500.
#[test]
fn one_persons_events_keep_their_order_when_the_days_places_become_free() {
    let mut kit = full_day(2);
    for n in 0..499 {
        order(&mut kit, "ready", &who(n), &format!("flood {n}"));
    }
    order(&mut kit, "ready", BIA, "accepted");
    order(&mut kit, "order", BIA, "ready");
    pass(&mut kit, DAY + 60_000);
    let of_bia: Vec<&str> = kit.sent.iter().filter(|sent| BIA.ends_with(&sent.to)).map(|sent| &*sent.text).collect();
    assert_eq!(of_bia, ["accepted", "ready"]);
    assert_eq!(kit.sent.len(), 2 + 2 + 1, "the other place went to the flood: {:?}", kit.texts());
}

/// A place was counted for each message: 25 of one person took 25 places, of which 24 stayed idle until the next became free.
#[test]
fn one_chatty_person_takes_one_of_the_days_places() {
    let mut kit = full_day(2);
    for n in 0..25 {
        order(&mut kit, "ready", BIA, &format!("chatty {n}"));
    }
    order(&mut kit, "ready", CAIO, "other");
    order(&mut kit, "ready", &who(1), "third");
    pass(&mut kit, DAY + 60_000);
    let chatty: Vec<String> = (0..25).map(|n| format!("chatty {n}")).collect();
    let (of_bia, others): (Vec<&str>, Vec<&str>) = kit.texts()[2..].iter().partition(|text| text.starts_with("chatty"));
    assert_eq!((of_bia.iter().map(|text| (*text).to_owned()).collect(), others), (chatty, vec!["other"]));
    pass(&mut kit, DAY);
    assert_eq!(kit.texts().last(), Some(&"third"));
    assert_eq!(holds(&mut kit), []);
}

/// Of more places than people nothing stays at the gate, however much it is.
#[test]
fn the_last_of_a_gate_leaves_nothing_behind() {
    let mut kit = full_day(3);
    for n in 0..4 {
        order(&mut kit, "ready", BIA, &format!("chatty {n}"));
    }
    pass(&mut kit, DAY + 60_000);
    assert_eq!(kit.texts()[3..], ["chatty 0", "chatty 1", "chatty 2", "chatty 3"]);
    assert_eq!((limit(&mut kit, "daily-recipients"), holds(&mut kit)), ((1, 2), vec![]));
}

/// A place that was given to somebody whose message is held, withheld or too old by then stayed idle until the next became free.
#[test]
fn a_place_that_nobody_takes_goes_to_the_next() {
    let mut kit = full_day(1);
    order(&mut kit, "order", BIA, "held");
    order(&mut kit, "ready", CAIO, "next");
    kit.ask(Request::Pause { target: Target::Rule("order".into()), reason: "test".into() });
    pass(&mut kit, DAY + 120_000);
    assert_eq!(kit.texts(), ["full", "next"]);
    kit.ask(Request::Resume { target: Target::Rule("order".into()), reason: "test".into() });
    assert_eq!(kit.sent.len(), 2, "the place is taken now");
    pass(&mut kit, DAY + 60_000);
    assert_eq!(kit.texts(), ["full", "next", "held"]);
}

/// Whoever waited when a refusal gave a place back waited until the next became free all the same.
#[test]
fn a_place_that_was_surely_not_used_goes_to_who_waits() {
    let mut kit = kit(&format!("daily_recipients = 1\ndaily_reserve = \"off\"\n{LONG}"));
    kit.order("pos/1/ready", BIA, "1");
    kit.order("pos/1/order", CAIO, "2");
    assert_eq!(kit.texts(), ["1"]);
    kit.answer(kit.sent[0].attempt, code(131026));
    pass(&mut kit, 61_000);
    assert_eq!(kit.texts(), ["1", "2"]);
}

/// Found by the plain count: a clock that jumps ahead while nothing is written, and then a power cut, counted as a day spent off.
#[test]
fn a_jump_of_the_clock_and_a_power_cut_forgive_nothing() {
    let mut kit = daily(1, 1);
    order(&mut kit, "urgent", BIA, "1");
    kit.run(90_000);
    kit.wall_shift += 40 * HOUR as i64;
    kit.run(90_000);
    kit.reboot(Duration::from_secs(60));
    order(&mut kit, "urgent", CAIO, "2");
    assert_eq!(kit.texts(), ["1"]);
    pass(&mut kit, DAY);
    assert_eq!(kit.texts(), ["1", "2"]);
}
