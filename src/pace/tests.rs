//! Timetables for each limit, and a model check of both against plain counting.

use super::*;
use crate::time::millis;
use proptest::prelude::*;
use std::time::Duration;

fn settings(sender: u32, burst: u32) -> Settings {
    Settings {
        share: (1, 1),
        sender_per_second: Some(sender),
        pair_interval: Some(Duration::from_secs(6)),
        pair_burst: burst,
        daily: None,
        daily_messages: None,
        caps: Caps::default(),
        max_in_flight: 4,
        timeout: Duration::from_secs(15),
        pause: false,
    }
}

/// Where no cap is in the way.
fn spend(settings: &Settings, pair: &mut Pair, sender: &mut SenderWindow, now: BoxTime) -> Result<Token, Wait> {
    let load = Load::of(Category::Utility, "orders", Priority::Normal, true);
    let account = Account { pair, recent: &mut Recent::default(), reached: &mut None };
    super::spend(settings, load, account, sender, &mut Day::default(), now)
}

fn at(ms: i64) -> BoxTime {
    BoxTime(ms)
}

#[test]
fn a_burst_is_repaid_in_full_before_the_next() {
    let settings = settings(1000, 3);
    let (mut pair, mut sender) = (Pair::default(), SenderWindow::default());
    // time in ms, and until when it waits (None: goes)
    let table = [
        (0, None),
        (1_000, None),
        (2_999, None),
        (2_999, Some(20_999)), // three times 6 s of silence after the last
        (20_998, Some(20_999)),
        (20_999, None),         // a new burst
        (23_999, Some(26_999)), // the half interval is over: one message is owed for
        (26_999, None),
        (27_001, None),
        (29_999, Some(39_001)),
        (39_001, None),
    ];
    for (now, expected) in table {
        let got = spend(&settings, &mut pair, &mut sender, at(now)).err();
        let expected = expected.map(|until| Wait { until: at(until), reason: Reason::PairLimit });
        assert_eq!(got, expected, "at {now} ms");
    }
}

#[test]
fn silence_is_counted_from_the_answers() {
    let settings = settings(1000, 3);
    // (spent, answered) of one burst, and when the next may go
    let table: &[(&[(i64, i64)], i64)] = &[
        (&[(0, 0)], 6_000),
        (&[(0, 4_000)], 10_000), // received perhaps as late as 4 s
        (&[(0, 500), (500, 600)], 12_600),
        (&[(0, 0), (2_900, 9_000)], 21_000),
        (&[(0, 0), (10, 20), (20, 15_000)], 33_000),
    ];
    for (burst, ready) in table {
        let (mut pair, mut sender) = (Pair::default(), SenderWindow::default());
        for &(spent, answered) in *burst {
            spend(&settings, &mut pair, &mut sender, at(spent)).unwrap();
            pair_answered(&mut pair, at(answered));
        }
        let (_, last) = burst[burst.len() - 1];
        let closed = at(last + 3_000); // the half interval is over, even if the answer moved the start
        assert_eq!(pair_ready(&settings, &pair, sender.since(), closed), at(*ready), "{burst:?}");
    }
}

#[test]
fn a_restart_ends_a_burst() {
    let settings = settings(1000, 3);
    let (mut pair, mut sender) = (Pair::default(), SenderWindow::default());
    spend(&settings, &mut pair, &mut sender, at(0)).unwrap();
    spend(&settings, &mut pair, &mut sender, at(1)).unwrap();
    let mut sender = SenderWindow::rebuilt(at(1), None, [at(0), at(1)]);
    let wait = spend(&settings, &mut pair, &mut sender, at(2)).unwrap_err();
    assert_eq!(wait, Wait { until: at(12_001), reason: Reason::PairLimit });
}

#[test]
fn refunds_strikes_and_switched_off_limits() {
    let mut settings = settings(1, 2);
    let (mut pair, mut sender) = (Pair::default(), SenderWindow::default());
    spend(&settings, &mut pair, &mut sender, at(5)).unwrap();
    let other = spend(&settings, &mut Pair::default(), &mut sender, at(6)).unwrap_err();
    assert_eq!(other, Wait { until: at(1_005), reason: Reason::SenderLimit });
    pair_refund(&mut pair);
    sender.refund(at(5));
    assert_eq!((pair.count, sender.ready(&settings, at(6))), (0, at(6)));
    spend(&settings, &mut pair, &mut sender, at(6)).unwrap();
    sender.refund(at(5));
    assert_eq!(sender.ready(&settings, at(7)), at(1_006), "a time that was not spent refunds nothing");

    let waits: Vec<u64> = (0..8).map(|_| pair_strike(&mut pair).as_secs()).collect();
    assert_eq!(waits, [1, 4, 16, 64, 256, 1024, 1024, 1024]);
    pair_succeeded(&mut pair);
    assert_eq!(pair_strike(&mut pair).as_secs(), 1);

    settings.sender_per_second = None;
    settings.pair_interval = None;
    for _ in 0..3_000 {
        spend(&settings, &mut pair, &mut sender, at(7)).unwrap();
    }
}

