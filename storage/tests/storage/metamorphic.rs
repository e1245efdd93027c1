//! One script of operations under ten option sets, each in the open and encrypted: what the options say must not show in what is
//! read. One of them is on a real disk, through memory maps.

use std::fmt::Write as _;
use std::sync::Arc;

use sheaf_storage::{
    Compression, Durability, FilterKind, IterOptions, Keyspace, KeyspaceOptions, PrefixRule, ReadMode,
    Snapshot, Store, StoreOptions, TransactionOptions, Vfs, WalCompression, WriteBatch,
};

use crate::fixture::{DIRECTORY, Dice, deep, encrypted_options, memory, small_options};
use crate::unsynced::UnsyncedDisk;

/// One step of a script; numbers choose keys, lengths and snapshots.
#[derive(Clone, Copy, Debug)]
enum Step {
    Put(u64, u64),
    Delete(u64),
    DeleteRange(u64, u64),
    Batch(u64),
    Snapshot,
    ReleaseSnapshot(u64),
    Flush,
    CompactAll,
    Reopen,
    Get(u64, u64),
    ScanForward(u64, u64),
    ScanBackward(u64, u64),
    ScanPrefix(u64),
    Transaction(u64),
    Ingest(u64),
    MultiGet(u64, u64),
}

fn script(seed: u64, length: u64) -> Vec<Step> {
    let dice = &mut Dice::new(seed);
    let mut steps = Vec::new();
    for _ in 0..length {
        let (a, b) = (dice.below(1 << 30), dice.below(1 << 30));
        steps.push(match dice.below(100) {
            0..40 => Step::Put(a, b),
            40..50 => Step::Delete(a),
            50..52 => Step::DeleteRange(a, b),
            52..58 => Step::Batch(a),
            58..60 => Step::Snapshot,
            60..62 => Step::ReleaseSnapshot(a),
            62..64 => Step::Flush,
            64 => Step::CompactAll,
            65 => Step::Reopen,
            66..78 => Step::Get(a, b),
            78..83 => Step::ScanForward(a, b),
            83..88 => Step::ScanBackward(a, b),
            88..94 => Step::ScanPrefix(a),
            94 => Step::Ingest(a),
            95 => Step::MultiGet(a, b),
            _ => Step::Transaction(a),
        });
    }
    steps
}

fn key(number: u64) -> Vec<u8> {
    let keyspace = [b'a', b'd', b'i'][(number % 3) as usize];
    let mut key = vec![keyspace];
    key.extend_from_slice(format!("{:02}/{:02}", (number >> 4) % 20, (number >> 10) % 10).as_bytes());
    key
}

fn value(number: u64) -> Vec<u8> {
    let length = [0, 5, 40, 120, 700, 3_000][(number % 6) as usize];
    let byte = (number >> 8) as u8;
    (0..length).map(|at| if at % 3 == 0 { byte } else { at as u8 }).collect()
}

struct Run {
    vfs: Arc<dyn Vfs>,
    directory: std::path::PathBuf,
    options: StoreOptions,
    store: Store,
    snapshots: Vec<Snapshot>,
    output: String,
}

impl Run {
    fn new(vfs: Arc<dyn Vfs>, directory: &std::path::Path, options: StoreOptions) -> Run {
        let store = Store::open(Arc::clone(&vfs), directory, options.clone()).unwrap();
        Run { vfs, directory: directory.into(), options, store, snapshots: Vec::new(), output: String::new() }
    }

    fn snapshot(&self, number: u64) -> Snapshot {
        let live = self.snapshots.len() as u64;
        match self.snapshots.get((number % (live + 1)) as usize) {
            Some(snapshot) => snapshot.clone(),
            None => self.store.tablet().snapshot(),
        }
    }

    fn show(&mut self, name: &str, key: &[u8], value: Option<&[u8]>) {
        let shown = value.map(|value| (value.len(), crc32c::crc32c(value)));
        writeln!(self.output, "{name} {} {shown:?}", String::from_utf8_lossy(key)).unwrap();
    }

    fn scan(&mut self, number: u64, options: IterOptions, backward: bool) {
        let mut iter = self.snapshot(number).iter(options).unwrap();
        let mut more = if backward { iter.seek_to_last() } else { iter.seek_to_first() }.unwrap();
        let mut shown = 0;
        while more && shown < 60 {
            let (key, value) = (iter.key().to_vec(), iter.value().to_vec());
            self.show("scan", &key, Some(&value));
            // Now and then back and forth, which must not change the walk.
            if (number + shown).is_multiple_of(7) {
                let there = if backward { iter.next() } else { iter.prev() }.unwrap();
                if there {
                    let back = if backward { iter.prev() } else { iter.next() }.unwrap();
                    assert!(back && iter.key() == key && iter.value() == value);
                } else {
                    assert!(iter.seek(&key).unwrap() && iter.key() == key);
                }
            }
            more = if backward { iter.prev() } else { iter.next() }.unwrap();
            shown += 1;
        }
        writeln!(self.output, "end of scan after {shown}").unwrap();
    }

