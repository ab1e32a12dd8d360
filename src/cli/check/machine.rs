//! The box itself: the store's disk, and the clock against the platform's.
//!
//! Floor: roof. Never opens the store: a daemon may have it.

use super::online::{Said, Trial};
use crate::config::Config;
use crate::door::trial::syncs;
use crate::outbox::free_space;
use crate::status::show;
use crate::time::Wall;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

const PART: &str = "box";
/// Writes with a sync, to see more than one.
const SYNCS: usize = 5;
const DISK: Duration = Duration::from_secs(10);
/// A commit waits for one: slower ones hold every event up.
const SLOW: Duration = Duration::from_millis(100);
/// Seconds between our clock and the platform's that the way and the header's whole seconds explain.
const APART: i64 = 5;

/// When the store was last written, by its file.
pub(super) fn last_written(store: &Path) -> Option<Wall> {
    let at = std::fs::metadata(store).and_then(|file| file.modified()).ok()?;
    Some(Wall(crate::time::millis(at.duration_since(UNIX_EPOCH).ok()?)))
}

/// `ahead`: by how many milliseconds our clock is ahead of the platform's.
pub(super) async fn attempt(trial: &mut Trial<'_>, config: &Config, ahead: Option<i64>) {
    let store = &config.rooms.outbox.path;
    // Whole, so that a "." says where it is.
    let whole = std::path::absolute(store).unwrap_or_else(|_| store.clone());
    let folder = whole.parent().unwrap_or(Path::new("/")).to_owned();
    let late = "The disk hangs, or is worn out: replace it.";
    trial.step((PART, "disk"), DISK, late, disk(folder.clone())).await;
    let size = std::fs::metadata(store).map_or(0, |file| file.len());
    let space = space(&folder, config, size);
    trial.step((PART, "space"), DISK, late, async { space.map(|said| ((), said)) }).await;
    match ahead {
        Some(ahead) => {
            trial.step((PART, "clock"), DISK, "", async { Ok(((), apart(ahead))) }).await;
        }
        None => trial.not_tried((PART, "clock"), "needs the date of a platform whose certificate is verified"),
    }
}

async fn disk(folder: PathBuf) -> Result<((), Said), Said> {
    let shown = folder.display().to_string();
    let times = tokio::task::spawn_blocking(move || syncs(&folder, SYNCS))
        .await
        .map_err(|ended| Said::no(format!("the disk could not be tried: {ended}"), "Report this as a bug."))?;
    let times = times.map_err(|why| {
        let fix = match why.kind() {
            io::ErrorKind::NotFound => "Make the folder of outbox.path, and give it to the user that runs branchline.",
            io::ErrorKind::PermissionDenied => {
                "Run the check as the daemon's user (sudo -u branchline), or give it the folder."
            }
            _ => "The store needs a disk that takes writes.",
        };
        Said::no(format!("{shown} cannot be written: {why}"), fix)
    })?;
    let ms = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1000.0);
    let (usual, worst) = (times[times.len() / 2], times[times.len() - 1]);
    let found = format!("{shown}: a synced write takes {}, at most {}", ms(usual), ms(worst));
    Ok((
        (),
        if usual > SLOW {
            Said::warning(found, "Every commit waits for one: a card or disk made for many small writes is quicker.")
        } else {
            Said::fine(found)
        },
    ))
}

/// `size` is what the store takes already.
fn space(folder: &Path, config: &Config, size: u64) -> Result<Said, Said> {
    let free = free_space(folder).map_err(|why| Said::no(format!("{}: {why}", folder.display()), ""))?;
    let most = config.rooms.outbox.max_bytes;
    let found = format!("{} free, and the store may grow to {}", show::bytes(free), show::bytes(most));
    let fix = "Free some space, or lower outbox.max_bytes: on a full disk nothing is acknowledged and nothing is sent.";
    Ok(if free < most.saturating_sub(size) { Said::warning(found, fix) } else { Said::fine(found) })
}

fn apart(millis: i64) -> Said {
    let seconds = millis / 1000;
    if seconds.abs() <= APART {
        return Said::fine("agrees with the platform's");
    }
    let (by, way) = (show::age(seconds.unsigned_abs()), if seconds > 0 { "fast" } else { "slow" });
    Said::warning(
        format!("is {by} {way}, by the platform's"),
        "Let time sync run (timedatectl set-ntp true): the daemon corrects itself once it has reached the platform, tills and \
         logs do not.",
    )
}
