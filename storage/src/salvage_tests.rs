//! Logs that are damaged in parts, and what order sources are taken in.

use super::*;
use crate::options::BackgroundWork;
use crate::vfs::MemoryVfs;
use crate::wal::record::{RecordHead, RecordKind};

fn options() -> StoreOptions {
    StoreOptions { background: BackgroundWork::Inline, l0_compaction_trigger: 8, ..StoreOptions::default() }
}

fn open(disk: &MemoryVfs) -> Store {
    Store::open(Arc::new(disk.clone()), Path::new("/db"), options()).unwrap()
}

fn put(tablet: &Tablet, key: &str, value: &str) {
    let mut batch = WriteBatch::new();
    batch.put(key, value);
    tablet.commit(batch, None).unwrap();
}

fn salvaged(disk: &MemoryVfs) -> (SalvageReport, Store) {
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let report = salvage(&vfs, Path::new("/db"), Path::new("/new"), options()).unwrap();
    (report, Store::open(vfs, Path::new("/new"), options()).unwrap())
}

#[test]
fn the_newest_version_of_a_key_is_found_first_wherever_it_is() {
    for in_log in [false, true] {
        let disk = MemoryVfs::new();
        let store = open(&disk);
        for value in ["1", "2", "3"] {
            put(&store.tablet(), "k", value);
            store.tablet().flush().unwrap();
        }
        let newest = if in_log { "5" } else { "3" };
        if in_log {
            put(&store.tablet(), "k", "4");
            store.tablet().inner.log().unwrap().rotate().unwrap();
            put(&store.tablet(), "k", "5");
        }
        drop(store);
        let (report, new) = salvaged(&disk);
        assert!(report.lost.is_empty(), "{:?}", report.lost);
        assert_eq!((report.tables, report.versions), (3, 1), "what is older is not written");
        assert_eq!(new.tablet().get(b"k").unwrap().as_deref(), Some(newest.as_bytes()));
        assert_eq!(new.tablet().statistics().log.segments, 0, "all of it is in sstables");
        assert_eq!(new.tablet().statistics().levels[0].tables, 1);
    }
}

#[test]
fn damage_of_one_segment_says_nothing_of_the_next() {
    let disk = MemoryVfs::new();
    let store = open(&disk);
    for key in ["a", "b", "c"] {
        put(&store.tablet(), key, "1");
        put(&store.tablet(), key, "2");
        store.tablet().inner.log().unwrap().rotate().unwrap();
    }
    drop(store);
    let path = segment_path(Path::new("/db/log"), 2);
    let mut bytes = disk.contents(&path).unwrap();
    // In the first of two records, and the second one says that it was on disk.
    bytes[80] ^= 1;
    disk.overwrite(&path, bytes).unwrap();
    let (report, new) = salvaged(&disk);
    assert!(
        matches!(report.lost.as_slice(), [Error::Corruption { file, .. }] if *file == path),
        "{:?}",
        report.lost
    );
    assert_eq!(report.records, 4);
    let found = [b"a", b"b", b"c"].map(|key| new.tablet().get(key).unwrap().is_some());
    assert_eq!(found, [true, false, true]);
}

#[test]
fn a_record_that_does_not_decode_does_not_hide_those_behind_it() {
    let disk = MemoryVfs::new();
    let store = open(&disk);
    let tablet = store.tablet();
    put(&tablet, "a", "1");
    let (kind, timestamp) = (RecordKind::Batch, tablet.last_timestamp());
    let head = RecordHead { kind, compressed: false, group: 0, term: 1, index: 2, timestamp };
    tablet.inner.log().unwrap().append(&mut Vec::new(), &head, &[255, 255, 255]).unwrap();
    put(&tablet, "b", "1");
    drop((tablet, store));
    let (report, new) = salvaged(&disk);
    assert!(matches!(report.lost.as_slice(), [Error::Corruption { .. }]), "{:?}", report.lost);
    assert_eq!(report.records, 2);
    assert!([b"a", b"b"].iter().all(|key| new.tablet().get(*key).unwrap().is_some()));
}

#[test]
fn a_range_that_was_deleted_in_the_log_covers_what_is_older_alone() {
    let disk = MemoryVfs::new();
    let store = open(&disk);
    let tablet = store.tablet();
    put(&tablet, "a", "1");
    tablet.flush().unwrap();
    put(&tablet, "b", "1");
    let mut batch = WriteBatch::new();
    batch.delete_range("a", "z");
    tablet.commit(batch, None).unwrap();
    put(&tablet, "c", "1");
    drop((tablet, store));
    let (report, new) = salvaged(&disk);
    assert!(report.lost.is_empty(), "{:?}", report.lost);
    let found = [b"a", b"b", b"c"].map(|key| new.tablet().get(key).unwrap().is_some());
    assert_eq!(found, [false, false, true]);
}

