//! What files there are, how long they may be, and which belong together.

use super::source::File;

/// Lines of a source file, its unit tests at the end not counted: a room that is longer is two rooms.
const SOURCE: usize = 500;
/// Lines of a file of tests.
const TESTS: usize = 1000;

/// Source files that are longer, with the bound of each and the reason.
const LONG: &[(&str, usize, &str)] = &[
    ("src/operate/replies.rs", 600, "what operators are answered, one kind after another"),
    ("src/outbox/message.rs", 800, "every transition of a message, side by side"),
    ("src/rules/strict.rs", 550, "one syntax tree, node after node"),
];

pub fn lengths(files: &[File]) -> Vec<String> {
    let mut broken = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".rs")) {
        let path = file.path.as_str();
        let test = file.is_test() || path.starts_with("benches/");
        let code = file.text.lines().take_while(|line| test || !line.starts_with("mod tests {")).count();
        let listed = LONG.iter().find(|(long, ..)| *long == path);
        let bound = listed.map_or(if test { TESTS } else { SOURCE }, |(_, bound, _)| *bound);
        if code > bound {
            broken.push(format!(
                "{path}: {code} lines, and {bound} are the bound: split it by subject (or give it a bound and a reason in LONG of tests/tidy/shape.rs)"
            ));
        }
        if listed.is_some() && code <= SOURCE {
            broken
                .push(format!("{path}: {code} lines are within the bound: take it out of LONG in tests/tidy/shape.rs"));
        }
    }
    broken
}

/// What only one machine knows has no place in a repository.
pub fn machines(files: &[File]) -> Vec<String> {
    let own = [concat!("/ho", "me/"), concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/Use", "rs/")];
    let mut broken = Vec::new();
    for file in files {
        for (number, line) in file.text.lines().enumerate() {
            if let Some(path) = own.iter().find(|path| line.contains(**path)) {
                broken.push(format!("{}:{}: {path} is a path of one machine", file.path, number + 1));
            }
        }
    }
    broken
}

/// `tests/config/NAME.toml` is a mistake, `NAME.expected` what is said about it; anything else there is named by one of them.
pub fn halves(files: &[File]) -> Vec<String> {
    let mut broken = Vec::new();
    let beside = |path: &str| files.iter().any(|file| file.path == path);
    // Boards lie in a folder of their own beside the mistake that they are part of.
    let is_in = |file: &&File| file.path.starts_with("tests/config/") && !file.path.contains("/boards/");
    for file in files.iter().filter(is_in) {
        let (stem, ending) = file.path.rsplit_once('.').unwrap_or((&file.path, ""));
        let name = file.path.rsplit('/').next().unwrap();
        let named = files.iter().filter(is_in).any(|other| other.path.ends_with(".toml") && other.text.contains(name));
        match ending {
            "toml" if !beside(&format!("{stem}.expected")) => {
                broken.push(format!("{stem}.expected is missing: what check says about {}", file.path));
            }
            "expected" if !beside(&format!("{stem}.toml")) => {
                broken.push(format!("{stem}.toml is missing: the mistake that {} is about", file.path));
            }
            "toml" | "expected" => {}
            _ if !named => broken.push(format!("{}: no mistake names it: delete it", file.path)),
            _ => {}
        }
    }
    broken
}

/// Whoever changes what users notice adds a line there.
pub fn changelog(files: &[File]) -> Vec<String> {
    let log = files.iter().find(|file| file.path == "CHANGELOG.md");
    let open = log.is_some_and(|log| log.text.lines().find(|line| line.starts_with("## ")) == Some("## Unreleased"));
    if open { Vec::new() } else { vec!["CHANGELOG.md: the first section is not \"## Unreleased\"".to_owned()] }
}

/// A command of the repository (`tests/run` and its like) has a help, and stands in README.
pub fn scripts(files: &[File]) -> Vec<String> {
    let readme = files.iter().find(|file| file.path == "README.md").map_or("", |file| file.text.as_str());
    let mut broken = Vec::new();
    for file in files.iter().filter(|file| file.path.starts_with("tests/") && file.text.starts_with("#!")) {
        if !readme.contains(&file.path) {
            broken.push(format!("{}: README does not say what it is for", file.path));
        }
        if !file.text.contains(&format!("Usage: {}", file.path)) {
            broken.push(format!("{}: has no --help that begins with \"Usage: {}\"", file.path, file.path));
        }
    }
    broken
}
