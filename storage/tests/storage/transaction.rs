//! Isolation, own writes, savepoints.

use std::time::Duration;

use sheaf_storage::{
    Error, Isolation, IterOptions, Locking, Store, Tablet, Transaction, TransactionOptions, WriteBatch,
};

use crate::fixture::{memory, open, small_options};

fn store() -> (Store, Tablet) {
    let (_, vfs) = memory();
    let store = open(&vfs, small_options()).unwrap();
    let tablet = store.tablet();
    let mut batch = WriteBatch::new();
    for key in ["a", "b", "c", "d"] {
        batch.put(key, format!("{key}0"));
    }
    tablet.commit(batch, None).unwrap();
    (store, tablet)
}

fn begin(tablet: &Tablet, isolation: Isolation) -> Transaction {
    tablet.begin(TransactionOptions { isolation, ..TransactionOptions::default() }).unwrap()
}

fn commit_put(tablet: &Tablet, key: &str, value: &str) {
    let mut batch = WriteBatch::new();
    batch.put(key, value);
    tablet.commit(batch, None).unwrap();
}

fn text(value: Option<sheaf_storage::ValueSlice>) -> Option<String> {
    value.map(|value| String::from_utf8(value.to_vec()).unwrap())
}

fn scan(transaction: &Transaction) -> String {
    let mut iter = transaction.iter(IterOptions::default()).unwrap();
    let mut found = Vec::new();
    let mut valid = iter.seek_to_first().unwrap();
    while valid {
        found.push(String::from_utf8(iter.value().to_vec()).unwrap());
        valid = iter.next().unwrap();
    }
    let mut backward = Vec::new();
    let mut valid = iter.seek_to_last().unwrap();
    while valid {
        backward.insert(0, String::from_utf8(iter.value().to_vec()).unwrap());
        valid = iter.prev().unwrap();
    }
    assert_eq!(found, backward);
    found.join(" ")
}

#[test]
fn own_writes_are_read_and_others_are_not() {
    let (_store, tablet) = store();
    let mut one = begin(&tablet, Isolation::Snapshot);
    one.put("b", "b1").unwrap();
    one.put("bb", "new").unwrap();
    one.delete("c").unwrap();
    commit_put(&tablet, "a", "a-other");
    commit_put(&tablet, "e", "e-other");
    assert_eq!(scan(&one), "a0 b1 new d0");
    one.delete_range("a", "bz").unwrap();
    assert_eq!(scan(&one), "d0");
    one.put("b", "b2").unwrap();
    assert_eq!(scan(&one), "b2 d0");
    assert_eq!(text(one.get(b"a").unwrap()), None);
    assert_eq!(text(one.get(b"b").unwrap()), Some("b2".into()));
    assert_eq!(text(one.get(b"d").unwrap()), Some("d0".into()));
    assert!(matches!(one.commit(None), Err(Error::Conflict { .. })), "`a` lies in the deleted range");
    assert_eq!(text(tablet.get(b"b").unwrap()), Some("b0".into()));
}

#[test]
pub fn the_second_writer_of_a_key_conflicts() {
    for flushed in [false, true] {
        let (_store, tablet) = store();
        let mut one = begin(&tablet, Isolation::Snapshot);
        let mut two = begin(&tablet, Isolation::Snapshot);
        one.put("a", "one").unwrap();
        two.put("a", "two").unwrap();
        one.commit(None).unwrap();
        if flushed {
            tablet.flush().unwrap();
        }
        assert!(matches!(two.commit(None), Err(Error::Conflict { key }) if key == b"a"));
        assert_eq!(text(tablet.get(b"a").unwrap()), Some("one".into()));
    }
}

#[test]
fn write_skew_passes_snapshot_isolation_and_fails_serializable() {
    for (isolation, passes) in [(Isolation::Snapshot, true), (Isolation::Serializable, false)] {
        let (_store, tablet) = store();
        let mut one = begin(&tablet, isolation);
        let mut two = begin(&tablet, isolation);
        one.get(b"a").unwrap();
        two.get(b"b").unwrap();
        one.put("b", "one").unwrap();
        two.put("a", "two").unwrap();
        one.commit(None).unwrap();
        assert_eq!(two.commit(None).is_ok(), passes);
    }
}

#[test]
fn a_phantom_in_a_read_range_fails_serializable() {
    for flushed in [false, true] {
        let (_store, tablet) = store();
        let mut one = begin(&tablet, Isolation::Serializable);
        let bounds =
            IterOptions { lower: Some(b"b".to_vec()), upper: Some(b"d".to_vec()), ..IterOptions::default() };
        one.iter(bounds).unwrap();
        one.put("sum", "2").unwrap();
        commit_put(&tablet, "d", "outside");
        commit_put(&tablet, "bx", "inside");
        if flushed {
            tablet.flush().unwrap();
        }
        assert!(matches!(one.commit(None), Err(Error::Conflict { key }) if key == b"bx"));
    }
}

