//! Human-readable views of every file kind, one stable form each: for `sheaf inspect`, for tests, for whoever holds a
//! damaged file. Printing goes on past damaged parts where the rest can still be found, and says where they are.

mod blob;
mod log;
mod sstable;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use crate::blob::BLOB_MAGIC;
use crate::encryption::{Encryption, KEYS_FILE, StoreKeys, read_master_key_id};
use crate::error::{Error, Result};
use crate::file_id::{FileId, FileKind};
use crate::limits::TABLET_LIST_BYTES_MAX;
use crate::manifest::current;
use crate::sstable::footer::SSTABLE_MAGIC;
use crate::store::tablet_list::{TABLETS_MAGIC, TabletList};
use crate::vfs::{Vfs, VfsFile};
use crate::wal;

/// Prints the file at `path` to `out`, whatever it is. A file of an encrypted store needs the store's master key; the
/// file `KEYS` is found in the store's directory, beside or above the file.
pub fn inspect(
    vfs: &Arc<dyn Vfs>,
    path: &Path,
    encryption: Option<&Encryption>,
    out: &mut dyn Write,
) -> Result<()> {
    let file = vfs.open_read(path).map_err(|error| Error::io("open", path, error))?;
    let length = file.len().map_err(|error| Error::io("measure", path, error))?;
    let first = read_at(&*file, path, 0, 8.min(length))?;
    let last = read_at(&*file, path, length.saturating_sub(8), 8.min(length))?;
    if path.file_name().is_some_and(|name| name == KEYS_FILE) {
        let id = read_master_key_id(&**vfs, path)?;
        return put(out, path, format_args!("store key wrapped by master key {id:?}"));
    }
    if path.file_name().is_some_and(|name| name == "CURRENT") {
        let id = current::read(&**vfs, path.parent().unwrap_or(Path::new("")))?;
        return put(out, path, format_args!("current manifest {}", id.0));
    }
    if path.file_name().is_some_and(|name| name == "LOCK") && length == 0 {
        return put(out, path, format_args!("lock of a store"));
    }
    if length == 0 && path.extension().is_some_and(|extension| extension == "wal") {
        return put(out, path, format_args!("log segment, made ahead of time and never begun"));
    }
    let keys = find_keys(&**vfs, path, encryption)?;
    if last == SSTABLE_MAGIC {
        return sstable::inspect(vfs, path, length, keys, out);
    }
    if first == BLOB_MAGIC {
        return blob::inspect(&*file, path, length, out);
    }
    if first == wal::header::MAGIC {
        let head = read_at(&*file, path, 0, length.min(wal::header::HEADER_BYTES as u64))?;
        return log::inspect(file, path, &head, keys.as_deref(), out);
    }
    if first == TABLETS_MAGIC {
        let bytes = read_at(&*file, path, 0, length.min(TABLET_LIST_BYTES_MAX))?;
        let Some((identity, list)) = TabletList::decode(&bytes) else {
            return Err(Error::corruption(path, 0, "the list of tablets is damaged"));
        };
        put(out, path, format_args!("tablets of store {identity:032x}, beside the first"))?;
        list.live().try_for_each(|id| put(out, path, format_args!("  tablet {id}")))?;
        return list.dropped().try_for_each(|(first, last)| match first == last {
            true => put(out, path, format_args!("  dropped {first}")),
            false => put(out, path, format_args!("  dropped {first} to {last}")),
        });
    }
    match path.file_name().and_then(|name| name.to_str()).map(FileKind::of) {
        Some(FileKind::Sstable(_)) => {
            Err(Error::corruption(path, length.saturating_sub(8), "not an sstable"))
        }
        Some(FileKind::Blob(_)) => Err(Error::corruption(path, 0, "not a blob file")),
        Some(FileKind::Manifest(_)) => Err(Error::corruption(path, 0, "not a manifest")),
        _ if path.extension().is_some_and(|extension| extension == "wal") => {
            Err(Error::corruption(path, 0, "not a log segment"))
        }
        _ => Err(Error::invalid(format!("{} is no file of a store", path.display()))),
    }
}

/// The keys of the store the file belongs to, if it is encrypted.
fn find_keys(vfs: &dyn Vfs, path: &Path, encryption: Option<&Encryption>) -> Result<Option<Arc<StoreKeys>>> {
    let Some(store) = path.parent().and_then(Path::parent) else { return Ok(None) };
    match vfs.len(&store.join(KEYS_FILE)) {
        Ok(_) => StoreKeys::read(vfs, store, encryption).map(|keys| Some(Arc::new(keys))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("look for", &store.join(KEYS_FILE), error)),
    }
}

fn read_at(file: &dyn VfsFile, path: &Path, offset: u64, length: u64) -> Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
    file.read_exact_at(offset, &mut bytes).map_err(|error| Error::io("read", path, error))?;
    Ok(bytes)
}

fn put(out: &mut dyn Write, path: &Path, line: std::fmt::Arguments<'_>) -> Result<()> {
    writeln!(out, "{line}").map_err(|error| Error::io("print", path, error))
}

/// The number in the file's name.
fn file_id_of(path: &Path) -> Option<FileId> {
    match FileKind::of(path.file_name()?.to_str()?) {
        FileKind::Sstable(id) | FileKind::Blob(id) => Some(id),
        _ => None,
    }
}
