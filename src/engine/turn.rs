//! What time brings, and what connections bring: the part of a batch that follows its inputs.
//!
//! Floor: engine.

use super::dispatch::Ended;
use super::hold::BY_OPERATOR;
use super::soft::{CLOCK, NoticeLink, UNTIL};
use super::{Action, BrokerLink, Engine, Link, Publish};
use crate::limits;
use crate::message::{MessageId, NotSent, Outcome, Reason, ReceiptId};
use crate::outbox::{Hold, Receipt, Report, StoreError};
use crate::time::{BoxTime, Wall};
use serde_json::json;
use std::time::Duration;

/// What the ends of holds are rounded up to in the state.
const MINUTE: Duration = Duration::from_secs(60);
/// Between two looks at what may be forgotten.
const HOUSEKEEPING: Duration = Duration::from_secs(60);
/// How long an acknowledged receipt may go uncommitted: it rides on the next commit with receipts, and costs one of its own only
/// here.
const RECEIPT_PATIENCE: Duration = Duration::from_secs(1);
/// The state tells where the audit record stands at most so often, if nothing else changes: receipts tell it all the time.
const ANCHOR: Duration = HOUSEKEEPING;
/// Between two tries to store what the store had no room for.
const HELD_RETRY: Duration = Duration::from_secs(1);
/// Between two looks whether the store has room for outcomes again: receipts that the broker takes, and what is forgotten, make it.
pub(super) const CRAMPED_RETRY: Duration = Duration::from_secs(1);
/// Between two looks at a disk that is nearly full: nobody says when it has space again.
const DISK_LOOK: Duration = Duration::from_secs(5);
/// Turns in a row that may each ask for the next at once: four times what the largest store gives to do in slices of `BATCH`.
pub(super) const HURRIED: u32 = 2048;
/// Between two turns beyond that.
const UNHURRIED: Duration = Duration::from_secs(1);

/// Not a hold but a mark: until when the broker's session of the notices is known to have kept what the box did not hear.
pub(super) const HEARS: &str = "hears";
/// What was missed when that session was gone. Shown as holds are; it stops nothing.
pub(super) const MISSED: &str = "notices";

impl Engine {
    /// Everything that is due now, then what may leave; and when to come back.
    pub(super) fn turn(&mut self) -> Result<(), StoreError> {
        if std::mem::take(&mut self.soft.recover) {
            self.recover()?;
        }
        self.after_loss()?;
        self.clock()?;
        self.staff()?;
        self.end_holds()?;
        let mut more = self.expire_due()? | self.resolve_due()? | self.release()?;
        self.open_gates()?;
        self.retry_held()?;
        more |= self.housekeeping()?;
        self.outbox.check_slice(self.moment)?;
        let ended = self.dispatch()?;
        self.probe();
        self.ask_health()?;
        self.subscribe()?;
        // What receipts and state tell is the record with all of this in it.
        self.record()?;
        if self.soft.staff_due {
            self.staff()?;
            self.record()?;
        }
        self.publish_receipts()?;
        self.keep_receipts()?;
        self.publish_state()?;
        let wake = self.next_wake(ended, more)?;
        self.soft.wake = self.unhurried(wake);
        Ok(())
    }

    /// Whatever a damaged store, or a mistake of ours, makes of the next wake-up: no loop comes of it. What asks to be woken at
    /// once time and again is woken once a second from then on, and the whole check begins, which finds the damage.
    pub(super) fn unhurried(&mut self, wake: Option<BoxTime>) -> Option<BoxTime> {
        let now = self.moment.boxed;
        if wake.is_none_or(|at| at > now) {
            self.soft.hurried = 0;
            return wake;
        }
        self.soft.hurried = self.soft.hurried.saturating_add(1);
        if self.soft.hurried <= HURRIED {
            return wake;
        }
        if self.soft.hurried == HURRIED + 1 {
            self.outbox.check_anew();
        }
        Some(self.outbox.check_due().max(now + Duration::from_millis(1)).min(now + UNHURRIED))
    }

