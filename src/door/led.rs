//! The box's lights: what a technician sees before opening a laptop.
//!
//! Floor: doors. Writes below `/sys/class/leds`, whose root is an argument. Never changes anything else, and a light that cannot be
//! had keeps nothing from going on.
//!
//! The kernel's own trigger of a light is switched off while the daemon shows something, and on again when it ends. Blinking is
//! done here, so that a daemon that hangs does not go on blinking as if all were well.

use crate::operate::Gauges;
use crate::status::THE_NUMBER;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tracing::{info, warn};

/// Seconds after which waiting is a backlog: a busy hour's pace (6 s for a person) and a repeated try are over by then.
const BACKLOG: u64 = 15 * 60;

/// What may be shown, the most urgent first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Sign {
    /// A stick was refused.
    StickRefused,
    /// A stick is being read, or was taken over.
    StickRead,
    /// The number is stopped, or everything: nothing leaves before somebody does something.
    NumberStopped,
    /// The platform is not reached.
    NoUplink,
    /// The broker is not reached.
    NoBroker,
    /// The time is not confirmed.
    ClockUnsynced,
    /// Messages wait longer than they should.
    Backlog,
    /// All is well.
    Healthy,
}

impl Sign {
    /// All, the most urgent first.
    pub const ALL: [Sign; 8] = [
        Sign::StickRefused,
        Sign::StickRead,
        Sign::NumberStopped,
        Sign::NoUplink,
        Sign::NoBroker,
        Sign::ClockUnsynced,
        Sign::Backlog,
        Sign::Healthy,
    ];

    /// How the box does.
    pub fn of(gauges: &Gauges) -> Sign {
        let down = |name: &str| gauges.links.iter().any(|link| link.link == name && !link.up);
        let everything = |what: &str| what == THE_NUMBER || what == "everything";
        if gauges.holds.iter().any(|hold| hold.loud && everything(&hold.what)) {
            Sign::NumberStopped
        } else if down("uplink") {
            Sign::NoUplink
        } else if down("broker") {
            Sign::NoBroker
        } else if !gauges.clock_trusted {
            Sign::ClockUnsynced
        } else if gauges.oldest_seconds.is_some_and(|age| age >= BACKLOG) {
            Sign::Backlog
        } else {
            Sign::Healthy
        }
    }

    /// As boards' files name it.
    pub fn code(self) -> &'static str {
        match self {
            Sign::StickRefused => "stick-refused",
            Sign::StickRead => "stick-read",
            Sign::NumberStopped => "number-stopped",
            Sign::NoUplink => "no-uplink",
            Sign::NoBroker => "no-broker",
            Sign::ClockUnsynced => "clock-unsynced",
            Sign::Backlog => "backlog",
            Sign::Healthy => "healthy",
        }
    }
}

/// A light by its name below `/sys/class/leds`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Led(String);

impl Led {
    /// That of this name.
    pub fn named(name: &str) -> Led {
        Led(name.to_owned())
    }
}

/// What a light does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Light {
    /// Steadily lit.
    On,
    /// Dark.
    Off,
    /// Both in turn, at least a millisecond each.
    Blinks {
        /// Lit for so long,
        on: Duration,
        /// then dark for so long.
        off: Duration,
    },
}

/// What each light does at each sign. Without any there are none.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Lights(BTreeMap<Sign, BTreeMap<Led, Light>>);

impl Lights {
    /// At `sign`, `led` does this.
    pub fn set(&mut self, sign: Sign, led: Led, light: Light) {
        self.0.entry(sign).or_default().insert(led, light);
    }

    /// Whether the board has none.
    pub fn are_none(&self) -> bool {
        self.0.is_empty()
    }

    /// Every light that has a meaning, and what it does at `sign`: a sign without a line of its own is shown as `healthy` is, and a
    /// light that it does not name is dark. Without a sign all are dark.
    fn at(&self, sign: Option<Sign>) -> BTreeMap<&Led, Light> {
        let mut lights: BTreeMap<&Led, Light> =
            self.0.values().flat_map(BTreeMap::keys).map(|led| (led, Light::Off)).collect();
        let shown = sign.and_then(|sign| self.0.get(&sign).or_else(|| self.0.get(&Sign::Healthy)));
        lights.extend(shown.into_iter().flatten().map(|(led, light)| (led, *light)));
        lights
    }

    /// A line for each sign.
    pub fn explain(&self) -> Vec<String> {
        let line = |(sign, lights): (&Sign, &BTreeMap<Led, Light>)| {
            let lights = lights.iter().map(|(led, light)| match light {
                Light::On => format!("{} on", led.0),
                Light::Off => format!("{} off", led.0),
                Light::Blinks { on, off } => {
                    format!("{} blinks, {} ms on and {} ms off", led.0, on.as_millis(), off.as_millis())
                }
            });
            format!("light: {}: {}", sign.code(), lights.collect::<Vec<_>>().join(", "))
        };
        self.0.iter().map(line).collect()
    }
}

