//! Topic patterns: `pos/{till}/order/{order...}`, the MQTT filter they subscribe to, and what their captures took.
//!
//! Floor: rooms. Knows nothing of payloads.

/// Names that an expression or template already has, and words of the expression language.
const RESERVED: [&str; 19] = [
    "payload", "topic", "event", "branch", "person", "and", "or", "not", "in", "is", "if", "else", "elif", "for",
    "true", "false", "none", "loop", "endif",
];

#[derive(Clone, PartialEq, Eq, Debug)]
enum Level {
    Literal(String),
    One(String),
    Rest(String),
}

/// A rule's `topic`, read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Pattern {
    text: String,
    levels: Vec<Level>,
}

impl Pattern {
    /// Reads `text`; the error is what is wrong and what to type instead.
    pub(super) fn read(text: &str) -> Result<Pattern, (String, String)> {
        if text.is_empty() || text.contains('\0') {
            return Err(("the topic is empty".into(), "write one like pos/{till}/order/{order}/ready".into()));
        }
        let count = text.split('/').count();
        let mut levels = Vec::with_capacity(count);
        for (index, level) in text.split('/').enumerate() {
            let level = read_level(level, index + 1 == count)?;
            if let Level::One(name) | Level::Rest(name) = &level
                && levels.iter().any(|earlier| matches!(earlier, Level::One(n) | Level::Rest(n) if n == name))
            {
                return Err((format!("{{{name}}} is there twice"), "give each capture a name of its own".into()));
            }
            levels.push(level);
        }
        match &levels[0] {
            Level::Literal(first) if first == "branchline" => Err((
                "topics under branchline/ are the daemon's own".into(),
                "listen to the topics of tills and sensors; receipts go to whoever subscribes to them".into(),
            )),
            Level::Literal(first) if first == "$share" => {
                Err(("shared subscriptions lose order and session".into(), "name the topic without $share/…/".into()))
            }
            _ => Ok(Pattern { text: text.to_owned(), levels }),
        }
    }

    /// The names that a topic means to capture, though it cannot be read: what the rest of its rule may speak of.
    pub(super) fn meant(text: &str) -> impl Iterator<Item = &str> {
        let named = |level: &'_ str| level.contains('{');
        text.split('/')
            .filter(move |level| named(level))
            .map(|level| level.trim_matches(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_')))
    }

    /// As written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// What is subscribed to: `{x}` → `+`, `{x...}` → `#`.
    pub(super) fn filter(&self) -> String {
        let levels = self.levels.iter().map(|level| match level {
            Level::Literal(text) => text.as_str(),
            Level::One(_) => "+",
            Level::Rest(_) => "#",
        });
        levels.collect::<Vec<_>>().join("/")
    }

    /// The names that it captures.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.levels.iter().filter_map(|level| match level {
            Level::Literal(_) => None,
            Level::One(name) | Level::Rest(name) => Some(name.as_str()),
        })
    }

    /// Whether `topic` matches, as MQTT's own rules have it. Allocates nothing.
    ///
    /// The daemon's own topics never match, so that `{all...}` does not hear its own receipts.
    pub(super) fn matches(&self, topic: &str) -> bool {
        if topic == "branchline" || topic.starts_with("branchline/") {
            return false;
        }
        if topic.starts_with('$') && !matches!(self.levels[0], Level::Literal(_)) {
            return false;
        }
        let mut heard = topic.split('/');
        for level in &self.levels {
            match (level, heard.next()) {
                (Level::Rest(_), _) => return true,
                (Level::Literal(wanted), Some(found)) if wanted == found => {}
                (Level::One(_), Some(_)) => {}
                _ => return false,
            }
        }
        heard.next().is_none()
    }

