//! Rules: which events matter, to whom, and what is said. Events go in; drafts, effects and reasons come out.
//!
//! Floor: rooms. Keeps nothing between events, reads no clock, sends nothing.
//!
//! ```text
//! Settings ─compile─► Rules     topic ─matching─► rule ─apply─► Passed | Unreadable | Made { effects, drafts, failed }
//! ```
//!
//! Expressions and templates are MiniJinja made strict (`strict`, `guard`, `texts`); to add a filter: a name in `strict::FILTERS`,
//! an arm in `guard::filter`, a row in its table test.

mod apply;
mod catalog;
mod compare;
mod compile;
mod excerpt;
mod explain;
mod filters;
mod guard;
mod message;
mod paths;
mod pattern;
mod say;
mod send;
mod settings;
mod strict;
mod texts;

pub use compare::{Change, Difference, compare};
pub use compile::Problem;
pub use explain::{Explained, Preview, Step};
pub use settings::*;

use crate::message::{Arrival, Category, Draft, Filter, Number, Priority, Reason};
use crate::time::Wall;
use apply::Shared;
use compile::{Compiled, Compiler, Known};
use explain::Trace;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Stands where a rule's name stands for what operators send (`branchline send`): in receipts, lists and holds. No rule may take it.
pub const OPERATOR: &str = "operator";
/// The same for the message that confirms a stop.
pub const OPT_OUT: &str = "opt-out";

/// The largest subscription identifier of MQTT 5 (3.8.2.1.2).
const IDENTIFIER_MAX: u32 = 268_435_455;

/// Every rule of a configuration, compiled.
#[derive(Debug)]
pub struct Rules {
    shared: Shared,
    rules: Vec<Compiled>,
    filters: Vec<Filter>,
    office: send::Office,
    operator: Arc<str>,
}

/// One rule, to be applied to an arrival.
#[derive(Clone, Copy, Debug)]
pub struct RuleRef<'r>(&'r Compiled);

impl<'r> RuleRef<'r> {
    /// Its name.
    pub fn name(self) -> &'r Arc<str> {
        &self.0.name
    }
    /// What its messages may overtake.
    pub fn priority(self) -> Priority {
        self.0.priority
    }
}

/// What a rule makes of an arrival.
#[derive(Debug)]
pub enum Applied {
    /// Nothing, and that is as it should be: count it. `WhenFalse`, `RetainedIgnored`.
    Passed(Reason),
    /// It can never be handled: `PayloadUnreadable`, `PayloadTooLarge`, `ExpressionFailed`, `TemplateFailed`, `NobodyToTell`,
    /// `TooManyRecipients`; and, where every single recipient failed, the first one's reason (`NumberUnreadable`, `TemplateMismatch`).
    Unreadable {
        /// The event's id, as far as it could be found.
        event: Option<Arc<str>>,
        /// Why.
        reason: Reason,
        /// Where and what, without anything that the payload holds.
        detail: String,
    },
    /// Something to do: at least one effect or draft.
    Made {
        /// The event's id.
        event: Option<Arc<str>>,
        /// Consents that change, before the drafts.
        effects: Vec<Effect>,
        /// What is said, at most one draft a person and `limits::RECIPIENTS` in all.
        drafts: Vec<Draft>,
        /// Single recipients that could not be read or rendered for; the others still go.
        failed: Vec<(Reason, String)>,
    },
}

/// A change of consent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// The person agreed.
    Grant {
        /// Who.
        to: Number,
        /// To what.
        purposes: Vec<Arc<str>>,
    },
    /// The person took it back.
    Revoke {
        /// Who.
        to: Number,
        /// What; empty for everything.
        purposes: Vec<Arc<str>>,
    },
}

impl Rules {
    /// Compiles every text and looks up every name.
    ///
    /// # Errors
    /// All problems at once, in the order of the rules.
    pub fn compile(settings: &Settings) -> Result<Rules, Vec<Problem>> {
        let mut compiler = Compiler::new(settings);
        let mut rules: Vec<Compiled> = settings.rules.iter().filter_map(|rule| compiler.rule(rule)).collect();
        compiler.apart();
        if !compiler.problems.is_empty() {
            return Err(compiler.problems);
        }
        let filters = filters(&rules);
        for rule in &mut rules {
            let wanted = rule.pattern.filter();
            rule.identifier =
                filters.iter().find(|filter| filter.filter == wanted).map_or(0, |filter| filter.identifier);
        }
        let known = |(name, person): (&String, &Person)| {
            let known = Known {
                number: person.number.clone(),
                name: Some(name.as_str().into()),
                language: person.language.clone(),
            };
            (person.number.clone(), known)
        };
        let shared = Shared {
            branch: settings.branch.as_str().into(),
            country: settings.country,
            zone: settings.timezone.clone(),
            languages: settings.languages.clone(),
            people: settings.people.iter().map(known).collect(),
            texts: compiler.texts,
        };
        let office = send::Office::new(settings, compiler.catalog, compiler.kinds);
        Ok(Rules { shared, rules, filters, office, operator: OPERATOR.into() })
    }

