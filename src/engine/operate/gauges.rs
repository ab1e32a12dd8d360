//! What the box looks like right now: links, backlog, limits, holds.
//!
//! Floor: engine. Reading changes nothing.

use crate::engine::dispatch::CRAMPED;
use crate::engine::hold::QUIET;
use crate::engine::limit::{BRAKE, RESUMED};
use crate::engine::soft::in_force;
use crate::engine::turn::HEARS;
use crate::engine::{Engine, news};
use crate::message::{Outcome, Reason, UNLIMITED};
use crate::operate::{Backlog, Gauges, Hold, LinkState, NumberTold};
use crate::outbox::{self, StoreError};
use crate::status::show;

impl Engine {
    /// With the limits per person where `people` are asked for: that is a look at many rows.
    pub(super) fn gauges(&self, people: bool) -> Result<Gauges, StoreError> {
        let ([waiting, posted, unknown, parked], oldest) = self.outbox.backlog()?;
        let now = self.moment;
        let bytes = self.outbox.used_bytes()?;
        let max_bytes = self.outbox.settings().max_bytes;
        Ok(Gauges {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            branch: self.branch.clone(),
            timezone: self.timezone.iana_name().unwrap_or("UTC").to_owned(),
            store: self.outbox.row().store.clone(),
            running: self.running,
            started: Some(self.soft.started),
            at: now.wall.reading(),
            clock_trusted: now.wall.trusted().is_some(),
            links: self.links(),
            backlog: vec![
                Backlog { state: Outcome::Stored, messages: waiting + posted + parked },
                Backlog { state: Outcome::Unknown, messages: unknown },
            ],
            oldest_seconds: oldest.map(|at| now.boxed.since(at).as_secs()),
            in_flight: self.soft.in_flight.len() as u32,
            board: self.board.clone(),
            bytes,
            max_bytes,
            free_bytes: self.soft.free_space,
            written: self.wear.written(),
            limits: self.limits_used(people)?,
            holds: self.shown_holds(),
            number: self.number(),
            reports: self.ways.iter().filter(|_| self.running).map(|way| self.status.reports(*way)).collect(),
        })
    }

    fn number(&self) -> NumberTold {
        let health = &self.soft.health;
        NumberTold {
            quality: health.quality.map(|quality| quality.code().to_owned()),
            status: health.status.clone(),
            people: health.people.filter(|people| *people != UNLIMITED),
            unlimited: health.people == Some(UNLIMITED),
            per_second: health.per_second,
            told: health.told,
            trouble: health.trouble.clone(),
        }
    }

    fn links(&self) -> Vec<LinkState> {
        let notice = self.soft.notice.as_ref().map(|notice| LinkState {
            link: "notices".to_owned(),
            up: notice.up,
            since: Some(notice.since),
            why: notice.why.clone(),
        });
        let links = [
            LinkState {
                link: "broker".to_owned(),
                up: self.soft.subscribed,
                since: self.soft.broker_since,
                why: self.soft.broker_why.clone(),
            },
            LinkState {
                link: "uplink".to_owned(),
                up: self.soft.circuit.is_up(),
                since: self.soft.uplink_since,
                why: self.soft.uplink_why.clone(),
            },
        ];
        links.into_iter().chain(notice).collect()
    }

    pub(super) fn shown_holds(&self) -> Vec<Hold> {
        let now = self.moment;
        let limits = self.limit_holds();
        let mut holds: Vec<Hold> = self
            .soft
            .holds
            .iter()
            .chain(&limits)
            .filter(|hold| in_force(hold, now.boxed) && !hold.key.starts_with(RESUMED) && hold.key != HEARS)
            .map(|hold| Hold {
                what: match hold.key.as_str() {
                    "number" | "account" | news::CLOSED_ALL => crate::status::THE_NUMBER.to_owned(),
                    outbox::LOSS if hold.lift == outbox::LIFT_ALL => "everything".to_owned(),
                    outbox::LOSS => crate::status::ALL_BUT_ALARMS.to_owned(),
                    "all" => "everything".to_owned(),
                    "templates" | news::CLOSED_TEMPLATES => "all templates".to_owned(),
                    news::CLOSED_UTILITY => "utility templates".to_owned(),
                    news::YELLOW => "marketing".to_owned(),
                    news::RED => "everything but critical messages and answers".to_owned(),
                    key if key.starts_with("template-") => {
                        format!("template {}", key.split_once(':').map_or(key, |(_, name)| name))
                    }
                    "people" => "people not written to in 24 hours".to_owned(),
                    "people:urgent" => "staff and alarms to people not written to in 24 hours".to_owned(),
                    BRAKE => "everything but critical messages".to_owned(),
                    key if key.starts_with(QUIET) => match key[QUIET.len()..].split_once('/') {
                        Some((category, rule)) if !rule.is_empty() => format!("rule {rule} ({category})"),
                        _ => format!("category {}", key[QUIET.len()..].trim_end_matches('/')),
                    },
                    key => key.replacen(':', " ", 1),
                },
                reason: hold.reason,
                since: Some(hold.since),
                until: hold.until.map(|until| self.soft.time.wall_of(until)),
                note: hold.note.clone(),
                loud: hold.loud,
            })
            .collect();
        holds.extend(self.unreached_holds());
        if self.pace.pause {
            holds.push(Hold {
                what: "everything".to_owned(),
                reason: Reason::Paused,
                since: None,
                until: None,
                note: "uplink.pause is set in the configuration".to_owned(),
                loud: true,
            });
        }
        if let Some(note) = self.disk_trouble() {
            holds.push(Hold {
                what: "everything".to_owned(),
                reason: Reason::DiskReserve,
                since: None,
                until: None,
                note,
                loud: true,
            });
        }
        if self.soft.cramped {
            holds.push(Hold {
                what: "everything".to_owned(),
                reason: Reason::StoreFull,
                since: None,
                until: None,
                note: CRAMPED.to_owned(),
                loud: true,
            });
        }
        if !self.soft.held.is_empty() {
            holds.push(Hold {
                what: "new events".to_owned(),
                reason: if self.disk_is_short() { Reason::DiskReserve } else { Reason::StoreFull },
                since: None,
                until: None,
                note: format!("{} events wait unacknowledged", self.soft.held.len()),
                loud: true,
            });
        }
        holds
    }

    /// Why the disk stops what is new: events wait at the broker, nothing is posted.
    fn disk_trouble(&self) -> Option<String> {
        match self.soft.free_space {
            Some(free) if free < self.reserve() => Some(format!(
                "{} free on the store's disk, below the {} that answers on their way need",
                show::bytes(free),
                show::bytes(self.reserve())
            )),
            _ if self.soft.disk_full => Some("the store takes nothing new: see the log".to_owned()),
            _ => None,
        }
    }
}
