//! `verify` reads every kind of file, and finds in each what was not written there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sheaf_storage::{
    BackgroundWork, Durability, Error, MemoryVfs, Store, StoreOptions, TabletId, VerifyReport, Vfs,
    WalCompression, WriteBatch,
};

use crate::fixture::{Dice, deep, encrypted_options, memory, open, small_options};

const SECOND: TabletId = TabletId(1);

/// An open store of two tablets with every kind of file, records that are in the log only among them.
fn two_tablets(options: StoreOptions) -> (MemoryVfs, Store) {
    let (disk, vfs) = memory();
    let store = open(&vfs, options).unwrap();
    let second = store.create_tablet(SECOND).unwrap();
    for number in 0..60_u32 {
        for tablet in [&store.tablet(), &second] {
            let mut batch = WriteBatch::new();
            batch.put(format!("d{number:03}"), vec![number as u8; 90 + number as usize]);
            batch.put(format!("i{number:03}"), b"small");
            batch.delete(format!("i{:03}", number / 2));
            if number % 10 == 9 {
                batch.delete_range(format!("i{:03}", number - 5), format!("i{:03}", number - 3));
            }
            tablet.commit(batch, None).unwrap();
            if number == 20 || number == 40 {
                tablet.flush().unwrap();
            }
        }
    }
    store.tablet().ingest((0..20).map(|number| (format!("z{number:03}").into_bytes(), vec![7; 50]))).unwrap();
    (disk, store)
}

fn sound(report: &VerifyReport) {
    assert!(report.problems.is_empty(), "{:?}", report.problems);
}

/// Whether a problem is of this file.
fn is_of(problem: &Error, path: &Path) -> bool {
    match problem {
        Error::Corruption { file, .. } | Error::FormatVersion { file, .. } => file == path,
        Error::Io { file, .. } => file == path,
        _ => false,
    }
}

/// All files with content: not the lock, nor a segment that was made ready and is not begun.
fn files(disk: &MemoryVfs) -> Vec<PathBuf> {
    disk.files().into_iter().filter(|(_, length)| *length > 0).map(|(path, _)| path).collect()
}

fn of_kind(disk: &MemoryVfs, extension: &str) -> PathBuf {
    let mut files = files(disk).into_iter();
    files.find(|path| path.extension().is_some_and(|found| found == extension)).unwrap()
}

/// Verifies with other bytes in a file, and puts the right ones back.
fn verify_with(disk: &MemoryVfs, store: &Store, path: &Path, bytes: Vec<u8>) -> VerifyReport {
    let right = disk.contents(path).unwrap();
    disk.overwrite(path, bytes).unwrap();
    let report = store.verify();
    disk.overwrite(path, right).unwrap();
    report
}

#[test]
fn every_file_is_read_and_what_was_written_is_sound() {
    for options in [small_options(), encrypted_options()] {
        let (disk, store) = two_tablets(options.clone());
        let report = store.verify();
        sound(&report);
        let all = files(&disk);
        assert_eq!(report.files, all.len(), "{all:?}");
        let lengths: u64 = all.iter().map(|path| disk.len(path).unwrap()).sum();
        assert_eq!(report.bytes, lengths);
        assert!(report.log_records > 10, "{report:?}");
        let statistics = store.statistics();
        let levels = statistics.tablets.values().flat_map(|tablet| &tablet.levels);
        assert_eq!(report.entries, levels.map(|level| level.entries).sum::<u64>());
        for extension in ["sst", "blob", "wal", "manifest"] {
            of_kind(&disk, extension);
        }
        store.close().unwrap();
        let vfs: Arc<dyn Vfs> = Arc::new(disk);
        let read_only = open(&vfs, StoreOptions { read_only: true, ..options.clone() }).unwrap();
        sound(&read_only.verify());
        drop(read_only);
        sound(&open(&vfs, options).unwrap().verify());
    }
}

