//! The platform's refusals: code, HTTP status, title and the body in the documented shape (facts 3.1, 3.3).
//!
//! Floor: demo. A second reading of the facts, apart from the daemon's own table on purpose.

use serde_json::{Value, json};

/// Code, HTTP status (Meta's table of December 2025; where it lists none, 400), title.
const TABLE: &[(i64, u16, &str)] = &[
    (0, 401, "AuthException"),
    (1, 400, "API Unknown"),
    (2, 503, "API Service"),
    (3, 500, "API Method"),
    (4, 400, "API Too Many Calls"),
    (10, 403, "Permission Denied"),
    (33, 400, "Parameter value is not valid"),
    (100, 400, "Invalid parameter"),
    (104, 401, "Access token missing"),
    (190, 401, "Access token has expired"),
    (200, 403, "API Permission"),
    (368, 403, "Temporarily blocked for policies violations"),
    (613, 400, "Calls to this API have exceeded the rate limit"),
    (80007, 400, "Rate limit issues"),
    (130403, 400, "Business has blocked the user"),
    (130429, 400, "Rate limit hit"),
    (130472, 400, "User's number is part of an experiment"),
    (130497, 403, "Business account is restricted from messaging users in this country."),
    (131000, 500, "Something went wrong"),
    (131005, 403, "Access denied"),
    (131008, 400, "Required parameter is missing"),
    (131009, 400, "Parameter value is not valid"),
    (131016, 500, "Service unavailable"),
    (131021, 400, "Recipient cannot be sender"),
    (131026, 400, "Message Undeliverable"),
    (131030, 400, "Recipient phone number not in allowed list"),
    (131031, 403, "Account has been locked"),
    (131037, 400, "WhatsApp provided number needs display name approval before message can be sent."),
    (131042, 400, "Business eligibility payment issue"),
    (131045, 500, "Incorrect certificate"),
    (131047, 400, "Re-engagement message"),
    (131048, 400, "Spam rate limit hit"),
    (131049, 400, "Meta chose not to deliver."),
    (131050, 400, "User has stopped receipt of marketing messages."),
    (131051, 400, "Unsupported message type"),
    (131052, 400, "Media download error"),
    (131053, 400, "Media upload error"),
    (131055, 400, "Method not allowed"),
    (131056, 400, "(Business Account, Consumer Account) pair rate limit hit"),
    (131057, 500, "Account in maintenance mode"),
    (131059, 400, "Invalid paging cursor"),
    (131062, 400, "Business-scoped User ID recipients are not supported for this message"),
    (131063, 400, "Marketing templates are not available on Cloud API"),
    (131064, 400, "Messaging limit due to template misclassification"),
    (132000, 400, "Template Param Count Mismatch"),
    (132001, 404, "Template does not exist"),
    (132005, 400, "Template Hydrated Text Too Long"),
    (132007, 400, "Template Format Character Policy Violated"),
    (132008, 400, "Template parameter value is not valid"),
    (132012, 400, "Template Parameter Format Mismatch"),
    (132015, 400, "Template is Paused"),
    (132016, 400, "Template is Disabled"),
    (132018, 400, "Template parameters are not valid"),
    (132068, 400, "Flow is blocked"),
    (132069, 400, "Flow is throttled"),
    (133000, 500, "Incomplete Deregistration"),
    (133004, 503, "Server Temporarily Unavailable"),
    (133005, 400, "Two step verification PIN Mismatch"),
    (133006, 400, "Phone number re-verification needed"),
    (133008, 400, "Too Many two step verification PIN Guesses"),
    (133009, 400, "Two step verification PIN Guessed Too Fast"),
    (133010, 400, "Phone number Not Registered"),
    (133015, 400, "Please wait a few minutes before attempting to register this phone number"),
    (133016, 400, "Account register deregister rate limit exceeded"),
    (134011, 400, "WhatsApp Payments terms of service has not been accepted"),
    (134100, 400, "Only marketing messages supported"),
    (134101, 400, "Your template is still syncing"),
    (134102, 500, "Template unavailable for use"),
    (135000, 400, "Generic user error"),
    (137000, 400, "Recipient identity key hash mismatch"),
    (139200, 400, "Direct Send access blocked"),
    (2494100, 400, "Phone number in maintenance mode"),
];

/// Why a request is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Refusal {
    pub(super) code: i64,
    subcode: Option<i64>,
    kind: &'static str,
    details: String,
}

impl Refusal {
    /// A refusal by the platform's code. A code that the table does not have gets status 400.
    pub(super) fn new(code: i64, details: impl Into<String>) -> Refusal {
        Refusal { code, subcode: None, kind: "OAuthException", details: details.into() }
    }

    /// The Graph API's answer for an object that does not exist, that the token may not see, or that cannot do this.
    pub(super) fn no_such_object() -> Refusal {
        let details = "the object of this path does not exist, cannot be loaded due to missing permissions, or does not \
                       support this operation";
        Refusal { subcode: Some(33), kind: "GraphMethodException", ..Refusal::new(100, details) }
    }

    /// The Graph API's answer to a call that has no right `appsecret_proof`.
    pub(super) fn no_proof(details: &str) -> Refusal {
        Refusal { kind: "GraphMethodException", ..Refusal::new(100, details) }
    }

    /// The same with a subcode: no longer documented for messages, still seen, and part of the Graph API's token errors.
    pub(super) fn with_subcode(self, subcode: i64) -> Refusal {
        Refusal { subcode: Some(subcode), ..self }
    }

    pub(super) fn details(&self) -> &str {
        &self.details
    }

    /// The HTTP status that goes with the code.
    pub(super) fn status(&self) -> u16 {
        row(self.code).map_or(400, |row| row.1)
    }

    /// The body in the documented shape.
    pub(super) fn body(&self, trace: u64) -> Value {
        let mut error = json!({
            "message": format!("(#{}) {}", self.code, title(self.code)),
            "type": self.kind,
            "code": self.code,
            "error_data": { "messaging_product": "whatsapp", "details": self.details },
            "fbtrace_id": format!("A{trace:022x}"),
        });
        if let Some(subcode) = self.subcode {
            error["error_subcode"] = subcode.into();
        }
        json!({ "error": error })
    }
}

/// What the platform calls a code, in answers and webhooks alike.
pub(super) fn title(code: i64) -> &'static str {
    row(code).map_or("Error", |row| row.2)
}

fn row(code: i64) -> Option<&'static (i64, u16, &'static str)> {
    // One row stands for all permissions (facts 3.3).
    let code = if (200..=299).contains(&code) { 200 } else { code };
    TABLE.iter().find(|row| row.0 == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_has_the_documented_shape() {
        let body = Refusal::new(131056, "too many").body(1);
        assert_eq!(
            body,
            json!({ "error": {
                "message": "(#131056) (Business Account, Consumer Account) pair rate limit hit",
                "type": "OAuthException",
                "code": 131056,
                "error_data": { "messaging_product": "whatsapp", "details": "too many" },
                "fbtrace_id": "A0000000000000000000001",
            }})
        );
    }

    #[test]
    fn every_permission_is_forbidden() {
        for code in [200, 210, 299] {
            assert_eq!((Refusal::new(code, "").status(), title(code)), (403, "API Permission"), "{code}");
        }
        assert_eq!(Refusal::new(300, "").status(), 400);
    }

    #[test]
    fn each_code_has_one_row() {
        for pair in TABLE.windows(2) {
            assert!(pair[0].0 < pair[1].0, "{} and {} are out of order", pair[0].0, pair[1].0);
        }
    }
}
