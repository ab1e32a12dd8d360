//! Branchline: MQTT events of a branch office become WhatsApp messages, and none is lost.
//!
//! The map of this house. Arrows point down only:
//!
//! ```text
//! roof    main, cli, app       arguments, wiring, exit codes
//!           │
//! doors   door/…               the only network, files of the system and real time
//! engine  engine               joins the rooms; synchronous, no clock
//! config  config               layers → raw → checked settings
//!           │
//! rooms   rules policy outbox pace whatsapp status      decisions; no log, no clock, no async, no `Config`
//!           │
//! words   message operate time limits
//! ```
//!
//! Start reading at [`engine`]: inputs come in, a step decides, a commit makes it true, actions go out.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod app;
pub mod cli;
pub mod config;
#[cfg(feature = "demo")]
pub mod demo;
pub mod door;
pub mod engine;
pub mod limits;
pub mod message;
pub mod operate;
pub mod outbox;
pub mod pace;
pub mod policy;
pub mod rules;
pub mod status;
pub mod time;
pub mod whatsapp;
