//! The limits against a plain count of what left: random traffic over days of simulated time, with crashes, reboots and jumps of
//! the clock. Never more than a limit in any window, and nearly all of it where there is demand.

use super::kit::*;
use crate::operate::{Request, Target};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// One request that left and may have arrived, by real time.
struct Left {
    at: u64,
    /// When its answer came: the platform received it at some instant until then.
    answered: u64,
    to: String,
    topic: String,
    /// Within 24 hours, by real time, of something that the person wrote.
    inside: bool,
}

struct World {
    kit: Kit,
    random: fastrand::Rng,
    /// Real time that the box spent off.
    off: u64,
    /// Requests that were looked at.
    seen: usize,
    left: Vec<Left>,
    /// When an operator resumed the rules that surged.
    resumed: u64,
    /// Whom the limits let be told for the first time in a day.
    new: u64,
    /// Every request is taken.
    calm: bool,
    /// When each person wrote last, by real time.
    wrote: BTreeMap<String, u64>,
    /// Free texts that left, and templates inside a service window.
    free: [usize; 2],
}

const PEOPLE: [usize; 2] = [30, 24];
const MESSAGES: usize = 70;
/// Kind by topic: messages, within so long.
const CAPS: [(&str, usize, u64); 4] =
    [("ready", 3, 6 * HOUR), ("ready", 5, DAY), ("offer", 1, 2 * DAY), ("shift", 6, HOUR)];
/// Messages at once to one person, and the silence that each of them costs.
const PAIR: (usize, u64) = (3, 6_000);
/// What goes to the staff by a rule of normal priority: to two people each time.
const SHIFT: &str = "[rules.shift]\ntopic = \"shift/{n}\"\nto = \"contacts:oncall\"\n\
                     message = { template = \"node_alarm\", body = [\"{{ payload.n }}\"] }\n";
/// Free text, to whoever wrote.
const HELLO: &str = "[rules.hello]\ninherit = \"customer\"\ntopic = \"pos/{till}/hello\"\n\
                     message = { text = \"{{ payload.n }}\" }\n";
const SURGE: (usize, u64) = (14, 3 * HOUR);

impl World {
    fn new(seed: u64, limits: &str) -> World {
        let mut kit = Kit::cold("64 MiB", "hold");
        let expires = "[policy.expires]\ncritical = \"2d\"\nhigh = \"2d\"\nnormal = \"2d\"\nlow = \"2d\"\n";
        let quiet = "[policy.quiet_hours]\nmarketing = \"off\"\nutility = \"off\"\n";
        kit.extra = format!("\n[limits]\n{limits}\n{expires}{quiet}{SHIFT}{HELLO}");
        kit.start();
        let random = fastrand::Rng::with_seed(seed);
        World {
            kit,
            random,
            off: 0,
            seen: 0,
            left: Vec::new(),
            resumed: 0,
            new: 0,
            calm: false,
            wrote: BTreeMap::new(),
            free: [0; 2],
        }
    }

    fn real(&self, at: u64) -> u64 {
        at + self.off
    }

