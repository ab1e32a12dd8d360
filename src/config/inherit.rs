//! `inherit`: a rule takes the keys of a `[base.NAME]` that it does not have itself.
//!
//! Floor: config.

use super::problem::{Problem, nearest};
use super::tree::{Node, Table, Value};

/// Lays each rule over the base that it names; a base takes from nobody.
pub(super) fn apply(root: &mut Table) -> Vec<Problem> {
    let mut problems = Vec::new();
    let bases = root.get("base").and_then(Node::as_table).cloned().unwrap_or_default();
    let Some(Node { value: Value::Table(rules), .. }) = root.get_mut("rules") else { return problems };
    for (name, rule) in rules {
        let Value::Table(rule) = &mut rule.value else { continue };
        let Some(inherit) = rule.get("inherit") else { continue };
        let Some(wanted) = inherit.as_text() else { continue };
        match bases.get(wanted).and_then(Node::as_table) {
            Some(base) => take(rule, base),
            None => problems.push(
                Problem::new(
                    format!("rules.{name}.inherit"),
                    inherit.origin.clone(),
                    format!("there is no [base.{wanted}]"),
                )
                .suggest(nearest(wanted, bases.keys().map(String::as_str))),
            ),
        }
    }
    problems
}

fn take(rule: &mut Table, base: &Table) {
    for (key, node) in base {
        match (rule.get_mut(key), node) {
            (None, _) => {
                rule.insert(key.clone(), node.clone());
            }
            (Some(Node { value: Value::Table(own), .. }), Node { value: Value::Table(below), .. })
                if key == "message" =>
            {
                take_message(own, below);
            }
            _ => {}
        }
    }
}

/// Key by key. A message that says what it is (template or text) takes no other kind from its base.
fn take_message(own: &mut Table, base: &Table) {
    let is_text = own.contains_key("text");
    let is_template = own.contains_key("template");
    for (key, node) in base {
        let other_kind = if key == "text" { is_template } else { is_text };
        if !other_kind {
            own.entry(key.clone()).or_insert_with(|| node.clone());
        }
    }
}
