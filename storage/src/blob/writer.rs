//! Writes a blob file: a header, then one sealed record per value.

use std::path::PathBuf;
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3Default;

use crate::blob::{
    BLOB_FORMAT_VERSION, BLOB_FORMAT_VERSION_OLDEST, BLOB_HEADER_BYTES, BLOB_MAGIC, BlobReference,
};
use crate::coding::block_checksum;
use crate::encryption::KeyedFile;
use crate::error::{Error, Result};
use crate::file_id::FileId;
use crate::manifest::BlobMeta;
use crate::options::Compression;
use crate::sstable::block_file::FileOpener;
use crate::sstable::footer::BlockHandle;
use crate::sstable::sealed::{BlockType, Compressor};
use crate::sstable::write_back::WriteBack;
use crate::vfs::VfsFile;

/// Bytes gathered before they are handed to the file.
const WRITE_BYTES: usize = 256 << 10;

/// A blob file under construction. Dropped without `finish`, it leaves a file nobody refers to.
pub struct BlobWriter {
    file: Arc<dyn VfsFile>,
    path: PathBuf,
    file_id: FileId,
    compressor: Compressor,
    buffer: Vec<u8>,
    offset: u64,
    hasher: Xxh3Default,
    write_back: WriteBack,
    values: u64,
    record_bytes: u64,
}

/// The first bytes of blob file `file_id`; of an encrypted one the key block follows.
pub(super) fn header(file_id: FileId, encrypted: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(BLOB_HEADER_BYTES);
    out.extend_from_slice(&BLOB_MAGIC);
    let version = if encrypted { BLOB_FORMAT_VERSION } else { BLOB_FORMAT_VERSION_OLDEST };
    out.extend_from_slice(&version.to_le_bytes());
    out.extend_from_slice(&u32::from(encrypted).to_le_bytes());
    out.extend_from_slice(&file_id.0.to_le_bytes());
    let checksum = block_checksum(file_id.0, 0, &out);
    out.extend_from_slice(&checksum.to_le_bytes());
    out
}

impl BlobWriter {
    /// Creates the file. What has been written is sent to the disk every `sync_every_bytes`; `None`: at the end.
    pub fn create(
        opener: &FileOpener,
        file_id: FileId,
        compression: Compression,
        sync_every_bytes: Option<u64>,
    ) -> Result<BlobWriter> {
        let path = file_id.blob_path(&opener.directory);
        let (cipher, key_block) = opener.new_file_key(&path, KeyedFile::Blob, file_id)?;
        let file = opener.vfs.create(&path).map_err(|error| Error::io("create", &path, error))?;
        let buffer = [header(file_id, cipher.is_some()), key_block].concat();
        Ok(BlobWriter {
            file,
            path,
            file_id,
            compressor: Compressor::new(compression, cipher),
            offset: buffer.len() as u64,
            buffer,
            hasher: Xxh3Default::new(),
            write_back: WriteBack::new(sync_every_bytes),
            values: 0,
            record_bytes: 0,
        })
    }

    /// Appends a value; what to store in its place.
    pub fn add(&mut self, value: &[u8]) -> Result<BlobReference> {
        let before = self.buffer.len();
        let offset = self.offset;
        let sealed = self.compressor.seal(value, BlockType::Blob, self.file_id.0, offset, &mut self.buffer);
        let length = u32::try_from(self.buffer.len() - before);
        let (Some(()), Ok(length)) = (sealed, length) else {
            let detail = format!("{}: a value of {} bytes is too large", self.path.display(), value.len());
            return Err(Error::invalid(detail));
        };
        self.offset += u64::from(length);
        self.values += 1;
        self.record_bytes += u64::from(length);
        if self.buffer.len() >= WRITE_BYTES {
            self.write_out()?;
        }
        let record = BlockHandle { offset, length };
        Ok(BlobReference { file_id: self.file_id, record, value_bytes: value.len() as u64 })
    }

    /// Bytes so far.
    pub fn size_bytes(&self) -> u64 {
        self.offset
    }

    fn write_out(&mut self) -> Result<()> {
        self.hasher.update(&self.buffer);
        self.file.append(&self.buffer).map_err(|error| Error::io("write", &self.path, error))?;
        let bytes = self.buffer.len();
        self.buffer.clear();
        self.write_back.note(&*self.file, &self.path, bytes)
    }

    /// Makes the file's bytes durable; its name is the caller's to make durable.
    pub fn finish(mut self) -> Result<BlobMeta> {
        self.write_out()?;
        self.file.sync().map_err(|error| Error::io("sync", &self.path, error))?;
        Ok(BlobMeta {
            file_id: self.file_id,
            size_bytes: self.offset,
            checksum: self.hasher.digest128(),
            values: self.values,
            value_bytes: self.record_bytes,
        })
    }
}
