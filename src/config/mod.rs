//! The configuration: layers become one tree, the tree becomes checked settings, and every problem is told at once.
//!
//! Floor: config, above the rooms and doors whose settings it fills. Reads files, once, when it is asked to; never opens a
//! connection, never logs. Never shows a secret.
//!
//! ```text
//! default.toml ← boards/NAME.toml ← FILE ← conf.d/*.toml ← environment     layers, tree   (each value knows its line)
//!        │
//!     inherit                                                                rules over their bases
//!        │
//!      check  ── reader                                                      settings, or all problems
//!        │
//!     rules::Rules::compile                                                  expressions, templates
//! ```
//!
//! The `config` crate is not used: of a value it remembers the source but not the line, and a technician on site needs
//! the line. The `toml` crate's spans give it.

mod board;
mod check;
pub mod forward;
mod inherit;
mod kinds;
mod layers;
mod problem;
mod reader;
mod show;
mod tree;
mod units;

pub use board::Board;
pub use problem::{Origin, Problem, Source};

use crate::door;
use crate::engine::Rooms;
use crate::rules::Rules;
use reader::{Account, Reader};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

/// The checked configuration: what every part of the house is set up with.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[mqtt]`
    pub mqtt: door::mqtt::Settings,
    /// `[uplink]`
    pub uplink: door::uplink::Settings,
    /// `[operate]`
    pub operate: Operate,
    /// `[webhook]`; `None` without `webhook.listen`.
    pub webhook: Option<door::webhook::Settings>,
    /// `[notice]`; `None` without `notice.key_file`.
    pub notice: Option<door::notice::Settings>,
    /// The facts of the board that `--board` names.
    pub board: Option<Board>,
    /// `[stick]`: head office's key; without one a box that is set up reads no stick.
    pub stick: Option<door::stick::Key>,
    /// `branch.id` and the rooms.
    pub rooms: Rooms,
    /// A hash of what each certificate's and key's file held, by the key that names it.
    pub contents: BTreeMap<String, u64>,
}

/// `[operate]`
#[derive(Clone, Debug)]
pub struct Operate {
    /// `operate.socket`
    pub socket: PathBuf,
    /// `operate.listen`; `None` for "off".
    pub listen: Option<std::net::SocketAddr>,
}

/// A configuration without problems.
#[derive(Debug)]
pub struct Loaded {
    /// What the house is set up with.
    pub config: Config,
    /// Its rules, compiled: whether they compile is part of the check.
    pub rules: Rules,
    /// Every value that is in force, by key. Phone numbers masked; secrets are files, of which only the name is here.
    pub effective: Vec<Effective>,
    /// What may not be what was meant.
    pub warnings: Vec<Problem>,
}

/// One value that is in force.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Effective {
    /// Dotted.
    pub key: String,
    /// As TOML, masked.
    pub value: String,
    /// Which layer it comes from.
    pub origin: Origin,
}

impl Effective {
    fn all(values: BTreeMap<String, (String, Origin)>) -> Vec<Effective> {
        values.into_iter().map(|(key, (value, origin))| Effective { key, value, origin }).collect()
    }
}

/// Reads all layers and checks them.
///
/// `env` is the environment: `BRANCHLINE__TABLE__KEY` sets keys, `CREDENTIALS_DIRECTORY` is where bare names of secret
/// files are looked for first. Relative paths count from the folder of `file`.
///
/// # Errors
///
/// Every problem of every layer, in the order of files and lines. Where a layer is not TOML, only what keeps the layers
/// from being read.
pub fn load(file: &Path, board: Option<&str>, env: &[(String, String)]) -> Result<Loaded, Vec<Problem>> {
    let (mut root, board) = layers::read(file, board, env).map_err(tidy)?;
    let mut account = Account { problems: inherit::apply(&mut root), ..Account::of(file, env) };
    let config = Reader::root(&root, &mut account, |r| check::config(r, &root));
    let problems = tidy(account.problems);
    match config {
        Some((config, rules)) if problems.is_empty() => {
            let effective = Effective::all(account.values);
            let rooms = Rooms {
                wear_per_day: board.as_ref().and_then(|board| board.wear_per_day),
                board: board.as_ref().map(Board::shown),
                ..config.rooms
            };
            let config = Config { board, rooms, ..config };
            Ok(Loaded { config, rules, effective, warnings: tidy(account.warnings) })
        }
        _ => Err(problems),
    }
}

/// The facts of a board alone, whatever the configuration says; `None` where they cannot be read.
pub fn board(file: &Path, name: &str) -> Option<Board> {
    board::read(name, file).ok().map(|(_, board)| board)
}

