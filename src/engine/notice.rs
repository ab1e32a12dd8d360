//! What the platform reports by itself: how messages went on, what people write and wish, news of the account.
//!
//! Floor: engine. Read by `whatsapp`; a body is true as a whole or not at all, and may come more than once, in any order.

use super::{Action, Engine};
use crate::message::{Inbound, MessageId, Notice, Notices, Number, Outcome, PersonId, Progress, Reason, Status, Who};
use crate::outbox::{Settling, StoreError};
use std::time::Duration;

/// The platform's service window (facts 2.6).
const WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

impl Engine {
    /// One body, whichever way it came.
    pub(super) fn heard(&mut self, ticket: u64, body: &Notices) -> Result<(), StoreError> {
        for notice in &body.notices {
            match notice {
                Notice::Status(status) => self.status_of(status)?,
                Notice::Inbound(inbound) => self.inbound(inbound)?,
                Notice::Marketing { who, stop, .. } => {
                    if let Some(person) = self.person_of(who)? {
                        self.outbox.set_marketing_stopped(person, *stop)?;
                    }
                }
                Notice::Moved { .. } | Notice::News(_) => {}
            }
        }
        self.out.push(Action::Heard(ticket, true));
        Ok(())
    }

    /// Statuses come in any order: a message only ever goes up.
    fn status_of(&mut self, status: &Status) -> Result<(), StoreError> {
        let Some(id) = self.message_of(status) else { return Ok(()) };
        let Some(found) = self.outbox.found(id)? else { return Ok(()) };
        let outcome = match &status.progress {
            Progress::Sent => return Ok(()),
            Progress::Delivered => Outcome::Delivered,
            Progress::Read => Outcome::Read,
            Progress::Failed { .. } => Outcome::Failed,
        };
        // Only what the platform took, and not yet as far.
        if !self.outbox.outcome(id)?.is_some_and(|known| known < outcome && known >= Outcome::Accepted) {
            return Ok(());
        }
        let told = Settling { wamid: Some(&status.wamid), ..Settling::new(outcome, Reason::Taken) };
        self.outbox.settle(id, &told, self.moment)?;
        self.tell(&found, outcome, Reason::Taken, "", false);
        Ok(())
    }

    /// The message that `biz_opaque_callback_data` names, if it is ours.
    fn message_of(&self, status: &Status) -> Option<MessageId> {
        let mut parts = status.data.as_deref()?.splitn(3, '/');
        let (branch, id) = (parts.next()?, parts.next()?);
        if branch != self.branch {
            return None;
        }
        self.outbox.read_shown(id)
    }

    fn inbound(&mut self, inbound: &Inbound) -> Result<(), StoreError> {
        let Some(person) = self.person_of(&inbound.who)? else { return Ok(()) };
        let at = inbound.at.unwrap_or(self.moment.wall.reading());
        self.outbox.open_window(person, at + WINDOW)?;
        self.needs_no_place(person)?;
        self.refresh(person)
    }

    /// A number that nobody can read is no person that we could answer.
    fn person_of(&mut self, who: &Who) -> Result<Option<PersonId>, StoreError> {
        let Some(Ok(number)) = who.digits.as_deref().map(Number::of_digits) else { return Ok(None) };
        self.outbox.person(&number).map(Some)
    }
}
