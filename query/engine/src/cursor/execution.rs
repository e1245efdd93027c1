//! A plan that is being run for a cursor.

use std::collections::VecDeque;

use sheaf_document::{DOCUMENT_BYTES_HEADROOM, DOCUMENT_BYTES_MAX};
use sheaf_storage::Snapshot;

use super::{Batch, Place, Position};
use crate::executor::{BATCH_ROWS, ExecutionContext, Operator, Row};
use crate::plan::{PhysicalPlan, explain};
use crate::planner::Watch;
use crate::{Error, Result, error_code};

/// A plan that is being run: its operators, what they share, and rows that were pulled but not returned yet.
pub(crate) struct Execution {
    root: Operator,
    context: ExecutionContext,
    ready: VecDeque<Row>,
    is_at_end: bool,
    /// Rows returned so far, those skipped for a resumed cursor included.
    pub(super) returned: u64,
    /// Where the operators stood when nothing was pulled that was not returned, and how many rows were returned then.
    last_place: Option<Place>,
    /// The entry of the plan cache that it goes by, until it has shown what it is worth.
    watch: Option<Watch>,
}

/// Rows after which a cached plan has shown what it is worth: those of a first batch.
const WATCHED_ROWS: u64 = 101;

impl Execution {
    /// Starts a plan.
    pub(crate) fn new(plan: &PhysicalPlan, context: ExecutionContext) -> Self {
        let root = Operator::build(plan);
        Self {
            root,
            context,
            ready: VecDeque::new(),
            is_at_end: false,
            returned: 0,
            last_place: None,
            watch: None,
        }
    }

    /// The operators, for their counts.
    pub(crate) fn root(&self) -> &Operator {
        &self.root
    }

    /// Makes the plan's scan tailable; `false` if the plan has none.
    pub(crate) fn make_tailable(&mut self) -> bool {
        let Some(scan) = self.root.scan_mut() else { return false };
        scan.make_tailable();
        true
    }

    /// Goes on with a tailable scan on a newer snapshot.
    pub(super) fn go_on(&mut self, snapshot: Snapshot) -> Result<()> {
        self.context.snapshot = snapshot;
        self.is_at_end = false;
        match self.root.scan_mut() {
            Some(scan) => scan.go_on(&self.context),
            None => Ok(()),
        }
    }

    /// Whether a tailable scan came to the end of an empty collection.
    pub(super) fn found_nothing(&mut self) -> bool {
        self.is_at_end && self.root.scan_mut().is_some_and(|scan| !scan.has_started())
    }

    pub(super) fn context(&self) -> &ExecutionContext {
        &self.context
    }

    /// The next row.
    pub(crate) fn next_row(&mut self) -> Result<Option<Row>> {
        if self.ready.is_empty() {
            self.refill(BATCH_ROWS)?;
        }
        Ok(self.ready.pop_front())
    }

    /// Pulls up to `wanted` rows; at the end it notes that.
    fn refill(&mut self, wanted: usize) -> Result<()> {
        if self.is_at_end {
            return Ok(());
        }
        self.context.check_time()?;
        // At the end of a scan there is no place any more; the one before will do.
        if let Some(state) = self.root.checkpoint() {
            self.last_place = Some(Place { rows: self.returned, state });
        }
        let mut rows = Vec::new();
        self.root.pull(&mut self.context, wanted, &mut rows)?;
        self.is_at_end = rows.is_empty();
        self.ready.extend(rows);
        self.look_after();
        Ok(())
    }

    /// Watches over the use of a cached plan.
    pub(crate) fn watched(mut self, watch: Option<Watch>) -> Self {
        self.watch = watch;
        self
    }

    /// Doubts the cached plan if it looks at far more than it did when it was chosen.
    fn look_after(&mut self) {
        let Some(watch) = &self.watch else { return };
        let rows = self.returned.saturating_add(u64::try_from(self.ready.len()).unwrap_or(u64::MAX));
        let keys = explain::total(&self.root).keys;
        // What a first batch took.
        let keys = if rows > WATCHED_ROWS { keys.saturating_mul(WATCHED_ROWS) / rows } else { keys };
        let is_stray = watch.is_stray(keys);
        if is_stray {
            watch.doubt();
        }
        if is_stray || self.is_at_end || rows > WATCHED_ROWS {
            self.watch = None;
        }
    }

    /// The next documents. The time limit is for the work on all batches together, not for what passes in between.
    pub(super) fn next_batch(&mut self, documents_max: usize, bytes_max: usize) -> Result<Batch> {
        self.context.go_on();
        let batch = self.pull_batch(documents_max, bytes_max);
        self.context.rest();
        batch
    }

    fn pull_batch(&mut self, documents_max: usize, bytes_max: usize) -> Result<Batch> {
        let mut batch = Batch::default();
        let mut bytes = 0usize;
        while batch.documents.len() < documents_max {
            if self.ready.is_empty() {
                self.refill((documents_max - batch.documents.len()).min(BATCH_ROWS))?;
            }
            let Some(row) = self.ready.pop_front() else { break };
            let len = row.document()?.len_bytes();
            check_size(len)?;
            bytes = bytes.saturating_add(len);
            if bytes > bytes_max && !batch.documents.is_empty() {
                self.ready.push_front(row);
                break;
            }
            batch.documents.push(row.into_document()?);
            self.returned += 1;
        }
        Ok(batch)
    }

    pub(super) fn is_exhausted(&self) -> bool {
        self.ready.is_empty() && (self.is_at_end || self.root.is_finished())
    }

    /// The last place that the operators can go to at once; not far before where the cursor stands. None if it is the
    /// beginning, or if the operators have to see all of their input again.
    pub(super) fn place(&self) -> Option<Place> {
        self.last_place.clone()
    }

    /// Goes behind the rows that an earlier cursor returned: to its last place, and on from there row by row.
    pub(super) fn go_to(&mut self, position: &Position) -> Result<()> {
        if let Some(place) = &position.place {
            if !self.root.go_to(&place.state) {
                return Err(Error::new(
                    error_code::INVALID_RESUME_TOKEN,
                    "the resume position has a place that the plan does not know",
                ));
            }
            self.returned = place.rows;
        }
        while self.returned < position.rows {
            if self.next_row()?.is_none() {
                break;
            }
            self.returned += 1;
        }
        Ok(())
    }
}

/// Between stages documents may be larger; what a client gets is a document like any other.
fn check_size(bytes: usize) -> Result<()> {
    let limit = DOCUMENT_BYTES_MAX + DOCUMENT_BYTES_HEADROOM;
    if bytes <= limit {
        return Ok(());
    }
    let reason = format!("a document of the result has {bytes} bytes, the limit is {limit}");
    Err(Error::new(error_code::OBJECT_TOO_LARGE, reason))
}
