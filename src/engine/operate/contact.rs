//! A person's rights and the audit record, as operators ask for them.
//!
//! Floor: engine. An erasure is answered when it is done on the disk; it settles everything first, and then nobody knows whose it
//! was.

use super::Answered;
use crate::audit::{Key, Verifier};
use crate::engine::Engine;
use crate::message::{Act, Acted, MessageId, Name, Outcome, PersonId, Reason, hex};
use crate::operate::{AuditPage, AuditPiece, CONTACT_PARTS, ContactPage, Erased, ErasureReport, Reply};
use crate::outbox::{Settling, Spent, StoreError};
use crate::status::show;
use std::collections::BTreeSet;
use std::time::Duration;

/// Bytes of the audit record in one answer: twice that as hexadecimal digits.
const PAGE: usize = 256 * 1024;
/// Between two tries to write the files anew.
const SCRUB_RETRY: Duration = Duration::from_secs(60);

impl Engine {
    pub(super) fn audit_page(&self, after: u64) -> Answered {
        let (pieces, all) = self.outbox.pieces(after, PAGE)?;
        let pieces = pieces.into_iter().map(|piece| AuditPiece {
            first: piece.first,
            count: piece.count,
            before: hex(&piece.before),
            rows: hex(&piece.rows),
        });
        Ok(Reply::data(&AuditPage { pieces: pieces.collect(), end: self.outbox.anchor(), more: !all }))
    }

    pub(super) fn contact_export(&mut self, name: &str, part: &str, after: i64) -> Answered {
        let name = match self.read_name(name) {
            Ok(name) => name,
            Err(why) => return Ok(Reply::Refused(why)),
        };
        let people = self.people_named(&name)?;
        let page = match part {
            "person" => {
                let acted = Acted::new(Act::Ordered, "contact-export");
                self.outbox.acted(Acted { digits: Some(self.known_as(&name, &people)?), ..acted });
                let held = self.outbox.held_on(&self.names(&name, &people)?, &people, &self.purposes())?;
                ContactPage { rows: vec![held], next: None }
            }
            "messages" => {
                let (rows, next) = self.outbox.messages_of(&people, after)?;
                ContactPage { rows, next }
            }
            "audit" => self.audit_rows_of(&self.names(&name, &people)?, after)?,
            _ => {
                let text = format!("no such part: {part}. There are: {}", CONTACT_PARTS.join(", "));
                return Ok(Reply::Refused(text));
            }
        };
        Ok(Reply::data(&page))
    }

    /// Rows about any name of the person, a few pieces of the record at a time.
    fn audit_rows_of(&self, names: &BTreeSet<String>, after: i64) -> Result<ContactPage, StoreError> {
        let key = Key::new(self.outbox.audit_key());
        let stamps: BTreeSet<_> = names.iter().map(|name| key.person(name)).collect();
        let (pieces, all) = self.outbox.pieces(after.max(0) as u64, PAGE)?;
        let (mut verifier, mut rows) = (Verifier::new(None), Vec::new());
        for piece in &pieces {
            verifier.piece(piece.first, piece.count, piece.before, &piece.rows, &mut |at, row| {
                if row.person.is_some_and(|stamp| stamps.contains(&stamp)) {
                    rows.push(row.json(at));
                }
            });
        }
        let next = pieces.last().filter(|_| !all).map(|piece| piece.first as i64);
        Ok(ContactPage { rows, next })
    }

    /// Everybody who has the name.
    fn people_named(&self, name: &Name) -> Result<Vec<PersonId>, StoreError> {
        match name {
            Name::Number(number) => self.outbox.people_of(number),
            Name::User(_) => Ok(self.outbox.find_named(name)?.into_iter().collect()),
        }
    }

    /// Every name under which somebody may be known, whether or not the store still knows them as one person's.
    fn names(&self, name: &Name, people: &[PersonId]) -> Result<BTreeSet<String>, StoreError> {
        let mut names = self.outbox.names_of(people)?;
        match name {
            Name::Number(number) => names.extend(number.forms().iter().map(|form| form.digits().to_owned())),
            Name::User(user) => {
                names.insert(user.clone());
            }
        }
        Ok(names)
    }

    /// What stands for a person in the audit record: digits, or the user id of who has none.
    fn known_as(&self, name: &Name, people: &[PersonId]) -> Result<String, StoreError> {
        let first = people.first().map(|person| self.outbox.number(*person)).transpose()?.flatten();
        Ok(match (first, name) {
            (Some(number), _) => number.digits().to_owned(),
            (None, Name::Number(number)) => number.digits().to_owned(),
            (None, Name::User(user)) => user.clone(),
        })
    }

    fn purposes(&self) -> BTreeSet<String> {
        self.policy.purposes.keys().cloned().collect()
    }

    /// All numbers or none. The answer waits for the files: see [`scrub`](Self::scrub).
    pub(super) fn contact_erase(&mut self, ticket: u64, numbers: &[String]) -> Result<(), StoreError> {
        let read: Result<Vec<Name>, String> = numbers.iter().map(|number| self.read_name(number)).collect();
        let names = match read.and_then(|names| self.may_erase().map(|()| names)) {
            Ok(names) => names,
            Err(why) => {
                self.out.push(crate::engine::Action::Done(ticket, Reply::Refused(why)));
                return Ok(());
            }
        };
        self.outbox.must_scrub()?;
        let mut report = ErasureReport::default();
        for name in &names {
            report.people.push(self.erase(name)?);
        }
        self.erased.push((ticket, report));
        Ok(())
    }

