//! OR: the rows of all inputs, each document once.

use std::collections::HashSet;

use super::{ExecutionContext, Operator, Row};
use crate::Result;

pub(super) struct Union {
    pub(super) inputs: Vec<Operator>,
    current: usize,
    seen: HashSet<Vec<u8>>,
}

impl Union {
    pub(super) fn new(inputs: Vec<Operator>) -> Self {
        Self { inputs, current: 0, seen: HashSet::new() }
    }

    pub(super) fn pull(
        &mut self,
        context: &mut ExecutionContext,
        wanted: usize,
        rows: &mut Vec<Row>,
    ) -> Result<()> {
        let mut batch = Vec::new();
        while let Some(input) = self.inputs.get_mut(self.current) {
            input.pull(context, wanted, &mut batch)?;
            if batch.is_empty() {
                self.current += 1;
                continue;
            }
            let before = rows.len();
            rows.extend(batch.drain(..).filter(|row| self.seen.insert(row.document_key.clone())));
            if rows.len() > before {
                return Ok(());
            }
        }
        Ok(())
    }
}
