//! `[mqtt]` and `[uplink]`.
//!
//! Floor: config.

use super::super::problem::Problem;
use super::super::reader::Reader;
use super::super::units;
use crate::door::clock::SystemClock;
use crate::door::secret::Secret;
use crate::door::tls;
use crate::door::{mqtt, uplink};
use crate::limits;
use reqwest::Url;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Below the largest packet that MQTT knows (MQTT 5, 1.5.5: four length bytes of seven bits, 268,435,455 bytes).
const PACKET_MAX: u64 = 255 << 20;
/// A box that asks more often than this uses up a tenth of the account's questions (facts 2.4) by itself.
const OFTEN: Duration = Duration::from_secs(5 * 60);
/// Arrivals that wait for their acknowledgement may hold this much memory together.
const WAITING: u64 = (limits::RECEIVE * limits::PAYLOAD) as u64;

/// How a broker is reached.
struct Broker {
    url: Url,
    username: Option<String>,
    password: Option<Secret>,
    ca_file: Option<PathBuf>,
    identity: Option<(PathBuf, PathBuf)>,
}

/// The keys of `[mqtt]` that say so.
fn broker(r: &mut Reader<'_, '_>, url: &'static str) -> Option<Broker> {
    r.require("url", &format!("Name the broker, as in url = \"{url}\"."));
    let url = address(r, "url", &["mqtt", "mqtts"]);
    let username = r.text("username");
    let password = secret_file(r, "password_file");
    if r.has("password_file") && !r.has("username") {
        let problem = r.problem("password_file", "a password without a user name").fix("Set mqtt.username.");
        r.tell(problem);
    }
    let ca_file = pem(r, "ca_file");
    let identity = identity(r);
    let url = url?;
    if url.scheme() == "mqtts" {
        usable(r, Some(&host(&url)), ca_file.as_deref(), identity.as_ref());
    }
    plain_mqtt(r, &url);
    Some(Broker { url, username, password, ca_file, identity })
}

impl Broker {
    fn settings(self, branch: Option<String>, client_id: String) -> mqtt::Settings {
        let tls = self.url.scheme() == "mqtts";
        mqtt::Settings {
            branch,
            host: host(&self.url),
            port: self.url.port().unwrap_or(if tls { 8883 } else { 1883 }),
            tls,
            client_id,
            username: self.username,
            password: self.password,
            ca_file: self.ca_file,
            identity: self.identity,
            receive_maximum: 1,
            session_expiry: Duration::ZERO,
            max_packet: limits::NOTICE_PACKET as u32,
            max_payload: 1,
        }
    }
}

/// `[mqtt]` of `branchline forward`, which only publishes. Several may run side by side, so each has a client id of its own.
pub(super) fn publisher(r: &mut Reader<'_, '_>) -> Option<mqtt::Settings> {
    let broker = r.within("mqtt", |r| broker(r, "mqtts://broker.head-office:8883"))?;
    Some(broker.settings(None, format!("branchline-forward-{:08x}", fastrand::u32(..))))
}

/// `[mqtt]`
pub(super) fn mqtt(r: &mut Reader<'_, '_>, branch: &str) -> Option<mqtt::Settings> {
    r.within("mqtt", |r| {
        let client_id = r.text("client_id");
        if client_id.is_none() {
            r.worked_out("client_id", &format!("\"branchline-{branch}\""));
        }
        let broker = broker(r, "mqtts://broker.branch:8883");
        let receive_maximum = r.whole("receive_maximum", 1..=limits::RECEIVE_MAX as u64);
        let session_expiry = r.duration("session_expiry");
        let max_packet = r.size("max_packet", 1024..=PACKET_MAX);
        let max_payload = r.size("max_payload", 1..=PACKET_MAX);
        if let (Some(packet), Some(payload)) = (max_packet, max_payload)
            && payload > packet
        {
            let key = r.own_of("max_payload", "max_packet");
            let problem = r.problem(key, "mqtt.max_payload is larger than mqtt.max_packet");
            r.tell(problem.fix("The broker keeps packets over max_packet away: such payloads never come."));
        }
        if let (Some(many), Some(payload)) = (receive_maximum, max_payload)
            && many * payload > WAITING
        {
            let found = format!("{many} arrivals of {} may wait in memory together", units::show_size(payload));
            let problem = r
                .problem(r.own_of("receive_maximum", "max_payload"), found)
                .wanted(format!("receive_maximum × max_payload up to {}", units::show_size(WAITING)));
            r.tell(problem);
        }
        anonymous(r);
        let client_id = client_id.unwrap_or_else(|| format!("branchline-{branch}"));
        Some(mqtt::Settings {
            receive_maximum: u16::try_from(receive_maximum?).ok()?,
            session_expiry: session_expiry?,
            max_packet: u32::try_from(max_packet?).ok()?,
            max_payload: usize::try_from(max_payload?).ok()?,
            ..broker?.settings(Some(branch.to_owned()), client_id)
        })
    })
}

