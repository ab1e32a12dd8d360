//! What goes into the engine and what comes out of it: the whole contract between engine and doors.
//!
//! Floor: engine.

use crate::message::{
    Answer, Arrival, AttemptId, Delivery, Epoch, Filter, MessageId, NotSent, Notices, Outcome, Priority, Reason,
    ReceiptId, Way,
};
use crate::operate::{LastLine, Reply, Request};
use crate::time::Wall;
use crate::whatsapp::health::Look;
use bytes::Bytes;
use std::sync::Arc;

/// One thing that happened.
#[derive(Debug)]
pub enum Input {
    /// The broker handed over a publish.
    Arrived(Arrival),
    /// A post ended. Idempotent by attempt.
    Answered(AttemptId, Answer),
    /// The platform reported something (webhook or notice topic): one body. `Action::Heard` with the same ticket says whether it
    /// is stored.
    Notice(u64, Notices),
    /// Somebody asks over the socket; the answer goes out as `Action::Done` with the same ticket.
    Operator(u64, Request),
    /// A connection changed.
    Link(Link),
    /// What was asked by `Action::Look` is answered.
    Looked(Answer),
    /// The broker acknowledged a receipt and, receipts being published in order, all before it.
    ReceiptTaken(ReceiptId),
    /// So many bodies came this way whose signature is wrong: nothing of them was read.
    Unsigned(Way, u64),
    /// QoS 0 arrivals that were dropped because nobody could take them.
    Overrun(u64),
    /// The wake-up time came.
    Woke,
    /// The daemon ends: nothing further is posted.
    Stop,
}

/// News about connections and what hangs on them.
#[derive(Clone, PartialEq, Debug)]
pub enum Link {
    /// The broker.
    Broker(BrokerLink),
    /// The session of the notice topic. It sets itself up.
    Notice(BrokerLink),
    /// A probe reached the API (any answer below 500 counts), with the verified `Date`.
    UplinkUp(Option<Wall>),
    /// A probe failed.
    UplinkDown(NotSent),
    /// A fingerprint of the token in use: at start and whenever its file changes. `None` without a token.
    Token(Option<[u8; 8]>),
}

/// News about the broker.
#[derive(Clone, PartialEq, Debug)]
pub enum BrokerLink {
    /// CONNACK. Subscriptions are asked for by `Action::Subscribe`.
    Connected {
        /// Counted by the door.
        epoch: Epoch,
        /// The broker knows the session, so its redeliveries are marked.
        session_present: bool,
    },
    /// SUBACK for all filters: the session counts as set up.
    Subscribed {
        /// The connection it is true for.
        epoch: Epoch,
        /// Filters that the broker refused, with its reason.
        refused: Vec<(String, String)>,
    },
    /// The connection ended.
    Lost {
        /// What the library said.
        why: String,
    },
}

/// One thing that the doors shall do, now that its reason is committed.
#[derive(Debug)]
pub enum Action {
    /// An arrival is done with, whatever became of it: gives back its room, and sends the PUBACK where one is due. Once for
    /// every arrival, with the `delivery` that it came with; within a connection in the order of arrival.
    Ack(Delivery),
    /// Send one request, once.
    Post(Post),
    /// Reach for the API without a message: answered by `Link::UplinkUp` or `Link::UplinkDown`.
    Probe,
    /// Ask the API, once: answered by `Input::Looked`. One at a time.
    Look(Look),
    /// SUBSCRIBE to `want` and UNSUBSCRIBE from `gone`: after every CONNACK and after a reload.
    Subscribe {
        /// The connection it is for.
        epoch: Epoch,
        /// Every filter of the configuration.
        want: Vec<Filter>,
        /// Filters that the session may still have and the configuration no longer has.
        gone: Vec<String>,
    },
    /// Publish to the broker.
    Publish(Publish),
    /// Tell people: a line of log.
    Show(Told),
    /// The answer to an operator.
    Done(u64, Reply),
    /// Whether a body of notices is stored. Otherwise nothing of it is, and the platform shall send it again.
    Heard(u64, bool),
}

/// One request to the API.
#[derive(Clone, PartialEq, Eq)]
pub struct Post {
    /// Comes back with the answer.
    pub attempt: AttemptId,
    /// Below `uplink.base_url`: `/v25.0/106540352242922/messages`.
    pub path: String,
    /// JSON.
    pub body: Bytes,
}

impl std::fmt::Debug for Post {
    /// Without the body: it holds number and text.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Post").field("attempt", &self.attempt).field("bytes", &self.body.len()).finish_non_exhaustive()
    }
}

/// One publish to the broker, QoS 1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Publish {
    /// Under `branchline/`.
    pub topic: String,
    /// JSON.
    pub payload: String,
    /// Keep as the topic's state.
    pub retain: bool,
    /// Come back as `Input::ReceiptTaken` after the PUBACK.
    pub receipt: Option<ReceiptId>,
}

/// One decision, as people are told it. Holds no name, text or unmasked number.
#[derive(Clone, PartialEq, Debug)]
pub struct Told {
    /// The rule, where one matched.
    pub rule: Option<Arc<str>>,
    /// The event's id.
    pub event: Option<Arc<str>>,
    /// Our id.
    pub message: Option<MessageId>,
    /// The number, masked.
    pub to: Option<String>,
    /// What the message is worth.
    pub priority: Option<Priority>,
    /// Where it stands now; `None` for news about the box itself.
    pub outcome: Option<Outcome>,
    /// Why.
    pub reason: Reason,
    /// Anything else worth reading: where an expression failed, what the platform said.
    pub detail: String,
    /// Whether somebody should look at it.
    pub loud: bool,
}

impl Told {
    /// The same as a line of the status page.
    pub fn line(&self, at: Wall, shown: impl Fn(MessageId) -> String) -> LastLine {
        LastLine {
            at,
            rule: self.rule.as_deref().map(str::to_owned),
            event: self.event.as_deref().map(str::to_owned),
            message: self.message.map(shown),
            to: self.to.clone(),
            outcome: self.outcome,
            reason: self.reason,
            detail: self.detail.clone(),
        }
    }
}
