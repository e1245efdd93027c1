//! Segments that are begun before the one in front of them is durable.

use std::sync::Mutex;

use super::*;
use crate::poison::Poison;
use crate::timestamp::Timestamp;
use crate::vfs::{FaultVfs, MemoryVfs};
use crate::wal::log::Log;
use crate::wal::record::{RecordHead, RecordKind};

const DIRECTORY: &str = "/log";
const IDENTITY: u128 = 7;

fn begin(vfs: Arc<dyn Vfs>, tail: LogTail) -> Log {
    Log::begin(vfs, Path::new(DIRECTORY), IDENTITY, None, tail, Arc::new(Poison::default()), LogRung::Early)
        .unwrap()
}

fn begin_empty(vfs: &Arc<dyn Vfs>) -> Log {
    vfs.create_dir(Path::new(DIRECTORY)).unwrap();
    vfs.sync_dir(Path::new("/")).unwrap();
    begin(Arc::clone(vfs), LogTail { next_number: 1, ..LogTail::default() })
}

fn append(log: &Log, index: u64) {
    let (kind, timestamp) = (RecordKind::Batch, Timestamp(index));
    let head = RecordHead { kind, compressed: false, group: 0, term: 1, index, timestamp };
    // Some of many chunks.
    let operations = vec![0; if index.is_multiple_of(5) { 40_000 } else { 1 }];
    let mut batch = crate::write_batch::WriteBatch::new();
    batch.put([1], operations);
    log.append(&mut Vec::new(), &head, batch.reduce().encoded()).unwrap();
}

/// The indexes of the log, and where it continues.
fn replay(vfs: &dyn Vfs, promised: LogPosition) -> Result<(Vec<u64>, LogTail)> {
    let mut indexes = Vec::new();
    let directory = Path::new(DIRECTORY);
    let replay = Replay { vfs, directory, identity: IDENTITY, keys: None, first: 1, promised, until: None };
    let tail = replay.run(|_, record| {
        indexes.push(record.head.index);
        Ok(())
    })?;
    Ok((indexes, tail))
}

fn path(number: u64) -> PathBuf {
    segment_path(Path::new(DIRECTORY), number)
}

/// The first segment as the power may have left it: the last byte of what the second says was in it is missing.
fn cut_front(memory: &MemoryVfs) {
    let second = memory.contents(&path(2)).unwrap();
    let header = LogHeader::decode(&second, &path(2)).unwrap().unwrap();
    assert!(header.begun_early && header.previous == 1);
    let mut front = memory.contents(&path(1)).unwrap();
    front.truncate(usize::try_from(header.previous_end).unwrap() - 1);
    memory.overwrite(&path(1), front).unwrap();
}

/// What the file system is asked to do from now on, and to which file.
fn calls(faults: &FaultVfs) -> Arc<Mutex<Vec<(String, u64)>>> {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let of_hook = Arc::clone(&calls);
    faults.set_hook(move |call| {
        let name = call.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        of_hook.lock().unwrap().push((call.operation.to_owned(), segment_number(name).unwrap_or(0)));
    });
    calls
}

fn syncs(calls: &Mutex<Vec<(String, u64)>>) -> Vec<u64> {
    let calls = std::mem::take(&mut *calls.lock().unwrap());
    calls.into_iter().filter(|(operation, _)| operation == "sync").map(|(_, number)| number).collect()
}

/// A log whose first segment has record 1, durable, and record 2, written; the second, begun early, has record 3, written.
fn begun_early() -> (MemoryVfs, FaultVfs, Log) {
    let memory = MemoryVfs::new();
    let faults = FaultVfs::new(Arc::new(memory.clone()));
    let vfs: Arc<dyn Vfs> = Arc::new(faults.clone());
    let log = begin_empty(&vfs);
    append(&log, 1);
    log.sync().unwrap();
    append(&log, 2);
    log.prepare().unwrap();
    assert_eq!(log.rotate().unwrap(), 2);
    append(&log, 3);
    log.write().unwrap();
    (memory, faults, log)
}

#[test]
fn going_on_early_syncs_nothing_and_the_next_sync_both_in_order() {
    let (_, faults, log) = begun_early();
    assert_eq!(log.synced_position().segment, 1, "of the second nothing is durable");
    let calls = calls(&faults);
    append(&log, 4);
    log.sync().unwrap();
    assert_eq!(syncs(&calls), [1, 2]);
    assert_eq!(
        (log.synced_position().segment, log.durable_position().unwrap().offset),
        (2, log.position().1)
    );
    // From now on it is a segment like any other.
    append(&log, 5);
    log.sync().unwrap();
    assert_eq!(syncs(&calls), [2]);
    assert_eq!(log.statistics().segments, 1);
}

