//! Versions that may not exist are refused, whole and without effect.

use super::*;
use crate::cache::BlockCache;
use crate::limits::LEVELS;
use crate::manifest::version_edit::{BlobMeta, TableBound, TableMeta};
use crate::options::ReadMode;
use crate::timestamp::Timestamp;
use crate::vfs::MemoryVfs;

fn opener() -> Arc<FileOpener> {
    Arc::new(FileOpener {
        vfs: Arc::new(MemoryVfs::new()),
        directory: "t".into(),
        cache: Arc::new(BlockCache::new(1 << 20)),
        read_mode: ReadMode::Pread,
        open_files: Arc::default(),
        keys: None,
        abandoned: Arc::default(),
    })
}

/// A table of one entry that is in no file.
pub(crate) fn table(id: u64, smallest: &str, largest: &str, epoch: u64) -> TableMeta {
    TableMeta {
        file_id: FileId(id),
        size_bytes: 1,
        checksum: 0,
        smallest: smallest.into(),
        largest: TableBound { key: largest.into(), exclusive: false },
        entries: 1,
        tombstones: 0,
        range_tombstones: 0,
        oldest: Timestamp(1),
        newest: Timestamp(1),
        epoch,
        fixed_timestamp: None,
        blob_references: Vec::new(),
    }
}

fn adding(tables: impl IntoIterator<Item = (usize, TableMeta)>) -> VersionEdit {
    VersionEdit { added_tables: tables.into_iter().collect(), ..VersionEdit::default() }
}

#[test]
fn tables_of_a_level_may_touch_and_not_overlap() {
    let (none, opener) = (Version::default(), opener());
    let version = none.apply(&adding([(3, table(1, "a", "c", 1)), (3, table(2, "d", "f", 1))]), &opener);
    let version = version.unwrap();
    for (smallest, largest) in [("c", "c"), ("b", "b"), ("f", "z"), ("A", "a"), ("A", "z")] {
        let refused = version.apply(&adding([(3, table(3, smallest, largest, 2))]), &opener);
        assert!(matches!(refused, Err(Error::InvalidInput(_))), "{smallest} to {largest}");
        version.apply(&adding([(4, table(3, smallest, largest, 2))]), &opener).unwrap();
    }
    let mut exclusive = table(3, "A", "a", 2);
    exclusive.largest.exclusive = true;
    version.apply(&adding([(3, exclusive)]), &opener).unwrap();
    version.apply(&adding([(3, table(3, "ca", "cz", 2))]), &opener).unwrap();
}

#[test]
fn tables_of_l0_overlap_only_across_epochs() {
    let (none, opener) = (Version::default(), opener());
    let apart = adding([(0, table(1, "a", "c", 5)), (0, table(2, "d", "f", 5)), (0, table(3, "b", "e", 6))]);
    let version = none.apply(&apart, &opener).unwrap();
    let order: Vec<u64> = version.level(0).iter().map(|table| table.meta.epoch).collect();
    assert_eq!(order, [6, 5, 5], "newest first");
    assert_eq!(version.l0_runs(), 2);
    let same = version.apply(&adding([(0, table(4, "c", "c", 5))]), &opener);
    assert!(matches!(same, Err(Error::InvalidInput(_))));
}

#[test]
fn an_edit_names_only_what_is_there() {
    let (none, opener) = (Version::default(), opener());
    let mut refers = table(1, "a", "c", 1);
    refers.blob_references = vec![(FileId(9), 100)];
    assert!(none.apply(&adding([(2, refers.clone())]), &opener).is_err(), "a blob file that is not there");
    let blob = BlobMeta { file_id: FileId(9), size_bytes: 1, checksum: 0, values: 1, value_bytes: 100 };
    let edit = VersionEdit { added_blobs: vec![blob], ..adding([(2, refers)]) };
    let version = none.apply(&edit, &opener).unwrap();
    assert_eq!(version.blob_live_bytes().into_iter().collect::<Vec<_>>(), [(FileId(9), 100)]);
    let removing =
        |level, id| VersionEdit { removed_tables: vec![(level, FileId(id))], ..VersionEdit::default() };
    assert!(version.apply(&removing(2, 8), &opener).is_err());
    assert!(version.apply(&removing(3, 1), &opener).is_err(), "it is in another level");
    assert!(
        version.apply(&adding([(4, table(1, "x", "y", 2))]), &opener).is_err(),
        "it would be in two places"
    );
    assert!(version.apply(&adding([(LEVELS, table(5, "x", "y", 2))]), &opener).is_err());
    let without_blob = VersionEdit { removed_blobs: vec![FileId(9)], ..VersionEdit::default() };
    assert!(version.apply(&without_blob, &opener).is_err(), "a table still refers to it");
    let empty = version.apply(&removing(2, 1), &opener).unwrap();
    assert!(empty.blobs.is_empty(), "a blob file goes with the last table that refers to it");
}

#[test]
fn the_live_bytes_of_a_blob_file_are_those_of_all_tables_that_refer_to_it() {
    let (none, opener) = (Version::default(), opener());
    let blob = |id| BlobMeta { file_id: FileId(id), size_bytes: 9, checksum: 0, values: 1, value_bytes: 90 };
    let referring = |id, key: &str, references: &[(u64, u64)]| {
        let blob_references = references.iter().map(|&(id, bytes)| (FileId(id), bytes)).collect();
        TableMeta { blob_references, ..table(id, key, key, id) }
    };
    let edit = VersionEdit {
        added_blobs: vec![blob(10), blob(11)],
        ..adding([
            (0, referring(1, "a", &[(10, 3)])),
            (3, referring(2, "b", &[(10, 5), (11, 7)])),
            (3, referring(3, "c", &[(10, 20)])),
        ])
    };
    let version = none.apply(&edit, &opener).unwrap();
    assert_eq!(version.blob_live_bytes(), [(FileId(10), 28), (FileId(11), 7)].into());
    let without = VersionEdit { removed_tables: vec![(3, FileId(2))], ..VersionEdit::default() };
    let version = version.apply(&without, &opener).unwrap();
    assert_eq!(version.blob_live_bytes(), [(FileId(10), 23)].into(), "and the other file is gone");
}
