//! Choosing among the indexes that narrow a query: by trying them out, or as it was chosen before.
//!
//! 1. The planner says which indexes compete, the best by its rules first. One alone has nothing to be compared with.
//! 2. An active entry of the query's shape in the collection's plan cache names the index.
//! 3. Else each index runs the query for a few entries; if none came to its end, or to a first batch of rows, for ten
//!    times as many, and once more. The score is rows per entry, and more for having come to the end. Of equals the
//!    planner's first wins.
//!
//! Rows that a trial finds are dropped: what is asked again is in memory by then. An index that must sort what it finds
//! has no row before it has come to its end.

use std::sync::Arc;

use sheaf_document::{DocumentBuilder, RawDocument};
use sheaf_storage::Snapshot;

use super::Session;
use super::reading::ReadOptions;
use crate::catalog::Collection;
use crate::executor::Operator;
use crate::plan::{PhysicalPlan, explain};
use crate::planner::{self, CachedPlan, Query, ShapeHashes, Trial, Watch};
use crate::{Result, error_code};

/// Entries that an index may look at in the rounds of a trial.
const ROUNDS: [u64; 3] = [200, 2_000, 10_000];

/// Rows of a first batch: more than these are not found out about.
const ROWS_MAX: u64 = 101;

/// What a trial adds to the score of an index that came to its end.
const END_BONUS: f64 = 1.0;

/// What was chosen for an explanation, and what was not.
pub(super) struct Choice {
    pub(super) hashes: ShapeHashes,
    /// Whether the plan is that of the shape's active entry.
    pub(super) is_cached: bool,
    /// Plans with the indexes that lost, and whether each is that of the entry.
    pub(super) rejected: Vec<(PhysicalPlan, bool)>,
}

impl Session {
    /// Lets a query use the best of the indexes that narrow it. Returns what watches over the use of a cached plan.
    pub(crate) fn choose_index(
        &self,
        collection: Option<&Arc<Collection>>,
        query: &Query,
        snapshot: &Snapshot,
        options: ReadOptions,
    ) -> Result<Option<Watch>> {
        let Some(collection) = collection else { return Ok(None) };
        let competing = planner::competing(collection, query);
        if competing.len() < 2 {
            return Ok(None);
        }
        let shape = query.shape();
        if let Some((index, watch)) = collection.plan_cache.active(&shape)
            && competing.contains(&index)
        {
            query.preferred.set(Some(index));
            return Ok(Some(watch));
        }
        let trials = self.try_out(collection, query, &competing, snapshot, options)?;
        query.preferred.set(trials.first().map(|winner| winner.index.clone()));
        let mut shown = DocumentBuilder::new();
        let plan = planner::plan_documents(Some(collection), query)?;
        explain::write_stage(&plan, None, filter_of(query), &mut shown);
        let hashes = ShapeHashes::of(&shape, collection);
        let now = self.database().now_millis();
        if let Some(chosen) = CachedPlan::new(query, hashes, shown.build(), trials, now) {
            collection.plan_cache.note(shape, chosen);
        }
        Ok(None)
    }

    /// The same for an explanation, which leaves the cache alone.
    pub(super) fn choose_explained(
        &self,
        collection: Option<&Arc<Collection>>,
        query: &Query,
        snapshot: &Snapshot,
    ) -> Result<Option<Choice>> {
        let Some(collection) = collection else { return Ok(None) };
        let shape = query.shape();
        let hashes = ShapeHashes::of(&shape, collection);
        let competing = planner::competing(collection, query);
        if competing.len() < 2 {
            return Ok(Some(Choice { hashes, is_cached: false, rejected: Vec::new() }));
        }
        let cached = collection.plan_cache.active_index(&shape);
        let is_cached = |trial: &Trial| cached.as_ref() == Some(&trial.index);
        let trials = self.try_out(collection, query, &competing, snapshot, ReadOptions::default())?;
        let mut rejected = Vec::new();
        for loser in trials.iter().skip(1) {
            query.preferred.set(Some(loser.index.clone()));
            rejected.push((planner::plan_documents(Some(collection), query)?, is_cached(loser)));
        }
        query.preferred.set(trials.first().map(|winner| winner.index.clone()));
        Ok(Some(Choice { hashes, is_cached: trials.first().is_some_and(is_cached), rejected }))
    }

