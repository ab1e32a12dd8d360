//! What `rules` finds when it compiles: told with file and line like everything else.
//!
//! Floor: config.

use super::super::problem::{Origin, Problem};
use super::super::reader::Account;
use super::super::tree::{self, Node, Table, Value};
use crate::rules::{Rules, Settings};
use std::collections::BTreeMap;

/// Compiles the rules, or tells what is wrong with them, unless it was told already by a part of the same key.
pub(super) fn compile(settings: &Settings, root: &Table, account: &mut Account) -> Option<Rules> {
    let found = match Rules::compile(settings) {
        Ok(rules) => return Some(rules),
        Err(found) => found,
    };
    // A text may have several mistakes: only what was told before covers what is found now.
    let told_before: Vec<String> = account.problems.iter().map(|told| told.key.clone()).collect();
    for problem in found {
        // Without a list every template is missing; that the list is missing was told once.
        let without_list = settings.templates.is_none() && problem.key.ends_with(".message.template");
        if without_list || told_before.iter().any(|told| concerns(told, &problem.key)) {
            continue;
        }
        let origin = tree::origin_of(root, &problem.key).unwrap_or_else(|| Origin::file(&account.file));
        let remedy = problem.remedy();
        let told = Problem::new(problem.key, origin, problem.message).fix(remedy);
        #[cfg(test)]
        let told = Problem { told_at: problem.told_at, ..told };
        account.problems.push(Problem { excerpt: problem.excerpt, ..told });
    }
    None
}

/// Where each key of each rule was written, for what goes wrong only with an event.
pub(super) fn origins(root: &Table) -> BTreeMap<String, String> {
    let mut origins = BTreeMap::new();
    if let Some(rules) = root.get("rules") {
        walk("rules", rules, &mut origins);
    }
    origins
}

fn walk(key: &str, node: &Node, origins: &mut BTreeMap<String, String>) {
    origins.insert(key.to_owned(), node.origin.to_string());
    match &node.value {
        Value::Table(table) => table.iter().for_each(|(name, node)| walk(&format!("{key}.{name}"), node, origins)),
        Value::List(list) => {
            list.iter().enumerate().for_each(|(index, node)| walk(&format!("{key}.{index}"), node, origins));
        }
        _ => {}
    }
}

/// Whether what was told covers what was found: the same key, a part of it, or a key of a rule that it is a part of.
fn concerns(told: &str, found: &str) -> bool {
    let below = |whole: &str, part: &str| part.strip_prefix(whole).is_some_and(|rest| rest.starts_with('.'));
    told == found || below(found, told) || (below(told, found) && told.matches('.').count() >= 2)
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
}
