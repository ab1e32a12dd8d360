//! The clock: the only place that reads one. Everybody else receives time as an argument.
//!
//! Floor: doors. Never sets the system clock; knows no rule that depends on time.
//!
//! ```text
//! Unsynced ──a `Date` from a verified uplink──► Trusted, continuing on the monotonic clock
//!     └──────time sync───────────────────────► Trusted, following the system clock (from either state)
//! ```

use crate::time::{Clock, Mono, Now, Wall};
use rustls_pki_types::UnixTime;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// systemd-timesyncd creates it at the first synchronisation of this boot (systemd-timesyncd.service(8)).
///
/// The kernel knows as well (`adjtimex`), but no kept crate reads that without `unsafe`: rustix has no such call and
/// clock-steering drops the status. A box whose time comes from chrony or ntpd is therefore trusted from the first
/// verified `Date` on; it loses nothing but the minutes before its first contact with the API.
const SYNCHRONIZED: &str = "/run/systemd/timesync/synchronized";
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// A `Date` header is whole seconds and has travelled: closer than this it says the same as the clock it is compared with.
const SAME: i64 = 2_000;
/// How long "not synchronised" is believed before the file is looked for again.
const LOOK_AGAIN: i64 = 1_000;
/// No value yet, in an atomic that cannot be an `Option`.
const NONE: i64 = i64::MIN;

/// A cheap handle on the clocks of this box. Clones share what was confirmed and stored.
#[derive(Clone, Debug)]
pub struct SystemClock(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    belief: Belief,
    synchronized: PathBuf,
    boot_id: String,
}

/// What has been learned about the wall clock. Milliseconds; each field is complete in itself, so relaxed order will do.
#[derive(Debug)]
struct Belief {
    /// Wall clock minus monotonic clock, as a verified `Date` settled it.
    settled: AtomicI64,
    /// The last instant that the store holds.
    stored: AtomicI64,
    /// Time sync was seen; it holds until power-off.
    synced: AtomicBool,
    /// When to look for time sync next, on the monotonic clock.
    look: AtomicI64,
}

/// One reading of what the box has: the monotonic clock and the system's wall clock, in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Reading {
    mono: i64,
    system: i64,
}

impl Belief {
    fn new(last_stored: Option<Wall>) -> Belief {
        Belief {
            settled: AtomicI64::new(NONE),
            stored: AtomicI64::new(last_stored.map_or(NONE, |at| at.0)),
            synced: AtomicBool::new(false),
            look: AtomicI64::new(NONE),
        }
    }

    /// Time sync beats a `Date`: it is finer, and it keeps the system clock right from then on.
    fn wall(&self, at: Reading, synced: bool) -> Clock {
        let settled = self.settled.load(Ordering::Relaxed);
        match (synced, settled) {
            (true, _) => Clock::Trusted(Wall(at.system)),
            (false, NONE) => Clock::Unsynced(Wall(at.system)),
            (false, settled) => Clock::Trusted(Wall(at.mono.saturating_add(settled))),
        }
    }

    /// Keeps the finest clock that agrees with `date`: what was settled before, else the system clock, else `date` itself.
    fn confirm(&self, at: Reading, date: Wall) {
        let agrees = |wall: i64| wall.abs_diff(date.0) <= SAME.unsigned_abs();
        let settled = self.settled.load(Ordering::Relaxed);
        if settled != NONE && agrees(at.mono.saturating_add(settled)) {
            return;
        }
        let wall = if agrees(at.system) { at.system } else { date.0 };
        self.settled.store(wall.saturating_sub(at.mono), Ordering::Relaxed);
    }

    fn synced(&self, at: Reading, marker: &Path) -> bool {
        if self.synced.load(Ordering::Relaxed) {
            return true;
        }
        if at.mono < self.look.load(Ordering::Relaxed) {
            return false;
        }
        self.look.store(at.mono.saturating_add(LOOK_AGAIN), Ordering::Relaxed);
        let synced = marker.exists();
        self.synced.store(synced, Ordering::Relaxed);
        synced
    }
}

