//! The audit record, judged after each crash and at the end: the chain is whole, no head that was told is contradicted, and
//! whatever was told of a message has its row.

use super::world::World;
use crate::audit::Key;
use crate::message::{Act, MessageId};
use std::collections::{BTreeMap, BTreeSet};

impl World {
    pub(super) fn judge_record(&mut self) {
        let seed = self.seed;
        let box_ = self.running.as_ref().expect("the box runs");
        let store = box_.engine.outbox.row().store.clone();
        let key = Key::new(box_.engine.outbox.audit_key());
        let (mut rows, mut heads) = (BTreeSet::new(), BTreeMap::new());
        let mut sent = BTreeMap::new();
        let verdict = box_.engine.judge_record(None, &mut |at, row| {
            heads.insert(at.rows, at.head);
            if let Some(message) = row.message {
                rows.insert((message, row.act.code().to_owned(), row.about.clone()));
                if matches!(row.act, Act::Sent | Act::Repeated) {
                    *sent.entry(message).or_insert(0) += 1;
                }
            }
        });
        assert!(verdict.is_good(), "seed {seed}: {verdict:?}");
        for ((message, outcome, reason), anchor) in &self.books.told {
            let stamp = key.message(&store, MessageId(*message));
            let found = rows.contains(&(stamp, outcome.clone(), reason.clone()));
            assert!(
                found || anchor.rows <= verdict.forgotten,
                "seed {seed}: no row says {outcome}, {reason} of message {message}"
            );
            let known = heads.get(&anchor.rows);
            assert!(
                known == Some(&anchor.head) || anchor.rows <= verdict.forgotten,
                "seed {seed}: the head at row {} is not the one that was told",
                anchor.rows
            );
        }
        // Nothing leaves that is not recorded.
        for (message, tries) in self.books.attempts_of() {
            let stamp = key.message(&store, MessageId(message));
            let recorded = sent.get(&stamp).copied().unwrap_or(0);
            assert!(
                recorded >= tries || verdict.forgotten > 0,
                "seed {seed}: message {message} left {tries} times, {recorded} rows"
            );
        }
        self.reach.did("the record is judged");
    }
}
