//! Messages and their attempts: stored, cleared, answered, settled.
//!
//! Floor: rooms. Only this file makes `Stored` and `Cleared`.

use super::{Outbox, StoreError, schema::state};
use crate::message::{
    Act, Acted, AttemptId, Category, Cleared, Confirmed, Content, Draft, MessageId, Number, Outcome, Permitted,
    PersonId, Priority, Reason, Source, Stored, Terms, Token,
};
use crate::time::{BoxTime, Moment, Wall, millis};
use rusqlite::{OptionalExtension, Row, params};
use std::sync::Arc;

/// The latest about one subject and person. A subject that is used for ever ("rack") must not make each event dearer; of what
/// is older than these all but the one on its way was withdrawn already.
const ABOUT: &str = "SELECT id, state, outcome, at_wall FROM message INDEXED BY message_subject
     WHERE person = ?1 AND subject = named('subject', ?2) ORDER BY id DESC LIMIT 64";

/// What has not ended and is not unknown, by the index that keeps it small: SQLite takes a partial index only for its own words.
pub(super) const STANDING: &str = "FROM message INDEXED BY message_expiry WHERE state IN (0, 1, 3)";

/// Messages of which nobody knows; with ?1, a list of numbers as JSON, only critical ones to those.
const UNKNOWN: &str = "FROM message INDEXED BY message_unknown WHERE state = 2
     AND (?1 IS NULL OR rank = 0 AND EXISTS (
         SELECT 1 FROM content JOIN json_each(?1) ON json_each.value = opened('number', content.message, content.number)
         WHERE content.message = message.id))";

/// Milliseconds by which box time and wall clock may drift apart before an expiry is worth writing again.
const SLACK: i64 = 60_000;

/// What people are told about a message: enough for a line of log, nothing personal but the masked number.
#[derive(Clone, PartialEq, Debug)]
pub struct Found {
    /// Its row.
    pub id: MessageId,
    /// Whom it is for; nobody where the event could not be handled.
    pub person: Option<PersonId>,
    /// The rule.
    pub rule: Arc<str>,
    /// The event's id.
    pub event: Option<Arc<str>>,
    /// The number, masked; `None` once it is forgotten.
    pub to: Option<String>,
    /// What it may overtake.
    pub priority: Priority,
    /// What limits and policy go by; none for an event that could not be handled.
    pub category: Option<Category>,
}

impl Found {
    /// Of what a draft just became, as the store would tell it.
    pub fn of(draft: &Draft, id: MessageId, person: PersonId) -> Found {
        Found {
            id,
            person: Some(person),
            rule: draft.source().rule.clone(),
            event: draft.source().event.clone(),
            to: Some(draft.to().to_string()),
            priority: draft.terms().priority,
            category: Some(draft.content().category()),
        }
    }
}

/// One line about a message that ends, or starts, without being sent.
#[derive(Clone, PartialEq, Debug)]
pub struct Settling<'a> {
    /// Where it stands now.
    pub outcome: Outcome,
    /// Why.
    pub reason: Reason,
    /// For people.
    pub detail: &'a str,
    /// The platform's id.
    pub wamid: Option<&'a str>,
}

impl<'a> Settling<'a> {
    /// Without detail.
    pub fn new(outcome: Outcome, reason: Reason) -> Settling<'a> {
        Settling { outcome, reason, detail: "", wamid: None }
    }
}

/// What became of a draft.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Recorded {
    /// Its row.
    pub id: MessageId,
    /// It was too old when it came.
    pub expired: bool,
}

/// One attempt that is not answered yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// Its row.
    pub id: AttemptId,
    /// The message it is for.
    pub message: MessageId,
    /// The person.
    pub person: PersonId,
    /// What the message may overtake.
    pub priority: Priority,
    /// When it was recorded.
    pub at: BoxTime,
}

/// What an attempt that ended leaves of its spendings, as `attempt.spent` holds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Spent {
    /// Surely not sent: nothing.
    Refunded = 0,
    /// Taken: all of it.
    Kept = 1,
    /// All of it, and nobody knows whether the message arrived: counted for `on_unknown`.
    Unknown = 2,
    /// Refused: pair and sender. It reached nobody, so the day and the caps count nothing.
    Refused = 3,
}

