//! An encrypted store: nothing of it can be read without the key, nothing is touched by who has the wrong one, and every tool
//! works with the right one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sheaf_storage::{
    Compression, Durability, Encryption, Error, IterOptions, KeyProblem, MasterKey, MemoryVfs, Store,
    StoreOptions, Vfs, WriteBatch, inspect, salvage,
};

use crate::crash::crash_with;
use crate::fixture::{DIRECTORY, deep, encrypted_options, master_key, memory, open, small_options};
use crate::model::forward;

/// What must not be found in any file.
const SECRET_KEY: &str = "patient-zero";
const SECRET_VALUE: &str = "diagnosis-hidden";

/// A store with every kind of file, full of secrets, left as a crash would leave it: records in the log, nothing closed.
fn secrets(options: &StoreOptions) -> (MemoryVfs, Arc<dyn Vfs>, Store) {
    let (disk, vfs) = memory();
    let store = open(&vfs, options.clone()).unwrap();
    let tablet = store.tablet();
    for number in 0..60_usize {
        let mut batch = WriteBatch::new();
        batch.put(format!("d{SECRET_KEY}{number:03}"), SECRET_VALUE.repeat(1 + number % 12));
        batch.put(format!("i{SECRET_KEY}{number:03}"), SECRET_VALUE);
        if number % 20 == 13 {
            batch.delete_range(
                format!("i{SECRET_KEY}{:03}", number - 9),
                format!("i{SECRET_KEY}{:03}", number - 6),
            );
        }
        tablet.commit(batch, Some(Durability::Sync)).unwrap();
        match number {
            20 => tablet.compact_all().unwrap(),
            40 => tablet.flush().unwrap(),
            _ => {}
        }
    }
    let pairs = (0..30).map(|number| (format!("j{SECRET_KEY}{number:03}").into_bytes(), SECRET_VALUE.into()));
    tablet.ingest(pairs).unwrap();
    tablet.checkpoint(Path::new("/copy")).unwrap();
    // Once more what is there already, so that the log is not empty and the checkpoint still the same.
    let mut batch = WriteBatch::new();
    batch.put(format!("i{SECRET_KEY}059"), SECRET_VALUE);
    tablet.commit(batch, Some(Durability::Sync)).unwrap();
    (disk, vfs, store)
}

fn contents(disk: &MemoryVfs) -> BTreeMap<PathBuf, Vec<u8>> {
    disk.files().into_iter().map(|(path, _)| (path.clone(), disk.contents(&path).unwrap())).collect()
}

fn everything(store: &Store) -> Vec<(Vec<u8>, Vec<u8>)> {
    forward(&mut store.tablet().snapshot().iter(IterOptions::default()).unwrap())
}

/// The kinds of files in which a secret can be read.
fn telling(disk: &MemoryVfs) -> Vec<String> {
    let tells = |bytes: &[u8]| {
        let secrets = [SECRET_KEY.as_bytes(), SECRET_VALUE.as_bytes()];
        secrets.iter().any(|secret| bytes.windows(secret.len()).any(|window| window == *secret))
    };
    let all = contents(disk);
    let mut kinds: Vec<String> = all
        .iter()
        .filter(|(_, bytes)| tells(bytes))
        .map(|(path, _)| path.extension().unwrap_or_default().to_string_lossy().into_owned())
        .collect();
    kinds.sort();
    kinds.dedup();
    kinds
}

#[test]
fn nothing_that_was_written_can_be_read_in_any_file() {
    let (disk, _, _open) = secrets(&encrypted_options());
    for kind in ["wal", "manifest", "sst", "blob"] {
        let of_kind = |(path, _): &(PathBuf, u64)| path.extension().is_some_and(|found| found == kind);
        assert!(disk.files().iter().any(of_kind), "no {kind} file");
    }
    assert_eq!(telling(&disk), [""; 0]);
    let (disk, _, _open) = secrets(&small_options());
    assert_eq!(telling(&disk), ["blob", "manifest", "sst", "wal"], "the search finds what is in the open");
}

#[test]
fn the_wrong_key_or_none_is_named_and_touches_nothing() {
    let (disk, vfs, store) = secrets(&encrypted_options());
    let all = everything(&store);
    store.close().unwrap();
    let before = contents(&disk);
    let refused = |encryption: Option<Encryption>| {
        let result = open(&vfs, StoreOptions { encryption, ..small_options() });
        match result.err() {
            Some(Error::Encryption { directory, problem }) if directory == Path::new(DIRECTORY) => problem,
            other => panic!("{other:?}"),
        }
    };
    let id = || "first".to_owned();
    assert_eq!(refused(None), KeyProblem::Missing { id: id() });
    assert_eq!(refused(Some(Encryption::new(master_key("other")))), KeyProblem::Unknown { id: id() });
    let wrong = MasterKey::new("first", [9; 32]).unwrap();
    assert_eq!(refused(Some(Encryption::new(wrong))), KeyProblem::Wrong { id: id() });
    assert_eq!(contents(&disk), before);
    assert_eq!(everything(&open(&vfs, encrypted_options()).unwrap()), all);

    let (disk, vfs) = memory();
    open(&vfs, small_options()).unwrap().close().unwrap();
    let before = contents(&disk);
    let error = open(&vfs, encrypted_options()).err().unwrap();
    assert!(matches!(&error, Error::Encryption { problem: KeyProblem::NotEncrypted, .. }), "{error}");
    assert_eq!(contents(&disk), before);
}

