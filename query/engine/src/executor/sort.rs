//! SORT: all rows in order; with a limit only the first ones are kept.
//!
//! With a limit the rows are kept in a buffer of at most twice the limit, which is sorted and cut whenever it is
//! full: that costs n log k like a heap, and keeps equal keys in the order they came. Past its memory a sort writes
//! what it holds as a sorted run to disk ([`spill`](super::spill)) and goes on; at the end the runs are merged as the
//! rows are asked for. Of equal keys the earlier run's comes first, so the order is stable either way. Where spilling
//! is not allowed the sort fails with `QueryExceededMemoryLimitNoDiskUseAllowed`.

use std::sync::Arc;

use sheaf_document::Value;
use sheaf_language::sort::SortSpec;

use super::spill::{KeyedRow, Run};
use super::{BATCH_ROWS, ExecutionContext, Operator, Row};
use crate::Result;

pub(super) struct Sort {
    sort: Arc<SortSpec>,
    limit: Option<usize>,
    pub(super) input: Box<Operator>,
    /// None before the input was read.
    output: Option<Output>,
}

/// Where sorted rows come from.
enum Output {
    /// All of them, in reverse order.
    Memory(Vec<Row>),
    /// The runs with the next row of each, and how many rows may still be returned.
    Runs { runs: Vec<(Run, Option<KeyedRow>)>, left: usize },
}

impl Sort {
    pub(super) fn new(sort: Arc<SortSpec>, limit: Option<u64>, input: Box<Operator>) -> Self {
        let limit = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
        Self { sort, limit, input, output: None }
    }

    pub(super) fn pull(
        &mut self,
        context: &mut ExecutionContext,
        wanted: usize,
        rows: &mut Vec<Row>,
    ) -> Result<()> {
        if self.output.is_none() {
            self.output = Some(self.fill(context)?);
        }
        match &mut self.output {
            Some(Output::Memory(sorted)) => {
                let keep = sorted.len().saturating_sub(wanted);
                rows.extend(sorted.drain(keep..).rev());
            }
            Some(Output::Runs { runs, left }) => {
                for _ in 0..wanted.min(*left) {
                    let Some(row) = next_of_runs(&self.sort, runs, context)? else {
                        *left = 0;
                        break;
                    };
                    *left -= 1;
                    rows.push(row);
                }
            }
            None => {}
        }
        Ok(())
    }

    pub(super) fn is_finished(&self) -> bool {
        match &self.output {
            Some(Output::Memory(sorted)) => sorted.is_empty(),
            Some(Output::Runs { left, .. }) => *left == 0,
            None => false,
        }
    }

    fn fill(&mut self, context: &mut ExecutionContext) -> Result<Output> {
        let limit = self.limit.unwrap_or(usize::MAX);
        let mut kept: Vec<KeyedRow> = Vec::new();
        let mut runs: Vec<Run> = Vec::new();
        let mut bytes = 0usize;
        let mut batch = Vec::new();
        loop {
            context.check_time()?;
            self.input.pull(context, BATCH_ROWS, &mut batch)?;
            if batch.is_empty() {
                break;
            }
            for row in batch.drain(..) {
                if let Some(metadata) = &row.metadata {
                    context.environment.metadata = (**metadata).clone();
                }
                let key = self.sort.key(row.document()?, &mut context.environment)?;
                let keyed = KeyedRow { key, row };
                bytes += keyed.bytes();
                kept.push(keyed);
            }
            if kept.len() >= limit.saturating_mul(2).max(BATCH_ROWS) {
                self.order(&mut kept, context);
                kept.truncate(limit);
                bytes = kept.iter().map(KeyedRow::bytes).sum();
            }
            if let Some(space) = context.spill.clone()
                && bytes > context.memory_bytes_max
            {
                self.order(&mut kept, context);
                runs.push(space.write(kept.drain(..).take(limit))?);
                bytes = 0;
            }
            context.check_memory("a sort", bytes)?;
        }
        self.order(&mut kept, context);
        kept.truncate(limit);
        match context.spill.clone() {
            Some(space) if !runs.is_empty() => {
                runs.push(space.write(kept.into_iter())?);
                let runs = runs.into_iter().map(|mut run| run.next().map(|first| (run, first)));
                Ok(Output::Runs { runs: runs.collect::<Result<_>>()?, left: limit })
            }
            _ => Ok(Output::Memory(kept.into_iter().rev().map(|keyed| keyed.row).collect())),
        }
    }

    fn order(&self, kept: &mut [KeyedRow], context: &ExecutionContext) {
        let collator = context.environment.collate();
        kept.sort_by(|left, right| self.sort.compare(&left.key, &right.key, collator));
    }
}

/// The first of the runs' next rows.
fn next_of_runs(
    sort: &SortSpec,
    runs: &mut [(Run, Option<KeyedRow>)],
    context: &ExecutionContext,
) -> Result<Option<Row>> {
    let collator = context.environment.collate();
    let mut first: Option<(usize, &KeyedRow)> = None;
    for (position, (_, next)) in runs.iter().enumerate() {
        let Some(next) = next else { continue };
        // Strictly less: of equals the earlier run's stays.
        if first.is_none_or(|(_, best)| sort.compare(&next.key, &best.key, collator).is_lt()) {
            first = Some((position, next));
        }
    }
    let Some((run, next)) = first.map(|(position, _)| position).and_then(|position| runs.get_mut(position))
    else {
        return Ok(None);
    };
    let following = run.next()?;
    Ok(std::mem::replace(next, following).map(|keyed| keyed.row))
}

impl KeyedRow {
    /// Bytes it holds in memory, about.
    fn bytes(&self) -> usize {
        let own = |value: &Value<'static>| match value {
            Value::String(text) => text.len(),
            Value::Document(document) => document.as_raw().len_bytes(),
            _ => 0,
        };
        let key: usize = self.key.iter().map(|value| size_of::<Value<'static>>() + own(value)).sum();
        self.row.memory_bytes() + key
    }
}
