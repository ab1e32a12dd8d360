//! How long to wait after a refusal or a fault, by class, with full jitter.
//!
//! Floor: rooms. Random numbers are arguments.

use std::time::Duration;

/// What went wrong, as far as waiting is concerned.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Class {
    /// The API cannot be reached: 1 s, doubling to 1 min. Own figures: quick after a blip, and an alarm waits at most
    /// a minute once the line is back.
    Uplink,
    /// The platform has a fault (5xx, 1, 2, 131000, 131016, 133004): 2 s, doubling to 5 min. Own figures; the documents
    /// say "try again later" (facts 3.3).
    Server,
    /// Calls of the application or account are over the limit (4, 613, 80007): minutes, up to 1 h, the length of the
    /// platform's own window (facts 2.4, 3.3).
    App,
    /// Messages per second of the number are over the limit (130429): seconds (facts 3.3), at most 1 min.
    NumberRate,
    /// The number is in maintenance: about 1 min for 131057, minutes for 2494100 (facts 2.1, 3.3), at most 15 min.
    Maintenance,
}

impl Class {
    /// Every class.
    pub const ALL: [Class; 5] = [Class::Uplink, Class::Server, Class::App, Class::NumberRate, Class::Maintenance];

    /// The bound of the first wait and of all waits.
    fn base_and_cap(self) -> (Duration, Duration) {
        let secs = Duration::from_secs;
        match self {
            Class::Uplink => (secs(1), secs(60)),
            Class::Server => (secs(2), secs(5 * 60)),
            Class::App => (secs(60), secs(60 * 60)),
            Class::NumberRate => (secs(2), secs(60)),
            Class::Maintenance => (secs(60), secs(15 * 60)),
        }
    }
}

/// The wait after the `tries`-th failure in a row (1 and more): anything from a tenth of the class's base up to
/// base × 2^(tries − 1), at most the class's cap. `random` may be any number; equal numbers give equal waits.
///
/// Full jitter spreads the boxes of a head office that all lost their line at once. The tenth keeps a draw of nearly
/// nothing from becoming a tight loop.
pub fn backoff(class: Class, tries: u32, random: u64) -> Duration {
    let (base, cap) = class.base_and_cap();
    let doublings = tries.saturating_sub(1).min(31);
    let bound = base.saturating_mul(1 << doublings).min(cap);
    let floor = base / 10;
    let span = (bound - floor).as_millis();
    // The high half of the product is uniform in 0..=span. Both fit: span is below 2^22, the result below span.
    let drawn = (u128::from(random) * (span + 1)) >> 64;
    floor + Duration::from_millis(drawn as u64)
}
