//! Threads that flush, compact and sync for all tablets of a store, and the signal between them and those who write. What
//! they do in which order is in [`Shared`].

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::options::BackgroundWork;
use crate::store::Shared;
use crate::sync::scheduled::{AtomicBool, Builder, Condvar, JoinHandle, Mutex, yield_now};
use crate::tablet::lock;

/// How long an idle worker sleeps before it looks again by itself.
const IDLE_WAIT: Duration = Duration::from_secs(1);
/// A write waits at most this long for background work before it is refused.
const STALL_MAX: Duration = Duration::from_secs(60);
/// How long it waits at most between two looks. Progress wakes it earlier; this is for what does not call itself progress.
const STALL_STEP: Duration = Duration::from_millis(100);
/// How often it does the work itself, where there are no threads for it, before it is refused.
const STALL_ROUNDS_MAX: u32 = 600;

/// Wakes workers when there is work and writers when some is done.
#[derive(Debug, Default)]
pub(crate) struct WorkSignal {
    /// How often work was announced, and how often some was done.
    counts: Mutex<(u64, u64)>,
    /// Whether the syncing thread is not to wait for its time.
    sync_asked: AtomicBool,
    /// Signalled when work is announced.
    wanted: Condvar,
    /// Signalled when some is done.
    done: Condvar,
}

impl WorkSignal {
    /// Announces work.
    pub(crate) fn wake(&self) {
        lock(&self.counts).0 += 1;
        self.wanted.notify_all();
    }

    /// Has the syncing thread do its round now.
    pub(crate) fn ask_sync(&self) {
        let counts = lock(&self.counts);
        self.sync_asked.store(true, Ordering::Release);
        drop(counts);
        self.wanted.notify_all();
    }

    /// Reports that some work is done.
    pub(crate) fn report_progress(&self) {
        lock(&self.counts).1 += 1;
        self.done.notify_all();
    }

    /// How often some work was done.
    fn progress(&self) -> u64 {
        lock(&self.counts).1
    }

    /// Waits until more work is done than `seen`, at most `patience`; returns how often some has been.
    fn wait_for_progress(&self, seen: u64, patience: Duration) -> u64 {
        let counts = lock(&self.counts);
        let waited = self.done.wait_timeout_while(counts, patience, |counts| counts.1 == seen);
        waited.unwrap_or_else(PoisonError::into_inner).0.1
    }

    /// Lets background work go first: until some is done, at most `patience`. Nobody relies on it that some will be, so
    /// where patience never ends, this is not a wait.
    pub(crate) fn delay(&self, patience: Duration) {
        if cfg!(shuttle) {
            yield_now();
        } else {
            self.wait_for_progress(self.progress(), patience);
        }
    }

    /// Waits until more work is announced than `seen`, at most `patience`; returns how often it has been.
    fn wait_for_work(&self, seen: u64, patience: Duration) -> u64 {
        let counts = lock(&self.counts);
        let waited = self.wanted.wait_timeout_while(counts, patience, |counts| counts.0 == seen);
        waited.unwrap_or_else(PoisonError::into_inner).0.0
    }
}

/// A write's wait for background work, bounded in time. Who waits begins before it looks whether it has to, and looks again
/// after each round: what is done in between ends the next round at once.
pub(crate) struct Stall<'a> {
    /// The store.
    shared: &'a Shared,
    /// When it began.
    since_micros: u64,
    /// How many rounds there have been.
    rounds: u32,
    /// How often some work was done when the last round ended.
    seen: u64,
}

impl<'a> Stall<'a> {
    /// Begins.
    pub(crate) fn begin(shared: &'a Shared) -> Stall<'a> {
        let since_micros = shared.options.clock.monotonic_micros();
        Stall { shared, since_micros, rounds: 0, seen: shared.work.progress() }
    }

    /// Whether it has lasted as long as it may.
    pub(crate) fn is_over(&self) -> bool {
        let options = &self.shared.options;
        let waited = options.clock.monotonic_micros().saturating_sub(self.since_micros);
        match options.background {
            BackgroundWork::Inline => self.rounds >= STALL_ROUNDS_MAX,
            BackgroundWork::Threads => Duration::from_micros(waited) >= STALL_MAX,
        }
    }

    /// Whether nothing was done since it began or the last round ended.
    pub(crate) fn nothing_happened(&self) -> bool {
        self.shared.work.progress() == self.seen
    }

    /// One round: wakes who does the work and waits until some is done, or does it.
    pub(crate) fn wait(&mut self) {
        let work = &self.shared.work;
        self.rounds = self.rounds.saturating_add(1);
        self.seen = if self.shared.options.background == BackgroundWork::Inline {
            self.shared.work_inline();
            work.progress()
        } else {
            work.wake();
            work.wait_for_progress(self.seen, STALL_STEP)
        };
    }
}

/// What a worker does each time it is woken.
type Job = fn(&Shared) -> Result<()>;

/// Running threads, joined on `stop`.
#[derive(Debug, Default)]
pub(crate) struct Workers {
    /// The threads.
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Waits for all threads to end; the store has been told to stop.
    pub(crate) fn join(&mut self) {
        for thread in self.threads.drain(..) {
            // A worker that panicked has poisoned the store; there is nothing to add here.
            let _panicked = thread.join();
        }
    }
}

/// Poisons the store if the worker it stands for ends by panic.
struct PanicGuard<'a> {
    /// The store.
    shared: &'a Shared,
}

