//! Every call that writes, in every state in which it cannot: the error that says so, and a store that holds what it held.

use std::path::Path;
use std::sync::Arc;

use sheaf_storage::{
    Error, FaultVfs, IterOptions, Locking, MemoryVfs, Snapshot, Store, StoreOptions, Tablet, TabletId,
    Timestamp, Transaction, TransactionOptions, Vfs, WriteBatch,
};

use crate::fixture::{encrypted_options, master_key, memory, open};
use crate::model::forward;

const SECOND: TabletId = TabletId(1);

type Content = Vec<(Vec<u8>, Vec<u8>)>;

/// A store of two tablets, encrypted, whose calls can be made to fail.
struct Subject {
    disk: MemoryVfs,
    faults: FaultVfs,
    vfs: Arc<dyn Vfs>,
    store: Store,
    tablet: Tablet,
    /// Has a lock and a write.
    transaction: Option<Transaction>,
}

fn put(key: &str, bytes: usize) -> WriteBatch {
    let mut batch = WriteBatch::new();
    batch.put(key, vec![7; bytes]);
    batch
}

fn subject() -> Subject {
    let (disk, base) = memory();
    let faults = FaultVfs::new(base);
    let vfs: Arc<dyn Vfs> = Arc::new(faults.clone());
    let store = open(&vfs, encrypted_options()).unwrap();
    let tablet = store.create_tablet(SECOND).unwrap();
    for number in 0..120 {
        tablet.commit(put(&format!("d{number:03}"), 60 + number), None).unwrap();
        store.tablet().commit(put(&format!("i{number:03}"), 20), None).unwrap();
    }
    tablet.commit(put("i", 1), None).unwrap();
    let pessimistic = TransactionOptions {
        locking: Locking::Pessimistic { patience: std::time::Duration::ZERO },
        ..TransactionOptions::default()
    };
    let mut transaction = tablet.begin(pessimistic).unwrap();
    transaction.put("transaction", "w").unwrap();
    Subject { disk, faults, vfs, store, tablet, transaction: Some(transaction) }
}

impl Subject {
    /// As `subject`, opened read-only.
    fn read_only() -> Subject {
        let Subject { disk, faults, vfs, store, .. } = subject();
        store.close().unwrap();
        let store = open(&vfs, StoreOptions { read_only: true, ..encrypted_options() }).unwrap();
        let tablet = store.tablet_by_id(SECOND).unwrap();
        let mut transaction = tablet.begin(TransactionOptions::default()).unwrap();
        transaction.put("transaction", "w").unwrap();
        Subject { disk, faults, vfs, store, tablet, transaction: Some(transaction) }
    }

    fn contents(&self) -> Vec<Content> {
        let tablets = self.store.tablets().into_iter().map(|id| self.store.tablet_by_id(id).unwrap());
        tablets.map(|tablet| content(&tablet.snapshot())).collect()
    }
}

fn content(snapshot: &Snapshot) -> Content {
    forward(&mut snapshot.iter(IterOptions::default()).unwrap())
}

/// A call that writes, on its way with good arguments.
struct Call {
    name: &'static str,
    run: fn(&mut Subject) -> Result<(), Error>,
    /// Whether it is of the store, and not of one tablet.
    of_store: bool,
}

fn calls() -> Vec<Call> {
    fn call(name: &'static str, run: fn(&mut Subject) -> Result<(), Error>) -> Call {
        Call { name, run, of_store: false }
    }
    fn of_store(name: &'static str, run: fn(&mut Subject) -> Result<(), Error>) -> Call {
        Call { name, run, of_store: true }
    }
    vec![
        call("commit", |s| s.tablet.commit(put("new", 9), None).map(drop)),
        call("commit of a large batch", |s| {
            let mut batch = WriteBatch::new();
            (0..40).for_each(|number| batch.put(format!("new{number}"), vec![7; 500]));
            s.tablet.commit(batch, None).map(drop)
        }),
        call("commit_at", |s| {
            s.tablet.commit_at(put("new", 9), Timestamp::from_parts(9_000, 1), None).map(drop)
        }),
        call("transaction", |s| s.transaction.take().unwrap().commit(None).map(drop)),
        call("ingest", |s| s.tablet.ingest([(b"new".to_vec(), b"b".to_vec())]).map(drop)),
        call("excise", |s| s.tablet.excise(b"d", b"e").map(drop)),
        call("flush", |s| s.tablet.flush()),
        call("compact_all", |s| s.tablet.compact_all()),
        call("settle", |s| s.tablet.settle()),
        call("sync", |s| s.tablet.sync()),
        call("checkpoint of a tablet", |s| s.tablet.checkpoint(Path::new("/copy"))),
        of_store("checkpoint", |s| s.store.checkpoint(Path::new("/copy"))),
        of_store("create_tablet", |s| s.store.create_tablet(TabletId(9)).map(drop)),
        of_store("drop_tablet", |s| s.store.drop_tablet(SECOND)),
        of_store("rotate_master_key", |s| s.store.rotate_master_key(&master_key("first"))),
    ]
}

