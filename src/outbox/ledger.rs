//! The consent ledger: every grant and revocation, in order, never changed.
//!
//! Floor: rooms. What follows from it is decided by `policy`.

use super::{Lane, Outbox, StoreError};
use crate::message::{
    ALL, Act, Acted, GrantFact, LedgerAction, LedgerEntry, PersonId, START_WORD, STOP_WORD, Standing,
};
use crate::time::{BoxTime, Moment, Wall};
use rusqlite::{OptionalExtension, params};
use std::sync::Arc;
use std::time::Duration;

/// One line of the ledger as it is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LedgerRow {
    /// Its place.
    pub row: i64,
    /// Whose it is: the person's first number with its +, or the platform's id of who has none.
    pub name: String,
    /// What it says.
    pub entry: LedgerEntry,
    /// When it was given, if the clock was trusted then.
    pub at: Option<Wall>,
    /// The event that brought it.
    pub event: Option<String>,
}

impl Outbox {
    /// An index that has lost a person's lines would withhold what was agreed to: an error if there are any.
    pub fn must_be_a_stranger(&self, person: PersonId) -> Result<(), StoreError> {
        let lost: bool = self
            .db
            .prepare_cached(
                "SELECT NOT EXISTS (SELECT 1 FROM ledger INDEXED BY ledger_person WHERE sender = ?1 AND person = ?2)
                     AND EXISTS (SELECT 1 FROM ledger NOT INDEXED WHERE sender = ?1 AND person = ?2)",
            )?
            .query_row(params![self.sender.0, person.0], |row| row.get(0))?;
        if lost { Err(StoreError::contradiction("an index has lost a person's lines of the ledger")) } else { Ok(()) }
    }

    /// Adds a line. `at` is when it was given if that is known; the trusted clock's time otherwise. What a grant then is to
    /// policy is returned.
    pub fn record_consent(
        &mut self,
        person: PersonId,
        entry: &LedgerEntry,
        event: Option<&str>,
        at: Option<Wall>,
        now: Moment,
    ) -> Result<GrantFact, StoreError> {
        let sender = self.sender.0;
        let at = at.or(now.wall.trusted());
        let db = self.write()?;
        db.prepare_cached(
            "INSERT INTO ledger (sender, person, purpose, action, source, wording, event, at_wall, boxed, expires_wall)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, named('event', ?7), ?8, ?9, ?10)",
        )?
        .execute(params![
            sender,
            person.0,
            entry.purpose,
            entry.action.code(),
            entry.source,
            entry.wording,
            event,
            at.map(|at| at.0),
            now.boxed.0,
            entry.expires.map(|at| at.0)
        ])?;
        let seq = db.last_insert_rowid();
        self.list_consent(person, entry)?;
        let act = match entry.action {
            // A line like the one before, but for its end, which is now.
            LedgerAction::Grant if entry.expires.is_some() && entry.expires <= at => Act::Ended,
            LedgerAction::Grant => Act::Granted,
            LedgerAction::Revoke => Act::Revoked,
        };
        let event = event.map(Arc::from);
        self.acted(Acted { person: Some(person), event, ..Acted::new(act, &entry.purpose) });
        Ok(GrantFact { seq, at, expires: entry.expires })
    }

