//! What leaves the box, and what the world makes of it: the loop's own view of the world, its broker and its platform.

use super::books::{Ended, Receipt};
use super::broker::{Publish, arrival};
use super::platform::{self, Effect, Request};
use super::setup;
use super::world::World;
use crate::engine::drive::World as Drives;
use crate::engine::{Action, BrokerLink, Engine, Failure, Input, Link, Post};
use crate::message::{Answer, Delivery, Epoch, NotSent, Payload, ReceiptId};
use crate::time::Now;
use std::time::Duration;

impl World {
    // --- the broker

    /// A connection, and what the broker sends again on it.
    pub fn connect(&mut self) {
        self.connect_only();
        self.settle();
    }

    pub fn connect_only(&mut self) {
        if self.broker.connected {
            self.broker.lost();
            self.tell(Input::Link(Link::Broker(BrokerLink::Lost { why: "sim".to_owned() })));
        }
        let resumed = self.broker.epoch > 0 && self.broker.resumed;
        self.broker.epoch += 1;
        (self.broker.connected, self.broker.resumed) = (true, true);
        let epoch = Epoch(self.broker.epoch);
        self.say(|| format!("connected {epoch:?}, session {resumed}"));
        self.tell(Input::Link(Link::Broker(BrokerLink::Connected { epoch, session_present: resumed })));
        if !resumed {
            self.broker.forgets();
        }
        self.broker.send_again();
    }

    pub(super) fn pump(&mut self) {
        while let Some((publish, delivery)) = self.broker.next() {
            let again = matches!(delivery, Delivery::AtLeastOnce { dup: true, .. });
            self.deliver(&publish, delivery, !again);
        }
    }

    pub fn deliver(&mut self, publish: &Publish, delivery: Delivery, fresh: bool) {
        self.say(|| {
            let says = match &publish.payload {
                Payload::Whole(text) => String::from_utf8_lossy(&text[..text.len().min(160)]).into_owned(),
                Payload::TooLarge { .. } => "too much".to_owned(),
            };
            format!("delivers {} {} {delivery:?} {says}", publish.label, publish.topic)
        });
        self.given += 1;
        self.books.delivered(&publish.label, fresh, self.version);
        self.broker.owed.push_back((publish.label.clone(), delivery));
        let took = self.inbox.as_ref().is_some_and(|inbox| inbox.arrived(arrival(publish, delivery)));
        assert!(took, "seed {}: the loop has no room", self.seed);
    }

    fn acknowledged(&mut self, delivery: Delivery) {
        let place = self.broker.owed.iter().position(|(_, owed)| *owed == delivery);
        let place = place.unwrap_or_else(|| panic!("seed {}: an acknowledgement for nothing: {delivery:?}", self.seed));
        if let Delivery::AtLeastOnce { epoch: Epoch(epoch), .. } = delivery
            && epoch == self.broker.epoch
        {
            let before = self.broker.owed.iter().take(place);
            let earlier =
                |owed: &Delivery| matches!(owed, Delivery::AtLeastOnce { epoch: Epoch(other), .. } if *other == epoch);
            let passed = before.map(|(_, owed)| owed).find(|owed| earlier(owed));
            assert!(passed.is_none(), "seed {}: {delivery:?} is acknowledged before {passed:?}", self.seed);
        }
        let (label, _) = self.broker.owed.remove(place).expect("just found");
        let event = &self.books.events[&label];
        // What is still owed for came again while it was held: this is its copy's room, and says nothing about the event.
        let held = self.broker.owed.iter().any(|(other, _)| *other == label);
        if event.rule == "stop" && !held {
            let to = event.to.clone();
            self.books.consent(&to, "all", false);
        }
        if let Some(publish) = self.broker.acknowledged(delivery) {
            self.acked.push(publish.label);
        }
    }

    fn published(&mut self, id: ReceiptId, payload: &str) {
        if !self.broker.connected {
            return;
        }
        self.broker.receipts.push_back(id.0);
        let told: serde_json::Value = serde_json::from_str(payload).unwrap();
        if told.get("kind").is_some() || told["rule"] == "opt-out" {
            return;
        }
        let text = |key: &str| told[key].as_str().map(str::to_owned);
        let message = text("message").unwrap();
        let receipt = Receipt {
            message: message.rsplit('-').next().unwrap().parse().unwrap(),
            to: text("to"),
            outcome: text("outcome").unwrap(),
            reason: text("reason").unwrap(),
        };
        let anchor = serde_json::from_value(told["audit"].clone()).unwrap();
        self.books.told.push(((receipt.message, receipt.outcome.clone(), receipt.reason.clone()), anchor));
        self.published.push((id.0, receipt));
    }

    /// The broker acknowledges the receipts that it has.
    pub fn receipts_taken(&mut self) {
        let last = self.broker.receipts.pop_back();
        self.broker.receipts.clear();
        if let Some(last) = last {
            self.tell(Input::ReceiptTaken(ReceiptId(last)));
        }
    }

    // --- the platform

