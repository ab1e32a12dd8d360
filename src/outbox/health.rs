//! What the platform said last about the number: kept, so that a restart lifts nothing and asks no more often.
//!
//! Floor: rooms. What follows from it is decided by the engine.

use super::{Outbox, StoreError};
use crate::message::Quality;
use crate::time::{BoxTime, Wall};
use rusqlite::{OptionalExtension, params};

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Health {
    /// How people take the number's messages.
    pub quality: Option<Quality>,
    /// People in 24 hours, of the whole portfolio; `message::UNLIMITED` is no limit.
    pub people: Option<u64>,
    /// Messages a second.
    pub per_second: Option<u32>,
    /// The platform's word for how the number stands: `CONNECTED`.
    pub status: String,
    /// The WhatsApp Business account that the number belongs to: digits.
    pub account: Option<String>,
    /// The number as people see it: digits.
    pub number: Option<String>,
    /// When all of it was answered last.
    pub told: Option<Wall>,
    /// Why the last question has no answer; empty when it has.
    pub trouble: String,
    /// When it is asked next.
    pub due: Option<BoxTime>,
}

impl Outbox {
    /// What was said last.
    pub fn health(&self) -> Result<Health, StoreError> {
        let found = self
            .db
            .prepare_cached(
                "SELECT quality, people, per_second, status, told_wall, trouble, due, account, number FROM health
                 WHERE sender = ?1",
            )?
            .query_row([self.sender.0], |row| {
                Ok(Health {
                    quality: row.get::<_, Option<String>>(0)?.as_deref().and_then(Quality::of_code),
                    people: row.get::<_, Option<i64>>(1)?.map(|people| u64::try_from(people).unwrap_or(u64::MAX)),
                    per_second: row.get(2)?,
                    status: row.get(3)?,
                    told: row.get::<_, Option<i64>>(4)?.map(Wall),
                    trouble: row.get(5)?,
                    due: row.get::<_, Option<i64>>(6)?.map(BoxTime),
                    account: row.get(7)?,
                    number: row.get(8)?,
                })
            })
            .optional()?;
        Ok(found.unwrap_or_default())
    }

    /// Keeps it.
    pub fn set_health(&mut self, health: &Health) -> Result<(), StoreError> {
        let sender = self.sender.0;
        self.write()?
            .prepare_cached(
                "INSERT OR REPLACE INTO health
                     (sender, quality, people, per_second, status, told_wall, trouble, due, account, number)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?
            .execute(params![
                sender,
                health.quality.map(Quality::code),
                // No limit is told apart from every limit by its sign.
                health.people.map(|people| i64::try_from(people).unwrap_or(-1)),
                health.per_second,
                health.status,
                health.told.map(|at| at.0),
                health.trouble,
                health.due.map(|at| at.0),
                health.account,
                health.number,
            ])?;
        Ok(())
    }
}
