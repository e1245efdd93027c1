//! Figures and events: what they say is what happened.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use sheaf_storage::{
    BackgroundWork, CompactionReason, Durability, Error, Event, EventListener, FaultVfs, FilterKind,
    ManualClock, MemoryVfs, StoreOptions, Tablet, TabletId, Timestamp, Vfs, WriteBatch, WriteState,
};

use crate::fixture::{Dice, comes_true, memory, open, small_options};

fn put(key: &str, bytes: usize) -> WriteBatch {
    let mut batch = WriteBatch::new();
    batch.put(key, vec![7; bytes]);
    batch
}

#[derive(Debug, Default)]
struct Heard(Mutex<Vec<Event>>);

impl EventListener for Heard {
    fn on_event(&self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

#[test]
fn syncs_are_timed() {
    let (_, base) = memory();
    let faults = FaultVfs::new(base);
    let clock = Arc::new(ManualClock::new(1_000));
    let ticking = Arc::clone(&clock);
    faults.set_hook(move |call| {
        if call.operation == "sync" && call.path.extension().is_some_and(|extension| extension == "wal") {
            ticking.advance_micros(5_000);
        }
    });
    let vfs: Arc<dyn Vfs> = Arc::new(faults);
    let store = open(&vfs, StoreOptions { clock, memtable_bytes: 1 << 20, ..small_options() }).unwrap();
    for number in 0..10 {
        store.tablet().commit(put(&format!("i{number}"), 10), Some(Durability::Sync)).unwrap();
        store.tablet().commit(put(&format!("i{number}"), 10), Some(Durability::Async)).unwrap();
    }
    let times = store.statistics().log.sync_times;
    assert_eq!((times.count(), times.max_micros(), times.sum_micros()), (10, 5_000, 50_000));
    assert_eq!(times.quantile_micros(999), 5_000);
}

#[test]
fn a_snapshots_age_is_how_long_it_has_been_held() {
    let (_, vfs) = memory();
    let clock = Arc::new(ManualClock::new(1_000));
    let store = open(&vfs, StoreOptions { clock: clock.clone(), ..small_options() }).unwrap();
    let tablet = store.tablet();
    let first = tablet.commit(put("i1", 1), None).unwrap();
    let age = || tablet.statistics().oldest_snapshot_age;
    assert_eq!(age(), None);
    clock.advance_micros(900_000_000);
    let snapshot = tablet.snapshot();
    assert_eq!(age(), Some(Duration::ZERO), "of old data, and just taken");
    clock.advance_micros(3_000_000);
    tablet.commit(put("i1", 1), None).unwrap();
    let younger = tablet.snapshot();
    clock.advance_micros(1_000_000);
    assert_eq!(age(), Some(Duration::from_secs(4)));
    assert_eq!(tablet.statistics().oldest_snapshot, Some(first));
    drop(snapshot);
    assert_eq!((age(), tablet.statistics().snapshots), (Some(Duration::from_secs(1)), 1));
    drop(younger);
    assert_eq!((age(), tablet.statistics().oldest_snapshot), (None, None::<Timestamp>));
}

#[test]
fn filters_are_counted() {
    let (_, vfs) = memory();
    let store = open(&vfs, StoreOptions { filter_bits_per_key: 16, ..small_options() }).unwrap();
    let tablet = store.tablet();
    for number in 0..500 {
        tablet.commit(put(&format!("i{:05}", number * 2), 10), Some(Durability::Async)).unwrap();
    }
    tablet.compact_all().unwrap();
    let asked = |numbers: std::ops::Range<usize>, odd: usize| {
        let before = store.statistics().cache.filters;
        for number in numbers {
            tablet.get(format!("i{:05}", number * 2 + odd).as_bytes()).unwrap();
        }
        let after = store.statistics().cache.filters;
        (after.asked - before.asked, after.absent - before.absent, after.mistaken - before.mistaken)
    };
    assert_eq!(asked(0..500, 0), (500, 0, 0), "what is there is never absent");
    let (questions, absent, mistaken) = asked(0..499, 1);
    assert!(questions >= 480 && absent + mistaken == questions, "{questions} {absent} {mistaken}");
    assert!(mistaken * 20 < questions, "{mistaken} of {questions}");
    let filters = store.statistics().cache.filters;
    assert!(filters.hit_permille().unwrap() > 950, "{filters:?}");
}

#[test]
fn flushes_and_compactions_are_counted_once_with_the_bytes_they_moved() {
    let (_, vfs) = memory();
    let heard = Arc::new(Heard::default());
    let events: Arc<dyn EventListener> = heard.clone();
    let store = open(&vfs, StoreOptions { events: Some(events), ..small_options() }).unwrap();
    let tablet = store.tablet();
    let stored = || {
        let statistics = tablet.statistics();
        statistics.levels.iter().map(|level| level.bytes).sum::<u64>() + statistics.blob_bytes
    };
    let mut flushed = 0;
    for round in 1..=2 {
        for number in 0..6 {
            tablet.commit(put(&format!("d{number}"), 200), Some(Durability::Async)).unwrap();
            tablet.commit(put(&format!("i{number}"), 50), Some(Durability::Async)).unwrap();
        }
        let before = stored();
        tablet.flush().unwrap();
        flushed += stored() - before;
        let statistics = tablet.statistics();
        assert_eq!((statistics.flushes, statistics.flushed_bytes), (round, flushed));
    }
    let tables: u64 = tablet.statistics().levels.iter().map(|level| level.bytes).sum();
    tablet.compact_all().unwrap();
    let statistics = tablet.statistics();
    let written: u64 = statistics.levels.iter().map(|level| level.bytes).sum();
    assert_eq!((statistics.compactions, statistics.compaction_read_bytes), (1, tables));
    assert_eq!(statistics.compaction_written_bytes, written);
    let told = heard.0.lock().unwrap();
    let of_flushes = told.iter().filter_map(|event| match event {
        Event::Flushed { bytes_written, .. } => Some(*bytes_written),
        _ => None,
    });
    assert_eq!((of_flushes.clone().count(), of_flushes.sum::<u64>()), (2, flushed));
    let compactions: Vec<_> = told.iter().filter(|event| matches!(event, Event::Compacted { .. })).collect();
    assert!(
        matches!(compactions.as_slice(), [Event::Compacted { bytes_read, bytes_written, .. }]
            if (*bytes_read, *bytes_written) == (tables, written)),
        "{compactions:?}"
    );
}

/// Writes the same keys over and over, at random.
fn overwrite(tablet: &Tablet, dice: &mut Dice, keyspace: char, keys: u64, writes: usize, bytes: u64) {
    for _ in 0..writes {
        let key = format!("{keyspace}{:06}", dice.below(keys));
        let mut batch = WriteBatch::new();
        batch.put(key, (0..bytes / 8).flat_map(|_| dice.below(u64::MAX).to_le_bytes()).collect::<Vec<u8>>());
        tablet.commit(batch, Some(Durability::Async)).unwrap();
    }
}

#[test]
fn space_and_write_amplification_stay_within_their_bounds() {
    let options = StoreOptions {
        level_growth: 10,
        level_base_bytes: 40 << 10,
        memtable_bytes: 40 << 10,
        wal_segment_bytes: 200 << 10,
        table_bytes_target: 8 << 10,
        blob_file_bytes_target: 16 << 10,
        l0_compaction_trigger: 4,
        ..small_options()
    };
    // Keys beside their values, and large values in blob files.
    for (keyspace, keys, bytes, space_max, write_max) in
        [('i', 3_000, 80, 1_400, 12_000), ('d', 500, 480, 2_200, 8_000)]
    {
        let (disk, vfs) = memory();
        let store = open(&vfs, options.clone()).unwrap();
        let (tablet, mut dice) = (store.tablet(), Dice::new(3));
        let stored = || -> u64 {
            let data = |path: &std::path::Path| path.extension().is_some_and(|e| e == "sst" || e == "blob");
            disk.files().iter().filter(|(path, _)| data(path)).map(|(_, length)| length).sum()
        };
        let mut worst = 0;
        for _ in 0..6 {
            overwrite(&tablet, &mut dice, keyspace, keys, keys as usize, bytes);
            tablet.settle().unwrap();
            let estimate = tablet.statistics().space_amplification_permille().unwrap();
            worst = worst.max(estimate);
        }
        let settled = stored();
        let written = tablet.statistics().write_amplification_permille().unwrap();
        let runs = tablet.statistics().read_amplification();
        tablet.compact_all().unwrap();
        let least = stored();
        let space = settled * 1_000 / least;
        println!("{keyspace}: space {space}, estimated {worst} at worst, write {written}, runs {runs}");
        assert!(space <= space_max, "{settled} bytes where {least} would do");
        assert!(worst <= space_max + 200, "{worst}");
        assert!(written <= write_max && written > 2_000, "{written}");
        assert!(runs <= 3 + options.l0_compaction_trigger, "{runs}");
        assert_eq!(tablet.statistics().read_amplification(), 1, "one run is left");
    }
}

/// Holds up compaction while it is shut.
#[derive(Default)]
struct Gate {
    shut: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn set(&self, shut: bool) {
        *self.shut.lock().unwrap() = shut;
        self.opened.notify_all();
    }
}

struct Opener(Arc<Gate>);

impl Drop for Opener {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

#[test]
fn debt_delays_writers_and_then_stops_them_and_events_tell() {
    let (_, base) = memory();
    let faults = FaultVfs::new(base);
    let (gate, heard) = (Arc::new(Gate::default()), Arc::new(Heard::default()));
    let of_hook = Arc::clone(&gate);
    faults.set_hook(move |call| {
        let sstable = call.path.extension().is_some_and(|extension| extension == "sst");
        if sstable && std::thread::current().name() == Some("sheaf-compact") {
            drop(of_hook.opened.wait_while(of_hook.shut.lock().unwrap(), |shut| *shut).unwrap());
        }
    });
    let vfs: Arc<dyn Vfs> = Arc::new(faults);
    let options = StoreOptions {
        background: BackgroundWork::Threads,
        clock: StoreOptions::default().clock,
        events: Some(heard.clone()),
        // Only the bytes count here, not how many flushes they are in.
        l0_slowdown: 500,
        l0_stop: 1_000,
        debt_slowdown_bytes: 6_000,
        debt_stop_bytes: 14_000,
        ..small_options()
    };
    let store = open(&vfs, options).unwrap();
    let tablet = store.tablet();
    let _opens = Opener(Arc::clone(&gate));
    gate.set(true);
    let mut states = Vec::new();
    while tablet.statistics().write_state != WriteState::Stopped {
        let before = tablet.statistics();
        states.push(before.write_state);
        tablet.commit(put("i1", 1_000), None).unwrap();
        let delayed = tablet.statistics().delays - before.delays;
        assert_eq!(delayed, u64::from(before.write_state == WriteState::Delayed), "{before:?}");
        tablet.flush().unwrap();
    }
    states.dedup();
    assert_eq!(states, [WriteState::Open, WriteState::Delayed]);
    let writer = {
        let tablet = tablet.clone();
        std::thread::spawn(move || tablet.commit(put("i1", 9), None).unwrap())
    };
    assert!(comes_true(|| tablet.statistics().stalls > 0));
    assert!(!writer.is_finished());
    gate.set(false);
    writer.join().unwrap();
    assert!(comes_true(|| tablet.statistics().write_state == WriteState::Open));
    let statistics = tablet.statistics();
    assert!(statistics.stalled_micros > 0 && statistics.delayed_micros > 0, "{statistics:?}");
    store.close().unwrap();
    let heard = heard.0.lock().unwrap();
    let has = |wanted: &dyn Fn(&Event) -> bool| heard.iter().any(wanted);
    assert!(has(
        &|event| matches!(event, Event::Flushed { tablet: TabletId::FIRST, bytes_written, .. } if *bytes_written > 1_000)
    ));
    assert!(has(
        &|event| matches!(event, Event::WritesStopped { reason, .. } if reason.contains("bytes to move"))
    ));
    assert!(has(&|event| matches!(event, Event::WritesResumed { micros, .. } if *micros > 0)));
    assert!(has(
        &|event| matches!(event, Event::Compacted { reason: Some(CompactionReason::L0), bytes_read, .. } if *bytes_read > 5_000)
    ));
}

#[test]
fn ingestions_drops_and_failures_are_told() {
    let (_, base) = memory();
    let faults = FaultVfs::new(base);
    let vfs: Arc<dyn Vfs> = Arc::new(faults.clone());
    let heard = Arc::new(Heard::default());
    let store = open(&vfs, StoreOptions { events: Some(heard.clone()), ..small_options() }).unwrap();
    let tablet = store.tablet();
    tablet.ingest([(b"i1".to_vec(), vec![1; 100])]).unwrap();
    assert!(tablet.statistics().ingested_bytes > 100);
    tablet.excise(b"i", b"j").unwrap();
    faults.add_rule("fail sync *.wal once").unwrap();
    assert!(tablet.commit(put("a", 1), None).is_err());
    assert!(tablet.commit(put("a", 1), None).is_err());
    let heard = heard.0.lock().unwrap();
    let count = |wanted: fn(&Event) -> bool| heard.iter().filter(|event| wanted(event)).count();
    assert_eq!(count(|event| matches!(event, Event::Ingested { bytes, .. } if *bytes > 100)), 1);
    assert!(count(|event| matches!(event, Event::Compacted { reason: None, bytes_written: 0, .. })) >= 1);
    assert_eq!(count(|event| matches!(event, Event::Poisoned { reason } if reason.contains("injected"))), 1);
}

/// Bytes of the log's files.
fn log_bytes(disk: &MemoryVfs) -> u64 {
    let files = disk.files().into_iter();
    files.filter(|(path, _)| path.extension().is_some_and(|e| e == "wal")).map(|(_, length)| length).sum()
}

#[test]
fn what_is_committed_written_and_synced_is_counted_once() {
    let (disk, vfs) = memory();
    let options = StoreOptions { memtable_bytes: 1 << 20, wal_segment_bytes: 1 << 20, ..small_options() };
    let store = open(&vfs, options).unwrap();
    let tablet = store.tablet();
    let figures = |durability, bytes| {
        let (before, length) = (tablet.statistics(), log_bytes(&disk));
        tablet.commit(put("i", bytes), Some(durability)).unwrap();
        let after = tablet.statistics();
        let log = (after.log.written_bytes - before.log.written_bytes, after.log.writes - before.log.writes);
        let committed = after.committed_bytes - before.committed_bytes;
        assert_eq!(committed, after.logged_bytes - before.logged_bytes, "nothing is compressed");
        let grown = log_bytes(&disk) - length;
        (committed, log.0, grown, log.1, after.log.syncs - before.log.syncs)
    };
    let (committed, written, grown, writes, syncs) = figures(Durability::Async, 200);
    assert!(committed > 200 && committed < 220 && written > committed, "{committed} of {written}");
    assert_eq!((written, writes, syncs), (grown, 1, 0));
    let more = figures(Durability::Async, 1_200);
    assert_eq!((more.0 - committed, more.1 - written), (1_000, 1_000));
    let synced = figures(Durability::Sync, 200);
    assert_eq!((synced.0, synced.3, synced.4), (committed, 1, 1));
    let before = tablet.statistics();
    tablet.flush().unwrap();
    let log = tablet.statistics().log;
    assert_eq!((log.segments - before.log.segments, log.syncs - before.log.syncs), (1, 1));
    assert_eq!((log.writes, log.written_bytes), (before.log.writes, before.log.written_bytes));
    // Past the log.
    let stored = || tablet.statistics().levels.iter().map(|level| level.bytes).sum::<u64>();
    let before = stored();
    tablet.ingest([(b"j1".to_vec(), vec![1; 100])]).unwrap();
    assert_eq!(tablet.statistics().ingested_bytes, stored() - before);
    assert_eq!(tablet.statistics().committed_bytes, more.0 + 2 * committed);
}

#[test]
fn lookups_in_the_cache_are_counted_once() {
    let (_, vfs) = memory();
    let options = StoreOptions { filter: FilterKind::None, block_bytes_lower: 4_096, ..small_options() };
    let store = open(&vfs, options).unwrap();
    let tablet = store.tablet();
    // One block, which the root of the index leads to.
    tablet.commit(put("i", 100), None).unwrap();
    tablet.compact_all().unwrap();
    let asked = || {
        let before = tablet.statistics().cache;
        assert!(tablet.get(b"i").unwrap().is_some());
        let after = tablet.statistics().cache;
        (after.hits - before.hits, after.misses - before.misses)
    };
    assert_eq!(asked(), (0, 1));
    assert_eq!(asked(), (1, 0));
    assert_eq!(asked(), (1, 0));
}

#[test]
fn every_round_of_a_wait_is_counted_once() {
    let (_, base) = memory();
    let faults = FaultVfs::new(base);
    let vfs: Arc<dyn Vfs> = Arc::new(faults.clone());
    let store = open(&vfs, StoreOptions { sealed_memtables_max: 1, ..small_options() }).unwrap();
    let tablet = store.tablet();
    faults.add_rule("fail create *.sst errno 24").unwrap();
    let refused = (0..100).find_map(|number| tablet.commit(put(&format!("i{number}"), 900), None).err());
    assert!(matches!(refused, Some(Error::WriteStalled(_))), "{refused:?}");
    // So many rounds are all there are where nobody else does the work.
    assert_eq!(tablet.statistics().stalls, 600);
}

#[test]
fn a_blob_file_ends_when_it_has_its_size() {
    let (disk, vfs) = memory();
    let options = StoreOptions { memtable_bytes: 1 << 20, wal_segment_bytes: 1 << 20, ..small_options() };
    let store = open(&vfs, StoreOptions { blob_file_bytes_target: 4 << 10, ..options }).unwrap();
    for number in 0..40 {
        store.tablet().commit(put(&format!("d{number:02}"), 1_000), None).unwrap();
    }
    for is_compacted in [false, true] {
        if is_compacted {
            store.tablet().compact_all().unwrap();
        } else {
            store.tablet().flush().unwrap();
        }
        let is_blob = |path: &std::path::Path| path.extension().is_some_and(|extension| extension == "blob");
        let files = disk.files();
        let lengths: Vec<u64> =
            files.iter().filter(|(path, _)| is_blob(path)).map(|&(_, bytes)| bytes).collect();
        assert!((8..=11).contains(&lengths.len()), "{lengths:?}");
        assert!(lengths.iter().all(|&bytes| bytes < (4 << 10) + 1_100), "{lengths:?}");
    }
    assert_eq!(store.tablet().get(b"d39").unwrap().map(|value| value.len()), Some(1_000));
}
