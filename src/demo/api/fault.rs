//! What goes wrong on request: which faults there are, where each strikes, and the ones that wait for their turn.
//!
//! Floor: demo.

use super::control::Seen;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What goes wrong, on request.
///
/// Faults of the listener, the connection and the head strike before a request is read, in the order of arrival, so that
/// [`Aim::to`], [`Aim::template`] and [`super::Control::fault_if`] never match them.
/// Where a fault says "h2", a connection with HTTP/1.1 is reset instead.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The port is closed and all connections are reset, until the fault is cleared (its count is not used).
    RefuseConnections,
    /// A new connection is accepted, and nothing is ever said on it: no TLS handshake, no answer. Held until cleared.
    MuteTls,
    /// A new connection is accepted and reset at once, before the TLS handshake.
    ResetTls,
    /// A new connection is shown a certificate that its client must not take. Needs [`super::Settings::bad_certificates`].
    Certificate(BadCertificate),
    /// The connection is reset when the head of a request has come.
    ResetBeforeRead,
    /// h2: the stream is reset with REFUSED_STREAM before it is read.
    RefusedStream,
    /// h2: GOAWAY whose last stream is the one before this (0 for the first): neither this nor any later request on the
    /// connection is read; earlier ones are still answered.
    GoAway,
    /// The request is read and not taken, and the connection is reset.
    ResetAfterRead,
    /// The request is read and not taken, and never answered.
    Hang,
    /// The message is accepted, then its stream (h2: INTERNAL_ERROR) or connection dies without an answer.
    AcceptWithoutAnswer,
    /// The message is accepted, and never answered.
    AcceptThenHang,
    /// Not taken: this HTTP status, with this body or none.
    Status(u16, Option<String>),
    /// Not taken: the API's error body for this code, with its documented HTTP status.
    Code(i64),
    /// Handled as ever, answered after this time.
    SlowAnswer(Duration),
    /// The message is accepted, the answer is 200 with a body that is not JSON.
    GarbageBody,
    /// Not taken: a redirect to the same address.
    Redirect307,
    /// The message is accepted, and reported as failed for this code. Needs a [`super::Callback`], as the two below.
    FailLater(i64),
    /// The message is accepted, reported as sent, and never as delivered: the phone is off, or its time to live passes.
    NotDelivered,
    /// The message is accepted, and nothing is ever reported of it.
    NoReport,
}

/// A certificate that no client may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadCertificate {
    /// By the right authority, ended yesterday.
    Expired,
    /// By the right authority, begins tomorrow.
    NotYetValid,
    /// By the right authority, for another host.
    WrongName,
    /// By an authority that nobody knows.
    UnknownAuthority,
}

impl BadCertificate {
    /// All of them.
    pub const ALL: [BadCertificate; 4] = [Self::Expired, Self::NotYetValid, Self::WrongName, Self::UnknownAuthority];
}

/// Where a fault strikes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    Listener,
    Connection,
    Head,
    Whole,
    Report,
}

impl Fault {
    pub(super) fn stage(&self) -> Stage {
        match self {
            Fault::RefuseConnections => Stage::Listener,
            Fault::MuteTls | Fault::ResetTls | Fault::Certificate(_) => Stage::Connection,
            Fault::ResetBeforeRead | Fault::RefusedStream | Fault::GoAway => Stage::Head,
            Fault::FailLater(_) | Fault::NotDelivered | Fault::NoReport => Stage::Report,
            _ => Stage::Whole,
        }
    }

    /// As scenarios and the control endpoint call it.
    pub fn name(&self) -> &'static str {
        match self {
            Fault::RefuseConnections => "refuse-connections",
            Fault::MuteTls => "mute-tls",
            Fault::ResetTls => "reset-tls",
            Fault::Certificate(BadCertificate::Expired) => "certificate-expired",
            Fault::Certificate(BadCertificate::NotYetValid) => "certificate-not-yet-valid",
            Fault::Certificate(BadCertificate::WrongName) => "certificate-wrong-name",
            Fault::Certificate(BadCertificate::UnknownAuthority) => "certificate-unknown-authority",
            Fault::ResetBeforeRead => "reset-before-read",
            Fault::RefusedStream => "refused-stream",
            Fault::GoAway => "go-away",
            Fault::ResetAfterRead => "reset-after-read",
            Fault::Hang => "hang",
            Fault::AcceptWithoutAnswer => "accept-without-answer",
            Fault::AcceptThenHang => "accept-then-hang",
            Fault::Status(..) => "status",
            Fault::Code(_) => "code",
            Fault::SlowAnswer(_) => "slow-answer",
            Fault::GarbageBody => "garbage-body",
            Fault::Redirect307 => "redirect",
            Fault::FailLater(_) => "fail-later",
            Fault::NotDelivered => "not-delivered",
            Fault::NoReport => "no-report",
        }
    }

    /// The ones that a name says all of. The others, in [`Fault::NEED_VALUE`], need a value.
    pub const PLAIN: &'static [Fault] = &[
        Fault::RefuseConnections,
        Fault::MuteTls,
        Fault::ResetTls,
        Fault::Certificate(BadCertificate::Expired),
        Fault::Certificate(BadCertificate::NotYetValid),
        Fault::Certificate(BadCertificate::WrongName),
        Fault::Certificate(BadCertificate::UnknownAuthority),
        Fault::ResetBeforeRead,
        Fault::RefusedStream,
        Fault::GoAway,
        Fault::ResetAfterRead,
        Fault::Hang,
        Fault::AcceptWithoutAnswer,
        Fault::AcceptThenHang,
        Fault::GarbageBody,
        Fault::Redirect307,
        Fault::NotDelivered,
        Fault::NoReport,
    ];

    /// Names of faults that need a value.
    pub const NEED_VALUE: &'static [&'static str] = &["status", "code", "slow-answer", "fail-later"];

    /// All names.
    pub fn names() -> impl Iterator<Item = &'static str> + Clone {
        Fault::PLAIN.iter().map(Fault::name).chain(Fault::NEED_VALUE.iter().copied())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Status(status, _) => write!(f, "status {status}"),
            Fault::Code(code) => write!(f, "code {code}"),
            Fault::FailLater(code) => write!(f, "fail-later {code}"),
            Fault::SlowAnswer(time) => write!(f, "slow-answer {time:?}"),
            plain => f.write_str(plain.name()),
        }
    }
}

