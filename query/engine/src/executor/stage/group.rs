//! `$group`: one document per key; holds a state per key.

use sheaf_document::RawDocumentBuf;
use sheaf_language::aggregate::{Group, Groups};

use crate::Result;
use crate::executor::{BATCH_ROWS, ExecutionContext, Operator};

pub(super) fn run(
    group: &Group,
    input: &mut Operator,
    context: &mut ExecutionContext,
) -> Result<Vec<RawDocumentBuf>> {
    let mut groups = Groups::new(group);
    let mut batch = Vec::new();
    loop {
        context.check_time()?;
        input.pull(context, BATCH_ROWS, &mut batch)?;
        if batch.is_empty() {
            break;
        }
        for row in batch.drain(..) {
            if let Some(metadata) = &row.metadata {
                context.environment.metadata = (**metadata).clone();
            }
            groups.add(row.document()?, &mut context.environment)?;
        }
        context.check_memory("$group", groups.bytes())?;
    }
    Ok(groups.into_documents().collect())
}
