//! What happens: one step after another, drawn by the seed; and in the end a world in which everything works.

use super::books::{Event, Kind};
use super::broker::{Publish, whole};
use super::setup;
use super::world::{RESERVE, World};
use crate::engine::{Input, Link};
use crate::message::{NotSent, Payload};
use crate::time::Wall;
use std::collections::{BTreeMap, BTreeSet};

/// Customers: with and without Brazil's ninth digit and Mexico's 1, one person with two numbers, another country.
pub const NUMBERS: [&str; 8] = [
    "+5521987650011",
    "+552187650011",
    "+525512345612",
    "+5215512345612",
    "+5521987650013",
    "+5531987650014",
    "+12025550115",
    "+5521987650016",
];

/// Steps of one seed before the world becomes kind.
const STEPS: usize = 45;
/// Everything has ended by then: the longest `expires` is 12 h, a message that came back just before it waits no longer, and
/// marketing that the platform put off for 24 h expires too. The rest is for a box that must find room first.
const KIND_HOURS: u64 = 30;

impl World {
    pub fn play(&mut self) {
        for _ in 0..STEPS {
            self.step();
            self.settle();
            self.step_more();
        }
        self.become_kind();
    }

    fn step_more(&mut self) {
        if self.troubles.news && self.more.u8(0..4) == 0 {
            self.platform_news();
        }
        if self.troubles.news && self.more.u8(0..3) == 0 {
            self.tell_reports();
            self.settle();
        }
        if self.troubles.erasures && self.more.u8(0..8) == 0 {
            self.erase_somebody();
        }
    }

    fn step(&mut self) {
        let draw = self.random.u8(0..100);
        let troubles = self.troubles;
        match draw {
            0..=27 => self.publish_some(),
            28..=49 if !self.platform.open.is_empty() => {
                let which = self.random.usize(0..self.platform.open.len());
                self.answer(which, !self.troubles.platform);
            }
            50..=53 if troubles.crashes => self.fail_power(),
            54..=57 if troubles.broker => self.trouble_broker(),
            58..=61 if troubles.clock => self.trouble_clock(),
            62..=66 if troubles.commits => self.trouble_commit(),
            67..=69 if troubles.disk => {
                self.disk = [0, RESERVE - 1, RESERVE - (1 << 20), RESERVE, 1 << 30, 1 << 30][self.random.usize(0..6)];
                self.say(|| format!("{} free", self.disk));
                self.reach.did("disk changes");
            }
            70..=72 if troubles.platform => self.trouble_line(),
            73..=79 if troubles.orders => self.operator(),
            80..=81 if troubles.reloads => {
                self.reload = Some(self.random.usize(0..setup::VERSIONS));
                self.tell(Input::Woke);
                self.reach.did("reloads");
            }
            82 => self.looks(),
            83 => self.inbound(),
            84 if troubles.broker => self.tell(Input::Overrun(1)),
            85 if troubles.crashes => {
                self.say(|| "stop".to_owned());
                self.stop();
            }
            86 => self.late_answer(),
            87 | 88 => self.receipts_taken(),
            89 | 90 => self.tell_reports(),
            _ => {
                let long = [5, 500, 1_500, 5_000, 31_000, 60_000, 900_000, 7_200_000][self.random.usize(0..8)];
                // A full store looks each second whether there is room: a minute of that says as much as hours.
                self.pass(if self.troubles.small { long.min(60_000) } else { long });
            }
        }
    }

    // --- tills

    fn publish_some(&mut self) {
        // A burst now and then; a small store is filled.
        let many = match self.random.u8(0..8) {
            0 => 8,
            1..=5 if self.troubles.small => 60,
            _ => 1,
        };
        for _ in 0..many {
            if self.random.u8(0..12) == 0 && self.events > 0 {
                self.publish_again();
            } else {
                self.publish();
            }
        }
    }

