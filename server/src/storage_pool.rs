//! Where blocking work happens: threads beside the ones that serve the network.
//!
//! A bound on the requests that work at once, and a bound on those that wait for their turn. More than that is refused
//! at once, which a caller can handle better than a queue that grows until every deadline has passed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests that may wait for a thread. At a millisecond each over 128 threads, the last waits about 80 ms.
const WAITING_MAX: usize = 10_000;

/// Stack of a thread for blocking work, in bytes: documents nest a hundred deep, and expressions over them deeper. The
/// system gives pages only to stacks that grow into them.
pub const STACK_BYTES: usize = 8 << 20;

/// Why work was not done, or has no result. Each door says it in its own terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// Too many requests wait already: send it again, later. The work was not begun.
    #[error("{WAITING_MAX} requests are waiting already")]
    Overloaded,
    /// The server is about to end. The work was not begun.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// The work panicked: a defect.
    #[error("the request's worker ended without an answer; the server's log has more")]
    WorkerLost,
}

/// The threads for blocking work.
#[derive(Clone)]
pub struct StoragePool {
    threads_max: usize,
    permits: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

/// Counts a waiting request for as long as it lives.
struct Waiting<'p>(&'p AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl StoragePool {
    /// A pool in which this many requests work at once.
    pub fn new(threads_max: usize) -> Self {
        let permits = Arc::new(Semaphore::new(threads_max));
        Self { threads_max, permits, waiting: Arc::new(AtomicUsize::new(0)) }
    }

    /// Requests that work at once.
    pub fn threads_max(&self) -> usize {
        self.threads_max
    }

    /// Runs work that must not wait for its turn, because others may wait for it: it ends operations, or lets them
    /// go on. It has to be short.
    #[cfg(feature = "wire")]
    pub async fn run_urgent<T, F>(&self, work: F) -> Result<T, PoolError>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        tokio::task::spawn_blocking(work).await.map_err(|_| PoolError::WorkerLost)
    }

    /// Runs blocking work on a thread of the pool. If the caller goes away while it waits for its turn, the work is
    /// not done; once begun it is finished.
    pub async fn run<T, F>(&self, work: F) -> Result<T, PoolError>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let permit = self.permit().await?;
        let worker = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        });
        // A worker that panics says so in the log through the panic hook.
        worker.await.map_err(|_| PoolError::WorkerLost)
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit, PoolError> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(permit);
        }
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        if before >= WAITING_MAX {
            return Err(PoolError::Overloaded);
        }
        Arc::clone(&self.permits).acquire_owned().await.map_err(|_| PoolError::ShuttingDown)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn work_is_bounded_and_all_of_it_is_done() {
        let pool = StoragePool::new(2);
        let running = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..20)
            .map(|number| {
                let (pool, running, most) = (pool.clone(), Arc::clone(&running), Arc::clone(&most));
                tokio::spawn(async move {
                    pool.run(move || {
                        most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::sleep(Duration::from_millis(2));
                        running.fetch_sub(1, Ordering::SeqCst);
                        number
                    })
                    .await
                })
            })
            .collect();
        for (number, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await.unwrap().unwrap(), number);
        }
        assert_eq!(most.load(Ordering::SeqCst), 2);
        assert_eq!(pool.waiting.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn a_panic_in_the_work_is_an_error_of_the_call() {
        let pool = StoragePool::new(1);
        let lost = pool.run(|| panic!("on purpose")).await.map(|(): ()| ()).unwrap_err();
        assert_eq!(lost, PoolError::WorkerLost);
        assert_eq!(pool.run(|| 5).await.unwrap(), 5);
    }
}
