//! `createSearchIndexes`, `updateSearchIndex` and `dropSearchIndex`: search indexes are a service of Atlas.

use sheaf_document::DocumentBuilder;
use sheaf_engine::{Error, Result};

use crate::codes::SEARCH_NOT_ENABLED;
use crate::request::Request;

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    Err(Error::new(
        SEARCH_NOT_ENABLED,
        format!(
            "{} is refused: the search service of MongoDB Atlas is not part of this server",
            request.name
        ),
    ))
}
