//! The joints between the command line and the rest of the program: one function per command.
//!
//! Floor: roof.

use super::{
    Backend, Check, Commands, Exit, Failure, Forward, FromStick, Init, Run, Sandbox, Wants, check, init, logging,
    stick, unwritten,
};
use crate::app::{self, StartError};
use crate::config::{self, Loaded, Problem};
use crate::door::clock::SystemClock;
use crate::engine::Engine;
use crate::forward;
use crate::operate::{Reply, Request};
use crate::outbox::{self, OpenError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// The program as it is built.
pub struct House;

impl Commands for House {
    fn load(&self, file: &Path, board: Option<&str>) -> Result<Loaded, Failure> {
        load(file, board)
    }

    fn offline(&self, mut loaded: Loaded, wants: Wants) -> Result<Box<dyn Backend>, Failure> {
        // Whoever tries out a rule may have no store yet, and wants none.
        if wants == Wants::ToTry && !outbox::is_there(&loaded.config.rooms.outbox.path) {
            let folder = Scratch::new()?;
            let (engine, clock) = app::offline(folder.instead_of(loaded)).map_err(start_failure)?;
            return Ok(Box::new(Offline { engine: engine.imagined(), clock, _folder: Some(folder) }));
        }
        loaded.config.rooms.outbox.only_looks = wants != Wants::ToOrder;
        let (engine, clock) = app::offline(loaded).map_err(start_failure)?;
        Ok(Box::new(Offline { engine, clock, _folder: None }))
    }

    fn run(&self, file: &Path, board: Option<&str>, run: Run) -> Result<(), Failure> {
        logging::start(run.log)?;
        let loaded = load(file, board)?;
        to_the_end(app::run(file, board, loaded))?.map_err(start_failure)
    }

    fn check(&self, file: &Path, board: Option<&str>, check: Check, out: &mut dyn Write) -> Result<(), Failure> {
        let (json, loaded) = (check.output.json, config::load(file, board, &app::environment()));
        let text = match (json, check.online) {
            (true, true) => String::new(),
            (true, false) => format!("{:#}\n", check::Checked::of(&loaded).json()),
            (false, _) => check::Checked::of(&loaded).text(file),
        };
        out.write_all(text.as_bytes()).map_err(|error| unwritten(&error))?;
        if check.online {
            return to_the_end(check::online(&loaded, json, out))?;
        }
        match loaded {
            Ok(_) => Ok(()),
            // Every problem was written already.
            Err(_) => Err(Failure::new(Exit::No, "")),
        }
    }

    fn init(
        &self,
        file: &Path,
        board: Option<&str>,
        init: Init,
        input: &mut dyn Read,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        init::run(file, board, init, input, out)
    }

    fn stick(&self, file: &Path, board: Option<&str>, from: FromStick, out: &mut dyn Write) -> Result<(), Failure> {
        stick::run(file, board, from, out)
    }

    fn forward(&self, file: &Path, forward: Forward, out: &mut dyn Write) -> Result<(), Failure> {
        let loaded = config::forward::load(file, &app::environment());
        if forward.check {
            let checked = check::Checked::of_forward(&loaded);
            let text = if forward.json { format!("{:#}\n", checked.json()) } else { checked.text(file) };
            out.write_all(text.as_bytes()).map_err(|error| unwritten(&error))?;
            return loaded.map(drop).map_err(|_| Failure::new(Exit::No, ""));
        }
        logging::start(forward.log)?;
        let (settings, _, warnings) = loaded.map_err(|problems| problems_failure(&problems))?;
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        to_the_end(forward::run(settings))?.map_err(|error| match error {
            forward::Trouble::Mqtt(_) => Failure::new(Exit::Config, error.to_string()),
            forward::Trouble::Webhook(_) | forward::Trouble::System(_) => {
                Failure::new(Exit::Unavailable, error.to_string())
            }
        })
    }

    #[cfg(feature = "demo")]
    fn demo(&self, serve: bool) -> Result<(), Failure> {
        let done = runtime()?.block_on(crate::demo::play(serve));
        match done {
            Ok(true) => Ok(()),
            Ok(false) => Err(Failure::new(Exit::No, "the day did not go as it should: see the table above")),
            Err(why) => Err(Failure::new(Exit::Unavailable, why)),
        }
    }

    #[cfg(not(feature = "demo"))]
    fn demo(&self, _: bool) -> Result<(), Failure> {
        let text = "this build has no demo (boards leave it out): run it on a desktop, cargo run --release -- demo";
        Err(Failure::new(Exit::Usage, text))
    }

    #[cfg(feature = "demo")]
    fn sandbox(&self, sandbox: &Sandbox) -> Result<(), Failure> {
        use crate::demo::sandbox::{self, Options, Trouble};
        let Sandbox { listen, tls, client_ca, templates, scenario, record, token_file, .. } = sandbox;
        let options = Options {
            listen: *listen,
            tls: tls.clone(),
            client_ca: client_ca.clone(),
            templates: templates.clone(),
            scenario: scenario.clone(),
            record: record.clone(),
            token_file: token_file.clone(),
            app_secret_file: sandbox.app_secret_file.clone(),
            callback: sandbox.callback.clone(),
            verify_token_file: sandbox.verify_token_file.clone(),
            callback_ca: sandbox.callback_ca.clone(),
            require_proof: sandbox.require_proof,
            phone_number_id: sandbox.phone_number_id.clone(),
            seed: sandbox.seed,
            json: sandbox.json,
        };
        runtime()?.block_on(sandbox::serve(options)).map_err(|trouble| match trouble {
            Trouble::File(why) => Failure::new(Exit::Config, why),
            Trouble::Write(why) => Failure::new(Exit::Storage, why),
            Trouble::Listen(why) => Failure::new(Exit::Unavailable, why),
        })
    }

    #[cfg(not(feature = "demo"))]
    fn sandbox(&self, _: &Sandbox) -> Result<(), Failure> {
        let text =
            "this build has no sandbox (boards leave it out): run it on a desktop, cargo run --release -- sandbox";
        Err(Failure::new(Exit::Usage, text))
    }
}

/// The store without a daemon.
struct Offline {
    engine: Engine,
    clock: SystemClock,
    /// After the engine: its files are closed before they are removed.
    _folder: Option<Scratch>,
}

/// A folder for a store that is looked at and thrown away.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Scratch, Failure> {
        let path = std::env::temp_dir().join(format!("branchline-{:016x}", fastrand::u64(..)));
        // Ours alone: it fails where somebody else made one of that name.
        let made = std::os::unix::fs::DirBuilderExt::mode(&mut std::fs::DirBuilder::new(), 0o700).create(&path);
        match made {
            Ok(()) => Ok(Scratch(path)),
            Err(error) => Err(Failure::new(Exit::Storage, format!("cannot make {}: {error}", path.display()))),
        }
    }

    fn instead_of(&self, mut loaded: Loaded) -> Loaded {
        loaded.config.rooms.outbox.path = self.0.join("outbox.db");
        loaded
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing depends on it.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Offline {
    /// Whether damage was found since the last call: it is said at once, whatever becomes of the order.
    fn tell_damage(&mut self) -> bool {
        let Some(note) = self.engine.found_damage() else { return false };
        let text = "everything is held until somebody accepts the loss: see branchline status";
        // Nobody may be left to read it; the status tells it too.
        let _ = writeln!(io::stderr(), "branchline: the store was damaged and is set aside: {note}; {text}");
        true
    }
}

impl Backend for Offline {
    fn ask(&mut self, request: Request) -> Result<Reply, Failure> {
        // Nobody accepts what nobody was told of yet.
        if self.tell_damage() && matches!(request, Request::AcceptLoss { .. }) {
            let text = "the damage was found just now, and nothing is accepted: read what is lost, then say it again";
            return Ok(Reply::Refused(text.to_owned()));
        }
        let reply = self.engine.ask(self.clock.now(), request).map_err(|failure| start_failure(failure.into()));
        self.tell_damage();
        reply
    }
}

fn load(file: &Path, board: Option<&str>) -> Result<Loaded, Failure> {
    config::load(file, board, &app::environment()).map_err(|problems| problems_failure(&problems))
}

fn problems_failure(problems: &[Problem]) -> Failure {
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    Failure::new(Exit::Config, format!("the configuration has problems:\n{}", lines.join("\n")))
}

pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Unavailable, format!("the system gave no runtime: {error}")))
}

/// Runs `work`, and waits for nothing else: a name server or disk that hangs would hold up the end, until the watchdog or the service
/// manager makes it one.
fn to_the_end<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = runtime()?;
    let done = runtime.block_on(work);
    runtime.shutdown_background();
    Ok(done)
}

pub(super) fn start_failure(error: StartError) -> Failure {
    let exit = match &error {
        StartError::Store(error) if error.is_bug() => Exit::Bug,
        StartError::Engine(failure) if failure.is_bug() => Exit::Bug,
        StartError::Store(OpenError::Key { .. }) => Exit::Config,
        StartError::Store(_) | StartError::Engine(_) => Exit::Storage,
        StartError::Socket(_) | StartError::Listen(_) | StartError::Webhook(_) | StartError::Thread(_) => {
            Exit::Unavailable
        }
        StartError::Ended => Exit::Bug,
        StartError::Mqtt(_) | StartError::Uplink(_) => Exit::Config,
    };
    Failure::new(exit, error.to_string())
}
