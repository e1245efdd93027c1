//! `create`: creates a collection or a view.

use sheaf_document::DocumentBuilder;
use sheaf_engine::Result;
use sheaf_engine::operation::CreateCollectionOperation;

use crate::collection_options;
use crate::request::Request;

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    let namespace = request.namespace()?;
    let options = collection_options::read(&request.arguments, &namespace)?;
    request.arguments.finish()?;
    request.session.engine().create_collection(&CreateCollectionOperation { namespace, options })?;
    Ok(DocumentBuilder::new())
}
