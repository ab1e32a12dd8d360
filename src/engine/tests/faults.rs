//! Crashes, failed commits, a full store, and files that are not ours.

use super::kit::*;
use crate::engine::{Action, Failure, Input};
use crate::message::{Delivery, Outcome, Reason};
use crate::operate::{Request, Target};
use crate::outbox::{OpenError, Outbox, StoreError};
use std::time::Duration;

const FULL: i32 = rusqlite::ffi::SQLITE_FULL;
const FSYNC: i32 = rusqlite::ffi::SQLITE_IOERR_FSYNC;

#[test]
fn an_attempt_without_an_answer_is_unknown_after_a_crash() {
    let mut kit = Kit::new();
    kit.order("pos/1/ready", BIA, "1");
    kit.order("pos/1/low", CAIO, "2");
    let late = kit.sent[0].attempt;
    kit.restart();
    assert_eq!(kit.told_times(Outcome::Unknown, Reason::Restarted), 1);
    kit.answer(late, taken());
    assert_eq!(kit.told_times(Outcome::Accepted, Reason::Taken), 0, "an answer of an earlier life is nobody's");
    kit.run(29_000);
    assert_eq!(kit.texts(), ["1", "2"]);
    kit.run(2_000);
    kit.answer_last(taken());
    kit.run(10_000);
    assert_eq!(kit.texts(), ["1", "2", "1"]);
}

#[test]
fn nothing_acknowledged_is_lost_wherever_the_power_fails() {
    // One scenario, cut after each of its steps.
    for cut in 0..12 {
        let mut kit = Kit::new();
        let mut stored = 0;
        for step in 0..12 {
            match step % 4 {
                0 | 1 => {
                    kit.order("pos/1/ready", if step % 8 < 4 { BIA } else { CAIO }, &step.to_string());
                    stored += 1;
                }
                2 if !kit.engine().soft.in_flight.is_empty() => kit.answer_last(taken()),
                _ => kit.run(7_000),
            }
            if step == cut {
                kit.restart();
            }
        }
        let mut from = 0;
        while kit.now < 300_000 {
            while from < kit.sent.len() {
                let attempt = kit.sent[from].attempt;
                from += 1;
                kit.answer(attempt, taken());
            }
            kit.run(1_000);
        }
        assert_eq!(kit.acked.len(), stored, "cut {cut}");
        assert_eq!(kit.told_times(Outcome::Accepted, Reason::Taken), stored, "cut {cut}");
    }
}

