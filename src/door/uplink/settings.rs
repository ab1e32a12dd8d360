//! What the uplink door is set up with.
//!
//! Floor: doors. Filled by `config`.

use crate::door::secret::Secret;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that the door needs to know.
#[derive(Clone)]
pub struct Settings {
    /// `uplink.base_url`, without a slash at the end.
    pub base_url: String,
    /// `uplink.api_version` and `uplink.phone_number_id`, for the probe: `/v25.0/1065…`.
    pub probe_path: String,
    /// `uplink.token_file`, resolved; read again when it changes.
    pub token_file: Option<PathBuf>,
    /// `uplink.app_secret_file`
    pub app_secret: Option<Secret>,
    /// `uplink.cert_file` and `uplink.key_file`
    pub identity: Option<(PathBuf, PathBuf)>,
    /// `uplink.ca_file`; the bundled public roots without.
    pub ca_file: Option<PathBuf>,
    /// `uplink.proxy`; may hold a password.
    pub proxy: Option<String>,
    /// `uplink.timeout`: the whole exchange.
    pub timeout: Duration,
    /// `uplink.connect_timeout`: TCP and TLS, always shorter than `timeout`.
    pub connect_timeout: Duration,
    /// `uplink.max_in_flight`
    pub max_in_flight: usize,
}

impl std::fmt::Debug for Settings {
    /// Without the proxy's address: it may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("base_url", &self.base_url)
            .field("token_file", &self.token_file)
            .field("identity", &self.identity)
            .field("ca_file", &self.ca_file)
            .field("proxy", &self.proxy.as_ref().map(|_| "(set)"))
            .field("timeout", &self.timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("max_in_flight", &self.max_in_flight)
            .finish_non_exhaustive()
    }
}
