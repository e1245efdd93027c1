//! Checking that a collection is sound.

use sheaf_document::RawDocumentBuf;

/// What was found when all documents of a collection and all entries of its indexes were read and compared.
#[derive(Clone, Debug, Default)]
pub struct ValidationReport {
    /// Documents, damaged ones included.
    pub documents: u64,
    /// Documents whose bytes are damaged, or that do not stand under their own key.
    pub invalid_documents: u64,
    /// Documents that the collection's validator would not let in.
    pub non_compliant_documents: u64,
    /// The first of the damaged ones: `{key: binary, reason: string}`.
    pub corrupt: Vec<RawDocumentBuf>,
    /// The indexes, in the order of the catalog.
    pub indexes: Vec<IndexReport>,
}

/// What was found about one index.
#[derive(Clone, Debug, Default)]
pub struct IndexReport {
    /// Its name.
    pub name: String,
    /// Its specification, as it is listed.
    pub specification: RawDocumentBuf,
    /// Its entries; of the index on `_id`, which has none of its own, the documents.
    pub keys: u64,
    /// Entries that documents should have and have not.
    pub missing: u64,
    /// Entries that no document has.
    pub extra: u64,
    /// Whether documents have arrays that the index does not know of.
    pub has_unknown_arrays: bool,
    /// Whether it was created in a format that gave it no entries, and waits to be built.
    pub is_unfilled: bool,
    /// The first of the missing: `{indexName, documentKey: binary, indexKey: binary}`, with `idKey` where it is known.
    pub missing_entries: Vec<RawDocumentBuf>,
    /// The first of the extra ones, in the same form.
    pub extra_entries: Vec<RawDocumentBuf>,
}

impl ValidationReport {
    /// Whether nothing is wrong.
    pub fn is_valid(&self) -> bool {
        self.invalid_documents == 0 && self.indexes.iter().all(IndexReport::is_valid)
    }
}

impl IndexReport {
    /// Whether nothing is wrong with it.
    pub fn is_valid(&self) -> bool {
        self.missing == 0 && self.extra == 0 && !self.has_unknown_arrays
    }
}
