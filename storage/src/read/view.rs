//! What a reader reads from: the memtables and the version of one moment.

use std::sync::{Arc, PoisonError};

use crate::blob::BlobReference;
use crate::entry::ValueKind;
use crate::error::{Error, Result};
use crate::expiry::Expiry;
use crate::manifest::VersionRef;
use crate::memtable::Memtable;
use crate::sstable::block_file::Caching;
use crate::sync::referenced;
use crate::value_slice::ValueSlice;

/// The data of a tablet at one moment. Holding it keeps every file and memtable in it alive.
#[derive(Clone)]
pub struct ReadView {
    /// The active memtable, then the sealed ones, newest first.
    pub memtables: Vec<Arc<Memtable>>,
    /// The files.
    pub version: VersionRef,
    /// What has expired for whom.
    pub expiry: Arc<Expiry>,
}

/// Keeps a view, and with it what can be read through it.
pub type ViewRef = referenced::Arc<ReadView>;

/// What a tablet's readers read from now. Replaced whole; who has got it keeps what he has got.
pub struct CurrentView(referenced::RwLock<ViewRef>);

impl CurrentView {
    /// This one first.
    pub fn new(view: ReadView) -> CurrentView {
        CurrentView(referenced::RwLock::new(ViewRef::new(view)))
    }

    /// The one of now.
    pub fn get(&self) -> ViewRef {
        ViewRef::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts a changed one in its place.
    pub fn change(&self, change: impl FnOnce(&mut ReadView)) {
        let mut view = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = (**view).clone();
        change(&mut next);
        *view = ViewRef::new(next);
    }
}

impl ReadView {
    /// The value an entry stands for: `value` itself, or what it refers to.
    pub fn resolve(&self, kind: ValueKind, value: ValueSlice) -> Result<ValueSlice> {
        if kind == ValueKind::BlobHandle { self.read_blob(&value) } else { Ok(value) }
    }

    /// The value behind an encoded reference.
    pub fn read_blob(&self, reference: &[u8]) -> Result<ValueSlice> {
        let damaged =
            |what: String| Err(Error::Corruption { file: "blob reference".into(), offset: 0, detail: what });
        let Some(reference) = BlobReference::decode(reference) else {
            return damaged("an sstable holds a blob reference of another form".into());
        };
        let Some(blob) = self.version.blobs.get(&reference.file_id) else {
            return damaged(format!(
                "an sstable refers to blob file {}, which is not there",
                reference.file_id
            ));
        };
        blob.reader()?.get(&reference, Caching::Through)
    }
}
