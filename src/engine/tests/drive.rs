//! The loop: what a round takes, in which order, what it keeps when the store refuses, and how it ends.

use super::kit::*;
use crate::engine::drive::{Course, Inbox, Queue, World, channel, run};
use crate::engine::{Action, Engine, Failure, Input};
use crate::limits;
use crate::message::{AttemptId, Outcome};
use crate::time::Now;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);
const FULL: i32 = rusqlite::ffi::SQLITE_FULL;
const FSYNC: i32 = rusqlite::ffi::SQLITE_IOERR_FSYNC;

/// A world that writes down what it is asked for.
pub(super) struct Desk {
    now: Now,
    released: Vec<Action>,
    pub(super) troubles: Vec<bool>,
    /// Rounds that a watchdog may be petted for.
    pub(super) steps: usize,
}

impl World for Desk {
    fn now(&mut self) -> Now {
        self.now
    }
    fn free_space(&mut self) -> Option<u64> {
        None
    }
    fn written(&mut self) -> Option<u64> {
        None
    }
    fn stopwatch(&mut self) -> Duration {
        Duration::ZERO
    }
    fn release(&mut self, action: Action) {
        self.released.push(action);
    }
    fn trouble(&mut self, failure: Option<&Failure>) {
        self.troubles.push(failure.is_some());
    }
    fn reload(&mut self, _: &mut Engine) {}
    fn stepped(&mut self) {
        self.steps += 1;
    }
    fn copies(&mut self) {}
}

pub(super) struct Loop {
    kit: Kit,
    pub(super) engine: Engine,
    pub(super) inbox: Inbox,
    queue: Queue,
    course: Course,
    pub(super) desk: Desk,
}

impl Loop {
    /// A running box; one message of Bia's is on its way if so asked.
    pub(super) fn new(on_its_way: bool) -> Loop {
        let mut kit = Kit::new();
        if on_its_way {
            kit.order("pos/1/ready", BIA, "first");
        }
        let engine = kit.engine.take().unwrap();
        let (inbox, queue) = channel(600, 4);
        let desk = Desk { now: kit.now(), released: Vec::new(), troubles: Vec::new(), steps: 0 };
        Loop { kit, engine, inbox, queue, course: Course::default(), desk }
    }

