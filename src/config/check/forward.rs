//! The three tables of `branchline forward`, and `[notice]` of the daemon.
//!
//! Floor: config.

use super::super::forward::Forward;
use super::super::reader::Reader;
use super::{links, webhook};
use crate::door::secret::Secret;
use crate::door::{mqtt, notice};
use crate::limits;

/// Characters of the shortest key: what openssl rand -hex 8 gives, 64 bits.
const KEY: usize = 16;

/// Everything that `branchline forward` reads.
pub(in super::super) fn forward(r: &mut Reader<'_, '_>) -> Option<Forward> {
    let mqtt = links::publisher(r);
    let webhook = webhook::webhook(r, true);
    let key = key(r, true);
    Some(Forward { mqtt: mqtt?, webhook: webhook?, key: key? })
}

/// `[notice]` of the daemon; `None` where it is off, and where something is wrong with it.
pub(super) fn notice(r: &mut Reader<'_, '_>, mqtt: Option<&mqtt::Settings>, branch: &str) -> Option<notice::Settings> {
    let key = key(r, false);
    let mqtt = mqtt::Settings {
        client_id: format!("{}-notice", mqtt?.client_id),
        branch: None,
        receive_maximum: limits::NOTICE_WINDOW as u16,
        max_packet: limits::NOTICE_PACKET as u32,
        max_payload: limits::NOTICE_PACKET,
        ..mqtt?.clone()
    };
    Some(notice::Settings { mqtt, branch: branch.to_owned(), key: key? })
}

fn key(r: &mut Reader<'_, '_>, needed: bool) -> Option<Secret> {
    r.within("notice", |r| {
        if needed {
            r.require("key_file", "Make a key (openssl rand -hex 32), and give the same file to every box.");
        }
        let key = links::secret_file(r, "key_file")?;
        if key.reveal().len() >= KEY {
            return Some(key);
        }
        let problem = r.problem("key_file", format!("the file holds {} characters", key.reveal().len()));
        r.tell(problem.wanted(format!("a key of {KEY} and more")).fix("Make one: openssl rand -hex 32."));
        None
    })
}
