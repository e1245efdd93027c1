//! Who is woken by whom: what leaves work behind announces it, what has done some reports it, in every order of the two sides.
//!
//! A wake-up that is lost would mostly be made up for by a later look, so what is tested is that it was sent, not how soon
//! somebody came.

use std::path::Path;

use super::*;
use crate::clock::ManualClock;
use crate::options::{Durability, StoreOptions, WalCompression};
use crate::store::Store;
use crate::tablet::{Tablet, TabletId};
use crate::vfs::{FaultVfs, MemoryVfs};
use crate::wal::header::segment_path;
use crate::write_batch::WriteBatch;

fn open(options: StoreOptions) -> Store {
    Store::open(Arc::new(MemoryVfs::new()), "/db".as_ref(), options).unwrap()
}

fn inline() -> StoreOptions {
    // Lengths are those of what is written.
    let wal_compression = WalCompression::None;
    StoreOptions { background: BackgroundWork::Inline, wal_compression, ..StoreOptions::default() }
}

/// A store whose threads have nothing more to do with it, so that whatever is announced is for nobody.
fn left_alone(options: StoreOptions) -> Store {
    let store = open(StoreOptions { background: BackgroundWork::Threads, ..options });
    let shared = store.tablet().inner.shared.clone();
    shared.stop.store(true, Ordering::Release);
    shared.work.wake();
    store
}

fn put(tablet: &Tablet, key: &str, bytes: usize) {
    let mut batch = WriteBatch::new();
    batch.put(key, vec![7; bytes]);
    tablet.commit(batch, Some(Durability::Async)).unwrap();
}

/// How often work was announced, and how often some was done, while something is done.
fn told(shared: &Shared, act: impl FnOnce()) -> (u64, u64) {
    let before = *lock(&shared.work.counts);
    act();
    let after = *lock(&shared.work.counts);
    (after.0 - before.0, after.1 - before.1)
}

#[test]
fn what_leaves_work_behind_announces_it_and_what_does_some_reports_it() {
    let store = open(inline());
    let tablet = store.tablet();
    let inner = &tablet.inner;
    let shared = &*inner.shared;
    assert!(lock(&shared.work.counts).0 > 0, "what an open finds to do");
    put(&tablet, "a", 10);
    shared.work.sync_asked.store(false, Ordering::Release);
    assert_eq!(told(shared, || inner.seal_active().unwrap()), (1, 0), "a memtable to flush");
    assert!(shared.work.sync_asked.load(Ordering::Acquire), "a head to sync");
    // It wakes who compacts, and who waits for memory; once with the lock, once without.
    assert_eq!(told(shared, || inner.flush_sealed().unwrap()), (1, 2));
    assert_eq!(told(shared, || inner.flush_sealed().unwrap()), (0, 1), "the lock was taken, and is free");
    put(&tablet, "a", 10);
    tablet.flush().unwrap();
    let merge = || tablet.compact_all().unwrap();
    assert_eq!(told(shared, merge), (1, 2), "the tablet was busy; an empty flush and a compaction");
    let ingest = || _ = tablet.ingest([(b"b".to_vec(), vec![7; 10])]).unwrap();
    assert_eq!(told(shared, ingest), (1, 0), "files in L0");
    let second = store.create_tablet(TabletId(2)).unwrap();
    let dropping = || store.drop_tablet(TabletId(2)).unwrap();
    assert_eq!(told(shared, dropping), (1, 1), "its files are to go, who waits for its flushes is not to");
    drop(second);
    assert_eq!(told(shared, || store.close().unwrap()), (1, 1), "threads end, and so do waits");
}