    /// Lets a query that is gone on with use the index it used, whatever would be chosen now: the one with which `is_it` knows
    /// the plan.
    pub(super) fn choose_again(
        collection: Option<&Arc<Collection>>,
        query: &Query,
        is_it: impl Fn() -> Result<bool>,
    ) -> Result<()> {
        let Some(collection) = collection else { return Ok(()) };
        for index in planner::competing(collection, query) {
            query.preferred.set(Some(index));
            if is_it()? {
                return Ok(());
            }
        }
        query.preferred.set(None);
        Ok(())
    }

    /// How the indexes do, the best first.
    fn try_out(
        &self,
        collection: &Arc<Collection>,
        query: &Query,
        competing: &[String],
        snapshot: &Snapshot,
        options: ReadOptions,
    ) -> Result<Vec<Trial>> {
        let mut trials = Vec::new();
        for entries in ROUNDS {
            trials.clear();
            let mut is_over = false;
            for index in competing {
                query.preferred.set(Some(index.clone()));
                let (trial, is_done) = self.try_one(collection, query, index, snapshot, options, entries)?;
                is_over |= is_done;
                trials.push(trial);
            }
            if is_over {
                break;
            }
        }
        query.preferred.set(None);
        // Stable: of equals the planner's first.
        trials.sort_by(|one, other| other.score.total_cmp(&one.score));
        Ok(trials)
    }

    fn try_one(
        &self,
        collection: &Arc<Collection>,
        query: &Query,
        index: &str,
        snapshot: &Snapshot,
        options: ReadOptions,
        entries: u64,
    ) -> Result<(Trial, bool)> {
        let (plan, is_sorted) = planner::access_path(collection, query)?;
        let mut context = self.execution_context(snapshot.clone(), &query.collation, options);
        context.entries_left = Some(entries);
        context.is_timed = true;
        let mut root = Operator::build(&plan);
        let wanted = query.limit.map_or(ROWS_MAX, |limit| limit.saturating_add(query.skip).min(ROWS_MAX));
        let wanted = if is_sorted { wanted } else { u64::MAX };
        let (mut rows, mut returned, mut is_at_end) = (Vec::new(), 0, false);
        while returned < wanted && !is_at_end && !context.is_cut_short {
            rows.clear();
            match root.pull(&mut context, 1, &mut rows) {
                Ok(()) => {}
                Err(error) if is_of_the_operation(&error) => return Err(error),
                // The query itself says so if it gets there: a trial may look at what the query does not.
                Err(_) => context.is_cut_short = true,
            }
            is_at_end = rows.is_empty() && !context.is_cut_short;
            returned += u64::try_from(rows.len()).unwrap_or(0);
        }
        let examined = explain::total(&root);
        let works = examined.keys + u64::from(is_at_end);
        let is_done = is_at_end || returned >= wanted;
        #[expect(clippy::cast_precision_loss, reason = "no more than the entries of a trial")]
        let rate = if is_sorted || is_at_end { returned as f64 / works.max(1) as f64 } else { 0.0 };
        let score = 1.0 + rate + if is_done { END_BONUS } else { 0.0 };
        let mut stages = DocumentBuilder::new();
        explain::write_stage(&plan, Some(&root), filter_of(query), &mut stages);
        let (keys, documents, micros) = (examined.keys, examined.documents, root.micros);
        let (index, stages) = (index.to_owned(), stages.build());
        Ok((Trial { index, works, returned, keys, documents, micros, stages, score }, is_done))
    }

    /// Forgets the cached plans of a shape, or of a whole collection.
    pub fn clear_plan_cache(
        &self,
        namespace: &crate::Namespace,
        shape: Option<&super::QueryShape<'_>>,
    ) -> Result<()> {
        let Some(collection) = self.database().catalog().find(namespace) else { return Ok(()) };
        let shape = shape.map(|shape| shape.text(&collection)).transpose()?;
        collection.plan_cache.clear(shape.as_deref());
        Ok(())
    }
}

fn filter_of(query: &Query) -> RawDocument<'_> {
    let written = query.written.as_ref().map(|written| written.as_raw());
    written
        .and_then(|written| written.get("query"))
        .and_then(sheaf_document::ValueRef::as_document)
        .unwrap_or(RawDocument::EMPTY)
}

/// Whether an error ends the operation, and not only a way of doing it.
fn is_of_the_operation(error: &crate::Error) -> bool {
    [error_code::INTERRUPTED, error_code::MAX_TIME_MS_EXPIRED, error_code::DATA_CORRUPTION_DETECTED]
        .contains(&error.code)
}

#[cfg(test)]
mod tests;
