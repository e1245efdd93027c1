//! Bytes from a hostile or broken disk, given to every decoder of the log and the manifest: no panic, no allocation of
//! what they merely claim, and what is accepted encodes back to the same bytes.

use std::path::Path;
use std::sync::Arc;

use sheaf_storage::file_id::FileId;
use sheaf_storage::manifest::{BlobMeta, TableBound, TableMeta, VersionEdit, edit_codec};
use sheaf_storage::wal::chunk::{ChunkContext, frame};
use sheaf_storage::wal::compression::{EncodedOperations, compress};
use sheaf_storage::wal::header::LogHeader;
use sheaf_storage::wal::reader::{LogEnd, LogReader};
use sheaf_storage::wal::record::{Record, RecordHead, RecordKind, decode, encode_head, encode_operations};
use sheaf_storage::{Timestamp, WalCompression, WriteBatch};

use crate::fixture::{Dice, deep, memory};

fn record(dice: &mut Dice) -> Vec<u8> {
    let mut bytes = Vec::new();
    let timestamp = Timestamp(dice.below(u64::MAX));
    let head = RecordHead {
        kind: RecordKind::Batch,
        compressed: false,
        group: dice.below(3),
        term: 1,
        index: dice.below(1 << 40),
        timestamp,
    };
    let mut operations = WriteBatch::new();
    for number in 0..dice.below(5) {
        match dice.below(3) {
            0 => operations.put(vec![1; number as usize + 1], vec![2; dice.below(300) as usize]),
            1 => operations.delete([3; 4]),
            _ => operations.delete_range([1], [2]),
        }
    }
    let compression = match dice.below(2) {
        0 => WalCompression::None,
        _ => WalCompression::Lz4 { entry_bytes_min: 0 },
    };
    let encoded = EncodedOperations::new(operations.reduce(), compression);
    encode_head(&mut bytes, &RecordHead { compressed: encoded.is_compressed(), ..head });
    bytes.extend_from_slice(encoded.bytes());
    bytes
}

/// Whether a record that was read from these bytes has them as its stored form, or, compressed, gives itself back: one record
/// has many compressed forms.
fn comes_back(record: &Record, bytes: &[u8]) -> bool {
    let (mut again, mut plain) = (Vec::new(), Vec::new());
    encode_head(&mut again, &record.head);
    encode_operations(&mut plain, &record.operations);
    if !record.head.compressed {
        again.append(&mut plain);
        return again == bytes;
    }
    compress(&plain).is_none_or(|compressed| {
        again.extend_from_slice(&compressed);
        decode(&again).as_ref() == Some(record)
    })
}

fn edit(dice: &mut Dice) -> Vec<u8> {
    let meta = TableMeta {
        file_id: FileId(dice.below(1 << 50)),
        size_bytes: dice.below(u64::MAX),
        checksum: 7,
        smallest: vec![1; dice.below(20) as usize],
        largest: TableBound { key: vec![9; 3], exclusive: dice.below(2) == 0 },
        entries: 1,
        tombstones: 0,
        range_tombstones: 0,
        oldest: Timestamp(1),
        newest: Timestamp(2),
        epoch: 3,
        fixed_timestamp: None,
        blob_references: vec![(FileId(1), 2); dice.below(4) as usize],
    };
    let blob = BlobMeta { file_id: FileId(1), size_bytes: 2, checksum: 3, values: 4, value_bytes: 5 };
    edit_codec::encode(&VersionEdit {
        added_tables: vec![(dice.below(7) as usize, meta)],
        added_blobs: vec![blob],
        applied_index: Some(dice.below(1 << 60)),
        ..VersionEdit::default()
    })
}

/// Flips, cuts, doubles, and overwrites with large numbers.
fn mutate(dice: &mut Dice, bytes: &mut Vec<u8>) {
    for _ in 0..1 + dice.below(4) {
        if bytes.is_empty() {
            return;
        }
        let at = dice.below(bytes.len() as u64) as usize;
        match dice.below(5) {
            0 => bytes[at] ^= 1 << dice.below(8),
            1 => bytes.truncate(at),
            2 => bytes[at] = 0xff,
            3 => {
                let tail = bytes[at..].to_vec();
                bytes.extend_from_slice(&tail);
            }
            _ => bytes.splice(at..at, [0xff; 9]).for_each(drop),
        }
    }
}

/// Frames records, damages the file, and reads it to its end or its error.
fn read_damaged_log(dice: &mut Dice) {
    let context = ChunkContext::new(5, 1);
    let mut bytes = vec![0; 64];
    for _ in 0..dice.below(6) {
        let synced = dice.below(bytes.len() as u64 + 1);
        let record = vec![1; dice.below(2_000) as usize];
        frame(&mut bytes, 0, context, [&record, &[]], synced);
    }
    mutate(dice, &mut bytes);
    let (_, vfs) = memory();
    let path = Path::new("/log");
    vfs.create(path).unwrap().append(&bytes).unwrap();
    let near = dice.below(bytes.len() as u64 + 10);
    let end = [LogEnd::Unknown, LogEnd::At(near), LogEnd::AtMost(near)][dice.below(3) as usize];
    let file = Arc::clone(&vfs).open_read(path).unwrap();
    let Ok(mut reader) = LogReader::new(file, path, context, None, end) else { return };
    while let Ok(Some(_)) = reader.next_record() {
        assert!(reader.end() <= bytes.len() as u64);
    }
}

#[test]
fn deep_hostile() {
    let rounds = if deep() { 1_000_000 } else { 20_000 };
    let mut dice = Dice::new(77);
    let (mut accepted, mut compressed, mut logs) = (0_u64, 0_u64, 0_u64);
    for round in 0..rounds {
        let mut bytes = record(&mut dice);
        mutate(&mut dice, &mut bytes);
        if let Some(record) = decode(&bytes) {
            assert!(comes_back(&record, &bytes), "{record:?} from {bytes:?}");
            accepted += 1;
            compressed += u64::from(record.head.compressed);
        }
        let mut bytes = edit(&mut dice);
        mutate(&mut dice, &mut bytes);
        accepted += u64::from(edit_codec::decode(&bytes).is_some());
        let head: Vec<u8> = (0..64).map(|_| dice.below(256) as u8).collect();
        assert_eq!(LogHeader::decode(&head, Path::new("x")).unwrap(), None);
        if round % 10 == 0 {
            read_damaged_log(&mut dice);
            logs += 1;
        }
    }
    println!("stage hostile: {rounds} records and edits, {accepted} still valid, {logs} damaged logs");
    assert!(accepted > compressed && compressed > 0, "{accepted}, {compressed} of them compressed");
}