    /// News about connections.
    pub(super) fn linked(&mut self, link: &Link) -> Result<(), StoreError> {
        match link {
            Link::Broker(link) => self.broker(link),
            Link::Notice(link) => self.notice_link(link),
            Link::UplinkUp(_) => {
                self.soft.circuit.probe_ok();
                self.uplink_is(true, "");
                Ok(())
            }
            Link::UplinkDown(why) => {
                self.soft.circuit.probe_failed(self.moment.boxed, self.random.u64(..));
                let why = match why {
                    NotSent::NoConnection(why) | NotSent::Tls(why) => why.clone(),
                    NotSent::StreamRefused => "the server refuses requests".to_owned(),
                };
                self.uplink_is(false, &why);
                Ok(())
            }
            Link::Token(print) => self.token_is(*print),
        }
    }

    /// Told once per change.
    pub(super) fn uplink_is(&mut self, up: bool, why: &str) {
        let was_up = self.soft.uplink_why.is_empty();
        if up && !was_up {
            self.tell_box(Reason::Taken, "the uplink works".to_owned(), false);
        } else if !up && (was_up || self.soft.uplink_why != why) {
            self.tell_box(Reason::UplinkDown, why.to_owned(), was_up);
        }
        if up != was_up || self.soft.uplink_since.is_none() {
            self.soft.uplink_since = Some(self.moment.wall.reading());
        }
        self.soft.uplink_why = if up { String::new() } else { why.to_owned() };
    }

    fn notice_link(&mut self, link: &BrokerLink) -> Result<(), StoreError> {
        let was_up = self.soft.notice.as_ref().is_some_and(|known| known.up && known.why.is_empty());
        match link {
            BrokerLink::Connected { session_present: false, .. } => self.session_gone()?,
            BrokerLink::Connected { .. } => {}
            BrokerLink::Subscribed { refused, .. } if refused.is_empty() => self.session_kept()?,
            BrokerLink::Subscribed { .. } => {}
            BrokerLink::Lost { .. } if was_up => self.session_kept()?,
            BrokerLink::Lost { .. } => {}
        }
        let (up, why) = match link {
            BrokerLink::Connected { .. } => (false, String::new()),
            BrokerLink::Subscribed { refused, .. } => (true, refusals(refused)),
            BrokerLink::Lost { why } => (false, why.clone()),
        };
        if up && !why.is_empty() {
            self.tell_box(Reason::PermissionMissing, why.clone(), true);
        }
        let since = self.soft.notice.as_ref().filter(|known| known.up == up).map(|known| known.since);
        let since = since.unwrap_or(self.moment.wall.reading());
        self.soft.notice = Some(NoticeLink { up, since, why });
        Ok(())
    }

    /// Up to now the broker keeps for this box what it does not hear.
    fn session_kept(&mut self) -> Result<(), StoreError> {
        self.put_hold(Hold { loud: false, ..self.about_session(HEARS, self.moment.wall.reading(), "") })
    }

    /// The broker knows nothing of a session that there was: what came since the box last heard is gone, and the platform, which
    /// head office answered, does not send it again. Nothing waits for it: a broker that keeps no sessions over its own restart would
    /// stop every shop each time, and most have missed nothing.
    fn session_gone(&mut self) -> Result<(), StoreError> {
        let Some(heard) = self.soft.holds.iter().find(|hold| hold.key == HEARS).map(|hold| hold.since) else {
            return Ok(());
        };
        let since = self.soft.holds.iter().find(|hold| hold.key == MISSED).map_or(heard, |hold| hold.since);
        let note = "the broker lost the session of the notices: what people wrote and took back since then may be missing here";
        let told = format!(
            "{note} (since {}); import what another box or head office knows: branchline consent import FILE",
            heard.rfc3339()
        );
        self.tell_box(Reason::StopsMissed, told, true);
        self.put_hold(self.about_session(MISSED, since, note))
    }

    fn about_session(&self, key: &str, since: Wall, note: &str) -> Hold {
        Hold {
            key: key.to_owned(),
            reason: Reason::StopsMissed,
            since,
            until: None,
            strikes: 0,
            lift: BY_OPERATOR.to_owned(),
            note: note.to_owned(),
            loud: true,
        }
    }

