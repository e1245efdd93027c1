//! The stored form of a version edit. See FORMAT.md, "Version edits".
//!
//! An edit is a sequence of fields: a varint tag, then the field's bytes behind their varint length. Tags are never
//! reused, 0 is reserved, and a tag this build does not know is an error: every field changes what the version means.

use crate::coding::{put_bytes, put_varint, take, take_bytes, take_u8, take_varint};
use crate::file_id::FileId;
use crate::limits::LEVELS;
use crate::manifest::version_edit::{BlobMeta, TableBound, TableMeta, VersionEdit};
use crate::timestamp::Timestamp;
use crate::wal::log::LogPosition;

const ADDED_TABLE: u64 = 1;
const REMOVED_TABLE: u64 = 2;
const ADDED_BLOB: u64 = 3;
const REMOVED_BLOB: u64 = 4;
const NEXT_FILE: u64 = 5;
const NEXT_EPOCH: u64 = 6;
const LOG_SEGMENT: u64 = 7;
const APPLIED_INDEX: u64 = 8;
const LAST_TIMESTAMP: u64 = 9;
const HISTORY_FLOOR: u64 = 10;
const LOG_PROMISE: u64 = 11;
const FIXED_TIMESTAMP: u64 = 12;
const LOG_START: u64 = 13;
const LOG_BEGIN: u64 = 14;

/// The stored form.
pub fn encode(edit: &VersionEdit) -> Vec<u8> {
    let mut out = Vec::new();
    let mut body = Vec::new();
    let mut field = |tag: u64, fill: &dyn Fn(&mut Vec<u8>)| {
        body.clear();
        fill(&mut body);
        put_varint(&mut out, tag);
        put_bytes(&mut out, &body);
    };
    for (level, meta) in &edit.added_tables {
        field(ADDED_TABLE, &|body| encode_table(body, *level, meta));
        if let Some(timestamp) = meta.fixed_timestamp {
            field(FIXED_TIMESTAMP, &|body| {
                put_varint(body, meta.file_id.0);
                put_varint(body, timestamp.0);
            });
        }
    }
    for (level, id) in &edit.removed_tables {
        field(REMOVED_TABLE, &|body| {
            put_varint(body, *level as u64);
            put_varint(body, id.0);
        });
    }
    for meta in &edit.added_blobs {
        field(ADDED_BLOB, &|body| encode_blob(body, meta));
    }
    for id in &edit.removed_blobs {
        field(REMOVED_BLOB, &|body| put_varint(body, id.0));
    }
    let numbers = [
        (NEXT_FILE, edit.next_file.map(|id| id.0)),
        (NEXT_EPOCH, edit.next_epoch),
        (LOG_SEGMENT, edit.log_segment),
        (APPLIED_INDEX, edit.applied_index),
        (LAST_TIMESTAMP, edit.last_timestamp.map(|timestamp| timestamp.0)),
        (HISTORY_FLOOR, edit.history_floor.map(|timestamp| timestamp.0)),
    ];
    for (tag, number) in numbers {
        if let Some(number) = number {
            field(tag, &|body| put_varint(body, number));
        }
    }
    for (tag, position) in [(LOG_PROMISE, edit.log_promise), (LOG_START, edit.log_start)] {
        if let Some(position) = position {
            field(tag, &|body| {
                put_varint(body, position.segment);
                put_varint(body, position.offset);
            });
        }
    }
    if let Some(number) = edit.log_begin {
        field(LOG_BEGIN, &|body| put_varint(body, number));
    }
    out
}

/// Appends an sstable.
fn encode_table(out: &mut Vec<u8>, level: usize, meta: &TableMeta) {
    for number in [level as u64, meta.file_id.0, meta.size_bytes] {
        put_varint(out, number);
    }
    out.extend_from_slice(&meta.checksum.to_le_bytes());
    put_bytes(out, &meta.smallest);
    put_bytes(out, &meta.largest.key);
    out.push(u8::from(meta.largest.exclusive));
    let numbers = [
        meta.entries,
        meta.tombstones,
        meta.range_tombstones,
        meta.oldest.0,
        meta.newest.0,
        meta.epoch,
        meta.blob_references.len() as u64,
    ];
    numbers.into_iter().for_each(|number| put_varint(out, number));
    for (id, bytes) in &meta.blob_references {
        put_varint(out, id.0);
        put_varint(out, *bytes);
    }
}

/// Appends a blob file.
fn encode_blob(out: &mut Vec<u8>, meta: &BlobMeta) {
    put_varint(out, meta.file_id.0);
    put_varint(out, meta.size_bytes);
    out.extend_from_slice(&meta.checksum.to_le_bytes());
    put_varint(out, meta.values);
    put_varint(out, meta.value_bytes);
}

/// Reads an edit; `None` if the bytes are not exactly one.
pub fn decode(mut bytes: &[u8]) -> Option<VersionEdit> {
    let mut edit = VersionEdit::default();
    while !bytes.is_empty() {
        let tag = take_varint(&mut bytes)?;
        let mut body = take_bytes(&mut bytes)?;
        decode_field(&mut edit, tag, &mut body)?;
        if !body.is_empty() {
            return None;
        }
    }
    Some(edit)
}

