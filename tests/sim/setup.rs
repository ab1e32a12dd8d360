//! The branch that is simulated, in each of the configurations that reloads switch between; compiled once for all seeds.

use crate::config;
use crate::engine::Rooms;
use crate::rules::Rules;
use std::sync::{Arc, OnceLock};

/// Staff, then luis who stays, then who comes with the other version.
pub const STAFF: [&str; 3] = ["+5511987654321", "+5511987654322", "+5511987654323"];

/// What a reload may bring.
pub const VERSIONS: usize = 3;
pub const USUAL: usize = 0;
/// Another person on call, another priority of `swing`, other hours of `low`, and `extra` is gone.
pub const OTHER: usize = 1;
/// As usual, with `uplink.pause`.
pub const PAUSED: usize = 2;

const EXTRA: &str = r#"
[rules.extra]
inherit = "customer"
topic = "pos/{till}/extra"
message = { template = "order_ready", body = ["{{ payload.n }}"] }
"#;

/// On call in a version.
pub fn on_call(version: usize) -> [&'static str; 2] {
    if version == OTHER { [STAFF[2], STAFF[1]] } else { [STAFF[0], STAFF[1]] }
}

/// The hours of the branch's time in which `low` may leave in a version: from the first, before the second.
pub fn low_hours(version: usize) -> [i8; 2] {
    if version == OTHER { [10, 19] } else { [8, 21] }
}

/// One version, checked and compiled by the daemon's own reader.
pub fn version(which: usize) -> (Rooms, Arc<Rules>) {
    static ALL: OnceLock<Vec<(Rooms, Arc<Rules>)>> = OnceLock::new();
    ALL.get_or_init(|| (0..VERSIONS).map(read).collect())[which].clone()
}

fn read(version: usize) -> (Rooms, Arc<Rules>) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let text = include_str!("branch.toml")
        .replace("PAUSE", if version == PAUSED { "true" } else { "false" })
        .replace("MEMBER", if version == OTHER { "rita" } else { "ana" })
        .replace("SWING", if version == OTHER { "high" } else { "normal" })
        .replace("HOURS", &format!("{:02}:00-{:02}:00", low_hours(version)[0], low_hours(version)[1]))
        .replace("EXTRA", if version == OTHER { "" } else { EXTRA });
    std::fs::write(at("branchline.toml"), text).unwrap();
    std::fs::write(at("templates.json"), include_str!("templates.json")).unwrap();
    std::fs::write(at("whatsapp-token"), "x").unwrap();
    let loaded = config::load(&at("branchline.toml"), None, &[]).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let rules = Rules::compile(&loaded.config.rooms.rules).unwrap();
    (loaded.config.rooms, Arc::new(rules))
}
