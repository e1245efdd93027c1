//! A file system in memory that knows what a power cut would leave of it.
//!
//! Every file keeps how much of it has been synced, every directory the names as of its last sync and the changes
//! since. [`MemoryVfs::crash_clone`] builds from that another file system as it might look after a power cut at this
//! very moment, while the store on this one runs on. It is also what an in-memory database runs on.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::{Vfs, VfsFile, VfsLock};

/// A file system in memory. Clones share the files.
#[derive(Clone, Debug, Default)]
pub struct MemoryVfs {
    /// The files.
    pub(super) shared: Arc<Shared>,
}

/// What all clones of a [`MemoryVfs`] share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Held for reading by every change, for writing by `crash_clone`, so that a clone is of one moment.
    pub(super) moment: RwLock<()>,
    /// Directories and names.
    pub(super) tree: Mutex<Tree>,
    /// Where `unique_id` counts from, and how often it was asked.
    pub(super) identities: AtomicU64,
}

/// Directories and names.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Every directory by its path; the empty path and `/` always exist.
    pub(super) directories: BTreeMap<PathBuf, Directory>,
    /// Directories that were removed since their parent was synced, and were durable: a power cut may bring them back.
    pub(super) removed: BTreeMap<PathBuf, Directory>,
    /// Paths locked now.
    pub(super) locked: BTreeSet<PathBuf>,
}

/// One directory.
#[derive(Debug, Default)]
pub(super) struct Directory {
    /// Whether the parent was synced since this directory was created.
    pub(super) durable: bool,
    /// The names now.
    pub(super) live: BTreeMap<String, Arc<Inode>>,
    /// The names as of the last sync.
    pub(super) synced: BTreeMap<String, Arc<Inode>>,
    /// What led from `synced` to `live`.
    pub(super) pending: Vec<NameChange>,
}

/// A change of names that a power cut keeps or loses as a whole.
#[derive(Clone, Debug)]
pub(super) struct NameChange {
    /// The name that goes.
    pub(super) removed: Option<String>,
    /// The name that comes.
    pub(super) added: Option<(String, Arc<Inode>)>,
}

/// A file's bytes.
#[derive(Debug, Default)]
pub(super) struct Inode {
    /// The bytes, and how many of them are synced.
    pub(super) content: RwLock<Content>,
}

/// A file's bytes and how many of them are synced. `synced <= written <= bytes.len()` and `synced_length <= bytes.len()`.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// All bytes, with the zeros of room reserved.
    pub(super) bytes: Vec<u8>,
    /// How many were written: where the next append goes.
    pub(super) written: usize,
    /// The first this many survive any power cut.
    pub(super) synced: usize,
    /// So long is the file after any power cut.
    pub(super) synced_length: usize,
}

impl Content {
    /// Bytes that are all durable.
    pub(super) fn durable(bytes: Vec<u8>) -> Content {
        Content { written: bytes.len(), synced: bytes.len(), synced_length: bytes.len(), bytes }
    }
}

/// An open file.
#[derive(Debug)]
struct MemoryFile {
    /// The file system, for the moment lock.
    shared: Arc<Shared>,
    /// The file.
    inode: Arc<Inode>,
}

/// A held lock.
#[derive(Debug)]
struct MemoryLock {
    /// The file system.
    shared: Arc<Shared>,
    /// What is locked.
    path: PathBuf,
}

impl MemoryVfs {
    /// An empty file system.
    pub fn new() -> MemoryVfs {
        MemoryVfs::default()
    }

    /// Replaces a file's bytes, durably: how tests damage files.
    pub fn overwrite(&self, path: &Path, bytes: Vec<u8>) -> io::Result<()> {
        let inode = self.shared.inode(path)?;
        let mut content = inode.content.write().unwrap_or_else(PoisonError::into_inner);
        *content = Content::durable(bytes);
        Ok(())
    }

    /// A file's bytes.
    pub fn contents(&self, path: &Path) -> io::Result<Vec<u8>> {
        let inode = self.shared.inode(path)?;
        let content = inode.content.read().unwrap_or_else(PoisonError::into_inner);
        Ok(content.bytes.clone())
    }

