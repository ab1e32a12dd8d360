//! The hot paths, each once: what `cargo bench --bench hot` times and whose instructions `--instructions` counts.

use crate::house::{self, RULES, TEMPLATES, TOKEN, UPLINK};
use branchline::config;
use branchline::engine::{Action, BrokerLink, Engine, Input, Link, Rooms};
use branchline::limits;
use branchline::message::{Answer, Arrival, Delivery, Epoch, Payload, Priority, ReceiptId};
use branchline::outbox::{Outbox, Seal};
use branchline::rules::{Applied, Rules};
use branchline::time::{BoxTime, Clock, Mono, Now, Wall};
use std::fmt::Write;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Messages that the crowded stores hold.
pub const CROWD: u32 = 100_000;
/// Of them those that may go.
const FREE: i64 = 10;

const EPOCH: Epoch = Epoch(1);
/// As `openssl rand -hex 32` makes them.
const KEY: &str = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b";

/// One hot path.
pub struct Case {
    pub name: &'static str,
    /// Events (or choices, or messages) of one run: figures are told for one of them.
    pub items: u32,
    /// Makes what is run again and again.
    pub prepare: fn(&Crowd) -> Prepared,
    pub kind: Kind,
}

/// What [`Case::prepare`] makes: all that is counted goes through [`measured`]. Times are of the whole run: that of a step holds
/// the rest of its event's way as well.
pub type Prepared = Box<dyn FnMut()>;

/// How it can be run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// As often as one likes.
    Again,
    /// Once for each preparation.
    Once,
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

const fn case(name: &'static str, items: u32, kind: Kind, prepare: fn(&Crowd) -> Prepared) -> Case {
    Case { name, items, prepare, kind }
}

pub const CASES: &[Case] = &[
    case("topic of none of 1 rule", 1, Kind::Again, |_| topic(1, false)),
    case("topic of none of 30 rules", 1, Kind::Again, |_| topic(30, false)),
    case("topic of none of 300 rules", 1, Kind::Again, |_| topic(300, false)),
    case("topic of 1 rule", 1, Kind::Again, |_| topic(1, true)),
    case("topic of one of 30 rules", 1, Kind::Again, |_| topic(30, true)),
    case("topic of one of 300 rules", 1, Kind::Again, |_| topic(300, true)),
    case("condition that says no", 1, Kind::Again, |_| apply(Half::Condition)),
    case("rendered for one person", 1, Kind::Again, |_| apply(Half::Render)),
    case("step: an event, stored and posted, one commit", 1, Kind::Again, |_| arrivals(1)),
    case("step: an event, 64 a commit", 64, Kind::Again, |_| arrivals(64)),
    case("step: its answer, one commit", 1, Kind::Again, |_| answers(1)),
    case("step: its answer, 64 a commit", 64, Kind::Again, |_| answers(64)),
    case("an event from arrival to its last receipt, 32 a commit", 32, Kind::Again, |_| through(32, Seal::default())),
    case("the same with outbox.key_file", 32, Kind::Again, |_| through(32, Seal::of(KEY).unwrap())),
    case("next due of 100,000, 10 free", 1, Kind::Again, |crowd| next_due(crowd)),
    case("a turn among 100,000, all held", 1, Kind::Again, |crowd| turn(crowd)),
    case("recovery with 100,000 stored", 1, Kind::Once, |crowd| recovery(crowd)),
];

/// What is counted. Its name is what callgrind is told to look for.
#[inline(never)]
pub fn measured<T>(what: impl FnOnce() -> T) -> T {
    black_box(what())
}

/// A clock that goes on by a millisecond a reading: no figure depends on how long something takes.
struct Ticks(u64);

impl Ticks {
    fn now(&mut self) -> Now {
        self.0 += 1;
        Now { mono: Mono(self.0), wall: Clock::Trusted(Wall(1_770_000_000_000 + self.0 as i64)) }
    }
}

/// An engine on a store in a folder of its own, on a RAM disk where there is one.
struct Inside {
    engine: Engine,
    ticks: Ticks,
    packet: u16,
    serial: u32,
    _folder: TempDir,
}

const MORE: &str = include_str!("../unlimited.toml");