#[test]
fn a_changed_byte_or_length_of_any_file_is_named() {
    for options in [small_options(), encrypted_options()] {
        let (disk, store) = two_tablets(options);
        let mut cases = 0;
        for path in files(&disk) {
            let right = disk.contents(&path).unwrap();
            // Room reserved behind the log is no part of it.
            let end = right.iter().rposition(|byte| *byte != 0).unwrap() + 1;
            let stride = if deep() { 1 + end / 60 } else { 1 + end / 3 };
            for at in (0..end).step_by(stride).chain([end - 1]) {
                let mut flipped = right.clone();
                flipped[at] ^= 1 << (at % 8);
                let what = if cases % 2 == 0 { "flipped" } else { "cut" };
                let bytes = if cases % 2 == 0 { flipped } else { right[..at].to_vec() };
                let report = verify_with(&disk, &store, &path, bytes);
                let found = report.problems.iter().any(|problem| is_of(problem, &path));
                assert!(found, "{} {what} at {at}: {report:?}", path.display());
                cases += 1;
            }
        }
        assert!(cases > 50, "{cases}");
        sound(&store.verify());
    }
}

#[test]
fn a_missing_file_of_any_kind_is_named() {
    let (disk, store) = two_tablets(encrypted_options());
    for path in files(&disk) {
        let aside = path.with_file_name("aside");
        disk.rename(&path, &aside).unwrap();
        let report = store.verify();
        // A segment of the log is missed by the one after it.
        let logs = path.parent().filter(|directory| directory.ends_with("log"));
        let found = report.problems.iter().any(|problem| match (problem, logs) {
            (Error::Corruption { file, .. }, Some(logs)) => file.starts_with(logs),
            _ => is_of(problem, &path),
        });
        assert!(found, "{}: {report:?}", path.display());
        disk.rename(&aside, &path).unwrap();
    }
    sound(&store.verify());
}

#[test]
fn an_intact_file_of_another_moment_is_no_substitute() {
    let (disk, store) = two_tablets(small_options());
    let directory = Path::new("/db/tablet-1");
    let current = directory.join("CURRENT");
    let of_first = |path: &PathBuf| {
        path.starts_with(directory) && path.extension().is_some_and(|extension| extension == "manifest")
    };
    let manifest = files(&disk).into_iter().find(of_first).unwrap();
    let earlier = disk.contents(&manifest).unwrap();
    let mut batch = WriteBatch::new();
    batch.put("j", "later");
    store.tablet().commit(batch, None).unwrap();
    store.tablet().flush().unwrap();
    sound(&store.verify());
    // The manifest without its last edit, which was synced.
    assert!(disk.contents(&manifest).unwrap().starts_with(&earlier), "it was not begun anew");
    let report = verify_with(&disk, &store, &manifest, earlier);
    assert!(report.problems.iter().any(|problem| is_of(problem, &manifest)), "{report:?}");
    // One whose edits are whole, and which is not the one written to.
    let name = "0000009999.manifest";
    let text = format!("{name} {:08x}\n", crc32c::crc32c(name.as_bytes()));
    let report = verify_with(&disk, &store, &current, text.into_bytes());
    assert!(report.problems.iter().any(|problem| is_of(problem, &current)), "{report:?}");
}

#[test]
fn an_intact_head_of_another_store_or_list_of_other_tablets_is_named() {
    let (disk, store) = two_tablets(small_options());
    let head = Path::new("/db/STORE");
    // As it would be in an earlier format version.
    let options = StoreOptions { wal_compression: WalCompression::None, ..small_options() };
    let other = two_tablets(options).0.contents(head).unwrap();
    assert_ne!(other, disk.contents(head).unwrap());
    let report = verify_with(&disk, &store, head, other);
    assert!(report.problems.iter().any(|problem| is_of(problem, head)), "{report:?}");
    let list = Path::new("/db/TABLETS");
    let earlier = disk.contents(list).unwrap();
    store.create_tablet(TabletId(50)).unwrap();
    let report = verify_with(&disk, &store, list, earlier);
    assert!(report.problems.iter().any(|problem| is_of(problem, list)), "{report:?}");
    sound(&store.verify());
}

