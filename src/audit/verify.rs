//! Verifying: the chain is computed anew, and every row that does not fit is named.
//!
//! Floor: rooms. Takes the rows in the pieces in which the store keeps them, one at a time, so that a long record needs no memory.

use super::row::{Row, read};
use super::{LINK, after};
use crate::message::{Act, Anchor, hex};

/// Rows that are not what was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The first of them.
    pub from: u64,
    /// The last; the same for one row.
    pub to: u64,
    /// What is wrong, to follow "row N" or "rows N to M".
    pub what: &'static str,
}

const NOT_THIS: &str = "not what was written there: changed, removed or moved";
const BETWEEN: &str = "not joined: one of them, or something between them, was changed or removed";
const MISSING: &str = "missing";
const TWICE: &str = "there a second time, or moved";
const COUNT: &str = "not as many as were written there";
const END: &str = "not followed by the head that the store keeps: changed, or rows behind it were removed";
const SINCE_ANCHOR: &str = "not those of the anchor: one of them was changed, removed or moved since";
const OF_ANCHOR: &str = "known to the anchor and missing here";
const NOT_FIRST: &str = "not the first: something before it was removed";
const BASE: &str = "not those that the record says were forgotten";

/// The first and the last of some rows.
pub type Stretch = (u64, u64);

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// Where the record ends.
    pub end: Anchor,
    /// Rows up to here were forgotten, as the record says.
    pub forgotten: u64,
    /// Lost with a damaged store, as the record says.
    pub lost: Vec<Stretch>,
    /// What is wrong.
    pub faults: Vec<Fault>,
    /// Why the anchor could not be compared, if it could not.
    pub unanchored: Option<&'static str>,
}

impl Verdict {
    /// Whether nothing speaks against the record.
    pub fn is_good(&self) -> bool {
        self.faults.is_empty() && self.unanchored.is_none()
    }
}

/// See the module.
#[derive(Default)]
pub struct Verifier {
    base: Option<Anchor>,
    /// The last row that was looked at, and the head there, unless something before it is broken.
    rows: u64,
    head: Option<[u8; 32]>,
    gaps: Vec<Stretch>,
    lost: Vec<Stretch>,
    forgotten: Option<(u64, String)>,
    faults: Vec<Fault>,
    anchor: Option<Anchor>,
    /// The head at the anchor's row.
    found: Option<[u8; 32]>,
}

impl Verifier {
    /// With a head that somebody else has kept, if there is one.
    pub fn new(anchor: Option<Anchor>) -> Verifier {
        Verifier { anchor, ..Verifier::default() }
    }

    /// The next piece: `count` rows from `first` on, behind the head `before`. Each good row goes to `each`.
    pub fn piece(
        &mut self,
        first: u64,
        count: u64,
        before: [u8; 32],
        rows: &[u8],
        each: &mut impl FnMut(&Anchor, &Row),
    ) {
        if self.base.is_none() {
            let base = Anchor { rows: first.saturating_sub(1), head: before };
            (self.base, self.rows, self.head) = (Some(base), base.rows, Some(before));
            self.passing(&base);
        }
        if first <= self.rows {
            return self.fault(first, self.rows.min(first + count.max(1) - 1), TWICE);
        }
        if first > self.rows + 1 {
            self.gaps.push((self.rows + 1, first - 1));
            self.head = None;
        }
        let start = match self.head {
            Some(head) if head == before => head,
            None => before,
            // Either what the piece says of what was before it, or what was before it.
            Some(head) => {
                self.fault(first - 1, first, BETWEEN);
                let joins = |head| whole(&Anchor { rows: first - 1, head }, rows, &mut |_, _| {}).0 > 0;
                if joins(head) { head } else { before }
            }
        };
        let start = Anchor { rows: first - 1, head: start };
        let (good, length, end) = whole(&start, rows, &mut |at, row| {
            self.passing(at);
            self.heard(row);
            each(at, row);
        });
        let last = first + count.max(1) - 1;
        if length < rows.len() || good < count {
            let at = first + good;
            // What is whole and too little was cut between two rows.
            self.fault(at, at.max(if length == rows.len() { last } else { at }), NOT_THIS);
        } else if good > count {
            self.fault(last, first + good - 1, COUNT);
        }
        self.head = (good == count && length == rows.len()).then_some(end.head);
        self.rows = last;
    }

