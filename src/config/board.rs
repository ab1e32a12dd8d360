//! `boards/NAME.toml`: the facts of a kind of box, and the layer of configuration that it brings.
//!
//! Floor: config. A board is a file and never a case in code: what the daemon does on one is said by its facts.
//!
//! Its table `[board]` holds the facts and is no configuration: a branch's own file cannot change them, a board of its own in
//! `boards/` beside the file can. All else in it is the layer below the branch's file. With `board.inherit` it holds only what
//! differs from another board, which then inherits from none.

use super::problem::{Origin, Problem, Source};
use super::reader::{Account, Reader, is_name};
use super::tree::{self, Node, Table, Value};
use super::{Effective, layers, units};
use crate::door::led::{Led, Light, Lights, Sign};
use crate::door::watchdog::Device;
use crate::operate::OnBoard;
use std::path::Path;
use std::time::Duration;

/// The boards of the repository, built in so that the program is one file: names and texts, by name.
const BUILT_IN: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/boards.rs"));
/// No board has more of anything: 4 TiB.
const LARGEST: u64 = 4 << 40;
/// The longest that a light may be on or off at a stretch: longer ones are no blinking.
const BLINK: u64 = 60_000;
/// What a period of a watchdog may be, in seconds: below, a slow card looks like an end; drivers know no more than 16 bits.
const PERIOD: std::ops::RangeInclusive<u64> = 5..=65_535;

/// The facts that something depends on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Board {
    /// The name of its file.
    pub name: String,
    /// For people.
    pub description: String,
    /// Whether it knows the time when it wakes.
    pub has_clock: bool,
    /// `sd-card`, as the file says.
    pub storage: String,
    /// Bytes that may be written to the storage in a day; `None` where that has no end.
    pub wear_per_day: Option<u64>,
    /// `None` where it has none, or another program's.
    pub watchdog: Option<Device>,
    /// What its lights say.
    pub lights: Lights,
    /// Every fact, by key, with where it stands.
    pub facts: Vec<Effective>,
    /// The keys of the configuration that it sets, dotted.
    pub sets: Vec<String>,
}

impl Board {
    /// As the status shows it.
    pub fn shown(&self) -> OnBoard {
        OnBoard { name: self.name.clone(), lights: self.lights != Lights::default() }
    }

    /// What it sets and what follows from that, a line each.
    pub fn explain(&self) -> Vec<String> {
        let watchdog = match &self.watchdog {
            Some(Device { path, timeout }) => format!(
                "{} resets the box when nothing goes on for {}; under systemd its WatchdogSec= does that for the daemon",
                path.display(),
                units::show_duration(*timeout)
            ),
            None => "none of its own for the daemon; under systemd its WatchdogSec= stands for one".to_owned(),
        };
        let clock = if self.has_clock {
            "a chip keeps the time while it is off"
        } else {
            "no chip: after each start what depends on the time of day waits until time is synced or the platform has answered"
        };
        let wear = match self.wear_per_day {
            Some(bytes) => format!(
                "{}, to which {} may be written in a day: branchline status says how much was",
                self.storage,
                units::show_size(bytes)
            ),
            None => format!("{}, which may be written to without end", self.storage),
        };
        let sets = if self.sets.is_empty() { "no key".to_owned() } else { self.sets.join(", ") };
        let lights = self.lights.explain();
        let lights = if lights.is_empty() { vec!["light: none".to_owned()] } else { lights };
        [
            format!("board {}: {}", self.name, self.description),
            format!("  watchdog: {watchdog}"),
            format!("  clock: {clock}"),
            format!("  storage: {wear}"),
        ]
        .into_iter()
        .chain(lights.into_iter().map(|line| format!("  {line}")))
        .chain([format!("  sets of the configuration: {sets}")])
        .collect()
    }
}

/// A board that was read: its layer, and its facts.
pub(super) fn read(name: &str, file: &Path) -> Result<(Table, Board), Vec<Problem>> {
    let mut table = find(name, file)?;
    let inherit = table.get_mut("board").and_then(|node| match &mut node.value {
        Value::Table(facts) => facts.remove("inherit"),
        _ => None,
    });
    if let Some(inherit) = inherit {
        let mut base = find_base(&inherit, file)?;
        tree::merge(&mut base, table);
        table = base;
    }
    let facts = table.remove("board").unwrap_or_else(|| Node::table(Origin::built_in()));
    let root = Table::from([("board".to_owned(), facts)]);
    let mut account = Account::of(file, &[]);
    let board = Reader::root(&root, &mut account, |r| r.within("board", facts_of));
    if !account.problems.is_empty() {
        return Err(account.problems);
    }
    let facts = Effective::all(account.values);
    let mut sets = Vec::new();
    leaves(&table, "", &mut sets);
    Ok((table, Board { name: name.to_owned(), facts, sets, ..board }))
}