/// Reads one field.
fn decode_field(edit: &mut VersionEdit, tag: u64, body: &mut &[u8]) -> Option<()> {
    match tag {
        ADDED_TABLE => edit.added_tables.push(decode_table(body)?),
        REMOVED_TABLE => edit.removed_tables.push((take_level(body)?, FileId(take_varint(body)?))),
        ADDED_BLOB => edit.added_blobs.push(decode_blob(body)?),
        REMOVED_BLOB => edit.removed_blobs.push(FileId(take_varint(body)?)),
        NEXT_FILE => edit.next_file = Some(FileId(take_varint(body)?)),
        NEXT_EPOCH => edit.next_epoch = Some(take_varint(body)?),
        LOG_SEGMENT => edit.log_segment = Some(take_varint(body)?),
        APPLIED_INDEX => edit.applied_index = Some(take_varint(body)?),
        LAST_TIMESTAMP => edit.last_timestamp = Some(Timestamp(take_varint(body)?)),
        HISTORY_FLOOR => edit.history_floor = Some(Timestamp(take_varint(body)?)),
        FIXED_TIMESTAMP => {
            let (id, timestamp) = (FileId(take_varint(body)?), Timestamp(take_varint(body)?));
            let (_, meta) = edit.added_tables.last_mut().filter(|(_, meta)| meta.file_id == id)?;
            meta.fixed_timestamp = Some(timestamp);
        }
        LOG_PROMISE => edit.log_promise = Some(take_position(body)?),
        LOG_START => edit.log_start = Some(take_position(body)?),
        LOG_BEGIN => edit.log_begin = Some(take_varint(body)?),
        _ => return None,
    }
    Some(())
}

/// Reads a place in the log.
fn take_position(body: &mut &[u8]) -> Option<LogPosition> {
    Some(LogPosition { segment: take_varint(body)?, offset: take_varint(body)? })
}

/// Reads a level that exists.
fn take_level(body: &mut &[u8]) -> Option<usize> {
    let level = usize::try_from(take_varint(body)?).ok()?;
    (level < LEVELS).then_some(level)
}

/// Reads 16 bytes, little-endian.
fn take_u128(body: &mut &[u8]) -> Option<u128> {
    Some(u128::from_le_bytes(take(body, 16)?.try_into().ok()?))
}

/// Reads an sstable.
fn decode_table(body: &mut &[u8]) -> Option<(usize, TableMeta)> {
    let level = take_level(body)?;
    let file_id = FileId(take_varint(body)?);
    let size_bytes = take_varint(body)?;
    let checksum = take_u128(body)?;
    let smallest = take_bytes(body)?.to_vec();
    let key = take_bytes(body)?.to_vec();
    let exclusive = match take_u8(body)? {
        0 => false,
        1 => true,
        _ => return None,
    };
    let mut meta = TableMeta {
        file_id,
        size_bytes,
        checksum,
        smallest,
        largest: TableBound { key, exclusive },
        entries: take_varint(body)?,
        tombstones: take_varint(body)?,
        range_tombstones: take_varint(body)?,
        oldest: Timestamp(take_varint(body)?),
        newest: Timestamp(take_varint(body)?),
        epoch: take_varint(body)?,
        fixed_timestamp: None,
        blob_references: Vec::new(),
    };
    for _ in 0..take_varint(body)? {
        meta.blob_references.push((FileId(take_varint(body)?), take_varint(body)?));
    }
    Some((level, meta))
}

/// Reads a blob file.
fn decode_blob(body: &mut &[u8]) -> Option<BlobMeta> {
    Some(BlobMeta {
        file_id: FileId(take_varint(body)?),
        size_bytes: take_varint(body)?,
        checksum: take_u128(body)?,
        values: take_varint(body)?,
        value_bytes: take_varint(body)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_comes_back_and_cut_ones_do_not() {
        let meta = TableMeta {
            file_id: FileId(7),
            size_bytes: 1 << 40,
            checksum: u128::MAX - 5,
            smallest: b"a".to_vec(),
            largest: TableBound { key: b"zz".to_vec(), exclusive: true },
            entries: 3,
            tombstones: 1,
            range_tombstones: 2,
            oldest: Timestamp(4),
            newest: Timestamp(u64::MAX),
            epoch: 9,
            fixed_timestamp: Some(Timestamp(77)),
            blob_references: vec![(FileId(3), 100), (FileId(4), 0)],
        };
        let blob =
            BlobMeta { file_id: FileId(3), size_bytes: 1, checksum: 2, values: 3, value_bytes: u64::MAX };
        let edit = VersionEdit {
            added_tables: vec![(6, meta)],
            removed_tables: vec![(0, FileId(1))],
            added_blobs: vec![blob],
            removed_blobs: vec![FileId(2)],
            next_file: Some(FileId(8)),
            next_epoch: Some(10),
            log_segment: Some(11),
            applied_index: Some(12),
            last_timestamp: Some(Timestamp(13)),
            history_floor: Some(Timestamp(14)),
            log_promise: Some(LogPosition { segment: 15, offset: 1 << 33 }),
            log_start: Some(LogPosition { segment: 16, offset: 1 << 34 }),
            log_begin: Some(17),
        };
        let bytes = encode(&edit);
        assert_eq!(decode(&bytes), Some(edit));
        let whole_fields = (0..bytes.len()).filter(|&length| decode(&bytes[..length]).is_some()).count();
        assert_eq!(whole_fields, 14, "a cut is noticed anywhere but between two fields");
        assert_eq!(decode(&[99, 0]), None);
        assert_eq!(decode(&[2, 2, 7, 1]), None, "there is no level 7");
    }
}