#[test]
fn what_was_never_durable_is_no_damage() {
    let (disk, store) = two_tablets(small_options());
    let log = files(&disk).into_iter().rfind(|path| path.extension().is_some_and(|e| e == "wal")).unwrap();
    store.tablet().sync().unwrap();
    let durable = disk.contents(&log).unwrap().iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let mut batch = WriteBatch::new();
    batch.put("k", "handed to the system, and not synced");
    store.tablet().commit(batch, Some(Durability::Async)).unwrap();
    let right = disk.contents(&log).unwrap();
    for at in (durable..durable + 60).step_by(7) {
        let mut torn = right.clone();
        torn[at] ^= 0x55;
        sound(&verify_with(&disk, &store, &log, torn));
        sound(&verify_with(&disk, &store, &log, right[..at].to_vec()));
    }
    let mut damaged = right.clone();
    damaged[durable - 1] ^= 0x55;
    let report = verify_with(&disk, &store, &log, damaged);
    assert!(matches!(report.problems.as_slice(), [problem] if is_of(problem, &log)), "{report:?}");
}

#[test]
fn a_store_that_works_meanwhile_is_sound_at_every_moment() {
    let (_, vfs) = memory();
    let options = StoreOptions { background: BackgroundWork::Threads, ..small_options() };
    let store = open(&vfs, options).unwrap();
    let second = store.create_tablet(SECOND).unwrap();
    let rounds = if deep() { 400 } else { 40 };
    let writers = [store.tablet(), second].map(|tablet| {
        std::thread::spawn(move || {
            let mut dice = Dice::new(tablet.id().0);
            for number in 0..60 * rounds {
                let mut batch = WriteBatch::new();
                let length = 20 + dice.below(300) as usize;
                batch.put(format!("d{:04}", dice.below(2_000)), vec![number as u8; length]);
                let durability = [Durability::None, Durability::Async, Durability::Sync][number % 3];
                tablet.commit(batch, Some(durability)).unwrap();
            }
        })
    });
    let mut times = 0;
    while times < 5 || writers.iter().any(|writer| !writer.is_finished()) {
        sound(&store.verify());
        times += 1;
    }
    for writer in writers {
        writer.join().unwrap();
    }
    sound(&store.verify());
    let statistics = store.statistics();
    assert!(statistics.tablets.values().all(|tablet| tablet.flushes > 3 && tablet.compactions > 0));
}

#[test]
fn of_a_closed_store_only_what_never_changes_is_read() {
    let (disk, store) = two_tablets(small_options());
    store.close().unwrap();
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    // Its manifests and its log are begun anew.
    let again = open(&vfs, small_options()).unwrap();
    sound(&again.verify());
    let report = store.verify();
    sound(&report);
    assert!(report.files > 3 && report.log_records == 0, "{report:?}");
}

#[test]
fn a_dropped_tablet_is_read_as_long_as_somebody_holds_it() {
    let (disk, store) = two_tablets(small_options());
    let second = store.tablet_by_id(SECOND).unwrap();
    let mut batch = WriteBatch::new();
    batch.put("more", "of it");
    second.commit(batch, None).unwrap();
    store.drop_tablet(SECOND).unwrap();
    sound(&second.verify());
    assert!(second.verify().entries > 50);
    drop(second);
    sound(&store.verify());
    assert!(files(&disk).iter().all(|path| !path.starts_with("/db/tablet-0000000001")));
}

#[cfg(feature = "planted")]
#[test]
fn what_a_faulty_writer_left_is_found() {
    use sheaf_storage::planted::{Bug, plant};
    for (bug, what) in
        [(Bug::StaleFilter, "the filter does not know a key"), (Bug::LostBlobReference, "it refers to")]
    {
        plant(Some(bug));
        // A forgotten blob file goes, and the reads that miss it fail.
        let (_, vfs) = memory();
        let store = open(&vfs, small_options()).unwrap();
        for number in 0..40 {
            let mut batch = WriteBatch::new();
            batch.put(format!("d{number}"), vec![7; 200]);
            store.tablet().commit(batch, None).unwrap();
        }
        store.tablet().flush().unwrap();
        let report = store.verify();
        plant(None);
        let found = report.problems.iter().any(|problem| {
            problem.to_string().contains(what) || problem.to_string().contains("blob file that is not there")
        });
        assert!(found, "{bug:?}: {report:?}");
    }
}
