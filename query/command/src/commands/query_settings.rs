//! `setQuerySettings` and `removeQuerySettings`: whether queries of a shape are refused, and which indexes they may
//! use.
//!
//! Settings are kept in `config.querySettings`, a document per shape under its hash, and survive a restart. Of the
//! allowed indexes the first that the filter can use takes the place of a hint; if there is none the planner decides
//! alone. `queryFramework` is kept and shown: there is one engine.

use std::sync::Arc;

use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, ValueRef};
use sheaf_engine::operation::Hint;
use sheaf_engine::{Error, ErrorCode, Namespace, Result, error_code};

use crate::arguments::{Arguments, BAD_VALUE, FAILED_TO_PARSE, MISSING_FIELD};
use crate::codes::INVALID_LENGTH;
use crate::query_shape;
use crate::request::Request;
use crate::service::CommandSession;
use crate::stored;

/// A query that settings cannot be set for.
const NOT_A_QUERY: ErrorCode = ErrorCode(7_746_402);
/// No query of this shape is known.
const UNKNOWN_SHAPE: ErrorCode = ErrorCode(7_746_401);
/// Settings that set nothing.
const NO_SETTINGS: ErrorCode = ErrorCode(7_746_604);
/// Queries of this shape are refused.
const QUERY_REJECTED_BY_SETTINGS: ErrorCode = ErrorCode(411);

/// Digits of a hash.
const HASH_DIGITS: usize = 64;

/// What is set for a shape.
#[derive(Clone, Debug)]
pub(crate) struct QuerySettings {
    hash: String,
    /// A query of the shape, as it was given.
    query: Option<RawDocumentBuf>,
    settings: RawDocumentBuf,
}

fn store() -> Result<Namespace> {
    Namespace::new("config", "querySettings")
}

/// All settings, read from the store once and then remembered.
fn all(session: &CommandSession) -> Result<Arc<Vec<QuerySettings>>> {
    if let Some(known) = &session.commands().state().query_settings {
        return Ok(Arc::clone(known));
    }
    let stored = stored::read(session.engine(), &store()?, RawDocument::EMPTY)?;
    let known = stored.iter().filter_map(|document| {
        let document = document.as_raw();
        Some(QuerySettings {
            hash: document.get("_id")?.as_str()?.to_owned(),
            query: document
                .get("representativeQuery")
                .and_then(ValueRef::as_document)
                .map(RawDocument::to_buf),
            settings: document.get("settings")?.as_document()?.to_buf(),
        })
    });
    let known = Arc::new(known.collect::<Vec<_>>());
    session.commands().state().query_settings = Some(Arc::clone(&known));
    Ok(known)
}

/// The settings of a query's shape; an error if they refuse it.
pub(crate) fn find(
    request: &Request<'_>,
    name: &str,
    command: RawDocument<'_>,
) -> Result<Option<QuerySettings>> {
    let all = all(request.session)?;
    if all.is_empty() {
        return Ok(None);
    }
    let Some(shape) = query_shape::shape(request.database, name, command) else { return Ok(None) };
    let hash = query_shape::hash(shape.as_raw());
    let Some(found) = all.iter().find(|settings| settings.hash == hash) else { return Ok(None) };
    if found.settings.as_raw().get("reject") == Some(ValueRef::Boolean(true)) {
        return Err(Error::new(
            QUERY_REJECTED_BY_SETTINGS,
            format!("settings refuse queries of the shape {hash}"),
        ));
    }
    Ok(Some(found.clone()))
}

