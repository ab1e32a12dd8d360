//! What may be written into the ledger, and by whom.
//!
//! Floor: rooms. Only an operator's grant with `after_revocation` lifts a revocation; no event and no configuration does.

use super::{Consent, Settings, consent};
use crate::message::{ALL, LedgerAction, LedgerEntry, START_WORD, STOP_WORD, Standing};
use crate::operate::Grant;
use crate::time::{Moment, Wall};

/// The source of consent that the configuration states.
pub const STATED: &str = "configuration";

/// Why an operator's order is not carried out.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// Not in the configuration.
    #[error("the configuration has no purpose \"{purpose}\"; {hint}")]
    UnknownPurpose {
        /// As typed.
        purpose: String,
        /// What to type instead.
        hint: String,
    },
    /// Consent is given for a purpose.
    #[error("\"all\" can be revoked, not granted: name the purpose that the person agreed to; {hint}")]
    GrantAll {
        /// The purposes there are.
        hint: String,
    },
    /// The person took it back.
    #[error(
        "this person took back the consent for \"{purpose}\": only if the person asked for it again, repeat the command with --after-revocation"
    )]
    Revoked {
        /// The purpose.
        purpose: String,
    },
    /// Consent needs a proof.
    #[error("nothing says where the consent was given: add --source, for example --source \"form 2026-03, till 4\"")]
    NoSource,
    /// It would be over before it began.
    #[error("the consent would have ended on {}: give a later --expires, or none", .ended.rfc3339())]
    AlreadyEnded {
        /// The end as typed.
        ended: Wall,
    },
}

/// What an event's `opt_in` or a rule's `grants` adds to the ledger: a grant, where it holds nothing or a grant that has
/// run out or whose beginning is not known. Never lifts a revocation. `source` names the rule.
pub fn opt_in(
    settings: &Settings,
    standing: &Standing,
    purpose: &str,
    source: &str,
    now: Moment,
) -> Option<LedgerEntry> {
    let missing = match consent(standing, now.wall) {
        Consent::None | Consent::Expired => true,
        // Given while no clock could be trusted: written again with its time, so that it can end.
        Consent::Granted => {
            let lasts = settings.purposes.get(purpose).is_some_and(|known| known.expires.is_some());
            let undated = standing.grant.is_some_and(|grant| grant.at.is_none() && grant.expires.is_none());
            lasts && undated && now.wall.trusted().is_some()
        }
        Consent::Revoked | Consent::Unclear => false,
    };
    missing.then(|| granted(settings, purpose, source, None, None, now))
}

/// What a contact whose consent the configuration states adds to the ledger: the same as [`opt_in`], recorded once.
pub fn stated(settings: &Settings, standing: &Standing, purpose: &str, now: Moment) -> Option<LedgerEntry> {
    opt_in(settings, standing, purpose, STATED, now)
}

/// What the ledger gets when the configuration states a consent no more: the grant that it stated ends now. Nothing where the last word
/// is somebody else's, or has ended; nor without a trusted clock.
pub fn no_longer_stated(standing: &Standing, last: &LedgerEntry, now: Moment) -> Option<LedgerEntry> {
    let at = now.wall.trusted()?;
    // A line behind a revocation would lift it, whatever it says.
    let holds = consent(standing, now.wall) == Consent::Granted;
    let stated = last.action == LedgerAction::Grant && last.source == STATED;
    (holds && stated).then(|| LedgerEntry {
        source: format!("{STATED}: no longer a member"),
        expires: Some(at),
        ..last.clone()
    })
}

/// What an operator's `consent grant` adds to the ledger. The number of the order is not looked at.
pub fn grant(settings: &Settings, standing: &Standing, order: &Grant, now: Moment) -> Result<LedgerEntry, Refusal> {
    if order.purpose == ALL {
        return Err(Refusal::GrantAll { hint: purposes(settings) });
    }
    known(settings, &order.purpose)?;
    if order.source.trim().is_empty() {
        return Err(Refusal::NoSource);
    }
    if consent(standing, now.wall) == Consent::Revoked && !order.after_revocation {
        return Err(Refusal::Revoked { purpose: order.purpose.clone() });
    }
    if let (Some(ended), Some(now)) = (order.expires, now.wall.trusted())
        && ended <= now
    {
        return Err(Refusal::AlreadyEnded { ended });
    }
    Ok(granted(settings, &order.purpose, &order.source, order.wording.as_deref(), order.expires, now))
}

/// What a revocation adds to the ledger, by an operator or by a rule's `revokes`: of one purpose, or of everything.
///
/// Always written, also where nothing was granted: it is what the person said.
pub fn revoke(settings: &Settings, purpose: Option<&str>, source: &str) -> Result<LedgerEntry, Refusal> {
    let purpose = purpose.unwrap_or(ALL);
    if purpose != ALL {
        known(settings, purpose)?;
    }
    Ok(LedgerEntry {
        purpose: purpose.to_owned(),
        action: LedgerAction::Revoke,
        source: source.to_owned(),
        wording: String::new(),
        expires: None,
    })
}

/// The line of a person who wrote a stop word: everything is taken back.
pub fn stop() -> LedgerEntry {
    written(LedgerAction::Revoke, STOP_WORD)
}

/// The line of a person who wrote a start word: what stop words took is given back, and nothing else.
pub fn start() -> LedgerEntry {
    written(LedgerAction::Grant, START_WORD)
}

fn written(action: LedgerAction, source: &str) -> LedgerEntry {
    let source = source.to_owned();
    LedgerEntry { purpose: ALL.to_owned(), action, source, wording: String::new(), expires: None }
}

fn granted(
    settings: &Settings,
    purpose: &str,
    source: &str,
    wording: Option<&str>,
    expires: Option<Wall>,
    now: Moment,
) -> LedgerEntry {
    let known = settings.purposes.get(purpose);
    // Without a trusted clock there is no end yet: one counted from 1970 would be over as soon as the clock is right. The store
    // adds it with the date.
    let own_end = || Some(now.wall.trusted()? + known?.expires?);
    LedgerEntry {
        purpose: purpose.to_owned(),
        action: LedgerAction::Grant,
        source: source.to_owned(),
        wording: wording.or(known.map(|known| known.wording.as_str())).unwrap_or_default().to_owned(),
        expires: expires.or_else(own_end),
    }
}

fn known(settings: &Settings, purpose: &str) -> Result<(), Refusal> {
    if settings.purposes.contains_key(purpose) || settings.stated.contains(purpose) {
        return Ok(());
    }
    // Jaro-Winkler of 0.8 forgives a slip of the finger and does not offer another word.
    let nearest = (settings.purposes.keys())
        .map(|name| (strsim::jaro_winkler(name, purpose), name))
        .filter(|(likeness, _)| *likeness >= 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let hint = match nearest {
        Some((_, name)) => format!("did you mean \"{name}\"?"),
        None => purposes(settings),
    };
    Err(Refusal::UnknownPurpose { purpose: purpose.to_owned(), hint })
}

fn purposes(settings: &Settings) -> String {
    if settings.purposes.is_empty() {
        return "there is none yet: add a section [purposes.NAME]".to_owned();
    }
    let names: Vec<&str> = settings.purposes.keys().map(String::as_str).collect();
    format!("there are: {}", names.join(", "))
}
