//! How often an index was used, for `$indexStats`.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// How often an index was used since this process knows it.
#[derive(Debug, Default)]
pub(crate) struct IndexUsage {
    operations: AtomicU64,
    since_millis: AtomicI64,
}

impl IndexUsage {
    /// Says when counting began, in milliseconds since 1970.
    pub(crate) fn begin(&self, now_millis: i64) {
        self.since_millis.store(now_millis, Ordering::Relaxed);
    }

    /// Counts an operation of a user that reads the index.
    pub(crate) fn count(&self) {
        self.operations.fetch_add(1, Ordering::Relaxed);
    }

    /// The operations counted.
    pub(crate) fn operations(&self) -> u64 {
        self.operations.load(Ordering::Relaxed)
    }

    /// When counting began, in milliseconds since 1970.
    pub(crate) fn since_millis(&self) -> i64 {
        self.since_millis.load(Ordering::Relaxed)
    }
}
