//! Chooses the next compaction. Pure: version, options and what is busy in, a choice out.
//!
//! In order:
//! 1. Tables a range tombstone covers whole, for every reader, or whose entries have all expired: dropped.
//! 2. L0 or the level furthest over its target. From L0 the oldest tables go, together, into the base level. From
//!    another level goes the table that overlaps least of the next, relative to its size. A table that overlaps nothing
//!    there is moved instead of rewritten, if both levels compress alike.
//! 3. A blob file that is mostly garbage: a table that refers to it is rewritten in its level.
//! 4. A table that is mostly tombstones nobody needs to see, or below L0 in a part of it: rewritten one level down, or in place
//!    at the bottom. L0 goes
//!    as a whole, below its trigger too, if its tombstones hide nearly all that lies under them.
//!
//! Worked example: at rest, L0 has 4 tables (trigger 4), L5 is empty, L6 holds 3. Base is L6. All four and those of the three they
//! overlap are merged into L6.

use std::collections::BTreeSet;

use crate::compaction::levels::LevelTargets;
use crate::compaction::retain::History;
use crate::compaction::{Choice, Reason};
use crate::file_id::FileId;
use crate::keyspace::Keyspace;
use crate::limits::LEVELS;
use crate::manifest::{BlobRef, TableHandle, TableMeta, TableRef, Version};
use crate::options::StoreOptions;
use crate::range_tombstone::RangeTombstones;

/// Fixed-point scale of scores: 1000 is "at target".
const SCORE_ONE: u64 = 1_000;
/// One compaction out of L0 reads at most this many memtables' worth from L0.
const L0_INPUT_TABLES_MAX: usize = 32;
/// Tombstones in L0 wait for its trigger if of what lies under them more entries would survive than a share of their number.
const SURVIVORS_PER_TOMBSTONE: (u64, u64) = (1, 4);
/// Or if the tables that they only partly cover, which would be rewritten with the rest, have more entries than so many for
/// each of them.
const EDGE_ENTRIES_PER_TOMBSTONE_MAX: u64 = 8;

/// How much is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// The last flush was a while ago.
    AtRest,
    /// One flush follows the other.
    Writes,
}

impl Load {
    /// Flushes in L0 at which it is compacted. While they keep coming it may hold half as many again: whatever comes out of
    /// it is merged with all of the base level, so that the more goes at once the less is rewritten for each byte. At rest
    /// readers come first.
    fn l0_trigger(self, options: &StoreOptions) -> usize {
        let trigger = options.l0_compaction_trigger.max(1);
        match self {
            Load::AtRest => trigger,
            Load::Writes => (trigger + trigger / 2).min(options.l0_slowdown).max(trigger),
        }
    }
}

/// What the choice depends on.
pub struct PickInput<'a> {
    /// The files.
    pub version: &'a Version,
    /// The store's options.
    pub options: &'a StoreOptions,
    /// Whether flushes keep coming.
    pub load: Load,
    /// Tables some running job reads.
    pub busy: &'a BTreeSet<FileId>,
    /// What readers may read.
    pub history: &'a History,
    /// Tables of which a part is mostly tombstones, whatever the rest is.
    pub dense: &'a BTreeSet<FileId>,
    /// The range tombstones of all tables of the version.
    pub ranges: Option<&'a RangeTombstones>,
}

/// The blob files of which so much is garbage that what is alive should move.
pub fn garbage_blobs(version: &Version, options: &StoreOptions) -> BTreeSet<FileId> {
    let live = version.blob_live_bytes();
    let mostly_garbage = |(id, blob): (&FileId, &BlobRef)| {
        let live = live.get(id).copied().unwrap_or_default();
        let garbage = blob.meta.value_bytes.saturating_sub(live);
        let share = u64::from(options.blob_garbage_percent_max);
        (garbage > 0 && live > 0 && garbage * 100 >= blob.meta.value_bytes * share).then_some(*id)
    };
    version.blobs.iter().filter_map(mostly_garbage).collect()
}

