//! Whole stores under random schedules: writers, readers, the threads that flush and compact, and whoever closes or drops.
//! Nobody waits for ever (no wait times out here), nothing acknowledged is lost, no reader misses a file, no file is left.
//!
//! Thresholds are so small that every commit or two seals a memtable, and that writers wait for the flush and for L0.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::sync::{Condvar, Mutex};
use shuttle::thread::{self, JoinHandle, yield_now};
use shuttle::{Config, Runner};

use crate::clock::ManualClock;
use crate::error::{Error, Result};
use crate::events::{Event, EventListener};
use crate::file_id::FileKind;
use crate::keyspace::{Keyspace, KeyspaceOptions};
use crate::options::{BackgroundWork, Compression, Durability, StoreOptions};
use crate::read::IterOptions;
use crate::store::Store;
use crate::tablet::{Tablet, TabletId};
use crate::vfs::{MemoryVfs, Vfs, VfsFile, VfsLock};
use crate::write_batch::WriteBatch;

/// Schedules of each of the two: random ones, and ones with few changes of priority at random places.
const SCHEDULES: usize = 6_000;
const PRIORITY_CHANGES: usize = 3;
const STACK_BYTES: usize = 1 << 19;
const WRITERS: u8 = 2;
const COMMITS: u8 = 5;
const READS: usize = 10;
const DIRECTORY: &str = "/db";
/// More than any test syncs.
pub(crate) const NEVER: i64 = 1 << 40;

pub(crate) fn explore(what: &str, run: fn()) {
    let mut config = Config::new();
    config.stack_size = STACK_BYTES;
    Runner::new(RandomScheduler::new(SCHEDULES), config.clone()).run(run);
    Runner::new(PctScheduler::new(PRIORITY_CHANGES, SCHEDULES), config).run(run);
    println!("stage interleavings: {} schedules of {what}", 2 * SCHEDULES);
}

/// A file system in memory in which whoever changes something lets others go first, and in which the sync of a file of one kind
/// fails once so many have been done.
#[derive(Clone, Debug)]
pub(crate) struct Yielding {
    pub(crate) memory: MemoryVfs,
    extension: &'static str,
    syncs_left: Arc<AtomicI64>,
}

#[derive(Debug)]
struct YieldingFile {
    file: Arc<dyn VfsFile>,
    /// Counted for the files that are to fail.
    syncs_left: Option<Arc<AtomicI64>>,
    /// Whether it has.
    failed: AtomicBool,
}

impl Yielding {
    /// The sync of an sstable fails.
    pub(crate) fn new(syncs: i64) -> Yielding {
        Yielding::failing("sst", syncs)
    }

    pub(crate) fn failing(extension: &'static str, syncs: i64) -> Yielding {
        Yielding { memory: MemoryVfs::new(), extension, syncs_left: Arc::new(AtomicI64::new(syncs)) }
    }

    /// The sstables and blob files that are there.
    fn files(&self) -> usize {
        let is_data = |(path, _): &(PathBuf, u64)| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            matches!(FileKind::of(name), FileKind::Sstable(_) | FileKind::Blob(_))
        };
        self.memory.files().iter().filter(|file| is_data(file)).count()
    }
}

impl Vfs for Yielding {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>> {
        yield_now();
        let is_to_fail = path.extension().is_some_and(|extension| extension == self.extension);
        let syncs_left = is_to_fail.then(|| Arc::clone(&self.syncs_left));
        let failed = AtomicBool::new(false);
        Ok(Arc::new(YieldingFile { file: self.memory.create(path)?, syncs_left, failed }))
    }
    // Files are opened under locks that shuttle does not know.
    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>> {
        self.memory.open_read(path)
    }
    fn open_append(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>> {
        self.memory.open_append(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        yield_now();
        self.memory.rename(from, to)
    }
    fn link(&self, existing: &Path, new: &Path) -> io::Result<()> {
        self.memory.link(existing, new)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        yield_now();
        self.memory.remove(path)
    }
    fn remove_dir(&self, directory: &Path) -> io::Result<()> {
        self.memory.remove_dir(directory)
    }
    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        self.memory.list(directory)
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.memory.create_dir(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        yield_now();
        self.memory.sync_dir(path)
    }
    fn len(&self, path: &Path) -> io::Result<u64> {
        self.memory.len(path)
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn VfsLock>> {
        self.memory.lock(path)
    }
    fn unique_id(&self) -> io::Result<u128> {
        self.memory.unique_id()
    }
}

impl VfsFile for YieldingFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buffer)
    }
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        yield_now();
        self.file.append(bytes)
    }
    fn sync(&self) -> io::Result<()> {
        yield_now();
        assert!(!self.failed.load(Ordering::Relaxed), "a second sync says nothing of what the first lost");
        let left = self.syncs_left.as_ref().map_or(NEVER, |left| left.fetch_sub(1, Ordering::Relaxed));
        if left <= 0 {
            self.failed.store(true, Ordering::Relaxed);
            return Err(io::Error::other("planted"));
        }
        self.file.sync()
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}

