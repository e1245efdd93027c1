//! Tailable cursors: at the end of a capped collection they wait for what comes.
//!
//! Every batch is read at a snapshot of its own, from behind the last document. So a cursor that is idle sees what was
//! inserted meanwhile, and notices when the document where it stood was dropped (`CappedPositionLost`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sheaf_storage::{Clock, Tablet};

use super::{Batch, Execution};
use crate::Result;
use crate::collection::Arrivals;

/// How long a cursor that awaits data waits if its client does not say: a second, as in MongoDB.
pub const AWAIT_DEFAULT: Duration = Duration::from_secs(1);

/// Longest wait for data, whatever the client says. Its request holds a worker meanwhile; an empty batch makes the
/// client ask again.
pub const AWAIT_MAX: Duration = Duration::from_secs(60);

/// How a waiting cursor is reached from outside.
#[derive(Clone, Debug, Default)]
pub(crate) struct WakeUp {
    arrivals: Arc<Arrivals>,
    is_killed: Arc<AtomicBool>,
}

impl WakeUp {
    /// Ends the wait for good: the cursor is killed.
    pub(crate) fn kill(&self) {
        self.is_killed.store(true, Ordering::Release);
        self.arrivals.announce();
    }
}

/// A tailable cursor's plan and what it needs to go on.
pub(crate) struct Tail {
    pub(super) execution: Box<Execution>,
    tablet: Tablet,
    clock: Arc<dyn Clock>,
    pub(super) wake_up: WakeUp,
    pub(super) awaits_data: bool,
    is_dead: bool,
}

impl Tail {
    /// The tail of a plan whose scan was made tailable.
    pub(crate) fn new(
        execution: Execution,
        tablet: Tablet,
        clock: Arc<dyn Clock>,
        arrivals: Arc<Arrivals>,
        awaits_data: bool,
    ) -> Self {
        let wake_up = WakeUp { arrivals, is_killed: Arc::default() };
        Self { execution: Box::new(execution), tablet, clock, wake_up, awaits_data, is_dead: false }
    }

    /// Whether there is no place to wait at: the collection was empty.
    pub(super) fn is_dead(&self) -> bool {
        self.is_dead
    }

    /// The documents that are there now.
    pub(super) fn next_batch(&mut self, documents_max: usize, bytes_max: usize) -> Result<Batch> {
        self.execution.go_on(self.tablet.snapshot())?;
        let batch = self.execution.next_batch(documents_max, bytes_max)?;
        self.is_dead = self.execution.found_nothing();
        Ok(batch)
    }

    /// The documents that are there now, or as soon as there are some; none if there are none within `patience`.
    pub(super) fn next_batch_within(
        &mut self,
        documents_max: usize,
        bytes_max: usize,
        patience: Duration,
    ) -> Result<Batch> {
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let deadline = self.clock.monotonic_micros().saturating_add(micros(patience.min(AWAIT_MAX)));
        loop {
            let seen = self.wake_up.arrivals.generation();
            let batch = self.next_batch(documents_max, bytes_max)?;
            let left = deadline.saturating_sub(self.clock.monotonic_micros());
            let is_over = left == 0 || self.is_dead || self.wake_up.is_killed.load(Ordering::Acquire);
            if !batch.documents.is_empty() || is_over {
                return Ok(batch);
            }
            if !self.wake_up.arrivals.wait(seen, Duration::from_micros(left)) {
                return Ok(batch);
            }
        }
    }
}
