//! `$bucketAuto`: buckets of about the same number of documents. Sorts the documents by their key, on disk if need be,
//! and holds one bucket.

use std::sync::Arc;

use sheaf_document::RawDocumentBuf;
use sheaf_language::aggregate::BucketAuto;

use crate::Result;
use crate::executor::spill::{Order, Sorter, SpillUse, SpillingOperator};
use crate::executor::{BATCH_ROWS, ExecutionContext, Operator};

pub(super) fn run(
    stage: &BucketAuto,
    input: &mut Operator,
    context: &mut ExecutionContext,
    used: &mut SpillUse,
) -> Result<Vec<RawDocumentBuf>> {
    let collator = context.environment.collator.clone();
    let order: Order = Arc::new(move |left, right| match (left.first(), right.first()) {
        (Some(left), Some(right)) => sheaf_document::compare(left, right, collator.as_deref()),
        _ => left.len().cmp(&right.len()),
    });
    let mut sorter = Sorter::new(SpillingOperator::BucketAuto, order, None);
    let mut batch = Vec::new();
    loop {
        context.check_time()?;
        input.pull(context, BATCH_ROWS, &mut batch)?;
        if batch.is_empty() {
            break;
        }
        for row in batch.drain(..) {
            context.show_metadata(&row);
            let key = stage.key(row.document()?, &mut context.environment)?;
            sorter.push(vec![key], row);
        }
        sorter.settle(context)?;
    }
    *used = sorter.used();
    let mut buckets = stage.start(sorter.count());
    let mut sorted = sorter.finish(context)?;
    let mut documents = Vec::new();
    let mut count = 0usize;
    while let Some(mut keyed) = sorted.next()? {
        context.show_metadata(&keyed.row);
        let Some(key) = keyed.key.pop() else { continue };
        let ended = stage.add(&mut buckets, key, keyed.row.document()?, &mut context.environment)?;
        documents.extend(ended);
        count += 1;
        if count.is_multiple_of(BATCH_ROWS) {
            context.check_time()?;
        }
    }
    documents.extend(stage.finish(buckets));
    Ok(documents)
}
