//! Arrivals: an event becomes drafts, drafts become stored messages or told refusals, and the PUBACK is owed until then.
//!
//! Floor: engine.

use super::soft::{Held, Owed};
use super::{Action, Engine, Tally, Told};
use crate::limits;
use crate::message::{Arrival, Delivery, Draft, MessageId, Outcome, PersonId, Priority, Reason, Source, Standing};
use crate::outbox::{Found, Settling, StoreError, draft_bytes, row_bytes};
use crate::policy;
use crate::rules::{Applied, Effect};
use crate::time::{BoxTime, millis};
use std::sync::Arc;
use std::time::Duration;

/// Messages that one arrival may push aside: each frees at least the content of one, and no arrival is larger than its recipients.
const DISPLACED_AT_ONCE: usize = limits::RECIPIENTS;

/// How long the acknowledgement of what is stored may wait before the connection ends, behind an event for which there is no room: a
/// day, twice the longest default of `policy.expires`, after which the room is there. The broker keeps its session for
/// `mqtt.session_expiry` from that end on.
const UNACKNOWLEDGED: Duration = Duration::from_secs(24 * 60 * 60);

/// Told with a message that does not say all that the event said.
const CUT: &str = "a parameter was cut to the platform's length";

impl Engine {
    pub(super) fn arrived(&mut self, arrival: &Arrival) -> Result<(), StoreError> {
        let serial = self.soft.next_serial;
        self.soft.next_serial += 1;
        // What came before comes first, if there is room again.
        self.retry_held()?;
        let again = self.comes_again(arrival.delivery);
        let full = if again && self.relieve_held(serial, arrival) {
            None
        } else {
            // Not past anything that is held and at least as urgent: the order of events stays.
            let bar = self.soft.held.iter().map(|held| held.priority).min();
            let full = self.handle(arrival, again, bar)?;
            self.soft.owed.push_back(Owed { serial, delivery: arrival.delivery, done: full.is_none() });
            full
        };
        if let Some(priority) = full {
            self.soft.held.push_back(Held { serial, arrival: Arc::new(arrival.clone()), again, priority });
            self.stirred = true;
            self.tell_held();
        }
        self.acknowledge();
        Ok(())
    }

    /// Whether the broker marks it as sent before, in a session that it resumed: elsewhere the mark says nothing.
    fn comes_again(&self, delivery: Delivery) -> bool {
        match delivery {
            Delivery::AtLeastOnce { epoch, dup, .. } => dup && self.soft.session.is_none_or(|first| epoch > first),
            Delivery::AtMostOnce => false,
        }
    }

    /// Tries again what there was no room for, in the order of arrival.
    pub(super) fn retry_held(&mut self) -> Result<(), StoreError> {
        if self.soft.held.is_empty() || self.soft.disk_full || self.disk_is_short() {
            return Ok(());
        }
        // The most urgent that found no room: what made room since was more urgent, and its equals do not pass it either.
        let mut full: Option<Priority> = None;
        for _ in 0..self.soft.held.len() {
            let Some(held) = self.soft.held.pop_front() else { break };
            if full.is_some_and(|full| held.priority >= full) {
                self.soft.held.push_back(held);
                continue;
            }
            match self.handle(&held.arrival, held.again, None)? {
                None => self.handled(held.serial),
                Some(priority) => {
                    full = Some(full.map_or(priority, |full| full.min(priority)));
                    self.soft.held.push_back(Held { priority, ..held });
                }
            }
        }
        if self.soft.held.is_empty() {
            self.soft.held_told = false;
        }
        self.acknowledge();
        Ok(())
    }

    /// The broker sends again what is held since an earlier connection of the same session: the new delivery takes the place of
    /// the copy. Not before: the broker may forget the session between the connection and the redelivery, and then only this
    /// box has the event. Whether there was such a copy.
    fn relieve_held(&mut self, serial: u64, arrival: &Arrival) -> bool {
        let Delivery::AtLeastOnce { epoch: now, packet: id, .. } = arrival.delivery else { return false };
        let first = self.soft.session;
        let same = |held: &&mut Held| match held.arrival.delivery {
            Delivery::AtLeastOnce { epoch, packet, .. } => {
                let earlier = epoch < now && first.is_none_or(|first| epoch >= first);
                let (was, is) = (&held.arrival, arrival);
                earlier && packet == id && was.topic == is.topic && was.payload == is.payload
            }
            Delivery::AtMostOnce => false,
        };
        let Some(held) = self.soft.held.iter_mut().find(same) else { return false };
        held.arrival = Arc::new(arrival.clone());
        let copy = std::mem::replace(&mut held.serial, serial);
        self.soft.owed.push_back(Owed { serial, delivery: arrival.delivery, done: false });
        self.handled(copy);
        true
    }

