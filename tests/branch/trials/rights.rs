//! The audit record and a person's rights, at the command line: with the daemon and without.

use crate::house::{House, customer, order};
use crate::trials::ear::Ear;
use branchline::demo::api::Fault;
use serde_json::{Value, json};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

/// Where the record stood, as the last receipt tells it: ROWS:HEAD.
fn anchor(ear: &Ear) -> Option<String> {
    let heard = ear.heard();
    let receipt = heard.iter().rfind(|heard| heard.topic.contains("/receipt/"))?.json();
    Some(format!("{}:{}", receipt["audit"]["rows"], receipt["audit"]["head"].as_str()?))
}

/// Whether any file of the store holds these bytes.
fn holds(house: &House, bytes: &str) -> bool {
    let files = std::fs::read_dir(house.path()).unwrap().map(|file| file.unwrap().path());
    let files = files.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("outbox.db"));
    let found = |path: &std::path::PathBuf| {
        let content = std::fs::read(path).unwrap();
        content.windows(bytes.len()).any(|window| window == bytes.as_bytes())
    };
    files.filter(found).count() > 0
}

#[test]
fn the_record_verifies_with_and_without_a_daemon_and_a_changed_row_is_named() {
    let mut house = House::new("");
    house.start();
    let ear = Ear::new(house.broker.port(), "branchline/#");
    house.publish((1..=40).map(order));
    house.wait_for_accepted(40, LONG);
    house.wait("nothing waits", |house| house.backlog() == 0);
    house.wait("receipts come", |_| anchor(&ear).is_some());
    house.said(&["pause", "--rule", "ready", "--reason", "test"]);
    let anchor = anchor(&ear).unwrap();
    let text = house.said(&["audit", "verify", "--anchor", &anchor]);
    assert!(text.contains("the anchor holds"), "{text}");
    let state = ear.heard().iter().rfind(|heard| heard.topic == "branchline/t-1/state").unwrap().json();
    assert!(state["audit"]["rows"].is_u64(), "{state}");
    let lines = house.said(&["audit", "export"]);
    let rows: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let count = |act: &str| rows.iter().filter(|row| row["act"] == act).count();
    assert_eq!((count("stored"), count("sent"), count("accepted"), count("ordered")), (40, 40, 40, 1));
    assert!(!lines.contains(&customer(1)[1..]) && !lines.contains("t-1"), "hashes alone");
    let report = house.data(&["audit", "verify"]);
    assert_eq!((&report["good"], report["audit"]["rows"].as_u64()), (&json!(true), Some(rows.len() as u64)));
    assert!(house.stop().success());
    assert!(house.said(&["audit", "verify", "--anchor", &anchor]).contains("the anchor holds"));
    assert_eq!(house.said(&["audit", "export"]).lines().count(), rows.len());

    // Somebody makes a message unsent.
    let store = rusqlite::Connection::open(house.path().join("outbox.db")).unwrap();
    let taken = |piece: &[u8]| piece.windows(5).position(|window| window == b"taken");
    let (first, piece): (i64, Vec<u8>) = store
        .query_row(
            "SELECT first, rows FROM audit WHERE instr(rows, CAST('taken' AS BLOB)) > 0 ORDER BY first LIMIT 1",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    let place = taken(&piece).unwrap();
    let spoiled = [&piece[..place], b"lost!", &piece[place + 5..]].concat();
    store.execute("UPDATE audit SET rows = ?1 WHERE first = ?2", rusqlite::params![spoiled, first]).unwrap();
    drop(store);
    let output = house.command(&["audit", "verify"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("is not what was written there") && text.contains("THE RECORD WAS CHANGED"), "{text}");
    let report: Value = serde_json::from_slice(&house.command(&["audit", "verify", "--json"]).stdout).unwrap();
    let named = report["faults"][0]["from"].as_u64().unwrap();
    assert_eq!(rows[named as usize - 1]["about"], "taken", "{report}");
    let why = house.refused(1, &["audit", "export"]);
    assert!(why.contains(&format!("row {named} is")), "{why}");
}

#[test]
fn a_person_is_exported_and_erased_with_and_without_a_daemon() {
    let mut house = House::new("");
    house.start();
    house.publish((1..=6).map(order));
    house.wait_for_accepted(6, LONG);
    house.wait("nothing waits", |house| house.backlog() == 0);
    house.control().fault(Fault::RefuseConnections, None);
    house.publish([order(7)]);
    house.wait("one waits", |house| house.backlog() == 1);
    let person: Value = serde_json::from_str(&house.said(&["contact", "export", &customer(7)])).unwrap();
    assert_eq!((&person["person"]["known"], person["messages"].as_array().unwrap().len()), (&json!(true), 1));
    assert!(person["messages"][0]["content"][0]["text"].is_string(), "{person}");
    assert!(person["audit"].as_array().unwrap().iter().any(|row| row["act"] == "stored"), "{person}");
    let digits = |number: u32| customer(number)[1..].to_owned();
    assert!(holds(&house, &digits(7)) && holds(&house, &digits(1)));

    let text = house.said(&["contact", "erase", &customer(7), &customer(1)]);
    assert!(text.contains("1 waited and are withdrawn") && text.contains("only by new consent"), "{text}");
    assert!(!holds(&house, &digits(7)) && !holds(&house, &digits(1)));
    assert_eq!(house.backlog(), 0);
    let person: Value = serde_json::from_str(&house.said(&["contact", "export", &customer(7)])).unwrap();
    assert_eq!(person["person"]["known"], false);
    house.said(&["consent", "revoke", &customer(2)]);
    let report = house.data(&["contact", "erase", &customer(2)]);
    assert_eq!(report["people"][0]["suppressed"], true);
    let why = house.refused(1, &["contact", "erase", "12"]);
    assert!(why.contains("the number"), "{why}");
    assert!(house.stop().success());

    assert!(holds(&house, &digits(3)) && !holds(&house, &digits(2)));
    let report = house.data(&["contact", "erase", &customer(3)]);
    assert!(report["people"][0]["known"].as_bool().unwrap() && !holds(&house, &digits(3)), "{report}");
    assert!(house.said(&["audit", "verify"]).contains("each follows"));
    // It works on, and the person may come back by a word of their own.
    house.control().clear_faults().unwrap();
    house.start();
    house.publish([order(3)]);
    house.wait_for_accepted(7, LONG);
    assert!(house.stop().success());
}
