//! What people write, press and wish: the service window, stop and start words, and what is published of it.
//!
//! Floor: engine. What a word means is read by `policy`; here it is recorded, confirmed and told.

use super::Engine;
use super::news::RED;
use crate::message::{Inbound, LedgerAction, Number, PersonId, Reason, Who, Window};
use crate::outbox::StoreError;
use crate::policy::{self, Wish};
use crate::time::Wall;
use crate::whatsapp::KnownAs;
use serde_json::{Value, json};

/// Kinds that are no answer to a stop, and of which nobody knows whether they open the window (facts 7.9).
const REACTION: &str = "reaction";

impl Engine {
    /// For the counters: what it was. `to_all`: every branch hears it; of people whom this box does not know, it is concerned by a
    /// stop only.
    pub(super) fn inbound(&mut self, inbound: &Inbound, to_all: bool) -> Result<&'static str, StoreError> {
        let wish = inbound.text.as_deref().and_then(|text| policy::wish(text, inbound.by, &self.policy.stop_words));
        // Before anything is written: every box hears every stranger.
        let stranger = to_all && self.known_person(&inbound.who)?.is_none();
        if stranger && !matches!(wish, Some(Wish::Stop | Wish::StopMarketing)) {
            return Ok("nobody");
        }
        if self.outbox.was_heard(&inbound.wamid)? {
            return Ok("repeated");
        }
        let Some(person) = self.person_of(&inbound.who)? else { return Ok("nobody") };
        self.outbox.heard(&inbound.wamid, person, self.moment.boxed)?;
        self.is_reachable(person)?;
        // Of words the platform's time tells which came first, whatever this box's clock says.
        let now = self.moment.wall.trusted();
        let at = inbound.at.or(now);
        if let Some(at) = at
            && inbound.kind != REACTION
        {
            // Without any time that somebody vouches for there is no window.
            self.outbox.open_window(person, Window::of(at, self.moment))?;
            self.needs_no_place(person)?;
            // Who wrote is answered: what it was held for is judged anew when it leaves.
            self.outbox.release_of(person, RED)?;
            self.refresh(person)?;
        }
        match wish {
            Some(Wish::Stop) => self.stops(person, inbound, at, to_all)?,
            Some(Wish::StopMarketing) => {
                self.wishes(&inbound.who, true, at, to_all)?;
            }
            Some(Wish::Start) => {
                // A stop of marketing as well. Where WhatsApp itself was told so, it goes on keeping to that.
                self.wishes(&inbound.who, false, at, to_all)?;
                self.starts(person, at)?;
            }
            None => {}
        }
        if !stranger {
            self.publish_inbound(person, inbound, wish, at)?;
        }
        Ok("inbound")
    }

    /// Everything is taken back; and that is confirmed once, whatever the person writes after it.
    fn stops(&mut self, person: PersonId, stop: &Inbound, at: Option<Wall>, to_all: bool) -> Result<(), StoreError> {
        // Words arrive in any order: one that was written before a start word takes nothing, whichever was heard first.
        let started = self.outbox.word_written(person, true, at)?;
        match self.outbox.last_word(person)? {
            Some((LedgerAction::Revoke, _)) => return Ok(()),
            Some((LedgerAction::Grant, since)) if at.is_some() && at < since => return Ok(()),
            _ if at.is_some() && at < started => return Ok(()),
            _ => {}
        }
        self.outbox.record_consent(person, &policy::stop(), None, at, self.moment)?;
        let number = self.number_of(person, &stop.who)?;
        let shown = number.as_ref().map_or_else(|| "somebody without a number".to_owned(), Number::to_string);
        self.tell_box(Reason::ConsentRevoked, format!("{shown} wrote a stop word: gets no more messages"), false);
        let Some(number) = number else { return Ok(()) };
        let lately = self.outbox.language_lately(person)?;
        if to_all && !self.is_ours_to_answer(person, stop, lately.is_some())? {
            return Ok(());
        }
        let languages: Vec<String> = lately.into_iter().chain(self.rules.languages_of(&number)).collect();
        if let Some(text) = policy::farewell(&self.policy, &languages) {
            let draft = self.rules.farewell(number, text);
            self.draft(draft, false)?;
        }
        Ok(())
    }

    /// Whether this box answers what every branch hears: as head office says; else whoever's message it is about; and where nobody
    /// knows that, each that wrote to the person lately.
    fn is_ours_to_answer(&self, person: PersonId, inbound: &Inbound, wrote_lately: bool) -> Result<bool, StoreError> {
        match (&inbound.answers, &inbound.context) {
            (Some(branch), _) => Ok(*branch == self.branch),
            (None, Some(wamid)) => Ok(self.outbox.of_wamid(person, wamid)?.is_some()),
            (None, None) => Ok(wrote_lately),
        }
    }

    /// What a stop word took is given back. A stop of the same second, or a later one, stands.
    fn starts(&mut self, person: PersonId, at: Option<Wall>) -> Result<(), StoreError> {
        let stopped = self.outbox.word_written(person, false, at)?;
        let Some((LedgerAction::Revoke, since)) = self.outbox.last_word(person)? else { return Ok(()) };
        let stopped = stopped.max(since);
        if at.is_some() && stopped.is_some() && at <= stopped {
            return Ok(());
        }
        self.outbox.record_consent(person, &policy::start(), None, at, self.moment)?;
        let shown = self.outbox.number(person)?.map_or_else(String::new, |number| number.to_string());
        self.tell_box(Reason::Due, format!("{shown} wrote a start word: gets messages again"), false);
        Ok(())
    }

    /// A person told the platform to stop or to resume marketing; an older wish changes nothing.
    pub(super) fn wishes(
        &mut self,
        who: &Who,
        stop: bool,
        at: Option<Wall>,
        to_all: bool,
    ) -> Result<&'static str, StoreError> {
        if to_all && !stop && self.known_person(who)?.is_none() {
            return Ok("nobody");
        }
        let Some(person) = self.person_of(who)? else { return Ok("nobody") };
        let Some(at) = at else {
            // Without a time only the stricter wish is believed.
            if stop {
                self.marketing_stopped(person, None)?;
            }
            return Ok(if stop { "preference" } else { "repeated" });
        };
        if !self.outbox.newer_wish(person, at, self.trusted_since())? {
            return Ok("repeated");
        }
        self.outbox.set_marketing_stopped(person, stop)?;
        Ok("preference")
    }

    /// A stop of marketing that holds now, or was reported as of a time: a wish that is older and comes late lifts it no more, and a
    /// newer one that came before the report stands.
    pub(super) fn marketing_stopped(&mut self, person: PersonId, told: Option<Wall>) -> Result<(), StoreError> {
        let now = self.moment.wall.trusted();
        let newer = match told.map(|told| now.map_or(told, |now| told.min(now))).or(now) {
            Some(at) => self.outbox.newer_wish(person, at, self.trusted_since())?,
            None => {
                self.outbox.undated_wish(person)?;
                true
            }
        };
        if newer || told.is_none() {
            self.outbox.set_marketing_stopped(person, true)?;
        }
        Ok(())
    }

    /// From when on the clock is trusted without a break, as it reads now.
    fn trusted_since(&self) -> Option<Wall> {
        self.soft.trusted_since.map(|since| self.soft.time.wall_of(since))
    }

    /// A person has another number or user id: one more name of the same person, if we know the person at all.
    pub(super) fn moved(&mut self, from: &Who, to: &Who) -> Result<&'static str, StoreError> {
        let Some(person) = self.known_person(from)? else { return Ok("nobody") };
        let digits = to.digits.clone().filter(|digits| Number::of_digits(digits).is_ok());
        self.learn(person, &KnownAs { wa_id: digits, user_id: to.user.clone() })?;
        Ok("moved")
    }

    pub(super) fn known_person(&self, who: &Who) -> Result<Option<PersonId>, StoreError> {
        if let Some(Ok(number)) = who.digits.as_deref().map(Number::of_digits)
            && let Some(person) = self.outbox.find_person(&number)?
        {
            return Ok(Some(person));
        }
        who.user.as_deref().map_or(Ok(None), |user| self.outbox.find_user(user))
    }

    /// Whoever it is; somebody new where nobody is known by number or user id. Without either it is nobody.
    fn person_of(&mut self, who: &Who) -> Result<Option<PersonId>, StoreError> {
        let digits = who.digits.as_deref().and_then(|digits| Number::of_digits(digits).ok());
        let person = match (self.known_person(who)?, &digits, &who.user) {
            (Some(person), ..) => person,
            (None, Some(number), _) => self.outbox.person(number)?,
            (None, None, Some(user)) => self.outbox.person_of_user(user)?,
            (None, None, None) => return Ok(None),
        };
        let known_as = KnownAs { wa_id: digits.map(|number| number.digits().to_owned()), user_id: who.user.clone() };
        self.learn(person, &known_as).map(Some)
    }

    fn number_of(&self, person: PersonId, who: &Who) -> Result<Option<Number>, StoreError> {
        match who.digits.as_deref().map(Number::of_digits) {
            Some(Ok(number)) => Ok(Some(number)),
            _ => self.outbox.number(person),
        }
    }

    /// `branchline/<branch>/inbound/<kind>`, by the way of the receipts: at least once.
    fn publish_inbound(
        &mut self,
        person: PersonId,
        inbound: &Inbound,
        wish: Option<Wish>,
        at: Option<Wall>,
    ) -> Result<(), StoreError> {
        let number = self.number_of(person, &inbound.who)?;
        let from =
            number.map(|number| if self.inbound_full { format!("+{}", number.digits()) } else { number.to_string() });
        let answered = inbound.context.as_deref().map_or(Ok(None), |wamid| self.outbox.of_wamid(person, wamid))?;
        let found = answered.map_or(Ok(None), |id| self.outbox.found(id))?;
        let mut payload = json!({
            "from": from,
            "kind": inbound.kind,
            "context": answered.map(|id| self.outbox.shown(id)),
            "rule": found.map(|found| found.rule.to_string()),
            "at": at.unwrap_or(self.moment.wall.reading()).rfc3339(),
        });
        let wish = wish.map(Wish::code);
        let user = inbound.who.user.as_deref().filter(|_| self.inbound_full);
        for (key, value) in
            [("text", inbound.text.as_deref()), ("payload", inbound.payload.as_deref()), ("wish", wish), ("user", user)]
        {
            if let Some(value) = value {
                payload[key] = Value::from(value);
            }
        }
        self.outbox.add_inbound(person, &inbound.kind, &payload.to_string(), self.moment)
    }
}
