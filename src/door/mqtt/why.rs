//! Why a connection did not come about or ended: in words for a person who has to do something about it.
//!
//! Floor: doors. Decides nothing; what is said here goes into the log and into `BrokerLink::Lost`.

use rumqttc::v5::mqttbytes::Error as Packet;
use rumqttc::v5::mqttbytes::v5::{ConnectReturnCode, DisconnectReasonCode};
use rumqttc::v5::{ConnectionError, StateError};
use std::error::Error;
use std::io;

/// What happened, where it came from and what to do.
pub(super) fn why(error: &ConnectionError, client_id: &str) -> String {
    if let Some(tls) = tls_error(error) {
        return tls_words(tls);
    }
    match error {
        ConnectionError::ConnectionRefused(code) => refused(*code, client_id),
        ConnectionError::Timeout(_) => "no answer in time; check mqtt.url and the network".to_owned(),
        ConnectionError::NotConnAck(_) => "whatever answers at mqtt.url does not speak MQTT 5".to_owned(),
        ConnectionError::Io(error) => network(error),
        ConnectionError::Tls(error) => format!("TLS: {error}"),
        ConnectionError::RequestsDone => "the daemon is ending".to_owned(),
        ConnectionError::MqttState(state) => match state {
            StateError::ServerDisconnect { reason_code, reason_string } => {
                disconnected(*reason_code, reason_string.as_deref(), client_id)
            }
            StateError::ConnectionAborted => "the broker closed the connection".to_owned(),
            StateError::AwaitPingResp => "the broker has been silent for a whole keep-alive".to_owned(),
            StateError::Io(error) | StateError::Deserialization(Packet::Io(error)) => network(error),
            other => other.to_string(),
        },
    }
}

/// What TLS has to do with it.
pub(super) fn tls_error(error: &ConnectionError) -> Option<&rustls::Error> {
    // The library's packet error names no source.
    let inner: &(dyn Error + 'static) = match error {
        ConnectionError::MqttState(StateError::Deserialization(Packet::Io(error))) => error,
        other => other,
    };
    chain(inner).find_map(tls)
}

/// What to say when the broker closes connection after connection (see [`Kicks`]).
pub(super) fn contested(client_id: &str) -> String {
    format!(
        "the broker accepts and closes connection after connection; most likely another client uses the client id \
         \"{client_id}\" too: {CONTESTED}"
    )
}

const CONTESTED: &str = "look for a second daemon or a copied configuration, and give each box a branch.id (or \
    mqtt.client_id) of its own: while two share one, each gets only a part of the events";

/// Recognises two clients that throw each other out. Brokers should say so (reason 0x8E); mosquitto 2.0.11 just closes, as it does
/// when it ends. Then it does not listen any more: only a broker that is still there has thrown somebody out.
#[derive(Debug, Default)]
pub(super) struct Kicks(u32);

impl Kicks {
    /// So many in a row are no accident any more.
    const CONTESTED: u32 = 3;

    /// A connection ended by `error`. `brief`: it had been accepted and did not last. `listens`: right after, the broker was still
    /// there. Whether two clients contend.
    pub(super) fn ended(&mut self, error: &ConnectionError, brief: bool, listens: bool) -> bool {
        match error {
            ConnectionError::MqttState(StateError::ServerDisconnect {
                reason_code: DisconnectReasonCode::SessionTakenOver,
                ..
            }) => return true,
            error if closed(error) && brief && listens => self.0 += 1,
            // Not even accepted, by a broker that is there: says nothing about who else there is.
            ConnectionError::ConnectionRefused(_) => return false,
            // It lasted, the broker gave another reason, or it was away.
            _ => self.0 = 0,
        }
        self.0 >= Kicks::CONTESTED
    }
}

/// Whether the broker closed a connection without a word.
pub(super) fn closed(error: &ConnectionError) -> bool {
    let ConnectionError::MqttState(state) = error else { return false };
    matches!(state, StateError::ConnectionAborted | StateError::Io(_) | StateError::Deserialization(Packet::Io(_)))
}

fn refused(code: ConnectReturnCode, client_id: &str) -> String {
    use ConnectReturnCode as Code;
    match code {
        Code::BadUserNamePassword => "the broker refuses user name or password; check mqtt.username and mqtt.password_file".to_owned(),
        // mosquitto answers so as well when the password is wrong.
        Code::NotAuthorized => {
            "the broker says not authorised; check mqtt.username, mqtt.password_file and the client certificate, and that the \
             broker knows this client"
                .to_owned()
        }
        Code::ClientIdentifierNotValid | Code::BadClientId => {
            format!("the broker rejects the client id \"{client_id}\"; give it another by mqtt.client_id, or allow it at the broker")
        }
        Code::UnsupportedProtocolVersion | Code::RefusedProtocolVersion => {
            "the broker does not speak MQTT 5; it must be one that does (mosquitto from 1.6 on)".to_owned()
        }
        Code::Banned => format!("the broker has banned the client \"{client_id}\"; have it lifted there"),
        Code::ServerUnavailable | Code::ServiceUnavailable | Code::ServerBusy | Code::ConnectionRateExceeded => {
            format!("the broker is busy or not ready ({code:?}); tried again by itself")
        }
        Code::TopicNameInvalid | Code::RetainNotSupported | Code::QoSNotSupported => {
            format!("the broker refuses the last will ({code:?}); allow this client to publish retained with QoS 1 under branchline/")
        }
        Code::UseAnotherServer | Code::ServerMoved => {
            format!("the broker wants clients to go elsewhere ({code:?}); change mqtt.url")
        }
        other => format!("the broker refuses the connection ({other:?})"),
    }
}

