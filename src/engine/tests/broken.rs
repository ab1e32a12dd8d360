//! What was found about damage by reading: one test for each, named for it.

use super::kit::*;
use crate::engine::{Failure, Input};
use crate::message::{Outcome, Reason};
use crate::operate::{Grant, LedgerLine, Reply, Request, Target};
use crate::outbox::{Hold, LIFT_ALL, LOSS, Outbox};
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::path::PathBuf;

fn revoke(kit: &mut Kit, to: &str) {
    kit.ask(Request::ConsentRevoke { number: to.into(), purpose: None });
}

fn loss(kit: &mut Kit) -> Option<Hold> {
    kit.engine().soft.holds.iter().find(|hold| hold.key == LOSS).cloned()
}

fn at(kit: &Kit, name: &str) -> PathBuf {
    kit.folder.path().join(name)
}

fn set_aside(kit: &Kit) -> usize {
    crate::outbox::set_aside(&at(kit, "outbox.db")).unwrap().len()
}

#[test]
fn a_list_that_cannot_be_opened_is_not_taken_for_a_lost_one() {
    let mut kit = Kit::new();
    revoke(&mut kit, BIA);
    kit.crash();
    let settings = kit.config().0.outbox;
    for name in ["outbox.db.stops", "outbox.db.stops.key"] {
        let (list, away) = (at(&kit, name), at(&kit, "away"));
        std::fs::rename(&list, &away).unwrap();
        // Root may read every file, but nobody a folder.
        std::fs::create_dir(&list).unwrap();
        let why = Outbox::open(settings.clone(), 7).err().unwrap().to_string();
        assert!(why.contains("who took consent back") && why.contains("chown"), "{why}");
        std::fs::remove_dir(&list).unwrap();
        std::fs::rename(&away, &list).unwrap();
    }
    kit.start();
    kit.order("pos/1/ready", BIA, "1");
    assert_eq!((kit.sent.len(), loss(&mut kit)), (0, None));
}

#[test]
fn the_list_stays_the_daemons_whoever_writes_it() {
    let mut kit = Kit::new();
    revoke(&mut kit, BIA);
    // Only root can give it to somebody; for others it is their own before and after.
    let _ = ["outbox.db.stops", "outbox.db.stops.key"].map(|name| chown(at(&kit, name), Some(65_534), Some(65_534)));
    let owner = |kit: &Kit| {
        let found = std::fs::metadata(at(kit, "outbox.db.stops")).unwrap();
        (found.uid(), found.gid())
    };
    let before = owner(&kit);
    let inode = std::fs::metadata(at(&kit, "outbox.db.stops")).unwrap().ino();
    revoke(&mut kit, CAIO);
    assert_ne!(std::fs::metadata(at(&kit, "outbox.db.stops")).unwrap().ino(), inode, "another file");
    assert_eq!(owner(&kit), before);
}

#[test]
fn a_list_on_a_broken_sector_is_made_again_and_told() {
    let mut kit = Kit::new();
    revoke(&mut kit, BIA);
    kit.crash();
    let list = at(&kit, "outbox.db.stops");
    std::fs::remove_file(&list).unwrap();
    // A file whose first byte cannot be read: EIO.
    symlink("/proc/self/mem", &list).unwrap();
    kit.start();
    assert!(kit.told.iter().any(|told| told.detail.contains("made again from the store")));
    kit.order("pos/1/ready", BIA, "1");
    assert_eq!((kit.sent.len(), loss(&mut kit)), (0, None));
}

#[test]
fn a_list_and_key_that_are_both_gone_are_told() {
    let mut kit = Kit::new();
    revoke(&mut kit, BIA);
    kit.crash();
    for name in ["outbox.db.stops", "outbox.db.stops.key"] {
        std::fs::remove_file(at(&kit, name)).unwrap();
    }
    kit.start();
    assert!(kit.told.iter().any(|told| told.detail.contains("made again from the store")));
    kit.order("pos/1/ready", BIA, "1");
    assert_eq!((kit.sent.len(), loss(&mut kit)), (0, None));
}

#[test]
fn a_list_that_is_lost_after_an_earlier_damage_holds_everything() {
    let mut kit = Kit::new();
    kit.order("pos/1/ready", BIA, "1");
    kit.answer_last(taken());
    revoke(&mut kit, BIA);
    kit.crash();
    std::fs::write(at(&kit, "outbox.db"), b"").unwrap();
    let _ = std::fs::remove_file(at(&kit, "outbox.db-wal"));
    kit.start();
    kit.ask(Request::AcceptLoss { reason: "test".into() });
    assert_eq!(loss(&mut kit), None);
    // The ledger knows nothing of the revocation; now the list is gone too.
    kit.crash();
    std::fs::remove_file(at(&kit, "outbox.db.stops")).unwrap();
    kit.start();
    let held = loss(&mut kit).unwrap();
    assert!(held.lift == LIFT_ALL && held.note.contains("MAY LACK SOME"), "{held:?}");
    kit.order("pos/1/ready", BIA, "2");
    kit.run(60_000);
    assert_eq!(kit.texts(), ["1"]);
}

