//! The two questions: may it be stored, may it leave.
//!
//! Floor: rooms.
//!
//! A clock that nobody vouched for decides nothing. A message depends on the wall clock when its consent has an end,
//! when it expires by the event's own time, when it needs the service window, or when there are hours in which it must not go:
//! such a message waits, unless it is critical; all others may go.

use super::{Consent, Settings, consent};
use crate::message::{Category, Confirmed, Draft, FAREWELL, Permitted, Priority, Reason, Standing, Stored};
use crate::time::{BoxTime, Moment};
use std::time::Duration;

/// Why a message does not leave now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It ends as withheld.
    Withhold(Reason),
    /// It stays, and is asked about again.
    Wait {
        /// What it waits for.
        reason: Reason,
        /// When to ask again; `None`: when the clock becomes trusted.
        until: Option<BoxTime>,
    },
}

/// May this be stored? Consent by `opt_in` or by the configuration is recorded before, so that the standing holds it.
///
/// What a clock that is not trusted leaves open is stored: [`confirm`] asks again.
#[expect(clippy::result_large_err, reason = "the draft goes back to its owner, once per event: no box is worth it")]
pub fn permit(
    _settings: &Settings,
    draft: Draft,
    standing: &Standing,
    now: Moment,
) -> Result<Permitted, (Draft, Reason)> {
    match withheld(&draft.terms().purpose, draft.content().category(), standing, now) {
        Some(reason) => Err((draft, reason)),
        None => Ok(Permitted::by_policy(draft)),
    }
}

/// May this leave in this instant?
pub fn confirm(settings: &Settings, message: &Stored, standing: &Standing, now: Moment) -> Result<Confirmed, Verdict> {
    let category = message.category();
    if let Some(reason) = withheld(message.purpose(), category, standing, now) {
        return Err(Verdict::Withhold(reason));
    }
    let about =
        About { category, priority: message.priority(), rule: message.rule(), timed: message.expires_wall().is_some() };
    match waits(settings, &about, standing, now) {
        Some((reason, until)) => Err(Verdict::Wait { reason, until }),
        None => Ok(Confirmed::by_policy()),
    }
}

/// What [`waits`] goes by.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// Of the message.
    pub category: Category,
    /// Critical messages wait for no clock.
    pub priority: Priority,
    /// The rule, which may have hours of its own.
    pub rule: &'a str,
    /// It expires by an instant of the wall clock.
    pub timed: bool,
}

/// What a message that nothing withholds waits for, and until when; `None`: until the clock is trusted.
pub fn waits(
    settings: &Settings,
    about: &About<'_>,
    standing: &Standing,
    now: Moment,
) -> Option<(Reason, Option<BoxTime>)> {
    let About { category, priority, rule, timed } = *about;
    let by_wall_clock = consent(standing, now.wall) == Consent::Unclear
        || timed
        || category == Category::Service
        || settings.hours.bind(category, priority, rule);
    if by_wall_clock && now.wall.trusted().is_none() && priority != Priority::Critical {
        return Some((Reason::ClockUnsynced, None));
    }
    if let Some(until) = settings.hours.until(category, priority, rule, now) {
        return Some((Reason::QuietHours, Some(until)));
    }
    let protected = standing.not_before.filter(|until| category == Category::Marketing && now.boxed < *until);
    protected.map(|until| (Reason::PlatformCap, Some(until)))
}

/// The first thing that forbids it, in the order of the contract.
fn withheld(purpose: &str, category: Category, standing: &Standing, now: Moment) -> Option<Reason> {
    // Who wrote a stop word is told, once, that it counts: in the window that it opened.
    let consent = if purpose == FAREWELL { Consent::Granted } else { consent(standing, now.wall) };
    if consent == Consent::Revoked {
        Some(Reason::ConsentRevoked)
    } else if category == Category::Marketing && standing.marketing_stopped {
        Some(Reason::MarketingStopped)
    } else if standing.undeliverable_until.is_some_and(|until| now.boxed < until) {
        Some(Reason::Undeliverable)
    } else if consent == Consent::None {
        Some(Reason::NoConsent)
    } else if consent == Consent::Expired {
        Some(Reason::ConsentExpired)
    } else if category == Category::Service && surely_closed(standing, now) {
        Some(Reason::WindowClosed)
    } else {
        None
    }
}

/// A person who never wrote has no window, whatever the clock says.
fn surely_closed(standing: &Standing, now: Moment) -> bool {
    standing.window.is_none_or(|window| window.is_open(now, Duration::ZERO) == Some(false))
}
