//! The audit record: what it says of a message's life, who can rely on it, and what is left of it after retention and damage.

use super::kit::*;
use crate::audit::{Key, Row, Verdict};
use crate::message::{Anchor, MessageId};
use crate::operate::{Reply, Request, Target};
use std::time::Duration;

fn judge(kit: &mut Kit, anchor: Option<Anchor>) -> (Verdict, Vec<Row>) {
    let mut rows = Vec::new();
    let verdict = kit.engine().judge_record(anchor, &mut |_, row| rows.push(row.clone()));
    (verdict, rows)
}

fn acts(rows: &[Row]) -> Vec<String> {
    rows.iter().map(|row| format!("{} {}", row.act.code(), row.about).trim().to_owned()).collect()
}

/// Where the record stood, as everything that was published tells it.
fn anchors(kit: &Kit) -> Vec<Anchor> {
    let read = |payload: &String| serde_json::from_str::<serde_json::Value>(payload).unwrap()["audit"].clone();
    kit.published.iter().map(|publish| serde_json::from_value(read(&publish.payload)).unwrap()).collect()
}

#[test]
fn a_life_of_a_message_row_by_row() {
    let mut kit = Kit::new();
    kit.order("pos/1/ready", BIA, "1");
    kit.answer_last(lost());
    kit.run(31_000);
    kit.answer_last(taken());
    kit.ask(Request::ConsentRevoke { number: BIA.into(), purpose: None });
    kit.order("pos/1/ready", BIA, "2");
    kit.ask(Request::Pause { target: Target::All, reason: "test".into() });
    kit.ask(Request::Status);
    let (verdict, rows) = judge(&mut kit, None);
    assert!(verdict.is_good(), "{verdict:?}");
    let expected = [
        "keyed",
        "granted staff",
        "granted staff",
        "granted orders",
        "stored due",
        "sent",
        "unknown no-answer",
        "again due",
        "repeated",
        "accepted taken",
        "revoked all",
        "ordered consent-revoke",
        "withheld consent-revoked",
        "ordered pause",
    ];
    assert_eq!(acts(&rows), expected);
    let key = Key::new(kit.engine().outbox.audit_key());
    let store = kit.engine().outbox.row().store.clone();
    let (bia, first) = (key.person(&BIA[1..]), key.message(&store, MessageId(1)));
    assert!(rows[3..11].iter().all(|row| row.person == Some(bia)), "{rows:#?}");
    assert!(rows[4..10].iter().all(|row| row.message == Some(first)), "{rows:#?}");
    assert_eq!(rows[4].event, Some(key.event("1")));
}

#[test]
fn every_head_that_was_told_stays_true() {
    let mut kit = Kit::new();
    for n in 0..30 {
        kit.order("pos/1/ready", &format!("+55219876500{n:02}"), &format!("{n}"));
        kit.answer_last(taken());
        kit.run(500);
        if n % 7 == 0 {
            kit.restart();
        }
    }
    kit.run(120_000);
    let (anchors, end) = (anchors(&kit), kit.engine().outbox.anchor());
    assert!(anchors.len() > 30, "receipts and state tell it: {}", anchors.len());
    assert_eq!(
        anchors.iter().max_by_key(|anchor| anchor.rows),
        Some(&end),
        "the state tells the last within a minute or two"
    );
    for anchor in anchors {
        let verdict = judge(&mut kit, Some(anchor)).0;
        assert!(verdict.is_good(), "{anchor:?}: {verdict:?}");
    }
}

#[test]
fn an_idle_box_does_not_repeat_its_state_and_a_busy_one_not_with_every_message() {
    let mut kit = Kit::new();
    let states = |kit: &Kit| kit.published.iter().filter(|publish| publish.retain).count();
    for n in 0..40 {
        kit.order("pos/1/ready", &format!("+55219876500{n:02}"), &format!("{n}"));
        kit.answer_last(taken());
        kit.run(1_000);
    }
    assert!(states(&kit) <= 3, "{}", states(&kit));
    kit.run(600_000);
    let after = states(&kit);
    kit.run(3_600_000);
    assert_eq!(states(&kit), after);
}

