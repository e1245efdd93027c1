//! How many sstables and blob files are open at once. A store has thousands and a process may often open only 1,024, so those
//! not read for a while are closed, and opened again when they are read. What a reader keeps in memory (index, filter) stays.
//!
//! The open files stand in a queue. When there are too many, the first is closed unless it was read since it last came up;
//! then it goes to the end (the clock algorithm). A file being read meanwhile stays open until the read is over.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use crate::limits::OPEN_FILES_DEFAULT;
use crate::sstable::removals::Removals;
use crate::vfs::{Vfs, VfsFile};

/// The open files of a store, and those that go.
#[derive(Debug)]
pub struct OpenFiles {
    /// The files nobody needs any more.
    pub removals: Removals,
    max: usize,
    open: Mutex<VecDeque<Weak<Slot>>>,
}

/// A file that is open or can be opened again.
#[derive(Debug)]
pub struct Slot {
    path: PathBuf,
    file: RwLock<Option<Arc<dyn VfsFile>>>,
    /// Read since it last came up.
    used: AtomicBool,
}

/// Opens a file of blocks. What to read beside a block is known here better than to the system, which takes neighbours that happen
/// to be in memory for the trace of a walk, and then reads half as much again as it is asked for.
fn open_read(vfs: &dyn Vfs, path: &Path) -> io::Result<Arc<dyn VfsFile>> {
    let file = vfs.open_read(path)?;
    file.expect_any_order();
    Ok(file)
}

impl Default for OpenFiles {
    fn default() -> Self {
        OpenFiles::new(OPEN_FILES_DEFAULT, None)
    }
}

impl OpenFiles {
    /// At most `max`, and one at least; files are removed at the pace given, if a thread removes them.
    pub fn new(max: usize, removal_bytes_per_second: Option<u64>) -> OpenFiles {
        let removals = Removals::new(removal_bytes_per_second);
        OpenFiles { removals, max: max.max(1), open: Mutex::default() }
    }

    /// Opens a file.
    pub fn open(&self, vfs: &dyn Vfs, path: &Path) -> io::Result<Arc<Slot>> {
        let file = open_read(vfs, path)?;
        let slot = Arc::new(Slot {
            path: path.to_path_buf(),
            file: RwLock::new(Some(file)),
            used: AtomicBool::new(true),
        });
        self.admit(&slot);
        Ok(slot)
    }

    /// The file of a slot, opened again if it was closed.
    pub fn get(&self, vfs: &dyn Vfs, slot: &Arc<Slot>) -> io::Result<Arc<dyn VfsFile>> {
        if let Some(file) = &*slot.file.read().unwrap_or_else(PoisonError::into_inner) {
            slot.used.store(true, Ordering::Relaxed);
            return Ok(Arc::clone(file));
        }
        let file = {
            let mut held = slot.file.write().unwrap_or_else(PoisonError::into_inner);
            if let Some(file) = &*held {
                return Ok(Arc::clone(file));
            }
            let file = open_read(vfs, &slot.path)?;
            *held = Some(Arc::clone(&file));
            file
        };
        slot.used.store(true, Ordering::Relaxed);
        self.admit(slot);
        Ok(file)
    }

    /// How many are open now.
    pub fn count(&self) -> usize {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.iter().filter(|slot| slot.strong_count() > 0).count()
    }

    /// Takes a slot that was opened into the queue and closes what is too many.
    fn admit(&self, slot: &Arc<Slot>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.push_back(Arc::downgrade(slot));
        if open.len() > self.max {
            open.retain(|slot| slot.strong_count() > 0);
        }
        // Twice around: the first time clears every mark.
        for _ in 0..2 * open.len() {
            if open.len() <= self.max {
                return;
            }
            let Some(first) = open.pop_front() else { return };
            let Some(slot) = first.upgrade() else { continue };
            if slot.used.swap(false, Ordering::Relaxed) {
                open.push_back(first);
            } else {
                *slot.file.write().unwrap_or_else(PoisonError::into_inner) = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::MemoryVfs;

    #[test]
    fn the_least_used_are_closed_and_opened_again() {
        let vfs = MemoryVfs::new();
        vfs.create_dir(Path::new("/")).unwrap();
        let files = OpenFiles::new(3, None);
        let slots: Vec<_> = (0..10)
            .map(|number: u8| {
                let path = PathBuf::from(format!("/{number}"));
                vfs.create(&path).unwrap().append(&[number]).unwrap();
                files.open(&vfs, &path).unwrap()
            })
            .collect();
        assert_eq!(files.count(), 3);
        for round in 0..30_usize {
            let at = round * 7 % 10;
            let mut byte = [0];
            files.get(&vfs, &slots[at]).unwrap().read_exact_at(0, &mut byte).unwrap();
            assert_eq!(usize::from(byte[0]), at);
            assert!(files.count() <= 3);
        }
        // One that is held keeps working while its slot is closed.
        let held = files.get(&vfs, &slots[0]).unwrap();
        (1..10).for_each(|at| drop(files.get(&vfs, &slots[at]).unwrap()));
        held.read_exact_at(0, &mut [0]).unwrap();
        drop(slots);
        assert_eq!(files.count(), 0);
    }
}
