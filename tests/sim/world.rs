//! The box in its world: one engine with its loop on a real store, virtual time, and everything that the loop asks of the world.

use super::books::{Books, Receipt, Row};
use super::broker::{Broker, Publish, WINDOW};
use super::orders::Order;
use super::platform::Platform;
use super::reach::Reach;
use super::reports::Report;
use super::setup;
use crate::engine::drive::{Course, Inbox, Queue, channel};
use crate::engine::{Engine, Input, Link};
use crate::limits::RECEIPTS_IN_FLIGHT;
use crate::message::Quality;
use crate::outbox::{Outbox, Seal, WhenFull, power};
use crate::pace;
use crate::time::{Clock, Mono, Now, Wall};
use std::collections::BTreeMap;
use std::time::Duration;

/// 2026-03-02T12:00:00Z, a Monday.
pub const MONDAY: i64 = 1_772_452_800_000;
/// Between two tries of a store that takes nothing: the loop's own.
const RETRY_MS: u64 = 200;
/// How long a stop may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// What the design says must stay free: 32 KiB for each post in flight, and a MiB.
pub const RESERVE: u64 = (1 << 20) + IN_FLIGHT as u64 * (32 << 10);
pub const IN_FLIGHT: usize = 3;
/// The write-ahead log: 1 MiB between checkpoints, one batch of at most 2 MiB on top, and SQLite's headers.
const LOG_BYTES: u64 = 4 << 20;
/// Everything, number, account, templates and limits; each rule, category and template of the branch, each country and person.
const HOLDS: usize = 64;
/// What the last commit was, written without a sync.
pub(super) const MARK: &str = "outbox.db.lock";

/// What an operator's message says: no event led to it, so its topic tells nothing.
fn sent(body: &str) -> String {
    let label = |word: &&str| word.strip_prefix('s').is_some_and(|rest| rest.parse::<usize>().is_ok());
    body.split('"').find(label).unwrap_or_default().to_owned()
}

/// The engine and its loop; dropped by a crash.
pub struct Running {
    pub engine: Engine,
    pub(super) queue: Queue,
    pub(super) course: Course,
}

/// What may go wrong in this seed: each kind in half of them, so that some worlds are quiet enough to get far.
#[derive(Clone, Copy, Debug)]
pub struct Troubles {
    pub crashes: bool,
    pub commits: bool,
    pub disk: bool,
    pub clock: bool,
    pub broker: bool,
    pub platform: bool,
    pub orders: bool,
    pub reloads: bool,
    /// A store of the smallest size, filled with long texts.
    pub small: bool,
    /// The platform rates number and templates.
    pub news: bool,
    /// People want to be forgotten.
    pub erasures: bool,
}

pub struct World {
    pub seed: u64,
    pub random: fastrand::Rng,
    /// What came to the simulation later is drawn from here, so that worlds without it stay what they were.
    pub more: fastrand::Rng,
    pub troubles: Troubles,
    pub(super) folder: tempfile::TempDir,
    pub running: Option<Running>,
    pub(super) inbox: Option<Inbox>,
    pub version: usize,
    pub reload: Option<usize>,
    /// Milliseconds of real time since the beginning.
    pub real: u64,
    pub(super) boot: u64,
    pub(super) boot_at: u64,
    pub trusted: bool,
    /// What the wall clock is off by.
    pub shift: i64,
    pub broker: Broker,
    pub platform: Platform,
    /// What the platform will tell by itself, and what of it the box was told and has not answered.
    pub reports: Vec<Report>,
    pub told: BTreeMap<u64, Vec<Report>>,
    pub tickets: u64,
    /// As the platform rates the number.
    pub quality: Quality,
    pub books: Books,
    pub reach: Reach,
    pub disk: u64,
    pub(super) when_full: WhenFull,
    /// Inputs that the box has not looked at.
    pub(super) given: usize,
    /// The power fails after so many more actions.
    pub crash_in: Option<usize>,
    pub(super) dead: bool,
    /// What leaves in this round may have been decided in an earlier one.
    pub(super) doubted: bool,
    pub orders: BTreeMap<u64, Order>,
    pub token: u8,
    pub(super) acked: Vec<String>,
    pub(super) published: Vec<(i64, Receipt)>,
    pub(super) commits: i64,
    /// The mark as this life of the box found it.
    pub(super) mark: Vec<u8>,
    pub events: usize,
    /// What tills said, to be said again.
    pub said: BTreeMap<String, Publish>,
    pub(super) trace: bool,
}

