//! Indexes: which entries a document has, and how an entry is written and read.

mod cell;
pub(crate) mod entry;
pub(crate) mod geo;
pub(crate) mod keys;
mod multikey;
mod plane;
mod sphere;
pub(crate) mod text;
mod usage;
pub(crate) mod wildcard;

pub(crate) use multikey::Multikey;
pub(crate) use usage::IndexUsage;

use std::sync::Arc;

use sheaf_document::{Collate, RawDocument, RawDocumentBuf, ValueRef};
use sheaf_language::expression::{Environment, Scope};
use sheaf_language::filter::Filter;
use sheaf_language::filter::path::FieldPath;
use sheaf_language::text::TextIndex;

use crate::Result;
use crate::catalog::{IndexFieldKind, IndexSpecification, text_index};
use crate::key_layout::IndexId;
use plane::PlaneGrid;
use wildcard::WildcardScope;

/// An index as the catalog holds it: what it is, compiled, and the one thing about it that changes: which paths
/// led through arrays.
pub(crate) struct Index {
    /// Identity in keys.
    pub(crate) id: IndexId,
    /// What it was created with.
    pub(crate) specification: IndexSpecification,
    /// What the parts of its entries' keys are, in order.
    pub(crate) paths: Vec<KeyPath>,
    /// How entries come from a document.
    pub(crate) content: IndexContent,
    /// The range of an index on the plane.
    plane: Option<PlaneGrid>,
    /// Whether its entries were written. Those of text, geo and wildcard indexes were not in the first format: such an
    /// index serves no query until it is built again.
    pub(crate) is_filled: bool,
    /// Which documents it has; all if there is none.
    pub(crate) partial_filter: Option<Filter>,
    /// How strings compare in it.
    pub(crate) collator: Option<Arc<dyn Collate>>,
    /// Which paths led through arrays. Only ever grows, and grows before the entries are committed, so that whoever
    /// takes a snapshot first and looks here then never believes too little.
    pub(crate) multikey: Multikey,
    /// How often it was used. Shared by all successors of this value.
    pub(crate) usage: Arc<IndexUsage>,
}

/// How the entries of an index come from a document.
#[derive(Clone, Debug)]
pub(crate) enum IndexContent {
    /// From the values at its paths.
    Values,
    /// From those and the places at others.
    Places,
    /// From the words of its text.
    Terms(Arc<TextIndex>),
    /// From all values of the document, or those of a part of it.
    Paths(WildcardScope),
}

/// What a part of an entry's key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    /// The value at the path.
    Value,
    /// Its hash.
    Hashed,
    /// A cell of the plane that has a place at the path.
    PlaneCell,
    /// A cell of the sphere that touches a place at the path.
    SphereCell,
    /// A term of the document's text.
    Term,
    /// The path of a value, any that the wildcard stands for.
    WildcardPath,
    /// The value at that path.
    WildcardValue,
}

/// A part of an index key.
#[derive(Clone, Debug)]
pub(crate) struct KeyPath {
    /// The path.
    pub(crate) path: FieldPath,
    /// Whether its values are stored inverted.
    pub(crate) descending: bool,
    /// What is stored.
    pub(crate) kind: KeyKind,
}

/// The name under which plans show the paths of a wildcard index.
pub(crate) const WILDCARD_PATH: &str = "$_path";

/// The name of the second field that the key of a text index is kept with; entries have nothing for it.
const TEXT_WEIGHT_FIELD: &str = "_ftsx";

