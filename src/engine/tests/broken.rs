//! What was found about damage by reading: one test for each, named for it.

use super::kit::*;
use crate::engine::Input;
use crate::operate::Request;
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
