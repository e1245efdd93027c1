//! FUSION: the documents that several inputs find, each once, best score first. Buffers all of them.

use std::collections::HashMap;
use std::sync::Arc;

use sheaf_document::{Value, ValueRef, compare};
use sheaf_language::aggregate::{Finding, Fusion, FusionMethod, raw_score};
use sheaf_language::sort::SortKey;

use super::{BATCH_ROWS, ExecutionContext, Operator, Row};
use crate::Result;

pub(super) struct FusionRows {
    fusion: Arc<Fusion>,
    pub(super) inputs: Vec<Operator>,
    /// What is left to return, in reverse order; none before the inputs were read.
    sorted: Option<Vec<Row>>,
}

/// A document with what each input says of it.
struct Found {
    row: Row,
    findings: Vec<Option<Finding>>,
}

impl FusionRows {
    pub(super) fn new(fusion: Arc<Fusion>, inputs: Vec<Operator>) -> Self {
        Self { fusion, inputs, sorted: None }
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
        let fusion = Arc::clone(&self.fusion);
        let mut found: Vec<Found> = Vec::new();
        let mut places: HashMap<Vec<u8>, usize> = HashMap::new();
        let mut bytes = 0usize;
        for (position, input) in self.inputs.iter_mut().enumerate() {
            for (row, finding) in findings(&fusion, position, input, context)? {
                let id = id_key(&row)?;
                let place = match places.get(&id) {
                    Some(place) => *place,
                    None => {
                        bytes += row.memory_bytes() + 2 * id.len();
                        context.check_memory(fusion.name(), bytes)?;
                        places.insert(id, found.len());
                        found.push(Found { row, findings: vec![None; fusion.inputs.len()] });
                        found.len() - 1
                    }
                };
                let slot = found.get_mut(place).and_then(|found| found.findings.get_mut(position));
                if let Some(slot) = slot {
                    slot.get_or_insert(finding);
                }
            }
        }
        let mut scored = Vec::with_capacity(found.len());
        for Found { mut row, findings } in found {
            let score = fusion.score(&findings, &mut context.environment)?;
            let mut metadata =
                sheaf_language::expression::Metadata { score: Some(score), ..Default::default() };
            if fusion.details {
                metadata.score_details = Some(fusion.score_details(score, &findings));
            }
            row.metadata = Some(Box::new(metadata));
            let id = Value::from(row.document()?.get("_id").unwrap_or(ValueRef::Null)).into_owned();
            scored.push((score, id, row));
        }
        // The best last, as they are taken from the end; of one score by `_id`.
        let collator = context.environment.collate();
        scored.sort_by(|(left, left_id, _), (right, right_id, _)| {
            let scores = compare(&Value::Double(*left), &Value::Double(*right), None);
            scores.then_with(|| compare(right_id, left_id, collator))
        });
        Ok(scored.into_iter().map(|(_, _, row)| row).collect())
    }
}

/// The identity of a row's document.
fn id_key(row: &Row) -> Result<Vec<u8>> {
    let mut key = Vec::new();
    let id = row.document()?.get("_id").unwrap_or(ValueRef::Null);
    sheaf_document::key::encode(id, false, None, &mut key);
    Ok(key)
}

/// The rows of one input with their ranks and scores.
fn findings(
    fusion: &Fusion,
    position: usize,
    input: &mut Operator,
    context: &mut ExecutionContext,
) -> Result<Vec<(Row, Finding)>> {
    let Some(of_input) = fusion.inputs.get(position) else { return Ok(Vec::new()) };
    let mut rows: Vec<(SortKey, Row)> = Vec::new();
    let mut bytes = 0usize;
    let mut batch = Vec::new();
    loop {
        context.check_time()?;
        input.pull(context, BATCH_ROWS, &mut batch)?;
        if batch.is_empty() {
            break;
        }
        for row in batch.drain(..) {
            context.show_metadata(&row);
            bytes += row.memory_bytes();
            let key = match fusion.method {
                FusionMethod::Ranks => of_input.order_key(row.document()?, &mut context.environment)?,
                FusionMethod::Scores { .. } => SortKey::new(),
            };
            rows.push((key, row.held()));
        }
        context.check_memory(fusion.name(), bytes)?;
    }
    let mut ranks = vec![0_i64; rows.len()];
    if matches!(fusion.method, FusionMethod::Ranks) {
        let environment = &context.environment;
        rows.sort_by(|(left, _), (right, _)| of_input.compare(left, right, environment));
        ranks = ranks_of(&rows, |left, right| of_input.compare(left, right, environment).is_eq());
    }
    let raw = |row: &Row| row.metadata.as_deref().and_then(raw_score);
    let mut scores: Vec<f64> = rows.iter().map(|(_, row)| raw(row).unwrap_or(0.0)).collect();
    if let FusionMethod::Scores { normalization, .. } = fusion.method {
        normalization.apply(&mut scores);
    }
    let with_rank = rows.into_iter().zip(ranks).zip(scores);
    Ok(with_rank
        .map(|(((_, row), rank), score)| {
            let details = row.metadata.as_deref().and_then(|metadata| metadata.score_details.clone());
            let finding = Finding { rank, raw_score: raw(&row), score, details };
            (row, finding)
        })
        .collect())
}

/// The ranks of sorted rows, from 1: equal ones share theirs, and as many are left out behind them.
fn ranks_of(rows: &[(SortKey, Row)], is_equal: impl Fn(&SortKey, &SortKey) -> bool) -> Vec<i64> {
    let mut ranks = Vec::with_capacity(rows.len());
    let (mut rank, mut before): (i64, Option<&SortKey>) = (0, None);
    for (count, (key, _)) in (1_i64..).zip(rows) {
        if !before.is_some_and(|before| is_equal(before, key)) {
            rank = count;
        }
        ranks.push(rank);
        before = Some(key);
    }
    ranks
}
