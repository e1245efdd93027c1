//! Several tablets in one store: they share the log and nothing of what it says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sheaf_storage::{
    BackgroundWork, Durability, Error, FaultVfs, IterOptions, MemoryVfs, Store, StoreOptions, Tablet,
    TabletId, Timestamp, Vfs, WalCompression, WriteBatch, inspect, salvage,
};

use crate::fixture::{DIRECTORY, Dice, deep, encrypted_options, memory, open, small_options};
use crate::model::{Model, backward, forward, random_batch};

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
fn syncs_are_shared_by_all_tablets() {
    const THREADS: u64 = 8;
    const COMMITS: u64 = 40;
    let (_, base) = memory();
    let faults = FaultVfs::new(base);
    let vfs: Arc<dyn Vfs> = Arc::new(faults.clone());
    let options = StoreOptions { background: BackgroundWork::Threads, ..StoreOptions::default() };
    let store = open(&vfs, options).unwrap();
    let all: Vec<Tablet> = (0..4)
        .map(|id| if id == 0 { store.tablet() } else { store.create_tablet(TabletId(id)).unwrap() })
        .collect();
    let (at_once, most) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let syncs = Arc::new(AtomicU64::new(0));
    let (of_hook, most_of_hook, counted) = (Arc::clone(&at_once), Arc::clone(&most), Arc::clone(&syncs));
    // A disk that takes its time: whoever comes meanwhile has to find a place in the next sync.
    faults.set_hook(move |call| {
        if call.operation == "sync" && call.path.extension().is_some_and(|extension| extension == "wal") {
            most_of_hook.fetch_max(of_hook.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            counted.fetch_add(1, Ordering::SeqCst);
            std::thread::park_timeout(Duration::from_millis(2));
            of_hook.fetch_sub(1, Ordering::SeqCst);
        }
    });
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let tablet = &all[(thread % 4) as usize];
            scope.spawn(move || {
                for number in 0..COMMITS {
                    tablet.commit(put(&format!("d{thread}-{number}"), "v"), Some(Durability::Sync)).unwrap();
                }
            });
        }
    });
    let (syncs, commits) = (syncs.load(Ordering::SeqCst), THREADS * COMMITS);
    println!("{commits} commits by {THREADS} threads to 4 tablets: {syncs} syncs");
    assert_eq!(most.load(Ordering::SeqCst), 1, "one sync at a time");
    assert!(syncs * 2 <= commits, "{syncs} syncs for {commits} commits");
    assert_eq!(all.iter().map(|tablet| contents(tablet).len() as u64).sum::<u64>(), commits);
}

#[test]
pub fn idle_tablets_hold_nothing_back_and_lagging_ones_are_brought_forward() {
    let (_, vfs) = memory();
    let (store, [first, second, third]) = three(&vfs, small_options());
    let limit = small_options().log_segments_max;
    // Idle: everything it has is flushed.
    third.commit(put("d1", "idle"), None).unwrap();
    third.flush().unwrap();
    // Lagging: a few records, again and again older than all segments the first one needs.
    for round in 0..40 {
        second.commit(put(&format!("d{round:02}"), "few"), None).unwrap();
        for number in 0..40 {
            first.commit(put(&format!("d{number:03}"), &"x".repeat(300)), None).unwrap();
        }
        let statistics = store.statistics();
        let (newest, oldest) =
            (statistics.tablets[&TabletId::FIRST].oldest_segment, statistics.tablets[&SECOND].oldest_segment);
        if let (Some(newest), Some(oldest)) = (newest, oldest) {
            assert!(newest.saturating_sub(oldest) <= limit, "round {round}: {newest} {oldest}");
        }
        assert!(statistics.log_segments as u64 <= limit + 2, "round {round}: {}", statistics.log_segments);
    }
    let statistics = store.statistics();
    assert!(statistics.tablets[&SECOND].records_again > 10, "few records are appended again");
    assert_eq!(statistics.tablets[&SECOND].flushes, 0, "and not flushed");
    assert_eq!(statistics.tablets[&THIRD].oldest_segment, None);
    let expected = contents(&first);
    drop((store, first, second, third));
    let store = open(&vfs, small_options()).unwrap();
    let [first, second, third] = tablets(&store);
    assert_eq!(contents(&first), expected);
    assert_eq!(contents(&second).len(), 40);
    assert_eq!(third.get(b"d1").unwrap().as_deref(), Some(&b"idle"[..]));
    // After a reopening nobody has the records in memory, so it is flushed.
    for number in 0..400 {
        first.commit(put(&format!("d{:03}", number % 40), &"y".repeat(300)), None).unwrap();
    }
    assert_eq!(store.statistics().tablets[&SECOND].flushes, 1);
    assert!(store.statistics().log_segments as u64 <= limit + 2);
}

