//! Who asks, and for what: version and object of the path, token, proof, and the form of the request.
//!
//! Floor: demo.

use super::decide::Request;
use super::json::{self, Checked};
use super::message::Edge;
use super::query;
use super::refusal::Refusal;
use super::state::{Inner, State};
use ring::hmac;
use serde_json::Value;

/// What the path names.
pub(super) enum Wanted {
    /// The sender number.
    Number,
    /// What is sent from it.
    Send(Edge),
    /// The WhatsApp business account.
    Account,
    /// Its templates.
    Templates,
    /// Something else by its id: a template, if any.
    Other(String),
}

/// Version, token and proof of a request; then what it wants.
pub(super) fn admit(state: &State, request: &Request, body: Option<&Value>) -> Checked<Wanted> {
    let mut parts = request.path.trim_start_matches('/').split('/');
    version(parts.next().unwrap_or_default(), &state.settings.versions)?;
    let token = bearer(state, request)?;
    if let Some(secret) = &state.settings.app_secret {
        let sent = query::value(&request.query, "appsecret_proof")
            .or_else(|| body.and_then(|body| body.get("appsecret_proof")?.as_str()).map(str::to_owned));
        match sent {
            None if !state.settings.require_proof => {}
            None => return Err(Refusal::no_proof("API calls from the server require an appsecret_proof argument")),
            Some(sent) if sent != signed(secret, token.as_bytes()) => {
                return Err(Refusal::no_proof("Invalid appsecret_proof provided in the API argument"));
            }
            Some(_) => {}
        }
    }
    let (id, edge) = (parts.next().unwrap_or_default(), parts.next());
    let waba = state.lock().account.waba_id.clone();
    match (id, edge, parts.next()) {
        (id, edge, None) if id == state.settings.phone_number_id => match edge {
            None => Ok(Wanted::Number),
            Some("messages") => Ok(Wanted::Send(Edge::Messages)),
            Some("marketing_messages") => Ok(Wanted::Send(Edge::Marketing)),
            Some("media") if request.post => {
                Err(Refusal::new(131053, "this simulator keeps no files: media goes by its link"))
            }
            Some(_) => Err(Refusal::no_such_object()),
        },
        (id, None, None) if id == waba => Ok(Wanted::Account),
        (id, Some("message_templates"), None) if id == waba => Ok(Wanted::Templates),
        (id, None, None) if !id.is_empty() => Ok(Wanted::Other(id.to_owned())),
        _ => Err(Refusal::no_such_object()),
    }
}

/// The body of a POST, read.
pub(super) fn json<'b>(request: &Request, body: Option<&'b Value>) -> Checked<&'b Value> {
    if request.body.is_none() {
        return Err(Refusal::new(100, "the request body is too large"));
    }
    if !request.json {
        return Err(Refusal::new(100, "the content type must be application/json"));
    }
    body.ok_or_else(|| {
        // What is wrong with it, now that somebody wants to know.
        let bytes = request.body.as_deref().unwrap_or_default();
        match json::read(bytes).err().filter(serde_json::Error::is_data) {
            Some(wrong) => Refusal::new(100, format!("the request body is refused: {wrong}")),
            None => Refusal::new(100, "the request body is not JSON"),
        }
    })
}

/// [?] A call without a version takes the newest that the app may use (facts 0), and an expired one is said to be answered by
/// the oldest that is alive. Both are refused here, so that nobody depends on it.
fn version(sent: &str, known: &[String]) -> Checked<()> {
    if known.iter().any(|known| known == sent) {
        return Ok(());
    }
    let number = |version: &str| {
        let (major, minor) = version.strip_prefix('v')?.split_once('.')?;
        Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
    };
    let Some(sent_number) = number(sent) else {
        return Err(Refusal::new(100, "the path must begin with an API version, like /v25.0/"));
    };
    let expired = known.iter().filter_map(|known| number(known)).all(|known| sent_number < known);
    let why = if expired { "has expired" } else { "is not known" };
    Err(Refusal::new(100, format!("API version {sent} {why}; this simulator has {}", known.join(", "))))
}

fn bearer(state: &State, request: &Request) -> Checked<String> {
    // [?] Without a token the codes 104 and 200 are both told (facts 3.3); 104 is the one that says so.
    let missing = || Refusal::new(104, "no access token: it goes into the header Authorization, after \"Bearer \"");
    let sent = request.authorization.as_deref().ok_or_else(missing)?;
    let token = sent.strip_prefix("Bearer ").ok_or_else(missing)?;
    if token.is_empty() {
        return Err(missing());
    }
    let inner = state.lock();
    if token == inner.token {
        return Ok(token.to_owned());
    }
    // The subcodes of the Graph API's own page on errors.
    Err(if inner.former_tokens.iter().any(|former| former == token) {
        Refusal::new(190, "the access token has expired").with_subcode(463)
    } else {
        Refusal::new(190, "the access token is invalid").with_subcode(467)
    })
}

impl Inner {
    /// The token that was taken so far has expired.
    pub(super) fn replace_token(&mut self, token: &str) {
        let former = std::mem::replace(&mut self.token, token.to_owned());
        self.former_tokens.retain(|old| old != token && *old != former);
        self.former_tokens.push(former);
    }
}

/// Hex HMAC-SHA256 keyed by the app secret: of the token it is the proof (facts 5), of a body the signature (facts 4.1).
pub(super) fn signed(app_secret: &str, what: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, app_secret.as_bytes());
    hmac::sign(&key, what).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
