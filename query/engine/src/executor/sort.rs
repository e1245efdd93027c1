//! SORT: all rows in order; with a limit only the first ones are kept.
//!
//! With a limit the rows are kept in a buffer of at most twice the limit, which is sorted and cut whenever it is
//! full: that costs n log k like a heap, and keeps equal keys in the order they came. Past its memory it fails
//! with `QueryExceededMemoryLimitNoDiskUseAllowed`; it does not spill.

use std::sync::Arc;

use sheaf_document::Value;
use sheaf_language::sort::SortSpec;

use super::{BATCH_ROWS, ExecutionContext, Operator, Row};
use crate::Result;

pub(super) struct Sort {
    sort: Arc<SortSpec>,
    limit: Option<u64>,
    pub(super) input: Box<Operator>,
    /// What is left to return, in reverse order; none before the input was read.
    sorted: Option<Vec<Row>>,
}

struct Keyed {
    key: Vec<Value<'static>>,
    row: Row,
    bytes: usize,
}

impl Sort {
    pub(super) fn new(sort: Arc<SortSpec>, limit: Option<u64>, input: Box<Operator>) -> Self {
        Self { sort, limit, input, sorted: None }
    }

    pub(super) fn pull(
        &mut self,
        context: &mut ExecutionContext,
        wanted: usize,
        rows: &mut Vec<Row>,
    ) -> Result<()> {
        if self.sorted.is_none() {
            self.sorted = Some(self.fill(context)?);
        }
        let Some(sorted) = &mut self.sorted else { return Ok(()) };
        let keep = sorted.len().saturating_sub(wanted);
        rows.extend(sorted.drain(keep..).rev());
        Ok(())
    }

    pub(super) fn is_finished(&self) -> bool {
        self.sorted.as_ref().is_some_and(Vec::is_empty)
    }

    fn fill(&mut self, context: &mut ExecutionContext) -> Result<Vec<Row>> {
        let limit = self.limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let mut kept: Vec<Keyed> = Vec::new();
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
                let keyed = Keyed { bytes: row.memory_bytes() + key_bytes(&key), key, row };
                bytes += keyed.bytes;
                kept.push(keyed);
            }
            if let Some(limit) = limit
                && kept.len() >= limit.saturating_mul(2).max(BATCH_ROWS)
            {
                self.order(&mut kept, context);
                kept.truncate(limit);
                bytes = kept.iter().map(|keyed| keyed.bytes).sum();
            }
            context.check_memory("a sort", bytes)?;
        }
        self.order(&mut kept, context);
        kept.truncate(limit.unwrap_or(usize::MAX));
        Ok(kept.into_iter().rev().map(|keyed| keyed.row).collect())
    }

    fn order(&self, kept: &mut [Keyed], context: &ExecutionContext) {
        let collator = context.environment.collate();
        kept.sort_by(|left, right| self.sort.compare(&left.key, &right.key, collator));
    }
}

fn key_bytes(key: &[Value<'static>]) -> usize {
    let own = |value: &Value<'static>| match value {
        Value::String(text) => text.len(),
        Value::Document(document) => document.as_raw().len_bytes(),
        _ => 0,
    };
    key.iter().map(|value| size_of::<Value<'static>>() + own(value)).sum()
}