/// Until when a draft is of use.
struct Ends {
    boxed: BoxTime,
    wall: Option<Wall>,
    at: Option<Wall>,
}

impl Ends {
    /// Expiry counts from `at`, never from the future (a till whose clock is ahead must not make a message immortal).
    ///
    /// With a trusted clock it is turned into box time at once, so that later jumps change nothing; without, it is bounded
    /// by arrival and corrected when the clock is trusted.
    fn of(terms: &Terms, now: Moment) -> Ends {
        let wall_now = now.wall.trusted();
        let at = terms.at.map(|at| wall_now.map_or(at, |wall| at.min(wall)));
        let lifetime = |from: Wall, to: Wall| to.0 - from.0;
        let age = at.zip(wall_now).map_or(0, |(at, wall)| lifetime(at, wall));
        let mut boxed = BoxTime(now.boxed.0.saturating_add(millis(terms.expires)).saturating_sub(age));
        let mut wall = at.or(wall_now).map(|from| from + terms.expires);
        if let Some(left) = terms.message_expiry {
            boxed = boxed.min(now.boxed + left);
            wall = wall.map(|wall| wall_now.map_or(wall, |now| wall.min(now + left)));
        }
        Ends { boxed, wall, at }
    }
}

impl Outbox {
    /// The message of the same rule, event and person since the window began, or that the same delivery made since it may have been
    /// kept by the broker (`again`), if there is one.
    pub fn seen(
        &self,
        person: PersonId,
        key: i64,
        since: BoxTime,
        again: Option<(u32, BoxTime)>,
    ) -> Result<Option<MessageId>, StoreError> {
        let (print, kept) = again.unzip();
        let print = print.map(|print| self.stops.delivery(print));
        Ok(self
            .db
            .prepare_cached(
                "SELECT id FROM message INDEXED BY message_dedupe
                 WHERE person = ?1 AND dedupe = ?2 AND (arrived >= ?3 OR print = ?4 AND arrived >= ?5) LIMIT 1",
            )?
            .query_row(params![person.0, key, since.0, print, kept.map(|at| at.0)], |row| row.get(0).map(MessageId))
            .optional()?)
    }

    /// Stores a permitted draft, waiting for its turn; one that is too old already is settled as expired.
    pub fn store(&mut self, permitted: &Permitted, person: PersonId, now: Moment) -> Result<Recorded, StoreError> {
        let draft = permitted.draft();
        let ends = Ends::of(draft.terms(), now);
        if ends.boxed <= now.boxed {
            let id = self.insert(
                draft,
                person,
                &ends,
                state::SETTLED,
                &Settling::new(Outcome::Expired, Reason::TooOld),
                now,
            )?;
            self.add_receipt(id.0, Outcome::Expired, Reason::TooOld.code(), now.wall.reading())?;
            return Ok(Recorded { id, expired: true });
        }
        let stored = Settling::new(Outcome::Stored, Reason::Due);
        let id = self.insert(draft, person, &ends, state::WAITING, &stored, now)?;
        if draft.terms().priority.rank() > self.displaceable_rank {
            // Less urgent than what was found to give way: that must be looked for again.
            self.displaceable.clear();
        }
        Ok(Recorded { id, expired: false })
    }

    /// Records a draft that policy withholds.
    pub fn withhold(
        &mut self,
        draft: &Draft,
        person: PersonId,
        reason: Reason,
        now: Moment,
    ) -> Result<MessageId, StoreError> {
        let ends = Ends::of(draft.terms(), now);
        let id = self.insert(draft, person, &ends, state::SETTLED, &Settling::new(Outcome::Withheld, reason), now)?;
        self.add_receipt(id.0, Outcome::Withheld, reason.code(), now.wall.reading())?;
        Ok(id)
    }

