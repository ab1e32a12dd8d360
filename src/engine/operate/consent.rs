//! The ledger, as operators write and read it.
//!
//! Floor: engine.

use super::Answered;
use crate::engine::Engine;
use crate::message::{ALL, LedgerAction, LedgerEntry, Name, Number, PersonId, START_WORD, Standing};
use crate::operate::{
    ConsentNow, ConsentReport, Grant, ImportReport, LedgerLine, LedgerPage, LedgerRow, LineProblem, Reply,
};
use crate::outbox::{self, StoreError};
use crate::policy;
use crate::time::{Moment, Wall};

/// Told instead of a ledger while a loss is held.
const LACKING: &str = "the store was damaged and nobody has accepted the loss: the ledger may lack lines, and nothing is exported in \
    the place of a whole one. Import the last export (branchline consent import FILE --releases), or accept the loss (branchline \
    outbox accept-loss); what is there is in branchline outbox export --all";

impl Engine {
    pub(super) fn consent_grant(&mut self, grant: &Grant) -> Answered {
        let number = match self.read_number(&grant.number) {
            Ok(number) => number,
            Err(why) => return Ok(Reply::Refused(why)),
        };
        let standing = self.standing_of(&number, &grant.purpose)?;
        match policy::grant(&self.policy, &standing, grant, self.moment) {
            Err(refusal) => Ok(Reply::Refused(refusal.to_string())),
            Ok(entry) => {
                let person = self.outbox.person(&number)?;
                self.outbox.record_consent(person, &entry, None, None, self.moment)?;
                self.consent_report(&number, true)
            }
        }
    }

    pub(super) fn consent_revoke(&mut self, number: &str, purpose: Option<&str>) -> Answered {
        let number = match self.read_number(number) {
            Ok(number) => number,
            Err(why) => return Ok(Reply::Refused(why)),
        };
        match policy::revoke(&self.policy, purpose, "operator") {
            Err(refusal) => Ok(Reply::Refused(refusal.to_string())),
            Ok(entry) => {
                let person = self.outbox.person(&number)?;
                self.outbox.record_consent(person, &entry, None, None, self.moment)?;
                self.consent_report(&number, true)
            }
        }
    }

    pub(in crate::engine) fn standing_of(&self, number: &Number, purpose: &str) -> Result<Standing, StoreError> {
        self.standing_named(&Name::Number(number.clone()), purpose)
    }

    /// Of somebody unknown the list of stops may know all the same: whom the ledger has lost, or who was erased.
    fn standing_named(&self, name: &Name, purpose: &str) -> Result<Standing, StoreError> {
        match self.outbox.find_named(name)? {
            Some(person) => self.outbox.standing(person, purpose),
            None => Ok(self.outbox.standing_of_stranger(name, purpose)),
        }
    }

    pub(super) fn consent_report(&self, number: &Number, changed: bool) -> Answered {
        let entries = match self.outbox.find_person(number)? {
            Some(person) => self.outbox.consent_of(person)?,
            None => Vec::new(),
        };
        let mut now = Vec::new();
        for purpose in self.policy.purposes.keys() {
            let standing = self.standing_of(number, purpose)?;
            now.push(consent_now(purpose, &standing, self.moment));
        }
        Ok(Reply::data(&ConsentReport {
            number: number.to_string(),
            changed,
            now,
            entries: entries.into_iter().map(|row| ledger_row(row, false)).collect(),
        }))
    }

    pub(super) fn consent_export(&self, after: i64) -> Answered {
        // Whoever exports every night would put what is left in the place of what was whole.
        if self.loss().is_some() {
            return Ok(Reply::Refused(LACKING.to_owned()));
        }
        let rows = self.outbox.consent_page(after)?;
        let next = if rows.len() == 500 { rows.last().map(|row| row.row) } else { None };
        Ok(Reply::data(&LedgerPage { rows: rows.into_iter().map(|row| ledger_row(row, true)).collect(), next }))
    }

    /// All lines, or none if any is wrong. A grant that is older than what the person took back changes nothing.
    pub(super) fn consent_import(&mut self, lines: &[LedgerLine], more: bool, releases: bool) -> Answered {
        let mut report = ImportReport::default();
        let mut read = Vec::new();
        for line in lines {
            match self
                .import_line(line)
                .and_then(|(name, entry, at)| self.lifts_nothing(&name, &entry, at).map(|()| (name, entry, at)))
            {
                Ok(entry) => read.push(entry),
                Err(problem) => report.problems.push(LineProblem { line: line.line, problem }),
            }
        }
        if !report.problems.is_empty() {
            return Ok(Reply::data(&report));
        }
        for (name, entry, at) in read {
            let person = self.outbox.person_named(&name)?;
            let unlisted =
                entry.action == LedgerAction::Revoke || !self.outbox.stopped_by_list_alone(person, &entry.purpose)?;
            if !unlisted || self.adds_nothing(person, &entry, at)? {
                report.unchanged += 1;
            } else {
                self.outbox.record_consent(person, &entry, None, at, self.moment)?;
                report.recorded += 1;
            }
        }
        if !more {
            self.stops_told("the ledger was imported")?;
        }
        // The ledger is whole again, as the operator says: what its loss held goes on.
        report.held = self.loss().is_some();
        if !more && releases && report.held {
            self.accept_loss("the ledger was imported")?;
            (report.held, report.released) = (false, true);
        }
        Ok(Reply::data(&report))
    }

