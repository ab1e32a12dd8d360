//! Time as a value: what the doors read once and everything else receives as an argument.
//!
//! Floor: words. Never reads a clock (see `door::clock`).

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Milliseconds of the monotonic clock, from an arbitrary origin within this boot. Stops at power-off.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Mono(pub u64);

impl Mono {
    /// The time from `earlier` to here; zero if `earlier` is later.
    pub fn since(self, earlier: Mono) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for Mono {
    type Output = Mono;
    fn add(self, by: Duration) -> Mono {
        Mono(self.0.saturating_add(millis(by) as u64))
    }
}

/// Milliseconds of box time: starts at 0 with the store, never goes backward, and no jump of the wall clock changes it.
/// Limits, caps, holds and back-off run on it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct BoxTime(pub i64);

impl BoxTime {
    /// The time from `earlier` to here; zero if `earlier` is later.
    pub fn since(self, earlier: BoxTime) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0).max(0) as u64)
    }
}

impl std::ops::Add<Duration> for BoxTime {
    type Output = BoxTime;
    fn add(self, by: Duration) -> BoxTime {
        BoxTime(self.0.saturating_add(millis(by)))
    }
}

/// Milliseconds since 1970-01-01T00:00:00Z by some wall clock, good or bad.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct Wall(pub i64);

impl std::ops::Add<Duration> for Wall {
    type Output = Wall;
    fn add(self, by: Duration) -> Wall {
        Wall(self.0.saturating_add(millis(by)))
    }
}

impl Wall {
    /// RFC 3339 in UTC with milliseconds, as receipts, exports and logs print it.
    pub fn rfc3339(self) -> String {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) => format!("{at:.3}"),
            Err(_) => format!("{} ms", self.0),
        }
    }
}

/// What the wall clock says, and whether it may be believed.
///
/// A box without a clock chip wakes in the past: until time sync or a verified uplink vouches for it, the clock is `Unsynced`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clock {
    /// Confirmed by time sync or by a `Date` from a verified uplink.
    Trusted(Wall),
    /// Nobody has confirmed it. What depends on the wall clock waits; critical messages go.
    Unsynced(Wall),
}

impl Clock {
    /// The reading, believed or not: for display and for the lower bound of TLS verification.
    pub fn reading(self) -> Wall {
        match self {
            Clock::Trusted(at) | Clock::Unsynced(at) => at,
        }
    }

    /// The reading, if it may be believed.
    pub fn trusted(self) -> Option<Wall> {
        match self {
            Clock::Trusted(at) => Some(at),
            Clock::Unsynced(_) => None,
        }
    }
}

/// One reading of both clocks, taken by the doors once per batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    /// For advancing box time.
    pub mono: Mono,
    /// For expiry, quiet hours and what people read.
    pub wall: Clock,
}

/// What rooms receive as "now".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moment {
    /// For limits, holds, back-off and retention.
    pub boxed: BoxTime,
    /// For expiry, quiet hours and what people read.
    pub wall: Clock,
}

/// A duration as whole milliseconds, saturating (a duration of 292 million years does not occur in a configuration).
pub fn millis(of: Duration) -> i64 {
    i64::try_from(of.as_millis()).unwrap_or(i64::MAX)
}
