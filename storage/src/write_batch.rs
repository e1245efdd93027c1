//! A group of writes that become visible together.
//!
//! A batch keeps its writes as the log will hold them, one behind the other in one piece of memory, and notes where the parts
//! of each lie: adding a write copies its bytes once and asks for no memory of its own.

use crate::coding::{put_bytes, varint};
use crate::entry::ValueKind;
use crate::error::{Error, Result};
use crate::limits::{BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX, KEY_BYTES_MAX, VALUE_BYTES_MAX};

/// Room in front of the writes for their number, a varint.
const COUNT_ROOM: usize = 10;

/// One write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation<'a> {
    /// The key gets the value.
    Put {
        /// The key.
        key: &'a [u8],
        /// The value.
        value: &'a [u8],
    },
    /// The key goes.
    Delete {
        /// The key.
        key: &'a [u8],
    },
    /// All keys in `[lower, upper)` go.
    DeleteRange {
        /// The first key that goes.
        lower: &'a [u8],
        /// The first key that stays.
        upper: &'a [u8],
    },
}

impl<'a> Operation<'a> {
    /// The key it starts at.
    pub fn key(self) -> &'a [u8] {
        match self {
            Operation::Put { key, .. } | Operation::Delete { key } => key,
            Operation::DeleteRange { lower, .. } => lower,
        }
    }

    /// Bytes of keys and values.
    pub fn size_bytes(self) -> usize {
        match self {
            Operation::Put { key, value } => key.len() + value.len(),
            Operation::Delete { key } => key.len(),
            Operation::DeleteRange { lower, upper } => lower.len() + upper.len(),
        }
    }

    /// Refuses empty keys, keys and values over the limits, and reversed ranges.
    pub(crate) fn validate(self) -> Result<()> {
        let check_key = |key: &[u8]| match key.len() {
            0 => Err(Error::invalid("the key is empty")),
            length if length > KEY_BYTES_MAX => {
                Err(Error::invalid(format!("a key of {length} bytes is over the limit of {KEY_BYTES_MAX}")))
            }
            _ => Ok(()),
        };
        match self {
            Operation::Put { key, value } => {
                check_key(key)?;
                if value.len() > VALUE_BYTES_MAX {
                    return Err(Error::invalid(format!(
                        "a value of {} bytes is over the limit of {VALUE_BYTES_MAX}",
                        value.len()
                    )));
                }
                Ok(())
            }
            Operation::Delete { key } => check_key(key),
            Operation::DeleteRange { lower, upper } => {
                check_key(lower)?;
                check_key(upper)?;
                if lower >= upper {
                    return Err(Error::invalid("the bounds of a range deletion are reversed or equal"));
                }
                Ok(())
            }
        }
    }
}

/// What a write does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Put,
    Delete,
    DeleteRange,
}

/// Where a write lies in its batch: `at <= first.0 <= first.1 <= second <= end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    /// What it does.
    effect: Effect,
    /// Where it begins. Of two writes the one added later begins behind.
    at: usize,
    /// Where its key, or its lower bound, begins and ends.
    first: (usize, usize),
    /// Where its value, or its upper bound, begins.
    second: usize,
    /// Where it ends, its value or upper bound with it.
    end: usize,
}

impl Slot {
    /// The write, from the memory it lies in.
    fn operation(self, bytes: &[u8]) -> Operation<'_> {
        let part = |from, to| bytes.get(from..to).unwrap_or_default();
        let (first, second) = (part(self.first.0, self.first.1), part(self.second, self.end));
        match self.effect {
            Effect::Put => Operation::Put { key: first, value: second },
            Effect::Delete => Operation::Delete { key: first },
            Effect::DeleteRange => Operation::DeleteRange { lower: first, upper: second },
        }
    }

    /// The same write, begun at `at`.
    fn moved(self, at: usize) -> Slot {
        let place = |offset: usize| offset - self.at + at;
        let first = (place(self.first.0), place(self.first.1));
        Slot { at, first, second: place(self.second), end: place(self.end), ..self }
    }
}

/// Writes that become visible together, in the order given: of two writes to a key the later one stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteBatch {
    /// Room for their number, then the writes, each as a record of the log holds it; nothing while there is none.
    bytes: Vec<u8>,
    /// Where each lies, in the order given.
    slots: Vec<Slot>,
    /// Bytes of keys and values.
    size_bytes: usize,
}

