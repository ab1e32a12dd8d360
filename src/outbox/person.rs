//! People: one row each, with every number, `wa_id` and user id as an alias of it.
//!
//! Floor: rooms. Brazil's ninth digit and Mexico's 1 are matched before anything is learned (`Number::forms`).

use super::stops::Print;
use super::{Outbox, StoreError, retain, stopped};
use crate::message::{ALL, Act, Acted, Name, Number, PersonId, STOP_WORD, Source, hex};
use crate::time::{BoxTime, millis};
use rusqlite::{OptionalExtension, params};
use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) const DIGITS: i64 = 0;
pub(super) const USER: i64 = 1;
const ERASED: i64 = 2;

/// A row of its own, whose id is part of what its number is sealed with.
const NEW_PERSON: &str = "INSERT INTO person (id, number) SELECT id, sealed('person', id, ?1)
     FROM (SELECT coalesce(max(id), 0) + 1 AS id FROM person)";

impl Outbox {
    /// The person of a number, if there is one.
    pub fn find_person(&self, number: &Number) -> Result<Option<PersonId>, StoreError> {
        for form in number.forms() {
            let found = self.alias(form.digits(), DIGITS)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The person of a number; a new one where nobody is known by any of its forms.
    pub fn person(&mut self, number: &Number) -> Result<PersonId, StoreError> {
        if let Some(known) = self.find_person(number)? {
            return Ok(known);
        }
        let digits = number.digits().to_owned();
        let person = match self.find_erased(number)? {
            Some(erased) => {
                let db = self.write()?;
                db.execute(
                    "UPDATE person SET number = sealed('person', id, ?2) WHERE id = ?1",
                    params![erased.0, digits],
                )?;
                db.execute("DELETE FROM alias WHERE person = ?1 AND kind = ?2", [erased.0, ERASED])?;
                erased
            }
            None => self.new_person(&digits)?,
        };
        self.add_alias(&digits, DIGITS, person)?;
        Ok(person)
    }

    /// The person of a name, if there is one.
    pub fn find_named(&self, name: &Name) -> Result<Option<PersonId>, StoreError> {
        match name {
            Name::Number(number) => self.find_person(number),
            Name::User(user) => self.find_user(user),
        }
    }

    /// The person of a name; a new one where nobody has it.
    pub fn person_named(&mut self, name: &Name) -> Result<PersonId, StoreError> {
        match (name, self.find_named(name)?) {
            (_, Some(known)) => Ok(known),
            (Name::Number(number), None) => self.person(number),
            (Name::User(user), None) => self.person_of_user(user),
        }
    }

    fn new_person(&mut self, digits: &str) -> Result<PersonId, StoreError> {
        let db = self.write()?;
        db.prepare_cached(NEW_PERSON)?.execute([digits])?;
        Ok(PersonId(db.last_insert_rowid()))
    }

    /// By whose limits a message to a number would go: the person, or what is still counted of one who was erased.
    pub fn find_account(&self, number: &Number) -> Result<Option<PersonId>, StoreError> {
        Ok(self.find_person(number)?.or(self.find_erased(number)?))
    }

    fn find_erased(&self, number: &Number) -> Result<Option<PersonId>, StoreError> {
        for form in number.forms() {
            let found = self.alias(&self.spent_print(form.digits()), ERASED)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn spent_print(&self, digits: &str) -> String {
        hex(&self.stops.print(Print::Spent, &[digits.as_bytes()]))
    }

    /// What was sent to somebody in the last 24 hours, who is erased now, goes on counting: for the day's people, and should the
    /// number come back, for pair and caps. It hangs on a nameless row, found by a hash of the number.
    ///
    /// Of what is on its way nobody will know when it was received: nothing else goes to that number while it is to be `alone`.
    pub(super) fn keep_spent(
        &mut self,
        person: PersonId,
        alone: Option<BoxTime>,
        now: BoxTime,
    ) -> Result<(), StoreError> {
        if let Some(until) = alone {
            self.write()?.execute(
                "UPDATE lane SET held_until = max(held_until, ?2), held_rank = 0, pair_last = max(pair_last, ?3)
                 WHERE person = ?1",
                [person.0, until.0, now.0],
            )?;
        }
        let lane = self.lane(person)?;
        // Of the pair 0 is never; a place may have been taken in a box's first instant.
        let last = lane.reached.max(Some(lane.pair.last).filter(|last| *last > BoxTime(0)));
        if last.is_none_or(|last| last <= BoxTime(now.0 - millis(retain::SPENT))) {
            return Ok(());
        }
        let prints: Vec<String> =
            stopped::names_of(&self.db, person.0)?.iter().map(|digits| self.spent_print(digits)).collect();
        let mut known = None;
        for print in &prints {
            known = known.or(self.alias(print, ERASED)?);
        }
        let nameless = match known {
            Some(known) => known,
            None => self.new_person("")?,
        };
        for print in &prints {
            self.add_alias(print, ERASED, nameless)?;
        }
        // Of the person: windows, wishes, whom the platform protects.
        self.db.execute(
            "UPDATE lane SET due = NULL, rank = 0, rule = '', window_wall = NULL, window_since = NULL, undeliverable = NULL,
                 not_before = NULL, marketing_stopped = 0, wish_wall = NULL, stopped_wall = NULL, started_wall = NULL WHERE person = ?1",
            [person.0],
        )?;
        self.unite_lanes(nameless, person)
    }

    /// The person whom the platform knows by this user id, if there is one.
    pub fn find_user(&self, user: &str) -> Result<Option<PersonId>, StoreError> {
        self.alias(user, USER)
    }

    /// Somebody of whom nothing but the user id is known: a wish counts as soon as the number is learned.
    pub fn person_of_user(&mut self, user: &str) -> Result<PersonId, StoreError> {
        let person = self.new_person("")?;
        self.add_alias(user, USER, person)?;
        Ok(person)
    }

    /// The number that a person was first known by.
    pub fn number(&self, person: PersonId) -> Result<Option<Number>, StoreError> {
        let digits: Option<String> = self
            .db
            .prepare_cached("SELECT opened('person', id, number) FROM person WHERE id = ?1")?
            .query_row([person.0], |row| row.get(0))
            .optional()?;
        Ok(digits.and_then(|digits| Number::of_digits(&digits).ok()))
    }

    /// Learns that the platform knows a person as `wa_id` (digits) or by a user id.
    ///
    /// Should the name, or another form of the number, belong to somebody else already, the two rows are one person and become one: whether that happened is
    /// the second part of the result.
    pub fn learn(
        &mut self,
        person: PersonId,
        wa_id: Option<&str>,
        user: Option<&str>,
    ) -> Result<(PersonId, bool), StoreError> {
        let (mut person, mut united, mut named) = (person, false, false);
        for (value, kind) in wa_id.map(|value| (value, DIGITS)).into_iter().chain(user.map(|value| (value, USER))) {
            if self.alias(value, kind)?.is_none() {
                self.add_alias(value, kind, person)?;
                named = true;
            }
            let known = match Number::of_digits(value) {
                Ok(number) if kind == DIGITS => self.known_by_number(&number)?,
                _ => self.alias(value, kind)?.into_iter().collect(),
            };
            for known in known {
                if known != person {
                    person = self.unite(person.min(known), person.max(known))?;
                    united = true;
                }
            }
        }
        if named || united {
            self.list_again(person)?;
        }
        Ok((person, united))
    }

    /// Everybody who is known by any form of a number.
    pub(super) fn known_by_number(&self, number: &Number) -> Result<BTreeSet<PersonId>, StoreError> {
        let mut known = BTreeSet::new();
        for form in number.forms() {
            known.extend(self.alias(form.digits(), DIGITS)?);
        }
        Ok(known)
    }

    fn alias(&self, value: &str, kind: i64) -> Result<Option<PersonId>, StoreError> {
        Ok(self
            .db
            .prepare_cached("SELECT person FROM alias WHERE value = found_by('alias', ?1) AND kind = ?2")?
            .query_row(params![value, kind], |row| row.get(0).map(PersonId))
            .optional()?)
    }

    fn add_alias(&mut self, value: &str, kind: i64, person: PersonId) -> Result<(), StoreError> {
        self.write()?
            .prepare_cached("INSERT OR IGNORE INTO alias (value, kind, person, rest) VALUES (found_by('alias', ?1), ?2, ?3, rest('alias', ?1))")?
            .execute(params![value, kind, person.0])?;
        Ok(())
    }

    /// Repeats of events go by the person: they are recognised as before.
    fn rekey(&mut self, into: PersonId, from: PersonId) -> Result<(), StoreError> {
        let known: Vec<(i64, Source)> = self
            .db
            .prepare("SELECT id, rule, named_as('event', event) FROM message WHERE person = ?1 AND dedupe IS NOT NULL")?
            .query_map([from.0], |row| {
                let (rule, event): (String, Option<String>) = (row.get(1)?, row.get(2)?);
                Ok((
                    row.get(0)?,
                    Source { rule: rule.into(), event: event.map(Arc::from), topic: "".into(), print: None },
                ))
            })?
            .collect::<Result<_, _>>()?;
        self.write()?;
        let mut update = self.db.prepare("UPDATE message SET dedupe = ?1 WHERE id = ?2")?;
        for (id, source) in known {
            update.execute(params![self.dedupe_key(&source, into), id])?;
        }
        Ok(())
    }

    /// What one of two people took back, and the line that says so. It is said again when they become one: a consent that only
    /// the other number was asked for, and that came later, must not lift it.
    fn revoked_by_either(&self, into: PersonId, from: PersonId) -> Result<Vec<(String, i64)>, StoreError> {
        let purposes: Vec<String> = self
            .db
            .prepare(
                "SELECT DISTINCT purpose FROM ledger WHERE sender = ?1 AND person IN (?2, ?3) AND purpose <> 'all'",
            )?
            .query_map([self.sender.0, into.0, from.0], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let mut revoked = Vec::new();
        for purpose in purposes {
            // What the list alone knows has no line; it goes on stopping both numbers by itself.
            let standings = [
                self.standing_in_ledger(&self.lane(into)?, &purpose)?,
                self.standing_in_ledger(&self.lane(from)?, &purpose)?,
            ];
            let line =
                standings.iter().filter(|standing| standing.is_revoked()).filter_map(|standing| standing.revoked).max();
            revoked.extend(line.map(|seq| (purpose, seq)));
        }
        Ok(revoked)
    }

    /// Two rows turn out to be one person: the older one keeps everything of both, and of each limit and hold the stricter.
    fn unite(&mut self, into: PersonId, from: PersonId) -> Result<PersonId, StoreError> {
        self.rekey(into, from)?;
        let revoked = self.revoked_by_either(into, from)?;
        self.write()?;
        let db = &self.db;
        for table in ["message", "ledger", "alias", "receipt", "heard"] {
            db.execute(&format!("UPDATE {table} SET person = ?1 WHERE person = ?2"), params![into.0, from.0])?;
        }
        for (purpose, seq) in &revoked {
            db.execute(
                "INSERT INTO ledger (sender, person, purpose, action, source, wording, event, at_wall, boxed, expires_wall)
                 SELECT sender, ?1, iif(purpose = ?5 AND source = ?4, purpose, ?2), action, source, wording, event, at_wall, boxed, NULL
                 FROM ledger WHERE id = ?3",
                params![into.0, purpose, seq, STOP_WORD, ALL],
            )?;
        }
        // One of them may be known by a user id alone.
        db.execute(
            "UPDATE person SET number = sealed('person', id, (SELECT opened('person', id, number) FROM person WHERE id = ?2))
             WHERE id = ?1 AND opened('person', id, number) = ''",
            params![into.0, from.0],
        )?;
        db.execute("DELETE FROM person WHERE id = ?1", [from.0])?;
        self.unite_lanes(into, from)?;
        self.turns.forget();
        for (purpose, _) in revoked {
            self.acted(Acted { person: Some(into), ..Acted::new(Act::Revoked, &purpose) });
        }
        Ok(into)
    }

    /// Of each limit and hold the stricter.
    fn unite_lanes(&mut self, into: PersonId, from: PersonId) -> Result<(), StoreError> {
        let db = self.write()?;
        db.execute(
            "INSERT INTO lane (sender, person) SELECT sender, ?1 FROM lane WHERE person = ?2 ON CONFLICT DO NOTHING",
            params![into.0, from.0],
        )?;
        let db = &self.db;
        let recent = |person: PersonId| -> Result<Vec<u8>, StoreError> {
            let kept = db.query_row(
                "SELECT recent FROM lane WHERE sender = ?1 AND person = ?2",
                params![self.sender.0, person.0],
                |row| row.get(0),
            );
            Ok(kept.optional()?.unwrap_or_default())
        };
        db.execute(
            "UPDATE lane SET recent = ?3 WHERE sender = ?1 AND person = ?2",
            params![self.sender.0, into.0, [recent(into)?, recent(from)?].concat()],
        )?;
        db.execute(
            "UPDATE lane SET
                 pair_started = max(lane.pair_started, other.pair_started),
                 pair_last = max(lane.pair_last, other.pair_last), pair_count = lane.pair_count + other.pair_count,
                 strikes = max(lane.strikes, other.strikes), held_until = max(lane.held_until, other.held_until),
                 held_rank = min(lane.held_rank, other.held_rank),
                 reached = max(coalesce(lane.reached, other.reached), coalesce(other.reached, lane.reached)),
                 window_wall = iif(other.window_since > coalesce(lane.window_since, other.window_since - 1), other.window_wall, lane.window_wall),
                 window_since = max(coalesce(lane.window_since, other.window_since), coalesce(other.window_since, lane.window_since)),
                 undeliverable = max(coalesce(lane.undeliverable, other.undeliverable), coalesce(other.undeliverable, lane.undeliverable)),
                 not_before = max(coalesce(lane.not_before, other.not_before), coalesce(other.not_before, lane.not_before)),
                 marketing_stopped = max(lane.marketing_stopped, other.marketing_stopped),
                 wish_wall = max(coalesce(lane.wish_wall, other.wish_wall), coalesce(other.wish_wall, lane.wish_wall)),
                 stopped_wall = max(coalesce(lane.stopped_wall, other.stopped_wall), coalesce(other.stopped_wall, lane.stopped_wall)),
                 started_wall = max(coalesce(lane.started_wall, other.started_wall), coalesce(other.started_wall, lane.started_wall)),
                 seen = max(lane.seen, other.seen)
             FROM lane AS other WHERE lane.person = ?1 AND other.person = ?2 AND other.sender = lane.sender",
            params![into.0, from.0],
        )?;
        db.execute("DELETE FROM lane WHERE person = ?1", [from.0])?;
        Ok(())
    }
}