/// Which requests or connections a fault strikes, and for how long. The default: all of them, until it is cleared.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Aim {
    /// So many times.
    pub count: Option<u32>,
    /// For this time.
    pub lasts: Option<Duration>,
    /// This part of them, over 0 to 1, by a seeded dice ([`super::Settings::seed`]).
    pub share: Option<f64>,
    /// Only messages to this number.
    pub to: Option<String>,
    /// Only messages by this template.
    pub template: Option<String>,
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.count, self.lasts) {
            (None, None) => f.write_str("until cleared")?,
            (Some(1), None) => f.write_str("once")?,
            (Some(count), None) => write!(f, "{count} times")?,
            (None, Some(lasts)) => write!(f, "for {lasts:?}")?,
            (Some(count), Some(lasts)) => write!(f, "{count} times within {lasts:?}")?,
        }
        if let Some(share) = self.share {
            write!(f, ", {share} of them")?;
        }
        if let Some(to) = &self.to {
            write!(f, ", to {}", super::control::masked(to))?;
        }
        match &self.template {
            Some(template) => write!(f, ", template {template}"),
            None => Ok(()),
        }
    }
}

/// Whether a fault is meant for a request.
pub(super) type Matches = Arc<dyn Fn(&Seen) -> bool + Send + Sync>;

/// A fault in wait.
pub(super) struct Armed {
    pub(super) id: u64,
    pub(super) fault: Fault,
    pub(super) aim: Aim,
    /// Strikes that are left.
    pub(super) left: Option<u32>,
    pub(super) struck: u64,
    matches: Option<Matches>,
}

/// The faults in wait, first come first served.
pub(super) struct Faults {
    armed: Vec<Armed>,
    last: u64,
    dice: fastrand::Rng,
}

impl Default for Faults {
    fn default() -> Faults {
        Faults::seeded(0)
    }
}

impl Faults {
    /// The dice fall as at the start.
    pub(super) fn reseed(&mut self, seed: u64) {
        self.dice.seed(seed);
    }

    pub(super) fn seeded(seed: u64) -> Faults {
        Faults { armed: Vec::new(), last: 0, dice: fastrand::Rng::with_seed(seed) }
    }

    /// Adds one at the end; its id.
    pub(super) fn arm(&mut self, fault: Fault, aim: Aim, matches: Option<Matches>) -> u64 {
        self.last += 1;
        let left = aim.count;
        self.armed.push(Armed { id: self.last, fault, aim, left, struck: 0, matches });
        self.last
    }

    /// Removes those that `gone` says; how many.
    pub(super) fn disarm(&mut self, gone: impl Fn(&Armed) -> bool) -> usize {
        let before = self.armed.len();
        self.armed.retain(|armed| !gone(armed));
        before - self.armed.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Armed> {
        self.armed.iter()
    }

    /// The fault that strikes here and now, counted down.
    pub(super) fn strike(&mut self, stage: Stage, seen: Option<&Seen>) -> Option<Fault> {
        let dice = &mut self.dice;
        let place = self.armed.iter().position(|armed| {
            armed.fault.stage() == stage
                && armed.matches.as_ref().is_none_or(|matches| seen.is_some_and(|seen| matches(seen)))
                && armed.aim.share.is_none_or(|share| dice.f64() < share)
        })?;
        let armed = &mut self.armed[place];
        let fault = armed.fault.clone();
        armed.struck += 1;
        if let Some(left) = &mut armed.left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.armed.remove(place);
            }
        }
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_of_one_fault() {
        let names: std::collections::HashSet<_> = Fault::names().collect();
        assert_eq!(names.len(), Fault::names().count());
    }

    #[test]
    fn a_share_strikes_that_part_and_the_same_each_time() {
        let run = |seed| -> Vec<bool> {
            let mut faults = Faults::seeded(seed);
            faults.arm(Fault::Hang, Aim { share: Some(0.1), ..Aim::default() }, None);
            (0..1000).map(|_| faults.strike(Stage::Whole, None).is_some()).collect()
        };
        let struck = run(1).iter().filter(|struck| **struck).count();
        assert!((60..150).contains(&struck), "{struck} of 1000");
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }

    #[test]
    fn first_come_first_served_and_counted_down() {
        let mut faults = Faults::default();
        faults.arm(Fault::Hang, Aim { count: Some(1), ..Aim::default() }, None);
        let second = faults.arm(Fault::Code(4), Aim::default(), None);
        faults.arm(Fault::GoAway, Aim::default(), None);
        let whole: Vec<_> = (0..3).map(|_| faults.strike(Stage::Whole, None)).collect();
        assert_eq!(whole, [Some(Fault::Hang), Some(Fault::Code(4)), Some(Fault::Code(4))]);
        assert_eq!(faults.strike(Stage::Head, None), Some(Fault::GoAway));
        assert_eq!(faults.iter().find(|armed| armed.id == second).map(|armed| armed.struck), Some(2));
        assert_eq!(faults.disarm(|armed| armed.id == second), 1);
        assert_eq!(faults.strike(Stage::Whole, None), None);
    }
}
