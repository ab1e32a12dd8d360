//! Trying what the daemon will rely on, one step at a time, for `branchline check --online`: names, connections, handshakes,
//! the disk. What needs a door's own parts is tried by that door: `mqtt::visit`, `uplink::Question`.
//!
//! Floor: doors. Each step is one future or call and leaves nothing behind; judges nothing and prints nothing.

mod disk;
mod line;

pub use disk::syncs;
pub use line::{Handshake, Line, connect, handshake, look_up, tunnel};

use std::future::Future;
use std::time::Duration;
use tokio::time::Instant;

/// How long the whole trial may take.
#[derive(Clone, Copy, Debug)]
pub struct Bound(Instant);

impl Bound {
    /// So long from now.
    pub fn of(whole: Duration) -> Bound {
        Bound(Instant::now() + whole)
    }

    /// Runs one step for at most `within`, and never beyond the whole: the time it took, and what came of it unless that was up.
    pub async fn step<T>(self, within: Duration, what: impl Future<Output = T>) -> (Duration, Option<T>) {
        let begun = Instant::now();
        let ended = tokio::time::timeout_at(self.0.min(begun + within), what).await.ok();
        (begun.elapsed(), ended)
    }

    /// Whether the whole is up.
    pub fn is_up(self) -> bool {
        Instant::now() >= self.0
    }
}
