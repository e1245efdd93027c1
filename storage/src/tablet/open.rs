//! Creates and opens a tablet: manifest first, then the log behind it.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, OnceLock, RwLock};

use crate::cache::BlockCache;
use crate::encryption::StoreKeys;
use crate::error::{Error, Result};
use crate::expiry::Expiry;
use crate::manifest::VersionSet;
use crate::memtable::Memtable;
use crate::options::StoreOptions;
use crate::planted::{Bug, planted};
use crate::poison::Poison;
use crate::read::ReadView;
use crate::sstable::block_file::FileOpener;
use crate::sstable::open_files::OpenFiles;
use crate::tablet::commit::apply;
use crate::tablet::watermark::Watermark;
use crate::tablet::{Order, SealedMemtable, TabletInner};
use crate::timestamp::Timestamp;
use crate::vfs::Vfs;
use crate::wal::header::segment_path;
use crate::wal::log::{Log, LogTail};
use crate::wal::record::Record;
use crate::wal::recovery::{Replay, sync_tail};

/// Where a tablet is.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Where files come from.
    pub(crate) vfs: Arc<dyn Vfs>,
    /// The store's directory.
    pub(crate) directory: PathBuf,
    /// The store's identity.
    pub(crate) identity: u128,
    /// Wraps the files' keys; `None` when they have none.
    pub(crate) keys: Option<Arc<StoreKeys>>,
}

impl Place {
    /// The log's directory.
    pub(crate) fn log_directory(&self) -> PathBuf {
        self.directory.join("log")
    }

    /// The directory of the one tablet.
    pub(crate) fn tablet_directory(&self) -> PathBuf {
        self.directory.join("tablet-1")
    }

    /// The tablet's files.
    fn opener(&self, options: &StoreOptions, cache: &Arc<BlockCache>) -> Arc<FileOpener> {
        Arc::new(FileOpener {
            vfs: Arc::clone(&self.vfs),
            directory: self.tablet_directory(),
            cache: Arc::clone(cache),
            read_mode: options.read_mode,
            open_files: Arc::new(OpenFiles::new(options.open_files_max)),
            keys: self.keys.clone(),
        })
    }
}

/// What replaying the log gave.
struct Replayed {
    /// Memtables that filled up on the way, oldest first.
    sealed: VecDeque<SealedMemtable>,
    /// The last one.
    active: Arc<Memtable>,
    /// The newest timestamp.
    last_timestamp: Timestamp,
    /// The index of the last record.
    last_index: u64,
    /// The index up to which records are in sstables.
    applied_index: u64,
}

/// A new tablet, whose log and manifest are durable.
pub(crate) fn create(place: &Place, options: &Arc<StoreOptions>) -> Result<TabletInner> {
    let poison = Arc::new(Poison::default());
    let tail = LogTail { next_number: 1, ..LogTail::default() };
    let log = Log::begin(
        Arc::clone(&place.vfs),
        &place.log_directory(),
        place.identity,
        place.keys.clone(),
        tail,
        Arc::clone(&poison),
    )?;
    let cache = Arc::new(BlockCache::within(options.cache_bytes, options.memory_budget_bytes()));
    let opener = place.opener(options, &cache);
    let versions =
        VersionSet::create(opener, place.identity, options.manifest_bytes_min, Arc::clone(&poison))?;
    let replayed = Replayed {
        sealed: VecDeque::new(),
        active: Arc::default(),
        last_timestamp: Timestamp::ZERO,
        last_index: 0,
        applied_index: 0,
    };
    Ok(assemble(place, options, versions, poison, cache, replayed, Some(log)))
}

