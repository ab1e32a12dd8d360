//! `branchline audit` and `branchline contact`, against an engine behind a real socket.

use super::*;
use crate::audit::{Row, append};
use crate::message::{Act, Anchor, hex};
use crate::operate::{AuditPage, AuditPiece, AuditReport, ContactPage, Erased, ErasureReport};
use serde_json::{Value, json};

/// A record of two pieces, two rows each.
fn record() -> (Vec<AuditPiece>, Anchor) {
    let (mut at, mut pieces) = (Anchor::default(), Vec::new());
    for _ in 0..2 {
        let (before, mut rows) = (at, Vec::new());
        for _ in 0..2 {
            let row = Row {
                act: Act::Sent,
                at: Wall(1_772_452_800_000),
                trusted: true,
                about: "due".into(),
                person: Some([7; 16]),
                message: None,
                event: None,
                rows: None,
            };
            append(&mut at, &row, &mut rows);
        }
        pieces.push(AuditPiece { first: before.rows + 1, count: 2, before: hex(&before.head), rows: hex(&rows) });
    }
    (pieces, at)
}

/// One piece a page.
fn page(after: u64, spoil: impl FnOnce(&mut Vec<AuditPiece>)) -> Reply {
    let (mut pieces, end) = record();
    spoil(&mut pieces);
    let last = pieces.last().map_or(0, |piece| piece.first);
    pieces.retain(|piece| piece.first > after);
    pieces.truncate(1);
    let more = pieces.last().is_some_and(|piece| piece.first < last);
    Reply::data(&AuditPage { pieces, end, more })
}

pub fn well(request: &Request) -> Reply {
    match request {
        Request::AuditPage { after } => page(*after, |_| {}),
        Request::ContactExport { part, after, .. } => match (part.as_str(), after) {
            ("person", -1) => Reply::data(&ContactPage { rows: vec![json!({"known": true})], next: None }),
            (part, -1) => Reply::data(&ContactPage { rows: vec![json!({"of": part, "n": 1})], next: Some(5) }),
            (part, _) => Reply::data(&ContactPage { rows: vec![json!({"of": part, "n": 2})], next: None }),
        },
        Request::ContactErase { numbers } => {
            let person = |number: &String| Erased {
                number: "+55…21".into(),
                known: number.starts_with('+'),
                messages: 3,
                withdrawn: 1,
                in_flight: 1,
                ledger: 2,
                suppressed: number.ends_with('2'),
            };
            Reply::data(&ErasureReport {
                people: numbers.iter().map(person).collect(),
                removed: vec!["outbox.db.damaged-7".into()],
                foreign: vec!["outbox.db.bak".into()],
            })
        }
        other => panic!("{other:?}"),
    }
}

fn spoiled(request: &Request) -> Reply {
    match request {
        // The third row becomes another.
        Request::AuditPage { after } => page(*after, |pieces| pieces[1].rows.replace_range(4..6, "ff")),
        other => well(other),
    }
}

#[test]
fn a_whole_record_verifies_and_its_end_is_told() {
    let end = record().1;
    let (ended, out, requests) = asked(super::well, &["audit", "verify"], "");
    assert_eq!(ended, Ok(()), "{out}");
    assert!(out.contains("4 rows, each follows") && out.contains(&end.to_string()), "{out}");
    assert!(requests.contains(&Request::AuditPage { after: 1 }), "page by page");
    let (ended, out, _) = asked(super::well, &["audit", "verify", "--anchor", &end.to_string()], "");
    assert!(ended.is_ok() && out.contains("the anchor holds"), "{out}");
}

#[test]
fn a_changed_row_is_named_and_the_answer_is_no() {
    let (ended, out, _) = asked(spoiled, &["audit", "verify"], "");
    assert_eq!(ended.unwrap_err().exit, Exit::No);
    assert!(out.contains("!! row 3 is not what was written there") && out.contains("THE RECORD WAS CHANGED"), "{out}");
    let (ended, out, _) = asked(spoiled, &["audit", "verify", "--json"], "");
    assert_eq!(ended.unwrap_err().exit, Exit::No);
    let report: AuditReport = serde_json::from_str(&out).unwrap();
    assert!(!report.good && report.faults.iter().any(|fault| (fault.from, fault.to) == (3, 3)), "{out}");
    let (ended, out, _) = asked(spoiled, &["audit", "export"], "");
    let failure = ended.unwrap_err();
    assert!(failure.exit == Exit::No && failure.text.contains("row 3"), "{failure}");
    assert_eq!(out.lines().count(), 2, "what verifies is exported: {out}");
}

#[test]
fn another_head_is_a_no_and_a_word_that_is_none_is_usage() {
    let forged = Anchor { rows: 2, head: [9; 32] }.to_string();
    let (ended, out, _) = asked(super::well, &["audit", "verify", "--anchor", &forged], "");
    assert_eq!(ended.unwrap_err().exit, Exit::No);
    assert!(out.contains("rows 1 to 2 are not those of the anchor"), "{out}");
    let (ended, _, _) = asked(super::well, &["audit", "verify", "--anchor", "2"], "");
    let failure = ended.unwrap_err();
    assert!(failure.exit == Exit::Usage && failure.text.contains("ROWS:HEAD"), "{failure}");
}

#[test]
fn the_export_is_a_line_for_each_row() {
    let (ended, out, _) = asked(super::well, &["audit", "export"], "");
    assert_eq!(ended, Ok(()));
    let rows: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.iter().map(|row| row["row"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!((rows[0]["act"].as_str(), rows[0]["person"].as_str()), (Some("sent"), Some(&*"07".repeat(16))));
}

#[test]
fn a_person_is_exported_as_one_object() {
    let (ended, out, _) = asked(super::well, &["contact", "export", "+5511987654321"], "");
    assert_eq!(ended, Ok(()));
    let person: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(person["person"]["known"], true);
    assert_eq!(person["messages"], json!([{"of": "messages", "n": 1}, {"of": "messages", "n": 2}]));
    assert_eq!(person["audit"][1]["n"], 2);
}

#[test]
fn an_erasure_says_what_was_done_and_what_it_does_not_reach() {
    let typed = ["contact", "erase", "+5511987654321", "+5511987654322", "11987654323"];
    let (ended, out, requests) = asked(super::well, &typed, "");
    assert_eq!(ended, Ok(()));
    let numbers = typed[2..].iter().map(|number| (*number).to_owned()).collect();
    assert!(requests == [Request::ContactErase { numbers }], "all at once");
    for says in [
        "+55…21 is erased: 3 messages, 2 lines of the ledger",
        "1 waited and are withdrawn",
        "+55…21: nothing was held",
        "stays suppressed, by a keyed hash",
        "only by new consent",
        "deleted, for it held old rows: outbox.db.damaged-7",
        "!! not ours, and it may hold the same data: outbox.db.bak",
        "Not reached: backups",
    ] {
        assert!(out.contains(says), "{says}: {out}");
    }
    assert!(!out.contains("987654"), "{out}");
    let (_, out, _) = asked(super::well, &["contact", "erase", "+5511987654321", "--json"], "");
    assert!(serde_json::from_str::<ErasureReport>(&out).unwrap().people[0].known);
    assert_eq!(alone(&["contact", "erase"]).0.unwrap_err().exit, Exit::Usage);
}