    fn transaction(&mut self, number: u64) {
        let tablet = self.store.tablet();
        let mut transaction = tablet.begin(TransactionOptions::default()).unwrap();
        transaction.put(key(number), value(number >> 3)).unwrap();
        transaction.delete(key(number >> 2)).unwrap();
        let seen = transaction.get(&key(number)).unwrap();
        self.show("transaction", &key(number), seen.as_deref());
        if number.is_multiple_of(3) {
            drop(transaction);
        } else {
            transaction.commit(None).unwrap();
        }
    }

    fn step(&mut self, step: Step) {
        let tablet = self.store.tablet();
        let mut batch = WriteBatch::new();
        match step {
            Step::Put(number, length) => batch.put(key(number), value(length)),
            Step::Delete(number) => batch.delete(key(number)),
            Step::DeleteRange(a, b) => {
                let (a, b) = (key(a), key(b));
                if a != b {
                    batch.delete_range(a.clone().min(b.clone()), a.max(b));
                }
            }
            Step::Batch(number) => {
                for at in 0..number % 20 {
                    batch.put(key(number.rotate_left(at as u32)), value(number >> at));
                }
            }
            Step::Snapshot if self.snapshots.len() < 6 => self.snapshots.push(tablet.snapshot()),
            Step::Snapshot => {}
            Step::ReleaseSnapshot(number) if !self.snapshots.is_empty() => {
                let at = (number % self.snapshots.len() as u64) as usize;
                self.snapshots.remove(at);
            }
            Step::ReleaseSnapshot(_) => {}
            Step::Flush => tablet.flush().unwrap(),
            Step::CompactAll => tablet.compact_all().unwrap(),
            Step::Reopen => {
                self.snapshots.clear();
                self.store.close().unwrap();
                self.store =
                    Store::open(Arc::clone(&self.vfs), &self.directory, self.options.clone()).unwrap();
            }
            Step::Get(number, at) => {
                let found = self.snapshot(at).get(&key(number)).unwrap();
                self.show("get", &key(number), found.as_deref());
            }
            Step::ScanForward(a, b) | Step::ScanBackward(a, b) => {
                let (a, b) = (key(a), key(b));
                let options = IterOptions {
                    lower: Some(a.clone().min(b.clone())),
                    upper: Some(a.max(b)),
                    keys_only: false,
                };
                self.scan(
                    options.lower.as_ref().map_or(0, |key| u64::from(key[1])),
                    options,
                    matches!(step, Step::ScanBackward(..)),
                );
            }
            Step::ScanPrefix(number) => {
                let lower = key(number)[..4].to_vec();
                let mut upper = lower.clone();
                upper[3] += 1;
                self.scan(
                    number,
                    IterOptions { lower: Some(lower), upper: Some(upper), keys_only: false },
                    false,
                );
            }
            Step::Transaction(number) => self.transaction(number),
            Step::Ingest(number) => {
                let mut pairs: Vec<_> = (0..1 + number % 30)
                    .map(|at| (key(number.rotate_left(at as u32)), value(number >> (at % 20))))
                    .collect();
                pairs.sort();
                pairs.dedup_by(|a, b| a.0 == b.0);
                tablet.ingest(pairs).unwrap();
            }
            Step::MultiGet(number, at) => {
                let keys: Vec<_> = (0..40).map(|step| key(number.wrapping_mul(step + 1) >> 3)).collect();
                let asked: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
                let found = self.snapshot(at).multi_get(&asked).unwrap();
                for (key, value) in keys.iter().zip(found) {
                    self.show("multi_get", key, value.as_deref());
                }
            }
        }
        if !batch.is_empty() {
            tablet.commit(batch, None).unwrap();
        }
    }
}

/// The same data, stored differently. Which sets are encrypted changes from seed to seed, so that each is tried both ways.
fn option_sets_of(seed: u64) -> Vec<(String, StoreOptions)> {
    let sets = option_sets().into_iter().enumerate();
    let choose = |(number, (name, options)): (usize, (&str, StoreOptions))| {
        if name == "encrypted" || !(number as u64 + seed).is_multiple_of(2) {
            let encryption = encrypted_options().encryption;
            return (format!("{name}, encrypted"), StoreOptions { encryption, ..options });
        }
        (name.to_owned(), options)
    };
    sets.map(choose).collect()
}