#[test]
fn a_rotation_is_durable_wraps_anew_every_time_and_goes_with_checkpoints() {
    let (disk, vfs) = memory();
    let store = open(&vfs, encrypted_options()).unwrap();
    let mut batch = WriteBatch::new();
    batch.put("i1", "v");
    store.tablet().commit(batch, None).unwrap();
    let keys = || disk.contents(&Path::new(DIRECTORY).join("KEYS")).unwrap();
    let mut wrapped = vec![keys()];
    for _ in 0..3 {
        store.rotate_master_key(&master_key("other")).unwrap();
        wrapped.push(keys());
    }
    // One nonce under one key must not encrypt twice.
    let nonces: std::collections::BTreeSet<&[u8]> = wrapped.iter().map(|bytes| &bytes[16..28]).collect();
    assert_eq!(nonces.len(), 4);
    let with =
        |id: &str| StoreOptions { encryption: Some(Encryption::new(master_key(id))), ..small_options() };
    store.checkpoint(Path::new("/later")).unwrap();
    let crashed: Arc<dyn Vfs> = Arc::new(disk.crash_clone(1, 0));
    for directory in [DIRECTORY, "/later"] {
        let path = Path::new(directory);
        let store = Store::open(Arc::clone(&crashed), path, with("other")).unwrap();
        assert_eq!(store.tablet().get(b"i1").unwrap().as_deref(), Some(&b"v"[..]));
        drop(store);
        assert!(Store::open(Arc::clone(&crashed), path, with("first")).is_err());
    }
}

#[test]
fn the_id_of_a_master_key_cannot_be_changed_by_who_has_not_the_key() {
    let (disk, vfs) = memory();
    drop(open(&vfs, encrypted_options()).unwrap());
    let path = Path::new(DIRECTORY).join("KEYS");
    let mut bytes = disk.contents(&path).unwrap();
    let at = bytes.windows(5).position(|window| window == b"first").unwrap();
    bytes[at..at + 5].copy_from_slice(b"third");
    let end = bytes.len() - 4;
    let sum = crc32c::crc32c(&bytes[..end]).to_le_bytes();
    bytes[end..].copy_from_slice(&sum);
    disk.overwrite(&path, bytes).unwrap();
    let same =
        MasterKey::new("third", std::array::from_fn(|at| key_byte("first").wrapping_add(at as u8))).unwrap();
    let options = StoreOptions { encryption: Some(Encryption::new(same)), ..small_options() };
    let error = open(&vfs, options).err().unwrap();
    assert!(matches!(&error, Error::Encryption { problem: KeyProblem::Wrong { .. }, .. }), "{error}");
}

/// The first byte of [`master_key`].
fn key_byte(id: &str) -> u8 {
    id.bytes().fold(1_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte))
}

#[test]
fn a_master_key_is_rotated_by_rewriting_one_small_file() {
    let (disk, vfs, store) = secrets(&encrypted_options());
    let all = everything(&store);
    let before = contents(&disk);
    store.rotate_master_key(&master_key("second")).unwrap();
    let changed: Vec<_> = contents(&disk)
        .into_iter()
        .filter(|(path, bytes)| before.get(path) != Some(bytes))
        .map(|(path, _)| path)
        .collect();
    assert_eq!(changed, [Path::new(DIRECTORY).join("KEYS")]);
    // What is written after it needs the new key alone.
    let mut batch = WriteBatch::new();
    batch.put("zlater", "x");
    store.tablet().commit(batch, None).unwrap();
    store.close().unwrap();
    let error = open(&vfs, encrypted_options()).err().unwrap();
    assert!(
        matches!(&error, Error::Encryption { problem: KeyProblem::Unknown { id }, .. } if id == "second")
    );
    let with = |encryption| StoreOptions { encryption: Some(encryption), ..small_options() };
    let both = Encryption { key: master_key("first"), others: vec![master_key("second")] };
    for encryption in [both, Encryption::new(master_key("second"))] {
        let store = open(&vfs, with(encryption)).unwrap();
        assert_eq!(everything(&store)[..all.len()], all);
        store.close().unwrap();
    }
    let copy = Store::open(Arc::clone(&vfs), Path::new("/copy"), encrypted_options()).unwrap();
    assert_eq!(everything(&copy), all, "a checkpoint made before stays with the key of its time");

    let (_, vfs) = memory();
    let open_store = open(&vfs, small_options()).unwrap();
    let error = open_store.rotate_master_key(&master_key("second")).unwrap_err();
    assert!(matches!(error, Error::Encryption { problem: KeyProblem::NotEncrypted, .. }));
}

