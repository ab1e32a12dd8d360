//! What the embedded broker does and does not do; the documentation of `demo::broker` repeats it.

use crate::kit::SOON;
use branchline::demo::broker::Broker;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    Filter, LastWill, Packet, Publish, PublishProperties, RetainForwardRule, SubscribeProperties,
};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};

struct Peer {
    client: AsyncClient,
    events: EventLoop,
    resumed: bool,
}

impl Peer {
    async fn connect(broker: &Broker, id: &str, session: Option<u32>) -> Peer {
        let mut options = MqttOptions::new(id, broker.addr().ip().to_string(), broker.addr().port());
        options.set_clean_start(session.is_none()).set_session_expiry_interval(session).set_manual_acks(true);
        options.set_outgoing_inflight_upper_limit(16);
        let (client, events) = AsyncClient::new(options, 64);
        let mut peer = Peer { client, events, resumed: false };
        let Packet::ConnAck(ack) = peer.until(|packet| matches!(packet, Packet::ConnAck(_))).await else {
            unreachable!("the condition says so")
        };
        peer.resumed = ack.session_present;
        peer
    }

    /// The next packet that matches, within [`SOON`].
    async fn until(&mut self, matches: impl Fn(&Packet) -> bool) -> Packet {
        let next = async {
            loop {
                if let Event::Incoming(packet) = self.events.poll().await.unwrap()
                    && matches(&packet)
                {
                    return packet;
                }
            }
        };
        tokio::time::timeout(SOON, next).await.expect("a packet that never came")
    }

    async fn publish(&mut self, topic: &str, payload: &str, retain: bool, expiry: Option<u32>) {
        let properties = PublishProperties { message_expiry_interval: expiry, ..Default::default() };
        let payload = payload.to_owned();
        self.client.publish_with_properties(topic, QoS::AtLeastOnce, retain, payload, properties).await.unwrap();
        self.until(|packet| matches!(packet, Packet::PubAck(_))).await;
    }

    async fn subscribe(&mut self, filter: Filter, id: usize) {
        let properties = SubscribeProperties { id: Some(id), user_properties: Vec::new() };
        self.client.subscribe_many_with_properties([filter], properties).await.unwrap();
        self.until(|packet| matches!(packet, Packet::SubAck(_))).await;
    }

    async fn message(&mut self) -> Publish {
        match self.until(|packet| matches!(packet, Packet::Publish(_))).await {
            Packet::Publish(publish) => publish,
            _ => unreachable!("the condition says so"),
        }
    }
}

fn ids(publish: &Publish) -> Vec<usize> {
    publish.properties.clone().unwrap_or_default().subscription_identifiers
}

#[tokio::test]
async fn two_brokers_at_once_have_ports_of_their_own() {
    let (one, two) = (Broker::start().unwrap(), Broker::start().unwrap());
    assert_ne!(one.addr(), two.addr());
    assert!(!Peer::connect(&two, "a", None).await.resumed);
}

#[tokio::test]
async fn a_session_is_resumed_without_subscription_identifiers_and_without_dup() {
    let broker = Broker::start().unwrap();
    let mut till = Peer::connect(&broker, "till", None).await;
    let mut relay = Peer::connect(&broker, "relay", Some(3600)).await;
    assert!(!relay.resumed);
    relay.subscribe(Filter::new("pos/+/ready", QoS::AtLeastOnce), 7).await;
    till.publish("pos/1/ready", "one", false, Some(60)).await;
    let one = relay.message().await;
    assert_eq!((&one.payload[..], ids(&one), one.dup), (&b"one"[..], vec![7], false));
    assert_eq!(one.properties.unwrap().message_expiry_interval, Some(60));
    // It goes without an acknowledgement; what comes meanwhile is kept.
    drop(relay);
    till.publish("pos/1/ready", "two", false, None).await;
    let mut relay = Peer::connect(&broker, "relay", Some(3600)).await;
    assert!(relay.resumed);
    for payload in ["one", "two"] {
        let message = relay.message().await;
        assert_eq!((&message.payload[..], ids(&message), message.dup), (payload.as_bytes(), vec![], false));
    }
    // After a new SUBSCRIBE the identifiers are back.
    relay.subscribe(Filter::new("pos/+/ready", QoS::AtLeastOnce), 8).await;
    till.publish("pos/1/ready", "three", false, None).await;
    assert_eq!(ids(&relay.message().await), [8]);
}

#[tokio::test]
async fn retain_handling_and_no_local_are_not_obeyed_and_overlaps_come_twice() {
    let broker = Broker::start().unwrap();
    let mut till = Peer::connect(&broker, "till", None).await;
    till.publish("state/1", "kept", true, None).await;
    let mut relay = Peer::connect(&broker, "relay", None).await;
    let never = Filter { retain_forward_rule: RetainForwardRule::Never, ..Filter::new("state/+", QoS::AtLeastOnce) };
    relay.subscribe(never, 1).await;
    let kept = relay.message().await;
    assert!(kept.retain, "unasked for, but marked");
    relay.subscribe(Filter { nolocal: true, ..Filter::new("own/+", QoS::AtLeastOnce) }, 2).await;
    relay.client.publish("own/1", QoS::AtLeastOnce, false, "own").await.unwrap();
    assert_eq!(&relay.message().await.payload[..], b"own");
    for (filter, id) in [("pos/+/ready", 3), ("pos/#", 4)] {
        relay.subscribe(Filter::new(filter, QoS::AtLeastOnce), id).await;
    }
    till.publish("pos/1/ready", "both", false, None).await;
    let mut twice = [ids(&relay.message().await), ids(&relay.message().await)];
    twice.sort();
    assert_eq!(twice, [vec![3], vec![4]]);
}

#[tokio::test]
async fn a_last_will_is_published_and_retained() {
    let broker = Broker::start().unwrap();
    let mut options = MqttOptions::new("box", broker.addr().ip().to_string(), broker.addr().port());
    options.set_last_will(LastWill::new("state/box", "offline", QoS::AtLeastOnce, true, None));
    let (_client, mut events) = AsyncClient::new(options, 8);
    assert!(matches!(events.poll().await.unwrap(), Event::Incoming(Packet::ConnAck(_))));
    let mut office = Peer::connect(&broker, "office", None).await;
    office.subscribe(Filter::new("state/+", QoS::AtLeastOnce), 1).await;
    drop(events);
    assert_eq!(&office.message().await.payload[..], b"offline");
    let mut late = Peer::connect(&broker, "late", None).await;
    late.subscribe(Filter::new("state/+", QoS::AtLeastOnce), 1).await;
    assert!(late.message().await.retain);
}
