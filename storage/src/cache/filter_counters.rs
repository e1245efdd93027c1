//! How filters do, counted by every lookup.
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
}

/// The numbers.
#[derive(Debug, Default)]
pub struct FilterCounters {
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

impl FilterCounters {
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

    /// The numbers together.
    pub fn statistics(&self) -> FilterStatistics {
        let sum =
            |of: fn(&Set) -> &AtomicU64| self.sets.iter().map(|set| of(set).load(Ordering::Relaxed)).sum();
        FilterStatistics {
            asked: sum(|set| &set.asked),
            absent: sum(|set| &set.absent),
            mistaken: sum(|set| &set.mistaken),
        }
    }
}
