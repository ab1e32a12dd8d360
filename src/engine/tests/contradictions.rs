//! Damage that no reading error tells: rows and indexes that contradict each other. One test for each shape that was found.

use super::kit::*;
use crate::engine::turn::HURRIED;
use crate::engine::{Input, Link};
use crate::message::{NotSent, Outcome, Reason};
use crate::operate::Request;
use crate::outbox::{LIFT_ALL, LOSS, Outbox, power};
use crate::time::BoxTime;
use rusqlite::Connection;

fn is_held(kit: &mut Kit) -> bool {
    kit.engine().soft.holds.iter().any(|hold| hold.key == LOSS)
}

/// Changes the tables of a store that nobody has open while `index` looks away.
fn behind(index: &str, kit: &Kit, change: &str) {
    let db = Connection::open(kit.folder.path().join("outbox.db")).unwrap();
    db.execute_batch(&format!(
        "PRAGMA writable_schema = ON;
         CREATE TEMP TABLE kept AS SELECT * FROM sqlite_schema WHERE name = '{index}';
         DELETE FROM sqlite_schema WHERE name = '{index}';
         PRAGMA writable_schema = RESET;
         {change};
         PRAGMA writable_schema = ON;
         INSERT INTO sqlite_schema SELECT * FROM kept;
         PRAGMA writable_schema = RESET;"
    ))
    .unwrap();
}

/// A box without uplink on which messages wait.
fn waiting() -> Kit {
    let mut kit = Kit::new();
    kit.line = false;
    kit.give(vec![Input::Link(Link::UplinkDown(NotSent::NoConnection("test".into())))]);
    kit.order("pos/1/ready", BIA, "1");
    kit.order("pos/1/ready", CAIO, "2");
    kit
}

fn comes_up(kit: &mut Kit) {
    kit.line = true;
    kit.start();
    kit.give(vec![Input::Link(Link::UplinkUp(None))]);
}

#[test]
fn a_turn_of_a_lane_that_is_not_there_wakes_nobody_for_ever() {
    let mut kit = waiting();
    kit.crash();
    behind(
        "lane_due",
        &kit,
        "DELETE FROM lane WHERE person = (SELECT person FROM alias WHERE value = '5521987650001')",
    );
    comes_up(&mut kit);
    assert!(is_held(&mut kit), "found at once");
    kit.ask(Request::AcceptLoss { reason: "test".into() });
    kit.run(30_000);
    // One is on trial as long as nobody knows whether the uplink works.
    kit.answer_last(taken());
    kit.run(60_000);
    assert_eq!(kit.texts().len(), 2);
}

#[test]
fn whatever_asks_to_be_woken_at_once_is_slowed_down() {
    let mut kit = Kit::new();
    kit.run(10_000);
    let now = kit.engine().moment.boxed;
    for _ in 0..HURRIED {
        assert_eq!(kit.engine().unhurried(Some(now)), Some(now));
    }
    for _ in 0..3 {
        assert!(kit.engine().unhurried(Some(BoxTime(now.0 - 5))).unwrap() > now);
    }
    let later = BoxTime(now.0 + 700);
    assert_eq!(kit.engine().unhurried(Some(later)), Some(later));
    assert_eq!(kit.engine().unhurried(Some(now)), Some(now), "and it is forgiven");
}

#[test]
fn what_was_taken_is_not_sent_again_though_row_and_index_say_that_it_waits() {
    let reopen = "UPDATE message SET state = 0, due = 0; UPDATE lane SET due = 0, (rank, rule) = (SELECT rank, rule FROM message LIMIT 1)";
    for (what, change) in [
        ("the state alone", String::new()),
        ("and its outcome", "UPDATE message SET outcome = 'stored'".into()),
        ("and its id", "UPDATE message SET outcome = 'stored', wamid = NULL".into()),
    ] {
        let mut kit = Kit::new();
        kit.order("pos/1/ready", BIA, "1");
        kit.answer_last(taken());
        kit.run(10_000);
        kit.engine().outbox.raw().execute_batch(&format!("{reopen}; {change}")).unwrap();
        kit.order("pos/1/ready", CAIO, "2");
        kit.run(10_000);
        assert!(is_held(&mut kit), "{what}");
        kit.ask(Request::AcceptLoss { reason: "test".into() });
        kit.run(120_000);
        assert_eq!(kit.texts(), ["1", "2"], "{what}");
    }
}

