//! Who is on the list of stops, and what that means for a person: the store's ledger and the list, whichever is stricter.
//!
//! Floor: rooms.

use super::person::{DIGITS, USER};
use super::stops::{Kind, Stops};
use super::{Lane, Outbox, StoreError, schema::state};
use crate::message::{ALL, LedgerAction, LedgerEntry, Name, Number, PersonId, STOP_WORD, Standing, Stored};
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};

impl Outbox {
    /// Where the person of a message stands, the number that it goes to being asked besides: whatever the rows about the person
    /// say, the list knows numbers.
    pub fn standing_for(&self, lane: &Lane, message: &Stored) -> Result<Standing, StoreError> {
        let mut standing = self.standing_of(lane, message.purpose())?;
        self.must_stand(message.id(), &[state::WAITING])?;
        let known = self.known_by_number(message.to())?;
        if !known.contains(&message.person()) {
            return Err(StoreError::contradiction("a message's number is not its person's"));
        }
        // Two people may be known by two forms of one number: what either of them took back holds.
        for other in known.into_iter().filter(|known| *known != message.person()) {
            let theirs = self.standing_of(&self.lane(other)?, message.purpose())?;
            if theirs.is_revoked() {
                standing.revoke();
            }
            standing.marketing_stopped |= theirs.marketing_stopped;
        }
        self.stop_number(&mut standing, message.to(), message.purpose());
        Ok(standing)
    }

    /// Where somebody stands of whom the store has no row: as the list says.
    pub fn standing_of_stranger(&self, name: &Name, purpose: &str) -> Standing {
        let mut standing = Standing::default();
        match name {
            Name::Number(number) => self.stop_number(&mut standing, number, purpose),
            Name::User(user) => self.stop_name(&mut standing, user, purpose),
        }
        standing
    }

    /// Puts the list of stops over what the store says about a person.
    pub(super) fn put_stops(&self, standing: &mut Standing, person: PersonId, purpose: &str) -> Result<(), StoreError> {
        if self.stops.is_empty() {
            return Ok(());
        }
        for name in names_of(&self.db, person.0)? {
            self.stop_name(standing, &name, purpose);
        }
        Ok(())
    }

    fn stop_number(&self, standing: &mut Standing, number: &Number, purpose: &str) {
        if self.stops.is_empty() {
            return;
        }
        for form in number.forms() {
            self.stop_name(standing, form.digits(), purpose);
        }
    }

    fn stop_name(&self, standing: &mut Standing, name: &str, purpose: &str) {
        if self.stops.stops(name, purpose) {
            standing.revoke();
        }
        standing.marketing_stopped |= self.stops.has(Kind::Marketing, name, "");
    }

    /// Whether the list stops a purpose though the ledger knows nothing of it: the ledger has lost a line. Only an operator who
    /// names the person lifts that.
    pub fn stopped_by_list_alone(&self, person: PersonId, purpose: &str) -> Result<bool, StoreError> {
        let lane = self.lane(person)?;
        let ledger = self.standing_in_ledger(&lane, purpose)?;
        Ok(!ledger.is_revoked() && self.standing_of(&lane, purpose)?.is_revoked())
    }

