//! Answers: what the platform, or nobody, said about a post; and what becomes of messages of which nobody knows.
//!
//! Floor: engine. What an answer means is read by `whatsapp`, whether to repeat is decided by `policy`.

use super::soft::Flight;
use super::{Engine, Tally};
use crate::message::{Answer, AttemptId, Category, MessageId, Outcome, PersonId, Priority, Reason};
use crate::outbox::{Asked, Found, Lane, Settling, Spent, StoreError, Tried, Try};
use crate::pace::{self, Class, Recent};
use crate::policy::{self, Next};
use crate::rules::OPT_OUT;
use crate::time::{BoxTime, Wall};
use crate::whatsapp::{self, Circuit, Fate, KnownAs, OnPerson, Verdict};

/// What was reported of a try before its answer came: of which, and the code where it is a failure.
type Early = (AttemptId, Option<i64>);

impl Engine {
    /// Idempotent by attempt: an answer to an attempt that is not open any more changes nothing.
    pub(super) fn answered(&mut self, attempt: AttemptId, answer: &Answer) -> Result<(), StoreError> {
        let Some(place) = self.soft.in_flight.iter().position(|flight| flight.attempt == attempt) else {
            return Ok(());
        };
        let flight = self.soft.in_flight.swap_remove(place);
        let verdict = whatsapp::read(answer);
        self.tally.push(Tally::Answered(self.mono.since(flight.posted)));
        let random = self.random.u64(..);
        match verdict.circuit {
            Circuit::Works => {
                self.soft.circuit.post_ok();
                self.uplink_is(true, "");
            }
            Circuit::InDoubt => {
                self.soft.circuit.post_failed(self.moment.boxed, random);
                self.uplink_is(false, &verdict.detail);
            }
        }
        self.judge(flight, &verdict)
    }

    /// What a verdict asks for, in the order: the attempt, the message, the person, the template, the number. The person's lane is
    /// read and written once.
    fn judge(&mut self, flight: Flight, verdict: &Verdict) -> Result<(), StoreError> {
        if flight.erased {
            if matches!(verdict.message, Fate::Unsent) {
                self.soft.sender.refund(flight.at);
            }
            return self.hold_as_told(flight.message, Some(&flight), verdict);
        }
        let asked = self.outbox.asked(flight.attempt)?;
        let early = self.reported_early(flight, verdict, &asked)?;
        if asked.settled {
            return self.answered_after_report(flight, verdict, early);
        }
        let spent = match verdict.message {
            Fate::Unsent => Spent::Refunded,
            Fate::Unknown { .. } => Spent::Unknown,
            Fate::Accepted { .. } => Spent::Kept,
            Fate::Refused | Fate::Again => Spent::Refused,
        };
        self.close(flight, verdict, spent, !asked.first || asked.reported.is_some())?;
        let person = self.learn(flight.person, &verdict.known_as)?;
        let mut lane = self.outbox.lane(person)?;
        self.account(&mut lane, flight, verdict);
        self.hold_as_told(flight.message, Some(&flight), verdict)?;
        // Always there: only what is settled is forgotten.
        let Some(found) = self.outbox.found(flight.message)? else { return self.settle(lane) };
        match &verdict.message {
            Fate::Accepted { wamid } => {
                let told = Settling {
                    detail: &verdict.detail,
                    wamid: Some(wamid),
                    ..Settling::new(Outcome::Accepted, verdict.reason)
                };
                self.outbox.settle(flight.message, &told, self.moment)?;
                self.tell(&found, Outcome::Accepted, verdict.reason, "", false);
                self.number_works()?;
            }
            Fate::Refused => self.refuse(flight.message, verdict.reason, &verdict.detail)?,
            Fate::Again => {
                let due = self.due_again(flight.message, verdict)?;
                self.back_to_queue(flight.message, due, verdict.reason, &verdict.detail, true)?;
            }
            Fate::Unsent => {
                self.back_to_queue(flight.message, self.moment.boxed, verdict.reason, &verdict.detail, false)?;
            }
            Fate::Unknown { repeats } => {
                self.not_known(&found, &mut lane, *repeats, verdict.reason, &verdict.detail)?
            }
        }
        if let Some(on_person) = verdict.person {
            self.on_person(person, found.category, on_person, None)?;
        }
        self.settle(lane)?;
        self.failed_early(flight.message, early)
    }

