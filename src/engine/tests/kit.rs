//! The kit of the engine's tests: one box with a real store in a folder of its own, a virtual clock, and a record of what left.

use crate::config;
use crate::engine::{Action, BrokerLink, Engine, Failure, Input, Link, Post, Publish, Rooms, Told};
use crate::message::{
    Answer, Arrival, AttemptId, By, Delivery, Epoch, Inbound, Lost, MessageId, NotSent, Notice, Notices, Outcome,
    Payload, Progress, Reason, Status, Update, Who,
};
use crate::operate::{Reply, Request};
use crate::outbox::{Outbox, Seal};
use crate::rules::Rules;
use crate::time::{Clock, Mono, Now, Wall};
use crate::whatsapp::health::Look;
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::Duration;

/// 2026-03-02T12:00:00Z, a Monday.
pub const MONDAY: i64 = 1_772_452_800_000;
pub const ANA: &str = "+5511987654321";
pub const BIA: &str = "+5521987650001";
pub const CAIO: &str = "+5521987650002";

/// One request that left.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    pub at: u64,
    pub attempt: AttemptId,
    pub to: String,
    pub text: String,
}

pub struct Kit {
    pub folder: tempfile::TempDir,
    pub engine: Option<Engine>,
    /// Milliseconds since the test began; the monotonic clock is the same, of boot `boot`.
    pub now: u64,
    pub boot: String,
    pub trusted: bool,
    /// What the wall clock is off by.
    pub wall_shift: i64,
    pub sent: Vec<Sent>,
    pub told: Vec<Told>,
    pub acked: Vec<Delivery>,
    pub published: Vec<Publish>,
    pub subscribed: Vec<(Vec<String>, Vec<String>)>,
    pub replies: Vec<Reply>,
    /// What became of the bodies of notices, by ticket.
    pub heard: Vec<(u64, bool)>,
    pub probes: usize,
    /// What was asked, when, and what it is answered next; nothing where that is empty.
    pub looks: Vec<(u64, Look)>,
    pub healths: VecDeque<Answer>,
    /// Whether a probe is answered at once.
    pub line: bool,
    epoch: u64,
    packet: u16,
    max_bytes: &'static str,
    when_full: &'static str,
    pub extra: String,
    /// `uplink.phone_number_id`
    pub number: &'static str,
    /// `outbox.keep_settled`, where it is not the default.
    pub keep_settled: Option<Duration>,
    /// What `outbox.key_file` holds.
    pub key: Option<&'static str>,
    /// `outbox.keep_audit`, where it is not the default.
    pub keep_audit: Option<Duration>,
}