#[test]
fn the_sender_limit_at_its_highest_and_after_a_restart() {
    let settings = settings(1000, 1);
    let mut sender = SenderWindow::default();
    let sent: Vec<BoxTime> = (0..1000).map(at).collect();
    for &now in &sent {
        spend(&settings, &mut Pair::default(), &mut sender, now).unwrap();
    }
    assert_eq!(sender.ready(&settings, at(999)), at(1000));
    assert_eq!(SenderWindow::rebuilt(at(999), None, sent).ready(&settings, at(999)), at(1000));
}

#[test]
fn the_circuit_as_a_timetable() {
    let settings = settings(20, 3);
    let down = Err(Reason::UplinkDown);
    let full = Err(Reason::InFlightLimit);
    let mut circuit = Circuit::new(at(0));
    assert_eq!(circuit.may_post(&settings, 0), down);
    assert!(circuit.probe_due(at(0)), "at start a probe is due at once");
    circuit.probing();
    assert!(!circuit.probe_due(at(9_999)) && circuit.next_wake().is_none(), "one probe at a time");
    circuit.probe_failed(at(100), u64::MAX);
    assert_eq!(circuit.next_wake(), Some(at(1_100)));
    assert!(!circuit.probe_due(at(1_099)) && circuit.probe_due(at(1_100)));
    circuit.probing();
    circuit.probe_ok();
    assert_eq!((circuit.may_post(&settings, 0), circuit.may_post(&settings, 1)), (Ok(()), full), "one goes first");

    circuit.post_failed(at(2_000), u64::MAX);
    assert_eq!(circuit.next_wake(), Some(at(4_000)), "a probe that succeeds does not reset the count");
    circuit.post_failed(at(2_500), u64::MAX);
    assert_eq!(circuit.next_wake(), Some(at(4_000)), "the same outage counts once");
    circuit.probing();
    circuit.probe_ok();
    circuit.post_ok();
    assert_eq!((circuit.may_post(&settings, 3), circuit.may_post(&settings, 4)), (Ok(()), full));

    circuit.post_failed(at(9_000), u64::MAX);
    assert_eq!(circuit.next_wake(), Some(at(10_000)), "an answered post resets the count");
    circuit.probing();
    circuit.post_ok();
    circuit.post_failed(at(9_500), u64::MAX);
    assert!(!circuit.probe_due(at(99_000)), "the first probe is still on its way");
    circuit.probe_failed(at(12_000), u64::MAX);
    assert_eq!(circuit.next_wake(), Some(at(14_000)));
    circuit.post_ok();
    circuit.probe_failed(at(12_500), u64::MAX);
    assert!(circuit.is_up(), "an answered post is stronger than an older probe");
    let paused = Settings { pause: true, ..settings };
    assert_eq!(circuit.may_post(&paused, 0), Err(Reason::Paused));
}

#[test]
fn back_off_stays_between_its_floor_and_its_bound() {
    // class, try, least and most in ms
    let table = [
        (Class::Uplink, 1, 100, 1_000),
        (Class::Uplink, 3, 100, 4_000),
        (Class::Uplink, 60, 100, 60_000),
        (Class::Server, 1, 200, 2_000),
        (Class::Server, u32::MAX, 200, 300_000),
        (Class::App, 1, 6_000, 60_000),
        (Class::App, 9, 6_000, 3_600_000),
        (Class::NumberRate, 1, 200, 2_000),
        (Class::NumberRate, 9, 200, 60_000),
        (Class::Maintenance, 1, 6_000, 60_000),
        (Class::Maintenance, 9, 6_000, 900_000),
    ];
    for (class, tries, least, most) in table {
        assert_eq!(millis(backoff(class, tries, 0)), least, "{class:?} {tries}");
        assert_eq!(millis(backoff(class, tries, u64::MAX)), most, "{class:?} {tries}");
        let middle = millis(backoff(class, tries, u64::MAX / 2));
        assert!((middle - (least + most) / 2).abs() <= 1, "{class:?} {tries}: {middle} is not in the middle");
    }
    assert_eq!(backoff(Class::Server, 0, 7), backoff(Class::Server, 1, 7));
}

