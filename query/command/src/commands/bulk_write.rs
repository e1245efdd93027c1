//! `bulkWrite`: inserts, updates and deletes in several collections, in one command.
//!
//! `{bulkWrite: 1, ops: [{insert: namespace index, ..}, ..], nsInfo: [{ns}, ..], ordered, errorsOnly, let, cursor}`.

use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, Value, ValueRef};
use sheaf_engine::operation::{DeleteOperation, InsertOperation, UpdateOperation};
use sheaf_engine::{Cursor, Error, ErrorCode, Namespace, Result};

use crate::arguments::{Arguments, BAD_VALUE, FAILED_TO_PARSE};
use crate::collection_uuid::{self, COLLECTION_UUID_MISMATCH};
use crate::cursors::{Delivery, cursor_document, deliver};
use crate::reply::append_item_error;
use crate::request::{Request, collation, hint};
use crate::transaction::{check_single, statement_ids};
use crate::write_batch::{check_len, count_value, is_fatal_in_transaction};

/// Constants of an update are for pipelines.
const CONSTANTS_WITHOUT_PIPELINE: ErrorCode = ErrorCode(51_198);

/// One operation of the batch.
enum Operation<'a> {
    Insert(InsertOperation<'a>),
    Update(UpdateOperation<'a>),
    Delete(DeleteOperation<'a>),
    /// What fails by itself, and leaves the others alone.
    Refused(Error),
}

/// What the operations did together.
#[derive(Default)]
struct Totals {
    errors: u64,
    inserted: u64,
    matched: u64,
    modified: u64,
    upserted: u64,
    deleted: u64,
}

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    let arguments = &request.arguments;
    let namespaces = namespaces(request)?;
    let documents = arguments.required("ops", arguments.documents("ops")?)?;
    let ordered = arguments.boolean("ordered")?.unwrap_or(true);
    let errors_only = arguments.boolean("errorsOnly")?.unwrap_or(false);
    let bypass = arguments.flag("bypassDocumentValidation")?.unwrap_or(false);
    let let_variables = arguments.document("let")?;
    let delivery = match arguments.document("cursor")? {
        None => Delivery { batch_documents: usize::MAX, ..Delivery::default() },
        Some(cursor) => match cursor_document("bulkWrite", cursor)? {
            delivery if cursor.get("batchSize").is_some() => delivery,
            delivery => Delivery { batch_documents: usize::MAX, ..delivery },
        },
    };
    let statements = statement_ids(request, documents.len())?;
    arguments.finish()?;
    check_len("bulkWrite.ops", documents.len())?;
    let operations = documents
        .into_iter()
        .enumerate()
        .map(|(index, document)| {
            let mut operation = read(&namespaces, &format!("bulkWrite.ops.{index}"), document)?;
            operation.set_common(bypass, let_variables, request);
            operation.set_statement(statements.get(index).copied());
            check_single(request, operation.is_multi())?;
            Ok(operation)
        })
        .collect::<Result<Vec<_>>>()?;
    let mut totals = Totals::default();
    let mut items = Vec::new();
    for (index, operation) in operations.into_iter().enumerate() {
        let outcome = operation.run(request, &mut totals);
        if let Err(error) = &outcome
            && is_fatal_in_transaction(error)
        {
            return Err(error.clone());
        }
        let failed = outcome.is_err();
        if failed || !errors_only {
            items.push(item(index, &outcome));
        }
        if failed {
            totals.errors += 1;
            if ordered {
                break;
            }
        }
    }
    let namespace = Namespace::new("admin", "$cmd.bulkWrite")?;
    let cursor = Cursor::from_documents(namespace.clone(), items);
    let mut body = deliver(request, cursor, &namespace.to_string(), delivery)?;
    for (name, count) in [
        ("nErrors", totals.errors),
        ("nInserted", totals.inserted),
        ("nMatched", totals.matched),
        ("nModified", totals.modified),
        ("nUpserted", totals.upserted),
        ("nDeleted", totals.deleted),
    ] {
        body.append_value(name, &count_value(count));
    }
    Ok(body)
}

/// A collection of the batch, and why nothing can be written to it.
struct Target {
    namespace: Namespace,
    problem: Option<Error>,
}

fn namespaces(request: &Request<'_>) -> Result<Vec<Target>> {
    let arguments = &request.arguments;
    let documents = arguments.required("nsInfo", arguments.documents("nsInfo")?)?;
    if documents.is_empty() {
        return Err(Error::new(BAD_VALUE, "bulkWrite.nsInfo must not be empty"));
    }
    let namespaces = documents.into_iter().enumerate().map(|(index, document)| {
        let info = Arguments::new(format!("bulkWrite.nsInfo.{index}"), document)?;
        let namespace = info.required("ns", info.string("ns")?)?;
        info.ignore(&["encryptionInformation", "isTimeseriesNamespace"]);
        let namespace = Namespace::parse(namespace)?;
        // Another identity fails the operations on the collection, not the batch.
        let problem = match collection_uuid::check_field(request, &info, &namespace) {
            Ok(()) => None,
            Err(error) if error.code == COLLECTION_UUID_MISMATCH => Some(error),
            Err(error) => return Err(error),
        };
        info.finish()?;
        Ok(Target { namespace, problem })
    });
    namespaces.collect()
}

fn read<'a>(targets: &[Target], scope: &str, document: RawDocument<'a>) -> Result<Operation<'a>> {
    let arguments = Arguments::new(scope, document)?;
    let kind = document.first().map_or("", |first| first.key());
    let target = |arguments: &Arguments<'a>| -> Result<&Target> {
        let index = arguments.required(kind, arguments.integer(kind)?)?;
        usize::try_from(index).ok().and_then(|index| targets.get(index)).ok_or_else(|| {
            Error::new(BAD_VALUE, format!("{scope}.{kind} is {index}, nsInfo has {} elements", targets.len()))
        })
    };
    let namespace = |arguments: &Arguments<'a>| target(arguments).map(|target| target.namespace.clone());
    let operation = match kind {
        "insert" => {
            let document = arguments.required("document", arguments.document("document")?)?;
            Operation::Insert(InsertOperation::new(namespace(&arguments)?, vec![document]))
        }
        "update" => {
            let update = read_update(&arguments, namespace(&arguments)?)?;
            let has_constants = update.common.let_variables.is_some();
            if has_constants && !matches!(update.update, ValueRef::Array(_)) {
                Operation::Refused(Error::new(
                    CONSTANTS_WITHOUT_PIPELINE,
                    format!("{scope}.constants is for updates that are pipelines"),
                ))
            } else {
                Operation::Update(update)
            }
        }
        "delete" => {
            let filter = arguments.required("filter", arguments.document("filter")?)?;
            let mut operation = DeleteOperation::new(namespace(&arguments)?, filter);
            operation.multi = arguments.boolean("multi")?.unwrap_or(false);
            operation.hint = hint(&arguments)?;
            operation.common.collation = collation(&arguments)?;
            Operation::Delete(operation)
        }
        other => {
            return Err(Error::new(
                crate::arguments::UNKNOWN_FIELD,
                format!("{scope} is an insert, an update or a delete, not {other:?}"),
            ));
        }
    };
    arguments.ignore(&["sampleId"]);
    arguments.finish()?;
    let problem = target(&arguments)?.problem.clone();
    Ok(problem.map_or(operation, Operation::Refused))
}

