//! Chains of segments with holes, strangers and damaged heads; what a sync promises.

use std::sync::Mutex;

use super::*;
use crate::options::WalCompression;
use crate::poison::Poison;
use crate::timestamp::Timestamp;
use crate::vfs::{FaultVfs, MemoryVfs};
use crate::wal::compression::EncodedOperations;
use crate::wal::log::Log;
use crate::wal::record::{RecordHead, RecordKind};
use crate::write_batch::{Operation, WriteBatch};

const DIRECTORY: &str = "/log";
const IDENTITY: u128 = 7;

fn begin(vfs: &Arc<dyn Vfs>, tail: LogTail) -> Log {
    let poison = Arc::new(Poison::default());
    Log::begin(Arc::clone(vfs), Path::new(DIRECTORY), IDENTITY, None, tail, poison, LogRung::Plain).unwrap()
}

fn append(log: &Log, index: u64) {
    append_operation(log, index, Operation::Delete { key: &[1] }, WalCompression::None);
}

fn append_operation(log: &Log, index: u64, operation: Operation<'_>, compression: WalCompression) {
    let encoded = EncodedOperations::new(WriteBatch::from_iter([operation]).reduce(), compression);
    let (kind, timestamp, compressed) = (RecordKind::Batch, Timestamp(index), encoded.is_compressed());
    let head = RecordHead { kind, compressed, group: 0, term: 1, index, timestamp };
    log.append(&mut Vec::new(), &head, encoded.bytes()).unwrap();
}

/// Segments 1, 2 and 3, a record in each, all synced.
fn three_segments() -> (MemoryVfs, LogPosition) {
    let memory = MemoryVfs::new();
    memory.create_dir(Path::new(DIRECTORY)).unwrap();
    let vfs: Arc<dyn Vfs> = Arc::new(memory.clone());
    let log = begin(&vfs, LogTail { next_number: 1, ..LogTail::default() });
    append(&log, 1);
    log.rotate().unwrap();
    append(&log, 2);
    log.rotate().unwrap();
    append(&log, 3);
    log.sync().unwrap();
    (memory, log.durable_position().unwrap())
}

/// The indexes that a replay from segment `first` on gives.
fn replay(memory: &MemoryVfs, first: u64, promised: LogPosition) -> Result<Vec<u64>> {
    let mut indexes = Vec::new();
    let directory = Path::new(DIRECTORY);
    let replay =
        Replay { vfs: memory, directory, identity: IDENTITY, keys: None, first, promised, until: None };
    replay.run(|_, record| {
        indexes.push(record.head.index);
        Ok(())
    })?;
    Ok(indexes)
}

fn is_corruption_of<T: std::fmt::Debug>(result: Result<T>, number: u64) {
    let path = segment_path(Path::new(DIRECTORY), number);
    assert!(matches!(&result, Err(Error::Corruption { file, .. }) if *file == path), "{number}: {result:?}");
}

#[test]
fn a_promised_segment_that_is_missing_is_named() {
    let (memory, promised) = three_segments();
    assert_eq!(replay(&memory, 1, promised).unwrap(), [1, 2, 3]);
    assert_eq!(replay(&memory, 3, promised).unwrap(), [3]);
    memory.remove(&segment_path(Path::new(DIRECTORY), 3)).unwrap();
    assert_eq!(replay(&memory, 1, LogPosition::default()).unwrap(), [1, 2], "nobody knows of it");
    is_corruption_of(replay(&memory, 1, promised), 3);
}

#[test]
fn a_promise_within_the_last_segment_is_held() {
    let (memory, promised) = three_segments();
    let beyond = LogPosition { offset: promised.offset + 1, ..promised };
    is_corruption_of(replay(&memory, 1, beyond), 3);
}

#[test]
fn a_segment_that_the_next_does_not_continue_is_named() {
    let (memory, _) = three_segments();
    let vfs: Arc<dyn Vfs> = Arc::new(memory.clone());
    // As if somebody had opened the store without seeing segments 2 and 3.
    let end = memory.len(&segment_path(Path::new(DIRECTORY), 1)).unwrap();
    begin(&vfs, LogTail { number: 1, end, next_number: 4, ..LogTail::default() });
    let none = LogPosition::default();
    assert!(matches!(replay(&memory, 1, none), Err(Error::Corruption { .. })));
    // The same where nothing older is wanted than the segments that are left over.
    assert!(matches!(replay(&memory, 2, none), Err(Error::Corruption { .. })));
}

