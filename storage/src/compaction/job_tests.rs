//! A tree run by hand against a sorted map of all versions: flush, pick, compact, read, at every timestamp that history
//! promises, in both directions.

#![expect(clippy::cast_possible_truncation, reason = "numbers drawn below the target's range")]

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::*;
use crate::cache::BlockCache;
use crate::coding::key_hash;
use crate::compaction::picker::{Load, PickInput, pick};
use crate::entry::ValueKind;
use crate::keyspace::{Keyspace, KeyspaceOptions, PrefixRule};
use crate::manifest::{BlobHandle, BlobRef, TableHandle, TableMeta, TableRef, VersionRef};
use crate::options::{Compression, FilterKind, ReadMode};
use crate::read::{Iter, IterOptions, ReadView, ViewRef, point};
use crate::timestamp::Timestamp;
use crate::vfs::{MemoryVfs, Vfs};

/// All versions of all keys, newest first; `None` is a delete.
type Model = BTreeMap<(Vec<u8>, Reverse<u64>), Option<Vec<u8>>>;

struct Tree {
    options: StoreOptions,
    opener: Arc<FileOpener>,
    version: Version,
    memtable: Arc<Memtable>,
    next_file: Cell<u64>,
    epoch: u64,
    now: u64,
    snapshots: Vec<u64>,
    floor: u64,
    model: Model,
    choices: BTreeMap<&'static str, usize>,
}

fn options(seed: u64) -> StoreOptions {
    let mut options = StoreOptions {
        block_bytes_upper: [64, 200, 4_096][seed as usize % 3],
        block_bytes_lower: [100, 700][seed as usize % 2],
        l0_compaction_trigger: 2,
        level_base_bytes: 2_500,
        level_growth: 3,
        table_bytes_target: 1_200,
        blob_file_bytes_target: 600,
        blob_garbage_percent_max: 40,
        filter: if seed.is_multiple_of(5) { FilterKind::None } else { FilterKind::BlockedBloom },
        ..StoreOptions::default()
    };
    let codecs = [Compression::None, Compression::Lz4, Compression::Zstd];
    options.compression = std::array::from_fn(|level| codecs[(level + seed as usize) % 3]);
    if seed.is_multiple_of(4) {
        options.compression = [Compression::None; 7];
    }
    let prefix = if seed.is_multiple_of(2) { PrefixRule::Fixed(2) } else { PrefixRule::None };
    options.keyspaces.insert(
        Keyspace(b'b'),
        KeyspaceOptions { blob_threshold_bytes: Some(64), prefix, ..KeyspaceOptions::default() },
    );
    options
}

impl Tree {
    fn new(seed: u64) -> Tree {
        let options = options(seed);
        let vfs = Arc::new(MemoryVfs::new());
        vfs.create_dir("t".as_ref()).unwrap();
        let opener = FileOpener {
            vfs,
            directory: "t".into(),
            cache: Arc::new(BlockCache::new(if seed.is_multiple_of(3) { 1 << 10 } else { 1 << 20 })),
            read_mode: ReadMode::Pread,
            open_files: Arc::default(),
            keys: None,
            abandoned: Arc::default(),
        };
        Tree {
            options,
            opener: Arc::new(opener),
            version: Version::default(),
            memtable: Arc::new(Memtable::new()),
            next_file: Cell::new(1),
            epoch: 1,
            now: 1,
            snapshots: Vec::new(),
            floor: 0,
            model: Model::new(),
            choices: BTreeMap::new(),
        }
    }

    fn put(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.now += 1;
        let kind = if value.is_some() { ValueKind::Put } else { ValueKind::Delete };
        self.memtable.insert(key, Timestamp(self.now), kind, value.unwrap_or_default());
        self.model.insert((key.to_vec(), Reverse(self.now)), value.map(<[u8]>::to_vec));
    }

    fn delete_range(&mut self, start: &[u8], end: &[u8]) {
        self.now += 1;
        self.memtable.insert_range_delete(start, end, Timestamp(self.now));
        let keys: BTreeSet<_> = self.model.keys().map(|(key, _)| key.clone()).collect();
        for key in keys.into_iter().filter(|key| key.as_slice() >= start && key.as_slice() < end) {
            self.model.insert((key, Reverse(self.now)), None);
        }
    }

