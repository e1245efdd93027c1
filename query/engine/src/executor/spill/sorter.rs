//! Sorting more rows than memory holds.
//!
//! Rows gather in memory. Past the limit they are brought into order and written as a *run*; at the end the runs are
//! merged as rows are asked for. Of equal keys the earlier run's row comes first, so the order is stable either way.
//!
//! Runs stand in levels: when a level has [`MERGED_AT_ONCE`] of them they are merged into one run of the next. So a row
//! is written once per level (the logarithm of the count of runs), and only a bounded number of files is open:
//!
//! ```text
//! level 1   [0..16)                        older rows
//! level 0            [16] [17] [18]        newer rows
//! ```
//!
//! With a limit only the first rows are kept: in memory a buffer of at most twice the limit is sorted and cut whenever it
//! is full, which costs n log k like a heap and keeps equal keys in the order they came; of a run no more is written.

use std::cmp::Ordering;
use std::sync::Arc;

use sheaf_document::Value;
use sheaf_language::expression::heap_bytes;

use super::{SpillFile, SpillReader, SpillUse, SpillingOperator, decode_row, encode_row};
use crate::Result;
use crate::executor::{BATCH_ROWS, ExecutionContext, Row};

/// Runs of a level that are merged into one of the next.
const MERGED_AT_ONCE: usize = 16;

/// The order of sort keys.
pub(in crate::executor) type Order =
    Arc<dyn Fn(&[Value<'static>], &[Value<'static>]) -> Ordering + Send + Sync>;

/// A row with its sort key.
pub(in crate::executor) struct KeyedRow {
    pub(in crate::executor) key: Vec<Value<'static>>,
    pub(in crate::executor) row: Row,
}

/// Rows on their way into order.
pub(in crate::executor) struct Sorter {
    operator: SpillingOperator,
    order: Order,
    limit: usize,
    kept: Vec<KeyedRow>,
    bytes: usize,
    /// By level, oldest first.
    runs: Vec<Vec<SpillFile>>,
    count: u64,
    used: SpillUse,
}

/// Rows in order.
pub(in crate::executor) enum SortedRows {
    /// All of them, in reverse order.
    Memory(Vec<KeyedRow>),
    /// To be merged from runs.
    Runs(Merge),
}

/// Runs that are being merged.
pub(in crate::executor) struct Merge {
    order: Order,
    /// The runs with the next row of each; the first of them last.
    heads: Vec<Head>,
    /// How many rows may still be returned.
    left: usize,
}

struct Head {
    next: KeyedRow,
    /// Its place among the runs: smaller is older.
    run: usize,
    reader: SpillReader,
}

impl Sorter {
    /// Nothing yet. With a limit, only the first rows are wanted.
    pub(in crate::executor) fn new(operator: SpillingOperator, order: Order, limit: Option<usize>) -> Self {
        Self {
            operator,
            order,
            limit: limit.unwrap_or(usize::MAX),
            kept: Vec::new(),
            bytes: 0,
            runs: Vec::new(),
            count: 0,
            used: SpillUse::default(),
        }
    }

    /// Adds a row.
    pub(in crate::executor) fn push(&mut self, key: Vec<Value<'static>>, row: Row) {
        let keyed = KeyedRow { key, row: row.held() };
        self.bytes += keyed.bytes();
        self.count += 1;
        self.kept.push(keyed);
    }

    /// Rows added so far.
    pub(in crate::executor) const fn count(&self) -> u64 {
        self.count
    }

    /// What went to disk so far.
    pub(in crate::executor) const fn used(&self) -> SpillUse {
        self.used
    }

    /// Keeps within memory. To be called after every batch.
    pub(in crate::executor) fn settle(&mut self, context: &ExecutionContext) -> Result<()> {
        if self.kept.len() >= self.limit.saturating_mul(2).max(BATCH_ROWS) {
            self.sort();
            self.kept.truncate(self.limit);
            self.bytes = self.kept.iter().map(KeyedRow::bytes).sum();
        }
        if self.bytes > context.memory_bytes_max && context.spill.is_some() {
            return self.spill(context);
        }
        context.check_memory(self.operator.name(), self.bytes)
    }

