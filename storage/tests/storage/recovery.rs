//! What an open finds, removes and makes durable, and what it refuses.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sheaf_storage::{
    Durability, Error, FaultVfs, IterOptions, ManualClock, MemoryVfs, Store, StoreOptions, Timestamp, Vfs,
    WriteBatch,
};

use crate::fixture::{DIRECTORY, Dice, memory, open, small_options};
use crate::model::{forward, random_batch};

fn put(key: &str, value: &[u8]) -> WriteBatch {
    let mut batch = WriteBatch::new();
    batch.put(key, value);
    batch
}

/// How many files in the store have a name that ends so.
fn count(disk: &MemoryVfs, ending: &str) -> usize {
    let within = |path: &Path| path.starts_with(DIRECTORY) && path.to_string_lossy().ends_with(ending);
    disk.files().iter().filter(|(path, _)| within(path)).count()
}

/// That the directory holds the files of the current version, and nothing else but the log.
fn check_files(disk: &MemoryVfs, store: &Store) {
    let statistics = store.tablet().statistics();
    let tables: usize = statistics.levels.iter().map(|level| level.tables).sum();
    assert_eq!(count(disk, ".sst"), tables, "sstables");
    assert_eq!(count(disk, ".blob"), statistics.blob_files, "blob files");
    assert_eq!(count(disk, ".manifest"), 1, "manifests");
    assert_eq!(count(disk, ".tmp"), 0, "unfinished files");
    assert_eq!(count(disk, ".wal"), statistics.log_segments, "segments");
}

#[test]
fn an_open_leaves_no_file_that_nobody_needs() {
    let (memory, base) = memory();
    let faults = FaultVfs::new(base);
    let wrecks: Arc<Mutex<Vec<MemoryVfs>>> = Arc::default();
    let (kept, disk) = (Arc::clone(&wrecks), memory.clone());
    faults.set_hook(move |call| {
        // What is left over is what was created and not yet named, or no longer named and not yet removed.
        if matches!(call.operation, "remove" | "rename" | "sync") && call.index.is_multiple_of(3) {
            kept.lock().unwrap().push(disk.crash_clone(call.index, 100));
        }
    });
    let vfs: Arc<dyn Vfs> = Arc::new(faults);
    let store = open(&vfs, small_options()).unwrap();
    let mut dice = Dice::new(5);
    for _ in 0..150 {
        store.tablet().commit(random_batch(&mut dice, 60), Some(Durability::Async)).unwrap();
    }
    store.tablet().compact_all().unwrap();
    check_files(&memory, &store);
    drop((store, vfs));
    let wrecks = std::mem::take(&mut *wrecks.lock().unwrap());
    let mut left_over = 0;
    for wreck in &wrecks {
        // As a step that was interrupted leaves it, beside a file that is none of ours.
        let [step, foreign] =
            ["tablet-1/other.tmp", "tablet-1/notes"].map(|name| Path::new(DIRECTORY).join(name));
        [&step, &foreign].into_iter().for_each(|path| drop(wreck.create(path).unwrap()));
        let before = wreck.files().len();
        let vfs: Arc<dyn Vfs> = Arc::new(wreck.clone());
        let store = open(&vfs, small_options()).unwrap();
        check_files(wreck, &store);
        assert!(wreck.len(&step).is_err() && wreck.len(&foreign).is_ok());
        // Every open begins one segment and one manifest.
        left_over += usize::from(before > wreck.files().len());
        // What is removed at first, and needed all the same, would be missed here.
        let log_segments = store.tablet().statistics().log_segments;
        store.tablet().compact_all().unwrap();
        assert!(store.tablet().verify().problems.is_empty());
        assert!(log_segments <= 12, "segments that no flush needs: {log_segments}");
    }
    assert!(left_over > 10, "{left_over} of {} wrecks had files nobody needs", wrecks.len());
}

#[test]
fn segments_that_a_flush_made_needless_go_with_the_next_open() {
    let (memory, base) = memory();
    let faults = FaultVfs::new(base);
    let wreck: Arc<Mutex<Option<MemoryVfs>>> = Arc::default();
    let (kept, disk) = (Arc::clone(&wreck), memory.clone());
    faults.set_hook(move |call| {
        let segment = call.path.extension().is_some_and(|extension| extension == "wal");
        if call.operation == "remove" && segment {
            kept.lock().unwrap().get_or_insert_with(|| disk.crash_clone(1, 100));
        }
    });
    let vfs: Arc<dyn Vfs> = Arc::new(faults);
    let store = open(&vfs, small_options()).unwrap();
    store.tablet().commit(put("a", b"1"), None).unwrap();
    store.tablet().flush().unwrap();
    let wreck = wreck.lock().unwrap().take().unwrap();
    assert_eq!(count(&wreck, ".wal"), 2);
    let vfs: Arc<dyn Vfs> = Arc::new(wreck.clone());
    let store = open(&vfs, small_options()).unwrap();
    // The one the flush began and the one this open began.
    assert_eq!(count(&wreck, ".wal"), 2);
    assert_eq!(store.tablet().get(b"a").unwrap().as_deref(), Some(&b"1"[..]));
}

