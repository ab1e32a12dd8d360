//! Holds: what stops the number, the account, a template, a rule, a category or a country, and what lifts it.
//!
//! Floor: engine.

use super::Engine;
use super::limit::GATES;
use super::news::{RED, YELLOW};
use super::soft::{Flight, in_force};
use crate::message::{Category, Content, MessageId, Number, PersonId, Priority, Reason, Stored, Window, hex};
use crate::outbox::{Hold, StoreError};
use crate::pace::{self, Class};
use crate::time::BoxTime;
use crate::whatsapp::{BackOffClass, Lift, OnAccount, OnNumber, OnTemplate, Verdict};
use std::time::Duration;

/// `lift` of a hold that ends by itself.
pub(super) const BY_TIME: &str = "time";
/// `lift` of a hold that only an operator ends.
pub(super) const BY_OPERATOR: &str = "operator";
/// `lift` of a hold that the platform set by its news, and ends by them; an operator too.
pub(super) const BY_PLATFORM: &str = "platform";

/// What a hold may ask of a message.
pub(super) struct Held<'m> {
    pub rule: &'m str,
    pub content: &'m Content,
    pub to: &'m Number,
    pub person: Option<PersonId>,
    pub priority: Priority,
    /// The person's service window.
    pub window: Option<Window>,
}
/// Begins the key of holds for quiet hours: `quiet:CATEGORY/RULE`, the rule where it has `hours` of its own.
pub(super) const QUIET: &str = "quiet:";

impl Engine {
    /// What the answer to a request, or a report, says about more than its message and person.
    pub(super) fn hold_as_told(
        &mut self,
        id: MessageId,
        answered: Option<&Flight>,
        verdict: &Verdict,
    ) -> Result<(), StoreError> {
        let by_token = |lift| matches!(lift, Lift::Token);
        let token_stop = matches!(verdict.number, Some(OnNumber::Stop { lifted_by }) if by_token(lifted_by))
            || matches!(verdict.account, Some(OnAccount::Stop { lifted_by }) if by_token(lifted_by));
        if token_stop && answered.and_then(|flight| flight.token) != self.soft.token {
            // It is the old token that was refused, and there is another by now.
            return Ok(());
        }
        let stop = |lifted_by| match lifted_by {
            Lift::Token => {
                self.soft.token.map_or_else(|| "token:".to_owned(), |print| format!("token:{}", hex(&print)))
            }
            Lift::Operator => BY_OPERATOR.to_owned(),
        };
        let (key, lift, wait) = match (verdict.number, verdict.account) {
            (Some(OnNumber::Stop { lifted_by }), _) => ("number", stop(lifted_by), None),
            (_, Some(OnAccount::Stop { lifted_by })) => ("account", stop(lifted_by), None),
            (Some(OnNumber::BackOff(class)), _) => {
                if class == BackOffClass::Number {
                    self.slow_down(answered.map(|flight| flight.at))?;
                }
                ("number", BY_TIME.to_owned(), Some(Wait::BackOff(class_of(class))))
            }
            (_, Some(OnAccount::BackOff)) => ("account", BY_TIME.to_owned(), Some(Wait::BackOff(Class::App))),
            (Some(OnNumber::HoldFor(long)), _) => ("number", BY_TIME.to_owned(), Some(Wait::For(long))),
            (_, Some(OnAccount::HoldTemplates(long))) => ("templates", BY_TIME.to_owned(), Some(Wait::For(long))),
            (_, Some(OnAccount::HoldCountry)) => return self.hold_country(id, verdict),
            (None, None) => return self.hold_template(id, verdict),
        };
        self.add_hold(key.to_owned(), verdict, lift, wait)?;
        self.hold_template(id, verdict)
    }

