//! Who may know whom, and what a file says about itself.

use super::source::{File, Token};

const WORDS: &[&str] = &["message", "operate", "time", "limits"];
const ROOMS: &[&str] = &["rules", "policy", "outbox", "pace", "whatsapp", "audit", "status"];

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
    ("src/audit/",     "rooms",  &["words"]),
    ("src/status/",    "rooms",  &["words"]),
    // A whole configuration is the shortest way to an engine.
    ("src/engine/tests/", "engine", &["words", "rooms", "config"]),
    ("src/engine/",    "engine", &["words", "rooms"]),
    // Inputs and actions are the engine's; how people read times and ages is the status room's; who signed a notice and what it
    // says, the whatsapp room's.
    ("src/door/",      "doors",  &["words", "engine", "status", "whatsapp"]),
    // Fills the settings of rooms, engine and doors.
    ("src/config/",    "config", &["words", "rooms", "engine", "door"]),
    // Shares no reading of the platform's rules with the daemon: a mistake in one shows in the other.
    ("src/demo/api/",  "demo",   &["time"]),
    ("src/demo/broker","demo",   &["time"]),
    ("src/demo/certs", "demo",   &["time"]),
    // The day is played with the whole daemon.
    ("src/demo/",      "beside", &["words", "rooms", "engine", "door", "config", "app"]),
    ("src/forward",    "roof",   &["words", "rooms", "door", "config"]),
    ("src/app",        "roof",   &["words", "rooms", "engine", "door", "config"]),
    ("src/cli/",       "roof",   &["words", "rooms", "engine", "door", "config", "app", "forward", "demo"]),
    ("src/main.rs",    "roof",   &["cli"]),
    ("src/lib.rs",     "map",    &[]),
];

/// The floor of a file, and the modules that it may import.
fn floor(path: &str) -> Result<(&'static str, Vec<&'static str>), String> {
    let found = FLOORS.iter().find(|(beginning, ..)| path.starts_with(beginning));
    let (_, floor, may) =
        found.ok_or_else(|| format!("{path}: on which floor? Add it to FLOORS in tests/tidy/floors.rs"))?;
    let may = may.iter().flat_map(|name| match *name {
        "words" => WORDS.to_vec(),
        "rooms" => ROOMS.to_vec(),
        other => vec![other],
    });
    Ok((floor, may.collect()))
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

/// Arrows point down only.
pub fn downward(files: &[File]) -> Vec<String> {
    let mut broken = Vec::new();
    for file in files.iter().filter(|file| file.is_rust("src/")) {
        let (floor, may) = match floor(&file.path) {
            Ok(found) => found,
            Err(unknown) => {
                broken.push(unknown);
                continue;
            }
        };
        let own = file.module().first().cloned().unwrap_or_default();
        for (name, line) in reaches(&file.tokens()) {
            let is_module =
                FLOORS.iter().any(|(path, ..)| path.trim_start_matches("src/").split(['/', '.']).next() == Some(name));
            if is_module && name != own && !may.contains(&name) {
                broken.push(format!("{}:{line}: {floor} may not know {name}, only {}", file.path, may.join(", ")));
            }
        }
    }
    broken
}

#[test]
fn reaching_is_seen_in_every_spelling() {
    let text = "use crate::{a::{b, c}, d};\nuse super::super::e::f;\nuse super::g;\nmod tests { use super::super::h; use super::super::super::i; }\n\
                crate::j::k();\nuse x::crate_l;";
    let file = File { path: "src/rules/apply.rs".to_owned(), text: text.to_owned() };
    let tokens = file.tokens();
    assert_eq!(reaches(&tokens), [("a", 1), ("d", 1), ("e", 2), ("i", 4), ("j", 5)]);
}

/// Every step of a message's life is made in one room. Tests may make any.
pub fn makers(files: &[File]) -> Vec<String> {
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
    for file in files.iter().filter(|file| file.is_rust("src/")) {
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
    broken
}

/// Words by which a module says what it never does.
const NEVER: [&str; 10] = ["only", "never", "Never", "nothing", "Nothing", "no ", "not ", "none", "None", "neither"];

/// Every file begins with what it is for; in the house also with its floor; and a module with what it never does.
pub fn said(files: &[File]) -> Vec<String> {
    let mut broken = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".rs")) {
        let path = &file.path;
        let head: Vec<&str> = file.text.lines().take_while(|line| line.starts_with("//!")).collect();
        let in_house = file.is_rust("src/") && !file.is_test();
        if head.is_empty() && (in_house || !path.starts_with("src/")) {
            broken.push(format!("{path}: begins without //! and what it is for"));
        }
        let (true, Ok((floor, _))) = (in_house, floor(path)) else { continue };
        let after = head.iter().position(|line| line.contains("Floor: "));
        let said = after.and_then(|at| head[at].split_once("Floor: ")?.1.split([' ', '.', ',']).next());
        // The library's head is the map of all floors.
        if said != Some(floor) && floor != "map" {
            broken.push(format!("{path}: its head does not say \"Floor: {floor}\""));
        }
        let is_module = path.ends_with("/mod.rs") || path.matches('/').count() == 1;
        if is_module && floor != "map" && !head.iter().any(|line| NEVER.iter().any(|word| line.contains(word))) {
            broken.push(format!(
                "{path}: its head does not say what it never does (never, only, no, not, nothing, none)"
            ));
        }
    }
    broken
}
