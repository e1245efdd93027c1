//! What the operators of one execution share.

use std::sync::Arc;

use sheaf_document::RawDocumentBuf;
use sheaf_language::expression::{Environment, Metadata};
use sheaf_storage::{Clock, Snapshot};

use super::SpillSpace;
use crate::{Error, Result, error_code};

/// What the operators of one execution share.
pub(crate) struct ExecutionContext {
    /// What is read.
    pub(crate) snapshot: Snapshot,
    /// The surroundings of its expressions.
    pub(crate) environment: Environment,
    /// The collation that goes with the environment's collator, with every field filled in.
    pub(crate) collation: Option<RawDocumentBuf>,
    /// Bytes that a blocking operator may hold.
    pub(crate) memory_bytes_max: usize,
    /// Where a blocking operator may put what it cannot hold; none if that is not allowed.
    pub(crate) spill: Option<Arc<SpillSpace>>,
    /// How many index entries may be looked at still; none: all of them.
    pub(crate) entries_left: Option<u64>,
    /// Whether a scan ended because no entry was left to it.
    pub(crate) is_cut_short: bool,
    /// Whether operators measure how long they take.
    pub(crate) is_timed: bool,
    clock: Arc<dyn Clock>,
    /// When the operation gives up, in microseconds of the clock.
    deadline_micros: Option<u64>,
    /// What is left of its time, while it rests between two batches.
    resting_micros: Option<u64>,
    /// Whether the environment has the metadata of a row.
    shows_metadata: bool,
}

impl ExecutionContext {
    /// Starts an execution now.
    pub(crate) fn new(
        clock: Arc<dyn Clock>,
        snapshot: Snapshot,
        environment: Environment,
        collation: Option<RawDocumentBuf>,
        memory_bytes_max: usize,
    ) -> Self {
        Self {
            snapshot,
            environment,
            collation,
            memory_bytes_max,
            spill: None,
            entries_left: None,
            is_cut_short: false,
            is_timed: false,
            clock,
            deadline_micros: None,
            resting_micros: None,
            shows_metadata: false,
        }
    }

    /// Makes what the plan knows about a row known to its expressions.
    pub(crate) fn show_metadata(&mut self, row: &super::Row) {
        match &row.metadata {
            Some(metadata) => {
                self.environment.metadata.clone_from(metadata);
                self.shows_metadata = true;
            }
            // What was known of another row is not known of this one.
            None if self.shows_metadata => {
                self.environment.metadata = Metadata::default();
                self.shows_metadata = false;
            }
            None => {}
        }
    }

    /// Whether a scan may look at one more entry.
    pub(super) fn takes_entry(&mut self) -> bool {
        match &mut self.entries_left {
            None => true,
            Some(0) => {
                self.is_cut_short = true;
                false
            }
            Some(left) => {
                *left -= 1;
                true
            }
        }
    }

    /// Microseconds of the clock, where operators measure their time.
    pub(super) fn timer_micros(&self) -> Option<u64> {
        self.is_timed.then(|| self.clock.monotonic_micros())
    }

    /// Fails if a blocking operator holds more than it may: with another error if it could not have gone to disk.
    pub(crate) fn check_memory(&self, operator: &str, bytes: usize) -> Result<()> {
        if bytes <= self.memory_bytes_max {
            return Ok(());
        }
        let code = match self.spill {
            Some(_) => error_code::EXCEEDED_MEMORY_LIMIT,
            None => error_code::QUERY_EXCEEDED_MEMORY_LIMIT,
        };
        Err(Error::new(
            code,
            format!("{operator} needs more than its {} bytes of memory", self.memory_bytes_max),
        ))
    }

    /// Gives up after this time from now; none or zero: never.
    pub(crate) fn set_time_limit(&mut self, limit: Option<std::time::Duration>) {
        let limit = limit.filter(|limit| !limit.is_zero());
        self.deadline_micros = limit.map(|limit| {
            let micros = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX);
            self.clock.monotonic_micros().saturating_add(micros)
        });
    }

    /// Stops counting the time: what passes until the client asks for more is the client's.
    pub(crate) fn rest(&mut self) {
        if let Some(deadline) = self.deadline_micros.take() {
            self.resting_micros = Some(deadline.saturating_sub(self.clock.monotonic_micros()));
        }
    }

    /// Goes on counting.
    pub(crate) fn go_on(&mut self) {
        if let Some(left) = self.resting_micros.take() {
            self.deadline_micros = Some(self.clock.monotonic_micros().saturating_add(left));
        }
    }

    /// Fails if the time is up or the operation was interrupted. Called once per batch and while a blocking operator
    /// fills.
    pub(crate) fn check_time(&self) -> Result<()> {
        crate::interrupt::check()?;
        match self.deadline_micros {
            Some(deadline) if self.clock.monotonic_micros() >= deadline => {
                Err(Error::new(error_code::MAX_TIME_MS_EXPIRED, "the operation passed its time limit"))
            }
            _ => Ok(()),
        }
    }
}
