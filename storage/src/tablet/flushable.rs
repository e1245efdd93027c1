//! Large batches: straight into sstables, past log and memtable.
//!
//! A batch of [`StoreOptions::flushable_bytes`](crate::StoreOptions) or more would fill a memtable by itself, be written to the
//! log and once more to L0, and fill memory again at every replay. Instead it is written once, as an ingestion is: its
//! sorted operations become sstables nobody knows of, and one edit of the manifest makes all of them real at the
//! batch's timestamp. Range deletions go along, as range tombstones of that timestamp.
//!
//! So such a batch is durable when it is acknowledged, whatever was asked for, and so is everything committed before it: the
//! log is synced first, or a crash could keep the batch and lose what came before.

use crate::compaction::{History, JobContext, write_operations};
use crate::error::{Error, Result};
use crate::replicator::Role;
use crate::tablet::TabletInner;
use crate::tablet::commit_queue::Request;
use crate::timestamp::Timestamp;
use crate::transaction::conflict::ConflictCheck;

impl TabletInner {
    /// Whether a batch goes straight into sstables.
    pub(crate) fn is_flushable(&self, batch_bytes: usize) -> bool {
        batch_bytes >= self.options.flushable_bytes() && self.options.replicator.role() == Role::Standalone
    }

    /// Commits a large batch by itself.
    pub(crate) fn commit_flushable(&self, request: &Request) -> Result<Timestamp> {
        let context = JobContext {
            options: &self.options,
            opener: self.versions.opener(),
            next_file: &|| self.versions.next_file(),
            history: History::new([], Timestamp::ZERO),
            stop: &self.stop,
            pace: &|_| {},
        };
        let edit = write_operations(&context, request.operations.batch())?;
        // Most of what overlaps goes out here, without holding anybody up.
        if self.overlaps_memtables(&edit) {
            self.flush_committed()?;
        }
        self.install_files(edit, |last| self.timestamp_of(request, last))
    }

    /// The timestamp a large batch gets, or why it is refused. Nobody commits meanwhile, and all that was is visible.
    fn timestamp_of(&self, request: &Request, last: Timestamp) -> Result<Timestamp> {
        if let Some(check) = &request.check {
            check.run(&self.view())?;
        }
        let Some(timestamp) = request.timestamp else {
            return Ok(last.advance(self.options.clock.wall_seconds()));
        };
        if timestamp <= last {
            let written =
                ConflictCheck::of_writes(Timestamp(timestamp.0 - 1), request.operations.batch().operations());
            let not_newer = |_| Error::invalid(format!("a key has a version at or after {timestamp}"));
            written.run(&self.view()).map_err(not_newer)?;
        }
        Ok(timestamp)
    }
}
