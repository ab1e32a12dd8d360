//! The built binary with mosquitto and the simulated Cloud API: what a branch box meets, and what its people do with it.

mod certificates;
mod clock;
mod damage;
mod disk;
pub mod ear;
mod first;
mod notices;
mod operate;
mod rights;
mod sealed;
mod secrets;
mod sector;
mod service;
mod state;
mod stick;
