//! What is on its way to the broker on one connection: publishes until their PUBACK, SUBSCRIBEs until their SUBACK.
//!
//! Floor: doors. Sends nothing itself; both end with the connection.

use crate::engine::Publish;
use crate::message::{Filter, ReceiptId};
use std::collections::VecDeque;

/// Publishes that may wait for a place in the window. The engine keeps at most `limits::RECEIPTS_IN_FLIGHT` receipts under way;
/// the rest is room for state and inbound publishes.
pub(super) const PUBLISHES: usize = 64;
/// SUBSCRIBE and UNSUBSCRIBE packets under way at once.
pub(super) const ASKS: usize = 16;

/// Publishes in the order in which they were asked for.
#[derive(Debug)]
pub(super) struct Publishing {
    waiting: VecDeque<Publish>,
    flying: VecDeque<Flying>,
    window: usize,
}

#[derive(Debug)]
struct Flying {
    /// Known once the library has written it.
    packet: Option<u16>,
    receipt: Option<ReceiptId>,
    taken: bool,
}

impl Publishing {
    /// `window` publishes unacknowledged at once.
    pub(super) fn new(window: usize) -> Publishing {
        Publishing { waiting: VecDeque::new(), flying: VecDeque::new(), window }
    }

    /// Queues it, or gives it back when too many wait.
    pub(super) fn offer(&mut self, publish: Publish) -> Result<(), Publish> {
        if self.waiting.len() >= PUBLISHES {
            return Err(publish);
        }
        self.waiting.push_back(publish);
        Ok(())
    }

    /// The next one to write, if the window has a place for it.
    pub(super) fn next(&mut self) -> Option<Publish> {
        if self.flying.len() >= self.window {
            return None;
        }
        let publish = self.waiting.pop_front()?;
        self.flying.push_back(Flying { packet: None, receipt: publish.receipt, taken: false });
        Some(publish)
    }

    /// The library has written the oldest of those that it was given, under this packet identifier.
    pub(super) fn written(&mut self, packet: u16) {
        if let Some(flying) = self.flying.iter_mut().find(|flying| flying.packet.is_none() && !flying.taken) {
            flying.packet = Some(packet);
        }
    }

    /// The one given last can never be sent: as good as taken, so that it does not hold up what follows.
    pub(super) fn impossible(&mut self) -> Option<ReceiptId> {
        if let Some(flying) = self.flying.back_mut() {
            flying.taken = true;
        }
        self.settle()
    }

    /// PUBACK. Returns the receipt up to which all are taken, if that moved.
    pub(super) fn taken(&mut self, packet: u16) -> Option<ReceiptId> {
        if let Some(flying) = self.flying.iter_mut().find(|flying| flying.packet == Some(packet) && !flying.taken) {
            flying.taken = true;
        }
        self.settle()
    }

    fn settle(&mut self) -> Option<ReceiptId> {
        let mut last = None;
        while self.flying.front().is_some_and(|flying| flying.taken) {
            last = self.flying.pop_front().and_then(|flying| flying.receipt).or(last);
        }
        last
    }
}

/// One thing to ask the broker for.
#[derive(Debug, PartialEq)]
pub(super) enum Ask {
    /// One packet for each filter, since the identifier belongs to the packet.
    Subscribe(Filter),
    /// A filter that the configuration no longer has.
    Unsubscribe(String),
}

/// Subscriptions being set up.
#[derive(Debug, Default)]
pub(super) struct Round {
    waiting: VecDeque<Ask>,
    asked: VecDeque<(Option<u16>, String)>,
    refused: Vec<(String, String)>,
}

impl Round {
    /// Adds to what is to be asked for.
    pub(super) fn add(&mut self, want: Vec<Filter>, gone: Vec<String>) {
        // First what is gone: its queue at the broker does not grow while the rest is asked for.
        self.waiting.extend(gone.into_iter().map(Ask::Unsubscribe));
        self.waiting.extend(want.into_iter().map(Ask::Subscribe));
    }

    /// The next packet, if there is a place for it.
    pub(super) fn next(&mut self) -> Option<Ask> {
        if self.asked.len() >= ASKS {
            return None;
        }
        let ask = self.waiting.pop_front()?;
        let (Ask::Subscribe(Filter { filter, .. }) | Ask::Unsubscribe(filter)) = &ask;
        self.asked.push_back((None, filter.clone()));
        Some(ask)
    }

