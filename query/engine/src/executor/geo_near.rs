//! GEO_NEAR: documents by their distance from a place, found through a geo index from the inside out.
//!
//! Each round looks at the cells of a circle, larger than the last. Documents that are met for the first time are read
//! and measured. Those within the circle are returned in order: everything as near as they are has been met. The others
//! wait for a later round; cells are larger than the circle. So a search for the nearest few reads few documents,
//! wherever they are.

use std::collections::{HashSet, VecDeque};

use super::fetch::read;
use super::index_scan::IndexScan;
use super::near::{nearest, note};
use super::{BATCH_ROWS, Examined, ExecutionContext, Row};
use crate::plan::{GeoNearPlan, IndexScanPlan};
use crate::planner::key_ranges;
use crate::{Result, key_layout};

/// The first circle of a search without an end is this part of everything: some 300 metres on the earth.
const FIRST_PART: f64 = 1.0 / 65_536.0;

/// The first circle of a search that says how far is this part of it.
const FIRST_PART_OF_LIMITED: f64 = 1.0 / 8.0;

pub(super) struct GeoNear {
    plan: GeoNearPlan,
    /// Radius of the last circle, in the units of the search.
    radius: f64,
    /// Nothing is farther away, or wanted if it is.
    radius_max: f64,
    /// Documents met.
    seen: HashSet<Vec<u8>>,
    /// Documents that are farther away than the last circle, by distance.
    waiting: Vec<(f64, Row)>,
    waiting_bytes: usize,
    seen_bytes: usize,
    ready: VecDeque<Row>,
    is_done: bool,
    pub(super) examined: Examined,
}

impl GeoNear {
    pub(super) fn new(plan: &GeoNearPlan) -> Self {
        let reach = plan.scan.index.distance_limit(plan.kind(), &plan.near);
        let radius_max = plan.near.distance_max.min(reach);
        let part = if plan.near.distance_max < reach { FIRST_PART_OF_LIMITED } else { FIRST_PART };
        Self {
            plan: plan.clone(),
            radius: (radius_max * part).max(plan.near.distance_min.min(radius_max)),
            radius_max,
            seen: HashSet::new(),
            waiting: Vec::new(),
            waiting_bytes: 0,
            seen_bytes: 0,
            ready: VecDeque::new(),
            is_done: false,
            examined: Examined::default(),
        }
    }

    pub(super) fn pull(
        &mut self,
        context: &mut ExecutionContext,
        wanted: usize,
        rows: &mut Vec<Row>,
    ) -> Result<()> {
        while self.ready.is_empty() && !self.is_done {
            context.check_time()?;
            let met = self.round(context)?;
            self.return_near();
            self.is_done = self.radius >= self.radius_max;
            // Larger steps where nothing is.
            let step = if met == 0 { 4.0 } else { 2.0 };
            self.radius = (self.radius * step).min(self.radius_max);
        }
        let count = wanted.min(self.ready.len());
        rows.extend(self.ready.drain(..count));
        Ok(())
    }

    /// Meets the documents of the circle. Returns how many were new.
    fn round(&mut self, context: &mut ExecutionContext) -> Result<usize> {
        let plan = &self.plan;
        let index = &plan.scan.index;
        let mut bounds = plan.scan.bounds.clone();
        if let (Some(slot), Some(circle)) =
            (bounds.get_mut(plan.field), index.near_bounds(plan.kind(), &plan.near, self.radius))
        {
            *slot = circle;
        }
        let prefix = key_layout::entries_prefix(index.id);
        let ranges = key_ranges(index, &plan.scan.paths, prefix, &bounds).ranges;
        let scan = IndexScanPlan { bounds, ranges, is_multikey: true, ..plan.scan.clone() };
        let mut scan = IndexScan::new(&scan);
        let mut met = 0;
        let mut entries = Vec::new();
        loop {
            context.check_time()?;
            scan.pull(context, BATCH_ROWS, &mut entries)?;
            if entries.is_empty() {
                break;
            }
            for row in entries.drain(..) {
                if self.seen.insert(row.document_key.clone()) {
                    met += 1;
                    self.seen_bytes += row.document_key.len() + size_of::<Vec<u8>>();
                    self.meet(context, row)?;
                }
            }
            context.check_memory("a search by distance", self.waiting_bytes + self.seen_bytes)?;
        }
        self.examined.keys += scan.examined.keys;
        Ok(met)
    }

    /// Reads and measures a document.
    fn meet(&mut self, context: &mut ExecutionContext, mut row: Row) -> Result<()> {
        row.document = Some(read(context, self.plan.collection.id, &row.document_key)?);
        self.examined.documents += 1;
        let Some((distance, place)) = nearest(&row, &self.plan.path, &self.plan.near)? else { return Ok(()) };
        if let Some(filter) = &self.plan.filter
            && !filter.matches(row.document()?, &mut context.environment)?
        {
            return Ok(());
        }
        note(&mut row, distance, place);
        self.waiting_bytes += row.memory_bytes();
        self.waiting.push((distance, row.held()));
        Ok(())
    }

    /// Lets the documents within the circle go, nearest first; those of one distance in the order of their keys.
    fn return_near(&mut self) {
        let radius = if self.radius >= self.radius_max { f64::INFINITY } else { self.radius };
        let (mut near, far): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|(distance, _)| *distance <= radius);
        near.sort_by(|(left, left_row), (right, right_row)| {
            left.total_cmp(right).then_with(|| left_row.document_key.cmp(&right_row.document_key))
        });
        self.waiting_bytes = far.iter().map(|(_, row)| row.memory_bytes()).sum();
        self.waiting = far;
        self.ready.extend(near.into_iter().map(|(_, row)| row));
    }
}
