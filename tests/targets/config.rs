//! Any text as the configuration, with a `conf.d` file and an environment: settings that can be used, or problems that each have
//! a place.

use branchline::config::{Loaded, Problem, Source, load, restart_needed};
use branchline::rules::Rules;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// What stands in the secret files: no problem and no effective value may show it.
const SECRET: &str = "tok-geheim-4711";

/// The file; after a form feed a file in `conf.d`; after another, variables as `NAME=VALUE` lines.
pub fn run(data: &[u8]) {
    let mut parts = data.splitn(3, |byte| *byte == b'\x0c');
    let file = place();
    std::fs::write(file, parts.next().unwrap_or_default()).unwrap();
    let drop_in = file.with_file_name("conf.d").join("a.toml");
    match parts.next() {
        Some(text) => std::fs::write(&drop_in, text).unwrap(),
        None => drop(std::fs::remove_file(&drop_in)),
    }
    let variables = String::from_utf8_lossy(parts.next().unwrap_or_default());
    let variables: Vec<(String, String)> = variables
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (format!("BRANCHLINE__{name}"), value.to_owned()))
        .collect();

    match load(file, None, &variables) {
        Ok(loaded) => usable(&loaded, file, &variables),
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a reason");
            problems.iter().for_each(told);
        }
    }
}

fn usable(loaded: &Loaded, file: &Path, variables: &[(String, String)]) {
    Rules::compile(&loaded.config.rooms.rules).unwrap_or_else(|problems| panic!("checked, and no rules: {problems:?}"));
    loaded.warnings.iter().for_each(told);
    for (at, value) in loaded.effective.iter().enumerate() {
        assert!(!value.key.is_empty() && !value.value.contains(SECRET), "{}", value.key);
        assert!(at == 0 || loaded.effective[at - 1].key < value.key, "{} twice or out of order", value.key);
        let number = value.key.starts_with("people.") && value.key.ends_with(".number");
        assert!(!number || super::digits_together(&value.value) < 8, "{}: a number is shown", value.key);
    }
    let again = load(file, None, variables).unwrap();
    assert_eq!(loaded.effective, again.effective);
    assert!(restart_needed(&loaded.config, &again.config).is_empty(), "nothing changed");
}

/// For a person: one line, with a place that is really there, and without secrets or numbers; below it, set in, what it is
/// about.
fn told(problem: &Problem) {
    let line = problem.to_string();
    let mut below = line.split('\n').skip(1);
    assert!(!problem.found.is_empty() && below.all(|line| line.starts_with("    ")), "{line:?}");
    assert!(!line.contains(|sign: char| sign.is_control() && sign != '\n'), "{line:?}");
    assert!(!line.contains(SECRET), "{line}");
    match &problem.origin.source {
        Source::File(path) if problem.origin.line > 0 => {
            let text = std::fs::read_to_string(path).unwrap();
            let line = text.split('\n').nth(problem.origin.line as usize - 1);
            let columns = line.unwrap_or_else(|| panic!("no such line: {problem}")).chars().count() as u32;
            assert!(
                (1..=columns + 1).contains(&problem.origin.column),
                "no such column {}: {problem}",
                problem.origin.column
            );
        }
        Source::File(path) => assert!(path.starts_with(place().parent().unwrap()), "{line}"),
        Source::Environment(name) => assert!(name.starts_with("BRANCHLINE__"), "{line}"),
        Source::Board(_) | Source::BuiltIn => panic!("nobody can mend a built-in value: {line}"),
    }
    let suggestion = problem.suggestion.as_deref();
    assert!(suggestion.is_none_or(|name| !problem.key.ends_with(&format!(".{name}"))), "{line}");
}

fn place() -> &'static Path {
    static PLACE: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, file) = PLACE.get_or_init(|| {
        let folder = super::folder();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("conf.d")).unwrap();
        std::fs::write(at("whatsapp-token"), SECRET).unwrap();
        std::fs::write(at("templates.json"), include_str!("templates.json")).unwrap();
        let file = at("branchline.toml");
        (folder, file)
    });
    file
}
