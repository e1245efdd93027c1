//! Runs what the picker chooses.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, TryLockError};
use std::time::Duration;

use crate::compaction::job::choose_all;
use crate::compaction::picker::{Load, debt_bytes};
use crate::compaction::{self, Choice, History, JobContext, PickInput, pick};
use crate::error::{Error, Result};
use crate::events::Event;
use crate::file_id::FileId;
use crate::manifest::{Version, VersionEdit, VersionRef};
use crate::options::BackgroundWork;
use crate::tablet::{Tablet, TabletInner, WriteState, lock};

/// A tablet is at rest when its last flush was so long ago.
const REST_MICROS_MIN: u64 = 2_000_000;
/// When the last flush was, before the first.
pub(crate) const NEVER: u64 = u64::MAX;

impl Tablet {
    /// Flushes, and merges all sstables into one sorted run: every byte is read and written once. Errors as of [`Tablet::flush`], and
    /// [`Error::Corruption`] of what was read; the sstables stay as they are then.
    pub fn compact_all(&self) -> Result<()> {
        self.flush()?;
        let inner = &*self.inner;
        let _one_at_a_time = lock(&inner.compacting);
        let version = inner.versions.version();
        inner.compact(&version, &choose_all(&version, &inner.options))?;
        // What it names is nobody's only without it, and would be given up after those that wait have gone.
        drop(version);
        inner.shared.open_files.removals.drain();
        // A worker that found the tablet busy may have passed it by.
        inner.shared.work.wake();
        Ok(())
    }

    /// Waits until nothing is left to flush, to compact, or to remove, doing what is, as if no more commits were to come. Errors as of
    /// [`Tablet::compact_all`].
    pub fn settle(&self) -> Result<()> {
        self.inner.check_writable()?;
        self.inner.flush_sealed()?;
        self.inner.compact_until_done()?;
        self.inner.shared.open_files.removals.drain();
        Ok(())
    }
}

impl TabletInner {
    /// Compacts until nothing is due.
    pub(crate) fn compact_until_done(&self) -> Result<()> {
        while self.compact_step()? {}
        Ok(())
    }

    /// Compacts once, if anything is due; whether it was.
    pub(crate) fn compact_step(&self) -> Result<bool> {
        let _one_at_a_time = lock(&self.compacting);
        self.compact_once(Load::AtRest)
    }

