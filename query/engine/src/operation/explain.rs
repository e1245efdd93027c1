//! Asking how an operation would run.

use super::{
    AggregateOperation, CountOperation, DeleteOperation, DistinctOperation, FindAndModifyOperation,
    FindOperation, UpdateOperation,
};

/// How much to tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// The winning plan; nothing is run.
    QueryPlanner,
    /// The winning plan is run (writes are not applied) and its operators counted.
    ExecutionStats,
    /// As `ExecutionStats`, with the plans that lost.
    #[default]
    AllPlansExecution,
}

/// The operation to explain.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each variant names its operation")]
pub enum ExplainTarget<'a> {
    Find(FindOperation<'a>),
    Aggregate(AggregateOperation<'a>),
    Count(CountOperation<'a>),
    Distinct(DistinctOperation<'a>),
    Update(UpdateOperation<'a>),
    Delete(DeleteOperation<'a>),
    FindAndModify(FindAndModifyOperation<'a>),
}

/// Explains an operation: the answer is a document with `queryPlanner` and, if it was run, `executionStats`.
#[derive(Clone, Debug)]
pub struct ExplainOperation<'a> {
    /// The operation to explain.
    pub target: ExplainTarget<'a>,
    /// How much to tell.
    pub verbosity: Verbosity,
}
