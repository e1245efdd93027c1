//! Runs what the picker chooses.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::compaction::job::choose_all;
use crate::compaction::picker::debt_bytes;
use crate::compaction::{self, Choice, History, JobContext, PickInput, pick};
use crate::error::{Error, Result};
use crate::manifest::Version;
use crate::tablet::{Tablet, TabletInner, lock};

impl Tablet {
    /// Flushes, and merges all sstables into one sorted run.
    pub fn compact_all(&self) -> Result<()> {
        self.flush()?;
        let inner = &*self.inner;
        let _one_at_a_time = lock(&inner.compacting);
        let version = inner.versions.version();
        inner.compact(&version, &choose_all(&version, &inner.options))
    }

    /// Waits until nothing is left to flush or compact, doing what is.
    pub fn settle(&self) -> Result<()> {
        self.inner.check_writable()?;
        self.inner.flush_sealed()?;
        self.inner.compact_until_done()
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
        self.poison.check()?;
        if self.stop.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        let version = self.versions.version();
        let choice = self.choose(&version)?;
        self.compact(&version, &choice)?;
        Ok(choice != Choice::Nothing)
    }

    /// How urgent a compaction is: writers wait for L0 first, then reads and space for the rest.
    pub(crate) fn compaction_urgency(&self) -> (usize, u64) {
        let version = self.versions.version();
        (version.l0_runs(), debt_bytes(&version, &self.options))
    }

    /// What the picker chooses now. The history floor moves only if there is something to do.
    fn choose(&self, version: &Version) -> Result<Choice> {
        let ranges = version.range_tombstones()?.map(|ranges| &**ranges);
        let preview = lock(&self.watermark).preview(self.history_floor());
        let preview = preview.expiring(Arc::clone(&self.expiry));
        let busy = BTreeSet::new();
        let choose = |history: &History| {
            pick(&PickInput { version, options: &self.options, busy: &busy, history, ranges })
        };
        if choose(&preview) == Choice::Nothing {
            return Ok(Choice::Nothing);
        }
        let (_, history) = self.raise_history();
        Ok(choose(&history))
    }

    /// Carries out a choice and installs the result.
    pub(crate) fn compact(&self, version: &Version, choice: &Choice) -> Result<()> {
        if *choice == Choice::Nothing {
            return Ok(());
        }
        let (floor, history) = self.raise_history();
        let context = JobContext {
            options: &self.options,
            opener: self.versions.opener(),
            next_file: &|| self.versions.next_file(),
            history,
            stop: &self.stop,
        };
        let outcome = compaction::compact(&context, version, choice)?;
        let mut edit = outcome.edit;
        edit.history_floor = Some(floor);
        self.versions.install(edit, |version| {
            self.change_view(|view| view.version = Arc::clone(version));
        })?;
        self.account_memory();
        self.statistics.compactions.fetch_add(1, Ordering::Relaxed);
        self.statistics.compaction_read_bytes.fetch_add(outcome.bytes_read, Ordering::Relaxed);
        self.statistics.compaction_written_bytes.fetch_add(outcome.bytes_written, Ordering::Relaxed);
        self.shared.work.report_progress();
        Ok(())
    }
}
