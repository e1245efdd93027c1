//! Too many open files, and directories that may not be written: named errors, nothing lost, and work goes on when the
//! shortage is over.

use std::path::Path;
use std::sync::Arc;

use sheaf_storage::{
    DiskVfs, Durability, Error, FaultVfs, IterOptions, MemoryVfs, Store, StoreOptions, Tablet, Vfs,
    WriteBatch,
};

use crate::fixture::{DIRECTORY, memory, open, small_options};
use crate::model::forward;

/// Where the child's store is; unset in an ordinary run.
const CHILD_DIRECTORY: &str = "SHEAF_OPEN_FILES_DIRECTORY";
/// "too many open files", as the system numbers it.
const TOO_MANY: i32 = 24;
/// "read-only file system".
const READ_ONLY: i32 = 30;

fn put(number: usize) -> WriteBatch {
    let mut batch = WriteBatch::new();
    batch.put(format!("i{number:05}"), vec![number as u8; 200]);
    batch
}

fn fill(tablet: &Tablet, numbers: usize) {
    for number in 0..numbers {
        tablet.commit(put(number), Some(Durability::Async)).unwrap();
    }
}

fn faulty() -> (MemoryVfs, FaultVfs, Arc<dyn Vfs>) {
    let (memory, base) = memory();
    let faults = FaultVfs::new(base);
    (memory, faults.clone(), Arc::new(faults))
}

/// Everything acknowledged is there, now and after reopening.
fn check(store: Store, vfs: &Arc<dyn Vfs>, numbers: usize) {
    for store in [store.clone(), {
        store.close().unwrap();
        open(vfs, small_options()).unwrap()
    }] {
        let found = forward(&mut store.tablet().snapshot().iter(IterOptions::default()).unwrap());
        assert_eq!(found.len(), numbers);
        assert!(found.iter().enumerate().all(|(number, (_, value))| *value == vec![number as u8; 200]));
    }
}

/// Commits until a commit fails, then ends the shortage, and goes on. How many were acknowledged, and the error.
fn commit_through(rule: &str) -> Error {
    let (_, faults, vfs) = faulty();
    let store = open(&vfs, small_options()).unwrap();
    let tablet = store.tablet();
    let mut numbers = 0;
    let mut commit = || tablet.commit(put(numbers), Some(Durability::Sync)).map(|_| numbers += 1);
    (0..30).for_each(|_| commit().unwrap());
    faults.add_rule(rule).unwrap();
    let error = (0..2_000).find_map(|_| commit().err());
    assert!(faults.failures() > 0, "{rule}");
    assert!(tablet.statistics().poisoned.is_none(), "{rule}: {:?}", tablet.statistics().poisoned);
    faults.clear_rules();
    (0..300).for_each(|_| commit().unwrap());
    tablet.compact_all().unwrap();
    let numbers = numbers;
    drop(tablet);
    check(store, &vfs, numbers);
    error.unwrap_or(Error::Closed)
}

#[test]
fn commits_go_on_after_a_shortage_of_open_files() {
    let error = commit_through(&format!("fail create *.wal errno {TOO_MANY}"));
    assert!(matches!(error, Error::TooManyOpenFiles { operation: "create", .. }), "{error}");
    let error = commit_through(&format!("fail create *.sst errno {TOO_MANY}"));
    assert!(matches!(error, Error::WriteStalled(_)), "flushes wait, then commits do: {error}");
    // A manifest that can not be rewritten now is rewritten later; nobody notices.
    for rule in ["fail create *.manifest", "fail create CURRENT.tmp"] {
        let error = commit_through(&format!("{rule} errno {TOO_MANY} after 1"));
        assert!(matches!(error, Error::Closed), "{rule}: {error}");
    }
}

#[test]
fn a_shortage_after_a_segment_was_created_stops_writes() {
    let (_, faults, vfs) = faulty();
    let store = open(&vfs, small_options()).unwrap();
    let tablet = store.tablet();
    faults.add_rule(&format!("fail syncdir log errno {TOO_MANY}")).unwrap();
    let mut numbers = 0;
    let error = (0..500)
        .find_map(|number| tablet.commit(put(number), Some(Durability::Sync)).map(|_| numbers += 1).err());
    // Whether the commit or what is done ahead of it has met it.
    let named = |error: &Error| error.to_string().contains("too many open files");
    assert!(error.as_ref().is_some_and(named), "{error:?}");
    assert!(matches!(tablet.commit(put(numbers), None), Err(Error::Poisoned(_))));
    faults.clear_rules();
    drop((tablet, store));
    let store = open(&vfs, small_options()).unwrap();
    let found = forward(&mut store.tablet().snapshot().iter(IterOptions::default()).unwrap());
    assert_eq!(found.len(), numbers);
}