    fn run(&mut self, job: impl FnOnce(&JobContext<'_>, &Version) -> Result<JobOutcome>) {
        let history = History::new(self.snapshots.iter().copied().map(Timestamp), Timestamp(self.floor));
        let next_file = || {
            self.next_file.set(self.next_file.get() + 1);
            FileId(self.next_file.get())
        };
        let stop = AtomicBool::new(false);
        let context = JobContext {
            options: &self.options,
            opener: &self.opener,
            next_file: &next_file,
            history,
            stop: &stop,
            pace: &|_| {},
        };
        let outcome = job(&context, &self.version).unwrap();
        self.apply(outcome.edit);
    }

    fn apply(&mut self, edit: VersionEdit) {
        self.version = self.version.successor();
        for (level, id) in edit.removed_tables {
            self.version.levels[level].retain(|table| table.meta.file_id != id);
        }
        for (level, meta) in edit.added_tables {
            self.version.levels[level].push(TableRef::new(TableHandle::new(meta, Arc::clone(&self.opener))));
        }
        for meta in edit.added_blobs {
            self.version
                .blobs
                .insert(meta.file_id, BlobRef::new(BlobHandle::new(meta, Arc::clone(&self.opener))));
        }
        let live = self.version.blob_live_bytes();
        self.version.blobs.retain(|id, _| live.get(id).is_some_and(|&bytes| bytes > 0));
        self.version.levels[0].sort_by_key(|table| Reverse(table.meta.epoch));
        for level in &mut self.version.levels[1..] {
            level.sort_by(|a, b| a.meta.smallest.cmp(&b.meta.smallest));
            for pair in level.windows(2) {
                let (left, right) = (&pair[0].meta, &pair[1].meta);
                assert!(!left.overlaps_table(right), "{left:?} and {right:?} overlap");
            }
        }
    }

    fn flush(&mut self) {
        let memtable = std::mem::replace(&mut self.memtable, Arc::new(Memtable::new()));
        self.epoch += 1;
        let epoch = self.epoch;
        self.run(|context, _| flush(context, &[memtable], epoch));
    }

    fn compact(&mut self) -> bool {
        let history = History::new(self.snapshots.iter().copied().map(Timestamp), Timestamp(self.floor));
        let choice = pick(&PickInput {
            version: &self.version,
            options: &self.options,
            load: Load::AtRest,
            busy: &BTreeSet::new(),
            dense: &BTreeSet::new(),
            history: &history,
            ranges: self.version.range_tombstones().unwrap().map(|ranges| &**ranges),
        });
        let name = match &choice {
            Choice::Nothing => return false,
            Choice::Move { .. } => "move",
            Choice::Drop { .. } => "drop",
            Choice::Merge { reason: Reason::BlobGarbage, .. } => "blob garbage",
            Choice::Merge { reason: Reason::Tombstones, .. } => "tombstones",
            Choice::Merge { .. } => "merge",
        };
        *self.choices.entry(name).or_default() += 1;
        self.run(|context, version| compact(context, version, &choice));
        true
    }

    fn visible(&self, at: u64) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut out: Vec<(Vec<u8>, Option<Vec<u8>>)> = Vec::new();
        for ((key, Reverse(timestamp)), value) in &self.model {
            if *timestamp <= at && out.last().is_none_or(|(last, _)| last != key) {
                out.push((key.clone(), value.clone()));
            }
        }
        out.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }

