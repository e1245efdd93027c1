//! `encryptedFields` of `create`: which fields a client encrypts, and which queries it means to run on them.
//!
//! This server does not take part in encryption on the client's side, so a collection with encrypted fields is refused
//! (error 115). What is written wrongly is refused for that first: a client that is told "not supported" knows that the
//! rest was right.

use sheaf_document::{BsonType, RawDocument, ValueRef, compare_refs};
use sheaf_engine::catalog::CollectionOptions;
use sheaf_engine::{Error, ErrorCode, Result};

use crate::arguments::{Arguments, BAD_VALUE, FAILED_TO_PARSE};
use crate::codes::{COMMAND_NOT_SUPPORTED, INVALID_UUID};
use crate::number::to_exact_integer;

const PATH_EMPTY: ErrorCode = ErrorCode(6_316_402);
const PATH_OF_ID: ErrorCode = ErrorCode(6_316_403);
const PATH_TWICE: ErrorCode = ErrorCode(6_338_402);
const PATH_WITH_NULL_BYTE: ErrorCode = ErrorCode(9_867_600);
const TYPE_NOT_ENCRYPTED: ErrorCode = ErrorCode(6_338_406);
const ON_A_VIEW: ErrorCode = ErrorCode(6_346_401);
const ON_A_CAPPED_COLLECTION: ErrorCode = ErrorCode(6_367_301);
const RANGE_TYPE: ErrorCode = ErrorCode(6_775_201);
const RANGE_BOUND_TYPE: ErrorCode = ErrorCode(7_018_200);
const RANGE_IS_EMPTY: ErrorCode = ErrorCode(6_720_005);
const TRIM_FACTOR_TOO_LARGE: ErrorCode = ErrorCode(8_574_000);
const TEXT_TYPE: ErrorCode = ErrorCode(9_783_400);
const TEXT_MIN_MISSING: ErrorCode = ErrorCode(9_783_402);
const TEXT_MAX_MISSING: ErrorCode = ErrorCode(9_783_403);
const TEXT_CASE_MISSING: ErrorCode = ErrorCode(9_783_404);
const TEXT_ACCENT_MISSING: ErrorCode = ErrorCode(9_783_405);
const TEXT_LENGTHS: ErrorCode = ErrorCode(9_783_406);
const NO_QUERIES: ErrorCode = ErrorCode(9_783_412);
const QUERIES_TOO_MANY: ErrorCode = ErrorCode(9_783_413);
const QUERIES_DO_NOT_COMBINE: ErrorCode = ErrorCode(9_783_414);

/// Kinds of query that one field may be made for.
const QUERY_KINDS_MAX: usize = 2;

/// A kind of query on an encrypted field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum QueryKind {
    Equality,
    Prefix,
    Range,
    Substring,
    Suffix,
}

/// Checks them, then refuses them. Nothing if there are none.
pub(crate) fn refuse(arguments: &Arguments<'_>, options: &CollectionOptions) -> Result<()> {
    let Some(document) = arguments.document("encryptedFields")? else { return Ok(()) };
    let described = Arguments::new("create.encryptedFields", document)?;
    let _names = (
        described.string("escCollection")?,
        described.string("eccCollection")?,
        described.string("ecocCollection")?,
        described.integer("strEncodeVersion")?,
    );
    let fields = described.required("fields", described.array("fields")?)?;
    described.finish()?;
    let mut paths: Vec<&str> = Vec::new();
    for (index, value) in fields.iter().enumerate() {
        match value {
            ValueRef::Null | ValueRef::Undefined => {}
            ValueRef::Document(field) => paths.push(check_field(index, field)?),
            other => return Err(described.wrong_type(&format!("fields.{index}"), other, "a document")),
        }
    }
    check_paths(&paths)?;
    if options.view_on.is_some() || options.time_series.is_some() {
        return Err(Error::new(ON_A_VIEW, "views and time series have no encrypted fields"));
    }
    if options.capped {
        return Err(Error::new(ON_A_CAPPED_COLLECTION, "a capped collection has no encrypted fields"));
    }
    Err(Error::new(
        COMMAND_NOT_SUPPORTED,
        "create.encryptedFields: encryption on the client's side is not supported",
    ))
}