#[test]
fn get_for_update_guards_what_is_not_written() {
    let (_store, tablet) = store();
    let mut one = begin(&tablet, Isolation::Snapshot);
    one.get_for_update(b"a").unwrap();
    one.put("b", "one").unwrap();
    let mut other = WriteBatch::new();
    other.delete("a");
    tablet.commit(other, None).unwrap();
    assert!(matches!(one.commit(None), Err(Error::Conflict { .. })));
}

#[test]
fn read_committed_sees_each_commit_and_does_not_conflict() {
    let (_store, tablet) = store();
    let mut one = begin(&tablet, Isolation::ReadCommitted);
    commit_put(&tablet, "a", "a1");
    assert_eq!(text(one.get(b"a").unwrap()), Some("a1".into()));
    one.put("a", "a2").unwrap();
    one.commit(None).unwrap();
    assert_eq!(text(tablet.get(b"a").unwrap()), Some("a2".into()));
}

#[test]
fn savepoints_nest_and_take_back() {
    let (_store, tablet) = store();
    let mut one = begin(&tablet, Isolation::Snapshot);
    one.put("a", "a1").unwrap();
    let outer = one.savepoint().unwrap();
    one.delete_range("a", "c").unwrap();
    let inner = one.savepoint().unwrap();
    one.put("b", "b1").unwrap();
    assert_eq!(scan(&one), "b1 c0 d0");
    one.rollback_to(inner).unwrap();
    assert_eq!(scan(&one), "c0 d0");
    one.rollback_to(outer).unwrap();
    assert_eq!(scan(&one), "a1 b0 c0 d0");
    assert!(matches!(one.rollback_to(inner), Err(Error::InvalidInput(_))));
    one.commit(None).unwrap();
    assert_eq!(text(tablet.get(b"a").unwrap()), Some("a1".into()));
}

#[test]
fn increments_by_many_threads_all_count() {
    let (_store, tablet) = store();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut done = 0;
                while done < 100 {
                    let mut transaction = begin(&tablet, Isolation::Snapshot);
                    let count = text(transaction.get(b"count").unwrap());
                    let count: u64 = count.map_or(0, |text| text.parse().unwrap());
                    transaction.put("count", (count + 1).to_string()).unwrap();
                    match transaction.commit(None) {
                        Ok(_) => done += 1,
                        Err(Error::Conflict { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
    });
    assert_eq!(text(tablet.get(b"count").unwrap()), Some("400".into()));
}

fn pessimistic(tablet: &Tablet, patience_ms: u64) -> Transaction {
    let locking = Locking::Pessimistic { patience: Duration::from_millis(patience_ms) };
    tablet.begin(TransactionOptions { locking, ..TransactionOptions::default() }).unwrap()
}

#[test]
fn pessimistic_increments_wait_and_never_conflict() {
    let (_store, tablet) = store();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..100 {
                    let mut transaction = pessimistic(&tablet, 60_000);
                    let count = text(transaction.get_for_update(b"count").unwrap());
                    let count: u64 = count.map_or(0, |text| text.parse().unwrap());
                    transaction.put("count", (count + 1).to_string()).unwrap();
                    transaction.commit(None).unwrap();
                }
            });
        }
    });
    assert_eq!(text(tablet.get(b"count").unwrap()), Some("400".into()));
}

#[test]
fn a_deadlock_is_found_and_the_other_goes_on() {
    let (_store, tablet) = store();
    let mut one = pessimistic(&tablet, 60_000);
    one.put("a", "one").unwrap();
    let (ready, is_ready) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let mut two = pessimistic(&tablet, 60_000);
            two.put("b", "two").unwrap();
            ready.send(()).unwrap();
            match two.put("a", "two") {
                Ok(()) => two.commit(None).map(|_| true),
                Err(Error::Deadlock { .. }) => Ok(false),
                Err(error) => Err(error),
            }
        });
        is_ready.recv().unwrap();
        let first = match one.put("b", "one") {
            Ok(()) => one.commit(None).map(|_| true),
            Err(Error::Deadlock { key }) => {
                assert_eq!(key, b"b");
                one.rollback();
                Ok(false)
            }
            Err(error) => Err(error),
        };
        let second = other.join().unwrap();
        // Whoever asked last was refused, and the other got its lock and committed.
        assert_ne!(first.unwrap(), second.unwrap());
    });
    assert_eq!(text(tablet.get(b"a").unwrap()), text(tablet.get(b"b").unwrap()));
}