impl World {
    pub fn new(seed: u64) -> World {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut often = || random.bool();
        let troubles = Troubles {
            crashes: often(),
            commits: often(),
            disk: often(),
            clock: often(),
            broker: often(),
            platform: often(),
            orders: often(),
            reloads: often(),
            small: seed % 16 == 7,
            news: seed % 8 == 5,
            // With and without a key for what the store holds of people.
            erasures: seed % 16 == 14 || seed % 16 == 9,
        };
        let per_second = if often() { 4 } else { 20 };
        let when_full = if often() { WhenFull::Hold } else { WhenFull::Displace };
        let trusted = !troubles.clock || often();
        // Memory where there is such a folder: a sync costs nothing there, and nothing here is about disks.
        let memory = std::path::Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        // In some worlds a day has room for few.
        let mut books = Books::new(seed, per_second, IN_FLIGHT);
        books.people = (seed % 5 == 1).then_some((5, 3));
        books.messages = (seed % 5 == 2).then_some(8);
        let mut world = World {
            seed,
            random,
            more: fastrand::Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            troubles,
            folder: folder.unwrap(),
            running: None,
            inbox: None,
            version: setup::USUAL,
            reload: None,
            real: 0,
            boot: 1,
            boot_at: 0,
            trusted,
            shift: 0,
            broker: Broker::default(),
            platform: Platform::new(seed, !troubles.small),
            reports: Vec::new(),
            told: BTreeMap::new(),
            tickets: 0,
            quality: Quality::Green,
            books,
            reach: Reach::default(),
            disk: 1 << 30,
            when_full,
            given: 0,
            crash_in: None,
            dead: false,
            doubted: false,
            orders: BTreeMap::new(),
            token: 1,
            acked: Vec::new(),
            published: Vec::new(),
            commits: 0,
            mark: Vec::new(),
            events: 0,
            said: BTreeMap::new(),
            trace: std::env::var_os("SIM_TRACE").is_some(),
        };
        world.say(|| format!("{troubles:?} {per_second}/s {when_full:?}"));
        world.open();
        world.connect();
        world
    }

    pub fn say(&self, what: impl FnOnce() -> String) {
        if self.trace {
            println!("{:>10} {}", self.real, what());
        }
    }

    // --- the box

    /// Starts the daemon on what the disk holds, and looks whether all that was known is there.
    pub fn open(&mut self) {
        let (rooms, rules) = self.rooms(self.version);
        let outbox = Outbox::open(rooms.outbox.clone(), self.seed).unwrap();
        let boot = format!("boot-{}", self.boot);
        let engine = Engine::new(rooms, rules, outbox, self.now(), &boot, self.seed).unwrap();
        assert!(engine.loss().is_none(), "seed {}: taken for damaged: {:?}", self.seed, engine.loss());
        self.mark = power::files(self.folder.path()).unwrap().remove(MARK).unwrap_or_default();
        let (inbox, queue) = channel(super::broker::WINDOW, IN_FLIGHT);
        self.running = Some(Running { engine, queue, course: Course::default() });
        self.inbox = Some(inbox);
        (self.given, self.dead, self.commits) = (0, false, -1);
        self.tell(Input::Link(Link::Token(Some([self.token; 8]))));
        self.judge_record();
        let answered = self.query("SELECT id, answered FROM attempt WHERE answered IS NOT NULL");
        self.books.found(self.real, |attempt| answered.contains_key(&attempt));
        let open = "SELECT id, CAST(opened('number', message, number) AS INTEGER) FROM attempt
             JOIN content USING (message) WHERE answered IS NULL";
        self.query(open).into_iter().for_each(|(attempt, to)| self.books.found_recorded(attempt, to));
        let kept = self.states();
        for (id, row) in &self.books.rows {
            let state = kept.get(id).unwrap_or_else(|| panic!("seed {}: message {id} is gone: {row:?}", self.seed));
            assert!(
                row.state != 4 || *state == 4 || self.books.may_begin_anew(*id),
                "seed {}: message {id} had ended: {row:?}",
                self.seed
            );
        }
        if self.version == setup::PAUSED {
            self.books.stops.insert("the configuration".to_owned());
        }
    }

    pub(super) fn rooms(&self, version: usize) -> (crate::engine::Rooms, std::sync::Arc<crate::rules::Rules>) {
        let (mut rooms, rules) = setup::version(version);
        rooms.outbox.path = self.folder.path().join("outbox.db");
        rooms.outbox.when_full = self.when_full;
        rooms.outbox.max_bytes = if self.troubles.small { 1 << 20 } else { 16 << 20 };
        // In some worlds texts are forgotten while their messages still matter.
        rooms.outbox.keep_content = Duration::from_secs(if self.seed.is_multiple_of(3) { 600 } else { 172_800 });
        // Half of the boxes keep what they know of people under a key.
        if self.seed.is_multiple_of(2) {
            rooms.outbox.seal = Seal::of("a key that half of the boxes have").expect("it is long enough");
        }
        rooms.policy.unknown_wait = Duration::from_secs(30);
        rooms.pace.max_in_flight = IN_FLIGHT;
        rooms.pace.sender_per_second = Some(self.books.per_second as u32);
        rooms.pace.daily = self.books.people.map(|(all, free)| pace::Daily { all: all as u64, free: free as u64 });
        rooms.pace.daily_messages = self.books.messages.map(|most| most as u64);
        if self.seed % 5 == 3 {
            rooms.pace.caps.rule = vec![pace::Cap { count: 3, window: Duration::from_secs(3_600) }];
        }
        (rooms, rules)
    }

