//! The doors' way to the engine.
//!
//! Floor: roof. Hands on; never waits.

use crate::door::clock::SystemClock;
use crate::door::{mqtt, notice, uplink};
use crate::engine::{BrokerLink, Inbox, Input, Link};
use crate::message::{Answer, Arrival, AttemptId, ReceiptId, Way};
use crate::time::Wall;
use tracing::warn;

/// One for all doors; clones are the same.
#[derive(Clone)]
pub(super) struct Sink {
    pub inbox: Inbox,
    pub clock: SystemClock,
}

impl Sink {
    fn tell(&self, input: Input) {
        if !self.inbox.tell(input) {
            // When the engine has ended, or takes nothing for so long that even news fill the queue (see `engine::channel`).
            warn!("the engine takes nothing: news of a connection is lost, the next start recovers");
        }
    }

    fn verified(&self, date: Option<Wall>) {
        if let Some(date) = date {
            self.clock.confirm(date);
        }
    }

    fn dated(&self, answer: &Answer) {
        if let Answer::Http { date, .. } = answer {
            self.verified(*date);
        }
    }
}

impl mqtt::Arrivals for Sink {
    fn arrived(&self, arrival: Arrival) {
        if !self.inbox.arrived(arrival) {
            warn!("the engine has ended: an arrival is not acknowledged, the broker will repeat it");
        }
    }
    fn link(&self, link: Link) {
        self.tell(Input::Link(link));
    }
    fn receipt_taken(&self, receipt: ReceiptId) {
        self.tell(Input::ReceiptTaken(receipt));
    }
}

impl notice::Tell for Sink {
    fn link(&self, link: BrokerLink) {
        self.tell(Input::Link(Link::Notice(link)));
    }
    fn unsigned(&self) {
        self.tell(Input::Unsigned(Way::Topic, 1));
    }
}

impl uplink::Answers for Sink {
    fn answered(&self, attempt: AttemptId, answer: Answer) {
        self.dated(&answer);
        self.tell(Input::Answered(attempt, answer));
    }
    fn looked(&self, answer: Answer) {
        self.dated(&answer);
        self.tell(Input::Looked(answer));
    }
    fn link(&self, link: Link) {
        if let Link::UplinkUp(date) = &link {
            self.verified(*date);
        }
        self.tell(Input::Link(link));
    }
}
