//! What the documents and the helps tell people to type is typed here, or says why not.

use super::readme::Branch;
use super::source::File;
use std::path::Path;
use std::process::Command;

/// What is not carried out, by how it begins, and why; the words of our own program are read by it all the same.
const NOT_RUN: &[(&str, &str)] = &[
    ("cargo run --release -- demo", "tests/demo.rs plays the day"),
    ("cargo build --profile board", "minutes; what it names is looked up in Cargo.toml"),
    ("cargo build --release", "minutes"),
    ("cargo bench", "minutes; what it names is looked up in Cargo.toml"),
    ("cargo test", "these are its tests"),
    ("cargo nextest", "these are its tests"),
    ("cargo deny", "needs the network"),
    ("tests/", "minutes; its --help is asked for"),
    ("boards/", "minutes; its --help is asked for"),
    ("branchline check --online", "needs a broker and the platform: tests/branch/check.rs has both"),
    ("curl -sSH @authorization", "needs an account of the platform"),
    ("curl", "needs a server that the lines before start"),
    ("mosquitto_pub", "needs a broker"),
    ("mosquitto_sub", "needs a broker"),
    ("docker", "needs another machine"),
    ("openssl", "another program's, and writes where only root may"),
    ("find", "with its key: tests/branch/trials/stick.rs has a copy of these lines"),
    ("echo", "the shell's own; whoever runs what follows brings the file"),
    ("export", "the shell's own"),
    ("cd ", "the shell's own"),
    ("sudo -u branchline branchline", "needs the user branchline"),
    ("sudo", "needs root; the files that it names are looked for"),
    ("systemctl", "needs systemd and root"),
    ("journalctl", "needs systemd"),
    ("branchline run", "stays; tests/branch starts it"),
    ("branchline demo", "tests/demo.rs plays the day"),
    ("branchline sandbox", "stays; its own tests start it"),
    ("branchline forward", "stays"),
    ("branchline init", "asks a person"),
    ("branchline outbox import", "takes what another box wrote; tests/branch/trials/first.rs has one"),
    ("branchline outbox check --file", "names a store that was set aside; tests/branch has one"),
    ("branchline outbox export --all --file", "names a store that was set aside"),
];

/// What is carried out and answers no, as it must on an empty store.
const ANSWERS_NO: &[(&str, &str)] = &[
    ("branchline outbox show", "the id is an example"),
    ("branchline outbox retry", "the id is an example"),
    ("branchline outbox drop", "the id is an example"),
    ("branchline send", "nobody agreed yet"),
    ("branchline outbox accept-loss", "no store was damaged"),
    ("branchline audit verify --anchor", "the anchor is another box's"),
];

fn begins<'a>(line: &str, table: &'a [(&'a str, &'a str)]) -> bool {
    table.iter().any(|(beginning, _)| line.starts_with(beginning))
}

/// The commands of blocks of sh, with what a backslash continues, without comments.
fn typed(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for block in super::readme::blocks(text).into_iter().filter(|block| block.kind == "sh") {
        let whole = block.text.replace("\\\n", " ");
        lines.extend(whole.lines().map(|line| line.split(" #").next().unwrap().trim().to_owned()));
    }
    lines.retain(|line| !line.is_empty() && !line.starts_with('#'));
    lines
}

/// The words of a line as a shell would read it: quotes, no variables.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut quote, mut open) = (Vec::<String>::new(), None, false);
    for sign in line.chars() {
        match (sign, quote) {
            ('"' | '\'', None) => {
                (quote, open) = (
                    Some(sign),
                    open || {
                        words.push(String::new());
                        true
                    },
                )
            }
            (sign, Some(mark)) if sign == mark => quote = None,
            (' ', None) => open = false,
            _ => {
                if !open {
                    words.push(String::new());
                    open = true;
                }
                words.last_mut().unwrap().push(sign);
            }
        }
    }
    words
}