    fn hold_country(&mut self, id: MessageId, verdict: &Verdict) -> Result<(), StoreError> {
        let country = self.outbox.load(id)?.and_then(|message| message.to().country());
        match country {
            Some(country) => {
                self.add_hold(format!("country:{}", country.code()), verdict, BY_OPERATOR.to_owned(), None)
            }
            None => Ok(()),
        }
    }

    /// Until somebody confirmed who the person is. At most one hold for each person of whom the platform doubts it; we ask it to
    /// doubt nobody (no identity hash is sent), so there are hardly ever any.
    pub(super) fn hold_person(&mut self, person: PersonId) -> Result<(), StoreError> {
        let who = self.outbox.number(person)?.map_or_else(String::new, |number| number.to_string());
        self.put_hold(Hold {
            key: format!("person:{person}"),
            reason: Reason::IdentityChanged,
            since: self.moment.wall.reading(),
            until: None,
            strikes: 0,
            lift: BY_OPERATOR.to_owned(),
            note: format!("{who}: confirm with the person that the number is still theirs"),
            loud: true,
        })
    }

    fn hold_template(&mut self, id: MessageId, verdict: &Verdict) -> Result<(), StoreError> {
        let Some(OnTemplate::Hold { for_ }) = verdict.template else { return Ok(()) };
        let Some(message) = self.outbox.load(id)? else { return Ok(()) };
        let Content::Template(template) = message.content() else { return Ok(()) };
        let lift = if for_.is_some() { BY_TIME } else { BY_OPERATOR };
        let key = format!("template:{}/{}", template.name, template.language);
        self.add_hold(key, verdict, lift.to_owned(), for_.map(Wait::For))
    }

    fn add_hold(&mut self, key: String, verdict: &Verdict, lift: String, wait: Option<Wait>) -> Result<(), StoreError> {
        let known = self.soft.holds.iter().find(|hold| hold.key == key);
        // A stop is not softened by a back-off that was on its way at the same time.
        if wait.is_some() && known.is_some_and(|known| known.until.is_none()) {
            return Ok(());
        }
        // Nor does a new token lift what a person must look at.
        if lift.starts_with("token:") && known.is_some_and(|known| known.until.is_none() && known.lift == BY_OPERATOR) {
            return Ok(());
        }
        // What was on its way when the hold began is told by the same outage: it counts once.
        let holding = known.filter(|known| in_force(known, self.moment.boxed));
        let strikes = known.map_or(0, |known| known.strikes) + u32::from(holding.is_none());
        if holding.is_some_and(|known| known.reason == verdict.reason && known.lift == lift) {
            return Ok(());
        }
        let until = wait.map(|wait| {
            let long = match wait {
                Wait::For(long) => long,
                Wait::BackOff(class) => pace::backoff(class, strikes, self.random.u64(..)),
            };
            self.moment.boxed + long
        });
        // Nor does one hold end another's. The longer one says why, and stays told; only what must be told is told over what need not.
        let longer = holding.and_then(|known| known.until).filter(|known| until.is_some_and(|until| *known > until));
        if longer.is_some() && holding.is_some_and(|known| known.loud || !verdict.loud) {
            return Ok(());
        }
        let until = longer.or(until);
        let hold = Hold {
            key,
            reason: verdict.reason,
            since: self.moment.wall.reading(),
            until,
            strikes,
            lift,
            note: verdict.detail.clone(),
            loud: verdict.loud || until.is_none(),
        };
        if hold.loud {
            self.tell_box(hold.reason, format!("{}: {}", stopped_words(&hold.key), hold.note), true);
        }
        self.put_hold(hold)
    }

    /// Sets or replaces a hold, in the store and here.
    pub(super) fn put_hold(&mut self, hold: Hold) -> Result<(), StoreError> {
        self.outbox.set_hold(&hold, self.moment)?;
        self.newer_than_asked(&hold.key);
        self.soft.releasing.retain(|key| key != &hold.key);
        self.soft.holds.retain(|known| known.key != hold.key);
        self.soft.holds.push(hold);
        Ok(())
    }

