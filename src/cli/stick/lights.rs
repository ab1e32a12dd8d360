//! The lights of the box while a stick is taken over or refused.
//!
//! Floor: roof. Shows what it is told and decides nothing; the kernel has its lights again when it ends.

use super::super::house::runtime;
use crate::door::led::{self, Lights, Panel, Sign};
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;

/// The board's lights, which a thread shows: what is done here waits for files, networks and other processes, and they blink meanwhile.
pub(super) struct Shown {
    sign: Option<watch::Sender<Option<Sign>>>,
    shows: Option<JoinHandle<()>>,
}

impl Shown {
    /// That a stick is being read, from now on; nothing where there are no lights.
    pub fn start(lights: Lights, root: &Path) -> Option<Shown> {
        if lights.are_none() {
            return None;
        }
        let (runtime, panel) = (runtime().ok()?, Panel::take(lights, root));
        let (sign, told) = watch::channel(Some(Sign::StickRead));
        let shows = std::thread::Builder::new().name("lights".into());
        let shows = shows.spawn(move || runtime.block_on(led::serve(panel, told))).ok()?;
        Some(Shown { sign: Some(sign), shows: Some(shows) })
    }

    /// That it was refused, for so long.
    pub fn refused(&self, time: Duration) {
        if let (Some(sign), Ok(runtime)) = (&self.sign, runtime()) {
            sign.send_replace(Some(Sign::StickRefused));
            runtime.block_on(async { tokio::time::sleep(time).await });
        }
    }
}

/// The kernel has its lights again.
impl Drop for Shown {
    fn drop(&mut self) {
        self.sign = None;
        // If it ended before, by its own fault, the lights are given back.
        let _ = self.shows.take().map(JoinHandle::join);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::door::clock::SystemClock;
    use crate::door::led::{Led, Light};
    use std::fs;

    /// Found on a whole Debian (tests/box): the light was lit at the start of it, and blinked only once the stick was refused.
    #[test]
    fn a_light_blinks_while_a_stick_is_read() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join("ACT").join(name);
        fs::create_dir(root.path().join("ACT")).unwrap();
        for (name, text) in [("brightness", "1"), ("max_brightness", "1"), ("trigger", "none [mmc0]")] {
            fs::write(at(name), text).unwrap();
        }
        let mut lights = Lights::default();
        let (on, off) = (Duration::from_millis(20), Duration::from_millis(20));
        lights.set(Sign::StickRead, Led::named("ACT"), Light::Blinks { on, off });
        let (shown, clock) = (Shown::start(lights, root.path()).unwrap(), SystemClock::start(None));
        let (began, mut seen) = (clock.now().mono, vec![String::new()]);
        while seen.len() < 7 {
            assert!(clock.now().mono.since(began) < Duration::from_secs(20), "{seen:?}");
            // Between the emptying and the writing of a file that is none of the kernel's nothing is in it.
            let now = fs::read_to_string(at("brightness")).unwrap();
            if !now.is_empty() && seen.last() != Some(&now) {
                seen.push(now);
            }
        }
        // Dark: it has no light of its own here.
        shown.refused(Duration::from_millis(200));
        while fs::read_to_string(at("brightness")).unwrap() != "0" {
            assert!(clock.now().mono.since(began) < Duration::from_secs(40));
        }
        drop(shown);
        assert_eq!(fs::read_to_string(at("trigger")).unwrap(), "mmc0");
        assert!(Shown::start(Lights::default(), root.path()).is_none());
    }
}
