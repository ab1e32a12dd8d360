//! The file as bytes, looked at before SQLite opens it: header, size, and the last write-ahead log.
//!
//! Floor: rooms. Reads only. SQLite takes a broken log for a short one and goes on with an older store, and it pads a file that
//! was cut with zeros: neither may be taken for the truth here.

use super::damage::Damage;
use super::open::suffixed;
use super::{PAGE, schema};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::Path;

/// Bytes of the file's header, of the log's, and of each frame's in it.
const HEADER: usize = 100;
const WAL_HEADER: usize = 32;
pub(super) const FRAME_HEADER: usize = 24;

/// What is wrong with the file, in words; `None` if nothing shows before it is opened.
pub(super) fn examine(path: &Path) -> std::io::Result<Option<Damage>> {
    let mut header = [0; HEADER];
    let mut file = File::open(path)?;
    let bytes = file.metadata()?.len();
    match file.read_exact(&mut header) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
            return Ok(Some(Damage::Content(format!("only {bytes} bytes of the file are left"))));
        }
        // A sector that cannot be read, or a file that may not be.
        read => read?,
    }
    let log = match File::open(suffixed(path, "-wal")) {
        Ok(log) => Some(Log::read(log)?),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    // The newest first page may be in the log, perhaps behind where that is broken, and the file's own that of an empty store.
    let newest = !log.as_ref().is_some_and(|log| log.wrong.is_some() || log.holds.contains(&1));
    let head = header_wrong(&header, newest);
    if let Some(wrong) = log.as_ref().and_then(|log| log.wrong.clone()) {
        return Ok(Some(Damage::Log(head.map_or(wrong.clone(), |head| format!("{head}; {wrong}")))));
    }
    if head.is_some() {
        return Ok(head.map(Damage::Content));
    }
    let pages = log.as_ref().and_then(|log| log.pages).unwrap_or(number(&header, 28));
    let here = bytes / PAGE;
    let missing = |page: &u64| !log.as_ref().is_some_and(|log| log.holds.contains(&(*page as u32)));
    let cut = (here + 1..=u64::from(pages)).filter(missing).count();
    let cut_by = || format!("the file was cut: {cut} of its {pages} pages of {PAGE} bytes are missing");
    Ok((cut > 0).then(|| Damage::Content(cut_by())))
}

/// Whether there is nothing in the file but zeros, or nothing at all: no program's data.
pub(super) fn is_blank(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    let mut start = Vec::new();
    BufReader::new(file).take(64 * PAGE).read_to_end(&mut start).is_ok_and(|_| start.iter().all(|byte| *byte == 0))
}

/// The header of a store that we wrote is the same in all of this (SQLite's "Database File Format", section 1.3).
fn header_wrong(header: &[u8; HEADER], newest: bool) -> Option<String> {
    let is = |place: usize, expected: &[u8]| header[place..].starts_with(expected);
    let wrong = [
        (!is(0, b"SQLite format 3\0"), "its first bytes are not SQLite's"),
        (!is(16, &(PAGE as u16).to_be_bytes()), "its page size"),
        (!is(18, &[2, 2]), "its journal mode"),
        (!is(20, &[0, 64, 32, 32]), "its page layout"),
        (newest && !(1..=4).contains(&number(header, 44)), "its format"),
        (!is(52, &[0; 4]) || !is(64, &[0; 4]), "its vacuum mode"),
        (newest && number(header, 56) != 1, "its text encoding"),
        (header[72..92].iter().any(|byte| *byte != 0), "its reserved bytes"),
        (newest && number(header, 68) != schema::APPLICATION as u32, "its application id"),
    ];
    wrong.iter().find(|(wrong, _)| *wrong).map(|(_, what)| format!("the header is damaged: {what}"))
}

fn number(bytes: &[u8], place: usize) -> u32 {
    let mut four = [0; 4];
    four.copy_from_slice(&bytes[place..place + 4]);
    u32::from_be_bytes(four)
}

/// What the write-ahead log holds (SQLite's "WAL-mode File Format").
struct Log {
    /// Pages of the whole store as of its last commit; none without a commit.
    pages: Option<u32>,
    /// Pages that it holds.
    holds: BTreeSet<u32>,
    wrong: Option<String>,
}

impl Log {
    fn read(file: File) -> std::io::Result<Log> {
        let bytes = file.metadata()?.len();
        let mut log = Log { pages: None, holds: BTreeSet::new(), wrong: None };
        let mut file = BufReader::with_capacity(64 * 1024, file);
        let mut header = [0; WAL_HEADER];
        if bytes < WAL_HEADER as u64 {
            // Made, and the power went before anything was in it.
            return Ok(log);
        }
        file.read_exact(&mut header)?;
        let magic = number(&header, 0);
        let mut sum = Sum { big: magic & 1 == 1, a: 0, b: 0 };
        sum.add(&header[..24]);
        let whole = magic & !1 == 0x377f_0682
            && number(&header, 4) == 3_007_000
            && u64::from(number(&header, 8)) == PAGE
            && sum.is(&header[24..32]);
        if !whole {
            // A log is begun, and synced, before the first commit is in it: a broken head over frames is damage. A power cut
            // while it was begun leaves none of this generation behind it.
            log.wrong = (bytes > WAL_HEADER as u64).then(|| "the head of the write-ahead log is damaged".to_owned());
            return Ok(log);
        }
        let (mut frame, mut held) = (vec![0; FRAME_HEADER + PAGE as usize], Vec::new());
        let (mut broken, mut commits_after) = (false, 0);
        while file.read_exact(&mut frame).is_ok() {
            let ours = frame[8..16] == header[16..24];
            if !broken {
                sum.add(&frame[..8]);
                sum.add(&frame[FRAME_HEADER..]);
                broken = !ours || !sum.is(&frame[16..24]);
            }
            let commit = number(&frame, 4);
            if broken {
                commits_after += u32::from(ours && commit > 0);
                continue;
            }
            held.push(number(&frame, 0));
            if commit > 0 {
                log.pages = Some(commit);
                log.holds.extend(held.drain(..));
            }
        }
        // The power may have gone in the middle of the last transaction, which then was never synced and never acknowledged. A
        // transaction that others followed was.
        if commits_after > 1 {
            log.wrong = Some(format!("the write-ahead log is broken, {commits_after} commits before its end"));
        }
        Ok(log)
    }
}

/// The log's running checksum.
struct Sum {
    big: bool,
    a: u32,
    b: u32,
}

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        let (words, _) = bytes.as_chunks::<4>();
        for pair in words.chunks_exact(2) {
            let word = |four: [u8; 4]| if self.big { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) };
            let (first, second) = (word(pair[0]), word(pair[1]));
            self.a = self.a.wrapping_add(first).wrapping_add(self.b);
            self.b = self.b.wrapping_add(second).wrapping_add(self.a);
        }
    }

    fn is(&self, written: &[u8]) -> bool {
        (self.a, self.b) == (number(written, 0), number(written, 4))
    }
}