#[test]
fn reads_say_that_too_many_files_are_open_and_go_on_after() {
    let (_, faults, vfs) = faulty();
    let options = StoreOptions { open_files_max: 1, cache_bytes: 1 << 10, ..small_options() };
    let store = open(&vfs, options).unwrap();
    let tablet = store.tablet();
    fill(&tablet, 400);
    tablet.compact_all().unwrap();
    let get = |number: usize| tablet.get(format!("i{number:05}").as_bytes());
    faults.add_rule(&format!("fail open *.sst errno {TOO_MANY}")).unwrap();
    let error = (0..400).find_map(|number| get(number).err()).unwrap();
    assert!(matches!(&error, Error::TooManyOpenFiles { operation: "open", .. }), "{error}");
    assert!(error.to_string().contains("too many open files to open /db/tablet-1/"), "{error}");
    faults.clear_rules();
    (0..400).for_each(|number| assert_eq!(*get(number).unwrap().unwrap(), vec![number as u8; 200]));
    store.close().unwrap();
    faults.add_rule(&format!("fail open STORE errno {TOO_MANY}")).unwrap();
    let error = open(&vfs, small_options()).err().unwrap();
    assert!(matches!(error, Error::TooManyOpenFiles { .. }), "{error}");
    faults.clear_rules();
    open(&vfs, small_options()).unwrap();
}

#[test]
fn open_files_child() {
    let Some(directory) = std::env::var_os(CHILD_DIRECTORY) else { return };
    let options = StoreOptions {
        background: sheaf_storage::BackgroundWork::Threads,
        durability: Durability::None,
        open_files_max: 16,
        ..small_options()
    };
    let store = Store::open(Arc::new(DiskVfs), Path::new(&directory), options).unwrap();
    let tablet = store.tablet();
    fill(&tablet, 4_000);
    tablet.compact_all().unwrap();
    let tables: usize = tablet.statistics().levels.iter().map(|level| level.tables).sum();
    assert!(tables > 150, "{tables}");
    let found = forward(&mut tablet.snapshot().iter(IterOptions::default()).unwrap());
    assert_eq!(found.len(), 4_000);
    for number in (0..4_000).map(|number| number * 1_237 % 4_000) {
        assert!(tablet.get(format!("i{number:05}").as_bytes()).unwrap().is_some());
    }
    let open = std::fs::read_dir("/proc/self/fd").unwrap().count();
    println!("{tables} tables, {open} files open");
    assert!(open <= 40, "{open}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_real_process_needs_far_fewer_files_than_it_has_tables() {
    let directory = tempfile::tempdir().unwrap();
    let output = std::process::Command::new("sh")
        .args(["-c", "ulimit -n 64; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "open_files::open_files_child", "--nocapture", "--test-threads=1"])
        .env(CHILD_DIRECTORY, directory.path().join("store"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("files open"), "{text}");
}

#[test]
fn a_read_only_directory_is_named_and_can_be_read() {
    let (disk, faults, vfs) = faulty();
    let store = open(&vfs, small_options()).unwrap();
    fill(&store.tablet(), 200);
    store.close().unwrap();
    let before = disk.files();
    for operation in
        ["create", "write", "rename", "link", "remove", "sync", "syncdir", "mkdir", "append", "lock"]
    {
        faults.add_rule(&format!("fail {operation} errno {READ_ONLY}")).unwrap();
    }
    let error = open(&vfs, small_options()).err().unwrap();
    assert!(matches!(&error, Error::NotPermitted { file, .. } if file.starts_with(DIRECTORY)), "{error}");
    let new = Store::open(Arc::clone(&vfs), Path::new("/new"), small_options()).err().unwrap();
    assert!(matches!(new, Error::NotPermitted { .. }), "{new}");
    let store = open(&vfs, StoreOptions { read_only: true, ..small_options() }).unwrap();
    let found = forward(&mut store.tablet().snapshot().iter(IterOptions::default()).unwrap());
    assert_eq!(found.len(), 200);
    assert!(store.tablet().verify().problems.is_empty());
    assert!(matches!(store.tablet().commit(put(1), None), Err(Error::InvalidInput(_))));
    assert!(matches!(store.tablet().flush(), Err(Error::InvalidInput(_))));
    let checkpoint = store.tablet().checkpoint(Path::new("/copy")).unwrap_err();
    assert!(matches!(checkpoint, Error::InvalidInput(_)), "{checkpoint}");
    store.close().unwrap();
    assert_eq!(disk.files(), before, "nothing was touched");
}