    /// The same, and nothing if somebody compacts the tablet now.
    pub(crate) fn compact_step_if_idle(&self) -> Result<bool> {
        let _one_at_a_time = match self.compacting.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(guard)) => guard.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(false),
        };
        self.compact_once(self.load())
    }

    /// Whether flushes keep coming: whether the last was less than [`REST_MICROS_MIN`] ago, by the store's clock. Under a clock that
    /// stands still no time passes, so after a first flush they always seem to, and L0 is compacted at the higher of its two triggers;
    /// [`Tablet::settle`] compacts as at rest whatever the clock says. Who compacts on the committing thread does so by the state of
    /// the tablet alone.
    fn load(&self) -> Load {
        let flushed = self.flushed_micros.load(Ordering::Relaxed);
        let since = self.options.clock.monotonic_micros().saturating_sub(flushed);
        let is_at_rest = flushed == NEVER || since >= REST_MICROS_MIN;
        if is_at_rest || self.options.background == BackgroundWork::Inline {
            Load::AtRest
        } else {
            Load::Writes
        }
    }

    fn compact_once(&self, load: Load) -> Result<bool> {
        self.poison.check()?;
        if self.stop.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        let version = self.versions.version();
        let choice = self.choose(&version, load)?;
        self.compact(&version, &choice)
    }

    /// How urgent a compaction is: writers wait for L0 first, then reads and space for the rest.
    pub(crate) fn compaction_urgency(&self) -> (usize, u64) {
        let version = self.versions.version();
        (version.l0_runs(), debt_bytes(&version, &self.options))
    }

    /// What the picker chooses now. The history floor moves only if there is something to do.
    fn choose(&self, version: &Version, load: Load) -> Result<Choice> {
        let ranges = version.range_tombstones()?.map(|ranges| &**ranges);
        let preview = lock(&self.watermark).preview(self.history_floor());
        let preview = preview.expiring(Arc::clone(&self.expiry));
        let (busy, dense) = (BTreeSet::new(), dense_tables(version)?);
        let choose = |history: &History| {
            let options = &self.options;
            pick(&PickInput { version, options, load, busy: &busy, dense: &dense, history, ranges })
        };
        if choose(&preview) == Choice::Nothing {
            return Ok(Choice::Nothing);
        }
        let (_, history) = self.raise_history();
        Ok(choose(&history))
    }

    /// Carries out a choice made for `version`, and installs the result if it still fits; whether anything was done.
    pub(crate) fn compact(&self, version: &Version, choice: &Choice) -> Result<bool> {
        if *choice == Choice::Nothing {
            return Ok(false);
        }
        let started = self.options.clock.monotonic_micros();
        let (floor, history) = self.raise_history();
        let context = JobContext {
            options: &self.options,
            opener: self.versions.opener(),
            next_file: &|| self.versions.next_file(),
            history,
            stop: &self.stop,
            pace: &|bytes| self.pace(bytes),
        };
        let outcome = self.with_room(|| compaction::compact(&context, version, choice))?;
        let mut edit = outcome.edit;
        edit.history_floor = Some(floor);
        let planned = edit.clone();
        let installed = self.versions.install_planned(planned, |version| {
            self.change_view(|view| view.version = VersionRef::clone(version));
        })?;
        if !installed {
            self.decline(edit);
            return Ok(false);
        }
        self.account_memory();
        self.statistics.compactions.fetch_add(1, Ordering::Relaxed);
        self.statistics.compaction_read_bytes.fetch_add(outcome.bytes_read, Ordering::Relaxed);
        self.statistics.compaction_written_bytes.fetch_add(outcome.bytes_written, Ordering::Relaxed);
        self.shared.work.report_progress();
        self.options.emit(|| Event::Compacted {
            tablet: self.id,
            reason: choice.reason(),
            bytes_read: outcome.bytes_read,
            bytes_written: outcome.bytes_written,
            micros: self.options.clock.monotonic_micros().saturating_sub(started),
        });
        Ok(true)
    }

    /// Does a job that writes files and leaves none if it fails. If the disk is full while files wait to be removed, they go, and it
    /// is done again.
    pub(crate) fn with_room<T>(&self, job: impl Fn() -> Result<T>) -> Result<T> {
        match job() {
            Err(Error::Full { .. }) if self.shared.open_files.removals.drain() > 0 => job(),
            done => done,
        }
    }

    /// Takes the time that the pace of compaction gives for so many bytes.
    fn pace(&self, bytes: u64) {
        let options = &self.options;
        if options.compaction_bytes_per_second.is_none() || options.background == BackgroundWork::Inline {
            return;
        }
        let pause = pause(options.compaction_bytes_per_second, self.backlog().state(options), bytes);
        self.shared.work.wait_for_stop(&self.stop, pause);
    }

    /// Removes what a plan wrote whose inputs are gone.
    fn decline(&self, mut edit: VersionEdit) {
        self.statistics.plans_declined.fetch_add(1, Ordering::Relaxed);
        self.options.emit(|| Event::PlanDeclined { tablet: self.id });
        // A table that was only to change its level is somebody's.
        let removed: BTreeSet<FileId> = edit.removed_tables.iter().map(|(_, id)| *id).collect();
        edit.added_tables.retain(|(_, meta)| !removed.contains(&meta.file_id));
        self.remove_files(&edit);
    }
}

/// What the pace gives for so many bytes: nothing while commits are held back for want of compaction.
fn pause(pace: Option<u64>, state: WriteState, bytes: u64) -> Duration {
    match (pace, state) {
        (Some(pace), WriteState::Open) => {
            Duration::from_micros(bytes.saturating_mul(1_000_000) / pace.max(1))
        }
        _ => Duration::ZERO,
    }
}

/// The tables in which at least one block in so many is mostly tombstones.
const BLOCKS_PER_DENSE_MAX: u64 = 20;
/// With fewer tombstones than this a table is not asked: they would not hold anybody up.
const DENSE_TOMBSTONES_MIN: u64 = 100;

