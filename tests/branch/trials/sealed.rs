//! `outbox.key_file` with the built binary: turned on for a store that has none, killed, looked at, opened with the wrong key.

use crate::house::{House, alarm, customer, order};
use branchline::demo::api::Fault;
use std::path::Path;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);
const KEY: &str = "8f3b5a0c9d7e4f6182b3c4d5e6f70819\n";

/// Which files of the store hold one of these numbers.
fn telling(folder: &Path, numbers: std::ops::Range<u32>) -> Vec<String> {
    let mut telling = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.starts_with("outbox.db") {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let told = |number: u32| {
            let digits = customer(number).trim_start_matches('+').as_bytes().to_vec();
            bytes.windows(digits.len()).any(|part| part == digits)
        };
        if numbers.clone().any(told) {
            telling.push(name);
        }
    }
    telling
}

#[test]
fn a_key_that_is_turned_on_hides_everybody_and_a_wrong_one_is_refused() {
    let mut house = House::new("");
    house.start();
    house.publish([order(1), order(2)]);
    house.wait_for_accepted(2, LONG);
    house.wait("both have ended", |house| house.backlog() == 0);
    assert!(house.stop().success());
    assert_ne!(telling(house.path(), 1..3), Vec::<String>::new(), "without a key it can be read");

    house.write("store-key", KEY);
    house.layer("key", "[outbox]\nkey_file = \"store-key\"\n");
    house.start();
    // The till says the first again, and a new one.
    house.publish([order(1), order(3)]);
    house.wait_for_accepted(3, LONG);
    // Its answer too: the cut would make an unknown of it, and a third that waits.
    house.wait("the third has ended", |house| house.backlog() == 0);
    house.control().fault(Fault::RefuseConnections, None);
    house.control().cut();
    house.publish([order(4), alarm(1)]);
    house.wait("two wait", |house| house.backlog() == 2);
    assert_eq!(telling(house.path(), 1..5), Vec::<String>::new(), "while it runs");
    house.kill();
    assert_eq!(telling(house.path(), 1..5), Vec::<String>::new(), "as a kill leaves it");

    // What people do while no daemon runs.
    let export = house.said(&["consent", "export"]);
    assert!(export.contains(&customer(4)), "{export}");
    let rows = house.data(&["outbox", "list"]);
    assert!(rows["rows"].as_array().unwrap().iter().any(|row| row["to"] == "+55…04"), "{rows}");
    let store = house.path().join("outbox.db");
    house.said(&["outbox", "check"]);
    house.said(&["outbox", "export", "--all", "--file", store.to_str().unwrap()]);

    house.write("store-key", &KEY.replace('8', "9"));
    for command in [&["outbox", "list"][..], &["outbox", "check"], &["run"]] {
        let told = house.refused(78, command);
        assert!(told.contains("another key"), "{command:?}: {told}");
    }
    std::fs::remove_file(house.path().join("conf.d/key.toml")).unwrap();
    let told = house.refused(78, &["run"]);
    assert!(told.contains("outbox.key_file is not set"), "{told}");

    house.write("store-key", KEY);
    house.layer("key", "[outbox]\nkey_file = \"store-key\"\n");
    house.control().clear_faults().unwrap();
    house.start();
    house.wait_for_accepted(5, LONG);
    house.wait("all have ended", |house| house.backlog() == 0);
    assert_eq!(house.same_again(), 0);
    assert!(house.stop().success());
    assert_eq!(telling(house.path(), 1..5), Vec::<String>::new(), "as a stop leaves it");
}