#[test]
fn a_lagging_tablet_whose_records_write_nothing_loses_no_index() {
    let (_, vfs) = memory();
    let (store, [first, second, _]) = three(&vfs, small_options());
    second.commit(WriteBatch::new(), None).unwrap();
    for number in 0..400 {
        first.commit(put(&format!("d{:03}", number % 40), &"x".repeat(300)), None).unwrap();
    }
    assert_eq!(second.statistics().oldest_segment, None);
    second.commit(put("d1", "v"), None).unwrap();
    drop((store, first, second));
    let store = open(&vfs, small_options()).unwrap();
    let second = store.tablet_by_id(SECOND).unwrap();
    assert_eq!(second.get(b"d1").unwrap().as_deref(), Some(&b"v"[..]));
}

#[test]
fn a_lagging_tablet_with_many_records_is_flushed() {
    let (_, vfs) = memory();
    let options = StoreOptions {
        memtable_bytes: 400 << 10,
        wal_segment_bytes: 40 << 10,
        flushable_batch_bytes: Some(1 << 20),
        log_segments_max: 8,
        ..small_options()
    };
    let (store, [first, second, _]) = three(&vfs, options.clone());
    let mut most = 0;
    for number in 0..200 {
        // The first has always the larger memtable, which is the one that is sealed when a segment is full.
        first.commit(put(&format!("d{number:03}"), &"x".repeat(1_100)), Some(Durability::None)).unwrap();
        second.commit(put(&format!("d{number:03}"), &"s".repeat(1_000)), Some(Durability::None)).unwrap();
        most = most.max(store.statistics().log_segments);
    }
    let statistics = store.statistics();
    assert_eq!(statistics.tablets[&SECOND].records_again, 0);
    assert!(statistics.tablets[&SECOND].flushes >= 1);
    assert!((6..=10).contains(&most), "{most}");
    store.close().unwrap();
    drop((store, first, second));
    let store = open(&vfs, options).unwrap();
    assert_eq!(tablets(&store).map(|tablet| contents(&tablet).len()), [200, 200, 0]);
}

#[test]
fn many_tablets_share_one_memory_budget() {
    for background in [BackgroundWork::Inline, BackgroundWork::Threads] {
        let (_, vfs) = memory();
        let options = StoreOptions {
            background,
            memtable_bytes: 256 << 10,
            wal_segment_bytes: 256 << 10,
            ..small_options()
        };
        let active_max = 3 * options.memtable_bytes as u64;
        let store = open(&vfs, options).unwrap();
        let all: Vec<Tablet> = (1..=20).map(|id| store.create_tablet(TabletId(id)).unwrap()).collect();
        let mut dice = Dice::new(3);
        let mut most = 0;
        for _ in 0..2_000 {
            let tablet = &all[dice.below(20) as usize];
            tablet.commit(random_batch(&mut dice, 200), Some(Durability::Async)).unwrap();
            let report = store.memory_report();
            most = most.max(report.active_memtable_bytes);
            assert!(report.total_bytes() <= report.budget_bytes, "{report:?}");
        }
        // An empty memtable takes something too, and there are twenty-one of them.
        if background == BackgroundWork::Inline {
            assert!(most <= active_max + 21 * (20 << 10), "{most} of {active_max}");
        }
        let flushes: u64 = store.statistics().tablets.values().map(|tablet| tablet.flushes).sum();
        assert!(flushes > 5, "{flushes}");
        store.close().unwrap();
    }
}

