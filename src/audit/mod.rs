//! The audit record: a chain of rows, one for each decision that touches a person.
//!
//! Floor: rooms. Makes rows and verifies them; the store keeps them, the engine brings them together. It never holds a name, a
//! text, an id or a number: persons, messages and events are hashes by a key that lies in a file beside the store, so that an
//! erasure touches no row.
//!
//! ```text
//!   head 0 = zeros          head n = SHA-256(head n−1 │ row n)          kept: row n │ first 4 bytes of head n
//! ```
//!
//! A row that is changed, removed or moved no longer gives the four bytes behind it, and so is named exactly. Whoever can write
//! the store can also compute the whole chain anew; that shows only against a head that somebody else has kept, which is why
//! every receipt and the box's state carry one ([`Anchor`]).

mod row;
mod verify;

pub use row::{Key, Row, Stamp, read};
pub use verify::{Fault, Stretch, Verdict, Verifier, missing, whole_rows};

use crate::message::Anchor;
use ring::digest::{Context, SHA256};

/// Bytes of the head that follow each row.
const LINK: usize = 4;

/// Adds a row to the chain and to `bytes`, as the store keeps it.
pub fn append(at: &mut Anchor, row: &Row, bytes: &mut Vec<u8>) {
    let written = row.written();
    *at = after(at, &written);
    bytes.extend(written);
    bytes.extend(&at.head[..LINK]);
}

fn after(at: &Anchor, row: &[u8]) -> Anchor {
    let mut digest = Context::new(&SHA256);
    digest.update(&at.head);
    digest.update(row);
    let mut head = [0; 32];
    head.copy_from_slice(digest.finish().as_ref());
    Anchor { rows: at.rows + 1, head }
}

#[cfg(test)]
mod tests;
