//! Somebody who listens at the broker, with a session that outlives its restarts.

use rumqttc::v5::mqttbytes::{QoS, v5::Packet};
use rumqttc::v5::{AsyncClient, Event, MqttOptions};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;

/// One message as it was heard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Heard {
    pub topic: String,
    pub payload: String,
    pub retained: bool,
}

impl Heard {
    /// The payload as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.payload).unwrap()
    }
}

/// Listens until it is dropped.
pub struct Ear {
    heard: Arc<Mutex<Vec<Heard>>>,
    end: Arc<Notify>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Ear {
    /// Returns when the subscription stands.
    pub fn new(port: u16, filter: &str) -> Ear {
        let (heard, end) = (Arc::<Mutex<Vec<Heard>>>::default(), Arc::<Notify>::default());
        let (ready, stands) = std::sync::mpsc::channel();
        let (kept, over, filter) = (heard.clone(), end.clone(), filter.to_owned());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(listen(port, &filter, &kept, &over, &ready));
        });
        stands.recv_timeout(crate::mosquitto::PATIENCE).unwrap();
        Ear { heard, end, thread: Some(thread) }
    }

    /// Everything so far.
    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    /// Everything since the last call of this.
    pub fn take(&self) -> Vec<Heard> {
        std::mem::take(&mut self.heard.lock().unwrap())
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.end.notify_one();
        self.thread.take().unwrap().join().ok();
    }
}

async fn listen(port: u16, filter: &str, heard: &Mutex<Vec<Heard>>, end: &Notify, ready: &std::sync::mpsc::Sender<()>) {
    let mut options = MqttOptions::new(format!("ear-{:x}", fastrand::u64(..)), "127.0.0.1", port);
    options.set_clean_start(false).set_session_expiry_interval(Some(3600));
    let (client, mut connection) = AsyncClient::new(options, 16);
    let ended = end.notified();
    tokio::pin!(ended);
    loop {
        let event = tokio::select! {
            () = &mut ended => return,
            event = connection.poll() => event,
        };
        match event {
            // The broker is away: it is asked again, unless nobody listens any more.
            Err(_) => {
                if tokio::time::timeout(Duration::from_millis(50), &mut ended).await.is_ok() {
                    return;
                }
            }
            Ok(Event::Incoming(Packet::ConnAck(_))) => client.try_subscribe(filter, QoS::AtLeastOnce).unwrap(),
            Ok(Event::Incoming(Packet::SubAck(_))) => drop(ready.send(())),
            Ok(Event::Incoming(Packet::Publish(publish))) => heard.lock().unwrap().push(Heard {
                topic: String::from_utf8(publish.topic.to_vec()).unwrap(),
                payload: String::from_utf8(publish.payload.to_vec()).unwrap(),
                retained: publish.retain,
            }),
            Ok(_) => {}
        }
    }
}
