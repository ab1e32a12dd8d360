//! The limits that a single person's turn does not tell: the day's people, the cost brake, a rule's surge; who waits for room in
//! them, and who gets it.
//!
//! Floor: engine. Whether there is room is said by `pace`, from bounds that the store's exact counts put right.
//!
//! Messages without a place among the day's people are parked at one of two gates. While a gate is shut whoever is new parks
//! without being counted; when it is time, places are counted once and given to people: to the most urgent, to the rules by turns, and
//! to who waits longest in each, so that one rule's flood delays no other's. A place is a person's: all that waited for it of that
//! person comes back at once, in its order, and whoever has nothing left to send gives the place back.

use super::Engine;
use super::hold::{BY_OPERATOR, BY_TIME};
use crate::message::{Content, Outcome, PersonId, Priority, Reason, Stored};
use crate::outbox::{self, Hold, Lane, StoreError};
use crate::pace::{self, AtMost, Daily, Day, Load, Recent, Wait};
use crate::rules::{self, OPERATOR, OPT_OUT};
use crate::time::{BoxTime, Wall};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// The holds of messages that wait for a place: staff and critical ones, and all others.
pub(super) const GATES: [&str; 2] = ["people:urgent", "people"];
/// The hold of the cost brake.
pub(super) const BRAKE: &str = "daily-messages";
/// People who have a place and were not written to yet.
const ADMITTED: usize = crate::limits::BATCH;
/// The service window counts as closed a little before its end: the platform counts when it receives.
const RECEPTION: Duration = Duration::from_secs(60);

/// Between two times that people are told of the same gate: it may shut and open every minute.
const TOLD_AGAIN: Duration = Duration::from_secs(60 * 60);

/// What is remembered of the day: bounds of the store's counts, and gates.
#[derive(Clone, Default)]
pub(super) struct Limits {
    pub day: Day,
    gates: [Gate; 2],
    /// Nothing but critical messages until then, and since when.
    brake: Option<(BoxTime, Wall)>,
    /// When it was said last that a gate is shut.
    told: [Option<BoxTime>; 2],
    /// What each rule sent within each of its caps, at most.
    rules: Vec<(Arc<str>, Vec<AtMost>)>,
}

/// Who is new to the day waits here.
#[derive(Clone, Default)]
struct Gate {
    /// Shut until then.
    until: Option<BoxTime>,
    since: Option<Wall>,
    /// They have a place: at most [`ADMITTED`].
    admitted: Vec<PersonId>,
    /// The rule that was given one last: rules take turns.
    last: String,
    /// More places were free than that.
    more: bool,
    /// A critical message waits.
    critical: bool,
}

impl Limits {
    /// After a start: whoever was parked is counted anew, at once.
    pub fn start(outbox: &outbox::Outbox, now: BoxTime) -> Result<Limits, StoreError> {
        let mut limits = Limits::default();
        for (gate, hold) in limits.gates.iter_mut().zip(GATES) {
            let first = outbox.next_parked(hold)?;
            if first.is_some() {
                *gate = Gate { until: Some(now), critical: is_critical(first), ..Gate::default() };
            }
        }
        Ok(limits)
    }

    /// Other limits: every bound is counted anew.
    pub fn reconfigured(&mut self, now: BoxTime) {
        (self.day, self.brake) = (Day::default(), None);
        self.rules.clear();
        self.count_by(now);
    }

    /// The gates that are shut are looked at then, if not before.
    pub fn count_by(&mut self, at: BoxTime) {
        for gate in &mut self.gates {
            gate.until = gate.until.map(|until| until.min(at));
        }
    }

    /// A place that was taken, or given to somebody, is free again: it goes to who waits as soon as may be counted again.
    pub fn place_is_free(&mut self, now: BoxTime) {
        self.count_by(pace::count_again(None, pace::DAY, now));
    }

    /// When a gate or the brake is to be looked at. A brake that is over is looked at when something may be posted again.
    pub fn next_wake(&self, now: BoxTime) -> Option<BoxTime> {
        let brake = self.brake.map(|(until, _)| until).filter(|until| *until > now);
        self.gates.iter().filter_map(|gate| gate.until).chain(brake).min()
    }