/// A folder in memory: what is measured is the program, not this machine's disk.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

fn rooms(folder: &Path, more: &str) -> Rooms {
    let uplink = UPLINK.replace("ca_file", "#ca_file");
    let text = format!(
        "{RULES}{MORE}{more}[mqtt]\nurl = \"mqtt://127.0.0.1:1\"\n[uplink]\nbase_url = \"https://127.0.0.1:1\"\n\
         max_in_flight = 256\n{uplink}"
    );
    let path = folder.join("hot.toml");
    std::fs::write(&path, text).unwrap();
    std::fs::write(folder.join("templates.json"), TEMPLATES).unwrap();
    std::fs::write(folder.join("token"), TOKEN).unwrap();
    config::load(&path, None, &[]).unwrap_or_else(|problems| panic!("{problems:?}")).config.rooms
}

impl Inside {
    fn open(folder: TempDir, seal: Seal) -> Inside {
        let mut rooms = rooms(folder.path(), "");
        rooms.outbox.seal = seal;
        let outbox = Outbox::open(rooms.outbox.clone(), 1).unwrap();
        let rules = Rules::compile(&rooms.rules).unwrap_or_else(|_| panic!("the configuration was checked"));
        let mut ticks = Ticks(outbox.row().mono.0);
        let engine = Engine::new(rooms, rules, outbox, ticks.now(), "boot", 1).unwrap();
        Inside { engine, ticks, packet: 0, serial: 0, _folder: folder }
    }

    /// Broker and uplink are there; answers one post, which closes the circuit.
    fn connected(seal: Seal) -> Inside {
        let mut inside = Inside::open(folder(), seal);
        inside.batch(&[Input::Link(Link::Broker(BrokerLink::Connected { epoch: EPOCH, session_present: true }))]);
        inside.batch(&[Input::Link(Link::Broker(BrokerLink::Subscribed { epoch: EPOCH, refused: Vec::new() }))]);
        inside.batch(&[Input::Link(Link::UplinkUp(None))]);
        inside.all_through(1);
        inside
    }

    fn batch(&mut self, inputs: &[Input]) -> Vec<Action> {
        let now = self.ticks.now();
        self.engine.batch(now, inputs).unwrap()
    }

    /// So many new events as the broker hands them over, each for a customer of its own.
    fn arrivals(&mut self, count: u32) -> Vec<Input> {
        let serials = self.serial..self.serial + count;
        self.serial += count;
        serials
            .map(|serial| {
                self.packet = self.packet % u16::MAX + 1;
                Input::Arrived(arrival(house::order(serial), self.packet))
            })
            .collect()
    }

    /// New events in one commit, all answers in another, all receipts' acknowledgements as they come.
    fn all_through(&mut self, count: u32) {
        let arrivals = self.arrivals(count);
        let mut answers = answered(&self.batch(&arrivals));
        while !answers.is_empty() {
            answers = answered(&self.batch(&answers));
        }
    }
}

fn arrival((topic, payload): (String, String), packet: u16) -> Arrival {
    Arrival {
        topic,
        payload: Payload::Whole(payload.into()),
        retained: false,
        delivery: Delivery::AtLeastOnce { epoch: EPOCH, packet, dup: false },
        subscriptions: Vec::new(),
        event_id: None,
        expiry: None,
    }
}

/// What the world says to these actions: the platform takes every message, the broker every receipt.
fn answered(actions: &[Action]) -> Vec<Input> {
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Post(post) => {
                let request = std::str::from_utf8(&post.body).unwrap();
                let (_, rest) = request.split_once("\"to\":\"+").unwrap();
                let (to, _) = rest.split_once('"').unwrap();
                let body = format!(
                    r#"{{"messaging_product":"whatsapp","contacts":[{{"input":"+{to}","wa_id":"{to}"}}],"messages":[{{"id":"wamid.HBgNNTUxMTk4MDAwMDAwMBUCABEYEjhB{:016}","message_status":"accepted"}}]}}"#,
                    post.attempt.0
                );
                Some(Input::Answered(post.attempt, Answer::Http { status: 200, body: body.into(), date: None }))
            }
            Action::Publish(publish) => publish.receipt.map(Input::ReceiptTaken),
            _ => None,
        })
        .collect()
}

