//! `convertToCapped` and `cloneCollectionAsCapped`.

use sheaf_document::{DocumentBuilder, RawDocument};
use sheaf_engine::catalog::CollectionOptions;
use sheaf_engine::operation::{
    CreateCollectionOperation, DropIndexesOperation, FindOperation, Hint, IndexTarget, InsertOperation,
};
use sheaf_engine::{Error, ErrorCode, Namespace, Result};

use crate::arguments::BAD_VALUE;
use crate::codes::INVALID_OPTIONS;
use crate::lookup;
use crate::number::to_integer;
use crate::request::Request;

/// Largest size of a capped collection in bytes: a petabyte.
const CAPPED_BYTES_MAX: i64 = 1 << 50;

/// Documents that are copied at once.
const COPY_DOCUMENTS: usize = 1000;

/// The size, a number above 0; it is rounded up to a multiple of 256 bytes.
fn size(request: &Request<'_>) -> Result<i64> {
    let bad = |what: &str| Error::new(INVALID_OPTIONS, format!("{}.size must be {what}", request.name));
    let Some(value) = request.arguments.value("size") else { return Err(bad("given")) };
    let Some(size) = to_integer(value) else { return Err(bad("a number")) };
    if size < 1 {
        return Err(bad("greater than 0"));
    }
    if size > CAPPED_BYTES_MAX {
        return Err(Error::new(
            BAD_VALUE,
            format!("{}.size must be at most {CAPPED_BYTES_MAX}", request.name),
        ));
    }
    Ok(size.saturating_add(255) & !255)
}

pub(crate) fn convert(request: &Request<'_>) -> Result<DocumentBuilder> {
    let namespace = request.namespace()?;
    let size = size(request)?;
    let info = lookup::existing(request, &namespace)?;
    lookup::refuse_view(request, &namespace, &info)?;
    let engine = request.session.engine();
    engine.drop_indexes(&DropIndexesOperation { namespace: namespace.clone(), target: IndexTarget::All })?;
    engine.change_collection_options(&namespace, |options| {
        options.capped = true;
        options.size_bytes = Some(size);
        options.documents_max = None;
        Ok(())
    })?;
    Ok(DocumentBuilder::new())
}

pub(crate) fn clone(request: &Request<'_>) -> Result<DocumentBuilder> {
    let from = request.namespace()?;
    let size = size(request)?;
    let to = match request.arguments.value("toCollection").and_then(|value| value.as_str()) {
        Some(name) => Namespace::new(request.database, name)?,
        None => {
            return Err(Error::new(
                sheaf_engine::error_code::INVALID_NAMESPACE,
                "cloneCollectionAsCapped.toCollection must name a collection",
            ));
        }
    };
    let info = lookup::existing(request, &from)?;
    lookup::refuse_view(request, &from, &info)?;
    if lookup::find(request, &to)?.is_some() {
        return Err(Error::new(ErrorCode(48), format!("there is a collection {to} already")));
    }
    let options = CollectionOptions { capped: true, size_bytes: Some(size), ..CollectionOptions::default() };
    let engine = request.session.engine();
    engine.create_collection(&CreateCollectionOperation { namespace: to.clone(), options })?;
    let mut order = DocumentBuilder::new();
    order.append("$natural", 1);
    let order = order.build();
    let mut operation = FindOperation::new(from, RawDocument::EMPTY);
    operation.hint = Some(Hint::KeyPattern(order.as_raw()));
    let mut cursor = engine.find(&operation)?;
    while !cursor.is_exhausted() {
        let batch = cursor.next_batch(COPY_DOCUMENTS, sheaf_document::DOCUMENT_BYTES_MAX)?;
        let documents: Vec<RawDocument<'_>> =
            batch.documents.iter().map(|document| document.as_raw()).collect();
        if documents.is_empty() {
            break;
        }
        let outcome = engine.insert(&InsertOperation::new(to.clone(), documents))?;
        if let Some(error) = outcome.errors.into_iter().next() {
            return Err(error.error);
        }
    }
    Ok(DocumentBuilder::new())
}