impl Drop for PanicGuard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shared.poison.set(Error::Poisoned("a background thread panicked".into()));
            self.shared.work.report_progress();
        }
    }
}

impl Workers {
    /// Starts a thread.
    fn start(&mut self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<()> {
        let thread = Builder::new().name(name.into()).spawn(run);
        let thread = thread.map_err(|error| Error::io("start a thread named", name.as_ref(), error))?;
        self.threads.push(thread);
        Ok(())
    }
}

/// Starts the threads the options ask for: one that only flushes, so that a long compaction never holds up memory;
/// some that compact, each another tablet; one that syncs what was acknowledged asynchronously, and makes ready what a full
/// memtable is followed by; one that removes files.
pub(crate) fn start_workers(shared: &Arc<Shared>) -> Result<Workers> {
    let mut workers = Workers::default();
    if shared.options.background == BackgroundWork::Inline || shared.options.read_only {
        return Ok(workers);
    }
    let compactors = shared.options.compaction_threads_max;
    let jobs = std::iter::once(("sheaf-flush", Shared::flush_round as Job))
        .chain(std::iter::repeat_n(("sheaf-compact", Shared::compact_round as Job), compactors));
    for (name, job) in jobs {
        let shared = Arc::clone(shared);
        workers.start(name, move || work_loop(&shared, IDLE_WAIT, false, job))?;
    }
    let (syncing, removing) = (Arc::clone(shared), Arc::clone(&shared.open_files));
    let interval = shared.options.async_interval;
    workers.start("sheaf-sync", move || work_loop(&syncing, interval, true, Shared::sync_written))?;
    removing.removals.begin();
    workers.start("sheaf-remove", move || removing.removals.serve())?;
    Ok(workers)
}

/// Runs a job whenever work is announced, until the store stops.
fn work_loop(shared: &Shared, patience: Duration, by_timer: bool, job: Job) {
    let _guard = PanicGuard { shared };
    let mut seen = 0;
    while !shared.stop.load(Ordering::Acquire) {
        if by_timer {
            shared.work.wait_for_sync(&shared.stop, patience);
        } else {
            seen = shared.work.wait_for_work(seen, patience);
        }
        shared.run_job(job);
    }
}

impl WorkSignal {
    /// Waits out an interval, or until the store stops.
    pub(crate) fn wait_for_stop(&self, stop: &AtomicBool, interval: Duration) {
        let counts = lock(&self.counts);
        let waited = self.wanted.wait_timeout_while(counts, interval, |_| !stop.load(Ordering::Acquire));
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// The same for the syncing thread, which may be asked to come earlier.
    fn wait_for_sync(&self, stop: &AtomicBool, interval: Duration) {
        let counts = lock(&self.counts);
        let idle = |_: &mut (u64, u64)| {
            !stop.load(Ordering::Acquire) && !self.sync_asked.swap(false, Ordering::AcqRel)
        };
        let waited = self.wanted.wait_timeout_while(counts, interval, idle);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

impl Shared {
    /// Runs a job. A failure stops writes: memory would fill up, or history be lost, if it were passed over.
    pub(crate) fn run_job(&self, job: Job) {
        if self.poison.check().is_err() {
            // Who waits is to find out.
            self.work.report_progress();
            return;
        }
        match job(self) {
            Ok(()) | Err(Error::Closed) => {}
            // Too little memory, too many open files: nobody's damage. The next round tries again.
            Err(error) if error.is_shortage() => {}
            Err(error) => {
                self.poison.set(error);
                self.work.report_progress();
            }
        }
    }
}

#[cfg(test)]
#[path = "background_tests.rs"]
mod tests;
