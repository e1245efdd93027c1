//! How the cache and the filters do, counted by every lookup.
//!
//! Several threads that add to one number pass its cache line back and forth, which would cost a lookup more than the question
//! itself. So there are several sets of numbers, and a thread adds to one of them, in a load and a store: what two threads of one
//! set lose between them does not matter for a rate.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Sets of numbers.
const SETS: usize = 16;

/// How filters have done since the store was opened; about, where many threads read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FilterStatistics {
    /// Questions to a filter.
    pub asked: u64,
    /// Those answered with "surely absent": a block that was not read.
    pub absent: u64,
    /// Those answered with "perhaps present" where the key was not.
    pub mistaken: u64,
}

impl FilterStatistics {
    /// Of the questions about keys that were not there, in thousandths, how many the filters knew; `None` if there was none.
    pub fn hit_permille(&self) -> Option<u64> {
        (self.absent * 1_000).checked_div(self.absent + self.mistaken)
    }
}

/// A set, in cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Set {
    asked: AtomicU64,
    absent: AtomicU64,
    mistaken: AtomicU64,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// The numbers.
#[derive(Debug, Default)]
pub struct ReadCounters {
    sets: [Set; SETS],
}

thread_local! {
    /// The thread's set, once it has one.
    static OWN: Cell<usize> = const { Cell::new(usize::MAX) };
}

fn own_set() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    OWN.with(|own| {
        if own.get() == usize::MAX {
            own.set(NEXT.fetch_add(1, Ordering::Relaxed) % SETS);
        }
        own.get()
    })
}

#[inline]
fn add_one(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}

impl ReadCounters {
    /// Counts a question and whether its answer was "surely absent".
    #[inline]
    pub fn note_question(&self, absent: bool) {
        let Some(set) = self.sets.get(own_set()) else { return };
        add_one(&set.asked);
        if absent {
            add_one(&set.absent);
        }
    }

    /// Counts an answer "perhaps present" that was wrong.
    #[inline]
    pub fn note_mistake(&self) {
        if let Some(set) = self.sets.get(own_set()) {
            add_one(&set.mistaken);
        }
    }

    /// Counts a block or value that was asked for, and whether it was cached.
    #[inline]
    pub fn note_asked(&self, is_cached: bool) {
        if let Some(set) = self.sets.get(own_set()) {
            add_one(if is_cached { &set.hits } else { &set.misses });
        }
    }

    fn sum(&self, of: fn(&Set) -> &AtomicU64) -> u64 {
        self.sets.iter().map(|set| of(set).load(Ordering::Relaxed)).sum()
    }

    /// What was asked for and cached, and what was not.
    pub fn hits_and_misses(&self) -> (u64, u64) {
        (self.sum(|set| &set.hits), self.sum(|set| &set.misses))
    }

    /// How the filters have done.
    pub fn filters(&self) -> FilterStatistics {
        FilterStatistics {
            asked: self.sum(|set| &set.asked),
            absent: self.sum(|set| &set.absent),
            mistaken: self.sum(|set| &set.mistaken),
        }
    }
}
