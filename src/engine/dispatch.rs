//! What may leave now: the next lane's next message, asked about once more, spent, recorded, posted.
//!
//! Floor: engine.

use super::hold::Held;
use super::limit::GATES;
use super::soft::{CLOCK, Flight, UNTIL};
use super::turn::CRAMPED_RETRY;
use super::{Action, Engine, Post};
use crate::message::{Outcome, Priority, Reason, Stored};
use crate::outbox::{Lane, StoreError};
use crate::pace::{self, Account, Recent, Wait};
use crate::policy::{self, Verdict};
use crate::time::BoxTime;
use crate::{limits, whatsapp};

/// Told once when nothing more may leave or end, and shown as long as that is so.
pub(super) const CRAMPED: &str = "the store (outbox.max_bytes) has no room for the outcomes of further messages: what waits goes on when \
    the broker has taken its receipts";

/// Why dispatch ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ended {
    /// Nobody's turn before then.
    NextTurn(Option<BoxTime>),
    /// Something stops everybody: until then, or until an input changes it.
    Blocked(Reason, Option<BoxTime>),
    /// There may be more: the batch is full.
    More,
}

impl Engine {
    /// Lets go what may leave, at most one batch of it.
    pub(super) fn dispatch(&mut self) -> Result<Ended, StoreError> {
        let mut spare = None;
        for _ in 0..limits::BATCH {
            if let Err((reason, until)) = self.may_post() {
                return Ok(Ended::Blocked(reason, until));
            }
            let brake = self.brake()?;
            let least = if brake.is_some() { Priority::Critical } else { Priority::Low };
            let Some(lane) = self.outbox.next_lane(self.moment.boxed, least)? else {
                return Ok(Ended::NextTurn(self.outbox.next_turn(least)?));
            };
            let fit = match spare {
                Some(fit) => fit,
                None => self.spare_outcomes()?,
            };
            if fit == 0 {
                return Ok(Ended::Blocked(Reason::StoreFull, Some(self.moment.boxed + CRAMPED_RETRY)));
            }
            spare = Some(fit - 1);
            if let Some(wait) = self.offer(lane)? {
                return Ok(Ended::Blocked(wait.reason, Some(wait.until)));
            }
        }
        Ok(Ended::More)
    }

    /// Whether anything at all may be posted now.
    pub(super) fn may_post(&self) -> Result<(), (Reason, Option<BoxTime>)> {
        let now = self.moment.boxed;
        if self.soft.stopping {
            return Err((Reason::Paused, None));
        }
        if self.soft.disk_full || self.disk_is_short() {
            return Err((Reason::DiskReserve, None));
        }
        if let Some(stopped) = self.soft.stopped(now) {
            return Err(stopped);
        }
        // Without a daemon there is no line that could be up or down: only what a store knows is told.
        if self.running {
            self.soft.circuit.may_post(&self.pace, self.soft.in_flight.len()).map_err(|reason| (reason, None))?;
        }
        if self.soft.on_trial(now) && !self.soft.in_flight.is_empty() {
            return Err((Reason::InFlightLimit, None));
        }
        let ready = self.soft.sender.ready(&self.pace, now);
        if ready > now { Err((Reason::SenderLimit, Some(ready))) } else { Ok(()) }
    }

    /// Bytes that must stay free so that the answers of all posts in flight can be committed.
    pub(super) fn reserve(&self) -> u64 {
        self.pace.max_in_flight as u64 * limits::MESSAGE_WRITES + limits::JOURNAL
    }

    /// How many more outcomes surely fit into the store beside those of what is on its way. Nothing is posted and nothing ends
    /// without: an answer that could not be committed would be lost.
    pub(super) fn spare_outcomes(&mut self) -> Result<usize, StoreError> {
        let on_its_way = self.soft.in_flight.len();
        let spare = self.outbox.room_for_outcomes(on_its_way + 1)?.saturating_sub(on_its_way);
        let was_cramped = std::mem::replace(&mut self.soft.cramped, spare == 0);
        if self.soft.cramped && !was_cramped {
            self.tell_box(Reason::StoreFull, CRAMPED.to_owned(), true);
        }
        Ok(spare)
    }

    /// Less than the reserve is free, or would be when this batch is written: nothing is posted, and arrivals wait.
    pub(super) fn disk_is_short(&self) -> bool {
        self.soft.free_space.is_some_and(|free| free < self.reserve() + self.soft.claimed)
    }

