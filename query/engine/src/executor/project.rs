//! PROJECTION: other documents made from the rows' own.

use std::sync::Arc;

use sheaf_language::filter::{Filter, MatchedPosition};
use sheaf_language::projection::Projection;

use super::{ExecutionContext, Operator, Row, RowDocument};
use crate::Result;

pub(super) struct Project {
    projection: Arc<Projection>,
    /// The query's filter, where the projection needs to know which array element it matched.
    filter: Option<Arc<Filter>>,
    pub(super) input: Box<Operator>,
}

impl Project {
    pub(super) fn new(
        projection: Arc<Projection>,
        filter: Option<Arc<Filter>>,
        input: Box<Operator>,
    ) -> Self {
        Self { projection, filter, input }
    }

    pub(super) fn pull(
        &mut self,
        context: &mut ExecutionContext,
        wanted: usize,
        rows: &mut Vec<Row>,
    ) -> Result<()> {
        let before = rows.len();
        self.input.pull(context, wanted, rows)?;
        for row in rows.iter_mut().skip(before) {
            context.show_metadata(row);
            let document = row.document()?;
            let position = match &self.filter {
                Some(filter) => {
                    filter.match_position(document, &mut context.environment)?.unwrap_or_default()
                }
                None => MatchedPosition::default(),
            };
            let projected = self.projection.apply(document, &mut context.environment, position)?;
            row.document = Some(RowDocument::Built(projected));
        }
        Ok(())
    }
}
