//! Threads that flush, compact and sync for all tablets of a store, and the signal between them and those who write. What
//! they do in which order is in [`Shared`].

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::options::BackgroundWork;
use crate::store::Shared;
use crate::tablet::lock;

/// How long an idle worker sleeps before it looks again by itself.
const IDLE_WAIT: Duration = Duration::from_secs(1);

/// Wakes workers when there is work and writers when some is done.
#[derive(Debug, Default)]
pub(crate) struct WorkSignal {
    /// How often work was announced, and how often some was done.
    counts: Mutex<(u64, u64)>,
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

    /// Reports that some work is done.
    pub(crate) fn report_progress(&self) {
        lock(&self.counts).1 += 1;
        self.done.notify_all();
    }

    /// Waits until some work is done, at most `patience`.
    pub(crate) fn wait_for_progress(&self, patience: Duration) {
        let counts = lock(&self.counts);
        let before = counts.1;
        let waited = self.done.wait_timeout_while(counts, patience, |counts| counts.1 == before);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits until more work is announced than `seen`, at most `patience`; returns how often it has been.
    fn wait_for_work(&self, seen: u64, patience: Duration) -> u64 {
        let counts = lock(&self.counts);
        let waited = self.wanted.wait_timeout_while(counts, patience, |counts| counts.0 == seen);
        waited.unwrap_or_else(PoisonError::into_inner).0.0
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
        let thread = std::thread::Builder::new().name(name.into()).spawn(run);
        let thread = thread.map_err(|error| Error::io("start a thread named", name.as_ref(), error))?;
        self.threads.push(thread);
        Ok(())
    }
}

/// Starts the threads the options ask for: one that only flushes, so that a long compaction never holds up memory;
/// some that compact, each another tablet; one that syncs what was acknowledged asynchronously; one that removes files.
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
    while !shared.stop.load(std::sync::atomic::Ordering::Acquire) {
        if by_timer {
            shared.work.wait_for_stop(&shared.stop, patience);
        } else {
            seen = shared.work.wait_for_work(seen, patience);
        }
        shared.run_job(job);
    }
}

impl WorkSignal {
    /// Waits out an interval, or until the store stops.
    fn wait_for_stop(&self, stop: &std::sync::atomic::AtomicBool, interval: Duration) {
        let counts = lock(&self.counts);
        let waited = self
            .wanted
            .wait_timeout_while(counts, interval, |_| !stop.load(std::sync::atomic::Ordering::Acquire));
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

impl Shared {
    /// Runs a job. A failure stops writes: memory would fill up, or history be lost, if it were passed over.
    pub(crate) fn run_job(&self, job: Job) {
        if self.poison.check().is_err() {
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
