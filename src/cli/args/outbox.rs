//! `branchline outbox`
//!
//! Floor: roof.

use super::{Output, not_blank};
use crate::message::Outcome;
use clap::Subcommand;
use clap::builder::PossibleValuesParser;
use std::path::PathBuf;

#[derive(Subcommand, Debug)]
pub enum Outbox {
    /// A page of messages, newest first.
    #[command(after_help = "Example:\n  branchline outbox list --outcome withheld --limit 100")]
    List {
        /// Only what stands there.
        #[arg(long, value_name = "CODE", value_parser = PossibleValuesParser::new(Outcome::ALL.iter().map(|o| o.code())))]
        outcome: Option<String>,
        /// Rows, 1 to 200.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
        limit: u32,
        /// Continue below this row, as the page before says.
        #[arg(long, value_name = "ROW")]
        before: Option<i64>,
        #[command(flatten)]
        output: Output,
    },
    /// One message with its attempts.
    #[command(after_help = "Example:\n  branchline outbox show k3f9-1042")]
    Show {
        /// As the list shows it.
        id: String,
        #[command(flatten)]
        output: Output,
    },
    /// Accept what was lost with a damaged store: what is held for it goes on, as far as consent is still known. Or stops that the
    /// notices may have missed.
    #[command(after_help = "Read first what branchline status says of the loss.\n\nExample:\n  \
        branchline outbox accept-loss --reason \"called head office, 2 orders told by hand\"")]
    AcceptLoss {
        /// Why: told, and in the log.
        #[arg(long, value_name = "TEXT", value_parser = not_blank)]
        reason: String,
        #[command(flatten)]
        output: Output,
    },
    /// Read the whole store, without a daemon, and tell what is damaged; exit code 1 if anything is. Writes nothing.
    #[command(after_help = "A running daemon checks its store by itself: see branchline status.\n\nExample:\n  \
        branchline outbox check --file /var/lib/branchline/outbox.db.damaged-7300000")]
    Check {
        /// This file; without, the configuration's outbox.path.
        #[arg(long, value_name = "PATH")]
        file: Option<PathBuf>,
        #[command(flatten)]
        output: Output,
    },
    /// What the store holds, one JSON object per line; of a damaged file, whatever can be read of it. Writes nothing to it.
    #[command(
        after_help = "Numbers are masked and texts are left out. With --all come the ledger, who may not be written to and \
        the limits of each person, with whole numbers: keep it like the ledger itself.\n\nExample:\n  \
        branchline outbox export --all --file /var/lib/branchline/outbox.db.damaged-7300000 > lost.jsonl"
    )]
    Export {
        /// Also the ledger, and suppression and limits by person, with whole numbers.
        #[arg(long)]
        all: bool,
        /// This file, which no daemon works on; without, the store, over the daemon if one runs.
        #[arg(long, value_name = "PATH")]
        file: Option<PathBuf>,
    },
    /// Take over ledger, suppression and limits from a box that this one replaces.
    #[command(
        after_help = "FILE is what branchline outbox export --all wrote on the other box, \"-\" for standard input. Into a store \
        from which nothing was sent yet: what the limits counted there counts here, as if no time had passed. Messages are not \
        taken over. The same file again adds nothing.\n\nExample:\n  branchline outbox import old-box.jsonl"
    )]
    Import {
        /// The file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        output: Output,
    },
}
