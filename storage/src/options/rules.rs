//! What options must hold. Each rule is one line, and each has a row in the test below that breaks it and no other.

use std::borrow::Cow;

use crate::error::{Error, Result};
use crate::keyspace::PrefixRule;
use crate::limits::{
    BLOB_THRESHOLD_BYTES_MIN, BLOCK_BYTES_MAX, COMPACTION_THREADS_MAX, KEY_BYTES_MAX, PACE_BYTES_MIN,
    RESTART_INTERVAL_MAX, SYNC_EVERY_BYTES_MIN,
};
use crate::options::{FilterKind, StoreOptions};

/// A rule: whether it holds, and what it says.
type Rule = (bool, Cow<'static, str>);

fn rule(holds: bool, what: &'static str) -> Rule {
    (holds, Cow::Borrowed(what))
}

impl StoreOptions {
    /// Fails with [`Error::InvalidInput`], which says what must hold, if a value is out of bounds or two do not go together. No
    /// value is changed to one that would do.
    pub fn validate(&self) -> Result<()> {
        match self.rules().into_iter().find(|(holds, _)| !holds) {
            Some((_, what)) => Err(Error::invalid(format!("options: {what}"))),
            None => Ok(()),
        }
    }

    fn rules(&self) -> Vec<Rule> {
        let mut rules = self.memory_rules();
        rules.extend(self.file_rules());
        rules.extend(self.keyspace_rules());
        rules.extend(self.work_rules());
        rules
    }

    fn memory_rules(&self) -> Vec<Rule> {
        let least = (self.memtable_bytes as u64).saturating_mul(2).saturating_add(self.cache_bytes / 8);
        vec![
            rule(self.memtable_bytes >= 1024, "memtable_bytes must be at least 1024"),
            rule(self.sealed_memtables_max >= 1, "sealed_memtables_max must be at least 1"),
            rule(
                self.memory_budget_bytes() >= least,
                "memory_bytes must hold two memtables and an eighth of the cache",
            ),
            rule(self.flushable_batch_bytes != Some(0), "flushable_batch_bytes must be at least 1"),
            rule(self.open_files_max >= 1, "open_files_max must be at least 1"),
        ]
    }

    fn file_rules(&self) -> Vec<Rule> {
        let mut rules = vec![
            rule(self.wal_segment_bytes >= 4096, "wal_segment_bytes must be at least 4096"),
            rule(self.log_segments_max >= 1, "log_segments_max must be at least 1"),
            rule(
                self.filter == FilterKind::None || (1..=64).contains(&self.filter_bits_per_key),
                "filter_bits_per_key must be from 1 to 64, unless the filter is none",
            ),
            rule(self.blob_file_bytes_target >= 1, "blob_file_bytes_target must be at least 1"),
            rule(self.table_bytes_target >= 1024, "table_bytes_target must be at least 1024"),
            rule(self.level_base_bytes >= 1024, "level_base_bytes must be at least 1024"),
            rule(self.level_growth >= 2, "level_growth must be at least 2"),
            rule(self.blob_garbage_percent_max <= 100, "blob_garbage_percent_max must be at most 100"),
        ];
        let interval = (1..=RESTART_INTERVAL_MAX).contains(&self.restart_interval);
        rules.push((interval, format!("restart_interval must be from 1 to {RESTART_INTERVAL_MAX}").into()));
        for (name, bytes) in [
            ("block_bytes_upper", self.block_bytes_upper),
            ("block_bytes_lower", self.block_bytes_lower),
            ("filter_part_bytes", self.filter_part_bytes),
            ("index_part_bytes", self.index_part_bytes),
        ] {
            let what = format!("{name} must be from 64 to {BLOCK_BYTES_MAX}");
            rules.push(((64..=BLOCK_BYTES_MAX).contains(&bytes), what.into()));
        }
        rules
    }

    fn keyspace_rules(&self) -> Vec<Rule> {
        let mut rules = Vec::new();
        for (keyspace, own) in &self.keyspaces {
            let of = format!("of keyspace {}", keyspace.0);
            let what = format!("blob_threshold_bytes {of} must be at least {BLOB_THRESHOLD_BYTES_MIN}");
            rules.push((
                own.blob_threshold_bytes.is_none_or(|at| at >= BLOB_THRESHOLD_BYTES_MIN),
                what.into(),
            ));
            let has_length = match own.prefix {
                PrefixRule::None => true,
                PrefixRule::Fixed(length) => (1..=KEY_BYTES_MAX).contains(&length),
            };
            rules.push((
                has_length,
                format!("the prefix {of} must have from 1 to {KEY_BYTES_MAX} bytes").into(),
            ));
        }
        rules
    }

    fn work_rules(&self) -> Vec<Rule> {
        let mut rules = vec![
            rule(self.l0_compaction_trigger >= 1, "l0_compaction_trigger must be at least 1"),
            rule(
                self.l0_slowdown >= self.l0_compaction_trigger,
                "l0_slowdown must not be below l0_compaction_trigger",
            ),
            rule(self.l0_stop > self.l0_slowdown, "l0_stop must be above l0_slowdown"),
            rule(
                self.debt_stop_bytes > self.debt_slowdown_bytes,
                "debt_stop_bytes must be above debt_slowdown_bytes",
            ),
            rule(!self.async_interval.is_zero(), "async_interval must not be zero"),
        ];
        let threads = (1..=COMPACTION_THREADS_MAX).contains(&self.compaction_threads_max);
        let what = format!("compaction_threads_max must be from 1 to {COMPACTION_THREADS_MAX}");
        rules.push((threads, what.into()));
        let what = format!("sync_every_bytes must be at least {SYNC_EVERY_BYTES_MIN}");
        rules.push((self.sync_every_bytes.is_none_or(|bytes| bytes >= SYNC_EVERY_BYTES_MIN), what.into()));
        for (name, pace) in [
            ("removal_bytes_per_second", self.removal_bytes_per_second),
            ("compaction_bytes_per_second", self.compaction_bytes_per_second),
        ] {
            let what = format!("{name} must be at least {PACE_BYTES_MIN}");
            rules.push((pace.is_none_or(|pace| pace >= PACE_BYTES_MIN), what.into()));
        }
        rules
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::keyspace::{Keyspace, KeyspaceOptions};
    use crate::options::BackgroundWork;
    use crate::store::Store;
    use crate::vfs::{MemoryVfs, Vfs};
    use crate::write_batch::WriteBatch;

    type Change = fn(&mut StoreOptions);

    fn keyspace(options: &mut StoreOptions) -> &mut KeyspaceOptions {
        options.keyspaces.entry(Keyspace(b'd')).or_default()
    }

    /// For every bound of every option: the name in the refusal, what breaks it, and the last value that does not.
    fn bounds() -> Vec<(&'static str, Change, Change)> {
        vec![
            ("memtable_bytes", |o| o.memtable_bytes = 1023, |o| o.memtable_bytes = 1024),
            ("sealed_memtables_max", |o| o.sealed_memtables_max = 0, |o| o.sealed_memtables_max = 1),
            (
                "memory_bytes",
                |o| o.memory_bytes = Some(2 * o.memtable_bytes as u64 + o.cache_bytes / 8 - 1),
                |o| o.memory_bytes = Some(2 * o.memtable_bytes as u64 + o.cache_bytes / 8),
            ),
            (
                "flushable_batch_bytes",
                |o| o.flushable_batch_bytes = Some(0),
                |o| o.flushable_batch_bytes = Some(1),
            ),
            ("open_files_max", |o| o.open_files_max = 0, |o| o.open_files_max = 1),
            ("wal_segment_bytes", |o| o.wal_segment_bytes = 4095, |o| o.wal_segment_bytes = 4096),
            ("log_segments_max", |o| o.log_segments_max = 0, |o| o.log_segments_max = 1),
            ("filter_bits_per_key", |o| o.filter_bits_per_key = 0, |o| o.filter_bits_per_key = 1),
            ("filter_bits_per_key", |o| o.filter_bits_per_key = 65, |o| o.filter_bits_per_key = 64),
            ("blob_file_bytes_target", |o| o.blob_file_bytes_target = 0, |o| o.blob_file_bytes_target = 1),
            ("table_bytes_target", |o| o.table_bytes_target = 1023, |o| o.table_bytes_target = 1024),
            ("level_base_bytes", |o| o.level_base_bytes = 1023, |o| o.level_base_bytes = 1024),
            ("level_growth", |o| o.level_growth = 1, |o| o.level_growth = 2),
            (
                "blob_garbage_percent_max",
                |o| o.blob_garbage_percent_max = 101,
                |o| o.blob_garbage_percent_max = 100,
            ),
            ("restart_interval", |o| o.restart_interval = 0, |o| o.restart_interval = 1),
            (
                "restart_interval",
                |o| o.restart_interval = RESTART_INTERVAL_MAX + 1,
                |o| o.restart_interval = RESTART_INTERVAL_MAX,
            ),
            ("block_bytes_upper", |o| o.block_bytes_upper = 63, |o| o.block_bytes_upper = 64),
            (
                "block_bytes_upper",
                |o| o.block_bytes_upper = BLOCK_BYTES_MAX + 1,
                |o| o.block_bytes_upper = BLOCK_BYTES_MAX,
            ),
            ("block_bytes_lower", |o| o.block_bytes_lower = 63, |o| o.block_bytes_lower = 64),
            (
                "block_bytes_lower",
                |o| o.block_bytes_lower = BLOCK_BYTES_MAX + 1,
                |o| o.block_bytes_lower = BLOCK_BYTES_MAX,
            ),
            ("filter_part_bytes", |o| o.filter_part_bytes = 63, |o| o.filter_part_bytes = 64),
            (
                "filter_part_bytes",
                |o| o.filter_part_bytes = BLOCK_BYTES_MAX + 1,
                |o| o.filter_part_bytes = BLOCK_BYTES_MAX,
            ),
            ("index_part_bytes", |o| o.index_part_bytes = 63, |o| o.index_part_bytes = 64),
            (
                "index_part_bytes",
                |o| o.index_part_bytes = BLOCK_BYTES_MAX + 1,
                |o| o.index_part_bytes = BLOCK_BYTES_MAX,
            ),
            (
                "blob_threshold_bytes of keyspace 100",
                |o| keyspace(o).blob_threshold_bytes = Some(BLOB_THRESHOLD_BYTES_MIN - 1),
                |o| keyspace(o).blob_threshold_bytes = Some(BLOB_THRESHOLD_BYTES_MIN),
            ),
            (
                "the prefix of keyspace 100",
                |o| keyspace(o).prefix = PrefixRule::Fixed(0),
                |o| keyspace(o).prefix = PrefixRule::Fixed(1),
            ),
            (
                "the prefix of keyspace 100",
                |o| keyspace(o).prefix = PrefixRule::Fixed(KEY_BYTES_MAX + 1),
                |o| keyspace(o).prefix = PrefixRule::Fixed(KEY_BYTES_MAX),
            ),
            ("l0_compaction_trigger", |o| o.l0_compaction_trigger = 0, |o| o.l0_compaction_trigger = 1),
            (
                "l0_slowdown",
                |o| o.l0_slowdown = o.l0_compaction_trigger - 1,
                |o| o.l0_slowdown = o.l0_compaction_trigger,
            ),
            ("l0_stop", |o| o.l0_stop = o.l0_slowdown, |o| o.l0_stop = o.l0_slowdown + 1),
            (
                "debt_stop_bytes",
                |o| o.debt_stop_bytes = o.debt_slowdown_bytes,
                |o| o.debt_stop_bytes = o.debt_slowdown_bytes + 1,
            ),
            (
                "async_interval",
                |o| o.async_interval = Duration::ZERO,
                |o| o.async_interval = Duration::from_nanos(1),
            ),
            ("compaction_threads_max", |o| o.compaction_threads_max = 0, |o| o.compaction_threads_max = 1),
            (
                "compaction_threads_max",
                |o| o.compaction_threads_max = COMPACTION_THREADS_MAX + 1,
                |o| o.compaction_threads_max = COMPACTION_THREADS_MAX,
            ),
            (
                "sync_every_bytes",
                |o| o.sync_every_bytes = Some(SYNC_EVERY_BYTES_MIN - 1),
                |o| o.sync_every_bytes = Some(SYNC_EVERY_BYTES_MIN),
            ),
            (
                "removal_bytes_per_second",
                |o| o.removal_bytes_per_second = Some(PACE_BYTES_MIN - 1),
                |o| o.removal_bytes_per_second = Some(PACE_BYTES_MIN),
            ),
            (
                "compaction_bytes_per_second",
                |o| o.compaction_bytes_per_second = Some(PACE_BYTES_MIN - 1),
                |o| o.compaction_bytes_per_second = Some(PACE_BYTES_MIN),
            ),
        ]
    }

    fn options() -> StoreOptions {
        StoreOptions { background: BackgroundWork::Inline, cache_bytes: 1 << 20, ..StoreOptions::default() }
    }

    fn changed(change: Change) -> StoreOptions {
        let mut options = options();
        change(&mut options);
        options
    }

    fn open(vfs: &MemoryVfs, options: StoreOptions) -> Result<Store> {
        Store::open(Arc::new(vfs.clone()) as Arc<dyn Vfs>, Path::new("/db"), options)
    }

    #[test]
    fn every_rule_refuses_by_name_what_breaks_it_before_anything_is_created() {
        let mut broken = BTreeSet::new();
        for (name, breaks, _) in bounds() {
            let (disk, options) = (MemoryVfs::new(), changed(breaks));
            let rules: Vec<_> = options.rules().into_iter().filter(|(holds, _)| !holds).collect();
            assert_eq!(rules.len(), 1, "{name}: {rules:?}");
            let refused = open(&disk, options).map(|_| ());
            let named = matches!(&refused, Err(Error::InvalidInput(text)) if text.contains(name));
            assert!(named, "{name}: {refused:?}");
            assert_eq!(disk.files(), [], "{name}");
            broken.extend(rules.into_iter().map(|(_, what)| what));
        }
        let with_keyspace = changed(|o| *keyspace(o) = KeyspaceOptions::default());
        let all: BTreeSet<_> = with_keyspace.rules().into_iter().map(|(_, what)| what).collect();
        assert_eq!(broken, all, "a rule that nothing here breaks, or the other way round");
    }

    #[test]
    fn a_value_at_its_bound_works() {
        for (name, _, keeps) in bounds() {
            let (disk, options) = (MemoryVfs::new(), changed(keeps));
            let store = open(&disk, options.clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
            let tablet = store.tablet();
            for number in 0..80 {
                let mut batch = WriteBatch::new();
                batch.put(format!("d{number:03}"), vec![7; 80]);
                tablet.commit(batch, None).unwrap_or_else(|error| panic!("{name}: {error}"));
            }
            tablet.compact_all().unwrap_or_else(|error| panic!("{name}: {error}"));
            store.close().unwrap();
            let store = open(&disk, options).unwrap_or_else(|error| panic!("{name}: {error}"));
            for number in 0..80 {
                let key = format!("d{number:03}");
                assert_eq!(
                    store.tablet().get(key.as_bytes()).unwrap().as_deref(),
                    Some(&[7; 80][..]),
                    "{name}"
                );
            }
            assert!(store.verify().problems.is_empty(), "{name}");
        }
    }

    #[test]
    fn the_largest_values_of_all_do_not_overflow() {
        let options = StoreOptions {
            memtable_bytes: usize::MAX,
            sealed_memtables_max: usize::MAX,
            cache_bytes: u64::MAX,
            retention: Duration::MAX,
            ..options()
        };
        options.validate().unwrap();
        assert_eq!(options.memory_budget_bytes(), u64::MAX);
    }
}