/// Beside the file, where the branch's own boards are, then among those that are built in.
fn find(name: &str, file: &Path) -> Result<Table, Vec<Problem>> {
    let beside = file.parent().unwrap_or(Path::new("")).join("boards").join(format!("{name}.toml"));
    if is_name(name) && beside.exists() {
        return layers::read_file(&beside);
    }
    match BUILT_IN.iter().find(|(known, _)| *known == name) {
        Some((name, text)) => tree::parse(text, &Source::Board((*name).into())),
        None => {
            let names: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
            let problem = Problem::new("", Origin::file(&beside), format!("no board is called {name:?}"));
            let fix = format!("Built in are {}; any other one is looked for here.", names.join(", "));
            let near = super::problem::nearest(name, names.iter().copied());
            Err(vec![problem.fix(fix).suggest(near)])
        }
    }
}

fn find_base(inherit: &Node, file: &Path) -> Result<Table, Vec<Problem>> {
    let wrong = |found: String, fix: &str| {
        vec![Problem::new("board.inherit", inherit.origin.clone(), found).fix(fix.to_owned())]
    };
    let Some(name) = inherit.as_text() else {
        return Err(wrong(format!("is {}", inherit.kind()), "Name the board that this one differs from."));
    };
    let base = find(name, file)?;
    if base.get("board").and_then(Node::as_table).is_some_and(|facts| facts.contains_key("inherit")) {
        let found = format!("{name:?} inherits too");
        return Err(wrong(
            found,
            "One level is read: inherit from \"generic\", or from a board that inherits from none.",
        ));
    }
    Ok(base)
}

fn facts_of(r: &mut Reader<'_, '_>) -> Board {
    let description = r.text("description").unwrap_or_default();
    // For building, packaging and people.
    r.texts("compatible");
    for key in ["target", "cpu"] {
        r.text(key);
    }
    r.texts("interfaces");
    r.size("memory", 1..=LARGEST);
    let clock = r.text("clock");
    let (storage, wear_per_day) = r.within("storage", |r| {
        r.size("size", 1..=LARGEST);
        let wear = r.parsed("wear_per_day", "a size like \"200 MiB\", or \"off\"", |node| match node.as_text()? {
            "off" => Some(None),
            size => units::size(size).filter(|bytes| *bytes > 0).map(Some),
        });
        (r.text("kind").unwrap_or_default(), wear.flatten())
    });
    let watchdog = r.within("watchdog", |r| {
        let path = r.text("device").filter(|path| path != "none");
        let timeout = r.parsed("timeout", "a time from \"5s\" on, which the driver has", |node| {
            units::duration(node.as_text()?).filter(|time| PERIOD.contains(&time.as_secs()))
        });
        Some(Device { path: path?.into(), timeout: timeout? })
    });
    let lights = r.within("leds", lights);
    r.within("unit", |r| r.size("memory_max", 1..=LARGEST));
    Board {
        description,
        has_clock: clock.is_some_and(|device| device != "none"),
        storage,
        wear_per_day,
        watchdog,
        lights,
        ..Board::default()
    }
}

fn lights(r: &mut Reader<'_, '_>) -> Lights {
    let mut lights = Lights::default();
    for sign in Sign::ALL {
        r.within(sign.code(), |r| {
            for led in r.names() {
                let wanted = "\"on\", \"off\" or \"ON/OFF\" in milliseconds, as in \"100/900\"";
                if let Some(light) = r.parsed(&led, wanted, |node| light(node.as_text()?)) {
                    lights.set(sign, Led::named(&led), light);
                }
            }
        });
    }
    lights
}

fn light(text: &str) -> Option<Light> {
    let part = |text: &str| {
        let milliseconds = units::digits(text).filter(|time| (1..=BLINK).contains(time))?;
        Some(Duration::from_millis(milliseconds))
    };
    match text {
        "on" => Some(Light::On),
        "off" => Some(Light::Off),
        both => {
            let (on, off) = both.split_once('/')?;
            Some(Light::Blinks { on: part(on)?, off: part(off)? })
        }
    }
}

fn leaves(table: &Table, path: &str, found: &mut Vec<String>) {
    for (name, node) in table {
        let key = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match node.as_table() {
            Some(inner) => leaves(inner, &key, found),
            None => found.push(key),
        }
    }
}
