//! What may not be written where, and what to write instead.

use super::source::{File, Token};

/// What is banned where, as tokens, and what to write instead.
struct Ban {
    tokens: &'static [&'static str],
    /// How paths begin where it is banned.
    within: &'static [&'static str],
    /// How paths begin where it is not.
    except: &'static [&'static str],
    /// Also in tests.
    tests: bool,
    instead: &'static str,
}

const HOUSE: &[&str] = &["src/"];
const QUIET: &[&str] = &[
    "src/time",
    "src/limits",
    "src/message",
    "src/operate",
    "src/rules",
    "src/policy",
    "src/outbox",
    "src/pace",
    "src/whatsapp",
    "src/status",
    "src/engine",
];

#[rustfmt::skip]
const BANS: &[Ban] = &[
    Ban { tokens: &[".", "unwrap", "("], within: HOUSE, except: &[], tests: false,
          instead: "return an error, or expect(\"the invariant\")" },
    Ban { tokens: &["todo", "!"], within: &[""], except: &[], tests: true, instead: "finish it, or leave it out" },
    Ban { tokens: &["unimplemented", "!"], within: &[""], except: &[], tests: true, instead: "finish it, or leave it out" },
    Ban { tokens: &["dbg", "!"], within: &[""], except: &[], tests: true, instead: "a test that says what should be" },
    Ban { tokens: &["unsafe", "{"], within: &[""], except: &[], tests: true, instead: "a well-kept crate that wraps it" },
    Ban { tokens: &["allow", "(", "dead_code"], within: HOUSE, except: &[], tests: true, instead: "delete it" },
    Ban { tokens: &["println", "!"], within: HOUSE, except: &["src/demo/"], tests: false, instead: "write to `out`, or log at the door" },
    Ban { tokens: &["eprintln", "!"], within: HOUSE, except: &["src/demo/"], tests: false, instead: "return a Failure, or log at the door" },
    Ban { tokens: &["process", "::", "exit"], within: HOUSE, except: &["src/cli/"], tests: true, instead: "return an error: the roof ends" },
    Ban { tokens: &["SystemTime", "::", "now"], within: HOUSE, except: &["src/door/clock.rs"], tests: true,
          instead: "take `Now` as an argument" },
    Ban { tokens: &["Timestamp", "::", "now"], within: HOUSE, except: &["src/demo/"], tests: true, instead: "take `Now` as an argument" },
    Ban { tokens: &["Zoned", "::", "now"], within: HOUSE, except: &[], tests: true, instead: "take `Now` as an argument" },
    Ban { tokens: &["Instant", "::", "now"], within: HOUSE, except: &["src/door/", "src/app", "src/demo/"], tests: false,
          instead: "take `Now` as an argument" },
    Ban { tokens: &["thread", "::", "sleep"], within: HOUSE, except: &["src/demo/broker.rs"], tests: false,
          instead: "wait for a condition, with a deadline" },
    // Rooms and words are synchronous, silent and alone; the engine likewise.
    Ban { tokens: &["async"], within: QUIET, except: &[], tests: true, instead: "a door: rooms and engine are synchronous" },
    Ban { tokens: &[".", "await"], within: QUIET, except: &[], tests: true, instead: "a door: rooms and engine are synchronous" },
    Ban { tokens: &["tokio"], within: QUIET, except: &[], tests: true, instead: "a door: rooms and engine know no runtime" },
    Ban { tokens: &["tracing"], within: QUIET, except: &[], tests: true, instead: "return a reason; the roof logs what the engine tells" },
    Ban { tokens: &["Instant"], within: QUIET, except: &[], tests: false, instead: "take `Now` as an argument" },
    Ban { tokens: &["SystemTime"], within: QUIET, except: &[], tests: true, instead: "take `Now` as an argument" },
    Ban { tokens: &["std", "::", "net"], within: QUIET, except: &[], tests: true, instead: "a door" },
    Ban { tokens: &["std", "::", "env"], within: QUIET, except: &[], tests: false, instead: "a setting" },
    Ban { tokens: &["std", "::", "fs"], within: QUIET, except: &["src/outbox"], tests: false, instead: "config reads files, outbox keeps one" },
];

fn starts_with_any(path: &str, beginnings: &[&str]) -> bool {
    beginnings.iter().any(|beginning| path.starts_with(beginning))
}

/// Sleeps of test code, each with its reason: what it waits for cannot be asked.
const NAPS: &[(&str, &str)] = &[
    ("benches/budgets/measure/memory.rs", "memory is measured after a time of rest"),
    ("tests/branch/faults/storm.rs", "a line of the storm lives so long, and waits for nothing"),
    ("benches/budgets/measure/unmatched.rs", "looks again for what another process counts"),
];

/// What is banned, as tokens.
pub fn tokens(files: &[File]) -> Vec<String> {
    let mut broken = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".rs")) {
        let here = |ban: &&Ban| starts_with_any(&file.path, ban.within) && !starts_with_any(&file.path, ban.except);
        let bans: Vec<&Ban> = BANS.iter().filter(here).collect();
        let tokens = file.tokens();
        for (at, token) in tokens.iter().enumerate() {
            for ban in bans.iter().filter(|ban| ban.tokens[0] == token.text && (ban.tests || !token.test)) {
                if is(&tokens[at..], ban.tokens) {
                    let word = ban.tokens.concat();
                    broken.push(format!("{}:{}: {word} is banned here: {}", file.path, token.line, ban.instead));
                }
            }
        }
    }
    broken
}

fn is(tokens: &[Token], wanted: &[&str]) -> bool {
    tokens.iter().map(|token| token.text.as_str()).take(wanted.len()).eq(wanted.iter().copied())
}

/// A test that sleeps is slow where all is well, and fails where the machine is slow.
pub fn naps(files: &[File]) -> Vec<String> {
    let mut broken = Vec::new();
    let tests = files.iter().filter(|file| file.path.ends_with(".rs"));
    for file in tests.filter(|file| !NAPS.iter().any(|(path, _)| file.path == *path)) {
        let outside = !file.path.starts_with("src/");
        let tokens = file.tokens();
        for (at, token) in tokens.iter().enumerate().filter(|(_, token)| token.test || outside) {
            if is(&tokens[at..], &["sleep", "("]) {
                broken.push(format!(
                    "{}:{}: a sleep in a test: wait for a condition, with a deadline (or name it in NAPS of tests/tidy/bans.rs, with the reason)",
                    file.path, token.line
                ));
            }
        }
    }
    broken
}

/// `#[ignore = "why, and how it is run"]`
pub fn ignored(files: &[File]) -> Vec<String> {
    let mut broken = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".rs") && !file.path.starts_with("tests/tidy")) {
        for (number, line) in
            file.text.lines().enumerate().filter(|(_, line)| line.trim_start().starts_with("#[ignore"))
        {
            let reason = line.split('"').nth(1).unwrap_or_default();
            if reason.len() < 10 {
                broken.push(format!(
                    "{}:{}: an ignored test that says no reason: write #[ignore = \"why, and the command that runs it\"]",
                    file.path,
                    number + 1
                ));
            }
        }
    }
    broken
}
