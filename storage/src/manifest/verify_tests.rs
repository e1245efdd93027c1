//! A store that has gone another way than its manifest says is named, whatever the difference is.

use std::path::Path;
use std::sync::atomic::AtomicU64;

use super::*;
use crate::cache::BlockCache;
use crate::file_id::FileId;
use crate::manifest::{VersionEdit, VersionRef};
use crate::options::ReadMode;
use crate::poison::Poison;
use crate::sstable::block_file::FileOpener;
use crate::timestamp::Timestamp;
use crate::vfs::{MemoryVfs, Vfs as _};

const BLOB: FileId = FileId(7);

fn table(id: u64, references: &[(FileId, u64)]) -> TableMeta {
    let placed = crate::manifest::table_in_no_file(id, &format!("{id}a"), &format!("{id}b"), id);
    TableMeta { blob_references: references.to_vec(), ..placed }
}

fn blob(value_bytes: u64) -> BlobMeta {
    BlobMeta { file_id: BLOB, size_bytes: 9, checksum: 0, values: 1, value_bytes }
}

/// A set of two tables and a blob file.
fn set() -> VersionSet {
    let vfs = MemoryVfs::new();
    vfs.create_dir(Path::new("/t")).unwrap();
    let opener = FileOpener {
        vfs: std::sync::Arc::new(vfs),
        directory: "/t".into(),
        cache: std::sync::Arc::new(BlockCache::new(1 << 20)),
        read_mode: ReadMode::Pread,
        open_files: std::sync::Arc::default(),
        keys: None,
        abandoned: std::sync::Arc::default(),
    };
    let poison = std::sync::Arc::new(Poison::default());
    let set = VersionSet::create(std::sync::Arc::new(opener), 5, 1 << 20, poison, 1).unwrap();
    for _ in 0..20 {
        set.next_file();
        set.next_epoch();
    }
    let edit = VersionEdit {
        added_tables: vec![(3, table(1, &[])), (3, table(2, &[(BLOB, 5)]))],
        added_blobs: vec![blob(5)],
        applied_index: Some(9),
        last_timestamp: Some(Timestamp(90)),
        history_floor: Some(Timestamp(80)),
        ..VersionEdit::default()
    };
    set.install(edit, |_| {}).unwrap();
    set
}

fn names(set: &VersionSet, what: &str) {
    let error = set.verify().unwrap_err();
    let named = matches!(&error, Error::Corruption { file, detail, .. }
        if file.extension().is_some_and(|e| e == "manifest") && detail.contains(what));
    assert!(named, "{what}: {error}");
}

#[test]
fn other_tables_or_blob_files_than_the_manifest_leads_to_are_named() {
    let changes = [
        (VersionEdit { removed_tables: vec![(3, FileId(1))], ..VersionEdit::default() }, "sstables in L3"),
        (VersionEdit { added_tables: vec![(5, table(3, &[]))], ..VersionEdit::default() }, "sstables in L5"),
        (
            VersionEdit {
                removed_tables: vec![(3, FileId(1))],
                added_tables: vec![(3, TableMeta { entries: 2, ..table(1, &[]) })],
                ..VersionEdit::default()
            },
            "sstables in L3",
        ),
        (VersionEdit { added_blobs: vec![blob(6)], ..VersionEdit::default() }, "other blob files"),
    ];
    for (edit, what) in changes {
        let set = set();
        assert_eq!(set.verify().unwrap().0, 2);
        let other = set.version().apply(&edit, set.opener()).unwrap();
        set.lock().version = VersionRef::new(other);
        names(&set, what);
    }
}

#[test]
fn another_progress_than_the_manifest_leads_to_is_named() {
    let before = set().progress();
    let mut changes = vec![before; 7];
    changes[0].log_segment += 1;
    changes[1].log_promise.offset += 1;
    changes[2].applied_index -= 1;
    changes[3].last_timestamp.0 += 1;
    changes[4].history_floor.0 -= 1;
    changes[5].log_start.segment += 1;
    changes[6].log_begin += 1;
    for progress in changes {
        let set = set();
        set.lock().progress = progress;
        names(&set, "log positions, timestamps or indexes");
    }
}

#[test]
fn a_file_number_or_epoch_that_would_be_given_twice_is_named() {
    type Counter = fn(&VersionSet) -> &AtomicU64;
    let counters: [Counter; 2] = [|set| &set.next_file, |set| &set.next_epoch];
    for counter in counters {
        let set = set();
        counter(&set).fetch_sub(1, Ordering::Relaxed);
        names(&set, "larger file numbers or epochs");
        counter(&set).fetch_add(5, Ordering::Relaxed);
        set.verify().unwrap();
    }
}