/// What a call may have done, whole or not at all.
fn may_be(name: &str, before: &[Content], after: &[Content]) -> bool {
    let (first, second) = (&before[0], &before[1]);
    let same_first = after.first() == Some(first);
    let more = |added: usize| {
        let Some(now) = after.get(1) else { return false };
        let kept = second.iter().all(|pair| now.contains(pair) || added == 40);
        kept && now.len() == second.len() + added
    };
    let done = match name {
        "commit" | "commit_at" | "ingest" | "transaction" => more(1),
        "commit of a large batch" => more(40),
        "excise" => after.get(1).is_some_and(|now| now.iter().all(|(key, _)| !key.starts_with(b"d"))),
        "create_tablet" => after.len() == 3 && after[1] == *second,
        "drop_tablet" => after.len() == 1,
        _ => false,
    };
    same_first && (done || after == before)
}

#[test]
fn a_closed_store_refuses_every_call_that_writes_and_still_reads() {
    for call in calls() {
        let mut subject = subject();
        let before = subject.contents();
        subject.store.close().unwrap();
        let files = subject.disk.files();
        let refused = (call.run)(&mut subject);
        assert!(matches!(refused, Err(Error::Closed)), "{}: {refused:?}", call.name);
        assert_eq!(subject.disk.files(), files, "{}", call.name);
        subject.store.close().unwrap();
        assert_eq!(subject.contents(), before, "{}", call.name);
        subject.transaction = None;
        let again = open(&subject.vfs, encrypted_options()).unwrap();
        assert!(again.verify().problems.is_empty());
        assert_eq!(content(&again.tablet_by_id(SECOND).unwrap().current_snapshot().unwrap()), before[1]);
    }
}

#[test]
fn a_read_only_store_refuses_every_call_that_writes_and_touches_nothing() {
    for call in calls() {
        let mut subject = Subject::read_only();
        let (before, files) = (subject.contents(), subject.disk.files());
        let refused = (call.run)(&mut subject);
        let says = matches!(&refused, Err(Error::InvalidInput(text)) if text.contains("read-only"));
        assert!(says, "{}: {refused:?}", call.name);
        assert_eq!((subject.contents(), subject.disk.files()), (before, files), "{}", call.name);
        assert!(subject.store.verify().problems.is_empty());
    }
}

#[test]
fn a_dropped_tablet_refuses_every_call_that_writes_and_still_reads() {
    for call in calls().into_iter().filter(|call| !call.of_store) {
        let mut subject = subject();
        let before = subject.contents();
        subject.store.drop_tablet(SECOND).unwrap();
        let refused = (call.run)(&mut subject);
        assert!(matches!(refused, Err(Error::TabletDropped(SECOND)) | Ok(())), "{}: {refused:?}", call.name);
        // What is asked of the log is asked of the store.
        assert!(refused.is_err() || call.name == "sync", "{}", call.name);
        assert_eq!(content(&subject.tablet.snapshot()), before[1]);
        assert_eq!(subject.contents(), before[..1]);
    }
    let subject = subject();
    assert!(matches!(subject.store.create_tablet(SECOND), Err(Error::TabletExists(SECOND))));
    assert!(matches!(subject.store.create_tablet(TabletId::FIRST), Err(Error::TabletExists(_))));
    assert!(matches!(subject.store.drop_tablet(TabletId::FIRST), Err(Error::InvalidInput(_))));
    for unknown in [TabletId(8), TabletId(u64::MAX)] {
        assert!(matches!(subject.store.drop_tablet(unknown), Err(Error::TabletUnknown(id)) if id == unknown));
        assert!(
            matches!(subject.store.tablet_by_id(unknown), Err(Error::TabletUnknown(id)) if id == unknown)
        );
    }
    subject.store.drop_tablet(SECOND).unwrap();
    assert!(matches!(subject.store.drop_tablet(SECOND), Err(Error::TabletDropped(_))));
    assert!(matches!(subject.store.create_tablet(SECOND), Err(Error::TabletDropped(_))));
    assert!(matches!(subject.store.tablet_by_id(SECOND), Err(Error::TabletDropped(_))));
}