/// What a connection without TLS makes useless or dangerous.
fn plain_mqtt(r: &mut Reader<'_, '_>, url: &Url) {
    if url.scheme() != "mqtt" {
        return;
    }
    for key in ["ca_file", "cert_file", "key_file"] {
        if r.has(key) {
            let problem = r.problem(key, "has no effect: mqtt.url begins with mqtt://, which is without TLS");
            r.tell(problem.fix("Write mqtts:// or remove this key."));
        }
    }
    if is_loopback(url) {
        return;
    }
    let (key, found) = if r.has("password_file") {
        ("password_file", "the password goes to the broker unencrypted")
    } else {
        ("url", "is not encrypted: whoever is on that network can read the events, and send some of his own")
    };
    let problem = r.problem(key, found);
    r.warn(problem.fix("Write mqtts:// in mqtt.url where the broker can do TLS."));
}

/// A broker that takes us without a name takes everybody.
fn anonymous(r: &mut Reader<'_, '_>) {
    if r.has("username") || r.has("cert_file") {
        return;
    }
    let found = "is missing, and so is cert_file: a broker that takes Branchline without a name takes everybody, and whoever \
                 publishes there can send WhatsApp messages in your name";
    let problem = r.problem("username", found);
    r.warn(problem.fix(
        "Refuse anonymous clients at the broker (mosquitto: allow_anonymous false), give Branchline a user there, and set \
         mqtt.username and mqtt.password_file; `branchline check --online` tries whether it takes them.",
    ));
}

/// What `[uplink]` gives to the door and to the rooms.
pub(super) struct Uplink {
    pub door: uplink::Settings,
    pub api_version: String,
    pub phone_number_id: String,
    pub max_in_flight: usize,
    pub pause: bool,
    pub health_every: Duration,
}

/// `[uplink]`
pub(super) fn uplink(r: &mut Reader<'_, '_>) -> Option<Uplink> {
    r.within("uplink", |r| {
        r.require("phone_number_id", "It is the number's ID (not the number) in the platform's API setup.");
        r.choice("kind", &[("cloud-api", ())]);
        let base_url = base_url(r);
        let api_version = r.text_of("api_version", "a version like \"v25.0\"", is_version);
        let phone_number_id = r.text_of("phone_number_id", "the digits of the number's ID, in quotes", |id| {
            id.bytes().all(|byte| byte.is_ascii_digit()) && id.len() <= 32
        });
        if !r.has("token_file") && !r.has("cert_file") {
            r.missing("token_file", "Put the access token into a file and name it here, or set cert_file for a gateway that holds the token.");
        }
        let token_file = token_file(r);
        let app_secret = secret_file(r, "app_secret_file");
        let identity = identity(r);
        let ca_file = pem(r, "ca_file");
        usable(r, None, ca_file.as_deref(), identity.as_ref());
        let proxy = address(r, "proxy", &["http", "https"]).map(|url| url.to_string());
        let timeout = r.duration("timeout");
        let connect_timeout = r.duration("connect_timeout");
        if let (Some(all), Some(connect)) = (timeout, connect_timeout)
            && connect >= all
        {
            let key = r.own_of("connect_timeout", "timeout");
            let problem = r.problem(key, "uplink.connect_timeout is not shorter than uplink.timeout");
            r.tell(problem.fix("Only a shorter one tells a request that surely was not sent from one that perhaps was."));
        }
        let max_in_flight = r.whole("max_in_flight", 1..=limits::IN_FLIGHT_MAX as u64);
        let health_every = r.duration("health_every");
        if health_every.is_some_and(|every| every < OFTEN) {
            let problem = r.problem("health_every", "is very often: the platform allows 200 questions an hour, for all boxes together");
            r.warn(problem.fix("Leave it at hours: what changes in between is reported by itself to [webhook] or [notice]."));
        }
        let pause = r.yes("pause");
        let (api_version, phone_number_id) = (api_version?, phone_number_id?);
        let max_in_flight = usize::try_from(max_in_flight?).ok()?;
        let door = uplink::Settings {
            base_url: base_url?,
            probe_path: format!("/{api_version}/{phone_number_id}"),
            token_file,
            app_secret,
            identity,
            ca_file,
            proxy,
            timeout: timeout?,
            connect_timeout: connect_timeout?,
            max_in_flight,
        };
        Some(Uplink { door, api_version, phone_number_id, max_in_flight, pause: pause?, health_every: health_every? })
    })
}

/// `uplink.base_url`: HTTPS, for a gateway of one's own too; without TLS only to this machine itself.
fn base_url(r: &mut Reader<'_, '_>) -> Option<String> {
    let url = address(r, "base_url", &["https", "http"])?;
    if url.scheme() == "http" && !is_loopback(&url) {
        let problem = r.problem("base_url", "is without TLS").wanted("an address that begins with https://");
        r.tell(problem.fix("A gateway needs it too: token, phone numbers and texts would cross the network readable."));
        return None;
    }
    Some(url.as_str().trim_end_matches('/').to_owned())
}