#[test]
fn what_a_killed_process_left_in_the_page_cache_is_durable_once_it_has_been_read() {
    let (memory, base) = memory();
    let faults = FaultVfs::new(base);
    let vfs: Arc<dyn Vfs> = Arc::new(faults.clone());
    let store = open(&vfs, small_options()).unwrap();
    store.tablet().commit(put("a", b"1"), Some(Durability::Async)).unwrap();
    // A store whose log failed writes no more, not even when it is closed: the file stays written and not synced.
    faults.add_rule("fail sync *.wal").unwrap();
    assert!(store.tablet().commit(put("b", b"2"), Some(Durability::Sync)).is_err());
    drop(store);
    faults.clear_rules();
    let store = open(&vfs, small_options()).unwrap();
    let read = forward(&mut store.tablet().snapshot().iter(IterOptions::default()).unwrap());
    assert_eq!(read.first().map(|(key, _)| key.as_slice()), Some(&b"a"[..]));
    for survive_percent in [0, 50] {
        let crashed: Arc<dyn Vfs> = Arc::new(memory.crash_clone(3, survive_percent));
        let again = open(&crashed, small_options()).unwrap();
        let found = forward(&mut again.tablet().snapshot().iter(IterOptions::default()).unwrap());
        assert_eq!(found, read, "somebody has read it");
    }
}

#[test]
fn a_file_of_another_length_is_refused_when_the_store_is_opened() {
    let (memory, vfs) = memory();
    let store = open(&vfs, small_options()).unwrap();
    for number in 0..40_u8 {
        store.tablet().commit(put(&format!("d{number:02}"), &[number; 150]), None).unwrap();
    }
    store.tablet().compact_all().unwrap();
    store.close().unwrap();
    let kinds = ["sst", "blob"];
    let named = |path: &Path| path.extension().is_some_and(|found| kinds.iter().any(|kind| found == *kind));
    let files: Vec<_> = memory.files().into_iter().filter(|(path, _)| named(path)).collect();
    assert!(
        kinds.iter().all(|kind| files.iter().any(|(path, _)| path.extension().is_some_and(|e| e == *kind)))
    );
    for (path, _) in files {
        let intact = memory.contents(&path).unwrap();
        for bytes in [intact[..intact.len() - 1].to_vec(), [intact.as_slice(), &[0]].concat(), Vec::new()] {
            memory.overwrite(&path, bytes).unwrap();
            let error = open(&vfs, small_options()).err().unwrap();
            assert!(matches!(&error, Error::Corruption { file, .. } if *file == path), "{error}");
        }
        memory.overwrite(&path, intact).unwrap();
    }
    open(&vfs, small_options()).unwrap();
}

#[test]
fn history_that_was_dropped_stays_refused_after_a_restart() {
    for by_compaction in [false, true] {
        let (_, vfs) = memory();
        let clock = Arc::new(ManualClock::new(1_000));
        let retention = Duration::from_secs(if by_compaction { 60 } else { 0 });
        let options = StoreOptions { clock: clock.clone(), retention, ..small_options() };
        let store = open(&vfs, options.clone()).unwrap();
        let tablet = store.tablet();
        let early = tablet.commit(put("i1", b"old"), None).unwrap();
        tablet.commit(put("i1", b"new"), None).unwrap();
        tablet.flush().unwrap();
        if by_compaction {
            assert_eq!(tablet.snapshot_at(early).unwrap().get(b"i1").unwrap().as_deref(), Some(&b"old"[..]));
            // Nothing is left to flush, so it is the compaction that drops what is past its time.
            clock.advance_micros(500 * 1_000_000);
            tablet.compact_all().unwrap();
        }
        let refused = |store: &Store, at: Timestamp| matches!(store.tablet().snapshot_at(at), Err(Error::SnapshotTooOld { wanted, .. }) if wanted == at);
        assert!(refused(&store, early));
        drop((store, tablet));
        // Every open writes the manifest anew.
        for round in 0..3 {
            clock.advance_micros(1_000_000);
            let store = open(&vfs, options.clone()).unwrap();
            assert!(
                refused(&store, early),
                "open {round}: nobody may read as if the old value had never been"
            );
            assert_eq!(store.tablet().get(b"i1").unwrap().as_deref(), Some(&b"new"[..]));
        }
    }
}

