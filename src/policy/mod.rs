//! Whether a person may be messaged: consent, suppression by the platform, the service window.
//!
//! Floor: rooms. Decides from what the ledger says ([`Standing`], filled by `outbox`) and never reads or writes it.
//!
//! Asked twice: [`permit`] when a message is stored, [`confirm`] in the instant of sending. What withholds, in this
//! order: a revocation, the person's stop of marketing, a person who cannot be reached, consent that is missing or has
//! run out, a closed window. The first that holds is the reason that is told.

mod consent;
mod decide;
mod settings;
mod unknown;

pub use consent::{ALL, Act, LedgerEntry, Refusal, grant, opt_in, revoke, stated};
pub use decide::{Verdict, confirm, permit};
pub use settings::*;
pub use unknown::{Next, after_unknown};

use crate::time::{BoxTime, Clock, Wall};

/// The latest grant of one purpose by one person.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GrantFact {
    /// When it was given; `None` if no clock could be trusted then.
    pub at: Option<Wall>,
    /// When it ends; `None`: it does not, or its beginning is not known.
    pub expires: Option<Wall>,
    /// Its place in the ledger.
    pub seq: i64,
}

/// What the ledger holds about one person and one purpose, and what hangs on the person.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Standing {
    /// The latest grant of this purpose.
    pub grant: Option<GrantFact>,
    /// The place in the ledger of the latest revocation of this purpose or of everything.
    pub revoked: Option<i64>,
    /// The person told the platform to stop marketing (131050).
    pub marketing_stopped: bool,
    /// The platform said that the person is not on WhatsApp: no try before this.
    pub undeliverable_until: Option<BoxTime>,
    /// The platform withheld marketing to protect the person (131049): none before this.
    pub not_before: Option<BoxTime>,
    /// When the 24-hour service window closes; `None`: the person never wrote.
    pub window_until: Option<Wall>,
}

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

impl Standing {
    fn consent(&self, wall: Clock) -> Consent {
        match (self.grant, self.revoked) {
            // Equal places do not occur in one ledger; if they did, the revocation would win.
            (Some(grant), Some(revoked)) if revoked >= grant.seq => Consent::Revoked,
            (None, Some(_)) => Consent::Revoked,
            (None, None) => Consent::None,
            (Some(GrantFact { expires: None, .. }), _) => Consent::Granted,
            (Some(GrantFact { expires: Some(end), .. }), _) => match wall.trusted() {
                Some(now) if end <= now => Consent::Expired,
                Some(_) => Consent::Granted,
                None => Consent::Unclear,
            },
        }
    }
}