#[test]
fn a_damaged_head_before_records_is_no_segment_that_was_never_written() {
    let none = LogPosition::default();
    for number in [2, 3] {
        let (memory, _) = three_segments();
        let path = segment_path(Path::new(DIRECTORY), number);
        let mut bytes = memory.contents(&path).unwrap();
        bytes[20] ^= 1;
        memory.overwrite(&path, bytes.clone()).unwrap();
        is_corruption_of(replay(&memory, 1, none), number);
        // Without a record behind it, it may have been torn when it was begun.
        bytes.truncate(40);
        memory.overwrite(&path, bytes).unwrap();
        let found = replay(&memory, 1, none);
        if number == 3 {
            assert_eq!(found.unwrap(), [1, 2]);
        } else {
            assert!(matches!(found, Err(Error::Corruption { .. })), "segment 3 continues it");
        }
    }
}

#[test]
fn what_is_written_during_a_sync_is_not_promised_by_it() {
    let memory = MemoryVfs::new();
    memory.create_dir(Path::new(DIRECTORY)).unwrap();
    let faults = FaultVfs::new(Arc::new(memory));
    let vfs: Arc<dyn Vfs> = Arc::new(faults.clone());
    let log = Arc::new(begin(&vfs, LogTail { next_number: 1, ..LogTail::default() }));
    append(&log, 1);
    let at_sync = Arc::new(Mutex::new(None));
    let (of_hook, seen) = (Arc::clone(&log), Arc::clone(&at_sync));
    faults.set_hook(move |call| {
        let mut seen = seen.lock().unwrap();
        if call.operation == "sync" && seen.is_none() {
            *seen = Some(of_hook.position().1);
            drop(seen);
            append(&of_hook, 2);
            of_hook.write().unwrap();
        }
    });
    log.sync().unwrap();
    let at_sync = at_sync.lock().unwrap().unwrap();
    assert_eq!(log.durable_position().unwrap(), LogPosition { segment: 1, offset: at_sync });
    assert!(log.position().1 > at_sync);
    log.sync().unwrap();
    assert_eq!(log.durable_position().unwrap().offset, log.position().1);
    // The hook holds the log, and the log the file system that holds the hook.
    faults.set_hook(|_| {});
}

/// Segment 1 with two records, 2 in a file that was prepared, with a record that is written and not synced.
fn a_prepared_segment(vfs: Arc<dyn Vfs>) -> Log {
    vfs.create_dir(Path::new(DIRECTORY)).unwrap();
    vfs.sync_dir(Path::new("/")).unwrap();
    let log = begin(&vfs, LogTail { next_number: 1, ..LogTail::default() });
    append(&log, 1);
    log.prepare().unwrap();
    append(&log, 2);
    assert_eq!(log.rotate().unwrap(), 2);
    append(&log, 3);
    log.write().unwrap();
    log
}

#[test]
fn a_prepared_segment_is_torn_anywhere_and_nothing_synced_is_lost() {
    let none = LogPosition::default();
    let mut ends = [0; 2];
    for (seed, survive) in (0..200).flat_map(|seed| [0, 30, 60, 100].map(|survive| (seed, survive))) {
        let memory = MemoryVfs::new();
        let log = a_prepared_segment(Arc::new(memory.clone()));
        let found = replay(&memory.crash_clone(seed, survive), 1, none).unwrap();
        assert!(found == [1, 2] || found == [1, 2, 3], "{found:?}");
        ends[found.len() - 2] += 1;
        // The head becomes durable with the record.
        append(&log, 4);
        let (promised, clone) = if seed % 2 == 0 {
            log.sync().unwrap();
            (none, memory.crash_clone(seed, survive))
        } else {
            (log.durable_position().unwrap(), memory.crash_clone(seed, survive))
        };
        assert_eq!(replay(&clone, 1, promised).unwrap(), [1, 2, 3, 4]);
        // What is said to be durable may be the beginning.
        assert_eq!(replay(&clone, 2, promised).unwrap(), [3, 4]);
        // Once a chunk promises it, a damaged head is damage.
        append(&log, 5);
        log.write().unwrap();
        let path = segment_path(Path::new(DIRECTORY), 2);
        let mut bytes = memory.contents(&path).unwrap();
        bytes[20] ^= 1;
        memory.overwrite(&path, bytes).unwrap();
        is_corruption_of(replay(&memory, 1, none), 2);
    }
    assert!(ends.iter().all(|&count| count > 100), "{ends:?}");
}

