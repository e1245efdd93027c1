//! The seam between appending and applying: what a replicator is told, and what its answers mean.

use std::sync::{Arc, Mutex};

use sheaf_storage::{
    Durability, Error, Local, Proposal, Replicator, Result, Role, StoreOptions, TransactionOptions,
    WriteBatch,
};

use crate::fixture::{memory, open, small_options};

/// Answers as told, and remembers what it was asked.
#[derive(Debug)]
struct Scripted {
    role: Mutex<Role>,
    refusal: Mutex<Option<Error>>,
    proposals: Mutex<Vec<Proposal>>,
    barriers: Mutex<u32>,
}

impl Replicator for Scripted {
    fn propose(&self, log: &sheaf_storage::wal::log::Log, proposal: &Proposal) -> Result<()> {
        self.proposals.lock().unwrap().push(*proposal);
        self.refusal.lock().unwrap().clone().map_or(Ok(()), Err)?;
        Local.propose(log, proposal)
    }

    fn read_barrier(&self) -> Result<()> {
        *self.barriers.lock().unwrap() += 1;
        self.refusal.lock().unwrap().clone().map_or(Ok(()), Err)
    }

    fn role(&self) -> Role {
        self.role.lock().unwrap().clone()
    }
}

fn scripted(role: Role) -> (Arc<Scripted>, StoreOptions) {
    let replicator = Arc::new(Scripted {
        role: Mutex::new(role),
        refusal: Mutex::default(),
        proposals: Mutex::default(),
        barriers: Mutex::default(),
    });
    (Arc::clone(&replicator), StoreOptions { replicator, ..small_options() })
}

fn put(key: &str) -> WriteBatch {
    let mut batch = WriteBatch::new();
    batch.put(key, "value");
    batch
}

#[test]
fn records_are_proposed_in_order_and_applied_after() {
    let (replicator, options) = scripted(Role::Leader { term: 7 });
    let (_, vfs) = memory();
    let store = open(&vfs, options.clone()).unwrap();
    for (number, durability) in
        [Durability::Sync, Durability::Async, Durability::Sync].into_iter().enumerate()
    {
        store.tablet().commit(put(&format!("k{number}")), Some(durability)).unwrap();
        let proposals = replicator.proposals.lock().unwrap().clone();
        let index = number as u64 + 1;
        let expected =
            Proposal { tablet: store.tablet().id(), first_index: index, last_index: index, durability };
        assert_eq!((proposals.len(), proposals.last()), (number + 1, Some(&expected)));
    }
    store.close().unwrap();
    let store = open(&vfs, options).unwrap();
    store.tablet().commit(put("k3"), None).unwrap();
    assert_eq!(
        replicator.proposals.lock().unwrap().last().unwrap().first_index,
        4,
        "indexes go on after a reopening"
    );
    assert!(store.tablet().snapshot().iter(Default::default()).unwrap().seek(b"k0").unwrap());
}

#[test]
fn a_follower_refuses_writes_and_names_the_leader() {
    let (replicator, options) = scripted(Role::Follower { leader: Some("other:7070".into()) });
    let (_, vfs) = memory();
    let store = open(&vfs, options).unwrap();
    let tablet = store.tablet();
    let error = tablet.commit(put("k"), None).unwrap_err();
    assert!(matches!(&error, Error::NotLeader { leader: Some(leader) } if leader == "other:7070"), "{error}");
    assert_eq!(tablet.get(b"k").unwrap(), None);
    assert!(replicator.proposals.lock().unwrap().is_empty());
    // The same store, elected: nothing was damaged by refusing.
    *replicator.role.lock().unwrap() = Role::Leader { term: 2 };
    tablet.commit(put("k"), None).unwrap();
    assert!(tablet.get(b"k").unwrap().is_some());
}

#[test]
fn what_is_not_committed_is_not_applied_and_stops_writes() {
    let (replicator, options) = scripted(Role::Leader { term: 1 });
    let (_, vfs) = memory();
    let store = open(&vfs, options).unwrap();
    let tablet = store.tablet();
    tablet.commit(put("a"), None).unwrap();
    *replicator.refusal.lock().unwrap() = Some(Error::NotLeader { leader: None });
    assert!(matches!(tablet.commit(put("b"), None), Err(Error::NotLeader { leader: None })));
    assert_eq!(tablet.get(b"b").unwrap(), None);
    *replicator.refusal.lock().unwrap() = None;
    assert!(
        matches!(tablet.commit(put("c"), None), Err(Error::Poisoned(_))),
        "the log holds what may not be applied"
    );
    assert!(tablet.get(b"a").unwrap().is_some(), "reads go on");
}

