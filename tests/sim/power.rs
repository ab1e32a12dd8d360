//! Kills and power cuts: what they leave of the files. A kill leaves the write-ahead log, for nobody checkpoints; a power cut also
//! tears what was being written when it came.
//!
//! What a commit does, in its order: pages of the transaction go to the log, the log is synced, and now and then a checkpoint copies
//! it into the store's file and syncs that. A cut finds each sector of what was being written old or new, in any mixture, and the
//! file as long as before, as after, or in between; what was synced before is whole, and what comes after has not begun. The mark
//! is written without a sync: a cut may find that of any commit of this boot.

use super::orders::Order;
use super::world::{MARK, PATIENCE, World};
use crate::outbox::power::{self, Files};

/// What a disk writes in one piece.
const SECTOR: usize = 512;
/// What a commit writes, each synced before the next begins.
const ORDER: [&str; 2] = ["outbox.db-wal", "outbox.db"];

impl World {
    /// SIGKILL: the files stay as they are at this instant. What is on its way to and from the box stays on its way, or is lost.
    pub fn crash(&mut self) {
        self.say(|| "crash".to_owned());
        let files = power::files(self.folder.path()).unwrap();
        self.count();
        self.dies(&files);
    }

    fn dies(&mut self, files: &Files) {
        // Dropped, it closes its files in order; nothing of that happened.
        self.running = None;
        power::put_back(self.folder.path(), files).unwrap();
        for request in std::mem::take(&mut self.platform.open) {
            let (answer, ..) = self.platform.answer(&mut self.random, &request);
            self.platform.ghosts.push((request.attempt, answer));
        }
        self.unheard();
        self.books.crashed(self.real);
        self.broker.lost();
        self.broker.owed.clear();
        self.orders.clear();
        self.acked.clear();
        self.published.clear();
        self.crash_in = None;
    }

    pub fn restart(&mut self) {
        self.crash();
        self.open();
    }

    /// Power loss, and a new boot after `off`.
    pub fn reboot(&mut self, off: u64) {
        self.say(|| "the power fails".to_owned());
        self.count();
        let mut files = match self.cut_commit() {
            Some([before, after]) => self.torn(before, &after),
            None => power::files(self.folder.path()).unwrap(),
        };
        if self.random.bool() {
            files.insert(MARK.to_owned(), self.mark.clone());
        }
        self.dies(&files);
        self.real += off;
        (self.boot, self.boot_at) = (self.boot + 1, self.real);
        (self.trusted, self.shift) = (true, 0);
        if self.troubles.clock {
            // Box time is only an estimate where the wall clock was not trusted at both ends.
            self.books.steady = false;
            if self.random.bool() {
                (self.trusted, self.shift) = (false, self.random.i64(-1_000_000_000_000..1_000_000_000));
            }
        }
        self.open();
    }

    /// Lets the box begin one more commit, which the power does not let it end: nothing of that round leaves. The files before
    /// and after, if it came to a commit.
    fn cut_commit(&mut self) -> Option<[Files; 2]> {
        if self.random.bool() {
            return None;
        }
        // An erasure writes its files in another order: its cuts are those of src/engine/tests/contact.rs.
        let scrubs = self.running.as_ref().is_some_and(|box_| box_.engine.outbox.scrub_due());
        if scrubs || self.orders.values().any(|order| matches!(order, Order::Erase(..))) {
            return None;
        }
        self.publish();
        self.pump();
        let mut box_ = self.running.take().expect("the box runs");
        let whole =
            box_.engine.outbox.is_attached() && !box_.engine.in_doubt() && box_.engine.outbox.fault.commit.is_none();
        if whole {
            box_.engine.outbox.fault.watched = true;
            self.dead = true;
            let _ = box_.course.round(&mut box_.engine, &box_.queue, self, PATIENCE);
        }
        let seen = box_.engine.outbox.fault.seen.take();
        self.running = Some(box_);
        if seen.is_some() {
            self.reach.did("cuts within a commit");
        }
        seen
    }

    fn torn(&mut self, before: Files, after: &Files) -> Files {
        let mut files = before;
        // So many of them are synced, one is being written.
        let whole = self.random.usize(0..=ORDER.len());
        for (place, name) in ORDER.into_iter().enumerate() {
            let (old, new) = (files.remove(name).unwrap_or_default(), after.get(name).cloned().unwrap_or_default());
            let found = match place.cmp(&whole) {
                std::cmp::Ordering::Less => new,
                std::cmp::Ordering::Equal => self.mixed(&old, &new),
                std::cmp::Ordering::Greater => old,
            };
            self.say(|| format!("{name}: {} bytes", found.len()));
            files.insert(name.to_owned(), found);
        }
        files
    }

    /// Each sector old or new: all old, all new, or drawn; as long as either or anything between.
    fn mixed(&mut self, old: &[u8], new: &[u8]) -> Vec<u8> {
        let (short, long) = (old.len().min(new.len()), old.len().max(new.len()));
        let length = [old.len(), new.len(), self.random.usize(short..=long)][self.random.usize(0..3)];
        let newer = [0.0, 0.1, 0.5, 0.9, 1.0][self.random.usize(0..5)];
        let mut found = vec![0; length];
        for start in (0..length).step_by(SECTOR) {
            let from = if self.random.f64() < newer { new } else { old };
            let end = (start + SECTOR).min(length).min(from.len());
            if start < end {
                found[start..end].copy_from_slice(&from[start..end]);
            }
        }
        found
    }
}
