//! Calls of the file system fail: errors are named, nothing acknowledged is lost, nothing false is ever read.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use sheaf_storage::{
    BackgroundWork, Durability, Error, Event, EventListener, FaultVfs, IterOptions, MemoryVfs, StoreOptions,
    Tablet, TabletId, Timestamp, Vfs, WriteBatch,
};

use crate::fixture::{Dice, deep, memory, open, small_options};
use crate::model::{Model, forward, random_batch};

fn put(key: &str, value: &str) -> WriteBatch {
    let mut batch = WriteBatch::new();
    batch.put(key, value);
    batch
}

fn faulty() -> (MemoryVfs, FaultVfs, Arc<dyn Vfs>) {
    let (memory, base) = memory();
    let faults = FaultVfs::new(base);
    (memory, faults.clone(), Arc::new(faults))
}

/// Everything the tablet shows now must be what the model says for its last timestamp.
fn check(tablet: &Tablet, history: &[(Timestamp, WriteBatch)]) -> Timestamp {
    let last = tablet.last_timestamp();
    let mut model = Model::default();
    history.iter().filter(|(at, _)| *at <= last).for_each(|(at, batch)| model.apply(batch, *at));
    let mut iter = tablet.snapshot().iter(IterOptions::default()).unwrap();
    assert_eq!(forward(&mut iter), model.scan(last, None, None));
    last
}

#[test]
fn a_failed_sync_of_the_log_poisons_until_reopened() {
    let (_, faults, vfs) = faulty();
    let store = open(&vfs, small_options()).unwrap();
    let tablet = store.tablet();
    tablet.commit(put("a", "1"), None).unwrap();
    faults.add_rule("fail sync *.wal once").unwrap();
    assert!(matches!(tablet.commit(put("a", "2"), None), Err(Error::Io { operation: "sync", .. })));
    assert!(matches!(tablet.commit(put("a", "3"), None), Err(Error::Poisoned(_))));
    assert!(matches!(tablet.flush(), Err(Error::Poisoned(_))));
    assert_eq!(tablet.get(b"a").unwrap().as_deref(), Some(&b"1"[..]), "reads go on");
    drop((store, tablet));
    let store = open(&vfs, small_options()).unwrap();
    let found = store.tablet().get(b"a").unwrap().unwrap();
    assert!(matches!(&*found, b"1" | b"2"), "the failed commit is there whole or not at all");
    store.tablet().commit(put("a", "4"), None).unwrap();
}

/// How often segments of the log stayed.
#[derive(Debug, Default)]
struct Stayed(Mutex<u64>);

impl EventListener for Stayed {
    fn on_event(&self, event: &Event) {
        if matches!(event, Event::SegmentsNotRemoved { reason } if reason.contains(".wal")) {
            *self.0.lock().unwrap() += 1;
        }
    }
}

fn segments(disk: &MemoryVfs) -> usize {
    let files = disk.files().into_iter();
    files.filter(|(path, _)| path.extension().is_some_and(|extension| extension == "wal")).count()
}

#[test]
fn a_segment_that_cannot_be_removed_takes_room_and_stops_nobody() {
    for background in [BackgroundWork::Inline, BackgroundWork::Threads] {
        for once in [true, false] {
            let (disk, faults, vfs) = faulty();
            let stayed = Arc::new(Stayed::default());
            let options = StoreOptions { background, events: Some(stayed.clone()), ..small_options() };
            let store = open(&vfs, options).unwrap();
            let tablet = store.tablet();
            faults.add_rule(if once { "fail remove *.wal once" } else { "fail remove *.wal" }).unwrap();
            for round in 0..200 {
                tablet.commit(put(&format!("k{round:03}"), &"x".repeat(500)), None).unwrap();
            }
            tablet.flush().unwrap();
            tablet.commit(put("last", "1"), None).unwrap();
            tablet.flush().unwrap();
            let statistics = store.statistics();
            assert_eq!(statistics.poisoned, None);
            assert_eq!(statistics.failed_segment_removals, *stayed.0.lock().unwrap());
            assert_eq!(statistics.failed_segment_removals == 1, once, "{statistics:?}");
            // The file of the next may be there as well.
            assert!((0..2).contains(&(segments(&disk) - statistics.log_segments)));
            assert_eq!(statistics.log_segments == 1, once, "{}", statistics.log_segments);
            assert!(store.verify().problems.is_empty());
            store.close().unwrap();
            drop((tablet, store));
            let base: Arc<dyn Vfs> = Arc::new(disk.clone());
            let store = open(&base, small_options()).unwrap();
            assert_eq!(segments(&disk), store.statistics().log_segments);
            let found = (0..200)
                .filter(|round| store.tablet().get(format!("k{round:03}").as_bytes()).unwrap().is_some());
            assert_eq!(found.count(), 200);
            store.tablet().commit(put("last", "2"), None).unwrap();
            store.tablet().flush().unwrap();
            assert_eq!(segments(&disk), 1, "its room is free again");
        }
    }
}

