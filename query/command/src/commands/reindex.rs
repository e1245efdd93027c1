//! `reIndex`: builds the indexes of a collection again.

use sheaf_document::{DocumentBuilder, ValueRef};
use sheaf_engine::Result;

use crate::lookup;
use crate::request::Request;

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    let namespace = request.namespace()?;
    request.arguments.finish()?;
    let info = lookup::existing(request, &namespace)?;
    lookup::refuse_view(request, &namespace, &info)?;
    let engine = request.session.engine();
    let count = i32::try_from(engine.reindex(&namespace)?).unwrap_or(i32::MAX);
    let indexes = engine.list_indexes(&namespace)?;
    let mut body = DocumentBuilder::new();
    body.append("nIndexesWas", count).append("nIndexes", i32::try_from(indexes.len()).unwrap_or(i32::MAX));
    body.array("indexes", |array| {
        for index in &indexes {
            array.push_ref(ValueRef::Document(index.as_raw()));
        }
    });
    Ok(body)
}
