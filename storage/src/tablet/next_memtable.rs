//! The memtable after the active one, made ready while that one fills up.
//!
//! A commit that finds the active memtable full seals it and goes on in an empty one and in a new segment of the log. Making both
//! takes milliseconds: a table of slots for as many keys as there will be, each page of it touched for the first time; a
//! file, and its name. So when little room is left the syncing thread is asked to do all of it beforehand; where there are no
//! threads the commit does that at its end. If it comes too late the seal does it.

use std::sync::Arc;

use crate::memtable::Memtable;
use crate::options::BackgroundWork;
use crate::tablet::{TabletInner, lock};

/// A memtable is nearly full when less than this part of it is left,
const PART_LEFT: usize = 16;
/// or less than this: memory is taken in pieces of half as much.
const BYTES_LEFT: usize = 2 << 20;

/// The state of a tablet's next memtable.
#[derive(Default)]
pub(crate) enum Next {
    /// There is room in the active one.
    #[default]
    NotWanted,
    /// The active one is nearly full.
    Wanted,
    /// Here it is.
    Ready(Arc<Memtable>),
}

impl TabletInner {
    /// Asks for the next memtable if the active one, which takes `bytes`, is nearly full.
    pub(crate) fn ask_for_next(&self, bytes: usize) {
        let left = self.options.memtable_bytes.saturating_sub(bytes);
        let part = self.options.memtable_bytes / PART_LEFT;
        // Who does it at once needs no time for it.
        let at_once = self.options.background == BackgroundWork::Inline;
        if left > if at_once { part } else { part.max(BYTES_LEFT) } {
            return;
        }
        let mut next = lock(&self.next);
        if matches!(*next, Next::NotWanted) {
            *next = Next::Wanted;
            drop(next);
            self.shared.work.ask_sync();
        }
    }

    /// Makes the next memtable if it was asked for; whether it was.
    pub(crate) fn prepare_next(&self) -> bool {
        if !matches!(*lock(&self.next), Next::Wanted) {
            return false;
        }
        let entries = self.view().memtables.first().map_or(0, |active| active.entries());
        // What is still to come, and a little more: a table of slots that is too small for the last few keys is followed by one
        // twice as large.
        let made = Memtable::for_about(entries + entries / (PART_LEFT / 2));
        made.make_ready();
        let mut next = lock(&self.next);
        // A seal may have gone on without it; then it is not for this time.
        if matches!(*next, Next::Wanted) {
            *next = Next::Ready(Arc::new(made));
        }
        true
    }

    /// The next memtable, which is going to hold about `entries_expected` entries.
    pub(crate) fn take_next(&self, entries_expected: usize) -> Arc<Memtable> {
        match std::mem::take(&mut *lock(&self.next)) {
            Next::Ready(memtable) => memtable,
            Next::NotWanted | Next::Wanted => Arc::new(Memtable::for_about(entries_expected)),
        }
    }

