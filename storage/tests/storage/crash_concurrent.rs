//! The power goes while several threads commit and background threads flush and compact.
//!
//! Each writer counts upwards in keys of its own. In what a crash leaves, every writer's numbers are there without a
//! gap, at least up to the last one acknowledged as synced when the disk was cloned; and the writers together are a
//! prefix of the order of timestamps.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use sheaf_storage::{
    BackgroundWork, Durability, FaultVfs, IterOptions, MemoryVfs, StoreOptions, Timestamp, Vfs, WriteBatch,
};

use crate::fixture::{Dice, deep, memory, open, small_options};
use crate::model::forward;

const WRITERS: usize = 4;

/// A disk as a power cut left it, and how many numbers of each writer were acknowledged as synced before.
type Wreck = (MemoryVfs, [u64; WRITERS]);

fn options() -> StoreOptions {
    StoreOptions { background: BackgroundWork::Threads, ..small_options() }
}

fn key(writer: usize, number: u64) -> Vec<u8> {
    format!("d{writer}-{number:06}").into_bytes()
}

/// Writes with all writers at once; returns when each commit was, and the clones taken on the way.
fn write_and_wreck(seed: u64, commits: u64) -> (BTreeMap<Timestamp, (usize, u64)>, Vec<Wreck>) {
    let (memory, base) = memory();
    let faults = FaultVfs::new(base);
    let acknowledged: Arc<[AtomicU64; WRITERS]> = Arc::default();
    let wrecks = Arc::new(Mutex::new(Vec::new()));
    let (seen, kept, dice) = (Arc::clone(&acknowledged), Arc::clone(&wrecks), Mutex::new(Dice::new(seed)));
    faults.set_hook(move |_| {
        let mut dice = dice.lock().unwrap();
        if dice.below(40) == 0 {
            // What is acknowledged is read before the disk is cloned: it must be on the disk by then.
            let before = std::array::from_fn(|writer| seen[writer].load(Ordering::SeqCst));
            let survive = [0, 50, 100][dice.below(3) as usize];
            kept.lock().unwrap().push((memory.crash_clone(dice.below(u64::MAX), survive), before));
        }
    });
    let vfs: Arc<dyn Vfs> = Arc::new(faults);
    let store = open(&vfs, options()).unwrap();
    let order = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (tablet, order, acknowledged) = (store.tablet(), &order, &acknowledged);
            scope.spawn(move || {
                let mut dice = Dice::new(seed * 31 + writer as u64);
                for number in 0..commits {
                    let mut batch = WriteBatch::new();
                    batch.put(key(writer, number), vec![number as u8; dice.below(300) as usize]);
                    let durability = [Durability::Sync, Durability::Async][dice.below(2) as usize];
                    let timestamp = tablet.commit(batch, Some(durability)).unwrap();
                    order.lock().unwrap().insert(timestamp, (writer, number));
                    if durability == Durability::Sync {
                        acknowledged[writer].store(number + 1, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    store.close().unwrap();
    drop((store, vfs));
    let wrecks = std::mem::take(&mut *wrecks.lock().unwrap());
    (order.into_inner().unwrap(), wrecks)
}

fn check(order: &BTreeMap<Timestamp, (usize, u64)>, (disk, synced): &Wreck) {
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let store = open(&vfs, small_options()).unwrap();
    let last = store.tablet().last_timestamp();
    let mut counts = [0; WRITERS];
    order.range(..=last).for_each(|(_, (writer, _))| counts[*writer] += 1);
    let found = forward(&mut store.tablet().snapshot().iter(IterOptions::default()).unwrap());
    let expected = (0..WRITERS).flat_map(|writer| (0..counts[writer]).map(move |number| key(writer, number)));
    assert!(expected.eq(found.into_iter().map(|(key, _)| key)), "not a prefix of the order of timestamps");
    for writer in 0..WRITERS {
        assert!(
            counts[writer] >= synced[writer],
            "writer {writer}: {} synced, {}",
            synced[writer],
            counts[writer]
        );
    }
}

#[test]
fn deep_crash_concurrent() {
    let (rounds, commits) = if deep() { (60, 800) } else { (4, 150) };
    let mut points = 0;
    for seed in 0..rounds {
        let (order, wrecks) = write_and_wreck(seed, commits);
        wrecks.iter().for_each(|wreck| check(&order, wreck));
        points += wrecks.len();
    }
    println!("stage crash_concurrent: {points} points over {rounds} rounds of {WRITERS} writers");
    assert!(points as u64 > rounds * 5);
}
