//! MATCH: the rows that match a filter.

use std::sync::Arc;

use sheaf_language::filter::Filter;

use super::{BATCH_ROWS, ExecutionContext, Operator, Row};
use crate::Result;

pub(super) struct FilterRows {
    filter: Arc<Filter>,
    pub(super) input: Box<Operator>,
    candidates: Vec<Row>,
}

impl FilterRows {
    pub(super) fn new(filter: Arc<Filter>, input: Box<Operator>) -> Self {
        Self { filter, input, candidates: Vec::new() }
    }

    pub(super) fn pull(
        &mut self,
        context: &mut ExecutionContext,
        wanted: usize,
        rows: &mut Vec<Row>,
    ) -> Result<()> {
        let end = rows.len() + wanted;
        while rows.len() < end {
            context.check_time()?;
            self.input.pull(context, (end - rows.len()).min(BATCH_ROWS), &mut self.candidates)?;
            if self.candidates.is_empty() {
                return Ok(());
            }
            for row in self.candidates.drain(..) {
                context.show_metadata(&row);
                if self.filter.matches(row.document()?, &mut context.environment)? {
                    rows.push(row);
                }
            }
        }
        Ok(())
    }
}