fn read_update<'a>(arguments: &Arguments<'a>, namespace: Namespace) -> Result<UpdateOperation<'a>> {
    let filter = arguments.required("filter", arguments.document("filter")?)?;
    let update = arguments.required("updateMods", arguments.value("updateMods"))?;
    if !matches!(update, ValueRef::Document(_) | ValueRef::Array(_)) {
        return Err(Error::new(
            FAILED_TO_PARSE,
            format!("{}.updateMods must be a document or an array of stages", arguments.scope()),
        ));
    }
    let mut operation = UpdateOperation::new(namespace, filter, update);
    operation.multi = arguments.boolean("multi")?.unwrap_or(false);
    operation.upsert = arguments.boolean("upsert")?.unwrap_or(false);
    operation.sort = arguments.document("sort")?;
    operation.array_filters = arguments.documents("arrayFilters")?.unwrap_or_default();
    operation.hint = hint(arguments)?;
    operation.common.collation = collation(arguments)?;
    operation.common.let_variables = arguments.document("constants")?;
    arguments.ignore(&["upsertSupplied"]);
    Ok(operation)
}

/// What one operation did: how many documents, and what else its item says.
#[derive(Default)]
struct Effect {
    count: u64,
    modified: Option<u64>,
    upserted: Option<Value<'static>>,
}

