//! Whole sstables: written, read, walked, printed, and damaged.

#![expect(clippy::cast_possible_truncation, reason = "numbers drawn below the target's range")]

use std::path::Path;
use std::sync::Arc;

use crate::cache::BlockCache;
use crate::coding::key_hash;
use crate::entry::ValueKind;
use crate::error::{Error, Result};
use crate::file_id::FileId;
use crate::inspect::inspect;
use crate::keyspace::{Keyspace, PrefixRule};
use crate::manifest::TableMeta;
use crate::options::{Compression, ReadMode};
use crate::range_tombstone::RangeTombstone;
use crate::sstable::block::Position;
use crate::sstable::block_file::{Caching, FileOpener};
use crate::sstable::cursor::TableCursor;
use crate::sstable::reader::TableReader;
use crate::sstable::sealed::{BlockType, Compressor, unseal};
use crate::sstable::writer::{TableFormat, TableWriter};
use crate::timestamp::Timestamp;
use crate::vfs::{MemoryVfs, Vfs};

type Entry = (Vec<u8>, u64, ValueKind, Vec<u8>);

fn format(block_bytes: usize, compression: Compression) -> TableFormat {
    TableFormat {
        block_bytes,
        restart_interval: 16,
        compression,
        filter_bits_per_key: Some(10),
        filter_part_bytes: 1 << 10,
        index_part_bytes: 32 << 10,
        prefixes: [].into(),
        sync_every_bytes: None,
    }
}

/// Of the directory `t`, which is to be there.
pub(crate) fn opener(vfs: &MemoryVfs) -> FileOpener {
    FileOpener {
        vfs: Arc::new(vfs.clone()),
        directory: "t".into(),
        cache: Arc::new(BlockCache::new(1 << 20)),
        read_mode: ReadMode::Pread,
        open_files: Arc::default(),
        keys: None,
        abandoned: Arc::default(),
    }
}

fn write(format: TableFormat, entries: &[Entry], ranges: &[RangeTombstone]) -> (MemoryVfs, TableMeta) {
    let vfs = MemoryVfs::new();
    vfs.create_dir(Path::new("t")).unwrap();
    let mut writer = TableWriter::create(&opener(&vfs), FileId(7), format).unwrap();
    for (key, timestamp, kind, value) in entries {
        writer.add(key, Timestamp(*timestamp), *kind, value).unwrap();
    }
    for range in ranges {
        writer.add_range_tombstone(range.clone());
    }
    let meta = writer.finish(3).unwrap();
    (vfs, meta)
}

fn numbered(count: u64, versions: u64) -> Vec<Entry> {
    let mut entries = Vec::new();
    for number in 0..count {
        for version in (1..=versions).rev() {
            let value = vec![number as u8; (key_hash(&number.to_le_bytes()) % 40) as usize];
            let kind = if number % 7 == 3 { ValueKind::Delete } else { ValueKind::Put };
            let value = if kind == ValueKind::Delete { Vec::new() } else { value };
            entries.push((format!("key{number:06}").into_bytes(), version * 10, kind, value));
        }
    }
    entries
}

fn walk_all(reader: &Arc<TableReader>) -> Result<Vec<Entry>> {
    let mut cursor = TableCursor::new(Arc::clone(reader), Caching::Through);
    let mut entries = Vec::new();
    cursor.seek_to_first()?;
    while cursor.valid() {
        let position = cursor.position();
        entries.push((position.key.to_vec(), position.timestamp.0, cursor.kind(), cursor.value().to_vec()));
        cursor.advance()?;
    }
    Ok(entries)
}

#[test]
fn every_entry_is_found_and_walked_with_one_and_two_index_levels() {
    for (count, versions, block_bytes, levels) in [(1, 1, 4_096, 1), (300, 3, 128, 1), (9_000, 1, 100, 2)] {
        for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
            let entries = numbered(count, versions);
            let (vfs, meta) = write(format(block_bytes, compression), &entries, &[]);
            let reader = Arc::new(TableReader::open(&opener(&vfs), meta.file_id, meta.size_bytes).unwrap());
            assert_eq!(reader.footer().index_levels, levels);
            assert_eq!(walk_all(&reader).unwrap(), entries);
            let mut cursor = TableCursor::new(Arc::clone(&reader), Caching::Past);
            cursor.seek_to_last().unwrap();
            for (key, timestamp, ..) in entries.iter().rev() {
                assert_eq!(cursor.position(), Position { key, timestamp: Timestamp(*timestamp) });
                cursor.retreat().unwrap();
            }
            assert!(!cursor.valid());
            for (key, timestamp, kind, value) in entries.iter().step_by(7) {
                assert!(reader.may_contain(key_hash(key)).unwrap());
                let found = reader.get(key, Timestamp(timestamp + 9)).unwrap().unwrap();
                assert_eq!(
                    (found.timestamp.0, found.kind, &*found.value),
                    (*timestamp, *kind, value.as_slice())
                );
                let after = [key.as_slice(), b"-"].concat();
                assert_eq!(reader.get(&after, Timestamp(99)).unwrap(), None);
                assert_eq!(reader.get(key, Timestamp(9)).unwrap(), None);
            }
        }
    }
}

