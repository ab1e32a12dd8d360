//! All that the engine holds beside the store. Small, so that a copy of it before each batch costs nothing to speak of.
//!
//! Floor: engine. Only ever a cache: what must survive is in the store, what is here is put back when a commit did not happen.

use super::boxtime::BoxClock;
use super::limit::{GATES, Limits};
use crate::message::{Arrival, AttemptId, Delivery, Epoch, MessageId, PersonId, Priority, Reason};
use crate::outbox::{Health, Hold, Outbox, StoreError};
use crate::pace::{Circuit, Kind, Learned, SenderWindow};
use crate::time::{BoxTime, Moment, Mono, Now, Wall};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// See the module.
#[derive(Clone)]
pub(super) struct Soft {
    pub time: BoxClock,
    pub circuit: Circuit,
    pub sender: SenderWindow,
    /// The newest message and the newest attempt when the daemon started.
    pub known_at_start: (MessageId, AttemptId),
    pub limits: Limits,
    /// Posts without an answer: at most `uplink.max_in_flight`.
    pub in_flight: Vec<Flight>,
    /// What is to be acknowledged, in the order of arrival: at most `mqtt.receive_maximum`, which the door keeps.
    pub owed: VecDeque<Owed>,
    /// Arrivals for which store or disk have no room: among those that are owed.
    pub held: VecDeque<Held>,
    pub next_serial: u64,
    pub holds: Vec<Hold>,
    /// Holds that ended and whose parked messages come back, a slice at a time.
    pub releasing: Vec<String>,
    /// What the platform said last about the number, as in the store.
    pub health: Health,
    /// The question about it that is on its way.
    pub looking: Option<Looking>,
    pub broker: Option<Epoch>,
    /// The first connection of the broker's present session, where it began in this life of the box. On later ones a mark of a
    /// repeat is to be believed.
    pub session: Option<Epoch>,
    pub subscribed: bool,
    pub broker_since: Option<Wall>,
    pub broker_why: String,
    /// The session of the notice topic, where there is one.
    pub notice: Option<NoticeLink>,
    pub filters_changed: bool,
    /// The last receipt that was published on this connection, and the last that was acknowledged.
    pub published: i64,
    pub taken: i64,
    pub token: Option<[u8; 8]>,
    pub uplink_why: String,
    pub uplink_since: Option<Wall>,
    /// As measured before this batch.
    pub free_space: Option<u64>,
    /// What the arrivals of this batch may take of it.
    pub claimed: u64,
    /// The ledger was looked at, row by row, for one of whom its index knows nothing.
    pub ledger_looked_at: bool,
    /// Posting stops until a batch with arrivals fits again.
    pub disk_full: bool,
    pub held_told: bool,
    /// At the last look the store had no room for the outcome of anything more.
    pub cramped: bool,
    pub clock_told: bool,
    /// From when on the clock is trusted without a break.
    pub trusted_since: Option<BoxTime>,
    pub started: Wall,
    pub stopping: bool,
    /// Attempts of an earlier life are still to be looked at.
    pub recover: bool,
    /// The loss that a damaged store left behind was told since the start.
    pub loss_told: bool,
    pub housekeeping: BoxTime,
    pub receipts_due: Option<BoxTime>,
    pub state_shown: String,
    /// The ledger is to be compared with what the configuration states.
    pub stated_due: bool,
    /// It is to be looked at who of the contacts took consent back; who did: contact, number masked.
    pub staff_due: bool,
    pub unreached: Vec<super::staff::Unreached>,
    /// Rows of the audit record that the state told of, and when it may tell of more.
    pub anchor_shown: u64,
    pub anchor_due: BoxTime,
    pub wake: Option<BoxTime>,
    /// Turns in a row that asked for the next one at once.
    pub hurried: u32,
}

/// One post that is not answered yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    pub attempt: AttemptId,
    pub message: MessageId,
    pub person: PersonId,
    /// When it was recorded: what sender limit and caps are refunded by.
    pub at: BoxTime,
    /// What the caps counted it as.
    pub kind: Kind,
    /// Where it counts as reaching its person: when the person was reached before.
    pub reached: Option<Option<BoxTime>>,
    pub posted: Mono,
    /// The token it went with.
    pub token: Option<[u8; 8]>,
    /// Its person was erased: the answer tells about the line and the number, and about nobody.
    pub erased: bool,
}

/// How the session of the notice topic stands.
#[derive(Clone, Debug)]
pub(super) struct NoticeLink {
    pub up: bool,
    pub since: Wall,
    pub why: String,
}

/// The platform is being asked about the number, and then page by page about the account's templates.
#[derive(Clone, Debug, Default)]
pub(super) struct Looking {
    /// The account whose templates are asked for; `None` while it is the number.
    pub account: Option<String>,
    /// Pages so far.
    pub pages: u32,
    /// Holds that were set or lifted since the number was asked: their news is newer than the answer.
    pub newer: Vec<String>,
}