    /// Hands something to the loop.
    pub fn tell(&mut self, input: Input) {
        self.given += 1;
        let took = self.inbox.as_ref().is_some_and(|inbox| inbox.tell(input));
        assert!(took, "seed {}: the loop has no room", self.seed);
    }

    pub fn stop(&mut self) {
        self.given += 1;
        self.inbox.as_ref().expect("the box runs").stop();
    }

    /// One round of the loop, and what can be judged after it.
    fn round(&mut self) -> bool {
        let mut box_ = self.running.take().expect("the box runs");
        self.given = 0;
        if self.disk < 64 << 10 && self.random.u8(0..4) > 0 {
            box_.engine.outbox.fault.commit = Some((false, rusqlite::ffi::SQLITE_FULL));
        }
        self.doubted = box_.engine.in_doubt();
        let short = self.disk < RESERVE;
        if short {
            self.books.stops.insert("the disk".to_owned());
        } else {
            self.books.stops.remove("the disk");
        }
        let over = box_.course.round(&mut box_.engine, &box_.queue, self, PATIENCE);
        let clear = !box_.course.troubled && !box_.engine.in_doubt() && !self.dead;
        self.running = Some(box_);
        let rows = self.books.rows.len();
        self.look();
        assert!(!short || self.books.rows.len() == rows, "seed {}: stored below the reserve of the disk", self.seed);
        for label in std::mem::take(&mut self.acked) {
            self.books.acknowledged(&label);
        }
        for (id, receipt) in std::mem::take(&mut self.published) {
            self.reach.outcome(&receipt.outcome, &receipt.reason);
            self.books.receipt(id, receipt);
        }
        if clear {
            self.books.kept(self.real);
        }
        over
    }

    /// Reads the file as a technician would: rows, their states, and how large it all is.
    fn look(&mut self) {
        let box_ = self.running.as_ref().expect("the box runs");
        if !box_.engine.outbox.is_attached() || box_.engine.outbox.row().commits == self.commits {
            return;
        }
        self.commits = box_.engine.outbox.row().commits;
        let newest = self.books.rows.last_key_value().map_or(0, |(id, _)| *id);
        let mut query = box_.engine.outbox.raw().prepare_cached(
            "SELECT id, named_as('topic', topic), opened('number', message.id, content.number), state, opened('body', message.id, content.body)
             FROM message LEFT JOIN content ON content.message = id WHERE id > ?1 AND rule <> 'opt-out'",
        );
        let query = query.as_mut().unwrap();
        let found: Vec<(i64, Row)> = query
            .query_map([newest], |row| {
                let topic: String = row.get(1)?;
                let body: Option<String> = row.get(4)?;
                let label = match topic.split('/').nth(1) {
                    Some(label) => label.to_owned(),
                    None => sent(body.as_deref().unwrap_or_default()),
                };
                let (number, state) = (row.get(2)?, row.get(3)?);
                Ok((row.get(0)?, Row { label, number, state, seen: self.real }))
            })
            .unwrap()
            .map(Result::unwrap)
            .collect();
        for (id, row) in found {
            self.reach.state(None, row.state);
            self.books.rows.insert(id, row);
        }
        let open = self.open_states();
        // One that had ended may begin anew: it failed after all.
        for (id, row) in self.books.rows.iter_mut().filter(|(id, row)| row.state != 4 || open.contains_key(id)) {
            let state = open.get(id).copied().unwrap_or(4);
            if state != row.state {
                self.reach.state(Some(row.state), state);
                row.state = state;
            }
        }
        self.judge_bytes();
        self.judge_memory();
        self.books.judge_rows();
    }

