//! Words that the house does not use, each with what to say instead.

use super::source::File;

/// Where a word is banned.
enum In {
    /// Source, documents, configuration, tests.
    All,
    /// What users read: README, CHANGELOG, configuration.
    Documents,
    /// Names of the code: types, functions, modules, files.
    Names,
}

struct Word {
    /// In any case, unless it is in capitals; `*` stands for nothing or more letters, a space also for a dash or an underscore.
    word: &'static str,
    within: In,
    instead: &'static str,
}

const fn word(word: &'static str, within: In, instead: &'static str) -> Word {
    Word { word, within, instead }
}

/// To ban one more: a row, and what is then found mended.
const WORDS: &[Word] = &[
    word("whitelist*", In::All, "say what is allowed"),
    word("white list*", In::All, "say what is allowed"),
    word("blacklist*", In::All, "say what is refused, or: suppressed"),
    word("black list*", In::All, "say what is refused, or: suppressed"),
    word("dead letter*", In::All, "the outcome: unreadable, refused, expired; each has a reason"),
    word("slave*", In::All, "standby, or what it does"),
    word("sanity*", In::All, "check"),
    word("dummy", In::All, "a stand-in, or what it stands for"),
    word("TODO", In::All, "finish it, or leave it out"),
    word("FIXME", In::All, "finish it, or leave it out"),
    word("XXX", In::All, "finish it, or leave it out"),
    word("hack*", In::All, "say why it is as it is"),
    word("foo", In::All, "a name from the field: order, till, node"),
    word("baz", In::All, "a name from the field: order, till, node"),
    word("helper*", In::All, "what it helps with"),
    word("obviously", In::All, "leave it out: whoever reads decides that"),
    word("simply", In::All, "leave it out"),
    word("utilize*", In::All, "use"),
    word("leverage*", In::All, "use"),
    word("seamless*", In::All, "say what happens"),
    word("job*", In::All, "message, event, attempt: what it is"),
    word("blast*", In::All, "message: nobody is blasted here"),
    word("queue*", In::Documents, "outbox: there is one store, and its messages wait"),
    word("dlq", In::All, "the outcome: unreadable, refused, expired; each has a reason"),
    word("opted out list", In::All, "ledger"),
    word("util", In::Names, "what is in it: a module is named for its subject"),
    word("utils", In::Names, "what is in it: a module is named for its subject"),
    word("misc", In::Names, "what is in it: a module is named for its subject"),
    word("common", In::Names, "what is in it: a module is named for its subject"),
    word("manager", In::Names, "what it does: Desk, Ledger, Gate"),
    word("handler", In::Names, "what it does, as a verb"),
    word("processor", In::Names, "what it makes of what"),
    word("process event*", In::Names, "what it does: apply, step"),
    word("wrapper", In::Names, "what it adds"),
    word("factory", In::Names, "new, open, or who makes it"),
    word("impl", In::Names, "what sets it apart"),
    word("do it", In::Names, "what it does"),
];

pub fn banned(files: &[File]) -> Vec<String> {
    let mut broken = Vec::new();
    for file in files.iter().filter(|file| {
        !file.path.starts_with("tests/tidy") && file.path != "Cargo.lock" && file.path != "fuzz/Cargo.lock"
    }) {
        let rust = file.path.ends_with(".rs");
        let document =
            file.path.ends_with(".md") || file.path.starts_with("config/") || file.path.starts_with("boards/");
        let mut say = |line: usize, word: &Word| {
            let place = if line == 0 { file.path.clone() } else { format!("{}:{line}", file.path) };
            broken.push(format!("{place}: \"{}\" is not our word: {} (tests/tidy/words.rs)", word.word, word.instead));
        };
        let name = parts(file.path.rsplit('/').next().unwrap().split('.').next().unwrap());
        for word in WORDS.iter().filter(|word| !matches!(word.within, In::Documents)) {
            if rust && holds(&name, word.word) {
                say(0, word);
            }
        }
        for (number, line) in file.text.lines().enumerate() {
            // The name of an option of mosquitto.
            let prose = parts(&line.replace("max_queued_messages", ""));
            for word in WORDS {
                let there = match word.within {
                    In::All => holds(&prose, word.word),
                    In::Documents => document && holds(&prose, word.word),
                    In::Names => false,
                };
                if there {
                    say(number + 1, word);
                }
            }
        }
        if rust {
            names(file, &mut say);
        }
    }
    broken
}

/// Names that the file gives: what follows `struct`, `fn` and the like.
fn names(file: &File, say: &mut impl FnMut(usize, &Word)) {
    for pair in file.tokens().windows(2) {
        let (before, name) = (&pair[0].text, &pair[1]);
        if !["struct", "enum", "trait", "type", "fn", "mod", "const", "static"].contains(&before.as_str()) {
            continue;
        }
        let name_parts = parts(&name.text);
        for word in WORDS.iter().filter(|word| matches!(word.within, In::Names)) {
            if holds(&name_parts, word.word) {
                say(name.line, word);
            }
        }
    }
}

/// The words of a text; `ConnectionManager` and `connection_manager` are two.
fn parts(text: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut before = ' ';
    for sign in text.chars() {
        let begins = !before.is_alphanumeric() || before.is_lowercase() && sign.is_uppercase();
        if sign.is_alphanumeric() {
            if begins || parts.is_empty() {
                parts.push(String::new());
            }
            parts.last_mut().unwrap().push(sign);
        }
        before = sign;
    }
    parts
}

fn holds(parts: &[String], wanted: &str) -> bool {
    let wanted: Vec<&str> = wanted.split(' ').collect();
    let is = |part: &str, wanted: &str| match wanted.strip_suffix('*') {
        Some(beginning) => part.get(..beginning.len()).is_some_and(|part| part.eq_ignore_ascii_case(beginning)),
        None if wanted.bytes().all(|byte| byte.is_ascii_uppercase()) => part == wanted,
        None => part.eq_ignore_ascii_case(wanted),
    };
    parts.windows(wanted.len()).any(|window| window.iter().zip(&wanted).all(|(part, wanted)| is(part, wanted)))
}

#[test]
fn words_are_found_in_every_spelling() {
    for (text, word, there) in [
        ("a Dead-Letter box", "dead letter*", true),
        ("dead_letters", "dead letter*", true),
        ("ConnectionManager", "manager", true),
        ("utility", "util", false),
        ("misclassified", "misc", false),
        ("enqueue the queues", "queue*", true),
        ("HTTPHandler", "handler", false), // an abbreviation swallows what follows: written HttpHandler here
        ("HttpHandler", "handler", true),
        ("// TODO: more", "TODO", true),
        ("todo dia", "TODO", false), // Portuguese
    ] {
        assert_eq!(holds(&parts(text), word), there, "{text}");
    }
}
