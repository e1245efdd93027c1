//! Bulk load: sorted pairs become sstables without passing through the log and the memtable.
//!
//! 1. The pairs are written to files nobody knows of. Others commit meanwhile.
//! 2. At the head of the log, so that nobody commits: memtables that overlap the files are flushed (what they hold is
//!    older and must lie below), the log is synced (what is in it is older and must not be lost when the ingestion is
//!    not), the timestamp is drawn, and each file goes into the lowest level down to which nothing overlaps it, so
//!    that a bulk load is not compacted again; or into L0, under a new epoch.
//! 3. The timestamp is published.
//!
//! All or nothing: the manifest's edit makes it real.

use std::sync::atomic::Ordering;
use std::sync::{Arc, TryLockError};

use crate::compaction::levels::LevelTargets;
use crate::compaction::{History, JobContext, write_sorted};
use crate::error::{Error, Result};
use crate::events::Event;
use crate::limits::LEVELS;
use crate::manifest::{TableMeta, Version, VersionEdit, VersionRef};
use crate::memtable::Memtable;
use crate::replicator::Role;
use crate::tablet::{Order, Tablet, TabletInner, lock};
use crate::timestamp::Timestamp;

impl Tablet {
    /// Writes pairs whose keys ascend, all at one timestamp, durably, without logging them. Much cheaper than committing
    /// them, and meant for many: every call makes at least one sstable. Returns that timestamp; an error leaves nothing.
    ///
    /// [`Error::InvalidInput`]: keys that do not ascend, keys or values over their limits, a read-only or replicated store.
    pub fn ingest(&self, pairs: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) -> Result<Timestamp> {
        let inner = &*self.inner;
        inner.check_writable()?;
        if inner.options.replicator.role() != Role::Standalone {
            return Err(Error::invalid("an ingestion passes the log by; a replicated store takes batches"));
        }
        let context = JobContext {
            options: &inner.options,
            opener: inner.versions.opener(),
            next_file: &|| inner.versions.next_file(),
            history: History::new([], Timestamp::ZERO),
            stop: &inner.stop,
            pace: &|_| {},
        };
        let edit = write_sorted(&context, &mut pairs.into_iter())?;
        if edit.added_tables.is_empty() {
            return Ok(inner.visible());
        }
        // Most of what overlaps goes out here, without holding anybody up.
        if inner.overlaps_memtables(&edit) {
            self.flush()?;
        }
        inner.install_files(edit, |last| Ok(last.advance(inner.options.clock.wall_seconds())))
    }
}

impl TabletInner {
    /// Gives files that passed the log by their timestamp and place, and publishes them. `timestamp` draws or refuses one,
    /// given the last; files that are refused are removed.
    pub(crate) fn install_files(
        &self,
        mut edit: VersionEdit,
        timestamp: impl FnOnce(Timestamp) -> Result<Timestamp>,
    ) -> Result<Timestamp> {
        let order = &mut *lock(&self.order);
        self.check_writable()?;
        if self.overlaps_memtables(&edit) {
            self.flush_all(order)?;
        }
        self.log()?.sync()?;
        let timestamp = match timestamp(order.last_timestamp) {
            Ok(timestamp) => timestamp,
            Err(refusal) => {
                self.remove_files(&edit);
                return Err(refusal);
            }
        };
        // A running compaction may write anywhere between the keys it reads; what it might overlap stays above it.
        let compaction = self.compacting.try_lock();
        if !matches!(compaction, Err(TryLockError::WouldBlock)) {
            let version = self.versions.version();
            let base = LevelTargets::new(&version, &self.options).base;
            edit.added_tables
                .iter_mut()
                .for_each(|(level, meta)| *level = lowest_free_level(&version, meta, base));
        }
        let epoch = self.versions.next_epoch();
        for (_, meta) in &mut edit.added_tables {
            meta.epoch = epoch;
            meta.fixed_timestamp = Some(timestamp);
            (meta.oldest, meta.newest) = (timestamp, timestamp);
        }
        let tables = edit.added_tables.iter().map(|(_, meta)| meta.size_bytes);
        let bytes = tables.chain(edit.added_blobs.iter().map(|meta| meta.size_bytes)).sum();
        let last = order.last_timestamp.max(timestamp);
        edit.last_timestamp = Some(last);
        edit.log_promise = Some(self.log()?.durable_position()?);
        self.versions.install(edit, |version| {
            self.change_view(|view| view.version = VersionRef::clone(version));
        })?;
        order.last_timestamp = last;
        self.visible.fetch_max(timestamp.0, Ordering::Release);
        self.statistics.ingested_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.account_memory();
        self.shared.work.wake();
        self.options.emit(|| Event::Ingested { tablet: self.id, bytes });
        Ok(timestamp)
    }

