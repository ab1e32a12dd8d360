//! What watches the daemon from outside, wired: the watchdog is petted while the engine's pulse beats; lights and service manager
//! are told how the box does.
//!
//! Floor: roof. Wiring only, it never decides: what a light says is the door's, what is alive the pulse's.

use crate::config::Board;
use crate::door::desk::Desk;
use crate::door::led::{self, Panel, Sign};
use crate::door::watchdog::{self, Pulse, Watchdog};
use crate::engine::{Inbox, Input};
use crate::operate::{Reply, Request, StatusReport};
use crate::status::show;
use serde::Deserialize;
use std::path::Path;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::task::{AbortHandle, JoinHandle};
use tracing::error;

/// Where the kernel shows lights and watchdogs.
const SYSFS: &str = "/sys";
/// Between two looks at how the box does: a technician waits no longer for a light.
const LOOK: Duration = Duration::from_secs(3);
/// How long the answer to a look may take: after it nobody knows how the box does.
const ANSWER: Duration = Duration::from_secs(10);

/// The watchdog in its task.
pub(super) struct Guard {
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

impl Guard {
    /// Takes whichever watchdog there is, and pets it while `pulse` beats.
    pub fn start(board: Option<&Board>, pulse: Pulse, inbox: Inbox) -> Option<Guard> {
        let dog = Watchdog::open(board.and_then(|board| board.watchdog.as_ref()), Path::new(SYSFS))?;
        let (stop, stopped) = oneshot::channel();
        Some(Guard { stop, ended: tokio::spawn(pet(dog, pulse, move || _ = inbox.tell(Input::Woke), stopped)) })
    }

    /// A clean stop: it acts for it no more.
    pub async fn stop(self) {
        // Whichever of both is gone, the task ends.
        let _ = self.stop.send(());
        let _ = self.ended.await;
    }
}

/// `wake` makes the engine step, however idle it is: so it shows that it can.
async fn pet(mut dog: Watchdog, pulse: Pulse, wake: impl Fn(), mut stop: oneshot::Receiver<()>) {
    let mut tick = tokio::time::interval(dog.period() / 4);
    let mut still = false;
    loop {
        tokio::select! {
            _ = &mut stop => return dog.disarm(),
            _ = tick.tick() => {}
        }
        let alive = pulse.is_alive(dog.period());
        if alive {
            dog.pet();
        } else if !still {
            error!(
                "the engine stands still, or commits nothing, for {} s: the watchdog acts soon",
                dog.period().as_secs()
            );
        }
        still = !alive;
        wake();
    }
}

/// Lights and service manager, as far as there are any.
pub(super) fn panel(board: Option<&Board>, desk: Desk<Request, Reply>) -> Vec<AbortHandle> {
    let (tell, told) = watch::channel(None);
    let lights = board.map(|board| board.lights.clone()).filter(|lights| !lights.are_none());
    if lights.is_none() && !watchdog::is_a_service() {
        return Vec::new();
    }
    let mut tasks = vec![tokio::spawn(look(desk, tell)).abort_handle()];
    if let Some(lights) = lights {
        let panel = Panel::take(lights, &Path::new(SYSFS).join("class/leds"));
        tasks.push(tokio::spawn(led::serve(panel, told)).abort_handle());
    }
    tasks
}

async fn look(desk: Desk<Request, Reply>, tell: watch::Sender<Option<Sign>>) {
    let mut tick = tokio::time::interval(LOOK);
    let mut shown = String::new();
    loop {
        tick.tick().await;
        let report = match desk.put(Request::Status, ANSWER).await {
            Ok(Reply::Data(data)) => StatusReport::deserialize(data).ok(),
            _ => None,
        };
        let sign = report.as_ref().map(|report| Sign::of(&report.gauges));
        tell.send_if_modified(|now| std::mem::replace(now, sign) != sign);
        let line = report.map_or_else(|| "the engine does not answer".to_owned(), |report| show::line(&report));
        if line != shown {
            watchdog::status(&line);
            shown = line;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::door::watchdog::Device;
    use std::cell::Cell;

    const PERIOD: Duration = Duration::from_secs(1);

    /// How often the device is petted in so many ticks, by an engine that steps the first few times that it is woken.
    fn petted(ticks: u32, steps: u32) -> String {
        let folder = tempfile::tempdir().unwrap();
        let device = Device { path: folder.path().join("watchdog"), timeout: PERIOD };
        std::fs::write(&device.path, "").unwrap();
        let (pulse, woken) = (Pulse::default(), Cell::new(0));
        let (stop, stopped) = oneshot::channel();
        let stop = Cell::new(Some(stop));
        let wake = || {
            woken.set(woken.get() + 1);
            if woken.get() <= steps {
                pulse.beat();
            }
            if woken.get() == ticks {
                stop.take().unwrap().send(()).unwrap();
            }
        };
        let dog = Watchdog::arm(&device, folder.path()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(pet(dog, pulse.clone(), wake, stopped));
        std::fs::read_to_string(&device.path).unwrap()
    }

    #[test]
    fn an_engine_that_stands_still_is_not_petted() {
        assert_eq!(petted(12, 12), "............V", "one that steps is, at every tick");
        // It stands still from the fifth tick on: a period later, four ticks and what a busy machine adds, nothing more comes.
        let seen = petted(30, 4);
        assert!((4..=12).contains(&seen.len()) && seen.ends_with('V'), "{seen}");
    }
}