/// Tells a configuration from another one: by all values of all layers, whatever file they stand in, and the list of templates.
fn fingerprint(root: &tree::Table, rules: &crate::rules::Settings) -> String {
    let mut hasher = DefaultHasher::new();
    root.iter().for_each(|(name, node)| (name, node.render()).hash(&mut hasher));
    rules.templates.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// By file and line. A mistake in a base is also seen through each rule that inherits it: told once, by the first key.
fn tidy(mut problems: Vec<Problem>) -> Vec<Problem> {
    let mut told = std::collections::BTreeSet::new();
    problems.sort_by(|a, b| (&a.origin, &a.key).cmp(&(&b.origin, &b.key)));
    problems.retain(|problem| {
        let below_the_name = problem.key.splitn(3, '.').nth(2).unwrap_or(&problem.key).to_owned();
        told.insert((problem.origin.clone(), problem.found.clone(), below_the_name))
    });
    problems
}

/// The keys that differ, or whose files hold something else, and that a reload cannot change: they need a restart. `old` is
/// what the daemon was started with.
pub fn restart_needed(old: &Config, new: &Config) -> Vec<&'static str> {
    let (om, nm, ou, nu) = (&old.mqtt, &new.mqtt, &old.uplink, &new.uplink);
    let cert = |identity: &Option<(PathBuf, PathBuf)>| identity.as_ref().map(|(cert, _)| cert.clone());
    let key = |identity: &Option<(PathBuf, PathBuf)>| identity.as_ref().map(|(_, key)| key.clone());
    let listens = |config: &Config| config.webhook.as_ref().map(|door| door.listen);
    let webhook_identity = |config: &Config| config.webhook.as_ref().and_then(|door| door.identity.clone());
    let signed = |config: &Config| config.notice.as_ref().map(|notice| notice.key.clone());
    let secrets =
        |config: &Config| config.webhook.as_ref().map(|door| (door.app_secret.clone(), door.verify_token.clone()));
    [
        ("branch.id", old.rooms.branch != new.rooms.branch),
        ("mqtt.url", (&om.host, om.port, om.tls) != (&nm.host, nm.port, nm.tls)),
        ("mqtt.client_id", om.client_id != nm.client_id),
        ("mqtt.username", om.username != nm.username),
        ("mqtt.password_file", om.password != nm.password),
        ("mqtt.ca_file", om.ca_file != nm.ca_file),
        ("mqtt.cert_file", cert(&om.identity) != cert(&nm.identity)),
        ("mqtt.key_file", key(&om.identity) != key(&nm.identity)),
        ("mqtt.receive_maximum", om.receive_maximum != nm.receive_maximum),
        ("mqtt.session_expiry", om.session_expiry != nm.session_expiry),
        ("mqtt.max_packet", om.max_packet != nm.max_packet),
        ("mqtt.max_payload", om.max_payload != nm.max_payload),
        ("uplink.base_url", ou.base_url != nu.base_url),
        ("uplink.api_version", old.rooms.whatsapp.api_version != new.rooms.whatsapp.api_version),
        ("uplink.phone_number_id", old.rooms.whatsapp.phone_number_id != new.rooms.whatsapp.phone_number_id),
        ("uplink.token_file", ou.token_file != nu.token_file),
        ("uplink.app_secret_file", ou.app_secret != nu.app_secret),
        ("uplink.cert_file", cert(&ou.identity) != cert(&nu.identity)),
        ("uplink.key_file", key(&ou.identity) != key(&nu.identity)),
        ("uplink.ca_file", ou.ca_file != nu.ca_file),
        ("uplink.proxy", ou.proxy != nu.proxy),
        ("uplink.timeout", ou.timeout != nu.timeout),
        ("uplink.connect_timeout", ou.connect_timeout != nu.connect_timeout),
        ("uplink.max_in_flight", ou.max_in_flight != nu.max_in_flight),
        ("outbox.path", old.rooms.outbox.path != new.rooms.outbox.path),
        ("outbox.key_file", old.rooms.outbox.seal != new.rooms.outbox.seal),
        ("webhook.listen", listens(old) != listens(new)),
        ("webhook.cert_file", cert(&webhook_identity(old)) != cert(&webhook_identity(new))),
        ("webhook.key_file", key(&webhook_identity(old)) != key(&webhook_identity(new))),
        ("webhook.app_secret_file", secrets(old).map(|both| both.0) != secrets(new).map(|both| both.0)),
        ("webhook.verify_token_file", secrets(old).map(|both| both.1) != secrets(new).map(|both| both.1)),
        ("notice.key_file", signed(old) != signed(new)),
        ("board", old.board != new.board),
        ("operate.socket", old.operate.socket != new.operate.socket),
        ("operate.listen", old.operate.listen != new.operate.listen),
    ]
    .into_iter()
    .filter_map(|(key, differs)| (differs || old.contents.get(key) != new.contents.get(key)).then_some(key))
    .collect()
}

#[cfg(test)]
mod tests;
