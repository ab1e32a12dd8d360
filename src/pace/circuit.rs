//! The circuit of the uplink: whether posting makes sense at all.
//!
//! Floor: rooms.
//!
//! ```text
//!           post failed                 probe due, probe answered           one post answered
//! Closed ───────────────► Open(until) ───────────────────────────► Trial ─────────────────────► Closed
//!                          ▲  │ ▲  probe failed: until later         │
//!                          │  └─┘                                    │ post failed
//!                          └─────────────────────────────────────────┘
//! ```
//!
//! A circuit starts open with its probe due at once, and through `Trial`: cold parallel requests would each open a
//! connection of their own. Failures are counted until a post is answered: a probe that succeeds proves the line, not
//! the service.

use super::{Class, Settings, backoff};
use crate::message::Reason;
use crate::time::BoxTime;

/// Whether the API is believed to be reachable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Circuit {
    state: State,
    /// Failures since a post was last answered.
    failures: u32,
    /// Kept beside the state: a post's answer may change the state while a probe is still on its way.
    probing: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Closed,
    Open { until: BoxTime },
    Trial,
}

impl Circuit {
    /// At start: a probe is due at once.
    pub fn new(now: BoxTime) -> Circuit {
        Circuit { state: State::Open { until: now }, failures: 0, probing: false }
    }

    /// Whether one more post may go beside the `in_flight` that are on their way.
    pub fn may_post(&self, settings: &Settings, in_flight: usize) -> Result<(), Reason> {
        let room = match self.state {
            _ if settings.pause => return Err(Reason::Paused),
            State::Open { .. } => return Err(Reason::UplinkDown),
            State::Trial => 1,
            State::Closed => settings.max_in_flight,
        };
        if in_flight < room { Ok(()) } else { Err(Reason::InFlightLimit) }
    }

    /// Whether a probe shall go now. Say [`probing`](Self::probing) when it goes.
    pub fn probe_due(&self, now: BoxTime) -> bool {
        self.next_wake().is_some_and(|until| until <= now)
    }

    /// When the next probe is due; `None` while none is needed or one is on its way.
    pub fn next_wake(&self) -> Option<BoxTime> {
        match self.state {
            State::Open { until } if !self.probing => Some(until),
            _ => None,
        }
    }

    /// A probe goes: no other until it is answered.
    pub fn probing(&mut self) {
        self.probing = true;
    }

    /// The probe reached the API.
    pub fn probe_ok(&mut self) {
        self.probing = false;
        if let State::Open { .. } = self.state {
            self.state = State::Trial;
        }
    }

    /// The probe did not reach the API. Changes nothing if a post was answered in the meantime.
    pub fn probe_failed(&mut self, now: BoxTime, random: u64) {
        self.probing = false;
        if self.state != State::Closed {
            self.open(now, random);
        }
    }

    /// A post was answered by the API, whatever the answer: the way is there.
    ///
    /// Also while open: an answer that comes after another request failed shows that only that request had failed.
    pub fn post_ok(&mut self) {
        self.state = State::Closed;
        self.failures = 0;
    }

    /// A post failed on its way: no connection, TLS, timeout, connection lost. Further failures while open belong to the
    /// same outage and count once.
    pub fn post_failed(&mut self, now: BoxTime, random: u64) {
        if !matches!(self.state, State::Open { .. }) {
            self.open(now, random);
        }
    }

    /// Box time went forward by time off that nobody knew: no wait becomes shorter by it.
    pub fn redate(&mut self, later: impl Fn(BoxTime) -> BoxTime) {
        if let State::Open { until } = &mut self.state {
            *until = later(*until);
        }
    }

    /// Whether the API is believed to be reachable, for status pages.
    pub fn is_up(&self) -> bool {
        !matches!(self.state, State::Open { .. })
    }

    fn open(&mut self, now: BoxTime, random: u64) {
        self.failures = self.failures.saturating_add(1);
        self.state = State::Open { until: now + backoff(Class::Uplink, self.failures, random) };
    }
}
