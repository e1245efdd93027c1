//! Who writes to a capped collection, and who waits for it.
//!
//! Documents of a capped collection have to become visible in the order of their positions: a tailable cursor that has
//! passed position 5 never looks at position 4 again. So its writers take turns from choosing a position to the commit,
//! and whoever waits for new documents is woken after it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Turns of a collection's writers, and a signal after each of them.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    /// Held by the one that writes.
    writer: Mutex<()>,
    /// Counts what may interest those who wait.
    generation: Mutex<u64>,
    changed: Condvar,
}

impl Arrivals {
    /// Waits for the right to write; it ends with the guard.
    pub(crate) fn take_turn(&self) -> MutexGuard<'_, ()> {
        // There is nothing under the lock that a panic could have left half done.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that changes with every announcement. Who looks at it first, and then finds no documents, can wait for
    /// its change without missing one.
    pub(crate) fn generation(&self) -> u64 {
        *self.generation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes everybody who waits: documents came, or the cursor or the collection went away.
    pub(crate) fn announce(&self) {
        let mut generation = self.generation.lock().unwrap_or_else(PoisonError::into_inner);
        *generation = generation.wrapping_add(1);
        self.changed.notify_all();
    }

    /// Waits until the generation is another one. `false`: the patience ran out before that.
    pub(crate) fn wait(&self, seen: u64, patience: Duration) -> bool {
        let generation = self.generation.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(generation, patience, |now| *now == seen);
        let (_generation, outcome) = waited.unwrap_or_else(PoisonError::into_inner);
        !outcome.timed_out()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn an_announcement_between_look_and_wait_is_not_missed() {
        let arrivals = Arrivals::default();
        let seen = arrivals.generation();
        arrivals.announce();
        assert!(arrivals.wait(seen, Duration::from_secs(60)));
        assert!(!arrivals.wait(arrivals.generation(), Duration::from_millis(1)));
    }

    #[test]
    fn an_announcement_wakes_who_waits() {
        let arrivals = Arc::new(Arrivals::default());
        let seen = arrivals.generation();
        let waiting = Arc::clone(&arrivals);
        let waiter = std::thread::spawn(move || waiting.wait(seen, Duration::from_secs(60)));
        arrivals.announce();
        assert!(waiter.join().expect("ends"));
    }
}
