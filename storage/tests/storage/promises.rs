//! What the options promise: how soon asynchronous commits are durable, how large things grow, when writers are held back, and
//! that a failure nobody waits for stops them.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use sheaf_storage::{
    BackgroundWork, Durability, Error, FaultVfs, StoreOptions, Timestamp, Vfs, WalCompression, WriteBatch,
};

use crate::fixture::{comes_true, memory, open, small_options};

fn put(key: &str, value: &[u8]) -> WriteBatch {
    let mut batch = WriteBatch::new();
    batch.put(key, value);
    batch
}

#[test]
fn an_asynchronous_commit_is_durable_after_its_interval() {
    let (disk, vfs) = memory();
    let options = StoreOptions {
        background: BackgroundWork::Threads,
        async_interval: Duration::from_millis(20),
        ..small_options()
    };
    let store = open(&vfs, options).unwrap();
    store.tablet().commit(put("a", b"1"), Some(Durability::Async)).unwrap();
    let survives = || {
        let crashed: Arc<dyn Vfs> = Arc::new(disk.crash_clone(1, 0));
        open(&crashed, small_options()).unwrap().tablet().get(b"a").unwrap().is_some()
    };
    assert!(comes_true(survives), "never synced");
}

#[test]
fn a_flush_that_fails_behind_a_commit_stops_the_next() {
    let (_, base) = memory();
    let faults = FaultVfs::new(base);
    let vfs: Arc<dyn Vfs> = Arc::new(faults.clone());
    let store = open(&vfs, small_options()).unwrap();
    let tablet = store.tablet();
    faults.add_rule("fail sync *.sst once").unwrap();
    let mut commits = (0..100_u32).map(|number| tablet.commit(put(&format!("i{number}"), &[7; 900]), None));
    let error = commits.find_map(Result::err).expect("the memtable was never flushed");
    assert!(matches!(&error, Error::Poisoned(_)), "{error}");
    assert!(tablet.statistics().poisoned.is_some_and(|reason| reason.contains("injected failure of sync")));
    assert_eq!(tablet.get(b"i0").unwrap().as_deref(), Some(&[7; 900][..]), "reads go on");
}

#[test]
fn a_segment_of_the_log_ends_at_its_size() {
    let (disk, vfs) = memory();
    let options = StoreOptions { memtable_bytes: 4 << 20, wal_segment_bytes: 10_000, ..small_options() };
    let store = open(&vfs, options).unwrap();
    for number in 0..100_u8 {
        store.tablet().commit(put("i", &[number; 1_000]), Some(Durability::Async)).unwrap();
        let longest =
            disk.files().into_iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "wal"));
        assert!(longest.map(|(_, length)| length).max().unwrap() < 11_200);
    }
    assert!(store.tablet().statistics().log.segments >= 9);
}

#[test]
fn records_that_nobody_wants_written_are_written_before_they_fill_memory() {
    let (_, vfs) = memory();
    let options = StoreOptions {
        memtable_bytes: 8 << 20,
        wal_segment_bytes: 64 << 20,
        wal_compression: WalCompression::None,
        ..small_options()
    };
    let store = open(&vfs, options).unwrap();
    for number in 0..400_u32 {
        let batch = put(&format!("i{number}"), &[1; 10_000]);
        store.tablet().commit(batch, Some(Durability::None)).unwrap();
    }
    assert!(store.tablet().memory_report().log_buffer_bytes < 1 << 20);
    assert!(store.tablet().statistics().log.written_bytes > 3 << 20);
}