    /// The library has written the oldest of those that it was given, under this packet identifier.
    pub(super) fn written(&mut self, packet: u16) {
        if let Some((unknown, _)) = self.asked.iter_mut().find(|(packet, _)| packet.is_none()) {
            *unknown = Some(packet);
        }
    }

    /// The one given last can never be sent.
    pub(super) fn impossible(&mut self, why: &str) {
        if let Some((_, filter)) = self.asked.pop_back() {
            self.refused.push((filter, why.to_owned()));
        }
    }

    /// SUBACK or UNSUBACK, with the broker's reason if it refused.
    pub(super) fn answered(&mut self, packet: u16, refused: Option<String>) {
        let Some(at) = self.asked.iter().position(|(asked, _)| *asked == Some(packet)) else { return };
        if let (Some((_, filter)), Some(why)) = (self.asked.remove(at), refused) {
            self.refused.push((filter, why));
        }
    }

    /// Everything is answered: the refused filters. To be asked after each change, takes the list along.
    pub(super) fn done(&mut self) -> Option<Vec<(String, String)>> {
        (self.waiting.is_empty() && self.asked.is_empty()).then(|| std::mem::take(&mut self.refused))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(receipt: Option<i64>) -> Publish {
        Publish { topic: "t".into(), payload: String::new(), retain: false, receipt: receipt.map(ReceiptId) }
    }

    #[test]
    fn a_receipt_is_taken_when_it_and_all_before_it_are() {
        let mut publishing = Publishing::new(3);
        for receipt in [Some(1), None, Some(2), Some(3), Some(4)] {
            publishing.offer(publish(receipt)).unwrap();
        }
        let sent: Vec<_> = std::iter::from_fn(|| publishing.next()).map(|publish| publish.receipt).collect();
        assert_eq!(sent, [Some(ReceiptId(1)), None, Some(ReceiptId(2))], "the window is three");
        (11..=13).for_each(|packet| publishing.written(packet));
        assert_eq!(publishing.taken(13), None, "1 is still out");
        assert_eq!(publishing.taken(11), Some(ReceiptId(1)));
        assert_eq!(publishing.taken(11), None, "a repeated PUBACK says nothing");
        assert_eq!(publishing.taken(12), Some(ReceiptId(2)), "12 had none, 13 came before");
        assert!(publishing.next().is_some());
        assert_eq!(publishing.impossible(), Some(ReceiptId(3)), "does not hold up what follows");
        assert!(publishing.next().is_some());
        publishing.written(14);
        assert_eq!(publishing.taken(14), Some(ReceiptId(4)));
    }

    #[test]
    fn publishes_that_wait_are_bounded() {
        let mut publishing = Publishing::new(1);
        assert_eq!((0..200).filter(|_| publishing.offer(publish(None)).is_ok()).count(), PUBLISHES);
    }

    #[test]
    fn a_round_is_done_when_all_is_answered() {
        let mut round = Round::default();
        assert_eq!(round.done(), Some(vec![]), "nothing asked, nothing refused");
        let want =
            (0..20).map(|at| Filter { filter: format!("f/{at}"), identifier: at + 1, retained: false }).collect();
        round.add(want, vec!["old".into()]);
        assert_eq!(round.next(), Some(Ask::Unsubscribe("old".into())));
        assert_eq!(std::iter::from_fn(|| round.next()).count(), ASKS - 1);
        round.impossible("not a filter");
        assert!(round.next().is_some());
        (1..=16).for_each(|packet| round.written(packet));
        (1..=16).for_each(|packet| round.answered(packet, (packet == 2).then(|| "not authorised".into())));
        assert_eq!(round.done(), None, "four are waiting");
        assert_eq!(std::iter::from_fn(|| round.next()).count(), 4);
        (17..=20).for_each(|packet| {
            assert_eq!(round.done(), None);
            round.written(packet);
            round.answered(packet, None);
        });
        let refused = [("f/14", "not a filter"), ("f/0", "not authorised")];
        assert_eq!(round.done(), Some(refused.map(|(filter, why)| (filter.to_owned(), why.to_owned())).to_vec()));
    }
}
