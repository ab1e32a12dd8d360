//! What an operator asks: answered from the store and from what the engine holds beside it.
//!
//! Floor: engine. Reading changes nothing; an order is committed before it is answered.

mod consent;
mod contact;
mod explain;
mod gauges;
mod import;
mod send;
mod used;

use super::hold::{BY_OPERATOR, stopped_words};
use super::limit::BRAKE;
use super::soft::UNTIL;
use super::{Action, Engine};
use crate::message::{Act, Acted, Name, Number, NumberProblem, Outcome, PersonId, Priority, Reason};
use crate::operate::{OutboxDetail, OutboxPage, PauseReport, Reply, Request, Target, Wait};
use crate::outbox::{self, Looked, StoreError};
use crate::pace;
use crate::rules::OPERATOR;
use crate::time::BoxTime;

/// Lines of the ledger, each with a person who is new, that take no more of the store than one outcome: half a KiB each.
const LINES_A_OUTCOME: usize = 16;
/// Told when there is no room for an order.
const FULL: &str = "the store is full (outbox.max_bytes), and what is left is kept for messages on their way: nothing was recorded; \
    raise outbox.max_bytes, or try again when messages have left";

type Answered = Result<Reply, StoreError>;

impl Engine {
    pub(super) fn operated(&mut self, ticket: u64, request: &Request) -> Result<(), StoreError> {
        if let Request::ContactErase { numbers } = request {
            return self.contact_erase(ticket, numbers);
        }
        let reply = self.answer_operator(request)?;
        let own_row = matches!(request, Request::ContactExport { .. });
        if !own_row && !request.only_looks() && !matches!(reply, Reply::Refused(_)) {
            self.outbox.acted(Acted::new(Act::Ordered, request.name()));
        }
        self.out.push(Action::Done(ticket, reply));
        Ok(())
    }

    pub(super) fn answer_operator(&mut self, request: &Request) -> Answered {
        // An order that finds no room would take the answers of its batch with it, time and again. What stops or releases something,
        // and whoever says no, has the reserve.
        let lines = match request {
            Request::ConsentGrant(_) => 1,
            Request::ConsentImport { rows, .. } => rows.len(),
            Request::LimitsImport { rows } => rows.len(),
            _ => 0,
        };
        if lines > 0 && self.running && self.spare_outcomes()? < lines.div_ceil(LINES_A_OUTCOME) {
            return Ok(Reply::Refused(FULL.to_owned()));
        }
        match request {
            Request::Status => {
                let gauges = self.gauges(true)?;
                Ok(Reply::data(&self.status.report(gauges)))
            }
            Request::Metrics => {
                let gauges = self.gauges(false)?;
                Ok(Reply::Text(self.status.metrics(&gauges)))
            }
            Request::OutboxList { outcome, before, limit } => self.outbox_list(outcome.as_deref(), *before, *limit),
            Request::OutboxShow { id } => self.outbox_show(id),
            Request::Pause { target, reason } => self.pause(target, reason),
            Request::Resume { target, reason } => self.resume(target, reason),
            Request::ConsentGrant(grant) => self.consent_grant(grant),
            Request::ConsentRevoke { number, purpose } => self.consent_revoke(number, purpose.as_deref()),
            Request::ConsentShow { number } => match self.read_number(number) {
                Ok(number) => self.consent_report(&number, false),
                Err(why) => Ok(Reply::Refused(why)),
            },
            Request::LimitsImport { rows } => self.limits_import(rows),
            Request::ConsentImport { rows, more, releases } => self.consent_import(rows, *more, *releases),
            Request::ConsentExport { after } => self.consent_export(*after),
            Request::Explain { topic, payload, at } => self.explain(topic, payload, *at),
            Request::Send(order) => self.send(order),
            Request::AcceptLoss { reason } => self.accept_loss(reason),
            Request::OutboxExport { table, after } => self.outbox_export(table, *after),
            Request::AuditPage { after } => self.audit_page(*after),
            Request::ContactExport { number, part, after } => self.contact_export(number, part, *after),
            Request::ContactErase { .. } => {
                Ok(Reply::Refused("an erasure is an order, and answered when it is done".to_owned()))
            }
        }
    }

