//! The built binary with mosquitto and the simulated Cloud API: what a branch box meets, and what its people do with it.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../common/house.rs"]
#[allow(dead_code, reason = "the kit serves several test programs, none of which needs all of it")]
mod house;
#[path = "../common/mosquitto.rs"]
#[allow(dead_code, reason = "as above")]
mod mosquitto;

mod certificates;
mod clock;
mod disk;
mod ear;
mod operate;
mod secrets;
mod state;
