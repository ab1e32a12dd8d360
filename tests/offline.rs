//! Commands while no daemon runs: the built binary on a store that is whole, damaged or not there.

#![allow(clippy::unwrap_used)] // a failed test shows where

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Bytes of the store's pages.
const PAGE: usize = 512;
const ANA: &str = "+5511987654321";

/// A folder with a configuration, and no store.
fn house() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = include_str!("../src/engine/tests/branch.toml").replace("MAX_BYTES", "64 MiB");
    std::fs::write(folder.path().join("branchline.toml"), config.replace("WHEN_FULL", "hold")).unwrap();
    std::fs::write(folder.path().join("templates.json"), include_str!("../src/engine/tests/templates.json")).unwrap();
    std::fs::write(folder.path().join("whatsapp-token"), "x").unwrap();
    let ledger = format!("number,purpose,action,at,source,wording,expires\n{ANA},orders,grant,2026-01-02,till 3,v1,\n");
    std::fs::write(folder.path().join("ledger.csv"), ledger).unwrap();
    std::fs::write(folder.path().join("event.json"), format!(r#"{{"to": "{ANA}", "n": "1"}}"#)).unwrap();
    folder
}

fn branchline(folder: &Path, typed: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_branchline"))
        .current_dir(folder)
        .args(typed)
        .args(["--config", "branchline.toml"])
        .stdin(Stdio::null())
        .output()
        .expect("cargo built the binary");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (status.code().unwrap(), text(&stdout), text(&stderr))
}

/// A store with a customer who agreed, one who says no, and a message that waits.
fn branch() -> tempfile::TempDir {
    let folder = house();
    for typed in [&["consent", "import", "ledger.csv"][..], &["consent", "revoke", "+5521987650002"], SEND] {
        let (code, _, why) = branchline(folder.path(), typed);
        assert_eq!((code, why.as_str()), (0, ""), "{typed:?}");
    }
    folder
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap())).collect()
}

/// The root of the table `box`, or of `person`, made unreadable.
fn damage(folder: &Path, table: &str) {
    let path = folder.join("outbox.db");
    let root: i64 = rusqlite::Connection::open(&path)
        .unwrap()
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = ?1", [table], |row| row.get(0))
        .unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[(root as usize - 1) * PAGE..][..PAGE].fill(0);
    std::fs::write(path, bytes).unwrap();
}

const SEND: &[&str] =
    &["send", "--to", ANA, "--template", "order_ready", "--language", "pt_BR", "--purpose", "orders", "--param", "42"];

#[rustfmt::skip]
const LOOKING: &[&[&str]] = &[
    &["status"],
    &["outbox", "list"],
    &["outbox", "show", "1"],
    &["consent", "show", ANA],
    &["consent", "export"],
    &["contact", "export", ANA],
    &["audit", "verify"],
    &["audit", "export"],
];

const TRYING: &[&[&str]] = &[
    &["explain", "--topic", "pos/1/ready", "--payload", "event.json"],
    &[
        "send",
        "--to",
        ANA,
        "--template",
        "order_ready",
        "--language",
        "pt_BR",
        "--purpose",
        "orders",
        "--param",
        "42",
        "--dry-run",
    ],
];

#[rustfmt::skip]
const ORDERS: &[&[&str]] = &[
    &["pause", "--reason", "test"],
    &["resume", "--reason", "test"],
    &["consent", "grant", ANA, "--purpose", "orders", "--source", "till"],
    &["consent", "revoke", ANA],
    &["consent", "import", "ledger.csv"],
    &["outbox", "accept-loss", "--reason", "test"],
    &["contact", "erase", "+5521987650002"],
    SEND,
];

