//! After the store was damaged: what is held until somebody accepts the loss, and what releases it.
//!
//! Floor: engine. Setting aside and salvage are the outbox's; here its store is believed, told, and held.

use super::hold::BY_TIME;
use super::limit::GATES;
use super::turn::MISSED;
use super::{Action, Engine, Failure};
use crate::message::{Number, Priority, Reason};
use crate::operate::{LossReport, Reply};
use crate::outbox::{Hold, LIFT_ALL, LOSS, OpenError, REACHED_UNKNOWN, StoreError};
use std::time::Duration;

/// The key of the hold that lets nothing leave before every limit that might have been spent is whole again.
pub(super) const LIMITS: &str = "limits";

impl Engine {
    /// The store is damaged: set aside, salvaged, and believed from here on. What was being done is given back.
    pub(super) fn salvage(&mut self, why: &str) -> Result<(), Failure> {
        let happened = self.outbox.salvage(why, self.random.u64(..))?;
        match self.doubt.take() {
            Some(_) if happened => {
                self.happened = true;
                self.keep_back();
            }
            Some(before) => self.take_back(*before),
            None => {}
        }
        (self.rebuild, self.salvaged) = (false, true);
        self.believe()?;
        Ok(())
    }

    /// Why a batch cannot be done with this store, if that is it and salvage may help.
    pub(super) fn damage(&self, failure: &Failure) -> Option<String> {
        match failure {
            _ if self.salvaged => None,
            Failure::Store(error) if error.is_damage() => Some(error.to_string()),
            Failure::Open(error @ OpenError::Store { error: inner, .. }) if error.is_damage() => {
                Some(inner.to_string())
            }
            _ => None,
        }
    }

    /// What the batch let go has not left yet, and does not: everything is held now.
    fn keep_back(&mut self) {
        let flights = &mut self.soft.in_flight;
        self.out.retain(|action| match action {
            Action::Post(post) => {
                flights.retain(|flight| flight.attempt != post.attempt);
                false
            }
            _ => true,
        });
    }

    /// What is remembered of the store is read from it again; what is on its way and still known stays on its way.
    fn believe(&mut self) -> Result<(), StoreError> {
        let known = super::soft::Soft::of_store(&self.outbox)?;
        (self.soft.holds, self.soft.releasing) = known;
        self.soft.limits = super::limit::Limits::start(&self.outbox, self.moment.boxed)?;
        let mut flights = std::mem::take(&mut self.soft.in_flight);
        let mut trouble = Ok(());
        flights.retain(|flight| match self.outbox.found(flight.message) {
            Ok(found) => found.is_some_and(|found| found.person == Some(flight.person)),
            Err(error) => {
                trouble = Err(error);
                true
            }
        });
        self.soft.in_flight = flights;
        trouble?;
        self.soft.published = self.outbox.row().receipts_taken;
        self.soft.taken = self.soft.published;
        (self.soft.recover, self.soft.loss_told) = (true, false);
        self.soft.wake = Some(self.moment.boxed);
        self.stirred = true;
        Ok(())
    }