#[test]
fn a_flush_reports_before_it_removes_segments_and_wakes_compaction_behind_that() {
    let faults = FaultVfs::new(Arc::new(MemoryVfs::new()));
    let store = Store::open(Arc::new(faults.clone()), "/db".as_ref(), inline()).unwrap();
    let tablet = store.tablet();
    put(&tablet, "a", 10);
    tablet.inner.seal_active().unwrap();
    let before = *lock(&tablet.inner.shared.work.counts);
    let (shared, at_removal) = (Arc::downgrade(&tablet.inner.shared), Arc::new(std::sync::Mutex::new(None)));
    let seen = Arc::clone(&at_removal);
    faults.set_hook(move |call| {
        if call.operation == "remove" && call.path.extension() == Some("wal".as_ref()) {
            *seen.lock().unwrap() = Some(*lock(&shared.upgrade().unwrap().work.counts));
        }
    });
    tablet.inner.flush_sealed().unwrap();
    assert_eq!(*at_removal.lock().unwrap(), Some((before.0, before.1 + 1)));
}

#[test]
fn commits_announce_what_they_leave_to_others() {
    let options = StoreOptions { wal_segment_bytes: 40 << 10, ..inline() };
    let store = left_alone(options);
    let (tablet, small) = (store.tablet(), store.create_tablet(TabletId(2)).unwrap());
    let shared = &*tablet.inner.shared;
    put(&tablet, "a", 30 << 10);
    put(&small, "a", 14 << 10);
    // Small ones take pieces of one size.
    shared.note_active_bytes(&tablet.inner, shared.options.memtable_bytes as u64);
    assert!(shared.log().unwrap().position().1 >= 40 << 10);
    let rotates = || put(&small, "c", 10);
    assert_eq!(told(shared, rotates), (1, 0), "another may hold back too many segments now");
    assert_eq!(told(shared, || put(&small, "d", 10)), (0, 0));
    // Somebody else's memtable is the largest, and to be sealed.
    let bytes = shared.options.active_memtable_bytes_max();
    shared.note_active_bytes(&tablet.inner, bytes);
    assert_eq!(told(shared, || put(&small, "e", 10)), (1, 0));
}

#[test]
fn a_job_that_fails_and_one_that_panics_tell_who_waits() {
    let store = open(inline());
    let shared = store.tablet().inner.shared.clone();
    assert_eq!(told(&shared, || shared.run_job(|_| Ok(()))), (0, 0));
    let shortage = || shared.run_job(|_| Err(Error::MemoryExceeded("planted".into())));
    assert_eq!(told(&shared, shortage), (0, 0));
    assert!(shared.poison.check().is_ok(), "nobody's damage");
    let fails = || shared.run_job(|_| Err(Error::corruption(Path::new("/db"), 0, "planted")));
    assert_eq!(told(&shared, fails), (0, 1));
    assert!(shared.poison.check().is_err());
    let unreached = || shared.run_job(|_| panic!("a job of a store that is poisoned"));
    assert_eq!(told(&shared, unreached), (0, 1));
    let panics = || {
        let shared = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let _guard = PanicGuard { shared: &shared };
            // Unlike a panic, nothing is printed.
            std::panic::resume_unwind(Box::new("planted"));
        });
        assert!(thread.join().is_err());
    };
    assert_eq!(told(&shared, panics), (0, 1));
}

#[test]
fn who_waits_for_work_to_be_done_has_it_announced() {
    let store = left_alone(StoreOptions::default());
    let tablet = store.tablet();
    let shared = &*tablet.inner.shared;
    let mut stall = Stall::begin(shared);
    assert_eq!(told(shared, || stall.wait()), (1, 0));
}

#[test]
fn a_log_that_has_gone_on_is_made_ready_to_go_on_again() {
    let disk = MemoryVfs::new();
    let store = Store::open(Arc::new(disk.clone()), "/db".as_ref(), inline()).unwrap();
    let tablet = store.tablet();
    let shared = &*tablet.inner.shared;
    let next = || {
        let path = segment_path(Path::new("/db/log"), shared.log().unwrap().position().0 + 1);
        disk.contents(&path).ok()
    };
    put(&tablet, "a", 10);
    shared.sync_written().unwrap();
    assert_eq!(next(), None, "it may never do so");
    tablet.flush().unwrap();
    assert_eq!(next(), None);
    shared.sync_written().unwrap();
    assert_eq!(next().as_deref(), Some(&[][..]));
    put(&tablet, "b", 10);
    let synced = || shared.log().unwrap().synced_position().offset;
    let before = synced();
    shared.sync_written().unwrap();
    assert!(synced() > before, "what was acknowledged without a sync");
}

