//! How a block's bytes stand in a file: encode, compress, (encrypt,) checksum. Sstables and blob files share it.
//!
//! ```text
//! | stored bytes | raw_length u32 | block_type u8 | codec u8 | checksum u64 |
//!   the checksum covers all that is before it, mixed with the file id and the block's offset
//! ```
//!
//! The checksum is of what is stored, so damage is found before anything is decoded, and without a key. Encryption at rest
//! goes between compression and checksum, in `seal` and `unseal` and nowhere else: the codec byte's high bit says so.

use std::cell::RefCell;

use crate::coding::{Malformed, block_checksum, is_worth_compressing, take_u8, take_u32, take_u64};
use crate::encryption::FileCipher;
use crate::options::Compression;
use crate::planted::{Bug, planted};

/// Bytes behind the stored bytes of every block.
pub const SEAL_BYTES: usize = 14;
const CHECKSUM_BYTES: usize = 8;
/// In the codec byte: the stored bytes are a ciphertext and its tag.
const ENCRYPTED: u8 = 0x80;

/// No block is larger before compression: a value at its limit, its key, and room. A claim beyond it is corruption
/// and is never allocated.
pub const BLOCK_RAW_BYTES_MAX: usize = 128 << 20;

/// What a block is for; a block read as something else is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockType {
    /// Entries of user keys.
    Data = 1,
    /// Separators and the handles of data blocks.
    Index = 2,
    /// Separators and the handles of index blocks.
    TopIndex = 3,
    /// The filter over all keys.
    Filter = 4,
    /// Range tombstones.
    RangeTombstones = 5,
    /// The table's figures.
    Properties = 6,
    /// One large value, in a blob file.
    Blob = 7,
}

impl BlockType {
    /// The name in inspections and errors.
    pub fn name(self) -> &'static str {
        match self {
            BlockType::Data => "data",
            BlockType::Index => "index",
            BlockType::TopIndex => "top-index",
            BlockType::Filter => "filter",
            BlockType::RangeTombstones => "range-tombstones",
            BlockType::Properties => "properties",
            BlockType::Blob => "blob",
        }
    }
}

/// Level 1 saves most of what 3 does at twice the speed; decoding costs the same.
const ZSTD_LEVEL: i32 = 1;

thread_local! {
    /// Setting up a decoder costs more than decoding a block; one per thread, `None` where there is no memory for it.
    static ZSTD_DECODER: RefCell<Option<zstd::bulk::Decompressor<'static>>> =
        RefCell::new(zstd::bulk::Decompressor::new().ok());
}

/// The compression with this number on disk.
fn codec_from_byte(byte: u8) -> Option<Compression> {
    [Compression::None, Compression::Lz4, Compression::Zstd].into_iter().find(|codec| *codec as u8 == byte)
}

/// The bytes of a block after checksum and codec: a part of what was read when it was stored raw.
pub enum Unsealed<'a> {
    /// Stored raw.
    Same(&'a [u8]),
    /// Decompressed.
    Decoded(Box<[u8]>),
}

/// Compresses with one codec, encrypts if the file has a key, and keeps its buffer between blocks.
pub struct Compressor {
    codec: Compression,
    cipher: Option<FileCipher>,
    zstd: Option<zstd::bulk::Compressor<'static>>,
    buffer: Vec<u8>,
}

impl Compressor {
    /// For blocks of one file.
    pub fn new(codec: Compression, cipher: Option<FileCipher>) -> Self {
        let zstd =
            if codec == Compression::Zstd { zstd::bulk::Compressor::new(ZSTD_LEVEL).ok() } else { None };
        Self { codec, cipher, zstd, buffer: Vec::new() }
    }

    /// What to store for `raw`: the compressed bytes when they are at least an eighth smaller, `raw` otherwise.
    fn compress<'a>(&'a mut self, raw: &'a [u8]) -> (Compression, &'a [u8]) {
        let length = match self.codec {
            Compression::None => None,
            Compression::Lz4 => {
                self.buffer.resize(lz4_flex::block::get_maximum_output_size(raw.len()), 0);
                lz4_flex::block::compress_into(raw, &mut self.buffer).ok()
            }
            Compression::Zstd => {
                self.buffer.resize(zstd::zstd_safe::compress_bound(raw.len()), 0);
                let buffer = self.buffer.as_mut_slice();
                self.zstd.as_mut().and_then(|zstd| zstd.compress_to_buffer(raw, buffer).ok())
            }
        };
        match length.and_then(|length| self.buffer.get(..length)) {
            Some(smaller) if is_worth_compressing(raw.len(), smaller.len()) => (self.codec, smaller),
            _ => (Compression::None, raw),
        }
    }

    /// Appends `raw` to `out` as it stands in file `file_id` at `offset`. `None` when it is larger than a block may be.
    pub fn seal(
        &mut self,
        raw: &[u8],
        block_type: BlockType,
        file_id: u64,
        offset: u64,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        if raw.len() > BLOCK_RAW_BYTES_MAX {
            return None;
        }
        let raw_length = u32::try_from(raw.len()).ok()?;
        let start = out.len();
        let encrypted = if self.cipher.is_some() { ENCRYPTED } else { 0 };
        let (codec, stored) = self.compress(raw);
        out.extend_from_slice(stored);
        let seal = seal_fields(raw_length, block_type as u8, codec as u8 | encrypted);
        if let Some(cipher) = &self.cipher {
            cipher.encrypt(offset, &seal, out, start).ok()?;
        }
        out.extend_from_slice(&seal);
        let checksum = block_checksum(file_id, offset, out.get(start..)?);
        out.extend_from_slice(&checksum.to_le_bytes());
        Some(())
    }
}

