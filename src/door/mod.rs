//! The doors: the only network, files of the system and real time. They turn the world into inputs and actions into the
//! world, and know no rules.
//!
//! Floor: doors.

pub mod backoff;
mod bounded;
pub mod clock;
pub mod desk;
pub mod ear;
pub mod led;
pub mod mqtt;
pub mod notice;
pub mod operate;
mod places;
pub mod secret;
pub mod stick;
pub mod tls;
pub mod trial;
pub mod uplink;
pub mod watchdog;
pub mod webhook;
pub mod written;
