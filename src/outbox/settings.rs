//! What `outbox` is set up with.
//!
//! Floor: rooms. Filled by `config`.

use std::path::PathBuf;
use std::time::Duration;

/// Everything that the outbox needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `outbox.path`
    pub path: PathBuf,
    /// `outbox.key_file`
    pub seal: super::Seal,
    /// `outbox.max_bytes`
    pub max_bytes: u64,
    /// `outbox.when_full`
    pub when_full: WhenFull,
    /// `outbox.keep_content`
    pub keep_content: Duration,
    /// `outbox.keep_settled`
    pub keep_settled: Duration,
    /// `outbox.keep_audit`
    pub keep_audit: Duration,
    /// `uplink.phone_number_id`: the sender that everything is keyed by.
    pub sender: String,
    /// For a command that only looks, not of the configuration: nothing is made, brought forward or salvaged, and what is damaged
    /// is left as it lies.
    pub only_looks: bool,
}

/// `outbox.when_full`
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum WhenFull {
    /// Pressure reaches the broker.
    #[default]
    Hold,
    /// The oldest of the lowest priority gives way.
    Displace,
}
