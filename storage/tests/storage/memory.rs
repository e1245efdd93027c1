//! One memory budget: what the report says is what the process takes, and nobody passes the budget.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use sheaf_storage::{
    BackgroundWork, DiskVfs, Durability, Error, Isolation, IterOptions, Locking, Snapshot, Store,
    StoreOptions, TransactionOptions, ValueSlice, Vfs, WalCompression, WriteBatch,
};

use crate::fixture::{Dice, comes_true, memory, open, small_options};
use crate::model::{backward, forward, random_batch};

/// Where the child's store is; unset in an ordinary run.
const CHILD_DIRECTORY: &str = "SHEAF_MEMORY_DIRECTORY";
const VALUES: u64 = 60_000;

/// Anonymous memory of this process, in bytes: code and page cache do not count.
fn process_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

fn child_options() -> StoreOptions {
    StoreOptions {
        durability: Durability::Async,
        cache_bytes: 32 << 20,
        memtable_bytes: 12 << 20,
        memory_bytes: Some(96 << 20),
        ..StoreOptions::default()
    }
}

fn key(number: u64) -> Vec<u8> {
    format!("k{:08}", number * 7_919 % VALUES).into_bytes()
}

fn write(store: &Store, numbers: std::ops::Range<u64>) {
    for start in numbers.clone().step_by(100) {
        let mut batch = WriteBatch::new();
        for number in start..(start + 100).min(numbers.end) {
            batch.put(key(number), number.to_le_bytes().repeat(125));
        }
        store.tablet().commit(batch, None).unwrap();
    }
}

/// The child: loads the store in its first life, measures in its second, when the heap is not full of what compaction
/// left behind.
#[test]
fn memory_child() {
    let Some(directory) = std::env::var_os(CHILD_DIRECTORY) else { return };
    let directory = Path::new(&directory);
    let before = process_bytes();
    let loaded = directory.join("STORE").exists();
    let store = Store::open(Arc::new(DiskVfs), directory, child_options()).unwrap();
    if !loaded {
        write(&store, 0..VALUES);
        store.tablet().compact_all().unwrap();
        store.close().unwrap();
        return;
    }
    let snapshot = store.tablet().snapshot();
    for number in 0..VALUES {
        assert!(snapshot.get(&key(number)).unwrap().is_some());
    }
    write(&store, 0..8_000);
    let held: Vec<ValueSlice> =
        (0..2_000).map(|number| snapshot.get(&key(number * 30)).unwrap().unwrap()).collect();
    let report = store.tablet().memory_report();
    let process = process_bytes() - before;
    println!("report {} process {process} {report:?}", report.total_bytes());
    assert!(report.cache_bytes > 10 << 20 && report.active_memtable_bytes > 6 << 20, "{report:?}");
    assert!(report.held_block_bytes > 1 << 20, "{report:?}");
    assert!(report.total_bytes() <= report.budget_bytes, "{report:?}");
    let difference = report.total_bytes().abs_diff(process);
    assert!(
        difference * 10 <= process,
        "the report says {}, the process has {process}: {report:?}",
        report.total_bytes()
    );
    drop(held);
}

#[test]
#[cfg(target_os = "linux")]
fn the_report_adds_up_to_the_process() {
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        // What the allocator keeps for itself is not the store's: one arena, and large pieces go back at once.
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "memory::memory_child", "--nocapture", "--test-threads=1"])
            .env(CHILD_DIRECTORY, directory.path().join("store"))
            .envs([
                ("MALLOC_ARENA_MAX", "1"),
                ("MALLOC_TRIM_THRESHOLD_", "131072"),
                ("MALLOC_MMAP_THRESHOLD_", "131072"),
            ])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        println!("{text}");
        assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// As small as a budget can be, with values large enough that readers hold whole blocks.
fn tight_options() -> StoreOptions {
    StoreOptions {
        cache_bytes: 64 << 10,
        memory_bytes: Some(256 << 10),
        table_bytes_target: 32 << 10,
        level_base_bytes: 64 << 10,
        index_part_bytes: 32 << 10,
        // Every block costs its table a slot and a separator, which in blocks of 256 bytes are a tenth of this budget.
        block_bytes_upper: 512,
        ..small_options()
    }
}