/// Checks one field; its path.
fn check_field<'a>(index: usize, field: RawDocument<'a>) -> Result<&'a str> {
    let field = Arguments::new(format!("create.encryptedFields.fields.{index}"), field)?;
    let path = field.required("path", field.string("path")?)?;
    check_key(&field)?;
    let type_name = field.string("bsonType")?;
    let queries = match field.value("queries") {
        None => Vec::new(),
        Some(ValueRef::Document(query)) => vec![query],
        Some(ValueRef::Array(list)) if list.is_empty() => {
            return Err(Error::new(NO_QUERIES, format!("{}.queries is an empty list", field.scope())));
        }
        Some(ValueRef::Array(list)) => {
            let queries = list.iter().enumerate().map(|(position, query)| {
                let name = format!("queries.{position}");
                query.as_document().ok_or_else(|| field.wrong_type(&name, query, "a document"))
            });
            queries.collect::<Result<_>>()?
        }
        Some(other) => return Err(field.wrong_type("queries", other, "a document or an array")),
    };
    field.finish()?;
    if path.contains('\0') {
        return Err(Error::new(PATH_WITH_NULL_BYTE, "the path of an encrypted field has a null byte"));
    }
    let kind = type_name.map(encrypted_type).transpose()?;
    let kinds = queries.into_iter().map(|query| check_query(field.scope(), query, kind));
    check_combination(&kinds.collect::<Result<Vec<_>>>()?)?;
    Ok(path)
}

/// The key is named by a UUID.
fn check_key(field: &Arguments<'_>) -> Result<()> {
    let value = field.required("keyId", field.present("keyId"))?;
    match value {
        ValueRef::Binary(key) if key.subtype == 4 && key.bytes.len() == 16 => Ok(()),
        ValueRef::Binary(key) if key.subtype == 4 => Err(Error::new(
            INVALID_UUID,
            format!("{}.keyId must have 16 bytes, not {}", field.scope(), key.bytes.len()),
        )),
        other => Err(field.wrong_type("keyId", other, "a UUID")),
    }
}

/// A type by its name; null and the ends of the order have nothing to hide.
fn encrypted_type(name: &str) -> Result<BsonType> {
    let kind = BsonType::from_name(name)
        .ok_or_else(|| Error::new(BAD_VALUE, format!("bsonType {name:?} is the name of no type")))?;
    match kind {
        BsonType::MinKey | BsonType::MaxKey | BsonType::Null | BsonType::Undefined => Err(Error::new(
            TYPE_NOT_ENCRYPTED,
            format!("a field of type {name} cannot be encrypted: all of its values are the same"),
        )),
        kind => Ok(kind),
    }
}

fn check_paths(paths: &[&str]) -> Result<()> {
    for (position, path) in paths.iter().enumerate() {
        if path.is_empty() {
            return Err(Error::new(PATH_EMPTY, "the path of an encrypted field is empty"));
        }
        if *path == "_id" || path.starts_with("_id.") {
            return Err(Error::new(
                PATH_OF_ID,
                format!("{path:?} is part of _id, which cannot be encrypted"),
            ));
        }
        if paths.iter().take(position).any(|known| known == path) {
            return Err(Error::new(PATH_TWICE, format!("the path {path:?} is there twice")));
        }
    }
    Ok(())
}

/// Checks what one kind of query asks of a field.
fn check_query(scope: &str, query: RawDocument<'_>, kind: Option<BsonType>) -> Result<QueryKind> {
    let query = Arguments::new(format!("{scope}.queries"), query)?;
    let name = query.required("queryType", query.string("queryType")?)?;
    let query_kind = match name {
        "equality" => QueryKind::Equality,
        "prefixPreview" => QueryKind::Prefix,
        "range" | "rangePreview" => QueryKind::Range,
        "substringPreview" => QueryKind::Substring,
        "suffixPreview" => QueryKind::Suffix,
        other => return Err(Error::new(BAD_VALUE, format!("queryType {other:?} is no kind of query"))),
    };
    let _contention = bounded(&query, "contention", 0)?;
    let _sparsity = bounded(&query, "sparsity", 1)?;
    let trim_factor = bounded(&query, "trimFactor", 0)?;
    let _precision = bounded(&query, "precision", 0)?;
    let (min, max) = (query.present("min"), query.present("max"));
    let lengths = (bounded(&query, "strMinQueryLength", 1)?, bounded(&query, "strMaxQueryLength", 1)?);
    let _whole = bounded(&query, "strMaxLength", 1)?;
    let (case, accent) = (query.boolean("caseSensitive")?, query.boolean("diacriticSensitive")?);
    query.finish()?;
    match query_kind {
        QueryKind::Equality => {}
        QueryKind::Range => check_range(kind, (min, max), trim_factor)?,
        QueryKind::Prefix | QueryKind::Substring | QueryKind::Suffix => {
            check_text(kind, lengths, (case, accent))?;
        }
    }
    Ok(query_kind)
}

