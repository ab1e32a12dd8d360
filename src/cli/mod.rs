//! The command line: what may be typed, who answers it, how it reads, how it ends.
//!
//! Floor: roof. Decides nothing about messages: every order goes to the engine as a `Request`. What other parts of the
//! program do for a command (`run`, `check`, `demo`, `sandbox`, opening the store) comes in as `Commands`.

mod args;
mod backend;
mod check;
mod failure;
mod house;
mod init;
pub mod ledger;
pub mod logging;
mod render;
mod rights;
mod self_test;
mod stick;
mod store;
mod transfer;

pub use args::{Check, Forward, LogFormat, Run, Sandbox, Wants};
pub use backend::{Backend, Daemon};
pub use failure::{Exit, Failure};
pub use house::House;
pub use init::Init;
pub use stick::FromStick;

use crate::config::{Config, Loaded};
use crate::message::{Country, Outcome};
use crate::operate::{
    ConsentReport, EXPORTED, Explanation, ExportPage, Grant, ImportReport, LedgerPage, LossReport, OutboxDetail,
    OutboxPage, PauseReport, Reply, Request, SendReport, StatusReport, moment,
};
use args::{Cli, Command, Consent, Outbox, Output};
use clap::Parser;
use jiff::tz::TimeZone;
use serde::de::DeserializeOwned;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;

/// Names the board where `--board` does not.
const BOARD: &str = "BRANCHLINE_BOARD";

/// What the rest of the program does for a command.
pub trait Commands {
    /// Reads and checks the configuration; `Exit::Config` with every problem otherwise.
    fn load(&self, file: &Path, board: Option<&str>) -> Result<Loaded, Failure>;
    /// Opens the store without a daemon. Who tries something out gets an empty one where there is none, and no file is made.
    fn offline(&self, loaded: Loaded, wants: Wants) -> Result<Box<dyn Backend>, Failure>;
    /// The daemon, until it is told to stop.
    fn run(&self, file: &Path, board: Option<&str>, run: Run) -> Result<(), Failure>;
    /// Writes all problems and the effective values with their origin; tries what they name where that is asked for.
    fn check(&self, file: &Path, board: Option<&str>, check: Check, out: &mut dyn Write) -> Result<(), Failure>;
    /// Six questions from `input`, a configuration, and a first message.
    fn init(
        &self,
        file: &Path,
        board: Option<&str>,
        init: Init,
        input: &mut dyn Read,
        out: &mut dyn Write,
    ) -> Result<(), Failure>;
    /// Takes over the configuration of a stick, where there is one.
    fn stick(&self, file: &Path, board: Option<&str>, from: FromStick, out: &mut dyn Write) -> Result<(), Failure>;
    /// Head office's part, until it is told to stop; or only the check of its configuration.
    fn forward(&self, file: &Path, forward: Forward, out: &mut dyn Write) -> Result<(), Failure>;
    /// A branch's day; `Exit::No` when an outcome was not the expected one.
    fn demo(&self, serve: bool) -> Result<(), Failure>;
    /// The simulated API alone, until it is told to stop.
    fn sandbox(&self, sandbox: &Sandbox) -> Result<(), Failure>;
}

/// The whole program: arguments in, exit code out.
pub fn main(commands: &impl Commands) -> ExitCode {
    end_as_a_bug_on_panic();
    let mut out = io::stdout().lock();
    let ended = execute(std::env::args_os(), commands, &mut io::stdin(), &mut out);
    match ended.and_then(|()| out.flush().map_err(|error| unwritten(&error))) {
        Ok(()) => Exit::Done.into(),
        Err(failure) => {
            if !failure.text.is_empty() {
                // Nobody may be left to read it.
                let _ = writeln!(io::stderr(), "branchline: {}", legible(&failure.text));
            }
            failure.exit.into()
        }
    }
}

/// A panic is our bug and ends the process at once: the next start recovers. Its message names the place, never data.
fn end_as_a_bug_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(io::stderr(), "branchline: this is a bug of Branchline, at {place}; please report it");
        std::process::exit(i32::from(Exit::Bug as u8));
    }));
}

