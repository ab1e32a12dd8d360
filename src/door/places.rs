//! Places for whoever comes: so many and no more, and when all are taken, who has had one longest without bringing anything gives
//! way. Nobody can keep others out by holding a place and being slow.
//!
//! Floor: doors.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tokio::sync::oneshot::{self, Receiver, Sender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// See the module.
#[derive(Clone)]
pub struct Places {
    free: Arc<Semaphore>,
    line: Arc<Line>,
}

/// Those who give way, who came first being the first.
#[derive(Default)]
struct Line(Mutex<(u64, BTreeMap<u64, Sender<()>>)>);

/// A place, until it is dropped.
pub struct Place {
    /// `None`: it is wanted.
    gone: Option<Receiver<()>>,
    holder: Holder,
    _permit: OwnedSemaphorePermit,
}

/// Who holds a place, for whoever learns what was brought.
#[derive(Clone)]
pub struct Holder {
    line: Arc<Line>,
    number: Arc<Mutex<u64>>,
}

/// Somebody brought something: gives way to nobody until this is dropped, and is then the last in the line.
pub struct Kept {
    holder: Holder,
    way_out: Option<Sender<()>>,
}

impl Places {
    /// So many.
    pub fn new(most: usize) -> Places {
        Places { free: Arc::new(Semaphore::new(most)), line: Arc::default() }
    }

    /// A place. Where all are taken, the first in the line is told to go, and this waits until it did; where nobody gives way, for
    /// the next that is free.
    pub async fn take(&self) -> Place {
        let permit = match self.free.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                self.line.send_away();
                self.free.clone().acquire_owned().await.expect("the semaphore is never closed")
            }
        };
        let (way_out, gone) = oneshot::channel();
        let number = Arc::new(Mutex::new(self.line.join(way_out)));
        Place { gone: Some(gone), holder: Holder { line: self.line.clone(), number }, _permit: permit }
    }
}

impl Place {
    /// For whoever learns what is brought.
    pub fn holder(&self) -> Holder {
        self.holder.clone()
    }

    /// Resolves when the place is wanted by somebody else.
    pub async fn gone(&mut self) {
        std::future::poll_fn(|cx| self.poll_gone(cx)).await
    }

    /// The same.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // The other end is dropped with the line alone.
        let Some(gone) = &mut self.gone else { return Poll::Ready(()) };
        let told = Pin::new(gone).poll(cx).map(|_| ());
        if told.is_ready() {
            self.gone = None;
        }
        told
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.holder.line.leave(*lock(&self.holder.number));
    }
}

impl Holder {
    /// Something good was brought.
    pub fn keep(&self) -> Kept {
        Kept { way_out: self.line.leave(*lock(&self.number)), holder: self.clone() }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // Whose place is free already has no place in the line.
        if let Some(way_out) = self.way_out.take().filter(|way_out| !way_out.is_closed()) {
            *lock(&self.holder.number) = self.holder.line.join(way_out);
        }
    }
}

impl Line {
    fn join(&self, way_out: Sender<()>) -> u64 {
        let mut line = lock(&self.0);
        line.0 += 1;
        let number = line.0;
        line.1.insert(number, way_out);
        number
    }

    fn leave(&self, number: u64) -> Option<Sender<()>> {
        lock(&self.0).1.remove(&number)
    }

    fn send_away(&self) {
        let mut line = lock(&self.0);
        while let Some((_, first)) = line.1.pop_first() {
            if first.send(()).is_ok() {
                return;
            }
        }
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether it is told to go.
    async fn is_gone(place: &mut Place) -> bool {
        tokio::select! { biased; () = place.gone() => true, () = async {} => false }
    }

    /// Whether there is a place at once.
    async fn at_once(places: &Places) -> bool {
        tokio::select! { biased; _ = places.take() => true, () = async {} => false }
    }

    #[tokio::test]
    async fn who_has_been_there_longest_gives_way_and_who_brought_something_does_not() {
        let places = Places::new(3);
        let (mut first, mut second, mut third) = (places.take().await, places.take().await, places.take().await);
        assert!(!is_gone(&mut first).await);
        let kept = first.holder().keep();
        assert!(!at_once(&places).await, "not before the place is free");
        assert!(!is_gone(&mut first).await && is_gone(&mut second).await && !is_gone(&mut third).await);
        drop(second);
        let mut fourth = places.take().await;
        assert!(!is_gone(&mut third).await);
        // From here on it is the last in the line.
        drop(kept);
        assert!(!at_once(&places).await);
        assert!(is_gone(&mut third).await && !is_gone(&mut first).await && !is_gone(&mut fourth).await);
    }

    #[tokio::test]
    async fn where_nobody_gives_way_one_waits_and_who_has_left_is_not_asked() {
        let places = Places::new(2);
        let (first, second) = (places.take().await, places.take().await);
        let kept = [first.holder().keep(), second.holder().keep()];
        assert!(!at_once(&places).await);
        drop(first);
        drop(kept);
        let mut third = places.take().await;
        let mut second = second;
        assert!(!at_once(&places).await);
        assert!(is_gone(&mut second).await && !is_gone(&mut third).await, "the first one's place was free already");
    }
}
