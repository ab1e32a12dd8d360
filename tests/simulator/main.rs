//! The simulated Cloud API against a plain client: a row per rule, a row per fault, over HTTP/2 and HTTP/1.1.
#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used)] // a failed test shows where

mod access;
mod broker;
mod faults;
mod interactive;
mod kit;
mod limits;
mod lookups;
mod news;
mod shapes;
mod templates;
