//! What people write and press: messages from a number to the business (facts 4.4).
//!
//! Floor: demo.

use super::super::{Control, State};
use super::Report;
use super::shape::{contact, preference, stamp};
use serde_json::{Value, json};
use std::sync::Arc;

/// A message from a person.
#[derive(Clone, PartialEq, Debug)]
pub struct Inbound {
    /// The number of the person.
    pub from: String,
    /// What the person calls themself.
    pub name: String,
    /// The message of ours that it answers; without, the last that the person was sent, where the kind always has one.
    pub context: Option<String>,
    /// What.
    pub said: Said,
}

/// What a person said.
#[derive(Clone, PartialEq, Debug)]
pub enum Said {
    /// Words.
    Text(String),
    /// The quick-reply button of a template.
    Button {
        /// What the button says.
        text: String,
        /// What the template's sender put behind it.
        payload: String,
    },
    /// A reply button of an interactive message.
    Reply {
        /// Its id.
        id: String,
        /// What it says.
        title: String,
    },
    /// A row of a list.
    Row {
        /// Its id.
        id: String,
        /// What it says.
        title: String,
        /// The line below it.
        description: Option<String>,
    },
    /// A sign on a message of ours; empty takes it back.
    Reaction(String),
    /// The person has another number from now on.
    Moved(String),
    /// Anything else: `type` and the member of that name, as the platform writes them.
    Other(Value),
}

impl State {
    /// The person says it: the service window opens for 24 hours (facts 2.6), and the callback hears of it. Returns whether
    /// there is a callback.
    pub(in super::super) fn hear(self: &Arc<State>, inbound: &Inbound) -> bool {
        let person = self.person(&inbound.from);
        let last = self.lock().seen.last_wamid(|seen| seen == person);
        // A change of the number is the platform's message, and facts 7.9 leave a reaction open: the strict reading.
        let id = if matches!(inbound.said, Said::Moved(_) | Said::Reaction(_)) {
            let mut inner = self.lock();
            inner.serial += 1;
            format!("wamid.SIN{:020}", inner.serial)
        } else {
            Control(self.clone()).wrote(&inbound.from)
        };
        let message = self.message(inbound, &person, &id, last);
        let contact = (!matches!(inbound.said, Said::Moved(_))).then(|| contact(&person, &inbound.name));
        self.report(Report::Message { message, contact })
    }

    /// The person wants no marketing any more, or again: the platform refuses it from then on (131050), and reports it.
    pub(in super::super) fn prefer(self: &Arc<State>, number: &str, stop: bool) -> bool {
        let person = self.person(number);
        self.lock().people.set_marketing(&person, stop);
        self.report(preference(&person, stop, jiff::Timestamp::now()))
    }

    fn message(&self, inbound: &Inbound, person: &str, id: &str, last: Option<String>) -> Value {
        let mut message = json!({
            "from": person,
            "id": id,
            "timestamp": stamp(jiff::Timestamp::now()),
        });
        let (kind, value, answers) = match &inbound.said {
            Said::Text(body) => ("text", json!({ "body": body }), false),
            Said::Button { text, payload } => ("button", json!({ "payload": payload, "text": text }), true),
            Said::Reply { id, title } => {
                ("interactive", json!({ "type": "button_reply", "button_reply": { "id": id, "title": title } }), true)
            }
            Said::Row { id, title, description } => {
                let mut row = json!({ "id": id, "title": title });
                if let Some(description) = description {
                    row["description"] = description.as_str().into();
                }
                ("interactive", json!({ "type": "list_reply", "list_reply": row }), true)
            }
            Said::Reaction(emoji) => {
                let mut reaction = json!({ "message_id": inbound.context.clone().or(last.clone()) });
                if !emoji.is_empty() {
                    reaction["emoji"] = emoji.as_str().into();
                }
                ("reaction", reaction, false)
            }
            Said::Moved(to) => {
                let to = self.person(to);
                let body = format!("User changed from {person} to {to}");
                ("system", json!({ "body": body, "wa_id": to, "type": "user_changed_number" }), false)
            }
            Said::Other(other) => {
                for (name, value) in other.as_object().into_iter().flatten() {
                    message[name] = value.clone();
                }
                ("", Value::Null, false)
            }
        };
        if !kind.is_empty() {
            message["type"] = kind.into();
            message[kind] = value;
        }
        if let Some(id) = inbound.context.clone().or(last.filter(|_| answers))
            && kind != "reaction"
        {
            let own: String = self.settings.own_number.chars().filter(char::is_ascii_digit).collect();
            message["context"] = json!({ "from": own, "id": id });
        }
        message
    }
}
