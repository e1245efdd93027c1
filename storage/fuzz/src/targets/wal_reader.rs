//! A log file of well-framed records, then damaged: the reader ends with the records before the damage or an error, and
//! what a record decodes to encodes back to its bytes.

use std::path::Path;
use std::sync::Arc;

use sheaf_storage::wal::chunk::{ChunkContext, frame};
use sheaf_storage::wal::compression::compress;
use sheaf_storage::wal::header::LogHeader;
use sheaf_storage::wal::reader::{LogEnd, LogReader};
use sheaf_storage::wal::record::{Record, decode, encode_head, encode_operations};

use super::choices::{Choices, file};

/// A plain record encodes back to its bytes; a compressed one, which has many forms, gives itself back.
fn check_decoded(decoded: &Record, record: &[u8]) {
    let (mut again, mut plain) = (Vec::new(), Vec::new());
    encode_head(&mut again, &decoded.head);
    encode_operations(&mut plain, &decoded.operations);
    if !decoded.head.compressed {
        again.extend_from_slice(&plain);
        assert_eq!(again, record, "a record that does not encode back");
    } else if let Some(compressed) = compress(&plain) {
        again.extend_from_slice(&compressed);
        assert_eq!(decode(&again).as_ref(), Some(decoded), "a compressed record that does not come back");
    }
}

/// One input.
pub fn run(data: &[u8]) {
    let path = Path::new("/log");
    let context = ChunkContext::new(5, 1);
    let mut choices = Choices::new(data);
    let mut bytes = vec![0; 64];
    let (records, damage) = (choices.byte() % 8, choices.byte() % 8);
    let mut framed = Vec::new();
    for _ in 0..records {
        let synced = choices.short() as u64 % (bytes.len() as u64 + 1);
        let length = choices.short() % 3_000;
        let record = choices.take(length);
        if let Some(decoded) = decode(record) {
            check_decoded(&decoded, record);
        }
        frame(&mut bytes, 0, context, [record, &[]], synced);
        framed.push(record);
    }
    for _ in 0..damage {
        let at = choices.short() % bytes.len();
        match choices.byte() % 3 {
            0 => bytes[at] ^= choices.byte(),
            1 => bytes.truncate(at.max(1)),
            _ => {
                let length = choices.short() % 64;
                bytes.splice(at..at, choices.take(length).iter().copied());
            }
        }
    }
    let end = match choices.byte() % 3 {
        0 => LogEnd::Unknown,
        1 => LogEnd::At(choices.short() as u64),
        _ => LogEnd::AtMost(choices.short() as u64),
    };
    let vfs = file(path, &bytes);
    let Ok(opened) = Arc::clone(&vfs).open_read(path) else { return };
    let head = bytes.get(..64).unwrap_or_default();
    let _ = LogHeader::decode(head, path);
    let Ok(mut reader) = LogReader::new(opened, path, context, None, end) else { return };
    let mut read = 0;
    while let Ok(Some((_, record))) = reader.next_record() {
        if damage == 0 {
            assert_eq!(Some(&record), framed.get(read), "another record than was written");
        }
        read += 1;
        assert!(reader.end() <= bytes.len() as u64);
    }
}
