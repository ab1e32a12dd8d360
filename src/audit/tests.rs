//! Any single change, removal or swap is found, and named.

use super::*;
use crate::message::{Act, MessageId, hex};
use crate::time::Wall;
use proptest::prelude::*;

/// One piece as the store keeps it: the first row, how many, the head before, the rows.
#[derive(Clone, Debug, PartialEq)]
struct Piece {
    first: u64,
    count: u64,
    before: [u8; 32],
    rows: Vec<u8>,
}

fn row(n: u64) -> Row {
    let key = Key::new(&[7; 32]);
    let event = format!("order {n}");
    Row {
        act: Act::ALL[n as usize % 8],
        at: Wall(1_772_452_800_000 + n as i64),
        trusted: !n.is_multiple_of(3),
        about: ["due", "taken", "consent-revoked", ""][n as usize % 4].to_owned(),
        person: (!n.is_multiple_of(5)).then(|| key.person("5511987654321")),
        message: Some(key.message("k3f9", MessageId(n as i64))),
        event: n.is_multiple_of(2).then(|| key.event(&event)),
        rows: None,
    }
}

/// A record of pieces of these lengths.
fn record(lengths: &[usize]) -> (Vec<Piece>, Anchor) {
    let (mut at, mut pieces) = (Anchor::default(), Vec::new());
    for length in lengths {
        let (before, mut rows) = (at, Vec::new());
        for _ in 0..*length {
            let row = row(at.rows + 1);
            append(&mut at, &row, &mut rows);
        }
        pieces.push(Piece { first: before.rows + 1, count: *length as u64, before: before.head, rows });
    }
    (pieces, at)
}

fn verify(pieces: &[Piece], end: Anchor, anchor: Option<Anchor>) -> Verdict {
    let mut verifier = Verifier::new(anchor);
    for piece in pieces {
        verifier.piece(piece.first, piece.count, piece.before, &piece.rows, &mut |_, _| {});
    }
    verifier.finish(end)
}

/// Where each row of a piece begins and ends, its link included.
fn places(piece: &Piece) -> Vec<std::ops::Range<usize>> {
    let (mut places, mut start) = (Vec::new(), 0);
    while start < piece.rows.len() {
        let end = start + read(&piece.rows[start..]).unwrap().1 + LINK;
        places.push(start..end);
        start = end;
    }
    places
}

/// The piece and the place in it of a row.
fn find(pieces: &[Piece], row: u64) -> (usize, usize) {
    let piece = pieces.iter().position(|piece| row < piece.first + piece.count).unwrap();
    (piece, (row - pieces[piece].first) as usize)
}

fn names(verdict: &Verdict, row: u64) -> bool {
    verdict.faults.iter().any(|fault| (fault.from..=fault.to).contains(&row))
}

#[test]
fn a_row_is_read_as_it_is_written() {
    let rows = (0..40).map(row).chain([
        Row { at: Wall(-5), about: "é".repeat(200), ..row(1) },
        Row { rows: Some((3, 1 << 40)), person: None, message: None, ..row(2) },
    ]);
    for row in rows {
        let mut bytes = row.written();
        let length = bytes.len();
        bytes.extend(b"more");
        let (found, read_length) = read(&bytes).unwrap();
        assert_eq!(read_length, length);
        assert_eq!(found, Row { about: row.about.chars().take(found.about.chars().count()).collect(), ..row.clone() });
        assert!(found.about.len() == row.about.len() || found.about.len() >= 254);
        assert!((0..length).all(|cut| read(&bytes[..cut]).is_none()), "a cut row is no row");
    }
}

#[test]
fn a_line_of_the_export_holds_hashes_alone() {
    let (pieces, end) = record(&[4]);
    let mut lines = Vec::new();
    let piece = &pieces[0];
    Verifier::default().piece(1, 4, piece.before, &piece.rows, &mut |at, row| lines.push(row.json(at)));
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[3]["row"], 4);
    assert_eq!(lines[3]["head"], hex(&end.head));
    assert_eq!(lines[1]["person"].as_str().unwrap().len(), 32);
    let text = serde_json::to_string(&lines).unwrap();
    assert!(!text.contains("5511987654321") && !text.contains("order 2"), "{text}");
}