#[test]
fn a_current_snapshot_waits_for_the_barrier() {
    let (replicator, options) = scripted(Role::Leader { term: 1 });
    let (_, vfs) = memory();
    let store = open(&vfs, options).unwrap();
    let tablet = store.tablet();
    tablet.commit(put("a"), None).unwrap();
    assert!(tablet.current_snapshot().unwrap().get(b"a").unwrap().is_some());
    assert_eq!(*replicator.barriers.lock().unwrap(), 1);
    *replicator.refusal.lock().unwrap() = Some(Error::NotLeader { leader: None });
    assert!(matches!(tablet.current_snapshot().err(), Some(Error::NotLeader { .. })));
    assert!(tablet.snapshot().get(b"a").unwrap().is_some(), "a snapshot that may be stale needs nobody");
}

#[test]
fn what_passes_the_log_by_is_for_stores_alone() {
    let (_, options) = scripted(Role::Leader { term: 1 });
    let (_, vfs) = memory();
    let store = open(&vfs, StoreOptions { flushable_batch_bytes: Some(1), ..options }).unwrap();
    let pairs = vec![(b"a".to_vec(), b"1".to_vec())];
    assert!(matches!(store.tablet().ingest(pairs), Err(Error::InvalidInput(_))));
    store.tablet().commit(put("a"), None).unwrap();
    assert_eq!(store.tablet().statistics().flushes, 0, "it went through the log and the memtable");
}

/// Holds up what is proposed while the gate is shut.
#[derive(Debug, Default)]
struct Gate {
    shut: Mutex<bool>,
    opened: std::sync::Condvar,
    largest: Mutex<u64>,
}

impl Replicator for Gate {
    fn propose(&self, log: &sheaf_storage::wal::log::Log, proposal: &Proposal) -> Result<()> {
        let mut largest = self.largest.lock().unwrap();
        *largest = (*largest).max(proposal.last_index - proposal.first_index + 1);
        drop(largest);
        drop(self.opened.wait_while(self.shut.lock().unwrap(), |shut| *shut).unwrap());
        Local.propose(log, proposal)
    }

    fn read_barrier(&self) -> Result<()> {
        Ok(())
    }

    fn role(&self) -> Role {
        Role::Standalone
    }
}

#[test]
fn a_group_is_as_durable_as_its_most_demanding_member_and_conflicts_within_it_count() {
    let mut grouped = 0;
    for round in 0..20 {
        let gate = Arc::new(Gate::default());
        let (disk, vfs) = memory();
        let store = open(&vfs, StoreOptions { replicator: gate.clone(), ..small_options() }).unwrap();
        let transactions: Vec<_> = (0..2 + round % 2 * 2)
            .map(|_| store.tablet().begin(TransactionOptions::default()).unwrap())
            .collect();
        *gate.shut.lock().unwrap() = true;
        let committed: usize = std::thread::scope(|scope| {
            let tablet = store.tablet();
            scope.spawn(move || tablet.commit(put("first"), Some(Durability::Sync)).unwrap());
            let writers = transactions.into_iter().enumerate().map(|(number, mut transaction)| {
                scope.spawn(move || {
                    transaction.put("k", format!("{number}")).unwrap();
                    let durability = [Durability::Async, Durability::Sync][number % 2];
                    usize::from(transaction.commit(Some(durability)).is_ok())
                })
            });
            let writers: Vec<_> = writers.collect();
            // They queue up meanwhile; a round in which they do not is no proof, and no failure.
            std::thread::park_timeout(std::time::Duration::from_millis(10 + 5 * round));
            *gate.shut.lock().unwrap() = false;
            gate.opened.notify_all();
            writers.into_iter().map(|writer| writer.join().unwrap()).sum()
        });
        assert_eq!(committed, 1, "all wrote one key at one snapshot");
        let mut batch = put("second");
        batch.put("third", "value");
        let (tablet, other) = (store.tablet(), store.tablet());
        *gate.shut.lock().unwrap() = true;
        std::thread::scope(|scope| {
            scope.spawn(|| tablet.commit(put("leads"), Some(Durability::Sync)).unwrap());
            std::thread::park_timeout(std::time::Duration::from_millis(2));
            scope.spawn(|| other.commit(put("relaxed"), Some(Durability::Async)).unwrap());
            scope.spawn(|| tablet.commit(batch, Some(Durability::Sync)).unwrap());
            std::thread::park_timeout(std::time::Duration::from_millis(10 + 5 * round));
            *gate.shut.lock().unwrap() = false;
            gate.opened.notify_all();
        });
        let crashed: Arc<dyn sheaf_storage::Vfs> = Arc::new(disk.crash_clone(round, 0));
        let again = open(&crashed, small_options()).unwrap();
        assert!(again.tablet().get(b"third").unwrap().is_some(), "acknowledged as synced, and lost");
        grouped += usize::from(*gate.largest.lock().unwrap() > 1);
        if grouped >= 3 {
            return;
        }
    }
    panic!("no groups were formed");
}
