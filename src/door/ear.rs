//! The engine's ear: a body that was vouched for is read, and put on the desk. Webhook and notice topic lead here, with one meaning.
//!
//! Floor: doors. Verifies nothing and decides nothing.

use super::desk::Desk;
use super::webhook::{Hear, NotKept};
use crate::message::{Notices, Way};
use crate::operate::PATIENCE;
use crate::whatsapp;
use bytes::Bytes;
use std::sync::Arc;

/// All clones are one ear.
#[derive(Clone)]
pub struct Ear {
    desk: Desk<Notices, bool>,
    /// `uplink.phone_number_id`: what is about another number is not ours.
    phone_number_id: Arc<str>,
}

impl Ear {
    /// In front of this desk.
    pub fn new(desk: Desk<Notices, bool>, phone_number_id: &str) -> Ear {
        Ear { desk, phone_number_id: phone_number_id.into() }
    }

    /// Resolves when the body is stored. `to_all`: every branch hears it.
    ///
    /// # Errors
    /// It is not, and nothing of it: it shall come again.
    pub async fn take(&self, body: &[u8], way: Way, to_all: bool) -> Result<(), NotKept> {
        // Vouched for, and about something else: to refuse it would bring it back for seven days (facts 4.1).
        let read = whatsapp::notices(body, &self.phone_number_id);
        let notices = read.unwrap_or(Notices { skipped: 1, ..Notices::default() });
        match self.desk.put(Notices { way, to_all, ..notices }, PATIENCE).await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(NotKept),
        }
    }
}

impl Hear for Ear {
    async fn hear(&self, body: Bytes) -> Result<(), NotKept> {
        self.take(&body, Way::Webhook, false).await
    }
}
