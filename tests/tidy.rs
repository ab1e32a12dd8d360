//! The house rules as a test: a rule that is not checked is advice.
//!
//! Each test reads the repository as text and names every place that breaks its rule, with what to do instead.
#![allow(clippy::unwrap_used)]

#[path = "tidy/readme.rs"]
mod readme;
#[path = "tidy/source.rs"]
mod source;

use source::{File, Token, files};

const WORDS: &[&str] = &["message", "operate", "time", "limits"];
const ROOMS: &[&str] = &["rules", "policy", "outbox", "pace", "whatsapp", "status"];

/// Which floor a file stands on, by how its path begins (the first that fits), and what it may import beside itself. A floor
/// by its name stands for all on it.
#[rustfmt::skip]
const FLOORS: &[(&str, &str, &[&str])] = &[
    ("src/time.rs",    "words",  &[]),
    ("src/limits.rs",  "words",  &[]),
    ("src/message/",   "words",  &["time", "limits"]),
    ("src/operate",    "words",  &["words"]),
    ("src/rules/",     "rooms",  &["words"]),
    ("src/policy/",    "rooms",  &["words"]),
    ("src/outbox/",    "rooms",  &["words"]),
    ("src/pace/",      "rooms",  &["words"]),
    ("src/whatsapp/",  "rooms",  &["words"]),
    ("src/status/",    "rooms",  &["words"]),
    // A whole configuration is the shortest way to an engine.
    ("src/engine/tests/", "engine", &["words", "rooms", "config"]),
    ("src/engine/",    "engine", &["words", "rooms"]),
    // Inputs and actions are the engine's; how people read times and ages is the status room's.
    ("src/door/",      "doors",  &["words", "engine", "status"]),
    // Fills the settings of rooms, engine and doors.
    ("src/config/",    "config", &["words", "rooms", "engine", "door"]),
    // Shares no reading of the platform's rules with the daemon: a mistake in one shows in the other.
    ("src/demo/api/",  "demo",   &["time"]),
    ("src/demo/broker","demo",   &["time"]),
    ("src/demo/certs", "demo",   &["time"]),
    // The day is played with the whole daemon.
    ("src/demo/",      "beside", &["words", "rooms", "engine", "door", "config", "app"]),
    ("src/app",        "roof",   &["words", "rooms", "engine", "door", "config"]),
    ("src/cli/",       "roof",   &["words", "rooms", "engine", "door", "config", "app", "demo"]),
    ("src/main.rs",    "roof",   &["cli"]),
    ("src/lib.rs",     "map",    &[]),
];

fn floor(file: &File) -> (&'static str, Vec<&'static str>) {
    let found = FLOORS.iter().find(|(path, ..)| file.path.starts_with(path));
    let (_, floor, may) =
        found.unwrap_or_else(|| panic!("{}: on which floor? Add it to FLOORS in tests/tidy.rs", file.path));
    let may = may.iter().flat_map(|name| match *name {
        "words" => WORDS.to_vec(),
        "rooms" => ROOMS.to_vec(),
        other => vec![other],
    });
    (floor, may.collect())
}

