//! As fast as it goes, against a platform that refuses what its limits do not allow: nothing is refused.

use crate::house::{House, order_for};
use branchline::demo::api::{Account, Settings};
use std::time::{Duration, Instant};

/// Three quarters of what the platform takes a second (80): delays on the way press two of our seconds into one of its.
const PER_SECOND: u32 = 60;

/// So many events at once, in turn to each of the people. The simulator holds the pair limit in its strict reading, 80 messages a
/// second and exactly as many people a day as there are.
fn flat_out(events: u32, people: u32) {
    let account = Account { messaging_limit: Some(people as usize), ..Account::default() };
    let mut house = House::with_api("", |settings| Settings { account, keep: 1_000, ..settings });
    house.layer(
        "limits",
        &format!(
            "[limits]\nsender_per_second = {PER_SECOND}\ndaily_recipients = {people}\ndaily_reserve = \"off\"\ndaily_messages = {events}\n"
        ),
    );
    house.start();
    let began = Instant::now();
    house.publish((0..events).map(|n| order_for(n, &format!("+55219877{:05}", n % people))));
    // Each person's are one in six seconds in the long run.
    let least = f64::from(events / people * 6).max(f64::from(events) / f64::from(PER_SECOND));
    house.wait_for_accepted(u64::from(events), Duration::from_secs_f64(60.0 + 3.0 * least));
    let (took, counters) = (began.elapsed().as_secs_f64(), house.control().counters());
    println!("{events} events to {people} people in {took:.1} s (at best {least:.1} s), {} refused", counters.refused);
    assert_eq!((counters.accepted, counters.refused, counters.repeats), (u64::from(events), 0, 0), "{}", house.log());
    assert!(house.stop().success(), "{}", house.log());
}

#[test]
fn flat_out_in_short_nothing_is_refused() {
    flat_out(200, 50);
}

/// Some six minutes: `tests/flat-out`.
#[test]
#[ignore = "a command of its own: tests/flat-out"]
fn flat_out_20_000_events_to_500_people() {
    flat_out(20_000, 500);
}
