//! `$merge`: documents that are merged into a collection, one by one.

use std::sync::Arc;

use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, ValueRef};
use sheaf_language::aggregate::{Merge, WhenMatched, WhenNotMatched};
use sheaf_language::expression::Environment;

use super::document_id::with_id;
use super::matching::Target;
use super::update_pipeline::{self, keep_id};
use super::validate::validate;
use super::write::{DocumentTransaction, retrying};
use crate::catalog::Collection;
use crate::cursor::Execution;
use crate::operation::{AggregateOperation, CommonOptions};
use crate::planner::{Query, QueryOptions};
use crate::session::Session;
use crate::{Error, Namespace, Result, error_code};

impl Session {
    /// Runs a pipeline into a collection. Documents that were merged before an error stay.
    pub(crate) fn run_merge(
        &self,
        operation: &AggregateOperation<'_>,
        namespace: &Namespace,
        merge: &Merge,
        mut execution: Execution,
    ) -> Result<()> {
        let database = merge.target.database.as_deref().unwrap_or(namespace.database());
        let target = Namespace::new(database, &merge.target.collection)?;
        let mut collection = self.collection_for_write(&target)?;
        let id = ["_id".to_owned()];
        let on = merge.on.as_deref().unwrap_or(&id);
        check_unique(&collection, on)?;
        let context = self.creating_context(operation.durability);
        while let Some(row) = execution.next_row()? {
            // Made once, so that it is the same when the transaction runs again.
            let given = row.into_document()?;
            let by_id = on.iter().any(|field| field == "_id");
            let new =
                if by_id { with_id(given.as_raw(), || self.database().new_object_id())? } else { given };
            let filter = identity_filter(new.as_raw(), on)?;
            let options = QueryOptions::new(filter.as_raw(), None, CommonOptions::default());
            let query = Query::parse(&options, Some(&collection))?;
            retrying(context, &mut collection, |transaction, collection| {
                let mut environment = self.environment(collection);
                let found = self.first_match(transaction, collection, &query, operation.common.max_time)?;
                let after = match (&found, &merge.when_matched) {
                    (Some(target), when_matched) => {
                        if matches!(when_matched, WhenMatched::Fail) {
                            // An insert says which key is taken, and by what.
                            let made = with_id(new.as_raw(), || self.database().new_object_id())?;
                            transaction.insert(collection, made)?;
                        }
                        matched(when_matched, merge, target.document()?, new.as_raw(), &mut environment)?
                    }
                    (None, _) => {
                        not_matched(merge.when_not_matched, &new, || self.database().new_object_id())?
                    }
                };
                let Some(after) = after else { return Ok(()) };
                if !operation.bypass_document_validation {
                    let before = found.as_ref().map(Target::document).transpose()?;
                    validate(collection, before, after.as_raw(), &mut environment)?;
                }
                store(transaction, collection, found.as_ref(), after)
            })?;
        }
        Ok(())
    }
}

fn store(
    transaction: &mut DocumentTransaction,
    collection: &Arc<Collection>,
    found: Option<&Target>,
    after: RawDocumentBuf,
) -> Result<()> {
    match found {
        Some(target) => transaction.replace(collection, &target.document_key, target.document()?, after),
        None => transaction.insert(collection, after),
    }
}

/// What becomes of a document that is there; nothing if it stays.
fn matched(
    when_matched: &WhenMatched,
    merge: &Merge,
    before: RawDocument<'_>,
    new: RawDocument<'_>,
    environment: &mut Environment,
) -> Result<Option<RawDocumentBuf>> {
    match when_matched {
        WhenMatched::Fail => Err(Error::new(
            error_code::DUPLICATE_KEY,
            "$merge found a document where it was told to fail on one",
        )),
        WhenMatched::KeepExisting => Ok(None),
        WhenMatched::Merge => keep_id(before, merged(before, new)).map(Some),
        WhenMatched::Replace => keep_id(before, new.to_buf()).map(Some),
        WhenMatched::Pipeline(pipeline) => {
            for (variable, expression) in &merge.variables {
                let value = expression.evaluate(new, environment)?.to_bytes_form().into_owned();
                environment.set_variable(*variable, value);
            }
            update_pipeline::apply(pipeline, before, environment).map(Some)
        }
    }
}

fn not_matched(
    when_not_matched: WhenNotMatched,
    new: &RawDocumentBuf,
    new_id: impl FnOnce() -> sheaf_document::ObjectId,
) -> Result<Option<RawDocumentBuf>> {
    match when_not_matched {
        WhenNotMatched::Discard => Ok(None),
        WhenNotMatched::Insert => with_id(new.as_raw(), new_id).map(Some),
        WhenNotMatched::Fail => Err(Error::new(
            error_code::MERGE_STAGE_NO_MATCHING_DOCUMENT,
            "$merge found no document where it was told to fail without one",
        )),
    }
}

/// The old document with the fields of the new one.
fn merged(before: RawDocument<'_>, new: RawDocument<'_>) -> RawDocumentBuf {
    let mut out = DocumentBuilder::with_capacity(before.len_bytes() + new.len_bytes());
    for element in before {
        out.append_element(new.get_element(element.key()).unwrap_or(element));
    }
    for element in new.iter().filter(|element| before.get_element(element.key()).is_none()) {
        out.append_element(element);
    }
    out.build()
}

/// The filter for the document that has the same values in the fields that identify it.
fn identity_filter(new: RawDocument<'_>, on: &[String]) -> Result<RawDocumentBuf> {
    let mut filter = DocumentBuilder::new();
    for field in on {
        let mut value = Some(ValueRef::Document(new));
        for name in field.split('.') {
            value = value.and_then(ValueRef::as_document).and_then(|document| document.get(name));
        }
        match value {
            None | Some(ValueRef::Null | ValueRef::Undefined) => {
                return Err(Error::location(
                    51_132,
                    format!("$merge needs a value in the field '{field}', by which documents are identified"),
                ));
            }
            Some(ValueRef::Array(_)) => {
                return Err(Error::location(
                    51_185,
                    format!("the field '{field}' of $merge's 'on' is an array"),
                ));
            }
            Some(value) => filter.document(field, |equal| {
                equal.append_ref("$eq", value);
            }),
        };
    }
    Ok(filter.build())
}

/// The fields must be those of a unique index, in any order.
fn check_unique(collection: &Collection, on: &[String]) -> Result<()> {
    let is_unique = collection.indexes.iter().any(|index| {
        let specification = &index.specification;
        let fields = specification.key.fields();
        let is_plain = specification.partial_filter.is_none() && !specification.sparse;
        (specification.unique || specification.key.is_id())
            && is_plain
            && fields.len() == on.len()
            && fields.iter().all(|field| on.contains(&field.path))
    });
    if is_unique {
        return Ok(());
    }
    Err(Error::location(
        51_183,
        format!(
            "$merge cannot identify documents by {on:?}: {} has no unique index on it",
            collection.namespace
        ),
    ))
}