    /// Whether it is worth an exact count to say how much of its cap of this place a rule used.
    pub fn may_be_half_used(&self, rule: &str, place: usize, count: u64) -> bool {
        let known = self.rules.iter().find(|(name, _)| &**name == rule);
        known.and_then(|(_, bounds)| bounds.get(place)).is_some_and(|bound| bound.is_worth_counting(count))
    }

    /// One message of a rule left.
    pub fn spend_rule(&mut self, rule: &str) {
        if let Some((_, bounds)) = self.rules.iter_mut().find(|(name, _)| &**name == rule) {
            bounds.iter_mut().for_each(AtMost::spend);
        }
    }
}

impl Engine {
    /// What a message is to the limits.
    pub(super) fn load_of(&self, lane: Option<&Lane>, content: &Content, purpose: &str, priority: Priority) -> Load {
        let window = lane.and_then(|lane| lane.window);
        let open = window.and_then(|window| window.is_open(self.moment, RECEPTION)) == Some(true);
        Load::of(content.category(), purpose, priority, !open)
    }

    /// What such a message waits for, if it needs a place among the day's people and there is none. `None`: it may go.
    pub(super) fn waits_for_place(
        &mut self,
        lane: &Lane,
        message: &Stored,
        load: Load,
    ) -> Result<Option<Wait>, StoreError> {
        let now = self.moment.boxed;
        let Some(daily) = self.pace.daily.filter(|_| load.is_new(lane.reached, now)) else { return Ok(None) };
        let place = usize::from(!load.is_urgent());
        if let Some(until) = self.shut_by_loss(place) {
            self.soft.limits.gates[place].until = Some(until);
            return Ok(Some(Wait { until, reason: Reason::DailyLimit }));
        }
        let gate = &mut self.soft.limits.gates[place];
        if let Some(until) = gate.until.filter(|_| !gate.admitted.contains(&message.person())) {
            gate.critical |= load.critical;
            return Ok(Some(Wait { until, reason: Reason::DailyLimit }));
        }
        let people = &mut self.soft.limits.day.people;
        if people.fits(daily.of(load), || self.outbox.reached(day_before(now)))? {
            return Ok(None);
        }
        let until = self.shut(place, daily.of(load), 0)?;
        self.soft.limits.gates[place].critical |= load.critical;
        Ok(Some(Wait { until, reason: Reason::DailyLimit }))
    }

    /// After a loss nobody knows who was reached: for a day only staff and critical messages reach somebody new.
    fn shut_by_loss(&self, place: usize) -> Option<BoxTime> {
        let hold = self.soft.hold(GATES[1], self.moment.boxed).filter(|_| place == 1)?;
        Some(hold.until.unwrap_or(BoxTime(i64::MAX)))
    }

    /// No place is free, `pending` of them for those who were admitted: when to count again.
    fn shut(&mut self, place: usize, limit: u64, pending: u64) -> Result<BoxTime, StoreError> {
        let now = self.moment.boxed;
        let until = self.place_again(limit.saturating_sub(pending))?;
        let gate = &mut self.soft.limits.gates[place];
        (gate.until, gate.more) = (Some(until), false);
        gate.since.get_or_insert(self.moment.wall.reading());
        let told = &mut self.soft.limits.told[place];
        if told.is_none_or(|told| told + TOLD_AGAIN <= now) {
            *told = Some(now);
            let whom = if place == 0 { "staff and critical messages too wait" } else { "others than staff wait" };
            let detail = match limit {
                0 => format!("no different people in 24 hours are left for this box (limits.share): {whom}"),
                _ => format!("{limit} different people in 24 hours are reached (limits.daily_recipients): {whom}"),
            };
            self.tell_box(Reason::DailyLimit, detail, true);
        }
        Ok(until)
    }

    /// When to count the day's people again, of whom `taken` leave no place.
    fn place_again(&self, taken: u64) -> Result<BoxTime, StoreError> {
        let now = self.moment.boxed;
        let next = if taken == 0 { None } else { self.outbox.reached_at(day_before(now), taken)? };
        Ok(pace::count_again(next, pace::DAY, now))
    }

    /// When to count the day's messages again, of which `limit` are used up.
    fn message_again(&self, limit: u64) -> Result<BoxTime, StoreError> {
        let now = self.moment.boxed;
        let next = if limit == 0 { None } else { self.outbox.left_at(day_before(now), limit)? };
        Ok(pace::count_again(next, pace::DAY, now))
    }