/// One command, with everything that it reads and writes as arguments.
pub fn execute(
    typed: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    commands: &impl Commands,
    input: &mut impl Read,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let mut cli = match Cli::try_parse_from(typed) {
        Ok(cli) => cli,
        Err(said) if !said.use_stderr() => return print(out, &said.to_string()),
        Err(wrong) => {
            let text = wrong.to_string();
            return Err(Failure::new(Exit::Usage, text.trim_start_matches("error: ").trim_end()));
        }
    };
    // Every command that reads the configuration reads the same layers as the daemon.
    cli.board = cli.board.or_else(|| std::env::var(BOARD).ok()).filter(|name| !name.is_empty());
    match &cli.command {
        Command::Run(run) => commands.run(&cli.config, cli.board.as_deref(), *run),
        Command::Forward(forward) => commands.forward(&cli.config, *forward, out),
        Command::Check(check) => commands.check(&cli.config, cli.board.as_deref(), *check, out),
        Command::Init(init) => commands.init(&cli.config, cli.board.as_deref(), *init, input, out),
        Command::Stick(from) => commands.stick(&cli.config, cli.board.as_deref(), from.clone(), out),
        Command::SelfTest(output) => self_test::run(commands.load(&cli.config, cli.board.as_deref())?, *output, out),
        Command::Demo { serve } => commands.demo(*serve),
        Command::Sandbox(sandbox) => commands.sandbox(sandbox),
        Command::Outbox(Outbox::Check { file, output }) => {
            store::check(&store::file(file.as_deref(), &cli, commands)?, *output, out)
        }
        Command::Outbox(Outbox::Export { all, file: Some(file) }) => {
            store::export(&store::file(Some(file), &cli, commands)?, *all, out)
        }
        Command::Outbox(Outbox::Export { all, file: None }) if store::is_unattended(&cli, commands)? => {
            store::export(&store::file(None, &cli, commands)?, *all, out)
        }
        _ => Session::open(&cli, commands, out)?.carry_out(cli.command, input),
    }
}

/// What reading the command line needs to know of the configuration. Without one (`--socket` alone) the engine checks.
pub struct Setting {
    /// `branch.timezone`, or the system's.
    pub zone: TimeZone,
    /// `branch.country`
    pub country: Option<Country>,
    /// Every purpose that there is.
    pub purposes: Option<Vec<String>>,
    /// Tells the configuration that was read from another one.
    pub fingerprint: Option<String>,
}

impl Setting {
    /// Of a configuration.
    pub fn of(config: &Config) -> Setting {
        let rules = &config.rooms.rules;
        let stated = rules.contacts.values().map(|contact| contact.consent.clone());
        let purposes = rules.purposes.iter().cloned().chain(stated).collect();
        Setting {
            zone: rules.timezone.clone(),
            country: Some(rules.country),
            purposes: Some(purposes),
            fingerprint: Some(config.rooms.fingerprint.clone()),
        }
    }

    fn unknown() -> Setting {
        Setting { zone: TimeZone::system(), country: None, purposes: None, fingerprint: None }
    }

    fn knows(&self, purpose: &str) -> bool {
        self.purposes.as_ref().is_none_or(|purposes| purposes.iter().any(|known| known == purpose))
    }
}

/// A command that is answered by the engine.
struct Session<'a, W> {
    backend: Box<dyn Backend>,
    setting: Setting,
    out: &'a mut W,
}

