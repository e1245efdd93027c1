//! Memory maps: what is mapped and when, that a compaction reads past them, and that a page which cannot be read is an error.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use sheaf_storage::vfs::{MappedBytes, MappedFile};
use sheaf_storage::{
    DiskVfs, Durability, Error, FilterKind, IterOptions, MemoryVfs, ReadMode, Store, StoreOptions, Vfs,
    VfsFile, VfsLock, WriteBatch,
};

use crate::fixture::{DIRECTORY, encrypted_options, memory, small_options};
use crate::model::forward;

/// A file system in memory whose files can be mapped: a map is a copy of the bytes.
#[derive(Clone, Debug)]
pub struct MappingVfs {
    base: MemoryVfs,
    seen: Arc<Seen>,
}

/// What was asked of a [`MappingVfs`].
#[derive(Debug, Default)]
struct Seen {
    /// What was mapped.
    maps: Mutex<Vec<PathBuf>>,
    /// Sstables and blob files read by position.
    reads: AtomicUsize,
    /// Parts of maps brought into memory.
    populated: AtomicUsize,
}

#[derive(Debug)]
struct Mappable {
    base: Arc<dyn VfsFile>,
    path: PathBuf,
    vfs: MappingVfs,
}

struct Copied(Vec<u8>, Arc<Seen>);

