//! What `pace` is set up with.
//!
//! Floor: rooms. Filled by `config`.

use super::{Caps, Load};
use std::time::Duration;

/// Everything that pace needs to know. `None` is a limit that was switched off by "off".
#[derive(Clone, Debug)]
pub struct Settings {
    /// `limits.share`: this box's part of what the platform allows the number, and the whole.
    pub share: (u64, u64),
    /// `limits.sender_per_second`, share applied: 1 to `limits::SENDER_PER_SECOND_MAX`.
    pub sender_per_second: Option<u32>,
    /// `limits.pair_interval`
    pub pair_interval: Option<Duration>,
    /// `limits.pair_burst`: 1 to 45.
    pub pair_burst: u32,
    /// `limits.daily_recipients` and `daily_reserve`, share applied.
    pub daily: Option<Daily>,
    /// `limits.daily_messages`, share applied.
    pub daily_messages: Option<u64>,
    /// `limits.caps`
    pub caps: Caps,
    /// `uplink.max_in_flight`
    pub max_in_flight: usize,
    /// `uplink.timeout`: by then the platform has received a request, or never will.
    pub timeout: Duration,
    /// `uplink.pause`
    pub pause: bool,
}

impl Settings {
    /// This box's part of `all`, rounded down so that all boxes together stay within the whole.
    pub fn share_of(&self, all: u32) -> u32 {
        let (part, whole) = self.share;
        u32::try_from(u64::from(all) * part / whole.max(1)).unwrap_or(u32::MAX)
    }
}

/// Different people in 24 hours (facts 2.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Daily {
    /// For staff and critical messages.
    pub all: u64,
    /// For everybody else: without what is kept for those.
    pub free: u64,
}

impl Daily {
    /// What counts for such a message.
    pub fn of(&self, load: Load) -> u64 {
        if load.is_urgent() { self.all } else { self.free }
    }
}
