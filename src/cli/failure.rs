//! How a command ends.
//!
//! Floor: roof.

use std::fmt;
use std::process::ExitCode;

/// The exit codes that scripts rely on (after sysexits.h).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// The answer is no.
    No = 1,
    /// The command line is wrong.
    Usage = 64,
    /// A service is unreachable.
    Unavailable = 69,
    /// Our bug.
    Bug = 70,
    /// The store.
    Storage = 74,
    /// The configuration.
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Why a command did not do what it was asked: a text for a person, and the code for a script.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// For scripts.
    pub exit: Exit,
    /// What happened, where, what to do. Empty when everything was said already.
    pub text: String,
}

impl Failure {
    /// With these words.
    pub fn new(exit: Exit, text: impl Into<String>) -> Failure {
        Failure { exit, text: text.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
