//! `$score`: rows with the score that an expression gives them. Buffers all of them if their range decides it.

use sheaf_language::aggregate::{Normalization, Score};

use crate::Result;
use crate::executor::{ExecutionContext, Row};

/// The same rows with their scores.
pub(super) fn apply(score: &Score, mut rows: Vec<Row>, context: &mut ExecutionContext) -> Result<Vec<Row>> {
    let mut raw = Vec::with_capacity(rows.len());
    for row in &rows {
        context.show_metadata(row);
        raw.push(score.raw(row.document()?, &mut context.environment)?);
    }
    let mut normalized = raw.clone();
    score.normalization.apply(&mut normalized);
    for ((row, raw), normalized) in rows.iter_mut().zip(raw).zip(normalized) {
        let metadata = row.metadata.get_or_insert_default();
        let weighted = score.weighted(normalized);
        metadata.score = Some(weighted);
        metadata.score_details = score.has_details().then(|| score.score_details(raw, weighted));
    }
    Ok(rows)
}

/// Whether all rows must be known before the first can be scored.
pub(super) fn blocks(score: &Score) -> bool {
    score.normalization == Normalization::MinMaxScaler
}
