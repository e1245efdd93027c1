//! How often the file system is asked: scans read ahead in both directions, many keys share blocks, filters leave tables
//! out, and what is read often stays.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use sheaf_storage::{
    Compression, FaultVfs, IterOptions, Keyspace, KeyspaceOptions, PrefixRule, Store, StoreOptions, Vfs,
    WriteBatch,
};

use crate::fixture::{Dice, memory, open, small_options};

const KEYS: usize = 4_000;

fn key(number: usize) -> Vec<u8> {
    format!("i{number:06}").into_bytes()
}

/// A store in one level with a cache that is empty, and a counter of reads of its sstables.
fn cold(options: &StoreOptions) -> (Store, Arc<AtomicU64>) {
    let (_, base) = memory();
    let faults = FaultVfs::new(base);
    let reads = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&reads);
    faults.set_hook(move |call| {
        if call.operation == "read" && call.path.extension().is_some_and(|extension| extension == "sst") {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
    let vfs: Arc<dyn Vfs> = Arc::new(faults);
    let store = open(&vfs, options.clone()).unwrap();
    for start in (0..KEYS).step_by(100) {
        let mut batch = WriteBatch::new();
        (start..start + 100).for_each(|number| batch.put(key(number), vec![number as u8; 60]));
        store.tablet().commit(batch, None).unwrap();
    }
    store.tablet().compact_all().unwrap();
    store.close().unwrap();
    let store = open(&vfs, options.clone()).unwrap();
    // Index and filter are read by the first lookup.
    store.tablet().get(&key(0)).unwrap();
    reads.store(0, Ordering::Relaxed);
    (store, reads)
}

fn large_tables() -> StoreOptions {
    StoreOptions {
        table_bytes_target: 64 << 20,
        level_base_bytes: 64 << 20,
        block_bytes_lower: 1 << 10,
        cache_bytes: 4 << 20,
        index_part_bytes: 32 << 10,
        ..small_options()
    }
}

#[test]
fn a_scan_reads_several_blocks_at_once_and_a_short_one_does_not() {
    let (store, reads) = cold(&large_tables());
    let snapshot = store.tablet().snapshot();
    let mut iter = snapshot.iter(IterOptions::default()).unwrap();
    assert!(iter.seek(&key(2_000)).unwrap());
    for _ in 0..10 {
        iter.next().unwrap();
    }
    let short = reads.swap(0, Ordering::Relaxed);
    assert!(short <= 4, "ten keys took {short} reads");
    let before = store.tablet().memory_report();
    let mut shown = 0;
    let mut more = iter.seek_to_first().unwrap();
    while more {
        assert_eq!(iter.value(), vec![shown as u8; 60]);
        shown += 1;
        more = iter.next().unwrap();
    }
    assert_eq!(shown, KEYS);
    let blocks = KEYS as u64 * 60 / 1_024;
    let long = reads.load(Ordering::Relaxed);
    assert!(long * 8 < blocks, "{blocks} blocks took {long} reads");
    drop(iter);
    let after = store.tablet().memory_report();
    assert!(after.held_block_bytes <= before.held_block_bytes, "what was read ahead is given back");
}

#[test]
fn keys_of_one_block_share_one_look() {
    let (store, _) = cold(&large_tables());
    let keys: Vec<Vec<u8>> = (0..1_000).map(|number| key(number * 3)).rev().collect();
    let asked: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    let looks = || {
        let cache = store.tablet().statistics().cache;
        cache.hits + cache.misses
    };
    let before = looks();
    let found = store.tablet().snapshot().multi_get(&asked).unwrap();
    let together = looks() - before;
    let before = looks();
    for (key, found) in keys.iter().zip(&found) {
        assert_eq!(store.tablet().get(key).unwrap().as_deref(), found.as_deref());
        assert!(found.is_some());
    }
    let alone = looks() - before;
    assert!(together * 3 < alone, "{together} looks together, {alone} one by one");
}

#[test]
fn statistics_know_what_is_alive_in_blob_files() {
    let (_, vfs) = memory();
    let mut options = StoreOptions { blob_garbage_percent_max: 100, ..small_options() };
    let separate = KeyspaceOptions { blob_threshold_bytes: Some(100), ..KeyspaceOptions::default() };
    options.keyspaces.insert(Keyspace(b'd'), separate);
    let store = open(&vfs, options).unwrap();
    let tablet = store.tablet();
    let write = |length: usize| {
        let mut batch = WriteBatch::new();
        (0..20).for_each(|number| batch.put(format!("d{number:02}"), vec![number as u8; length]));
        tablet.commit(batch, None).unwrap();
        tablet.flush().unwrap();
    };
    write(300);
    let first = tablet.statistics();
    assert!(first.blob_live_bytes >= 6_000 && first.blob_garbage_bytes == 0, "{first:?}");
    let mut batch = WriteBatch::new();
    (0..10).for_each(|number| batch.delete(format!("d{number:02}")));
    tablet.commit(batch, None).unwrap();
    tablet.compact_all().unwrap();
    let second = tablet.statistics();
    assert_eq!(second.blob_live_bytes, first.blob_live_bytes / 2);
    assert_eq!(second.blob_garbage_bytes, first.blob_live_bytes / 2);
}

#[test]
fn a_scan_backward_reads_as_seldom_as_one_forward() {
    let reads_of = |backward: bool| {
        let (store, reads) = cold(&large_tables());
        let mut iter = store.tablet().snapshot().iter(IterOptions::default()).unwrap();
        assert!(if backward { iter.seek_for_prev(&key(2_000)) } else { iter.seek(&key(2_000)) }.unwrap());
        for _ in 0..10 {
            assert!(if backward { iter.prev() } else { iter.next() }.unwrap());
        }
        let short = reads.swap(0, Ordering::Relaxed);
        drop((iter, store));
        let (store, reads) = cold(&large_tables());
        let mut iter = store.tablet().snapshot().iter(IterOptions::default()).unwrap();
        let mut more = if backward { iter.seek_to_last() } else { iter.seek_to_first() }.unwrap();
        let mut shown = 0;
        while more {
            let number = if backward { KEYS - 1 - shown } else { shown };
            assert_eq!((iter.key(), iter.value()), (key(number).as_slice(), [number as u8; 60].as_slice()));
            shown += 1;
            more = if backward { iter.prev() } else { iter.next() }.unwrap();
        }
        assert_eq!(shown, KEYS);
        (short, reads.load(Ordering::Relaxed))
    };
    let (forward, backward) = (reads_of(false), reads_of(true));
    println!("reads of a short and of a whole scan: forward {forward:?}, backward {backward:?}");
    assert!(backward.0 <= 4 && backward.1 <= forward.1 + 2, "{backward:?} backward, {forward:?} forward");
}

#[test]
fn a_walk_that_turns_often_shows_the_same_cold_as_warm() {
    // A cache of a few blocks: what is read ahead is all there is.
    let options = StoreOptions { cache_bytes: 4 << 10, ..large_tables() };
    let (store, _) = cold(&options);
    let mut iter = store.tablet().snapshot().iter(IterOptions::default()).unwrap();
    let mut dice = Dice::new(11);
    let mut at = KEYS / 2;
    assert!(iter.seek(&key(at)).unwrap());
    for turn in 0..400 {
        // Most walks end near the edge of a block or cross a few.
        for _ in 0..1 + dice.below(90) {
            let backward = (turn % 2 == 0) == (at > KEYS / 4) && at > 0 || at + 1 == KEYS;
            assert!(if backward { iter.prev() } else { iter.next() }.unwrap());
            at = if backward { at - 1 } else { at + 1 };
            assert_eq!((iter.key(), iter.value()), (key(at).as_slice(), [at as u8; 60].as_slice()));
        }
    }
}

/// A store of `tables` flushes in L0, table `n` with what `keys` says, its files opened and their blocks cold; and what is
/// asked of its sstables from then on.
fn flushed(options: &StoreOptions, tables: &[Vec<Vec<u8>>]) -> (Store, Arc<Mutex<Vec<&'static str>>>) {
    let (_, base) = memory();
    let faults = FaultVfs::new(base);
    let calls: Arc<Mutex<Vec<&'static str>>> = Arc::default();
    let log = Arc::clone(&calls);
    faults.set_hook(move |call| {
        if call.path.extension().is_some_and(|extension| extension == "sst") {
            log.lock().unwrap().push(call.operation);
        }
    });
    let vfs: Arc<dyn Vfs> = Arc::new(faults);
    let store = open(&vfs, options.clone()).unwrap();
    for keys in tables {
        let mut batch = WriteBatch::new();
        keys.iter().for_each(|key| batch.put(key.clone(), vec![b'v'; 60]));
        store.tablet().commit(batch, None).unwrap();
        store.tablet().flush().unwrap();
    }
    store.close().unwrap();
    let store = open(&vfs, options.clone()).unwrap();
    store.tablet().snapshot().iter(IterOptions::default()).unwrap();
    assert!(store.tablet().get(b"a").unwrap().is_none());
    calls.lock().unwrap().clear();
    (store, calls)
}

#[test]
fn a_seek_announces_the_blocks_of_all_tables_before_it_waits_for_one() {
    // Too small to read more than is wanted, so that every block is announced by itself.
    let options = StoreOptions {
        l0_compaction_trigger: 100,
        l0_slowdown: 100,
        l0_stop: 200,
        memtable_bytes: 1 << 20,
        cache_bytes: 16 << 10,
        ..large_tables()
    };
    let tables: Vec<Vec<_>> =
        (0..4).map(|table| (0..600).map(|number| key(number * 4 + table)).collect()).collect();
    for backward in [false, true] {
        let (store, calls) = flushed(&options, &tables);
        let mut iter = store.tablet().snapshot().iter(IterOptions::default()).unwrap();
        calls.lock().unwrap().clear();
        assert!(if backward { iter.seek_for_prev(&key(1_203)) } else { iter.seek(&key(1_203)) }.unwrap());
        let calls = calls.lock().unwrap();
        let expected = [["will_need"; 4], ["read"; 4]].concat();
        assert_eq!(calls.get(..8), Some(expected.as_slice()), "backward: {backward}, {calls:?}");
    }
}

#[test]
fn a_long_walk_announces_what_it_reads_next_and_a_short_one_does_not() {
    let options = StoreOptions {
        memtable_bytes: 4 << 20,
        cache_bytes: 16 << 10,
        compression: StoreOptions::default().compression.map(|_| Compression::None),
        ..large_tables()
    };
    const MANY: usize = 12_000;
    let keys: Vec<_> = (0..MANY).map(key).collect();
    for backward in [false, true] {
        let (store, calls) = flushed(&options, std::slice::from_ref(&keys));
        let count = |operation| calls.lock().unwrap().iter().filter(|call| **call == operation).count();
        let mut iter = store.tablet().snapshot().iter(IterOptions::default()).unwrap();
        calls.lock().unwrap().clear();
        assert!(if backward { iter.seek_for_prev(&key(MANY - 1)) } else { iter.seek(&key(0)) }.unwrap());
        let mut step = || if backward { iter.prev() } else { iter.next() }.unwrap();
        assert!((0..200).all(|_| step()));
        assert_eq!(count("will_need"), 1, "the seek's own; backward: {backward}");
        assert_eq!((200..).take_while(|_| step()).count(), MANY - 201);
        let (announced, reads) = (count("will_need"), count("read"));
        assert!(announced > 4 && reads < 40, "{announced} announced, {reads} reads; backward: {backward}");
    }
}

#[test]
fn an_iterator_over_a_prefix_leaves_out_tables_whose_filter_knows_better() {
    let mut options = StoreOptions {
        l0_compaction_trigger: 100,
        l0_slowdown: 100,
        l0_stop: 200,
        memtable_bytes: 1 << 20,
        filter_part_bytes: 1 << 20,
        filter_bits_per_key: 16,
        block_bytes_upper: 1 << 10,
        ..large_tables()
    };
    let with_prefix = |prefix| KeyspaceOptions { prefix, ..KeyspaceOptions::default() };
    // Table `n` has the prefixes that leave `n` over when divided by five; none has those that leave four.
    let tables: Vec<Vec<_>> = (0..4)
        .map(|table| {
            let prefixes = (0..50).map(|prefix| prefix * 5 + table);
            prefixes.flat_map(|prefix| (0..8).map(move |n| format!("i{prefix:03}{n}").into_bytes())).collect()
        })
        .collect();
    let mut counts = Vec::new();
    for rule in [PrefixRule::Fixed(4), PrefixRule::None] {
        options.keyspaces.insert(Keyspace(b'i'), with_prefix(rule));
        let (store, calls) = flushed(&options, &tables);
        let reads_of = |prefix: usize| {
            let lower = format!("i{prefix:03}").into_bytes();
            let mut upper = lower.clone();
            upper[3] += 1;
            let bounds = IterOptions { lower: Some(lower), upper: Some(upper), keys_only: false };
            // Opens the files it will look into.
            store.tablet().snapshot().iter(bounds.clone()).unwrap();
            calls.lock().unwrap().clear();
            let mut iter = store.tablet().snapshot().iter(bounds).unwrap();
            let mut found = 0;
            let mut more = iter.seek_to_first().unwrap();
            while more {
                found += 1;
                more = iter.next().unwrap();
            }
            assert_eq!(found, if prefix % 5 == 4 { 0 } else { 8 }, "prefix {prefix}");
            calls.lock().unwrap().iter().filter(|&&call| call == "read").count()
        };
        // Far enough from each other that no block is asked for twice.
        let of_one: usize = (0..5).map(|step| reads_of(2 + step * 50)).sum();
        let of_none: usize = (0..5).map(|step| reads_of(29 + step * 50)).sum();
        counts.push((of_one, of_none));
        // In one level, a table that covers the prefix and does not have it.
        store.tablet().compact_all().unwrap();
        assert_eq!(store.tablet().statistics().levels[0].tables, 0);
        counts.push((reads_of(14), reads_of(104)));
    }
    println!("reads of five prefixes of one table, and of none; of two in a level: {counts:?}");
    let [with, in_level, without, in_level_without] = counts[..] else { panic!("{counts:?}") };
    assert!(with.0 <= 10 && with.1 <= 2, "{counts:?}");
    assert!(without.0 >= 20 && without.1 >= 20, "{counts:?}");
    assert_eq!(in_level, (0, 0));
    assert!(in_level_without.0 > 0 && in_level_without.1 > 0, "{counts:?}");
}

#[test]
fn a_scan_past_the_cache_leaves_what_is_read_often() {
    let options = StoreOptions { cache_bytes: 80 << 10, ..large_tables() };
    let (store, reads) = cold(&options);
    let tablet = store.tablet();
    // Keys in blocks of their own, a third of the cache together.
    let hot: Vec<Vec<u8>> = (0..20).map(|number| key(number * 200 + 7)).collect();
    let read_hot = || {
        let before = reads.load(Ordering::Relaxed);
        hot.iter().for_each(|key| assert!(tablet.get(key).unwrap().is_some()));
        reads.load(Ordering::Relaxed) - before
    };
    let scan = || {
        let mut iter = tablet.snapshot().iter(IterOptions::default()).unwrap();
        let (mut shown, mut more) = (0, iter.seek_to_first().unwrap());
        while more {
            shown += 1;
            more = iter.next().unwrap();
        }
        assert_eq!(shown, KEYS);
    };
    // Full of what was read once, so that the hot blocks have to earn their place: by being asked for again soon.
    scan();
    let cold_reads = read_hot();
    for _ in 0..10 {
        hot.iter().for_each(|key| (0..4).for_each(|_| assert!(tablet.get(key).unwrap().is_some())));
    }
    assert_eq!(read_hot(), 0, "they are in the cache now");
    scan();
    let cache = tablet.statistics().cache;
    let bytes: u64 = tablet.statistics().levels.iter().map(|level| level.bytes).sum();
    assert!(
        bytes > 3 * cache.budget_bytes && cache.used_bytes * 2 > cache.budget_bytes,
        "{bytes}: {cache:?}"
    );
    let lost = read_hot();
    println!("{bytes} bytes scanned: {lost} of {cold_reads} hot blocks had to be read again");
    assert!(cold_reads >= 20 && lost * 4 <= cold_reads, "{lost} of {cold_reads}");
    // What was read once goes: the scan finds nothing of the start in the cache.
    let start = reads.load(Ordering::Relaxed);
    (0..20).for_each(|number| assert!(tablet.get(&key(number * 200 + 107)).unwrap().is_some()));
    assert!(reads.load(Ordering::Relaxed) - start >= 15, "the cache had room for all");
}

#[test]
fn every_key_of_a_level_of_many_tables_is_found_from_both_sides() {
    let (_, vfs) = memory();
    let store = open(&vfs, small_options()).unwrap();
    let tablet = store.tablet();
    let keys = 1_200;
    for start in (0..keys).step_by(100) {
        let mut batch = WriteBatch::new();
        (start..start + 100).for_each(|number| batch.put(key(number), vec![number as u8; 60]));
        tablet.commit(batch, None).unwrap();
    }
    tablet.compact_all().unwrap();
    let levels = tablet.statistics().levels;
    assert!(levels.iter().any(|level| level.tables > 20), "{levels:?}");
    let snapshot = tablet.snapshot();
    let mut iter = snapshot.iter(IterOptions::default()).unwrap();
    let behind = |number: usize| [key(number), b"x".to_vec()].concat();
    for number in 0..keys {
        assert!(iter.seek_for_prev(&key(number)).unwrap() && iter.key() == key(number), "{number}");
        assert!(iter.seek(&key(number)).unwrap() && iter.key() == key(number), "{number}");
        assert!(iter.seek_for_prev(&behind(number)).unwrap() && iter.key() == key(number), "{number}");
        assert_eq!(iter.seek(&behind(number)).unwrap(), number + 1 < keys, "{number}");
        assert!(!iter.valid() || iter.key() == key(number + 1), "{number}");
    }
    // Any number of tables between the bounds, with one of them and with both.
    for (from, to) in [(0, keys), (3, 30), (100, 400), (1, keys - 1), (555, 556), (700, 700)] {
        for (has_lower, has_upper) in [(true, true), (true, false), (false, true)] {
            let (lower, upper) = (has_lower.then(|| key(from)), has_upper.then(|| key(to)));
            let bounds = IterOptions { lower, upper, keys_only: false };
            let (first, end) = (if has_lower { from } else { 0 }, if has_upper { to } else { keys });
            let expected: Vec<_> = (first..end).map(key).collect();
            let mut iter = snapshot.iter(bounds).unwrap();
            let mut found = Vec::new();
            let mut more = iter.seek_to_first().unwrap();
            while more {
                found.push(iter.key().to_vec());
                more = iter.next().unwrap();
            }
            assert!(found == expected, "{from} to {to}: {} of {}", found.len(), expected.len());
            found.clear();
            more = iter.seek_to_last().unwrap();
            while more {
                found.push(iter.key().to_vec());
                more = iter.prev().unwrap();
            }
            found.reverse();
            assert!(found == expected, "{from} to {to}: {} of {}", found.len(), expected.len());
        }
    }
}

#[test]
fn a_seek_lands_within_the_bounds_also_where_it_names_a_bound() {
    let (_, vfs) = memory();
    let store = open(&vfs, small_options()).unwrap();
    let tablet = store.tablet();
    for (round, keys) in [["a", "c", "e"], ["b", "d", "f"]].into_iter().enumerate() {
        let mut batch = WriteBatch::new();
        keys.iter().for_each(|key| batch.put(key, "value"));
        tablet.commit(batch, None).unwrap();
        if round == 0 {
            tablet.flush().unwrap();
        }
    }
    let bounds = IterOptions { lower: Some(b"b".to_vec()), upper: Some(b"e".to_vec()), keys_only: false };
    let mut iter = tablet.snapshot().iter(bounds).unwrap();
    let expected = [
        // What is asked for, the first key from there on, and the last up to there.
        ("", Some("b"), None),
        ("a", Some("b"), None),
        ("aa", Some("b"), None),
        ("b", Some("b"), Some("b")),
        ("bb", Some("c"), Some("b")),
        ("d", Some("d"), Some("d")),
        ("dd", None, Some("d")),
        ("e", None, Some("d")),
        ("ee", None, Some("d")),
        ("z", None, Some("d")),
    ];
    for (target, from, to) in expected {
        let found = iter.seek(target.as_bytes()).unwrap().then(|| iter.key().to_vec());
        assert_eq!(found.as_deref(), from.map(str::as_bytes), "from {target:?}");
        let found = iter.seek_for_prev(target.as_bytes()).unwrap().then(|| iter.key().to_vec());
        assert_eq!(found.as_deref(), to.map(str::as_bytes), "up to {target:?}");
    }
}

#[test]
fn a_filter_of_prefixes_is_asked_only_for_ranges_that_lie_within_one() {
    let mut options = StoreOptions { filter_part_bytes: 1 << 20, ..small_options() };
    let with_prefix = KeyspaceOptions { prefix: PrefixRule::Fixed(2), ..KeyspaceOptions::default() };
    options.keyspaces.insert(Keyspace(b'i'), with_prefix);
    // Of a prefix that is not there, the range up to any bound behind it.
    for keys in [["ib", "ibx"], ["ic", "icy"], ["ib\u{7f}", "ic"]] {
        for level in [false, true] {
            let (_, vfs) = memory();
            let store = open(&vfs, options.clone()).unwrap();
            let mut batch = WriteBatch::new();
            keys.iter().for_each(|key| batch.put(key, "value"));
            store.tablet().commit(batch, None).unwrap();
            store.tablet().flush().unwrap();
            if level {
                store.tablet().compact_all().unwrap();
            }
            for (lower, upper) in [
                ("ia", "ib"),
                ("ia", "ib0"),
                ("ia", "ibx"),
                ("ia", "ibxx"),
                ("ia", "ic"),
                ("ia", "icz"),
                ("ia5", "id"),
                ("iax", "j"),
                ("ia", "ia9"),
                ("ib", "ic"),
                ("ibx", "ic0"),
                ("i", "j"),
            ] {
                let bounds =
                    IterOptions { lower: Some(lower.into()), upper: Some(upper.into()), keys_only: false };
                let mut iter = store.tablet().snapshot().iter(bounds).unwrap();
                let mut found = Vec::new();
                let mut more = iter.seek_to_first().unwrap();
                while more {
                    found.push(String::from_utf8(iter.key().to_vec()).unwrap());
                    more = iter.next().unwrap();
                }
                let expected: Vec<_> = keys.into_iter().filter(|key| (lower..upper).contains(key)).collect();
                assert_eq!(found, expected, "{lower:?} to {upper:?} of {keys:?}");
            }
        }
    }
}

#[test]
fn a_reader_at_the_time_of_the_oldest_entry_of_a_table_sees_it() {
    let (_, vfs) = memory();
    let retention = std::time::Duration::from_secs(1 << 20);
    let store = open(&vfs, StoreOptions { retention, ..small_options() }).unwrap();
    let tablet = store.tablet();
    let mut times = Vec::new();
    for value in ["1", "2", "3"] {
        for _ in 0..2 {
            let mut batch = WriteBatch::new();
            batch.put("k", value);
            times.push((tablet.commit(batch, None).unwrap(), value));
        }
        tablet.flush().unwrap();
    }
    for is_compacted in [false, true] {
        for &(timestamp, value) in &times {
            let snapshot = tablet.snapshot_at(timestamp).unwrap();
            assert_eq!(snapshot.get(b"k").unwrap().as_deref(), Some(value.as_bytes()));
            assert_eq!(snapshot.multi_get(&[b"k"]).unwrap()[0].as_deref(), Some(value.as_bytes()));
            let mut iter = snapshot.iter(IterOptions::default()).unwrap();
            assert!(iter.seek_to_first().unwrap() && iter.value() == value.as_bytes(), "{is_compacted}");
            assert!(iter.seek_to_last().unwrap() && iter.value() == value.as_bytes(), "{is_compacted}");
        }
        tablet.compact_all().unwrap();
    }
}
