//! NEAR: the rows in the order of their distance from a place. Buffers all of them.

use sheaf_document::ValueRef;
use sheaf_language::filter::path::{FieldPath, LeafArray, walk};
use sheaf_language::geometry::{Near, stored_geometry};

use super::{BATCH_ROWS, ExecutionContext, Operator, Row};
use crate::Result;

pub(super) struct NearRows {
    path: FieldPath,
    near: Near,
    pub(super) input: Box<Operator>,
    /// What is left to return, in reverse order; none before the input was read.
    sorted: Option<Vec<Row>>,
}

impl NearRows {
    pub(super) fn new(path: FieldPath, near: Near, input: Box<Operator>) -> Self {
        Self { path, near, input, sorted: None }
    }

    pub(super) fn pull(
        &mut self,
        context: &mut ExecutionContext,
        wanted: usize,
        rows: &mut Vec<Row>,
    ) -> Result<()> {
        if self.sorted.is_none() {
            self.sorted = Some(self.fill(context)?);
        }
        let Some(sorted) = &mut self.sorted else { return Ok(()) };
        let keep = sorted.len().saturating_sub(wanted);
        rows.extend(sorted.drain(keep..).rev());
        Ok(())
    }

    fn fill(&mut self, context: &mut ExecutionContext) -> Result<Vec<Row>> {
        let mut placed: Vec<(f64, Row)> = Vec::new();
        let mut bytes = 0usize;
        let mut batch = Vec::new();
        loop {
            context.check_time()?;
            self.input.pull(context, BATCH_ROWS, &mut batch)?;
            if batch.is_empty() {
                break;
            }
            for mut row in batch.drain(..) {
                let distance = self.distance(&row)?.unwrap_or(f64::INFINITY);
                let metadata = row.metadata.get_or_insert_default();
                metadata.geo_distance = Some(distance);
                bytes += row.memory_bytes();
                placed.push((distance, row));
            }
            context.check_memory("a search by distance", bytes)?;
        }
        placed.sort_by(|(left, _), (right, _)| right.total_cmp(left));
        Ok(placed.into_iter().map(|(_, row)| row).collect())
    }

    /// The distance of the nearest place in the row's field.
    fn distance(&self, row: &Row) -> Result<Option<f64>> {
        let mut nearest: Option<f64> = None;
        let mut visit = |value: ValueRef<'_>| {
            let found = stored_geometry(value).and_then(|geometry| self.near.distance_to(&geometry));
            if let Some(found) = found.filter(|found| self.near.accepts(*found)) {
                nearest = Some(nearest.map_or(found, |other| other.min(found)));
            }
        };
        walk(row.document()?, self.path.components(), LeafArray::Traversed, &mut |value, _| {
            if let Some(value) = value {
                visit(value);
            }
            Ok(false)
        })?;
        Ok(nearest)
    }
}
