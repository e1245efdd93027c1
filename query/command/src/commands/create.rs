//! `create`: creates a collection or a view.

use sheaf_document::DocumentBuilder;
use sheaf_engine::Result;
use sheaf_engine::operation::CreateCollectionOperation;

use crate::request::Request;
use crate::{change_stream, collection_options};

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    let namespace = request.namespace()?;
    let options = collection_options::read(&request.arguments, &namespace)?;
    request.arguments.finish()?;
    change_stream::refuse_in_view(request.commands(), options.pipeline.as_deref().unwrap_or_default())?;
    request.session.engine().create_collection(&CreateCollectionOperation { namespace, options })?;
    Ok(DocumentBuilder::new())
}
