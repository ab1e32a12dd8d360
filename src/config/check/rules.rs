//! `[base.NAME]`, `[rules.NAME]` and what they say. Bases are merged in already (see `inherit`); each is also read by
//! itself, so that a mistake in it is told once and by its own name.
//!
//! Floor: config. Texts stay texts here: `rules` compiles them.

use super::super::problem::nearest;
use super::super::reader::{Reader, is_name, there_are};
use super::super::tree::Node;
use super::policy::{self, Policy};
use super::{Branch, message, people};
use crate::message::{Category, Country, Priority};
use crate::policy::Quiet;
use crate::rules::{Format, Message, OPERATOR, OPT_OUT, Rule, Settings, To};
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::time::Duration;

/// Keys of a rule that later versions bring.
const LATER: [&str; 14] = [
    "for",
    "clear",
    "cleared",
    "silent_for",
    "expect",
    "rearm",
    "flapping",
    "digest",
    "delay",
    "cancels",
    "sender",
    "max_recipients",
    "approve",
    "dedupe",
];

/// Names that a rule may refer to.
struct Known {
    people: Vec<String>,
    contacts: Vec<String>,
    purposes: Vec<String>,
}

/// Everything that `rules` is set up with. What the `hours` of rules leave out goes to `policy`.
///
/// What could not be read, which was told, has something harmless in its place: the texts of the rules are looked at all the same,
/// so that a person hears of all mistakes at once. Nothing is ever run with it.
pub(super) fn settings(r: &mut Reader<'_, '_>, branch: &Branch, policy: Option<&mut Policy>) -> Settings {
    let country = branch.country;
    let languages = people::languages(r);
    let known = Known { people: names(r, "people"), contacts: names(r, "contacts"), purposes: names(r, "purposes") };
    let people = people::people(r, country, &languages);
    let contacts = people::contacts(r, country, &known.people);
    let (listed, templates) = r.within("templates", |r| (r.has("file"), templates(r)));
    r.each("base", |_, r| {
        if r.has("inherit") {
            let problem = r.problem("inherit", "a base inherits from nobody").fix("Write its keys here.");
            r.tell(problem);
        }
        hours(r);
        rule("", r, &known, true)
    });
    let mut quiet = BTreeMap::new();
    let rules = r.each("rules", |name, r| {
        if name == OPERATOR {
            let problem = r.problem("", "is what operators' own messages stand under (branchline send)");
            r.tell(problem.fix("Give the rule another name."));
        }
        if name == OPT_OUT {
            let problem = r.problem("", "is what the confirmations of stop words stand under (policy.opt_out)");
            r.tell(problem.fix("Give the rule another name."));
        }
        let hours = hours(r);
        let rule = rule(name, r, &known, false);
        if hours.is_some() && rule.as_ref().is_some_and(|rule| rule.priority == Priority::Critical) {
            let problem = r.problem("hours", "a critical message goes out at any time");
            r.tell(problem.fix("Remove hours, or choose another priority."));
        }
        quiet.extend(hours.map(|hours| (name.to_owned(), hours)));
        rule
    });
    let sends_templates = rules.values().flatten().any(|rule| matches!(rule.message, Some(Message::Template { .. })));
    if sends_templates && !listed {
        r.within("templates", |r| r.missing("file", "Rules send templates: name the platform's template list here."));
    }
    let expires = policy.map_or([Duration::MAX; 4], |policy| {
        policy.settings.hours.rules = quiet;
        policy.expires
    });
    Settings {
        branch: branch.id.clone().unwrap_or_default(),
        country: country.or_else(|| Country::of_code("US")).expect("the United States have a telephone plan"),
        timezone: branch.timezone.clone().unwrap_or(TimeZone::UTC),
        languages,
        purposes: known.purposes,
        people,
        contacts,
        rules: rules.into_values().flatten().collect(),
        templates,
        expires,
        origins: BTreeMap::new(),
    }
}

/// `hours = "09:00-20:00"`: the rest of the day is quiet.
fn hours(r: &mut Reader<'_, '_>) -> Option<Quiet> {
    r.parsed("hours", "a time of day like \"09:00-20:00\"", |node| {
        let (from, to) = policy::span(node.as_text()?)?;
        Some(Quiet::Daily { from: to, to: from })
    })
}

/// The text of `templates.file`.
fn templates(r: &mut Reader<'_, '_>) -> Option<String> {
    let (_, content) = r.file_up_to("file", crate::limits::TEMPLATE_LIST)?;
    let text = String::from_utf8(content).ok();
    if text.is_none() {
        let problem = r.problem("file", "the file is no text").wanted("the platform's template list, JSON in UTF-8");
        r.tell(problem);
    }
    text
}

fn names(r: &mut Reader<'_, '_>, table: &str) -> Vec<String> {
    r.take(table).and_then(Node::as_table).into_iter().flat_map(|table| table.keys().cloned()).collect()
}

