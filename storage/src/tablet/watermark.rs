//! Who reads at which timestamp, and from where on history is complete.
//!
//! `floor` is the oldest timestamp at which anybody may begin to read: compaction has been allowed to drop versions that
//! nobody at or above it needs. It only grows, and it is moved by whoever starts a flush or a compaction, under the
//! same lock under which snapshots are taken; so a snapshot taken before is in the list compaction gets, and one taken
//! after is refused if it is older than the floor.

use std::collections::BTreeMap;

use crate::compaction::History;
use crate::error::{Error, Result};
use crate::limits::SNAPSHOTS_MAX;
use crate::timestamp::Timestamp;

/// Live snapshots and the history floor.
#[derive(Debug, Default)]
pub(crate) struct Watermark {
    /// Who reads at each timestamp.
    snapshots: BTreeMap<Timestamp, Readers>,
    /// How many snapshots there are.
    count: usize,
    /// The oldest timestamp at which a new snapshot may read.
    floor: Timestamp,
}

/// Snapshots at one timestamp.
#[derive(Clone, Copy, Debug, Default)]
struct Readers {
    /// How many there are.
    count: usize,
    /// When the first of them was taken, in microseconds; others may have come and gone since.
    since_micros: u64,
}

/// How many snapshots there are, and how old.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Census {
    /// How many.
    pub(crate) count: usize,
    /// The oldest timestamp one of them reads at.
    pub(crate) oldest: Option<Timestamp>,
    /// When the one was taken that has been held longest, in microseconds.
    pub(crate) since_micros: Option<u64>,
}

impl Watermark {
    /// No snapshots; history is complete from `floor` on.
    pub(crate) fn new(floor: Timestamp) -> Watermark {
        Watermark { floor, ..Watermark::default() }
    }

    /// Registers a snapshot at `timestamp`, taken `now`.
    pub(crate) fn add(&mut self, timestamp: Timestamp, now: impl FnOnce() -> u64) -> Result<()> {
        if self.count >= SNAPSHOTS_MAX {
            return Err(Error::TooManySnapshots(self.count));
        }
        if timestamp < self.floor && !self.snapshots.contains_key(&timestamp) {
            return Err(Error::SnapshotTooOld { wanted: timestamp, oldest: self.floor });
        }
        let first = || Readers { count: 0, since_micros: now() };
        self.snapshots.entry(timestamp).or_insert_with(first).count += 1;
        self.count += 1;
        Ok(())
    }

    /// Forgets a snapshot at `timestamp`.
    pub(crate) fn remove(&mut self, timestamp: Timestamp) {
        if let Some(readers) = self.snapshots.get_mut(&timestamp) {
            readers.count -= 1;
            self.count -= 1;
            if readers.count == 0 {
                self.snapshots.remove(&timestamp);
            }
        }
    }

    /// Raises the floor and says what must be kept from now on.
    pub(crate) fn raise(&mut self, floor: Timestamp) -> (Timestamp, History) {
        self.floor = self.floor.max(floor);
        (self.floor, History::new(self.snapshots.keys().copied(), self.floor))
    }

    /// What must be kept if the floor were raised; nothing is dropped on the strength of this.
    pub(crate) fn preview(&self, floor: Timestamp) -> History {
        History::new(self.snapshots.keys().copied(), self.floor.max(floor))
    }

    /// How many snapshots there are, and how old.
    pub(crate) fn census(&self) -> Census {
        Census {
            count: self.count,
            oldest: self.snapshots.keys().next().copied(),
            since_micros: self.snapshots.values().map(|readers| readers.since_micros).min(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_is_kept_for_snapshots_and_refused_below_the_floor() {
        let mut watermark = Watermark::default();
        watermark.add(Timestamp(5), || 70).unwrap();
        let (floor, history) = watermark.raise(Timestamp(9));
        assert_eq!((floor, history.oldest()), (Timestamp(9), Timestamp(5)));
        watermark.add(Timestamp(5), || 80).unwrap();
        watermark.add(Timestamp(9), || 60).unwrap();
        let all = Census { count: 3, oldest: Some(Timestamp(5)), since_micros: Some(60) };
        assert_eq!(watermark.census(), all);
        watermark.remove(Timestamp(9));
        assert!(matches!(watermark.add(Timestamp(6), || 90), Err(Error::SnapshotTooOld { .. })));
        watermark.remove(Timestamp(5));
        assert_eq!(watermark.census(), Census { count: 1, since_micros: Some(70), ..all });
        watermark.remove(Timestamp(5));
        assert_eq!(watermark.census(), Census::default());
        assert!(matches!(watermark.add(Timestamp(5), || 90), Err(Error::SnapshotTooOld { .. })));
        assert_eq!(watermark.raise(Timestamp(3)).0, Timestamp(9), "the floor never goes back");
    }
}
