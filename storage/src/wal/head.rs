//! Begins a log file and reads its beginning: the head, and in an encrypted store the key block behind it.

use std::path::Path;
use std::sync::Arc;

use crate::encryption::{FileCipher, KEY_BLOCK_BYTES, KeyedFile, StoreKeys, key_block_is_intact};
use crate::error::{Error, Result};
use crate::vfs::{Vfs, VfsFile};
use crate::wal::header::{HEADER_BYTES, LogHeader, LogKind};

/// Where the first chunk goes in a file with or without a key.
pub fn first_chunk_offset(encrypted: bool) -> u64 {
    (HEADER_BYTES + if encrypted { KEY_BLOCK_BYTES } else { 0 }) as u64
}

/// A log file with nothing but its beginning, which is not synced yet.
pub struct Begun {
    /// The file.
    pub file: Arc<dyn VfsFile>,
    /// What encrypts its records.
    pub cipher: Option<FileCipher>,
    /// Where its first chunk goes.
    pub length: u64,
}

/// Creates a log file and writes its beginning. `header.encrypted` is set here.
pub fn begin(vfs: &dyn Vfs, path: &Path, header: &LogHeader, keys: Option<&StoreKeys>) -> Result<Begun> {
    begin_in(vfs, path, header, keys, || vfs.create(path).map_err(|error| Error::io("create", path, error)))
}

/// The same in a file that `create` returns, which is empty.
pub fn begin_in(
    vfs: &dyn Vfs,
    path: &Path,
    header: &LogHeader,
    keys: Option<&StoreKeys>,
    create: impl FnOnce() -> Result<Arc<dyn VfsFile>>,
) -> Result<Begun> {
    let header = LogHeader { encrypted: keys.is_some(), ..*header };
    let mut bytes = header.encode();
    let cipher = match (keys, keyed_kind(header.kind)) {
        (Some(keys), Some(kind)) => {
            let (cipher, block) = keys.new_file(vfs, path, kind, header.number)?;
            bytes.extend_from_slice(&block);
            Some(cipher)
        }
        _ => None,
    };
    let file = create()?;
    file.append(&bytes).map_err(|error| Error::io("write", path, error))?;
    Ok(Begun { file, cipher, length: first_chunk_offset(header.encrypted) })
}

/// Reads the beginning of a log file. `None`: torn, damaged, or not a log file at all. In an encrypted store every file
/// is encrypted.
pub fn read(
    file: &dyn VfsFile,
    path: &Path,
    keys: Option<&StoreKeys>,
) -> Result<Option<(LogHeader, Option<FileCipher>)>> {
    let mut bytes = [0; HEADER_BYTES + KEY_BLOCK_BYTES];
    let length = file.read_at(0, &mut bytes).map_err(|error| Error::io("read", path, error))?;
    let (head, block) =
        bytes.get(..length).unwrap_or_default().split_at_checked(HEADER_BYTES).unwrap_or_default();
    let Some(header) = LogHeader::decode(head, path)? else { return Ok(None) };
    let wrong = |what: &str| Err(Error::corruption(path, 13, what));
    let keys = match (keys, header.encrypted) {
        (None, false) => return Ok(Some((header, None))),
        (None, true) => return wrong("the file is encrypted and the store is not"),
        (Some(_), false) => return wrong("the file is not encrypted and the store is"),
        (Some(keys), true) => keys,
    };
    // Head and key block are written together, so a block that is not whole is a file that was never begun.
    let Some(kind) = keyed_kind(header.kind).filter(|_| key_block_is_intact(block)) else { return Ok(None) };
    let cipher = keys.open_file(kind, header.number, block);
    let cipher = cipher.map_err(|malformed| Error::corruption(path, HEADER_BYTES as u64, malformed.0))?;
    Ok(Some((header, Some(cipher))))
}

/// What the key of a file of this kind is for; `STORE` has none.
fn keyed_kind(kind: LogKind) -> Option<KeyedFile> {
    match kind {
        LogKind::Segment => Some(KeyedFile::Segment),
        LogKind::Manifest => Some(KeyedFile::Manifest),
        LogKind::Store | LogKind::StoreOfTablets => None,
    }
}
