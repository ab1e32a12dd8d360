//! What a trial needs besides the daemon: a broker, a Cloud API and certificates, all on this machine.
//!
//! Floor: beside the roof (feature `demo`, on by default, off in board builds). The daemon never calls it, and
//! [`api`] shares no code with the daemon's own reading of the platform's rules: two readings, so that a mistake shows.

pub mod api;
pub mod broker;
pub mod certs;
mod play;
pub mod sandbox;

pub use play::play;