impl WriteBatch {
    /// No writes.
    pub fn new() -> WriteBatch {
        WriteBatch::default()
    }

    /// Gives `key` the value.
    pub fn put(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        self.push(Operation::Put { key: key.as_ref(), value: value.as_ref() });
    }

    /// Deletes `key`; fine if it is absent.
    pub fn delete(&mut self, key: impl AsRef<[u8]>) {
        self.push(Operation::Delete { key: key.as_ref() });
    }

    /// Deletes every key in `[lower, upper)`.
    pub fn delete_range(&mut self, lower: impl AsRef<[u8]>, upper_exclusive: impl AsRef<[u8]>) {
        let (lower, upper) = (lower.as_ref(), upper_exclusive.as_ref());
        self.push(Operation::DeleteRange { lower, upper });
    }

    /// Adds a write.
    pub fn push(&mut self, operation: Operation<'_>) {
        let (kind, effect, first, second) = match operation {
            Operation::Put { key, value } => (ValueKind::Put, Effect::Put, key, Some(value)),
            Operation::Delete { key } => (ValueKind::Delete, Effect::Delete, key, None),
            Operation::DeleteRange { lower, upper } => {
                (ValueKind::RangeDelete, Effect::DeleteRange, lower, Some(upper))
            }
        };
        let size_bytes = operation.size_bytes();
        let bytes = &mut self.bytes;
        // A kind and two lengths besides.
        bytes.reserve(size_bytes.saturating_add(1 + 2 * COUNT_ROOM + COUNT_ROOM));
        if bytes.is_empty() {
            bytes.resize(COUNT_ROOM, 0);
        }
        let at = bytes.len();
        bytes.push(kind.to_byte());
        put_bytes(bytes, first);
        let first = (bytes.len() - first.len(), bytes.len());
        second.into_iter().for_each(|second| put_bytes(bytes, second));
        let end = bytes.len();
        let second = end - second.map_or(0, <[u8]>::len);
        self.slots.push(Slot { effect, at, first, second, end });
        self.size_bytes = self.size_bytes.saturating_add(size_bytes);
    }

    /// Number of writes.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is no write.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Bytes of keys and values.
    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// Memory the batch takes, filled or not.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.slots.capacity() * size_of::<Slot>()
    }

    /// The writes, as given.
    pub fn operations(&self) -> impl ExactSizeIterator<Item = Operation<'_>> + Clone {
        self.slots.iter().map(|slot| slot.operation(&self.bytes))
    }

    /// The writes one behind the other, each as a record of the log holds it; their number comes before them there.
    pub(crate) fn encoded(&self) -> &[u8] {
        self.bytes.get(COUNT_ROOM..).unwrap_or_default()
    }

    /// Forgets all writes after the first `length`.
    pub fn truncate(&mut self, length: usize) {
        let dropped = self.operations().skip(length).map(Operation::size_bytes).sum();
        self.size_bytes = self.size_bytes.saturating_sub(dropped);
        self.slots.truncate(length);
        self.bytes.truncate(self.slots.last().map_or(0, |last| last.end));
    }

    /// Refuses what the engine cannot store.
    pub fn validate(&self) -> Result<()> {
        if self.len() > BATCH_OPERATIONS_MAX || self.size_bytes > BATCH_BYTES_MAX {
            return Err(Error::invalid(format!(
                "a batch of {} operations and {} bytes is over the limit of {BATCH_OPERATIONS_MAX} and {BATCH_BYTES_MAX}",
                self.len(),
                self.size_bytes
            )));
        }
        self.operations().try_for_each(Operation::validate)
    }

    /// The batch as it is committed: sorted, one operation per key, range deletions first. All of it gets one
    /// timestamp, at which a range deletion does not touch point writes, so points a later range deletion covers
    /// are dropped here.
    pub fn reduce(self) -> ReducedBatch {
        let reduced = self.len() < 2 || self.is_ascending();
        ReducedBatch::of(if reduced { self } else { self.sorted() })
    }

    /// Whether all are writes of one key, and the keys ascend.
    fn is_ascending(&self) -> bool {
        let points = self.slots.iter().all(|slot| slot.effect != Effect::DeleteRange);
        points
            && self.operations().zip(self.operations().skip(1)).all(|(left, right)| left.key() < right.key())
    }

    /// See `reduce`.
    fn sorted(self) -> WriteBatch {
        let WriteBatch { bytes, slots, .. } = &self;
        let (ranges, mut points): (Vec<Slot>, Vec<Slot>) =
            slots.iter().partition(|slot| slot.effect == Effect::DeleteRange);
        let key = |slot: &Slot| slot.operation(bytes).key();
        points.sort_unstable_by(|left, right| key(left).cmp(key(right)).then(right.at.cmp(&left.at)));
        points.dedup_by(|earlier, kept| key(earlier) == key(kept));
        points.retain(|point| {
            let covers = |range: &Slot| match range.operation(bytes) {
                Operation::DeleteRange { lower, upper } => {
                    range.at > point.at && lower <= key(point) && key(point) < upper
                }
                Operation::Put { .. } | Operation::Delete { .. } => false,
            };
            !ranges.iter().any(covers)
        });
        let mut sorted = WriteBatch { bytes: Vec::with_capacity(bytes.len()), ..WriteBatch::default() };
        sorted.bytes.resize(COUNT_ROOM, 0);
        sorted.slots.reserve_exact(ranges.len() + points.len());
        for slot in ranges.into_iter().chain(points) {
            sorted.size_bytes += slot.operation(bytes).size_bytes();
            sorted.slots.push(slot.moved(sorted.bytes.len()));
            sorted.bytes.extend_from_slice(bytes.get(slot.at..slot.end).unwrap_or_default());
        }
        sorted
    }
}

