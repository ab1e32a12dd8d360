//! The watchdogs, petted only while the engine steps and commits: systemd's where it started the daemon, else the box's own
//! (`/dev/watchdog`); and what else a service manager likes to know.
//!
//! Floor: doors. Never pets for an engine that stands still, never sets a timeout: that is the unit's or the driver's.
//!
//! A watchdog ends what does not go on: systemd the process, the device the whole box. So it is about progress, not about
//! trouble: a full disk is told and waited for (a restart frees nothing), a store that takes nothing for another reason is not.

use sd_notify::NotifyState;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// How long a store may take to be copied to a new file after a failed sync: 256 MiB (`outbox.max_bytes`, default) at 1 MiB/s,
/// which the slowest cards reach.
const COPY: Duration = Duration::from_secs(256);
/// Any byte but this one pets the device; this one, then closing it, disarms it (Linux, watchdog-api: "magic close").
const DISARM: &[u8] = b"V";
/// The one that `/dev/watchdog` is.
const FIRST: &str = "watchdog0";

/// The engine's sign of life. Clones are one.
#[derive(Clone)]
pub struct Pulse {
    origin: Instant,
    /// Milliseconds since `origin`.
    beat: Arc<AtomicU64>,
    copying: Arc<AtomicBool>,
}

impl Default for Pulse {
    fn default() -> Pulse {
        Pulse { origin: Instant::now(), beat: Arc::default(), copying: Arc::default() }
    }
}

impl Pulse {
    /// The engine stepped, and what there was to write is committed.
    pub fn beat(&self) {
        self.beat.store(self.millis(), Ordering::Relaxed);
        self.copying.store(false, Ordering::Relaxed);
    }

    /// The engine copies the store to a new file: that may take a while, counted from the last beat.
    pub fn copies(&self) {
        self.copying.store(true, Ordering::Relaxed);
    }

    /// Whether the last beat is not older than `period`.
    pub fn is_alive(&self, period: Duration) -> bool {
        let patience = if self.copying.load(Ordering::Relaxed) { period.max(COPY) } else { period };
        let age = self.millis().saturating_sub(self.beat.load(Ordering::Relaxed));
        u128::from(age) <= patience.as_millis()
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// The box's own watchdog, as its board describes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Device {
    /// `/dev/watchdog`
    pub path: PathBuf,
    /// After how long it resets the box. What the driver says of itself (`/sys/class/watchdog/…/timeout`) comes first.
    pub timeout: Duration,
}

/// What is to be petted.
#[derive(Debug)]
pub enum Watchdog {
    /// systemd's `WatchdogSec=`.
    Service {
        /// After it the daemon is ended.
        period: Duration,
    },
    /// The device, open and armed.
    Box {
        /// Where petting goes.
        file: File,
        /// After it the box is reset.
        period: Duration,
        /// The last petting failed, and that was told.
        failed: bool,
    },
}

impl Watchdog {
    /// systemd's where it asks for one, else the device of the board where no service manager is: below one the device is the
    /// manager's. `None` where nothing wants to be petted, or the device cannot be had, which is told.
    pub fn open(device: Option<&Device>, sysfs: &Path) -> Option<Watchdog> {
        if let Some(period) = sd_notify::watchdog_enabled() {
            return Some(Watchdog::Service { period });
        }
        match device.filter(|_| !is_a_service()).map(|device| Watchdog::arm(device, sysfs))? {
            Ok(armed) => Some(armed),
            Err(why) => {
                warn!("{why}");
                None
            }
        }
    }

    /// Opens the device, which arms it.
    ///
    /// # Errors
    /// Why it cannot be had, for a person.
    pub fn arm(device: &Device, sysfs: &Path) -> Result<Watchdog, String> {
        let Device { path, timeout } = device;
        let file = File::options().write(true).open(path).map_err(|error| {
            let fix = match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
                Some(rustix::io::Errno::BUSY) => "another program pets it, and guards the box".to_owned(),
                Some(rustix::io::Errno::ACCESS) => {
                    "give the user that runs branchline the right to write it".to_owned()
                }
                _ => "see the board's file, table [board.watchdog]".to_owned(),
            };
            format!("the box is not guarded: {} cannot be opened: {error}; {fix}", path.display())
        })?;
        let period = by_the_driver(path, sysfs).unwrap_or(*timeout);
        info!("the box is reset by {} when nothing goes on for {} s", path.display(), period.as_secs());
        Ok(Watchdog::Box { file, period, failed: false })
    }

    /// After so long without petting it acts.
    pub fn period(&self) -> Duration {
        match self {
            Watchdog::Service { period } | Watchdog::Box { period, .. } => *period,
        }
    }

    /// To be called every quarter of the period, and only while the engine is alive.
    pub fn pet(&mut self) {
        match self {
            Watchdog::Service { .. } => tell(NotifyState::Watchdog),
            Watchdog::Box { file, failed, .. } => {
                let petted = file.write_all(b".");
                if let Err(error) = &petted
                    && !*failed
                {
                    warn!("the box's watchdog cannot be petted, it will reset the box: {error}");
                }
                *failed = petted.is_err();
            }
        }
    }

