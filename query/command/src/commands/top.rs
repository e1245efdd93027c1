//! `top`: how often each collection is used. The counts are not kept yet, so there are no collections in it.

use sheaf_document::DocumentBuilder;
use sheaf_engine::Result;

use crate::request::Request;

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    let _namespaces = request;
    let mut body = DocumentBuilder::new();
    body.document("totals", |totals| {
        totals.append("note", "all times in microseconds");
    });
    Ok(body)
}
