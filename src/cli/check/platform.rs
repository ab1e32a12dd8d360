//! The way to the platform and what it thinks of us: name, connection, proxy, TLS, token, number, templates.
//!
//! Floor: roof. Asks only what changes nothing. Never prints the platform's own words on a token: they may quote it.

use super::online::{self, Place, Said, Trial};
use crate::config::Loaded;
use crate::door::clock::SystemClock;
use crate::door::tls::{self, ServerAsked};
use crate::door::trial;
use crate::door::uplink::{self, Question, Settings};
use crate::message::{Answer, Lost, NotSent};
use crate::rules;
use crate::time::Wall;
use crate::whatsapp::{self, health};
use reqwest::Url;
use serde_json::{Value, json};
use std::time::Duration;

const PART: &str = "uplink";
/// One question with its answer; `uplink.timeout` where that is shorter.
const ANSWER: Duration = Duration::from_secs(15);
/// Bytes of an answer: a page of templates with all their components.
const BODY: usize = 2 << 20;
/// Templates on a page, and the pages of the largest account (facts 1.4: 6,000 templates).
const PAGE: usize = 100;
const PAGES: usize = 60;
const LATE: &str = "See the line; a proxy or gateway on the way may swallow it.";

/// Returns by how many milliseconds our clock is ahead of the platform's, if its name was proven.
pub(super) async fn attempt(trial: &mut Trial<'_>, loaded: &Loaded, clock: &SystemClock) -> Option<i64> {
    let settings = &loaded.config.uplink;
    let mut steps = vec!["name", "connection", "TLS", "token", "number", "templates"];
    if settings.proxy.is_some() {
        steps.insert(2, "proxy");
    }
    let mut ahead = None;
    if attempt_all(trial, loaded, settings, clock, &mut ahead).await.is_none() {
        trial.rest(PART, &steps);
    }
    ahead
}

async fn attempt_all(
    trial: &mut Trial<'_>,
    loaded: &Loaded,
    settings: &Settings,
    clock: &SystemClock,
    ahead: &mut Option<i64>,
) -> Option<()> {
    way(trial, settings, clock).await?;
    let question = Question::open(settings, clock);
    let within = ANSWER.min(settings.timeout);
    let question = trial
        .step((PART, "token"), within, LATE, async {
            let question = question.map_err(|problem| Said::no(problem.to_string(), ""))?;
            let (answered, date) = ask(&question, Asked::Id, &settings.probe_path, "fields=id").await;
            *ahead = date.map(|date| clock.now().wall.reading().0 - date.0);
            answered?;
            let said =
                if settings.token_file.is_some() { "the platform takes it" } else { "not needed by the gateway" };
            Ok((question, Said::fine(said)))
        })
        .await?;
    let account = trial
        .step((PART, "number"), within, LATE, async {
            let fields = format!("fields={}", health::NUMBER_FIELDS);
            let body = ask(&question, Asked::Fields, &settings.probe_path, &fields).await.0?;
            let account = health::account(&body["health_status"]);
            number(&body).map(|said| (account, said))
        })
        .await?;
    let names = loaded.rules.template_names();
    let list = loaded.config.rooms.rules.templates.as_deref();
    match (list, account) {
        _ if names.is_empty() => trial.not_tried((PART, "templates"), "no rule sends a template"),
        (None, _) => trial.not_tried((PART, "templates"), "no template list is named"),
        (_, None) => trial.not_tried(
            (PART, "templates"),
            "the answer on the number names no account (health_status without a WABA): compare the list in WhatsApp Manager",
        ),
        (Some(list), Some(account)) => {
            let version = &loaded.config.rooms.whatsapp.api_version;
            trial
                .step((PART, "templates"), ANSWER, LATE, async {
                    let platform = templates(&question, version, &account).await?;
                    compare(list, &platform, &names).map(|said| ((), said))
                })
                .await?;
        }
    }
    Some(())
}

