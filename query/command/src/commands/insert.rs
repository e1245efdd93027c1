//! `insert`: `{insert: collection, documents: [..], ordered, bypassDocumentValidation}`.

use sheaf_document::DocumentBuilder;
use sheaf_engine::Result;
use sheaf_engine::operation::InsertOperation;

use crate::reply::append_write_errors;
use crate::request::Request;
use crate::transaction::statement_ids;
use crate::write_batch::{check_len, count_value, is_ordered};

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    let arguments = &request.arguments;
    let namespace = request.namespace()?;
    crate::collection_uuid::check(request, &namespace)?;
    let documents = arguments.required("documents", arguments.documents("documents")?)?;
    let ordered = is_ordered(arguments)?;
    let bypass_document_validation = arguments.flag("bypassDocumentValidation")?.unwrap_or(false);
    let statements = statement_ids(request, documents.len())?;
    arguments.ignore(&["isTimeseries", "encryptionInformation"]);
    arguments.finish()?;
    check_len("insert.documents", documents.len())?;
    let operation = InsertOperation {
        namespace,
        documents,
        ordered,
        bypass_document_validation,
        durability: request.durability(),
        statements,
    };
    let outcome = request.session.engine().insert(&operation)?;
    let mut body = DocumentBuilder::new();
    body.append_value("n", &count_value(outcome.inserted));
    append_write_errors(&mut body, &outcome.errors);
    Ok(body)
}
