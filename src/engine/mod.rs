//! The engine: a synchronous value that owns the store and all rules of conduct. It joins the rooms and decides nothing itself.
//!
//! Floor: engine (above the rooms, below the roof). It knows no network, no async and no clock: inputs and time come in,
//! actions go out, and an action leaves only after the commit of the step that asked for it.
//!
//! ```text
//!   batch(now, inputs):  step each input ─► turn: what time brings, then what may leave ─► commit ─► actions
//! ```
//!
//! All state beside the store is in [`Soft`]: a cache that is put back as it was when a commit did not happen.

mod answer;
mod arrive;
mod ask;
mod audit;
mod boxtime;
mod dispatch;
mod drive;
mod health;
mod hold;
mod inbound;
mod io;
mod limit;
mod loss;
mod news;
mod notice;
mod operate;
#[cfg(test)]
#[path = "../../tests/sim/mod.rs"]
mod sim;
mod soft;
mod staff;
mod tell;
#[cfg(test)]
mod tests;
mod turn;
mod wear;

pub use drive::{Inbox, Queue, World, channel, run};
pub use io::{Action, BrokerLink, Input, Link, Post, Publish, Told};

use crate::message::{Category, Country, Outcome, PersonId, Reason, Way};
use crate::operate::{ErasureReport, InForce, OnBoard};
use crate::outbox::{OpenError, Outbox, StoreError};
use crate::rules::Rules;
use crate::status::Status;
use crate::time::{BoxTime, Moment, Mono, Now};
use crate::{outbox, pace, policy, rules, whatsapp};
use soft::Soft;
use std::sync::Arc;
use std::time::Duration;
use wear::Wear;

/// What the rooms are set up with; replaced as a whole by a reload.
#[derive(Clone, Debug)]
pub struct Rooms {
    /// Tells this configuration from another one.
    pub fingerprint: String,
    /// `branch.id`
    pub branch: String,
    /// `mqtt.session_expiry`: how long the broker keeps what the box has not acknowledged.
    pub session_expiry: Duration,
    /// `inbound.numbers`: the whole number of who wrote is published, not the masked one.
    pub inbound_full: bool,
    /// How the platform's reports come: `[webhook]`, `[notice]`.
    pub ways: Vec<Way>,
    /// Rules, people, contacts, templates.
    pub rules: rules::Settings,
    /// Consent, unknowns.
    pub policy: policy::Settings,
    /// Limits.
    pub pace: pace::Settings,
    /// The store.
    pub outbox: outbox::Settings,
    /// Requests.
    pub whatsapp: whatsapp::Settings,
    /// Bytes that may be written to the board's storage in a day.
    pub wear_per_day: Option<u64>,
    /// The board whose facts are in force.
    pub board: Option<OnBoard>,
}

/// Why a batch did not happen. Nothing of it is true; the same inputs may be given again.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store cannot be opened again.
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl Failure {
    /// No space: what is kept elsewhere (arrivals) can wait, what is on its way must be settled first.
    pub fn is_full(&self) -> bool {
        matches!(self, Failure::Store(StoreError::Full(_)))
    }

    /// The store is whole and refused all the same: our bug.
    pub fn is_bug(&self) -> bool {
        match self {
            Failure::Store(error) => error.is_bug(),
            Failure::Open(error) => error.is_bug(),
        }
    }
}