    fn outbox_list(&self, outcome: Option<&str>, before: Option<i64>, limit: u32) -> Answered {
        let outcome = match outcome.map(|code| Outcome::of_code(code).ok_or(code)) {
            None => None,
            Some(Ok(outcome)) => Some(outcome),
            Some(Err(code)) => {
                let known: Vec<_> = Outcome::ALL.iter().map(|outcome| outcome.code()).collect();
                return Ok(Reply::Refused(format!("no such outcome: {code}. There are: {}", known.join(", "))));
            }
        };
        let limit = limit.clamp(1, 200);
        let rows = self.outbox.list(outcome, before, limit)?;
        let next = if rows.len() == limit as usize { rows.last().map(|(id, _)| *id) } else { None };
        let mut rows: Vec<_> = rows.into_iter().map(|(_, row)| row).collect();
        for row in rows.iter_mut().filter(|row| row.outcome == Outcome::Stored) {
            let looked = self.outbox.look(&row.id, self.moment)?;
            let waits = looked.map(|looked| self.with_wait(looked)).transpose()?.and_then(|detail| detail.waits);
            row.reason = waits.map_or(row.reason, |wait| wait.reason);
        }
        Ok(Reply::data(&OutboxPage { rows, next }))
    }

    fn outbox_export(&self, table: &str, after: i64) -> Answered {
        Ok(match self.outbox.export(table, after) {
            Some(page) => Reply::data(&page),
            None => Reply::Refused(format!("no such table: {table}")),
        })
    }

    fn outbox_show(&self, id: &str) -> Answered {
        let Some(looked) = self.outbox.look(id, self.moment)? else {
            return Ok(Reply::Refused(format!(
                "no message {id} in this store (its ids begin with {}-); see branchline outbox list",
                self.outbox.row().store
            )));
        };
        Ok(Reply::data(&self.with_wait(looked)?))
    }

    /// A message, with what it waits for now: the store knows only why it was put there.
    fn with_wait(&self, looked: Looked) -> Result<OutboxDetail, StoreError> {
        let mut detail = looked.detail;
        if let (Some(wait), Some(key)) = (&mut detail.waits, &looked.hold) {
            let until = match key.as_str() {
                UNTIL => Some(looked.due),
                key => {
                    let own = self.soft.hold(key, self.moment.boxed).cloned();
                    own.or_else(|| self.limit_hold(key)).and_then(|hold| hold.until)
                }
            };
            wait.until = until.map(|until| self.soft.time.wall_of(until));
        }
        if let (true, Some(person)) = (looked.waiting, looked.person) {
            let (mut reason, mut until) = self.waits_for(person, looked.due, detail.row.reason)?;
            if reason == Reason::Due
                && detail.row.priority != Priority::Critical
                && let Some(brake) = self.limit_hold(BRAKE)
            {
                (reason, until) = (brake.reason, brake.until);
            }
            detail.waits = (reason != Reason::Due)
                .then(|| Wait { reason, until: until.map(|until| self.soft.time.wall_of(until)) });
        }
        Ok(detail)
    }

    /// What a message of this person, due at `due` because of `again`, waits for.
    fn waits_for(
        &self,
        person: PersonId,
        due: BoxTime,
        again: Reason,
    ) -> Result<(Reason, Option<BoxTime>), StoreError> {
        let now = self.moment.boxed;
        if let Err((reason, until)) = self.may_post() {
            return Ok((reason, until));
        }
        if self.soft.cramped {
            return Ok((Reason::StoreFull, None));
        }
        if self.soft.is_busy(person) {
            return Ok((Reason::PersonBusy, None));
        }
        let lane = self.outbox.lane(person)?;
        let ready = pace::pair_ready(&self.pace, &lane.pair, self.soft.sender.since(), now);
        Ok(if ready > now {
            (Reason::PairLimit, Some(ready))
        } else if lane.held_until > now {
            let refused = lane.pair.strikes > 0;
            (if refused { Reason::PlatformPairLimit } else { Reason::PersonBusy }, Some(lane.held_until))
        } else if due > now {
            (again, Some(due))
        } else {
            (Reason::Due, None)
        })
    }

