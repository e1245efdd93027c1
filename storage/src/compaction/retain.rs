//! Which versions somebody may still read.
//!
//! Readers read at the timestamps of live snapshots and at any timestamp above the history floor. Sorted, the snapshots
//! at or below the floor and the floor itself are the *boundaries*; a version at or below the floor is seen, if at all,
//! first by the smallest boundary at or above it: its stripe.
//!
//! ```text
//!   boundaries          10          20 = floor
//!   versions of a key    |  12  15   |   23  27
//!   kept                     no 15          23  27     15 is what 20 reads; 12 is read by nobody
//! ```
//!
//! What has expired for the oldest boundary has for all, and is dropped whatever it is ([`crate::expiry`]).
//!
//! Of several versions in one stripe the newest is kept. A delete in the oldest stripe is kept only while an older
//! version may lie deeper. A version is dropped when a range tombstone of its own stripe covers it. Above the floor
//! everything is kept.

use std::sync::Arc;

use crate::entry::ValueKind;
use crate::expiry::Expiry;
use crate::planted::{Bug, planted};
use crate::range_tombstone::{RangeTombstone, RangeTombstones};
use crate::timestamp::Timestamp;

/// The timestamps that may be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// Ascending; the last is the floor.
    boundaries: Vec<Timestamp>,
    expiry: Arc<Expiry>,
}

impl History {
    /// Live `snapshots` in any order, and the floor: everything above it may be read.
    pub fn new(snapshots: impl IntoIterator<Item = Timestamp>, floor: Timestamp) -> History {
        let mut boundaries: Vec<_> = snapshots.into_iter().filter(|&snapshot| snapshot < floor).collect();
        boundaries.push(floor);
        boundaries.sort_unstable();
        boundaries.dedup();
        History { boundaries, expiry: Arc::default() }
    }

    /// The same, where entries live for a time.
    pub fn expiring(self, expiry: Arc<Expiry>) -> History {
        History { expiry, ..self }
    }

    /// Whether a version has expired for everybody who may read.
    pub fn expired(&self, key: &[u8], timestamp: Timestamp) -> bool {
        self.expiry.hides(key, timestamp, self.oldest())
    }

    /// The oldest timestamp anybody reads at.
    pub fn oldest(&self) -> Timestamp {
        self.boundaries.first().copied().unwrap_or(Timestamp::ZERO)
    }

    /// The boundary that sees a version first; `None` above the floor.
    fn stripe(&self, timestamp: Timestamp) -> Option<Timestamp> {
        self.boundaries.get(self.boundaries.partition_point(|&boundary| boundary < timestamp)).copied()
    }

    /// Whether both are the same to every reader.
    fn same_stripe(&self, a: Timestamp, b: Timestamp) -> bool {
        self.stripe(a).is_some_and(|stripe| Some(stripe) == self.stripe(b))
    }

    /// The range tombstones that must be written: the newest of each stripe in each fragment, and of the oldest stripe
    /// only those that may cover something deeper.
    pub fn needed_ranges(
        &self,
        ranges: &RangeTombstones,
        mut deeper: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Vec<RangeTombstone> {
        let mut needed = Vec::new();
        for fragment in ranges.fragments() {
            let mut newer = None;
            for &timestamp in &fragment.timestamps {
                let shadowed = newer.is_some_and(|newer| self.same_stripe(newer, timestamp));
                let finished = timestamp <= self.oldest() && !deeper(&fragment.start, &fragment.end);
                if !shadowed && !finished {
                    let (start, end) = (fragment.start.clone(), fragment.end.clone());
                    needed.push(RangeTombstone { start, end, timestamp });
                }
                newer = Some(timestamp);
            }
        }
        needed
    }
}

/// Decides entry by entry, in merge order.
pub struct Retainer<'a> {
    history: &'a History,
    ranges: &'a RangeTombstones,
    key: Vec<u8>,
    /// The version of `key` before this one.
    newer: Option<Timestamp>,
    started: bool,
}