    /// Gives the places that became free.
    pub(super) fn open_gates(&mut self) -> Result<(), StoreError> {
        let now = self.moment.boxed;
        for place in 0..GATES.len() {
            if self.soft.limits.gates[place].until.is_none_or(|until| until > now) {
                continue;
            }
            match self.shut_by_loss(place) {
                Some(until) => self.soft.limits.gates[place].until = Some(until),
                None => self.open_gate(place, self.pace.daily)?,
            }
        }
        Ok(())
    }

    fn open_gate(&mut self, place: usize, daily: Option<Daily>) -> Result<(), StoreError> {
        let now = self.moment.boxed;
        let limit = daily.map_or(u64::MAX, |daily| if place == 0 { daily.all } else { daily.free });
        let reached = self.outbox.reached(day_before(now))?;
        self.soft.limits.day.people.counted(reached);
        for other in 0..GATES.len() {
            for person in self.soft.limits.gates[other].admitted.clone() {
                self.keeps_place(person)?;
            }
        }
        let gates = &mut self.soft.limits.gates;
        let given =
            |gates: &[Gate]| -> BTreeSet<PersonId> { gates.iter().flat_map(|gate| gate.admitted.clone()).collect() };
        // Who has an urgent place needs no other; what is urgent does not wait until its person's ordinary one is used.
        let known = given(&gates[..=place]);
        let free = limit.saturating_sub(reached).saturating_sub(given(gates).len() as u64);
        let room =
            usize::try_from(free).unwrap_or(usize::MAX).min(ADMITTED.saturating_sub(gates[place].admitted.len()));
        let chosen = self.outbox.first_at_gate(GATES[place], room, &known, &mut gates[place].last)?;
        // Where nobody else waits, what still does is of those who have a place.
        let nobody_else = chosen.len() < room;
        for person in chosen.iter().chain(known.iter().filter(|_| nobody_else)) {
            self.outbox.release_of(*person, GATES[place])?;
            self.refresh(*person)?;
        }
        let gates = &mut self.soft.limits.gates;
        if nobody_else {
            gates[place] = Gate::default();
            return Ok(());
        }
        gates[place].admitted.extend(chosen);
        let pending = given(gates).len() as u64;
        let gate = &mut gates[place];
        gate.more = limit.saturating_sub(reached) > pending;
        gate.critical = is_critical(self.outbox.next_parked(GATES[place])?);
        if gate.more {
            gate.until = Some(pace::count_again(None, pace::DAY, now));
            return Ok(());
        }
        self.shut(place, limit, pending).map(drop)
    }

    /// A message leaves: its person's place is taken, and what waited for one goes on.
    pub(super) fn took_place(&mut self, message: &Stored, load: Load) -> Result<(), StoreError> {
        let now = self.moment.boxed;
        self.soft.limits.spend_rule(message.rule());
        if !load.reaches {
            return Ok(());
        }
        let mut shut = false;
        for gate in &mut self.soft.limits.gates {
            shut |= gate.until.is_some();
            gate.admitted.retain(|admitted| *admitted != message.person());
            if gate.more && gate.admitted.is_empty() {
                gate.until = Some(now);
            }
        }
        if shut { self.needs_no_place(message.person()) } else { Ok(()) }
    }

    /// Whoever was given a place and has nothing left that could take it (withheld, capped, too old) gives it back.
    pub(super) fn keeps_place(&mut self, person: PersonId) -> Result<(), StoreError> {
        let was_given = self.soft.limits.gates.iter().any(|gate| gate.admitted.contains(&person));
        if !was_given || self.outbox.has_waiting(person)? {
            return Ok(());
        }
        for gate in &mut self.soft.limits.gates {
            gate.admitted.retain(|admitted| *admitted != person);
        }
        self.soft.limits.place_is_free(self.moment.boxed);
        Ok(())
    }

    /// The person is one of the day's, or wrote to us: what waited for a place goes on.
    pub(super) fn needs_no_place(&mut self, person: PersonId) -> Result<(), StoreError> {
        for hold in GATES {
            self.outbox.release_of(person, hold)?;
        }
        Ok(())
    }

