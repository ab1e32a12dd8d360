//! What all of the platform's bodies come in: entries, and changes of a field.
//!
//! Floor: rooms. Takes a body apart without reading an update; never more of it at a time than is asked for.

use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Not a body of the platform at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("this is not a notice of a WhatsApp Business account")]
pub struct Unreadable;

/// What a body says that it is about.
pub(super) const OBJECT: &str = "whatsapp_business_account";

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    object: Cow<'a, str>,
    #[serde(borrow)]
    entry: Vec<&'a RawValue>,
}

/// One account's part of a body.
#[derive(Deserialize)]
pub(super) struct Entry<'a> {
    #[serde(borrow)]
    pub id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub time: Option<&'a RawValue>,
    /// Each a [`Change`].
    #[serde(borrow)]
    pub changes: Vec<&'a RawValue>,
}

/// What is new about one field.
#[derive(Deserialize)]
pub(super) struct Change<'a> {
    #[serde(borrow)]
    pub field: Cow<'a, str>,
    #[serde(borrow)]
    pub value: &'a RawValue,
    /// The branch that answers what somebody wrote: head office's word, the platform says none.
    #[serde(borrow, default)]
    pub answers: Option<Cow<'a, str>>,
}

/// The entries of a body, each an [`Entry`] if all is well with it.
pub(super) fn entries(body: &[u8]) -> Result<Vec<&RawValue>, Unreadable> {
    let body: Body<'_> = serde_json::from_slice(body).map_err(|_| Unreadable)?;
    if body.object == OBJECT { Ok(body.entry) } else { Err(Unreadable) }
}
