//! The loop on the engine's thread: wait, take what came, one batch, one commit, let the actions go.
//!
//! Floor: engine. It knows no network and no clock: the world is a trait that the roof implements.
//!
//! Two bounded queues lead here. Answers, notices, operators and links go first, so that a flood of arrivals never starves
//! them. Nobody ever waits to put something in: whoever does holds a permit of its own kind (arrivals: the MQTT door's room;
//! answers: the posts in flight; operators: `limits::OPERATORS`; notices: `limits::NOTICES` and `limits::NOTICE_WINDOW`), and the queues have room for all permits together.

use super::{Action, Engine, Failure, Input};
use crate::limits;
use crate::message::Arrival;
use crate::time::{Mono, Now};
use crossbeam_channel::{Receiver, Select, Sender, TrySendError, bounded};
use std::time::Duration;

/// Links, receipts and wake-ups beside answers and operators: each kind has at most a handful on its way.
const NEWS: usize = 256;
/// Between two tries of a batch that the store refused.
const RETRY: Duration = Duration::from_millis(200);

/// What the engine's loop asks of the world.
pub trait World {
    /// Both clocks.
    fn now(&mut self) -> Now;
    /// Bytes free on the store's disk, where that can be told.
    fn free_space(&mut self) -> Option<u64>;
    /// Bytes that this process has written to the storage since it began, where that can be told.
    fn written(&mut self) -> Option<u64>;
    /// Microseconds of a stopwatch, for the cost of commits.
    fn stopwatch(&mut self) -> Duration;
    /// The reason for this is committed: do it. Never waits.
    fn release(&mut self, action: Action);
    /// The store refused a batch: told once per kind of trouble, `None` when it is over.
    fn trouble(&mut self, failure: Option<&Failure>);
    /// A new configuration, if one came since the last call.
    fn reload(&mut self, engine: &mut Engine);
    /// A round ended: all that was to be written is committed, or waits for space on the disk.
    fn stepped(&mut self);
    /// The round that begins may copy the store to a new file first, which takes its time.
    fn copies(&mut self);
}

/// Where doors put what happened.
#[derive(Clone)]
pub struct Inbox {
    urgent: Sender<Input>,
    arrivals: Sender<Arrival>,
    stop: Sender<()>,
}

/// The engine's end.
pub struct Queue {
    urgent: Receiver<Input>,
    arrivals: Receiver<Arrival>,
    stop: Receiver<()>,
}

/// The two queues, with room for `receive_maximum` arrivals (and a quarter for QoS 0) and `max_in_flight` answers.
pub fn channel(receive_maximum: usize, max_in_flight: usize) -> (Inbox, Queue) {
    let notices = limits::NOTICES + limits::NOTICE_WINDOW;
    let (urgent, urgent_queue) =
        bounded(max_in_flight + limits::OPERATORS + notices + limits::RECEIPTS_IN_FLIGHT + NEWS);
    let (arrivals, arrival_queue) = bounded(receive_maximum + receive_maximum / 4 + 1);
    let (stop, stop_queue) = bounded(1);
    (Inbox { urgent, arrivals, stop }, Queue { urgent: urgent_queue, arrivals: arrival_queue, stop: stop_queue })
}

impl Inbox {
    /// An arrival; its sender holds a permit. Whether it was taken: no if the engine has ended.
    pub fn arrived(&self, arrival: Arrival) -> bool {
        self.arrivals.try_send(arrival).is_ok()
    }

    /// Asks the loop to end. It ends although the store takes nothing: a way of its own, past all that waits.
    pub fn stop(&self) {
        // One that is there already is enough.
        let _ = self.stop.try_send(());
        // Wakes the loop; where there is no room for it the loop is awake.
        let _ = self.urgent.try_send(Input::Woke);
    }

    /// Anything else. Whether it was taken: no if the engine has ended, or the sender held no permit and the queue is full.
    pub fn tell(&self, input: Input) -> bool {
        match self.urgent.try_send(input) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }
}

/// Runs until the end was asked for and everything on its way is settled, or until `patience` after that.
pub fn run(engine: &mut Engine, queue: &Queue, world: &mut impl World, patience: Duration) {
    let mut course = Course::default();
    loop {
        queue.wait(course.wait(engine, world.now()), course.troubled);
        if course.round(engine, queue, world, patience) {
            return;
        }
    }
}

/// Where the loop stands between two rounds.
#[derive(Default)]
pub(super) struct Course {
    pending: Pending,
    stop_by: Option<Mono>,
    stop_asked: bool,
    /// The store refused the last batch, or a part of it.
    pub(super) troubled: bool,
}

/// What a batch is made of; kept until a commit that contains it succeeds.
#[derive(Default)]
struct Pending {
    inputs: Vec<Input>,
    urgent: usize,
    /// How many of them the last batch was given.
    given: usize,
}

impl Course {
    /// How long the next round has time, unless something comes.
    pub(super) fn wait(&self, engine: &Engine, now: Now) -> Duration {
        if self.troubled {
            RETRY
        } else if self.pending.inputs.is_empty() {
            engine.wake_at().map_or(Duration::from_secs(60), |at| at.since(now.mono))
        } else {
            Duration::ZERO
        }
    }

