//! Which buckets still take measurements, as far as this process remembers.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most meta values that are remembered. Past them everything is forgotten: buckets are found again, or begun anew.
const METAS_MAX: usize = 10_000;

/// Most buckets of one meta value that are remembered: measurements come mostly in the order of time.
const BUCKETS_MAX: usize = 4;

/// A bucket that took a measurement and may take another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OpenBucket {
    /// Its begin, in milliseconds since 1970.
    pub(super) begin_millis: i64,
    pub(super) document_key: Vec<u8>,
}

/// Buckets by the bytes of `{meta: value}`, the newest last.
#[derive(Debug, Default)]
pub(crate) struct OpenBuckets {
    by_meta: Mutex<HashMap<Vec<u8>, Vec<OpenBucket>>>,
}

impl OpenBuckets {
    fn lock(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Vec<OpenBucket>>> {
        // What is in it is only ever a hint.
        self.by_meta.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The buckets of a meta value, the newest first; none if nothing is known of it.
    pub(super) fn of(&self, meta: &[u8]) -> Option<Vec<OpenBucket>> {
        self.lock().get(meta).map(|buckets| buckets.iter().rev().cloned().collect())
    }

    /// Notes that a bucket took a measurement.
    pub(super) fn put(&self, meta: &[u8], bucket: OpenBucket) {
        let mut by_meta = self.lock();
        if by_meta.len() >= METAS_MAX && !by_meta.contains_key(meta) {
            by_meta.clear();
        }
        let buckets = by_meta.entry(meta.to_vec()).or_default();
        buckets.retain(|other| other.document_key != bucket.document_key);
        if buckets.len() >= BUCKETS_MAX {
            buckets.remove(0);
        }
        buckets.push(bucket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(number: u8) -> OpenBucket {
        OpenBucket { begin_millis: i64::from(number), document_key: vec![number] }
    }

    #[test]
    fn the_last_few_buckets_of_a_meta_are_remembered() {
        let open = OpenBuckets::default();
        assert_eq!(open.of(b"m"), None);
        (0..6).for_each(|number| open.put(b"m", bucket(number)));
        open.put(b"m", bucket(3));
        assert_eq!(open.of(b"m"), Some(vec![bucket(3), bucket(5), bucket(4), bucket(2)]));
    }

    #[test]
    fn there_is_a_limit() {
        let open = OpenBuckets::default();
        for number in 0..METAS_MAX {
            open.put(&number.to_be_bytes(), bucket(1));
        }
        open.put(b"one more", bucket(1));
        assert_eq!(open.of(&0usize.to_be_bytes()), None);
        assert!(open.of(b"one more").is_some());
    }
}
