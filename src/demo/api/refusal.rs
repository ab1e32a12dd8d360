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
    (200, 403, "Permission missing"),
    (368, 403, "Temporarily blocked for policies violations"),
    (613, 400, "Calls to this API have exceeded the rate limit"),
    (80007, 400, "Rate limit issues"),
    (130429, 400, "Rate limit hit"),
    (130472, 400, "User's number is part of an experiment"),
    (130497, 403, "Business account is restricted from messaging users in this country"),
    (131000, 500, "Something went wrong"),
    (131005, 403, "Access denied"),
    (131008, 400, "Required parameter is missing"),
    (131009, 400, "Parameter value is not valid"),
    (131016, 500, "Service unavailable"),
    (131021, 400, "Recipient cannot be sender"),
    (131026, 400, "Message undeliverable"),
    (131030, 400, "Recipient phone number not in allowed list"),
    (131031, 403, "Account has been locked"),
    (131037, 400, "WhatsApp provided number needs display name approval before message can be sent"),
    (131042, 400, "Business eligibility payment issue"),
    (131045, 500, "Incorrect certificate"),
    (131047, 400, "Re-engagement message"),
    (131048, 400, "Spam rate limit hit"),
    (131049, 400, "This message was not delivered to maintain healthy ecosystem engagement"),
    (131050, 400, "User has stopped marketing messages"),
    (131051, 400, "Unsupported message type"),
    (131052, 400, "Media download error"),
    (131053, 400, "Media upload error"),
    (131055, 400, "Method not allowed"),
    (131056, 400, "(Business Account, Consumer Account) pair rate limit hit"),
    (131057, 500, "Account in maintenance mode"),
    (132000, 400, "Template Param Count Mismatch"),
    (132001, 404, "Template does not exist"),
    (132005, 400, "Template Hydrated Text Too Long"),
    (132007, 400, "Template Format Character Policy Violated"),
    (132012, 400, "Template Parameter Format Mismatch"),
    (132015, 400, "Template is Paused"),
    (132016, 400, "Template is Disabled"),
    (132018, 400, "Template parameters are not valid"),
    (132068, 400, "Flow is in blocked state"),
    (132069, 400, "Flow is in throttled state"),
    (133000, 500, "Incomplete Deregistration"),
    (133004, 503, "Server Temporarily Unavailable"),
    (133010, 400, "Phone number not registered"),
    (134011, 400, "WhatsApp Pay terms not accepted"),
    (134100, 400, "Only marketing messages supported"),
    (134101, 400, "Template is still syncing"),
    (134102, 500, "Template unavailable"),
    (135000, 400, "Generic user error"),
];

/// Why a request is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Refusal {
    pub(super) code: i64,
    subcode: Option<i64>,
    details: String,
}

impl Refusal {
    /// A refusal by the platform's code. A code that the table does not have gets status 400.
    pub(super) fn new(code: i64, details: impl Into<String>) -> Refusal {
        Refusal { code, subcode: None, details: details.into() }
    }

    /// The Graph API's answer for an object that does not exist or that the token may not see.
    pub(super) fn no_such_object() -> Refusal {
        Refusal { subcode: Some(33), ..Refusal::new(100, "the object of this path does not exist, or no permission") }
    }

    /// The HTTP status that goes with the code.
    pub(super) fn status(&self) -> u16 {
        TABLE.iter().find(|row| row.0 == self.code).map_or(400, |row| row.1)
    }

    /// The body in the documented shape.
    pub(super) fn body(&self, trace: u64) -> Value {
        let title = TABLE.iter().find(|row| row.0 == self.code).map_or("Error", |row| row.2);
        let mut error = json!({
            "message": format!("(#{}) {title}", self.code),
            "type": "OAuthException",
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
    fn each_code_has_one_row() {
        for pair in TABLE.windows(2) {
            assert!(pair[0].0 < pair[1].0, "{} and {} are out of order", pair[0].0, pair[1].0);
        }
    }
}
