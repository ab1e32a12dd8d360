//! Does what a step asks for. The control endpoint, the scenario and whoever holds a `Control` come through here.
//!
//! Floor: demo.

use super::control::{Control, masked};
use super::step::{Change, Clear, Order, Step};
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
            Order::Template { name, language, status } => {
                let changed = self.set_template_status(name, language.as_deref(), status);
                let language = language.as_deref().unwrap_or("every language");
                if changed == 0 {
                    return Err(format!("the template list has no {name} in {language}"));
                }
                Ok(format!("template {name} in {language} is {status}"))
            }
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

    fn change(&self, change: &Change) {
        let mut inner = self.0.lock();
        let Change { token, sender_per_second, pair_burst, pair_slack, date_skew, date } = change.clone();
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

fn told(at: Duration, done: &Result<String, String>) -> String {
    let seconds = at.as_secs();
    let at = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    match done {
        Ok(done) => format!("{at} {done}"),
        Err(why) => format!("{at} cannot be done: {why}"),
    }
}