/// The platform as the facts describe it, in the strict reading, counting at its own reception.
#[derive(Default)]
struct Oracle {
    /// First and last message, and how many.
    burst: Option<(i64, i64, i64)>,
}

impl Oracle {
    /// A message received at `now`; whether the limit allows it.
    fn receive(&mut self, now: i64, burst_max: i64) -> bool {
        match &mut self.burst {
            Some((start, last, count)) if now < *last + *count * 6_000 => {
                *count += 1;
                *last = now;
                now < *start + 6_000 && *count <= burst_max
            }
            other => {
                *other = Some((now, now, 1));
                true
            }
        }
    }
}

#[derive(Clone, Debug)]
struct Step {
    person: usize,
    /// Real time that passes before.
    after: i64,
    /// From spending to reception, and from there to the answer; together at most 1.5 s, as `pair` demands.
    way: (i64, i64),
    /// Surely not sent.
    lost: bool,
    /// The process dies before the answer, and box time misses this much of what passes.
    crash: Option<i64>,
}

fn step() -> impl Strategy<Value = Step> {
    let after = prop_oneof![3 => 0..50i64, 2 => 0..4_000i64, 1 => 0..40_000i64];
    (0..3usize, after, (0..750i64, 0..750i64), prop::bool::weighted(0.15), prop::option::weighted(0.1, 0..5_000i64))
        .prop_map(|(person, after, way, lost, crash)| Step { person, after, way, lost, crash })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// Attempts are made one after another, as often as the limits allow; the oracle sees what was really received.
    #[test]
    fn no_pair_limit_is_exceeded(burst in 1..6u32, steps in prop::collection::vec(step(), 1..200)) {
        let settings = settings(20, burst);
        let mut pairs = [Pair::default(); 3];
        let mut oracles: [Oracle; 3] = Default::default();
        let mut recorded: Vec<BoxTime> = Vec::new();
        let mut sender = SenderWindow::default();
        let (mut real, mut behind) = (0, 0);
        for step in steps {
            real += step.after;
            let now = at(real - behind);
            let pair = &mut pairs[step.person];
            if spend(&settings, pair, &mut sender, now).is_err() {
                continue;
            }
            recorded.push(now);
            real += step.way.0;
            if step.lost {
                pair_refund(pair);
                sender.refund(now);
                recorded.pop();
                continue;
            }
            prop_assert!(oracles[step.person].receive(real, i64::from(burst)), "at {real} ms: {pair:?}");
            real += step.way.1;
            if let Some(missed) = step.crash {
                // What is persisted is `pair` and the attempts; box time goes on from its last value.
                real += missed;
                behind += missed;
                sender = SenderWindow::rebuilt(at(real - behind), None, recorded.iter().copied());
            }
            pair_answered(pair, at(real - behind));
        }
    }

    /// Demand that never ends, from as many people as it takes: never over, and all but used up.
    #[test]
    fn the_sender_limit_is_exact_and_used(
        limit in 1..90u32,
        gaps in prop::collection::vec((0..30i64, prop::bool::weighted(0.1), prop::bool::weighted(0.02)), 1_500),
    ) {
        let settings = settings(limit, 1);
        let mut sender = SenderWindow::default();
        let mut kept: Vec<i64> = Vec::new();
        let mut now = 0;
        for (gap, lost, crash) in gaps {
            // Half of the gaps leave box time where it is.
            now += (gap - 15).max(0);
            while spend(&settings, &mut Pair::default(), &mut sender, at(now)).is_ok() {
                kept.push(now);
                if lost && kept.len().is_multiple_of(3) {
                    sender.refund(at(now));
                    kept.pop();
                    break;
                }
            }
            let wait = sender.ready(&settings, at(now)).0;
            prop_assert!(wait >= now);
            if crash {
                sender = SenderWindow::rebuilt(at(now), None, kept.iter().map(|&ms| at(ms)));
                prop_assert_eq!(sender.ready(&settings, at(now)).0, wait);
            }
        }
        let limit = limit as usize;
        for window in kept.windows(limit + 1) {
            prop_assert!(window[limit] - window[0] >= 1_000, "{} sends within {} ms", limit + 1, window[limit] - window[0]);
        }
    }
}

#[test]
fn constant_demand_gets_all_of_the_sender_limit() {
    for limit in [1, 7, 20, 80, 1000] {
        let settings = settings(limit, 1);
        let mut sender = SenderWindow::default();
        let sent =
            (0..20_000).filter(|&now| spend(&settings, &mut Pair::default(), &mut sender, at(now)).is_ok()).count();
        let share = sent as f64 / f64::from(limit * 20);
        assert!((0.99..=1.0).contains(&share), "{limit}/s: {share} used");
    }
}
