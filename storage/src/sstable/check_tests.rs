//! A table as it was written passes; one of which anything else is said does not.

use std::path::Path;

use super::*;
use crate::keyspace::PrefixRule;
use crate::options::Compression;
use crate::range_tombstone::RangeTombstone;
use crate::sstable::block::BlockBytes;
use crate::sstable::block_builder::BlockBuilder;
use crate::sstable::filter::{Filter, FilterBuilder};
use crate::sstable::table_tests::opener;
use crate::sstable::writer::{TableFormat, TableWriter};
use crate::vfs::{MemoryVfs, Vfs};

const BLOB: FileId = FileId(90);

/// A table with everything a table may have: versions, tombstones, references, parts of index and filter, prefixes.
fn table(part_bytes: usize) -> (TableReader, TableMeta) {
    let vfs = MemoryVfs::new();
    vfs.create_dir(Path::new("t")).unwrap();
    let format = TableFormat {
        block_bytes: 200,
        restart_interval: 3,
        compression: Compression::Lz4,
        filter_bits_per_key: Some(10),
        filter_part_bytes: part_bytes,
        index_part_bytes: part_bytes,
        prefixes: [(Keyspace(b'k'), PrefixRule::Fixed(4))].into(),
        sync_every_bytes: None,
    };
    let opener = opener(&vfs);
    let mut writer = TableWriter::create(&opener, FileId(7), format).unwrap();
    for number in 0..300_u64 {
        let key = format!("k{number:04}");
        for version in (1..4).rev() {
            let timestamp = Timestamp(10 * version + number % 3);
            match (number + version) % 5 {
                0 => writer.add(key.as_bytes(), timestamp, ValueKind::Delete, b"").unwrap(),
                1 => {
                    let record = BlockHandle { offset: number, length: 9 };
                    let reference = BlobReference { file_id: BLOB, record, value_bytes: 3 };
                    writer.note_blob(BLOB, 9);
                    writer
                        .add(key.as_bytes(), timestamp, ValueKind::BlobHandle, &reference.encode())
                        .unwrap();
                }
                _ => writer.add(key.as_bytes(), timestamp, ValueKind::Put, b"value").unwrap(),
            }
        }
    }
    let (start, end) = (b"k02".to_vec(), b"z".to_vec());
    writer.add_range_tombstone(RangeTombstone { start, end, timestamp: Timestamp(99) });
    let meta = writer.finish(3).unwrap();
    (TableReader::open(&opener, FileId(7), meta.size_bytes).unwrap(), meta)
}

fn walk<'a>(reader: &'a TableReader, resolve: &'a mut dyn FnMut(&BlobReference) -> Result<()>) -> Walk<'a> {
    Walk {
        reader,
        filter: reader.load_filter().unwrap(),
        found: Properties { timestamp_min: Timestamp::MAX, ..Properties::default() },
        references: BTreeMap::new(),
        resolve,
        last: None,
        separator: None,
        last_prefix: Vec::new(),
    }
}

/// Goes through the data.
fn go(walk: &mut Walk<'_>) -> Result<()> {
    let footer = *walk.reader.footer();
    walk.index(walk.reader.index_root(), footer.index, footer.index_levels)
}

fn names<T: std::fmt::Debug>(result: Result<T>, what: &str) {
    let text = match &result {
        Err(Error::Corruption { file, detail, .. }) if file.ends_with("0000000007.sst") => detail,
        other => panic!("{what}: {other:?}"),
    };
    assert!(text.contains(what), "{what}: {text}");
}

#[test]
fn a_table_as_it_was_written_passes_and_every_reference_is_followed() {
    for part_bytes in [1 << 20, 300] {
        let (reader, meta) = table(part_bytes);
        assert_eq!(reader.footer().index_levels, if part_bytes == 300 { 2 } else { 1 });
        let mut seen = 0;
        let mut resolve = |reference: &BlobReference| {
            seen += u64::from(reference.file_id == BLOB);
            Ok(())
        };
        assert_eq!(check_table(&reader, &meta, &mut resolve).unwrap(), 900);
        assert_eq!(meta.blob_references, [(BLOB, 9 * seen)]);
        let mut refuse = |_: &BlobReference| Err(Error::Closed);
        assert!(matches!(check_table(&reader, &meta, &mut refuse), Err(Error::Closed)));
    }
}

#[test]
fn whatever_the_manifest_says_wrongly_is_named() {
    let (reader, meta) = table(300);
    type Change = fn(&mut TableMeta);
    let changes: [(&str, Change); 9] = [
        ("entries", |meta| meta.entries += 1),
        ("tombstones", |meta| meta.tombstones -= 1),
        ("range tombstones", |meta| meta.range_tombstones = 0),
        ("oldest timestamp", |meta| meta.oldest.0 -= 1),
        ("newest timestamp", |meta| meta.newest.0 += 1),
        ("its keys end elsewhere", |meta| meta.smallest.push(0)),
        ("its keys end elsewhere", |meta| meta.largest.exclusive = false),
        ("its keys end elsewhere", |meta| meta.largest.key.push(0)),
        ("in blob files", |meta| meta.blob_references[0].1 += 1),
    ];
    for (what, change) in changes {
        let mut wrong = meta.clone();
        change(&mut wrong);
        names(check_table(&reader, &wrong, &mut |_| Ok(())), what);
    }
    let fixed = Timestamp(5_000);
    let meta = TableMeta { fixed_timestamp: Some(fixed), oldest: fixed, newest: fixed, ..meta };
    check_table(&reader, &meta, &mut |_| Ok(())).unwrap();
}