impl<'a, W: Write> Session<'a, W> {
    /// `--socket` works without a readable configuration: whoever may use the socket may not be allowed to read it.
    fn open(cli: &Cli, commands: &impl Commands, out: &'a mut W) -> Result<Session<'a, W>, Failure> {
        let (backend, setting) = match (&cli.socket, commands.load(&cli.config, cli.board.as_deref())) {
            (Some(socket), loaded) => {
                let nobody = || {
                    let text = format!("no daemon answers on {}: see systemctl status branchline", socket.display());
                    Err(Failure::new(Exit::Unavailable, text))
                };
                let setting = loaded.map_or_else(|_| Setting::unknown(), |loaded| Setting::of(&loaded.config));
                (backend::backend(socket, nobody)?, setting)
            }
            (None, Ok(loaded)) => {
                let (socket, setting) = (loaded.config.operate.socket.clone(), Setting::of(&loaded.config));
                (backend::backend(&socket, || commands.offline(loaded, cli.command.wants()))?, setting)
            }
            (None, Err(failure)) => return Err(failure),
        };
        Ok(Session { backend, setting, out })
    }

    fn carry_out(mut self, command: Command, input: &mut impl Read) -> Result<(), Failure> {
        let zone = self.setting.zone.clone();
        match command {
            Command::Run(_)
            | Command::Init(_)
            | Command::Stick(_)
            | Command::Forward(_)
            | Command::Check(_)
            | Command::SelfTest(_)
            | Command::Demo { .. }
            | Command::Sandbox(_) => Err(Failure::new(Exit::Bug, "this command is not for the engine")),
            Command::Status(output) => {
                self.show(Request::Status, output, |report: StatusReport| render::status(&report))
            }
            Command::Pause(hold) => {
                let request = Request::Pause { target: hold.what.target(), reason: hold.reason };
                self.show(request, hold.output, |report: PauseReport| render::paused(&report, false, &zone))
            }
            Command::Resume(hold) => {
                let request = Request::Resume { target: hold.what.target(), reason: hold.reason };
                self.show(request, hold.output, |report: PauseReport| render::paused(&report, true, &zone))
            }
            Command::Explain(explain) => {
                let at = explain.at.map(|text| self.moment("--at", &text)).transpose()?;
                let payload = explain.payload.map(|file| read(&file, input)).transpose()?.unwrap_or_default();
                let request = Request::Explain { topic: explain.topic, payload, at };
                let (mut value, mut of): (_, Explanation) = self.data(request)?;
                if let Some(daemons) = &mut of.configuration {
                    daemons.differs = self.setting.fingerprint.as_ref().map(|read| *read != daemons.fingerprint);
                    value["configuration"]["differs"] = daemons.differs.into();
                }
                if explain.output.json {
                    return print_json(self.out, &value);
                }
                print(self.out, &render::explanation(&of, &zone))
            }
            Command::Send(send) => {
                let (order, output) = send.order();
                let (value, report): (_, SendReport) = self.data(Request::Send(order))?;
                let stored = report.message.outcome == Outcome::Stored;
                if output.json {
                    print_json(self.out, &value)?;
                } else {
                    print(self.out, &render::sent(&report, &zone))?;
                }
                // What became of it was written already.
                if stored { Ok(()) } else { Err(Failure::new(Exit::No, "")) }
            }
            Command::Outbox(Outbox::List { outcome, limit, before, output }) => {
                let request = Request::OutboxList { outcome, before, limit };
                self.show(request, output, |page: OutboxPage| render::outbox(&page, &zone))
            }
            Command::Outbox(Outbox::Show { id, output }) => {
                self.show(Request::OutboxShow { id }, output, |detail: OutboxDetail| render::message(&detail, &zone))
            }
            Command::Outbox(Outbox::AcceptLoss { reason, output }) => {
                self.show(Request::AcceptLoss { reason }, output, |report: LossReport| render::loss(&report, &zone))
            }
            Command::Outbox(Outbox::Export { all, .. }) => self.export_store(all),
            Command::Outbox(Outbox::Import { file, output }) => self.take_over(&read(&file, input)?, output),
            Command::Outbox(Outbox::Check { .. }) => Err(Failure::new(Exit::Bug, "this command is not for the engine")),
            Command::Consent(consent) => self.consent(consent, input),
            Command::Contact(contact) => self.contact(contact),
            Command::Audit(audit) => self.audit(audit),
        }
    }

    fn consent(mut self, consent: Consent, input: &mut impl Read) -> Result<(), Failure> {
        let zone = self.setting.zone.clone();
        let (request, output) = match consent {
            Consent::Grant(grant) => {
                let expires = grant.expires.map(|text| self.moment("--expires", &text)).transpose()?;
                let request = Request::ConsentGrant(Grant {
                    number: grant.number,
                    purpose: grant.purpose,
                    source: grant.source,
                    wording: grant.wording,
                    expires,
                    after_revocation: grant.after_revocation,
                });
                (request, grant.output)
            }
            Consent::Revoke { number, purpose, output } => (Request::ConsentRevoke { number, purpose }, output),
            Consent::Show { number, output } => (Request::ConsentShow { number }, output),
            Consent::Import { file, releases, output } => return self.import(&read(&file, input)?, releases, output),
            Consent::Export { json } => return self.export(json),
        };
        self.show(request, output, |report: ConsentReport| render::consent(&report, &zone))
    }

    /// The file is checked whole before its first line goes out. A batch that the engine refuses all the same ends the
    /// import; what was recorded before is named, and is recognised when the file is imported again.
    fn import(&mut self, text: &str, releases: bool, output: Output) -> Result<(), Failure> {
        let lines = ledger::read(text, &self.setting)?;
        let mut sum = ImportReport::default();
        let batches = lines.chunks(ledger::BATCH).len();
        for (place, batch) in lines.chunks(ledger::BATCH).enumerate() {
            let more = place + 1 < batches;
            let answer = self.data::<ImportReport>(Request::ConsentImport { rows: batch.to_vec(), more, releases });
            let refused = match answer {
                Ok((_, report)) if report.problems.is_empty() => {
                    ledger::add(&mut sum, &report);
                    continue;
                }
                Ok((_, report)) => ledger::refused(&report.problems),
                Err(failure) => failure,
            };
            return Err(match (sum.recorded + sum.unchanged, batch.first()) {
                (0, _) | (_, None) => refused,
                (done, Some(first)) => Failure::new(
                    refused.exit,
                    format!(
                        "the {done} entries before line {} are recorded, from there on {refused}\n\
                         correct it and import the same file again: what is recorded is recognised",
                        first.line
                    ),
                ),
            });
        }
        if output.json {
            return print_json(self.out, &sum);
        }
        let hold = match (sum.released, sum.held) {
            (true, _) => "what was held since the store was damaged goes on\n",
            (_, true) => {
                "what is held since the store was damaged stays held: if this was the whole ledger, import it again with \
                 --releases\n"
            }
            _ => "",
        };
        print(self.out, &format!("{} recorded, {} known already\n{hold}", sum.recorded, sum.unchanged))
    }

    fn export(&mut self, json: bool) -> Result<(), Failure> {
        let mut after = 0;
        let mut head = !json;
        loop {
            let (_, page): (_, LedgerPage) = self.data(Request::ConsentExport { after })?;
            self.export_page(&page, json, std::mem::take(&mut head)).map_err(|error| unwritten(&error))?;
            match page.next {
                // Only forward: an engine that repeats itself would fill the disk.
                Some(next) if next > after => after = next,
                _ => return Ok(()),
            }
        }
    }

    fn export_page(&mut self, page: &LedgerPage, json: bool, head: bool) -> io::Result<()> {
        if json {
            for row in &page.rows {
                serde_json::to_writer(&mut *self.out, row)?;
                self.out.write_all(b"\n")?;
            }
            return Ok(());
        }
        let mut csv = ledger::writer(&mut *self.out, head)?;
        for row in &page.rows {
            ledger::write(&mut csv, row)?;
        }
        csv.flush()
    }

    /// The tables of the open store, page by page.
    fn export_store(&mut self, all: bool) -> Result<(), Failure> {
        for (table, people) in EXPORTED {
            let mut after = if people && !all { None } else { Some(-1) };
            while let Some(from) = after {
                let (_, page): (_, ExportPage) =
                    self.data(Request::OutboxExport { table: table.to_owned(), after: from })?;
                for row in &page.rows {
                    store::line(self.out, row).map_err(|error| unwritten(&error))?;
                }
                after = page.next.filter(|next| *next > from);
            }
        }
        Ok(())
    }

    fn show<T: DeserializeOwned>(
        &mut self,
        request: Request,
        output: Output,
        render: impl FnOnce(T) -> String,
    ) -> Result<(), Failure> {
        let (value, data) = self.data(request)?;
        if output.json { print_json(self.out, &value) } else { print(self.out, &render(data)) }
    }

    fn data<T: DeserializeOwned>(&mut self, request: Request) -> Result<(serde_json::Value, T), Failure> {
        let bug = |what: String| Failure::new(Exit::Bug, what);
        match self.backend.ask(request)? {
            Reply::Data(value) => {
                let data = T::deserialize(&value).map_err(|error| {
                    bug(format!("the daemon's answer is of another version: {error}; restart it after an update"))
                })?;
                Ok((value, data))
            }
            Reply::Refused(why) => Err(Failure::new(Exit::No, why)),
            Reply::Text(_) => Err(bug("the daemon answered a question that was not asked".into())),
        }
    }

    fn moment(&self, option: &str, text: &str) -> Result<crate::time::Wall, Failure> {
        moment(text, &self.setting.zone).map_err(|what| Failure::new(Exit::Usage, format!("{option} {text:?} {what}")))
    }
}

/// A file, or standard input for "-".
fn read(file: &Path, input: &mut impl Read) -> Result<String, Failure> {
    let mut text = String::new();
    let done = if file == Path::new("-") {
        input.read_to_string(&mut text).map(drop)
    } else {
        std::fs::read_to_string(file).map(|read| text = read)
    };
    match done {
        Ok(()) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            let text = format!("{} is not UTF-8 text: a spreadsheet saves it as \"CSV UTF-8\"", file.display());
            Err(Failure::new(Exit::Usage, text))
        }
        Err(error) => Err(Failure::new(Exit::Usage, format!("cannot read {}: {error}", file.display()))),
    }
}

/// Topics, names and cells are as strangers wrote them, and may hold a terminal's commands: those are shown, not obeyed.
fn legible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for sign in text.chars() {
        match sign.is_control() && !matches!(sign, '\n' | '\t') {
            true => out.extend(sign.escape_default()),
            false => out.push(sign),
        }
    }
    out
}

fn print(out: &mut impl Write, text: &str) -> Result<(), Failure> {
    out.write_all(legible(text).as_bytes()).map_err(|error| unwritten(&error))
}

fn print_json(out: &mut impl Write, data: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(data)
        .map_err(|error| Failure::new(Exit::Bug, format!("cannot write JSON: {error}")))?;
    print(out, &(text + "\n"))
}

/// Whoever reads may stop early (`| head`): then everything is done. A full disk is not.
fn unwritten(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::new(Exit::Done, ""),
        _ => Failure::new(Exit::Storage, format!("cannot write the output: {error}")),
    }
}

#[cfg(test)]
mod tests;
