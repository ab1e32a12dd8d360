//! `branchline stick`: takes over the configuration of a stick at the start of the box, without anybody logging in.
//!
//! Floor: roof. Changes the configuration as a whole or not at all, and never without the check; a stick that is none of ours
//! changes nothing and is not written to.
//!
//! ```text
//! find ─► signed? (a box that is set up) ─► names ─► beside the configuration: a copy of it, and the stick's files over that
//!      ─► check, as the daemon's user too, check --online ─► both folders change places ─► secrets wiped from the stick, RESULT.txt
//! ```

mod lights;
mod names;
mod words;

use super::check;
use super::failure::{Exit, Failure};
use super::house::runtime;
use super::unwritten;
use crate::app;
use crate::config::{self, Loaded};
use crate::door::clock::SystemClock;
use crate::door::stick::{self, Refusal, Stick};
use clap::Args;
use lights::Shown;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// For so long the lights say that a stick was refused, before the daemon takes them.
const SHOWN: Duration = Duration::from_secs(10);
/// The same where no daemon will: the box is not set up, and who waits beside it has nothing else to look at.
const SHOWN_ALONE: Duration = Duration::from_secs(45);
/// For so long broker and platform are asked again if they are not reached: a box has started before its network has an address.
/// With the last check's minute and the lights it is within the three minutes that boards/trial gives.
const NETWORK: Duration = Duration::from_secs(60);
/// Between two such tries.
const AGAIN: Duration = Duration::from_secs(3);
/// Beside the configuration: what was on the stick that was taken over last. One that cannot be wiped is taken over once, too.
const TAKEN: &str = ".stick";
/// Where the kernel shows lights.
const LEDS: &str = "/sys/class/leds";

/// `branchline stick`
#[derive(Args, Clone, Debug)]
pub struct FromStick {
    /// Where a stick is mounted, once for each; without, every mounted FAT file system.
    #[arg(long, value_name = "DIR")]
    pub from: Vec<PathBuf>,
}

/// Takes over the first stick that there is.
pub(super) fn run(file: &Path, board: Option<&str>, from: FromStick, out: &mut dyn Write) -> Result<(), Failure> {
    recover(file)?;
    let places = if from.from.is_empty() { stick::mounted() } else { from.from };
    let before = is_set_up(file).map(|yes| yes.then(|| config::load(file, board, &app::environment()).ok()));
    let mut found = None;
    for place in &places {
        match Stick::find(place) {
            None => continue,
            // A power cut came before it was wiped, or it cannot be written to. Another one may lie beside it.
            Some(Ok(stick)) if is_taken(&stick, file) => {
                if let Ok(Some(Some(before))) = &before {
                    clear(&stick, &before.config.rooms.branch);
                }
                say(out, &format!("{}: it was taken over before\n", stick.folder().display()))?;
            }
            Some(other) => {
                found = Some(other);
                break;
            }
        }
    }
    let Some(found) = found else {
        return Ok(());
    };
    let shown = if matches!(before, Ok(None)) { SHOWN_ALONE } else { SHOWN };
    // By the board alone: a box that is not set up has lights too.
    let facts = board.and_then(|name| config::board(file, name));
    let lights = facts.and_then(|board| Shown::start(board.lights, Path::new(LEDS)));
    let (folder, ended) = match found {
        Err((folder, why)) => (folder, Err(why.to_string())),
        Ok(stick) => {
            let ended = before.and_then(|before| import(&stick, file, board, before.as_ref().map(Option::as_ref)));
            (stick.folder().to_owned(), ended)
        }
    };
    let told = match &ended {
        Ok(branch) => format!("{}: taken over, for branch {branch}\n", folder.display()),
        Err(why) => {
            // A stick that cannot be written to is refused all the same.
            let _ = stick::tell(&folder, &words::refused(why));
            format!("{}: refused, and nothing was changed: {why}\n", folder.display())
        }
    };
    say(out, &told)?;
    match ended {
        Ok(_) => Ok(()),
        Err(_) => {
            lights.inspect(|lights| lights.refused(shown));
            Err(Failure::new(Exit::No, ""))
        }
    }
}

