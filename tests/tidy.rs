//! The house rules as a test: a rule that is not checked is advice.
//!
//! A rule reads the files of the repository as text and names every place that breaks it, with what to do instead. Each has two
//! tests: the house keeps it, and a small spoiled example is found, so that a rule that cannot fail is noticed.
#![allow(clippy::unwrap_used)]

#[path = "tidy/bans.rs"]
mod bans;
#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/floors.rs"]
mod floors;
#[path = "tidy/readme.rs"]
mod readme;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/snippets.rs"]
mod snippets;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/words.rs"]
mod words;

use source::File;

/// A rule: every place that breaks it, with what to do.
type Rule = fn(&[File]) -> Vec<String>;

fn kept(rule: Rule) {
    let broken = rule(source::house());
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

fn finds(rule: Rule, path: &str, text: &str, says: &str) {
    let broken = rule(&[File { path: path.to_owned(), text: text.to_owned() }]);
    let said = broken.iter().any(|line| line.contains(says));
    assert!(said, "{path} with {text:?} breaks the rule, and {broken:?} does not say {says:?}");
}

/// The two tests of each rule; a spoiled example is a path, a text, and words of what must be said about it.
macro_rules! rules {
    ($($rule:path as $name:ident: $(($path:expr, $text:expr, $says:expr)),+;)*) => {
        $(mod $name {
            #[allow(unused_imports)]
            use super::*;
            #[test]
            fn kept() {
                super::kept($rule);
            }
            #[test]
            fn a_spoiled_example_is_found() {
                $(super::finds($rule, $path, $text, $says);)+
            }
        })*
    };
}

rules! {
    floors::downward as arrows_point_down_only:
        ("src/rules/apply.rs", "use crate::engine::Engine;", "rooms may not know engine"),
        ("src/rules/apply.rs", "use crate::{limits, outbox};", "rooms may not know outbox"),
        ("src/attic.rs", "", "on which floor?");
    floors::said as every_file_says_what_it_is_for_and_on_which_floor:
        ("src/rules/apply.rs", "use std::fmt;", "begins without //!"),
        ("src/rules/apply.rs", "//! Applies.\n//!\n//! Floor: doors.", "Floor: rooms"),
        ("src/rules/mod.rs", "//! Rules.\n//!\n//! Floor: rooms.", "what it never does");
    bans::tokens as nothing_banned_is_written:
        ("src/rules/apply.rs", "fn f() { x.unwrap(); }", ".unwrap( is banned here: return an error"),
        ("src/policy/decide.rs", "fn f() { let t = std::time::SystemTime::now(); }", "take `Now` as an argument"),
        ("src/policy/decide.rs", "fn f() { tracing::info!(1); }", "return a reason"),
        ("src/pace/mod.rs", "async fn f() {}", "synchronous"),
        ("tests/a.rs", "fn f() { unsafe { g() } }", "unsafe{ is banned here");
    bans::naps as no_test_sleeps:
        ("tests/a.rs", "fn f() { thread::sleep(x); }", "wait for a condition"),
        ("src/pace/tests.rs", "use std::thread::sleep; fn f() { sleep(x) }", "wait for a condition"),
        ("benches/a.rs", "async fn f() { tokio::time::sleep(x).await }", "wait for a condition");
    bans::ignored as every_ignored_test_says_why:
        ("src/pace/tests.rs", "#[ignore]\n#[test]\nfn f() {}", "says no reason"),
        ("tests/a.rs", "#[ignore = \"\"]", "says no reason");
    floors::makers as each_state_is_made_in_its_room_only:
        ("src/door/x.rs", "fn f() { Permitted::by_policy(draft); }", "only src/policy/ makes this"),
        ("src/pace/x.rs", "", "does not make");
    words::banned as banned_words:
        ("src/rules/apply.rs", "/// The whitelist of senders.", "whitelist"),
        ("README.md", "What waits in the queue.", "outbox"),
        ("src/door/x.rs", "struct ConnectionManager;", "what it does"),
        ("src/door/utils.rs", "", "what is in it"),
        ("config/x.toml", "# TODO: say more", "finish it");
    shape::lengths as files_are_short:
        ("src/rules/x.rs", &"//\n".repeat(600), "600 lines"),
        ("tests/x.rs", &"//\n".repeat(1200), "1200 lines");
    shape::machines as no_path_of_a_machine:
        ("README.md", concat!("see /ho", "me/ana/x"), "a path of one machine");
    shape::halves as every_mistake_has_both_halves:
        ("tests/config/a.toml", "", "a.expected is missing"),
        ("tests/config/a.expected", "x", "a.toml is missing"),
        ("tests/config/a.pem", "x", "no mistake names it");
    shape::changelog as the_changelog_has_unreleased:
        ("CHANGELOG.md", "# Changelog\n\n## 1.0.0\n", "Unreleased");
    shape::scripts as every_command_of_the_repository_is_documented:
        ("tests/grind", "#!/bin/sh\n", "README");
    documents::reasons as every_outcome_and_reason_stands_in_the_tables:
        ("README.md", "| outcome | it means |\n|---|---|\n| `lost` | Gone. |\n\n| reason | a | b |\n|---|---|---|\n| `due` | x | y |", "no-rule"),
        ("README.md", "| outcome | it means |\n|---|---|\n| `lost` | Gone. |\n\n| reason | a | b |\n|---|---|---|\n| `due` | x | y |", "knows none");
    documents::dependencies as every_dependency_has_its_reason:
        ("README.md", "| crate | what for |\n|---|---|\n| `axon` | Nerves. |", "axon"),
        ("README.md", "| crate | what for |\n|---|---|\n", "rumqttc");
    documents::links as links_lead_somewhere:
        ("README.md", "See [there](src/nowhere.rs).", "leads nowhere"),
        ("README.md", "See [there](#nothing).", "leads nowhere");
    documents::keys as documented_keys_are_keys:
        ("README.md", "Raise `limits.sender_per_secnd`.", "limits.sender_per_secnd"),
        ("src/cli/x.rs", "/// See `uplink.bas_url`.", "uplink.bas_url");
    snippets::known as every_snippet_is_run_or_says_why_not:
        ("README.md", "```sh\nmake me\n```", "make me"),
        ("README.md", "```sh\nbranchline frobnicate\n```", "frobnicate");
}
