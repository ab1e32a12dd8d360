//! What is seen from outside: receipts over MQTT, the simulated API's record, and the daemon's counters.
//!
//! Floor: beside the roof. Keeps everything for the comparison; numbers only masked.

use super::scenario::{PEOPLE, Person};
use super::stage::Stage;
use crate::demo::api::{Control, Repeat};
use crate::door::operate::{Ask, Desk};
use crate::message::{Outcome, Reason};
use crate::operate::{OutboxDetail, Reply, Request};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PublishProperties};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// For what takes milliseconds, on a machine that is busy with something else.
const SOON: Duration = Duration::from_secs(20);

/// A receipt as it is published.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub(super) struct Receipt {
    pub(super) event: Option<String>,
    pub(super) message: String,
    /// Masked.
    pub(super) to: Option<String>,
    pub(super) outcome: Outcome,
    pub(super) reason: Reason,
}

/// A message that the API took.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Message {
    pub(super) event: String,
    /// Masked.
    pub(super) to: String,
    pub(super) text: String,
    pub(super) at: Instant,
    pub(super) repeat: Option<Repeat>,
}

/// Everything that was seen.
#[derive(Clone, Default, Debug)]
pub(super) struct Record {
    pub(super) receipts: Vec<Receipt>,
    pub(super) messages: Vec<Message>,
    /// Codes that the API refused messages with.
    pub(super) refused: Vec<i64>,
    /// `branchline_events_total` by rule and result.
    pub(super) counters: BTreeMap<(String, String), u64>,
    /// The last thing that the daemon said of its uplink.
    pub(super) uplink_up: bool,
}

impl Record {
    /// Where the message of this event to this person stands: the last receipt.
    pub(super) fn stands(&self, event: &str, to: Option<&str>) -> Option<&Receipt> {
        self.receipts
            .iter()
            .rev()
            .find(|receipt| receipt.event.as_deref() == Some(event) && receipt.to.as_deref() == to)
    }
}

/// Something new, as it is told.
pub(super) enum News {
    Message(Message),
    Receipt(Receipt),
}

enum Heard {
    Receipt(Receipt),
    Uplink(bool),
    /// Somebody else's publish, or one that cannot be read: told, as nothing of the kind should come.
    Odd(String),
    Lost(String),
}

/// The branch's own MQTT client, and the eyes on everything else.
pub(super) struct Watch {
    client: AsyncClient,
    heard: mpsc::UnboundedReceiver<Heard>,
    listening: AbortHandle,
    api: Control,
    api_started: Instant,
    api_seen: usize,
    desk: Desk,
    pub(super) record: Record,
}

impl Watch {
    /// Connects to the broker and listens; returns when it is subscribed.
    pub(super) async fn open(stage: &Stage) -> Result<Watch, String> {
        let broker = stage.broker().addr();
        let mut options = MqttOptions::new("demo-branch", broker.ip().to_string(), broker.port());
        options.set_keep_alive(Duration::from_secs(30));
        let (client, mut events) = AsyncClient::new(options, 64);
        client.subscribe("branchline/demo/#", QoS::AtLeastOnce).await.map_err(|error| error.to_string())?;
        let subscribed = async {
            loop {
                match events.poll().await {
                    Ok(Event::Incoming(Packet::SubAck(_))) => return Ok(()),
                    Ok(_) => {}
                    Err(error) => return Err(format!("the embedded broker: {error}")),
                }
            }
        };
        tokio::time::timeout(SOON, subscribed).await.map_err(|_| "the embedded broker does not answer")??;
        let (tell, heard) = mpsc::unbounded_channel();
        let listening = tokio::spawn(listen(events, tell)).abort_handle();
        Ok(Watch {
            client,
            heard,
            listening,
            api: stage.control(),
            api_started: stage.api_started,
            api_seen: 0,
            desk: stage.daemon().desk(),
            record: Record::default(),
        })
    }

    /// Publishes an event at QoS 1.
    pub(super) async fn publish(&self, topic: &str, id: &str, payload: String) -> Result<(), String> {
        let properties = PublishProperties {
            user_properties: vec![("event-id".to_owned(), id.to_owned())],
            ..PublishProperties::default()
        };
        self.client
            .publish_with_properties(topic, QoS::AtLeastOnce, false, payload, properties)
            .await
            .map_err(|error| format!("the embedded broker: {error}"))
    }

