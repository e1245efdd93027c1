//! Levels built by hand, and what is chosen for them.

use std::sync::Arc;

use super::*;
use crate::cache::BlockCache;
use crate::manifest::{BlobHandle, BlobMeta, BlobRef, TableBound, TableHandle};
use crate::options::Compression;
use crate::range_tombstone::RangeTombstone;
use crate::sstable::block_file::FileOpener;
use crate::timestamp::Timestamp;
use crate::vfs::MemoryVfs;

struct Tree {
    version: Version,
    options: StoreOptions,
    load: Load,
    busy: BTreeSet<FileId>,
    dense: BTreeSet<FileId>,
    history: History,
    ranges: RangeTombstones,
    opener: Arc<FileOpener>,
}

fn meta(id: u64, smallest: &str, largest: &str, size_bytes: u64) -> TableMeta {
    TableMeta {
        file_id: FileId(id),
        size_bytes,
        checksum: 0,
        smallest: smallest.into(),
        largest: TableBound { key: largest.into(), exclusive: false },
        entries: 10,
        tombstones: 0,
        range_tombstones: 0,
        oldest: Timestamp(1),
        newest: Timestamp(5),
        epoch: id,
        fixed_timestamp: None,
        blob_references: Vec::new(),
    }
}

impl Tree {
    fn new() -> Tree {
        let options = StoreOptions {
            l0_compaction_trigger: 2,
            level_base_bytes: 1_000,
            level_growth: 10,
            table_bytes_target: 1_000,
            compression: [Compression::None; LEVELS],
            ..StoreOptions::default()
        };
        let opener = FileOpener {
            vfs: Arc::new(MemoryVfs::new()),
            directory: "t".into(),
            cache: Arc::new(BlockCache::new(1 << 20)),
            read_mode: options.read_mode,
            open_files: Arc::default(),
            keys: None,
            abandoned: Arc::default(),
        };
        Tree {
            version: Version::default(),
            options,
            load: Load::AtRest,
            busy: BTreeSet::new(),
            dense: BTreeSet::new(),
            history: History::new([], Timestamp(100)),
            ranges: RangeTombstones::default(),
            opener: Arc::new(opener),
        }
    }

    fn with(mut self, level: usize, meta: TableMeta) -> Tree {
        let table = TableRef::new(TableHandle::new(meta, Arc::clone(&self.opener)));
        let tables = &mut self.version.levels[level];
        if level == 0 {
            tables.insert(0, table)
        } else {
            tables.push(table)
        }
        self
    }

    fn choice(&self) -> Choice {
        let Tree { version, options, load, busy, dense, history, ranges, .. } = self;
        pick(&PickInput { version, options, load: *load, busy, dense, history, ranges: Some(ranges) })
    }
}

fn merge(tables: &[(usize, u64)], to: usize, reason: Reason) -> Choice {
    Choice::Merge { tables: tables.iter().map(|&(level, id)| (level, FileId(id))).collect(), to, reason }
}

fn moved(tables: &[(usize, u64)], to: usize, reason: Reason) -> Choice {
    Choice::Move { tables: tables.iter().map(|&(level, id)| (level, FileId(id))).collect(), to, reason }
}

#[test]
fn nothing_is_due_below_the_targets() {
    assert_eq!(Tree::new().choice(), Choice::Nothing);
    assert_eq!(
        Tree::new().with(0, meta(1, "a", "c", 10)).with(6, meta(2, "a", "z", 9_000)).choice(),
        Choice::Nothing
    );
}

#[test]
fn l0_takes_along_whatever_lies_between_its_tables() {
    let tree = Tree::new()
        .with(0, meta(1, "a", "b", 10))
        .with(0, meta(2, "x", "z", 10))
        .with(6, meta(3, "b", "c", 100))
        .with(6, meta(4, "m", "n", 100));
    assert_eq!(tree.choice(), merge(&[(0, 1), (0, 2), (6, 3), (6, 4)], 6, Reason::L0));
}

#[test]
fn tables_that_meet_nothing_move_unless_the_codec_changes() {
    let mut tree = Tree::new()
        .with(0, meta(1, "a", "b", 10))
        .with(0, meta(2, "x", "z", 10))
        .with(6, meta(4, "m", "n", 100));
    assert_eq!(tree.choice(), moved(&[(0, 1), (0, 2)], 6, Reason::L0));
    tree.options.compression[6] = Compression::Zstd;
    assert_eq!(tree.choice(), merge(&[(0, 1), (0, 2), (6, 4)], 6, Reason::L0));
}

