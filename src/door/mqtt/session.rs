//! One connection after its CONNACK: what the engine asks for becomes packets, and answers find their way back.
//!
//! Floor: doors. Never waits; ends with its connection.

use super::dial::IN_FLIGHT;
use super::filters;
use super::window::{Ask, Publishing, Round};
use crate::engine::Publish;
use crate::message::{Epoch, Filter, ReceiptId};
use rumqttc::v5::AsyncClient;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    ConnAck, Filter as Subscription, Publish as Packet, RetainForwardRule, SubscribeProperties,
};
use std::collections::VecDeque;

/// Bytes of a PUBLISH beside topic and payload, at most.
const HEADER: usize = 16;

pub(super) struct Session {
    pub(super) epoch: Epoch,
    client: AsyncClient,
    /// The broker knows subscription identifiers.
    identifiers: bool,
    /// The largest packet that the broker takes. A larger one ends the connection, so a receipt of that size would for ever.
    largest: usize,
    /// The engine has answered this connection. Publishes that it asked for before belong to an earlier one: it publishes
    /// them again, and one of them on this connection would make a later `receipt_taken` mean too much.
    answered: bool,
    publishing: Publishing,
    round: Round,
    /// A round was begun whose end has not been told.
    open: bool,
    /// Acknowledgements in the order given, while the library has `places` of them in its channel. There can be no more of
    /// them than packet identifiers, 65,535, even from a broker that overruns our receive maximum.
    acks: VecDeque<u16>,
    places: usize,
    warned: bool,
}

impl Session {
    pub(super) fn new(epoch: Epoch, client: AsyncClient, connack: &ConnAck, receive_maximum: u16) -> Session {
        let properties = connack.properties.as_ref();
        let in_flight = properties.and_then(|p| p.receive_max).unwrap_or(u16::MAX).min(IN_FLIGHT);
        Session {
            epoch,
            client,
            identifiers: properties.and_then(|p| p.subscription_identifiers_available) != Some(0),
            largest: properties.and_then(|p| p.max_packet_size).map_or(usize::MAX, |size| size as usize),
            answered: false,
            // One below the library's: at its own limit it stops sending acknowledgements too.
            publishing: Publishing::new(usize::from(in_flight.saturating_sub(1).max(1))),
            round: Round::default(),
            open: false,
            acks: VecDeque::new(),
            places: usize::from(receive_maximum),
            warned: false,
        }
    }

    /// PUBACK, in the order in which they are asked for.
    pub(super) fn ack(&mut self, packet: u16) {
        self.acks.push_back(packet);
        self.pump_acks();
    }

    /// A PUBACK has left the library's channel.
    pub(super) fn ack_written(&mut self) {
        self.places += 1;
        self.pump_acks();
    }

    fn pump_acks(&mut self) {
        while self.places > 0 {
            let Some(&packet) = self.acks.front() else { return };
            let acked = Packet { pkid: packet, qos: QoS::AtLeastOnce, ..Packet::default() };
            if self.client.try_ack(&acked).is_err() {
                return; // Cannot be full by its capacity; if it were, the next PUBACK written tries again.
            }
            self.acks.pop_front();
            self.places -= 1;
        }
    }

    /// A repeat of QoS 2 is stopped by PUBREC, which the library completes. Only another program's subscription brings one.
    pub(super) fn received(&self, publish: &Packet) {
        if self.client.try_ack(publish).is_err() {
            tracing::warn!("a QoS 2 event could not be acknowledged; the broker sends it again");
        }
    }

    pub(super) fn subscribe(&mut self, want: Vec<Filter>, mut gone: Vec<String>) {
        let want = if self.identifiers {
            want
        } else {
            let reduced = filters::reduce(want);
            gone.extend(reduced.gone);
            if let (false, Some((one, other))) = (self.warned, reduced.twice.first()) {
                tracing::warn!(
                    pairs = reduced.twice.len(),
                    "the broker has no subscription identifiers: topics that match both \"{one}\" and \"{other}\" come twice; \
                     give such events an id, or make the rules' topics the same"
                );
                self.warned = true;
            }
            reduced.want
        };
        self.answered = true;
        self.open = true;
        self.round.add(want, gone);
        self.pump_round();
    }

