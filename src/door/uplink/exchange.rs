//! One HTTP exchange: what is sent, what is read of the answer.
//!
//! Floor: doors. Sends each request once: no retry, no redirect, no proxy that was not configured.

use super::gate::Gate;
use super::{Problem, Settings, trouble};
use crate::door::clock::SystemClock;
use crate::door::secret::Secret;
use crate::door::tls;
use crate::engine::Post;
use crate::limits;
use crate::message::{Answer, hex};
use crate::time::Wall;
use bytes::BytesMut;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderValue};
use reqwest::{Client, RequestBuilder, Url};
use ring::hmac;
use std::time::Duration;

/// A connection that was idle so long is given up: the next request opens a fresh one instead of finding out that a router forgot
/// this one. Common NAT tables forget after one to five minutes.
const POOL_IDLE: Duration = Duration::from_secs(55);
/// An HTTP/2 ping after so long without traffic, also while idle …
const PING_EVERY: Duration = Duration::from_secs(20);
/// … and the end of the connection if it is not answered: a dead one is found before the next request is lost on it.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// All streams together may have this much of their answers on the way; each has `limits::ANSWER`.
const WINDOW: u32 = 8 * limits::ANSWER as u32;

/// The client and what goes into every request.
pub(super) struct Exchange {
    client: Client,
    gate: Gate,
    base_url: String,
    probe_path: String,
    app_secret: Option<Secret>,
    /// The server's name is proven by TLS, so its `Date` may be believed.
    verified: bool,
}

impl Exchange {
    pub(super) fn new(settings: &Settings, clock: &SystemClock) -> Result<Exchange, Problem> {
        let base = Url::parse(&settings.base_url).map_err(|why| Problem::BaseUrl(why.to_string()))?;
        if !matches!(base.scheme(), "https" | "http") || base.query().is_some() || base.fragment().is_some() {
            return Err(Problem::BaseUrl("it has another scheme, or a query".to_owned()));
        }
        let ca_file = settings.ca_file.as_deref();
        let tls = tls::client_config(ca_file, settings.identity.as_ref(), &[b"h2", b"http/1.1"], clock)?;
        Ok(Exchange {
            client: client(settings, tls)?,
            gate: Gate::new(POOL_IDLE),
            base_url: settings.base_url.trim_end_matches('/').to_owned(),
            probe_path: settings.probe_path.clone(),
            app_secret: settings.app_secret.clone(),
            verified: base.scheme() == "https",
        })
    }

    /// Sends a post, once.
    pub(super) async fn post(&self, post: &Post, token: Option<&Secret>) -> Answer {
        let url = self.url(&post.path, None, token);
        let request = self.client.post(url).header(CONTENT_TYPE, "application/json").body(post.body.clone());
        self.gate.pass(self.run(request, token, limits::ANSWER)).await
    }

    /// Asks for the sender number's id: the cheapest question that needs the whole way.
    pub(super) async fn probe(&self, token: Option<&Secret>) -> Answer {
        self.get(&self.probe_path, "fields=id", token, limits::ANSWER).await
    }

    /// Asks for something, reading at most `most` bytes of the answer.
    pub(super) async fn get(&self, path: &str, query: &str, token: Option<&Secret>, most: usize) -> Answer {
        let url = self.url(path, Some(query), token);
        self.gate.pass(self.run(self.client.get(url), token, most)).await
    }

    fn url(&self, path: &str, query: Option<&str>, token: Option<&Secret>) -> String {
        let proof = self.app_secret.as_ref().zip(token).map(|(secret, token)| appsecret_proof(secret, token));
        let query: Vec<&str> = query.into_iter().chain(proof.as_deref()).collect();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}{path}{mark}{}", self.base_url, query.join("&"))
    }

    async fn run(&self, mut request: RequestBuilder, token: Option<&Secret>, most: usize) -> Answer {
        if let Some(token) = token {
            let mut value = HeaderValue::try_from(format!("Bearer {}", token.reveal()))
                .expect("a token is printable ASCII: `token::read` takes no other");
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(error) => return trouble::of_error(error),
        };
        let status = response.status().as_u16();
        let header = response.headers().get(DATE).filter(|_| self.verified);
        let date = header.and_then(|header| date(header.to_str().ok()?));
        let mut body = BytesMut::new();
        while body.len() < most {
            match response.chunk().await {
                Ok(Some(chunk)) => body.extend_from_slice(&chunk[..chunk.len().min(most - body.len())]),
                Ok(None) => break,
                Err(error) => return trouble::of_body(&error.without_url()),
            }
        }
        Answer::Http { status, body: body.freeze(), date }
    }
}

fn client(settings: &Settings, tls: rustls::ClientConfig) -> Result<Client, Problem> {
    // `no_proxy` first: otherwise the environment's proxies are used.
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .retry(reqwest::retry::never())
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("branchline/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(settings.connect_timeout)
        .timeout(settings.timeout)
        .tcp_nodelay(true)
        .tcp_user_timeout(settings.timeout)
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(settings.max_in_flight)
        .http2_keep_alive_interval(PING_EVERY)
        .http2_keep_alive_timeout(PING_TIMEOUT)
        .http2_keep_alive_while_idle(true)
        .http2_initial_stream_window_size(limits::ANSWER as u32)
        .http2_initial_connection_window_size(WINDOW);
    if let Some(proxy) = &settings.proxy {
        builder = builder.proxy(reqwest::Proxy::all(proxy).map_err(|_| Problem::Proxy)?);
    }
    builder.build().map_err(|why| Problem::Library(why.without_url().to_string()))
}

/// `appsecret_proof=` and the hex HMAC-SHA256 of the token under the app secret (facts 5).
fn appsecret_proof(secret: &Secret, token: &Secret) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes());
    format!("appsecret_proof={}", hex(hmac::sign(&key, token.reveal().as_bytes()).as_ref()))
}

/// The instant of a `Date` header, an IMF-fixdate of whole seconds (RFC 9110, 6.6.1).
pub fn date(header: &str) -> Option<Wall> {
    let at = jiff::fmt::rfc2822::parse(header).ok()?;
    Some(Wall(at.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_or_left_out() {
        assert_eq!(date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Wall(784_111_777_000)), "the example of RFC 9110");
        for text in ["", "yesterday", "1994-11-06T08:49:37Z", "Sun, 06 Nov 99999 08:49:37 GMT"] {
            assert_eq!(date(text), None, "{text}");
        }
    }

    #[test]
    fn the_proof_is_hmac_sha_256_in_hex() {
        // RFC 4231, test case 2.
        let proof = appsecret_proof(&Secret::new("Jefe"), &Secret::new("what do ya want for nothing?"));
        let wanted = "appsecret_proof=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(proof, wanted);
    }
}
