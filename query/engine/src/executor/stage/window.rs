//! `$setWindowFields`: each document with what functions make of the documents around it.
//!
//! The documents are sorted by partition and order, on disk if need be. Of one partition the functions' inputs are in
//! memory, the documents only as far as there is room: the others wait in a file until the values are there.

use std::sync::Arc;

use sheaf_document::{RawDocumentBuf, Value};
use sheaf_language::aggregate::{SetWindowFields, Stage, WindowPartition, WindowValues};

use crate::Result;
use crate::executor::spill::{
    KeyedRow, Order, SortedRows, Sorter, SpillFile, SpillReader, SpillUse, SpillWriter, SpillingOperator,
    decode_row, encode_row,
};
use crate::executor::{BATCH_ROWS, ExecutionContext, Operator, Row};

/// Documents on their way out.
pub(super) struct WindowRows {
    sorted: SortedRows,
    /// The first row of the next partition.
    next: Option<KeyedRow>,
    current: Option<Finished>,
    pub(super) used: SpillUse,
}

/// The rows of one partition, first to last.
#[derive(Default)]
struct Members {
    /// The first rows, on disk.
    written: Option<SpillWriter>,
    /// The rows behind those.
    held: Vec<Row>,
    bytes: usize,
}

/// A partition whose values are known.
struct Finished {
    /// Kept for its bytes.
    _file: Option<SpillFile>,
    written: Option<SpillReader>,
    held: std::vec::IntoIter<Row>,
    values: WindowValues,
}

impl WindowRows {
    /// Reads an input to its end. `stage` is the one that `windows` is in.
    pub(super) fn of(
        stage: &Arc<Stage>,
        windows: &SetWindowFields,
        input: &mut Operator,
        context: &mut ExecutionContext,
    ) -> Result<Self> {
        let (own, collator) = (Arc::clone(stage), context.environment.collator.clone());
        let order: Order = Arc::new(move |left, right| match own.as_ref() {
            Stage::SetWindowFields(windows) => windows.compare(left, right, collator.as_deref()),
            _ => std::cmp::Ordering::Equal,
        });
        let mut sorter = Sorter::new(SpillingOperator::SetWindowFields, order, None);
        let mut batch = Vec::new();
        loop {
            context.check_time()?;
            input.pull(context, BATCH_ROWS, &mut batch)?;
            if batch.is_empty() {
                break;
            }
            for row in batch.drain(..) {
                context.show_metadata(&row);
                let key = windows.key(row.document()?, &mut context.environment)?;
                sorter.push(key, row);
            }
            sorter.settle(context)?;
        }
        let used = sorter.used();
        let mut sorted = sorter.finish(context)?;
        let next = sorted.next()?;
        Ok(Self { sorted, next, current: None, used })
    }

    /// The next document.
    pub(super) fn next(
        &mut self,
        windows: &SetWindowFields,
        context: &mut ExecutionContext,
    ) -> Result<Option<RawDocumentBuf>> {
        loop {
            if let Some(current) = &mut self.current
                && let Some(row) = current.next()?
            {
                return Ok(Some(windows.attach(row.document()?, &mut current.values)));
            }
            self.current = None;
            let Some(first) = self.next.take() else { return Ok(None) };
            self.current = Some(self.partition(windows, first, context)?);
        }
    }

    /// Reads and computes the partition that begins with `first`.
    fn partition(
        &mut self,
        windows: &SetWindowFields,
        first: KeyedRow,
        context: &mut ExecutionContext,
    ) -> Result<Finished> {
        let collator = context.environment.collator.clone();
        let same: Vec<Value<'static>> = first.key.iter().take(1).cloned().collect();
        let mut partition = WindowPartition::default();
        let mut members = Members::default();
        let mut next = Some(first);
        let mut count = 0usize;
        while let Some(KeyedRow { key, row }) = next {
            if !windows.is_same_partition(&same, &key, collator.as_deref()) {
                self.next = Some(KeyedRow { key, row });
                break;
            }
            context.show_metadata(&row);
            windows.gather(row.document()?, key, &mut partition, &mut context.environment)?;
            members.push(row, context, &mut self.used)?;
            count += 1;
            if count.is_multiple_of(BATCH_ROWS) {
                context.check_time()?;
                check_inputs(&partition, context)?;
            }
            next = self.sorted.next()?;
        }
        check_inputs(&partition, context)?;
        let values = windows.finish(partition, &mut context.environment)?;
        members.finish(values, context, &mut self.used)
    }
}

/// The inputs of one partition must be in memory: there is nowhere else that functions could look at them.
fn check_inputs(partition: &WindowPartition, context: &ExecutionContext) -> Result<()> {
    context.check_memory("$setWindowFields, for what its functions need of one partition,", partition.bytes())
}

impl Members {
    fn push(&mut self, row: Row, context: &ExecutionContext, used: &mut SpillUse) -> Result<()> {
        self.bytes += row.memory_bytes();
        self.held.push(row.held());
        if self.bytes <= context.memory_bytes_max {
            return Ok(());
        }
        let Some(space) = &context.spill else {
            return context.check_memory(SpillingOperator::SetWindowFields.name(), self.bytes);
        };
        let file = match &mut self.written {
            Some(file) => file,
            empty => empty.insert(space.create()?),
        };
        for row in self.held.drain(..) {
            file.append(encode_row(&KeyedRow { key: Vec::new(), row })?.as_bytes())?;
        }
        self.bytes = 0;
        used.spills += 1;
        Ok(())
    }

    fn finish(
        self,
        values: WindowValues,
        context: &ExecutionContext,
        used: &mut SpillUse,
    ) -> Result<Finished> {
        let file = self.written.map(SpillWriter::finish).transpose()?;
        if let (Some(file), Some(space)) = (&file, &context.spill) {
            used.add(file.used());
            space.totals.add(SpillingOperator::SetWindowFields, SpillUse { spills: 1, ..file.used() });
        }
        let written = file.as_ref().map(SpillFile::read);
        Ok(Finished { _file: file, written, held: self.held.into_iter(), values })
    }
}

impl Finished {
    fn next(&mut self) -> Result<Option<Row>> {
        if let Some(written) = &mut self.written
            && let Some(record) = written.next()?
        {
            return Ok(Some(decode_row(record)?.row));
        }
        Ok(self.held.next())
    }
}
