//! The broker goes and comes, and the daemon does.

use crate::faults::{FAST, books, fast_house, ids, publish_beside, wait_until_drained, wait_until_heard};
use crate::house::{House, order};
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(60);

fn broker_is_up(house: &House) -> bool {
    let status = house.status().unwrap_or_default();
    let links = status["links"].as_array().cloned().unwrap_or_default();
    links.iter().any(|link| link["link"] == "broker" && link["up"] == true)
}

/// Everything was heard and left, exactly once.
fn exactly_once(mut house: House, events: u32) {
    wait_until_heard(&mut house, 1, WITHIN);
    house.wait_for_accepted(u64::from(events) + 1, WITHIN);
    wait_until_drained(&mut house, WITHIN);
    assert!(house.stop().success(), "{}", house.log());
    let sum = books::audit(&house, &ids(0..events));
    assert_eq!((sum.unknown, sum.repeats, sum.accepted), (0, 0, events as usize), "{sum:?}");
}

#[test]
fn restarted_in_the_middle_of_a_stream() {
    let mut house = fast_house(FAST);
    house.start();
    house.publish((0..500).map(order));
    // What it has not handed over yet, and what the daemon has not acknowledged yet, it keeps.
    house.broker.pause();
    house.wait("the daemon misses the broker", |house| !broker_is_up(house));
    house.broker.resume();
    house.wait("the daemon is back", broker_is_up);
    house.publish((500..600).map(order));
    exactly_once(house, 600);
}

/// A broker that forgot everything: the session, the filters, what it had acknowledged. The till says everything again; what
/// the daemon had acknowledged is not sent twice.
#[test]
fn killed_with_its_memory() {
    let mut house = fast_house(FAST);
    house.start();
    house.publish((0..300).map(order));
    house.broker.kill();
    house.wait("the daemon misses the broker", |house| !broker_is_up(house));
    house.broker.resume();
    house.wait("the daemon is back", broker_is_up);
    house.publish((0..400).map(order));
    exactly_once(house, 400);
}

#[test]
fn absent_when_the_daemon_starts() {
    let mut house = fast_house(FAST);
    house.broker.pause();
    house.launch();
    house.wait("the uplink is up, the broker is not", |house| {
        let status = house.status().unwrap_or_default();
        status["links"].as_array().is_some_and(|links| links.iter().any(|link| link["up"] == true))
            && !broker_is_up(house)
    });
    house.broker.resume();
    house.wait("the daemon finds the broker", broker_is_up);
    house.publish((0..50).map(order));
    exactly_once(house, 50);
}

/// The persistent session: what happens while the daemon is stopped arrives afterwards, and the broker may restart in between.
#[test]
fn events_while_the_daemon_is_stopped() {
    let mut house = fast_house(FAST);
    house.start();
    house.publish((0..50).map(order));
    assert!(house.stop().success(), "{}", house.log());
    publish_beside(house.broker.port(), (50..200).map(order).collect()).join().unwrap();
    house.broker.pause();
    house.broker.resume();
    house.publish((200..250).map(order));
    house.start();
    exactly_once(house, 250);
}
