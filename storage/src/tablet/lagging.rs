//! Which segments of the log a tablet holds back, and how one that holds back too many is brought forward.
//!
//! `active_since` is the segment the oldest record of the active memtable is in (or an older one: it is set before the record is
//! appended, and others may go on to the next segment in between). A sealed memtable keeps it until it is flushed.
//!
//! A tablet with few writes would keep all segments since its last flush. One that holds back more than the options allow
//! is brought forward:
//!
//! 1. If its unflushed records are few, they were kept in memory as the log has them, and are appended to the log once more,
//!    marked as such, with the indexes and timestamps they have. The log is synced.
//! 2. An edit of its manifest says where the copies begin: what the log holds of the tablet before is not needed.
//! 3. Now the older segments may go.
//!
//! A crash before 2 leaves originals and perhaps copies; a copy whose index has been seen is skipped. After 2 replay begins
//! with the copies. Others append between the copies, and may go on to the next segment: nothing depends on that.
//!
//! If they are many, or memtables are sealed already, the tablet is flushed.

use std::sync::atomic::Ordering;

use crate::error::Result;
use crate::limits::LOG_TAIL_BYTES_MAX;
use crate::manifest::VersionEdit;
use crate::tablet::{Order, TabletInner, lock};
use crate::wal::log::{Log, LogPosition};
use crate::wal::record::{RecordHead, RecordKind};

/// The value of `active_since` when the active memtable is empty.
pub(crate) const NO_SEGMENT: u64 = u64::MAX;

/// The unflushed records of a tablet, as the log has them, while they are few.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    /// In order, without gaps up to the newest.
    records: Vec<(RecordHead, Vec<u8>)>,
    /// Their bytes.
    bytes: usize,
    /// Whether a record is missing: there were too many, or they were written when nobody kept them.
    incomplete: bool,
}

impl Tail {
    /// Keeps a record, or gives up all.
    pub(crate) fn push(&mut self, head: &RecordHead, encoded: &[u8]) {
        self.bytes = self.bytes.saturating_add(encoded.len());
        if self.bytes > LOG_TAIL_BYTES_MAX {
            self.give_up();
            return;
        }
        self.records.push((*head, encoded.to_vec()));
    }

    /// Records are there that it does not have.
    pub(crate) fn give_up(&mut self) {
        *self = Tail { incomplete: true, ..Tail::default() };
    }

    /// Bytes of the records it has.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl TabletInner {
    /// The oldest segment that holds a record of the tablet which is in no sstable, if there is one.
    pub(crate) fn oldest_segment(&self) -> Option<u64> {
        // In this order: a seal adds to the sealed ones before it clears the active one's.
        let active = self.active_since.load(Ordering::Acquire);
        let sealed = lock(&self.sealed).front().map(|sealed| sealed.first_segment);
        Some(active.min(sealed.unwrap_or(NO_SEGMENT))).filter(|&segment| segment != NO_SEGMENT)
    }

    /// Holds back the open segment, to which a record is about to be appended.
    pub(crate) fn hold_segment(&self, log: &Log) {
        if self.active_since.load(Ordering::Relaxed) == NO_SEGMENT {
            self.active_since.store(log.position().0, Ordering::Release);
        }
    }

    /// Keeps a record that was appended in case it must be appended again.
    pub(crate) fn keep_record(&self, order: &mut Order, head: &RecordHead, encoded: &[u8]) {
        if order.tail.incomplete {
            return;
        }
        if self.shared.has_several() {
            order.tail.push(head, encoded);
        } else {
            order.tail.give_up();
        }
        self.tail_bytes.store(order.tail.bytes() as u64, Ordering::Relaxed);
    }

    /// Sees to it that the tablet does not hold back more segments than it may. Whether it did.
    pub(crate) fn bring_forward(&self) -> Result<bool> {
        let lags = || self.oldest_segment().map_or(Ok(false), |oldest| self.shared.is_lagging(oldest));
        if !lags()? {
            return Ok(false);
        }
        {
            let order = &mut *lock(&self.order);
            self.check_writable()?;
            if order.active.is_empty() {
                self.pass_empty_records(order)?;
            } else if !order.tail.incomplete && lock(&self.sealed).is_empty() {
                self.append_again(order)?;
            } else {
                self.seal(order)?;
            }
        }
        self.flush_sealed()?;
        Ok(true)
    }

