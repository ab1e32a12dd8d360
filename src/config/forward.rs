//! The configuration of `branchline forward`: a file of its own, checked as the daemon's.
//!
//! Floor: config. Reads files, once, when it is asked to. Never shows a secret.

use super::check::forward as check;
use super::reader::{Account, Reader};
use super::{Effective, Problem, layers, tidy};
use crate::door::secret::Secret;
use crate::door::{mqtt, webhook};
use std::path::Path;

/// What head office's part is set up with.
#[derive(Clone, Debug)]
pub struct Forward {
    /// `[mqtt]`
    pub mqtt: mqtt::Settings,
    /// `[webhook]`
    pub webhook: webhook::Settings,
    /// The content of `notice.key_file`.
    pub key: Secret,
}

/// What [`load`] found: with the effective values and the warnings, or all problems.
pub type LoadedForward = Result<(Forward, Vec<Effective>, Vec<Problem>), Vec<Problem>>;

/// Reads the file and the environment (`BRANCHLINE__TABLE__KEY`) and checks them. There is no `conf.d`: beside the file of a
/// daemon on the same machine it would be the daemon's.
///
/// # Errors
/// Every problem, in the order of files and lines.
pub fn load(file: &Path, env: &[(String, String)]) -> LoadedForward {
    let root = layers::read_forward(file, env).map_err(tidy)?;
    let mut account = Account::of(file, env);
    let forward = Reader::root(&root, &mut account, check::forward);
    let problems = tidy(account.problems);
    match forward {
        Some(forward) if problems.is_empty() => Ok((forward, Effective::all(account.values), tidy(account.warnings))),
        _ => Err(problems),
    }
}
