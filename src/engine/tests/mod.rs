//! The engine on a real store, in virtual time: timetables, crashes, failed commits, a seeded simulation.

mod faults;
mod kit;
mod plans;
mod send;
mod sim;
mod timetables;
