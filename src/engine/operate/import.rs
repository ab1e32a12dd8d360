//! What limits and suppression of another box hold, taken over by the one that replaces it.
//!
//! Floor: engine. Never makes a limit looser than it was there: time that passed between the boxes counts as none, for nobody can
//! say how much it was. What would lie before this box's own beginning counts as of then.

use super::Answered;
use crate::engine::Engine;
use crate::message::{Name, Window, is_user_id, unhex};
use crate::operate::{ImportReport, LimitRow, LineProblem, Reply};
use crate::pace::Recent;
use crate::time::{BoxTime, Wall};
use crate::whatsapp::KnownAs;

impl Engine {
    /// All rows, or none if any is wrong. A person of whom something is known here already is left as it is: the same file, again.
    pub(super) fn limits_import(&mut self, rows: &[LimitRow]) -> Answered {
        if self.outbox.has_sent()? {
            let why = "this store has sent already: what another box counted can be added to an empty one only. Take the limits over \
                       before the box goes to work; consent import takes the ledger at any time";
            return Ok(Reply::Refused(why.to_owned()));
        }
        let mut report = ImportReport::default();
        let mut read = Vec::new();
        for (place, row) in rows.iter().enumerate() {
            let first = row.user_ids.first().filter(|_| row.number.is_empty()).unwrap_or(&row.number);
            let wrong = |problem: String| LineProblem { line: place as u64 + 1, problem };
            match (Name::read(first, self.country), unhex(&row.recent)) {
                (Ok(_), _) if !row.user_ids.iter().all(|user| is_user_id(user)) => {
                    report.problems.push(wrong("user_ids holds what is no id of the platform".to_owned()));
                }
                (Ok(name), Some(recent)) => read.push((name, Recent::of_bytes(&recent), row)),
                (Err(why), _) => report.problems.push(wrong(why.to_string())),
                (_, None) => report.problems.push(wrong("recent cannot be read".to_owned())),
            }
        }
        if !report.problems.is_empty() {
            return Ok(Reply::data(&report));
        }
        for (name, recent, row) in read {
            if self.take_over(&name, &recent, row)? { report.recorded += 1 } else { report.unchanged += 1 }
        }
        Ok(Reply::data(&report))
    }

    fn take_over(&mut self, name: &Name, recent: &Recent, row: &LimitRow) -> Result<bool, crate::outbox::StoreError> {
        let now = self.moment.boxed;
        let by = now.0.saturating_sub(row.exported);
        // Nothing lies ahead of what was exported, but for what is held until then.
        let past = |at: i64| BoxTime(at.min(row.exported).saturating_add(by).max(0));
        let until = |at: i64| Some(BoxTime(at.saturating_add(by))).filter(|at| *at > now);
        let mut person = self.outbox.person_named(name)?;
        for user in &row.user_ids {
            person = self.learn(person, &KnownAs { wa_id: None, user_id: Some(user.clone()) })?;
        }
        let mut lane = self.outbox.lane(person)?;
        let known = lane.pair.last.0 > 0 || !lane.recent.is_empty() || lane.reached.is_some();
        let stops = row.marketing_stopped != 0 && !lane.marketing_stopped;
        self.outbox.words_written(person, [row.wish_wall, row.stopped_wall, row.started_wall])?;
        if known && !stops {
            return Ok(false);
        }
        if stops {
            self.outbox.set_marketing_stopped(person, true)?;
        }
        if known {
            return Ok(true);
        }
        if row.pair_last > 0 {
            lane.pair.started = past(row.pair_started);
            lane.pair.last = past(row.pair_last);
            (lane.pair.count, lane.pair.strikes) = (row.pair_count, row.strikes);
        }
        lane.recent = recent.moved(BoxTime(row.exported), now).to_bytes();
        lane.reached = row.reached.map(past);
        if let Some(held) = until(row.held_until) {
            (lane.held_until, lane.held_rank) = (held, row.held_rank);
        }
        self.settle(lane)?;
        if let Some(until) = row.undeliverable.and_then(until) {
            self.outbox.set_undeliverable(person, until)?;
        }
        if let Some(until) = row.not_before.and_then(until) {
            self.outbox.set_not_before(person, until)?;
        }
        if let Some(ends) = row.window_wall {
            // Time between the boxes counts as none, but as far as a clock tells it.
            let since = row.window_since.unwrap_or(row.exported).min(row.exported).saturating_add(by);
            let window = Window { until: Wall(ends), since: BoxTime(since) };
            let window = self.moment.wall.trusted().map_or(window, |wall| window.judged_by(wall, now));
            self.outbox.open_window(person, window)?;
        }
        Ok(true)
    }
}
