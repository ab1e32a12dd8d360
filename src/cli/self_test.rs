//! `branchline self-test`: whether this program can take over the box as it is, before anybody switches to it.
//!
//! Floor: roof. Works on a copy and never on the store, sends nothing, and leaves nothing behind; a daemon may run meanwhile.
//!
//! ```text
//! configuration ─► copy ─► open, bring forward ─► step ─► look into every table
//! ```

use super::args::Output;
use super::failure::{Exit, Failure};
use super::house::start_failure;
use super::{print, print_json};
use crate::app;
use crate::config::Loaded;
use crate::engine::{Failure as Refused, Input};
use crate::operate::{Reply, Request, StatusReport};
use crate::outbox::{Duplicate, SCHEMA, Seal, offline};
use crate::status::show;
use crate::time::Now;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// So far apart the copy is stepped, into the time when what waits is due, repeated or too old.
const STEPS: [Duration; 4] =
    [Duration::ZERO, Duration::from_secs(60), Duration::from_secs(3600), Duration::from_secs(86_400)];

/// What was found, for a script.
#[derive(Serialize)]
struct SelfTest {
    ok: bool,
    version: &'static str,
    store: String,
    /// Bytes that were copied.
    bytes: u64,
    /// The schema's version before; none without a store.
    from: Option<i64>,
    /// And after.
    to: i64,
    messages: u64,
    wrong: Vec<String>,
}

/// Tries everything; `Exit::No` with what is wrong.
pub(super) fn run(loaded: Loaded, output: Output, out: &mut impl Write) -> Result<(), Failure> {
    let path = loaded.config.rooms.outbox.path.clone();
    let failed = |error: std::io::Error| {
        let text = format!(
            "the store {} cannot be copied: {error}; run this as the daemon's user, with as much space free as the store takes",
            path.display()
        );
        Failure::new(Exit::Storage, text)
    };
    let copy = Duplicate::of(&path).map_err(failed)?;
    let mut found = SelfTest {
        ok: false,
        version: env!("CARGO_PKG_VERSION"),
        store: path.display().to_string(),
        bytes: copy.bytes,
        from: copy.version,
        to: SCHEMA,
        messages: 0,
        wrong: Vec::new(),
    };
    let mut loaded = loaded;
    loaded.config.rooms.outbox.path = copy.path.clone();
    let seal = loaded.config.rooms.outbox.seal.clone();
    match step(loaded) {
        Ok(messages) => found.messages = messages,
        Err(failure) => found.wrong.push(failure.text),
    }
    if found.wrong.is_empty() {
        found.wrong = look(&copy.path, &seal)?;
    }
    found.ok = found.wrong.is_empty();
    if output.json {
        print_json(out, &found)?
    } else {
        print(out, &text(&found))?
    }
    // Everything was written already.
    if found.ok { Ok(()) } else { Err(Failure::new(Exit::No, "")) }
}

/// Opens the copy, which brings it forward, and lets the engine work on it; what it would have sent goes nowhere.
fn step(loaded: Loaded) -> Result<u64, Failure> {
    let (mut engine, clock) = app::offline(loaded).map_err(start_failure)?;
    let refused = |failure: Refused| start_failure(failure.into());
    let start = clock.now();
    for later in STEPS {
        let now = Now { mono: start.mono + later, ..start };
        engine.batch(now, &[Input::Woke]).map_err(refused)?;
    }
    let Reply::Data(data) = engine.ask(clock.now(), Request::Status).map_err(refused)? else {
        return Err(Failure::new(Exit::Bug, "the engine does not tell how it does"));
    };
    let report = StatusReport::deserialize(data)
        .map_err(|error| Failure::new(Exit::Bug, format!("the engine's words cannot be read: {error}")))?;
    Ok(report.gauges.backlog.iter().map(|row| row.messages).sum())
}

/// Every table of the copy, and whether it had to be salvaged.
fn look(copy: &Path, seal: &Seal) -> Result<Vec<String>, Failure> {
    let report = offline::check(copy, seal).map_err(|error| Failure::new(Exit::Storage, error.to_string()))?;
    // What was set aside before lies beside the store and was not copied; `.older-` is what bringing forward keeps.
    let salvaged = report.aside.iter().any(|file| file.contains(".damaged-")).then(|| {
        "the store is damaged: what could be read of it would be salvaged, and the rest held as lost".to_owned()
    });
    Ok(salvaged.into_iter().chain(report.wrong).collect())
}

fn text(found: &SelfTest) -> String {
    let SelfTest { ok, version, store, bytes, from, to, messages, wrong } = found;
    let copied = match from {
        None => format!("store    none at {store}: a new one was tried\n"),
        Some(from) if from == to => {
            format!("store    {store}: {} copied, schema {from} as before\n", show::bytes(*bytes))
        }
        Some(from) => format!("store    {store}: {} copied, brought from schema {from} to {to}\n", show::bytes(*bytes)),
    };
    let rest = if *ok {
        format!("engine   stepped, {messages} messages wait\ntables   whole\nBranchline {version} can take over.\n")
    } else {
        let lines: String = wrong.iter().map(|line| format!("wrong    {line}\n")).collect();
        format!("{lines}Branchline {version} must not take over: keep the one that runs.\n")
    };
    format!("{copied}{rest}")
}