#[test]
fn seeks_land_where_a_sorted_list_says() {
    let entries = numbered(400, 2);
    let (vfs, meta) = write(format(150, Compression::None), &entries, &[]);
    let reader = Arc::new(TableReader::open(&opener(&vfs), meta.file_id, meta.size_bytes).unwrap());
    let mut cursor = TableCursor::new(reader, Caching::Through);
    for probe in 0..2_000_u64 {
        let random = key_hash(&probe.to_le_bytes());
        let suffix = ["", "0", "/"][(random >> 40) as usize % 3];
        let key = format!("key{:06}{suffix}", random % 410).into_bytes();
        let target = Position { key: &key, timestamp: Timestamp((random >> 20) % 25) };
        let at = entries.partition_point(|e| Position { key: &e.0, timestamp: Timestamp(e.1) } < target);
        let shown = |cursor: &TableCursor| {
            cursor.valid().then(|| (cursor.position().key.to_vec(), cursor.position().timestamp.0))
        };
        let expected = |at: Option<usize>| at.and_then(|at| entries.get(at)).map(|e| (e.0.clone(), e.1));
        cursor.seek(target).unwrap();
        assert_eq!(shown(&cursor), expected(Some(at)));
        cursor.retreat().unwrap();
        assert_eq!(shown(&cursor), if at < entries.len() { expected(at.checked_sub(1)) } else { None });
        cursor.seek_before(target).unwrap();
        assert_eq!(shown(&cursor), expected(at.checked_sub(1)));
        cursor.advance().unwrap();
        assert_eq!(shown(&cursor), if at > 0 { expected(Some(at)) } else { None });
    }
}

#[test]
fn entries_out_of_order_are_refused() {
    let vfs = MemoryVfs::new();
    vfs.create_dir(Path::new("t")).unwrap();
    let format = format(100, Compression::None);
    let mut writer = TableWriter::create(&opener(&vfs), FileId(1), format).unwrap();
    writer.add(b"b", Timestamp(5), ValueKind::Put, b"").unwrap();
    for (key, timestamp) in [(b"a", 9), (b"b", 5), (b"b", 6)] {
        let refused = writer.add(key, Timestamp(timestamp), ValueKind::Put, b"");
        assert!(matches!(refused, Err(Error::InvalidInput(_))));
    }
    writer.add(b"b", Timestamp(4), ValueKind::Put, b"").unwrap();
}

#[test]
fn bounds_follow_entries_and_range_tombstones() {
    let range = |start: &str, end: &str| RangeTombstone {
        start: start.into(),
        end: end.into(),
        timestamp: Timestamp(40),
    };
    let entries =
        vec![(b"d".to_vec(), 20, ValueKind::Put, vec![]), (b"f".to_vec(), 30, ValueKind::Put, vec![])];
    let format = || format(100, Compression::None);
    let (_, meta) = write(format(), &entries, &[range("e", "f")]);
    assert_eq!(
        (meta.smallest.as_slice(), meta.largest.key.as_slice(), meta.largest.exclusive),
        (&b"d"[..], &b"f"[..], false)
    );
    let (vfs, meta) = write(format(), &entries, &[range("a", "z"), range("c", "d")]);
    assert_eq!(
        (meta.smallest.as_slice(), meta.largest.key.as_slice(), meta.largest.exclusive),
        (&b"a"[..], &b"z"[..], true)
    );
    assert_eq!(
        (meta.oldest, meta.newest, meta.range_tombstones, meta.epoch),
        (Timestamp(20), Timestamp(40), 3, 3)
    );
    let reader = TableReader::open(&opener(&vfs), meta.file_id, meta.size_bytes).unwrap();
    assert!(reader.range_tombstones().unwrap().covers(b"f", Timestamp(30), Timestamp(40)));
    let (vfs, meta) = write(format(), &[], &[range("a", "b")]);
    let reader = Arc::new(TableReader::open(&opener(&vfs), meta.file_id, meta.size_bytes).unwrap());
    assert_eq!(walk_all(&reader).unwrap(), []);
}

