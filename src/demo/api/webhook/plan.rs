//! What becomes of a message after it was accepted, and when the platform tells: a timetable from a seeded dice.
//!
//! Floor: demo. Knows no clock and no network.

use super::super::fault::Fault;
use fastrand::Rng;
use std::time::Duration;

/// A time from the first to the second, each as likely as any other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Between(pub Duration, pub Duration);

impl Between {
    pub(super) fn pick(&self, dice: &mut Rng) -> Duration {
        let (low, high) = (self.0.as_micros() as u64, self.1.as_micros() as u64);
        Duration::from_micros(dice.u64(low..=high.max(low)))
    }
}

/// How quickly the platform reports, in which order and how often.
#[derive(Clone, PartialEq, Debug)]
pub struct Manner {
    /// From the acceptance to `sent`.
    pub sent: Between,
    /// From there to `delivered`.
    pub delivered: Between,
    /// From there to `read`.
    pub read: Between,
    /// The part of all that is read; others keep it to themselves.
    pub read_share: f64,
    /// The part of messages of which two reports come in the wrong order.
    pub disorder: f64,
    /// The part of reports that come twice.
    pub repeats: f64,
    /// How long reports wait for others to go along with.
    pub gather: Duration,
    /// Reports in one body (facts 4.1: up to 1,000).
    pub batch: usize,
    /// From the first answer that is not 200 to the next try; then twice as long each time.
    pub retry_first: Duration,
    /// The longest time between two tries.
    pub retry_most: Duration,
    /// From the first try to the last (facts 4.1: 7 days).
    pub give_up: Duration,
}

impl Default for Manner {
    /// Seconds as a person knows them from the app; the platform publishes none. `sent` "usually follows in well under a
    /// second" (facts 3.4), and may be there before the answer (facts 4.1).
    fn default() -> Manner {
        let ms = Duration::from_millis;
        Manner {
            sent: Between(ms(0), ms(700)),
            delivered: Between(ms(200), ms(4_000)),
            read: Between(ms(2_000), ms(60_000)),
            read_share: 0.6,
            disorder: 0.05,
            repeats: 0.05,
            gather: ms(100),
            batch: 1_000,
            retry_first: ms(1_000),
            retry_most: ms(3_600_000),
            give_up: ms(7 * 86_400_000),
        }
    }
}

/// From a report to its repeat.
pub(super) const REPEAT: Between = Between(Duration::from_millis(50), Duration::from_secs(5));
/// The part of read messages that were never reported as delivered (facts 4.3: it may be skipped).
const AT_ONCE: f64 = 0.05;

/// How a message stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stands {
    Sent,
    Delivered,
    Read,
    Failed(i64),
}

/// One report of a message; times count from its acceptance.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Planned {
    pub(super) what: Stands,
    /// What its timestamp says.
    pub(super) happens: Duration,
    /// When it goes out.
    pub(super) leaves: Duration,
    /// It tells the price (facts 4.3: `sent`, and one of `delivered` and `read`).
    pub(super) charged: bool,
}