    fn handled(&mut self, serial: u64) {
        if let Some(owed) = self.soft.owed.iter_mut().find(|owed| owed.serial == serial) {
            owed.done = true;
        }
    }

    /// PUBACKs leave in the order of arrival [MQTT-4.6.0-2]: one that is held holds all later ones of its connection. What came
    /// on a connection that is gone only gives back its room, and waits for nobody.
    pub(super) fn acknowledge(&mut self) {
        let current = self.soft.broker;
        let mut waits = false;
        self.soft.owed.retain(|owed| {
            let counts = matches!(owed.delivery, Delivery::AtLeastOnce { epoch, .. } if Some(epoch) == current);
            waits |= counts && !owed.done;
            let leaves = owed.done && !(counts && waits);
            if leaves {
                self.out.push(Action::Ack(owed.delivery));
            }
            !leaves
        });
    }

    /// All that follows from one arrival; or nothing of it, and what it is worth, if it must wait: at least as urgent ones wait
    /// (`bar`), the disk is short, or the store has no room for something of this priority. `again`: the broker marks it as sent
    /// before.
    fn handle(
        &mut self,
        arrival: &Arrival,
        again: bool,
        bar: Option<Priority>,
    ) -> Result<Option<Priority>, StoreError> {
        let rules = Arc::clone(&self.rules);
        // `event.at` is the box's reading even while nobody vouches for it: an alarm with a wrong hour in its text is better
        // than none. Expiry and order go by what the event itself says, or by box time.
        let applied: Vec<(Arc<str>, Applied)> = rules
            .matching(&arrival.topic, &arrival.subscriptions)
            .map(|rule| (Arc::clone(rule.name()), rules.apply(rule, arrival, Some(self.moment.wall.reading()))))
            .collect();
        if applied.is_empty() {
            self.tally.push(Tally::Event(self.nobody.clone(), Reason::NoRule.code()));
            return Ok(None);
        }
        if applied.iter().all(|(_, applied)| matches!(applied, Applied::Passed(_))) {
            applied.into_iter().try_for_each(|(rule, applied)| self.take(rule, applied, arrival, again))?;
            return Ok(None);
        }
        let urgent = applied.iter().map(|(_, applied)| most_urgent(applied)).min().unwrap_or_default();
        let barred = self.disk_is_short() || bar.is_some_and(|bar| urgent >= bar);
        let rows = applied.iter().map(|(_, applied)| rows(applied)).sum();
        let bytes = || applied.iter().map(|(_, applied)| bytes(applied)).sum();
        let fits = !barred && self.outbox.has_room(urgent, rows, bytes)?;
        if !fits && !self.all_known(&applied, again)? && (barred || !self.make_room(urgent, rows, bytes)?) {
            return Ok(Some(urgent));
        }
        self.soft.claimed += rows * limits::MESSAGE_WRITES;
        let print = arrival.print();
        let redelivered = match &print {
            Some(print) if again => self.outbox.is_repeat(print)?,
            _ => false,
        };
        let (mut remember, (before, _)) = (false, self.outbox.highest());
        for (rule, applied) in applied {
            if matches!(applied, Applied::Passed(_)) || has_dedupe_key(&applied) {
                self.take(rule, applied, arrival, again)?;
            } else if redelivered {
                self.tally.push(Tally::Event(rule, Reason::Redelivered.code()));
            } else {
                remember = true;
                self.take(rule, applied, arrival, again)?;
            }
        }
        match print {
            Some(print) if remember => self.outbox.remember(&print, before)?,
            _ => {}
        }
        Ok(None)
    }

