//! `planCacheClear`, and the index filters: `planCacheSetFilter`, `planCacheListFilters`, `planCacheClearFilters`.
//!
//! A filter is kept and listed. The planner does not consult it: an index filter changes which plan is chosen, never
//! what a query answers.

use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, ValueRef};
use sheaf_engine::operation::CollectionKind;
use sheaf_engine::{Error, Namespace, Result, error_code};

use crate::arguments::{Arguments, BAD_VALUE};
use crate::request::Request;

/// The shape of a query and the indexes it may use.
#[derive(Clone, Debug)]
pub(crate) struct IndexFilter {
    query: RawDocumentBuf,
    sort: RawDocumentBuf,
    projection: RawDocumentBuf,
    collation: RawDocumentBuf,
    indexes: RawDocumentBuf,
}

fn refuse_views(request: &Request<'_>, namespace: &Namespace) -> Result<bool> {
    match crate::lookup::find(request, namespace)? {
        Some(info) if info.kind != CollectionKind::Collection => Err(Error::new(
            error_code::COMMAND_NOT_SUPPORTED_ON_VIEW,
            format!("{} does not work on {namespace}, which is a view", request.name),
        )),
        info => Ok(info.is_some()),
    }
}

/// Plans are made anew for every query, so there is nothing to forget.
pub(crate) fn clear(request: &Request<'_>) -> Result<DocumentBuilder> {
    let namespace = request.namespace()?;
    refuse_views(request, &namespace)?;
    check_shape(request, "planCacheClear")?;
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
    Ok(())
}

pub(crate) fn set_filter(request: &Request<'_>) -> Result<DocumentBuilder> {
    let arguments = &request.arguments;
    let namespace = request.namespace()?;
    let bad = |what: &str| Error::new(BAD_VALUE, format!("planCacheSetFilter.{what}"));
    let document = |key: &str, required: bool| match arguments.value(key) {
        None if !required => Ok(RawDocument::EMPTY),
        Some(ValueRef::Document(document)) => Ok(document),
        _ => Err(bad(&format!("{key} must be a document"))),
    };
    let query = document("query", true)?;
    let (sort, projection) = (document("sort", false)?, document("projection", false)?);
    let collation = document("collation", false)?;
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
    check_query(query)?;
    if !collation.is_empty() {
        sheaf_language::Collation::parse(collation)?;
    }
    let filter = IndexFilter {
        query: query.to_buf(),
        sort: sort.to_buf(),
        projection: projection.to_buf(),
        collation: collation.to_buf(),
        indexes: RawDocumentBuf::from_bytes(indexes.as_bytes().to_vec())?,
    };
    let mut state = request.commands().state();
    let filters = state.index_filters.entry(namespace.to_string()).or_default();
    filters.retain(|known| !known.has_shape_of(&filter));
    filters.push(filter);
    Ok(DocumentBuilder::new())
}

fn check_query(query: RawDocument<'_>) -> Result<()> {
    sheaf_language::Filter::parse(query, &mut sheaf_language::expression::Scope::new())?;
    Ok(())
}

impl IndexFilter {
    fn has_shape_of(&self, other: &Self) -> bool {
        let names = |document: &RawDocumentBuf| -> Vec<String> {
            document.as_raw().iter().map(|element| element.key().to_owned()).collect()
        };
        names(&self.query) == names(&other.query)
            && self.sort == other.sort
            && self.projection == other.projection
            && self.collation == other.collation
    }

    fn write(&self, item: &mut DocumentBuilder) {
        item.append("query", self.query.as_raw());
        item.append("sort", self.sort.as_raw()).append("projection", self.projection.as_raw());
        if !self.collation.as_raw().is_empty() {
            item.append("collation", self.collation.as_raw());
        }
        item.append_ref("indexes", ValueRef::Array(self.indexes.as_raw_array()));
    }
}

pub(crate) fn list_filters(request: &Request<'_>) -> Result<DocumentBuilder> {
    let namespace = request.namespace()?;
    refuse_views(request, &namespace)?;
    let filters = request.commands().state().index_filters.get(&namespace.to_string()).cloned();
    let mut body = DocumentBuilder::new();
    body.array("filters", |list| {
        for filter in filters.iter().flatten() {
            list.document(|item| filter.write(item));
        }
    });
    Ok(body)
}

pub(crate) fn clear_filters(request: &Request<'_>) -> Result<DocumentBuilder> {
    let arguments = &request.arguments;
    let namespace = request.namespace()?;
    refuse_views(request, &namespace)?;
    check_shape(request, "planCacheClearFilters")?;
    let shape = read_shape(arguments);
    let mut state = request.commands().state();
    match shape {
        None => {
            state.index_filters.remove(&namespace.to_string());
        }
        Some(shape) => {
            if let Some(filters) = state.index_filters.get_mut(&namespace.to_string()) {
                filters.retain(|known| !known.has_shape_of(&shape));
            }
        }
    }
    Ok(DocumentBuilder::new())
}

/// The shape whose filters are cleared; nothing if it is all of them.
fn read_shape(arguments: &Arguments<'_>) -> Option<IndexFilter> {
    let document = |key: &str| {
        let document = arguments.value(key).and_then(ValueRef::as_document);
        document.map_or_else(RawDocumentBuf::new, RawDocument::to_buf)
    };
    arguments.value("query").map(|_| IndexFilter {
        query: document("query"),
        sort: document("sort"),
        projection: document("projection"),
        collation: document("collation"),
        indexes: RawDocumentBuf::new(),
    })
}