fn say(out: &mut dyn Write, text: &str) -> Result<(), Failure> {
    out.write_all(text.as_bytes()).map_err(|error| unwritten(&error))
}

/// Whether there is a configuration, sound or not: then head office's signature counts. What it leads to may be gone, or its disk not
/// be there today: that makes no new box of it.
///
/// # Errors
/// It cannot be found out, for people.
fn is_set_up(file: &Path) -> Result<bool, String> {
    let here = folder_of(file);
    let unknown = |path: &Path, error: io::Error| {
        format!(
            "whether this box is set up is not known, for {} cannot be looked at ({error}): no stick is read before that is put right",
            path.display()
        )
    };
    let above = here.parent().unwrap_or(Path::new("/"));
    fs::metadata(above).map_err(|error| unknown(above, error))?;
    match fs::symlink_metadata(file) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(unknown(file, error)),
    }
}

fn is_taken(stick: &Stick, file: &Path) -> bool {
    fs::read_to_string(folder_of(file).join(TAKEN)).is_ok_and(|list| stick.holds_only(&list))
}

/// It is in force, whatever the stick takes.
fn clear(stick: &Stick, branch: &str) {
    let wiped = stick.wipe();
    let text = words::taken(branch, wiped.is_err());
    if let Err(error) = stick.taken(&text).and(wiped) {
        tracing::debug!("the stick was not written to: {error}");
    }
}

/// The name of the branch; or why it is refused, for people. `before` is the configuration in force, as far as it can be read:
/// `None` where the box is not set up.
fn import(stick: &Stick, file: &Path, board: Option<&str>, before: Option<Option<&Loaded>>) -> Result<String, String> {
    if let Some(before) = before {
        let before = before.ok_or(
            "this box is set up, and what is wrong with its configuration (branchline check says it) hides whose signature counts: \
             put that right by hand",
        )?;
        stick.verify(before.config.stick.as_ref()).map_err(|why: Refusal| why.to_string())?;
    }
    let here = folder_of(file);
    let environment = app::environment();
    let credentials = environment.iter().find(|(name, _)| name == "CREDENTIALS_DIRECTORY");
    names::judge(stick, &here, credentials.map(|(_, folder)| Path::new(folder)))?;
    let mut staging = Staging::new(&here).map_err(|error| format!("{} cannot be copied: {error}", here.display()))?;
    let io = |error: io::Error| format!("the stick's files cannot be copied beside {}: {error}", here.display());
    let own = Path::new(file.file_name().unwrap_or_default());
    for (name, content, secret) in stick.files() {
        let name = if name == "branchline.toml" { own } else { Path::new(name) };
        staging.put(name, content, secret).map_err(io)?;
    }
    staging.put(Path::new(TAKEN), stick.list().as_bytes(), false).map_err(io)?;
    let staged = staging.folder.join(own);
    let problems = |problems: Vec<config::Problem>| {
        let lines: Vec<String> = problems.iter().map(|problem| short(&problem.to_string(), &staging.folder)).collect();
        lines.join("\n")
    };
    let loaded = config::load(&staged, board, &environment).map_err(problems)?;
    let branch = loaded.config.rooms.branch.clone();
    if let Some(Some(before)) = before
        && before.config.rooms.branch != branch
    {
        return Err(format!("it is for branch {branch}, and this box is branch {}", before.config.rooms.branch));
    }
    let store = loaded.config.rooms.outbox.path.clone();
    if let Some(daemon) = staging.belongs_to(&store).map_err(io)? {
        try_as(&daemon, &staged, board).map_err(|why| short(&why, &staging.folder))?;
    }
    let mut lines = Vec::new();
    let runtime = runtime().map_err(|failure| failure.text)?;
    let (loaded, clock) = (Ok(loaded), SystemClock::start(None));
    let began = clock.now().mono;
    let tried = runtime.block_on(async {
        loop {
            lines.clear();
            match check::online(&loaded, false, &mut lines).await {
                Err(failure) if failure.exit == Exit::Unavailable && clock.now().mono.since(began) < NETWORK => {
                    tokio::time::sleep(AGAIN).await;
                }
                tried => break tried,
            }
        }
    });
    runtime.shutdown_background();
    tried.map_err(|_| short(&String::from_utf8_lossy(&lines), &staging.folder))?;
    staging.take_over(&here).map_err(|error| unmoved(&here, &error))?;
    clear(stick, &branch);
    Ok(branch)
}

