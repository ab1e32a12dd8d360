//! What an operator asks: answered from the store and from what the engine holds beside it.
//!
//! Floor: engine. Reading changes nothing; an order is committed before it is answered.

use super::hold::{BY_OPERATOR, stopped_words};
use super::soft::in_force;
use super::{Action, Engine};
use crate::message::{Content, Draft, LedgerAction, LedgerEntry, Number, Outcome, PersonId, Reason, Standing};
use crate::operate::{
    Backlog, ConsentNow, ConsentReport, DraftExplained, Explanation, Gauges, Grant, Hold, ImportReport, LedgerLine,
    LedgerPage, LedgerRow, Length, LimitUse, LineProblem, LinkState, OutboxPage, PauseReport, Reply, Request,
    RuleExplained, Target, Wait,
};
use crate::outbox::{self, StoreError};
use crate::policy;
use crate::rules::Explained;
use crate::status::show;
use crate::time::{BoxTime, Moment, Wall};
use crate::{limits, pace};

type Answered = Result<Reply, StoreError>;

impl Engine {
    pub(super) fn operated(&mut self, ticket: u64, request: &Request) -> Result<(), StoreError> {
        let reply = self.answer_operator(request)?;
        self.out.push(Action::Done(ticket, reply));
        Ok(())
    }

