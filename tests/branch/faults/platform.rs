//! What the platform itself says: its limits kept, its refusals obeyed.

use crate::faults::{books, wait_until_drained};
use crate::house::{House, TOKEN, alarm, order, order_for};
use branchline::demo::api::{Control, Fault};
use serde_json::Value;
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(60);

/// The house's messages whose event id is `event`: how often the API was asked, and how often it accepted.
fn asked(control: &Control, event: &str) -> (usize, usize) {
    let end = format!("/{event}");
    let seen = control.seen();
    let of_event = || seen.iter().filter(|seen| seen.data.as_deref().unwrap_or_default().ends_with(&end));
    (of_event().count(), of_event().filter(|seen| seen.accepted()).count())
}

/// Waits until `event` was accepted.
fn wait_for_event(house: &mut House, event: &str) {
    let control = house.control();
    house.wait_for(&format!("{event} is accepted"), WITHIN, |_| asked(&control, event).1 == 1);
}

/// The hold that the status shows on `what`.
fn hold(house: &House, what: &str) -> Option<Value> {
    let status = house.status()?;
    status["holds"].as_array()?.iter().find(|hold| hold["what"].as_str().is_some_and(|is| is.contains(what))).cloned()
}

/// Messages that wait.
fn wait_until_stored(house: &mut House, messages: u64) {
    house.wait(&format!("{messages} wait"), |house| house.backlog() == messages);
}

