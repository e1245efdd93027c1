//! Range tombstones: "all versions below this timestamp, of keys from here up to there, are absent".
//!
//! They come in any order and overlap. A reader wants to know, for a key and a read timestamp, the newest tombstone
//! that covers it. So they are cut into fragments at every start and end:
//!
//! ```text
//!   a---------------------------k        timestamp 5
//!           d-----------g                timestamp 9
//!   a-------d-----------g-------k        fragments
//!       5       9, 5        5            timestamps, newest first
//! ```
//!
//! Fragments do not overlap, so the one that can cover a key is found by binary search. With n tombstones there are at
//! most 2n - 1 fragments, and n timestamps in each; writers of many overlapping tombstones pay for that in compaction,
//! which drops the ones nobody needs.
//!
//! A tombstone covers versions strictly below its own timestamp: what the same batch puts after the range delete
//! carries the same timestamp and stays.

use crate::manifest::TableBound;
use crate::timestamp::Timestamp;

/// One range delete.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RangeTombstone {
    /// The first key covered.
    pub start: Vec<u8>,
    /// The first key after `start` that is not covered.
    pub end: Vec<u8>,
    /// Versions below this are covered.
    pub timestamp: Timestamp,
}

/// A piece of the key space that the same tombstones cover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// The first key covered.
    pub start: Vec<u8>,
    /// The first key not covered.
    pub end: Vec<u8>,
    /// The covering tombstones' timestamps, newest first, none twice.
    pub timestamps: Vec<Timestamp>,
}

/// Tombstones, fragmented for lookups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeTombstones {
    fragments: Vec<Fragment>,
}

impl RangeTombstones {
    /// Fragments `tombstones`, which may come in any order. Empty and reversed ranges cover nothing.
    pub fn new(tombstones: impl IntoIterator<Item = RangeTombstone>) -> RangeTombstones {
        let mut pending: Vec<RangeTombstone> = tombstones.into_iter().filter(|t| t.start < t.end).collect();
        pending.sort();
        let mut cuts: Vec<Vec<u8>> = pending.iter().flat_map(|t| [t.start.clone(), t.end.clone()]).collect();
        cuts.sort();
        cuts.dedup();
        let mut fragments = Vec::new();
        let mut open: Vec<RangeTombstone> = Vec::new();
        let mut pending = pending.into_iter().peekable();
        for pair in cuts.windows(2) {
            let [start, end] = pair else { continue };
            open.retain(|t| t.end > *start);
            while let Some(next) = pending.next_if(|t| t.start <= *start) {
                open.push(next);
            }
            if open.is_empty() {
                continue;
            }
            let mut timestamps: Vec<Timestamp> = open.iter().map(|t| t.timestamp).collect();
            timestamps.sort_unstable_by(|a, b| b.cmp(a));
            timestamps.dedup();
            fragments.push(Fragment { start: start.clone(), end: end.clone(), timestamps });
        }
        RangeTombstones { fragments }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.fragments.is_empty()
    }

    /// The fragments, in key order.
    pub fn fragments(&self) -> &[Fragment] {
        &self.fragments
    }

