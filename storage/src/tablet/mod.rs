//! A tablet: one LSM tree, with its own manifest, over the store's log, which it shares with the store's other tablets.
//!
//! Who owns what:
//!
//! - `order` (the leader of the commit queue): the active memtable, the last timestamp and index. Only its holder appends
//!   to the log or inserts into the memtable.
//! - `view`: what readers read from. Replaced whole, under its lock, by whoever seals a memtable or installs a version.
//! - `visible`: the newest published timestamp. Moves only up, after everything below it is in a memtable of `view`.
//! - `watermark`: live snapshots and the history floor.
//! - `sealed`: memtables on their way to L0, oldest first. Only the flush removes them.
//!
//! Locks are taken in this order: the store's list of tablets, `order`, `flushing` or `compacting`, the version set's, `sealed`,
//! `view`, `watermark`; the log's by whoever calls it, last. `order` of several tablets is taken by a checkpoint alone, by ascending id.

mod admission;
pub(crate) mod background;
pub(crate) mod checkpoint;
pub(crate) mod commit;
mod commit_queue;
mod compact;
mod excise;
mod flush;
mod flushable;
mod id;
mod ingest;
mod lagging;
mod memory;
mod next_memtable;
pub(crate) mod open;
mod statistics;
mod verify;
mod watermark;

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};

use crate::cache::BlockCache;
use crate::compaction::History;
use crate::error::{Error, Result};
use crate::expiry::Expiry;
use crate::manifest::VersionSet;
use crate::memtable::Memtable;
use crate::options::StoreOptions;
use crate::planted::{Bug, planted};
use crate::poison::Poison;
use crate::read::snapshot::Snapshot;
use crate::read::{CurrentView, ReadView, ViewRef};
use crate::store::Shared;
use crate::sync::scheduled::{AtomicBool, AtomicU64, Mutex, MutexGuard};
use crate::timestamp::Timestamp;
use crate::transaction::locks::LockTable;
use crate::value_slice::ValueSlice;
use crate::vfs::Vfs;
use crate::wal::log::Log;

pub use admission::WriteState;
pub(crate) use background::{Workers, start_workers};
pub use id::TabletId;
pub use memory::MemoryReport;
pub(crate) use memory::memory_report;
pub use statistics::{LevelStatistics, TabletStatistics};
pub use verify::VerifyReport;

/// One LSM tree. Clones share it.
#[derive(Clone)]
pub struct Tablet {
    /// The tree.
    pub(crate) inner: Arc<TabletInner>,
}

/// The tree.
pub(crate) struct TabletInner {
    /// Which tablet it is.
    pub(crate) id: TabletId,
    /// What it shares with the other tablets of the store.
    pub(crate) shared: Arc<Shared>,
    /// How the store was opened.
    pub(crate) options: Arc<StoreOptions>,
    /// Where files come from.
    pub(crate) vfs: Arc<dyn Vfs>,
    /// The files.
    pub(crate) versions: VersionSet,
    /// Stops writes after a failure.
    pub(crate) poison: Arc<Poison>,
    /// The cache of blocks and blobs.
    pub(crate) cache: Arc<BlockCache>,
    /// Group commit.
    pub(crate) queue: commit_queue::CommitQueue,
    /// What the leader of the commit queue owns.
    pub(crate) order: Mutex<Order>,
    /// What readers read from.
    view: CurrentView,
    /// The newest published timestamp.
    pub(crate) visible: AtomicU64,
    /// Key locks of pessimistic transactions.
    pub(crate) locks: LockTable,
    /// What has expired for whom.
    expiry: Arc<Expiry>,
    /// Live snapshots.
    watermark: Mutex<watermark::Watermark>,
    /// What writes go on in.
    pub(crate) next: Mutex<next_memtable::Next>,
    /// Memtables on their way to L0, oldest first.
    pub(crate) sealed: Mutex<VecDeque<SealedMemtable>>,
    /// Memtables that were flushed and may still be read.
    retired: Mutex<Vec<Weak<Memtable>>>,
    /// Held by who flushes.
    pub(crate) flushing: Mutex<()>,
    /// Held by who compacts.
    pub(crate) compacting: Mutex<()>,
    /// Set when the store is closed.
    pub(crate) closed: AtomicBool,
    /// Set when the tablet is dropped.
    pub(crate) dropped: AtomicBool,
    /// Makes running jobs stop early.
    pub(crate) stop: AtomicBool,
    /// The segment that holds the oldest record of the active memtable; see [`lagging`].
    pub(crate) active_since: AtomicU64,
    /// What the active memtable takes, in bytes.
    pub(crate) active_bytes: AtomicU64,
    /// What its records kept to be appended again take, in bytes.
    pub(crate) tail_bytes: AtomicU64,
    /// What sealed and held memtables and the knowledge of files took when they were last counted.
    pub(crate) counted_bytes: AtomicU64,
    /// Bytes that compaction has yet to move, when they were last counted.
    pub(crate) debt_bytes: AtomicU64,
    /// When the last flush ended, by the monotonic clock.
    pub(crate) flushed_micros: AtomicU64,
    /// Counters.
    pub(crate) statistics: statistics::Counters,
}

