//! One memory budget, and what one tablet cannot get.

use std::sync::Arc;

use sheaf_storage::{
    BackgroundWork, Durability, Error, FaultVfs, StoreOptions, Tablet, TabletId, Vfs, WriteBatch,
};

use crate::fixture::{Dice, memory, open, small_options};
use crate::model::random_batch;
use crate::tablets::{contents, put, three};

#[test]
fn many_tablets_share_one_memory_budget() {
    for background in [BackgroundWork::Inline, BackgroundWork::Threads] {
        let (_, vfs) = memory();
        let options = StoreOptions {
            background,
            memtable_bytes: 256 << 10,
            wal_segment_bytes: 256 << 10,
            ..small_options()
        };
        let active_max = 3 * options.memtable_bytes as u64;
        let store = open(&vfs, options).unwrap();
        let all: Vec<Tablet> = (1..=20).map(|id| store.create_tablet(TabletId(id)).unwrap()).collect();
        let mut dice = Dice::new(3);
        let mut most = 0;
        for _ in 0..2_000 {
            let tablet = &all[dice.below(20) as usize];
            tablet.commit(random_batch(&mut dice, 200), Some(Durability::Async)).unwrap();
            let report = store.memory_report();
            most = most.max(report.active_memtable_bytes);
            assert!(report.total_bytes() <= report.budget_bytes, "{report:?}");
        }
        // An empty memtable takes something too, and there are twenty-one of them.
        if background == BackgroundWork::Inline {
            assert!(most <= active_max + 21 * (20 << 10), "{most} of {active_max}");
        }
        let flushes: u64 = store.statistics().tablets.values().map(|tablet| tablet.flushes).sum();
        assert!(flushes > 5, "{flushes}");
        store.close().unwrap();
    }
}

#[test]
fn a_transaction_gets_the_memory_that_the_memtables_of_others_hold() {
    let (_, vfs) = memory();
    let options = StoreOptions {
        memtable_bytes: 256 << 10,
        flushable_batch_bytes: Some(1 << 20),
        wal_segment_bytes: 8 << 20,
        memory_bytes: Some(2 << 20),
        ..small_options()
    };
    let (store, [first, second, third]) = three(&vfs, options);
    // Less than a memtable each, more than one together, and not more than all may have.
    for tablet in [&first, &second] {
        let mut batch = WriteBatch::new();
        (0..200).for_each(|number| batch.put(format!("k{number:03}"), vec![7; 900]));
        tablet.commit(batch, Some(Durability::Async)).unwrap();
    }
    let flushes = || store.statistics().tablets.values().map(|tablet| tablet.flushes).sum::<u64>();
    assert_eq!(flushes(), 0);
    let mut transaction = third.begin(sheaf_storage::TransactionOptions::default()).unwrap();
    let refused = (0..4_000).find_map(|number| transaction.put(format!("k{number:04}"), vec![7; 900]).err());
    assert!(matches!(refused, Some(Error::MemoryExceeded(_))), "{refused:?}");
    assert!(flushes() > 0, "what the others held was not asked for");
    transaction.rollback();
    assert_eq!((contents(&first).len(), contents(&second).len()), (200, 200));
}

#[test]
fn a_shortage_of_one_tablet_does_not_hold_up_the_others() {
    let (_, base) = memory();
    let faults = FaultVfs::new(base);
    let vfs: Arc<dyn Vfs> = Arc::new(faults.clone());
    let (_store, [first, _, third]) = three(&vfs, small_options());
    faults.add_rule("fail create tablet-0000000007 errno 24").unwrap();
    let mut number = 0;
    while third.statistics().sealed_memtables < 2 {
        number += 1;
        third.commit(put(&format!("i{number:03}"), &"v".repeat(900)), None).unwrap();
    }
    assert_eq!(third.statistics().flushes, 0);
    for number in 0..60 {
        first.commit(put(&format!("i{number:03}"), &"v".repeat(900)), None).unwrap();
        assert_eq!(first.statistics().sealed_memtables, 0, "what is sealed is flushed at once");
    }
    assert!(first.statistics().flushes > 1);
    faults.clear_rules();
    third.commit(put("i", "v"), None).unwrap();
    assert_eq!(third.statistics().sealed_memtables, 0);
    assert_eq!(contents(&third).len(), number + 1);
}
