//! Rows that are there already, in memory or in a temporary file.

use std::collections::VecDeque;

use super::Row;
use super::spill::{SpillReader, decode_row};
use crate::Result;

pub(super) struct Rows {
    ready: VecDeque<Row>,
    /// What follows those.
    file: Option<SpillReader>,
}

impl Rows {
    pub(super) fn new(rows: Vec<Row>, file: Option<SpillReader>) -> Self {
        Self { ready: rows.into(), file }
    }

    pub(super) fn pull(&mut self, wanted: usize, rows: &mut Vec<Row>) -> Result<()> {
        let end = rows.len() + wanted;
        rows.extend(self.ready.drain(..wanted.min(self.ready.len())));
        let Some(file) = &mut self.file else { return Ok(()) };
        while rows.len() < end {
            let Some(record) = file.next()? else { break };
            rows.push(decode_row(record)?.row);
        }
        Ok(())
    }
}