#[test]
fn a_prepared_segment_that_was_never_begun_is_no_part_of_the_log() {
    let memory = MemoryVfs::new();
    let vfs: Arc<dyn Vfs> = Arc::new(memory.clone());
    let log = a_prepared_segment(Arc::clone(&vfs));
    log.prepare().unwrap();
    log.prepare().unwrap();
    log.sync().unwrap();
    drop(log);
    let (first, directory) = (1, Path::new(DIRECTORY));
    let again = Replay {
        vfs: &memory,
        directory,
        identity: IDENTITY,
        keys: None,
        first,
        promised: LogPosition::default(),
        until: None,
    };
    let tail = again.run(|_, _| Ok(())).unwrap();
    assert_eq!((tail.number, tail.next_number, tail.segments.as_slice()), (2, 4, [1, 2, 3].as_slice()));
    let log = begin(&vfs, tail);
    append(&log, 4);
    log.sync().unwrap();
    assert_eq!(replay(&memory, 1, LogPosition::default()).unwrap(), [1, 2, 3, 4]);
}

#[test]
fn who_goes_on_to_the_next_segment_waits_for_its_file() {
    let faults = FaultVfs::new(Arc::new(MemoryVfs::new()));
    let log = Arc::new(a_prepared_segment(Arc::new(faults.clone())));
    let rotating = Mutex::new(None);
    let (rotating, of_hook) = (Arc::new(rotating), Arc::downgrade(&log));
    let started = Arc::clone(&rotating);
    faults.set_hook(move |call| {
        let mut started = started.lock().unwrap();
        if call.operation == "syncdir" && started.is_none() {
            let log = of_hook.upgrade().unwrap();
            let (told, done) = std::sync::mpsc::channel();
            let thread = std::thread::spawn(move || {
                let rotated = log.rotate();
                // Nobody listens any more, as it should be.
                let _late = told.send(());
                rotated
            });
            // Long enough for one that does not wait.
            let early = done.recv_timeout(std::time::Duration::from_millis(100));
            *started = Some((thread, early.is_ok()));
        }
    });
    log.prepare().unwrap();
    let (thread, early) = rotating.lock().unwrap().take().unwrap();
    assert_eq!(thread.join().unwrap().unwrap(), 3);
    assert!(!early, "it did not wait");
}

#[test]
fn going_on_to_a_prepared_segment_takes_one_sync() {
    let faults = FaultVfs::new(Arc::new(MemoryVfs::new()));
    let log = a_prepared_segment(Arc::new(faults.clone()));
    log.sync().unwrap();
    let calls = Arc::new(Mutex::new(Vec::new()));
    let of_hook = Arc::clone(&calls);
    faults.set_hook(move |call| of_hook.lock().unwrap().push(call.operation.to_owned()));
    append(&log, 4);
    log.rotate().unwrap();
    let unprepared = std::mem::take(&mut *calls.lock().unwrap());
    log.prepare().unwrap();
    append(&log, 5);
    calls.lock().unwrap().clear();
    log.rotate().unwrap();
    let syncs = |calls: &[String]| calls.iter().filter(|call| call.starts_with("sync")).count();
    assert_eq!((syncs(&unprepared), syncs(&calls.lock().unwrap())), (3, 1));
}