#[test]
fn another_key_makes_other_stamps_and_so_does_another_kind() {
    let (one, two) = (Key::new(&[1; 32]), Key::new(&[2; 32]));
    assert_ne!(one.person("5511987654321"), two.person("5511987654321"));
    assert_ne!(one.person("k3f9-1"), one.message("k3f9", MessageId(1)));
    assert_eq!(one.event("a"), Key::new(&[1; 32]).event("a"));
}

#[test]
fn an_empty_record_and_a_whole_one_are_good() {
    assert!(verify(&[], Anchor::default(), Some(Anchor::default())).is_good());
    let (pieces, end) = record(&[3, 1, 9, 2]);
    let middle = record(&[3, 1, 9]).1;
    for anchor in [None, Some(end), Some(middle), Some(record(&[2]).1), Some(Anchor::default())] {
        assert!(verify(&pieces, end, anchor).is_good(), "{anchor:?}");
    }
}

#[test]
fn an_anchor_finds_what_was_computed_anew() {
    let (pieces, end) = record(&[3, 4]);
    // Somebody with the whole store in hand: another history, in itself whole.
    let (forged, forged_end) = {
        let (mut at, mut rows) = (Anchor::default(), Vec::new());
        (1..=7).for_each(|n| append(&mut at, &Row { about: "taken".into(), ..row(n) }, &mut rows));
        (vec![Piece { first: 1, count: 7, before: [0; 32], rows }], at)
    };
    assert!(verify(&forged, forged_end, None).is_good(), "by itself nothing shows");
    let verdict = verify(&forged, forged_end, Some(record(&[3]).1));
    assert!(names(&verdict, 1) && names(&verdict, 3) && !names(&verdict, 4), "{verdict:?}");
    // Cut off behind, head and all.
    let verdict = verify(&pieces[..1], record(&[3]).1, Some(end));
    assert_eq!(verdict.faults, [Fault { from: 4, to: 7, what: OF_ANCHOR_TEXT }]);
}

const OF_ANCHOR_TEXT: &str = "known to the anchor and missing here";

/// Adds rows that are about rows.
fn told(act: Act, about: &str, rows: (u64, u64), at: &mut Anchor, pieces: &mut Vec<Piece>) {
    let (before, mut bytes) = (*at, Vec::new());
    append(
        at,
        &Row { rows: Some(rows), about: about.into(), person: None, message: None, ..row(1) }.with(act),
        &mut bytes,
    );
    pieces.push(Piece { first: before.rows + 1, count: 1, before: before.head, rows: bytes });
}

impl Row {
    fn with(self, act: Act) -> Row {
        Row { act, ..self }
    }
}

#[test]
fn a_forgotten_beginning_is_good_where_the_record_says_so() {
    let (mut pieces, mut at) = record(&[3, 4, 2]);
    let base = record(&[3]).1;
    told(Act::Forgotten, &hex(&base.head), (1, 3), &mut at, &mut pieces);
    let kept = &pieces[1..];
    let verdict = verify(kept, at, Some(record(&[3, 4]).1));
    assert!(verdict.is_good() && verdict.forgotten == 3, "{verdict:?}");
    assert!(verify(kept, at, Some(base)).is_good(), "the head that it begins with is still known");
    let older = verify(kept, at, Some(record(&[2]).1));
    assert!(!older.is_good() && older.faults.is_empty() && older.unanchored.is_some());
    // One piece more is gone than the record says; or the beginning was cut off and nothing says so.
    assert!(names(&verify(&pieces[2..], at, None), 5));
    let (pieces, at) = record(&[3, 4, 2]);
    assert_eq!(verify(&pieces[1..], at, None).faults, [Fault { from: 1, to: 3, what: "missing" }]);
    // The head that it begins with is another.
    let (mut pieces, mut at) = record(&[3, 4]);
    told(Act::Forgotten, &hex(&[1; 32]), (1, 3), &mut at, &mut pieces);
    assert!(names(&verify(&pieces[1..], at, None), 2));
}

