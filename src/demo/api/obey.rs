//! Does what a step asks for. The control endpoint, the scenario and whoever holds a `Control` come through here.
//!
//! Floor: demo.

use super::account::tier;
use super::control::{Control, masked};
use super::lock;
use super::people::Standing;
use super::step::{Change, Clear, Order, Step, TemplateChange};
use super::webhook::{self, Report};
use serde_json::json;
use std::io;
use std::time::{Duration, Instant};

/// Messages a second after an upgrade (facts 2.1).
const HIGH: usize = 1_000;

impl Control {
    /// Does it; says what was done.
    ///
    /// # Errors
    /// What cannot be done, for a person.
    pub fn obey(&self, order: &Order) -> Result<String, String> {
        let port = |error: io::Error| format!("the port cannot be opened again: {error}");
        match order {
            Order::Fault(fault, aim) => {
                let id = self.fault_at(fault.clone(), aim.clone())?;
                Ok(format!("fault {id}: {fault}, {aim}"))
            }
            Order::Clear(Clear::All) => self.clear_faults().map(|()| "everything works again".into()).map_err(port),
            Order::Clear(Clear::Id(id)) => match self.disarm(*id).map_err(port)? {
                true => Ok(format!("fault {id} is over")),
                false => Err(format!("there is no fault {id}")),
            },
            Order::Clear(Clear::Name(name)) => {
                let gone = self.disarm_if(|armed| armed.fault.name() == *name, false).map_err(port)?;
                Ok(format!("{name} is over ({gone} were armed)"))
            }
            Order::Cut => {
                self.cut();
                Ok("every connection is reset".into())
            }
            Order::Settings(change) => {
                self.change(change);
                Ok("the settings are changed".into())
            }
            Order::Template(change) => self.template(change),
            Order::Inbound(inbound) => {
                let from = masked(&inbound.from);
                Ok(reported(format!("{from} says something"), self.0.hear(inbound)))
            }
            Order::Preference { number, stop } => {
                let reported = self.0.prefer(number, *stop);
                let what = if *stop { "wants no marketing" } else { "takes marketing again" };
                Ok(self::reported(format!("{} {what}", masked(number)), reported))
            }
            Order::Person { number, undeliverable, identity_key_hash } => {
                let no_marketing = self.0.lock().people.standing(&self.0.person(number)).no_marketing;
                let (undeliverable, identity) = (*undeliverable, identity_key_hash.clone());
                self.set_standing(number, Standing { undeliverable, no_marketing, identity });
                Ok(match undeliverable {
                    Some(code) => format!("nothing arrives at {}: {code}", masked(number)),
                    None => format!("messages arrive at {}", masked(number)),
                })
            }
            Order::Skip(time) => {
                self.skip(*time);
                Ok(format!("{} s are skipped", time.as_secs_f64()))
            }
            Order::Account { event, restrictions, lasts, more } => {
                let end = lasts.map(|lasts| self.0.now() + lasts);
                self.change_account(|account| account.update(event, restrictions, end, more));
                Ok(reported(event.clone(), self.0.report(webhook::account(event, restrictions, *lasts, more))))
            }
            Order::Number { event, limit } => {
                self.0.change(|inner| {
                    match event.as_str() {
                        "THROUGHPUT_UPGRADE" => inner.limits.sender_per_second = HIGH,
                        "FLAGGED" => inner.account.quality_rating = "RED".into(),
                        "UNFLAGGED" => inner.account.quality_rating = "GREEN".into(),
                        _ => {}
                    }
                    if let Some(limit) = limit.as_ref().and_then(tier) {
                        inner.account.messaging_limit = limit;
                    }
                });
                let report = webhook::number(&self.0.settings.own_number, event, limit.as_ref());
                Ok(reported(event.clone(), self.0.report(report)))
            }
            Order::Capability(limit) => {
                if let Some(limit) = tier(limit) {
                    self.change_account(|account| account.messaging_limit = limit);
                }
                Ok(reported(format!("the messaging limit is {limit}"), self.0.report(webhook::capability(limit))))
            }
            // Any field there is: what it means is not known here.
            Order::Report { field, value } => match self.0.report(Report::Field(field.clone(), value.clone())) {
                true => Ok(format!("{field}: reported")),
                false => {
                    Err(format!("{field} is only reported, and there is no callback to report to (--callback URL)"))
                }
            },
            Order::Window { number, open } => {
                if *open {
                    self.open_window(number)
                } else {
                    self.close_window(number)
                }
                Ok(format!("the window of {} is {}", masked(number), if *open { "open" } else { "closed" }))
            }
            Order::Reset => {
                self.clear_faults().map_err(port)?;
                self.0.reset()?;
                Ok("everything is as at the start".into())
            }
        }
    }

