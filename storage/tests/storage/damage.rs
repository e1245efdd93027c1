//! Files that are not as they were written: an error, or the right data; never wrong data, never a panic.

use std::path::Path;
use std::sync::Arc;

use sheaf_storage::{
    Error, IterOptions, MemoryVfs, Result, Store, StoreOptions, Vfs, WalCompression, WriteBatch, salvage,
};

use crate::fixture::{DIRECTORY, deep, memory, open, small_options};
use crate::model::forward;

/// What a store holds.
type Content = Vec<(Vec<u8>, Vec<u8>)>;

/// A closed store with every kind of file, and what it holds.
fn closed_store() -> (MemoryVfs, Content) {
    let (disk, vfs) = memory();
    // Some of its records are compressed.
    let wal_compression = WalCompression::Lz4 { entry_bytes_min: 70 };
    let store = open(&vfs, StoreOptions { wal_compression, ..small_options() }).unwrap();
    let tablet = store.tablet();
    for number in 0..50_u32 {
        let mut batch = WriteBatch::new();
        batch.put(format!("d{number:03}"), vec![number as u8; 90 + number as usize]);
        batch.put(format!("i{number:03}"), b"small");
        if number % 10 == 9 {
            batch.delete_range(format!("i{:03}", number - 5), format!("i{:03}", number - 3));
        }
        tablet.commit(batch, None).unwrap();
        if number == 20 || number == 35 {
            tablet.flush().unwrap();
        }
    }
    let content = forward(&mut tablet.snapshot().iter(IterOptions::default()).unwrap());
    store.close().unwrap();
    (disk, content)
}

/// Opens and reads everything, both ways and key by key.
fn read_all(vfs: &Arc<dyn Vfs>, keys: &Content) -> Result<Content> {
    let store = open(vfs, small_options())?;
    let snapshot = store.tablet().snapshot();
    let mut iter = snapshot.iter(IterOptions::default())?;
    let mut found = Vec::new();
    let mut valid = iter.seek_to_first()?;
    while valid {
        found.push((iter.key().to_vec(), iter.value().to_vec()));
        valid = iter.next()?;
    }
    let mut valid = iter.seek_to_last()?;
    let mut count = 0;
    while valid {
        count += 1;
        valid = iter.prev()?;
    }
    assert_eq!(count, found.len());
    for (key, value) in keys {
        assert_eq!(snapshot.get(key)?.as_deref(), Some(value.as_slice()));
    }
    Ok(found)
}

/// Damages one file in a copy of the disk; true if the damage was noticed.
fn survive(disk: &MemoryVfs, path: &Path, bytes: Vec<u8>, content: &Content, what: &str) -> bool {
    let copy = disk.crash_clone(1, 100);
    copy.overwrite(path, bytes).unwrap();
    let vfs: Arc<dyn Vfs> = Arc::new(copy);
    match read_all(&vfs, content) {
        Ok(found) => {
            assert_eq!(&found, content, "{} {what}", path.display());
            false
        }
        Err(Error::Corruption { .. } | Error::FormatVersion { .. }) => true,
        Err(error) => panic!("{} {what}: {error}", path.display()),
    }
}

/// Damages every `stride`th byte and length; returns how many cases there were and how many were noticed.
pub fn damage(stride: usize) -> (u32, u32) {
    let (disk, content) = closed_store();
    assert!(content.len() > 80);
    let (mut cases, mut noticed) = (0_u32, 0_u32);
    for (path, _) in disk.files() {
        let original = disk.contents(&path).unwrap();
        for at in (0..original.len()).step_by(stride) {
            let mut damaged = original.clone();
            damaged[at] ^= 1 << (at % 8);
            noticed += u32::from(survive(&disk, &path, damaged, &content, &format!("flipped at {at}")));
            let what = format!("cut at {at}");
            noticed += u32::from(survive(&disk, &path, original[..at].to_vec(), &content, &what));
            cases += 2;
        }
    }
    (cases, noticed)
}

#[test]
fn deep_damage() {
    let (cases, noticed) = damage(if deep() { 1 } else { 23 });
    println!("stage damage: {cases} damaged stores, {noticed} named it, the others had the right data");
    assert!(noticed > cases / 2);
}

#[test]
fn a_missing_file_of_any_kind_is_named() {
    let (disk, content) = closed_store();
    for (path, _) in disk.files() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name == "LOCK" {
            continue;
        }
        let copy = disk.crash_clone(1, 100);
        copy.remove(&path).unwrap();
        let vfs: Arc<dyn Vfs> = Arc::new(copy);
        let error = read_all(&vfs, &content).err();
        let named = matches!(&error, Some(Error::Corruption { .. }))
            || matches!(&error, Some(Error::Io { file, .. }) if *file == path);
        assert!(named, "{name}: {error:?}");
    }
}

#[test]
fn verify_finds_what_reading_has_not_met() {
    let (disk, _) = closed_store();
    let (path, _) =
        disk.files().into_iter().find(|(path, _)| path.extension().is_some_and(|e| e == "sst")).unwrap();
    let mut bytes = disk.contents(&path).unwrap();
    bytes[0] ^= 1;
    disk.overwrite(&path, bytes).unwrap();
    let vfs: Arc<dyn Vfs> = Arc::new(disk);
    let store = open(&vfs, small_options()).unwrap();
    let report = store.tablet().verify();
    assert!(
        matches!(report.problems.as_slice(), [Error::Corruption { file, .. }] if *file == path),
        "{report:?}"
    );
}

#[test]
fn salvage_copies_what_can_be_read() {
    let (disk, content) = closed_store();
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let (from, to) = (Path::new(DIRECTORY), Path::new("/saved"));
    let report = salvage(&vfs, from, &to.join("whole"), small_options()).unwrap();
    assert!(report.lost.is_empty(), "{report:?}");
    let saved = |name: &str| {
        let store = Store::open(Arc::clone(&vfs), &to.join(name), small_options()).unwrap();
        forward(&mut store.tablet().snapshot().iter(IterOptions::default()).unwrap())
    };
    assert_eq!(saved("whole"), content);
    for extension in ["sst", "wal", "manifest", "blob"] {
        let copy = disk.crash_clone(1, 100);
        let paths = copy.files().into_iter().map(|(path, _)| path);
        for path in paths.filter(|path| path.extension().is_some_and(|found| found == extension)) {
            let mut bytes = copy.contents(&path).unwrap();
            // Room reserved behind a log is nobody's loss.
            let middle = bytes.iter().rposition(|byte| *byte != 0).unwrap() / 2;
            bytes[middle] ^= 0xff;
            copy.overwrite(&path, bytes).unwrap();
        }
        let damaged: Arc<dyn Vfs> = Arc::new(copy);
        let report = salvage(&damaged, from, &to.join(extension), small_options()).unwrap();
        assert!(!report.lost.is_empty(), "{extension}");
        let store = Store::open(damaged, &to.join(extension), small_options()).unwrap();
        let found = forward(&mut store.tablet().snapshot().iter(IterOptions::default()).unwrap());
        assert!(found.iter().all(|pair| content.contains(pair)), "{extension}: nothing false");
        assert!(found.len() * 4 > content.len(), "{extension}: {} of {}", found.len(), content.len());
    }
    assert_eq!(forward_of(&vfs), content, "the damaged store is not touched");
}

fn forward_of(vfs: &Arc<dyn Vfs>) -> Content {
    let store = open(vfs, small_options()).unwrap();
    forward(&mut store.tablet().snapshot().iter(IterOptions::default()).unwrap())
}