    /// Somebody brought what may have been missed.
    pub(super) fn stops_told(&mut self, why: &str) -> Result<(), StoreError> {
        if self.soft.holds.iter().any(|hold| hold.key == MISSED) {
            self.lift(MISSED)?;
            self.tell_box(Reason::Due, format!("stops that may have been missed: {why}"), true);
        }
        Ok(())
    }

    fn broker(&mut self, link: &BrokerLink) -> Result<(), StoreError> {
        match link {
            BrokerLink::Connected { epoch, session_present } => {
                self.soft.broker = Some(*epoch);
                self.soft.broker_since = Some(self.moment.wall.reading());
                self.soft.subscribed = false;
                self.soft.filters_changed = true;
                // Receipts that the old connection did not acknowledge are published again.
                self.soft.published = self.soft.taken;
                self.soft.state_shown.clear();
                if !*session_present {
                    self.soft.session = Some(*epoch);
                }
                self.acknowledge();
            }
            BrokerLink::Subscribed { epoch, refused } => {
                if self.soft.broker == Some(*epoch) {
                    self.soft.subscribed = true;
                    self.soft.broker_why = refusals(refused);
                    if !refused.is_empty() {
                        self.tell_box(Reason::PermissionMissing, self.soft.broker_why.clone(), true);
                    }
                    let filters = self.filters().into_iter().map(|filter| filter.filter).collect();
                    self.outbox.set_filters(filters)?;
                }
            }
            BrokerLink::Lost { why } => {
                self.soft.broker = None;
                self.acknowledge();
                self.soft.subscribed = false;
                self.soft.broker_since = Some(self.moment.wall.reading());
                self.soft.broker_why.clone_from(why);
            }
        }
        Ok(())
    }

    /// What waited for a trusted clock proceeds as soon as there is one; what it stands for is asked again when it jumps.
    fn clock(&mut self) -> Result<(), StoreError> {
        if self.soft.time.jumped() {
            self.outbox.keep_clock()?;
            if self.moment.wall.trusted().is_some() {
                self.hold_quiet_anew()?;
            }
        }
        match self.moment.wall.trusted() {
            Some(wall) if !self.soft.clock_told => {
                self.soft.clock_told = true;
                self.soft.trusted_since = Some(self.moment.boxed);
                let lasting: Vec<_> = (self.policy.purposes.iter())
                    .filter_map(|(name, purpose)| Some((name.as_str(), purpose.expires?)))
                    .collect();
                if !self.soft.time.is_unbroken() {
                    self.outbox.expire_by_clock(self.moment.boxed, wall)?;
                    self.outbox.judge_windows(self.moment.boxed, wall)?;
                }
                if self.soft.time.is_unmeasured() {
                    self.outbox.close_windows()?;
                }
                self.outbox.clock_trusted(self.moment.boxed, wall, &lasting)?;
                self.soft.releasing.push(CLOCK.to_owned());
            }
            Some(_) => {}
            None => (self.soft.clock_told, self.soft.trusted_since) = (false, None),
        }
        Ok(())
    }

    fn expire_due(&mut self) -> Result<bool, StoreError> {
        let mut expired = self.outbox.expired(self.moment.boxed, limits::BATCH)?;
        let more = self.as_many_as_fit(&mut expired)?;
        for id in expired {
            let person = self.outbox.found(id)?.and_then(|found| found.person);
            self.end(id, Outcome::Expired, Reason::TooOld, "", false)?;
            if let Some(person) = person {
                self.refresh(person)?;
            }
        }
        Ok(more)
    }

    /// Puts off what the store has no room for, beside the outcomes of what is on its way; whether there may be more at once.
    fn as_many_as_fit(&mut self, ids: &mut Vec<MessageId>) -> Result<bool, StoreError> {
        if ids.is_empty() {
            return Ok(false);
        }
        let more = ids.len() == limits::BATCH;
        ids.truncate(self.spare_outcomes()?);
        Ok(more && !self.soft.cramped)
    }