/// The branch of README with a store, which some order made.
fn branch() -> Branch {
    let branch = Branch::new();
    let made = branch.run(&["resume", "--reason", "a first order", "--config", "branchline.toml"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    branch
}

/// Runs one command of ours in the branch of README, or asks for its help; the error is what it said.
fn carry_out(line: &str, branch: &Branch) -> Result<(), String> {
    let line = line.strip_prefix("sudo -u branchline ").unwrap_or(line);
    let mut arguments = words(line.split(" | ").next().unwrap().split(" > ").next().unwrap());
    arguments.remove(0);
    let runs = !begins(line, NOT_RUN);
    let code = if begins(line, ANSWERS_NO) { 1 } else { 0 };
    match runs {
        true if !line.contains("--config") => arguments.extend(["--config".to_owned(), "branchline.toml".to_owned()]),
        true => {}
        false => arguments.push("--help".to_owned()),
    }
    let output = branch.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    if output.status.code() == Some(if runs { code } else { 0 }) {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(format!(
        "{line}: ends with {}: {}\n  Make it run in the branch of README's first rule, or name it in NOT_RUN of tests/tidy/snippets.rs with the reason.",
        output.status,
        String::from_utf8_lossy(&said).trim()
    ))
}

/// Every line of every block of sh in the documents.
pub fn known(files: &[File]) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let branch = branch();
    let mut broken = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".md")) {
        for line in typed(&file.text) {
            let first = line.split_whitespace().next().unwrap();
            let ours = line.strip_prefix("sudo -u branchline ").unwrap_or(&line).starts_with("branchline ");
            if ours {
                broken.extend(carry_out(&line, &branch).err().map(|why| format!("{}: {why}", file.path)));
            } else if ["tests/", "boards/"].iter().any(|folder| first.starts_with(folder)) {
                let output = Command::new(root.join(first)).arg("--help").output();
                let helps = output.is_ok_and(|output| output.status.success() && output.stdout.starts_with(b"Usage: "));
                if !helps {
                    broken.push(format!("{}: {first} --help does not begin with \"Usage: \"", file.path));
                }
            } else if !begins(&line, NOT_RUN) {
                broken.push(format!(
                    "{}: who runs this? {line}\n  Run it in a test, and name it in NOT_RUN of tests/tidy/snippets.rs with that test, or with the reason why not.",
                    file.path
                ));
            }
            for word in line
                .split_whitespace()
                .filter(|word| ["config/", "boards/", "tests/"].iter().any(|folder| word.starts_with(folder)))
            {
                if !root.join(word).exists() {
                    broken.push(format!("{}: {word} is not there", file.path));
                }
            }
        }
    }
    broken
}

/// Every command's help by the words that lead to it.
fn helps(branch: &Branch, path: Vec<String>, found: &mut Vec<(String, String)>) {
    let mut arguments: Vec<&str> = path.iter().map(String::as_str).collect();
    arguments.push("--help");
    let help = String::from_utf8(branch.run(&arguments).stdout).unwrap();
    let commands = help.split("\nCommands:\n").nth(1).unwrap_or_default().split("\n\n").next().unwrap();
    // Descriptions that go on stand further in.
    let below = commands.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    for command in below.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help") {
        helps(branch, [&path[..], &[command.to_owned()]].concat(), found);
    }
    found.push((["branchline".to_owned()].into_iter().chain(path).collect::<Vec<_>>().join(" "), help));
}

/// The examples of one help; none is a mistake.
fn examples(command: &str, help: &str) -> Result<Vec<String>, String> {
    let after = help.split("\nExample:\n").nth(1).or_else(|| help.split("\nExamples:\n").nth(1)).unwrap_or_default();
    let lines = after.lines().take_while(|line| line.starts_with("  ")).map(|line| line.trim().to_owned());
    let lines: Vec<String> = lines.filter(|line| line.starts_with("branchline ")).collect();
    if lines.is_empty() {
        return Err(format!("{command} --help: no example (after_help = \"Example:\\n  {command} ...\")"));
    }
    Ok(lines)
}

#[test]
fn every_example_in_the_help_is_run() {
    let branch = branch();
    let mut all = Vec::new();
    helps(&branch, Vec::new(), &mut all);
    assert!(all.len() >= 12, "the commands were not found: {:?}", all.iter().map(|(path, _)| path).collect::<Vec<_>>());
    let mut broken = Vec::new();
    for (command, help) in &all {
        match examples(command, help) {
            Ok(lines) => broken.extend(lines.iter().filter_map(|line| carry_out(line, &branch).err())),
            Err(why) => broken.push(why),
        }
    }
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn a_help_without_an_example_or_with_a_wrong_one_is_found() {
    assert!(examples("branchline x", "Does.\n\nUsage: branchline x\n").unwrap_err().contains("no example"));
    let wrong = examples("branchline x", "Usage: branchline x\n\nExample:\n  branchline x --nonsense\n").unwrap();
    assert_eq!(wrong, ["branchline x --nonsense"]);
    assert!(carry_out(&wrong[0], &Branch::new()).unwrap_err().contains("NOT_RUN"));
}

#[test]
fn lines_are_read_as_a_shell_reads_them() {
    assert_eq!(words("a 'b c' --d \"e  f\" \"\" g"), ["a", "b c", "--d", "e  f", "", "g"]);
    assert_eq!(typed("```sh\na \\\n  b # why\n# c\n\nd\n```\n```text\ne\n```"), ["a    b", "d"]);
}
