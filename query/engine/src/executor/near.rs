//! NEAR: the rows that have a place in the wanted range of distances, nearest first. Buffers all of them.

use sheaf_document::{Value, ValueRef};
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
                let Some((distance, place)) = nearest(&row, &self.path, &self.near)? else { continue };
                note(&mut row, distance, place);
                bytes += row.memory_bytes();
                placed.push((distance, row.held()));
            }
            context.check_memory("a search by distance", bytes)?;
        }
        // Those of one distance stay in their order.
        placed.sort_by(|(left, _), (right, _)| left.total_cmp(right));
        placed.reverse();
        Ok(placed.into_iter().map(|(_, row)| row).collect())
    }
}

/// The nearest place at a path of the row's document that is neither too near nor too far, with its distance.
pub(super) fn nearest(row: &Row, path: &FieldPath, near: &Near) -> Result<Option<(f64, Value<'static>)>> {
    let mut nearest: Option<(f64, ValueRef<'_>)> = None;
    walk(row.document()?, path.components(), LeafArray::Traversed, &mut |value, _| {
        let Some(value) = value else { return Ok(false) };
        let found = stored_geometry(value).and_then(|geometry| near.distance_to(&geometry));
        if let Some(found) = found.filter(|found| near.accepts(*found))
            && nearest.is_none_or(|(other, _)| found < other)
        {
            nearest = Some((found, value));
        }
        Ok(false)
    })?;
    Ok(nearest.map(|(distance, place)| (distance, Value::from(place).into_owned())))
}

/// Notes distance and place for `$meta` and `$geoNear`.
pub(super) fn note(row: &mut Row, distance: f64, place: Value<'static>) {
    let metadata = row.metadata.get_or_insert_default();
    metadata.geo_distance = Some(distance);
    metadata.geo_point = Some(place);
}
