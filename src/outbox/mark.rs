//! The mark: what the last commit was, written after each without a sync, into the lock file.
//!
//! Floor: rooms. After a kill it is exact, after a power cut perhaps older than the store; never newer. So a store that is older
//! than its mark has lost commits (a write-ahead log that was cut or broken tells nothing of that by itself), and one of the
//! same commit must be the same in all that the mark says. Without a readable mark nothing is concluded.

use super::BoxRow;
use super::damage::Damage;
use crate::message::{Anchor, hex};
use crate::time::Clock;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Bytes of the mark: always the same, so that one write within one page replaces it whole.
const LENGTH: usize = 320;
const NAME: &str = "branchline-mark-1";

/// What the last commit was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Mark {
    /// The store's name.
    pub store: String,
    /// Its schema.
    pub schema: i64,
    pub commits: i64,
    pub boxed: i64,
    /// The highest ids that were given away: none is given twice, whatever is lost.
    pub message: i64,
    pub attempt: i64,
    /// Where the audit record stood: no number of a row is given twice.
    pub audit: Anchor,
    /// A digest of the whole `box` row.
    pub row: String,
}

impl Mark {
    pub fn of(row: &BoxRow, schema: i64, message: i64, attempt: i64) -> Mark {
        Mark {
            store: row.store.clone(),
            schema,
            commits: row.commits,
            boxed: row.boxed.0,
            message,
            attempt,
            audit: row.audit,
            row: digest_of(row),
        }
    }

    /// Fails silently: a mark that is missing or old only tells less.
    pub fn write(&self, file: &File) {
        let Mark { store, schema, commits, boxed, message, attempt, audit, row } = self;
        let text = format!("{NAME} {store} {schema} {commits} {boxed} {message} {attempt} {audit} {row}");
        let mut line = format!("{text} {}", digest(text.as_bytes())).into_bytes();
        line.resize(LENGTH - 1, b' ');
        line.push(b'\n');
        let _ = file.write_all_at(&line, 0);
    }

    pub fn read(file: &File) -> Option<Mark> {
        let mut line = [0; LENGTH];
        file.read_exact_at(&mut line, 0).ok()?;
        let (text, sum) = std::str::from_utf8(&line).ok()?.trim_end().rsplit_once(' ')?;
        if sum != digest(text.as_bytes()) {
            return None;
        }
        let mut words = text.strip_prefix(NAME)?.split_ascii_whitespace();
        let store = words.next()?.to_owned();
        let mut number = || words.next()?.parse().ok();
        let (schema, commits, boxed) = (number()?, number()?, number()?);
        let (message, attempt) = (number()?, number()?);
        let audit = words.next()?.parse().ok()?;
        Some(Mark { store, schema, commits, boxed, message, attempt, audit, row: words.next()?.to_owned() })
    }

    /// What a row of the store says against it.
    pub fn contradicts(&self, row: &BoxRow) -> Option<Damage> {
        if row.commits < self.commits && row.store == self.store {
            return Some(Damage::CommitsGone(format!("the last {} commits are gone", self.commits - row.commits)));
        }
        if row.store != self.store {
            return Some(Damage::OtherStore("it is not the file that this box wrote last".to_owned()));
        }
        (row.commits == self.commits && digest_of(row) != self.row)
            .then(|| Damage::Content("what the box knew about itself is not what was written last".to_owned()))
    }
}

fn digest_of(row: &BoxRow) -> String {
    let trusted = matches!(row.wall, Clock::Trusted(_));
    // The tail is part of what the anchor is computed from.
    let BoxRow { store, commits, boxed, mono, boot, wall, receipts_taken, filters, audit, tail: _, worn } = row;
    let wall = wall.reading().0;
    digest(
        format!(
            "{store} {commits} {} {} {boot} {wall} {trusted} {receipts_taken} {filters:?} {audit} {} {}",
            boxed.0, mono.0, worn.0.0, worn.1
        )
        .as_bytes(),
    )
}

/// Eight bytes of SHA-256, in hex: against accidents, not against people.
fn digest(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    hex(&digest.as_ref()[..8])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{BoxTime, Mono, Wall};

    fn row(commits: i64) -> BoxRow {
        BoxRow {
            store: "k3f9".into(),
            commits,
            boxed: BoxTime(70),
            mono: Mono(7),
            boot: "b".into(),
            wall: Clock::Trusted(Wall(1)),
            receipts_taken: 3,
            filters: vec!["pos/#".into()],
            audit: Anchor { rows: 4, head: [3; 32] },
            tail: crate::outbox::Piece::default(),
            worn: (Wall(1), 5),
        }
    }

    #[test]
    fn a_mark_is_read_whole_or_not_at_all() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(Mark::read(&file), None);
        let mark = Mark::of(&row(9), 1, 12, 13);
        mark.write(&file);
        assert_eq!(Mark::read(&file), Some(mark.clone()));
        for place in 0..mark.store.len() + 60 {
            let mut byte = [0];
            file.read_exact_at(&mut byte, place as u64).unwrap();
            file.write_all_at(&[byte[0] ^ 4], place as u64).unwrap();
            assert_eq!(Mark::read(&file), None, "byte {place}");
            file.write_all_at(&byte, place as u64).unwrap();
        }
    }

    #[test]
    fn what_contradicts_a_mark() {
        let mark = Mark::of(&row(9), 1, 12, 13);
        assert_eq!(mark.contradicts(&row(9)), None);
        assert_eq!(mark.contradicts(&row(12)), None, "the power went before the mark was on the disk");
        assert_eq!(mark.contradicts(&row(8)), Some(Damage::CommitsGone("the last 1 commits are gone".into())));
        assert!(matches!(mark.contradicts(&BoxRow { boxed: BoxTime(71), ..row(9) }), Some(Damage::Content(_))));
        for commits in [8, 9, 12] {
            let other = BoxRow { store: "bcdf".into(), ..row(commits) };
            let damage = mark.contradicts(&other).unwrap();
            assert!(matches!(damage, Damage::OtherStore(_)) && damage.hides_commits(), "{commits}");
        }
    }
}
