//! The engine on a real store, in virtual time: timetables, crashes, failed commits, a seeded simulation.

mod drive;
mod faults;
mod found;
mod kit;
mod plans;
mod sim;
mod timetables;