fn unmoved(here: &Path, error: &io::Error) -> String {
    let fix = match error.kind() {
        // An overlay whose lower layer has the folder; a mount of its own.
        io::ErrorKind::CrossesDevices | io::ErrorKind::ResourceBusy => {
            ". It is part of the system's image, or mounted by itself: make it a link to a folder on the disk that has the data"
        }
        _ => "",
    };
    format!("{} cannot be exchanged as a whole: {error}{fix}", here.display())
}

/// What root reads, the daemon may not: a folder above it, or a file that was there before. Tried by `branchline check` as that user.
fn try_as(daemon: &fs::Metadata, staged: &Path, board: Option<&str>) -> Result<(), String> {
    if daemon.uid() == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    // By no path, for what leads to the program may be closed to that user too.
    let mut check = Command::new("/proc/self/exe");
    check.uid(daemon.uid()).gid(daemon.gid()).arg("check").arg("--config").arg(staged);
    check.args(board.iter().flat_map(|board| ["--board", board]));
    let who = format!("the daemon's user (number {}, whose the store's folder is)", daemon.uid());
    let output = check.output().map_err(|error| format!("it cannot be checked as {who}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{who} cannot use it:\n{}", String::from_utf8_lossy(&output.stdout)))
}

/// Without the folder that nobody knows.
fn short(text: &str, staging: &Path) -> String {
    text.replace(&format!("{}/", staging.display()), "")
}

fn folder_of(file: &Path) -> PathBuf {
    let whole = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let folder = whole.parent().unwrap_or(Path::new("/"));
    // Where it really is, or will be: a folder changes places with one beside it, and not with a link.
    let led = fs::read_link(folder).map(|to| folder.parent().unwrap_or(Path::new("/")).join(to));
    let folder = led.unwrap_or_else(|_| folder.to_owned());
    fs::canonicalize(&folder).unwrap_or(folder)
}

fn beside(folder: &Path, ending: &str) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// What a power cut left: the folder that was in force is back before anything else is looked at. It can be gone where the file system
/// exchanges nothing in one step (`in_two_steps`).
fn recover(file: &Path) -> Result<(), Failure> {
    let here = folder_of(file);
    let (staging, before) = (beside(&here, ".stick"), beside(&here, ".before"));
    let failed = |error: io::Error| Failure::new(Exit::Config, format!("{} cannot be mended: {error}", here.display()));
    if !here.try_exists().map_err(failed)? && before.try_exists().map_err(failed)? {
        fs::rename(&before, &here).map_err(failed)?;
    }
    match fs::remove_dir_all(staging) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
        _ => Ok(()),
    }
}

/// A folder beside the configuration's, gone when dropped.
struct Staging {
    folder: PathBuf,
    /// What was put into it, and whether that is a secret.
    made: Vec<(PathBuf, bool)>,
}

impl Staging {
    /// A copy of the configuration in force.
    fn new(here: &Path) -> io::Result<Staging> {
        let mut staging = Staging { folder: beside(here, ".stick"), made: Vec::new() };
        if here.try_exists()? {
            fs::create_dir_all(&staging.folder)?;
            copy(here, &staging.folder)?;
        } else {
            staging.make_folder(staging.folder.clone())?;
        }
        Ok(staging)
    }

