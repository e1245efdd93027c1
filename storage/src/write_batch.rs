//! A group of writes that become visible together.

use crate::error::{Error, Result};
use crate::limits::{BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX, KEY_BYTES_MAX, VALUE_BYTES_MAX};

/// One write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// The key gets the value.
    Put {
        /// The key.
        key: Vec<u8>,
        /// The value.
        value: Vec<u8>,
    },
    /// The key goes.
    Delete {
        /// The key.
        key: Vec<u8>,
    },
    /// All keys in `[lower, upper)` go.
    DeleteRange {
        /// The first key that goes.
        lower: Vec<u8>,
        /// The first key that stays.
        upper: Vec<u8>,
    },
}

impl Operation {
    /// The key it starts at.
    pub fn key(&self) -> &[u8] {
        match self {
            Operation::Put { key, .. } | Operation::Delete { key } => key,
            Operation::DeleteRange { lower, .. } => lower,
        }
    }

    /// Bytes of keys and values.
    pub fn size_bytes(&self) -> usize {
        match self {
            Operation::Put { key, value } => key.len() + value.len(),
            Operation::Delete { key } => key.len(),
            Operation::DeleteRange { lower, upper } => lower.len() + upper.len(),
        }
    }
}

/// Writes that become visible together, in the order given: of two writes to a key the later one stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteBatch {
    /// The writes, as given.
    operations: Vec<Operation>,
    /// Bytes of keys and values.
    size_bytes: usize,
}

impl WriteBatch {
    /// No writes.
    pub fn new() -> WriteBatch {
        WriteBatch::default()
    }

    /// Gives `key` the value.
    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.push(Operation::Put { key: key.into(), value: value.into() });
    }

    /// Deletes `key`; fine if it is absent.
    pub fn delete(&mut self, key: impl Into<Vec<u8>>) {
        self.push(Operation::Delete { key: key.into() });
    }

    /// Deletes every key in `[lower, upper)`.
    pub fn delete_range(&mut self, lower: impl Into<Vec<u8>>, upper_exclusive: impl Into<Vec<u8>>) {
        self.push(Operation::DeleteRange { lower: lower.into(), upper: upper_exclusive.into() });
    }

    /// Adds a write.
    pub fn push(&mut self, operation: Operation) {
        self.size_bytes = self.size_bytes.saturating_add(operation.size_bytes());
        self.operations.push(operation);
    }

    /// Number of writes.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether there is no write.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Bytes of keys and values.
    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// The writes, as given.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// Forgets all writes after the first `length`.
    pub fn truncate(&mut self, length: usize) {
        let dropped: usize = self.operations.iter().skip(length).map(Operation::size_bytes).sum();
        self.operations.truncate(length);
        self.size_bytes = self.size_bytes.saturating_sub(dropped);
    }

    /// Refuses what the engine cannot store.
    pub fn validate(&self) -> Result<()> {
        if self.operations.len() > BATCH_OPERATIONS_MAX || self.size_bytes > BATCH_BYTES_MAX {
            return Err(Error::invalid(format!(
                "a batch of {} operations and {} bytes is over the limit of {BATCH_OPERATIONS_MAX} and {BATCH_BYTES_MAX}",
                self.operations.len(),
                self.size_bytes
            )));
        }
        self.operations.iter().try_for_each(validate_operation)
    }

    /// The batch as it is committed: sorted, one operation per key, range deletions first. All of it gets one
    /// timestamp, at which a range deletion does not touch point writes, so points a later range deletion covers
    /// are dropped here.
    pub(crate) fn reduce(mut self) -> Vec<Operation> {
        if self.operations.len() < 2 {
            return self.operations;
        }
        let mut ranges = Vec::new();
        let mut points: Vec<(usize, Operation)> = Vec::with_capacity(self.operations.len());
        for (order, operation) in self.operations.drain(..).enumerate() {
            match operation {
                Operation::DeleteRange { lower, upper } => ranges.push((order, lower, upper)),
                point => points.push((order, point)),
            }
        }
        points.sort_by(|left, right| left.1.key().cmp(right.1.key()).then(right.0.cmp(&left.0)));
        points.dedup_by(|later, kept| later.1.key() == kept.1.key());
        points.retain(|(order, point)| {
            let covers = |range: &(usize, Vec<u8>, Vec<u8>)| {
                range.0 > *order && range.1.as_slice() <= point.key() && point.key() < range.2.as_slice()
            };
            !ranges.iter().any(covers)
        });
        let ranges = ranges.into_iter().map(|(_, lower, upper)| Operation::DeleteRange { lower, upper });
        ranges.chain(points.into_iter().map(|(_, point)| point)).collect()
    }
}

/// Refuses keys and values over the limits and reversed ranges.
fn validate_operation(operation: &Operation) -> Result<()> {
    let check_key = |key: &[u8]| match key.len() {
        0 => Err(Error::invalid("the key is empty")),
        length if length > KEY_BYTES_MAX => {
            Err(Error::invalid(format!("a key of {length} bytes is over the limit of {KEY_BYTES_MAX}")))
        }
        _ => Ok(()),
    };
    match operation {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_write_to_a_key_stands() {
        let mut batch = WriteBatch::new();
        batch.put("b", "1");
        batch.put("a", "2");
        batch.delete("b");
        let reduced = batch.reduce();
        assert_eq!(
            reduced,
            [
                Operation::Put { key: b"a".to_vec(), value: b"2".to_vec() },
                Operation::Delete { key: b"b".to_vec() }
            ]
        );
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
    }

    #[test]
    fn a_range_deletion_drops_earlier_writes_only() {
        let mut batch = WriteBatch::new();
        batch.put("b", "old");
        batch.delete_range("a", "c");
        batch.put("bb", "new");
        let reduced = batch.reduce();
        assert_eq!(reduced.len(), 2);
        assert_eq!(reduced[1], Operation::Put { key: b"bb".to_vec(), value: b"new".to_vec() });
    }

    #[test]
    fn wrong_operations_are_refused() {
        let refused = |operation| {
            let mut batch = WriteBatch::new();
            batch.push(operation);
            assert!(matches!(batch.validate(), Err(Error::InvalidInput(_))));
        };
        refused(Operation::Delete { key: Vec::new() });
        refused(Operation::Put { key: vec![0; KEY_BYTES_MAX + 1], value: Vec::new() });
        refused(Operation::DeleteRange { lower: b"b".to_vec(), upper: b"a".to_vec() });
    }
}
