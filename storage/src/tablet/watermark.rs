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
    /// How many snapshots read at each timestamp.
    snapshots: BTreeMap<Timestamp, usize>,
    /// How many snapshots there are.
    count: usize,
    /// The oldest timestamp at which a new snapshot may read.
    floor: Timestamp,
}

impl Watermark {
    /// No snapshots; history is complete from `floor` on.
    pub(crate) fn new(floor: Timestamp) -> Watermark {
        Watermark { floor, ..Watermark::default() }
    }

    /// Registers a snapshot at `timestamp`.
    pub(crate) fn add(&mut self, timestamp: Timestamp) -> Result<()> {
        if self.count >= SNAPSHOTS_MAX {
            return Err(Error::TooManySnapshots(self.count));
        }
        if timestamp < self.floor && !self.snapshots.contains_key(&timestamp) {
            return Err(Error::SnapshotTooOld { wanted: timestamp, oldest: self.floor });
        }
        *self.snapshots.entry(timestamp).or_default() += 1;
        self.count += 1;
        Ok(())
    }

    /// Forgets a snapshot at `timestamp`.
    pub(crate) fn remove(&mut self, timestamp: Timestamp) {
        if let Some(count) = self.snapshots.get_mut(&timestamp) {
            *count -= 1;
            self.count -= 1;
            if *count == 0 {
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

    /// How many snapshots there are, and the timestamp of the oldest.
    pub(crate) fn census(&self) -> (usize, Option<Timestamp>) {
        (self.count, self.snapshots.keys().next().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_is_kept_for_snapshots_and_refused_below_the_floor() {
        let mut watermark = Watermark::default();
        watermark.add(Timestamp(5)).unwrap();
        let (floor, history) = watermark.raise(Timestamp(9));
        assert_eq!((floor, history.oldest()), (Timestamp(9), Timestamp(5)));
        watermark.add(Timestamp(5)).unwrap();
        assert!(matches!(watermark.add(Timestamp(6)), Err(Error::SnapshotTooOld { .. })));
        watermark.remove(Timestamp(5));
        assert_eq!(watermark.census(), (1, Some(Timestamp(5))));
        watermark.remove(Timestamp(5));
        assert!(matches!(watermark.add(Timestamp(5)), Err(Error::SnapshotTooOld { .. })));
        assert_eq!(watermark.raise(Timestamp(3)).0, Timestamp(9), "the floor never goes back");
    }
}
