//! `explain` and `send` as people read them: what matched, each value, the text, and what would become of it.
//!
//! Floor: roof.

use super::{agreed, clean, table, until};
use crate::message::{Outcome, Reason};
use crate::operate::{Basis, DraftExplained, Explanation, InForce, RuleExplained, SendReport, Trouble};
use crate::status::show;
use jiff::tz::TimeZone;

/// `branchline explain`
pub fn explanation(of: &Explanation, zone: &TimeZone) -> String {
    let matched = of.rules.iter().filter(|rule| rule.matched).count();
    let mut text =
        format!("{} at {}: {matched} of {} rules match\n", clean(&of.topic), show::local(of.at, zone), of.rules.len());
    text.push_str(basis(of.basis));
    if let Some(daemons) = &of.configuration {
        text.push_str(&in_force(daemons, zone));
    }
    for rule in of.rules.iter().filter(|rule| heard(rule)) {
        text.push_str(&explained(rule, of.basis, zone));
    }
    let missed = of.rules.iter().filter(|rule| !heard(rule));
    let missed = table("  ", missed.map(|rule| vec![rule.rule.clone(), rule.pattern.clone(), rule.detail.clone()]));
    if !missed.is_empty() {
        text.push_str(&format!("\nNot for this topic, the nearest first\n{missed}"));
    }
    if matched == 0 {
        text.push_str("\nThe event would be acknowledged and counted, and nobody messaged.\n");
    }
    text
}

/// Whether the rule hears the topic; one that says why it does not has no reason.
fn heard(rule: &RuleExplained) -> bool {
    rule.heard || rule.matched || rule.reason.is_some()
}

fn basis(basis: Basis) -> &'static str {
    match basis {
        Basis::Daemon => "",
        Basis::Store => "No daemon runs: answered from the store.\n",
        Basis::Configuration => {
            "No daemon runs and there is no store: answered from the configuration alone, as if nobody had agreed to anything.\n"
        }
    }
}

/// What is tried out may be what the daemon has not read yet.
fn in_force(daemons: &InForce, zone: &TimeZone) -> String {
    let since = show::local(daemons.since, zone);
    match daemons.differs {
        Some(false) => String::new(),
        Some(true) => format!(
            "NOT by the configuration as it is written now: the daemon goes by the one that it read at {since}.\n\
             SIGHUP makes it read the files again (systemctl reload branchline).\n"
        ),
        None => format!(
            "By the configuration that the daemon read at {since}; this command cannot read the files, and does not know\n\
             whether they have changed.\n"
        ),
    }
}

fn explained(rule: &RuleExplained, basis: Basis, zone: &TimeZone) -> String {
    // What is told with its place need not be told twice.
    let placed = rule.troubles.iter().any(|trouble| rule.detail.ends_with(&trouble.detail));
    let detail = match (placed, rule.detail.as_str()) {
        (true, _) => "",
        (false, "empty") if rule.reason == Some(Reason::PayloadUnreadable) => "empty (give it by --payload FILE)",
        (false, detail) => detail,
    };
    let verdict = match (rule.reason, rule.matched) {
        (Some(reason), _) if detail.is_empty() => reason.to_string(),
        (Some(reason), _) => format!("{reason}: {}", clean(detail)),
        (None, true) => "matches".into(),
        (None, false) => "does not match".into(),
    };
    let mut text = format!("\n{} ({}): {verdict}\n", rule.rule, rule.pattern);
    let captures = rule.captures.iter().map(|(name, value)| vec![format!("{{{name}}}"), value.clone()]);
    let values = rule.values.iter().map(|(name, value)| vec![name.clone(), value.clone()]);
    text.push_str(&table("  ", captures.chain(values)));
    rule.troubles.iter().for_each(|trouble| text.push_str(&troubled(trouble)));
    for draft in &rule.drafts {
        text.push_str(&format!("  to {}\n", head(draft)));
        text.push_str(&body(draft, "would be", basis, zone));
    }
    text
}

/// As `check` tells it: where, what, and the text with a caret under the place.
fn troubled(trouble: &Trouble) -> String {
    let origin = if trouble.origin.is_empty() { String::new() } else { format!("{}: ", trouble.origin) };
    let mut text = format!("  {origin}{}: {}\n", trouble.key, clean(&trouble.detail));
    for line in trouble.excerpt.lines() {
        text.push_str(format!("  {}", clean(line)).trim_end());
        text.push('\n');
    }
    text
}

