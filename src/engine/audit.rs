//! The audit record: what the store notes as decided becomes rows; after a damage, what is left of them is mended and the break
//! recorded.
//!
//! Floor: engine. Knows which bytes go where; what a row is says `audit`, how it is kept `outbox`. It never changes a row.

use super::Engine;
use crate::audit::{self, Key, Row};
use crate::message::{Act, Acted};
use crate::outbox::StoreError;

/// Bytes of the record that are read at once.
const PAGE: usize = 64 * 1024;

impl Engine {
    /// Makes rows of all that was decided since the last call, in the transaction that decided it.
    pub(super) fn record(&mut self) -> Result<(), StoreError> {
        let acted = self.outbox.take_acted();
        if acted.is_empty() {
            return Ok(());
        }
        let key = Key::new(self.outbox.audit_key());
        let (mut at, mut bytes) = (self.outbox.anchor(), Vec::new());
        let count = acted.len() as u64;
        for acted in acted {
            let digits = self.outbox.digits_of(&acted)?;
            self.soft.staff_due |= self.concerns_staff(&acted, digits.as_deref());
            let row = self.row(&key, acted, digits);
            audit::append(&mut at, &row, &mut bytes);
        }
        self.outbox.record(at, count, &bytes)
    }

    fn row(&self, key: &Key, acted: Acted, digits: Option<String>) -> Row {
        let wall = self.moment.wall;
        Row {
            act: acted.act,
            at: wall.reading(),
            trusted: wall.trusted().is_some(),
            person: digits.map(|digits| key.person(&digits)),
            message: acted.message.map(|id| key.message(&self.outbox.row().store, id)),
            event: acted.event.map(|id| key.event(&id)),
            about: acted.about,
            rows: acted.rows,
        }
    }

    /// After a salvage: rows that do not follow what was before them are given up, and the record says which are missing.
    pub(super) fn mend_record(&mut self) -> Result<(), StoreError> {
        let end = self.outbox.anchor();
        let (mut known, mut gaps) = (Vec::new(), Vec::new());
        // What the next row follows, once there was one.
        let (mut next, mut head, mut after) = (1, None, 0);
        loop {
            let (pieces, all) = self.outbox.pieces(after, PAGE)?;
            for piece in pieces {
                after = piece.first;
                let mut told = Vec::new();
                let (count, length, ends) = audit::whole_rows(piece.before, &piece.rows, &mut |row| {
                    if let (Act::Forgotten | Act::Lost, Some(rows)) = (row.act, row.rows) {
                        told.push(rows);
                    }
                });
                let joins = piece.first > next || (piece.first == next && head.is_none_or(|head| head == piece.before));
                let last = piece.first + count.max(1) - 1;
                let fits = last < end.rows || (last == end.rows && ends == end.head);
                let kept = if joins && fits && count <= piece.count { count } else { 0 };
                if kept < piece.count || length < piece.rows.len() {
                    self.outbox.cut_piece(&piece, kept, length)?;
                }
                if kept == 0 {
                    continue;
                }
                known.extend(told);
                if piece.first > next {
                    gaps.push((next, piece.first - 1));
                }
                (next, head) = (piece.first + kept, Some(ends));
            }
            if all {
                break;
            }
        }
        if next <= end.rows {
            gaps.push((next, end.rows));
        }
        for gap in audit::missing(&gaps, &known) {
            let acted = Acted::new(Act::Lost, crate::message::Reason::StoreDamaged.code());
            self.outbox.acted(Acted { rows: Some(gap), ..acted });
        }
        self.record()
    }
}

#[cfg(test)]
impl Engine {
    /// The record as it lies in the store, judged; each good row goes to `each`.
    pub(super) fn judge_record(
        &self,
        anchor: Option<crate::message::Anchor>,
        each: &mut impl FnMut(&crate::message::Anchor, &Row),
    ) -> audit::Verdict {
        let mut verifier = audit::Verifier::new(anchor);
        let (pieces, _) = self.outbox.pieces(0, usize::MAX).expect("the store can be read");
        for piece in pieces {
            verifier.piece(piece.first, piece.count, piece.before, &piece.rows, each);
        }
        verifier.finish(self.outbox.anchor())
    }
}