    /// Whether nothing would be stored because everything came before: repeats need no room.
    fn all_known(&self, applied: &[(Arc<str>, Applied)], again: bool) -> Result<bool, StoreError> {
        for (_, applied) in applied {
            let Applied::Made { effects, drafts, failed, .. } = applied else { continue };
            if !effects.is_empty() || !failed.is_empty() {
                return Ok(false);
            }
            for draft in drafts {
                let person = self.outbox.find_person(draft.to())?;
                if !self.is_duplicate(draft, person, again)? {
                    return Ok(false);
                }
            }
        }
        Ok(!applied.iter().any(|(_, applied)| matches!(applied, Applied::Unreadable { .. })))
    }

    /// Whether the same event made the same rule tell the same person within the rule's window; or before it, if the broker marks
    /// it as sent before and this very delivery did: the box may have been away for longer than the window. Not for longer than the
    /// broker keeps its session: what is marked after that was said again on purpose, and its first delivery was lost.
    pub(super) fn is_duplicate(
        &self,
        draft: &Draft,
        person: Option<PersonId>,
        again: bool,
    ) -> Result<bool, StoreError> {
        let Some(person) = person else { return Ok(false) };
        let Some(key) = self.outbox.dedupe_key(draft.source(), person) else { return Ok(false) };
        let since = BoxTime(self.moment.boxed.0 - millis(draft.terms().dedupe_window));
        let kept = BoxTime(self.moment.boxed.0 - millis(self.session_expiry) - millis(UNACKNOWLEDGED));
        let again = draft.source().print.filter(|_| again).map(|print| (print, kept));
        Ok(self.outbox.seen(person, key, since, again)?.is_some())
    }

    /// What one rule made of one event.
    fn take(&mut self, rule: Arc<str>, applied: Applied, arrival: &Arrival, again: bool) -> Result<(), StoreError> {
        let topic: Arc<str> = arrival.topic.as_str().into();
        match applied {
            Applied::Passed(reason) => {
                self.tally.push(Tally::Event(rule, reason.code()));
                Ok(())
            }
            Applied::Unreadable { event, reason, detail } => {
                self.tally.push(Tally::Event(rule.clone(), reason.code()));
                self.unreadable(&Source { rule, event, topic, print: None }, reason, &detail)
            }
            Applied::Made { event, effects, drafts, failed } => {
                let said_nothing = drafts.is_empty() && failed.is_empty();
                let result = if said_nothing { Reason::EffectOnly.code() } else { "matched" };
                self.tally.push(Tally::Event(rule.clone(), result));
                for effect in effects {
                    self.effect(&rule, event.as_deref(), effect)?;
                }
                let source = Source { rule, event, topic, print: None };
                for (reason, detail) in failed {
                    self.unreadable(&source, reason, &detail)?;
                }
                drafts.into_iter().try_for_each(|draft| self.draft(draft, again).map(|_| ()))
            }
        }
    }

    fn unreadable(&mut self, source: &Source, reason: Reason, detail: &str) -> Result<(), StoreError> {
        let id = self.outbox.unreadable(source, reason, detail, self.moment)?;
        self.out.push(Action::Show(Told {
            rule: Some(source.rule.clone()),
            event: source.event.clone(),
            message: Some(id),
            to: None,
            priority: None,
            outcome: Some(Outcome::Unreadable),
            reason,
            detail: detail.to_owned(),
            loud: true,
        }));
        Ok(())
    }

