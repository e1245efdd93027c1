//! `$lookup`: each document with its matches in another collection.

use sheaf_document::{RawDocument, RawDocumentBuf};
use sheaf_language::aggregate::Lookup;

use super::hash_side::Joining;
use super::subpipeline;
use crate::Result;
use crate::executor::ExecutionContext;
use crate::executor::spill::SpillUse;
use crate::plan::PreparedStage;

pub(super) fn attach(
    lookup: &Lookup,
    prepared: &PreparedStage,
    document: RawDocument<'_>,
    context: &mut ExecutionContext,
    (joining, used): (&mut Joining, &mut SpillUse),
) -> Result<RawDocumentBuf> {
    lookup.bind(document, &mut context.environment)?;
    let matches = match (lookup.equality_filter(document), lookup.local_values(document), &lookup.equality) {
        (Some(filter), Some(values), Some((_, foreign))) => {
            let filter = subpipeline::filter(filter.as_raw(), context)?;
            joining.rows((foreign, &values), &filter, prepared, context, used)?
        }
        _ => subpipeline::run(prepared, None, context, "$lookup")?,
    };
    Ok(lookup.attach(document, subpipeline::array_of(&matches)?))
}
