//! Has anything a transaction depends on changed since its snapshot?
//!
//! Asked by the leader of a commit group, so nothing changes while it looks. Only what was written after the snapshot
//! can conflict: memtables and sstables whose newest timestamp is not above it are passed over, which leaves the active
//! memtable for all but long transactions.

use std::collections::BTreeSet;
use std::ops::Bound;

use crate::coding::key_hash;
use crate::error::{Error, Result};
use crate::manifest::TableHandle;
use crate::memtable::Memtable;
use crate::range_tombstone::RangeTombstones;
use crate::read::ReadView;
use crate::sstable::block::Position;
use crate::sstable::block_file::Caching;
use crate::sstable::cursor::TableCursor;
use crate::timestamp::Timestamp;
use crate::write_batch::Operation;

/// What must not have changed since `snapshot`.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConflictCheck {
    /// The timestamp the transaction reads at.
    pub(crate) snapshot: Timestamp,
    /// Single keys, and since when each must not have changed.
    pub(crate) keys: Vec<(Vec<u8>, Timestamp)>,
    /// Ranges of keys, the end exclusive; a missing bound is open.
    pub(crate) ranges: Vec<KeyRange>,
}

/// A range of keys, the end exclusive; a missing bound is open.
pub(crate) type KeyRange = (Option<Vec<u8>>, Option<Vec<u8>>);

impl ConflictCheck {
    /// That nothing `operations` write was written after `snapshot`.
    pub(crate) fn of_writes<'a>(
        snapshot: Timestamp,
        operations: impl Iterator<Item = Operation<'a>>,
    ) -> ConflictCheck {
        let mut check = ConflictCheck { snapshot, ..ConflictCheck::default() };
        check.add_writes(operations);
        check
    }

    /// Adds what `operations` write.
    pub(crate) fn add_writes<'a>(&mut self, operations: impl Iterator<Item = Operation<'a>>) {
        for operation in operations {
            match operation {
                Operation::Put { key, .. } | Operation::Delete { key } => {
                    self.keys.push((key.to_vec(), self.snapshot));
                }
                Operation::DeleteRange { lower, upper } => {
                    self.ranges.push((Some(lower.to_vec()), Some(upper.to_vec())));
                }
            }
        }
    }

    /// Fails with a conflict if anything changed.
    pub(crate) fn run(&self, view: &ReadView) -> Result<()> {
        let recent = |memtable: &&std::sync::Arc<Memtable>| {
            memtable.timestamps().is_some_and(|(_, newest)| newest > self.snapshot)
        };
        for memtable in view.memtables.iter().filter(recent) {
            self.check_memtable(memtable)?;
        }
        let tables = view.version.levels.iter().flatten();
        for table in tables.filter(|table| table.meta.newest > self.snapshot) {
            self.check_table(table)?;
        }
        Ok(())
    }

    /// Looks into a memtable.
    fn check_memtable(&self, memtable: &Memtable) -> Result<()> {
        for (key, since) in &self.keys {
            if memtable.newest_timestamp(key).is_some_and(|newest| newest > *since) {
                return Err(Error::Conflict { key: key.clone() });
            }
        }
        for (lower, upper) in &self.ranges {
            let mut cursor = memtable.cursor();
            match lower {
                Some(lower) => cursor.seek(lower, Timestamp::MAX),
                None => cursor.seek_to_first(),
            }
            while let Some(entry) = cursor.entry().filter(|entry| before(entry.key(), upper)) {
                if entry.timestamp() > self.snapshot {
                    return Err(Error::Conflict { key: entry.key().to_vec() });
                }
                cursor.advance();
            }
            self.check_tombstones(memtable.range_tombstones().as_deref(), lower, upper)?;
        }
        Ok(())
    }

    /// Looks into an sstable.
    fn check_table(&self, table: &TableHandle) -> Result<()> {
        for (key, since) in self.keys.iter().filter(|(key, _)| table.meta.covers(key)) {
            let reader = table.reader()?;
            let ranges =
                reader.range_tombstones().and_then(|ranges| ranges.newest_covering(key, Timestamp::MAX));
            let mut newest = ranges;
            if reader.may_contain(key_hash(key))? {
                newest = newest.max(reader.get(key, Timestamp::MAX)?.map(|found| found.timestamp));
            }
            if newest.is_some_and(|newest| newest > *since) {
                return Err(Error::Conflict { key: key.clone() });
            }
        }
        for (lower, upper) in &self.ranges {
            if !table.meta.overlaps(lower.as_deref(), upper.as_deref()) {
                continue;
            }
            let reader = table.reader()?;
            let mut cursor = TableCursor::new(std::sync::Arc::clone(reader), Caching::Through);
            match lower {
                Some(lower) => cursor.seek(Position { key: lower, timestamp: Timestamp::MAX })?,
                None => cursor.seek_to_first()?,
            }
            while cursor.valid() && before(cursor.position().key, upper) {
                if cursor.position().timestamp > self.snapshot {
                    return Err(Error::Conflict { key: cursor.position().key.to_vec() });
                }
                cursor.advance()?;
            }
            self.check_tombstones(reader.range_tombstones().map(|ranges| &**ranges), lower, upper)?;
        }
        Ok(())
    }

    /// Looks for range tombstones newer than the snapshot.
    fn check_tombstones(
        &self,
        ranges: Option<&RangeTombstones>,
        lower: &Option<Vec<u8>>,
        upper: &Option<Vec<u8>>,
    ) -> Result<()> {
        let Some(ranges) = ranges else { return Ok(()) };
        let newer = ranges.fragments().iter().find(|fragment| {
            lower.as_ref().is_none_or(|lower| *lower < fragment.end)
                && before(&fragment.start, upper)
                && fragment.timestamps.first().is_some_and(|&newest| newest > self.snapshot)
        });
        newer.map_or(Ok(()), |fragment| Err(Error::Conflict { key: fragment.start.clone() }))
    }
}