impl<'a> Retainer<'a> {
    /// `ranges` are the range tombstones of all inputs.
    pub fn new(history: &'a History, ranges: &'a RangeTombstones) -> Retainer<'a> {
        Retainer { history, ranges, key: Vec::new(), newer: None, started: false }
    }

    /// Whether the entry must be written. `deeper` tells whether the key may have versions below the output level.
    pub fn keeps(
        &mut self,
        key: &[u8],
        timestamp: Timestamp,
        kind: ValueKind,
        deeper: impl FnOnce(&[u8]) -> bool,
    ) -> bool {
        if !self.started || self.key != key {
            self.started = true;
            self.key.clear();
            self.key.extend_from_slice(key);
            self.newer = None;
        }
        let newer = self.newer.replace(timestamp);
        if newer.is_some_and(|newer| newer == timestamp || self.history.same_stripe(newer, timestamp)) {
            return false;
        }
        if self.history.expired(key, timestamp) {
            return false;
        }
        let Some(stripe) = self.history.stripe(timestamp) else { return true };
        if !self.ranges.is_empty() && self.ranges.covers(key, timestamp, stripe) {
            return false;
        }
        let deeper = deeper(key) && !planted(Bug::DropTombstoneEarly);
        kind != ValueKind::Delete || stripe != self.history.oldest() || deeper
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: fn(&[u8]) -> bool = |_| false;

    fn kept(history: &History, versions: &[(u64, ValueKind)], deeper: bool) -> Vec<u64> {
        let ranges = RangeTombstones::default();
        let mut retainer = Retainer::new(history, &ranges);
        let keeps = |(timestamp, kind): &(u64, ValueKind)| {
            retainer.keeps(b"k", Timestamp(*timestamp), *kind, |_| deeper).then_some(*timestamp)
        };
        versions.iter().filter_map(keeps).collect()
    }

    fn puts(timestamps: &[u64]) -> Vec<(u64, ValueKind)> {
        timestamps.iter().map(|&timestamp| (timestamp, ValueKind::Put)).collect()
    }

    #[test]
    fn each_boundary_keeps_what_it_reads() {
        let history = History::new([Timestamp(10), Timestamp(30)], Timestamp(20));
        assert_eq!(kept(&history, &puts(&[27, 23, 15, 12, 10, 9, 3]), true), [27, 23, 15, 10]);
        assert_eq!(kept(&history, &puts(&[20, 20, 19]), true), [20]);
        let none = History::new([], Timestamp(100));
        assert_eq!(kept(&none, &puts(&[9, 8, 7]), true), [9]);
    }

    #[test]
    fn what_has_expired_for_the_oldest_reader_goes_whatever_it_is() {
        let lives = crate::keyspace::KeyspaceOptions { expire_after_seconds: Some(10), ..Default::default() };
        let expiry = Arc::new(Expiry::new(&[(crate::keyspace::Keyspace(b'k'), lives)].into()));
        let at = |seconds| Timestamp::from_parts(seconds, 1).0;
        for (snapshots, expected) in [(vec![], vec![at(95)]), (vec![Timestamp(at(98))], vec![at(95), at(88)])]
        {
            let history = History::new(snapshots, Timestamp(at(100))).expiring(Arc::clone(&expiry));
            for kind in [ValueKind::Put, ValueKind::BlobHandle, ValueKind::Delete] {
                for version in [95, 88, 80] {
                    let is_kept = !kept(&history, &[(at(version), kind)], true).is_empty();
                    assert_eq!(is_kept, expected.contains(&at(version)), "{version}, {kind:?}");
                }
            }
        }
    }

    #[test]
    fn a_delete_goes_when_nothing_lies_below() {
        let history = History::new([Timestamp(10)], Timestamp(20));
        let versions = [(15, ValueKind::Delete), (9, ValueKind::Delete), (5, ValueKind::Put)];
        assert_eq!(kept(&history, &versions, false), [15]);
        assert_eq!(kept(&history, &versions, true), [15, 9]);
    }

    #[test]
    fn a_range_tombstone_takes_what_no_boundary_parts_it_from() {
        let history = History::new([Timestamp(10)], Timestamp(20));
        let range = |timestamp| RangeTombstone {
            start: b"a".to_vec(),
            end: b"m".to_vec(),
            timestamp: Timestamp(timestamp),
        };
        let ranges = RangeTombstones::new([range(18), range(16), range(8), range(25)]);
        let mut retainer = Retainer::new(&history, &ranges);
        let mut keeps = |timestamp| retainer.keeps(b"b", Timestamp(timestamp), ValueKind::Put, NONE);
        assert!(keeps(24), "above the floor");
        assert!(keeps(19), "newer than the tombstone of its stripe, and 25 is not seen by 20");
        assert!(!keeps(15));
        assert!(keeps(9), "the boundary 10 still reads it");
        let mut fresh = Retainer::new(&history, &ranges);
        assert!(!fresh.keeps(b"b", Timestamp(7), ValueKind::Put, NONE), "covered by 8 within its stripe");
        let needed = |deeper| -> Vec<u64> {
            history.needed_ranges(&ranges, |_, _| deeper).iter().map(|range| range.timestamp.0).collect()
        };
        assert_eq!(needed(true), [25, 18, 8]);
        assert_eq!(needed(false), [25, 18]);
    }
}