#[test]
fn rows_past_their_time_are_forgotten_and_the_record_says_so() {
    let mut kit = Kit::cold("64 MiB", "hold");
    kit.keep_audit = Some(Duration::from_secs(3 * 86_400));
    kit.start();
    let mut anchors = Vec::new();
    for day in 0..8 {
        for n in 0..12 {
            kit.order("pos/1/ready", &format!("+55219876500{n:02}"), &format!("{day} {n}"));
            kit.answer_last(taken());
            kit.run(7_000);
        }
        anchors.push(kit.engine().outbox.anchor());
        kit.run(86_400_000);
    }
    let (verdict, rows) = judge(&mut kit, None);
    assert!(
        verdict.is_good() && verdict.forgotten > anchors[2].rows && verdict.forgotten < anchors[5].rows,
        "{verdict:?}"
    );
    assert!(acts(&rows).iter().any(|act| act.starts_with("forgotten ")));
    assert!(judge(&mut kit, Some(anchors[7])).0.is_good());
    let old = judge(&mut kit, Some(anchors[0])).0;
    assert!(old.unanchored.is_some() && old.faults.is_empty(), "{old:?}");
    kit.restart();
    assert!(judge(&mut kit, Some(anchors[7])).0.is_good());
}

#[test]
fn a_small_store_keeps_as_much_of_the_record_as_it_has_room_for() {
    let mut kit = Kit::cold("1 MiB", "hold");
    kit.start();
    // Two rows each, and no limit of messages is in the way.
    for n in 0..2_000 {
        kit.ask(Request::ConsentRevoke { number: format!("+5521987{:06}", n % 300), purpose: None });
    }
    kit.run(120_000);
    let (verdict, rows) = judge(&mut kit, None);
    assert!(verdict.is_good() && verdict.forgotten > 0 && !rows.is_empty(), "{verdict:?}");
    assert!(rows.len() <= (1 << 20) / 4 / 80 + 1_000, "{}", rows.len());
}

#[test]
fn after_a_damage_what_is_whole_is_kept_and_the_break_recorded() {
    let mut kit = Kit::new();
    for n in 0..60 {
        kit.order("pos/1/ready", &format!("+55219876500{n:02}"), &format!("{n}"));
        kit.answer_last(taken());
        kit.run(500);
    }
    let before = kit.engine().outbox.anchor();
    let (_, rows) = judge(&mut kit, None);
    assert_eq!(rows.len() as u64, before.rows);
    // A piece is lost with its page, and another is not what it was.
    {
        let db = kit.engine().outbox.raw();
        db.execute_batch(
            "DELETE FROM audit WHERE first = (SELECT min(first) FROM audit WHERE first > 40);
             UPDATE audit SET rows = CAST(substr(rows, 1, 90) || x'55' || substr(rows, 92) AS BLOB)
                 WHERE first = (SELECT min(first) FROM audit WHERE first > 90);",
        )
        .unwrap();
    }
    let bad = judge(&mut kit, Some(before)).0;
    assert_eq!(bad.faults.len(), 2, "{bad:?}");
    kit.engine().outbox.break_rows().unwrap();
    kit.order("pos/1/ready", BIA, "more");
    kit.run(60_000);
    assert!(matches!(kit.ask(Request::AcceptLoss { reason: "test".into() }), Reply::Data(_)));
    let (verdict, kept) = judge(&mut kit, Some(before));
    assert!(verdict.is_good() && verdict.lost.len() == 2, "{verdict:?}");
    assert!(kept.len() as u64 > before.rows - 40, "{} of {}", kept.len(), before.rows);
    let lost = acts(&kept).into_iter().filter(|act| act == "lost store-damaged").count();
    assert_eq!(lost, 2);
    assert!(verdict.end.rows > before.rows, "it goes on behind the last row that was told");
    kit.restart();
    assert!(judge(&mut kit, Some(before)).0.is_good());
}

#[test]
fn without_the_store_the_record_goes_on_behind_what_head_office_knows() {
    let mut kit = Kit::new();
    for n in 0..30 {
        kit.order("pos/1/ready", &format!("+55219876500{n:02}"), &format!("{n}"));
        kit.answer_last(taken());
        kit.run(500);
    }
    let before = kit.engine().outbox.anchor();
    kit.crash();
    std::fs::File::options().write(true).open(kit.folder.path().join("outbox.db")).unwrap().set_len(3_000).unwrap();
    kit.start();
    let verdict = judge(&mut kit, Some(before)).0;
    assert!(verdict.is_good() && verdict.end.rows > before.rows, "{verdict:?}");
    assert_eq!(verdict.lost, [(1, before.rows)]);
}

#[test]
fn a_lost_key_is_made_anew_and_the_record_says_so() {
    let mut kit = Kit::new();
    kit.order("pos/1/ready", BIA, "1");
    let file = kit.folder.path().join("outbox.db.audit.key");
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    kit.crash();
    std::fs::remove_file(&file).unwrap();
    kit.start();
    kit.order("pos/1/ready", CAIO, "2");
    let (verdict, rows) = judge(&mut kit, None);
    assert!(verdict.is_good());
    assert_eq!(acts(&rows).iter().filter(|act| *act == "keyed").count(), 2);
}