fn options() -> StoreOptions {
    let blobs = KeyspaceOptions { blob_threshold_bytes: Some(100), ..KeyspaceOptions::default() };
    StoreOptions {
        clock: Arc::new(ManualClock::new(1_000)),
        background: BackgroundWork::Threads,
        durability: Durability::None,
        cache_bytes: 256 << 10,
        memtable_bytes: 18 << 10,
        wal_segment_bytes: 6 << 10,
        manifest_bytes_min: 2 << 10,
        sealed_memtables_max: 1,
        l0_compaction_trigger: 1,
        l0_slowdown: 2,
        l0_stop: 3,
        removal_bytes_per_second: None,
        table_bytes_target: 8 << 10,
        level_base_bytes: 8 << 10,
        level_growth: 3,
        blob_file_bytes_target: 16 << 10,
        compression: [Compression::None; 7],
        keyspaces: BTreeMap::from([(Keyspace(b'd'), blobs)]),
        ..StoreOptions::default()
    }
}

fn open(vfs: &Yielding, options: StoreOptions) -> Store {
    Store::open(Arc::new(vfs.clone()), Path::new(DIRECTORY), options).unwrap()
}

/// The keys a writer writes in turn: one in the sstables, one in blob files.
fn key(writer: u8, commit: u8) -> Vec<u8> {
    vec![if commit.is_multiple_of(2) { b'i' } else { b'd' }, writer]
}

/// Writers, and their commits: so large, so many each, every so manieth durable.
#[derive(Clone, Copy)]
struct Load {
    writers: u8,
    bytes: usize,
    commits: u8,
    sync_every: u8,
}

const LOAD: Load = Load { writers: WRITERS, bytes: 6_000, commits: COMMITS, sync_every: 3 };

/// Commits 1, 2, ... until one is refused; the last that was acknowledged.
fn write(tablet: &Tablet, writer: u8, load: Load) -> (u8, Result<()>) {
    let Load { bytes, commits, sync_every, .. } = load;
    for commit in 1..=commits {
        let mut batch = WriteBatch::new();
        batch.put(key(writer, commit), vec![commit; bytes]);
        let durability = if commit.is_multiple_of(sync_every) { Durability::Sync } else { Durability::None };
        if let Err(error) = tablet.commit(batch, Some(durability)) {
            return (commit - 1, Err(error));
        }
        match tablet.get(&key(writer, commit)) {
            Ok(found) => assert_eq!(found.expect("one's own write")[0], commit, "not one's own write"),
            // A read does not wait for memory.
            Err(error) => assert!(matches!(error, Error::MemoryExceeded(_)), "{error}"),
        }
    }
    (commits, Ok(()))
}

fn writers(tablet: &Tablet, load: Load) -> Vec<JoinHandle<(u8, Result<()>)>> {
    let start = |writer| {
        let tablet = tablet.clone();
        thread::spawn(move || write(&tablet, writer, load))
    };
    (0..load.writers).map(start).collect()
}

/// What is there of a writer: its last two commits, or, after a refusal, perhaps one more than was acknowledged.
fn check_writer(even: Option<u8>, odd: Option<u8>, least: u8, most: u8) {
    let (even, odd) = (even.unwrap_or(0), odd.unwrap_or(0));
    let last = even.max(odd);
    assert_eq!(even.min(odd), last.saturating_sub(1), "commits {even} and {odd}");
    assert!((least..=most).contains(&last), "commit {last} is the last, not {least} to {most}");
}

/// A snapshot shows a prefix of what each writer wrote, by lookups and by an iterator that was begun before others went on.
fn read(tablet: &Tablet, commits: u8) {
    let snapshot = tablet.snapshot();
    let mut iter = snapshot.iter(IterOptions::default()).unwrap();
    let mut found = BTreeMap::new();
    let mut there = iter.seek_to_first().unwrap();
    while there {
        yield_now();
        found.insert(iter.key().to_vec(), iter.value()[0]);
        there = iter.next().unwrap();
    }
    for writer in 0..WRITERS {
        let (even, odd) = (key(writer, 0), key(writer, 1));
        check_writer(found.get(&even).copied(), found.get(&odd).copied(), 0, commits);
        for key in [even, odd] {
            let value = snapshot.get(&key).unwrap().map(|value| value[0]);
            assert_eq!(value, found.get(&key).copied(), "a lookup and a walk at one timestamp");
            let newest = tablet.get(&key).unwrap().map(|value| value[0]);
            assert!(newest >= value, "a lookup at no timestamp of its own: {newest:?}, there was {value:?}");
        }
    }
}

