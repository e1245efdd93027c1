//! The fixed end of an sstable: where its parts are, which file it is, which format it has (FORMAT.md, "Footer").

use std::path::Path;

use crate::coding::{block_checksum, put_varint, take_u8, take_u16, take_u32, take_u64, take_varint};
use crate::encryption::KEY_BLOCK_BYTES;
use crate::error::{Error, Result};

/// `SHEAFSST` as it stands in the file.
pub const SSTABLE_MAGIC: [u8; 8] = *b"SHEAFSST";
/// The format of sstables in the open, and the oldest there is.
pub const SSTABLE_FORMAT_VERSION_OLDEST: u32 = 1;
/// The format of encrypted sstables, and the newest there is.
pub const SSTABLE_FORMAT_VERSION: u32 = 2;
const AES_256_GCM: u8 = 1;

const HANDLE_BYTES: usize = 12;
const HANDLES: usize = 4;
/// File id, four handles, index levels, cipher, reserved: what the checksum covers, with the format version.
const COVERED_BYTES: usize = 8 + HANDLES * HANDLE_BYTES + 1 + 1 + 2 + 4;
/// Bytes of the footer.
pub const FOOTER_BYTES: usize = COVERED_BYTES + 8 + 8;

/// Where a sealed block lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockHandle {
    /// Of its first byte in the file.
    pub offset: u64,
    /// With its seal; 0 for a block that is absent.
    pub length: u32,
}

impl BlockHandle {
    /// Appends the form index entries hold.
    pub fn put(self, out: &mut Vec<u8>) {
        put_varint(out, self.offset);
        put_varint(out, u64::from(self.length));
    }

    /// Reads the form index entries hold; nothing may follow.
    pub fn read(mut bytes: &[u8]) -> Option<BlockHandle> {
        let offset = take_varint(&mut bytes)?;
        let length = u32::try_from(take_varint(&mut bytes)?).ok()?;
        bytes.is_empty().then_some(BlockHandle { offset, length })
    }

    /// Whether there is such a block.
    pub fn exists(self) -> bool {
        self.length > 0
    }

    /// The first byte behind it.
    pub fn end(self) -> Option<u64> {
        self.offset.checked_add(u64::from(self.length))
    }

    fn put_fixed(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.offset.to_le_bytes());
        out.extend_from_slice(&self.length.to_le_bytes());
    }

    fn take_fixed(bytes: &mut &[u8]) -> Option<BlockHandle> {
        Some(BlockHandle { offset: take_u64(bytes)?, length: take_u32(bytes)? })
    }
}

/// The footer's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footer {
    /// The file's number, so that a file under another's name is noticed.
    pub file_id: u64,
    /// The root of the index.
    pub index: BlockHandle,
    /// The filter, if any.
    pub filter: BlockHandle,
    /// The range tombstones, if any.
    pub range_tombstones: BlockHandle,
    /// The properties.
    pub properties: BlockHandle,
    /// 1 when the root points at data blocks, 2 when it points at index blocks that do.
    pub index_levels: u8,
    /// Whether the blocks are encrypted; the key block is then right before the footer.
    pub encrypted: bool,
}