    fn sort(&mut self) {
        let order = &self.order;
        self.kept.sort_by(|left, right| order(&left.key, &right.key));
    }

    fn spill(&mut self, context: &ExecutionContext) -> Result<()> {
        self.sort();
        self.kept.truncate(self.limit);
        let Some(space) = &context.spill else { return Ok(()) };
        let mut writer = space.create()?;
        for keyed in self.kept.drain(..) {
            writer.append(encode_row(&keyed)?.as_bytes())?;
        }
        self.bytes = 0;
        self.put_run(writer.finish()?, 0, 1, context);
        let mut level = 0;
        while let Some(runs) = self.runs.get_mut(level).filter(|runs| runs.len() >= MERGED_AT_ONCE) {
            let runs = std::mem::take(runs);
            let mut merge = Merge::new(&self.order, &runs, self.limit)?;
            let mut writer = space.create()?;
            while let Some(keyed) = merge.next()? {
                context.check_time()?;
                writer.append(encode_row(&keyed)?.as_bytes())?;
            }
            level += 1;
            self.put_run(writer.finish()?, level, 0, context);
        }
        Ok(())
    }

    fn put_run(&mut self, run: SpillFile, level: usize, spills: u64, context: &ExecutionContext) {
        let used = SpillUse { spills, ..run.used() };
        self.used.add(used);
        if let Some(space) = &context.spill {
            space.totals.add(self.operator, used);
        }
        if self.runs.len() <= level {
            self.runs.resize_with(level + 1, Vec::new);
        }
        if let Some(runs) = self.runs.get_mut(level) {
            runs.push(run);
        }
    }

    /// The rows in order.
    pub(in crate::executor) fn finish(mut self, context: &ExecutionContext) -> Result<SortedRows> {
        if self.runs.is_empty() {
            self.sort();
            self.kept.truncate(self.limit);
            self.kept.reverse();
            return Ok(SortedRows::Memory(self.kept));
        }
        if !self.kept.is_empty() {
            self.spill(context)?;
        }
        let runs: Vec<SpillFile> = self.runs.into_iter().rev().flatten().collect();
        Merge::new(&self.order, &runs, self.limit).map(SortedRows::Runs)
    }
}

impl Merge {
    /// Merges runs, the oldest first.
    fn new(order: &Order, runs: &[SpillFile], left: usize) -> Result<Self> {
        let mut merge = Self { order: Arc::clone(order), heads: Vec::with_capacity(runs.len()), left };
        for (run, file) in runs.iter().enumerate() {
            merge.put_back(run, file.read())?;
        }
        Ok(merge)
    }

    /// Puts a run in its place by its next row, if it has one.
    fn put_back(&mut self, run: usize, mut reader: SpillReader) -> Result<()> {
        let Some(next) = reader.next()?.map(decode_row).transpose()? else { return Ok(()) };
        let later = |other: &Head| {
            let order = (self.order)(&other.next.key, &next.key);
            order.then_with(|| other.run.cmp(&run)).is_gt()
        };
        let place = self.heads.partition_point(later);
        self.heads.insert(place, Head { next, run, reader });
        Ok(())
    }

    fn next(&mut self) -> Result<Option<KeyedRow>> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        let Some(Head { next, run, reader }) = self.heads.pop() else { return Ok(None) };
        self.left = left;
        self.put_back(run, reader)?;
        Ok(Some(next))
    }
}

impl SortedRows {
    /// The next row.
    pub(in crate::executor) fn next(&mut self) -> Result<Option<KeyedRow>> {
        match self {
            Self::Memory(rows) => Ok(rows.pop()),
            Self::Runs(merge) => merge.next(),
        }
    }

    /// Whether it is known that nothing follows.
    pub(in crate::executor) fn is_empty(&self) -> bool {
        match self {
            Self::Memory(rows) => rows.is_empty(),
            Self::Runs(merge) => merge.left == 0 || merge.heads.is_empty(),
        }
    }
}

impl KeyedRow {
    /// Bytes it holds in memory, about.
    fn bytes(&self) -> usize {
        let key: usize = self.key.iter().map(|value| size_of::<Value<'static>>() + heap_bytes(value)).sum();
        self.row.memory_bytes() + key
    }
}
