//! Whether a person may be messaged: consent, suppression by the platform, the service window, quiet hours.
//!
//! Floor: rooms. Decides from what the ledger says ([`Standing`], filled by `outbox`) and never reads or writes it.
//!
//! Asked twice: [`permit`] when a message is stored, [`confirm`] in the instant of sending. What withholds, in this
//! order: a revocation, the person's stop of marketing, a person who cannot be reached, consent that is missing or has
//! run out, a closed window. The first that holds is the reason that is told. What nothing withholds may have to wait: for
//! the time of day where nobody vouches for it, then for the end of [`Hours`], then for the platform.

mod decide;
mod hours;
mod ledger;
mod settings;
#[cfg(test)]
mod tests;
mod unknown;
mod words;

pub use decide::{About, Verdict, confirm, permit, waits};
pub use hours::{Hours, Quiet};
pub use ledger::{Refusal, STATED, grant, no_longer_stated, opt_in, revoke, start, stated, stop};
pub use settings::*;
pub use unknown::{Next, after_unknown};
pub use words::{Wish, farewell, wish};

use crate::message::{GrantFact, Standing};
use crate::time::Clock;

/// What the ledger says about consent, at one reading of the clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Consent {
    None,
    Revoked,
    Expired,
    /// Granted, with an end that no trusted clock can compare.
    Unclear,
    Granted,
}

fn consent(standing: &Standing, wall: Clock) -> Consent {
    match standing.grant {
        _ if standing.is_revoked() => Consent::Revoked,
        None => Consent::None,
        Some(GrantFact { expires: None, .. }) => Consent::Granted,
        Some(GrantFact { expires: Some(end), .. }) => match wall.trusted() {
            Some(now) if end <= now => Consent::Expired,
            Some(_) => Consent::Granted,
            None => Consent::Unclear,
        },
    }
}

/// What consent comes to now, for people: `None` if messages may be sent, otherwise why not.
pub fn consent_now(standing: &Standing, now: crate::time::Moment) -> Option<crate::message::Reason> {
    use crate::message::Reason;
    match consent(standing, now.wall) {
        Consent::None => Some(Reason::NoConsent),
        Consent::Revoked => Some(Reason::ConsentRevoked),
        Consent::Expired => Some(Reason::ConsentExpired),
        Consent::Unclear | Consent::Granted => None,
    }
}