impl SystemClock {
    /// A clock that nobody has confirmed yet. `last_stored` is the last instant that the store holds: whatever the wall
    /// clock says, it is later than that.
    pub fn start(last_stored: Option<Wall>) -> SystemClock {
        SystemClock::start_with(last_stored, Path::new(SYNCHRONIZED))
    }

    /// As [`start`](Self::start), taking the file whose presence means "synchronised" from elsewhere.
    pub fn start_with(last_stored: Option<Wall>, synchronized: &Path) -> SystemClock {
        SystemClock(Arc::new(Shared {
            belief: Belief::new(last_stored),
            synchronized: synchronized.to_owned(),
            boot_id: boot_id(Path::new(BOOT_ID)),
        }))
    }

    /// Both clocks, read once.
    pub fn now(&self) -> Now {
        let at = read();
        let synced = self.0.belief.synced(at, &self.0.synchronized);
        Now { mono: Mono(at.mono.unsigned_abs()), wall: self.0.belief.wall(at, synced) }
    }

    /// A `Date` from a verified uplink: the wall clock is trusted from here on. If the system clock differs by more than
    /// two seconds, ours continues from that date on the monotonic clock (the system's own is never set).
    pub fn confirm(&self, date: Wall) {
        self.0.belief.confirm(read(), date);
    }

    /// The wall time of something that was just committed: from now on a lower bound for verification.
    pub fn stored(&self, at: Wall) {
        self.0.belief.stored.fetch_max(at.0, Ordering::Relaxed);
    }

    /// What certificates are verified against: the latest of the wall clock, the last stored instant and the build, so that
    /// a box that wakes in 1970 still reaches broker and API. An expired certificate never becomes valid by it.
    pub fn verification_time(&self) -> Wall {
        let stored = Wall(self.0.belief.stored.load(Ordering::Relaxed));
        self.now().wall.reading().max(stored).max(built())
    }

    /// The kernel's id of this boot; where there is none, a random one that lasts as long as the process.
    pub fn boot_id(&self) -> &str {
        &self.0.boot_id
    }
}

impl rustls::time_provider::TimeProvider for SystemClock {
    fn current_time(&self) -> Option<UnixTime> {
        let since_epoch = u64::try_from(self.verification_time().0).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_millis(since_epoch)))
    }
}

/// The boot clock goes on while the box is suspended, std's `Instant` does not: a limit would otherwise last longer
/// than it says. The wall clock comes through the C library, where a test (faketime) can stand in its way.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
fn read() -> Reading {
    let boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let system = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => crate::time::millis(since),
        Err(before) => crate::time::millis(before.duration()).saturating_neg(),
    };
    Reading { mono: boot.tv_sec.saturating_mul(1_000).saturating_add(boot.tv_nsec / 1_000_000), system }
}

/// When this program was built, from `BRANCHLINE_BUILD_TIME` (Unix seconds) at compile time; 1970 where it was not set, which only
/// means that a box without clock and store must wait for time sync.
fn built() -> Wall {
    let seconds: i64 = option_env!("BRANCHLINE_BUILD_TIME").and_then(|text| text.parse().ok()).unwrap_or(0);
    Wall(seconds.saturating_mul(1_000))
}

