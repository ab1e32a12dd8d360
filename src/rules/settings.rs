//! What `rules` is set up with: the configuration's words, read but not compiled.
//!
//! Floor: rooms. Filled by `config`; every text that is a template or an expression is still text.

use crate::message::{Category, Country, Number, Priority};
use std::collections::BTreeMap;
use std::time::Duration;

/// Everything that rules need to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `branch.id`
    pub branch: String,
    /// `branch.country`: national numbers are read as of it.
    pub country: Country,
    /// `branch.timezone`: for the `date` filter and times without an offset.
    pub timezone: jiff::tz::TimeZone,
    /// `[languages]`
    pub languages: Languages,
    /// `[purposes.*]`: every purpose that a rule may name.
    pub purposes: Vec<String>,
    /// `[people.*]`
    pub people: BTreeMap<String, Person>,
    /// `[contacts.*]`
    pub contacts: BTreeMap<String, Contact>,
    /// `[rules.*]`, bases already merged in, in the order of their names.
    pub rules: Vec<Rule>,
    /// The text of `templates.file`, if there is one.
    pub templates: Option<String>,
    /// `policy.expires`, by priority rank.
    pub expires: [Duration; 4],
    /// Where each key of a rule was written (`shop.toml:14`), by key: for people who look for a mistake. May be empty.
    pub origins: BTreeMap<String, String>,
}

/// `[languages]`
#[derive(Clone, Debug, Default)]
pub struct Languages {
    /// When nothing else tells.
    pub default: String,
    /// `pt` → `pt_BR`
    pub aliases: BTreeMap<String, String>,
    /// `MX` → `es_MX`
    pub by_country: BTreeMap<String, String>,
}

/// `[people.NAME]`
#[derive(Clone, Debug)]
pub struct Person {
    /// Already read.
    pub number: Number,
    /// The platform's language code.
    pub language: Option<String>,
}

/// `[contacts.NAME]`
#[derive(Clone, Debug)]
pub struct Contact {
    /// The purpose that the configuration states consent for.
    pub consent: String,
    /// Names of people.
    pub members: Vec<String>,
    /// Numbers as a short form.
    pub numbers: Vec<Number>,
}

/// `[rules.NAME]`
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// `pos/{till}/order/{order}/ready`
    pub topic: String,
    /// Expression.
    pub when: Option<String>,
    /// Whom.
    pub to: Vec<To>,
    /// Template.
    pub country: Option<String>,
    /// Template.
    pub language: Option<String>,
    /// A purpose; contacts bring their own.
    pub consent: Option<String>,
    /// Expression.
    pub opt_in: Option<String>,
    /// Template.
    pub id: Option<String>,
    /// Template.
    pub at: Option<String>,
    /// Template.
    pub subject: Option<String>,
    /// What it may overtake.
    pub priority: Priority,
    /// Asserts the template's category.
    pub category: Option<Category>,
    /// From `at` until it is of no use; `policy.expires` of the priority without.
    pub expires: Option<Duration>,
    /// How long the same event is recognised.
    pub dedupe_window: Duration,
    /// `retained = "accept"`
    pub accept_retained: bool,
    /// How the payload is read.
    pub format: Format,
    /// Purposes that the event grants.
    pub grants: Vec<String>,
    /// Purposes that the event revokes; `all` for everything.
    pub revokes: Vec<String>,
    /// What is said; a rule with an effect may say nothing.
    pub message: Option<Message>,
}

/// One entry of `to`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum To {
    /// A template that yields a number.
    Number(String),
    /// `people:NAME`
    Person(String),
    /// `contacts:NAME`
    Contacts(String),
}

/// `format`
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Format {
    /// `payload` is the JSON value.
    #[default]
    Json,
    /// `payload` is the text.
    Text,
    /// `payload` is a number.
    Number,
}

/// `[rules.NAME.message]`; every text is a template.
#[derive(Clone, PartialEq, Debug)]
pub enum Message {
    /// `template = "…"`
    Template {
        /// Literal.
        name: String,
        /// At most one.
        header: Option<HeaderText>,
        /// Parameters.
        body: BodyTexts,
        /// By place.
        buttons: Vec<ButtonText>,
    },
    /// `text = "…"`
    Text(String),
}

/// `header`
#[derive(Clone, PartialEq, Debug)]
pub enum HeaderText {
    /// A text parameter.
    Text(String),
    /// URL.
    Image(String),
    /// URL.
    Video(String),
    /// URL and file name.
    Document(String, Option<String>),
    /// A place.
    Location {
        /// Degrees.
        latitude: String,
        /// Degrees.
        longitude: String,
        /// What it is called.
        name: String,
        /// Its address.
        address: String,
    },
}

/// `body`
#[derive(Clone, PartialEq, Debug)]
pub enum BodyTexts {
    /// A list.
    Positional(Vec<String>),
    /// A table.
    Named(BTreeMap<String, String>),
}

/// One entry of `buttons`
#[derive(Clone, PartialEq, Debug)]
pub enum ButtonText {
    /// `url`
    Url(String),
    /// `reply`
    Reply(String),
    /// `copy_code`
    CopyCode(String),
}
