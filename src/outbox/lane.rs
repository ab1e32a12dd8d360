//! Lanes: what hangs on one (sender, person), and whose turn is next.
//!
//! Floor: rooms.

use super::{Outbox, StoreError};
use crate::message::{MessageId, Pair, PersonId, Priority};
use crate::time::{BoxTime, Wall};
use rusqlite::{OptionalExtension, params};

/// One lane.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lane {
    /// Whose it is.
    pub person: PersonId,
    /// The pair limit's account.
    pub pair: Pair,
    /// What left lately, as the caps count it: `pace` reads and writes it.
    pub recent: Vec<u8>,
    /// Messages of `held_rank` and below wait until here (a back-off, an unknown).
    pub held_until: BoxTime,
    /// The most urgent rank that waits.
    pub held_rank: i64,
    /// The person told the platform to stop marketing.
    pub marketing_stopped: bool,
    /// The person cannot be reached on WhatsApp until then.
    pub undeliverable_until: Option<BoxTime>,
    /// The platform protects the person from marketing until then.
    pub not_before: Option<BoxTime>,
    /// The service window is open until then.
    pub window_until: Option<Wall>,
}

impl Outbox {
    /// The lane whose turn is next at `now`: most urgent first, then the one that has been able to go for longest.
    pub fn next_lane(&self, now: BoxTime) -> Result<Option<Lane>, StoreError> {
        // Each part is one seek, and none is asked after the first that finds somebody.
        let mut pick = self.db.prepare_cached(
            "SELECT person, pair_started, pair_last, pair_count, strikes, held_until, held_rank, marketing_stopped,
                 undeliverable, not_before, window_wall, recent
             FROM lane WHERE sender = ?1 AND person = (
                 SELECT person FROM (SELECT person FROM lane INDEXED BY lane_due
                     WHERE sender = ?1 AND rank = 0 AND due <= ?2 ORDER BY due LIMIT 1)
                 UNION ALL SELECT person FROM (SELECT person FROM lane INDEXED BY lane_due
                     WHERE sender = ?1 AND rank = 1 AND due <= ?2 ORDER BY due LIMIT 1)
                 UNION ALL SELECT person FROM (SELECT person FROM lane INDEXED BY lane_due
                     WHERE sender = ?1 AND rank = 2 AND due <= ?2 ORDER BY due LIMIT 1)
                 UNION ALL SELECT person FROM (SELECT person FROM lane INDEXED BY lane_due
                     WHERE sender = ?1 AND rank = 3 AND due <= ?2 ORDER BY due LIMIT 1)
                 LIMIT 1)",
        )?;
        Ok(pick.query_row(params![self.sender.0, now.0], read).optional()?)
    }

    /// A lane that had nothing to send is written back with another turn: one that comes up again at once is an index's that is
    /// damaged, and would come up for ever.
    pub fn moved_on(&self, person: PersonId, now: BoxTime) -> Result<(), StoreError> {
        match self.next_lane(now)? {
            Some(lane) if lane.person == person => {
                Err(StoreError::contradiction("an index names a turn that nobody has"))
            }
            _ => Ok(()),
        }
    }

    /// As [`next_turn`](Self::next_turn) where nobody's turn has come: an index that says otherwise names somebody who is not
    /// there, and would wake the engine for ever.
    pub fn next_turn_after(&self, now: BoxTime) -> Result<Option<BoxTime>, StoreError> {
        let next = self.next_turn()?;
        if next.is_some_and(|due| due <= now) {
            return Err(StoreError::contradiction("an index names a turn of a person who is not there"));
        }
        Ok(next)
    }

    /// When the next lane's turn comes; `None` if nothing waits for time alone.
    pub fn next_turn(&self) -> Result<Option<BoxTime>, StoreError> {
        let mut pick = self.db.prepare_cached(
            "SELECT due FROM lane INDEXED BY lane_due WHERE sender = ?2 AND rank = ?1 AND due IS NOT NULL ORDER BY due LIMIT 1",
        )?;
        let mut soonest = None;
        for priority in Priority::ALL {
            let due: Option<i64> = pick.query_row([priority.rank(), self.sender.0], |row| row.get(0)).optional()?;
            soonest = soonest.into_iter().chain(due).min();
        }
        Ok(soonest.map(BoxTime))
    }

    /// The lane of a person; an empty one where nothing hangs on it yet.
    pub fn lane(&self, person: PersonId) -> Result<Lane, StoreError> {
        let found = self
            .db
            .prepare_cached(
                "SELECT person, pair_started, pair_last, pair_count, strikes, held_until, held_rank, marketing_stopped,
                     undeliverable, not_before, window_wall, recent
                 FROM lane WHERE sender = ?1 AND person = ?2",
            )?
            .query_row(params![self.sender.0, person.0], read)
            .optional()?;
        Ok(found.unwrap_or(Lane {
            person,
            pair: Pair::default(),
            recent: Vec::new(),
            held_until: BoxTime(0),
            held_rank: 0,
            marketing_stopped: false,
            undeliverable_until: None,
            not_before: None,
            window_until: None,
        }))
    }

