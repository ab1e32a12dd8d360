//! The MQTT door against Debian's mosquitto, at the door's own border.

use crate::mosquitto::{Mosquitto, PATIENCE};
use branchline::door::clock::SystemClock;
use branchline::door::mqtt::{self, Arrivals, Mqtt, Settings, Timing};
use branchline::door::secret::Secret;
use branchline::engine::{BrokerLink, Link, Publish};
use branchline::message::{Arrival, Delivery, Epoch, Filter, Payload, ReceiptId};
use bytes::BytesMut;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    ConnAck, ConnAckProperties, ConnectReturnCode, Packet, Publish as Came, PublishProperties, SubAck,
    SubscribeReasonCode, UnsubAck, UnsubAckReason,
};
use rumqttc::v5::{AsyncClient, Event, MqttOptions};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// What the door hands over, in order.
#[derive(Debug)]
enum News {
    Arrived(Arrival),
    Link(BrokerLink),
    Taken(ReceiptId),
}

struct Inbox(mpsc::UnboundedSender<News>);

impl Arrivals for Inbox {
    fn arrived(&self, arrival: Arrival) {
        self.0.send(News::Arrived(arrival)).ok();
    }
    fn link(&self, link: Link) {
        if let Link::Broker(news) = link {
            self.0.send(News::Link(news)).ok();
        }
    }
    fn receipt_taken(&self, receipt: ReceiptId) {
        self.0.send(News::Taken(receipt)).ok();
    }
}

/// A door and what came out of it. What a wait passes over stays to be asked for.
struct Door {
    mqtt: Mqtt,
    news: mpsc::UnboundedReceiver<News>,
    seen: VecDeque<News>,
}

impl Door {
    fn open(settings: &Settings) -> Door {
        Door::open_with(settings, Timing::default())
    }

    fn open_with(settings: &Settings, timing: Timing) -> Door {
        let (sender, news) = mpsc::unbounded_channel();
        let mqtt = mqtt::prepare(settings, &SystemClock::start(None), Inbox(sender), timing).unwrap().open();
        Door { mqtt, news, seen: VecDeque::new() }
    }

    /// The first news that `wanted` takes, waiting for it.
    async fn expect<T>(&mut self, what: &str, wanted: impl Fn(&News) -> Option<T>) -> T {
        if let Some(at) = self.seen.iter().position(|news| wanted(news).is_some()) {
            return wanted(&self.seen.remove(at).unwrap()).unwrap();
        }
        let waiting = async {
            loop {
                let news = self.news.recv().await.unwrap();
                match wanted(&news) {
                    Some(found) => return found,
                    None => self.seen.push_back(news),
                }
            }
        };
        let found = tokio::time::timeout(PATIENCE, waiting).await;
        found.unwrap_or_else(|_| panic!("{what} did not come; seen: {:?}", self.seen))
    }

    async fn connected(&mut self) -> (Epoch, bool) {
        self.expect("CONNACK", |news| match news {
            News::Link(BrokerLink::Connected { epoch, session_present }) => Some((*epoch, *session_present)),
            _ => None,
        })
        .await
    }

    async fn subscribed(&mut self, wanted: Epoch) -> Vec<(String, String)> {
        self.expect("SUBACK", |news| match news {
            News::Link(BrokerLink::Subscribed { epoch, refused }) if *epoch == wanted => Some(refused.clone()),
            _ => None,
        })
        .await
    }

    async fn lost(&mut self) -> String {
        self.expect("the end of the connection", |news| match news {
            News::Link(BrokerLink::Lost { why }) => Some(why.clone()),
            _ => None,
        })
        .await
    }

    async fn arrival(&mut self) -> Arrival {
        self.expect("an arrival", |news| match news {
            News::Arrived(arrival) => Some(arrival.clone()),
            _ => None,
        })
        .await
    }

    async fn taken(&mut self) -> ReceiptId {
        self.expect("a PUBACK", |news| match news {
            News::Taken(receipt) => Some(*receipt),
            _ => None,
        })
        .await
    }

    /// Connects and subscribes. Returns the epoch.
    async fn set_up(&mut self, filters: &[&str]) -> Epoch {
        let (epoch, _) = self.connected().await;
        self.mqtt.subscribe(epoch, want(filters), Vec::new());
        assert_eq!(self.subscribed(epoch).await, []);
        epoch
    }
}

fn want(filters: &[&str]) -> Vec<Filter> {
    let filter =
        |(identifier, filter): (u32, &&str)| Filter { filter: (*filter).to_owned(), identifier, retained: false };
    (1..).zip(filters).map(filter).collect()
}

fn settings(port: u16) -> Settings {
    Settings {
        branch: Some("sp-042".to_owned()),
        host: "127.0.0.1".to_owned(),
        port,
        tls: false,
        client_id: "branchline-sp-042".to_owned(),
        username: None,
        password: None,
        ca_file: None,
        identity: None,
        receive_maximum: 16,
        session_expiry: Duration::from_secs(3_600),
        max_packet: 1024 * 1024,
        max_payload: 16 * 1024,
    }
}