#[test]
fn a_recorded_loss_is_told_and_no_fault() {
    let (mut pieces, mut at) = record(&[3, 4, 2, 5]);
    told(Act::Lost, "store-damaged", (4, 9), &mut at, &mut pieces);
    pieces.drain(1..3);
    let verdict = verify(&pieces, at, Some(at));
    assert!(verdict.is_good(), "{verdict:?}");
    assert_eq!(verdict.lost, [(4, 9)]);
    assert!(verify(&pieces, at, Some(record(&[3, 4, 2, 1]).1)).is_good(), "behind the gap the chain goes on");
    let inside = verify(&pieces, at, Some(record(&[3, 4]).1));
    assert!(inside.unanchored.is_some() && inside.faults.is_empty());
    // A row more is gone than was recorded.
    pieces.remove(0);
    assert!(names(&verify(&pieces, at, None), 2));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn any_single_change_removal_or_swap_is_found_and_named(
        lengths in prop::collection::vec(1..6usize, 1..7), change in 0..6u8, which in any::<(u16, u16)>(), bit in 0..8u8,
    ) {
        let (mut pieces, mut end) = record(&lengths);
        let rows = end.rows;
        let pick = |number: u16| u64::from(number) % rows + 1;
        let (one, other) = (pick(which.0), pick(which.1));
        let (piece, place) = find(&pieces, one);
        match change {
            // Any bit of a row or of the link behind it.
            0 => {
                let range = places(&pieces[piece])[place].clone();
                let byte = range.start + usize::from(which.1) % range.len();
                pieces[piece].rows[byte] ^= 1 << bit;
                let verdict = verify(&pieces, end, None);
                prop_assert!(names(&verdict, one), "{verdict:?}");
            }
            // A row is taken out; all numbers are made to fit.
            1 => {
                let range = places(&pieces[piece])[place].clone();
                pieces[piece].rows.drain(range);
                pieces[piece].count -= 1;
                pieces[piece + 1..].iter_mut().for_each(|piece| piece.first -= 1);
                pieces.retain(|piece| piece.count > 0);
                end.rows -= 1;
                let verdict = verify(&pieces, end, None);
                prop_assert!(names(&verdict, one), "row {one}: {verdict:?}");
            }
            // Two rows change places, with their links.
            2 => {
                let (second, beside) = find(&pieces, other);
                let bytes = |piece: &Piece, place: usize| piece.rows[places(piece)[place].clone()].to_vec();
                let (first_bytes, second_bytes) = (bytes(&pieces[piece], place), bytes(&pieces[second], beside));
                prop_assume!(one != other);
                let put = |pieces: &mut Vec<Piece>, row: u64, bytes: &[u8]| {
                    let (piece, place) = find(pieces, row);
                    let range = places(&pieces[piece])[place].clone();
                    pieces[piece].rows.splice(range, bytes.iter().copied());
                };
                put(&mut pieces, one, &second_bytes);
                put(&mut pieces, other, &first_bytes);
                let verdict = verify(&pieces, end, None);
                prop_assert!(names(&verdict, one.min(other)), "{verdict:?}");
            }
            // A whole piece is gone.
            3 => {
                let gone = pieces.remove(piece);
                let verdict = verify(&pieces, end, None);
                prop_assert!((gone.first..gone.first + gone.count).all(|row| names(&verdict, row)), "{verdict:?}");
            }
            // What two pieces hold changes places.
            4 => {
                let (second, _) = find(&pieces, other);
                prop_assume!(piece != second);
                let kept = (pieces[piece].first, pieces[second].first);
                pieces.swap(piece, second);
                (pieces[piece].first, pieces[second].first) = kept;
                let verdict = verify(&pieces, end, None);
                let first = pieces[piece.min(second)].first;
                prop_assert!(verdict.faults.iter().any(|fault| fault.from <= first && first <= fault.to), "{verdict:?}");
            }
            // The head before a piece, or the head at the end.
            _ => {
                let before = pieces[piece].first;
                if which.1.is_multiple_of(2) {
                    pieces[piece].before[usize::from(bit)] ^= 1;
                    let verdict = verify(&pieces, end, None);
                    prop_assert!(names(&verdict, before), "{verdict:?}");
                } else {
                    end.head[usize::from(bit)] ^= 1;
                    prop_assert!(names(&verify(&pieces, end, None), rows));
                }
            }
        }
    }
}