    /// What is asked about the number now is answered from before this.
    fn newer_than_asked(&mut self, key: &str) {
        if let Some(looking) =
            self.soft.looking.as_mut().filter(|looking| !looking.newer.iter().any(|known| known == key))
        {
            looking.newer.push(key.to_owned());
        }
    }

    /// Ends a hold; what was parked for it comes back.
    pub(super) fn lift(&mut self, key: &str) -> Result<(), StoreError> {
        self.outbox.lift_hold(key)?;
        self.newer_than_asked(key);
        self.soft.holds.retain(|hold| hold.key != key);
        if GATES.contains(&key) {
            self.soft.limits.count_by(self.moment.boxed);
        } else {
            self.soft.releasing.push(key.to_owned());
        }
        Ok(())
    }

    /// The platform took a message: back-offs of number and account start from the beginning next time.
    pub(super) fn number_works(&mut self) -> Result<(), StoreError> {
        let now = self.moment.boxed;
        // One that is in force stays: what was taken just now had left before it.
        let over = |hold: &Hold| matches!(hold.key.as_str(), "number" | "account") && !in_force(hold, now);
        while let Some(key) = self.soft.holds.iter().find(|hold| over(hold)).map(|hold| hold.key.clone()) {
            self.lift(&key)?;
        }
        Ok(())
    }

    /// Holds that end by time, or by a configuration that agrees with the platform again. Those of number and account stay as a count of strikes until a message is taken.
    pub(super) fn end_holds(&mut self) -> Result<(), StoreError> {
        let now = self.moment.boxed;
        let ended = |hold: &Hold| !in_force(hold, now) && !matches!(hold.key.as_str(), "number" | "account");
        while let Some(key) = self.soft.holds.iter().find(|hold| ended(hold)).map(|hold| hold.key.clone()) {
            self.lift(&key)?;
        }
        self.end_categories()
    }

    /// Such a message must not go out now: the hold that it is parked for. Which messages it stops is policy's to say, each
    /// time; the hold is there to be told, and to bring them back when it ends.
    pub(super) fn hold_quiet(&mut self, message: &Stored, until: BoxTime) -> Result<String, StoreError> {
        let rule = if self.policy.hours.rules.contains_key(&**message.rule()) { message.rule() } else { "" };
        let key = format!("{QUIET}{}/{rule}", message.category().code());
        if self.soft.hold(&key, self.moment.boxed).is_none() {
            self.put_hold(Hold {
                key: key.clone(),
                reason: Reason::QuietHours,
                since: self.moment.wall.reading(),
                until: Some(until),
                strikes: 0,
                lift: BY_TIME.to_owned(),
                note: String::new(),
                loud: false,
            })?;
        }
        Ok(key)
    }

    /// Quiet hours go by the wall clock, holds by box time: after a jump of the first, or with other hours, they end at another
    /// time. Only with a trusted clock: without, what comes back asks again.
    pub(super) fn hold_quiet_anew(&mut self) -> Result<(), StoreError> {
        let known: Vec<Hold> = self.soft.holds.iter().filter(|hold| hold.key.starts_with(QUIET)).cloned().collect();
        for hold in known {
            let (category, rule) = hold.key[QUIET.len()..].split_once('/').unwrap_or_default();
            let until = Category::of_code(category)
                .and_then(|category| self.policy.hours.until(category, Priority::default(), rule, self.moment));
            match until {
                None => self.lift(&hold.key)?,
                Some(_) if until == hold.until => {}
                Some(_) => self.put_hold(Hold { until, ..hold })?,
            }
        }
        Ok(())
    }