    /// Judges what left, and answers it: taken, refused, surely not sent, lost; or leaves it open for a crash.
    fn judge(&mut self, answers: bool) {
        while self.seen < self.kit.sent.len() {
            let sent = self.kit.sent[self.seen].clone();
            self.seen += 1;
            let (at, answered, to) = (self.real(sent.at), self.real(self.kit.now), sent.to);
            let topic = sent.text.split(' ').next().unwrap().to_owned();
            self.pair(&to, at);
            let critical = topic == "urgent";
            let reserved = critical || topic == "shift";
            let within = |window: u64| self.left.iter().filter(move |left| left.at + window > at);
            // The platform counts when it receives, at the latest when it answers.
            let inside = self.wrote.get(to.trim_start_matches('+')).is_some_and(|wrote| answered < wrote + DAY);
            assert!(inside || topic != "hello", "at {at}: free text outside the service window");
            self.free[usize::from(topic != "hello")] += usize::from(inside);
            let people: BTreeSet<&str> = within(DAY).filter(|left| !left.inside).map(|left| left.to.as_str()).collect();
            if !inside && !people.contains(to.as_str()) {
                self.new += 1;
                // Who was reached a minute more than a day ago, or in a window that the box took for closed, counts as of the
                // day still, and takes no ordinary place.
                let kept = within(DAY + MINUTE).any(|left| left.to == to);
                let most = PEOPLE[usize::from(!reserved && !kept)];
                assert!(people.len() < most, "at {at}: {} people", people.len());
            }
            // Where only one limit is on, it is judged by how much of it is used.
            if !critical && !self.calm {
                assert!(within(DAY).count() < MESSAGES, "at {at}: the brake on cost");
                // Critical messages count for the person's cap, as utility.
                let kind = |topic: &str| if topic == "urgent" { "ready".to_owned() } else { topic.to_owned() };
                for (of, most, window) in CAPS.iter().filter(|cap| cap.0 == topic) {
                    let had = within(*window).filter(|left| left.to == to && kind(&left.topic) == *of).count();
                    assert!(had < *most, "at {at}: {had} of {of} to one person");
                }
                let since = self.resumed;
                let fired = within(SURGE.1).filter(|left| left.topic == topic && left.at >= since).count();
                assert!(fired < SURGE.0, "at {at}: {topic} fired {fired} times");
            }
            let drawn = if self.calm { 0 } else { self.random.u8(0..20) };
            let answer = match drawn {
                0..=12 => taken(),
                13 => code(131_009),
                14 => unsent(),
                15..=17 => lost(),
                _ if answers => taken(),
                // Open: the crash that follows makes it unknown.
                _ => {
                    self.left.push(Left { at, answered, to, topic, inside });
                    continue;
                }
            };
            if drawn != 13 && drawn != 14 {
                self.left.push(Left { at, answered, to, topic, inside });
            }
            self.kit.answer(sent.attempt, answer);
        }
    }

    /// After a burst, of at most so many within half of their silence from the first one's answer on, comes the silence of all of it.
    fn pair(&self, to: &str, at: u64) {
        let (most, silence) = PAIR;
        let (mut count, mut began, mut last) = (0, 0, 0);
        let before = self.left.iter().filter(|left| left.to == to).map(|left| (left.at, left.answered));
        for (left, answered) in before.chain([(at, at)]) {
            if count > 0 && left < began + silence / 2 {
                count += 1;
                assert!(count <= most, "at {at}: {count} at once to one person");
            } else {
                assert!(count == 0 || left >= last + count as u64 * silence, "at {at}: {count} are not repaid");
                (count, began) = (1, answered);
            }
            last = left;
        }
    }

    /// Somebody writes; where the clock is not behind, it is heard late now and then.
    fn inbound(&mut self, to: &str) {
        let real = self.real(self.kit.now);
        let behind = self.kit.wall_shift < self.off as i64;
        let late = if behind || self.random.u8(0..4) > 0 { 0 } else { self.random.u64(0..20 * HOUR).min(real) };
        let digits = to.trim_start_matches('+').to_owned();
        let last = self.wrote.entry(digits.clone()).or_default();
        *last = (*last).max(real - late);
        self.kit.hear(vec![wrote(&digits, MONDAY + (real - late) as i64, "oi")]);
        self.judge(true);
    }

    fn pass(&mut self, millis: u64) {
        let end = self.kit.now + millis;
        while self.kit.now < end {
            let most = (end - self.kit.now).min(MINUTE / 2);
            // Where all is taken it is taken at once.
            let wake = self.kit.engine().wake_at().map_or(most, |at| at.0.saturating_sub(self.kit.now).max(1));
            self.kit.run(if self.calm { most.min(wake) } else { most });
            self.judge(true);
        }
    }