/// Down to a verified connection, as the client will open it.
async fn way(trial: &mut Trial<'_>, settings: &Settings, clock: &SystemClock) -> Option<()> {
    // Both were read as addresses when the configuration was checked.
    let base = Url::parse(&settings.base_url).ok()?;
    let proxy = settings.proxy.as_ref().and_then(|proxy| Url::parse(proxy).ok());
    let (host, port) = ends(&base)?;
    let (near, near_port) = proxy.as_ref().map_or(Some((host.clone(), port)), ends)?;
    let key = if proxy.is_some() { "uplink.proxy" } else { "uplink.base_url" };
    let mut line: Box<dyn trial::Line> =
        Box::new(Place { part: PART, key, host: &near, port: near_port }.reach(trial).await?);
    let config =
        || tls::client_config(settings.ca_file.as_deref(), settings.identity.as_ref(), &[b"h2", b"http/1.1"], clock);
    let plain = base.scheme() == "http";
    if let Some(proxy) = &proxy {
        if plain {
            trial.not_tried((PART, "proxy"), "uplink.base_url begins with http://: there is nothing to tunnel");
        } else {
            let with = (proxy.scheme() == "https").then(config);
            line = through(trial, line, (&near, with, settings), (&host, port)).await?;
        }
    }
    if plain {
        trial.not_tried((PART, "TLS"), "uplink.base_url begins with http://, which is without TLS");
        return Some(());
    }
    let server = ServerAsked { host: &host, ca_file: settings.ca_file.as_deref() };
    let words = (uplink::tls_words as fn(&_) -> _, clock.verification_time());
    online::handshake(trial, PART, line, server, config(), words).await.map(drop)
}

/// The step `proxy`.
async fn through(
    trial: &mut Trial<'_>,
    mut line: Box<dyn trial::Line>,
    (near, config, settings): (&str, Option<Result<rustls::ClientConfig, tls::TlsProblem>>, &Settings),
    (host, port): (&str, u16),
) -> Option<Box<dyn trial::Line>> {
    trial
        .step((PART, "proxy"), ANSWER.min(settings.connect_timeout), LATE, async {
            if let Some(config) = config {
                let config = config.map_err(|problem| Said::no(problem.to_string(), ""))?;
                let server = ServerAsked { host: near, ca_file: settings.ca_file.as_deref() };
                let shaken = trial::handshake(line, config, &server).await;
                line = shaken.map_err(|why| Said::no(format!("TLS with the proxy: {why}"), ""))?.line;
            }
            match trial::tunnel(&mut *line, host, port).await {
                Ok(()) => Ok((line, Said::fine(format!("lets us through to {host}:{port}")))),
                Err(why) => {
                    let fix = format!(
                        "Check uplink.proxy, and have {host}:{port} allowed there; a proxy that asks for a password is not \
                         supported."
                    );
                    Err(Said::no(format!("does not let us through to {host}:{port}: {why}"), fix))
                }
            }
        })
        .await
}

/// Host without the brackets of IPv6, and port.
fn ends(url: &Url) -> Option<(String, u16)> {
    let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']').to_owned();
    Some((host, url.port_or_known_default()?))
}

/// What was asked, for the codes that mean "no such thing, or not for this token".
#[derive(Clone, Copy)]
enum Asked {
    Id,
    Fields,
    Templates,
}

impl Asked {
    fn unknown(self) -> &'static str {
        match self {
            Asked::Id => {
                "No such number, or the token may not see it: uplink.phone_number_id is the ID (not the number), and the \
                 token's system user needs the account assigned."
            }
            Asked::Fields => {
                "The number is there, but the token may not ask for its quality and health, or uplink.api_version does not \
                 know them: the token needs whatsapp_business_management."
            }
            Asked::Templates => {
                "The token may send and may not list templates: it needs whatsapp_business_management, and its system user \
                 access to the account."
            }
        }
    }
}

/// What the platform answers, and the time that it says it is, which a refusal has too.
async fn ask(question: &Question, asked: Asked, path: &str, query: &str) -> (Result<Value, Said>, Option<Wall>) {
    let said = match question.get(path, query, BODY).await {
        Ok(Answer::Http { status, body, date }) => {
            let body: Value = serde_json::from_slice(&body).unwrap_or_default();
            let right = status == 200 && body.is_object();
            return (if right { Ok(body) } else { Err(refused(status, &body, asked)) }, date);
        }
        Ok(Answer::NotSent(NotSent::Tls(why))) | Err(why) => Said::no(why, ""),
        Ok(Answer::NotSent(NotSent::NoConnection(why)) | Answer::Lost(Lost::Broken(why))) => {
            Said::unreachable(why, LATE)
        }
        Ok(Answer::NotSent(NotSent::StreamRefused)) => Said::unreachable("the server takes no request now", LATE),
        Ok(Answer::Lost(Lost::Timeout)) => Said::unreachable("no answer within uplink.timeout", LATE),
    };
    (Err(said), None)
}

