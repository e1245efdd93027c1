//! `createIndexes`: `{createIndexes: collection, indexes: [{key, name, ..}]}`.

use sheaf_document::DocumentBuilder;
use sheaf_engine::catalog::IndexSpecification;
use sheaf_engine::operation::CreateIndexesOperation;
use sheaf_engine::{Error, Result, error_code};

use crate::arguments::BAD_VALUE;
use crate::request::Request;
use crate::write_batch::count_value;

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    let arguments = &request.arguments;
    let namespace = request.namespace()?;
    let documents = arguments.required("indexes", arguments.documents("indexes")?)?;
    arguments.ignore(&["commitQuorum", "ignoreUnknownIndexOptions", "v", "returnOnStart"]);
    arguments.finish()?;
    if documents.is_empty() {
        return Err(Error::new(BAD_VALUE, "createIndexes.indexes must not be empty"));
    }
    let indexes = documents.into_iter().map(IndexSpecification::parse).collect::<Result<Vec<_>>>()?;
    if namespace.is_system() && request.session.engine().collection_info(&namespace).is_none() {
        return Err(Error::new(
            error_code::INVALID_NAMESPACE,
            format!("{namespace}: names that begin with \"system.\" belong to the system"),
        ));
    }
    let outcome = request.session.engine().create_indexes(&CreateIndexesOperation { namespace, indexes })?;
    let mut body = DocumentBuilder::new();
    body.append_value("numIndexesBefore", &count_value(outcome.indexes_before));
    body.append_value("numIndexesAfter", &count_value(outcome.indexes_after));
    if outcome.indexes_before == outcome.indexes_after {
        body.append("note", "all indexes already exist");
    } else {
        body.append("createdCollectionAutomatically", outcome.created_collection);
    }
    Ok(body)
}
