//! Updates by a pipeline: stages that make a new document of an old one.

use sheaf_document::{RawDocument, RawDocumentBuf, ValueRef};
use sheaf_language::aggregate::{Pipeline, PipelineContext, Place, Stage};
use sheaf_language::expression::{Environment, Scope};
use sheaf_language::filter::MatchedPosition;

use super::document_id::check_size;
use crate::{Error, Result, error_code};

/// Parses the stages of an update.
pub(super) fn parse<'v>(stages: impl IntoIterator<Item = ValueRef<'v>>, scope: &Scope) -> Result<Pipeline> {
    let mut scope = scope.clone();
    let mut context = PipelineContext { scope: &mut scope, depth: 0, place: Place::Update };
    Ok(Pipeline::parse(stages, &mut context)?)
}

/// Makes the new document. `_id` stays what it is.
pub(super) fn apply(
    pipeline: &Pipeline,
    before: RawDocument<'_>,
    environment: &mut Environment,
) -> Result<RawDocumentBuf> {
    let mut document = before.to_buf();
    for stage in &pipeline.stages {
        document = match stage {
            Stage::AddFields(projection) | Stage::Project(projection) => {
                projection.apply(document.as_raw(), environment, MatchedPosition::default())?
            }
            Stage::ReplaceRoot(replace) => replace.apply(document.as_raw(), environment)?,
            other => return Err(Error::internal(format!("{} is not a stage of an update", other.name()))),
        };
    }
    let document = keep_id(before, document)?;
    check_size(document.as_raw())?;
    Ok(document)
}

/// Puts back an `_id` that was dropped and refuses one that changed.
pub(super) fn keep_id(before: RawDocument<'_>, after: RawDocumentBuf) -> Result<RawDocumentBuf> {
    let Some(old) = before.get_element("_id") else { return Ok(after) };
    let Some(new) = after.as_raw().get_element("_id") else {
        let mut out = sheaf_document::DocumentBuilder::with_capacity(before.len_bytes());
        out.append_element(old);
        for element in after.as_raw() {
            out.append_element(element);
        }
        return Ok(out.build());
    };
    let is_same = sheaf_document::compare_refs(old.value(), new.value(), None).is_eq();
    if is_same {
        return Ok(after);
    }
    Err(Error::new(
        error_code::IMMUTABLE_FIELD,
        format!("the update would change _id from {:?} to {:?}; it is immutable", old.value(), new.value()),
    ))
}
