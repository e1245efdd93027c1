//! A query as the planner reads it: everything parsed, names resolved.

use std::sync::{Arc, Mutex, PoisonError};

use sheaf_document::{Collate, RawDocument, RawDocumentBuf, ValueRef};
use sheaf_language::expression::{Environment, Expression, MetadataSet, Scope};
use sheaf_language::projection::ProjectionKind;
use sheaf_language::{Collation, Filter, Projection, SortSpec};

use super::index_filter::AllowedIndexes;
use crate::catalog::{Collection, IndexFieldKind};
use crate::operation::{CommonOptions, Hint};
use crate::plan::ScanDirection;
use crate::{Error, Result, error_code};

/// A parsed query on one collection.
pub(crate) struct Query {
    pub(crate) filter: Arc<Filter>,
    pub(crate) sort: Option<Arc<SortSpec>>,
    pub(crate) projection: Option<Arc<Projection>>,
    pub(crate) skip: u64,
    pub(crate) limit: Option<u64>,
    pub(crate) hint: HintChoice,
    pub(crate) collation: QueryCollation,
    /// What it asks of the index it uses.
    pub(crate) index: IndexRequest,
    /// The indexes it may use; any if there is no filter for it.
    pub(crate) allowed: Option<AllowedIndexes>,
    /// The index that was chosen for it.
    pub(crate) preferred: Preferred,
    /// As it was written, where that is asked for: collections with several indexes.
    pub(crate) written: Option<RawDocumentBuf>,
    /// Names for further expressions of the same operation.
    pub(crate) scope: Scope,
}

/// The name of an index that is to be used before others. It is chosen when the query is planned, which may be again and
/// again, so a shared query can be told.
#[derive(Debug, Default)]
pub(crate) struct Preferred(Mutex<Option<String>>);

impl Preferred {
    /// The name.
    pub(crate) fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets it, or takes it away.
    pub(crate) fn set(&self, name: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = name;
    }
}

/// What a find may ask of the index it uses, as it was given.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct IndexOptions<'a> {
    /// Where the scan of the hinted index begins, inclusive.
    pub(crate) min: Option<RawDocument<'a>>,
    /// Where it ends, exclusive.
    pub(crate) max: Option<RawDocument<'a>>,
    /// The keys instead of the documents.
    pub(crate) return_key: bool,
    /// The identity of each document beside it.
    pub(crate) show_record_id: bool,
}

/// The same, checked.
#[derive(Clone, Debug, Default)]
pub(crate) struct IndexRequest {
    pub(crate) min: Option<RawDocumentBuf>,
    pub(crate) max: Option<RawDocumentBuf>,
    pub(crate) return_key: bool,
    pub(crate) show_record_id: bool,
    /// Whether rows have to know their key in the index, for `return_key` or `$meta`.
    pub(crate) needs_key: bool,
    /// Whether the projection has to know the identities of documents.
    pub(crate) needs_record_id: bool,
}

/// Code of a `min` and a `max` over different fields.
const BOUNDS_DIFFER: i32 = 51_176;

impl IndexRequest {
    fn new(options: &QueryOptions<'_>) -> Result<Self> {
        let IndexOptions { min, max, return_key, show_record_id } = options.index;
        if let (Some(min), Some(max)) = (min, max)
            && !min.iter().map(|element| element.key()).eq(max.iter().map(|element| element.key()))
        {
            return Err(Error::location(BOUNDS_DIFFER, "min and max must have the same fields"));
        }
        let mentions = |name| options.projection.is_some_and(|projection| asks_for_meta(projection, name));
        Ok(Self {
            min: min.map(RawDocument::to_buf),
            max: max.map(RawDocument::to_buf),
            return_key,
            show_record_id,
            needs_key: return_key || mentions("indexKey"),
            needs_record_id: mentions("recordId"),
        })
    }

    /// Whether the scan has bounds of its own.
    pub(crate) fn has_bounds(&self) -> bool {
        self.min.is_some() || self.max.is_some()
    }
}

/// Whether a projection has `{$meta: name}` in it.
fn asks_for_meta(projection: RawDocument<'_>, name: &str) -> bool {
    projection.iter().any(|element| match element.value() {
        ValueRef::String(text) => element.key() == "$meta" && text == name,
        ValueRef::Document(nested) => asks_for_meta(nested, name),
        ValueRef::Array(items) => {
            items.iter().filter_map(ValueRef::as_document).any(|nested| asks_for_meta(nested, name))
        }
        _ => false,
    })
}