    /// Another token: what the old one stopped goes on by itself.
    pub(super) fn token_is(&mut self, print: Option<[u8; 8]>) -> Result<(), StoreError> {
        self.soft.token = print;
        let current = format!("token:{}", print.map_or_else(String::new, |print| hex(&print)));
        let lifted = |hold: &Hold| hold.lift.starts_with("token:") && hold.lift != current;
        while let Some(key) = self.soft.holds.iter().find(|hold| lifted(hold)).map(|hold| hold.key.clone()) {
            self.lift(&key)?;
            self.tell_box(Reason::Due, "the token file was replaced: sending goes on".to_owned(), true);
        }
        Ok(())
    }

    /// The hold that stops such a message and is not its person's, nor everybody's.
    pub(super) fn hold_on(&self, message: &Held<'_>) -> Option<&Hold> {
        let now = self.moment.boxed;
        let category = message.content.category();
        let template = match message.content {
            Content::Template(template) => Some(template),
            Content::Text(_) => None,
        };
        let by = |name: &str| {
            template.is_some_and(|template| match name.split_once('/') {
                Some((name, language)) => name == template.name && language == template.language,
                None => name == template.name,
            })
        };
        let critical = message.priority == Priority::Critical;
        self.soft.holds.iter().filter(|hold| in_force(hold, now)).find(|hold| {
            match hold.key.as_str() {
                "templates" | super::news::CLOSED_TEMPLATES => return template.is_some(),
                super::news::CLOSED_UTILITY => return template.is_some() && category == Category::Utility,
                YELLOW => return category == Category::Marketing,
                RED => return !critical && !self.answers(message),
                _ => {}
            }
            let Some((kind, name)) = hold.key.split_once(':') else { return false };
            match kind {
                // The brake of a surge is an own cap: it lets pass what is critical.
                "rule" => name == message.rule && (hold.reason != Reason::RuleSurge || !critical),
                "person" => message.person.is_some_and(|person| name == person.to_string()),
                "category" => name == category.code(),
                "template" | "template-category" => by(name),
                "template-quality" => !critical && by(name),
                "country" => message.to.country().is_some_and(|country| country.code() == name),
                _ => false,
            }
        })
    }

    /// Whether it goes to somebody who wrote within 24 hours, and is no advertisement.
    fn answers(&self, message: &Held<'_>) -> bool {
        let open = message.window.and_then(|window| window.is_open(self.moment, Duration::ZERO)) == Some(true);
        open && message.content.category() != Category::Marketing
    }

    /// When the next hold ends by time.
    pub(super) fn next_hold_end(&self) -> Option<BoxTime> {
        let now = self.moment.boxed;
        self.soft.holds.iter().filter(|hold| in_force(hold, now)).filter_map(|hold| hold.until).min()
    }
}

enum Wait {
    For(Duration),
    BackOff(Class),
}

fn class_of(class: BackOffClass) -> Class {
    match class {
        BackOffClass::Number => Class::NumberRate,
        BackOffClass::Maintenance => Class::Maintenance,
        BackOffClass::Service => Class::Server,
    }
}

/// What a hold is, as people say it.
pub(super) fn stopped_words(key: &str) -> String {
    match key.split_once(':') {
        None if key == "number" => "the number is stopped, everything is kept".to_owned(),
        None if key == "account" => "the account is stopped, everything is kept".to_owned(),
        None if key == "templates" => "all templates wait".to_owned(),
        None if key == super::loss::LIMITS => "all limits count as spent".to_owned(),
        None => "everything waits".to_owned(),
        Some(_) if key == super::news::CLOSED_ALL => "the number is stopped, everything is kept".to_owned(),
        Some(_) if key == super::news::CLOSED_TEMPLATES => "all templates wait".to_owned(),
        Some(_) if key == super::news::CLOSED_UTILITY => "utility templates wait".to_owned(),
        Some(_) if key == YELLOW => "marketing waits".to_owned(),
        Some(_) if key == RED => "everything waits but critical messages and answers to people who wrote".to_owned(),
        Some((kind, name)) if kind.starts_with("template-") => format!("template {name} waits"),
        Some((kind, name)) => format!("{kind} {name} waits"),
    }
}
