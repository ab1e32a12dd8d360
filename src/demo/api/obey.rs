//! Does what a step asks for. The control endpoint, the scenario and whoever holds a `Control` come through here.
//!
//! Floor: demo.

use super::control::{Control, masked};
use super::lock;
use super::step::{Change, Clear, Order, Step, TemplateChange};
use super::webhook::{self, Report};
use serde_json::json;
use std::io;
use std::time::{Duration, Instant};

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
            Order::Account { event, restrictions, lasts, more } => {
                self.report(event, webhook::account(event, restrictions, *lasts, more))
            }
            Order::Number { event, limit } => {
                self.report(event, webhook::number(&self.0.settings.own_number, event, limit.as_ref()))
            }
            Order::Capability(limit) => self.report("another limit", webhook::capability(limit)),
            Order::Report { field, value } => self.report(field, Report::Field(field.clone(), value.clone())),
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

    /// Only a report: without a callback it is nothing.
    fn report(&self, what: &str, report: Report) -> Result<String, String> {
        match self.0.report(report) {
            true => Ok(format!("{what}: reported")),
            false => Err(format!("{what} is only reported, and there is no callback to report to (--callback URL)")),
        }
    }

    fn template(&self, change: &TemplateChange) -> Result<String, String> {
        let TemplateChange { name, language, status, title, quality, category } = change;
        let languages = lock(&self.0.templates).languages(name, language.as_deref());
        if let Some(status) = status {
            self.set_template_status(name, language.as_deref(), status);
        }
        if languages.is_empty() {
            let language = language.as_deref().unwrap_or("any language");
            return Err(format!("the template list has no {name} in {language}"));
        }
        let mut is_reported = false;
        for language in &languages {
            let mut report = |field, more| is_reported |= self.0.report(webhook::template(field, name, language, more));
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
                report("template_category_update", json!({ "new_category": category }));
            }
        }
        let news: Vec<&str> = [status, quality, category].into_iter().flatten().map(String::as_str).collect();
        Ok(reported(format!("template {name} in {}: {}", languages.join(", "), news.join(", ")), is_reported))
    }

    fn change(&self, change: &Change) {
        let mut inner = self.0.lock();
        let Change { token, sender_per_second, pair_burst, pair_slack, date_skew, date, reports } = change.clone();
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

    /// Does it when it is time, as often as it says, and tells of each. `start` is what its times are counted from.
    pub fn follow(&self, step: &Step, start: Instant) {
        let (control, step) = (self.clone(), step.clone());
        self.0.chores.start(async move {
            for at in step.times() {
                tokio::time::sleep_until((start + at).into()).await;
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