fn disconnected(code: DisconnectReasonCode, reason: Option<&str>, client_id: &str) -> String {
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    match code {
        DisconnectReasonCode::SessionTakenOver => format!(
            "another client connected with the client id \"{client_id}\" and took the session over{reason}; {CONTESTED}"
        ),
        DisconnectReasonCode::NotAuthorized => {
            format!("the broker disconnected us: not authorised{reason}; check what its access list allows this client")
        }
        DisconnectReasonCode::ServerShuttingDown => format!("the broker is shutting down{reason}"),
        other => format!("the broker disconnected us ({other:?}){reason}"),
    }
}

fn network(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "nothing listens at mqtt.url (connection refused); check host and port, and that the broker runs".to_owned()
        }
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
            "the broker closed the connection; if it does so each time, check that mqtts:// or mqtt:// fits its port"
                .to_owned()
        }
        _ => error.to_string(),
    }
}

/// What went wrong in a handshake with the broker, and what to do.
pub fn tls_words(error: &rustls::Error) -> String {
    use rustls::CertificateError as Bad;
    let advice = match error {
        rustls::Error::InvalidCertificate(bad) => match bad {
            Bad::Expired | Bad::ExpiredContext { .. } => "renew the broker's certificate",
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => "check the clock of this box and of whoever issued it",
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => "use the name in the certificate in mqtt.url",
            // The second where an authority was made anew under its old name.
            Bad::UnknownIssuer | Bad::BadSignature => {
                "set mqtt.ca_file to the authority that issued the broker's certificate"
            }
            _ => "check the broker's certificate",
        },
        rustls::Error::AlertReceived(_) => {
            "the broker refused the handshake; it probably wants another client certificate (mqtt.cert_file, mqtt.key_file)"
        }
        rustls::Error::InvalidMessage(_) => "whatever listens there does not speak TLS; check the port, or use mqtt://",
        _ => "check the TLS settings of the broker",
    };
    format!("TLS: {error}; {advice}")
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

/// rustls reports through `io::Error`, whose own source skips what it wraps.
fn tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let inner = error.downcast_ref::<io::Error>()?.get_ref()?;
    inner.downcast_ref::<rustls::Error>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_says_what_to_do() {
        let ended =
            |reason_code| ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, reason_string: None });
        let expired = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        let tls = |error: rustls::Error| ConnectionError::Io(io::Error::new(io::ErrorKind::InvalidData, error));
        let table = [
            (ConnectionError::ConnectionRefused(ConnectReturnCode::BadUserNamePassword), "mqtt.password_file"),
            (ConnectionError::ConnectionRefused(ConnectReturnCode::NotAuthorized), "not authorised"),
            (ConnectionError::ConnectionRefused(ConnectReturnCode::ClientIdentifierNotValid), "\"box-1\""),
            (ended(DisconnectReasonCode::SessionTakenOver), "second daemon"),
            (tls(expired), "renew"),
            (tls(rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer)), "mqtt.ca_file"),
            (ConnectionError::Io(io::ErrorKind::ConnectionRefused.into()), "nothing listens"),
            (ConnectionError::MqttState(StateError::Io(io::ErrorKind::ConnectionReset.into())), "mqtts://"),
        ];
        for (error, wanted) in table {
            let said = why(&error, "box-1");
            assert!(said.contains(wanted), "{error:?}: {said}");
        }
    }

    #[test]
    fn three_brief_connections_in_a_row_are_contested_if_the_broker_stays() {
        let closed = || ConnectionError::MqttState(StateError::ConnectionAborted);
        let absent = || ConnectionError::Io(io::ErrorKind::ConnectionRefused.into());
        let ended =
            |reason_code| ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, reason_string: None });
        let busy = || ConnectionError::ConnectionRefused(ConnectReturnCode::ServerBusy);
        let mut kicks = Kicks::default();
        // How it ended, whether it was brief, whether the broker still listened, contested?
        let table = [
            (closed(), true, true, false),
            (closed(), true, true, false),
            (closed(), false, true, false), // lasted: begins anew
            (closed(), true, true, false),
            (busy(), false, false, false), // a broker that is there and busy in between changes nothing
            (closed(), true, true, false),
            (closed(), true, true, true),
            (closed(), true, true, true),
            (closed(), true, false, false), // the broker itself was gone
            (closed(), true, true, false),
            (closed(), true, true, false),
            (absent(), false, false, false), // restarted: that is why
            (closed(), true, true, false),
            (closed(), true, true, false),
            (ended(DisconnectReasonCode::ServerShuttingDown), true, true, false),
            (closed(), true, true, false),
            (ended(DisconnectReasonCode::SessionTakenOver), true, true, true), // the broker says so
        ];
        for (row, (error, brief, listens, contested)) in table.into_iter().enumerate() {
            assert_eq!(kicks.ended(&error, brief, listens), contested, "row {row}");
        }
    }
}
