//! How the broker is reached: the library's options for one attempt, and which address it dials.
//!
//! Floor: doors. Opens no connection itself.

use super::settings::Settings;
use super::window::{ASKS, PUBLISHES};
use crate::door::clock::SystemClock;
use crate::door::tls::{self, TlsProblem};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::LastWill;
use rumqttc::v5::{AsyncClient, EventLoop, MqttOptions};
use rumqttc::{NetworkOptions, TlsConfiguration, Transport};
use std::sync::Arc;
use std::time::Duration;

/// TCP, TLS and CONNACK together, in seconds. One attempt at a dead address must not take long, a slow uplink must not fail.
const CONNECT: u64 = 10;
/// Looking up the name alone. The library looks it up again within `CONNECT`.
const LOOK_UP: Duration = Duration::from_secs(5);
/// A look whether the broker is still there. It is asked on a line that worked a moment ago.
const LISTENS: Duration = Duration::from_secs(1);
/// Publishes of ours that the library may have in flight. Its default of 65,535 slots costs 14.5 MiB (measured).
pub(super) const IN_FLIGHT: u16 = 64;
/// The kernel's receive buffer in bytes. Without a bound the kernel takes up to 6 MiB in, which the library would read and
/// decode in one go; with it, TCP pushes back soon after we stop reading.
const RECEIVE_BUFFER: u32 = 128 * 1024;

/// The last will, and what is published at an orderly end.
pub(super) const OFFLINE: &str = r#"{"state":"offline"}"#;

/// Everything that stays the same from attempt to attempt.
pub(super) struct Plan {
    settings: Settings,
    transport: Transport,
    keep_alive: Duration,
}