    /// A line of the ledger changes the list with the same commit.
    pub(super) fn list_consent(&mut self, person: PersonId, entry: &LedgerEntry) -> Result<(), StoreError> {
        let revokes = entry.action == LedgerAction::Revoke;
        if self.stops.is_empty() && !revokes {
            return Ok(());
        }
        let purposes = if entry.purpose == ALL { purposes_of(&self.db, person.0)? } else { Vec::new() };
        let starts = entry.action == LedgerAction::Grant && entry.purpose == ALL;
        let said = if starts { Said::of(&self.db, person.0)? } else { Said::default() };
        for digits in names_of(&self.db, person.0)? {
            match (entry.action, entry.purpose.as_str()) {
                (LedgerAction::Revoke, ALL) => {
                    self.stops.set(Kind::All, &digits, "", true);
                    for purpose in &purposes {
                        self.stops.set(Kind::Lifted, &digits, purpose, false);
                    }
                }
                (LedgerAction::Revoke, purpose) => {
                    self.stops.set(Kind::Purpose, &digits, purpose, true);
                    self.stops.set(Kind::Lifted, &digits, purpose, false);
                }
                (LedgerAction::Grant, ALL) => {
                    self.stops.set(Kind::All, &digits, "", said.all);
                    for purpose in &purposes {
                        self.stops.set(Kind::Lifted, &digits, purpose, said.lifted.contains(purpose));
                    }
                }
                (LedgerAction::Grant, purpose) => {
                    self.stops.set(Kind::Purpose, &digits, purpose, false);
                    if self.stops.has(Kind::All, &digits, "") {
                        self.stops.set(Kind::Lifted, &digits, purpose, true);
                    }
                }
            }
        }
        Ok(())
    }

    /// The person told the platform to stop (or to resume) marketing.
    pub(super) fn list_marketing(&mut self, person: PersonId, stopped: bool) -> Result<(), StoreError> {
        for digits in names_of(&self.db, person.0)? {
            self.stops.set(Kind::Marketing, &digits, "", stopped);
        }
        Ok(())
    }

    /// The person has another name, or two turned out to be one: what stops one name stops all.
    pub(super) fn list_again(&mut self, person: PersonId) -> Result<(), StoreError> {
        if self.stops.is_empty() {
            return Ok(());
        }
        list(&self.db, &mut self.stops, person.0, false)
    }
}

/// Everybody whom the ledger or a lane stops. `anew`: the list is made from nothing.
pub(super) fn list_all(db: &Connection, stops: &mut Stops, anew: bool) -> Result<(), StoreError> {
    let mut query = db.prepare(
        "SELECT person FROM ledger WHERE action <> 'grant' UNION SELECT person FROM lane WHERE marketing_stopped",
    )?;
    let people: Vec<i64> = query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    people.into_iter().try_for_each(|person| list(db, stops, person, anew))
}

/// Everything that was given again since everything was taken back, as the ledger has it: digits and purpose.
pub(super) fn lifted(db: &Connection) -> Result<Vec<(String, String)>, StoreError> {
    let mut query = db.prepare("SELECT DISTINCT person FROM ledger WHERE action <> 'grant' AND purpose = 'all'")?;
    let people: Vec<i64> = query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut found = Vec::new();
    for person in people {
        let said = Said::of(db, person)?;
        for digits in names_of(db, person)? {
            found.extend(said.lifted.iter().map(|purpose| (digits.clone(), purpose.clone())));
        }
    }
    Ok(found)
}

fn list(db: &Connection, stops: &mut Stops, person: i64, anew: bool) -> Result<(), StoreError> {
    let mut said = Said::of(db, person)?;
    let names = names_of(db, person)?;
    let marketing: bool =
        db.query_row("SELECT EXISTS (SELECT 1 FROM lane WHERE person = ?1 AND marketing_stopped)", [person], |row| {
            row.get(0)
        })?;
    let has = |kind: Kind, purpose: &str| names.iter().any(|digits| stops.has(kind, digits, purpose));
    // What the list knows and the ledger lost: there an operator's grant is known by the list alone.
    let by_list_alone = !said.all && has(Kind::All, "");
    said.all |= by_list_alone;
    let lifted_by_list = |purpose: &str| {
        let mut stopped = names.iter().filter(|digits| stops.has(Kind::All, digits, ""));
        by_list_alone && stopped.all(|digits| stops.has(Kind::Lifted, digits, purpose))
    };
    let marketing = marketing || has(Kind::Marketing, "");
    let purposes: Vec<String> = purposes_of(db, person)?;
    let stopped: BTreeMap<&String, (bool, bool)> = purposes
        .iter()
        .map(|purpose| {
            let stopped = said.purposes.contains(purpose) || has(Kind::Purpose, purpose);
            let given = said.lifted.contains(purpose) && (anew || has(Kind::Lifted, purpose));
            let lifted = !stopped && (given || lifted_by_list(purpose));
            (purpose, (stopped, lifted))
        })
        .collect();
    for digits in &names {
        if said.all {
            stops.set(Kind::All, digits, "", true);
        }
        if marketing {
            stops.set(Kind::Marketing, digits, "", true);
        }
        for (purpose, (stopped, lifted)) in &stopped {
            if *stopped {
                stops.set(Kind::Purpose, digits, purpose, true);
            }
            stops.set(Kind::Lifted, digits, purpose, *lifted);
        }
    }
    Ok(())
}