/// Whether `key` lies before a bound.
fn before(key: &[u8], upper: &Option<Vec<u8>>) -> bool {
    upper.as_ref().is_none_or(|upper| key < upper.as_slice())
}

/// What earlier requests of the same group write; they are in the log's buffer and not yet in a memtable.
#[derive(Debug, Default)]
pub(crate) struct GroupWrites<'a> {
    /// Single keys.
    keys: BTreeSet<&'a [u8]>,
    /// Range deletions.
    ranges: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> GroupWrites<'a> {
    /// Adds the writes of a request.
    pub(crate) fn add(&mut self, operations: impl Iterator<Item = Operation<'a>>) {
        for operation in operations {
            match operation {
                Operation::Put { key, .. } | Operation::Delete { key } => {
                    self.keys.insert(key);
                }
                Operation::DeleteRange { lower, upper } => self.ranges.push((lower, upper)),
            }
        }
    }

    /// Fails with a conflict if any of it is what `check` depends on.
    pub(crate) fn check(&self, check: &ConflictCheck) -> Result<()> {
        let hit = |key: &[u8]| {
            self.keys.contains(key) || self.ranges.iter().any(|(lower, upper)| *lower <= key && key < *upper)
        };
        if let Some(key) = check.keys.iter().map(|(key, _)| key).find(|key| hit(key)) {
            return Err(Error::Conflict { key: key.clone() });
        }
        for (lower, upper) in &check.ranges {
            let from = lower.as_deref().map_or(Bound::Unbounded, Bound::Included);
            let key =
                self.keys.range::<[u8], _>((from, Bound::Unbounded)).next().filter(|key| before(key, upper));
            let range = self.ranges.iter().find(|(start, end)| {
                lower.as_deref().is_none_or(|lower| lower < *end) && before(start, upper)
            });
            if let Some(key) = key.copied().or(range.map(|(start, _)| *start)) {
                return Err(Error::Conflict { key: key.to_vec() });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::ValueKind;
    use crate::manifest::{Version, VersionRef};

    fn put(key: &'static str) -> Operation<'static> {
        Operation::Put { key: key.as_bytes(), value: &[] }
    }

    fn range(lower: &'static str, upper: &'static str) -> Operation<'static> {
        Operation::DeleteRange { lower: lower.as_bytes(), upper: upper.as_bytes() }
    }

    /// Pairs of writes, and whether the second must not follow the first.
    fn pairs() -> Vec<(Operation<'static>, Operation<'static>, bool)> {
        vec![
            (put("b"), put("b"), true),
            (put("b"), Operation::Delete { key: b"b" }, true),
            (put("b"), put("c"), false),
            (put("b"), range("a", "c"), true),
            (put("b"), range("b", "c"), true),
            (put("c"), range("a", "c"), false),
            (range("a", "c"), put("b"), true),
            (range("a", "c"), put("c"), false),
            (range("b", "d"), put("a"), false),
            (range("a", "c"), range("b", "d"), true),
            (range("a", "c"), range("c", "d"), false),
            (range("c", "d"), range("a", "c"), false),
            (range("a", "z"), range("b", "c"), true),
            (range("b", "c"), range("a", "z"), true),
        ]
    }

    #[test]
    fn what_an_earlier_request_of_the_group_wrote_conflicts() {
        for (first, second, conflicts) in pairs() {
            let mut earlier = GroupWrites::default();
            let check = ConflictCheck::of_writes(Timestamp(5), [second].into_iter());
            earlier.check(&check).unwrap();
            earlier.add([first].into_iter());
            assert_eq!(earlier.check(&check).is_err(), conflicts, "{first:?}, {second:?}");
        }
    }

    #[test]
    fn what_a_memtable_has_above_the_snapshot_conflicts() {
        for (first, second, conflicts) in pairs() {
            for written in [5, 6] {
                let memtable = Memtable::new();
                // Older writes of all kinds, which are no conflict and must not hide one.
                memtable.insert(b"b", Timestamp(2), ValueKind::Put, b"");
                memtable.insert_range_delete(b"a", b"z", Timestamp(3));
                memtable.insert(b"0", Timestamp(9), ValueKind::Put, b"");
                crate::tablet::commit::apply(&memtable, Timestamp(written), [first].into_iter());
                let view = ReadView {
                    memtables: vec![std::sync::Arc::new(memtable)],
                    version: VersionRef::new(Version::default()),
                    expiry: std::sync::Arc::default(),
                };
                let check = ConflictCheck::of_writes(Timestamp(5), [second].into_iter());
                let found = check.run(&view);
                assert_eq!(found.is_err(), conflicts && written > 5, "{first:?} at {written}, {second:?}");
            }
        }
    }
}
