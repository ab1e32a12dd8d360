//! The broker as the box sees it: a session with a window, packet ids that are used again, redeliveries with DUP, sessions that
//! are forgotten, QoS 0, and receipts that it acknowledges in its own time.

use crate::message::{Arrival, Delivery, Epoch, Payload};
use bytes::Bytes;
use std::collections::VecDeque;

/// `mqtt.receive_maximum` of this branch, and as many packet ids: each is used again at once.
pub const WINDOW: usize = 12;

/// One publish of a till.
#[derive(Clone, Debug)]
pub struct Publish {
    pub label: String,
    pub topic: String,
    pub payload: Payload,
    pub qos0: bool,
    pub retained: bool,
}

/// A publish that the box has and did not acknowledge.
#[derive(Clone, Debug)]
pub struct Outstanding {
    pub publish: Publish,
    pub packet: u16,
}

#[derive(Default)]
pub struct Broker {
    pub epoch: u64,
    pub connected: bool,
    /// The box's filters are known to this session.
    pub subscribed: bool,
    /// The present session existed before the connection.
    pub resumed: bool,
    pub waiting: VecDeque<Publish>,
    pub outstanding: Vec<Outstanding>,
    /// Of these, what is still to be sent again on this connection.
    again: VecDeque<Outstanding>,
    /// What the door owes for: every delivery of this life of the box, in order.
    pub owed: VecDeque<(String, Delivery)>,
    pub receipts: VecDeque<i64>,
}

impl Broker {
    /// Whether something waits that may be sent and that the box's door has room for.
    pub fn has_next(&self) -> bool {
        let fits = |first: &Publish| first.qos0 || self.outstanding.len() < WINDOW;
        let some = !self.again.is_empty() || (self.subscribed && self.waiting.front().is_some_and(fits));
        self.connected && self.owed.len() < WINDOW && some
    }

    /// The next publish that fits the window.
    pub fn next(&mut self) -> Option<(Publish, Delivery)> {
        if !self.has_next() {
            return None;
        }
        if let Some(one) = self.again.pop_front() {
            let epoch = Epoch(self.epoch);
            return Some((one.publish, Delivery::AtLeastOnce { epoch, packet: one.packet, dup: true }));
        }
        let publish = self.waiting.pop_front()?;
        if publish.qos0 {
            return Some((publish, Delivery::AtMostOnce));
        }
        let free = |packet: &u16| !self.outstanding.iter().any(|other| other.packet == *packet);
        let packet = (1..=WINDOW as u16).find(free).expect("the window is not full");
        self.outstanding.push(Outstanding { publish: publish.clone(), packet });
        Some((publish, Delivery::AtLeastOnce { epoch: Epoch(self.epoch), packet, dup: false }))
    }

    /// On a new connection of a session that it knows: what was not acknowledged, before anything new.
    pub fn send_again(&mut self) {
        self.again = self.outstanding.iter().cloned().collect();
    }

    /// A PUBACK; what it acknowledges, if the connection is still the one that it is for.
    pub fn acknowledged(&mut self, delivery: Delivery) -> Option<Publish> {
        let Delivery::AtLeastOnce { epoch: Epoch(epoch), packet, .. } = delivery else { return None };
        if !self.connected || epoch != self.epoch {
            return None;
        }
        let place = self.outstanding.iter().position(|one| one.packet == packet)?;
        Some(self.outstanding.remove(place).publish)
    }

    /// The connection ends; what it had not heard of is not known.
    pub fn lost(&mut self) {
        (self.connected, self.subscribed) = (false, false);
        self.receipts.clear();
        self.again.clear();
    }

    /// The session is gone, with all that was in it.
    pub fn forgets(&mut self) {
        self.outstanding.clear();
        self.waiting.clear();
    }
}

pub fn arrival(publish: &Publish, delivery: Delivery) -> Arrival {
    Arrival {
        topic: publish.topic.clone(),
        payload: publish.payload.clone(),
        retained: publish.retained,
        delivery,
        subscriptions: Vec::new(),
        event_id: None,
        expiry: None,
    }
}

pub fn whole(payload: &str) -> Payload {
    Payload::Whole(Bytes::copy_from_slice(payload.as_bytes()))
}
