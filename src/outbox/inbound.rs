//! What people write and wish: each once, and no older wish over a newer one.
//!
//! Floor: rooms. Keeps and compares; what a word means is read by `policy`.

use super::{Outbox, StoreError};
use crate::message::{Content, PersonId};
use crate::time::{BoxTime, Wall};
use rusqlite::{OptionalExtension, params};

/// Messages behind the newest among which the last one to a person is looked for: a day of a busy branch.
const LATELY: i64 = 10_000;

/// In the place of the time of a wish that came while no clock could be trusted: the last second that calendars know, 9999-12-30.
const UNDATED: i64 = 253_402_207_200_000;

impl Outbox {
    /// Whether this was heard before: the platform sends again what it got no answer for.
    pub fn was_heard(&self, wamid: &str) -> Result<bool, StoreError> {
        Ok(self
            .db
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM heard WHERE print = ?1)")?
            .query_row([self.stops.wamid(wamid)], |row| row.get(0))?)
    }

    /// What a person wrote is known from now on, as a hash.
    pub fn heard(&mut self, wamid: &str, person: PersonId, now: BoxTime) -> Result<(), StoreError> {
        let print = self.stops.wamid(wamid);
        self.write()?
            .prepare_cached("INSERT OR IGNORE INTO heard (print, boxed, person) VALUES (?1, ?2, ?3)")?
            .execute(params![print, now.0, person.0])?;
        Ok(())
    }

    /// Whether a wish about marketing, told to the platform `at`, is newer than what is known; remembered from now on. What came
    /// while no clock could be trusted is older than `since`, from when on the clock is trusted.
    pub fn newer_wish(&mut self, person: PersonId, at: Wall, since: Option<Wall>) -> Result<bool, StoreError> {
        let known: Option<i64> = self
            .db
            .prepare_cached("SELECT wish_wall FROM lane WHERE sender = ?1 AND person = ?2")?
            .query_row(params![self.sender.0, person.0], |row| row.get(0))
            .optional()?
            .flatten();
        let newer = match known {
            Some(UNDATED) => since.is_some_and(|since| since < at),
            known => known.is_none_or(|known| known < at.0),
        };
        if newer {
            self.note(person, "wish_wall", at.0)?;
        }
        Ok(newer)
    }

    /// A wish of which nobody knows when it was told: none is newer until a clock is trusted.
    pub fn undated_wish(&mut self, person: PersonId) -> Result<(), StoreError> {
        self.note(person, "wish_wall", UNDATED)
    }

    /// A stop word (or else a start word) was written `at`, and is remembered unless it is older than the last of its kind. When the
    /// last one of the other kind was written.
    pub fn word_written(&mut self, person: PersonId, stop: bool, at: Option<Wall>) -> Result<Option<Wall>, StoreError> {
        let known: Option<[Option<i64>; 2]> = self
            .db
            .prepare_cached("SELECT stopped_wall, started_wall FROM lane WHERE sender = ?1 AND person = ?2")?
            .query_row(params![self.sender.0, person.0], |row| Ok([row.get(0)?, row.get(1)?]))
            .optional()?;
        let [stopped, started] = known.unwrap_or_default();
        let (same, other, column) =
            if stop { (stopped, started, "stopped_wall") } else { (started, stopped, "started_wall") };
        if let Some(at) = at.filter(|at| same.is_none_or(|known| known < at.0)) {
            self.note(person, column, at.0)?;
        }
        Ok(other.map(Wall))
    }

    /// What another box knows of the times of a person's words (wish, stop word, start word): of each the later one counts.
    pub fn words_written(&mut self, person: PersonId, [wish, stop, start]: [Option<i64>; 3]) -> Result<(), StoreError> {
        for (column, at) in [("wish_wall", wish), ("stopped_wall", stop), ("started_wall", start)] {
            let query = format!("SELECT {column} FROM lane WHERE sender = ?1 AND person = ?2");
            let known: Option<Option<i64>> =
                self.db.query_row(&query, params![self.sender.0, person.0], |row| row.get(0)).optional()?;
            if let Some(at) = at.filter(|at| known.flatten() < Some(*at)) {
                self.note(person, column, at)?;
            }
        }
        Ok(())
    }

    /// The language of the last template to a person, while its content is kept.
    pub fn language_lately(&self, person: PersonId) -> Result<Option<String>, StoreError> {
        let body: Option<String> = self
            .db
            .prepare_cached(
                "SELECT opened('body', message.id, body) FROM message NOT INDEXED JOIN content ON content.message = message.id
                 WHERE message.id > (SELECT max(id) FROM message) - ?2 AND person = ?1 AND template <> ''
                 ORDER BY message.id DESC LIMIT 1",
            )?
            .query_row(params![person.0, LATELY], |row| row.get(0))
            .optional()?;
        Ok(body.and_then(|body| match serde_json::from_str(&body) {
            Ok(Content::Template(template)) => Some(template.language),
            _ => None,
        }))
    }
}
