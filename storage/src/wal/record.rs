//! What a record of the write-ahead log says. See FORMAT.md, "Records".

use crate::coding::{put_varint, take_bytes, take_u8, take_u64, take_varint};
use crate::entry::ValueKind;
use crate::timestamp::Timestamp;
use crate::wal::compression::decompress;
use crate::write_batch::{Operation, WriteBatch};

/// What a record is for. The number is the one stored on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// A write batch.
    Batch,
    /// A write batch that is in the log already and was appended again, so that older segments may go.
    Again,
}

/// A record's place in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHead {
    /// What it is for.
    pub kind: RecordKind,
    /// Whether the operations behind it are compressed.
    pub compressed: bool,
    /// The replication group, which is the tablet's number.
    pub group: u64,
    /// The group's term; 1 standing alone.
    pub term: u64,
    /// Its index in the group's log, growing by one.
    pub index: u64,
    /// When its writes become visible.
    pub timestamp: Timestamp,
}

/// A record read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place in the order.
    pub head: RecordHead,
    /// Its writes.
    pub operations: WriteBatch,
}

/// Appends the stored form of operations: the part of a record that does not depend on its place in the order, so
/// that it can be made before the commit queue is entered.
pub fn encode_operations(out: &mut Vec<u8>, operations: &WriteBatch) {
    put_varint(out, operations.len() as u64);
    out.extend_from_slice(operations.encoded());
}

/// Appends the stored form of a record's head; the operations follow it.
pub fn encode_head(out: &mut Vec<u8>, head: &RecordHead) {
    out.push(match (head.kind, head.compressed) {
        (RecordKind::Batch, false) => 1,
        (RecordKind::Again, false) => 2,
        (RecordKind::Batch, true) => 3,
        (RecordKind::Again, true) => 4,
    });
    put_varint(out, head.group);
    put_varint(out, head.term);
    put_varint(out, head.index);
    out.extend_from_slice(&head.timestamp.0.to_le_bytes());
}

/// Reads a record; `None` if the bytes are not exactly one.
pub fn decode(mut bytes: &[u8]) -> Option<Record> {
    let bytes = &mut bytes;
    let (kind, compressed) = match take_u8(bytes)? {
        1 => (RecordKind::Batch, false),
        2 => (RecordKind::Again, false),
        3 => (RecordKind::Batch, true),
        4 => (RecordKind::Again, true),
        _ => return None,
    };
    let (group, term, index) = (take_varint(bytes)?, take_varint(bytes)?, take_varint(bytes)?);
    let timestamp = Timestamp(take_u64(bytes)?);
    let head = RecordHead { kind, compressed, group, term, index, timestamp };
    let operations =
        if compressed { decode_operations(&decompress(bytes)?)? } else { decode_operations(bytes)? };
    Some(Record { head, operations })
}

/// Reads operations; `None` if the bytes are not exactly some.
fn decode_operations(mut bytes: &[u8]) -> Option<WriteBatch> {
    let bytes = &mut bytes;
    // Nothing is reserved for a number that is only claimed.
    let count = take_varint(bytes)?;
    let mut operations = WriteBatch::new();
    for _ in 0..count {
        operations.push(decode_operation(bytes)?);
    }
    bytes.is_empty().then_some(operations)
}

/// Reads one operation.
fn decode_operation<'a>(bytes: &mut &'a [u8]) -> Option<Operation<'a>> {
    let kind = ValueKind::from_byte(take_u8(bytes)?)?;
    let key = take_bytes(bytes)?;
    match kind {
        ValueKind::Put => Some(Operation::Put { key, value: take_bytes(bytes)? }),
        ValueKind::Delete => Some(Operation::Delete { key }),
        ValueKind::RangeDelete => Some(Operation::DeleteRange { lower: key, upper: take_bytes(bytes)? }),
        ValueKind::BlobHandle => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::WalCompression;
    use crate::wal::compression::{EncodedOperations, compress};

    #[test]
    fn records_come_back_and_cut_or_padded_ones_do_not() {
        let head = RecordHead {
            kind: RecordKind::Batch,
            compressed: false,
            group: 0,
            term: 1,
            index: 300,
            timestamp: Timestamp::from_parts(5, 6),
        };
        let mut operations = WriteBatch::new();
        operations.delete_range("a", "b");
        operations.put("k", [7; 200]);
        operations.delete("z");
        let mut bytes = Vec::new();
        encode_head(&mut bytes, &head);
        encode_operations(&mut bytes, &operations);
        assert_eq!(decode(&bytes), Some(Record { head, operations }));
        for length in 0..bytes.len() {
            assert_eq!(decode(&bytes[..length]), None);
        }
        bytes.push(0);
        assert_eq!(decode(&bytes), None);
    }

    #[test]
    fn compressed_records_come_back_and_cut_padded_or_mislabelled_ones_do_not() {
        for kind in [RecordKind::Batch, RecordKind::Again] {
            let timestamp = Timestamp::from_parts(5, 6);
            let head = RecordHead { kind, compressed: true, group: 2, term: 1, index: 300, timestamp };
            let mut operations = WriteBatch::new();
            operations.put("k", [7; 9_000]);
            operations.delete("z");
            let encoded = EncodedOperations::new(operations.clone().reduce(), WalCompression::default());
            assert!(encoded.is_compressed());
            let with_head = |compressed: bool, operations: &[u8]| {
                let mut bytes = Vec::new();
                encode_head(&mut bytes, &RecordHead { compressed, ..head });
                bytes.extend_from_slice(operations);
                bytes
            };
            let mut bytes = with_head(true, encoded.bytes());
            assert_eq!(decode(&bytes), Some(Record { head, operations: operations.clone() }));
            for length in 0..bytes.len() {
                assert_eq!(decode(&bytes[..length]), None);
            }
            bytes.push(0);
            assert_eq!(decode(&bytes), None);
            assert_eq!(decode(&with_head(false, encoded.bytes())), None);
            let mut plain = Vec::new();
            encode_operations(&mut plain, &operations);
            assert_eq!(decode(&with_head(true, &plain)), None);
            // What is compressed must be operations to the last byte, too.
            plain.push(0);
            assert_eq!(decode(&with_head(true, &compress(&plain).unwrap())), None);
        }
    }

    #[test]
    fn a_claimed_count_reserves_nothing() {
        let mut bytes = vec![1, 0, 1, 1];
        bytes.extend_from_slice(&[0; 8]);
        put_varint(&mut bytes, u64::MAX);
        assert_eq!(decode(&bytes), None);
    }
}
