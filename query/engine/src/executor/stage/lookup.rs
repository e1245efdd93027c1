//! `$lookup`: each document with its matches in another collection.

use sheaf_document::{RawDocument, RawDocumentBuf};
use sheaf_language::aggregate::Lookup;

use super::subpipeline;
use crate::Result;
use crate::executor::ExecutionContext;
use crate::plan::PreparedStage;

pub(super) fn attach(
    lookup: &Lookup,
    prepared: &PreparedStage,
    document: RawDocument<'_>,
    context: &mut ExecutionContext,
) -> Result<RawDocumentBuf> {
    lookup.bind(document, &mut context.environment)?;
    let filter = match lookup.equality_filter(document) {
        Some(filter) => Some(subpipeline::filter(filter.as_raw(), context)?),
        None => None,
    };
    let matches = subpipeline::run(prepared, filter.as_ref(), context, "$lookup")?;
    Ok(lookup.attach(document, subpipeline::array_of(&matches)?))
}
