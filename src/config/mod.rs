//! (being built)

use crate::{door, outbox, pace, policy, rules, whatsapp};
use std::path::PathBuf;

/// The checked configuration: what every part of the house is set up with.
#[derive(Clone, Debug)]
pub struct Config {
    /// `branch.id`
    pub branch: String,
    /// `[mqtt]`
    pub mqtt: door::mqtt::Settings,
    /// `[uplink]`
    pub uplink: door::uplink::Settings,
    /// `[operate]`
    pub operate: Operate,
    /// The rooms.
    pub rooms: Rooms,
}

/// What the rooms are set up with; replaced as a whole by a reload.
#[derive(Clone, Debug)]
pub struct Rooms {
    /// Rules, people, contacts, templates.
    pub rules: rules::Settings,
    /// Consent, unknowns.
    pub policy: policy::Settings,
    /// Limits.
    pub pace: pace::Settings,
    /// The store.
    pub outbox: outbox::Settings,
    /// Requests.
    pub whatsapp: whatsapp::Settings,
}

/// `[operate]`
#[derive(Clone, Debug)]
pub struct Operate {
    /// `operate.socket`
    pub socket: PathBuf,
    /// `operate.listen`; `None` for "off".
    pub listen: Option<std::net::SocketAddr>,
}
