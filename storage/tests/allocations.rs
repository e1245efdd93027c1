//! Seeks and steps of a warm iterator allocate nothing. A binary of its own, for it has an allocator that counts.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(unsafe_code, reason = "an allocator is unsafe by its trait; this one only counts and passes on")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;

use sheaf_storage::{
    BackgroundWork, Compression, Iter, IterOptions, MemoryVfs, Store, StoreOptions, WriteBatch,
};

thread_local! {
    /// Allocations of this thread.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, counted.
struct Counting;

fn count() {
    // A thread that ends may allocate when its counter is gone.
    let _ending = ALLOCATIONS.try_with(|allocations| allocations.set(allocations.get() + 1));
}

// SAFETY: every call is passed on as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as this function's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as this function's.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as this function's.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as this function's.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn key(number: u64) -> Vec<u8> {
    format!("key {number:06}").into_bytes()
}

/// Several tables in a level, two in L0, and a memtable, all over the same keys.
fn store() -> Store {
    let options = StoreOptions {
        background: BackgroundWork::Inline,
        table_bytes_target: 32 << 10,
        index_part_bytes: 256,
        compression: [Compression::None; 7],
        ..StoreOptions::default()
    };
    let store = Store::open(Arc::new(MemoryVfs::new()), Path::new("/db"), options).unwrap();
    let tablet = store.tablet();
    for part in 0..4 {
        let mut batch = WriteBatch::new();
        (0..4_000).for_each(|number| batch.put(key(number * 4 + part), vec![b'v'; 60]));
        tablet.commit(batch, None).unwrap();
        match part {
            0 => tablet.compact_all().unwrap(),
            1 | 2 => tablet.flush().unwrap(),
            _ => {}
        }
    }
    let levels = tablet.statistics().levels;
    let tables: Vec<usize> = levels.iter().map(|level| level.tables).filter(|&tables| tables > 0).collect();
    assert!(tables.len() == 2 && tables.iter().all(|&tables| tables >= 2), "{tables:?}");
    store
}

/// Seeks all over the store in both directions and walks on a little; the keys seen.
fn seek_and_walk(iter: &mut Iter, probes: &[Vec<u8>]) -> usize {
    let mut seen = 0;
    for probe in probes {
        let mut more = iter.seek(probe).unwrap();
        for _ in 0..12 {
            seen += usize::from(more && iter.value().len() == 60);
            more = iter.next().unwrap();
        }
        more = iter.seek_for_prev(probe).unwrap();
        for _ in 0..12 {
            seen += usize::from(more && iter.value().len() == 60);
            more = iter.prev().unwrap();
        }
        // Turning round is a seek as well.
        seen += usize::from(iter.next().unwrap()) + usize::from(iter.prev().unwrap());
    }
    seen
}

#[test]
fn a_warm_iterator_allocates_nothing() {
    let store = store();
    let mut iter = store.tablet().snapshot().iter(IterOptions::default()).unwrap();
    let probes: Vec<Vec<u8>> = (0..1_000).map(|number| key(100 + number * 7_919 % 15_800)).collect();
    // Twice: the first fills the cache, the second the buffers.
    let expected = seek_and_walk(&mut iter, &probes);
    seek_and_walk(&mut iter, &probes);
    let before = ALLOCATIONS.get();
    assert!(before > 1_000, "the allocator counts: {before}");
    let seen = seek_and_walk(&mut iter, &probes);
    let allocations = ALLOCATIONS.get() - before;
    assert_eq!(seen, expected);
    assert_eq!((seen, allocations), (probes.len() * 26, 0));
}
