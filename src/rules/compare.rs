//! The template list that rules were checked with, against the platform's own of today.
//!
//! Floor: rooms.

use super::catalog::{ButtonKind, Catalog, Form, HeaderForm};
use crate::message::Category;
use std::fmt;

/// One form of a template that is not on the platform what it is in the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// The template's name.
    pub template: String,
    /// The language of the form.
    pub language: String,
    /// What differs.
    pub change: Change,
}

/// What differs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// The platform has no such form.
    Missing,
    /// Approved in the file, and this on the platform.
    Status(String),
    /// Of this category in the file, of that on the platform.
    Category(Category, Category),
    /// It takes these parameters in the file, those on the platform.
    Parameters(String, String),
    /// Only the words differ: it can be sent, and people read something else than this box shows.
    Words,
}

impl Change {
    /// Whether messages made by the file are refused, or are something else than policy took them for.
    pub fn matters(&self) -> bool {
        *self != Change::Words
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.template, self.language)?;
        match &self.change {
            Change::Missing => f.write_str("is not there"),
            Change::Status(status) => write!(f, "is {}", status.to_lowercase()),
            Change::Category(file, platform) => {
                write!(f, "is {}, not {} as in the file", platform.code(), file.code())
            }
            Change::Parameters(file, platform) => write!(f, "takes {platform}, not {file} as in the file"),
            Change::Words => f.write_str("has other words than in the file"),
        }
    }
}

/// What differs in the templates called `names`, in every language that `file` has them approved in.
///
/// # Errors
/// What is wrong with the platform's list, or with the file.
pub fn compare(file: &str, platform: &str, names: &[String]) -> Result<Vec<Difference>, String> {
    let (file, platform) = (Catalog::read(file)?, Catalog::read(platform)?);
    let mut found = Vec::new();
    for name in names {
        for (language, ours) in file.forms(name).into_iter().flatten().filter(|(_, form)| form.approved()) {
            let theirs = platform.forms(name).and_then(|forms| forms.get(language));
            if let Some(change) = change(ours, theirs) {
                found.push(Difference { template: name.clone(), language: language.clone(), change });
            }
        }
    }
    Ok(found)
}

/// The first that matters most.
fn change(ours: &Form, theirs: Option<&Form>) -> Option<Change> {
    let Some(theirs) = theirs else { return Some(Change::Missing) };
    if !theirs.approved() {
        return Some(Change::Status(theirs.status.clone()));
    }
    if theirs.category != ours.category {
        return Some(Change::Category(ours.category, theirs.category));
    }
    let (file, platform) = (parameters(ours), parameters(theirs));
    if file != platform {
        return Some(Change::Parameters(file, platform));
    }
    (!ours.reads_like(theirs)).then_some(Change::Words)
}

/// Everything that a message by this form has to bring, in words.
fn parameters(form: &Form) -> String {
    let mut parts = Vec::new();
    match &form.header {
        HeaderForm::None => {}
        HeaderForm::Text(wording) if wording.variables().is_empty() => {}
        HeaderForm::Text(wording) => parts.push(format!("header {}", wording.variables().join(", "))),
        HeaderForm::Image => parts.push("an image".to_owned()),
        HeaderForm::Video => parts.push("a video".to_owned()),
        HeaderForm::Document => parts.push("a document".to_owned()),
        HeaderForm::Location => parts.push("a place".to_owned()),
    }
    if !form.body.variables().is_empty() {
        parts.push(format!("body {}", form.body.variables().join(", ")));
    }
    for (place, button) in form.buttons.iter().enumerate() {
        match button.kind {
            ButtonKind::Url => parts.push(format!("button {place} with an address")),
            ButtonKind::CopyCode => parts.push(format!("button {place} with a code")),
            ButtonKind::Reply => parts.push(format!("button {place} for a reply")),
            ButtonKind::Fixed => {}
        }
    }
    parts.extend(form.strange.clone());
    if parts.is_empty() { "no parameters".to_owned() } else { parts.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(forms: &[(&str, &str, &str, &str, &str)]) -> String {
        let entries = forms.iter().map(|(name, language, status, category, text)| {
            format!(
                r#"{{"name": "{name}", "language": "{language}", "status": "{status}", "category": "{category}",
                    "components": [{{"type": "BODY", "text": "{text}"}}]}}"#
            )
        });
        format!("[{}]", entries.collect::<Vec<_>>().join(","))
    }

    #[test]
    fn every_difference_is_told_and_only_for_templates_in_use() {
        let ours = ("a", "pt_BR", "APPROVED", "UTILITY", "Oi {{1}} e {{2}}.");
        let file = list(&[ours, ("b", "pt_BR", "APPROVED", "UTILITY", "Oi")]);
        for (theirs, told) in [
            (Some(ours), None),
            (None, Some("a pt_BR is not there")),
            (Some(("a", "es_MX", "APPROVED", "UTILITY", "Oi {{1}} e {{2}}.")), Some("a pt_BR is not there")),
            (Some(("a", "pt_BR", "PAUSED", "UTILITY", "Oi {{1}} e {{2}}.")), Some("a pt_BR is paused")),
            (
                Some(("a", "pt_BR", "APPROVED", "MARKETING", "Oi {{1}} e {{2}}.")),
                Some("a pt_BR is marketing, not utility as in the file"),
            ),
            (
                Some(("a", "pt_BR", "APPROVED", "UTILITY", "Oi {{1}}.")),
                Some("a pt_BR takes body 1, not body 1, 2 as in the file"),
            ),
            (
                Some(("a", "pt_BR", "APPROVED", "UTILITY", "Tchau {{1}} e {{2}}.")),
                Some("a pt_BR has other words than in the file"),
            ),
        ] {
            let platform = list(&theirs.into_iter().collect::<Vec<_>>());
            let found = compare(&file, &platform, &["a".to_owned()]).unwrap();
            assert_eq!(found.first().map(ToString::to_string).as_deref(), told);
            assert!(found.len() <= 1);
        }
        assert!(compare(&file, "{", &[]).is_err());
    }
}
