//! What the threads of a store do beside each other: nobody's work holds up another's, and files go in their own time.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use sheaf_storage::{
    BackgroundWork, Durability, Error, FaultVfs, IterOptions, ManualClock, MemoryVfs, Store, StoreOptions,
    Tablet, TabletId, Vfs, WriteBatch,
};

use crate::fixture::{DIRECTORY, comes_true, memory, open, small_options};
use crate::model::forward;

/// Holds up who comes while it is shut; opens when it goes, so that a test that fails does not wait for a thread.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn set(&self, shut: bool) {
        *self.0.0.lock().unwrap() = shut;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        drop(self.0.1.wait_while(self.0.0.lock().unwrap(), |shut| *shut).unwrap());
    }
}

struct OpensAtTheEnd(Gate);

impl Drop for OpensAtTheEnd {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

fn put(key: &str, bytes: usize) -> WriteBatch {
    let mut batch = WriteBatch::new();
    batch.put(key, vec![7; bytes]);
    batch
}

fn threads() -> StoreOptions {
    StoreOptions { background: BackgroundWork::Threads, ..small_options() }
}

/// A store whose compactions of the first tablet are held up while the gate is shut.
fn held_up(options: StoreOptions) -> (Store, Gate, OpensAtTheEnd) {
    let (_, base) = memory();
    let faults = FaultVfs::new(base);
    let gate = Gate::default();
    let of_hook = gate.clone();
    faults.set_hook(move |call| {
        // Not at the manifest, whose lock a flush needs as well.
        let sstable = call.path.extension().is_some_and(|extension| extension == "sst");
        let compacts = std::thread::current().name() == Some("sheaf-compact");
        if compacts && sstable && call.path.starts_with(Path::new(DIRECTORY).join("tablet-1")) {
            of_hook.pass();
        }
    });
    let vfs: Arc<dyn Vfs> = Arc::new(faults);
    (open(&vfs, options).unwrap(), gate.clone(), OpensAtTheEnd(gate))
}

/// Flushes in L0 that are compacted while one follows the other: the clock of these tests stands still, so they never rest.
fn l0_trigger() -> usize {
    let at_rest = small_options().l0_compaction_trigger;
    at_rest + at_rest / 2
}

#[test]
fn a_growing_file_is_sent_to_the_disk_in_parts_and_counts_when_it_is_synced() {
    let every = 512 << 10;
    for (sync_every_bytes, at_least, at_most) in [(Some(every), 5, 12), (None, 0, 0)] {
        let (disk, base) = memory();
        let faults = FaultVfs::new(base);
        let parts = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&parts);
        faults.set_hook(move |call| {
            counted.fetch_add(usize::from(call.operation == "writeback"), Ordering::Relaxed);
        });
        let vfs: Arc<dyn Vfs> = Arc::new(faults.clone());
        let options = StoreOptions {
            memtable_bytes: 8 << 20,
            wal_segment_bytes: 64 << 20,
            blob_file_bytes_target: 64 << 20,
            sync_every_bytes,
            ..small_options()
        };
        let store = open(&vfs, options.clone()).unwrap();
        let tablet = store.tablet();
        // Half in blob files, half in sstables.
        for number in 0..600 {
            tablet.commit(put(&format!("d{number:05}"), 4_000), Some(Durability::Async)).unwrap();
            (0..45).for_each(|at| {
                tablet.commit(put(&format!("i{number:05}{at}"), 80), Some(Durability::Async)).unwrap();
            });
        }
        tablet.flush().unwrap();
        let parts = parts.load(Ordering::Relaxed);
        assert!((at_least..=at_most).contains(&parts), "{parts}");
        assert!(store.verify().problems.is_empty());
        if sync_every_bytes.is_some() {
            // What the system could not write is not in the file, however the sync at the end may end.
            faults.add_rule("fail writeback *.sst once").unwrap();
            for number in 0..27_000 {
                tablet.commit(put(&format!("i{number:05}"), 80), Some(Durability::Async)).unwrap();
            }
            let refused = tablet.flush();
            assert!(
                matches!(refused, Err(sheaf_storage::Error::Io { operation: "write back", .. })),
                "{refused:?}"
            );
            drop((tablet, store));
            let store = open(&vfs, options).unwrap();
            assert!(store.verify().problems.is_empty());
            assert!(store.tablet().get(b"i26999").unwrap().is_some());
        }
        assert!(disk.files().len() > 3);
    }
}