#[test]
fn without_a_prepared_file_or_the_rung_nothing_is_begun_early() {
    for rung in [LogRung::Plain, LogRung::Compressed, LogRung::Early] {
        for prepared in [false, true] {
            let faults = FaultVfs::new(Arc::new(MemoryVfs::new()));
            let vfs: Arc<dyn Vfs> = Arc::new(faults.clone());
            vfs.create_dir(Path::new(DIRECTORY)).unwrap();
            let (tail, poison) = (LogTail { next_number: 1, ..LogTail::default() }, Arc::default());
            let log = Log::begin(vfs, Path::new(DIRECTORY), IDENTITY, None, tail, poison, rung).unwrap();
            append(&log, 1);
            if prepared {
                log.prepare().unwrap();
            }
            let calls = calls(&faults);
            log.rotate().unwrap();
            let early = prepared && rung == LogRung::Early;
            assert_eq!(syncs(&calls).contains(&1), !early, "{rung:?} {prepared}");
            assert_eq!(log.synced_position().segment, if early { 1 } else { 2 });
        }
    }
}

#[test]
fn who_goes_on_twice_makes_the_first_durable() {
    let (_, faults, log) = begun_early();
    log.prepare().unwrap();
    let calls = calls(&faults);
    log.rotate().unwrap();
    assert_eq!(syncs(&calls), [1], "at most one waits");
    assert_eq!(log.synced_position(), LogPosition { segment: 2, offset: 0 });
    assert!(log.durable_position().unwrap() > LogPosition { segment: 3, offset: 0 });
    assert_eq!(syncs(&calls), [2, 3]);
}

#[test]
fn a_sync_that_began_in_front_is_not_done_before_the_front_is() {
    // The one in front cannot be synced: nobody who asks may hear that it was.
    for failing in ["fail sync 0000000001", "fail sync 0000000002"] {
        let (_, faults, log) = begun_early();
        faults.add_rule(failing).unwrap();
        assert!(log.sync().is_err());
        assert!(matches!(log.sync(), Err(Error::Poisoned(_))));
        assert!(matches!(log.rotate(), Err(Error::Poisoned(_))));
        assert_eq!(log.synced_position().segment, 1);
    }
}

#[test]
fn a_killed_process_leaves_all_that_was_written() {
    let (memory, _, log) = begun_early();
    drop(log);
    let (indexes, tail) = replay(&memory, LogPosition::default()).unwrap();
    assert_eq!((indexes, tail.number, tail.before), (vec![1, 2, 3], 2, Some(1)));
    // Whoever goes on says that it is there. So it has to be, whatever happens next.
    sync_tail(&memory, Path::new(DIRECTORY), &tail).unwrap();
    let log = begin(Arc::new(memory.clone()), tail);
    append(&log, 4);
    log.sync().unwrap();
    let after = memory.crash_clone(1, 0);
    assert_eq!(replay(&after, log.durable_position().unwrap()).unwrap().0, [1, 2, 3, 4]);
}

#[test]
fn what_follows_a_front_cut_short_is_no_part_of_the_log() {
    let (memory, _, log) = begun_early();
    drop(log);
    // The disk has the second segment, and of the first a little more than what was synced.
    cut_front(&memory);
    let (indexes, tail) = replay(&memory, LogPosition::default()).unwrap();
    assert_eq!((indexes.as_slice(), tail.number, tail.before), ([1].as_slice(), 1, None));
    assert_eq!(tail.segments, [1, 2]);
    let log = begin(Arc::new(memory.clone()), tail);
    append(&log, 2);
    log.sync().unwrap();
    // Now that the log goes on past it, as well.
    assert_eq!(replay(&memory, log.durable_position().unwrap()).unwrap().0, [1, 2]);
}