impl QuerySettings {
    /// The hint that takes the place of the query's own: the first allowed index whose first field the filter names,
    /// and which has an entry for every document.
    pub(crate) fn hint(
        &self,
        request: &Request<'_>,
        namespace: &Namespace,
        filter: RawDocument<'_>,
    ) -> Result<Option<Hint<'_>>> {
        let hints = self.settings.as_raw().get("indexHints");
        let hints: Vec<RawDocument<'_>> = match hints {
            Some(ValueRef::Document(only)) => vec![only],
            Some(ValueRef::Array(list)) => list.iter().filter_map(ValueRef::as_document).collect(),
            _ => return Ok(None),
        };
        let is_here = |hint: &RawDocument<'_>| {
            let target = hint.get("ns").and_then(ValueRef::as_document).unwrap_or(RawDocument::EMPTY);
            target.get("db").and_then(ValueRef::as_str) == Some(namespace.database())
                && target.get("coll").and_then(ValueRef::as_str) == Some(namespace.collection())
        };
        let Some(hint) = hints.into_iter().find(is_here) else { return Ok(None) };
        let Some(allowed) = hint.get("allowedIndexes").and_then(ValueRef::as_array) else { return Ok(None) };
        let Ok(indexes) = request.session.engine().list_indexes(namespace) else { return Ok(None) };
        for wanted in allowed.iter() {
            let index = indexes.iter().find(|index| {
                let index = index.as_raw();
                index.get("name") == Some(wanted) || index.get("key") == Some(wanted)
            });
            if let Some(index) = index
                && serves(index.as_raw(), filter)
            {
                return Ok(match wanted {
                    ValueRef::String(name) => Some(Hint::Name(name)),
                    ValueRef::Document(key) => Some(Hint::KeyPattern(key)),
                    _ => None,
                });
            }
        }
        Ok(None)
    }

    fn shown(&self, out: &mut DocumentBuilder) {
        out.append("queryShapeHash", self.hash.as_str()).append("settings", self.settings.clone());
        if let Some(query) = &self.query {
            out.append("representativeQuery", query.clone());
        }
    }
}

fn serves(index: RawDocument<'_>, filter: RawDocument<'_>) -> bool {
    let is_partial = ["sparse", "partialFilterExpression", "hidden", "collation", "wildcardProjection"]
        .into_iter()
        .any(|option| index.get(option).is_some());
    let first = index.get("key").and_then(ValueRef::as_document).and_then(RawDocument::first);
    let is_plain = |field: &sheaf_document::Element<'_>| field.value().kind().is_number();
    !is_partial && first.is_some_and(|field| is_plain(&field) && filter.get(field.key()).is_some())
}

/// The documents of `$querySettings`.
pub(crate) fn stage(session: &CommandSession, argument: RawDocument<'_>) -> Result<Vec<RawDocumentBuf>> {
    let with_shape = argument.get("showDebugQueryShape") == Some(ValueRef::Boolean(true));
    let show = |settings: &QuerySettings| {
        let mut out = DocumentBuilder::new();
        settings.shown(&mut out);
        if let Some(query) = settings.query.as_ref().filter(|_| with_shape)
            && let Ok((_, shape)) = read_query(query.as_raw())
        {
            out.append("debugQueryShape", shape);
        }
        out.build()
    };
    Ok(all(session)?.iter().map(show).collect())
}

pub(crate) fn set(request: &Request<'_>) -> Result<DocumentBuilder> {
    let arguments = &request.arguments;
    let (hash, query) = read_subject(request)?;
    let given = arguments.required("settings", arguments.document("settings")?)?;
    arguments.finish()?;
    check_settings(given)?;
    let known = all(request.session)?;
    let before = known.iter().find(|settings| settings.hash == hash);
    if query.is_none() && before.is_none() {
        return Err(Error::new(
            UNKNOWN_SHAPE,
            format!("no query of the shape {hash} is known; send the query"),
        ));
    }
    let settings = merged(before.map(|before| before.settings.as_raw()), given);
    let query = query.or_else(|| before.and_then(|before| before.query.clone()));
    let settings = QuerySettings { hash, query, settings };
    let mut document = DocumentBuilder::new();
    document.append("_id", settings.hash.as_str()).append("settings", settings.settings.clone());
    if let Some(query) = &settings.query {
        document.append("representativeQuery", query.clone());
    }
    stored::put(request.session.engine(), &store()?, document.build().as_raw())?;
    request.commands().state().query_settings = None;
    let mut body = DocumentBuilder::new();
    settings.shown(&mut body);
    Ok(body)
}

pub(crate) fn remove(request: &Request<'_>) -> Result<DocumentBuilder> {
    let (hash, _) = read_subject(request)?;
    request.arguments.finish()?;
    stored::delete(request.session.engine(), &store()?, stored::by_id(&hash).as_raw())?;
    request.commands().state().query_settings = None;
    Ok(DocumentBuilder::new())
}

