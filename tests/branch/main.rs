//! A branch for a test: real mosquitto, the simulated Cloud API over TLS, and the built binary or one of its doors between
//! them. One program, so that it links once and the kits (`house`, `mosquitto`) are whole.
#![allow(clippy::unwrap_used, reason = "tests")]

mod access;
mod check;
mod faults;
mod forward;
mod house;
mod limits;
mod mosquitto;
mod mqtt;
mod power;
mod relay;
mod shapes;
mod soak;
mod trials;
