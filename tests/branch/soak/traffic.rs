//! What the branch publishes: mostly orders for a pool of customers, some of whom come often, beside what concerns nobody.

use crate::house::{House, customer, order_for};
use serde_json::json;

/// Customers who order now and then.
const POOL: u32 = 20_000;
/// Customers who order so often that the pair limit holds them now and then.
const REGULARS: u32 = 400;
/// Customers who took their consent back before the first event.
const GONE: u32 = 20;

/// What an event asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A message.
    Order,
    /// Nothing: the rule's `when` says no.
    Quiet,
    /// Nothing: an order that was heard before.
    Repeat,
    /// A message that must not leave.
    Gone,
}

/// The kind of an event: the same for the same number, so that the books need not be told.
pub fn kind(number: u32) -> Kind {
    match number % 20 {
        15 | 16 | 19 => Kind::Quiet,
        // Of the order 37 events before: within the dedupe window even after an outage of the broker.
        17 if number > 37 => Kind::Repeat,
        17 => Kind::Quiet,
        18 => Kind::Gone,
        _ => Kind::Order,
    }
}

fn event(number: u32) -> (String, String) {
    let any = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
    match kind(number) {
        Kind::Order if number % 20 == 3 => order_for(number, &customer(POOL + (any % u64::from(REGULARS)) as u32)),
        Kind::Order => order_for(number, &customer((any % u64::from(POOL)) as u32)),
        Kind::Repeat => event(number - 37),
        Kind::Gone => order_for(number, &gone((any % u64::from(GONE)) as u32)),
        Kind::Quiet => {
            let (_, payload) = order_for(number, &customer(0));
            ("pos/1/quiet".to_owned(), payload)
        }
    }
}

fn gone(number: u32) -> String {
    customer(POOL + REGULARS + number)
}

/// The till.
pub struct Traffic {
    next: u32,
}

impl Traffic {
    /// Takes the consents back.
    pub fn new(house: &House) -> Traffic {
        let stop = |number| ("pos/1/stop".to_owned(), json!({"phone": gone(number)}).to_string());
        house.publish((0..GONE).map(stop));
        Traffic { next: 0 }
    }

    /// So many more, acknowledged by the broker when this returns.
    pub fn publish(&mut self, house: &House, count: u32) {
        if count > 0 {
            house.publish((self.next..self.next + count).map(event));
            self.next += count;
        }
    }

    /// The numbers of all events are below this.
    pub fn published(&self) -> u32 {
        self.next
    }
}