#[test]
fn a_job_that_fails_leaves_no_file() {
    for rule in ["fail sync *.sst once", "fail write *.sst after 2 once", "fail sync *.blob once"] {
        let (memory, base) = memory();
        let faults = FaultVfs::new(base);
        let vfs: Arc<dyn Vfs> = Arc::new(faults.clone());
        let store = open(&vfs, small_options()).unwrap();
        // Three keyspaces in tables of their own, so that one is finished when another fails.
        for number in 0..20_u8 {
            for keyspace in ["a", "d", "i"] {
                let key = format!("{keyspace}{number:02}");
                store.tablet().commit(put(&key, &[number; 150]), Some(Durability::Async)).unwrap();
            }
        }
        let before = (count(&memory, ".sst"), count(&memory, ".blob"));
        faults.add_rule(rule).unwrap();
        assert!(store.tablet().flush().is_err() || store.tablet().compact_all().is_err(), "{rule}");
        assert_eq!((count(&memory, ".sst"), count(&memory, ".blob")), before, "{rule}");
    }
}

#[test]
fn a_checkpoint_of_damaged_files_fails_and_is_no_store() {
    let (memory, vfs) = memory();
    let store = open(&vfs, small_options()).unwrap();
    for number in 0..40_u8 {
        store.tablet().commit(put(&format!("d{number:02}"), &[number; 150]), None).unwrap();
    }
    store.tablet().compact_all().unwrap();
    for kind in ["sst", "blob"] {
        let of_kind =
            |path: &Path| path.starts_with(DIRECTORY) && path.extension().is_some_and(|e| e == kind);
        let path = memory.files().into_iter().map(|(path, _)| path).find(|path| of_kind(path)).unwrap();
        let intact = memory.contents(&path).unwrap();
        let mut damaged = intact.clone();
        damaged[intact.len() / 3] ^= 1;
        memory.overwrite(&path, damaged).unwrap();
        let target = format!("/copy-{kind}");
        let error = store.tablet().checkpoint(Path::new(&target)).unwrap_err();
        assert!(matches!(&error, Error::Corruption { .. }), "{kind}: {error}");
        assert!(vfs.open_read(&Path::new(&target).join("STORE")).is_err(), "{kind}");
        memory.overwrite(&path, intact).unwrap();
    }
    store.tablet().checkpoint(Path::new("/copy")).unwrap();
    assert!(vfs.len(Path::new("/copy/STORE")).unwrap() > 0);
}

#[test]
fn a_crash_during_a_checkpoint_leaves_no_store_or_a_whole_one() {
    // Linked, and copied where the file system cannot link (EXDEV).
    for rule in [None, Some("fail link errno 18")] {
        let (memory, base) = memory();
        let faults = FaultVfs::new(base);
        rule.iter().for_each(|rule| faults.add_rule(rule).unwrap());
        let vfs: Arc<dyn Vfs> = Arc::new(faults.clone());
        let store = open(&vfs, small_options()).unwrap();
        for number in 0..40_u8 {
            store.tablet().commit(put(&format!("d{number:02}"), &[number; 150]), None).unwrap();
        }
        let all = forward(&mut store.tablet().snapshot().iter(IterOptions::default()).unwrap());
        let wrecks: Arc<Mutex<Vec<MemoryVfs>>> = Arc::default();
        let (kept, disk) = (Arc::clone(&wrecks), memory.clone());
        faults.set_hook(move |call| {
            let survive = [0, 50, 100][(call.index % 3) as usize];
            kept.lock().unwrap().push(disk.crash_clone(call.index, survive));
        });
        store.tablet().checkpoint(Path::new("/copy")).unwrap();
        faults.set_hook(|_| {});
        let mut wrecks = std::mem::take(&mut *wrecks.lock().unwrap());
        let during = wrecks.len();
        wrecks.push(memory.crash_clone(1, 0));
        let mut whole = 0;
        for (number, wreck) in wrecks.into_iter().enumerate() {
            let vfs: Arc<dyn Vfs> = Arc::new(wreck);
            if vfs.len(Path::new("/copy/STORE")).is_err() {
                assert!(number < during, "once it has returned, a checkpoint is durable");
                continue;
            }
            let copy = Store::open(vfs, Path::new("/copy"), small_options()).unwrap();
            assert!(copy.tablet().verify().problems.is_empty());
            assert_eq!(forward(&mut copy.tablet().snapshot().iter(IterOptions::default()).unwrap()), all);
            whole += 1;
        }
        assert!(whole > 0);
    }
}