    fn template(&self, change: &TemplateChange) -> Result<String, String> {
        let TemplateChange { name, language, status, title, quality, category } = change;
        let mut entries = Vec::new();
        for template in lock(&self.0.templates).meant(name, language.as_deref()) {
            status.iter().for_each(|status| template.set_status(status));
            quality.iter().for_each(|quality| template.set_quality(quality));
            let former = category.as_ref().map(|category| template.set_category(category));
            entries.push((template.entry.clone(), former));
        }
        if entries.is_empty() {
            let language = language.as_deref().unwrap_or("any language");
            return Err(format!("the template list has no {name} in {language}"));
        }
        let mut is_reported = false;
        for (entry, former) in &entries {
            let mut report = |field, more| is_reported |= self.0.report(webhook::template(field, entry, more));
            if let Some(status) = status {
                let mut more = json!({ "event": status, "reason": "NONE" });
                if let Some(title) = title {
                    more["other_info"] = json!({ "title": title });
                }
                report("message_template_status_update", more);
            }
            if let Some(quality) = quality {
                report("message_template_quality_update", json!({ "new_quality_score": quality }));
            }
            if let Some(category) = category {
                report("template_category_update", json!({ "previous_category": former, "new_category": category }));
            }
        }
        let news: Vec<&str> = [status, quality, category].into_iter().flatten().map(String::as_str).collect();
        let languages: Vec<&str> = entries.iter().filter_map(|(entry, _)| entry["language"].as_str()).collect();
        Ok(reported(format!("template {name} in {}: {}", languages.join(", "), news.join(", ")), is_reported))
    }

    fn change(&self, change: &Change) {
        let mut inner = self.0.lock();
        let Change { token, sender_per_second, pair_burst, pair_slack, date_skew, date, account, reports } =
            change.clone();
        account.apply(&mut inner.account);
        let manner = &mut inner.manner;
        manner.sent = reports.sent.unwrap_or(manner.sent);
        manner.delivered = reports.delivered.unwrap_or(manner.delivered);
        manner.read = reports.read.unwrap_or(manner.read);
        manner.read_share = reports.read_share.unwrap_or(manner.read_share);
        manner.disorder = reports.disorder.unwrap_or(manner.disorder);
        manner.repeats = reports.repeats.unwrap_or(manner.repeats);
        manner.gather = reports.gather.unwrap_or(manner.gather);
        manner.retry_first = reports.retry_first.unwrap_or(manner.retry_first);
        manner.retry_most = reports.retry_most.unwrap_or(manner.retry_most);
        manner.give_up = reports.give_up.unwrap_or(manner.give_up);
        let limits = &mut inner.limits;
        limits.sender_per_second = sender_per_second.unwrap_or(limits.sender_per_second);
        limits.pair_burst = pair_burst.unwrap_or(limits.pair_burst);
        limits.pair_slack = pair_slack.unwrap_or(limits.pair_slack);
        if let Some(token) = token {
            inner.replace_token(&token);
        }
        inner.skew = date_skew.unwrap_or(inner.skew);
        inner.dateless = date.map_or(inner.dateless, |date| !date);
    }

    /// Does it when it is time, as often as it says and until a reset, and tells of each. `start` is what its times are counted from.
    pub fn follow(&self, step: &Step, start: Instant) {
        let (control, step) = (self.clone(), step.clone());
        let mut trial = self.0.trial.subscribe();
        self.0.chores.start(async move {
            for at in step.times() {
                tokio::select! {
                    biased;
                    _ = trial.changed() => return,
                    () = tokio::time::sleep_until((start + at).into()) => {}
                }
                let done = control.obey(&step.order);
                (control.0.settings.tell)(&told(start.elapsed(), &done));
            }
        });
    }
}

fn reported(what: String, reported: bool) -> String {
    if reported { what } else { format!("{what} (there is no callback to report it to)") }
}

fn told(at: Duration, done: &Result<String, String>) -> String {
    let seconds = at.as_secs();
    let at = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    match done {
        Ok(done) => format!("{at} {done}"),
        Err(why) => format!("{at} cannot be done: {why}"),
    }
}