/// What a person's lines come to.
#[derive(Default)]
struct Said {
    all: bool,
    /// Taken back one by one.
    purposes: BTreeSet<String>,
    /// Given again since everything was taken back.
    lifted: BTreeSet<String>,
    /// `all` and `lifted` without the stop words that were not taken back.
    without_words: Option<(bool, BTreeSet<String>)>,
}

impl Said {
    fn of(db: &Connection, person: i64) -> Result<Said, StoreError> {
        let mut said = Said::default();
        let mut query =
            db.prepare_cached("SELECT purpose, action, source FROM ledger WHERE person = ?1 ORDER BY id")?;
        let mut rows = query.query([person])?;
        while let Some(row) = rows.next()? {
            let purpose: String = row.get(0)?;
            // A line that nobody can read is taken for the strict one.
            match LedgerAction::of_code(row.get_ref(1)?.as_str().unwrap_or_default()) {
                Some(LedgerAction::Grant) if purpose == ALL => {
                    if let Some((all, lifted)) = said.without_words.take() {
                        (said.all, said.lifted) = (all, lifted);
                    }
                }
                Some(LedgerAction::Grant) => {
                    said.purposes.remove(&purpose);
                    if let Some((true, lifted)) = &mut said.without_words {
                        lifted.insert(purpose.clone());
                    }
                    if said.all {
                        said.lifted.insert(purpose);
                    }
                }
                Some(LedgerAction::Revoke) | None if purpose == ALL => {
                    if row.get_ref(2)?.as_str().is_ok_and(|source| source == STOP_WORD) {
                        let before = (said.all, std::mem::take(&mut said.lifted));
                        said.without_words.get_or_insert(before);
                    } else if let Some((all, lifted)) = &mut said.without_words {
                        *all = true;
                        lifted.clear();
                    }
                    said.all = true;
                    said.lifted.clear();
                }
                Some(LedgerAction::Revoke) | None => {
                    if let Some((_, lifted)) = &mut said.without_words {
                        lifted.remove(&purpose);
                    }
                    said.lifted.remove(&purpose);
                    said.purposes.insert(purpose);
                }
            }
        }
        Ok(said)
    }
}

/// Every number of a person, with the forms under which the platform may know it (should the aliases be lost, any of them is asked
/// for), and every user id.
pub(super) fn names_of(db: &Connection, person: i64) -> Result<BTreeSet<String>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT named_by('alias', value, rest), kind FROM alias WHERE person = ?1 AND kind IN (?2, ?3)",
    )?;
    let mut rows = query.query([person, DIGITS, USER])?;
    let mut all = BTreeSet::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        if row.get::<_, i64>(1)? == DIGITS {
            let forms = Number::of_digits(&name).map(|number| number.forms()).unwrap_or_default();
            all.extend(forms.iter().map(|form| form.digits().to_owned()));
        }
        all.insert(name);
    }
    Ok(all)
}

pub(super) fn purposes_of(db: &Connection, person: i64) -> Result<Vec<String>, StoreError> {
    let mut query = db.prepare_cached("SELECT DISTINCT purpose FROM ledger WHERE person = ?1 AND purpose <> 'all'")?;
    Ok(query.query_map([person], |row| row.get(0))?.collect::<Result<_, _>>()?)
}