#[test]
fn nothing_passes_the_budget() {
    for background in [BackgroundWork::Inline, BackgroundWork::Threads] {
        let (_, vfs) = memory();
        let options = StoreOptions { background, ..tight_options() };
        let store = open(&vfs, options).unwrap();
        let tablet = store.tablet();
        let mut dice = Dice::new(21);
        let mut snapshots = Vec::new();
        for step in 0..600 {
            let batch = random_batch(&mut dice, 300);
            match tablet.commit(batch.clone(), Some(Durability::Async)) {
                // Old iterators hold memtables that were flushed long ago.
                Err(Error::MemoryExceeded(_)) if !snapshots.is_empty() => {
                    snapshots.clear();
                    tablet.commit(batch, Some(Durability::Async)).unwrap();
                }
                committed => drop(committed.unwrap()),
            }
            let snapshot = tablet.snapshot();
            let first = |snapshot: &Snapshot| {
                let mut iter = snapshot.iter(IterOptions::default())?;
                iter.seek_to_first().map(|_| iter)
            };
            let iter = first(&snapshot).or_else(|error| {
                // Behind a writer, memtables that wait for their flush may take all there is; a read does not wait.
                let may_be = !snapshots.is_empty() || background == BackgroundWork::Threads;
                assert!(matches!(error, Error::MemoryExceeded(_)) && may_be, "{error}");
                snapshots.clear();
                tablet.flush().unwrap();
                first(&snapshot)
            });
            if step % 50 == 0 {
                snapshots.push((snapshot, iter.unwrap()));
            }
            if snapshots.len() > 4 {
                snapshots.remove(0);
            }
            let within = || {
                let report = tablet.memory_report();
                report.total_bytes() <= report.budget_bytes
            };
            // Between a flush's edit and its account the new files are known and the memtables not gone.
            let settled = if background == BackgroundWork::Threads { comes_true(within) } else { within() };
            assert!(settled, "step {step}: {:?}", tablet.memory_report());
        }
    }
}

#[test]
fn files_that_go_take_their_blocks_and_values_out_of_the_cache() {
    let (_, vfs) = memory();
    let store = open(&vfs, StoreOptions { cache_bytes: 16 << 20, ..small_options() }).unwrap();
    let tablet = store.tablet();
    // Of this keyspace large values go into blob files.
    let key = |number: u64| [&b"d"[..], &key(number)].concat();
    let write = |value_bytes: usize| {
        for number in 0..300 {
            let mut batch = WriteBatch::new();
            batch.put(key(number), vec![7; value_bytes]);
            tablet.commit(batch, None).unwrap();
        }
        tablet.flush().unwrap();
    };
    let read_all = || {
        for number in 0..300 {
            assert!(tablet.get(&key(number)).unwrap().is_some());
        }
    };
    for value_bytes in [40, 600] {
        write(value_bytes);
        read_all();
        assert!(tablet.statistics().cache.items > 10);
        write(30);
        tablet.compact_all().unwrap();
        let left = tablet.statistics().cache;
        assert_eq!((left.items, left.used_bytes), (0, 0), "of {value_bytes}: {left:?}");
    }
}

#[test]
fn a_batch_that_can_not_fit_is_refused_and_nothing_is_lost() {
    let (_, vfs) = memory();
    let store = open(&vfs, tight_options()).unwrap();
    let tablet = store.tablet();
    let mut batch = WriteBatch::new();
    batch.put("a", "1");
    tablet.commit(batch.clone(), None).unwrap();
    batch.put("b", vec![7; 300 << 10]);
    assert!(matches!(tablet.commit(batch, None), Err(Error::MemoryExceeded(_))));
    let mut waits = WriteBatch::new();
    waits.put("c", vec![7; 230 << 10]);
    assert!(matches!(tablet.commit(waits, None), Err(Error::MemoryExceeded(_))), "no flush would make room");
    assert_eq!(tablet.get(b"a").unwrap().as_deref(), Some(&b"1"[..]));
    assert_eq!(tablet.get(b"b").unwrap(), None);
    let mut fits = WriteBatch::new();
    fits.put("c", vec![7; 20 << 10]);
    tablet.commit(fits, None).unwrap();
    assert_eq!(tablet.get(b"c").unwrap().unwrap().len(), 20 << 10);
}

