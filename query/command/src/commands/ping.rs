//! `ping`: answers.

use sheaf_document::DocumentBuilder;
use sheaf_engine::Result;

use crate::request::Request;

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    request.arguments.finish()?;
    Ok(DocumentBuilder::new())
}
