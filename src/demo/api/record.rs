//! Every request as a line of JSON, for whoever wants to look at it or to play it again.
//!
//! Floor: demo. The token and what is made of it never get into the file. Numbers and texts do: keep it as you keep them.
//!
//! ```text
//! {"time":"2026-11-22T12:00:00.123Z","at_ms":1500,"method":"POST","path":"/v25.0/…/messages","http":2,
//!  "headers":{"authorization":"Bearer [token]",…},"body":{…as it came…},"answer":{"status":200,"body":{…}}}
//! ```
//! An answer that is none: `{"none":"hang"}`, `{"none":"reset"}`, or the name of the fault that came before the body.

use super::decide::{Ending, Reply};
use super::{lock, query};
use http::{HeaderMap, HeaderValue, Method, Uri};
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Write};
use std::sync::Mutex;
use std::time::Duration;

/// The file, a line at a time.
pub(super) struct Record(Mutex<File>);

/// What became of a request, as the record tells it.
pub(super) enum Told<'a> {
    Ending(&'a Ending),
    /// By a fault that strikes before the body is read.
    Fault(&'static str),
}

impl Record {
    pub(super) fn new(file: File) -> Record {
        Record(Mutex::new(file))
    }

    /// Writes one line, in one piece: whoever reads along sees whole lines.
    ///
    /// # Errors
    /// The file takes no more.
    pub(super) fn write(
        &self,
        at: Duration,
        token: &str,
        head: &Head,
        body: Option<&[u8]>,
        told: Told,
    ) -> io::Result<()> {
        let secrets = head.secrets(body, token);
        let hide = |text: String| secrets.iter().fold(text, |text, (secret, name)| text.replace(secret.as_str(), name));
        let start = json!({
            "time": jiff::Timestamp::now().round(jiff::Unit::Millisecond).unwrap_or_default().to_string(),
            "at_ms": at.as_millis() as u64,
            "method": head.method,
            "path": hide(head.path.clone()),
            "http": if head.http2 { 2 } else { 1 },
            "headers": head.headers(token),
        });
        let body = body.map_or("null".into(), |body| hide(embedded(body).into_owned()));
        let start = start.to_string();
        let line = format!("{},\"body\":{body},\"answer\":{}}}\n", &start[..start.len() - 1], answer(&told));
        lock(&self.0).write_all(line.as_bytes())
    }
}

/// What is kept of a request beside its body.
pub(super) struct Head {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    http2: bool,
}

impl Head {
    pub(super) fn of(method: &Method, uri: &Uri, headers: &HeaderMap, http2: bool) -> Head {
        let path = uri.path_and_query().map_or_else(String::new, ToString::to_string);
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
        Head { method: method.to_string(), path, headers, http2 }
    }

    /// Which token came is told, not the token itself.
    fn headers(&self, token: &str) -> Value {
        let shown = self.headers.iter().map(|(name, value)| {
            let value = match (name.as_str(), value.strip_prefix("Bearer ")) {
                ("authorization", Some(sent)) if sent == token => "Bearer [token]",
                ("authorization", _) => "[another token]",
                _ => value,
            };
            (name.clone(), value.into())
        });
        Value::Object(shown.collect::<Map<_, _>>())
    }

    /// Texts that must not be written, with what stands for them.
    fn secrets(&self, body: Option<&[u8]>, token: &str) -> Vec<(String, &'static str)> {
        let mut secrets = vec![(token.to_owned(), "[token]")];
        let mut add = |name: &str, value: &str| match name {
            "access_token" => secrets.push((value.to_owned(), "[token]")),
            "appsecret_proof" => secrets.push((value.to_owned(), "[proof]")),
            _ => {}
        };
        for (name, _, as_it_came) in query::pairs(self.path.split_once('?').map_or("", |(_, query)| query)) {
            add(&name, as_it_came);
        }
        let body = body.and_then(|body| serde_json::from_slice::<Value>(body).ok()).unwrap_or_default();
        for name in ["access_token", "appsecret_proof"] {
            add(name, body[name].as_str().unwrap_or_default());
        }
        secrets.retain(|(secret, _)| !secret.is_empty());
        secrets
    }
}

/// A body as it came if it is JSON (a line break in JSON is only space), else as a text.
fn embedded(body: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(body) {
        Ok(text) if serde_json::from_str::<IgnoredAny>(text).is_ok() => {
            if text.contains(['\n', '\r']) {
                text.replace(['\n', '\r'], " ").into()
            } else {
                text.into()
            }
        }
        _ => Value::from(String::from_utf8_lossy(body)).to_string().into(),
    }
}

fn answer(told: &Told) -> String {
    let reply = |reply: &Reply, after: Option<Duration>| {
        let after = after.map_or_else(String::new, |after| format!("\"after_ms\":{},", after.as_millis()));
        let body = if reply.body.is_empty() { "null".into() } else { embedded(&reply.body) };
        format!("{{\"status\":{},{after}\"body\":{body}}}", reply.status)
    };
    match told {
        Told::Ending(Ending::Answer(it)) => reply(it, None),
        Told::Ending(Ending::Later(after, it)) => reply(it, Some(*after)),
        Told::Ending(Ending::Never) => json!({ "none": "hang" }).to_string(),
        Told::Ending(Ending::Cut | Ending::Drop) => json!({ "none": "reset" }).to_string(),
        Told::Fault(name) => json!({ "none": name }).to_string(),
    }
}
