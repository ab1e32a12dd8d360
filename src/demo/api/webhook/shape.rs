//! Bodies as the platform writes them (facts 4.2, 4.3, 4.5).
//!
//! Floor: demo. A second reading of the facts, apart from the daemon's own.

use super::super::access::signed;
use super::super::message::user_id;
use super::super::refusal::title;
use super::Report;
use super::plan::Stands;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;

const HREF: &str = "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/";

/// A message whose standing is told.
pub(super) struct Message<'a> {
    pub(super) wamid: &'a str,
    /// The wa_id, or the user id.
    pub(super) recipient: &'a str,
    /// Why it failed.
    pub(super) details: &'a str,
    pub(super) data: Option<&'a str>,
    pub(super) category: &'a str,
}

impl Message<'_> {
    /// One entry of `statuses`. `conversation` is left out, as since v24.0.
    pub(super) fn status(&self, stands: &Stands, charged: bool, at: Timestamp) -> Report {
        let name = match stands {
            Stands::Sent => "sent",
            Stands::Delivered => "delivered",
            Stands::Read => "read",
            Stands::Failed(_) => "failed",
        };
        let mut status = json!({ "id": self.wamid, "status": name, "timestamp": stamp(at) });
        status[if user_id(self.recipient) { "recipient_user_id" } else { "recipient_id" }] = self.recipient.into();
        if let Some(data) = self.data {
            status["biz_opaque_callback_data"] = data.into();
        }
        if charged {
            let free = self.category == "service";
            status["pricing"] = json!({
                "billable": !free,
                "pricing_model": "PMP",
                "type": if free { "free_customer_service" } else { "regular" },
                "category": self.category,
            });
        }
        let Stands::Failed(code) = stands else {
            return Report::Status { status, contact: Some(contact(self.recipient, "Sandbox")) };
        };
        let (title, details) = (title(*code), if self.details.is_empty() { TOLD } else { self.details });
        status["errors"] = json!([{
            "code": code, "title": title, "message": title, "error_data": { "details": details }, "href": HREF,
        }]);
        Report::Status { status, contact: None }
    }
}

/// Why a message failed that no rule failed.
const TOLD: &str = "as the simulator was told";

/// An entry of `contacts`: by wa_id, or by user id where no number is known (facts 4.3).
pub(super) fn contact(person: &str, name: &str) -> Value {
    let member = if user_id(person) { "user_id" } else { "wa_id" };
    json!({ "profile": { "name": name }, member: person })
}

/// Seconds as a text: messages and statuses have them so.
pub(super) fn stamp(at: Timestamp) -> String {
    at.as_second().to_string()
}

/// The number that reports.
pub(super) struct Sender<'a> {
    /// The WhatsApp Business Account.
    pub(super) account: &'a str,
    pub(super) phone_number_id: &'a str,
    /// Digits.
    pub(super) own_number: &'a str,
}

impl Sender<'_> {
    /// The body for some reports. `together`: statuses share one `value`, else each has its own change.
    pub(super) fn body(&self, reports: &[Report], together: bool, now: Timestamp) -> Value {
        let (mut messages, mut entries) = (Vec::new(), Vec::new());
        let (mut statuses, mut contacts) = (Vec::new(), Vec::new());
        for report in reports {
            match report {
                Report::Status { status, contact } => {
                    // Those of a failed one have no contact, so they stand alone.
                    if together && contact.is_some() {
                        statuses.push(status.clone());
                        let contact = contact.clone().unwrap_or_default();
                        if !contacts.contains(&contact) {
                            contacts.push(contact);
                        }
                    } else {
                        messages.push(self.change(contact.iter().cloned().collect(), "statuses", vec![status.clone()]));
                    }
                }
                Report::Message { message, contact } => {
                    messages.push(self.change(contact.iter().cloned().collect(), "messages", vec![message.clone()]));
                }
                Report::Field(field, value) => {
                    let change = json!({ "field": field, "value": self.about(field, value) });
                    entries.push(json!({ "id": self.account, "time": now.as_second(), "changes": [change] }));
                }
            }
        }
        if !statuses.is_empty() {
            messages.push(self.change(contacts, "statuses", statuses));
        }
        if !messages.is_empty() {
            entries.insert(0, json!({ "id": self.account, "changes": messages }));
        }
        json!({ "object": "whatsapp_business_account", "entry": entries })
    }

    fn change(&self, contacts: Vec<Value>, what: &str, list: Vec<Value>) -> Value {
        let mut value = self.value();
        if !contacts.is_empty() {
            value["contacts"] = contacts.into();
        }
        value[what] = list.into();
        json!({ "field": "messages", "value": value })
    }

    fn value(&self) -> Value {
        json!({
            "messaging_product": "whatsapp",
            "metadata": { "display_phone_number": self.own_number, "phone_number_id": self.phone_number_id },
        })
    }

    /// Preferences stand in the same frame as messages.
    fn about(&self, field: &str, value: &Value) -> Value {
        if field != "user_preferences" {
            return value.clone();
        }
        let mut whole = self.value();
        whole["contacts"] = json!([{ "wa_id": value["wa_id"] }]);
        whole["user_preferences"] = json!([value]);
        whole
    }
}

