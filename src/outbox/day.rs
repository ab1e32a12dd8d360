//! What the last 24 hours, and the last hour of a rule, took: counted from lanes and attempts; and who waits for room in them.
//!
//! Floor: rooms. It counts; what a count means is `pace`'s to say.

use super::{Outbox, StoreError, schema::state};
use crate::message::{MessageId, PersonId};
use crate::time::BoxTime;
use rusqlite::{OptionalExtension, params};
use std::collections::BTreeSet;

impl Outbox {
    /// How many people were sent a template outside the service window after `since`.
    pub fn reached(&self, since: BoxTime) -> Result<u64, StoreError> {
        let found: i64 = self
            .db
            .prepare_cached(
                "SELECT count(*) FROM lane INDEXED BY lane_reached WHERE sender = ?1 AND reached > ?2 AND reached IS NOT NULL",
            )?
            .query_row(params![self.sender.0, since.0], |row| row.get(0))?;
        Ok(found.max(0) as u64)
    }

    /// When the `place`-th of them was reached, counted back from the latest (1 and more).
    pub fn reached_at(&self, since: BoxTime, place: u64) -> Result<Option<BoxTime>, StoreError> {
        Ok(self
            .db
            .prepare_cached(
                "SELECT reached FROM lane INDEXED BY lane_reached WHERE sender = ?1 AND reached > ?2 AND reached IS NOT NULL
                 ORDER BY reached DESC LIMIT 1 OFFSET ?3",
            )?
            .query_row(params![self.sender.0, since.0, place.saturating_sub(1) as i64], |row| row.get(0).map(BoxTime))
            .optional()?)
    }

    /// How many messages left after `since` and may have arrived.
    pub fn left(&self, since: BoxTime) -> Result<u64, StoreError> {
        let found: i64 = self
            .db
            .prepare_cached("SELECT count(*) FROM attempt WHERE id > ?1 AND spent IN (1, 2)")?
            .query_row([self.attempts_until(since)?], |row| row.get(0))?;
        Ok(found.max(0) as u64)
    }

    /// When the `place`-th of them left, counted back from the latest (1 and more).
    pub fn left_at(&self, since: BoxTime, place: u64) -> Result<Option<BoxTime>, StoreError> {
        Ok(self
            .db
            .prepare_cached(
                "SELECT boxed FROM attempt WHERE id > ?1 AND spent IN (1, 2) ORDER BY id DESC LIMIT 1 OFFSET ?2",
            )?
            .query_row(params![self.attempts_until(since)?, place.saturating_sub(1) as i64], |row| {
                row.get(0).map(BoxTime)
            })
            .optional()?)
    }

    /// How many of one rule did.
    pub fn left_by_rule(&self, rule: &str, since: BoxTime) -> Result<u64, StoreError> {
        let found: i64 = self
            .db
            .prepare_cached(
                "SELECT count(*) FROM attempt CROSS JOIN message ON message.id = attempt.message
                 WHERE attempt.id > ?1 AND spent IN (1, 2) AND message.rule = ?2",
            )?
            .query_row(params![self.attempts_until(since)?, rule], |row| row.get(0))?;
        Ok(found.max(0) as u64)
    }

