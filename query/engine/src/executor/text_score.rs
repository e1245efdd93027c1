//! TEXT_MATCH: the score of each row that a text search found.

use std::sync::Arc;

use sheaf_language::Filter;

use super::{ExecutionContext, Operator, Row};
use crate::Result;

pub(super) struct TextScore {
    filter: Arc<Filter>,
    pub(super) input: Box<Operator>,
}

impl TextScore {
    pub(super) fn new(filter: Arc<Filter>, input: Box<Operator>) -> Self {
        Self { filter, input }
    }

    pub(super) fn pull(
        &mut self,
        context: &mut ExecutionContext,
        wanted: usize,
        rows: &mut Vec<Row>,
    ) -> Result<()> {
        let before = rows.len();
        self.input.pull(context, wanted, rows)?;
        let Some(search) = self.filter.text() else { return Ok(()) };
        for row in rows.iter_mut().skip(before) {
            let score = search.score(row.document()?)?;
            row.metadata.get_or_insert_default().text_score = score;
        }
        Ok(())
    }
}
