//! `$merge`: documents that are merged into a collection, one by one.

use std::sync::Arc;

use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, Value, ValueRef};
use sheaf_language::Collation;
use sheaf_language::aggregate::{Merge, UNDEFINED_VARIABLE, WhenMatched, WhenNotMatched};
use sheaf_language::expression::Environment;
use sheaf_language::update::FieldName;

use super::document_id::with_id;
use super::matching::Target;
use super::update_pipeline::{self, keep_id};
use super::write::{DocumentTransaction, retrying};
use crate::catalog::Collection;
use crate::cursor::Execution;
use crate::operation::{AggregateOperation, CommonOptions};
use crate::planner::{Query, QueryOptions};
use crate::session::Session;
use crate::{Error, Namespace, Result, error_code};

/// Documents that are written before an error of one of them is reported, as a batch of unordered writes is.
const PART_DOCUMENTS: usize = 1_000;

/// Where documents go, and how.
struct Merging<'a> {
    operation: &'a AggregateOperation<'a>,
    merge: &'a Merge,
    target: Namespace,
    on: &'a [String],
    /// Whether the fields that identify a document may be null: their index has an entry for that.
    takes_null: bool,
    /// Absent until a document makes it.
    collection: Option<Arc<Collection>>,
}

impl Session {
    /// Runs a pipeline into a collection. A document that cannot be merged ends this behind the others of its part, and
    /// what was merged stays.
    pub(crate) fn run_merge(
        &self,
        operation: &AggregateOperation<'_>,
        namespace: &Namespace,
        merge: &Merge,
        collation: Option<&RawDocumentBuf>,
        mut execution: Execution,
    ) -> Result<()> {
        let id = ["_id".to_owned()];
        let mut merging = self.merging(operation, namespace, merge, &id, collation)?;
        let mut failed = None;
        let mut in_part = 0;
        while let Some(row) = execution.next_row()? {
            let given = row.into_document()?;
            // Made once, so that it is the same when the transaction runs again.
            let by_id = merging.on.iter().any(|field| field == "_id");
            let new =
                if by_id { with_id(given.as_raw(), || self.database().new_object_id())? } else { given };
            let filter = identity_filter(new.as_raw(), merging.on, merging.takes_null)?;
            if let Err(error) = self.merge_one(&mut merging, &new, &filter) {
                failed.get_or_insert(error);
            }
            in_part += 1;
            if in_part >= PART_DOCUMENTS {
                in_part = 0;
                failed.take().map_or(Ok(()), Err)?;
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Checks the target of a `$merge`, for a pipeline that is only explained.
    pub(crate) fn check_merge(
        &self,
        operation: &AggregateOperation<'_>,
        namespace: &Namespace,
        merge: &Merge,
        collation: Option<&RawDocumentBuf>,
    ) -> Result<()> {
        self.merging(operation, namespace, merge, &["_id".to_owned()], collation).map(drop)
    }

    fn merging<'a>(
        &self,
        operation: &'a AggregateOperation<'a>,
        namespace: &Namespace,
        merge: &'a Merge,
        id: &'a [String],
        collation: Option<&RawDocumentBuf>,
    ) -> Result<Merging<'a>> {
        let database = merge.target.database.as_deref().unwrap_or(namespace.database());
        let target = Namespace::new(database, &merge.target.collection)?;
        check_target(&target)?;
        let collection = self.existing_for_write(&target)?;
        if collection.as_ref().is_some_and(|found| found.options.time_series.is_some()) {
            return Err(Error::new(
                error_code::COMMAND_NOT_SUPPORTED_ON_VIEW,
                format!("{target} is a time series, which $merge cannot write to"),
            ));
        }
        let on = merge.on.as_deref().unwrap_or(id);
        let takes_null = check_unique(&target, collection.as_deref(), on, collation)?;
        Ok(Merging { operation, merge, target, on, takes_null, collection })
    }

    fn merge_one(
        &self,
        merging: &mut Merging<'_>,
        new: &RawDocumentBuf,
        filter: &RawDocumentBuf,
    ) -> Result<()> {
        let (merge, operation, on) = (merging.merge, merging.operation, merging.on);
        if let WhenMatched::Refused(error) = &merge.when_matched {
            return Err(error.clone().into());
        }
        let collection = match &mut merging.collection {
            Some(collection) => collection,
            None => {
                // A document that is not inserted does not make the collection.
                if not_matched(merge, on, new, || self.database().new_object_id())?.is_none() {
                    return Ok(());
                }
                merging.collection.insert(self.collection_for_write(&merging.target)?)
            }
        };
        let options = QueryOptions::new(filter.as_raw(), None, CommonOptions::default());
        let query = Query::parse(&options, Some(collection))?;
        retrying(self.creating_context(operation.durability), collection, |transaction, collection| {
            let mut environment = self.environment(collection);
            let found = self.first_match(transaction, collection, &query, operation.common.max_time)?;
            if found.is_some() && matches!(merge.when_matched, WhenMatched::Fail) {
                // An insert says which key is taken, and by what.
                let made = with_id(new.as_raw(), || self.database().new_object_id())?;
                transaction.insert(collection, made)?;
            }
            let after = match &found {
                Some(target) => matched(merge, target.document()?, new.as_raw(), &mut environment)?,
                None => not_matched(merge, on, new, || self.database().new_object_id())?,
            };
            let Some(after) = after else { return Ok(()) };
            if !operation.bypass_document_validation {
                let before = found.as_ref().map(Target::document).transpose()?;
                self.validate(collection, before, after.as_raw(), &mut environment)?;
            }
            store(transaction, collection, found.as_ref(), after)
        })
    }
}

/// The system's own collections and databases are not written to this way.
fn check_target(target: &Namespace) -> Result<()> {
    if target.is_system() {
        return Err(Error::location(
            31_319,
            format!("$merge cannot write to the system's collection {target}"),
        ));
    }
    if matches!(target.database(), "admin" | "config" | "local") {
        return Err(Error::location(31_320, format!("$merge cannot write to the database of {target}")));
    }
    Ok(())
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
    merge: &Merge,
    before: RawDocument<'_>,
    new: RawDocument<'_>,
    environment: &mut Environment,
) -> Result<Option<RawDocumentBuf>> {
    match &merge.when_matched {
        WhenMatched::Fail => Err(Error::new(
            error_code::DUPLICATE_KEY,
            "$merge found a document where it was told to fail on one",
        )),
        WhenMatched::KeepExisting => Ok(None),
        WhenMatched::Merge => keep_id(before, merged(before, new)).map(Some),
        WhenMatched::Replace => keep_id(before, new.to_buf()).map(Some),
        WhenMatched::Refused(error) => Err(error.clone().into()),
        WhenMatched::Pipeline(pipeline) => {
            for variable in &merge.variables {
                let value = variable.value.evaluate(new, environment)?.to_bytes_form().into_owned();
                if variable.is_used && matches!(value, Value::Missing) {
                    return Err(Error::new(
                        UNDEFINED_VARIABLE,
                        format!("the variable '{}' of $merge has no value for a document", variable.name),
                    ));
                }
                environment.set_variable(variable.id, value);
            }
            update_pipeline::apply(pipeline, before, environment).map(Some)
        }
    }
}

/// What becomes of a new document. One that is merged is an update that inserts: the fields that identify it come
/// first, those that are missing as null, and the others in the order in which updates make fields.
fn not_matched(
    merge: &Merge,
    on: &[String],
    new: &RawDocumentBuf,
    new_id: impl FnOnce() -> sheaf_document::ObjectId,
) -> Result<Option<RawDocumentBuf>> {
    match merge.when_not_matched {
        WhenNotMatched::Discard => Ok(None),
        WhenNotMatched::Insert => {
            let with_id = with_id(new.as_raw(), new_id)?;
            let by_update = matches!(merge.when_matched, WhenMatched::KeepExisting | WhenMatched::Merge);
            Ok(Some(if by_update { as_inserted_by_update(with_id.as_raw(), on) } else { with_id }))
        }
        WhenNotMatched::Fail => Err(Error::new(
            error_code::MERGE_STAGE_NO_MATCHING_DOCUMENT,
            "$merge found no document where it was told to fail without one",
        )),
    }
}

fn as_inserted_by_update(new: RawDocument<'_>, on: &[String]) -> RawDocumentBuf {
    let mut fields: Vec<_> = new.iter().filter(|element| element.key() != "_id").collect();
    fields.sort_by_cached_key(|element| FieldName::new(element.key()));
    let mut out = DocumentBuilder::with_capacity(new.len_bytes());
    if let Some(id) = new.get_element("_id") {
        out.append_element(id);
    }
    for field in on.iter().filter(|field| !field.contains('.') && new.get_element(field).is_none()) {
        out.append(field, Value::Null);
    }
    for element in fields {
        out.append_element(element);
    }
    out.build()
}

/// The old document with the fields of the new one.
fn merged(before: RawDocument<'_>, new: RawDocument<'_>) -> RawDocumentBuf {
    let mut out = DocumentBuilder::with_capacity(before.len_bytes() + new.len_bytes());
    for element in before {
        out.append_element(new.get_element(element.key()).unwrap_or(element));
    }
    let mut added: Vec<_> =
        new.iter().filter(|element| before.get_element(element.key()).is_none()).collect();
    added.sort_by_cached_key(|element| FieldName::new(element.key()));
    for element in added {
        out.append_element(element);
    }
    out.build()
}

/// The filter for the document that has the same values in the fields that identify it.
fn identity_filter(new: RawDocument<'_>, on: &[String], takes_null: bool) -> Result<RawDocumentBuf> {
    let mut filter = DocumentBuilder::new();
    for field in on {
        let mut value = Some(ValueRef::Document(new));
        for name in field.split('.') {
            value = value.and_then(ValueRef::as_document).and_then(|document| document.get(name));
        }
        let value = value.unwrap_or(ValueRef::Null);
        if value.is_nullish() && !takes_null {
            return Err(Error::location(
                51_132,
                format!("$merge needs a value in the field '{field}', by which documents are identified"),
            ));
        }
        if matches!(value, ValueRef::Array(_)) {
            return Err(Error::location(51_185, format!("the field '{field}' of $merge's 'on' is an array")));
        }
        filter.document(field, |equal| {
            equal.append_ref("$eq", value);
        });
    }
    Ok(filter.build())
}

/// The fields must be those of a unique index, in any order, that compares strings as the pipeline does. Says whether
/// they may be null, which a sparse index does not hold.
fn check_unique(
    target: &Namespace,
    collection: Option<&Collection>,
    on: &[String],
    collation: Option<&RawDocumentBuf>,
) -> Result<bool> {
    let mut takes_null = None;
    for (found, index) in
        collection.iter().flat_map(|found| found.indexes.iter().map(move |index| (found, index)))
    {
        let specification = &index.specification;
        let fields = specification.key.fields();
        let fits = (specification.unique || specification.key.is_id())
            && specification.partial_filter.is_none()
            && fields.len() == on.len()
            && fields.iter().all(|field| on.contains(&field.path))
            && same_collation(found, specification.collation.as_ref(), collation)?;
        if fits {
            let is_id = specification.key.is_id();
            takes_null = Some(takes_null.unwrap_or(false) || !specification.sparse && !is_id);
        }
    }
    if collection.is_none() && matches!(on, [id] if id == "_id") {
        takes_null = Some(false);
    }
    takes_null.ok_or_else(|| {
        Error::location(
            51_183,
            format!("$merge cannot identify documents by {on:?}: {target} has no unique index on it"),
        )
    })
}

/// Whether an index compares strings as the pipeline does. The index on `_id` says nothing of its own: its collection
/// does.
fn same_collation(
    collection: &Collection,
    index: Option<&RawDocumentBuf>,
    pipeline: Option<&RawDocumentBuf>,
) -> Result<bool> {
    let parsed = |document: Option<&RawDocumentBuf>| {
        document.map(|document| Collation::parse(document.as_raw())).transpose()
    };
    let index = parsed(index.or(collection.options.collation.as_ref()))?;
    Ok(index == parsed(pipeline)?)
}
