//! Puts a tablet together from its manifest and what the log holds of it.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cache::BlockCache;
use crate::encryption::StoreKeys;
use crate::error::{Error, Result};
use crate::expiry::Expiry;
use crate::manifest::{Progress, VersionSet};
use crate::memtable::Memtable;
use crate::options::StoreOptions;
use crate::planted::{Bug, planted};
use crate::read::{CurrentView, ReadView};
use crate::sstable::block_file::FileOpener;
use crate::sstable::open_files::OpenFiles;
use crate::store::Shared;
use crate::sync::scheduled::{AtomicBool, AtomicU64, Mutex};
use crate::tablet::commit::apply;
use crate::tablet::lagging::{NO_SEGMENT, Tail};
use crate::tablet::watermark::Watermark;
use crate::tablet::{Order, SealedMemtable, TabletId, TabletInner};
use crate::timestamp::Timestamp;
use crate::vfs::Vfs;
use crate::wal::header::{LogRung, segment_path};
use crate::wal::record::{Record, RecordKind};

/// Where a store is.
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
    /// What the log may have, as `STORE` says when the store is opened.
    pub(crate) rung: LogRung,
}

impl Place {
    /// The log's directory.
    pub(crate) fn log_directory(&self) -> PathBuf {
        self.directory.join("log")
    }

    /// The directory of a tablet.
    pub(crate) fn tablet_directory(&self, id: TabletId) -> PathBuf {
        self.directory.join(id.directory_name())
    }

    /// A tablet's files.
    pub(crate) fn opener(
        &self,
        id: TabletId,
        options: &StoreOptions,
        cache: &Arc<BlockCache>,
        open_files: &Arc<OpenFiles>,
    ) -> Arc<FileOpener> {
        Arc::new(FileOpener {
            vfs: Arc::clone(&self.vfs),
            directory: self.tablet_directory(id),
            cache: Arc::clone(cache),
            read_mode: options.read_mode,
            open_files: Arc::clone(open_files),
            keys: self.keys.clone(),
            abandoned: Arc::default(),
        })
    }
}

/// What replaying the log gave a tablet.
pub(crate) struct Replayed {
    /// Memtables that filled up on the way, oldest first.
    sealed: VecDeque<SealedMemtable>,
    /// The last one.
    active: Arc<Memtable>,
    /// The segment of its oldest record.
    active_since: u64,
    /// The newest timestamp.
    last_timestamp: Timestamp,
    /// The index of the last record.
    last_index: u64,
    /// The index up to which records are in sstables.
    applied_index: u64,
}

impl Replayed {
    /// Before replay: what the sstables hold.
    pub(crate) fn begin(progress: &Progress) -> Replayed {
        Replayed {
            sealed: VecDeque::new(),
            active: Arc::default(),
            active_since: NO_SEGMENT,
            last_timestamp: progress.last_timestamp,
            last_index: progress.applied_index,
            applied_index: progress.applied_index,
        }
    }

    /// Takes over one record.
    pub(crate) fn take(
        &mut self,
        directory: &Path,
        options: &StoreOptions,
        segment: u64,
        record: Record,
    ) -> Result<()> {
        let head = record.head;
        let seen = head.kind == RecordKind::Again && head.index <= self.last_index;
        if seen || head.index <= self.applied_index {
            return Ok(());
        }
        if head.index != self.last_index + 1 {
            return Err(Error::corruption(
                &segment_path(directory, segment),
                0,
                format!("record {} of tablet {} follows record {}", head.index, head.group, self.last_index),
            ));
        }
        if self.active.memory_bytes() >= options.memtable_bytes && !self.active.is_empty() {
            self.sealed.push_back(SealedMemtable {
                memtable: std::mem::take(&mut self.active),
                log_segment: segment,
                first_segment: std::mem::replace(&mut self.active_since, NO_SEGMENT),
                applied_index: self.last_index,
                last_timestamp: self.last_timestamp,
            });
        }
        self.active_since = self.active_since.min(segment);
        apply(&self.active, head.timestamp, record.operations.operations());
        self.last_index = head.index;
        self.last_timestamp = self.last_timestamp.max(head.timestamp);
        if planted(Bug::DoubleApply) {
            self.last_timestamp = self.last_timestamp.next();
            apply(&self.active, self.last_timestamp, record.operations.operations());
        }
        Ok(())
    }
}

/// Puts the parts together.
pub(crate) fn assemble(
    shared: &Arc<Shared>,
    id: TabletId,
    versions: VersionSet,
    replayed: Replayed,
) -> TabletInner {
    let options = &shared.options;
    let mut memtables = vec![Arc::clone(&replayed.active)];
    memtables.extend(replayed.sealed.iter().rev().map(|sealed| Arc::clone(&sealed.memtable)));
    let expiry = Arc::new(Expiry::new(&options.keyspaces));
    let view = ReadView { memtables, version: versions.version(), expiry: Arc::clone(&expiry) };
    // The floor may have been raised to a commit that was visible and not yet durable, and is gone now. Everything in
    // sstables is at or below the last timestamp, so history is complete from there on.
    let floor = versions.progress().history_floor.min(replayed.last_timestamp);
    let active_bytes = if replayed.active.is_empty() { 0 } else { replayed.active.memory_bytes() as u64 };
    // Records of the time before are in the log only, those without writes as well.
    let mut tail = Tail::default();
    if replayed.active_since != NO_SEGMENT {
        tail.give_up();
    }
    TabletInner {
        id,
        shared: Arc::clone(shared),
        options: Arc::clone(options),
        vfs: Arc::clone(&shared.place.vfs),
        versions,
        poison: Arc::clone(&shared.poison),
        cache: Arc::clone(&shared.cache),
        queue: crate::tablet::commit_queue::CommitQueue::default(),
        active_since: AtomicU64::new(replayed.active_since),
        active_bytes: AtomicU64::new(active_bytes),
        tail_bytes: AtomicU64::new(0),
        counted_bytes: AtomicU64::new(0),
        order: Mutex::new(Order {
            active: replayed.active,
            last_timestamp: replayed.last_timestamp,
            last_index: replayed.last_index,
            scratch: Vec::new(),
            tail,
        }),
        view: CurrentView::new(view),
        visible: AtomicU64::new(replayed.last_timestamp.0),
        locks: crate::transaction::locks::LockTable::default(),
        watermark: Mutex::new(Watermark::new(floor)),
        expiry,
        next: Mutex::default(),
        sealed: Mutex::new(replayed.sealed),
        retired: Mutex::default(),
        flushing: Mutex::new(()),
        compacting: Mutex::new(()),
        closed: AtomicBool::new(false),
        dropped: AtomicBool::new(false),
        stop: AtomicBool::new(false),
        debt_bytes: AtomicU64::new(0),
        flushed_micros: AtomicU64::new(super::compact::NEVER),
        statistics: super::statistics::Counters::default(),
    }
}

#[cfg(test)]
#[path = "open_tests.rs"]
mod tests;
