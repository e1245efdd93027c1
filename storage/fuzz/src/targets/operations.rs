//! A stream of operations on a store with tiny thresholds, against a map of (key, timestamp).

use std::sync::Arc;

use sheaf_storage::{
    Compression, Durability, IterOptions, MemoryVfs, Snapshot, Store, StoreOptions, Timestamp,
    TransactionOptions, Vfs, WriteBatch,
};

use super::choices::Choices;
use crate::fixture;
use crate::model::{Model, backward, forward};

/// Operations of one stream: enough for several flushes and compactions.
const OPERATIONS_MAX: usize = 400;

struct Run {
    memory: MemoryVfs,
    vfs: Arc<dyn Vfs>,
    options: StoreOptions,
    store: Store,
    model: Model,
    snapshots: Vec<Snapshot>,
}

fn key(choices: &mut Choices<'_>) -> Vec<u8> {
    let byte = choices.byte();
    let keyspace = if byte & 1 == 0 { b'i' } else { b'd' };
    let length = usize::from(byte >> 6);
    [&[keyspace, byte >> 1 & 31][..], &b"long"[..length]].concat()
}

impl Run {
    fn new(choices: &mut Choices<'_>) -> Run {
        let (memory, vfs) = fixture::memory();
        let mut options = fixture::small_options();
        options.memtable_bytes = 2 << 10;
        let codec = [Compression::None, Compression::Lz4, Compression::Zstd];
        options.compression = [codec[usize::from(choices.byte() % 3)]; 7];
        let store = fixture::open(&vfs, options.clone()).expect("a new store");
        Run { memory, vfs, options, store, model: Model::default(), snapshots: Vec::new() }
    }

    fn batch(choices: &mut Choices<'_>) -> WriteBatch {
        let mut batch = WriteBatch::new();
        for _ in 0..1 + choices.byte() % 4 {
            match choices.byte() % 8 {
                0 => {
                    let (a, b) = (key(choices), key(choices));
                    if a[0] == b[0] && a != b {
                        batch.delete_range(a.clone().min(b.clone()), a.max(b));
                    }
                }
                1 => batch.delete(key(choices)),
                _ => batch.put(key(choices), vec![choices.byte(); choices.short() % 300]),
            }
        }
        batch
    }

    fn snapshot(&self, choices: &mut Choices<'_>) -> Snapshot {
        let at = usize::from(choices.byte()) % (self.snapshots.len() + 1);
        self.snapshots.get(at).cloned().unwrap_or_else(|| self.store.tablet().snapshot())
    }

    fn write(&mut self, choices: &mut Choices<'_>) {
        let batch = Self::batch(choices);
        let at = self.store.tablet().commit(batch.clone(), Some(Durability::Async)).expect("a commit");
        self.model.apply(&batch, at);
    }

    fn transact(&mut self, choices: &mut Choices<'_>) {
        let tablet = self.store.tablet();
        let mut transaction = tablet.begin(TransactionOptions::default()).expect("a transaction");
        let mut batch = WriteBatch::new();
        for _ in 0..choices.byte() % 5 {
            let (key, value) = (key(choices), vec![choices.byte(); choices.short() % 100]);
            transaction.put(key.clone(), value.clone()).expect("a write");
            batch.put(key.clone(), value.clone());
            assert_eq!(transaction.get(&key).expect("a read").as_deref(), Some(value.as_slice()));
        }
        if choices.byte().is_multiple_of(3) || transaction.is_empty() {
            transaction.rollback();
        } else {
            let at = transaction.commit(Some(Durability::Async)).expect("no other writer");
            self.model.apply(&batch, at);
        }
    }

    fn read(&self, choices: &mut Choices<'_>) {
        let snapshot = self.snapshot(choices);
        let key = key(choices);
        let expected = self.model.get(&key, snapshot.timestamp()).map(Vec::as_slice);
        assert_eq!(snapshot.get(&key).expect("a read").as_deref(), expected);
    }

    fn scan(&self, choices: &mut Choices<'_>) {
        let snapshot = self.snapshot(choices);
        let mut options = IterOptions::default();
        if !choices.byte().is_multiple_of(3) {
            let (a, b) = (key(choices), key(choices));
            (options.lower, options.upper) = (Some(a.clone().min(b.clone())), Some(a.max(b)));
        }
        let expected = self.model.scan(snapshot.timestamp(), options.lower.as_ref(), options.upper.as_ref());
        let mut iter = snapshot.iter(options).expect("an iterator");
        let found = if choices.byte().is_multiple_of(2) { forward(&mut iter) } else { backward(&mut iter) };
        assert_eq!(found, expected);
    }

    /// Reopens, after a close or as if the power had gone with everything on disk.
    fn reopen(&mut self, choices: &mut Choices<'_>) {
        self.snapshots.clear();
        if choices.byte().is_multiple_of(2) {
            self.store.close().expect("a close");
        } else {
            self.store.tablet().sync().expect("a sync");
            self.memory = self.memory.crash_clone(u64::from(choices.byte()), 50);
            self.vfs = Arc::new(self.memory.clone());
        }
        self.store = fixture::open(&self.vfs, self.options.clone()).expect("a store that was synced");
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        match choices.byte() % 32 {
            0..=13 => self.write(choices),
            14..=16 => self.transact(choices),
            17..=22 => self.read(choices),
            23..=25 => self.scan(choices),
            26 => self.snapshots.push(self.store.tablet().snapshot()),
            27 => drop(self.snapshots.pop()),
            28 => self.store.tablet().flush().expect("a flush"),
            29 if choices.byte().is_multiple_of(4) => {
                self.store.tablet().compact_all().expect("a compaction")
            }
            30 if choices.byte() < 128 => self.reopen(choices),
            _ => self.read(choices),
        }
    }
}

/// One input.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mut run = Run::new(&mut choices);
    for _ in 0..OPERATIONS_MAX {
        if choices.is_empty() {
            break;
        }
        run.step(&mut choices);
    }
    let found = run.store.tablet().snapshot();
    let expected = run.model.scan(Timestamp::MAX, None, None);
    assert_eq!(forward(&mut found.iter(IterOptions::default()).expect("an iterator")), expected);
    assert!(run.store.tablet().verify().problems.is_empty());
}