    /// Records an event that can never be handled.
    pub fn unreadable(
        &mut self,
        source: &Source,
        reason: Reason,
        detail: &str,
        now: Moment,
    ) -> Result<MessageId, StoreError> {
        let (sender, wall) = (self.sender.0, now.wall.reading());
        let db = self.write()?;
        db.prepare_cached(
            "INSERT INTO message (state, sender, rank, due, tries, expires, rule, event, topic, purpose, category, template,
                 arrived, arrived_wall, outcome, reason, detail, changed, changed_wall)
             VALUES (4, ?1, ?2, 0, 0, 0, ?3, named('event', ?4), named('topic', ?5), '', '', '', ?6, ?7, ?8, ?9, named('detail', ?10), ?6, ?7)",
        )?
        .execute(params![
            sender,
            Priority::Normal.rank(),
            &*source.rule,
            source.event.as_deref(),
            &*source.topic,
            now.boxed.0,
            wall.0,
            Outcome::Unreadable.code(),
            reason.code(),
            detail
        ])?;
        let id = db.last_insert_rowid();
        self.surely_fit = self.surely_fit.saturating_sub(1);
        self.last_message = self.last_message.max(id);
        self.add_receipt(id, Outcome::Unreadable, reason.code(), wall)?;
        let acted = Acted::new(Act::Unreadable, reason.code());
        self.acted(Acted { message: Some(MessageId(id)), event: source.event.clone(), ..acted });
        Ok(MessageId(id))
    }

    fn insert(
        &mut self,
        draft: &Draft,
        person: PersonId,
        ends: &Ends,
        state: i64,
        told: &Settling<'_>,
        now: Moment,
    ) -> Result<MessageId, StoreError> {
        let (source, terms, content) = (draft.source(), draft.terms(), draft.content());
        let body = serde_json::to_string(content)?;
        let template = match content {
            Content::Template(template) => template.name.as_str(),
            Content::Text(_) => "",
        };
        let (sender, dedupe) = (self.sender.0, self.dedupe_key(source, person));
        let print = source.print.map(|print| self.stops.delivery(print));
        let db = self.write()?;
        db.prepare_cached(
            "INSERT INTO message (state, sender, person, rank, due, tries, expires, expires_wall, rule, event, topic, dedupe,
                 print, subject, purpose, category, template, arrived, arrived_wall, at_wall, cut, outcome, reason, detail,
                 changed, changed_wall)
             VALUES (?1, ?2, ?3, ?4, 0, 0, ?5, ?6, ?7, named('event', ?8), named('topic', ?9), ?10, ?11,
                 named('subject', ?12), ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, named('detail', ?22), ?16, ?17)",
        )?
        .execute(params![
            state,
            sender,
            person.0,
            terms.priority.rank(),
            ends.boxed.0,
            ends.wall.map(|at| at.0),
            &*source.rule,
            source.event.as_deref(),
            &*source.topic,
            dedupe,
            print,
            terms.subject.as_deref(),
            &*terms.purpose,
            content.category().code(),
            template,
            now.boxed.0,
            now.wall.reading().0,
            ends.at.map(|at| at.0),
            terms.cut,
            told.outcome.code(),
            told.reason.code(),
            told.detail,
        ])?;
        let id = db.last_insert_rowid();
        db.prepare_cached(
            "INSERT INTO content (message, number, body) VALUES (?1, sealed('number', ?1, ?2), sealed('body', ?1, ?3))",
        )?
        .execute(params![id, draft.to().digits(), body])?;
        self.last_message = self.last_message.max(id);
        if state == state::SETTLED {
            self.forgettable(id);
        }
        self.surely_fit = self.surely_fit.saturating_sub(1);
        self.acted(Acted {
            message: Some(MessageId(id)),
            person: Some(person),
            event: source.event.clone(),
            ..Acted::new(Act::of(told.outcome), told.reason.code())
        });
        Ok(MessageId(id))
    }

    /// The message as it is sent.
    pub fn load(&self, id: MessageId) -> Result<Option<Stored>, StoreError> {
        let found = self
            .db
            .prepare_cached(
                "SELECT message.id, person, rule, named_as('event', event), purpose, rank, arrived, expires, expires_wall, tries,
                     opened('number', message.id, number), opened('body', message.id, body)
                 FROM message JOIN content ON content.message = message.id WHERE message.id = ?1 AND person IS NOT NULL",
            )?
            .query_row([id.0], |row| Ok((stored(row)?, row.get::<_, String>(11)?)))
            .optional()?;
        found.map(with_body).transpose()
    }

    /// The message whose turn is next for a person, if it may go at `now`: most urgent, then oldest.
    pub fn load_head(&self, person: PersonId, now: BoxTime) -> Result<Option<Stored>, StoreError> {
        let found = self
            .db
            .prepare_cached(
                "SELECT message.id, person, rule, named_as('event', event), purpose, rank, arrived, expires, expires_wall, tries,
                     opened('number', message.id, number), opened('body', message.id, body), due
                 FROM message INDEXED BY message_waiting JOIN content ON content.message = message.id
                 WHERE state = 0 AND sender = ?1 AND person = ?2 ORDER BY rank, message.id LIMIT 1",
            )?
            .query_row(params![self.sender.0, person.0], |row| {
                Ok((row.get::<_, i64>(12)? <= now.0).then_some((stored(row)?, row.get::<_, String>(11)?)))
            })
            .optional()?;
        found.flatten().map(with_body).transpose()
    }

    /// What people are told about a message.
    pub fn found(&self, id: MessageId) -> Result<Option<Found>, StoreError> {
        Ok(self
            .db
            .prepare_cached(
                "SELECT message.id, person, rule, named_as('event', event), opened('number', message.id, number), rank, category
                 FROM message LEFT JOIN content ON content.message = message.id WHERE message.id = ?1",
            )?
            .query_row([id.0], |row| {
                let digits: Option<String> = row.get(4)?;
                Ok(Found {
                    id: MessageId(row.get(0)?),
                    person: row.get::<_, Option<i64>>(1)?.map(PersonId),
                    rule: row.get::<_, String>(2)?.into(),
                    event: row.get::<_, Option<String>>(3)?.map(Arc::from),
                    to: digits.and_then(|digits| Number::of_digits(&digits).ok()).map(|number| number.to_string()),
                    priority: Priority::of_rank(row.get(5)?).unwrap_or_default(),
                    category: Category::of_code(row.get_ref(6)?.as_str().unwrap_or_default()),
                })
            })
            .optional()?)
    }

    /// Records an attempt: the only way to a `Cleared` message, and only with both proofs.
    pub fn clear(
        &mut self,
        message: Stored,
        confirmed: Confirmed,
        token: Token,
        now: Moment,
        boot: &str,
    ) -> Result<Cleared, StoreError> {
        let id = message.id().0;
        let number = message.tries() + 1;
        let db = self.write()?;
        db.prepare_cached(
            "INSERT INTO attempt (message, try, boxed, wall, boot, spent) VALUES (?1, ?2, ?3, ?4, ?5, 1)",
        )?
        .execute(params![id, number, now.boxed.0, now.wall.reading().0, boot])?;
        let attempt = AttemptId(db.last_insert_rowid());
        // The last look before it leaves: not what an index says of the message, but its own row and its attempts.
        let waited = db
            .prepare_cached(
                "UPDATE message SET state = 1, tries = ?1
                 WHERE id = ?2 AND state = 0 AND outcome = 'stored' AND wamid IS NULL AND person = ?3
                   AND NOT EXISTS (SELECT 1 FROM attempt INDEXED BY attempt_message
                       WHERE message = ?2 AND id <> ?4 AND (answered IS NULL OR reason = 'taken'))",
            )?
            .execute(params![number, id, message.person().0, attempt.0])?;
        if waited != 1 {
            return Err(StoreError::contradiction("a message whose turn it is does not wait, or was taken before"));
        }
        self.last_attempt = self.last_attempt.max(attempt.0);
        let repeats = number > 1 && self.unknown_attempts(message.id())? > 0;
        let act = if repeats { Act::Repeated } else { Act::Sent };
        self.acted(Acted { message: Some(message.id()), person: Some(message.person()), ..Acted::new(act, "") });
        Ok(Cleared::by_outbox(message, attempt, confirmed, token))
    }

    /// Closes an attempt.
    pub fn close(
        &mut self,
        attempt: AttemptId,
        reason: Reason,
        code: Option<i64>,
        spent: Spent,
        now: Moment,
    ) -> Result<(), StoreError> {
        self.write()?
            .prepare_cached("UPDATE attempt SET answered = ?1, reason = ?2, code = ?3, spent = ?4 WHERE id = ?5")?
            .execute(params![now.boxed.0, reason.code(), code, spent as i64, attempt.0])?;
        Ok(())
    }

    /// How many attempts of a message ended without anybody knowing how.
    pub fn unknown_attempts(&self, id: MessageId) -> Result<u32, StoreError> {
        Ok(self
            .db
            .prepare_cached("SELECT count(*) FROM attempt WHERE message = ?1 AND spent = ?2")?
            .query_row(params![id.0, Spent::Unknown as i64], |row| row.get(0))?)
    }

    /// Attempts without an answer, oldest first.
    pub fn open_attempts(&self) -> Result<Vec<Attempt>, StoreError> {
        let mut query = self.db.prepare_cached(
            "SELECT max(attempt.id), message.id, person, rank, attempt.boxed FROM message INDEXED BY message_expiry
             JOIN attempt ON attempt.message = message.id WHERE state IN (0, 1, 3) AND state = 1 GROUP BY message.id ORDER BY 1",
        )?;
        let rows = query.query_map([], |row| {
            Ok(Attempt {
                id: AttemptId(row.get(0)?),
                message: MessageId(row.get(1)?),
                person: PersonId(row.get(2)?),
                priority: Priority::of_rank(row.get(3)?).unwrap_or_default(),
                at: BoxTime(row.get(4)?),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Box times of the attempts since `since` that spent something, oldest first, at most `limit`.
    pub fn spent_since(&self, since: BoxTime, limit: usize) -> Result<Vec<BoxTime>, StoreError> {
        let mut query = self
            .db
            .prepare_cached("SELECT boxed, spent FROM attempt WHERE boxed IS NOT NULL ORDER BY id DESC LIMIT ?1")?;
        let mut rows = query.query([limit as i64])?;
        let mut times = Vec::new();
        while let Some(row) = rows.next()? {
            let at = BoxTime(row.get(0)?);
            if at < since {
                break;
            }
            if row.get::<_, i64>(1)? != Spent::Refunded as i64 {
                times.push(at);
            }
        }
        times.reverse();
        Ok(times)
    }

    /// Puts a message back into its person's queue, not before `due`. `counted`: the attempt counts as a try.
    pub fn again(
        &mut self,
        id: MessageId,
        due: BoxTime,
        reason: Reason,
        detail: &str,
        counted: bool,
    ) -> Result<(), StoreError> {
        // It may have been settled: its text is needed again.
        self.forgettable.retain(|known| *known != id.0);
        self.write()?
            .prepare_cached(
                "UPDATE message SET state = 0, hold = NULL, due = ?1, outcome = 'stored', reason = ?2, detail = named('detail', ?3),
                     tries = tries - ?4, wamid = NULL, wamid_hash = NULL WHERE id = ?5",
            )?
            .execute(params![due.0, reason.code(), detail, i64::from(!counted), id.0])?;
        self.acted(Acted { message: Some(id), ..Acted::new(Act::Again, reason.code()) });
        Ok(())
    }

    /// Nobody knows whether it arrived: it waits until `until` for a word of the platform.
    pub fn unknown(
        &mut self,
        id: MessageId,
        until: BoxTime,
        reason: Reason,
        detail: &str,
        now: Moment,
    ) -> Result<(), StoreError> {
        self.change(id, state::UNKNOWN, &Settling { detail, ..Settling::new(Outcome::Unknown, reason) }, now)?;
        self.write()?.prepare_cached("UPDATE message SET due = ?1 WHERE id = ?2")?.execute(params![until.0, id.0])?;
        Ok(())
    }

    /// Ends a message.
    pub fn settle(&mut self, id: MessageId, settling: &Settling<'_>, now: Moment) -> Result<(), StoreError> {
        self.change(id, state::SETTLED, settling, now)
    }

    fn change(&mut self, id: MessageId, state: i64, settling: &Settling<'_>, now: Moment) -> Result<(), StoreError> {
        let wall = now.wall.reading();
        if state == state::SETTLED {
            self.forgettable(id.0);
        }
        let print = settling.wamid.map(|wamid| self.stops.wamid(wamid));
        self.write()?
            .prepare_cached(
                "UPDATE message SET state = ?1, hold = NULL, outcome = ?2, reason = ?3, detail = named('detail', ?4),
                     wamid = coalesce(sealed('wamid', ?8, ?5), wamid), wamid_hash = coalesce(?9, wamid_hash),
                     changed = ?6, changed_wall = ?7
                 WHERE id = ?8",
            )?
            .execute(params![
                state,
                settling.outcome.code(),
                settling.reason.code(),
                settling.detail,
                settling.wamid,
                now.boxed.0,
                wall.0,
                id.0,
                print,
            ])?;
        self.acted(Acted { message: Some(id), ..Acted::new(Act::of(settling.outcome), settling.reason.code()) });
        self.add_receipt(id.0, settling.outcome, settling.reason.code(), wall)
    }

    /// Messages to the same person about the same subject that have not left and are older than `newer`.
    pub fn superseded_by(
        &self,
        person: PersonId,
        subject: &str,
        newer: MessageId,
    ) -> Result<Vec<MessageId>, StoreError> {
        let mut query = self.db.prepare_cached(&format!(
            "SELECT old.id FROM ({ABOUT}) AS old JOIN message AS new ON new.id = ?3
             WHERE old.state IN (0, 3) AND old.id <> ?3
               AND (old.at_wall IS NULL OR new.at_wall IS NULL OR old.at_wall <= new.at_wall)"
        ))?;
        let rows = query.query_map(params![person.0, subject, newer.0], |row| row.get(0).map(MessageId))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Whether something newer about the same subject waits, is on its way or has arrived: asked when a message comes back into
    /// the queue, and when an event comes late.
    pub fn has_newer(&self, id: MessageId) -> Result<bool, StoreError> {
        let own = self
            .db
            .prepare_cached(
                "SELECT person, named_as('subject', subject), at_wall FROM message WHERE id = ?1 AND subject IS NOT NULL",
            )?
            .query_row([id.0], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, Option<i64>>(2)?))
            })
            .optional()?;
        let Some((person, subject, at)) = own else { return Ok(false) };
        Ok(self
            .db
            .prepare_cached(&format!(
                "SELECT EXISTS (SELECT 1 FROM ({ABOUT}) AS new
                 WHERE new.id <> ?3 AND (new.state < 4 OR new.outcome IN ('accepted', 'delivered', 'read', 'unknown'))
                   AND CASE WHEN ?4 IS NULL OR new.at_wall IS NULL OR new.at_wall = ?4 THEN new.id > ?3
                            ELSE new.at_wall > ?4 END)"
            ))?
            .query_row(params![person, subject, id.0, at], |row| row.get(0))?)
    }

    /// An index that names a message in a state that it is not in would bring it up for ever, or send again what ended.
    pub(super) fn must_stand(&self, id: MessageId, states: &[i64]) -> Result<(), StoreError> {
        let state: Option<i64> = self
            .db
            .prepare_cached("SELECT state FROM message NOT INDEXED WHERE id = ?1")?
            .query_row([id.0], |row| row.get(0))
            .optional()?;
        if state.is_some_and(|state| states.contains(&state)) {
            return Ok(());
        }
        Err(StoreError::contradiction("an index names a message that is not in that state"))
    }

    /// Messages whose wait for a word of the platform is over, at most `limit`. With `alarms_to`: of them only the critical ones
    /// to these numbers.
    pub fn unknown_due(
        &self,
        now: BoxTime,
        alarms_to: Option<&[Number]>,
        limit: usize,
    ) -> Result<Vec<MessageId>, StoreError> {
        let query = format!("SELECT id {UNKNOWN} AND due <= ?2 ORDER BY due LIMIT ?3");
        let mut query = self.db.prepare_cached(&query)?;
        let rows = query.query_map(params![digits_of(alarms_to)?, now.0, limit as i64], |row| row.get(0))?;
        self.that_stand(rows.map(|id| id.map(MessageId)).collect::<Result<_, _>>()?, &[state::UNKNOWN])
    }

    /// Messages that are too old and have not left, at most `limit`.
    pub fn expired(&self, now: BoxTime, limit: usize) -> Result<Vec<MessageId>, StoreError> {
        let mut query = self.db.prepare_cached(&format!(
            "SELECT id, expires {STANDING} AND state = 0 AND expires <= ?1
             UNION ALL
             SELECT id, expires {STANDING} AND state = 3 AND expires <= ?1
             ORDER BY expires LIMIT ?2"
        ))?;
        let rows = query.query_map(params![now.0, limit as i64], |row| row.get(0).map(MessageId))?;
        self.that_stand(rows.collect::<Result<_, _>>()?, &[state::WAITING, state::PARKED])
    }

    fn that_stand(&self, ids: Vec<MessageId>, states: &[i64]) -> Result<Vec<MessageId>, StoreError> {
        ids.iter().try_for_each(|id| self.must_stand(*id, states))?;
        Ok(ids)
    }

    /// When the next message expires, or the next unknown is due: with `alarms_to` as in [`unknown_due`](Self::unknown_due).
    pub fn next_deadline(&self, alarms_to: Option<&[Number]>) -> Result<Option<BoxTime>, StoreError> {
        let expires: Option<i64> = self
            .db
            .prepare_cached(&format!(
                "SELECT min(first) FROM (
                     SELECT min(expires) AS first {STANDING} AND state = 0
                     UNION ALL
                     SELECT min(expires) {STANDING} AND state = 3)"
            ))?
            .query_row([], |row| row.get(0))?;
        let unknown: Option<i64> = self
            .db
            .prepare_cached(&format!("SELECT min(due) {UNKNOWN}"))?
            .query_row([digits_of(alarms_to)?], |row| row.get(0))?;
        Ok(expires.into_iter().chain(unknown).min().map(BoxTime))
    }

    pub(super) fn write_if(&mut self, question: &str, order: &str, with: i64) -> Result<(), StoreError> {
        let yes: bool = self.db.query_row(question, [with], |row| row.get(0))?;
        if yes {
            self.write()?.execute(order, [with])?;
        }
        Ok(())
    }

    /// The clock became trusted again: expiry that could only be bounded is now known, and time spent off that box time could not
    /// count is caught up with. It only ever comes closer.
    pub fn expire_by_clock(&mut self, now: BoxTime, wall: Wall) -> Result<(), StoreError> {
        for which in
            ["INDEXED BY message_expiry WHERE state IN (0, 1, 3)", "INDEXED BY message_unknown WHERE state = 2"]
        {
            let ended = format!("{which} AND expires > expires_wall - ?1 + ?2 + ?3");
            let slack = params![wall.0, now.0, SLACK];
            let found: bool =
                self.db
                    .query_row(&format!("SELECT EXISTS (SELECT 1 FROM message {ended})"), slack, |row| row.get(0))?;
            if found {
                let update = format!("UPDATE message {ended}").replacen(
                    "WHERE",
                    "SET expires = expires_wall - ?1 + ?2 WHERE",
                    1,
                );
                self.write()?.execute(&update, slack)?;
            }
        }
        Ok(())
    }

    /// The clock is trusted: no event is younger than now, and consent gets its dates. `lasting`: the purposes whose consent ends, and
    /// after how long.
    pub fn clock_trusted(
        &mut self,
        now: BoxTime,
        wall: Wall,
        lasting: &[(&str, std::time::Duration)],
    ) -> Result<(), StoreError> {
        self.write_if(
            &format!("SELECT EXISTS (SELECT 1 {STANDING} AND state <> 1 AND at_wall > ?1)"),
            "UPDATE message INDEXED BY message_expiry SET at_wall = ?1 WHERE state IN (0, 1, 3) AND state <> 1 AND at_wall > ?1",
            wall.0,
        )?;
        self.date_consent(now, wall, lasting)
    }

    /// Whether the broker's redelivery is one that was stored before: packet id, topic and payload within the last
    /// `limits::REPEATS` arrivals without an id.
    pub fn is_repeat(&self, print: &[u8; 16]) -> Result<bool, StoreError> {
        Ok(self
            .db
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM repeat WHERE print = ?1)")?
            .query_row([self.stops.arrival(print)], |row| row.get(0))?)
    }

    /// Remembers an arrival without an id, and that it made the messages behind `before`.
    pub fn remember(&mut self, print: &[u8; 16], before: MessageId) -> Result<(), StoreError> {
        let (serial, print, newest) = (self.next_repeat, self.stops.arrival(print), self.last_message);
        self.write()?
            .prepare_cached(
                "INSERT OR REPLACE INTO repeat (slot, serial, print, oldest, newest) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![serial % crate::limits::REPEATS as i64, serial, print, before.0 + 1, newest])?;
        self.next_repeat += 1;
        Ok(())
    }

    pub(super) fn last_repeat(&self) -> Result<i64, StoreError> {
        let serial: Option<i64> = self.db.query_row("SELECT max(serial) FROM repeat", [], |row| row.get(0))?;
        Ok(serial.unwrap_or(0))
    }

    /// Messages by state: waiting, on their way, unknown, parked; and since when the oldest has been waiting.
    pub fn backlog(&self) -> Result<([u64; 4], Option<BoxTime>), StoreError> {
        let count = |query: &str| -> Result<u64, StoreError> {
            let found: i64 = self.db.prepare_cached(query)?.query_row([], |row| row.get(0))?;
            Ok(found.max(0) as u64)
        };
        let counts = [
            count("SELECT count(*) FROM message INDEXED BY message_waiting WHERE state = 0")?,
            count(&format!("SELECT count(*) {STANDING} AND state = 1"))?,
            count("SELECT count(*) FROM message INDEXED BY message_unknown WHERE state = 2")?,
            count("SELECT count(*) FROM message INDEXED BY message_parked WHERE state = 3")?,
        ];
        // Ids grow with arrival: the smallest id of those indexes is the oldest.
        let oldest: Option<i64> = self
            .db
            .prepare_cached(&format!(
                "SELECT arrived FROM message WHERE id = (SELECT min(id) {STANDING} AND state <> 1)"
            ))?
            .query_row([], |row| row.get(0))
            .optional()?;
        Ok((counts, oldest.map(BoxTime)))
    }

    /// Waiting and parked messages that a hold on a rule, category or template would stop.
    pub fn waiting_for(&self, column: &'static str, value: &str) -> Result<u64, StoreError> {
        let found: i64 = self.db.query_row(
            &format!("SELECT count(*) {STANDING} AND state <> 1 AND {column} = ?1"),
            [value],
            |row| row.get(0),
        )?;
        Ok(found.max(0) as u64)
    }
}

