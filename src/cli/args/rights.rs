//! What may be typed about the audit record and about a person's rights.
//!
//! Floor: roof. Decides nothing.

use super::Output;
use crate::message::Anchor;
use clap::Subcommand;

#[derive(Subcommand, Debug)]
pub enum Audit {
    /// Compute the whole record anew and name every row that was changed, removed or moved; exit code 1 if there is any.
    #[command(
        after_help = "The record by itself proves nothing against whoever may write the store: such a person can compute \
        it anew. Every receipt and the box's state carry where it stood (audit: rows and head): with one of those, kept \
        elsewhere, nothing before it can be changed unseen. Rows that were forgotten (outbox.keep_audit) or lost with a damaged \
        store are told, and no fault: the record says so itself.\n\n\
        Example:\n  branchline audit verify --anchor 1042:3fa9c1d6b0e84f7c9a2be51d7730c8ef5b64210d9e8fca37b15d06e24c89af10"
    )]
    Verify {
        /// Where it stood once, as a receipt or the state told it.
        #[arg(long, value_name = "ROWS:HEAD")]
        anchor: Option<Anchor>,
        #[command(flatten)]
        output: Output,
    },
    /// All rows, one JSON object per line, oldest first; what does not verify is left out and named, with exit code 1.
    #[command(
        after_help = "Persons, messages and events are hashes by the key in outbox.db.audit.key: the same person has the same \
        hash in all rows, and only who holds the key can ask for a number (branchline contact export).\n\n\
        Example:\n  branchline audit export > audit.jsonl"
    )]
    Export,
}

#[derive(Subcommand, Debug)]
pub enum Contact {
    /// Everything that is held on a person, as JSON: names, consent, suppression, limits, messages with texts, audit rows.
    #[command(
        after_help = "Numbers and texts are whole in it: it is for that person. That it was asked for is a row of the audit \
        record.\n\nExample:\n  branchline contact export +5511987654321 > person.json"
    )]
    Export {
        /// The person's number; a national one is read as of branch.country. Or the platform's user id, like
        /// BR.13491208655302741918, of somebody without a number.
        number: String,
    },
    /// Remove a person: all that says who it was, from the store, its log and whatever was set aside. It cannot be undone.
    #[command(
        after_help = "What waits is withdrawn; of what is on its way the answer is dropped. Who took consent back stays \
        suppressed by a keyed hash; anybody else may be messaged again only by new consent. The store is written anew, for which \
        the disk needs as much space as it takes: name several numbers to do that once. Done means that it is done on the \
        disk; copies elsewhere (backups, the log, the broker, head office) are not reached.\n\n\
        Example:\n  branchline contact erase +5511987654321"
    )]
    Erase {
        /// Their numbers; national ones are read as of branch.country. Or the platform's user ids, like BR.13491208655302741918.
        #[arg(required = true, value_name = "NUMBER")]
        numbers: Vec<String>,
        #[command(flatten)]
        output: Output,
    },
}
