//! A cleared message as the API wants it (facts 1.1, 1.2, 1.4).
//!
//! Floor: rooms. Adds nothing to what was rendered when the event was stored, and never changes it.

use super::Settings;
use crate::limits;
use crate::message::{Body, Button, Cleared, Content, Header, Template};
use bytes::Bytes;
use serde_json::{Value, json};

/// One request to the API: what is posted and where, below `uplink.base_url`.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// `/v25.0/106540352242922/messages`
    pub path: String,
    /// JSON.
    pub body: Bytes,
}

impl std::fmt::Debug for Request {
    /// Without the body: it holds number and text.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("path", &self.path).field("bytes", &self.body.len()).finish_non_exhaustive()
    }
}

/// The request for a message that may leave now. `shown_id` is the message's id as people see it, at most 32 characters.
pub fn request(settings: &Settings, cleared: &Cleared, shown_id: &str) -> Request {
    let message = cleared.message();
    let (kind, object) = match message.content() {
        Content::Template(template) => ("template", template_object(template)),
        Content::Text(text) => ("text", json!({ "body": text, "preview_url": false })),
    };
    let mut body = json!({
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        // Without `+` the platform puts the business's own country code in front: a stranger could get it (facts 1.1).
        "to": message.to().e164(),
        "type": kind,
        "biz_opaque_callback_data": callback_data(settings, shown_id, message.event().map_or("", |event| event)),
    });
    body[kind] = object;
    Request {
        path: format!("/{}/{}/messages", settings.api_version, settings.phone_number_id),
        body: Bytes::from(body.to_string()),
    }
}

/// `<branch>/<message id>/<event id>`: comes back with every status of the message. The parts' own bounds keep it below
/// the platform's; the cut is for a store that was written with other bounds.
fn callback_data(settings: &Settings, shown_id: &str, event: &str) -> String {
    format!("{}/{shown_id}/{event}", settings.branch).chars().take(limits::CALLBACK_DATA).collect()
}

fn template_object(template: &Template) -> Value {
    let mut components = Vec::new();
    if let Some(header) = &template.header {
        components.push(json!({ "type": "header", "parameters": [header_parameter(header)] }));
    }
    let body: Vec<Value> = match &template.body {
        Body::Positional(texts) => texts.iter().map(|text| text_parameter(None, text)).collect(),
        Body::Named(pairs) => pairs.iter().map(|(name, text)| text_parameter(Some(name), text)).collect(),
    };
    if !body.is_empty() {
        components.push(json!({ "type": "body", "parameters": body }));
    }
    components.extend(template.buttons.iter().map(|(index, button)| button_component(*index, button)));
    let mut object = json!({ "name": template.name, "language": { "code": template.language } });
    if !components.is_empty() {
        object["components"] = Value::Array(components);
    }
    object
}

fn text_parameter(name: Option<&str>, text: &str) -> Value {
    match name {
        Some(name) => json!({ "type": "text", "parameter_name": name, "text": text }),
        None => json!({ "type": "text", "text": text }),
    }
}

fn header_parameter(header: &Header) -> Value {
    match header {
        Header::Text(name, text) => text_parameter(name.as_deref(), text),
        Header::Image(link) => json!({ "type": "image", "image": { "link": link } }),
        Header::Video(link) => json!({ "type": "video", "video": { "link": link } }),
        Header::Document(link, None) => json!({ "type": "document", "document": { "link": link } }),
        Header::Document(link, Some(filename)) => {
            json!({ "type": "document", "document": { "link": link, "filename": filename } })
        }
        // Strings, as the platform's OpenAPI document types them; numbers are taken too (facts 1.2).
        Header::Location { latitude, longitude, name, address } => json!({
            "type": "location",
            "location": {
                "latitude": latitude.to_string(), "longitude": longitude.to_string(), "name": name, "address": address,
            },
        }),
    }
}

fn button_component(index: u8, button: &Button) -> Value {
    let (sub_type, parameter) = match button {
        Button::Url(suffix) => ("url", json!({ "type": "text", "text": suffix })),
        Button::Reply(payload) => ("quick_reply", json!({ "type": "payload", "payload": payload })),
        Button::CopyCode(code) => ("copy_code", json!({ "type": "coupon_code", "coupon_code": code })),
    };
    json!({ "type": "button", "sub_type": sub_type, "index": index.to_string(), "parameters": [parameter] })
}
