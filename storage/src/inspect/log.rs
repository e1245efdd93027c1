//! Prints a log segment, a manifest or the file `STORE`: the head, then every record or edit up to the end of the log, and
//! why it ends there.

use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use crate::encryption::StoreKeys;
use crate::entry::display_key;
use crate::error::{Error, Result};
use crate::inspect::put;
use crate::manifest::{TableMeta, VersionEdit, edit_codec};
use crate::vfs::VfsFile;
use crate::wal::chunk::ChunkContext;
use crate::wal::head;
use crate::wal::header::{LogHeader, LogKind, LogRung};
use crate::wal::reader::{LogEnd, LogReader};
use crate::wal::record::{self, Record, RecordKind, encode_head, encode_operations};
use crate::write_batch::Operation;

/// Values are shown up to this many bytes.
const VALUE_SHOWN_BYTES: usize = 32;

pub(super) fn inspect(
    file: Arc<dyn VfsFile>,
    path: &Path,
    first_bytes: &[u8],
    keys: Option<&StoreKeys>,
    out: &mut dyn Write,
) -> Result<()> {
    let damaged = || Error::corruption(path, 0, "the head of the log file is damaged");
    let header = LogHeader::decode(first_bytes, path)?.ok_or_else(damaged)?;
    let identity = header.identity;
    let encrypted = if header.encrypted { ", encrypted" } else { "" };
    let compressed = match header.rung {
        LogRung::Plain => "",
        LogRung::Compressed => ", records may be compressed",
        LogRung::Early => ", records may be compressed and segments begun early",
    };
    let early = if header.begun_early { ", begun early" } else { "" };
    match header.kind {
        LogKind::Store => {
            return put(out, path, format_args!("store {identity:032x}{encrypted}{compressed}"));
        }
        LogKind::StoreOfTablets => {
            let kind = "of several tablets";
            return put(out, path, format_args!("store {identity:032x} {kind}{encrypted}{compressed}"));
        }
        LogKind::Segment => put(
            out,
            path,
            format_args!(
                "log segment {} of store {identity:032x}, after segment {} ending at {}{encrypted}{compressed}{early}",
                header.number, header.previous, header.previous_end
            ),
        )?,
        LogKind::Manifest => {
            put(out, path, format_args!("manifest {} of store {identity:032x}{encrypted}", header.number))?;
        }
    }
    let length = file.len().map_err(|error| Error::io("measure", path, error))?;
    let context = ChunkContext::new(identity, header.number);
    let (_, cipher) = head::read(&*file, path, keys)?.ok_or_else(damaged)?;
    let first = head::first_chunk_offset(cipher.is_some());
    let mut reader = LogReader::new(file, path, context, cipher, LogEnd::Unknown)?;
    while let Some((offset, bytes)) = reader.next_record()? {
        if header.kind == LogKind::Manifest {
            let wrong = || Error::corruption(path, offset, "a manifest record is no version edit");
            print_edit(&edit_codec::decode(bytes).ok_or_else(wrong)?, offset, path, out)?;
        } else {
            let wrong = || Error::corruption(path, offset, "a log record does not decode");
            let record = record::decode(bytes).ok_or_else(wrong)?;
            print_record(&record, bytes.len(), offset, path, out)?;
        }
    }
    let end = reader.end().max(first);
    put(out, path, format_args!("  ends at {end} of {length} bytes"))
}

/// Prints a record of `stored_bytes`, and what it would take without compression.
fn print_record(
    record: &Record,
    stored_bytes: usize,
    offset: u64,
    path: &Path,
    out: &mut dyn Write,
) -> Result<()> {
    let head = &record.head;
    let kind = match head.kind {
        RecordKind::Batch => "batch",
        RecordKind::Again => "batch again",
    };
    let place = format!("group {} term {} index {} @{}", head.group, head.term, head.index, head.timestamp);
    let compressed = if head.compressed {
        let mut plain = Vec::new();
        encode_head(&mut plain, head);
        encode_operations(&mut plain, &record.operations);
        format!(", {} bytes compressed to {stored_bytes}", plain.len())
    } else {
        String::new()
    };
    put(out, path, format_args!("  {offset}: {kind} {place}{compressed}"))?;
    for operation in record.operations.operations() {
        let line = match operation {
            Operation::Put { key, value } => format!("put {} {}", display_key(key), display_value(value)),
            Operation::Delete { key } => format!("delete {}", display_key(key)),
            Operation::DeleteRange { lower, upper } => {
                format!("delete range {} .. {}", display_key(lower), display_key(upper))
            }
        };
        put(out, path, format_args!("    {line}"))?;
    }
    Ok(())
}

fn display_value(value: &[u8]) -> String {
    match value.get(..VALUE_SHOWN_BYTES) {
        Some(start) if value.len() > VALUE_SHOWN_BYTES => {
            format!("{}... ({} bytes)", display_key(start), value.len())
        }
        _ => display_key(value),
    }
}

fn print_edit(edit: &VersionEdit, offset: u64, path: &Path, out: &mut dyn Write) -> Result<()> {
    let mut head = format!("  {offset}: edit");
    let mut note = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            // Writing to a string does not fail.
            let _infallible = write!(head, " {name} {value}");
        }
    };
    note("next file", edit.next_file.map(|id| id.0.to_string()));
    note("next epoch", edit.next_epoch.map(|epoch| epoch.to_string()));
    note("log segment", edit.log_segment.map(|number| number.to_string()));
    note("applied index", edit.applied_index.map(|index| index.to_string()));
    note("last timestamp", edit.last_timestamp.map(|timestamp| timestamp.to_string()));
    note("history floor", edit.history_floor.map(|timestamp| timestamp.to_string()));
    note("log promise", edit.log_promise.map(|at| format!("segment {} offset {}", at.segment, at.offset)));
    note("log start", edit.log_start.map(|at| format!("segment {} offset {}", at.segment, at.offset)));
    note("log begin", edit.log_begin.map(|number| number.to_string()));
    put(out, path, format_args!("{head}"))?;
    for (level, id) in &edit.removed_tables {
        put(out, path, format_args!("    - L{level} sstable {id}"))?;
    }
    for (level, meta) in &edit.added_tables {
        put(out, path, format_args!("    + L{level} {}", display_table(meta)))?;
    }
    for id in &edit.removed_blobs {
        put(out, path, format_args!("    - blob file {id}"))?;
    }
    for meta in &edit.added_blobs {
        let (id, values, bytes) = (meta.file_id, meta.values, meta.size_bytes);
        put(out, path, format_args!("    + blob file {id}: {bytes} bytes, {values} values"))?;
    }
    Ok(())
}

fn display_table(meta: &TableMeta) -> String {
    let end = if meta.largest.exclusive { " (exclusive)" } else { "" };
    let mut text = format!(
        "sstable {}: {} bytes, epoch {}, {} .. {}{end}, @{} .. {}, {} entries, {} deletes, {} range deletes",
        meta.file_id,
        meta.size_bytes,
        meta.epoch,
        display_key(&meta.smallest),
        display_key(&meta.largest.key),
        meta.oldest,
        meta.newest,
        meta.entries,
        meta.tombstones,
        meta.range_tombstones
    );
    for (id, bytes) in &meta.blob_references {
        let _infallible = write!(text, ", {bytes} bytes in blob file {id}");
    }
    text
}