#[test]
fn the_bytes_of_a_torn_segment_stay_as_they_are() {
    for cut in [false, true] {
        let (running, vfs) = memory();
        let store = open(&vfs, small_options()).unwrap();
        store.tablet().commit(put("a", b"1"), None).unwrap();
        store.tablet().commit(put("b", &[7; 300]), Some(Durability::Async)).unwrap();
        let disk = running.crash_clone(1, 100);
        let is_segment = |path: &Path| path.extension().is_some_and(|extension| extension == "wal");
        let path =
            disk.files().into_iter().map(|(path, _)| path).filter(|path| is_segment(path)).max().unwrap();
        let mut torn = disk.contents(&path).unwrap();
        let end = torn.iter().rposition(|&byte| byte != 0).unwrap();
        // Half of the last record came to the disk, and what is behind it is missing or as it was reserved.
        if cut {
            torn.truncate(end - 150);
        } else {
            torn[end - 150..].fill(0);
        }
        disk.overwrite(&path, torn.clone()).unwrap();
        let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
        for round in 0..3 {
            let store = open(&vfs, small_options()).unwrap();
            assert!(disk.contents(&path).unwrap() == torn, "open {round}, cut: {cut}");
            assert_eq!(store.tablet().get(b"a").unwrap().as_deref(), Some(&b"1"[..]));
            assert_eq!(store.tablet().get(b"b").unwrap(), None);
            store.tablet().commit(put("c", &[round]), None).unwrap();
            store.close().unwrap();
            assert!(disk.contents(&path).unwrap() == torn, "close {round}, cut: {cut}");
        }
    }
}

#[test]
fn a_manifest_is_written_anew_when_it_has_doubled_and_the_one_before_goes() {
    let (memory, base) = memory();
    let faults = FaultVfs::new(base);
    let manifests: Arc<Mutex<usize>> = Arc::default();
    let counted = Arc::clone(&manifests);
    faults.set_hook(move |call| {
        let manifest = call.path.extension().is_some_and(|extension| extension == "manifest");
        if call.operation == "create" && manifest {
            *counted.lock().unwrap() += 1;
        }
    });
    let vfs: Arc<dyn Vfs> = Arc::new(faults);
    let options =
        StoreOptions { l0_compaction_trigger: 50, l0_slowdown: 60, l0_stop: 200, ..small_options() };
    let store = open(&vfs, options).unwrap();
    for number in 0..120_u32 {
        store.tablet().commit(put(&format!("i{number:03}"), &[7; 50]), Some(Durability::Async)).unwrap();
        // A table more each time, which is an edit of a hundred bytes.
        store.tablet().flush().unwrap();
        assert_eq!(count(&memory, ".manifest"), 1);
    }
    let written = *manifests.lock().unwrap();
    assert!((3..30).contains(&written), "{written} manifests for 120 edits and more");
}

#[test]
fn history_is_kept_for_as_long_as_the_options_say_to_the_second() {
    // A part of a second is kept as a whole one.
    for retention in [Duration::from_secs(60), Duration::from_millis(59_001)] {
        let (_, vfs) = memory();
        let clock = Arc::new(ManualClock::new(1_000));
        let store = open(&vfs, StoreOptions { clock: clock.clone(), retention, ..small_options() }).unwrap();
        let tablet = store.tablet();
        let early = tablet.commit(put("i1", b"old"), None).unwrap();
        clock.advance_micros(60_000_000);
        tablet.commit(put("i1", b"new"), None).unwrap();
        tablet.compact_all().unwrap();
        assert_eq!(tablet.snapshot_at(early).unwrap().get(b"i1").unwrap().as_deref(), Some(&b"old"[..]));
        clock.advance_micros(1_000_000);
        tablet.commit(put("i2", b"new"), None).unwrap();
        tablet.compact_all().unwrap();
        assert!(matches!(tablet.snapshot_at(early), Err(Error::SnapshotTooOld { .. })));
    }
}

