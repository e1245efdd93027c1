//! Index filters: which indexes queries of a shape may use.

use sheaf_document::{DocumentBuilder, RawArray, RawDocument, RawDocumentBuf, ValueRef};

use super::Session;
use crate::catalog::Collection;
use crate::planner::ShapeDocuments;
use crate::{Namespace, Result};

/// A query whose shape an index filter is about. What is left out is empty.
#[derive(Clone, Copy, Debug)]
pub struct QueryShape<'a> {
    /// The filter of the query.
    pub query: RawDocument<'a>,
    /// Its sort.
    pub sort: RawDocument<'a>,
    /// Its projection.
    pub projection: RawDocument<'a>,
    /// Its collation.
    pub collation: RawDocument<'a>,
}

impl<'a> QueryShape<'a> {
    fn documents(&self) -> ShapeDocuments<'a> {
        let Self { query, sort, projection, collation } = *self;
        ShapeDocuments { query, sort, projection, collation }
    }

    /// The shape as text.
    pub(super) fn text(&self, collection: &Collection) -> Result<String> {
        self.documents().shape(collection)
    }
}

impl Session {
    /// Lets queries of a shape use these indexes only (names or key patterns), whatever their hints say, until the
    /// process ends or the filter is cleared.
    pub fn set_index_filter(
        &self,
        namespace: &Namespace,
        shape: &QueryShape<'_>,
        indexes: RawArray<'_>,
    ) -> Result<()> {
        let collection = self.database().catalog().get(namespace)?;
        let text = shape.documents().shape(&collection)?;
        let mut given = DocumentBuilder::new();
        given.append("query", shape.query).append("sort", shape.sort).append("projection", shape.projection);
        if !shape.collation.is_empty() {
            given.append("collation", shape.collation);
        }
        given.append_ref("indexes", ValueRef::Array(indexes));
        let indexes = RawDocumentBuf::from_bytes(indexes.as_bytes().to_vec())?;
        collection.plan_cache.clear(Some(&text));
        collection.index_filters.set(text, given.build(), indexes);
        Ok(())
    }

    /// The index filters of a collection as they were given: `{query, sort, projection, collation?, indexes}`.
    pub fn index_filters(&self, namespace: &Namespace) -> Vec<RawDocumentBuf> {
        let collection = self.database().catalog().find(namespace);
        collection.map_or_else(Vec::new, |collection| collection.index_filters.list())
    }

    /// Clears the index filter of a shape, or all of a collection.
    pub fn clear_index_filters(&self, namespace: &Namespace, shape: Option<&QueryShape<'_>>) -> Result<()> {
        let Some(collection) = self.database().catalog().find(namespace) else { return Ok(()) };
        let shape = shape.map(|shape| shape.documents().shape(&collection)).transpose()?;
        collection.plan_cache.clear(shape.as_deref());
        collection.index_filters.clear(shape.as_deref());
        Ok(())
    }
}