/// Waits, in three threads, for what never ends by itself, then calls `end`; whether all came back.
fn all_come_back(wait: impl Fn(&WorkSignal) + Send + Sync + 'static, end: impl FnOnce(&WorkSignal)) -> bool {
    let (signal, wait) = (Arc::new(WorkSignal::default()), Arc::new(wait));
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let (signal, wait) = (Arc::clone(&signal), Arc::clone(&wait));
            std::thread::spawn(move || wait(&signal))
        })
        .collect();
    // They are to sleep by now; who comes later finds that there is nothing to wait for.
    std::thread::park_timeout(Duration::from_millis(50));
    end(&signal);
    (0..2_000).any(|_| {
        std::thread::park_timeout(Duration::from_millis(5));
        threads.iter().all(std::thread::JoinHandle::is_finished)
    })
}

/// Longer than any test.
const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn all_who_wait_are_woken_and_not_one_of_them() {
    assert!(all_come_back(|signal| _ = signal.wait_for_work(0, HOUR), WorkSignal::wake), "workers");
    let done = |signal: &WorkSignal| _ = signal.wait_for_progress(0, HOUR);
    assert!(all_come_back(done, WorkSignal::report_progress), "writers");
    let stop = Arc::new(AtomicBool::new(false));
    let stopping = Arc::clone(&stop);
    let paces = move |signal: &WorkSignal| signal.wait_for_stop(&stop, HOUR);
    let stops = move |signal: &WorkSignal| {
        stopping.store(true, Ordering::Release);
        signal.wake();
    };
    assert!(all_come_back(paces, stops), "compactions that pause");
}

#[test]
fn who_sleeps_until_the_next_sync_is_woken_by_who_asks_for_one() {
    let (signal, stop) = (Arc::new(WorkSignal::default()), Arc::new(AtomicBool::new(false)));
    let (of_thread, until) = (Arc::clone(&signal), Arc::clone(&stop));
    let thread = std::thread::spawn(move || of_thread.wait_for_sync(&until, HOUR));
    std::thread::park_timeout(Duration::from_millis(50));
    signal.ask_sync();
    let came = (0..2_000).any(|_| {
        std::thread::park_timeout(Duration::from_millis(5));
        thread.is_finished()
    });
    assert!(came);
    thread.join().unwrap();
}

#[test]
fn a_stall_lasts_as_long_as_the_clock_says_however_much_is_done_meanwhile() {
    let clock = Arc::new(ManualClock::new(1_000));
    let options = StoreOptions { clock: Arc::clone(&clock) as Arc<_>, ..StoreOptions::default() };
    let store = Store::open(Arc::new(MemoryVfs::new()), "/db".as_ref(), options).unwrap();
    let tablet = store.tablet();
    let shared = &tablet.inner.shared;
    let mut stall = Stall::begin(shared);
    for _ in 0..2 * STALL_ROUNDS_MAX {
        shared.work.report_progress();
        assert!(!stall.nothing_happened());
        stall.wait();
        assert!(!stall.is_over(), "progress is not time");
    }
    clock.advance_micros(59_999_999);
    assert!(!stall.is_over());
    clock.advance_micros(1);
    assert!(stall.is_over());
}

#[test]
fn a_sync_that_is_asked_for_does_not_wait_for_its_time() {
    let (signal, stop) = (WorkSignal::default(), AtomicBool::new(false));
    signal.ask_sync();
    assert!(signal.sync_asked.load(Ordering::Acquire));
    signal.wait_for_sync(&stop, Duration::from_secs(60));
    assert!(!signal.sync_asked.load(Ordering::Acquire), "it is answered once");
    stop.store(true, Ordering::Release);
    signal.wait_for_sync(&stop, Duration::from_secs(60));
}