#[test]
fn a_log_whose_store_file_is_lost_is_not_taken_for_the_leftovers_of_a_creation() {
    for options in [small_options(), crate::fixture::encrypted_options()] {
        let (memory, vfs) = memory();
        let store = open(&vfs, options.clone()).unwrap();
        store.tablet().commit(put("i1", b"in the log only"), Some(Durability::Sync)).unwrap();
        drop(store);
        let path = Path::new(DIRECTORY).join("STORE");
        let bytes = memory.contents(&path).unwrap();
        memory.remove(&path).unwrap();
        let error = open(&vfs, options.clone()).err().unwrap();
        assert!(matches!(&error, Error::Corruption { file, .. } if *file == path), "{error}");
        vfs.create(&path).unwrap().append(&bytes).unwrap();
        let store = open(&vfs, options).unwrap();
        assert!(store.tablet().get(b"i1").unwrap().is_some(), "nothing was removed");
    }
}

#[test]
fn a_manifest_that_may_have_an_edit_or_not_stops_writes_until_the_store_is_opened_again() {
    for rule in ["fail write *.manifest once", "tear write *.manifest once", "fail sync *.manifest once"] {
        let (_, base) = memory();
        let faults = FaultVfs::new(base);
        let vfs: Arc<dyn Vfs> = Arc::new(faults.clone());
        let store = open(&vfs, small_options()).unwrap();
        let tablet = store.tablet();
        tablet.commit(put("i1", b"1"), None).unwrap();
        faults.add_rule(rule).unwrap();
        assert!(matches!(tablet.flush(), Err(Error::Io { .. })), "{rule}");
        for result in [tablet.commit(put("i2", b"2"), None).map(drop), tablet.flush(), tablet.compact_all()] {
            assert!(matches!(result, Err(Error::Poisoned(_))), "{rule}: {result:?}");
        }
        assert!(tablet.get(b"i1").unwrap().is_some(), "reads go on");
        drop((tablet, store));
        let store = open(&vfs, small_options()).unwrap();
        assert!(store.tablet().get(b"i1").unwrap().is_some() && store.tablet().get(b"i2").unwrap().is_none());
        store.tablet().commit(put("i2", b"2"), None).unwrap();
        store.tablet().flush().unwrap();
        assert!(store.verify().problems.is_empty());
    }
}

#[test]
fn a_checkpoint_goes_only_where_nothing_of_a_store_is() {
    let (disk, vfs) = memory();
    let store = open(&vfs, small_options()).unwrap();
    store.tablet().commit(put("i1", b"value"), None).unwrap();
    disk.create_dir(Path::new("/to")).unwrap();
    for (name, is_taken) in
        [("STORE", true), ("tablet-1/0000000001.sst", true), ("tablet-1/CURRENT", true), ("notes", false)]
    {
        let target = Path::new("/to").join(name.replace('/', "-"));
        let path = target.join(name);
        disk.create_dir(&target).unwrap();
        disk.create_dir(path.parent().unwrap()).unwrap();
        disk.create(&path).unwrap().append(b"somebody's").unwrap();
        let before: Vec<_> = disk.files().into_iter().filter(|(path, _)| path.starts_with(&target)).collect();
        let written = store.checkpoint(&target);
        if is_taken {
            assert!(matches!(&written, Err(Error::InvalidInput(_))), "{name}: {written:?}");
            let after = disk.files().into_iter().filter(|(path, _)| path.starts_with(&target));
            assert_eq!(after.collect::<Vec<_>>(), before, "{name}");
        } else {
            written.unwrap();
        }
        assert_eq!(disk.contents(&path).unwrap(), b"somebody's");
    }
}

#[test]
fn history_that_was_dropped_is_refused_by_a_checkpoint_too() {
    let (_, vfs) = memory();
    let store = open(&vfs, small_options()).unwrap();
    let tablet = store.tablet();
    let early = tablet.commit(put("i1", b"old"), None).unwrap();
    tablet.flush().unwrap();
    let late = tablet.commit(put("i1", b"new"), None).unwrap();
    tablet.compact_all().unwrap();
    assert!(matches!(tablet.snapshot_at(early), Err(Error::SnapshotTooOld { .. })));
    store.checkpoint(Path::new("/copy")).unwrap();
    let copy = Store::open(Arc::clone(&vfs), Path::new("/copy"), small_options()).unwrap();
    assert!(matches!(copy.tablet().snapshot_at(early), Err(Error::SnapshotTooOld { .. })));
    let found = copy.tablet().snapshot_at(late).unwrap().get(b"i1").unwrap();
    assert_eq!(found.as_deref(), Some(&b"new"[..]));
}
