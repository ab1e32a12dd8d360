//! The platform's error codes: one table (facts 3.3), one row per code or run of codes.
//!
//! Floor: rooms. Says what a code means; what follows from its class is in [`read`](mod@super::read). To add a code: a row here and a row in
//! `tests::every_code`, written from the platform's page and not from this file.

use super::verdict::{BackOffClass, Lift};
use crate::message::Reason;
use std::time::Duration;

/// What a code asks for (facts 3.2). Whatever is kept waits on this box.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// Refused, not sent: kept, and the sender number backs off.
    Number(BackOffClass),
    /// Refused, not sent: kept, and the whole account backs off.
    App,
    /// Refused, not sent: kept, and this person's messages back off.
    Pair,
    /// May have been sent.
    Unsure,
    /// May have been sent; may be repeated once at the most.
    UnsureOnce,
    /// May have been sent, and the sender number backs off.
    UnsureAndWait(BackOffClass),
    /// Refused, not sent: kept, and the number stops.
    StopNumber(Lift),
    /// Refused, not sent: kept, and everything on the account stops.
    StopAccount(Lift),
    /// Refused, not sent: kept, and the number rests for so long.
    Rest(Duration),
    /// Refused, not sent: kept, and this template waits: so long, or until an operator lifts it.
    Template(Option<Duration>),
    /// Refused for good, and this template waits until an operator lifts it: each further message would fail alike.
    DeadTemplate,
    /// Refused, not sent: kept, and all templates wait for so long.
    AllTemplates(Duration),
    /// Refused for good.
    Dead,
    /// Refused for good, and somebody should look at it.
    DeadLoud,
    /// Refused for good, like every message to that country.
    Country,
    /// Refused for good: the person cannot be reached on WhatsApp.
    Unreachable,
    /// Refused for good: nothing of this category to this person for so long.
    NotBefore(Duration),
    /// Refused for good: the person wants no marketing.
    NoMarketing,
    /// Refused for good: the person's service window is closed.
    Window,
    /// Kept until somebody confirmed who the person is.
    Identity,
    /// Belongs to administration, not to sends: refused for good and told.
    Admin,
}

/// What the table holds on a code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// What it asks for.
    pub class: Class,
    /// As people read it.
    pub reason: Reason,
    /// What it means and what to do, for a person.
    pub hint: &'static str,
}

const fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

const fn hours(count: u64) -> Duration {
    minutes(60 * count)
}

