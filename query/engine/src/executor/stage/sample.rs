//! `$sample`: documents by chance. Holds as many as it returns (reservoir sampling, algorithm R).

use crate::Result;
use crate::executor::{BATCH_ROWS, ExecutionContext, Operator, Row};

pub(super) fn run(size: u64, input: &mut Operator, context: &mut ExecutionContext) -> Result<Vec<Row>> {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let mut kept: Vec<Row> = Vec::new();
    let mut bytes = 0usize;
    let mut seen = 0usize;
    let mut batch = Vec::new();
    loop {
        context.check_time()?;
        input.pull(context, BATCH_ROWS, &mut batch)?;
        if batch.is_empty() {
            break;
        }
        for row in batch.drain(..) {
            seen += 1;
            bytes += row.memory_bytes();
            if kept.len() < size {
                kept.push(row.held());
            } else if let Some(slot) = kept.get_mut(random_below(seen, context)) {
                bytes -= slot.memory_bytes();
                *slot = row.held();
            } else {
                bytes -= row.memory_bytes();
            }
        }
        context.check_memory("$sample", bytes)?;
    }
    for end in (1..kept.len()).rev() {
        kept.swap(end, random_below(end + 1, context));
    }
    Ok(kept)
}

fn random_below(limit: usize, context: &mut ExecutionContext) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a number in [0, limit) rounded down; the rounding of very large limits does not matter to chance"
    )]
    let number = (context.environment.next_random() * limit as f64) as usize;
    number.min(limit.saturating_sub(1))
}