/// As JSON, for [`UNKNOWN`].
fn digits_of(numbers: Option<&[Number]>) -> Result<Option<String>, StoreError> {
    let digits = |numbers: &[Number]| numbers.iter().map(Number::digits).map(String::from).collect::<Vec<_>>();
    Ok(numbers.map(|numbers| serde_json::to_string(&digits(numbers))).transpose()?)
}

fn with_body((stored, body): (Stored, String)) -> Result<Stored, StoreError> {
    Ok(Stored { content: serde_json::from_str(&body)?, ..stored })
}

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let digits: String = row.get(10)?;
    Ok(Stored {
        id: MessageId(row.get(0)?),
        person: PersonId(row.get(1)?),
        to: Number::of_digits(&digits).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(10, rusqlite::types::Type::Text, Box::new(error))
        })?,
        content: Content::Text(String::new()),
        rule: row.get::<_, String>(2)?.into(),
        event: row.get::<_, Option<String>>(3)?.map(Arc::from),
        purpose: row.get::<_, String>(4)?.into(),
        priority: Priority::of_rank(row.get(5)?).unwrap_or_default(),
        arrived: BoxTime(row.get(6)?),
        expires_boxed: BoxTime(row.get(7)?),
        expires_wall: row.get::<_, Option<i64>>(8)?.map(Wall),
        tries: row.get(9)?,
    })
}
