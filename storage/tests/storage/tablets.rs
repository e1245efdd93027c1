//! Several tablets in one store: they share the log and nothing of what it says.

pub mod crash;
pub mod log;
mod memory;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sheaf_storage::{
    BackgroundWork, Durability, Error, FaultVfs, IterOptions, MemoryVfs, Store, StoreOptions, Tablet,
    TabletId, Vfs, WalCompression, WriteBatch, inspect, salvage,
};

use crate::fixture::{DIRECTORY, encrypted_options, memory, open, small_options};
use crate::model::forward;

const SECOND: TabletId = TabletId(1);
const THIRD: TabletId = TabletId(7);

fn put(key: &str, value: &str) -> WriteBatch {
    let mut batch = WriteBatch::new();
    batch.put(key, value);
    batch
}

/// A store of three tablets.
fn three(vfs: &Arc<dyn Vfs>, options: StoreOptions) -> (Store, [Tablet; 3]) {
    let store = open(vfs, options).unwrap();
    let tablets = [store.tablet(), store.create_tablet(SECOND).unwrap(), store.create_tablet(THIRD).unwrap()];
    (store, tablets)
}

/// The three tablets of a store.
fn tablets(store: &Store) -> [Tablet; 3] {
    [TabletId::FIRST, SECOND, THIRD].map(|id| store.tablet_by_id(id).unwrap())
}

fn contents(tablet: &Tablet) -> Vec<(Vec<u8>, Vec<u8>)> {
    forward(&mut tablet.snapshot().iter(IterOptions::default()).unwrap())
}

#[test]
fn tablets_have_the_same_keys_and_know_nothing_of_each_other() {
    for options in [small_options(), encrypted_options()] {
        let (_, vfs) = memory();
        let (store, all) = three(&vfs, options.clone());
        assert_eq!(store.tablets(), [TabletId::FIRST, SECOND, THIRD]);
        for round in 0..200 {
            for (at, tablet) in all.iter().enumerate() {
                tablet.commit(put(&format!("d{round:03}"), &format!("{at}-{round}")), None).unwrap();
            }
        }
        let check = |store: &Store| {
            for (at, tablet) in tablets(store).iter().enumerate() {
                let found = contents(tablet);
                assert_eq!(found.len(), 200);
                assert_eq!(found[17].1, format!("{at}-17").into_bytes());
            }
        };
        check(&store);
        assert!(store.statistics().tablets.values().all(|tablet| tablet.flushes > 0));
        store.close().unwrap();
        let read_only = open(&vfs, StoreOptions { read_only: true, ..options.clone() }).unwrap();
        check(&read_only);
        assert!(matches!(read_only.create_tablet(TabletId(9)), Err(Error::InvalidInput(_))));
        drop(read_only);
        let store = open(&vfs, options).unwrap();
        check(&store);
        let indexes = tablets(&store).map(|tablet| tablet.commit(put("next", "x"), None));
        assert!(indexes.iter().all(Result::is_ok));
        assert!(store.verify().problems.is_empty());
    }
}

#[test]
fn ids_that_are_unknown_taken_or_dropped_are_named() {
    let (_, vfs) = memory();
    let (store, [first, second, _]) = three(&vfs, small_options());
    assert_eq!((first.id(), second.id()), (TabletId::FIRST, SECOND));
    let check = |store: &Store| {
        assert!(matches!(store.create_tablet(THIRD), Err(Error::TabletExists(THIRD))));
        assert!(matches!(store.create_tablet(TabletId::FIRST), Err(Error::TabletExists(_))));
        assert!(matches!(store.create_tablet(SECOND), Err(Error::TabletDropped(SECOND))));
        assert!(matches!(store.tablet_by_id(SECOND), Err(Error::TabletDropped(SECOND))));
        assert!(matches!(store.drop_tablet(SECOND), Err(Error::TabletDropped(SECOND))));
        assert!(matches!(store.tablet_by_id(TabletId(99)), Err(Error::TabletUnknown(TabletId(99)))));
        assert!(matches!(store.drop_tablet(TabletId(99)), Err(Error::TabletUnknown(TabletId(99)))));
        assert!(matches!(store.drop_tablet(TabletId::FIRST), Err(Error::InvalidInput(_))));
        assert_eq!(store.tablets(), [TabletId::FIRST, THIRD]);
    };
    store.drop_tablet(SECOND).unwrap();
    check(&store);
    store.close().unwrap();
    assert!(matches!(store.create_tablet(TabletId(50)), Err(Error::Closed)));
    assert!(matches!(store.drop_tablet(THIRD), Err(Error::Closed)));
    drop(store);
    check(&open(&vfs, small_options()).unwrap());
}