/// What is acknowledged is there, in a store that was closed, and opened again.
fn check_reopened(vfs: &Yielding, acknowledged: &[(u8, Result<()>)]) {
    vfs.syncs_left.store(NEVER, Ordering::Relaxed);
    let store = open(vfs, StoreOptions { background: BackgroundWork::Inline, ..options() });
    let tablet = store.tablet();
    for (writer, (last, _)) in acknowledged.iter().enumerate() {
        let get = |commit| tablet.get(&key(writer as u8, commit)).unwrap().map(|value| value[0]);
        check_writer(get(0), get(1), *last, last + 1);
    }
    assert!(tablet.verify().problems.is_empty());
    store.close().unwrap();
}

/// As many files as the version has, once nobody reads.
fn check_files(vfs: &Yielding, store: &Store) {
    let statistics = store.statistics();
    let tables = statistics.tablets.values().flat_map(|tablet| &tablet.levels).map(|level| level.tables);
    let blobs = statistics.tablets.values().map(|tablet| tablet.blob_files);
    assert_eq!(vfs.files(), tables.chain(blobs).sum::<usize>(), "files that nobody knows of");
}

#[test]
fn a_store_loses_nothing_and_nobody_waits_for_ever() {
    explore("writers, a reader and a flush", || {
        let vfs = Yielding::new(NEVER);
        let store = open(&vfs, options());
        let tablet = store.tablet();
        let writers = writers(&tablet, LOAD);
        let of_reader = tablet.clone();
        let reader = thread::spawn(move || (0..READS).for_each(|_| read(&of_reader, COMMITS)));
        if thread_rng().r#gen::<bool>() {
            tablet.flush().unwrap();
        }
        let written: Vec<_> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        written.iter().for_each(|(last, result)| assert_eq!((*last, result.is_ok()), (COMMITS, true)));
        reader.join().unwrap();
        tablet.settle().unwrap();
        store.close().unwrap();
        check_files(&vfs, &store);
        drop((tablet, store));
        check_reopened(&vfs, &written);
    });
}

#[test]
fn a_lone_writer_is_woken_by_what_it_waits_for() {
    // Nobody else's progress wakes it in its stead.
    explore("one writer", || {
        let vfs = Yielding::new(NEVER);
        let store = open(&vfs, options());
        let tablet = store.tablet();
        let load = Load { writers: 1, commits: 9, sync_every: 20, ..LOAD };
        let written = vec![writers(&tablet, load).remove(0).join().unwrap()];
        assert!(written[0].1.is_ok(), "{written:?}");
        store.close().unwrap();
        check_files(&vfs, &store);
        drop((tablet, store));
        check_reopened(&vfs, &written);
    });
}

#[test]
fn a_close_ends_every_wait() {
    explore("writers and a close", || {
        let vfs = Yielding::new(NEVER);
        let store = open(&vfs, options());
        let writers = writers(&store.tablet(), LOAD);
        for _ in 0..thread_rng().gen_range(0..250) {
            yield_now();
        }
        store.close().unwrap();
        let written: Vec<_> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        for (_, result) in &written {
            assert!(matches!(result, Ok(()) | Err(Error::Closed)), "{result:?}");
        }
        check_files(&vfs, &store);
        drop(store);
        check_reopened(&vfs, &written);
    });
}

#[test]
fn a_failed_job_ends_every_wait() {
    explore("writers and a flush or compaction that fails", || {
        let vfs = Yielding::new(thread_rng().gen_range(0..6));
        let store = open(&vfs, options());
        let writers = writers(&store.tablet(), Load { sync_every: 1, ..LOAD });
        let written: Vec<_> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        for (_, result) in &written {
            assert!(matches!(result, Ok(()) | Err(Error::Poisoned(_))), "{result:?}");
        }
        // It may fail behind the last commit.
        assert!(matches!(store.close(), Ok(()) | Err(Error::Poisoned(_))));
        drop(store);
        check_reopened(&vfs, &written);
    });
}