/// How strings compare in a query.
#[derive(Clone, Default)]
pub(crate) struct QueryCollation {
    /// With every field filled in; none for binary order. Two collations are the same if these are.
    pub(crate) document: Option<RawDocumentBuf>,
    pub(crate) collator: Option<Arc<dyn Collate>>,
}

/// What a hint (or `$natural`) asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HintChoice {
    /// Nothing.
    None,
    /// A collection scan this way.
    Natural(ScanDirection),
    /// The index of this name, which exists.
    Index(String),
}

/// The documents a query is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueryOptions<'a> {
    pub(crate) filter: RawDocument<'a>,
    pub(crate) sort: Option<RawDocument<'a>>,
    pub(crate) projection: Option<RawDocument<'a>>,
    pub(crate) skip: u64,
    pub(crate) limit: Option<u64>,
    pub(crate) hint: Option<Hint<'a>>,
    pub(crate) index: IndexOptions<'a>,
    pub(crate) common: CommonOptions<'a>,
    /// Whether `$$NOW` and its kind are known: not to every command.
    pub(crate) has_runtime_constants: bool,
}

impl<'a> QueryOptions<'a> {
    /// The documents that match a filter.
    pub(crate) fn new(filter: RawDocument<'a>, hint: Option<Hint<'a>>, common: CommonOptions<'a>) -> Self {
        Self {
            filter,
            sort: None,
            projection: None,
            skip: 0,
            limit: None,
            hint,
            index: IndexOptions::default(),
            common,
            has_runtime_constants: true,
        }
    }
}

impl Query {
    /// Parses a query. `collection` is none where it does not exist: everything is checked all the same.
    pub(crate) fn parse(options: &QueryOptions<'_>, collection: Option<&Collection>) -> Result<Self> {
        let collation = QueryCollation::parse(options.common.collation, collection)?;
        let mut scope = Scope::new();
        scope.set_collator(collation.collator.clone());
        if !options.has_runtime_constants {
            scope.forbid_runtime_constants();
        }
        define_variables(&mut scope, options.common.let_variables)?;
        let mut filter = Filter::parse(options.filter, &mut scope)?;
        bind_text(&mut filter, collection)?;
        let filter = Arc::new(filter);
        let mut hint = parse_hint(options.hint, collection)?;
        let mut sort = None;
        if let Some(document) = options.sort.filter(|document| !document.is_empty()) {
            match natural(document)? {
                Some(direction) => match hint {
                    HintChoice::None => hint = HintChoice::Natural(direction),
                    HintChoice::Natural(_) | HintChoice::Index(_) => {
                        return Err(Error::new(
                            error_code::BAD_VALUE,
                            "a sort by $natural and a hint exclude each other",
                        ));
                    }
                },
                None => sort = Some(Arc::new(SortSpec::parse(document, &mut scope)?)),
            }
        }
        let projection = match options.projection.filter(|document| !document.is_empty()) {
            Some(document) => Some(Arc::new(Projection::parse(document, ProjectionKind::Find, &mut scope)?)),
            None => None,
        };
        let mut given = MetadataSet::default();
        if filter.text().is_some() {
            given.insert(MetadataSet::TEXT);
        }
        if filter.near().is_some() {
            given.insert(MetadataSet::DISTANCE);
        }
        scope.metadata.check_given(given)?;
        let limit = options.limit.filter(|limit| *limit > 0);
        let index = IndexRequest::new(options)?;
        let (skip, allowed) = (options.skip, None);
        let has_several = collection.is_some_and(super::may_compete);
        let written = has_several.then(|| {
            super::written(options.filter, options.sort, options.projection, options.common.collation)
        });
        let preferred = Preferred::default();
        let mut query = Self {
            filter,
            sort,
            projection,
            skip,
            limit,
            hint,
            collation,
            index,
            allowed,
            preferred,
            written,
            scope,
        };
        if let Some(collection) = collection {
            query.consult_filters(collection, options.projection);
        }
        Ok(query)
    }

    /// Looks whether an index filter is about this query; a hint means nothing then.
    pub(super) fn consult_filters(&mut self, collection: &Collection, projection: Option<RawDocument<'_>>) {
        if self.index.has_bounds() {
            return;
        }
        let filters = &collection.index_filters;
        self.allowed = filters.allowed(&self.filter, self.sort.as_deref(), projection, &self.collation);
        if self.allowed.is_some() && matches!(self.hint, HintChoice::Index(_)) {
            self.hint = HintChoice::None;
        }
    }