fn is_version(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.strip_prefix('v')
        .and_then(|rest| rest.split_once('.'))
        .is_some_and(|(major, minor)| digits(major) && digits(minor))
}

/// An address with one of the schemes and a host; never with a name and password in it.
fn address(r: &mut Reader<'_, '_>, key: &str, schemes: &[&str]) -> Option<Url> {
    let text = r.text(key)?;
    let wanted = format!("an address like {}://host:port", schemes.join(":// or "));
    let refuse = |r: &mut Reader<'_, '_>, found: &str, fix: &str| {
        let problem: Problem = r.problem(key, found).wanted(wanted.clone()).fix(fix);
        r.tell(problem);
        None
    };
    // The broker's client asks DNS for the name as it stands, and the uplink's has no tables of letters.
    if !text.is_ascii() {
        return refuse(r, "has letters beyond ASCII", "Write the host's name as DNS holds it, xn--….");
    }
    let url = match Url::parse(&text) {
        Ok(url) if schemes.contains(&url.scheme()) && url.host_str().is_some_and(|host| !host.is_empty()) => url,
        Ok(url) if text.contains("://") => {
            let found = format!("begins with {}://", url.scheme());
            return refuse(r, if schemes.contains(&url.scheme()) { "names no host" } else { &found }, "");
        }
        _ => return refuse(r, "is no address", ""),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return refuse(
            r,
            "holds a user name or password; it is not shown here",
            "Use username and password_file where the table has them.",
        );
    }
    if url.query().is_some() || url.fragment().is_some() || (url.scheme().starts_with("mqtt") && url.path().len() > 1) {
        return refuse(r, "has more than host and port", "");
    }
    Some(url)
}

/// The host without the brackets of IPv6.
fn host(url: &Url) -> String {
    url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned()
}

fn is_loopback(url: &Url) -> bool {
    let host = host(url);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// `cert_file` and `key_file`, both or neither.
pub(super) fn identity(r: &mut Reader<'_, '_>) -> Option<(PathBuf, PathBuf)> {
    for (have, lack) in [("cert_file", "key_file"), ("key_file", "cert_file")] {
        if r.has(have) && !r.has(lack) {
            let problem =
                r.problem(have, format!("is set without {lack}")).fix("A certificate and its key go together.");
            r.tell(problem);
        }
    }
    let (cert, key) = (pem(r, "cert_file"), pem(r, "key_file"));
    cert.zip(key)
}

/// A file of TLS. What it holds is remembered, since the doors read it only once.
fn pem(r: &mut Reader<'_, '_>, key: &str) -> Option<PathBuf> {
    let (path, content) = r.file(key)?;
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    r.account.contents.insert(r.key(key), hasher.finish());
    Some(path)
}

/// Sets TLS up as the door will, so that files it cannot use are told now and not at the start. `host` where the door names
/// it beforehand.
fn usable(r: &mut Reader<'_, '_>, host: Option<&str>, ca_file: Option<&Path>, identity: Option<&(PathBuf, PathBuf)>) {
    let clock = SystemClock::start(None);
    // Apart, so that both are told.
    for (ca_file, identity) in [(ca_file, None), (None, identity)] {
        let set_up = match host {
            Some(host) => tls::client_config_for(host, ca_file, identity, &clock),
            None => tls::client_config(ca_file, identity, &[], &clock),
        };
        let Err(wrong) = set_up else { continue };
        let key = match (wrong.file(), identity) {
            (None, _) => {
                if host.is_some() {
                    "url"
                } else {
                    "base_url"
                }
            }
            (Some(_), None) => "ca_file",
            (Some(file), Some((_, key))) => {
                if file == key {
                    "key_file"
                } else {
                    "cert_file"
                }
            }
        };
        let problem = r.problem(key, wrong.to_string());
        r.tell(problem);
    }
}

/// `uplink.token_file`, by the door's own rule. The token itself is left to the door.
fn token_file(r: &mut Reader<'_, '_>) -> Option<PathBuf> {
    let (path, content) = r.file("token_file")?;
    if let Err(wrong) = uplink::token(&content) {
        let problem = r.problem("token_file", format!("the file {wrong}"));
        r.tell(problem);
    }
    Some(path)
}

/// The secret that `key` names the file of.
pub(super) fn secret_file(r: &mut Reader<'_, '_>, key: &str) -> Option<Secret> {
    r.file(key).and_then(|(_, content)| secret(r, key, content))
}

/// The one line that a secret file holds.
fn secret(r: &mut Reader<'_, '_>, key: &str, content: Vec<u8>) -> Option<Secret> {
    let text = String::from_utf8(content).ok().map(|text| Secret::new(&text));
    let usable = text.filter(|secret| !secret.reveal().is_empty() && !secret.reveal().contains(['\r', '\n', '\0']));
    if usable.is_none() {
        let problem =
            r.problem(key, "the file does not hold one line of text").fix("It holds the secret and nothing else.");
        r.tell(problem);
    }
    usable
}