fn topic(count: u32, matches: bool) -> Prepared {
    let folder = folder();
    let mut more = String::new();
    for number in 0..count.saturating_sub(3) {
        write!(
            more,
            "[rules.desk-{number}]\ninherit = \"order\"\ntopic = \"pos/{{till}}/desk-{number}/{{order}}/ready\"\n\
             message = {{ template = \"order_ready\", body = [\"a\", \"b\"] }}\n"
        )
        .unwrap();
    }
    let mut settings = rooms(folder.path(), &more).rules;
    settings.rules.retain(|rule| count > 1 || rule.name == "ready");
    assert_eq!(settings.rules.len(), count as usize);
    let rules = Rules::compile(&settings).unwrap_or_else(|_| panic!("the configuration was checked"));
    let topic = if matches { "pos/1/order/1042/ready" } else { "pos/1/order/1042/paid" };
    assert_eq!(rules.matching(topic, &[]).count(), usize::from(matches));
    Box::new(move || {
        measured(|| rules.matching(black_box(topic), &[]).count());
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    Condition,
    Render,
}

fn apply(half: Half) -> Prepared {
    let folder = folder();
    let rules = Rules::compile(&rooms(folder.path(), "").rules).unwrap_or_else(|_| panic!("checked"));
    let (topic, payload) = house::order(1042);
    let topic = if half == Half::Condition { "pos/1/quiet".to_owned() } else { topic };
    let arrival = arrival((topic, payload), 1);
    Box::new(move || {
        let rule = rules.matching(&arrival.topic, &[]).next().unwrap();
        let applied = measured(|| rules.apply(rule, &arrival, Some(Wall(1_770_000_000_000))));
        assert_eq!(matches!(applied, Applied::Passed(_)), half == Half::Condition);
    })
}

fn arrivals(count: u32) -> Prepared {
    let mut inside = Inside::connected(Seal::default());
    Box::new(move || {
        let (arrivals, now) = (inside.arrivals(count), inside.ticks.now());
        let actions = measured(|| inside.engine.batch(now, &arrivals).unwrap());
        let mut answers = answered(&actions);
        assert_eq!(answers.len(), count as usize, "all are posted");
        while !answers.is_empty() {
            answers = answered(&inside.batch(&answers));
        }
    })
}

fn answers(count: u32) -> Prepared {
    let mut inside = Inside::connected(Seal::default());
    Box::new(move || {
        let arrivals = inside.arrivals(count);
        let mut answers = answered(&inside.batch(&arrivals));
        assert_eq!(answers.len(), count as usize, "all are posted");
        let now = inside.ticks.now();
        let actions = measured(|| inside.engine.batch(now, &answers).unwrap());
        answers = answered(&actions);
        while !answers.is_empty() {
            answers = answered(&inside.batch(&answers));
        }
    })
}

fn through(count: u32, seal: Seal) -> Prepared {
    let mut inside = Inside::connected(seal);
    Box::new(move || {
        let mut inputs = inside.arrivals(count);
        while !inputs.is_empty() {
            let now = inside.ticks.now();
            inputs = answered(&measured(|| inside.engine.batch(now, &inputs).unwrap()));
        }
    })
}

/// A store of [`CROWD`] messages as a crash left it, of customers of their own; and one where all but ten are held: a third of
/// them parked for a rule that an operator paused, a third without a place among the day's people, a third by their own person's
/// limit, of thirty rules.
pub struct Crowd(PathBuf);

impl Crowd {
    /// In this folder, where they are stored when they are first asked for.
    pub fn at(folder: &Path) -> Crowd {
        Crowd(folder.to_owned())
    }

    /// Stores them, if the folder does not hold them yet.
    pub fn fill(&self) {
        let (fresh, held) = (self.0.join("fresh"), self.0.join("held"));
        if held.exists() {
            return;
        }
        let mut inside = Inside::open(folder(), Seal::default());
        for _ in 0..CROWD / limits::BATCH as u32 {
            let arrivals = inside.arrivals(limits::BATCH as u32);
            inside.batch(&arrivals);
        }
        let rest = inside.arrivals(CROWD % limits::BATCH as u32);
        inside.batch(&rest);
        // With its write-ahead log, which a goodbye would have taken away.
        copy(inside._folder.path(), &fresh);
        drop(inside);
        copy(&fresh, &held);
        hold(&held.join("outbox.db"));
    }

    fn copied(&self, which: &str) -> TempDir {
        self.fill();
        let folder = folder();
        copy(&self.0.join(which), folder.path());
        folder
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

/// By hand, since an hour of refusals would take an hour.
fn hold(store: &Path) {
    let db = rusqlite::Connection::open(store).unwrap();
    let (third, two_thirds) = (i64::from(CROWD) / 3, i64::from(CROWD) * 2 / 3);
    db.execute_batch(&format!(
        "BEGIN;
         INSERT INTO hold (key, reason, since, since_wall, until, strikes, lift, note, loud)
             VALUES ('rule:ready', 'paused', 0, 0, NULL, 0, 'operator', 'bench', 0),
                    ('people', 'daily-limit', 0, 0, 1000000000000, 0, 'time', 'bench', 0);
         UPDATE message SET state = 3, hold = 'rule:ready', reason = 'paused', due = rank WHERE id > {two_thirds};
         UPDATE message SET state = 3, hold = 'people', reason = 'daily-limit', due = rank WHERE id BETWEEN {third} AND {two_thirds};
         UPDATE message SET rule = 'quiet' WHERE id IN (SELECT id FROM message WHERE state = 0 ORDER BY id DESC LIMIT {FREE});
         UPDATE lane SET due = NULL WHERE person IN (SELECT person FROM message WHERE state = 3);
         UPDATE lane SET held_until = 1000000000000, due = 1000000000000, rule = 'rule-' || person % 30
             WHERE due IS NOT NULL AND person NOT IN (SELECT person FROM message WHERE state = 0 ORDER BY id DESC LIMIT {FREE});
         COMMIT;"
    ))
    .unwrap();
}

fn next_due(crowd: &Crowd) -> Prepared {
    let folder = crowd.copied("held");
    let mut outbox = Outbox::open(rooms(folder.path(), "").outbox, 1).unwrap();
    let mut next = move || {
        let free = outbox.next_lane(BoxTime(1_000_000_000), Priority::Low).unwrap();
        (free.is_some(), outbox.next_turn(Priority::Low).unwrap())
    };
    assert!(next().0);
    Box::new(move || {
        let _ = &folder;
        measured(|| assert!(next().0));
    })
}

/// Everything that the engine asks of the store in a batch that brings nothing: the few that may go have left.
fn turn(crowd: &Crowd) -> Prepared {
    let mut inside = Inside::open(crowd.copied("held"), Seal::default());
    let mut answers = answered(&inside.batch(&[Input::Link(Link::UplinkUp(None))]));
    let mut left = 0;
    while !answers.is_empty() {
        left += answers.len();
        answers = answered(&inside.batch(&answers));
    }
    assert_eq!(left as i64, FREE);
    Box::new(move || {
        let now = inside.ticks.now();
        // It changes nothing and stirs a whole turn.
        measured(|| inside.engine.batch(now, &[Input::ReceiptTaken(ReceiptId(0))]).unwrap());
    })
}

/// From the file to the first batch, which judges what the crash left open.
fn recovery(crowd: &Crowd) -> Prepared {
    let folder = crowd.copied("fresh");
    let rooms = rooms(folder.path(), "");
    let rules = Rules::compile(&rooms.rules).unwrap_or_else(|_| panic!("the configuration was checked"));
    let mut parts = Some((rooms, rules));
    Box::new(move || {
        let _ = &folder;
        let (rooms, rules) = parts.take().expect("it is run once");
        // Given back after the measurement: closing the store writes its log back.
        drop(measured(|| {
            let outbox = Outbox::open(rooms.outbox.clone(), 1).unwrap();
            let mut ticks = Ticks(outbox.row().mono.0);
            let mut engine = Engine::new(rooms, rules, outbox, ticks.now(), "boot", 1).unwrap();
            engine.batch(ticks.now(), &[Input::Woke]).unwrap();
            engine
        }));
    })
}