/// What the leader of the commit queue owns.
pub(crate) struct Order {
    /// Where writes go.
    pub(crate) active: Arc<Memtable>,
    /// The newest timestamp assigned.
    pub(crate) last_timestamp: Timestamp,
    /// The newest index assigned.
    pub(crate) last_index: u64,
    /// Where records are put together.
    pub(crate) scratch: Vec<u8>,
    /// The records of the active memtable, while they are few.
    pub(crate) tail: lagging::Tail,
}

/// A memtable on its way to L0.
pub(crate) struct SealedMemtable {
    /// The memtable.
    pub(crate) memtable: Arc<Memtable>,
    /// Once it is in L0, log segments below this are no longer needed for it.
    pub(crate) log_segment: u64,
    /// Until it is in L0, log segments from this on are needed for it.
    pub(crate) first_segment: u64,
    /// The index of the last record in it.
    pub(crate) applied_index: u64,
    /// The newest timestamp up to it.
    pub(crate) last_timestamp: Timestamp,
}

/// Locks, whatever happened to the last holder: what the locks here protect is valid between any two statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl TabletInner {
    /// The log. A read-only store has none; its writes are refused before they come here.
    pub(crate) fn log(&self) -> Result<&Log> {
        self.shared.log()
    }

    /// What readers read from now.
    pub(crate) fn view(&self) -> ViewRef {
        self.view.get()
    }

    /// Replaces what readers read from.
    pub(crate) fn change_view(&self, change: impl FnOnce(&mut ReadView)) {
        self.view.change(change);
    }

    /// The newest published timestamp.
    pub(crate) fn visible(&self) -> Timestamp {
        Timestamp(self.visible.load(Ordering::Acquire))
    }

    /// The oldest timestamp that must stay readable.
    pub(crate) fn history_floor(&self) -> Timestamp {
        let visible = self.visible();
        if self.options.retention.is_zero() {
            return visible;
        }
        let retention = self.options.retention;
        let seconds = retention.as_secs().saturating_add(u64::from(retention.subsec_nanos() > 0));
        let retained = u32::try_from(seconds).unwrap_or(u32::MAX);
        let since = self.options.clock.wall_seconds().saturating_sub(retained);
        visible.min(Timestamp::from_parts(since, 0))
    }

    /// Raises the history floor as far as may be. The floor, and what must be kept from now on.
    fn raise_history(&self) -> (Timestamp, History) {
        let (floor, history) = lock(&self.watermark).raise(self.history_floor());
        (floor, history.expiring(Arc::clone(&self.expiry)))
    }

    /// Forgets a snapshot.
    pub(crate) fn release_snapshot(&self, timestamp: Timestamp) {
        lock(&self.watermark).remove(timestamp);
    }
}

impl Tablet {
    /// Its id within the store.
    pub fn id(&self) -> TabletId {
        self.inner.id
    }

    /// A view of everything committed so far, which later writes do not change. It holds back the collection of history, not files
    /// or memory. With [`SNAPSHOTS_MAX`](crate::limits::SNAPSHOTS_MAX) alive every read of this one is
    /// [`Error::TooManySnapshots`].
    pub fn snapshot(&self) -> Snapshot {
        let mut watermark = lock(&self.inner.watermark);
        let timestamp = self.inner.visible();
        match watermark.add(timestamp, || self.inner.options.clock.monotonic_micros()) {
            Ok(()) => {
                if planted(Bug::ForgottenSnapshot) {
                    watermark.remove(timestamp);
                }
                Snapshot::registered(self.clone(), timestamp)
            }
            // Too many snapshots: this one reads nothing and says why.
            Err(error) => Snapshot::refused(self.clone(), timestamp, error),
        }
    }

    /// As `snapshot`, and of everything that was acknowledged anywhere in the replication group before the call.
    pub fn current_snapshot(&self) -> Result<Snapshot> {
        self.inner.options.replicator.read_barrier()?;
        Ok(self.snapshot())
    }

    /// A view of everything committed at or before `timestamp`. [`Error::InvalidInput`] if that has not been reached,
    /// [`Error::SnapshotTooOld`] if its history has been collected, [`Error::TooManySnapshots`].
    pub fn snapshot_at(&self, timestamp: Timestamp) -> Result<Snapshot> {
        let mut watermark = lock(&self.inner.watermark);
        if timestamp > self.inner.visible() {
            return Err(Error::invalid(format!("timestamp {timestamp} has not been reached")));
        }
        watermark.add(timestamp, || self.inner.options.clock.monotonic_micros())?;
        Ok(Snapshot::registered(self.clone(), timestamp))
    }

    /// The newest committed value of a key; `None` if there is none, or the key is none that could be written.
    /// [`Error::MemoryExceeded`] if the budget has no room for what is to be read, [`Error::Corruption`] if that is damaged.
    pub fn get(&self, key: &[u8]) -> Result<Option<ValueSlice>> {
        // The view first: compaction may drop versions that only an older timestamp would see.
        let view = self.inner.view();
        let visible = self.inner.visible();
        crate::read::point::get(&view, key, visible)
    }

    /// The newest committed timestamp.
    pub fn last_timestamp(&self) -> Timestamp {
        self.inner.visible()
    }

    /// Makes everything acknowledged so far durable, whatever it was acknowledged as.
    pub fn sync(&self) -> Result<()> {
        self.inner.check_writable()?;
        self.inner.log()?.sync()
    }
}