#[test]
fn prefixes_are_in_the_filter_under_the_rule_they_were_written_with() {
    let mut with_prefixes = format(200, Compression::None);
    with_prefixes.prefixes.insert(Keyspace(b'k'), PrefixRule::Fixed(7));
    let entries: Vec<_> = numbered(200, 1).into_iter().filter(|e| e.0[6] != b'3').collect();
    let (vfs, meta) = write(with_prefixes, &entries, &[]);
    let reader = TableReader::open(&opener(&vfs), meta.file_id, meta.size_bytes).unwrap();
    let asked = |lower: &str, upper: &str| {
        reader.may_contain_range(Some(lower.as_bytes()), Some(upper.as_bytes())).unwrap()
    };
    assert!(asked("key0000", "key0001") && asked("key00005", "key00006") && asked("key0001", "key0001zz"));
    let absent = (0..500).filter(|n| asked(&format!("key{n:04}"), &format!("key{n:04}~"))).count();
    assert!(absent < 30, "{absent} of 500 prefixes are said to be there");
    assert!(!asked("key0300", "key0301"), "up to the next prefix");
    assert!(asked("key0300", "key0302"), "a range of two prefixes is not known");
    assert!(asked("key0300", "key03010"), "nor one that has the next prefix itself");
    assert!(asked("key999", "key999z"), "a shorter bound has no prefix");
    assert!(asked("x1234567", "x1234568"), "a keyspace without a rule is not known");
    assert!(reader.may_contain_range(Some(b"key0300"), None).unwrap(), "an open range is not known");
}

#[test]
fn inspection_prints_every_entry() {
    let entries = vec![
        (b"a".to_vec(), 5, ValueKind::Put, b"one".to_vec()),
        (b"b\x00".to_vec(), 1 << 32 | 6, ValueKind::Delete, vec![]),
        (b"c".to_vec(), 4, ValueKind::Put, vec![b'v'; 50]),
    ];
    let range = RangeTombstone { start: b"x".to_vec(), end: b"y".to_vec(), timestamp: Timestamp(9) };
    let (vfs, meta) = write(format(400, Compression::None), &entries, &[range]);
    let vfs: Arc<dyn Vfs> = Arc::new(vfs);
    let mut out = Vec::new();
    inspect(&vfs, &meta.file_id.sstable_path(Path::new("t")), None, &mut out).unwrap();
    let size = meta.size_bytes;
    let expected = format!(
        "sstable 0000000007: {size} bytes, index levels 1\n  \
         keys \"a\" .. \"y\"\n  timestamps 0.4 .. 1.6\n  entries 3, deletes 1, data blocks 1\n  \
         key bytes 4, value bytes 53\n  filter 86 bytes at 154\n  \
         range delete \"x\" .. \"y\" @0.9\n  data block at 0: 154 bytes, 140 raw, 3 entries\n    \
         \"a\" @0.5 put \"one\"\n    \"b\\x00\" @1.6 delete\n    \
         \"c\" @0.4 put \"vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv\"... (50 bytes)\n"
    );
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

/// What a reader gets out of a table of this length, or the first error.
fn read_all(vfs: &MemoryVfs, meta: &TableMeta) -> Result<(Vec<Entry>, Vec<RangeTombstone>)> {
    let reader = Arc::new(TableReader::open(&opener(vfs), meta.file_id, meta.size_bytes)?);
    let ranges = reader.range_tombstones().map(|ranges| ranges.iter().collect());
    let entries = walk_all(&reader)?;
    for (key, timestamp, ..) in &entries {
        if reader.may_contain(key_hash(key))? {
            reader.get(key, Timestamp(*timestamp))?;
        }
    }
    Ok((entries, ranges.unwrap_or_default()))
}

#[test]
fn a_flipped_byte_or_lost_tail_is_an_error_or_changes_nothing() {
    let entries = numbered(60, 2);
    let range =
        RangeTombstone { start: b"key000030".to_vec(), end: b"key5".to_vec(), timestamp: Timestamp(15) };
    for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
        let (vfs, meta) = write(format(300, compression), &entries, std::slice::from_ref(&range));
        let path = meta.file_id.sstable_path(Path::new("t"));
        let intact = vfs.contents(&path).unwrap();
        let expected = read_all(&vfs, &meta).unwrap();
        assert_eq!(expected.0, entries);
        for at in 0..intact.len() {
            let mut damaged = intact.clone();
            damaged[at] ^= 1 << (at % 8);
            vfs.overwrite(&path, damaged).unwrap();
            match read_all(&vfs, &meta) {
                Ok(read) => assert_eq!(read, expected, "byte {at}"),
                Err(Error::Corruption { .. } | Error::FormatVersion { .. }) => {}
                Err(other) => panic!("byte {at}: {other}"),
            }
        }
        for length in (0..intact.len()).step_by(3) {
            vfs.overwrite(&path, intact[..length].to_vec()).unwrap();
            assert!(matches!(read_all(&vfs, &meta), Err(Error::Corruption { .. })), "length {length}");
            let shorter = TableMeta { size_bytes: length as u64, ..meta.clone() };
            assert!(read_all(&vfs, &shorter).is_err(), "length {length}, believed");
        }
    }
}