#[test]
fn readers_that_hold_too_much_are_refused_until_they_let_go() {
    let (_, vfs) = memory();
    let store = open(&vfs, tight_options()).unwrap();
    let tablet = store.tablet();
    for number in 0..600 {
        let mut batch = WriteBatch::new();
        batch.put(format!("k{number:04}"), vec![number as u8; 900]);
        tablet.commit(batch, Some(Durability::Async)).unwrap();
    }
    tablet.compact_all().unwrap();
    let get = |number: usize| tablet.get(format!("k{number:04}").as_bytes()).map(|value| value.unwrap());
    let mut held = Vec::new();
    let error = (0..600).find_map(|number| {
        let error = get(number).map(|value| held.push(value)).err();
        let report = tablet.memory_report();
        assert!(report.total_bytes() <= report.budget_bytes, "{number}: {report:?}");
        error
    });
    assert!(matches!(&error, Some(Error::MemoryExceeded(_))), "{error:?} after {}", held.len());
    assert!(held.len() > 100, "{}", held.len());
    let report = tablet.memory_report();
    assert!(report.total_bytes() <= report.budget_bytes, "{report:?}");
    // Writing goes on, and so does what gives memory back.
    let mut batch = WriteBatch::new();
    batch.put("k0000", "new");
    tablet.commit(batch, None).unwrap();
    assert!(held.iter().enumerate().all(|(number, value)| **value == vec![number as u8; 900]));
    drop(held);
    for number in 1..600 {
        assert_eq!(*get(number).unwrap(), vec![number as u8; 900]);
    }
    assert!(tablet.statistics().poisoned.is_none());
}

#[test]
fn a_memtable_that_is_flushed_counts_as_long_as_it_is_read() {
    let (_, vfs) = memory();
    let store = open(&vfs, small_options()).unwrap();
    let tablet = store.tablet();
    let mut batch = WriteBatch::new();
    batch.put("a", "1");
    tablet.commit(batch, None).unwrap();
    let mut iter = tablet.snapshot().iter(IterOptions::default()).unwrap();
    assert!(iter.seek_to_first().unwrap());
    assert_eq!(tablet.memory_report().held_memtable_bytes, 0, "it is the active one");
    let active = tablet.memory_report().active_memtable_bytes;
    tablet.flush().unwrap();
    assert_eq!(tablet.memory_report().held_memtable_bytes, active);
    assert_eq!(iter.value(), b"1");
    drop(iter);
    assert_eq!(tablet.memory_report().held_memtable_bytes, 0);
}

#[test]
fn a_large_value_that_does_not_fit_is_refused_to_readers_and_not_lost() {
    let (_, vfs) = memory();
    let options = StoreOptions { memory_bytes: Some(2 << 20), ..tight_options() };
    let store = open(&vfs, options).unwrap();
    let value = vec![7; 180 << 10];
    for key in ["d1", "d2"] {
        let mut batch = WriteBatch::new();
        batch.put(key, value.clone());
        store.tablet().commit(batch, None).unwrap();
    }
    store.tablet().compact_all().unwrap();
    assert_eq!(store.tablet().statistics().blob_files, 2);
    store.close().unwrap();
    drop(store);
    // Room for one of them, and not for both.
    let store = open(&vfs, StoreOptions { memory_bytes: Some(300 << 10), ..tight_options() }).unwrap();
    let tablet = store.tablet();
    let snapshot = tablet.snapshot();
    let held = tablet.get(b"d1").unwrap().unwrap();
    let within = || {
        let report = tablet.memory_report();
        assert!(report.total_bytes() <= report.budget_bytes, "{report:?}");
    };
    within();
    assert!(matches!(tablet.get(b"d2"), Err(Error::MemoryExceeded(_))));
    assert!(matches!(snapshot.multi_get(&[b"d2"]), Err(Error::MemoryExceeded(_))));
    let mut iter = snapshot.iter(IterOptions::default()).unwrap();
    let walked = iter.seek(b"d2");
    assert!(matches!(walked, Err(Error::MemoryExceeded(_))), "{walked:?}");
    within();
    assert_eq!(*held, value);
    drop((held, iter));
    assert_eq!(*tablet.get(b"d2").unwrap().unwrap(), value);
    within();
    // The store's own work is never refused.
    let held = tablet.get(b"d1").unwrap().unwrap();
    tablet.compact_all().unwrap();
    drop(held);
    assert!(tablet.verify().problems.is_empty());
}

