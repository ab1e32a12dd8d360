//! What the MQTT door is set up with.
//!
//! Floor: doors. Filled by `config`.

use crate::door::secret::Secret;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that the door needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `branch.id`, whose retained state this session tells and leaves as its last will; a session beside the box's own tells none.
    pub branch: Option<String>,
    /// From `mqtt.url`.
    pub host: String,
    /// From `mqtt.url`; 1883 or 8883 without.
    pub port: u16,
    /// `mqtts://`
    pub tls: bool,
    /// `mqtt.client_id`
    pub client_id: String,
    /// `mqtt.username`
    pub username: Option<String>,
    /// `mqtt.password_file`
    pub password: Option<Secret>,
    /// `mqtt.ca_file`; the bundled public roots without.
    pub ca_file: Option<PathBuf>,
    /// `mqtt.cert_file` and `mqtt.key_file`
    pub identity: Option<(PathBuf, PathBuf)>,
    /// `mqtt.receive_maximum`: 1 to `limits::RECEIVE_MAX`.
    pub receive_maximum: u16,
    /// `mqtt.session_expiry`
    pub session_expiry: Duration,
    /// `mqtt.max_packet`, bytes.
    pub max_packet: u32,
    /// `mqtt.max_payload`, bytes.
    pub max_payload: usize,
}