#[test]
fn a_transaction_gets_the_memory_that_the_memtables_of_others_hold() {
    let (_, vfs) = memory();
    let options = StoreOptions {
        memtable_bytes: 256 << 10,
        flushable_batch_bytes: Some(1 << 20),
        wal_segment_bytes: 8 << 20,
        memory_bytes: Some(2 << 20),
        ..small_options()
    };
    let (store, [first, second, third]) = three(&vfs, options);
    // Less than a memtable each, more than one together, and not more than all may have.
    for tablet in [&first, &second] {
        let mut batch = WriteBatch::new();
        (0..200).for_each(|number| batch.put(format!("k{number:03}"), vec![7; 900]));
        tablet.commit(batch, Some(Durability::Async)).unwrap();
    }
    let flushes = || store.statistics().tablets.values().map(|tablet| tablet.flushes).sum::<u64>();
    assert_eq!(flushes(), 0);
    let mut transaction = third.begin(sheaf_storage::TransactionOptions::default()).unwrap();
    let refused = (0..4_000).find_map(|number| transaction.put(format!("k{number:04}"), vec![7; 900]).err());
    assert!(matches!(refused, Some(Error::MemoryExceeded(_))), "{refused:?}");
    assert!(flushes() > 0, "what the others held was not asked for");
    transaction.rollback();
    assert_eq!((contents(&first).len(), contents(&second).len()), (200, 200));
}

#[test]
fn a_flush_leaves_no_earlier_commit_of_another_tablet_behind() {
    let (disk, vfs) = memory();
    let (_store, [first, second, third]) = three(&vfs, small_options());
    first.commit(put("d1", "before"), Some(Durability::None)).unwrap();
    third.commit(put("d1", "before"), Some(Durability::Async)).unwrap();
    second.commit(put("d1", "flushed"), Some(Durability::None)).unwrap();
    second.flush().unwrap();
    for survive_percent in [0, 50] {
        let crashed: Arc<dyn Vfs> = Arc::new(disk.crash_clone(1, survive_percent));
        let store = open(&crashed, small_options()).unwrap();
        for tablet in tablets(&store) {
            assert!(tablet.get(b"d1").unwrap().is_some(), "tablet {}", tablet.id());
        }
    }
}