/// The hash of the shape that the first field means, and the query if it is one.
fn read_subject(request: &Request<'_>) -> Result<(String, Option<RawDocumentBuf>)> {
    match request.subject() {
        ValueRef::String(hash) => {
            if hash.len() != HASH_DIGITS {
                return Err(Error::new(
                    INVALID_LENGTH,
                    format!("the hash of a shape has {HASH_DIGITS} digits, not {}", hash.len()),
                ));
            }
            if !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(Error::new(BAD_VALUE, "the hash of a shape has hexadecimal digits only"));
            }
            Ok((hash.to_ascii_uppercase(), None))
        }
        ValueRef::Document(query) => {
            let (hash, _) = read_query(query)?;
            Ok((hash, Some(query.to_buf())))
        }
        other => Err(request.arguments.wrong_type(request.name, other, "a query or the hash of a shape")),
    }
}

/// The hash and the shape of a query.
fn read_query(query: RawDocument<'_>) -> Result<(String, RawDocumentBuf)> {
    let name = query.first().map_or("", |first| first.key());
    let not_a_query = || {
        Error::new(NOT_A_QUERY, format!("settings are for find, aggregate and distinct, not for {name:?}"))
    };
    if !matches!(name, "find" | "aggregate" | "distinct") {
        return Err(not_a_query());
    }
    let database = match query.get("$db") {
        Some(ValueRef::String(database)) => database,
        None | Some(ValueRef::Null | ValueRef::Undefined) => {
            return Err(Error::new(MISSING_FIELD, format!("the {name} needs its database in \"$db\"")));
        }
        Some(other) => {
            return Err(Error::new(
                error_code::TYPE_MISMATCH,
                format!("the \"$db\" of the {name} is a string, not of type {}", other.kind().name()),
            ));
        }
    };
    sheaf_engine::validate_database_name(database)?;
    let shape = query_shape::shape(database, name, query).ok_or_else(not_a_query)?;
    Ok((query_shape::hash(shape.as_raw()), shape))
}

fn check_settings(settings: RawDocument<'_>) -> Result<()> {
    let arguments = Arguments::new("settings", settings)?;
    let framework = arguments.string("queryFramework")?;
    if framework.is_some_and(|name| !matches!(name, "classic" | "sbe")) {
        return Err(Error::new(BAD_VALUE, "settings.queryFramework is \"classic\" or \"sbe\""));
    }
    let reject = match arguments.value("reject") {
        None => None,
        Some(ValueRef::Boolean(reject)) => Some(reject),
        Some(other) => return Err(arguments.wrong_type("reject", other, "a boolean")),
    };
    let hints = match arguments.present("indexHints") {
        None => Vec::new(),
        Some(ValueRef::Document(only)) => vec![only],
        Some(_) => arguments.documents("indexHints")?.unwrap_or_default(),
    };
    arguments.ignore(&["comment"]);
    arguments.finish()?;
    for hint in &hints {
        check_hint(*hint)?;
    }
    if framework.is_none() && reject.is_none() && hints.is_empty() {
        return Err(Error::new(NO_SETTINGS, "settings must set something"));
    }
    Ok(())
}

fn check_hint(hint: RawDocument<'_>) -> Result<()> {
    let arguments = Arguments::new("settings.indexHints", hint)?;
    let target = arguments.required("ns", arguments.document("ns")?)?;
    let target = Arguments::new("settings.indexHints.ns", target)?;
    for field in ["db", "coll"] {
        target.required(field, target.string(field)?)?;
    }
    target.finish()?;
    let allowed = arguments.required("allowedIndexes", arguments.array("allowedIndexes")?)?;
    arguments.finish()?;
    let wrong = allowed.iter().find(|index| !matches!(index, ValueRef::String(_) | ValueRef::Document(_)));
    match wrong {
        None => Ok(()),
        Some(other) => Err(Error::new(
            FAILED_TO_PARSE,
            format!("an allowed index is a name or a key pattern, not of type {}", other.kind().name()),
        )),
    }
}

/// What was set before, with what is set now in its place.
fn merged(before: Option<RawDocument<'_>>, given: RawDocument<'_>) -> RawDocumentBuf {
    let mut out = DocumentBuilder::new();
    for element in before.unwrap_or(RawDocument::EMPTY) {
        if given.get(element.key()).is_none() {
            out.append_element(element);
        }
    }
    for element in given {
        out.append_element(element);
    }
    out.build()
}