/// The same keys again and again, so that a compaction has to merge.
fn flush_often(tablet: &Tablet, flushes: usize) {
    for number in 0..flushes {
        tablet.commit(put(&format!("i{:02}", number % 2), 50), Some(Durability::Async)).unwrap();
        tablet.commit(put("i9", 50), Some(Durability::Async)).unwrap();
        tablet.flush().unwrap();
    }
}

#[test]
fn a_long_compaction_of_one_tablet_does_not_hold_up_the_others() {
    let (store, gate, _opens) = held_up(threads());
    let (first, second) = (store.tablet(), store.create_tablet(TabletId(1)).unwrap());
    gate.set(true);
    flush_often(&first, 4);
    // More than would stop its writers if nobody compacted it.
    flush_often(&second, 3 * small_options().l0_stop);
    assert!(comes_true(|| second.statistics().levels[0].tables < l0_trigger()));
    assert!(second.statistics().compactions > 0);
    assert_eq!(first.statistics().compactions, 0, "it is held up");
    gate.set(false);
    assert!(comes_true(|| first.statistics().levels[0].tables < l0_trigger()));
}

#[test]
fn flushes_go_on_while_compactions_are_held_up() {
    let (store, gate, _opens) = held_up(StoreOptions { l0_slowdown: 60, l0_stop: 80, ..threads() });
    let tablet = store.tablet();
    gate.set(true);
    // Sealed memtables alone would stop the writer: their flush is all that can let it go on.
    for number in 0..1_500 {
        tablet.commit(put(&format!("i{:04}", number * 37 % 1_500), 200), Some(Durability::Async)).unwrap();
    }
    let statistics = tablet.statistics();
    assert!(statistics.flushes > small_options().sealed_memtables_max as u64, "{statistics:?}");
    assert_eq!(statistics.compactions, 0);
}

/// A store of many sstables that are all rewritten, and the paths its threads unlink.
fn rewritten(pace: Option<u64>) -> (MemoryVfs, Arc<AtomicUsize>, Store) {
    let (disk, base) = memory();
    let faults = FaultVfs::new(base);
    let by_others = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&by_others);
    faults.set_hook(move |call| {
        let sstable = call.path.extension().is_some_and(|extension| extension == "sst");
        let remover = std::thread::current().name() == Some("sheaf-remove");
        if call.operation == "remove" && sstable && !remover {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    });
    let vfs: Arc<dyn Vfs> = Arc::new(faults);
    let store = open(&vfs, StoreOptions { removal_bytes_per_second: pace, ..threads() }).unwrap();
    (disk, by_others, store)
}

fn sstables(disk: &MemoryVfs) -> usize {
    let files = disk.files().into_iter();
    files.filter(|(path, _)| path.extension().is_some_and(|extension| extension == "sst")).count()
}

#[test]
fn a_reader_that_ends_unlinks_nothing_itself() {
    let (disk, by_others, store) = rewritten(None);
    let tablet = store.tablet();
    flush_often(&tablet, 3);
    let snapshot = tablet.snapshot();
    let mut iter = snapshot.iter(IterOptions::default()).unwrap();
    assert!(iter.seek_to_first().unwrap());
    tablet.compact_all().unwrap();
    let before = by_others.load(Ordering::SeqCst);
    assert!(sstables(&disk) > 1, "the iterator holds them");
    drop(iter);
    assert!(comes_true(|| sstables(&disk) == 1), "{} are left", sstables(&disk));
    assert_eq!(by_others.load(Ordering::SeqCst), before);
    assert_eq!(forward(&mut snapshot.iter(IterOptions::default()).unwrap()).len(), 3);
}

