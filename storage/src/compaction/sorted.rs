//! Writes sorted pairs, or a large batch, as sstables of L0. The timestamp they get is not known yet, so the file says
//! [`PLACEHOLDER`] and the manifest says the real one.

use std::collections::BTreeSet;

use crate::compaction::job::JobContext;
use crate::compaction::output::{Output, OutputPlan};
use crate::entry::ValueKind;
use crate::error::{Error, Result};
use crate::manifest::VersionEdit;
use crate::range_tombstone::{RangeTombstone, RangeTombstones};
use crate::timestamp::Timestamp;
use crate::write_batch::{Operation, ReducedBatch};

/// How the files are laid out: as for a middle level, because most go to the bottom and some to the top.
const FORMAT_LEVEL: usize = 2;
/// What the file says of its entries' time.
const PLACEHOLDER: Timestamp = Timestamp(1);

/// Writes `pairs`, whose keys must ascend, and makes the files durable. The edit adds them to L0 without an epoch.
pub fn write_sorted(
    context: &JobContext<'_>,
    pairs: &mut dyn Iterator<Item = (Vec<u8>, Vec<u8>)>,
) -> Result<VersionEdit> {
    write_files(context, RangeTombstones::default(), |output| write_all(pairs, output))
}

/// Writes files of L0, durably, from what `fill` adds and `ranges`. An error leaves none.
fn write_files(
    context: &JobContext<'_>,
    ranges: RangeTombstones,
    fill: impl FnOnce(&mut Output<'_>) -> Result<()>,
) -> Result<VersionEdit> {
    let plan = OutputPlan {
        level: FORMAT_LEVEL,
        epoch: 0,
        ranges,
        grandparents: Vec::new(),
        blobs_rewritten: BTreeSet::new(),
        version: None,
        table_bytes_target: context.options.table_bytes_target,
    };
    let mut output = Output::new(context, plan);
    if let Err(error) = fill(&mut output).and_then(|()| output.finish()) {
        for path in &output.created {
            // The first error is the one reported; what stays is removed as an orphan on the next open.
            let _already_failing = context.opener.vfs.remove(path);
        }
        return Err(error);
    }
    let directory = &context.opener.directory;
    context.opener.vfs.sync_dir(directory).map_err(|error| Error::io("sync", directory, error))?;
    Ok(VersionEdit {
        added_tables: output.tables.into_iter().map(|meta| (0, meta)).collect(),
        added_blobs: output.blobs,
        ..VersionEdit::default()
    })
}

/// Writes the operations of a batch, reduced, as files that wait for their timestamp: range deletions come first, then one
/// operation per key in key order.
pub fn write_operations(context: &JobContext<'_>, batch: &ReducedBatch) -> Result<VersionEdit> {
    let ranges = batch.operations().filter_map(|operation| match operation {
        Operation::DeleteRange { lower, upper } => {
            Some(RangeTombstone { start: lower.to_vec(), end: upper.to_vec(), timestamp: PLACEHOLDER })
        }
        Operation::Put { .. } | Operation::Delete { .. } => None,
    });
    write_files(context, RangeTombstones::new(ranges), |output| {
        batch.operations().try_for_each(|operation| match operation {
            Operation::Put { key, value } => output.add(key, PLACEHOLDER, ValueKind::Put, value),
            Operation::Delete { key } => output.add(key, PLACEHOLDER, ValueKind::Delete, &[]),
            Operation::DeleteRange { .. } => Ok(()),
        })
    })
}

/// Hands all pairs to the output, refusing what a commit would refuse and what is out of order.
fn write_all(pairs: &mut dyn Iterator<Item = (Vec<u8>, Vec<u8>)>, output: &mut Output<'_>) -> Result<()> {
    let mut last: Option<Vec<u8>> = None;
    for (key, value) in pairs {
        if last.as_ref().is_some_and(|last| *last >= key) {
            return Err(Error::invalid("the keys of an ingestion must ascend"));
        }
        Operation::Put { key: &key, value: &value }.validate()?;
        output.add(&key, PLACEHOLDER, ValueKind::Put, &value)?;
        last = Some(key);
    }
    Ok(())
}
