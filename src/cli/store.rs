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

/// A store's file, and what opens it.
pub struct File {
    path: PathBuf,
    seal: Seal,
    /// Why the configuration, which names the key, could not be read.
    unread: Option<String>,
}

/// The file that was named, or the configuration's. One that was named may be this box's, and may be looked at where there is no
/// configuration: its key is tried if it can be had.
pub fn file(named: Option<&Path>, cli: &Cli, commands: &impl Commands) -> Result<File, Failure> {
    let outbox = commands.load(&cli.config, cli.board.as_deref()).map(|loaded| loaded.config.rooms.outbox);
    match (named, outbox) {
        (None, outbox) => outbox.map(|outbox| File { path: outbox.path, seal: outbox.seal, unread: None }),
        (Some(path), Ok(outbox)) => Ok(File { path: path.to_owned(), seal: outbox.seal, unread: None }),
        (Some(path), Err(why)) => Ok(File { path: path.to_owned(), seal: Seal::default(), unread: Some(why.text) }),
    }
}

/// Whether no daemon works on the configuration's store: then it is read as it lies, damaged or not.
pub fn is_unattended(cli: &Cli, commands: &impl Commands) -> Result<bool, Failure> {
    if cli.socket.is_some() {
        return Ok(false);
    }
    Ok(backend::is_unattended(&commands.load(&cli.config, cli.board.as_deref())?.config.operate.socket))
}

/// `branchline outbox check`
pub fn check(file: &File, output: Output, out: &mut impl Write) -> Result<(), Failure> {
    let report: StoreCheck = offline::check(&file.path, &file.seal).map_err(|error| file.failure(error))?;
    if output.json {
        print_json(out, &report)?;
    } else {
        out.write_all(render::store(&report).as_bytes()).map_err(|error| unwritten(&error))?;
    }
    // Everything was written already.
    if report.wrong.is_empty() { Ok(()) } else { Err(Failure::new(Exit::No, "")) }
}

/// `branchline outbox export --file`
pub fn export(file: &File, all: bool, out: &mut impl Write) -> Result<(), Failure> {
    let done = offline::export(&file.path, &file.seal, all, &mut |row| line(out, &row));
    let done = done.map_err(|error| file.failure(error))?;
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

impl File {
    fn failure(&self, error: OpenError) -> Failure {
        let text = match (&error, &self.unread) {
            (OpenError::Key { .. }, Some(why)) => format!(
                "the numbers and texts of {} are encrypted, and the configuration, which names the key (outbox.key_file), cannot be \
                 read, so that nobody knows it here: mend that, or name another with --config; {why}",
                self.path.display()
            ),
            _ => plain(&error),
        };
        let exit = if matches!(error, OpenError::Key { .. }) { Exit::Config } else { Exit::Storage };
        Failure::new(exit, text)
    }
}

fn plain(error: &OpenError) -> String {
    match error {
        OpenError::InUse(path) => format!(
            "a daemon works on {}: it checks the store by itself, see branchline status. To look at the file, stop the daemon",
            path.display()
        ),
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Found by reading: with a broken configuration it was said that no key is set.
    #[test]
    fn of_an_encrypted_file_beside_a_broken_configuration_what_is_true_is_said() {
        let said = |unread: Option<&str>| {
            let path = PathBuf::from("old.db");
            let file = File { path: path.clone(), seal: Seal::default(), unread: unread.map(str::to_owned) };
            file.failure(OpenError::Key { path, why: "outbox.key_file is not set".to_owned() })
        };
        let failure = said(Some("the configuration has problems:\nx.toml:3: branch.id: is empty"));
        assert_eq!(failure.exit, Exit::Config);
        assert!(!failure.text.contains("not set") && failure.text.contains("x.toml:3"), "{}", failure.text);
        assert!(said(None).text.contains("not set"));
    }
}
