//! Records of large values are compressed in the log: what is read does not show it, older stores do not have it until they are
//! raised to the format version that does, and every tool knows both forms.

use std::path::Path;
use std::sync::Arc;

use sheaf_storage::{
    Durability, Error, FaultVfs, IterOptions, MemoryVfs, Store, StoreOptions, TabletId, Vfs, WalCompression,
    WriteBatch, inspect, salvage,
};

use crate::crash::crash_with;
use crate::fixture::{DIRECTORY, deep, encrypted_options, memory, open, small_options};
use crate::model::forward;
use crate::tablets;

/// Nearly every record is compressed.
fn compressing(options: StoreOptions) -> StoreOptions {
    StoreOptions { wal_compression: WalCompression::Lz4 { entry_bytes_min: 40 }, ..options }
}

/// As builds before compression made stores.
fn plain(options: StoreOptions) -> StoreOptions {
    StoreOptions { wal_compression: WalCompression::None, ..options }
}

/// A memtable and a segment that hold all a test writes.
fn roomy(options: StoreOptions) -> StoreOptions {
    StoreOptions { memtable_bytes: 1 << 20, wal_segment_bytes: 1 << 20, ..options }
}

fn put(number: usize) -> WriteBatch {
    let mut batch = WriteBatch::new();
    batch.put(format!("d{number:03}"), format!("document {number} ").repeat(100));
    batch
}

fn contents(store: &Store) -> Vec<(Vec<u8>, Vec<u8>)> {
    forward(&mut store.tablet().snapshot().iter(IterOptions::default()).unwrap())
}

/// Bytes of the log's segments.
fn log_bytes(disk: &MemoryVfs) -> u64 {
    let is_segment = |path: &Path| path.extension().is_some_and(|found| found == "wal");
    disk.files().iter().filter(|(path, _)| is_segment(path)).map(|(_, length)| length).sum()
}

/// The number that a file's head gives as its format version.
fn version(disk: &MemoryVfs, name: &str) -> u8 {
    disk.contents(&Path::new(DIRECTORY).join(name)).unwrap()[8]
}