    /// Returns a receipt that counts as taken because the broker would never take it.
    pub(super) fn publish(&mut self, publish: Publish) -> Option<ReceiptId> {
        if !self.answered {
            return None;
        }
        if let Err(publish) = self.publishing.offer(publish) {
            tracing::warn!(topic = publish.topic, "too many publishes wait for the broker; one is dropped");
        }
        self.pump_publishes()
    }

    fn pump_publishes(&mut self) -> Option<ReceiptId> {
        let mut taken = None;
        while let Some(publish) = self.publishing.next() {
            let size = publish.topic.len() + publish.payload.len() + HEADER;
            let topic = publish.topic;
            let fits = size <= self.largest;
            if fits && self.client.try_publish(&topic, QoS::AtLeastOnce, publish.retain, publish.payload).is_ok() {
                continue;
            }
            tracing::error!(
                topic,
                size,
                "the broker cannot take this publish (its size, or the topic's form); it is given up"
            );
            taken = self.publishing.impossible().or(taken);
        }
        taken
    }

    fn pump_round(&mut self) {
        while let Some(ask) = self.round.next() {
            let asked = match &ask {
                Ask::Unsubscribe(filter) => self.client.try_unsubscribe(filter),
                Ask::Subscribe(filter) => {
                    let id = self.identifiers.then_some(filter.identifier as usize);
                    let properties = SubscribeProperties { id, user_properties: Vec::new() };
                    self.client.try_subscribe_many_with_properties([subscription(filter)], properties)
                }
            };
            if asked.is_err() {
                self.round.impossible("not a valid topic filter");
            }
        }
    }

    pub(super) fn publish_written(&mut self, packet: u16) {
        self.publishing.written(packet);
    }

    /// PUBACK for one of ours. Returns the receipt up to which all are taken, if that moved.
    pub(super) fn published(&mut self, packet: u16) -> Option<ReceiptId> {
        let taken = self.publishing.taken(packet);
        self.pump_publishes().or(taken)
    }

    pub(super) fn ask_written(&mut self, packet: u16) {
        self.round.written(packet);
    }

    /// SUBACK or UNSUBACK.
    pub(super) fn asked(&mut self, packet: u16, refused: Option<String>) {
        self.round.answered(packet, refused);
        self.pump_round();
    }

    /// The end of a round of subscriptions, told once: the filters that were refused.
    pub(super) fn round_done(&mut self) -> Option<Vec<(String, String)>> {
        if !self.open {
            return None;
        }
        let refused = self.round.done()?;
        self.open = false;
        Some(refused)
    }

    /// The orderly end: the state where there is one, then DISCONNECT, behind whatever is in the channel.
    pub(super) fn finish(&self, state_topic: Option<String>, state: &'static str) {
        let told =
            state_topic.is_none_or(|topic| self.client.try_publish(topic, QoS::AtLeastOnce, true, state).is_ok());
        if !(told && self.client.try_disconnect().is_ok()) {
            tracing::warn!("no room to say goodbye to the broker; it publishes the last will instead");
        }
    }
}

/// QoS 1. What is retained comes only for a subscription that is new, and only where a rule wants it; our own publishes never
/// come back, save through a shared subscription, where asking for that is an error (MQTT 5, 3.8.3.1).
fn subscription(filter: &Filter) -> Subscription {
    let retain_forward_rule =
        if filter.retained { RetainForwardRule::OnNewSubscribe } else { RetainForwardRule::Never };
    Subscription {
        path: filter.filter.clone(),
        qos: QoS::AtLeastOnce,
        nolocal: !filter.filter.starts_with("$share/"),
        preserve_retain: false,
        retain_forward_rule,
    }
}