/// `branchline send`
pub fn sent(report: &SendReport, zone: &TimeZone) -> String {
    let draft = &report.message;
    let mut text = match (&report.id, report.dry_run) {
        (Some(id), _) => format!("{id}: {} for {}\n", draft.outcome, head(draft)),
        (None, true) => format!("would be {} for {}\n", draft.outcome, head(draft)),
        (None, false) => format!("{} for {}\n", draft.outcome, head(draft)),
    };
    let label = if report.dry_run { "would be" } else { "stands at" };
    text.push_str(&body(draft, label, report.basis, zone));
    match (&report.id, report.dry_run) {
        (_, true) => {
            text.push_str("A dry run: nothing was stored, nothing is sent.\n");
            text.push_str(basis(report.basis));
        }
        (Some(id), _) if draft.outcome == Outcome::Stored => {
            text.push_str(&format!("How it goes on: branchline outbox show {id}\n"));
        }
        (Some(id), _) => text.push_str(&format!("It goes no further; it is on record: branchline outbox show {id}\n")),
        (None, _) => {}
    }
    text
}

/// `+55…21 (BR): order_ready pt_BR, utility, normal`
fn head(draft: &DraftExplained) -> String {
    let country = draft.country.as_ref().map(|country| format!(" ({country})")).unwrap_or_default();
    let what = draft.template.as_deref().unwrap_or("free text");
    format!("{}{country}: {what}, {}, {}", draft.to, draft.category.code(), draft.priority.code())
}

fn body(draft: &DraftExplained, label: &str, basis: Basis, zone: &TimeZone) -> String {
    let whole = [("text", draft.text.as_str())];
    let parts: Vec<(&str, &str)> = match draft.parts.as_slice() {
        [] => whole.to_vec(),
        parts => parts.iter().map(|part| (part.what.as_str(), part.text.as_str())).collect(),
    };
    let mut text = String::new();
    for (what, said) in parts {
        for (index, line) in said.lines().enumerate() {
            let what = if index == 0 { what } else { "" };
            text.push_str(format!("    {what:6} | {}", clean(line)).trim_end());
            text.push('\n');
        }
    }
    let parameters = draft.parameters.iter().map(|(name, value)| vec![name.clone(), value.clone()]);
    let lengths = draft.lengths.iter().map(|length| {
        let characters = match length.limit {
            0 => format!("{} characters", length.characters),
            limit => format!("{} of {limit} characters", length.characters),
        };
        vec![format!("{} length", length.what), characters]
    });
    let cut =
        draft.cut.then(|| vec!["cut".to_owned(), "something was too long for the platform: the end is missing".into()]);
    let subject = draft.subject.as_ref().map(|subject| vec!["subject".to_owned(), subject.clone()]);
    let consent = vec![format!("consent {}", draft.consent.purpose), agreed(&draft.consent, zone)];
    let expires = draft.expires.map(|at| vec!["expires".to_owned(), show::local(at, zone)]);
    let outcome = vec![label.to_owned(), format!("{}: {}{}", draft.outcome, draft.reason, until(draft.until, zone))];
    let next = hint(draft, basis).map(|hint| vec![String::new(), hint]);
    let rows = parameters.chain(lengths).chain(cut).chain(subject).chain([consent]).chain(expires).chain([outcome]);
    text.push_str(&table("    ", rows.chain(next)));
    text
}

/// What the reason means here, and what to do; the commonest only, README has them all.
fn hint(draft: &DraftExplained, basis: Basis) -> Option<String> {
    let purpose = &draft.consent.purpose;
    let hint = match (draft.outcome, draft.reason) {
        (Outcome::Stored, Reason::UplinkDown | Reason::Due) if basis != Basis::Daemon => {
            "no daemon runs here; it leaves when one does".into()
        }
        (Outcome::Stored, Reason::Due) => "it may leave at once".into(),
        (_, Reason::NoConsent) => format!(
            "nobody recorded that this person agreed to {purpose}: opt_in of a rule does, or branchline consent grant"
        ),
        (_, Reason::ConsentRevoked) => {
            "this person took the consent back; only they can give it again (consent grant --after-revocation)".into()
        }
        (_, Reason::ConsentExpired) => {
            format!("what this person agreed to is over: ask again (purposes.{purpose}.expires)")
        }
        (_, Reason::Duplicate) => "the same event was told this person before, within dedupe_window".into(),
        (_, Reason::TooOld) => "the event is older than expires allows".into(),
        (_, Reason::Paused | Reason::RulePaused | Reason::CategoryPaused | Reason::TemplatePaused) => {
            "held: see branchline status, and branchline resume".into()
        }
        (_, Reason::ClockUnsynced) => "it waits until the box knows the time".into(),
        (_, Reason::QuietHours) => {
            "quiet hours of its category, or outside its rule's hours: it leaves when they end".into()
        }
        (_, Reason::WindowClosed) => {
            "free text goes only within 24 hours of the person's last message: use a template".into()
        }
        (Outcome::Stored, Reason::PairLimit | Reason::SenderLimit) if basis != Basis::Daemon => {
            "a limit of [limits]; no daemon runs here; it leaves when one does, not before".into()
        }
        (_, Reason::PairLimit | Reason::SenderLimit) => "a limit of [limits]: it leaves by itself".into(),
        _ => return None,
    };
    Some(hint)
}
