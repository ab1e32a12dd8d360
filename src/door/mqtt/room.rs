//! The room for arrivals: how many may be with the engine at once. The bound is ours because brokers overrun the receive maximum.
//!
//! Floor: doors. Knows no packet and no connection.

use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Semaphore;

/// Permits for QoS 1 and QoS 0 arrivals, and a count of the QoS 0 ones that found no room.
#[derive(Debug)]
pub(super) struct Room {
    once: Semaphore,
    never: Semaphore,
    receive_maximum: usize,
    dropped: AtomicU64,
}

impl Room {
    /// `receive_maximum` QoS 1 arrivals and a quarter as many of QoS 0, at least one.
    pub(super) fn new(receive_maximum: u16) -> Room {
        let once = usize::from(receive_maximum.max(1));
        Room {
            once: Semaphore::new(once),
            never: Semaphore::new(quarter(once)),
            receive_maximum: once,
            dropped: AtomicU64::new(0),
        }
    }

    /// Waits for room for one QoS 1 arrival and takes it.
    pub(super) async fn take(&self) {
        self.once.acquire().await.expect("the semaphore is never closed").forget();
    }

    /// Takes room for one QoS 1 arrival if there is any.
    pub(super) fn try_take(&self) -> bool {
        self.once.try_acquire().map(|permit| permit.forget()).is_ok()
    }

    /// Waits until there is room for one QoS 1 arrival; takes nothing.
    pub(super) async fn free(&self) {
        drop(self.once.acquire().await.expect("the semaphore is never closed"));
    }

    /// Takes room for one QoS 0 arrival, or counts it as dropped.
    pub(super) fn take_qos0(&self) -> bool {
        let taken = self.never.try_acquire().map(|permit| permit.forget()).is_ok();
        if !taken {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    /// One QoS 1 arrival is done with. More than there are would lift the bound, so a second release of the same is ignored.
    pub(super) fn release(&self) {
        if self.once.available_permits() < self.receive_maximum {
            self.once.add_permits(1);
        }
    }

    /// One QoS 0 arrival is done with.
    pub(super) fn release_qos0(&self) {
        if self.never.available_permits() < quarter(self.receive_maximum) {
            self.never.add_permits(1);
        }
    }

    /// QoS 0 arrivals that found no room since the start.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

fn quarter(of: usize) -> usize {
    (of / 4).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_bounded_and_a_double_release_does_not_lift_the_bound() {
        let room = Room::new(8);
        assert_eq!((0..20).filter(|_| room.try_take()).count(), 8);
        room.release();
        assert_eq!((0..20).filter(|_| room.try_take()).count(), 1);
        (0..50).for_each(|_| room.release());
        assert_eq!((0..20).filter(|_| room.try_take()).count(), 8);
    }

    #[test]
    fn qos_0_gets_a_quarter_and_the_rest_is_counted() {
        let room = Room::new(8);
        assert_eq!((0..5).filter(|_| room.take_qos0()).count(), 2);
        assert_eq!(room.dropped(), 3);
        (0..9).for_each(|_| room.release_qos0());
        assert_eq!((0..5).filter(|_| room.take_qos0()).count(), 2);
        assert!(Room::new(1).take_qos0(), "never none at all");
    }
}
