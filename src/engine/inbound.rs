//! What people write, press and wish.
//!
//! Floor: engine.

use super::Engine;
use crate::message::{Inbound, Number, PersonId, Who};
use crate::outbox::StoreError;
use crate::time::Wall;
use std::time::Duration;

/// The platform's service window (facts 2.6).
const WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

impl Engine {
    pub(super) fn inbound(&mut self, inbound: &Inbound) -> Result<&'static str, StoreError> {
        let Some(person) = self.person_of(&inbound.who)? else { return Ok("nobody") };
        let at = inbound.at.unwrap_or(self.moment.wall.reading());
        self.outbox.open_window(person, at + WINDOW)?;
        self.needs_no_place(person)?;
        self.refresh(person)?;
        Ok("inbound")
    }

    /// A person told the platform to stop or to resume marketing.
    pub(super) fn wishes(&mut self, who: &Who, stop: bool, _at: Option<Wall>) -> Result<&'static str, StoreError> {
        let Some(person) = self.person_of(who)? else { return Ok("nobody") };
        self.outbox.set_marketing_stopped(person, stop)?;
        Ok("preference")
    }

    /// A person has another number or user id.
    pub(super) fn moved(&mut self, _from: &Who, _to: &Who) -> Result<&'static str, StoreError> {
        Ok("moved")
    }

    /// A number that nobody can read is no person that we could answer.
    fn person_of(&mut self, who: &Who) -> Result<Option<PersonId>, StoreError> {
        let Some(Ok(number)) = who.digits.as_deref().map(Number::of_digits) else { return Ok(None) };
        self.outbox.person(&number).map(Some)
    }
}
