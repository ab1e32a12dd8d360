//! A seeded simulation: the engine on a real store, and a world that loses, repeats, delays and crashes. The promises are
//! asserted after every step. `SIM_SEEDS=5000 cargo test --lib sim` for more; a failing seed is replayed by `SIM_SEED=n`.

use super::kit::*;
use crate::engine::{Action, Input, Link};
use crate::message::{Answer, Arrival, AttemptId, Delivery, Epoch, NotSent, Outcome, Reason};
use crate::operate::Request;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

const PEOPLE: [&str; 4] = [BIA, CAIO, "+5521987650003", ANA];
const TOPICS: [&str; 6] = ["ready", "urgent", "high", "low", "offer", "ready"];

/// What the platform and the broker know: the truth that the box is measured by.
struct World {
    kit: Kit,
    random: fastrand::Rng,
    /// Sent by the broker and not acknowledged.
    unacked: VecDeque<Arrival>,
    /// Requests on their way: attempt, to, text, since.
    in_flight: Vec<Sent>,
    /// Text to the attempts that reached the platform.
    reached: BTreeMap<String, Vec<AttemptId>>,
    /// Texts of which an attempt ended so that the box may believe that it did not arrive.
    unsure: BTreeMap<String, usize>,
    /// When the platform received what, by person.
    received: BTreeMap<String, Vec<(AttemptId, u64)>>,
    all: Vec<(AttemptId, u64)>,
    /// How long the box was off in all: real time is the kit's and this.
    off: u64,
    revoked: BTreeSet<String>,
    acked: BTreeSet<String>,
    seen_attempts: BTreeSet<i64>,
    told: BTreeMap<String, (Outcome, Reason)>,
    events: usize,
    seed: u64,
}

#[test]
fn promises_hold_in_a_world_that_keeps_none() {
    if let Ok(seed) = std::env::var("SIM_SEED") {
        return World::new(seed.parse().unwrap()).play();
    }
    let seeds: u64 = std::env::var("SIM_SEEDS").map_or(120, |seeds| seeds.parse().unwrap());
    for seed in 0..seeds {
        let played = std::panic::catch_unwind(|| World::new(seed).play());
        if played.is_err() {
            panic!("seed {seed} failed: SIM_SEED={seed} cargo test --lib promises_hold");
        }
    }
}

/// Whether something may still follow.
fn is_open(told: (Outcome, Reason)) -> bool {
    let lately = [
        Reason::NoAnswer,
        Reason::ConnectionLost,
        Reason::Restarted,
        Reason::PlatformFault,
        Reason::AnswerUnreadable,
        Reason::NumberMaintenance,
    ];
    told.0 == Outcome::Stored || (told.0 == Outcome::Unknown && lately.contains(&told.1))
}

impl World {
    fn new(seed: u64) -> World {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut kit = Kit::cold("64 MiB", "hold");
        kit.trusted = random.bool();
        kit.open();
        kit.broker_up();
        World {
            kit,
            random,
            unacked: VecDeque::new(),
            in_flight: Vec::new(),
            reached: BTreeMap::new(),
            unsure: BTreeMap::new(),
            received: BTreeMap::new(),
            all: Vec::new(),
            off: 0,
            revoked: BTreeSet::new(),
            acked: BTreeSet::new(),
            seen_attempts: BTreeSet::new(),
            told: BTreeMap::new(),
            events: 0,
            seed,
        }
    }

    fn play(mut self) {
        for _ in 0..60 {
            self.step();
        }
        // The world becomes kind: everything must come to its end.
        self.clock(true);
        self.kit.line = true;
        self.reconnect();
        for _ in 0..600 {
            while !self.in_flight.is_empty() {
                self.answer(0, taken());
            }
            let step =
                self.kit.engine().wake_at().map_or(60_000, |at| at.0.saturating_sub(self.kit.now).clamp(1, 600_000));
            self.pass(step);
            if self.kit.now > 40 * 3_600_000 || self.all_ended() {
                break;
            }
        }
        assert_eq!(self.unacked.len(), 0, "seed {}: every event is acknowledged in the end", self.seed);
        for n in 0..self.events {
            let event = format!("e{n}");
            let outcome = self.told.get(&event).copied();
            let ended = outcome.is_some_and(|told| !is_open(told));
            assert!(ended, "seed {}: {event} ended as {outcome:?}", self.seed);
        }
    }

    fn all_ended(&self) -> bool {
        let ended = |n| self.told.get(&format!("e{n}")).is_some_and(|told| !is_open(*told));
        self.unacked.is_empty() && (0..self.events).all(ended)
    }

