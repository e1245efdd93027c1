//! Large values in files of their own, referred to by handles from sstables.
//!
//! A compaction moves keys and small values many times; a large value it moves as a reference of a few bytes. Values are
//! separated when a memtable is flushed or a table is compacted, in the order of their keys, so that a scan reads a blob
//! file nearly from front to end. Every sstable knows how many bytes of which blob file it refers to; the sum over a
//! version's tables is what is alive in the file, and a file nobody refers to is deleted. FORMAT.md, "Blob file".

mod reader;
mod reference;
mod writer;

pub use reader::BlobReader;
pub use reference::BlobReference;
pub use writer::BlobWriter;

/// `SHEAFBLB` as it stands in the file.
pub const BLOB_MAGIC: [u8; 8] = *b"SHEAFBLB";
/// The format of blob files in the open, and the oldest there is.
pub const BLOB_FORMAT_VERSION_OLDEST: u32 = 1;
/// The format of encrypted blob files, and the newest there is.
pub const BLOB_FORMAT_VERSION: u32 = 2;
/// Magic, format version, cipher, file id, checksum.
pub const BLOB_HEADER_BYTES: usize = 8 + 4 + 4 + 8 + 8;