    fn pause(&mut self, target: &Target, reason: &str) -> Answered {
        let (key, why) = match self.key_of(target) {
            Ok(key) => key,
            Err(why) => return Ok(Reply::Refused(why)),
        };
        let changed = !self.soft.holds.iter().any(|hold| hold.key == key);
        self.put_hold(outbox::Hold {
            key: key.clone(),
            reason: why,
            since: self.moment.wall.reading(),
            until: None,
            strikes: 0,
            lift: BY_OPERATOR.to_owned(),
            note: reason.to_owned(),
            loud: true,
        })?;
        self.tell_box(why, format!("{}: {reason}", stopped_words(&key)), true);
        self.pause_report(target, changed)
    }

    fn resume(&mut self, target: &Target, reason: &str) -> Answered {
        let keys: Vec<String> =
            self.soft.holds.iter().map(|hold| hold.key.clone()).filter(|key| belongs(key, target)).collect();
        // A hold may outlive the rule or template that it names: only what holds nothing must be known.
        if keys.is_empty()
            && let Err(why) = self.key_of(target)
        {
            return Ok(Reply::Refused(why));
        }
        for key in &keys {
            self.lift(key)?;
            self.tell_box(Reason::Due, format!("{key} goes on: {reason}"), true);
        }
        if let Target::Rule(rule) = target {
            self.count_rule_anew(rule)?;
        }
        self.pause_report(target, !keys.is_empty())
    }

    fn pause_report(&self, target: &Target, changed: bool) -> Answered {
        let messages = match target {
            Target::All => {
                let ([waiting, _, _, parked], _) = self.outbox.backlog()?;
                waiting + parked
            }
            Target::Rule(name) => self.outbox.waiting_for("rule", name)?,
            Target::Category(name) => self.outbox.waiting_for("category", name)?,
            Target::Template(name) => self.outbox.waiting_for("template", name)?,
        };
        Ok(Reply::data(&PauseReport { target: target.clone(), changed, messages, holds: self.shown_holds() }))
    }

    /// The hold of a target, or why there is no such thing.
    fn key_of(&self, target: &Target) -> Result<(String, Reason), String> {
        let named = |kind: &str, name: &str, known: Vec<String>, reason| {
            if known.iter().any(|known| known == name) {
                Ok((format!("{kind}:{name}"), reason))
            } else {
                Err(format!("no {kind} {name}. There are: {}", known.join(", ")))
            }
        };
        match target {
            Target::All => Ok(("all".to_owned(), Reason::Paused)),
            Target::Rule(name) => {
                let mut known = self.rules.names();
                known.push(OPERATOR.to_owned());
                named("rule", name, known, Reason::RulePaused)
            }
            Target::Category(name) => {
                let known = crate::message::Category::ALL.iter().map(|category| category.code().to_owned()).collect();
                named("category", name, known, Reason::CategoryPaused)
            }
            Target::Template(name) => named("template", name, self.rules.template_names(), Reason::TemplatePaused),
        }
    }

    fn read_number(&self, text: &str) -> Result<Number, String> {
        Number::read(text, self.country).map_err(|why| self.no_number(&why))
    }

    fn read_name(&self, text: &str) -> Result<Name, String> {
        Name::read(text, self.country).map_err(|why| self.no_number(&why))
    }

    fn no_number(&self, why: &NumberProblem) -> String {
        let country = self.country.code();
        format!("the number {why}: write it with + and the country code, or as it is dialled in {country}")
    }
}

/// Whether resuming a target ends this hold. Everything includes whatever the platform stopped and no one target names; not what may
/// be lost (`accept_loss`): who resumes after a payment has not looked at that.
fn belongs(key: &str, target: &Target) -> bool {
    match target {
        Target::All => {
            matches!(key, "all" | "number" | "account" | "templates" | "people")
                || key.starts_with("restricted:")
                || key.starts_with("quality:")
                || key.starts_with("country:")
                || key.starts_with("person:")
        }
        Target::Rule(name) => key == format!("rule:{name}"),
        Target::Category(name) => key == format!("category:{name}"),
        Target::Template(name) => key
            .split_once(':')
            .filter(|(kind, _)| matches!(*kind, "template" | "template-quality" | "template-category"))
            .is_some_and(|(_, of)| of == name || of.split_once('/').is_some_and(|(of, _)| of == name)),
    }
}