#[test]
fn patience_ends_and_locks_go_with_their_transaction() {
    let (_store, tablet) = store();
    let mut one = pessimistic(&tablet, 10);
    one.delete("a").unwrap();
    let mut two = pessimistic(&tablet, 10);
    assert!(matches!(two.put("a", "two"), Err(Error::LockTimeout { key }) if key == b"a"));
    one.rollback();
    two.put("a", "two").unwrap();
    two.commit(None).unwrap();
    assert_eq!(text(tablet.get(b"a").unwrap()), Some("two".into()));
}

#[test]
fn a_lock_does_not_hide_a_lost_update() {
    let (_store, tablet) = store();
    let mut one = pessimistic(&tablet, 10);
    assert_eq!(text(one.get(b"a").unwrap()), Some("a0".into()));
    commit_put(&tablet, "a", "other");
    one.put("a", "from a0").unwrap();
    assert!(matches!(one.commit(None), Err(Error::Conflict { .. })), "it read the old value");
    let mut two = pessimistic(&tablet, 10);
    commit_put(&tablet, "a", "newest");
    assert_eq!(text(two.get_for_update(b"a").unwrap()), Some("newest".into()));
    two.put("a", "from newest").unwrap();
    two.commit(None).unwrap();
}

#[test]
fn a_view_sees_own_writes_as_they_come_and_outlives_the_commit() {
    let (_store, tablet) = store();
    let mut transaction = begin(&tablet, Isolation::Snapshot);
    let view = transaction.view();
    transaction.put("a", "own").unwrap();
    transaction.delete("b").unwrap();
    commit_put(&tablet, "c", "by another");
    let get = |key: &str| text(view.get(key.as_bytes()).unwrap());
    assert_eq!((get("a").as_deref(), get("b"), get("c").as_deref()), (Some("own"), None, Some("c0")));
    let many = view.multi_get(&[b"a", b"b"]).unwrap();
    assert_eq!(many.into_iter().map(text).collect::<Vec<_>>(), [Some("own".to_owned()), None]);
    let mut iter = view.iter(IterOptions::default()).unwrap();
    assert!(iter.seek_to_first().unwrap());
    assert_eq!((iter.key(), iter.value()), (b"a".as_slice(), b"own".as_slice()));
    assert!(iter.next().unwrap());
    assert_eq!((iter.key(), iter.value()), (b"c".as_slice(), b"c0".as_slice()), "b is deleted");
    transaction.commit(None).unwrap();
    assert_eq!((get("a").as_deref(), get("c").as_deref()), (Some("own"), Some("c0")));
}

#[test]
fn conflicts_can_be_asked_for_before_the_commit() {
    let (_store, tablet) = store();
    let mut transaction = begin(&tablet, Isolation::Snapshot);
    transaction.put("a", "own").unwrap();
    transaction.check_conflicts().unwrap();
    assert_eq!(transaction.size_bytes(), 4);
    commit_put(&tablet, "a", "by another");
    assert!(matches!(transaction.check_conflicts(), Err(Error::Conflict { .. })));
    assert!(matches!(transaction.commit(None), Err(Error::Conflict { .. })));
}

#[test]
fn a_lock_after_a_scan_does_not_hide_a_lost_update() {
    let (_store, tablet) = store();
    let mut one = pessimistic(&tablet, 1_000);
    assert_eq!(scan(&one), "a0 b0 c0 d0");
    commit_put(&tablet, "b", "other");
    one.put("b", "b0 and one").unwrap();
    assert!(matches!(one.commit(None), Err(Error::Conflict { key }) if key == b"b"));
}

#[test]
fn a_range_deleted_since_the_snapshot_conflicts_wherever_it_is() {
    for flushed in [false, true] {
        let (_store, tablet) = store();
        let delete = || {
            let mut batch = WriteBatch::new();
            batch.delete_range("a", "c");
            tablet.commit(batch, None).unwrap();
        };
        // Under the one that matters is an older one of the same keys.
        delete();
        let mut key = begin(&tablet, Isolation::Snapshot);
        let mut range = begin(&tablet, Isolation::Snapshot);
        let mut beside = begin(&tablet, Isolation::Snapshot);
        delete();
        if flushed {
            tablet.flush().unwrap();
        }
        key.put("aa", "never there before").unwrap();
        assert!(matches!(key.commit(None), Err(Error::Conflict { .. })), "flushed: {flushed}");
        range.delete_range("b", "bb").unwrap();
        assert!(matches!(range.commit(None), Err(Error::Conflict { .. })), "flushed: {flushed}");
        beside.delete_range("c", "d").unwrap();
        beside.commit(None).unwrap();
    }
}