/// Another client of the broker: tills, sensors, head office.
struct Peer {
    client: AsyncClient,
    events: mpsc::UnboundedReceiver<Packet>,
}

impl Peer {
    async fn connect(port: u16, id: &str) -> Peer {
        Peer::connect_with(MqttOptions::new(id, "127.0.0.1", port)).await
    }

    async fn connect_with(mut options: MqttOptions) -> Peer {
        options.set_outgoing_inflight_upper_limit(64).set_max_packet_size(Some(2 * 1024 * 1024));
        let (client, mut connection) = AsyncClient::new(options, 64);
        let (sender, events) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            // Ends with its first error: a peer that reconnects would take sessions over again and again.
            while let Ok(event) = connection.poll().await {
                if let Event::Incoming(packet) = event {
                    sender.send(packet).ok();
                }
            }
        });
        let mut peer = Peer { client, events };
        peer.expect(|packet| matches!(packet, Packet::ConnAck(_)).then_some(())).await;
        peer
    }

    async fn expect<T>(&mut self, wanted: impl Fn(&Packet) -> Option<T>) -> T {
        let waiting = async {
            loop {
                let packet = self.events.recv().await.expect("the peer's connection ended");
                if let Some(found) = wanted(&packet) {
                    return found;
                }
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("the peer waits in vain")
    }

    /// Publishes and waits until the broker has it.
    async fn publish(&mut self, topic: &str, payload: impl Into<Vec<u8>>) {
        self.client.publish(topic, QoS::AtLeastOnce, false, payload.into()).await.unwrap();
        self.expect(|packet| matches!(packet, Packet::PubAck(_)).then_some(())).await;
    }

    async fn subscribe(&mut self, filter: &str) {
        self.client.subscribe(filter, QoS::AtLeastOnce).await.unwrap();
        self.expect(|packet| matches!(packet, Packet::SubAck(_)).then_some(())).await;
    }

    async fn heard(&mut self, topic: &str) -> String {
        self.expect(|packet| match packet {
            Packet::Publish(publish) if publish.topic == topic => {
                Some(String::from_utf8(publish.payload.to_vec()).unwrap())
            }
            _ => None,
        })
        .await
    }
}

fn text(arrival: &Arrival) -> String {
    let Payload::Whole(payload) = &arrival.payload else { panic!("too large: {arrival:?}") };
    String::from_utf8(payload.to_vec()).unwrap()
}

fn delivered(arrival: &Arrival) -> (Epoch, bool) {
    let Delivery::AtLeastOnce { epoch, dup, .. } = arrival.delivery else { panic!("QoS 0: {arrival:?}") };
    (epoch, dup)
}

#[tokio::test]
async fn events_come_with_their_properties_and_leave_the_session_when_acknowledged() {
    let broker = Mosquitto::start();
    let mut door = Door::open(&settings(broker.port()));
    let epoch = door.set_up(&["pos/+/paid"]).await;
    let mut till = Peer::connect(broker.port(), "till").await;
    let properties = PublishProperties {
        message_expiry_interval: Some(600),
        user_properties: vec![("event-id".to_owned(), "e-1".to_owned())],
        ..PublishProperties::default()
    };
    let publish = till.client.publish_with_properties("pos/1/paid", QoS::AtLeastOnce, false, "{}", properties);
    publish.await.unwrap();
    let came = door.arrival().await;
    assert_eq!((came.topic.as_str(), text(&came).as_str(), came.retained), ("pos/1/paid", "{}", false));
    assert_eq!(came.event_id.as_deref(), Some("e-1"));
    assert!(came.expiry.is_some_and(|left| left <= Duration::from_secs(600) && left > Duration::from_secs(500)));
    assert_eq!(came.subscriptions, [1]);
    assert_eq!(delivered(&came), (epoch, false));

    door.mqtt.ack(came.delivery);
    door.mqtt.stop().await;
    // The session is still there, and the acknowledged event is not.
    let mut again = Door::open(&settings(broker.port()));
    let (epoch, session_present) = again.connected().await;
    assert!(session_present);
    again.mqtt.subscribe(epoch, want(&["pos/+/paid"]), Vec::new());
    again.subscribed(epoch).await;
    till.publish("pos/2/paid", "new").await;
    assert_eq!(text(&again.arrival().await), "new");
}

#[tokio::test]
async fn unacknowledged_events_come_again_with_a_new_epoch_after_a_broker_restart() {
    let mut broker = Mosquitto::start();
    let mut door = Door::open(&settings(broker.port()));
    let first = door.set_up(&["a/#"]).await;
    let mut till = Peer::connect(broker.port(), "till").await;
    for event in ["one", "two", "three"] {
        till.publish("a/x", event).await;
    }
    let came = [door.arrival().await, door.arrival().await, door.arrival().await];
    assert_eq!(came.each_ref().map(text), ["one", "two", "three"]);
    // The first is acknowledged in time. A second publish behind it proves that the broker has read it.
    door.mqtt.ack(came[0].delivery);
    let receipt = Publish {
        topic: "branchline/sp-042/x".into(),
        payload: String::new(),
        retain: false,
        receipt: Some(ReceiptId(1)),
    };
    door.mqtt.publish(receipt);
    assert_eq!(door.taken().await, ReceiptId(1));

    broker.pause();
    door.lost().await;
    broker.resume();
    let (second, session_present) = door.connected().await;
    assert!(session_present && second > first);
    // An acknowledgement of the dead connection must not reach the new one.
    door.mqtt.ack(came[1].delivery);
    let again = [door.arrival().await, door.arrival().await];
    assert_eq!(again.each_ref().map(text), ["two", "three"]);
    assert_eq!(again.each_ref().map(delivered), [(second, true); 2]);

    door.mqtt.subscribe(second, want(&["a/#"]), Vec::new());
    door.subscribed(second).await;
    broker.pause();
    door.lost().await;
    broker.resume();
    door.connected().await;
    assert_eq!(
        [text(&door.arrival().await), text(&door.arrival().await)],
        ["two", "three"],
        "neither was acknowledged"
    );
}

#[tokio::test]
async fn overlapping_filters_say_which_of_them_each_copy_is_for() {
    let broker = Mosquitto::start();
    let mut door = Door::open(&settings(broker.port()));
    door.set_up(&["a/#", "a/+", "b/#"]).await;
    let mut till = Peer::connect(broker.port(), "till").await;
    till.publish("a/x", "both").await;
    till.publish("b/x", "end").await;
    let mut identifiers = Vec::new();
    loop {
        let came = door.arrival().await;
        if text(&came) == "end" {
            assert_eq!(came.subscriptions, [3]);
            break;
        }
        assert!(!came.subscriptions.is_empty());
        identifiers.extend(came.subscriptions);
    }
    identifiers.sort_unstable();
    assert_eq!(identifiers, [1, 2]);
}

#[tokio::test]
async fn retained_messages_come_only_where_wanted_and_only_once_a_session() {
    let mut broker = Mosquitto::start();
    let mut till = Peer::connect(broker.port(), "till").await;
    for topic in ["wanted", "unwanted"] {
        till.client.publish(topic, QoS::AtLeastOnce, true, "state").await.unwrap();
        till.expect(|packet| matches!(packet, Packet::PubAck(_)).then_some(())).await;
    }
    let mut door = Door::open(&settings(broker.port()));
    let filters = || {
        let mut filters = want(&["unwanted", "wanted", "live"]);
        filters[1].retained = true;
        filters
    };
    let (epoch, _) = door.connected().await;
    door.mqtt.subscribe(epoch, filters(), Vec::new());
    door.subscribed(epoch).await;
    let came = door.arrival().await;
    assert_eq!((came.topic.as_str(), came.retained), ("wanted", true));
    door.mqtt.ack(came.delivery);
    till.publish("live", "1").await;
    let came = door.arrival().await;
    assert_eq!((came.topic.as_str(), came.retained), ("live", false));
    door.mqtt.ack(came.delivery);

    broker.pause();
    door.lost().await;
    broker.resume();
    let (epoch, _) = door.connected().await;
    door.mqtt.subscribe(epoch, filters(), Vec::new());
    door.subscribed(epoch).await;
    let mut till = Peer::connect(broker.port(), "till").await;
    till.publish("live", "2").await;
    let came = door.arrival().await;
    // mosquitto may repeat "1" when its PUBACK was on the way; a retained one it must not.
    assert_eq!((came.topic.as_str(), came.retained), ("live", false));
}

#[tokio::test]
async fn a_payload_over_the_bound_is_told_by_size_and_hash() {
    let broker = Mosquitto::start();
    let mut door = Door::open(&Settings { max_payload: 100, ..settings(broker.port()) });
    door.set_up(&["a"]).await;
    let mut till = Peer::connect(broker.port(), "till").await;
    // Above rumqttc's own default of 10 KiB, below the packet size that we announce.
    let large = vec![b'x'; 500_000];
    till.publish("a", large.clone()).await;
    till.publish("a", "small").await;
    let Payload::TooLarge { size, sha256 } = door.arrival().await.payload else { panic!("should be too large") };
    assert_eq!(size, 500_000);
    assert_eq!(sha256, ring::digest::digest(&ring::digest::SHA256, &large).as_ref());
    assert_eq!(text(&door.arrival().await), "small");
}

#[tokio::test]
async fn a_packet_over_the_announced_size_stays_away_and_blocks_nothing() {
    let broker = Mosquitto::start();
    let mut door = Door::open(&Settings { max_packet: 2_000, ..settings(broker.port()) });
    let epoch = door.set_up(&["a"]).await;
    let mut till = Peer::connect(broker.port(), "till").await;
    till.publish("a", vec![b'x'; 4_000]).await;
    till.publish("a", "small").await;
    let came = door.arrival().await;
    assert_eq!((text(&came).as_str(), delivered(&came)), ("small", (epoch, false)));
}

#[tokio::test]
async fn filters_that_are_gone_are_unsubscribed() {
    let broker = Mosquitto::start();
    let mut door = Door::open(&settings(broker.port()));
    let epoch = door.set_up(&["old", "new"]).await;
    door.mqtt.subscribe(epoch, want(&["new"]), vec!["old".to_owned(), "never-had".to_owned()]);
    assert_eq!(door.subscribed(epoch).await, []);
    let mut till = Peer::connect(broker.port(), "till").await;
    till.publish("old", "1").await;
    till.publish("new", "2").await;
    assert_eq!(door.arrival().await.topic, "new");
}

#[tokio::test]
async fn a_hundred_filters_are_all_subscribed_and_a_wrong_one_is_told() {
    let broker = Mosquitto::start();
    let mut door = Door::open(&settings(broker.port()));
    let (epoch, _) = door.connected().await;
    let filters: Vec<String> = (0..100).map(|at| format!("f/{at}")).chain(["wrong/#/filter".to_owned()]).collect();
    let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
    door.mqtt.subscribe(epoch, want(&filters), Vec::new());
    let refused = door.subscribed(epoch).await;
    assert_eq!(refused.iter().map(|(filter, _)| filter.as_str()).collect::<Vec<_>>(), ["wrong/#/filter"]);
    let mut till = Peer::connect(broker.port(), "till").await;
    till.publish("f/99", "1").await;
    assert_eq!(door.arrival().await.subscriptions, [100]);
}

#[tokio::test]
async fn the_access_list_of_the_broker_is_told() {
    let acl = "user relay\ntopic read pos/#\ntopic write branchline/#\n";
    let lines = "allow_anonymous true\nacl_file {folder}/acl\n";
    let broker = Mosquitto::start_with(lines, |folder| std::fs::write(folder.join("acl"), acl).unwrap());
    let mut door = Door::open(&Settings { username: Some("relay".to_owned()), ..settings(broker.port()) });
    let epoch = door.set_up(&["pos/#"]).await;
    // mosquitto 2.0 grants any filter and checks each delivery, so what shows is a publish that it refuses: as good as taken.
    for (receipt, topic) in [(1, "elsewhere/x"), (2, "branchline/sp-042/receipt/r")] {
        let receipt = Some(ReceiptId(receipt));
        door.mqtt.publish(Publish { topic: topic.to_owned(), payload: "{}".to_owned(), retain: false, receipt });
    }
    while door.taken().await != ReceiptId(2) {}
    door.mqtt.subscribe(epoch, want(&["pos/#"]), Vec::new());
    assert_eq!(door.subscribed(epoch).await, []);
}

#[tokio::test]
async fn the_bound_is_kept_while_nothing_is_acknowledged() {
    let broker = Mosquitto::start_with("allow_anonymous true\nmax_inflight_messages 0\n", |_| {});
    let mut door = Door::open(&settings(broker.port()));
    door.set_up(&["flood", "qos0"]).await;
    let mut till = Peer::connect(broker.port(), "till").await;
    let before = resident();
    let payload = vec![b'x'; 16 * 1024];
    for _ in 0..2_000 {
        till.client.publish("flood", QoS::AtLeastOnce, false, payload.clone()).await.unwrap();
    }
    for _ in 0..2_000 {
        till.expect(|packet| matches!(packet, Packet::PubAck(_)).then_some(())).await;
    }
    let mut held: Vec<Arrival> = Vec::new();
    for _ in 0..16 {
        held.push(door.arrival().await);
    }
    // The broker honours 16 as long as nothing is acknowledged. Acknowledging a few makes mosquitto 2.0.11 overrun it; the door
    // must hand over exactly one for each room that comes back.
    for round in 1..=200 {
        assert_eq!(held.len(), 16);
        door.mqtt.ack(held.remove(0).delivery);
        held.push(door.arrival().await);
        let over = door.news.try_recv();
        assert!(!matches!(over, Ok(News::Arrived(_))), "more than the room after {round} acknowledgements");
    }
    // 2,000 × 16 KiB are 31 MiB; the door may hold 16 of them, the packets of one read, and the test's own copies.
    let grown = resident().saturating_sub(before);
    assert!(grown < 12 * 1024 * 1024, "grew by {} KiB", grown / 1024);
}

#[tokio::test]
async fn qos_0_over_its_quarter_is_dropped_and_counted() {
    let broker = Mosquitto::start();
    let mut door = Door::open(&Settings { receive_maximum: 1, ..settings(broker.port()) });
    door.set_up(&["a", "b"]).await;
    let mut till = Peer::connect(broker.port(), "till").await;
    for event in 0..5 {
        till.client.publish("b", QoS::AtMostOnce, false, event.to_string()).await.unwrap();
    }
    till.publish("a", "behind them").await;
    let first = door.arrival().await;
    assert_eq!((first.delivery, text(&first).as_str()), (Delivery::AtMostOnce, "0"));
    assert_eq!(text(&door.arrival().await), "behind them", "QoS 0 never holds up QoS 1");
    assert_eq!(door.mqtt.dropped(), 4);
    door.mqtt.ack(first.delivery);
    till.client.publish("b", QoS::AtMostOnce, false, "5").await.unwrap();
    assert_eq!(text(&door.arrival().await), "5", "there is room again");
}

/// A broker that does as it is told: for what mosquitto does not do on demand.
struct Puppet {
    listener: TcpListener,
}

impl Puppet {
    async fn start() -> (Puppet, u16) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        (Puppet { listener }, port)
    }

    /// Accepts a client, reads its CONNECT and answers with these packets.
    async fn serve(&self, packets: &[Packet]) -> TcpStream {
        let accepted = tokio::time::timeout(PATIENCE, self.listener.accept()).await.expect("nobody dials");
        let mut stream = accepted.unwrap().0;
        let connect = Puppet::read(&mut stream, &mut BytesMut::new()).await;
        assert!(matches!(connect, Packet::Connect(..)), "{connect:?}");
        let mut wire = BytesMut::new();
        for packet in packets {
            packet.clone().write(&mut wire, None).unwrap();
        }
        stream.write_all(&wire).await.unwrap();
        stream
    }

    async fn read(stream: &mut TcpStream, buffer: &mut BytesMut) -> Packet {
        loop {
            match Packet::read(buffer, None) {
                Ok(packet) => return packet,
                Err(_) => assert_ne!(stream.read_buf(buffer).await.unwrap(), 0, "the door hung up"),
            }
        }
    }

    fn connack(properties: Option<ConnAckProperties>) -> Packet {
        Packet::ConnAck(ConnAck { session_present: true, code: ConnectReturnCode::Success, properties })
    }

    fn event(packet: u16) -> Packet {
        Packet::Publish(Came { pkid: packet, ..Came::new("a", QoS::AtLeastOnce, packet.to_string(), None) })
    }
}

