//! Carries out a flush or a compaction: reads inputs, writes outputs, returns the edit that puts the one in place of the
//! other. Installs nothing and deletes nothing but its own unfinished files.
//!
//! Checks itself: every entry read is either kept or dropped; the entries read are as many as the manifest says the
//! inputs have; the table writer refuses entries out of order. The bytes of every output and their names are durable
//! before the edit is returned.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::compaction::levels::LevelTargets;
use crate::compaction::output::{Output, OutputPlan};
use crate::compaction::picker::garbage_blobs;
use crate::compaction::retain::{History, Retainer};
use crate::compaction::{Choice, Reason};
use crate::error::{Error, Result};
use crate::file_id::FileId;
use crate::manifest::{TableRef, Version, VersionEdit};
use crate::memtable::Memtable;
use crate::options::StoreOptions;
use crate::range_tombstone::RangeTombstones;
use crate::read::merge::MergeCursor;
use crate::read::source::{LevelCursor, LevelTables, Source};
use crate::sstable::block_file::{Caching, FileOpener};
use crate::sstable::cursor::TableCursor;
use crate::sync::scheduled::AtomicBool;

/// Entries between two looks at the stop signal.
const ENTRIES_BETWEEN_CHECKS: u64 = 1_000;
/// Bytes between two looks at the pace.
const BYTES_BETWEEN_PACES: u64 = 256 << 10;

/// What a job works with.
pub struct JobContext<'a> {
    /// The store's options.
    pub options: &'a StoreOptions,
    /// The tablet's files.
    pub opener: &'a Arc<FileOpener>,
    /// Draws a file number.
    pub next_file: &'a dyn Fn() -> FileId,
    /// Which versions must stay.
    pub history: History,
    /// Raised to make the job stop early with [`Error::Closed`].
    pub stop: &'a AtomicBool,
    /// Told how many bytes of keys and values were gone through since it was told last; may take its time.
    pub pace: &'a dyn Fn(u64),
}

/// What a job did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobOutcome {
    /// Replaces the inputs by the outputs. The caller adds what else the step means (log position, file numbers).
    pub edit: VersionEdit,
    /// Entries read.
    pub entries_read: u64,
    /// Entries written.
    pub entries_written: u64,
    /// Bytes of the input tables.
    pub bytes_read: u64,
    /// Bytes of the new tables and blob files.
    pub bytes_written: u64,
}

/// Writes `memtables` (newest first) as tables of L0 with `epoch`.
pub fn flush(context: &JobContext<'_>, memtables: &[Arc<Memtable>], epoch: u64) -> Result<JobOutcome> {
    let sources = memtables.iter().map(|memtable| Source::Memtable(memtable.cursor())).collect();
    let tombstones = memtables.iter().filter_map(|memtable| memtable.range_tombstones());
    let all: Vec<_> = tombstones.flat_map(|ranges| ranges.iter().collect::<Vec<_>>()).collect();
    let ranges = RangeTombstones::new(all);
    let deeper = |_: &[u8]| true;
    let needed = RangeTombstones::new(context.history.needed_ranges(&ranges, |_, _| true));
    let plan = OutputPlan {
        level: 0,
        epoch,
        ranges: needed,
        grandparents: Vec::new(),
        blobs_rewritten: BTreeSet::new(),
        version: None,
        table_bytes_target: u64::MAX,
    };
    run(context, sources, &ranges, plan, deeper, None, VersionEdit::default())
}

/// Carries out `choice` on `version`.
pub fn compact(context: &JobContext<'_>, version: &Version, choice: &Choice) -> Result<JobOutcome> {
    match choice {
        Choice::Nothing => Ok(JobOutcome::default()),
        Choice::Move { tables, to, .. } => {
            let mut edit = VersionEdit::default();
            for (level, table) in find_all(version, tables)? {
                edit.removed_tables.push((level, table.meta.file_id));
                edit.added_tables.push((*to, table.meta.clone()));
            }
            Ok(JobOutcome { edit, ..JobOutcome::default() })
        }
        Choice::Drop { tables } => {
            let edit = VersionEdit { removed_tables: tables.clone(), ..VersionEdit::default() };
            Ok(JobOutcome { edit, ..JobOutcome::default() })
        }
        Choice::Merge { tables, to, reason } => {
            merge(context, version, &find_all(version, tables)?, *to, *reason)
        }
    }
}

