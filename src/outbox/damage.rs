//! When the store is damaged: found at opening or while it works, set aside, salvaged, opened again, and told.
//!
//! Floor: rooms. The daemon never refuses to work for it, and never sends for it what it would not have sent.

use super::audit::KeyFile;
use super::mark::Mark;
use super::open::{self, Evidence, Opened, Trouble, leave_as_it_is};
use super::salvage::{self, Known, Old};
use super::seal::{self, Fits};
use super::stops::{Found, Stops};
use super::{
    LIFT_ALL, LOSS, OpenError, Outbox, Settings, StoreError, aside, duplicate, prints, schema, scrub, stopped,
};
use crate::message::Reason;
use crate::time::{BoxTime, Wall, millis};
use rusqlite::{Connection, params};
use std::fmt;
use std::fs::File;

/// What is wrong with a store, as far as it decides what is believed of the rest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Damage {
    /// The log is broken: the commits behind that place are gone.
    Log(String),
    /// The last commits are gone.
    CommitsGone(String),
    /// It is not the store that was here: whatever number its commits have, they are not ours.
    OtherStore(String),
    /// Pages, rows, the whole file.
    Content(String),
}

impl Damage {
    /// Whether commits are missing, and with them revocations or messages that left.
    pub fn hides_commits(&self) -> bool {
        !matches!(self, Damage::Content(_))
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Damage::Log(what) | Damage::CommitsGone(what) | Damage::OtherStore(what) | Damage::Content(what)) = self;
        f.write_str(what)
    }
}

/// Opens the store, or salvages it and opens what is left.
pub(super) fn open(settings: Settings, letters: u64, lock: File) -> Result<Outbox, OpenError> {
    let path = settings.path.clone();
    // One that cannot be removed is told when an erasure meets it; and nothing is wrong while a self-test works on it.
    let _ = duplicate::none_left(&path);
    open::finish_swap(&path)?;
    let forgotten = salvage::forget_unfinished(&path).and_then(|()| seal::forget_unfinished(&path));
    forgotten.map_err(|why| OpenError::File { path: path.clone(), why: why.to_string() })?;
    let mark = Mark::read(&lock);
    let (mut stops, mut list) = Stops::load(&path)?;
    let audit_key = KeyFile::load(&path)?;
    let evidence = Evidence { mark: mark.clone(), list: (list == Found::Intact).then_some(stops.commits) };
    let (mut salvaged, mut newly_sealed) = (false, false);
    let opened = match open::open(&settings, letters, &evidence) {
        Ok(opened) => match seal::judge(&opened.db, &settings.seal, &path) {
            Ok(Fits::Yes) => opened,
            Ok(Fits::Unsealed) => {
                seal::seal(opened.db, &settings.seal, &path)?;
                open::finish_swap(&path)?;
                newly_sealed = true;
                again(&settings, letters)?
            }
            Err(error) => {
                // Not even the log goes into the file.
                leave_as_it_is(&opened.db);
                return Err(error);
            }
        },
        Err(Trouble::Open(error)) => return Err(error),
        Err(Trouble::Damage(what)) => {
            // What is read with the wrong key would be taken for lost.
            if let Old::Store { db, .. } = salvage::damaged(&path, &settings.seal) {
                seal::judge(&db, &settings.seal, &path)?;
            }
            let known = Known::default();
            salvage::salvage(&settings, letters, &what, &evidence, (&mut stops, list), known)?;
            (list, salvaged) = (Found::Intact, true);
            again(&settings, letters)?
        }
    };
    if list == Found::None && mark.is_some() {
        // A store that had a list.
        list = Found::Damaged;
    }
    let ids = mark.map_or([0, 0], |mark| [mark.message, mark.attempt]);
    let mut outbox = Outbox::of(settings, opened, stops, audit_key, lock);
    (outbox.salvaged, outbox.newly_sealed) = (salvaged, newly_sealed);
    match outbox.settle_in(ids, list).map_err(|error| outbox.judged(error)) {
        Err(error) if error.is_damage() => {
            outbox.listed = list;
            outbox.salvage(&error.to_string(), letters)?;
        }
        done => done.map_err(|error| OpenError::Store { path, error })?,
    }
    Ok(outbox)
}