#[test]
fn a_poisoned_store_refuses_every_call_that_writes_until_it_is_reopened() {
    for call in calls() {
        let mut subject = subject();
        let before = subject.contents();
        subject.faults.add_rule("fail write *.wal once").unwrap();
        assert!(subject.store.tablet().commit(put("lost", 9), None).is_err());
        let refused = (call.run)(&mut subject);
        assert!(matches!(refused, Err(Error::Poisoned(_))), "{}: {refused:?}", call.name);
        assert_eq!(subject.contents(), before, "{}", call.name);
        reopen(subject, |after| assert_eq!(after, before, "{}", call.name));
    }
}

/// Ends the trouble, opens the store again and shows what it holds.
fn reopen(subject: Subject, check: impl FnOnce(&[Content])) {
    let Subject { faults, vfs, store, tablet, transaction, .. } = subject;
    faults.clear_rules();
    drop((store, tablet, transaction));
    let store = open(&vfs, encrypted_options()).unwrap();
    let report = store.verify();
    assert!(report.problems.is_empty(), "{report:?}");
    let tablets = store.tablets().into_iter().map(|id| store.tablet_by_id(id).unwrap());
    check(&tablets.map(|tablet| content(&tablet.snapshot())).collect::<Vec<_>>());
    store.tablet().commit(put("more", 9), None).unwrap();
    store.tablet().compact_all().unwrap();
}

/// Every call under these rules: those that fail say why, and whatever it is has happened whole or not at all. The names of those
/// that failed, and of those that stopped writes.
fn under(rules: &[String], expected: fn(&Error) -> bool) -> (Vec<&'static str>, Vec<&'static str>) {
    let (mut failed, mut poisoned) = (Vec::new(), Vec::new());
    for call in calls() {
        let mut subject = subject();
        let before = subject.contents();
        rules.iter().for_each(|rule| subject.faults.add_rule(rule).unwrap());
        if let Err(error) = (call.run)(&mut subject) {
            assert!(expected(&error), "{}: {error}", call.name);
            failed.push(call.name);
        }
        let statistics = subject.store.statistics();
        poisoned.extend(statistics.poisoned.is_some().then_some(call.name));
        // What is cached can be read; the rest can when the trouble is over.
        subject.faults.clear_rules();
        assert!(may_be(call.name, &before, &subject.contents()), "{}", call.name);
        reopen(subject, |after| assert!(may_be(call.name, &before, after), "{}", call.name));
    }
    (failed, poisoned)
}

#[test]
fn on_a_full_disk_every_call_says_so_and_nothing_is_half_done() {
    let (failed, poisoned) = under(&["full 0".to_owned()], |error| matches!(error, Error::Full { .. }));
    // A sync finds everything durable; nothing is due for `settle`.
    let all: Vec<_> =
        calls().iter().map(|call| call.name).filter(|name| !["sync", "settle"].contains(name)).collect();
    assert_eq!(failed, all);
    assert!(!poisoned.contains(&"rotate_master_key"), "the old file is as it was: {poisoned:?}");
}

#[test]
fn with_too_many_files_open_every_call_says_so_and_goes_on_after() {
    let rules = ["create", "open"].map(|operation| format!("fail {operation} errno 24"));
    let (failed, poisoned) = under(&rules, |error| matches!(error, Error::TooManyOpenFiles { .. }));
    for name in ["flush", "compact_all", "ingest", "checkpoint", "create_tablet", "rotate_master_key"] {
        assert!(failed.contains(&name), "{name}: {failed:?}");
    }
    assert_eq!(poisoned, [""; 0], "a shortage that comes before a file is created is nobody's damage");
}

#[test]
fn where_nothing_may_be_written_every_call_says_so() {
    let operations = ["create", "write", "rename", "link", "remove", "sync", "syncdir", "mkdir"];
    let rules = operations.map(|operation| format!("fail {operation} errno 30"));
    let (failed, _) = under(&rules, |error| matches!(error, Error::NotPermitted { .. }));
    let all: Vec<_> =
        calls().iter().map(|call| call.name).filter(|name| !["sync", "settle"].contains(name)).collect();
    assert_eq!(failed, all);
}