/// A choice that merges everything into one level: what `compact_all` does.
pub fn choose_all(version: &Version, options: &StoreOptions) -> Choice {
    let levels = version.levels.iter().enumerate();
    let all: Vec<_> = levels
        .flat_map(|(level, tables)| tables.iter().map(move |table| (level, table.meta.file_id)))
        .collect();
    if all.is_empty() {
        return Choice::Nothing;
    }
    let deepest = all.iter().map(|(level, _)| *level).max().unwrap_or_default();
    let to = deepest.max(LevelTargets::new(version, options).base);
    Choice::Merge { tables: all, to, reason: Reason::Manual }
}

fn find_all(version: &Version, tables: &[(usize, FileId)]) -> Result<Vec<(usize, TableRef)>> {
    let find = |&(level, file_id): &(usize, FileId)| {
        let table = version.level(level).iter().find(|table| table.meta.file_id == file_id);
        let missing =
            || Error::invalid(format!("the plan names sstable {file_id}, which is not in L{level}"));
        Ok((level, TableRef::clone(table.ok_or_else(missing)?)))
    };
    tables.iter().map(find).collect()
}

/// The inputs as sources, the newest first: each table of L0, then one cursor for each level below.
fn sources_of(inputs: &[(usize, TableRef)]) -> Result<Vec<Source>> {
    let mut upper: Vec<_> = inputs.iter().filter(|(level, _)| *level == 0).collect();
    upper.sort_by_key(|(_, table)| std::cmp::Reverse(table.meta.epoch));
    let mut sources = Vec::new();
    for (_, table) in upper {
        sources.push(Source::Table(TableCursor::new(Arc::clone(table.reader()?), Caching::Past)));
    }
    let levels: BTreeSet<usize> = inputs.iter().map(|(level, _)| *level).filter(|&level| level > 0).collect();
    for level in levels {
        let of_level = inputs.iter().filter(|(of, _)| *of == level).map(|(_, table)| TableRef::clone(table));
        let mut tables: Vec<_> = of_level.collect();
        tables.sort_by(|a, b| a.meta.smallest.cmp(&b.meta.smallest));
        sources.push(Source::Level(LevelCursor::new(LevelTables::Chosen(tables), Caching::Past)));
    }
    Ok(sources)
}

/// The tables below `level` that are not inputs: where older versions may be.
fn deeper_tables(version: &Version, inputs: &BTreeSet<FileId>, level: usize) -> Vec<Vec<TableRef>> {
    let below = version.levels.iter().skip(level + 1);
    let others = below.map(|tables| {
        tables.iter().filter(|table| !inputs.contains(&table.meta.file_id)).map(TableRef::clone).collect()
    });
    others.collect()
}

fn merge(
    context: &JobContext<'_>,
    version: &Version,
    inputs: &[(usize, TableRef)],
    to: usize,
    reason: Reason,
) -> Result<JobOutcome> {
    let mut all = Vec::new();
    for (_, table) in inputs.iter().filter(|(_, table)| table.meta.range_tombstones > 0) {
        all.extend(table.reader()?.range_tombstones().iter().flat_map(|ranges| ranges.iter()));
    }
    let ranges = RangeTombstones::new(all);
    let ids: BTreeSet<FileId> = inputs.iter().map(|(_, table)| table.meta.file_id).collect();
    let below = deeper_tables(version, &ids, to);
    let deeper = |key: &[u8]| {
        below.iter().any(|tables| {
            let at = tables.partition_point(|table| !table.meta.largest.admits(key));
            tables.get(at).is_some_and(|table| table.meta.covers(key))
        })
    };
    let deeper_range = |start: &[u8], end: &[u8]| {
        below.iter().flatten().any(|table| table.meta.overlaps(Some(start), Some(end)))
    };
    let plan = OutputPlan {
        level: to,
        epoch: inputs.iter().map(|(_, table)| table.meta.epoch).max().unwrap_or_default(),
        ranges: RangeTombstones::new(context.history.needed_ranges(&ranges, deeper_range)),
        grandparents: if reason == Reason::Manual { Vec::new() } else { version.level(to + 1).to_vec() },
        blobs_rewritten: garbage_blobs(version, context.options),
        version: Some(version),
        table_bytes_target: context.options.table_bytes_target,
    };
    let edit = VersionEdit {
        removed_tables: inputs.iter().map(|(level, table)| (*level, table.meta.file_id)).collect(),
        ..VersionEdit::default()
    };
    let expected = inputs.iter().map(|(_, table)| table.meta.entries).sum();
    let mut outcome = run(context, sources_of(inputs)?, &ranges, plan, deeper, Some(expected), edit)?;
    outcome.bytes_read = inputs.iter().map(|(_, table)| table.meta.size_bytes).sum();
    Ok(outcome)
}