/// What the counters will be told once the batch is true.
enum Tally {
    Event(Arc<str>, &'static str),
    Message(Category, Outcome, Reason),
    Answered(std::time::Duration),
    Overrun(u64),
    Notice(&'static str, u64),
    Heard(Way),
    Unsigned(Way, u64),
}

/// The engine.
pub struct Engine {
    branch: String,
    session_expiry: Duration,
    inbound_full: bool,
    ways: Vec<Way>,
    rules: Arc<Rules>,
    policy: policy::Settings,
    /// As configured, and lowered to what the platform told.
    pace: pace::Settings,
    configured: pace::Settings,
    whatsapp: whatsapp::Settings,
    country: Country,
    timezone: jiff::tz::TimeZone,
    wear: Wear,
    board: Option<OnBoard>,
    /// All configured contacts, with their groups and purposes.
    members: Vec<staff::Member>,
    in_force: InForce,
    outbox: Outbox,
    status: Status,
    soft: Soft,
    /// A daemon runs; otherwise the store alone is looked at.
    running: bool,
    /// There is no store: an empty one stands in, to be looked at and thrown away.
    imagined: bool,
    boot: String,
    mono: Mono,
    moment: Moment,
    random: fastrand::Rng,
    /// The store must be copied before anything is acknowledged or posted: a sync failed.
    rebuild: bool,
    /// A commit failed and the store could not be opened again: what was before, in case that it did not happen.
    doubt: Option<Box<Soft>>,
    /// Posts that left later than they were counted, since the last batch: theirs was in doubt.
    late: usize,
    /// The last batch happened, though its commit failed; its actions are still here.
    happened: bool,
    /// The store was salvaged and has taken no batch since: another damage would be found in what we write ourselves, and each
    /// salvage would make one more copy.
    salvaged: bool,
    /// Something other than an arrival came: the turn cannot be skipped.
    stirred: bool,
    nobody: Arc<str>,
    out: Vec<Action>,
    tally: Vec<Tally>,
    /// Erasures of this batch, to be answered when the files are written anew.
    erased: Vec<(u64, ErasureReport)>,
    /// After that the files are tried again, where they could not be written anew.
    scrub_again: BoxTime,
}

impl Engine {
    /// An engine on an open store. `boot` names this boot of the box, `seed` spreads back-off.
    ///
    /// Rules were compiled when the configuration was checked. Attempts that the store holds without an answer become
    /// unknown in the first batch.
    pub fn new(
        rooms: Rooms,
        rules: impl Into<Arc<Rules>>,
        outbox: Outbox,
        now: Now,
        boot: &str,
        seed: u64,
    ) -> Result<Engine, Failure> {
        let mut outbox = outbox;
        outbox.reconfigure(limit::kept_for_counts(rooms.outbox, &rooms.rules, &rooms.pace));
        let soft = match Soft::start(&outbox, now, boot) {
            Err(error) if error.is_damage() => {
                outbox.salvage(&error.to_string(), seed)?;
                Soft::start(&outbox, now, boot)?
            }
            started => started?,
        };
        let moment = soft.peek(now);
        Ok(Engine {
            branch: rooms.branch,
            session_expiry: rooms.session_expiry,
            inbound_full: rooms.inbound_full,
            ways: rooms.ways,
            rules: rules.into(),
            policy: rooms.policy,
            pace: health::lowered(&rooms.pace, &soft.health),
            configured: rooms.pace,
            whatsapp: rooms.whatsapp,
            members: staff::members(&rooms.rules),
            wear: Wear::new(rooms.wear_per_day, outbox.row().worn),
            board: rooms.board,
            in_force: InForce::new(moment.wall.reading(), rooms.fingerprint),
            country: rooms.rules.country,
            timezone: rooms.rules.timezone,
            running: true,
            imagined: false,
            outbox,
            status: Status::default(),
            soft,
            boot: boot.to_owned(),
            mono: now.mono,
            moment,
            random: fastrand::Rng::with_seed(seed),
            rebuild: false,
            doubt: None,
            late: 0,
            happened: false,
            salvaged: false,
            stirred: true,
            nobody: Arc::from(""),
            out: Vec::new(),
            tally: Vec::new(),
            erased: Vec::new(),
            scrub_again: BoxTime(i64::MIN),
        })
    }

    /// Says in its answers that no store was there: what it was given is empty and will be thrown away.
    pub fn imagined(self) -> Engine {
        Engine { imagined: true, ..self }
    }

    /// Takes a new configuration. What is stored keeps the text it was rendered with.
    pub fn reload(&mut self, now: Now, rooms: Rooms, rules: impl Into<Arc<Rules>>) {
        self.rules = rules.into();
        (self.inbound_full, self.ways) = (rooms.inbound_full, rooms.ways);
        self.policy = rooms.policy;
        let kept = limit::kept_for_counts(rooms.outbox, &rooms.rules, &rooms.pace);
        // The door has its room and its patience from the start: they need a restart.
        let (max_in_flight, timeout) = (self.pace.max_in_flight, self.pace.timeout);
        self.configured = pace::Settings { max_in_flight, timeout, ..rooms.pace };
        self.pace = health::lowered(&self.configured, &self.soft.health);
        self.whatsapp.health_every = rooms.whatsapp.health_every;
        // Other templates may be in the list.
        self.soft.health.due = None;
        self.outbox.reconfigure(kept);
        self.soft.limits.reconfigured(self.moment.boxed);
        self.members = staff::members(&rooms.rules);
        (self.soft.stated_due, self.soft.staff_due) = (true, true);
        self.in_force = InForce::new(self.soft.peek(now).wall.reading(), rooms.fingerprint);
        (self.country, self.timezone) = (rooms.rules.country, rooms.rules.timezone);
        self.soft.filters_changed = true;
        // Quiet hours may be other ones.
        self.soft.time.look_again();
        self.stirred = true;
    }

    /// Takes inputs, does what time brings, lets go what may leave, and commits once for all of it.
    ///
    /// After an error nothing of it is true, and the same inputs may be given again. A store that turns out to be damaged is
    /// salvaged, and the batch tried once more.
    pub fn batch(&mut self, now: Now, inputs: &[Input]) -> Result<Vec<Action>, Failure> {
        let failure = match self.try_batch(now, inputs) {
            Err(failure) => failure,
            done => return done,
        };
        let Some(why) = self.damage(&failure) else { return Err(failure) };
        self.salvage(&why)?;
        self.try_batch(now, inputs)
    }

    fn try_batch(&mut self, now: Now, inputs: &[Input]) -> Result<Vec<Action>, Failure> {
        if let Some(actions) = self.mend()? {
            return Ok(actions);
        }
        self.soft.claimed = 0;
        self.soft.ledger_looked_at = false;
        let late = std::mem::take(&mut self.late);
        let left = self.soft.peek(now).boxed;
        (0..late).for_each(|_| self.soft.sender.left_late(left));
        let before = self.soft.clone();
        self.mono = now.mono;
        self.moment = self.soft.time.read(now);
        let late = self.soft.time.late();
        let done = late.map_or(Ok(()), |late| self.redate(late));
        let done = done.and_then(|()| inputs.iter().try_for_each(|input| self.step(input)));
        let done = done.and_then(|()| self.turn_if_due());
        let done = done.and_then(|()| self.record());
        if let Err(error) = done {
            self.take_back(before);
            return Err(self.give_up(error));
        }
        if let Err(error) = self.outbox.commit(self.moment, self.mono, &self.boot) {
            self.rebuild = matches!(error, StoreError::Disk(_));
            // Whether it happened is told by the file alone.
            match self.outbox.reopen() {
                Ok(true) => self.happened = true,
                Ok(false) => {
                    self.take_back(before);
                    return Err(error.into());
                }
                Err(open) => {
                    self.doubt = Some(Box::new(before));
                    return Err(open.into());
                }
            }
            return Ok(self.mend()?.unwrap_or_default());
        }
        (self.stirred, self.salvaged) = (false, false);
        Ok(self.finish())
    }

    /// The batch is true: it is counted, what was erased goes from the files, and the actions may leave.
    fn finish(&mut self) -> Vec<Action> {
        self.count();
        self.scrub();
        std::mem::take(&mut self.out)
    }

    /// Whether it is still open if the last batch happened: [`mend`](Self::mend) decides it, and no other inputs may come first.
    pub fn in_doubt(&self) -> bool {
        self.doubt.is_some() || self.happened
    }

    /// Whether mending begins with a copy of the store: a sync failed, and the file is not believed any more.
    pub fn must_copy(&self) -> bool {
        self.rebuild
    }

    /// Puts right what a failure left behind. If the batch that was in doubt turns out to have happened: its actions.
    pub fn mend(&mut self) -> Result<Option<Vec<Action>>, Failure> {
        if !self.outbox.is_attached() {
            let happened = match self.outbox.reopen().map_err(Failure::from) {
                Ok(happened) => happened,
                Err(failure) => match self.damage(&failure) {
                    Some(why) => {
                        self.salvage(&why)?;
                        false
                    }
                    None => return Err(failure),
                },
            };
            match self.doubt.take() {
                Some(before) if !happened => self.take_back(*before),
                Some(_) => self.happened = true,
                None => {}
            }
        }
        if self.rebuild {
            self.outbox.rebuild()?;
            self.rebuild = false;
        }
        if !std::mem::take(&mut self.happened) {
            return Ok(None);
        }
        let actions = self.finish();
        self.late += actions.iter().filter(|action| matches!(action, Action::Post(_))).count();
        Ok(Some(actions))
    }

    fn take_back(&mut self, before: Soft) {
        // What was asked for since by a reload stays asked for.
        let filters_changed = self.soft.filters_changed | before.filters_changed;
        let (stated_due, staff_due) =
            (self.soft.stated_due | before.stated_due, self.soft.staff_due | before.staff_due);
        self.soft = Soft { filters_changed, stated_due, staff_due, disk_full: self.soft.disk_full, ..before };
        self.stirred = true;
        self.out.clear();
        self.tally.clear();
        self.erased.clear();
    }

    /// A batch of arrivals that wrote nothing changes nothing that a turn looks at, unless time does.
    fn turn_if_due(&mut self) -> Result<(), StoreError> {
        let due = self.soft.wake.is_some_and(|at| at <= self.moment.boxed);
        let clock = self.moment.wall.trusted().is_some() != self.soft.clock_told;
        if self.stirred || due || clock || self.outbox.is_writing() { self.turn() } else { Ok(()) }
    }

    /// When time alone brings something to do; `None` if nothing is due before the next input.
    pub fn wake_at(&self) -> Option<Mono> {
        self.soft.wake.map(|at| self.mono + at.since(self.moment.boxed))
    }

    /// Whether nothing is on its way, and all receipts' acknowledgements are kept: the daemon may end.
    pub fn is_idle(&self) -> bool {
        self.soft.in_flight.is_empty() && self.soft.taken <= self.outbox.row().receipts_taken
    }

    /// The disk has no space: nothing is posted until a batch fits again.
    pub fn disk_full(&mut self, full: bool) {
        if self.soft.disk_full && !full {
            self.stirred = true;
            self.soft.wake = Some(self.moment.boxed);
        }
        self.soft.disk_full = full;
    }

    /// What is free on the store's disk: told before each batch, so that arrivals wait while answers still have space.
    pub fn free_space(&mut self, free: Option<u64>) {
        let was_short = self.disk_is_short();
        self.soft.free_space = free;
        if was_short && !self.disk_is_short() {
            self.stirred = true;
            self.soft.wake = Some(self.moment.boxed);
        }
    }

    /// Where counters are kept, for what only the loop can measure.
    pub fn status_mut(&mut self) -> &mut Status {
        &mut self.status
    }

    /// The filters that the broker's session shall have.
    pub fn filters(&self) -> Vec<crate::message::Filter> {
        self.rules.filters()
    }

    fn step(&mut self, input: &Input) -> Result<(), StoreError> {
        self.stirred |= !matches!(input, Input::Arrived(_) | Input::Overrun(_) | Input::Woke);
        match input {
            Input::Arrived(arrival) => self.arrived(arrival),
            Input::Answered(attempt, answer) => self.answered(*attempt, answer),
            Input::Looked(answer) => self.looked(answer),
            Input::Notice(ticket, notices) => self.heard(*ticket, notices),
            Input::Operator(ticket, request) => self.operated(*ticket, request),
            Input::Link(link) => self.linked(link),
            Input::ReceiptTaken(id) => {
                self.soft.taken = self.soft.taken.max(id.0);
                Ok(())
            }
            Input::Overrun(dropped) => {
                self.tally.push(Tally::Overrun(*dropped));
                Ok(())
            }
            Input::Unsigned(way, bodies) => {
                self.tally.push(Tally::Unsigned(*way, *bodies));
                Ok(())
            }
            Input::Woke => Ok(()),
            Input::Stop => {
                self.soft.stopping = true;
                Ok(())
            }
        }
    }

    fn give_up(&mut self, error: StoreError) -> Failure {
        if self.outbox.rollback().is_err()
            && let Err(open) = self.outbox.reopen()
        {
            return open.into();
        }
        self.outbox.judged(error).into()
    }

    fn count(&mut self) {
        for tally in self.tally.drain(..) {
            match tally {
                Tally::Event(rule, result) => self.status.event(&rule, result),
                Tally::Message(category, outcome, reason) => self.status.message(category, outcome, reason),
                Tally::Answered(took) => self.status.answered(took),
                Tally::Overrun(dropped) => self.status.overrun(dropped),
                Tally::Notice(kind, updates) => self.status.notices(kind, updates),
                Tally::Heard(way) => self.status.heard(way, self.moment.wall.reading()),
                Tally::Unsigned(way, bodies) => self.status.unsigned(way, bodies),
            }
        }
        let at = self.moment.wall.reading();
        for action in &self.out {
            if let Action::Show(told) = action {
                self.status.last(told.line(at, |id| self.outbox.shown(id)));
            }
        }
    }

    /// Works out again whose turn is next for a person.
    fn refresh(&mut self, person: PersonId) -> Result<(), StoreError> {
        self.settle(self.outbox.lane(person)?)
    }

    /// The same for a lane that was read and perhaps changed: writes it back.
    fn settle(&mut self, lane: outbox::Lane) -> Result<(), StoreError> {
        let (person, busy) = (lane.person, self.soft.is_busy(lane.person));
        let ready = pace::pair_ready(&self.pace, &lane.pair, self.soft.sender.since(), self.moment.boxed);
        self.outbox.settle_lane(lane, ready, busy)?;
        self.keeps_place(person)
    }
}