#[test]
fn a_dropped_tablet_can_be_read_by_who_holds_it_and_its_files_go() {
    let (disk, vfs) = memory();
    let (store, [first, second, _]) = three(&vfs, small_options());
    for number in 0..300 {
        second.commit(put(&format!("d{number:03}"), &"v".repeat(number)), None).unwrap();
        first.commit(put(&format!("d{number:03}"), "first"), None).unwrap();
    }
    let files = |disk: &MemoryVfs| {
        let within = |path: &Path| path.starts_with(Path::new(DIRECTORY).join("tablet-0000000001"));
        disk.files().iter().filter(|(path, _)| within(path)).count()
    };
    assert!(files(&disk) > 3);
    let snapshot = second.snapshot();
    store.drop_tablet(SECOND).unwrap();
    assert!(matches!(second.commit(put("d", "x"), None), Err(Error::TabletDropped(SECOND))));
    assert!(matches!(second.flush(), Err(Error::TabletDropped(SECOND))));
    assert_eq!(forward(&mut snapshot.iter(IterOptions::default()).unwrap()).len(), 300);
    assert_eq!(snapshot.get(b"d299").unwrap().unwrap().len(), 299);
    drop((snapshot, second));
    assert_eq!(files(&disk), 0);
    assert_eq!(contents(&first).len(), 300);
    store.close().unwrap();
    drop((store, first));
    // Its records are still in the log.
    let store = open(&vfs, small_options()).unwrap();
    assert_eq!(contents(&store.tablet()).len(), 300);
    assert_eq!(contents(&store.tablet_by_id(THIRD).unwrap()).len(), 0);
}

#[test]
fn a_list_of_tablets_that_is_lost_or_damaged_is_an_error_and_nothing_is_removed() {
    let (disk, vfs) = memory();
    let (store, all) = three(&vfs, small_options());
    for tablet in &all {
        tablet.commit(put("d1", "v"), None).unwrap();
        tablet.flush().unwrap();
    }
    store.close().unwrap();
    drop((store, all));
    let path = Path::new(DIRECTORY).join("TABLETS");
    let bytes = disk.contents(&path).unwrap();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 4;
        disk.overwrite(&path, damaged).unwrap();
        assert!(matches!(open(&vfs, small_options()), Err(Error::Corruption { .. })), "byte {at}");
    }
    vfs.remove(&path).unwrap();
    let files = disk.files().len();
    let error = open(&vfs, small_options()).err().unwrap();
    assert!(matches!(&error, Error::Corruption { file, .. } if *file == path), "{error}");
    assert_eq!(disk.files().len(), files);
    // What is there can be had all the same.
    let report = salvage(&vfs, Path::new(DIRECTORY), Path::new("/saved"), small_options()).unwrap();
    assert_eq!(report.lost.len(), 1, "{report:?}");
    let saved = Store::open(Arc::clone(&vfs), Path::new("/saved"), small_options()).unwrap();
    for tablet in tablets(&saved) {
        assert_eq!(tablet.get(b"d1").unwrap().as_deref(), Some(&b"v"[..]));
    }
}

#[test]
fn a_record_of_a_tablet_that_never_was_is_corruption() {
    let (disk, vfs) = memory();
    let (store, [_, second, _]) = three(&vfs, small_options());
    let list = Path::new(DIRECTORY).join("TABLETS");
    second.commit(put("d1", "v"), None).unwrap();
    drop((store, second));
    // A list of before: of the same store, and whole.
    let (_, other) = memory();
    let early = open(&other, small_options()).unwrap();
    early.create_tablet(THIRD).unwrap();
    drop(early);
    let whole = disk.contents(&list).unwrap();
    let mut bytes = other
        .open_read(&list)
        .map(|file| {
            let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
            file.read_exact_at(0, &mut bytes).unwrap();
            bytes
        })
        .unwrap();
    bytes[16..32].copy_from_slice(&whole[16..32]);
    let end = bytes.len() - 4;
    let sum = crc32c::crc32c(&bytes[..end]).to_le_bytes();
    bytes[end..].copy_from_slice(&sum);
    disk.overwrite(&list, bytes).unwrap();
    let error = open(&vfs, small_options()).err().unwrap();
    assert!(matches!(&error, Error::Corruption { detail, .. } if detail.contains("tablet 1")), "{error}");
}

#[test]
fn one_tablet_keeps_the_format_it_had_and_several_have_their_own() {
    let (disk, vfs) = memory();
    let options = StoreOptions { wal_compression: WalCompression::None, ..small_options() };
    let store = open(&vfs, options).unwrap();
    let version = || disk.contents(&Path::new(DIRECTORY).join("STORE")).unwrap()[8];
    assert_eq!(version(), 1);
    assert!(disk.contents(&Path::new(DIRECTORY).join("TABLETS")).is_err());
    assert_eq!(store.format_version(), 1);
    store.create_tablet(SECOND).unwrap();
    assert_eq!((version(), store.format_version()), (3, 3));
    store.drop_tablet(SECOND).unwrap();
    store.create_tablet(THIRD).unwrap();
    let mut text = Vec::new();
    for name in ["STORE", "TABLETS"] {
        inspect(&vfs, &Path::new(DIRECTORY).join(name), None, &mut text).unwrap();
    }
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("of several tablets") && text.contains("tablet 7"), "{text}");
    assert!(text.contains("dropped 1"), "{text}");
}

