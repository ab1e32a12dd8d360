//! What a salvage found and what became of it, in words for whoever accepts the loss.
//!
//! Floor: rooms. Words alone: nothing is decided here.

use std::fmt;

/// What was found and what became of it.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct Salvage {
    /// What was wrong.
    pub what: String,
    /// Where the damaged store lies now.
    pub aside: String,
    /// Table, rows that were kept, rows that could not be read, stretches of unknown length that could not be read.
    pub tables: Vec<(&'static str, u64, u64, u32)>,
    /// Messages that had not ended and of which nobody knows any more whether they were sent.
    pub unsure: u64,
    /// Messages that had not ended and whose content is lost.
    pub lost: u64,
    /// There was no room for messages: how many that had not ended lie in the old store alone.
    pub left: Option<u64>,
    /// Whether it is known who took consent back.
    pub stops_known: bool,
    /// How many stops the list holds.
    pub stops: usize,
}

impl fmt::Display for Salvage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; salvaged:", self.what)?;
        let kept = self.tables.iter().filter(|(_, kept, unreadable, gaps)| kept + unreadable + u64::from(*gaps) > 0);
        let mut none = true;
        for (name, kept, unreadable, gaps) in kept {
            write!(f, "{} {name} {kept}", if none { "" } else { "," })?;
            none = false;
            match (unreadable, gaps) {
                (0, 0) => {}
                (0, gaps) => write!(f, " (not all: {gaps} damaged stretches)")?,
                (rows, 0) => write!(f, " ({rows} unreadable)")?,
                (rows, gaps) => write!(f, " ({rows} unreadable, {gaps} damaged stretches)")?,
            }
        }
        if none {
            write!(f, " nothing")?;
        }
        if self.unsure > 0 {
            write!(f, "; of {} messages nobody knows whether they were sent", self.unsure)?;
        }
        if self.lost > 0 {
            write!(f, "; the content of {} that waited is lost", self.lost)?;
        }
        if let Some(left) = self.left {
            write!(
                f,
                "; THE DISK IS FULL, and no message was copied: {left} that had not ended lie in the old file alone"
            )?;
        }
        write!(f, "; {} stops on the list", self.stops)?;
        if !self.stops_known {
            write!(f, ", WHICH MAY LACK SOME: import the ledger before anything is released")?;
        }
        write!(f, "; the old file is {}", self.aside)
    }
}
