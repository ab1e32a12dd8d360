//! The engine on a real store, in virtual time: timetables, crashes, failed commits. The seeded simulation is `tests/sim`.

mod broken;
mod contact;
mod contradictions;
mod damage;
mod drive;
mod faults;
mod found;
mod full;
mod health;
mod hours;
mod inbound;
mod kit;
mod limits;
mod notices;
mod oracle;
mod person;
mod plans;
mod prints;
mod record;
mod salvage;
mod schema;
mod sealed;
mod send;
mod staff;
mod timetables;
mod window;
