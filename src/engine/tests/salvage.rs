//! What a salvage must not forget, and what it does without room.

use super::kit::*;
use crate::engine::{Input, Link};
use crate::message::{Answer, Lost, NotSent, Outcome, Reason};
use crate::operate::{Reply, Request};
use crate::outbox::{Hold, LIFT_ALL, LOSS, Outbox, power};

const LIST: &str = "outbox.db.stops";

fn loss(kit: &mut Kit) -> Option<Hold> {
    kit.engine().soft.holds.iter().find(|hold| hold.key == LOSS).cloned()
}

/// Damages what nobody has open: the store is cut, and the list is gone if it shall.
fn damage(kit: &mut Kit, list: bool) {
    kit.crash();
    let at = |name: &str| kit.folder.path().join(name);
    if list {
        std::fs::remove_file(at(LIST)).unwrap();
    }
    std::fs::File::options().write(true).open(at("outbox.db")).unwrap().set_len(3_000).unwrap();
}

fn alarm(kit: &mut Kit, n: u32) -> usize {
    let before = kit.sent.len();
    kit.arrive("node/1/state", &format!(r#"{{"n": {n}, "id": "{n}"}}"#));
    kit.run(120_000);
    kit.sent.len() - before
}

#[test]
fn a_second_salvage_knows_that_nobody_knew_who_said_no() {
    let mut kit = Kit::new();
    kit.ask(Request::ConsentRevoke { number: ANA.into(), purpose: None });
    damage(&mut kit, true);
    kit.start();
    assert_eq!(loss(&mut kit).unwrap().lift, LIFT_ALL);
    for round in 0..2 {
        damage(&mut kit, false);
        kit.start();
        assert_eq!(loss(&mut kit).unwrap().lift, LIFT_ALL, "round {round}");
        assert_eq!(alarm(&mut kit, 70 + round), 0, "round {round}");
    }
    // While it works, too.
    kit.engine().outbox.break_rows().unwrap();
    assert_eq!(alarm(&mut kit, 75), 0);
    assert_eq!(loss(&mut kit).unwrap().lift, LIFT_ALL);
    // Somebody accepts it: from then on the list is what is known.
    assert!(matches!(kit.ask(Request::AcceptLoss { reason: "test".into() }), Reply::Data(_)));
    kit.run(1_000);
    damage(&mut kit, false);
    kit.start();
    let held = loss(&mut kit).unwrap();
    assert_ne!(held.lift, LIFT_ALL, "{}", held.note);
}

#[test]
fn an_older_list_with_a_hold_on_everything_is_no_reason_for_a_milder_one() {
    let mut kit = Kit::new();
    damage(&mut kit, true);
    kit.start();
    // A list that does not say so itself, as of a version before.
    let list = kit.folder.path().join(LIST);
    kit.engine().outbox.forget_incomplete();
    assert!(list.exists());
    kit.engine().outbox.break_rows().unwrap();
    alarm(&mut kit, 70);
    assert_eq!(loss(&mut kit).unwrap().lift, LIFT_ALL);
}

#[test]
fn a_salvage_that_fails_and_begins_again_believes_no_list_of_its_own() {
    for step in 0..12 {
        let mut kit = Kit::new();
        kit.ask(Request::ConsentRevoke { number: ANA.into(), purpose: None });
        kit.crash();
        std::fs::remove_file(kit.folder.path().join(LIST)).unwrap();
        std::fs::File::options().write(true).open(kit.folder.path().join("outbox.db")).unwrap().set_len(3_000).unwrap();
        // Twice in one run of the box, and the next start finds what both left.
        for _ in 0..2 {
            power::goes_after(Some(step));
            let (rooms, _) = kit.config();
            drop(Outbox::open(rooms.outbox, 7));
            power::goes_after(None);
        }
        kit.start();
        assert_eq!(loss(&mut kit).unwrap().lift, LIFT_ALL, "step {step}");
        assert_eq!(alarm(&mut kit, 70), 0, "step {step}");
        damage(&mut kit, false);
        kit.start();
        assert_eq!(loss(&mut kit).unwrap().lift, LIFT_ALL, "step {step}, again");
    }
}

#[test]
fn without_room_for_everything_it_keeps_what_protects_people_and_works() {
    for (pages, messages, people) in [(800, true, true), (360, false, true), (100, false, false), (10, false, false)] {
        let mut kit = Kit::new();
        for n in 0..250 {
            let to = format!("+55219876{n:05}");
            kit.order("pos/1/ready", &to, &"x".repeat(60));
            if n % 4 == 0 {
                kit.ask(Request::ConsentRevoke { number: to, purpose: None });
            }
        }
        let sent = kit.sent.len();
        let store = kit.folder.path().join("outbox.db");
        kit.crash();
        let db = rusqlite::Connection::open(&store).unwrap();
        db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE); UPDATE box SET store = x'00'").unwrap();
        drop(db);
        power::has_room_for(Some(pages));
        let (rooms, _) = kit.config();
        let opened = Outbox::open(rooms.outbox, 7).map(drop);
        power::has_room_for(None);
        let half = kit.folder.path().join("outbox.db.salvaging");
        assert!(!half.exists(), "{pages}: what is half-made fills no disk");
        if pages == 10 {
            assert!(opened.unwrap_err().to_string().contains("no space"));
            std::fs::write(&half, b"left by an older version").unwrap();
        } else {
            opened.unwrap();
        }
        kit.start();
        assert!(!half.exists());
        let held = loss(&mut kit).unwrap();
        if pages == 10 {
            // With room again everything is still there.
            assert!(held.note.contains("message 250"), "{}", held.note);
            continue;
        }
        assert_eq!(held.note.contains("message 250"), messages, "{pages}: {}", held.note);
        assert_eq!(held.note.contains("THE DISK IS FULL"), !messages, "{pages}: {}", held.note);
        assert_eq!(held.note.contains("ledger"), people, "{pages}: {}", held.note);
        assert_ne!(held.lift, LIFT_ALL, "the list is whole");
        kit.restart();
        kit.order("pos/1/ready", "+5521987600000", "she said no");
        kit.order("pos/1/ready", "+5521987600001", "he did not");
        kit.run(60_000);
        assert_eq!(kit.sent.len(), sent, "{pages}: held");
        kit.ask(Request::AcceptLoss { reason: "test".into() });
        kit.run(60_000);
        kit.answer_last(taken());
        kit.run(600_000);
        let new: Vec<&str> = kit.sent[sent..].iter().map(|sent| sent.text.as_str()).collect();
        assert!(!new.contains(&"she said no"), "{pages}: {new:?}");
        // Behind 250 others, where they are kept.
        assert!(messages || new.contains(&"he did not"), "{pages}: {new:?}");
    }
}

#[test]
fn nothing_unknown_is_decided_before_somebody_accepts_the_loss() {
    let mut kit = Kit::new();
    kit.line = false;
    kit.give(vec![Input::Link(Link::UplinkDown(NotSent::NoConnection("test".into())))]);
    kit.order("pos/1/ready", BIA, "1");
    kit.order("pos/1/offer", CAIO, "2");
    kit.crash();
    // Without its mark nobody knows whether the last commits are gone.
    let at = |name: &str| kit.folder.path().join(name);
    rusqlite::Connection::open(at("outbox.db")).unwrap().execute_batch("UPDATE box SET store = x'00'").unwrap();
    std::fs::remove_file(at("outbox.db.lock")).unwrap();
    kit.line = true;
    kit.start();
    kit.give(vec![Input::Link(Link::UplinkUp(None))]);
    let waiting = |kit: &mut Kit| kit.engine().outbox.backlog().unwrap().0[2];
    let unknown = waiting(&mut kit);
    assert!(unknown > 0, "{}", loss(&mut kit).unwrap().note);
    for _ in 0..2 {
        kit.run(3 * 3_600_000);
        assert_eq!(waiting(&mut kit), unknown, "none is ended or repeated");
        assert_eq!(kit.told_times(Outcome::Unknown, Reason::NotRepeated), 0);
        assert_eq!(kit.sent, []);
        kit.restart();
    }
    kit.ask(Request::AcceptLoss { reason: "test".into() });
    kit.run(60_000);
    assert_eq!(waiting(&mut kit), 0, "released, they go by the policy");
}

#[test]
fn a_state_that_says_on_its_way_without_an_attempt_is_found_and_ends() {
    let mut kit = Kit::new();
    kit.line = false;
    kit.give(vec![Input::Link(Link::UplinkDown(NotSent::NoConnection("test".into())))]);
    kit.order("pos/1/ready", BIA, "1");
    kit.crash();
    // As SQLite would have it, its indexes with it: one bit of a row.
    let store = rusqlite::Connection::open(kit.folder.path().join("outbox.db")).unwrap();
    store.execute_batch("UPDATE message SET state = 1").unwrap();
    drop(store);
    kit.line = true;
    kit.start();
    kit.give(vec![Input::Link(Link::UplinkUp(None))]);
    kit.run(60_000);
    assert!(loss(&mut kit).is_some());
    kit.ask(Request::AcceptLoss { reason: "test".into() });
    kit.run(60_000);
    assert_eq!(kit.texts(), ["1"], "as an unknown one, by the policy");
    kit.answer_last(taken());
    kit.run(60_000);
    let ([waiting, under_way, unknown, parked], _) = kit.engine().outbox.backlog().unwrap();
    assert_eq!([under_way, unknown, parked], [0; 3], "waiting {waiting}: {:?}", kit.outcomes());
}

#[test]
fn another_store_with_more_commits_hides_commits_too() {
    let mut kit = Kit::new();
    kit.line = false;
    kit.give(vec![Input::Link(Link::UplinkDown(NotSent::NoConnection("test".into())))]);
    kit.order("pos/1/ready", BIA, "1");
    kit.crash();
    let store = rusqlite::Connection::open(kit.folder.path().join("outbox.db")).unwrap();
    store.execute_batch("UPDATE box SET store = 'bcdf', commits = commits + 100").unwrap();
    drop(store);
    kit.start();
    kit.run(10_000);
    let held = loss(&mut kit).unwrap();
    assert!(held.note.contains("of 1 messages nobody knows whether they were sent"), "{}", held.note);
}

/// Everything but alarms to the own people is held, and so is the decision about it; theirs is not.
#[test]
fn an_alarm_whose_answer_was_lost_is_repeated_while_a_loss_is_held() {
    let mut kit = Kit::new();
    // The first goes alone: it tries the line.
    kit.order("pos/1/ready", CAIO, "0");
    kit.answer_last(taken());
    kit.order("pos/1/ready", BIA, "a customer's");
    kit.arrive("node/1/state", r#"{"n": 50, "id": "on its way when the store was damaged"}"#);
    kit.crash();
    let at = |name: &str| kit.folder.path().join(name);
    rusqlite::Connection::open(at("outbox.db")).unwrap().execute_batch("UPDATE box SET store = x'00'").unwrap();
    std::fs::remove_file(at("outbox.db.lock")).unwrap();
    kit.start();
    assert!(loss(&mut kit).is_some());
    kit.arrive("node/1/state", r#"{"n": 70, "id": "after it"}"#);
    kit.order("pos/1/urgent", CAIO, "a customer's, however urgent");
    let answer_lost = |kit: &mut Kit, from: &mut usize| {
        while *from < kit.sent.len() {
            let attempt = kit.sent[*from].attempt;
            *from += 1;
            kit.answer(attempt, Answer::Lost(Lost::Timeout));
        }
    };
    let mut from = kit.sent.len();
    for _ in 0..300 {
        kit.run(5_000);
        answer_lost(&mut kit, &mut from);
    }
    // Each of the two on call: what was on its way is repeated three times, what came later is told and repeated three times.
    let times = |text: &str| kit.sent.iter().filter(|sent| sent.text == text).count();
    assert_eq!([times("50"), times("70")], [2 + 6, 2 + 6], "{:?}", kit.texts());
    assert_eq!(kit.told_times(Outcome::Unknown, Reason::NotRepeated), 4, "and then ended, each once");
    assert_eq!((times("a customer's"), times("a customer's, however urgent")), (1, 0));
    assert_eq!(kit.engine().outbox.backlog().unwrap().0[2], 1, "the customer's waits for whoever accepts the loss");
    assert!(kit.engine().wake_at().is_none_or(|at| at.0 > kit.now), "and wakes nobody before");
}

/// Found by reading: the day's wear was carried over by code that nothing ran.
#[test]
fn what_was_written_today_is_carried_over_a_salvage() {
    let mut kit = Kit::new();
    kit.engine().written(7_000);
    kit.order("pos/1/ready", BIA, "1");
    kit.engine().outbox.break_rows().unwrap();
    kit.crash();
    kit.start();
    assert!(loss(&mut kit).is_some(), "salvaged at the start");
    kit.engine().written(50);
    let Reply::Data(status) = kit.ask(Request::Status) else { panic!("a status") };
    assert_eq!(status["written"]["bytes"], 7_050);
}