    fn make_folder(&mut self, folder: PathBuf) -> io::Result<()> {
        fs::create_dir_all(&folder)?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o750))?;
        self.made.push((folder, false));
        Ok(())
    }

    /// Secrets for their owner only; the rest for the group too.
    fn put(&mut self, name: &Path, content: &[u8], secret: bool) -> io::Result<()> {
        let path = self.folder.join(name);
        let folder = path.parent().unwrap_or(&self.folder).to_owned();
        match fs::symlink_metadata(&folder) {
            // It leads to what is in force, or to another's.
            Ok(found) if !found.is_dir() => {
                return Err(io::Error::other(format!("{} would go through a link", name.display())));
            }
            Ok(_) => {}
            Err(_) => self.make_folder(folder)?,
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mode = if secret { 0o600 } else { 0o640 };
        let mut file = fs::File::options().write(true).create_new(true).mode(mode).open(&path)?;
        file.write_all(content)?;
        file.sync_all()?;
        self.made.push((path, secret));
        Ok(())
    }

    /// What was put into it becomes readable to the user whose the store's folder is: the daemon's. Who is not root has made it as
    /// that user. Without that folder there is none, and the check says so.
    fn belongs_to(&self, store: &Path) -> io::Result<Option<fs::Metadata>> {
        let Ok(owner) = fs::metadata(store.parent().unwrap_or(Path::new("/"))) else { return Ok(None) };
        for (path, secret) in &self.made {
            if fs::metadata(path)?.uid() != owner.uid() {
                // What only its owner may read must be the daemon's own; the rest it need not be able to change.
                chown(path, secret.then_some(owner.uid()), Some(owner.gid()))?;
            }
        }
        Ok(Some(owner))
    }

    /// In one step: a power cut leaves the one or the other. What was in force stays beside it, `.before`.
    fn take_over(&self, here: &Path) -> io::Result<()> {
        // All of it, also what was copied from the old one: the power may go right behind the exchange.
        rustix::fs::syncfs(fs::File::open(&self.folder)?)?;
        let before = beside(here, ".before");
        if here.try_exists()? {
            match renameat_with(CWD, &self.folder, CWD, here, RenameFlags::EXCHANGE) {
                // It is in force now, whatever becomes of the one before.
                Ok(()) => {
                    let _ = fs::remove_dir_all(&before);
                    let _ = fs::rename(&self.folder, &before);
                }
                Err(Errno::INVAL) => self.in_two_steps(here, &before)?,
                Err(error) => return Err(error.into()),
            }
        } else {
            fs::rename(&self.folder, here)?;
        }
        let _ = fs::File::open(here.parent().unwrap_or(Path::new("/"))).and_then(|folder| folder.sync_all());
        Ok(())
    }

    /// For file systems that exchange nothing, jffs2 on the flash of routers: between the two there is nothing in force, which the next
    /// start mends (`recover`).
    fn in_two_steps(&self, here: &Path, before: &Path) -> io::Result<()> {
        if before.try_exists()? {
            fs::remove_dir_all(before)?;
        }
        fs::rename(here, before)?;
        fs::rename(&self.folder, here).or_else(|error| fs::rename(before, here).and(Err(error)))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What stays is removed at the next start.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Files and folders with what may be done with them, and whose they are as far as that may be said.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let of = fs::metadata(from)?;
    fs::set_permissions(to, of.permissions())?;
    let _ = chown(to, Some(of.uid()), Some(of.gid()));
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            fs::create_dir(&target)?;
            copy(&entry.path(), &target)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path())?, &target)?;
        } else if kind.is_file() {
            let of = entry.metadata()?;
            fs::copy(entry.path(), &target)?;
            let _ = chown(&target, Some(of.uid()), Some(of.gid()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A power cut between the two steps is tried by `tests/branch/trials/stick.rs`.
    #[test]
    fn what_cannot_be_exchanged_is_put_into_place_in_two_steps() {
        let root = tempfile::tempdir().unwrap();
        let (here, before) = (root.path().join("etc"), root.path().join("etc.before"));
        let put = |folder: &Path, text: &str| {
            fs::create_dir_all(folder).unwrap();
            fs::write(folder.join("branchline.toml"), text).unwrap();
        };
        let there = |folder: &Path| fs::read_to_string(folder.join("branchline.toml")).unwrap_or_default();
        put(&before, "oldest");
        put(&here, "old");
        let staging = Staging { folder: beside(&here, ".stick"), made: Vec::new() };
        put(&staging.folder, "new");
        staging.in_two_steps(&here, &before).unwrap();
        assert_eq!((there(&here).as_str(), there(&before).as_str()), ("new", "old"));
        // The second step fails: what was in force is.
        assert!(staging.in_two_steps(&here, &before).is_err());
        assert_eq!((there(&here).as_str(), before.exists()), ("new", false));
    }
}