/// What is reported of one message. `fault`: [`Fault::FailLater`] or [`Fault::NotDelivered`].
pub(super) fn plan(dice: &mut Rng, manner: &Manner, fault: Option<&Fault>) -> Vec<Planned> {
    let mut all = Vec::new();
    let mut add = |what, at, charged| all.push(Planned { what, happens: at, leaves: at, charged });
    let sent = manner.sent.pick(dice);
    let delivered = sent + manner.delivered.pick(dice);
    let read = delivered + manner.read.pick(dice);
    match fault {
        // It could not be sent, or it could not be delivered.
        Some(Fault::FailLater(code)) => {
            let was_sent = dice.bool();
            if was_sent {
                add(Stands::Sent, sent, true);
            }
            add(Stands::Failed(*code), if was_sent { delivered } else { sent }, false);
        }
        Some(Fault::NotDelivered) => add(Stands::Sent, sent, true),
        _ => {
            let is_read = dice.f64() < manner.read_share;
            let at_once = is_read && dice.f64() < AT_ONCE;
            add(Stands::Sent, sent, true);
            if !at_once {
                add(Stands::Delivered, delivered, true);
            }
            if is_read {
                add(Stands::Read, read, at_once);
            }
        }
    }
    if all.len() > 1 && dice.f64() < manner.disorder {
        let first = dice.usize(..all.len() - 1);
        let (before, after) = (all[first].leaves, all[first + 1].leaves);
        (all[first].leaves, all[first + 1].leaves) = (after, before);
    }
    for place in 0..all.len() {
        if dice.f64() < manner.repeats {
            let again = all[place].leaves + REPEAT.pick(dice);
            all.push(Planned { leaves: again, ..all[place].clone() });
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn many(manner: &Manner, fault: Option<Fault>) -> Vec<Vec<Planned>> {
        let mut dice = Rng::with_seed(7);
        (0..2_000).map(|_| plan(&mut dice, manner, fault.as_ref())).collect()
    }

    fn share(all: &[Vec<Planned>], wanted: impl Fn(&[Planned]) -> bool) -> f64 {
        all.iter().filter(|plan| wanted(plan)).count() as f64 / all.len() as f64
    }

    fn has(plan: &[Planned], what: Stands) -> bool {
        plan.iter().any(|planned| planned.what == what)
    }

    #[test]
    fn time_goes_forward_and_the_parts_are_as_asked() {
        let manner = Manner::default();
        let all = many(&manner, None);
        for plan in &all {
            let at = |what| plan.iter().find(|planned| planned.what == what).map(|planned| planned.happens);
            let (sent, delivered, read) = (at(Stands::Sent), at(Stands::Delivered), at(Stands::Read));
            assert!(sent.is_some() && sent <= Some(manner.sent.1));
            assert!(delivered.or(read).is_some(), "one of them, always: {plan:?}");
            assert!(
                delivered.is_none_or(|delivered| Some(delivered) > sent && read.is_none_or(|read| read > delivered))
            );
            // The price with sent, and with one of the others.
            let mut charged: Vec<Stands> = Vec::new();
            for planned in plan.iter().filter(|planned| planned.charged) {
                if !charged.contains(&planned.what) {
                    charged.push(planned.what);
                }
            }
            assert_eq!(charged.len(), 2, "{plan:?}");
        }
        let about = |part: f64, wanted: f64| assert!((part - wanted).abs() < 0.03, "{part}, not {wanted}");
        about(share(&all, |plan| has(plan, Stands::Read)), manner.read_share);
        about(share(&all, |plan| !has(plan, Stands::Delivered)), manner.read_share * AT_ONCE);
        about(
            share(&all, |plan| plan.iter().filter(|planned| planned.what == Stands::Sent).count() == 2),
            manner.repeats,
        );
        let first = |plan: &[Planned], what| {
            plan.iter().filter(|planned| planned.what == what).map(|planned| planned.leaves).min()
        };
        // Two of three pairs begin with `sent` where there are three; a repeat may hide a few.
        let wrong = share(&all, |plan| {
            first(plan, Stands::Delivered) < first(plan, Stands::Sent) && has(plan, Stands::Delivered)
        });
        assert!((0.01..0.06).contains(&wrong), "{wrong}");
    }

    #[test]
    fn failures_come_before_or_after_sent_and_end_it() {
        let all = many(&Manner::default(), Some(Fault::FailLater(131026)));
        assert!(all.iter().all(|plan| has(plan, Stands::Failed(131026)) && !has(plan, Stands::Delivered)));
        let sent = share(&all, |plan| has(plan, Stands::Sent));
        assert!((0.45..0.55).contains(&sent), "{sent}");
        let all = many(&Manner::default(), Some(Fault::NotDelivered));
        assert!(all.iter().flatten().all(|planned| planned.what == Stands::Sent));
    }

    #[test]
    fn the_same_seed_is_the_same_trial() {
        let manner = Manner::default();
        assert_eq!(many(&manner, None), many(&manner, None));
    }
}
