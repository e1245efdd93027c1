//! Torn tails end the log; damage that can be proven is an error.

#![expect(clippy::cast_possible_truncation, reason = "offsets in files of a few blocks")]

use std::path::Path;

use super::*;
use crate::vfs::{MemoryVfs, Vfs};
use crate::wal::chunk::frame;
use crate::wal::header::HEADER_BYTES;

const CONTEXT: (u128, u64) = (5, 1);

/// A file of `records`, each framed with the promise that everything before it was synced.
fn log(records: &[Vec<u8>], promise: bool) -> (Vec<u8>, Vec<u64>) {
    let mut bytes = vec![0xee; HEADER_BYTES];
    let mut starts = Vec::new();
    for record in records {
        let at = bytes.len() as u64;
        starts.push(at);
        frame(
            &mut bytes,
            0,
            ChunkContext::new(CONTEXT.0, CONTEXT.1),
            [record, &[]],
            if promise { at } else { 0 },
        );
    }
    (bytes, starts)
}

fn read(bytes: Vec<u8>, known_end: Option<u64>) -> Result<(Vec<Vec<u8>>, u64)> {
    let vfs = MemoryVfs::new();
    let path = Path::new("/log");
    vfs.create_dir(Path::new("/")).unwrap();
    vfs.create(path).unwrap().append(&bytes).unwrap();
    let context = ChunkContext::new(CONTEXT.0, CONTEXT.1);
    let end = known_end.map_or(LogEnd::Unknown, LogEnd::At);
    let mut reader = LogReader::new(vfs.open_read(path).unwrap(), path, context, None, end)?;
    let mut records = Vec::new();
    while let Some((_, record)) = reader.next_record()? {
        records.push(record.to_vec());
    }
    Ok((records, reader.end()))
}

fn records() -> Vec<Vec<u8>> {
    [10_usize, 0, 40_000, 3, 70_000, 32_768 - 19, 500].iter().map(|&size| vec![size as u8; size]).collect()
}

#[test]
fn records_of_every_size_come_back() {
    let (bytes, _) = log(&records(), true);
    let end = bytes.len() as u64;
    assert_eq!(read(bytes.clone(), None).unwrap(), (records(), end));
    assert_eq!(read(bytes, Some(end)).unwrap(), (records(), end));
}

#[test]
fn every_cut_is_a_torn_tail_that_keeps_the_whole_records_before_it() {
    let (bytes, starts) = log(&[vec![1; 30], vec![2; 33_000], vec![3; 5]], true);
    for length in (HEADER_BYTES..bytes.len()).step_by(61) {
        let (found, end) = read(bytes[..length].to_vec(), None).unwrap();
        let whole = starts.iter().skip(1).filter(|&&start| start <= length as u64).count();
        assert_eq!(found.len(), whole, "cut at {length}");
        assert!(end <= length as u64);
        let mut zeroed = bytes[..length].to_vec();
        zeroed.resize(bytes.len(), 0);
        assert_eq!(read(zeroed, None).unwrap().0.len(), whole, "zeros from {length}");
    }
}

#[test]
fn a_bad_chunk_below_a_later_promise_is_corruption() {
    let (bytes, starts) = log(&records(), true);
    for (number, &start) in starts.iter().enumerate() {
        let mut damaged = bytes.clone();
        damaged[start as usize + 8] ^= 1;
        let outcome = read(damaged, None);
        if number + 1 == starts.len() {
            assert_eq!(outcome.unwrap().0.len(), number, "nothing promises the last record");
        } else {
            let error = outcome.unwrap_err();
            assert!(matches!(error, Error::Corruption { offset, .. } if offset == start), "{error}");
        }
    }
}

#[test]
fn without_promises_later_chunks_prove_nothing_unless_the_end_is_known() {
    let (bytes, starts) = log(&records(), false);
    let mut damaged = bytes.clone();
    damaged[starts[2] as usize] ^= 1;
    assert_eq!(read(damaged.clone(), None).unwrap().0.len(), 2);
    let end = Some(bytes.len() as u64);
    assert!(matches!(read(damaged, end), Err(Error::Corruption { .. })));
    assert!(matches!(read(bytes[..bytes.len() - 1].to_vec(), end), Err(Error::Corruption { .. })));
    // What lies behind the known end is a torn tail somebody already judged.
    let mut longer = bytes.clone();
    longer.extend_from_slice(&[7; 100]);
    assert_eq!(read(longer, end).unwrap().0, records());
}

#[test]
fn a_record_that_a_known_end_cuts_is_corruption() {
    let (bytes, _) = log(&[vec![1; 30], vec![2; 40_000]], true);
    let block = crate::wal::chunk::BLOCK_BYTES;
    // The first chunk of the second record fills its block to the end.
    let cut = bytes[..block].to_vec();
    assert_eq!(read(cut.clone(), None).unwrap().0, [vec![1; 30]], "a torn tail");
    assert!(matches!(read(cut, Some(block as u64)), Err(Error::Corruption { .. })));
}
