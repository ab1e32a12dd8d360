//! Branchline: MQTT events of a branch office become WhatsApp messages, and none is lost.
//!
//! The map of this house. Arrows point down only; `tests/tidy.rs` checks it:
//!
//! ```text
//! roof    main, cli, app, forward                     arguments, wiring, exit codes     beside it: demo
//!           │
//! config  config                                      layers → tree → checked settings, or all problems at once
//!           │
//! doors   door: mqtt uplink webhook notice operate …  the only network, files of the system and real time
//!           │
//! engine  engine                                      joins the rooms; synchronous, no network, no clock
//!           │
//! rooms   rules policy outbox pace whatsapp audit status   decisions; no log, no clock, no async, no `Config`, no other room
//!           │
//! words   message operate time limits                 what all of them speak about
//! ```
//!
//! How one event goes through it:
//!
//! 1. [`door::mqtt`] takes it from the broker and hands it to the [`engine`], unacknowledged.
//! 2. [`rules`] say whom it concerns and what each person reads, [`policy`] whether that is right, and the [`outbox`] stores it.
//!    One commit, and only then the acknowledgement.
//! 3. When [`pace`] and, once more, [`policy`] agree, the attempt is recorded; [`whatsapp`] makes the request, [`door::uplink`]
//!    sends it, once.
//! 4. The answer comes back as an input. [`whatsapp`] says what it means, the [`outbox`] keeps it, a receipt tells it.
//!
//! Beside the daemon stands [`forward`], head office's part for boxes that nothing can reach: the platform's reports come to the same
//! [`door::webhook`], and leave signed for the boxes' [`door::notice`].
//!
//! Operators ask in the words of [`operate`]: [`cli`] over the socket of [`door::operate`], or on the store when no daemon runs;
//! [`status`] is how people read what it tells. `demo` is a broker, a simulated Cloud API and certificates for trials, tests and
//! the day that `branchline demo` plays; board builds leave it out.
//!
//! Start reading at [`engine`]: inputs come in, a step decides, a commit makes it true, actions go out.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod app;
pub mod audit;
pub mod cli;
pub mod config;
#[cfg(feature = "demo")]
pub mod demo;
pub mod door;
pub mod engine;
pub mod forward;
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
