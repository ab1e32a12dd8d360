//! The floor: a bridge on the same client libraries that keeps nothing, checks nothing and repeats nothing. What the daemon's
//! promises cost is the distance from here.
//!
//! It runs in a process of its own, on one thread, with the receive maximum and the posts in flight of the daemon's defaults.
//! Automatic acknowledgements leave when the library has read the event, manual ones when the API has answered.

use branchline::door::clock::SystemClock;
use branchline::door::tls;
use branchline::limits;
use rumqttc::NetworkOptions;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, Publish};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// When an event is acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Acks {
    /// By the library, as soon as it is read.
    Automatic,
    /// By us, after the API's answer.
    Manual,
}

/// Where the bridge stands.
pub struct Floor {
    /// The broker, on loopback.
    pub port: u16,
    /// The address of the messages endpoint.
    pub url: String,
    /// The API's token.
    pub token: String,
    /// See [`Acks`].
    pub acks: Acks,
}

impl Floor {
    /// Bridges until it is killed. Says "ready" when it has subscribed.
    pub fn run(self, ca: &Path) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(self.bridge(ca));
    }

    async fn bridge(self, ca: &Path) {
        let http = http(ca);
        // Opens the connection: parallel first requests would each open one.
        http.get(&self.url).bearer_auth(&self.token).send().await.unwrap();
        let (client, mut events) = self.mqtt();
        client.subscribe("pos/+/order/+/ready", QoS::AtLeastOnce).await.unwrap();
        let (room, floor) = (Arc::new(Semaphore::new(limits::IN_FLIGHT)), Arc::new(self));
        loop {
            match events.poll().await.unwrap() {
                Event::Incoming(Packet::SubAck(_)) => {
                    println!("ready");
                    std::io::stdout().flush().unwrap();
                }
                Event::Incoming(Packet::Publish(event)) => {
                    let permit = room.clone().acquire_owned().await.unwrap();
                    let (http, client, floor) = (http.clone(), client.clone(), floor.clone());
                    tokio::spawn(async move {
                        floor.post(&http, &event).await;
                        if floor.acks == Acks::Manual {
                            client.ack(&event).await.unwrap();
                        }
                        drop(permit);
                    });
                }
                _ => {}
            }
        }
    }

    fn mqtt(&self) -> (AsyncClient, EventLoop) {
        let mut options = MqttOptions::new("floor", "127.0.0.1", self.port);
        options
            .set_clean_start(true)
            .set_receive_maximum(Some(limits::RECEIVE as u16))
            .set_max_packet_size(Some(1 << 20))
            .set_outgoing_inflight_upper_limit(64)
            .set_manual_acks(self.acks == Acks::Manual);
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        options.set_network_options(network);
        AsyncClient::new(options, 2 * limits::RECEIVE)
    }

    async fn post(&self, http: &reqwest::Client, event: &Publish) {
        let topic = std::str::from_utf8(&event.topic).unwrap();
        let payload: Value = serde_json::from_slice(&event.payload).unwrap();
        let body = message(topic, &payload).to_string();
        let request = http.post(&self.url).bearer_auth(&self.token).header("content-type", "application/json");
        let answer = request.body(body).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        answer.bytes().await.unwrap();
    }
}

/// What the daemon's rule makes of the same event.
fn message(topic: &str, payload: &Value) -> Value {
    let order = topic.split('/').nth(3).unwrap();
    let customer = &payload["customer"];
    let first_name = customer["name"].as_str().unwrap().split(' ').next().unwrap();
    json!({
        "messaging_product": "whatsapp", "recipient_type": "individual", "to": customer["phone"], "type": "template",
        "template": {
            "name": "order_ready", "language": {"code": "pt_BR"},
            "components": [{"type": "body", "parameters": [
                {"type": "text", "text": first_name}, {"type": "text", "text": order},
            ]}],
        },
        "biz_opaque_callback_data": format!("t-1/floor/{}", payload["event_id"].as_str().unwrap()),
    })
}

fn http(ca: &Path) -> reqwest::Client {
    let tls = tls::client_config(Some(ca), None, &[b"h2", b"http/1.1"], &SystemClock::start(None)).unwrap();
    reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().tcp_nodelay(true).build().unwrap()
}