#[test]
fn a_lost_line_of_the_ledgers_index_withholds_nothing_that_was_agreed_to() {
    let mut kit = waiting();
    kit.crash();
    let change = "CREATE TEMP TABLE lines AS SELECT * FROM ledger; DELETE FROM ledger";
    let db = Connection::open(kit.folder.path().join("outbox.db")).unwrap();
    // Lines that the index does not know: they come back while it looks away.
    db.execute_batch(&format!(
        "{change};
         PRAGMA writable_schema = ON;
         CREATE TEMP TABLE kept AS SELECT * FROM sqlite_schema WHERE name = 'ledger_person';
         DELETE FROM sqlite_schema WHERE name = 'ledger_person';
         PRAGMA writable_schema = RESET;
         INSERT INTO ledger SELECT * FROM lines;
         PRAGMA writable_schema = ON;
         INSERT INTO sqlite_schema SELECT * FROM kept;
         PRAGMA writable_schema = RESET;"
    ))
    .unwrap();
    drop(db);
    comes_up(&mut kit);
    kit.run(10_000);
    assert!(is_held(&mut kit));
    assert_eq!(kit.told_times(Outcome::Withheld, Reason::NoConsent), 0);
    kit.ask(Request::AcceptLoss { reason: "test".into() });
    kit.run(30_000);
    // One is on trial as long as nobody knows whether the uplink works.
    kit.answer_last(taken());
    kit.run(60_000);
    assert_eq!(kit.texts().len(), 2);
}

#[test]
fn a_newer_versions_number_over_our_own_tables_is_damage_even_without_a_mark() {
    let mut kit = waiting();
    kit.crash();
    let path = kit.folder.path().join("outbox.db");
    Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 1048577").unwrap();
    std::fs::remove_file(kit.folder.path().join("outbox.db.lock")).unwrap();
    comes_up(&mut kit);
    assert!(is_held(&mut kit));
    // Other tables are another version's: it is refused, and nothing is touched.
    kit.crash();
    let newer = "PRAGMA user_version = 2; CREATE TABLE newer (x)";
    Connection::open(&path).unwrap().execute_batch(newer).unwrap();
    std::fs::remove_file(kit.folder.path().join("outbox.db.lock")).unwrap();
    let (rooms, _) = kit.config();
    let refused = Outbox::open(rooms.outbox, 7).err().unwrap();
    assert!(matches!(refused, crate::outbox::OpenError::Newer { found: 2, .. }), "{refused}");
}

#[test]
fn what_may_have_left_is_unknown_though_row_and_index_say_that_it_waits() {
    let reopen = "UPDATE message SET state = 0, due = 0; UPDATE lane SET due = 0, (rank, rule) = (SELECT rank, rule FROM message LIMIT 1)";
    for answered in [false, true] {
        let mut kit = Kit::new();
        kit.order("pos/1/ready", BIA, "1");
        if answered {
            kit.answer_last(lost());
        }
        kit.crash();
        Connection::open(kit.folder.path().join("outbox.db")).unwrap().execute_batch(reopen).unwrap();
        kit.start();
        kit.run(10_000);
        assert!(is_held(&mut kit), "{answered}");
        kit.ask(Request::AcceptLoss { reason: "test".into() });
        kit.run(300_000);
        let repeated = kit.told.iter().any(|told| told.detail.contains("nothing was heard"));
        assert!(kit.texts().len() == 1 || repeated, "{answered}: it is repeated as an unknown one, or not at all");
        assert!(
            kit.told_times(Outcome::Unknown, Reason::NotRepeated) == 1 || repeated,
            "{answered}: {:?}",
            kit.outcomes()
        );
    }
}

#[test]
fn a_salvage_that_the_power_cuts_short_does_not_learn_from_itself_who_said_no() {
    for step in 0..14 {
        let mut kit = Kit::new();
        kit.ask(Request::ConsentRevoke { number: ANA.into(), purpose: None });
        kit.crash();
        let at = |name: &str| kit.folder.path().join(name);
        std::fs::remove_file(at("outbox.db.stops")).unwrap();
        std::fs::File::options().write(true).open(at("outbox.db")).unwrap().set_len(3_000).unwrap();
        power::goes_after(Some(step));
        let (rooms, _) = kit.config();
        let cut_short = Outbox::open(rooms.outbox, 7).is_err();
        power::goes_after(None);
        assert!(cut_short || step > 8, "step {step} is one of a salvage");
        kit.start();
        kit.arrive("node/1/state", r#"{"n": 70, "id": "1"}"#);
        kit.run(120_000);
        let loss = kit.engine().soft.holds.iter().find(|hold| hold.key == LOSS).cloned().unwrap();
        assert_eq!(loss.lift, LIFT_ALL, "step {step}: {}", loss.note);
        assert_eq!(kit.sent, [], "step {step}");
    }
}