    /// A restart, or a jump of the clock by hours.
    fn disturbed(&mut self) {
        match self.random.u8(0..4) {
            0 => self.kit.restart(),
            1 => self.kit.wall_shift += self.random.i64(-20..20) * HOUR as i64,
            _ => {}
        }
    }

    /// Something of what may happen to a box.
    fn trouble(&mut self) {
        match self.random.u8(0..6) {
            0 | 1 => {
                self.judge(false);
                self.kit.restart();
            }
            2 => {
                let off = self.random.u64(1..30) * MINUTE;
                self.kit.reboot(Duration::from_millis(off));
                self.off += off;
            }
            3 => {
                // Off, and nobody vouches for the time: it stands still for the limits.
                let off = self.random.u64(1..30) * MINUTE;
                self.kit.trusted = false;
                self.kit.reboot(Duration::from_millis(off));
                self.off += off;
                self.kit.run(1_000);
                self.kit.trusted = true;
            }
            4 => {
                // The clock jumps while it runs, or is right again; within a minute it is committed that it did.
                let by = if self.random.bool() { self.random.i64(-20..12) } else { 0 };
                self.kit.wall_shift = self.off as i64 + by * HOUR as i64;
                self.pass(MINUTE + 5_000);
            }
            _ => {
                for rule in ["ready", "shift"] {
                    self.kit.ask(Request::Resume { target: Target::Rule(rule.into()), reason: "seen".into() });
                }
                self.resumed = self.real(self.kit.now);
            }
        }
        self.judge(true);
    }
}

fn who(n: usize) -> String {
    format!("+55219876{n:05}")
}

