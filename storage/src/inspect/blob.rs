//! Prints a blob file: its header, and what can be told of its length. The records themselves have no directory: where
//! they begin is known to the sstables that refer to them.

use std::io::Write;
use std::path::Path;

use crate::blob::{BLOB_FORMAT_VERSION, BLOB_FORMAT_VERSION_OLDEST, BLOB_HEADER_BYTES};
use crate::coding::{block_checksum, u32_at, u64_at};
use crate::encryption::KEY_BLOCK_BYTES;
use crate::error::{Error, Result};
use crate::inspect::{put, read_at};
use crate::vfs::VfsFile;

pub(super) fn inspect(file: &dyn VfsFile, path: &Path, length: u64, out: &mut dyn Write) -> Result<()> {
    if length < BLOB_HEADER_BYTES as u64 {
        return Err(Error::corruption(path, 0, "file is shorter than a blob file's header"));
    }
    let header = read_at(file, path, 0, BLOB_HEADER_BYTES as u64)?;
    let found = u32_at(&header, 8).unwrap_or_default();
    let (oldest, newest) = (BLOB_FORMAT_VERSION_OLDEST, BLOB_FORMAT_VERSION);
    if !(oldest..=newest).contains(&found) {
        return Err(Error::FormatVersion { file: path.to_path_buf(), found, oldest, newest });
    }
    let file_id = u64_at(&header, 16).unwrap_or_default();
    let covered = header.get(..BLOB_HEADER_BYTES - 8).unwrap_or_default();
    if u64_at(&header, BLOB_HEADER_BYTES - 8) != Some(block_checksum(file_id, 0, covered)) {
        return Err(Error::corruption(path, 0, "blob file header checksum does not match"));
    }
    let (key_bytes, encrypted) =
        if found == BLOB_FORMAT_VERSION { (KEY_BLOCK_BYTES, ", encrypted") } else { (0, "") };
    let records = length.saturating_sub((BLOB_HEADER_BYTES + key_bytes) as u64);
    put(
        out,
        path,
        format_args!("blob file {file_id:010}: {length} bytes, {records} of them records{encrypted}"),
    )
}