fn resume(house: &House, target: &[&str]) {
    let typed = [&["resume", "--reason", "put right"], target].concat();
    let output = house.command(&typed);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A house with the daemon up and one message through.
fn ready() -> House {
    let mut house = House::new("");
    house.start();
    house.publish([order(0)]);
    wait_for_event(&mut house, "e0");
    house
}

fn outcome(house: &mut House, event: &str) -> (String, String) {
    assert!(house.stop().success(), "{}", house.log());
    let entry = books::read(house).remove(event).unwrap();
    (entry.outcome, entry.reason)
}

/// A burst as fast as the broker takes it, the limits as they come, the API at its strictest: not one refusal.
#[test]
fn a_burst_to_few_people_keeps_every_limit() {
    let mut house = House::new("");
    house.start();
    // Five for each: three at once, 18 s of silence, two more.
    let events = (0..40).map(|number| order_for(number, &crate::house::customer(number % 8)));
    house.publish(events);
    let control = house.control();
    house.wait_for_accepted(40, WITHIN);
    let refused: Vec<_> = control.seen().into_iter().filter(|seen| !seen.accepted()).collect();
    assert!(refused.is_empty(), "{refused:?}");
    assert_eq!(control.counters().repeats, 0);
    // The order of each person's events is kept.
    for person in 0..8 {
        let to = crate::house::customer(person);
        let seen = control.accepted();
        let orders: Vec<u32> =
            seen.iter().filter(|seen| seen.to == to).map(|seen| seen.parameters[1].parse().unwrap()).collect();
        assert!(orders.is_sorted() && orders.len() == 5, "{orders:?}");
    }
}

/// 131056: this person waits, 1 s and then 4 s, nobody else.
#[test]
fn a_refusal_for_the_pair_holds_one_person() {
    let mut house = ready();
    let control = house.control();
    control.fault_if(Fault::Code(131056), Some(2), |seen| seen.data.as_deref().unwrap_or_default().ends_with("/e1"));
    house.publish([order(1)]);
    house.wait("it was refused", |_| asked(&control, "e1").0 >= 1);
    house.publish([order(2)]);
    wait_for_event(&mut house, "e2");
    wait_for_event(&mut house, "e1");
    wait_until_drained(&mut house, WITHIN);
    assert_eq!((asked(&control, "e1"), asked(&control, "e2")), ((3, 1), (1, 1)));
    let seen = control.seen();
    let times = |event| {
        let of_event = seen.iter().filter(move |seen| seen.data.as_deref().unwrap_or_default().ends_with(event));
        of_event.map(|seen| seen.at).collect::<Vec<_>>()
    };
    let (held, other) = (times("/e1"), times("/e2"));
    assert!(held[1] - held[0] >= Duration::from_secs(1) && held[2] - held[1] >= Duration::from_secs(4), "{held:?}");
    assert!(other[0] < held[2], "the other did not wait: {other:?} {held:?}");
    assert_eq!(outcome(&mut house, "e1").0, "accepted");
}

/// 130429: the number waits a little, everything goes, once.
#[test]
fn a_refusal_for_the_number_holds_it_for_seconds() {
    let mut house = ready();
    let control = house.control();
    control.fault(Fault::Code(130429), Some(3));
    house.publish((1..20).map(order));
    house.wait_for_accepted(20, WITHIN);
    wait_until_drained(&mut house, WITHIN);
    let counters = control.counters();
    assert_eq!((counters.accepted, counters.repeats, control.seen().len()), (20, 0, 23));
}

/// 190: nothing goes until the token file is replaced; then everything does, by itself.
#[test]
fn an_invalid_token_stops_all_until_it_is_replaced() {
    let mut house = ready();
    let control = house.control();
    control.set_token("EAAG-next");
    house.publish([order(1)]);
    house.wait("the account is stopped", |house| {
        hold(house, "the number").is_some_and(|hold| hold["reason"] == "token-invalid")
    });
    let asked_before = control.seen().len();
    house.publish([order(2), order(3)]);
    wait_until_stored(&mut house, 3);
    // Written again without a change: no reason to try.
    house.write("token", TOKEN);
    house.wait("the problem is shown first", |house| {
        house.status().is_some_and(|status| {
            status["problems"][0]["what"]
                .as_str()
                .is_some_and(|what| what.contains("190") || what.to_lowercase().contains("token"))
        })
    });
    assert_eq!(control.seen().len(), asked_before, "nothing was tried");
    house.write("token", "EAAG-next");
    house.wait_for_accepted(4, WITHIN);
    wait_until_drained(&mut house, WITHIN);
    assert_eq!(control.counters().repeats, 0);
    assert!(hold(&house, "the number").is_none());
}

/// 131031: nothing goes until a person says so, not after a restart either.
#[test]
fn a_locked_account_waits_for_a_person() {
    let mut house = ready();
    let control = house.control();
    control.fault(Fault::Code(131031), Some(1));
    house.publish([order(1)]);
    house.wait("the account is stopped", |house| hold(house, "the number").is_some());
    let asked_before = control.seen().len();
    house.publish([order(2)]);
    wait_until_stored(&mut house, 2);
    house.kill();
    house.start();
    house.publish([order(3)]);
    wait_until_stored(&mut house, 3);
    assert!(hold(&house, "the number").is_some_and(|hold| hold["loud"] == true && hold["reason"] == "account-locked"));
    assert_eq!(control.seen().len(), asked_before, "nothing was tried");
    resume(&house, &[]);
    house.wait_for_accepted(4, WITHIN);
    wait_until_drained(&mut house, WITHIN);
    assert_eq!(control.counters().repeats, 0);
}

/// 131026: refused, and the next one to this person is not tried; others are.
#[test]
fn who_is_not_on_whatsapp_is_left_alone() {
    let mut house = ready();
    let control = house.control();
    control.fault(Fault::Code(131026), Some(1));
    let absent = crate::house::customer(1);
    house.publish([order_for(1, &absent)]);
    house.wait("it was refused", |house| asked(&control, "e1").0 == 1 && house.backlog() == 0);
    house.publish([order_for(2, &absent), order(3)]);
    wait_for_event(&mut house, "e3");
    wait_until_drained(&mut house, WITHIN);
    assert_eq!((asked(&control, "e1"), asked(&control, "e2")), ((1, 0), (0, 0)));
    assert!(house.stop().success(), "{}", house.log());
    let entries = books::read(&house);
    let of = |event: &str| (entries[event].outcome.as_str(), entries[event].reason.as_str());
    assert_eq!((of("e1"), of("e2")), (("refused", "undeliverable"), ("withheld", "undeliverable")));
}

/// 132001: this template waits, others go.
#[test]
fn a_missing_template_holds_itself_alone() {
    let mut house = ready();
    let control = house.control();
    control.fault(Fault::Code(132001), Some(1));
    house.publish([order(1)]);
    house.wait("the template is held", |house| hold(house, "order_ready").is_some());
    house.publish([order(2), alarm(1)]);
    wait_for_event(&mut house, "a1");
    wait_until_stored(&mut house, 2);
    assert_eq!((asked(&control, "e1"), asked(&control, "e2")), ((1, 0), (0, 0)));
    resume(&house, &["--template", "order_ready"]);
    wait_for_event(&mut house, "e1");
    wait_for_event(&mut house, "e2");
    wait_until_drained(&mut house, WITHIN);
    assert_eq!(control.counters().repeats, 0);
}

/// 4: the account backs off, for a time that is shown; an operator may end it.
#[test]
fn too_many_calls_back_off() {
    let mut house = ready();
    let control = house.control();
    control.fault(Fault::Code(4), Some(1));
    house.publish([order(1)]);
    let mut held = None;
    house.wait("the account backs off", |house| {
        held = hold(house, "the number");
        held.is_some()
    });
    let held = held.unwrap();
    let long = held["until"].as_i64().unwrap() - held["since"].as_i64().unwrap();
    assert!((6_000..=60_000).contains(&long), "{long} ms");
    house.publish([order(2)]);
    wait_until_stored(&mut house, 2);
    // The shortest wait may be over by now, on a busy machine.
    let second = asked(&control, "e2");
    assert!(second == (0, 0) || hold(&house, "the number").is_none(), "{second:?}");
    resume(&house, &[]);
    house.wait_for_accepted(3, WITHIN);
    wait_until_drained(&mut house, WITHIN);
    assert_eq!((control.counters().repeats, control.seen().len()), (0, 4));
}