    /// Tells what was found, at every start again until it is accepted, and counts all limits as spent: nobody knows what was
    /// sent just before a loss.
    pub(super) fn after_loss(&mut self) -> Result<(), StoreError> {
        if let Some(stops) = self.outbox.listed_again() {
            let detail = format!(
                "the list of who took consent back was lost or damaged: made again from the store, {stops} entries"
            );
            self.tell_box(Reason::StoreDamaged, detail, true);
        }
        if let Some(aside) = self.outbox.newly_sealed()? {
            let detail = match aside {
                0 => "the store was encrypted with the key in outbox.key_file".to_owned(),
                aside => format!(
                    "the store was encrypted with the key in outbox.key_file; {aside} damaged ones that were set aside before are not, and \
                     lie beside it: delete them"
                ),
            };
            self.tell_box(Reason::Due, detail, aside > 0);
        }
        if !std::mem::replace(&mut self.soft.loss_told, true)
            && let Some(loss) = self.loss()
        {
            let detail = format!("the store was damaged and is set aside: {}", loss.note);
            self.tell_box(Reason::StoreDamaged, detail, true);
        }
        let Some(loss) = self.loss().filter(|loss| loss.strikes > 0).cloned() else { return Ok(()) };
        self.mend_record()?;
        // Whose request is on its way gets no second one beside it: salvage does not know of it.
        for flight in self.soft.in_flight.clone() {
            self.refresh(flight.person)?;
        }
        if loss.strikes >= REACHED_UNKNOWN && self.pace.daily.is_some() {
            self.put_hold(Hold {
                key: GATES[1].to_owned(),
                reason: Reason::DailyLimit,
                since: self.moment.wall.reading(),
                until: Some(self.moment.boxed + crate::pace::DAY),
                strikes: 0,
                lift: BY_TIME.to_owned(),
                note:
                    "the store was damaged: nobody knows whom the last day reached; staff and alarms have what is kept"
                        .to_owned(),
                loud: false,
            })?;
        }
        self.put_hold(Hold { strikes: 0, since: self.moment.wall.reading(), ..loss })?;
        self.outbox.date_loss(self.moment.wall.reading())?;
        let burst = self.pace.pair_interval.unwrap_or_default().saturating_mul(self.pace.pair_burst.max(1));
        self.put_hold(Hold {
            key: LIMITS.to_owned(),
            reason: Reason::PairLimit,
            since: self.moment.wall.reading(),
            until: Some(self.moment.boxed + burst.max(Duration::from_secs(1))),
            strikes: 0,
            lift: BY_TIME.to_owned(),
            note: "the store was damaged: all limits count as spent".to_owned(),
            loud: false,
        })
    }

    /// The hold that a loss left behind, until somebody accepts it.
    pub(super) fn loss(&self) -> Option<&Hold> {
        self.soft.holds.iter().find(|hold| hold.key == LOSS)
    }

    /// What a store that was found damaged since the last call became, in words.
    pub fn found_damage(&mut self) -> Option<String> {
        let salvaged = self.outbox.take_salvaged();
        self.loss().filter(|_| salvaged).map(|loss| loss.note.clone())
    }

    /// To whom critical messages pass while a loss is held: to configured contacts, unless it is not known who said no. `None`
    /// where nothing is held.
    pub(super) fn alarms_pass_to(&self) -> Option<Vec<Number>> {
        let loss = self.loss()?;
        let members = self.members.iter().filter(|_| loss.lift != LIFT_ALL);
        Some(members.map(|member| member.number.clone()).collect())
    }

    /// The hold of a loss, where it stops such a message.
    pub(super) fn held_by_loss(&self, to: &Number, priority: Priority) -> Option<&Hold> {
        let passes = priority == Priority::Critical && self.alarms_pass_to()?.contains(to);
        self.loss().filter(|_| !passes)
    }

    /// An operator accepts the loss: what was held goes on, as the rules and what is left of the ledger allow.
    pub(super) fn accept_loss(&mut self, reason: &str) -> Result<Reply, StoreError> {
        let Some(loss) = self.loss().cloned() else { return self.accept_missed(reason) };
        let ([waiting, _, unknown, parked], _) = self.outbox.backlog()?;
        self.lift(LOSS)?;
        self.outbox.accept_stops();
        self.tell_box(Reason::Due, format!("the loss is accepted: {reason}"), true);
        Ok(Reply::data(&LossReport { note: loss.note, since: loss.since, messages: waiting + parked, unknown }))
    }

    /// What the notices' session lost: one loss at a time, that of the store first.
    fn accept_missed(&mut self, reason: &str) -> Result<Reply, StoreError> {
        let Some(missed) = self.soft.holds.iter().find(|hold| hold.key == MISSED).cloned() else {
            let text = "there is no loss to accept: neither store nor notices lost anything, or it was accepted before";
            return Ok(Reply::Refused(text.to_owned()));
        };
        self.stops_told(&format!("the loss is accepted: {reason}"))?;
        Ok(Reply::data(&LossReport { note: missed.note, since: missed.since, messages: 0, unknown: 0 }))
    }
}