    /// Why `topic` does not match, and how many of its levels fit; `None` if it matches. The level that is to blame is
    /// counted from 1, as people count.
    pub(super) fn miss(&self, topic: &str) -> Option<(usize, String)> {
        if self.matches(topic) {
            return None;
        }
        if topic == "branchline" || topic.starts_with("branchline/") {
            return Some((0, "topics under branchline/ are the daemon's own: no rule hears them".to_owned()));
        }
        if topic.starts_with('$') && !matches!(self.levels[0], Level::Literal(_)) {
            return Some((0, "no capture hears a topic that begins with $".to_owned()));
        }
        let heard: Vec<&str> = topic.split('/').collect();
        let fits = |(level, found): (&Level, &&str)| match level {
            Level::Literal(wanted) => wanted == found,
            Level::One(_) | Level::Rest(_) => true,
        };
        let fitting = self.levels.iter().zip(&heard).filter(|pair| fits(*pair)).count();
        let odd = self.levels.iter().zip(&heard).position(|pair| !fits(pair));
        let why = match odd.and_then(|at| Some((at, &self.levels[at], *heard.get(at)?))) {
            Some((0, _, "")) => "the topic begins with /: its first level is empty".to_owned(),
            Some((at, Level::Literal(wanted), found)) => {
                let capitals = if wanted.eq_ignore_ascii_case(found) { " (capitals count)" } else { "" };
                format!("level {} is {found:?}, the rule has {wanted:?}{capitals}", at + 1)
            }
            // Only a literal does not fit.
            Some(_) | None if heard.len() > self.levels.len() => format!(
                "the rule ends after level {}, the topic goes on with {:?} ({{name...}} takes the rest)",
                self.levels.len(),
                heard[self.levels.len()]
            ),
            Some(_) | None => {
                let missing = self.levels.get(heard.len()).map_or_else(String::new, Level::written);
                format!("the topic ends after level {}, the rule goes on with {missing}", heard.len())
            }
        };
        Some((fitting, why))
    }

    /// What the captures took from a topic that matches.
    pub(super) fn captures<'a>(&'a self, topic: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let mut rest = Some(topic);
        self.levels.iter().filter_map(move |level| {
            let whole = rest.unwrap_or("");
            let (found, left) = match whole.split_once('/') {
                Some((found, left)) => (found, Some(left)),
                None => (whole, None),
            };
            match level {
                Level::Rest(name) => Some((name.as_str(), whole)),
                Level::One(name) => {
                    rest = left;
                    Some((name.as_str(), found))
                }
                Level::Literal(_) => {
                    rest = left;
                    None
                }
            }
        })
    }
}

impl Level {
    fn written(&self) -> String {
        match self {
            Level::Literal(text) => format!("{text:?}"),
            Level::One(name) => format!("{{{name}}}"),
            Level::Rest(name) => format!("{{{name}...}}"),
        }
    }
}