    /// Consent that an event grants or takes back.
    fn effect(&mut self, rule: &str, event: Option<&str>, effect: Effect) -> Result<(), StoreError> {
        let source = format!("rule {rule}");
        match effect {
            Effect::Grant { to, purposes } => {
                let person = self.outbox.person(&to)?;
                for purpose in purposes {
                    self.opt_in(person, &purpose, &source, event)?;
                }
            }
            Effect::Revoke { to, purposes } => {
                let person = self.outbox.person(&to)?;
                let purposes: Vec<Option<&str>> = if purposes.is_empty() {
                    vec![None]
                } else {
                    purposes.iter().map(|purpose| Some(&**purpose)).collect()
                };
                for purpose in purposes {
                    // The purpose was checked with the configuration; a refusal can only be an unknown purpose.
                    if let Ok(entry) = policy::revoke(&self.policy, purpose, &source) {
                        self.outbox.record_consent(person, &entry, event, None, self.moment)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn opt_in(&mut self, person: PersonId, purpose: &str, source: &str, event: Option<&str>) -> Result<(), StoreError> {
        let standing = self.outbox.standing(person, purpose)?;
        match policy::opt_in(&self.policy, &standing, purpose, source, self.moment) {
            Some(entry) => self.outbox.record_consent(person, &entry, event, None, self.moment).map(drop),
            None => Ok(()),
        }
    }

    /// One recipient of one event, or an operator's message: a repeat (`None`), withheld, or stored. `again`: the broker marks it
    /// as sent before.
    pub(super) fn draft(
        &mut self,
        draft: Draft,
        again: bool,
    ) -> Result<Option<(MessageId, Outcome, Reason)>, StoreError> {
        let person = self.outbox.person(draft.to())?;
        if self.is_duplicate(&draft, Some(person), again)? {
            self.tally.push(Tally::Event(draft.source().rule.clone(), Reason::Duplicate.code()));
            return Ok(None);
        }
        let lane = self.outbox.lane(person)?;
        let mut standing = self.outbox.standing_of(&lane, &draft.terms().purpose)?;
        self.consent_of_event(&draft, person, &mut standing)?;
        let (subject, cut) = (draft.terms().subject.clone(), draft.terms().cut);
        match policy::permit(&self.policy, draft, &standing, self.moment) {
            Err((draft, reason)) => {
                let id = self.outbox.withhold(&draft, person, reason, self.moment)?;
                self.tell(&Found::of(&draft, id, person), Outcome::Withheld, reason, "", false);
                self.settle(lane)?;
                Ok(Some((id, Outcome::Withheld, reason)))
            }
            Ok(permitted) => {
                let recorded = self.outbox.store(&permitted, person, self.moment)?;
                let found = Found::of(permitted.draft(), recorded.id, person);
                if recorded.expired {
                    self.tell(&found, Outcome::Expired, Reason::TooOld, "", false);
                    return Ok(Some((recorded.id, Outcome::Expired, Reason::TooOld)));
                }
                self.tell(&found, Outcome::Stored, Reason::Due, if cut { CUT } else { "" }, false);
                if let Some(subject) = subject {
                    self.supersede(person, &subject, recorded.id)?;
                }
                self.settle(lane)?;
                Ok(Some((recorded.id, Outcome::Stored, Reason::Due)))
            }
        }
    }

    /// Consent that the configuration states or the event brings is recorded before policy is asked, which is told of it.
    fn consent_of_event(&mut self, draft: &Draft, person: PersonId, standing: &mut Standing) -> Result<(), StoreError> {
        let (terms, source) = (draft.terms(), draft.source());
        let (entry, event) = if terms.stated {
            (policy::stated(&self.policy, standing, &terms.purpose, self.moment), None)
        } else if terms.opt_in {
            let rule = format!("rule {}", source.rule);
            (policy::opt_in(&self.policy, standing, &terms.purpose, &rule, self.moment), source.event.as_deref())
        } else {
            return Ok(());
        };
        if let Some(entry) = entry {
            standing.grant = Some(self.outbox.record_consent(person, &entry, event, None, self.moment)?);
        }
        Ok(())
    }

    /// What is older about the same subject and has not left is withdrawn; a late event may itself be the older one.
    fn supersede(&mut self, person: PersonId, subject: &str, newer: MessageId) -> Result<(), StoreError> {
        let mut older = self.outbox.superseded_by(person, subject, newer)?;
        if self.outbox.has_newer(newer)? {
            older.push(newer);
        }
        for id in older {
            self.withdraw(id)?;
        }
        Ok(())
    }

    /// A newer message about the same subject took its place.
    pub(super) fn withdraw(&mut self, id: MessageId) -> Result<(), StoreError> {
        self.end(id, Outcome::Withdrawn, Reason::Superseded, "", false)
    }

    /// Ends a message that has not left (again), and tells it.
    ///
    /// One of which nobody knows whether it arrived ends as `unknown`, whatever ended it now: nobody may be told that it never
    /// left.
    pub(super) fn end(
        &mut self,
        id: MessageId,
        outcome: Outcome,
        reason: Reason,
        detail: &str,
        loud: bool,
    ) -> Result<(), StoreError> {
        let perhaps = self.outbox.unknown_attempts(id)? > 0;
        let outcome = if perhaps { Outcome::Unknown } else { outcome };
        self.outbox.settle(id, &Settling { detail, ..Settling::new(outcome, reason) }, self.moment)?;
        if let Some(found) = self.outbox.found(id)? {
            self.tell(&found, outcome, reason, detail, loud);
        }
        Ok(())
    }

    pub(super) fn tell_id(
        &mut self,
        id: MessageId,
        outcome: Outcome,
        reason: Reason,
        detail: &str,
    ) -> Result<(), StoreError> {
        if let Some(found) = self.outbox.found(id)? {
            self.tell(&found, outcome, reason, detail, false);
        }
        Ok(())
    }

    /// Whether an arrival of this priority may be stored: there is room, or room is made by forgetting contents of settled
    /// messages early, or by what is less important giving way.
    pub(super) fn make_room(
        &mut self,
        priority: Priority,
        rows: u64,
        bytes: impl Fn() -> u64,
    ) -> Result<bool, StoreError> {
        for _ in 0..DISPLACED_AT_ONCE {
            if self.outbox.has_room(priority, rows, &bytes)? {
                return Ok(true);
            }
            if self.outbox.forget_early()? > 0 {
                continue;
            }
            let Some(id) = self.outbox.displaceable(priority)? else { return Ok(false) };
            self.displace(id)?;
        }
        Ok(false)
    }

    fn displace(&mut self, id: MessageId) -> Result<(), StoreError> {
        let person = self.outbox.found(id)?.and_then(|found| found.person);
        self.end(id, Outcome::Displaced, Reason::GaveWay, "the store was full", true)?;
        self.outbox.forget_content(id)?;
        person.map_or(Ok(()), |person| self.refresh(person))
    }

    fn tell_held(&mut self) {
        if !self.soft.held_told {
            self.soft.held_told = true;
            let (reason, why) = if self.disk_is_short() {
                (Reason::DiskReserve, "the disk is nearly full: events wait at the broker until it has space")
            } else {
                let full = "the store is full (outbox.max_bytes): events wait at the broker until messages have left";
                (Reason::StoreFull, full)
            };
            self.tell_box(reason, why.to_owned(), true);
        }
    }
}

fn most_urgent(applied: &Applied) -> Priority {
    match applied {
        // Opt-out always wins, also over a full store.
        Applied::Made { effects, .. } if effects.iter().any(|effect| matches!(effect, Effect::Revoke { .. })) => {
            Priority::Critical
        }
        Applied::Made { drafts, .. } => drafts.iter().map(|draft| draft.terms().priority).min().unwrap_or_default(),
        Applied::Passed(_) | Applied::Unreadable { .. } => Priority::Normal,
    }
}

/// Rows that storing it adds: of each the disk may take `limits::MESSAGE_WRITES`, and the store what `bytes` says.
fn rows(applied: &Applied) -> u64 {
    let rows = match applied {
        Applied::Passed(_) => 0,
        Applied::Unreadable { .. } => 1,
        Applied::Made { effects, drafts, failed, .. } => effects.len() + drafts.len() + failed.len(),
    };
    rows as u64
}

/// Bytes of the store that it takes at most.
fn bytes(applied: &Applied) -> u64 {
    match applied {
        Applied::Passed(_) => 0,
        Applied::Unreadable { detail, .. } => row_bytes(detail.len()),
        Applied::Made { effects, drafts, failed, .. } => {
            let failed = failed.iter().map(|(_, detail)| row_bytes(detail.len()));
            effects.len() as u64 * row_bytes(0) + failed.sum::<u64>() + drafts.iter().map(draft_bytes).sum::<u64>()
        }
    }
}

/// Whether a repeat is recognised by the event's id: only messages are kept by it.
fn has_dedupe_key(applied: &Applied) -> bool {
    matches!(applied, Applied::Made { event: Some(_), drafts, .. } if !drafts.is_empty())
}
