//! Lanes: what hangs on one (sender, person).
//!
//! Floor: rooms.

use super::{Outbox, StoreError};
use crate::message::{Act, Acted, Pair, PersonId, Window};
use crate::time::{BoxTime, Wall, millis};
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
    /// When a template left last outside the service window.
    pub reached: Option<BoxTime>,
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
    /// The service window, if the person ever wrote.
    pub window: Option<Window>,
}

/// The message whose turn is next for a person.
struct Head {
    rank: i64,
    due: BoxTime,
    rule: String,
}

impl Outbox {
    /// The lane of a person; an empty one where nothing hangs on it yet.
    pub fn lane(&self, person: PersonId) -> Result<Lane, StoreError> {
        Ok(self.find_lane(person)?.unwrap_or(Lane {
            person,
            pair: Pair::default(),
            recent: Vec::new(),
            reached: None,
            held_until: BoxTime(0),
            held_rank: 0,
            marketing_stopped: false,
            undeliverable_until: None,
            not_before: None,
            window: None,
        }))
    }

    pub(super) fn find_lane(&self, person: PersonId) -> Result<Option<Lane>, StoreError> {
        Ok(self
            .db
            .prepare_cached(
                "SELECT person, pair_started, pair_last, pair_count, strikes, held_until, held_rank, marketing_stopped,
                     undeliverable, not_before, window_wall, window_since, recent, reached
                 FROM lane WHERE sender = ?1 AND person = ?2",
            )?
            .query_row(params![self.sender.0, person.0], read)
            .optional()?)
    }

    /// Of all people to whom one of the last `most` messages went.
    pub fn lately(&self, most: usize) -> Result<Vec<Lane>, StoreError> {
        let mut query = self.db.prepare_cached(
            "SELECT DISTINCT person FROM attempt CROSS JOIN message ON message.id = attempt.message
             WHERE attempt.id > (SELECT max(id) FROM attempt) - ?1 AND person IS NOT NULL",
        )?;
        let people = query.query_map([most as i64], |row| row.get(0).map(PersonId))?;
        people
            .filter_map(|person| person.map_err(StoreError::from).and_then(|person| self.find_lane(person)).transpose())
            .collect()
    }