impl AsRef<[u8]> for Copied {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl MappedFile for Copied {
    fn populate(&self, bytes: Range<usize>) -> io::Result<()> {
        assert!(bytes.start < bytes.end && bytes.end <= self.0.len());
        self.1.populated.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

impl MappingVfs {
    pub fn new(base: &MemoryVfs) -> MappingVfs {
        MappingVfs { base: base.clone(), seen: Arc::default() }
    }

    fn wrap(&self, path: &Path, base: io::Result<Arc<dyn VfsFile>>) -> io::Result<Arc<dyn VfsFile>> {
        Ok(Arc::new(Mappable { base: base?, path: path.into(), vfs: self.clone() }))
    }
}

impl Vfs for MappingVfs {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>> {
        self.wrap(path, self.base.create(path))
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>> {
        self.wrap(path, self.base.open_read(path))
    }

    fn open_append(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>> {
        self.wrap(path, self.base.open_append(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.base.rename(from, to)
    }

    fn link(&self, existing: &Path, new: &Path) -> io::Result<()> {
        self.base.link(existing, new)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.base.remove(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        self.base.list(directory)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.base.create_dir(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.base.remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.base.sync_dir(path)
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        self.base.len(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn VfsLock>> {
        self.base.lock(path)
    }

    fn unique_id(&self) -> io::Result<u128> {
        self.base.unique_id()
    }
}

impl VfsFile for Mappable {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if self.path.extension().is_some_and(|extension| extension == "sst" || extension == "blob") {
            self.vfs.seen.reads.fetch_add(1, Ordering::SeqCst);
        }
        self.base.read_at(offset, buffer)
    }

    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        assert!(
            !self.vfs.seen.maps.lock().unwrap().contains(&self.path),
            "{} is mapped",
            self.path.display()
        );
        self.base.append(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.base.sync()
    }

    fn len(&self) -> io::Result<u64> {
        self.base.len()
    }

    fn map(&self) -> io::Result<Option<MappedBytes>> {
        let bytes = self.vfs.base.contents(&self.path)?;
        self.vfs.seen.maps.lock().unwrap().push(self.path.clone());
        Ok(Some(Arc::new(Copied(bytes, Arc::clone(&self.vfs.seen)))))
    }
}

fn mapped_options() -> StoreOptions {
    StoreOptions { read_mode: ReadMode::Mmap, ..small_options() }
}

fn fill(store: &Store, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let mut batch = WriteBatch::new();
        batch.put(format!("d{number:05}"), vec![number as u8; 20 + number % 300]);
        store.tablet().commit(batch, Some(Durability::Async)).unwrap();
    }
}

fn check(store: &Store, count: usize) {
    let found = forward(&mut store.tablet().snapshot().iter(IterOptions::default()).unwrap());
    assert_eq!(found.len(), count);
    for (number, (_, value)) in found.iter().enumerate() {
        assert_eq!(*value, vec![number as u8; 20 + number % 300]);
    }
}

#[test]
fn only_files_that_are_complete_durable_and_named_are_mapped() {
    let (disk, _) = memory();
    let vfs = MappingVfs::new(&disk);
    let store = Store::open(Arc::new(vfs.clone()), DIRECTORY.as_ref(), mapped_options()).unwrap();
    for round in 0..6 {
        fill(&store, round * 100..round * 100 + 100);
        check(&store, round * 100 + 100);
        // What a power cut would leave now has every file that was ever mapped and is still there, whole.
        let crashed = disk.crash_clone(1, 0);
        for path in vfs.seen.maps.lock().unwrap().iter() {
            assert!(path.extension().is_some_and(|e| e == "sst" || e == "blob"), "{}", path.display());
            if let Ok(bytes) = disk.contents(path) {
                assert_eq!(crashed.contents(path).unwrap(), bytes, "{}", path.display());
            }
        }
        if round == 3 {
            store.tablet().compact_all().unwrap();
        }
    }
    assert!(vfs.seen.maps.lock().unwrap().len() > 10);
    assert!(vfs.seen.populated.load(Ordering::SeqCst) > 10);
}

#[test]
fn a_page_is_asked_for_once_and_a_compaction_reads_past_the_map() {
    let (disk, _) = memory();
    let vfs = MappingVfs::new(&disk);
    // Nothing stays cached, so that every lookup goes to the file.
    let options = StoreOptions { cache_bytes: 1 << 10, ..mapped_options() };
    let store = Store::open(Arc::new(vfs.clone()), DIRECTORY.as_ref(), options).unwrap();
    fill(&store, 0..300);
    store.tablet().flush().unwrap();
    let count = |counter: &AtomicUsize| counter.swap(0, Ordering::SeqCst);
    check(&store, 300);
    count(&vfs.seen.populated);
    let opened = count(&vfs.seen.reads);
    check(&store, 300);
    assert_eq!((count(&vfs.seen.populated), count(&vfs.seen.reads)), (0, 0), "{opened} reads to open files");
    store.tablet().compact_all().unwrap();
    assert_eq!(count(&vfs.seen.populated), 0, "by position alone");
    assert!(count(&vfs.seen.reads) > 20);
    check(&store, 300);
}

#[test]
#[cfg(all(unix, target_pointer_width = "64"))]
fn a_mapped_file_is_read_on_after_it_was_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let options = StoreOptions { durability: Durability::None, ..mapped_options() };
    let store = Store::open(Arc::new(DiskVfs), &path, options).unwrap();
    fill(&store, 0..200);
    store.tablet().flush().unwrap();
    let snapshot = store.tablet().snapshot();
    let mut iter = snapshot.iter(IterOptions::default()).unwrap();
    assert!(iter.seek_to_first().unwrap());
    let value = snapshot.get(b"d00199").unwrap().unwrap();
    fill(&store, 0..200);
    store.tablet().compact_all().unwrap();
    assert_eq!(forward(&mut iter).len(), 200);
    drop((iter, snapshot));
    assert_eq!(*value, [199; 219]);
}

/// Where the child's store is; unset in an ordinary run.
const CHILD_DIRECTORY: &str = "SHEAF_MAPPED_DIRECTORY";

/// The child: its files become shorter behind its back, as when a medium loses them.
#[test]
fn mapped_child() {
    let Some(directory) = std::env::var_os(CHILD_DIRECTORY) else { return };
    let options = StoreOptions {
        durability: Durability::None,
        table_bytes_target: 8 << 20,
        cache_bytes: 1 << 10,
        // What was read before the medium lost it is not helped: so nothing of the file's end is read where it is mapped.
        encryption: encrypted_options().encryption,
        filter: FilterKind::None,
        ..mapped_options()
    };
    let store = Store::open(Arc::new(DiskVfs), Path::new(&directory), options.clone()).unwrap();
    for number in 0..4_000_u64 {
        let mut batch = WriteBatch::new();
        batch.put(format!("i{number:05}"), vec![number as u8; 128]);
        store.tablet().commit(batch, None).unwrap();
    }
    store.tablet().compact_all().unwrap();
    store.close().unwrap();
    let store = Store::open(Arc::new(DiskVfs), Path::new(&directory), options).unwrap();
    let tablet = store.tablet();
    assert!(tablet.get(b"i00000").unwrap().is_some());
    for entry in std::fs::read_dir(Path::new(&directory).join("tablet-1")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "sst") {
            let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
            assert!(file.metadata().unwrap().len() > 300 << 10);
            file.set_len(64 << 10).unwrap();
        }
    }
    let error = tablet.get(b"i02000").unwrap_err();
    assert!(matches!(&error, Error::Io { operation: "read", .. }), "{error}");
    assert!(tablet.get(b"i00000").unwrap().is_some(), "what is there can be read");
    println!("the child lives: {error}");
}

#[test]
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
fn a_page_that_cannot_be_read_is_an_error_and_not_the_end_of_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "mapped::mapped_child", "--nocapture", "--test-threads=1"])
        .env(CHILD_DIRECTORY, directory.path().join("store"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("the child lives"), "{text}");
}
