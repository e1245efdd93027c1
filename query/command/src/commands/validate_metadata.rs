//! `validateDBMetadata`: what in the catalog is not part of version 1 of the stable API.

use sheaf_document::{DocumentBuilder, RawDocument, ValueRef};
use sheaf_engine::operation::CollectionInfo;
use sheaf_engine::{Error, ErrorCode, Namespace, Result};

use crate::arguments::Arguments;
use crate::codes::API_STRICT_ERROR;
use crate::error_catalogue::code_name;
use crate::request::Request;

/// The name of the database has a character that is not allowed.
const INVALID_DATABASE_NAME: ErrorCode = ErrorCode(13280);
/// The name of the database is empty.
const EMPTY_DATABASE_NAME: ErrorCode = ErrorCode(28539);

/// Kinds of index that version 1 leaves out.
const UNSTABLE_INDEX_KINDS: [&str; 2] = ["text", "geoHaystack"];

/// Where something is not stable.
struct Finding {
    namespace: String,
    message: String,
}

pub(crate) fn run(request: &Request<'_>) -> Result<DocumentBuilder> {
    let arguments = &request.arguments;
    let parameters = arguments.required("apiParameters", arguments.document("apiParameters")?)?;
    let database = arguments.string("db")?;
    let collection = arguments.string("collection")?;
    arguments.finish()?;
    let parameters = Arguments::new("validateDBMetadata.apiParameters", parameters)?;
    let version = parameters.required("version", parameters.string("version")?)?;
    let flag = |key: &str| match parameters.value(key) {
        Some(value) if value.is_nullish() => Err(parameters.wrong_type(key, value, "a boolean")),
        _ => parameters.boolean(key),
    };
    let strict = flag("strict")?.unwrap_or(false);
    let _deprecation_errors = flag("deprecationErrors")?;
    parameters.finish()?;
    if let Some(name) = database {
        check_name(name)?;
    }
    let mut findings = Vec::new();
    if strict && version == "1" {
        let engine = request.session.engine();
        for known in engine.list_databases()? {
            if database.is_some_and(|name| name != known.name) {
                continue;
            }
            for info in engine.list_collections(&known.name)? {
                if collection.is_none_or(|name| name == info.name) {
                    examine(request, &known.name, &info, &mut findings)?;
                }
            }
        }
    }
    let mut body = DocumentBuilder::new();
    body.array("apiVersionErrors", |errors| {
        for finding in &findings {
            errors.document(|error| {
                error.append("ns", finding.namespace.as_str()).append("code", API_STRICT_ERROR.0);
                error
                    .append("codeName", code_name(API_STRICT_ERROR))
                    .append("errmsg", finding.message.as_str());
            });
        }
    });
    Ok(body)
}

fn check_name(name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(Error::new(EMPTY_DATABASE_NAME, "validateDBMetadata.db must not be empty"));
    }
    if name.contains(['/', '\\', ' ', '"']) {
        return Err(Error::new(INVALID_DATABASE_NAME, format!("{name:?} is not the name of a database")));
    }
    // A dollar sign is looked up as it is: it only matches nothing.
    sheaf_engine::validate_database_name(&name.replace('$', "_"))
}

fn examine(
    request: &Request<'_>,
    database: &str,
    info: &CollectionInfo,
    findings: &mut Vec<Finding>,
) -> Result<()> {
    let namespace = Namespace::new(database, &info.name)?;
    if info.uuid.is_none() {
        return Ok(());
    }
    for index in request.session.engine().list_indexes(&namespace)? {
        let index = index.as_raw();
        let key = index.get("key").and_then(ValueRef::as_document).unwrap_or(RawDocument::EMPTY);
        let kinds = || key.iter().filter_map(|field| field.value().as_str());
        let unstable = kinds().find(|kind| UNSTABLE_INDEX_KINDS.contains(kind));
        let sparse = matches!(index.get("sparse"), Some(ValueRef::Boolean(true)));
        let reason = match unstable {
            Some(kind) => format!("a {kind} index"),
            None if sparse => "a sparse index".to_owned(),
            None => continue,
        };
        let name = index.get("name").and_then(ValueRef::as_str).unwrap_or_default();
        findings.push(Finding {
            namespace: namespace.to_string(),
            message: format!(
                "the index {name} is {reason}, which is not part of version 1 of the stable API"
            ),
        });
    }
    Ok(())
}
