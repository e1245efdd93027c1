//! `planCacheClear`, and the index filters: `planCacheSetFilter`, `planCacheListFilters`, `planCacheClearFilters`.
//!
//! A filter goes by the shape of a query and says which indexes the planner may use for it. It changes which plan is
//! chosen, never what a query answers.

use sheaf_document::{DocumentBuilder, RawDocument, ValueRef};
use sheaf_engine::operation::CollectionKind;
use sheaf_engine::{Error, Namespace, QueryShape, Result, error_code};

use crate::arguments::{Arguments, BAD_VALUE};
use crate::request::Request;

fn refuse_views(request: &Request<'_>, namespace: &Namespace) -> Result<bool> {
    match crate::lookup::find(request, namespace)? {
        Some(info) if info.kind != CollectionKind::Collection => Err(Error::new(
            error_code::COMMAND_NOT_SUPPORTED_ON_VIEW,
            format!("{} does not work on {namespace}, which is a view", request.name),
        )),
        info => Ok(info.is_some()),
    }
}

/// Forgets what was chosen for a shape, or for all.
pub(crate) fn clear(request: &Request<'_>) -> Result<DocumentBuilder> {
    let namespace = request.namespace()?;
    if refuse_views(request, &namespace)? {
        check_shape(request, "planCacheClear")?;
        let shape = read_shape(&request.arguments);
        request.session.engine().clear_plan_cache(&namespace, shape.as_ref())?;
    }
    Ok(DocumentBuilder::new())
}

fn check_shape(request: &Request<'_>, name: &str) -> Result<()> {
    let arguments = &request.arguments;
    let has = |key: &str| arguments.value(key).is_some();
    let (query, sort, projection, collation) =
        (has("query"), has("sort"), has("projection"), has("collation"));
    if !query && (sort || projection || collation) {
        return Err(Error::new(
            BAD_VALUE,
            format!("{name} takes sort, projection and collation only with a query"),
        ));
    }
    for key in ["query", "sort", "projection", "collation"] {
        if !matches!(arguments.value(key), None | Some(ValueRef::Document(_) | ValueRef::Array(_))) {
            return Err(Error::new(BAD_VALUE, format!("{name}.{key} must be a document")));
        }
    }
    Ok(())
}

pub(crate) fn set_filter(request: &Request<'_>) -> Result<DocumentBuilder> {
    let arguments = &request.arguments;
    let namespace = request.namespace()?;
    let bad = |what: &str| Error::new(BAD_VALUE, format!("planCacheSetFilter.{what}"));
    let document = |key: &str, required: bool| match arguments.value(key) {
        None if !required => Ok(RawDocument::EMPTY),
        Some(ValueRef::Document(document)) => Ok(document),
        // An array is a document whose fields are numbered.
        Some(ValueRef::Array(array)) => Ok(RawDocument::from_bytes(array.as_bytes())?),
        _ => Err(bad(&format!("{key} must be a document"))),
    };
    let query = document("query", true)?;
    let (sort, projection) = (document("sort", false)?, document("projection", false)?);
    let collation = document("collation", false)?;
    if collation.is_empty() && arguments.value("collation").is_some() {
        return Err(bad("collation must not be empty"));
    }
    let Some(ValueRef::Array(indexes)) = arguments.value("indexes") else {
        return Err(bad("indexes must be an array"));
    };
    if indexes.is_empty() {
        return Err(bad("indexes must not be empty"));
    }
    for index in indexes.iter() {
        match index {
            ValueRef::Document(key) if !key.is_empty() => {
                sheaf_engine::catalog::IndexKeyPattern::parse(key).map_err(|error| bad(&error.message))?;
            }
            ValueRef::String(name) if !name.is_empty() => {}
            _ => return Err(bad("indexes must hold key patterns or names")),
        }
    }
    if !refuse_views(request, &namespace)? {
        return Err(Error::new(BAD_VALUE, format!("there is no collection {namespace}")));
    }
    let shape = QueryShape { query, sort, projection, collation };
    request.session.engine().set_index_filter(&namespace, &shape, indexes)?;
    Ok(DocumentBuilder::new())
}

pub(crate) fn list_filters(request: &Request<'_>) -> Result<DocumentBuilder> {
    let namespace = request.namespace()?;
    refuse_views(request, &namespace)?;
    let mut body = DocumentBuilder::new();
    body.array("filters", |list| {
        for filter in request.session.engine().index_filters(&namespace) {
            list.push_ref(ValueRef::Document(filter.as_raw()));
        }
    });
    Ok(body)
}

pub(crate) fn clear_filters(request: &Request<'_>) -> Result<DocumentBuilder> {
    let namespace = request.namespace()?;
    if refuse_views(request, &namespace)? {
        check_shape(request, "planCacheClearFilters")?;
        let shape = read_shape(&request.arguments);
        request.session.engine().clear_index_filters(&namespace, shape.as_ref())?;
    }
    Ok(DocumentBuilder::new())
}

/// The shape whose filter or plan is cleared; nothing if it is all of them.
fn read_shape<'a>(arguments: &Arguments<'a>) -> Option<QueryShape<'a>> {
    let document =
        |key: &str| arguments.value(key).and_then(ValueRef::as_document).unwrap_or(RawDocument::EMPTY);
    arguments.value("query").map(|_| QueryShape {
        query: document("query"),
        sort: document("sort"),
        projection: document("projection"),
        collation: document("collation"),
    })
}
