//! `send`: an operator's message, on the way of every other message: draft, policy, store, pace, attempt, receipt.
//!
//! Floor: engine.

use super::Answered;
use crate::engine::Engine;
use crate::message::Outcome;
use crate::operate::{Reply, SendOrder, SendReport};
use crate::outbox::draft_bytes;

/// Told when there is no room: an operator is there to be told, so nothing is held back for later.
const FULL: &str = "the store is full (outbox.max_bytes), and what waits comes first: nothing was stored; try again when \
    messages have left, or see branchline status";

/// Told when what is free on the disk is kept for the outcomes of what is on its way.
const DISK: &str = "the store's disk is nearly full, and what is left is kept for messages on their way: nothing was stored; \
    make space and try again";

impl Engine {
    /// Stores the message, or says why not. Whether it may leave is decided when its turn comes, as for every message.
    pub(super) fn send(&mut self, order: &SendOrder) -> Answered {
        let (draft, preview) = match self.rules.send(order) {
            Ok(made) => made,
            Err(problems) => {
                let lines: Vec<String> = problems.iter().map(|problem| problem.line()).collect();
                return Ok(Reply::Refused(lines.join("\n")));
            }
        };
        let told = self.explain_draft(&draft, &preview, self.moment)?;
        let mut report = SendReport { id: None, dry_run: order.dry_run, basis: self.basis(), message: told };
        if order.dry_run {
            return Ok(Reply::data(&report));
        }
        // Also what would be withheld is a row.
        if self.soft.disk_full || self.disk_is_short() {
            return Ok(Reply::Refused(DISK.to_owned()));
        }
        let priority = draft.terms().priority;
        let before = self.soft.held.iter().any(|held| held.priority <= priority);
        let waits = report.message.outcome == Outcome::Stored;
        if (waits && before) || !self.make_room(priority, 1, || draft_bytes(&draft))? {
            return Ok(Reply::Refused(FULL.to_owned()));
        }
        // An operator's message has no event id: it is never taken for a repeat.
        if let Some((id, outcome, reason)) = self.draft(draft, false)? {
            report.id = Some(self.outbox.shown(id));
            let waits = outcome == Outcome::Stored;
            if !waits {
                (report.message.outcome, report.message.reason, report.message.until) = (outcome, reason, None);
            }
        }
        Ok(Reply::data(&report))
    }
}
