//! What the documents say is true: codes, commands, snippets, links, examples, boards.

use branchline::config;
use branchline::message::{Outcome, Reason};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const README: &str = include_str!("../../README.md");
const DOCUMENTS: &[(&str, &str)] = &[("README.md", README), ("CHANGELOG.md", include_str!("../../CHANGELOG.md"))];

/// A fenced block: its kind, and its text without the indentation of a list.
struct Block {
    kind: String,
    text: String,
}

fn blocks(text: &str) -> Vec<Block> {
    let (mut blocks, mut open): (Vec<Block>, bool) = (Vec::new(), false);
    for line in text.lines() {
        match line.trim_start().strip_prefix("```") {
            Some(_) if open => open = false,
            Some(kind) => {
                open = true;
                blocks.push(Block { kind: kind.to_owned(), text: String::new() });
            }
            None if open => {
                let block = blocks.last_mut().unwrap();
                block.text.push_str(line);
                block.text.push('\n');
            }
            None => {}
        }
    }
    assert!(!open, "a block is not closed");
    blocks
}

fn of_kind(kind: &str) -> Vec<String> {
    blocks(README).into_iter().filter(|block| block.kind == kind).map(|block| block.text).collect()
}

fn branchline(folder: &Path, arguments: &[&str]) -> Output {
    let binary = env!("CARGO_BIN_EXE_branchline");
    Command::new(binary).args(arguments).current_dir(folder).stdin(Stdio::null()).output().unwrap()
}

/// The first cells of all rows of the tables whose head begins with `head`, with the number of filled cells.
fn rows(head: &str) -> BTreeMap<String, usize> {
    let mut lines = README.lines();
    assert!(lines.any(|line| line.starts_with(&format!("| {head} |"))), "no table of {head}");
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let code = cells[0].strip_prefix('`')?.strip_suffix('`')?;
        Some((code.to_owned(), cells.iter().filter(|cell| !cell.is_empty()).count()))
    };
    lines.take_while(|line| line.starts_with('|')).filter_map(row).collect()
}

#[test]
fn every_outcome_and_reason_stands_in_the_tables() {
    let mut wrong = Vec::new();
    let tables = [
        ("outcome", 2, Outcome::ALL.iter().map(|outcome| outcome.code()).collect::<Vec<_>>()),
        ("reason", 3, Reason::ALL.iter().map(|reason| reason.code()).collect()),
    ];
    for (head, columns, codes) in tables {
        let rows = rows(head);
        let missing = codes.iter().filter(|code| rows.get(**code) != Some(&columns));
        wrong.extend(missing.map(|code| format!("{head} {code}: no row with {columns} filled cells")));
        let unknown = rows.keys().filter(|row| !codes.contains(&row.as_str()));
        wrong.extend(unknown.map(|row| format!("{head} {row}: the program knows none of that name")));
    }
    assert!(wrong.is_empty(), "README, \"Reading outcomes\":\n{}", wrong.join("\n"));
}

/// `branchline …` in blocks of sh and between backticks, as the words that are typed.
fn commands(text: &str) -> Vec<Vec<String>> {
    let typed = blocks(text).into_iter().filter(|block| block.kind == "sh").map(|block| block.text);
    let lines: Vec<String> = typed.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    let spans = text.split('`').skip(1).step_by(2).map(|span| span.replace('\n', " "));
    let all = lines.into_iter().chain(spans);
    let words = all.map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    words
        .filter_map(|words| {
            let from = if words.starts_with(&["sudo".into(), "-u".into(), "branchline".into()]) { 3 } else { 0 };
            (words.get(from)? == "branchline" && words.len() > from + 1).then(|| words[from + 1..].to_vec())
        })
        .collect()
}

