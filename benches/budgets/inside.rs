//! The engine alone, in this process: what can be measured without a network.

use crate::house::{self, RULES, TEMPLATES, TOKEN, UPLINK};
use branchline::config;
use branchline::door::clock::SystemClock;
use branchline::engine::{Action, BrokerLink, Engine, Input, Link};
use branchline::message::{Answer, Arrival, Delivery, Epoch, Payload};
use branchline::outbox::Outbox;
use branchline::time::Wall;
use serde_json::{Value, json};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::SystemTime;

const EPOCH: Epoch = Epoch(1);
const INSIDE: &str = include_str!("../unlimited.toml");

/// An engine on a store in a folder, and the clock that it is told.
pub struct Inside {
    pub engine: Engine,
    clock: SystemClock,
    packet: u16,
}

impl Inside {
    /// On the store that the configuration names.
    pub fn open(configuration: &Path) -> Inside {
        let loaded = config::load(configuration, None, &[]).unwrap_or_else(|problems| panic!("{problems:?}"));
        let rooms = loaded.config.rooms;
        let outbox = Outbox::open(rooms.outbox.clone(), 1).unwrap();
        let rules = loaded.rules;
        let clock = SystemClock::start(None);
        // As a box knows it from the uplink's first answer on.
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap();
        clock.confirm(Wall(now.as_millis() as i64));
        let engine = Engine::new(rooms, rules, outbox, clock.now(), clock.boot_id(), 1).unwrap();
        Inside { engine, clock, packet: 0 }
    }

    /// With a store, token and templates in `folder`; `in_flight` posts at once. `sealed` is with `outbox.key_file`.
    pub fn fresh(folder: &Path, in_flight: usize, sealed: bool) -> Inside {
        let uplink = format!("[uplink]\nbase_url = \"https://127.0.0.1:1\"\nmax_in_flight = {in_flight}\n{UPLINK}");
        let text =
            format!("{RULES}{INSIDE}[mqtt]\nurl = \"mqtt://127.0.0.1:1\"\n{}", uplink.replace("ca_file", "#ca_file"));
        let path = folder.join("inside.toml");
        let text = if sealed { text.replace("[outbox]\n", "[outbox]\nkey_file = \"key\"\n") } else { text };
        std::fs::write(&path, text).unwrap();
        std::fs::write(folder.join("key"), "00112233445566778899aabbccddeeff".repeat(2)).unwrap();
        std::fs::set_permissions(folder.join("key"), Permissions::from_mode(0o600)).unwrap();
        std::fs::write(folder.join("templates.json"), TEMPLATES).unwrap();
        std::fs::write(folder.join("token"), TOKEN).unwrap();
        Inside::open(&path)
    }

    /// Broker and uplink are there; answers one post, which closes the circuit.
    pub fn connect(&mut self) {
        self.batch(&[Input::Link(Link::Broker(BrokerLink::Connected { epoch: EPOCH, session_present: true }))]);
        self.batch(&[Input::Link(Link::Broker(BrokerLink::Subscribed { epoch: EPOCH, refused: Vec::new() }))]);
        self.batch(&[Input::Link(Link::UplinkUp(None))]);
        self.through(&[house::order(0)]);
    }

    pub fn batch(&mut self, inputs: &[Input]) -> Vec<Action> {
        self.engine.batch(self.clock.now(), inputs).unwrap()
    }

    /// An event as the broker hands it over.
    pub fn arrival(&mut self, (topic, payload): (String, String)) -> Input {
        self.packet = self.packet % u16::MAX + 1;
        Input::Arrived(Arrival {
            topic,
            payload: Payload::Whole(payload.into()),
            retained: false,
            delivery: Delivery::AtLeastOnce { epoch: EPOCH, packet: self.packet, dup: false },
            subscriptions: Vec::new(),
            event_id: None,
            expiry: None,
        })
    }

    /// These events in one commit, all answers in another, all receipts' acknowledgements as they come.
    pub fn through(&mut self, events: &[(String, String)]) {
        let arrivals: Vec<_> = events.iter().map(|event| self.arrival(event.clone())).collect();
        let mut next = self.batch(&arrivals);
        let mut accepted = 0;
        while accepted < events.len() || !next.is_empty() {
            let inputs: Vec<_> = next.iter().filter_map(answered).collect();
            accepted += inputs.iter().filter(|input| matches!(input, Input::Answered(..))).count();
            assert!(!inputs.is_empty() || accepted == events.len(), "nothing left to answer");
            next = if inputs.is_empty() { Vec::new() } else { self.batch(&inputs) };
        }
    }
}

/// What the world says to an action.
fn answered(action: &Action) -> Option<Input> {
    match action {
        Action::Post(post) => {
            let request: Value = serde_json::from_slice(&post.body).unwrap();
            let to = request["to"].as_str().unwrap();
            let body = json!({
                "messaging_product": "whatsapp",
                "contacts": [{"input": to, "wa_id": to.trim_start_matches('+')}],
                "messages": [{"id": format!("wamid.HBgNNTUxMTk4MDAwMDAwMBUCABEYEjhB{:016}", post.attempt.0), "message_status": "accepted"}],
            });
            Some(Input::Answered(post.attempt, Answer::Http { status: 200, body: body.to_string().into(), date: None }))
        }
        Action::Publish(publish) => publish.receipt.map(Input::ReceiptTaken),
        _ => None,
    }
}