    /// The next message of a lane: posted, parked, settled, or the lane's turn is put off. A wait that is everybody's ends the
    /// dispatch.
    fn offer(&mut self, lane: Lane) -> Result<Option<Wait>, StoreError> {
        let Some(message) = self.outbox.load_head(lane.person, self.moment.boxed)? else {
            self.refresh(lane.person)?;
            self.outbox.moved_on(lane.person, self.moment.boxed)?;
            return Ok(None);
        };
        if message.expires_boxed() <= self.moment.boxed {
            self.expire(&message)?;
        } else if let Some((key, reason)) = self.hold_of(&lane, &message) {
            self.outbox.park(message.id(), &key, reason, None)?;
        } else {
            let standing = self.outbox.standing_for(&lane, &message)?;
            match policy::confirm(&self.policy, &message, &standing, self.moment) {
                Ok(confirmed) => return self.post(lane, message, confirmed),
                Err(Verdict::Withhold(reason)) => {
                    // It had consent when it was stored. That costs a look at the whole ledger: once a batch, for it is rare.
                    if standing.grant.is_none() && !std::mem::replace(&mut self.soft.ledger_looked_at, true) {
                        self.outbox.must_be_a_stranger(lane.person)?;
                    }
                    self.end(message.id(), Outcome::Withheld, reason, "", false)?;
                }
                Err(Verdict::Wait { reason, until: None }) => self.outbox.park(message.id(), CLOCK, reason, None)?,
                Err(Verdict::Wait { reason: Reason::QuietHours, until: Some(until) }) => {
                    let key = self.hold_quiet(&message, until)?;
                    self.outbox.park(message.id(), &key, Reason::QuietHours, None)?;
                }
                Err(Verdict::Wait { reason, until }) => self.outbox.park(message.id(), UNTIL, reason, until)?,
            }
        }
        self.refresh(lane.person)?;
        Ok(None)
    }

    fn hold_of(&self, lane: &Lane, message: &Stored) -> Option<(String, Reason)> {
        if let Some(loss) = self.held_by_loss(message.to(), message.priority()) {
            return Some((loss.key.clone(), loss.reason));
        }
        let hold = self.hold_on(&Held {
            rule: message.rule(),
            content: message.content(),
            to: message.to(),
            person: Some(message.person()),
            priority: message.priority(),
            window: lane.window,
        })?;
        Some((hold.key.clone(), hold.reason))
    }

    fn post(
        &mut self,
        lane: Lane,
        message: Stored,
        confirmed: crate::message::Confirmed,
    ) -> Result<Option<Wait>, StoreError> {
        let mut lane = lane;
        let (id, person, now) = (message.id(), message.person(), self.moment.boxed);
        let load = self.load_of(Some(&lane), message.content(), message.purpose(), message.priority());
        if self.surges(message.rule())? && !load.critical {
            self.outbox.park(id, &format!("rule:{}", message.rule()), Reason::RuleSurge, None)?;
            self.settle(lane)?;
            return Ok(None);
        }
        if let Some(wait) = self.waits_for_place(&lane, &message, load)? {
            self.set_aside(lane, &message, GATES[usize::from(!load.is_urgent())], wait)?;
            return Ok(None);
        }
        let before = lane.reached;
        let mut recent = Recent::of_bytes(&lane.recent);
        let account = Account { pair: &mut lane.pair, recent: &mut recent, reached: &mut lane.reached };
        let (sender, day) = (&mut self.soft.sender, &mut self.soft.limits.day);
        let token = match pace::spend(&self.pace, load, account, sender, day, now) {
            Ok(token) => token,
            Err(wait) if wait.reason == Reason::OwnCap => {
                self.capped(lane, &message, wait)?;
                return Ok(None);
            }
            Err(wait) if wait.reason == Reason::PairLimit => {
                self.outbox.settle_lane(lane, wait.until, false)?;
                return Ok(None);
            }
            Err(wait) => return Ok(Some(wait)),
        };
        lane.recent = recent.to_bytes();
        self.took_place(&message, load)?;
        let cleared = self.outbox.clear(message, confirmed, token, self.moment, &self.boot)?;
        self.outbox.settle_lane(lane, now, true)?;
        let request = whatsapp::request(&self.whatsapp, &cleared, &self.outbox.shown(id));
        let attempt = cleared.attempt();
        self.soft.in_flight.push(Flight {
            attempt,
            message: id,
            person,
            at: now,
            kind: load.kind,
            reached: load.reaches.then_some(before),
            posted: self.mono,
            token: self.soft.token,
            erased: false,
        });
        self.out.push(Action::Post(Post { attempt, path: request.path, body: request.body }));
        Ok(None)
    }

    /// The person had as many of the kind as an own cap allows: it waits where it is still of use then, and is withheld otherwise.
    fn capped(&mut self, lane: Lane, message: &Stored, wait: Wait) -> Result<(), StoreError> {
        if wait.until >= message.expires_boxed() {
            let detail =
                "limits.caps: the person had as many as allowed, and the next may go only when this is too old";
            self.end(message.id(), Outcome::Withheld, wait.reason, detail, false)?;
            if self.outbox.is_tight()? {
                // A whole flood may end here: the space that its outcomes take is given back at once.
                self.outbox.forget_content(message.id())?;
            }
            return self.settle(lane);
        }
        self.set_aside(lane, message, UNTIL, wait)
    }

    /// A message that waits for something of its person, and none of the person's others: parked. In a store that is nearly full
    /// the person's turn is put off instead, which needs no space; the more urgent still passes.
    fn set_aside(&mut self, lane: Lane, message: &Stored, hold: &str, wait: Wait) -> Result<(), StoreError> {
        if self.outbox.is_tight()? {
            return self.outbox.settle_lane(lane, wait.until, false);
        }
        // The gates know themselves when their time comes.
        let until = (hold == UNTIL).then_some(wait.until);
        self.outbox.park(message.id(), hold, wait.reason, until)?;
        self.settle(lane)
    }

    fn expire(&mut self, message: &Stored) -> Result<(), StoreError> {
        self.end(message.id(), Outcome::Expired, Reason::TooOld, "", false)
    }
}
