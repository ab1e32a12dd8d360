//! What is fuzzed: each target takes any bytes and asserts what must hold for all of them, which is more than that nothing panics.
//!
//! The fuzzer calls them (`fuzz/fuzz_targets`), and so do the normal tests, over the corpus (`tests/corpus.rs`). To add one: a
//! module here with `run`, a line in `ALL`, four lines of `fuzz/fuzz_targets/NAME.rs`, a `[[bin]]` in `fuzz/Cargo.toml`, seeds in
//! `fuzz/corpus/NAME`.
#![allow(dead_code, clippy::unwrap_used)] // each fuzz target calls one of them

pub mod answer;
pub mod config;
pub mod consent;
pub mod event;
pub mod notice;
pub mod number;
pub mod operator;
pub mod text;
pub mod topic;

use branchline::config::Config;
use std::path::PathBuf;
use std::sync::OnceLock;

/// A target: any bytes.
pub type Target = fn(&[u8]);

/// Every target by its name.
pub const ALL: &[(&str, Target)] = &[
    ("answer", answer::run),
    ("config", config::run),
    ("consent", consent::run),
    ("event", event::run),
    ("notice", notice::run),
    ("number", number::run),
    ("operator", operator::run),
    ("text", text::run),
    ("topic", topic::run),
];

/// A word that stands in seeds where a person's data would: nothing that is logged or shown to others may repeat it.
pub const PRIVATE: &str = "geheim";

/// The configuration that events, operators and the ledger's files meet: one rule for each thing that a rule can do.
pub fn branch() -> &'static Config {
    static BRANCH: OnceLock<(tempfile::TempDir, Config)> = OnceLock::new();
    let (_, config) = BRANCH.get_or_init(|| {
        let folder = folder();
        for (name, text) in [
            ("branchline.toml", include_str!("branch.toml")),
            ("templates.json", include_str!("templates.json")),
            ("whatsapp-token", "x\n"),
        ] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let loaded = branchline::config::load(&folder.path().join("branchline.toml"), None, &[]);
        let config = loaded.unwrap_or_else(|problems| panic!("{problems:#?}")).config;
        (folder, config)
    });
    config
}

/// A folder of its own, in memory where there is such a place.
pub fn folder() -> tempfile::TempDir {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

/// The first line, and what comes after it.
pub fn split(data: &[u8]) -> (&[u8], &[u8]) {
    match data.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &[]),
    }
}

/// The most digits that stand together in `text`.
pub fn digits_together(text: &str) -> usize {
    text.split(|sign: char| !sign.is_ascii_digit()).map(str::len).max().unwrap_or(0)
}

/// Asserts that no text anywhere in `value` holds a whole phone number.
pub fn no_number_in(value: &serde_json::Value) {
    match value {
        serde_json::Value::String(text) => assert!(digits_together(text) < 8, "a number is shown: {text}"),
        serde_json::Value::Array(all) => all.iter().for_each(no_number_in),
        serde_json::Value::Object(all) => {
            all.values().for_each(no_number_in);
        }
        _ => {}
    }
}
