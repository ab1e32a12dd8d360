//! What somebody should look at, in words, with what to do: the first lines of the status and the top of the page.
//!
//! Floor: rooms. To add a remedy: a line in `remedy`.

use super::show;
use crate::message::{Reason, Way};
use crate::operate::{Gauges, Hold, LinkState, Problem, Reports};

/// `Hold::what` of everything that stops the sender number.
pub const THE_NUMBER: &str = "the number";

/// `Hold::what` after the store was damaged.
pub const ALL_BUT_ALARMS: &str = "everything but critical messages to configured contacts";

/// The store counts as nearly full from here: 90 %, where the reserve for critical messages begins.
const NEARLY_FULL: f64 = 0.9;

/// Free space counts as scarce below this part of what the store may still grow by.
const SCARCE: u64 = 10;

/// Everything that is wrong, worst first.
pub fn of(gauges: &Gauges) -> Vec<Problem> {
    let mut problems = Vec::new();
    if !gauges.running {
        problems.push(Problem {
            what: "NO DAEMON RUNS: this is read from the store".into(),
            since: None,
            remedy: "start it: systemctl start branchline (or branchline run)".into(),
        });
    }
    problems.extend(gauges.holds.iter().filter(|hold| hold.loud).map(held));
    problems.extend(gauges.links.iter().filter_map(|link| linked(link, gauges.running)));
    problems.extend(filling(gauges));
    problems.extend(scarce(gauges));
    problems.extend(worn(gauges));
    if gauges.running && !gauges.clock_trusted {
        problems.push(Problem {
            what: "CLOCK NOT CONFIRMED: what depends on the time of day waits, critical messages go".into(),
            since: None,
            remedy: "let the box reach a time server, or the API once: its verified answers carry the time".into(),
        });
    }
    problems
}

fn held(hold: &Hold) -> Problem {
    let reason = hold.reason.code().replace('-', " ");
    let note = if hold.note.is_empty() { String::new() } else { format!(" ({})", hold.note) };
    let what = match hold.what.as_str() {
        what if hold.reason == Reason::StoreDamaged => {
            format!("THE STORE WAS DAMAGED, held: {what}{note}")
        }
        THE_NUMBER => format!("NUMBER STOPPED: {reason}{note}"),
        _ if hold.reason == Reason::StopsMissed => format!("STOPS MAY BE MISSING{note}"),
        what if hold.reason == Reason::ConsentRevoked => format!("NOT REACHED: {what}: {reason}{note}"),
        what => format!("HELD: {what}: {reason}{note}"),
    };
    Problem { what, since: hold.since, remedy: remedy(hold.reason).into() }
}

fn linked(link: &LinkState, running: bool) -> Option<Problem> {
    // Without a daemon every connection is down, which says nothing new.
    if !running || (link.up && link.why.is_empty()) {
        return None;
    }
    let why = if link.why.is_empty() { "not connected yet" } else { &link.why };
    let (name, remedy) = match link.link.as_str() {
        "broker" => ("BROKER", "see [mqtt] in the configuration, the broker's log and its access rules"),
        "uplink" => ("UPLINK", "see the network and [uplink]; messages are kept and leave by themselves afterwards"),
        "notices" => (
            "NOTICES",
            "see [mqtt] in the configuration and the broker's access rules: the box must read branchline/<branch>/notice and branchline/all/notice",
        ),
        other => (other, "see the log"),
    };
    let state = if link.up { "" } else { " DOWN" };
    Some(Problem { what: format!("{name}{state}: {why}"), since: link.since, remedy: remedy.into() })
}

/// Bodies that nobody vouched for. At the webhook anybody may leave some: they tell something where none has a good signature.
pub fn unsigned(way: Way, reports: &Reports) -> Option<Problem> {
    let (what, remedy) = match way {
        Way::Topic => (
            "NOTICES WITH A WRONG SIGNATURE since the start, of which nothing was read",
            "see that the file of notice.key_file is the same as at head office, and who may publish to branchline/+/notice",
        ),
        Way::Webhook if reports.bodies == 0 => (
            "REPORTS WITH A WRONG SIGNATURE at the webhook since the start, and none with a good one",
            "see that the file of webhook.app_secret_file holds the app secret (App settings, Basic), and that what stands in front passes body and X-Hub-Signature-256 on unchanged",
        ),
        Way::Webhook => return None,
    };
    let problem = || Problem { what: format!("{} {what}", reports.unsigned), since: None, remedy: remedy.into() };
    (reports.unsigned > 0).then(problem)
}