/// What stands between the stored bytes and the checksum.
fn seal_fields(raw_length: u32, block_type: u8, codec: u8) -> [u8; SEAL_BYTES - CHECKSUM_BYTES] {
    let [a, b, c, d] = raw_length.to_le_bytes();
    [a, b, c, d, block_type, codec]
}

/// Checks a sealed block, decrypts it if its file has a key, and undoes the codec.
pub fn unseal<'a>(
    sealed: &'a [u8],
    block_type: BlockType,
    file_id: u64,
    offset: u64,
    cipher: Option<&FileCipher>,
) -> Result<Unsealed<'a>, Malformed> {
    let short = Malformed("block shorter than its seal");
    let covered = sealed.len().checked_sub(CHECKSUM_BYTES).ok_or(short)?;
    let (covered, mut checksum) = sealed.split_at_checked(covered).ok_or(short)?;
    let intact = take_u64(&mut checksum) == Some(block_checksum(file_id, offset, covered));
    if !intact && !planted(Bug::IgnoreChecksum) {
        return Err(Malformed("block checksum does not match"));
    }
    let stored = sealed.len().checked_sub(SEAL_BYTES).ok_or(short)?;
    let (stored, mut seal) = covered.split_at_checked(stored).ok_or(short)?;
    let associated = seal;
    let raw_length = take_u32(&mut seal).ok_or(short)? as usize;
    if take_u8(&mut seal) != Some(block_type as u8) {
        return Err(Malformed("block is of another type"));
    }
    let codec = take_u8(&mut seal).ok_or(short)?;
    // A block in the open among encrypted ones was put there by somebody without the key.
    if (codec & ENCRYPTED != 0) != cipher.is_some() {
        return Err(Malformed("block is encrypted and its file is not, or the other way round"));
    }
    let codec = codec_from_byte(codec & !ENCRYPTED).ok_or(Malformed("unknown codec"))?;
    let Some(cipher) = cipher else { return decode(codec, stored, raw_length) };
    let mut opened = stored.to_vec();
    cipher.decrypt(offset, associated, &mut opened)?;
    match decode(codec, &opened, raw_length)? {
        Unsealed::Decoded(raw) => Ok(Unsealed::Decoded(raw)),
        Unsealed::Same(_) => Ok(Unsealed::Decoded(opened.into_boxed_slice())),
    }
}

