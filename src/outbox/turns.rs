//! Whose turn is next: the most urgent first, and of equals the rule that was served longest ago, so that no rule's flood delays
//! another's message.
//!
//! Floor: rooms. What is remembered here is a cache of the index `lane_due`: of each rank and rule with somebody in it, a time
//! before which nobody's turn comes. It errs to the early side only, and an index seek puts it right.

use super::{Lane, Outbox, StoreError};
use crate::message::{PersonId, Priority};
use crate::time::BoxTime;
use rusqlite::{OptionalExtension, params};

/// One rank and rule.
#[derive(Clone, Debug)]
struct Turn {
    rank: i64,
    rule: String,
    /// Nobody's turn comes before.
    due: i64,
    /// When it was served last, in picks; 0: never.
    served: u64,
}

/// All of them: as many as there are rules in the store, most of them with one rank.
#[derive(Debug, Default)]
pub(super) struct Turns {
    all: Vec<Turn>,
    picks: u64,
    /// Whether `all` was read from the index.
    known: bool,
    /// The rank and rule of the latest pick.
    picked: Option<(i64, String)>,
}

impl Turns {
    /// What is in the store is read again.
    pub fn forget(&mut self) {
        self.known = false;
    }

    /// A lane was written with this turn.
    pub fn note(&mut self, rank: i64, rule: &str, due: i64) {
        match self.all.iter_mut().find(|turn| turn.rank == rank && turn.rule == rule) {
            Some(turn) => turn.due = turn.due.min(due),
            None => self.all.push(Turn { rank, rule: rule.to_owned(), due, served: 0 }),
        }
    }
}

impl Outbox {
    /// The lane whose turn is next at `now`, of messages that are at least as urgent as `least`: most urgent first, then by
    /// turns of the rules, then the one that has been able to go for longest.
    pub fn next_lane(&mut self, now: BoxTime, least: Priority) -> Result<Option<Lane>, StoreError> {
        self.know_turns()?;
        loop {
            let ready = |turn: &(usize, &Turn)| turn.1.rank <= least.rank() && turn.1.due <= now.0;
            let turns = self.turns.all.iter().enumerate().filter(ready);
            let Some((place, turn)) = turns.min_by_key(|(_, turn)| (turn.rank, turn.served)) else { return Ok(None) };
            let (rank, rule) = (turn.rank, turn.rule.clone());
            match self.first_of(rank, &rule)? {
                None => drop(self.turns.all.swap_remove(place)),
                Some((_, due)) if due > now.0 => self.turns.all[place].due = due,
                Some((person, _)) => {
                    self.turns.picks += 1;
                    self.turns.all[place].served = self.turns.picks;
                    self.turns.picked = Some((rank, rule));
                    let lost = || StoreError::contradiction("an index names a turn of a person who is not there");
                    return self.find_lane(person)?.ok_or_else(lost).map(Some);
                }
            }
        }
    }

    /// When the next turn of messages comes that are at least as urgent as `least`, or a little earlier; `None` if nothing waits
    /// for time alone.
    pub fn next_turn(&mut self, least: Priority) -> Result<Option<BoxTime>, StoreError> {
        self.know_turns()?;
        let turns = self.turns.all.iter().filter(|turn| turn.rank <= least.rank());
        Ok(turns.map(|turn| BoxTime(turn.due)).min())
    }

    /// A lane that had nothing to send is written back with another turn: one that comes up again at once is an index's that is
    /// damaged, and would come up for ever.
    pub fn moved_on(&self, person: PersonId, now: BoxTime) -> Result<(), StoreError> {
        let Some((rank, rule)) = &self.turns.picked else { return Ok(()) };
        match self.first_of(*rank, rule)? {
            Some((first, due)) if first == person && due <= now.0 => {
                Err(StoreError::contradiction("an index names a turn that nobody has"))
            }
            _ => Ok(()),
        }
    }

    /// Who has been able to go for longest; the index alone is asked.
    fn first_of(&self, rank: i64, rule: &str) -> Result<Option<(PersonId, i64)>, StoreError> {
        Ok(self
            .db
            .prepare_cached(
                "SELECT person, due FROM lane INDEXED BY lane_due
                 WHERE sender = ?1 AND rank = ?2 AND rule = ?3 AND due IS NOT NULL ORDER BY due LIMIT 1",
            )?
            .query_row(params![self.sender.0, rank, rule], |row| Ok((PersonId(row.get(0)?), row.get(1)?)))
            .optional()?)
    }

    /// One seek for each rank and rule that somebody waits for, however many wait.
    fn know_turns(&mut self) -> Result<(), StoreError> {
        if self.turns.known {
            return Ok(());
        }
        let mut found = Turns { known: true, picks: self.turns.picks, ..Turns::default() };
        let (mut rank, mut rule) = (-1, String::new());
        let mut next = self.db.prepare_cached(
            "SELECT rank, rule, due FROM lane INDEXED BY lane_due
             WHERE sender = ?1 AND (rank, rule) > (?2, ?3) AND due IS NOT NULL ORDER BY rank, rule, due LIMIT 1",
        )?;
        while let Some(first) = next
            .query_row(params![self.sender.0, rank, rule], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?))
            })
            .optional()?
        {
            if (first.0, &first.1) <= (rank, &rule) {
                return Err(StoreError::contradiction("an index of turns runs in a circle"));
            }
            (rank, rule) = (first.0, first.1);
            let before = self.turns.all.iter().find(|turn| turn.rank == rank && turn.rule == rule);
            let served = before.map_or(0, |turn| turn.served);
            found.all.push(Turn { rank, rule: rule.clone(), due: first.2, served });
        }
        drop(next);
        self.turns = found;
        Ok(())
    }
}
