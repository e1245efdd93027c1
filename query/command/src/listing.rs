//! Filters of listings: any filter of the language, over documents that are made here.

use sheaf_document::{RawDocument, RawDocumentBuf};
use sheaf_engine::Result;
use sheaf_language::expression::{Environment, Scope};
use sheaf_language::filter::Filter;

use crate::clock::now_millis;
use crate::request::Request;

/// Keeps the documents that match.
pub(crate) fn filtered(
    request: &Request<'_>,
    documents: Vec<RawDocumentBuf>,
    filter: Option<RawDocument<'_>>,
) -> Result<Vec<RawDocumentBuf>> {
    let Some(filter) = filter else { return Ok(documents) };
    let mut scope = Scope::new();
    scope.forbid_runtime_constants();
    let filter = Filter::parse_stage(filter, &mut scope)?;
    let mut environment = Environment::new(now_millis(), request.commands().random());
    let mut kept = Vec::new();
    for document in documents {
        if filter.matches(document.as_raw(), &mut environment)? {
            kept.push(document);
        }
    }
    Ok(kept)
}