fn boot_id(file: &Path) -> String {
    match std::fs::read_to_string(file) {
        Ok(id) if !id.trim().is_empty() => id.trim().to_owned(),
        _ => format!("{:032x}", fastrand::u128(..)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IN_2026: i64 = 1_795_000_000_000;

    #[test]
    fn wall_clock_through_a_day_without_time_sync() {
        // One row: what the box shows (mono, system), a `Date` that comes just then, what we say.
        let table: &[(&str, i64, i64, Option<i64>, Clock)] = &[
            ("wakes in 1970, nobody vouches", 0, 5_000, None, Clock::Unsynced(Wall(5_000))),
            ("system clock moves, still nobody", 1_000, 9_000, None, Clock::Unsynced(Wall(9_000))),
            ("a Date far away settles it", 2_000, 10_000, Some(IN_2026), Clock::Trusted(Wall(IN_2026))),
            ("continues on the monotonic clock", 3_000, 11_000, None, Clock::Trusted(Wall(IN_2026 + 1_000))),
            ("a jump changes nothing", 4_000, IN_2026 * 2, None, Clock::Trusted(Wall(IN_2026 + 2_000))),
            (
                "a Date within 2 s is only coarser",
                5_000,
                0,
                Some(IN_2026 + 5_000),
                Clock::Trusted(Wall(IN_2026 + 3_000)),
            ),
            (
                "a Date beyond 2 s settles it anew, by the system clock where that agrees",
                6_000,
                IN_2026 + 60_700,
                Some(IN_2026 + 60_000),
                Clock::Trusted(Wall(IN_2026 + 60_700)),
            ),
            ("… and continues from there", 7_000, 0, None, Clock::Trusted(Wall(IN_2026 + 61_700))),
        ];
        let belief = Belief::new(None);
        for (why, mono, system, date, said) in table {
            let at = Reading { mono: *mono, system: *system };
            if let Some(date) = date {
                belief.confirm(at, Wall(*date));
            }
            assert_eq!(belief.wall(at, false), *said, "{why}");
        }
    }

    #[test]
    fn time_sync_follows_the_system_clock_even_after_a_date() {
        let belief = Belief::new(None);
        belief.confirm(Reading { mono: 0, system: 0 }, Wall(IN_2026));
        let later = Reading { mono: 1_000, system: IN_2026 + 90_000 };
        assert_eq!(belief.wall(later, true), Clock::Trusted(Wall(IN_2026 + 90_000)));
    }

    #[test]
    fn the_marker_is_looked_for_once_a_second_and_then_believed() {
        let folder = tempfile::tempdir().unwrap();
        let marker = folder.path().join("synchronized");
        let belief = Belief::new(None);
        let at = |mono| Reading { mono, system: 0 };
        assert!(!belief.synced(at(0), &marker));
        std::fs::write(&marker, "").unwrap();
        assert!(!belief.synced(at(999), &marker), "not looked for again within the second");
        assert!(belief.synced(at(1_000), &marker));
        std::fs::remove_file(&marker).unwrap();
        assert!(belief.synced(at(5_000), &marker), "holds until power-off");
    }

    #[test]
    fn real_clock_is_unsynced_until_confirmed_and_shared_by_clones() {
        let clock = SystemClock::start_with(None, Path::new("/nonexistent/synchronized"));
        let other = clock.clone();
        let Clock::Unsynced(wall) = clock.now().wall else { panic!("nobody has vouched for it") };
        other.confirm(wall + Duration::from_secs(86_400));
        let told = clock.now().wall.trusted().unwrap();
        assert!(told >= wall + Duration::from_secs(86_400));
        let before = clock.now().mono;
        assert!(before.0 > 0 && other.now().mono >= before);
        assert_eq!(clock.boot_id(), other.boot_id());
    }

    #[test]
    fn verification_takes_the_latest() {
        let clock = SystemClock::start_with(Some(Wall(0)), Path::new("/nonexistent/synchronized"));
        let wall = clock.now().wall.reading();
        assert!(clock.verification_time() >= wall.max(built()));
        let future = wall + Duration::from_secs(86_400 * 365);
        clock.stored(future);
        clock.stored(Wall(1));
        assert_eq!(clock.verification_time(), future, "a lower bound never sinks");
    }

    #[test]
    fn a_boot_id_is_read_or_made_up() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("boot_id");
        std::fs::write(&file, "0b1c-22\n").unwrap();
        assert_eq!(boot_id(&file), "0b1c-22");
        let missing = folder.path().join("missing");
        assert_ne!(boot_id(&missing), boot_id(&missing));
    }
}