fn read_level(level: &str, last: bool) -> Result<Level, (String, String)> {
    let Some(inner) = level.strip_prefix('{').and_then(|level| level.strip_suffix('}')) else {
        return match level {
            "+" => Err(("+ is written as a capture here".into(), "write {name} for one level".into())),
            "#" => Err(("# is written as a capture here".into(), "write {name...} for the rest".into())),
            _ if level.contains(['+', '#', '{', '}']) => Err((
                format!("the level {level:?} mixes text and a capture"),
                "a capture takes a whole level: pos/{till}, not pos-{till}".into(),
            )),
            _ => Ok(Level::Literal(level.to_owned())),
        };
    };
    let (name, rest) = match inner.strip_suffix("...") {
        Some(name) => (name, true),
        None => (inner, false),
    };
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
        return Err((format!("{{{inner}}} is no name for a capture"), "use the letters a to z and _".into()));
    }
    if RESERVED.contains(&name) {
        return Err((
            format!("{{{name}}} is a name that expressions already have"),
            format!("call it {{{name}_name}}"),
        ));
    }
    match (rest, last) {
        (true, false) => Err((format!("{{{inner}}} takes the rest and is not last"), format!("write {{{name}}}"))),
        (true, true) => Ok(Level::Rest(name.to_owned())),
        (false, _) => Ok(Level::One(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_are_read_or_refused_with_a_hint() {
        for (text, filter) in [
            ("pos/{till}/order/{order}/ready", "pos/+/order/+/ready"),
            ("node/{rest...}", "node/#"),
            ("{all...}", "#"),
            ("a//b", "a//b"),
            ("$SYS/broker", "$SYS/broker"),
        ] {
            assert_eq!(Pattern::read(text).unwrap().filter(), filter);
        }
        for (text, hint) in [
            ("", "pos/"),
            ("a/+/b", "{name}"),
            ("a/#", "{name...}"),
            ("a/x+", "whole level"),
            ("a/x{y}", "whole level"),
            ("a/{x...}/b", "{x}"),
            ("a/{x}/{x}", "of its own"),
            ("a/{payload}", "{payload_name}"),
            ("a/{Till}", "a to z"),
            ("a/{}", "a to z"),
            ("branchline/x/state", "tills"),
            ("$share/g/a", "without $share"),
        ] {
            let (_, fix) = Pattern::read(text).unwrap_err();
            assert!(fix.contains(hint), "{text}: {fix}");
        }
    }

    #[test]
    fn captures_take_levels() {
        for (pattern, topic, captured) in [
            ("pos/{till}/order/{order}", "pos/3/order/A-1", vec![("till", "3"), ("order", "A-1")]),
            ("a/{rest...}", "a/b/c/d", vec![("rest", "b/c/d")]),
            ("a/{rest...}", "a", vec![("rest", "")]),
            ("{x}/{y}", "/", vec![("x", ""), ("y", "")]),
        ] {
            let pattern = Pattern::read(pattern).unwrap();
            assert!(pattern.matches(topic));
            assert_eq!(pattern.captures(topic).collect::<Vec<_>>(), captured);
        }
    }

    #[test]
    fn own_and_system_topics_are_not_heard_by_wildcards() {
        let all = Pattern::read("{all...}").unwrap();
        assert!(all.matches("pos/1") && !all.matches("$SYS/x") && !all.matches("branchline/sp/receipt/r"));
        assert!(Pattern::read("$SYS/{x}").unwrap().matches("$SYS/uptime"));
    }

    /// MQTT 4.7 word by word, recursive, over vectors.
    fn naive(filter: &[&str], topic: &[&str]) -> bool {
        match (filter, topic) {
            ([], []) | (["#"], []) => true,
            (["#"], _) => true,
            (["+", f @ ..], [_, t @ ..]) => naive(f, t),
            ([a, f @ ..], [b, t @ ..]) => a == b && naive(f, t),
            _ => false,
        }
    }

    #[test]
    fn a_near_miss_says_which_level_is_to_blame() {
        type Row<'a> = (&'a str, &'a str, Option<(usize, &'a str)>);
        #[rustfmt::skip]
        let table: &[Row<'_>] = &[
            ("pos/{till}/ready", "pos/3/ready", None),
            ("pos/{till}/ready", "pos/3/redy", Some((2, "level 3 is \"redy\", the rule has \"ready\""))),
            ("pos/{till}/ready", "POS/3/ready", Some((2, "level 1 is \"POS\", the rule has \"pos\" (capitals count)"))),
            ("pos/{till}/ready", "/pos/3/ready", Some((1, "the topic begins with /: its first level is empty"))),
            ("pos/{till}/ready", "pos/3", Some((2, "the topic ends after level 2, the rule goes on with \"ready\""))),
            ("pos/{till}", "pos", Some((1, "the topic ends after level 1, the rule goes on with {till}"))),
            ("pos/{till}", "pos/3/", Some((2, "the rule ends after level 2, the topic goes on with \"\" ({name...} takes the rest)"))),
            ("{all...}", "branchline/x/state", Some((0, "topics under branchline/ are the daemon's own: no rule hears them"))),
            ("{all...}", "$SYS/uptime", Some((0, "no capture hears a topic that begins with $"))),
            ("pos/{rest...}", "node/1/2", Some((1, "level 1 is \"node\", the rule has \"pos\""))),
        ];
        for (pattern, topic, expected) in table {
            let missed = Pattern::read(pattern).unwrap().miss(topic);
            let missed = missed.as_ref().map(|(fits, why)| (*fits, why.as_str()));
            assert_eq!(missed, *expected, "{pattern} {topic}");
        }
    }

    proptest! {
        #[test]
        fn matching_is_mqtts_own(
            levels in prop::collection::vec(prop::sample::select(vec!["a", "b", "", "{ONE}"]), 1..5),
            rest in any::<bool>(),
            topic in prop::collection::vec(prop::sample::select(vec!["a", "b", "", "c"]), 1..6),
        ) {
            let mut levels: Vec<String> = levels.iter().enumerate()
                .map(|(i, l)| l.replace("ONE", &"x".repeat(i + 1))).collect();
            if rest { levels.push("{rest...}".into()); }
            let pattern = Pattern::read(&levels.join("/"));
            prop_assume!(pattern.is_ok());
            let pattern = pattern.unwrap();
            let filter = pattern.filter();
            let expected = naive(&filter.split('/').collect::<Vec<_>>(), &topic);
            prop_assert_eq!(pattern.matches(&topic.join("/")), expected);
            prop_assert_eq!(pattern.miss(&topic.join("/")).is_none(), expected);
        }
    }
}