    /// The platform's report on the message came first and settled it: the answer tells of person, number and account only.
    fn answered_after_report(
        &mut self,
        flight: Flight,
        verdict: &Verdict,
        early: Option<Early>,
    ) -> Result<(), StoreError> {
        match early {
            // The report knows better than no answer, and than one that it did not arrive.
            Some((this, None)) if this == flight.attempt && !matches!(verdict.message, Fate::Accepted { .. }) => {}
            _ => self.close(flight, verdict, Spent::Kept, true)?,
        }
        let person = self.learn(flight.person, &verdict.known_as)?;
        self.hold_as_told(flight.message, Some(&flight), verdict)?;
        let mut lane = self.outbox.lane(person)?;
        pace::pair_answered(&mut lane.pair, self.moment.boxed);
        self.settle(lane)?;
        self.failed_early(flight.message, early)
    }

    /// As the answer says; with the name that the platform gave it, where there may be others to tell it from.
    fn close(&mut self, flight: Flight, verdict: &Verdict, spent: Spent, named: bool) -> Result<(), StoreError> {
        self.outbox.close(flight.attempt, verdict.reason, verdict.code, spent, self.moment)?;
        match &verdict.message {
            Fate::Accepted { wamid } if named => {
                self.outbox.name_attempt(flight.attempt, self.outbox.wamid_hash(wamid))
            }
            _ => Ok(()),
        }
    }

    /// What was reported before this answer and taken for a report on this try: on which it is, and the code of a failure. Where the
    /// answer says that it was not this one it was an earlier one, of which nobody knew.
    fn reported_early(
        &mut self,
        flight: Flight,
        verdict: &Verdict,
        asked: &Asked,
    ) -> Result<Option<Early>, StoreError> {
        let Some((wamid, code)) = asked.reported else { return Ok(None) };
        let (is_this, may_be) = match &verdict.message {
            Fate::Unknown { .. } => (true, true),
            Fate::Accepted { wamid: taken } => (self.outbox.wamid_hash(taken) == wamid, true),
            Fate::Refused | Fate::Again | Fate::Unsent => (false, code.is_none()),
        };
        let tries = self.outbox.tries(flight.message)?;
        let unknown = |one: &&Try| one.wamid.is_none() && one.tried == Tried::Unknown;
        match tries.iter().find(unknown).filter(|_| !is_this) {
            Some(earlier) => {
                self.outbox.name_attempt(earlier.id, wamid)?;
                Ok(Some((earlier.id, code)))
            }
            None => Ok(may_be.then_some((flight.attempt, code))),
        }
    }

    /// A report of failure that came before the answer is acted on now that the attempt is over.
    fn failed_early(&mut self, id: MessageId, early: Option<Early>) -> Result<(), StoreError> {
        let Some((attempt, Some(code))) = early else { return Ok(()) };
        match self.outbox.tries(id)?.into_iter().find(|one| one.id == attempt) {
            Some(one) => self.failed(id, one, (code >= 0).then_some(code), "", None).map(drop),
            None => Ok(()),
        }
    }

    /// Other names of the person. Should two rows turn out to be one person, what is on its way follows.
    pub(super) fn learn(&mut self, person: PersonId, known_as: &KnownAs) -> Result<PersonId, StoreError> {
        let (wa_id, user) = (known_as.wa_id.as_deref(), known_as.user_id.as_deref());
        let (person, united) = self.outbox.learn(person, wa_id, user)?;
        if united {
            for flight in &mut self.soft.in_flight {
                if let Some(found) = self.outbox.found(flight.message)?.and_then(|found| found.person) {
                    flight.person = found;
                    if found == person {
                        // When each of the two was reached is one time now, the later: what is on its way gives none back.
                        flight.reached = None;
                    }
                }
            }
            // What waited for either waits for the one now.
            self.refresh(person)?;
        }
        Ok(person)
    }