#[test]
fn a_checkpoint_has_all_tablets_of_one_moment() {
    let (_, vfs) = memory();
    let options = StoreOptions { background: BackgroundWork::Threads, ..small_options() };
    let (store, all) = three(&vfs, options);
    let done = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // One writer goes round, so at any moment no tablet is more than one write ahead of the next.
            for number in 0..2_000_u64 {
                let at = (number % 3) as usize;
                all[at].commit(put(&format!("d{number:05}"), "v"), Some(Durability::Async)).unwrap();
                done.store(number + 1, Ordering::SeqCst);
            }
        });
        for copy in 0..4 {
            while done.load(Ordering::SeqCst) < copy * 450 {
                std::thread::yield_now();
            }
            store.checkpoint(Path::new(&format!("/copy{copy}"))).unwrap();
        }
    });
    for copy in 0..4 {
        let path = format!("/copy{copy}");
        let copied = Store::open(Arc::clone(&vfs), Path::new(&path), small_options()).unwrap();
        let counts = tablets(&copied).map(|tablet| contents(&tablet).len());
        assert!(counts[0] as u64 >= copy * 150, "{counts:?}");
        assert!(counts[0] - counts[2] <= 1 && counts[0] >= counts[1] && counts[1] >= counts[2], "{counts:?}");
        copied.create_tablet(TabletId(20)).unwrap();
        assert!(copied.verify().problems.is_empty());
    }
    assert!(matches!(store.checkpoint(Path::new("/copy1")), Err(Error::InvalidInput(_))));
    // Of one tablet: a store that has it as its first, and no other.
    all[2].checkpoint(Path::new("/third")).unwrap();
    let third = Store::open(Arc::clone(&vfs), Path::new("/third"), small_options()).unwrap();
    assert_eq!(third.tablets(), [TabletId::FIRST]);
    assert_eq!(contents(&third.tablet()), contents(&all[2]));
}

#[test]
fn files_that_nobody_needs_go_from_the_directories_of_all_tablets() {
    let (disk, vfs) = memory();
    drop(three(&vfs, small_options()));
    let strays = ["tablet-1", "tablet-0000000001", "tablet-0000000007"]
        .map(|name| Path::new(DIRECTORY).join(name).join("0000009999.sst"));
    strays.iter().for_each(|path| drop(vfs.create(path).unwrap()));
    let store = open(&vfs, small_options()).unwrap();
    assert!(strays.iter().all(|path| disk.contents(path).is_err()));
    assert!(tablets(&store).iter().all(|tablet| tablet.commit(put("d", "v"), None).is_ok()));
}

#[test]
fn a_tablet_that_could_not_be_dropped_goes_on() {
    let (_, base) = memory();
    let faults = FaultVfs::new(base);
    let vfs: Arc<dyn Vfs> = Arc::new(faults.clone());
    let (store, [_, second, _]) = three(&vfs, small_options());
    second.commit(put("d000", "v"), None).unwrap();
    faults.add_rule("fail create TABLETS errno 24 once").unwrap();
    assert!(matches!(store.drop_tablet(SECOND), Err(Error::TooManyOpenFiles { .. })));
    for number in 0..200 {
        second.commit(put(&format!("d{number:03}"), &"v".repeat(300)), None).unwrap();
    }
    assert!(second.statistics().flushes > 0 && second.statistics().compactions > 0);
    second.compact_all().unwrap();
    assert_eq!(contents(&second).len(), 200);
    drop((store, second));
    let store = open(&vfs, small_options()).unwrap();
    assert_eq!(contents(&store.tablet_by_id(SECOND).unwrap()).len(), 200);
}

#[test]
fn damage_of_any_tablets_files_is_found_by_the_stores_verification() {
    let (disk, vfs) = memory();
    let (store, all) = three(&vfs, small_options());
    for tablet in &all {
        tablet.commit(put("d1", &"v".repeat(200)), None).unwrap();
        tablet.flush().unwrap();
    }
    let whole = store.verify();
    assert!(whole.files >= 6 && whole.problems.is_empty(), "{whole:?}");
    let is_data = |path: &Path| path.extension().is_some_and(|e| e == "sst" || e == "blob");
    let files: Vec<_> = disk.files().into_iter().filter(|(path, _)| is_data(path)).collect();
    assert!(files.iter().map(|(_, length)| length).sum::<u64>() <= whole.bytes);
    for (path, _) in files {
        let intact = disk.contents(&path).unwrap();
        let mut damaged = intact.clone();
        damaged[intact.len() / 2] ^= 1;
        disk.overwrite(&path, damaged).unwrap();
        let problems = store.verify().problems;
        let is_of_file = |error: &Error| matches!(error, Error::Corruption { file, .. } if *file == path);
        assert!(problems.iter().any(is_of_file), "{problems:?}");
        disk.overwrite(&path, intact).unwrap();
    }
}
