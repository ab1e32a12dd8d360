//! `[languages]`, `[people.NAME]` and `[contacts.NAME]`.
//!
//! Floor: config.

use super::super::problem::{Problem, nearest};
use super::super::reader::{Reader, there_are};
use super::super::tree::{Node, Value};
use crate::message::{Country, Number};
use crate::rules::{Contact, Languages, Person};
use std::collections::BTreeMap;

/// What a language looks like.
const LANGUAGE: &str = "a language of the platform like \"pt_BR\", or an alias of [languages.aliases]";
/// What a number looks like.
const NUMBER: &str = "a number like \"+5511987654321\"";

/// `pt_BR`, `en`, `fil`: the form of the platform's codes.
fn is_language(text: &str) -> bool {
    let (language, country) =
        text.split_once('_').map_or((text, None), |(language, country)| (language, Some(country)));
    matches!(language.len(), 2 | 3)
        && language.bytes().all(|byte| byte.is_ascii_lowercase())
        && country.is_none_or(|country| country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase()))
}

/// A key that is a language.
pub(super) fn language_name(r: &mut Reader<'_, '_>, name: &str) {
    if !is_language(name) {
        let problem = r.problem(name, "is no language").wanted("a language of the platform like \"pt_BR\"");
        r.tell(problem);
    }
}

/// `[languages]`
pub(super) fn languages(r: &mut Reader<'_, '_>) -> Languages {
    let talks = r.has("rules");
    r.within("languages", |r| {
        let aliases = r.within("aliases", |r| {
            let names = r.names().into_iter();
            names
                .filter_map(|name| {
                    Some((name.clone(), r.text_of(&name, "a language of the platform like \"pt_BR\"", is_language)?))
                })
                .collect()
        });
        let by_country = r.within("by_country", |r| {
            let mut found = BTreeMap::new();
            for name in r.names() {
                if Country::of_code(&name).is_none() {
                    let problem = r.problem(&name, "is no country").wanted("two letters, as in MX");
                    r.tell(problem);
                }
                found.extend(language(r, &name, &aliases).map(|language| (name, language)));
            }
            found
        });
        if talks {
            r.require("default", "Name the language that is taken when nothing else tells, as in default = \"pt_BR\".");
        }
        let default = language(r, "default", &aliases).unwrap_or_default();
        Languages { default, aliases, by_country }
    })
}

/// A language or an alias of one, as the platform calls it.
fn language(r: &mut Reader<'_, '_>, key: &str, aliases: &BTreeMap<String, String>) -> Option<String> {
    r.parsed(key, LANGUAGE, |node| {
        let text = node.as_text()?;
        aliases.get(text).cloned().or_else(|| is_language(text).then(|| text.to_owned()))
    })
}

/// `[people.*]`
pub(super) fn people(
    r: &mut Reader<'_, '_>,
    country: Option<Country>,
    languages: &Languages,
) -> BTreeMap<String, Person> {
    let people = r.each("people", |_, r| {
        r.require("number", "Write the number with + and country code.");
        let number = r.leaf("number").and_then(|node| number(r, "number", node, country));
        let language = language(r, "language", &languages.aliases);
        Some(Person { number: number?, language })
    });
    people.into_iter().filter_map(|(name, person)| Some((name, person?))).collect()
}

/// A number, told without its digits where it is none.
fn number(r: &mut Reader<'_, '_>, key: &str, node: &Node, country: Option<Country>) -> Option<Number> {
    let tell = |r: &mut Reader<'_, '_>, found: String| {
        let problem = Problem::new(r.key(key), node.origin.clone(), found).wanted(NUMBER);
        r.tell(problem);
        None
    };
    let Some(text) = node.as_text() else { return tell(r, format!("is {}", node.kind())) };
    match Number::read(text, country?) {
        Ok(number) => Some(number),
        Err(problem) => tell(r, problem.to_string()),
    }
}

/// `[contacts.*]`; `people` are the names that are written, right or wrong.
pub(super) fn contacts(
    r: &mut Reader<'_, '_>,
    country: Option<Country>,
    people: &[String],
) -> BTreeMap<String, Contact> {
    let contacts = r.each("contacts", |_, r| {
        r.later(&["rota", "otherwise"]);
        r.require("consent", "State the purpose that these people agreed to, as in consent = \"staff\".");
        let consent = r.text_of("consent", "a purpose, as in \"staff\"", super::super::reader::is_name);
        let members = r.texts("members");
        let known = || people.iter().map(String::as_str);
        for (index, member) in members.iter().enumerate().filter(|(_, member)| !people.contains(member)) {
            let problem = r.problem("members", format!("[people.{member}] does not exist"));
            let problem = Problem { key: format!("{}.{index}", problem.key), ..problem };
            r.tell(match nearest(member, known()) {
                Some(near) => problem.suggest(Some(near)),
                None => problem.fix(format!("Write [people.{member}], or name another. {}", there_are(known()))),
            });
        }
        let mut numbers = Vec::new();
        if let Some(node) = r.leaf("numbers") {
            let alone = std::slice::from_ref(node);
            let items = if let Value::List(list) = &node.value { list.as_slice() } else { alone };
            for (index, item) in items.iter().enumerate() {
                numbers.extend(number(r, &format!("numbers.{index}"), item, country));
            }
        }
        if !r.has("members") && !r.has("numbers") {
            r.missing("members", "Name people, as in members = [\"ana\"], or numbers = [\"+55…\"].");
        }
        Some(Contact { consent: consent?, members, numbers })
    });
    contacts.into_iter().filter_map(|(name, contact)| Some((name, contact?))).collect()
}