#[test]
fn a_write_that_waits_for_memory_gets_what_a_flush_gives_back() {
    // In a few schedules commits share so much of what they take that nobody has to wait.
    static FLUSHED: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    explore("writers that wait for memory", || {
        let vfs = Yielding::new(NEVER);
        // Two active memtables fit, and not a sealed one beside them.
        let options = StoreOptions {
            memtable_bytes: 40 << 10,
            sealed_memtables_max: 4,
            cache_bytes: 64 << 10,
            memory_bytes: Some(144 << 10),
            // No compaction wakes who waits for a flush.
            l0_compaction_trigger: 8,
            l0_slowdown: 8,
            l0_stop: 9,
            ..options()
        };
        let store = open(&vfs, options);
        let load = Load { writers: 5, bytes: 3_000, commits: 4, ..LOAD };
        let written: Vec<_> =
            writers(&store.tablet(), load).into_iter().map(|writer| writer.join().unwrap()).collect();
        for (last, result) in &written {
            assert!(result.is_ok(), "commit {last}: {result:?}");
        }
        if store.statistics().tablets[&TabletId::FIRST].flushes > 0 {
            FLUSHED.fetch_add(1, Ordering::Relaxed);
        }
        store.close().unwrap();
        drop(store);
        check_reopened(&vfs, &written);
    });
    let flushed = FLUSHED.load(Ordering::Relaxed);
    assert!(flushed > 2 * SCHEDULES * 99 / 100, "something was flushed in {flushed} schedules only");
}

#[test]
fn tablets_come_forward_and_go_while_others_are_written() {
    explore("tablets that lag or are dropped", || {
        let vfs = Yielding::new(NEVER);
        let store = open(&vfs, StoreOptions { log_segments_max: 1, ..options() });
        let (lagging, going) =
            (store.create_tablet(TabletId(2)).unwrap(), store.create_tablet(TabletId(3)).unwrap());
        write(&lagging, 9, Load { bytes: 10, commits: 1, ..LOAD }).1.unwrap();
        let of_going = going.clone();
        let doomed = thread::spawn(move || write(&of_going, 8, LOAD));
        let writers = writers(&store.tablet(), LOAD);
        for _ in 0..thread_rng().gen_range(0..250) {
            yield_now();
        }
        store.drop_tablet(TabletId(3)).unwrap();
        let written: Vec<_> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        written.iter().for_each(|(last, result)| assert_eq!((*last, result.is_ok()), (COMMITS, true)));
        let (_, result) = doomed.join().unwrap();
        assert!(matches!(result, Ok(()) | Err(Error::TabletDropped(_))), "{result:?}");
        store.close().unwrap();
        drop(going);
        check_files(&vfs, &store);
        drop((lagging, store));
        check_reopened(&vfs, &written);
        let store = open(&vfs, StoreOptions { background: BackgroundWork::Inline, ..options() });
        let lagging = store.tablet_by_id(TabletId(2)).unwrap();
        assert_eq!(lagging.get(&key(9, 1)).unwrap().unwrap()[0], 1);
    });
}

/// Wakes who waits for something to be done.
#[derive(Debug, Default)]
struct Told {
    events: Mutex<usize>,
    changed: Condvar,
}

impl EventListener for Told {
    fn on_event(&self, event: &Event) {
        if matches!(event, Event::Flushed { .. } | Event::Compacted { .. }) {
            *self.events.lock().unwrap() += 1;
            self.changed.notify_all();
        }
    }
}

impl Told {
    /// Waits until it is so. It is asked again after each event, and by no clock.
    fn wait_until(&self, is_so: impl Fn() -> bool) {
        loop {
            let seen = *self.events.lock().unwrap();
            if is_so() {
                return;
            }
            let events = self.events.lock().unwrap();
            drop(self.changed.wait_while(events, |events| *events == seen).unwrap());
        }
    }
}

#[test]
fn what_nobody_waits_for_is_done_all_the_same() {
    explore("flushes and compactions of who goes away", || {
        let vfs = Yielding::new(NEVER);
        let told = Arc::new(Told::default());
        let options = StoreOptions {
            events: Some(Arc::clone(&told) as Arc<dyn EventListener>),
            // Nobody is held back, so nobody wakes the threads while he waits.
            sealed_memtables_max: 50,
            l0_slowdown: 50,
            l0_stop: 60,
            ..options()
        };
        let store = open(&vfs, options);
        let tablet = store.tablet();
        let merging = thread_rng().r#gen::<bool>().then(|| {
            let tablet = tablet.clone();
            thread::spawn(move || tablet.compact_all().unwrap())
        });
        let load = Load { writers: 1, commits: 5, sync_every: 20, ..LOAD };
        write(&tablet, 0, load).1.unwrap();
        // What is left is less than a memtable.
        told.wait_until(|| {
            let statistics = tablet.statistics();
            statistics.sealed_memtables == 0 && statistics.l0_runs == 0 && statistics.flushes > 0
        });
        merging.into_iter().for_each(|merging| merging.join().unwrap());
        store.close().unwrap();
        drop((tablet, store));
        check_reopened(&vfs, &[(5, Ok(()))]);
    });
}
