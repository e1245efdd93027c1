//! Looking a collection up in the catalog, for commands that show or check it.

use sheaf_engine::operation::{CollectionInfo, CollectionKind};
use sheaf_engine::{Error, Namespace, Result, error_code};

use crate::request::Request;

/// The collection or view, if there is one.
pub(crate) fn find(request: &Request<'_>, namespace: &Namespace) -> Result<Option<CollectionInfo>> {
    let collections = request.session.engine().list_collections(namespace.database())?;
    Ok(collections.into_iter().find(|info| info.name == namespace.collection()))
}

/// The collection or view; one that does not exist is an error.
pub(crate) fn existing(request: &Request<'_>, namespace: &Namespace) -> Result<CollectionInfo> {
    find(request, namespace)?.ok_or_else(|| {
        Error::new(error_code::NAMESPACE_NOT_FOUND, format!("the collection {namespace} does not exist"))
    })
}

/// Refuses views.
pub(crate) fn refuse_view(request: &Request<'_>, namespace: &Namespace, info: &CollectionInfo) -> Result<()> {
    if info.kind == CollectionKind::View {
        return Err(Error::new(
            error_code::COMMAND_NOT_SUPPORTED_ON_VIEW,
            format!("{} does not work on {namespace}, which is a view", request.name),
        ));
    }
    Ok(())
}