#[test]
fn a_block_the_cache_lets_go_leaves_its_slot_in_the_index() {
    let entries = numbered(6_000, 1);
    for index_part_bytes in [1 << 10, 1 << 20] {
        let format = TableFormat { index_part_bytes, ..format(1 << 10, Compression::None) };
        let (vfs, meta) = write(format, &entries, &[]);
        let opener = FileOpener { cache: Arc::new(BlockCache::new(64 << 10)), ..opener(&vfs) };
        let reader = TableReader::open(&opener, meta.file_id, meta.size_bytes).unwrap();
        for round in 0..3 {
            for (key, timestamp, _, value) in &entries {
                let found = reader.get(key, Timestamp(*timestamp)).unwrap().unwrap();
                assert_eq!(&*found.value, value.as_slice(), "round {round}");
            }
        }
        let cache = opener.cache.statistics();
        let slots = reader.index_root().children().unwrap();
        assert!(slots.taken() > 0 && slots.taken() as u64 <= cache.items, "{} of {cache:?}", slots.taken());
        assert_eq!(cache.hits + cache.misses, entries.len() as u64 * 3 * u64::from(reader.index_levels));
        assert_eq!(cache.held_bytes, 0);
    }
}

#[test]
fn what_was_read_of_a_table_that_goes_leaves_the_cache() {
    let entries = numbered(6_000, 1);
    for index_part_bytes in [1 << 10, 1 << 20] {
        let format = TableFormat { index_part_bytes, ..format(1 << 10, Compression::None) };
        let (vfs, meta) = write(format, &entries, &[]);
        let opener = FileOpener { cache: Arc::new(BlockCache::new(64 << 20)), ..opener(&vfs) };
        let open = || TableReader::open(&opener, meta.file_id, meta.size_bytes).unwrap();
        let (goes, stays) = (open(), open());
        let read_all = |reader: &TableReader| {
            for (key, timestamp, _, _) in &entries {
                assert!(reader.may_contain(key_hash(key)).unwrap());
                assert!(reader.get(key, Timestamp(*timestamp)).unwrap().is_some());
            }
        };
        read_all(&stays);
        let before = opener.cache.statistics();
        read_all(&goes);
        assert_eq!(opener.cache.statistics().items, 2 * before.items);
        goes.forget();
        let after = opener.cache.statistics();
        assert_eq!((after.items, after.used_bytes), (before.items, before.used_bytes), "the other's stay");
        read_all(&goes);
    }
}

#[test]
fn readers_find_blocks_while_the_cache_lets_them_go() {
    let entries = numbered(4_000, 1);
    let format = TableFormat { index_part_bytes: 1 << 10, ..format(1 << 10, Compression::None) };
    let (vfs, meta) = write(format, &entries, &[]);
    // So little that every other lookup throws out what somebody else is about to find.
    let opener = FileOpener { cache: Arc::new(BlockCache::new(24 << 10)), ..opener(&vfs) };
    let reader = TableReader::open(&opener, meta.file_id, meta.size_bytes).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4_usize {
            let (reader, entries) = (&reader, &entries);
            scope.spawn(move || {
                for step in 0..12_000 {
                    let at = (step * 7_919 + thread * 13 + step / 50) % entries.len();
                    let (key, timestamp, _, value) = &entries[at];
                    let found = reader.get(key, Timestamp(*timestamp)).unwrap().unwrap();
                    assert_eq!(&*found.value, value.as_slice());
                }
            });
        }
    });
    let cache = opener.cache.statistics();
    assert_eq!(cache.held_bytes, 0, "nothing stays that the cache has let go: {cache:?}");
}