    pub(super) fn publish(&mut self) {
        let label = format!("e{}", self.events);
        self.events += 1;
        let to = NUMBERS[self.random.usize(0..NUMBERS.len())].to_owned();
        #[rustfmt::skip]
        let (rule, kind) = [
            ("ready", Kind::Message), ("ready", Kind::Message), ("urgent", Kind::Message), ("high", Kind::Message),
            ("low", Kind::Message), ("swing", Kind::Message), ("order", Kind::Message), ("order", Kind::Message),
            ("offer", Kind::Message), ("offer", Kind::Message), ("brief", Kind::Message), ("hello", Kind::Message),
            ("extra", Kind::Message), ("alarm", Kind::Alarm), ("agree", Kind::Effect), ("stop", Kind::Effect),
            ("nobody", Kind::Nothing), ("strange", Kind::Bad),
        ][self.random.usize(0..18)];
        let (rule, kind, payload, retained) = self.payload(&label, &to, rule, kind);
        let says =
            |what: &[u8]| matches!(&payload, Payload::Whole(text) if text.windows(what.len()).any(|part| part == what));
        let (has_id, opt_in) = (says(b"\"id\":"), says(b"\"opt_in\":true"));
        let qos0 = self.troubles.broker && kind != Kind::Effect && self.random.u8(0..8) == 0;
        let event =
            Event { rule, to, kind, has_id, fresh: 0, versions: BTreeSet::new(), acked: false, again: 0, opt_in };
        self.books.events.insert(label.clone(), event);
        let topic = format!("pos/{label}/{rule}");
        let publish = Publish { label: label.clone(), topic, payload, qos0, retained };
        self.said.insert(label, publish.clone());
        self.broker.waiting.push_back(publish);
        self.reach.did("events");
    }