/// A person wants no marketing any more, or again.
pub(super) fn preference(wa_id: &str, stop: bool, now: Timestamp) -> Report {
    let value = if stop { "stop" } else { "resume" };
    Report::Field(
        "user_preferences".into(),
        json!({
            "wa_id": wa_id,
            "detail": format!("User requested to {value} marketing messages"),
            "category": "marketing_messages",
            "value": value,
            "timestamp": now.as_second(),
        }),
    )
}

/// An `account_update`: what a step says, with the end of its restrictions.
pub(in super::super) fn account(event: &str, restrictions: &[String], lasts: Option<Duration>, more: &Value) -> Report {
    let mut value = json!({ "event": event });
    for (name, what) in more.as_object().into_iter().flatten() {
        value[name] = what.clone();
    }
    if !restrictions.is_empty() {
        let end = lasts.map(|lasts| (Timestamp::now() + lasts).as_second());
        let restriction = |kind: &String| match end {
            Some(end) => json!({ "restriction_type": kind, "expiration": end }),
            None => json!({ "restriction_type": kind }),
        };
        value["restriction_info"] = restrictions.iter().map(restriction).collect();
    }
    Report::Field("account_update".into(), value)
}

/// A `phone_number_quality_update`.
pub(in super::super) fn number(own_number: &str, event: &str, limit: Option<&Value>) -> Report {
    let mut value = json!({ "display_phone_number": own_number, "event": event });
    if let Some(limit) = limit {
        value["current_limit"] = limit.clone();
        value["max_daily_conversations_per_business"] = limit.clone();
    }
    Report::Field("phone_number_quality_update".into(), value)
}

/// A `business_capability_update`: the limit as a tier or as a number (facts 2.3: both are seen).
pub(in super::super) fn capability(limit: &Value) -> Report {
    Report::Field("business_capability_update".into(), json!({ "max_daily_conversations_per_business": limit }))
}

/// What is told of a template: `field` and the members that it has beside name and language.
pub(in super::super) fn template(field: &str, entry: &Value, more: Value) -> Report {
    let (name, language) = (entry["name"].as_str().unwrap_or_default(), entry["language"].as_str().unwrap_or_default());
    // The list has texts, webhooks have numbers. Without one in the list: one of its own for each name and language.
    let hash =
        || name.bytes().chain(language.bytes()).fold(7_u64, |id, byte| (id * 31 + u64::from(byte)) % 1_000_000_007);
    let id = entry["id"].as_str().and_then(|id| id.parse().ok()).or(entry["id"].as_u64()).unwrap_or_else(hash);
    let mut value = json!({
        "message_template_id": id, "message_template_name": name, "message_template_language": language,
    });
    for (name, what) in more.as_object().into_iter().flatten() {
        value[name] = what.clone();
    }
    Report::Field(field.to_owned(), value)
}

/// `X-Hub-Signature-256` of a body (facts 4.1).
pub(super) fn signature(app_secret: &str, body: &[u8]) -> String {
    format!("sha256={}", signed(app_secret, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_one_of_the_facts() {
        let body = br#"{"object":"whatsapp_business_account","entry":[]}"#;
        let wanted = "sha256=dec6a680679a968e7e0319355b23599cbfc54502c0784668e9618baa0c633756";
        assert_eq!(signature("test_app_secret", body), wanted);
    }
}
