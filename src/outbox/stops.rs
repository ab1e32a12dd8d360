//! The list of stops: who took consent back, as keyed hashes, in a small file beside the store.
//!
//! Floor: rooms. The list is asked whatever the store says, so that no damage to the store makes somebody reachable who
//! said no. It holds no number: each entry is an HMAC by a key that lies in a file of its own (0600), never in the store.
//!
//! What makes it stricter is on the disk before the commit that it belongs to, what makes it milder only after: a crash
//! between leaves a stop too many and never one too few.
//!
//! ```text
//! "BRLNSTOP" │ version, flags │ entries │ commits │ entries, sorted, 16 bytes each │ HMAC-SHA256 of all before
//! ```

use super::OpenError;
use super::beside::{Bytes, key_of, make_key, read, replace};
use super::open::beside;
use ring::hmac;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"BRLNSTOP";
/// In the lower half of its word; the upper half holds flags.
const VERSION: u32 = 1;
/// The list may lack somebody: see [`Stops::incomplete`].
const INCOMPLETE: u32 = 1 << 16;
const HEAD: usize = 24;
const SUM: usize = 32;

/// What an entry says about a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Kind {
    /// Everything was taken back.
    All = 1,
    /// One purpose was taken back.
    Purpose = 2,
    /// Given again since everything was taken back: one purpose.
    Lifted = 3,
    /// The person told the platform to stop marketing.
    Marketing = 4,
}

/// What else is kept as a hash by the list's key: never equal to an entry, whose first byte is its [`Kind`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Print {
    /// An event, for whom and by which rule: see `prints`.
    Event = 17,
    /// An id that the platform gave.
    Wamid = 18,
    /// An arrival without an id.
    Arrival = 19,
    /// The number of somebody who was erased, for as long as what was sent to it is counted.
    Spent = 16,
}

/// The kind, and 15 bytes of the hash: 16 bytes for each number and purpose, so 100,000 of them are 1.6 MB of memory and file.
type Entry = [u8; 16];

/// How the files were found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Found {
    Intact,
    /// Neither list nor key: a new store, or one of a version that had no list.
    None,
    /// One of them is missing, lies on a broken part of the disk, or does not fit the other.
    Damaged,
}

/// The list in memory.
pub(super) struct Stops {
    path: PathBuf,
    key: hmac::Key,
    kept: Vec<Entry>,
    /// The commit that the file was written for.
    pub commits: i64,
    /// It was made from a ledger that may have lost lines, and nobody has accepted that yet: no salvage takes it for whole.
    pub incomplete: bool,
    /// This batch accepts that.
    accepted: bool,
    /// What this batch changes: whether the entry shall be there.
    pending: BTreeMap<Entry, bool>,
    /// `kept` before this batch's stricter part was written.
    before: Option<Vec<Entry>>,
    /// The file is not as `kept`: written again with the next commit.
    stale: bool,
}

impl Stops {
    /// The list as it lies beside `store`. What is not intact comes back empty, with a new key that nothing holds yet.
    ///
    /// A list that only this user may not read is not lost: making it anew would drop what it alone knows.
    pub fn load(store: &Path) -> Result<(Stops, Found), OpenError> {
        let path = beside(store, "stops");
        let what = "it says who took consent back, and nothing is sent without it";
        let (list, key) = (read(&path, what)?, read(&key_path(&path), what)?);
        let none = matches!((&list, &key), (Bytes::None, Bytes::None));
        if let (Bytes::Some(list), Bytes::Some(key)) = (list, key)
            && let Some(key) = key_of(&key).map(|key| hmac::Key::new(hmac::HMAC_SHA256, &key))
            && let Some((kept, commits, incomplete)) = parse(&list, &key)
        {
            let stops = Stops { kept, commits, incomplete, stale: false, ..Stops::empty(path, key) };
            return Ok((stops, Found::Intact));
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[0; SUM]);
        Ok((Stops::empty(path, key), if none { Found::None } else { Found::Damaged }))
    }

    fn empty(path: PathBuf, key: hmac::Key) -> Stops {
        Stops {
            path,
            key,
            kept: Vec::new(),
            commits: 0,
            incomplete: false,
            accepted: false,
            pending: BTreeMap::new(),
            before: None,
            stale: true,
        }
    }

    /// Begins anew with a key of its own; the list follows with the next [`write`](Self::write).
    pub fn renew(&mut self) -> std::io::Result<()> {
        self.key = hmac::Key::new(hmac::HMAC_SHA256, &make_key(&key_path(&self.path))?);
        self.kept.clear();
        self.pending.clear();
        self.stale = true;
        Ok(())
    }

