//! What the runs reached: outcomes, reasons and transitions that were seen from outside. What cannot be reached stands here
//! with why; everything else must be, or the run fails.

use crate::engine::Told;
use crate::message::{Outcome, Reason};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Default)]
pub struct Reach {
    outcomes: BTreeSet<String>,
    reasons: BTreeSet<String>,
    states: BTreeSet<(Option<i64>, i64)>,
    /// How often what happened, for whoever reads the run.
    pub counts: BTreeMap<&'static str, u64>,
}

/// Outcomes that this version's engine does not produce.
const NO_OUTCOME: &[(Outcome, &str)] = &[(Outcome::Merged, "digests are a later issue")];

/// Reasons that this version's engine does not produce, or not from the inputs of this world.
const NO_REASON: &[(Reason, &str)] = &[
    (Reason::StoreDamaged, "damage has seeds of its own: tests/damage"),
    (Reason::Dropped, "`outbox drop` is a later issue"),
    (Reason::TooManyRecipients, "the check of a configuration counts them"),
    (Reason::TemplateMismatch, "the check of a configuration refuses a rule whose default language has no template"),
    (
        Reason::StopsMissed,
        "head office's broker of notices is not in this world: engine/tests/notices.rs has its sessions",
    ),
];

/// Every way from one state of a message to another, as the file's `state` column tells (`src/outbox/mod.rs`): 0 waiting,
/// 1 on its way, 2 unknown, 3 parked, 4 ended.
const STATES: &[(Option<i64>, i64)] = &[
    (None, 0),
    (None, 4),
    (Some(0), 1),
    (Some(0), 3),
    (Some(0), 4),
    (Some(1), 0),
    (Some(1), 2),
    (Some(1), 4),
    (Some(2), 0),
    (Some(2), 4),
    (Some(3), 0),
    (Some(3), 4),
    (Some(4), 0),
];

impl Reach {
    pub fn outcome(&mut self, outcome: &str, reason: &str) {
        self.outcomes.insert(outcome.to_owned());
        self.reasons.insert(reason.to_owned());
    }

    pub fn told(&mut self, told: &Told) {
        self.reasons.insert(told.reason.code().to_owned());
        self.outcomes.extend(told.outcome.map(|outcome| outcome.code().to_owned()));
    }

    /// What a message waits for, as `outbox show` says it; what stops the box, as `status` says it.
    pub fn waits(&mut self, reason: &str) {
        self.reasons.insert(reason.to_owned());
    }

    pub fn state(&mut self, from: Option<i64>, to: i64) {
        if from == Some(to) {
            return;
        }
        // Several ways within one batch, or one on its way when the power failed: by way of waiting, and of what never left.
        let ways: [&[i64]; 4] = [&[], &[0], &[1], &[0, 1]];
        let path = |by: &&[i64]| {
            let stops: Vec<Option<i64>> =
                [from].into_iter().chain(by.iter().chain([&to]).map(|to| Some(*to))).collect();
            let steps = stops.windows(2).map(|step| (step[0], step[1].expect("only the first is nowhere")));
            let steps: Vec<_> = steps.collect();
            steps.iter().all(|step| STATES.contains(step)).then_some(steps)
        };
        let path = ways.iter().find_map(path);
        self.states.extend(path.unwrap_or_else(|| panic!("no way leads from {from:?} to {to}")));
    }

    /// The results of events, from `/metrics`.
    pub fn metrics(&mut self, text: &str) {
        for line in text.lines().filter(|line| line.starts_with("branchline_events_total")) {
            let result = line.split("result=\"").nth(1).and_then(|rest| rest.split('"').next());
            self.reasons.extend(result.map(str::to_owned));
        }
    }

    pub fn did(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    pub fn add(&mut self, other: Reach) {
        self.outcomes.extend(other.outcomes);
        self.reasons.extend(other.reasons);
        self.states.extend(other.states);
        for (what, count) in other.counts {
            *self.counts.entry(what).or_default() += count;
        }
    }

    /// What was not reached, and what was though it stands in a list above.
    pub fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        for outcome in Outcome::ALL {
            let excused = NO_OUTCOME.iter().any(|(known, _)| known == outcome);
            if excused == self.outcomes.contains(outcome.code()) {
                missing.push(format!("outcome {outcome}{}", if excused { ", which is excused" } else { "" }));
            }
        }
        for reason in Reason::ALL {
            let excused = NO_REASON.iter().any(|(known, _)| known == reason);
            if excused == self.reasons.contains(reason.code()) {
                missing.push(format!("reason {reason}{}", if excused { ", which is excused" } else { "" }));
            }
        }
        missing.extend(STATES.iter().filter(|way| !self.states.contains(way)).map(|way| format!("way {way:?}")));
        missing
    }

    pub fn summary(&self) -> String {
        let counts: Vec<String> = self.counts.iter().map(|(what, count)| format!("{what} {count}")).collect();
        let (outcomes, reasons, ways) = (self.outcomes.len(), self.reasons.len(), self.states.len());
        format!("{outcomes} outcomes, {reasons} reasons, {ways} ways between states; {}", counts.join(", "))
    }
}
