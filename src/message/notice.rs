//! What the platform reports by itself: statuses of our messages, what people write and wish, and news of the account.
//!
//! Floor: words. Read by `whatsapp`, applied by the engine. Numbers, ids and texts in it are personal data: `Debug` shows none.

use super::News;
use crate::time::Wall;
use std::fmt;

/// How the platform names a person. Either may be missing; both are then nobody that this box can find.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Who {
    /// `wa_id` or number: digits, at most 15.
    pub digits: Option<String>,
    /// The business-scoped user id, at most 128 characters.
    pub user: Option<String>,
}

impl fmt::Debug for Who {
    /// Only whether there is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |name: &Option<String>| name.as_ref().map(|_| "(masked)");
        f.debug_struct("Who").field("digits", &shown(&self.digits)).field("user", &shown(&self.user)).finish()
    }
}

/// A way by which the platform's reports come to this box.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Way {
    /// `[webhook]`: from the platform itself.
    #[default]
    Webhook,
    /// `[notice]`: from head office, by the broker.
    Topic,
}

impl Way {
    /// As people read it.
    pub fn name(self) -> &'static str {
        match self {
            Way::Webhook => "webhook",
            Way::Topic => "notice topic",
        }
    }
}

/// What one body of the platform reports, in its order.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Notices {
    /// What this version knows.
    pub notices: Vec<Update>,
    /// Updates that it does not know, or that are about another number.
    pub skipped: u64,
    /// By which it came.
    pub way: Way,
    /// It went to every branch, since nobody could tell which one it concerns: people who are unknown here are another's.
    pub to_all: bool,
}

/// One update, and whose it says that it is.
#[derive(Clone, PartialEq, Debug)]
pub struct Update {
    /// Where one app serves several accounts or numbers, they are all told the same.
    pub of: Origin,
    /// What it says.
    pub notice: Notice,
}

/// Of which account and number an update is: as far as it says so, and does not name our number by its id.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Origin {
    /// The id of the WhatsApp Business account: digits.
    pub account: Option<String>,
    /// The number that people see: digits.
    pub number: Option<String>,
}

impl From<Notice> for Update {
    /// Ours.
    fn from(notice: Notice) -> Update {
        Update { of: Origin::default(), notice }
    }
}

/// What an update of the platform says.
#[derive(Clone, PartialEq, Debug)]
pub enum Notice {
    /// How one of our messages went on.
    Status(Status),
    /// A person wrote or pressed something: the service window is open for 24 hours.
    Inbound(Inbound),
    /// A person told the platform to stop or to resume marketing.
    Marketing {
        /// Who.
        who: Who,
        /// No more of it.
        stop: bool,
        /// When, if the platform says so: an older wish does not undo a newer one.
        at: Option<Wall>,
    },
    /// A person has another number or user id.
    Moved {
        /// As it was.
        from: Who,
        /// As it is.
        to: Who,
    },
    /// News of the account, the number or a template.
    News(News),
}

/// How one of our messages went on.
#[derive(Clone, PartialEq)]
pub struct Status {
    /// The platform's id of the message. Holds the recipient's digits: personal data.
    pub wamid: String,
    /// How far it came.
    pub progress: Progress,
    /// When, if the platform says so.
    pub at: Option<Wall>,
    /// To whom.
    pub who: Who,
    /// Our `biz_opaque_callback_data`.
    pub data: Option<String>,
}

impl fmt::Debug for Status {
    /// Without the platform's id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Status").field("progress", &self.progress).field("at", &self.at).finish_non_exhaustive()
    }
}

/// How far a message came. Statuses arrive in any order and more than once: a higher rank stays.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Progress {
    /// It left the platform's servers.
    Sent,
    /// It is on the person's phone.
    Delivered,
    /// The person opened it, or played it.
    Read,
    /// It was not delivered.
    Failed {
        /// The platform's code.
        code: Option<i64>,
        /// What the platform said about it.
        said: String,
    },
}

/// What a person wrote or pressed.
#[derive(Clone, PartialEq)]
pub struct Inbound {
    /// The platform's id of it: the same id twice is the same message.
    pub wamid: String,
    /// Who.
    pub who: Who,
    /// When the platform received it; now, if it does not say.
    pub at: Option<Wall>,
    /// `text`, `button`, `interactive`, `image` …: `[a-z_]{1,32}`.
    pub kind: String,
    /// What a person reads: the text, the label of the button, the caption. At most `limits::TEXT` characters.
    pub text: Option<String>,
    /// Whose words these are.
    pub by: By,
    /// What a button, list or form carries. At most `limits::RENDERED` bytes.
    pub payload: Option<String>,
    /// The platform's id of the message that it answers.
    pub context: Option<String>,
    /// The branch that answers it, where every branch hears it and head office could tell.
    pub answers: Option<String>,
}

/// Whose words the text of an inbound message is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum By {
    /// The person's: a text, a caption.
    #[default]
    Person,
    /// Ours, on a button or a list's row that the person pressed.
    Button,
    /// What names a thing that was sent: the title of a place or a form, an emoji.
    Title,
}

impl fmt::Debug for Inbound {
    /// Without what the person said.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbound").field("kind", &self.kind).field("at", &self.at).finish_non_exhaustive()
    }
}
