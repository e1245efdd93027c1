//! What flows between operators.

use sheaf_document::{RawDocument, RawDocumentBuf};
use sheaf_language::expression::Metadata;
use sheaf_storage::ValueSlice;

use crate::{Error, Result, error_code};

/// A document with what the plan knows about it.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// The document; none yet if the row comes from an index.
    pub(crate) document: Option<RowDocument>,
    /// The document key of the stored document it comes from; empty if it was made by a stage.
    pub(crate) document_key: Vec<u8>,
    /// The index entry it comes from, where that is asked for.
    pub(crate) entry: Option<Box<RowEntry>>,
    /// For `$meta`; boxed because most rows have none.
    pub(crate) metadata: Option<Box<Metadata>>,
}

/// The key and the value of an index entry.
#[derive(Clone, Debug)]
pub(crate) struct RowEntry {
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
}

/// A document as the store gave it, or as a stage made it.
#[derive(Clone, Debug)]
pub(crate) enum RowDocument {
    /// The stored bytes, shared with the store.
    Stored(ValueSlice),
    /// Made by a stage.
    Built(RawDocumentBuf),
}

impl Row {
    /// A stored document.
    pub(crate) fn stored(document: ValueSlice, document_key: Vec<u8>) -> Self {
        Self { document: Some(RowDocument::Stored(document)), document_key, entry: None, metadata: None }
    }

    /// An index entry without its document.
    pub(crate) fn entry(document_key: Vec<u8>) -> Self {
        Self { document: None, document_key, entry: None, metadata: None }
    }

    /// A document made by a stage.
    pub(crate) fn built(document: RawDocumentBuf) -> Self {
        Self {
            document: Some(RowDocument::Built(document)),
            document_key: Vec::new(),
            entry: None,
            metadata: None,
        }
    }

    /// The document.
    pub(crate) fn document(&self) -> Result<RawDocument<'_>> {
        match &self.document {
            Some(RowDocument::Stored(bytes)) => RawDocument::from_bytes(bytes).map_err(|error| {
                Error::new(
                    error_code::DATA_CORRUPTION_DETECTED,
                    format!("a stored document is damaged: {error}"),
                )
            }),
            Some(RowDocument::Built(document)) => Ok(document.as_raw()),
            None => Err(Error::internal("a row has no document where one is needed")),
        }
    }

    /// The same row for an operator that holds many of them: its document no longer keeps a whole block of the store in
    /// memory for a part of it, so that what it takes is what [`Row::memory_bytes`] says.
    pub(crate) fn held(mut self) -> Self {
        self.document = self.document.map(|document| match document {
            RowDocument::Stored(bytes) => RowDocument::Stored(bytes.detached()),
            built => built,
        });
        self
    }

    /// The document, for keeps.
    pub(crate) fn into_document(self) -> Result<RawDocumentBuf> {
        match self.document {
            Some(RowDocument::Built(document)) => Ok(document),
            _ => Ok(self.document()?.to_buf()),
        }
    }

    /// Bytes it holds in memory, about.
    pub(crate) fn memory_bytes(&self) -> usize {
        let document = match &self.document {
            Some(RowDocument::Stored(bytes)) => bytes.len(),
            Some(RowDocument::Built(document)) => document.as_bytes().len(),
            None => 0,
        };
        document + self.document_key.len() + size_of::<Self>()
    }
}