fn filling(gauges: &Gauges) -> Option<Problem> {
    let used = gauges.bytes as f64 / gauges.max_bytes.max(1) as f64;
    (gauges.max_bytes > 0 && used >= NEARLY_FULL).then(|| Problem {
        what: format!("STORE {:.0} % FULL: soon only critical messages are taken", (used * 100.0).min(100.0)),
        since: None,
        remedy: "find out what holds the backlog (branchline outbox list --outcome stored), or raise outbox.max_bytes"
            .into(),
    })
}

/// The disk ends before the store does: told while there is time, for below its reserve everything waits.
fn scarce(gauges: &Gauges) -> Option<Problem> {
    let growth = gauges.max_bytes.saturating_sub(gauges.bytes);
    gauges.free_bytes.filter(|free| gauges.running && *free < growth / SCARCE).map(|free| Problem {
        what: format!("DISK NEARLY FULL: {} free, and the store may grow by {}", show::bytes(free), show::bytes(growth)),
        since: None,
        remedy: "free space on the file system of outbox.path, or lower outbox.max_bytes: without space nothing is acknowledged and nothing is sent".into(),
    })
}

/// The storage will not last as long as its board's file says.
fn worn(gauges: &Gauges) -> Option<Problem> {
    let written = gauges.written.as_ref()?;
    let budget = written.budget.filter(|budget| written.bytes > *budget)?;
    Some(Problem {
        what: format!(
            "STORAGE WORN: {} written today, of {} that it can bear a day",
            show::bytes(written.bytes),
            show::bytes(budget)
        ),
        since: Some(written.since),
        remedy: "find the rule that writes so much (branchline outbox list), or give the box a storage made for it"
            .into(),
    })
}

/// What to do about a loud hold.
fn remedy(reason: Reason) -> &'static str {
    match reason {
        Reason::TokenInvalid => "replace the file of uplink.token_file by a valid token: sending resumes by itself",
        Reason::PermissionMissing => {
            "give the token's system user whatsapp_business_messaging and the number, then replace the token file"
        }
        Reason::QualityYellow | Reason::QualityRed => {
            "see the number's quality in WhatsApp Manager; send less, and only what people agreed to: it goes on by itself when the platform rates the number better"
        }
        Reason::TemplateQuality => {
            "change the template or to whom it goes; it goes on by itself when the platform rates it better, or: branchline resume --template NAME --reason ..."
        }
        Reason::TemplateCategory => {
            "fetch templates.json again (README, Connecting a real number) and reload: it then goes by the rules of marketing"
        }
        Reason::AccountLocked | Reason::PolicyRestricted | Reason::SpamRestricted => {
            "see the account's quality in WhatsApp Manager and appeal there; then branchline resume --reason ..."
        }
        Reason::PaymentMissing => "see billing in WhatsApp Manager; then branchline resume --reason ...",
        Reason::NumberUnusable => "register the number in WhatsApp Manager; then branchline resume --reason ...",
        Reason::TemplateMissing
        | Reason::TemplateParameters
        | Reason::TemplatePolicy
        | Reason::TemplatePausedByPlatform
        | Reason::TemplateDisabled => {
            "correct the template in WhatsApp Manager or the rule; then branchline resume --template NAME --reason ..."
        }
        Reason::DiskReserve => "free space on the file system of outbox.path: it goes on by itself",
        Reason::StoreFull => {
            "it goes on by itself when messages have left and the broker has taken their receipts; or raise outbox.max_bytes"
        }
        Reason::StoreDamaged => {
            "import the ledger (branchline consent import FILE --releases), or accept what is lost: branchline outbox accept-loss --reason ..."
        }
        Reason::Paused | Reason::RulePaused | Reason::CategoryPaused | Reason::TemplatePaused => {
            "when it may go on: branchline resume with the same target"
        }
        Reason::StopsMissed => {
            "import what another box or head office knows (branchline consent export there, branchline consent import FILE here); if nothing can be missing: branchline outbox accept-loss --reason ..."
        }
        Reason::ConsentRevoked => {
            "ask the person; if they want alarms again: branchline consent grant NUMBER --after-revocation; or name somebody else"
        }
        _ => "see branchline outbox list and the log; when it is mended: branchline resume --reason ...",
    }
}
