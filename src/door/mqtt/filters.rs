//! Topic filters that overlap: for brokers that do not know subscription identifiers, where an overlap means a second copy.
//!
//! Floor: doors. Decides nothing about rules; asks no broker.

use crate::message::Filter;

/// Whether every topic that `narrow` matches is matched by `wide` too (MQTT 5, 4.7).
pub(super) fn covers(wide: &str, narrow: &str) -> bool {
    // A wildcard in the first place does not match topics of the broker's own ($SYS).
    if narrow.starts_with('$') && wide.starts_with(['+', '#']) {
        return false;
    }
    let (mut wide, mut narrow) = (wide.split('/'), narrow.split('/'));
    loop {
        match (wide.next(), narrow.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(level)) if level != "#" => {}
            (Some(one), Some(other)) if one == other => {}
            _ => return false,
        }
    }
}

/// Whether some topic is matched by both.
pub(super) fn overlap(one: &str, other: &str) -> bool {
    if one.starts_with('$') != other.starts_with('$') {
        return false;
    }
    let (mut one, mut other) = (one.split('/'), other.split('/'));
    loop {
        match (one.next(), other.next()) {
            (Some("#"), _) | (_, Some("#")) | (None, None) => return true,
            (Some(a), Some(b)) if a == b || a == "+" || b == "+" => {}
            _ => return false,
        }
    }
}

/// What to subscribe to without identifiers.
#[derive(Debug, PartialEq)]
pub(super) struct Reduced {
    /// Filters of which none covers another.
    pub(super) want: Vec<Filter>,
    /// The covered ones: the session may still have them.
    pub(super) gone: Vec<String>,
    /// Pairs that still overlap: a topic that both match is delivered twice.
    pub(super) twice: Vec<(String, String)>,
}

/// Leaves out what another filter covers. Whoever covers a filter that wants retained messages asks for them in its place.
pub(super) fn reduce(want: Vec<Filter>) -> Reduced {
    let mut kept: Vec<Filter> = Vec::new();
    let mut gone = Vec::new();
    for filter in want {
        if let Some(wide) = kept.iter_mut().find(|wide| covers(&wide.filter, &filter.filter)) {
            wide.retained |= filter.retained;
            if wide.filter != filter.filter {
                gone.push(filter.filter);
            }
            continue;
        }
        let mut filter = filter;
        kept.retain(|narrow| {
            let covered = covers(&filter.filter, &narrow.filter);
            if covered {
                filter.retained |= narrow.retained;
                gone.push(narrow.filter.clone());
            }
            !covered
        });
        kept.push(filter);
    }
    let mut twice = Vec::new();
    for (at, one) in kept.iter().enumerate() {
        for other in &kept[at + 1..] {
            if overlap(&one.filter, &other.filter) {
                twice.push((one.filter.clone(), other.filter.clone()));
            }
        }
    }
    Reduced { want: kept, gone, twice }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_covers_and_what_only_overlaps() {
        // wide, narrow, covers, overlaps
        let table = [
            ("a/#", "a/+", true, true),
            ("a/#", "a", true, true), // # takes the parent too
            ("a/#", "a/b/#", true, true),
            ("a/+", "a/b", true, true),
            ("a/+", "a/#", false, true),
            ("a/b", "a/+", false, true),
            ("a/+/c", "a/b/+", false, true),
            ("a/+", "a/b/c", false, false),
            ("a", "b", false, false),
            ("a/b", "a/b", true, true),
            ("#", "a/b", true, true),
            ("#", "$SYS/x", false, false),
            ("+/x", "$SYS/x", false, false),
            ("$SYS/#", "$SYS/x", true, true),
            ("a/", "a", false, false), // an empty level is a level
        ];
        for (wide, narrow, covered, both) in table {
            assert_eq!(covers(wide, narrow), covered, "{wide} covers {narrow}");
            assert_eq!(overlap(wide, narrow), both, "{wide} overlaps {narrow}");
            assert_eq!(overlap(narrow, wide), both, "{narrow} overlaps {wide}");
        }
    }

    #[test]
    fn covered_filters_go_and_their_wish_for_retained_stays() {
        let filter = |filter: &str, identifier, retained| Filter { filter: filter.to_owned(), identifier, retained };
        let reduced = reduce(vec![
            filter("pos/+/paid", 1, true),
            filter("pos/#", 2, false),
            filter("pos/1/ready", 3, false),
            filter("node/+/x", 4, false),
            filter("node/7/+", 5, false),
            filter("pos/#", 6, false),
        ]);
        assert_eq!(
            reduced,
            Reduced {
                want: vec![filter("pos/#", 2, true), filter("node/+/x", 4, false), filter("node/7/+", 5, false)],
                gone: vec!["pos/+/paid".to_owned(), "pos/1/ready".to_owned()],
                twice: vec![("node/+/x".to_owned(), "node/7/+".to_owned())],
            }
        );
    }
}
