//! A store with a key: what lies on the disk says nothing about people, and everything works as without.

use super::kit::*;
use crate::message::{Outcome, Reason};
use crate::operate::{Reply, Request};
use crate::outbox::{OpenError, Outbox, offline};
use std::collections::BTreeMap;
use std::path::Path;

const KEY: &str = "0123456789abcdef0123456789abcdef";
const OTHER: &str = "another key of thirty-two letters";
const NAME: &str = "Fulana de Tal";
/// `ANA` as the platform knows her, and the id of a message to her, which holds her digits in base64.
const WA_ID: &str = "5511987654321";
const WAMID: &str = "wamid.HBgNNTUxMTk4NzY1NDMyMRUCABEYEjlBN0Y";
const DIGITS_IN_BASE64: &str = "NTUxMTk4NzY1NDMy";

/// One message that was taken, one that waits, one person who said no.
fn a_morning(kit: &mut Kit) {
    kit.order("pos/1/order", ANA, NAME);
    let body = format!(r#"{{"contacts": [{{"wa_id": "{WA_ID}"}}], "messages": [{{"id": "{WAMID}"}}]}}"#);
    kit.answer_last(http(200, &body));
    kit.order("pos/1/ready", BIA, "b1");
    kit.answer_last(unsent());
    kit.arrive("pos/1/stop", &format!(r#"{{"to": "{CAIO}"}}"#));
}

/// Every file of the box but those that the configuration consists of.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files =
        entries.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("outbox.db")));
    files.map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(path).unwrap())).collect()
}

/// Which files tell what about people.
fn found(folder: &Path) -> Vec<(String, &'static str)> {
    let told = [&ANA[3..], &BIA[3..], &CAIO[3..], NAME, DIGITS_IN_BASE64];
    let mut found = Vec::new();
    for (name, bytes) in files(folder) {
        for text in told {
            if bytes.windows(text.len()).any(|part| part == text.as_bytes()) {
                found.push((name.clone(), text));
            }
        }
    }
    found
}

#[test]
fn no_file_tells_a_number_a_name_or_an_id_of_the_platform() {
    for key in [None, Some(KEY)] {
        let mut kit = Kit::with_key(key);
        a_morning(&mut kit);
        // The log alone, then the file: as a kill leaves them, and as a stop does.
        let after_kill = found(kit.folder.path());
        kit.crash();
        let after_stop = found(kit.folder.path());
        for (when, told) in [("after a kill", after_kill), ("after a stop", after_stop)] {
            if key.is_some() {
                assert_eq!(told, [], "{when}");
            } else {
                let texts: std::collections::BTreeSet<_> = told.iter().map(|(_, text)| *text).collect();
                assert_eq!(texts.len(), 5, "{when}, without a key all of it is there: {told:?}");
            }
        }
    }
}