#[test]
fn a_budget_too_small_for_its_parts_is_refused_at_once() {
    let (_, vfs) = memory();
    let options = StoreOptions { memory_bytes: Some(32 << 10), ..small_options() };
    assert!(matches!(open(&vfs, options), Err(Error::InvalidInput(_))));
    let vfs: Arc<dyn Vfs> = vfs;
    assert!(vfs.list(Path::new("/")).unwrap().is_empty(), "nothing was created");
}

#[test]
fn transactions_share_the_budget_and_give_back_what_they_took() {
    for locking in [Locking::Optimistic, Locking::Pessimistic { patience: Duration::from_millis(10) }] {
        let (_, vfs) = memory();
        let store = open(&vfs, tight_options()).unwrap();
        let tablet = store.tablet();
        let begin = || tablet.begin(TransactionOptions { locking, ..TransactionOptions::default() }).unwrap();
        let within_budget = || {
            let report = tablet.memory_report();
            assert!(report.total_bytes() <= report.budget_bytes, "{report:?}");
            report
        };
        let mut alive = Vec::new();
        let refused = (0..1_000).find_map(|number| {
            let mut transaction = begin();
            let wrote = (0..4).try_for_each(|at| transaction.put(format!("{number:04} {at}"), vec![7; 500]));
            let count = transaction.len();
            within_budget();
            alive.push(transaction);
            wrote.err().map(|error| (error, count))
        });
        assert!(matches!(&refused, Some((Error::MemoryExceeded(_), count)) if *count < 4), "{refused:?}");
        assert!(alive.len() > 5, "{}", alive.len());
        let full = within_budget();
        assert!(full.transaction_bytes >= (alive.len() as u64 - 1) * 2 * 2_000, "{full:?}");
        // Who was refused has what it wrote before, and whoever ends makes room for it.
        let mut last = alive.pop().unwrap();
        let view = alive[0].view();
        alive.drain(..alive.len() / 2);
        assert_eq!(view.get(b"0000 0").unwrap().as_deref(), Some(&[7; 500][..]), "its view keeps it");
        let half = within_budget();
        assert!(half.transaction_bytes < full.transaction_bytes * 2 / 3, "{half:?} of {full:?}");
        last.put("last", "fits").unwrap();
        let savepoint = last.savepoint().unwrap();
        last.put("too much", vec![7; 2_000]).unwrap();
        last.rollback_to(savepoint).unwrap();
        last.commit(None).unwrap();
        assert_eq!(tablet.get(b"last").unwrap().as_deref(), Some(&b"fits"[..]));
        assert_eq!(tablet.get(b"too much").unwrap(), None);
        for transaction in alive {
            transaction.commit(None).unwrap();
        }
        assert!(within_budget().transaction_bytes > 0, "the view");
        drop(view);
        assert_eq!(within_budget().transaction_bytes, 0);
    }
}