#[tokio::test]
async fn a_broker_that_overruns_the_bound_is_left_after_half_a_keep_alive() {
    let (puppet, port) = Puppet::start().await;
    let timing = Timing { keep_alive: Duration::from_secs(5), base: Duration::from_millis(1), ..Timing::default() };
    let mut door = Door::open_with(&Settings { receive_maximum: 2, ..settings(port) }, timing);
    let train: Vec<Packet> = [Puppet::connack(None)].into_iter().chain((1..=30).map(Puppet::event)).collect();
    let connection = puppet.serve(&train).await;
    let (first, _) = door.connected().await;
    let held = [door.arrival().await, door.arrival().await];
    let why = door.lost().await;
    assert!(why.contains("no room"), "{why}");
    assert!(!door.seen.iter().any(|news| matches!(news, News::Arrived(_))), "more than two: {:?}", door.seen);
    drop(connection);
    // It dials again once there is room, and hands over what fits.
    door.mqtt.ack(held[0].delivery);
    let _connection = puppet.serve(&train[..2]).await;
    let (second, _) = door.connected().await;
    assert!(second > first);
    let again = door.arrival().await;
    assert_eq!((text(&again).as_str(), delivered(&again).0), ("1", second));
}

#[tokio::test]
async fn what_a_dead_connection_left_unread_is_handed_on_and_not_acknowledged() {
    let (puppet, port) = Puppet::start().await;
    let mut door = Door::open(&Settings { receive_maximum: 8, ..settings(port) });
    // In one write: the library reads the events and the broken packet behind them together.
    let mut wire = BytesMut::new();
    for packet in [1, 2, 3].map(Puppet::event) {
        packet.write(&mut wire, None).unwrap();
    }
    wire.extend_from_slice(&[0xF0, 0x00, 0xF0, 0x00]); // AUTH, which nobody asked for
    let mut connection = puppet.serve(&[Puppet::connack(None)]).await;
    let (first, _) = door.connected().await;
    connection.write_all(&wire).await.unwrap();
    for event in ["1", "2", "3"] {
        let came = door.arrival().await;
        assert_eq!((text(&came).as_str(), delivered(&came)), (event, (first, false)));
        door.mqtt.ack(came.delivery);
    }
    door.lost().await;
    let mut connection = puppet.serve(&[Puppet::connack(None)]).await;
    let (epoch, _) = door.connected().await;
    // The next packet that the broker sees is the SUBSCRIBE: none of the three was acknowledged here.
    door.mqtt.subscribe(epoch, want(&["a"]), Vec::new());
    let packet = Puppet::read(&mut connection, &mut BytesMut::new()).await;
    assert!(matches!(packet, Packet::Subscribe(_)), "{packet:?}");
}