    /// Writes the lane back and works out its turn: `pair_ready` is when the pair limit lets the next message go, `busy`
    /// that one is on its way.
    pub fn settle_lane(&mut self, lane: Lane, pair_ready: BoxTime, busy: bool) -> Result<(), StoreError> {
        let head = if busy { None } else { self.head(lane.person)? };
        let turn = head.map(|head| {
            let held = if head.rank >= lane.held_rank { lane.held_until.0 } else { 0 };
            (head.rank, head.due.0.max(pair_ready.0).max(held), head.rule)
        });
        let (rank, due, rule) = match &turn {
            Some((rank, due, rule)) => {
                self.turns.note(*rank, rule, *due);
                (*rank, Some(*due), rule.as_str())
            }
            None => (0, None, ""),
        };
        let (sender, seen) = (self.sender.0, self.row.boxed.0);
        self.write()?
            .prepare_cached(
                "INSERT INTO lane (sender, person, rank, due, pair_started, pair_count, strikes, held_until, held_rank,
                     pair_last, seen, recent, reached, rule)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
                 ON CONFLICT DO UPDATE SET rank = ?3, due = ?4, pair_started = ?5, pair_count = ?6, strikes = ?7,
                                           held_until = ?8, held_rank = ?9, pair_last = ?10, seen = ?11, recent = ?12,
                                           rule = ?14",
            )?
            .execute(params![
                sender,
                lane.person.0,
                rank,
                due,
                lane.pair.started.0,
                lane.pair.count,
                lane.pair.strikes,
                lane.held_until.0,
                lane.held_rank,
                lane.pair.last.0,
                seen,
                lane.recent,
                lane.reached.map(|at| at.0),
                rule,
            ])?;
        // Apart: a column that is set has its index written, the same value or not, and an answer changes this one hardly ever.
        self.write()?
            .prepare_cached("UPDATE lane SET reached = ?3 WHERE sender = ?1 AND person = ?2 AND reached IS NOT ?3")?
            .execute(params![sender, lane.person.0, lane.reached.map(|at| at.0)])?;
        Ok(())
    }

    /// Whether anything was ever posted from this store, as far as it remembers.
    pub fn has_sent(&self) -> Result<bool, StoreError> {
        let last: Option<i64> = self.db.query_row("SELECT max(id) FROM attempt", [], |row| row.get(0))?;
        Ok(last.is_some())
    }

    /// The message whose turn is next for a person: most urgent, then oldest.
    fn head(&self, person: PersonId) -> Result<Option<Head>, StoreError> {
        Ok(self
            .db
            .prepare_cached(
                "SELECT rank, due, rule FROM message INDEXED BY message_waiting
                 WHERE state = 0 AND sender = ?1 AND person = ?2 ORDER BY rank, id LIMIT 1",
            )?
            .query_row(params![self.sender.0, person.0], |row| {
                Ok(Head { rank: row.get(0)?, due: BoxTime(row.get(1)?), rule: row.get(2)? })
            })
            .optional()?)
    }

    /// The person cannot be reached on WhatsApp until then.
    pub fn set_undeliverable(&mut self, person: PersonId, until: BoxTime) -> Result<(), StoreError> {
        self.note(person, "undeliverable", until.0)
    }

    /// The person is on WhatsApp after all. Whether that is news.
    pub fn set_reachable(&mut self, person: PersonId) -> Result<bool, StoreError> {
        let told = self.lane(person)?.undeliverable_until.is_some();
        if told {
            let lane = [self.sender.0, person.0];
            self.write()?.execute("UPDATE lane SET undeliverable = NULL WHERE sender = ?1 AND person = ?2", lane)?;
        }
        Ok(told)
    }

    /// The platform protects the person from marketing until then.
    pub fn set_not_before(&mut self, person: PersonId, until: BoxTime) -> Result<(), StoreError> {
        self.note(person, "not_before", until.0)
    }

    /// The person told the platform to stop (or to resume) marketing.
    pub fn set_marketing_stopped(&mut self, person: PersonId, stopped: bool) -> Result<(), StoreError> {
        let act = if stopped { Act::MarketingStopped } else { Act::MarketingResumed };
        self.acted(Acted { person: Some(person), ..Acted::new(act, "") });
        self.note(person, "marketing_stopped", i64::from(stopped))?;
        self.list_marketing(person, stopped)
    }

    /// The service window is open. Of two the one counts whose message was written later, by box time: no wall clock that jumps
    /// makes an older one look newer.
    pub fn open_window(&mut self, person: PersonId, window: Window) -> Result<(), StoreError> {
        let known = self.lane(person)?.window;
        if known.is_none_or(|known| (known.since, known.until) < (window.since, window.until)) {
            self.note(person, "window_wall", window.until.0)?;
            self.note(person, "window_since", window.since.0)?;
        }
        Ok(())
    }

    /// A clock is trusted that was not, or after time off that nobody could measure: it says how old each window is.
    pub fn judge_windows(&mut self, now: BoxTime, wall: Wall) -> Result<(), StoreError> {
        // Of `Window::judged_by`, for all of them.
        let past = millis(Window::LASTS) + wall.0 - now.0;
        self.write()?
            .execute("UPDATE lane SET window_since = window_wall - ?1 WHERE window_since > window_wall - ?1", [past])?;
        Ok(())
    }

    /// Nobody knows how much time passed: whoever writes next opens a window again.
    pub fn close_windows(&mut self) -> Result<(), StoreError> {
        self.write()?
            .execute("UPDATE lane SET window_wall = NULL, window_since = NULL WHERE window_since IS NOT NULL", [])?;
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
        // Both or none.
        window: row
            .get::<_, Option<i64>>(10)?
            .zip(row.get::<_, Option<i64>>(11)?)
            .map(|(until, since)| Window { until: Wall(until), since: BoxTime(since) }),
        recent: row.get(12)?,
        reached: row.get::<_, Option<i64>>(13)?.map(BoxTime),
    })
}