#[test]
fn own_writes_are_seen_over_many_versions_of_a_key() {
    let (_store, tablet) = store();
    (0..40).for_each(|number| commit_put(&tablet, "b", &format!("b{number}")));
    let mut one = begin(&tablet, Isolation::Snapshot);
    (0..40).for_each(|number| commit_put(&tablet, "b", &format!("later {number}")));
    assert_eq!(scan(&one), "a0 b39 c0 d0");
    one.put("b", "own").unwrap();
    assert_eq!(scan(&one), "a0 own c0 d0");
    one.delete("b").unwrap();
    assert_eq!(scan(&one), "a0 c0 d0");
}

#[test]
fn what_was_read_under_a_lock_is_checked_even_if_nothing_is_written() {
    for isolation in [Isolation::Serializable, Isolation::Snapshot, Isolation::ReadCommitted] {
        let (_store, tablet) = store();
        let locking = Locking::Pessimistic { patience: Duration::from_millis(10) };
        let begin = || {
            tablet.begin(TransactionOptions { isolation, locking, ..TransactionOptions::default() }).unwrap()
        };
        let one = begin();
        assert_eq!(text(one.get(b"b").unwrap()), Some("b0".into()));
        let mut both = WriteBatch::new();
        both.put("a", "a1");
        both.put("b", "b1");
        tablet.commit(both, None).unwrap();
        assert_eq!(text(one.get_for_update(b"a").unwrap()), Some("a1".into()), "the newest, under the lock");
        // The old `b` beside the new `a` is no state there ever was; only serializable promises one.
        let committed = one.commit(None);
        if isolation == Isolation::Serializable {
            assert!(matches!(committed, Err(Error::Conflict { key }) if key == b"b"));
        } else {
            committed.unwrap();
        }
        // Who locks takes no part in what others do without locks; the guarded key must be the same at commit.
        let two = begin();
        two.get_for_update(b"c").unwrap();
        commit_put(&tablet, "c", "c1");
        assert!(matches!(two.commit(None), Err(Error::Conflict { key }) if key == b"c"), "{isolation:?}");
    }
}

#[test]
fn a_reader_commits_where_all_it_read_was_true() {
    let (_store, tablet) = store();
    let reader = begin(&tablet, Isolation::Serializable);
    let began = reader.snapshot_timestamp();
    scan(&reader);
    commit_put(&tablet, "a", "a1");
    assert_eq!(reader.commit(None).unwrap(), began, "it never fails");
    let guarding = pessimistic(&tablet, 10);
    commit_put(&tablet, "b", "b1");
    assert_eq!(text(guarding.get_for_update(b"b").unwrap()), Some("b1".into()));
    let at = guarding.commit(None).unwrap();
    assert_eq!(text(tablet.snapshot_at(at).unwrap().get(b"b").unwrap()), Some("b1".into()));
}

/// Does `work` on another thread and waits for it as long as a test may take.
fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, is_done) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(work()));
    is_done.recv_timeout(Duration::from_secs(20)).expect("it waits, or has failed")
}

#[test]
fn nobody_waits_for_a_long_transaction_but_who_wants_its_locks() {
    let (_store, tablet) = store();
    let mut long = pessimistic(&tablet, 10);
    long.put("a", "uncommitted").unwrap();
    long.delete("b").unwrap();
    long.get_for_update(b"c").unwrap();
    long.delete_range("c", "z").unwrap();
    let reads = tablet.clone();
    let seen = in_time(move || {
        let other = pessimistic(&reads, 120_000);
        let own = begin(&reads, Isolation::Serializable);
        let snapshot = reads.snapshot();
        let many = snapshot.multi_get(&[b"a", b"b"]).unwrap();
        let seen = [
            text(reads.get(b"a").unwrap()),
            text(snapshot.get(b"b").unwrap()),
            text(other.get(b"a").unwrap()),
            text(own.get(b"c").unwrap()),
            many.into_iter().map(text).collect::<Option<String>>(),
            Some(scan(&other)),
            Some(scan(&own)),
        ];
        other.commit(None).unwrap();
        own.commit(None).unwrap();
        // Nor do they who do not lock wait to write, or background work for any of it.
        commit_put(&reads, "c", "c1");
        reads.flush().unwrap();
        reads.compact_all().unwrap();
        let mut wants_one = pessimistic(&reads, 10);
        assert!(matches!(wants_one.put("a", "mine"), Err(Error::LockTimeout { .. })));
        seen.map(Option::unwrap)
    });
    let all = "a0 b0 c0 d0";
    assert_eq!(seen, ["a0", "b0", "a0", "c0", "a0b0", all, all]);
    assert!(matches!(long.commit(None), Err(Error::Conflict { key }) if key == b"c"));
}