    /// How many of each rule did, among the last `most` of all.
    pub fn left_by_rules(&self, since: BoxTime, most: usize) -> Result<Vec<(String, u64)>, StoreError> {
        let mut query = self.db.prepare_cached(
            "SELECT rule, count(*) FROM
                 (SELECT message FROM attempt WHERE id > ?1 AND spent IN (1, 2) ORDER BY id DESC LIMIT ?2) AS latest
             CROSS JOIN message ON message.id = latest.message GROUP BY rule",
        )?;
        let rows = query.query_map(params![self.attempts_until(since)?, most as i64], |row| {
            Ok((row.get(0)?, row.get::<_, i64>(1)?.max(0) as u64))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The last attempt at or before `at`, 0 without one. Ids grow with box time: a handful of seeks instead of an index.
    fn attempts_until(&self, at: BoxTime) -> Result<i64, StoreError> {
        let last: Option<i64> =
            self.db.prepare_cached("SELECT max(id) FROM attempt")?.query_row([], |row| row.get(0))?;
        let mut first = self.db.prepare_cached("SELECT id, boxed FROM attempt WHERE id >= ?1 ORDER BY id LIMIT 1")?;
        let (mut low, mut high) = (0, last.unwrap_or(0));
        while low < high {
            let middle = low + (high - low + 1) / 2;
            let found = first.query_row([middle], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?))).optional()?;
            match found {
                Some((id, boxed)) if boxed <= at.0 => low = id,
                _ => high = middle - 1,
            }
        }
        Ok(low)
    }

    /// Whose turn it is at `hold`, one of the gates: at most `most` people, each once and none who is `known`. Most urgent first, and
    /// of equals by turns of the rules; a rule's turn goes to who has waited in it for longest. `last` is the rule whose turn was last.
    pub fn first_at_gate(
        &self,
        hold: &str,
        most: usize,
        known: &BTreeSet<PersonId>,
        last: &mut String,
    ) -> Result<Vec<PersonId>, StoreError> {
        let (mut found, mut known) = (Vec::new(), known.clone());
        for turns in self.parked_turns(hold)?.chunk_by(|one, other| one.0 == other.0) {
            let room = most - found.len();
            if room == 0 {
                break;
            }
            let after = turns.partition_point(|(_, rule)| *rule <= *last);
            let mut rules = Vec::new();
            for (rank, rule) in turns[after..].iter().chain(&turns[..after]) {
                rules.push((rule, self.parked_people(hold, *rank, rule, room, &known)?.into_iter()));
            }
            while found.len() < most {
                let before = found.len();
                for (rule, people) in &mut rules {
                    if found.len() < most
                        && let Some(person) = people.find(|person| known.insert(*person))
                    {
                        found.push(person);
                        last.clone_from(rule);
                    }
                }
                if found.len() == before {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// The ranks and rules that wait at a gate, in order: one seek for each, however many wait.
    fn parked_turns(&self, hold: &str) -> Result<Vec<(i64, String)>, StoreError> {
        let mut next = self.db.prepare_cached(
            "SELECT due, rule FROM message INDEXED BY message_gate
             WHERE state = 3 AND hold IN ('people', 'people:urgent') AND hold = ?1 AND (due, rule) > (?2, ?3)
             ORDER BY due, rule LIMIT 1",
        )?;
        let mut turns: Vec<(i64, String)> = Vec::new();
        loop {
            let (rank, rule) = turns.last().map_or((-1, ""), |(rank, rule)| (*rank, rule));
            let found = next.query_row(params![hold, rank, rule], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
            match found {
                None => return Ok(turns),
                Some(turn) if turns.last().is_some_and(|last| *last >= turn) => {
                    return Err(StoreError::contradiction("an index of gates runs in a circle"));
                }
                Some(turn) => turns.push(turn),
            }
        }
    }

    /// Who waits of one rank and rule, the oldest message first: at most `most` people, none who is `known`.
    fn parked_people(
        &self,
        hold: &str,
        rank: i64,
        rule: &str,
        most: usize,
        known: &BTreeSet<PersonId>,
    ) -> Result<Vec<PersonId>, StoreError> {
        let mut query = self.db.prepare_cached(
            "SELECT person FROM message INDEXED BY message_gate
             WHERE state = 3 AND hold IN ('people', 'people:urgent') AND hold = ?1 AND due = ?2 AND rule = ?3
             ORDER BY id",
        )?;
        let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
        let mut rows = query.query(params![hold, rank, rule])?;
        while found.len() < most
            && let Some(row) = rows.next()?
        {
            let person = PersonId(row.get(0)?);
            if !known.contains(&person) && seen.insert(person) {
                found.push(person);
            }
        }
        Ok(found)
    }

    /// Takes back all that is parked for `hold` of one person.
    pub fn release_of(&mut self, person: PersonId, hold: &str) -> Result<(), StoreError> {
        let found: Vec<MessageId> = self
            .db
            .prepare_cached(
                "SELECT id FROM message INDEXED BY message_aside WHERE state = 3 AND person = ?1 AND hold = ?2",
            )?
            .query_map(params![person.0, hold], |row| row.get(0).map(MessageId))?
            .collect::<Result<_, _>>()?;
        self.unpark(found.into_iter())
    }

    /// Back into the queues of their people.
    pub(super) fn unpark(&mut self, ids: impl Iterator<Item = MessageId>) -> Result<(), StoreError> {
        for id in ids {
            self.must_stand(id, &[state::PARKED])?;
            self.write()?
                .prepare_cached("UPDATE message SET state = 0, hold = NULL, reason = 'due', due = 0 WHERE id = ?1")?
                .execute([id.0])?;
        }
        Ok(())
    }

    /// Whether anything is in the person's queue.
    pub fn has_waiting(&self, person: PersonId) -> Result<bool, StoreError> {
        Ok(self
            .db
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM message INDEXED BY message_waiting
                 WHERE state = 0 AND sender = ?1 AND person = ?2)",
            )?
            .query_row(params![self.sender.0, person.0], |row| row.get(0))?)
    }

    /// The rate that a refusal taught, in messages a second, and when.
    pub fn learned(&self) -> Result<Option<(u32, BoxTime)>, StoreError> {
        let found: Option<(Option<u32>, Option<i64>)> = self
            .db
            .prepare_cached("SELECT rate, rate_since FROM sender WHERE id = ?1")?
            .query_row([self.sender.0], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        Ok(found.and_then(|(rate, since)| Some((rate?, BoxTime(since?)))))
    }

    /// Keeps it.
    pub fn set_learned(&mut self, rate: u32, since: BoxTime) -> Result<(), StoreError> {
        let sender = self.sender.0;
        self.write()?
            .prepare_cached("UPDATE sender SET rate = ?1, rate_since = ?2 WHERE id = ?3")?
            .execute(params![rate, since.0, sender])?;
        Ok(())
    }
}