/// A light that is ours for the moment.
struct Held {
    folder: PathBuf,
    /// The kernel's trigger before.
    before: Option<String>,
    light: Light,
    lit: Option<bool>,
    /// When it changes next.
    due: Option<Instant>,
}

impl Held {
    fn take(folder: PathBuf) -> io::Result<Held> {
        let triggers = std::fs::read_to_string(folder.join("trigger")).unwrap_or_default();
        let before = triggers.split(['[', ']']).nth(1).filter(|name| *name != "none").map(str::to_owned);
        if before.is_some() {
            std::fs::write(folder.join("trigger"), "none")?;
        }
        let mut held = Held { folder, before, light: Light::Off, lit: None, due: None };
        held.set(false)?;
        Ok(held)
    }

    fn set(&mut self, lit: bool) -> io::Result<()> {
        if self.lit != Some(lit) {
            let most = std::fs::read_to_string(self.folder.join("max_brightness"));
            let most = most.ok().map_or("1".to_owned(), |text| text.trim().to_owned());
            std::fs::write(self.folder.join("brightness"), if lit { most.as_str() } else { "0" })?;
            self.lit = Some(lit);
        }
        Ok(())
    }

    /// From `now` on it does this.
    fn show(&mut self, light: Light, now: Instant) -> io::Result<()> {
        if self.light == light {
            return Ok(());
        }
        self.light = light;
        self.due = match light {
            Light::Blinks { on, .. } => Some(now + on),
            _ => None,
        };
        self.set(light != Light::Off)
    }

    /// What is due at `now`.
    fn blink(&mut self, now: Instant) -> io::Result<()> {
        let (Light::Blinks { on, off }, Some(due)) = (self.light, self.due) else { return Ok(()) };
        if due > now {
            return Ok(());
        }
        let lit = self.lit != Some(true);
        self.due = Some(now + if lit { on } else { off });
        self.set(lit)
    }

    fn give_back(&mut self) -> io::Result<()> {
        self.set(false)?;
        match &self.before {
            Some(trigger) => std::fs::write(self.folder.join("trigger"), trigger),
            None => Ok(()),
        }
    }
}

/// The lights that could be had.
pub struct Panel {
    lights: Lights,
    held: BTreeMap<Led, Held>,
}

impl Panel {
    /// Takes every light that has a meaning from the kernel; one that cannot be had is told and left out.
    pub fn take(lights: Lights, root: &Path) -> Panel {
        let mut held = BTreeMap::new();
        for led in lights.at(None).into_keys() {
            let folder = root.join(&led.0);
            match Held::take(folder.clone()) {
                Ok(light) => drop(held.insert(led.clone(), light)),
                Err(error) => info!(
                    "the light {} cannot be had: {error}; it must be there and belong to the group of the user that runs branchline",
                    folder.display()
                ),
            }
        }
        Panel { lights, held }
    }

    /// Shows `sign` as it is to be seen at `now`, and says when that changes by itself. No sign is darkness: nobody knows.
    ///
    /// # Errors
    /// A light is there no more.
    pub fn show(&mut self, sign: Option<Sign>, now: Instant) -> io::Result<Option<Instant>> {
        let at = self.lights.at(sign);
        for (led, held) in &mut self.held {
            held.show(at.get(led).copied().unwrap_or(Light::Off), now)?;
            held.blink(now)?;
        }
        Ok(self.held.values().filter_map(|held| held.due).min())
    }
}

/// Dark, and the kernel's again: however whoever shows it ends, unless it is killed.
impl Drop for Panel {
    fn drop(&mut self) {
        for held in self.held.values_mut() {
            // Whoever unplugged it has it back already.
            let _ = held.give_back();
        }
    }
}

