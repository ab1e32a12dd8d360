//! Commands on a store's file itself: what is damaged in it, and what can be read of it.
//!
//! Floor: roof. Writes nothing to the file.

use super::args::{Cli, Output};
use super::backend;
use super::failure::{Exit, Failure};
use super::{Commands, print_json, render, unwritten};
use crate::operate::StoreCheck;
use crate::outbox::{OpenError, Seal, offline};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The file that was named, or the configuration's.
pub fn path(file: Option<&Path>, cli: &Cli, commands: &impl Commands) -> Result<(PathBuf, Seal), Failure> {
    match file {
        Some(file) => Ok((file.to_owned(), seal(cli, commands))),
        None => {
            let outbox = commands.load(&cli.config, cli.board.as_deref())?.config.rooms.outbox;
            Ok((outbox.path, outbox.seal))
        }
    }
}

/// The configuration's key, for a file that was named: it may be this box's, and may be looked at where there is no configuration.
pub fn seal(cli: &Cli, commands: &impl Commands) -> Seal {
    let loaded = commands.load(&cli.config, cli.board.as_deref());
    loaded.map(|loaded| loaded.config.rooms.outbox.seal).unwrap_or_default()
}

/// Whether no daemon works on the configuration's store: then it is read as it lies, damaged or not.
pub fn is_unattended(cli: &Cli, commands: &impl Commands) -> Result<bool, Failure> {
    if cli.socket.is_some() {
        return Ok(false);
    }
    Ok(backend::is_unattended(&commands.load(&cli.config, cli.board.as_deref())?.config.operate.socket))
}

/// `branchline outbox check`
pub fn check((path, seal): (&Path, &Seal), output: Output, out: &mut impl Write) -> Result<(), Failure> {
    let report: StoreCheck = offline::check(path, seal).map_err(failure)?;
    if output.json {
        print_json(out, &report)?;
    } else {
        out.write_all(render::store(&report).as_bytes()).map_err(|error| unwritten(&error))?;
    }
    // Everything was written already.
    if report.wrong.is_empty() { Ok(()) } else { Err(Failure::new(Exit::No, "")) }
}

/// `branchline outbox export --file`
pub fn export((path, seal): (&Path, &Seal), all: bool, out: &mut impl Write) -> Result<(), Failure> {
    let done = offline::export(path, seal, all, &mut |row| line(out, &row)).map_err(failure)?;
    let missing = done.map_err(|error| unwritten(&error))?;
    if missing.is_empty() {
        return Ok(());
    }
    out.flush().map_err(|error| unwritten(&error))?;
    Err(Failure::new(Exit::No, format!("not everything could be read:\n{}", missing.join("\n"))))
}

/// One object on a line of its own.
pub fn line(out: &mut impl Write, row: &serde_json::Value) -> io::Result<()> {
    serde_json::to_writer(&mut *out, row)?;
    out.write_all(b"\n")
}

fn failure(error: OpenError) -> Failure {
    let text = match &error {
        OpenError::InUse(path) => format!(
            "a daemon works on {}: it checks the store by itself, see branchline status. To look at the file, stop the daemon",
            path.display()
        ),
        error => error.to_string(),
    };
    let exit = if matches!(error, OpenError::Key { .. }) { Exit::Config } else { Exit::Storage };
    Failure::new(exit, text)
}
