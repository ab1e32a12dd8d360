//! Salvage: a new store from what can be read of a damaged one, row by row; the old one is set aside.
//!
//! Floor: rooms. Decides on the strict side: whatever cannot be proved unsent may have been sent, whoever may have said no has
//! said no, and all of it is held (`LOSS`) until an operator accepts what is lost.
//!
//! ```text
//!   damaged store, read only ─► outbox.db.salvaging ─► synced, salvaged-damaged-N ─► the store aside, this in its place
//! ```
//!
//! Until the last arrow the damaged store lies where it was: a crash begins again. From there on `finish_swap` ends it.

mod copy;
mod mend;
mod old;
mod report;

use super::damage::Damage;
use super::open::{Evidence, beside, folder, free_space, remove, suffixed, sync_folder};
use super::rows::Table;
use super::stops::{Found, Stops};
use super::{OpenError, PAGE, Settings, StoreError, aside, prints, schema, stopped, tables};
use crate::message::{Anchor, Reason};
use crate::time::BoxTime;
use copy::Work;
pub(super) use old::{Old, damaged};
use report::Salvage;
use rusqlite::{Connection, params};
use std::path::Path;

/// The key of the hold that a loss leaves behind.
pub const LOSS: &str = "loss";
/// `lift` of that hold where it stops everything, alarms to the own contacts included: it is not known who said no.
pub const LIFT_ALL: &str = "operator:all";
/// `lift` of that hold where critical messages to configured contacts pass.
pub const LIFT: &str = "operator";

/// No wait that this version sets on a person is longer (`policy.undeliverable` and the platform's own): a year.
const YEAR: i64 = 365 * 86_400_000;

/// What this process knows beyond the files.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Known {
    pub commits: i64,
    pub boxed: i64,
    pub message: i64,
    pub attempt: i64,
    pub receipt: i64,
    pub audit: Anchor,
}

/// How much of the old store there is room for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Extent {
    Everything,
    /// What protects people: who they are, what they said, what they were sent lately, what is held. No messages.
    People,
    /// An empty store: who said no stands on the list of stops alone.
    Nothing,
}

impl Extent {
    fn takes(self, table: &Table) -> bool {
        match self {
            Extent::Everything => true,
            Extent::People => ["sender", "person", "alias", "ledger", "lane", "hold"].contains(&table.name),
            Extent::Nothing => false,
        }
    }
}

/// Why a salvage did not succeed: no room, or anything else.
enum Stopped {
    Full(OpenError),
    Else(OpenError),
}

/// Makes a new store of what can be read and puts it into the old one's place; of less where there is no room for all. Nothing
/// half-made stays behind. Returns whether the store that was read had seen the commit `known.commits + 1`.
pub(super) fn salvage(
    settings: &Settings,
    letters: u64,
    what: &Damage,
    evidence: &Evidence,
    (stops, list): (&mut Stops, Found),
    known: Known,
) -> Result<bool, OpenError> {
    let path = &settings.path;
    let io = |why: std::io::Error| OpenError::File { path: path.clone(), why: why.to_string() };
    forget_unfinished(path).map_err(io)?;
    // Room for it: whatever was set aside before is of less use now.
    if let (Ok(stat), Ok(free)) = (std::fs::metadata(path), free_space(folder(path)))
        && free < stat.len() + (1 << 20)
    {
        aside::forget(path, BoxTime(i64::MAX)).map_err(io)?;
    }
    let mut make = |extent| {
        let made = make(settings, letters, (what, extent), evidence, (&mut *stops, list), known);
        // What is left of it would fill the disk anew at every start. It failed already, and that is what is told.
        if made.is_err() {
            let _ = forget_unfinished(path);
        }
        made
    };
    let mut made = make(Extent::Everything);
    for extent in [Extent::People, Extent::Nothing] {
        if let Err(Stopped::Full(_)) = made {
            made = make(extent);
        }
    }
    let (happened, commits) = match made {
        Ok(made) => made,
        Err(Stopped::Full(error) | Stopped::Else(error)) => return Err(error),
    };
    super::open::finish_swap(path)?;
    // What cannot be written now is with the next commit. Until then nobody believes the list that lies there, or it is the old
    // one, beside a ledger that knows the rest.
    if list != Found::Intact {
        let _ = stops.write(commits);
    }
    Ok(happened)
}