    /// Nobody is on it: nothing needs to be asked.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty() && self.pending.is_empty()
    }

    pub fn len(&self) -> usize {
        self.kept.len()
    }

    pub fn has(&self, kind: Kind, digits: &str, purpose: &str) -> bool {
        let entry = self.entry(kind, digits, purpose);
        self.pending.get(&entry).copied().unwrap_or_else(|| self.kept.binary_search(&entry).is_ok())
    }

    /// Whether a number may not be written to for a purpose.
    pub fn stops(&self, digits: &str, purpose: &str) -> bool {
        (self.has(Kind::All, digits, "") || self.has(Kind::Purpose, digits, purpose))
            && !self.has(Kind::Lifted, digits, purpose)
    }

    /// Puts an entry on the list, or takes it off, with the commit that follows.
    pub fn set(&mut self, kind: Kind, digits: &str, purpose: &str, there: bool) {
        if self.has(kind, digits, purpose) != there {
            let entry = self.entry(kind, digits, purpose);
            self.pending.insert(entry, there);
        }
    }

    /// Something that shall be recognised, and guessed by nobody who has the store alone.
    pub fn print(&self, what: Print, parts: &[&[u8]]) -> [u8; 16] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&[what as u8]);
        parts.iter().for_each(|part| context.update(part));
        let mut print = [0; 16];
        print.copy_from_slice(&context.sign().as_ref()[..16]);
        print
    }

    fn entry(&self, kind: Kind, digits: &str, purpose: &str) -> Entry {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [&[kind as u8], digits.as_bytes(), b"\0", purpose.as_bytes()] {
            context.update(part);
        }
        let mut entry = [kind as u8; 16];
        entry[1..].copy_from_slice(&context.sign().as_ref()[..15]);
        entry
    }

    /// An operator accepts, with the commit that follows, that the list may lack somebody; or has put them back.
    pub fn accept(&mut self) {
        self.accepted = self.incomplete;
    }

    /// What makes the list stricter is synced now; an error must keep the commit from happening. `commits` is its number.
    pub fn before_commit(&mut self, commits: i64) -> std::io::Result<()> {
        if self.pending.is_empty() && !self.stale {
            return Ok(());
        }
        let stricter: Vec<(Entry, bool)> =
            self.pending.iter().filter(|(entry, there)| is_stricter(entry, **there)).map(|(e, t)| (*e, *t)).collect();
        if stricter.is_empty() && !self.stale {
            return Ok(());
        }
        self.before.get_or_insert_with(|| self.kept.clone());
        apply(&mut self.kept, &stricter);
        self.write(commits)
    }

    /// The commit is true: what makes the list milder follows. If that cannot be written, it is with the next commit, and until
    /// then the file is stricter than the store.
    pub fn committed(&mut self, commits: i64) {
        self.before = None;
        let accepted = std::mem::take(&mut self.accepted);
        self.incomplete &= !accepted;
        if self.pending.is_empty() && !accepted {
            return;
        }
        let milder: Vec<(Entry, bool)> = std::mem::take(&mut self.pending)
            .into_iter()
            .filter(|(entry, there)| !is_stricter(entry, *there))
            .collect();
        if !milder.is_empty() || accepted {
            apply(&mut self.kept, &milder);
            // A failure is remembered as stale.
            let _ = self.write(commits);
        }
    }

    /// The batch did not happen.
    pub fn taken_back(&mut self) {
        self.pending.clear();
        self.accepted = false;
        if let Some(before) = self.before.take() {
            self.kept = before;
            self.stale = true;
        }
    }

    /// Writes the list as it is, synced.
    pub fn write(&mut self, commits: i64) -> std::io::Result<()> {
        self.stale = true;
        let mut bytes = Vec::with_capacity(HEAD + self.kept.len() * 16 + SUM);
        bytes.extend(MAGIC);
        bytes.extend((VERSION | if self.incomplete { INCOMPLETE } else { 0 }).to_le_bytes());
        bytes.extend((self.kept.len() as u32).to_le_bytes());
        bytes.extend(commits.to_le_bytes());
        bytes.extend(self.kept.iter().flatten());
        let sum = hmac::sign(&self.key, &bytes);
        bytes.extend(sum.as_ref());
        replace(&self.path, &bytes)?;
        self.commits = commits;
        self.stale = false;
        Ok(())
    }

    /// Everything pending becomes part of the list, without a commit: for a list that is made anew.
    pub fn absorb(&mut self) {
        let all: Vec<(Entry, bool)> = std::mem::take(&mut self.pending).into_iter().collect();
        apply(&mut self.kept, &all);
    }

    /// Gives up every "given again" that is not in `justified` any more.
    pub fn keep_lifted(&mut self, justified: &[(String, String)]) {
        let mut known: Vec<Entry> =
            justified.iter().map(|(digits, purpose)| self.entry(Kind::Lifted, digits, purpose)).collect();
        known.sort_unstable();
        self.kept.retain(|entry| entry[0] != Kind::Lifted as u8 || known.binary_search(entry).is_ok());
    }
}

fn is_stricter(entry: &Entry, there: bool) -> bool {
    (entry[0] == Kind::Lifted as u8) != there
}

fn apply(kept: &mut Vec<Entry>, changes: &[(Entry, bool)]) {
    for (entry, there) in changes {
        match (kept.binary_search(entry), there) {
            (Err(place), true) => kept.insert(place, *entry),
            (Ok(place), false) => drop(kept.remove(place)),
            _ => {}
        }
    }
}

fn key_path(list: &Path) -> PathBuf {
    beside(list, "key")
}

fn parse(list: &[u8], key: &hmac::Key) -> Option<(Vec<Entry>, i64, bool)> {
    let (body, sum) = list.split_at_checked(list.len().checked_sub(SUM)?)?;
    hmac::verify(key, body, sum).ok()?;
    let (head, entries) = body.split_at_checked(HEAD)?;
    let version = u32::from_le_bytes(head[8..12].try_into().ok()?);
    let (entries, rest) = entries.as_chunks::<16>();
    let whole = head.starts_with(MAGIC) && version & !INCOMPLETE == VERSION && rest.is_empty();
    let commits = i64::from_le_bytes(head[16..24].try_into().ok()?);
    whole.then(|| (entries.to_vec(), commits, version & INCOMPLETE != 0))
}
