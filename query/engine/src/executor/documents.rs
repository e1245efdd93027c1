//! `$documents`: the documents an expression makes.

use std::collections::VecDeque;
use std::sync::Arc;

use sheaf_document::RawDocumentBuf;
use sheaf_language::aggregate::evaluate_documents;
use sheaf_language::expression::Expression;

use super::{ExecutionContext, Row};
use crate::Result;

pub(super) struct Documents {
    expression: Arc<Expression>,
    /// None before the expression was evaluated.
    ready: Option<VecDeque<RawDocumentBuf>>,
}

impl Documents {
    pub(super) fn new(expression: Arc<Expression>) -> Self {
        Self { expression, ready: None }
    }

    pub(super) fn pull(
        &mut self,
        context: &mut ExecutionContext,
        wanted: usize,
        rows: &mut Vec<Row>,
    ) -> Result<()> {
        let ready = match &mut self.ready {
            Some(ready) => ready,
            empty => empty.insert(evaluate_documents(&self.expression, &mut context.environment)?.into()),
        };
        rows.extend(ready.drain(..wanted.min(ready.len())).map(Row::built));
        Ok(())
    }
}
