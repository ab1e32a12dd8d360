//! From the tree to checked settings: one file per part of the configuration, every problem at once.
//!
//! Floor: config. A section returns `None` only after it has told why, and only after it has read all its keys.

mod compiled;
mod fits;
pub(super) mod forward;
mod links;
mod message;
mod people;
mod policy;
mod rules;
mod store;
mod webhook;

use super::reader::Reader;
use super::tree::Table;
use super::{Config, Operate};
use crate::door::stick::Key;
use crate::engine::Rooms;
use crate::message::{Country, Way};
use crate::rules::Rules;
use jiff::tz::TimeZone;

/// Keys of the interface that later versions bring.
const LATER: [&str; 2] = ["lists", "tables"];

/// Reads everything from `root`, on which `r` stands, and compiles the rules.
pub(super) fn config(r: &mut Reader<'_, '_>, root: &Table) -> Option<(Config, Rules)> {
    let branch = branch(r);
    let id = branch.id.as_deref().unwrap_or_default();
    let mqtt = links::mqtt(r, id);
    let uplink = links::uplink(r);
    let limits = store::limits(r, uplink.as_ref());
    let outbox = store::outbox(r, uplink.as_ref());
    let webhook = webhook::webhook(r, false);
    let notice = forward::notice(r, mqtt.as_ref(), id);
    let mut policy = policy::policy(r, &branch, webhook.is_some() || notice.is_some());
    let operate = operate(r);
    let stick = stick(r);
    let inbound_full = r.within("inbound", |r| r.choice("numbers", &[("masked", false), ("full", true)]));
    let rules = rules::settings(r, &branch, policy.as_mut());
    let rules = crate::rules::Settings { origins: compiled::origins(root), ..rules };
    if let Some(policy) = policy.as_mut() {
        policy.settings.stated = rules.contacts.values().map(|contact| contact.consent.clone()).collect();
    }
    r.later(&LATER);
    let compiled = compiled::compile(&rules, root, r.account);

    if let (Some(compiled), Some(policy)) = (&compiled, &policy) {
        fits::quiet_hours(&rules, compiled, policy, root, r.account);
    }
    if let Some(daily) = limits.as_ref().and_then(|limits| limits.daily) {
        fits::daily_recipients(&rules, daily, root, r.account);
    }
    if let Some(outbox) = &outbox {
        fits::store(&rules, outbox.max_bytes, root, r.account);
    }

    let (branch, uplink, limits) = (branch.id?, uplink?, limits?);
    let whatsapp = crate::whatsapp::Settings {
        api_version: uplink.api_version,
        phone_number_id: uplink.phone_number_id,
        branch: branch.clone(),
        health_every: uplink.health_every,
    };
    let rooms = Rooms {
        fingerprint: super::fingerprint(root, &rules),
        branch,
        session_expiry: mqtt.as_ref().map(|mqtt| mqtt.session_expiry).unwrap_or_default(),
        inbound_full: inbound_full?,
        ways: [webhook.as_ref().map(|_| Way::Webhook), notice.as_ref().map(|_| Way::Topic)]
            .into_iter()
            .flatten()
            .collect(),
        rules,
        policy: policy?.settings,
        pace: limits.pace,
        outbox: outbox?,
        whatsapp,
        wear_per_day: None,
        board: None,
    };
    let contents = std::mem::take(&mut r.account.contents);
    let (mqtt, uplink, operate) = (mqtt?, uplink.door, operate?);
    Some((Config { contents, mqtt, uplink, operate, webhook, notice, board: None, stick, rooms }, compiled?))
}

/// `[branch]`, as far as it can be read.
struct Branch {
    id: Option<String>,
    timezone: Option<TimeZone>,
    country: Option<Country>,
}

fn branch(r: &mut Reader<'_, '_>) -> Branch {
    r.within("branch", |r| {
        r.require("id", "Give the branch a short name, as in id = \"sp-042\".");
        r.require("timezone", "Name the branch's time zone, as in timezone = \"America/Sao_Paulo\".");
        r.require("country", "Name the country as of which national numbers are read, as in country = \"BR\".");
        let id = r.text_of("id", "1 to 32 small letters, digits and dashes", |id| {
            super::reader::is_name(id) && id.len() <= 32
        });
        let timezone = r.named("timezone", "a time zone like \"America/Sao_Paulo\" or \"UTC\"", |name| {
            TimeZone::get(name).map_err(|_| jiff::tz::db().available().map(|zone| zone.to_string()).collect())
        });
        let country =
            r.parsed("country", "the two letters of a country, as in \"BR\"", |node| Country::of_code(node.as_text()?));
        Branch { id, timezone, country }
    })
}

fn stick(r: &mut Reader<'_, '_>) -> Option<Key> {
    r.within("stick", |r| {
        let (path, pem) = r.file("key_file")?;
        let key = Key::of_pem(&pem);
        if key.is_none() {
            let problem = r.problem("key_file", format!("the file {} holds no public ed25519 key", path.display()));
            r.tell(
                problem.fix(
                    "Write it by: openssl pkey -in head-office.key -pubout. The private half stays at head office.",
                ),
            );
        }
        key
    })
}

fn operate(r: &mut Reader<'_, '_>) -> Option<Operate> {
    r.within("operate", |r| {
        let socket = r.path("socket");
        let listen = r.parsed("listen", "an address and port like \"127.0.0.1:8088\", or \"off\"", |node| {
            match node.as_text()? {
                "off" => Some(None),
                address => address.parse().ok().map(Some),
            }
        });
        Some(Operate { socket: socket?, listen: listen? })
    })
}