    /// Until when nothing but critical messages leaves, if `limits.daily_messages` are used up.
    pub(super) fn brake(&mut self) -> Result<Option<BoxTime>, StoreError> {
        let now = self.moment.boxed;
        if let Some((until, _)) = self.soft.limits.brake
            && until > now
        {
            return Ok(Some(until));
        }
        let before = self.soft.limits.brake.take();
        let Some(limit) = self.pace.daily_messages else { return Ok(None) };
        if self.soft.limits.day.messages.fits(limit, || self.outbox.left(day_before(now)))? {
            return Ok(None);
        }
        let until = self.message_again(limit)?;
        if before.is_none() {
            let detail = format!("{limit} messages in 24 hours left (limits.daily_messages): only critical ones go");
            self.tell_box(Reason::DailyMessages, detail, true);
        }
        let since = before.map_or(self.moment.wall.reading(), |(_, since)| since);
        self.soft.limits.brake = Some((until, since));
        Ok(Some(until))
    }

    /// Whether a rule sent as much as `limits.caps.rule` allows: then it is held until an operator resumes it.
    pub(super) fn surges(&mut self, rule: &Arc<str>) -> Result<bool, StoreError> {
        if self.pace.caps.rule.is_empty() || [OPERATOR, OPT_OUT].contains(&&**rule) {
            return Ok(false);
        }
        let (key, now) = (format!("rule:{rule}"), self.moment.boxed);
        if self.soft.hold(&key, now).is_some() {
            return Ok(true);
        }
        let anew = self.counted_anew(rule);
        let rules = &mut self.soft.limits.rules;
        let place = rules.iter().position(|(name, _)| name == rule).unwrap_or_else(|| {
            rules.push((Arc::clone(rule), vec![AtMost::default(); self.pace.caps.rule.len()]));
            rules.len() - 1
        });
        for (cap, bound) in self.pace.caps.rule.iter().zip(&mut rules[place].1) {
            let since = window_of(cap, now).max(anew);
            if bound.fits(u64::from(cap.count), || self.outbox.left_by_rule(rule, since))? {
                continue;
            }
            let note = format!("it sent {cap} (limits.caps.rule): see what fires it");
            self.tell_box(Reason::RuleSurge, format!("rule {rule} is held: {note}"), true);
            self.put_hold(Hold {
                key,
                reason: Reason::RuleSurge,
                since: self.moment.wall.reading(),
                until: None,
                strikes: 0,
                lift: BY_OPERATOR.to_owned(),
                note,
                loud: true,
            })?;
            return Ok(true);
        }
        Ok(false)
    }

    /// An operator resumed the rule: its surge is counted from now on.
    pub(super) fn count_rule_anew(&mut self, rule: &str) -> Result<(), StoreError> {
        self.soft.limits.rules.retain(|(name, _)| &**name != rule);
        if self.pace.caps.rule.is_empty() {
            return Ok(());
        }
        self.put_hold(Hold {
            key: format!("{RESUMED}{rule}"),
            reason: Reason::Due,
            since: self.moment.wall.reading(),
            until: Some(self.moment.boxed + pace::WINDOW_MAX),
            strikes: 0,
            lift: BY_TIME.to_owned(),
            note: String::new(),
            loud: false,
        })
    }

    pub(super) fn counted_anew(&self, rule: &str) -> BoxTime {
        let mark = self.soft.holds.iter().find(|hold| hold.key.strip_prefix(RESUMED) == Some(rule));
        let since = mark.and_then(|hold| hold.until);
        // What leaves in the instant of the order counts: nothing did before it, the rule was held.
        since.map_or(BoxTime(i64::MIN), |until| BoxTime(until.0 - crate::time::millis(pace::WINDOW_MAX) - 1))
    }