    /// Removes files no version has.
    pub(crate) fn remove_files(&self, edit: &VersionEdit) {
        let opener = self.versions.opener();
        let tables = edit.added_tables.iter().map(|(_, meta)| meta.file_id.sstable_path(&opener.directory));
        let blobs = edit.added_blobs.iter().map(|meta| meta.file_id.blob_path(&opener.directory));
        for path in tables.chain(blobs) {
            // What stays for whatever reason is an orphan, which the next open removes.
            let _orphan_if_it_fails = opener.vfs.remove(&path);
        }
    }

    /// Flushes everything, while nobody can commit.
    fn flush_all(&self, order: &mut Order) -> Result<()> {
        if !order.active.is_empty() {
            self.seal(order)?;
        }
        self.flush_sealed()
    }

    /// Whether a memtable holds a key, or a range deletion, within the files' bounds.
    pub(crate) fn overlaps_memtables(&self, edit: &VersionEdit) -> bool {
        let view = self.view();
        let overlaps = |memtable: &Arc<Memtable>| {
            edit.added_tables.iter().any(|(_, meta)| {
                let mut cursor = memtable.cursor();
                cursor.seek(&meta.smallest, Timestamp::MAX);
                let point = cursor.entry().is_some_and(|entry| meta.largest.admits(entry.key()));
                point
                    || memtable.range_tombstones().is_some_and(|ranges| {
                        ranges.fragments().iter().any(|fragment| {
                            meta.largest.admits(&fragment.start) && fragment.end > meta.smallest
                        })
                    })
            })
        };
        view.memtables.iter().any(overlaps)
    }
}

/// The lowest level that a file newer than everything may go to: nothing in it or above it overlaps. L0 if that is above
/// `base`, where levels are kept empty.
fn lowest_free_level(version: &Version, meta: &TableMeta, base: usize) -> usize {
    let free = |level: &usize| !version.level(*level).iter().any(|table| table.meta.overlaps_table(meta));
    let lowest = (0..LEVELS).take_while(free).last().unwrap_or_default();
    if lowest < base { 0 } else { lowest }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sstable::table_tests::opener;
    use crate::vfs::MemoryVfs;

    fn table(id: u64, smallest: &str, largest: &str) -> TableMeta {
        crate::manifest::table_in_no_file(id, smallest, largest, id)
    }

    #[test]
    fn a_table_goes_above_all_it_overlaps_and_not_between_l0_and_the_base() {
        let opener = Arc::new(opener(&MemoryVfs::new()));
        let edit = VersionEdit {
            added_tables: vec![(6, table(1, "a", "c")), (4, table(2, "e", "g")), (0, table(3, "k", "m"))],
            ..VersionEdit::default()
        };
        let version = Version::default().apply(&edit, &opener).unwrap();
        // Its first and last key, the base, and where it goes.
        let cases = [
            ("d", "d", 6, 6),
            ("b", "b", 6, 0),
            ("c", "d", 5, 5),
            ("c", "d", 6, 0),
            ("f", "f", 3, 3),
            ("f", "f", 4, 0),
            ("b", "f", 2, 3),
            ("l", "l", 1, 0),
            ("a", "z", 1, 0),
            ("n", "z", 4, 6),
        ];
        for (smallest, largest, base, expected) in cases {
            let level = lowest_free_level(&version, &table(9, smallest, largest), base);
            assert_eq!(level, expected, "{smallest} to {largest}, base {base}");
        }
    }
}
