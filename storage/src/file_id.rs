//! Numbers and names of a tablet's files.

use std::fmt;
use std::path::{Path, PathBuf};

/// The number of an sstable, blob file or manifest within its tablet. Never reused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u64);

impl FileId {
    /// The path of the sstable with this number.
    pub fn sstable_path(self, directory: &Path) -> PathBuf {
        directory.join(format!("{self}.sst"))
    }

    /// The path of the blob file with this number.
    pub fn blob_path(self, directory: &Path) -> PathBuf {
        directory.join(format!("{self}.blob"))
    }

    /// The name of the manifest with this number.
    pub fn manifest_name(self) -> String {
        format!("{self}.manifest")
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:010}", self.0)
    }
}

/// What a file in a tablet's directory is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// `NNNNNNNNNN.sst`
    Sstable(FileId),
    /// `NNNNNNNNNN.blob`
    Blob(FileId),
    /// `NNNNNNNNNN.manifest`
    Manifest(FileId),
    /// `CURRENT`
    Current,
    /// `*.tmp`: the remains of an interrupted step, of no value.
    Temporary,
    /// Not ours; left alone.
    Foreign,
}

impl FileKind {
    /// Reads a file name.
    pub fn of(name: &str) -> FileKind {
        if name == "CURRENT" {
            return FileKind::Current;
        }
        let Some((stem, extension)) = name.rsplit_once('.') else { return FileKind::Foreign };
        if extension == "tmp" {
            return FileKind::Temporary;
        }
        if stem.len() < 10 || !stem.bytes().all(|byte| byte.is_ascii_digit()) {
            return FileKind::Foreign;
        }
        let Ok(number) = stem.parse() else { return FileKind::Foreign };
        match extension {
            "sst" => FileKind::Sstable(FileId(number)),
            "blob" => FileKind::Blob(FileId(number)),
            "manifest" => FileKind::Manifest(FileId(number)),
            _ => FileKind::Foreign,
        }
    }
}
