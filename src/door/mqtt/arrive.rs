//! A publish of the library becomes an arrival of ours.
//!
//! Floor: doors. Never keeps a slice of the library's read buffer.

use crate::message::{Arrival, Delivery, Epoch, Payload};
use bytes::{Buf, Bytes};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Publish, PublishProperties};
use std::time::Duration;

/// Property identifiers of MQTT 5 (2.2.2.2) that take two bytes.
const PAYLOAD_FORMAT: u8 = 0x01;
const SUBSCRIPTION_IDENTIFIER: u8 = 0x0B;

/// `epoch` is that of the connection it came on.
///
/// The payload is copied: the library hands out slices of its read buffer, and one small payload would keep a buffer of up
/// to `mqtt.max_packet` alive for as long as the event waits.
pub(super) fn arrival(publish: Publish, epoch: Epoch, max_payload: usize) -> Arrival {
    let mut properties = publish.properties.unwrap_or_default();
    let payload = whole_properties(publish.payload, &mut properties);
    let delivery = match publish.qos {
        // Subscriptions ask for QoS 1, so 2 is only what another program left in this session.
        QoS::AtMostOnce | QoS::ExactlyOnce => Delivery::AtMostOnce,
        QoS::AtLeastOnce => Delivery::AtLeastOnce { epoch, packet: publish.pkid, dup: publish.dup },
    };
    Arrival {
        // A topic that is not UTF-8 breaks the protocol; refusing it here would block the session behind it for ever.
        topic: String::from_utf8_lossy(&publish.topic).into_owned(),
        payload: bounded(&payload, max_payload),
        retained: publish.retain,
        delivery,
        subscriptions: properties.subscription_identifiers.iter().filter_map(|id| u32::try_from(*id).ok()).collect(),
        event_id: properties.user_properties.into_iter().find(|(name, _)| name == "event-id").map(|(_, value)| value),
        expiry: properties.message_expiry_interval.map(|seconds| Duration::from_secs(seconds.into())),
    }
}

fn bounded(payload: &Bytes, max_payload: usize) -> Payload {
    if payload.len() <= max_payload {
        return Payload::Whole(Bytes::copy_from_slice(payload));
    }
    let digest = ring::digest::digest(&ring::digest::SHA256, payload);
    let sha256 = digest.as_ref().try_into().expect("SHA-256 has 32 bytes");
    Payload::TooLarge { size: payload.len() as u64, sha256 }
}

/// rumqttc 0.25.1 counts one byte too many for each subscription identifier, so with several of them it stops early and
/// leaves the last properties at the head of the payload. Here they are taken off again: no JSON, text or number starts
/// with either control character, and with fewer than two identifiers nothing can be left over.
fn whole_properties(mut payload: Bytes, properties: &mut PublishProperties) -> Bytes {
    while properties.subscription_identifiers.len() >= 2 {
        match payload[..] {
            [PAYLOAD_FORMAT, 0 | 1, ..] => payload.advance(2),
            [SUBSCRIPTION_IDENTIFIER, ..] => {
                let Some((identifier, taken)) = variable_integer(&payload[1..]) else { break };
                properties.subscription_identifiers.push(identifier);
                payload.advance(1 + taken);
            }
            _ => break,
        }
    }
    payload
}

/// A variable byte integer (MQTT 5, 1.5.5) and the bytes it takes: seven bits a byte, lowest first, at most four bytes.
fn variable_integer(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (at, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;
    use rumqttc::v5::mqttbytes::v5::Packet;

    fn publish(payload: &str, properties: Option<PublishProperties>) -> Publish {
        Publish { pkid: 7, ..Publish::new("pos/1/paid", QoS::AtLeastOnce, payload.to_owned(), properties) }
    }

    #[test]
    fn properties_delivery_and_flags() {
        let properties = PublishProperties {
            message_expiry_interval: Some(90),
            subscription_identifiers: vec![3],
            user_properties: vec![("x".into(), "y".into()), ("event-id".into(), "e-1".into())],
            ..PublishProperties::default()
        };
        let mut came = publish("{}", Some(properties));
        came.dup = true;
        came.retain = true;
        let told = arrival(came, Epoch(4), 100);
        assert_eq!(told.delivery, Delivery::AtLeastOnce { epoch: Epoch(4), packet: 7, dup: true });
        assert_eq!((told.topic.as_str(), told.retained, told.subscriptions), ("pos/1/paid", true, vec![3]));
        assert_eq!(told.event_id.as_deref(), Some("e-1"));
        assert_eq!(told.expiry, Some(Duration::from_secs(90)));
        assert_eq!(told.payload, Payload::Whole("{}".into()));
    }

    #[test]
    fn a_payload_over_the_bound_leaves_size_and_hash() {
        assert_eq!(bounded(&Bytes::from_static(b"abc"), 3), Payload::Whole("abc".into()));
        let Payload::TooLarge { size, sha256 } = bounded(&Bytes::from_static(b"abc"), 2) else {
            panic!("over the bound")
        };
        // FIPS 180-2, B.1
        assert_eq!(
            (size, &sha256[..4], &sha256[28..]),
            (3, &[0xba, 0x78, 0x16, 0xbf][..], &[0xf2, 0x00, 0x15, 0xad][..])
        );
    }

    #[test]
    fn several_identifiers_leave_the_payload_whole() {
        for identifiers in [vec![], vec![1], vec![1, 2], vec![1, 2, 3], vec![1, 200, 3, 70_000, 5, 6]] {
            for format in [None, Some(1)] {
                let properties = PublishProperties {
                    payload_format_indicator: format,
                    subscription_identifiers: identifiers.clone(),
                    ..PublishProperties::default()
                };
                let mut wire = BytesMut::new();
                Packet::Publish(publish(r#"{"total":1}"#, Some(properties))).write(&mut wire, None).unwrap();
                let Packet::Publish(read) = Packet::read(&mut wire, None).unwrap() else { panic!("a publish") };
                let told = arrival(read, Epoch(1), 100);
                assert_eq!(told.payload, Payload::Whole(r#"{"total":1}"#.into()), "{identifiers:?}");
                let identifiers: Vec<u32> = identifiers.iter().map(|id| *id as u32).collect();
                assert_eq!(told.subscriptions, identifiers);
            }
        }
    }

    #[test]
    fn a_topic_that_is_not_text_still_arrives() {
        let mut came = publish("1", None);
        came.topic = Bytes::from_static(b"pos/\xff");
        assert_eq!(arrival(came, Epoch(1), 10).topic, "pos/\u{fffd}");
    }
}
