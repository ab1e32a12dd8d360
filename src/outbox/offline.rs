//! A store's file looked at from outside, damaged or not: `outbox check` and `outbox export --file`.
//!
//! Floor: rooms. Writes nothing: SQLite opens the file with all writing switched off, and nothing is played back into it.

use super::mark::Mark;
use super::open::{Evidence, beside, contradiction, is_there, read_box, suffixed};
use super::rows::Read;
use super::salvage::Old;
use super::stops::{Found, Stops};
use super::{OpenError, Seal, aside, check, export, pages, salvage, seal};
use crate::operate::StoreCheck;
use crate::operate::{EXPORTED, TableCheck};
use crate::time::BoxTime;
use serde_json::Value;
use std::fs::File;
use std::path::Path;

/// Lines of SQLite's own check that are worth reading.
const LINES: u32 = 50;

/// Everything that is wrong with a store that no daemon works on.
///
/// # Errors
/// It cannot be read, or not with this key.
pub fn check(path: &Path, seal: &Seal) -> Result<StoreCheck, OpenError> {
    let io = |why: std::io::Error| OpenError::File { path: path.to_owned(), why: why.to_string() };
    let lock = locked(path)?;
    let mut report = StoreCheck { file: path.display().to_string(), ..StoreCheck::default() };
    let file = File::open(path).map_err(io)?;
    report.bytes = file.metadata().map_err(io)?.len();
    drop(file);
    report.wrong.extend(pages::examine(path).map_err(io)?.map(|damage| damage.to_string()));
    if suffixed(path, "-journal").exists() {
        report.wrong.push("a rollback journal lies beside it, which no store of ours has".to_owned());
    }
    let (stops, list) = Stops::load(path)?;
    match list {
        Found::Intact => report.stops = Some(stops.len() as u64),
        Found::Damaged => {
            report.wrong.push("the list of who took consent back, or its key, is lost or damaged".to_owned())
        }
        Found::None => {}
    }
    let evidence =
        Evidence { mark: lock.as_ref().and_then(Mark::read), list: (list == Found::Intact).then_some(stops.commits) };
    match salvage::damaged(path, seal) {
        Old::Foreign => report.wrong.push("it is a database of another program".to_owned()),
        Old::Unreadable => report.wrong.push("SQLite cannot open it: no row can be read".to_owned()),
        Old::Store { db, broken } => {
            seal::judge(&db, seal, path)?;
            report.wrong.extend(broken);
            let mut now = BoxTime(i64::MAX);
            match read_box(&db) {
                Ok(row) => {
                    now = row.boxed;
                    report.wrong.extend(contradiction(&row, &evidence).map(|damage| damage.to_string()));
                }
                Err(error) => report.wrong.push(format!("table box: {error}")),
            }
            report.wrong.extend(check::integrity(&db, LINES).unwrap_or_else(|error| vec![error.to_string()]));
            report.wrong.extend(check::whole(&db, now));
            for table in salvage::tables() {
                let nothing = &mut |_: &[rusqlite::types::Value]| Ok::<bool, std::convert::Infallible>(true);
                let Ok(read) = table.read(&db, nothing);
                report.tables.push(TableCheck {
                    table: table.name.to_owned(),
                    rows: read.rows,
                    unreadable: read.unreadable,
                    gaps: read.gaps,
                });
            }
        }
    }
    let aside = aside::set_aside(path).map_err(io)?;
    report.aside = aside.into_iter().map(|(file, _)| file.display().to_string()).collect();
    Ok(report)
}

/// Every row that can be read of what `outbox export` gives: each to `each`. Returns what could not be read, in words.
pub fn export(
    path: &Path,
    seal: &Seal,
    all: bool,
    each: &mut impl FnMut(Value) -> std::io::Result<()>,
) -> Result<std::io::Result<Vec<String>>, OpenError> {
    let _lock = locked(path)?;
    File::open(path).map_err(|why| OpenError::File { path: path.to_owned(), why: why.to_string() })?;
    let Old::Store { db, .. } = salvage::damaged(path, seal) else {
        let why = "SQLite cannot open it: no row can be read".to_owned();
        return Err(OpenError::File { path: path.to_owned(), why });
    };
    seal::judge(&db, seal, path)?;
    let mut missing = Vec::new();
    for (table, people) in EXPORTED {
        if people && !all {
            continue;
        }
        match export::all(&db, table, each) {
            Err(error) => return Ok(Err(error)),
            Ok((read, nameless)) => {
                let Read { rows, unreadable, gaps } = read;
                if !read.is_whole() {
                    missing
                        .push(format!("{table}: {rows} rows read, {unreadable} unreadable, {gaps} damaged stretches"));
                }
                if nameless > 0 {
                    missing
                        .push(format!("{table}: of {nameless} rows nobody can say whose they are: the number is lost"));
                }
            }
        }
    }
    Ok(Ok(missing))
}

/// Keeps a daemon from opening it meanwhile. A file that was set aside has no lock, and gets none.
fn locked(path: &Path) -> Result<Option<File>, OpenError> {
    if !is_there(path) {
        return Err(OpenError::Absent(path.to_owned()));
    }
    if beside(path, "lock").exists() { super::open::lock(path).map(Some) } else { Ok(None) }
}