/// A whole number, not below `least`.
fn bounded(arguments: &Arguments<'_>, key: &str, least: i64) -> Result<Option<i64>> {
    let Some(value) = arguments.present(key) else { return Ok(None) };
    if !value.kind().is_number() {
        return Err(arguments.wrong_type(key, value, "a whole number"));
    }
    let Some(number) = to_exact_integer(value) else {
        let message = format!("{}.{key} must be a whole number", arguments.scope());
        return Err(Error::new(FAILED_TO_PARSE, message));
    };
    if number < least {
        let message = format!("{}.{key} must be at least {least}, but is {number}", arguments.scope());
        return Err(Error::new(BAD_VALUE, message));
    }
    Ok(Some(number))
}

/// Ranges are of numbers and dates; their ends have the field's own type.
fn check_range(
    kind: Option<BsonType>,
    (min, max): (Option<ValueRef<'_>>, Option<ValueRef<'_>>),
    trim_factor: Option<i64>,
) -> Result<()> {
    let bits = match kind {
        Some(BsonType::Int32) => 32,
        Some(BsonType::Int64 | BsonType::DateTime | BsonType::Double) => 64,
        Some(BsonType::Decimal128) => 128,
        _ => return Err(Error::new(RANGE_TYPE, "a range query is for numbers and dates")),
    };
    let other = [min, max].into_iter().flatten().find(|end| Some(end.kind()) != kind);
    if let Some(other) = other {
        let message = format!("an end of a range has the type of the field, not {}", other.kind().name());
        return Err(Error::new(RANGE_BOUND_TYPE, message));
    }
    if let (Some(min), Some(max)) = (min, max)
        && compare_refs(min, max, None).is_ge()
    {
        return Err(Error::new(RANGE_IS_EMPTY, "the 'min' of a range must be below its 'max'"));
    }
    if trim_factor.is_some_and(|factor| factor >= bits) {
        let message = format!("trimFactor must be below the {bits} bits of the field's type");
        return Err(Error::new(TRIM_FACTOR_TOO_LARGE, message));
    }
    Ok(())
}

/// Queries on parts of text say how long the parts are and what counts as the same letter.
fn check_text(
    kind: Option<BsonType>,
    (min, max): (Option<i64>, Option<i64>),
    (case, accent): (Option<bool>, Option<bool>),
) -> Result<()> {
    if kind != Some(BsonType::String) {
        return Err(Error::new(TEXT_TYPE, "a query on part of a text is for strings"));
    }
    let missing = |code, name: &str| Error::new(code, format!("a query on part of a text needs {name:?}"));
    let min = min.ok_or_else(|| missing(TEXT_MIN_MISSING, "strMinQueryLength"))?;
    let max = max.ok_or_else(|| missing(TEXT_MAX_MISSING, "strMaxQueryLength"))?;
    case.ok_or_else(|| missing(TEXT_CASE_MISSING, "caseSensitive"))?;
    accent.ok_or_else(|| missing(TEXT_ACCENT_MISSING, "diacriticSensitive"))?;
    if min > max {
        let message = format!("strMinQueryLength is {min}, above strMaxQueryLength, which is {max}");
        return Err(Error::new(TEXT_LENGTHS, message));
    }
    Ok(())
}

/// Only the beginnings and the ends of texts can be asked for together.
fn check_combination(kinds: &[QueryKind]) -> Result<()> {
    if kinds.len() > QUERY_KINDS_MAX {
        let message = format!("a field is made for at most {QUERY_KINDS_MAX} kinds of query");
        return Err(Error::new(QUERIES_TOO_MANY, message));
    }
    match kinds {
        [first, second] => {
            let both = [*first, *second];
            if both.contains(&QueryKind::Prefix) && both.contains(&QueryKind::Suffix) {
                return Ok(());
            }
            Err(Error::new(QUERIES_DO_NOT_COMBINE, "these two kinds of query cannot be on one field"))
        }
        _ => Ok(()),
    }
}
