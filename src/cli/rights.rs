//! `branchline audit` and `branchline contact`.
//!
//! Floor: roof. The record is verified here, from the bytes that the daemon or the store hands over: it keeps no engine busy, and
//! the daemon need not be believed.

use super::args::{Audit, Contact, Output};
use super::failure::{Exit, Failure};
use super::{Session, print, print_json, render, store, unwritten};
use crate::audit::{Row, Verdict, Verifier};
use crate::message::{Anchor, unhex};
use crate::operate::{
    AuditFault, AuditPage, AuditPiece, AuditReport, CONTACT_PARTS, ContactPage, ErasureReport, Request,
};
use serde_json::{Map, Value, json};
use std::io::Write;

/// Times that a record is read because its beginning may have been forgotten meanwhile; what is found twice stands.
const AGAIN: usize = 3;

impl<W: Write> Session<'_, W> {
    pub(super) fn audit(mut self, audit: Audit) -> Result<(), Failure> {
        match audit {
            Audit::Verify { anchor, output } => {
                let mut verdict = self.read_record(anchor, |_, _, _| Ok(()))?;
                for _ in 1..AGAIN {
                    if verdict.is_good() {
                        break;
                    }
                    let again = self.read_record(anchor, |_, _, _| Ok(()))?;
                    let stands = again == verdict;
                    verdict = again;
                    if stands {
                        break;
                    }
                }
                let report = report(verdict);
                if output.json {
                    print_json(self.out, &report)?;
                } else {
                    print(self.out, &render::audit(&report, anchor.is_some()))?;
                }
                // What is wrong was written already.
                if report.good { Ok(()) } else { Err(Failure::new(Exit::No, "")) }
            }
            Audit::Export => {
                let verdict = self.read_record(None, |out, at, row| store::line(out, &row.json(at)))?;
                let report = report(verdict);
                if report.good {
                    return Ok(());
                }
                self.out.flush().map_err(|error| unwritten(&error))?;
                Err(Failure::new(Exit::No, render::faults(&report).trim_end()))
            }
        }
    }

    /// The whole record, page by page.
    fn read_record(
        &mut self,
        anchor: Option<Anchor>,
        mut each: impl FnMut(&mut W, &Anchor, &Row) -> std::io::Result<()>,
    ) -> Result<Verdict, Failure> {
        let mut verifier = Verifier::new(anchor);
        let (mut after, mut done) = (0, Ok(()));
        loop {
            let (_, page): (_, AuditPage) = self.data(Request::AuditPage { after })?;
            for piece in &page.pieces {
                let (before, rows) = bytes(piece)?;
                verifier.piece(piece.first, piece.count, before, &rows, &mut |at, row| {
                    if done.is_ok() {
                        done = each(self.out, at, row);
                    }
                });
            }
            std::mem::replace(&mut done, Ok(())).map_err(|error| unwritten(&error))?;
            match page.pieces.last() {
                // Only forward: an engine that repeats itself would never end.
                Some(last) if page.more && last.first > after => after = last.first,
                _ => return Ok(verifier.finish(page.end)),
            }
        }
    }

    pub(super) fn contact(mut self, contact: Contact) -> Result<(), Failure> {
        match contact {
            Contact::Export { number } => self.export_contact(&number),
            Contact::Erase { numbers, output } => self.erase(numbers, output),
        }
    }

    fn export_contact(&mut self, number: &str) -> Result<(), Failure> {
        let mut whole = Map::new();
        for part in CONTACT_PARTS {
            let (mut rows, mut after) = (Vec::new(), Some(-1));
            while let Some(from) = after {
                let request = Request::ContactExport { number: number.to_owned(), part: part.to_owned(), after: from };
                let (_, page): (_, ContactPage) = self.data(request)?;
                rows.extend(page.rows);
                after = page.next.filter(|next| *next > from);
            }
            let held = if part == CONTACT_PARTS[0] { rows.pop().unwrap_or_default() } else { json!(rows) };
            whole.insert(part.to_owned(), held);
        }
        print_json(self.out, &Value::Object(whole))
    }

    fn erase(&mut self, numbers: Vec<String>, output: Output) -> Result<(), Failure> {
        self.show(Request::ContactErase { numbers }, output, |report: ErasureReport| render::erased(&report))
    }
}

fn report(verdict: Verdict) -> AuditReport {
    let faults = verdict.faults.iter();
    AuditReport {
        good: verdict.is_good(),
        audit: verdict.end,
        forgotten: verdict.forgotten,
        faults: faults
            .map(|fault| AuditFault { from: fault.from, to: fault.to, what: fault.what.to_owned() })
            .collect(),
        unanchored: verdict.unanchored.map(str::to_owned),
        lost: verdict.lost,
    }
}

fn bytes(piece: &AuditPiece) -> Result<([u8; 32], Vec<u8>), Failure> {
    let before = unhex(&piece.before).and_then(|bytes| bytes.try_into().ok());
    before
        .zip(unhex(&piece.rows))
        .ok_or_else(|| Failure::new(Exit::Bug, "the daemon's answer is of another version: restart it after an update"))
}
