//! What the platform says about account, number and templates: in a notice, or when it is asked.
//!
//! Floor: words. Read by `whatsapp`, made into holds by the engine. Never about a person.

use super::{Category, Reason};
use crate::time::Wall;

/// A messaging limit that is none.
pub const UNLIMITED: u64 = u64::MAX;

/// One piece of news. `said` is for people: what the platform said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum News {
    /// A template may not be used any more, or may again.
    Template {
        /// Which.
        template: TemplateName,
        /// Why not; `None`: it may be used.
        held: Option<Reason>,
        /// See above.
        said: String,
    },
    /// How people take a template.
    TemplateQuality {
        /// Which.
        template: TemplateName,
        /// How.
        quality: Quality,
    },
    /// What a template counts as.
    TemplateCategory {
        /// Which.
        template: TemplateName,
        /// As what.
        category: Category,
    },
    /// How people take the number's messages.
    Quality(Quality),
    /// How many messages a second the number may send.
    Speed(u32),
    /// How many people may be written to in a moving day outside the service window, in the whole portfolio; or [`UNLIMITED`].
    People(u64),
    /// The account may not send, or may again.
    Account {
        /// What is closed; `None`: nothing any more.
        closed: Option<Closed>,
        /// Until when, where the platform says so.
        until: Option<Wall>,
        /// See above.
        said: String,
    },
    /// Whether the number may send, as the platform answers when it is asked.
    CanSend {
        /// Whether.
        can: CanSend,
        /// See above.
        said: String,
    },
    /// Something changed that the platform must be asked about.
    Ask {
        /// See above.
        said: String,
    },
    /// Something that somebody should look at.
    Alert {
        /// See above.
        said: String,
    },
}

/// A template, as news name it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TemplateName {
    /// Its name.
    pub name: String,
    /// Its language; all of them where the platform does not say.
    pub language: Option<String>,
}

/// How people take what is sent: blocks and reports of the last seven days (facts 5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quality {
    /// Well.
    Green,
    /// Some block or report it.
    Yellow,
    /// Many do.
    Red,
    /// Too little was sent to tell.
    Unknown,
}

impl Quality {
    /// All of them.
    pub const ALL: [Quality; 4] = [Quality::Green, Quality::Yellow, Quality::Red, Quality::Unknown];

    /// As the platform writes it.
    pub fn code(self) -> &'static str {
        match self {
            Quality::Green => "GREEN",
            Quality::Yellow => "YELLOW",
            Quality::Red => "RED",
            Quality::Unknown => "UNKNOWN",
        }
    }

    /// The inverse of [`code`](Self::code).
    pub fn of_code(code: &str) -> Option<Quality> {
        Self::ALL.into_iter().find(|quality| quality.code() == code)
    }
}

/// What a restriction of the account closes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Closed {
    /// Utility templates.
    Utility,
    /// What begins a conversation: all templates.
    Templates,
    /// Everything.
    All,
}

/// `can_send_message` (facts 5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CanSend {
    /// Without restriction.
    Available,
    /// With restrictions that the platform names.
    Limited,
    /// Not at all.
    Blocked,
}
