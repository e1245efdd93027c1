//! The thread that runs a pass from time to time.
//!
//! It holds the database weakly between passes, so that a database nobody holds ends, and the thread with it. Whoever
//! drops or closes the database stops the thread and waits for it, unless it is the thread itself that drops the last
//! hold. A pass looks for the stop between two parts.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{ExpiryPass, ExpiryStatistics};
use crate::{Error, Result, error_code};

/// The thread's name, for debuggers.
const THREAD_NAME: &str = "sheaf-expiry";

/// The schedule, the counters and the thread.
pub(crate) struct ExpiryMonitor {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    interval: Duration,
    is_enabled: bool,
    is_stopped: bool,
    statistics: ExpiryStatistics,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a pass is due; `false` when there will be none any more.
    fn wait(&self) -> bool {
        let mut state = self.lock();
        loop {
            if state.is_stopped {
                return false;
            }
            let interval = state.interval;
            // A new schedule counts from the moment it is set.
            let same = |state: &mut State| !state.is_stopped && state.interval == interval;
            let waited = self.changed.wait_timeout_while(state, interval, same);
            let (now, outcome) = waited.unwrap_or_else(PoisonError::into_inner);
            state = now;
            if outcome.timed_out() && state.is_enabled && !state.is_stopped {
                return true;
            }
        }
    }
}

impl ExpiryMonitor {
    /// A monitor without a thread.
    pub(crate) fn new(interval: Duration) -> Self {
        let state =
            State { interval, is_enabled: true, is_stopped: false, statistics: ExpiryStatistics::default() };
        let shared = Shared { state: Mutex::new(state), changed: Condvar::new() };
        Self { shared: Arc::new(shared), thread: Mutex::new(None) }
    }

    /// Starts the thread. `pass` runs a pass; `false` says that the database is gone.
    pub(crate) fn start(&self, pass: impl Fn() -> bool + Send + 'static) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let run = move || while shared.wait() && pass() {};
        let thread =
            std::thread::Builder::new().name(THREAD_NAME.to_owned()).spawn(run).map_err(|error| {
                Error::new(
                    error_code::FILE_STREAM_FAILED,
                    format!("the thread that deletes expired documents: {error}"),
                )
            })?;
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(())
    }

    /// Stops the thread and waits for its end.
    pub(crate) fn stop(&self) {
        self.shared.lock().is_stopped = true;
        self.shared.changed.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != std::thread::current().id()) {
            // A pass that panicked has left nothing that others rely on; its transaction was rolled back.
            drop(thread.join());
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.shared.lock().is_stopped
    }

    pub(super) fn count(&self, pass: &ExpiryPass) {
        self.shared.lock().statistics.count(pass);
    }

    pub(super) fn statistics(&self) -> ExpiryStatistics {
        self.shared.lock().statistics.clone()
    }

    pub(super) fn schedule(&self) -> (Duration, bool) {
        let state = self.shared.lock();
        (state.interval, state.is_enabled)
    }

    pub(super) fn set_schedule(&self, interval: Duration, is_enabled: bool) {
        let mut state = self.shared.lock();
        state.interval = interval;
        state.is_enabled = is_enabled;
        self.shared.changed.notify_all();
    }
}