/// By the platform's code; its words only where they are no secret's.
fn refused(status: u16, body: &Value, asked: Asked) -> Said {
    let error = &body["error"];
    let Some(code) = error["code"].as_i64() else {
        let found = format!("HTTP {status}, and not in the API's form: something else answers there");
        return if status >= 500 {
            Said::unreachable(format!("HTTP {status}"), LATE)
        } else {
            Said::no(found, "Check uplink.base_url and uplink.proxy; a login page or filter may stand in between.")
        };
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let words = text(&error["message"]) + &text(&error["error_data"]["details"]);
    let found = format!("refused with code {code}");
    if words.contains("appsecret_proof") {
        return Said::no(
            found,
            "The app wants a valid appsecret_proof: set uplink.app_secret_file to the secret of the app that the token is of.",
        );
    }
    if code == 100 || code == 33 {
        return Said::no(found, asked.unknown());
    }
    match whatsapp::row(code) {
        Some(row) => {
            let mut letters = row.hint.chars();
            let hint = letters.next().map(|first| format!("{}{}.", first.to_uppercase(), letters.as_str()));
            Said::no(found, hint.unwrap_or_default())
        }
        None if status >= 500 => Said::unreachable(format!("{found} (HTTP {status})"), LATE),
        None => Said::no(format!("{found} (HTTP {status})"), "See the platform's list of error codes."),
    }
}

/// Quality and health in words (facts 2.3, 2.5 and 5).
fn number(body: &Value) -> Result<Said, Said> {
    let word = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => "unknown".to_owned(),
    };
    let quality = word(&body["quality_rating"]);
    let limit = word(&body["whatsapp_business_manager_messaging_limit"]);
    let standing = &body["health_status"];
    let can = word(&standing["can_send_message"]);
    let found = format!(
        "quality {quality}, can send: {can}, people in 24 h: {}, speed {}",
        limit.trim_start_matches("TIER_"),
        word(&body["throughput"]["level"])
    );
    let advice = health::advice(standing);
    let advice = if advice.is_empty() { "See the number in WhatsApp Manager.".to_owned() } else { advice.join(" ") };
    match (can.as_str(), quality.as_str()) {
        ("BLOCKED", _) => Err(Said::no(found, advice)),
        ("LIMITED", _) => Ok(Said::warning(found, advice)),
        (_, "RED" | "YELLOW") => {
            Ok(Said::warning(found, "People block or report these messages: send less, and only what they agreed to."))
        }
        _ => Ok(Said::fine(found)),
    }
}

/// The account's whole list, page by page, in the platform's own shape.
async fn templates(question: &Question, version: &str, account: &str) -> Result<String, Said> {
    let path = format!("/{version}/{account}/message_templates");
    let fields = "name,language,status,category,parameter_format,components";
    let mut all = Vec::new();
    let mut after: Option<String> = None;
    for _ in 0..PAGES {
        let mut query = format!("fields={fields}&limit={PAGE}");
        if let Some(after) = &after {
            let cursor = Url::parse_with_params("http://x", [("after", after)]).ok();
            query = format!("{query}&{}", cursor.as_ref().and_then(Url::query).unwrap_or_default());
        }
        let mut body = ask(question, Asked::Templates, &path, &query).await.0?;
        match body["data"].take() {
            Value::Array(page) => all.extend(page),
            _ => {
                return Err(Said::no(
                    "the answer is no template list",
                    "Check uplink.base_url: is it a gateway that filters?",
                ));
            }
        }
        // The link itself would hold the token.
        let more = !body["paging"]["next"].is_null();
        after = body["paging"]["cursors"]["after"].as_str().filter(|_| more).map(str::to_owned);
        if after.is_none() {
            return Ok(json!({ "data": all }).to_string());
        }
    }
    Err(Said::no(format!("more than {} templates", PAGE * PAGES), "Delete those that are not used any more."))
}

