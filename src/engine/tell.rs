//! What people are told: one line of log for each decision, and the counters.
//!
//! Floor: engine. Told when the batch is true; never a name, a text or a whole number.

use super::{Action, Engine, Tally, Told};
use crate::message::{Outcome, Reason};
use crate::outbox;

impl Engine {
    /// Tells people, and the counters, about a message.
    pub(super) fn tell(&mut self, found: &outbox::Found, outcome: Outcome, reason: Reason, detail: &str, loud: bool) {
        if let Some(category) = found.category {
            self.tally.push(Tally::Message(category, outcome, reason));
        }
        self.out.push(Action::Show(Told {
            rule: Some(found.rule.clone()),
            event: found.event.clone(),
            message: Some(found.id),
            to: found.to.clone(),
            priority: Some(found.priority),
            outcome: Some(outcome),
            reason,
            detail: detail.to_owned(),
            loud,
        }));
    }

    /// Tells people about the box itself.
    pub(super) fn tell_box(&mut self, reason: Reason, detail: String, loud: bool) {
        self.out.push(Action::Show(Told {
            rule: None,
            event: None,
            message: None,
            to: None,
            priority: None,
            outcome: None,
            reason,
            detail,
            loud,
        }));
    }
}