    /// All pieces were given; `end` is where the store says that the record ends.
    pub fn finish(mut self, end: Anchor) -> Verdict {
        let base = self.base.unwrap_or(end);
        if self.base.is_none() {
            (self.rows, self.head) = (end.rows, Some(end.head));
            self.passing(&end);
        }
        match self.head {
            _ if self.rows < end.rows => self.gaps.push((self.rows + 1, end.rows)),
            _ if self.rows > end.rows => self.fault(end.rows + 1, self.rows, COUNT),
            Some(head) if head != end.head => self.fault(end.rows, end.rows + 1, END),
            _ => {}
        }
        let forgotten = self.forgotten.as_ref().map_or(0, |(rows, _)| *rows);
        if base.rows == 0 && base.head != [0; 32] {
            self.fault(1, 1, NOT_FIRST);
        }
        if forgotten < base.rows {
            self.gaps.push((forgotten + 1, base.rows));
        } else if let Some((rows, head)) = &self.forgotten
            && *rows == base.rows
            && *head != hex(&base.head)
        {
            self.fault(1, base.rows, BASE);
        }
        let gaps = std::mem::take(&mut self.gaps);
        let unknown = missing(&gaps, &self.lost);
        for (from, to) in &unknown {
            self.fault(*from, *to, MISSING);
        }
        let mut lost = missing(&gaps, &unknown);
        lost.sort_unstable();
        let unanchored = self.judge_anchor(&base, &end, forgotten);
        self.faults.sort_by_key(|fault| (fault.from, fault.to));
        Verdict { end, forgotten: forgotten.min(base.rows), lost, faults: self.faults, unanchored }
    }

    fn judge_anchor(&mut self, base: &Anchor, end: &Anchor, forgotten: u64) -> Option<&'static str> {
        let anchor = self.anchor?;
        match self.found {
            _ if anchor.rows == 0 => None,
            Some(head) if head == anchor.head => None,
            Some(_) => {
                self.fault(base.rows.min(anchor.rows - 1) + 1, anchor.rows, SINCE_ANCHOR);
                None
            }
            None if anchor.rows > end.rows => {
                self.fault(end.rows + 1, anchor.rows, OF_ANCHOR);
                None
            }
            None if anchor.rows <= forgotten => {
                Some("the row of the anchor was forgotten (outbox.keep_audit): take a newer anchor")
            }
            None => Some("what the anchor is about is missing or broken: nothing can be compared with it"),
        }
    }

    fn passing(&mut self, at: &Anchor) {
        if self.anchor.is_some_and(|anchor| anchor.rows == at.rows) {
            self.found = Some(at.head);
        }
    }

    fn heard(&mut self, row: &Row) {
        match (row.act, row.rows) {
            (Act::Lost, Some(rows)) => self.lost.push(rows),
            (Act::Forgotten, Some((_, last))) => self.forgotten = Some((last, row.about.clone())),
            _ => {}
        }
    }

    fn fault(&mut self, from: u64, to: u64, what: &'static str) {
        self.faults.push(Fault { from, to: to.max(from), what });
    }
}

/// How many rows at the beginning of `rows` follow the head `before`, how many bytes they are, and the head behind them. Each goes to
/// `each`.
pub fn whole_rows(before: [u8; 32], rows: &[u8], each: &mut impl FnMut(&Row)) -> (u64, usize, [u8; 32]) {
    let (count, length, end) = whole(&Anchor { rows: 0, head: before }, rows, &mut |_, row| each(row));
    (count, length, end.head)
}

/// What of some stretches of rows is not in others.
pub fn missing(stretches: &[Stretch], known: &[Stretch]) -> Vec<Stretch> {
    let mut left = Vec::new();
    for (from, to) in stretches {
        let mut from = *from;
        while from <= *to {
            let until = match known.iter().find(|(first, last)| (*first..=*last).contains(&from)) {
                Some((_, last)) => *last,
                None => {
                    let next = known.iter().map(|(first, _)| *first).filter(|first| *first > from).min();
                    let until = next.map_or(*to, |first| (first - 1).min(*to));
                    left.push((from, until));
                    until
                }
            };
            from = until + 1;
        }
    }
    left
}

fn whole(start: &Anchor, rows: &[u8], each: &mut impl FnMut(&Anchor, &Row)) -> (u64, usize, Anchor) {
    let (mut at, mut length) = (*start, 0);
    while let Some((row, long)) = read(&rows[length..]) {
        let (written, rest) = rows[length..].split_at(long);
        let next = after(&at, written);
        if !rest.starts_with(&next.head[..LINK]) {
            break;
        }
        (at, length) = (next, length + long + LINK);
        each(&at, &row);
    }
    (at.rows - start.rows, length, at)
}
