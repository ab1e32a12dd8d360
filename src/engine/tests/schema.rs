//! Damage to the list of tables: the text of one is no reason to lose the rows of all.

use super::kit::*;
use crate::operate::Request;
use crate::outbox::{LIFT_ALL, LOSS};

const TABLES: [&str; 15] = [
    "box", "sender", "person", "alias", "lane", "ledger", "message", "content", "attempt", "receipt", "heard", "hold",
    "audit", "health", "repeat",
];
const COUNTED: [&str; 6] = ["person", "alias", "ledger", "message", "content", "attempt"];

/// A closed store with something in it.
fn store() -> Vec<u8> {
    let mut kit = Kit::new();
    for n in 0..6 {
        kit.order("pos/1/ready", &format!("+552198765000{n}"), &n.to_string());
        kit.run(1_000);
        kit.answer_last(taken());
    }
    kit.ask(Request::ConsentRevoke { number: BIA.into(), purpose: None });
    kit.crash();
    std::fs::read(kit.folder.path().join("outbox.db")).unwrap()
}

fn counts(db: &rusqlite::Connection) -> Vec<i64> {
    COUNTED
        .iter()
        .map(|table| db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap())
        .collect()
}

/// What a box makes of such a file: the rows of the tables that are counted, and what it says about it.
fn started_with(what: &str, bytes: &[u8]) -> (Vec<i64>, crate::outbox::Hold, Kit) {
    let mut kit = Kit::cold("64 MiB", "hold");
    std::fs::write(kit.folder.path().join("outbox.db"), bytes).unwrap();
    kit.now = 600_000;
    kit.open();
    let held = kit.engine().soft.holds.iter().find(|hold| hold.key == LOSS).cloned();
    let held = held.unwrap_or_else(|| panic!("{what}: it is damaged"));
    (counts(kit.engine().outbox.raw()), held, kit)
}

fn rows_of(bytes: &[u8]) -> Vec<i64> {
    let folder = folder();
    std::fs::write(folder.path().join("outbox.db"), bytes).unwrap();
    counts(&rusqlite::Connection::open(folder.path().join("outbox.db")).unwrap())
}

/// Where the text of a table begins: behind what it is and its name, twice, and the page of its root. The last such place, for the
/// first page keeps a copy of what once stood in it.
fn text(bytes: &[u8], table: &str) -> usize {
    let before = format!("table{table}{table}");
    let place = bytes.windows(before.len()).rposition(|window| window == before.as_bytes()).unwrap() + before.len();
    place + bytes[place..].windows(6).position(|window| window == b"CREATE").unwrap()
}

/// The text of a table in a sound store.
fn as_told(table: &str) -> String {
    let mut kit = Kit::new();
    let sql = "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?1";
    kit.engine().outbox.raw().query_row(sql, [table], |row| row.get(0)).unwrap()
}

/// Found in the review of what a damaged store keeps: one bit of 8 KiB of text, and every row was given up.
#[test]
fn one_bit_in_the_text_of_a_table_loses_no_row_of_any() {
    let sound = store();
    let mut rows = rows_of(&sound);
    // A salvage has a line and an attempt of its own.
    rows[3] += 1;
    rows[5] += 1;
    for table in TABLES {
        let column = "CREATE TABLE  (".len() + table.len();
        let place = text(&sound, table);
        let name = "CREATE TABLE ".len();
        // The rest of a text stands on a page of its own: between them are a number and other texts, whose damage is another.
        let there = as_told(table).bytes().zip(&sound[place..]).take_while(|(told, there)| told == *there).count();
        // A word that SQLite does not know, one that is no text, another name, another column or comment.
        for (what, at, bit) in [("word", 2, 4), ("utf-8", 4, 0x80), ("name", name, 1), ("column", column + 12, 2)] {
            let at = at.min(there - 1);
            let mut bytes = sound.clone();
            bytes[place + at] ^= bit;
            let (kept, held, mut kit) = started_with(&format!("{table}, {what}"), &bytes);
            assert_eq!(kept, rows, "{table}, {what}: {}", held.note);
            assert!(held.note.contains("ledger 9,"), "{table}, {what}: {}", held.note);
            assert!(!held.note.contains("unreadable") && !held.note.contains("stretches"), "{}", held.note);
            let list_is_gone = held.lift == LIFT_ALL;
            assert!(list_is_gone, "{table}, {what}: no list lay beside it: {}", held.note);
            kit.run(60_000);
            let aside = crate::outbox::set_aside(&kit.folder.path().join("outbox.db")).unwrap();
            assert!(std::fs::read(&aside[0].0).unwrap() == bytes, "{table}, {what}: what is set aside is as it was");
        }
    }
}

/// A whole page of the list: what is named before it is kept, and behind it as far as it can be told again.
#[test]
fn a_lost_page_of_the_schema_loses_not_what_is_named_before_it() {
    const PAGE: usize = 512;
    let sound = store();
    let rows = rows_of(&sound);
    let audit = {
        let folder = folder();
        std::fs::write(folder.path().join("outbox.db"), &sound).unwrap();
        let db = rusqlite::Connection::open(folder.path().join("outbox.db")).unwrap();
        let pieces: i64 = db.query_row("SELECT count(*) FROM audit", [], |row| row.get(0)).unwrap();
        format!("audit {pieces}")
    };
    let page = |table: &str| text(&sound, table) / PAGE;
    for (lost, before) in [("ledger", 2), ("message", 3), ("content", 4)] {
        let mut bytes = sound.clone();
        bytes[page(lost) * PAGE..][..PAGE].fill(0);
        let (kept, held, _) = started_with(lost, &bytes);
        for (place, table) in COUNTED.iter().enumerate().take(before).filter(|(_, table)| page(table) != page(lost)) {
            assert!(kept[place] >= rows[place], "{lost}: {table}, {kept:?} of {rows:?}: {}", held.note);
        }
        let behind = held.note.contains(&audit);
        assert!(behind || lost != "content", "{lost}: {}", held.note);
    }
}
