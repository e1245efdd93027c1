//! Prints an sstable: what it is, its figures, its range tombstones, then every block with its entries.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use crate::blob::BlobReference;
use crate::cache::BlockCache;
use crate::encryption::StoreKeys;
use crate::entry::{ValueKind, display_key};
use crate::error::{Error, Result};
use crate::inspect::{file_id_of, put};
use crate::options::ReadMode;
use crate::sstable::block::Block;
use crate::sstable::block_file::{Caching, FileOpener};
use crate::sstable::footer::BlockHandle;
use crate::sstable::reader::TableReader;
use crate::sstable::sealed::BlockType;
use crate::vfs::Vfs;

/// Values are shown up to this many bytes.
const VALUE_SHOWN_BYTES: usize = 32;

pub(super) fn inspect(
    vfs: &Arc<dyn Vfs>,
    path: &Path,
    length: u64,
    keys: Option<Arc<StoreKeys>>,
    out: &mut dyn Write,
) -> Result<()> {
    let unnamed = || Error::invalid(format!("{}: an sstable's name is its number", path.display()));
    let file_id = file_id_of(path).ok_or_else(unnamed)?;
    let opener = FileOpener {
        vfs: Arc::clone(vfs),
        directory: path.parent().unwrap_or(Path::new("")).to_path_buf(),
        cache: Arc::new(BlockCache::new(1 << 20)),
        read_mode: ReadMode::Pread,
        open_files: Arc::default(),
        keys,
        abandoned: Arc::default(),
    };
    let reader = TableReader::open(&opener, file_id, length)?;
    let (footer, properties) = (reader.footer(), reader.properties());
    let encrypted = if footer.encrypted { ", encrypted" } else { "" };
    put(
        out,
        path,
        format_args!("sstable {file_id}: {length} bytes, index levels {}{encrypted}", footer.index_levels),
    )?;
    put(
        out,
        path,
        format_args!("  keys {} .. {}", display_key(&properties.smallest), display_key(&properties.largest)),
    )?;
    put(
        out,
        path,
        format_args!("  timestamps {} .. {}", properties.timestamp_min, properties.timestamp_max),
    )?;
    let (entries, deletes) = (properties.entries, properties.deletes);
    put(
        out,
        path,
        format_args!("  entries {entries}, deletes {deletes}, data blocks {}", properties.data_blocks),
    )?;
    put(
        out,
        path,
        format_args!("  key bytes {}, value bytes {}", properties.key_bytes, properties.value_bytes),
    )?;
    put(out, path, format_args!("  filter {} bytes at {}", footer.filter.length, footer.filter.offset))?;
    for tombstone in reader.range_tombstones().iter().flat_map(|ranges| ranges.iter()) {
        let (start, end) = (display_key(&tombstone.start), display_key(&tombstone.end));
        put(out, path, format_args!("  range delete {start} .. {end} @{}", tombstone.timestamp))?;
    }
    let mut damaged = None;
    for handle in data_handles(&reader, path, out, &mut damaged)? {
        match reader.file().block(handle, BlockType::Data, Caching::Past) {
            Ok(block) => print_block(&block, handle, path, out)?,
            Err(error) => {
                put(out, path, format_args!("  data block at {}: {error}", handle.offset))?;
                damaged = Some(error);
            }
        }
    }
    damaged.map_or(Ok(()), Err)
}

/// The data blocks the index points at; a damaged index partition is printed and passed over.
fn data_handles(
    reader: &TableReader,
    path: &Path,
    out: &mut dyn Write,
    damaged: &mut Option<Error>,
) -> Result<Vec<BlockHandle>> {
    let root = reader.index_handles(reader.index_root())?;
    if reader.footer().index_levels == 1 {
        return Ok(root);
    }
    let mut handles = Vec::new();
    for handle in root {
        let partition = reader.file().block(handle, BlockType::Index, Caching::Past);
        match partition.and_then(|partition| reader.index_handles(&partition)) {
            Ok(found) => handles.extend(found),
            Err(error) => {
                put(out, path, format_args!("  index partition at {}: {error}", handle.offset))?;
                *damaged = Some(error);
            }
        }
    }
    Ok(handles)
}

fn print_block(block: &Block, handle: BlockHandle, path: &Path, out: &mut dyn Write) -> Result<()> {
    let (offset, length) = (handle.offset, handle.length);
    let raw = block.bytes().len();
    put(
        out,
        path,
        format_args!("  data block at {offset}: {length} bytes, {raw} raw, {} entries", block.entries()),
    )?;
    let mut key = Vec::new();
    for at in 0..block.entries() {
        key.clear();
        block.append_key(at, &mut key);
        let value = print_value(block.kind(at), block.value(at));
        put(out, path, format_args!("    {} @{} {value}", display_key(&key), block.timestamp(at)))?;
    }
    Ok(())
}

fn print_value(kind: ValueKind, value: &[u8]) -> String {
    match kind {
        ValueKind::Delete => "delete".to_string(),
        ValueKind::RangeDelete => format!("range delete to {}", display_key(value)),
        ValueKind::Put => match value.get(..VALUE_SHOWN_BYTES) {
            Some(start) if value.len() > VALUE_SHOWN_BYTES => {
                format!("put {}... ({} bytes)", display_key(start), value.len())
            }
            _ => format!("put {}", display_key(value)),
        },
        ValueKind::BlobHandle => match BlobReference::decode(value) {
            Some(reference) => format!(
                "blob {} at {}, {} bytes stored, {} long",
                reference.file_id, reference.record.offset, reference.record.length, reference.value_bytes
            ),
            None => format!("blob reference of another form {}", display_key(value)),
        },
    }
}