    fn check(&self, random: u64) {
        let version = VersionRef::new(self.version.clone());
        let view = ViewRef::new(ReadView {
            memtables: vec![Arc::clone(&self.memtable)],
            version,
            expiry: Arc::default(),
        });
        let mut readable = self.snapshots.clone();
        readable.extend([self.floor.max(1), self.now, self.floor.midpoint(self.now).max(1)]);
        for at in readable {
            let expected = self.visible(at);
            let mut iter =
                Iter::open(ViewRef::clone(&view), None, Timestamp(at), IterOptions::default()).unwrap();
            let mut forward = Vec::new();
            let mut more = iter.seek_to_first().unwrap();
            while more {
                forward.push((iter.key().to_vec(), iter.value().to_vec()));
                more = iter.next().unwrap();
            }
            assert_eq!(forward, expected, "forward at {at}");
            let mut backward = Vec::new();
            more = iter.seek_to_last().unwrap();
            while more {
                backward.push((iter.key().to_vec(), iter.value().to_vec()));
                more = iter.prev().unwrap();
            }
            backward.reverse();
            assert_eq!(backward, expected, "backward at {at}");
            self.check_points(&view, at, &expected);
            self.check_walk(&view, at, &expected, random);
        }
    }

    fn check_points(&self, view: &ViewRef, at: u64, expected: &[(Vec<u8>, Vec<u8>)]) {
        let present: BTreeMap<_, _> = expected.iter().cloned().collect();
        let keys: BTreeSet<_> = self.model.keys().map(|(key, _)| key.clone()).collect();
        for key in &keys {
            let found = point::get(view, key, Timestamp(at)).unwrap();
            assert_eq!(found.as_deref(), present.get(key).map(Vec::as_slice), "{key:?} at {at}");
        }
    }

    /// Turns round at random within random bounds.
    fn check_walk(&self, view: &ViewRef, at: u64, expected: &[(Vec<u8>, Vec<u8>)], random: u64) {
        let pick_key = |n: u64| key_of(key_hash(&(random ^ n).to_le_bytes()));
        let (a, b) = (pick_key(1), pick_key(2));
        let (lower, upper) = if a < b { (a, b) } else { (b, a) };
        let expected: Vec<_> = expected.iter().filter(|(key, _)| *key >= lower && *key < upper).collect();
        let options = IterOptions { lower: Some(lower), upper: Some(upper), keys_only: false };
        let mut iter = Iter::open(ViewRef::clone(view), None, Timestamp(at), options).unwrap();
        let target = pick_key(3);
        let mut place =
            expected.partition_point(|(key, _)| *key < target).checked_add(0).filter(|&i| i < expected.len());
        iter.seek(&target).unwrap();
        for step in 0..30 {
            assert_eq!(iter.valid(), place.is_some(), "step {step}");
            if let Some(at) = place {
                assert_eq!(
                    (iter.key(), iter.value()),
                    (expected[at].0.as_slice(), expected[at].1.as_slice())
                );
            }
            match key_hash(&(random + step).to_le_bytes()) % 5 {
                0 | 1 => {
                    iter.next().unwrap();
                    place = place.map(|at| at + 1).filter(|&at| at < expected.len());
                }
                2 | 3 => {
                    iter.prev().unwrap();
                    place = place.and_then(|at| at.checked_sub(1));
                }
                _ => {
                    let target = pick_key(step + 10);
                    iter.seek_for_prev(&target).unwrap();
                    place = expected.partition_point(|(key, _)| *key <= target).checked_sub(1);
                }
            }
        }
    }
}

fn key_of(random: u64) -> Vec<u8> {
    let keyspace = if random.is_multiple_of(2) { 'a' } else { 'b' };
    format!("{keyspace}{:02}{}", (random >> 8) % 30, "x".repeat((random >> 16) as usize % 3)).into_bytes()
}