/// Shows what `sign` says until its sender is gone; then gives the lights back.
pub async fn serve(mut panel: Panel, mut sign: watch::Receiver<Option<Sign>>) {
    loop {
        let shown = *sign.borrow_and_update();
        let next = match panel.show(shown, Instant::now()) {
            Ok(next) => next,
            Err(error) => return warn!("the lights are not shown any more: {error}"),
        };
        let wait = async {
            match next {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = sign.changed() => if changed.is_err() { break },
            () = wait => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// Two lights as the kernel shows them.
    fn root() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for led in ["ACT", "PWR"] {
            let folder = root.path().join(led);
            fs::create_dir(&folder).unwrap();
            for (name, text) in [("brightness", "1"), ("max_brightness", "255\n"), ("trigger", "none [mmc0] timer\n")] {
                fs::write(folder.join(name), text).unwrap();
            }
        }
        root
    }

    fn of(root: &tempfile::TempDir) -> [String; 2] {
        ["ACT", "PWR"].map(|led| fs::read_to_string(root.path().join(led).join("brightness")).unwrap())
    }

    fn lights() -> Lights {
        let mut lights = Lights::default();
        let blinks = |on, off| Light::Blinks { on: Duration::from_millis(on), off: Duration::from_millis(off) };
        for (sign, led, light) in [
            (Sign::Healthy, "ACT", Light::On),
            (Sign::NoBroker, "PWR", blinks(100, 900)),
            (Sign::NumberStopped, "PWR", Light::On),
        ] {
            lights.set(sign, Led::named(led), light);
        }
        lights
    }

    #[test]
    fn each_sign_is_shown_by_its_timetable_and_the_lights_are_given_back() {
        let root = root();
        let mut panel = Panel::take(lights(), root.path());
        let start = Instant::now();
        #[rustfmt::skip]
        let timetable = [
            // at so many ms, the sign is,     ACT,   PWR,  and it changes by itself at
            (0,    None,                       "0",   "0",   None),
            (1,    Some(Sign::Healthy),        "255", "0",   None),
            (2,    Some(Sign::Backlog),        "255", "0",   None), // no line of its own
            (3,    Some(Sign::NumberStopped),  "0",   "255", None),
            (10,   Some(Sign::NoBroker),       "0",   "255", Some(110)),
            (109,  Some(Sign::NoBroker),       "0",   "255", Some(110)),
            (110,  Some(Sign::NoBroker),       "0",   "0",   Some(1010)),
            (1009, Some(Sign::NoBroker),       "0",   "0",   Some(1010)),
            (1012, Some(Sign::NoBroker),       "0",   "255", Some(1112)),
            (1013, Some(Sign::Healthy),        "255", "0",   None),
            (1014, None,                       "0",   "0",   None),
        ];
        for (at, sign, act, pwr, due) in timetable {
            let next = panel.show(sign, start + Duration::from_millis(at)).unwrap();
            assert_eq!(of(&root), [act, pwr], "at {at} ms");
            assert_eq!(next.map(|next| (next - start).as_millis()), due, "at {at} ms");
            assert_eq!(fs::read_to_string(root.path().join("ACT/trigger")).unwrap(), "none");
        }
        panel.show(Some(Sign::Healthy), start).unwrap();
        drop(panel);
        assert_eq!(of(&root), ["0", "0"]);
        for led in ["ACT", "PWR"] {
            assert_eq!(fs::read_to_string(root.path().join(led).join("trigger")).unwrap(), "mmc0");
        }
    }

    #[test]
    fn the_most_urgent_is_shown() {
        use crate::message::Reason;
        use crate::operate::{Hold, LinkState};
        let link = |name: &str, up| LinkState { link: name.to_owned(), up, since: None, why: String::new() };
        let well = Gauges {
            clock_trusted: true,
            links: vec![link("broker", true), link("uplink", true)],
            ..Gauges::default()
        };
        let hold = |what: &str, loud| Hold {
            what: what.to_owned(),
            reason: Reason::TokenInvalid,
            since: None,
            until: None,
            note: String::new(),
            loud,
        };
        #[rustfmt::skip]
        let table = [
            (well.clone(), Sign::Healthy),
            (Gauges { oldest_seconds: Some(BACKLOG - 1), ..well.clone() }, Sign::Healthy),
            (Gauges { oldest_seconds: Some(BACKLOG), ..well.clone() }, Sign::Backlog),
            (Gauges { oldest_seconds: Some(BACKLOG), clock_trusted: false, ..well.clone() }, Sign::ClockUnsynced),
            (Gauges { clock_trusted: false, links: vec![link("broker", false)], ..well.clone() }, Sign::NoBroker),
            (Gauges { links: vec![link("broker", false), link("uplink", false)], ..well.clone() }, Sign::NoUplink),
            (Gauges { links: vec![link("notices", false)], ..well.clone() }, Sign::Healthy),
            (Gauges { holds: vec![hold(THE_NUMBER, true)], links: vec![link("uplink", false)], ..well.clone() }, Sign::NumberStopped),
            (Gauges { holds: vec![hold("everything", true)], ..well.clone() }, Sign::NumberStopped),
            (Gauges { holds: vec![hold("rule offers", true), hold("everything", false)], ..well.clone() }, Sign::Healthy),
        ];
        for (line, (gauges, sign)) in table.into_iter().enumerate() {
            assert_eq!(Sign::of(&gauges), sign, "line {line}");
        }
    }

    #[test]
    fn a_light_that_is_not_there_keeps_the_others_from_nothing() {
        let root = root();
        fs::remove_dir_all(root.path().join("PWR")).unwrap();
        let mut panel = Panel::take(lights(), root.path());
        panel.show(Some(Sign::Healthy), Instant::now()).unwrap();
        assert_eq!(fs::read_to_string(root.path().join("ACT/brightness")).unwrap(), "255");
    }
}
