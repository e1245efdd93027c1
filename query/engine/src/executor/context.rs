//! What the operators of one execution share.

use std::sync::Arc;

use sheaf_language::expression::Environment;
use sheaf_storage::{Clock, Snapshot};

use crate::{Error, Result, error_code};

/// What the operators of one execution share.
pub(crate) struct ExecutionContext {
    /// What is read.
    pub(crate) snapshot: Snapshot,
    /// The surroundings of its expressions.
    pub(crate) environment: Environment,
    /// Bytes that a blocking operator may hold.
    pub(crate) memory_bytes_max: usize,
    /// Whether it may spill to disk past that.
    pub(crate) allow_disk_use: bool,
    clock: Arc<dyn Clock>,
    /// When the operation gives up, in microseconds of the clock.
    deadline_micros: Option<u64>,
}

impl ExecutionContext {
    /// Starts an execution now.
    pub(crate) fn new(
        snapshot: Snapshot,
        environment: Environment,
        clock: Arc<dyn Clock>,
        memory_bytes_max: usize,
        allow_disk_use: bool,
    ) -> Self {
        Self { snapshot, environment, memory_bytes_max, allow_disk_use, clock, deadline_micros: None }
    }

    /// Gives up after this time from now; none or zero: never.
    pub(crate) fn set_time_limit(&mut self, limit: Option<std::time::Duration>) {
        let limit = limit.filter(|limit| !limit.is_zero());
        self.deadline_micros = limit.map(|limit| {
            let micros = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX);
            self.clock.monotonic_micros().saturating_add(micros)
        });
    }

    /// Fails if the time is up. Called once per batch and while a blocking operator fills.
    pub(crate) fn check_time(&self) -> Result<()> {
        match self.deadline_micros {
            Some(deadline) if self.clock.monotonic_micros() >= deadline => {
                Err(Error::new(error_code::MAX_TIME_MS_EXPIRED, "the operation passed its time limit"))
            }
            _ => Ok(()),
        }
    }
}
