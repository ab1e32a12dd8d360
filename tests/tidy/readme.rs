//! What README tells to do works, and every example and board loads.

use branchline::config;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const README: &str = include_str!("../../README.md");

/// A fenced block: its kind, and its text without the indentation of a list.
pub struct Block {
    pub kind: String,
    pub text: String,
}

pub fn blocks(text: &str) -> Vec<Block> {
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

/// The branch of "The first rule", in a folder of its own, with what its commands want to find.
pub struct Branch(tempfile::TempDir);

impl Branch {
    pub fn new() -> Branch {
        let folder = tempfile::tempdir().unwrap();
        let [list, event, ..] = &of_kind("json")[..] else { panic!("a template list and an event") };
        let [rule, ..] = &of_kind("toml")[..] else { panic!("a configuration") };
        let customers = "number,purpose,action,at,source,wording,expires\n+5521987650001,orders,grant,,till,,\n";
        for (name, text) in [
            ("templates.json", list.as_str()),
            ("event.json", event),
            ("branchline.toml", rule),
            ("whatsapp-token", "not-a-real-token\n"),
            ("customers.csv", customers),
            ("ledger.csv", customers),
        ] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Branch(folder)
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.path().join(name).exists()
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.path().join(name), text).unwrap();
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        let binary = env!("CARGO_BIN_EXE_branchline");
        Command::new(binary).args(arguments).current_dir(self.0.path()).stdin(Stdio::null()).output().unwrap()
    }
}

/// Commands between backticks, and the unit's: read by the program itself.
#[test]
fn every_command_in_the_text_is_one() {
    let unit = include_str!("../../boards/branchline.service");
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/bin/")).unwrap().to_owned();
    let spans =
        [README, include_str!("../../CHANGELOG.md")].into_iter().flat_map(|text| text.split('`').skip(1).step_by(2));
    let spans = spans.map(|span| span.replace('\n', " ")).filter(|span| span.starts_with("branchline "));
    let documented: Vec<String> = spans.chain([start]).collect();
    assert!(documented.len() > 15, "{documented:?}");
    let branch = Branch::new();
    for typed in documented {
        let mut arguments: Vec<&str> = typed.split_whitespace().skip(1).collect();
        arguments.push("--help");
        let output = branch.run(&arguments);
        assert!(output.status.success(), "{typed}: {}", String::from_utf8_lossy(&output.stderr));
    }
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
    let branch = Branch::new();
    let [_, event, ..] = &of_kind("json")[..] else { panic!("a template list and an event") };
    let rule = &of_kind("toml")[0];
    for name in ["templates.json", "event.json", "branchline.toml"] {
        assert!(README.contains(&format!("`{name}`:\n\n```")), "{name} is named before its text");
    }
    let said = |arguments: &[&str]| {
        let output = branch.run(arguments);
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let steps = of_kind("sh").into_iter().find(|block| block.starts_with("echo not-a-real-token")).expect("step 4");
    let steps: Vec<Vec<&str>> = steps.lines().skip(1).map(|line| line.split_whitespace().skip(1).collect()).collect();
    let [check, explain] = &steps[..] else { panic!("two commands: {steps:?}") };

    let (code, checked) = said(check);
    assert!(code == Some(0) && checked.contains("no problems, 1 warning"), "{checked}");
    let (code, explained) = said(explain);
    let told = &of_kind("text")[0];
    assert!(code == Some(0) && explained.ends_with(told), "explain says\n{explained}\nand README\n{told}");
    assert!(!branch.has("outbox.db"), "explain made a store");
    let send = of_kind("sh").into_iter().find(|block| block.contains("--dry-run")).expect("a dry run");
    let (code, said_of_send) = said(&send.split_whitespace().skip(1).collect::<Vec<_>>());
    assert!(code == Some(1) && said_of_send.contains("would be        withheld: no-consent"), "{said_of_send}");
    assert!(!branch.has("outbox.db"), "a dry run made a store");
    let mut elsewhere = explain.clone();
    *elsewhere.iter_mut().find(|word| word.ends_with("/ready")).unwrap() = "pos/3/order/42/redy";
    let (_, missed) = said(&elsewhere);
    assert!(missed.contains("level 5 is \"redy\", the rule has \"ready\""), "{missed}");

    branch.write("event.json", &event.replace("true", "false"));
    let (_, refused) = said(explain);
    assert!(refused.contains("withheld: no-consent"), "{refused}");

    branch.write("branchline.toml", &rule.replace("first_name", "frist_name"));
    let (code, wrong) = said(check);
    assert!(code == Some(1) && wrong.contains("frist_name"), "{wrong}");
    assert!(wrong.contains("\n                               ^^^^^^^^^^\n"), "a caret under it: {wrong}");
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