#[test]
fn compressed_records_belong_in_segments_that_say_so() {
    let memory = MemoryVfs::new();
    memory.create_dir(Path::new(DIRECTORY)).unwrap();
    let vfs: Arc<dyn Vfs> = Arc::new(memory.clone());
    let log = begin(&vfs, LogTail { next_number: 1, ..LogTail::default() });
    let large = Operation::Put { key: &[1], value: &[2; 20_000] };
    append_operation(&log, 1, large, WalCompression::None);
    let plain = log.position().1;
    assert!(!log.may_compress());
    log.raise().unwrap();
    log.raise().unwrap();
    assert!(log.may_compress());
    assert_eq!(log.segments(), [1, 2], "a new segment, once");
    append_operation(&log, 2, large, WalCompression::default());
    assert!(log.position().1 * 10 < plain);
    log.rotate().unwrap();
    append_operation(&log, 3, large, WalCompression::default());
    log.sync().unwrap();
    assert_eq!(replay(&memory, 1, log.durable_position().unwrap()).unwrap(), [1, 2, 3]);

    // Where the head does not say so, it is a record that no build has written there.
    let log = begin(&vfs, LogTail { number: 3, end: log.position().1, next_number: 4, ..LogTail::default() });
    append_operation(&log, 4, large, WalCompression::default());
    log.sync().unwrap();
    let outcome = replay(&memory, 1, LogPosition::default());
    assert!(matches!(&outcome, Err(Error::Corruption { offset: 64, .. })), "{outcome:?}");
    is_corruption_of(outcome, 4);
}

#[test]
fn a_record_that_does_not_decompress_is_corruption_with_its_place() {
    let memory = MemoryVfs::new();
    memory.create_dir(Path::new(DIRECTORY)).unwrap();
    let vfs: Arc<dyn Vfs> = Arc::new(memory.clone());
    let log = begin(&vfs, LogTail { next_number: 1, ..LogTail::default() });
    log.raise().unwrap();
    append(&log, 1);
    let at = log.position().1;
    let head = RecordHead {
        kind: RecordKind::Batch,
        compressed: true,
        group: 0,
        term: 1,
        index: 2,
        timestamp: Timestamp(2),
    };
    // It claims 512 MiB, of nine bytes.
    let mut hostile = Vec::new();
    crate::coding::put_varint(&mut hostile, 512 << 20);
    hostile.extend_from_slice(&[0x1f, 0, 1, 0, 255, 255, 255, 255, 0]);
    log.append(&mut Vec::new(), &head, &hostile).unwrap();
    log.sync().unwrap();
    let outcome = replay(&memory, 1, LogPosition::default());
    assert!(matches!(&outcome, Err(Error::Corruption { offset, .. }) if *offset == at), "{outcome:?}");
    is_corruption_of(outcome, 2);
}

/// A log of one record over a disk whose next sync of a segment calls `during` first.
fn log_with_sync(
    rule: Option<&str>,
    during: impl Fn(&Arc<Log>) + Send + Sync + 'static,
) -> (Arc<Poison>, Arc<Log>) {
    let memory = MemoryVfs::new();
    memory.create_dir(Path::new(DIRECTORY)).unwrap();
    let faults = FaultVfs::new(Arc::new(memory));
    let vfs: Arc<dyn Vfs> = Arc::new(faults.clone());
    let (tail, poison) = (LogTail { next_number: 1, ..LogTail::default() }, Arc::new(Poison::default()));
    let log =
        Log::begin(vfs, Path::new(DIRECTORY), IDENTITY, None, tail, Arc::clone(&poison), LogRung::Plain)
            .unwrap();
    let log = Arc::new(log);
    append(&log, 1);
    rule.into_iter().for_each(|rule| faults.add_rule(rule).unwrap());
    let (of_hook, once) = (Arc::downgrade(&log), Mutex::new(true));
    faults.set_hook(move |call| {
        if call.operation == "sync" && std::mem::take(&mut *once.lock().unwrap()) {
            during(&of_hook.upgrade().unwrap());
        }
    });
    (poison, log)
}

/// Threads that sync a record of their own.
type Syncs = Arc<Mutex<Vec<std::thread::JoinHandle<Result<()>>>>>;