#[test]
fn locks_and_what_was_read_share_the_budget() {
    let (_, vfs) = memory();
    let store = open(&vfs, tight_options()).unwrap();
    let tablet = store.tablet();
    let pessimistic = Locking::Pessimistic { patience: Duration::from_millis(10) };
    for (isolation, locking) in
        [(Isolation::Snapshot, pessimistic), (Isolation::Serializable, Locking::Optimistic)]
    {
        let options = || TransactionOptions { isolation, locking, ..TransactionOptions::default() };
        let mut transaction = tablet.begin(options()).unwrap();
        let key = |number: u32| format!("{number:0100}").into_bytes();
        let refused = (0..10_000).position(|number| {
            let read = match locking {
                Locking::Optimistic => transaction.get(&key(number)),
                Locking::Pessimistic { .. } => transaction.get_for_update(&key(number)),
            };
            let report = tablet.memory_report();
            assert!(report.total_bytes() <= report.budget_bytes, "{report:?}");
            read.inspect_err(|error| assert!(matches!(error, Error::MemoryExceeded(_)), "{error}")).is_err()
        });
        let count = refused.expect("it is bounded");
        assert!((100..2_500).contains(&count), "{count}");
        // What is held already costs nothing more.
        transaction.get(&key(0)).unwrap();
        assert!(matches!(transaction.put("a", vec![7; 9_000]), Err(Error::MemoryExceeded(_))));
        transaction.rollback();
        assert_eq!(tablet.memory_report().transaction_bytes, 0);
        let mut next = tablet.begin(options()).unwrap();
        next.put(key(1), vec![7; 9_000]).unwrap();
        next.commit(None).unwrap();
    }
}

#[test]
fn what_is_read_is_given_back_when_the_reader_ends() {
    let (_, vfs) = memory();
    let store = open(&vfs, StoreOptions { cache_bytes: 4 << 20, ..small_options() }).unwrap();
    let tablet = store.tablet();
    for number in 0..600 {
        let mut batch = WriteBatch::new();
        batch.put([&b"i"[..], &key(number)].concat(), vec![7; 60]);
        batch.put([&b"d"[..], &key(number)].concat(), vec![7; 300]);
        tablet.commit(batch, Some(Durability::Async)).unwrap();
    }
    let held = |what: &str| {
        let report = tablet.memory_report();
        let held = (report.held_memtable_bytes, report.held_block_bytes, report.transaction_bytes);
        assert_eq!(held, (0, 0, 0), "{what}: {report:?}");
    };
    tablet.compact_all().unwrap();
    held("a compaction, which reads past the cache");
    assert!(tablet.verify().problems.is_empty());
    held("a verification");
    let snapshot = tablet.snapshot();
    assert_eq!(forward(&mut snapshot.iter(IterOptions::default()).unwrap()).len(), 1_200);
    held("a walk");
    assert_eq!(backward(&mut snapshot.iter(IterOptions::default()).unwrap()).len(), 1_200);
    held("a walk backward");
    let keys: Vec<Vec<u8>> = (0..1_200).map(|number| [&b"d"[..], &key(number)].concat()).collect();
    let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    assert_eq!(snapshot.multi_get(&keys).unwrap().iter().flatten().count(), 600);
    held("many lookups at once");
    keys.iter().for_each(|key| drop(tablet.get(key).unwrap()));
    held("lookups, half of them in filters alone");
    drop(snapshot);
    assert!(tablet.memory_report().cache_bytes > 100_000);
    tablet.excise(b"a", b"z").unwrap();
    tablet.compact_all().unwrap();
    held("files that are gone");
    let report = tablet.memory_report();
    assert_eq!((report.cache_bytes, report.open_file_bytes, report.metadata_bytes), (0, 0, 0), "{report:?}");
}

#[test]
fn a_large_record_leaves_the_logs_buffer_with_its_segment() {
    let (_, vfs) = memory();
    let options = StoreOptions {
        memtable_bytes: 4 << 20,
        wal_segment_bytes: 8 << 20,
        wal_compression: WalCompression::None,
        ..small_options()
    };
    let store = open(&vfs, options).unwrap();
    let mut batch = WriteBatch::new();
    batch.put("k", vec![7; 500 << 10]);
    store.tablet().commit(batch, Some(Durability::Async)).unwrap();
    assert!(store.memory_report().log_buffer_bytes > 500 << 10);
    store.tablet().flush().unwrap();
    assert_eq!(store.memory_report().log_buffer_bytes, 0);
}