#[test]
fn whatever_the_properties_say_wrongly_is_named() {
    let (reader, _) = table(300);
    let mut resolve = |_: &BlobReference| Ok(());
    let mut walk = walk(&reader, &mut resolve);
    go(&mut walk).unwrap();
    let largest = walk.add_range_tombstones();
    walk.compare_with_properties(&largest).unwrap();
    let right = walk.found.clone();
    type Change = fn(&mut Properties);
    let changes: [(&str, Change); 9] = [
        ("entries", |found| found.entries += 1),
        ("tombstones", |found| found.deletes += 1),
        ("range tombstones", |found| found.range_tombstones += 1),
        ("bytes of keys", |found| found.key_bytes += 1),
        ("bytes of values", |found| found.value_bytes += 1),
        ("oldest timestamp", |found| found.timestamp_min.0 += 1),
        ("newest timestamp", |found| found.timestamp_max.0 += 1),
        ("data blocks", |found| found.data_blocks += 1),
        ("its keys end elsewhere", |found| found.smallest.push(0)),
    ];
    for (what, change) in changes {
        walk.found = right.clone();
        change(&mut walk.found);
        names(walk.compare_with_properties(&largest), what);
    }
}

#[test]
fn a_filter_that_denies_a_key_or_a_prefix_is_named() {
    let (reader, _) = table(1 << 20);
    let filter_of = |hashes: &[u64]| {
        let mut builder = FilterBuilder::new(10);
        hashes.iter().for_each(|&hash| builder.add(hash));
        let block = builder.finish(1 << 20).unwrap().remove(0);
        Some(LoadedFilter::new(vec![Filter::parse(&block).unwrap().unwrap()]))
    };
    let keys: Vec<u64> = (0..300).map(|number| key_hash(format!("k{number:04}").as_bytes())).collect();
    let prefixes = (0..30).map(|number| prefix_hash(format!("k{number:03}").as_bytes()));
    let few: Vec<u64> = keys[..200].iter().copied().chain(prefixes).collect();
    for (hashes, what) in [(few, "does not know a key"), (keys, "does not know a prefix")] {
        let mut resolve = |_: &BlobReference| Ok(());
        let mut walk = walk(&reader, &mut resolve);
        walk.filter = filter_of(&hashes);
        names(go(&mut walk), what);
    }
}

#[test]
fn entries_out_of_order_or_elsewhere_than_the_index_says_are_named() {
    for part_bytes in [1 << 20, 300] {
        let (reader, _) = table(part_bytes);
        let mut resolve = |_: &BlobReference| Ok(());
        let mut late = walk(&reader, &mut resolve);
        late.last = Some((b"k0000".to_vec(), Timestamp(1)));
        names(go(&mut late), "entries are out of order");
        let mut resolve = |_: &BlobReference| Ok(());
        let mut behind = walk(&reader, &mut resolve);
        behind.separator = Some((b"k0000".to_vec(), Timestamp(1)));
        names(go(&mut behind), "not where the index says");
    }
}

/// An index block as `index`, its ends changed one by one.
fn index_with(
    index: &Block,
    mut change: impl FnMut(usize, Vec<u8>, Timestamp) -> (Vec<u8>, Timestamp),
) -> Block {
    let mut builder = BlockBuilder::new();
    for at in 0..index.entries() {
        let mut key = Vec::new();
        index.append_key(at, &mut key);
        let (key, timestamp) = change(at, key, index.timestamp(at));
        builder.add(&key, timestamp, ValueKind::Put, index.value(at));
    }
    let mut bytes = Vec::new();
    builder.finish(&mut bytes).unwrap();
    Block::parse(BlockBytes::Heap(bytes.into())).unwrap().into_index()
}

#[test]
fn an_index_whose_ends_lie_before_what_they_end_or_elsewhere_than_the_root_says_is_named() {
    for (part_bytes, what) in
        [(1 << 20, "not where the index says"), (300, "ends elsewhere than its root says")]
    {
        let (reader, _) = table(part_bytes);
        let footer = *reader.footer();
        let root = reader.index_root();
        let second = |at: usize| at == 1;
        let mut changed: Vec<(Block, bool)> = Vec::new();
        changed.push((index_with(root, |_, key, timestamp| (key, timestamp)), true));
        // The end of one block or part, nearer by a timestamp or by a byte of its key.
        changed.push((
            index_with(root, |at, mut key, timestamp| {
                if second(at) {
                    key.pop();
                }
                (key, timestamp)
            }),
            false,
        ));
        if part_bytes == 300 {
            changed.push((
                index_with(root, |at, key, timestamp| {
                    (key, if second(at) { Timestamp(timestamp.0 + 1) } else { timestamp })
                }),
                false,
            ));
            changed.push((
                index_with(root, |at, mut key, timestamp| {
                    if second(at) {
                        key.push(0);
                    }
                    (key, timestamp)
                }),
                false,
            ));
        }
        for (index, is_right) in changed {
            let mut resolve = |_: &BlobReference| Ok(());
            let mut walk = walk(&reader, &mut resolve);
            let walked = walk.index(&index, footer.index, footer.index_levels);
            if is_right {
                walked.unwrap();
            } else {
                names(walked, what);
            }
        }
    }
}
