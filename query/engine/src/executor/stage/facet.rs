//! `$facet`: several pipelines over the same input, whose results become the fields of one document.

use std::sync::Arc;

use sheaf_document::{DOCUMENT_BYTES_MAX, DocumentBuilder, RawDocumentBuf, ValueRef};
use sheaf_language::aggregate::Pipeline;

use super::read_all;
use crate::executor::{ExecutionContext, Operator};
use crate::plan::PreparedStage;
use crate::{Error, Result, error_code};

pub(super) fn run(
    facets: &[(Box<str>, Pipeline)],
    inner: &[Arc<[PreparedStage]>],
    input: &mut Operator,
    context: &mut ExecutionContext,
) -> Result<RawDocumentBuf> {
    let rows = read_all(input, context, "$facet")?;
    let mut out = DocumentBuilder::new();
    for ((name, _), stages) in facets.iter().zip(inner) {
        let mut operator = Operator::of_rows(rows.clone()).with_stages(stages)?;
        let results = read_all(&mut operator, context, "$facet")?;
        out.try_array(name, |array| {
            for row in &results {
                array.push_ref(ValueRef::Document(row.document()?));
            }
            Ok::<(), Error>(())
        })?;
    }
    if out.len_bytes() > DOCUMENT_BYTES_MAX {
        return Err(Error::new(
            error_code::OBJECT_TOO_LARGE,
            format!(
                "the document of $facet has {} bytes, the limit is {DOCUMENT_BYTES_MAX}",
                out.len_bytes()
            ),
        ));
    }
    Ok(out.build())
}