fn run_seed(seed: u64, steps: u64, choices: &mut BTreeMap<&'static str, usize>) {
    let mut tree = Tree::new(seed);
    for step in 0..steps {
        let random = key_hash(&(seed * 1_000_000 + step).to_le_bytes());
        match random % 100 {
            0..60 => {
                let length = [3, 20, 70, 150][(random >> 40) as usize % 4];
                tree.put(&key_of(random >> 8), Some(&vec![b'a' + (random >> 50) as u8 % 26; length]));
            }
            60..82 => tree.put(&key_of(random >> 8), None),
            82..85 => {
                let (start, end) = (key_of(random >> 8), key_of(random >> 20));
                tree.delete_range(&start, &end);
            }
            85..88 => tree.snapshots.push(tree.now),
            88..91 if !tree.snapshots.is_empty() => {
                tree.snapshots.swap_remove((random >> 8) as usize % tree.snapshots.len());
            }
            91..93 => {
                tree.floor = tree.floor.max(tree.now.saturating_sub((random >> 8) % 8));
                // A snapshot is taken at or above the floor of its time, which only rises.
                tree.snapshots.sort_unstable();
            }
            93..97 => tree.flush(),
            _ => {
                for _ in 0..4 {
                    tree.compact();
                }
            }
        }
        if step % 25 == 24 {
            tree.floor = tree.floor.min(tree.now);
            tree.check(random);
        }
    }
    tree.snapshots.clear();
    tree.floor = tree.now;
    tree.flush();
    for _ in 0..200 {
        if !tree.compact() {
            break;
        }
    }
    assert!(!tree.compact(), "compaction comes to rest");
    tree.check(seed);
    let choice = choose_all(&tree.version, &tree.options);
    tree.run(|context, version| compact(context, version, &choice));
    tree.check(seed);
    let entries: u64 = tree.version.levels.iter().flatten().map(|table| table.meta.entries).sum();
    assert_eq!(
        entries,
        tree.visible(tree.now).len() as u64,
        "after a full compaction only what is visible remains"
    );
    for (name, count) in tree.choices {
        *choices.entry(name).or_default() += count;
    }
}

#[test]
fn deep_tree() {
    let seeds = if std::env::var_os("SHEAF_DEEP").is_some() { 400 } else { 12 };
    let mut choices = BTreeMap::new();
    for seed in 0..seeds {
        run_seed(seed, 600, &mut choices);
    }
    println!("stage tree: {seeds} seeds of 600 steps, {choices:?}");
    for expected in ["merge", "move", "tombstones", "blob garbage"] {
        assert!(choices.contains_key(expected), "no {expected} among {choices:?}");
    }
}

#[test]
fn a_raised_stop_ends_a_job_and_leaves_no_file() {
    let mut tree = Tree::new(1);
    for step in 0..50 {
        tree.put(&key_of(step), Some(b"value"));
    }
    let stop = AtomicBool::new(true);
    let next_file = || FileId(77);
    let history = History::new([], Timestamp(0));
    let context = JobContext {
        options: &tree.options,
        opener: &tree.opener,
        next_file: &next_file,
        history,
        stop: &stop,
        pace: &|_| {},
    };
    assert!(matches!(flush(&context, &[Arc::clone(&tree.memtable)], 1), Err(Error::Closed)));
    assert_eq!(tree.opener.vfs.list("t".as_ref()).unwrap(), Vec::<String>::new());
}

#[test]
fn a_table_drags_along_no_more_than_its_share_of_the_level_below() {
    let mut tree = Tree::new(4);
    for number in 0..600 {
        tree.put(format!("a{number:04}").as_bytes(), Some(&[b'v'; 100]));
    }
    tree.flush();
    let choice = choose_all(&tree.version, &tree.options);
    tree.run(|context, version| compact(context, version, &choice));
    let below = tree.version.level(6).len();
    assert!(below > 40, "{below}");
    // Few and small, all over the level below: by their size they would share one table.
    for number in (0..600).step_by(20) {
        tree.put(format!("a{number:04}").as_bytes(), Some(b"x"));
    }
    tree.flush();
    let tables = tree.version.level(0).iter().map(|table| (0, table.meta.file_id)).collect();
    let choice = Choice::Merge { tables, to: 5, reason: Reason::L0 };
    tree.run(|context, version| compact(context, version, &choice));
    assert!(tree.version.level(5).len() >= 3);
    for table in tree.version.level(5) {
        let met = tree.version.level(6).iter().filter(|other| other.meta.overlaps_table(&table.meta));
        let bytes: u64 = met.map(|other| other.meta.size_bytes).sum();
        assert!(bytes <= 13 * tree.options.table_bytes_target, "{bytes} bytes below one table");
    }
    tree.check(1);
}