#[test]
fn while_flushes_keep_coming_more_of_them_are_compacted_together() {
    let tree = |tables, load| {
        let mut tree = Tree::new();
        (tree.options.l0_compaction_trigger, tree.load) = (4, load);
        (1..=tables).fold(tree, |tree, id| tree.with(0, meta(id, "a", "z", 10))).choice()
    };
    let all = |tables| merge(&(1..=tables).map(|id| (0, id)).collect::<Vec<_>>(), 6, Reason::L0);
    assert_eq!((tree(3, Load::AtRest), tree(4, Load::AtRest)), (Choice::Nothing, all(4)));
    assert_eq!((tree(5, Load::Writes), tree(6, Load::Writes)), (Choice::Nothing, all(6)));
    let trigger = |trigger, slowdown| {
        Load::Writes.l0_trigger(&StoreOptions {
            l0_compaction_trigger: trigger,
            l0_slowdown: slowdown,
            ..StoreOptions::default()
        })
    };
    assert_eq!((trigger(1, 9), trigger(2, 9)), (1, 3), "half as many again");
    assert_eq!((trigger(8, 9), trigger(8, 8)), (9, 8), "but never so many that commits are delayed for it");
}

#[test]
fn overlapping_l0_tables_are_merged_even_into_an_empty_level() {
    let tree = Tree::new().with(0, meta(1, "a", "m", 10)).with(0, meta(2, "b", "z", 10));
    assert_eq!(tree.choice(), merge(&[(0, 1), (0, 2)], 6, Reason::L0));
}

#[test]
fn a_busy_table_of_l0_bars_newer_ones() {
    let mut tree = Tree::new()
        .with(0, meta(1, "a", "m", 10))
        .with(0, meta(2, "b", "z", 10))
        .with(0, meta(3, "b", "z", 10))
        .with(0, meta(4, "b", "z", 10));
    tree.busy.insert(FileId(1));
    assert_eq!(tree.choice(), Choice::Nothing);
    tree.busy.clear();
    tree.busy.insert(FileId(3));
    assert_eq!(tree.choice(), merge(&[(0, 2), (0, 1)].map(|(l, id)| (l, 3 - id)), 6, Reason::L0));
}

#[test]
fn a_level_over_its_target_gives_the_table_that_drags_along_least() {
    let tree = Tree::new()
        .with(5, meta(1, "a", "c", 2_000))
        .with(5, meta(2, "d", "f", 2_000))
        .with(6, meta(3, "a", "b", 9_000))
        .with(6, meta(4, "d", "e", 1_000));
    assert_eq!(tree.choice(), merge(&[(5, 2), (6, 4)], 6, Reason::LevelSize));
}

#[test]
fn a_busy_neighbour_below_makes_the_next_best_table_go() {
    let mut tree = Tree::new()
        .with(5, meta(1, "a", "c", 2_000))
        .with(5, meta(2, "d", "f", 2_000))
        .with(6, meta(3, "a", "b", 9_000))
        .with(6, meta(4, "d", "e", 1_000));
    tree.busy.insert(FileId(4));
    assert_eq!(tree.choice(), merge(&[(5, 1), (6, 3)], 6, Reason::LevelSize));
}

#[test]
fn a_table_under_a_range_tombstone_is_dropped_once_no_reader_is_older() {
    let mut tree = Tree::new().with(6, meta(1, "b", "c", 100)).with(6, meta(2, "d", "z", 100));
    let covering = RangeTombstone { start: b"a".to_vec(), end: b"e".to_vec(), timestamp: Timestamp(6) };
    tree.ranges = RangeTombstones::new([covering]);
    assert_eq!(tree.choice(), Choice::Drop { tables: vec![(6, FileId(1))] });
    tree.history = History::new([Timestamp(5)], Timestamp(100));
    assert_eq!(tree.choice(), Choice::Nothing);
}

#[test]
fn a_table_of_tombstones_is_cleared_once_no_reader_needs_them() {
    let mut tombstones = meta(1, "b", "c", 100);
    tombstones.tombstones = 6;
    let mut tree = Tree::new().with(6, tombstones);
    assert_eq!(tree.choice(), merge(&[(6, 1)], 6, Reason::Tombstones));
    tree.history = History::new([Timestamp(4)], Timestamp(100));
    assert_eq!(tree.choice(), Choice::Nothing);
}

