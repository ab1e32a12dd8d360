//! `explain`: what each rule would make of an event, and what would become of it. Nothing is stored, nothing sent.
//!
//! Floor: engine.

use super::Answered;
use super::consent::consent_now;
use crate::engine::Engine;
use crate::engine::hold::Held;
use crate::message::{Content, Draft, GrantFact, Outcome, PersonId, Reason, Standing, masked};
use crate::operate::{Basis, DraftExplained, Explanation, Length, Part, Reply, RuleExplained};
use crate::outbox::StoreError;
use crate::policy;
use crate::rules::{Explained, Preview, Step};
use crate::time::{BoxTime, Clock, Moment, Wall};

impl Engine {
    pub(super) fn explain(&mut self, topic: &str, payload: &str, at: Option<Wall>) -> Answered {
        if topic.split('/').any(|level| matches!(level, "+" | "#")) {
            return Ok(Reply::Refused(format!(
                "no event has the topic {topic:?}: where a filter has + or #, a topic has a value, as in pos/3/order/42/ready"
            )));
        }
        let wall = at.map_or(self.moment.wall, Clock::Trusted);
        let now = Moment { wall, ..self.moment };
        let mut rules = Vec::new();
        for explained in self.rules.explain(topic, payload.as_bytes(), now.wall.trusted()) {
            rules.push(self.explain_rule(explained, now)?);
        }
        rules.sort_by_key(|rule| !rule.matched);
        let configuration = self.running.then(|| self.in_force.clone());
        let (topic, at, basis) = (masked(topic), now.wall.reading(), self.basis());
        Ok(Reply::data(&Explanation { topic, at, basis, configuration, rules }))
    }

    /// What the answer rests on.
    pub(super) fn basis(&self) -> Basis {
        match (self.running, self.imagined) {
            (true, _) => Basis::Daemon,
            (false, false) => Basis::Store,
            (false, true) => Basis::Configuration,
        }
    }

    fn explain_rule(&self, explained: Explained, now: Moment) -> Result<RuleExplained, StoreError> {
        let pair = |step: Step| (step.name, step.value);
        let mut values: Vec<(String, String)> = explained.values.into_iter().map(pair).collect();
        values.extend(explained.effects.into_iter().map(|effect| ("effect".to_owned(), effect)));
        values.extend(explained.failed.into_iter().map(pair));
        let drafts = explained.drafts.iter().zip(&explained.messages);
        let drafts =
            drafts.map(|(draft, preview)| self.explain_draft(draft, preview, now)).collect::<Result<_, _>>()?;
        Ok(RuleExplained {
            rule: explained.rule,
            pattern: explained.topic,
            heard: explained.matches,
            matched: explained.matches && explained.reason.is_none(),
            reason: explained.reason,
            detail: explained.detail.unwrap_or_default(),
            captures: explained.captures,
            values,
            troubles: explained.troubles,
            drafts,
        })
    }

    /// What would become of a draft, and how it reads.
    pub(super) fn explain_draft(
        &self,
        draft: &Draft,
        preview: &Preview,
        now: Moment,
    ) -> Result<DraftExplained, StoreError> {
        let (terms, content) = (draft.terms(), draft.content());
        let person = self.outbox.find_account(draft.to())?;
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
            standing.grant = Some(GrantFact { seq, at: now.wall.trusted(), expires: entry.expires });
        }
        let (outcome, reason, until) = self.foretell(draft, person, &standing, now)?;
        let template = match content {
            Content::Template(template) => Some(format!("{} {}", template.name, template.language)),
            Content::Text(_) => None,
        };
        let lengths = preview.lengths.iter().map(|(what, characters, limit)| Length {
            what: what.clone(),
            characters: *characters as u32,
            limit: *limit as u32,
        });
        Ok(DraftExplained {
            to: draft.to().to_string(),
            country: preview.country.clone(),
            template,
            category: content.category(),
            priority: terms.priority,
            subject: terms.subject.as_ref().map(ToString::to_string),
            text: masked(content.preview()),
            parts: preview
                .parts
                .iter()
                .map(|(what, text)| Part { what: (*what).to_owned(), text: text.clone() })
                .collect(),
            parameters: preview.parameters.iter().map(|step| (step.name.clone(), step.value.clone())).collect(),
            cut: terms.cut,
            lengths: lengths.collect(),
            consent: consent_now(&terms.purpose, &standing, now),
            expires: terms.at.or(now.wall.trusted()).map(|from| from + terms.expires),
            outcome,
            reason,
            // As of the time that was asked about.
            until: until.map(|until| Wall(now.wall.reading().0 + until.0 - now.boxed.0)),
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
        if self.is_duplicate(draft, person, false)? {
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
        if let Some(loss) = self.held_by_loss(draft.to(), terms.priority) {
            return Ok((Outcome::Stored, loss.reason, None));
        }
        let held = self.hold_on(&Held {
            rule: &draft.source().rule,
            content: draft.content(),
            to: draft.to(),
            person,
            priority: terms.priority,
            window: standing.window,
        });
        if let Some(hold) = held {
            return Ok((Outcome::Stored, hold.reason, hold.until));
        }
        let about = policy::About {
            category: draft.content().category(),
            priority: terms.priority,
            rule: &draft.source().rule,
            timed: terms.at.is_some(),
        };
        if let Some((reason, until)) = policy::waits(&self.policy, &about, standing, now) {
            return Ok((Outcome::Stored, reason, until));
        }
        let lane = person.map(|person| self.outbox.lane(person)).transpose()?;
        let load = self.load_of(lane.as_ref(), draft.content(), &terms.purpose, terms.priority);
        let expires = now.boxed + terms.expires;
        if let Some(told) = self.foretell_limits(&draft.source().rule, lane.as_ref(), load, expires)? {
            return Ok(told);
        }
        let (reason, until) = match person {
            Some(person) => self.waits_for(person, now.boxed, Reason::Due)?,
            None => self.may_post().err().unwrap_or((Reason::Due, None)),
        };
        Ok((Outcome::Stored, reason, until))
    }
}