impl<'a> FromIterator<Operation<'a>> for WriteBatch {
    fn from_iter<I: IntoIterator<Item = Operation<'a>>>(operations: I) -> WriteBatch {
        let mut batch = WriteBatch::new();
        operations.into_iter().for_each(|operation| batch.push(operation));
        batch
    }
}

/// A batch as it is committed; see [`WriteBatch::reduce`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReducedBatch {
    /// The writes.
    batch: WriteBatch,
    /// Where their number begins in the batch's memory.
    begin: usize,
}

impl ReducedBatch {
    /// Puts the number of writes in front of them.
    fn of(mut batch: WriteBatch) -> ReducedBatch {
        let (count, length) = varint(batch.len() as u64);
        let begin = COUNT_ROOM - length;
        if batch.bytes.is_empty() {
            batch.bytes.resize(COUNT_ROOM, 0);
        }
        let room = batch.bytes.iter_mut().skip(begin);
        room.zip(count.into_iter().take(length)).for_each(|(slot, byte)| *slot = byte);
        ReducedBatch { batch, begin }
    }

    /// Number of writes.
    pub fn len(&self) -> usize {
        self.batch.len()
    }

    /// Whether there is no write.
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// The writes: range deletions first, then one a key, in the order of keys.
    pub fn operations(&self) -> impl ExactSizeIterator<Item = Operation<'_>> + Clone {
        self.batch.operations()
    }

    /// The operations of a record of the log, not compressed. See FORMAT.md, "Records".
    pub fn encoded(&self) -> &[u8] {
        self.batch.bytes.get(self.begin..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wal::record::encode_operations;

    fn put<'a>(key: &'a str, value: &'a str) -> Operation<'a> {
        Operation::Put { key: key.as_bytes(), value: value.as_bytes() }
    }

    #[track_caller]
    fn assert_reduced(batch: WriteBatch, wanted: &[Operation<'_>]) {
        let reduced = batch.reduce();
        assert_eq!(reduced.operations().collect::<Vec<_>>(), wanted);
        assert_eq!((reduced.len(), reduced.is_empty()), (wanted.len(), wanted.is_empty()));
        // As if nothing else had ever been in it.
        let again: WriteBatch = wanted.iter().copied().collect();
        assert_eq!(reduced.batch.size_bytes(), again.size_bytes());
        assert_eq!(reduced.batch.slots, again.slots);
        let mut encoded = Vec::new();
        encode_operations(&mut encoded, &again);
        assert_eq!(reduced.encoded(), encoded);
    }

    #[test]
    fn the_last_write_to_a_key_stands() {
        let mut batch = WriteBatch::new();
        batch.put("b", "1");
        batch.put("a", "2");
        batch.delete("b");
        batch.put("c", "");
        assert_eq!(batch.operations().map(|operation| operation.key()[0]).collect::<Vec<_>>(), b"babc");
        assert_reduced(batch, &[put("a", "2"), Operation::Delete { key: b"b" }, put("c", "")]);
    }

    #[test]
    fn what_ascends_stays_as_it_is_and_what_repeats_does_not() {
        assert_reduced(WriteBatch::new(), &[]);
        assert_reduced([put("a", "1")].into_iter().collect(), &[put("a", "1")]);
        assert_reduced([put("a", "1"), put("b", "2")].into_iter().collect(), &[put("a", "1"), put("b", "2")]);
        assert_reduced([put("a", "1"), put("a", "2")].into_iter().collect(), &[put("a", "2")]);
        assert_reduced([put("a", "2"), put("", "1")].into_iter().collect(), &[put("", "1"), put("a", "2")]);
    }

    #[test]
    fn counts_of_every_length_stand_in_front() {
        for count in [1_u32, 2, 127, 128, 129, 16_383, 16_384, 20_000] {
            for ascending in [true, false] {
                let mut batch = WriteBatch::new();
                (0..count)
                    .for_each(|key| batch.delete(if ascending { key } else { count - key }.to_be_bytes()));
                let mut sorted: WriteBatch = batch.clone();
                if !ascending {
                    sorted = WriteBatch::new();
                    (1..=count).for_each(|key| sorted.delete(key.to_be_bytes()));
                }
                let mut encoded = Vec::new();
                encode_operations(&mut encoded, &sorted);
                assert_eq!(batch.reduce().encoded(), encoded, "{count} {ascending}");
            }
        }
    }

    #[test]
    fn a_batch_cut_short_is_as_large_as_one_that_never_was_longer() {
        let mut batch = WriteBatch::new();
        batch.put("a", "12");
        batch.delete("b");
        let short = batch.clone();
        batch.put("c", "34567");
        batch.delete_range("d", "e");
        batch.truncate(2);
        assert_eq!(batch, short);
        assert_eq!(batch.size_bytes(), 4);
        batch.truncate(9);
        assert_eq!(batch, short);
        batch.truncate(0);
        assert_eq!(batch, WriteBatch::new());
        batch.put("a", "12");
        batch.delete("b");
        assert_eq!(batch, short);
    }

    #[test]
    fn a_range_deletion_drops_earlier_writes_only() {
        let mut batch = WriteBatch::new();
        batch.put("c", "at the end");
        batch.put("b", "old");
        batch.put("a", "old too");
        batch.delete_range("a", "c");
        batch.put("bb", "new");
        let range = Operation::DeleteRange { lower: b"a", upper: b"c" };
        assert_reduced(batch, &[range, put("bb", "new"), put("c", "at the end")]);
    }

    #[test]
    fn a_range_deletion_alone_or_behind_points_comes_first() {
        let range = Operation::DeleteRange { lower: b"x", upper: b"z" };
        assert_reduced([range].into_iter().collect(), &[range]);
        assert_reduced([put("a", "1"), range].into_iter().collect(), &[range, put("a", "1")]);
        let other = Operation::DeleteRange { lower: b"a", upper: b"b" };
        assert_reduced([range, other].into_iter().collect(), &[range, other]);
    }

    #[test]
    fn wrong_operations_are_refused() {
        let long = vec![0; KEY_BYTES_MAX + 1];
        for operation in [
            Operation::Delete { key: b"" },
            Operation::Put { key: &long, value: b"" },
            Operation::DeleteRange { lower: b"b", upper: b"a" },
            Operation::DeleteRange { lower: b"b", upper: b"b" },
        ] {
            let batch: WriteBatch = [put("a", "1"), operation].into_iter().collect();
            assert!(matches!(batch.validate(), Err(Error::InvalidInput(_))), "{operation:?}");
        }
    }

    #[test]
    fn memory_is_what_is_held() {
        let mut batch = WriteBatch::new();
        assert_eq!(batch.memory_bytes(), 0);
        batch.put("key", [7; 10_000]);
        assert!((10_003..11_000).contains(&batch.memory_bytes()), "{}", batch.memory_bytes());
    }
}