    fn step(&mut self) {
        match self.random.u32(0..100) {
            0..=34 => self.publish(),
            35..=59 if !self.in_flight.is_empty() => self.answer_somehow(),
            60..=64 => self.restart(),
            65..=68 => self.reconnect(),
            69..=71 => self.stop_by_person(),
            72..=74 => {
                let trusted = self.random.bool();
                self.clock(trusted);
                self.pass(1);
            }
            75..=78 => {
                self.kit.line = self.random.bool();
                let why = NotSent::NoConnection("sim".into());
                self.give(vec![Input::Link(if self.kit.line { Link::UplinkUp(None) } else { Link::UplinkDown(why) })]);
            }
            79..=82 => self.fail_a_commit(),
            _ => {
                let long = [5, 500, 5_000, 60_000, 900_000][self.random.usize(0..5)];
                self.pass(long);
            }
        }
    }

    fn publish(&mut self) {
        let (to, topic) = (PEOPLE[self.random.usize(0..4)], TOPICS[self.random.usize(0..6)]);
        let payload =
            format!(r#"{{"to": "{to}", "opt_in": true, "id": "e{0}", "n": "e{0}", "order": "{0}"}}"#, self.events);
        self.events += 1;
        let arrival = self.kit.arrival(&format!("pos/1/{topic}"), &payload);
        self.unacked.push_back(arrival.clone());
        self.give(vec![Input::Arrived(arrival)]);
    }

    fn stop_by_person(&mut self) {
        let to = PEOPLE[self.random.usize(0..3)];
        self.give(vec![Input::Operator(1, Request::ConsentRevoke { number: to.into(), purpose: None })]);
        self.revoked.insert(to.to_owned());
    }

    fn answer_somehow(&mut self) {
        let which = self.random.usize(0..self.in_flight.len());
        let answer = match self.random.u32(0..12) {
            0..=4 => taken(),
            5 | 6 => lost(),
            7 | 8 => unsent(),
            9 => code(131056),
            10 => http(503, ""),
            _ => code(131009),
        };
        self.answer(which, answer);
    }

    fn answer(&mut self, which: usize, answer: Answer) {
        let sent = self.in_flight.remove(which);
        let surely_not = matches!(answer, Answer::NotSent(_));
        if surely_not {
            // The box was told the truth: it never reached the platform.
            let attempts = self.reached.entry(sent.text.clone()).or_default();
            attempts.retain(|attempt| *attempt != sent.attempt);
            for times in [self.received.get_mut(&sent.to), Some(&mut self.all)].into_iter().flatten() {
                times.retain(|(attempt, _)| *attempt != sent.attempt);
            }
        }
        let unknown = matches!(&answer, Answer::Lost(_) | Answer::Http { status: 500.., .. });
        let refused = matches!(&answer, Answer::Http { status: 400..500, .. });
        if unknown || refused {
            *self.unsure.entry(sent.text.clone()).or_default() += 1;
        }
        let twice = self.random.bool();
        self.give(vec![Input::Answered(sent.attempt, answer.clone())]);
        if twice {
            self.give(vec![Input::Answered(sent.attempt, answer)]);
        }
    }

    fn restart(&mut self) {
        for sent in self.in_flight.drain(..) {
            *self.unsure.entry(sent.text).or_default() += 1;
        }
        self.kit.crash();
        if self.random.bool() {
            self.kit.boot.push('+');
            self.off += self.random.u64(0..7_200_000);
            let trusted = self.random.bool();
            self.clock(trusted);
        }
        let (sent, told) = (self.kit.sent.len(), self.kit.told.len());
        self.kit.open();
        self.check(sent, told);
        self.reconnect();
    }

    /// A new connection: the broker sends again what was not acknowledged, marked.
    fn reconnect(&mut self) {
        let connected = self.kit.connected();
        self.give(vec![connected]);
        let epoch = self.kit.arrival("", "");
        let Delivery::AtLeastOnce { epoch: Some(Epoch(epoch)), .. } = epoch.delivery else { unreachable!() };
        let again: Vec<Arrival> = self.unacked.iter().cloned().collect();
        for (place, mut arrival) in again.into_iter().enumerate() {
            let Delivery::AtLeastOnce { packet, .. } = arrival.delivery else { unreachable!() };
            arrival.delivery = Delivery::AtLeastOnce { epoch: Some(Epoch(epoch)), packet, dup: true };
            self.unacked[place] = arrival;
        }
        let again: Vec<Input> = self.unacked.iter().cloned().map(Input::Arrived).collect();
        self.give(again);
    }

    fn fail_a_commit(&mut self) {
        let code = [rusqlite::ffi::SQLITE_FULL, rusqlite::ffi::SQLITE_IOERR_FSYNC][self.random.usize(0..2)];
        let happens = self.random.bool();
        let opens = self.random.u32(0..3);
        let fault = &mut self.kit.engine().outbox.fault;
        (fault.commit, fault.opens) = (Some((happens, code)), opens);
    }

    fn pass(&mut self, millis: u64) {
        let end = self.kit.now + millis;
        for round in 0.. {
            assert!(round < 10_000, "seed {}: woken for ever", self.seed);
            match self.kit.engine().wake_at() {
                Some(at) if at.0 <= end => {
                    self.kit.now = self.kit.now.max(at.0);
                    self.give(vec![Input::Woke]);
                }
                _ => break,
            }
        }
        self.kit.now = self.kit.now.max(end);
    }

    /// A clock that is trusted is right; one that is not says anything.
    fn clock(&mut self, trusted: bool) {
        self.kit.trusted = trusted;
        self.kit.wall_shift =
            if trusted { self.off as i64 } else { self.random.i64(-1_000_000_000_000..1_000_000_000) };
    }

    /// As the loop does: the same inputs until they are true, a doubt decided first.
    fn give(&mut self, inputs: Vec<Input>) {
        let mut inputs = inputs;
        for _ in 0..200 {
            let (sent, told) = (self.kit.sent.len(), self.kit.told.len());
            let actions = loop {
                if self.kit.engine().in_doubt() {
                    match self.kit.engine().mend() {
                        Ok(Some(actions)) => break actions,
                        Ok(None) => {}
                        Err(_) => continue,
                    }
                }
                match self.kit.try_give(&inputs) {
                    Ok(actions) => break actions,
                    Err(_) => self.kit.now += 1,
                }
            };
            for action in &actions {
                if let Action::Ack(Delivery::AtLeastOnce { packet, .. }) = action {
                    self.acknowledge(*packet);
                }
            }
            inputs = self.kit.take(actions);
            self.check(sent, told);
            let due = self.kit.engine().wake_at().is_some_and(|at| at.0 <= self.kit.now);
            if inputs.is_empty() && !due {
                return;
            }
        }
        panic!("seed {}: it never comes to rest", self.seed);
    }

    fn acknowledge(&mut self, packet: u16) {
        let place = self
            .unacked
            .iter()
            .position(|arrival| matches!(arrival.delivery, Delivery::AtLeastOnce { packet: own, .. } if own == packet));
        if let Some(arrival) = place.and_then(|place| self.unacked.remove(place)) {
            let crate::message::Payload::Whole(payload) = &arrival.payload else { unreachable!() };
            let payload: serde_json::Value = serde_json::from_slice(payload).unwrap();
            self.acked.insert(payload["id"].as_str().unwrap().to_owned());
        }
    }

    /// The promises, as the world sees them.
    fn check(&mut self, sent: usize, told: usize) {
        for told in self.kit.told.split_off(told) {
            let (Some(event), Some(outcome)) = (told.event, told.outcome) else { continue };
            let known = self.told.insert(event.to_string(), (outcome, told.reason));
            if let Some(known) = known {
                assert!(is_open(known), "seed {}: {event} was {known:?} and is {outcome:?}", self.seed);
            }
        }
        for event in &self.acked {
            assert!(self.told.contains_key(event), "seed {}: {event} is acknowledged and nobody was told", self.seed);
        }
        let new: Vec<Sent> = self.kit.sent[sent..].to_vec();
        for sent in new {
            self.received_now(sent);
        }
    }

    fn received_now(&mut self, sent: Sent) {
        let seed = self.seed;
        assert!(self.seen_attempts.insert(sent.attempt.0), "seed {seed}: attempt {} left twice", sent.attempt);
        let busy = self.in_flight.iter().any(|other| other.to == sent.to);
        assert!(!busy, "seed {seed}: two on their way to one person");
        assert!(!self.revoked.contains(&sent.to), "seed {seed}: {} took the consent back", sent.to);
        let before = self.reached.entry(sent.text.clone()).or_default();
        let unsure = self.unsure.get(&sent.text).copied().unwrap_or(0);
        assert!(before.len() <= unsure, "seed {seed}: {} is repeated though its fate is known", sent.text);
        before.push(sent.attempt);
        let now = sent.at + self.off;
        let second = self.all.iter().filter(|(_, at)| at + 1_000 > now).count();
        assert!(second < 20, "seed {seed}: more than the sender may send in a second");
        self.all.push((sent.attempt, now));
        let times = self.received.entry(sent.to.clone()).or_default();
        times.push((sent.attempt, now));
        // At most three ahead: any n messages take at least (n - 3) x 6 s.
        for (place, (_, from)) in times.iter().enumerate() {
            let n = (times.len() - place) as u64;
            let least = n.saturating_sub(3) * 6_000;
            assert!(now - from >= least, "seed {seed}: {n} to {} within {} ms", sent.to, now - from);
        }
        self.in_flight.push(sent);
    }
}

/// The kit's own times are the platform's: nothing is delayed on the way.
#[test]
fn the_simulated_world_does_something() {
    let mut world = World::new(3);
    for _ in 0..60 {
        world.step();
    }
    assert!(world.events > 5 && !world.seen_attempts.is_empty());
    world.pass(Duration::from_secs(3_600).as_millis() as u64);
}
