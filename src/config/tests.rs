//! `config/default.toml` against the code, in both directions.

use super::reader::{Account, Reader};
use super::*;
use crate::limits;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// `config/default.toml` with the keys that have no default switched on: what stands behind `#` without a space.
fn everything() -> String {
    let on = |line: &str| match line.strip_prefix('#') {
        Some(key) if !key.starts_with(' ') && !key.is_empty() => key.to_owned(),
        _ => line.to_owned(),
    };
    layers::DEFAULTS.lines().map(on).collect::<Vec<_>>().join("\n")
}

/// As `openssl pkey -pubout` writes it.
const HEAD_OFFICE: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";

/// A folder with every file that the examples name.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(Vec::new()).unwrap();
    let (pem, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    for name in [
        "mqtt-password",
        "ca.pem",
        "relay.pem",
        "relay.key",
        "whatsapp-token",
        "app-secret",
        "store-key",
        "box.pem",
        "box.key",
        "corporate-ca.pem",
        "webhook.pem",
        "webhook.key",
        "verify-token",
        "notice-key",
        "head-office.pub",
    ] {
        let text = match name.rsplit('.').next() {
            Some("pem") => &pem,
            Some("key") => &key,
            Some("pub") => HEAD_OFFICE,
            _ if name == "store-key" => "0123456789abcdef0123456789abcdef\n",
            _ if name == "notice-key" => "0123456789abcdef-of-head-office\n",
            _ => "x\n",
        };
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let template = |name: &str, components: &str| {
        let form = |language: &str| {
            format!(
                r#"{{"name": "{name}", "language": "{language}", "status": "APPROVED", "category": "UTILITY",
                    "components": [{components}]}}"#
            )
        };
        format!("{},{}", form("pt_BR"), form("es_MX"))
    };
    let with_header = |name: &str, format: &str| {
        template(name, &format!(r#"{{"type": "HEADER", "format": "{format}"}}, {{"type": "BODY", "text": "Oi!"}}"#))
    };
    let order = r#"{"type": "HEADER", "format": "DOCUMENT"}, {"type": "BODY", "text": "Oi {{1}}, {{2}}!"},
        {"type": "BUTTONS", "buttons": [{"type": "URL", "text": "Ver", "url": "https://loja.example/{{1}}"}]}"#;
    let list = [
        template("order_ready", order),
        with_header("with_image", "IMAGE"),
        with_header("with_video", "VIDEO"),
        with_header("with_place", "LOCATION"),
    ];
    std::fs::write(folder.path().join("templates.json"), format!("[{}]", list.join(","))).unwrap();
    folder
}

/// Keys that hold a value, as the document has them: names that people choose below these are no keys of ours.
fn leaves(table: &tree::Table, path: &str, found: &mut BTreeMap<String, String>) {
    const OPEN: [&str; 1] = [".message.body"];
    for (name, node) in table {
        let key = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match node.as_table() {
            Some(inner) if !OPEN.iter().any(|open| key.ends_with(open)) => leaves(inner, &key, found),
            _ => {
                found.insert(key, node.render());
            }
        }
    }
}

fn asked(text: &str) -> (BTreeMap<String, Option<String>>, Vec<Problem>) {
    let folder = folder();
    let root = tree::parse(text, &Source::BuiltIn).unwrap();
    let mut account = Account { folder: folder.path().to_owned(), ..Account::default() };
    Reader::root(&root, &mut account, |r| check::config(r, &root));
    (account.asked, account.problems)
}

#[test]
fn every_key_of_the_code_is_documented_and_every_documented_key_is_known() {
    let text = everything();
    let mut root = tree::parse(&text, &Source::BuiltIn).unwrap();
    assert_eq!(inherit::apply(&mut root), []);
    let folder = folder();
    let mut account = Account { folder: folder.path().to_owned(), ..Account::default() };
    let config = Reader::root(&root, &mut account, |r| check::config(r, &root));
    assert_eq!(account.problems, [], "a documented key is unknown, or its example is wrong");
    assert!(config.is_some());

    let mut documented = BTreeMap::new();
    leaves(&tree::parse(&text, &Source::BuiltIn).unwrap(), "", &mut documented);
    let shape = |key: &str| -> String {
        // One rule, one person and one base stand for all.
        let mut parts: Vec<&str> = key.split('.').collect();
        if let ["rules" | "base" | "people" | "contacts" | "purposes", name, ..] = parts.as_mut_slice() {
            *name = "NAME";
        }
        parts.join(".").replace("base.NAME", "rules.NAME")
    };
    let documented: std::collections::BTreeSet<String> = documented.keys().map(|key| shape(key)).collect();
    let known: std::collections::BTreeSet<String> = account.asked.keys().map(|key| shape(key)).collect();
    let missing: Vec<_> = known.difference(&documented).collect();
    assert!(missing.is_empty(), "config/default.toml does not document {missing:?}");
    let surplus: Vec<_> = documented.difference(&known).collect();
    assert!(surplus.is_empty(), "config/default.toml documents what the code does not read: {surplus:?}");
}

#[test]
fn documented_defaults_are_the_defaults_of_the_code() {
    let mut documented = BTreeMap::new();
    leaves(&tree::parse(&everything(), &Source::BuiltIn).unwrap(), "", &mut documented);
    let (asked, _) = asked(&everything());
    let mut compared = 0;
    for (key, default) in asked {
        if let (Some(default), Some(shown)) = (default, documented.get(&key)) {
            assert_eq!(*shown, default, "{key}");
            compared += 1;
        }
    }
    assert_eq!(compared, 4, "priority, dedupe_window, retained and format have their defaults in the code");
}

#[test]
fn built_in_defaults_are_the_bounds_of_the_house() {
    let folder = folder();
    let file = folder.path().join("b.toml");
    let text = "[branch]\nid = \"x\"\ntimezone = \"UTC\"\ncountry = \"BR\"\n[mqtt]\nurl = \"mqtt://127.0.0.1\"\nusername = \"relay\"\n\
                [uplink]\nphone_number_id = \"1\"\ntoken_file = \"whatsapp-token\"";
    std::fs::write(&file, text).unwrap();
    let loaded = load(&file, Some("generic"), &[]).unwrap();
    assert_eq!(loaded.warnings, [], "defaults alone warn of nothing");
    let config = loaded.config;
    assert_eq!(usize::from(config.mqtt.receive_maximum), limits::RECEIVE);
    assert_eq!(config.mqtt.max_payload, limits::PAYLOAD);
    assert_eq!(config.uplink.max_in_flight, limits::IN_FLIGHT);
    assert_eq!((config.mqtt.client_id.as_str(), config.mqtt.port, config.mqtt.tls), ("branchline-x", 1883, false));
    assert_eq!(config.uplink.probe_path, "/v25.0/1");
    assert_eq!(config.rooms.policy.unknown_wait, std::time::Duration::ZERO);
    assert!(restart_needed(&config, &config).is_empty());
}

/// Where stored texts stand: mistakes beside `warnings`, whose configurations are right.
const STORED: &str = "tests/config";

/// Stored configurations of a folder and of those below it that are branches of their own (`NAME/branchline.toml`).
fn stored(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let own = path.join("branchline.toml");
        if own.exists() {
            found.push(own);
        } else if path.extension().is_some_and(|ending| ending == "toml") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Reads one, as that of `branchline forward` if it begins with `# forward`; `# env: NAME=VALUE` and `# board: NAME` in its first lines say what else there is.
fn told(file: &Path) -> Vec<Problem> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let said = |what: &str| {
        let lines = text.lines().filter_map(|line| line.strip_prefix(what).map(str::to_owned));
        lines.collect::<Vec<_>>()
    };
    let lines = said("# env: ");
    let variables = lines.iter().map(|line| line.split_once("=").unwrap());
    let variables: Vec<_> = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let warned = file.parent().unwrap().ends_with("warnings");
    if text.starts_with("# forward") {
        return forward::load(file, &variables).map(|(.., warnings)| warnings).unwrap_or_else(|problems| problems);
    }
    match load(file, said("# board: ").first().map(String::as_str), &variables) {
        Ok(loaded) if warned => loaded.warnings,
        Ok(_) => panic!("{} is accepted", file.display()),
        Err(problems) if warned => panic!("{} is refused: {problems:#?}", file.display()),
        Err(problems) => problems,
    }
}

/// Every kind of mistake, with the whole text that people get. `BRANCHLINE_BLESS=1` writes the texts anew: read the difference.
#[test]
fn every_mistake_and_warning_is_told_as_stored() {
    let all = [STORED, "tests/config/warnings"].map(Path::new).into_iter().flat_map(stored);
    let mut seen = 0;
    for file in all {
        let problems = told(&file);
        let told: String = problems.iter().map(|problem| format!("{problem}\n")).collect();
        let expected = file.with_extension("expected");
        if std::env::var_os("BRANCHLINE_BLESS").is_some() {
            fs::write(&expected, &told).unwrap();
        }
        assert_eq!(told, fs::read_to_string(&expected).unwrap_or_default(), "{}", file.display());
        for secret in ["hunter2", "theToken", "0123456789abcdef", "5521912345678", "98765-4321"] {
            let shown = told.contains(secret) || format!("{problems:?}").contains(secret);
            assert!(!shown, "{} tells {secret}", file.display());
        }
        seen += 1;
    }
    assert!(seen >= 40);
}

/// A line of code that tells a mistake or a warning is a kind of its own, and has a stored text. What the topics, expressions and
/// texts of a rule say besides is in the tables of `rules`.
#[test]
fn every_kind_of_mistake_has_a_stored_text() {
    // Mistakes that are told by an earlier line of the configuration's own check, with file and line.
    const EARLIER: [&str; 10] = [
        "there is no template list",
        "there is no language to fall back on",
        "the rule says nothing and changes no consent",
        "\"nobody is named\"",
        "people has no",
        "contacts has no",
        "\"is empty\", \"name the purpose",
        "there is no purpose",
        "a message needs a purpose",
        // Of an operator's message, which no configuration holds.
        "{name} in {language} is {status}",
    ];
    let all = [STORED, "tests/config/warnings"].map(Path::new).into_iter().flat_map(stored);
    let reached: BTreeSet<(String, u32)> = all
        .flat_map(|file| told(&file))
        .map(|problem| (problem.told_at.file().to_owned(), problem.told_at.line()))
        .collect();
    let code = ["src/config", "src/config/check"].into_iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let code = code.map(|entry| entry.unwrap().path().to_str().unwrap().to_owned());
    let code = code.chain(["src/rules/compile.rs".to_owned(), "src/rules/message.rs".to_owned()]);
    let (mut kinds, mut missing) = (0, Vec::new());
    for file in
        code.filter(|file| file.ends_with(".rs") && !file.ends_with("tests.rs") && !file.ends_with("compiled.rs"))
    {
        let text = fs::read_to_string(&file).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        // Those pass their caller's line on.
        let mut passes = false;
        for (at, line) in lines.iter().enumerate() {
            if line.starts_with("#[cfg(test)]") {
                break;
            }
            passes |= line.trim() == "#[track_caller]";
            passes &= *line != "    }";
            let tells = ["Problem::new(", ".problem(", ".wrong(", ".missing(", ".require("];
            if passes || line.trim().starts_with("//") || !tells.iter().any(|call| line.contains(call)) {
                continue;
            }
            kinds += 1;
            let words = lines[at..lines.len().min(at + 5)].join(" ");
            let earlier = EARLIER.iter().any(|told| words.contains(told));
            if !earlier && !reached.contains(&(file.clone(), at as u32 + 1)) {
                missing.push(format!("{file}:{}: {}", at + 1, line.trim()));
            }
        }
    }
    assert!(kinds > 90, "only {kinds} found: correct this test");
    assert!(missing.is_empty(), "no stored text in {STORED} for\n{}", missing.join("\n"));
}
