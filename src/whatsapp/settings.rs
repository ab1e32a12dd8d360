//! What `whatsapp` is set up with.
//!
//! Floor: rooms. Filled by `config`.

use std::time::Duration;

/// Everything that requests are made of besides the message.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `uplink.api_version`
    pub api_version: String,
    /// `uplink.phone_number_id`
    pub phone_number_id: String,
    /// `branch.id`, for the callback data.
    pub branch: String,
    /// `uplink.health_every`
    pub health_every: Duration,
}