    /// The limits' accounts: all is refunded when surely not sent. What was refused reached nobody: day and caps do not count it;
    /// the pair limit does, from the platform's reception.
    fn account(&mut self, lane: &mut Lane, flight: Flight, verdict: &Verdict) {
        if matches!(verdict.message, Fate::Unsent | Fate::Refused | Fate::Again) {
            let mut recent = Recent::of_bytes(&lane.recent);
            recent.refund(flight.kind, flight.at);
            lane.recent = recent.to_bytes();
            if let Some(before) = flight.reached.filter(|_| lane.reached == Some(flight.at)) {
                lane.reached = before;
                self.soft.limits.place_is_free(self.moment.boxed);
            }
        }
        match verdict.message {
            Fate::Unsent => {
                pace::pair_refund(&mut lane.pair);
                self.soft.sender.refund(flight.at);
            }
            _ => pace::pair_answered(&mut lane.pair, self.moment.boxed),
        }
        match (&verdict.message, verdict.person) {
            (Fate::Accepted { .. }, _) => pace::pair_succeeded(&mut lane.pair),
            (_, Some(OnPerson::PairLimit)) => {
                self.strike(lane);
            }
            _ => {}
        }
    }

    /// The platform refuses this person for now: 4^X seconds.
    pub(super) fn strike(&self, lane: &mut Lane) {
        let wait = pace::pair_strike(&mut lane.pair);
        lane.held_until = lane.held_until.max(self.moment.boxed + wait);
        // Whatever its priority: it is the platform that refuses this person.
        lane.held_rank = 0;
    }

    /// When a message that was refused for now may be tried again. What holds the number, template or person holds it besides.
    pub(super) fn due_again(&mut self, id: MessageId, verdict: &Verdict) -> Result<BoxTime, StoreError> {
        if verdict.number.is_some()
            || verdict.account.is_some()
            || verdict.template.is_some()
            || verdict.person.is_some()
        {
            return Ok(self.moment.boxed);
        }
        let tries = self.outbox.load(id)?.map_or(1, |message| message.tries());
        Ok(self.moment.boxed + pace::backoff(Class::Server, tries.max(1), self.random.u64(..)))
    }

    fn refuse(&mut self, id: MessageId, reason: Reason, detail: &str) -> Result<(), StoreError> {
        self.end(id, Outcome::Refused, reason, detail, false)
    }

    /// Back into its person's queue, unless something newer about the same subject waits there already.
    pub(super) fn back_to_queue(
        &mut self,
        id: MessageId,
        due: BoxTime,
        reason: Reason,
        detail: &str,
        counted: bool,
    ) -> Result<(), StoreError> {
        self.outbox.again(id, due, reason, detail, counted)?;
        if self.outbox.has_newer(id)? { self.withdraw(id) } else { self.tell_waiting(id, reason, detail) }
    }

    fn tell_waiting(&mut self, id: MessageId, reason: Reason, detail: &str) -> Result<(), StoreError> {
        self.tell_id(id, Outcome::Stored, reason, detail)
    }

    /// An outcome of its own: it waits for a word of the platform, and holds the person's followers of its priority and below.
    fn not_known(
        &mut self,
        found: &Found,
        lane: &mut Lane,
        repeats: Option<u32>,
        reason: Reason,
        detail: &str,
    ) -> Result<(), StoreError> {
        let (id, rank) = (found.id, found.priority.rank());
        if let Some(most) = repeats
            && self.outbox.unknown_attempts(id)? > most
        {
            // With the reason of an end: the attempt's own would read as if something could still follow.
            return self.end(id, Outcome::Unknown, Reason::NotRepeated, detail, false);
        }
        let until = self.moment.boxed + self.policy.unknown_wait;
        self.outbox.unknown(id, until, reason, detail, self.moment)?;
        self.tell(found, Outcome::Unknown, reason, detail, false);
        lane.held_rank = if lane.held_until > self.moment.boxed { lane.held_rank.min(rank) } else { rank };
        lane.held_until = lane.held_until.max(until);
        Ok(())
    }

