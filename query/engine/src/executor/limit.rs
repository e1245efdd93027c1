//! LIMIT: the first rows.

use super::{ExecutionContext, Operator, Row};
use crate::Result;

pub(super) struct Limit {
    /// Rows it may still return.
    pub(super) left: u64,
    /// The input had no more. A tailable one may have some later.
    is_at_end: bool,
    pub(super) input: Box<Operator>,
}

impl Limit {
    pub(super) fn new(limit: u64, input: Box<Operator>) -> Self {
        Self { left: limit, is_at_end: false, input }
    }

    pub(super) fn pull(
        &mut self,
        context: &mut ExecutionContext,
        wanted: usize,
        rows: &mut Vec<Row>,
    ) -> Result<()> {
        let wanted = wanted.min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(());
        }
        let before = rows.len();
        self.input.pull(context, wanted, rows)?;
        let returned = u64::try_from(rows.len() - before).unwrap_or(u64::MAX);
        self.is_at_end = returned == 0;
        self.left = self.left.saturating_sub(returned);
        Ok(())
    }

    pub(super) fn is_finished(&self) -> bool {
        self.left == 0 || self.is_at_end || self.input.is_finished()
    }
}