#[test]
fn a_failed_commit_that_did_not_happen_leaves_nothing_and_the_same_inputs_go_again() {
    for code in [FULL, FSYNC] {
        let mut kit = Kit::new();
        let arrival = kit.arrival("pos/1/ready", &format!(r#"{{"to": "{BIA}", "opt_in": true, "n": "1"}}"#));
        kit.engine().outbox.fault.commit = Some((false, code));
        let failed = kit.try_give(&[Input::Arrived(arrival.clone())]).unwrap_err();
        assert_eq!(failed.is_full(), code == FULL);
        assert!(kit.engine().outbox.fault.rebuilt == 0);
        kit.give(vec![Input::Arrived(arrival)]);
        assert_eq!((kit.acked.len(), kit.sent.len()), (1, 1));
        assert_eq!(kit.engine().outbox.fault.rebuilt, u32::from(code == FSYNC), "after a failed sync: copied first");
        assert_eq!(kit.told_times(Outcome::Stored, Reason::Due), 1);
    }
}

#[test]
fn a_failed_commit_that_happened_is_believed() {
    for code in [FULL, FSYNC] {
        let mut kit = Kit::new();
        let arrival = kit.arrival("pos/1/ready", &format!(r#"{{"to": "{BIA}", "opt_in": true, "n": "1"}}"#));
        kit.engine().outbox.fault.commit = Some((true, code));
        let actions = kit.try_give(&[Input::Arrived(arrival)]).unwrap();
        assert!(actions.iter().any(|action| matches!(action, Action::Post(_))));
        assert_eq!(kit.engine().outbox.fault.rebuilt, u32::from(code == FSYNC));
        let _ = kit.take(actions);
        kit.answer_last(taken());
        kit.restart();
        kit.run(60_000);
        assert_eq!((kit.acked.len(), kit.sent.len()), (1, 1));
    }
}

#[test]
fn a_commit_stays_in_doubt_until_the_store_opens_again() {
    for happened in [true, false] {
        let mut kit = Kit::new();
        let arrival = kit.arrival("pos/1/ready", &format!(r#"{{"to": "{BIA}", "opt_in": true, "n": "1"}}"#));
        kit.engine().outbox.fault.commit = Some((happened, FSYNC));
        kit.engine().outbox.fault.opens = 3;
        assert!(matches!(kit.try_give(&[Input::Arrived(arrival.clone())]), Err(Failure::Open(_))));
        for _ in 0..2 {
            assert!(kit.engine().in_doubt());
            assert!(kit.engine().mend().is_err());
        }
        let decided = kit.engine().mend().unwrap();
        assert_eq!(decided.is_some(), happened);
        match decided {
            Some(actions) => {
                let _ = kit.take(actions);
            }
            None => kit.give(vec![Input::Arrived(arrival)]),
        }
        assert_eq!((kit.acked.len(), kit.sent.len()), (1, 1), "happened {happened}");
        kit.answer_last(taken());
        assert_eq!(kit.told_times(Outcome::Accepted, Reason::Taken), 1);
        kit.restart();
        kit.run(60_000);
        assert_eq!(kit.sent.len(), 1, "neither lost nor sent twice");
    }
}

#[test]
fn a_rebuild_that_is_stopped_anywhere_keeps_everything() {
    let mut kit = Kit::new();
    kit.order("pos/1/ready", BIA, "1");
    kit.answer_last(taken());
    // The copy is whole and the swap did not come about: the second try must not copy the placeholder over it.
    kit.engine().outbox.fault.opens = 2;
    assert!(kit.engine().outbox.rebuild().is_err());
    assert!(kit.engine().outbox.rebuild().is_err());
    kit.engine().outbox.rebuild().unwrap();
    // The same, and then the power fails.
    kit.engine().outbox.fault.opens = 1;
    assert!(kit.engine().outbox.rebuild().is_err());
    kit.restart();
    kit.order("pos/1/ready", BIA, "1");
    assert_eq!(kit.sent.len(), 1, "the repeat is still recognised");
}

#[test]
fn a_newer_schema_another_program_and_a_second_daemon_are_refused() {
    let mut kit = Kit::new();
    let (rooms, _) = kit.config();
    assert!(matches!(Outbox::open(rooms.outbox.clone(), 1), Err(OpenError::InUse(_))));
    kit.crash();
    let path = rooms.outbox.path.clone();
    // As a newer one leaves it, with the mark of its own: what this version marked last is gone.
    rusqlite::Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    std::fs::remove_file(kit.folder.path().join("outbox.db.lock")).unwrap();
    assert!(matches!(Outbox::open(rooms.outbox.clone(), 1), Err(OpenError::Newer { found: 99, .. })));
    let foreign = crate::outbox::Settings { path: path.with_extension("other"), ..rooms.outbox };
    rusqlite::Connection::open(&foreign.path).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    let before = std::fs::read(&foreign.path).unwrap();
    assert!(matches!(Outbox::open(foreign.clone(), 1), Err(OpenError::Foreign(_))));
    assert_eq!(std::fs::read(&foreign.path).unwrap(), before, "and left as it was");
}

/// A small store, everything paused, filled until an event is held.
fn filled(when_full: &'static str) -> (Kit, usize) {
    let mut kit = Kit::cold("1 MiB", when_full);
    kit.extra = "\n[limits.caps]\nutility = \"off\"\nrule = \"off\"\n".to_owned();
    kit.start();
    kit.ask(Request::Pause { target: Target::All, reason: "test".into() });
    for n in 0.. {
        let before = kit.told_times(Outcome::Displaced, Reason::GaveWay);
        kit.order("pos/1/ready", BIA, &format!("order number {n}"));
        if kit.acked.len() == n || kit.told_times(Outcome::Displaced, Reason::GaveWay) > before {
            return (kit, n);
        }
        assert!(n < 5_000, "it is never full");
    }
    unreachable!()
}

#[test]
fn a_full_store_holds_and_acknowledges_in_order_and_critical_takes_the_reserve() {
    let (mut kit, stored) = filled("hold");
    assert!(stored > 100);
    assert_eq!(kit.told.iter().filter(|told| told.reason == Reason::StoreFull).count(), 1);
    let before = kit.acked.len();
    kit.order("pos/1/urgent", CAIO, "alarm");
    assert_eq!(kit.told.last().unwrap().reason, Reason::Due, "stored in the reserve");
    assert_eq!(kit.acked.len(), before, "its acknowledgement waits behind the held one");
    kit.order("pos/1/ready", BIA, "another");
    kit.run(5_000);
    assert_eq!(kit.acked.len(), before);
    kit.ask(Request::Resume { target: Target::All, reason: "done".into() });
    let mut from = 0;
    for _ in 0..3_000 {
        while from < kit.sent.len() {
            let attempt = kit.sent[from].attempt;
            from += 1;
            kit.answer(attempt, taken());
        }
        kit.run(6_000);
        if kit.acked.len() == before + 3 {
            break;
        }
    }
    let packets: Vec<u16> = kit
        .acked
        .iter()
        .map(|delivery| match delivery {
            Delivery::AtLeastOnce { packet, .. } => *packet,
            Delivery::AtMostOnce => 0,
        })
        .collect();
    assert_eq!(packets, (1..=packets.len() as u16).collect::<Vec<_>>());
    assert_eq!(packets.len(), before + 3, "space came, the held went on");
    assert_eq!(kit.texts()[0], "alarm");
}

#[test]
fn displace_lets_the_oldest_of_the_lowest_go() {
    let (mut kit, _) = filled("displace");
    let displaced: Vec<_> = kit.told.iter().filter(|told| told.outcome == Some(Outcome::Displaced)).cloned().collect();
    assert_eq!(displaced[0].event.as_deref(), Some("order number 0"));
    assert_eq!(kit.told.last().unwrap().outcome, Some(Outcome::Stored));
    let displaced = |kit: &Kit| {
        let gone = |told: &&crate::engine::Told| {
            told.outcome == Some(Outcome::Displaced) && told.rule.as_deref() == Some("ready")
        };
        kit.told.iter().filter(gone).count()
    };
    let before = displaced(&kit);
    for n in 0..10 {
        kit.order("pos/1/low", CAIO, &format!("worth less {n}"));
    }
    assert_eq!(displaced(&kit), before, "what is worth less displaces only its equals");
}

#[test]
fn receipts_of_what_gave_way_say_to_whom() {
    let (kit, _) = filled("displace");
    let displaced: Vec<_> = kit.published.iter().filter(|publish| publish.payload.contains("\"displaced\"")).collect();
    assert!(!displaced.is_empty());
    for publish in displaced {
        assert!(publish.payload.contains(r#""to":"+55…01""#), "{}", publish.payload);
    }
}

#[test]
fn later_events_do_not_pass_held_ones() {
    let (mut kit, stored) = filled("hold");
    for n in ["b", "c", "d"] {
        kit.order("pos/1/ready", CAIO, n);
    }
    kit.order("pos/1/urgent", CAIO, "alarm");
    let held = kit.told.len();
    kit.ask(Request::Resume { target: Target::All, reason: "done".into() });
    let mut from = 0;
    for _ in 0..3_000 {
        while from < kit.sent.len() {
            let attempt = kit.sent[from].attempt;
            from += 1;
            kit.answer(attempt, taken());
        }
        kit.run(6_000);
        if kit.acked.len() == stored + 5 {
            break;
        }
    }
    let stored_since = kit.told[held..].iter().filter(|told| told.outcome == Some(Outcome::Stored));
    let order: Vec<_> = stored_since.filter_map(|told| told.event.as_deref()).collect();
    assert_eq!(
        order,
        [&*format!("order number {stored}"), "b", "c", "d"],
        "the alarm was stored in the reserve before"
    );
}

#[test]
fn a_revocation_has_room_in_a_full_store() {
    let (mut kit, _) = filled("hold");
    kit.arrive("pos/1/stop", &format!(r#"{{"to": "{CAIO}"}}"#));
    assert!(kit.engine().soft.held.len() == 1, "only the order is held");
}

#[test]
fn a_disk_without_space_posts_nothing_and_settles_what_is_on_its_way() {
    let mut kit = Kit::new();
    kit.order("pos/1/ready", BIA, "1");
    kit.engine().disk_full(true);
    kit.order("pos/1/ready", CAIO, "2");
    assert_eq!(kit.engine().may_post(), Err((Reason::DiskReserve, None)));
    kit.answer_last(taken());
    assert_eq!(kit.texts(), ["1"]);
    assert_eq!(kit.told_times(Outcome::Accepted, Reason::Taken), 1);
    kit.engine().disk_full(false);
    kit.run(0);
    assert_eq!(kit.texts(), ["1", "2"]);
}

#[test]
fn a_statement_that_fails_leaves_the_engine_as_it_was() {
    let mut kit = Kit::new();
    kit.order("pos/1/ready", BIA, "1");
    kit.engine().outbox.fault.commit = Some((false, rusqlite::ffi::SQLITE_BUSY));
    let attempt = kit.sent[0].attempt;
    let failed = kit.try_give(&[Input::Answered(attempt, taken())]).unwrap_err();
    assert!(matches!(failed, Failure::Store(StoreError::Statement(_))));
    kit.answer(attempt, taken());
    assert_eq!(kit.told_times(Outcome::Accepted, Reason::Taken), 1);
    kit.reboot(Duration::from_secs(1));
    assert_eq!(kit.sent.len(), 1);
}