    fn resolve_due(&mut self) -> Result<bool, StoreError> {
        // What a loss made unknown is decided by whoever accepts it, and nothing leaves before; but for alarms, which go on.
        let mut due = self.outbox.unknown_due(self.moment.boxed, self.alarms_pass_to().as_deref(), limits::BATCH)?;
        let more = self.as_many_as_fit(&mut due)?;
        due.into_iter().try_for_each(|id| self.resolve_unknown(id))?;
        Ok(more)
    }

    /// Takes back parked messages, a slice at a time: of holds that ended, and those whose own time has come.
    fn release(&mut self) -> Result<bool, StoreError> {
        let mut people = self.outbox.release_parked(UNTIL, self.moment.boxed)?;
        if let Some(key) = self.soft.releasing.last().cloned() {
            let released = self.outbox.release_parked(&key, BoxTime(i64::MAX))?;
            if released.is_empty() {
                self.soft.releasing.pop();
            }
            people.extend(released);
        }
        for person in people {
            self.refresh(person)?;
        }
        Ok(!self.soft.releasing.is_empty())
    }

    fn housekeeping(&mut self) -> Result<bool, StoreError> {
        if self.soft.housekeeping > self.moment.boxed {
            return Ok(false);
        }
        let more = self.outbox.forget(self.moment.boxed)?;
        if !more {
            self.soft.housekeeping = self.moment.boxed + HOUSEKEEPING;
        }
        Ok(more)
    }

    fn probe(&mut self) {
        if !self.soft.stopping && self.soft.circuit.probe_due(self.moment.boxed) {
            self.soft.circuit.probing();
            self.out.push(Action::Probe);
        }
    }

    fn subscribe(&mut self) -> Result<(), StoreError> {
        let Some(epoch) = self.soft.broker else { return Ok(()) };
        if !std::mem::take(&mut self.soft.filters_changed) {
            return Ok(());
        }
        let want = self.filters();
        let gone = self.outbox.row().filters.iter().filter(|known| !want.iter().any(|filter| &filter.filter == *known));
        let gone: Vec<String> = gone.cloned().collect();
        // From here on the session may have both, whether or not the answer ever comes.
        self.outbox
            .set_filters(want.iter().map(|filter| filter.filter.clone()).chain(gone.iter().cloned()).collect())?;
        self.out.push(Action::Subscribe { epoch, want, gone });
        Ok(())
    }

    /// Keeps a small window of receipts on their way to the broker.
    fn publish_receipts(&mut self) -> Result<(), StoreError> {
        if !self.soft.subscribed {
            return Ok(());
        }
        let room = limits::RECEIPTS_IN_FLIGHT as i64 - (self.soft.published - self.soft.taken);
        if room <= 0 {
            return Ok(());
        }
        for report in self.outbox.reports(ReceiptId(self.soft.published), room as usize)? {
            self.soft.published = report.id().0;
            let publish = match report {
                Report::Receipt(receipt) => self.receipt(&receipt),
                Report::Inbound { id, kind, payload } => Publish {
                    topic: format!("branchline/{}/inbound/{kind}", self.branch),
                    payload,
                    retain: false,
                    receipt: Some(id),
                },
            };
            self.out.push(Action::Publish(publish));
        }
        Ok(())
    }

    fn receipt(&self, receipt: &Receipt) -> Publish {
        let rule = if receipt.rule.is_empty() { "none" } else { &receipt.rule };
        let payload = json!({
            "event": receipt.event,
            "rule": receipt.rule,
            "message": self.outbox.shown(receipt.message),
            "to": receipt.to,
            "outcome": receipt.outcome,
            "reason": receipt.reason,
            "at": receipt.at.rfc3339(),
            "audit": self.outbox.anchor(),
        });
        Publish {
            topic: format!("branchline/{}/receipt/{rule}", self.branch),
            payload: payload.to_string(),
            retain: false,
            receipt: Some(receipt.id),
        }
    }