#[test]
fn a_sector_that_cannot_be_read_is_damage_and_no_reason_to_try_for_ever() {
    let mut kit = Kit::new();
    kit.engine().outbox.fault.commit = Some((false, rusqlite::ffi::SQLITE_IOERR_READ));
    kit.order("pos/1/ready", BIA, "1");
    assert_eq!(kit.acked.len(), 1);
    assert!(loss(&mut kit).is_some() && set_aside(&kit) == 1);
}

/// As our own mistake would look: a rule of the schema is broken by what the engine writes.
fn refuse(kit: &mut Kit) {
    kit.engine()
        .outbox
        .raw()
        .execute_batch(
            "CREATE TEMP TRIGGER refuses BEFORE INSERT ON main.message BEGIN SELECT RAISE(ABORT, 'a rule'); END",
        )
        .unwrap();
}

/// A store that was whole was set aside, and everything held, for what was our bug.
#[test]
fn a_broken_rule_in_a_whole_store_is_told_as_our_bug_and_sets_nothing_aside() {
    let mut kit = Kit::new();
    kit.order("pos/1/ready", BIA, "1");
    refuse(&mut kit);
    let arrival = kit.arrival("pos/1/ready", &format!(r#"{{"to": "{CAIO}", "opt_in": true, "id": "2", "n": "2"}}"#));
    for _ in 0..3 {
        let failure = kit.try_give(&[Input::Arrived(arrival.clone())]).err().unwrap();
        assert!(failure.is_bug() && failure.to_string().contains("this is a bug of Branchline"), "{failure}");
    }
    assert_eq!((kit.acked.len(), loss(&mut kit), set_aside(&kit)), (1, None, 0));
    kit.engine().outbox.raw().execute_batch("DROP TRIGGER refuses").unwrap();
    kit.give(vec![Input::Arrived(arrival)]);
    assert_eq!(kit.acked.len(), 2, "nothing was lost by it");
}

/// An index that damage changed breaks the schema's rules too.
#[test]
fn a_broken_rule_in_a_store_that_contradicts_itself_is_damage() {
    let mut kit = Kit::new();
    kit.order("pos/1/ready", BIA, "1");
    kit.engine().outbox.raw().execute_batch("UPDATE message SET state = 9").unwrap();
    refuse(&mut kit);
    kit.order("pos/1/ready", CAIO, "2");
    assert_eq!((kit.acked.len(), set_aside(&kit)), (2, 1));
    let note = loss(&mut kit).unwrap().note;
    assert!(note.contains("a row of message is not what it should be"), "{note}");
}

#[test]
fn a_log_that_breaks_before_the_first_checkpoint_is_named() {
    let mut kit = Kit::new();
    kit.order("pos/1/ready", BIA, "1");
    let files = ["outbox.db", "outbox.db-wal"].map(|name| (at(&kit, name), std::fs::read(at(&kit, name)).unwrap()));
    kit.crash();
    for (path, mut bytes) in files {
        if path.to_string_lossy().ends_with("-wal") {
            bytes[32 + 24 + 700] ^= 0x10;
        }
        std::fs::write(path, bytes).unwrap();
    }
    kit.start();
    let note = loss(&mut kit).unwrap().note;
    assert!(note.contains("the write-ahead log is broken"), "{note}");
}

#[test]
fn a_person_known_by_another_form_of_the_number_is_the_same_person_and_no_damage() {
    for (short, long) in [("552187650011", "5521987650011"), ("525512345678", "5215512345678")] {
        for (known, told) in [(short, long), (long, short)] {
            let mut kit = Kit::new();
            kit.hear(vec![wrote(known, MONDAY, "oi")]);
            kit.ask(Request::Pause { target: Target::Rule("low".into()), reason: "test".into() });
            kit.order("pos/1/low", &format!("+{told}"), "waits");
            assert_eq!(kit.told_times(Outcome::Stored, Reason::Due), 1, "{told}");
            kit.order("pos/1/ready", CAIO, "goes");
            kit.answer_last(ok(told));
            revoke(&mut kit, &format!("+{known}"));
            kit.ask(Request::Resume { target: Target::Rule("low".into()), reason: "test".into() });
            kit.run(60_000);
            assert_eq!((loss(&mut kit), set_aside(&kit)), (None, 0), "{known} {told}");
            assert_eq!(kit.texts(), ["goes"], "what one form took back holds for the other");
            kit.order("pos/1/ready", CAIO, "the same person");
            kit.run(60_000);
            assert_eq!(kit.texts(), ["goes"], "{known} {told}");
        }
    }
}

/// As an earlier version left them: two people, each known by one form of the same number.
#[test]
fn a_message_to_a_form_of_somebody_elses_number_asks_both() {
    for revoked in [false, true] {
        let mut kit = Kit::new();
        kit.hear(vec![wrote("552187650011", MONDAY, "oi")]);
        kit.ask(Request::Pause { target: Target::Rule("low".into()), reason: "test".into() });
        kit.order("pos/1/low", "+5521987650011", "waits");
        kit.order("pos/1/ready", CAIO, "goes");
        kit.answer_last(taken());
        let caio = "(SELECT person FROM alias WHERE value = '5521987650002')";
        let twin = format!("INSERT INTO alias (value, kind, person) SELECT '5521987650011', 0, {caio}");
        kit.engine().outbox.raw().execute_batch(&twin).unwrap();
        if revoked {
            let line = format!(
                "INSERT INTO ledger (sender, person, purpose, action, source, wording, boxed)
                 SELECT 1, {caio}, 'orders', 'revoke', 'test', '', 0"
            );
            kit.engine().outbox.raw().execute_batch(&line).unwrap();
        }
        kit.ask(Request::Resume { target: Target::Rule("low".into()), reason: "test".into() });
        kit.run(60_000);
        assert_eq!((loss(&mut kit), set_aside(&kit)), (None, 0));
        assert_eq!(kit.sent.len(), if revoked { 1 } else { 2 });
    }
}

#[test]
fn an_import_of_new_customers_releases_nothing() {
    let mut kit = Kit::new();
    kit.crash();
    std::fs::write(at(&kit, "outbox.db"), b"").unwrap();
    kit.start();
    let line = LedgerLine {
        line: 1,
        number: BIA.into(),
        purpose: "orders".into(),
        action: "grant".into(),
        at: String::new(),
        source: "till".into(),
        wording: String::new(),
        expires: String::new(),
    };
    let mut import = |more: bool, releases: bool| {
        let rows = vec![line.clone()];
        let Reply::Data(report) = kit.ask(Request::ConsentImport { rows, more, releases }) else { panic!() };
        (report["held"] == true, report["released"] == true, loss(&mut kit).is_some())
    };
    assert_eq!(import(false, false), (true, false, true));
    assert_eq!(import(true, true), (true, false, true), "more follows");
    assert_eq!(import(false, true), (false, true, false));
    assert_eq!(import(false, true), (false, false, false));
}

#[test]
fn a_store_that_is_emptied_while_a_commit_fails_is_salvaged() {
    let mut kit = Kit::new();
    let empty = at(&kit, "outbox.db");
    kit.engine().outbox.fault.commit = Some((false, rusqlite::ffi::SQLITE_IOERR_FSYNC));
    kit.engine().outbox.fault.opens = 1;
    let arrival = kit.arrival("node/1/state", r#"{"n": 70, "id": "1"}"#);
    kit.try_give(&[Input::Arrived(arrival.clone())]).unwrap_err();
    std::fs::write(&empty, b"").unwrap();
    let _ = std::fs::remove_file(at(&kit, "outbox.db-wal"));
    kit.give(vec![Input::Arrived(arrival)]);
    assert_eq!(kit.acked.len(), 1);
    assert!(loss(&mut kit).unwrap().note.contains("gone or empty"));
}

#[test]
fn damage_that_comes_back_with_the_same_batch_makes_one_copy() {
    let mut kit = Kit::new();
    let corrupt = Some((false, rusqlite::ffi::SQLITE_CORRUPT));
    kit.engine().outbox.fault.commit = corrupt;
    kit.order("pos/1/ready", BIA, "1");
    assert!(set_aside(&kit) == 1 && !kit.engine().salvaged);
    // Salvaged, and the batch is damage again.
    for _ in 0..3 {
        kit.engine().salvaged = true;
        kit.engine().outbox.fault.commit = corrupt;
        let arrival = kit.arrival("node/1/state", r#"{"n": 70, "id": "1"}"#);
        assert!(matches!(kit.try_give(&[Input::Arrived(arrival)]).unwrap_err(), Failure::Store(_)));
        assert_eq!(set_aside(&kit), 1);
    }
    kit.order("pos/1/ready", BIA, "2");
    assert!(!kit.engine().salvaged, "a commit has succeeded");
}

#[test]
fn whose_request_is_on_its_way_gets_no_second_one_after_a_salvage() {
    let mut kit = Kit::new();
    // The first request after a start goes alone.
    kit.order("pos/1/ready", "+5521987650003", "0");
    kit.answer_last(taken());
    kit.order("pos/1/ready", BIA, "1");
    let flight = kit.sent[1].attempt;
    kit.order("pos/1/ready", BIA, "2");
    kit.engine().outbox.fault.commit = Some((false, rusqlite::ffi::SQLITE_CORRUPT));
    kit.order("pos/1/ready", CAIO, "3");
    assert!(loss(&mut kit).is_some());
    kit.ask(Request::AcceptLoss { reason: "test".into() });
    kit.run(60_000);
    assert_eq!(kit.texts(), ["0", "1", "3"]);
    kit.answer(flight, taken());
    kit.run(60_000);
    assert_eq!(kit.texts(), ["0", "1", "3", "2"]);
}

#[test]
fn what_a_batch_let_go_stays_when_its_store_is_salvaged_before_it_left() {
    let mut kit = Kit::new();
    kit.engine().outbox.fault.commit = Some((true, rusqlite::ffi::SQLITE_IOERR_FSYNC));
    kit.engine().outbox.fault.opens = 1;
    let payload = format!(r#"{{"to": "{BIA}", "opt_in": true, "id": "1", "n": "1"}}"#);
    let arrival = kit.arrival("pos/1/ready", &payload);
    kit.try_give(&[Input::Arrived(arrival.clone())]).unwrap_err();
    // The commit is in the file, and the file is damaged now.
    let theirs = rusqlite::Connection::open(at(&kit, "outbox.db")).unwrap();
    theirs.execute_batch("DROP INDEX message_waiting").unwrap();
    drop(theirs);
    kit.give(vec![Input::Woke]);
    assert_eq!(kit.acked.len(), 1, "the batch happened");
    assert!(loss(&mut kit).is_some());
    kit.run(20_000);
    assert_eq!((kit.sent.len(), kit.engine().soft.in_flight.len()), (0, 0));
    assert_eq!(kit.told_times(Outcome::Unknown, Reason::Restarted), 1, "{:?}", kit.told);
}

#[test]
fn an_equal_does_not_pass_what_is_held_when_something_urgent_made_room() {
    let mut kit = Kit::cold("1 MiB", "displace");
    kit.start();
    kit.ask(Request::Pause { target: Target::All, reason: "test".into() });
    // Full of what gives way to nothing less than an alarm, each as long as some short ones.
    for n in 0.. {
        assert!(n < 5_000, "it is never full");
        kit.order("pos/1/high", BIA, &format!("{n} {}", "x".repeat(900)));
        if kit.told_times(Outcome::Displaced, Reason::GaveWay) > 0 {
            break;
        }
    }
    kit.engine().free_space(Some(0));
    kit.order("pos/1/ready", CAIO, "A");
    kit.order("pos/1/urgent", CAIO, "B");
    kit.order("pos/1/ready", CAIO, "C");
    assert_eq!(kit.engine().soft.held.len(), 3);
    let from = kit.told.len();
    kit.engine().free_space(Some(1 << 30));
    kit.run(0);
    let stored = kit.told[from..].iter().filter(|told| told.outcome == Some(Outcome::Stored));
    let order: Vec<&str> = stored.filter_map(|told| told.event.as_deref()).collect();
    assert!(order.starts_with(&["B"]), "{order:?}");
    assert!(!order.contains(&"C") || order == ["B", "A", "C"], "{order:?}");
}

#[test]
fn what_an_operator_gave_again_outlives_the_next_name_though_only_the_list_knew_the_stop() {
    let mut kit = Kit::new();
    kit.order("pos/1/ready", BIA, "1");
    kit.answer_last(taken());
    revoke(&mut kit, BIA);
    kit.engine().outbox.raw().execute_batch("DELETE FROM ledger WHERE action = 'revoke'").unwrap();
    kit.order("pos/1/ready", BIA, "the list stops it");
    kit.ask(Request::ConsentGrant(Grant {
        number: BIA.into(),
        purpose: "orders".into(),
        source: "counter".into(),
        wording: None,
        expires: None,
        after_revocation: true,
    }));
    kit.order("pos/1/ready", BIA, "2");
    kit.run(10_000);
    kit.answer_last(ok("552187650001"));
    kit.run(10_000);
    kit.order("pos/1/ready", BIA, "3");
    kit.run(10_000);
    assert_eq!(kit.texts(), ["1", "2", "3"]);
}
