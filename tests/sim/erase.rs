//! Erasure of persons, in some of the worlds: nothing leaves to them afterwards without a new consent, and nothing of them stands in
//! any file.

use super::orders::Order;
use super::steps::NUMBERS;
use super::world::World;
use crate::operate::Request;

/// Those of [`NUMBERS`] who are erased: not the person of whom the world learns late that two numbers are one's.
const ERASED: [usize; 6] = [0, 1, 2, 3, 6, 7];

impl World {
    /// Somebody wants to be forgotten. When nothing is on its way to the box: else nobody could say from outside what came first.
    pub fn erase_somebody(&mut self) {
        self.settle();
        let box_ = self.running.as_ref().expect("the box runs");
        if self.broker.has_next() || box_.course.troubled || box_.engine.in_doubt() || !box_.engine.soft.held.is_empty()
        {
            return;
        }
        let number = NUMBERS[ERASED[self.more.usize(0..ERASED.len())]].to_owned();
        self.books.is_to_be_erased(&number);
        let delivered = self.books.deliveries;
        self.order(Order::Erase(number.clone(), delivered), Request::ContactErase { numbers: vec![number] });
        self.settle();
    }

    /// The box says that it is done: then it is, on the disk too. `delivered`: events that had come when it was ordered.
    pub(super) fn erased(&mut self, number: &str, delivered: usize) {
        self.reach.did("erasures");
        let unchanged = self.books.deliveries == delivered;
        self.books.erased(number);
        if !unchanged {
            return;
        }
        let who = self.books.person(number);
        for digits in NUMBERS.iter().filter(|other| self.books.person(other) == who).map(|other| &other.as_bytes()[1..])
        {
            for entry in std::fs::read_dir(self.folder.path()).unwrap() {
                let path = entry.unwrap().path();
                let bytes = std::fs::read(&path).unwrap();
                let found = bytes.windows(digits.len()).any(|part| part == digits);
                assert!(!found, "seed {}: {number} is erased, and stands in {}", self.seed, path.display());
            }
        }
    }
}
