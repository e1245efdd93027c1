//! Messages that several requests share, as the engine knows them.

use bytes::Bytes;
use sheaf_document::{RawDocument, ValueRef};
use sheaf_engine::operation::{CommonOptions, FindOperation, Hint, Verbosity};
use sheaf_engine::{Durability, Namespace};
use sheaf_proto::v1;
use tonic::Status;

use super::bson_field::{document, limit, not_negative, optional_document, required_document, violation};
use super::deadline::Deadline;
use super::resume_token::QueryDigest;
use super::status::status;

/// The namespace of a request.
pub fn namespace(database: &str, collection: &str) -> Result<Namespace, Status> {
    Namespace::new(database, collection).map_err(|error| status(&error))
}

/// The hint in a field: `{"$hint": name}` names an index, anything else is a key pattern.
pub fn hint<'a>(field: &str, bytes: &'a Bytes) -> Result<Option<Hint<'a>>, Status> {
    let Some(hint) = optional_document(field, bytes)? else { return Ok(None) };
    Ok(Some(match hint.get("$hint") {
        Some(ValueRef::String(name)) => Hint::Name(name),
        Some(_) => return Err(violation(field, "BAD_VALUE", "$hint must be the name of an index, a string")),
        None => Hint::KeyPattern(hint),
    }))
}

/// Hint and options of a request that reads.
pub fn read_options<'a>(
    read: Option<&'a v1::ReadOptions>,
    deadline: Deadline,
) -> Result<(Option<Hint<'a>>, CommonOptions<'a>), Status> {
    let mut common = CommonOptions { max_time: deadline.time_left(), ..CommonOptions::default() };
    let Some(read) = read else { return Ok((None, common)) };
    common.collation = optional_document("read.collation", &read.collation)?;
    common.let_variables = optional_document("read.variables", &read.variables)?;
    Ok((hint("read.hint", &read.hint)?, common))
}

/// A query as a find.
pub fn find_operation<'a>(
    namespace: Namespace,
    query: Option<&'a v1::Query>,
    deadline: Deadline,
) -> Result<FindOperation<'a>, Status> {
    let Some(query) = query else {
        let mut find = FindOperation::new(namespace, RawDocument::EMPTY);
        find.common.max_time = deadline.time_left();
        return Ok(find);
    };
    let mut find = FindOperation::new(namespace, document("query.filter", &query.filter)?);
    find.sort = optional_document("query.sort", &query.sort)?;
    find.projection = optional_document("query.projection", &query.projection)?;
    find.skip = not_negative("query.skip", query.skip)?;
    find.limit = limit("query.limit", query.limit)?;
    (find.hint, find.common) = read_options(query.read.as_ref(), deadline)?;
    Ok(find)
}

/// What a resume token of a query is bound to.
pub fn query_digest(namespace: &Namespace, query: Option<&v1::Query>) -> [u8; 32] {
    let none = v1::Query::default();
    let query = query.unwrap_or(&none);
    let no_options = v1::ReadOptions::default();
    let read = query.read.as_ref().unwrap_or(&no_options);
    QueryDigest::new("find")
        .with(namespace.database().as_bytes())
        .with(namespace.collection().as_bytes())
        .with(&query.filter)
        .with(&query.sort)
        .with(&query.projection)
        .with(&query.skip.to_le_bytes())
        .with(&query.limit.to_le_bytes())
        .with(&read.hint)
        .with(&read.collation)
        .with(&read.variables)
        .finish()
}

/// The `_id` in a key document, which must hold nothing else.
pub fn key<'a>(field: &str, bytes: &'a Bytes) -> Result<ValueRef<'a>, Status> {
    let refused = || violation(field, "BAD_VALUE", "it must be a document {\"_id\": value}");
    let mut elements = required_document(field, bytes)?.iter();
    match (elements.next(), elements.next()) {
        (Some(element), None) if element.key() == "_id" => Ok(element.value()),
        _ => Err(refused()),
    }
}

/// When a write is acknowledged; `None` is the database's default.
pub fn durability(number: i32) -> Result<Option<Durability>, Status> {
    match v1::Durability::try_from(number) {
        Ok(v1::Durability::Unspecified) => Ok(None),
        Ok(v1::Durability::Synced) => Ok(Some(Durability::Sync)),
        Ok(v1::Durability::Written) => Ok(Some(Durability::Async)),
        Err(_) => Err(violation("durability", "OUT_OF_RANGE", &format!("{number} means nothing"))),
    }
}

/// How deeply to explain; `None` is to answer.
pub fn verbosity(number: i32) -> Result<Option<Verbosity>, Status> {
    match v1::ExplainMode::try_from(number) {
        Ok(v1::ExplainMode::Unspecified) => Ok(None),
        Ok(v1::ExplainMode::QueryPlanner) => Ok(Some(Verbosity::QueryPlanner)),
        Ok(v1::ExplainMode::ExecutionStats) => Ok(Some(Verbosity::ExecutionStats)),
        Ok(v1::ExplainMode::AllPlans) => Ok(Some(Verbosity::AllPlansExecution)),
        Err(_) => Err(violation("explain", "OUT_OF_RANGE", &format!("{number} means nothing"))),
    }
}

/// Update operators in a field. Plain fields would make it a replacement, which is asked for by name.
pub fn operators<'a>(field: &str, bytes: &'a Bytes) -> Result<ValueRef<'a>, Status> {
    let update = required_document(field, bytes)?;
    match update.first() {
        Some(element) if element.key().starts_with('$') => Ok(ValueRef::Document(update)),
        Some(element) => {
            let description =
                format!("\"{}\" is no update operator; a replacement is another operation", element.key());
            Err(violation(field, "FAILED_TO_PARSE", &description))
        }
        None => Err(violation(field, "FAILED_TO_PARSE", "it has no update operator")),
    }
}

/// The new document in a field. Update operators are asked for by another name.
pub fn replacement<'a>(field: &str, bytes: &'a Bytes) -> Result<ValueRef<'a>, Status> {
    let replacement = required_document(field, bytes)?;
    match replacement.first() {
        Some(element) if element.key().starts_with('$') => {
            let description = format!("\"{}\" is an update operator; a replacement has none", element.key());
            Err(violation(field, "FAILED_TO_PARSE", &description))
        }
        _ => Ok(ValueRef::Document(replacement)),
    }
}

/// The stages in a field that holds `{"pipeline": [stages]}`.
pub fn pipeline<'a>(field: &str, bytes: &'a Bytes) -> Result<ValueRef<'a>, Status> {
    match required_document(field, bytes)?.get("pipeline") {
        Some(stages @ ValueRef::Array(_)) => Ok(stages),
        _ => Err(violation(field, "FAILED_TO_PARSE", "it must be a document {\"pipeline\": [stages]}")),
    }
}
