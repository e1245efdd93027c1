//! LIMIT: the first rows.

use super::{ExecutionContext, Operator, Row};
use crate::Result;

pub(super) struct Limit {
    left: u64,
    pub(super) input: Box<Operator>,
}

impl Limit {
    pub(super) fn new(limit: u64, input: Box<Operator>) -> Self {
        Self { left: limit, input }
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
        // An input that is at its end stays there.
        self.left = if returned == 0 { 0 } else { self.left.saturating_sub(returned) };
        Ok(())
    }

    pub(super) fn is_finished(&self) -> bool {
        self.left == 0 || self.input.is_finished()
    }
}