/// The set that needs a disk.
const MAPS: &str = "maps of a real disk";

fn option_sets() -> Vec<(&'static str, StoreOptions)> {
    let prefixes = |mut options: StoreOptions, blob_threshold_bytes| {
        for keyspace in [b'a', b'd', b'i'] {
            let prefix = PrefixRule::Fixed(4);
            options.keyspaces.insert(
                Keyspace(keyspace),
                KeyspaceOptions { blob_threshold_bytes, prefix, ..KeyspaceOptions::default() },
            );
        }
        options
    };
    let base = || StoreOptions { durability: Durability::Async, ..small_options() };
    let logged = |entry_bytes_min| WalCompression::Lz4 { entry_bytes_min };
    vec![
        ("small", base()),
        (
            "defaults, inline",
            StoreOptions { background: base().background, clock: base().clock, ..StoreOptions::default() },
        ),
        (
            "lz4, blobs from 64 bytes",
            prefixes(
                StoreOptions { compression: [Compression::Lz4; 7], wal_compression: logged(1), ..base() },
                Some(64),
            ),
        ),
        (
            "zstd, no filter",
            StoreOptions {
                compression: [Compression::Zstd; 7],
                filter: FilterKind::None,
                wal_compression: logged(100),
                cache_bytes: 1 << 20,
                ..base()
            },
        ),
        (
            MAPS,
            StoreOptions {
                read_mode: ReadMode::Mmap,
                durability: Durability::None,
                cache_bytes: 1 << 20,
                ..base()
            },
        ),
        (
            "prefixes, large memtable",
            prefixes(
                StoreOptions {
                    memtable_bytes: 1 << 20,
                    restart_interval: 1,
                    wal_compression: WalCompression::None,
                    ..base()
                },
                None,
            ),
        ),
        ("prefixes, tiny cache", prefixes(StoreOptions { cache_bytes: 1 << 10, ..base() }, Some(2_000))),
        (
            "encrypted",
            StoreOptions { compression: [Compression::Zstd; 7], wal_compression: logged(500), ..base() },
        ),
        (
            "large blocks, few levels",
            StoreOptions {
                block_bytes_upper: 8_192,
                block_bytes_lower: 65_536,
                level_growth: 20,
                restart_interval: 77,
                ..base()
            },
        ),
        (
            "threads",
            StoreOptions {
                background: sheaf_storage::BackgroundWork::Threads,
                wal_compression: logged(20),
                filter_bits_per_key: 2,
                ..base()
            },
        ),
    ]
}

#[test]
fn deep_metamorphic() {
    let files = if deep() { 500 } else { 6 };
    for seed in 0..files {
        let steps = script(seed, 500);
        let mut expected: Option<String> = None;
        for (name, options) in option_sets_of(seed) {
            let mapped = options.read_mode == ReadMode::Mmap;
            let disk = mapped.then(|| tempfile::tempdir().unwrap());
            let mut run = match &disk {
                Some(disk) => Run::new(Arc::new(UnsyncedDisk), &disk.path().join("db"), options),
                None => Run::new(memory().1, DIRECTORY.as_ref(), options),
            };
            for &step in &steps {
                run.step(step);
            }
            let output = std::mem::take(&mut run.output);
            let first = expected.get_or_insert_with(|| output.clone());
            let differs = first.lines().zip(output.lines()).position(|(a, b)| a != b);
            assert_eq!(differs, None, "seed {seed}, options {name:?}");
            assert_eq!(*first, output, "seed {seed}, options {name:?}");
        }
    }
    println!("stage metamorphic: {files} files of 500 steps under {} option sets", option_sets().len());
}

#[test]
fn maps_and_positional_reads_answer_alike_on_a_real_disk() {
    let steps = script(1_000, 400);
    let mut outputs = Vec::new();
    for read_mode in [ReadMode::Pread, ReadMode::Mmap] {
        for (compression, encryption) in [
            (Compression::None, None),
            (Compression::Lz4, None),
            (Compression::None, encrypted_options().encryption),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let options = StoreOptions {
                durability: Durability::None,
                read_mode,
                compression: [compression; 7],
                encryption,
                ..small_options()
            };
            let mut run = Run::new(Arc::new(UnsyncedDisk), &directory.path().join("db"), options);
            for &step in &steps {
                run.step(step);
            }
            run.store.close().unwrap();
            outputs.push(run.output);
        }
    }
    assert!(outputs.windows(2).all(|pair| pair[0] == pair[1]));
}