#[test]
fn a_savepoint_is_used_again_and_one_that_is_gone_is_not_taken_for_another() {
    let (_store, tablet) = store();
    let mut one = begin(&tablet, Isolation::Snapshot);
    let outer = one.savepoint().unwrap();
    one.put("a", "a1").unwrap();
    let inner = one.savepoint().unwrap();
    for round in 0..3 {
        one.put("b", format!("b{round}")).unwrap();
        one.rollback_to(inner).unwrap();
        assert_eq!((scan(&one), one.len(), one.size_bytes()), ("a1 b0 c0 d0".into(), 1, 3));
    }
    one.rollback_to(outer).unwrap();
    assert!(one.is_empty() && one.size_bytes() == 0);
    one.put("b", "b9").unwrap();
    one.put("c", "c9").unwrap();
    let other = one.savepoint().unwrap();
    assert!(matches!(one.rollback_to(inner), Err(Error::InvalidInput(_))));
    one.rollback_to(other).unwrap();
    assert_eq!(scan(&one), "a0 b9 c9 d0");
}

#[test]
fn a_key_locked_again_and_again_takes_memory_once() {
    let (store, tablet) = store();
    let locking = Locking::Pessimistic { patience: Duration::from_secs(1) };
    let one = tablet.begin(TransactionOptions { locking, ..TransactionOptions::default() }).unwrap();
    one.get_for_update(b"a").unwrap();
    let once = store.memory_report().transaction_bytes;
    assert!(once > 0);
    for _ in 0..1_000 {
        one.get_for_update(b"a").unwrap();
        one.get(b"b").unwrap();
    }
    assert_eq!(store.memory_report().transaction_bytes, once);
    drop(one);
    assert_eq!(store.memory_report().transaction_bytes, 0);
}

#[test]
fn a_phantom_conflicts_at_every_bound_of_what_was_read_and_beside_guards() {
    for (lower, upper) in [(None, None), (None, Some("c")), (Some("c"), None), (Some("b"), Some("c"))] {
        for (phantom, is_guarded) in [("aa", false), ("b", true), ("bb", false), ("c", true), ("zz", false)] {
            let (_store, tablet) = store();
            let mut reader = begin(&tablet, Isolation::Serializable);
            let bytes = |bound: Option<&str>| bound.map(|bound| bound.as_bytes().to_vec());
            let bounds = IterOptions { lower: bytes(lower), upper: bytes(upper), keys_only: false };
            let mut iter = reader.iter(bounds).unwrap();
            iter.seek_to_first().unwrap();
            drop(iter);
            if is_guarded {
                reader.get_for_update(b"y").unwrap();
            }
            commit_put(&tablet, phantom, "phantom");
            reader.put("y", "sum").unwrap();
            let is_within =
                lower.is_none_or(|lower| lower <= phantom) && upper.is_none_or(|upper| phantom < upper);
            let committed = reader.commit(None);
            assert_eq!(
                matches!(&committed, Err(Error::Conflict { key }) if key == phantom.as_bytes()),
                is_within,
                "{phantom} into {lower:?} to {upper:?}: {committed:?}"
            );
            assert_eq!(committed.is_ok(), !is_within);
        }
    }
}

#[test]
fn a_lock_does_not_renew_what_was_read_before_it() {
    let (_store, tablet) = store();
    let locking = Locking::Pessimistic { patience: Duration::from_millis(50) };
    for isolation in [Isolation::Snapshot, Isolation::Serializable] {
        let options = || TransactionOptions { isolation, locking, ..TransactionOptions::default() };
        let mut stale = tablet.begin(options()).unwrap();
        let before = text(stale.get(b"a").unwrap()).unwrap();
        commit_put(&tablet, "a", "meanwhile");
        stale.put("a", format!("{before}+1")).unwrap();
        assert!(matches!(stale.commit(None), Err(Error::Conflict { key }) if key == b"a"), "{isolation:?}");
        assert_eq!(text(tablet.get(b"a").unwrap()), Some("meanwhile".into()));
        let mut fresh = tablet.begin(options()).unwrap();
        fresh.get(b"a").unwrap();
        fresh.put("a", "after").unwrap();
        fresh.commit(None).unwrap();
    }
}
