//! The binary: hands the arguments to the library and its exit code to the system.
//!
//! Floor: roof. Does nothing itself.

use branchline::cli::{self, House};
use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main(&House)
}
