//! What replay does with records, one by one.

use super::*;
use crate::wal::record::{RecordHead, RecordKind};
use crate::write_batch::WriteBatch;

fn record(index: u64, value_bytes: usize) -> Record {
    let (kind, timestamp) = (RecordKind::Batch, Timestamp(100 + index));
    let head = RecordHead { kind, compressed: false, group: 0, term: 1, index, timestamp };
    let mut operations = WriteBatch::new();
    operations.put([1], vec![2; value_bytes]);
    Record { head, operations }
}

fn replayed(applied_index: u64) -> Replayed {
    Replayed {
        sealed: VecDeque::new(),
        active: Arc::default(),
        active_since: NO_SEGMENT,
        last_timestamp: Timestamp::ZERO,
        last_index: applied_index,
        applied_index,
    }
}

#[test]
fn a_gap_in_the_order_of_records_is_corruption() {
    let options = StoreOptions::default();
    let mut replayed = replayed(4);
    let mut take = |index| replayed.take(Path::new("/log"), &options, 7, record(index, 1));
    take(3).unwrap();
    take(4).unwrap();
    take(5).unwrap();
    for wrong in [7, 5] {
        let error = take(wrong).unwrap_err();
        assert!(matches!(&error, Error::Corruption { .. }), "{wrong}: {error}");
    }
    take(6).unwrap();
    assert_eq!(replayed.active.entries(), 2, "what is in sstables is not applied again");
}

#[test]
fn a_memtable_that_fills_up_keeps_the_segment_of_the_records_after_it() {
    let options = StoreOptions { memtable_bytes: 10_000, ..StoreOptions::default() };
    let mut replayed = replayed(0);
    for (index, segment) in [(1, 3), (2, 3), (3, 4), (4, 4)] {
        replayed.take(Path::new("/log"), &options, segment, record(index, 20_000)).unwrap();
    }
    let sealed: Vec<_> =
        replayed.sealed.iter().map(|sealed| (sealed.applied_index, sealed.log_segment)).collect();
    // Record 2 is in segment 3 and not in the memtable that holds record 1, so that one may free segments below 3 only.
    assert_eq!(sealed, [(1, 3), (2, 4), (3, 4)]);
    // What each holds back itself begins where its oldest record is.
    assert_eq!(replayed.sealed.iter().map(|sealed| sealed.first_segment).collect::<Vec<_>>(), [3, 3, 4]);
    assert_eq!(replayed.active_since, 4);
    assert_eq!(replayed.last_timestamp, Timestamp(104));
}
