//! What others hear over MQTT: the retained state, the last will, receipts.

use crate::house::{House, alarm, customer, order, order_for};
use crate::trials::ear::{Ear, Heard};
use branchline::demo::api::Fault;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

fn last_state(ear: &Ear) -> Option<Value> {
    ear.heard().iter().rfind(|heard| heard.topic == "branchline/t-1/state").map(Heard::json)
}

fn receipts(ear: &Ear) -> Vec<(String, Value)> {
    let heard = ear.heard();
    let of = |heard: &Heard| {
        let rule = heard.topic.strip_prefix("branchline/t-1/receipt/")?;
        Some((rule.to_owned(), heard.json()))
    };
    heard.iter().filter_map(of).collect()
}

/// Outcomes of each message in the order of its receipts.
fn stories(ear: &Ear) -> BTreeMap<String, Vec<String>> {
    let mut stories = BTreeMap::<String, Vec<String>>::new();
    for (_, receipt) in receipts(ear) {
        let outcome = receipt["outcome"].as_str().unwrap().to_owned();
        stories.entry(receipt["message"].as_str().unwrap().to_owned()).or_default().push(outcome);
    }
    stories
}

#[test]
fn the_state_is_retained_and_the_last_will_speaks_for_the_dead() {
    let mut house = House::new("");
    house.start();
    let ear = Ear::new(house.broker.port(), "branchline/#");
    house.wait("the retained state comes", |_| last_state(&ear).is_some_and(|state| state["state"] == "online"));
    assert!(ear.heard()[0].retained, "whoever comes later hears it too");
    house.wait("the state shows what the box knows", |_| {
        let state = last_state(&ear).unwrap();
        state["uplink"] == "up" && state["clock"] == "trusted" && state["holds"] == json!([])
    });
    house.said(&["pause", "--rule", "ready", "--reason", "wrong price"]);
    house.wait("the hold is in it", |_| last_state(&ear).unwrap()["holds"][0]["note"] == "wrong price");
    house.kill();
    house.wait("the last will", |_| last_state(&ear).unwrap() == json!({"state": "offline"}));
    house.start();
    house.wait("online again", |_| last_state(&ear).unwrap()["state"] == "online");
    assert!(house.stop().success());
    house.wait("goodbye", |_| last_state(&ear).unwrap()["state"] == "offline");
}

#[test]
fn each_change_has_one_receipt_in_a_calm_run() {
    let mut house = House::new("");
    house.start();
    let ear = Ear::new(house.broker.port(), "branchline/#");
    house.publish((1..=20).map(order).chain([alarm(1)]));
    house.publish([
        // Nobody agreed: withheld.
        (
            "pos/1/order/77/ready".to_owned(),
            json!({"event_id": "n1", "customer": {"name": "Eva", "phone": customer(77)}}).to_string(),
        ),
        // Nobody can read this.
        ("pos/1/order/78/ready".to_owned(), "{".to_owned()),
        // Nobody has this number.
        order_for(79, "12"),
    ]);
    house.wait_for("all receipts", LONG, |_| {
        let stories = stories(&ear);
        stories.values().filter(|story| story.last().unwrap() == "accepted").count() == 21 && stories.len() == 24
    });
    assert!(house.stop().success());
    for (message, story) in stories(&ear) {
        let known: [&[&str]; 3] = [&["accepted"], &["withheld"], &["unreadable"]];
        assert!(known.iter().any(|known| story == *known), "{message}: {story:?}");
    }
    let (rule, receipt) = receipts(&ear).into_iter().find(|(_, receipt)| receipt["event"] == "a1").unwrap();
    assert_eq!((rule.as_str(), &receipt["to"]), ("alarm", &json!("+55…21")));
    for field in ["event", "rule", "message", "to", "outcome", "reason", "at"] {
        assert!(receipt[field].is_string(), "{field} in {receipt}");
    }
    let withheld: Vec<_> = receipts(&ear).into_iter().filter(|(_, receipt)| receipt["outcome"] == "withheld").collect();
    assert_eq!((withheld.len(), &withheld[0].1["reason"]), (1, &json!("no-consent")));
}

#[test]
fn receipts_outlive_a_restart_of_the_broker_and_of_the_daemon() {
    let mut house = House::new("");
    house.start();
    let ear = Ear::new(house.broker.port(), "branchline/#");
    house.control().fault(Fault::RefuseConnections, None);
    house.publish((1..=30).map(order));
    house.wait_for("thirty are stored", LONG, |house| house.backlog() == 30);
    house.broker.pause();
    house.control().clear_faults().unwrap();
    // Their receipts have nowhere to go.
    house.wait_for_accepted(30, LONG);
    house.wait("nothing waits", |house| house.backlog() == 0);
    house.kill();
    house.broker.resume();
    house.start();
    house.wait_for("a receipt for every change", Duration::from_secs(15), |_| {
        let stories = stories(&ear);

        let told = |story: &Vec<String>| story.iter().all(|outcome| outcome == "accepted");
        stories.len() == 30 && stories.values().all(told)
    });
    assert_eq!(house.control().repeats().len(), 0);
    assert!(house.stop().success());
}
