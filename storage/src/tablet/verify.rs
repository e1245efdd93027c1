//! Reads every live file back and compares it with what the manifest says.

use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3Default;

use crate::error::{Error, Result};
use crate::tablet::{Tablet, TabletInner};
use crate::vfs::Vfs;

/// Bytes read at a time.
const READ_BYTES: usize = 256 << 10;

/// What a verification found.
#[derive(Clone, Debug, Default)]
pub struct VerifyReport {
    /// Files read.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// What is wrong, one error a file.
    pub problems: Vec<Error>,
}

impl Tablet {
    /// Reads every live sstable and blob file and compares length and checksum with the manifest. Problems are
    /// reported, not returned as an error, so that all of them are found.
    pub fn verify(&self) -> VerifyReport {
        self.inner.verify()
    }
}

impl TabletInner {
    /// As [`Tablet::verify`].
    pub(crate) fn verify(&self) -> VerifyReport {
        let inner = self;
        let version = inner.versions.version();
        let directory = &inner.versions.opener().directory;
        let tables = version.levels.iter().flatten().map(|table| {
            (table.meta.file_id.sstable_path(directory), table.meta.size_bytes, table.meta.checksum)
        });
        let blobs = version
            .blobs
            .values()
            .map(|blob| (blob.meta.file_id.blob_path(directory), blob.meta.size_bytes, blob.meta.checksum));
        let files: Vec<(PathBuf, u64, u128)> = tables.chain(blobs).collect();
        let mut report = VerifyReport::default();
        for (path, size_bytes, checksum) in files {
            report.files += 1;
            report.bytes += size_bytes;
            if let Err(problem) = check_file(&*inner.vfs, &path, size_bytes, checksum) {
                report.problems.push(problem);
            }
        }
        report
    }
}

/// Fails if a file has not the length and checksum it should have.
pub(super) fn check_file(vfs: &dyn Vfs, path: &Path, size_bytes: u64, checksum: u128) -> Result<()> {
    let file = vfs.open_read(path).map_err(|error| Error::io("open", path, error))?;
    let mut hasher = Xxh3Default::new();
    let mut buffer = vec![0; READ_BYTES];
    let mut offset = 0_u64;
    loop {
        let count = file.read_at(offset, &mut buffer).map_err(|error| Error::io("read", path, error))?;
        if count == 0 {
            break;
        }
        hasher.update(buffer.get(..count).unwrap_or_default());
        offset += count as u64;
    }
    if offset != size_bytes {
        let detail = format!("the file has {offset} bytes, the manifest says {size_bytes}");
        return Err(Error::corruption(path, offset.min(size_bytes), detail));
    }
    if hasher.digest128() != checksum {
        return Err(Error::corruption(path, 0, "the file's checksum is not the one in the manifest"));
    }
    Ok(())
}
