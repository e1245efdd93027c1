//! A log shared by threads, in many random schedules: see `store_schedules.rs`, whose file system it uses.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;

use shuttle::rand::{Rng, thread_rng};
use shuttle::thread;

use crate::error::Result;
use crate::poison::Poison;
use crate::store::schedules::{NEVER, Yielding, explore};
use crate::timestamp::Timestamp;
use crate::vfs::Vfs;
use crate::wal::header::LogRung;
use crate::wal::log::{Log, LogPosition, LogTail};
use crate::wal::record::{RecordHead, RecordKind};
use crate::wal::recovery::Replay;

/// Appends a record; where it ends at the least.
fn append(log: &Log, index: u64) -> LogPosition {
    let (kind, timestamp) = (RecordKind::Batch, Timestamp(index));
    let head = RecordHead { kind, compressed: false, group: 0, term: 1, index, timestamp };
    let begin = log.append(&mut Vec::new(), &head, &[0]).unwrap();
    LogPosition { offset: begin.offset + 1, ..begin }
}

/// What a thread does with the log.
type Act = fn(&Log) -> Result<()>;

/// Threads that sync, go on to the next segment, make it ready, and let records be compressed.
fn share_a_log(vfs: &Yielding, acts: &[Act]) -> (Arc<Log>, Vec<Result<()>>) {
    vfs.memory.create_dir(Path::new("/log")).unwrap();
    let (shared, poison) = (Arc::new(vfs.clone()), Arc::new(Poison::default()));
    let tail = LogTail { next_number: 1, ..LogTail::default() };
    let rung = [LogRung::Compressed, LogRung::Early][thread_rng().gen_range(0..2)];
    let log = Log::begin(shared, Path::new("/log"), 7, None, tail, Arc::clone(&poison), rung).unwrap();
    let log = Arc::new(log);
    let start = |act: &Act| {
        let (log, act) = (Arc::clone(&log), *act);
        thread::spawn(move || act(&log))
    };
    let threads: Vec<_> = acts.iter().map(start).collect();
    let results: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    let failed = results.iter().any(Result::is_err);
    assert_eq!(failed, poison.check().is_err(), "{results:?}");
    (log, results)
}

/// What is acknowledged is known to be on disk.
fn sync_own(log: &Log) -> Result<()> {
    let end = append(log, 1);
    log.sync()?;
    assert!(log.synced_position() >= end, "{end:?} is not synced: {:?}", log.synced_position());
    Ok(())
}

const ACTS: [Act; 5] = [
    sync_own,
    sync_own,
    |log| log.rotate().map(drop),
    |log| {
        log.prepare()?;
        log.rotate_past(1).map(drop)
    },
    |log| log.raise(),
];

#[test]
fn who_shares_a_log_waits_for_nobody_for_ever() {
    explore("syncs, preparations and rotations of a log", || {
        let (log, results) = share_a_log(&Yielding::new(NEVER), &ACTS);
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        assert!(log.may_compress() && log.position().0 >= 3);
    });
}

#[test]
fn nobody_syncs_again_what_could_not_be_synced() {
    explore("a log one of whose syncs fails", || {
        // The first is of the first head.
        let vfs = Yielding::failing("wal", thread_rng().gen_range(1..6));
        let first = thread_rng().gen_range(0..3);
        share_a_log(&vfs, &ACTS[first..]);
    });
}

thread_local! {
    /// Where records begin, by index from 1 on. The threads of a schedule are one of the system's.
    static PLACES: RefCell<Vec<LogPosition>> = const { RefCell::new(Vec::new()) };
}

/// Appends a record and notes where.
fn append_noted(log: &Log) -> LogPosition {
    let index = PLACES.with_borrow_mut(|places| {
        places.push(LogPosition::default());
        places.len()
    });
    let end = append(log, index as u64);
    PLACES.with_borrow_mut(|places| places[index - 1] = LogPosition { offset: end.offset - 1, ..end });
    end
}

/// Twice, so that the second finds room reserved and hands its record over outside of the lock.
fn sync_two(log: &Log) -> Result<()> {
    for _ in 0..2 {
        let end = append_noted(log);
        log.sync()?;
        assert!(log.synced_position() >= end);
    }
    Ok(())
}

fn write_own(log: &Log) -> Result<()> {
    append_noted(log);
    log.write()
}

#[test]
fn who_writes_beside_syncs_writes_behind_what_they_hand_over() {
    const ACTS: [Act; 6] =
        [sync_two, sync_two, write_own, write_own, Log::prepare, |log| log.rotate().map(drop)];
    explore("writes beside syncs of a log", || {
        PLACES.with_borrow_mut(Vec::clear);
        let vfs = Yielding::new(NEVER);
        let (log, results) = share_a_log(&vfs, &ACTS);
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        log.sync().unwrap();
        let (directory, promised, mut found) =
            (Path::new("/log"), log.durable_position().unwrap(), Vec::new());
        let memory = &vfs.memory;
        let replay =
            Replay { vfs: memory, directory, identity: 7, keys: None, first: 1, promised, until: None };
        let replayed = replay.run(|place, record| {
            found.push((record.head.index, place));
            Ok(())
        });
        replayed.unwrap();
        found.sort_unstable();
        let noted = PLACES.with_borrow(|places| (1..).zip(places.iter().copied()).collect::<Vec<_>>());
        assert_eq!((found.len(), found), (6, noted));
    });
}