    /// What the next memtable takes already, in bytes.
    pub(crate) fn next_memtable_bytes(&self) -> u64 {
        match &*lock(&self.next) {
            Next::Ready(memtable) => memtable.memory_bytes() as u64,
            Next::NotWanted | Next::Wanted => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::StoreOptions;
    use crate::store::Store;
    use crate::tablet::Tablet;
    use crate::vfs::MemoryVfs;
    use crate::write_batch::WriteBatch;

    fn open(background: BackgroundWork) -> Store {
        let options = StoreOptions { background, memtable_bytes: 4 << 20, ..StoreOptions::default() };
        Store::open(Arc::new(MemoryVfs::new()), "/db".as_ref(), options).unwrap()
    }

    fn put(tablet: &Tablet, key: usize, bytes: usize) {
        let mut batch = WriteBatch::new();
        batch.put(key.to_be_bytes(), vec![7; bytes]);
        tablet.commit(batch, None).unwrap();
    }

    fn ready(tablet: &Tablet) -> Option<Arc<Memtable>> {
        match &*lock(&tablet.inner.next) {
            Next::Ready(memtable) => Some(Arc::clone(memtable)),
            Next::NotWanted | Next::Wanted => None,
        }
    }

    fn active(tablet: &Tablet) -> Arc<Memtable> {
        Arc::clone(&lock(&tablet.inner.order).active)
    }

    #[test]
    fn what_was_made_ready_is_what_writes_go_on_in() {
        let store = open(BackgroundWork::Threads);
        let tablet = store.tablet();
        let keys = 2_600;
        (0..keys).for_each(|key| put(&tablet, key, 100));
        assert!(ready(&tablet).is_none(), "there is room");
        let first = active(&tablet);
        (keys..keys + 15).for_each(|key| put(&tablet, key, 100 << 10));
        assert!(!matches!(*lock(&tablet.inner.next), Next::NotWanted));
        // What the thread was asked for, done by whoever comes first.
        tablet.inner.shared.sync_written().unwrap();
        let next = ready(&tablet).unwrap();
        let bytes = next.memory_bytes() as u64;
        // Three slots for two keys, of those there are and of those still to come.
        let slots = 3 * (keys + keys / (PART_LEFT / 2)) as u64 / 2;
        let slot_bytes = 4 + size_of::<usize>() as u64;
        assert!((slot_bytes * slots..slot_bytes * slots * 3 / 2).contains(&(bytes - (16 << 10))), "{bytes}");
        assert!(tablet.memory_report().active_memtable_bytes >= bytes + first.memory_bytes() as u64);
        assert!(Arc::ptr_eq(&first, &active(&tablet)));
        (0..25).for_each(|key| put(&tablet, key, 100 << 10));
        assert!(Arc::ptr_eq(&next, &active(&tablet)));
        assert!(ready(&tablet).is_none());
        tablet.flush().unwrap();
        assert!((0..keys + 15).all(|key| tablet.get(&key.to_be_bytes()).unwrap().is_some()));
    }

    #[test]
    fn a_seal_before_it_is_ready_makes_its_own() {
        let store = open(BackgroundWork::Inline);
        let tablet = store.tablet();
        let first = active(&tablet);
        (0..30).for_each(|key| put(&tablet, key, 100 << 10));
        assert!(ready(&tablet).is_none(), "there is room");
        let is_made = (30..60).any(|key| {
            put(&tablet, key, 100 << 10);
            ready(&tablet).is_some()
        });
        assert!(is_made && Arc::ptr_eq(&first, &active(&tablet)), "without threads by the commit itself");
        *lock(&tablet.inner.next) = Next::Wanted;
        tablet.flush().unwrap();
        assert!(matches!(*lock(&tablet.inner.next), Next::NotWanted));
        assert!(!tablet.inner.prepare_next(), "too late for this one");
        assert!(ready(&tablet).is_none());
    }

    #[test]
    fn the_thread_that_is_asked_for_it_does_not_wait_for_its_time() {
        let options = StoreOptions {
            memtable_bytes: 4 << 20,
            async_interval: std::time::Duration::from_secs(3_600),
            ..StoreOptions::default()
        };
        let store = Store::open(Arc::new(MemoryVfs::new()), "/db".as_ref(), options).unwrap();
        let tablet = store.tablet();
        (0..25).for_each(|key| put(&tablet, key, 100 << 10));
        let is_ready = (0..2_000).any(|_| {
            std::thread::park_timeout(std::time::Duration::from_millis(5));
            ready(&tablet).is_some()
        });
        assert!(is_ready);
        // It sleeps for an hour again.
        store.close().unwrap();
    }

    #[test]
    fn what_is_made_ready_after_a_seal_is_not_kept() {
        let store = open(BackgroundWork::Inline);
        let tablet = store.tablet();
        put(&tablet, 1, 10);
        *lock(&tablet.inner.next) = Next::Wanted;
        let first = active(&tablet);
        drop(tablet.inner.take_next(0));
        assert!(matches!(*lock(&tablet.inner.next), Next::NotWanted), "it is not wanted twice");
        assert!(Arc::ptr_eq(&first, &active(&tablet)));
        assert_eq!(tablet.inner.next_memtable_bytes(), 0);
    }
}