#[test]
fn who_is_woken_for_write_back_only_sleeps_on_until_the_sync_is_due() {
    let (signal, stop) = (WorkSignal::default(), AtomicBool::new(false));
    let wait = |interval| signal.wait_for_sync(&stop, interval);
    signal.ask_write_back();
    signal.ask_write_back();
    assert_eq!(wait(Duration::from_secs(60)), SyncWanted::WriteBack);
    assert_eq!(wait(Duration::from_millis(1)), SyncWanted::Sync, "answered once, and time is over");
    signal.ask_write_back();
    signal.ask_sync();
    assert_eq!(wait(Duration::from_secs(60)), SyncWanted::Sync, "which is the more urgent");
    assert_eq!(wait(Duration::from_secs(60)), SyncWanted::WriteBack, "and not forgotten for it");
    stop.store(true, Ordering::Release);
    assert_eq!(wait(Duration::from_secs(60)), SyncWanted::Sync);
    stop.store(false, Ordering::Release);
}

#[test]
fn the_disk_begins_with_what_much_is_written_long_before_it_is_synced() {
    let disk = FaultVfs::new(Arc::new(MemoryVfs::new()));
    let begun = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = Arc::clone(&begun);
    disk.set_hook(move |call| _ = seen.fetch_or(call.operation == "begin_write_back", Ordering::AcqRel));
    let wal_compression = WalCompression::None;
    let options = StoreOptions { async_interval: HOUR, wal_compression, ..StoreOptions::default() };
    let store = Store::open(Arc::new(disk), "/db".as_ref(), options).unwrap();
    let tablet = store.tablet();
    (0..8).for_each(|number| put(&tablet, &format!("{number}"), 200 << 10));
    let began = (0..2_000).any(|_| {
        std::thread::park_timeout(Duration::from_millis(5));
        begun.load(Ordering::Acquire)
    });
    assert!(began);
    let segment = tablet.inner.log().unwrap();
    assert!(segment.synced_position().offset < 200 << 10, "not synced");
    store.close().unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn threads_that_flush_and_compact_let_others_go_first() {
    fn nice_of(task: &Path) -> Option<(String, i32)> {
        let name = std::fs::read_to_string(task.join("comm")).ok()?;
        let stat = std::fs::read_to_string(task.join("stat")).ok()?;
        // The name, in parentheses, may hold anything; the 17th field behind it is the priority.
        let nice = stat.rsplit(')').next()?.split_whitespace().nth(16)?.parse().ok()?;
        Some((name.trim().to_owned(), nice))
    }
    let own = nice_of("/proc/thread-self".as_ref()).unwrap().1;
    let store = open(StoreOptions::default());
    let lowered = |name: &str, by: i32| {
        (0..2_000).any(|_| {
            std::thread::park_timeout(Duration::from_millis(5));
            let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
            let mut of_name = tasks.filter_map(|task| nice_of(&task.path())).filter(|task| task.0 == name);
            // Other tests' threads are among them, some of them just begun.
            let (mut seen, nice) = (false, (own + by).min(19));
            let all = of_name.all(|task| {
                seen = true;
                task.1 == nice
            });
            all && seen
        })
    };
    assert!(lowered("sheaf-flush", FLUSH_NICE));
    assert!(lowered("sheaf-compact", COMPACTION_NICE));
    assert!(lowered("sheaf-sync", 0));
    store.close().unwrap();
}

#[test]
fn a_stall_without_threads_ends_after_so_many_rounds() {
    let options = StoreOptions { background: BackgroundWork::Inline, ..StoreOptions::default() };
    let store = Store::open(Arc::new(MemoryVfs::new()), "/db".as_ref(), options).unwrap();
    let tablet = store.tablet();
    let mut stall = Stall::begin(&tablet.inner.shared);
    for _ in 0..STALL_ROUNDS_MAX {
        assert!(!stall.is_over());
        stall.wait();
        assert!(stall.nothing_happened(), "there was nothing to do");
    }
    assert!(stall.is_over());
}
