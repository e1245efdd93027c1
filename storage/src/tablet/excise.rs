//! Excision: a range of keys goes in the time its files take to unlink, not in the time its keys take to delete.
//!
//! A range deletion is committed like any write, so it is durable, ordered and unseen by snapshots taken before. What it
//! covers is then dropped file by file: memtables are flushed, and every sstable that lies in the range and that no snapshot
//! needs leaves the version in one edit, with the blob files only it referred to. Nothing is read or rewritten but the few
//! sstables at the two ends of the range, later, by ordinary compaction. Files a snapshot still needs go with the
//! first compaction after it is dropped.

use crate::compaction::picker::Load;
use crate::compaction::{Choice, PickInput, pick_covered};
use crate::error::Result;
use crate::options::Durability;
use crate::tablet::{Tablet, TabletInner, lock};
use crate::timestamp::Timestamp;
use crate::write_batch::WriteBatch;

impl Tablet {
    /// Deletes every key from `lower` up to `upper`, exclusive, and gives back the files that held nothing else. Returns
    /// when the deletion is durable; its timestamp. [`Error::InvalidInput`](crate::Error::InvalidInput): a bound that is no key, or
    /// bounds reversed. After any other error the range is deleted or not, as after [`Tablet::commit`].
    pub fn excise(&self, lower: &[u8], upper: &[u8]) -> Result<Timestamp> {
        let mut batch = WriteBatch::new();
        batch.delete_range(lower, upper);
        let timestamp = self.commit(batch, Some(Durability::Sync))?;
        self.flush()?;
        self.inner.drop_covered()?;
        Ok(timestamp)
    }
}

impl TabletInner {
    /// Drops the sstables that range deletions cover for every reader.
    fn drop_covered(&self) -> Result<()> {
        let _one_at_a_time = lock(&self.compacting);
        let version = self.versions.version();
        let (_, history) = self.raise_history();
        let ranges = version.range_tombstones()?.map(|ranges| &**ranges);
        let none = std::collections::BTreeSet::new();
        let options = &self.options;
        let input = PickInput {
            version: &version,
            options,
            load: Load::AtRest,
            busy: &none,
            dense: &none,
            history: &history,
            ranges,
        };
        let choice = pick_covered(&input).unwrap_or(Choice::Nothing);
        self.compact(&version, &choice).map(drop)
    }
}