/// The parts of the entries' keys.
fn key_paths(specification: &IndexSpecification) -> Vec<KeyPath> {
    let is_text = specification.has_kind(IndexFieldKind::Text);
    let mut paths = Vec::new();
    for field in specification.key.fields() {
        let mut add = |path: &str, descending: bool, kind: KeyKind| {
            paths.push(KeyPath { path: FieldPath::parse(path), descending, kind });
        };
        match field.kind {
            IndexFieldKind::Ascending if is_text && field.path == TEXT_WEIGHT_FIELD => {}
            IndexFieldKind::Ascending | IndexFieldKind::Descending => {
                add(&field.path, field.is_descending(), KeyKind::Value);
            }
            IndexFieldKind::Hashed => add(&field.path, false, KeyKind::Hashed),
            IndexFieldKind::Text => add(&field.path, false, KeyKind::Term),
            IndexFieldKind::Sphere2d => add(&field.path, false, KeyKind::SphereCell),
            IndexFieldKind::Plane2d => add(&field.path, false, KeyKind::PlaneCell),
            IndexFieldKind::Wildcard { descending } => {
                add(WILDCARD_PATH, false, KeyKind::WildcardPath);
                add(&field.path, descending, KeyKind::WildcardValue);
            }
        }
    }
    paths
}

fn content(specification: &IndexSpecification) -> Result<IndexContent> {
    let has = |kind| specification.has_kind(kind);
    if has(IndexFieldKind::Text) {
        return Ok(IndexContent::Terms(Arc::new(text_index(specification.kind_options.as_raw())?)));
    }
    if has(IndexFieldKind::Plane2d) || has(IndexFieldKind::Sphere2d) {
        return Ok(IndexContent::Places);
    }
    let mut fields = specification.key.fields().iter();
    Ok(match fields.find(|field| matches!(field.kind, IndexFieldKind::Wildcard { .. })) {
        Some(field) => {
            let projection = specification.wildcard_projection.as_ref().map(RawDocumentBuf::as_raw);
            IndexContent::Paths(WildcardScope::new(&field.path, projection))
        }
        None => IndexContent::Values,
    })
}

impl Index {
    /// Compiles a specification of an index whose entries are written.
    pub(crate) fn new(id: IndexId, specification: IndexSpecification) -> Result<Self> {
        let paths = key_paths(&specification);
        let collator = crate::catalog::collator(specification.collation.as_ref())?;
        let mut scope = Scope::new();
        scope.set_collator(collator.clone());
        let partial_filter = match &specification.partial_filter {
            Some(filter) => Some(Filter::parse(filter.as_raw(), &mut scope)?),
            None => None,
        };
        let plane = match specification.has_kind(IndexFieldKind::Plane2d) {
            true => Some(PlaneGrid::new(specification.kind_options.as_raw())?),
            false => None,
        };
        let multikey = Multikey::new(paths.len());
        let content = content(&specification)?;
        let usage = Arc::new(IndexUsage::default());
        Ok(Self {
            id,
            specification,
            paths,
            content,
            plane,
            is_filled: true,
            partial_filter,
            collator,
            multikey,
            usage,
        })
    }

    /// Whether the index has entries.
    pub(crate) fn has_entries(&self) -> bool {
        self.is_filled
    }

    /// Whether documents without a place have no entry.
    fn is_geo_sparse(&self) -> bool {
        let version = self.specification.kind_options.as_raw().get("2dsphereIndexVersion");
        version != Some(ValueRef::Int32(1)) || self.specification.sparse
    }

    /// Where in the key the first part of this kind is.
    pub(crate) fn position_of(&self, kind: KeyKind) -> Option<usize> {
        self.paths.iter().position(|path| path.kind == kind)
    }

    /// Whether this is the index on `_id` whose entries are the documents themselves. In a capped collection documents
    /// are kept by position: there the index on `_id` has entries, and is unique by itself.
    pub(crate) fn is_primary(&self) -> bool {
        self.specification.key.is_id() && !self.specification.unique
    }

    /// How strings compare in it.
    pub(crate) fn collate(&self) -> Option<&dyn Collate> {
        self.collator.as_deref()
    }

    /// Whether the document belongs into it, sparseness aside.
    pub(crate) fn wants(&self, document: RawDocument<'_>) -> Result<bool> {
        match &self.partial_filter {
            Some(filter) => {
                let mut environment = Environment::new(0, 0);
                environment.collator.clone_from(&self.collator);
                Ok(filter.matches(document, &mut environment)?)
            }
            None => Ok(true),
        }
    }
}