#[tokio::test]
async fn acknowledgements_leave_in_the_order_given() {
    let (puppet, port) = Puppet::start().await;
    let mut door = Door::open(&Settings { receive_maximum: 64, ..settings(port) });
    let packets = [Puppet::connack(None)].into_iter().chain((1..=64).map(Puppet::event));
    let mut connection = puppet.serve(&packets.collect::<Vec<_>>()).await;
    let mut held = Vec::new();
    for _ in 1..=64 {
        held.push(door.arrival().await.delivery);
    }
    held.iter().for_each(|delivery| door.mqtt.ack(*delivery));
    let mut buffer = BytesMut::new();
    for wanted in 1..=64 {
        let packet = Puppet::read(&mut connection, &mut buffer).await;
        assert!(matches!(&packet, Packet::PubAck(ack) if ack.pkid == wanted), "{wanted}: {packet:?}");
    }
}

#[tokio::test]
async fn a_broker_without_subscription_identifiers_gets_filters_that_do_not_cover_each_other() {
    let (puppet, port) = Puppet::start().await;
    let mut door = Door::open(&settings(port));
    let none = ConnAckProperties { subscription_identifiers_available: Some(0), ..no_properties() };
    let mut connection = puppet.serve(&[Puppet::connack(Some(none))]).await;
    let (epoch, _) = door.connected().await;
    door.mqtt.subscribe(epoch, want(&["a/b", "a/#", "c"]), Vec::new());
    let mut buffer = BytesMut::new();
    let mut asked = Vec::new();
    for _ in 0..3 {
        let (wire, told) = match Puppet::read(&mut connection, &mut buffer).await {
            Packet::Unsubscribe(gone) => {
                let ack = UnsubAck { pkid: gone.pkid, reasons: vec![UnsubAckReason::Success], properties: None };
                (Packet::UnsubAck(ack), format!("not {}", gone.filters[0]))
            }
            Packet::Subscribe(wanted) => {
                assert_eq!(wanted.properties.and_then(|properties| properties.id), None);
                assert!(wanted.filters[0].nolocal && wanted.filters[0].qos == QoS::AtLeastOnce);
                let return_codes = vec![SubscribeReasonCode::Success(QoS::AtLeastOnce)];
                (
                    Packet::SubAck(SubAck { pkid: wanted.pkid, return_codes, properties: None }),
                    wanted.filters[0].path.clone(),
                )
            }
            other => panic!("{other:?}"),
        };
        asked.push(told);
        assert!(!door.seen.iter().any(|news| matches!(news, News::Link(BrokerLink::Subscribed { .. }))));
        let mut out = BytesMut::new();
        wire.write(&mut out, None).unwrap();
        connection.write_all(&out).await.unwrap();
    }
    assert_eq!(asked, ["not a/b", "a/#", "c"]);
    assert_eq!(door.subscribed(epoch).await, []);
}

