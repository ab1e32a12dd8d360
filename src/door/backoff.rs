//! How long to wait before the next connection: capped, doubling, with full jitter.
//!
//! Floor: doors. Sleeps for nobody and reads no clock.

use std::time::Duration;

/// The delays between connection attempts of one link.
#[derive(Clone, Debug)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    stable: Duration,
    failures: u32,
}

impl Backoff {
    /// Doubles from `base` to `cap`; a connection that was up for `stable` starts again at `base`.
    pub fn new(base: Duration, cap: Duration, stable: Duration) -> Backoff {
        Backoff { base, cap, stable, failures: 0 }
    }

    /// The wait after a connection that was up for `up` (zero if it never came about). Anything from nothing to the ceiling
    /// is equally likely, so that hundreds of boxes that lost the same broker do not return together. A connection that dies
    /// at once does not reset: otherwise a broker that accepts and kicks is asked twice a second for ever.
    pub fn after(&mut self, up: Duration) -> Duration {
        if up >= self.stable {
            self.failures = 0;
        }
        let ceiling = self.ceiling();
        self.failures = self.failures.saturating_add(1);
        ceiling.mul_f64(fastrand::f64())
    }

    fn ceiling(&self) -> Duration {
        // 2^16 times any base of ours is above any cap.
        self.base.saturating_mul(1 << self.failures.min(16)).min(self.cap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceilings_double_to_the_cap_and_fall_only_after_a_stable_time() {
        let seconds = Duration::from_secs_f64;
        let mut backoff = Backoff::new(seconds(0.5), seconds(60.0), seconds(60.0));
        // How long the connection was up, and the ceiling of the wait after it.
        let table = [
            (0.0, 0.5),
            (0.0, 1.0),
            (0.0, 2.0),
            (59.9, 4.0), // dies too early: goes on doubling
            (0.0, 8.0),
            (0.0, 16.0),
            (0.0, 32.0),
            (0.0, 60.0),
            (0.0, 60.0),
            (60.0, 0.5), // stable
            (0.0, 1.0),
        ];
        for (up, ceiling) in table {
            let mut at = backoff.clone();
            if seconds(up) >= at.stable {
                at.failures = 0;
            }
            assert_eq!(at.ceiling(), seconds(ceiling), "after {up} s up");
            assert!(backoff.after(seconds(up)) <= seconds(ceiling));
        }
    }

    #[test]
    fn jitter_is_full() {
        let mut waits: Vec<f64> = (0..1_000)
            .map(|_| {
                Backoff::new(Duration::from_secs(1), Duration::from_secs(60), Duration::MAX)
                    .after(Duration::ZERO)
                    .as_secs_f64()
            })
            .collect();
        waits.sort_by(f64::total_cmp);
        // A thousand evenly spread values: the chance that either fails is below 10^-20.
        assert!(waits[50] < 0.2 && waits[950] > 0.8, "{} {}", waits[50], waits[950]);
    }
}
