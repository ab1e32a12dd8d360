//! Prints: hashes by which repeats of events, of arrivals and of what people write are recognised, and reports find their message.
//!
//! Floor: rooms. The platform's ids hold the recipient's digits (facts 1.5), and an event's id may be guessed: so they are hashes by
//! the key of the list of stops, which never lies in the store. Never compared with anything but each other.
//!
//! A key that is lost is made anew with the list. Then what can be worked out again from its row is ([`again`]); a message whose text is
//! forgotten is found by no report any more, and what people wrote counts as new, as does what a broker sends again without an id or
//! after the window of its rule.

use super::stops::{Print, Stops};
use super::{Outbox, StoreError};
use crate::message::{PersonId, Source};
use rusqlite::{Connection, params};

/// Messages that are worked out again at a time.
const SLICE: usize = 1_000;

impl Stops {
    /// What the platform's id of a message is found by.
    pub fn wamid(&self, wamid: &str) -> i64 {
        short(self.print(Print::Wamid, &[wamid.as_bytes()]))
    }

    /// Sought beside the person: among one's messages 64 bits are enough.
    fn event(&self, rule: &str, event: &str, person: i64) -> i64 {
        let parts = [rule.as_bytes(), b"\0", event.as_bytes(), b"\0", &person.to_le_bytes()];
        short(self.print(Print::Event, &parts))
    }

    /// What a delivery is found by, beside its event.
    pub fn delivery(&self, print: u32) -> u32 {
        let [a, b, c, d, ..] = self.print(Print::Arrival, &[&print.to_le_bytes()]);
        u32::from_le_bytes([a, b, c, d])
    }

    /// What an arrival without an id is found by.
    pub fn arrival(&self, print: &[u8; 16]) -> [u8; 16] {
        self.print(Print::Arrival, &[print])
    }
}

fn short([a, b, c, d, e, f, g, h, ..]: [u8; 16]) -> i64 {
    i64::from_le_bytes([a, b, c, d, e, f, g, h])
}

impl Outbox {
    /// The key by which a repeat is recognised: rule, event and person. `None` for an event without an id.
    pub fn dedupe_key(&self, source: &Source, person: PersonId) -> Option<i64> {
        Some(self.stops.event(&source.rule, source.event.as_deref()?, person.0))
    }
}

/// With a new key: all prints of a store once more, where their rows still hold what they are made of; the others go.
pub(super) fn again(db: &Connection, stops: &Stops) -> Result<(), StoreError> {
    db.execute_batch(
        "DELETE FROM heard; DELETE FROM repeat;
         UPDATE message SET print = NULL WHERE print IS NOT NULL;
         UPDATE attempt SET wamid_hash = NULL WHERE wamid_hash IS NOT NULL;
         UPDATE message SET wamid_hash = NULL WHERE wamid IS NULL AND wamid_hash IS NOT NULL;",
    )?;
    let mut query = db.prepare(
        "SELECT id, rule, named_as('event', event), person, dedupe IS NOT NULL, opened('wamid', id, wamid) FROM message
         WHERE id > ?1 AND (dedupe IS NOT NULL OR wamid IS NOT NULL) ORDER BY id LIMIT ?2",
    )?;
    let mut update = db.prepare("UPDATE message SET dedupe = ?2, wamid_hash = ?3 WHERE id = ?1")?;
    let mut after = 0;
    loop {
        let found: Vec<(i64, Option<i64>, Option<i64>)> = query
            .query_map(params![after, SLICE as i64], |row| {
                let (rule, event, person): (String, Option<String>, Option<i64>) =
                    (row.get(1)?, row.get(2)?, row.get(3)?);
                let keyed: bool = row.get(4)?;
                let key = event.zip(person).filter(|_| keyed);
                let wamid: Option<String> = row.get(5)?;
                Ok((
                    row.get(0)?,
                    key.map(|(event, person)| stops.event(&rule, &event, person)),
                    wamid.map(|wamid| stops.wamid(&wamid)),
                ))
            })?
            .collect::<Result<_, _>>()?;
        for (id, dedupe, wamid) in &found {
            update.execute(params![id, dedupe, wamid])?;
        }
        match found.last() {
            Some((last, ..)) if found.len() == SLICE => after = *last,
            _ => return Ok(()),
        }
    }
}