    /// Every file with its length, in order of path.
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        let tree = self.shared.tree();
        let mut files = Vec::new();
        for (path, directory) in &tree.directories {
            for (name, inode) in &directory.live {
                let content = inode.content.read().unwrap_or_else(PoisonError::into_inner);
                files.push((path.join(name), u64::try_from(content.bytes.len()).unwrap_or(u64::MAX)));
            }
        }
        files
    }
}

impl Shared {
    /// Locks the names.
    pub(super) fn tree(&self) -> MutexGuard<'_, Tree> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds a file.
    fn inode(&self, path: &Path) -> io::Result<Arc<Inode>> {
        let (directory, name) = split(path)?;
        let tree = self.tree();
        let directory = tree.directories.get(directory).ok_or(io::ErrorKind::NotFound)?;
        directory.live.get(name).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Changes names within a directory, leaving the change pending.
    fn change<T>(&self, path: &Path, change: impl FnOnce(&mut Directory) -> io::Result<T>) -> io::Result<T> {
        let _moment = self.moment.read().unwrap_or_else(PoisonError::into_inner);
        change(self.tree().directories.get_mut(path).ok_or(io::ErrorKind::NotFound)?)
    }

    /// Opens a file.
    fn open(self: &Arc<Self>, path: &Path) -> io::Result<Arc<dyn VfsFile>> {
        Ok(Arc::new(MemoryFile { shared: Arc::clone(self), inode: self.inode(path)? }))
    }
}

impl Directory {
    /// Applies a change to the live names and notes it.
    fn apply(&mut self, change: NameChange) {
        change.apply_to(&mut self.live);
        self.pending.push(change);
    }
}

impl NameChange {
    /// Applies the change to a set of names.
    pub(super) fn apply_to(&self, names: &mut BTreeMap<String, Arc<Inode>>) {
        if let Some(name) = &self.removed {
            names.remove(name);
        }
        if let Some((name, inode)) = &self.added {
            names.insert(name.clone(), Arc::clone(inode));
        }
    }
}

/// A path's directory and name.
fn split(path: &Path) -> io::Result<(&Path, &str)> {
    let name = path.file_name().and_then(|name| name.to_str()).ok_or(io::ErrorKind::InvalidInput)?;
    Ok((path.parent().unwrap_or(Path::new("")), name))
}

impl Vfs for MemoryVfs {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>> {
        let (directory, name) = split(path)?;
        let inode = Arc::new(Inode::default());
        self.shared.change(directory, |directory| {
            if directory.live.contains_key(name) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            directory.apply(NameChange { removed: None, added: Some((name.to_owned(), Arc::clone(&inode))) });
            Ok(())
        })?;
        Ok(Arc::new(MemoryFile { shared: Arc::clone(&self.shared), inode }))
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>> {
        self.shared.open(path)
    }

