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
/// How much lower than others' a flushing thread's priority is, in the steps of `nice`; and a compacting one's. On a machine whose processors are
/// all busy a commit would else wait for the end of their slices of time, some milliseconds each. Neither is so low that it
/// falls behind for ever: who writes faster than they work is delayed.
const FLUSH_NICE: i32 = 5;
const COMPACTION_NICE: i32 = 10;
/// How often it does the work itself, where there are no threads for it, before it is refused.
const STALL_ROUNDS_MAX: u32 = 600;

/// Wakes workers when there is work and writers when some is done.
#[derive(Debug, Default)]
pub(crate) struct WorkSignal {
    /// How often work was announced, and how often some was done.
    counts: Mutex<(u64, u64)>,
    /// Whether the syncing thread is not to wait for its time.
    sync_asked: AtomicBool,
    /// Whether it is to have the disk begin with what is to be synced then.
    write_back_asked: AtomicBool,
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

    /// Has the syncing thread tell the disk to begin with what the log has written.
    pub(crate) fn ask_write_back(&self) {
        if self.write_back_asked.load(Ordering::Acquire) {
            return;
        }
        let counts = lock(&self.counts);
        self.write_back_asked.store(true, Ordering::Release);
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
    /// Starts a thread, whose priority is lower than that of the caller by `nice`.
    fn start(&mut self, name: &str, nice: i32, run: impl FnOnce() + Send + 'static) -> Result<()> {
        let run = move || {
            lower_priority(nice);
            run();
        };
        let thread = Builder::new().name(name.into()).spawn(run);
        let thread = thread.map_err(|error| Error::io("start a thread named", name.as_ref(), error))?;
        self.threads.push(thread);
        Ok(())
    }
}

/// Lowers the priority of the calling thread. Where that cannot be, or would be the whole process's, it stays.
fn lower_priority(nice: i32) {
    #[cfg(target_os = "linux")]
    if nice != 0 {
        let _not_allowed = rustix::process::nice(nice);
    }
    #[cfg(not(target_os = "linux"))]
    let _of_processes_only = nice;
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
    let jobs = std::iter::once(("sheaf-flush", FLUSH_NICE, Shared::flush_round as Job)).chain(
        std::iter::repeat_n(("sheaf-compact", COMPACTION_NICE, Shared::compact_round as Job), compactors),
    );
    for (name, nice, job) in jobs {
        let shared = Arc::clone(shared);
        workers.start(name, nice, move || work_loop(&shared, job))?;
    }
    let (syncing, removing) = (Arc::clone(shared), Arc::clone(&shared.open_files));
    workers.start("sheaf-sync", 0, move || sync_loop(&syncing))?;
    removing.removals.begin();
    workers.start("sheaf-remove", 0, move || removing.removals.serve())?;
    Ok(workers)
}

/// Runs a job whenever work is announced, until the store stops.
fn work_loop(shared: &Shared, job: Job) {
    let _guard = PanicGuard { shared };
    let mut seen = 0;
    while !shared.stop.load(Ordering::Acquire) {
        seen = shared.work.wait_for_work(seen, IDLE_WAIT);
        shared.run_job(job);
    }
}

/// Syncs what was written whenever its time has come or somebody asks, until the store stops, and has the disk begin earlier with
/// what is much.
fn sync_loop(shared: &Shared) {
    let _guard = PanicGuard { shared };
    let (clock, interval) = (&shared.options.clock, shared.options.async_interval);
    while !shared.stop.load(Ordering::Acquire) {
        let since_micros = clock.monotonic_micros();
        let mut left = interval;
        while !left.is_zero() && shared.work.wait_for_sync(&shared.stop, left) == SyncWanted::WriteBack {
            shared.begin_write_back();
            let waited = Duration::from_micros(clock.monotonic_micros().saturating_sub(since_micros));
            left = interval.saturating_sub(waited);
        }
        shared.run_job(Shared::sync_written);
    }
}

/// What the syncing thread is woken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SyncWanted {
    /// A sync: it is time, or somebody has asked, or the store stops.
    Sync,
    /// To have the disk begin.
    WriteBack,
}

impl WorkSignal {
    /// Waits out an interval, or until the store stops.
    pub(crate) fn wait_for_stop(&self, stop: &AtomicBool, interval: Duration) {
        let counts = lock(&self.counts);
        let waited = self.wanted.wait_timeout_while(counts, interval, |_| !stop.load(Ordering::Acquire));
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// The same for the syncing thread, which may be asked to come earlier, and for less than a sync.
    fn wait_for_sync(&self, stop: &AtomicBool, interval: Duration) -> SyncWanted {
        let counts = lock(&self.counts);
        let mut wanted = None;
        let idle = |_: &mut (u64, u64)| {
            if stop.load(Ordering::Acquire) || self.sync_asked.swap(false, Ordering::AcqRel) {
                wanted = Some(SyncWanted::Sync);
            } else if self.write_back_asked.swap(false, Ordering::AcqRel) {
                wanted = Some(SyncWanted::WriteBack);
            }
            wanted.is_none()
        };
        let waited = self.wanted.wait_timeout_while(counts, interval, idle);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        wanted.unwrap_or(SyncWanted::Sync)
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
