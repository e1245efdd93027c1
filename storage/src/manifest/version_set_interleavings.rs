//! Versions that are swapped while they are read, in every order that the memory model allows: whoever holds a version reads
//! every file of it, and a file is gone once nobody does.
//!
//! An sstable and its blob file are replaced by others, then another sstable changes its level, which keeps its file.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use loom::sync::Arc as LoomArc;
use loom::thread::{self, yield_now};

use super::*;
use crate::cache::BlockCache;
use crate::compaction::{History, JobContext, write_sorted};
use crate::keyspace::{Keyspace, KeyspaceOptions};
use crate::options::{Compression, StoreOptions};
use crate::read::{CurrentView, ReadView, point};
use crate::sync::scheduled;
use crate::vfs::{MemoryVfs, Vfs};

/// Of three threads: more preemptions than this are not tried. Of two, there is no bound.
const PREEMPTIONS: usize = 4;
const BRANCHES_MAX: usize = 100_000;
const DIRECTORY: &str = "t";

fn opener(vfs: &MemoryVfs) -> Arc<FileOpener> {
    let options = StoreOptions::default();
    Arc::new(FileOpener {
        vfs: Arc::new(vfs.clone()),
        directory: DIRECTORY.into(),
        cache: Arc::new(BlockCache::new(1 << 20)),
        read_mode: options.read_mode,
        open_files: Arc::default(),
        keys: None,
        abandoned: Arc::default(),
    })
}

/// Writes an sstable, with a blob file if the value is large, and says how it becomes part of a level.
fn table(vfs: &MemoryVfs, first_file: u64, level: usize, key: &[u8], value: &[u8]) -> VersionEdit {
    let blobs = KeyspaceOptions { blob_threshold_bytes: Some(100), ..KeyspaceOptions::default() };
    let options = StoreOptions {
        compression: [Compression::None; 7],
        keyspaces: [(Keyspace(b'd'), blobs)].into(),
        ..StoreOptions::default()
    };
    let (next, stop) = (AtomicU64::new(first_file), scheduled::AtomicBool::new(false));
    let context = JobContext {
        options: &options,
        opener: &opener(vfs),
        next_file: &|| FileId(next.fetch_add(1, Ordering::Relaxed)),
        history: History::new([], Timestamp::ZERO),
        stop: &stop,
        pace: &|_| (),
    };
    let mut edit = write_sorted(&context, &mut [(key.to_vec(), value.to_vec())].into_iter()).unwrap();
    for (of, meta) in &mut edit.added_tables {
        *of = level;
        meta.fixed_timestamp = Some(Timestamp(5));
        (meta.oldest, meta.newest) = (Timestamp(5), Timestamp(5));
    }
    edit
}

/// The files of a tablet before it is opened, and the edits: the first makes it what it is, the others change it.
fn edits(vfs: &MemoryVfs) -> [VersionEdit; 3] {
    let mut first = table(vfs, 101, 6, b"d", &[1; 200]);
    let other = table(vfs, 111, 5, b"i", b"other");
    first.added_tables.extend(other.added_tables.clone());
    let mut replace = table(vfs, 121, 6, b"d", &[2; 200]);
    replace.removed_tables.push((6, first.added_tables[0].1.file_id));
    let (level, meta) = other.added_tables[0].clone();
    let shift = VersionEdit {
        removed_tables: vec![(level, meta.file_id)],
        added_tables: vec![(4, meta)],
        ..VersionEdit::default()
    };
    [first, replace, shift]
}

/// A tablet without memtables.
struct Tree {
    vfs: MemoryVfs,
    versions: VersionSet,
    current: CurrentView,
}

impl Tree {
    fn new(vfs: MemoryVfs, first: &VersionEdit) -> Tree {
        let versions = VersionSet::create(opener(&vfs), 7, 1 << 20, Arc::default(), 1).unwrap();
        let view = ReadView { memtables: Vec::new(), version: versions.version(), expiry: Arc::default() };
        let tree = Tree { vfs, versions, current: CurrentView::new(view) };
        tree.install(first);
        tree
    }

    /// As the tablet does.
    fn install(&self, edit: &VersionEdit) {
        let publish = |version: &VersionRef| {
            self.current.change(|view| view.version = VersionRef::clone(version));
        };
        self.versions.install(edit.clone(), publish).unwrap();
    }

    /// Reads what the view of now has, then lets others go first, then reads it again.
    fn read(&self) {
        let view = self.current.get();
        let value = |key: &[u8]| point::get(&view, key, Timestamp::MAX).unwrap().expect("a key").to_vec();
        let before = value(b"d");
        assert!(before.len() == 200 && matches!(before[0], 1 | 2));
        yield_now();
        check_files(&self.vfs, &view.version);
        assert_eq!((value(b"d"), value(b"i")), (before, b"other".to_vec()));
    }

    /// The same with the version that a job works on.
    fn work(&self) {
        let version = self.versions.version();
        yield_now();
        check_files(&self.vfs, &version);
    }
}

/// The paths of a version's files.
fn files(version: &Version) -> Vec<PathBuf> {
    let directory = Path::new(DIRECTORY);
    let tables = version.levels.iter().flatten().map(|table| table.meta.file_id.sstable_path(directory));
    tables.chain(version.blobs.keys().map(|id| id.blob_path(directory))).collect()
}

fn check_files(vfs: &MemoryVfs, version: &Version) {
    files(version).iter().for_each(|path| assert!(vfs.len(path).is_ok(), "{} is gone", path.display()));
}

/// What a thread does beside the edits.
type Other = fn(&Tree);

/// Two edits are installed while other threads do `others`; in the end the files are those of the last version.
fn explore(what: &str, others: &'static [Other]) {
    let (executions, written) = (Arc::new(AtomicUsize::new(0)), MemoryVfs::new());
    let counted = Arc::clone(&executions);
    written.create_dir(Path::new(DIRECTORY)).unwrap();
    let edits = edits(&written);
    let mut builder = loom::model::Builder::new();
    builder.max_branches = BRANCHES_MAX;
    builder.preemption_bound = (others.len() > 1).then_some(PREEMPTIONS);
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        let tree = LoomArc::new(Tree::new(written.crash_clone(1, 100), &edits[0]));
        let start = |other: &'static Other| {
            let tree = LoomArc::clone(&tree);
            thread::spawn(move || other(&tree))
        };
        let others: Vec<_> = others.iter().map(start).collect();
        tree.install(&edits[1]);
        tree.install(&edits[2]);
        others.into_iter().for_each(|other| other.join().unwrap());
        let mut expected = files(&tree.versions.version());
        let all = tree.vfs.files();
        let is_data = |name: &str| matches!(FileKind::of(name), FileKind::Sstable(_) | FileKind::Blob(_));
        let found = all
            .iter()
            .map(|(path, _)| path)
            .filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(is_data));
        let mut found: Vec<_> = found.cloned().collect();
        (found.sort(), expected.sort());
        assert_eq!(found, expected, "files of older versions stayed, or of the last one went");
    });
    println!("stage interleavings: {} orders of {what}", executions.load(Ordering::Relaxed));
}

#[test]
fn a_reader_has_its_files_while_versions_change() {
    let twice: Other = |tree| (0..2).for_each(|_| tree.read());
    explore("a reader and two edits", Box::leak(Box::new([twice])));
}

#[test]
fn a_reader_and_a_job_have_their_files_while_versions_change() {
    explore("a reader, a job and two edits", &[Tree::read, Tree::work]);
}
