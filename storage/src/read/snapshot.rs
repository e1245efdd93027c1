//! A pinned view of a tablet at a timestamp.
//!
//! A snapshot holds a place in the watermark, not memtables or files: each read takes the tablet's current ones and looks
//! at the snapshot's timestamp, and compaction keeps what a registered timestamp needs. So a long-lived snapshot costs
//! only the old versions it needs.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::memtable::Memtable;
use crate::read::point;
use crate::read::scan::{Iter, IterOptions};
use crate::tablet::Tablet;
use crate::timestamp::Timestamp;
use crate::value_slice::ValueSlice;

/// A view of a tablet at a timestamp. Clones share it.
#[derive(Clone)]
pub struct Snapshot {
    /// The place in the watermark.
    registration: Arc<Registration>,
}

/// A place in the watermark, given back when dropped.
struct Registration {
    /// Whose.
    tablet: Tablet,
    /// Where.
    timestamp: Timestamp,
    /// Why there is no place, if there is none.
    refused: Option<Error>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        if self.refused.is_none() {
            self.tablet.inner.release_snapshot(self.timestamp);
        }
    }
}

impl Snapshot {
    /// A snapshot that has its place in the watermark.
    pub(crate) fn registered(tablet: Tablet, timestamp: Timestamp) -> Snapshot {
        Snapshot { registration: Arc::new(Registration { tablet, timestamp, refused: None }) }
    }

    /// A snapshot that got no place: every read returns `error`.
    pub(crate) fn refused(tablet: Tablet, timestamp: Timestamp, error: Error) -> Snapshot {
        Snapshot { registration: Arc::new(Registration { tablet, timestamp, refused: Some(error) }) }
    }

    /// The timestamp it reads at.
    pub fn timestamp(&self) -> Timestamp {
        self.registration.timestamp
    }

    /// Whether it belongs to `tablet`.
    pub fn belongs_to(&self, tablet: &Tablet) -> bool {
        Arc::ptr_eq(&self.registration.tablet.inner, &tablet.inner)
    }

    /// Fails if the snapshot got no place.
    fn check(&self) -> Result<()> {
        self.registration.refused.clone().map_or(Ok(()), Err)
    }

    /// The value of a key.
    pub fn get(&self, key: &[u8]) -> Result<Option<ValueSlice>> {
        self.check()?;
        point::get(&self.registration.tablet.inner.view(), key, self.registration.timestamp)
    }

    /// The values of several keys, in their order.
    pub fn multi_get(&self, keys: &[&[u8]]) -> Result<Vec<Option<ValueSlice>>> {
        self.check()?;
        point::multi_get(&self.registration.tablet.inner.view(), keys, self.registration.timestamp)
    }

    /// An iterator over the keys within bounds, standing nowhere until moved.
    pub fn iter(&self, options: IterOptions) -> Result<Iter> {
        self.iter_over(None, options)
    }

    /// An iterator that sees a transaction's own writes too.
    pub(crate) fn iter_over(&self, own: Option<&Memtable>, options: IterOptions) -> Result<Iter> {
        self.check()?;
        Iter::open(self.registration.tablet.inner.view(), own, self.registration.timestamp, options)
    }
}
