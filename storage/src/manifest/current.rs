//! The file `CURRENT`, which names the manifest. See FORMAT.md, "CURRENT".

use std::path::Path;

use crate::error::{Error, Result};
use crate::file_id::{FileId, FileKind};
use crate::vfs::Vfs;

/// Names `id`'s manifest in `CURRENT`, durably, by rename.
pub fn replace(vfs: &dyn Vfs, directory: &Path, id: FileId) -> Result<()> {
    let name = id.manifest_name();
    let text = format!("{name} {:08x}\n", crc32c::crc32c(name.as_bytes()));
    write_by_rename(vfs, directory, "CURRENT", text.as_bytes())
}

/// Puts a whole small file in place in one step, durably.
pub fn write_by_rename(vfs: &dyn Vfs, directory: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let temporary = directory.join(format!("{name}.tmp"));
    match vfs.remove(&temporary) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::io("remove", &temporary, error));
        }
        Err(_) | Ok(()) => {}
    }
    let file = vfs.create(&temporary).map_err(|error| Error::io("create", &temporary, error))?;
    file.append(bytes).map_err(|error| Error::io("write", &temporary, error))?;
    file.sync().map_err(|error| Error::io("sync", &temporary, error))?;
    let target = directory.join(name);
    vfs.rename(&temporary, &target).map_err(|error| Error::io("rename", &target, error))?;
    vfs.sync_dir(directory).map_err(|error| Error::io("sync", directory, error))
}

/// The manifest `CURRENT` names.
pub fn read(vfs: &dyn Vfs, directory: &Path) -> Result<FileId> {
    let path = directory.join("CURRENT");
    let file = match vfs.open_read(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::corruption(&path, 0, "the file is missing"));
        }
        Err(error) => return Err(Error::io("open", &path, error)),
    };
    let mut bytes = [0; 64];
    let length = file.read_at(0, &mut bytes).map_err(|error| Error::io("read", &path, error))?;
    let damaged = || Error::corruption(&path, 0, "it does not name a manifest");
    let text = std::str::from_utf8(bytes.get(..length).unwrap_or_default()).map_err(|_| damaged())?;
    let (name, checksum) =
        text.strip_suffix('\n').and_then(|line| line.split_once(' ')).ok_or_else(damaged)?;
    if checksum != format!("{:08x}", crc32c::crc32c(name.as_bytes())) {
        return Err(damaged());
    }
    match FileKind::of(name) {
        FileKind::Manifest(id) => Ok(id),
        _ => Err(damaged()),
    }
}
