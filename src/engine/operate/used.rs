//! Each limit, with what is used of it and what is free.
//!
//! Floor: engine. Reading changes nothing, and costs the same however much is stored: of people and rules only those are looked at to
//! whom, and by which, something left lately. Never names anybody.

use crate::engine::Engine;
use crate::engine::limit::{day_before, window_of};
use crate::operate::LimitUse;
use crate::outbox::StoreError;
use crate::pace::{self, Kind, Recent};
use std::collections::BTreeMap;

/// Messages whose people are looked at: a few milliseconds on a small box, and half a day of `limits.daily_messages` with its default.
const TO_PEOPLE: usize = 1_000;
/// The same, as it is told: somebody whom a cap holds for longer is not among them.
const OF_PEOPLE: &str = "of the people of the last 1,000 messages";
/// Messages that are counted by their rules: more than `limits.daily_messages` lets go in a day with its default.
const BY_RULES: usize = 5_000;

impl Engine {
    /// How much of each limit is used, and what is free; with the limits per person where `people` are asked for.
    pub(super) fn limits_used(&self, people: bool) -> Result<Vec<LimitUse>, StoreError> {
        let now = self.moment.boxed;
        let mut used = Vec::new();
        if let Some(limit) = self.soft.sender.limit(&self.pace, now) {
            let slowed = self.pace.sender_per_second != Some(limit);
            let note =
                if slowed { "a second; the platform refused more, it grows again by and by" } else { "a second" };
            used.push(told("sender", u64::from(self.soft.sender.used(now)), u64::from(limit), note));
        }
        used.push(told("in-flight", self.soft.in_flight.len() as u64, self.pace.max_in_flight as u64, "requests"));
        if let Some(daily) = self.pace.daily {
            let reached = self.outbox.reached(day_before(now))?;
            used.push(told("daily-recipients", reached, daily.free, "people in 24 hours"));
            let kept = daily.all - daily.free;
            if kept > 0 {
                let note = "more people in 24 hours, for staff and critical messages";
                used.push(told("daily-reserve", reached.saturating_sub(daily.free), kept, note));
            }
        }
        if let Some(limit) = self.pace.daily_messages {
            used.push(told("daily-messages", self.outbox.left(day_before(now))?, limit, "messages in 24 hours"));
        }
        if people {
            self.people_used(&mut used)?;
        }
        self.rules_used(&mut used)?;
        let (bytes, most) = (self.outbox.used_bytes()?, self.outbox.settings().max_bytes);
        used.push(told("store", bytes, most, "bytes"));
        Ok(used)
    }

    /// Of the limits per person: what was used by who had most, and how many had all of it.
    fn people_used(&self, used: &mut Vec<LimitUse>) -> Result<(), StoreError> {
        let (now, caps) = (self.moment.boxed, &self.pace.caps);
        let pair = self.pace.pair_interval.map(|interval| {
            let burst = self.pace.pair_burst;
            ("pair".to_owned(), u64::from(burst), format!("messages at once, then one in {} s", interval.as_secs_f64()))
        });
        let per_person = Kind::ALL.into_iter().flat_map(|kind| {
            let cap = move |cap| (format!("person:{} {cap}", kind.name()), kind, cap);
            caps.person[kind as usize].iter().map(cap)
        });
        let per_person: Vec<_> = per_person.collect();
        if pair.is_none() && per_person.is_empty() {
            return Ok(());
        }
        let lanes = self.outbox.lately(TO_PEOPLE)?;
        let mut tell = |limit: &str, of: u64, what: &str, taken: Vec<u64>| {
            let at = taken.iter().filter(|taken| **taken >= of).count();
            let note = format!("{what}, of the person who had most; at the limit, {OF_PEOPLE}: {at}");
            used.push(told(limit, taken.into_iter().max().unwrap_or(0), of, &note));
        };
        if let Some((limit, of, what)) = pair {
            let taken = |pair| u64::from(pace::pair_used(&self.pace, pair, self.soft.sender.since(), now));
            tell(&limit, of, &what, lanes.iter().map(|lane| taken(&lane.pair)).collect());
        }
        let recent: Vec<Recent> = lanes.iter().map(|lane| Recent::of_bytes(&lane.recent)).collect();
        for (limit, kind, cap) in per_person {
            let taken = recent.iter().map(|recent| u64::from(recent.used(cap, kind, now)));
            tell(&limit, u64::from(cap.count), "messages", taken.collect());
        }
        Ok(())
    }

    /// Of the caps of each rule.
    fn rules_used(&self, used: &mut Vec<LimitUse>) -> Result<(), StoreError> {
        let (now, caps) = (self.moment.boxed, &self.pace.caps.rule);
        for (place, cap) in caps.iter().enumerate() {
            let (since, of) = (window_of(cap, now), u64::from(cap.count));
            let counted: BTreeMap<String, u64> = self.outbox.left_by_rules(since, BY_RULES)?.into_iter().collect();
            let all = counted.values().sum::<u64>() < BY_RULES as u64;
            for rule in self.rules.names() {
                let anew = self.counted_anew(&rule);
                // Counted one by one where the whole count says too much or may say too little.
                let taken = if anew > since || !all && self.soft.limits.may_be_half_used(&rule, place, of) {
                    self.outbox.left_by_rule(&rule, since.max(anew))?
                } else {
                    counted.get(&rule).copied().unwrap_or(0)
                };
                let name = if caps.len() > 1 { format!("rule:{rule} {cap}") } else { format!("rule:{rule}") };
                used.push(told(&name, taken, of, &format!("messages, {cap}")));
            }
        }
        Ok(())
    }
}

fn told(limit: &str, taken: u64, of: u64, note: &str) -> LimitUse {
    let used = if of > 0 { (taken as f64 / of as f64).min(1.0) } else { 1.0 };
    LimitUse { limit: limit.to_owned(), used, taken, free: of.saturating_sub(taken), note: note.to_owned() }
}
