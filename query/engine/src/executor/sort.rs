//! SORT: all rows in order; with a limit only the first ones are kept.
//!
//! Past its memory a sort goes to disk (see [`spill`](super::spill)); where that is not allowed it fails with
//! `QueryExceededMemoryLimitNoDiskUseAllowed`.

use std::sync::Arc;

use sheaf_language::sort::SortSpec;

use super::spill::{Order, SortedRows, Sorter, SpillUse, SpillingOperator};
use super::{BATCH_ROWS, ExecutionContext, Operator, Row};
use crate::Result;

pub(super) struct Sort {
    sort: Arc<SortSpec>,
    limit: Option<usize>,
    pub(super) input: Box<Operator>,
    /// None before the input was read.
    output: Option<SortedRows>,
    pub(super) used: SpillUse,
}

impl Sort {
    pub(super) fn new(sort: Arc<SortSpec>, limit: Option<u64>, input: Box<Operator>) -> Self {
        let limit = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
        Self { sort, limit, input, output: None, used: SpillUse::default() }
    }

    pub(super) fn pull(
        &mut self,
        context: &mut ExecutionContext,
        wanted: usize,
        rows: &mut Vec<Row>,
    ) -> Result<()> {
        let output = match &mut self.output {
            Some(output) => output,
            None => {
                let sorted = self.fill(context)?;
                self.output.insert(sorted)
            }
        };
        for _ in 0..wanted {
            let Some(keyed) = output.next()? else { break };
            rows.push(keyed.row);
        }
        Ok(())
    }

    pub(super) fn is_finished(&self) -> bool {
        self.output.as_ref().is_some_and(SortedRows::is_empty)
    }

    fn fill(&mut self, context: &mut ExecutionContext) -> Result<SortedRows> {
        let (sort, collator) = (Arc::clone(&self.sort), context.environment.collator.clone());
        let order: Order = Arc::new(move |left, right| sort.compare(left, right, collator.as_deref()));
        let mut sorter = Sorter::new(SpillingOperator::Sort, order, self.limit);
        let mut batch = Vec::new();
        loop {
            context.check_time()?;
            self.input.pull(context, BATCH_ROWS, &mut batch)?;
            if batch.is_empty() {
                break;
            }
            for row in batch.drain(..) {
                context.show_metadata(&row);
                let key = self.sort.key(row.document()?, &mut context.environment)?;
                sorter.push(key, row);
            }
            sorter.settle(context)?;
            self.used = sorter.used();
        }
        sorter.finish(context)
    }
}
