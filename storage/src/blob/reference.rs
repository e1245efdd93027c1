//! What an sstable holds in place of a separated value.

use crate::coding::{put_varint, take_varint};
use crate::file_id::FileId;
use crate::sstable::footer::BlockHandle;

/// Where a separated value is and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobReference {
    /// The blob file.
    pub file_id: FileId,
    /// The sealed record in it.
    pub record: BlockHandle,
    /// Length of the value itself.
    pub value_bytes: u64,
}

impl BlobReference {
    /// The form in an sstable: four varints.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16);
        put_varint(&mut out, self.file_id.0);
        put_varint(&mut out, self.record.offset);
        put_varint(&mut out, u64::from(self.record.length));
        put_varint(&mut out, self.value_bytes);
        out
    }

    /// Reads that form; nothing may follow.
    pub fn decode(mut bytes: &[u8]) -> Option<BlobReference> {
        let file_id = FileId(take_varint(&mut bytes)?);
        let offset = take_varint(&mut bytes)?;
        let length = u32::try_from(take_varint(&mut bytes)?).ok()?;
        let value_bytes = take_varint(&mut bytes)?;
        let record = BlockHandle { offset, length };
        bytes.is_empty().then_some(BlobReference { file_id, record, value_bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_comes_back_and_nothing_else_is_one() {
        let reference = BlobReference {
            file_id: FileId(900),
            record: BlockHandle { offset: 1 << 40, length: 70_000 },
            value_bytes: 1 << 20,
        };
        let bytes = reference.encode();
        assert_eq!(BlobReference::decode(&bytes), Some(reference));
        for length in 0..bytes.len() {
            assert_eq!(BlobReference::decode(&bytes[..length]), None);
        }
        assert_eq!(BlobReference::decode(&[bytes, vec![0]].concat()), None);
    }
}