fn compare(file: &str, platform: &str, names: &[String]) -> Result<Said, Said> {
    let found = rules::compare(file, platform, names).map_err(|why| {
        Said::no(format!("the platform's list {why}"), "Check uplink.base_url: is it a gateway that changes answers?")
    })?;
    if found.is_empty() {
        return Ok(Said::fine(format!("{} in use, all as in the file", names.len())));
    }
    let list = found.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let fix = "Fetch the list again (README, Connecting a real number), run `branchline check`, and reload.";
    if found.iter().any(|difference| difference.change.matters()) {
        Err(Said::no(list, fix))
    } else {
        Ok(Said::warning(list, fix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::check::online::Outcome;

    #[test]
    fn quality_and_health_in_words() {
        let health = |can: &str| {
            json!({ "can_send_message": can, "entities": [
                { "entity_type": "PHONE_NUMBER", "id": "1", "can_send_message": "AVAILABLE" },
                { "entity_type": "WABA", "id": "42", "can_send_message": can, "errors": [
                    { "error_code": 141006, "error_description": "payment", "possible_solution": "Add a payment method." }],
                  "additional_info": ["The name is under review."] },
            ]})
        };
        for (quality, can, outcome, words) in [
            (
                "GREEN",
                "AVAILABLE",
                Outcome::Fine,
                "quality GREEN, can send: AVAILABLE, people in 24 h: 2K, speed STANDARD",
            ),
            ("UNKNOWN", "AVAILABLE", Outcome::Fine, "quality UNKNOWN"),
            ("YELLOW", "AVAILABLE", Outcome::Warning, "send less"),
            ("RED", "AVAILABLE", Outcome::Warning, "send less"),
            ("GREEN", "LIMITED", Outcome::Warning, "Add a payment method. The name is under review."),
            ("GREEN", "BLOCKED", Outcome::No, "Add a payment method."),
        ] {
            let body = json!({ "quality_rating": quality, "whatsapp_business_manager_messaging_limit": "TIER_2K",
                "throughput": { "level": "STANDARD" }, "health_status": health(can) });
            let said = number(&body).unwrap_or_else(|no| no);
            assert_eq!(said.outcome, outcome, "{quality} {can}");
            assert!(format!("{}. {}", said.found, said.fix).contains(words), "{said:?}");
        }
        assert!(number(&json!({ "id": "1" })).is_ok(), "a gateway may answer less");
    }

    #[test]
    fn refusals_say_what_to_do_and_quote_no_token() {
        let error = |code: i64, message: &str| json!({ "error": { "code": code, "message": message } });
        for (status, body, outcome, words) in [
            (401, error(190, "Malformed access token EAAGsecret"), Outcome::No, "replace the token file"),
            (403, error(10, "(#10) Permission Denied"), Outcome::No, "permission"),
            (400, error(100, "Invalid appsecret_proof provided"), Outcome::No, "uplink.app_secret_file"),
            (500, error(999_999, "?"), Outcome::Unreachable, "code 999999"),
            (400, error(999_999, "?"), Outcome::No, "code 999999"),
            (503, Value::Null, Outcome::Unreachable, "HTTP 503"),
            (302, Value::Null, Outcome::No, "login page"),
            (200, Value::Null, Outcome::No, "something else answers there"),
        ] {
            let said = refused(status, &body, Asked::Id);
            let text = format!("{}. {}", said.found, said.fix);
            assert_eq!(said.outcome, outcome, "{text}");
            assert!(text.to_lowercase().contains(&words.to_lowercase()) && !text.contains("EAAG"), "{text}");
        }
    }
    /// After "the platform takes it" the number is not what is wrong.
    #[test]
    fn code_100_means_what_was_asked_for() {
        let body = json!({ "error": { "code": 100, "message": "Unsupported get request" } });
        for (asked, words) in [
            (Asked::Id, "phone_number_id is the ID"),
            (Asked::Fields, "uplink.api_version"),
            (Asked::Templates, "needs whatsapp_business_management, and its system user access to the account"),
        ] {
            let said = refused(400, &body, asked);
            assert!(said.outcome == Outcome::No && said.fix.contains(words), "{said:?}");
            assert_eq!(said.fix.contains("phone_number_id"), matches!(asked, Asked::Id));
        }
    }
}