#[test]
fn files_that_go_are_counted_until_they_do_and_closing_does_not_wait_for_the_pace() {
    // Two megabytes of sstables at one a second.
    let (disk, _, store) = rewritten(Some(1 << 20));
    let tablet = store.tablet();
    let iters: Vec<_> = (0..40)
        .map(|number| {
            tablet.commit(put(&format!("i{number:02}"), 12 << 10), Some(Durability::Async)).unwrap();
            tablet.flush().unwrap();
            tablet.snapshot().iter(IterOptions::default()).unwrap()
        })
        .collect();
    tablet.compact_all().unwrap();
    drop(iters);
    let waiting = store.statistics();
    assert!(waiting.removals_waiting > 0 && waiting.removal_bytes_waiting > 12 << 10, "{waiting:?}");
    let live: usize = tablet.statistics().levels.iter().map(|level| level.tables).sum();
    assert!(sstables(&disk) > live);
    store.close().unwrap();
    assert_eq!(sstables(&disk), live);
}

#[test]
fn a_dropped_tablet_leaves_no_directory() {
    let directory = Path::new(DIRECTORY).join("tablet-0000000001");
    for background in [BackgroundWork::Inline, BackgroundWork::Threads] {
        for with_files in [false, true] {
            let (disk, vfs) = memory();
            let options = StoreOptions { background, ..small_options() };
            let store = open(&vfs, options.clone()).unwrap();
            let tablet = store.create_tablet(TabletId(1)).unwrap();
            if with_files {
                flush_often(&tablet, 3);
            }
            let mut iter = tablet.snapshot().iter(IterOptions::default()).unwrap();
            store.drop_tablet(TabletId(1)).unwrap();
            assert_eq!(iter.seek_to_first().unwrap(), with_files, "who reads it reads on");
            // The power goes before the files do.
            let wreck = disk.crash_clone(1, 0);
            drop((tablet, iter));
            assert!(comes_true(|| vfs.list(&directory).is_err()), "{background:?}, files: {with_files}");
            drop(store);
            for disk in [disk, wreck] {
                let vfs: Arc<dyn Vfs> = Arc::new(disk);
                let store = open(&vfs, options.clone()).unwrap();
                assert!(vfs.list(&directory).is_err());
                assert_eq!(store.tablets(), [TabletId::FIRST]);
            }
        }
    }
}

#[test]
fn a_strangers_file_keeps_the_directory_of_a_dropped_tablet() {
    let (disk, vfs) = memory();
    let store = open(&vfs, small_options()).unwrap();
    drop(store.create_tablet(TabletId(1)).unwrap());
    let theirs = Path::new(DIRECTORY).join("tablet-0000000001/notes.txt");
    vfs.create(&theirs).unwrap();
    store.drop_tablet(TabletId(1)).unwrap();
    drop(store);
    open(&vfs, small_options()).unwrap();
    assert!(disk.contents(&theirs).is_ok());
}

#[test]
fn a_compaction_keeps_its_pace() {
    let (_, vfs) = memory();
    let options = StoreOptions {
        compaction_bytes_per_second: Some(1 << 20),
        clock: StoreOptions::default().clock,
        memtable_bytes: 4 << 20,
        wal_segment_bytes: 16 << 20,
        table_bytes_target: 1 << 20,
        ..threads()
    };
    let clock = Arc::clone(&options.clock);
    let store = open(&vfs, options).unwrap();
    let tablet = store.tablet();
    // A mebibyte and a half, merged once.
    for _ in 0..2 {
        for number in 0..75 {
            tablet.commit(put(&format!("i{number:02}"), 10_240), Some(Durability::Async)).unwrap();
        }
        tablet.flush().unwrap();
    }
    let started = clock.monotonic_micros();
    assert!(comes_true(|| tablet.statistics().compactions > 0));
    let micros = clock.monotonic_micros() - started;
    assert!(micros > 900_000, "{micros}");
}

