//! A pinned view of a tablet at a timestamp.
//!
//! A snapshot holds a place in the watermark, not memtables or files: each read takes the tablet's current ones and looks
//! at the snapshot's timestamp, and compaction keeps what a registered timestamp needs. So a long-lived snapshot costs
//! only the old versions it needs.

use std::sync::Arc;

use crate::entry::ValueKind;
use crate::error::{Error, Result};
use crate::memtable::Memtable;
use crate::read::point;
use crate::read::scan::{Iter, IterOptions};
use crate::tablet::Tablet;
use crate::timestamp::Timestamp;
use crate::transaction::OwnWrites;
use crate::value_slice::ValueSlice;

/// A view of a tablet at a timestamp. Clones share it.
#[derive(Clone)]
pub struct Snapshot {
    /// The place in the watermark.
    registration: Arc<Registration>,
    /// A transaction's own writes, which it sees on top.
    own: Option<Arc<OwnWrites>>,
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
        Snapshot { registration: Arc::new(Registration { tablet, timestamp, refused: None }), own: None }
    }

    /// A snapshot that got no place: every read returns `error`.
    pub(crate) fn refused(tablet: Tablet, timestamp: Timestamp, error: Error) -> Snapshot {
        Snapshot {
            registration: Arc::new(Registration { tablet, timestamp, refused: Some(error) }),
            own: None,
        }
    }

    /// The same snapshot with a transaction's own writes on top.
    pub(crate) fn with_own(&self, own: Arc<OwnWrites>) -> Snapshot {
        Snapshot { registration: Arc::clone(&self.registration), own: Some(own) }
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

    /// The value of a key; `None` if there is none. Errors as of [`Tablet::get`].
    pub fn get(&self, key: &[u8]) -> Result<Option<ValueSlice>> {
        self.check()?;
        if let Some(own) = self.own.as_deref().and_then(|own| own_value(&own.memtable, key)) {
            return Ok(own);
        }
        point::get(&self.registration.tablet.inner.view(), key, self.registration.timestamp)
    }

    /// The values of several keys, in their order, `None` where there is none. Keys in ascending order are found with fewer reads.
    /// Errors as of [`Tablet::get`], for all of them.
    pub fn multi_get(&self, keys: &[&[u8]]) -> Result<Vec<Option<ValueSlice>>> {
        self.check()?;
        if self.own.is_some() {
            return keys.iter().map(|key| self.get(key)).collect();
        }
        point::multi_get(&self.registration.tablet.inner.view(), keys, self.registration.timestamp)
    }

    /// An iterator over the keys within bounds, standing nowhere until moved. It keeps the files it reads from being removed.
    /// [`Error::InvalidInput`] if the bounds are reversed.
    pub fn iter(&self, options: IterOptions) -> Result<Iter> {
        self.iter_over(self.own.as_deref().map(|own| &own.memtable), options)
    }

    /// An iterator that sees a transaction's own writes too.
    pub(crate) fn iter_over(&self, own: Option<&Memtable>, options: IterOptions) -> Result<Iter> {
        self.check()?;
        Iter::open(self.registration.tablet.inner.view(), own, self.registration.timestamp, options)
    }
}

/// What a transaction's own writes say about a key: its value, that it is deleted, or nothing.
pub(crate) fn own_value(own: &Memtable, key: &[u8]) -> Option<Option<ValueSlice>> {
    if let Some(version) = own.get(key, Timestamp::MAX) {
        return Some((version.kind == ValueKind::Put).then(|| ValueSlice::copied(version.value)));
    }
    own.range_tombstones().is_some_and(|ranges| ranges.fragment_of(key).is_some()).then_some(None)
}