    /// What to subscribe to: one filter for all rules that share it.
    ///
    /// Identifiers are made from the filters' text, so that one and the same filter keeps its identifier when others come and go:
    /// a persistent session may hold publishes that were marked before a restart with another configuration.
    pub fn filters(&self) -> Vec<Filter> {
        self.filters.clone()
    }

    /// The names of all rules.
    pub fn names(&self) -> Vec<String> {
        self.rules.iter().map(|rule| rule.name.to_string()).collect()
    }

    /// The names of the templates that the rules use, each once.
    pub fn template_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .rules
            .iter()
            .filter_map(|rule| match &rule.say {
                Some(say::Say::Template(template)) => Some(template.name.clone()),
                _ => None,
            })
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The categories that a rule's template has, one for each language; none where it sends no template.
    pub fn categories(&self, rule: &str) -> Vec<Category> {
        let named = self.rules.iter().filter(|known| &*known.name == rule);
        let templates = named.filter_map(|rule| match &rule.say {
            Some(say::Say::Template(template)) => Some(template),
            _ => None,
        });
        templates.flat_map(|template| template.forms.values().map(|form| form.category)).collect()
    }

    /// The rules that an arrival is for. Allocates nothing.
    ///
    /// A broker sends one copy for each overlapping subscription and marks it with its identifier: only the rules of that filter
    /// get this copy. Without a mark, or with none that this configuration knows, it is for every rule whose topic matches.
    pub fn matching<'r, 't>(
        &'r self,
        topic: &'t str,
        subscriptions: &'t [u32],
    ) -> impl Iterator<Item = RuleRef<'r>> + use<'r, 't> {
        let marked = subscriptions.iter().any(|id| self.filters.iter().any(|filter| filter.identifier == *id));
        let meant = move |rule: &&Compiled| !marked || subscriptions.contains(&rule.identifier);
        self.rules.iter().filter(meant).filter(|rule| rule.pattern.matches(topic)).map(RuleRef)
    }

    /// Applies one rule. `now` is the wall clock, if it may be believed: `event.at` for events that bring no time.
    pub fn apply(&self, rule: RuleRef<'_>, arrival: &Arrival, now: Option<Wall>) -> Applied {
        apply::apply(&self.shared, rule.0, arrival, now, &mut Trace::off())
    }

    /// What each rule of the configuration would do with an event, matching ones first.
    pub fn explain(&self, topic: &str, payload: &[u8], now: Option<Wall>) -> Vec<Explained> {
        let mut all: Vec<Explained> =
            self.rules.iter().map(|rule| explain::explain(&self.shared, rule, topic, payload, now)).collect();
        // Matching ones first, then the nearest misses.
        all.sort_by_key(|explained| (!explained.matches, std::cmp::Reverse(explained.fits)));
        all
    }
}

/// The distinct filters in the order of their text, each with its identifier.
fn filters(rules: &[Compiled]) -> Vec<Filter> {
    let mut retained: BTreeMap<String, bool> = BTreeMap::new();
    for rule in rules {
        *retained.entry(rule.pattern.filter()).or_default() |= rule.accept_retained;
    }
    let mut filters: Vec<Filter> = Vec::with_capacity(retained.len());
    for (filter, retained) in retained {
        let mut identifier = fingerprint(&filter);
        while filters.iter().any(|other| other.identifier == identifier) {
            identifier = identifier % IDENTIFIER_MAX + 1;
        }
        filters.push(Filter { filter, identifier, retained });
    }
    filters
}

/// 1 to `IDENTIFIER_MAX`, the same for the same text in every version (FNV-1a).
fn fingerprint(text: &str) -> u32 {
    let hash = text.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash % IDENTIFIER_MAX + 1
}

#[cfg(test)]
mod tests;