fn decode(codec: Compression, stored: &[u8], raw_length: usize) -> Result<Unsealed<'_>, Malformed> {
    if raw_length > BLOCK_RAW_BYTES_MAX {
        return Err(Malformed("block claims more than a block may have"));
    }
    let wrong = Malformed("block does not decompress");
    let decoded = match codec {
        Compression::None => {
            return if stored.len() == raw_length {
                Ok(Unsealed::Same(stored))
            } else {
                Err(Malformed("raw block of another length"))
            };
        }
        Compression::Lz4 => {
            let mut raw = vec![0; raw_length];
            let length = lz4_flex::block::decompress_into(stored, &mut raw).map_err(|_| wrong)?;
            raw.truncate(length);
            raw
        }
        Compression::Zstd => {
            let mut raw = vec![0; raw_length];
            let decoded = ZSTD_DECODER.with_borrow_mut(|decoder| {
                decoder
                    .as_mut()
                    .and_then(|decoder| decoder.decompress_to_buffer(stored, raw.as_mut_slice()).ok())
            });
            raw.truncate(decoded.ok_or(wrong)?);
            raw
        }
    };
    if decoded.len() == raw_length { Ok(Unsealed::Decoded(decoded.into_boxed_slice())) } else { Err(wrong) }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::cast_possible_truncation, reason = "numbers drawn below the target's range")]

    use super::*;
    use crate::encryption::{KeyedFile, StoreKeys};
    use crate::vfs::MemoryVfs;

    fn bytes(unsealed: Unsealed<'_>) -> Vec<u8> {
        match unsealed {
            Unsealed::Same(bytes) => bytes.to_vec(),
            Unsealed::Decoded(bytes) => bytes.into_vec(),
        }
    }

    #[test]
    fn every_codec_comes_back_and_noise_is_stored_raw() {
        let plain = b"a sheaf of documents, a sheaf of documents, a sheaf of documents".repeat(20);
        let noise: Vec<u8> = (0..999_u32).map(|i| crate::coding::key_hash(&i.to_le_bytes()) as u8).collect();
        for codec in [Compression::None, Compression::Lz4, Compression::Zstd] {
            for (raw, compresses) in [(&plain[..], true), (&noise[..], false), (&[][..], false)] {
                let mut out = vec![1, 2, 3];
                Compressor::new(codec, None).seal(raw, BlockType::Data, 5, 3, &mut out).unwrap();
                let stored = out.len() - 3 - SEAL_BYTES;
                assert_eq!(stored < raw.len(), compresses && codec != Compression::None);
                assert_eq!(bytes(unseal(&out[3..], BlockType::Data, 5, 3, None).unwrap()), raw);
                assert!(unseal(&out[3..], BlockType::Index, 5, 3, None).is_err());
                assert!(unseal(&out[3..], BlockType::Data, 6, 3, None).is_err());
                assert!(unseal(&out[3..], BlockType::Data, 5, 4, None).is_err());
            }
        }
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let raw = b"sheaf ".repeat(30);
        for codec in [Compression::None, Compression::Lz4, Compression::Zstd] {
            let mut sealed = Vec::new();
            Compressor::new(codec, None).seal(&raw, BlockType::Data, 1, 0, &mut sealed).unwrap();
            for bit in 0..sealed.len() * 8 {
                let mut damaged = sealed.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                assert!(unseal(&damaged, BlockType::Data, 1, 0, None).is_err(), "bit {bit}");
            }
            for length in 0..sealed.len() {
                assert!(unseal(&sealed[..length], BlockType::Data, 1, 0, None).is_err());
            }
        }
    }

    #[test]
    fn an_encrypted_block_is_no_text_and_no_forgery() {
        let keys = StoreKeys::for_tests();
        let vfs = MemoryVfs::new();
        let (cipher, _) = keys.new_file(&vfs, "f".as_ref(), KeyedFile::Sstable, 5).unwrap();
        let raw = b"sheaf ".repeat(30);
        for codec in [Compression::None, Compression::Lz4, Compression::Zstd] {
            let mut sealed = vec![1, 2, 3];
            let mut compressor = Compressor::new(codec, Some(cipher.clone()));
            compressor.seal(&raw, BlockType::Data, 5, 3, &mut sealed).unwrap();
            let sealed = sealed.split_off(3);
            let open = |bytes: &[u8], block_type, offset, cipher| {
                unseal(bytes, block_type, 5, offset, cipher).map(self::bytes)
            };
            assert!(!sealed.windows(5).any(|window| window == b"sheaf"));
            assert_eq!(open(&sealed, BlockType::Data, 3, Some(&cipher)).unwrap(), raw);
            assert!(open(&sealed, BlockType::Data, 3, None).is_err());
            // Whoever changes it can compute the checksum anew, but not the tag.
            let resum = |bytes: &mut Vec<u8>, offset| {
                bytes.truncate(bytes.len() - CHECKSUM_BYTES);
                let sum = block_checksum(5, offset, bytes);
                bytes.extend_from_slice(&sum.to_le_bytes());
            };
            for at in 0..sealed.len() - CHECKSUM_BYTES {
                let mut forged = sealed.clone();
                forged[at] ^= 1;
                resum(&mut forged, 3);
                assert!(open(&forged, BlockType::Data, 3, Some(&cipher)).is_err(), "byte {at}");
            }
            let mut moved = sealed.clone();
            resum(&mut moved, 9);
            assert!(open(&moved, BlockType::Data, 9, Some(&cipher)).is_err());
            let mut plain = Vec::new();
            Compressor::new(codec, None).seal(&raw, BlockType::Data, 5, 3, &mut plain).unwrap();
            assert!(open(&plain, BlockType::Data, 3, Some(&cipher)).is_err());
        }
    }

    #[test]
    fn a_decoder_is_given_no_more_room_than_a_block_may_have() {
        assert!(decode(Compression::Lz4, &[0; 4], usize::MAX).is_err());
        for codec in [Compression::Lz4, Compression::Zstd] {
            assert!(decode(codec, b"\x1f\x00\x00\xff\xff\xff", 1 << 20).is_err());
        }
    }
}