    /// What is left of it without the values it asks for.
    pub(crate) fn shape(&self) -> String {
        let projection = self.written.as_ref().and_then(|written| written.as_raw().get("projection"));
        let projection = projection.and_then(ValueRef::as_document);
        super::index_filter::shape(&self.filter, self.sort.as_deref(), projection, &self.collation)
    }

    /// How strings compare.
    pub(crate) fn collate(&self) -> Option<&dyn Collate> {
        self.collation.collator.as_deref()
    }
}

impl QueryCollation {
    /// The operation's collation, else the collection's.
    pub(crate) fn parse(given: Option<RawDocument<'_>>, collection: Option<&Collection>) -> Result<Self> {
        match given.filter(|document| !document.is_empty()) {
            Some(document) => {
                let collation = Collation::parse(document)?;
                let document = (!collation.is_simple()).then(|| collation.to_document());
                Ok(Self { document, collator: collation.shared() })
            }
            None => Ok(collection.map(Self::of_collection).unwrap_or_default()),
        }
    }

    fn of_collection(collection: &Collection) -> Self {
        Self { document: collection.options.collation.clone(), collator: collection.collator.clone() }
    }
}

/// Defines the variables of an operation's `let`; their values are constant expressions.
fn define_variables(scope: &mut Scope, variables: Option<RawDocument<'_>>) -> Result<()> {
    let Some(variables) = variables else { return Ok(()) };
    for element in variables {
        sheaf_language::expression::check_user_variable(element.key())?;
        let expression = Expression::parse(element.value(), scope)?;
        let value = expression.evaluate(RawDocument::EMPTY, &mut Environment::new(0, 0))?.into_owned();
        scope.define_constant(element.key(), value);
    }
    Ok(())
}

/// `{$natural: 1}` or `{$natural: -1}`; none if the document says something else.
fn natural(document: RawDocument<'_>) -> Result<Option<ScanDirection>> {
    let Some(value) = document.get("$natural") else { return Ok(None) };
    let direction = match value {
        ValueRef::Int32(1) | ValueRef::Int64(1) => Some(ScanDirection::Forward),
        ValueRef::Int32(-1) | ValueRef::Int64(-1) => Some(ScanDirection::Backward),
        ValueRef::Double(1.0) => Some(ScanDirection::Forward),
        ValueRef::Double(-1.0) => Some(ScanDirection::Backward),
        _ => None,
    };
    let alone = document.iter().nth(1).is_none();
    match direction.filter(|_| alone) {
        Some(direction) => Ok(Some(direction)),
        None => Err(Error::new(error_code::BAD_VALUE, "$natural must stand alone and be 1 or -1")),
    }
}

/// Tells a text search which fields it is about: those of the collection's text index.
pub(super) fn bind_text(filter: &mut Filter, collection: Option<&Collection>) -> Result<()> {
    let (Some(_), Some(collection)) = (filter.text(), collection) else { return Ok(()) };
    let index = collection.indexes.iter().find(|index| index.specification.has_kind(IndexFieldKind::Text));
    let Some(index) = index else {
        return Err(Error::new(
            error_code::INDEX_NOT_FOUND,
            format!("$text needs a text index, and {} has none", collection.namespace),
        ));
    };
    let text = crate::catalog::text_index(index.specification.kind_options.as_raw())?;
    filter.bind_text(&Arc::new(text));
    Ok(())
}

fn parse_hint(hint: Option<Hint<'_>>, collection: Option<&Collection>) -> Result<HintChoice> {
    let Some(hint) = hint else { return Ok(HintChoice::None) };
    if let Hint::KeyPattern(document) = hint {
        if document.is_empty() {
            return Ok(HintChoice::None);
        }
        if let Some(direction) = natural(document)? {
            return Ok(HintChoice::Natural(direction));
        }
    }
    // Without a collection there is nothing to scan and no index to miss.
    let Some(collection) = collection else { return Ok(HintChoice::None) };
    let found = match hint {
        Hint::Name(name) => collection.index_named(name),
        Hint::KeyPattern(key) => collection.indexes.iter().find(|index| crate::catalog::same_key(index, key)),
    };
    match found {
        Some(index) => Ok(HintChoice::Index(index.specification.name.clone())),
        None => Err(Error::new(
            error_code::BAD_VALUE,
            format!("the hint {hint:?} names no index of {}", collection.namespace),
        )),
    }
}
