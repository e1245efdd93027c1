//! What tablets hold back of the log they share, and how one that lags is brought forward.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sheaf_storage::{
    BackgroundWork, Durability, Error, FaultVfs, Store, StoreOptions, Tablet, TabletId, Vfs, WriteBatch,
};

use crate::fixture::{memory, open, small_options};
use crate::tablets::{SECOND, THIRD, contents, put, tablets, three};

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
