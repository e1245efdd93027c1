//! What a reader reads from: the memtables and the version of one moment.

use std::sync::Arc;

use crate::blob::BlobReference;
use crate::entry::ValueKind;
use crate::error::{Error, Result};
use crate::expiry::Expiry;
use crate::manifest::Version;
use crate::memtable::Memtable;
use crate::sstable::block_file::Caching;
use crate::value_slice::ValueSlice;

/// The data of a tablet at one moment. Holding it keeps every file and memtable in it alive.
#[derive(Clone)]
pub struct ReadView {
    /// The active memtable, then the sealed ones, newest first.
    pub memtables: Vec<Arc<Memtable>>,
    /// The files.
    pub version: Arc<Version>,
    /// What has expired for whom.
    pub expiry: Arc<Expiry>,
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