    /// A clean stop: nothing is reset for it. Dropped without, a device stays armed, as after a crash: whoever starts the daemon
    /// again has its period for it.
    pub fn disarm(self) {
        if let Watchdog::Box { mut file, .. } = self {
            match file.write_all(DISARM) {
                Ok(()) => info!("the box's watchdog is disarmed"),
                Err(error) => warn!("the box's watchdog cannot be disarmed, it will reset the box: {error}"),
            }
        }
    }
}

/// The service manager: everything is open, events may come.
pub fn ready() {
    tell(NotifyState::Ready);
}

/// The service manager: one line about the daemon, as `systemctl status` shows it.
pub fn status(line: &str) {
    tell(NotifyState::Status(line));
}

/// The service manager: it ends because it was asked to.
pub fn stopping() {
    tell(NotifyState::Stopping);
}

/// Whether a service manager listens.
pub fn is_a_service() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some_and(|socket| !socket.is_empty())
}

fn tell(what: NotifyState<'_>) {
    // Nobody listens without a manager; one that went away while we run takes us with it.
    if let Err(error) = sd_notify::notify(&[what]) {
        tracing::debug!("the service manager was not told: {error}");
    }
}

/// The timeout that is in force, in whole seconds: of `/dev/watchdog1` by its own name, `/dev/watchdog` is the first one.
fn by_the_driver(device: &Path, sysfs: &Path) -> Option<Duration> {
    let name = device.file_name()?.to_str()?;
    let name = if name == "watchdog" { FIRST } else { name };
    let read: io::Result<String> = std::fs::read_to_string(sysfs.join("class/watchdog").join(name).join("timeout"));
    let seconds: u64 = read.ok()?.trim().parse().ok()?;
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn folder() -> (tempfile::TempDir, Device) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("watchdog");
        std::fs::write(&path, "").unwrap();
        (folder, Device { path, timeout: Duration::from_secs(15) })
    }

    #[test]
    fn the_device_is_petted_and_disarmed_by_the_magic_close() {
        let (folder, device) = folder();
        let mut dog = Watchdog::arm(&device, folder.path()).unwrap();
        dog.pet();
        dog.pet();
        let read = || std::fs::read_to_string(&device.path).unwrap();
        assert_eq!(read(), "..");
        dog.disarm();
        assert_eq!(read(), "..V", "the last byte before it is closed");
    }

    #[test]
    fn a_daemon_that_dies_leaves_the_device_armed() {
        let (folder, device) = folder();
        // A pipe shows what the device sees, closing included.
        let (mut reader, writer) = std::io::pipe().unwrap();
        let file = File::from(std::os::fd::OwnedFd::from(writer));
        let mut dog = Watchdog::Box { file, period: device.timeout, failed: false };
        dog.pet();
        drop(dog);
        let mut seen = String::new();
        reader.read_to_string(&mut seen).unwrap();
        assert_eq!(seen, ".", "without the byte that disarms");
        drop(folder);
    }

    #[test]
    fn the_drivers_own_period_comes_before_the_boards() {
        let (folder, device) = folder();
        assert_eq!(Watchdog::arm(&device, folder.path()).unwrap().period(), Duration::from_secs(15));
        let of = folder.path().join("class/watchdog/watchdog0");
        std::fs::create_dir_all(&of).unwrap();
        for (text, seconds) in [("60\n", 60), ("0\n", 15), ("soon\n", 15)] {
            std::fs::write(of.join("timeout"), text).unwrap();
            assert_eq!(Watchdog::arm(&device, folder.path()).unwrap().period(), Duration::from_secs(seconds), "{text}");
        }
    }

    #[test]
    fn a_device_that_cannot_be_had_is_told_with_what_to_do() {
        let (folder, device) = folder();
        let absent = Device { path: folder.path().join("absent"), ..device };
        let why = Watchdog::arm(&absent, folder.path()).unwrap_err();
        assert!(why.contains("not guarded") && why.contains("[board.watchdog]"), "{why}");
    }

    #[test]
    fn an_engine_that_stands_still_is_not_alive_and_a_copy_has_its_time() {
        let pulse = Pulse::default();
        pulse.beat();
        assert!(pulse.is_alive(Duration::from_secs(15)));
        let before = Pulse { origin: Instant::now() - Duration::from_secs(100), ..pulse.clone() };
        assert!(!before.is_alive(Duration::from_secs(15)), "its last beat is 100 s old");
        before.copies();
        assert!(before.is_alive(Duration::from_secs(15)), "a copy takes its time");
        let long = Pulse { origin: Instant::now() - COPY - Duration::from_secs(2), ..before.clone() };
        assert!(!long.is_alive(Duration::from_secs(15)), "but not for ever");
        long.beat();
        assert!(long.is_alive(Duration::from_secs(15)));
    }
}
