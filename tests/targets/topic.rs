//! Any text as a rule's topic, any topic to match it with, against a plain reading of both: the interface's words for patterns,
//! MQTT 5, 4.7 for matching.

use branchline::rules::{Message, Rules, Settings};

/// Names that expressions have already.
const TAKEN: &str = " payload topic event branch person and or not in is if else elif for true false none loop endif ";

/// The pattern, a line feed, the topic.
pub fn run(data: &[u8]) {
    let (pattern, topic) = super::split(data);
    let (Ok(pattern), Ok(topic)) = (std::str::from_utf8(pattern), std::str::from_utf8(topic)) else { return };
    let compiled = Rules::compile(&one_rule(pattern));
    let expected = plain(pattern);
    let rules = match compiled {
        Err(problems) => {
            assert!(expected.is_none(), "{pattern:?} is a pattern and was refused: {problems:?}");
            assert!(problems.iter().all(|problem| problem.key.starts_with("rules.r.")), "{problems:?}");
            assert!(
                problems.iter().all(|problem| !problem.message.is_empty() && !problem.fix.is_empty()),
                "{problems:?}"
            );
            return;
        }
        Ok(rules) => rules,
    };
    let levels = expected.unwrap_or_else(|| panic!("{pattern:?} is no pattern and was taken"));

    let filter: Vec<&str> = levels.iter().map(|level| level.filter()).collect();
    let filters = rules.filters();
    assert_eq!(filters.len(), 1);
    assert_eq!(filters[0].filter, filter.join("/"));
    assert!((1..=268_435_455).contains(&filters[0].identifier), "MQTT 5, 3.8.2.1.2");

    let heard: Vec<&str> = topic.split('/').collect();
    let own = heard[0] == "branchline";
    let system = topic.starts_with('$') && !matches!(levels[0], Level::Text(_));
    let matches = !own && !system && as_mqtt(&filter, &heard);
    let identifier = [filters[0].identifier];
    for marks in [&[][..], &identifier, &[filters[0].identifier % 268_435_455 + 1]] {
        assert_eq!(
            rules.matching(topic, marks).count(),
            usize::from(matches),
            "{pattern:?} and {topic:?}, marked {marks:?}"
        );
    }

    let explained = rules.explain(topic, b"x", None);
    assert_eq!(explained[0].matches, matches);
    if matches {
        let captured: Vec<(&str, String)> = levels
            .iter()
            .enumerate()
            .filter_map(|(at, level)| match level {
                Level::Text(_) => None,
                Level::One(name) => Some((*name, heard[at].to_owned())),
                Level::Rest(name) => Some((*name, heard.get(at..).unwrap_or_default().join("/"))),
            })
            .collect();
        assert_eq!(explained[0].captures.len(), captured.len());
        for (name, text) in &captured {
            let told = &explained[0].captures[*name];
            // With fewer digits nothing is masked.
            let masked = text.bytes().filter(u8::is_ascii_digit).count() >= 8;
            assert!(masked || told == text, "{name}: {text:?}, {told:?}");
        }
    }
}

enum Level<'a> {
    Text(&'a str),
    One(&'a str),
    Rest(&'a str),
}

impl Level<'_> {
    fn filter(&self) -> &str {
        match self {
            Level::Text(text) => text,
            Level::One(_) => "+",
            Level::Rest(_) => "#",
        }
    }
}

/// The levels, if it is a pattern.
fn plain(pattern: &str) -> Option<Vec<Level<'_>>> {
    let texts: Vec<&str> = pattern.split('/').collect();
    let mut names: Vec<&str> = Vec::new();
    let mut levels = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        if !text.contains(['{', '}', '+', '#']) {
            levels.push(Level::Text(text));
            continue;
        }
        let inner = text.strip_prefix('{')?.strip_suffix('}')?;
        let (name, rest) = inner.strip_suffix("...").map_or((inner, false), |name| (name, true));
        let letters = !name.is_empty() && name.chars().all(|sign| sign == '_' || sign.is_ascii_lowercase());
        if !letters || names.contains(&name) || TAKEN.contains(&format!(" {name} ")) || rest && at + 1 < texts.len() {
            return None;
        }
        names.push(name);
        levels.push(if rest { Level::Rest(name) } else { Level::One(name) });
    }
    let refused = pattern.is_empty() || pattern.contains('\0') || matches!(texts[0], "branchline" | "$share");
    (!refused).then_some(levels)
}

fn as_mqtt(filter: &[&str], topic: &[&str]) -> bool {
    match (filter, topic) {
        (["#"], _) | ([], []) => true,
        (["+", filter @ ..], [_, topic @ ..]) => as_mqtt(filter, topic),
        ([wanted, filter @ ..], [found, topic @ ..]) => wanted == found && as_mqtt(filter, topic),
        _ => false,
    }
}

/// Settings with one rule on `topic` that says a text.
pub fn one_rule(topic: &str) -> Settings {
    let mut settings = super::branch().rooms.rules.clone();
    settings.rules.retain(|rule| rule.name == "plain");
    let rule = &mut settings.rules[0];
    rule.name = "r".into();
    topic.clone_into(&mut rule.topic);
    rule.message = Some(Message::Text("x".into()));
    settings
}
