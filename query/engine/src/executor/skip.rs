//! SKIP: all but the first rows.

use super::{BATCH_ROWS, ExecutionContext, Operator, Row};
use crate::Result;

pub(super) struct Skip {
    /// Rows it still passes over.
    pub(super) left: u64,
    pub(super) input: Box<Operator>,
}

impl Skip {
    pub(super) fn new(skip: u64, input: Box<Operator>) -> Self {
        Self { left: skip, input }
    }

    pub(super) fn pull(
        &mut self,
        context: &mut ExecutionContext,
        wanted: usize,
        rows: &mut Vec<Row>,
    ) -> Result<()> {
        let mut skipped = Vec::new();
        while self.left > 0 {
            context.check_time()?;
            let some = BATCH_ROWS.min(usize::try_from(self.left).unwrap_or(BATCH_ROWS));
            self.input.pull(context, some, &mut skipped)?;
            if skipped.is_empty() {
                return Ok(());
            }
            self.left -= u64::try_from(skipped.len()).unwrap_or(self.left);
            skipped.clear();
        }
        self.input.pull(context, wanted, rows)
    }
}