#[test]
fn a_decided_timestamp_that_a_key_has_already_is_refused() {
    let (_, vfs) = memory();
    let store = open(&vfs, small_options()).unwrap();
    let tablet = store.tablet();
    let last = tablet.commit(put("i1", b"first"), None).unwrap();
    for flushed in [false, true] {
        if flushed {
            tablet.flush().unwrap();
        }
        assert!(matches!(tablet.commit_at(put("i1", b"second"), last, None), Err(Error::InvalidInput(_))));
        let earlier = Timestamp(last.0 - 1);
        assert!(matches!(tablet.commit_at(put("i1", b"second"), earlier, None), Err(Error::InvalidInput(_))));
        let other = format!("other {flushed}");
        assert_eq!(tablet.commit_at(put(&other, b"x"), last, None).unwrap(), last);
    }
    assert_eq!(tablet.get(b"i1").unwrap().as_deref(), Some(&b"first"[..]));
}

/// Holds up compaction while it is shut.
#[derive(Default)]
struct Gate {
    shut: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn set(&self, shut: bool) {
        *self.shut.lock().unwrap() = shut;
        self.opened.notify_all();
    }

    fn pass(&self) {
        drop(self.opened.wait_while(self.shut.lock().unwrap(), |shut| *shut).unwrap());
    }
}

/// Opens a gate when it goes: a test that fails must not wait for a thread it has held up.
struct Opener(Arc<Gate>);

impl Drop for Opener {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

#[test]
fn writers_are_delayed_before_they_are_stopped_and_what_relieves_them_is_under_way() {
    let (_, base) = memory();
    let faults = FaultVfs::new(base);
    let gate = Arc::new(Gate::default());
    let of_hook = Arc::clone(&gate);
    faults.set_hook(move |_| {
        if std::thread::current().name() == Some("sheaf-compact") {
            of_hook.pass();
        }
    });
    let vfs: Arc<dyn Vfs> = Arc::new(faults);
    let background = BackgroundWork::Threads;
    let options =
        StoreOptions { background, l0_compaction_trigger: 2, l0_slowdown: 3, l0_stop: 5, ..small_options() };
    let store = open(&vfs, options).unwrap();
    let tablet = store.tablet();
    let _opens = Opener(Arc::clone(&gate));
    gate.set(true);
    for number in 0..5_u8 {
        let before = tablet.statistics();
        tablet.commit(put("i1", &[number]), None).unwrap();
        let runs = before.levels[0].tables;
        assert_eq!(runs, usize::from(number), "compaction is held up");
        assert_eq!(tablet.statistics().delays - before.delays, u64::from(runs >= 3), "{runs} flushes in L0");
        tablet.flush().unwrap();
    }
    let writer = {
        let tablet = tablet.clone();
        std::thread::spawn(move || tablet.commit(put("i1", b"waits"), None).unwrap())
    };
    assert!(comes_true(|| tablet.statistics().stalls > 0), "five flushes in L0 stop a writer");
    assert!(!writer.is_finished());
    gate.set(false);
    writer.join().unwrap();
    assert_eq!(tablet.get(b"i1").unwrap().as_deref(), Some(&b"waits"[..]));
}

#[test]
fn a_writer_is_refused_in_the_end_if_what_it_waits_for_does_not_come() {
    let (_, base) = memory();
    let faults = FaultVfs::new(base);
    let vfs: Arc<dyn Vfs> = Arc::new(faults.clone());
    let store = open(&vfs, small_options()).unwrap();
    let tablet = store.tablet();
    // Nobody's damage, so it is tried again and again.
    faults.add_rule("fail create *.sst errno 24").unwrap();
    let mut commits =
        (0..200_u32).map(|number| tablet.commit(put(&format!("i{number:03}"), &[7; 900]), None));
    let error = commits.find_map(Result::err).expect("nothing is ever flushed");
    assert!(
        matches!(&error, Error::WriteStalled(reason) if reason.contains("wait for their flush")),
        "{error}"
    );
    assert_eq!(tablet.statistics().sealed_memtables, small_options().sealed_memtables_max);
    faults.clear_rules();
    tablet.commit(put("i", b"goes on"), None).unwrap();
    assert_eq!(tablet.statistics().sealed_memtables, 0);
}
