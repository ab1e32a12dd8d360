//! Operators: pauses, consent, looks. What was ordered counts when it is answered, what lifts something when it is given.

use super::books::{Event, Kind};
use super::news::Held;
use super::platform::Effect;
use super::steps::NUMBERS;
use super::world::{MONDAY, World};
use crate::engine::Input;
use crate::message::Priority;
use crate::operate::{Grant, LedgerLine, Reply, Request, SendOrder, Target};
use crate::time::Wall;
use std::collections::BTreeSet;

/// What to enter into the books when the answer comes.
#[derive(Clone, Debug)]
pub enum Order {
    Pause,
    Resume,
    Revoke(String, &'static str),
    Look,
    /// A message of the operator's own, by what it says.
    Send(String),
    /// Of this number, when so many events had been delivered.
    Erase(String, usize),
    Other,
}

const PURPOSES: [&str; 3] = ["orders", "offers", "brief"];

impl World {
    pub(super) fn order(&mut self, order: Order, request: Request) {
        let ticket = self.orders.len() as u64 + 1;
        self.say(|| format!("orders {order:?} {}", request.name()));
        self.orders.insert(ticket, order);
        self.tell(Input::Operator(ticket, request));
    }

    pub fn done(&mut self, ticket: u64, reply: &Reply) {
        let Some(order) = self.orders.get(&ticket).cloned() else { return };
        if let Reply::Refused(why) = reply {
            assert!(
                matches!(order, Order::Other | Order::Look | Order::Send(_) | Order::Erase(..)),
                "seed {}: {order:?} is refused: {why}",
                self.seed
            );
            return;
        }
        match order {
            Order::Pause => drop(self.books.stops.insert("an operator".to_owned())),
            Order::Resume => drop(self.books.stops.remove("an operator")),
            Order::Revoke(number, purpose) => self.books.consent(&number, purpose, false),
            Order::Look => {
                if let Reply::Data(data) = reply {
                    self.note(data);
                }
            }
            Order::Send(label) => {
                if let Reply::Data(data) = reply {
                    self.note(data);
                    // Who was told a number has it in the file.
                    self.books.acknowledged(&label);
                }
            }
            Order::Erase(number, delivered) => self.erased(&number, delivered),
            Order::Other => {}
        }
    }

    /// Reasons anywhere in an answer.
    fn note(&mut self, data: &serde_json::Value) {
        match data {
            serde_json::Value::Object(map) => {
                for (key, value) in map {
                    match value.as_str() {
                        Some(reason) if key == "reason" => self.reach.waits(reason),
                        _ => self.note(value),
                    }
                }
            }
            serde_json::Value::Array(list) => list.iter().for_each(|value| self.note(value)),
            _ => {}
        }
    }

    /// Somebody at the counter does something.
    pub fn operator(&mut self) {
        let number = NUMBERS[self.random.usize(0..NUMBERS.len())].to_owned();
        let purpose = PURPOSES[self.random.usize(0..PURPOSES.len())];
        match self.random.u8(0..16) {
            0 => self.order(Order::Pause, Request::Pause { target: Target::All, reason: "sim".into() }),
            1 => {
                let target = self.target();
                self.order(Order::Other, Request::Pause { target, reason: "sim".into() });
            }
            2..=4 => self.resume_some(),
            5 => {
                let (purpose, which) = if self.random.bool() { (None, "all") } else { (Some(purpose), purpose) };
                let request = Request::ConsentRevoke { number: number.clone(), purpose: purpose.map(str::to_owned) };
                self.order(Order::Revoke(number, which), request);
            }
            6 | 7 => self.grant(number, purpose),
            8 => self.import(number, purpose),
            9 | 10 => self.send(number),
            _ => self.looks(),
        }
    }

    fn target(&mut self) -> Target {
        match self.random.u8(0..3) {
            0 => Target::Rule("ready".into()),
            1 => Target::Category("utility".into()),
            _ => Target::Template("order_ready".into()),
        }
    }

    fn resume_some(&mut self) {
        if self.random.bool() {
            return self.resume_all();
        }
        let target = self.target();
        if let Target::Template(name) = &target {
            self.lifted_news(|held| held.is_of(name));
        }
        self.order(Order::Other, Request::Resume { target, reason: "sim".into() });
    }

    pub fn resume_all(&mut self) {
        self.books.stops.remove("an operator");
        self.lifted_news(Held::is_of_number);
        self.books.lifted("the platform", Effect::StopByPerson);
        // A person may also override what the token stopped.
        self.books.lifted("the token", Effect::StopByToken);
        self.order(Order::Resume, Request::Resume { target: Target::All, reason: "sim".into() });
    }

    /// Whatever anybody or anything stopped goes on.
    pub fn resume_everything(&mut self) {
        self.resume_all();
        self.lifted_news(|_| true);
        let targets = ["order_ready", "receipt", "node_alarm", "offer"].map(|name| Target::Template(name.into()));
        for target in targets.into_iter().chain([Target::Rule("ready".into()), Target::Category("utility".into())]) {
            self.order(Order::Other, Request::Resume { target, reason: "sim".into() });
        }
    }

    /// A message that no event asks for: it goes the way of all others.
    fn send(&mut self, number: String) {
        let label = format!("s{}", self.books.events.len());
        let event = Event {
            rule: "operator",
            to: number.clone(),
            kind: Kind::Message,
            has_id: true,
            fresh: 0,
            versions: BTreeSet::from([self.version]),
            acked: false,
            again: 0,
            opt_in: false,
        };
        self.books.events.insert(label.clone(), event);
        let order = SendOrder {
            to: number,
            template: "order_ready".into(),
            language: "pt_BR".into(),
            purpose: "orders".into(),
            params: vec![label.clone()],
            header: None,
            filename: None,
            buttons: Vec::new(),
            priority: Priority::Normal,
            dry_run: false,
        };
        self.reach.did("messages of operators");
        self.order(Order::Send(label), Request::Send(order));
    }

    /// Only with the words that lift a revocation does a grant lift one. Not while a stop is on its way: the box may have it and
    /// owe the acknowledgement, and then only the box knows which came first.
    fn grant(&mut self, number: String, purpose: &'static str) {
        let after_revocation = self.random.bool() && !self.books.is_stop_on_its_way(&number);
        if after_revocation {
            self.books.consent(&number, purpose, true);
        } else {
            self.books.agreed(&number, purpose);
        }
        let grant = Grant {
            number,
            purpose: purpose.to_owned(),
            source: "form".into(),
            wording: None,
            expires: None,
            after_revocation,
        };
        self.order(Order::Other, Request::ConsentGrant(grant));
    }

    /// A file with consent from before everything: it lifts nothing that was taken back since.
    fn import(&mut self, number: String, purpose: &'static str) {
        self.books.agreed(&number, purpose);
        let line = LedgerLine {
            line: 1,
            number,
            purpose: purpose.to_owned(),
            action: "grant".into(),
            at: Wall(MONDAY - 86_400_000).rfc3339(),
            source: "file".into(),
            wording: String::new(),
            expires: String::new(),
        };
        self.order(Order::Other, Request::ConsentImport { rows: vec![line], more: false, releases: false });
    }

    pub fn looks(&mut self) {
        let open: Vec<i64> = if self.running.as_ref().is_some_and(|box_| box_.engine.outbox.is_attached()) {
            self.open_states().into_keys().collect()
        } else {
            Vec::new()
        };
        for id in open.iter().take(3) {
            self.order(Order::Look, Request::OutboxShow { id: id.to_string() });
        }
        self.order(Order::Look, Request::Status);
    }
}