    /// The wait for a word is over: a repeat is a decision of policy.
    pub(super) fn resolve_unknown(&mut self, id: MessageId) -> Result<(), StoreError> {
        let Some(message) = self.outbox.load(id)? else {
            // Its content is forgotten: it cannot be repeated.
            return self.end_unknown(id);
        };
        if message.expires_boxed() <= self.moment.boxed {
            // Perhaps it arrived: "expired" would say that it did not.
            self.end_unknown(id)?;
            return self.refresh(message.person());
        }
        let unknowns = self.outbox.unknown_attempts(id)?;
        match self.after_unknown(message.rule(), message.priority(), message.category(), unknowns) {
            Next::Repeat => {
                let due = self.moment.boxed;
                self.back_to_queue(id, due, Reason::Due, "nothing was heard of the last try: it is repeated", true)?;
            }
            Next::Stop => self.end_unknown(id)?,
        }
        self.refresh(message.person())
    }

    /// What `policy.on_unknown` says. The confirmation of a stop overtakes as an alarm does, and is repeated as anything else.
    pub(super) fn after_unknown(&self, rule: &str, priority: Priority, category: Category, unknowns: u32) -> Next {
        let priority = if rule == OPT_OUT { Priority::default() } else { priority };
        policy::after_unknown(&self.policy, priority, category, unknowns)
    }

    fn end_unknown(&mut self, id: MessageId) -> Result<(), StoreError> {
        self.end(id, Outcome::Unknown, Reason::NotRepeated, "", false)
    }

    /// Who writes, and whom a message reached, is on WhatsApp, whatever the platform said before.
    pub(super) fn is_reachable(&mut self, person: PersonId) -> Result<(), StoreError> {
        self.soft.staff_due |= self.outbox.set_reachable(person)?;
        Ok(())
    }

    /// `told`: when a report says that it was so; an answer is of now.
    pub(super) fn on_person(
        &mut self,
        person: PersonId,
        category: Option<Category>,
        effect: OnPerson,
        told: Option<Wall>,
    ) -> Result<(), StoreError> {
        let now = self.moment.boxed;
        match effect {
            // Accounted for with the pair limit.
            OnPerson::PairLimit => Ok(()),
            OnPerson::Undeliverable => {
                self.soft.staff_due = true;
                self.outbox.set_undeliverable(person, now + self.policy.undeliverable)
            }
            OnPerson::MarketingStopped => self.marketing_stopped(person, told),
            OnPerson::NotBefore(wait) if category == Some(Category::Marketing) => {
                self.outbox.set_not_before(person, now + wait)
            }
            OnPerson::NotBefore(_) => Ok(()),
            OnPerson::WindowClosed => self.outbox.close_window(person),
            OnPerson::IdentityHold => self.hold_person(person),
        }
    }

    /// Attempts of an earlier life of the daemon that have no answer: nobody knows.
    pub(super) fn recover(&mut self) -> Result<(), StoreError> {
        for attempt in self.outbox.open_attempts()? {
            if self.soft.in_flight.iter().any(|flight| flight.attempt == attempt.id) {
                continue;
            }
            let early = self.outbox.asked(attempt.id)?.reported.map(|(_, code)| (attempt.id, code));
            self.outbox.close(attempt.id, Reason::Restarted, None, Spent::Unknown, self.moment)?;
            let mut lane = self.outbox.lane(attempt.person)?;
            pace::pair_answered(&mut lane.pair, self.moment.boxed);
            if let Some(found) = self.outbox.found(attempt.message)? {
                let detail = "the daemon ended before the answer came";
                self.not_known(&found, &mut lane, None, Reason::Restarted, detail)?;
            }
            self.settle(lane)?;
            self.failed_early(attempt.message, early)?;
        }
        Ok(())
    }
}