    fn arrives(&mut self, n: &str) {
        let payload = format!(r#"{{"to": "{CAIO}", "opt_in": true, "id": "{n}", "n": "{n}"}}"#);
        assert!(self.inbox.arrived(self.kit.arrival("pos/1/ready", &payload)));
    }

    pub(super) fn answer(&self) -> Input {
        Input::Answered(AttemptId(1), taken())
    }

    pub(super) fn round(&mut self) -> bool {
        self.course.round(&mut self.engine, &self.queue, &mut self.desk, PATIENCE)
    }

    fn wait(&self) -> Duration {
        self.course.wait(&self.engine, self.desk.now)
    }

    fn passes(&mut self, by: Duration) {
        self.desk.now.mono = self.desk.now.mono + by;
    }

    /// Acknowledgements and outcomes in the order of their release.
    pub(super) fn seen(&mut self) -> (usize, Vec<Outcome>) {
        let actions = std::mem::take(&mut self.desk.released);
        let acks = actions.iter().filter(|action| matches!(action, Action::Ack(_))).count();
        let told = actions.iter().filter_map(|action| match action {
            Action::Show(told) => told.outcome,
            _ => None,
        });
        (acks, told.collect())
    }
}

#[test]
fn a_round_takes_a_batch_and_the_rest_at_once() {
    let mut it = Loop::new(false);
    (0..limits::BATCH + 40).for_each(|n| it.arrives(&n.to_string()));
    assert!(!it.round());
    assert_eq!(it.seen().0, limits::BATCH);
    assert!(!it.round());
    assert_eq!(it.seen().0, 40);
    assert!(it.wait() > Duration::ZERO, "nothing is left");
}

#[test]
fn answers_go_before_arrivals_that_came_earlier() {
    let mut it = Loop::new(true);
    it.arrives("second");
    assert!(it.inbox.tell(it.answer()));
    it.round();
    assert_eq!(it.seen(), (1, vec![Outcome::Accepted, Outcome::Stored]));
}

#[test]
fn on_a_full_disk_answers_are_committed_without_the_arrivals_which_stay() {
    let mut it = Loop::new(true);
    it.arrives("second");
    assert!(it.inbox.tell(it.answer()));
    it.engine.outbox.fault.commit = Some((false, FULL));
    it.round();
    assert_eq!(it.seen(), (0, vec![Outcome::Accepted]));
    assert_eq!(it.desk.troubles, [true]);
    assert!(it.wait() > Duration::ZERO, "the store gets a moment");
    it.round();
    assert_eq!(it.seen(), (1, vec![Outcome::Stored]));
    assert_eq!(it.desk.troubles, [true, false]);
}

/// A full disk is waited for, and a restart frees nothing: no watchdog acts on it. One does on a store that refuses otherwise.
#[test]
fn a_round_that_the_store_refuses_is_no_step_unless_the_disk_is_full() {
    for (why, steps) in [(FULL, 2), (FSYNC, 1)] {
        let mut it = Loop::new(true);
        it.round();
        assert_eq!(it.desk.steps, 1, "nothing to write is a step too");
        assert!(it.inbox.tell(it.answer()));
        it.engine.outbox.fault.commit = Some((false, why));
        it.round();
        assert_eq!(it.desk.steps, steps, "{why}");
        it.round();
        assert_eq!(it.desk.steps, steps + 1, "{why}: it goes on");
    }
}

#[test]
fn what_a_failed_commit_held_is_given_again_and_nothing_leaves_before() {
    let mut it = Loop::new(true);
    it.arrives("second");
    assert!(it.inbox.tell(it.answer()));
    it.engine.outbox.fault.commit = Some((false, FSYNC));
    it.round();
    assert_eq!(it.seen(), (0, vec![]));
    it.round();
    assert_eq!(it.seen(), (1, vec![Outcome::Accepted, Outcome::Stored]));
}

#[test]
fn while_a_commit_is_in_doubt_nothing_else_is_taken() {
    for happened in [true, false] {
        let mut it = Loop::new(true);
        assert!(it.inbox.tell(it.answer()));
        it.engine.outbox.fault.commit = Some((happened, FSYNC));
        it.engine.outbox.fault.opens = 2;
        it.round();
        it.arrives("second");
        it.round();
        assert_eq!(it.seen(), (0, vec![]), "still open whether it happened");
        let mut told = Vec::new();
        for _ in 0..3 {
            it.round();
            told.extend(it.seen().1);
        }
        assert_eq!(told, [Outcome::Accepted, Outcome::Stored], "each once, happened: {happened}");
    }
}

#[test]
fn a_stop_waits_for_what_is_on_its_way_and_no_longer_than_its_patience() {
    let mut it = Loop::new(false);
    it.inbox.stop();
    assert!(it.round(), "nothing is on its way");

    let mut it = Loop::new(true);
    it.inbox.stop();
    assert!(!it.round());
    it.arrives("second");
    assert!(!it.round());
    assert_eq!(it.seen(), (1, vec![Outcome::Stored]), "stored, and not posted");
    assert!(it.inbox.tell(it.answer()));
    assert!(it.round(), "the answer was the last");

    let mut it = Loop::new(true);
    it.inbox.stop();
    it.inbox.stop();
    assert!(!it.round());
    it.passes(PATIENCE);
    assert!(it.round(), "an answer that does not come is waited for no longer");
}

#[test]
fn a_stop_ends_the_loop_although_the_store_takes_nothing() {
    let mut it = Loop::new(true);
    it.engine.outbox.fault.commit = Some((true, FSYNC));
    it.engine.outbox.fault.opens = u32::MAX;
    assert!(it.inbox.tell(it.answer()));
    it.inbox.stop();
    assert!(!it.round());
    it.passes(PATIENCE);
    assert!(it.round());
}

#[test]
fn the_loop_waits_until_something_comes_or_is_due() {
    let mut it = Loop::new(false);
    it.round();
    // An idle box looks its store over in a few slices, none at once after another, and sleeps then.
    let mut slices = 0;
    while it.wait() < Duration::from_secs(1) {
        assert!(it.wait() >= Duration::from_millis(10) && slices < 32, "{:?} after {slices} slices", it.wait());
        it.passes(it.wait());
        it.round();
        slices += 1;
    }
    assert!(slices > 0 && it.wait() <= Duration::from_secs(60));
    it.inbox.stop();
    // A stop that is there already is no reason to wait.
    let before = it.desk.now.mono;
    run(&mut it.engine, &it.queue, &mut it.desk, PATIENCE);
    assert!(it.engine.is_idle());
    assert_eq!(it.desk.now.mono, before);
}
