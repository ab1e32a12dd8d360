//! (being built)

mod filters;
mod guard;
mod pattern;
mod settings;
mod strict;
mod texts;
pub use settings::*;
