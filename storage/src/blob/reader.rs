//! Reads values out of a blob file.

use std::sync::Arc;

use crate::blob::{
    BLOB_FORMAT_VERSION, BLOB_FORMAT_VERSION_OLDEST, BLOB_HEADER_BYTES, BLOB_MAGIC, BlobReference, writer,
};
use crate::cache::{Cached, LargeValue};
use crate::coding::{Malformed, u32_at};
use crate::encryption::KeyedFile;
use crate::error::{Error, Result};
use crate::file_id::FileId;
use crate::sstable::block::BlockBytes;
use crate::sstable::block_file::{BlockFile, Caching, FileOpener};
use crate::sstable::sealed::BlockType;
use crate::value_slice::ValueSlice;

/// An open blob file.
pub struct BlobReader {
    file: BlockFile,
    file_id: FileId,
}

impl std::fmt::Debug for BlobReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BlobReader({})", self.file.path().display())
    }
}

impl BlobReader {
    /// Opens the blob file `file_id`, which is `file_bytes` long.
    pub fn open(opener: &FileOpener, file_id: FileId, file_bytes: u64) -> Result<BlobReader> {
        let path = file_id.blob_path(&opener.directory);
        let mut file = BlockFile::open(opener, path, file_id, file_bytes)?;
        if file_bytes < BLOB_HEADER_BYTES as u64 {
            return Err(file.corruption(0, Malformed("file is shorter than a blob file's header")));
        }
        let header = file.read(0, BLOB_HEADER_BYTES)?;
        if !header.starts_with(&BLOB_MAGIC) {
            return Err(file.corruption(0, Malformed("not a blob file")));
        }
        let found = u32_at(&header, BLOB_MAGIC.len()).unwrap_or_default();
        let (oldest, newest) = (BLOB_FORMAT_VERSION_OLDEST, BLOB_FORMAT_VERSION);
        if !(oldest..=newest).contains(&found) {
            return Err(Error::FormatVersion { file: file.path().to_path_buf(), found, oldest, newest });
        }
        let encrypted = found == BLOB_FORMAT_VERSION;
        if header != writer::header(file_id, encrypted) {
            return Err(file.corruption(0, Malformed("blob file header is damaged or of another file")));
        }
        file.unlock(opener, KeyedFile::Blob, encrypted, BLOB_HEADER_BYTES as u64)?;
        Ok(BlobReader { file, file_id })
    }

    /// Takes its values out of the cache, for a file that goes.
    pub fn forget(&self) {
        let (cache, holder) = self.file.cache();
        cache.forget_all(holder);
    }

    /// The value `reference` points at.
    pub fn get(&self, reference: &BlobReference, caching: Caching) -> Result<ValueSlice> {
        let offset = reference.record.offset;
        let (cache, holder) = self.file.cache();
        if caching == Caching::Through
            && let Some(Cached::Value(value)) = cache.get(holder, offset)
        {
            let length = (*value).as_ref().len();
            return Ok(ValueSlice::shared(value, 0..length));
        }
        if caching == Caching::Through {
            cache.admit_load(reference.value_bytes)?;
        }
        if reference.file_id != self.file_id {
            return Err(self.file.corruption(offset, Malformed("a reference to another blob file")));
        }
        let bytes = self.file.read_sealed(reference.record, BlockType::Blob, caching)?;
        if bytes.as_slice().len() as u64 != reference.value_bytes {
            return Err(self
                .file
                .corruption(offset, Malformed("a value of another length than its reference")));
        }
        match bytes {
            BlockBytes::Mapped(map, range) => Ok(ValueSlice::shared(map, range)),
            BlockBytes::Heap(bytes) => {
                let charge = cache.charge(bytes.len() as u64);
                let value = Arc::new(LargeValue::new(bytes.into_vec(), charge));
                if caching == Caching::Through {
                    cache.insert(holder, offset, Cached::Value(Arc::clone(&value)));
                }
                let length = (*value).as_ref().len();
                Ok(ValueSlice::shared(value, 0..length))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::blob::BlobWriter;
    use crate::options::Compression;
    use crate::sstable::footer::BlockHandle;
    use crate::sstable::table_tests::opener;
    use crate::vfs::{MemoryVfs, Vfs};

    #[test]
    fn a_reference_to_anything_but_a_value_of_its_length_is_an_error() {
        let vfs = MemoryVfs::new();
        vfs.create_dir(Path::new("t")).unwrap();
        let opener = opener(&vfs);
        let mut writer = BlobWriter::create(&opener, FileId(7), Compression::None, None).unwrap();
        let values = [vec![1; 100], vec![2; 200]];
        let references = values.each_ref().map(|value| writer.add(value).unwrap());
        let meta = writer.finish().unwrap();
        let reader = BlobReader::open(&opener, FileId(7), meta.size_bytes).unwrap();
        let [first, second] = references;
        let wrong = [
            (BlobReference { file_id: FileId(8), ..first }, "another blob file"),
            (BlobReference { value_bytes: 99, ..first }, "another length"),
            (BlobReference { value_bytes: 200, ..first }, "another length"),
            (BlobReference { record: second.record, ..first }, "another length"),
            (BlobReference { record: BlockHandle { length: 9, ..first.record }, ..first }, ""),
            (BlobReference { record: BlockHandle { offset: 33, ..first.record }, ..first }, ""),
            (BlobReference { record: BlockHandle { offset: u64::MAX, length: 1 }, ..first }, "past the file"),
        ];
        for caching in [Caching::Past, Caching::Through] {
            for (reference, what) in &wrong {
                let refused = reader.get(reference, caching);
                assert!(
                    matches!(&refused, Err(Error::Corruption { file, detail, .. })
                        if file.ends_with("0000000007.blob") && detail.contains(what)),
                    "{what}: {:?}",
                    refused.map(|value| value.len())
                );
            }
            for (reference, value) in [first, second].iter().zip(&values) {
                assert_eq!(*reader.get(reference, caching).unwrap(), **value);
            }
        }
    }
}