    fn may_erase(&self) -> Result<(), String> {
        if self.loss().is_some() {
            return Err("the store was damaged, and the old file, which an erasure deletes, may be all that is left of some \
                messages: see branchline status and branchline outbox export --all --file, then branchline outbox accept-loss, \
                then erase; nothing is erased"
                .to_owned());
        }
        match self.outbox.room_to_scrub() {
            Ok(Ok(())) => Ok(()),
            Ok(Err((needs, free))) => Err(format!(
                "the store must be written anew for this, which needs {} on its disk, and {} are free: make space and try again; \
                 nothing is erased",
                show::bytes(needs),
                show::bytes(free)
            )),
            Err(error) => Err(format!("what is free on the store's disk cannot be told: {error}; nothing is erased")),
        }
    }

    fn erase(&mut self, name: &Name) -> Result<Erased, StoreError> {
        let people = self.people_named(name)?;
        let digits = self.known_as(name, &people)?;
        let names = self.names(name, &people)?;
        let mut erased = Erased { number: name.to_string(), known: !people.is_empty(), ..Erased::default() };
        let mut purposes = self.purposes();
        for person in people {
            purposes.extend(self.outbox.consent_of(person)?.into_iter().map(|row| row.entry.purpose));
            // What is on its way is received by then, or never; and the pair's interval begins when it is.
            let apart = self.pace.timeout + self.pace.pair_interval.unwrap_or_default();
            let alone = self.soft.is_busy(person).then(|| self.moment.boxed + apart);
            self.settle_all(person, &mut erased)?;
            self.soft.releasing.retain(|key| key != &format!("person:{person}"));
            self.soft.holds.retain(|hold| hold.key != format!("person:{person}"));
            // From here on nobody knows whose rows these are.
            self.record()?;
            let shown = self.outbox.shown_of(person)?;
            self.status.forget(&shown);
            let (messages, ledger) = self.outbox.erase(person, alone, self.moment.boxed)?;
            erased.messages += messages;
            erased.ledger += ledger;
        }
        erased.suppressed = self.outbox.is_listed(&names, &purposes);
        self.outbox.acted(Acted { digits: Some(digits), ..Acted::new(Act::Erased, "contact-erase") });
        Ok(erased)
    }

    /// What waits is withdrawn, and of what is on its way nobody will know: its answer settles nothing any more.
    fn settle_all(&mut self, person: PersonId, erased: &mut Erased) -> Result<(), StoreError> {
        for attempt in self.outbox.open_attempts()?.into_iter().filter(|attempt| attempt.person == person) {
            self.outbox.close(attempt.id, Reason::Erased, None, Spent::Unknown, self.moment)?;
        }
        for flight in self.soft.in_flight.iter_mut().filter(|flight| flight.person == person) {
            // A row that is nobody's: the id may be given to somebody else.
            (flight.erased, flight.person) = (true, PersonId(0));
        }
        for (id, on_its_way) in self.outbox.open_messages_of(person)? {
            *(if on_its_way { &mut erased.in_flight } else { &mut erased.withdrawn }) += 1;
            self.end_erased(id)?;
        }
        Ok(())
    }

    /// As [`end`](Self::end), told without number and event.
    fn end_erased(&mut self, id: MessageId) -> Result<(), StoreError> {
        let perhaps = self.outbox.unknown_attempts(id)? > 0;
        let outcome = if perhaps { Outcome::Unknown } else { Outcome::Withdrawn };
        self.outbox.settle(id, &Settling::new(outcome, Reason::Erased), self.moment)?;
        if let Some(mut found) = self.outbox.found(id)? {
            (found.to, found.event) = (None, None);
            self.tell(&found, outcome, Reason::Erased, "", false);
        }
        Ok(())
    }
}

impl Engine {
    /// After the commit of an erasure: the files are written anew, and it is answered. What cannot be done now is tried again.
    pub(in crate::engine) fn scrub(&mut self) {
        if !self.outbox.scrub_due() || !self.outbox.is_attached() {
            return;
        }
        if self.erased.is_empty() && self.scrub_again > self.moment.boxed {
            return;
        }
        self.scrub_again = self.moment.boxed + SCRUB_RETRY;
        let done = match self.outbox.room_to_scrub() {
            Ok(Ok(())) => self.outbox.scrub().map_err(|error| error.to_string()),
            Ok(Err((needs, free))) => {
                Err(format!("{} are needed on its disk and {} are free", show::bytes(needs), show::bytes(free)))
            }
            Err(error) => Err(error.to_string()),
        };
        if let Err(why) = &done {
            let detail = format!(
                "the files of the store still hold rows of a person who was erased: {why}; tried again each minute"
            );
            self.tell_box(Reason::Erased, detail, true);
        }
        for (ticket, mut report) in std::mem::take(&mut self.erased) {
            let reply = match &done {
                Ok(removed) => {
                    report.removed.clone_from(removed);
                    report.foreign = self.outbox.foreign_files();
                    Reply::data(&report)
                }
                Err(why) => Reply::Refused(format!(
                    "the rows are gone, and the store's files could not be written anew: {why}; it is tried again each minute. \
                     Give the same order again to hear when it is done"
                )),
            };
            self.out.push(crate::engine::Action::Done(ticket, reply));
        }
    }
}