    fn open_append(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>> {
        let inode = self.shared.inode(path)?;
        let mut content = inode.content.write().unwrap_or_else(PoisonError::into_inner);
        content.written = content.bytes.len();
        drop(content);
        self.shared.open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let ((from_directory, from_name), (to_directory, to_name)) = (split(from)?, split(to)?);
        if from_directory != to_directory {
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.shared.change(from_directory, |directory| {
            let inode = directory.live.get(from_name).cloned().ok_or(io::ErrorKind::NotFound)?;
            let added = Some((to_name.to_owned(), inode));
            directory.apply(NameChange { removed: Some(from_name.to_owned()), added });
            Ok(())
        })
    }

    fn link(&self, existing: &Path, new: &Path) -> io::Result<()> {
        let inode = self.shared.inode(existing)?;
        let (directory, name) = split(new)?;
        self.shared.change(directory, |directory| {
            if directory.live.contains_key(name) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            directory.apply(NameChange { removed: None, added: Some((name.to_owned(), inode)) });
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let (directory, name) = split(path)?;
        self.shared.change(directory, |directory| {
            if !directory.live.contains_key(name) {
                return Err(io::ErrorKind::NotFound.into());
            }
            directory.apply(NameChange { removed: Some(name.to_owned()), added: None });
            Ok(())
        })
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let tree = self.shared.tree();
        let listed = tree.directories.get(directory).ok_or(io::ErrorKind::NotFound)?;
        let mut names: Vec<String> = listed.live.keys().cloned().collect();
        let children = tree.directories.keys().filter(|path| path.parent() == Some(directory));
        names.extend(children.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())));
        Ok(names)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let _moment = self.shared.moment.read().unwrap_or_else(PoisonError::into_inner);
        let mut tree = self.shared.tree();
        for ancestor in path.ancestors() {
            let durable = ancestor.parent().is_none() || ancestor.as_os_str().is_empty();
            let back = tree.removed.remove(ancestor);
            tree.directories
                .entry(ancestor.to_path_buf())
                .or_insert_with(|| back.unwrap_or(Directory { durable, ..Directory::default() }));
        }
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let _moment = self.shared.moment.read().unwrap_or_else(PoisonError::into_inner);
        let tree = &mut *self.shared.tree();
        let directory = tree.directories.get(path).ok_or(io::ErrorKind::NotFound)?;
        if !directory.live.is_empty() || tree.directories.keys().any(|child| child.parent() == Some(path)) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        if let Some(directory) = tree.directories.remove(path).filter(|directory| directory.durable) {
            tree.removed.insert(path.to_path_buf(), directory);
        }
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let _moment = self.shared.moment.read().unwrap_or_else(PoisonError::into_inner);
        let mut tree = self.shared.tree();
        let directory = tree.directories.get_mut(path).ok_or(io::ErrorKind::NotFound)?;
        directory.synced = directory.live.clone();
        directory.pending.clear();
        tree.removed.retain(|child, _| child.parent() != Some(path));
        for (child, directory) in &mut tree.directories {
            if child.parent() == Some(path) {
                directory.durable = true;
            }
        }
        Ok(())
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        self.shared.open(path)?.len()
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn VfsLock>> {
        match self.create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Err(_) | Ok(_) => {}
        }
        if !self.shared.tree().locked.insert(path.to_path_buf()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(MemoryLock { shared: Arc::clone(&self.shared), path: path.to_path_buf() }))
    }

    fn unique_id(&self) -> io::Result<u128> {
        Ok(u128::from(self.shared.identities.fetch_add(1, Ordering::Relaxed)) + 1)
    }
}

impl VfsFile for MemoryFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let content = self.inode.content.read().unwrap_or_else(PoisonError::into_inner);
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let Some(available) = content.bytes.get(start..) else { return Ok(0) };
        let count = available.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), available.get(..count)) {
            to.copy_from_slice(from);
        }
        Ok(count)
    }

    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let _moment = self.shared.moment.read().unwrap_or_else(PoisonError::into_inner);
        let mut content = self.inode.content.write().unwrap_or_else(PoisonError::into_inner);
        let content = &mut *content;
        let room = content.bytes.len() - content.written;
        let (into_room, beyond) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
        let end = content.written + into_room.len();
        if let Some(reserved) = content.bytes.get_mut(content.written..end) {
            reserved.copy_from_slice(into_room);
        }
        content.bytes.extend_from_slice(beyond);
        content.written += bytes.len();
        Ok(())
    }

    fn reserve(&self, bytes: u64) -> io::Result<()> {
        let _moment = self.shared.moment.read().unwrap_or_else(PoisonError::into_inner);
        let mut content = self.inode.content.write().unwrap_or_else(PoisonError::into_inner);
        let bytes = usize::try_from(bytes).map_err(|_| io::ErrorKind::StorageFull)?;
        let length = content.written.checked_add(bytes).ok_or(io::ErrorKind::StorageFull)?;
        if length > content.bytes.len() {
            content.bytes.resize(length, 0);
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let _moment = self.shared.moment.read().unwrap_or_else(PoisonError::into_inner);
        let mut content = self.inode.content.write().unwrap_or_else(PoisonError::into_inner);
        (content.synced, content.synced_length) = (content.written, content.bytes.len());
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        let content = self.inode.content.read().unwrap_or_else(PoisonError::into_inner);
        Ok(u64::try_from(content.bytes.len()).unwrap_or(u64::MAX))
    }
}

impl VfsLock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.shared.tree().locked.remove(&self.path);
    }
}