fn assert_none(broken: Vec<String>) {
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

fn sources() -> impl Iterator<Item = File> {
    files().into_iter().filter(|file| file.is_rust("src/"))
}

/// Top-level names that follow `crate::`, `branchline::`, or as many `super::` as lead to the root; with their line.
fn reaches(tokens: &[Token]) -> Vec<(&str, usize)> {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        // Only the head of a path.
        if at > 0 && text(at - 1) == "::" || text(at + 1) != "::" {
            continue;
        }
        let mut next = at + 2;
        match token.text.as_str() {
            "crate" | "branchline" => {}
            "super" => {
                let mut up = 1;
                while text(next) == "super" {
                    up += 1;
                    next += 2;
                }
                if up < token.depth {
                    continue;
                }
            }
            _ => continue,
        }
        if text(next) != "{" {
            found.push((text(next), token.line));
            continue;
        }
        let mut depth = 0;
        for pair in tokens[next - 1..].windows(2) {
            let (before, here) = (&pair[0], &pair[1]);
            match here.text.as_str() {
                "{" => depth += 1,
                "}" => depth -= 1,
                name if depth == 1 && matches!(before.text.as_str(), "{" | ",") => found.push((name, here.line)),
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    found
}

#[test]
fn arrows_point_down_only() {
    let mut broken = Vec::new();
    for file in sources() {
        let (floor, may) = floor(&file);
        let own = file.module().first().cloned().unwrap_or_default();
        for (name, line) in reaches(&file.tokens()) {
            let is_module =
                FLOORS.iter().any(|(path, ..)| path.trim_start_matches("src/").split(['/', '.']).next() == Some(name));
            if is_module && name != own && !may.contains(&name) {
                broken.push(format!("{}:{line}: {floor} may not know {name}, only {}", file.path, may.join(", ")));
            }
        }
    }
    assert_none(broken);
}

#[test]
fn reaching_is_seen_in_every_spelling() {
    let text = "use crate::{a::{b, c}, d};\nuse super::super::e::f;\nuse super::g;\nmod tests { use super::super::h; use super::super::super::i; }\n\
                crate::j::k();\nuse x::crate_l;";
    let file = File { path: "src/rules/apply.rs".to_owned(), text: text.to_owned() };
    let tokens = file.tokens();
    assert_eq!(reaches(&tokens), [("a", 1), ("d", 1), ("e", 2), ("i", 4), ("j", 5)]);
}

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
    Ban { tokens: &["#", "[", "ignore"], within: &[""], except: &[], tests: true, instead: "mend the test, or delete it" },
    Ban { tokens: &["println", "!"], within: HOUSE, except: &["src/demo/"], tests: false, instead: "write to `out`, or log at the door" },
    Ban { tokens: &["eprintln", "!"], within: HOUSE, except: &["src/demo/"], tests: false, instead: "return a Failure, or log at the door" },
    Ban { tokens: &["process", "::", "exit"], within: HOUSE, except: &["src/cli/"], tests: true, instead: "return an error: the roof ends" },
    Ban { tokens: &["SystemTime", "::", "now"], within: HOUSE, except: &["src/door/clock.rs"], tests: true,
          instead: "take `Now` as an argument" },
    Ban { tokens: &["Timestamp", "::", "now"], within: HOUSE, except: &["src/demo/"], tests: true, instead: "take `Now` as an argument" },
    Ban { tokens: &["Zoned", "::", "now"], within: HOUSE, except: &[], tests: true, instead: "take `Now` as an argument" },
    Ban { tokens: &["Instant", "::", "now"], within: HOUSE, except: &["src/door/", "src/app", "src/demo/"], tests: false,
          instead: "take `Now` as an argument" },
    Ban { tokens: &["thread", "::", "sleep"], within: &["src/", "tests/"], except: &["src/demo/broker.rs"], tests: true,
          instead: "wait for a condition, with a deadline" },
    Ban { tokens: &["tokio", "::", "time", "::", "sleep"], within: &["tests/"],
          except: &["tests/branch/trials/ear.rs"], tests: true, // its pause before it connects again
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

#[test]
fn banned_words() {
    let mut broken = Vec::new();
    for file in files().into_iter().filter(|file| file.path.ends_with(".rs")) {
        let here = |ban: &&Ban| starts_with_any(&file.path, ban.within) && !starts_with_any(&file.path, ban.except);
        let bans: Vec<&Ban> = BANS.iter().filter(here).collect();
        let tokens = file.tokens();
        for (at, token) in tokens.iter().enumerate() {
            for ban in bans.iter().filter(|ban| ban.tokens[0] == token.text && (ban.tests || !token.test)) {
                let rest = tokens[at..].iter().map(|token| token.text.as_str());
                if rest.take(ban.tokens.len()).eq(ban.tokens.iter().copied()) {
                    let word = ban.tokens.concat();
                    broken.push(format!("{}:{}: {word} is banned here: {}", file.path, token.line, ban.instead));
                }
            }
        }
    }
    assert_none(broken);
}

/// Every step of a message's life is made in one room. Tests may make any.
#[test]
fn each_state_is_made_in_its_room_only() {
    #[rustfmt::skip]
    let makers: &[(&[&str], &str)] = &[
        (&["by_rules", "("], "src/rules/"),
        (&["Permitted", "::", "by_policy", "("], "src/policy/"),
        (&["Confirmed", "::", "by_policy", "("], "src/policy/"),
        (&["by_pace", "("], "src/pace/"),
        (&["by_outbox", "("], "src/outbox/"),
        (&["Stored", "{"], "src/outbox/"),
    ];
    let (mut broken, mut seen) = (Vec::new(), vec![0; makers.len()]);
    for file in sources() {
        let tokens = file.tokens();
        for (index, (maker, room)) in makers.iter().enumerate() {
            for at in 1..tokens.len() {
                let here =
                    tokens[at..].iter().map(|token| token.text.as_str()).take(maker.len()).eq(maker.iter().copied());
                if !here || tokens[at].test {
                    continue;
                }
                // `fn by_rules(`, `struct Stored {`, `-> &Stored {` make nothing.
                let before = tokens[..at].iter().rev().find(|token| token.text != "&").map_or("", |token| &token.text);
                if matches!(before, "fn" | "struct" | "impl" | "for" | ">") {
                    continue;
                }
                seen[index] += 1;
                if !file.path.starts_with(room) {
                    broken.push(format!(
                        "{}:{}: only {room} makes this: {}",
                        file.path,
                        tokens[at].line,
                        maker.concat()
                    ));
                }
            }
        }
    }
    for ((maker, room), seen) in makers.iter().zip(seen) {
        if seen == 0 {
            broken.push(format!("{room} does not make {} any more: correct this test", maker.concat()));
        }
    }
    assert_none(broken);
}

#[test]
fn every_file_says_what_it_is_for_and_on_which_floor() {
    let mut broken = Vec::new();
    for file in files().into_iter().filter(|file| file.path.ends_with(".rs")) {
        let head: Vec<&str> = file.text.lines().take_while(|line| line.starts_with("//!")).collect();
        let in_house = file.is_rust("src/") && !file.is_test();
        if head.is_empty() && (in_house || !file.path.starts_with("src/")) {
            broken.push(format!("{}: begins without //! and what it is for", file.path));
        } else if in_house {
            let (floor, _) = floor(&file);
            let said = head
                .iter()
                .find_map(|line| line.split_once("Floor: "))
                .map(|(_, floor)| floor.split([' ', '.', ',']).next());
            // The library's head is the map of all floors.
            if said != Some(Some(floor)) && floor != "map" {
                broken.push(format!("{}: its head does not say \"Floor: {floor}\"", file.path));
            }
        }
    }
    assert_none(broken);
}

/// What only one machine knows has no place in a repository.
#[test]
fn no_path_of_a_machine() {
    let own = [concat!("/ho", "me/"), concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/Use", "rs/")];
    let mut broken = Vec::new();
    for file in files() {
        for (number, line) in file.text.lines().enumerate() {
            if let Some(path) = own.iter().find(|path| line.contains(**path)) {
                broken.push(format!("{}:{}: {path} is a path of one machine", file.path, number + 1));
            }
        }
    }
    assert_none(broken);
}