pub fn folder() -> tempfile::TempDir {
    // Memory where there is such a folder: a sync costs nothing there, and nothing here is about disks.
    let memory = std::path::Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

impl Kit {
    /// A box that just started, with broker and uplink up.
    pub fn new() -> Kit {
        Kit::with_key(None)
    }

    pub fn cold(max_bytes: &'static str, when_full: &'static str) -> Kit {
        Kit {
            folder: folder(),
            engine: None,
            now: 0,
            boot: "boot-1".into(),
            trusted: true,
            wall_shift: 0,
            sent: Vec::new(),
            told: Vec::new(),
            acked: Vec::new(),
            published: Vec::new(),
            subscribed: Vec::new(),
            replies: Vec::new(),
            heard: Vec::new(),
            probes: 0,
            looks: Vec::new(),
            healths: VecDeque::new(),
            line: true,
            epoch: 0,
            packet: 0,
            max_bytes,
            when_full,
            extra: String::new(),
            number: "106540352242922",
            keep_settled: None,
            key: None,
            keep_audit: None,
        }
    }

    pub fn config(&self) -> (Rooms, Rules) {
        let at = |name: &str| self.folder.path().join(name);
        let text =
            include_str!("branch.toml").replace("MAX_BYTES", self.max_bytes).replace("WHEN_FULL", self.when_full);
        std::fs::write(at("branchline.toml"), text + &self.extra).unwrap();
        std::fs::write(at("templates.json"), include_str!("templates.json")).unwrap();
        std::fs::write(at("whatsapp-token"), "x").unwrap();
        let loaded = config::load(&at("branchline.toml"), None, &[]).unwrap_or_else(|problems| panic!("{problems:#?}"));
        let mut rooms = loaded.config.rooms;
        rooms.policy.unknown_wait = Duration::from_secs(30);
        self.number.clone_into(&mut rooms.outbox.sender);
        rooms.outbox.seal = self.key.map(|key| Seal::of(key).unwrap()).unwrap_or_default();
        if let Some(keep) = self.keep_settled {
            rooms.outbox.keep_settled = keep;
        }
        if let Some(keep) = self.keep_audit {
            rooms.outbox.keep_audit = keep;
        }
        (rooms, loaded.rules)
    }

    pub fn now(&self) -> Now {
        let wall = Wall(MONDAY + self.now as i64 + self.wall_shift);
        Now { mono: Mono(self.now), wall: if self.trusted { Clock::Trusted(wall) } else { Clock::Unsynced(wall) } }
    }

    /// Opens the store and starts an engine; no link is up.
    pub fn open(&mut self) {
        assert!(self.engine.is_none(), "drop the old one first");
        let (rooms, rules) = self.config();
        let outbox = Outbox::open(rooms.outbox.clone(), 7).unwrap();
        let engine = Engine::new(rooms, rules, outbox, self.now(), &self.boot, 7).unwrap();
        self.engine = Some(engine);
        self.give(vec![Input::Woke]);
    }

    /// As [`new`](Self::new), of a box whose `outbox.key_file` holds this.
    pub fn with_key(key: Option<&'static str>) -> Kit {
        let mut kit = Kit::cold("64 MiB", "hold");
        kit.key = key;
        kit.start();
        kit
    }

    pub fn start(&mut self) {
        self.open();
        self.broker_up();
        // Bursts begin after a restart, not with it.
        self.run(1);
    }

    /// Power loss, or SIGKILL: nothing is said good-bye to.
    pub fn crash(&mut self) {
        self.engine = None;
    }

    pub fn restart(&mut self) {
        self.crash();
        self.start();
    }

    /// Power loss and a new boot after `off` of real time.
    pub fn reboot(&mut self, off: Duration) {
        self.crash();
        self.boot.push('+');
        self.wall_shift += off.as_millis() as i64;
        self.start();
    }

    pub fn engine(&mut self) -> &mut Engine {
        self.engine.as_mut().expect("the box runs")
    }

    pub fn try_give(&mut self, inputs: &[Input]) -> Result<Vec<Action>, Failure> {
        let now = self.now();
        self.engine().batch(now, inputs)
    }

    /// One batch, and what follows from it at the same instant.
    pub fn give(&mut self, inputs: Vec<Input>) {
        let actions = self.try_give(&inputs).unwrap();
        let mut more = self.take(actions);
        for round in 0.. {
            let due = self.engine().wake_at().is_some_and(|at| at.0 <= self.now);
            if more.is_empty() && !due {
                return;
            }
            assert!(round < 10_000, "the engine wants to be woken for ever");
            let actions = self.try_give(&more).unwrap();
            more = self.take(actions);
        }
    }

    /// Records what left; what the world answers at once.
    pub fn take(&mut self, actions: Vec<Action>) -> Vec<Input> {
        let mut answers = Vec::new();
        for action in actions {
            match action {
                Action::Ack(delivery) => self.acked.push(delivery),
                Action::Post(post) => self.sent.push(sent(self.now, &post)),
                Action::Probe => {
                    self.probes += 1;
                    answers.push(Input::Link(if self.line {
                        Link::UplinkUp(None)
                    } else {
                        Link::UplinkDown(NotSent::NoConnection("refused".into()))
                    }));
                }
                Action::Look(look) => {
                    let answer = self.healths.pop_front().unwrap_or_else(|| http(200, "{}"));
                    self.looks.push((self.now, look));
                    answers.push(Input::Looked(answer));
                }
                Action::Subscribe { epoch, want, gone } => {
                    self.subscribed.push((want.into_iter().map(|filter| filter.filter).collect(), gone));
                    answers.push(Input::Link(Link::Broker(BrokerLink::Subscribed { epoch, refused: vec![] })));
                }
                Action::Publish(publish) => self.published.push(publish),
                Action::Show(told) => self.told.push(told),
                Action::Done(_, reply) => self.replies.push(reply),
                Action::Heard(ticket, kept) => self.heard.push((ticket, kept)),
            }
        }
        answers
    }

    /// Lets the clock go to `seconds` after the beginning, stopping wherever the engine wants to be woken.
    pub fn at(&mut self, seconds: f64) {
        self.run(((seconds * 1000.0).round() as u64).saturating_sub(self.now));
    }

    pub fn run(&mut self, millis: u64) {
        let end = self.now + millis;
        for round in 0.. {
            assert!(round < 100_000, "the engine wants to be woken for ever");
            match self.engine().wake_at() {
                Some(at) if at.0 <= end => {
                    self.now = self.now.max(at.0);
                    self.give(vec![Input::Woke]);
                }
                _ => break,
            }
        }
        self.now = end;
    }

    pub fn broker_up(&mut self) {
        let connected = self.connected();
        self.give(vec![connected]);
    }

    /// A new connection; the broker knows the session of an earlier one.
    pub fn connected(&mut self) -> Input {
        self.epoch += 1;
        let (epoch, session_present) = (Epoch(self.epoch), self.epoch > 1);
        Input::Link(Link::Broker(BrokerLink::Connected { epoch, session_present }))
    }

    pub fn arrival(&mut self, topic: &str, payload: &str) -> Arrival {
        self.packet = self.packet % 60_000 + 1;
        Arrival {
            topic: topic.into(),
            payload: Payload::Whole(Bytes::copy_from_slice(payload.as_bytes())),
            retained: false,
            delivery: Delivery::AtLeastOnce { epoch: Epoch(self.epoch), packet: self.packet, dup: false },
            subscriptions: vec![],
            event_id: None,
            expiry: None,
        }
    }

    pub fn arrive(&mut self, topic: &str, payload: &str) {
        let arrival = self.arrival(topic, payload);
        self.give(vec![Input::Arrived(arrival)]);
    }

    /// An order of a customer who agreed.
    pub fn order(&mut self, topic: &str, to: &str, n: &str) {
        let payload = format!(r#"{{"to": "{to}", "opt_in": true, "id": "{n}", "n": "{n}", "order": "{n}"}}"#);
        self.arrive(topic, &payload);
    }

    pub fn answer(&mut self, attempt: AttemptId, answer: Answer) {
        self.give(vec![Input::Answered(attempt, answer)]);
    }

    /// Answers the latest request.
    pub fn answer_last(&mut self, answer: Answer) {
        let attempt = self.sent.last().expect("something was sent").attempt;
        self.answer(attempt, answer);
    }

    /// The platform reports something.
    pub fn hear(&mut self, notices: Vec<Notice>) {
        let notices = notices.into_iter().map(Update::from).collect();
        self.give(vec![Input::Notice(1, Notices { notices, ..Notices::default() })]);
        assert_eq!(self.heard.pop(), Some((1, true)), "what was committed is stored");
    }

    /// The platform reports how message `id` went on.
    pub fn report(&mut self, id: i64, wamid: &str, progress: Progress) {
        let shown = self.engine().outbox.shown(MessageId(id));
        let data = Some(format!("sp-042/{shown}/e"));
        let status = Status { wamid: wamid.into(), progress, at: None, who: Who::default(), data };
        self.hear(vec![Notice::Status(status)]);
    }

    /// A number that the store tells.
    pub fn count(&mut self, query: &str) -> i64 {
        self.engine().outbox.raw().query_row(query, [], |row| row.get(0)).unwrap()
    }

    /// Where a message stands.
    pub fn stands(&mut self, id: i64) -> (Outcome, Reason) {
        let query = "SELECT outcome, reason FROM message WHERE id = ?1";
        let (outcome, reason): (String, String) =
            self.engine().outbox.raw().query_row(query, [id], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        (Outcome::of_code(&outcome).unwrap(), Reason::of_code(&reason).unwrap())
    }

    pub fn ask(&mut self, request: Request) -> Reply {
        self.give(vec![Input::Operator(1, request)]);
        self.replies.pop().expect("an operator is answered")
    }

    /// The texts that left, in order.
    pub fn texts(&self) -> Vec<&str> {
        self.sent.iter().map(|sent| sent.text.as_str()).collect()
    }

    /// (outcome, reason) of everything told about messages.
    pub fn outcomes(&self) -> Vec<(Outcome, Reason)> {
        self.told.iter().filter_map(|told| Some((told.outcome?, told.reason))).collect()
    }

    pub fn told_times(&self, outcome: Outcome, reason: Reason) -> usize {
        self.outcomes().into_iter().filter(|found| *found == (outcome, reason)).count()
    }
}

/// Accepted under this id of the platform.
pub fn ok_as(wamid: &str) -> Answer {
    http(200, &format!(r#"{{"messages": [{{"id": "{wamid}"}}]}}"#))
}

/// Somebody wrote something.
pub fn wrote(digits: &str, at: i64, text: &str) -> Notice {
    Notice::Inbound(Inbound {
        wamid: format!("wamid.{digits}.{at}.{text}"),
        who: Who { digits: Some(digits.into()), user: None },
        at: Some(Wall(at)),
        kind: "text".into(),
        text: Some(text.into()),
        by: By::Person,
        payload: None,
        context: None,
        answers: None,
    })
}

pub fn sent(at: u64, post: &Post) -> Sent {
    let body: serde_json::Value = serde_json::from_slice(&post.body).unwrap();
    let text = body.pointer("/template/components/0/parameters/0/text").or(body.pointer("/text/body"));
    let text = text.and_then(|text| text.as_str());
    Sent {
        at,
        attempt: post.attempt,
        to: body["to"].as_str().unwrap().to_owned(),
        text: text.unwrap_or_default().to_owned(),
    }
}

pub fn taken() -> Answer {
    ok("")
}

/// Accepted, the person being known as `wa_id`.
pub fn ok(wa_id: &str) -> Answer {
    let contacts = if wa_id.is_empty() { String::new() } else { format!(r#""contacts": [{{"wa_id": "{wa_id}"}}],"#) };
    http(200, &format!(r#"{{{contacts} "messages": [{{"id": "wamid.X"}}]}}"#))
}

pub fn http(status: u16, body: &str) -> Answer {
    Answer::Http { status, body: Bytes::copy_from_slice(body.as_bytes()), date: None }
}

pub fn code(code: i64) -> Answer {
    http(400, &format!(r#"{{"error": {{"message": "no", "code": {code}}}}}"#))
}

pub fn lost() -> Answer {
    Answer::Lost(Lost::Timeout)
}

pub fn unsent() -> Answer {
    Answer::NotSent(NotSent::NoConnection("refused".into()))
}
