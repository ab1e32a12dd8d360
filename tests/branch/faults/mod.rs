//! The faults that a branch box meets, with the built binary, mosquitto and the simulated Cloud API: after each, nothing that was
//! acknowledged is lost, nothing is repeated but after `unknown`, and those repeats are counted (see `books`); memory is bounded (see `House::stop`).

pub mod books;
mod broker;
mod kill;
mod platform;
mod storm;
mod uplink;

pub use kill::seeded;

use crate::house::House;
use branchline::demo::api::{Account, Settings};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Limits so high that the number of events decides how long a test takes; the simulated API's own is put out of the way too.
pub const FAST: &str = "[limits]\nsender_per_second = 1000\ndaily_recipients = \"off\"\ndaily_reserve = \"off\"\ndaily_messages = \"off\"\n";

/// A house whose API takes any number of messages per second, and to any number of people.
pub fn fast_house(more: &str) -> House {
    let account = Account::unlimited();
    House::with_api(more, |settings| Settings { sender_per_second: 1_000_000, account, ..settings })
}

/// Publishes while the test does something else.
pub fn publish_beside(port: u16, events: Vec<(String, String)>) -> JoinHandle<()> {
    std::thread::spawn(move || crate::house::runtime().block_on(crate::house::publish(port, events)))
}

/// Until everything has left or ended.
fn wait_until_drained(house: &mut House, within: Duration) {
    let mut next = Instant::now();
    house.wait_for("the backlog is empty", within, |house| {
        // Each look starts a process: seldom enough to leave the processor to the daemon.
        let due = Instant::now() >= next;
        due && {
            next = Instant::now() + Duration::from_millis(200);
            house.backlog() == 0
        }
    });
}

/// Until the broker has nothing more for the daemon: an alarm that is published last has left, and all before it with it.
fn wait_until_heard(house: &mut House, number: u32, within: Duration) {
    house.publish([crate::house::alarm(number)]);
    let (control, event) = (house.control(), format!("/a{number}"));
    house.wait_for("the last event was heard", within, |_| {
        control.accepted().iter().rev().any(|seen| seen.data.as_deref().unwrap_or_default().ends_with(&event))
    });
}

/// The ids of `orders`.
pub fn ids(orders: std::ops::Range<u32>) -> Vec<String> {
    orders.map(|number| format!("e{number}")).collect()
}