    /// What the till says; and what it comes to, where it says something strange.
    fn payload(
        &mut self,
        label: &str,
        to: &str,
        rule: &'static str,
        kind: Kind,
    ) -> (&'static str, Kind, Payload, bool) {
        // Four bytes a character, twice in the row: what fills a small store.
        let text = if self.troubles.small { format!("{label} {}", "😀".repeat(900)) } else { label.to_owned() };
        let id = if self.random.u8(0..4) > 0 { format!(r#""id":"{label}","#) } else { String::new() };
        let opt_in = self.random.u8(0..10) > 0;
        let order = self.random.u8(0..3);
        let ago = self.random.i64(-1_000..20_000);
        let at = if self.random.bool() {
            Wall(super::world::MONDAY + self.real as i64 - ago * 1_000).rfc3339()
        } else {
            String::new()
        };
        let json = |to: &str, level: &str| {
            whole(&format!(
                r#"{{{id}"to":"{to}","opt_in":{opt_in},"n":"{text}","order":"{order}","at":"{at}","level":{level}}}"#
            ))
        };
        if kind == Kind::Message && self.random.u8(0..20) == 0 {
            // A state that the broker kept is no event.
            return (rule, Kind::Nothing, json(to, "50"), true);
        }
        match rule {
            "alarm" if self.random.u8(0..4) == 0 => (rule, Kind::Nothing, json(to, "44"), false),
            "alarm" => (rule, kind, json(to, "50"), self.random.bool()),
            "strange" => match self.random.u8(0..8) {
                0 => ("ready", kind, json("nobody", "50"), false),
                1 => ("ready", kind, json("", "50"), false),
                2 => ("ready", kind, whole("{"), false),
                3 => ("ready", kind, Payload::TooLarge { size: 20_000, sha256: [7; 32] }, false),
                4 => ("alarm", kind, json(to, "\"much\""), false),
                _ => ("lost", kind, json(to, "50"), false),
            },
            _ => (rule, kind, json(to, "50"), false),
        }
    }

    /// A till that is not sure says it again: another publish of the same event.
    fn publish_again(&mut self) {
        let label = format!("e{}", self.random.usize(0..self.events));
        let Some(publish) = self.said.get(&label).cloned() else { return };
        let event = self.books.events.get_mut(&label).expect("it was published");
        if event.rule == "brief" {
            event.again += 1;
        }
        self.broker.waiting.push_back(publish);
        self.reach.did("repeats of tills");
    }

    // --- troubles

    fn fail_power(&mut self) {
        self.reach.did("crashes");
        match self.random.u8(0..4) {
            // Somewhere among the next actions, wherever they come.
            0 | 1 => {
                let after = self.random.usize(0..6);
                self.crash_in = Some(after);
                self.say(|| format!("the power will fail after {after} actions"));
                return;
            }
            2 => self.restart(),
            _ => {
                let off = [2_000, 60_000, 3_600_000, 20_000_000][self.random.usize(0..4)];
                self.reboot(off);
            }
        }
        if self.random.bool() {
            // A while without a broker.
            self.settle();
            self.pass(2_000);
        }
        self.connect_only();
    }

    fn trouble_broker(&mut self) {
        self.reach.did("broken connections");
        match self.random.u8(0..4) {
            0 => {
                self.broker.resumed = false;
                self.connect_only();
            }
            1 => {
                // The connection breaks while something is on its way to the box.
                self.publish();
                self.connect_only();
            }
            _ => self.connect_only(),
        }
    }

    fn trouble_clock(&mut self) {
        self.reach.did("clock changes");
        match self.random.u8(0..3) {
            0 => {
                (self.trusted, self.shift) = (false, self.random.i64(-1_000_000_000_000..1_000_000_000));
            }
            1 => (self.trusted, self.shift) = (true, 0),
            _ if self.trusted => self.shift = [0, 0, 90_000, 7_200_000][self.random.usize(0..4)],
            _ => {}
        }
        self.say(|| format!("clock trusted {} off by {}", self.trusted, self.shift));
        self.tell(Input::Woke);
    }

    fn trouble_commit(&mut self) {
        self.reach.did("failed commits");
        let code = [rusqlite::ffi::SQLITE_FULL, rusqlite::ffi::SQLITE_IOERR_FSYNC, rusqlite::ffi::SQLITE_BUSY];
        let code = code[self.random.usize(0..3)];
        // A full disk and a busy file say so before anything happened.
        let happens = code == rusqlite::ffi::SQLITE_IOERR_FSYNC && self.random.bool();
        let opens = self.random.u32(0..3);
        self.say(|| format!("the next commit fails with {code}, happened {happens}, {opens} times not opened"));
        let fault = &mut self.running.as_mut().expect("the box runs").engine.outbox.fault;
        (fault.commit, fault.opens) = (Some((happens, code)), opens);
        self.publish();
        if self.random.u8(0..3) == 0 {
            // The power fails while it is open whether the commit happened.
            self.one_round();
            self.restart();
            self.connect_only();
        }
    }

    fn trouble_line(&mut self) {
        match self.random.u8(0..4) {
            0 => {
                self.token += 1;
                self.books.lifted("the token", super::platform::Effect::StopByToken);
                self.tell(Input::Link(Link::Token(Some([self.token; 8]))));
            }
            _ => {
                self.platform.line = !self.platform.line;
                let why = NotSent::NoConnection("sim".to_owned());
                self.tell(Input::Link(if self.platform.line { Link::UplinkUp(None) } else { Link::UplinkDown(why) }));
            }
        }
    }

    /// An answer for a daemon that is gone.
    fn late_answer(&mut self) {
        if self.platform.ghosts.is_empty() {
            return;
        }
        let which = self.random.usize(0..self.platform.ghosts.len());
        let (attempt, answer) = self.platform.ghosts.swap_remove(which);
        self.tell(Input::Answered(crate::message::AttemptId(attempt), answer));
        self.reach.did("late answers");
    }

    // --- the end

    /// Everything works from now on, and everything must come to its end.
    fn become_kind(&mut self) {
        self.say(|| "the world becomes kind".to_owned());
        self.crash_in = None;
        self.disk = 1 << 30;
        self.running.as_mut().expect("the box runs").engine.outbox.fault.commit = None;
        self.running.as_mut().expect("the box runs").engine.outbox.fault.opens = 0;
        (self.trusted, self.shift) = (true, 0);
        self.platform.line = true;
        self.reload = Some(setup::USUAL);
        self.token += 1;
        self.books.lifted("the token", super::platform::Effect::StopByToken);
        self.tell(Input::Link(Link::Token(Some([self.token; 8]))));
        self.tell(Input::Link(Link::UplinkUp(None)));
        self.settle();
        self.connect();
        self.resume_everything();
        if self.troubles.news {
            self.news_end();
        }
        let until = self.real + KIND_HOURS * 3_600_000;
        while !self.ended() {
            assert!(self.real < until, "seed {}: {}", self.seed, self.unfinished());
            while !self.platform.open.is_empty() {
                self.answer(0, true);
                self.settle();
            }
            self.tell_reports();
            self.receipts_taken();
            self.pass_to_wake(600_000);
        }
        for (label, event) in &self.books.events {
            let waits = !event.versions.is_empty()
                && !event.acked
                && self.broker.outstanding.iter().any(|one| one.publish.label == *label);
            assert!(!waits, "seed {}: {label} is never acknowledged", self.seed);
        }
        let rows = self.stored();
        self.books.judge_end(&rows);
        self.finish();
    }

    fn ended(&self) -> bool {
        self.open_states().is_empty()
            && self.untold() == 0
            && self.platform.open.is_empty()
            && self.reports.is_empty()
            && self.told.is_empty()
            && self.broker.outstanding.is_empty()
            && self.broker.waiting.is_empty()
    }

    fn unfinished(&self) -> String {
        let open: BTreeMap<i64, i64> = self.open_states();
        let rows: Vec<_> = open.keys().map(|id| &self.books.rows[id]).collect();
        format!(
            "{} receipts untold, {} on their way, {} unacknowledged, {} at the broker, open {rows:?}",
            self.untold(),
            self.platform.open.len(),
            self.broker.outstanding.len(),
            self.broker.waiting.len()
        )
    }
}