#[test]
fn every_documented_command_is_one() {
    let unit = include_str!("../../boards/branchline.service");
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/bin/branchline ")).unwrap();
    let started = start.split(' ').map(str::to_owned).collect();
    let documented: Vec<_> = DOCUMENTS.iter().flat_map(|(_, text)| commands(text)).chain([started]).collect();
    assert!(documented.len() > 15, "{documented:?}");
    for typed in documented {
        let mut arguments: Vec<&str> = typed.iter().map(String::as_str).collect();
        arguments.push("--help");
        let output = branchline(Path::new("."), &arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/run");
    let output = Command::new(script).arg("--help").output().unwrap();
    assert!(output.status.success() && output.stdout.starts_with(b"Usage: tests/run"));
}

/// Profiles, benchmarks and features that documented cargo commands name.
#[test]
fn documented_cargo_commands_find_what_they_name() {
    let manifest: toml::Table = include_str!("../../Cargo.toml").parse().unwrap();
    let benches = manifest["bench"].as_array().unwrap();
    let mut seen = 0;
    for line in of_kind("sh").iter().flat_map(|block| block.lines()).filter(|line| line.starts_with("cargo ")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        for pair in words.windows(2) {
            let known = match pair[0] {
                "--profile" => manifest["profile"].get(pair[1]).is_some(),
                "--bench" => benches.iter().any(|bench| bench["name"].as_str() == Some(pair[1])),
                _ => continue,
            };
            assert!(known, "{line}: no {} in Cargo.toml", pair[1]);
            seen += 1;
        }
    }
    assert!(seen >= 2);
}

/// The steps of "The first rule", done as they are written.
#[test]
fn the_first_rule_works_as_told() {
    let folder = tempfile::tempdir().unwrap();
    let [list, event] = &of_kind("json")[..] else { panic!("a template list and an event") };
    let [rule] = &of_kind("toml")[..] else { panic!("one configuration") };
    for (name, text) in [("templates.json", list), ("event.json", event), ("branchline.toml", rule)] {
        assert!(README.contains(&format!("`{name}`:\n\n```")), "{name} is named before its text");
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    std::fs::write(folder.path().join("whatsapp-token"), "not-a-real-token\n").unwrap();

    let steps: Vec<_> =
        commands(README).into_iter().filter(|typed| typed.contains(&"branchline.toml".to_owned())).collect();
    let mut answers = steps.iter().map(|typed| {
        let output = branchline(folder.path(), &typed.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(output.status.success(), "{typed:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    });
    assert!(answers.next().unwrap().contains("no problems, 1 warning"));
    let explained = answers.next().unwrap();
    let told = &of_kind("text")[0];
    assert!(explained.ends_with(told), "explain says\n{explained}\nand README\n{told}");
    drop(answers);
    assert!(!folder.path().join("outbox.db").exists(), "explain made a store");
    let send = branchline(folder.path(), &steps[2].iter().map(String::as_str).collect::<Vec<_>>());
    let said = String::from_utf8(send.stdout).unwrap();
    assert!(send.status.code() == Some(1) && said.contains("would be        withheld: no-consent"), "{said}");
    assert!(!folder.path().join("outbox.db").exists(), "a dry run made a store");
    let mut elsewhere: Vec<&str> = steps[1].iter().map(String::as_str).collect();
    *elsewhere.iter_mut().find(|word| word.ends_with("/ready")).unwrap() = "pos/3/order/42/redy";
    let missed = String::from_utf8(branchline(folder.path(), &elsewhere).stdout).unwrap();
    assert!(missed.contains("level 5 is \"redy\", the rule has \"ready\""), "{missed}");

    std::fs::write(folder.path().join("event.json"), event.replace("true", "false")).unwrap();
    let typed: Vec<&str> = steps[1].iter().map(String::as_str).collect();
    let refused = String::from_utf8(branchline(folder.path(), &typed).stdout).unwrap();
    assert!(refused.contains("withheld: no-consent"), "{refused}");

    std::fs::write(folder.path().join("branchline.toml"), rule.replace("first_name", "frist_name")).unwrap();
    let output = branchline(folder.path(), &["check", "--config", "branchline.toml"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("frist_name"), "{said}");
    assert!(said.contains("\n                               ^^^^^^^^^^\n"), "a caret under it: {said}");
}

#[test]
fn links_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, text) in DOCUMENTS {
        let anchors: Vec<String> = text
            .lines()
            .filter_map(|line| line.strip_prefix('#').map(|rest| rest.trim_start_matches('#').trim().to_lowercase()))
            .map(|heading| {
                heading.chars().filter(|sign| sign.is_alphanumeric() || " -".contains(*sign)).collect::<String>()
            })
            .map(|heading| heading.replace(' ', "-"))
            .collect();
        for target in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            let found = match target.strip_prefix('#') {
                Some(anchor) => anchors.iter().any(|known| known == anchor),
                None => target.starts_with("https://") || root.join(target).exists(),
            };
            assert!(found, "{name}: {target} leads nowhere");
        }
        for word in
            blocks(text).iter().filter(|block| block.kind == "sh").flat_map(|block| block.text.split_whitespace())
        {
            if ["config/", "boards/", "tests/"].iter().any(|folder| word.starts_with(folder)) {
                assert!(root.join(word).exists(), "{name}: {word} is not there");
            }
        }
    }
}

fn toml_files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect();
    assert!(!files.is_empty());
    files
}

/// A copy of the examples' folder, with something in each file that they name and people have to bring.
fn copied_examples() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/examples");
    for entry in std::fs::read_dir(examples).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    folder
}

#[test]
fn every_example_and_board_loads() {
    let folder = copied_examples();
    let boards = folder.path().join("boards");
    std::fs::create_dir(&boards).unwrap();
    let boards: Vec<String> = toml_files("boards")
        .iter()
        .map(|board| {
            std::fs::copy(board, boards.join(board.file_name().unwrap())).unwrap();
            board.file_stem().unwrap().to_str().unwrap().to_owned()
        })
        .collect();
    let made = rcgen::generate_simple_self_signed(Vec::new()).unwrap();
    let (pem, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    for example in toml_files("config/examples") {
        let text = std::fs::read_to_string(&example).unwrap();
        for line in text.lines().filter(|line| line.contains("_file = ")) {
            let name = line.split('"').nth(1).unwrap();
            let text = match name.rsplit('.').next() {
                Some("pem") => &pem,
                Some("key") => &key,
                _ => "something\n",
            };
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let file = folder.path().join(example.file_name().unwrap());
        for board in boards.iter().map(|board| Some(board.as_str())).chain([None]) {
            let loaded = config::load(&file, board, &[]);
            assert!(loaded.is_ok(), "{} on {board:?}: {:#?}", file.display(), loaded.err());
        }
    }
}