#[test]
fn no_limit_is_exceeded_in_any_window_whatever_happens() {
    for seed in 0..3 {
        let caps = "marketing = [\"1 per 2d\"]\nutility = [\"3 per 6h\", \"5 per 1d\"]\nstaff = [\"6 per 1h\"]\nrule = [\"14 per 3h\"]";
        let limits = format!(
            "daily_recipients = {}\ndaily_reserve = {}\ndaily_messages = {MESSAGES}\n[limits.caps]\n{caps}",
            PEOPLE[0],
            PEOPLE[0] - PEOPLE[1]
        );
        let mut world = World::new(seed, &limits);
        for n in 0..500 {
            let (topic, many) = match world.random.u8(0..20) {
                0..=8 => ("ready", 60),
                9..=11 => ("hello", 60),
                12..=14 => ("offer", 60),
                15..=16 => ("shift", 0),
                _ => ("urgent", 90),
            };
            // Now and then one person, or the staff, gets far more at once than the pair limit and the caps allow.
            let times = if world.random.u8(0..12) == 0 && topic != "offer" { 9 } else { 1 };
            let to = who(world.random.usize(0..many.max(1)));
            for time in 0..times {
                match topic {
                    "shift" => world.kit.arrive("shift/1", &format!(r#"{{"n": "shift {n} {time}"}}"#)),
                    _ => world.kit.order(&format!("pos/1/{topic}"), &to, &format!("{topic} {n} {time}")),
                }
                world.judge(true);
            }
            if world.random.u8(0..12) == 0 {
                world.trouble();
            }
            if world.random.u8(0..3) == 0 {
                let to = who(world.random.usize(0..60));
                world.inbound(&to);
            }
            let pause = world.random.u64(1..20) * MINUTE;
            world.pass(pause);
        }
        assert!(world.left.len() > 150, "seed {seed}: {}", world.left.len());
        let staff = world.left.iter().filter(|left| left.topic == "shift").count();
        assert!(staff > 20, "seed {seed}: {staff} to the staff");
        let free = world.free;
        assert!(free[0] > 3 && free[1] > 20, "seed {seed}: {free:?} inside a window");
        assert!(world.real(world.kit.now) > 3 * DAY);
    }
}

/// Of what a day allows at least 99 % is used where there is demand, through restarts and jumps of the clock.
#[test]
fn nearly_all_of_a_limit_is_used_where_there_is_demand() {
    let off = "marketing = \"off\"\nutility = \"off\"\nstaff = \"off\"\nrule = \"off\"";
    let limits =
        format!("daily_recipients = 24\ndaily_reserve = \"off\"\ndaily_messages = \"off\"\n[limits.caps]\n{off}");
    let mut world = World::new(7, &limits);
    world.calm = true;
    let days = 6;
    // Always more people than places, each with a few messages of two rules.
    let mut serial = 0;
    for round in 0..days * 12 {
        for n in 0..4 {
            for _ in 0..world.random.usize(1..7) {
                let rule = if world.random.bool() { "ready" } else { "order" };
                serial += 1;
                world.kit.order(&format!("pos/1/{rule}"), &who(round * 4 + n), &format!("{rule} {serial}"));
            }
        }
        world.disturbed();
        world.pass(2 * HOUR);
    }
    let allowed = 24.0 * days as f64;
    assert!(world.new as f64 >= 0.99 * allowed, "{} of {allowed}", world.new);
    assert!(world.left.len() as u64 > 3 * world.new, "{} to {}", world.left.len(), world.new);
    let mut latest = BTreeMap::new();
    for sent in &world.kit.sent {
        let serial: usize = sent.text.split(' ').nth(1).unwrap().parse().unwrap();
        let before = latest.insert(sent.to.as_str(), serial);
        assert!(before < Some(serial), "one person's leave in the order of events: {serial} after {before:?}");
    }

    let limits =
        format!("daily_recipients = \"off\"\ndaily_reserve = \"off\"\ndaily_messages = 48\n[limits.caps]\n{off}");
    let mut world = World::new(8, &limits);
    world.calm = true;
    for round in 0..days * 12 {
        for n in 0..6 {
            world.kit.order("pos/1/ready", &who(n), &format!("ready {round}"));
        }
        world.disturbed();
        world.pass(2 * HOUR);
    }
    let allowed = 48.0 * days as f64;
    assert!(world.left.len() as f64 >= 0.99 * allowed, "{} of {allowed}", world.left.len());

    let caps = "utility = [\"4 per 6h\"]\nrule = \"off\"";
    let mut world = World::new(
        9,
        &format!(
            "daily_recipients = \"off\"\ndaily_reserve = \"off\"\ndaily_messages = \"off\"\n[limits.caps]\n{caps}"
        ),
    );
    world.calm = true;
    for round in 0..days * 4 {
        for n in 0..5 {
            world.kit.order("pos/1/ready", &who(1), &format!("ready {round} {n}"));
        }
        world.disturbed();
        world.pass(6 * HOUR);
    }
    let allowed = 16.0 * days as f64;
    assert!(world.left.len() as f64 >= 0.99 * allowed, "{} of {allowed}", world.left.len());
}

/// One person for whom there is always more than the pair limit lets go.
#[test]
fn nearly_all_of_the_pair_limit_is_used_by_one_person_with_far_more() {
    let off = "daily_recipients = \"off\"\ndaily_reserve = \"off\"\ndaily_messages = \"off\"\n[limits.caps]\nutility = \"off\"\nrule = \"off\"";
    let mut world = World::new(10, off);
    world.calm = true;
    let hours = 2;
    for n in 0..hours * 650 {
        world.kit.order("pos/1/ready", &who(1), &format!("ready {n}"));
    }
    for _ in 0..hours * 6 {
        world.pass(10 * MINUTE);
        if world.random.u8(0..4) == 0 {
            world.kit.wall_shift += world.random.i64(-20..20) * HOUR as i64;
        }
    }
    let allowed = (hours * HOUR / PAIR.1) as f64;
    assert!(world.left.len() as f64 >= 0.99 * allowed, "{} of {allowed}", world.left.len());
    let order: Vec<&str> = world.kit.texts();
    let expected: Vec<String> = (0..order.len()).map(|n| format!("ready {n}")).collect();
    assert_eq!(order, expected, "in the order of events");
}