fn no_properties() -> ConnAckProperties {
    ConnAckProperties {
        session_expiry_interval: None,
        receive_max: None,
        max_qos: None,
        retain_available: None,
        max_packet_size: None,
        assigned_client_identifier: None,
        topic_alias_max: None,
        reason_string: None,
        user_properties: Vec::new(),
        wildcard_subscription_available: None,
        subscription_identifiers_available: None,
        shared_subscription_available: None,
        server_keep_alive: None,
        response_information: None,
        server_reference: None,
        authentication_method: None,
        authentication_data: None,
    }
}

#[tokio::test]
async fn receipts_are_taken_in_order_and_ignored_until_the_engine_knows_the_connection() {
    let mut broker = Mosquitto::start();
    let mut door = Door::open(&settings(broker.port()));
    let (epoch, _) = door.connected().await;
    let publish = |receipt: i64| Publish {
        topic: "branchline/sp-042/receipt/r".to_owned(),
        payload: receipt.to_string(),
        retain: false,
        receipt: Some(ReceiptId(receipt)),
    };
    let mut office = Peer::connect(broker.port(), "office").await;
    office.subscribe("branchline/#").await;
    door.mqtt.publish(publish(90)); // asked for before the engine has answered this connection
    door.mqtt.subscribe(epoch, want(&["a"]), Vec::new());
    (1..=50).for_each(|receipt| door.mqtt.publish(publish(receipt)));
    let mut last = 0;
    while last < 50 {
        let taken = door.taken().await.0;
        assert!(taken > last && taken <= 50, "{taken} after {last}");
        last = taken;
    }
    for receipt in 1..=50 {
        assert_eq!(office.heard("branchline/sp-042/receipt/r").await, receipt.to_string());
    }
    broker.pause();
    door.lost().await;
    door.mqtt.publish(publish(91)); // no connection
    broker.resume();
    let (epoch, _) = door.connected().await;
    door.mqtt.publish(publish(92));
    door.mqtt.subscribe(epoch, want(&["a"]), Vec::new());
    door.mqtt.publish(publish(51));
    assert_eq!(door.taken().await, ReceiptId(51));
    assert!(!door.seen.iter().any(|news| matches!(news, News::Taken(_))));
}