/// Deletes what an earlier salvage, or this one, began and did not finish.
pub(super) fn forget_unfinished(path: &Path) -> std::io::Result<()> {
    let new = beside(path, "salvaging");
    ["", "-wal", "-journal"].iter().try_for_each(|part| remove(&suffixed(&new, part)))
}

/// A finished new store, synced, under the name from which the swap goes on: whether the commit in doubt is in it, and its number
/// of commits.
fn make(
    settings: &Settings,
    letters: u64,
    (what, extent): (&Damage, Extent),
    evidence: &Evidence,
    (stops, list): (&mut Stops, Found),
    known: Known,
) -> Result<(bool, i64), Stopped> {
    let path = &settings.path;
    let failed = |error: StoreError| {
        let full = matches!(error, StoreError::Full(_));
        let error = OpenError::Store { path: path.clone(), error };
        if full { Stopped::Full(error) } else { Stopped::Else(error) }
    };
    let io = |why: std::io::Error| {
        let full = matches!(StoreError::of_file(&why), StoreError::Full(_));
        let error = OpenError::File { path: path.clone(), why: why.to_string() };
        if full { Stopped::Full(error) } else { Stopped::Else(error) }
    };
    let new = beside(path, "salvaging");
    let (old, foreign) = match damaged(path, &settings.seal) {
        Old::Store { db, .. } => (Some(db), false),
        other => (None, matches!(other, Old::Foreign)),
    };
    let db = fresh(&new).map_err(failed)?;
    settings.seal.teach(&db).map_err(|error| failed(error.into()))?;
    #[cfg(test)]
    super::power::step().map_err(io)?;
    let mut work = Work {
        old: old.as_ref(),
        new: &db,
        done: Salvage { what: what.to_string(), ..Salvage::default() },
        held_all: false,
        reached_known: false,
        hides_commits: what.hides_commits(),
        extent,
    };
    let happened = work.copy(settings, letters, evidence, known).map_err(failed)?;
    #[cfg(test)]
    super::power::step().map_err(io)?;
    let complete = work.knows_all_stops() && old.is_some();
    let commits: i64 = db.query_row("SELECT commits FROM box", [], |row| row.get(0)).map_err(|e| failed(e.into()))?;
    // Commits that are gone may have held a revocation, which is on the list; without the list nobody knows.
    let commits_lost = what.hides_commits() || evidence.mark.is_none();
    // Nor does a later salvage know what an earlier one did not, before somebody has accepted that.
    let whole = if list == Found::Intact { !stops.incomplete } else { complete && !commits_lost };
    work.done.stops_known = whole && !work.held_all;
    stops.incomplete = !work.done.stops_known;
    if list == Found::Intact {
        stops.taken_back();
        stops.keep_lifted(&stopped::lifted(&db).map_err(failed)?);
    } else {
        stops.renew().map_err(io)?;
        prints::again(&db, stops).map_err(failed)?;
    }
    #[cfg(test)]
    super::power::step().map_err(io)?;
    stopped::list_all(&db, stops, list != Found::Intact).map_err(failed)?;
    stops.absorb();
    // A list that is made anew from what is left would be believed by a salvage that begins again: it follows the swap, and with
    // it the hold that says that nobody knows.
    if list == Found::Intact {
        // Without room for it the file is milder than the memory, and the new store's ledger as strict as that.
        let written = stops.write(commits);
        written.or_else(|why| if extent == Extent::Nothing { Ok(()) } else { Err(why) }).map_err(io)?;
    }
    #[cfg(test)]
    super::power::step().map_err(io)?;
    work.done.stops = stops.len();
    let boxed: i64 = db.query_row("SELECT boxed FROM box", [], |row| row.get(0)).map_err(|e| failed(e.into()))?;
    let finished = aside::salvaged(path, BoxTime(boxed), foreign);
    let aside = finished.to_string_lossy().replacen(".salvaged-", ".", 1);
    work.done.aside = Path::new(&aside).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    work.hold().map_err(failed)?;
    #[cfg(test)]
    super::power::step().map_err(io)?;
    // As every store: the head says that there is a log.
    db.execute_batch("COMMIT; PRAGMA journal_mode = WAL;").map_err(|e| failed(e.into()))?;
    #[cfg(test)]
    super::power::step().map_err(io)?;
    drop(old);
    db.close().map_err(|(_, error)| failed(error.into()))?;
    std::fs::File::open(&new).and_then(|file| file.sync_all()).map_err(io)?;
    #[cfg(test)]
    super::power::step().map_err(io)?;
    std::fs::rename(&new, &finished).and_then(|()| sync_folder(path)).map_err(io)?;
    Ok((happened, commits))
}