impl Footer {
    /// Appends the footer.
    pub fn put(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.file_id.to_le_bytes());
        for handle in [self.index, self.filter, self.range_tombstones, self.properties] {
            handle.put_fixed(out);
        }
        let (cipher, version) = match self.encrypted {
            true => (AES_256_GCM, SSTABLE_FORMAT_VERSION),
            false => (0, SSTABLE_FORMAT_VERSION_OLDEST),
        };
        out.extend_from_slice(&[self.index_levels, cipher, 0, 0]);
        out.extend_from_slice(&version.to_le_bytes());
        let checksum = block_checksum(self.file_id, 0, out.get(start..).unwrap_or_default());
        out.extend_from_slice(&checksum.to_le_bytes());
        out.extend_from_slice(&SSTABLE_MAGIC);
    }

    /// Reads the footer from the last bytes of `file`, which is `file_bytes` long and should be number `file_id`.
    pub fn read(bytes: &[u8], file: &Path, file_bytes: u64, file_id: u64) -> Result<Footer> {
        let offset = file_bytes.saturating_sub(FOOTER_BYTES as u64);
        let wrong = |what: &str| Error::corruption(file, offset, format!("sstable footer: {what}"));
        let Some((covered, mut tail)) = bytes.split_at_checked(COVERED_BYTES) else {
            return Err(wrong("too short"));
        };
        let checksum = take_u64(&mut tail);
        if tail != SSTABLE_MAGIC {
            return Err(wrong("not an sstable"));
        }
        let mut version = covered.get(COVERED_BYTES - 4..).unwrap_or_default();
        let found = take_u32(&mut version).ok_or_else(|| wrong("too short"))?;
        if checksum != Some(block_checksum(file_id, 0, covered)) {
            return Err(wrong("checksum does not match"));
        }
        let (oldest, newest) = (SSTABLE_FORMAT_VERSION_OLDEST, SSTABLE_FORMAT_VERSION);
        if !(oldest..=newest).contains(&found) {
            return Err(Error::FormatVersion { file: file.to_path_buf(), found, oldest, newest });
        }
        let footer = Self::read_fields(covered).ok_or_else(|| wrong("unknown fields"))?;
        let blocks_end = offset.saturating_sub(if footer.encrypted { KEY_BLOCK_BYTES as u64 } else { 0 });
        if footer.file_id != file_id {
            return Err(wrong("belongs to another file"));
        }
        for handle in [footer.index, footer.filter, footer.range_tombstones, footer.properties] {
            if handle.end().is_none_or(|end| end > blocks_end) {
                return Err(wrong("a block reaches past the footer"));
            }
        }
        if !footer.index.exists() || !footer.properties.exists() {
            return Err(wrong("index or properties are absent"));
        }
        Ok(footer)
    }

    fn read_fields(mut bytes: &[u8]) -> Option<Footer> {
        let file_id = take_u64(&mut bytes)?;
        let index = BlockHandle::take_fixed(&mut bytes)?;
        let filter = BlockHandle::take_fixed(&mut bytes)?;
        let range_tombstones = BlockHandle::take_fixed(&mut bytes)?;
        let properties = BlockHandle::take_fixed(&mut bytes)?;
        let index_levels = take_u8(&mut bytes)?;
        let cipher = take_u8(&mut bytes)?;
        let reserved = take_u16(&mut bytes)?;
        let encrypted = match (cipher, take_u32(&mut bytes)?) {
            (0, SSTABLE_FORMAT_VERSION_OLDEST) => false,
            (AES_256_GCM, SSTABLE_FORMAT_VERSION) => true,
            _ => return None,
        };
        if !matches!(index_levels, 1 | 2) || reserved != 0 {
            return None;
        }
        Some(Footer { file_id, index, filter, range_tombstones, properties, index_levels, encrypted })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_footer_comes_back_and_any_change_is_an_error() {
        let handle = |offset| BlockHandle { offset, length: 30 };
        let footer = Footer {
            file_id: 12,
            index: handle(0),
            filter: BlockHandle::default(),
            range_tombstones: handle(30),
            properties: handle(60),
            index_levels: 1,
            encrypted: false,
        };
        let mut bytes = Vec::new();
        footer.put(&mut bytes);
        assert_eq!(bytes.len(), FOOTER_BYTES);
        let file_bytes = 90 + FOOTER_BYTES as u64;
        let read = |bytes: &[u8], file_id| Footer::read(bytes, Path::new("f"), file_bytes, file_id);
        assert_eq!(read(&bytes, 12).unwrap(), footer);
        assert!(read(&bytes, 13).is_err());
        assert!(
            Footer::read(&bytes, Path::new("f"), file_bytes - 1, 12).is_err(),
            "a block reaches past the footer"
        );
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&damaged, 12).is_err(), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length], 12).is_err());
        }
    }

    #[test]
    fn a_footer_whose_checksum_is_right_must_make_sense_as_well() {
        let handle = |offset| BlockHandle { offset, length: 30 };
        let right = Footer {
            file_id: 12,
            index: handle(0),
            filter: handle(30),
            range_tombstones: BlockHandle::default(),
            properties: handle(60),
            index_levels: 2,
            encrypted: false,
        };
        let read = |footer: &Footer, file_id| {
            let mut bytes = Vec::new();
            footer.put(&mut bytes);
            Footer::read(&bytes, Path::new("f"), 90 + FOOTER_BYTES as u64, file_id)
        };
        assert_eq!(read(&right, 12).unwrap(), right);
        let beyond = BlockHandle { offset: 61, length: 30 };
        let endless = BlockHandle { offset: u64::MAX, length: 2 };
        let none = BlockHandle::default();
        let wrong = [
            (Footer { index_levels: 0, ..right }, "unknown fields"),
            (Footer { index_levels: 3, ..right }, "unknown fields"),
            (Footer { index: none, ..right }, "absent"),
            (Footer { properties: none, ..right }, "absent"),
            (Footer { index: beyond, ..right }, "past the footer"),
            (Footer { filter: beyond, ..right }, "past the footer"),
            (Footer { range_tombstones: endless, ..right }, "past the footer"),
            (Footer { properties: endless, ..right }, "past the footer"),
            // The key block lies where the last block is.
            (Footer { encrypted: true, ..right }, "past the footer"),
        ];
        for (footer, what) in wrong {
            let error = read(&footer, 12).unwrap_err().to_string();
            assert!(error.contains(what), "{what}: {error}");
        }
        for (footer, file_id) in [(right, 13), (Footer { file_id: 13, ..right }, 12)] {
            assert!(matches!(read(&footer, file_id), Err(Error::Corruption { .. })));
        }
    }
}