/// Found in a review: `status` and the rest set a damaged store aside, and said nothing.
#[test]
fn who_only_looks_leaves_a_damaged_store_as_it_is() {
    let folder = branch();
    damage(folder.path(), "box");
    let before = files(folder.path());
    for typed in LOOKING.iter().chain(TRYING) {
        let (code, out, why) = branchline(folder.path(), typed);
        assert_eq!((code, out.as_str()), (74, ""), "{typed:?}: {why}");
        assert!(why.contains("is damaged, and left as it is") && why.contains("outbox check"), "{typed:?}: {why}");
        let changed: Vec<_> =
            files(folder.path()).into_iter().filter(|(name, is)| before.get(name) != Some(is)).collect();
        let names: Vec<&String> = changed.iter().map(|(name, _)| name).collect();
        assert!(names.iter().all(|name| name.ends_with("-wal")), "{typed:?}: {names:?}");
        assert!(changed.iter().all(|(_, bytes)| bytes.is_empty()), "{typed:?}: {names:?}");
    }
    // What can be read is still given.
    let (code, out, _) = branchline(folder.path(), &["outbox", "export", "--all"]);
    assert!(code == 0 && out.contains(ANA) && out.contains(r#""table":"message""#), "{code}: {out}");
    assert_eq!(branchline(folder.path(), &["outbox", "check"]).0, 1);
}

#[test]
fn an_order_salvages_a_damaged_store_and_says_so() {
    let sound = branch();
    damage(sound.path(), "box");
    for typed in ORDERS {
        let folder = house();
        for (name, bytes) in files(sound.path()) {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        let (code, _, why) = branchline(folder.path(), typed);
        assert!(why.contains("the store was damaged and is set aside") && why.contains("ledger 2"), "{typed:?}: {why}");
        assert!(why.contains("the old file is outbox.db.damaged-"), "{typed:?}: {why}");
        assert!(files(folder.path()).keys().any(|name| name.contains(".damaged-")), "{typed:?}");
        assert!(code < 2, "{typed:?}: {code} {why}");
        // Nobody accepts what nobody was told of yet.
        assert!(code == 1 || typed[1] != "accept-loss", "{typed:?}: {why}");
        // Held, and dated where nobody looked at a clock.
        let (code, out, why) = branchline(folder.path(), &["status"]);
        assert!(code == 0 && out.contains("STORE WAS DAMAGED") && !why.contains("set aside"), "{typed:?}: {out} {why}");
        let (_, list, _) = branchline(folder.path(), &["outbox", "list"]);
        assert!(list.contains("time not known"), "{typed:?}: {list}");
        assert!(
            ![&out, &list].iter().any(|text| text.contains("1969") || text.contains("1970")),
            "{typed:?}: {out}{list}"
        );
        // Nobody's whole export of last night is replaced by what is left.
        let (code, out, why) = branchline(folder.path(), &["consent", "export"]);
        assert!(code == 1 && out.is_empty() && why.contains("the ledger may lack lines"), "{typed:?}: {why}");
        assert_eq!(branchline(folder.path(), &["outbox", "accept-loss", "--reason", "told"]).0, 0, "{typed:?}");
        assert_eq!(branchline(folder.path(), &["consent", "export"]).0, 0, "{typed:?}");
    }
}

#[test]
fn who_looks_where_no_store_is_makes_none() {
    let folder = house();
    let before = files(folder.path());
    for typed in LOOKING.iter().chain([&["outbox", "export"][..], &["outbox", "check"]].iter()) {
        let (code, out, why) = branchline(folder.path(), typed);
        assert_eq!((code, out.as_str()), (74, ""), "{typed:?}: {why}");
        assert!(why.contains("there is no store yet at") && why.contains("outbox.db"), "{typed:?}: {why}");
        assert_eq!(files(folder.path()), before, "{typed:?}");
    }
    for typed in TRYING {
        let (code, out, why) = branchline(folder.path(), typed);
        assert!(code < 2 && !out.is_empty(), "{typed:?}: {code} {why}");
        assert_eq!(files(folder.path()), before, "{typed:?}");
    }
}

#[test]
fn an_export_names_people_by_what_is_left_and_tells_whom_it_cannot_name() {
    let folder = branch();
    damage(folder.path(), "person");
    let export = ["outbox", "export", "--all", "--file", "outbox.db"];
    let (code, out, why) = branchline(folder.path(), &export);
    assert!(code == 0 && out.contains(ANA), "by their alias: {why} {out}");
    damage(folder.path(), "alias");
    damage(folder.path(), "alias_value");
    let (code, out, why) = branchline(folder.path(), &export);
    assert!(code == 1 && !out.contains(ANA) && out.contains("till 3"), "{out}");
    assert!(why.contains("ledger: of 2 rows nobody can say whose they are"), "{why}");
}