/// Whether a store holds everything because nobody knows who said no.
pub(super) fn holds_all(db: &Connection) -> Result<bool, StoreError> {
    let question = "SELECT EXISTS (SELECT 1 FROM hold WHERE key = ?1 AND lift = ?2)";
    Ok(db.query_row(question, [LOSS, LIFT_ALL], |row| row.get(0))?)
}

/// Every table.
pub(super) fn tables() -> [&'static Table; 15] {
    use tables::*;
    [
        &BOX, &SENDER, &PERSON, &ALIAS[0], &LANE, &LEDGER, &MESSAGE, &CONTENT, &ATTEMPT, &RECEIPT, &HOLD, &HEALTH,
        &HEARD, &REPEAT, &AUDIT,
    ]
}

pub(super) fn fresh(path: &Path) -> Result<Connection, StoreError> {
    let db = Connection::open(path)?;
    #[cfg(test)]
    db.execute_batch(&format!("PRAGMA max_page_count = {}", super::power::pages()))?;
    // Nobody reads it before it is whole and synced.
    db.execute_batch(&format!(
        "PRAGMA locking_mode = EXCLUSIVE; PRAGMA page_size = {PAGE}; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
         PRAGMA cache_size = -512; PRAGMA temp_store = MEMORY; PRAGMA application_id = {};",
        schema::APPLICATION
    ))?;
    for step in schema::STEPS {
        db.execute_batch(step)?;
    }
    db.execute_batch(&format!("PRAGMA user_version = {}; BEGIN;", schema::STEPS.len()))?;
    Ok(db)
}

impl Work<'_> {
    /// Everything is held from the first moment on. The strike says that the limits are still to be counted as spent.
    fn hold(&self) -> Result<(), StoreError> {
        hold(self.new, if self.done.stops_known { LIFT } else { LIFT_ALL }, &self.done.to_string())?;
        if !self.reached_known {
            self.new.execute("UPDATE hold SET strikes = ?1 WHERE key = ?2", params![REACHED_UNKNOWN, LOSS])?;
        }
        Ok(())
    }
}

/// `strikes` of the hold of a loss, until it is told: nobody knows whom the last day reached.
pub const REACHED_UNKNOWN: u32 = 2;

/// Sets the hold of a loss. Where one stands already with another lift it gets this one, and what it says is kept.
pub(super) fn hold(db: &Connection, lift: &str, note: &str) -> Result<(), StoreError> {
    db.execute(
        "INSERT INTO hold (key, reason, since, since_wall, until, strikes, lift, note, loud)
         SELECT ?1, ?2, boxed, wall, NULL, 1, ?3, ?4, 1 FROM box WHERE true
         ON CONFLICT (key) DO UPDATE SET lift = excluded.lift, note = note || '; ' || excluded.note
         WHERE lift <> excluded.lift",
        params![LOSS, Reason::StoreDamaged.code(), lift, note],
    )?;
    Ok(())
}
