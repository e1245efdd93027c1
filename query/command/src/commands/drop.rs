//! `drop`: drops a collection or a view. One that does not exist is no error.

use sheaf_document::DocumentBuilder;
use sheaf_engine::Result;

use crate::request::Request;
use crate::write_batch::count_value;

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    let namespace = request.namespace()?;
    crate::collection_uuid::check(request, &namespace)?;
    request.arguments.finish()?;
    let outcome = request.session.engine().drop_collection(&namespace)?;
    let mut body = DocumentBuilder::new();
    if outcome.existed {
        if outcome.indexes > 0 {
            body.append_value("nIndexesWas", &count_value(outcome.indexes));
        }
        body.append("ns", namespace.to_string());
    }
    Ok(body)
}