#[test]
fn every_level_has_its_codec() {
    let mut tree = Tree::new(4);
    let (none, lz4, zstd) = (Compression::None, Compression::Lz4, Compression::Zstd);
    tree.options.compression = [none, lz4, zstd, none, zstd, lz4, none];
    for number in 0..200 {
        tree.put(format!("a{number:04}").as_bytes(), Some(&[b'v'; 100]));
    }
    tree.flush();
    for level in 0..7 {
        if level > 0 {
            let above = tree.version.level(level - 1).iter();
            let tables = above.map(|table| (level - 1, table.meta.file_id)).collect();
            let choice = Choice::Merge { tables, to: level, reason: Reason::L0 };
            tree.run(|context, version| compact(context, version, &choice));
        }
        let tables = tree.version.level(level);
        assert!(
            !tables.is_empty() && tree.version.levels.iter().map(Vec::len).sum::<usize>() == tables.len()
        );
        for table in tables {
            let reader = table.reader().unwrap();
            for handle in reader.index_handles(reader.index_root()).unwrap() {
                let sealed = reader.file().read(handle.offset, handle.length as usize).unwrap();
                // The byte before the checksum.
                let codec = sealed[sealed.len() - 9];
                assert_eq!(codec, tree.options.compression[level] as u8, "level {level}");
            }
        }
    }
    tree.check(1);
}

#[test]
fn a_table_past_half_its_size_ends_where_one_of_the_level_below_does() {
    let mut tree = Tree::new(4);
    let write = |tree: &mut Tree| {
        for number in 0..600 {
            tree.put(format!("a{number:04}").as_bytes(), Some(&[b'v'; 100]));
        }
        tree.flush();
    };
    write(&mut tree);
    let choice = choose_all(&tree.version, &tree.options);
    tree.run(|context, version| compact(context, version, &choice));
    assert!(tree.version.level(6).len() > 40);
    // Several tables of the level below fit into one of these.
    tree.options.table_bytes_target *= 8;
    write(&mut tree);
    let tables = tree.version.level(0).iter().map(|table| (0, table.meta.file_id)).collect();
    let choice = Choice::Merge { tables, to: 5, reason: Reason::L0 };
    tree.run(|context, version| compact(context, version, &choice));
    let (tables, target) = (tree.version.level(5), tree.options.table_bytes_target);
    assert!(tables.len() >= 5, "{}", tables.len());
    for table in tables.split_last().unwrap().1 {
        let ends_alike = |below: &&TableRef| below.meta.largest == table.meta.largest;
        assert!(tree.version.level(6).iter().any(|below| ends_alike(&below)), "{:?}", table.meta.largest);
        let bytes = table.meta.size_bytes;
        assert!(bytes >= target / 2 && bytes <= target * 3 / 4, "{bytes} of {target}");
    }
    tree.check(1);
}

#[test]
fn a_compaction_that_reads_fewer_entries_than_there_are_said_to_be_keeps_nothing() {
    let mut tree = Tree::new(1);
    (0..20_u8).for_each(|number| tree.put(&[b'a', number], Some(b"value")));
    tree.flush();
    let whole = tree.version.levels[0][0].meta.clone();
    for entries in [whole.entries - 1, whole.entries, whole.entries + 1] {
        let meta = TableMeta { entries, ..whole.clone() };
        let handle = TableRef::new(TableHandle::new(meta, Arc::clone(&tree.opener)));
        tree.version.levels[0] = vec![handle];
        let stop = AtomicBool::new(false);
        let context = JobContext {
            options: &tree.options,
            opener: &tree.opener,
            next_file: &|| {
                tree.next_file.set(tree.next_file.get() + 1);
                FileId(tree.next_file.get())
            },
            history: History::new([], Timestamp(tree.now)),
            stop: &stop,
            pace: &|_| {},
        };
        let names = || tree.opener.vfs.list("t".as_ref()).unwrap().len();
        let before = names();
        let outcome = compact(&context, &tree.version, &choose_all(&tree.version, &tree.options));
        assert_eq!(outcome.is_ok(), entries == whole.entries, "{outcome:?}");
        if outcome.is_err() {
            assert!(matches!(outcome, Err(Error::Corruption { .. })));
            assert_eq!(names(), before);
        }
    }
}