#[test]
fn everything_works_with_a_key() {
    let mut kit = Kit::with_key(Some(KEY));
    a_morning(&mut kit);
    kit.restart();
    kit.run(120_000);
    assert_eq!(kit.texts().last(), Some(&"b1"), "what waited leaves after a restart");
    kit.answer_last(taken());
    kit.order("pos/1/order", ANA, NAME);
    kit.run(60_000);
    assert_eq!(kit.texts().iter().filter(|text| **text == NAME).count(), 1, "the person is found, and the event known");
    kit.order("pos/1/ready", CAIO, "no");
    assert_eq!(kit.told_times(Outcome::Withheld, Reason::ConsentRevoked), 1);
    let reply = kit.ask(Request::OutboxShow { id: "1".into() });
    let Reply::Data(shown) = reply else { panic!("{reply:?}") };
    assert_eq!((&shown["to"], &shown["subject"]), (&"+55…21".into(), &format!("order/{NAME}").into()), "{shown}");
    assert!(shown["text"].as_str().unwrap().contains(NAME), "{shown}");
    let reply = kit.ask(Request::OutboxExport { table: "ledger".into(), after: 0 });
    let Reply::Data(page) = reply else { panic!("{reply:?}") };
    assert!(page["rows"].as_array().unwrap().iter().any(|row| row["number"] == CAIO), "{page}");
    // A newer message about the subject still withdraws the older one.
    let order = |n: &str| format!(r#"{{"to": "{BIA}", "opt_in": true, "id": "{n}", "n": "{n}", "order": "17"}}"#);
    kit.order("pos/1/ready", BIA, "first");
    kit.arrive("pos/1/order", &order("o1"));
    kit.arrive("pos/1/order", &order("o2"));
    assert_eq!(kit.told_times(Outcome::Withdrawn, Reason::Superseded), 1);
    kit.crash();
    let seal = kit.config().0.outbox.seal;
    let report = offline::check(&kit.folder.path().join("outbox.db"), &seal).unwrap();
    assert_eq!(report.wrong, Vec::<String>::new());
    assert!(report.tables.iter().all(|table| table.unreadable == 0), "{:?}", report.tables);
}

#[test]
fn a_store_without_is_encrypted_at_the_next_start_and_loses_nothing() {
    let mut kit = Kit::with_key(None);
    a_morning(&mut kit);
    kit.crash();
    assert!(!found(kit.folder.path()).is_empty());
    kit.key = Some(KEY);
    // The power fails in the middle of the first try: what it left is no trouble, and does not stay.
    std::fs::write(kit.folder.path().join("outbox.db.sealing"), NAME).unwrap();
    // And what it replaces does not only lose its name.
    let (old, kept) = (kit.folder.path().join("outbox.db"), kit.folder.path().join("kept"));
    std::fs::hard_link(&old, &kept).unwrap();
    kit.start();
    assert_eq!(found(kit.folder.path()), []);
    assert!(std::fs::read(&kept).unwrap().iter().all(|byte| *byte == 0), "the old file was overwritten");
    assert!(kit.told.iter().any(|told| told.detail.contains("was encrypted with the key")), "{:?}", kit.told);
    kit.run(120_000);
    assert_eq!(kit.texts().last(), Some(&"b1"), "what waited leaves");
    kit.answer_last(taken());
    kit.order("pos/1/order", ANA, NAME);
    kit.run(60_000);
    assert_eq!(kit.texts().iter().filter(|text| **text == NAME).count(), 1);
    kit.order("pos/1/ready", CAIO, "no");
    assert_eq!(kit.told_times(Outcome::Withheld, Reason::ConsentRevoked), 1);
    kit.crash();
    assert_eq!(found(kit.folder.path()), []);
}

#[test]
fn a_wrong_or_missing_key_is_refused_and_nothing_is_changed() {
    let mut kit = Kit::with_key(Some(KEY));
    a_morning(&mut kit);
    kit.crash();
    let before = files(kit.folder.path());
    for (key, told) in [(None, "outbox.key_file is not set"), (Some(OTHER), "another key")] {
        kit.key = key;
        let rooms = kit.config().0;
        let refused = Outbox::open(rooms.outbox.clone(), 7).err().expect("refused");
        assert!(matches!(refused, OpenError::Key { .. }) && refused.to_string().contains(told), "{refused}");
        let refused = offline::check(&rooms.outbox.path, &rooms.outbox.seal).expect_err("refused");
        assert!(refused.to_string().contains(told), "{refused}");
        let mut after = files(kit.folder.path());
        // The log that SQLite begins holds nothing.
        after.retain(|name, bytes| before.contains_key(name) || !bytes.is_empty());
        let changed: Vec<_> =
            after.iter().filter(|(name, bytes)| before.get(*name) != Some(bytes)).map(|it| it.0).collect();
        assert!(changed.is_empty() && after.len() == before.len(), "{told}: {changed:?}");
    }
    kit.key = Some(KEY);
    kit.start();
}

/// Whoever can write to the file can break it, and cannot make the box write to somebody else, or say something else.
#[test]
fn a_value_that_was_moved_to_another_row_is_damage() {
    let swaps = [
        "UPDATE content SET number = (SELECT number FROM content WHERE message = 1) WHERE message = 2",
        "UPDATE content SET body = (SELECT body FROM content WHERE message = 1) WHERE message = 2",
        "UPDATE content SET number = '5511987654321' WHERE message = 2",
        "UPDATE person SET number = (SELECT number FROM person WHERE id = 1) WHERE id = 2",
        "UPDATE content SET body = number WHERE message = 2",
    ];
    for swap in swaps {
        let mut kit = Kit::with_key(Some(KEY));
        a_morning(&mut kit);
        kit.crash();
        let db = rusqlite::Connection::open(kit.folder.path().join("outbox.db")).unwrap();
        assert_eq!(db.execute(swap, []).unwrap(), 1, "{swap}");
        drop(db);
        kit.sent.clear();
        kit.start();
        kit.run(600_000);
        let elsewhere: Vec<_> = kit.sent.iter().filter(|sent| sent.to != BIA || sent.text != "b1").collect();
        assert!(elsewhere.is_empty(), "{swap}: {elsewhere:?}");
        // What somebody wrote into the file in plain text stands in what was set aside.
        if !swap.contains("'5511987654321'") {
            assert_eq!(found(kit.folder.path()), [], "{swap}: what was set aside tells nothing either");
        }
    }
}

#[test]
fn a_damaged_store_is_salvaged_with_its_key() {
    let mut kit = Kit::with_key(Some(KEY));
    a_morning(&mut kit);
    kit.crash();
    let path = kit.folder.path().join("outbox.db");
    let db = rusqlite::Connection::open(&path).unwrap();
    // A bit of the topic of what waits: that does not open any more, and is no reason to lose the message.
    db.execute_batch("UPDATE message SET topic = substr(topic, 1, 20) || x'00' || substr(topic, 22) WHERE id = 2")
        .unwrap();
    // As a broken index: nothing of the rows is gone.
    db.execute_batch("PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'lane_due';").unwrap();
    drop(db);
    kit.start();
    assert!(kit.told.iter().any(|told| told.reason == Reason::StoreDamaged), "{:?}", kit.told);
    let aside: Vec<_> = files(kit.folder.path()).into_keys().filter(|name| name.contains("damaged")).collect();
    assert!(!aside.is_empty());
    assert_eq!(found(kit.folder.path()), []);
    kit.ask(Request::AcceptLoss { reason: "test".into() });
    kit.run(600_000);
    assert_eq!(kit.texts().last(), Some(&"b1"), "what waited was kept, text and number");
    kit.order("pos/1/ready", CAIO, "no");
    assert_eq!(kit.told_times(Outcome::Withheld, Reason::ConsentRevoked), 1);
}

/// Also of a store in which nobody stands yet: what a wrong key cannot read must not be taken for damaged.
#[test]
fn a_store_without_people_knows_its_key_too() {
    let mut kit = Kit::with_key(Some(KEY));
    kit.arrive("pos/1/ready", "no JSON");
    assert_eq!(kit.told_times(Outcome::Unreadable, Reason::PayloadUnreadable), 1, "{:?}", kit.told);
    kit.crash();
    for (key, refused) in [(Some(OTHER), true), (None, true), (Some(KEY), false)] {
        kit.key = key;
        let opened = Outbox::open(kit.config().0.outbox, 7);
        assert_eq!(matches!(&opened, Err(OpenError::Key { .. })), refused, "{key:?}: {:?}", opened.err());
    }
}

/// A bit that flipped in what the store remembers its key by makes no other key of it, and takes nothing away.
#[test]
fn the_print_of_the_key_may_be_damaged() {
    for (damage, key) in [("x'00'", Some(KEY)), ("NULL", Some(KEY)), ("x'00'", None)] {
        let mut kit = Kit::with_key(key);
        a_morning(&mut kit);
        kit.crash();
        let db = rusqlite::Connection::open(kit.folder.path().join("outbox.db")).unwrap();
        db.execute_batch(&format!("UPDATE box SET key_print = {damage}")).unwrap();
        drop(db);
        kit.start();
        kit.run(120_000);
        assert_eq!(kit.texts().last(), Some(&"b1"), "{damage} {key:?}: what waited leaves");
        kit.order("pos/1/ready", CAIO, "no");
        assert_eq!(kit.told_times(Outcome::Withheld, Reason::ConsentRevoked), 1, "{damage} {key:?}");
    }
}