#[test]
fn tombstones_that_hide_nearly_all_under_them_do_not_wait_until_l0_is_full() {
    let table = |id, entries, tombstones| TableMeta { entries, tombstones, ..meta(id, "b", "y", 100) };
    let tree = |tombstones, below| Tree::new().with(0, table(2, 10, tombstones)).with(6, table(1, below, 0));
    let cleared = merge(&[(0, 2), (6, 1)], 6, Reason::Tombstones);
    assert_eq!(tree(8, 10).choice(), cleared, "of ten entries eight go and two, a quarter of them, are left");
    assert_eq!(tree(8, 11).choice(), Choice::Nothing, "three would be rewritten");
    assert_eq!(tree(5, 0).choice(), cleared, "half of the table are tombstones");
    assert_eq!(tree(4, 0).choice(), Choice::Nothing, "less than half of the table");
    let two_levels = |upper| {
        let bottom = TableMeta { entries: 8, ..meta(1, "b", "y", 9_000) };
        Tree::new().with(0, table(2, 10, 8)).with(6, bottom).with(5, table(3, upper, 0))
    };
    assert_eq!(two_levels(2).choice(), merge(&[(0, 2), (5, 3)], 5, Reason::Tombstones));
    assert_eq!(two_levels(3).choice(), Choice::Nothing, "all levels below count");
    let mut read = tree(10, 10);
    read.history = History::new([Timestamp(4)], Timestamp(100));
    assert_eq!(read.choice(), Choice::Nothing, "somebody may still see what they hide");
    let mut busy = tree(10, 10);
    busy.busy.insert(FileId(1));
    assert_eq!(busy.choice(), Choice::Nothing);
}

#[test]
fn tables_that_tombstones_cover_partly_may_be_larger_than_what_they_hide() {
    let tree = |edge| {
        let tombstones = TableMeta { entries: 10, tombstones: 10, ..meta(2, "b", "y", 100) };
        let below = TableMeta { entries: edge, ..meta(1, "a", "m", 100) };
        Tree::new().with(0, tombstones).with(6, below)
    };
    assert_eq!(tree(80).choice(), merge(&[(0, 2), (6, 1)], 6, Reason::Tombstones));
    assert_eq!(tree(81).choice(), Choice::Nothing, "much data for few tombstones");
}

#[test]
fn what_waits_in_l0_under_tombstones_counts_as_what_they_may_hide() {
    let table = |id, entries, tombstones| TableMeta { entries, tombstones, ..meta(id, "b", "y", 100) };
    let tree = |older| {
        let mut tree = Tree::new().with(0, table(1, older, 0)).with(0, table(2, 10, 8));
        tree.options.l0_compaction_trigger = 4;
        tree
    };
    assert_eq!(tree(10).choice(), merge(&[(0, 1), (0, 2)], 6, Reason::Tombstones));
    assert_eq!(tree(11).choice(), Choice::Nothing);
}

#[test]
fn a_run_of_tombstones_in_a_table_of_live_keys_goes_too() {
    let mut few = meta(1, "b", "c", 100);
    few.tombstones = 2;
    let mut tree = Tree::new().with(6, few.clone());
    assert_eq!(tree.choice(), Choice::Nothing);
    tree.dense.insert(FileId(1));
    assert_eq!(tree.choice(), merge(&[(6, 1)], 6, Reason::Tombstones));
    tree.history = History::new([Timestamp(4)], Timestamp(100));
    assert_eq!(tree.choice(), Choice::Nothing, "somebody may still see what they hide");
    let mut upper = Tree::new().with(5, few).with(6, meta(2, "a", "b", 9_000));
    upper.dense.insert(FileId(1));
    assert_eq!(upper.choice(), merge(&[(5, 1), (6, 2)], 6, Reason::Tombstones));
}

#[test]
fn a_blob_file_mostly_garbage_has_its_tables_rewritten() {
    let mut referring = meta(1, "b", "c", 100);
    referring.blob_references = vec![(FileId(9), 40)];
    let mut tree = Tree::new().with(6, meta(2, "a", "a", 100)).with(6, referring);
    let blob = BlobMeta { file_id: FileId(9), size_bytes: 110, checksum: 0, values: 2, value_bytes: 100 };
    let handle = |meta| BlobRef::new(BlobHandle::new(meta, Arc::clone(&tree.opener)));
    let full = handle(BlobMeta { value_bytes: 50, ..blob.clone() });
    let wasted = handle(blob);
    let half = handle(BlobMeta { value_bytes: 80, ..wasted.meta.clone() });
    let not_quite = handle(BlobMeta { value_bytes: 79, ..wasted.meta.clone() });
    for blob in [full, not_quite] {
        tree.version.blobs.insert(FileId(9), blob);
        assert_eq!(tree.choice(), Choice::Nothing);
    }
    tree.version.blobs.insert(FileId(9), half);
    assert_eq!(tree.choice(), merge(&[(6, 1)], 6, Reason::BlobGarbage), "half is enough");
    tree.version.blobs.insert(FileId(9), wasted);
    assert_eq!(tree.choice(), merge(&[(6, 1)], 6, Reason::BlobGarbage));
}