    /// Lets go of records without writes, and of a group that was refused whole: there is nothing of them to flush, but their
    /// indexes must not be missing when their segments are.
    fn pass_empty_records(&self, order: &Order) -> Result<()> {
        if !lock(&self.sealed).is_empty() {
            return Ok(());
        }
        if order.last_index > self.versions.progress().applied_index {
            // The log may begin there for this tablet, so the segment has to be there.
            let promise = self.log()?.durable_position()?;
            let edit = VersionEdit {
                log_segment: Some(promise.segment),
                log_promise: Some(promise),
                applied_index: Some(order.last_index),
                last_timestamp: Some(order.last_timestamp),
                ..VersionEdit::default()
            };
            self.versions.install(edit, |_| {})?;
        }
        self.active_since.store(NO_SEGMENT, Ordering::Release);
        Ok(())
    }

    /// Appends the unflushed records once more and says in the manifest that the log begins there for this tablet.
    fn append_again(&self, order: &mut Order) -> Result<()> {
        let log = self.log()?;
        let mut start: Option<LogPosition> = None;
        for (head, encoded) in &order.tail.records {
            let again = RecordHead { kind: RecordKind::Again, ..*head };
            let place = log.append(&mut order.scratch, &again, encoded)?;
            start.get_or_insert(place);
        }
        let Some(start) = start else { return Ok(()) };
        log.sync()?;
        let edit = VersionEdit {
            log_segment: Some(start.segment),
            log_start: Some(start),
            log_promise: Some(log.durable_position()?),
            ..VersionEdit::default()
        };
        self.versions.install(edit, |_| {})?;
        self.active_since.store(start.segment, Ordering::Release);
        self.statistics.records_again.fetch_add(order.tail.records.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::options::{BackgroundWork, Durability, StoreOptions};
    use crate::store::Store;
    use crate::tablet::{Tablet, TabletId};
    use crate::vfs::{FaultVfs, MemoryVfs};
    use crate::write_batch::WriteBatch;

    fn options() -> StoreOptions {
        StoreOptions {
            background: BackgroundWork::Inline,
            log_segments_max: 1,
            wal_segment_bytes: 4 << 10,
            ..StoreOptions::default()
        }
    }

    fn open(disk: &MemoryVfs) -> Store {
        Store::open(Arc::new(disk.clone()), "/db".as_ref(), options()).unwrap()
    }

    fn put(tablet: &Tablet, key: &str, bytes: usize) {
        let mut batch = WriteBatch::new();
        batch.put(key, vec![7; bytes]);
        tablet.commit(batch, Some(Durability::Sync)).unwrap();
    }

    #[test]
    fn a_sealed_memtable_is_not_passed_over_when_its_tablet_is_brought_forward() {
        for records_after in [0, 1] {
            let disk = MemoryVfs::new();
            let store = open(&disk);
            let lagging = store.create_tablet(TabletId(2)).unwrap();
            put(&lagging, "sealed", 10);
            // Its flushes end early from now on, as a crash would end them.
            lagging.inner.stop.store(true, Ordering::Release);
            lagging.inner.seal_active().unwrap();
            (0..records_after).for_each(|_| put(&lagging, "after", 10));
            (0..8).for_each(|_| put(&store.tablet(), "other", 3_000));
            // Others free the segments that only they needed.
            store.tablet().flush().unwrap();
            let crashed = open(&disk.crash_clone(1, 0));
            let found = crashed.tablet_by_id(TabletId(2)).unwrap();
            assert!(found.get(b"sealed").unwrap().is_some(), "{records_after} records after");
            assert_eq!(found.get(b"after").unwrap().is_some(), records_after > 0);
        }
    }

    #[test]
    fn the_log_does_not_begin_in_a_segment_whose_head_is_not_on_disk() {
        for flushes in [false, true] {
            let disk = MemoryVfs::new();
            let store = open(&disk);
            let (first, second) = (store.tablet(), store.create_tablet(TabletId(2)).unwrap());
            put(&first, "k", 10);
            put(&second, "k", 10);
            first.flush().unwrap();
            second.inner.seal_active().unwrap();
            let shared = &first.inner.shared.clone();
            let log = shared.log().unwrap();
            log.prepare().unwrap();
            log.rotate().unwrap();
            if flushes {
                second.flush().unwrap();
            } else {
                second.inner.flush_sealed().unwrap();
                log.prepare().unwrap();
                log.rotate().unwrap();
                shared.free_segments().unwrap();
            }
            let crashed = open(&disk.crash_clone(1, 0));
            for tablet in [crashed.tablet(), crashed.tablet_by_id(TabletId(2)).unwrap()] {
                assert!(tablet.get(b"k").unwrap().is_some());
            }
        }
    }

    #[test]
    fn a_record_without_writes_from_before_an_open_is_not_missing_later() {
        let disk = MemoryVfs::new();
        let store = open(&disk);
        let lagging = store.create_tablet(TabletId(2)).unwrap();
        put(&lagging, "k", 10);
        lagging.flush().unwrap();
        lagging.commit(WriteBatch::new(), None).unwrap();
        drop((lagging, store));
        // It is in the log and nowhere else, and the next one follows it.
        let store = open(&disk);
        let lagging = store.tablet_by_id(TabletId(2)).unwrap();
        put(&lagging, "after", 10);
        let shared = Arc::clone(&lagging.inner.shared);
        for _ in 0..3 {
            shared.log().unwrap().rotate().unwrap();
        }
        lagging.inner.bring_forward().unwrap();
        let statistics = lagging.statistics();
        assert!(statistics.records_again + statistics.flushes > 0, "it was brought forward, here or before");
        put(&store.tablet(), "other", 10);
        store.tablet().flush().unwrap();
        let crashed = open(&disk.crash_clone(1, 0));
        let found = crashed.tablet_by_id(TabletId(2)).unwrap();
        assert!(found.get(b"k").unwrap().is_some() && found.get(b"after").unwrap().is_some());
    }

    #[test]
    fn records_appended_again_are_held_though_others_go_on_to_the_next_segment_at_once() {
        let disk = MemoryVfs::new();
        let faults = FaultVfs::new(Arc::new(disk.clone()));
        let store = Store::open(Arc::new(faults.clone()), "/db".as_ref(), options()).unwrap();
        let lagging = store.create_tablet(TabletId(2)).unwrap();
        put(&lagging, "k", 10);
        let shared = Arc::clone(&lagging.inner.shared);
        shared.log().unwrap().rotate().unwrap();
        shared.log().unwrap().rotate().unwrap();
        let (of_hook, once) = (Arc::downgrade(&shared), std::sync::Mutex::new(true));
        faults.set_hook(move |call| {
            let of_manifest = call.path.extension().is_some_and(|extension| extension == "manifest");
            if of_manifest && call.operation == "sync" && std::mem::take(&mut *once.lock().unwrap()) {
                of_hook.upgrade().unwrap().log().unwrap().rotate().unwrap();
            }
        });
        assert!(lagging.inner.bring_forward().unwrap());
        faults.set_hook(|_| {});
        assert_eq!(lagging.statistics().records_again, 1);
        assert!(lagging.inner.oldest_segment().unwrap() < shared.log().unwrap().position().0);
        put(&store.tablet(), "other", 10);
        store.tablet().flush().unwrap();
        shared.free_segments().unwrap();
        let crashed = open(&disk.crash_clone(1, 0));
        assert!(crashed.tablet_by_id(TabletId(2)).unwrap().get(b"k").unwrap().is_some());
    }

    #[test]
    fn a_store_opens_whose_first_segments_only_one_tablet_knew_to_be_gone() {
        // A tablet that comes later has nothing in them, and one that goes tells the first.
        for drops in [false, true] {
            let disk = MemoryVfs::new();
            let store = open(&disk);
            let busy = if drops { store.create_tablet(TabletId(2)).unwrap() } else { store.tablet() };
            for _ in 0..4 {
                (0..3).for_each(|_| put(&busy, "k", 3_000));
                busy.flush().unwrap();
            }
            put(&busy, "last", 10);
            let shared = &store.tablet().inner.shared.clone();
            assert!(shared.log().unwrap().segments()[0] > 1, "segments went");
            if drops {
                store.drop_tablet(TabletId(2)).unwrap();
                assert_eq!(shared.active_bytes(), 0, "it takes no memory any more");
            } else {
                store.create_tablet(TabletId(3)).unwrap();
            }
            let crashed = open(&disk.crash_clone(1, 0));
            for key in [&b"k"[..], b"last"] {
                assert_eq!(crashed.tablet().get(key).unwrap().is_some(), !drops);
            }
        }
    }
}