/// Appends a record, and syncs it by another thread, which finds somebody syncing.
fn sync_meanwhile(log: &Arc<Log>, syncs: &Syncs) {
    append(log, 2);
    let log = Arc::clone(log);
    syncs.lock().unwrap().push(std::thread::spawn(move || log.sync()));
    // It is to wait by now; should it come later, what it gets is the same.
    std::thread::park_timeout(std::time::Duration::from_millis(50));
}

/// What the thread that began last got, which is to come soon.
fn outcome(syncs: &Syncs) -> Result<()> {
    let other = syncs.lock().unwrap().pop().unwrap();
    for _ in 0..2_000 {
        if other.is_finished() {
            return other.join().unwrap();
        }
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
    panic!("it waits for ever");
}

#[test]
fn who_waits_for_a_sync_that_fails_does_not_try_another() {
    // The system may have forgotten by then what it could not write, and report success.
    let syncs = Syncs::default();
    let of_hook = Arc::clone(&syncs);
    let (poison, log) = log_with_sync(Some("fail sync *.wal once"), move |log| sync_meanwhile(log, &of_hook));
    assert!(matches!(log.sync(), Err(Error::Io { .. })));
    assert!(matches!(outcome(&syncs), Err(Error::Poisoned(_))));
    assert!(poison.check().is_err());
    assert_eq!(log.durable_position().unwrap(), LogPosition { segment: 1, offset: 64 });
}

#[test]
fn who_comes_during_a_sync_is_woken_and_syncs_what_that_one_did_not() {
    let syncs = Syncs::default();
    let of_hook = Arc::clone(&syncs);
    let (_, log) = log_with_sync(None, move |log| sync_meanwhile(log, &of_hook));
    log.sync().unwrap();
    outcome(&syncs).unwrap();
    assert_eq!(log.statistics().syncs, 2);
    assert_eq!(log.durable_position().unwrap().offset, log.position().1);
}

/// Begins the next segment by another thread, which finds somebody syncing.
fn rotate_meanwhile(log: &Arc<Log>, others: &Syncs) {
    let log = Arc::clone(log);
    others.lock().unwrap().push(std::thread::spawn(move || log.rotate().map(drop)));
    std::thread::park_timeout(std::time::Duration::from_millis(50));
}

#[test]
fn a_segment_does_not_end_well_beside_a_sync_that_fails() {
    // The system tells one of two that sync a file at once, and the other not.
    let others = Syncs::default();
    let of_hook = Arc::clone(&others);
    let (poison, log) = log_with_sync(Some("fail sync *.wal once"), move |log| {
        sync_meanwhile(log, &of_hook);
        rotate_meanwhile(log, &of_hook);
    });
    assert!(matches!(log.sync(), Err(Error::Io { .. })));
    assert!(matches!(outcome(&others), Err(Error::Poisoned(_))), "it went on to the next segment");
    assert!(matches!(outcome(&others), Err(Error::Poisoned(_))), "it was told that its record is durable");
    assert!(poison.check().is_err());
    assert_eq!(log.position().0, 1);
}

#[test]
fn a_sync_of_the_segment_before_says_nothing_of_the_next() {
    let others = Syncs::default();
    let of_hook = Arc::clone(&others);
    let (_, log) = log_with_sync(None, move |log| {
        (3..50).for_each(|index| append(log, index));
        rotate_meanwhile(log, &of_hook);
        sync_meanwhile(log, &of_hook);
    });
    log.sync().unwrap();
    outcome(&others).unwrap();
    outcome(&others).unwrap();
    assert_eq!(log.position().0, 2);
    append(&log, 51);
    assert!(log.durable_position().unwrap().offset < log.position().1, "nobody has synced it");
    log.sync().unwrap();
    assert_eq!(log.durable_position().unwrap(), LogPosition { segment: 2, offset: log.position().1 });
}

#[test]
fn a_segment_ends_at_its_last_record_and_not_at_the_room_reserved() {
    let memory = MemoryVfs::new();
    memory.create_dir(Path::new(DIRECTORY)).unwrap();
    let vfs: Arc<dyn Vfs> = Arc::new(memory.clone());
    let log = begin(&vfs, LogTail { next_number: 1, ..LogTail::default() });
    append(&log, 1);
    log.sync().unwrap();
    assert!(
        memory.len(&segment_path(Path::new(DIRECTORY), 1)).unwrap() > log.position().1,
        "room is reserved"
    );
    log.rotate().unwrap();
    append(&log, 2);
    log.sync().unwrap();
    assert_eq!(replay(&memory, 1, log.durable_position().unwrap()).unwrap(), [1, 2]);
}

#[test]
fn records_that_are_not_written_yet_count_for_the_length_of_a_segment() {
    let memory = MemoryVfs::new();
    memory.create_dir(Path::new(DIRECTORY)).unwrap();
    let vfs: Arc<dyn Vfs> = Arc::new(memory);
    let log = begin(&vfs, LogTail { next_number: 1, ..LogTail::default() });
    append(&log, 1);
    let length = log.position().1;
    assert_eq!(log.rotate_past(length + 1).unwrap(), 1);
    assert_eq!(log.rotate_past(length).unwrap(), 2);
}

#[test]
fn a_segment_that_cannot_be_removed_is_tried_again_and_one_begun_meanwhile_is_not_forgotten() {
    let memory = MemoryVfs::new();
    memory.create_dir(Path::new(DIRECTORY)).unwrap();
    let faults = FaultVfs::new(Arc::new(memory.clone()));
    let vfs: Arc<dyn Vfs> = Arc::new(faults.clone());
    let log = Arc::new(begin(&vfs, LogTail { next_number: 1, ..LogTail::default() }));
    log.rotate().unwrap();
    log.rotate().unwrap();
    faults.add_rule("fail remove 0000000001.wal once").unwrap();
    let (of_hook, once) = (Arc::downgrade(&log), Mutex::new(true));
    faults.set_hook(move |call| {
        if call.operation == "remove" && std::mem::take(&mut *once.lock().unwrap()) {
            of_hook.upgrade().unwrap().rotate().unwrap();
        }
    });
    assert!(matches!(log.remove_before(3), Err(Error::Io { .. })));
    assert_eq!(log.segments(), [1, 3, 4]);
    log.remove_before(4).unwrap();
    assert_eq!(log.segments(), [4]);
    assert_eq!(memory.files().len(), 1);
}

#[test]
fn a_segment_under_another_ones_name_is_corruption() {
    for (from, to) in [(2, 3), (1, 3), (1, 2)] {
        let (memory, _) = three_segments();
        let path = |number| segment_path(Path::new(DIRECTORY), number);
        let bytes = memory.contents(&path(from)).unwrap();
        memory.overwrite(&path(to), bytes).unwrap();
        is_corruption_of(replay(&memory, 1, LogPosition::default()), to);
    }
}

/// A log of one record, which is durable, over a disk that can be told to fail.
fn one_synced_record() -> (MemoryVfs, FaultVfs, Arc<Poison>, Arc<Log>) {
    let memory = MemoryVfs::new();
    memory.create_dir(Path::new(DIRECTORY)).unwrap();
    memory.sync_dir(Path::new("/")).unwrap();
    let faults = FaultVfs::new(Arc::new(memory.clone()));
    let vfs: Arc<dyn Vfs> = Arc::new(faults.clone());
    let (tail, poison) = (LogTail { next_number: 1, ..LogTail::default() }, Arc::new(Poison::default()));
    let log =
        Log::begin(vfs, Path::new(DIRECTORY), IDENTITY, None, tail, Arc::clone(&poison), LogRung::Plain);
    let log = Arc::new(log.unwrap());
    append(&log, 1);
    log.sync().unwrap();
    (memory, faults, poison, log)
}

#[test]
fn a_preparation_that_fails_holds_up_nobody_and_stops_who_must_be() {
    for (rule, stops) in [("fail create 0000000002.wal errno 24 once", false), ("fail syncdir once", true)] {
        let (memory, faults, poison, log) = one_synced_record();
        faults.add_rule(rule).unwrap();
        let prepared = log.prepare();
        assert_eq!((prepared.is_err(), poison.check().is_err()), (stops, stops), "{rule}: {prepared:?}");
        let syncs = Syncs::default();
        rotate_meanwhile(&log, &syncs);
        let rotated = outcome(&syncs);
        assert_eq!(matches!(rotated, Err(Error::Poisoned(_))), stops, "{rule}: {rotated:?}");
        if !stops {
            // Once is enough, and it is the next one.
            log.prepare().unwrap();
            log.prepare().unwrap();
            assert_eq!(memory.files().len(), 3);
            assert_eq!((log.segments(), log.rotate().unwrap()), (vec![1, 2], 3));
            assert_eq!(memory.files().len(), 3);
        }
    }
}

#[test]
fn a_segment_in_which_records_may_be_compressed_that_cannot_be_begun_changes_nothing() {
    let memory = MemoryVfs::new();
    memory.create_dir(Path::new(DIRECTORY)).unwrap();
    let faults = FaultVfs::new(Arc::new(memory.clone()));
    let vfs: Arc<dyn Vfs> = Arc::new(faults.clone());
    let log = begin(&vfs, LogTail { next_number: 1, ..LogTail::default() });
    append(&log, 1);
    faults.add_rule("fail create *.wal errno 24 once").unwrap();
    assert!(matches!(log.raise(), Err(Error::TooManyOpenFiles { .. })));
    assert!(!log.may_compress(), "the open segment does not say so");
    append(&log, 2);
    log.raise().unwrap();
    assert!(log.may_compress());
    log.sync().unwrap();
    // And what begins a file and does not end well stops writes.
    faults.add_rule("fail sync *.wal once").unwrap();
    append(&log, 3);
    assert!(log.rotate().is_err());
    assert!(matches!(log.sync(), Err(Error::Poisoned(_))));
    assert!(matches!(log.raise(), Err(Error::Poisoned(_))));
    assert_eq!(replay(&memory, 1, LogPosition::default()).unwrap()[..2], [1, 2]);
}

/// A log whose first record is synced, with room behind it, and whose second is to be handed over by the sync that comes, during
/// which `during` happens once.
fn log_with_room(
    rule: Option<&str>,
    during: impl Fn(&Arc<Log>) + Send + Sync + 'static,
) -> (MemoryVfs, Arc<Poison>, Arc<Log>) {
    let (memory, faults, poison, log) = one_synced_record();
    append(&log, 2);
    rule.into_iter().for_each(|rule| faults.add_rule(rule).unwrap());
    let (of_hook, once) = (Arc::downgrade(&log), Mutex::new(true));
    faults.set_hook(move |call| {
        if call.operation == "write" && std::mem::take(&mut *once.lock().unwrap()) {
            during(&of_hook.upgrade().unwrap());
        }
    });
    (memory, poison, log)
}

/// Appends a record, and writes it by another thread, which is to wait for what is handed over now.
fn write_meanwhile(log: &Arc<Log>, others: &Syncs) {
    append(log, 3);
    assert_eq!(log.statistics().writes, 1, "the second record is under way");
    let log = Arc::clone(log);
    others.lock().unwrap().push(std::thread::spawn(move || log.write()));
    std::thread::park_timeout(std::time::Duration::from_millis(50));
    assert!(!others.lock().unwrap()[0].is_finished(), "it wrote where the other writes");
}

#[test]
fn nothing_is_written_behind_what_a_sync_hands_over_until_that_is_there() {
    let others = Syncs::default();
    let of_hook = Arc::clone(&others);
    let (memory, _, log) = log_with_room(None, move |log| write_meanwhile(log, &of_hook));
    let end_of_second = log.position().1;
    log.sync().unwrap();
    outcome(&others).unwrap();
    assert_eq!(log.durable_position().unwrap().offset, end_of_second, "the third is not promised");
    let statistics = log.statistics();
    assert_eq!((statistics.writes, statistics.syncs), (3, 2));
    assert_eq!(statistics.written_bytes + 64, log.position().1);
    assert_eq!(replay(&memory, 1, LogPosition::default()).unwrap(), [1, 2, 3]);
    for survive in [0, 50, 100] {
        let found = replay(&memory.crash_clone(7, survive), 1, log.synced_position()).unwrap();
        assert!(found.starts_with(&[1, 2]), "{found:?}");
    }
}

#[test]
fn what_could_not_be_handed_over_is_not_promised_and_nobody_writes_behind_it() {
    for rule in ["fail write *.wal once", "tear write *.wal once", "fail sync *.wal once"] {
        let others = Syncs::default();
        let of_hook = Arc::clone(&others);
        let (memory, poison, log) = log_with_room(Some(rule), move |log| write_meanwhile(log, &of_hook));
        let promised = log.synced_position();
        assert!(matches!(log.sync(), Err(Error::Io { .. })), "{rule}");
        assert!(matches!(outcome(&others), Err(Error::Poisoned(_))), "{rule}");
        assert!(poison.check().is_err() && log.rotate().is_err() && log.write().is_err());
        assert_eq!(log.synced_position(), promised);
        let found = replay(&memory.crash_clone(7, 100), 1, promised).unwrap();
        assert!(found == [1] || found == [1, 2], "{rule}: {found:?}");
    }
}

#[test]
fn a_segment_ends_behind_what_a_sync_hands_over() {
    let others = Syncs::default();
    let of_hook = Arc::clone(&others);
    let (memory, _, log) = log_with_room(None, move |log| {
        append(log, 3);
        rotate_meanwhile(log, &of_hook);
    });
    log.sync().unwrap();
    outcome(&others).unwrap();
    append(&log, 4);
    log.sync().unwrap();
    let promised = log.durable_position().unwrap();
    assert_eq!(promised.segment, 2);
    assert_eq!(replay(&memory.crash_clone(7, 0), 1, promised).unwrap(), [1, 2, 3, 4]);
}

#[test]
fn a_log_on_a_real_disk_has_all_that_was_synced_from_many_threads() {
    const THREADS: u64 = 4;
    const RECORDS: u64 = 60;
    let directory = tempfile::tempdir().unwrap();
    let vfs: Arc<dyn Vfs> = Arc::new(crate::vfs::DiskVfs);
    let (tail, poison) = (LogTail { next_number: 1, ..LogTail::default() }, Arc::default());
    let log =
        Log::begin(Arc::clone(&vfs), directory.path(), IDENTITY, None, tail, poison, LogRung::Plain).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let log = &log;
            scope.spawn(move || {
                for record in 0..RECORDS {
                    let key = vec![1; usize::try_from(thread * 700 + record * 3).unwrap()];
                    let index = thread * RECORDS + record;
                    append_operation(log, index, Operation::Delete { key: &key }, WalCompression::None);
                    match record % 10 {
                        9 => log.write().unwrap(),
                        _ => log.sync().unwrap(),
                    }
                    if index == RECORDS / 2 {
                        log.rotate().unwrap();
                    }
                }
            });
        }
    });
    log.sync().unwrap();
    let mut indexes = Vec::new();
    let promised = log.durable_position().unwrap();
    let (directory, until) = (directory.path(), None);
    let replay = Replay { vfs: &*vfs, directory, identity: IDENTITY, keys: None, first: 1, promised, until };
    replay
        .run(|_, record| {
            indexes.push(record.head.index);
            Ok(())
        })
        .unwrap();
    indexes.sort_unstable();
    assert_eq!(indexes, (0..THREADS * RECORDS).collect::<Vec<_>>());
}

#[test]
fn records_are_not_compressed_from_a_sync_on_that_fails() {
    let others = Syncs::default();
    let of_hook = Arc::clone(&others);
    let (poison, log) = log_with_sync(Some("fail sync *.wal once"), move |log| {
        let log = Arc::clone(log);
        of_hook.lock().unwrap().push(std::thread::spawn(move || log.raise()));
        std::thread::park_timeout(std::time::Duration::from_millis(50));
    });
    assert!(matches!(log.sync(), Err(Error::Io { .. })));
    assert!(matches!(outcome(&others), Err(Error::Poisoned(_))), "it went on to the next segment");
    assert!(poison.check().is_err() && !log.may_compress());
    assert_eq!(log.position().0, 1);
}
