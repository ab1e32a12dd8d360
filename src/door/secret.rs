//! Secrets: read from files, never printed.
//!
//! Floor: doors.

use std::fmt;

/// A text that no log, error or page can show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the text; the newline that editors leave at the end of a file is dropped.
    pub fn new(text: &str) -> Secret {
        Secret(text.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// The text, for the one place that sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}