    fn import_line(&self, line: &LedgerLine) -> Result<(Name, LedgerEntry, Option<Wall>), String> {
        let name = self.read_name(&line.number)?;
        let action = LedgerAction::of_code(&line.action)
            .ok_or_else(|| format!("action is \"{}\": write grant or revoke", line.action))?;
        let at = instant(&line.at, "at")?;
        let expires = instant(&line.expires, "expires")?;
        let purpose = (line.purpose != ALL).then_some(line.purpose.as_str());
        let entry = match action {
            LedgerAction::Revoke => policy::revoke(&self.policy, purpose, &line.source),
            LedgerAction::Grant if line.purpose == ALL && line.source == START_WORD => Ok(policy::start()),
            LedgerAction::Grant => {
                let grant = Grant {
                    number: String::new(),
                    purpose: line.purpose.clone(),
                    source: line.source.clone(),
                    wording: (!line.wording.is_empty()).then(|| line.wording.clone()),
                    expires,
                    after_revocation: true,
                };
                // Counted from the day the person agreed, not from today.
                let then = Moment { wall: at.map_or(self.moment.wall, crate::time::Clock::Trusted), ..self.moment };
                policy::grant(&self.policy, &Standing::default(), &grant, then)
            }
        };
        Ok((name, entry.map_err(|refusal| refusal.to_string())?, at))
    }

    /// A file lifts a revocation only where it says that the person agreed later than that, and not in the future.
    fn lifts_nothing(&self, name: &Name, entry: &LedgerEntry, at: Option<Wall>) -> Result<(), String> {
        if let (Some(at), Some(now)) = (at, self.moment.wall.trusted())
            && at > now
        {
            return Err("at lies in the future".to_owned());
        }
        let standing = self.standing_named(name, &entry.purpose).map_err(|error| error.to_string())?;
        let revoked = standing.revoked.is_some_and(|seq| standing.grant.is_none_or(|grant| grant.seq < seq));
        if entry.action == LedgerAction::Grant && revoked && at.is_none() {
            return Err("this person took the consent back: say in at when it was given again".to_owned());
        }
        Ok(())
    }

    fn adds_nothing(&self, person: PersonId, entry: &LedgerEntry, at: Option<Wall>) -> Result<bool, StoreError> {
        let known = self.outbox.consent_of(person)?;
        // Without a time it is the same again where it is the last word: a box without a clock knows no other.
        let last = known.iter().rfind(|row| row.entry.purpose == entry.purpose);
        let same = match at {
            Some(_) => known.iter().any(|row| row.entry == *entry && row.at == at),
            None => last.is_some_and(|row| row.entry == *entry),
        };
        let at = at.or(self.moment.wall.trusted());
        let taken_back_later = entry.action == LedgerAction::Grant
            && known.iter().any(|row| {
                row.entry.action == LedgerAction::Revoke
                    && (row.entry.purpose == ALL || row.entry.purpose == entry.purpose)
                    && !(row.at.is_some() && row.at < at)
            });
        Ok(same || taken_back_later)
    }
}

pub(super) fn consent_now(purpose: &str, standing: &Standing, now: Moment) -> ConsentNow {
    ConsentNow {
        purpose: purpose.to_owned(),
        withheld: policy::consent_now(standing, now),
        until: standing.grant.and_then(|grant| grant.expires),
    }
}

fn ledger_row(row: outbox::LedgerRow, with_number: bool) -> LedgerRow {
    LedgerRow {
        row: row.row,
        number: if with_number { row.name } else { String::new() },
        purpose: row.entry.purpose,
        action: row.entry.action.code().to_owned(),
        at: row.at,
        source: row.entry.source,
        wording: row.entry.wording,
        expires: row.entry.expires,
    }
}

/// RFC 3339 or a date; empty for none.
fn instant(text: &str, column: &str) -> Result<Option<Wall>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let midnight =
        || text.parse::<jiff::civil::Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|at| at.timestamp());
    match text.parse::<jiff::Timestamp>().ok().or_else(midnight) {
        Some(at) => Ok(Some(Wall(at.as_millisecond()))),
        None => Err(format!("{column} is \"{text}\": write 2026-03-01T12:00:00Z or 2026-03-01")),
    }
}
