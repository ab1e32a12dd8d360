//! Brings reports to the callback: asks it first, gathers, signs, posts, and tries again with growing pauses.
//!
//! Floor: demo. Never follows a redirect, never resends by itself: every post is one that was meant.

use super::super::{State, lock};
use super::shape::{Sender, signature};
use super::{Callback, Due, Report, Tally};
use bytes::Bytes;
use reqwest::{Client, Url};
use rustls::RootCertStore;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Posts at a time: the callback is asked for concurrent requests (facts 4.1).
const AT_ONCE: usize = 8;
/// How long an answer is waited for (facts 4.1: about 20 s).
const PATIENCE: Duration = Duration::from_secs(20);
/// The longest pause between two tries of the handshake; it begins with a twentieth of it.
const SHAKE: Duration = Duration::from_secs(5);

/// Runs until it is dropped.
pub(in super::super) async fn deliver(state: Arc<State>, callback: Callback, mut queue: UnboundedReceiver<Due>) {
    let tell = state.settings.tell;
    let client = match client(&callback) {
        Ok(client) => client,
        Err(why) => return tell(&format!("nothing is reported to {}: {why}", callback.url)),
    };
    shake_hands(&state, &callback, &client).await;
    let courier = Arc::new(Courier { state, callback, client, room: Semaphore::new(AT_ONCE) });
    let mut waiting: BinaryHeap<Reverse<Next>> = BinaryHeap::new();
    let (mut posts, mut count) = (JoinSet::new(), 0);
    loop {
        let manner = courier.state.lock().manner.clone();
        let leave = waiting.peek().map(|next| next.0.at + manner.gather);
        let pause = async {
            match leave {
                Some(leave) => tokio::time::sleep_until(leave).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            due = queue.recv() => {
                let Some(Due { trial, at, report }) = due else { return };
                count += 1;
                waiting.push(Reverse(Next { at, count, trial, report }));
            }
            () = pause => {
                let (now, trial) = (Instant::now(), courier.trial());
                let mut reports = Vec::new();
                while reports.len() < manner.batch.max(1) && waiting.peek().is_some_and(|next| next.0.at <= now) {
                    match waiting.pop() {
                        Some(Reverse(next)) if next.trial == trial => reports.push(next.report),
                        _ => courier.tally(|tally| tally.pending -= 1),
                    }
                }
                if reports.is_empty() {
                    continue;
                }
                // A body of its own for every second one, so that readers see both shapes.
                posts.spawn(courier.clone().bring(reports, count % 2 == 0));
            }
            Some(_) = posts.join_next() => {}
        }
    }
}

/// A report in wait: by its time, then by its turn.
struct Next {
    at: Instant,
    count: u64,
    trial: u64,
    report: Report,
}

impl PartialEq for Next {
    fn eq(&self, other: &Next) -> bool {
        (self.at, self.count) == (other.at, other.count)
    }
}
impl Eq for Next {}
impl PartialOrd for Next {
    fn partial_cmp(&self, other: &Next) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Next {
    fn cmp(&self, other: &Next) -> std::cmp::Ordering {
        (self.at, self.count).cmp(&(other.at, other.count))
    }
}

fn client(callback: &Callback) -> Result<Client, String> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for authority in &callback.authorities {
        roots.add(authority.clone()).map_err(|error| error.to_string())?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Client::builder()
        .tls_backend_preconfigured(tls)
        .http1_only()
        .retry(reqwest::retry::never())
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(PATIENCE)
        .user_agent("facebookexternalua")
        .build()
        .map_err(|error| error.to_string())
}

/// The first request: whoever answers it right wants our reports. Asked again until then.
async fn shake_hands(state: &State, callback: &Callback, client: &Client) {
    let tell = state.settings.tell;
    let mut pause = SHAKE / 20;
    loop {
        let trouble = match ask(callback, client).await {
            Ok(()) => String::new(),
            Err(why) => why,
        };
        let news = {
            let Some(post) = &state.post else { return };
            let mut tally = lock(&post.tally);
            tally.verified = trouble.is_empty();
            std::mem::replace(&mut tally.trouble, trouble.clone()) != trouble
        };
        if trouble.is_empty() {
            return tell(&format!("the callback {} is verified", callback.url));
        }
        if news {
            tell(&format!("the callback {} is not verified, and asked again: {trouble}", callback.url));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(SHAKE);
    }
}

async fn ask(callback: &Callback, client: &Client) -> Result<(), String> {
    let mut url = Url::parse(&callback.url).map_err(|error| error.to_string())?;
    let challenge = fastrand::u32(100_000_000..=999_999_999).to_string();
    url.query_pairs_mut()
        .append_pair("hub.mode", "subscribe")
        .append_pair("hub.challenge", &challenge)
        .append_pair("hub.verify_token", &callback.verify_token);
    let answer = client.get(url).send().await.map_err(|error| why(&error))?;
    let status = answer.status();
    let body = answer.bytes().await.map_err(|error| why(&error))?;
    match status.as_u16() {
        200 if body == challenge.as_bytes() => Ok(()),
        200 => Err("it did not answer with the challenge alone".to_owned()),
        status => Err(format!("it answered with status {status}, not 200; the verify token may be another")),
    }
}

/// The innermost reason, which is the one that says something.
fn why(error: &reqwest::Error) -> String {
    let mut error: &dyn std::error::Error = error;
    while let Some(deeper) = error.source() {
        error = deeper;
    }
    error.to_string()
}

struct Courier {
    state: Arc<State>,
    callback: Callback,
    client: Client,
    room: Semaphore,
}

impl Courier {
    /// Posts one body until it is taken or too old.
    async fn bring(self: Arc<Self>, reports: Vec<Report>, together: bool) {
        let body = Bytes::from(self.sender().body(&reports, together, jiff::Timestamp::now()).to_string());
        let signature = signature(&self.callback.app_secret, &body);
        let (started, count, trial) = (Instant::now(), reports.len() as u64, self.trial());
        drop(reports);
        let mut pause = self.state.lock().manner.retry_first;
        loop {
            if self.trial() != trial {
                return self.tally(|tally| tally.pending -= count);
            }
            let trouble = self.post(body.clone(), &signature).await.err();
            let manner = self.state.lock().manner.clone();
            let Some(post) = &self.state.post else { return };
            let (wait, end) = {
                let mut tally = lock(&post.tally);
                tally.posts += 1;
                let end = trouble.is_none() || started.elapsed() + pause > manner.give_up;
                match &trouble {
                    None => tally.delivered += count,
                    Some(_) => {
                        tally.refused += 1;
                        tally.given_up += if end { count } else { 0 };
                    }
                }
                tally.pending -= if end { count } else { 0 };
                tally.trouble = trouble.unwrap_or_default();
                // A tenth more or less, so that what failed together does not come back together.
                (pause.mul_f64(0.9 + 0.2 * lock(&post.dice).f64()), end)
            };
            self.state.change(|_| {});
            if end {
                return;
            }
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(manner.retry_most);
        }
    }

    fn trial(&self) -> u64 {
        self.state.post.as_ref().map_or(0, |post| post.trial.load(Ordering::SeqCst))
    }

    fn tally(&self, change: impl FnOnce(&mut Tally)) {
        if let Some(post) = &self.state.post {
            change(&mut lock(&post.tally));
        }
    }

    async fn post(&self, body: Bytes, signature: &str) -> Result<(), String> {
        let _room = self.room.acquire().await.map_err(|error| error.to_string())?;
        let request = self.client.post(&self.callback.url).header("content-type", "application/json");
        let request = request.header("x-hub-signature-256", signature).body(body);
        let answer = request.send().await.map_err(|error| why(&error))?;
        match answer.status().as_u16() {
            200 => Ok(()),
            status => Err(format!("it answered with status {status}")),
        }
    }

    fn sender(&self) -> Sender<'_> {
        let settings = &self.state.settings;
        Sender {
            account: &self.callback.account,
            phone_number_id: &settings.phone_number_id,
            own_number: &settings.own_number,
        }
    }
}
