//! Records whose operations are compressed. See FORMAT.md, "Records".
//!
//! Compressing pays where entries are large: a value of 16 KiB costs more to write than to compress, and what a commit waits
//! for is the disk. Entries of a few hundred bytes are left alone, which costs them one comparison. It is done by the
//! committing thread before it enters the commit queue, so that committers do not wait for each other's.
//!
//! What this does not do: the value of a blob is compressed once more when it is flushed, for its block stands alone and
//! has a seal of its own.

use crate::coding::{is_worth_compressing, put_varint, take_varint};
use crate::limits::RECORD_BYTES_MAX;
use crate::options::WalCompression;
use crate::write_batch::ReducedBatch;

/// An LZ4 block makes at most this many bytes of one: a byte of a match's length stands for 255.
const EXPANSION_MAX: usize = 255;

/// The operations of a record, as the log is to hold them.
#[derive(Clone, Debug)]
pub struct EncodedOperations {
    /// The operations.
    batch: ReducedBatch,
    /// Their compressed form, if that is what the log gets.
    compressed: Option<Vec<u8>>,
}

impl EncodedOperations {
    /// Compresses operations if they are large enough on average and it is worth it.
    pub fn new(batch: ReducedBatch, compression: WalCompression) -> EncodedOperations {
        let plain = batch.encoded();
        let large = match compression {
            WalCompression::None => false,
            WalCompression::Lz4 { entry_bytes_min } => {
                plain.len() >= entry_bytes_min.saturating_mul(batch.len().max(1))
            }
        };
        let compressed = large.then(|| compress(plain)).flatten();
        EncodedOperations { batch, compressed }
    }

    /// The operations.
    pub fn batch(&self) -> &ReducedBatch {
        &self.batch
    }

    /// Their stored form.
    pub fn bytes(&self) -> &[u8] {
        self.compressed.as_deref().unwrap_or(self.batch.encoded())
    }

    /// Whether that is compressed.
    pub fn is_compressed(&self) -> bool {
        self.compressed.is_some()
    }

    /// Its length before compression.
    pub fn plain_bytes(&self) -> usize {
        self.batch.encoded().len()
    }
}

/// The stored form of compressed operations, `None` if it saves too little: a varint, their length, and an LZ4 block.
pub fn compress(plain: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    put_varint(&mut out, plain.len() as u64);
    let head = out.len();
    out.resize(head + lz4_flex::block::get_maximum_output_size(plain.len()), 0);
    let length = lz4_flex::block::compress_into(plain, out.get_mut(head..)?).ok()?;
    out.truncate(head + length);
    is_worth_compressing(plain.len(), out.len()).then_some(out)
}

/// The operations again. `None` if the bytes are no compressed ones of exactly the length they claim; no more is
/// allocated for them than their number could expand to.
pub fn decompress(mut stored: &[u8]) -> Option<Vec<u8>> {
    let length = usize::try_from(take_varint(&mut stored)?).ok()?;
    if length > RECORD_BYTES_MAX || length > stored.len().saturating_mul(EXPANSION_MAX) {
        return None;
    }
    let mut plain = vec![0; length];
    let found = lz4_flex::block::decompress_into(stored, &mut plain).ok()?;
    (found == length).then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write_batch::WriteBatch;

    fn noise(bytes: u32) -> Vec<u8> {
        (0..bytes).map(|at| crate::coding::key_hash(&at.to_le_bytes()).to_le_bytes()[0]).collect()
    }

    #[test]
    fn large_entries_are_compressed_and_small_or_dense_ones_are_not() {
        let lz4 = WalCompression::default();
        let compressed = |values: &[Vec<u8>], deletes: usize, compression| {
            let mut batch = WriteBatch::new();
            (0_u8..).zip(values).for_each(|(key, value)| batch.put([key], value));
            (0..deletes).for_each(|key| batch.delete([9, u8::try_from(key).unwrap()]));
            let batch = batch.reduce();
            let encoded = EncodedOperations::new(batch.clone(), compression);
            let plain = batch.encoded().to_vec();
            assert_eq!(encoded.plain_bytes(), plain.len());
            if encoded.is_compressed() {
                assert!(encoded.bytes().len() <= plain.len() - plain.len() / 8);
                assert_eq!(decompress(encoded.bytes()), Some(plain));
            } else {
                assert_eq!(encoded.bytes(), plain);
            }
            encoded.is_compressed()
        };
        assert!(compressed(&[vec![7; 5_000]], 0, lz4));
        assert!(!compressed(&[vec![7; 5_000]], 0, WalCompression::None));
        assert!(!compressed(&[vec![7; 4_000]], 0, lz4), "too small");
        assert!(!compressed(&[noise(5_000)], 0, lz4), "nothing gained");
        assert!(!compressed(&[], 0, lz4) && !compressed(&[], 0, WalCompression::Lz4 { entry_bytes_min: 0 }));
        assert!(!compressed(&[vec![7; 5_000]], 1, lz4), "too small on average");
        assert!(compressed(&[vec![7; 9_000]], 1, lz4));
        assert!(compressed(&[vec![7; 70_000]], 1, WalCompression::Lz4 { entry_bytes_min: 1 }));
    }

    #[test]
    fn a_claimed_length_is_held_to_before_anything_is_allocated() {
        let plain = vec![7; 100_000];
        let stored = compress(&plain).unwrap();
        assert_eq!(decompress(&stored), Some(plain.clone()));
        let block = &stored[3..];
        let claiming = |length: u64| {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, length);
            decompress(&[&bytes, block].concat())
        };
        assert_eq!(claiming(100_000), Some(plain));
        for length in [0, 1, 99_999, 100_001, RECORD_BYTES_MAX as u64, RECORD_BYTES_MAX as u64 + 1, u64::MAX]
        {
            assert_eq!(claiming(length), None, "{length}");
        }
        for cut in 0..stored.len() {
            assert_eq!(decompress(&stored[..cut]), None, "cut at {cut}");
        }
        assert_eq!(decompress(&[stored.as_slice(), &[0]].concat()), None);
        assert_eq!(decompress(&[1, 0]), None, "a block without a byte in it");
    }
}
