//! What `rules` finds when it compiles: told with file and line like everything else.
//!
//! Floor: config.

use super::super::problem::{Origin, Problem};
use super::super::reader::Account;
use super::super::tree::{self, Table};
use crate::rules::{Rules, Settings};

/// Compiles the rules, or tells what is wrong with them, unless it was told already by a part of the same key.
pub(super) fn compile(settings: &Settings, root: &Table, account: &mut Account) -> Option<Rules> {
    let found = match Rules::compile(settings) {
        Ok(rules) => return Some(rules),
        Err(found) => found,
    };
    for problem in found {
        // Without a list every template is missing; that the list is missing was told once.
        let without_list = settings.templates.is_none() && problem.key.ends_with(".message.template");
        if without_list || account.problems.iter().any(|told| concerns(&told.key, &problem.key)) {
            continue;
        }
        let origin = tree::origin_of(root, &problem.key).unwrap_or_else(|| Origin::file(&account.file));
        account.problems.push(Problem::new(problem.key, origin, problem.message).fix(sentence(&problem.fix)));
    }
    None
}

/// Whether what was told covers what was found: the same key, a part of it, or a key of a rule that it is a part of.
fn concerns(told: &str, found: &str) -> bool {
    let below = |whole: &str, part: &str| part.strip_prefix(whole).is_some_and(|rest| rest.starts_with('.'));
    told == found || below(found, told) || (below(told, found) && told.matches('.').count() >= 2)
}

/// With a capital and a full stop.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => {
            let stop = if text.ends_with(['.', '?', '!']) { "" } else { "." };
            format!("{}{}{stop}", first.to_uppercase(), letters.as_str())
        }
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_concern_each_other() {
        for (one, other, concern) in [
            ("rules.a.to", "rules.a.to.0", true),
            ("rules.a.to.0", "rules.a.to", true),
            ("templates.file", "templates.file", true),
            ("rules.a.message", "rules.a", true),
            ("rules.a", "rules.a.to", false),
            ("rules.a.to", "rules.a.topic", false),
            ("rules", "rules.a.to", false),
        ] {
            assert_eq!(concerns(one, other), concern, "{one} {other}");
        }
    }

    #[test]
    fn fixes_are_sentences() {
        for (text, shown) in [("", ""), ("name one", "Name one."), ("was it {{ b }}?", "Was it {{ b }}?")] {
            assert_eq!(sentence(text), shown);
        }
    }
}