#[test]
fn verify_checkpoint_ingest_and_salvage_work() {
    let (disk, vfs, store) = secrets(&encrypted_options());
    let all = everything(&store);
    assert_eq!(store.tablet().verify().problems.len(), 0);
    let copy = Store::open(Arc::clone(&vfs), Path::new("/copy"), encrypted_options()).unwrap();
    assert_eq!(everything(&copy), all);
    copy.tablet().compact_all().unwrap();
    store.close().unwrap();
    let saved = |from: &str, to: &str, options: StoreOptions| {
        let report = salvage(&vfs, Path::new(from), Path::new(to), options.clone()).unwrap();
        let store = Store::open(Arc::clone(&vfs), Path::new(to), options).unwrap();
        (report.lost.len(), everything(&store))
    };
    assert_eq!(saved(DIRECTORY, "/saved", encrypted_options()), (0, all));
    // A store in the open is encrypted by salvaging it into one that is.
    let (plain_disk, plain_vfs, plain) = secrets(&small_options());
    let all = everything(&plain);
    plain.close().unwrap();
    let report =
        salvage(&plain_vfs, Path::new(DIRECTORY), Path::new("/sealed"), encrypted_options()).unwrap();
    assert!(report.lost.is_empty(), "{report:?}");
    let sealed = Store::open(Arc::clone(&plain_vfs), Path::new("/sealed"), encrypted_options()).unwrap();
    assert_eq!(everything(&sealed), all);
    for (path, _) in plain_disk.files().into_iter().filter(|(path, _)| !path.starts_with("/sealed")) {
        plain_disk.remove(&path).unwrap();
    }
    assert_eq!(telling(&plain_disk), [""; 0]);
    // Without the key nothing is saved, and that is said.
    let error = salvage(&vfs, Path::new(DIRECTORY), Path::new("/none"), small_options()).unwrap_err();
    assert!(matches!(error, Error::Encryption { problem: KeyProblem::Missing { .. }, .. }), "{error}");
    assert!(disk.files().iter().all(|(path, _)| !path.starts_with("/none")));
}

#[test]
fn every_file_prints_with_the_key_and_says_what_it_needs_without() {
    let (disk, vfs, store) = secrets(&encrypted_options());
    store.close().unwrap();
    let encryption = encrypted_options().encryption;
    let mut printed = String::new();
    for (path, _) in disk.files().iter().filter(|(path, _)| path.starts_with(DIRECTORY)) {
        if path.ends_with("LOCK") || path.ends_with("CURRENT") {
            continue;
        }
        let mut out = Vec::new();
        inspect(&vfs, path, encryption.as_ref(), &mut out).unwrap();
        printed += &String::from_utf8(out).unwrap();
        if !path.ends_with("STORE") && !path.ends_with("KEYS") {
            let error = inspect(&vfs, path, None, &mut Vec::new()).unwrap_err();
            assert!(matches!(error, Error::Encryption { .. }), "{}: {error}", path.display());
        }
    }
    for expected in
        ["master key \"first\"", "store 0", ", encrypted", SECRET_KEY, SECRET_VALUE, "blob file 0", "+ L0"]
    {
        assert!(printed.contains(expected), "no {expected:?} in:\n{printed}");
    }
}

#[test]
fn files_of_another_store_or_in_the_open_are_refused() {
    let sst = |disk: &MemoryVfs| -> PathBuf {
        let mut files = disk.files().into_iter().map(|(path, _)| path);
        files
            .rfind(|path| path.starts_with(DIRECTORY) && path.extension().is_some_and(|e| e == "sst"))
            .unwrap()
    };
    let (disk, vfs, store) = secrets(&encrypted_options());
    store.close().unwrap();
    let path = sst(&disk);
    for options in [encrypted_options(), small_options()] {
        let (other, _, store) = secrets(&options);
        store.close().unwrap();
        let mut foreign = other.contents(&path).unwrap();
        // The manifest knows lengths; a forger would see to that.
        let length = disk.contents(&path).unwrap().len();
        if foreign.len() != length {
            let cut = foreign.len().min(length);
            foreign = [vec![0; length - cut], foreign[foreign.len() - cut..].to_vec()].concat();
        }
        let copy = disk.crash_clone(1, 100);
        copy.overwrite(&path, foreign).unwrap();
        let copy_vfs: Arc<dyn Vfs> = Arc::new(copy);
        let read = open(&copy_vfs, encrypted_options()).and_then(|store| {
            let mut iter = store.tablet().snapshot().iter(IterOptions::default())?;
            let mut more = iter.seek_to_first()?;
            while more {
                more = iter.next()?;
            }
            Ok(())
        });
        assert!(matches!(&read, Err(Error::Corruption { file, .. }) if *file == path), "{read:?}");
    }
    drop(vfs);
}

#[test]
fn deep_crash_encrypted() {
    let options = StoreOptions { compression: [Compression::Lz4; 7], ..encrypted_options() };
    let (points, seeds) =
        if deep() { crash_with(&options, 10_000, 600, &[]) } else { crash_with(&options, 400, 300, &[]) };
    println!("stage crash_encrypted: {points} points over {seeds} seeds");
}
