//! Indexes: which entries a document has, and how an entry is written and read.

pub(crate) mod entry;
mod geo;
pub(crate) mod keys;
mod multikey;

pub(crate) use multikey::Multikey;

use std::sync::Arc;

use sheaf_document::{Collate, RawDocument};
use sheaf_language::expression::{Environment, Scope};
use sheaf_language::filter::Filter;
use sheaf_language::filter::path::FieldPath;

use crate::Result;
use crate::catalog::{IndexField, IndexFieldKind, IndexSpecification};
use crate::key_layout::IndexId;

/// An index as the catalog holds it: what it is, compiled, and the one thing about it that changes: which paths
/// led through arrays.
pub(crate) struct Index {
    /// Identity in keys.
    pub(crate) id: IndexId,
    /// What it was created with.
    pub(crate) specification: IndexSpecification,
    /// The paths of its key, split.
    pub(crate) paths: Vec<KeyPath>,
    /// Which documents it has; all if there is none.
    pub(crate) partial_filter: Option<Filter>,
    /// How strings compare in it.
    pub(crate) collator: Option<Arc<dyn Collate>>,
    /// Which paths led through arrays. Only ever grows, and grows before the entries are committed, so that whoever
    /// takes a snapshot first and looks here then never believes too little.
    pub(crate) multikey: Multikey,
}

/// A field of an index key.
#[derive(Clone, Debug)]
pub(crate) struct KeyPath {
    /// The path.
    pub(crate) path: FieldPath,
    /// Whether its values are stored inverted.
    pub(crate) descending: bool,
    /// Whether its values are stored as hashes.
    pub(crate) hashed: bool,
}

impl KeyPath {
    fn new(field: &IndexField) -> Self {
        Self {
            path: FieldPath::parse(&field.path),
            descending: field.is_descending(),
            hashed: field.kind == IndexFieldKind::Hashed,
        }
    }
}

impl Index {
    /// Compiles a specification.
    pub(crate) fn new(id: IndexId, specification: IndexSpecification) -> Result<Self> {
        let paths = if specification.has_entries() {
            specification.key.fields().iter().map(KeyPath::new).collect()
        } else {
            Vec::new()
        };
        let collator = crate::catalog::collator(specification.collation.as_ref())?;
        let mut scope = Scope::new();
        scope.set_collator(collator.clone());
        let partial_filter = match &specification.partial_filter {
            Some(filter) => Some(Filter::parse(filter.as_raw(), &mut scope)?),
            None => None,
        };
        let multikey = Multikey::new(paths.len());
        Ok(Self { id, specification, paths, partial_filter, collator, multikey })
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
