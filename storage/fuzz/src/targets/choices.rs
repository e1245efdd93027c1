//! Choices taken from the fuzzer's bytes, and a file on a memory file system.

use std::path::Path;
use std::sync::Arc;

use sheaf_storage::{MemoryVfs, Vfs};

/// Bytes that are read as choices. At their end every choice is 0.
pub struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    /// Of these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether all are taken.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One byte.
    pub fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    /// Two bytes as a number.
    pub fn short(&mut self) -> usize {
        usize::from(self.byte()) << 8 | usize::from(self.byte())
    }

    /// So many bytes, or what is left.
    pub fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}

/// A memory file system that holds one file.
pub fn file(path: &Path, bytes: &[u8]) -> Arc<dyn Vfs> {
    let vfs = MemoryVfs::new();
    vfs.create_dir(Path::new("/")).expect("a new file system");
    vfs.create(path).and_then(|file| file.append(bytes)).expect("a new file");
    Arc::new(vfs)
}