#[test]
fn damage_of_what_some_tablet_knows_to_be_on_disk_is_missed() {
    for (busy, ingests) in [(0, false), (1, false), (2, false), (0, true), (2, true)] {
        let (disk, vfs) = memory();
        // The manifest is written anew every few edits.
        let options = StoreOptions { manifest_bytes_min: 64, wal_segment_bytes: 1 << 20, ..small_options() };
        let (_store, all) = three(&vfs, options.clone());
        for round in 0..8 {
            all[1].commit(put(&format!("i{round}"), "v"), Some(Durability::None)).unwrap();
            all[busy].commit(put(&format!("i{round}"), "v"), Some(Durability::None)).unwrap();
            if ingests {
                all[busy].ingest([(format!("j{round}").into_bytes(), vec![7; 10])]).unwrap();
            } else {
                all[busy].flush().unwrap();
            }
            let crashed = disk.crash_clone(1, 100);
            let segments = crashed.files().into_iter().map(|(path, _)| path);
            let path = segments.filter(|path| path.extension().is_some_and(|e| e == "wal")).max().unwrap();
            let mut bytes = crashed.contents(&path).unwrap();
            // Nothing behind it in the log says that the last record was synced.
            let end = bytes.iter().rposition(|&byte| byte != 0).unwrap();
            bytes[end] ^= 1;
            crashed.overwrite(&path, bytes).unwrap();
            let vfs: Arc<dyn Vfs> = Arc::new(crashed);
            let opened = open(&vfs, options.clone()).map(drop);
            assert!(
                matches!(&opened, Err(Error::Corruption { file, .. }) if *file == path),
                "tablet {busy}, round {round}, ingests: {ingests}: {opened:?}"
            );
        }
    }
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
fn a_shortage_of_one_tablet_does_not_hold_up_the_others() {
    let (_, base) = memory();
    let faults = FaultVfs::new(base);
    let vfs: Arc<dyn Vfs> = Arc::new(faults.clone());
    let (_store, [first, _, third]) = three(&vfs, small_options());
    faults.add_rule("fail create tablet-0000000007 errno 24").unwrap();
    let mut number = 0;
    while third.statistics().sealed_memtables < 2 {
        number += 1;
        third.commit(put(&format!("i{number:03}"), &"v".repeat(900)), None).unwrap();
    }
    assert_eq!(third.statistics().flushes, 0);
    for number in 0..60 {
        first.commit(put(&format!("i{number:03}"), &"v".repeat(900)), None).unwrap();
        assert_eq!(first.statistics().sealed_memtables, 0, "what is sealed is flushed at once");
    }
    assert!(first.statistics().flushes > 1);
    faults.clear_rules();
    third.commit(put("i", "v"), None).unwrap();
    assert_eq!(third.statistics().sealed_memtables, 0);
    assert_eq!(contents(&third).len(), number + 1);
}

#[test]
fn a_tablet_holds_back_as_many_segments_as_it_may_and_no_more() {
    for log_segments_max in [2, 5] {
        let (_, vfs) = memory();
        let (store, [first, second, _]) = three(&vfs, StoreOptions { log_segments_max, ..small_options() });
        second.commit(put("d1", "few"), None).unwrap();
        let mut most = 0;
        for number in 0..300 {
            first.commit(put(&format!("d{:03}", number % 40), &"x".repeat(300)), None).unwrap();
            most = most.max(store.statistics().log_segments as u64);
        }
        assert_eq!(most, log_segments_max);
        assert!(second.statistics().records_again > 1);
    }
}

/// Commits until it is so.
fn fill_until(tablet: &Tablet, is_so: impl Fn() -> bool) {
    for number in 0..1_000 {
        if is_so() {
            return;
        }
        tablet.commit(put(&format!("d{:03}", number % 40), &"x".repeat(300)), None).unwrap();
    }
    panic!("it never is");
}

#[test]
fn a_copy_of_a_tablet_that_was_brought_forward_keeps_what_it_is_given() {
    let (_, vfs) = memory();
    let (store, [first, second, _]) = three(&vfs, small_options());
    for copy in 1..=3 {
        second.commit(put("d1", "few"), None).unwrap();
        let before = second.statistics().records_again;
        fill_until(&first, || second.statistics().records_again > before);
        let directory = format!("/copy{copy}");
        store.checkpoint(Path::new(&directory)).unwrap();
        let open_copy = || Store::open(Arc::clone(&vfs), Path::new(&directory), small_options()).unwrap();
        let copied = open_copy();
        copied.tablet_by_id(SECOND).unwrap().commit(put("d2", "later"), None).unwrap();
        drop(copied);
        let second = open_copy().tablet_by_id(SECOND).unwrap();
        assert_eq!(second.get(b"d2").unwrap().as_deref(), Some(&b"later"[..]), "copy {copy}");
    }
}

#[test]
fn what_is_flushed_is_not_appended_again() {
    let (_, vfs) = memory();
    let (_store, [first, second, _]) = three(&vfs, small_options());
    for number in 0..5 {
        second.commit(put(&format!("d{number}"), "flushed"), None).unwrap();
    }
    second.flush().unwrap();
    second.commit(put("d9", "the only one"), None).unwrap();
    fill_until(&first, || second.statistics().records_again > 0);
    assert_eq!(second.statistics().records_again, 1);
}

#[test]
fn a_timestamp_whose_record_wrote_nothing_does_not_come_again() {
    let (_, vfs) = memory();
    let (store, [first, second, _]) = three(&vfs, small_options());
    let empty = second.commit(WriteBatch::new(), None).unwrap();
    for number in 0..400 {
        first.commit(put(&format!("d{:03}", number % 40), &"x".repeat(300)), None).unwrap();
    }
    assert_eq!(second.statistics().oldest_segment, None, "it was brought forward");
    drop((store, first, second));
    let store = open(&vfs, small_options()).unwrap();
    assert_eq!(store.tablet_by_id(SECOND).unwrap().last_timestamp(), empty);
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

#[test]
fn a_crash_while_tablets_are_made_and_dropped_leaves_each_whole_or_not_there() {
    let (disk, base) = memory();
    let faults = FaultVfs::new(base);
    let vfs: Arc<dyn Vfs> = Arc::new(faults.clone());
    let store = open(&vfs, small_options()).unwrap();
    store.tablet().commit(put("d1", "first"), None).unwrap();
    let wrecks: Arc<Mutex<Vec<MemoryVfs>>> = Arc::default();
    let kept = Arc::clone(&wrecks);
    faults.set_hook(move |call| {
        // Names are what counts here, and each survives by itself.
        let clones = if call.operation == "syncdir" { 12 } else { 1 };
        let clone = |seed| disk.crash_clone(call.index * 100 + seed, 50);
        kept.lock().unwrap().extend((0..clones).map(clone));
    });
    for id in [SECOND, THIRD] {
        store.create_tablet(id).unwrap().commit(put("d1", "v"), None).unwrap();
    }
    store.drop_tablet(SECOND).unwrap();
    faults.set_hook(|_| {});
    let wrecks = std::mem::take(&mut *wrecks.lock().unwrap());
    let mut found = BTreeSet::new();
    for wreck in wrecks {
        let vfs: Arc<dyn Vfs> = Arc::new(wreck);
        let store = open(&vfs, small_options()).unwrap();
        assert_eq!(contents(&store.tablet()).len(), 1);
        found.insert(store.tablets());
        for id in store.tablets() {
            store.tablet_by_id(id).unwrap().commit(put("d2", "after"), None).unwrap();
        }
    }
    assert!(found.len() >= 4, "{found:?}");
}

#[test]
fn a_crash_during_a_checkpoint_of_several_tablets_leaves_no_store_or_a_whole_one() {
    let (disk, base) = memory();
    let faults = FaultVfs::new(base);
    let vfs: Arc<dyn Vfs> = Arc::new(faults.clone());
    let (store, all) = three(&vfs, small_options());
    for tablet in &all {
        tablet.commit(put("d1", &"v".repeat(200)), None).unwrap();
    }
    let wrecks: Arc<Mutex<Vec<MemoryVfs>>> = Arc::default();
    let kept = Arc::clone(&wrecks);
    let running = disk.clone();
    faults.set_hook(move |call| {
        let clones = if call.operation == "syncdir" { 12 } else { 1 };
        let clone = |seed| running.crash_clone(call.index * 100 + seed, 50);
        kept.lock().unwrap().extend((0..clones).map(clone));
    });
    store.checkpoint(Path::new("/copy")).unwrap();
    faults.set_hook(|_| {});
    let during = std::mem::take(&mut *wrecks.lock().unwrap());
    let mut whole = 0;
    for (disk, is_done) in
        during.into_iter().map(|disk| (disk, false)).chain([(disk.crash_clone(1, 0), true)])
    {
        let vfs: Arc<dyn Vfs> = Arc::new(disk);
        if vfs.len(Path::new("/copy/STORE")).is_err() {
            assert!(!is_done, "once it has returned, a checkpoint is durable");
            continue;
        }
        let copy = Store::open(vfs, Path::new("/copy"), small_options()).unwrap();
        assert!(tablets(&copy).iter().all(|tablet| contents(tablet).len() == 1));
        whole += 1;
    }
    assert!(whole > 3, "{whole}");
}

/// A disk as a power cut left it, and what must be on it: per tablet, how many commits were acknowledged as synced, and how
/// many had been begun; which tablets must be there, and which may.
struct Wreck {
    disk: MemoryVfs,
    synced: [usize; 3],
    begun: [usize; 3],
    certain: BTreeSet<TabletId>,
    possible: BTreeSet<TabletId>,
    during: String,
}

/// What the workload has got to.
#[derive(Clone, Default)]
struct Reached {
    synced: [usize; 3],
    begun: [usize; 3],
    certain: BTreeSet<TabletId>,
    possible: BTreeSet<TabletId>,
}

type History = [Vec<(Timestamp, WriteBatch)>; 3];

const IDS: [TabletId; 3] = [TabletId::FIRST, SECOND, THIRD];
/// Tablets that come and go beside the three.
const PASSING: std::ops::Range<u64> = 100..200;

/// Three tablets at work, one of them seldom, one in bursts, while others come and go; with crash clones taken on the way.
fn commit_and_wreck(options: &StoreOptions, seed: u64, commits: usize) -> (History, Vec<Wreck>, u64) {
    let (disk, base) = memory();
    let faults = FaultVfs::new(base);
    let reached: Arc<Mutex<Reached>> = Arc::default();
    let wrecks: Arc<Mutex<Vec<Wreck>>> = Arc::default();
    let (seen, kept, chance) =
        (Arc::clone(&reached), Arc::clone(&wrecks), Mutex::new(Dice::new(seed ^ 0x77)));
    faults.set_hook(move |call| {
        let mut dice = chance.lock().unwrap();
        if dice.below(25) == 0 {
            let survive = [0, 50, 100][dice.below(3) as usize];
            let Reached { synced, begun, certain, possible } = seen.lock().unwrap().clone();
            let disk = disk.crash_clone(dice.below(u64::MAX), survive);
            let during = format!("{} {}, {survive} % survive", call.operation, call.path.display());
            kept.lock().unwrap().push(Wreck { disk, synced, begun, certain, possible, during });
        }
    });
    let vfs: Arc<dyn Vfs> = Arc::new(faults);
    let mut dice = Dice::new(seed);
    let mut history = History::default();
    let mut passing = PASSING;
    let mut alive = Vec::new();
    let mut again = 0;
    let mut store = open(&vfs, options.clone()).unwrap();
    let note = |change: &dyn Fn(&mut Reached)| change(&mut reached.lock().unwrap());
    for id in [SECOND, THIRD] {
        note(&|reached| {
            reached.possible.insert(id);
        });
        store.create_tablet(id).unwrap();
        note(&|reached| {
            reached.certain.insert(id);
        });
    }
    for number in 0..commits {
        let at = match dice.below(30) {
            0 => 1,
            1..=6 if number % 90 > 60 => 2,
            _ => 0,
        };
        let tablet = store.tablet_by_id(IDS[at]).unwrap();
        let batch = random_batch(&mut dice, 60);
        let durability = [Durability::Sync, Durability::Async, Durability::None][dice.below(3) as usize];
        note(&|reached| reached.begun[at] += 1);
        let timestamp = tablet.commit(batch.clone(), Some(durability)).unwrap();
        history[at].push((timestamp, batch));
        if durability == Durability::Sync {
            // The log is one: what was committed to the others before is durable with it.
            note(&|reached| reached.synced = reached.begun);
        }
        match dice.below(150) {
            0 => tablet.compact_all().unwrap(),
            1 => {
                again += records_again(&store);
                store.close().unwrap();
                note(&|reached| reached.synced = reached.begun);
                store = open(&vfs, options.clone()).unwrap();
            }
            2..=4 => {
                let id = TabletId(passing.next().unwrap());
                note(&|reached| {
                    reached.possible.insert(id);
                });
                store.create_tablet(id).unwrap().commit(put("d", "passing"), None).unwrap();
                note(&|reached| {
                    reached.certain.insert(id);
                });
                alive.push(id);
            }
            5..=7 if !alive.is_empty() => {
                let id = alive.swap_remove(dice.below(alive.len() as u64) as usize);
                note(&|reached| {
                    reached.certain.remove(&id);
                });
                store.drop_tablet(id).unwrap();
                note(&|reached| {
                    reached.possible.remove(&id);
                });
            }
            _ => {}
        }
    }
    again += records_again(&store);
    drop(store);
    drop(vfs);
    let wrecks = std::mem::take(&mut *wrecks.lock().unwrap());
    (history, wrecks, again)
}

fn records_again(store: &Store) -> u64 {
    store.statistics().tablets.values().map(|tablet| tablet.records_again).sum()
}

/// What a tablet holds must be a prefix of its commits, between those synced and those begun.
fn check_tablet(wreck: &Wreck, at: usize, tablet: &Tablet, history: &[(Timestamp, WriteBatch)]) {
    let last = tablet.last_timestamp();
    let prefix = history.partition_point(|(timestamp, _)| *timestamp <= last);
    let mut model = Model::default();
    history[..prefix].iter().for_each(|(timestamp, batch)| model.apply(batch, *timestamp));
    let expected = model.scan(last, None, None);
    let snapshot = tablet.snapshot();
    let during = &wreck.during;
    assert_eq!(forward(&mut snapshot.iter(IterOptions::default()).unwrap()), expected, "{at} {during}");
    assert_eq!(backward(&mut snapshot.iter(IterOptions::default()).unwrap()), expected, "{at} {during}");
    let (synced, begun) = (wreck.synced[at], wreck.begun[at]);
    assert!(synced <= prefix && prefix <= begun, "tablet {at}: {synced} {prefix} {begun}, {during}");
}

fn check(options: &StoreOptions, wreck: &Wreck, history: &History) {
    let vfs: Arc<dyn Vfs> = Arc::new(wreck.disk.clone());
    // Twice: what the first opening removes and begins must not hurt the second.
    for round in 0..2 {
        let store = match open(&vfs, options.clone()) {
            Ok(store) => store,
            Err(error) => panic!("{error}; round {round}, crashed during {}", wreck.during),
        };
        let there: BTreeSet<TabletId> =
            store.tablets().into_iter().filter(|id| *id != TabletId::FIRST).collect();
        let first_ids = [SECOND, THIRD];
        assert!(wreck.certain.is_subset(&there), "{there:?} {:?} {}", wreck.certain, wreck.during);
        assert!(there.is_subset(&wreck.possible), "{there:?} {:?} {}", wreck.possible, wreck.during);
        for (at, id) in IDS.iter().enumerate() {
            if let Ok(tablet) = store.tablet_by_id(*id)
                && round == 0
            {
                check_tablet(wreck, at, &tablet, &history[at]);
            }
        }
        for id in there.iter().filter(|id| !first_ids.contains(id)) {
            let found = store.tablet_by_id(*id).unwrap().get(b"d").unwrap();
            assert!(found.is_some() || !wreck.certain.contains(id), "{id} {}", wreck.during);
        }
        assert!(store.verify().problems.is_empty());
        store.tablet().commit(put("after", "the crash"), None).unwrap();
        if round == 0 {
            store.close().unwrap();
        }
    }
}

/// Takes and checks crash points; how many there were.
pub fn crash(options: &StoreOptions, seeds: u64, commits: usize) -> usize {
    let (mut points, mut again) = (0, 0);
    for seed in 1..=seeds {
        let (history, wrecks, copies) = commit_and_wreck(options, seed, commits);
        again += copies;
        wrecks.iter().for_each(|wreck| check(options, wreck, &history));
        points += wrecks.len();
    }
    assert!(again > seeds, "records are hardly ever appended again: {again}");
    points
}

/// Small, with a log that goes on to its next segment often.
pub fn crash_options() -> StoreOptions {
    StoreOptions { wal_segment_bytes: 5 << 10, log_segments_max: 2, ..small_options() }
}

#[test]
fn deep_crash_tablets() {
    let (seeds, commits) = if deep() { (150, 500) } else { (3, 200) };
    let points = crash(&crash_options(), seeds, commits);
    println!("stage crash_tablets: {points} points over {seeds} seeds");
    assert!(points > 50, "{points}");
}

/// A workload over tablets that come, lag, and go. Stops at the first error; how many commits of each tablet were
/// acknowledged as synced.
fn workload(vfs: &Arc<dyn Vfs>, model: &mut BTreeMap<TabletId, Vec<u64>>) -> Result<(), Error> {
    for half in 0..2_u64 {
        let store = open(vfs, crash_options())?;
        for id in [TabletId::FIRST, SECOND, THIRD] {
            if id != TabletId::FIRST && half == 0 {
                store.create_tablet(id)?;
            }
            model.entry(id).or_default();
        }
        for number in half * 60..half * 60 + 60 {
            let id = match number % 20 {
                0 => SECOND,
                5..=7 => THIRD,
                _ => TabletId::FIRST,
            };
            let key = format!("d{number:03}");
            store.tablet_by_id(id)?.commit(put(&key, &"v".repeat(400)), Some(Durability::Sync))?;
            model.entry(id).or_default().push(number);
        }
        store.create_tablet(TabletId(30 + half))?.commit(put("d", "v"), None)?;
        store.checkpoint(Path::new(&format!("/copy{half}")))?;
        store.drop_tablet(TabletId(30 + half))?;
        store.close()?;
    }
    Ok(())
}

/// Whether the fault struck.
fn fail_at(index: u64, once: bool) -> bool {
    let (_, base) = memory();
    let faults = FaultVfs::new(base);
    let vfs: Arc<dyn Vfs> = Arc::new(faults.clone());
    let rule = if once { format!("fail any after {index} once") } else { format!("fail any after {index}") };
    faults.add_rule(&rule).unwrap();
    let mut model = BTreeMap::new();
    let result = workload(&vfs, &mut model);
    let struck = faults.failures() > 0;
    assert!(result.is_ok() || struck, "{result:?}");
    faults.clear_rules();
    let store = match open(&vfs, crash_options()) {
        Ok(store) => store,
        Err(error) => panic!("after {rule}: {error}"),
    };
    for (id, numbers) in model.iter().filter(|(_, numbers)| !numbers.is_empty()) {
        let tablet = store.tablet_by_id(*id).unwrap();
        for number in numbers {
            assert!(
                tablet.get(format!("d{number:03}").as_bytes()).unwrap().is_some(),
                "{rule}: {id} {number}"
            );
        }
    }
    store.create_tablet(TabletId(90)).unwrap();
    struck
}

#[test]
fn deep_every_io_of_tablets_fails() {
    let stride = if deep() { 1 } else { 17 };
    let (mut index, mut runs) = (0, 0);
    loop {
        let once = fail_at(index, true);
        let for_good = fail_at(index, false);
        runs += 2;
        if !once && !for_good {
            break;
        }
        index += stride;
    }
    println!("stage every_io_of_tablets_fails: {runs} runs, call indexes up to {index}");
    assert!(index > 300, "the workload makes too few calls: {index}");
}