fn printed(vfs: &Arc<dyn Vfs>, name: &str) -> String {
    let mut out = Vec::new();
    inspect(vfs, &Path::new(DIRECTORY).join(name), None, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_log_is_smaller_and_holds_the_same() {
    let mut logs = Vec::new();
    for options in [plain, compressing] {
        for base in [small_options(), encrypted_options()] {
            let options = roomy(options(base));
            let (disk, vfs) = memory();
            let store = open(&vfs, options.clone()).unwrap();
            for number in 0..50 {
                store.tablet().commit(put(number), Some(Durability::Sync)).unwrap();
            }
            let before = contents(&store);
            let statistics = store.tablet().statistics();
            assert!(statistics.committed_bytes > 50_000, "of what was given, not of what was stored");
            logs.push((log_bytes(&disk), statistics.logged_bytes));
            // Left as a crash leaves it, then closed, with another choice each time.
            let crashed: Arc<dyn Vfs> = Arc::new(disk.crash_clone(1, 0));
            let store = open(&crashed, plain(options.clone())).unwrap();
            assert_eq!(contents(&store), before);
            store.tablet().commit(put(50), None).unwrap();
            store.close().unwrap();
            let store = open(&crashed, compressing(options)).unwrap();
            store.tablet().commit(put(51), None).unwrap();
            assert_eq!(contents(&store)[..50], before);
            assert_eq!(contents(&store).len(), 52);
        }
    }
    let [open_plain, sealed_plain, open, sealed] = logs[..] else { panic!("{logs:?}") };
    assert!(open.0 * 4 < open_plain.0 && sealed.0 * 4 < sealed_plain.0, "{logs:?}");
    assert!(open.1 * 10 < open_plain.1 && sealed.1 == open.1, "{logs:?}");
}

/// The format versions of the segments that were begun, in order.
fn segment_versions(disk: &MemoryVfs) -> Vec<u8> {
    let mut files = disk.files();
    files.retain(|(path, length)| path.extension().is_some_and(|is| is == "wal") && *length > 0);
    files.sort();
    files.iter().map(|(path, _)| disk.contents(path).unwrap()[8]).collect()
}

#[test]
fn a_store_of_an_older_version_keeps_plain_records_until_it_is_raised() {
    for (base, older, tablets) in
        [(small_options(), 1, false), (encrypted_options(), 2, false), (small_options(), 3, true)]
    {
        let (disk, vfs) = memory();
        let store = open(&vfs, roomy(plain(base.clone()))).unwrap();
        if tablets {
            store.create_tablet(TabletId(1)).unwrap();
        }
        store.tablet().commit(put(0), None).unwrap();
        store.close().unwrap();

        let store = open(&vfs, roomy(compressing(base.clone()))).unwrap();
        assert_eq!((store.format_version(), version(&disk, "STORE")), (older, older as u8));
        let before = log_bytes(&disk);
        store.tablet().commit(put(1), Some(Durability::Async)).unwrap();
        assert!(log_bytes(&disk) - before > 1_000, "as it is");
        let segments = segment_versions(&disk);
        assert!(segments.iter().all(|&segment| segment < 3), "{segments:?}");

        store.raise_format_version().unwrap();
        store.raise_format_version().unwrap();
        assert_eq!((store.format_version(), version(&disk, "STORE")), (5, 5));
        assert_eq!(
            segment_versions(&disk),
            [segments.as_slice(), &[5]].concat(),
            "what is written stays; raised once"
        );
        let before = log_bytes(&disk);
        store.tablet().commit(put(2), Some(Durability::Async)).unwrap();
        assert!(log_bytes(&disk) - before < 400, "compressed");
        if tablets {
            store.tablet_by_id(TabletId(1)).unwrap().commit(put(9), None).unwrap();
            store.drop_tablet(TabletId(1)).unwrap();
        }
        store.create_tablet(TabletId(2)).unwrap();
        assert_eq!(version(&disk, "STORE"), 5, "several tablets do not take it back");
        assert!(store.verify().problems.is_empty());
        store.checkpoint(Path::new("/copy")).unwrap();
        drop(store);
        for directory in [DIRECTORY, "/copy"] {
            let store =
                Store::open(Arc::clone(&vfs), Path::new(directory), compressing(base.clone())).unwrap();
            assert_eq!((store.format_version(), contents(&store).len()), (5, 3));
            assert_eq!(store.tablets().len(), 2);
        }
    }
}

#[test]
fn what_is_made_anew_has_the_version_its_options_ask_for() {
    for (options, expected) in [
        (plain(small_options()), 1),
        (plain(encrypted_options()), 2),
        (compressing(small_options()), 5),
        (StoreOptions::default(), 5),
    ] {
        let (disk, vfs) = memory();
        let store = open(&vfs, options).unwrap();
        assert_eq!(store.format_version(), expected);
        assert_eq!(u32::from(version(&disk, "STORE")), expected);
        assert_eq!(u32::from(version(&disk, "log/0000000001.wal")), expected);
        store.checkpoint(Path::new("/copy")).unwrap();
        assert_eq!(u32::from(disk.contents(Path::new("/copy/STORE")).unwrap()[8]), expected);
    }
}

#[test]
fn a_read_only_store_is_not_raised() {
    let (disk, vfs) = memory();
    open(&vfs, plain(small_options())).unwrap().close().unwrap();
    let store = open(&vfs, StoreOptions { read_only: true, ..small_options() }).unwrap();
    assert!(matches!(store.raise_format_version(), Err(Error::InvalidInput(_))));
    assert_eq!((store.format_version(), version(&disk, "STORE")), (1, 1));
    store.close().unwrap();
    let store = open(&vfs, small_options()).unwrap();
    store.close().unwrap();
    assert!(matches!(store.raise_format_version(), Err(Error::Closed)));
}

#[test]
fn a_raise_that_fails_anywhere_leaves_a_store_of_either_version() {
    let mut raised = [0; 2];
    for index in 0.. {
        let (disk, base) = memory();
        let faults = FaultVfs::new(base);
        let vfs: Arc<dyn Vfs> = Arc::new(faults.clone());
        let store = open(&vfs, roomy(plain(small_options()))).unwrap();
        store.close().unwrap();
        let store = open(&vfs, roomy(compressing(small_options()))).unwrap();
        store.tablet().commit(put(0), Some(Durability::Sync)).unwrap();
        faults.add_rule(&format!("fail any after {index} once")).unwrap();
        let outcome = store.raise_format_version();
        assert_eq!(outcome.is_ok(), faults.failures() == 0, "call {index}");
        // Whether or not it got there, a commit is acknowledged and kept, or refused.
        let later = store.tablet().commit(put(1), Some(Durability::Sync));
        let done = faults.failures() == 0;
        for survive_percent in [0, 100] {
            let crashed = disk.crash_clone(index, survive_percent);
            let clean: Arc<dyn Vfs> = Arc::new(crashed.clone());
            let again = open(&clean, compressing(small_options())).unwrap();
            let found = contents(&again).len();
            assert!(found == 2 || found == 1 && later.is_err(), "call {index}: {found} of {later:?}");
            raised[usize::from(again.format_version() == 5)] += 1;
            again.raise_format_version().unwrap();
            again.tablet().commit(put(2), None).unwrap();
            assert_eq!(version(&crashed, "STORE"), 5);
        }
        if done {
            break;
        }
    }
    assert!(raised[0] > 0 && raised[1] > 2, "{raised:?}");
}

#[test]
fn records_appended_again_stay_compressed() {
    let (disk, vfs) = memory();
    let options =
        StoreOptions { wal_segment_bytes: 4 << 10, log_segments_max: 1, ..compressing(small_options()) };
    let store = open(&vfs, options.clone()).unwrap();
    let lagging = store.create_tablet(TabletId(5)).unwrap();
    lagging.commit(put(7), Some(Durability::Sync)).unwrap();
    let noise = |number: u64| {
        let mut batch = WriteBatch::new();
        let bytes: Vec<u8> = (0..200_u64)
            .flat_map(|at| (at ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes())
            .collect();
        batch.put(format!("n{number:03}"), bytes);
        batch
    };
    for number in 0..40 {
        store.tablet().commit(noise(number), Some(Durability::Sync)).unwrap();
    }
    assert!(lagging.statistics().records_again > 0);
    let segments =
        disk.files().into_iter().filter(|(path, _)| path.extension().is_some_and(|is| is == "wal"));
    let text: String = segments
        .map(|(path, _)| printed(&vfs, path.strip_prefix(DIRECTORY).unwrap().to_str().unwrap()))
        .collect();
    let again = text.lines().find(|line| line.contains("batch again"));
    assert!(again.is_some_and(|line| line.contains("bytes compressed to")), "{text}");
    let crashed: Arc<dyn Vfs> = Arc::new(disk.crash_clone(3, 0));
    let store = open(&crashed, options).unwrap();
    assert!(store.tablet_by_id(TabletId(5)).unwrap().get(b"d007").unwrap().is_some());
    assert_eq!(contents(&store).len(), 40);
}

#[test]
fn the_inspector_prints_both_lengths_and_salvage_reads_both_forms() {
    let (disk, vfs) = memory();
    let store = open(&vfs, roomy(compressing(small_options()))).unwrap();
    store.tablet().commit(put(1), Some(Durability::Sync)).unwrap();
    let mut small = WriteBatch::new();
    small.put("small", "s");
    store.tablet().commit(small, Some(Durability::Sync)).unwrap();
    let text = printed(&vfs, "log/0000000001.wal");
    assert!(
        text.contains("records may be compressed") && text.contains(", 1121 bytes compressed to "),
        "{text}"
    );
    assert_eq!(text.matches("bytes compressed to").count(), 1, "{text}");
    assert!(text.contains("put \"small\""), "{text}");
    assert!(printed(&vfs, "STORE").contains("records may be compressed"));

    let copy: Arc<dyn Vfs> = Arc::new(disk.crash_clone(1, 0));
    let report = salvage(&copy, Path::new(DIRECTORY), Path::new("/salvaged"), small_options()).unwrap();
    assert_eq!((report.records, report.lost.len()), (2, 0));
    let saved = Store::open(copy, Path::new("/salvaged"), small_options()).unwrap();
    assert_eq!(contents(&saved), contents(&store));
}

#[test]
fn deep_crash_compressed() {
    let floor = if deep() { 5_000 } else { 400 };
    let (points, seeds) = crash_with(&compressing(small_options()), floor, 300, &[]);
    let (sealed, _) = crash_with(&compressing(encrypted_options()), floor, 300, &[]);
    let options = StoreOptions { wal_segment_bytes: 4 << 10, ..tablets::crash::crash_options() };
    let several = tablets::crash::crash(&compressing(options), if deep() { 30 } else { 2 }, 200);
    println!(
        "stage crash_compressed: {points} points over {seeds} seeds, {sealed} encrypted, {several} of several tablets"
    );
}
