//! Sends a file to the disk while it is being written.
//!
//! A file of many megabytes that is synced once, at its end, is a burst: whoever syncs the log meanwhile, and that is every commit,
//! waits behind it. So what has been written is sent on every so many bytes. That costs whoever writes the file a little, and is no
//! promise: the file counts once it is synced as a whole.

use std::path::Path;

use crate::error::{Error, Result};
use crate::vfs::VfsFile;

/// How much of a file has not been sent on yet.
#[derive(Debug)]
pub struct WriteBack {
    /// Send on after so many bytes; `None`: never.
    every_bytes: Option<u64>,
    waiting_bytes: u64,
}

impl WriteBack {
    /// For a new file.
    pub fn new(every_bytes: Option<u64>) -> WriteBack {
        WriteBack { every_bytes, waiting_bytes: 0 }
    }

    /// So many bytes were appended to `file`. Fails with [`Error::Io`], as a sync would, if they cannot be written.
    pub fn note(&mut self, file: &dyn VfsFile, path: &Path, bytes: usize) -> Result<()> {
        self.waiting_bytes = self.waiting_bytes.saturating_add(bytes as u64);
        if self.every_bytes.is_none_or(|every| self.waiting_bytes < every) {
            return Ok(());
        }
        self.waiting_bytes = 0;
        file.write_back().map_err(|error| Error::io("write back", path, error))
    }
}