/// Opens a store that is whole, for who only looks; every other is left as it lies.
pub(super) fn look(settings: Settings, letters: u64, lock: File) -> Result<Outbox, OpenError> {
    let path = settings.path.clone();
    let left = |what: &str| Err(OpenError::Left { path: path.clone(), what: what.to_owned() });
    if open::is_swapping(&path).map_err(|why| OpenError::File { path: path.clone(), why: why.to_string() })? {
        return left(
            "the daemon was stopped while it put another file into its place, and goes on with it when it starts",
        );
    }
    let (stops, list) = Stops::load(&path)?;
    let commits = (list == Found::Intact).then_some(stops.commits);
    let opened = match open::open(&settings, letters, &Evidence { mark: Mark::read(&lock), list: commits }) {
        Ok(opened) => opened,
        Err(Trouble::Open(error)) => return Err(error),
        Err(Trouble::Damage(what)) => return left(&what.to_string()),
    };
    if seal::judge(&opened.db, &settings.seal, &path)? == Fits::Unsealed {
        let why = "it is not encrypted yet; the daemon does that when it starts".to_owned();
        return Err(OpenError::File { path, why });
    }
    if list != Found::Intact {
        return left("the list of who took consent back, or its key, is lost or damaged");
    }
    let Some(audit_key) = KeyFile::find(&path)? else { return left("the key of the audit record is lost") };
    let mut outbox = Outbox::of(settings, opened, stops, audit_key, lock);
    match outbox.forget_caches() {
        Ok(()) => Ok(outbox),
        Err(error) if error.is_damage() => left(&error.to_string()),
        Err(error) => Err(OpenError::Store { path: path.clone(), error }),
    }
}

/// What was salvaged is whole; what is older than the traces beside it is that on purpose.
fn again(settings: &Settings, letters: u64) -> Result<Opened, OpenError> {
    open::open(settings, letters, &Evidence::default()).map_err(|trouble| match trouble {
        Trouble::Open(error) => error,
        Trouble::Damage(why) => OpenError::File { path: settings.path.clone(), why: why.to_string() },
    })
}

impl Outbox {
    fn of(settings: Settings, opened: Opened, stops: Stops, audit_key: KeyFile, lock: File) -> Outbox {
        let Opened { db, row, sender } = opened;
        let scrub_due = scrub::marker(&settings.path).exists();
        Outbox {
            db,
            settings,
            sender,
            writing: false,
            displaceable: Vec::new(),
            displaceable_rank: 0,
            next_receipt: 0,
            adds_receipts: false,
            next_repeat: 0,
            turns: super::turns::Turns::default(),
            surely_fit: 0,
            forgettable: Vec::new(),
            more_forgettable: true,
            people_looked_at: 0,
            attached: true,
            stops,
            last_message: 0,
            last_attempt: 0,
            receipt_floor: 0,
            listed: Found::Intact,
            checked: super::check::Progress::default(),
            found_sound: None,
            listed_again: None,
            newly_sealed: false,
            salvaged: false,
            scrub_due,
            worn: row.worn,
            acted: Vec::new(),
            audit_key,
            audit_looked: BoxTime(i64::MIN),
            row,
            #[cfg(test)]
            fault: super::Fault::default(),
            lock,
        }
    }

    /// After opening: the list of stops where it is not there, and the mark.
    fn settle_in(&mut self, ids: [i64; 2], list: Found) -> Result<(), StoreError> {
        let highest = |db: &Connection, table: &str| -> Result<i64, StoreError> {
            let found: Option<i64> = db.query_row(&format!("SELECT max(id) FROM {table}"), [], |row| row.get(0))?;
            Ok(found.unwrap_or(0))
        };
        self.last_message = highest(&self.db, "message")?.max(ids[0]);
        self.last_attempt = highest(&self.db, "attempt")?.max(ids[1]);
        if list != Found::Intact {
            let written = |error: std::io::Error| StoreError::of_file(&error);
            self.stops.renew().map_err(written)?;
            // Before the list is there: a crash in between begins again.
            let tx = self.db.unchecked_transaction()?;
            prints::again(&tx, &self.stops)?;
            tx.commit()?;
            stopped::list_all(&self.db, &mut self.stops, true)?;
            self.stops.absorb();
            // The power went between a salvage and its list.
            self.stops.incomplete = salvage::holds_all(&self.db)?;
            self.stops.write(self.row.commits).map_err(written)?;
            self.listed_again = (list == Found::Damaged).then(|| self.stops.len());
            if list == Found::Damaged && self.was_salvaged()? {
                self.hold_without_list()?;
            }
        }
        self.forget_caches()?;
        self.mark();
        Ok(())
    }

    /// Whether this store has lost lines before: then the list knew what the ledger does not.
    fn was_salvaged(&self) -> Result<bool, StoreError> {
        let sql =
            "SELECT EXISTS (SELECT 1 FROM message WHERE reason = ?1) OR EXISTS (SELECT 1 FROM hold WHERE key = ?2)";
        let told = self.db.query_row(sql, params![Reason::StoreDamaged.code(), LOSS], |row| row.get(0))?;
        Ok(told || !aside::set_aside(&self.settings.path).map_err(|error| StoreError::of_file(&error))?.is_empty())
    }

