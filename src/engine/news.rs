//! News about account, number and templates: which holds they set and lift. The one place for it, whether the platform reports
//! them by itself or answers a question.
//!
//! Floor: engine.

use super::Engine;
use super::hold::{BY_PLATFORM, stopped_words};
use super::soft::in_force;
use crate::message::{CanSend, Category, Closed, News, Quality, Reason, TemplateName, UNLIMITED};
use crate::outbox::{Health, Hold, StoreError};
use crate::time::{BoxTime, Wall};

/// `lift` of a hold that the answer about the number's health set, and whose end only such an answer tells.
const BY_HEALTH: &str = "health";
/// Keys of what a restriction closes.
pub(super) const CLOSED_ALL: &str = "restricted:all";
pub(super) const CLOSED_TEMPLATES: &str = "restricted:templates";
pub(super) const CLOSED_UTILITY: &str = "restricted:utility";
/// Keys of the number's quality.
pub(super) const YELLOW: &str = "quality:yellow";
pub(super) const RED: &str = "quality:red";

impl Engine {
    /// Applies one piece of news. `newer`: holds that changed since the question was asked that this answers; they are left alone.
    pub(super) fn news(&mut self, news: &News, newer: Option<&[String]>) -> Result<(), StoreError> {
        let newer = newer.unwrap_or_default();
        match news {
            News::Template { template, held, said } => self.template_news(template, *held, said, newer),
            News::TemplateQuality { template, quality } => self.template_quality(template, *quality, newer),
            News::TemplateCategory { template, category } => self.template_category(template, *category, newer),
            News::Quality(quality) => self.quality(*quality, newer),
            News::Speed(per_second) => self.speed(*per_second),
            News::People(people) => self.people(*people),
            News::Account { closed, until, said } => self.account_news(*closed, *until, said),
            News::CanSend { can, said } => self.can_send(*can, said, newer),
            News::Ask { said } => {
                self.tell_box(Reason::PlatformNews, said.clone(), false);
                self.ask_soon()
            }
            News::Alert { said } => {
                self.tell_box(Reason::PlatformNews, said.clone(), true);
                Ok(())
            }
        }
    }

    /// The holds of a kind that news about a template are about, with the category in our own list: of each of its languages there,
    /// since what we never send is none of our business, and none that is newer than the news.
    fn asked_of(&self, kind: &str, template: &TemplateName, newer: &[String]) -> Vec<(String, Category)> {
        let forms = self.rules.template_forms(&template.name).into_iter();
        let named = forms.filter(|(language, _)| template.language.as_ref().is_none_or(|named| named == language));
        let keys = named.map(|(language, category)| (format!("{kind}:{}/{language}", template.name), category));
        keys.filter(|(key, _)| !newer.contains(key)).collect()
    }

