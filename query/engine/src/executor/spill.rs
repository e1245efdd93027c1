//! Sorted runs on disk: where a sort goes that has more rows than memory.
//!
//! A run is a file of BSON documents, one per row, in the order of the sort: `{k: [sort key], i: document key,
//! d: document}`, and `t`, `g` where the row has a text score or a distance. The file's name is removed as soon as it
//! is open, so the bytes go with the last handle, whatever becomes of the process. Nothing of it is ever synced.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sheaf_document::{DocumentBuilder, RawDocument, Value, ValueRef};
use sheaf_storage::Scratch;
use sheaf_storage::vfs::{Vfs, VfsFile};

use super::{Row, RowDocument};
use crate::{Error, Result, error_code};

/// Bytes that are written, and read, at once.
const BUFFER_BYTES: usize = 256 << 10;

/// Where runs are put.
#[derive(Debug)]
pub(crate) struct SpillSpace {
    vfs: Arc<dyn Vfs>,
    directory: PathBuf,
    /// Whether what is written is encrypted, as everything else of the database is.
    encrypted: bool,
    runs: AtomicU64,
}

/// A row with its sort key.
pub(super) struct KeyedRow {
    pub(super) key: Vec<Value<'static>>,
    pub(super) row: Row,
}

/// A run that is being read.
pub(super) struct Run {
    file: Arc<dyn VfsFile>,
    /// Where the bytes behind `buffer` are.
    offset: u64,
    buffer: Vec<u8>,
    /// How much of `buffer` was taken.
    taken: usize,
}

impl SpillSpace {
    pub(crate) fn new(vfs: Arc<dyn Vfs>, directory: PathBuf, encrypted: bool) -> Self {
        Self { vfs, directory, encrypted, runs: AtomicU64::new(0) }
    }

    fn create(&self) -> Result<Arc<dyn VfsFile>> {
        let number = self.runs.fetch_add(1, Ordering::Relaxed);
        let path = self.directory.join(format!("{number:016x}.run"));
        let failed = |error| failure("create", &error);
        self.vfs.create_dir(&self.directory).map_err(failed)?;
        // A name from before a crash is in the way of nobody.
        let file = match self.vfs.create(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                self.vfs.remove(&path).map_err(failed)?;
                self.vfs.create(&path).map_err(failed)?
            }
            other => other.map_err(failed)?,
        };
        self.vfs.remove(&path).map_err(failed)?;
        if self.encrypted {
            return Ok(Arc::new(Scratch::over(&*self.vfs, file).map_err(failed)?));
        }
        Ok(file)
    }

    /// Writes rows that are in order.
    pub(super) fn write(&self, rows: impl Iterator<Item = KeyedRow>) -> Result<Run> {
        let file = self.create()?;
        let mut buffer = Vec::with_capacity(BUFFER_BYTES);
        for keyed in rows {
            buffer.extend_from_slice(encode(&keyed)?.as_bytes());
            if buffer.len() >= BUFFER_BYTES {
                file.append(&buffer).map_err(|error| failure("write", &error))?;
                buffer.clear();
            }
        }
        file.append(&buffer).map_err(|error| failure("write", &error))?;
        Ok(Run { file, offset: 0, buffer: Vec::new(), taken: 0 })
    }
}

fn failure(what: &str, error: &std::io::Error) -> Error {
    let code = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => error_code::OUT_OF_DISK_SPACE,
        _ => error_code::FILE_STREAM_FAILED,
    };
    Error::new(code, format!("cannot {what} a temporary file for a sort: {error}"))
}

fn encode(keyed: &KeyedRow) -> Result<sheaf_document::RawDocumentBuf> {
    let document = keyed.row.document()?;
    let mut out = DocumentBuilder::with_capacity(document.len_bytes() + 128);
    out.array("k", |key| {
        for value in &keyed.key {
            key.push_value(value);
        }
    });
    out.append("i", Value::Binary { subtype: 0, bytes: keyed.row.document_key.as_slice().into() });
    if let Some(metadata) = &keyed.row.metadata {
        for (name, number) in [("t", metadata.text_score), ("g", metadata.geo_distance)] {
            if let Some(number) = number {
                out.append(name, number);
            }
        }
    }
    out.append_ref("d", ValueRef::Document(document));
    Ok(out.build())
}

impl Run {
    /// The next row.
    pub(super) fn next(&mut self) -> Result<Option<KeyedRow>> {
        let Some(len) = self.ensure(4)?.and_then(|bytes| bytes.first_chunk::<4>()).copied() else {
            return Ok(None);
        };
        let len = usize::try_from(i32::from_le_bytes(len)).unwrap_or(0);
        let row = match self.ensure(len)?.map(RawDocument::from_bytes) {
            Some(Ok(record)) => decode(record),
            _ => None,
        };
        self.taken += len;
        row.map(Some).ok_or_else(|| {
            Error::new(
                error_code::DATA_CORRUPTION_DETECTED,
                "a temporary file of a sort is not what was written",
            )
        })
    }

    /// The next `len` bytes, read in if need be; none at the end of the file.
    fn ensure(&mut self, len: usize) -> Result<Option<&[u8]>> {
        while self.buffer.len() - self.taken < len {
            self.buffer.drain(..self.taken);
            self.taken = 0;
            let before = self.buffer.len();
            self.buffer.resize(before + BUFFER_BYTES, 0);
            let space = self.buffer.get_mut(before..).unwrap_or_default();
            let read = self.file.read_at(self.offset, space).map_err(|error| failure("read", &error))?;
            self.buffer.truncate(before + read);
            self.offset += u64::try_from(read).unwrap_or(0);
            if read == 0 {
                return Ok(None);
            }
        }
        Ok(self.buffer.get(self.taken..self.taken + len))
    }
}

fn decode(record: RawDocument<'_>) -> Option<KeyedRow> {
    let key = record.get("k")?.as_array()?.iter().map(|value| Value::from(value).into_owned()).collect();
    let ValueRef::Binary(document_key) = record.get("i")? else { return None };
    let mut row = Row::entry(document_key.bytes.to_vec());
    for (name, is_score) in [("t", true), ("g", false)] {
        if let Some(ValueRef::Double(number)) = record.get(name) {
            let metadata = row.metadata.get_or_insert_default();
            if is_score {
                metadata.text_score = Some(number);
            } else {
                metadata.geo_distance = Some(number);
            }
        }
    }
    row.document = Some(RowDocument::Built(record.get("d")?.as_document()?.to_buf()));
    Some(KeyedRow { key, row })
}