    /// Nobody knows who said no: as after a loss, and strictly. What a hold that stands already says is kept.
    fn hold_without_list(&self) -> Result<(), StoreError> {
        let note = format!(
            "the list of who took consent back is lost, after an earlier damage whose lost lines only it knew; {} stops on \
             the list, WHICH MAY LACK SOME: import the ledger before anything is released",
            self.stops.len()
        );
        salvage::hold(&self.db, LIFT_ALL, &note)
    }

    /// After a commit: what it was.
    pub(super) fn mark(&self) {
        let version = schema::STEPS.len() as i64;
        Mark::of(&self.row, version, self.last_message, self.last_attempt).write(&self.lock);
    }

    /// The store turned out to be damaged while it was open: it is set aside, salvaged and opened again. Returns whether the
    /// commit that was in doubt, if one was, is in what was found.
    pub fn salvage(&mut self, what: &str, letters: u64) -> Result<bool, OpenError> {
        if self.settings.only_looks {
            leave_as_it_is(&self.db);
            return Err(OpenError::Left { path: self.settings.path.clone(), what: what.to_owned() });
        }
        let list = (self.listed == Found::Intact).then_some(self.stops.commits);
        let evidence = Evidence { mark: Mark::read(&self.lock), list };
        let known = Known {
            commits: self.row.commits,
            boxed: self.row.boxed.0,
            message: self.last_message,
            attempt: self.last_attempt,
            receipt: self.next_receipt,
            audit: self.row.audit,
        };
        self.stops.taken_back();
        self.audited(false);
        if self.attached {
            leave_as_it_is(&self.db);
        }
        self.receipt_floor = self.next_receipt;
        self.checked = super::check::Progress::default();
        self.detach()?;
        open::finish_swap(&self.settings.path)?;
        // If it fails, a list that it began to make anew is still no list to believe.
        let found = (&mut self.stops, self.listed);
        let happened =
            salvage::salvage(&self.settings, letters, &Damage::Content(what.to_owned()), &evidence, found, known)?;
        (self.listed, self.salvaged) = (Found::Intact, true);
        let Opened { db, row, sender } = again(&self.settings, letters)?;
        (self.db, self.row, self.sender, self.attached) = (db, row, sender, true);
        let path = self.settings.path.clone();
        self.settle_in([known.message, known.attempt], Found::Intact)
            .map_err(|error| OpenError::Store { path, error })?;
        Ok(happened)
    }

    /// The list as an earlier version would have made it.
    #[cfg(test)]
    pub(crate) fn forget_incomplete(&mut self) {
        self.stops.incomplete = false;
    }

    /// What SQLite takes and we never write: everybody's aliases and lanes.
    #[cfg(test)]
    pub(crate) fn break_rows(&self) -> rusqlite::Result<()> {
        self.db.execute_batch(
            "UPDATE lane SET pair_started = 'x', pair_last = x'00';
             INSERT INTO alias SELECT '55' || value, 0, 'nobody', rest FROM alias LIMIT 1;
             UPDATE alias SET person = 'x';",
        )
    }

    /// The line that a salvage leaves in the outbox gets a time where the store had none left: rooms read no clock.
    pub fn date_loss(&mut self, now: Wall) -> Result<(), StoreError> {
        let sql = "UPDATE message SET arrived_wall = ?1, changed_wall = ?1 WHERE arrived_wall = 0 AND reason = ?2";
        self.write()?.execute(sql, params![now.0, Reason::StoreDamaged.code()])?;
        Ok(())
    }

    /// An operator accepts a loss: with the next commit the list of stops counts as whole again.
    pub fn accept_stops(&mut self) {
        self.stops.accept();
    }

    /// Whether the store was salvaged since the last call.
    pub fn take_salvaged(&mut self) -> bool {
        std::mem::take(&mut self.salvaged)
    }

    /// How many entries the list of stops got when it had to be made again; told once.
    pub fn listed_again(&mut self) -> Option<usize> {
        self.listed_again.take()
    }

    /// Whether the store was encrypted at this start; told once. With the files that were set aside before, and are not.
    pub fn newly_sealed(&mut self) -> Result<Option<usize>, StoreError> {
        if !std::mem::take(&mut self.newly_sealed) {
            return Ok(None);
        }
        let aside = aside::set_aside(&self.settings.path).map_err(|error| StoreError::of_file(&error))?;
        Ok(Some(aside.len()))
    }

    /// Deletes stores that were set aside longer ago than settled messages are kept.
    pub(super) fn forget_aside(&self, now: BoxTime) -> Result<usize, StoreError> {
        let before = BoxTime(now.0 - millis(self.settings.keep_settled));
        aside::forget(&self.settings.path, before).map_err(|error| StoreError::of_file(&error))
    }
}
