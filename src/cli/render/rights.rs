//! What was found in the audit record, and what an erasure did, as people read it.
//!
//! Floor: roof. Shows hashes, counts and masked numbers alone.

use crate::operate::{AuditReport, Erased, ErasureReport};

fn rows(from: u64, to: u64) -> String {
    if from == to { format!("row {from} is") } else { format!("rows {from} to {to} are") }
}

/// What is wrong, a line each.
pub fn faults(report: &AuditReport) -> String {
    let mut text = String::new();
    for fault in &report.faults {
        text.push_str(&format!("!! {} {}\n", rows(fault.from, fault.to), fault.what));
    }
    if let Some(why) = &report.unanchored {
        text.push_str(&format!("!! the anchor: {why}\n"));
    }
    text
}

/// `branchline audit verify`
pub fn audit(report: &AuditReport, anchored: bool) -> String {
    let mut text = faults(report);
    if report.forgotten > 0 {
        text.push_str(&format!("{} forgotten (outbox.keep_audit), as the record says\n", rows(1, report.forgotten)));
    }
    for (from, to) in &report.lost {
        text.push_str(&format!("{} lost with a damaged store, as the record says\n", rows(*from, *to)));
    }
    let kept = report.audit.rows - report.forgotten.min(report.audit.rows);
    text.push_str(&match (report.good, anchored) {
        (true, true) => format!("{kept} rows, each as it was written; the anchor holds\n"),
        (true, false) => format!("{kept} rows, each follows from the one before it\n"),
        (false, _) => {
            "THE RECORD WAS CHANGED, or what it is compared with is of another box. Keep the store as it is\n\
            (branchline outbox export, a copy of its files) and tell whoever answers for this box.\n"
                .to_owned()
        }
    });
    text.push_str(&format!("it ends at {}\n", report.audit));
    text
}

/// `branchline contact erase`
pub fn erased(report: &ErasureReport) -> String {
    let mut text: String = report.people.iter().map(person).collect();
    for file in &report.removed {
        text.push_str(&format!("deleted, for it held old rows: {file}\n"));
    }
    for file in &report.foreign {
        text.push_str(&format!("!! not ours, and it may hold the same data: {file}\n"));
    }
    text.push_str(
        "The store was written anew. Not reached: backups, the system's log, receipts that the broker or head office has, and\n\
         old pages that a flash card keeps to itself.\n",
    );
    text
}

fn person(erased: &Erased) -> String {
    let mut text = if erased.known {
        format!("{} is erased: {} messages, {} lines of the ledger\n", erased.number, erased.messages, erased.ledger)
    } else {
        format!("{}: nothing was held\n", erased.number)
    };
    if erased.withdrawn > 0 {
        text.push_str(&format!("  {} waited and are withdrawn\n", erased.withdrawn));
    }
    if erased.in_flight > 0 {
        text.push_str(&format!("  {} are on their way: whether they arrive will not be known\n", erased.in_flight));
    }
    text.push_str(if erased.suppressed {
        "  consent was taken back: stays suppressed, by a keyed hash of the number\n"
    } else {
        "  may be messaged again only by new consent\n"
    });
    text
}