    /// The fragments as tombstones again, in key order and newest first within a fragment.
    pub fn iter(&self) -> impl Iterator<Item = RangeTombstone> + '_ {
        self.fragments.iter().flat_map(|fragment| {
            fragment.timestamps.iter().map(|&timestamp| RangeTombstone {
                start: fragment.start.clone(),
                end: fragment.end.clone(),
                timestamp,
            })
        })
    }

    /// The fragment `key` lies in.
    pub fn fragment_of(&self, key: &[u8]) -> Option<&Fragment> {
        let after = self.fragments.partition_point(|fragment| fragment.start.as_slice() <= key);
        let fragment = self.fragments.get(after.checked_sub(1)?)?;
        (key < fragment.end.as_slice()).then_some(fragment)
    }

    /// The newest tombstone at or below `visible` that covers `key`.
    pub fn newest_covering(&self, key: &[u8], visible: Timestamp) -> Option<Timestamp> {
        self.fragment_of(key)?.timestamps.iter().copied().find(|&timestamp| timestamp <= visible)
    }

    /// Whether a version of `key` is deleted for a reader at `visible`.
    pub fn covers(&self, key: &[u8], version: Timestamp, visible: Timestamp) -> bool {
        self.newest_covering(key, visible).is_some_and(|tombstone| tombstone > version)
    }

    /// Whether every key from `first` to `last` is covered by tombstones at or below `visible` that are newer
    /// than `newest`: whether what lies there is gone for all readers at `visible` and later.
    pub fn covers_range(
        &self,
        first: &[u8],
        last: &TableBound,
        newest: Timestamp,
        visible: Timestamp,
    ) -> bool {
        let after = self.fragments.partition_point(|fragment| fragment.start.as_slice() <= first);
        let Some(at) = after.checked_sub(1) else { return false };
        let mut covered_to = first;
        for fragment in self.fragments.iter().skip(at) {
            let newest_visible = fragment.timestamps.iter().copied().find(|&timestamp| timestamp <= visible);
            if fragment.start.as_slice() > covered_to
                || newest_visible.is_none_or(|tombstone| tombstone <= newest)
            {
                return false;
            }
            covered_to = fragment.end.as_slice();
            if covered_to > last.key.as_slice() || (last.exclusive && covered_to == last.key) {
                return true;
            }
        }
        false
    }

    /// What lies between `lower` and `upper` (exclusive); `None` is unbounded.
    pub fn clipped(&self, lower: Option<&[u8]>, upper: Option<&[u8]>) -> RangeTombstones {
        let fragments = self.fragments.iter().filter_map(|fragment| {
            let mut clipped = fragment.clone();
            if let Some(lower) = lower.filter(|lower| *lower > clipped.start.as_slice()) {
                clipped.start = lower.to_vec();
            }
            if let Some(upper) = upper.filter(|upper| *upper < clipped.end.as_slice()) {
                clipped.end = upper.to_vec();
            }
            (clipped.start < clipped.end).then_some(clipped)
        });
        RangeTombstones { fragments: fragments.collect() }
    }

    /// What it takes in memory, roughly.
    pub fn memory_bytes(&self) -> usize {
        let held =
            |f: &Fragment| f.start.len() + f.end.len() + 8 * f.timestamps.len() + size_of::<Fragment>();
        self.fragments.iter().map(held).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coding::key_hash;

    fn tombstone(start: &str, end: &str, timestamp: u64) -> RangeTombstone {
        RangeTombstone { start: start.into(), end: end.into(), timestamp: Timestamp(timestamp) }
    }

    fn up_to(key: &[u8]) -> TableBound {
        TableBound { key: key.to_vec(), exclusive: false }
    }

    #[test]
    fn overlapping_tombstones_are_cut_at_every_bound() {
        let tombstones =
            RangeTombstones::new([tombstone("d", "g", 9), tombstone("a", "k", 5), tombstone("x", "x", 7)]);
        let shape: Vec<_> = tombstones
            .fragments()
            .iter()
            .map(|f| {
                (f.start.as_slice(), f.end.as_slice(), f.timestamps.iter().map(|t| t.0).collect::<Vec<_>>())
            })
            .collect();
        assert_eq!(
            shape,
            [
                (&b"a"[..], &b"d"[..], vec![5]),
                (&b"d"[..], &b"g"[..], vec![9, 5]),
                (&b"g"[..], &b"k"[..], vec![5])
            ]
        );
        assert!(tombstones.covers(b"d", Timestamp(8), Timestamp(9)));
        assert!(
            !tombstones.covers(b"d", Timestamp(8), Timestamp(8)),
            "the newer tombstone is not visible yet"
        );
        assert!(!tombstones.covers(b"d", Timestamp(9), Timestamp(9)), "a put of the same batch stays");
        assert!(!tombstones.covers(b"k", Timestamp(1), Timestamp(9)), "the end is exclusive");
        assert!(tombstones.covers_range(b"a", &up_to(b"j"), Timestamp(4), Timestamp(5)));
        assert!(!tombstones.covers_range(b"a", &up_to(b"k"), Timestamp(4), Timestamp(5)));
        assert!(!tombstones.covers_range(b"a", &up_to(b"j"), Timestamp(5), Timestamp(9)));
        assert!(tombstones.covers_range(b"d", &up_to(b"f"), Timestamp(8), Timestamp(9)));
        assert!(!tombstones.covers_range(b"d", &up_to(b"f"), Timestamp(8), Timestamp(8)));
        assert!(!tombstones.covers_range(b"0", &up_to(b"b"), Timestamp(1), Timestamp(9)));
        let before_k = TableBound { key: b"k".to_vec(), exclusive: true };
        assert!(tombstones.covers_range(b"a", &before_k, Timestamp(4), Timestamp(5)));
        let clipped = tombstones.clipped(Some(b"e"), Some(b"h"));
        assert_eq!(clipped.iter().map(|t| t.timestamp.0).collect::<Vec<_>>(), [9, 5, 5]);
        assert_eq!(clipped.fragment_of(b"d"), None);
        assert_eq!(clipped.fragment_of(b"h"), None);
    }

    #[test]
    fn answers_are_those_of_asking_every_tombstone() {
        for seed in 0..200_u64 {
            let random = |step: u64, bound: u64| key_hash(&(seed * 1_000 + step).to_le_bytes()) % bound;
            let all: Vec<_> = (0..random(0, 9))
                .map(|i| {
                    let (start, end) = (random(i * 3 + 1, 20), random(i * 3 + 2, 20));
                    tombstone(&format!("{start:02}"), &format!("{end:02}"), 1 + random(i * 3 + 3, 9))
                })
                .collect();
            let fragmented = RangeTombstones::new(all.clone());
            for key in 0..20 {
                for visible in 0..10 {
                    let key = format!("{key:02}").into_bytes();
                    let expected = all
                        .iter()
                        .filter(|t| t.start <= key && key < t.end && t.timestamp.0 <= visible)
                        .map(|t| t.timestamp)
                        .max();
                    assert_eq!(fragmented.newest_covering(&key, Timestamp(visible)), expected);
                }
            }
        }
    }
}
