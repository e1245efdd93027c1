//! Stores as earlier builds wrote them still open. One directory per format version, never changed once released.
//!
//! `frozen/v1` (in the open), `frozen/v2` (encrypted), `frozen/v3` (several tablets), `frozen/v4` (several tablets, compressed
//! records) and `frozen/v5` (compressed records, a segment begun early) were written by [`write_store`] with the environment variable below
//! naming the directory the others are in; a change that makes this build unable to read one needs a new format version.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sheaf_storage::{
    Compression, DiskVfs, Durability, Error, IterOptions, MemoryVfs, Result, Store, StoreOptions, TabletId,
    Vfs, VfsFile, WalCompression, WriteBatch, inspect,
};

use crate::fixture::{DIRECTORY, encrypted_options, memory, open, small_options};
use crate::model::{Model, forward};

/// Every format version there has been.
const VERSIONS: [&str; 5] = ["v1", "v2", "v3", "v4", "v5"];

/// The versions whose store has several tablets.
const OF_TABLETS: [&str; 2] = ["v3", "v4"];

/// Where to write a new frozen store; unset in an ordinary run.
const FREEZE_DIRECTORY: &str = "SHEAF_FREEZE_DIRECTORY";

/// How the store of a format version is opened: encryption came with 2, and those after can do without. Compressed records came
/// with 4.
fn options(version: &str) -> StoreOptions {
    let mut options = if version == "v2" { encrypted_options() } else { small_options() };
    options.compression = [Compression::Lz4; 7];
    options.compression[6] = Compression::Zstd;
    options.wal_compression = match version {
        "v4" | "v5" => WalCompression::Lz4 { entry_bytes_min: 64 },
        _ => WalCompression::None,
    };
    options
}

/// The batches of the frozen store, in order.
fn batches() -> Vec<WriteBatch> {
    let mut batches = Vec::new();
    for number in 0..60_u32 {
        let mut batch = WriteBatch::new();
        batch.put(
            format!("d{:03}", number * 7 % 60),
            format!("document {number} ").repeat(number as usize / 2),
        );
        batch.put(format!("i{number:03}"), number.to_be_bytes());
        if number % 9 == 4 {
            batch.delete(format!("i{:03}", number / 2));
        }
        if number % 20 == 13 {
            batch.delete_range(format!("d{:03}", number - 9), format!("d{:03}", number - 3));
        }
        batches.push(batch);
    }
    batches
}

/// Writes the frozen store: sstables in two levels, blob files, a manifest with several edits, records in the log.
fn write_store(vfs: &Arc<dyn Vfs>, directory: &Path, version: &str) -> Result<()> {
    let store = Store::open(Arc::clone(vfs), &directory.join(version), options(version))?;
    for (number, batch) in batches().into_iter().enumerate() {
        // What is synced leaves nothing to sync to who begins a segment.
        let early = version == "v5" && number % 10 != 5;
        let durability = if early { Durability::Async } else { Durability::Sync };
        store.tablet().commit(batch, Some(durability))?;
        if OF_TABLETS.contains(&version) {
            write_tablets(&store, number)?;
        }
        match number {
            20 => store.tablet().compact_all()?,
            40 => store.tablet().flush()?,
            _ => {}
        }
    }
    store.close()
}

/// Beside the first tablet one that is seldom written, so that its records are appended again, and one that goes.
fn write_tablets(store: &Store, number: usize) -> Result<()> {
    if number == 5 {
        store.create_tablet(TabletId(1))?;
        store.create_tablet(TabletId(2))?;
    }
    let mut batch = WriteBatch::new();
    batch.put(format!("k{number:02}"), "second");
    if number % 6 == 5 {
        store.tablet_by_id(TabletId(1))?.commit(batch.clone(), None)?;
    }
    match number {
        5..=7 => store.tablet_by_id(TabletId(2))?.commit(batch, None).map(drop),
        57 => store.drop_tablet(TabletId(2)),
        _ => Ok(()),
    }
}

/// What the frozen store holds.
fn expected() -> Vec<(Vec<u8>, Vec<u8>)> {
    let (_, vfs) = memory();
    let store = open(&vfs, options("v1")).unwrap();
    let mut model = Model::default();
    for batch in batches() {
        let timestamp = store.tablet().commit(batch.clone(), None).unwrap();
        model.apply(&batch, timestamp);
    }
    model.scan(store.tablet().last_timestamp(), None, None)
}

fn read_file(file: &dyn VfsFile) -> Vec<u8> {
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_exact_at(0, &mut bytes).unwrap();
    bytes
}

/// Copies a store's files.
fn copy(from: &dyn Vfs, source: &Path, to: &MemoryVfs, target: &Path) {
    for part in ["", "log", "tablet-1", "tablet-0000000001"] {
        let (source, target) = (source.join(part), target.join(part));
        let Ok(names) = from.list(&source) else { continue };
        to.create_dir(&target).unwrap();
        for name in names {
            if let Ok(file) = from.open_read(&source.join(&name))
                && let Ok(length) = file.len()
                && name.contains(|letter: char| letter == '.' || letter.is_ascii_uppercase())
            {
                assert!(length < 1 << 20);
                to.create(&target.join(name)).unwrap().append(&read_file(&*file)).unwrap();
            }
        }
    }
}

#[test]
fn stores_of_every_released_format_version_open() {
    if let Some(directory) = std::env::var_os(FREEZE_DIRECTORY) {
        let newest = VERSIONS.last().unwrap();
        write_store(&(Arc::new(DiskVfs) as Arc<dyn Vfs>), Path::new(&directory), newest).unwrap();
    }
    let frozen = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/storage/frozen");
    for version in VERSIONS {
        let (disk, vfs) = memory();
        copy(&DiskVfs, &frozen.join(version), &disk, Path::new(DIRECTORY));
        let names: Vec<String> = disk.files().iter().map(|(path, _)| path.display().to_string()).collect();
        for kind in [".wal", ".manifest", ".sst", ".blob", "STORE", "CURRENT"] {
            assert!(names.iter().any(|name| name.ends_with(kind)), "{version} has no {kind}: {names:?}");
        }
        if ["v4", "v5"].contains(&version) {
            let mut text = Vec::new();
            let logs =
                disk.files().into_iter().filter(|(path, _)| path.extension().is_some_and(|is| is == "wal"));
            logs.for_each(|(path, _)| inspect(&vfs, &path, None, &mut text).unwrap());
            let text = String::from_utf8(text).unwrap();
            let (records, compressed) =
                (text.matches(": batch ").count(), text.matches(" bytes compressed to ").count());
            assert!(compressed > 0 && (records > compressed || version == "v5"), "{text}");
            assert_eq!(text.contains(", begun early"), version == "v5", "{text}");
        }
        let store = open(&vfs, options(version)).unwrap();
        let snapshot = store.tablet().snapshot();
        assert_eq!(forward(&mut snapshot.iter(IterOptions::default()).unwrap()), expected(), "{version}");
        assert!(store.verify().problems.is_empty());
        assert_eq!(format!("v{}", store.format_version()), version);
        if OF_TABLETS.contains(&version) {
            let second = store.tablet_by_id(TabletId(1)).unwrap().snapshot();
            let keys =
                forward(&mut second.iter(IterOptions::default()).unwrap()).into_iter().map(|(key, _)| key);
            assert!(keys.eq((0..10).map(|at| format!("k{:02}", at * 6 + 5).into_bytes())));
            assert!(matches!(store.tablet_by_id(TabletId(2)), Err(Error::TabletDropped(_))));
        }
        store.tablet().compact_all().unwrap();
        store.close().unwrap();
    }
}
