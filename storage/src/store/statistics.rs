//! What a store has and has done.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use crate::cache::CacheStatistics;
use crate::store::Store;
use crate::tablet::{TabletId, TabletStatistics};
use crate::wal::log::LogStatistics;

/// What a store has and has done since it was opened.
#[derive(Clone, Debug, Default)]
pub struct StoreStatistics {
    /// Its tablets. What they share is in each.
    pub tablets: BTreeMap<TabletId, TabletStatistics>,
    /// The log.
    pub log: LogStatistics,
    /// Segments of the log.
    pub log_segments: usize,
    /// How often segments of the log that nobody needs could not be removed. They are among [`Self::log_segments`] until they can.
    pub failed_segment_removals: u64,
    /// The cache.
    pub cache: CacheStatistics,
    /// Files that nobody needs any more and that are still there, of all tablets.
    pub removals_waiting: usize,
    /// Their bytes.
    pub removal_bytes_waiting: u64,
    /// Why writes are refused, if they are.
    pub poisoned: Option<String>,
}

impl Store {
    /// What the store has and has done since it was opened.
    pub fn statistics(&self) -> StoreStatistics {
        let shared = &self.inner.shared;
        let tablets = shared.tablets().into_iter().map(|tablet| (tablet.id, tablet.statistics()));
        let (removals_waiting, removal_bytes_waiting) = shared.open_files.removals.waiting();
        StoreStatistics {
            removals_waiting,
            removal_bytes_waiting,
            tablets: tablets.collect(),
            log: shared.log.as_ref().map(|log| log.statistics()).unwrap_or_default(),
            log_segments: shared.log.as_ref().map_or(0, |log| log.segments().len()),
            failed_segment_removals: shared.failed_segment_removals.load(Ordering::Relaxed),
            cache: shared.cache.statistics(),
            poisoned: shared.poison.reason().map(str::to_owned),
        }
    }
}