    fn posted(&mut self, post: &Post) {
        let body: serde_json::Value = serde_json::from_slice(&post.body).unwrap();
        let text = |pointer: &str| body.pointer(pointer).and_then(|text| text.as_str()).map(str::to_owned);
        let said = text("/template/components/0/parameters/0/text").or_else(|| text("/text/body")).unwrap();
        let data = text("/biz_opaque_callback_data").unwrap();
        let message = data.split('/').nth(1).and_then(|id| id.rsplit('-').next()).unwrap().parse().unwrap();
        let request = Request {
            attempt: post.attempt.0,
            at: self.real,
            to: text("/to").unwrap().strip_prefix('+').expect("with a plus").to_owned(),
            label: said.split(' ').next().unwrap_or_default().to_owned(),
            message,
            data,
            took: false,
            reached: self.platform.line && (!self.troubles.platform || self.random.u8(0..8) > 0),
            token: self.token,
        };
        self.say(|| format!("posts {request:?}"));
        let mut request = request;
        if request.label == "Pronto," {
            self.books.farewell(&request, &self.platform.open);
            self.platform.open.push(request);
            return;
        }
        if request.reached && self.random.u8(0..8) == 0 {
            // Taken, and reported perhaps before the answer comes.
            request.took = true;
            self.will_report(&request);
        }
        if let Some(row) = self.books.rows.get_mut(&request.message) {
            self.reach.state(Some(row.state), 1);
            row.state = 1;
        }
        let clock = (!self.doubted).then(|| World::now(self).wall);
        self.books.leaves(&request, &self.platform.open, self.version, clock);
        self.platform.open.push(request);
    }

    /// One request is answered; sometimes the answer comes twice.
    pub fn answer(&mut self, which: usize, kind: bool) {
        let request = self.platform.open.remove(which);
        let (answer, ended, effect) = if kind && request.reached {
            (platform::taken(&request), Ended::Taken, Effect::None)
        } else {
            self.platform.answer(&mut self.random, &request)
        };
        self.say(|| format!("answers {} with {answer:?}", request.attempt));
        self.books.answered(self.real, &request, ended, effect, request.token == self.token);
        let lost = matches!(answer, crate::message::Answer::Lost(_));
        if !request.took
            && request.label != "Pronto,"
            && (ended == Ended::Taken || lost && request.reached && self.random.bool())
        {
            self.will_report(&request);
        }
        let id = crate::message::AttemptId(request.attempt);
        self.tell(Input::Answered(id, answer.clone()));
        if self.random.bool() {
            self.tell(Input::Answered(id, answer));
        }
    }
}

impl Drives for World {
    fn now(&mut self) -> Now {
        World::now(self)
    }

    fn free_space(&mut self) -> Option<u64> {
        Some(self.disk)
    }

    fn written(&mut self) -> Option<u64> {
        None
    }

    fn stopwatch(&mut self) -> Duration {
        Duration::from_millis(self.real)
    }

    fn stepped(&mut self) {}

    fn copies(&mut self) {}

    /// The power may fail before any action: those after it never leave.
    fn release(&mut self, action: Action) {
        if let Some(left) = &mut self.crash_in {
            self.dead |= *left == 0;
            *left = left.saturating_sub(1);
        }
        if self.dead {
            return;
        }
        match action {
            Action::Ack(delivery) => self.acknowledged(delivery),
            Action::Post(post) => self.posted(&post),
            Action::Probe => {
                let why = NotSent::NoConnection("sim".to_owned());
                let link = if self.platform.line { Link::UplinkUp(None) } else { Link::UplinkDown(why) };
                self.tell(Input::Link(link));
            }
            // Nothing about who may send: what a refusal stopped, only an operator of this world lifts.
            Action::Look(_) => {
                let body = format!(r#"{{"quality_rating":"{}"}}"#, self.quality.code());
                self.tell(Input::Looked(match self.platform.line {
                    true => Answer::Http { status: 200, body: body.into(), date: None },
                    false => Answer::NotSent(NotSent::NoConnection("sim".to_owned())),
                }));
            }
            Action::Subscribe { epoch, .. } => {
                if self.broker.connected && epoch.0 == self.broker.epoch {
                    self.broker.subscribed = true;
                    self.tell(Input::Link(Link::Broker(BrokerLink::Subscribed { epoch, refused: Vec::new() })));
                }
            }
            Action::Publish(publish) => {
                if let Some(id) = publish.receipt {
                    self.published(id, &publish.payload);
                }
            }
            Action::Show(told) => self.reach.told(&told),
            Action::Done(ticket, reply) => self.done(ticket, &reply),
            Action::Heard(ticket, kept) => self.heard(ticket, kept),
        }
    }

    fn trouble(&mut self, failure: Option<&Failure>) {
        self.say(|| format!("trouble {failure:?}"));
    }

    fn reload(&mut self, engine: &mut Engine) {
        let Some(version) = self.reload.take() else { return };
        self.say(|| format!("reloads {version}"));
        self.version = version;
        self.books.reloaded(version);
        if version == setup::PAUSED {
            self.books.stops.insert("the configuration".to_owned());
        } else {
            self.books.stops.remove("the configuration");
        }
        let (rooms, rules) = self.rooms(version);
        engine.reload(World::now(self), rooms, rules);
    }
}