#[test]
fn a_table_that_is_missing_is_named_and_without_a_manifest_all_that_are_there_count() {
    for without_manifest in [false, true] {
        let disk = MemoryVfs::new();
        let store = open(&disk);
        for key in ["a", "b", "c"] {
            put(&store.tablet(), key, "1");
            store.tablet().flush().unwrap();
        }
        store.close().unwrap();
        drop(store);
        let named = |extension: &str| {
            let files = disk.files().into_iter().map(|(path, _)| path);
            files.filter(|path| path.extension().is_some_and(|e| e == extension)).min().unwrap()
        };
        let gone = if without_manifest { named("manifest") } else { named("sst") };
        disk.remove(&gone).unwrap();
        let (report, new) = salvaged(&disk);
        assert_eq!(report.lost.len(), 1, "{:?}", report.lost);
        assert!(report.lost[0].to_string().contains(gone.to_str().unwrap()), "{:?}", report.lost);
        let found = [b"a", b"b", b"c"].map(|key| new.tablet().get(key).unwrap().is_some());
        assert_eq!(found, [without_manifest, true, true]);
    }
}

#[test]
fn without_a_manifest_the_youngest_table_is_taken_first() {
    let disk = MemoryVfs::new();
    let store = open(&disk);
    for value in ["1", "2", "3"] {
        put(&store.tablet(), "k", value);
        store.tablet().flush().unwrap();
    }
    store.close().unwrap();
    drop(store);
    let manifest = disk.files().into_iter().map(|(path, _)| path);
    let manifest = manifest.filter(|path| path.extension().is_some_and(|e| e == "manifest")).min().unwrap();
    disk.remove(&manifest).unwrap();
    let (report, new) = salvaged(&disk);
    assert_eq!((report.tables, report.versions), (3, 1), "what is older is not written");
    assert_eq!(new.tablet().get(b"k").unwrap().as_deref(), Some(&b"3"[..]));
}

#[test]
fn a_table_or_blob_file_of_which_nothing_can_be_read_is_named_and_so_is_every_value_in_it() {
    let options = StoreOptions {
        keyspaces: [(
            crate::keyspace::Keyspace(b'd'),
            crate::keyspace::KeyspaceOptions { blob_threshold_bytes: Some(100), ..Default::default() },
        )]
        .into(),
        ..options()
    };
    for (extension, is_removed) in [("sst", false), ("blob", false), ("blob", true)] {
        let disk = MemoryVfs::new();
        let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
        let store = Store::open(Arc::clone(&vfs), Path::new("/db"), options.clone()).unwrap();
        // Two tables, and one blob file for each.
        for keys in [["d1", "d2"], ["d3", "d4"]] {
            keys.iter().for_each(|key| put(&store.tablet(), key, &"long".repeat(50)));
            store.tablet().flush().unwrap();
        }
        drop(store);
        let paths = disk.files().into_iter().map(|(path, _)| path);
        let path = paths.filter(|path| path.extension().is_some_and(|e| e == extension)).min().unwrap();
        if is_removed {
            disk.remove(&path).unwrap();
        } else {
            let bytes = disk.contents(&path).unwrap();
            disk.overwrite(&path, vec![0; bytes.len()]).unwrap();
        }
        let report = salvage(&vfs, Path::new("/db"), Path::new("/new"), options.clone()).unwrap();
        let expected = if extension == "sst" { 1 } else { 2 };
        assert_eq!(report.lost.len(), expected, "{extension}: {:?}", report.lost);
        assert!(report.lost.iter().all(|lost| lost.to_string().contains(path.to_str().unwrap())));
        let new = Store::open(vfs, Path::new("/new"), options.clone()).unwrap();
        let found = ["d1", "d2", "d3", "d4"].map(|key| new.tablet().get(key.as_bytes()).unwrap().is_some());
        assert_eq!(found, [false, false, true, true], "{extension}, removed: {is_removed}");
    }
}

#[test]
fn every_tablet_gets_its_own_records_of_the_log_however_many() {
    let disk = MemoryVfs::new();
    let store = open(&disk);
    let tablets = [store.tablet(), store.create_tablet(TabletId(1)).unwrap()];
    for number in 0..1_500 {
        for (tablet, of) in tablets.iter().zip(["first", "second"]) {
            let mut batch = WriteBatch::new();
            batch.put(format!("k{number}"), of);
            batch.put(format!("{of} {number}"), of);
            tablet.commit(batch, Some(Durability::None)).unwrap();
        }
    }
    drop(tablets);
    drop(store);
    let (report, new) = salvaged(&disk);
    assert!(report.lost.is_empty(), "{:?}", report.lost);
    assert_eq!((report.records, report.versions), (3_000, 6_000));
    for (id, of, other) in [(0, "first", "second"), (1, "second", "first")] {
        let tablet = new.tablet_by_id(TabletId(id)).unwrap();
        for number in [0, 700, 1_499] {
            let get = |key: String| tablet.get(key.as_bytes()).unwrap();
            assert_eq!(get(format!("k{number}")).as_deref(), Some(of.as_bytes()));
            assert!(get(format!("{of} {number}")).is_some() && get(format!("{other} {number}")).is_none());
        }
    }
}