    /// Memory is bounded by constants: what the engine holds beside the store is no more than what its doors have room for.
    fn judge_memory(&self) {
        let box_ = self.running.as_ref().expect("the box runs");
        let soft = &box_.engine.soft;
        let (owed, held) = (soft.owed.len(), soft.held.len());
        assert!(owed <= WINDOW && held <= owed, "seed {}: {held} arrivals held, {owed} owed for", self.seed);
        let waiting =
            soft.held.iter().filter(|held| !soft.owed.iter().any(|owed| owed.serial == held.serial && !owed.done));
        assert_eq!(waiting.count(), 0, "seed {}: held and not owed for", self.seed);
        assert!(soft.in_flight.len() <= IN_FLIGHT, "seed {}: {} on their way", self.seed, soft.in_flight.len());
        // An erasure leaves gaps between their numbers.
        let on_its_way = |id: &&i64| soft.taken < **id && **id <= soft.published;
        let window = self.query("SELECT id, wall FROM receipt").keys().filter(on_its_way).count();
        assert!(window <= RECEIPTS_IN_FLIGHT, "seed {}: {window} receipts on their way", self.seed);
        assert!(soft.holds.len() + soft.releasing.len() <= HOLDS, "seed {}: {:?}", self.seed, soft.holds);
    }

    fn judge_bytes(&self) {
        let bytes = |name: &str| std::fs::metadata(self.folder.path().join(name)).map_or(0, |file| file.len());
        let most = if self.troubles.small { 1 << 20 } else { 16 << 20 };
        let (store, log) = (bytes("outbox.db"), bytes("outbox.db-wal"));
        assert!(store <= most && log <= LOG_BYTES, "seed {}: {store} bytes and {log} of log", self.seed);
    }

    fn query(&self, query: &str) -> BTreeMap<i64, i64> {
        let box_ = self.running.as_ref().expect("the box runs");
        let mut query = box_.engine.outbox.raw().prepare_cached(query).unwrap();
        query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
    }

    fn states(&self) -> BTreeMap<i64, i64> {
        self.query("SELECT id, state FROM message")
    }

    pub fn open_states(&self) -> BTreeMap<i64, i64> {
        self.query("SELECT id, state FROM message WHERE state < 4")
    }

    /// How each message stands in the file.
    pub fn stored(&self) -> BTreeMap<i64, (String, String)> {
        let box_ = self.running.as_ref().expect("the box runs");
        let mut query = box_.engine.outbox.raw().prepare_cached("SELECT id, outcome, reason FROM message").unwrap();
        let rows = query.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?)))).unwrap();
        rows.map(Result::unwrap).collect()
    }

    /// Receipts that the broker did not acknowledge, as far as the box keeps that.
    pub fn untold(&self) -> usize {
        self.query("SELECT id, wall FROM receipt").len()
    }

    /// One round, whatever it brings.
    pub fn one_round(&mut self) {
        self.pump();
        self.round();
    }

    // --- time

    /// Rounds until nothing more happens at this instant.
    pub fn settle(&mut self) {
        for round in 0.. {
            self.pump();
            let over = self.round();
            if self.dead {
                self.restart();
                self.connect_only();
            } else if over {
                self.say(|| "stopped".to_owned());
                self.restart();
                self.connect_only();
            }
            let box_ = self.running.as_ref().expect("the box runs");
            if box_.course.troubled {
                self.real += RETRY_MS;
                if round > 5 && self.given == 0 {
                    // A full disk stays full until somebody makes room.
                    return;
                }
            } else if self.given == 0 && !self.broker.has_next() && self.wait() > 0 {
                return;
            }
            assert!(round < 5_000, "seed {} at {}: it never comes to rest", self.seed, self.real);
        }
    }

    fn wait(&self) -> u64 {
        let box_ = self.running.as_ref().expect("the box runs");
        box_.course.wait(&box_.engine, self.now()).as_millis() as u64
    }

    /// Lets time go by, stopping wherever the box wants to be woken.
    pub fn pass(&mut self, millis: u64) {
        let end = self.real + millis;
        loop {
            self.settle();
            let next = self.real + self.wait().max(1);
            if next > end {
                break;
            }
            self.real = next;
        }
        self.real = self.real.max(end);
    }

    /// To the next instant at which the box wants something, at most `millis` ahead.
    pub fn pass_to_wake(&mut self, millis: u64) {
        self.settle();
        self.real += self.wait().clamp(1, millis);
        self.settle();
    }

    pub(super) fn now(&self) -> Now {
        let wall = Wall(MONDAY + self.real as i64 + self.shift);
        let clock = if self.trusted { Clock::Trusted(wall) } else { Clock::Unsynced(wall) };
        Now { mono: Mono(5_000 + self.real - self.boot_at), wall: clock }
    }

    /// The counters that a person can read, before they are gone.
    pub(super) fn count(&mut self) {
        let now = self.now();
        let Some(box_) = &mut self.running else { return };
        if !box_.engine.in_doubt()
            && let Some(crate::operate::Reply::Text(text)) = box_.engine.look(now, &crate::operate::Request::Metrics)
        {
            self.reach.metrics(&text);
        }
    }

    pub fn finish(&mut self) {
        self.judge_record();
        self.count();
    }
}
