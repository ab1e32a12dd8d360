//! The health of the number: when the platform is asked about it, and what its answer lowers.
//!
//! Floor: engine. What an answer says is read by `whatsapp`; it sets and lifts the same holds as what the platform reports by
//! itself (`news`).

use super::soft::Looking;
use super::{Action, Engine};
use crate::message::{Answer, News, Reason, UNLIMITED};
use crate::outbox::{Health, StoreError};
use crate::pace;
use crate::time::BoxTime;
use crate::whatsapp::health;
use std::time::Duration;

/// The first question after a start waits up to so long: boxes that come back together after a power cut do not ask together.
const FIRST: Duration = Duration::from_secs(30);
/// What the platform reports makes all boxes ask: within so long, since they share the calls of an hour (facts 2.4).
const SPREAD: Duration = Duration::from_secs(10 * 60);
/// Until a question that was not answered, or badly, is asked again; at most `uplink.health_every`.
const AGAIN: Duration = Duration::from_secs(15 * 60);
/// Pages of templates that are asked for: 2,000 templates. What is beyond is told by webhook or by the refusal of a message.
const PAGES: u32 = 20;

/// Our limits, lowered to what the platform told, also one that is off: that is no limit of our own, and by which code the platform
/// would refuse too many people is documented nowhere (facts 2.3). `told` is about the whole number: this box has its share of it. Of
/// people that may be none, for all boxes together stay within the whole; a second has room for one message at least, since a limit
/// below that would be none that the pace knows, and whoever sends too fast is refused for the moment and slows down.
pub(super) fn lowered(configured: &pace::Settings, told: &Health) -> pace::Settings {
    let per_second = told.per_second.map(|all| configured.share_of(all).max(1));
    let sender_per_second = configured.sender_per_second.into_iter().chain(per_second).min();
    let people = told.people.filter(|people| *people != UNLIMITED);
    let daily = match (configured.daily, people.map(|all| configured.share_of(all.try_into().unwrap_or(u32::MAX)))) {
        (ours, None) => ours,
        (ours, Some(theirs)) => {
            let theirs = u64::from(theirs);
            let reserve = ours.map_or(0, |ours| ours.all - ours.free);
            let all = ours.map_or(theirs, |ours| ours.all.min(theirs));
            Some(pace::Daily { all, free: all.saturating_sub(reserve) })
        }
    };
    pace::Settings { sender_per_second, daily, ..configured.clone() }
}

impl Engine {
    /// Asks, if it is time and there is a way.
    pub(super) fn ask_health(&mut self) -> Result<(), StoreError> {
        let now = self.moment.boxed;
        if self.soft.stopping {
            return Ok(());
        }
        let every = self.whatsapp.health_every;
        let Some(due) = self.soft.health.due else {
            let due = now + self.within(FIRST.min(every / 4));
            return self.set_health(Health { due: Some(due), ..self.soft.health.clone() });
        };
        if !self.soft.circuit.is_up() || due.min(now + every + every) > now {
            return Ok(());
        }
        self.soft.looking = Some(Looking::default());
        self.out.push(Action::Look(health::about_number(&self.whatsapp)));
        // Should no answer come, not even that there is none.
        let due = Some(now + AGAIN.min(every) + self.within(AGAIN.min(every) / 2));
        self.set_health(Health { due, ..self.soft.health.clone() })
    }

    /// When the next question is due, where there is a way.
    pub(super) fn next_health(&self) -> Option<BoxTime> {
        let is_up = self.soft.circuit.is_up() && !self.soft.stopping;
        self.soft.health.due.filter(|_| is_up)
    }

    /// Asks again soon: something changed.
    pub(super) fn ask_soon(&mut self) -> Result<(), StoreError> {
        let every = self.whatsapp.health_every;
        let soon = self.moment.boxed + self.within(SPREAD.min(every / 4));
        let due = Some(self.soft.health.due.map_or(soon, |due| due.min(soon)));
        self.set_health(Health { due, ..self.soft.health.clone() })
    }

    /// The platform answered the question that was on its way, or did not.
    pub(super) fn looked(&mut self, answer: &Answer) -> Result<(), StoreError> {
        let Some(mut looking) = self.soft.looking.take() else { return Ok(()) };
        let Some(account) = looking.account.clone() else {
            let read = match health::number(answer) {
                Ok(read) => read,
                Err(why) => return self.not_told("the number", &why),
            };
            self.all_news(&read.news, &looking)?;
            let known = self.soft.health.clone();
            self.set_health(Health {
                status: read.status,
                // A gateway may tell less today than yesterday.
                account: read.account.clone().or(known.account),
                number: read.number.or(known.number),
                told: Some(self.moment.wall.reading()),
                trouble: String::new(),
                ..self.soft.health.clone()
            })?;
            return match read.account {
                Some(account) if self.rules.has_templates() => {
                    self.out.push(Action::Look(health::about_templates(&self.whatsapp, &account, None)));
                    looking.account = Some(account);
                    self.soft.looking = Some(looking);
                    Ok(())
                }
                _ => self.health_told(),
            };
        };
        let (news, after) = match health::templates(answer) {
            Ok(page) => page,
            Err(why) => return self.not_told("its templates", &why),
        };
        self.all_news(&news, &looking)?;
        looking.pages += 1;
        match after {
            Some(after) if looking.pages < PAGES => {
                self.out.push(Action::Look(health::about_templates(&self.whatsapp, &account, Some(&after))));
                self.soft.looking = Some(looking);
                Ok(())
            }
            _ => self.health_told(),
        }
    }

    fn all_news(&mut self, news: &[News], looking: &Looking) -> Result<(), StoreError> {
        news.iter().try_for_each(|news| self.news(news, Some(&looking.newer)))
    }

    /// Everything was answered: the next question is a whole while away, more or less a fifth of it.
    fn health_told(&mut self) -> Result<(), StoreError> {
        let every = self.whatsapp.health_every;
        let due = self.moment.boxed + every * 4 / 5 + self.within(every * 2 / 5);
        self.set_health(Health { due: Some(due), ..self.soft.health.clone() })
    }

    /// What was known stays; why nothing newer is known is shown, and told once.
    fn not_told(&mut self, what: &str, why: &str) -> Result<(), StoreError> {
        let trouble = format!("asked about {what}: {why}");
        if self.soft.health.trouble != trouble {
            self.tell_box(Reason::PlatformNews, trouble.clone(), false);
        }
        self.set_health(Health { trouble, ..self.soft.health.clone() })
    }

    /// Keeps it, and lowers our limits to it.
    pub(super) fn set_health(&mut self, health: Health) -> Result<(), StoreError> {
        if health == self.soft.health {
            return Ok(());
        }
        self.outbox.set_health(&health)?;
        let people = self.pace.daily;
        self.pace = lowered(&self.configured, &health);
        if self.pace.daily != people {
            self.soft.limits.reconfigured(self.moment.boxed);
        }
        self.soft.health = health;
        Ok(())
    }

    fn within(&mut self, most: Duration) -> Duration {
        Duration::from_millis(self.random.u64(0..=most.as_millis().try_into().unwrap_or(u64::MAX)))
    }
}