#[test]
fn a_segment_that_stays_behind_a_tablet_that_was_brought_forward_stops_nobody() {
    let (disk, faults, vfs) = faulty();
    let store = open(&vfs, StoreOptions { log_segments_max: 2, ..small_options() }).unwrap();
    let (busy, lagging) = (store.tablet(), store.create_tablet(TabletId(1)).unwrap());
    lagging.commit(put("k", "1"), None).unwrap();
    faults.add_rule("fail remove *.wal").unwrap();
    for round in 0..200 {
        busy.commit(put(&format!("k{round:03}"), &"x".repeat(500)), None).unwrap();
    }
    assert!(lagging.statistics().records_again > 0);
    let statistics = store.statistics();
    assert!(statistics.failed_segment_removals > 1, "{statistics:?}");
    assert!(store.verify().problems.is_empty());
    drop((busy, lagging, store));
    let base: Arc<dyn Vfs> = Arc::new(disk);
    let store = open(&base, small_options()).unwrap();
    let lagging = store.tablet_by_id(TabletId(1)).unwrap();
    assert_eq!(lagging.get(b"k").unwrap().as_deref(), Some(&b"1"[..]));
    assert!(store.tablet().get(b"k199").unwrap().is_some());
}

#[test]
fn a_torn_write_of_the_log_loses_only_what_failed() {
    let (_, faults, vfs) = faulty();
    let store = open(&vfs, small_options()).unwrap();
    store.tablet().commit(put("a", "1"), Some(Durability::Async)).unwrap();
    faults.add_rule("tear write *.wal once").unwrap();
    assert!(store.tablet().commit(put("b", &"x".repeat(2_000)), Some(Durability::Async)).is_err());
    drop(store);
    for round in 0..3 {
        let store = open(&vfs, small_options()).unwrap();
        assert_eq!(store.tablet().get(b"a").unwrap().as_deref(), Some(&b"1"[..]));
        assert_eq!(store.tablet().get(b"b").unwrap(), None);
        store.tablet().commit(put("round", &round.to_string()), None).unwrap();
    }
}

#[test]
fn a_full_disk_is_named_and_harms_nothing() {
    for room in ["full 0", "full 1KiB", "full 10KiB", "full 40KiB"] {
        let (_, faults, vfs) = faulty();
        let store = open(&vfs, small_options()).unwrap();
        let tablet = store.tablet();
        tablet.commit(put("a", "1"), None).unwrap();
        faults.add_rule(room).unwrap();
        let mut dice = Dice::new(9);
        let first_error = loop {
            if let Err(error) = tablet.commit(random_batch(&mut dice, 50), None) {
                break error;
            }
        };
        assert!(matches!(first_error, Error::Full { .. } | Error::Poisoned(_)), "{first_error}");
        assert!(first_error.to_string().contains("no space left"), "{first_error}");
        assert_eq!(tablet.get(b"a").unwrap().as_deref(), Some(&b"1"[..]));
        drop((store, tablet));
        faults.clear_rules();
        let store = open(&vfs, small_options()).unwrap();
        assert_eq!(store.tablet().get(b"a").unwrap().as_deref(), Some(&b"1"[..]));
        store.tablet().compact_all().unwrap();
    }
}

