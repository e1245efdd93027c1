//! Cursors: a query's answer, batch by batch, at one moment of time.
//!
//! A [`Cursor`] is a value: whoever holds it pulls batches from it. Doors whose clients name cursors by number keep
//! them in the [`CursorRegistry`] between two requests.

mod execution;
mod position;
mod registry;
mod tail;
#[cfg(test)]
mod tests;

pub(crate) use execution::Execution;
pub(crate) use position::{Place, Position};
pub use registry::{CursorRegistry, IdleCursor, KilledCursors};
pub(crate) use tail::Tail;
pub use tail::{AWAIT_DEFAULT, AWAIT_MAX};

use std::collections::VecDeque;
use std::time::Duration;

use sheaf_document::RawDocumentBuf;
use sheaf_storage::Timestamp;

use self::tail::WakeUp;
use crate::plan::PhysicalPlan;
use crate::{Error, Namespace, Result, error_code};

/// Documents of an answer, in order.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The documents.
    pub documents: Vec<RawDocumentBuf>,
}

/// An answer that is being read.
pub struct Cursor {
    namespace: Namespace,
    source: Source,
}

/// Where the documents come from.
enum Source {
    /// They are all there already.
    Ready(VecDeque<RawDocumentBuf>),
    /// A plan is run for them.
    Plan(Box<PlanSource>),
    /// A plan that goes on when documents come.
    Tail(Tail),
}

/// A plan that is run, and what its positions say about it.
struct PlanSource {
    execution: Execution,
    /// The operation's.
    fingerprint: u64,
    plan: PhysicalPlan,
    /// Of the plan; reckoned when it is first asked for.
    plan_fingerprint: Option<u64>,
}

impl Cursor {
    /// A cursor over documents that are there already, e.g. a listing.
    pub fn from_documents(namespace: Namespace, documents: impl IntoIterator<Item = RawDocumentBuf>) -> Self {
        Self { namespace, source: Source::Ready(documents.into_iter().collect()) }
    }

    /// A cursor over a plan's rows, behind `position` if there is one.
    pub(crate) fn from_plan(
        namespace: Namespace,
        plan: PhysicalPlan,
        mut execution: Execution,
        fingerprint: u64,
        position: Option<Position>,
    ) -> Result<Self> {
        let mut plan_fingerprint = None;
        if let Some(position) = position {
            let own = position::of_plan(&plan);
            if own != position.plan {
                return Err(Error::new(
                    error_code::QUERY_PLAN_KILLED,
                    format!(
                        "the indexes of {namespace} have changed, and with them the order of the answer: ask anew"
                    ),
                ));
            }
            execution.go_to(&position)?;
            plan_fingerprint = Some(own);
        }
        let source = PlanSource { execution, fingerprint, plan, plan_fingerprint };
        Ok(Self { namespace, source: Source::Plan(Box::new(source)) })
    }

    /// A tailable cursor.
    pub(crate) fn from_tail(namespace: Namespace, tail: Tail) -> Self {
        Self { namespace, source: Source::Tail(tail) }
    }

    /// Whether [`Cursor::next_batch_within`] waits for documents to come.
    pub fn awaits_data(&self) -> bool {
        matches!(&self.source, Source::Tail(tail) if tail.awaits_data)
    }

    /// As [`Cursor::next_batch`]; at its end a cursor that awaits data waits up to `patience` (at most [`AWAIT_MAX`]) for
    /// a document. A kill ends the wait.
    pub fn next_batch_within(
        &mut self,
        documents_max: usize,
        bytes_max: usize,
        patience: Duration,
    ) -> Result<Batch> {
        match &mut self.source {
            Source::Tail(tail) if tail.awaits_data => {
                tail.next_batch_within(documents_max, bytes_max, patience)
            }
            _ => self.next_batch(documents_max, bytes_max),
        }
    }

    /// What ends its wait from outside.
    fn wake_up(&self) -> Option<WakeUp> {
        match &self.source {
            Source::Tail(tail) => Some(tail.wake_up.clone()),
            Source::Ready(_) | Source::Plan(_) => None,
        }
    }

    /// What it reads.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The next documents: at most `documents_max`, and no more than `bytes_max` bytes unless a single document is
    /// larger. An empty batch does not mean the end (`documents_max` may be 0): ask [`Cursor::is_exhausted`].
    pub fn next_batch(&mut self, documents_max: usize, bytes_max: usize) -> Result<Batch> {
        let ready = match &mut self.source {
            Source::Ready(ready) => ready,
            Source::Plan(plan) => return plan.execution.next_batch(documents_max, bytes_max),
            Source::Tail(tail) => return tail.next_batch(documents_max, bytes_max),
        };
        let mut batch = Batch::default();
        let mut bytes = 0usize;
        while batch.documents.len() < documents_max {
            let Some(next) = ready.front() else { break };
            bytes = bytes.saturating_add(next.as_bytes().len());
            if bytes > bytes_max && !batch.documents.is_empty() {
                break;
            }
            batch.documents.extend(ready.pop_front());
        }
        Ok(batch)
    }

    /// Whether it is known that every document was returned. A plan may notice its end only when it is asked for
    /// more, so this may still be `false` behind the last document. A tailable cursor has no last document, unless its
    /// collection was empty.
    pub fn is_exhausted(&self) -> bool {
        match &self.source {
            Source::Ready(ready) => ready.is_empty(),
            Source::Plan(plan) => plan.execution.is_exhausted(),
            Source::Tail(tail) => tail.is_dead(),
        }
    }

    /// Where the cursor stands, for `resume_after` of the same operation later, in the engine's own bytes. `None` if this
    /// answer cannot be resumed. The bytes may hold a key of the last documents and must come back unchanged: a door that
    /// hands them to clients seals them.
    pub fn position(&mut self) -> Option<Vec<u8>> {
        match &mut self.source {
            Source::Ready(_) | Source::Tail(_) => None,
            Source::Plan(source) => {
                let PlanSource { execution, fingerprint, plan, plan_fingerprint } = &mut **source;
                let position = Position {
                    fingerprint: *fingerprint,
                    read_timestamp: execution.context().snapshot.timestamp(),
                    rows: execution.returned,
                    plan: *plan_fingerprint.get_or_insert_with(|| position::of_plan(plan)),
                    place: execution.place(),
                };
                Some(position.encode())
            }
        }
    }

    /// The moment the answer is read at, where it comes from stored documents.
    pub fn read_timestamp(&self) -> Option<Timestamp> {
        match &self.source {
            Source::Ready(_) => None,
            Source::Plan(plan) => Some(plan.execution.context().snapshot.timestamp()),
            Source::Tail(tail) => Some(tail.execution.context().snapshot.timestamp()),
        }
    }
}

impl std::fmt::Debug for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cursor").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}