    /// Takes what came, makes one batch of it and lets its actions go. Whether that was the last one.
    pub(super) fn round(
        &mut self,
        engine: &mut Engine,
        queue: &Queue,
        world: &mut impl World,
        patience: Duration,
    ) -> bool {
        if !engine.in_doubt() {
            queue.take(&mut self.pending);
        }
        if queue.stop.try_recv().is_ok() {
            self.stop_by.get_or_insert(world.now().mono + patience);
            self.stop_asked = true;
        }
        if self.stop_asked && !engine.in_doubt() {
            self.pending.inputs.insert(0, Input::Stop);
            self.pending.urgent += 1;
            self.stop_asked = false;
        }
        world.reload(engine);
        engine.free_space(world.free_space());
        if let Some(total) = world.written() {
            engine.written(total);
        }
        if engine.must_copy() {
            world.copies();
        }
        let (started, now) = (world.stopwatch(), world.now());
        match attempt(engine, now, &mut self.pending) {
            Ok(Done { actions, took, refused }) => {
                if took > 0 {
                    engine.status_mut().committed(world.stopwatch().saturating_sub(started), took);
                }
                actions.into_iter().for_each(|action| world.release(action));
                if self.troubled != refused.is_some() {
                    world.trouble(refused.as_ref());
                }
                self.troubled = refused.is_some();
                world.stepped();
            }
            Err(failure) => {
                self.troubled = true;
                if failure.is_full() {
                    world.stepped();
                }
                world.trouble(Some(&failure));
                self.pending.turn_away(engine, now).into_iter().for_each(|action| world.release(action));
            }
        }
        self.stop_by.is_some_and(|by| world.now().mono >= by || (engine.is_idle() && self.pending.inputs.is_empty()))
    }
}

/// What became true.
struct Done {
    actions: Vec<Action>,
    took: usize,
    /// Why the arrivals were left out, which wait on.
    refused: Option<Failure>,
}

/// One batch. When the store has no space for all, what is on its way is settled first: without the arrivals, then without notices and operators.
fn attempt(engine: &mut Engine, now: Now, pending: &mut Pending) -> Result<Done, Failure> {
    if engine.in_doubt()
        && let Some(actions) = engine.mend()?
    {
        return Ok(Done { actions, took: pending.done(), refused: None });
    }
    pending.given = pending.inputs.len();
    let mut failure = match engine.batch(now, &pending.inputs) {
        Ok(actions) => {
            engine.disk_full(false);
            return Ok(Done { actions, took: pending.done(), refused: None });
        }
        Err(failure) => failure,
    };
    engine.disk_full(true);
    // Without the arrivals, also if nothing else is left: what time brings (expiry, forgetting) makes room. Then without
    // whatever might add rows of its own: answers have room kept, links and receipts that were taken need none.
    let mut given = pending.inputs.len();
    for stage in 0..2 {
        if !failure.is_full() || engine.in_doubt() {
            break;
        }
        let fewer = if stage == 0 { pending.urgent } else { pending.without_news() };
        if fewer == given {
            continue;
        }
        (given, pending.given) = (fewer, fewer);
        match engine.batch(now, &pending.inputs[..fewer]) {
            Ok(actions) => return Ok(Done { actions, took: pending.done(), refused: Some(failure) }),
            Err(again) => failure = again,
        }
    }
    Err(failure)
}

impl Pending {
    /// While the store takes nothing: who only wants to look is answered, for that is when it matters, and notices are refused,
    /// for the platform sends them again.
    fn turn_away(&mut self, engine: &mut Engine, now: Now) -> Vec<Action> {
        if engine.in_doubt() {
            return Vec::new();
        }
        let mut actions = Vec::new();
        let before = self.inputs.len();
        self.inputs.retain(|input| match input {
            Input::Operator(ticket, request) => match engine.look(now, request) {
                Some(reply) => {
                    actions.push(Action::Done(*ticket, reply));
                    false
                }
                None => true,
            },
            Input::Notice(ticket, _) => {
                actions.push(Action::Heard(*ticket, false));
                false
            }
            _ => true,
        });
        self.urgent -= before - self.inputs.len();
        actions
    }

    /// Puts notices and operators behind all else that is urgent; how many are before them.
    fn without_news(&mut self) -> usize {
        let news = |input: &Input| matches!(input, Input::Notice(..) | Input::Operator(..));
        let urgent = &mut self.inputs[..self.urgent];
        urgent.sort_by_key(news);
        urgent.iter().take_while(|input| !news(input)).count()
    }

    /// The last batch is true; how many inputs it had.
    fn done(&mut self) -> usize {
        let took = std::mem::take(&mut self.given);
        self.inputs.drain(..took);
        self.urgent -= self.urgent.min(took);
        took
    }
}

impl Queue {
    /// Until something is there, or `wait` has passed.
    ///
    /// In trouble only time passes: what is there would be there again at once, and the store needs a moment.
    fn wait(&self, wait: Duration, troubled: bool) {
        let mut select = Select::new();
        if !troubled {
            select.recv(&self.urgent);
            select.recv(&self.arrivals);
        }
        // Timed out or ready: either way the queues are looked at next.
        let _ = select.ready_timeout(wait);
    }

    /// Urgent inputs before arrivals, at most a batch of both beyond what is still pending.
    fn take(&self, pending: &mut Pending) {
        let mut arrivals = pending.inputs.split_off(pending.urgent);
        let urgent_room = limits::BATCH.saturating_sub(pending.urgent);
        pending.inputs.extend(self.urgent.try_iter().take(urgent_room));
        pending.urgent = pending.inputs.len();
        let room = limits::BATCH.saturating_sub(arrivals.len());
        arrivals.extend(self.arrivals.try_iter().take(room).map(Input::Arrived));
        pending.inputs.append(&mut arrivals);
    }
}
