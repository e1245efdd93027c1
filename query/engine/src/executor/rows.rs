//! Rows that are there already.

use std::collections::VecDeque;

use super::Row;

pub(super) struct Rows {
    ready: VecDeque<Row>,
}

impl Rows {
    pub(super) fn new(rows: Vec<Row>) -> Self {
        Self { ready: rows.into() }
    }

    pub(super) fn pull(&mut self, wanted: usize, rows: &mut Vec<Row>) {
        rows.extend(self.ready.drain(..wanted.min(self.ready.len())));
    }
}