#[test]
fn closing_does_not_wait_for_the_pace() {
    let (_, vfs) = memory();
    let options = StoreOptions {
        compaction_bytes_per_second: Some(1 << 20),
        memtable_bytes: 32 << 20,
        wal_segment_bytes: 64 << 20,
        ..threads()
    };
    let clock = StoreOptions::default().clock;
    let store = open(&vfs, options).unwrap();
    for _ in 0..2 {
        for number in 0..1_000 {
            store.tablet().commit(put(&format!("i{number:03}"), 10_240), Some(Durability::Async)).unwrap();
        }
        store.tablet().flush().unwrap();
    }
    let started = clock.monotonic_micros();
    store.close().unwrap();
    let micros = clock.monotonic_micros() - started;
    assert!(micros < 10_000_000, "twenty megabytes would take twenty seconds: {micros}");
}

/// A store in which a thread is held up at the first sstable it begins for tablet 1, and the tablets for which it begins one.
fn held_up_at(
    thread: &'static str,
    options: StoreOptions,
) -> (Store, Gate, OpensAtTheEnd, Arc<Mutex<Vec<u64>>>) {
    let (_, base) = memory();
    let faults = FaultVfs::new(base);
    let (gate, begun) = (Gate::default(), Arc::new(Mutex::new(Vec::new())));
    let (of_hook, noted) = (gate.clone(), Arc::clone(&begun));
    faults.set_hook(move |call| {
        let sstable = call.path.extension().is_some_and(|extension| extension == "sst");
        if call.operation == "create" && sstable && std::thread::current().name() == Some(thread) {
            let directory = call.path.parent().unwrap().file_name().unwrap().to_str().unwrap();
            let id = directory.rsplit_once('-').unwrap().1.parse().unwrap();
            let mut noted = noted.lock().unwrap();
            if noted.last() != Some(&id) {
                noted.push(id);
            }
            drop(noted);
            of_hook.pass();
        }
    });
    let vfs: Arc<dyn Vfs> = Arc::new(faults);
    gate.set(true);
    (open(&vfs, options).unwrap(), gate.clone(), OpensAtTheEnd(gate), begun)
}

/// Commits until so many memtables wait for their flush.
fn seal(tablet: &Tablet, memtables: usize) {
    for number in 0..1_000 {
        if tablet.statistics().sealed_memtables >= memtables {
            return;
        }
        tablet.commit(put(&format!("i{number:03}"), 900), Some(Durability::Async)).unwrap();
    }
    panic!("nothing is sealed");
}

#[test]
fn the_tablet_with_most_to_flush_is_flushed_first() {
    let options = StoreOptions { wal_segment_bytes: 1 << 20, log_segments_max: 1_000, ..threads() };
    let (store, gate, _opens, begun) = held_up_at("sheaf-flush", options);
    let [held, urgent, other] = [1, 2, 3].map(|id| store.create_tablet(TabletId(id)).unwrap());
    seal(&held, 1);
    assert!(comes_true(|| *begun.lock().unwrap() == [1]));
    seal(&other, 1);
    seal(&urgent, 3);
    gate.set(false);
    assert!(comes_true(|| begun.lock().unwrap().len() >= 3));
    assert_eq!(begun.lock().unwrap()[..3], [1, 2, 3]);
}

#[test]
fn the_tablet_with_most_flushes_in_l0_is_compacted_first() {
    let options = StoreOptions { compaction_threads_max: 1, l0_slowdown: 40, l0_stop: 60, ..threads() };
    let (store, gate, _opens, begun) = held_up_at("sheaf-compact", options);
    let [held, urgent, other] = [1, 2, 3].map(|id| store.create_tablet(TabletId(id)).unwrap());
    flush_often(&held, l0_trigger());
    assert!(comes_true(|| *begun.lock().unwrap() == [1]));
    flush_often(&other, l0_trigger());
    flush_often(&urgent, 2 * l0_trigger());
    gate.set(false);
    assert!(comes_true(|| begun.lock().unwrap().len() >= 3));
    assert_eq!(begun.lock().unwrap()[..3], [1, 2, 3]);
}