#[test]
fn a_table_is_covered_to_its_last_key_or_not_at_all() {
    let covering = RangeTombstone { start: b"b".to_vec(), end: b"c".to_vec(), timestamp: Timestamp(6) };
    for (smallest, largest, exclusive, covered) in [
        ("b", "bz", false, true),
        ("b", "c", true, true),
        ("b", "c", false, false),
        ("a", "bz", false, false),
        ("ba", "ca", false, false),
    ] {
        let mut meta = meta(1, smallest, largest, 100);
        meta.largest.exclusive = exclusive;
        let mut tree = Tree::new().with(6, meta);
        tree.ranges = RangeTombstones::new([covering.clone()]);
        let drops = tree.choice() == Choice::Drop { tables: vec![(6, FileId(1))] };
        assert_eq!(drops, covered, "{smallest} to {largest}, exclusive: {exclusive}");
    }
}

#[test]
fn a_table_is_not_moved_where_its_next_compaction_would_meet_too_much() {
    // Nothing in the next level, and more than ten tables' worth in the one below it.
    for (below, moves) in [(10_000, true), (10_001, false)] {
        let mut tree = Tree::new().with(4, meta(1, "b", "c", 2_000)).with(6, meta(2, "a", "z", below));
        tree.options.level_growth = 100;
        let (of_move, of_merge) =
            (moved(&[(4, 1)], 5, Reason::LevelSize), merge(&[(4, 1)], 5, Reason::LevelSize));
        let choice = tree.choice();
        assert_eq!(choice, if moves { of_move } else { of_merge }, "{below}");
    }
}

#[test]
fn debt_is_what_levels_have_beyond_their_targets_and_l0_from_its_trigger_on() {
    let tree = Tree::new().with(0, meta(1, "a", "b", 70));
    assert_eq!(debt_bytes(&tree.version, &tree.options), 0);
    let tree = tree.with(0, meta(2, "a", "b", 30));
    assert_eq!(debt_bytes(&tree.version, &tree.options), 100);
    for level in 1..LEVELS - 1 {
        let mut tree = Tree::new().with(level, meta(3, "a", "b", 5_000)).with(6, meta(4, "a", "z", 6_000));
        tree.options.level_growth = 1_000;
        let target = LevelTargets::new(&tree.version, &tree.options).target(level);
        assert!(target < 5_000, "L{level}: {target}");
        assert_eq!(debt_bytes(&tree.version, &tree.options), 5_000 - target, "L{level}");
    }
}

#[test]
fn blob_garbage_is_collected_from_every_level_below_l0() {
    for level in 1..LEVELS {
        let mut referring = meta(1, "b", "c", 10);
        referring.blob_references = vec![(FileId(9), 40)];
        let mut tree = Tree::new().with(level, referring);
        let blob = BlobMeta { file_id: FileId(9), size_bytes: 110, checksum: 0, values: 2, value_bytes: 100 };
        let handle = BlobRef::new(BlobHandle::new(blob, Arc::clone(&tree.opener)));
        tree.version.blobs.insert(FileId(9), handle);
        let Tree { version, options, load, busy, dense, history, .. } = &tree;
        let input = PickInput { version, options, load: *load, busy, dense, history, ranges: None };
        let picker = Picker { input: &input, targets: LevelTargets::new(version, options) };
        assert_eq!(picker.blob_garbage(), Some(merge(&[(level, 1)], level, Reason::BlobGarbage)));
    }
}

#[test]
fn a_table_whose_entries_have_expired_stays_as_long_as_it_hides_older_ones_by_range() {
    let lives = crate::keyspace::KeyspaceOptions { expire_after_seconds: Some(10), ..Default::default() };
    let expiry = crate::expiry::Expiry::new(&[(Keyspace(b't'), lives)].into());
    let expired = |range_tombstones| {
        let mut tree = Tree::new().with(6, TableMeta { range_tombstones, ..meta(1, "t1", "t9", 100) });
        let now = Timestamp::from_parts(1_000, 1);
        tree.history = History::new([], now).expiring(Arc::new(expiry.clone()));
        tree.choice()
    };
    assert_eq!(expired(0), Choice::Drop { tables: vec![(6, FileId(1))] });
    assert_eq!(expired(1), Choice::Nothing);
}
