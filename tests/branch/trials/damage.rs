//! A store that is damaged while nobody looks: what the people at the box see, and what they do.

use crate::house::{House, alarm, customer, order, order_for};
use std::path::{Path, PathBuf};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

fn set_aside(house: &House) -> PathBuf {
    let names = std::fs::read_dir(house.path()).unwrap().map(|file| file.unwrap().path());
    let is_aside = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with("outbox.db.damaged-") && !name.ends_with("-wal")
    };
    names.into_iter().find(is_aside).expect("a file was set aside")
}

fn accepted_for(house: &House, number: u32) -> usize {
    let to = customer(number);
    house.control().accepted().iter().filter(|seen| seen.to == to).count()
}

fn both(path: &Path) -> (Vec<u8>, Option<Vec<u8>>) {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    (std::fs::read(path).unwrap(), std::fs::read(log).ok())
}

#[test]
fn a_damaged_store_is_set_aside_told_held_and_released() {
    let mut house = House::new("");
    house.start();
    house.publish((1..=5).map(order));
    house.wait_for_accepted(5, LONG);
    house.wait("all are settled", |house| house.backlog() == 0);
    // Now the file holds it all, and the log what comes.
    assert!(house.stop().success());
    house.start();
    house.said(&["consent", "revoke", &customer(2)]);
    // More commits: a broken place with nothing behind it looks like the end of a log.
    for _ in 0..4 {
        house.said(&["pause", "--rule", "ready", "--reason", "inventory"]);
        house.said(&["resume", "--rule", "ready", "--reason", "inventory"]);
    }
    let busy = house.refused(74, &["outbox", "check"]);
    assert!(busy.contains("branchline status"), "{busy}");
    let rows = house.said(&["outbox", "export"]);
    assert!(rows.lines().count() >= 10 && rows.contains("+55…01") && !rows.contains(&customer(1)), "{rows}");
    let rows = house.said(&["outbox", "export", "--all"]);
    assert!(rows.contains(&customer(1)) && !rows.contains("Ana"), "{rows}");

    house.kill();
    // A bit in the middle of the log: SQLite alone would go back to before it, without a word.
    let log = house.path().join("outbox.db-wal");
    let mut bytes = std::fs::read(&log).unwrap();
    bytes[32 + 24 + 700] ^= 0x10;
    std::fs::write(&log, &bytes).unwrap();
    house.start();
    let text = house.said(&["status"]);
    assert!(text.contains("THE STORE WAS DAMAGED") && text.contains("accept-loss"), "{text}");
    assert!(text.contains("the write-ahead log is broken") && text.contains("salvaged:"), "{text}");
    assert!(house.whole_log().contains("set aside"), "{}", house.log());

    house.publish([order(6), order_for(7, &customer(2)), alarm(1)]);
    let control = house.control();
    house.wait_for("the alarm goes, once the limits are whole", LONG, |_| {
        control.accepted().iter().any(|seen| seen.template.as_deref() == Some("node_alarm"))
    });
    assert_eq!(accepted_for(&house, 6), 0, "everything else is held");
    let why = house.refused(64, &["outbox", "accept-loss", "--reason", " "]);
    assert!(why.contains("must say something"), "{why}");
    let text = house.said(&["outbox", "accept-loss", "--reason", "told by telephone"]);
    assert!(text.contains("is accepted"), "{text}");
    house.wait_for("the order goes", LONG, |house| accepted_for(house, 6) == 1);
    house.wait_for("nothing waits", LONG, |house| house.backlog() == 0);
    assert_eq!(accepted_for(&house, 2), 1, "who said no got what came before, and nothing after");
    assert!(!house.said(&["status"]).contains("DAMAGED"));
    house.refused(1, &["outbox", "accept-loss", "--reason", "again"]);

    // The file that was set aside says what is wrong with it, and stays as it is.
    let aside = set_aside(&house);
    let before = both(&aside);
    let named = aside.to_str().unwrap();
    let output = house.command(&["outbox", "check", "--file", named]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("!! the write-ahead log is broken") && text.contains("ledger"), "{text}");
    let text = house.command(&["outbox", "export", "--all", "--file", named]);
    assert!(text.status.code().is_some_and(|code| code < 2), "{text:?}");
    assert_eq!(both(&aside), before, "neither wrote to it");

    assert!(house.stop().success());
    let text = house.said(&["outbox", "check"]);
    assert!(text.contains("Nothing is damaged.") && text.contains("2 entries") && text.contains("damaged-"), "{text}");
    let found = house.data(&["outbox", "check"]);
    assert_eq!(found["wrong"], serde_json::json!([]), "{found}");
}
