//! Which branch wrote to whom last, as far as the platform's reports tell: what somebody writes to the number all boxes hear, and
//! one of them should answer.
//!
//! Floor: rooms. A hint, in memory and bounded: what it never heard or no longer knows, the boxes judge by themselves. Never holds a
//! number or an id, only hashes under a key of this process.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// Ids and people of one half: with both halves some 100,000 messages to people, in about 20 MiB at the most.
const HALF: usize = 128 * 1024;

/// Remembers the newest; when one half is full, the older half is forgotten.
#[derive(Default, Debug)]
pub struct Reached {
    key: RandomState,
    newer: HashMap<u64, Box<str>>,
    older: HashMap<u64, Box<str>>,
}

impl Reached {
    /// A branch wrote a message, or to a person, by this id, number or user id.
    pub(super) fn learn(&mut self, name: &str, branch: &str) {
        if self.newer.len() >= HALF {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(self.key.hash_one(name), branch.into());
    }

    /// The branch of the first of these names that is known.
    pub(super) fn by<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Option<&str> {
        let known = |name| {
            let print = self.key.hash_one::<&str>(name);
            self.newer.get(&print).or_else(|| self.older.get(&print))
        };
        names.into_iter().find_map(known).map(|branch| &**branch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_known_and_no_more_than_fit() {
        let mut reached = Reached::default();
        for n in 0..3 * HALF {
            reached.learn(&n.to_string(), if n % 2 == 0 { "sp-042" } else { "rj-7" });
        }
        let last = (3 * HALF - 1).to_string();
        assert_eq!((reached.by(["nobody", &last, "0"]), reached.by(["0"])), (Some("rj-7"), None));
        assert!(reached.newer.len() + reached.older.len() <= 2 * HALF);
        reached.learn(&last, "sp-042");
        assert_eq!(reached.by([&*last]), Some("sp-042"), "who wrote last");
    }
}
