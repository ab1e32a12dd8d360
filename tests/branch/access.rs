//! The access rules for mosquitto that README recommends: each user publishes what is his, and nobody else anything.

use crate::mosquitto::{Mosquitto, PATIENCE};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use std::process::Command;
use tokio::time::timeout;

const RULES: &str = include_str!("../../config/examples/mosquitto.acl");
const USERS: &[&str] = &["relay", "dashboard", "node-7", "till-3"];

fn broker() -> Mosquitto {
    let lines = "allow_anonymous false\npassword_file {folder}/passwd\nacl_file {folder}/branchline.acl\n";
    Mosquitto::start_with(lines, |folder| {
        std::fs::write(folder.join("branchline.acl"), RULES).unwrap();
        let passwords = folder.join("passwd");
        std::fs::write(&passwords, "").unwrap();
        for user in USERS {
            let done =
                Command::new("mosquitto_passwd").arg("-b").arg(&passwords).args([user, "secret"]).output().unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        }
    })
}

fn connect(broker: &Mosquitto, user: &str) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new(format!("{user}-{:x}", fastrand::u64(..)), "127.0.0.1", broker.port());
    options.set_credentials(user, "secret");
    AsyncClient::new(options, 64)
}

/// Publishes at QoS 1 and waits until the broker has answered all of it.
async fn publish(broker: &Mosquitto, user: &str, topics: &[&str]) {
    let (client, mut connection) = connect(broker, user);
    for topic in topics {
        client.publish(*topic, QoS::AtLeastOnce, false, "event").await.unwrap();
    }
    let mut answered = 0;
    while answered < topics.len() {
        if let Event::Incoming(Packet::PubAck(_)) = timeout(PATIENCE, connection.poll()).await.unwrap().unwrap() {
            answered += 1;
        }
    }
}

/// Who subscribes to everything, and hears what the rules let through.
async fn listener(broker: &Mosquitto, user: &str) -> EventLoop {
    let (client, mut connection) = connect(broker, user);
    client.subscribe("#", QoS::AtLeastOnce).await.unwrap();
    loop {
        if let Event::Incoming(Packet::SubAck(_)) = timeout(PATIENCE, connection.poll()).await.unwrap().unwrap() {
            return connection;
        }
    }
}

async fn hears(connection: &mut EventLoop, topics: &[&str]) {
    for expected in topics {
        loop {
            if let Event::Incoming(Packet::Publish(publish)) =
                timeout(PATIENCE, connection.poll()).await.unwrap().unwrap()
            {
                assert_eq!(publish.topic, *expected);
                break;
            }
        }
    }
}

#[tokio::test]
async fn each_user_publishes_what_is_his() {
    let broker = broker();
    let mut relay = listener(&broker, "relay").await;
    let mut dashboard = listener(&broker, "dashboard").await;
    publish(
        &broker,
        "till-3",
        &["pos/3/order/1/ready", "pos/4/order/1/ready", "node/7/alarm", "branchline/sp-042/state"],
    )
    .await;
    publish(&broker, "node-7", &["node/7/alarm", "node/8/alarm", "pos/3/order/2/ready", "pos/node-7/x"]).await;
    publish(&broker, "dashboard", &["pos/3/order/3/ready", "branchline/sp-042/notice"]).await;
    publish(&broker, "relay", &["pos/3/order/4/ready", "node/7/alarm", "branchline/sp-042/receipt/order-ready"]).await;
    publish(&broker, "till-3", &["pos/3/end"]).await;
    publish(&broker, "relay", &["branchline/sp-042/state"]).await;
    hears(&mut relay, &["pos/3/order/1/ready", "node/7/alarm", "pos/3/end"]).await;
    hears(&mut dashboard, &["branchline/sp-042/receipt/order-ready", "branchline/sp-042/state"]).await;
}

#[tokio::test]
async fn nobody_without_a_name() {
    let broker = broker();
    let options = MqttOptions::new("anonymous", "127.0.0.1", broker.port());
    let (_client, mut connection) = AsyncClient::new(options, 1);
    let refused = timeout(PATIENCE, connection.poll()).await.unwrap();
    assert!(refused.is_err(), "{refused:?}");
}
