//! Who may commit now.
//!
//! Flushes and compactions have to keep up with commits, or reads would have ever more sstables to look into and the disk would
//! fill up with what is shadowed. Three things say how far they are behind: memtables that wait for their flush, flushes in L0,
//! and the *debt*, bytes that compaction has yet to move down. From a first limit on commits are delayed, in proportion to how
//! close the worst of them is to a second one, and never for long: a delay only spreads out what is to come. At the second
//! limit they wait. Whoever waits has woken what will end it, and after a while is refused.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::events::Event;
use crate::options::{BackgroundWork, StoreOptions};
use crate::tablet::background::Stall;
use crate::tablet::{TabletInner, lock};

/// The longest delay of a commit.
const DELAY_MAX: Duration = Duration::from_millis(2);
/// Shares of the way between two limits are counted in so many parts.
const SHARE_ONE: u64 = 1_000;

/// Whether commits are let through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriteState {
    /// At once.
    #[default]
    Open,
    /// Each after a short delay: background work is behind.
    Delayed,
    /// They wait for background work.
    Stopped,
}

/// How far background work is behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Backlog {
    sealed: usize,
    l0_runs: usize,
    debt_bytes: u64,
}

impl Backlog {
    fn stops(&self, options: &StoreOptions) -> bool {
        self.sealed >= options.sealed_memtables_max
            || self.l0_runs >= options.l0_stop
            || self.debt_bytes >= options.debt_stop_bytes
    }

    /// How much of the longest delay a commit gets, in thousandths.
    fn delay(&self, options: &StoreOptions) -> u64 {
        let share = |value: u64, from: u64, to: u64| {
            let over = value.saturating_sub(from);
            // In 128 bits: bytes are many.
            let share = u128::from(over) * u128::from(SHARE_ONE) / u128::from(to.saturating_sub(from).max(1));
            u64::try_from(share).unwrap_or(SHARE_ONE).min(SHARE_ONE)
        };
        // The first flush at the limit counts.
        let flushes = share(self.l0_runs as u64 + 1, options.l0_slowdown as u64, options.l0_stop as u64);
        flushes.max(share(self.debt_bytes, options.debt_slowdown_bytes, options.debt_stop_bytes))
    }

    pub(crate) fn state(&self, options: &StoreOptions) -> WriteState {
        match (self.stops(options), self.delay(options)) {
            (true, _) => WriteState::Stopped,
            (false, 0) => WriteState::Open,
            (false, _) => WriteState::Delayed,
        }
    }
}

impl TabletInner {
    /// How far background work is behind now.
    pub(crate) fn backlog(&self) -> Backlog {
        Backlog {
            sealed: lock(&self.sealed).len(),
            l0_runs: self.view().version.l0_runs(),
            debt_bytes: self.debt_bytes.load(Ordering::Relaxed),
        }
    }

    /// Fails, delays or waits as the state of background work demands.
    pub(crate) fn admit(&self) -> Result<()> {
        self.check_writable()?;
        let backlog = self.backlog();
        if backlog.stops(&self.options) {
            return self.wait(backlog);
        }
        self.slow_down(&backlog);
        Ok(())
    }

    /// Waits until commits are let through again.
    fn wait(&self, mut backlog: Backlog) -> Result<()> {
        let clock = &self.options.clock;
        let started = clock.monotonic_micros();
        self.options.emit(|| Event::WritesStopped { tablet: self.id, reason: describe(&backlog) });
        let mut stall = Stall::begin(&self.shared);
        // Again: what was done before it began wakes nobody.
        backlog = self.backlog();
        let mut outcome = Ok(());
        while outcome.is_ok() && backlog.stops(&self.options) {
            if stall.is_over() {
                outcome = Err(Error::WriteStalled(describe(&backlog)));
                break;
            }
            self.statistics.stalls.fetch_add(1, Ordering::Relaxed);
            stall.wait();
            backlog = self.backlog();
            outcome = self.check_writable();
        }
        let micros = clock.monotonic_micros().saturating_sub(started);
        self.statistics.stalled_micros.fetch_add(micros, Ordering::Relaxed);
        self.options.emit(|| Event::WritesResumed { tablet: self.id, micros });
        outcome
    }

    /// Delays a commit in proportion to how close background work is to its limits.
    fn slow_down(&self, backlog: &Backlog) {
        let share = backlog.delay(&self.options);
        if share == 0 || self.options.background == BackgroundWork::Inline {
            return;
        }
        self.statistics.delays.fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(DELAY_MAX.as_micros()).unwrap_or_default() * share / SHARE_ONE;
        self.statistics.delayed_micros.fetch_add(micros, Ordering::Relaxed);
        self.shared.work.delay(Duration::from_micros(micros));
    }
}

fn describe(backlog: &Backlog) -> String {
    let Backlog { sealed, l0_runs, debt_bytes } = backlog;
    format!(
        "{sealed} memtables wait for their flush, {l0_runs} flushes in L0 for compaction, which has {debt_bytes} bytes to move"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_with_the_worst_of_the_backlogs_up_to_the_stop() {
        let options = StoreOptions {
            l0_slowdown: 4,
            l0_stop: 9,
            debt_slowdown_bytes: 1_000,
            debt_stop_bytes: 2_000,
            ..StoreOptions::default()
        };
        let backlog = |l0_runs, debt_bytes| Backlog { sealed: 0, l0_runs, debt_bytes };
        for (l0_runs, debt_bytes, delay, state) in [
            (3, 1_000, 0, WriteState::Open),
            (4, 0, 200, WriteState::Delayed),
            (8, 0, 1_000, WriteState::Delayed),
            (0, 1_500, 500, WriteState::Delayed),
            (4, 1_500, 500, WriteState::Delayed),
            (6, 1_500, 600, WriteState::Delayed),
            (9, 0, 1_000, WriteState::Stopped),
            (0, 2_000, 1_000, WriteState::Stopped),
        ] {
            let backlog = backlog(l0_runs, debt_bytes);
            assert_eq!((backlog.delay(&options), backlog.state(&options)), (delay, state), "{backlog:?}");
        }
        let sealed = Backlog { sealed: options.sealed_memtables_max, ..Backlog::default() };
        assert_eq!(sealed.state(&options), WriteState::Stopped);
    }

    #[test]
    fn a_delay_is_counted_once_as_long_as_it_may_last() {
        let options = StoreOptions {
            background: BackgroundWork::Threads,
            l0_slowdown: 4,
            l0_stop: 9,
            ..StoreOptions::default()
        };
        let disk = std::sync::Arc::new(crate::vfs::MemoryVfs::new());
        let store = crate::store::Store::open(disk, "/db".as_ref(), options).unwrap();
        let tablet = store.tablet();
        for l0_runs in [3, 4, 8] {
            tablet.inner.slow_down(&Backlog { l0_runs, ..Backlog::default() });
        }
        let statistics = tablet.statistics();
        assert_eq!((statistics.delays, statistics.delayed_micros), (2, 2_000 / 5 + 2_000));
    }
}
