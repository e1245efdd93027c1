//! From sealed memtables to L0.
//!
//! All memtables sealed so far go out together, all keyspaces in one edit that also says where the log goes on; so no
//! crash can leave one keyspace ahead of another.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::compaction::{self, JobContext};
use crate::error::{Error, Result};
use crate::events::Event;
use crate::manifest::VersionRef;
use crate::memtable::Memtable;
use crate::planted::{Bug, planted};
use crate::tablet::{Tablet, TabletInner, lock};

impl Tablet {
    /// Writes everything committed so far into sstables, durably, whatever it was acknowledged as. Fails with
    /// [`Error::InvalidInput`] on a read-only store; after [`Error::Full`] or [`Error::TooManyOpenFiles`] what was to be flushed is still
    /// in memory and the log.
    pub fn flush(&self) -> Result<()> {
        self.inner.flush_committed()
    }
}

impl TabletInner {
    /// As [`Tablet::flush`].
    pub(crate) fn flush_committed(&self) -> Result<()> {
        self.check_writable()?;
        self.seal_active()?;
        self.flush_sealed()
    }

    /// How urgent a flush is, if there is anything to flush: writers wait where many are sealed.
    pub(crate) fn flush_urgency(&self) -> Option<usize> {
        Some(lock(&self.sealed).len()).filter(|&sealed| sealed > 0)
    }

    /// Flushes what is sealed now.
    pub(crate) fn flush_sealed(&self) -> Result<()> {
        let flushed = {
            let _one_at_a_time = lock(&self.flushing);
            self.flush_locked()
        };
        // Who waits for memory saw the lock taken, and looks at it again.
        self.shared.work.report_progress();
        flushed
    }

    /// The same, by the one who flushes.
    fn flush_locked(&self) -> Result<()> {
        if self.dropped.load(Ordering::Acquire) {
            return Err(Error::TabletDropped(self.id));
        }
        let (memtables, log_segment, applied_index, last_timestamp) = {
            let sealed = lock(&self.sealed);
            let Some(newest) = sealed.back() else { return Ok(()) };
            let memtables: Vec<Arc<Memtable>> =
                sealed.iter().rev().map(|sealed| Arc::clone(&sealed.memtable)).collect();
            (memtables, newest.log_segment, newest.applied_index, newest.last_timestamp)
        };
        self.poison.check()?;
        let started = self.options.clock.monotonic_micros();
        if planted(Bug::SegmentsGoEarly) {
            self.log()?.remove_before(log_segment)?;
        }
        let (floor, history) = self.raise_history();
        let context = JobContext {
            options: &self.options,
            opener: self.versions.opener(),
            next_file: &|| self.versions.next_file(),
            history,
            stop: &self.stop,
            pace: &|_| {},
        };
        let epoch = self.versions.next_epoch();
        let outcome = self.with_room(|| compaction::flush(&context, &memtables, epoch))?;
        // What the others hold back only grows younger: what is said here is still true when it is durable.
        let log_begin = self.shared.log_begin(self.id, log_segment)?;
        let mut edit = outcome.edit;
        edit.log_segment = Some(log_segment);
        edit.log_begin = Some(log_begin).filter(|_| self.shared.has_several());
        edit.log_promise = Some(self.log()?.durable_position()?);
        edit.applied_index = Some(applied_index).filter(|_| !planted(Bug::ForgetAppliedIndex));
        edit.last_timestamp = Some(last_timestamp);
        edit.history_floor = Some(floor);
        self.versions.install(edit, |version| {
            // First: in between, memory would seem to be free that is not.
            self.retire_memtables(&memtables);
            lock(&self.sealed).drain(..memtables.len());
            self.change_view(|view| {
                view.memtables
                    .retain(|memtable| !memtables.iter().any(|flushed| Arc::ptr_eq(flushed, memtable)));
                view.version = VersionRef::clone(version);
            });
        })?;
        drop(memtables);
        self.account_memory();
        self.statistics.flushes.fetch_add(1, Ordering::Relaxed);
        self.flushed_micros.store(self.options.clock.monotonic_micros(), Ordering::Relaxed);
        self.statistics.flushed_bytes.fetch_add(outcome.bytes_written, Ordering::Relaxed);
        // Before the lock is free: who waits for memory sees one of the two.
        self.shared.work.report_progress();
        self.shared.remove_segments(log_begin)?;
        self.shared.work.wake();
        self.options.emit(|| Event::Flushed {
            tablet: self.id,
            bytes_written: outcome.bytes_written,
            micros: self.options.clock.monotonic_micros().saturating_sub(started),
        });
        Ok(())
    }
}