#[test]
fn a_block_is_not_taken_for_one_of_another_kind() {
    let mut sealed = Vec::new();
    let mut compressor = Compressor::new(Compression::None, None);
    compressor.seal(b"bytes", BlockType::Index, 7, 100, &mut sealed).unwrap();
    assert!(unseal(&sealed, BlockType::Index, 7, 100, None).is_ok());
    for other in [BlockType::Data, BlockType::TopIndex, BlockType::Filter, BlockType::Blob] {
        assert!(unseal(&sealed, other, 7, 100, None).is_err(), "{}", other.name());
    }
}

#[test]
fn a_file_counts_as_open_until_it_is_closed() {
    let (vfs, meta) = write(format(200, Compression::None), &numbered(500, 1), &[]);
    let opener = FileOpener { cache: Arc::new(BlockCache::new(meta.size_bytes / 4)), ..opener(&vfs) };
    assert!(opener.cache.has_room());
    for _ in 0..3 {
        let reader = TableReader::open(&opener, meta.file_id, meta.size_bytes).unwrap();
        assert!(!opener.cache.has_room(), "the files are larger than memory");
        drop(reader);
        assert!(opener.cache.has_room());
        assert_eq!(opener.cache.statistics().pinned_bytes, 0);
    }
}

#[test]
fn keys_that_begin_with_the_one_before_are_found_where_blocks_end_between_them() {
    // A block, and from there on a part of the index, ends between any two keys.
    let mut keys: Vec<Vec<u8>> = Vec::new();
    for first in b"abc" {
        for length in 1..9 {
            let stem = vec![*first; length];
            keys.extend([stem.clone(), [&stem[..], b"\0"].concat(), [&stem[..], b"~"].concat()]);
        }
    }
    keys.sort();
    keys.dedup();
    let entries: Vec<Entry> =
        keys.iter().map(|key| (key.clone(), 5, ValueKind::Put, b"value".to_vec())).collect();
    for (block_bytes, index_part_bytes) in [(1, 1 << 20), (1, 1), (60, 1 << 20), (60, 100)] {
        for restart_interval in [1, 2, 16] {
            let format =
                TableFormat { index_part_bytes, restart_interval, ..format(block_bytes, Compression::None) };
            let (vfs, meta) = write(format, &entries, &[]);
            let reader = Arc::new(TableReader::open(&opener(&vfs), FileId(7), meta.size_bytes).unwrap());
            let mut cursor = TableCursor::new(Arc::clone(&reader), Caching::Through);
            for (at, key) in keys.iter().enumerate() {
                assert!(reader.get(key, Timestamp(9)).unwrap().is_some(), "{key:?}");
                assert!(reader.get(key, Timestamp(4)).unwrap().is_none(), "{key:?}");
                for absent in [[key, &b"\x01"[..]].concat(), [key, &b"}"[..]].concat()] {
                    assert!(reader.get(&absent, Timestamp(9)).unwrap().is_none(), "{absent:?}");
                }
                let target = Position { key, timestamp: Timestamp(4) };
                cursor.seek(target).unwrap();
                let next = cursor.valid().then(|| cursor.position().key.to_vec());
                assert_eq!(next.as_ref(), keys.get(at + 1));
                cursor.seek_before(Position { key, timestamp: Timestamp::MAX }).unwrap();
                let before = cursor.valid().then(|| cursor.position().key.to_vec());
                assert_eq!(before.as_ref(), at.checked_sub(1).map(|at| &keys[at]));
            }
        }
    }
}

#[test]
fn a_block_with_many_tombstones_is_dense_though_more_is_alive_in_it() {
    for (tombstones, alive, expected) in [(100, 250, 1), (99, 250, 0), (10, 10, 1), (10, 11, 0), (0, 5, 0)] {
        let entries: Vec<Entry> = (0..tombstones + alive)
            .map(|number| {
                let kind = if number < tombstones { ValueKind::Delete } else { ValueKind::Put };
                (format!("k{number:04}").into_bytes(), 5, kind, Vec::new())
            })
            .collect();
        let (vfs, meta) = write(format(1 << 20, Compression::None), &entries, &[]);
        let reader = TableReader::open(&opener(&vfs), FileId(7), meta.size_bytes).unwrap();
        let properties = reader.properties();
        assert_eq!(
            (properties.data_blocks, properties.dense_blocks),
            (1, expected),
            "{tombstones} of {alive}"
        );
    }
}
