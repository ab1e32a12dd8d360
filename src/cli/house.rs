//! The joints between the command line and the rest of the program: one line per command.
//!
//! Floor: roof. A joint that is not made yet ends as `Exit::Bug` and says so; it never pretends.

use super::{Backend, Commands, Exit, Failure};
use crate::config::Config;
use std::io::Write;
use std::path::Path;

/// The program as it is built.
pub struct House;

impl Commands for House {
    fn config(&self, _: &Path) -> Result<Config, Failure> {
        Err(unjoined("reading the configuration"))
    }
    fn offline(&self, _: &Config) -> Result<Box<dyn Backend>, Failure> {
        Err(unjoined("opening the store without a daemon"))
    }
    fn run(&self, _: &Path, _: Option<&str>) -> Result<(), Failure> {
        Err(unjoined("run"))
    }
    fn check(&self, _: &Path, _: bool, _: &mut dyn Write) -> Result<(), Failure> {
        Err(unjoined("check"))
    }
    fn demo(&self, _: bool) -> Result<(), Failure> {
        Err(unjoined("demo"))
    }
}

fn unjoined(what: &str) -> Failure {
    Failure::new(Exit::Bug, format!("{what} is not joined to the command line in this build"))
}
