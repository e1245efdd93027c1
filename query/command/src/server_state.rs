//! What administrative commands set and others show.

use std::collections::BTreeMap;
use std::sync::Arc;

use sheaf_document::RawDocumentBuf;

use crate::commands::parameters::Parameters;
use crate::commands::query_settings::QuerySettings;

/// The state. Nothing of it survives a restart.
#[derive(Debug, Default)]
pub(crate) struct ServerState {
    /// How often `fsync` with `lock` was called without its `fsyncUnlock`.
    pub(crate) fsync_locks: u32,
    /// Writes that wait for the lock.
    pub(crate) fsync_waiters: u32,
    /// The time limit of reads that bring none, once it was read from the store; zero is no limit.
    pub(crate) default_read_millis: Option<u64>,
    /// What `setQuerySettings` set, once it was read from the store.
    pub(crate) query_settings: Option<Arc<Vec<QuerySettings>>>,
    /// Profiling by database.
    pub(crate) profiles: BTreeMap<String, Profile>,
    /// Concerns of commands that send none.
    pub(crate) default_concerns: DefaultConcerns,
    /// What `setParameter` set.
    pub(crate) parameters: Parameters,
    /// How `autoCompact` was switched on: the space it wants free in MiB, and whether it runs once.
    pub(crate) automatic_compaction: Option<(i64, bool)>,
    /// What `setFeatureCompatibilityVersion` set.
    pub(crate) feature_compatibility_version: Option<&'static str>,
    /// Why writes of users are blocked, if they are.
    pub(crate) write_block: Option<&'static str>,
}

/// What the profiler of a database would record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Profile {
    /// 0 nothing, 1 slow operations, 2 all.
    pub(crate) level: i32,
    /// What counts as slow, in milliseconds.
    pub(crate) slow_millis: i32,
    /// Which share of slow operations is recorded.
    pub(crate) sample_rate: f64,
    /// Which records are kept, instead of the slow ones.
    pub(crate) filter: Option<RawDocumentBuf>,
}

impl Default for Profile {
    fn default() -> Self {
        Self { level: 0, slow_millis: 100, sample_rate: 1.0, filter: None }
    }
}

/// Defaults that were set.
#[derive(Clone, Debug, Default)]
pub(crate) struct DefaultConcerns {
    /// For reads.
    pub(crate) read: Option<RawDocumentBuf>,
    /// For writes.
    pub(crate) write: Option<RawDocumentBuf>,
    /// When, in milliseconds since 1970.
    pub(crate) updated_millis: Option<i64>,
}
