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
use crate::wal::record::encode_operations;
use crate::write_batch::Operation;

/// An LZ4 block makes at most this many bytes of one: a byte of a match's length stands for 255.
const EXPANSION_MAX: usize = 255;

/// The operations of a record, as the log holds them.
#[derive(Clone, Debug, Default)]
pub struct EncodedOperations {
    /// Their stored form.
    pub bytes: Vec<u8>,
    /// Whether that is compressed.
    pub compressed: bool,
    /// Its length before compression.
    pub plain_bytes: usize,
}

impl EncodedOperations {
    /// Encodes operations, and compresses them if they are large enough on average and it is worth it.
    pub fn new(operations: &[Operation], compression: WalCompression) -> EncodedOperations {
        let mut bytes = Vec::new();
        encode_operations(&mut bytes, operations);
        let plain_bytes = bytes.len();
        let large = match compression {
            WalCompression::None => false,
            WalCompression::Lz4 { entry_bytes_min } => {
                plain_bytes >= entry_bytes_min.saturating_mul(operations.len().max(1))
            }
        };
        match large.then(|| compress(&bytes)).flatten() {
            Some(bytes) => EncodedOperations { bytes, compressed: true, plain_bytes },
            None => EncodedOperations { bytes, compressed: false, plain_bytes },
        }
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

    fn put(value: Vec<u8>) -> Operation {
        Operation::Put { key: b"k".to_vec(), value }
    }

    fn noise(bytes: u32) -> Vec<u8> {
        (0..bytes).map(|at| crate::coding::key_hash(&at.to_le_bytes()).to_le_bytes()[0]).collect()
    }

    #[test]
    fn large_entries_are_compressed_and_small_or_dense_ones_are_not() {
        let lz4 = WalCompression::default();
        let compressed = |operations: &[Operation], compression| {
            let encoded = EncodedOperations::new(operations, compression);
            let mut plain = Vec::new();
            encode_operations(&mut plain, operations);
            assert_eq!(encoded.plain_bytes, plain.len());
            if encoded.compressed {
                assert!(encoded.bytes.len() <= plain.len() - plain.len() / 8);
                assert_eq!(decompress(&encoded.bytes), Some(plain));
            } else {
                assert_eq!(encoded.bytes, plain);
            }
            encoded.compressed
        };
        assert!(compressed(&[put(vec![7; 5_000])], lz4));
        assert!(!compressed(&[put(vec![7; 5_000])], WalCompression::None));
        assert!(!compressed(&[put(vec![7; 4_000])], lz4), "too small");
        assert!(!compressed(&[put(noise(5_000))], lz4), "nothing gained");
        assert!(!compressed(&[], lz4) && !compressed(&[], WalCompression::Lz4 { entry_bytes_min: 0 }));
        let few = Operation::Delete { key: vec![1; 8] };
        assert!(!compressed(&[put(vec![7; 5_000]), few.clone()], lz4), "too small on average");
        assert!(compressed(&[put(vec![7; 9_000]), few.clone()], lz4));
        assert!(compressed(&[put(vec![7; 70_000]), few], WalCompression::Lz4 { entry_bytes_min: 1 }));
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