    /// The cursor rides on a commit that writes receipts anyway; alone only after a while.
    fn keep_receipts(&mut self) -> Result<(), StoreError> {
        if self.soft.taken <= self.outbox.row().receipts_taken {
            self.soft.receipts_due = None;
            return Ok(());
        }
        let due = *self.soft.receipts_due.get_or_insert(self.moment.boxed + RECEIPT_PATIENCE);
        if self.outbox.adds_receipts() || due <= self.moment.boxed || self.soft.stopping {
            self.outbox.receipts_taken(ReceiptId(self.soft.taken))?;
            self.soft.receipts_due = None;
        }
        Ok(())
    }

    /// The retained state: published when it changes and after every connection.
    fn publish_state(&mut self) -> Result<(), StoreError> {
        if !self.soft.subscribed {
            return Ok(());
        }
        let limits = self.limit_holds();
        let holds: Vec<_> = self
            .soft
            .holds
            .iter()
            .chain(&limits)
            .filter(|hold| super::soft::in_force(hold, self.moment.boxed) && hold.loud)
            .map(|hold| {
                let (since, until) = (hold.since.rfc3339(), hold.until.map(|until| self.minute(until).rfc3339()));
                json!({"what": hold.key, "reason": hold.reason, "note": hold.note, "since": since, "until": until})
            })
            .chain(self.unreached_state())
            .collect();
        let mut state = json!({
            "state": if self.soft.stopping { "stopping" } else { "online" },
            "version": env!("CARGO_PKG_VERSION"),
            "store": self.outbox.row().store,
            "uplink": if self.soft.circuit.is_up() { "up" } else { "down" },
            "clock": if self.moment.wall.trusted().is_some() { "trusted" } else { "unsynced" },
            "store_full": !self.soft.held.is_empty() && !self.disk_is_short(),
            "holds": holds,
        });
        let anchor = self.outbox.anchor();
        let shown = state.to_string();
        let stale = anchor.rows != self.soft.anchor_shown && self.soft.anchor_due <= self.moment.boxed;
        if stale || shown != self.soft.state_shown {
            self.soft.state_shown = shown;
            (self.soft.anchor_shown, self.soft.anchor_due) = (anchor.rows, self.moment.boxed + ANCHOR);
            state["audit"] = json!(anchor);
            let topic = format!("branchline/{}/state", self.branch);
            let payload = state.to_string();
            self.out.push(Action::Publish(Publish { topic, payload, retain: true, receipt: None }));
        }
        Ok(())
    }

    /// The end of a hold as the state tells it: no state is published for ends that move by less.
    pub(super) fn minute(&self, until: BoxTime) -> Wall {
        let minute = crate::time::millis(MINUTE);
        let at = self.soft.time.wall_of(until).0;
        Wall(at.saturating_add(minute - 1).div_euclid(minute) * minute)
    }

    /// The earliest instant at which time alone brings something.
    fn next_wake(&self, ended: Ended, more: bool) -> Result<Option<BoxTime>, StoreError> {
        let now = self.moment.boxed;
        if more || ended == Ended::More {
            return Ok(Some(now));
        }
        let turn = match ended {
            Ended::NextTurn(at) | Ended::Blocked(_, at) => at,
            Ended::More => Some(now),
        };
        let cramped = if self.soft.cramped { now + CRAMPED_RETRY } else { now };
        let deadline = self.outbox.next_deadline(self.alarms_pass_to().as_deref())?.map(|at| at.max(cramped));
        let candidates = [
            turn,
            deadline,
            self.outbox.next_parked(UNTIL)?,
            self.next_hold_end(),
            self.soft.limits.next_wake(now),
            self.soft.circuit.next_wake().filter(|_| !self.soft.stopping),
            self.soft.receipts_due,
            self.next_health(),
            self.disk_is_short().then(|| now + DISK_LOOK),
            (!self.soft.held.is_empty() && !self.disk_is_short()).then(|| now + HELD_RETRY),
            Some(self.soft.housekeeping),
            Some(self.outbox.check_due()),
        ];
        Ok(candidates.into_iter().flatten().min())
    }
}

fn refusals(refused: &[(String, String)]) -> String {
    let told = refused.iter().map(|(filter, why)| format!("the broker refused the subscription to {filter}: {why}"));
    told.collect::<Vec<_>>().join("; ")
}
