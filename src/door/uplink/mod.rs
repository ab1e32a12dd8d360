//! The way to the API: each post goes out once, at most, and comes back as one answer.
//!
//! Floor: doors. Knows no rule: it never repeats, never follows a redirect, never decides what an answer means.
//!
//! ```text
//! Post ─► token ─► gate ─► exchange ─► Answer::Http     whatever answered, bounded
//!           │        │         ├─────► Answer::NotSent  surely not sent
//!           └────────┴─────────┼─────► (likewise)
//!                              └─────► Answer::Lost     perhaps sent
//! ```
//!
//! The library's own repeats are off: each would be a message that nobody recorded.

mod exchange;
mod gate;
mod settings;
mod token;
mod trouble;

pub use exchange::date;
pub use settings::*;
pub use token::token;
pub use trouble::tls_words;

use crate::door::clock::SystemClock;
use crate::door::tls::TlsProblem;
use crate::engine::{Link, Post};
use crate::limits;
use crate::message::{Answer, AttemptId, Lost, NotSent};
use crate::whatsapp::health::Look;
use exchange::Exchange;
use std::sync::Arc;
use std::time::Duration;
use token::Tokens;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

/// How often the token's file is looked at while nothing is sent: what a person who replaced it will wait.
const TOKEN_POLL: Duration = Duration::from_secs(5);

/// Where answers and news go. Never blocks: the channel behind it has room for every post in flight.
pub trait Answers: Clone + Send + 'static {
    /// A post ended. Called once for each.
    fn answered(&self, attempt: AttemptId, answer: Answer);
    /// What was asked is answered. Called once for each [`Uplink::look`].
    fn looked(&self, answer: Answer);
    /// A probe ended, or another token is in use.
    fn link(&self, link: Link);
}

/// Why the uplink cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// A certificate or key.
    #[error("uplink: {0}")]
    Tls(#[from] TlsProblem),
    /// `uplink.base_url`
    #[error("uplink.base_url is no address of a server: {0}; write https://HOST or https://HOST/PATH")]
    BaseUrl(String),
    /// `uplink.proxy`. Without the address itself: it may hold a password.
    #[error("uplink.proxy is no address of a proxy; write http://HOST:PORT")]
    Proxy,
    /// What the library refuses for another reason.
    #[error("uplink: the HTTP client cannot be set up: {0}")]
    Library(String),
}

/// The open door. Dropping it stops the watch on the token; posts in flight still end.
pub struct Uplink<A: Answers> {
    exchange: Arc<Exchange>,
    tokens: Arc<Tokens>,
    answers: A,
    runtime: Handle,
    in_flight: Arc<Semaphore>,
    probing: Arc<Semaphore>,
    watch: AbortHandle,
}

impl<A: Answers> Uplink<A> {
    /// Builds the client and tells the token in use (`Link::Token`). Opens no connection. All work is done on `runtime`.
    ///
    /// # Errors
    /// Files and addresses that cannot be used. A token file that cannot be read is none: it may come.
    pub fn open(settings: &Settings, clock: &SystemClock, runtime: &Handle, answers: A) -> Result<Uplink<A>, Problem> {
        let exchange = Arc::new(Exchange::new(settings, clock)?);
        let tokens = Arc::new(Tokens::new(settings.token_file.clone()));
        answers.link(Link::Token(tokens.look()));
        let watch = runtime.spawn(watch(tokens.clone(), answers.clone())).abort_handle();
        Ok(Uplink {
            exchange,
            tokens,
            answers,
            runtime: runtime.clone(),
            in_flight: Arc::new(Semaphore::new(settings.max_in_flight)),
            probing: Arc::new(Semaphore::new(1)),
            watch,
        })
    }