#[test]
fn a_tablet_is_dropped_when_its_flush_has_ended() {
    let (disk, base) = memory();
    let faults = FaultVfs::new(base);
    let (gate, reached) = (Gate::default(), Arc::new(AtomicBool::new(false)));
    let (of_hook, seen) = (gate.clone(), Arc::clone(&reached));
    faults.set_hook(move |call| {
        if call.operation == "create" && call.path.extension().is_some_and(|extension| extension == "sst") {
            seen.store(true, Ordering::SeqCst);
            of_hook.pass();
        }
    });
    let vfs: Arc<dyn Vfs> = Arc::new(faults);
    let store = open(&vfs, threads()).unwrap();
    let tablet = store.create_tablet(TabletId(1)).unwrap();
    tablet.commit(put("i1", 10), None).unwrap();
    let _opens = OpensAtTheEnd(gate.clone());
    gate.set(true);
    let flushing = std::thread::spawn(move || tablet.flush());
    assert!(comes_true(|| reached.load(Ordering::SeqCst)));
    let of_drop = store.clone();
    let dropping = std::thread::spawn(move || of_drop.drop_tablet(TabletId(1)));
    std::thread::park_timeout(std::time::Duration::from_millis(100));
    assert!(!dropping.is_finished(), "its directory would go while a file is written into it");
    gate.set(false);
    dropping.join().unwrap().unwrap();
    assert!(matches!(flushing.join().unwrap(), Ok(()) | Err(Error::Closed | Error::TabletDropped(_))));
    let directory = Path::new(DIRECTORY).join("tablet-0000000001");
    assert!(comes_true(|| vfs.list(&directory).is_err()));
    store.tablet().commit(put("i1", 10), None).unwrap();
    store.tablet().flush().unwrap();
    assert_eq!(sstables(&disk), 1);
}

#[test]
fn a_background_thread_that_panics_stops_writes() {
    let (_, base) = memory();
    let faults = FaultVfs::new(base);
    faults.set_hook(|call| {
        let sstable = call.path.extension().is_some_and(|extension| extension == "sst");
        let flushes = std::thread::current().name() == Some("sheaf-flush");
        assert!(!(flushes && sstable), "planted");
    });
    let vfs: Arc<dyn Vfs> = Arc::new(faults);
    let store = open(&vfs, threads()).unwrap();
    let tablet = store.tablet();
    let mut commits = (0..500).map(|number| tablet.commit(put(&format!("i{number}"), 900), None));
    let error = commits.find_map(Result::err).expect("nothing is flushed any more");
    assert!(matches!(&error, Error::Poisoned(reason) if reason.contains("panicked")), "{error}");
    assert!(tablet.get(b"i0").unwrap().is_some(), "reads go on");
    assert!(store.close().is_ok(), "what the log has is left to the next open");
}

#[test]
fn a_writer_that_is_held_back_is_told_when_the_store_closes() {
    let clock = Arc::new(ManualClock::new(1_000));
    let (store, gate, _opens) =
        held_up(StoreOptions { clock: Arc::clone(&clock) as _, l0_slowdown: 3, l0_stop: 5, ..threads() });
    let tablet = store.tablet();
    gate.set(true);
    flush_often(&tablet, 5);
    let of_writer = tablet.clone();
    let writer = std::thread::spawn(move || of_writer.commit(put("i1", 10), None));
    assert!(comes_true(|| tablet.statistics().stalls > 0));
    clock.advance_micros(3_000_000);
    let of_close = store.clone();
    let closing = std::thread::spawn(move || of_close.close());
    assert!(comes_true(|| writer.is_finished()), "it waits for what will not come any more");
    assert!(matches!(writer.join().unwrap(), Err(Error::Closed)));
    assert_eq!(tablet.statistics().stalled_micros, 3_000_000);
    gate.set(false);
    closing.join().unwrap().unwrap();
}
