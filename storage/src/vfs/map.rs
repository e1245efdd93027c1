//! Memory maps of immutable files: the only place where a file is mapped.
//!
//! A map is sound only while nobody changes the file. The engine maps nothing but sstables and blob files that are
//! complete, synced and named by the manifest; it never truncates or overwrites a file, and removes a name only after
//! the last reader is gone. Another process that truncates a mapped file can still kill this one (SIGBUS), as can a
//! media error; that is why positional reads are the default.

#![expect(unsafe_code, reason = "mapping a file is unsafe by nature; see above for why it is sound here")]

use std::fs::File;
use std::io;
use std::sync::Arc;

use super::MappedBytes;

/// Maps a whole file, or nothing where maps are not used: on 32-bit machines address space is too scarce, on Windows a
/// mapped file cannot be removed, an empty file has nothing to map.
pub(super) fn map_file(file: &File) -> io::Result<Option<MappedBytes>> {
    if cfg!(windows) || usize::BITS < 64 || file.metadata()?.len() == 0 {
        return Ok(None);
    }
    // SAFETY: only complete files are mapped, which are never written, truncated or overwritten again.
    let map = unsafe { memmap2::Mmap::map(file) }?;
    #[cfg(unix)]
    map.advise(memmap2::Advice::Random)?;
    Ok(Some(Arc::new(map)))
}