    /// What such a message would wait for now, or how it would end, if it is not held by anything else; for `explain`.
    pub(super) fn foretell_limits(
        &self,
        rule: &str,
        lane: Option<&Lane>,
        load: Load,
        expires: BoxTime,
    ) -> Result<Option<(Outcome, Reason, Option<BoxTime>)>, StoreError> {
        let now = self.moment.boxed;
        let waits = |reason, until: BoxTime| Some((Outcome::Stored, reason, Some(until)));
        for cap in self.pace.caps.rule.iter().filter(|_| !load.critical && rule != OPERATOR) {
            let since = window_of(cap, now).max(self.counted_anew(rule));
            if self.outbox.left_by_rule(rule, since)? >= u64::from(cap.count) {
                return Ok(Some((Outcome::Stored, Reason::RuleSurge, None)));
            }
        }
        let recent = lane.map(|lane| Recent::of_bytes(&lane.recent)).unwrap_or_default();
        let ready = pace::cap_ready(&self.pace, &recent, load, now);
        if ready >= expires {
            return Ok(Some((Outcome::Withheld, Reason::OwnCap, None)));
        } else if ready > now {
            return Ok(waits(Reason::OwnCap, ready));
        }
        if let Some(daily) = self.pace.daily.filter(|_| load.is_new(lane.and_then(|lane| lane.reached), now)) {
            let place = usize::from(!load.is_urgent());
            let shut = self.shut_by_loss(place).or(self.soft.limits.gates[place].until);
            let (limit, since) = (daily.of(load), day_before(now));
            if let Some(until) = shut {
                return Ok(waits(Reason::DailyLimit, until));
            } else if self.outbox.reached(since)? >= limit {
                return Ok(waits(Reason::DailyLimit, self.place_again(limit)?));
            }
        }
        match self.pace.daily_messages.filter(|_| !load.critical) {
            Some(limit) if self.outbox.left(day_before(now))? >= limit => {
                Ok(waits(Reason::DailyMessages, self.message_again(limit)?))
            }
            _ => Ok(None),
        }
    }

    /// What the limits hold now, as holds.
    pub(super) fn limit_holds(&self) -> Vec<Hold> {
        let now = self.moment.boxed;
        let hold = |key: &str, reason, until, since, note, loud| Hold {
            key: key.to_owned(),
            reason,
            since,
            until,
            strikes: 0,
            lift: BY_TIME.to_owned(),
            note,
            loud,
        };
        let gates = self.soft.limits.gates.iter().zip(GATES).filter_map(|(gate, key)| {
            let since = gate.since.unwrap_or(self.moment.wall.reading());
            let note = if gate.critical { "critical messages wait" } else { "" };
            gate.until
                .map(|until| hold(key, Reason::DailyLimit, Some(until.max(now)), since, note.to_owned(), gate.critical))
        });
        let brake = self.soft.limits.brake.filter(|(until, _)| *until > now);
        let brake = brake.map(|(until, since)| {
            hold(BRAKE, Reason::DailyMessages, Some(until), since, "critical messages go".to_owned(), false)
        });
        gates.chain(brake).collect()
    }

    /// What the limits hold by this key.
    pub(super) fn limit_hold(&self, key: &str) -> Option<Hold> {
        self.limit_holds().into_iter().find(|hold| hold.key == key)
    }

    /// The platform refused what `left` then, or nobody knows when, as too fast: once for all that was on its way.
    pub(super) fn slow_down(&mut self, left: Option<BoxTime>) -> Result<(), StoreError> {
        let now = self.moment.boxed;
        if self.soft.hold("number", now).is_some() || left.is_some_and(|left| self.soft.sender.knew_better(left)) {
            return Ok(());
        }
        let learned = self.soft.sender.refused(&self.pace, now);
        self.outbox.set_learned(learned.rate, learned.since)
    }
}

/// A repeat is recognised by the message that it repeats, and limits count attempts: settled messages are kept at least as long as
/// any rule or limit looks back.
pub(super) fn kept_for_counts(
    outbox: outbox::Settings,
    rules: &rules::Settings,
    pace: &pace::Settings,
) -> outbox::Settings {
    let repeats = rules.rules.iter().map(|rule| rule.dedupe_window);
    let surges = pace.caps.rule.iter().map(|cap| cap.window);
    let day = pace.daily_messages.map(|_| pace::DAY);
    let longest = repeats.chain(surges).chain(day).max().unwrap_or_default();
    outbox::Settings { keep_settled: outbox.keep_settled.max(longest), ..outbox }
}

/// The mark of a rule that an operator resumed: no hold of anything.
pub(super) const RESUMED: &str = "resumed:";

/// Whether the first of what is parked without a time is critical: it stands by its rank.
fn is_critical(first: Option<BoxTime>) -> bool {
    first == Some(BoxTime(Priority::Critical.rank()))
}

/// The beginning of the window that a cap looks back at.
pub(super) fn window_of(cap: &pace::Cap, now: BoxTime) -> BoxTime {
    BoxTime(now.0 - crate::time::millis(cap.window))
}

pub(super) fn day_before(now: BoxTime) -> BoxTime {
    BoxTime(now.0 - crate::time::millis(pace::DAY))
}
