//! The engine on a real store, in virtual time: timetables, crashes, failed commits, a seeded simulation.

mod kit;
mod timetables;