/// An existing tablet, with everything its log holds.
pub(crate) fn recover(place: &Place, options: &Arc<StoreOptions>) -> Result<TabletInner> {
    let poison = Arc::new(Poison::default());
    let cache = Arc::new(BlockCache::within(options.cache_bytes, options.memory_budget_bytes()));
    let opener = place.opener(options, &cache);
    let read_only = options.read_only;
    let versions = VersionSet::recover(
        opener,
        place.identity,
        options.manifest_bytes_min,
        Arc::clone(&poison),
        read_only,
    )?;
    let progress = versions.progress();
    let mut replayed = Replayed {
        sealed: VecDeque::new(),
        active: Arc::default(),
        last_timestamp: progress.last_timestamp,
        last_index: progress.applied_index,
        applied_index: progress.applied_index,
    };
    let log_directory = place.log_directory();
    let replay = Replay {
        vfs: &*place.vfs,
        directory: &log_directory,
        identity: place.identity,
        keys: place.keys.as_deref(),
        first: progress.log_segment,
        promised: progress.log_promise,
    };
    let tail = replay.run(|segment, record| replayed.take(&log_directory, options, segment, record))?;
    if read_only {
        return Ok(assemble(place, options, versions, poison, cache, replayed, None));
    }
    sync_tail(&*place.vfs, &log_directory, &tail)?;
    let log = Log::begin(
        Arc::clone(&place.vfs),
        &log_directory,
        place.identity,
        place.keys.clone(),
        tail,
        Arc::clone(&poison),
    )?;
    versions.remove_orphans()?;
    log.remove_before(progress.log_segment)?;
    Ok(assemble(place, options, versions, poison, cache, replayed, Some(log)))
}

impl Replayed {
    /// Takes over one record.
    fn take(&mut self, directory: &Path, options: &StoreOptions, segment: u64, record: Record) -> Result<()> {
        let head = record.head;
        if head.index <= self.applied_index {
            return Ok(());
        }
        if head.index != self.last_index + 1 {
            return Err(Error::corruption(
                &segment_path(directory, segment),
                0,
                format!("record {} follows record {}", head.index, self.last_index),
            ));
        }
        if self.active.memory_bytes() >= options.memtable_bytes && !self.active.is_empty() {
            self.sealed.push_back(SealedMemtable {
                memtable: std::mem::take(&mut self.active),
                log_segment: segment,
                applied_index: self.last_index,
                last_timestamp: self.last_timestamp,
            });
        }
        apply(&self.active, head.timestamp, &record.operations);
        self.last_index = head.index;
        self.last_timestamp = self.last_timestamp.max(head.timestamp);
        if planted(Bug::DoubleApply) {
            self.last_timestamp = self.last_timestamp.next();
            apply(&self.active, self.last_timestamp, &record.operations);
        }
        Ok(())
    }
}

/// Puts the parts together.
fn assemble(
    place: &Place,
    options: &Arc<StoreOptions>,
    versions: VersionSet,
    poison: Arc<Poison>,
    cache: Arc<BlockCache>,
    replayed: Replayed,
    log: Option<Log>,
) -> TabletInner {
    let mut memtables = vec![Arc::clone(&replayed.active)];
    memtables.extend(replayed.sealed.iter().rev().map(|sealed| Arc::clone(&sealed.memtable)));
    let expiry = Arc::new(Expiry::new(&options.keyspaces));
    let view = ReadView { memtables, version: versions.version(), expiry: Arc::clone(&expiry) };
    // The floor may have been raised to a commit that was visible and not yet durable, and is gone now. Everything in
    // sstables is at or below the last timestamp, so history is complete from there on.
    let floor = versions.progress().history_floor.min(replayed.last_timestamp);
    let tablet = TabletInner {
        options: Arc::clone(options),
        vfs: Arc::clone(&place.vfs),
        log: log.map_or_else(OnceLock::new, OnceLock::from),
        versions,
        poison,
        cache,
        queue: crate::tablet::commit_queue::CommitQueue::default(),
        order: Mutex::new(Order {
            active: replayed.active,
            last_timestamp: replayed.last_timestamp,
            last_index: replayed.last_index,
            scratch: Vec::new(),
        }),
        view: RwLock::new(Arc::new(view)),
        visible: AtomicU64::new(replayed.last_timestamp.0),
        locks: crate::transaction::locks::LockTable::default(),
        watermark: Mutex::new(Watermark::new(floor)),
        expiry,
        sealed: Mutex::new(replayed.sealed),
        retired: Mutex::default(),
        flushing: Mutex::new(()),
        compacting: Mutex::new(()),
        work: super::background::WorkSignal::default(),
        closed: AtomicBool::new(false),
        stop: AtomicBool::new(false),
        statistics: super::statistics::Counters::default(),
    };
    tablet.account_memory();
    tablet
}

#[cfg(test)]
#[path = "open_tests.rs"]
mod tests;