impl Plan {
    pub(super) fn new(settings: &Settings, clock: &SystemClock, keep_alive: Duration) -> Result<Plan, TlsProblem> {
        let mut settings = settings.clone();
        // The library wants an IPv6 address bare.
        settings.host = settings.host.trim_matches(['[', ']']).to_owned();
        let transport = if settings.tls {
            let ca_file = settings.ca_file.as_deref();
            let config = tls::client_config_for(&settings.host, ca_file, settings.identity.as_ref(), clock)?;
            Transport::tls_with_config(TlsConfiguration::Rustls(Arc::new(config)))
        } else {
            Transport::tcp()
        };
        Ok(Plan { settings, transport, keep_alive })
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Our retained state, where this session tells it.
    pub(super) fn state_topic(&self) -> Option<String> {
        self.settings.branch.as_ref().map(|branch| format!("branchline/{branch}/state"))
    }

    /// What to dial after so many failures in a row.
    ///
    /// The library tries all addresses of a name one after another inside one time-out, so an address that swallows packets
    /// (a dead IPv6, mostly) starves those behind it. Therefore every second attempt goes to one address alone, taking
    /// turns; the others go by name. Whatever is dialled, the certificate must be for the host (`tls::client_config_for`);
    /// only the server name extension is missing when an address is dialled.
    pub(super) async fn target(&self, failures: u32) -> String {
        let host = &self.settings.host;
        if failures.is_multiple_of(2) {
            return host.clone();
        }
        let look_up = tokio::net::lookup_host((host.as_str(), self.settings.port));
        let Ok(Ok(found)) = tokio::time::timeout(LOOK_UP, look_up).await else { return host.clone() };
        let addresses: Vec<String> = found.map(|address| address.ip().to_string()).collect();
        turn(&addresses, failures).unwrap_or(host).clone()
    }

    /// Whether anybody still takes connections there. Asked right after the broker closed one without a word: one that ends, or is
    /// started again, closes its port first and for longer than a connection on a line of ours takes to be refused.
    pub(super) async fn listens(&self) -> bool {
        let settings = &self.settings;
        let dial = tokio::net::TcpStream::connect((settings.host.as_str(), settings.port));
        matches!(tokio::time::timeout(LISTENS, dial).await, Ok(Ok(_)))
    }

    /// A client for one connection. It is never used for another: what a dead connection left in it (publishes to repeat,
    /// packet identifiers, requests) dies with it, and each acknowledgement can only reach the connection that it belongs to.
    pub(super) fn client(&self, target: String) -> (AsyncClient, EventLoop) {
        let settings = &self.settings;
        let mut options = MqttOptions::new(&settings.client_id, target, settings.port);
        options
            .set_transport(self.transport.clone())
            .set_keep_alive(self.keep_alive)
            .set_clean_start(false)
            // Without it the session ends with the connection, whatever clean start says.
            .set_session_expiry_interval(Some(u32::try_from(settings.session_expiry.as_secs()).unwrap_or(u32::MAX)))
            .set_receive_maximum(Some(settings.receive_maximum))
            // Announced, and in the same breath the library's own limit, which is 10 KiB otherwise.
            .set_max_packet_size(Some(settings.max_packet))
            .set_manual_acks(true)
            .set_connection_timeout(CONNECT)
            .set_outgoing_inflight_upper_limit(IN_FLIGHT);
        if let Some(topic) = self.state_topic() {
            options.set_last_will(LastWill::new(topic, OFFLINE, QoS::AtLeastOnce, true, None));
        }
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        network.set_tcp_recv_buffer_size(RECEIVE_BUFFER);
        options.set_network_options(network);
        self.sign(&mut options);
        AsyncClient::new(options, self.capacity())
    }

    /// A client that only publishes: a session that ends with the connection, no last will.
    pub(super) fn publisher(&self, target: String, waiting: usize) -> (AsyncClient, EventLoop) {
        let mut options = self.passing(target);
        options.set_outgoing_inflight_upper_limit(IN_FLIGHT);
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        options.set_network_options(network);
        AsyncClient::new(options, waiting)
    }

    /// A client for a short look (`visit`): a session that ends with the connection, no last will.
    pub(super) fn visitor(&self) -> (AsyncClient, EventLoop) {
        let mut options = self.passing(self.settings.host.clone());
        // What comes is not ours to acknowledge.
        options.set_manual_acks(true).set_outgoing_inflight_upper_limit(1);
        AsyncClient::new(options, ASKS)
    }

    /// Of a session that ends with the connection.
    fn passing(&self, target: String) -> MqttOptions {
        let settings = &self.settings;
        let mut options = MqttOptions::new(&settings.client_id, target, settings.port);
        options
            .set_transport(self.transport.clone())
            .set_keep_alive(self.keep_alive)
            .set_clean_start(true)
            .set_receive_maximum(Some(1))
            .set_max_packet_size(Some(settings.max_packet))
            .set_connection_timeout(CONNECT);
        self.sign(&mut options);
        options
    }

    /// User and password, where there are any.
    fn sign(&self, options: &mut MqttOptions) {
        let settings = &self.settings;
        if settings.username.is_some() || settings.password.is_some() {
            let password = settings.password.as_ref().map_or("", |secret| secret.reveal());
            options.set_credentials(settings.username.as_deref().unwrap_or_default(), password);
        }
    }

    /// Acknowledgements, publishes, subscriptions, and the two packets of an orderly end: none ever finds the channel full.
    fn capacity(&self) -> usize {
        usize::from(self.settings.receive_maximum) + PUBLISHES + ASKS + 2
    }
}

fn turn(addresses: &[String], failures: u32) -> Option<&String> {
    let several = addresses.len() > 1;
    several.then(|| &addresses[(failures as usize).div_ceil(2) % addresses.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_gets_a_turn_of_its_own() {
        let addresses = ["2001:db8::1", "192.0.2.1", "192.0.2.2"].map(str::to_owned);
        let turns: Vec<_> = [1, 3, 5, 7].map(|failures| turn(&addresses, failures).unwrap().as_str()).to_vec();
        assert_eq!(turns, ["192.0.2.1", "192.0.2.2", "2001:db8::1", "192.0.2.1"]);
        assert_eq!(turn(&addresses[..1], 1), None, "a single address is dialled by its name");
    }
}