    pub(super) fn answer_operator(&mut self, request: &Request) -> Answered {
        match request {
            Request::Status => {
                let gauges = self.gauges()?;
                Ok(Reply::data(&self.status.report(gauges)))
            }
            Request::Metrics => {
                let gauges = self.gauges()?;
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
            Request::ConsentImport { rows } => self.consent_import(rows),
            Request::ConsentExport { after } => self.consent_export(*after),
            Request::Explain { topic, payload, at } => self.explain(topic, payload, *at),
        }
    }

    fn gauges(&self) -> Result<Gauges, StoreError> {
        let ([waiting, posted, unknown, parked], oldest) = self.outbox.backlog()?;
        let now = self.moment;
        let bytes = self.outbox.used_bytes()?;
        let max_bytes = self.outbox.settings().max_bytes;
        let share = |used: f64, of: f64| if of > 0.0 { (used / of).min(1.0) } else { 0.0 };
        Ok(Gauges {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            branch: self.branch.clone(),
            timezone: self.timezone.iana_name().unwrap_or("UTC").to_owned(),
            store: self.outbox.row().store.clone(),
            running: self.running,
            started: Some(self.soft.started),
            at: now.wall.reading(),
            clock_trusted: now.wall.trusted().is_some(),
            links: self.links(),
            backlog: vec![
                Backlog { state: Outcome::Stored, messages: waiting + posted + parked },
                Backlog { state: Outcome::Unknown, messages: unknown },
            ],
            oldest_seconds: oldest.map(|at| now.boxed.since(at).as_secs()),
            in_flight: self.soft.in_flight.len() as u32,
            bytes,
            max_bytes,
            free_bytes: self.soft.free_space,
            limits: vec![
                LimitUse { limit: "sender".to_owned(), used: self.soft.sender.used(&self.pace, now.boxed) },
                LimitUse {
                    limit: "in-flight".to_owned(),
                    used: share(self.soft.in_flight.len() as f64, self.pace.max_in_flight as f64),
                },
                LimitUse { limit: "store".to_owned(), used: share(bytes as f64, max_bytes as f64) },
            ],
            holds: self.shown_holds(),
        })
    }

    fn links(&self) -> Vec<LinkState> {
        vec![
            LinkState {
                link: "broker".to_owned(),
                up: self.soft.subscribed,
                since: self.soft.broker_since,
                why: self.soft.broker_why.clone(),
            },
            LinkState {
                link: "uplink".to_owned(),
                up: self.soft.circuit.is_up(),
                since: self.soft.uplink_since,
                why: self.soft.uplink_why.clone(),
            },
        ]
    }

    fn shown_holds(&self) -> Vec<Hold> {
        let now = self.moment;
        let mut holds: Vec<Hold> = self
            .soft
            .holds
            .iter()
            .filter(|hold| in_force(hold, now.boxed))
            .map(|hold| Hold {
                what: match hold.key.as_str() {
                    "number" | "account" => crate::status::THE_NUMBER.to_owned(),
                    "all" => "everything".to_owned(),
                    key => key.replacen(':', " ", 1),
                },
                reason: hold.reason,
                since: Some(hold.since),
                until: hold.until.map(|until| wall_of(until, now)),
                note: hold.note.clone(),
                loud: hold.loud,
            })
            .collect();
        if self.pace.pause {
            holds.push(Hold {
                what: "everything".to_owned(),
                reason: Reason::Paused,
                since: None,
                until: None,
                note: "uplink.pause is set in the configuration".to_owned(),
                loud: true,
            });
        }
        if let Some(note) = self.disk_trouble() {
            holds.push(Hold {
                what: "everything".to_owned(),
                reason: Reason::DiskReserve,
                since: None,
                until: None,
                note,
                loud: true,
            });
        }
        if !self.soft.held.is_empty() {
            holds.push(Hold {
                what: "new events".to_owned(),
                reason: if self.disk_is_short() { Reason::DiskReserve } else { Reason::StoreFull },
                since: None,
                until: None,
                note: format!("{} events wait unacknowledged", self.soft.held.len()),
                loud: true,
            });
        }
        holds
    }

    /// Why the disk stops what is new: events wait at the broker, nothing is posted.
    fn disk_trouble(&self) -> Option<String> {
        match self.soft.free_space {
            Some(free) if free < self.reserve() => Some(format!(
                "{} free on the store's disk, below the {} that answers on their way need",
                show::bytes(free),
                show::bytes(self.reserve())
            )),
            _ if self.soft.disk_full => Some("the store takes nothing new: see the log".to_owned()),
            _ => None,
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
        Ok(Reply::data(&OutboxPage { rows: rows.into_iter().map(|(_, row)| row).collect(), next }))
    }

    fn outbox_show(&self, id: &str) -> Answered {
        let Some(looked) = self.outbox.look(id, self.moment)? else {
            return Ok(Reply::Refused(format!(
                "no message {id} in this store (its ids begin with {}-); see branchline outbox list",
                self.outbox.row().store
            )));
        };
        let mut detail = looked.detail;
        if let (true, Some(person)) = (looked.waiting, looked.person) {
            let (reason, until) = self.waits_for(person, looked.due, detail.row.reason)?;
            detail.waits =
                (reason != Reason::Due).then(|| Wait { reason, until: until.map(|until| wall_of(until, self.moment)) });
        }
        Ok(Reply::data(&detail))
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
            Target::Rule(name) => named("rule", name, self.rules.names(), Reason::RulePaused),
            Target::Category(name) => {
                let known = crate::message::Category::ALL.iter().map(|category| category.code().to_owned()).collect();
                named("category", name, known, Reason::CategoryPaused)
            }
            Target::Template(name) => named("template", name, self.rules.template_names(), Reason::TemplatePaused),
        }
    }

    fn read_number(&self, text: &str) -> Result<Number, String> {
        Number::read(text, self.country).map_err(|why| {
            format!(
                "the number {why}: write it with + and the country code, or as it is dialled in {}",
                self.country.code()
            )
        })
    }

    fn consent_grant(&mut self, grant: &Grant) -> Answered {
        let number = match self.read_number(&grant.number) {
            Ok(number) => number,
            Err(why) => return Ok(Reply::Refused(why)),
        };
        let standing = self.standing_of(&number, &grant.purpose)?;
        match policy::grant(&self.policy, &standing, grant, self.moment) {
            Err(refusal) => Ok(Reply::Refused(refusal.to_string())),
            Ok(entry) => {
                let person = self.outbox.person(&number)?;
                self.outbox.record_consent(person, &entry, None, None, self.moment)?;
                self.consent_report(&number, true)
            }
        }
    }

    fn consent_revoke(&mut self, number: &str, purpose: Option<&str>) -> Answered {
        let number = match self.read_number(number) {
            Ok(number) => number,
            Err(why) => return Ok(Reply::Refused(why)),
        };
        match policy::revoke(&self.policy, purpose, "operator") {
            Err(refusal) => Ok(Reply::Refused(refusal.to_string())),
            Ok(entry) => {
                let person = self.outbox.person(&number)?;
                self.outbox.record_consent(person, &entry, None, None, self.moment)?;
                self.consent_report(&number, true)
            }
        }
    }

    fn standing_of(&self, number: &Number, purpose: &str) -> Result<Standing, StoreError> {
        match self.outbox.find_person(number)? {
            Some(person) => self.outbox.standing(person, purpose),
            None => Ok(Standing::default()),
        }
    }

    fn consent_report(&self, number: &Number, changed: bool) -> Answered {
        let entries = match self.outbox.find_person(number)? {
            Some(person) => self.outbox.consent_of(person)?,
            None => Vec::new(),
        };
        let mut now = Vec::new();
        for purpose in self.policy.purposes.keys() {
            let standing = self.standing_of(number, purpose)?;
            now.push(consent_now(purpose, &standing, self.moment));
        }
        Ok(Reply::data(&ConsentReport {
            number: number.to_string(),
            changed,
            now,
            entries: entries.into_iter().map(|row| ledger_row(row, false)).collect(),
        }))
    }

    fn consent_export(&self, after: i64) -> Answered {
        let rows = self.outbox.consent_page(after)?;
        let next = if rows.len() == 500 { rows.last().map(|row| row.row) } else { None };
        Ok(Reply::data(&LedgerPage { rows: rows.into_iter().map(|row| ledger_row(row, true)).collect(), next }))
    }

    /// All lines, or none if any is wrong. A grant that is older than what the person took back changes nothing.
    fn consent_import(&mut self, lines: &[LedgerLine]) -> Answered {
        let mut report = ImportReport::default();
        let mut read = Vec::new();
        for line in lines {
            match self
                .import_line(line)
                .and_then(|(number, entry, at)| self.lifts_nothing(&number, &entry, at).map(|()| (number, entry, at)))
            {
                Ok(entry) => read.push(entry),
                Err(problem) => report.problems.push(LineProblem { line: line.line, problem }),
            }
        }
        if !report.problems.is_empty() {
            return Ok(Reply::data(&report));
        }
        for (number, entry, at) in read {
            let person = self.outbox.person(&number)?;
            if self.adds_nothing(person, &entry, at)? {
                report.unchanged += 1;
            } else {
                self.outbox.record_consent(person, &entry, None, at, self.moment)?;
                report.recorded += 1;
            }
        }
        Ok(Reply::data(&report))
    }

    fn import_line(&self, line: &LedgerLine) -> Result<(Number, LedgerEntry, Option<Wall>), String> {
        let number = self.read_number(&line.number)?;
        let action = LedgerAction::of_code(&line.action)
            .ok_or_else(|| format!("action is \"{}\": write grant or revoke", line.action))?;
        let at = instant(&line.at, "at")?;
        let expires = instant(&line.expires, "expires")?;
        let purpose = (line.purpose != policy::ALL).then_some(line.purpose.as_str());
        let entry = match action {
            LedgerAction::Revoke => policy::revoke(&self.policy, purpose, &line.source),
            LedgerAction::Grant => {
                let grant = Grant {
                    number: String::new(),
                    purpose: line.purpose.clone(),
                    source: line.source.clone(),
                    wording: (!line.wording.is_empty()).then(|| line.wording.clone()),
                    expires,
                    after_revocation: true,
                };
                // Counted from the day the person agreed, not from today.
                let then = Moment { wall: at.map_or(self.moment.wall, crate::time::Clock::Trusted), ..self.moment };
                policy::grant(&self.policy, &Standing::default(), &grant, then)
            }
        };
        Ok((number, entry.map_err(|refusal| refusal.to_string())?, at))
    }

    /// A file lifts a revocation only where it says that the person agreed later than that, and not in the future.
    fn lifts_nothing(&self, number: &Number, entry: &LedgerEntry, at: Option<Wall>) -> Result<(), String> {
        if let (Some(at), Some(now)) = (at, self.moment.wall.trusted())
            && at > now
        {
            return Err("at lies in the future".to_owned());
        }
        let standing = self.standing_of(number, &entry.purpose).map_err(|error| error.to_string())?;
        let revoked = standing.revoked.is_some_and(|seq| standing.grant.is_none_or(|grant| grant.seq < seq));
        if entry.action == LedgerAction::Grant && revoked && at.is_none() {
            return Err("this person took the consent back: say in at when it was given again".to_owned());
        }
        Ok(())
    }

    fn adds_nothing(&self, person: PersonId, entry: &LedgerEntry, at: Option<Wall>) -> Result<bool, StoreError> {
        let known = self.outbox.consent_of(person)?;
        let same = known.iter().any(|row| row.entry == *entry && row.at == at && at.is_some());
        let at = at.or(self.moment.wall.trusted());
        let taken_back_later = entry.action == LedgerAction::Grant
            && known.iter().any(|row| {
                row.entry.action == LedgerAction::Revoke
                    && (row.entry.purpose == policy::ALL || row.entry.purpose == entry.purpose)
                    && !(row.at.is_some() && row.at < at)
            });
        Ok(same || taken_back_later)
    }

    fn explain(&mut self, topic: &str, payload: &str, at: Option<Wall>) -> Answered {
        let wall = at.map_or(self.moment.wall, crate::time::Clock::Trusted);
        let now = Moment { wall, ..self.moment };
        let mut rules = Vec::new();
        for explained in self.rules.explain(topic, payload.as_bytes(), now.wall.trusted()) {
            rules.push(self.explain_rule(explained, now)?);
        }
        rules.sort_by_key(|rule| !rule.matched);
        Ok(Reply::data(&Explanation { topic: topic.to_owned(), at: now.wall.reading(), rules }))
    }

    fn explain_rule(&self, explained: Explained, now: Moment) -> Result<RuleExplained, StoreError> {
        let mut values: Vec<(String, String)> =
            explained.values.into_iter().map(|step| (step.name, step.value)).collect();
        values.extend(explained.effects.into_iter().map(|effect| ("effect".to_owned(), effect)));
        values.extend(explained.failed.into_iter().map(|step| (step.name, step.value)));
        let drafts = explained.drafts.iter().map(|draft| self.explain_draft(draft, now)).collect::<Result<_, _>>()?;
        Ok(RuleExplained {
            rule: explained.rule,
            pattern: explained.topic,
            matched: explained.matches && explained.reason.is_none(),
            reason: explained.reason,
            detail: explained.detail.unwrap_or_default(),
            values,
            drafts,
            ..RuleExplained::default()
        })
    }

    fn explain_draft(&self, draft: &Draft, now: Moment) -> Result<DraftExplained, StoreError> {
        let (terms, content) = (draft.terms(), draft.content());
        let person = self.outbox.find_person(draft.to())?;
        let mut standing = self.standing_of(draft.to(), &terms.purpose)?;
        let brought = if terms.stated {
            policy::stated(&self.policy, &standing, &terms.purpose, now)
        } else if terms.opt_in {
            policy::opt_in(&self.policy, &standing, &terms.purpose, "event", now)
        } else {
            None
        };
        if let Some(entry) = brought {
            let seq = standing.grant.map_or(0, |grant| grant.seq).max(standing.revoked.unwrap_or(0)) + 1;
            standing.grant = Some(crate::message::GrantFact { seq, at: now.wall.trusted(), expires: entry.expires });
        }
        let (outcome, reason, until) = self.foretell(draft, person, &standing, now)?;
        let (template, body_limit) = match content {
            Content::Template(template) => {
                (Some(format!("{} {}", template.name, template.language)), limits::TEMPLATE_BODY)
            }
            Content::Text(_) => (None, limits::TEXT),
        };
        let characters = content.preview().chars().count() as u32;
        Ok(DraftExplained {
            to: draft.to().to_string(),
            template,
            category: content.category(),
            priority: terms.priority,
            text: content.preview().to_owned(),
            lengths: vec![Length { what: "text".to_owned(), characters, limit: body_limit as u32 }],
            consent: consent_now(&terms.purpose, &standing, now),
            expires: terms.at.or(now.wall.trusted()).map(|from| from + terms.expires),
            outcome,
            reason,
            until: until.map(|until| wall_of(until, now)),
        })
    }

    /// What would become of a draft that came now.
    fn foretell(
        &self,
        draft: &Draft,
        person: Option<PersonId>,
        standing: &Standing,
        now: Moment,
    ) -> Result<(Outcome, Reason, Option<BoxTime>), StoreError> {
        let terms = draft.terms();
        if self.is_duplicate(draft, person)? {
            return Ok((Outcome::Withheld, Reason::Duplicate, None));
        }
        if let Err((_, reason)) = policy::permit(&self.policy, draft.clone(), standing, now) {
            return Ok((Outcome::Withheld, reason, None));
        }
        if let (Some(at), Some(wall)) = (terms.at, now.wall.trusted())
            && at + terms.expires <= wall
        {
            return Ok((Outcome::Expired, Reason::TooOld, None));
        }
        if let Some(hold) = self.hold_on(&draft.source().rule, draft.content(), draft.to(), person) {
            return Ok((Outcome::Stored, hold.reason, hold.until));
        }
        if policy::waits_for_clock(draft.content().category(), terms.priority, terms.at.is_some(), standing, now) {
            return Ok((Outcome::Stored, Reason::ClockUnsynced, None));
        }
        let (reason, until) = match person {
            Some(person) => self.waits_for(person, now.boxed, Reason::Due)?,
            None => self.may_post().err().unwrap_or((Reason::Due, None)),
        };
        Ok((Outcome::Stored, reason, until))
    }
}

/// Whether resuming a target ends this hold. Everything includes whatever the platform stopped and no one target names.
fn belongs(key: &str, target: &Target) -> bool {
    match target {
        Target::All => {
            matches!(key, "all" | "number" | "account" | "templates")
                || key.starts_with("country:")
                || key.starts_with("person:")
        }
        Target::Rule(name) => key == format!("rule:{name}"),
        Target::Category(name) => key == format!("category:{name}"),
        Target::Template(name) => key
            .strip_prefix("template:")
            .is_some_and(|of| of == name || of.split_once('/').is_some_and(|(of, _)| of == name)),
    }
}

fn consent_now(purpose: &str, standing: &Standing, now: Moment) -> ConsentNow {
    ConsentNow {
        purpose: purpose.to_owned(),
        withheld: policy::consent_now(standing, now),
        until: standing.grant.and_then(|grant| grant.expires),
    }
}

fn ledger_row(row: outbox::LedgerRow, with_number: bool) -> LedgerRow {
    LedgerRow {
        row: row.row,
        number: if with_number { format!("+{}", row.digits) } else { String::new() },
        purpose: row.entry.purpose,
        action: row.entry.action.code().to_owned(),
        at: row.at,
        source: row.entry.source,
        wording: row.entry.wording,
        expires: row.entry.expires,
    }
}

/// Box time as people read it.
fn wall_of(at: BoxTime, now: Moment) -> Wall {
    Wall(now.wall.reading().0 + at.0 - now.boxed.0)
}

/// RFC 3339 or a date; empty for none.
fn instant(text: &str, column: &str) -> Result<Option<Wall>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let midnight =
        || text.parse::<jiff::civil::Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|at| at.timestamp());
    match text.parse::<jiff::Timestamp>().ok().or_else(midnight) {
        Some(at) => Ok(Some(Wall(at.as_millisecond()))),
        None => Err(format!("{column} is \"{text}\": write 2026-03-01T12:00:00Z or 2026-03-01")),
    }
}