/// One arrival that waits for room.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub serial: u64,
    pub arrival: Arc<Arrival>,
    /// The broker marked it as sent before when it first came here.
    pub again: bool,
    /// What it is worth: if there is no room for one, there is none for its equals.
    pub priority: Priority,
}

/// One arrival to acknowledge.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owed {
    pub serial: u64,
    pub delivery: Delivery,
    pub done: bool,
}

impl Soft {
    /// As the store tells.
    pub fn start(outbox: &Outbox, now: Now, boot: &str) -> Result<Soft, StoreError> {
        let mut time = BoxClock::start(outbox.row(), now, boot);
        let moment = time.read(now);
        let (holds, releasing) = Soft::of_store(outbox)?;
        Ok(Soft {
            circuit: Circuit::new(moment.boxed),
            time,
            sender: Soft::window(outbox, moment.boxed)?,
            known_at_start: outbox.highest(),
            limits: Limits::start(outbox, moment.boxed)?,
            in_flight: Vec::new(),
            owed: VecDeque::new(),
            held: VecDeque::new(),
            next_serial: 0,
            holds,
            releasing,
            health: outbox.health()?,
            looking: None,
            broker: None,
            session: None,
            subscribed: false,
            broker_since: None,
            broker_why: "not connected yet".to_owned(),
            notice: None,
            filters_changed: false,
            published: outbox.row().receipts_taken,
            taken: outbox.row().receipts_taken,
            token: None,
            uplink_why: "not tried yet".to_owned(),
            uplink_since: None,
            free_space: None,
            claimed: 0,
            ledger_looked_at: false,
            disk_full: false,
            held_told: false,
            cramped: false,
            clock_told: false,
            trusted_since: None,
            started: moment.wall.reading(),
            stopping: false,
            recover: true,
            loss_told: false,
            housekeeping: moment.boxed,
            receipts_due: None,
            state_shown: String::new(),
            stated_due: true,
            staff_due: true,
            unreached: Vec::new(),
            anchor_shown: 0,
            anchor_due: moment.boxed,
            wake: Some(moment.boxed),
            hurried: 0,
        })
    }

    /// The holds, and those that ended and whose parked messages come back.
    pub fn of_store(outbox: &Outbox) -> Result<(Vec<Hold>, Vec<String>), StoreError> {
        let holds = outbox.holds()?;
        let releasing: Vec<String> = outbox
            .parked_holds()?
            .into_iter()
            .filter(|key| key != UNTIL && key != CLOCK && !GATES.contains(&key.as_str()))
            .filter(|key| !holds.iter().any(|hold| &hold.key == key))
            .collect();
        Ok((holds, releasing))
    }

    /// What the number sent within the last second, as the store tells.
    pub fn window(outbox: &Outbox, now: BoxTime) -> Result<SenderWindow, StoreError> {
        let second_ago = BoxTime(now.0 - millis_of_window());
        let spent = outbox.spent_since(second_ago, crate::limits::SENDER_PER_SECOND_MAX)?;
        let learned = outbox.learned()?.map(|(rate, since)| Learned { rate, since });
        Ok(SenderWindow::rebuilt(now, learned, spent))
    }

    /// The moment of `now`, without keeping it.
    pub fn peek(&self, now: Now) -> Moment {
        self.time.clone().read(now)
    }

    /// Whether a message to this person is on its way.
    pub fn is_busy(&self, person: PersonId) -> bool {
        self.in_flight.iter().any(|flight| flight.person == person)
    }

    /// The hold on `key`, if it is in force.
    pub fn hold(&self, key: &str, now: BoxTime) -> Option<&Hold> {
        self.holds.iter().find(|hold| hold.key == key && in_force(hold, now))
    }

    /// Number or account were held for a time that is over, and nothing was taken since: one is tried.
    pub fn on_trial(&self, now: BoxTime) -> bool {
        self.holds.iter().any(|hold| matches!(hold.key.as_str(), "number" | "account") && !in_force(hold, now))
    }

    /// What stops everything: an operator, the number, the account, or limits that a loss left spent.
    pub fn stopped(&self, now: BoxTime) -> Option<(Reason, Option<BoxTime>)> {
        ["all", "number", "account", super::news::CLOSED_ALL, super::loss::LIMITS]
            .into_iter()
            .find_map(|key| self.hold(key, now))
            .map(|hold| (hold.reason, hold.until))
    }
}

/// Whether a hold still holds.
pub(super) fn in_force(hold: &Hold, now: BoxTime) -> bool {
    hold.until.is_none_or(|until| until > now)
}

/// The key of messages that are parked for a time of their own.
pub(super) const UNTIL: &str = "until";
/// The key of messages that are parked until the clock is trusted.
pub(super) const CLOCK: &str = "clock";

fn millis_of_window() -> i64 {
    crate::time::millis(Duration::from_secs(1))
}