/// The next thing to do.
pub fn pick(input: &PickInput<'_>) -> Choice {
    let picker = Picker { input, targets: LevelTargets::new(input.version, input.options) };
    picker
        .covered_tables()
        .or_else(|| picker.expired_tables())
        .or_else(|| picker.over_target())
        .or_else(|| picker.blob_garbage())
        .or_else(|| picker.tombstones())
        .unwrap_or(Choice::Nothing)
}

/// The tables that range tombstones cover whole, for every reader.
pub fn pick_covered(input: &PickInput<'_>) -> Option<Choice> {
    Picker { input, targets: LevelTargets::new(input.version, input.options) }.covered_tables()
}

/// Bytes that compaction has yet to move: what write delays are proportional to.
pub fn debt_bytes(version: &Version, options: &StoreOptions) -> u64 {
    let targets = LevelTargets::new(version, options);
    let upper: u64 =
        if version.l0_runs() >= options.l0_compaction_trigger { version.level_bytes(0) } else { 0 };
    let over = (1..LEVELS - 1).map(|level| version.level_bytes(level).saturating_sub(targets.target(level)));
    upper + over.sum::<u64>()
}

struct Picker<'a> {
    input: &'a PickInput<'a>,
    targets: LevelTargets,
}

impl Picker<'_> {
    fn l0_trigger(&self) -> usize {
        self.input.load.l0_trigger(self.input.options)
    }

    fn busy(&self, table: &TableHandle) -> bool {
        self.input.busy.contains(&table.meta.file_id)
    }

    fn covered_tables(&self) -> Option<Choice> {
        let ranges = self.input.ranges?;
        let oldest = self.input.history.oldest();
        // A table's own range tombstones lie within its bounds and are no newer than it, so what they hide is hidden by
        // what covers the table.
        let covered =
            |meta: &TableMeta| ranges.covers_range(&meta.smallest, &meta.largest, meta.newest, oldest);
        let mut tables = Vec::new();
        for (level, of_level) in self.input.version.levels.iter().enumerate() {
            let droppable = of_level.iter().filter(|table| !self.busy(table) && covered(&table.meta));
            tables.extend(droppable.map(|table| (level, table.meta.file_id)));
        }
        (!tables.is_empty()).then_some(Choice::Drop { tables })
    }

    /// Tables of one keyspace in which even the newest entry has expired. What lies deeper under their keys is older.
    fn expired_tables(&self) -> Option<Choice> {
        let expired = |meta: &TableMeta| {
            meta.range_tombstones == 0
                && Keyspace::of(&meta.smallest) == Keyspace::of(&meta.largest.key)
                && self.input.history.expired(&meta.smallest, meta.newest)
        };
        let mut tables = Vec::new();
        for (level, of_level) in self.input.version.levels.iter().enumerate() {
            let droppable = of_level.iter().filter(|table| !self.busy(table) && expired(&table.meta));
            tables.extend(droppable.map(|table| (level, table.meta.file_id)));
        }
        (!tables.is_empty()).then_some(Choice::Drop { tables })
    }

    /// How full a level is, in thousandths of its target.
    fn score(&self, level: usize) -> u64 {
        let version = self.input.version;
        if level == 0 {
            // Tables of one flush do not overlap: a reader meets one of them.
            let idle = version.level(0).iter().filter(|table| !self.busy(table));
            let epochs: BTreeSet<u64> = idle.map(|table| table.meta.epoch).collect();
            return epochs.len() as u64 * SCORE_ONE / self.l0_trigger() as u64;
        }
        let idle = version.level(level).iter().filter(|table| !self.busy(table));
        let bytes: u64 = idle.map(|table| table.meta.size_bytes).sum();
        let target = self.targets.target(level);
        if target == 0 {
            // A level above the base should be empty.
            return if bytes > 0 { SCORE_ONE } else { 0 };
        }
        bytes.saturating_mul(SCORE_ONE) / target
    }

    fn over_target(&self) -> Option<Choice> {
        let mut due: Vec<(u64, usize)> = (0..LEVELS - 1).map(|level| (self.score(level), level)).collect();
        due.retain(|(score, _)| *score >= SCORE_ONE);
        due.sort_by_key(|(score, level)| (std::cmp::Reverse(*score), *level));
        due.into_iter().find_map(|(_, level)| match level {
            0 => self.take_from_l0(self.l0_trigger(), Reason::L0),
            _ => self.take_from_level(level),
        })
    }

    /// The oldest tables of L0 that no job reads, into the base level; not if they are of fewer than `flushes_min` flushes.
    fn take_from_l0(&self, flushes_min: usize, reason: Reason) -> Option<Choice> {
        let version = self.input.version;
        // Newest first in the version; a busy table bars what is newer than it.
        let oldest =
            version.level(0).iter().rev().take_while(|table| !self.busy(table)).take(L0_INPUT_TABLES_MAX);
        let inputs: Vec<_> = oldest.collect();
        let epochs: BTreeSet<u64> = inputs.iter().map(|table| table.meta.epoch).collect();
        if epochs.len() < version.l0_runs().min(flushes_min) {
            return None;
        }
        self.push_into_level(0, &inputs, self.targets.base, reason)
    }

    /// The table that drags along least of the next level.
    fn take_from_level(&self, level: usize) -> Option<Choice> {
        let next = self.input.version.level(level + 1);
        let cost = |table: &TableRef| {
            let overlapping = next.iter().filter(|other| other.meta.overlaps_table(&table.meta));
            let bytes: u64 = overlapping.map(|other| other.meta.size_bytes).sum();
            bytes.saturating_mul(SCORE_ONE) / table.meta.size_bytes.max(1)
        };
        let mut tables: Vec<_> =
            self.input.version.level(level).iter().filter(|table| !self.busy(table)).collect();
        tables.sort_by_cached_key(|table| (cost(table), table.meta.file_id));
        tables
            .into_iter()
            .find_map(|table| self.push_into_level(level, &[table], level + 1, Reason::LevelSize))
    }

    /// Moves or merges `inputs` of `level` into level `to`; `None` when something it needs is busy.
    fn push_into_level(
        &self,
        level: usize,
        inputs: &[&TableRef],
        to: usize,
        reason: Reason,
    ) -> Option<Choice> {
        let next = self.input.version.level(to);
        let mut tables: Vec<_> = inputs.iter().map(|table| (level, table.meta.file_id)).collect();
        let meets_one = |other: &TableRef| inputs.iter().any(|table| table.meta.overlaps_table(&other.meta));
        if !next.iter().any(meets_one) && self.may_move(inputs, level, to) {
            return Some(Choice::Move { tables, to, reason });
        }
        // The outputs lie anywhere between the first and the last key of all inputs, so whatever the target level has in
        // between takes part, even where no single input touches it.
        let first = inputs.iter().map(|table| table.meta.smallest.as_slice()).min()?;
        let within = |other: &&TableRef| {
            other.meta.largest.admits(first)
                && inputs.iter().any(|table| table.meta.largest.admits(&other.meta.smallest))
        };
        let overlapping: Vec<_> = next.iter().filter(within).collect();
        if overlapping.iter().any(|table| self.busy(table)) {
            return None;
        }
        tables.extend(overlapping.iter().map(|table| (to, table.meta.file_id)));
        Some(Choice::Merge { tables, to, reason })
    }

    /// Whether tables may go down as they are: apart from each other, compressed as the lower level is, and not dragging
    /// along too much when they move on.
    fn may_move(&self, inputs: &[&TableRef], level: usize, to: usize) -> bool {
        let compression = &self.input.options.compression;
        let mut sorted = inputs.to_vec();
        sorted.sort_by(|a, b| a.meta.smallest.cmp(&b.meta.smallest));
        let apart = sorted.windows(2).all(|pair| match pair {
            [left, right] => !left.meta.overlaps_table(&right.meta),
            _ => true,
        });
        let below = self.input.version.level(to + 1);
        let light = inputs.iter().all(|table| {
            let overlapping = below.iter().filter(|other| other.meta.overlaps_table(&table.meta));
            let bytes: u64 = overlapping.map(|other| other.meta.size_bytes).sum();
            bytes <= 10 * self.input.options.table_bytes_target
        });
        apart && light && compression.get(level) == compression.get(to)
    }

    fn blob_garbage(&self) -> Option<Choice> {
        let garbage = garbage_blobs(self.input.version, self.input.options);
        if garbage.is_empty() {
            return None;
        }
        let levels = self.input.version.levels.iter().enumerate().skip(1);
        let mut candidates =
            levels.flat_map(|(level, tables)| tables.iter().map(move |table| (level, table)));
        let refers =
            |table: &TableHandle| table.meta.blob_references.iter().any(|(id, _)| garbage.contains(id));
        let (level, table) = candidates.find(|(_, table)| !self.busy(table) && refers(table))?;
        let tables = vec![(level, table.meta.file_id)];
        Some(Choice::Merge { tables, to: level, reason: Reason::BlobGarbage })
    }

    /// Whether at least half of a table are tombstones that are older than every reader.
    fn is_swamped(&self, table: &TableHandle) -> bool {
        let meta = &table.meta;
        let read_by_none = meta.newest <= self.input.history.oldest();
        read_by_none && meta.tombstones > 0 && 2 * meta.tombstones >= meta.entries
    }

    /// L0, if it has tables of tombstones that hide nearly all that lies under them (a queue's consumed part, a dropped
    /// tenant): they would be in the way of every scan until L0 is full. Deletes strewn over keys that live on wait, for all of
    /// those would have to be rewritten.
    fn l0_tombstones(&self) -> Option<Choice> {
        let version = self.input.version;
        let is_swamped = |table: &&TableRef| !self.busy(table) && self.is_swamped(table);
        let swamped: Vec<_> = version.level(0).iter().filter(is_swamped).collect();
        let tombstones: u64 = swamped.iter().map(|table| table.meta.tombstones).sum();
        let older_l0 = version.level(0).iter().filter(|table| !is_swamped(table));
        let (mut within, mut edges) = (0_u64, 0_u64);
        for other in version.levels.iter().skip(1).flatten().chain(older_l0) {
            if swamped.iter().any(|table| table.meta.encloses_table(&other.meta)) {
                within += other.meta.entries;
            } else if swamped.iter().any(|table| table.meta.overlaps_table(&other.meta)) {
                edges += other.meta.entries;
            }
        }
        let (share, of) = SURVIVORS_PER_TOMBSTONE;
        let survive = within.saturating_sub(tombstones);
        let is_dear = survive.saturating_mul(of) > tombstones.saturating_mul(share)
            || edges > tombstones.saturating_mul(EDGE_ENTRIES_PER_TOMBSTONE_MAX);
        if swamped.is_empty() || is_dear {
            return None;
        }
        self.take_from_l0(version.l0_runs(), Reason::Tombstones)
    }

    /// Whether a walk over a part of a table meets little but tombstones that are older than every reader.
    fn is_dense(&self, table: &TableHandle) -> bool {
        let meta = &table.meta;
        self.input.dense.contains(&meta.file_id) && meta.newest <= self.input.history.oldest()
    }

    /// A table of which at least half, or of which a part, are tombstones that are older than every reader.
    fn tombstones(&self) -> Option<Choice> {
        if let Some(choice) = self.l0_tombstones() {
            return Some(choice);
        }
        for level in (1..LEVELS).rev() {
            let tables = self.input.version.level(level).iter();
            let in_the_way =
                |table: &&TableRef| !self.busy(table) && (self.is_swamped(table) || self.is_dense(table));
            for table in tables.filter(in_the_way) {
                let to = (level + 1).min(LEVELS - 1);
                let choice = match self.push_into_level(level, &[table], to, Reason::Tombstones) {
                    _ if to == level => Choice::Merge {
                        tables: vec![(level, table.meta.file_id)],
                        to,
                        reason: Reason::Tombstones,
                    },
                    Some(choice) => choice,
                    None => continue,
                };
                return Some(choice);
            }
        }
        None
    }
}

#[cfg(test)]
#[path = "picker_tests.rs"]
mod tests;