#[tokio::test]
async fn the_will_speaks_when_the_daemon_dies_and_the_state_when_it_ends() {
    let broker = Mosquitto::start();
    let mut office = Peer::connect(broker.port(), "office").await;
    office.subscribe("branchline/+/state").await;
    let online = move |door: &Door| {
        let (topic, payload) = ("branchline/sp-042/state".to_owned(), r#"{"state":"online"}"#.to_owned());
        door.mqtt.publish(Publish { topic, payload, retain: true, receipt: None });
    };
    let mut door = Door::open(&settings(broker.port()));
    door.set_up(&["a"]).await;
    online(&door);
    assert_eq!(office.heard("branchline/sp-042/state").await, r#"{"state":"online"}"#);
    door.mqtt.stop().await;
    assert_eq!(office.heard("branchline/sp-042/state").await, r#"{"state":"offline"}"#);

    // The runtime of a second door is torn down: its connection breaks without DISCONNECT, as when the power goes.
    let dying = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let settings = settings(broker.port());
    std::thread::spawn(move || {
        dying.block_on(async {
            let mut door = Door::open(&settings);
            door.set_up(&["a"]).await;
            online(&door);
            // The broker has it when it has what comes behind it.
            let topic = "branchline/sp-042/x".to_owned();
            door.mqtt.publish(Publish { topic, payload: String::new(), retain: false, receipt: Some(ReceiptId(1)) });
            door.taken().await;
        });
    });
    assert_eq!(office.heard("branchline/sp-042/state").await, r#"{"state":"online"}"#);
    assert_eq!(office.heard("branchline/sp-042/state").await, r#"{"state":"offline"}"#);
    // Retained: who comes later learns it too.
    let mut late = Peer::connect(broker.port(), "late").await;
    late.subscribe("branchline/+/state").await;
    late.heard("branchline/sp-042/state").await;
}

#[tokio::test]
async fn another_client_with_our_id_is_told() {
    // A broker that says so.
    let (puppet, port) = Puppet::start().await;
    let mut door = Door::open(&settings(port));
    let mut connection = puppet.serve(&[Puppet::connack(None)]).await;
    connection.write_all(&[0xE0, 0x02, 0x8E, 0x00]).await.unwrap(); // DISCONNECT, session taken over
    let why = door.lost().await;
    assert!(why.contains("branchline-sp-042") && why.contains("second daemon"), "{why}");

    // mosquitto 2.0.11 says nothing and closes the connection: told when it goes on.
    let broker = Mosquitto::start();
    let timing = Timing { base: Duration::from_millis(1), cap: Duration::from_millis(1), ..Timing::default() };
    let mut door = Door::open_with(&settings(broker.port()), timing);
    let mut whys = Vec::new();
    for _ in 0..3 {
        door.set_up(&["a"]).await;
        let _thief = Peer::connect(broker.port(), "branchline-sp-042").await;
        whys.push(door.lost().await);
    }
    let suspected: Vec<bool> = whys.iter().map(|why| why.contains("second daemon")).collect();
    assert_eq!(suspected, [false, false, true], "{whys:?}");
}

/// Each connection is brief and closed without a word, as when another client has our id; but it is the broker that went.
#[tokio::test]
async fn a_broker_that_is_restarted_time_and_again_is_no_other_client() {
    let mut broker = Mosquitto::start();
    let mut door =
        Door::open_with(&settings(broker.port()), Timing { cap: Duration::from_millis(500), ..Timing::default() });
    let mut whys = Vec::new();
    for round in 0..5 {
        door.set_up(&["a"]).await;
        if round % 2 == 0 {
            broker.pause()
        } else {
            broker.kill()
        }
        whys.push(door.lost().await);
        broker.resume();
        whys.extend(door.seen.drain(..).filter_map(|news| match news {
            News::Link(BrokerLink::Lost { why }) => Some(why),
            _ => None,
        }));
    }
    assert!(!whys.iter().any(|why| why.contains("second daemon")), "{whys:?}");
}

#[tokio::test]
async fn an_absent_broker_is_told_and_waited_for() {
    let mut broker = Mosquitto::start();
    broker.pause();
    let mut door = Door::open(&settings(broker.port()));
    let why = door.lost().await;
    assert!(why.contains("nothing listens"), "{why}");
    broker.resume();
    door.set_up(&["a"]).await;
}

#[tokio::test]
async fn a_stop_without_a_broker_is_quick() {
    let mut broker = Mosquitto::start();
    broker.pause();
    let mut door = Door::open(&settings(broker.port()));
    door.lost().await;
    let begun = std::time::Instant::now();
    door.mqtt.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(10), "the broker is not waited for");
}

#[tokio::test]
async fn a_wrong_password_is_told() {
    let broker = locked("");
    let wrong = Settings {
        username: Some("relay".to_owned()),
        password: Some(Secret::new("wrong")),
        ..settings(broker.port())
    };
    let why = Door::open(&wrong).lost().await;
    assert!(why.contains("mqtt.password_file") && !why.contains("wrong"), "{why}");
    let right = Settings { password: Some(Secret::new("right")), ..wrong };
    Door::open(&right).set_up(&["a"]).await;
}

/// A broker that knows user `relay` with the password `right`.
fn locked(lines: &str) -> Mosquitto {
    let lines = format!("allow_anonymous false\npassword_file {{folder}}/passwords\n{lines}");
    Mosquitto::start_with(&lines, |folder| {
        let file = folder.join("passwords");
        std::fs::write(&file, "").unwrap();
        let made =
            std::process::Command::new("mosquitto_passwd").arg("-b").arg(&file).args(["relay", "right"]).status();
        assert!(made.expect("mosquitto_passwd is part of Debian's mosquitto").success());
        certificates(folder);
    })
}

/// An authority, a broker for 127.0.0.1, our own client certificate, and one of somebody else's authority.
fn certificates(folder: &std::path::Path) {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
    // OpenSSL takes a certificate for self-signed when subject and issuer have the same name, which is rcgen's default.
    let params = |host: Option<&str>, name: &str| {
        let mut params = CertificateParams::new(host.map(str::to_owned).into_iter().collect::<Vec<_>>()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params
    };
    let authority = || {
        let mut params = params(None, "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    };
    let put = |name: &str, text: String| std::fs::write(folder.join(name), text).unwrap();
    let leaf = |issuer: &CertifiedIssuer<'_, KeyPair>, name: &str, file: &str| {
        let key = KeyPair::generate().unwrap();
        let certificate = params(Some(name), name).signed_by(&key, issuer).unwrap();
        put(&format!("{file}.pem"), certificate.pem());
        put(&format!("{file}.key"), key.serialize_pem());
    };
    let ours = authority();
    put("ca.pem", ours.pem());
    leaf(&ours, "127.0.0.1", "broker");
    leaf(&ours, "relay.branch", "box");
    let theirs = authority();
    put("other-ca.pem", theirs.pem());
    leaf(&theirs, "relay.branch", "stranger");
}

#[tokio::test]
async fn tls_with_authority_client_certificate_and_password() {
    let broker = locked(
        "cafile {folder}/ca.pem\ncertfile {folder}/broker.pem\nkeyfile {folder}/broker.key\nrequire_certificate true\n",
    );
    let file = |name: &str| broker.folder().join(name);
    let identity = |name: &str| Some((file(&format!("{name}.pem")), file(&format!("{name}.key"))));
    let right = Settings {
        tls: true,
        username: Some("relay".to_owned()),
        password: Some(Secret::new("right")),
        ca_file: Some(file("ca.pem")),
        identity: identity("box"),
        ..settings(broker.port())
    };
    let mut door = Door::open(&right);
    door.set_up(&["a"]).await;
    door.mqtt.publish(Publish {
        topic: "a/x".into(),
        payload: String::new(),
        retain: false,
        receipt: Some(ReceiptId(1)),
    });
    assert_eq!(door.taken().await, ReceiptId(1));
    door.mqtt.stop().await;

    let refused = [
        (Settings { ca_file: Some(file("other-ca.pem")), ..right.clone() }, "mqtt.ca_file"),
        (Settings { ca_file: None, ..right.clone() }, "mqtt.ca_file"),
        (Settings { identity: identity("stranger"), ..right.clone() }, "mqtt.cert_file"),
        (Settings { identity: None, ..right.clone() }, "mqtt.cert_file"),
        (Settings { host: "localhost".to_owned(), ..right.clone() }, "name in the certificate"),
        (Settings { tls: false, ..right.clone() }, "mqtts://"),
    ];
    for (settings, wanted) in refused {
        let mut door = Door::open(&settings);
        let why = door.lost().await;
        assert!(why.contains(wanted), "wanted {wanted}: {why}");
        door.mqtt.stop().await;
    }
}

/// Resident bytes of this process.
fn resident() -> usize {
    let pages: usize = std::fs::read_to_string("/proc/self/statm").unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}