    /// What is new since the last look, what people read first.
    pub(super) async fn look(&mut self) -> Result<Vec<News>, String> {
        let mut news = Vec::new();
        for seen in self.api.seen().into_iter().skip(self.api_seen) {
            self.api_seen += 1;
            if let crate::demo::api::Answer::Refused(code) = seen.answer {
                self.record.refused.push(code);
            }
            if !seen.accepted() {
                continue;
            }
            // demo/<message id>/<event id>
            let event = seen.data.as_deref().and_then(|data| data.splitn(3, '/').nth(2)).unwrap_or_default();
            let message = Message {
                event: event.to_owned(),
                to: masked(&seen.to),
                text: seen.text,
                at: self.api_started + seen.at,
                repeat: seen.repeat,
            };
            self.record.messages.push(message.clone());
            news.push(News::Message(message));
        }
        while let Ok(heard) = self.heard.try_recv() {
            match heard {
                Heard::Uplink(up) => self.record.uplink_up = up,
                Heard::Odd(what) | Heard::Lost(what) => return Err(what),
                // Published at least once: the last one said the same.
                Heard::Receipt(receipt)
                    if self.record.receipts.contains(&receipt) && receipt.outcome != Outcome::Stored => {}
                Heard::Receipt(receipt) => {
                    self.record.receipts.push(receipt.clone());
                    news.push(News::Receipt(receipt));
                }
            }
        }
        Ok(news)
    }

    /// Reads the daemon's counters.
    pub(super) async fn count(&mut self) -> Result<(), String> {
        match self.ask(Request::Metrics).await? {
            Reply::Text(text) => self.record.counters = counters(&text),
            other => return Err(format!("the daemon's metrics: {other:?}")),
        }
        Ok(())
    }

    /// What a stored message waits for, if for anything.
    pub(super) async fn waits_for(&self, message: &str) -> Result<Option<Reason>, String> {
        match self.ask(Request::OutboxShow { id: message.to_owned() }).await? {
            Reply::Data(data) => {
                let detail: OutboxDetail = serde_json::from_value(data).map_err(|error| error.to_string())?;
                Ok(detail.waits.map(|wait| wait.reason))
            }
            other => Err(format!("the daemon knows nothing of a message that it told of: {other:?}")),
        }
    }

    /// An operator's question or order.
    pub(super) async fn ask(&self, request: Request) -> Result<Reply, String> {
        self.desk.ask(request).await.map_err(|busy| format!("the daemon: {busy}"))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(mut events: EventLoop, tell: mpsc::UnboundedSender<Heard>) {
    loop {
        let heard = match events.poll().await {
            Ok(Event::Incoming(Packet::Publish(publish))) => {
                understand(&String::from_utf8_lossy(&publish.topic), &publish.payload)
            }
            Ok(_) => continue,
            Err(error) => Heard::Lost(format!("the embedded broker: {error}")),
        };
        let over = matches!(heard, Heard::Lost(_));
        if tell.send(heard).is_err() || over {
            return;
        }
    }
}

fn understand(topic: &str, payload: &[u8]) -> Heard {
    let odd = |error: serde_json::Error| Heard::Odd(format!("what the daemon published on {topic}: {error}"));
    if topic.ends_with("/state") {
        return match serde_json::from_slice::<serde_json::Value>(payload) {
            Ok(state) => Heard::Uplink(state["uplink"] == "up"),
            Err(error) => odd(error),
        };
    }
    serde_json::from_slice(payload).map_or_else(odd, Heard::Receipt)
}

/// `branchline_events_total{rule="order-placed",result="matched"} 8`
fn counters(metrics: &str) -> BTreeMap<(String, String), u64> {
    let lines = metrics.lines().filter_map(|line| line.strip_prefix("branchline_events_total{"));
    lines
        .filter_map(|line| {
            let (labels, count) = line.split_once("} ")?;
            let label = |name: &str| Some(labels.split_once(&format!("{name}=\""))?.1.split_once('"')?.0.to_owned());
            Some(((label("rule")?, label("result")?), count.parse().ok()?))
        })
        .collect()
}

/// Masked as the daemon masks it; nothing of what is no number.
pub(super) fn masked(number: &str) -> String {
    let digits = number.trim_start_matches('+');
    crate::message::Number::of_digits(digits).map_or_else(|_| "(no number)".to_owned(), |number| number.to_string())
}

/// Who it is.
pub(super) fn person(masked_number: &str) -> Option<&'static Person> {
    // The masks differ: a test of the scenario says so.
    PEOPLE.iter().find(|person| masked(person.number) == masked_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_from_the_metrics() {
        let text = "# TYPE branchline_events_total counter\n\
            branchline_events_total{rule=\"\",result=\"no-rule\"} 2\n\
            branchline_events_total{rule=\"order-placed\",result=\"matched\"} 8\n\
            branchline_link_up{link=\"broker\"} 1\n";
        let read: Vec<_> = counters(text).into_iter().collect();
        let of = |rule: &str, result: &str, count| ((rule.to_owned(), result.to_owned()), count);
        assert_eq!(read, [of("", "no-rule", 2), of("order-placed", "matched", 8)]);
    }

    #[test]
    fn numbers_are_kept_masked() {
        assert_eq!(masked("+5511987650142"), "+55…42");
        assert_eq!(masked("Beatriz"), "(no number)");
        assert_eq!(person("+52…15").unwrap().name, "Mateo");
    }
}
