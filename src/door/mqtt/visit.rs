//! A short look at the broker for `branchline check --online`: does it let us in, and may we hear what the rules want?
//!
//! Floor: doors. Works beside a running daemon and takes nothing from it: a client id and a session of its own that ends with the
//! connection, no last will, nothing retained asked for, nothing acknowledged, nothing published.

use super::dial::Plan;
use super::settings::Settings;
use super::why;
use crate::door::clock::SystemClock;
use crate::message::Filter;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    ConnectReturnCode, Filter as Subscription, Packet, RetainForwardRule, SubscribeReasonCode,
};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, StateError};
use std::io;
use std::time::Duration;

/// Longer than any step may take: the library pings nobody meanwhile.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// In whose name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Who {
    /// As the daemon signs in.
    Ourselves,
    /// Without user, password and certificate.
    Nobody,
}

/// Why the broker was not entered.
#[derive(Debug)]
pub struct Shut {
    /// In words, with what to do.
    pub why: String,
    /// What kind of no it is.
    pub kind: ShutKind,
}

/// What kind of no it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ShutKind {
    /// The broker refuses who we are.
    Refused,
    /// The broker refuses the client id, which is not the daemon's.
    ClientId,
    /// It answers, and not as it should.
    Wrong,
    /// The broker took the connection, and ended it instead of answering.
    Closed,
    /// No answer.
    Away,
}

/// A connection that the broker accepted.
pub struct Visit {
    client: AsyncClient,
    events: EventLoop,
    client_id: String,
}

/// Connects and signs in.
///
/// # Errors
/// [`Shut`]. Never ends by itself where the broker is mute for long: to be bounded by the caller.
pub async fn visit(settings: &Settings, clock: &SystemClock, who: Who) -> Result<Visit, Shut> {
    let mut settings = settings.clone();
    // Begins as the daemon's own: brokers that allow ids by their beginning allow this one too.
    settings.client_id = format!("{}-check-{:08x}", settings.client_id, fastrand::u32(..));
    if who == Who::Nobody {
        (settings.username, settings.password, settings.identity) = (None, None, None);
    }
    let plan = Plan::new(&settings, clock, KEEP_ALIVE)
        .map_err(|problem| Shut { why: problem.to_string(), kind: ShutKind::Wrong })?;
    let (client, events) = plan.visitor();
    let mut visit = Visit { client, events, client_id: settings.client_id };
    loop {
        match visit.events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => return Ok(visit),
            Ok(_) => {}
            Err(error) => return Err(visit.shut(&error)),
        }
    }
}

impl Visit {
    /// Subscribes to each filter as the daemon does, but for retained messages, and unsubscribes again: the filters that are
    /// refused, with why.
    ///
    /// # Errors
    /// The connection ended.
    pub async fn rights(&mut self, filters: &[Filter]) -> Result<Vec<(String, &'static str)>, Shut> {
        let mut refused = Vec::new();
        for filter in filters {
            let subscription = Subscription {
                path: filter.filter.clone(),
                qos: QoS::AtLeastOnce,
                nolocal: true,
                preserve_retain: false,
                retain_forward_rule: RetainForwardRule::Never,
            };
            if self.client.try_subscribe_many([subscription]).is_err() {
                refused.push((filter.filter.clone(), "is not a valid topic filter"));
                continue;
            }
            let codes = self.answer(|packet| match packet {
                Packet::SubAck(answer) => Some(answer.return_codes),
                _ => None,
            });
            let why = match codes.await?.first() {
                Some(SubscribeReasonCode::Success(QoS::AtMostOnce)) => {
                    "is granted at QoS 0 only: its events could not be acknowledged, and could be lost"
                }
                Some(SubscribeReasonCode::Success(_)) => continue,
                Some(SubscribeReasonCode::NotAuthorized) => "is not allowed to this user",
                Some(SubscribeReasonCode::QuotaExceeded) => "is over the broker's quota",
                Some(SubscribeReasonCode::WildcardSubscriptionsNotSupported) => {
                    "has a wildcard, which this broker does not know"
                }
                _ => "is refused",
            };
            refused.push((filter.filter.clone(), why));
        }
        for filter in filters {
            if self.client.try_unsubscribe(filter.filter.as_str()).is_ok() {
                self.answer(|packet| matches!(packet, Packet::UnsubAck(_)).then_some(())).await?;
            }
        }
        Ok(refused)
    }

    /// DISCONNECT; the broker forgets the session.
    pub async fn leave(mut self) {
        if self.client.try_disconnect().is_ok() {
            while let Ok(event) = self.events.poll().await {
                if matches!(event, Event::Outgoing(rumqttc::Outgoing::Disconnect)) {
                    return;
                }
            }
        }
    }

    /// The next packet that `wanted` takes. Events that come meanwhile are copies, and dropped.
    async fn answer<T>(&mut self, mut wanted: impl FnMut(Packet) -> Option<T>) -> Result<T, Shut> {
        loop {
            match self.events.poll().await {
                Ok(Event::Incoming(packet)) => {
                    if let Some(found) = wanted(packet) {
                        return Ok(found);
                    }
                }
                Ok(_) => {}
                Err(error) => return Err(self.shut(&error)),
            }
        }
    }

    fn shut(&self, error: &ConnectionError) -> Shut {
        use ConnectReturnCode as Code;
        let kind = match error {
            ConnectionError::ConnectionRefused(Code::ClientIdentifierNotValid | Code::BadClientId) => {
                ShutKind::ClientId
            }
            ConnectionError::ConnectionRefused(
                Code::ServerBusy | Code::ServerUnavailable | Code::ServiceUnavailable | Code::ConnectionRateExceeded,
            )
            | ConnectionError::Timeout(_) => ShutKind::Away,
            ConnectionError::ConnectionRefused(_) => ShutKind::Refused,
            ConnectionError::NotConnAck(_) => ShutKind::Wrong,
            // It ended the handshake because of our certificate, or for want of one.
            other => match why::tls_error(other) {
                Some(rustls::Error::AlertReceived(_)) => ShutKind::Refused,
                Some(_) => ShutKind::Wrong,
                None if closed(other) => ShutKind::Closed,
                None => ShutKind::Away,
            },
        };
        Shut { why: why::why(error, &self.client_id), kind }
    }
}

/// Whether the other side ended a connection that stood.
fn closed(error: &ConnectionError) -> bool {
    let ended = |error: &io::Error| {
        matches!(
            error.kind(),
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted
        )
    };
    match error {
        ConnectionError::Io(error) | ConnectionError::MqttState(StateError::Io(error)) => ended(error),
        ConnectionError::MqttState(StateError::ConnectionAborted) => true,
        _ => false,
    }
}
