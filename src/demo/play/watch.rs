//! What is seen from outside: receipts over MQTT, the simulated API's record, and the daemon's counters.
//!
//! Floor: beside the roof. Keeps everything for the comparison; numbers only masked.

use super::scenario::{PEOPLE, Person};
use super::stage::Stage;
use crate::demo::api::{Control, Repeat};
use crate::door::operate::{Ask, Desk};
use crate::message::{Outcome, Reason};
use crate::operate::{OutboxDetail, OutboxPage, Reply, Request};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PublishProperties};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tracing::warn;

/// For what takes milliseconds, on a machine that is busy with something else.
const SOON: Duration = Duration::from_secs(20);

/// Where the daemon tells how it is.
const STATE: &str = "branchline/demo/state";

/// A receipt as it is published.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub(super) struct Receipt {
    pub(super) event: Option<String>,
    /// The daemon's id of it.
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
    /// The daemon says of its uplink that it is up, or down.
    Uplink(bool),
}

enum Heard {
    Receipt(Receipt),
    Uplink(bool),
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
    desk: Desk<Request, Reply>,
    uplink_up: bool,
    pub(super) record: Record,
}

impl Watch {
    /// Connects to the broker and listens; returns when it is subscribed.
    pub(super) async fn open(stage: &Stage) -> Result<Watch, String> {
        let broker = stage.broker().addr();
        let mut options = MqttOptions::new("demo-branch", broker.ip().to_string(), broker.port());
        options.set_keep_alive(Duration::from_secs(30));
        let (client, mut events) = AsyncClient::new(options, 64);
        for filter in ["branchline/demo/receipt/#", STATE] {
            client.subscribe(filter, QoS::AtLeastOnce).await.map_err(|error| error.to_string())?;
        }
        let subscribed = async {
            let mut left = 2;
            while left > 0 {
                match events.poll().await {
                    Ok(Event::Incoming(Packet::SubAck(_))) => left -= 1,
                    Ok(_) => {}
                    Err(error) => return Err(format!("the embedded broker: {error}")),
                }
            }
            Ok(())
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
            uplink_up: false,
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
                Heard::Lost(why) => return Err(why),
                Heard::Uplink(up) if up == self.uplink_up => {}
                Heard::Uplink(up) => {
                    self.uplink_up = up;
                    news.push(News::Uplink(up));
                }
                // They are published at least once.
                Heard::Receipt(receipt) if self.record.receipts.contains(&receipt) => {}
                Heard::Receipt(receipt) => {
                    self.record.receipts.push(receipt.clone());
                    news.push(News::Receipt(receipt));
                }
            }
        }
        Ok(news)
    }

    /// Waits until the daemon says that its uplink is up.
    pub(super) async fn until_up(&mut self, within: Duration) -> Result<(), String> {
        let up = async {
            while !self.uplink_up {
                match self.heard.recv().await {
                    Some(Heard::Uplink(up)) => self.uplink_up = up,
                    Some(Heard::Receipt(_)) => {}
                    Some(Heard::Lost(why)) => return Err(why),
                    None => return Err("the connection to the embedded broker has ended".to_owned()),
                }
            }
            Ok(())
        };
        tokio::time::timeout(within, up).await.map_err(|_| "the daemon does not say that its uplink is up")?
    }

    /// Reads the daemon's counters.
    pub(super) async fn count(&mut self) -> Result<(), String> {
        match self.ask(Request::Metrics).await? {
            Reply::Text(text) => self.record.counters = counters(&text),
            other => return Err(format!("the daemon's metrics: {other:?}")),
        }
        Ok(())
    }

    /// Who waits for the message of this event, and for what.
    pub(super) async fn waiting(&self, event: &str) -> Result<Vec<(String, Reason)>, String> {
        let list = Request::OutboxList { outcome: Some(Outcome::Stored.code().to_owned()), before: None, limit: 50 };
        let page: OutboxPage = self.data(list).await?;
        let mut waiting = Vec::new();
        for row in page.rows {
            let detail: OutboxDetail = self.data(Request::OutboxShow { id: row.id }).await?;
            if detail.event.as_deref() == Some(event)
                && let Some(wait) = detail.waits
            {
                waiting.push((detail.row.to, wait.reason));
            }
        }
        Ok(waiting)
    }

    /// What the daemon answers an operator.
    pub(super) async fn data<T: DeserializeOwned>(&self, request: Request) -> Result<T, String> {
        let name = request.name();
        match self.ask(request).await? {
            Reply::Data(data) => serde_json::from_value(data).map_err(|error| format!("the daemon's {name}: {error}")),
            other => Err(format!("the daemon's {name}: {other:?}")),
        }
    }

    /// An operator's question or order.
    async fn ask(&self, request: Request) -> Result<Reply, String> {
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
            Ok(Event::Incoming(Packet::Publish(publish))) => understand(&publish.topic, &publish.payload),
            Ok(_) => None,
            Err(error) => Some(Heard::Lost(format!("the embedded broker: {error}"))),
        };
        let Some(heard) = heard else { continue };
        let over = matches!(heard, Heard::Lost(_));
        if tell.send(heard).is_err() || over {
            return;
        }
    }
}

fn understand(topic: &[u8], payload: &[u8]) -> Option<Heard> {
    let heard = if topic == STATE.as_bytes() {
        serde_json::from_slice::<Value>(payload).map(|state| Heard::Uplink(state["uplink"] == "up"))
    } else {
        serde_json::from_slice(payload).map(Heard::Receipt)
    };
    // Anybody may publish here once the demo serves. A receipt that is missing is seen by the comparison.
    heard.inspect_err(|error| warn!("no receipt and no state: {error}")).ok()
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
