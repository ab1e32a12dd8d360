//! What a message says: rendered once when the event is stored, sent as it was rendered.
//!
//! Floor: words. The platform's JSON is made of it in `whatsapp`, nowhere else.

use super::Category;
use serde::{Deserialize, Serialize};

/// The whole content of one message.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// A filled-in template.
    Template(Template),
    /// Free text, allowed inside the 24-hour service window only. At most `limits::TEXT` characters.
    Text(String),
}

/// A template with its parameters, each cleaned as the API demands.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Template {
    /// `[a-z0-9_]`, at most 512 characters.
    pub name: String,
    /// The platform's language code, `pt_BR`.
    pub language: String,
    /// From the platform's own list.
    pub category: Category,
    /// At most one header parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<Header>,
    /// The body's parameters.
    pub body: Body,
    /// Buttons that take a parameter, with their place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buttons: Vec<(u8, Button)>,
    /// The text as the person will read it, from the template list; empty where the list has no text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub preview: String,
}

/// The parameter of a template's header.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Header {
    /// Fills the one variable of a text header: its name where the template has named parameters, and the text.
    Text(Option<String>, String),
    /// A public URL.
    Image(String),
    /// A public URL.
    Video(String),
    /// A public URL and the file name that the person sees.
    Document(String, Option<String>),
    /// A place.
    Location {
        /// Degrees, −90 to 90.
        latitude: f64,
        /// Degrees, −180 to 180.
        longitude: f64,
        /// What the place is called.
        name: String,
        /// Its address.
        address: String,
    },
}

/// The parameters of a template's body.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// `{{1}}`, `{{2}}`, …
    Positional(Vec<String>),
    /// `{{name}}`, in the order of the template.
    Named(Vec<(String, String)>),
}

/// The parameter of one button.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Button {
    /// What is appended to the template's URL.
    Url(String),
    /// The payload that a quick reply sends back.
    Reply(String),
    /// The code that is copied, at most 20 letters and digits (facts 1.4).
    CopyCode(String),
}

impl Content {
    /// The category that limits and policy go by.
    pub fn category(&self) -> Category {
        match self {
            Content::Template(template) => template.category,
            Content::Text(_) => Category::Service,
        }
    }

    /// As the person will read it, as far as is known.
    pub fn preview(&self) -> &str {
        match self {
            Content::Template(template) => &template.preview,
            Content::Text(text) => text,
        }
    }
}