    /// Consent that came while no clock could be trusted gets its date: box time tells how long ago that was. With it a grant gets
    /// the end that its purpose has, unless it came with one of its own.
    pub(super) fn date_consent(
        &mut self,
        now: BoxTime,
        wall: Wall,
        lasting: &[(&str, Duration)],
    ) -> Result<(), StoreError> {
        let undated: bool = self
            .db
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM ledger INDEXED BY ledger_undated WHERE at_wall IS NULL)")?
            .query_row([], |row| row.get(0))?;
        if undated {
            let db = self.write()?;
            for (purpose, lasts) in lasting {
                db.execute(
                    "UPDATE ledger SET expires_wall = ?1 - (?2 - boxed) + ?3
                     WHERE at_wall IS NULL AND action = 'grant' AND purpose = ?4 AND expires_wall IS NULL",
                    params![wall.0, now.0, lasts.as_millis() as i64, purpose],
                )?;
            }
            db.execute("UPDATE ledger SET at_wall = ?1 - (?2 - boxed) WHERE at_wall IS NULL", params![wall.0, now.0])?;
        }
        Ok(())
    }

    /// Where a person stands on one purpose: as the ledger and the list of stops say, whichever is stricter.
    pub fn standing(&self, person: PersonId, purpose: &str) -> Result<Standing, StoreError> {
        self.standing_of(&self.lane(person)?, purpose)
    }

    /// The same for a lane that was read.
    pub fn standing_of(&self, lane: &Lane, purpose: &str) -> Result<Standing, StoreError> {
        let mut standing = self.standing_in_ledger(lane, purpose)?;
        self.put_stops(&mut standing, lane.person, purpose)?;
        Ok(standing)
    }

    pub(super) fn standing_in_ledger(&self, lane: &Lane, purpose: &str) -> Result<Standing, StoreError> {
        let mut standing = Standing {
            marketing_stopped: lane.marketing_stopped,
            undeliverable_until: lane.undeliverable_until,
            not_before: lane.not_before,
            window: lane.window,
            ..Standing::default()
        };
        let mut lines = self.db.prepare_cached(
            "SELECT id, action, at_wall, expires_wall, purpose = ?4, source FROM ledger
             WHERE sender = ?1 AND person = ?2 AND (purpose = ?3 OR purpose = ?4) ORDER BY id",
        )?;
        let mut rows = lines.query(params![self.sender.0, lane.person.0, purpose, ALL])?;
        // What a stop word took, a start word gives back; nothing else that was taken.
        let (mut by_word, mut otherwise) = (None, None);
        while let Some(row) = rows.next()? {
            let (seq, all): (i64, bool) = (row.get(0)?, row.get(4)?);
            match LedgerAction::of_code(row.get_ref(1)?.as_str().unwrap_or_default()) {
                Some(LedgerAction::Grant) if all => by_word = None,
                Some(LedgerAction::Revoke)
                    if all && row.get_ref(5)?.as_str().is_ok_and(|source| source == STOP_WORD) =>
                {
                    by_word = Some(seq);
                }
                Some(LedgerAction::Grant) => {
                    let (at, expires) = (row.get::<_, Option<i64>>(2)?, row.get::<_, Option<i64>>(3)?);
                    standing.grant = Some(GrantFact { seq, at: at.map(Wall), expires: expires.map(Wall) });
                }
                // A line that nobody can read is taken for the strict one.
                Some(LedgerAction::Revoke) | None => otherwise = Some(seq),
            }
        }
        standing.revoked = by_word.max(otherwise);
        Ok(standing)
    }

    /// Of whom, and for what, the configuration stated consent at some time.
    pub fn stated(&self) -> Result<Vec<(PersonId, String)>, StoreError> {
        let mut query = self.db.prepare_cached(
            "SELECT DISTINCT person, purpose FROM ledger INDEXED BY ledger_stated WHERE source = 'configuration'",
        )?;
        let rows = query.query_map([], |row| Ok((PersonId(row.get(0)?), row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The person's last stop or start word, unless something was granted since: what it says, and when it was written.
    pub fn last_word(&self, person: PersonId) -> Result<Option<(LedgerAction, Option<Wall>)>, StoreError> {
        let last = self
            .db
            .prepare_cached(
                "SELECT action, at_wall, source IN (?4, ?5) FROM ledger
                 WHERE sender = ?1 AND person = ?2 AND (action = 'grant' OR purpose = ?3 AND source = ?4) ORDER BY id DESC LIMIT 1",
            )?
            .query_row(params![self.sender.0, person.0, ALL, STOP_WORD, START_WORD], |row| {
                let action = LedgerAction::of_code(row.get_ref(0)?.as_str().unwrap_or_default());
                Ok((action, row.get::<_, Option<i64>>(1)?.map(Wall), row.get::<_, bool>(2)?))
            })
            .optional()?;
        Ok(last.filter(|last| last.2).and_then(|(action, at, _)| Some((action?, at))))
    }

    /// All lines of one person, oldest first.
    pub fn consent_of(&self, person: PersonId) -> Result<Vec<LedgerRow>, StoreError> {
        self.ledger_rows("ledger.person = ?1 AND ledger.id > ?2", person.0, 0, i64::MAX)
    }

    /// At most 500 lines after `after`, oldest first.
    pub fn consent_page(&self, after: i64) -> Result<Vec<LedgerRow>, StoreError> {
        // Of who was erased nobody knows a name.
        let which = "ledger.sender = ?1 AND ledger.id > ?2 AND name IS NOT NULL";
        self.ledger_rows(which, self.sender.0, after, 500)
    }

    fn ledger_rows(&self, which: &str, key: i64, after: i64, limit: i64) -> Result<Vec<LedgerRow>, StoreError> {
        let mut query = self.db.prepare_cached(&format!(
            "SELECT ledger.id, coalesce('+' || nullif(opened('person', person.id, number), ''),
                     (SELECT min(named_by('alias', value, rest)) FROM alias WHERE alias.person = person.id AND kind = 1)) AS name, purpose, action, source, wording, named_as('event', event),
                 at_wall, expires_wall FROM ledger JOIN person ON person.id = ledger.person WHERE {which} ORDER BY ledger.id LIMIT ?3"
        ))?;
        let rows = query.query_map(params![key, after, limit], |row| {
            let action = LedgerAction::of_code(row.get_ref(3)?.as_str().unwrap_or_default());
            Ok(LedgerRow {
                row: row.get(0)?,
                name: row.get(1)?,
                entry: LedgerEntry {
                    purpose: row.get(2)?,
                    action: action.unwrap_or(LedgerAction::Revoke),
                    source: row.get(4)?,
                    wording: row.get(5)?,
                    expires: row.get::<_, Option<i64>>(8)?.map(Wall),
                },
                at: row.get::<_, Option<i64>>(7)?.map(Wall),
                event: row.get(6)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