impl<'a> Operation<'a> {
    fn set_common(&mut self, bypass: bool, let_variables: Option<RawDocument<'a>>, request: &Request<'a>) {
        let durability = request.durability();
        match self {
            Self::Insert(operation) => {
                operation.bypass_document_validation = bypass;
                operation.durability = durability;
            }
            Self::Update(operation) => {
                operation.bypass_document_validation = bypass;
                operation.durability = durability;
                operation.common.max_time = request.generic.max_time;
                operation.common.let_variables = operation.common.let_variables.or(let_variables);
            }
            Self::Delete(operation) => {
                operation.durability = durability;
                operation.common.max_time = request.generic.max_time;
                operation.common.let_variables = let_variables;
            }
            Self::Refused(_) => {}
        }
    }

    fn set_statement(&mut self, statement: Option<i32>) {
        match self {
            Self::Insert(operation) => operation.statements = statement.into_iter().collect(),
            Self::Update(operation) => operation.statement = statement,
            Self::Delete(operation) => operation.statement = statement,
            Self::Refused(_) => {}
        }
    }

    /// Whether it may be about many documents.
    fn is_multi(&self) -> bool {
        match self {
            Self::Insert(_) | Self::Refused(_) => false,
            Self::Update(operation) => operation.multi,
            Self::Delete(operation) => operation.multi,
        }
    }

    fn run(&self, request: &Request<'_>, totals: &mut Totals) -> Result<Effect> {
        let engine = request.session.engine();
        match self {
            Self::Insert(operation) => {
                let mut outcome = engine.insert(operation)?;
                totals.inserted += outcome.inserted;
                match outcome.errors.pop() {
                    Some(error) => Err(error.error),
                    None => Ok(Effect { count: outcome.inserted, ..Effect::default() }),
                }
            }
            Self::Update(operation) => {
                let outcome = engine.update(operation)?;
                totals.matched += outcome.matched;
                totals.modified += outcome.modified;
                totals.upserted += u64::from(outcome.upserted_id.is_some());
                Ok(Effect {
                    count: outcome.matched + u64::from(outcome.upserted_id.is_some()),
                    modified: Some(outcome.modified),
                    upserted: outcome.upserted_id,
                })
            }
            Self::Delete(operation) => {
                let outcome = engine.delete(operation)?;
                totals.deleted += outcome.deleted;
                Ok(Effect { count: outcome.deleted, ..Effect::default() })
            }
            Self::Refused(error) => Err(error.clone()),
        }
    }
}

/// One document of the answer's cursor.
fn item(index: usize, outcome: &Result<Effect>) -> RawDocumentBuf {
    let mut item = DocumentBuilder::new();
    item.append("ok", if outcome.is_ok() { 1.0 } else { 0.0 });
    item.append("idx", i32::try_from(index).unwrap_or(i32::MAX));
    match outcome {
        Ok(effect) => {
            item.append_value("n", &count_value(effect.count));
            if let Some(modified) = effect.modified {
                item.append_value("nModified", &count_value(modified));
            }
            if let Some(id) = &effect.upserted {
                item.document("upserted", |upserted| {
                    upserted.append_value("_id", id);
                });
            }
        }
        Err(error) => {
            append_item_error(&mut item, error);
            item.append("n", 0);
        }
    }
    item.build()
}