/// The tables a part of which is mostly tombstones, as they say of themselves.
fn dense_tables(version: &Version) -> Result<BTreeSet<FileId>> {
    let mut dense = BTreeSet::new();
    let tables = version.levels.iter().skip(1).flatten();
    for table in tables.filter(|table| table.meta.tombstones >= DENSE_TOMBSTONES_MIN) {
        let properties = table.reader()?.properties();
        if properties.dense_blocks * BLOCKS_PER_DENSE_MAX >= properties.data_blocks {
            dense.insert(table.meta.file_id);
        }
    }
    Ok(dense)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::options::StoreOptions;
    use crate::store::Store;
    use crate::vfs::MemoryVfs;
    use crate::write_batch::WriteBatch;

    fn put(tablet: &Tablet, key: &str, value: &str) {
        let mut batch = WriteBatch::new();
        batch.put(key, value);
        tablet.commit(batch, None).unwrap();
        tablet.flush().unwrap();
    }

    #[test]
    fn nobody_keeps_a_pace_while_commits_are_held_back() {
        assert_eq!(pause(Some(1_000), WriteState::Open, 250), Duration::from_millis(250));
        assert_eq!(pause(None, WriteState::Open, 250), Duration::ZERO);
        for state in [WriteState::Delayed, WriteState::Stopped] {
            assert_eq!(pause(Some(1_000), state, 250), Duration::ZERO);
        }
    }

    #[derive(Debug, Default)]
    struct Heard(std::sync::Mutex<Vec<Event>>);

    impl crate::events::EventListener for Heard {
        fn on_event(&self, event: &Event) {
            self.0.lock().unwrap().push(event.clone());
        }
    }

    #[test]
    fn a_plan_that_is_wrong_stops_writes_and_is_heard_of() {
        let disk = MemoryVfs::new();
        let heard = Arc::new(Heard::default());
        let options = StoreOptions {
            background: BackgroundWork::Inline,
            events: Some(Arc::clone(&heard) as Arc<_>),
            ..StoreOptions::default()
        };
        let open = || Store::open(Arc::new(disk.clone()), Path::new("/db"), options.clone()).unwrap();
        let store = open();
        let tablet = store.tablet();
        for key in ["a", "c"] {
            put(&tablet, key, "deep");
        }
        tablet.compact_all().unwrap();
        put(&tablet, "b", "new");
        let inner = &*tablet.inner;
        let version = inner.versions.version();
        let deepest = version.levels.iter().rposition(|tables| !tables.is_empty()).unwrap();
        let upper = version.level(0).first().map(|table| (0, table.meta.file_id)).unwrap();
        // Both are there, and the one does not fit in beside the other.
        let wrong = Choice::Move { tables: vec![upper], to: deepest, reason: compaction::Reason::L0 };
        let refused = inner.compact(&version, &wrong);
        assert!(
            matches!(&refused, Err(Error::Corruption { file, detail, .. })
                if file.extension().is_some_and(|e| e == "manifest") && detail.contains("overlap")),
            "{refused:?}"
        );
        assert_eq!(tablet.statistics().plans_declined, 0);
        assert!(heard.0.lock().unwrap().iter().any(|event| matches!(event, Event::Poisoned { .. })));
        assert!(matches!(tablet.flush(), Err(Error::Poisoned(_))));
        assert_eq!(tablet.get(b"b").unwrap().as_deref(), Some(&b"new"[..]));
        drop((version, tablet, store));
        let store = open();
        put(&store.tablet(), "d", "again");
        store.tablet().compact_all().unwrap();
        assert!(store.verify().problems.is_empty());
        for key in ["a", "b", "c", "d"] {
            assert!(store.tablet().get(key.as_bytes()).unwrap().is_some(), "{key}");
        }
    }

    #[test]
    fn a_full_disk_gets_its_room_from_what_waits_to_be_removed() {
        let faults = crate::vfs::FaultVfs::new(Arc::new(MemoryVfs::new()));
        let options = StoreOptions { background: BackgroundWork::Inline, ..StoreOptions::default() };
        let store = Store::open(Arc::new(faults.clone()), Path::new("/db"), options).unwrap();
        let tablet = store.tablet();
        let inner = &*tablet.inner;
        let removals = &inner.shared.open_files.removals;
        // As if a thread were to remove them, and took its time.
        removals.begin();
        let merge_all = || {
            let version = inner.versions.version();
            inner.compact(&version, &choose_all(&version, &inner.options))
        };
        put(&tablet, "a", "1");
        put(&tablet, "b", "2");
        merge_all().unwrap();
        assert_eq!(removals.waiting().0, 2);
        faults.add_rule("fail write *.sst once errno 28").unwrap();
        put(&tablet, "c", "3");
        assert_eq!((removals.waiting().0, faults.failures()), (0, 1));
        put(&tablet, "d", "4");
        merge_all().unwrap();
        assert!(removals.waiting().0 > 0);
        faults.add_rule("fail write *.sst once errno 28").unwrap();
        put(&tablet, "e", "5");
        assert_eq!(faults.failures(), 2);
        // With nothing to give back it is full.
        removals.drain();
        faults.add_rule("fail write *.sst errno 28").unwrap();
        let mut batch = WriteBatch::new();
        batch.put("f", "6");
        tablet.commit(batch, None).unwrap();
        assert!(matches!(tablet.flush(), Err(Error::Full { .. })));
        assert_eq!(tablet.get(b"e").unwrap().as_deref(), Some(&b"5"[..]));
        removals.end();
    }

    #[test]
    fn rest_is_a_matter_of_the_clock_and_settling_is_not() {
        let clock = Arc::new(crate::clock::ManualClock::new(1_000));
        let options = StoreOptions {
            clock: Arc::clone(&clock) as Arc<_>,
            l0_compaction_trigger: 4,
            ..StoreOptions::default()
        };
        let store = Store::open(Arc::new(MemoryVfs::new()), Path::new("/db"), options).unwrap();
        let tablet = store.tablet();
        let inner = &*tablet.inner;
        assert_eq!(inner.load(), Load::AtRest, "nothing was flushed yet");
        // More than are left alone at rest, fewer than are compacted while flushes come.
        (0..5).for_each(|_| put(&tablet, "k", "v"));
        assert_eq!(inner.load(), Load::Writes);
        inner.shared.work.wake();
        assert!(
            !inner.compact_step_if_idle().unwrap(),
            "no time passes, so the next flush may be about to come"
        );
        assert_eq!(tablet.statistics().l0_runs, 5);
        clock.advance_micros(REST_MICROS_MIN - 1);
        assert_eq!(inner.load(), Load::Writes);
        tablet.settle().unwrap();
        assert!(tablet.statistics().l0_runs < 4, "who settles says that nothing is to come");
        (0..5).for_each(|_| put(&tablet, "k", "v"));
        clock.advance_micros(REST_MICROS_MIN);
        assert_eq!(inner.load(), Load::AtRest);
    }

    #[test]
    fn a_plan_whose_inputs_are_gone_is_dropped_and_harms_nothing() {
        let disk = MemoryVfs::new();
        let options = StoreOptions { background: BackgroundWork::Inline, ..StoreOptions::default() };
        let store = Store::open(Arc::new(disk.clone()), Path::new("/db"), options).unwrap();
        let tablet = store.tablet();
        let inner = &*tablet.inner;
        let files = || {
            let named = disk.files().into_iter().map(|(path, _)| path);
            named.filter(|path| path.extension().is_some_and(|e| e == "sst")).collect::<Vec<_>>()
        };
        put(&tablet, "a", "1");
        put(&tablet, "b", "2");
        let former = inner.versions.version();
        let merge = choose_all(&former, &inner.options);
        let only = former.level(0).first().map(|table| (0, table.meta.file_id)).unwrap();
        let moves = Choice::Move { tables: vec![only], to: 3, reason: compaction::Reason::L0 };
        tablet.compact_all().unwrap();
        let before = files();
        for choice in [merge, moves] {
            assert!(!inner.compact(&former, &choice).unwrap(), "{choice:?}");
        }
        assert_eq!(tablet.statistics().plans_declined, 2);
        drop(former);
        let tables: usize = tablet.statistics().levels.iter().map(|level| level.tables).sum();
        assert_eq!((tables, files().len()), (1, 1), "{:?} of {before:?}", files());
        assert!(tablet.statistics().poisoned.is_none());
        assert_eq!(tablet.get(b"a").unwrap().as_deref(), Some(&b"1"[..]));
        put(&tablet, "c", "3");
        tablet.compact_all().unwrap();
        assert_eq!(files().len(), 1);
    }
}

#[cfg(test)]
#[path = "drain_tests.rs"]
mod drain_tests;