#[test]
fn a_front_cut_short_is_corruption_where_it_is_known_to_have_been_whole() {
    let is_named = |result: Result<(Vec<u64>, LogTail)>| {
        assert!(matches!(&result, Err(Error::Corruption { file, .. }) if *file == path(1)), "{result:?}");
    };
    let none = LogPosition::default();
    // By a promise in the second.
    let (memory, _, log) = begun_early();
    log.sync().unwrap();
    append(&log, 4);
    log.write().unwrap();
    cut_front(&memory);
    is_named(replay(&memory, none));
    // By a third.
    let (memory, _, log) = begun_early();
    log.rotate().unwrap();
    cut_front(&memory);
    is_named(replay(&memory, none));
    // By the manifest.
    let (memory, _, log) = begun_early();
    let promised = log.durable_position().unwrap();
    cut_front(&memory);
    assert_eq!(replay(&memory, none).unwrap().0, [1], "nobody knows of it");
    is_named(replay(&memory, promised));
}

#[test]
fn a_front_without_a_head_takes_what_follows_with_it() {
    let memory = MemoryVfs::new();
    let vfs: Arc<dyn Vfs> = Arc::new(memory.clone());
    let log = begin_empty(&vfs);
    append(&log, 1);
    log.prepare().unwrap();
    log.rotate().unwrap();
    // The head of the second is not synced, nor is its record, when the third begins.
    append(&log, 2);
    log.prepare().unwrap();
    log.rotate().unwrap();
    append(&log, 3);
    log.write().unwrap();
    assert_eq!(replay(&memory, LogPosition::default()).unwrap().0, [1, 2, 3]);
    memory.overwrite(&path(2), Vec::new()).unwrap();
    let (indexes, tail) = replay(&memory, LogPosition::default()).unwrap();
    assert_eq!((indexes.as_slice(), tail.number, tail.next_number), ([1].as_slice(), 1, 4));
    let again = begin(Arc::clone(&vfs), tail);
    append(&again, 2);
    again.sync().unwrap();
    assert_eq!(replay(&memory, LogPosition::default()).unwrap().0, [1, 2]);
    // With a promise in the third, the head of the second was there.
    log.sync().unwrap();
    append(&log, 4);
    log.write().unwrap();
    memory.overwrite(&path(2), Vec::new()).unwrap();
    memory.remove(&path(4)).unwrap();
    assert!(matches!(replay(&memory, LogPosition::default()), Err(Error::Corruption { .. })));
}

/// A number below `end`.
fn below(state: &mut u64, end: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % end
}

/// Random work on a log, and the power cut, or the process killed, at random moments: what is there is what was written first, all
/// of it that was synced, and after a kill all of it that was written.
#[test]
fn whatever_survives_is_what_was_written_first() {
    let (mut cuts, mut lost) = (0, 0);
    for seed in 0..400_u64 {
        let mut state = seed;
        let mut memory = MemoryVfs::new();
        let mut log = begin_empty(&(Arc::new(memory.clone()) as Arc<dyn Vfs>));
        let (mut appended, mut written, mut synced) = (0, 0, 0);
        let mut promised = LogPosition::default();
        for _ in 0..60 {
            match below(&mut state, 20) {
                0..=7 => {
                    appended += 1;
                    append(&log, appended);
                }
                8..=10 => {
                    log.write().unwrap();
                    written = appended;
                }
                11 | 12 => {
                    log.sync().unwrap();
                    (written, synced) = (appended, appended);
                }
                13..=15 => log.prepare().unwrap(),
                16..=18 => {
                    log.rotate().unwrap();
                    written = appended;
                }
                _ if below(&mut state, 2) == 0 => promised = log.durable_position().unwrap(),
                _ => {
                    let survive = [0, 50, 100][usize::try_from(below(&mut state, 3)).unwrap()];
                    let killed = below(&mut state, 3) == 0;
                    if !killed {
                        memory = memory.crash_clone(state, survive);
                    }
                    drop(log);
                    let (indexes, tail) =
                        replay(&memory, promised).unwrap_or_else(|error| panic!("{seed}: {error}"));
                    let count = indexes.len() as u64;
                    assert!(indexes.iter().copied().eq(1..=count), "{seed}: {indexes:?}");
                    let least = if killed { written } else { synced };
                    assert!((least..=appended).contains(&count), "{seed}: {count} of {least} to {appended}");
                    (cuts, lost) = (cuts + 1, lost + u64::from(count < written));
                    sync_tail(&memory, Path::new(DIRECTORY), &tail).unwrap();
                    log = begin(Arc::new(memory.clone()), tail);
                    (appended, written, synced) = (count, count, count);
                }
            }
        }
    }
    assert!(cuts > 400 && lost > 50, "{cuts} {lost}");
}
