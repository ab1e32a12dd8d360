//! What the broker handed over, before anybody looked at it.
//!
//! Floor: words.

use bytes::Bytes;
use std::time::Duration;

/// One broker connection, counted by the door. Acknowledgements of another epoch are void.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Epoch(pub u64);

/// How an arrival was delivered, and so how it is acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivery {
    /// QoS 0: nothing to acknowledge, nothing guaranteed.
    AtMostOnce,
    /// QoS 1 (QoS 2 is never granted: subscriptions ask for 1).
    AtLeastOnce {
        /// The connection that it came on. Acknowledged on that one alone.
        epoch: Epoch,
        /// The packet identifier to acknowledge.
        packet: u16,
        /// The broker says that it sent this before.
        dup: bool,
    },
}

/// The payload, or what is left of one that is over the bound.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Payload {
    /// At most `mqtt.max_payload` bytes.
    Whole(Bytes),
    /// Larger: acknowledged and recorded, never read.
    TooLarge {
        /// Bytes that came.
        size: u64,
        /// SHA-256 of them.
        sha256: [u8; 32],
    },
}

/// One publish as it came from the broker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// The topic it was published to.
    pub topic: String,
    /// What it carries.
    pub payload: Payload,
    /// Whether the broker sent it because it was retained (a state, not an event).
    pub retained: bool,
    /// How to acknowledge it.
    pub delivery: Delivery,
    /// Subscription identifiers: which of our filters this copy is for. Empty where the broker does not say.
    pub subscriptions: Vec<u32>,
    /// The MQTT 5 user property `event-id`.
    pub event_id: Option<String>,
    /// What is left of the MQTT 5 message expiry interval.
    pub expiry: Option<Duration>,
}

impl Arrival {
    /// By what a delivery is known when the broker sends it again: packet identifier, topic and payload, hashed. `None` at QoS 0,
    /// where nothing comes again.
    pub fn print(&self) -> Option<[u8; 16]> {
        let Delivery::AtLeastOnce { packet, .. } = self.delivery else { return None };
        let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
        digest.update(&packet.to_le_bytes());
        digest.update(&(self.topic.len() as u64).to_le_bytes());
        digest.update(self.topic.as_bytes());
        match &self.payload {
            Payload::Whole(payload) => digest.update(payload),
            Payload::TooLarge { sha256, .. } => digest.update(sha256),
        }
        let mut print = [0; 16];
        print.copy_from_slice(&digest.finish().as_ref()[..16]);
        Some(print)
    }
}