/// A workload that reaches flush, compaction, rolls of log and manifest, blob collection, ingest, checkpoint and reopening.
/// Says by name what it is about to do. Stops at the first error, which it returns with how many commits were acknowledged
/// as synced.
fn workload(
    vfs: &Arc<dyn Vfs>,
    history: &mut Vec<(Timestamp, WriteBatch)>,
    batches: &[WriteBatch],
    mut about_to: impl FnMut(&'static str, &Tablet),
) -> (usize, Option<Error>) {
    let mut synced = 0;
    let mut run = || -> Result<(), Error> {
        for (half, batches) in batches.chunks(batches.len().div_ceil(2)).enumerate() {
            let store = open(vfs, small_options())?;
            let tablet = store.tablet();
            let commit = |batch: &WriteBatch, history: &mut Vec<(Timestamp, WriteBatch)>| {
                let last = tablet.last_timestamp();
                // What fails may have reached the log all the same, at the next timestamp.
                history.push((last.advance(1_000), batch.clone()));
                tablet.commit(batch.clone(), Some(Durability::Sync))
            };
            about_to("commit", &tablet);
            for batch in batches {
                commit(batch, history)?;
                synced += 1;
            }
            let pairs: Vec<_> =
                (0..20).map(|number| (format!("d{number:06}").into_bytes(), vec![7; number * 9])).collect();
            let mut ingested = WriteBatch::new();
            pairs.iter().for_each(|(key, value)| ingested.put(key.clone(), value.clone()));
            history.push((tablet.last_timestamp().advance(1_000), ingested));
            about_to("ingest", &tablet);
            tablet.ingest(pairs)?;
            synced += 1;
            about_to("checkpoint", &tablet);
            tablet.checkpoint(format!("/copy{half}").as_ref())?;
            about_to("compact", &tablet);
            tablet.compact_all()?;
            about_to("close", &tablet);
            store.close()?;
        }
        Ok(())
    };
    let error = run().err();
    (synced, error)
}

fn fail_at(index: u64, once: bool, batches: &[WriteBatch]) -> bool {
    let (_, faults, vfs) = faulty();
    let rule = if once { format!("fail any after {index} once") } else { format!("fail any after {index}") };
    faults.add_rule(&rule).unwrap();
    let mut history = Vec::new();
    let (synced, error) = workload(&vfs, &mut history, batches, |_, _| {});
    let struck = faults.failures() > 0;
    assert!(error.is_none() || struck, "{error:?}");
    faults.clear_rules();
    let store = match open(&vfs, small_options()) {
        Ok(store) => store,
        Err(error) => panic!("after {rule}: {error}"),
    };
    let last = check(&store.tablet(), &history);
    let there = history.iter().filter(|(at, _)| *at <= last).count();
    assert!(there >= synced, "after {rule}: {synced} commits were synced, {there} are there");
    struck
}

fn batches() -> Vec<WriteBatch> {
    let mut dice = Dice::new(4);
    (0..if deep() { 160 } else { 120 }).map(|_| random_batch(&mut dice, 60)).collect()
}

/// That the workload, when nothing fails, does all of what is to be interrupted.
fn check_reached(batches: &[WriteBatch]) {
    let (_, faults, vfs) = faulty();
    let calls: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
    let phase = Arc::new(Mutex::new("open"));
    let (counted, during) = (Arc::clone(&calls), Arc::clone(&phase));
    faults.set_hook(move |call| {
        let kind = call.path.extension().unwrap_or_default().to_string_lossy();
        let name = format!("{} {} {kind}", during.lock().unwrap(), call.operation);
        *counted.lock().unwrap().entry(name).or_default() += 1;
    });
    let mut picked = (0, 0);
    let (_, error) = workload(&vfs, &mut Vec::new(), batches, |next, tablet| {
        let statistics = tablet.statistics();
        if next == "ingest" {
            picked = (picked.0 + statistics.flushes, picked.1 + statistics.compactions);
        }
        *phase.lock().unwrap() = next;
    });
    assert!(error.is_none(), "{error:?}");
    println!("{} flushes and {} compactions by themselves", picked.0, picked.1);
    assert!(picked.0 >= 4 && picked.1 >= 4, "{picked:?}");
    let calls = calls.lock().unwrap();
    for (what, name) in [
        ("a roll of the log", "commit create wal"),
        ("a segment that is no longer needed", "commit remove wal"),
        ("a roll of the manifest", "commit create manifest"),
        ("an ingest", "ingest create sst"),
        ("a checkpoint", "checkpoint link sst"),
        // Commits read no blob files, and flushes neither: what does is their collection.
        ("a blob collection", "commit read blob"),
        ("an end of a blob file", "commit remove blob"),
        ("a full compaction", "compact create sst"),
    ] {
        let count = calls.get(name).copied().unwrap_or_default();
        println!("{what}: {name}, {count} times");
        assert!(count > 0, "the workload does not reach {what}: {calls:?}");
    }
}

#[test]
fn deep_every_io_fails() {
    let batches = batches();
    check_reached(&batches);
    let stride = if deep() { 1 } else { 11 };
    let (mut index, mut runs) = (0, 0);
    loop {
        let once = fail_at(index, true, &batches);
        let for_good = fail_at(index, false, &batches);
        runs += 2;
        if !once && !for_good {
            break;
        }
        index += stride;
    }
    println!("stage every_io_fails: {runs} runs, call indexes up to {index}");
    assert!(index > 300, "the workload makes too few calls: {index}");
}
