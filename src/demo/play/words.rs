//! People and reasons as one says them.
//!
//! Floor: beside the roof. Never a whole number.

use super::watch::person;

/// `Beatriz +55…42`
pub(super) fn who(masked: Option<&str>) -> String {
    let masked = masked.unwrap_or("nobody");
    person(masked).map_or_else(|| masked.to_owned(), |person| format!("{} {masked}", person.name))
}

/// A reason as one says it, with its code.
pub(super) fn in_words(code: &str) -> String {
    let words = match code {
        "no-consent" => "never agreed to messages about orders",
        "consent-revoked" => "wrote STOP; an opt_in from the till does not lift that",
        "superseded" => "a newer message about the same order takes its place",
        "payload-unreadable" => "the payload is no JSON; recorded, and nothing behind it waits",
        "duplicate" => "known already: nobody is messaged twice",
        "when-false" => "the rule wants a total above 0: nobody is messaged",
        "not-repeated" | "connection-lost" | "no-answer" => "nobody knows whether it arrived",
        "template-failed" => "a text of the rule needs what the event lacks; the daemon's log says what",
        "number-unreadable" => "the recipient is no phone number",
        _ => return code.to_owned(),
    };
    format!("{words} ({code})")
}