/// The row of a code; `None` for codes that this version does not know.
#[rustfmt::skip] // one row, one line: a table
pub fn row(code: i64) -> Option<Row> {
    use BackOffClass as Wait;
    use Class::*;
    use Lift::{Operator, Token};
    let (class, reason, hint) = match code {
        // The token and what it may do.
        0 | 104 | 190 => (StopAccount(Token), Reason::TokenInvalid, "the token is missing, expired or invalid: replace the token file"),
        3 | 10 => (StopAccount(Token), Reason::PermissionMissing, "the token lacks a permission: grant it and replace the token file"),
        200..=299 => (StopAccount(Token), Reason::PermissionMissing, "the token lacks a permission, or none was sent: replace the token file"),
        131005 => (StopAccount(Token), Reason::PermissionMissing, "access denied: give the system user access to the account"),

        // The account and the number.
        368 => (StopAccount(Operator), Reason::PolicyRestricted, "the account is restricted for a policy violation: see Business Manager"),
        131031 => (StopAccount(Operator), Reason::AccountLocked, "the account is locked: see Business Manager"),
        131042 | 131044 => (StopAccount(Operator), Reason::PaymentMissing, "payment is missing: see the account's billing"),
        33 => (StopNumber(Operator), Reason::NumberUnusable, "the sender number was deleted"),
        131037 => (StopNumber(Operator), Reason::NumberUnusable, "the sender number's display name needs approval"),
        131045 => (StopNumber(Operator), Reason::NumberUnusable, "the sender number's registration failed: register it again"),
        133006 => (StopNumber(Operator), Reason::NumberUnusable, "the sender number must be verified again"),
        133010 => (StopNumber(Operator), Reason::NumberUnusable, "the sender number is not registered"),
        // Retrying worsens it, "for hours": a quarter of a day, as long as the platform's longest pause that lifts by itself.
        131048 => (Rest(hours(6)), Reason::SpamRestricted, "the platform restricts the sender number for spam: see its quality"),

        // Too fast: refused before anything was sent.
        4 => (App, Reason::AppLimit, "the application makes too many calls"),
        613 | 80007 => (App, Reason::AppLimit, "the account makes too many calls"),
        130429 => (Number(Wait::Number), Reason::NumberLimit, "the sender number sends too fast"),
        131056 => (Pair, Reason::PlatformPairLimit, "too many messages to this person in a short time"),

        // Faults of the platform: perhaps sent all the same.
        1 => (UnsureOnce, Reason::PlatformFault, "a bad request or a fault of the platform"),
        131000 => (Unsure, Reason::PlatformFault, "the platform failed and does not say why"),
        2 | 131016 | 133004 => (UnsureAndWait(Wait::Service), Reason::PlatformFault, "the platform is overloaded or down"),
        // The facts' own class is to back off; another client counts them among the possibly sent. Both are honoured.
        131057 | 2494100 => (UnsureAndWait(Wait::Maintenance), Reason::NumberMaintenance, "the sender number is in maintenance"),

        // The request.
        100 => (DeadLoud, Reason::RequestInvalid, "the request holds something that the platform does not know or take"),
        131008 => (DeadLoud, Reason::RequestInvalid, "the request lacks something: please report this as a bug"),
        131009 | 135000 => (Dead, Reason::ParameterInvalid, "a value is not what the platform takes"),
        131021 => (Dead, Reason::RecipientIsSender, "the recipient is the sender number itself"),
        131030 => (DeadLoud, Reason::RecipientNotAllowed, "a test number reaches only the recipients on its list: add this one there"),
        130403 => (Dead, Reason::UserBlocked, "this business blocked the person"),
        131051 => (Dead, Reason::TypeUnsupported, "the platform does not take this type of message"),
        131062 => (Dead, Reason::TypeUnsupported, "this type of message cannot go to a user id"),
        139200 => (DeadLoud, Reason::TypeUnsupported, "messages without a template are blocked for this account: use templates"),
        131053 => (Dead, Reason::MediaUnusable, "the platform could not use the picture, video or document"),
        134011 => (DeadLoud, Reason::PaymentMissing, "the payment terms are not accepted: see the account's billing"),

        // The person.
        131026 => (Unreachable, Reason::Undeliverable, "not on WhatsApp, terms not accepted, or an old app"),
        130472 => (Dead, Reason::Experiment, "the person is in an experiment of the platform"),
        131047 => (Window, Reason::WindowClosed, "the person did not write within 24 hours: only a template may be sent"),
        131049 => (NotBefore(hours(24)), Reason::PlatformCap, "the platform withheld it: too much marketing to this person"),
        131050 => (NoMarketing, Reason::MarketingStopped, "the person told the platform to stop marketing"),
        137000 => (Identity, Reason::IdentityChanged, "the person's phone or account changed: confirm who it is"),
        130497 => (Country, Reason::CountryRestricted, "the platform closes the recipient's country to this business"),

        // The template.
        132000 => (DeadTemplate, Reason::TemplateParameters, "the template takes another number of parameters: fetch templates.json again"),
        132001 => (Template(None), Reason::TemplateMissing, "the template does not exist in this language or is not approved"),
        132005 => (Dead, Reason::TextTooLong, "the filled-in text is too long"),
        132007 => (Template(None), Reason::TemplatePolicy, "the template's content breaks the platform's policy"),
        132008 | 132012 | 132018 => (Dead, Reason::TemplateParameters, "a parameter's value is not what the template takes"),
        // A first pause lasts 3 hours (facts 2.5); a refused try costs nothing and does not count.
        132015 => (Template(Some(hours(3))), Reason::TemplatePausedByPlatform, "the platform paused the template for low quality"),
        132016 => (Template(None), Reason::TemplateDisabled, "the platform disabled the template for good: make a new one"),
        132068 => (Template(None), Reason::FlowHeld, "the template's Flow is blocked"),
        132069 => (Template(Some(hours(1))), Reason::FlowHeld, "the template's Flow is throttled"),
        // It lifts by itself; nobody says when: one try an hour.
        131064 => (AllTemplates(hours(1)), Reason::Misclassified, "templates are limited after a misclassification: check their categories"),
        131055 | 131063 | 134100 => (DeadLoud, Reason::MarketingEndpoint, "this account or template takes marketing by another endpoint only"),
        134101 => (Template(Some(minutes(10))), Reason::MarketingEndpoint, "the template is still being made ready"),
        134102 => (Template(None), Reason::MarketingEndpoint, "the template cannot be used for marketing"),

        // Administration: registration, media and paging, calling, Flows, block list, insights, template authoring, migration.
        131052 | 131059 | 131060 | 133000 | 133005 | 133008 | 133009 | 133015 | 133016 | 136024
        | 138000..=138999 | 139000..=139004 | 139100..=139103 | 200005..=200007
        | 2388001 | 2388012 | 2388019 | 2388039 | 2388040 | 2388047 | 2388072 | 2388073 | 2388091 | 2388093 | 2388103
        | 2388293 | 2388299 | 2388318 | 2388330
        | 1752041 | 2593079 | 2593085 | 2593107 | 2593108 => (Admin, Reason::UnknownCode, "a code of administration, not of sends: please report it"),
        _ => return None,
    };
    Some(Row { class, reason, hint })
}