/// One rule, or a base, which need not be whole.
fn rule(name: &str, r: &mut Reader<'_, '_>, known: &Known, base: bool) -> Option<Rule> {
    r.later(&LATER);
    r.leaf("inherit")
        .filter(|node| node.as_text().is_none())
        .inspect(|node| r.wrong("inherit", node, "the name of one base"));
    let topic = r.text("topic");
    let to = to(r, known);
    let default = |word| (!base).then_some(word);
    let priority =
        r.choice_or("priority", default("normal"), &Priority::ALL.map(|priority| (priority.code(), priority)));
    let category = r.choice("category", &Category::ALL.map(|category| (category.code(), category)));
    if let (Some(Priority::Critical), Some(Category::Marketing)) = (priority, category) {
        let problem = r.problem("priority", "marketing is never critical").fix("Choose another priority.");
        r.tell(problem);
    }
    let dedupe_window = if base { r.duration("dedupe_window") } else { Some(r.duration_or("dedupe_window", "24h")) };
    let retained = r.choice_or("retained", default("ignore"), &[("ignore", false), ("accept", true)]);
    let format = [("json", Format::Json), ("text", Format::Text), ("number", Format::Number)];
    let format = r.choice_or("format", default("json"), &format);
    let consent = purpose(r, known);
    let (grants, revokes) = (purposes(r, "grants", known), purposes(r, "revokes", known));
    let (when, opt_in) = (r.text("when"), r.text("opt_in"));
    let (country, language) = (r.text("country"), r.text("language"));
    let (id, at, subject) = (r.text("id"), r.text("at"), r.text("subject"));
    let expires = r.duration("expires");
    let message = if r.has("message") { Some(message::message(r, base)) } else { None };
    if base {
        return None;
    }
    r.require("topic", "Name the MQTT topics that it hears, as in topic = \"pos/{till}/order/{order}/ready\".");
    r.require("to", "Say whom it is about, as in to = \"{{ payload.customer.phone }}\" or \"contacts:oncall\".");
    if message.is_none() && !r.has("grants") && !r.has("revokes") {
        r.missing("message", "A rule needs a [rules.NAME.message], or an effect: grants or revokes.");
    }
    if message.is_some() && to.iter().any(|to| !matches!(to, To::Contacts(_))) {
        r.require(
            "consent",
            "Name the purpose that people agreed to, one of [purposes]; only contacts bring their own.",
        );
    }
    Some(Rule {
        name: name.to_owned(),
        topic: topic.unwrap_or_default(),
        when,
        to,
        country,
        language,
        consent,
        opt_in,
        id,
        at,
        subject,
        priority: priority.unwrap_or(Priority::Normal),
        category,
        expires,
        dedupe_window: dedupe_window.unwrap_or_default(),
        accept_retained: retained.unwrap_or_default(),
        format: format.unwrap_or(Format::Json),
        grants,
        revokes,
        message: message.flatten(),
    })
}

/// `to`: a template that yields a number, `people:NAME`, `contacts:NAME`, or a list of these.
fn to(r: &mut Reader<'_, '_>, known: &Known) -> Vec<To> {
    let entries = r.texts("to");
    entries
        .into_iter()
        .filter(|entry| {
            if entry.trim().is_empty() {
                let problem = r.problem("to", "is empty").fix("Name somebody, or take the entry out.");
                r.tell(problem);
            }
            !entry.trim().is_empty()
        })
        .collect::<Vec<_>>()
        .into_iter()
        .map(|entry| match entry.split_once(':') {
            Some(("people", name)) => {
                refer(r, "to", "people", name, &known.people);
                To::Person(name.to_owned())
            }
            Some(("contacts", name)) => {
                refer(r, "to", "contacts", name, &known.contacts);
                To::Contacts(name.to_owned())
            }
            _ => To::Number(entry),
        })
        .collect()
}

/// A name that must exist in one of the tables.
fn refer(r: &mut Reader<'_, '_>, key: &str, table: &str, name: &str, known: &[String]) {
    if !known.iter().any(|known| known == name) {
        let name = if is_name(name) { name } else { "…" };
        let problem = r.problem(key, format!("[{table}.{name}] does not exist"));
        let known = || known.iter().map(String::as_str);
        r.tell(match nearest(name, known()) {
            Some(near) => problem.suggest(Some(near)),
            None => problem.fix(format!("Write [{table}.{name}], or name another. {}", there_are(known()))),
        });
    }
}

fn purpose(r: &mut Reader<'_, '_>, known: &Known) -> Option<String> {
    let name = r.text("consent")?;
    refer(r, "consent", "purposes", &name, &known.purposes);
    Some(name)
}

/// `grants` and `revokes`: purposes; `all` revokes everything.
fn purposes(r: &mut Reader<'_, '_>, key: &str, known: &Known) -> Vec<String> {
    let names = r.texts(key);
    for name in names.iter().filter(|name| key != "revokes" || *name != "all") {
        refer(r, key, "purposes", name, &known.purposes);
    }
    names
}