    fn template_news(
        &mut self,
        template: &TemplateName,
        held: Option<Reason>,
        said: &str,
        newer: &[String],
    ) -> Result<(), StoreError> {
        for (key, _) in self.asked_of("template", template, newer) {
            // What an answer found out and the platform's list does not say (other parameters, a Flow) stays what it is.
            let known = self.soft.hold(&key, self.moment.boxed).map(|hold| hold.reason);
            let of_list = known.is_none_or(is_of_list);
            match held {
                Some(reason) if of_list => self.hold_by_platform(key, reason, said, None, BY_PLATFORM)?,
                None if of_list => self.lift_by_platform(&key)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Many block or report what it says: only what is critical goes by it.
    fn template_quality(
        &mut self,
        template: &TemplateName,
        quality: Quality,
        newer: &[String],
    ) -> Result<(), StoreError> {
        for (key, _) in self.asked_of("template-quality", template, newer) {
            if quality == Quality::Red {
                let said =
                    "the platform rates it RED: people block or report it; change what it says or to whom it goes";
                self.hold_by_platform(key, Reason::TemplateQuality, said, None, BY_PLATFORM)?;
            } else {
                self.lift_by_platform(&key)?;
            }
        }
        Ok(())
    }

    /// A template that became marketing must not go out by the rules of what people asked for.
    fn template_category(
        &mut self,
        template: &TemplateName,
        category: Category,
        newer: &[String],
    ) -> Result<(), StoreError> {
        for (key, ours) in self.asked_of("template-category", template, newer) {
            if category == Category::Marketing && ours != Category::Marketing {
                let said = format!(
                    "the platform counts it as marketing, templates.json as {}: fetch the list again",
                    ours.code()
                );
                self.hold_by_platform(key, Reason::TemplateCategory, &said, None, BY_PLATFORM)?;
            } else {
                self.lift_by_platform(&key)?;
            }
        }
        Ok(())
    }

    /// A reload brought a list that agrees with the platform, or without the template.
    pub(super) fn end_categories(&mut self) -> Result<(), StoreError> {
        let rules = self.rules.clone();
        let settled = |key: &str| {
            let template = key.strip_prefix("template-category:").and_then(|key| key.split_once('/'));
            template.is_some_and(|(name, language)| {
                let mut forms = rules.template_forms(name).into_iter();
                forms.all(|(of, category)| of != language || category == Category::Marketing)
            })
        };
        while let Some(key) = self.soft.holds.iter().map(|hold| &hold.key).find(|key| settled(key)).cloned() {
            self.lift(&key)?;
        }
        Ok(())
    }

    fn quality(&mut self, quality: Quality, newer: &[String]) -> Result<(), StoreError> {
        if newer.iter().any(|key| key == YELLOW || key == RED) {
            return Ok(());
        }
        self.set_health(Health { quality: Some(quality), ..self.soft.health.clone() })?;
        let hold = match quality {
            Quality::Yellow => Some((YELLOW, Reason::QualityYellow)),
            Quality::Red => Some((RED, Reason::QualityRed)),
            Quality::Green | Quality::Unknown => None,
        };
        for key in [YELLOW, RED] {
            match hold {
                Some((held, reason)) if held == key => {
                    let said = format!(
                        "the platform rates the number {}: people block or report its messages",
                        quality.code()
                    );
                    self.hold_by_platform(key.to_owned(), reason, &said, None, BY_PLATFORM)?;
                }
                _ => self.lift_by_platform(key)?,
            }
        }
        Ok(())
    }

    fn speed(&mut self, per_second: u32) -> Result<(), StoreError> {
        let (before, known) = (self.pace.sender_per_second, self.soft.health.per_second == Some(per_second));
        self.set_health(Health { per_second: Some(per_second), ..self.soft.health.clone() })?;
        let none = !known && self.configured.share_of(per_second) == 0;
        if let (true, Some(now)) = (none || self.pace.sender_per_second != before, self.pace.sender_per_second) {
            let mut said = format!("the number may send {per_second} messages a second; this box sends {now}");
            if none {
                let (part, whole) = self.configured.share;
                said += &format!(
                    ", which is more than its {part}/{whole} of that (limits.share): all boxes at once may be refused as too fast"
                );
            }
            self.tell_box(Reason::PlatformNews, said, none);
        }
        Ok(())
    }

    fn people(&mut self, people: u64) -> Result<(), StoreError> {
        if self.soft.health.people == Some(people) {
            return Ok(());
        }
        self.set_health(Health { people: Some(people), ..self.soft.health.clone() })?;
        let many = if people == UNLIMITED { "any number of".to_owned() } else { people.to_string() };
        let mut said = format!("the portfolio may write to {many} people in 24 hours");
        let none = self.pace.daily.is_some_and(|daily| daily.all == 0);
        if none {
            let (part, whole) = self.configured.share;
            said += &format!(
                ", of which {part}/{whole} is less than one: this box writes to nobody new; give it a larger limits.share"
            );
        }
        self.tell_box(Reason::PlatformNews, said, none);
        Ok(())
    }

    fn account_news(&mut self, closed: Option<Closed>, until: Option<Wall>, said: &str) -> Result<(), StoreError> {
        let Some(closed) = closed else { return self.reopen(said, &[]) };
        let until = match (until, self.moment.wall.trusted()) {
            (Some(until), Some(now)) if until <= now => return Ok(()),
            (Some(until), Some(now)) => Some(BoxTime(self.moment.boxed.0 + until.0 - now.0)),
            // Without an end, or without a clock that could tell it: until the platform says so.
            _ => None,
        };
        let key = match closed {
            Closed::All => CLOSED_ALL,
            Closed::Templates => CLOSED_TEMPLATES,
            Closed::Utility => CLOSED_UTILITY,
        };
        self.hold_by_platform(key.to_owned(), Reason::PolicyRestricted, said, until, BY_PLATFORM)
    }

    fn can_send(&mut self, can: CanSend, said: &str, newer: &[String]) -> Result<(), StoreError> {
        let closed = self.soft.hold(CLOSED_ALL, self.moment.boxed).map(|hold| hold.lift.clone());
        match can {
            CanSend::Blocked if closed.is_none() && !newer.iter().any(|key| key == CLOSED_ALL) => {
                let said = if said.is_empty() { "the platform says that the number may not send" } else { said };
                self.hold_by_platform(CLOSED_ALL.to_owned(), Reason::AccountLocked, said, None, BY_HEALTH)
            }
            CanSend::Blocked => Ok(()),
            // It may send again, in part: what reports closed stays closed.
            CanSend::Limited if closed.as_deref() == Some(BY_HEALTH) => self.lift_by_platform(CLOSED_ALL),
            CanSend::Limited => Ok(()),
            CanSend::Available => {
                // What a report closed until a day ends then: this answer may be older than the report.
                let dated = self.soft.holds.iter().filter(|hold| hold.until.is_some()).map(|hold| hold.key.clone());
                let kept: Vec<String> = newer.iter().cloned().chain(dated).collect();
                self.reopen("the platform says that the number may send", &kept)
            }
        }
    }

    /// Nothing is closed any more: what reports closed, and what refusals closed for reasons that the platform judges.
    fn reopen(&mut self, said: &str, kept: &[String]) -> Result<(), StoreError> {
        let over = |hold: &Hold| match hold.key.as_str() {
            CLOSED_ALL | CLOSED_TEMPLATES | CLOSED_UTILITY => true,
            "number" | "account" => {
                hold.until.is_none()
                    && matches!(
                        hold.reason,
                        Reason::AccountLocked
                            | Reason::PolicyRestricted
                            | Reason::PaymentMissing
                            | Reason::NumberUnusable
                    )
            }
            _ => false,
        };
        let keys: Vec<String> = self.soft.holds.iter().filter(|hold| over(hold)).map(|hold| hold.key.clone()).collect();
        for key in keys.into_iter().filter(|key| !kept.contains(key)) {
            self.lift(&key)?;
            self.tell_box(Reason::Due, format!("{said}: what waited for it goes on"), true);
        }
        Ok(())
    }

    /// The same news again changes nothing: since when it holds stays known.
    fn hold_by_platform(
        &mut self,
        key: String,
        reason: Reason,
        said: &str,
        until: Option<BoxTime>,
        lift: &str,
    ) -> Result<(), StoreError> {
        let known =
            self.soft.hold(&key, self.moment.boxed).filter(|known| known.reason == reason && known.lift == lift);
        let (since, ends) = (known.map(|known| known.since), known.map(|known| known.until));
        if ends == Some(until) {
            return Ok(());
        }
        let hold = Hold {
            key,
            reason,
            since: since.unwrap_or(self.moment.wall.reading()),
            until,
            strikes: 0,
            lift: lift.to_owned(),
            note: said.to_owned(),
            loud: true,
        };
        if since.is_none() {
            self.tell_box(reason, format!("{}: {said}", stopped_words(&hold.key)), true);
        }
        self.put_hold(hold)
    }

    fn lift_by_platform(&mut self, key: &str) -> Result<(), StoreError> {
        let now = self.moment.boxed;
        if !self.soft.holds.iter().any(|hold| hold.key == key && in_force(hold, now)) {
            return Ok(());
        }
        self.lift(key)?;
        let what = key.replacen(':', " ", 1);
        self.tell_box(Reason::Due, format!("{what} goes on: the platform says so"), true);
        Ok(())
    }
}

/// What the platform's list of templates says about one, and so may lift.
fn is_of_list(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::TemplatePausedByPlatform | Reason::TemplateDisabled | Reason::TemplatePolicy | Reason::TemplateMissing
    )
}