    /// Sends one post, once, on a task of its own. Beyond `max_in_flight` it is answered as not sent.
    pub fn post(&self, post: Post) {
        let Ok(permit) = self.in_flight.clone().try_acquire_owned() else {
            let why = "as many requests as uplink.max_in_flight allows are under way".to_owned();
            return self.answers.answered(post.attempt, Answer::NotSent(NotSent::NoConnection(why)));
        };
        let (exchange, tokens, answers) = (self.exchange.clone(), self.tokens.clone(), self.answers.clone());
        self.runtime.spawn(async move {
            let answer = match tokens.current(|token| answers.link(Link::Token(token))) {
                Ok(token) => exchange.post(&post, token.as_ref()).await,
                Err(why) => Answer::NotSent(NotSent::NoConnection(why)),
            };
            drop(permit);
            answers.answered(post.attempt, answer);
        });
    }

    /// Reaches for the API without a message; ends in `Link::UplinkUp` or `Link::UplinkDown`. One at a time: while one is
    /// under way its answer is the answer.
    pub fn probe(&self) {
        let Ok(permit) = self.probing.clone().try_acquire_owned() else { return };
        let (exchange, tokens, answers) = (self.exchange.clone(), self.tokens.clone(), self.answers.clone());
        self.runtime.spawn(async move {
            let answer = match tokens.current(|token| answers.link(Link::Token(token))) {
                Ok(token) => exchange.probe(token.as_ref()).await,
                Err(why) => Answer::NotSent(NotSent::NoConnection(why)),
            };
            drop(permit);
            answers.link(reached(answer));
        });
    }

    /// Asks, once; ends in [`Answers::looked`].
    pub fn look(&self, look: Look) {
        let (exchange, tokens, answers) = (self.exchange.clone(), self.tokens.clone(), self.answers.clone());
        self.runtime.spawn(async move {
            let answer = match tokens.current(|token| answers.link(Link::Token(token))) {
                Ok(token) => exchange.get(&look.path, &look.query, token.as_ref(), limits::LOOK).await,
                Err(why) => Answer::NotSent(NotSent::NoConnection(why)),
            };
            answers.looked(answer);
        });
    }
}

/// The same client for single questions, without an engine: for `branchline check --online`.
pub struct Question {
    exchange: Exchange,
    tokens: Tokens,
}

impl Question {
    /// Builds the client. Opens no connection.
    ///
    /// # Errors
    /// As [`Uplink::open`].
    pub fn open(settings: &Settings, clock: &SystemClock) -> Result<Question, Problem> {
        Ok(Question { exchange: Exchange::new(settings, clock)?, tokens: Tokens::new(settings.token_file.clone()) })
    }

    /// `GET path?query` with the token in use, reading at most `most` bytes of the answer.
    ///
    /// # Errors
    /// There is no token that could be sent: a text for a person, naming the file.
    pub async fn get(&self, path: &str, query: &str, most: usize) -> Result<Answer, String> {
        let token = self.tokens.current(|_| {})?;
        Ok(self.exchange.get(path, query, token.as_ref(), most).await)
    }
}

impl<A: Answers> Drop for Uplink<A> {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

/// Any answer below 500 says that the way is open: what the API thinks of the token is for the posts to find out.
fn reached(answer: Answer) -> Link {
    match answer {
        Answer::Http { status, date, .. } if status < 500 => Link::UplinkUp(date),
        Answer::Http { status, .. } => Link::UplinkDown(NotSent::NoConnection(format!("HTTP {status}"))),
        Answer::NotSent(why) => Link::UplinkDown(why),
        Answer::Lost(Lost::Timeout) => Link::UplinkDown(NotSent::NoConnection("no answer in time".to_owned())),
        Answer::Lost(Lost::Broken(why)) => Link::UplinkDown(NotSent::NoConnection(why)),
    }
}

async fn watch(tokens: Arc<Tokens>, answers: impl Answers) {
    loop {
        tokio::time::sleep(TOKEN_POLL).await;
        // The outcome is told by the next post; only a change is news.
        let _ = tokens.current(|token| answers.link(Link::Token(token)));
    }
}
