//! What people may look at: lists of messages, one message with its attempts.
//!
//! Floor: rooms. Numbers leave masked, in texts, topics and subjects too.

use super::{Outbox, StoreError};
use crate::message::{Category, Content, MessageId, Number, Outcome, PersonId, Priority, Reason, masked};
use crate::operate::{AttemptRow, ExportPage, OutboxDetail, OutboxRow};
use crate::time::{BoxTime, Moment, Wall};
use rusqlite::{OptionalExtension, Row, params};

const COLUMNS: &str =
    "message.id, arrived_wall, rule, opened('number', message.id, number), rank, category, outcome, reason, tries, person,
     named_as('event', event), named_as('topic', topic), purpose, named_as('subject', subject), template,
     opened('body', message.id, body), expires, due, state, opened('wamid', message.id, wamid), named_as('detail', detail),
     hold, cut";

/// A message with what only the engine can complete.
pub struct Looked {
    /// As far as the store knows it.
    pub detail: OutboxDetail,
    /// Whom it is for.
    pub person: Option<PersonId>,
    /// Whether it is in its person's queue.
    pub waiting: bool,
    /// Not before this, for its own sake.
    pub due: BoxTime,
    /// The hold that it is parked for.
    pub hold: Option<String>,
}

impl Outbox {
    /// A page of messages, newest first: only those with `outcome`, only those below `before`.
    pub fn list(
        &self,
        outcome: Option<Outcome>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<(i64, OutboxRow)>, StoreError> {
        let mut query = self.db.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM message LEFT JOIN content ON content.message = message.id
             WHERE message.id < ?1 AND (?2 IS NULL OR outcome = ?2) ORDER BY message.id DESC LIMIT ?3"
        ))?;
        let rows = query.query_map(params![before.unwrap_or(i64::MAX), outcome.map(Outcome::code), limit], |row| {
            Ok((row.get(0)?, self.row_of(row)?))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// A page of `outbox export`; `None` if there is no such table.
    pub fn export(&self, table: &str, after: i64) -> Option<ExportPage> {
        let (rows, next) = super::export::page(&self.db, table, after)?;
        Some(ExportPage { rows, next })
    }

    /// One message with its attempts. `id` is what people see (`k3f9-1042`) or its number alone.
    pub fn look(&self, id: &str, now: Moment) -> Result<Option<Looked>, StoreError> {
        let number = match id.split_once('-') {
            Some((store, number)) if store == self.row.store => number,
            Some(_) => return Ok(None),
            None => id,
        };
        let Ok(id) = number.parse::<i64>() else { return Ok(None) };
        let found = self
            .db
            .prepare_cached(&format!(
                "SELECT {COLUMNS} FROM message LEFT JOIN content ON content.message = message.id WHERE message.id = ?1"
            ))?
            .query_row([id], |row| self.looked(row, now))
            .optional()?;
        let Some(mut looked) = found else { return Ok(None) };
        looked.detail.attempts = self.attempts(id)?;
        Ok(Some(looked))
    }

    fn attempts(&self, id: i64) -> Result<Vec<AttemptRow>, StoreError> {
        let mut query = self.db.prepare_cached(
            "SELECT try, wall, boxed, answered, reason, code FROM attempt WHERE message = ?1 ORDER BY id",
        )?;
        let rows = query.query_map([id], |row| {
            let (at, boxed, answered): (i64, i64, Option<i64>) = (row.get(1)?, row.get(2)?, row.get(3)?);
            let code: Option<i64> = row.get(5)?;
            Ok(AttemptRow {
                number: row.get(0)?,
                at: Wall(at),
                ended: answered.map(|answered| Wall(at + answered - boxed)),
                reason: row.get::<_, Option<String>>(4)?.and_then(|code| Reason::of_code(&code)),
                detail: code.map(|code| format!("code {code}")).unwrap_or_default(),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn row_of(&self, row: &Row<'_>) -> rusqlite::Result<OutboxRow> {
        let digits: Option<String> = row.get(3)?;
        let text = |column: usize| -> rusqlite::Result<String> { row.get(column) };
        Ok(OutboxRow {
            id: self.shown(MessageId(row.get(0)?)),
            at: Wall(row.get(1)?),
            rule: text(2)?,
            to: digits.and_then(|digits| Number::of_digits(&digits).ok()).map_or_else(String::new, |to| to.to_string()),
            priority: Priority::of_rank(row.get(4)?).unwrap_or_default(),
            category: Category::of_code(&text(5)?).unwrap_or(Category::Service),
            outcome: Outcome::of_code(&text(6)?).unwrap_or(Outcome::Stored),
            reason: Reason::of_code(&text(7)?).unwrap_or(Reason::Due),
            tries: row.get(8)?,
        })
    }

    fn looked(&self, row: &Row<'_>, now: Moment) -> rusqlite::Result<Looked> {
        let content = row.get::<_, Option<String>>(15)?.and_then(|body| serde_json::from_str::<Content>(&body).ok());
        let state: i64 = row.get(18)?;
        let expires: i64 = row.get(16)?;
        let template = match &content {
            Some(Content::Template(template)) => Some(format!("{} {}", template.name, template.language)),
            Some(Content::Text(_)) => None,
            None => row.get::<_, Option<String>>(14)?.filter(|name| !name.is_empty()),
        };
        let wait =
            (state == super::schema::state::PARKED).then(|| Reason::of_code(row.get_ref(7).ok()?.as_str().ok()?));
        let due = BoxTime(row.get(17)?);
        let detail = OutboxDetail {
            row: self.row_of(row)?,
            event: row.get(10)?,
            topic: masked(&row.get::<_, String>(11)?),
            purpose: row.get(12)?,
            subject: row.get::<_, Option<String>>(13)?.map(|subject| masked(&subject)),
            template,
            text: content.as_ref().map(|content| masked(content.preview())),
            detail: masked(&row.get::<_, String>(20)?),
            expires: (expires > 0).then(|| Wall(now.wall.reading().0 + expires - now.boxed.0)),
            waits: wait.flatten().map(|reason| crate::operate::Wait { reason, until: None }),
            platform_id: row.get::<_, Option<String>>(19)?.map(|id| without_middle(&id)),
            cut: row.get(22)?,
            attempts: Vec::new(),
        };
        Ok(Looked {
            detail,
            person: row.get::<_, Option<i64>>(9)?.map(PersonId),
            waiting: state == super::schema::state::WAITING,
            due,
            hold: row.get(21)?,
        })
    }
}

/// The platform's id without its middle: its base64 holds the digits of the number (facts 1.5). The end is random and enough to
/// find it again in the platform's own lists.
fn without_middle(wamid: &str) -> String {
    let tail: String = wamid.chars().rev().take(8).collect::<Vec<_>>().into_iter().rev().collect();
    format!("wamid…{tail}")
}