fn run(
    context: &JobContext<'_>,
    sources: Vec<Source>,
    ranges: &RangeTombstones,
    plan: OutputPlan<'_>,
    deeper: impl Fn(&[u8]) -> bool,
    expected: Option<u64>,
    edit: VersionEdit,
) -> Result<JobOutcome> {
    let mut outcome = JobOutcome { edit, ..JobOutcome::default() };
    let level = plan.level;
    let mut output = Output::new(context, plan);
    let written = write(context, sources, ranges, &deeper, &mut output, &mut outcome);
    let written = written.and_then(|()| check(context, &outcome, &output, expected));
    if let Err(error) = written {
        for path in &output.created {
            // The reason to stop is the one reported; what can not be removed now is removed as an orphan on open.
            let _already_failing = context.opener.vfs.remove(path);
        }
        return Err(error);
    }
    let tables = output.tables.iter().map(|meta| meta.size_bytes);
    outcome.bytes_written = tables.chain(output.blobs.iter().map(|meta| meta.size_bytes)).sum();
    outcome.edit.added_tables.extend(output.tables.into_iter().map(|meta| (level, meta)));
    outcome.edit.added_blobs.extend(output.blobs);
    Ok(outcome)
}

fn write(
    context: &JobContext<'_>,
    sources: Vec<Source>,
    ranges: &RangeTombstones,
    deeper: &impl Fn(&[u8]) -> bool,
    output: &mut Output<'_>,
    outcome: &mut JobOutcome,
) -> Result<()> {
    let mut merge = MergeCursor::new(sources);
    let mut retainer = Retainer::new(&context.history, ranges);
    merge.seek_to_first()?;
    let mut unpaced_bytes = 0;
    while let Some(position) = merge.position() {
        if outcome.entries_read.is_multiple_of(ENTRIES_BETWEEN_CHECKS) && context.stop.load(Ordering::Relaxed)
        {
            return Err(Error::Closed);
        }
        outcome.entries_read += 1;
        unpaced_bytes += (position.key.len() + merge.value().len()) as u64;
        if unpaced_bytes >= BYTES_BETWEEN_PACES {
            (context.pace)(std::mem::take(&mut unpaced_bytes));
        }
        if retainer.keeps(position.key, position.timestamp, merge.kind(), deeper) {
            outcome.entries_written += 1;
            output.add(position.key, position.timestamp, merge.kind(), merge.value())?;
        }
        merge.step()?;
    }
    output.finish()?;
    let directory = &context.opener.directory;
    context.opener.vfs.sync_dir(directory).map_err(|error| Error::io("sync directory", directory, error))
}

/// The counts agree, before anybody relies on the result.
fn check(
    context: &JobContext<'_>,
    outcome: &JobOutcome,
    output: &Output<'_>,
    expected: Option<u64>,
) -> Result<()> {
    let in_tables: u64 = output.tables.iter().map(|meta| meta.entries).sum();
    if expected.is_some_and(|expected| expected != outcome.entries_read)
        || in_tables != outcome.entries_written
    {
        let detail = format!(
            "compaction read {} entries of {expected:?}, kept {}, wrote {in_tables}",
            outcome.entries_read, outcome.entries_written
        );
        return Err(Error::corruption(&context.opener.directory, 0, detail));
    }
    Ok(())
}

#[cfg(test)]
#[path = "job_tests.rs"]
mod tests;