    /// Writes the lane back and works out its turn: `pair_ready` is when the pair limit lets the next message go, `busy`
    /// that one is on its way.
    pub fn settle_lane(&mut self, lane: Lane, pair_ready: BoxTime, busy: bool) -> Result<(), StoreError> {
        let head = if busy { None } else { self.head(lane.person)? };
        let turn = head.map(|(_, rank, due)| {
            let held = if rank >= lane.held_rank { lane.held_until.0 } else { 0 };
            (rank, due.0.max(pair_ready.0).max(held))
        });
        let (sender, seen) = (self.sender.0, self.row.boxed.0);
        self.write()?
            .prepare_cached(
                "INSERT INTO lane (sender, person, rank, due, pair_started, pair_count, strikes, held_until, held_rank,
                     pair_last, seen, recent)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
                 ON CONFLICT DO UPDATE SET rank = ?3, due = ?4, pair_started = ?5, pair_count = ?6, strikes = ?7,
                                           held_until = ?8, held_rank = ?9, pair_last = ?10, seen = ?11, recent = ?12",
            )?
            .execute(params![
                sender,
                lane.person.0,
                turn.map_or(0, |(rank, _)| rank),
                turn.map(|(_, due)| due),
                lane.pair.started.0,
                lane.pair.count,
                lane.pair.strikes,
                lane.held_until.0,
                lane.held_rank,
                lane.pair.last.0,
                seen,
                lane.recent,
            ])?;
        Ok(())
    }

    /// The message whose turn is next for a person: most urgent, then oldest.
    pub fn head(&self, person: PersonId) -> Result<Option<(MessageId, i64, BoxTime)>, StoreError> {
        Ok(self
            .db
            .prepare_cached(
                "SELECT id, rank, due FROM message INDEXED BY message_waiting
                 WHERE state = 0 AND sender = ?1 AND person = ?2 ORDER BY rank, id LIMIT 1",
            )?
            .query_row(params![self.sender.0, person.0], |row| {
                Ok((MessageId(row.get(0)?), row.get(1)?, BoxTime(row.get(2)?)))
            })
            .optional()?)
    }

    /// The person cannot be reached on WhatsApp until then.
    pub fn set_undeliverable(&mut self, person: PersonId, until: BoxTime) -> Result<(), StoreError> {
        self.note(person, "undeliverable", until.0)
    }

    /// The platform protects the person from marketing until then.
    pub fn set_not_before(&mut self, person: PersonId, until: BoxTime) -> Result<(), StoreError> {
        self.note(person, "not_before", until.0)
    }

    /// The person told the platform to stop (or to resume) marketing.
    pub fn set_marketing_stopped(&mut self, person: PersonId, stopped: bool) -> Result<(), StoreError> {
        self.note(person, "marketing_stopped", i64::from(stopped))?;
        self.list_marketing(person, stopped)
    }

    /// The service window is open until then; it never closes earlier than it was.
    pub fn open_window(&mut self, person: PersonId, until: Wall) -> Result<(), StoreError> {
        let known = self.lane(person)?.window_until;
        if known.is_none_or(|known| known < until) {
            self.note(person, "window_wall", until.0)?;
        }
        Ok(())
    }

    /// The platform says that the service window is closed.
    pub fn close_window(&mut self, person: PersonId) -> Result<(), StoreError> {
        self.note(person, "window_wall", 0)
    }

    pub(super) fn note(&mut self, person: PersonId, column: &'static str, value: i64) -> Result<(), StoreError> {
        let (sender, seen) = (self.sender.0, self.row.boxed.0);
        self.write()?.execute(
            &format!(
                "INSERT INTO lane (sender, person, {column}, seen) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET {column} = ?3, seen = ?4"
            ),
            params![sender, person.0, value, seen],
        )?;
        Ok(())
    }
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Lane> {
    Ok(Lane {
        person: PersonId(row.get(0)?),
        pair: Pair {
            started: BoxTime(row.get(1)?),
            last: BoxTime(row.get(2)?),
            count: row.get(3)?,
            strikes: row.get(4)?,
        },
        held_until: BoxTime(row.get(5)?),
        held_rank: row.get(6)?,
        marketing_stopped: row.get(7)?,
        undeliverable_until: row.get::<_, Option<i64>>(8)?.map(BoxTime),
        not_before: row.get::<_, Option<i64>>(9)?.map(BoxTime),
        window_until: row.get::<_, Option<i64>>(10)?.map(Wall),
        recent: row.get(11)?,
    })
}
